use super::rules;
use crate::fixtures::{explained, on_shards};
use crate::statement::ExplainStage;
use datafusion_optimizer::Optimizer;
use insta::assert_snapshot;

fn optimized(sql: &str) -> String {
    explained(sql, &on_shards(1), ExplainStage::Optimized)
}

/// Every rule of DataFusion is either used or named as left out, so that a new version makes somebody decide.
#[test]
fn every_rule_is_used_or_left_out_with_a_reason() {
    let used: Vec<String> = rules().iter().map(|r| r.name().to_owned()).collect();
    let left_out: Vec<String> =
        Optimizer::new().rules.iter().map(|r| r.name().to_owned()).filter(|n| !used.contains(n)).collect();
    assert_snapshot!(left_out.join("\n"), @r"
    rewrite_set_comparison
    optimize_unions
    unions_to_filter
    replace_distinct_aggregate
    eliminate_join
    eliminate_limit
    propagate_empty_relation
    filter_null_join_keys
    push_down_limit
    single_distinct_aggregation_to_group_by
    eliminate_group_by_constant
    extract_leaf_expressions
    push_down_leaf_projections
    ");
}

#[test]
fn a_narrow_table_is_joined_first_with_the_only_one_that_it_meets() {
    let sql = "SELECT a.price, d.extra FROM bid AS a JOIN bid AS b ON a.auction = b.bidder JOIN bid AS c ON b.auction = c.bidder \
               JOIN bid AS d ON c.auction = d.bidder AND a.price < d.price WHERE d.channel = 'x' OR d.channel IN ('y', 'z')";
    assert_snapshot!(optimized(sql), @r#"
    Projection: a.price, d.extra
      Inner Join: a.auction = b.bidder Filter: a.price < d.price
        SubqueryAlias: a
          TableScan: bid projection=[auction, price]
        Projection: b.bidder, d.price, d.extra
          Inner Join: b.auction = c.bidder
            SubqueryAlias: b
              TableScan: bid projection=[auction, bidder]
            Projection: c.bidder, d.price, d.extra
              Inner Join: c.auction = d.bidder
                SubqueryAlias: c
                  TableScan: bid projection=[auction, bidder]
                SubqueryAlias: d
                  Projection: bid.bidder, bid.price, bid.extra
                    Filter: bid.channel = Utf8("x") OR bid.channel = Utf8("y") OR bid.channel = Utf8("z")
                      TableScan: bid projection=[bidder, price, channel, extra]
    "#);
    // The first table has it already, or gets it.
    let sql = "SELECT a.price FROM bid AS a JOIN bid AS b ON a.auction = b.bidder JOIN bid AS c ON b.auction = c.bidder \
               WHERE a.channel = 'x' AND c.channel = 'y'";
    assert_snapshot!(optimized(sql), @r#"
    Projection: a.price
      Inner Join: b.auction = c.bidder
        Projection: a.price, b.auction
          Inner Join: a.auction = b.bidder
            SubqueryAlias: a
              Projection: bid.auction, bid.price
                Filter: bid.channel = Utf8("x")
                  TableScan: bid projection=[auction, price, channel]
            SubqueryAlias: b
              TableScan: bid projection=[auction, bidder]
        SubqueryAlias: c
          Projection: bid.bidder
            Filter: bid.channel = Utf8("y")
              TableScan: bid projection=[bidder, channel]
    "#);
    let sql = "SELECT a.price FROM bid AS a JOIN bid AS b ON a.auction = b.bidder JOIN bid AS c ON a.bidder = c.bidder \
               JOIN bid AS d ON b.price = d.price WHERE c.channel = 'y' AND d.channel = 'z'";
    assert_snapshot!(optimized(sql), @r#"
    Projection: a.price
      Inner Join: b.price = d.price
        Projection: a.price, b.price
          Inner Join: a.auction = b.bidder
            Projection: a.auction, a.price
              Inner Join: a.bidder = c.bidder
                SubqueryAlias: a
                  TableScan: bid projection=[auction, bidder, price]
                SubqueryAlias: c
                  Projection: bid.bidder
                    Filter: bid.channel = Utf8("y")
                      TableScan: bid projection=[bidder, channel]
            SubqueryAlias: b
              TableScan: bid projection=[bidder, price]
        SubqueryAlias: d
          Projection: bid.price
            Filter: bid.channel = Utf8("z")
              TableScan: bid projection=[price, channel]
    "#);
}

#[test]
fn joins_that_times_bound_stay_in_their_order() {
    let sql = "SELECT a.price FROM bid AS a JOIN bid AS b ON a.auction = b.bidder AND a.date_time = b.date_time \
               JOIN bid AS c ON b.auction = c.bidder WHERE c.channel = 'x'";
    assert_snapshot!(optimized(sql), @r#"
    Projection: a.price
      Inner Join: b.auction = c.bidder
        Projection: a.price, b.auction
          Inner Join: a.auction = b.bidder, a.date_time = b.date_time
            SubqueryAlias: a
              TableScan: bid projection=[auction, price, date_time]
            SubqueryAlias: b
              TableScan: bid projection=[auction, bidder, date_time]
        SubqueryAlias: c
          Projection: bid.bidder
            Filter: bid.channel = Utf8("x")
              TableScan: bid projection=[bidder, channel]
    "#);
}

#[test]
fn filters_pass_below_window_columns_and_unused_columns_go() {
    assert_snapshot!(optimized("SELECT auction, window_end FROM TABLE(TUMBLE(__table(bid), descriptor(date_time), INTERVAL '1' SECOND)) WHERE price > 3 AND window_start > TIMESTAMP '2020-01-01 00:00:00'"), @r"
    Projection: bid.auction, window_end
      Filter: window_start > TimestampMillisecond(1577836800000, None)
        Projection: bid.auction, window_start, window_end
          WindowAssign: tumble size=1000ms offset=0ms on bid.date_time
            Filter: bid.price > Int64(3)
              TableScan: bid projection=[auction, price, date_time]
    ");
}

#[test]
fn count_distinct_stays_one_aggregate() {
    assert_snapshot!(optimized("SELECT channel, COUNT(DISTINCT bidder) AS n FROM bid GROUP BY channel"), @r"
    Projection: bid.channel, count(DISTINCT bid.bidder) AS n
      Aggregate: groupBy=[[bid.channel]], aggr=[[count(DISTINCT bid.bidder)]]
        TableScan: bid projection=[bidder, channel]
    ");
}

#[test]
fn a_constant_key_stays_a_key() {
    assert_snapshot!(optimized("SELECT COUNT(*) AS n FROM bid GROUP BY 'all'"), @r#"
    Projection: count(Int64(1)) AS count(*) AS n
      Aggregate: groupBy=[[Utf8("all")]], aggr=[[count(Int32(1)) AS count(Int64(1))]]
        TableScan: bid projection=[]
    "#);
}
