//! What an operator has kept of narrow columns, migrated, is what it would have kept of wide ones, byte by byte.

use super::{Migration, MigrationSpec, RowsMigrationSpec};
use crate::AccumulatorSource::{CountOf, Narrower, Rows};
use crate::AggregateMigrationSpec;
use crate::harness::Harness;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use eddyline_changes::KeyGroups;
use eddyline_functions::scalar::Moment;
use eddyline_plan::{
    AggregateCall, AggregatePhase, ChangelogNormalizeSpec, Conflict, JoinKind, JoinSpec, OperatorSpec, OrderColumn,
    Ranking, RowsForm, SetOperation, SetOperationSpec, SinkMaterializeSpec, TemporalFilterSpec, TimeBound, TimeTest,
    TopNSpec, Window, WindowAggregateSpec,
};
use std::sync::Arc;

const TIME: DataType = DataType::Timestamp(TimeUnit::Millisecond, None);
const MOMENTS: [&str; 3] = ["1970-01-01T00:00:01", "1970-01-01T00:00:02", "1970-01-01T00:02:00"];

fn types(is_wide: bool) -> Vec<DataType> {
    use DataType::{Decimal128, Float32, Float64, Int16, Int32, Int64};
    match is_wide {
        false => vec![Int32, Int16, Float32, Decimal128(6, 2), TIME, DataType::Utf8],
        true => vec![Int64, Int32, Float64, Decimal128(20, 4), TIME, DataType::Utf8],
    }
}

fn schema(is_wide: bool) -> SchemaRef {
    let field = |(at, data_type)| Field::new(format!("c{at}"), data_type, true);
    Arc::new(Schema::new(types(is_wide).into_iter().enumerate().map(field).collect::<Vec<_>>()))
}

/// Rows with NULLs, negative numbers, and numbers that FLOAT and DOUBLE hold exactly.
fn rows(decimals: usize) -> String {
    let row = |n: i32| {
        let amount = format!("{:.*}", decimals, f64::from(n - 6) * 1.25);
        let half = format!("{:?}", f64::from(n) / 2.0 - 3.0);
        let name = if n % 5 == 0 { "NULL".into() } else { format!("name{n}") };
        let key = if n == 7 { "NULL".into() } else { (n % 4 - 2).to_string() };
        format!("+ {key} {} {half} {amount} {} {name}\n", n - 3, MOMENTS[n as usize % 3])
    };
    (0..12).map(row).collect()
}

/// An instance that has taken the same rows on all inputs, in one epoch.
fn fed(spec: &OperatorSpec, inputs: usize, is_wide: bool) -> Harness {
    let mut h = Harness::new(spec.clone(), &vec![schema(is_wide); inputs]).expect("builds");
    h.stand_at(Moment { wall_ms: 1_500, seed: 0 });
    for input in 0..inputs {
        h.process_on(input, &rows(if is_wide { 4 } else { 2 })).expect("processes");
    }
    h.flush().expect("flushes");
    h.persist().expect("persists");
    h
}

/// `wide` is the spec over wide columns, where it names their types.
fn becomes(narrow: &OperatorSpec, wide: &OperatorSpec, inputs: usize, migration: MigrationSpec) {
    let (was, is) = (fed(narrow, inputs, false), fed(wide, inputs, true));
    let mut migration = Migration::new(migration, KeyGroups::new(16, 1)).expect("can be made");
    let mut entries: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for (full_key, value) in was.entries() {
        let (head, key) = full_key.split_at(12);
        let number = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let (table, group, key, value) = migration.entry(number(8), number(10), key, &value).expect("migrates");
        entries.push(([&head[..8], &table.to_be_bytes(), &group.to_be_bytes(), key.as_slice()].concat(), value));
    }
    entries.sort();
    assert!(entries.len() > 4, "{} entries", entries.len());
    assert_eq!(entries, is.entries(), "{}", narrow.name());
}

fn rows_become(spec: &OperatorSpec, inputs: usize, forms: Vec<RowsForm>) {
    let of = |form| RowsMigrationSpec { form, types: [types(false), types(true)] };
    becomes(spec, spec, inputs, MigrationSpec::Rows(forms.into_iter().map(of).collect()));
}

