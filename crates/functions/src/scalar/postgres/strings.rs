//! Strings.

use super::super::call::{Call, Definition, Kind, Type, numbers, texts};
use super::{INVALID_PARAMETER, fail, function};
use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, ListBuilder, StringBuilder};
use arrow::datatypes::Int32Type;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use datafusion_common::Result;
use eddyline_keywords::quoted_name;
use std::fmt::Write;
use std::sync::Arc;

use Kind::{AsText, Bytes, Int, Text};

pub(super) const FUNCTIONS: &[Definition] = &[
    function(
        "substr",
        &[&[Text, Int], &[Text, Int, Int]],
        Type::Text,
        substring,
        (
            "SUBSTR(text, start [, length]), SUBSTRING(text FROM start [FOR length])",
            "STRING",
            "The characters from number `start` on, counted from 1 also where it is less. An error if the length is negative.",
        ),
        ("SUBSTR('stream', 0, 3)", "st"),
    ),
    function(
        "substring",
        &[&[Text, Int], &[Text, Int, Int]],
        Type::Text,
        substring,
        ("SUBSTRING(text, start [, length])", "STRING", "As SUBSTR."),
        ("SUBSTRING('stream', 2, 3)", "tre"),
    ),
    function(
        "left",
        &[&[Text, Int]],
        Type::Text,
        |call| part(call, |length, count| 0..if count < 0 { length + count } else { count }),
        ("LEFT(text, count)", "STRING", "The first characters; all but so many at the end if the count is negative."),
        ("LEFT('stream', -2)", "stre"),
    ),
    function(
        "right",
        &[&[Text, Int]],
        Type::Text,
        |call| part(call, |length, count| if count < 0 { -count..length } else { length - count..length }),
        (
            "RIGHT(text, count)",
            "STRING",
            "The last characters; all but so many at the beginning if the count is negative.",
        ),
        ("RIGHT('stream', -2)", "ream"),
    ),
    function(
        "lpad",
        &[&[Text, Int], &[Text, Int, Text]],
        Type::Text,
        |call| padded(call, true),
        ("LPAD(text, length [, pad])", "STRING", "The text filled up at the front, or cut at the end, to a length."),
        ("LPAD('7', 3, '0')", "007"),
    ),
    function(
        "rpad",
        &[&[Text, Int], &[Text, Int, Text]],
        Type::Text,
        |call| padded(call, false),
        ("RPAD(text, length [, pad])", "STRING", "The text filled up or cut at the end, to a length."),
        ("RPAD('a', 3, '-')", "a--"),
    ),
    function(
        "split_part",
        &[&[Text, Text, Int]],
        Type::Text,
        split_part,
        (
            "SPLIT_PART(text, delimiter, n)",
            "STRING",
            "The part number `n` between delimiters, from the end if it is negative; empty if there are fewer. An error for 0.",
        ),
        ("SPLIT_PART('a,b,c', ',', -1)", "c"),
    ),
    function(
        "chr",
        &[&[Int]],
        Type::Text,
        chr,
        ("CHR(code)", "STRING", "The character of a code of Unicode. An error for 0 and for what is none."),
        ("CHR(228)", "ä"),
    ),
    function(
        "ascii",
        &[&[Text]],
        Type::Int,
        |call| {
            let text = call.text(0);
            numbers::<Int32Type>(call.rows, |row| Ok(text.at(row).map(|t| t.chars().next().map_or(0, |c| c as i32))))
        },
        ("ASCII(text)", "INT", "The code of the first character in Unicode; 0 for an empty text."),
        ("ASCII('ä')", "228"),
    ),
    function(
        "repeat",
        &[&[Text, Int]],
        Type::Text,
        repeat,
        ("REPEAT(text, count)", "STRING", "The text so many times."),
        ("REPEAT('ab', 2)", "abab"),
    ),
    function(
        "initcap",
        &[&[Text]],
        Type::Text,
        initcap,
        (
            "INITCAP(text)",
            "STRING",
            "Every word with a capital at its beginning, and small letters behind it; words are of letters and digits.",
        ),
        ("INITCAP('hello wORLD')", "Hello World"),
    ),
    function(
        "quote_ident",
        &[&[Text]],
        Type::Text,
        |call| each(call, |name, out| out.write_str(&quoted_name(name))),
        ("QUOTE_IDENT(text)", "STRING", "The text as a name in SQL, with quotes where it needs them."),
        ("QUOTE_IDENT('a b')", "\"a b\""),
    ),
    function(
        "quote_literal",
        &[&[AsText]],
        Type::Text,
        |call| each(call, literal),
        ("QUOTE_LITERAL(value)", "STRING", "The value as a literal in SQL."),
        ("QUOTE_LITERAL('it''s')", "'it''s'"),
    ),
    function(
        "quote_nullable",
        &[&[AsText]],
        Type::Text,
        |call| {
            let text = call.text(0);
            texts(call.rows, |row, out| match text.at(row) {
                Some(text) => Ok(literal(text, out).is_ok()),
                None => Ok(out.write_str("NULL").is_ok()),
            })
        },
        ("QUOTE_NULLABLE(value)", "STRING", "The value as a literal in SQL; `NULL` for NULL."),
        ("QUOTE_NULLABLE(NULL)", "NULL"),
    ),
    Definition {
        variadic: true,
        ..function(
            "format",
            &[&[Text], &[Text, AsText]],
            Type::Text,
            format,
            (
                "FORMAT(format, value, …)",
                "STRING",
                "The format with its %s, %I (as a name), %L (as a literal), %n$s and %% replaced by values; `%-10s` is filled up.",
            ),
            ("FORMAT('%s is %L', 'x', 'it''s')", "x is 'it''s'"),
        )
    },
    function(
        "encode",
        &[&[Bytes, Text]],
        Type::Text,
        encode,
        ("ENCODE(bytes, form)", "STRING", "The bytes in `hex`, `base64` or `escape`."),
        ("ENCODE(X'00ff', 'hex')", "00ff"),
    ),
    function(
        "decode",
        &[&[Text, Text]],
        Type::Bytes,
        decode,
        ("DECODE(text, form)", "BYTES", "The bytes that a text in `hex`, `base64` or `escape` says."),
        ("DECODE('616263', 'hex')", "abc"),
    ),
    function(
        "to_hex",
        &[&[Int]],
        Type::Text,
        to_hex,
        ("TO_HEX(number)", "STRING", "The number in hexadecimal, negative ones as 32 or 64 bits."),
        ("TO_HEX(255)", "ff"),
    ),
    Definition {
        returns: super::super::call::Returns::From(|_| Ok(super::texts_type())),
        ..function(
            "string_to_array",
            &[&[Text, Text], &[Text, Text, Text]],
            Type::Text,
            string_to_array,
            (
                "STRING_TO_ARRAY(text, delimiter [, null])",
                "ARRAY<STRING>",
                "The parts between delimiters, those that equal `null` as NULLs; the characters where the delimiter is NULL, the text itself where it is empty.",
            ),
            ("STRING_TO_ARRAY('a,b', ',')", "[a, b]"),
        )
    },
    function(
        "array_to_string",
        &[&[Kind::List, Text], &[Kind::List, Text, Text]],
        Type::Text,
        array_to_string,
        (
            "ARRAY_TO_STRING(array, delimiter [, null])",
            "STRING",
            "The elements with the delimiter between them; NULLs as `null`, or left out.",
        ),
        ("ARRAY_TO_STRING(ARRAY[1, NULL, 3], ',', '*')", "1,*,3"),
    ),
];

