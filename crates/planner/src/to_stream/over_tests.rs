use crate::fixtures::{dataflow, explained, on_shards, refused};
use crate::statement::ExplainStage;
use insta::assert_snapshot;

#[test]
fn functions_of_one_partition_and_order_are_one_node() {
    let sql = "SELECT auction, SUM(price) OVER (PARTITION BY auction ORDER BY date_time) AS so_far, LAG(price, 2) OVER (PARTITION BY auction ORDER BY date_time) AS before FROM bid";
    assert_snapshot!(dataflow(sql), @r"
    Sink #3 result
      Calc #2 [auction@0 AS auction, sum@1 AS so_far, lag@2 AS before]
        Over #1 by (auction) order (date_time) [sum(price) range unbounded preceding..current row, lag(price, 2)]
          [exchange by (auction)] Source #0 bid [auction, price, date_time]
    ");
    assert_snapshot!(explained(sql, &on_shards(1), ExplainStage::Changelog), @r"
    #3 Sink: retract: what OVER tells of a row changes when rows around it come or go
    #2 Calc: retract: what OVER tells of a row changes when rows around it come or go
    #1 Over: retract: what OVER tells of a row changes when rows around it come or go
    #0 Source: append-only: rows of bid are only inserted
    ");
}

#[test]
fn several_partitions_stand_above_each_other() {
    assert_snapshot!(dataflow("SELECT auction, SUM(price) OVER (PARTITION BY auction) AS one, SUM(price) OVER (PARTITION BY bidder) AS two, ROW_NUMBER() OVER (ORDER BY date_time) AS rn FROM bid"), @r"
    Sink #5 result key (rn)
      Calc #4 [auction@0 AS auction, sum@1 AS one, sum@2 AS two, row_number@3 AS rn]
        Over #3 by () order (date_time) [row_number()]
          [exchange by ()] Over #2 by (bidder) order () [sum(price) rows unbounded preceding..unbounded following]
            [exchange by (bidder)] Over #1 by (auction) order () [sum(price) rows unbounded preceding..unbounded following]
              [exchange by (auction)] Source #0 bid [auction, bidder, price, date_time]
    ");
}

#[test]
fn a_bounded_number_beside_other_functions_is_no_top_n() {
    assert_snapshot!(dataflow("SELECT auction, rn FROM (SELECT auction, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY date_time DESC) AS rn, MAX(price) OVER (PARTITION BY auction ORDER BY date_time DESC ROWS BETWEEN 1 PRECEDING AND 2 FOLLOWING) AS top FROM bid) AS f WHERE rn <= 3 AND top > 10"), @r"
    Sink #3 result key (auction, rn)
      Calc #2 [auction@0 AS auction, row_number@1 AS rn] where row_number@1 <= 3 AND max@2 > 10
        Over #1 by (auction) order (date_time desc) [row_number(), max(price) rows 1 preceding..2 following]
          [exchange by (auction)] Source #0 bid [auction, price, date_time]
    ");
}

#[test]
fn what_has_no_meaning_is_refused() {
    assert_snapshot!(refused("SELECT SUM(price) OVER (ORDER BY date_time RANGE BETWEEN 5 PRECEDING AND CURRENT ROW) FROM bid"), @r"
    ERROR 42804: 5 is not a distance in the ORDER BY of this RANGE
    HINT: write an interval: RANGE BETWEEN INTERVAL '10' MINUTE PRECEDING AND CURRENT ROW; ROWS counts rows
    ");
    assert_snapshot!(refused("SELECT LAG(price, 1, 'none') OVER (ORDER BY date_time) FROM bid"), @r"
    ERROR 42804: the default of LAG or LEAD is of type STRING, the value of type BIGINT
    HINT: CAST one to the type of the other
    ");
    assert_snapshot!(refused("SELECT ARRAY_AGG(DISTINCT price) OVER (ORDER BY date_time) FROM bid"), @r"
    ERROR 0A000: ARRAY_AGG(DISTINCT …) with OVER
    HINT: leave DISTINCT out, or aggregate with GROUP BY and join with the result
    ");
}