#[test]
fn rows_of_joins() {
    for (keys, append_only) in [(vec![0, 5], false), (vec![0, 5], true), (vec![3, 2], false), (vec![], true)] {
        let spec = JoinSpec {
            kind: JoinKind::Inner,
            on: keys.iter().map(|key| (*key, *key)).collect(),
            null_equal: true,
            residual: None,
            range: None,
            append_only: [append_only; 2],
            time: None,
            on_close: false,
            output: vec![0, 7],
        };
        let side = |side| RowsForm::Side { side, keys: keys.clone(), append_only };
        rows_become(&OperatorSpec::Join(spec), 2, vec![side(0), side(1)]);
    }
}

#[test]
fn rows_in_partitions() {
    for (partition, column) in [(vec![0], 3), (vec![3, 5], 2), (vec![], 0)] {
        let order = vec![OrderColumn { column, descending: true, nulls_first: false }];
        let spec = TopNSpec {
            ranking: Ranking::RowNumber,
            partition: partition.clone(),
            order: order.clone(),
            first: 1,
            last: Some(2),
            append_only: false,
            closes: None,
            local: false,
            output: vec![0, 1],
        };
        rows_become(&OperatorSpec::TopN(spec), 1, vec![RowsForm::Partitions { partition, order }]);
    }
}

#[test]
fn rows_by_a_key() {
    let key = vec![1, 3];
    let last = OperatorSpec::ChangelogNormalize(ChangelogNormalizeSpec { key: key.clone() });
    rows_become(&last, 1, vec![RowsForm::Last { key }]);
    let key = vec![0];
    let lists = SinkMaterializeSpec { table: "t".into(), key: key.clone(), conflict: Conflict::Deduplicate };
    rows_become(&OperatorSpec::SinkMaterialize(lists), 1, vec![RowsForm::List { key }]);
}

#[test]
fn rows_of_set_operations() {
    let spec = OperatorSpec::SetOperation(SetOperationSpec { operation: SetOperation::IntersectAll });
    rows_become(&spec, 2, vec![RowsForm::Copies { side: 0 }, RowsForm::Copies { side: 1 }]);
}

#[test]
fn rows_by_their_time() {
    for by in [None, Some(vec![0, 4])] {
        let spec = TemporalFilterSpec {
            clock: eddyline_plan::Clock::Wall,
            bounds: vec![TimeBound { column: 4, shift_ms: -10_000, test: TimeTest::Before, months: None }],
            zone: "UTC".into(),
            append_only: by.is_none(),
            by: by.clone(),
            output: vec![0, 2, 3],
        };
        let form = RowsForm::Timed { columns: spec.stored(), by: by.map(|by| by.len()) };
        rows_become(&OperatorSpec::TemporalFilter(spec), 1, vec![form]);
    }
}

#[test]
fn aggregates_of_windows() {
    let call = |function: &str, of: Option<(usize, DataType)>, distinct, return_type: DataType| AggregateCall {
        function: function.into(),
        args: of.iter().map(|(column, _)| *column).collect(),
        arg_types: of.into_iter().map(|(_, data_type)| data_type).collect(),
        distinct,
        filter: None,
        return_type,
        name: function.into(),
        list: Default::default(),
    };
    let sum = |of: DataType| call("sum", Some((1, of)), false, DataType::Int64);
    let values = || call("count", Some((5, DataType::Utf8)), true, DataType::Int64);
    let rows = call("count", None, false, DataType::Int64);
    let count = call("count", Some((1, DataType::Int32)), false, DataType::Int64);
    let spec = |calls: Vec<AggregateCall>, window| WindowAggregateSpec {
        window,
        time: 4,
        time_type: TIME,
        keys: vec![0, 3],
        calls,
        phase: AggregatePhase::Single,
        append_only: false,
    };
    let (old, new) = (vec![values(), sum(DataType::Int16)], vec![rows, values(), count, sum(DataType::Int32)]);
    let keys = [false, true].map(|is_wide| vec![types(is_wide)[0].clone(), types(is_wide)[3].clone()]);
    let sources = vec![Rows, crate::AccumulatorSource::Same(0), CountOf(1), Narrower(1)];
    let migration = AggregateMigrationSpec {
        keys,
        old: old.clone(),
        new: new.clone(),
        sources,
        append_only: false,
        has_slices: true,
    };
    for slide_ms in [60_000, 20_000] {
        let window = match slide_ms {
            60_000 => Window::Tumble { size_ms: 60_000, offset_ms: 0 },
            _ => Window::Hop { size_ms: 60_000, slide_ms, offset_ms: 0 },
        };
        let [narrow, wide] = [&old, &new].map(|calls| OperatorSpec::WindowAggregate(spec(calls.clone(), window)));
        becomes(&narrow, &wide, 1, MigrationSpec::Aggregates(migration.clone()));
    }
}
