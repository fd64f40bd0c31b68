//! Functions of the moment over growing tables, under simulation: the time is that of the manual clock, chance comes
//! from the seed.

use arrow::datatypes::{DataType, Field, Schema};
use eddyline_changes::table::parse_changes;
use eddyline_connectors::Registry;
use eddyline_connectors::clock::ManualClock;
use eddyline_engine::{Engine, EngineConfig};
use eddyline_runtime::JobSettings;
use eddyline_runtime::simulation::Simulation;
use eddyline_sqltest::check::Collected;
use eddyline_sqltest::feed::{Changes, Feed};
use std::sync::Arc;
use std::time::Duration;

/// A SELECT over the table `t (k BIGINT, …)` that runs under simulation on two shards.
struct Run {
    job: Simulation,
    feed: Feed,
    rows: Collected,
    seconds: u64,
}

impl Run {
    fn new(columns: &str, query: &str, seed: u64) -> Self {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio");
        let feed = Feed::new(1);
        let registry = Registry::builtin().with(Arc::new(Changes::default().with_feed("t", feed.clone())));
        let config =
            EngineConfig { registry: registry.clone(), shards: 2, ..EngineConfig::new(tokio.handle().clone()) };
        let script =
            format!("CREATE TABLE t (k BIGINT{columns}) WITH ('connector' = 'changes', 'feed' = 't');\n{query}");
        let mut session = Engine::new(config).session();
        let planned = session.plan_select(&script).unwrap_or_else(|e| panic!("{}", e.render(&script)));
        let rows = Collected::default();
        let registry = registry.with(Arc::new(rows.clone()));
        let settings = JobSettings { shards: 2, ..JobSettings::default() };
        let job = Simulation::new(planned.dataflow, &registry, settings, seed, ManualClock::shared()).expect("a job");
        Self { job, feed, rows, seconds: 0 }
    }

    /// Lets time pass without any input.
    fn pass(&mut self, second: u64) -> String {
        self.job.advance(Duration::from_secs(second - self.seconds));
        self.seconds = second;
        self.job.run_until_idle().expect("it runs");
        self.rows.text()
    }

    /// Hands out rows of `k` at so many seconds, and returns all that has been committed.
    fn at(&mut self, second: u64, rows: &str) -> String {
        self.job.advance(Duration::from_secs(second - self.seconds));
        self.seconds = second;
        let schema = Arc::new(Schema::new(vec![Field::new("k", DataType::Int64, true)]));
        self.feed.push(0, parse_changes(&schema, rows).expect("a change table"));
        self.job.run_until_idle().expect("it runs");
        self.job.cut_epoch();
        self.job.run_until_idle().expect("it runs");
        self.rows.text()
    }
}

#[test]
fn a_row_has_the_time_at_which_it_came() {
    let query = "SELECT k, NOW(), LOCALTIME, UNIX_TIMESTAMP(), CURRENT_DATE FROM t";
    let mut run = Run::new("", query, 1);
    assert_eq!(run.at(10, "+ 1"), "+1 1 | 1970-01-01T00:00:10Z | 00:00:10 | 10 | 1970-01-01\n");
    let both = run.at(86_400, "+ 2\n+ 3");
    assert_eq!(
        both,
        "+1 1 | 1970-01-01T00:00:10Z | 00:00:10 | 10 | 1970-01-01\n\
         +1 2 | 1970-01-02T00:00:00Z | 00:00:00 | 86400 | 1970-01-02\n\
         +1 3 | 1970-01-02T00:00:00Z | 00:00:00 | 86400 | 1970-01-02\n"
    );
}

#[test]
fn computed_columns_tell_the_time_in_filters_too() {
    let query = "SELECT k, pt FROM t WHERE TIMESTAMPDIFF(SECOND, CAST(pt AS TIMESTAMP(3)), TIMESTAMP '1970-01-01 00:00:20') > 5";
    let mut run = Run::new(", pt AS PROCTIME()", query, 1);
    assert_eq!(run.at(10, "+ 1"), "+1 1 | 1970-01-01T00:00:10Z\n");
    assert_eq!(run.at(15, "+ 2"), "+1 1 | 1970-01-01T00:00:10Z\n");
}

