use crate::OperatorError;
use crate::forgetting::{forgets_alike, touches};
use crate::harness::Harness;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use eddyline_plan::{Conflict, OperatorSpec, SinkMaterializeSpec};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

fn input() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("product", DataType::Utf8, true),
        Field::new("order_id", DataType::Int64, true),
    ]))
}

fn room(conflict: Conflict) -> Harness {
    let spec = SinkMaterializeSpec { table: "product_orders".into(), key: vec![0], conflict };
    Harness::new(OperatorSpec::SinkMaterialize(spec), &[input()]).expect("builds")
}

fn step(h: &mut Harness, changes: &str) -> String {
    h.process(changes).expect("processes");
    h.flush().expect("flushes")
}

#[test]
fn the_last_one_that_came_is_written_and_the_one_before_comes_back() {
    let mut h = room(Conflict::Deduplicate);
    assert_eq!(step(&mut h, "+ laptop 1\n+ phone 2\n+ laptop 3"), "+ laptop 3\n+ phone 2\n");
    assert_eq!(step(&mut h, "- laptop 3"), "+ laptop 1\n- laptop 3\n");
    assert_eq!(step(&mut h, "- laptop 1"), "- laptop 1\n");
    assert_eq!(step(&mut h, "- phone 2"), "- phone 2\n");
    assert_eq!(h.state(), vec![]);
}

#[test]
fn the_first_one_that_is_there_is_written() {
    let mut h = room(Conflict::Nothing);
    assert_eq!(step(&mut h, "+ laptop 1\n+ phone 2\n+ laptop 3"), "+ laptop 1\n+ phone 2\n");
    assert_eq!(step(&mut h, "+ laptop 0"), "");
    assert_eq!(step(&mut h, "- laptop 3"), "");
    assert_eq!(step(&mut h, "- laptop 1"), "+ laptop 0\n- laptop 1\n");
}

#[test]
fn different_rows_with_one_key_are_an_error() {
    let mut h = room(Conflict::Error);
    // Moved within an epoch: one row remains, in whatever order it is told.
    assert_eq!(step(&mut h, "+ laptop 1"), "+ laptop 1\n");
    assert_eq!(step(&mut h, "+ laptop 3\n- laptop 1\n+ phone 1"), "+ laptop 3\n+ phone 1\n- laptop 1\n");
    // The same row twice is no conflict.
    assert_eq!(step(&mut h, "+ phone 1"), "");
    h.process("+ laptop 4").expect("processes");
    let error = h.flush().expect_err("a conflict");
    assert_eq!(
        error.to_string(),
        "table product_orders: several rows have the key (laptop): (laptop, 3) and (laptop, 4), and ON CONFLICT is DO ERROR"
    );
}

#[test]
fn the_order_within_an_epoch_in_which_a_row_goes_and_comes_means_nothing() {
    for changes in ["- laptop 1\n+ laptop 2", "+ laptop 2\n- laptop 1"] {
        for conflict in [Conflict::Deduplicate, Conflict::Nothing, Conflict::Error] {
            let mut h = room(conflict);
            step(&mut h, "+ laptop 1");
            assert_eq!(step(&mut h, changes), "+ laptop 2\n- laptop 1\n");
            assert_eq!(step(&mut h, "- laptop 2"), "- laptop 2\n");
        }
    }
    // A row that goes and comes back keeps its place.
    let mut h = room(Conflict::Deduplicate);
    step(&mut h, "+ laptop 1\n+ laptop 2");
    assert_eq!(step(&mut h, "- laptop 1\n+ laptop 1"), "");
}

#[test]
fn copies_are_taken_back_one_by_one() {
    let mut h = room(Conflict::Deduplicate);
    assert_eq!(step(&mut h, "+2 laptop 1\n+ laptop 2"), "+ laptop 2\n");
    assert_eq!(step(&mut h, "+ laptop 1"), "+ laptop 1\n- laptop 2\n");
    // The copy that came last goes first.
    assert_eq!(step(&mut h, "- laptop 1"), "+ laptop 2\n- laptop 1\n");
    assert_eq!(step(&mut h, "- laptop 2"), "+ laptop 1\n- laptop 2\n");
    assert_eq!(step(&mut h, "-2 laptop 1"), "- laptop 1\n");
    assert_eq!(h.state(), vec![]);
}

#[test]
fn what_was_never_there_cannot_be_taken_back() {
    for changes in ["- laptop 1", "- phone 1"] {
        let mut h = room(Conflict::Deduplicate);
        step(&mut h, "+ laptop 2");
        h.process(changes).expect("processes");
        assert!(matches!(h.flush(), Err(OperatorError::Retraction { .. })), "{changes}");
    }
}

#[test]
fn rows_and_their_order_survive_a_restart() {
    let mut h = room(Conflict::Deduplicate);
    step(&mut h, "+ laptop 1\n+ laptop 3\n+ laptop 2\n+ NULL 7");
    h.restart().expect("restarts");
    assert_eq!(step(&mut h, "- laptop 2"), "+ laptop 3\n- laptop 2\n");
    h.restart().expect("restarts");
    assert_eq!(step(&mut h, "- laptop 3\n- laptop 1\n- NULL 7"), "- NULL 7\n- laptop 3\n");
    h.persist().expect("persists");
    assert_eq!(h.stored(), 0);
}

/// Rows added and taken back, with ends of epochs and restarts between.
#[derive(Debug, Clone)]
enum Step {
    Add(u8, u8),
    TakeBack(u8),
    Flush,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0u8..4, 0u8..4).prop_map(|(k, v)| Step::Add(k, v)),
        4 => any::<u8>().prop_map(Step::TakeBack),
        2 => Just(Step::Flush),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 0..60)
}

