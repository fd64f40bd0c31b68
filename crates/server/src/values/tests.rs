use super::{Cells, UUID, binary, parameter};
use crate::wire::Format;
use arrow::array::timezone::Tz;
use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int32Array,
    IntervalMonthDayNanoArray, ListArray, StringArray, Time64MicrosecondArray, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Int32Type, IntervalMonthDayNano, TimeUnit};
use bytes::BytesMut;
use eddyline_engine::{ParameterValue, arrow};
use std::sync::Arc;

fn zone(name: &str) -> Tz {
    name.parse().expect("a zone")
}

/// The values of a column as texts; `-` for NULL.
fn texts_in(array: impl Array + 'static, zone_name: &str) -> Vec<String> {
    let array: ArrayRef = Arc::new(array);
    let cells = Cells::new(&array, Format::Text, zone(zone_name)).expect("cells");
    let text = |row| {
        let mut out = BytesMut::new();
        if cells.write(row, &mut out) { String::from_utf8_lossy(&out).into_owned() } else { "-".into() }
    };
    (0..array.len()).map(text).collect()
}

fn texts(array: impl Array + 'static) -> Vec<String> {
    texts_in(array, "UTC")
}

fn bytes(array: impl Array + 'static) -> Vec<u8> {
    let array: ArrayRef = Arc::new(array);
    let mut out = BytesMut::new();
    assert!(Cells::new(&array, Format::Binary, zone("UTC")).expect("cells").write(0, &mut out));
    out.to_vec()
}

/// As psql of PostgreSQL 15 shows them.
#[test]
fn texts_are_spelled_as_postgres_spells_them() {
    assert_eq!(texts(BooleanArray::from(vec![Some(true), Some(false), None])), ["t", "f", "-"]);
    let floats =
        vec![1.0, -0.5, 1e15, 123_456_789_012_345.0, 1e-5, 0.0001, f64::NAN, f64::NEG_INFINITY, 1.5e300, 0.1, -0.0];
    let shown =
        ["1", "-0.5", "1e+15", "123456789012345", "1e-05", "0.0001", "NaN", "-Infinity", "1.5e+300", "0.1", "-0"];
    assert_eq!(texts(Float64Array::from(floats)), shown);
    assert_eq!(texts(Float32Array::from(vec![1e6, 999_999.0, 0.1])), ["1e+06", "999999", "0.1"]);
    let decimals = Decimal128Array::from(vec![12345, -5, 0]).with_precision_and_scale(10, 2).unwrap();
    assert_eq!(texts(decimals), ["123.45", "-0.05", "0.00"]);
    assert_eq!(texts(BinaryArray::from_vec(vec![b"\x00\xffa", b""])), ["\\x00ff61", "\\x"]);
    assert_eq!(texts(Date32Array::from(vec![0, -719_529, 2_932_897])), ["1970-01-01", "0002-12-31 BC", "10000-01-01"]);
    assert_eq!(texts(Time64MicrosecondArray::from(vec![0, 45_296_000_001])), ["00:00:00", "12:34:56.000001"]);
    let times = TimestampMillisecondArray::from(vec![0, 1_500, -1]);
    let shown = ["1970-01-01 00:00:00", "1970-01-01 00:00:01.5", "1969-12-31 23:59:59.999"];
    assert_eq!(texts(times.clone()), shown);
    let moments = times.with_timezone("UTC");
    assert_eq!(texts_in(moments.clone(), "Asia/Kolkata")[0], "1970-01-01 05:30:00+05:30");
    assert_eq!(texts_in(moments.clone(), "America/New_York")[0], "1969-12-31 19:00:00-05");
    assert_eq!(texts(moments)[0], "1970-01-01 00:00:00+00");
}

#[test]
fn intervals_have_signs_and_plurals() {
    let of = |months, days, nanoseconds| IntervalMonthDayNano { months, days, nanoseconds };
    let second = 1_000_000_000;
    let array = IntervalMonthDayNanoArray::from(vec![
        of(0, 0, 0),
        of(14, 3, 14_706 * second),
        of(-1, 2, -second / 2),
        of(-12, 0, second),
        of(0, 1, 0),
    ]);
    let shown =
        ["00:00:00", "1 year 2 mons 3 days 04:05:06", "-1 mons +2 days -00:00:00.5", "-1 years +00:00:01", "1 day"];
    assert_eq!(texts(array), shown);
}

