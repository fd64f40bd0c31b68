//! Texts, and JSONB, as values: what `'…'::type` reads, as PostgreSQL reads it, with its codes where a text is none.

use super::super::Zone;
use super::super::calendar::{DAY_SECONDS, Date, checked_days_of};
use super::clock_text::{DAYS, MONTHS};
use super::{INVALID_PARAMETER, INVALID_TEXT, INVALID_TIME, OUT_OF_RANGE, TIME_OUT_OF_RANGE, fail, read_interval};
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array,
    IntervalMonthDayNanoArray, LargeStringArray, ListArray, StringArray, Time64MicrosecondArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use std::sync::Arc;

/// The function that reads texts as values of a type, in the session's time zone; `None`: there is nothing of its own about it.
pub fn read_text(to: &DataType, zone: Zone) -> Option<ScalarUDF> {
    let is_read = match to {
        DataType::LargeUtf8 => true,
        DataType::List(item) => *item.data_type() == DataType::Utf8 || read_text(item.data_type(), zone).is_some(),
        DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::Float32 | DataType::Float64 => true,
        DataType::Boolean | DataType::Decimal128(..) | DataType::Binary | DataType::Date32 => true,
        DataType::Time32(_) | DataType::Time64(_) | DataType::Timestamp(..) => true,
        DataType::Interval(unit) => *unit == IntervalUnit::MonthDayNano,
        _ => false,
    };
    is_read.then(|| reader(to, zone, &DataType::Utf8))
}

/// The function that makes numbers and booleans of JSONB; `None`: other types are not made of it.
pub fn jsonb_as(to: &DataType) -> Option<ScalarUDF> {
    let is_made = to.is_numeric() || *to == DataType::Boolean;
    is_made.then(|| reader(to, Zone::utc(), &DataType::LargeUtf8))
}

fn reader(to: &DataType, zone: Zone, from: &DataType) -> ScalarUDF {
    let signature = Signature::exact(vec![from.clone()], Volatility::Immutable);
    ScalarUDF::from(ReadText { to: to.clone(), zone, signature })
}

/// The texts of JSON values of one type, those of whole numbers as such: `2.5` is 3.
fn of_jsonb(values: &LargeStringArray, to: &DataType) -> Result<StringArray> {
    let (wanted, name) = match to {
        DataType::Boolean => ("boolean", "boolean"),
        DataType::Int16 => ("numeric", "smallint"),
        DataType::Int32 => ("numeric", "integer"),
        DataType::Int64 => ("numeric", "bigint"),
        DataType::Decimal128(..) => ("numeric", "numeric"),
        _ => ("numeric", "double precision"),
    };
    let text = |json: &str| {
        let kind = match json.as_bytes().first() {
            Some(b'"') => "string",
            Some(b'{') => "object",
            Some(b'[') => "array",
            Some(b't' | b'f') => "boolean",
            Some(b'n') => "null",
            _ => "numeric",
        };
        match kind == wanted {
            false => fail(INVALID_PARAMETER, format!("cannot cast jsonb {kind} to type {name}")),
            true if to.is_integer() => decimal(json, 38, 0).map(|whole| whole.to_string()),
            true => Ok(json.to_owned()),
        }
    };
    values.iter().map(|json| json.map(text).transpose()).collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ReadText {
    to: DataType,
    zone: Zone,
    signature: Signature,
}

impl ScalarUDFImpl for ReadText {
    fn name(&self) -> &str {
        "read_text"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.to.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let column = args.args[0].to_array(if is_constant { 1 } else { args.number_rows })?;
        let read = match column.data_type() {
            DataType::LargeUtf8 => read(&of_jsonb(column.as_string::<i64>(), &self.to)?, &self.to, self.zone)?,
            _ => read(column.as_string::<i32>(), &self.to, self.zone)?,
        };
        Ok(if is_constant {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&read, 0)?)
        } else {
            ColumnarValue::Array(read)
        })
    }
}

