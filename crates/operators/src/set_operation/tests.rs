use crate::OperatorError;
use crate::forgetting::{forgets_alike, touches};
use crate::harness::{Harness, content_text};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use eddyline_changes::KeyGroups;
use eddyline_changes::table::parse_changes;
use eddyline_plan::{OperatorSpec, SetOperation, SetOperationSpec};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

fn input() -> SchemaRef {
    let field = |name: &str, t: DataType| Field::new(name, t, true);
    Arc::new(Schema::new(vec![field("k", DataType::Utf8), field("n", DataType::Int64)]))
}

fn room(operation: SetOperation) -> Harness {
    let spec = OperatorSpec::SetOperation(SetOperationSpec { operation });
    Harness::new(spec, &[input(), input()]).expect("builds")
}

#[test]
fn except_all_takes_a_copy_for_a_copy() {
    let mut h = room(SetOperation::ExceptAll);
    h.process_on(0, "+3 x 1\n+ y 2\n+2 NULL NULL").expect("processes");
    h.process_on(1, "+ x 1\n+2 y 2\n+ NULL NULL\n+ z 3").expect("processes");
    assert_eq!(h.flush().expect("flushes"), "+ NULL NULL\n+2 x 1\n");
    // More on the right than on the left is not owed to later rows of the left.
    h.process_on(0, "+ y 2").expect("processes");
    assert_eq!(h.flush().expect("flushes"), "");
    h.process_on(0, "+ y 2").expect("processes");
    assert_eq!(h.flush().expect("flushes"), "+ y 2\n");
    h.process_on(1, "- x 1\n+3 NULL NULL").expect("processes");
    assert_eq!(h.flush().expect("flushes"), "+ x 1\n- NULL NULL\n");
    assert_eq!(h.content(), "+ y 2\n+3 x 1\n");
}

#[test]
fn intersect_all_has_the_fewer_copies() {
    let mut h = room(SetOperation::IntersectAll);
    h.process_on(0, "+3 x 1\n+ y 2\n+ x NULL").expect("processes");
    h.process_on(1, "+2 x 1\n+ y 3\n+4 x NULL").expect("processes");
    assert_eq!(h.flush().expect("flushes"), "+ x NULL\n+2 x 1\n");
    h.process_on(0, "-2 x 1").expect("processes");
    assert_eq!(h.flush().expect("flushes"), "- x 1\n");
}

#[test]
fn what_comes_and_goes_within_an_epoch_is_not_seen() {
    let mut h = room(SetOperation::ExceptAll);
    h.process_on(0, "+ x 1").expect("processes");
    h.process_on(1, "+ x 1").expect("processes");
    h.process_on(1, "- x 1").expect("processes");
    h.process_on(0, "- x 1").expect("processes");
    assert!(h.flush_batches().expect("flushes").is_empty());
    assert_eq!(h.state(), []);
}

#[test]
fn more_taken_back_than_there_was_is_an_error() {
    for side in [0, 1] {
        let mut h = room(SetOperation::ExceptAll);
        h.process_on(side, "+ x 1\n-2 x 1").expect("the rest may still come");
        let error = h.flush().expect_err("one copy too many");
        assert!(matches!(error, OperatorError::Retraction { operator: "SetOperation", .. }), "{error}");
    }
}

#[test]
fn other_types_on_the_right_are_refused() {
    let right = Arc::new(Schema::new(vec![Field::new("k", DataType::Utf8, true)]));
    let spec = OperatorSpec::SetOperation(SetOperationSpec { operation: SetOperation::IntersectAll });
    assert!(Harness::new(spec, &[input(), right]).is_err());
}

#[test]
fn rows_move_when_a_job_is_rescaled() {
    let mut h = room(SetOperation::IntersectAll);
    let rows: String = (0..40).map(|n| format!("+ k{} {n}\n", n % 10)).collect();
    h.process(&rows).expect("processes");
    h.flush().expect("flushes");
    h.persist().expect("persists");
    let groups = KeyGroups::new(16, 2);
    let changes = parse_changes(&input(), &rows).expect("a change table");
    let hashes = changes.key_hashes(&[0, 1]).expect("hashes");
    let mut found = [0, 0];
    for (shard, found) in found.iter_mut().enumerate() {
        let mut part = Harness::rescaled(&[&h], groups, shard).expect("opens");
        let own = hashes.iter().map(|h| Some(groups.range_of(shard).contains(&groups.group_of(*h))));
        part.apply(1, changes.filter(&own.collect()).expect("filters")).expect("processes");
        *found = part.flush().expect("flushes").lines().count();
    }
    assert!(found[0] > 0 && found[1] > 0 && found[0] + found[1] == 40, "{found:?}");
}

