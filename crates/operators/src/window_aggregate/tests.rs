use crate::harness::{Harness, add_rows, content_text};
use arrow::array::UInt32Array;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use eddyline_changes::table::parse_changes;
use eddyline_changes::{ChangeBatch, KeyGroups, Watermark};
use eddyline_plan::{AggregateCall, AggregatePhase, OperatorSpec, Window, WindowAggregateSpec};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const TIME: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("k", DataType::Utf8, true),
        Field::new("ts", TIME, true),
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
    let mut calls = vec![call("count", None, false, None), call("sum", Some(2), false, Some(3))];
    if extremes {
        calls.push(call("max", Some(2), false, None));
        calls.push(call("min", Some(2), false, Some(3)));
    }
    if distinct {
        calls.push(call("count", Some(2), true, None));
        calls.push(call("sum", Some(2), true, Some(3)));
    }
    calls.push(call("avg", Some(2), false, None));
    calls
}

fn spec(window: Window, keys: &[usize], calls: Vec<AggregateCall>, append_only: bool) -> WindowAggregateSpec {
    WindowAggregateSpec {
        window,
        time: 1,
        time_type: TIME,
        keys: keys.to_vec(),
        calls,
        phase: AggregatePhase::Single,
        append_only,
    }
}

fn single(spec: &WindowAggregateSpec) -> Harness {
    Harness::new(OperatorSpec::WindowAggregate(spec.clone()), &[schema()]).expect("builds")
}

fn tumble(size_ms: i64) -> Window {
    Window::Tumble { size_ms, offset_ms: 0 }
}

fn hop(size_ms: i64, slide_ms: i64, offset_ms: i64) -> Window {
    Window::Hop { size_ms, slide_ms, offset_ms }
}

fn counts(window: Window) -> WindowAggregateSpec {
    spec(window, &[0], vec![call("count", None, false, None)], true)
}

#[test]
fn a_tumbling_window_is_emitted_once_when_the_watermark_reaches_its_last_millisecond() {
    let mut h = single(&counts(tumble(1000)));
    h.process("+ a 1970-01-01T00:00:00.100 1 true\n+ b 1970-01-01T00:00:00.999999 1 true").expect("processes");
    h.process("+ a 1970-01-01T00:00:01 1 true").expect("processes");
    h.advance(Watermark(998)).expect("advances");
    assert_eq!(h.flush().expect("flushes"), "");
    h.advance(Watermark(999)).expect("advances");
    assert_eq!(
        h.flush().expect("flushes"),
        "+ a 1 1970-01-01T00:00:00 1970-01-01T00:00:01 1970-01-01T00:00:00.999\n\
         + b 1 1970-01-01T00:00:00 1970-01-01T00:00:01 1970-01-01T00:00:00.999\n"
    );
    h.advance(Watermark::END).expect("advances");
    assert_eq!(h.flush().expect("flushes"), "+ a 1 1970-01-01T00:00:01 1970-01-01T00:00:02 1970-01-01T00:00:01.999\n");
}

#[test]
fn a_late_row_is_rejected_and_one_that_is_late_for_some_windows_counts_in_the_others() {
    let mut h = single(&counts(hop(2000, 1000, 0)));
    h.process("+ a 1970-01-01T00:00:00.500 1 true").expect("processes");
    h.advance(Watermark(999)).expect("advances");
    assert_eq!(h.flush().expect("flushes"), "+ a 1 1969-12-31T23:59:59 1970-01-01T00:00:01 1970-01-01T00:00:00.999\n");
    h.restart().expect("restarts");
    // The window that ended at 1 s is closed, the one that ends at 2 s is not.
    h.process("+ a 1970-01-01T00:00:00.600 1 true").expect("processes");
    assert_eq!(h.rejected("late"), 0);
    h.process("+2 a 1969-12-31T23:59:59.999 1 true").expect("processes");
    assert_eq!(h.rejected("late"), 2);
    h.process("+ a NULL 1 true").expect("processes");
    assert_eq!(h.rejected("null time"), 1);
    h.advance(Watermark::END).expect("advances");
    assert_eq!(h.flush().expect("flushes"), "+ a 2 1970-01-01T00:00:00 1970-01-01T00:00:02 1970-01-01T00:00:01.999\n");
}

