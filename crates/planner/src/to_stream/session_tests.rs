use crate::fixtures::{dataflow, explained, on_shards};
use crate::statement::ExplainStage;
use crate::{Emit, PlannerOptions};
use insta::assert_snapshot;

#[test]
fn rows_with_sessions_are_grouped_by_the_end_of_a_session_when_it_closes() {
    assert_snapshot!(dataflow("SELECT channel, COUNT(DISTINCT auction) AS n, window_start, window_end FROM TABLE(SESSION(__table(bid, bidder), descriptor(date_time), INTERVAL '10' SECOND)) WHERE bidder > 5 AND price > 5 GROUP BY channel, window_start, window_end"), @r"
    Sink #5 result key (channel, window_start, window_end)
      Calc #4 [channel@0 AS channel, count(distinct auction)@2 AS n, window_start@1 AS window_start, window_end@4 AS window_end]
        WindowAggregate #3 single tumble(size=1ms, offset=0ms) by (channel, window_start) [count(distinct #2) AS count(distinct auction)]
          [exchange by (channel, window_start)] Calc #2 [channel@3 AS channel, window_start@5 AS window_start, auction@0 AS auction, window_time@7 AS window_time] where price@2 > 5
            SessionAssign #1 session(gap=10000ms) on date_time by (bidder) when it closes
              [exchange by (bidder)] Source #0 bid [auction, bidder, price, channel, date_time] where bidder@1 > 5 watermark date_time@4 - INTERVAL '4 seconds'
    ");
    let rows = "SELECT bidder, window_end FROM TABLE(SESSION(__table(bid, bidder), descriptor(date_time), INTERVAL '10' SECOND))";
    assert_snapshot!(explained(rows, &on_shards(1), ExplainStage::Changelog), @r"
    #3 Sink: append-only: a row is handed out once, when its session closes
    #2 Calc: append-only: a row is handed out once, when its session closes
    #1 SessionAssign: append-only, event time (window_time): a row is handed out once, when its session closes
    #0 Source: append-only, event time (date_time): rows of bid are only inserted
    ");
    let early = PlannerOptions { emit: Emit::OnUpdate, ..on_shards(1) };
    assert_snapshot!(explained(rows, &early, ExplainStage::Changelog), @r"
    #3 Sink: retract: a row is replaced when its session changes
    #2 Calc: retract: a row is replaced when its session changes
    #1 SessionAssign: retract: a row is replaced when its session changes
    #0 Source: append-only: rows of bid are only inserted
    ");
}

#[test]
fn where_goes_below_sessions_of_the_older_spelling() {
    assert_snapshot!(dataflow("SELECT bidder, SESSION_END(date_time, INTERVAL '1' MINUTE) AS e, COUNT(*) AS n FROM bid AS b WHERE b.price > 5 GROUP BY b.bidder, SESSION(date_time, INTERVAL '1' MINUTE)"), @r"
    Sink #3 result key (bidder, e)
      Calc #2 [bidder@0 AS bidder, window_end@3 AS e, count(*)@1 AS n]
        SessionAggregate #1 session(gap=60000ms) by (bidder) when it closes [count(*) AS count(*)]
          [exchange by (bidder)] Source #0 bid [bidder, date_time] where price@1 > 5 watermark date_time@2 - INTERVAL '4 seconds'
    ");
}

#[test]
fn sessions_of_rows_that_are_only_inserted_are_aggregated_without_their_rows() {
    let counted = "SELECT bidder, COUNT(*) AS n, window_start, window_end FROM TABLE(SESSION(__table(bid, bidder), descriptor(date_time), INTERVAL '10' SECOND)) WHERE bidder > 5 GROUP BY bidder, window_start, window_end";
    assert_snapshot!(explained(counted, &on_shards(2), ExplainStage::Changelog), @r"
    #3 Sink: append-only, key (bidder, window_end): a session's result is handed out once, when the session closes
    #2 Calc: append-only, key (bidder, window_end): a session's result is handed out once, when the session closes
    #1 SessionAggregate: append-only, key (bidder, window_end), event time (window_time): a session's result is handed out once, when the session closes
    #0 Source: append-only, event time (date_time): rows of bid are only inserted
    ");
    let early = PlannerOptions { emit: Emit::OnUpdate, ..on_shards(2) };
    assert_snapshot!(explained(counted, &early, ExplainStage::Changelog), @r"
    #3 Sink: retract, key (bidder, window_end): a session changes its result when more rows come
    #2 Calc: retract, key (bidder, window_end): a session changes its result when more rows come
    #1 SessionAggregate: retract, key (bidder, window_end): a session changes its result when more rows come
    #0 Source: append-only: rows of bid are only inserted
    ");
}