/// A column of values out of texts.
pub(super) fn read(texts: &StringArray, to: &DataType, zone: Zone) -> Result<ArrayRef> {
    let micros = TimeUnit::Microsecond;
    Ok(match to {
        DataType::Utf8 => Arc::new(texts.clone()),
        DataType::LargeUtf8 => super::jsonb::read_jsonb(texts)?,
        DataType::Int16 | DataType::Int32 | DataType::Int64 => {
            cast(&(Arc::new(each::<Int64Array, i64>(texts, |text| integer(text, to))?) as ArrayRef), to)?
        }
        DataType::Float32 | DataType::Float64 => {
            cast(&(Arc::new(each::<Float64Array, f64>(texts, |text| float(text, to))?) as ArrayRef), to)?
        }
        DataType::Boolean => Arc::new(each::<BooleanArray, bool>(texts, boolean)?),
        DataType::Decimal128(precision, scale) => {
            let values = each::<Decimal128Array, i128>(texts, |text| decimal(text, *precision, *scale))?;
            Arc::new(values.with_precision_and_scale(*precision, *scale)?)
        }
        DataType::Binary => {
            let mut out = BinaryBuilder::new();
            for text in texts {
                match text {
                    Some(text) => out.append_value(bytes(text)?),
                    None => out.append_null(),
                }
            }
            Arc::new(out.finish())
        }
        DataType::Date32 => Arc::new(each::<Date32Array, i32>(texts, date)?),
        DataType::Time32(_) | DataType::Time64(_) => {
            cast(&(Arc::new(each::<Time64MicrosecondArray, i64>(texts, clock)?) as ArrayRef), to)?
        }
        DataType::Timestamp(unit, has_zone) => {
            let zone = has_zone.is_some().then_some(zone);
            let values = each::<TimestampMicrosecondArray, i64>(texts, |text| timestamp(text, zone, *unit))?;
            cast(&cast(&(Arc::new(values) as ArrayRef), &DataType::Timestamp(micros, has_zone.clone()))?, to)?
        }
        DataType::Interval(_) => Arc::new(each::<IntervalMonthDayNanoArray, _>(texts, read_interval::read)?),
        DataType::List(item) => {
            let (mut items, mut lengths) = (Vec::new(), Vec::with_capacity(texts.len()));
            for text in texts {
                let parts = text.map(elements).transpose()?.unwrap_or_default();
                lengths.push(parts.len());
                items.extend(parts);
            }
            let values = read(&items.into_iter().collect(), item.data_type(), zone)?;
            let nulls: Option<NullBuffer> = texts.nulls().cloned();
            Arc::new(ListArray::try_new(item.clone(), OffsetBuffer::from_lengths(lengths), values, nulls)?)
        }
        other => return fail("0A000", format!("texts are not read as {other}")),
    })
}

fn each<A: FromIterator<Option<T>>, T>(texts: &StringArray, of: impl Fn(&str) -> Result<T>) -> Result<A> {
    texts.iter().map(|text| text.map(&of).transpose()).collect()
}

fn wrong<T>(name: &str, text: &str) -> Result<T> {
    fail(INVALID_TEXT, format!("invalid input syntax for type {name}: \"{text}\""))
}

fn integer(text: &str, to: &DataType) -> Result<i64> {
    let (name, min, max) = match to {
        DataType::Int16 => ("smallint", i64::from(i16::MIN), i64::from(i16::MAX)),
        DataType::Int32 => ("integer", i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => ("bigint", i64::MIN, i64::MAX),
    };
    let digits = text.trim().trim_start_matches(['-', '+']);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return wrong(name, text);
    }
    match text.trim().parse::<i64>() {
        Ok(value) if (min..=max).contains(&value) => Ok(value),
        Err(_) if text.trim().len() > digits.len() + 1 => wrong(name, text),
        _ => fail(OUT_OF_RANGE, format!("value \"{}\" is out of range for type {name}", text.trim())),
    }
}

fn float(text: &str, to: &DataType) -> Result<f64> {
    let name = if *to == DataType::Float32 { "real" } else { "double precision" };
    let Ok(value) = text.trim().parse::<f64>() else { return wrong(name, text) };
    let is_said = text.to_ascii_lowercase().contains("inf");
    match (value.is_infinite() || *to == DataType::Float32 && (value as f32).is_infinite()) && !is_said {
        true => fail(OUT_OF_RANGE, format!("\"{}\" is out of range for type {name}", text.trim())),
        false => Ok(value),
    }
}