#[test]
fn rows_between_the_windows_are_in_none_and_not_late() {
    let mut h = single(&counts(hop(1000, 3000, 0)));
    h.process("+ a 1970-01-01T00:00:01.500 1 true\n+ a 1970-01-01T00:00:03 1 true").expect("processes");
    h.advance(Watermark::END).expect("advances");
    assert_eq!(h.flush().expect("flushes"), "+ a 1 1970-01-01T00:00:03 1970-01-01T00:00:04 1970-01-01T00:00:03.999\n");
    assert_eq!(h.rejected("late"), 0);
}

#[test]
fn what_was_taken_back_before_the_window_closed_was_never_there() {
    let mut h = single(&spec(tumble(1000), &[0], calls(true, true), false));
    h.process("+ a 1970-01-01T00:00:00 1 true").expect("processes");
    h.flush().expect("flushes");
    h.process("- a 1970-01-01T00:00:00 1 true").expect("processes");
    h.flush().expect("flushes");
    assert_eq!(h.state(), []);
    h.process("- a 1970-01-01T00:00:00.5 1 true").expect("processes");
    let error = h.advance(Watermark::END).expect_err("a negative group");
    assert_eq!(error.to_string(), "WindowAggregate: a row is retracted that was never inserted: key (a)");
}

#[test]
fn a_row_that_was_never_there_is_noticed_when_none_is_left() {
    for window in [tumble(1000), hop(2000, 1000, 0)] {
        for (at, call) in calls(true, true).into_iter().enumerate().skip(1) {
            let spec = spec(window, &[0], vec![call], false);
            // At the end of the epoch, and when the window closes before that.
            let mut h = single(&spec);
            h.process("+ a 1970-01-01T00:00:00 1 true\n- a 1970-01-01T00:00:00.5 2 true").expect("processes");
            let error = h.flush().expect_err("another row");
            assert!(error.to_string().contains("a row is retracted that was never inserted"), "call {at}: {error}");
            let mut h = single(&spec);
            h.process("+ a 1970-01-01T00:00:00 1 true\n- a 1970-01-01T00:00:00.5 2 true").expect("processes");
            let error = h.advance(Watermark::END).expect_err("another row");
            assert!(error.to_string().contains("a row is retracted that was never inserted"), "call {at}: {error}");
        }
        let mut h = single(&counts(window));
        h.process("+2 a 1970-01-01T00:00:01.5 1 true\n- a 1970-01-01T00:00:00.5 1 true").expect("processes");
        let error = h.flush().expect_err("fewer than no rows, hidden behind those of the next slice or window");
        assert_eq!(error.to_string(), "WindowAggregate: a row is retracted that was never inserted: key (a)");
    }
}

#[test]
fn times_that_no_window_can_hold_are_refused_and_others_are_right() {
    let millis = DataType::Timestamp(TimeUnit::Millisecond, None);
    let input: SchemaRef =
        Arc::new(Schema::new(vec![Field::new("k", DataType::Utf8, true), Field::new("ts", millis.clone(), true)]));
    let batch = |times: &[i64]| {
        let keys = arrow::array::StringArray::from(vec!["a"; times.len()]);
        let times = arrow::array::TimestampMillisecondArray::from(times.to_vec());
        let columns: Vec<arrow::array::ArrayRef> = vec![Arc::new(keys), Arc::new(times)];
        ChangeBatch::inserts(arrow::array::RecordBatch::try_new(input.clone(), columns).expect("a batch"))
    };
    for phase in [AggregatePhase::Single, AggregatePhase::Local] {
        for window in [tumble(1000), hop(3000, 1000, i64::MAX)] {
            let spec = WindowAggregateSpec { time_type: millis.clone(), phase, ..counts(window) };
            let spec = OperatorSpec::WindowAggregate(spec);
            for time in [i64::MIN, i64::MIN + 1, i64::MAX, i64::MAX - 1] {
                let mut h = Harness::new(spec.clone(), std::slice::from_ref(&input)).expect("builds");
                let error = h.apply(0, batch(&[0, time])).expect_err("out of range").to_string();
                assert!(error.contains(&format!("event time {time} ms")), "{error}");
            }
            let mut h = Harness::new(spec, std::slice::from_ref(&input)).expect("builds");
            let (first, last) = (i64::MIN + 6000, i64::MAX - 6000);
            h.apply(0, batch(&[last, first, last])).expect("in range");
            h.advance(Watermark::END).expect("advances");
            let rows: usize = h.flush_batches().expect("flushes").iter().map(ChangeBatch::num_rows).sum();
            let windows = if phase == AggregatePhase::Local { 1 } else { window.size_ms() / window.slide_ms() };
            assert_eq!(rows as i64, 2 * windows);
        }
    }
}