/// From a text at once, by row.
fn each(call: &Call, write: fn(&str, &mut StringBuilder) -> std::fmt::Result) -> Result<ArrayRef> {
    let text = call.text(0);
    texts(call.rows, |row, out| Ok(text.at(row).is_some_and(|text| write(text, out).is_ok())))
}

/// The characters number `from` to `to` of a text, from 0; what is outside is not there.
pub(super) fn characters(text: &str, from: i64, to: i64) -> &str {
    if from >= to || to <= 0 {
        return "";
    }
    let (from, to) = (usize::try_from(from).unwrap_or(0), usize::try_from(to).unwrap_or(usize::MAX));
    if text.is_ascii() {
        return text.get(from.min(text.len())..to.min(text.len())).unwrap_or_default();
    }
    let mut starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    let begin = starts.nth(from).unwrap_or(text.len());
    let end = starts.nth(to - from - 1).unwrap_or(text.len());
    &text[begin..end]
}

fn substring(call: &Call) -> Result<ArrayRef> {
    let (text, start) = (call.text(0), call.int(1));
    let length = (call.len() > 2).then(|| call.int(2));
    texts(call.rows, |row, out| {
        let (Some(text), Some(start)) = (text.at(row), start.at(row)) else { return Ok(false) };
        let end = match &length {
            None => i64::MAX,
            Some(length) => match length.at(row) {
                None => return Ok(false),
                Some(length) if length < 0 => return fail("22011", "negative substring length not allowed"),
                Some(length) => start.saturating_add(length) - 1,
            },
        };
        Ok(out.write_str(characters(text, start.saturating_sub(1), end)).is_ok())
    })
}

