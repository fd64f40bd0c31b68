//! Conditions on the time now: which are kept up, and what is known of their rows.

use crate::fixtures::{dataflow, dataflow_on_shards, explained, on_shards, refused};
use crate::statement::ExplainStage;
use insta::assert_snapshot;

#[test]
fn rows_that_are_taken_back_stay_where_they_were_dealt_out_to() {
    let having = "SELECT k, MAX(ts) FROM plain GROUP BY k HAVING MAX(ts) > NOW() - INTERVAL '1' MINUTE";
    assert_snapshot!(dataflow_on_shards(having), @r#"
    Sink #6 result key (k)
      Calc #5 [k@0 AS k, max(ts)@1 AS EXPR$1]
        TemporalFilter #4 [k, max(ts)] while now < key2 + 60000ms
          Calc #3 [k@0 AS k, max(ts)@1 AS max(ts), CAST(max(ts)@1 AS Timestamp(ms, "UTC")) AS key2]
            GroupAggregate #2 global by (k) [max(#1) AS max(ts)]
              [exchange by (k)] GroupAggregate #1 local by (k) [max(#1) AS max(ts)]
                Source #0 plain [k, ts]
    "#);
}

#[test]
fn several_conditions_are_one_filter_with_the_rest_below() {
    let sql =
        "SELECT k FROM plain WHERE v > 1 AND ts BETWEEN NOW() - INTERVAL '1' DAY AND NOW() + INTERVAL '1.5' SECOND";
    assert_snapshot!(dataflow(sql), @r#"
    Sink #3 result
      TemporalFilter #2 [k] while now <= key3 + 86400000ms and now >= key3 - 1500ms
        Calc #1 [k@0 AS k, v@1 AS v, ts@2 AS ts, CAST(ts@2 AS Timestamp(ms, "UTC")) AS key3]
          Source #0 plain [k, v, ts] where v@1 > 1
    "#);
}

#[test]
fn a_day_lasts_until_midnight() {
    // The eighth midnight after the day began is the end of the seventh day after it.
    let plan = dataflow("SELECT k FROM plain WHERE CAST(ts AS DATE) >= CURRENT_DATE - INTERVAL '7' DAY");
    assert!(plan.contains("while now < key") && plan.contains("+ INTERVAL '691200 seconds'"), "{plan}");
}

#[test]
fn rows_that_only_come_later_are_never_taken_back() {
    let changelog = |sql: &str| explained(sql, &on_shards(1), ExplainStage::Changelog);
    assert_snapshot!(changelog("SELECT k FROM plain WHERE ts <= NOW()"), @r"
    #3 Sink: append-only: rows of plain are only inserted
    #2 TemporalFilter: append-only: rows of plain are only inserted
    #1 Calc: append-only: rows of plain are only inserted
    #0 Source: append-only: rows of plain are only inserted
    ");
    assert_snapshot!(changelog("SELECT k FROM plain WHERE LOCALTIMESTAMP < ts"), @r"
    #3 Sink: retract: a row goes when the time now has passed its key2
    #2 TemporalFilter: retract: a row goes when the time now has passed its key2
    #1 Calc: append-only: rows of plain are only inserted
    #0 Source: append-only: rows of plain are only inserted
    ");
}

#[test]
fn a_window_over_rows_that_go_does_not_wait_for_a_watermark() {
    let sql = "SELECT window_end, COUNT(*) FROM TABLE(TUMBLE(TABLE recent, DESCRIPTOR(date_time), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end";
    let sql = format!("WITH recent AS (SELECT * FROM bid WHERE date_time > NOW() - INTERVAL '1' HOUR) {sql}");
    let plan = dataflow(&sql);
    assert!(plan.contains("GroupAggregate #5 single by (window_start, window_end)"), "{plan}");
    assert!(plan.contains("WARNING: windows over date_time never close"), "{plan}");
}

#[test]
fn what_cannot_be_foreseen_is_refused() {
    assert_snapshot!(refused("SELECT k FROM plain WHERE ts = NOW()"), @r#"
    ERROR 0A000: a condition on the time now that cannot be kept up: CAST(ts AS Timestamp(ms, "UTC")) = now()
    DETAIL: rows come and go as time passes, and when cannot be told from a row
    HINT: compare a time of the row with NOW(), LOCALTIMESTAMP or CURRENT_DATE, plus or minus an INTERVAL (months before days and less), by <, <=, >, >= or BETWEEN, and combine such conditions by AND: ts > NOW() - INTERVAL '1' HOUR
    "#);
    for condition in [
        "ts > NOW() OR v = 1",
        "EXTRACT(HOUR FROM NOW()) < 12",
        "v > UNIX_TIMESTAMP()",
        "GREATEST(ts, LOCALTIMESTAMP) > NOW()",
        "ts <> LOCALTIMESTAMP",
        "ts > CURRENT_DATE",
        "CAST(ts AS TIME) > LOCALTIME",
    ] {
        let text = refused(&format!("SELECT k FROM plain WHERE {condition}"));
        assert!(text.contains("HINT: compare a time of the row"), "{condition}: {text}");
    }
}

#[test]
fn months_are_left_to_the_calendar() {
    let sql = "SELECT k FROM plain WHERE ts > NOW() - INTERVAL '1' MONTH";
    assert_snapshot!(dataflow(sql), @r#"
    Sink #3 result
      TemporalFilter #2 [k] while now - 1 months < key2
        Calc #1 [k@0 AS k, ts@1 AS ts, CAST(ts@1 AS Timestamp(ms, "UTC")) AS key2]
          Source #0 plain [k, ts]
    "#);
    // Local times stay what clocks show; days and less are added after the months.
    let local = dataflow("SELECT k FROM plain WHERE ts <= LOCALTIMESTAMP + INTERVAL '2' YEAR - INTERVAL '1' HOUR");
    assert!(local.contains("now + 24 months >= key") && local.contains("+ INTERVAL '3600 seconds'"), "{local}");
    // Rows that have come may go again, for some days.
    let plan =
        explained("SELECT k FROM plain WHERE ts <= NOW() - INTERVAL '1' MONTH", &on_shards(1), ExplainStage::Changelog);
    assert!(plan.contains("TemporalFilter: retract"), "{plan}");
    for condition in
        ["ts > NOW() - INTERVAL '1' DAY - INTERVAL '1' MONTH", "ts > NOW() - INTERVAL '1' MONTH - INTERVAL '1' YEAR"]
    {
        let text = refused(&format!("SELECT k FROM plain WHERE {condition}"));
        assert!(text.contains("months before days and less"), "{condition}: {text}");
    }
}
