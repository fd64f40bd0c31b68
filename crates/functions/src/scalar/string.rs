//! Strings: parts of them, and what Flink does differently from DataFusion.

use super::call::{Call, Definition, Kind, Page, Returns, Type, booleans, numbers, texts};
use arrow::array::{Array, ArrayRef, AsArray, MapBuilder, MapFieldNames, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Field, Fields, Int32Type, Int64Type};
use datafusion_common::{Result, exec_err};
use memchr::memmem::Finder;
use std::fmt::Write;
use std::sync::Arc;

use Kind::{AsText, Int, Text};

const fn text(
    name: &'static str,
    aliases: &'static [&'static str],
    args: &'static [&'static [Kind]],
    body: fn(&Call) -> Result<ArrayRef>,
    signature: &'static str,
    text: &'static str,
    example: (&'static str, &'static str),
) -> Definition {
    let returns = Returns::Type(Type::Text);
    Definition {
        name,
        aliases,
        args,
        variadic: false,
        returns,
        body,
        page: Page { signature, result: "STRING", text, example },
    }
}

const fn truth(
    name: &'static str,
    body: fn(&Call) -> Result<ArrayRef>,
    signature: &'static str,
    text: &'static str,
    example: (&'static str, &'static str),
) -> Definition {
    let returns = Returns::Type(Type::Bool);
    Definition {
        name,
        aliases: &[],
        args: &[&[AsText]],
        variadic: false,
        returns,
        body,
        page: Page { signature, result: "BOOLEAN", text, example },
    }
}

pub(super) const FUNCTIONS: &[Definition] = &[
    text(
        "split_index",
        &[],
        &[&[Text, Text, Int], &[Text, Int, Int]],
        split_index,
        "SPLIT_INDEX(text STRING, delimiter STRING | INT, index INT)",
        "The part number `index`, from 0, of the text between delimiters (an INT is the code of a character). NULL if an argument is NULL, the index is negative or there are fewer parts; the text itself at 0 if it is not cut.",
        ("SPLIT_INDEX('a/b/c', '/', 1)", "b"),
    ),
    Definition {
        name: "concat",
        aliases: &[],
        args: &[&[AsText]],
        variadic: true,
        returns: Returns::Type(Type::Text),
        body: concat,
        page: Page {
            signature: "CONCAT(value, …)",
            result: "STRING",
            text: "The values, one after the other. NULL if any of them is NULL (DataFusion: leaves NULLs out).",
            example: ("CONCAT('a', 'b', 'c')", "abc"),
        },
    },
    text(
        "substr",
        &["substring"],
        &[&[Text, Int], &[Text, Int, Int]],
        substr,
        "SUBSTRING(text STRING FROM start [FOR length]), SUBSTRING(text, start [, length]) or SUBSTR(…)",
        "The characters from number `start`, counted from 1, or from the end if it is negative. NULL if an argument is NULL or the length is negative.",
        ("SUBSTR('stream', -3, 2)", "ea"),
    ),
    text(
        "left",
        &[],
        &[&[Text, Int]],
        left,
        "LEFT(text STRING, count INT)",
        "The first characters; none if the count is negative. NULL if an argument is NULL.",
        ("LEFT('stream', 3)", "str"),
    ),
    text(
        "right",
        &[],
        &[&[Text, Int]],
        right,
        "RIGHT(text STRING, count INT)",
        "The last characters; none if the count is negative. NULL if an argument is NULL.",
        ("RIGHT('stream', 3)", "eam"),
    ),
    text(
        "lpad",
        &[],
        &[&[Text, Int], &[Text, Int, Text]],
        lpad,
        "LPAD(text STRING, length INT [, pad STRING])",
        "The text filled up at the front, or cut, to a length, with blanks if there is no pad. NULL if an argument is NULL, the length is negative or the pad is empty.",
        ("LPAD('7', 3, '0')", "007"),
    ),
    text(
        "rpad",
        &[],
        &[&[Text, Int], &[Text, Int, Text]],
        rpad,
        "RPAD(text STRING, length INT [, pad STRING])",
        "The text filled up at the end, or cut, to a length, with blanks if there is no pad. NULL if an argument is NULL, the length is negative or the pad is empty.",
        ("RPAD('a', 3, '-')", "a--"),
    ),
    text(
        "chr",
        &[],
        &[&[Int]],
        chr,
        "CHR(code INT)",
        "The character of a code, modulo 256; empty for a negative code. NULL if the code is NULL.",
        ("CHR(97)", "a"),
    ),
    Definition {
        name: "locate",
        aliases: &[],
        args: &[&[Text, Text], &[Text, Text, Int]],
        variadic: false,
        returns: Returns::Type(Type::Int),
        body: locate,
        page: Page {
            signature: "LOCATE(part STRING, text STRING [, from INT])",
            result: "INT",
            text: "The first place, from 1, of the part in the text at or after `from`; 0 if there is none. NULL if an argument is NULL.",
            example: ("LOCATE('a', 'banana', 3)", "4"),
        },
    },
    Definition {
        name: "instr",
        aliases: &[],
        args: &[&[Text, Text], &[Text, Text, Int], &[Text, Text, Int, Int]],
        variadic: false,
        returns: Returns::Type(Type::Int),
        body: instr,
        page: Page {
            signature: "INSTR(text STRING, part STRING [, from INT [, nth INT]])",
            result: "INT",
            text: "The nth place, from 1, of the part in the text at or after `from`; a negative `from` counts from the end and searches backwards; 0 if there is none. NULL if an argument is NULL.",
            example: ("INSTR('banana', 'an', 1, 2)", "4"),
        },
    },
    text(
        "translate",
        &[],
        &[&[Text, Text, Text]],
        translate,
        "TRANSLATE(text STRING, from STRING, to STRING)",
        "The text with each character of `from` replaced by the one in the same place of `to`, or left out where `to` is shorter. NULL if an argument is NULL.",
        ("TRANSLATE('cobra', 'abc', '12')", "o2r1"),
    ),
    truth(
        "is_alpha",
        is_alpha,
        "IS_ALPHA(text)",
        "TRUE if there are letters only, and at least one. FALSE for NULL.",
        ("IS_ALPHA('abc')", "true"),
    ),
    truth(
        "is_digit",
        is_digit,
        "IS_DIGIT(text)",
        "TRUE if there are digits only, and at least one. FALSE for NULL.",
        ("IS_DIGIT('12x')", "false"),
    ),
    truth(
        "is_decimal",
        is_decimal,
        "IS_DECIMAL(text)",
        "TRUE if the text can be read as a number. FALSE for NULL.",
        ("IS_DECIMAL('-1.5e3')", "true"),
    ),
    Definition {
        name: "str_to_map",
        aliases: &[],
        args: &[&[Text], &[Text, Text, Text]],
        variadic: false,
        returns: Returns::From(|_| Ok(string_map())),
        body: str_to_map,
        page: Page {
            signature: "STR_TO_MAP(text STRING [, pairs STRING, key_value STRING])",
            result: "MAP<STRING, STRING>",
            text: "The pairs of a text, by default `key=value,key=value`; the last of equal keys wins, a key without value has NULL. NULL if an argument is NULL.",
            example: ("STR_TO_MAP('a=1,b=2')['b']", "2"),
        },
    },
];

