use crate::forgetting::{forgets_alike, touches};
use crate::harness::{Harness, add_rows, content_text};
use arrow::array::UInt32Array;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use eddyline_changes::table::parse_changes;
use eddyline_changes::{ChangeBatch, KeyGroups};
use eddyline_plan::{AggregateCall, AggregatePhase, GroupAggregateSpec, OperatorSpec};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("k", DataType::Utf8, true),
        Field::new("j", DataType::Int64, true),
        Field::new("v", DataType::Int64, true),
        Field::new("f", DataType::Boolean, true),
    ]))
}

fn call(function: &str, arg: Option<usize>, distinct: bool, filter: Option<usize>) -> AggregateCall {
    AggregateCall {
        function: function.into(),
        args: arg.into_iter().collect(),
        arg_types: arg.map(|_| DataType::Int64).into_iter().collect(),
        distinct,
        filter,
        return_type: DataType::Int64,
        name: format!("{function}{arg:?}{distinct}{filter:?}"),
        list: Default::default(),
    }
}

fn calls(extremes: bool, distinct: bool) -> Vec<AggregateCall> {
    let mut calls = vec![
        call("count", None, false, None),
        call("count", Some(2), false, Some(3)),
        call("sum", Some(2), false, None),
    ];
    if extremes {
        calls.push(call("min", Some(2), false, None));
        calls.push(call("max", Some(2), false, Some(3)));
    }
    if distinct {
        calls.push(call("count", Some(2), true, None));
        calls.push(call("avg", Some(2), true, Some(3)));
        calls.push(call("count", Some(1), true, Some(3)));
    }
    calls.push(call("avg", Some(2), false, None));
    calls
}

fn spec(keys: &[usize], calls: Vec<AggregateCall>, append_only: bool) -> GroupAggregateSpec {
    GroupAggregateSpec { keys: keys.to_vec(), calls, phase: AggregatePhase::Single, append_only }
}

fn single(spec: &GroupAggregateSpec) -> Harness {
    Harness::new(OperatorSpec::GroupAggregate(spec.clone()), &[schema()]).expect("builds")
}

/// k, j, v, f.
type Row = (Option<&'static str>, Option<i64>, Option<i64>, Option<bool>);

fn show<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "NULL".to_owned(), |v| v.to_string())
}

fn line(row: &Row) -> String {
    format!("{} {} {} {}", show(row.0), show(row.1), show(row.2), show(row.3))
}

/// What the aggregate of `rows` is, worked out row by row.
fn answer(spec: &GroupAggregateSpec, rows: &[Row]) -> String {
    let column = |row: &Row, at: usize| match at {
        0 => show(row.0),
        1 => show(row.1),
        2 => show(row.2),
        _ => show(row.3),
    };
    let mut groups: BTreeMap<Vec<String>, Vec<Row>> = BTreeMap::new();
    if spec.keys.is_empty() {
        groups.insert(Vec::new(), Vec::new());
    }
    for row in rows {
        groups.entry(spec.keys.iter().map(|k| column(row, *k)).collect()).or_default().push(*row);
    }
    let mut content = BTreeMap::new();
    for (key, rows) in groups {
        let mut words = key;
        for call in &spec.calls {
            let passing = rows.iter().filter(|r| call.filter.is_none() || r.3 == Some(true));
            let mut values: Vec<i64> = match call.args.first() {
                None => passing.map(|_| 0).collect(),
                Some(1) => passing.filter_map(|r| r.1).collect(),
                Some(_) => passing.filter_map(|r| r.2).collect(),
            };
            if call.distinct {
                values = values.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
            }
            let sum = (!values.is_empty()).then(|| values.iter().sum::<i64>());
            words.push(match call.function.as_str() {
                "count" => values.len().to_string(),
                "sum" => show(sum),
                "avg" => show(sum.map(|s| s / values.len() as i64)),
                "min" => show(values.iter().min()),
                _ => show(values.iter().max()),
            });
        }
        *content.entry(words.join(" ")).or_insert(0) += 1;
    }
    content_text(&content)
}

