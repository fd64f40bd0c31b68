//! Dates and times of day as numbers: the proleptic Gregorian calendar over days since 1970-01-01.

/// Seconds in a day.
pub(super) const DAY_SECONDS: i64 = 86_400;

/// A date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Date {
    pub(super) year: i64,
    /// 1 to 12.
    pub(super) month: i64,
    /// 1 to 31.
    pub(super) day: i64,
}

/// The date of a day since 1970 (algorithm by Howard Hinnant, "chrono-compatible low-level date algorithms").
#[inline]
pub(super) fn date_of(days: i64) -> Date {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    Date {
        year: year_of_era + era * 400 + i64::from(month <= 2),
        month,
        day: day_of_year - (153 * shifted_month + 2) / 5 + 1,
    }
}

/// The day since 1970 of a date.
#[inline]
pub(super) fn days_of(date: Date) -> i64 {
    let year = date.year - i64::from(date.month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((date.month + 9) % 12) + 2) / 5 + date.day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The day since 1970 of a date that may not exist.
pub(super) fn checked_days_of(date: Date) -> Option<i64> {
    let fits = (1..=12).contains(&date.month) && date.day >= 1 && date.day <= month_days(date.year, date.month);
    fits.then(|| days_of(date))
}

/// Number of days of a month.
pub(super) fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A day (days since 1970) some months later; the end of the month where it is shorter.
pub fn add_months(days: i64, months: i64) -> i64 {
    let date = date_of(days);
    let month = date.year * 12 + date.month - 1 + months;
    let (year, month) = (month.div_euclid(12), month.rem_euclid(12) + 1);
    days_of(Date { year, month, day: date.day.min(month_days(year, month)) })
}

/// Day of the week: 1 is Monday, 7 Sunday.
pub(super) fn iso_weekday(days: i64) -> i64 {
    (days + 3).rem_euclid(7) + 1
}

/// Day of the year, from 1.
pub(super) fn day_of_year(days: i64) -> i64 {
    days - days_of(Date { month: 1, day: 1, ..date_of(days) }) + 1
}

/// Week of the year as in ISO 8601: the first has the first Thursday.
pub(super) fn iso_week(days: i64) -> i64 {
    (day_of_year(days - iso_weekday(days) + 4) - 1) / 7 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_there_and_back() {
        for days in (-800_000..800_000).step_by(37) {
            let date = date_of(days);
            assert_eq!(checked_days_of(date), Some(days));
            let same = chrono::NaiveDate::from_epoch_days(days as i32).expect("in range");
            use chrono::Datelike;
            let expected = (i64::from(same.year()), i64::from(same.month()), i64::from(same.day()));
            assert_eq!((date.year, date.month, date.day), expected);
            assert_eq!(iso_week(days), i64::from(same.iso_week().week()));
            assert_eq!(day_of_year(days), i64::from(same.ordinal()));
            assert_eq!(iso_weekday(days), i64::from(same.weekday().number_from_monday()));
        }
    }

    #[test]
    fn months_end_where_they_end() {
        let day = |year, month, day| days_of(Date { year, month, day });
        assert_eq!(add_months(day(2024, 1, 31), 1), day(2024, 2, 29));
        assert_eq!(add_months(day(2024, 1, 31), -2), day(2023, 11, 30));
        assert_eq!(checked_days_of(Date { year: 2023, month: 2, day: 29 }), None);
    }
}
