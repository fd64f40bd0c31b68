use crate::OperatorError;
use crate::harness::{Harness, content_text};
use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use eddyline_changes::hash::hash_columns;
use eddyline_changes::{KeyGroups, Watermark};
use eddyline_functions::scalar::Moment;
use eddyline_plan::TimeTest::{After, Before, From, Until};
use eddyline_plan::{Clock, OperatorSpec, TemporalFilterSpec, TimeBound, TimeTest};
use eddyline_state::SlotTable;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

fn input() -> SchemaRef {
    let time = |name: &str, unit: TimeUnit| Field::new(name, DataType::Timestamp(unit, Some("UTC".into())), true);
    let key = Field::new("k", DataType::Utf8, true);
    Arc::new(Schema::new(vec![key, time("a", TimeUnit::Millisecond), time("b", TimeUnit::Microsecond)]))
}

fn bound(column: usize, test: TimeTest, shift_ms: i64) -> TimeBound {
    TimeBound { column, shift_ms, test, months: None }
}

/// Over rows that may be taken back; puts out `k` alone.
fn spec(bounds: &[TimeBound]) -> TemporalFilterSpec {
    TemporalFilterSpec {
        clock: Clock::Wall,
        bounds: bounds.to_vec(),
        zone: "UTC".into(),
        append_only: false,
        by: Some(vec![0]),
        output: vec![0],
    }
}

fn filter(spec: &TemporalFilterSpec) -> Harness {
    Harness::new(OperatorSpec::TemporalFilter(spec.clone()), &[input()]).expect("builds")
}

/// A row with its times in microseconds.
fn line((key, a, b): &(&str, Option<i64>, Option<i64>)) -> String {
    let text = |t: &Option<i64>| {
        t.map_or("NULL".into(), |us| format!("1970-01-01T00:00:{:02}.{:06}Z", us / 1_000_000, us % 1_000_000))
    };
    format!("{key} {} {}", text(a), text(b))
}

fn row(key: &'static str, a_ms: i64) -> String {
    line(&(key, Some(a_ms * 1000), None))
}

/// The net change when the clock shows so many milliseconds.
fn at(h: &mut Harness, wall_ms: i64) -> String {
    h.stand_at(Moment { wall_ms, seed: 0 });
    h.flush().expect("flushes")
}

#[test]
fn a_row_goes_when_its_time_is_over() {
    let mut h = filter(&spec(&[bound(1, Before, -10)]));
    h.process(&format!("+ {}\n+2 {}\n+ {}", row("x", 100), row("y", 105), row("old", 80))).expect("processes");
    assert_eq!(at(&mut h, 100), "+ x\n+2 y\n");
    assert_eq!(h.due_ms(), Some(110));
    assert_eq!(at(&mut h, 109), "");
    assert_eq!(at(&mut h, 110), "- x\n");
    assert_eq!(h.due_ms(), Some(115));
    // Taken back before its time is over.
    h.process(&format!("- {}", row("y", 105))).expect("processes");
    assert_eq!(at(&mut h, 111), "- y\n");
    assert_eq!(at(&mut h, 1000), "- y\n");
    assert_eq!(h.due_ms(), None);
    assert_eq!(h.content(), "");
}

#[test]
fn a_row_that_is_over_is_known_no_more() {
    let mut h = filter(&spec(&[bound(1, Before, 0)]));
    h.process(&format!("+ {}", row("x", 100))).expect("processes");
    assert_eq!(at(&mut h, 50), "+ x\n");
    assert_eq!(at(&mut h, 200), "- x\n");
    h.process(&format!("- {}\n+ {}", row("x", 100), row("y", 120))).expect("processes");
    assert_eq!(at(&mut h, 201), "");
}

