//! The same with real threads and the machine's clock. Nothing here sleeps or asks how long something took.

use super::*;
use crate::error::{ErrorClass, RuntimeError};
use crate::job::{JobHandle, JobState, start};
use eddyline_connectors::Boundedness::{Bounded, Unbounded};
use eddyline_connectors::Rim;
use eddyline_connectors::clock::SystemClock;
use eddyline_plan::ValuesSpec;
use eddyline_stores::Stores;
use std::sync::mpsc;

fn rim(tokio: &tokio::runtime::Runtime) -> Rim {
    Rim { tokio: tokio.handle().clone(), clock: SystemClock::shared(tokio.handle().clone()), stores: Stores::new([]) }
}

fn run(plan: &Plan, tables: &Tables, settings: JobSettings, tokio: &tokio::runtime::Runtime) -> JobHandle {
    crate::job::start_with(plan.dataflow(), &tables.registry(), settings, rim(tokio), toys::make).unwrap()
}

fn tokio() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn summing() -> Plan {
    let mut plan = Plan::default();
    let t = plan.timed_source("t", None);
    let sum = plan.sum(t);
    plan.sink("out", Input::hash(sum, vec![1]));
    plan
}

#[test]
fn bounded_jobs_finish_with_the_same_answer_on_any_number_of_shards() {
    let tokio = tokio();
    for round in 0..40 {
        let script = Script::new(Bounded, &["a", "b", "c", "d"]);
        (0..200).for_each(|n| script.push(n % 4, rows(&format!("+ k{} {:02} {n}\n+ x 00 1", n % 5, n % 60))));
        script.end_all();
        let out = Collection::new();
        let tables = Tables::default().source("t", &script).sink("out", &out);
        let settings = JobSettings { batch_rows: 4, channel_batches: 1, ..settings(1 + round % 4) };
        let summary = run(&summing(), &tables, settings, &tokio).wait().unwrap();
        assert_eq!(summary.state, JobState::Finished);
        assert_eq!((summary.metrics.rows_in, summary.metrics.epoch), (400, summary.metrics.completed));
        let expected = "+ k0 3900\n+ k1 3940\n+ k2 3980\n+ k3 4020\n+ k4 4060\n+ x 200\n";
        assert_eq!(out.accumulated(), expected, "round {round}");
    }
}

#[test]
fn an_unbounded_job_shows_rows_as_they_come_and_stops_when_asked() {
    let tokio = tokio();
    let script = Script::new(Unbounded, &["a", "b"]);
    let out = Collection::new();
    let (sender, written) = mpsc::channel();
    out.on_write(move |changes| sender.send(changes.num_rows()).map_err(|e| e.to_string()));
    let tables = Tables::default().source("t", &script).sink("out", &out);
    let job = run(&summing(), &tables, settings(2), &tokio);
    for n in 1..=20 {
        script.push(n % 2, rows(&format!("+ k 00 {n}")));
        // The epoch is cut because nothing more is there, not because anything else happens.
        written.recv().unwrap();
    }
    job.stop();
    let summary = tokio.block_on(job.ended()).unwrap();
    assert_eq!(summary.state, JobState::Stopped);
    assert_eq!(out.accumulated(), "+ k 210\n");
    assert_eq!(job.state(), JobState::Stopped);
}

/// Sums of a source whose rows go to the sink without an exchange.
fn summing_and_writing() -> Plan {
    let mut plan = Plan::default();
    let t = plan.timed_source("t", None);
    let sum = plan.sum(t);
    plan.sink("out", Input::forward(sum));
    plan
}

#[test]
fn a_step_that_has_no_end_is_cancelled_in_its_middle() {
    let tokio = tokio();
    let script = Script::new(Unbounded, &["a"]);
    let out = Collection::new();
    let (sender, written) = mpsc::channel();
    out.on_write(move |changes| sender.send(changes.num_rows()).map_err(|e| e.to_string()));
    script.push(0, rows("+ flood 00 1"));
    let tables = Tables::default().source("t", &script).sink("out", &out);
    let job = run(&summing_and_writing(), &tables, settings(1), &tokio);
    // Rows reach the sink though the step that makes them goes on.
    (0..100).for_each(|_| assert!(written.recv().unwrap() > 0));
    job.cancel();
    // It is no failure.
    assert_eq!(job.wait().unwrap().state, JobState::Stopped);
}

#[test]
fn a_sink_that_fails_ends_a_step_in_its_middle() {
    let tokio = tokio();
    let script = Script::new(Unbounded, &["a"]);
    let out = Collection::new();
    out.on_write(|_| Err("it is full".into()));
    script.push(0, rows("+ flood 00 1"));
    let tables = Tables::default().source("t", &script).sink("out", &out);
    let error = run(&summing_and_writing(), &tables, settings(1), &tokio).wait().unwrap_err();
    assert!(matches!(&error, RuntimeError::Sink { table, .. } if table == "out"), "{error}");
}

#[test]
fn a_step_that_fills_channels_ends_a_job_that_takes_too_much_memory() {
    let tokio = tokio();
    let script = Script::new(Unbounded, &["a"]);
    let out = Collection::new().slow();
    script.push(0, rows("+ flood 00 1"));
    let tables = Tables::default().source("t", &script).sink("out", &out);
    let memory = Some(eddyline_state::MemoryBudget::new(1 << 30));
    let memory_limit = Some(crate::MemoryLimit::new(1 << 20));
    let settings = JobSettings { memory, memory_limit, ..settings(2) };
    let error = run(&summing(), &tables, settings, &tokio).wait().unwrap_err();
    assert!(matches!(error, RuntimeError::Memory { max_bytes: 1_048_576, .. }), "{error}");
}

