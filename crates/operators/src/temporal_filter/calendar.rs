//! When the time now, some months on or back, is before a time of a row.
//!
//! Let `h` be a day some months on or back, the last day of the month where that is shorter. `h` never decreases, but it stands still:
//! from March 28, 29, 30 and 31 one comes a month back to February 28 (of a common year). Time now goes through one day after the other and so,
//! some months back, several times through that one. With `t` a time at the day `d`, whose time of day is `u`,
//! `now + months < t` holds
//!
//! - until `A` begins, the first day with `h(A) >= d`;
//! - then, until `B` begins, the first day with `h(B) > d`: on each day from its midnight until `u`;
//! - never after it.
//!
//! `A = B` where no day leads to `d`: from no day one comes a month on to March 31 of a year after which February is short of it.

use super::times::FOREVER;
use crate::OperatorError;
use eddyline_functions::scalar::{Zone, add_months};
use eddyline_plan::{Months, TemporalFilterSpec, TimeBound, TimeTest};

const DAY_MS: i64 = 86_400_000;

/// A bound with months.
pub(super) struct Calendar {
    bound: TimeBound,
    months: i64,
    zone: Zone,
}

impl Calendar {
    /// Those of a spec.
    pub(super) fn all(spec: &TemporalFilterSpec) -> Result<Vec<Self>, OperatorError> {
        let with_months = spec.bounds.iter().filter_map(|b| Some((b, b.months?)));
        let one = |(bound, months): (&TimeBound, Months)| -> Result<Self, OperatorError> {
            let zone = if months.local { Zone::parse(&spec.zone)? } else { Zone::utc() };
            Ok(Self { bound: *bound, months: months.count.into(), zone })
        };
        with_months.map(one).collect()
    }

    pub(super) fn bound(&self) -> &TimeBound {
        &self.bound
    }

    /// Writes down when the bound holds for a row's time, in whole milliseconds, and whether it lies after them. In order, not touching.
    pub(super) fn times(&self, floor_ms: i64, has_fraction: bool, times: &mut Vec<(i64, i64)>) {
        let time_ms = floor_ms.saturating_sub(self.bound.shift_ms);
        // `now < t` of whole milliseconds is `now < ceil(t)`, `now <= t` is `now < floor(t) + 1`.
        let whole = match self.bound.test {
            TimeTest::Before | TimeTest::From => time_ms.saturating_add(has_fraction.into()),
            TimeTest::Until | TimeTest::After => time_ms.saturating_add(1),
        };
        self.before(whole, times);
        if !self.bound.test.ends() {
            invert(times);
        }
        // A time that clocks leave out is shown as the one after it: nothing is left of it.
        times.iter_mut().for_each(|(from, until)| (*from, *until) = (self.moment(*from), self.moment(*until)));
        times.retain(|(from, until)| from < until);
    }

    /// When `now + months < time`, on the clock.
    fn before(&self, time_ms: i64, times: &mut Vec<(i64, i64)>) {
        let (day, of_day) = (time_ms.div_euclid(DAY_MS), time_ms.rem_euclid(DAY_MS));
        let first = self.first_day(day);
        times.clear();
        let mut until = first.saturating_mul(DAY_MS);
        // The first of these days goes on from the one before it.
        let mut from = i64::MIN;
        let mut at = first;
        while of_day > 0 && add_months(at, self.months) == day {
            let midnight = at.saturating_mul(DAY_MS);
            if midnight > until {
                times.push((from, until));
                from = midnight;
            }
            until = midnight.saturating_add(of_day);
            at += 1;
        }
        times.push((from, until));
    }

    /// The first day that leads to `day` or past it.
    fn first_day(&self, day: i64) -> i64 {
        // All days before this one lead to days before `day`. It does so itself where it was cut to the end of its month.
        let mut at = add_months(day, -self.months);
        while add_months(at, self.months) < day {
            at += 1;
        }
        at
    }

    fn moment(&self, local_ms: i64) -> i64 {
        if local_ms == i64::MIN || local_ms == FOREVER { local_ms } else { self.zone.moment_ms(local_ms) }
    }
}

/// What lies between times that begin with the first.
fn invert(times: &mut Vec<(i64, i64)>) {
    let mut from = i64::MIN;
    for time in times.iter_mut() {
        let until = time.0;
        (*time, from) = ((from, until), time.1);
    }
    times.push((from, FOREVER));
    times.retain(|(from, until)| from < until);
}