#[test]
fn a_group_is_retracted_and_inserted_once_per_epoch() {
    let mut h = single(&spec(&[0], vec![call("count", None, false, None), call("sum", Some(2), false, None)], false));
    h.process("+ a 0 1 true\n+ a 0 2 true\n+2 b 0 5 true").expect("processes");
    assert_eq!(h.flush().expect("flushes"), "+ a 2 3\n+ b 2 10\n");
    h.process("- a 0 1 true\n+ a 0 7 true").expect("processes");
    h.process("+ a 0 1 true\n-2 b 0 5 true").expect("processes");
    assert_eq!(h.flush().expect("flushes"), "+ a 3 10\n- a 2 3\n- b 2 10\n");
    assert_eq!(h.flush().expect("flushes"), "");
}

#[test]
fn what_does_not_change_a_result_is_not_emitted() {
    let mut h = single(&spec(&[0], vec![call("max", Some(2), false, None)], true));
    h.process("+ a 0 5 true").expect("processes");
    h.flush().expect("flushes");
    h.process("+ a 0 3 true").expect("processes");
    assert!(h.flush_batches().expect("flushes").is_empty());
}

#[test]
fn a_retraction_stands_before_the_insertion_that_replaces_it() {
    let mut h = single(&spec(&[0], vec![call("count", None, false, None)], false));
    h.process("+ a 0 1 true\n+ b 0 1 true").expect("processes");
    h.flush().expect("flushes");
    h.process("+ b 0 1 true\n+ a 0 1 true").expect("processes");
    let batches = h.flush_batches().expect("flushes");
    let text = eddyline_changes::table::format_changes(&batches[0]);
    assert_eq!(text, "- b 1\n+ b 2\n- a 1\n+ a 2\n");
}

#[test]
fn without_keys_there_is_a_row_from_the_first_flush_on_and_only_where_it_belongs() {
    let spec = spec(&[], vec![call("count", None, false, None), call("sum", Some(2), false, None)], false);
    let mut h = single(&spec);
    assert_eq!(h.flush().expect("flushes"), "+ 0 NULL\n");
    h.restart().expect("restarts");
    assert_eq!(h.flush().expect("flushes"), "");
    h.process("+ a 0 1 true").expect("processes");
    assert_eq!(h.flush().expect("flushes"), "+ 1 1\n- 0 NULL\n");
    h.restart().expect("restarts");
    h.process("- a 0 1 true").expect("processes");
    assert_eq!(h.flush().expect("flushes"), "+ 0 NULL\n- 1 1\n");

    let groups = KeyGroups::new(16, 2);
    let owner = groups.shard_of(0);
    let mut other =
        Harness::sharded(OperatorSpec::GroupAggregate(spec), &[schema()], groups, 1 - owner).expect("builds");
    assert_eq!(other.flush().expect("flushes"), "");
}

#[test]
fn distinct_is_an_aggregate_without_calls() {
    let mut h = single(&spec(&[0, 1], vec![], false));
    h.process("+ a 1 1 true\n+ a 1 2 true\n+ NULL 1 2 true").expect("processes");
    assert_eq!(h.flush().expect("flushes"), "+ NULL 1\n+ a 1\n");
    h.process("- a 1 1 true").expect("processes");
    assert_eq!(h.flush().expect("flushes"), "");
    h.process("- a 1 2 true").expect("processes");
    assert_eq!(h.flush().expect("flushes"), "- a 1\n");
}

#[test]
fn a_row_that_was_never_there_cannot_be_taken_back() {
    let mut h = single(&spec(&[0], vec![call("count", None, false, None)], false));
    h.process("- a 1 1 true").expect("processes");
    let error = h.flush().expect_err("a negative group");
    assert_eq!(error.to_string(), "GroupAggregate: a row is retracted that was never inserted: key (a)");
    // The order within an epoch does not matter.
    let mut h = single(&spec(&[0], calls(true, true), false));
    h.process("- a 1 1 true").expect("processes");
    h.process("+ a 1 1 true").expect("processes");
    assert_eq!(h.flush().expect("flushes"), "");
    assert_eq!(h.state(), []);
}

