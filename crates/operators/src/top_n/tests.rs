use crate::OperatorError;
use crate::forgetting::{forgets_alike, touches};
use crate::harness::{Harness, content_text};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use eddyline_changes::{KeyGroups, Watermark};
use eddyline_plan::{OperatorSpec, OrderColumn, Ranking, TimeKey, TopNSpec};
use proptest::prelude::*;
use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::sync::Arc;

fn input() -> SchemaRef {
    let field = |name: &str, t: DataType| Field::new(name, t, true);
    Arc::new(Schema::new(vec![
        field("k", DataType::Utf8),
        field("price", DataType::Int64),
        field("name", DataType::Utf8),
    ]))
}

/// The two highest prices of every `k`, without their number.
fn spec() -> TopNSpec {
    TopNSpec {
        ranking: Ranking::RowNumber,
        partition: vec![0],
        order: vec![OrderColumn { column: 1, descending: true, nulls_first: false }],
        first: 1,
        last: Some(2),
        append_only: false,
        closes: None,
        local: false,
        output: vec![0, 1, 2],
    }
}

fn with_number(spec: TopNSpec) -> TopNSpec {
    TopNSpec { output: vec![0, 1, 2, 3], ..spec }
}

fn top(spec: &TopNSpec) -> Harness {
    Harness::new(OperatorSpec::TopN(spec.clone()), &[input()]).expect("builds")
}

#[test]
fn only_what_differs_is_put_out() {
    let mut h = top(&spec());
    h.process("+ x 1 a\n+ x 3 c\n+ x 2 b\n+ y 1 d").expect("processes");
    assert_eq!(h.flush().expect("flushes"), "+ x 2 b\n+ x 3 c\n+ y 1 d\n");
    h.process("+ x 9 e\n+ x 0 f").expect("processes");
    assert_eq!(h.flush().expect("flushes"), "+ x 9 e\n- x 2 b\n");
    // The third comes back when the first goes.
    h.process("- x 9 e").expect("processes");
    assert_eq!(h.flush().expect("flushes"), "+ x 2 b\n- x 9 e\n");
    // Beyond the second nothing is seen.
    h.process("- x 0 f\n+ x 1 g").expect("processes");
    assert_eq!(h.flush_batches().expect("flushes").len(), 0);
}

#[test]
fn a_number_changes_hands_in_one_step() {
    let mut h = top(&with_number(spec()));
    h.process("+ x 1 a\n+ x 3 c").expect("processes");
    h.flush().expect("flushes");
    h.process("+ x 2 b").expect("processes");
    let batches = h.flush_batches().expect("flushes");
    assert_eq!(batches.len(), 1);
    assert_eq!(eddyline_changes::table::format_changes(&batches[0]), "- x 1 a 2\n+ x 2 b 2\n");
}

#[test]
fn equal_orders_are_told_apart_by_the_other_columns() {
    for text in ["+ x 1 a\n+ x 1 b\n+ x 1 c", "+ x 1 c\n+ x 1 b\n+ x 1 a"] {
        let mut h = top(&with_number(spec()));
        h.process(text).expect("processes");
        assert_eq!(h.flush().expect("flushes"), "+ x 1 a 1\n+ x 1 b 2\n");
    }
}

#[test]
fn copies_have_numbers_of_their_own_but_one_rank() {
    let wanted = [
        (Ranking::RowNumber, "+ x 3 c 1\n+ x 3 c 2\n"),
        (Ranking::Rank, "+2 x 3 c 1\n"),
        (Ranking::DenseRank, "+ x 2 b 2\n+2 x 3 c 1\n"),
    ];
    for (ranking, wanted) in wanted {
        let mut h = top(&with_number(TopNSpec { ranking, ..spec() }));
        h.process("+ x 2 b\n+2 x 3 c\n+ x 1 a").expect("processes");
        assert_eq!(h.flush().expect("flushes"), wanted, "{ranking:?}");
    }
}

#[test]
fn nulls_stand_where_the_order_says() {
    for (nulls_first, wanted) in [(true, "+ x NULL n 1\n"), (false, "+ x 3 c 1\n")] {
        let order = vec![OrderColumn { column: 1, descending: true, nulls_first }];
        let mut h = top(&with_number(TopNSpec { order, last: Some(1), ..spec() }));
        h.process("+ x 3 c\n+ x NULL n").expect("processes");
        assert_eq!(h.flush().expect("flushes"), wanted);
    }
}

