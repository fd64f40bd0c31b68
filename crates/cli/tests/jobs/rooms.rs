//! A job with every room in it that keeps something, over made-up auctions.

use std::path::Path;

/// What a job writes: table, columns, format, query.
pub(crate) type Sink = (&'static str, &'static str, &'static str, &'static str);

/// Every room that keeps something is there.
pub(crate) const SINKS: &[Sink] = &[
    (
        "by_bidder",
        "bidder BIGINT, n BIGINT, total BIGINT, dearest BIGINT, mean DOUBLE, auctions BIGINT",
        "changelog-csv",
        "SELECT bidder, COUNT(*), SUM(price), MAX(price), AVG(CAST(price AS DOUBLE)), COUNT(DISTINCT auction) \
         FROM bid GROUP BY bidder",
    ),
    ("of_all", "n BIGINT, bidders BIGINT", "changelog-csv", "SELECT COUNT(*), COUNT(DISTINCT bidder) FROM bid"),
    (
        "of_groups",
        "n BIGINT, bidders BIGINT, most BIGINT",
        "changelog-csv",
        "SELECT n, COUNT(*), MAX(bidder) FROM (SELECT bidder, COUNT(*) AS n FROM bid GROUP BY bidder) GROUP BY n",
    ),
    (
        "pairs",
        "auction BIGINT, bidder BIGINT, seller BIGINT, price BIGINT",
        "csv",
        "SELECT b.auction, b.bidder, a.seller, b.price FROM bid b JOIN auction a ON a.id = b.auction",
    ),
    (
        "all_pairs",
        "id BIGINT, seller BIGINT, price BIGINT",
        "changelog-csv",
        "SELECT a.id, a.seller, b.price FROM auction a FULL JOIN (SELECT * FROM bid WHERE MOD(price, 3) = 0) b \
         ON a.id = b.auction",
    ),
    (
        "dearest",
        "category BIGINT, price BIGINT",
        "changelog-csv",
        "SELECT a.category, MAX(b.price) FROM auction a LEFT JOIN bid b ON a.id = b.auction GROUP BY a.category",
    ),
    (
        "with_bids",
        "id BIGINT, seller BIGINT",
        "changelog-csv",
        "SELECT id, seller FROM auction WHERE id IN (SELECT auction FROM bid)",
    ),
    (
        "without_bids",
        "id BIGINT, seller BIGINT",
        "changelog-csv",
        "SELECT id, seller FROM auction a WHERE NOT EXISTS (SELECT * FROM bid b WHERE b.auction = a.id)",
    ),
    (
        "tumbling",
        "auction BIGINT, window_end TIMESTAMP(3), n BIGINT, total BIGINT",
        "csv",
        "SELECT auction, window_end, COUNT(*), SUM(price) \
         FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(date_time), INTERVAL '1' SECOND)) \
         GROUP BY auction, window_start, window_end",
    ),
    (
        "hopping",
        "window_end TIMESTAMP(3), bidders BIGINT",
        "csv",
        "SELECT window_end, COUNT(DISTINCT bidder) \
         FROM TABLE(HOP(TABLE bid, DESCRIPTOR(date_time), INTERVAL '500' MILLISECOND, INTERVAL '2' SECOND)) \
         GROUP BY window_start, window_end",
    ),
    (
        "running",
        "bidder BIGINT, price BIGINT, so_far BIGINT, before BIGINT",
        "changelog-csv",
        "SELECT bidder, price, SUM(price) OVER (PARTITION BY bidder ORDER BY price), \
         LAG(price) OVER (PARTITION BY bidder ORDER BY price) FROM bid WHERE MOD(bidder, 20) = 0",
    ),
    (
        "first_three",
        "auction BIGINT, price BIGINT, bidder BIGINT, rn BIGINT",
        "changelog-csv",
        "SELECT auction, price, bidder, rn FROM (SELECT auction, price, bidder, \
         ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price DESC, bidder) AS rn FROM bid) WHERE rn <= 3",
    ),
    (
        "first_of_all",
        "price BIGINT, bidder BIGINT, rn BIGINT",
        "changelog-csv",
        "SELECT price, bidder, rn FROM (SELECT price, bidder, \
         ROW_NUMBER() OVER (ORDER BY price DESC, bidder) AS rn FROM bid) WHERE rn <= 10",
    ),
    (
        "last_bid",
        "bidder BIGINT, price BIGINT",
        "changelog-csv",
        "SELECT bidder, price FROM (SELECT bidder, price, \
         ROW_NUMBER() OVER (PARTITION BY bidder ORDER BY date_time DESC, price) AS rn FROM bid) WHERE rn = 1",
    ),
    ("sellers", "seller BIGINT", "changelog-csv", "SELECT DISTINCT seller FROM auction"),
    (
        "both",
        "bidder BIGINT",
        "changelog-csv",
        "SELECT bidder FROM bid WHERE price > 1000000 INTERSECT SELECT seller FROM auction",
    ),
    ("all_but", "bidder BIGINT", "changelog-csv", "SELECT bidder FROM bid EXCEPT ALL SELECT seller FROM auction"),
    (
        "young",
        "bidder BIGINT, price BIGINT",
        "changelog-csv",
        "SELECT bidder, price FROM bid WHERE date_time > NOW() - INTERVAL '90000' DAY(5) AND MOD(bidder, 10) = 1",
    ),
    (
        "rated",
        "auction BIGINT, stars BIGINT",
        "changelog-csv",
        "SELECT b.auction, r.stars FROM bid b JOIN ratings r ON r.bidder = b.bidder WHERE MOD(b.price, 5) = 0",
    ),
    (
        "latest",
        "bidder BIGINT, n BIGINT, PRIMARY KEY (bidder) NOT ENFORCED",
        "upsert-csv",
        "SELECT bidder, COUNT(*) FROM bid GROUP BY bidder",
    ),
];

