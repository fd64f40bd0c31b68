use crate::OperatorError;
use crate::forgetting::{forgets_alike, touches};
use crate::harness::{Harness, content_text};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use eddyline_changes::KeyGroups;
use eddyline_plan::{
    AggregateCall, Frame, FrameBound, FrameOffset, FrameUnits, OperatorSpec, OrderColumn, OverCall, OverFunction,
    OverSpec, ValueList,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn input() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("k", DataType::Utf8, true),
        Field::new("o", DataType::Int64, true),
        Field::new("v", DataType::Int64, true),
    ]))
}

fn aggregate(function: &str, args: Vec<usize>, distinct: bool, frame: Frame) -> OverFunction {
    let call = AggregateCall {
        function: function.into(),
        arg_types: vec![DataType::Int64; args.len()],
        args,
        distinct,
        filter: None,
        return_type: DataType::Int64,
        name: function.into(),
        list: ValueList::default(),
    };
    OverFunction::Aggregate { call, frame }
}

fn sum(frame: Frame) -> OverFunction {
    aggregate("sum", vec![2], false, frame)
}

fn frame(units: FrameUnits, start: FrameBound, end: FrameBound) -> Frame {
    Frame { units, start, end }
}

/// From the beginning to the row and its equals.
fn so_far() -> Frame {
    frame(FrameUnits::Range, FrameBound::UnboundedPreceding, FrameBound::CurrentRow)
}

/// The functions by `k`, ordered by `o` with NULLs first.
fn spec(functions: Vec<OverFunction>) -> OverSpec {
    let call = |function: OverFunction| {
        let return_type = match &function {
            OverFunction::PercentRank | OverFunction::CumeDist => DataType::Float64,
            _ => DataType::Int64,
        };
        OverCall { name: function.name().to_owned(), function, return_type, nullable: true }
    };
    let calls: Vec<OverCall> = functions.into_iter().map(call).collect();
    OverSpec {
        partition: vec![0],
        order: vec![OrderColumn { column: 1, descending: false, nulls_first: true }],
        output: (0..3 + calls.len()).collect(),
        calls,
    }
}

fn over(spec: &OverSpec) -> Harness {
    Harness::new(OperatorSpec::Over(spec.clone()), &[input()]).expect("builds")
}

#[test]
fn only_rows_whose_results_change_are_put_out() {
    let mut h = over(&spec(vec![sum(so_far())]));
    h.process("+ x 1 10\n+ x 3 30\n+ y 1 5").expect("processes");
    assert_eq!(h.flush().expect("flushes"), "+ x 1 10 10\n+ x 3 30 40\n+ y 1 5 5\n");
    // A late row: what is before it stays, so does the other partition.
    h.process("+ x 2 20").expect("processes");
    assert_eq!(h.flush().expect("flushes"), "+ x 2 20 30\n+ x 3 30 60\n- x 3 30 40\n");
    h.process("- x 2 20\n+ x 2 20").expect("processes");
    assert_eq!(h.flush_batches().expect("flushes").len(), 0);
    h.process("- x 1 10\n+ x 1 0\n+ x 0 10").expect("processes");
    assert_eq!(h.flush().expect("flushes"), "+ x 0 10 10\n+ x 1 0 10\n- x 1 10 10\n");
}

#[test]
fn what_is_taken_away_comes_first() {
    let mut h = over(&spec(vec![OverFunction::RowNumber]));
    h.process("+ x 2 0\n+ x 3 0").expect("processes");
    h.flush().expect("flushes");
    h.process("+ x 1 0").expect("processes");
    let batches = h.flush_batches().expect("flushes");
    assert_eq!(batches.len(), 1);
    let text = eddyline_changes::table::format_changes(&batches[0]);
    assert_eq!(text, "- x 2 0 1\n- x 3 0 2\n+ x 1 0 1\n+ x 2 0 2\n+ x 3 0 3\n");
}