fn boolean(text: &str) -> Result<bool> {
    let word = text.trim().to_ascii_lowercase();
    let is_part = |full: &str, least: usize| word.len() >= least && full.starts_with(&word);
    match word.as_str() {
        "1" => Ok(true),
        "0" => Ok(false),
        _ if is_part("true", 1) || is_part("yes", 1) || is_part("on", 2) => Ok(true),
        _ if is_part("false", 1) || is_part("no", 1) || is_part("off", 2) => Ok(false),
        _ => wrong("boolean", text),
    }
}

/// A number as one of so many digits; what is behind these is rounded, halves away from 0.
fn decimal(text: &str, precision: u8, scale: i8) -> Result<i128> {
    let too_large = || fail(OUT_OF_RANGE, "numeric field overflow");
    let plain = text.trim();
    let (is_negative, plain) = match plain.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, plain.strip_prefix('+').unwrap_or(plain)),
    };
    let (mantissa, exponent) = plain.split_once(['e', 'E']).unwrap_or((plain, "0"));
    let (whole, behind) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let are_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let Ok(exponent) = exponent.parse::<i32>() else { return wrong("numeric", text) };
    if !are_digits(whole) || !are_digits(behind) || whole.is_empty() && behind.is_empty() {
        return wrong("numeric", text);
    }
    let digits: Vec<u8> = whole.bytes().chain(behind.bytes()).map(|b| b - b'0').collect();
    let kept = whole.len() as i64 + i64::from(exponent) + i64::from(scale);
    let mut value: i128 = 0;
    for at in 0..kept.clamp(0, 400) as usize {
        let digit = i128::from(digits.get(at).copied().unwrap_or(0));
        match value.checked_mul(10).and_then(|value| value.checked_add(digit)) {
            Some(next) => value = next,
            None => return too_large(),
        }
    }
    if usize::try_from(kept).ok().and_then(|kept| digits.get(kept)).is_some_and(|next| *next >= 5) {
        value += 1;
    }
    let fits = 10i128.checked_pow(u32::from(precision)).is_none_or(|end| value < end);
    if !fits {
        return too_large();
    }
    Ok(if is_negative { -value } else { value })
}

fn bytes(text: &str) -> Result<Vec<u8>> {
    match text.strip_prefix("\\x") {
        Some(digits) => super::strings::decoded(digits, "hex"),
        None => super::strings::decoded(text, "escape"),
    }
}

/// The elements of an array that is written as `{a,"b c",NULL}`.
fn elements(text: &str) -> Result<Vec<Option<String>>> {
    let malformed = || fail(INVALID_TEXT, format!("malformed array literal: \"{text}\""));
    let inside = text.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let Some(inside) = inside else { return malformed() };
    if inside.trim().is_empty() {
        return Ok(Vec::new());
    }
    let (mut found, mut chars) = (Vec::new(), inside.chars().peekable());
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let (mut item, mut is_quoted, mut depth) = (String::new(), false, 0);
        if chars.next_if_eq(&'"').is_some() {
            is_quoted = true;
            loop {
                match chars.next() {
                    Some('"') => break,
                    Some('\\') => item.extend(chars.next()),
                    Some(c) => item.push(c),
                    None => return malformed(),
                }
            }
            while chars.next_if(|c| c.is_whitespace()).is_some() {}
        } else {
            // An array in an array stays as it is, for whoever reads the elements.
            while let Some(c) = chars.next_if(|c| depth > 0 || *c != ',') {
                depth += i32::from(c == '{') - i32::from(c == '}');
                item.push(c);
            }
            item.truncate(item.trim_end().len());
        }
        if item.is_empty() && !is_quoted {
            return malformed();
        }
        found.push((is_quoted || !item.eq_ignore_ascii_case("null")).then_some(item));
        match chars.next() {
            Some(',') => {}
            None => return Ok(found),
            Some(_) => return malformed(),
        }
    }
}

