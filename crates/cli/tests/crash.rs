//! The crash loop: a real process over a real job set is killed at random moments, also twice in a row and while it
//! recovers, and what it has committed in the end is compared with a run that nobody disturbed.
//!
//! Ten rounds here; `cargo xtask crash --rounds N --seed S` for more.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

const EVENTS: u64 = 30_000;
/// A round's input takes at least so long.
const SECONDS: u64 = 2;
/// After so many kills a round may come to its end.
const KILLS_MAX: u32 = 6;

/// What the job writes: table, columns, format, query.
const SINKS: &[(&str, &str, &str, &str)] = &[
    (
        "by_bidder",
        "bidder BIGINT, n BIGINT, total BIGINT, dearest BIGINT, auctions BIGINT",
        "changelog-csv",
        "SELECT bidder, COUNT(*), SUM(price), MAX(price), COUNT(DISTINCT auction) FROM bid GROUP BY bidder",
    ),
    (
        "pairs",
        "auction BIGINT, bidder BIGINT, seller BIGINT, price BIGINT",
        "csv",
        "SELECT b.auction, b.bidder, a.seller, b.price FROM bid b JOIN auction a ON a.id = b.auction",
    ),
    (
        "without_bids",
        "id BIGINT, seller BIGINT",
        "changelog-csv",
        "SELECT id, seller FROM auction a WHERE NOT EXISTS (SELECT * FROM bid b WHERE b.auction = a.id)",
    ),
    (
        "dearest",
        "category BIGINT, price BIGINT",
        "changelog-csv",
        "SELECT a.category, MAX(b.price) FROM auction a LEFT JOIN bid b ON a.id = b.auction GROUP BY a.category",
    ),
    (
        "tumbling",
        "auction BIGINT, window_end TIMESTAMP(3), n BIGINT, total BIGINT",
        "csv",
        "SELECT auction, window_end, COUNT(*), SUM(price) \
         FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(date_time), INTERVAL '2' SECOND)) \
         GROUP BY auction, window_start, window_end",
    ),
    (
        "hopping",
        "window_end TIMESTAMP(3), bidders BIGINT",
        "csv",
        "SELECT window_end, COUNT(DISTINCT bidder) \
         FROM TABLE(HOP(TABLE bid, DESCRIPTOR(date_time), INTERVAL '1' SECOND, INTERVAL '5' SECOND)) \
         GROUP BY window_start, window_end",
    ),
    (
        "running",
        "bidder BIGINT, price BIGINT, so_far BIGINT",
        "changelog-csv",
        "SELECT bidder, price, SUM(price) OVER (PARTITION BY bidder ORDER BY price) FROM bid WHERE MOD(bidder, 20) = 0",
    ),
    (
        "first_three",
        "auction BIGINT, price BIGINT, bidder BIGINT, rn BIGINT",
        "changelog-csv",
        "SELECT auction, price, bidder, rn FROM (SELECT auction, price, bidder, \
         ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price DESC, bidder) AS rn FROM bid) WHERE rn <= 3",
    ),
    (
        "both",
        "bidder BIGINT",
        "changelog-csv",
        "SELECT bidder FROM bid WHERE price > 1000000 INTERSECT SELECT seller FROM auction",
    ),
];

/// The job, its input as fast as it goes or limited.
fn script(place: &Path, is_limited: bool) -> String {
    let rate = if is_limited { format!(", 'next-event.rate' = '{}'", EVENTS / SECONDS) } else { String::new() };
    let place = place.display();
    let source =
        |table: &str| format!("'connector' = 'nexmark', 'nexmark.table' = '{table}', 'events.num' = '{EVENTS}'{rate}");
    let mut sql = format!(
        "SET 'state.checkpoints.dir' = '{place}/checkpoints';\n\
         SET 'execution.checkpointing.interval' = '150 ms';\n\
         CREATE TABLE bid (auction BIGINT, bidder BIGINT, price BIGINT, date_time TIMESTAMP(3), \
           WATERMARK FOR date_time AS date_time - INTERVAL '1' SECOND) WITH ({});\n\
         CREATE TABLE auction (id BIGINT, seller BIGINT, category BIGINT) WITH ({});\n",
        source("bid"),
        source("auction")
    );
    for (table, columns, format, _) in SINKS {
        sql += &format!(
            "CREATE TABLE {table} ({columns}) WITH ('connector' = 'filesystem', 'path' = '{place}/{table}', 'format' = '{format}');\n"
        );
    }
    for (table, _, _, query) in SINKS {
        sql += &format!("INSERT INTO {table} {query};\n");
    }
    sql
}