fn part(call: &Call, range: fn(i64, i64) -> std::ops::Range<i64>) -> Result<ArrayRef> {
    let (text, count) = (call.text(0), call.int(1));
    texts(call.rows, |row, out| {
        let (Some(text), Some(count)) = (text.at(row), count.at(row)) else { return Ok(false) };
        let range = range(text.chars().count() as i64, count.max(-i64::from(i32::MAX)));
        Ok(out.write_str(characters(text, range.start, range.end)).is_ok())
    })
}

/// Longer texts are not made.
const BYTES_MAX: usize = 1 << 24;

fn padded(call: &Call, at_front: bool) -> Result<ArrayRef> {
    let (text, length, pad) = (call.text(0), call.int(1), call.optional_text(2));
    texts(call.rows, |row, out| {
        let (Some(text), Some(length)) = (text.at(row), length.at(row)) else { return Ok(false) };
        let pad = match &pad {
            None => " ",
            Some(pad) => match pad.at(row) {
                Some(pad) => pad,
                None => return Ok(false),
            },
        };
        let length = usize::try_from(length).unwrap_or(0);
        let missing = length.saturating_sub(text.chars().count());
        if missing > BYTES_MAX {
            return fail("54000", "requested length too large");
        }
        let filling = pad.chars().cycle().take(if pad.is_empty() { 0 } else { missing });
        let kept = characters(text, 0, length as i64);
        if at_front {
            filling.for_each(|c| _ = out.write_char(c));
            return Ok(out.write_str(kept).is_ok());
        }
        let written = out.write_str(kept);
        filling.for_each(|c| _ = out.write_char(c));
        Ok(written.is_ok())
    })
}

fn split_part(call: &Call) -> Result<ArrayRef> {
    let (text, delimiter, n) = (call.text(0), call.text(1), call.int(2));
    texts(call.rows, |row, out| {
        let (Some(text), Some(delimiter), Some(n)) = (text.at(row), delimiter.at(row), n.at(row)) else {
            return Ok(false);
        };
        let nth = usize::try_from(n.unsigned_abs()).unwrap_or(usize::MAX).wrapping_sub(1);
        let found = match (n, delimiter) {
            (0, _) => return fail(INVALID_PARAMETER, "field position must not be zero"),
            (1 | -1, "") => Some(text),
            (_, "") => None,
            (1.., _) => text.split(delimiter).nth(nth),
            _ => text.rsplit(delimiter).nth(nth),
        };
        Ok(out.write_str(found.unwrap_or_default()).is_ok())
    })
}

fn chr(call: &Call) -> Result<ArrayRef> {
    let code = call.int(0);
    texts(call.rows, |row, out| match code.at(row) {
        None => Ok(false),
        Some(0) => fail("54000", "null character not permitted"),
        Some(code) => match u32::try_from(code).ok().and_then(char::from_u32) {
            Some(c) => Ok(out.write_char(c).is_ok()),
            None => fail("54000", format!("requested character not valid for encoding: {code}")),
        },
    })
}

fn repeat(call: &Call) -> Result<ArrayRef> {
    let (text, count) = (call.text(0), call.int(1));
    texts(call.rows, |row, out| {
        let (Some(text), Some(count)) = (text.at(row), count.at(row)) else { return Ok(false) };
        let count = usize::try_from(count).unwrap_or(0);
        if text.len().saturating_mul(count) > BYTES_MAX {
            return fail("54000", "requested length too large");
        }
        Ok((0..count).try_for_each(|_| out.write_str(text)).is_ok())
    })
}

fn initcap(call: &Call) -> Result<ArrayRef> {
    each(call, |text, out| {
        let mut is_inside = false;
        for c in text.chars() {
            match is_inside {
                true => c.to_lowercase().try_for_each(|c| out.write_char(c))?,
                false => c.to_uppercase().try_for_each(|c| out.write_char(c))?,
            }
            is_inside = c.is_alphanumeric();
        }
        Ok(())
    })
}