/// What a text says of a time.
#[derive(Default)]
struct Said {
    days: Option<i64>,
    micros: Option<i64>,
    /// Seconds that the clocks are ahead of UTC, or a zone by its name.
    ahead: Option<i64>,
    zone: Option<Zone>,
}

fn date(text: &str) -> Result<i32> {
    let said = said(text, "date")?;
    said.days.and_then(|days| i32::try_from(days).ok()).map_or_else(|| unread("date", text), Ok)
}

fn clock(text: &str) -> Result<i64> {
    said(text, "time")?.micros.map_or_else(|| unread("time", text), Ok)
}

/// Microseconds, rounded to the unit.
fn timestamp(text: &str, zone: Option<Zone>, unit: TimeUnit) -> Result<i64> {
    let name = if zone.is_some() { "timestamp with time zone" } else { "timestamp" };
    let said = said(text, name)?;
    let Some(days) = said.days else { return unread(name, text) };
    let micros = said.micros.unwrap_or(0);
    let (local, micros) = (days * DAY_SECONDS + micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let seconds = match (zone, said.ahead, said.zone) {
        (None, ..) => local,
        (_, Some(ahead), _) => local - ahead,
        (Some(session), None, said) => said.unwrap_or(session).instant_seconds(local),
    };
    let all = seconds * 1_000_000 + micros;
    Ok(match unit {
        TimeUnit::Second => (all + 500_000).div_euclid(1_000_000) * 1_000_000,
        TimeUnit::Millisecond => (all + 500).div_euclid(1_000) * 1_000,
        _ => all,
    })
}

fn unread<T>(name: &str, text: &str) -> Result<T> {
    fail(INVALID_TIME, format!("invalid input syntax for type {name}: \"{text}\""))
}

fn said(text: &str, name: &str) -> Result<Said> {
    let out_of_range = || fail(TIME_OUT_OF_RANGE, format!("date/time field value out of range: \"{text}\""));
    let mut said = Said::default();
    let (mut numbers, mut month, mut afternoon) = (Vec::new(), None, None);
    if text.trim().eq_ignore_ascii_case("epoch") {
        return Ok(Said { days: Some(0), micros: Some(0), ahead: Some(0), zone: None });
    }
    let spaced = separated(text);
    for token in spaced.split([' ', ',', '\t']).filter(|token| !token.is_empty()) {
        let word = token.to_ascii_lowercase();
        if token.contains(':') && token.starts_with(|c: char| c.is_ascii_digit()) {
            let (clock, zone) = token.split_at(token.find(['+', '-', 'Z', 'z']).unwrap_or(token.len()));
            let (clock, half) = match clock.to_ascii_lowercase() {
                clock if clock.ends_with("am") => (clock[..clock.len() - 2].to_owned(), Some(false)),
                clock if clock.ends_with("pm") => (clock[..clock.len() - 2].to_owned(), Some(true)),
                clock => (clock, None),
            };
            afternoon = afternoon.or(half);
            let Some(micros) = micros_of(&clock) else { return unread(name, text) };
            let Some(micros) = micros else { return out_of_range() };
            said.micros = Some(micros);
            if !zone.is_empty() {
                said.ahead = Some(offset(zone).map_or_else(|| unread(name, text), Ok)?);
            }
        } else if token.starts_with(['+', '-']) {
            said.ahead = Some(offset(token).map_or_else(|| unread(name, text), Ok)?);
        } else if let Some(date) = plain_date(token) {
            let Some(days) = checked_days_of(date) else { return out_of_range() };
            said.days = Some(days);
        } else if token.bytes().all(|b| b.is_ascii_digit()) {
            numbers.push((token.len(), token.parse::<i64>().unwrap_or(0)));
        } else if matches!(word.as_str(), "am" | "pm") {
            afternoon = Some(word == "pm");
        } else if let Some(at) = name_at(&MONTHS, &word) {
            month = Some(at as i64 + 1);
        } else if name_at(&DAYS, &word).is_none() {
            match Zone::parse(if word == "z" || word == "utc" || word == "gmt" { "UTC" } else { token }) {
                Ok(zone) => said.zone = Some(zone),
                Err(_) => return unread(name, text),
            }
        }
    }
    if let (Some(month), [(_, one), (_, other)]) = (month, numbers.as_slice()) {
        // The year is the one that cannot be a day.
        let (day, year) = if *one > 31 || numbers[0].0 > 2 { (*other, *one) } else { (*one, *other) };
        let Some(days) = checked_days_of(Date { year, month, day }) else { return out_of_range() };
        said.days = Some(days);
    } else if !numbers.is_empty() || month.is_some() {
        return unread(name, text);
    }
    if let (Some(is_afternoon), Some(micros)) = (afternoon, &mut said.micros) {
        let half = 12 * 3_600_000_000;
        *micros = *micros % half + if is_afternoon { half } else { 0 };
    }
    if said.days.is_none() && said.micros.is_none() {
        return unread(name, text);
    }
    Ok(said)
}

/// With a blank for the `T` between a date and a time.
fn separated(text: &str) -> String {
    let bytes = text.as_bytes();
    let is_between = |at: usize| {
        matches!(bytes[at], b'T' | b't')
            && at > 0
            && bytes[at - 1].is_ascii_digit()
            && bytes.get(at + 1).is_some_and(u8::is_ascii_digit)
    };
    text.char_indices().map(|(at, c)| if c.is_ascii() && is_between(at) { ' ' } else { c }).collect()
}

fn name_at(names: &[&str], word: &str) -> Option<usize> {
    let word = word.trim_end_matches('.');
    names.iter().position(|name| {
        word.len() >= 3 && name.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word))
    })
}

