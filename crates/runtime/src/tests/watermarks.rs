use super::*;
use eddyline_changes::Watermark;
use eddyline_connectors::Boundedness::{Bounded, Unbounded};
use std::time::Duration;

/// t → exchange → late rows dropped → out.
fn plan(idle_timeout_ms: Option<u64>) -> Plan {
    let mut plan = Plan::default();
    let t = plan.timed_source("t", idle_timeout_ms);
    let on_time = plan.on_time(Input::hash(t, vec![0]));
    plan.sink("out", Input::forward(on_time));
    plan
}

fn seconds(s: i64) -> Watermark {
    Watermark(s * 1000)
}

#[test]
fn the_watermark_is_the_least_over_splits() {
    let script = Script::new(Unbounded, &["a", "b", "c"]);
    let out = Collection::new();
    let mut job = simulate(&plan(None), &Tables::default().source("t", &script).sink("out", &out), settings(2), 1);
    let mut see = |split: usize, text: &str| {
        script.push(split, rows(text));
        job.run_until_idle().unwrap();
        job.metrics().watermark
    };
    assert_eq!(see(0, "+ a 20 1"), Watermark::NONE);
    assert_eq!(see(1, "+ a 10 1"), Watermark::NONE);
    assert_eq!(see(2, "+ a 30 1"), seconds(10));
    assert_eq!(see(1, "+ a 25 1"), seconds(20));
    assert_eq!(see(1, "+ a 05 1"), seconds(20), "it never goes back");
    assert_eq!(job.metrics().late_rows, 1);
    script.end(0);
    job.run_until_idle().unwrap();
    assert_eq!(job.metrics().watermark, seconds(25), "a finished split holds nothing back");
    script.end_all();
    assert!(job.run_to_end().unwrap());
    assert_eq!(job.metrics().watermark, Watermark::END);
}

#[test]
fn an_idle_split_is_left_out_until_it_wakes_up() {
    let script = Script::new(Unbounded, &["a", "b"]);
    let out = Collection::new();
    let tables = Tables::default().source("t", &script).sink("out", &out);
    let mut job = simulate(&plan(Some(5000)), &tables, settings(2), 1);
    script.push(0, rows("+ a 10 1"));
    job.run_until_idle().unwrap();
    job.advance(Duration::from_secs(4));
    script.push(0, rows("+ a 20 1"));
    job.run_until_idle().unwrap();
    assert_eq!(job.metrics().watermark, Watermark::NONE);
    job.advance(Duration::from_secs(1));
    job.run_until_idle().unwrap();
    assert_eq!(job.metrics().watermark, seconds(20), "b is idle");
    script.push(1, rows("+ b 30 1"));
    job.run_until_idle().unwrap();
    script.push(0, rows("+ a 40 1"));
    job.run_until_idle().unwrap();
    assert_eq!(job.metrics().watermark, seconds(30), "b is back");
    job.advance(Duration::from_secs(5));
    job.run_until_idle().unwrap();
    assert_eq!(job.metrics().watermark, seconds(40), "when all are idle, the furthest counts");
}

#[test]
fn ordered_files_have_no_late_rows_whoever_reads_them() {
    for seed in 0..60 {
        // Two files of three ranges each; each file is in order, the second lies ten seconds behind.
        let ids = ["f#0", "g#0", "f#1", "g#1", "f#2", "g#2"];
        let script = Script::new(Bounded, &ids);
        for (split, id) in ids.iter().enumerate() {
            let (range, shift) = (id[2..].parse::<usize>().unwrap() * 10, if id.starts_with('f') { 10 } else { 0 });
            for second in 0..10 {
                script.push(split, rows(&format!("+ k{} {:02} 1", second % 3, range + shift + second)));
            }
        }
        script.end_all();
        let out = Collection::new();
        let tables = Tables::default().source("t", &script).sink("out", &out);
        let settings = JobSettings { batch_rows: 3, channel_batches: 2, ..settings([1, 2, 3, 4][seed as usize % 4]) };
        let mut job = simulate(&plan(None), &tables, settings, seed).with_random_cuts(0.05);
        assert!(job.run_to_end().unwrap());
        assert_eq!(job.metrics().late_rows, 0, "seed {seed}");
        assert_eq!(job.metrics().rows_out, 60, "seed {seed}");
    }
}