#[test]
fn a_row_comes_when_its_time_has_come_and_then_needs_no_room() {
    let mut h = filter(&spec(&[bound(1, From, 0)]));
    h.process(&format!("+ {}\n+ {}", row("x", 100), row("y", 300))).expect("processes");
    assert_eq!(at(&mut h, 99), "");
    assert_eq!(h.due_ms(), Some(100));
    assert_eq!(at(&mut h, 100), "+ x\n");
    assert_eq!(h.state(), [("rows".to_owned(), 1), ("time".to_owned(), 1)]);
    // What is there for ever passes at once, in both ways.
    h.process(&format!("- {}\n+ {}", row("x", 100), row("z", 100))).expect("processes");
    assert_eq!(at(&mut h, 101), "+ z\n- x\n");
    assert_eq!(at(&mut h, 300), "+ y\n");
    assert_eq!(h.state(), [("time".to_owned(), 1)]);
}

#[test]
fn ends_are_exact_to_the_millisecond() {
    // 10.5 ms, and 10 ms sharp: the first whole millisecond at which each comparison holds, or holds no more.
    for (test, us, changes) in [
        (Before, 10_500, 11),
        (Until, 10_500, 11),
        (After, 10_500, 11),
        (From, 10_500, 11),
        (Before, 10_000, 10),
        (Until, 10_000, 11),
        (After, 10_000, 11),
        (From, 10_000, 10),
    ] {
        let mut h = filter(&spec(&[bound(2, test, 0)]));
        h.process(&format!("+ {}", line(&("x", None, Some(us))))).expect("processes");
        let (before, after) = if test.ends() { ("+ x\n", "- x\n") } else { ("", "+ x\n") };
        assert_eq!(at(&mut h, changes - 1), before, "{test:?} {us}");
        assert_eq!(at(&mut h, changes), after, "{test:?} {us}");
    }
}

#[test]
fn both_ends_and_null() {
    let mut h = filter(&spec(&[bound(1, From, 0), bound(2, Before, 0)]));
    let rows = [
        ("x", Some(10_000), Some(20_000)),
        ("never", Some(20_000), Some(20_000)),
        ("null", None, Some(90_000)),
        ("null", Some(1), None),
    ];
    h.process(&rows.iter().map(|r| format!("+ {}\n", line(r))).collect::<String>()).expect("processes");
    assert_eq!(at(&mut h, 5), "");
    assert_eq!(at(&mut h, 10), "+ x\n");
    assert_eq!(at(&mut h, 20), "- x\n");
    // Over before anybody looked.
    h.process(&format!("+ {}", line(&("y", Some(30_000), Some(40_000))))).expect("processes");
    assert_eq!(at(&mut h, 50), "");
    assert_eq!(h.state(), [("time".to_owned(), 1)]);
}

#[test]
fn a_gate_opens_for_a_row_when_the_watermark_has_passed_its_time() {
    let spec = TemporalFilterSpec { clock: Clock::Watermark, ..spec(&[bound(1, From, 0)]) };
    let mut h = filter(&spec);
    let next = |h: &mut Harness, ms: i64| {
        h.advance(Watermark(ms)).expect("advances");
        h.flush().expect("flushes")
    };
    h.process(&format!("+ {}\n+2 {}\n+ {}", row("x", 100), row("y", 105), row("gone", 103))).expect("processes");
    assert_eq!(next(&mut h, 99), "");
    h.process(&format!("- {}\n- {}\n+ {}", row("gone", 103), row("y", 105), row("y", 104))).expect("processes");
    assert_eq!(next(&mut h, 100), "+ x\n");
    h.restart().expect("restarts");
    h.advance(Watermark(104)).expect("advances");
    // Behind the watermark already, though the epoch has not ended: late, also what would take a row back.
    h.process(&format!("+2 {}\n- {}\n+ {}", row("late", 104), row("x", 100), line(&("timeless", None, None))))
        .expect("processes");
    assert_eq!((h.rejected("late"), h.rejected("null time")), (3, 1));
    assert_eq!(h.flush().expect("flushes"), "+ y\n");
    assert_eq!(h.due_ms(), None);
    h.process(&format!("+ {}", row("last", 9_000))).expect("processes");
    assert_eq!(h.state(), [("rows".to_owned(), 2), ("time".to_owned(), 1)]);
    assert_eq!(next(&mut h, Watermark::END.0), "+ last\n+ y\n");
    assert_eq!(h.state(), [("time".to_owned(), 1)]);
}