/// `2024-03-05`, `20240305`, `3/5/2024`.
fn plain_date(token: &str) -> Option<Date> {
    let number = |text: &str| {
        (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
    };
    if token.len() == 8 && token.bytes().all(|b| b.is_ascii_digit()) {
        return Some(Date { year: number(&token[..4])?, month: number(&token[4..6])?, day: number(&token[6..])? });
    }
    let separator = ['-', '/', '.'].into_iter().find(|separator| token.contains(*separator))?;
    let parts: Vec<&str> = token.split(separator).collect();
    let [first, second, third] = parts.as_slice() else { return None };
    if let (Some(day), Some(month), Some(year)) =
        (number(first), name_at(&MONTHS, &second.to_ascii_lowercase()), number(third))
    {
        return Some(Date { year, month: month as i64 + 1, day });
    }
    match first.len() > 2 {
        true => Some(Date { year: number(first)?, month: number(second)?, day: number(third)? }),
        false if separator != '-' => Some(Date { year: number(third)?, month: number(first)?, day: number(second)? }),
        false => None,
    }
}

/// `None`: no time of day; `None` inside: there is none such.
fn micros_of(clock: &str) -> Option<Option<i64>> {
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut parts = whole.split(':').map(|part| (!part.is_empty()).then(|| part.parse::<i64>().ok()).flatten());
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = match parts.next() {
        None => 0,
        Some(second) => second?,
    };
    if parts.next().is_some() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits = format!("{fraction:0<7}");
    let sevenths: i64 = digits.get(..7)?.parse().ok()?;
    let fits = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..=60).contains(&second)
        || (hour, minute, second, sevenths) == (24, 0, 0, 0);
    Some(fits.then(|| ((hour * 60 + minute) * 60 + second) * 1_000_000 + (sevenths + 5) / 10))
}

/// `+02`, `-05:30`, `+0530`, `Z`, in seconds.
fn offset(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, digits) = text.split_at_checked(1)?;
    let sign = if sign == "-" { -1 } else { 1 };
    let parts: Vec<&str> = digits.split(':').collect();
    let parts = match parts.as_slice() {
        [both] if both.len() == 4 => vec![&both[..2], &both[2..]],
        parts => parts.to_vec(),
    };
    let mut seconds = 0;
    for (part, unit) in parts.iter().zip([3600, 60, 1]) {
        seconds += part.parse::<i64>().ok().filter(|n| (0..60).contains(n))? * unit;
    }
    Some(sign * seconds)
}
