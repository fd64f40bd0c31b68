//! Months before and after the time now: what calendars make of the ends of months.

use crate::harness::{Harness, content_text};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use chrono::{DateTime, Months as CalendarMonths, NaiveDateTime, TimeDelta};
use eddyline_functions::scalar::Moment;
use eddyline_plan::TimeTest::{After, Before, From, Until};
use eddyline_plan::{Months, OperatorSpec, TemporalFilterSpec, TimeBound, TimeTest};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

fn input(local: bool) -> SchemaRef {
    let zone = (!local).then(|| "UTC".into());
    let time = Field::new("ts", DataType::Timestamp(TimeUnit::Millisecond, zone), true);
    Arc::new(Schema::new(vec![Field::new("k", DataType::Utf8, true), time]))
}

fn filter(bounds: Vec<TimeBound>, zone: &str, append_only: bool) -> Harness {
    let local = bounds.iter().any(|b| b.months.is_some_and(|m| m.local));
    let by = if append_only { None } else { Some(vec![0]) };
    let spec = TemporalFilterSpec {
        clock: eddyline_plan::Clock::Wall,
        bounds,
        zone: zone.into(),
        append_only,
        by,
        output: vec![0],
    };
    Harness::new(OperatorSpec::TemporalFilter(spec), &[input(local)]).expect("builds")
}

fn bound(test: TimeTest, months: i32) -> TimeBound {
    TimeBound { column: 1, shift_ms: 0, test, months: Some(Months { count: months, local: false }) }
}

fn utc(text: &str) -> NaiveDateTime {
    text.parse().expect("a time")
}

/// What is there at a moment in UTC.
fn content_at(h: &mut Harness, moment: &str) -> String {
    h.stand_at(Moment { wall_ms: utc(moment).and_utc().timestamp_millis(), seed: 0 });
    h.flush().expect("flushes");
    h.content()
}

/// `ts > NOW() - INTERVAL '1' MONTH`. In a common year March 28, 29, 30 and 31 are all a month after February 28: the time a
/// month ago goes through that day four times.
#[test]
fn a_row_of_the_last_of_february_comes_and_goes() {
    let mut h = filter(vec![bound(Before, -1)], "UTC", false);
    h.process("+2 x 2023-02-28T10:00:00Z\n+ y 2023-02-27T10:00:00Z\n+ z 2023-03-01T10:00:00Z").expect("processes");
    for (moment, content) in [
        ("2023-03-27T09:59:59.999", "+ y\n+ z\n+2 x\n"),
        ("2023-03-27T10:00:00", "+ z\n+2 x\n"),
        ("2023-03-28T09:59:59.999", "+ z\n+2 x\n"),
        ("2023-03-28T10:00:00", "+ z\n"),
        ("2023-03-28T23:59:59.999", "+ z\n"),
        ("2023-03-29T00:00:00", "+ z\n+2 x\n"),
        ("2023-03-29T10:00:00", "+ z\n"),
        ("2023-03-30T05:00:00", "+ z\n+2 x\n"),
        ("2023-03-30T20:00:00", "+ z\n"),
        ("2023-03-31T09:59:59.999", "+ z\n+2 x\n"),
        ("2023-03-31T10:00:00", "+ z\n"),
        ("2023-04-01T09:59:59", "+ z\n"),
        ("2023-04-01T10:00:00", ""),
    ] {
        assert_eq!(content_at(&mut h, moment), content, "at {moment}");
        if content.is_empty() {
            assert_eq!(h.state(), [("time".to_owned(), 1)]);
        }
        h.restart().expect("restarts");
    }
}

#[test]
fn in_a_leap_year_three_days_lead_to_february_29() {
    let mut h = filter(vec![bound(Before, -1)], "UTC", true);
    h.process("+ x 2024-02-28T10:00:00Z\n+ y 2024-02-29T10:00:00Z").expect("processes");
    for (moment, content) in [
        ("2024-03-28T10:00:00", "+ y\n"),
        ("2024-03-29T00:00:00", "+ y\n"),
        ("2024-03-29T10:00:00", ""),
        ("2024-03-30T00:00:00", "+ y\n"),
        ("2024-03-31T00:00:00", "+ y\n"),
        ("2024-03-31T10:00:00", ""),
        ("2024-04-01T00:00:00", ""),
    ] {
        assert_eq!(content_at(&mut h, moment), content, "at {moment}");
    }
}

/// `ts < NOW() + INTERVAL '1' MONTH`: no day of January leads to March 1, so rows of February 28 and of March 1 come when the
/// days after January begin.
#[test]
fn from_the_end_of_january_one_comes_to_the_end_of_february() {
    let mut h = filter(vec![bound(After, 1)], "UTC", false);
    h.process("+ x 2023-02-28T10:00:00Z\n+ y 2023-03-01T00:00:00Z\n+ z 2023-03-30T10:00:00Z").expect("processes");
    for (moment, content) in [
        ("2023-01-28T10:00:00", ""),
        ("2023-01-28T10:00:00.001", "+ x\n"),
        ("2023-01-29T09:00:00", ""),
        ("2023-01-31T11:00:00", "+ x\n"),
        ("2023-02-01T00:00:00", "+ x\n"),
        ("2023-02-01T00:00:00.001", "+ x\n+ y\n"),
        ("2023-02-28T23:00:00", "+ x\n+ y\n"),
        ("2023-03-01T00:00:00", "+ x\n+ y\n+ z\n"),
    ] {
        assert_eq!(content_at(&mut h, moment), content, "at {moment}");
    }
    assert_eq!(h.state(), [("time".to_owned(), 1)], "what stays for ever needs no room");
}