#[test]
fn a_row_that_was_never_there_is_noticed_when_none_is_left() {
    for keys in [&[0usize] as &[usize], &[]] {
        // A count of values does not know which they were.
        for (at, call) in calls(true, true).into_iter().enumerate().skip(2) {
            let mut h = single(&spec(keys, vec![call], false));
            h.process("+ a 1 1 true").expect("processes");
            h.flush().expect("flushes");
            h.process("- a 2 2 true").expect("processes");
            let error = h.flush().map(drop).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(error.contains("a row is retracted that was never inserted"), "call {at} by {keys:?}: {error}");
        }
    }
    let mut h = single(&spec(&[0], vec![call("count", Some(2), false, Some(3))], false));
    h.process("+ a 1 1 false").expect("processes");
    h.process("- a 1 1 true").expect("processes");
    assert!(h.flush().is_err(), "the filter took none in");
}

#[test]
fn min_and_max_over_retractions_are_not_aggregated_locally() {
    let mut spec = spec(&[0], calls(true, false), false);
    spec.phase = AggregatePhase::Local;
    let error = Harness::new(OperatorSpec::GroupAggregate(spec), &[schema()]).err().expect("refused");
    assert!(error.to_string().contains("cannot be aggregated locally"), "{error}");
}

#[derive(Debug, Clone)]
enum Step {
    /// Rows to insert, and which of the rows that are there to take back.
    Rows(Vec<Row>, Vec<prop::sample::Index>),
    Flush,
    Restart,
}

fn row() -> impl Strategy<Value = Row> {
    let key = prop_oneof![Just(Some("a")), Just(Some("b")), Just(Some("a_key_of_more_than_15_bytes")), Just(None)];
    let value = prop_oneof![6 => (-2i64..4).prop_map(Some), 1 => Just(None)];
    (key, prop::option::of(0i64..3), value, prop::option::of(any::<bool>()))
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let rows = (prop::collection::vec(row(), 0..6), prop::collection::vec(any::<prop::sample::Index>(), 0..4));
    let step =
        prop_oneof![4 => rows.prop_map(|(r, d)| Step::Rows(r, d)), 2 => Just(Step::Flush), 1 => Just(Step::Restart)];
    prop::collection::vec(step, 1..12)
}

/// The change table of a step, applied to `live` as well.
fn table(live: &mut Vec<Row>, insert: &[Row], take: &[prop::sample::Index], append_only: bool) -> String {
    let mut text = String::new();
    for row in insert {
        text += &format!("+ {}\n", line(row));
        live.push(*row);
    }
    for index in take.iter().filter(|_| !append_only) {
        if !live.is_empty() {
            let row = live.swap_remove(index.index(live.len()));
            text += &format!("- {}\n", line(&row));
        }
    }
    text
}

fn keys() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![Just(vec![]), Just(vec![0]), Just(vec![1]), Just(vec![1, 0])]
}

proptest! {
    #[test]
    fn accumulated_output_is_the_batch_answer(keys in keys(), steps in steps(), append_only: bool, tight: bool) {
        let spec = spec(&keys, calls(true, true), append_only);
        let mut h = single(&spec).tight(tight);
        let mut live = Vec::new();
        for step in &steps {
            match step {
                Step::Rows(insert, take) => h.process(&table(&mut live, insert, take, append_only)).expect("processes"),
                Step::Flush => {
                    h.flush().expect("flushes");
                    prop_assert_eq!(h.content(), answer(&spec, &live));
                }
                Step::Restart => {
                    h.flush().expect("flushes");
                    h.restart().expect("restarts");
                }
            }
        }
        h.flush().expect("flushes");
        prop_assert_eq!(h.content(), answer(&spec, &live));
        if !append_only {
            let all: String = live.iter().map(|r| format!("- {}\n", line(r))).collect();
            h.process(&all).expect("processes");
            h.flush().expect("flushes");
            prop_assert_eq!(h.content(), answer(&spec, &[]));
            let rest = usize::from(keys.is_empty());
            prop_assert_eq!(h.state().iter().map(|(_, n)| n).sum::<usize>(), rest);
            h.persist().expect("persists");
            prop_assert_eq!(h.stored(), rest);
        }
    }

    #[test]
    fn phases_together_are_the_single_phase(
        keys in keys(),
        steps in steps(),
        append_only: bool,
        distinct: bool,
        dealt in prop::collection::vec(0usize..2, 64),
        tight: bool,
    ) {
        let spec = spec(&keys, calls(append_only, distinct), append_only);
        let mut pipeline = Pipeline::new(&spec, tight);
        let mut live = Vec::new();
        let mut dealt = dealt.into_iter().cycle();
        for step in &steps {
            match step {
                Step::Rows(insert, take) => {
                    for line in table(&mut live, insert, take, append_only).lines() {
                        pipeline.locals[dealt.next().unwrap_or(0)].process(line).expect("processes");
                    }
                }
                Step::Flush => {
                    pipeline.flush();
                    prop_assert_eq!(pipeline.content(), answer(&spec, &live));
                }
                Step::Restart => {
                    pipeline.flush();
                    pipeline.restart();
                }
            }
        }
        pipeline.flush();
        prop_assert_eq!(pipeline.content(), answer(&spec, &live));
        if !append_only {
            let all: String = live.iter().map(|r| format!("- {}\n", line(r))).collect();
            pipeline.locals[0].process(&all).expect("processes");
            pipeline.flush();
            prop_assert_eq!(pipeline.content(), answer(&spec, &[]));
            let left: usize =
                pipeline.stateful().flat_map(|h| h.state()).map(|(_, entries)| entries).sum();
            prop_assert_eq!(left, usize::from(keys.is_empty()));
        }
    }
}