#[test]
fn closed_windows_stay_closed_on_any_number_of_shards() {
    let spec = OperatorSpec::WindowAggregate(counts(hop(2000, 1000, 0)));
    let on = |shards| KeyGroups::new(16, shards);
    let keys = ["a", "b", "c", "d", "e", "f"];
    let table = |time: &str| keys.map(|k| format!("+ {k} 1970-01-01T00:00:{time} 1 true\n")).concat();
    let own = |h: &mut Harness, groups: KeyGroups, shard: usize, table: &str| {
        let batch = parse_changes(&schema(), table).expect("a table");
        let hashes = batch.key_hashes(&[0]).expect("hashes");
        let rows = (0..batch.num_rows() as u32).filter(|r| groups.shard_of(hashes[*r as usize]) == shard);
        h.apply(0, batch.take(&UInt32Array::from_iter_values(rows)).expect("takes")).expect("processes");
    };
    let mut instances: Vec<Harness> =
        (0..2).map(|shard| Harness::sharded(spec.clone(), &[schema()], on(2), shard).expect("builds")).collect();
    for (shard, h) in instances.iter_mut().enumerate() {
        own(h, on(2), shard, &table("00.5"));
        own(h, on(2), shard, &table("01.5"));
        h.advance(Watermark(999)).expect("advances");
        assert!(!h.flush().expect("flushes").is_empty(), "both shards have keys");
        h.persist().expect("persists");
    }
    // Windows close one after the other, each under another number of shards: 2, 1, 4, 2.
    for (shards, second) in [(1u16, 1i64), (4, 2), (2, 3)] {
        let before: Vec<&Harness> = instances.iter().collect();
        let rescaled = (0..shards.into()).map(|s| Harness::rescaled(&before, on(shards), s).expect("builds"));
        let mut next: Vec<Harness> = rescaled.collect();
        let mut emitted = String::new();
        for (shard, h) in next.iter_mut().enumerate() {
            own(h, on(shards), shard, &table("00.5").replace("1970-01-01T00:00:00.5", "1969-12-31T23:59:59"));
            h.advance(Watermark(second * 1000 + 999)).expect("advances");
            emitted += &h.flush().expect("flushes");
            h.persist().expect("persists");
        }
        let late: u64 = next.iter().map(|h| h.rejected("late")).sum();
        let end = format!("1970-01-01T00:00:{:02} 1970-01-01T00:00:{second:02}.999", second + 1);
        let windows = if second < 3 { keys.len() } else { 0 };
        assert_eq!((emitted.lines().count(), late), (windows, keys.len() as u64), "{shards} shards: {emitted}");
        assert!(emitted.lines().all(|l| l.ends_with(&end)), "{shards} shards: {emitted}");
        instances = next;
    }
}

#[test]
fn distinct_and_retracted_extremes_are_refused_in_two_phases() {
    for (calls, phase) in [
        (calls(false, true), AggregatePhase::Local),
        (calls(false, true), AggregatePhase::Global),
        (calls(true, false), AggregatePhase::Local),
    ] {
        let spec = WindowAggregateSpec { phase, ..spec(tumble(1), &[0], calls, false) };
        assert!(Harness::new(OperatorSpec::WindowAggregate(spec), &[schema()]).is_err());
    }
}

