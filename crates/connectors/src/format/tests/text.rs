use super::super::text::{
    Timestamps, civil_from_days, date, days_from_civil, decimal, float, integer, leading_digits, leading_i64, time,
};
use arrow::datatypes::TimeUnit;
use proptest::prelude::*;

#[test]
fn integers_and_where_they_end() {
    assert_eq!(leading_i64(b"12,34567890"), Some((12, 2)));
    assert_eq!(leading_i64(b"-9223372036854775808"), Some((i64::MIN, 20)));
    assert_eq!(leading_i64(b"9223372036854775808 "), None);
    assert_eq!(leading_digits(b"99999999999999999999"), None);
    assert_eq!(leading_digits(b"0000000000000000000000000017x"), Some((17, 28)));
    for none in [&b""[..], b"-", b"+", b"x", b" 1", b"--1"] {
        assert_eq!(leading_i64(none), None);
    }
    assert_eq!(integer(b"1.50e1"), Some(15));
    for none in [&b"1.5"[..], b"1e-1", b"1e19", b"1e99999999999999999999", b".", b"1e", b"e1", b"1.2.3", b"1 "] {
        assert_eq!(integer(none), None, "{none:?}");
    }
}

#[test]
fn decimals_are_exact_and_round_half_up() {
    assert_eq!(decimal(b"12.345", 10, 2), Some(1235));
    assert_eq!(decimal(b"-12.345", 10, 2), Some(-1235));
    assert_eq!(decimal(b"0.004999", 10, 2), Some(0));
    assert_eq!(decimal(b"1e3", 10, 2), Some(100_000));
    assert_eq!(decimal(b"12345E-3", 10, 2), Some(1235));
    assert_eq!(decimal(b"9.995", 3, 2), None);
    assert_eq!(decimal(b"0.5", 5, 0), Some(1));
    assert_eq!(decimal(b"0e999999999", 5, 0), Some(0));
    assert_eq!(decimal(b"1e999999999", 5, 0), None);
    assert_eq!(decimal(b"99999999999999999999999999999999999999", 38, 0), Some(10i128.pow(38) - 1));
    assert_eq!(decimal(b"100000000000000000000000000000000000000", 38, 0), None);
}

#[test]
fn floats_are_numbers_in_decimal_writing() {
    assert_eq!(float::<f64>(b"-1.5e-7"), Some(-1.5e-7));
    assert_eq!(float::<f64>(b"-Infinity"), Some(f64::NEG_INFINITY));
    assert!(float::<f32>(b"NaN").is_some_and(f32::is_nan));
    for none in [&b"inf"[..], b"nan", b"", b"1f", b"0x1", b"1e"] {
        assert_eq!(float::<f64>(none), None, "{none:?}");
    }
}

#[test]
fn dates_and_times_must_exist() {
    assert_eq!(date(b"1970-01-01"), Some(0));
    assert_eq!(date(b"2024-02-29"), Some(19_782));
    assert_eq!(date(b"-0001-12-31"), Some(-719_529));
    for none in
        [&b"2023-02-29"[..], b"1900-02-29", b"2024-13-01", b"2024-00-01", b"2024-1-1", b"2024-01-01 ", b"+1-01-01"]
    {
        assert_eq!(date(none), None, "{none:?}");
    }
    assert_eq!(time(b"23:59:59.9999", TimeUnit::Millisecond), Some(86_399_999));
    for none in [&b"24:00:00"[..], b"12:60", b"12:00:60", b"1:00", b"12:00:00."] {
        assert_eq!(time(none, TimeUnit::Second), None, "{none:?}");
    }
}

#[test]
fn timestamps_of_any_length_read_alike() {
    let mut millis = Timestamps::new(TimeUnit::Millisecond, None);
    for (text, value) in [
        ("2024-01-01 23:45:00.004", 1_704_152_700_004),
        ("2024-01-01T23:45:01", 1_704_152_701_000),
        ("2024-01-01 23:45", 1_704_152_700_000),
        ("1970-01-01 00:00:00.1", 100),
        ("1969-12-31 23:59:59.999999999", -1),
        ("+10000-01-01 00:00:00", 253_402_300_800_000),
    ] {
        assert_eq!(millis.whole(text.as_bytes()), Some(value), "{text}");
        // The same with bytes behind it, which is how a decoder sees it.
        let followed = format!("{text},2024-01-01 00:00:00.000,");
        assert_eq!(millis.leading(followed.as_bytes()), Some((value, text.len())), "{text}");
    }
    for none in
        ["2024-01-01", "2024-01-01 24:00:00", "2024-02-30 00:00:00", "2024-01-01  00:00:00", "2024-01-01 00:00:00Z"]
    {
        assert_eq!(millis.whole(none.as_bytes()), None, "{none}");
        let followed = format!("{none},2024-01-01 00:00:00.000,");
        assert!(millis.leading(followed.as_bytes()).is_none_or(|(_, n)| n != none.len()), "{none}");
    }
    let mut nanos = Timestamps::new(TimeUnit::Nanosecond, None);
    assert_eq!(nanos.whole(b"1677-09-21 00:12:43.145224192"), Some(i64::MIN));
    assert_eq!(nanos.whole(b"2262-04-11 23:47:16.854775807"), Some(i64::MAX));
    assert_eq!(nanos.whole(b"2262-04-11 23:47:16.854775808"), None);
}

proptest! {
    #[test]
    fn days_and_dates_are_one(days in -1_000_000_000_000i64..1_000_000_000_000) {
        let (year, month, day) = civil_from_days(days);
        prop_assert_eq!(days_from_civil(year, month, day), days);
    }

    #[test]
    fn digits_read_as_std_does(value: u64, zeros in 0usize..9, rest in "[^0-9][0-9]{0,9}") {
        let digits = format!("{}{value}", "0".repeat(zeros));
        prop_assert_eq!(leading_digits(format!("{digits}{rest}").as_bytes()), Some((value, digits.len())));
        prop_assert_eq!(leading_digits(digits.as_bytes()), Some((value, digits.len())));
    }

    #[test]
    fn chrono_reads_the_same_dates(days in -700_000i32..2_900_000) {
        let wanted = chrono::NaiveDate::from_epoch_days(days).expect("in range").to_string();
        prop_assert_eq!(date(wanted.as_bytes()), Some(days));
    }
}