/// The part number `index` between delimiters. The search for a delimiter is prepared once for a constant.
fn split_index(call: &Call) -> Result<ArrayRef> {
    let (input, index) = (call.text(0), call.int(2));
    let (delimiters, constant) = call.raw(1);
    let delimiters: StringArray = match delimiters.data_type() {
        DataType::Utf8 => delimiters.as_string::<i32>().clone(),
        _ => delimiters.as_primitive::<Int64Type>().iter().map(character).collect(),
    };
    let delimiter_at = |row: usize| {
        let at = if constant { 0 } else { row };
        delimiters.is_valid(at).then(|| delimiters.value(at).as_bytes())
    };
    let finder = (constant && call.rows > 0).then(|| delimiter_at(0).map(Finder::new)).flatten();
    texts(call.rows, |row, out| {
        let (Some(text), Some(delimiter), Some(index)) = (input.at(row), delimiter_at(row), index.at(row)) else {
            return Ok(false);
        };
        let Ok(index) = usize::try_from(index) else { return Ok(false) };
        let part = match (delimiter, &finder) {
            ([], _) => (index == 0).then_some(text),
            ([byte], _) => nth_part(text, index, 1, memchr::memchr_iter(*byte, text.as_bytes())),
            (_, Some(finder)) => nth_part(text, index, delimiter.len(), finder.find_iter(text.as_bytes())),
            (_, None) => nth_part(text, index, delimiter.len(), memchr::memmem::find_iter(text.as_bytes(), delimiter)),
        };
        Ok(part.is_some_and(|part| out.write_str(part).is_ok()))
    })
}

#[inline]
fn nth_part(text: &str, index: usize, width: usize, mut cuts: impl Iterator<Item = usize>) -> Option<&str> {
    let from = if index == 0 { 0 } else { cuts.nth(index - 1)? + width };
    let to = cuts.next().unwrap_or(text.len());
    text.get(from..to)
}

/// The string of one character; NULL for what is no character.
fn character(code: Option<i64>) -> Option<String> {
    char::from_u32(u32::try_from(code?).ok()?).map(String::from)
}

