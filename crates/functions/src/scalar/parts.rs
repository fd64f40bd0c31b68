//! Texts out of parts, and parts out of texts.

use super::array::array;
use super::call::{Call, Definition, Kind, Page, Returns, Type, booleans, texts};
use arrow::array::{Array, ArrayRef, ListBuilder, StringBuilder};
use arrow::compute::kernels::interleave::interleave;
use arrow::datatypes::{DataType, Field};
use datafusion_common::{Result, exec_err};
use std::fmt::Write;
use std::sync::Arc;

use Kind::{AsText, Int, Same, Text};

pub(super) const FUNCTIONS: &[Definition] = &[
    text(
        "concat_ws",
        true,
        &[&[Text], &[Text, AsText]],
        concat_ws,
        "CONCAT_WS(separator STRING, value, …)",
        "The values with the separator between them; NULLs are left out. NULL if the separator is NULL.",
        ("CONCAT_WS('~', 'AA', NULL, 'BB')", "AA~BB"),
    ),
    Definition {
        name: "elt",
        aliases: &[],
        args: &[&[Int, Same]],
        variadic: true,
        returns: Returns::From(|signed| Ok(signed.types[1].clone())),
        body: elt,
        page: Page {
            signature: "ELT(index INT, value, …)",
            result: "the common type",
            text: "The value number `index`, from 1. NULL if the index is NULL or there is no such value.",
            example: ("ELT(2, 'a', 'b', 'c')", "b"),
        },
    },
    truth(
        "startswith",
        &["starts_with"],
        starts_with,
        "STARTSWITH(text STRING, part STRING)",
        "TRUE if the text begins with the part. NULL if an argument is NULL.",
        ("STARTSWITH('stream', 'str')", "true"),
    ),
    truth(
        "endswith",
        &["ends_with"],
        ends_with,
        "ENDSWITH(text STRING, part STRING)",
        "TRUE if the text ends with the part. NULL if an argument is NULL.",
        ("ENDSWITH('stream', 'str')", "false"),
    ),
    text(
        "repeat",
        false,
        &[&[Text, Int]],
        repeat,
        "REPEAT(text STRING, count INT)",
        "The text so many times; empty for a count below 1. NULL if an argument is NULL; more than 1 MiB is an error.",
        ("REPEAT('ab', 3)", "ababab"),
    ),
    text(
        "overlay",
        false,
        &[&[Text, Text, Int], &[Text, Text, Int, Int]],
        overlay,
        "OVERLAY(text STRING PLACING part STRING FROM start INT [FOR length INT])",
        "The text with so many characters (as many as the part has, if not told) from number `start` on replaced by the part; the text itself if it has no such character. NULL if an argument is NULL.",
        ("OVERLAY('xxxxxtest' PLACING 'xxxx' FROM 6)", "xxxxxxxxx"),
    ),
    Definition {
        returns: Returns::From(|_| Ok(DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))))),
        ..array(
            "split",
            &[&[Text, Text]],
            split,
            "SPLIT(text STRING, delimiter STRING)",
            "The parts of the text between delimiters; its characters if the delimiter is empty. NULL if an argument is NULL.",
            ("SPLIT('a,b', ',')", "[a, b]"),
        )
    },
];

const fn text(
    name: &'static str,
    variadic: bool,
    args: &'static [&'static [Kind]],
    body: fn(&Call) -> Result<ArrayRef>,
    signature: &'static str,
    text: &'static str,
    example: (&'static str, &'static str),
) -> Definition {
    let returns = Returns::Type(Type::Text);
    let page = Page { signature, result: "STRING", text, example };
    Definition { name, aliases: &[], args, variadic, returns, body, page }
}

const fn truth(
    name: &'static str,
    aliases: &'static [&'static str],
    body: fn(&Call) -> Result<ArrayRef>,
    signature: &'static str,
    text: &'static str,
    example: (&'static str, &'static str),
) -> Definition {
    let returns = Returns::Type(Type::Bool);
    let page = Page { signature, result: "BOOLEAN", text, example };
    Definition { name, aliases, args: &[&[Text, Text]], variadic: false, returns, body, page }
}

fn concat_ws(call: &Call) -> Result<ArrayRef> {
    let separators = call.text(0);
    let parts: Vec<_> = (1..call.len()).map(|at| call.text(at)).collect();
    texts(call.rows, |row, out| {
        let Some(separator) = separators.at(row) else { return Ok(false) };
        let mut first = true;
        Ok(parts.iter().filter_map(|part| part.at(row)).all(|part| {
            let between = if std::mem::take(&mut first) { "" } else { separator };
            out.write_str(between).is_ok() && out.write_str(part).is_ok()
        }))
    })
}