#[test]
fn copies_are_rows_of_their_own_where_it_matters() {
    let mut h = over(&spec(vec![sum(so_far()), OverFunction::Rank]));
    h.process("+3 x 1 10\n+ x 2 1").expect("processes");
    assert_eq!(h.flush().expect("flushes"), "+ x 2 1 31 4\n+3 x 1 10 30 1\n");
    h.process("- x 1 10").expect("processes");
    assert_eq!(h.flush().expect("flushes"), "+ x 2 1 21 3\n+2 x 1 10 20 1\n- x 2 1 31 4\n-3 x 1 10 30 1\n");
    let rows = frame(FrameUnits::Rows, FrameBound::Preceding(FrameOffset::Count(1)), FrameBound::CurrentRow);
    let mut h = over(&spec(vec![sum(rows)]));
    h.process("+3 x 1 10").expect("processes");
    assert_eq!(h.flush().expect("flushes"), "+ x 1 10 10\n+2 x 1 10 20\n");
    h.process("- x 1 10").expect("processes");
    assert_eq!(h.flush().expect("flushes"), "- x 1 10 20\n");
}

#[test]
fn sums_of_doubles_are_rounded_once() {
    let fields = vec![Field::new("o", DataType::Int64, true), Field::new("v", DataType::Float64, true)];
    let schema = Arc::new(Schema::new(fields));
    let mut function = aggregate("sum", vec![1], false, so_far());
    if let OverFunction::Aggregate { call, .. } = &mut function {
        (call.arg_types, call.return_type) = (vec![DataType::Float64], DataType::Float64);
    }
    let mut spec = OverSpec { partition: vec![], output: vec![0, 2], ..spec(vec![function]) };
    (spec.order[0].column, spec.calls[0].return_type) = (0, DataType::Float64);
    let mut h = Harness::new(OperatorSpec::Over(spec), &[schema]).expect("builds");
    // As many rows that blocks of them are merged; what is large goes out again.
    let mut rows = "+ 0 1e16\n".to_owned();
    (1..20).for_each(|at| rows += &format!("+ {at} 1\n"));
    h.process(&(rows + "+ 20 -1e16")).expect("processes");
    h.flush().expect("flushes");
    assert!(h.content().contains("+ 20 19.0\n"), "{}", h.content());
}

#[test]
fn a_retraction_without_its_insertion_is_an_error() {
    let mut h = over(&spec(vec![OverFunction::RowNumber]));
    h.process("+ x 1 1\n- x 1 2").expect("may still come");
    let error = h.flush().expect_err("did not come");
    assert!(matches!(error, OperatorError::Retraction { operator: "Over", .. }), "{error}");
}

#[test]
fn a_result_that_does_not_fit_is_an_error() {
    let mut h = over(&spec(vec![sum(so_far())]));
    h.process(&format!("+ x 1 {}\n+ x 2 1", i64::MAX)).expect("processes");
    let error = h.flush().expect_err("overflows").to_string();
    assert_eq!(error, "SUM overflows BIGINT");
}

#[test]
fn rows_move_with_their_partitions_when_a_job_is_rescaled() {
    let mut h = over(&spec(vec![OverFunction::RowNumber]));
    let rows: String = (0..4).map(|n| format!("+ k{} {n} 1\n", n % 10)).collect();
    h.process(&rows).expect("processes");
    h.flush().expect("flushes");
    h.persist().expect("persists");
    let groups = KeyGroups::new(16, 2);
    let mut kept = 0;
    for shard in 0..2 {
        let mut part = Harness::rescaled(&[&h], groups, shard).expect("opens");
        kept += part.state().first().map_or(0, |(_, rows)| *rows);
    }
    assert_eq!(kept, 4);
}

type Row = (Option<&'static str>, Option<i64>, Option<i64>);

fn text(value: Option<i64>) -> String {
    value.map_or_else(|| "NULL".to_owned(), |v| v.to_string())
}

fn line((k, o, v): &Row) -> String {
    format!("{} {} {}", k.unwrap_or("NULL"), text(*o), text(*v))
}

/// The rows of one partition in order, and the answer by definition.
struct Partition<'a> {
    spec: &'a OverSpec,
    rows: Vec<Row>,
    /// By row, how many different orders come before.
    groups: Vec<usize>,
}