#[test]
fn rows_are_grouped_by_the_day_of_their_coming() {
    let mut run = Run::new("", "SELECT CURRENT_DATE AS d, COUNT(*) AS n FROM t GROUP BY CURRENT_DATE", 1);
    assert_eq!(run.at(1, "+ 1\n+ 2"), "+1 1970-01-01 | 2\n");
    assert_eq!(run.at(90_000, "+ 3"), "+1 1970-01-01 | 2\n+1 1970-01-02 | 1\n");
}

#[test]
fn the_time_of_arrival_is_event_time_with_a_watermark() {
    let query = "SELECT window_end, COUNT(*) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(at), INTERVAL '10' SECOND)) \
                 GROUP BY window_start, window_end";
    let mut run = Run::new(", at AS CURRENT_TIMESTAMP, WATERMARK FOR at AS at", query, 1);
    assert_eq!(run.at(1, "+ 1"), "");
    assert_eq!(run.at(9, "+ 2"), "");
    assert_eq!(run.at(11, "+ 3"), "+1 1970-01-01T00:00:10Z | 2\n");
}

#[test]
fn chance_is_decided_by_the_seed_of_the_simulation() {
    let drawn = |seed: u64| {
        let mut run = Run::new("", "SELECT k, RAND(), UUID(), RAND_INTEGER(1000000) FROM t", seed);
        run.at(1, "+ 1\n+ 2");
        run.at(2, "+ 3")
    };
    assert_eq!(drawn(5), drawn(5));
    assert_ne!(drawn(5), drawn(6));
    assert_eq!(drawn(5).lines().count(), 3);
}

#[test]
fn what_is_drawn_is_what_was_tested() {
    let mut run = Run::new(", r AS RAND()", "SELECT r < 0.5 AS is_less FROM t WHERE r < 0.5", 3);
    let rows: String = (0..100).map(|k| format!("+ {k}\n")).collect();
    let all = run.at(1, &rows);
    assert!(all.ends_with(" true\n") && all.lines().count() == 1, "{all}");
}

const TS: &str = ", ts AS TO_TIMESTAMP_LTZ(k, 0)";

#[test]
fn a_row_goes_when_its_time_is_over_without_any_input() {
    let mut run = Run::new(TS, "SELECT k FROM t WHERE ts > NOW() - INTERVAL '5' SECOND", 1);
    assert_eq!(run.at(10, "+ 4\n+ 5\n+ 6\n+2 9"), "+1 6\n+2 9\n");
    assert_eq!(run.pass(11), "+2 9\n");
    assert_eq!(run.pass(13), "+2 9\n");
    let epochs = run.job.completed_epochs();
    assert_eq!(run.pass(14), "");
    assert_eq!(run.job.completed_epochs().0, epochs.0 + 1, "one epoch, when it was due");
    assert_eq!(run.pass(1000), "");
    assert_eq!(run.job.completed_epochs().0, epochs.0 + 1, "nothing is due any more");
    assert_eq!(run.at(1001, "+ 1000"), "+1 1000\n");
}

#[test]
fn months_before_now_go_through_the_end_of_february_several_times() {
    let day = |day: u64, hour: u64| day * 86_400 + hour * 3_600;
    let mut run = Run::new(TS, "SELECT COUNT(*) AS n FROM t WHERE ts > NOW() - INTERVAL '1' MONTH", 1);
    // Noon of February 28 (the day 58), 1970, and of March 1; it is March 28 (the day 86).
    let rows = format!("+2 {}\n+ {}", day(58, 12), day(59, 12));
    assert_eq!(run.at(day(86, 0), &rows), "+1 3\n");
    let epochs = run.job.completed_epochs();
    for (on, at, there) in [
        (86, 11, 3),
        (86, 12, 1),
        (86, 23, 1),
        (87, 0, 3),
        (87, 12, 1),
        (88, 0, 3),
        (88, 13, 1),
        (89, 1, 3),
        (89, 12, 1),
        (90, 11, 1),
        (90, 12, 0),
    ] {
        assert_eq!(run.pass(day(on, at)), format!("+1 {there}\n"), "on day {on} at {at}");
    }
    assert_eq!(run.job.completed_epochs().0, epochs.0 + 8, "an epoch whenever something was due");
}