#[test]
fn time_does_not_go_back() {
    let mut h = filter(&spec(&[bound(1, Before, 0)]));
    h.process(&format!("+ {}", row("x", 100))).expect("processes");
    assert_eq!(at(&mut h, 150), "");
    h.restart().expect("restarts");
    h.process(&format!("+ {}", row("y", 120))).expect("processes");
    assert_eq!(at(&mut h, 110), "");
}

#[test]
fn a_retraction_without_its_insertion_is_an_error() {
    let mut h = filter(&spec(&[bound(1, Before, 0)]));
    h.process(&format!("- {}", row("x", 100))).expect("processes");
    h.stand_at(Moment { wall_ms: 50, seed: 0 });
    let error = h.flush().expect_err("nothing was inserted");
    assert!(matches!(error, OperatorError::Retraction { .. }), "{error}");
}

#[test]
fn rows_that_stay_where_they_are_survive_on_every_shard() {
    let spec = TemporalFilterSpec { append_only: true, by: None, ..spec(&[bound(1, Before, 0)]) };
    let groups = KeyGroups::new(16, 4);
    for shard in 0..4 {
        let mut h =
            Harness::sharded(OperatorSpec::TemporalFilter(spec.clone()), &[input()], groups, shard).expect("builds");
        h.process(&format!("+ {}\n+ {}", row("x", 100), row("y", 200))).expect("processes");
        assert_eq!(at(&mut h, 50), "+ x\n+ y\n");
        h.restart().expect("restarts");
        assert_eq!(at(&mut h, 150), "- x\n", "on shard {shard}");
        assert_eq!(h.due_ms(), Some(200));
    }
}

#[test]
fn rows_move_when_a_job_is_rescaled() {
    for by in [None, Some(vec![0])] {
        let spec = TemporalFilterSpec { append_only: by.is_none(), by, ..spec(&[bound(1, Before, 0)]) };
        let mut h = filter(&spec);
        let keys = ["a", "b", "c", "d", "e", "f", "g"];
        h.process(&keys.map(|k| format!("+ {}\n", row(k, 100))).concat()).expect("processes");
        at(&mut h, 50);
        h.persist().expect("persists");
        let mut gone = BTreeMap::new();
        for shard in 0..2 {
            let mut part = Harness::rescaled(&[&h], KeyGroups::new(16, 2), shard).expect("opens");
            part.stand_at(Moment { wall_ms: 150, seed: 0 });
            // A part takes back what the whole put out.
            for changes in part.emitted_at_flush().expect("flushes") {
                crate::harness::add_rows(&mut gone, &changes);
            }
        }
        assert_eq!(content_text(&gone), keys.map(|k| format!("- {k}\n")).concat());
    }
}

/// Ten rows, of which one goes each five seconds: those that stay for long leave memory, and go when it is time.
#[test]
fn rows_are_left_to_the_store_until_something_is_due() {
    let mut h = filter(&spec(&[bound(1, Before, 0)])).tight(true);
    let key = |n: i64| ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"][n as usize];
    h.process(&(0..10).map(|n| format!("+ {}\n", row(key(n), n * 5_000))).collect::<String>()).expect("processes");
    at(&mut h, -1);
    let mut left = 0;
    for n in 0..10 {
        let hot = h.state().iter().find(|(name, _)| name == "rows").map_or(0, |(_, rows)| *rows);
        left += usize::from(hot < 10 - n as usize);
        if n % 3 == 2 {
            h.restart().expect("restarts");
        }
        assert_eq!(at(&mut h, n * 5_000 - 1), "", "{n}");
        assert_eq!(at(&mut h, n * 5_000), format!("- {}\n", key(n)));
        assert!(h.due_ms().is_none_or(|due| due > n * 5_000 && due <= (n + 1) * 5_000), "{:?}", h.due_ms());
    }
    assert!(left >= 5, "not all are in memory, {left} times out of ten");
    h.restart().expect("restarts");
    assert_eq!((h.content().as_str(), h.stored()), ("", 16), "the time stays, for each key group");
}