#[test]
fn cancel_ends_at_once() {
    let tokio = tokio();
    let script = Script::new(Unbounded, &["a"]);
    let out = Collection::new().slow();
    script.push(0, rows("+ a 00 1"));
    let tables = Tables::default().source("t", &script).sink("out", &out);
    let job = run(&summing(), &tables, settings(2), &tokio);
    job.cancel();
    assert_eq!(job.wait().unwrap().state, JobState::Stopped);
    assert_eq!(out.text(), "");
}

#[test]
fn an_error_and_a_panic_end_all_shards() {
    let tokio = tokio();
    for (key, class) in [("poison", ErrorClass::Bug), ("panic", ErrorClass::Bug)] {
        let script = Script::new(Unbounded, &["a"]);
        script.push(0, rows(&format!("+ {key} 00 1")));
        let tables = Tables::default().source("t", &script).sink("out", &Collection::new());
        let job = run(&summing(), &tables, settings(3), &tokio);
        let error = job.clone().wait().unwrap_err();
        assert_eq!((job.state(), error.class()), (JobState::Failed, class));
        let panicked = matches!(&error, RuntimeError::Panic { message, .. } if message == "a toy broke");
        assert_eq!(panicked, key == "panic", "{error}");
    }
}

#[test]
fn values_are_read_once() {
    let tokio = tokio();
    let out = Collection::new();
    let mut plan = Plan::default();
    let (rows, _) = rows("+ a 00 1\n+ b 01 2\n+ c 02 3").into_parts();
    let values = OperatorSpec::Values(ValuesSpec { rows });
    let values = plan.node(values, Vec::new(), schema(), ChangeMode::AppendOnly);
    plan.sink("out", Input::forward(values));
    let tables = Tables::default().sink("out", &out);
    let settings = JobSettings { batch_rows: 2, ..settings(3) };
    let job = start(plan.dataflow(), &tables.registry(), settings, rim(&tokio)).unwrap();
    let metrics = job.clone().wait().unwrap().metrics;
    assert_eq!((metrics.rows_in, metrics.rows_out), (3, 3));
    assert!(metrics.rows_in_per_second > 0.0 && metrics.rows_in_per_second.is_finite());
    assert_eq!(out.accumulated().lines().count(), 3);
    let told: Vec<String> = job.log().after(0, 10).into_iter().map(|entry| entry.message).collect();
    assert_eq!(told, ["starts afresh, on 3 shards", "finished: 3 rows in, 3 rows out"]);
}

#[test]
fn a_job_without_threads_works_when_an_epoch_is_asked_for() {
    let tokio = tokio();
    for shards in [1, 3] {
        let script = Script::new(Unbounded, &["a", "b"]);
        let out = Collection::new();
        let tables = Tables::default().source("t", &script).sink("out", &out);
        let settings = JobSettings { in_place: true, epochs_on_demand: true, ..settings(shards) };
        let job = run(&summing(), &tables, settings, &tokio);
        let mut shown = String::new();
        for n in 1..=20 {
            script.push(n % 2, rows(&format!("+ k 00 {n}")));
            assert_eq!(out.accumulated(), shown, "nobody has asked");
            // On whichever thread.
            let other = job.clone();
            assert!(std::thread::spawn(move || other.cut()).join().unwrap().unwrap());
            shown = format!("+ k {}\n", n * (n + 1) / 2);
            assert_eq!(out.accumulated(), shown);
        }
        assert_eq!((out.accumulated(), job.metrics().rows_in), ("+ k 210\n".to_owned(), 20));
        assert!(job.work());
        job.stop();
        assert_eq!(job.clone().wait().unwrap().state, JobState::Stopped);
        assert!(!job.cut().unwrap() && !job.work());
    }
}

#[test]
fn a_job_without_threads_fails_and_is_cancelled_like_any_other() {
    let tokio = tokio();
    let settings = JobSettings { in_place: true, epochs_on_demand: true, ..settings(2) };
    for key in ["poison", "panic"] {
        let script = Script::new(Unbounded, &["a"]);
        let tables = Tables::default().source("t", &script).sink("out", &Collection::new());
        let job = run(&summing(), &tables, settings.clone(), &tokio);
        assert!(job.cut().unwrap());
        script.push(0, rows(&format!("+ {key} 00 1")));
        assert_eq!(job.cut().unwrap_err().class(), ErrorClass::Bug);
        assert_eq!((job.state(), job.wait().unwrap_err().class()), (JobState::Failed, ErrorClass::Bug));
    }
    let script = Script::new(Unbounded, &["a"]);
    script.push(0, rows("+ a 00 1"));
    let out = Collection::new();
    let tables = Tables::default().source("t", &script).sink("out", &out);
    let job = run(&summing(), &tables, settings, &tokio);
    job.cancel();
    assert_eq!((job.wait().unwrap().state, out.text().as_str()), (JobState::Stopped, ""));
    let wrong = JobSettings { in_place: true, ..JobSettings::default() };
    assert!(matches!(wrong.check(), Err(RuntimeError::Setting { setting: "in-place", .. })));
}
