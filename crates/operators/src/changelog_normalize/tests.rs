use crate::forgetting::{forgets_alike, touches};
use crate::harness::{Harness, content_text};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use eddyline_changes::Watermark;
use eddyline_changes::table::format_changes;
use eddyline_plan::{ChangelogNormalizeSpec, OperatorSpec};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The key stands between other columns.
fn input() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("name", DataType::Utf8, true),
        Field::new("id", DataType::Int64, false),
        Field::new("n", DataType::Int64, true),
    ]))
}

fn room() -> Harness {
    let spec = ChangelogNormalizeSpec { key: vec![1] };
    Harness::new(OperatorSpec::ChangelogNormalize(spec), &[input()]).expect("builds")
}

fn step(h: &mut Harness, changes: &str) -> String {
    h.process(changes).expect("processes");
    h.flush().expect("flushes")
}

#[test]
fn a_row_takes_the_place_of_the_one_with_its_key() {
    let mut h = room();
    assert_eq!(step(&mut h, "+ a 1 10\n+ b 2 20"), "+ a 1 10\n+ b 2 20\n");
    assert_eq!(step(&mut h, "+ a 1 11"), "+ a 1 11\n- a 1 10\n");
    // Of several rows in an epoch the last one counts.
    assert_eq!(step(&mut h, "+ x 2 1\n+ y 2 2\n+ z 2 3"), "+ z 2 3\n- b 2 20\n");
}

#[test]
fn the_row_that_goes_stands_before_the_row_that_comes() {
    let mut h = room();
    step(&mut h, "+ a 1 10");
    h.process("+ b 1 11").expect("processes");
    let batches = h.flush_batches().expect("flushes");
    assert_eq!(batches.iter().map(format_changes).collect::<String>(), "- a 1 10\n+ b 1 11\n");
}

#[test]
fn a_deletion_takes_the_row_back_whatever_it_says() {
    let mut h = room();
    step(&mut h, "+ a 1 10\n+ b 2 20");
    assert_eq!(step(&mut h, "- NULL 1 NULL"), "- a 1 10\n");
    assert_eq!(step(&mut h, "- other 2 0\n+ c 2 21"), "+ c 2 21\n- b 2 20\n");
    assert_eq!(step(&mut h, "+ d 2 22\n- NULL 2 NULL"), "- c 2 21\n");
    assert_eq!(h.content(), "");
    assert_eq!(h.state(), vec![]);
}

#[test]
fn an_equal_row_changes_nothing() {
    let mut h = room();
    step(&mut h, "+ a 1 NULL");
    h.process("+ b 1 5\n+ a 1 NULL").expect("processes");
    assert_eq!(h.flush_batches().expect("flushes").len(), 0);
    assert_eq!(step(&mut h, "+3 a 1 NULL"), "");
}

#[test]
fn deletions_of_nothing_are_counted() {
    let mut h = room();
    assert_eq!(step(&mut h, "- NULL 1 NULL\n- NULL 1 NULL"), "");
    assert_eq!(h.rejected("unknown key"), 2);
    assert_eq!(step(&mut h, "+ a 1 1\n- NULL 1 NULL\n- NULL 1 NULL"), "");
    assert_eq!(h.rejected("unknown key"), 3);
    assert_eq!(h.state(), vec![]);
}

#[test]
fn what_came_before_a_watermark_goes_before_it() {
    let mut h = room();
    h.process("+ a 1 10").expect("processes");
    h.advance(Watermark(10)).expect("advances");
    assert_eq!(h.take().iter().map(format_changes).collect::<String>(), "+ a 1 10\n");
    h.process("+ b 1 11").expect("processes");
    assert_eq!(h.flush().expect("flushes"), "+ b 1 11\n- a 1 10\n");
}

#[test]
fn rows_survive_a_restart() {
    let mut h = room();
    step(&mut h, "+ a 1 10\n+ b 2 20\n+ c 3 30");
    h.restart().expect("restarts");
    assert_eq!(step(&mut h, "- NULL 2 NULL\n+ a 1 10"), "- b 2 20\n");
    h.restart().expect("restarts");
    assert_eq!(h.stored(), 2);
    assert_eq!(step(&mut h, "- NULL 1 NULL\n- NULL 2 NULL\n- NULL 3 NULL"), "- a 1 10\n- c 3 30\n");
    assert_eq!(h.rejected("unknown key"), 1);
    h.persist().expect("persists");
    assert_eq!(h.stored(), 0);
}