/// The job that writes `sinks`, over `events` of the generator, as fast as it goes or so many a second; `settings` are its first line.
pub(crate) fn script<'a>(
    place: &Path,
    sinks: impl IntoIterator<Item = &'a Sink>,
    events: u64,
    rate: Option<u64>,
    settings: &str,
) -> String {
    let (place, sinks): (_, Vec<&Sink>) = (place.display(), sinks.into_iter().collect());
    let rate = rate.map(|rate| format!(", 'next-event.rate' = '{rate}'")).unwrap_or_default();
    let source =
        |table: &str| format!("'connector' = 'nexmark', 'nexmark.table' = '{table}', 'events.num' = '{events}'{rate}");
    let mut sql = format!(
        "{settings}\n\
         CREATE TABLE bid (auction BIGINT, bidder BIGINT, price BIGINT, date_time TIMESTAMP(3), \
           WATERMARK FOR date_time AS date_time - INTERVAL '1' SECOND) WITH ({});\n\
         CREATE TABLE auction (id BIGINT, seller BIGINT, category BIGINT) WITH ({});\n\
         CREATE TABLE ratings (bidder BIGINT, stars BIGINT, PRIMARY KEY (bidder) NOT ENFORCED) \
           WITH ('connector' = 'filesystem', 'path' = '{place}/ratings.csv', 'format' = 'upsert-csv');\n",
        source("bid"),
        source("auction")
    );
    for (table, columns, format, _) in &sinks {
        sql += &format!(
            "CREATE TABLE {table} ({columns}) WITH ('connector' = 'filesystem', 'path' = '{place}/{table}', 'format' = '{format}');\n"
        );
    }
    for (table, _, _, query) in &sinks {
        sql += &format!("INSERT INTO {table} {query};\n");
    }
    sql
}

/// The table that one of the queries looks things up in.
pub(crate) fn write_ratings(place: &Path) {
    let rows = (1000..1100).map(|bidder| format!("{bidder},{},\n{bidder},{},{}\n", 1, bidder % 5, bidder % 7 == 0));
    std::fs::write(place.join("ratings.csv"), rows.collect::<String>()).expect("written");
}