fn literal(text: &str, out: &mut impl Write) -> std::fmt::Result {
    let escaped = if text.contains('\\') { "E" } else { "" };
    write!(out, "{escaped}'{}'", text.replace('\'', "''").replace('\\', "\\\\"))
}

fn format(call: &Call) -> Result<ArrayRef> {
    let (pattern, values) = (call.text(0), (1..call.len()).map(|at| call.text(at)).collect::<Vec<_>>());
    texts(call.rows, |row, out| {
        let Some(pattern) = pattern.at(row) else { return Ok(false) };
        let values: Vec<Option<&str>> = values.iter().map(|value| value.at(row)).collect();
        let text = formatted(pattern, &values)?;
        Ok(out.write_str(&text).is_ok())
    })
}

fn formatted(pattern: &str, values: &[Option<&str>]) -> Result<String> {
    let (mut out, mut chars, mut next) = (String::new(), pattern.chars().peekable(), 0);
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        if chars.next_if_eq(&'%').is_some() {
            out.push('%');
            continue;
        }
        let mut digits = String::new();
        while let Some(digit) = chars.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        let mut place = None;
        if !digits.is_empty() && chars.next_if_eq(&'$').is_some() {
            place = digits.parse::<usize>().ok();
            digits.clear();
        }
        let is_left = digits.is_empty() && chars.next_if_eq(&'-').is_some();
        while let Some(digit) = chars.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        let width: usize = digits.parse().unwrap_or(0);
        if width > BYTES_MAX {
            return fail(INVALID_PARAMETER, "a number in a format is out of range");
        }
        let kind = chars.next();
        if !matches!(kind, Some('s' | 'I' | 'L')) {
            let kind = kind.map(String::from).unwrap_or_default();
            return fail(INVALID_PARAMETER, format!("unrecognized format() type specifier \"{kind}\""));
        }
        let at = match place {
            Some(0) => {
                return fail(INVALID_PARAMETER, "format specifies argument 0, but arguments are numbered from 1");
            }
            Some(place) => place - 1,
            None => next,
        };
        next = at + 1;
        let Some(value) = values.get(at) else { return fail(INVALID_PARAMETER, "too few arguments for format()") };
        let mut text = String::new();
        let written = match (kind, value) {
            (Some('I'), None) => return fail("22004", "null values cannot be formatted as an SQL identifier"),
            (Some('I'), Some(value)) => text.write_str(&quoted_name(value)),
            (Some('L'), None) => text.write_str("NULL"),
            (Some('L'), Some(value)) => literal(value, &mut text),
            (_, value) => text.write_str(value.unwrap_or_default()),
        };
        debug_assert!(written.is_ok(), "writing into memory cannot fail");
        let filling = " ".repeat(width.saturating_sub(text.chars().count()));
        out.push_str(&if is_left { text + &filling } else { filling + &text });
    }
    Ok(out)
}

/// The bytes of an argument, which may be a text.
fn bytes_of(call: &Call, at: usize, row: usize) -> Option<Vec<u8>> {
    let (array, constant) = call.raw(at);
    let row = if constant { 0 } else { row };
    array.is_valid(row).then(|| match array.as_binary_opt::<i32>() {
        Some(bytes) => bytes.value(row).to_vec(),
        None => array.as_string::<i32>().value(row).as_bytes().to_vec(),
    })
}

fn encode(call: &Call) -> Result<ArrayRef> {
    let form = call.text(1);
    texts(call.rows, |row, out| {
        let (Some(bytes), Some(form)) = (bytes_of(call, 0, row), form.at(row)) else { return Ok(false) };
        let written = match form.to_ascii_lowercase().as_str() {
            "hex" => bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}")),
            "base64" => {
                // Lines have 76 characters, as mail wants it.
                let text = STANDARD.encode(&bytes);
                let lines: Vec<&str> =
                    text.as_bytes().chunks(76).filter_map(|line| std::str::from_utf8(line).ok()).collect();
                out.write_str(&lines.join("\n"))
            }
            "escape" => bytes.iter().try_for_each(|byte| match byte {
                b'\\' => out.write_str("\\\\"),
                1..=127 => out.write_char(char::from(*byte)),
                _ => write!(out, "\\{byte:03o}"),
            }),
            other => return fail(INVALID_PARAMETER, format!("unrecognized encoding: \"{other}\"")),
        };
        Ok(written.is_ok())
    })
}