fn start(place: &Path, shards: u32) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_eddyline"));
    command.current_dir(place).args(["run", "job.sql", "--quiet", "--shards", &shards.to_string()]);
    command.env_remove("EDDYLINE_LOG").spawn().expect("started")
}

/// The rows that the files which can be seen make up: each with how often it is there.
fn rows(place: &Path, table: &str, format: &str) -> BTreeMap<String, i64> {
    let mut rows = BTreeMap::new();
    for entry in std::fs::read_dir(place.join(table)).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        assert!(!name.starts_with('.'), "{name} is left over");
        for line in std::fs::read_to_string(path).expect("text").lines() {
            let (sign, row) = match format {
                "csv" => (1, line),
                _ => {
                    let (kind, row) = line.split_once(',').expect("a kind");
                    (if kind.starts_with('+') { 1 } else { -1 }, row)
                }
            };
            *rows.entry(row.to_owned()).or_insert(0) += sign;
        }
    }
    rows.retain(|_, times| *times != 0);
    rows
}

type Output = BTreeMap<&'static str, BTreeMap<String, i64>>;

fn output(place: &Path) -> Output {
    SINKS.iter().map(|(table, _, format, _)| (*table, rows(place, table, format))).collect()
}

fn undisturbed() -> Output {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("job.sql"), script(directory.path(), false)).expect("written");
    assert!(start(directory.path(), 1).wait().expect("an end").success());
    output(directory.path())
}

/// One round; returns how often the job was killed.
fn round(seed: u64, expected: &Output) -> u32 {
    let mut random = StdRng::seed_from_u64(seed);
    let directory = tempfile::tempdir().expect("a directory");
    let place = directory.path();
    std::fs::write(place.join("job.sql"), script(place, true)).expect("written");
    let shards = random.random_range(1..=4);
    let mut kills = 0;
    loop {
        let mut child = start(place, shards);
        // Some of these are in the middle of recovery, and some in a row.
        let pause = match random.random_range(0..3) {
            0 => random.random_range(0..150),
            _ => random.random_range(150..1500),
        };
        let until = Instant::now() + Duration::from_millis(pause);
        let may_kill = kills < KILLS_MAX;
        let status = loop {
            if let Some(status) = child.try_wait().expect("a process") {
                break Some(status);
            }
            if may_kill && Instant::now() >= until {
                break None;
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        match status {
            Some(status) => {
                assert!(status.success(), "seed {seed}: after {kills} kills it failed");
                break;
            }
            None => {
                child.kill().expect("killed");
                child.wait().expect("gone");
                kills += 1;
            }
        }
    }
    for (table, rows) in output(place) {
        let wanted = &expected[table];
        let wrong = rows.iter().filter(|(row, n)| wanted.get(*row) != Some(n));
        let missing = wanted.iter().filter(|(row, _)| !rows.contains_key(*row));
        let wrong: Vec<_> = wrong.chain(missing).take(5).collect();
        assert!(wrong.is_empty(), "seed {seed}, {kills} kills, {shards} shards: {table} differs, as in {wrong:?}");
    }
    kills
}

#[test]
fn whatever_is_killed_the_committed_output_is_that_of_a_run_without() {
    let number = |name: &str, default: u64| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default);
    let (rounds, seed) = (number("EDDYLINE_CRASH_ROUNDS", 10), number("EDDYLINE_CRASH_SEED", 0));
    let expected = undisturbed();
    assert!(expected.values().all(|rows| !rows.is_empty()), "a query gives nothing: {expected:?}");
    let mut kills = 0;
    for seed in seed..seed + rounds {
        kills += round(seed, &expected);
        println!("seed {seed}: no difference; {kills} kills in all");
    }
    assert!(u64::from(kills) >= rounds, "{kills} kills in {rounds} rounds");
}
