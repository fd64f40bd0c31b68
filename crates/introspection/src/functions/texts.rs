//! Functions of texts and numbers.

use super::{Function, Returns, Takes, function, int, text};
use crate::{Error, Value};
use Takes::{Any, Int, Text};
use eddyline_keywords::quoted_name;
use regex::Regex;

pub(super) const FUNCTIONS: &[Function] = &[
    function("lower", &[Text], Returns::Text, |a| Ok(text(a, 0).to_lowercase().into())),
    function("upper", &[Text], Returns::Text, |a| Ok(text(a, 0).to_uppercase().into())),
    function("initcap", &[Text], Returns::Text, |a| Ok(capitals(text(a, 0)).into())),
    function("length", &[Text], Returns::Int4, length),
    function("char_length", &[Text], Returns::Int4, length),
    function("octet_length", &[Text], Returns::Int4, |a| Ok((text(a, 0).len() as i64).into())),
    Function { least: 2, ..function("substring", &[Text, Int, Int], Returns::Text, substring) },
    Function { least: 2, ..function("substr", &[Text, Int, Int], Returns::Text, substring) },
    function("left", &[Text, Int], Returns::Text, |a| Ok(ends(text(a, 0), int(a, 1), true).into())),
    function("right", &[Text, Int], Returns::Text, |a| Ok(ends(text(a, 0), int(a, 1), false).into())),
    function("replace", &[Text, Text, Text], Returns::Text, |a| Ok(text(a, 0).replace(text(a, 1), text(a, 2)).into())),
    function("reverse", &[Text], Returns::Text, |a| Ok(text(a, 0).chars().rev().collect::<String>().into())),
    function("repeat", &[Text, Int], Returns::Text, repeat),
    function("strpos", &[Text, Text], Returns::Int4, strpos),
    function("starts_with", &[Text, Text], Returns::Bool, |a| Ok(text(a, 0).starts_with(text(a, 1)).into())),
    function("split_part", &[Text, Text, Int], Returns::Text, split_part),
    Function { least: 1, ..function("btrim", &[Text, Text], Returns::Text, |a| Ok(trimmed(a, true, true))) },
    Function { least: 1, ..function("ltrim", &[Text, Text], Returns::Text, |a| Ok(trimmed(a, true, false))) },
    Function { least: 1, ..function("rtrim", &[Text, Text], Returns::Text, |a| Ok(trimmed(a, false, true))) },
    Function { least: 1, most: usize::MAX, strict: false, ..function("concat", &[Text], Returns::Text, concat) },
    Function { least: 2, most: usize::MAX, strict: false, ..function("concat_ws", &[Text], Returns::Text, concat_ws) },
    Function { least: 1, most: usize::MAX, strict: false, ..function("format", &[Text], Returns::Text, format) },
    function("quote_ident", &[Text], Returns::Text, |a| Ok(quoted_name(text(a, 0)).into_owned().into())),
    function("quote_literal", &[Text], Returns::Text, |a| Ok(quoted(text(a, 0)).into())),
    Function { least: 1, ..function("parse_ident", &[Text, Any], Returns::Texts, parse_ident) },
    Function { least: 3, ..function("regexp_replace", &[Text, Text, Text, Text], Returns::Text, regexp_replace) },
    function("nullif", &[Any, Any], Returns::First, |a| Ok(if a[0] == a[1] { Value::Null } else { a[0].clone() })),
    Function { least: 1, most: usize::MAX, strict: false, ..function("greatest", &[Any], Returns::First, greatest) },
    Function { least: 1, most: usize::MAX, strict: false, ..function("least", &[Any], Returns::First, least) },
    function("abs", &[Int], Returns::Int8, |a| Ok(int(a, 0).saturating_abs().into())),
    function("mod", &[Int, Int], Returns::Int8, remainder),
];

fn length(a: &[Value]) -> Result<Value, Error> {
    Ok((text(a, 0).chars().count() as i64).into())
}

/// Places count from 1; those before it are there, and empty.
fn substring(a: &[Value]) -> Result<Value, Error> {
    let begin = int(a, 1);
    let end = match a.get(2) {
        Some(length) if length.as_int().is_some_and(|length| length < 0) => {
            return Err(Error::new("22011", "negative substring length not allowed"));
        }
        Some(length) => begin.saturating_add(length.as_int().unwrap_or_default()),
        None => i64::MAX,
    };
    let kept = text(a, 0).chars().zip(1_i64..).filter(|(_, at)| (begin..end).contains(at));
    Ok(kept.map(|(c, _)| c).collect::<String>().into())
}

/// So many characters from one end; a negative number leaves so many out at the other.
fn ends(text: &str, count: i64, first: bool) -> String {
    let chars: Vec<char> = text.chars().collect();
    let length = chars.len() as i64;
    let kept = if count < 0 { (length + count).max(0) } else { count.min(length) } as usize;
    if first { chars[..kept].iter().collect() } else { chars[chars.len() - kept..].iter().collect() }
}

fn repeat(a: &[Value]) -> Result<Value, Error> {
    const BYTES_MAX: usize = 1 << 20;
    let count = usize::try_from(int(a, 1)).unwrap_or_default();
    match text(a, 0).len().checked_mul(count) {
        Some(bytes) if bytes <= BYTES_MAX => Ok(text(a, 0).repeat(count).into()),
        _ => Err(Error::new("54000", format!("a text of more than {BYTES_MAX} bytes"))),
    }
}