fn concat(call: &Call) -> Result<ArrayRef> {
    let parts: Vec<_> = (0..call.len()).map(|at| call.text(at)).collect();
    texts(call.rows, |row, out| {
        if parts.iter().any(|part| part.at(row).is_none()) {
            return Ok(false);
        }
        Ok(parts.iter().filter_map(|part| part.at(row)).all(|text| out.write_str(text).is_ok()))
    })
}

/// The text from character number `from` on, counted from 0, at most `count` characters.
fn characters(text: &str, from: usize, count: usize) -> &str {
    if text.is_ascii() {
        let from = from.min(text.len());
        return &text[from..from.saturating_add(count).min(text.len())];
    }
    let start = text.char_indices().nth(from).map_or(text.len(), |(at, _)| at);
    let rest = &text[start..];
    &rest[..rest.char_indices().nth(count).map_or(rest.len(), |(at, _)| at)]
}

fn length(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().count() }
}

fn substr(call: &Call) -> Result<ArrayRef> {
    let (input, start) = (call.text(0), call.int(1));
    let count = (call.len() == 3).then(|| call.int(2));
    texts(call.rows, |row, out| {
        let (Some(text), Some(start)) = (input.at(row), start.at(row)) else { return Ok(false) };
        let count = match &count {
            None => usize::MAX,
            Some(count) => match count.at(row).map(usize::try_from) {
                Some(Ok(count)) => count,
                _ => return Ok(false),
            },
        };
        let from = match start {
            1.. => (start - 1) as usize,
            0 => 0,
            // Before the first character: nothing, as in Flink.
            _ => match length(text).checked_sub(start.unsigned_abs() as usize) {
                Some(from) => from,
                None => return Ok(true),
            },
        };
        Ok(out.write_str(characters(text, from, count)).is_ok())
    })
}

fn left(call: &Call) -> Result<ArrayRef> {
    let (input, count) = (call.text(0), call.int(1));
    texts(call.rows, |row, out| {
        let (Some(text), Some(count)) = (input.at(row), count.at(row)) else { return Ok(false) };
        Ok(out.write_str(characters(text, 0, count.max(0) as usize)).is_ok())
    })
}

fn right(call: &Call) -> Result<ArrayRef> {
    let (input, count) = (call.text(0), call.int(1));
    texts(call.rows, |row, out| {
        let (Some(text), Some(count)) = (input.at(row), count.at(row)) else { return Ok(false) };
        let from = length(text).saturating_sub(count.max(0) as usize);
        Ok(out.write_str(characters(text, from, usize::MAX)).is_ok())
    })
}

/// No string of a query is longer: 1 MiB of characters.
const PAD_MAX: i64 = 1 << 20;

fn pad(call: &Call, at_front: bool) -> Result<ArrayRef> {
    let (input, wanted, pad) = (call.text(0), call.int(1), call.optional_text(2));
    texts(call.rows, |row, out| {
        let pad = pad.as_ref().map_or(Some(" "), |pad| pad.at(row));
        let (Some(text), Some(wanted), Some(pad)) = (input.at(row), wanted.at(row), pad) else {
            return Ok(false);
        };
        if wanted < 0 || pad.is_empty() {
            return Ok(false);
        }
        if wanted > PAD_MAX {
            return exec_err!("{}: a length of {wanted} is too much; the limit is {PAD_MAX}", call.sql_name());
        }
        let wanted = wanted as usize;
        let missing = wanted.saturating_sub(length(text));
        let kept = characters(text, 0, wanted);
        let (front, back) = if at_front { (missing, 0) } else { (0, missing) };
        let write_pad =
            |out: &mut StringBuilder, count| pad.chars().cycle().take(count).all(|c| out.write_char(c).is_ok());
        Ok(write_pad(out, front) && out.write_str(kept).is_ok() && write_pad(out, back))
    })
}

fn lpad(call: &Call) -> Result<ArrayRef> {
    pad(call, true)
}

fn rpad(call: &Call) -> Result<ArrayRef> {
    pad(call, false)
}

fn translate(call: &Call) -> Result<ArrayRef> {
    let (input, from, to) = (call.text(0), call.text(1), call.text(2));
    texts(call.rows, |row, out| {
        let (Some(text), Some(from), Some(to)) = (input.at(row), from.at(row), to.at(row)) else { return Ok(false) };
        let mut translated = text.chars().filter_map(|c| match from.chars().position(|f| f == c) {
            Some(at) => to.chars().nth(at),
            None => Some(c),
        });
        Ok(translated.all(|c| out.write_char(c).is_ok()))
    })
}

fn chr(call: &Call) -> Result<ArrayRef> {
    let codes = call.int(0);
    texts(call.rows, |row, out| {
        let Some(code) = codes.at(row) else { return Ok(false) };
        Ok(code < 0 || out.write_char(char::from((code % 256) as u8)).is_ok())
    })
}

