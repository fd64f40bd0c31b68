//! Every function over constants, columns, both mixed, NULLs and no rows. Results are from Flink's documentation and
//! by hand.

use super::{Moment, Moments, ScalarSettings, Zone, all, moment};
use arrow::array::{Array, ArrayRef, ListArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion_common::config::ConfigOptions;
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::type_coercion::functions::fields_with_udf;
use datafusion_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF};
use std::sync::Arc;

fn text(value: &str) -> ScalarValue {
    ScalarValue::Utf8(Some(value.into()))
}

fn int(value: i64) -> ScalarValue {
    ScalarValue::Int64(Some(value))
}

fn double(value: f64) -> ScalarValue {
    ScalarValue::Float64(Some(value))
}

fn decimal(unscaled: i128, precision: u8, scale: i8) -> ScalarValue {
    ScalarValue::Decimal128(Some(unscaled), precision, scale)
}

fn boolean(value: bool) -> ScalarValue {
    ScalarValue::Boolean(Some(value))
}

fn cast_text(value: &str, to: &DataType) -> ScalarValue {
    let array = cast(&text(value).to_array().expect("array"), to).expect("casts");
    ScalarValue::try_from_array(&array, 0).expect("scalar")
}

fn time(value: &str) -> ScalarValue {
    cast_text(value, &DataType::Timestamp(TimeUnit::Millisecond, None))
}

fn instant(value: &str) -> ScalarValue {
    cast_text(value, &DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())))
}

fn date(value: &str) -> ScalarValue {
    cast_text(value, &DataType::Date32)
}

fn longs(values: &[i64]) -> ScalarValue {
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(values.iter().map(|v| Some(*v)))]);
    ScalarValue::List(Arc::new(list))
}

fn function(name: &str, zone: &str) -> Arc<ScalarUDF> {
    let settings = ScalarSettings { time_zone: Zone::parse(zone).expect("zone"), ..ScalarSettings::default() };
    let is_it = |f: &Arc<ScalarUDF>| f.name() == name || f.aliases().iter().any(|a| a == name);
    let found = all(&settings).into_iter().rfind(is_it).unwrap_or_else(|| panic!("no function {name}"));
    moment::bound(&found, &Arc::default()).map_or(found, Arc::new)
}

fn invoke(function: &ScalarUDF, args: Vec<ColumnarValue>, rows: usize) -> Result<ArrayRef> {
    let types: Vec<DataType> = args.iter().map(ColumnarValue::data_type).collect();
    let coerced = function.coerce_types(&types)?;
    let args: Vec<ColumnarValue> = args.iter().zip(&coerced).map(|(a, t)| a.cast_to(t, None)).collect::<Result<_>>()?;
    let arg_fields: Vec<_> = coerced.iter().map(|t| Arc::new(Field::new("a", t.clone(), true))).collect();
    let scalars: Vec<Option<&ScalarValue>> =
        args.iter().map(|a| if let ColumnarValue::Scalar(s) = a { Some(s) } else { None }).collect();
    let return_field =
        function.return_field_from_args(ReturnFieldArgs { arg_fields: &arg_fields, scalar_arguments: &scalars })?;
    let args = ScalarFunctionArgs {
        args,
        arg_fields,
        number_rows: rows,
        return_field: return_field.clone(),
        config_options: Arc::new(ConfigOptions::default()),
    };
    let result = function.invoke_with_args(args)?.into_array(rows)?;
    assert_eq!(result.data_type(), return_field.data_type(), "{}", function.name());
    assert_eq!(result.len(), rows, "{}", function.name());
    Ok(result)
}

fn shown(array: &ArrayRef) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let formatter = ArrayFormatter::try_new(array, &options).expect("formats");
    (0..array.len()).map(|row| formatter.value(row).to_string()).collect()
}

fn column(value: &ScalarValue, rows: usize) -> ColumnarValue {
    ColumnarValue::Array(value.to_array_of_size(rows).expect("array"))
}

/// Checks a call in all shapes. Arguments in `fixed` are always constants (units, formats that decide the type).
fn check_with(name: &str, zone: &str, args: &[ScalarValue], fixed: &[usize], expected: &str) {
    let function = function(name, zone);
    let constants: Vec<ColumnarValue> = args.iter().cloned().map(ColumnarValue::Scalar).collect();
    let what = format!("{name}{args:?}");
    let result = invoke(&function, constants.clone(), 1).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!(shown(&result), [expected], "{what}");
    if args.is_empty() {
        return;
    }
    let shape = |is_column: &dyn Fn(usize) -> bool, rows: usize| -> Vec<ColumnarValue> {
        let value = |(at, v): (usize, &ScalarValue)| {
            if is_column(at) && !fixed.contains(&at) { column(v, rows) } else { ColumnarValue::Scalar(v.clone()) }
        };
        args.iter().enumerate().map(value).collect()
    };
    for columns in [&(|_| true) as &dyn Fn(usize) -> bool, &(|at| at == 0), &(|at| at != 0)] {
        let shaped = shape(columns, 3);
        if shaped.iter().all(|a| matches!(a, ColumnarValue::Scalar(_))) {
            continue;
        }
        let result = invoke(&function, shaped, 3).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(shown(&result), [expected; 3], "{what}");
        assert_eq!(invoke(&function, shape(columns, 0), 0).map(|a| a.len()).unwrap_or(9), 0, "{what}: no rows");
    }
}

fn check(name: &str, args: &[ScalarValue], expected: &str) {
    check_with(name, "UTC", args, &[], expected);
}

fn fails(name: &str, args: &[ScalarValue], with: &str) {
    let constants = args.iter().cloned().map(ColumnarValue::Scalar).collect();
    match invoke(&function(name, "UTC"), constants, 1) {
        Ok(result) => panic!("{name}{args:?} is {:?}", shown(&result)),
        Err(error) => assert!(error.to_string().contains(with), "{name}: {error}"),
    }
}

