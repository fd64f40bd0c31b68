use crate::forgetting::{forgets_alike, touches};
use crate::harness::{Harness, content_text};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use eddyline_changes::{KeyGroups, Watermark};
use eddyline_plan::{OperatorSpec, SessionAssignSpec};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("k", DataType::Utf8, true),
        Field::new("ts", DataType::Timestamp(TimeUnit::Microsecond, None), true),
        Field::new("v", DataType::Int64, true),
    ]))
}

fn spec(gap_ms: i64, partition: &[usize], closes: bool) -> SessionAssignSpec {
    SessionAssignSpec { gap_ms, time: 1, partition: partition.to_vec(), closes }
}

fn sessions(spec: &SessionAssignSpec) -> Harness {
    Harness::new(OperatorSpec::SessionAssign(spec.clone()), &[schema()]).expect("builds")
}

fn time(ms: i64) -> String {
    let time = arrow::temporal_conversions::timestamp_ms_to_datetime(ms).expect("a time");
    time.format("%Y-%m-%dT%H:%M:%S%.f").to_string()
}

/// A line of the output: a row with its session.
fn shown(k: &str, ms: i64, v: i64, (start, end): (i64, i64)) -> String {
    format!("{k} {} {v} {} {} {}", time(ms), time(start), time(end), time(end - 1))
}

fn table(lines: &[(&str, String)]) -> String {
    let mut lines: Vec<String> = lines.iter().map(|(sign, line)| format!("{sign} {line}\n")).collect();
    lines.sort_unstable();
    lines.concat()
}

fn row(k: &str, ms: i64, v: i64) -> String {
    format!("{k} {} {v}", time(ms))
}

#[test]
fn a_session_grows_at_both_ends_and_two_become_one() {
    let mut h = sessions(&spec(10, &[0], false));
    h.process(&format!("+ {}\n+ {}\n+ {}", row("a", 100, 1), row("a", 110, 2), row("b", 105, 3))).expect("processes");
    // A row that comes just a gap later begins another session; partitions know nothing of each other.
    let (one, two) = (shown("a", 100, 1, (100, 110)), shown("a", 110, 2, (110, 120)));
    let other = shown("b", 105, 3, (105, 115));
    assert_eq!(h.flush().expect("flushes"), table(&[("+", one.clone()), ("+", two.clone()), ("+", other)]));
    h.process(&format!("+ {}", row("a", 109, 4))).expect("processes");
    let whole = (100, 120);
    assert_eq!(
        h.flush().expect("flushes"),
        table(&[
            ("-", one),
            ("-", two),
            ("+", shown("a", 100, 1, whole)),
            ("+", shown("a", 109, 4, whole)),
            ("+", shown("a", 110, 2, whole)),
        ])
    );
    // One more row within it changes nothing for the others.
    h.process(&format!("+2 {}", row("a", 101, 5))).expect("processes");
    assert_eq!(h.flush().expect("flushes"), table(&[("+2", shown("a", 101, 5, whole))]));
    h.process(&format!("- {}", row("a", 101, 5))).expect("processes");
    assert_eq!(h.flush().expect("flushes"), table(&[("-", shown("a", 101, 5, whole))]));
}

#[test]
fn a_session_from_which_rows_are_taken_back_shrinks_and_splits() {
    let mut h = sessions(&spec(10, &[], false));
    for ms in [0, 6, 12, 18] {
        h.process(&format!("+ {}", row("a", ms, ms))).expect("processes");
    }
    h.flush().expect("flushes");
    h.restart().expect("restarts");
    h.process(&format!("- {}", row("a", 6, 6))).expect("processes");
    h.flush().expect("flushes");
    let content = |lines: &[String]| table(&lines.iter().map(|l| ("+", l.clone())).collect::<Vec<_>>());
    assert_eq!(
        h.content(),
        content(&[shown("a", 0, 0, (0, 10)), shown("a", 12, 12, (12, 28)), shown("a", 18, 18, (12, 28))])
    );
    h.process(&format!("- {}", row("a", 18, 18))).expect("processes");
    h.flush().expect("flushes");
    assert_eq!(h.content(), content(&[shown("a", 0, 0, (0, 10)), shown("a", 12, 12, (12, 22))]));
    let error = h.process(&format!("- {}", row("a", 6, 6))).and_then(|()| h.flush()).expect_err("it is gone");
    assert_eq!(
        error.to_string(),
        "SessionAssign: a row is retracted that was never inserted: key (a, 1970-01-01T00:00:00.006, 6)"
    );
}