type Row = (Option<&'static str>, i64);

#[derive(Debug, Clone)]
enum Step {
    Insert(usize, Row),
    /// Take back the n-th row of a side.
    Retract(usize, usize),
    Flush,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let row = (prop_oneof![Just(None), Just(Some("x"))], 0..3i64);
    let step = prop_oneof![
        6 => (0..2usize, row).prop_map(|(side, row)| Step::Insert(side, row)),
        4 => (0..2usize, any::<usize>()).prop_map(|(side, n)| Step::Retract(side, n)),
        2 => Just(Step::Flush),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 0..80)
}

fn line((k, n): &Row) -> String {
    format!("{} {n}", k.unwrap_or("NULL"))
}

/// The result, by taking copies one by one out of a list of the right side.
fn answer(operation: SetOperation, [left, right]: &[Vec<Row>; 2]) -> String {
    let mut free = right.clone();
    let mut content: BTreeMap<String, i64> = BTreeMap::new();
    for row in left {
        let found = free.iter().position(|r| r == row);
        if let Some(at) = found {
            free.swap_remove(at);
        }
        if found.is_some() == (operation == SetOperation::IntersectAll) {
            *content.entry(line(row)).or_default() += 1;
        }
    }
    content_text(&content)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Properties 1 to 5 of a room.
    #[test]
    fn it_equals_its_batch_answer(intersect in any::<bool>(), steps in steps(), tight: bool) {
        let operation = if intersect { SetOperation::IntersectAll } else { SetOperation::ExceptAll };
        let mut h = room(operation).tight(tight);
        let mut tables: [Vec<Row>; 2] = [vec![], vec![]];
        let everything = (0..80).flat_map(|_| [Step::Retract(0, 0), Step::Retract(1, 0)]);
        for step in steps.into_iter().chain(everything).chain([Step::Flush, Step::Restart]) {
            match step {
                Step::Insert(side, row) => {
                    h.process_on(side, &format!("+ {}", line(&row))).expect("processes");
                    tables[side].push(row);
                }
                Step::Retract(side, n) => {
                    if !tables[side].is_empty() {
                        let at = n % tables[side].len();
                        let row = tables[side].swap_remove(at);
                        h.process_on(side, &format!("- {}", line(&row))).expect("processes");
                    }
                }
                Step::Flush | Step::Restart => {
                    h.flush().expect("flushes");
                    prop_assert_eq!(h.content(), answer(operation, &tables));
                    if matches!(step, Step::Restart) {
                        h.restart().expect("restarts");
                    }
                }
            }
        }
        prop_assert_eq!(h.content(), "");
        prop_assert_eq!((h.state().len(), h.stored()), (0, 0));
    }
}

#[test]
fn a_row_that_did_not_change_for_a_time_begins_anew() {
    let spec = |operation| OperatorSpec::SetOperation(SetOperationSpec { operation });
    let forgetting = |operation| Harness::forgetting(spec(operation), &[input(), input()], 10).expect("builds");
    let right = |h: &mut Harness, rows: &str| h.process_on(1, rows).expect("processes");

    let mut h = forgetting(SetOperation::ExceptAll);
    right(&mut h, "+ x 1\n+ y 1");
    assert_eq!(h.epoch_at(100, "+2 x 1\n+ y 1\n+ z 1"), "+ x 1\n+ z 1\n");
    // A change of either input touches a row.
    right(&mut h, "+ z 1");
    assert_eq!(h.epoch_at(106, "+ y 1"), "+ y 1\n- z 1\n");
    // x is forgotten, with what the right has of it; y and z are not.
    assert_eq!(h.epoch_at(111, "+ x 1\n+ y 1"), "+ x 1\n+ y 1\n");
    assert_eq!(h.epoch_at(115, "+ z 1"), "+ z 1\n");
    h.epoch_at(200, "");
    assert_eq!(h.state(), []);
    // What is taken back and was forgotten is let go, and owed to nobody.
    right(&mut h, "- x 1\n- y 1");
    assert_eq!(h.epoch_at(201, "-2 x 1"), "");
    assert_eq!(h.state(), []);
    assert_eq!(h.epoch_at(202, "+ x 1"), "+ x 1\n");
    assert_eq!(h.epoch_at(203, "-2 x 1"), "- x 1\n");

    let mut h = forgetting(SetOperation::IntersectAll);
    right(&mut h, "+2 x 1");
    assert_eq!(h.epoch_at(100, "+2 x 1"), "+2 x 1\n");
    // A restart changes nothing of it.
    h.restart().expect("restarts");
    assert_eq!(h.epoch_at(105, "- x 1"), "- x 1\n");
    assert_eq!(h.epoch_at(114, "+ x 1"), "+ x 1\n");
    h.restart().expect("restarts");
    assert_eq!(h.epoch_at(124, "+ x 1"), "", "the right has forgotten it too");
    h.epoch_at(200, "");
    h.restart().expect("restarts");
    assert_eq!(h.stored(), 0);
}

proptest! {
    #[test]
    fn what_is_forgotten_does_not_depend_on_memory(touches in touches(true), intersect: bool) {
        let operation = if intersect { SetOperation::IntersectAll } else { SetOperation::ExceptAll };
        let rows = ["x 1", "x 2", "y 1", "z 7", "NULL NULL"];
        let spec = OperatorSpec::SetOperation(SetOperationSpec { operation });
        forgets_alike(&spec, &[input(), input()], &[&rows, &rows], &touches);
    }
}