#[test]
fn local_partials_go_out_before_the_watermark_that_needs_them() {
    let spec = WindowAggregateSpec { phase: AggregatePhase::Local, ..counts(tumble(1000)) };
    let mut h = Harness::new(OperatorSpec::WindowAggregate(spec), &[schema()]).expect("builds");
    h.process("+ a 1970-01-01T00:00:00.100 1 true\n+ a 1970-01-01T00:00:00.200 1 true").expect("processes");
    h.advance(Watermark(998)).expect("advances");
    assert!(h.take().is_empty());
    h.advance(Watermark(999)).expect("advances");
    assert_eq!(crate::harness::net_text(&h.take()), "+ a 0 2 2\n");
}

/// k, time in ms, v, f.
type Row = (Option<&'static str>, i64, Option<i64>, Option<bool>);

fn show<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "NULL".to_owned(), |v| v.to_string())
}

fn time(ms: i64) -> String {
    let time = arrow::temporal_conversions::timestamp_ms_to_datetime(ms).expect("a time");
    time.format("%Y-%m-%dT%H:%M:%S%.f").to_string()
}

fn line(row: &Row) -> String {
    format!("{} {} {} {}", show(row.0), time(row.1), show(row.2), show(row.3))
}

/// What the windows say that hold `rows`, where a row does not count in windows closed by `watermark` of its own.
fn answer(spec: &WindowAggregateSpec, rows: &[(Row, i64)], upto: i64) -> String {
    let mut groups: BTreeMap<(i64, Option<&str>), Vec<Row>> = BTreeMap::new();
    let (size, slide, offset) = (spec.window.size_ms(), spec.window.slide_ms(), spec.window.offset_ms());
    for (row, watermark) in rows {
        for start in (-400..400).map(|k| k * slide + offset) {
            if start <= row.1 && row.1 < start + size && start + size - 1 > *watermark && start + size - 1 <= upto {
                let key = if spec.keys.is_empty() { None } else { row.0 };
                groups.entry((start, key)).or_default().push(*row);
            }
        }
    }
    let mut content = BTreeMap::new();
    for ((start, key), rows) in groups {
        let mut words = if spec.keys.is_empty() { Vec::new() } else { vec![show(key)] };
        for call in &spec.calls {
            let passing = rows.iter().filter(|r| call.filter.is_none() || r.3 == Some(true));
            let mut values: Vec<i64> = match call.args.first() {
                None => passing.map(|_| 0).collect(),
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
        words.extend([time(start), time(start + size), time(start + size - 1)]);
        *content.entry(words.join(" ")).or_insert(0) += 1;
    }
    content_text(&content)
}

#[derive(Debug, Clone)]
enum Step {
    /// Rows to insert, and which of the rows that are not late to take back.
    Rows(Vec<Row>, Vec<prop::sample::Index>),
    /// The watermark goes on by so much.
    Advance(i64),
    Flush,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let row = (
        prop::sample::select(vec![Some("a"), Some("b"), None]),
        -10i64..40,
        prop::option::of(-2i64..3),
        any::<Option<bool>>(),
    );
    let rows = (prop::collection::vec(row, 0..6), prop::collection::vec(any::<prop::sample::Index>(), 0..3));
    let step = prop_oneof![
        4 => rows.prop_map(|(r, d)| Step::Rows(r, d)),
        2 => (0i64..9).prop_map(Step::Advance),
        1 => Just(Step::Flush),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..14)
}

fn windows() -> impl Strategy<Value = Window> {
    prop::sample::select(vec![
        tumble(7),
        Window::Tumble { size_ms: 5, offset_ms: 2 },
        hop(10, 5, 0),
        hop(9, 2, -1),
        hop(6, 4, 1),
        hop(3, 7, 2),
        hop(8, 8, 0),
        hop(4, 8, 1),
    ])
}

/// The change table of a step; rows are noted with the watermark under which they came. Only rows of which nothing is
/// closed are taken back, so that retraction and insertion meet the same windows.
fn table(
    spec: &WindowAggregateSpec,
    rows: &mut Vec<(Row, i64)>,
    insert: &[Row],
    take: &[prop::sample::Index],
    watermark: i64,
) -> String {
    let mut text = String::new();
    for row in insert {
        text += &format!("+ {}\n", line(row));
        rows.push((*row, watermark));
    }
    for index in take.iter().filter(|_| !spec.append_only) {
        let untouched = |row: &Row| spec.window.starts_of(row.1).all(|s| s + spec.window.size_ms() - 1 > watermark);
        if let Some(at) = (!rows.is_empty()).then(|| index.index(rows.len())).filter(|at| untouched(&rows[*at].0)) {
            let (row, _) = rows.swap_remove(at);
            text += &format!("- {}\n", line(&row));
        }
    }
    text
}

fn late(spec: &WindowAggregateSpec, rows: &[(Row, i64)]) -> u64 {
    let is_late = |row: &Row, watermark: i64| {
        spec.window.starts_of(row.1).last().is_some_and(|s| s + spec.window.size_ms() - 1 <= watermark)
    };
    rows.iter().filter(|(row, watermark)| is_late(row, *watermark)).count() as u64
}

proptest! {
    #[test]
    fn accumulated_output_is_the_batch_answer(
        window in windows(),
        keyed: bool,
        steps in steps(),
        append_only: bool,
        tight: bool,
    ) {
        let keys: &[usize] = if keyed { &[0] } else { &[] };
        let spec = spec(window, keys, calls(true, true), append_only);
        let mut h = single(&spec).tight(tight);
        let (mut rows, mut watermark) = (Vec::new(), i64::MIN);
        for step in &steps {
            match step {
                Step::Rows(insert, take) => {
                    h.process(&table(&spec, &mut rows, insert, take, watermark)).expect("processes");
                }
                Step::Advance(by) => {
                    watermark = watermark.max(-11) + by;
                    h.advance(Watermark(watermark)).expect("advances");
                }
                Step::Flush => {
                    h.flush().expect("flushes");
                    prop_assert_eq!(h.content(), answer(&spec, &rows, watermark));
                }
                Step::Restart => {
                    h.flush().expect("flushes");
                    h.restart().expect("restarts");
                }
            }
        }
        prop_assert_eq!(h.rejected("late"), late(&spec, &rows));
        h.advance(Watermark::END).expect("advances");
        h.flush().expect("flushes");
        prop_assert_eq!(h.content(), answer(&spec, &rows, i64::MAX));
        prop_assert_eq!(h.state(), [("watermark".to_owned(), 1)]);
        h.persist().expect("persists");
        prop_assert_eq!(h.stored(), 16, "the watermark, once per key group");
    }

    #[test]
    fn taking_all_rows_back_empties_the_state(
        window in windows(),
        keyed: bool,
        rows in prop::collection::vec((prop::sample::select(vec![Some("a"), None]), -10i64..40, prop::option::of(-2i64..3), any::<Option<bool>>()), 0..12),
        restart: bool,
        tight: bool,
    ) {
        let keys: &[usize] = if keyed { &[0] } else { &[] };
        let mut h = single(&spec(window, keys, calls(true, true), false)).tight(tight);
        for sign in ["+", "-"] {
            h.process(&rows.iter().map(|r| format!("{sign} {}\n", line(r))).collect::<String>()).expect("processes");
            h.flush().expect("flushes");
            if restart {
                h.restart().expect("restarts");
            }
        }
        prop_assert_eq!(h.state(), []);
        h.persist().expect("persists");
        prop_assert_eq!(h.stored(), 0);
        h.advance(Watermark::END).expect("advances");
        prop_assert_eq!(h.flush().expect("flushes"), "");
    }

    #[test]
    fn phases_together_are_the_single_phase(
        window in windows(),
        keyed: bool,
        steps in steps(),
        append_only: bool,
        dealt in prop::collection::vec(0usize..2, 64),
    ) {
        let keys: &[usize] = if keyed { &[0] } else { &[] };
        let spec = spec(window, keys, calls(append_only, false), append_only);
        let mut pipeline = Pipeline::new(&spec);
        let (mut rows, mut watermark) = (Vec::new(), i64::MIN);
        let mut dealt = dealt.into_iter().cycle();
        for step in &steps {
            match step {
                Step::Rows(insert, take) => {
                    for line in table(&spec, &mut rows, insert, take, watermark).lines() {
                        pipeline.locals[dealt.next().unwrap_or(0)].process(line).expect("processes");
                    }
                }
                Step::Advance(by) => {
                    watermark = watermark.max(-11) + by;
                    pipeline.advance(Watermark(watermark));
                }
                Step::Flush => {
                    pipeline.flush();
                    prop_assert_eq!(pipeline.content(), answer(&spec, &rows, watermark));
                }
                Step::Restart => {
                    pipeline.flush();
                    pipeline.locals.iter_mut().chain(&mut pipeline.globals).for_each(|h| h.restart().expect("restarts"));
                }
            }
        }
        pipeline.advance(Watermark::END);
        pipeline.flush();
        prop_assert_eq!(pipeline.content(), answer(&spec, &rows, i64::MAX));
        let left: usize = pipeline.globals.iter().map(|h| h.rejected("late") as usize).sum();
        prop_assert_eq!(left as u64, late(&spec, &rows));
    }
}

/// Local → Global, two of each.
struct Pipeline {
    locals: Vec<Harness>,
    globals: Vec<Harness>,
    keys: Vec<usize>,
    groups: KeyGroups,
}

impl Pipeline {
    fn new(spec: &WindowAggregateSpec) -> Self {
        let groups = KeyGroups::new(16, 2);
        let two = |spec: &WindowAggregateSpec, input: &SchemaRef| -> Vec<Harness> {
            let one = |shard| {
                Harness::sharded(
                    OperatorSpec::WindowAggregate(spec.clone()),
                    std::slice::from_ref(input),
                    groups,
                    shard,
                )
                .expect("builds")
            };
            vec![one(0), one(1)]
        };
        let keys: Vec<usize> = (0..spec.keys.len()).collect();
        let local = WindowAggregateSpec { phase: AggregatePhase::Local, ..spec.clone() };
        let global = WindowAggregateSpec { phase: AggregatePhase::Global, keys: keys.clone(), ..spec.clone() };
        let partial = local.output_schema(&schema());
        Self { locals: two(&local, &schema()), globals: two(&global, &partial), keys, groups }
    }

    fn advance(&mut self, watermark: Watermark) {
        for local in &mut self.locals {
            local.advance(watermark).expect("advances");
        }
        let batches: Vec<ChangeBatch> = self.locals.iter_mut().flat_map(Harness::take).collect();
        self.exchange(&batches);
        for global in &mut self.globals {
            global.advance(watermark).expect("advances");
        }
    }

    fn flush(&mut self) {
        let batches: Vec<ChangeBatch> =
            self.locals.iter_mut().flat_map(|l| l.flush_batches().expect("flushes")).collect();
        self.exchange(&batches);
        self.globals.iter_mut().for_each(|g| {
            g.flush().expect("flushes");
        });
    }

    fn exchange(&mut self, batches: &[ChangeBatch]) {
        for batch in batches {
            let hashes = batch.key_hashes(&self.keys).expect("hashes");
            let keys: Vec<_> = self.keys.iter().map(|k| batch.column(*k).clone()).collect();
            let computed = eddyline_changes::hash::hash_columns(&keys, batch.num_rows()).expect("hashes");
            assert_eq!(hashes.as_ref(), computed, "hashes that are carried along are those of the keys");
            for (shard, target) in self.globals.iter_mut().enumerate() {
                let rows = (0..batch.num_rows() as u32).filter(|r| self.groups.shard_of(hashes[*r as usize]) == shard);
                let part = batch.take(&UInt32Array::from_iter_values(rows)).expect("takes");
                if !part.is_empty() {
                    target.apply(0, part).expect("processes");
                }
            }
        }
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