/// A row that comes and goes is stored by the time of either, and found when it is taken back before it comes, or after.
#[test]
fn a_row_that_came_is_stored_by_when_it_goes() {
    for taken_at in [5_000, 15_000] {
        let mut h = filter(&spec(&[bound(1, From, 0), bound(2, Before, 0)])).tight(true);
        let lines = ["u", "v", "w", "x", "y", "z"].map(|k| line(&(k, Some(10_000_000), Some(20_000_000))));
        h.process(&lines.clone().map(|row| format!("+ {row}\n")).concat()).expect("processes");
        let came = "+ u\n+ v\n+ w\n+ x\n+ y\n+ z\n";
        assert_eq!(at(&mut h, 1), "");
        if taken_at > 10_000 {
            assert_eq!(at(&mut h, 10_000), came);
        }
        at(&mut h, taken_at - 1);
        h.restart().expect("restarts");
        h.process(&format!("- {}", lines[0])).expect("processes");
        let (gone, came) = if taken_at > 10_000 { ("- u\n", "") } else { ("", &came[4..]) };
        assert_eq!(at(&mut h, taken_at), gone);
        assert_eq!(at(&mut h, 16_000), came);
        assert_eq!(at(&mut h, 20_000), "- v\n- w\n- x\n- y\n- z\n");
        h.restart().expect("restarts");
        assert_eq!((h.content().as_str(), h.stored()), ("", 16));
    }
}

/// Rows that were stored without the second in which something is due of them.
#[test]
fn rows_of_an_older_version_are_taken_over() {
    let mut h = filter(&spec(&[bound(1, Before, 0)]));
    at(&mut h, 50);
    h.persist().expect("persists");
    let store = h.store();
    let mut former =
        SlotTable::open("rows", &[DataType::Utf8, DataType::Int64, DataType::Int64], &store, 0, 1).expect("opens");
    let keys: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec!["x", "y"])),
        Arc::new(Int64Array::from(vec![i64::MIN; 2])),
        Arc::new(Int64Array::from(vec![100, 9_000])),
    ];
    let (hashes, mut slots) = (hash_columns(&keys, 2).expect("hashes"), Vec::new());
    former.lookup(&keys, &hashes, &mut slots, &mut |_, _| Ok(())).expect("looks up");
    former.mark_dirty(&slots);
    // Twice there, and put out twice.
    former.persist(&mut |_, out| out.extend([2i64, 2].iter().flat_map(|n| n.to_le_bytes()))).expect("persists");
    for restarts in 0..2 {
        h.restart().expect("restarts");
        assert_eq!(h.state(), [("rows".to_owned(), 2), ("time".to_owned(), 1)], "after {restarts}");
    }
    let mut gone = BTreeMap::new();
    h.stand_at(Moment { wall_ms: 100, seed: 0 });
    h.emitted_at_flush().expect("flushes").iter().for_each(|changes| crate::harness::add_rows(&mut gone, changes));
    assert_eq!(content_text(&gone), "-2 x\n");
    h.stand_at(Moment { wall_ms: 9_000, seed: 0 });
    h.emitted_at_flush().expect("flushes").iter().for_each(|changes| crate::harness::add_rows(&mut gone, changes));
    assert_eq!(content_text(&gone), "-2 x\n-2 y\n");
    h.restart().expect("restarts");
    assert_eq!(h.stored(), 16, "the time alone");
}

