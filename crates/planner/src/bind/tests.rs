use crate::fixtures::{
    bid, catalog, column, computed, functions, metadata, query, refused, table, timestamp, watermarked,
};
use crate::{Planner, PlannerOptions, SqlError};
use arrow::datatypes::{DataType, TimeUnit};
use eddyline_catalog::{Catalog, Dialect, Object, Table, View};
use insta::assert_snapshot;
use std::sync::Arc;

#[test]
fn unknown_names_have_the_nearest_one_and_a_caret() {
    assert_snapshot!(refused("SELECT auctoin FROM bid"), @r"
    ERROR 42703: column auctoin does not exist
    LINE 1: SELECT auctoin FROM bid
                   ^
    HINT: did you mean auction?
    ");
    assert_snapshot!(refused("SELECT Auction FROM bid"), @r"
    ERROR 42703: column Auction does not exist
    LINE 1: SELECT Auction FROM bid
                   ^
    HINT: did you mean auction? Names are case-sensitive
    ");
    assert_snapshot!(refused("SELECT b.x FROM bid AS b"), @r"
    ERROR 42703: column b.x does not exist
    LINE 1: SELECT b.x FROM bid AS b
                   ^
    HINT: columns are: auction, bidder, price, channel, url, date_time, extra
    ");
    assert_snapshot!(refused("SELECT auction\nFROM bids"), @r"
    ERROR 42P01: table or view bids does not exist
    LINE 2: FROM bids
                 ^
    HINT: did you mean bid?
    ");
    assert_snapshot!(refused("SELECT lowre(channel) FROM bid"), @r"
    ERROR 42883: function lowre does not exist
    LINE 1: SELECT lowre(channel) FROM bid
                   ^
    HINT: did you mean LOWER?
    ");
    assert_snapshot!(refused("SELECT pi FROM bid"), @r"
    ERROR 42703: column pi does not exist
    LINE 1: SELECT pi FROM bid
                   ^
    HINT: the function is called with brackets: PI()
    ");
}

#[test]
fn types_that_do_not_fit() {
    assert_snapshot!(refused("SELECT auction + channel FROM bid"), @r"
    ERROR 42804: Cannot coerce arithmetic expression BIGINT + STRING to valid types
    LINE 1: SELECT auction + channel FROM bid
                   ^
    ");
    assert_snapshot!(refused("SELECT lower(channel, 1) FROM bid"), @r"
    ERROR 42883: function lower does not take these arguments
    LINE 1: SELECT lower(channel, 1) FROM bid
                   ^
    DETAIL: Function 'lower' expects 1 arguments but received 2
    HINT: it can be called as lower(String)
    ");
    assert_snapshot!(refused("SELECT auction, price FROM bid GROUP BY auction"), @r"
    ERROR 42803: column bid.price is neither in GROUP BY nor inside an aggregate function
    LINE 1: SELECT auction, price FROM bid GROUP BY auction
                            ^
    HINT: add it to GROUP BY, or take MIN or MAX of it
    ");
}

#[test]
fn what_cannot_be_maintained_is_refused_with_a_way_out() {
    assert_snapshot!(refused("SELECT auction FROM bid WHERE auction > (SELECT v FROM plain)"), @r"
    ERROR 0A000: a subquery that stands for a value must have one row at most
    LINE 1: SELECT auction FROM bid WHERE auction > (SELECT v FROM plain)
                                                     ^
    HINT: make it an aggregate without GROUP BY (MAX(x), COUNT(*), …), end it with ORDER BY … LIMIT 1, compare the PRIMARY KEY of its table, or join with it
    ");
    assert_snapshot!(refused("SELECT NOW(), auction, COUNT(*) FROM bid GROUP BY auction"), @r"
    ERROR 0A000: now() over rows that change
    DETAIL: a group of GROUP BY auction changes its result when more rows come; a retracted row would be computed differently than it was inserted
    HINT: compute it below the aggregate, over rows that are only inserted
    ");
    assert_snapshot!(refused("SELECT b.auction FROM bid b JOIN plain p ON b.price > p.v + RAND()"), @r"
    ERROR 0A000: CAST(price AS Float64) > CAST(v AS Float64) + rand() in the condition of a join
    DETAIL: rows of the two inputs meet at any time, and its value changes
    HINT: compute it as a column of one of the inputs, in a subquery
    ");
    assert_snapshot!(refused("SELECT auction, random() FROM bid GROUP BY auction HAVING COUNT(*) > random()"), @r"
    ERROR 0A000: CAST(count(Int64(1)) AS Float64) > rand() over rows that change
    DETAIL: a group of GROUP BY auction changes its result when more rows come; a retracted row would be computed differently than it was inserted
    HINT: compute it below the aggregate, over rows that are only inserted
    ");
}

#[test]
fn windows_are_checked() {
    assert_snapshot!(refused("SELECT COUNT(*) FROM TABLE(CUMULATE(__table(bid), descriptor(date_time), INTERVAL '2' SECOND, INTERVAL '1' MINUTE))"), @r"
    ERROR 0A000: CUMULATE windows are not supported
    LINE 1: SELECT COUNT(*) FROM TABLE(CUMULATE(__table(bid), descriptor(date_time), INTERVAL '2' SECOND, INTERVAL '1' MINUTE))
                                       ^
    HINT: TUMBLE, HOP and SESSION windows are
    ");
    assert_snapshot!(refused("SELECT COUNT(*) FROM TABLE(TUMBLE(__table(bid), descriptor(dt), INTERVAL '2' SECOND)) GROUP BY window_start"), @r"
    ERROR 42703: column dt does not exist
    LINE 1: SELECT COUNT(*) FROM TABLE(TUMBLE(__table(bid), descriptor(dt), INTERVAL '2' SECOND)) GROUP BY window_start
                                                                       ^
    HINT: columns are: auction, bidder, price, channel, url, date_time, extra
    ");
    assert_snapshot!(refused("SELECT COUNT(*) FROM TABLE(TUMBLE(__table(bid), descriptor(price), INTERVAL '2' SECOND)) GROUP BY window_start"), @r"
    ERROR 42804: TUMBLE: time column price is no TIMESTAMP
    LINE 1: SELECT COUNT(*) FROM TABLE(TUMBLE(__table(bid), descriptor(price), INTERVAL '2' SECOND)) GROUP BY window_start
                                                                       ^
    HINT: windows are cut over a TIMESTAMP or TIMESTAMP_LTZ column
    ");
    assert_snapshot!(refused("SELECT COUNT(*) FROM TABLE(TUMBLE(__table(bid), descriptor(date_time), INTERVAL '2' MONTH)) GROUP BY window_start"), @r"
    ERROR 42000: TUMBLE: SIZE INTERVAL '2' MONTH has months or years, whose length varies
    LINE 1: SELECT COUNT(*) FROM TABLE(TUMBLE(__table(bid), descriptor(date_time), INTERVAL '2' MONTH)) GROUP BY window_start
                                       ^
    HINT: write a length of time like INTERVAL '10' SECOND
    ");
    assert_snapshot!(refused("SELECT COUNT(*) FROM TABLE(TUMBLE(__table(bid), descriptor(date_time), 5)) GROUP BY window_start"), @r"
    ERROR 42000: TUMBLE: SIZE 5 is no constant INTERVAL
    LINE 1: SELECT COUNT(*) FROM TABLE(TUMBLE(__table(bid), descriptor(date_time), 5)) GROUP BY window_start
                                       ^
    HINT: write a length of time like INTERVAL '10' SECOND
    ");
    assert_snapshot!(refused("SELECT COUNT(*) FROM bid GROUP BY TUMBLE(date_time, INTERVAL '-1' SECOND)"), @r"
    ERROR 42000: TUMBLE: SIZE must be longer than 0 ms
    LINE 1: SELECT COUNT(*) FROM bid GROUP BY TUMBLE(date_time, INTERVAL '-1' SECOND)
                                              ^
    ");
    assert_snapshot!(refused("SELECT COUNT(*) FROM TABLE(TUMBLE(__table(bidd), descriptor(date_time), INTERVAL '2' SECOND)) GROUP BY window_start"), @r"
    ERROR 42P01: table or view bidd does not exist
    LINE 1: SELECT COUNT(*) FROM TABLE(TUMBLE(__table(bidd), descriptor(date_time), INTERVAL '2' SECOND)) GROUP BY window_start
                                                      ^
    HINT: did you mean bid?
    ");
}

#[test]
fn group_windows_are_checked() {
    assert_snapshot!(refused("SELECT HOP_START(date_time, INTERVAL '1' SECOND) FROM bid GROUP BY TUMBLE(date_time, INTERVAL '1' SECOND)"), @r"
    ERROR 42000: HOP_START(date_time, INTERVAL '1' SECOND) does not belong to TUMBLE(date_time, INTERVAL '1' SECOND)
    LINE 1: SELECT HOP_START(date_time, INTERVAL '1' SECOND) FROM bid GROUP BY TUMBLE(date_time, INTERVAL '1' SECOND)
                   ^
    HINT: give it the arguments of the window in GROUP BY
    ");
    assert_snapshot!(refused("SELECT TUMBLE_START(date_time, INTERVAL '1' SECOND) FROM bid"), @r"
    ERROR 42000: TUMBLE_START without GROUP BY TUMBLE(…)
    LINE 1: SELECT TUMBLE_START(date_time, INTERVAL '1' SECOND) FROM bid
                   ^
    HINT: group by TUMBLE(…) with the same arguments
    ");
    assert_snapshot!(refused("SELECT TUMBLE_PROCTIME(date_time, INTERVAL '1' SECOND) FROM bid GROUP BY TUMBLE(date_time, INTERVAL '1' SECOND)"), @r"
    ERROR 0A000: TUMBLE_PROCTIME: processing time is not supported
    LINE 1: SELECT TUMBLE_PROCTIME(date_time, INTERVAL '1' SECOND) FROM bid GROUP BY TUMBLE(date_time, INTERVAL '1' SECOND)
                   ^
    HINT: windows are cut over event time: use the ROWTIME function
    ");
    assert_snapshot!(refused("SELECT COUNT(*) FROM bid GROUP BY price / 10, SESSION(date_time, INTERVAL '1' SECOND)"), @r"
    ERROR 0A000: GROUP BY price / 10 beside a SESSION
    LINE 1: SELECT COUNT(*) FROM bid GROUP BY price / 10, SESSION(date_time, INTERVAL '1' SECOND)
                                                          ^
    HINT: sessions are those of columns: compute it in a subquery in FROM, and group by its name
    ");
}

#[test]
fn constants_are_computed_at_once_and_may_fail() {
    assert_snapshot!(refused("SELECT 9223372036854775807 + 1"), @r"
    ERROR 22003: bigint out of range
    DETAIL: It is 9223372036854775807 + 1.
    ");
    assert_snapshot!(refused("SELECT 2147483647 + 1 FROM bid"), @r"
    ERROR 22003: integer out of range
    DETAIL: It is 2147483647 + 1.
    ");
    assert_snapshot!(refused("SELECT 1 / 0"), @r"ERROR 22012: division by zero");
}

fn bound(table: Table) -> Result<Table, SqlError> {
    let (catalog, options) = (Catalog::new(), PlannerOptions::default());
    Planner::new(&catalog, &options, functions()).bind_table(table)
}

fn table_error(table: Table) -> String {
    bound(table).expect_err("the table is wrong").render("")
}

#[test]
fn computed_columns_get_the_types_of_their_expressions() {
    let columns = vec![
        column("a", DataType::Int32),
        computed("b", "a + 1"),
        computed("c", "0.5 * a"),
        metadata("m", DataType::Utf8, "path"),
        computed("d", "upper(m)"),
    ];
    let table = bound(table("t", columns)).expect("the table is right");
    let types: Vec<DataType> = table.columns.iter().map(|c| c.data_type.clone()).collect();
    let decimal = DataType::Decimal128(12, 1);
    assert_eq!(types, [DataType::Int32, DataType::Int32, decimal, DataType::Utf8, DataType::Utf8]);
}

#[test]
fn definitions_are_checked() {
    let one = || vec![column("a", DataType::Int32), column("ts", timestamp(TimeUnit::Millisecond))];
    let with = |sql: &str| table("t", one().into_iter().chain([computed("b", sql)]).collect());
    assert_snapshot!(table_error(with("aa + 1")), @r"
    ERROR 42703: column aa does not exist
    DETAIL: in computed column b of table t
    HINT: did you mean a?
    ");
    assert_snapshot!(table_error(with("SUM(a)")), @r"
    ERROR 42000: SUM(a) is no expression over one row
    DETAIL: in computed column b of table t
    HINT: aggregates, subqueries and OVER are not allowed here
    ");
    assert_snapshot!(table_error(table("t", one().into_iter().chain(one()).collect())), @r"ERROR 42701: table t: column a is defined twice");
    assert_snapshot!(table_error(table("t", vec![computed("b", "1")])), @r"ERROR 42000: table t has no physical column");
    assert_snapshot!(table_error(watermarked(table("t", one()), "tz", "ts")), @r"
    ERROR 42703: column tz does not exist
    DETAIL: in WATERMARK FOR of table t
    HINT: did you mean ts?
    ");
    assert_snapshot!(table_error(watermarked(table("t", one()), "a", "a")), @r"
    ERROR 42804: WATERMARK FOR a: the column is INT
    HINT: event time is a TIMESTAMP(p) or TIMESTAMP_LTZ(p) with p from 0 to 3; write TIMESTAMP(3)
    ");
    assert_snapshot!(table_error(watermarked(table("t", one()), "ts", "a")), @r"
    ERROR 42804: WATERMARK FOR ts: the expression is INT, not a TIMESTAMP
    HINT: write for example ts - INTERVAL '5' SECOND
    ");
    let micros = vec![column("ts", timestamp(TimeUnit::Microsecond))];
    assert_snapshot!(table_error(watermarked(table("t", micros), "ts", "ts")), @r"
    ERROR 42804: WATERMARK FOR ts: the column is TIMESTAMP(6)
    HINT: event time is a TIMESTAMP(p) or TIMESTAMP_LTZ(p) with p from 0 to 3; write TIMESTAMP(3)
    ");
    assert_snapshot!(table_error(Table { primary_key: vec!["x".into()], ..table("t", one()) }), @r"ERROR 42703: table t: PRIMARY KEY column x does not exist");
}

#[test]
fn primary_key_columns_are_not_null() {
    let table = Table { primary_key: vec!["a".into()], ..table("t", vec![column("a", DataType::Int32)]) };
    assert!(!bound(table).expect("the table is right").columns[0].nullable);
}

fn view(name: &str, columns: &[&str], sql: &str) -> View {
    let columns = columns.iter().map(|c| (*c).to_owned()).collect();
    View { name: name.into(), columns, sql: sql.into(), dialect: Dialect::Flink, comment: None, temporary: false }
}

fn select(views: Vec<View>, sql: &str) -> Result<String, String> {
    let mut catalog = catalog(vec![bid()]);
    for view in views {
        catalog.create(Object::View(Arc::new(view)), false).expect("names differ");
    }
    let options = PlannerOptions::default();
    let bound = Planner::new(&catalog, &options, functions()).bind_query(&query(sql));
    bound.map(|b| b.plan.display_indent().to_string()).map_err(|e| e.render(sql))
}

#[test]
fn views_are_bound_where_they_stand() {
    let cheap = || view("cheap", &["id", "cost"], "SELECT auction, price FROM bid WHERE price < 5");
    assert_snapshot!(select(vec![cheap()], "SELECT cost + 1 FROM cheap AS c WHERE c.id = 3").expect("bound"), @r"
    Projection: c.cost + CAST(Int32(1) AS Int64) AS EXPR$0
      Filter: c.id = CAST(Int32(3) AS Int64)
        SubqueryAlias: c
          SubqueryAlias: cheap
            Projection: bid.auction AS id, bid.price AS cost
              Projection: bid.auction, bid.price
                Filter: bid.price < CAST(Int32(5) AS Int64)
                  TableScan: bid
    ");
    assert_snapshot!(select(vec![cheap()], "SELECT auction FROM cheap").expect_err("renamed"), @r"
    ERROR 42703: column auction does not exist
    LINE 1: SELECT auction FROM cheap
                   ^
    HINT: columns are: id, cost
    ");
    let broken = view("broken", &[], "SELECT nothing FROM bid");
    assert_snapshot!(select(vec![broken], "SELECT * FROM broken").expect_err("unknown column"), @r"
    ERROR 42703: column nothing does not exist
    LINE 1: SELECT * FROM broken
                          ^
    DETAIL: in the definition of view broken
    HINT: columns are: auction, bidder, price, channel, url, date_time, extra
    ");
    let itself = view("itself", &[], "SELECT * FROM itself");
    assert_snapshot!(select(vec![itself], "SELECT * FROM itself").expect_err("no end"), @r"
    ERROR 42000: view itself is defined by itself
    LINE 1: SELECT * FROM itself
                          ^
    DETAIL: in the definition of view itself
    ");
}

#[test]
fn a_view_has_as_many_names_as_columns() {
    let (catalog, options) = (catalog(vec![bid()]), PlannerOptions::default());
    let planner = Planner::new(&catalog, &options, functions());
    let sql = "SELECT auction, price FROM bid";
    let error = planner.bind_view(view("v", &["a"], sql), &query(sql)).expect_err("two columns");
    assert_snapshot!(error, @r"view v names 1 columns, its query has 2");
}

#[test]
fn integer_literals_are_int_where_they_fit() {
    let schema = |sql: &str| {
        let (catalog, options) = (catalog(vec![bid()]), PlannerOptions::default());
        let bound = Planner::new(&catalog, &options, functions()).bind_query(&query(sql)).expect("bound");
        let text = |f: &Arc<arrow::datatypes::Field>| format!("{} {}", f.name(), f.data_type());
        bound.schema().fields().iter().map(text).collect::<Vec<_>>().join(", ")
    };
    assert_snapshot!(schema("SELECT 1, 3000000000, price + 1 AS p, CASE WHEN price > 2 THEN 1 ELSE 0 END, 1.5 FROM bid"), @r"EXPR$0 Int32, EXPR$1 Int64, p Int64, EXPR$3 Int32, EXPR$4 Decimal128(2, 1)");
    assert_snapshot!(schema("SELECT COUNT(*) AS n, SUM(price) AS s, AVG(price) AS a, MIN(channel) AS m, AVG(0.5 * price) AS d FROM bid"), @r"n Int64, s Int64, a Int64, m Utf8, d Decimal128(38, 6)");
    assert_snapshot!(schema("VALUES (1, 'a'), (2, NULL)"), @r"column1 Int32, column2 Utf8");
}