fn lines(rows: &[(u8, u8)]) -> BTreeMap<u8, Vec<String>> {
    let mut by_key: BTreeMap<u8, Vec<String>> = BTreeMap::new();
    rows.iter().for_each(|(k, v)| by_key.entry(*k).or_default().push(format!("{k} {v}")));
    by_key
}

proptest! {
    /// Of a model that is cut in epochs of one change each: every change is an epoch, so the order is known.
    #[test]
    fn there_is_one_row_of_those_with_the_key(steps in steps(), first in any::<bool>(), tight: bool) {
        let mut h = room(if first { Conflict::Nothing } else { Conflict::Deduplicate }).tight(tight);
        let mut rows: Vec<(u8, u8)> = Vec::new();
        for step in steps {
            let change = match step {
                Step::Add(k, v) => {
                    rows.push((k, v));
                    format!("+ {k} {v}")
                }
                Step::TakeBack(at) if !rows.is_empty() => {
                    let gone = rows[usize::from(at) % rows.len()];
                    let last = rows.iter().rposition(|row| *row == gone).expect("it is there");
                    rows.remove(last);
                    format!("- {} {}", gone.0, gone.1)
                }
                Step::Restart => {
                    h.restart().expect("restarts");
                    continue;
                }
                Step::Flush | Step::TakeBack(_) => continue,
            };
            h.process(&change).expect("processes");
            h.flush().expect("flushes");
            let wanted: Vec<String> = lines(&rows)
                .values()
                .filter_map(|rows| if first { rows.first() } else { rows.last() })
                .map(|row| format!("+ {row}\n"))
                .collect();
            prop_assert_eq!(h.content(), wanted.concat());
        }
    }

    /// In any epochs: one row per key, and one that is there.
    #[test]
    fn epochs_change_nothing_about_that(steps in steps()) {
        let mut h = room(Conflict::Deduplicate);
        let mut rows: Vec<(u8, u8)> = Vec::new();
        for step in steps.iter().chain([&Step::Flush]) {
            match step {
                Step::Add(k, v) => {
                    rows.push((*k, *v));
                    h.process(&format!("+ {k} {v}")).expect("processes");
                }
                Step::TakeBack(at) if !rows.is_empty() => {
                    let (k, v) = rows.remove(usize::from(*at) % rows.len());
                    h.process(&format!("- {k} {v}")).expect("processes");
                }
                Step::TakeBack(_) => {}
                Step::Flush | Step::Restart => {
                    h.flush().expect("flushes");
                    let content = h.content();
                    let known = lines(&rows);
                    prop_assert_eq!(content.lines().count(), known.len());
                    for (line, rows) in content.lines().zip(known.values()) {
                        prop_assert!(rows.contains(&line[2..].to_owned()), "{} of {:?}", line, rows);
                    }
                    if matches!(step, Step::Restart) {
                        h.restart().expect("restarts");
                    }
                }
            }
        }
        for (k, v) in rows {
            h.process(&format!("- {k} {v}")).expect("processes");
        }
        h.flush().expect("flushes");
        prop_assert_eq!(h.content(), "");
        prop_assert_eq!(h.state(), vec![]);
        h.persist().expect("persists");
        prop_assert_eq!(h.stored(), 0);
    }
}

#[test]
fn a_key_that_was_not_touched_for_a_time_is_new() {
    let spec = SinkMaterializeSpec { table: "t".into(), key: vec![0], conflict: Conflict::Deduplicate };
    let mut h = Harness::forgetting(OperatorSpec::SinkMaterialize(spec), &[input()], 10).expect("builds");
    assert_eq!(h.epoch_at(100, "+ laptop 1\n+ phone 1"), "+ laptop 1\n+ phone 1\n");
    assert_eq!(h.epoch_at(105, "+ laptop 2"), "+ laptop 2\n- laptop 1\n");
    // Of phone nothing is known: its new row is written, and the old one need not be taken back.
    assert_eq!(h.epoch_at(110, "+ phone 2\n- phone 1"), "+ phone 2\n");
    assert_eq!(h.epoch_at(111, "- laptop 2"), "+ laptop 1\n- laptop 2\n");
    assert_eq!(h.epoch_at(119, "-2 phone 2"), "- phone 2\n");
    // A restart changes nothing of it: laptop was touched at 111.
    h.restart().expect("restarts");
    assert_eq!(h.epoch_at(120, "+ laptop 3"), "+ laptop 3\n- laptop 1\n");
    h.restart().expect("restarts");
    assert_eq!(h.epoch_at(130, "+ laptop 4"), "+ laptop 4\n");
    assert_eq!(h.epoch_at(200, "-2 laptop 4"), "");
    assert_eq!(h.state(), vec![]);
    h.restart().expect("restarts");
    assert_eq!(h.stored(), 0);
}

proptest! {
    #[test]
    fn what_is_forgotten_does_not_depend_on_memory(touches in touches(true), first: bool) {
        let conflict = if first { Conflict::Nothing } else { Conflict::Deduplicate };
        let spec = OperatorSpec::SinkMaterialize(SinkMaterializeSpec { table: "t".into(), key: vec![0], conflict });
        let rows = ["a 1", "a 2", "b 1", "b 2", "c 1", "d 1", "e 1"];
        forgets_alike(&spec, &[input()], &[&rows], &touches);
    }
}