#[test]
fn items_of_lists_are_quoted_where_they_must_be() {
    let numbers =
        ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None, Some(-3)]), Some(vec![])]);
    assert_eq!(texts(numbers.clone()), ["{1,NULL,-3}", "{}"]);
    let mut builder = arrow::array::ListBuilder::new(arrow::array::StringBuilder::new());
    builder.append_value(["a", "", "null", "a b", "q\"\\"].map(Some));
    assert_eq!(texts(builder.finish()), [r#"{a,"","null","a b","q\"\\"}"#]);
    // One dimension; there may be NULLs; int4; three items from 1; 1, NULL, -3.
    let expected: Vec<u8> = [1, 1, 23, 3, 1, 4, 1, -1, 4, -3].iter().flat_map(|n: &i32| n.to_be_bytes()).collect();
    assert_eq!(bytes(numbers), expected);
}

/// Numbers travel as digits to the base 10,000: count, weight of the first, sign, digits behind the point.
#[test]
fn numbers_in_binary() {
    let words = |value: i128, scale: i8| {
        let mut out = BytesMut::new();
        binary::numeric(&mut out, value, scale);
        assert_eq!(binary::numeric_text(&out).as_deref(), Some(decimal(value, scale).as_str()));
        out.chunks(2).map(|w| u16::from_be_bytes([w[0], w[1]])).collect::<Vec<_>>()
    };
    assert_eq!(words(0, 0), [0, 0, 0, 0]);
    assert_eq!(words(1, 0), [1, 0, 0, 0, 1]);
    assert_eq!(words(12_345_678, 0), [2, 1, 0, 0, 1234, 5678]);
    assert_eq!(words(-12345, 2), [2, 0, 0x4000, 2, 123, 4500]);
    assert_eq!(words(5, 5), [1, 0xfffe, 0, 5, 5000]);
    assert_eq!(words(100_000_000, 0), [1, 2, 0, 0, 1]);
}

/// A number as people write it.
fn decimal(value: i128, scale: i8) -> String {
    Decimal128Array::from(vec![value]).with_precision_and_scale(38, scale).expect("a type").value_as_string(0)
}

#[test]
fn parameters_are_read_in_both_formats() {
    let text = |of: &DataType, text: &str| parameter(1, (of, 0), Format::Text, Some(text.as_bytes())).map(|p| p.value);
    let binary = |of: &DataType, bytes: &[u8]| parameter(1, (of, 0), Format::Binary, Some(bytes)).map(|p| p.value);
    let said = |text: &str| Ok(ParameterValue::Text(text.into()));
    assert_eq!(text(&DataType::Boolean, "T"), said("true"));
    assert_eq!(text(&DataType::Boolean, "off"), said("false"));
    assert_eq!(text(&DataType::Int64, "+5"), said("5"));
    assert_eq!(text(&DataType::Int64, "5; DROP").unwrap_err().sqlstate, "22P02");
    assert_eq!(text(&DataType::Decimal128(38, 10), "1) OR (1=1").unwrap_err().sqlstate, "22P02");
    assert_eq!(text(&DataType::Binary, "\\x00fF"), Ok(ParameterValue::Bytes(vec![0, 255])));
    assert_eq!(text(&DataType::Binary, "a\\\\\\001"), Ok(ParameterValue::Bytes(vec![b'a', b'\\', 1])));
    assert_eq!(binary(&DataType::Int32, &7_i32.to_be_bytes()), said("7"));
    assert_eq!(binary(&DataType::Int32, b"abc").unwrap_err().sqlstate, "22P03");
    assert_eq!(binary(&DataType::Date32, &1_i32.to_be_bytes()), said("2000-01-02"));
    let timestamp = DataType::Timestamp(TimeUnit::Microsecond, None);
    assert_eq!(binary(&timestamp, &1_500_000_i64.to_be_bytes()), said("2000-01-01 00:00:01.5"));
    let moment = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    assert_eq!(binary(&moment, &0_i64.to_be_bytes()), said("2000-01-01 00:00:00+00:00"));
    let interval = DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano);
    assert_eq!(text(&interval, "1 mon -3 days +04:05:06.7"), said("1 mon -3 days 04 hours 05 mins 06.7 secs"));
    assert_eq!(text(&interval, "-00:00:01"), said("-00 hours -00 mins -01 secs"));
    assert_eq!(text(&interval, "2 days"), said("2 days"));
    let numbers = DataType::new_list(DataType::Int32, true);
    let items = |items: &[Option<&str>]| {
        let item = |item: &Option<&str>| item.map_or(ParameterValue::Null, |text| ParameterValue::Text(text.into()));
        Ok(ParameterValue::List(items.iter().map(item).collect()))
    };
    assert_eq!(text(&numbers, "{1,NULL,-3}"), items(&[Some("1"), None, Some("-3")]));
    assert_eq!(text(&numbers, "{}"), items(&[]));
    assert_eq!(text(&numbers, "{1,x}").unwrap_err().sqlstate, "22P02");
    let sent: Vec<u8> = [1, 1, 23, 2, 1, 4, 7, -1].iter().flat_map(|n: &i32| n.to_be_bytes()).collect();
    assert_eq!(binary(&numbers, &sent), items(&[Some("7"), None]));
    // More items than there are bytes; two dimensions.
    let sent: Vec<u8> = [1, 1, 23, i32::MAX, 1].iter().flat_map(|n: &i32| n.to_be_bytes()).collect();
    assert_eq!(binary(&numbers, &sent).unwrap_err().sqlstate, "22P03");
    let sent: Vec<u8> = [2, 0, 23, 1, 1, 1, 1, 4, 7].iter().flat_map(|n: &i32| n.to_be_bytes()).collect();
    assert_eq!(binary(&numbers, &sent).unwrap_err().sqlstate, "22P03");
    assert_eq!(parameter(1, (&DataType::Utf8, 0), Format::Text, None).unwrap().value, ParameterValue::Null);
    assert_eq!(parameter(1, (&DataType::Utf8, 0), Format::Text, Some(b"a\xff")).unwrap_err().sqlstate, "22021");
    // The example of RFC 9562, §4; sixteen bytes that happen to be letters are a UUID too.
    let uuid = |bytes: &[u8]| parameter(1, (&DataType::Utf8, UUID), Format::Binary, Some(bytes)).map(|p| p.value);
    let bytes = 0xf81d_4fae_7dec_11d0_a765_00a0_c91e_6bf6_u128.to_be_bytes();
    assert_eq!(uuid(&bytes), said("f81d4fae-7dec-11d0-a765-00a0c91e6bf6"));
    assert_eq!(uuid(&[b'A'; 16]), said("41414141-4141-4141-4141-414141414141"));
    assert_eq!(uuid(b"AAAA").unwrap_err().sqlstate, "22P03");
    let uuid = |text: &str| parameter(1, (&DataType::Utf8, UUID), Format::Text, Some(text.as_bytes())).map(|p| p.value);
    for text in [
        "f81d4fae7dec11d0a76500a0c91e6bf6",
        "{F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6}",
        "f81d-4fae-7dec-11d0-a765-00a0-c91e-6bf6",
    ] {
        assert_eq!(uuid(text), said("f81d4fae-7dec-11d0-a765-00a0c91e6bf6"));
    }
    for text in ["f81d4fae-7dec-11d0-a765-00a0c91e6bf", "{f81d4fae7dec11d0a76500a0c91e6bf6", "ß", ""] {
        assert_eq!(uuid(text).unwrap_err().sqlstate, "22P02", "{text}");
    }
    let head = [1, 0, UUID as i32, 1, 1, 16].iter().flat_map(|n: &i32| n.to_be_bytes());
    let sent: Vec<u8> = head.chain(bytes).collect();
    let texts = DataType::new_list(DataType::Utf8, true);
    assert_eq!(binary(&texts, &sent), items(&[Some("f81d4fae-7dec-11d0-a765-00a0c91e6bf6")]));
}

#[test]
fn fixed_values_in_binary_count_from_2000() {
    assert_eq!(bytes(Date32Array::from(vec![10_957])), 0_i32.to_be_bytes());
    assert_eq!(bytes(TimestampMillisecondArray::from(vec![946_684_800_001])), 1_000_i64.to_be_bytes());
    assert_eq!(bytes(Int32Array::from(vec![-2])), (-2_i32).to_be_bytes());
    assert_eq!(bytes(StringArray::from(vec!["ß"])), "ß".as_bytes());
}
