//! Time zones, as Flink's `table.local-time-zone` names them.

use chrono::{DateTime, FixedOffset, LocalResult, NaiveDateTime, Offset, TimeZone};
use datafusion_common::{Result, exec_datafusion_err};
use std::fmt;

/// A time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Zone {
    /// A zone with the same offset always.
    Fixed(FixedOffset),
    /// A zone of the IANA database.
    Named(chrono_tz::Tz),
}

impl Zone {
    /// Reads an IANA name (`Europe/Berlin`) or an offset (`+02:00`, `UTC+2`, `GMT-08:00`).
    ///
    /// # Errors
    /// A name that is none of these.
    pub fn parse(name: &str) -> Result<Self> {
        if name == "UTC" || name == "Z" {
            return Ok(Zone::Fixed(Offset::fix(&chrono::Utc)));
        }
        let offset = ["UTC", "GMT"].iter().find_map(|p| name.strip_prefix(p)).unwrap_or(name);
        if let Some(offset) = parse_offset(offset) {
            return Ok(Zone::Fixed(offset));
        }
        name.parse().map(Zone::Named).map_err(|_| {
            exec_datafusion_err!("unknown time zone '{name}': give a zone like 'UTC', 'Europe/Berlin' or '+02:00'")
        })
    }

    /// The UTC time zone.
    pub fn utc() -> Self {
        Zone::Fixed(Offset::fix(&chrono::Utc))
    }

    /// The moment, in milliseconds since 1970, at which clocks show `local_ms` (milliseconds, as if in UTC). Of two such moments the first;
    /// a time that a change to summer time leaves out counts from before the change.
    pub fn moment_ms(self, local_ms: i64) -> i64 {
        let local = local_ms.div_euclid(1000);
        let ahead = local.saturating_sub(self.instant_seconds(local));
        local_ms.saturating_sub(ahead.saturating_mul(1000))
    }

    /// Seconds that local time is ahead of UTC at an instant given in seconds since 1970.
    pub(super) fn offset_seconds(self, instant: i64) -> i64 {
        match self {
            Zone::Fixed(offset) => offset.local_minus_utc().into(),
            Zone::Named(zone) => {
                let utc = DateTime::from_timestamp(instant, 0).unwrap_or_default().naive_utc();
                zone.offset_from_utc_datetime(&utc).fix().local_minus_utc().into()
            }
        }
    }

    /// The instant, in seconds since 1970, at which clocks show `local` (seconds, as if in UTC). Of two such instants
    /// the first; a time that a change to summer time leaves out counts from before the change, as in Java.
    pub(super) fn instant_seconds(self, local: i64) -> i64 {
        match self {
            Zone::Fixed(offset) => local - i64::from(offset.local_minus_utc()),
            Zone::Named(zone) => {
                let naive = DateTime::from_timestamp(local, 0).unwrap_or_default().naive_utc();
                match zone.offset_from_local_datetime(&naive) {
                    LocalResult::Single(offset) | LocalResult::Ambiguous(offset, _) => {
                        local - i64::from(offset.fix().local_minus_utc())
                    }
                    LocalResult::None => local - before_gap(zone, naive),
                }
            }
        }
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Zone::Fixed(offset) if offset.local_minus_utc() == 0 => f.write_str("UTC"),
            Zone::Fixed(offset) => offset.fmt(f),
            Zone::Named(zone) => f.write_str(zone.name()),
        }
    }
}

fn before_gap(zone: chrono_tz::Tz, local: NaiveDateTime) -> i64 {
    let day_before = local - chrono::TimeDelta::days(1);
    zone.offset_from_utc_datetime(&day_before).fix().local_minus_utc().into()
}

/// `+2`, `-08`, `+0530`, `+05:30`.
fn parse_offset(text: &str) -> Option<FixedOffset> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match (digits.split_once(':'), digits.len()) {
        (Some(parts), _) => parts,
        (None, 1 | 2) => (digits, "0"),
        (None, 4) => digits.split_at(2),
        _ => return None,
    };
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<i32>().ok()).flatten();
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours <= 18 && minutes < 60).then(|| FixedOffset::east_opt(sign * (hours * 3600 + minutes * 60))).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_and_names() {
        for (name, seconds) in [("UTC", 0), ("+02:00", 7200), ("UTC+2", 7200), ("GMT-08:00", -28800), ("+0530", 19800)]
        {
            assert_eq!(Zone::parse(name).expect(name).offset_seconds(0), seconds, "{name}");
        }
        // Summer time in 2024 from 31 March 01:00 UTC.
        let berlin = Zone::parse("Europe/Berlin").expect("zone");
        assert_eq!(berlin.offset_seconds(1_711_846_799), 3600);
        assert_eq!(berlin.offset_seconds(1_711_846_800), 7200);
        for name in ["Mars/Olympus", "", "+", "+99:00", "+1:x", "UTC2"] {
            assert!(Zone::parse(name).is_err(), "{name}");
        }
    }

    #[test]
    fn local_times_that_are_twice_or_never() {
        let berlin = Zone::parse("Europe/Berlin").expect("zone");
        // 2024-10-27 02:30 is twice: at 00:30 and 01:30 UTC.
        assert_eq!(berlin.instant_seconds(1_729_996_200), 1_729_996_200 - 7200);
        // 2024-03-31 02:30 never is: 01:30 UTC, which clocks show as 03:30.
        assert_eq!(berlin.instant_seconds(1_711_852_200), 1_711_852_200 - 3600);
    }
}