fn elt(call: &Call) -> Result<ArrayRef> {
    let index = call.int(0);
    let values = (1..call.len()).map(|at| call.column(at)).collect::<Result<Vec<_>>>()?;
    let none = arrow::array::new_null_array(&call.return_type, 1);
    let sources: Vec<&dyn Array> = std::iter::once(none.as_ref()).chain(values.iter().map(AsRef::as_ref)).collect();
    let place = |row: usize| match index.at(row).and_then(|index| usize::try_from(index).ok()) {
        Some(index) if index >= 1 && index < sources.len() => (index, row),
        _ => (0, 0),
    };
    Ok(interleave(&sources, &(0..call.rows).map(place).collect::<Vec<_>>())?)
}

fn starts_with(call: &Call) -> Result<ArrayRef> {
    both(call, |text, part| text.starts_with(part))
}

fn ends_with(call: &Call) -> Result<ArrayRef> {
    both(call, |text, part| text.ends_with(part))
}

fn both(call: &Call, meaning: impl Fn(&str, &str) -> bool) -> Result<ArrayRef> {
    let (text, part) = (call.text(0), call.text(1));
    booleans(call.rows, |row| Ok(text.at(row).zip(part.at(row)).map(|(text, part)| meaning(text, part))))
}

/// No string of a query is made longer by repetition: 1 MiB.
const REPEATED_MAX_BYTES: usize = 1 << 20;

fn repeat(call: &Call) -> Result<ArrayRef> {
    let (input, count) = (call.text(0), call.int(1));
    texts(call.rows, |row, out| {
        let (Some(text), Some(count)) = (input.at(row), count.at(row)) else { return Ok(false) };
        let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
        if text.len().saturating_mul(count) > REPEATED_MAX_BYTES {
            return exec_err!("REPEAT: {count} times {} bytes is more than {REPEATED_MAX_BYTES} bytes", text.len());
        }
        Ok(text.is_empty() || (0..count).all(|_| out.write_str(text).is_ok()))
    })
}

fn overlay(call: &Call) -> Result<ArrayRef> {
    let (input, part, start) = (call.text(0), call.text(1), call.int(2));
    let length = (call.len() == 4).then(|| call.int(3));
    texts(call.rows, |row, out| {
        let (Some(text), Some(part), Some(start)) = (input.at(row), part.at(row), start.at(row)) else {
            return Ok(false);
        };
        let length = match &length {
            None => part.chars().count() as i64,
            Some(length) => match length.at(row) {
                Some(length) => length,
                None => return Ok(false),
            },
        };
        let count = text.chars().count() as i64;
        if start < 1 || start > count {
            return Ok(out.write_str(text).is_ok());
        }
        let byte = |character: i64| {
            let character = usize::try_from(character).unwrap_or(usize::MAX);
            text.char_indices().nth(character).map_or(text.len(), |(at, _)| at)
        };
        // A negative length replaces all that follows, as in Flink.
        let after = if length < 0 { count } else { (start - 1).saturating_add(length) };
        Ok([&text[..byte(start - 1)], part, &text[byte(after)..]].iter().all(|piece| out.write_str(piece).is_ok()))
    })
}

fn split(call: &Call) -> Result<ArrayRef> {
    let (input, delimiter) = (call.text(0), call.text(1));
    text_lists(call.rows, |row, out| {
        let (Some(text), Some(delimiter)) = (input.at(row), delimiter.at(row)) else { return Ok(false) };
        if delimiter.is_empty() {
            let mut buffer = [0; 4];
            text.chars().for_each(|c| out.append_value(c.encode_utf8(&mut buffer)));
        } else {
            text.split(delimiter).for_each(|part| out.append_value(part));
        }
        Ok(true)
    })
}

/// A column of arrays of strings: `row` appends the elements of one and returns true, or returns false, having
/// appended nothing, for NULL.
pub(super) fn text_lists(
    rows: usize,
    mut row: impl FnMut(usize, &mut StringBuilder) -> Result<bool>,
) -> Result<ArrayRef> {
    let mut out = ListBuilder::new(StringBuilder::new());
    for i in 0..rows {
        let valid = row(i, out.values())?;
        out.append(valid);
    }
    Ok(Arc::new(out.finish()))
}