type Row = (&'static str, Option<i64>, Option<i64>);

#[derive(Debug, Clone)]
enum Step {
    Insert(Row),
    Retract(usize),
    Flush(i64),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let time = || proptest::option::weighted(0.9, prop_oneof![(0..60i64).prop_map(|ms| ms * 1000), 0..5_000_000i64]);
    let row = (prop_oneof![Just("x"), Just("y"), Just("z")], time().prop_map(|t| t.map(|us| us / 1000 * 1000)), time());
    let step = prop_oneof![
        6 => row.prop_map(Step::Insert),
        3 => any::<usize>().prop_map(Step::Retract),
        3 => prop_oneof![0..10i64, 0..1500i64].prop_map(Step::Flush),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 0..60)
}

fn bounds() -> impl Strategy<Value = Vec<TimeBound>> {
    let test = prop_oneof![Just(Before), Just(Until), Just(After), Just(From)];
    let one = (1..3usize, test, -20..20i64).prop_map(|(column, test, shift)| bound(column, test, shift));
    proptest::collection::vec(one, 1..4)
}

/// By the definition, in microseconds.
fn is_there(bounds: &[TimeBound], row: &Row, now_ms: i64) -> bool {
    bounds.iter().all(|b| {
        let Some(time) = (if b.column == 1 { row.1 } else { row.2 }) else { return false };
        let (now, time) = (now_ms * 1000, time - b.shift_ms * 1000);
        match b.test {
            Before => now < time,
            Until => now <= time,
            After => now > time,
            From => now >= time,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// At every flush the output is the batch answer at that time, whatever came before and however often it was
    /// restarted; when all input is taken back nothing is left.
    #[test]
    fn it_equals_its_batch_answer(bounds in bounds(), wide in any::<bool>(), append_only in any::<bool>(), tight in any::<bool>(), steps in steps()) {
        let by = if append_only { None } else { Some(vec![0]) };
        let output = if wide { vec![2, 0] } else { vec![0] };
        let spec = TemporalFilterSpec { append_only, by, output, ..spec(&bounds) };
        let mut h = filter(&spec).tight(tight);
        let mut table: Vec<Row> = vec![];
        let mut now = 0;
        let everything = (0..60).map(|_| Step::Retract(0)).chain([Step::Flush(1), Step::Restart]);
        for step in steps.into_iter().chain(everything) {
            match step {
                Step::Insert(row) => {
                    h.process(&format!("+ {}", line(&row))).expect("processes");
                    table.push(row);
                }
                Step::Retract(n) if !append_only && !table.is_empty() => {
                    let row = table.swap_remove(n % table.len());
                    h.process(&format!("- {}", line(&row))).expect("processes");
                }
                Step::Retract(_) => {}
                Step::Flush(ms) => {
                    now += ms;
                    at(&mut h, now);
                    let mut wanted = BTreeMap::new();
                    for row in table.iter().filter(|r| is_there(&spec.bounds, r, now)) {
                        let line = line(row);
                        let words: Vec<&str> = line.split(' ').collect();
                        let text = spec.output.iter().map(|c| words[*c]).collect::<Vec<_>>().join(" ");
                        *wanted.entry(text).or_insert(0) += 1;
                    }
                    prop_assert_eq!(plain(&h.content()), plain(&content_text(&wanted)), "at {}", now);
                }
                Step::Restart => {
                    at(&mut h, now);
                    h.restart().expect("restarts");
                }
            }
        }
        if !append_only {
            prop_assert_eq!(h.content(), "");
            prop_assert_eq!(h.state(), [("time".to_owned(), 1)]);
        }
    }
}

/// Sorted, and fractions of a second with six digits, or none.
fn plain(content: &str) -> String {
    let seconds = |line: &str| match line.split_once('.') {
        Some((whole, rest)) => {
            let (digits, rest) = rest.split_once('Z').unwrap_or((rest, ""));
            format!("{whole}.{digits:0<6}Z{rest}\n").replace(".000000Z", "Z")
        }
        None => format!("{line}\n"),
    };
    let mut lines: Vec<String> = content.lines().map(seconds).collect();
    lines.sort_unstable();
    lines.concat()
}
