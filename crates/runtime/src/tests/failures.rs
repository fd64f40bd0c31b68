use super::*;
use crate::error::{ErrorClass, RuntimeError};
use crate::job::JobState;
use eddyline_connectors::Boundedness::Bounded;

fn plan() -> Plan {
    let mut plan = Plan::default();
    let t = plan.source("t");
    let sum = plan.sum(t);
    plan.sink("out", Input::forward(sum));
    plan
}

fn fails(script: &Arc<Script>, out: &Arc<Collection>) -> RuntimeError {
    script.push(0, rows("+ a 00 1"));
    let mut job = simulate(&plan(), &Tables::default().source("t", script).sink("out", out), settings(2), 3);
    let error = job.run_to_end().unwrap_err();
    assert_eq!(job.state(), JobState::Failed);
    assert_eq!(job.step().unwrap_err().to_string(), error.to_string(), "a failed job stays failed");
    assert_eq!(out.text(), "", "nothing is half-written");
    error
}

#[test]
fn a_source_that_fails_names_its_table_and_split() {
    let script = Script::new(Bounded, &["file#0"]);
    script.fail(0, "is no file");
    let error = fails(&script, &Collection::new());
    assert_eq!(error.to_string(), "table t: file#0: is no file");
    assert!(matches!(error, RuntimeError::Source { split: Some(split), .. } if split == "file#0"));
}

#[test]
fn an_operator_that_fails_names_itself() {
    let script = Script::new(Bounded, &["a"]);
    script.push(0, rows("+ poison 00 1"));
    script.end_all();
    let error = fails(&script, &Collection::new());
    assert_eq!(error.to_string(), "GroupAggregate #1: Sum: poison");
    assert_eq!(error.class(), ErrorClass::Bug);
}

#[test]
fn an_operator_behind_its_source_names_the_place() {
    let script = Script::new(Bounded, &["f#3"]);
    script.push(0, rows("+ a 00 1\n+ b 00 1"));
    script.push(0, rows("+ poison 00 1"));
    script.end_all();
    let mut plan = Plan::default();
    let t = plan.source("t");
    let spec =
        GroupAggregateSpec { keys: vec![0], calls: Vec::new(), phase: AggregatePhase::Local, append_only: false };
    let sum = plan.node(OperatorSpec::GroupAggregate(spec), vec![Input::forward(t)], sums(), ChangeMode::Retract);
    plan.sink("out", Input::forward(sum));
    let tables = Tables::default().source("t", &script).sink("out", &Collection::new());
    let error = simulate(&plan, &tables, settings(1), 1).run_to_end().unwrap_err();
    let expected = "GroupAggregate #1: Sum: poison (rows of table t, split f#3, between positions 2 and 3)";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_sink_that_fails_names_its_table() {
    let script = Script::new(Bounded, &["a"]);
    script.end_all();
    let out = Collection::new();
    out.on_write(|_| Err("disk full".into()));
    assert_eq!(fails(&script, &out).to_string(), "table out: collection: disk full");
}

#[test]
fn a_commit_that_fails_ends_the_job() {
    let script = Script::new(Bounded, &["a"]);
    script.end_all();
    let out = Collection::new();
    out.fail_commit("gone");
    assert_eq!(fails(&script, &out).to_string(), "table out: collection: gone");
}

#[test]
fn a_sink_for_insertions_is_not_given_retractions() {
    let out = Collection::new().appends_only();
    let tables = Tables::default().source("t", &Script::new(Bounded, &["a"])).sink("out", &out);
    let clock = eddyline_connectors::clock::ManualClock::shared();
    let made = crate::simulation::Simulation::new(plan().dataflow(), &tables.registry(), settings(1), 1, clock);
    let error = made.err().unwrap();
    assert_eq!(error.class(), ErrorClass::Unsupported);
    assert!(error.to_string().contains("takes only insertions"), "{error}");
}

#[test]
fn settings_that_do_not_fit_are_named() {
    let bad = JobSettings { shards: 200, ..JobSettings::default() };
    assert_eq!(bad.check().unwrap_err().to_string(), "setting shards is 200, must be 1 to 128 (max-parallelism)");
}