#[test]
fn a_row_comes_when_its_time_has_come() {
    let query = "SELECT k FROM t WHERE NOW() BETWEEN ts AND ts + INTERVAL '2' SECOND";
    let mut run = Run::new(TS, query, 1);
    assert_eq!(run.at(10, "+ 12\n+ 13"), "");
    assert_eq!(run.pass(12), "+1 12\n");
    assert_eq!(run.pass(13), "+1 12\n+1 13\n");
    // 14.000 is still between, 14.001 is not.
    assert_eq!(run.pass(14), "+1 12\n+1 13\n");
    assert_eq!(run.pass(15), "+1 13\n");
    assert_eq!(run.pass(16), "");
}

#[test]
fn what_is_computed_of_rows_of_a_time_follows() {
    let query = "SELECT COUNT(*) AS n, MAX(k) AS k FROM t WHERE ts >= NOW() - INTERVAL '5' SECOND";
    let mut run = Run::new(TS, query, 1);
    assert_eq!(run.at(10, "+ 5\n+ 7\n+ 8"), "+1 3 | 8\n");
    assert_eq!(run.pass(11), "+1 2 | 8\n");
    assert_eq!(run.pass(13), "+1 1 | 8\n");
    assert_eq!(run.pass(14), "+1 0 | NULL\n");
}

#[test]
fn a_group_is_there_while_its_latest_row_is_young() {
    let query = "SELECT MOD(k, 2) AS m, MAX(k) AS k FROM t GROUP BY MOD(k, 2) \
                 HAVING MAX(ts) > NOW() - INTERVAL '3' SECOND";
    let mut run = Run::new(TS, query, 1);
    assert_eq!(run.at(10, "+ 9\n+ 8\n+ 2"), "+1 0 | 8\n+1 1 | 9\n");
    assert_eq!(run.pass(11), "+1 1 | 9\n");
    assert_eq!(run.at(11, "+ 10"), "+1 0 | 10\n+1 1 | 9\n");
    assert_eq!(run.pass(12), "+1 0 | 10\n");
    assert_eq!(run.pass(20), "");
}

#[test]
fn a_restart_forgets_no_row_that_is_to_go_or_to_come() {
    let query = "SELECT k FROM t WHERE ts > NOW() - INTERVAL '5' SECOND AND ts <= NOW()";
    let mut run = Run::new(TS, query, 7);
    assert_eq!(run.at(10, "+ 8\n+ 9\n+ 11"), "+1 8\n+1 9\n");
    run.job.checkpoint();
    run.job.run_until_idle().expect("it runs");
    run.job.crash().expect("it comes back");
    assert_eq!(run.pass(11), "+1 8\n+1 9\n", "until the first epoch nothing is known to be due");
    assert_eq!(run.at(12, "+ 12"), "+1 11\n+1 12\n+1 8\n+1 9\n");
    assert_eq!(run.pass(14), "+1 11\n+1 12\n");
    assert_eq!(run.pass(17), "");
}

#[test]
fn days_begin_at_midnight() {
    let query = "SELECT k FROM t WHERE CAST(ts AS DATE) = CURRENT_DATE - INTERVAL '1' DAY";
    let mut run = Run::new(TS, query, 1);
    assert_eq!(run.at(86_399, "+ 86398\n+ 0\n+ 86400"), "");
    assert_eq!(run.pass(86_400), "+1 0\n+1 86398\n");
    assert_eq!(run.pass(2 * 86_400 - 1), "+1 0\n+1 86398\n");
    assert_eq!(run.pass(2 * 86_400), "+1 86400\n");
    assert_eq!(run.pass(3 * 86_400), "");
}

#[test]
fn the_answer_at_the_end_of_the_input_is_that_of_its_end() {
    let mut run = Run::new(TS, "SELECT k FROM t WHERE ts > NOW() - INTERVAL '5' SECOND", 1);
    assert_eq!(run.at(10, "+ 6\n+ 9"), "+1 6\n+1 9\n");
    run.feed.close();
    assert!(run.job.run_to_end().expect("it runs"), "the job does not wait for what is due");
    assert_eq!(run.rows.text(), "+1 6\n+1 9\n");
}