impl<'a> Partition<'a> {
    fn new(spec: &'a OverSpec, mut rows: Vec<Row>) -> Self {
        let OrderColumn { descending, nulls_first, .. } = spec.order[0];
        let key = |row: &Row| {
            let null = if nulls_first { row.1.is_some() } else { row.1.is_none() };
            (null, row.1.map(|o| if descending { -o } else { o }))
        };
        rows.sort_by_key(|row| (key(row), row.0, row.2));
        let mut groups = vec![0; rows.len()];
        for at in 1..rows.len() {
            groups[at] = groups[at - 1] + usize::from(rows[at].1 != rows[at - 1].1);
        }
        Self { spec, rows, groups }
    }

    /// Is `other` at the bound of the frame of `row`, or on the side where it goes on? `side`: 1 for the start, -1 for the end.
    fn is_within(&self, units: FrameUnits, bound: &FrameBound, side: i64, row: usize, other: usize) -> bool {
        let OrderColumn { descending, nulls_first, .. } = self.spec.order[0];
        let (offset, direction) = match bound {
            FrameBound::UnboundedPreceding => return side > 0,
            FrameBound::UnboundedFollowing => return side < 0,
            FrameBound::CurrentRow => (0, 0),
            FrameBound::Preceding(FrameOffset::Count(n)) => (*n as i64, -1),
            FrameBound::Following(FrameOffset::Count(n)) => (*n as i64, 1),
            FrameBound::Preceding(FrameOffset::Exact(n)) => (*n as i64, -1),
            FrameBound::Following(FrameOffset::Exact(n)) => (*n as i64, 1),
            other => panic!("{other:?}"),
        };
        let far = match units {
            FrameUnits::Rows => other as i64 - row as i64,
            FrameUnits::Groups => self.groups[other] as i64 - self.groups[row] as i64,
            FrameUnits::Range if direction == 0 => self.groups[other] as i64 - self.groups[row] as i64,
            FrameUnits::Range => match (self.rows[row].1, self.rows[other].1) {
                (Some(a), Some(b)) => {
                    if descending {
                        a - b
                    } else {
                        b - a
                    }
                }
                (Some(_), None) => return (side > 0) != nulls_first,
                (None, _) => return (self.groups[other] as i64 - self.groups[row] as i64) * side >= 0,
            },
        };
        (far - offset * direction) * side >= 0
    }

    fn frame(&self, frame: &Frame, row: usize) -> Vec<Row> {
        let within = |other: &usize| {
            self.is_within(frame.units, &frame.start, 1, row, *other)
                && self.is_within(frame.units, &frame.end, -1, row, *other)
        };
        (0..self.rows.len()).filter(within).map(|at| self.rows[at]).collect()
    }