#[test]
fn an_append_only_input_keeps_the_first_rows_alone() {
    let mut h = top(&TopNSpec { append_only: true, ..spec() });
    let many: String = (0..500).map(|n| format!("+ x {} r{n}\n", (n * 37) % 500)).collect();
    h.process(&many).expect("processes");
    assert!(h.state()[0].1 < 100, "rows that others keep out go within the epoch: {:?}", h.state());
    assert_eq!(h.flush().expect("flushes"), "+ x 498 r54\n+ x 499 r27\n");
    assert_eq!(h.state(), [("rows".to_owned(), 2)]);
    h.restart().expect("restarts");
    h.process("+ x 497 late").expect("processes");
    assert_eq!(h.flush_batches().expect("flushes").len(), 0);
    assert_eq!(h.state(), [("rows".to_owned(), 2)]);
}

#[test]
fn the_local_phase_takes_nothing_back_and_sends_what_counts() {
    let local = TopNSpec { append_only: true, partition: vec![], local: true, ..spec() };
    let mut h = top(&local);
    h.process("+ x 1 a\n+ x 2 b\n+ y 3 c").expect("processes");
    assert_eq!(h.flush().expect("flushes"), "+ x 2 b\n+ y 3 c\n");
    h.process("+2 x 4 d\n+ x 1 e").expect("processes");
    assert_eq!(h.flush().expect("flushes"), "+2 x 4 d\n");
    h.restart().expect("restarts");
    assert_eq!(h.stored(), 0);
}

#[test]
fn a_retraction_without_its_insertion_is_an_error() {
    let mut h = top(&spec());
    h.process("+ x 1 a\n- x 1 b").expect("may still come");
    let error = h.flush().expect_err("did not come");
    assert!(matches!(error, OperatorError::Retraction { operator: "TopN", .. }), "{error}");
    let mut h = top(&TopNSpec { append_only: true, ..spec() });
    assert!(h.process("- x 1 b").is_err());
}

/// The two highest prices of windows, which are the column `at`.
fn of_windows() -> Harness {
    let fields = vec![
        Field::new("at", DataType::Timestamp(arrow::datatypes::TimeUnit::Millisecond, None), true),
        Field::new("price", DataType::Int64, true),
    ];
    let spec =
        TopNSpec { append_only: true, closes: Some(TimeKey { key: 0, delay_ms: -1 }), output: vec![0, 1, 2], ..spec() };
    Harness::new(OperatorSpec::TopN(spec), &[Arc::new(Schema::new(fields))]).expect("builds")
}

#[test]
fn windows_are_put_out_when_they_close_and_forgotten() {
    let mut h = of_windows();
    let at = |second: u32| format!("2024-01-01T00:00:{second:02}");
    let end = |second: i64| Watermark(1_704_067_200_000 + second * 1000);
    h.process(&format!("+ {0} 1\n+ {0} 3\n+ {0} 2\n+ {1} 5", at(10), at(20))).expect("processes");
    assert_eq!(h.flush_batches().expect("flushes").len(), 0);
    h.restart().expect("restarts");
    h.process(&format!("+ {} 2", at(10))).expect("processes");
    // It ends at the tenth second, so its last moment is a millisecond before.
    h.advance(Watermark(end(10).0 - 2)).expect("advances");
    assert_eq!(h.take().len(), 0);
    h.advance(Watermark(end(10).0 - 1)).expect("advances");
    let batches = h.take();
    assert_eq!(eddyline_changes::table::format_changes(&batches[0]), format!("+ {0} 3 1\n+ {0} 2 2\n", at(10)));
    assert_eq!(h.state(), [("rows".to_owned(), 1)]);
    // Late, and not late.
    h.process(&format!("+ {} 9\n+ {} 7\n+ {} 8", at(10), at(20), at(20))).expect("processes");
    assert_eq!(h.rejected("late"), 1);
    h.flush().expect("flushes");
    h.restart().expect("restarts");
    h.advance(Watermark::END).expect("advances");
    assert_eq!(h.take().len(), 1);
    h.persist().expect("persists");
    let wanted = format!("+ {0} 2 2\n+ {0} 3 1\n+ {1} 7 2\n+ {1} 8 1\n", at(10), at(20));
    assert_eq!((h.content(), h.state().len(), h.stored()), (wanted, 0, 0));
}