#[test]
fn dates_are_written() {
    let at = time("2024-03-05T07:08:09.012");
    for (pattern, expected) in [
        ("yyyy-MM-dd", "2024-03-05"),
        ("yyyy-MM-dd HH:mm:ss.SSS", "2024-03-05 07:08:09.012"),
        ("yy/M/d H:m:s", "24/3/5 7:8:9"),
        ("EEE, d MMM yyyy", "Tue, 5 Mar 2024"),
        ("EEEE MMMM DDD", "Tuesday March 065"),
        ("hh a 'o''clock'", "07 AM o'clock"),
        ("HH''mm", "07'08"),
        ("", ""),
    ] {
        check("date_format", &[at.clone(), text(pattern)], expected);
    }
    check("date_format", &[text("2024-03-05 07:08:09"), text("HH:mm")], "07:08");
    check("date_format", &[text("rubbish"), text("HH:mm")], "NULL");
    check("date_format", &[date("2024-03-05"), text("dd.MM.yyyy HH")], "05.03.2024 00");
    check("date_format", &[time("1969-12-31T23:59:59.999"), text("yyyy-MM-dd HH:mm:ss.S")], "1969-12-31 23:59:59.9");
    check_with(
        "date_format",
        "Europe/Berlin",
        &[instant("2024-07-01T22:30:00Z"), text("yyyy-MM-dd HH:mm XXX")],
        &[],
        "2024-07-02 00:30 +02:00",
    );
    check_with("date_format", "Europe/Berlin", &[time("2024-07-01T22:30:00"), text("yyyy-MM-dd")], &[], "2024-07-01");
    fails("date_format", &[at, text("yyyy-QQ")], "the letter 'Q'");
}

#[test]
fn the_kept_text_changes_with_the_day() {
    let times: Vec<&str> =
        vec!["2024-03-05T07:08:09", "2024-03-05T23:59:59", "2024-03-06T00:00:00", "2024-03-05T00:00:00"];
    let arrays: Vec<ArrayRef> = times.iter().map(|t| time(t).to_array().expect("array")).collect();
    let null = ScalarValue::TimestampMillisecond(None, None).to_array().expect("array");
    let mut all: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
    all.insert(2, null.as_ref());
    let times = arrow::compute::concat(&all).expect("concat");
    let format = |pattern: &str| {
        let args = vec![ColumnarValue::Array(times.clone()), ColumnarValue::Scalar(text(pattern))];
        shown(&invoke(&function("date_format", "UTC"), args, 5).expect("formats"))
    };
    assert_eq!(format("dd"), ["05", "05", "NULL", "06", "05"]);
    assert_eq!(format("dd HH"), ["05 07", "05 23", "NULL", "06 00", "05 00"]);
}

#[test]
fn dates_are_read() {
    for (input, expected) in [
        ("2024-03-05 07:08:09", "2024-03-05T07:08:09"),
        ("2024-03-05 07:08:09.5", "2024-03-05T07:08:09.500"),
        ("2024-03-05T07:08:09.123456789", "2024-03-05T07:08:09.123"),
        ("2024-03-05", "2024-03-05T00:00:00"),
        ("2024-02-30 00:00:00", "NULL"),
        ("2024-03-05 24:00:00", "NULL"),
        ("2024-03-05 07:08:09x", "NULL"),
        ("", "NULL"),
    ] {
        check("to_timestamp", &[text(input)], expected);
    }
    for (input, pattern, expected) in [
        ("05.03.2024 07:08", "dd.MM.yyyy HH:mm", "2024-03-05T07:08:00"),
        ("20240305070809", "yyyyMMddHHmmss", "2024-03-05T07:08:09"),
        ("5 Mar 2024 1:05 pm", "d MMM yyyy h:mm a", "2024-03-05T13:05:00"),
        ("2024-065", "yyyy-DDD", "2024-03-05T00:00:00"),
        ("2024-03-05T07:08:09+02:00", "yyyy-MM-dd'T'HH:mm:ssXXX", "2024-03-05T05:08:09"),
        ("2024-03-05 extra", "yyyy-MM-dd", "NULL"),
        ("24-03-05", "yyyy-MM-dd", "NULL"),
    ] {
        check("to_timestamp", &[text(input), text(pattern)], expected);
    }
    check("to_timestamp_ltz", &[int(1_709_622_489), int(0)], "2024-03-05T07:08:09Z");
    check("to_timestamp_ltz", &[int(1_709_622_489_012), int(3)], "2024-03-05T07:08:09.012Z");
    check("to_timestamp_ltz", &[int(-1)], "1969-12-31T23:59:59.999Z");
    check("to_timestamp_ltz", &[double(1.5), int(0)], "1970-01-01T00:00:01.500Z");
    check("to_timestamp_ltz", &[text("2024-07-01 00:00:00")], "2024-07-01T00:00:00Z");
    check(
        "to_timestamp_ltz",
        &[text("2024-07-01 00:00:00"), text("yyyy-MM-dd HH:mm:ss"), text("Europe/Berlin")],
        "2024-06-30T22:00:00Z",
    );
    fails("to_timestamp_ltz", &[int(1), int(6)], "precision is 0");
    fails("to_timestamp_ltz", &[int(i64::MAX), int(0)], "out of range");
    check("to_date", &[text("2024-03-05")], "2024-03-05");
    check("to_date", &[text("05.03.2024"), text("dd.MM.yyyy")], "2024-03-05");
    check("to_date", &[text("05.13.2024"), text("dd.MM.yyyy")], "NULL");
    check("to_date", &[time("2024-03-05T23:59:59")], "2024-03-05");
}