#[test]
fn a_union_waits_for_both_inputs() {
    let (s, t) = (Script::new(Unbounded, &["a"]), Script::new(Unbounded, &["b"]));
    let out = Collection::new();
    let mut plan = Plan::default();
    let (a, b) = (plan.timed_source("s", None), plan.timed_source("t", None));
    let both = plan.union(vec![Input::forward(a), Input::hash(b, vec![0])]);
    plan.sink("out", Input::forward(both));
    let tables = Tables::default().source("s", &s).source("t", &t).sink("out", &out);
    let mut job = simulate(&plan, &tables, settings(2), 1);
    s.push(0, rows("+ a 10 1"));
    job.run_until_idle().unwrap();
    assert_eq!(job.metrics().watermark, Watermark::NONE);
    t.push(0, rows("+ a 07 1"));
    job.run_until_idle().unwrap();
    assert_eq!(job.metrics().watermark, seconds(7));
    t.end(0);
    job.run_until_idle().unwrap();
    assert_eq!(job.metrics().watermark, seconds(10));
}

/// s and t, both with an idle timeout of 5 s → union → exchange → late rows dropped → out.
fn united() -> Plan {
    let mut plan = Plan::default();
    let (a, b) = (plan.timed_source("s", Some(5000)), plan.timed_source("t", Some(5000)));
    let both = plan.union(vec![Input::forward(a), Input::hash(b, vec![0])]);
    let on_time = plan.on_time(Input::hash(both, vec![0]));
    plan.sink("out", Input::forward(on_time));
    plan
}

#[test]
fn a_source_that_is_idle_as_a_whole_releases_a_union() {
    for seed in 0..20 {
        let (s, t) = (Script::new(Unbounded, &["a", "b"]), Script::new(Unbounded, &["c"]));
        let out = Collection::new();
        let tables = Tables::default().source("s", &s).source("t", &t).sink("out", &out);
        let mut job = simulate(&united(), &tables, settings(1 + seed as usize % 3), seed);
        s.push(0, rows("+ a 10 1"));
        s.push(1, rows("+ b 12 1"));
        t.push(0, rows("+ c 20 1"));
        job.run_until_idle().unwrap();
        assert_eq!(job.metrics().watermark, seconds(10), "seed {seed}");
        job.advance(Duration::from_secs(4));
        t.push(0, rows("+ c 30 1"));
        job.run_until_idle().unwrap();
        job.advance(Duration::from_secs(1));
        job.run_until_idle().unwrap();
        // For itself s stands at 12, but it says nothing any more.
        assert_eq!(out_watermark(&job), seconds(30), "s is idle, seed {seed}");
        t.push(0, rows("+ c 31 1"));
        job.run_until_idle().unwrap();
        assert_eq!(out_watermark(&job), seconds(31), "seed {seed}");
        s.push(0, rows("+ a 29 1\n+ a 40 1"));
        job.run_until_idle().unwrap();
        assert_eq!(job.metrics().late_rows, 1, "who comes back behind the others is late, seed {seed}");
        t.push(0, rows("+ c 50 1"));
        job.run_until_idle().unwrap();
        assert_eq!(out_watermark(&job), seconds(40), "s is back and counts, seed {seed}");
        job.advance(Duration::from_secs(5));
        job.run_until_idle().unwrap();
        assert_eq!(out_watermark(&job), seconds(50), "all are idle: the furthest counts, seed {seed}");
        t.end(0);
        job.run_until_idle().unwrap();
        assert_eq!(out_watermark(&job), seconds(50), "the end of one is not the end of all, seed {seed}");
        s.push(1, rows("+ b 55 1"));
        job.run_until_idle().unwrap();
        assert_eq!((out_watermark(&job), job.metrics().late_rows), (seconds(55), 1), "seed {seed}");
        s.end_all();
        assert!(job.run_to_end().unwrap(), "seed {seed}");
        assert_eq!(out.accumulated().lines().count(), 8, "seed {seed}: {}", out.accumulated());
    }
}