#[test]
fn a_session_comes_once_when_the_watermark_reaches_its_last_millisecond() {
    let mut h = sessions(&spec(10, &[0], true));
    h.process(&format!("+ {}\n+ {}\n+ {}", row("a", 0, 1), row("a", 9, 2), row("b", 3, 3))).expect("processes");
    assert_eq!(h.flush().expect("flushes"), "");
    h.advance(Watermark(11)).expect("advances");
    assert_eq!(h.flush().expect("flushes"), "");
    h.advance(Watermark(12)).expect("advances");
    assert_eq!(h.flush().expect("flushes"), table(&[("+", shown("b", 3, 3, (3, 13)))]));
    h.restart().expect("restarts");
    // In time, as the row before it holds the session open.
    h.process(&format!("+ {}\n+ {}", row("a", 1, 4), row("a", 18, 5))).expect("processes");
    assert_eq!(h.advance(Watermark(18)).expect("advances"), Watermark(18));
    assert_eq!(h.flush().expect("flushes"), "");
    h.advance(Watermark(27)).expect("advances");
    let all = [(0, 1), (9, 2), (1, 4), (18, 5)].map(|(ms, v)| ("+", shown("a", ms, v, (0, 28))));
    assert_eq!(h.flush().expect("flushes"), table(&all));
    assert_eq!(h.rejected("late"), 0);
    assert_eq!(h.state(), [("watermark".to_owned(), 1)]);
}

#[test]
fn whether_a_row_is_late_is_told_by_the_session_that_it_would_be_in() {
    let mut h = sessions(&spec(10, &[], true));
    h.advance(Watermark(15)).expect("advances");
    // Of its own it is late; a row that comes after it, even in another epoch, holds its session open.
    h.process(&format!("+ {}", row("a", 0, 1))).expect("processes");
    h.flush().expect("flushes");
    h.restart().expect("restarts");
    h.process(&format!("+ {}\n+ {}", row("a", 8, 2), row("a", -7, 3))).expect("processes");
    h.process(&format!("+2 {}", row("a", -30, 4))).expect("processes");
    h.advance(Watermark(16)).expect("advances");
    assert_eq!(h.rejected("late"), 2);
    h.advance(Watermark(17)).expect("advances");
    let all = [(0, 1), (8, 2), (-7, 3)].map(|(ms, v)| ("+", shown("a", ms, v, (-7, 18))));
    assert_eq!(h.flush().expect("flushes"), table(&all));
    // Late as well: what is taken back of a closed session, and one that is closed already because its last rows went.
    h.process(&format!("- {}", row("a", 8, 2))).expect("processes");
    h.flush().expect("flushes");
    assert_eq!(h.rejected("late"), 3);
    h.process(&format!("+ {}\n+ {}", row("a", 7, 5), row("a", 15, 6))).expect("processes");
    h.flush().expect("flushes");
    h.process(&format!("- {}", row("a", 15, 6))).expect("processes");
    h.advance(Watermark::END).expect("advances");
    assert_eq!(h.flush().expect("flushes"), "");
    assert_eq!(h.rejected("late"), 4);
}

#[test]
fn a_row_may_be_taken_back_before_it_comes_within_an_epoch() {
    let mut h = sessions(&spec(10, &[0], true));
    h.process(&format!("- {}", row("a", 5, 1))).expect("processes");
    h.advance(Watermark(3)).expect("advances");
    h.process(&format!("+ {}", row("a", 5, 1))).expect("processes");
    h.flush().expect("flushes");
    assert_eq!(h.state(), [("watermark".to_owned(), 1)]);
    h.process(&format!("- {}", row("a", 5, 1))).expect("processes");
    let error = h.flush().expect_err("it never came");
    assert_eq!(
        error.to_string(),
        "SessionAssign: a row is retracted that was never inserted: key (a, 1970-01-01T00:00:00.005, 1)"
    );
}