#[test]
fn unix_time_is_shown_in_the_time_zone_of_the_session() {
    for (zone, seconds, shown) in
        [("UTC", "1709622489", "07"), ("Europe/Berlin", "1709618889", "08"), ("-08:00", "1709651289", "23")]
    {
        check_with("unix_timestamp", zone, &[text("2024-03-05 07:08:09")], &[], seconds);
        check_with("from_unixtime", zone, &[int(1_709_622_489), text("HH")], &[], shown);
    }
    check("unix_timestamp", &[text("05.03.2024"), text("dd.MM.yyyy")], "1709596800");
    check("unix_timestamp", &[text("nothing")], "NULL");
    check("from_unixtime", &[int(0)], "1970-01-01 00:00:00");
    check(
        "convert_tz",
        &[text("1970-01-01 00:00:00"), text("UTC"), text("America/Los_Angeles")],
        "1969-12-31 16:00:00",
    );
    fails("convert_tz", &[text("1970-01-01 00:00:00"), text("UTC"), text("Mars")], "unknown time zone 'Mars'");
}

#[test]
fn fields_of_times() {
    let at = time("2024-03-05T07:08:09.123");
    for (name, expected) in [
        ("year", "2024"),
        ("quarter", "1"),
        ("month", "3"),
        ("week", "10"),
        ("dayofyear", "65"),
        ("dayofmonth", "5"),
        ("dayofweek", "3"),
        ("hour", "7"),
        ("minute", "8"),
        ("second", "9"),
    ] {
        check(name, std::slice::from_ref(&at), expected);
        check(name, &[ScalarValue::TimestampMillisecond(None, None)], "NULL");
    }
    check("hour", &[time("1969-12-31T23:00:00.001")], "23");
    check("hour", &[cast_text("2024-03-05T07:08:09", &DataType::Timestamp(TimeUnit::Nanosecond, None))], "7");
    check_with("hour", "Asia/Kolkata", &[instant("2024-03-05T20:00:00Z")], &[], "1");
    check("week", &[date("2021-01-03")], "53");
    check("dayofweek", &[date("2021-01-03")], "1");
    for (field, expected) in
        [("DOW", "3"), ("DOY", "65"), ("EPOCH", "1709622489"), ("MILLISECOND", "123"), ("CENTURY", "21"), ("hour", "7")]
    {
        check_with("extract", "UTC", &[text(field), at.clone()], &[0], expected);
    }
    fails("extract", &[text("FORTNIGHT"), at], "no field FORTNIGHT");
}

#[test]
fn units_of_time() {
    for (unit, from, to, expected) in [
        ("SECOND", "2024-03-05T07:00:00", "2024-03-05T07:00:59.999", "59"),
        ("SECOND", "2024-03-05T07:00:59.999", "2024-03-05T07:00:00", "-59"),
        ("MINUTE", "2024-03-05T07:00:00", "2024-03-05T08:00:00", "60"),
        ("DAY", "2024-03-05T12:00:00", "2024-03-07T11:00:00", "1"),
        ("WEEK", "2024-03-01T00:00:00", "2024-03-15T00:00:00", "2"),
        ("MONTH", "2024-01-31T00:00:00", "2024-03-30T00:00:00", "1"),
        ("MONTH", "2024-03-30T00:00:00", "2024-01-31T00:00:00", "-1"),
        ("YEAR", "2020-02-29T00:00:00", "2024-02-28T00:00:00", "3"),
    ] {
        check_with("timestampdiff", "UTC", &[text(unit), time(from), time(to)], &[0], expected);
    }
    check_with("timestampdiff", "UTC", &[text("DAY"), date("2024-03-05"), time("2024-03-07T00:00:00")], &[0], "2");
    fails("timestampdiff", &[text("SECOND"), date("0001-01-01"), date("9999-01-01")], "overflows INT");
    fails("timestampdiff", &[text("EON"), date("2024-01-01"), date("2024-01-01")], "no unit of time EON");
    for (unit, count, from, expected) in [
        ("SECOND", 61, "2024-03-05T07:00:00.500", "2024-03-05T07:01:01.500"),
        ("HOUR", -8, "2024-03-05T07:00:00", "2024-03-04T23:00:00"),
        ("MONTH", 1, "2024-01-31T10:00:00", "2024-02-29T10:00:00"),
        ("YEAR", -1, "2024-02-29T10:00:00", "2023-02-28T10:00:00"),
    ] {
        check_with("timestampadd", "UTC", &[text(unit), int(count), time(from)], &[0], expected);
    }
    check_with("timestampadd", "UTC", &[text("WEEK"), int(1), date("2024-02-28")], &[0], "2024-03-06");
    check_with("timestampadd", "UTC", &[text("HOUR"), int(1), date("2024-02-28")], &[0], "2024-02-28T01:00:00");
    fails("timestampadd", &[text("YEAR"), int(i64::MAX), date("2024-02-28")], "out of range");
    let at = "2024-08-15T07:08:09.123";
    for (unit, floor, ceil) in [
        ("SECOND", "2024-08-15T07:08:09", "2024-08-15T07:08:10"),
        ("MINUTE", "2024-08-15T07:08:00", "2024-08-15T07:09:00"),
        ("DAY", "2024-08-15T00:00:00", "2024-08-16T00:00:00"),
        ("WEEK", "2024-08-11T00:00:00", "2024-08-18T00:00:00"),
        ("MONTH", "2024-08-01T00:00:00", "2024-09-01T00:00:00"),
        ("QUARTER", "2024-07-01T00:00:00", "2024-10-01T00:00:00"),
        ("YEAR", "2024-01-01T00:00:00", "2025-01-01T00:00:00"),
    ] {
        check_with("floor_to", "UTC", &[text(unit), time(at)], &[0], floor);
        check_with("ceil_to", "UTC", &[text(unit), time(at)], &[0], ceil);
    }
    check_with("ceil_to", "UTC", &[text("MONTH"), date("2024-08-01")], &[0], "2024-08-01");
    check_with(
        "floor_to",
        "Europe/Berlin",
        &[text("DAY"), instant("2024-07-01T23:00:00Z")],
        &[0],
        "2024-07-01T22:00:00Z",
    );
}