/// Local → Distinct → Global, two of each.
struct Pipeline {
    locals: Vec<Harness>,
    distincts: Vec<Harness>,
    globals: Vec<Harness>,
    distribution: Vec<usize>,
    keys: Vec<usize>,
    groups: KeyGroups,
}

impl Pipeline {
    fn new(spec: &GroupAggregateSpec, tight: bool) -> Self {
        let groups = KeyGroups::new(16, 2);
        let keys: Vec<usize> = (0..spec.keys.len()).collect();
        let two = |spec: GroupAggregateSpec, input: &SchemaRef| -> Vec<Harness> {
            let one = |shard| {
                Harness::sharded(OperatorSpec::GroupAggregate(spec.clone()), std::slice::from_ref(input), groups, shard)
                    .expect("builds")
                    .tight(tight)
            };
            vec![one(0), one(1)]
        };
        let partial = spec.partial_schema(&schema());
        let after = |phase| GroupAggregateSpec { phase, keys: keys.clone(), ..spec.clone() };
        let distincts = match spec.distinct_sets().is_empty() {
            true => Vec::new(),
            false => two(after(AggregatePhase::Distinct), &partial),
        };
        Self {
            locals: two(GroupAggregateSpec { phase: AggregatePhase::Local, ..spec.clone() }, &schema()),
            distincts,
            globals: two(after(AggregatePhase::Global), &partial),
            distribution: if spec.distinct_sets().is_empty() { vec![] } else { spec.distinct_distribution(&partial) },
            keys,
            groups,
        }
    }

    fn flush(&mut self) {
        let mut batches: Vec<ChangeBatch> =
            self.locals.iter_mut().flat_map(|l| l.flush_batches().expect("flushes")).collect();
        if !self.distincts.is_empty() {
            exchange(&batches, &self.distribution, self.groups, &mut self.distincts);
            batches = self.distincts.iter_mut().flat_map(|d| d.flush_batches().expect("flushes")).collect();
        }
        exchange(&batches, &self.keys, self.groups, &mut self.globals);
        self.globals.iter_mut().for_each(|g| {
            g.flush().expect("flushes");
        });
    }

    fn stateful(&mut self) -> impl Iterator<Item = &mut Harness> {
        self.locals.iter_mut().chain(&mut self.distincts).chain(&mut self.globals)
    }

    fn restart(&mut self) {
        self.stateful().for_each(|h| h.restart().expect("restarts"));
    }

    fn content(&self) -> String {
        let mut content = BTreeMap::new();
        for global in &self.globals {
            let changes = parse_changes(global.schema(), &global.content()).expect("a change table");
            add_rows(&mut content, &changes);
        }
        content_text(&content)
    }
}

/// Deals the rows out by the hash of `columns`.
fn exchange(batches: &[ChangeBatch], columns: &[usize], groups: KeyGroups, to: &mut [Harness]) {
    for batch in batches {
        let hashes = batch.key_hashes(columns).expect("hashes");
        for (shard, target) in to.iter_mut().enumerate() {
            let rows = (0..batch.num_rows() as u32).filter(|row| groups.shard_of(hashes[*row as usize]) == shard);
            let part = batch.take(&UInt32Array::from_iter_values(rows)).expect("takes");
            if !part.is_empty() {
                target.apply(0, part).expect("processes");
            }
        }
    }
}