#[test]
fn a_group_without_rows_for_the_time_to_live_begins_anew() {
    let query = "SET 'table.exec.state.ttl' = '10 s';\nSELECT MOD(k, 2) AS m, COUNT(*) AS n, COUNT(DISTINCT k) AS d FROM t GROUP BY MOD(k, 2)";
    let mut run = Run::new("", query, 1);
    assert_eq!(run.at(1, "+ 2\n+ 4"), "+1 0 | 2 | 2\n");
    assert_eq!(run.at(9, "+ 2"), "+1 0 | 3 | 2\n");
    assert_eq!(run.at(18, "+ 2\n+ 1"), "+1 0 | 4 | 2\n+1 1 | 1 | 1\n");
    // What was put out of a group that is forgotten stays.
    assert_eq!(run.at(28, "+ 2\n+ 3"), "+1 0 | 1 | 1\n+1 0 | 4 | 2\n+2 1 | 1 | 1\n");
}

#[test]
fn a_partition_of_over_without_rows_for_the_time_to_live_begins_anew() {
    let query =
        "SET 'table.exec.state.ttl' = '10 s';\nSELECT k, SUM(k) OVER (PARTITION BY MOD(k, 2) ORDER BY k) AS s FROM t";
    let mut run = Run::new("", query, 1);
    assert_eq!(run.at(1, "+ 2\n+ 3"), "+1 2 | 2\n+1 3 | 3\n");
    assert_eq!(run.at(9, "+ 4"), "+1 2 | 2\n+1 3 | 3\n+1 4 | 6\n");
    // What was put out of a partition that is forgotten stays.
    assert_eq!(run.at(12, "+ 5\n+ 6"), "+1 2 | 2\n+1 3 | 3\n+1 4 | 6\n+1 5 | 5\n+1 6 | 12\n");
    assert_eq!(run.at(13, "- 3"), "+1 2 | 2\n+1 3 | 3\n+1 4 | 6\n+1 5 | 5\n+1 6 | 12\n");
    assert_eq!(run.at(14, "- 5"), "+1 2 | 2\n+1 3 | 3\n+1 4 | 6\n+1 6 | 12\n");
}

#[test]
fn copies_that_both_inputs_had_are_forgotten_together() {
    let query =
        "SET 'table.exec.state.ttl' = '10 s';\nSELECT MOD(k, 10) AS k FROM t EXCEPT ALL SELECT k FROM t WHERE k < 2";
    let mut run = Run::new("", query, 1);
    assert_eq!(run.at(1, "+ 1\n+ 11\n+ 5"), "+1 1\n+1 5\n");
    assert_eq!(run.at(10, "+ 15"), "+1 1\n+2 5\n");
    // Of 1 nothing is known, neither how often it was on the left nor on the right; of 5 it is.
    assert_eq!(run.at(12, "- 1\n- 11\n- 5"), "+1 1\n+1 5\n");
    assert_eq!(run.at(13, "+ 11\n- 15"), "+2 1\n");
}

#[test]
fn a_hint_says_for_how_long_one_input_is_remembered() {
    let query = "SET 'table.exec.state.ttl' = '10 s';\n\
                 SELECT /*+ STATE_TTL('kept' = '0 s') */ kept.m, SUM(kept.n) AS n FROM \
                 (SELECT /*+ STATE_TTL('t' = '20 s') */ MOD(k, 2) AS m, COUNT(*) AS n FROM t GROUP BY MOD(k, 2)) AS kept \
                 GROUP BY kept.m";
    let mut run = Run::new("", query, 1);
    assert_eq!(run.at(1, "+ 2"), "+1 0 | 1\n");
    assert_eq!(run.at(20, "+ 4"), "+1 0 | 2\n");
    // The counts below begin anew, and the sum goes on.
    assert_eq!(run.at(40, "+ 6"), "+1 0 | 3\n");
    assert_eq!(run.at(41, "+ 8"), "+1 0 | 4\n");
}
