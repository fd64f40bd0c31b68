use crate::fixtures::{dataflow, dataflow_on_shards, explained, on_shards};
use crate::statement::ExplainStage;
use crate::{Emit, PlannerOptions};
use insta::assert_snapshot;

#[test]
fn columns_are_picked_by_the_source() {
    assert_snapshot!(dataflow("SELECT auction, bidder, price, date_time, extra FROM bid"), @r"
    Sink #1 result
      Source #0 bid [auction, bidder, price, date_time, extra]
    ");
}

#[test]
fn a_projection_is_one_calc_and_decimals_are_exact() {
    assert_snapshot!(dataflow("SELECT auction, bidder, 0.908 * price AS price, date_time, extra FROM bid"), @r"
    Sink #2 result
      Calc #1 [auction@0 AS auction, bidder@1 AS bidder, 0.908 * CAST(price@2 AS Decimal128(20, 0)) AS price, date_time@3 AS date_time, extra@4 AS extra]
        Source #0 bid [auction, bidder, price, date_time, extra]
    ");
}

#[test]
fn a_filter_goes_into_the_source() {
    assert_snapshot!(dataflow("SELECT auction, price FROM bid WHERE auction % 123 = 0"), @r"
    Sink #1 result
      Source #0 bid [auction, price] where auction@0 % 123 = 0
    ");
    assert_snapshot!(dataflow("SELECT auction FROM bid WHERE url = 'x' AND price + 1 > 2"), @r"
    Sink #1 result
      Source #0 bid [auction] where url@2 = x AND price@1 + 1 > 2
    ");
}

#[test]
fn what_is_used_twice_is_computed_once() {
    assert_snapshot!(dataflow("SELECT price * 0.5 AS x, price * 0.5 + 1 AS y FROM bid"), @r"
    Sink #3 result
      Calc #2 [__common_expr_1@0 AS x, __common_expr_1@0 + 1 AS y]
        Calc #1 [CAST(price@0 AS Decimal128(20, 0)) * 0.5 AS __common_expr_1]
          Source #0 bid [price]
    ");
    assert_snapshot!(dataflow("SELECT auction, bidder, 0.908 * price AS price, CASE WHEN EXTRACT(HOUR FROM date_time) >= 8 AND EXTRACT(HOUR FROM date_time) <= 18 THEN 'dayTime' WHEN EXTRACT(HOUR FROM date_time) <= 6 OR EXTRACT(HOUR FROM date_time) >= 20 THEN 'nightTime' ELSE 'otherTime' END AS bid_time_type, CHAR_LENGTH(extra) - CHAR_LENGTH(REPLACE(extra, 'c', '')) AS c_counts FROM bid WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000"), @r"
    Sink #4 result
      Calc #3 [auction@1 AS auction, bidder@2 AS bidder, __common_expr_4@5 AS price, CASE WHEN __common_expr_1@0 >= 8 AND __common_expr_1@0 <= 18 THEN dayTime WHEN __common_expr_1@0 <= 6 OR __common_expr_1@0 >= 20 THEN nightTime ELSE otherTime END AS bid_time_type, character_length(extra@4) - character_length(replace(extra@4, c, )) AS c_counts]
        Calc #2 [extract(HOUR, date_time@4) AS __common_expr_1, auction@1 AS auction, bidder@2 AS bidder, price@3 AS price, extra@5 AS extra, __common_expr_4@0 AS __common_expr_4] where __common_expr_4@0 > 1000000.000 AND __common_expr_4@0 < 50000000.000
          Calc #1 [0.908 * CAST(price@2 AS Decimal128(20, 0)) AS __common_expr_4, auction@0 AS auction, bidder@1 AS bidder, price@2 AS price, date_time@3 AS date_time, extra@4 AS extra]
            Source #0 bid [auction, bidder, price, date_time, extra]
    ");
}

#[test]
fn nested_projections_and_filters_become_one_calc() {
    assert_snapshot!(dataflow("SELECT a + 1 AS b FROM (SELECT price + 2 AS a, bidder FROM bid WHERE bidder > 3) WHERE bidder < 9"), @r"
    Sink #2 result
      Calc #1 [price@0 + 2 + 1 AS b]
        Source #0 bid [price] where bidder@0 > 3 AND bidder@0 < 9
    ");
}

#[test]
fn values_are_computed_at_planning_time() {
    assert_snapshot!(dataflow("SELECT 1 + 1, 'a'"), @r"
    Sink #1 result
      Values #0 1 rows
    ");
    assert_snapshot!(dataflow("VALUES (1, 'a'), (2, NULL)"), @r"
    Sink #1 result
      Values #0 2 rows
    ");
    assert_snapshot!(dataflow("SELECT auction FROM bid WHERE 1 = 0"), @r"
    Sink #1 result
      Values #0 0 rows
    ");
}

#[test]
fn union_all_has_the_common_type() {
    assert_snapshot!(dataflow("SELECT auction FROM bid UNION ALL SELECT v FROM plain"), @r"
    Sink #4 result
      Union #3 
        Source #0 bid [auction]
        Calc #2 [CAST(v@0 AS Int64) AS auction]
          Source #1 plain [v]
    ");
}

#[test]
fn union_is_distinct_over_union_all() {
    assert_snapshot!(dataflow("SELECT auction FROM bid UNION SELECT v FROM plain"), @r"
    Sink #5 result key (auction)
      GroupAggregate #4 single by (auction)
        [exchange by (auction)] Union #3 
          Source #0 bid [auction]
          Calc #2 [CAST(v@0 AS Int64) AS auction]
            Source #1 plain [v]
    ");
}

#[test]
fn equal_inputs_are_planned_once() {
    assert_snapshot!(dataflow("SELECT channel, COUNT(*) AS n FROM bid GROUP BY channel UNION ALL SELECT channel, COUNT(*) FROM bid GROUP BY channel"), @r"
    Sink #4 result
      Union #3 
        Calc #2 [channel@0 AS channel, count(*)@1 AS n]
          GroupAggregate #1 single by (channel) [count(*) AS count(*)]
            [exchange by (channel)] Source #0 bid [channel]
        Calc #2 (shared, see above)
    ");
}

#[test]
fn a_table_read_twice_is_one_source() {
    assert_snapshot!(dataflow("SELECT auction AS x FROM bid WHERE price > 5 UNION ALL SELECT bidder FROM bid WHERE price < 5"), @r"
    Sink #4 result
      Union #3 
        Calc #1 [auction@0 AS x] where price@2 > 5
          Source #0 bid [auction, bidder, price]
        Calc #2 [bidder@1 AS x] where price@2 < 5
          Source #0 (shared, see above)
    ");
}

#[test]
fn distinct_on_one_shard_and_on_several() {
    assert_snapshot!(dataflow("SELECT DISTINCT channel FROM bid"), @r"
    Sink #2 result key (channel)
      GroupAggregate #1 single by (channel)
        [exchange by (channel)] Source #0 bid [channel]
    ");
    assert_snapshot!(dataflow_on_shards("SELECT DISTINCT channel FROM bid"), @r"
    Sink #3 result key (channel)
      GroupAggregate #2 global by (channel)
        [exchange by (channel)] GroupAggregate #1 local by (channel)
          Source #0 bid [channel]
    ");
}

#[test]
fn a_grouping_on_one_shard() {
    assert_snapshot!(dataflow("SELECT auction, COUNT(*) AS total, COUNT(*) FILTER (WHERE price < 10000) AS low, MIN(price) AS min_price, MAX(price) AS max_price, AVG(price) AS avg_price, SUM(price) AS sum_price FROM bid GROUP BY auction"), @r"
    Sink #4 result key (auction)
      Calc #3 [auction@0 AS auction, count(*)@1 AS total, count(*) filter@2 AS low, min(price)@3 AS min_price, max(price)@4 AS max_price, avg(price)@5 AS avg_price, sum(price)@6 AS sum_price]
        GroupAggregate #2 single by (auction) [count(*) AS count(*), count(*) filter #1 AS count(*) filter, min(#2) AS min(price), max(#2) AS max(price), avg(#2) AS avg(price), sum(#2) AS sum(price)]
          [exchange by (auction)] Calc #1 [auction@0 AS auction, price@1 < 10000 AS filter1, price@1 AS price]
            Source #0 bid [auction, price]
    ");
}

#[test]
fn a_grouping_on_several_shards_is_local_and_global() {
    assert_snapshot!(dataflow_on_shards("SELECT auction, COUNT(*) AS total, MAX(price) AS max_price FROM bid GROUP BY auction"), @r"
    Sink #4 result key (auction)
      Calc #3 [auction@0 AS auction, count(*)@1 AS total, max(price)@2 AS max_price]
        GroupAggregate #2 global by (auction) [count(*) AS count(*), max(#1) AS max(price)]
          [exchange by (auction)] GroupAggregate #1 local by (auction) [count(*) AS count(*), max(#1) AS max(price)]
            Source #0 bid [auction, price]
    ");
}

#[test]
fn distinct_aggregates_share_counted_sets_and_have_a_phase_of_their_own() {
    assert_snapshot!(dataflow_on_shards("SELECT channel, MAX(date_trunc('minute', date_time)) AS m, COUNT(*) AS total, COUNT(*) FILTER (WHERE price < 10000) AS rank1, COUNT(DISTINCT bidder) AS bidders, COUNT(DISTINCT bidder) FILTER (WHERE price < 10000) AS rank1_bidders, COUNT(DISTINCT auction) AS auctions FROM bid GROUP BY channel"), @r"
    Sink #6 result key (channel)
      Calc #5 [channel@0 AS channel, max(argument1)@1 AS m, count(*)@2 AS total, count(*) filter@3 AS rank1, count(distinct bidder)@4 AS bidders, count(distinct bidder) filter@5 AS rank1_bidders, count(distinct auction)@6 AS auctions]
        GroupAggregate #4 global by (channel) [max(#1) AS max(argument1), count(*) AS count(*), count(*) filter #2 AS count(*) filter, count(distinct #3) AS count(distinct bidder), count(distinct #3) filter #2 AS count(distinct bidder) filter, count(distinct #4) AS count(distinct auction)]
          [exchange by (channel)] GroupAggregate #3 distinct by (channel) [max(#1) AS max(argument1), count(*) AS count(*), count(*) filter #2 AS count(*) filter, count(distinct #3) AS count(distinct bidder), count(distinct #3) filter #2 AS count(distinct bidder) filter, count(distinct #4) AS count(distinct auction)]
            [exchange by (channel, set, set1_0, set2_0)] GroupAggregate #2 local by (channel) [max(#1) AS max(argument1), count(*) AS count(*), count(*) filter #2 AS count(*) filter, count(distinct #3) AS count(distinct bidder), count(distinct #3) filter #2 AS count(distinct bidder) filter, count(distinct #4) AS count(distinct auction)]
              Calc #1 [channel@3 AS channel, date_trunc(minute, date_time@4) AS argument1, price@2 < 10000 AS __common_expr_1, bidder@1 AS bidder, auction@0 AS auction]
                Source #0 bid [auction, bidder, price, channel, date_time]
    ");
}

#[test]
fn having_is_a_calc_above() {
    assert_snapshot!(dataflow("SELECT auction FROM bid GROUP BY auction HAVING COUNT(*) > 3"), @r"
    Sink #3 result key (auction)
      Calc #2 [auction@0 AS auction] where count(*)@1 > 3
        GroupAggregate #1 single by (auction) [count(*) AS count(*)]
          [exchange by (auction)] Source #0 bid [auction]
    ");
}

#[test]
fn a_total_has_no_key_columns() {
    assert_snapshot!(dataflow("SELECT COUNT(*) AS n FROM bid"), @r"
    Sink #3 result key ()
      Calc #2 [count(*)@0 AS n]
        GroupAggregate #1 single by () [count(*) AS count(*)]
          [exchange by ()] Source #0 bid []
    ");
}

#[test]
fn an_aggregate_over_changes_is_single_on_any_number_of_shards() {
    assert_snapshot!(dataflow_on_shards("SELECT n, COUNT(*) AS auctions FROM (SELECT auction, COUNT(*) AS n FROM bid GROUP BY auction) GROUP BY n"), @r"
    Sink #6 result key (n)
      Calc #5 [n@0 AS n, count(*)@1 AS auctions]
        GroupAggregate #4 single by (n) [count(*) AS count(*)]
          [exchange by (n)] Calc #3 [count(*)@1 AS n]
            GroupAggregate #2 global by (auction) [count(*) AS count(*)]
              [exchange by (auction)] GroupAggregate #1 local by (auction) [count(*) AS count(*)]
                Source #0 bid [auction]
    ");
}

#[test]
fn equal_aggregates_and_never_null_counts_are_computed_once() {
    assert_snapshot!(dataflow("SELECT k, SUM(v), SUM(v), COUNT(1), COUNT(*) FROM plain GROUP BY k"), @r"
    Sink #3 result key (k)
      Calc #2 [k@0 AS k, sum(v)@1 AS EXPR$1, sum(v)@1 AS EXPR$2, count(*)@2 AS EXPR$3, count(*)@2 AS EXPR$4]
        GroupAggregate #1 single by (k) [sum(#1) AS sum(v), count(*) AS count(*)]
          [exchange by (k)] Source #0 plain [k, v]
    ");
}

#[test]
fn the_change_mode_is_told_with_its_reason() {
    let sql = "SELECT channel, COUNT(*) AS n FROM bid WHERE price > 5 GROUP BY channel";
    assert_snapshot!(explained(sql, &on_shards(2), ExplainStage::Changelog), @r"
    #4 Sink: retract, key (channel): a group of GROUP BY channel changes its result when more rows come
    #3 Calc: retract, key (channel): a group of GROUP BY channel changes its result when more rows come
    #2 GroupAggregate: retract, key (channel): a group of GROUP BY channel changes its result when more rows come
    #1 GroupAggregate: append-only: partial results are added up
    #0 Source: append-only: rows of bid are only inserted
    ");
    assert_snapshot!(explained("SELECT DISTINCT channel FROM bid", &on_shards(1), ExplainStage::Changelog), @r"
    #2 Sink: append-only, key (channel): a distinct row appears once and stays, because the input is append-only
    #1 GroupAggregate: append-only, key (channel): a distinct row appears once and stays, because the input is append-only
    #0 Source: append-only: rows of bid are only inserted
    ");
}

#[test]
fn a_hop_aggregate_closes_with_the_watermark() {
    assert_snapshot!(dataflow("SELECT auction, COUNT(*) AS num, window_start, window_end FROM TABLE(HOP(__table(bid), descriptor(date_time), INTERVAL '2' SECOND, INTERVAL '10' SECOND)) GROUP BY auction, window_start, window_end"), @r"
    Sink #3 result key (auction, window_end)
      Calc #2 [auction@0 AS auction, count(*)@1 AS num, window_start@2 AS window_start, window_end@3 AS window_end]
        WindowAggregate #1 single hop(slide=2000ms, size=10000ms, offset=0ms) by (auction) [count(*) AS count(*)]
          [exchange by (auction)] Source #0 bid [auction, date_time] watermark date_time@1 - INTERVAL '4 seconds'
    ");
    assert_snapshot!(dataflow_on_shards("SELECT auction, COUNT(*) AS num, window_start, window_end FROM TABLE(HOP(__table(bid), descriptor(date_time), INTERVAL '2' SECOND, INTERVAL '10' SECOND)) GROUP BY auction, window_start, window_end"), @r"
    Sink #4 result key (auction, window_end)
      Calc #3 [auction@0 AS auction, count(*)@1 AS num, window_start@2 AS window_start, window_end@3 AS window_end]
        WindowAggregate #2 global hop(slide=2000ms, size=10000ms, offset=0ms) by (auction) [count(*) AS count(*)]
          [exchange by (auction)] WindowAggregate #1 local hop(slide=2000ms, size=10000ms, offset=0ms) by (auction) [count(*) AS count(*)]
            Source #0 bid [auction, date_time] watermark date_time@1 - INTERVAL '4 seconds'
    ");
}

#[test]
fn a_tumble_aggregate_may_be_by_one_window_column_and_filters_go_below() {
    assert_snapshot!(dataflow("SELECT MAX(price) AS top_price, window_end AS w_end FROM TABLE(TUMBLE(__table(bid), descriptor(date_time), INTERVAL '10' SECOND)) WHERE price > 5 GROUP BY window_end"), @r"
    Sink #3 result key (w_end)
      Calc #2 [max(price)@0 AS top_price, window_end@2 AS w_end]
        WindowAggregate #1 single tumble(size=10000ms, offset=0ms) by () [max(#0) AS max(price)]
          [exchange by ()] Source #0 bid [price, date_time] where price@0 > 5 watermark date_time@1 - INTERVAL '4 seconds'
    ");
}

#[test]
fn a_filter_on_the_window_is_tested_on_the_result() {
    assert_snapshot!(dataflow("SELECT window_start, COUNT(*) AS n FROM TABLE(TUMBLE(__table(bid), descriptor(date_time), INTERVAL '10' SECOND)) GROUP BY window_start, window_end HAVING window_start > TIMESTAMP '2020-01-01 00:00:00'"), @r"
    Sink #3 result key (window_start)
      Calc #2 [window_start@1 AS window_start, count(*)@0 AS n] where window_start@1 > 1577836800000
        WindowAggregate #1 single tumble(size=10000ms, offset=0ms) by () [count(*) AS count(*)]
          [exchange by ()] Source #0 bid [date_time] watermark date_time@0 - INTERVAL '4 seconds'
    ");
}

#[test]
fn the_older_spelling_is_the_same_plan() {
    assert_snapshot!(dataflow("SELECT TUMBLE_START(date_time, INTERVAL '1' MINUTE) AS s, TUMBLE_END(date_time, INTERVAL '1' MINUTE) AS e, TUMBLE_ROWTIME(date_time, INTERVAL '1' MINUTE) AS t, auction, COUNT(*) AS n FROM bid GROUP BY TUMBLE(date_time, INTERVAL '1' MINUTE), auction"), @r"
    Sink #3 result key (auction, e)
      Calc #2 [window_start@2 AS s, window_end@3 AS e, window_time@4 AS t, auction@0 AS auction, count(*)@1 AS n]
        WindowAggregate #1 single tumble(size=60000ms, offset=0ms) by (auction) [count(*) AS count(*)]
          [exchange by (auction)] Source #0 bid [auction, date_time] watermark date_time@1 - INTERVAL '4 seconds'
    ");
    assert_snapshot!(dataflow("SELECT HOP_END(date_time, INTERVAL '1' SECOND, INTERVAL '1' MINUTE) AS e, COUNT(*) AS n FROM bid GROUP BY HOP(date_time, INTERVAL '1' SECOND, INTERVAL '1' MINUTE)"), @r"
    Sink #3 result key (e)
      Calc #2 [window_end@2 AS e, count(*)@0 AS n]
        WindowAggregate #1 single hop(slide=1000ms, size=60000ms, offset=0ms) by () [count(*) AS count(*)]
          [exchange by ()] Source #0 bid [date_time] watermark date_time@0 - INTERVAL '4 seconds'
    ");
}

#[test]
fn a_window_over_the_result_of_a_window() {
    assert_snapshot!(dataflow("SELECT TUMBLE_START(w, INTERVAL '10' SECOND) AS s, MAX(n) AS m FROM (SELECT auction, TUMBLE_ROWTIME(date_time, INTERVAL '1' SECOND) AS w, COUNT(*) AS n FROM bid GROUP BY auction, TUMBLE(date_time, INTERVAL '1' SECOND)) GROUP BY TUMBLE(w, INTERVAL '10' SECOND)"), @r"
    Sink #5 result key (s)
      Calc #4 [window_start@1 AS s, max(n)@0 AS m]
        WindowAggregate #3 single tumble(size=10000ms, offset=0ms) by () [max(#0) AS max(n)]
          [exchange by ()] Calc #2 [count(*)@1 AS n, window_time@4 AS w]
            WindowAggregate #1 single tumble(size=1000ms, offset=0ms) by (auction) [count(*) AS count(*)]
              [exchange by (auction)] Source #0 bid [auction, date_time] watermark date_time@1 - INTERVAL '4 seconds'
    ");
}

#[test]
fn grouping_a_windows_results_by_the_window_closes_with_it() {
    assert_snapshot!(dataflow("WITH counts AS (SELECT auction, COUNT(*) AS num, window_start, window_end FROM TABLE(HOP(__table(bid), descriptor(date_time), INTERVAL '2' SECOND, INTERVAL '10' SECOND)) GROUP BY auction, window_start, window_end) SELECT MAX(num) AS top_num, window_start, window_end FROM counts GROUP BY window_start, window_end"), @r"
    Sink #5 result key (window_end)
      Calc #4 [max(count(*))@0 AS top_num, window_end@2 - INTERVAL '10 seconds' AS window_start, window_end@2 AS window_end]
        WindowAggregate #3 single tumble(size=2000ms, offset=0ms) by () [max(#0) AS max(count(*))]
          [exchange by ()] Calc #2 [count(*)@1 AS count(*), window_time@4 AS window_time]
            WindowAggregate #1 single hop(slide=2000ms, size=10000ms, offset=0ms) by (auction) [count(*) AS count(*)]
              [exchange by (auction)] Source #0 bid [auction, date_time] watermark date_time@1 - INTERVAL '4 seconds'
    ");
}

#[test]
fn distinct_windows_close_too() {
    assert_snapshot!(dataflow("SELECT DISTINCT window_start, window_end FROM TABLE(TUMBLE(__table(bid), descriptor(date_time), INTERVAL '10' SECOND))"), @r"
    Sink #3 result key (window_end)
      Calc #2 [window_start@0 AS window_start, window_end@1 AS window_end]
        WindowAggregate #1 single tumble(size=10000ms, offset=0ms) by ()
          [exchange by ()] Source #0 bid [date_time] watermark date_time@0 - INTERVAL '4 seconds'
    ");
}

#[test]
fn windows_without_aggregate_are_columns_and_need_no_watermark() {
    assert_snapshot!(dataflow("SELECT auction, window_start FROM TABLE(TUMBLE(__table(bid), descriptor(date_time), INTERVAL '10' SECOND))"), @r"
    Sink #3 result
      Calc #2 [auction@0 AS auction, window_start@2 AS window_start]
        WindowAssign #1 tumble(size=10000ms, offset=0ms) on date_time
          Source #0 bid [auction, date_time]
    ");
}

#[test]
fn windows_without_a_watermark_give_updates_and_a_warning() {
    assert_snapshot!(dataflow("SELECT k, COUNT(*) AS n, window_end FROM TABLE(TUMBLE(__table(plain), descriptor(ts), INTERVAL '1' SECOND)) GROUP BY k, window_start, window_end"), @r"
    Sink #5 result key (k, window_end)
      [exchange by (k, window_end)] Calc #4 [k@0 AS k, count(*)@3 AS n, window_end@2 AS window_end]
        GroupAggregate #3 single by (k, window_start, window_end) [count(*) AS count(*)]
          [exchange by (k, window_start, window_end)] Calc #2 [k@0 AS k, window_start@2 AS window_start, window_end@3 AS window_end]
            WindowAssign #1 tumble(size=1000ms, offset=0ms) on ts
              Source #0 plain [k, ts]
    WARNING: windows over ts never close, because no watermark follows it: results are handed out as they are and corrected later
    ");
}

#[test]
fn emit_on_update_gives_updates() {
    let sql = "SELECT COUNT(*) AS n, window_end FROM TABLE(TUMBLE(__table(bid), descriptor(date_time), INTERVAL '10' SECOND)) GROUP BY window_start, window_end";
    let options = PlannerOptions { emit: Emit::OnUpdate, ..on_shards(1) };
    assert_snapshot!(explained(sql, &options, ExplainStage::Dataflow), @r"
    Sink #5 result key (window_end)
      [exchange by (window_end)] Calc #4 [count(*)@2 AS n, window_end@1 AS window_end]
        GroupAggregate #3 single by (window_start, window_end) [count(*) AS count(*)]
          [exchange by (window_start, window_end)] Calc #2 [window_start@1 AS window_start, window_end@2 AS window_end]
            WindowAssign #1 tumble(size=10000ms, offset=0ms) on date_time
              Source #0 bid [date_time]
    ");
}

#[test]
fn computed_and_metadata_columns_are_made_by_the_source() {
    assert_snapshot!(dataflow("SELECT * FROM event"), @r"
    Sink #1 result
      Source #0 event [path, seconds, body, at, size]
    ");
    assert_snapshot!(dataflow("SELECT size FROM event WHERE size > 5"), @r"
    Sink #1 result
      Source #0 event [size] where character_length(body@0) > 5
    ");
    assert_snapshot!(dataflow("SELECT path FROM event"), @r"
    Sink #1 result
      Source #0 event [path]
    ");
}

#[test]
fn a_computed_time_column_has_a_watermark() {
    assert_snapshot!(dataflow("SELECT window_end, COUNT(*) AS n FROM TABLE(TUMBLE(__table(event), descriptor(at), INTERVAL '1' SECOND)) GROUP BY window_start, window_end"), @r"
    Sink #3 result key (window_end)
      Calc #2 [window_end@2 AS window_end, count(*)@0 AS n]
        WindowAggregate #1 single tumble(size=1000ms, offset=0ms) by () [count(*) AS count(*)]
          [exchange by ()] Source #0 event [at] watermark CAST(to_timestamp_millis(seconds@0 * 1000) AS Timestamp(ms)) - INTERVAL '1 seconds'
    ");
}

#[test]
fn random_numbers_are_fine_over_insertions() {
    assert_snapshot!(dataflow("SELECT auction, random() AS r FROM bid"), @r"
    Sink #2 result
      Calc #1 [auction@0 AS auction, rand() AS r]
        Source #0 bid [auction]
    ");
}

#[test]
fn intervals_print_in_words() {
    let shown = dataflow(
        "SELECT date_time + INTERVAL '1-2' YEAR TO MONTH AS a, date_time - INTERVAL '1 00:00:00.5' DAY TO SECOND AS b FROM bid",
    );
    assert!(shown.contains("date_time@0 + INTERVAL '14 months' AS a"), "{shown}");
    assert!(shown.contains("date_time@0 - INTERVAL '1 days 0.5 seconds' AS b"), "{shown}");
}

#[test]
fn copies_are_compared_where_equal_rows_meet() {
    assert_snapshot!(dataflow_on_shards("SELECT auction FROM bid WHERE price > 1 EXCEPT ALL SELECT v FROM plain"), @r"
    Sink #4 result
      SetOperation #3 except all
        [exchange by (auction)] Source #0 bid [auction] where price@1 > 1
        [exchange by (v)] Calc #2 [CAST(v@0 AS Int64) AS v]
          Source #1 plain [v]
    ");
}

#[test]
fn constants_among_the_keys_tell_no_groups_apart() {
    assert_snapshot!(dataflow("SELECT 'a' AS a, k, x, SUM(v) AS s FROM (SELECT k, v, 7 AS x FROM plain) GROUP BY 'a', k, x"), @r"
    Sink #3 result key (k)
      Calc #2 [a AS a, k@0 AS k, 7 AS x, sum(v)@1 AS s]
        GroupAggregate #1 single by (k) [sum(#1) AS sum(v)]
          [exchange by (k)] Source #0 plain [k, v]
    ");
    // One group over rows, and none over no rows: a key is needed.
    assert!(dataflow("SELECT x, COUNT(*) AS n FROM (SELECT 7 AS x FROM plain) GROUP BY x").contains("by (x)"));
}
