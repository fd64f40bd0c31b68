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