/// `ts > LOCALTIMESTAMP - INTERVAL '1' YEAR` in Berlin: February 29 is a year after February 28, in its calendar.
#[test]
fn months_of_the_session_are_those_of_its_calendar() {
    let months = Some(Months { count: -12, local: true });
    let mut h = filter(vec![TimeBound { column: 1, shift_ms: 0, test: Before, months }], "Europe/Berlin", false);
    h.process("+ x 2023-02-28T00:30:00").expect("processes");
    // Midnight there is 23:00 in UTC.
    for (moment, content) in [
        ("2024-02-27T23:29:59.999", "+ x\n"),
        ("2024-02-27T23:30:00", ""),
        ("2024-02-28T22:59:59.999", ""),
        ("2024-02-28T23:00:00", "+ x\n"),
        ("2024-02-28T23:30:00", ""),
        ("2024-02-29T23:00:00", ""),
    ] {
        assert_eq!(content_at(&mut h, moment), content, "at {moment}");
    }
}

/// By the definition.
fn is_there(bounds: &[TimeBound], time: Option<NaiveDateTime>, now: NaiveDateTime) -> bool {
    bounds.iter().all(|b| {
        let Some(time) = time.map(|t| t - TimeDelta::milliseconds(b.shift_ms)) else { return false };
        let now = match b.months {
            Some(m) if m.count < 0 => now - CalendarMonths::new(m.count.unsigned_abs()),
            Some(m) => now + CalendarMonths::new(m.count.unsigned_abs()),
            None => now,
        };
        match b.test {
            Before => now < time,
            Until => now <= time,
            After => now > time,
            From => now >= time,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// At every moment the rows are there for which the bounds hold then.
    #[test]
    fn it_equals_its_batch_answer(
        tests in proptest::collection::vec(
            (prop_oneof![Just(Before), Just(Until), Just(After), Just(From)], -14..15i32, -2..3i64), 1..3),
        append_only: bool,
        tight: bool,
        times in proptest::collection::vec(
            proptest::option::weighted(0.95, (0..800i64, prop_oneof![Just(0), Just(1), 0..86_400_000i64])), 1..12),
        steps in proptest::collection::vec(
            (prop_oneof![Just(0), Just(1), 0..86_400_000i64, 0..2_000_000_000i64, 0..20_000_000_000i64], any::<bool>()), 1..60),
    ) {
        let bounds: Vec<TimeBound> = tests.into_iter().map(|(test, count, shift)| {
            let months = (count != 0).then_some(Months { count, local: false });
            TimeBound { column: 1, shift_ms: shift * 3_600_000, test, months }
        }).collect();
        let mut h = filter(bounds.clone(), "UTC", append_only).tight(tight);
        let start = utc("2023-01-20T00:00:00");
        let times: Vec<Option<NaiveDateTime>> = times.into_iter()
            .map(|t| t.map(|(days, ms)| start + TimeDelta::days(days - 300) + TimeDelta::milliseconds(ms)))
            .collect();
        let line = |at: usize| {
            let time = times[at].map_or("NULL".into(), |t| t.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string());
            format!("k{at} {time}\n")
        };
        let mut now = start;
        let mut table = vec![];
        for (at, (ms, restarts)) in steps.into_iter().enumerate() {
            if at < times.len() {
                h.process(&format!("+ {}", line(at))).expect("processes");
                table.push(at);
            } else if !append_only && !table.is_empty() && at % 3 == 0 {
                h.process(&format!("- {}", line(table.remove(0)))).expect("processes");
            }
            now += TimeDelta::milliseconds(ms);
            h.stand_at(Moment { wall_ms: now.and_utc().timestamp_millis(), seed: 0 });
            h.flush().expect("flushes");
            let there = table.iter().filter(|at| is_there(&bounds, times[**at], now));
            let wanted: BTreeMap<String, i64> = there.map(|at| (format!("k{at}"), 1)).collect();
            prop_assert_eq!(h.content(), content_text(&wanted), "at {}", now);
            if restarts {
                h.restart().expect("restarts");
            }
        }
        if !append_only {
            table.drain(..).for_each(|at| h.process(&format!("- {}", line(at))).expect("processes"));
            h.flush().expect("flushes");
            prop_assert_eq!(h.content(), "");
            prop_assert_eq!(h.state(), [("time".to_owned(), 1)]);
        }
    }

    /// When the next row comes or goes is told, to the millisecond.
    #[test]
    fn what_is_due_is_told(months in prop_oneof![-14..0i32, 1..15i32], day in 0..800i64, ms in 0..86_400_000i64, test in 0..4usize, append_only: bool) {
        let mut h = filter(vec![bound([Before, Until, After, From][test], months)], "UTC", append_only);
        let time = utc("2023-01-20T00:00:00") + TimeDelta::days(day) + TimeDelta::milliseconds(ms);
        h.process(&format!("+ x {}", time.format("%Y-%m-%dT%H:%M:%S%.3fZ"))).expect("processes");
        let mut now_ms = (time - TimeDelta::days(500)).and_utc().timestamp_millis();
        let mut changes = 0;
        loop {
            h.stand_at(Moment { wall_ms: now_ms, seed: 0 });
            h.flush().expect("flushes");
            let Some(due_ms) = h.due_ms() else { break };
            let at = |ms| DateTime::from_timestamp_millis(ms).expect("a time").naive_utc();
            let is_there = |ms| is_there(&[bound([Before, Until, After, From][test], months)], Some(time), at(ms));
            prop_assert_ne!(is_there(due_ms - 1), is_there(due_ms));
            (now_ms, changes) = (due_ms, changes + 1);
        }
        prop_assert!(changes <= 7, "{} changes", changes);
    }
}