/// Place, from 1, of a part at or after character `from`; 0 if there is none.
fn place(text: &str, part: &str, from: i64) -> i32 {
    let Ok(skipped) = usize::try_from(from - 1) else { return 0 };
    let rest = characters(text, skipped, usize::MAX);
    if skipped > length(text) {
        return 0;
    }
    rest.find(part).map_or(0, |at| (skipped + length(&rest[..at]) + 1) as i32)
}

fn locate(call: &Call) -> Result<ArrayRef> {
    let (part, input) = (call.text(0), call.text(1));
    let from = (call.len() == 3).then(|| call.int(2));
    numbers::<Int32Type>(call.rows, |row| {
        let from = from.as_ref().map_or(Some(1), |from| from.at(row));
        let (Some(part), Some(text), Some(from)) = (part.at(row), input.at(row), from) else { return Ok(None) };
        Ok(Some(place(text, part, from)))
    })
}

fn instr(call: &Call) -> Result<ArrayRef> {
    let (input, part) = (call.text(0), call.text(1));
    let number = |at: usize| (call.len() > at).then(|| call.int(at));
    let (from, nth) = (number(2), number(3));
    numbers::<Int32Type>(call.rows, |row| {
        let (Some(part), Some(text)) = (part.at(row), input.at(row)) else { return Ok(None) };
        let (Some(from), Some(nth)) =
            (from.as_ref().map_or(Some(1), |from| from.at(row)), nth.as_ref().map_or(Some(1), |nth| nth.at(row)))
        else {
            return Ok(None);
        };
        if nth < 1 {
            return exec_err!("INSTR: the number of the place is at least 1, not {nth}");
        }
        Ok(Some(if (from, nth) == (1, 1) { place(text, part, 1) } else { nth_place(text, part, from, nth) }))
    })
}

/// The nth place of a part from character `from` on, or backwards from the end for a negative `from`; 0 if none.
fn nth_place(text: &str, part: &str, from: i64, nth: i64) -> i32 {
    let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    let is_here = |at: &usize| text[starts[*at]..].starts_with(part);
    let nth = usize::try_from(nth - 1).unwrap_or(usize::MAX);
    let found = match from {
        0 => None,
        1.. => {
            let from = usize::try_from(from - 1).unwrap_or(usize::MAX).min(starts.len());
            (from..starts.len()).filter(is_here).nth(nth)
        }
        _ => {
            let back = usize::try_from(from.unsigned_abs()).unwrap_or(usize::MAX);
            starts.len().checked_sub(back).and_then(|last| (0..=last).rev().filter(is_here).nth(nth))
        }
    };
    found.map_or(0, |at| at as i32 + 1)
}

fn all_characters(call: &Call, test: fn(char) -> bool) -> Result<ArrayRef> {
    let input = call.text(0);
    booleans(call.rows, |row| Ok(Some(input.at(row).is_some_and(|text| !text.is_empty() && text.chars().all(test)))))
}

fn is_alpha(call: &Call) -> Result<ArrayRef> {
    all_characters(call, char::is_alphabetic)
}

fn is_digit(call: &Call) -> Result<ArrayRef> {
    all_characters(call, |c| c.is_ascii_digit())
}

fn is_decimal(call: &Call) -> Result<ArrayRef> {
    let input = call.text(0);
    let is_number =
        |text: &str| text.parse::<f64>().is_ok_and(f64::is_finite) && text.contains(|c: char| c.is_ascii_digit());
    booleans(call.rows, |row| Ok(Some(input.at(row).is_some_and(is_number))))
}

fn string_map() -> DataType {
    let entries =
        Fields::from(vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)]);
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), false)
}

fn str_to_map(call: &Call) -> Result<ArrayRef> {
    let input = call.text(0);
    let (pairs, key_value) = (call.optional_text(1), call.optional_text(2));
    let names = MapFieldNames { entry: "entries".into(), key: "key".into(), value: "value".into() };
    let mut out = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for row in 0..call.rows {
        let pairs = pairs.as_ref().map_or(Some(","), |arg| arg.at(row));
        let key_value = key_value.as_ref().map_or(Some("="), |arg| arg.at(row));
        let (Some(text), Some(pairs), Some(key_value)) = (input.at(row), pairs, key_value) else {
            out.append(false)?;
            continue;
        };
        let mut entries: Vec<(&str, Option<&str>)> = Vec::new();
        for pair in text.split(pairs) {
            let (key, value) = pair.split_once(key_value).map_or((pair, None), |(key, value)| (key, Some(value)));
            match entries.iter_mut().find(|(known, _)| *known == key) {
                Some(entry) => entry.1 = value,
                None => entries.push((key, value)),
            }
        }
        for (key, value) in entries {
            out.keys().append_value(key);
            out.values().append_option(value);
        }
        out.append(true)?;
    }
    Ok(Arc::new(out.finish()))
}
