use crate::forgetting::{forgets_alike, touches};
use crate::harness::{Harness, add_rows, content_text};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use eddyline_changes::table::parse_changes;
use eddyline_changes::{KeyGroups, Watermark};
use eddyline_plan::{AggregateCall, OperatorSpec, SessionAggregateSpec};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

const TIME: DataType = DataType::Timestamp(TimeUnit::Millisecond, None);

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("k", DataType::Utf8, true),
        Field::new("ts", TIME, true),
        Field::new("v", DataType::Int64, true),
    ]))
}

fn call(function: &str, arg: Option<usize>) -> AggregateCall {
    AggregateCall {
        function: function.into(),
        args: arg.into_iter().collect(),
        arg_types: arg.map(|_| DataType::Int64).into_iter().collect(),
        distinct: false,
        filter: None,
        return_type: DataType::Int64,
        name: function.into(),
        list: Default::default(),
    }
}

fn spec(gap_ms: i64, keys: &[usize], closes: bool) -> SessionAggregateSpec {
    let calls = vec![call("count", None), call("sum", Some(2)), call("max", Some(2)), call("avg", Some(2))];
    SessionAggregateSpec { gap_ms, time: 1, time_type: TIME, keys: keys.to_vec(), calls, closes }
}

fn sessions(spec: &SessionAggregateSpec) -> Harness {
    Harness::new(OperatorSpec::SessionAggregate(spec.clone()), &[schema()]).expect("builds")
}

fn time(ms: i64) -> String {
    let time = arrow::temporal_conversions::timestamp_ms_to_datetime(ms).expect("a time");
    time.format("%Y-%m-%dT%H:%M:%S%.f").to_string()
}

fn row(k: &str, ms: i64, v: i64) -> String {
    format!("{k} {} {v}", time(ms))
}

/// A line of the output: key, count, sum, max, average, where the session begins and ends.
fn line(k: &str, results: [i64; 4], start: i64, end: i64) -> String {
    let results = results.map(|r| r.to_string()).join(" ");
    format!("{k} {results} {} {} {}", time(start), time(end), time(end - 1))
}

#[test]
fn sessions_that_a_row_connects_are_one_and_what_was_out_of_both_is_taken_back() {
    let mut h = sessions(&spec(10, &[0], false));
    h.process(&format!("+ {}\n+ {}\n+ {}", row("a", 0, 1), row("a", 20, 3), row("b", 0, 7))).expect("processes");
    let (one, two) = (line("a", [1, 1, 1, 1], 0, 10), line("a", [1, 3, 3, 3], 20, 30));
    let other = line("b", [1, 7, 7, 7], 0, 10);
    assert_eq!(h.flush().expect("flushes"), format!("+ {one}\n+ {two}\n+ {other}\n"));
    h.restart().expect("restarts");
    // Two steps of one epoch, each of which unites what the one before made.
    h.process(&format!("+ {}", row("a", 11, 5))).expect("processes");
    h.process(&format!("+ {}", row("a", 9, 3))).expect("processes");
    let whole = line("a", [4, 12, 5, 3], 0, 30);
    assert_eq!(h.flush().expect("flushes"), format!("+ {whole}\n- {one}\n- {two}\n"));
}

#[test]
fn nothing_comes_where_a_result_is_the_same() {
    let mut spec = spec(10, &[], false);
    spec.calls = vec![call("max", Some(2))];
    let mut h = sessions(&spec);
    h.process(&format!("+ {}\n+ {}", row("a", 0, 5), row("a", 8, 1))).expect("processes");
    h.flush().expect("flushes");
    h.process(&format!("+ {}", row("a", 4, 2))).expect("processes");
    assert_eq!(h.flush_batches().expect("flushes").len(), 0);
    h.process(&format!("+ {}", row("a", 9, 2))).expect("processes");
    let (was, is) = ((time(18), time(17)), (time(19), time(18)));
    let start = time(0);
    assert_eq!(
        h.flush().expect("flushes"),
        format!("+ 5 {start} {} {}\n- 5 {start} {} {}\n", is.0, is.1, was.0, was.1)
    );
}