fn strpos(a: &[Value]) -> Result<Value, Error> {
    let found = text(a, 0).find(text(a, 1)).map(|at| text(a, 0)[..at].chars().count() as i64 + 1);
    Ok(found.unwrap_or(0).into())
}

fn split_part(a: &[Value]) -> Result<Value, Error> {
    let parts: Vec<&str> = text(a, 0).split(text(a, 1)).collect();
    let at = match int(a, 2) {
        0 => return Err(Error::new("22023", "field position must not be zero")),
        n if n < 0 => parts.len() as i64 + n,
        n => n - 1,
    };
    let part = usize::try_from(at).ok().and_then(|at| parts.get(at)).copied();
    Ok(part.unwrap_or_default().into())
}

fn trimmed(a: &[Value], left: bool, right: bool) -> Value {
    let (mut rest, what) = (text(a, 0), a.get(1).and_then(Value::as_text).unwrap_or(" "));
    if left {
        rest = rest.trim_start_matches(|c| what.contains(c));
    }
    if right {
        rest = rest.trim_end_matches(|c| what.contains(c));
    }
    rest.into()
}

fn concat(a: &[Value]) -> Result<Value, Error> {
    Ok(a.iter().filter_map(Value::as_text).collect::<String>().into())
}

fn concat_ws(a: &[Value]) -> Result<Value, Error> {
    let Some(between) = a[0].as_text() else { return Ok(Value::Null) };
    Ok(a[1..].iter().filter_map(Value::as_text).collect::<Vec<_>>().join(between).into())
}

/// `%s`, `%I`, `%L`, `%%`.
fn format(a: &[Value]) -> Result<Value, Error> {
    let Some(pattern) = a[0].as_text() else { return Ok(Value::Null) };
    let (mut out, mut rest, mut chars) = (String::new(), a[1..].iter(), pattern.chars());
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let kind = chars.next();
        if kind == Some('%') {
            out.push('%');
            continue;
        }
        let value = rest.next().ok_or_else(|| Error::new("22023", "too few arguments for format()"))?;
        match (kind, value.as_text()) {
            (Some('s'), text) => out.push_str(text.unwrap_or_default()),
            (Some('I'), Some(text)) => out.push_str(&quoted_name(text)),
            (Some('I'), None) => {
                return Err(Error::new("22004", "null values cannot be formatted as an SQL identifier"));
            }
            (Some('L'), text) => out.push_str(&text.map_or_else(|| "NULL".to_owned(), quoted)),
            _ => return Err(Error::new("22023", "unrecognized format() type specifier")),
        }
    }
    Ok(out.into())
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The parts of `a.b."C"`.
fn parse_ident(a: &[Value]) -> Result<Value, Error> {
    let (mut parts, mut part, mut chars, mut within) =
        (Vec::new(), String::new(), text(a, 0).chars().peekable(), false);
    while let Some(c) = chars.next() {
        match c {
            '"' if within && chars.next_if_eq(&'"').is_some() => part.push('"'),
            '"' => within = !within,
            '.' if !within => parts.push(Value::from(std::mem::take(&mut part))),
            c if within => part.push(c),
            c => part.extend(c.to_lowercase()),
        }
    }
    parts.push(part.into());
    Ok(Value::list(parts))
}

fn regexp_replace(a: &[Value]) -> Result<Value, Error> {
    let flags = text(a, 3);
    let pattern = if flags.contains('i') { format!("(?i){}", text(a, 1)) } else { text(a, 1).to_owned() };
    let regex = Regex::new(&pattern).map_err(|e| Error::new("2201B", format!("invalid regular expression: {e}")))?;
    // `\1` of Postgres is `${1}` here.
    let mut to = String::new();
    let mut chars = text(a, 2).chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(digit) if digit.is_ascii_digit() => to.push_str(&format!("${{{digit}}}")),
                Some('&') => to.push_str("${0}"),
                Some(other) => to.push(other),
                None => {}
            },
            '$' => to.push_str("$$"),
            c => to.push(c),
        }
    }
    let done = if flags.contains('g') { regex.replace_all(text(a, 0), &to) } else { regex.replace(text(a, 0), &to) };
    Ok(done.into_owned().into())
}

fn greatest(a: &[Value]) -> Result<Value, Error> {
    Ok(a.iter().filter(|value| !value.is_null()).max().cloned().unwrap_or(Value::Null))
}

fn least(a: &[Value]) -> Result<Value, Error> {
    Ok(a.iter().filter(|value| !value.is_null()).min().cloned().unwrap_or(Value::Null))
}

fn remainder(a: &[Value]) -> Result<Value, Error> {
    int(a, 0).checked_rem(int(a, 1)).map(Value::from).ok_or_else(|| Error::new("22012", "division by zero"))
}

fn capitals(text: &str) -> String {
    let mut before = ' ';
    let letter = |c: char| {
        let begins = !before.is_alphanumeric();
        before = c;
        if begins { c.to_uppercase().collect::<String>() } else { c.to_lowercase().collect() }
    };
    text.chars().map(letter).collect()
}

/// Words of this engine that Postgres does not have.
pub(crate) const OWN_KEYWORDS: &[&str] =
    &["changelog", "checkpoints", "connectors", "descriptor", "hop", "jobs", "savepoints", "tumble", "watermark"];