#[test]
fn times_are_cut_to_milliseconds_and_those_out_of_range_are_refused() {
    let mut h = sessions(&spec(10, &[0], true));
    h.process("+ a 1970-01-01T00:00:00.000999 1\n+ a 1970-01-01T00:00:00.010 2\n+ a NULL 3").expect("processes");
    assert_eq!(h.rejected("null time"), 1);
    h.advance(Watermark::END).expect("advances");
    let lines = "+ a 1970-01-01T00:00:00.000999 1 1970-01-01T00:00:00 1970-01-01T00:00:00.010 1970-01-01T00:00:00.009\n\
                 + a 1970-01-01T00:00:00.010 2 1970-01-01T00:00:00.010 1970-01-01T00:00:00.020 1970-01-01T00:00:00.019\n";
    assert_eq!(h.flush().expect("flushes"), lines);
    let mut h = sessions(&spec(i64::MAX, &[0], true));
    let error = h.process(&format!("+ {}", row("a", 1, 1))).expect_err("its session does not end");
    assert_eq!(error.to_string(), "SessionAssign: event time 1 ms (from 1970-01-01 on) is out of the range of windows");
}

type Row = (Option<&'static str>, i64, i64);

#[derive(Debug, Clone)]
enum Step {
    /// Rows to insert, and which of those that are there to take back.
    Rows(Vec<Row>, Vec<prop::sample::Index>),
    /// The watermark goes on by so much.
    Advance(i64),
    Flush,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let row = (prop::sample::select(vec![Some("a"), None]), -10i64..40, 0i64..2);
    let rows = (prop::collection::vec(row, 0..6), prop::collection::vec(any::<prop::sample::Index>(), 0..3));
    let step = prop_oneof![
        4 => rows.prop_map(|(r, d)| Step::Rows(r, d)),
        2 => (0i64..9).prop_map(Step::Advance),
        2 => Just(Step::Flush),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..16)
}

/// The session of a row among others: wider and wider, until no row is near.
fn session_of(row: &Row, rows: &[Row], spec: &SessionAssignSpec) -> (i64, i64) {
    let (mut first, mut last) = (row.1, row.1);
    loop {
        let near = rows.iter().filter(|r| spec.partition.is_empty() || r.0 == row.0).map(|r| r.1);
        let near: Vec<i64> = near.filter(|ms| first - ms < spec.gap_ms && ms - last < spec.gap_ms).collect();
        let wider = near.iter().fold((first, last), |(f, l), ms| (f.min(*ms), l.max(*ms)));
        if wider == (first, last) {
            return (first, last + spec.gap_ms);
        }
        (first, last) = wider;
    }
}

/// What rows are there and what has come out, by the definition.
#[derive(Default)]
struct Model {
    rows: Vec<Row>,
    closed: BTreeMap<String, i64>,
    watermark: Option<i64>,
    late: u64,
}

fn text(row: &Row) -> String {
    format!("{} {} {}", row.0.unwrap_or("NULL"), time(row.1), row.2)
}

fn with_session(row: &Row, session: (i64, i64)) -> String {
    shown(row.0.unwrap_or("NULL"), row.1, row.2, session)
}

impl Model {
    fn apply(&mut self, insert: &[Row], take: &[prop::sample::Index]) -> String {
        let mut table = String::new();
        for row in insert {
            table += &format!("+ {}\n", text(row));
            self.rows.push(*row);
        }
        for index in take {
            if !self.rows.is_empty() {
                let row = self.rows.swap_remove(index.index(self.rows.len()));
                table += &format!("- {}\n", text(&row));
            }
        }
        table
    }

    fn advance(&mut self, watermark: i64, spec: &SessionAssignSpec) {
        let all = self.rows.clone();
        self.rows.retain(|row| {
            let session = session_of(row, &all, spec);
            let ends = session.1 - 1;
            if ends <= watermark && self.watermark.is_some_and(|before| ends <= before) {
                self.late += 1;
            } else if ends <= watermark {
                *self.closed.entry(with_session(row, session)).or_default() += 1;
            }
            ends > watermark
        });
        self.watermark = Some(watermark);
    }

    fn now(&self, spec: &SessionAssignSpec) -> String {
        let mut content = BTreeMap::new();
        for row in &self.rows {
            *content.entry(with_session(row, session_of(row, &self.rows, spec))).or_default() += 1;
        }
        content_text(&content)
    }
}

proptest! {
    #[test]
    fn accumulated_output_is_the_batch_answer(
        gap in 1i64..8,
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
                Step::Rows(insert, take) => {
                    h.process(&model.apply(insert, take)).expect("processes");
                }
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
                    prop_assert_eq!(h.content(), if closes { content_text(&model.closed) } else { model.now(&spec) });
                }
                Step::Restart => {
                    h.flush().expect("flushes");
                    h.restart().expect("restarts");
                }
            }
        }
        h.flush().expect("flushes");
        if closes {
            model.advance(i64::MAX, &spec);
            h.advance(Watermark::END).expect("advances");
            h.flush().expect("flushes");
            prop_assert_eq!(h.content(), content_text(&model.closed));
            prop_assert_eq!(h.rejected("late"), model.late);
            prop_assert_eq!(h.state(), [("watermark".to_owned(), 1)]);
            h.persist().expect("persists");
            prop_assert_eq!(h.stored(), 16, "the watermark, once per key group");
        } else {
            let rest: String = model.rows.iter().map(|row| format!("- {}\n", text(row))).collect();
            h.process(&rest).expect("processes");
            h.flush().expect("flushes");
            prop_assert_eq!(h.content(), "");
            prop_assert_eq!(h.state(), []);
            h.persist().expect("persists");
            prop_assert_eq!(h.stored(), 0);
        }
    }

    #[test]
    fn another_number_of_shards_goes_on_alike(
        rows in prop::collection::vec((prop::sample::select(vec![Some("a"), Some("b"), Some("c"), None]), 0i64..40, 0i64..2), 1..12),
        more in prop::collection::vec((prop::sample::select(vec![Some("a"), Some("b"), Some("c"), None]), 0i64..40, 0i64..2), 1..6),
        closes: bool,
    ) {
        let spec = spec(5, &[0], closes);
        let mut model = Model::default();
        let mut whole = sessions(&spec);
        whole.process(&model.apply(&rows, &[])).expect("processes");
        model.advance_if(closes, 12, &spec);
        whole.advance(Watermark(12)).expect("advances");
        whole.flush().expect("flushes");
        let before = whole.content();
        whole.persist().expect("persists");
        let groups = KeyGroups::new(16, 2);
        let mut parts = [0, 1].map(|shard| Harness::rescaled(&[&whole], groups, shard).expect("builds"));
        let hashes = |line: &str| {
            let batch = eddyline_changes::table::parse_changes(&schema(), line).expect("a row");
            batch.key_hashes(&[0]).expect("hashes")[0]
        };
        for line in model.apply(&more, &[]).lines() {
            parts[groups.shard_of(hashes(line))].process(line).expect("processes");
        }
        model.advance_if(closes, i64::MAX, &spec);
        let mut content = BTreeMap::new();
        crate::harness::add_rows(&mut content, &eddyline_changes::table::parse_changes(parts[0].schema(), &before).expect("a table"));
        for part in &mut parts {
            part.advance(Watermark::END).expect("advances");
            part.emitted_at_flush().expect("flushes").iter().for_each(|b| crate::harness::add_rows(&mut content, b));
        }
        let wanted = if closes { content_text(&model.closed) } else { model.now(&spec) };
        prop_assert_eq!(content_text(&content), wanted);
    }

    #[test]
    fn what_is_forgotten_does_not_depend_on_memory(touches in touches(true)) {
        let spec = OperatorSpec::SessionAssign(spec(5, &[0], false));
        let rows = [row("x", 1, 5), row("x", 3, 1), row("x", 8, 1), row("y", 1, 7), row("y", 9, 2), row("z", 1, 1)];
        forgets_alike(&spec, &[schema()], &[&rows.each_ref().map(String::as_str)], &touches);
    }
}

impl Model {
    fn advance_if(&mut self, closes: bool, watermark: i64, spec: &SessionAssignSpec) {
        if closes {
            self.advance(watermark, spec);
        }
    }
}
