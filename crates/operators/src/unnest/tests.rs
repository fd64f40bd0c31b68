use crate::harness::{Harness, net_text};
use arrow::array::{
    Array, ArrayRef, AsArray, Int32Array, Int64Array, ListArray, MapArray, RecordBatch, StringArray, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields, Int64Type, Schema, SchemaRef};
use eddyline_changes::{ChangeBatch, Weights};
use eddyline_plan::{OperatorSpec, UnnestSpec};
use proptest::prelude::*;
use std::sync::Arc;

type List = Option<Vec<Option<i64>>>;

fn list(rows: &[List]) -> ArrayRef {
    Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(rows.iter().cloned()))
}

fn changes(columns: Vec<ArrayRef>, weights: Weights) -> ChangeBatch {
    let fields = columns.iter().enumerate().map(|(at, c)| Field::new(format!("c{at}"), c.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    ChangeBatch::new(RecordBatch::try_new(schema, columns).expect("columns fit"), weights).expect("weights fit")
}

fn spec(lists: &[usize], outer: bool, output: &[usize]) -> UnnestSpec {
    UnnestSpec { lists: lists.to_vec(), outer, ordinality: true, output: output.to_vec() }
}

fn unnested(spec: &UnnestSpec, changes: &ChangeBatch) -> Vec<ChangeBatch> {
    let schema: SchemaRef = changes.schema();
    let mut h = Harness::new(OperatorSpec::Unnest(spec.clone()), &[schema]).expect("builds");
    h.apply(0, changes.clone()).expect("processes");
    assert_eq!(h.state(), []);
    h.take()
}

fn ids(ids: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(ids.to_vec()))
}

#[test]
fn every_element_is_a_row_of_the_weight_of_its_row() {
    let lists = list(&[Some(vec![Some(7), None]), None, Some(vec![]), Some(vec![Some(9)])]);
    let input = changes(vec![ids(&[1, 2, 3, 4]), lists], Weights::from_vec(vec![2, 1, 1, -1]));
    // Without the list itself, which nobody reads.
    let batches = unnested(&spec(&[1], false, &[0, 2, 3]), &input);
    assert_eq!(eddyline_changes::table::format_changes(&batches[0]), "+2 1 7 1\n+2 1 NULL 2\n- 4 9 1\n");
    let input = changes(vec![ids(&[1, 2, 3]), list(&[Some(vec![Some(7)]), None, Some(vec![])])], Weights::AllInserts);
    let batches = unnested(&spec(&[1], true, &[0, 2, 3]), &input);
    assert_eq!(net_text(&batches), "+ 1 7 1\n+ 2 NULL NULL\n+ 3 NULL NULL\n");
}

#[test]
fn rows_are_spread_and_a_null_row_has_nulls() {
    let fields = Fields::from(vec![Field::new("x", DataType::Int32, false), Field::new("y", DataType::Utf8, true)]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from(vec![1, 2, 3])),
        Arc::new(StringArray::from(vec![Some("a"), Some("hidden"), None])),
    ];
    let rows = StructArray::new(fields.clone(), columns, Some(NullBuffer::from(vec![true, false, true])));
    let item = Arc::new(Field::new("item", DataType::Struct(fields), true));
    let lists = ListArray::new(item, OffsetBuffer::from_lengths([2, 1]), Arc::new(rows), None);
    let input = changes(vec![ids(&[1, 2]), Arc::new(lists)], Weights::AllInserts);
    let batches = unnested(&spec(&[1], false, &[2, 3, 0]), &input);
    assert_eq!(net_text(&batches), "+ 1 a 1\n+ 3 NULL 2\n+ NULL NULL 1\n");
    assert_eq!(batches[0].schema().field(0).name(), "x");
}

#[test]
fn maps_give_keys_and_values() {
    let keys = Arc::new(StringArray::from(vec!["a", "b"])) as ArrayRef;
    let values = Arc::new(Int32Array::from(vec![Some(1), None])) as ArrayRef;
    let fields = Fields::from(vec![Field::new("k", DataType::Utf8, false), Field::new("v", DataType::Int32, true)]);
    let entries = StructArray::new(fields.clone(), vec![keys, values], None);
    let field = Arc::new(Field::new("entries", DataType::Struct(fields), false));
    let map = MapArray::new(field, OffsetBuffer::from_lengths([0, 2]), entries, None, false);
    let input = changes(vec![ids(&[1, 2]), Arc::new(map)], Weights::AllInserts);
    let batches = unnested(&spec(&[1], false, &[0, 2, 3, 4]), &input);
    assert_eq!(net_text(&batches), "+ 2 a 1 1\n+ 2 b NULL 2\n");
    assert_eq!(batches[0].schema().field(1).name(), "KEY");
}