#[test]
fn strings() {
    let url = "https://www.nexmark.com/abc/def/item.htm";
    for (index, expected) in [(3, "abc"), (5, "item.htm"), (0, "https:"), (1, ""), (6, "NULL"), (-1, "NULL")] {
        check("split_index", &[text(url), text("/"), int(index)], expected);
        check("split_index", &[text(url), int(47), int(index)], expected);
    }
    check("split_index", &[text("a--b--c"), text("--"), int(1)], "b");
    check("split_index", &[text("grün, gelb"), text(", "), int(1)], "gelb");
    check("split_index", &[text("abc"), text("/"), int(0)], "abc");
    check("concat", &[text("a"), text("b"), int(7)], "ab7");
    for (start, length, expected) in
        [(1, 3, "grü"), (3, 2, "ün"), (-2, 9, "ün"), (0, 2, "gr"), (9, 1, ""), (-9, 3, ""), (1, -1, "NULL"), (1, 0, "")]
    {
        check("substr", &[text("grün"), int(start), int(length)], if start == -2 { "ün" } else { expected });
    }
    check("substring", &[text("stream"), int(4)], "eam");
    check("left", &[text("grün"), int(3)], "grü");
    check("left", &[text("grün"), int(-3)], "");
    check("right", &[text("grün"), int(2)], "ün");
    check("right", &[text("grün"), int(9)], "grün");
    check("lpad", &[text("hi"), int(5), text("?!")], "?!?hi");
    check("lpad", &[text("hi"), int(1), text("?!")], "h");
    check("rpad", &[text("hi"), int(5), text("?!")], "hi?!?");
    check("rpad", &[text("hi"), int(5), text("")], "NULL");
    check("lpad", &[text("hi"), int(-1), text("x")], "NULL");
    fails("lpad", &[text("hi"), int(1 << 40), text("x")], "too much");
    check("translate", &[text("cobra"), text("abc"), text("12")], "o2r1");
    check("chr", &[int(97)], "a");
    check("chr", &[int(353)], "a");
    check("chr", &[int(-1)], "");
    check("locate", &[text("a"), text("banana")], "2");
    check("locate", &[text("a"), text("banana"), int(3)], "4");
    check("locate", &[text("x"), text("banana")], "0");
    check("locate", &[text("n"), text("grün"), int(2)], "4");
    check("locate", &[text("a"), text("banana"), int(0)], "0");
    check("instr", &[text("banana"), text("n")], "3");
    for (name, yes, no) in [("is_alpha", "abcé", "ab1"), ("is_digit", "0123", "1.2"), ("is_decimal", "-1.5e3", "1x")] {
        check(name, &[text(yes)], "true");
        check(name, &[text(no)], "false");
        check(name, &[text("")], "false");
        check(name, &[ScalarValue::Utf8(None)], "false");
    }
    check("str_to_map", &[text("a=1,b=2,a=3,c")], "{a: 3, b: 2, c: NULL}");
    check("str_to_map", &[text("a:1;b:2"), text(";"), text(":")], "{a: 1, b: 2}");
}

#[test]
fn regular_expressions() {
    let channel = "(&|^)channel_id=([^&]*)";
    for (input, group, expected) in [
        ("https://x/y?a=1&channel_id=42&z=9", 2, "42"),
        ("channel_id=7", 2, "7"),
        ("channel_id=7", 1, ""),
        ("my_channel_id=7", 2, "NULL"),
        ("nothing", 2, "NULL"),
    ] {
        check("regexp_extract", &[text(input), text(channel), int(group)], expected);
    }
    check("regexp_extract", &[text("foothebar"), text("foo(.*?)(bar)")], "foothebar");
    check("regexp_extract", &[text("b"), text("(a)?b"), int(1)], "NULL");
    fails("regexp_extract", &[text("b"), text("(a)?b"), int(2)], "no group 2");
    fails("regexp_extract", &[text("b"), text("(?=a)"), int(0)], "not a regular expression");
    check("regexp_replace", &[text("foobar"), text("oo|ar"), text("")], "fb");
    check("regexp_replace", &[text("ab12"), text("([a-z])(\\d?)"), text("<$1x>")], "<ax><bx>2");
    check("regexp_replace", &[text("a"), text("a"), text("\\$1")], "$1");
    check("regexp", &[text("foobar"), text("o+b")], "true");
    check("regexp", &[text("foobar"), text("^b")], "false");
    check("regexp_count", &[text("banana"), text("an")], "2");
    check("regexp_substr", &[text("foobar"), text("o+b")], "oob");
    check("regexp_substr", &[text("foobar"), text("z")], "NULL");
}