#[test]
fn a_key_alone_is_a_row_too() {
    let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Utf8, false)]));
    let spec = ChangelogNormalizeSpec { key: vec![0] };
    let mut h = Harness::new(OperatorSpec::ChangelogNormalize(spec), &[schema]).expect("builds");
    assert_eq!(step(&mut h, "+ a\n+ b"), "+ a\n+ b\n");
    assert_eq!(step(&mut h, "+ a\n- b"), "- b\n");
}

/// Upserts and deletions, with ends of epochs and restarts between.
#[derive(Debug, Clone)]
enum Step {
    Upsert(u8, u8),
    Delete(u8),
    Flush,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0u8..5, 0u8..3).prop_map(|(k, v)| Step::Upsert(k, v)),
        3 => (0u8..5).prop_map(Step::Delete),
        2 => Just(Step::Flush),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    #[test]
    fn the_output_is_the_table(steps in steps(), tight: bool) {
        let mut h = room().tight(tight);
        let mut table: BTreeMap<u8, u8> = BTreeMap::new();
        for step in steps.iter().chain([&Step::Flush]) {
            match step {
                Step::Upsert(k, v) => {
                    table.insert(*k, *v);
                    h.process(&format!("+ v{v} {k} {v}")).expect("processes");
                }
                Step::Delete(k) => {
                    table.remove(k);
                    h.process(&format!("- NULL {k} NULL")).expect("processes");
                }
                Step::Flush | Step::Restart => {
                    h.flush().expect("flushes");
                    let wanted = table.iter().map(|(k, v)| (format!("v{v} {k} {v}"), 1)).collect();
                    prop_assert_eq!(h.content(), content_text(&wanted));
                    if matches!(step, Step::Restart) {
                        h.restart().expect("restarts");
                    }
                }
            }
        }
        for k in 0..5 {
            h.process(&format!("- NULL {k} NULL")).expect("processes");
        }
        h.flush().expect("flushes");
        prop_assert_eq!(h.content(), "");
        prop_assert_eq!(h.state(), vec![]);
        h.persist().expect("persists");
        prop_assert_eq!(h.stored(), 0);
    }
}

#[test]
fn a_key_for_which_no_row_came_for_a_time_is_new() {
    let spec = OperatorSpec::ChangelogNormalize(ChangelogNormalizeSpec { key: vec![1] });
    let mut h = Harness::forgetting(spec, &[input()], 10).expect("builds");
    assert_eq!(h.epoch_at(100, "+ a 1 1\n+ b 2 1"), "+ a 1 1\n+ b 2 1\n");
    // An equal row touches its key.
    assert_eq!(h.epoch_at(108, "+ a 1 1"), "");
    assert_eq!(h.epoch_at(112, "+ a 1 2\n+ b 2 2"), "+ a 1 2\n+ b 2 2\n- a 1 1\n", "nothing is known of b");
    // A restart changes nothing of it: both were touched at 112.
    h.restart().expect("restarts");
    assert_eq!(h.epoch_at(121, "+ b 2 3"), "+ b 2 3\n- b 2 2\n");
    assert_eq!(h.epoch_at(122, "+ a 1 3"), "+ a 1 3\n");
    // The deletion of what was forgotten changes nothing.
    assert_eq!(h.epoch_at(131, "- NULL 2 NULL"), "");
    assert_eq!(h.epoch_at(132, ""), "");
    assert_eq!(h.state(), vec![]);
    h.restart().expect("restarts");
    assert_eq!(h.stored(), 0);
}

proptest! {
    #[test]
    fn what_is_forgotten_does_not_depend_on_memory(touches in touches(true)) {
        let spec = OperatorSpec::ChangelogNormalize(ChangelogNormalizeSpec { key: vec![1] });
        let rows = ["a 1 1", "b 1 1", "a 2 1", "a 3 1", "a 3 2", "c 4 1", "c 5 1"];
        forgets_alike(&spec, &[input()], &[&rows], &touches);
    }
}
