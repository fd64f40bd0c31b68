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
fn an_old_row_is_filtered_out_when_it_comes() {
    let columns = ", ts AS TO_TIMESTAMP_LTZ(k, 0)";
    let mut run = Run::new(columns, "SELECT k FROM t WHERE ts > NOW() - INTERVAL '5' SECOND", 1);
    assert_eq!(run.at(10, "+ 5\n+ 6"), "+1 6\n");
    assert_eq!(run.at(15, "+ 6\n+ 11"), "+1 11\n+1 6\n");
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