#[test]
fn lists_go_side_by_side() {
    let one = list(&[Some(vec![Some(1), Some(2)]), Some(vec![Some(3)])]);
    let two = list(&[Some(vec![Some(10)]), None]);
    let input = changes(vec![one, two], Weights::AllInserts);
    let batches = unnested(&spec(&[0, 1], false, &[2, 3]), &input);
    assert_eq!(net_text(&batches), "+ 1 10\n+ 2 NULL\n+ 3 NULL\n");
}

#[test]
fn elements_below_a_null_are_not_seen() {
    let values = Arc::new(Int64Array::from(vec![1, 2, 3, 4]));
    let item = Arc::new(Field::new("item", DataType::Int64, true));
    let nulls = NullBuffer::from(vec![true, false, true]);
    let lists = ListArray::new(item, OffsetBuffer::from_lengths([1, 1, 2]), values, Some(nulls));
    let input = changes(vec![Arc::new(lists)], Weights::AllInserts);
    assert_eq!(net_text(&unnested(&spec(&[0], false, &[1]), &input)), "+ 1\n+ 3\n+ 4\n");
}

#[test]
fn many_elements_come_in_batches_that_share_them() {
    let lists = list(&[Some((0..20_000).map(Some).collect()), Some(vec![Some(-1)])]);
    let input = changes(vec![lists], Weights::AllInserts);
    let batches = unnested(&spec(&[0], false, &[1]), &input);
    assert_eq!(batches.iter().map(ChangeBatch::num_rows).collect::<Vec<_>>(), [8192, 8192, 3617]);
    let given = input.column(0).as_list::<i32>().values().as_primitive::<Int64Type>().values().as_ptr();
    let taken = batches[0].column(0).as_primitive::<Int64Type>().values().as_ptr();
    assert_eq!(given, taken, "elements that are all used are not copied");
}

#[test]
fn the_number_of_elements_alone_is_read() {
    let input = changes(vec![ids(&[1, 2]), list(&[Some(vec![Some(1), Some(2)]), None])], Weights::AllInserts);
    let batches = unnested(&spec(&[1], false, &[0]), &input);
    assert_eq!(net_text(&batches), "+2 1\n");
}

proptest! {
    /// The answer by going through the rows one by one; slices of a larger batch give the same.
    #[test]
    fn it_equals_its_batch_answer(
        rows in proptest::collection::vec((-3..4i64, proptest::option::weighted(0.8, proptest::collection::vec(proptest::option::of(0..9i64), 0..4))), 1..30),
        outer in any::<bool>(),
        cut in any::<proptest::sample::Index>(),
    ) {
        let weights: Vec<i64> = rows.iter().map(|(w, _)| if *w == 0 { 1 } else { *w }).collect();
        let numbers: Vec<i64> = (0..rows.len() as i64).collect();
        let lists: Vec<List> = rows.iter().map(|(_, l)| l.clone()).collect();
        let input = changes(vec![ids(&numbers), list(&lists)], Weights::from_vec(weights.clone()));
        let text = |n: &Option<i64>| n.map_or("NULL".to_owned(), |n| n.to_string());
        let mut wanted = Vec::new();
        for (row, elements) in lists.iter().enumerate() {
            let elements = elements.clone().unwrap_or_default();
            if elements.is_empty() && outer {
                wanted.push((weights[row], format!("{row} NULL NULL")));
            }
            for (at, element) in elements.iter().enumerate() {
                wanted.push((weights[row], format!("{row} {} {}", text(element), at + 1)));
            }
        }
        let line = |(weight, row): &(i64, String)| match weight {
            1 => format!("+ {row}\n"),
            -1 => format!("- {row}\n"),
            w => format!("{w:+} {row}\n"),
        };
        let wanted: String = wanted.iter().map(line).collect();
        let at = cut.index(rows.len());
        let schema = input.schema();
        let mut got = String::new();
        for part in [input.slice(0, at), input.slice(at, rows.len() - at)] {
            let mut h = Harness::new(OperatorSpec::Unnest(spec(&[1], outer, &[0, 2, 3])), std::slice::from_ref(&schema)).expect("builds");
            h.apply(0, part).expect("processes");
            got.extend(h.take().iter().map(eddyline_changes::table::format_changes));
        }
        prop_assert_eq!(got, wanted);
    }
}