fn decode(call: &Call) -> Result<ArrayRef> {
    let (text, form) = (call.text(0), call.text(1));
    let mut out = BinaryBuilder::new();
    for row in 0..call.rows {
        match (text.at(row), form.at(row)) {
            (Some(text), Some(form)) => out.append_value(decoded(text, form)?),
            _ => out.append_null(),
        }
    }
    Ok(Arc::new(out.finish()))
}

pub(super) fn decoded(text: &str, form: &str) -> Result<Vec<u8>> {
    let plain: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    match form.to_ascii_lowercase().as_str() {
        "hex" => {
            if let Some(wrong) = plain.chars().find(|c| !c.is_ascii_hexdigit()) {
                return fail(INVALID_PARAMETER, format!("invalid hexadecimal digit: \"{wrong}\""));
            }
            if plain.len() % 2 == 1 {
                return fail(INVALID_PARAMETER, "invalid hexadecimal data: odd number of digits");
            }
            let digit =
                |at: usize| u8::from_str_radix(plain.get(at..at + 2).unwrap_or_default(), 16).unwrap_or_default();
            Ok((0..plain.len()).step_by(2).map(digit).collect())
        }
        "base64" => STANDARD.decode(&plain).or_else(|_| fail(INVALID_PARAMETER, "invalid base64 data")),
        "escape" => unescaped(text.as_bytes()),
        other => fail(INVALID_PARAMETER, format!("unrecognized encoding: \"{other}\"")),
    }
}

fn unescaped(text: &[u8]) -> Result<Vec<u8>> {
    let (mut out, mut at) = (Vec::with_capacity(text.len()), 0);
    while let Some(byte) = text.get(at) {
        let octal = text.get(at + 1..at + 4).filter(|digits| digits.iter().all(|d| (b'0'..=b'7').contains(d)));
        match (byte, text.get(at + 1), octal) {
            (b'\\', Some(b'\\'), _) => {
                out.push(b'\\');
                at += 2;
            }
            (b'\\', _, Some(digits)) => {
                out.push(digits.iter().fold(0u8, |sum, digit| sum.wrapping_mul(8).wrapping_add(digit - b'0')));
                at += 4;
            }
            (b'\\', ..) => return fail("22P02", "invalid input syntax for type bytea"),
            (other, ..) => {
                out.push(*other);
                at += 1;
            }
        }
    }
    Ok(out)
}

fn to_hex(call: &Call) -> Result<ArrayRef> {
    let number = call.int(0);
    texts(call.rows, |row, out| {
        let written = number.at(row).map(|number| match i32::try_from(number) {
            Ok(number) => write!(out, "{number:x}"),
            Err(_) => write!(out, "{number:x}"),
        });
        Ok(written.is_some_and(|written| written.is_ok()))
    })
}

fn string_to_array(call: &Call) -> Result<ArrayRef> {
    let (text, delimiter, null) = (call.text(0), call.text(1), call.optional_text(2));
    let mut out = ListBuilder::new(StringBuilder::new());
    for row in 0..call.rows {
        let Some(text) = text.at(row) else {
            out.append_null();
            continue;
        };
        let null = null.as_ref().and_then(|null| null.at(row));
        let mut push = |part: &str| out.values().append_option((null != Some(part)).then_some(part));
        match delimiter.at(row) {
            _ if text.is_empty() => {}
            None => text.chars().for_each(|c| push(c.encode_utf8(&mut [0; 4]))),
            Some("") => push(text),
            Some(delimiter) => text.split(delimiter).for_each(push),
        }
        out.append(true);
    }
    Ok(Arc::new(out.finish()))
}

fn array_to_string(call: &Call) -> Result<ArrayRef> {
    let lists = call.column(0)?;
    let lists = lists.as_list::<i32>();
    let items = super::text_form::text_of(lists.values(), call.zone)?;
    let items = items.as_string::<i32>();
    let (delimiter, null) = (call.text(1), call.optional_text(2));
    texts(call.rows, |row, out| {
        let (true, Some(delimiter)) = (lists.is_valid(row), delimiter.at(row)) else { return Ok(false) };
        let null = null.as_ref().and_then(|null| null.at(row));
        let range = lists.value_offsets()[row] as usize..lists.value_offsets()[row + 1] as usize;
        let shown = range.filter_map(|at| if items.is_valid(at) { Some(items.value(at)) } else { null });
        let joined = shown.collect::<Vec<_>>().join(delimiter);
        Ok(out.write_str(&joined).is_ok())
    })
}
