use crate::fixtures::{dataflow, dataflow_on_shards, explained, on_shards};
use crate::statement::ExplainStage;
use insta::assert_snapshot;

fn changes(sql: &str) -> String {
    explained(sql, &on_shards(2), ExplainStage::Changelog)
}

#[test]
fn a_bound_on_the_number_is_a_top_n() {
    let sql = "SELECT auction, price, rn FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price DESC, date_time) AS rn FROM bid) WHERE rn <= 10";
    assert_snapshot!(dataflow_on_shards(sql), @r"
    Sink #3 result key (auction, rn)
      Calc #2 [auction@0 AS auction, price@1 AS price, rank@2 AS rn]
        TopN #1 row_number 1..10 by (auction) order (price desc, date_time)
          [exchange by (auction)] Source #0 bid [auction, price, date_time]
    ");
    assert_snapshot!(changes(sql), @r"
    #3 Sink: retract, key (auction, rn): a row leaves the first 10 when another comes before it
    #2 Calc: retract, key (auction, rn): a row leaves the first 10 when another comes before it
    #1 TopN: retract, key (auction, rank): a row leaves the first 10 when another comes before it
    #0 Source: append-only: rows of bid are only inserted
    ");
}

#[test]
fn the_first_row_of_a_partition_has_its_key() {
    assert_snapshot!(dataflow("SELECT bidder, auction, price FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY bidder, auction ORDER BY date_time DESC) AS rn FROM bid) WHERE rn = 1"), @r"
    Sink #3 result key (bidder, auction)
      Calc #2 [bidder@1 AS bidder, auction@0 AS auction, price@2 AS price]
        TopN #1 row_number 1..1 by (bidder, auction) order (date_time desc)
          [exchange by (bidder, auction)] Source #0 bid [auction, bidder, price, date_time]
    ");
    assert_snapshot!(dataflow("SELECT DISTINCT ON (auction) auction, price FROM bid ORDER BY auction, price NULLS LAST"), @r"
    Sink #2 result key (auction)
      TopN #1 row_number 1..1 by (auction) order (price nulls last)
        [exchange by (auction)] Source #0 bid [auction, price]
    ");
}

#[test]
fn ranks_are_no_key_and_what_else_is_asked_comes_after() {
    assert_snapshot!(dataflow("SELECT price FROM (SELECT *, RANK() OVER (PARTITION BY auction ORDER BY price + 1) AS r FROM bid) WHERE r BETWEEN 2 AND 4 AND price > 7 AND r <> 3 AND auction = 5"), @r"
    Sink #4 result
      Calc #3 [price@0 AS price] where price@0 > 7 AND rank@1 != 3
        TopN #2 rank 2..4 by (auction) order (key2)
          [exchange by (auction)] Calc #1 [auction@0 AS auction, price@1 AS price, price@1 + 1 AS key2]
            Source #0 bid [auction, price] where auction@0 = 5
    ");
}

#[test]
fn without_a_partition_every_shard_selects_its_first_rows() {
    let sql = "SELECT auction FROM (SELECT auction, price FROM bid ORDER BY price DESC LIMIT 3 OFFSET 1)";
    assert_snapshot!(dataflow_on_shards(sql), @r"
    Sink #3 result
      TopN #2 row_number 2..4 by () order (price desc)
        [exchange by ()] TopN #1 local row_number 1..4 by () order (price desc)
          Source #0 bid [auction, price]
    ");
    assert_snapshot!(dataflow_on_shards("SELECT channel FROM (SELECT channel, COUNT(*) AS n FROM bid GROUP BY channel ORDER BY n LIMIT 3)"), @r"
    Sink #4 result key (channel)
      TopN #3 row_number 1..3 by () order (count(*))
        [exchange by ()] GroupAggregate #2 global by (channel) [count(*) AS count(*)]
          [exchange by (channel)] GroupAggregate #1 local by (channel) [count(*) AS count(*)]
            Source #0 bid [channel]
    ");
}

#[test]
fn the_first_rows_of_windows_wait_until_they_close() {
    let sql = "SELECT auction, price, window_end FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY price DESC) AS rn FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(date_time), INTERVAL '10' SECOND))) WHERE rn <= 3";
    assert_snapshot!(dataflow(sql), @r"
    Sink #4 result
      TopN #3 row_number 1..3 by (window_start, window_end) order (price desc) when window_end closes
        [exchange by (window_start, window_end)] Calc #2 [auction@0 AS auction, price@1 AS price, window_start@3 AS window_start, window_end@4 AS window_end]
          WindowAssign #1 tumble(size=10000ms, offset=0ms) on date_time
            Source #0 bid [auction, price, date_time] watermark date_time@2 - INTERVAL '4 seconds'
    ");
    assert_snapshot!(changes(sql), @r"
    #4 Sink: append-only: the first 3 of a window are handed out once, when the window closes
    #3 TopN: append-only: the first 3 of a window are handed out once, when the window closes
    #2 Calc: append-only: rows of bid are only inserted
    #1 WindowAssign: append-only, event time (date_time, window_time): rows of bid are only inserted
    #0 Source: append-only, event time (date_time): rows of bid are only inserted
    ");
}