#[test]
fn a_row_that_is_taken_back_is_refused() {
    let mut h = sessions(&spec(10, &[0], true));
    let error = h.process(&format!("- {}", row("a", 0, 1))).expect_err("it is no insertion");
    assert_eq!(error.to_string(), "SessionAggregate: a row is taken back of an input that was said to be append-only");
}

#[test]
fn sessions_come_in_the_order_of_their_ends() {
    let mut h = sessions(&spec(10, &[0], true));
    let rows = [row("a", 5, 1), row("b", 0, 1), row("a", 30, 1), row("c", 3, 1), row("b", 40, 1)];
    h.process(&rows.map(|r| format!("+ {r}\n")).concat()).expect("processes");
    h.advance(Watermark(39)).expect("advances");
    let batches = h.take();
    let text: String = batches.iter().map(eddyline_changes::table::format_changes).collect();
    let lines = [("b", 0), ("c", 3), ("a", 5), ("a", 30)].map(|(k, ms)| line(k, [1, 1, 1, 1], ms, ms + 10));
    assert_eq!(text, lines.map(|l| format!("+ {l}\n")).concat());
    assert_eq!(h.state(), [("sessions".to_owned(), 1), ("watermark".to_owned(), 1)]);
}

type Row = (Option<&'static str>, i64, i64);

#[derive(Debug, Clone)]
enum Step {
    Rows(Vec<Row>),
    /// The watermark goes on by so much.
    Advance(i64),
    Flush,
    Restart,
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (prop::sample::select(vec![Some("a"), Some("b"), None]), -10i64..60, 0i64..9);
    prop::collection::vec(row, 0..8)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => rows().prop_map(Step::Rows),
        2 => (0i64..9).prop_map(Step::Advance),
        2 => Just(Step::Flush),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..16)
}

/// What rows are there and what has come out, by the definition.
#[derive(Default)]
struct Model {
    rows: Vec<Row>,
    closed: BTreeMap<String, i64>,
    watermark: Option<i64>,
    late: u64,
}

impl Model {
    /// The change table of rows that come.
    fn insert(&mut self, rows: &[Row]) -> String {
        self.rows.extend_from_slice(rows);
        rows.iter().map(|r| format!("+ {}\n", row(r.0.unwrap_or("NULL"), r.1, r.2))).collect()
    }

    /// The sessions: rows in order, cut where a gap is.
    fn sessions(&self, spec: &SessionAggregateSpec) -> Vec<Vec<Row>> {
        let mut rows = self.rows.clone();
        let key = |row: &Row| if spec.keys.is_empty() { None } else { row.0 };
        rows.sort_by_key(|row| (key(row), row.1));
        rows.chunk_by(|a, b| key(a) == key(b) && b.1 - a.1 < spec.gap_ms).map(<[Row]>::to_vec).collect()
    }

    fn line(session: &[Row], spec: &SessionAggregateSpec) -> String {
        let values = || session.iter().map(|r| r.2);
        let (count, sum) = (session.len() as i64, values().sum::<i64>());
        let results = [count, sum, values().max().unwrap_or_default(), sum / count];
        let key = if spec.keys.is_empty() { "" } else { session[0].0.unwrap_or("NULL") };
        let last = session.last().map_or(0, |r| r.1);
        line(key, results, session[0].1, last + spec.gap_ms).trim_start().to_owned()
    }

    fn advance(&mut self, watermark: i64, spec: &SessionAggregateSpec) {
        let all = self.sessions(spec);
        self.rows.clear();
        for session in all {
            let ends = session.last().map_or(0, |r| r.1) + spec.gap_ms - 1;
            if ends > watermark {
                self.rows.extend(session);
            } else if self.watermark.is_some_and(|before| ends <= before) {
                self.late += session.len() as u64;
            } else {
                *self.closed.entry(Self::line(&session, spec)).or_default() += 1;
            }
        }
        self.watermark = Some(watermark);
    }