/// The watermark that reached the sink.
fn out_watermark(job: &Simulation) -> Watermark {
    job.metrics().operators.last().unwrap().watermark
}

#[test]
fn a_source_without_any_split_is_idle_after_its_timeout_until_one_turns_up() {
    for shards in [1, 2] {
        let (s, t) = (Script::discovered(Duration::from_secs(1), &[]), Script::new(Unbounded, &["c"]));
        let out = Collection::new();
        let tables = Tables::default().source("s", &s).source("t", &t).sink("out", &out);
        let mut job = simulate(&united(), &tables, settings(shards), 3);
        t.push(0, rows("+ c 20 1"));
        job.run_until_idle().unwrap();
        job.advance(Duration::from_secs(4));
        t.push(0, rows("+ c 21 1"));
        job.run_until_idle().unwrap();
        assert_eq!(out_watermark(&job), Watermark::NONE);
        job.advance(Duration::from_secs(1));
        job.run_until_idle().unwrap();
        assert_eq!(out_watermark(&job), seconds(21), "{shards} shards");
        s.add_split("a");
        job.advance(Duration::from_secs(1));
        s.push(0, rows("+ a 25 1"));
        job.run_until_idle().unwrap();
        t.push(0, rows("+ c 30 1"));
        job.run_until_idle().unwrap();
        assert_eq!(out_watermark(&job), seconds(25), "{shards} shards");
    }
}

#[test]
fn a_row_at_the_end_of_time_does_not_end_the_input() {
    let script = Script::new(Unbounded, &["a", "b"]);
    let out = Collection::new();
    let mut job = simulate(&plan(None), &Tables::default().source("t", &script).sink("out", &out), settings(1), 1);
    let columns: Vec<arrow::array::ArrayRef> = vec![
        Arc::new(arrow::array::StringArray::from(vec!["a"])),
        Arc::new(arrow::array::TimestampMillisecondArray::from(vec![i64::MAX])),
        Arc::new(arrow::array::Int64Array::from(vec![1])),
    ];
    let last = arrow::array::RecordBatch::try_new(schema(), columns).unwrap();
    (0..2).for_each(|split| script.push(split, ChangeBatch::inserts(last.clone())));
    job.run_until_idle().unwrap();
    assert_eq!(job.metrics().watermark, Watermark(i64::MAX - 1));
    script.end_all();
    assert!(job.run_to_end().unwrap());
    assert_eq!(job.metrics().watermark, Watermark::END);
}

#[test]
fn rows_without_a_time_say_nothing_and_are_counted() {
    let script = Script::new(Unbounded, &["a"]);
    let out = Collection::new();
    let mut job = simulate(&plan(None), &Tables::default().source("t", &script).sink("out", &out), settings(1), 1);
    script.push(0, rows("+ a NULL 1"));
    job.run_until_idle().unwrap();
    assert_eq!(job.metrics().watermark, Watermark::NONE);
    assert_eq!(job.metrics().null_time_rows, 1);
}

#[test]
fn new_splits_are_found_and_read() {
    let script = Script::discovered(Duration::from_secs(1), &["a"]);
    let out = Collection::new();
    let mut job = simulate(&plan(None), &Tables::default().source("t", &script).sink("out", &out), settings(2), 1);
    script.push(0, rows("+ a 10 1"));
    script.add_split("b");
    script.push(1, rows("+ b 11 2"));
    job.run_until_idle().unwrap();
    assert_eq!(job.metrics().rows_in, 1);
    job.advance(Duration::from_secs(1));
    job.run_until_idle().unwrap();
    assert_eq!(job.metrics().rows_in, 2);
    job.stop();
    job.run_until_idle().unwrap();
    assert_eq!(out.accumulated().lines().count(), 2);
}