type Row = (Option<&'static str>, Option<i64>, &'static str);

fn line((k, price, name): &Row) -> String {
    let price = price.map_or_else(|| "NULL".to_owned(), |p| p.to_string());
    format!("{} {price} {name}", k.unwrap_or("NULL"))
}

/// The first rows, worked out by sorting.
fn answer(spec: &TopNSpec, table: &[Row]) -> String {
    let by_order = |a: &Row, b: &Row| -> Ordering {
        for order in &spec.order {
            let (x, y) = (a.1, b.1);
            let nulls = match order.nulls_first {
                true => x.is_some().cmp(&y.is_some()),
                false => x.is_none().cmp(&y.is_none()),
            };
            let values = if order.descending { Reverse(x).cmp(&Reverse(y)) } else { x.cmp(&y) };
            let either_null = x.is_none() || y.is_none();
            let found = if either_null { nulls } else { values };
            if found.is_ne() {
                return found;
            }
        }
        Ordering::Equal
    };
    let mut partitions: BTreeMap<Option<&str>, Vec<Row>> = BTreeMap::new();
    for row in table {
        partitions.entry(if spec.partition.is_empty() { None } else { row.0 }).or_default().push(*row);
    }
    let mut content: BTreeMap<String, i64> = BTreeMap::new();
    for rows in partitions.values_mut() {
        rows.sort_by(|a, b| by_order(a, b).then_with(|| (a.0, a.1, a.2).cmp(&(b.0, b.1, b.2))));
        let (mut rank, mut dense) = (0, 0);
        for (at, row) in rows.iter().enumerate() {
            if at == 0 || by_order(&rows[at - 1], row).is_ne() {
                (rank, dense) = (at as u64 + 1, dense + 1);
            }
            let number = match spec.ranking {
                Ranking::RowNumber => at as u64 + 1,
                Ranking::Rank => rank,
                Ranking::DenseRank => dense,
            };
            if number >= spec.first && spec.last.is_none_or(|last| number <= last) {
                let number = if spec.output.contains(&3) { format!(" {number}") } else { String::new() };
                *content.entry(format!("{}{number}", line(row))).or_default() += 1;
            }
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
    let key = prop_oneof![Just(None), Just(Some("x")), Just(Some("y"))];
    let row =
        (key, proptest::option::weighted(0.9, 0..5i64), prop_oneof![Just("a"), Just("b"), Just("long_name_of_a_row")]);
    let step = prop_oneof![
        6 => row.prop_map(Step::Insert),
        3 => any::<usize>().prop_map(Step::Retract),
        2 => Just(Step::Flush),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 0..80)
}

fn specs() -> impl Strategy<Value = TopNSpec> {
    let ranking = prop_oneof![Just(Ranking::RowNumber), Just(Ranking::Rank), Just(Ranking::DenseRank)];
    let order = proptest::option::weighted(0.9, (any::<bool>(), any::<bool>()));
    let last = proptest::option::weighted(0.9, 0..5u64);
    (ranking, any::<bool>(), order, 1..4u64, last, any::<bool>(), any::<bool>()).prop_map(
        |(ranking, partitioned, order, first, last, shown, append_only)| {
            let order = order.map(|(descending, nulls_first)| OrderColumn { column: 1, descending, nulls_first });
            let partition = if partitioned { vec![0] } else { vec![] };
            let output = if shown { vec![0, 1, 2, 3] } else { vec![0, 1, 2] };
            let order = order.into_iter().collect();
            TopNSpec { ranking, partition, order, first, last, append_only, closes: None, local: false, output }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Properties 1 to 5 of a room, as in the other rooms; for an append-only input without the last.
    #[test]
    fn it_equals_its_batch_answer(spec in specs(), batch in 1..6usize, steps in steps(), tight: bool) {
        // Without an order the other columns decide, and copies of a row are all that ranks can tell apart.
        let mut h = top(&spec).tight(tight);
        let mut table: Vec<Row> = vec![];
        let mut pending = String::new();
        let send = |h: &mut Harness, pending: &mut String| {
            if !pending.is_empty() {
                h.process(&std::mem::take(pending)).expect("processes");
            }
        };
        let everything = (0..80).map(|_| Step::Retract(0)).chain([Step::Flush, Step::Restart]);
        for step in steps.into_iter().chain(everything) {
            match step {
                Step::Insert(row) => {
                    pending += &format!("+ {}\n", line(&row));
                    table.push(row);
                }
                Step::Retract(n) => {
                    if !spec.append_only && !table.is_empty() {
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
        if !spec.append_only {
            prop_assert_eq!(h.content(), "");
            prop_assert_eq!((h.state().len(), h.stored()), (0, 0));
        }
    }

    /// The first of all are among the first of every shard, also after a restart of the local phase.
    #[test]
    fn two_phases_give_the_answer_of_one(spec in specs(), steps in steps()) {
        let last = spec.last.unwrap_or(3);
        let spec = TopNSpec { append_only: true, partition: vec![], last: Some(last), ..spec };
        let local = TopNSpec { local: true, first: 1, output: vec![0, 1, 2], ..spec.clone() };
        let mut locals = [top(&local), top(&local)];
        let mut global = top(&spec);
        let mut table = vec![];
        for (at, step) in steps.into_iter().chain([Step::Flush]).enumerate() {
            match step {
                Step::Insert(row) => {
                    locals[at % 2].process(&format!("+ {}", line(&row))).expect("processes");
                    table.push(row);
                }
                Step::Retract(_) => {}
                Step::Flush | Step::Restart => {
                    for h in &mut locals {
                        for changes in h.flush_batches().expect("flushes") {
                            prop_assert_eq!(changes.weights().per_row().unwrap_or_default().iter().filter(|w| **w < 0).count(), 0);
                            global.apply(0, changes).expect("processes");
                        }
                    }
                    global.flush().expect("flushes");
                    prop_assert_eq!(global.content(), answer(&spec, &table));
                    if matches!(step, Step::Restart) {
                        locals[at % 2].restart().expect("restarts");
                    }
                }
            }
        }
    }
}

#[test]
fn rows_move_with_their_partitions_when_a_job_is_rescaled() {
    let mut h = top(&spec());
    let rows: String = (0..4).map(|n| format!("+ k{} {n} r\n", n % 10)).collect();
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

#[test]
fn a_partition_in_which_no_row_came_for_a_time_begins_anew() {
    for append_only in [true, false] {
        let spec = OperatorSpec::TopN(TopNSpec { append_only, last: Some(1), ..spec() });
        let mut h = Harness::forgetting(spec, &[input()], 10).expect("builds");
        assert_eq!(h.epoch_at(100, "+ x 5 a\n+ y 5 a"), "+ x 5 a\n+ y 5 a\n");
        assert_eq!(h.epoch_at(106, "+ x 6 b"), "+ x 6 b\n- x 5 a\n");
        assert_eq!(h.epoch_at(112, "+ x 1 c\n+ y 1 c"), "+ y 1 c\n", "y is new, x is not");
        h.epoch_at(200, "");
        assert_eq!(h.state(), []);
        if !append_only {
            // What was forgotten is taken back, and a row that is there.
            assert_eq!(h.epoch_at(201, "- x 6 b\n+ x 2 d"), "+ x 2 d\n");
            assert_eq!(h.epoch_at(202, "- x 2 d\n- x 2 d"), "- x 2 d\n");
        }
        h.epoch_at(300, "+ z 1 a");
        h.restart().expect("restarts");
        assert_eq!(h.epoch_at(305, "+ z 2 b"), "+ z 2 b\n- z 1 a\n");
        h.epoch_at(400, "");
        h.restart().expect("restarts");
        assert_eq!(h.stored(), 0);
    }
}

proptest! {
    #[test]
    fn what_is_forgotten_does_not_depend_on_memory(touches in touches(true), append_only: bool) {
        let spec = OperatorSpec::TopN(with_number(TopNSpec { append_only, ..spec() }));
        let rows = ["x 1 a", "x 2 b", "x 3 c", "y 1 a", "y 2 b", "z 1 a", "u 1 a", "v 1 a", "v 2 a"];
        let touches: Vec<_> = touches.into_iter().filter(|touch| !(append_only && touch.takes)).collect();
        forgets_alike(&spec, &[input()], &[&rows], &touches);
    }
}