    fn value(&self, function: &OverFunction, row: usize) -> Option<i64> {
        let (rows, groups) = (&self.rows, &self.groups);
        match function {
            OverFunction::RowNumber => Some(row as i64 + 1),
            OverFunction::Rank => groups.iter().position(|g| *g == groups[row]).map(|at| at as i64 + 1),
            OverFunction::DenseRank => Some(groups[row] as i64 + 1),
            OverFunction::Ntile(n) => {
                // Deal the rows out one by one to find the sizes.
                let mut sizes = vec![0; *n as usize];
                (0..rows.len()).for_each(|at| sizes[at % *n as usize] += 1);
                let mut end = 0;
                sizes
                    .iter()
                    .position(|size| {
                        end += size;
                        row < end
                    })
                    .map(|at| at as i64 + 1)
            }
            OverFunction::Shift { offset, default, ignore_nulls, .. } => {
                let mut at = row as i64;
                let mut left = offset.abs();
                while left > 0 {
                    at -= offset.signum();
                    if at < 0 || at >= rows.len() as i64 {
                        return default.and_then(|_| rows[row].1);
                    }
                    left -= i64::from(!ignore_nulls || rows[at as usize].2.is_some());
                }
                rows[at as usize].2
            }
            OverFunction::Nth { n, from_last, ignore_nulls, frame, .. } => {
                let mut values: Vec<Option<i64>> = self.frame(frame, row).iter().map(|r| r.2).collect();
                values.retain(|v| !ignore_nulls || v.is_some());
                if *from_last {
                    values.reverse();
                }
                values.get(*n as usize - 1).copied().flatten()
            }
            OverFunction::Aggregate { call, frame } => {
                let values: Vec<i64> = self.frame(frame, row).iter().filter_map(|r| r.2).collect();
                let different: BTreeSet<i64> = values.iter().copied().collect();
                match (call.function.as_str(), call.distinct) {
                    ("count", false) => Some(values.len() as i64),
                    ("count", true) => Some(different.len() as i64),
                    ("sum", false) => (!values.is_empty()).then(|| values.iter().sum()),
                    ("sum", true) => (!values.is_empty()).then(|| different.iter().sum()),
                    ("max", _) => different.last().copied(),
                    other => panic!("{other:?}"),
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

fn answer(spec: &OverSpec, table: &[Row]) -> String {
    let mut partitions: BTreeMap<Option<&str>, Vec<Row>> = BTreeMap::new();
    for row in table {
        partitions.entry(if spec.partition.is_empty() { None } else { row.0 }).or_default().push(*row);
    }
    let mut content: BTreeMap<String, i64> = BTreeMap::new();
    for rows in partitions.into_values() {
        let partition = Partition::new(spec, rows);
        for (at, row) in partition.rows.iter().enumerate() {
            let results: Vec<String> = spec.calls.iter().map(|c| text(partition.value(&c.function, at))).collect();
            *content.entry(format!("{} {}", line(row), results.join(" "))).or_default() += 1;
        }
    }
    content_text(&content)
}

#[derive(Debug, Clone)]
enum Step {
    Insert(Row),
    /// Take back the n-th row.
    Retract(usize),
    Flush,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = prop_oneof![Just(None), Just(Some("x")), Just(Some("x")), Just(Some("y"))];
    let order = proptest::option::weighted(0.85, 0..8i64);
    let value = proptest::option::weighted(0.8, 0..4i64);
    let step = prop_oneof![
        8 => (key, order, value).prop_map(Step::Insert),
        3 => any::<usize>().prop_map(Step::Retract),
        2 => Just(Step::Flush),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 0..100)
}

fn frames() -> impl Strategy<Value = Frame> {
    let units = prop_oneof![Just(FrameUnits::Rows), Just(FrameUnits::Range), Just(FrameUnits::Groups)];
    let bound = |first: bool| {
        let unbounded = if first { FrameBound::UnboundedPreceding } else { FrameBound::UnboundedFollowing };
        prop_oneof![
            Just(unbounded),
            (0..4u64).prop_map(|n| FrameBound::Preceding(FrameOffset::Count(n))),
            Just(FrameBound::CurrentRow),
            (0..4u64).prop_map(|n| FrameBound::Following(FrameOffset::Count(n))),
        ]
    };
    (units, bound(true), bound(false)).prop_map(|(units, start, end)| {
        let by_value = |bound: FrameBound| match bound {
            FrameBound::Preceding(FrameOffset::Count(n)) => FrameBound::Preceding(FrameOffset::Exact(n.into())),
            FrameBound::Following(FrameOffset::Count(n)) => FrameBound::Following(FrameOffset::Exact(n.into())),
            other => other,
        };
        match units {
            FrameUnits::Range => frame(units, by_value(start), by_value(end)),
            _ => frame(units, start, end),
        }
    })
}

fn functions() -> impl Strategy<Value = OverFunction> {
    let aggregated = prop_oneof![Just("count"), Just("sum"), Just("max")];
    prop_oneof![
        Just(OverFunction::RowNumber),
        Just(OverFunction::Rank),
        Just(OverFunction::DenseRank),
        (1..5u64).prop_map(OverFunction::Ntile),
        (-3..4i64, any::<bool>(), any::<bool>()).prop_map(|(offset, default, ignore_nulls)| OverFunction::Shift {
            value: 2,
            offset,
            default: default.then_some(1),
            ignore_nulls
        }),
        (1..4u64, any::<bool>(), any::<bool>(), frames()).prop_map(|(n, from_last, ignore_nulls, frame)| {
            OverFunction::Nth { value: 2, n, from_last, ignore_nulls, frame }
        }),
        (aggregated, any::<bool>(), frames())
            .prop_map(|(name, distinct, frame)| { aggregate(name, vec![2], distinct && name != "max", frame) }),
    ]
}

fn specs() -> impl Strategy<Value = OverSpec> {
    let calls = proptest::collection::vec(functions(), 1..4);
    (calls, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(calls, partitioned, descending, nulls_first)| {
        OverSpec {
            partition: if partitioned { vec![0] } else { vec![] },
            order: vec![OrderColumn { column: 1, descending, nulls_first }],
            ..spec(calls)
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Properties 1 to 5 of a room, as in the other rooms.
    #[test]
    fn it_equals_its_batch_answer(spec in specs(), batch in 1..6usize, steps in steps(), tight: bool) {
        let mut h = over(&spec).tight(tight);
        let mut table: Vec<Row> = vec![];
        let mut pending = String::new();
        let send = |h: &mut Harness, pending: &mut String| {
            if !pending.is_empty() {
                h.process(&std::mem::take(pending)).expect("processes");
            }
        };
        let everything = (0..100).map(|_| Step::Retract(0)).chain([Step::Flush, Step::Restart]);
        for step in steps.into_iter().chain([Step::Flush]).chain(everything) {
            match step {
                Step::Insert(row) => {
                    pending += &format!("+ {}\n", line(&row));
                    table.push(row);
                }
                Step::Retract(n) => {
                    if !table.is_empty() {
                        let at = n % table.len();
                        let row = table.swap_remove(at);
                        pending += &format!("- {}\n", line(&row));
                    }
                }
                Step::Flush | Step::Restart => {
                    send(&mut h, &mut pending);
                    h.flush().expect("flushes");
                    prop_assert_eq!(h.content(), answer(&spec, &table));
                    if matches!(step, Step::Restart) {
                        h.restart().expect("restarts");
                    }
                }
            }
            if pending.lines().count() >= batch {
                send(&mut h, &mut pending);
            }
        }
        prop_assert_eq!(h.content(), "");
        prop_assert_eq!((h.state().len(), h.stored()), (0, 0));
    }
}

#[test]
fn a_partition_in_which_no_row_came_for_a_time_begins_anew() {
    let spec = OperatorSpec::Over(spec(vec![OverFunction::RowNumber, sum(so_far())]));
    let mut h = Harness::forgetting(spec, &[input()], 10).expect("builds");
    assert_eq!(h.epoch_at(100, "+ x 1 5\n+ y 1 7"), "+ x 1 5 1 5\n+ y 1 7 1 7\n");
    assert_eq!(h.epoch_at(109, "+ x 2 1"), "+ x 2 1 2 6\n");
    // y was touched at 100, x at 109. What was put out of y stays.
    assert_eq!(h.epoch_at(110, "+ y 2 2\n+ x 3 1"), "+ x 3 1 3 7\n+ y 2 2 1 2\n");
    assert_eq!(h.epoch_at(200, ""), "");
    assert_eq!(h.state(), []);
    // What was forgotten is taken back, and a row that is there.
    assert_eq!(h.epoch_at(201, "- x 3 1\n+ x 4 1"), "+ x 4 1 1 1\n");
    assert_eq!(h.epoch_at(202, "-2 x 4 1"), "- x 4 1 1 1\n");
    assert_eq!(h.state(), []);
    // A restart changes nothing of it.
    h.epoch_at(300, "+ z 1 1");
    h.restart().expect("restarts");
    assert_eq!(h.epoch_at(309, "+ z 2 1"), "+ z 2 1 2 2\n");
    h.epoch_at(400, "");
    h.restart().expect("restarts");
    assert_eq!(h.stored(), 0);
}

proptest! {
    #[test]
    fn what_is_forgotten_does_not_depend_on_memory(touches in touches(true)) {
        let spec = OperatorSpec::Over(spec(vec![OverFunction::RowNumber, sum(so_far())]));
        let rows = ["x 1 5", "x 2 1", "x 3 1", "y 1 7", "y 2 2", "z 1 1", "u 1 1", "v 1 1"];
        forgets_alike(&spec, &[input()], &[&rows], &touches);
    }
}