#[test]
fn json() {
    let doc = r#"{"a": {"b": [1, 2.50, "x\ny", null, true]}, "n": {}}"#;
    for (path, expected) in [
        ("$.a.b[0]", "1"),
        ("$.a.b[1]", "2.50"),
        ("$.a.b[2]", "x\ny"),
        ("$.a.b[3]", "NULL"),
        ("$.a.b[4]", "true"),
        ("$.a", "NULL"),
        ("$.a.b[*]", "NULL"),
        ("$.zzz", "NULL"),
    ] {
        check("json_value", &[text(doc), text(path)], expected);
    }
    check("json_value", &[text("{broken"), text("$.a")], "NULL");
    let nested = r#" {"a": [1, {"b": "x\ny", "0": null, "": [ ]}], "a": [1, {"b": "x\"y", "0": null}]} "#;
    for (keys, json, plain) in [
        (&["a", "1", "b"][..], r#""x\"y""#, r#"x"y"#),
        (&["a", "-1", "b"], r#""x\"y""#, r#"x"y"#),
        (&["a", "1"], r#"{"b":"x\"y","0":null}"#, r#"{"b":"x\"y","0":null}"#),
        (&["a", "0"], "1", "1"),
        (&["a", "1", "0"], "null", "NULL"),
        (&["a", "2"], "NULL", "NULL"),
        (&["a", "-3"], "NULL", "NULL"),
        (&["a", "b"], "NULL", "NULL"),
        (&["a", "0", "b"], "NULL", "NULL"),
    ] {
        let arguments: Vec<_> = [nested].iter().chain(keys).map(|t| text(t)).collect();
        check("json_extract_path", &arguments, json);
        check("json_extract_path_text", &arguments, plain);
    }
    check("json_extract_path", &[text("{broken"), text("a")], "NULL");
    fails("json_value", &[text(doc), text("a.b")], "does not begin with $");
    check("json_query", &[text(doc), text("$.a.b")], r#"[1,2.50,"x\ny",null,true]"#);
    check("json_query", &[text(doc), text("$.n")], "{}");
    check("json_query", &[text(doc), text("$.a.b[0]")], "NULL");
    check("json_exists", &[text(doc), text("$.a.b[3]")], "true");
    check("json_exists", &[text(doc), text("$.a.b[9]")], "false");
    check("json_exists", &[text("broken"), text("$")], "false");
    for (input, kind, expected) in
        [("1", "SCALAR", "true"), ("[1]", "OBJECT", "false"), ("{}", "OBJECT", "true"), ("[", "ARRAY", "false")]
    {
        check("is_json", &[text(input), text(kind)], expected);
    }
    check("is_json", &[ScalarValue::Utf8(None)], "false");
    check("json_string", &[text("a\"b")], r#""a\"b""#);
    check("json_string", &[int(5)], "5");
    check("json_string", &[boolean(true)], "true");
    check("json_string", &[date("2024-03-05")], r#""2024-03-05""#);
}

#[test]
fn choosing() {
    check("if", &[boolean(true), int(1), double(2.5)], "1.0");
    check("if", &[boolean(false), text("a"), text("b")], "b");
    check("if", &[ScalarValue::Boolean(None), text("a"), text("b")], "b");
    check("ifnull", &[ScalarValue::Utf8(None), text("b")], "b");
    check("nvl", &[int(1), double(2.5)], "1.0");
    check("greatest", &[int(3), int(7), int(5)], "7");
    check("greatest", &[int(3), ScalarValue::Int64(None), int(5)], "NULL");
    check("least", &[text("b"), text("a")], "a");
    check("least", &[decimal(150, 5, 2), int(2)], "1.50");
    check("least", &[int(1)], "1");
}

#[test]
fn numbers() {
    check("mod", &[int(-7), int(3)], "-1");
    check("mod", &[decimal(750, 5, 2), decimal(200, 5, 2)], "1.50");
    fails("mod", &[int(1), int(0)], "division by zero");
    check_with("truncate", "UTC", &[decimal(42_345, 10, 3), int(2)], &[1], "42.34");
    check_with("truncate", "UTC", &[decimal(-42_345, 10, 3)], &[], "-42");
    check_with("truncate", "UTC", &[decimal(142_345, 10, 3), int(-2)], &[1], "100");
    check("truncate", &[double(-42.345), int(2)], "-42.34");
    check("truncate", &[int(1278), int(-2)], "1200");
    check("sign", &[double(-3.5)], "-1.0");
    check("sign", &[decimal(-350, 5, 2)], "-1.00");
    check("sign", &[int(0)], "0");
    check("power", &[int(2), int(10)], "1024.0");
    check("log", &[int(2), int(8)], "3.0");
    check("log", &[double(1.0)], "0.0");
    check("bin", &[int(4)], "100");
    check("hex", &[int(255)], "FF");
    check("hex", &[text("hello")], "68656C6C6F");
    check("e", &[], "2.718281828459045");
}

fn at_moment(name: &str, zone: &str, moment: Moment, evaluations: usize) -> Vec<String> {
    let moments = Moments::standing_at(moment);
    let function = moment::bound(&function(name, zone), &moments).expect("a function of the moment");
    let mut all = Vec::new();
    for _ in 0..evaluations {
        all.extend(shown(&invoke(&function, vec![], 2).expect("evaluates")));
    }
    all
}

#[test]
fn the_time_is_that_of_the_moment() {
    // 22:13:20.123 UTC on Tuesday, November 14, 2023.
    let moment = Moment { wall_ms: 1_700_000_000_123, seed: 0 };
    let told = |name: &str, zone: &str| at_moment(name, zone, moment, 1);
    for name in ["now", "current_timestamp", "current_row_timestamp", "proctime"] {
        assert_eq!(told(name, "Europe/Berlin"), ["2023-11-14T22:13:20.123Z"; 2]);
    }
    assert_eq!(told("localtimestamp", "Europe/Berlin"), ["2023-11-14T23:13:20.123"; 2]);
    assert_eq!(told("localtime", "Europe/Berlin"), ["23:13:20"; 2]);
    assert_eq!(told("current_time", "-03:30"), ["18:43:20"; 2]);
    assert_eq!(told("current_date", "Pacific/Kiritimati"), ["2023-11-15"; 2]);
    assert_eq!(told("today", "UTC"), ["2023-11-14"; 2]);
    let before = Moment { wall_ms: -1, seed: 0 };
    assert_eq!(at_moment("current_date", "UTC", before, 1), ["1969-12-31"; 2]);
    assert_eq!(at_moment("localtime", "UTC", before, 1), ["23:59:59"; 2]);
    let unbound =
        invoke(&all(&ScalarSettings::default()).into_iter().rfind(|f| f.name() == "now").expect("it"), vec![], 1);
    assert!(unbound.expect_err("no clock").to_string().contains("NOW is not available here"));
}

#[test]
fn chance_comes_from_the_seed_alone_and_every_draw_is_another() {
    for name in ["rand", "uuid"] {
        let drawn = |seed: u128| at_moment(name, "UTC", Moment { wall_ms: 5, seed }, 2);
        assert_eq!(drawn(7), drawn(7));
        let mut all: Vec<String> = [drawn(7), drawn(8)].concat();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 8, "{name}");
    }
    for uuid in at_moment("uuid", "UTC", Moment { wall_ms: 0, seed: 1 }, 50) {
        let (version, variant) = (&uuid[14..15], &uuid[19..20]);
        assert!(uuid.len() == 36 && version == "4" && "89ab".contains(variant), "{uuid}");
    }
    let numbers = at_moment("rand", "UTC", Moment::default(), 50);
    assert!(numbers.iter().all(|n| (0.0..1.0).contains(&n.parse::<f64>().expect("a number"))));
}

#[test]
fn a_series_is_not_longer_than_the_memory() {
    let made = |name: &str, args: &[ScalarValue]| {
        let args: Vec<_> = args.iter().cloned().map(ColumnarValue::Scalar).collect();
        let arg_fields = args.iter().map(|a| Arc::new(Field::new("a", a.data_type(), true))).collect();
        let function = function(name, "UTC");
        let types: Vec<DataType> = args.iter().map(ColumnarValue::data_type).collect();
        let return_field = Arc::new(Field::new("r", function.return_type(&types).expect("a type"), true));
        let config_options = Arc::new(ConfigOptions::default());
        let args = ScalarFunctionArgs { args, arg_fields, number_rows: 1, return_field, config_options };
        function.invoke_with_args(args).and_then(|v| v.into_array(1)).map(|v| shown(&v).concat())
    };
    let check = |name: &str, args: &[ScalarValue], expected: &str| {
        assert_eq!(made(name, args).expect("a series"), expected);
    };
    let fails = |name: &str, args: &[ScalarValue], with: &str| {
        let error = made(name, args).expect_err("too long").to_string();
        assert!(error.contains(with), "{error}");
    };
    check("range", &[int(2), int(7), int(2)], "[2, 4, 6]");
    check("generate_series", &[int(3), int(1), int(-1)], "[3, 2, 1]");
    check("range", &[int(3), int(1)], "[]");
    fails("generate_series", &[int(1), int(3_000_000_000)], "GENERATE_SERIES would make 3000000000 elements");
    fails("range", &[int(i64::MIN), int(i64::MAX)], "would make 18446744073709551616 elements");
    fails("range", &[int(i64::MAX), int(0), int(-1)], "are the most at a time");
    let nanosecond = ScalarValue::new_interval_mdn(0, 0, 1);
    let (from, to) = (time("2024-01-01T00:00:00"), time("2024-01-01T00:00:01"));
    fails("range", &[from.clone(), to.clone(), nanosecond], "would make 1000000001 elements");
    let half = ScalarValue::new_interval_mdn(0, 0, 500_000_000);
    check("generate_series", &[from, to, half], "[2024-01-01T00:00:00, 2024-01-01T00:00:00.500, 2024-01-01T00:00:01]");
    let (from, to) = (date("2024-01-01"), date("2024-03-01"));
    check("range", &[from, to, ScalarValue::new_interval_mdn(1, 0, 0)], "[2024-01-01, 2024-02-01]");
}

#[test]
fn the_text_of_an_integer_has_no_fraction() {
    let whole = super::whole_part();
    let texts = [" 4.7 ", "-4.7", "+4.", ".5", "-.5", ".", "4.x", "1.2.3", "42", "", "x", "-"];
    let column = ColumnarValue::Array(Arc::new(arrow::array::StringArray::from(texts.to_vec())));
    let made = shown(&invoke(&whole, vec![column], texts.len()).expect("evaluates"));
    assert_eq!(made, ["4", "-4", "+4", "0", "0", ".", "4.x", "1.2.3", "42", "", "x", "-"]);
}

#[test]
fn digests_and_encodings() {
    check("md5", &[text("abc")], "900150983cd24fb0d6963f7d28e17f72");
    check("sha1", &[text("abc")], "a9993e364706816aba3e25717850c26c9cd0d89d");
    let long = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    check("sha1", &[text(long)], "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    check("sha224", &[text("abc")], "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7");
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    check("sha256", &[text("abc")], sha256);
    check("sha2", &[text("abc"), int(256)], sha256);
    fails("sha2", &[text("abc"), int(1)], "number of bits");
    for (plain, encoded) in [("", ""), ("h", "aA=="), ("he", "aGU="), ("hel", "aGVs"), ("hello", "aGVsbG8=")] {
        check("to_base64", &[text(plain)], encoded);
        check("from_base64", &[text(encoded)], plain);
    }
    check("from_base64", &[text("a*")], "NULL");
    check("unhex", &[text("466C")], "466c");
    check("unhex", &[text("F")], "0f");
    check("unhex", &[text("xy")], "NULL");
    let url = "https://me:pw@example.org:8080/a/b?k=v&x=1#top";
    for (part, expected) in [
        ("HOST", "example.org"),
        ("PATH", "/a/b"),
        ("QUERY", "k=v&x=1"),
        ("REF", "top"),
        ("PROTOCOL", "https"),
        ("FILE", "/a/b?k=v&x=1"),
        ("AUTHORITY", "me:pw@example.org:8080"),
        ("USERINFO", "me:pw"),
        ("PORT", "NULL"),
    ] {
        check("parse_url", &[text(url), text(part)], expected);
    }
    check("parse_url", &[text(url), text("QUERY"), text("x")], "1");
    check("parse_url", &[text(url), text("QUERY"), text("y")], "NULL");
    check("parse_url", &[text("no url"), text("HOST")], "NULL");
    check("url_encode", &[text("a b&cé")], "a+b%26c%C3%A9");
    check("url_decode", &[text("a+b%26c%C3%A9")], "a b&cé");
    check("url_decode", &[text("%4")], "NULL");
    check("element", &[longs(&[7])], "7");
    check("element", &[longs(&[])], "NULL");
    fails("element", &[longs(&[1, 2])], "2 elements");
}

#[test]
fn texts_out_of_parts() {
    check("concat_ws", &[text("~"), text("a"), ScalarValue::Utf8(None), text("b")], "a~b");
    check("elt", &[int(2), text("a"), text("b")], "b");
    check("elt", &[int(3), text("a"), text("b")], "NULL");
    check("elt", &[int(i64::MIN), text("a")], "NULL");
    check("starts_with", &[text("stream"), text("")], "true");
    check("endswith", &[text("äö"), text("ö")], "true");
    check("repeat", &[text("äb"), int(2)], "äbäb");
    check("repeat", &[text(""), int(i64::MAX)], "");
    fails("repeat", &[text("ab"), int(i64::MAX)], "more than 1048576 bytes");
    for (start, length, expected) in [(1, 0, "ZZäöü"), (2, 1, "äZZü"), (3, 9, "äöZZ"), (4, 1, "äöü"), (0, 1, "äöü")]
    {
        check("overlay", &[text("äöü"), text("ZZ"), int(start), int(length)], expected);
    }
    check("overlay", &[text("abc"), text("Z"), int(2), int(i64::MAX)], "aZ");
    check("overlay", &[text("abc"), text("Z"), int(2), int(-1)], "aZ");
    check("split", &[text("a,b,"), text(",")], "[a, b, ]");
    check("split", &[text("äb"), text("")], "[ä, b]");
    for (from, nth, expected) in [(1, 2, "6"), (3, 1, "6"), (-1, 1, "6"), (-1, 2, "2"), (0, 1, "0"), (i64::MAX, 1, "0")]
    {
        check("instr", &[text("äorläor"), text("or"), int(from), int(nth)], expected);
    }
    check("regexp_extract_all", &[text("a1b2"), text("[a-z]([0-9])")], "[1, 2]");
    check("regexp_extract_all", &[text("a1b2"), text("x(y)")], "[]");
}

#[test]
fn formats_are_filled() {
    for (format, value, expected) in [
        ("%5d|", int(42), "   42|"),
        ("%-5d|", int(42), "42   |"),
        ("%+05d", int(42), "+0042"),
        ("%,d", int(-1_234_567), "-1,234,567"),
        ("%d", int(i64::MIN), "-9223372036854775808"),
        ("%x %%", int(255), "ff %"),
        ("%.2f", double(2.5), "2.50"),
        ("%e", double(12345.678), "1.234568e+04"),
        ("%.2s", text("äöü"), "äö"),
        ("%S", text("a"), "A"),
        ("%b", boolean(false), "false"),
        ("%s", ScalarValue::Utf8(None), "null"),
    ] {
        check("printf", &[text(format), value], expected);
    }
    fails("printf", &[text("%d %d"), int(1)], "more places than there are values");
    fails("printf", &[text("%d"), double(1.5)], "does not fit %d");
    fails("printf", &[text("%"), int(1)], "ends in a place");
}

#[test]
fn character_sets() {
    for (charset, bytes) in [
        ("UTF-8", "c3a9"),
        ("iso-8859-1", "e9"),
        ("US-ASCII", "3f"),
        ("UTF-16BE", "00e9"),
        ("UTF-16LE", "e900"),
        ("UTF-16", "feff00e9"),
    ] {
        check("encode", &[text("é"), text(charset)], bytes);
    }
    let bytes = |b: &[u8]| ScalarValue::Binary(Some(b.to_vec()));
    check("decode", &[bytes(&[0xFF, 0xFE, 0xE9, 0]), text("UTF-16")], "é");
    check("decode", &[bytes(&[0xE9]), text("UTF-8")], "\u{FFFD}");
    check("decode", &[bytes(&[0, 0x41, 0]), text("UTF-16BE")], "A\u{FFFD}");
    fails("encode", &[text("a"), text("hex")], "HEX, UNHEX");
}

#[test]
fn arrays() {
    let a = longs(&[3, 1, 3]);
    check("array_append", &[a.clone(), int(9)], "[3, 1, 3, 9]");
    check("array_append", &[a.clone(), ScalarValue::Null], "[3, 1, 3, NULL]");
    check("array_prepend", &[a.clone(), int(9)], "[9, 3, 1, 3]");
    check("array_append", &[ScalarValue::Null, int(9)], "NULL");
    check("array_remove", &[a.clone(), int(3)], "[1]");
    check("array_position", &[a.clone(), int(1)], "2");
    check("array_contains", &[a.clone(), ScalarValue::Null], "false");
    check("array_sort", std::slice::from_ref(&a), "[1, 3, 3]");
    check("array_sort", &[a.clone(), boolean(false)], "[3, 3, 1]");
    for (start, end, expected) in [(1, 2, "[3, 1]"), (-2, -1, "[1, 3]"), (-9, 1, "[3]"), (2, 1, "[]"), (4, 9, "[]")] {
        check("array_slice", &[a.clone(), int(start), int(end)], expected);
    }
    check("array_slice", &[a.clone(), int(i64::MIN), int(i64::MAX)], "[3, 1, 3]");
    check("array_slice", &[a.clone(), int(i64::MAX), int(i64::MIN)], "[]");
    check("array_union", &[a.clone(), longs(&[7, 1])], "[3, 1, 7]");
    check("array_except", &[a.clone(), longs(&[1])], "[3]");
    check("array_intersect", &[a.clone(), longs(&[1, 3])], "[3, 1]");
    check("array_concat", &[a.clone(), longs(&[]), longs(&[1])], "[3, 1, 3, 1]");
    check("array_concat", &[a, ScalarValue::Null], "NULL");
}

#[test]
fn numbers_are_rounded_exactly() {
    check("ceil", &[decimal(-15, 3, 1)], "-1");
    check("floor", &[decimal(-15, 3, 1)], "-2");
    check("ceil", &[decimal(i128::from(i64::MAX) * 10 + 1, 38, 1)], "9223372036854775808");
    check("ceiling", &[int(i64::MAX)], "9223372036854775807");
    check("floor", &[double(-0.5)], "-1.0");
    check("sqrt", &[double(-1.0)], "NaN");
    check("truncate", &[double(1.5), int(i64::MIN)], "0.0");
    check("truncate", &[int(15), int(i64::MIN)], "0");
    fails("rand_integer", &[int(0)], "from 1 to");
}

#[test]
fn the_text_of_values() {
    let zone = Zone::utc();
    let texts = |value: ScalarValue| {
        shown(&super::text_form::text_of(&value.to_array().expect("array"), zone).expect("text"))[0].clone()
    };
    for (value, expected) in [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (1.0, "1.0"),
        (123.25, "123.25"),
        (1e6, "1000000.0"),
        (1e7, "1.0E7"),
        (1.5e-3, "0.0015"),
        (1.25e-4, "1.25E-4"),
        (f64::MAX, "1.7976931348623157E308"),
        (f64::NEG_INFINITY, "-Infinity"),
        (f64::NAN, "NaN"),
    ] {
        assert_eq!(texts(double(value)), expected);
    }
    assert_eq!(texts(ScalarValue::Float32(Some(0.1))), "0.1");
    let interval = |months, days, nanos| ScalarValue::new_interval_mdn(months, days, nanos);
    assert_eq!(texts(interval(-14, 0, 0)), "-1-02");
    assert_eq!(texts(interval(14, 1, 1_000_000)), "+1-02 +1 00:00:00.001");
    assert_eq!(texts(interval(0, 1, -3_600_000_000_000)), "+0 23:00:00.000");
    assert_eq!(texts(interval(0, 0, 1_500)), "+0 00:00:00.000001500");
    assert_eq!(texts(interval(i32::MIN, 0, 0)), "-178956970-08");
    assert_eq!(texts(interval(0, i32::MIN, i64::MIN)), "-2147590399 23:47:16.854775808");
}

#[test]
fn null_arguments_give_null() {
    let never = ["if", "is_alpha", "is_digit", "is_decimal", "is_json", "typeof", "json_object", "json_array"];
    for (_, definitions) in super::SUBJECTS {
        for definition in definitions.iter().filter(|d| !never.contains(&d.name)) {
            let function = function(definition.name, "UTC");
            for kinds in definition.args {
                let nulls = vec![ScalarValue::Null; kinds.len()];
                let types = vec![DataType::Null; kinds.len()];
                if kinds.is_empty() || ["element", "map_union", "map_from_arrays"].contains(&definition.name) {
                    continue;
                }
                let types = function.coerce_types(&types).unwrap_or_else(|e| panic!("{}: {e}", definition.name));
                // Units, fields and kinds are keywords, never NULL.
                let keyword = ["timestampadd", "timestampdiff", "floor_to", "ceil_to", "extract"];
                let args = nulls.iter().zip(&types).enumerate().map(|(at, (null, t))| match at {
                    0 if keyword.contains(&definition.name) => ColumnarValue::Scalar(text("DAY")),
                    _ => column(&null.cast_to(t).expect("NULL of any type"), 2),
                });
                let result =
                    invoke(&function, args.collect(), 2).unwrap_or_else(|e| panic!("{}: {e}", definition.name));
                assert_eq!(result.logical_null_count(), 2, "{}", definition.name);
            }
        }
    }
}

#[test]
fn wrong_arguments_are_told_what_is_right() {
    fails("split_index", &[text("a"), text("b")], "Usage: SPLIT_INDEX(text STRING");
    fails("hour", &[int(5)], "HOUR does not take (Int64); it takes (DATE, TIME or TIMESTAMP)");
}

#[test]
fn functions_over_strings_do_not_make_views() {
    let words = [text("a"), text("b"), text("c")];
    let counted = [text("a"), text("b"), int(1)];
    let mut views = Vec::new();
    let tried = all(&ScalarSettings::default());
    for function in &tried {
        for args in [&words[..1], &words[..2], &words, &counted, &counted[1..]] {
            let field = |v: &ScalarValue| Arc::new(Field::new("a", v.data_type(), true));
            let Ok(fields) = fields_with_udf(&args.iter().map(field).collect::<Vec<_>>(), function.as_ref()) else {
                continue;
            };
            // A later function of the same name takes the place of this one.
            let is_last = tried.iter().rfind(|f| f.name() == function.name()).is_some_and(|f| Arc::ptr_eq(f, function));
            let scalars: Vec<Option<&ScalarValue>> = args.iter().map(Some).collect();
            let call = ReturnFieldArgs { arg_fields: &fields, scalar_arguments: &scalars };
            if is_last
                && let Ok(result) = function.return_field_from_args(call)
                && result.data_type() == &DataType::Utf8View
            {
                views.push(format!("{}{args:?}", function.name()));
            }
        }
    }
    assert!(views.is_empty(), "{views:#?}");
}

#[test]
fn the_page_lists_every_function() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/sql/functions.md");
    let page = super::documentation();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &page).expect("writes the page");
    }
    let stored = std::fs::read_to_string(path).unwrap_or_default();
    assert!(stored == page, "docs/sql/functions.md is not up to date: run the test with UPDATE_DOCS=1");
}