    fn content(&self, spec: &SessionAggregateSpec) -> String {
        if spec.closes {
            return content_text(&self.closed);
        }
        let mut content = BTreeMap::new();
        self.sessions(spec).iter().for_each(|s| *content.entry(Self::line(s, spec)).or_default() += 1);
        content_text(&content)
    }
}

proptest! {
    #[test]
    fn accumulated_output_is_the_batch_answer(
        gap in 1i64..12,
        keyed: bool,
        closes: bool,
        steps in steps(),
        tight: bool,
    ) {
        let spec = spec(gap, if keyed { &[0] } else { &[] }, closes);
        let mut h = sessions(&spec).tight(tight);
        let mut model = Model::default();
        for step in &steps {
            match step {
                Step::Rows(rows) => h.process(&model.insert(rows)).expect("processes"),
                Step::Advance(by) => {
                    let watermark = model.watermark.unwrap_or(-11) + by;
                    if closes {
                        model.advance(watermark, &spec);
                    } else {
                        model.watermark = Some(watermark);
                    }
                    h.advance(Watermark(watermark)).expect("advances");
                }
                Step::Flush => {
                    h.flush().expect("flushes");
                    prop_assert_eq!(h.content(), model.content(&spec));
                }
                Step::Restart => {
                    h.flush().expect("flushes");
                    h.restart().expect("restarts");
                }
            }
        }
        if closes {
            model.advance(i64::MAX, &spec);
        }
        h.advance(Watermark::END).expect("advances");
        h.flush().expect("flushes");
        prop_assert_eq!(h.content(), model.content(&spec));
        prop_assert_eq!(h.rejected("late"), model.late);
        if closes {
            prop_assert_eq!(h.state(), [("watermark".to_owned(), 1)]);
            h.persist().expect("persists");
            prop_assert_eq!(h.stored(), 16, "the watermark, once per key group");
        }
    }

    #[test]
    fn another_number_of_shards_goes_on_alike(first in rows(), then in rows(), closes: bool) {
        let spec = spec(8, &[0], closes);
        let (mut model, mut whole) = (Model::default(), sessions(&spec));
        whole.process(&model.insert(&first)).expect("processes");
        if closes {
            model.advance(12, &spec);
        }
        whole.advance(Watermark(12)).expect("advances");
        whole.flush().expect("flushes");
        whole.persist().expect("persists");
        let groups = KeyGroups::new(16, 2);
        let mut parts = [0, 1].map(|shard| Harness::rescaled(&[&whole], groups, shard).expect("builds"));
        for line in model.insert(&then).lines() {
            let hash = parse_changes(&schema(), line).expect("a row").key_hashes(&[0]).expect("hashes")[0];
            parts[groups.shard_of(hash)].process(line).expect("processes");
        }
        if closes {
            model.advance(i64::MAX, &spec);
        }
        let mut content = BTreeMap::new();
        add_rows(&mut content, &parse_changes(whole.schema(), &whole.content()).expect("a table"));
        for part in &mut parts {
            part.advance(Watermark::END).expect("advances");
            part.emitted_at_flush().expect("flushes").iter().for_each(|b| add_rows(&mut content, b));
        }
        prop_assert_eq!(content_text(&content), model.content(&spec));
    }

    #[test]
    fn what_is_forgotten_does_not_depend_on_memory(touches in touches(false)) {
        let spec = OperatorSpec::SessionAggregate(spec(5, &[0], false));
        let rows = [row("x", 1, 5), row("x", 3, 1), row("x", 8, 1), row("y", 1, 7), row("y", 9, 2), row("z", 1, 1)];
        forgets_alike(&spec, &[schema()], &[&rows.each_ref().map(String::as_str)], &touches);
    }
}