/// Forgets what was not touched for ten milliseconds.
fn forgetting(keys: &[usize], calls: Vec<AggregateCall>, append_only: bool) -> Harness {
    let spec = OperatorSpec::GroupAggregate(spec(keys, calls, append_only));
    Harness::forgetting(spec, &[schema()], 10).expect("builds")
}

#[test]
fn a_group_that_was_not_touched_for_its_time_begins_anew() {
    let mut h = forgetting(&[0], vec![call("count", None, false, None), call("sum", Some(2), false, None)], true);
    assert_eq!(h.epoch_at(100, "+ x 1 5 true\n+ y 1 7 true"), "+ x 1 5\n+ y 1 7\n");
    assert_eq!(h.epoch_at(109, "+ x 1 1 true"), "+ x 2 6\n- x 1 5\n");
    // y was touched at 100, x at 109. What was put out of y stays.
    assert_eq!(h.epoch_at(110, "+ y 1 2 true"), "+ y 1 2\n");
    assert_eq!(h.epoch_at(118, "+ x 1 1 true"), "+ x 3 7\n- x 2 6\n");
    assert_eq!(h.epoch_at(200, ""), "");
    assert_eq!(h.state(), []);
    // A restart changes nothing of it.
    h.epoch_at(300, "+ z 1 1 true");
    h.restart().expect("restarts");
    assert_eq!(h.epoch_at(309, "+ z 1 1 true"), "+ z 2 2\n- z 1 1\n");
    h.restart().expect("restarts");
    assert_eq!(h.epoch_at(319, "+ z 1 1 true"), "+ z 1 1\n");
    h.epoch_at(400, "");
    assert_eq!(h.state(), []);
    h.restart().expect("restarts");
    assert_eq!(h.stored(), 0);
}

#[test]
fn what_is_forgotten_can_be_taken_back_without_an_error() {
    let calls = || vec![call("count", None, false, None), call("min", Some(2), false, None)];
    let mut h = forgetting(&[0], calls(), false);
    h.epoch_at(100, "+ x 1 5 true\n+ y 1 7 true");
    assert_eq!(h.epoch_at(110, "- x 1 5 true"), "");
    // A new row of the group, and one that was forgotten is taken back: nothing can be said of the group.
    assert_eq!(h.epoch_at(111, "+2 y 1 9 true\n- y 1 7 true"), "");
    assert_eq!(h.epoch_at(112, "+ y 1 8 true"), "+ y 1 8\n");
    assert_eq!(h.epoch_at(113, "- y 1 8 true"), "- y 1 8\n");
    assert_eq!(h.state(), []);
}

#[test]
fn distinct_values_are_forgotten_each_for_itself() {
    for append_only in [true, false] {
        let mut h = forgetting(&[0], vec![call("count", Some(2), true, None)], append_only);
        assert_eq!(h.epoch_at(100, "+ x 1 5 true\n+ x 1 6 true"), "+ x 2\n");
        assert_eq!(h.epoch_at(105, "+ x 1 5 true"), "");
        // 6 was not seen for ten milliseconds and counts again; 5 was.
        assert_eq!(h.epoch_at(112, "+ x 1 6 true\n+ x 1 5 true"), "+ x 3\n- x 2\n");
        h.epoch_at(200, "");
        assert_eq!(h.state(), []);
        assert_eq!(h.epoch_at(201, "+ x 1 5 true"), "+ x 1\n");
    }
}

proptest! {
    #[test]
    fn what_is_forgotten_does_not_depend_on_memory(touches in touches(true), distinct: bool, extremes: bool) {
        let spec = OperatorSpec::GroupAggregate(spec(&[0], calls(extremes, distinct), false));
        let rows = ["a 1 1 true", "a 1 2 true", "b 1 1 false", "c 1 1 true", "d 2 NULL true", "e 1 3 true", "NULL 1 1 true"];
        forgets_alike(&spec, &[schema()], &[&rows], &touches);
    }
}
