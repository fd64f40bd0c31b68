//! JSON out of values.

use super::call::{Call, Definition, Kind, Page, Returns, Type, texts};
use super::text_form::text_of;
use super::{Zone, json_path::is_json};
use arrow::array::{Array, ArrayRef, AsArray, StringArray, StringBuilder};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::DataType;
use arrow::util::display::FormatOptions;
use datafusion_common::{Result, exec_err};
use std::fmt::Write;

use Kind::{Any, Text};

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition {
        name: "json_object",
        aliases: &[],
        args: &[&[Text], &[Text, Any]],
        variadic: true,
        returns: Returns::Type(Type::Text),
        body: json_object,
        page: Page {
            signature: "JSON_OBJECT([[KEY] key VALUE value, …] [NULL ON NULL | ABSENT ON NULL])",
            result: "STRING",
            text: "An object of keys and values as JSON_STRING writes them; a JSON_OBJECT or JSON_ARRAY directly inside is not quoted. NULL values are `null`, or left out if told. A NULL key is an error.",
            example: ("JSON_OBJECT('a' VALUE 1, 'b' VALUE JSON_ARRAY('x'))", "{\"a\":1,\"b\":[\"x\"]}"),
        },
    },
    Definition {
        name: "json_array",
        aliases: &[],
        args: &[&[Text], &[Text, Any]],
        variadic: true,
        returns: Returns::Type(Type::Text),
        body: json_array,
        page: Page {
            signature: "JSON_ARRAY([value, …] [NULL ON NULL | ABSENT ON NULL])",
            result: "STRING",
            text: "An array of values as JSON_STRING writes them; a JSON_OBJECT or JSON_ARRAY directly inside is not quoted. NULLs are left out, or `null` if told.",
            example: ("JSON_ARRAY(1, 'x', TRUE)", "[1,\"x\",true]"),
        },
    },
    Definition {
        name: "json_string",
        aliases: &[],
        args: &[&[Any]],
        variadic: false,
        returns: Returns::Type(Type::Text),
        body: |call| json_of(&call.column(0)?, call.zone),
        page: Page {
            signature: "JSON_STRING(value)",
            result: "STRING",
            text: "The value as JSON: numbers and booleans as they are, arrays as arrays, maps and rows as objects, bytes as Base64, times as in ISO 8601, anything else as a string. NULL if the value is NULL.",
            example: ("JSON_STRING('a\"b')", "\"a\\\"b\""),
        },
    },
    text(
        "json_quote",
        json_quote,
        "JSON_QUOTE(text STRING)",
        "The text as a JSON string. NULL if the text is NULL.",
        ("JSON_QUOTE('a\"b')", "\"a\\\"b\""),
    ),
    text(
        "json_unquote",
        json_unquote,
        "JSON_UNQUOTE(json STRING)",
        "The text that a JSON string stands for; what is no JSON string stays as it is. NULL if the argument is NULL.",
        ("JSON_UNQUOTE('\"a\\\"b\"')", "a\"b"),
    ),
];

const fn text(
    name: &'static str,
    body: fn(&Call) -> Result<ArrayRef>,
    signature: &'static str,
    text: &'static str,
    example: (&'static str, &'static str),
) -> Definition {
    let page = Page { signature, result: "STRING", text, example };
    let returns = Returns::Type(Type::Text);
    Definition { name, aliases: &[], args: &[&[Text]], variadic: false, returns, body, page }
}

/// What the parser says of a call in its first argument: `n` or `a` for NULLs (`null` or absent), then for every
/// value `v`, or `j` if it is JSON already.
fn form(call: &Call) -> Result<(bool, Vec<bool>)> {
    let form = call.text(0);
    let text = if form.constant || call.rows > 0 { form.at(0) } else { Some("n") };
    match text.and_then(|t| t.split_at_checked(1)) {
        Some((nulls @ ("n" | "a"), values)) if values.bytes().all(|b| matches!(b, b'v' | b'j')) => {
            Ok((nulls == "n", values.bytes().map(|b| b == b'j').collect()))
        }
        _ => exec_err!("{} was not called in the way of SQL", call.sql_name()),
    }
}

fn member(call: &Call, at: usize, is_json: bool) -> Result<ArrayRef> {
    let column = call.column(at)?;
    if is_json { Ok(cast(&column, &DataType::Utf8)?) } else { json_of(&column, call.zone) }
}

fn json_object(call: &Call) -> Result<ArrayRef> {
    let (with_nulls, raw) = form(call)?;
    if call.len() != 1 + 2 * raw.len() && call.rows > 0 {
        return exec_err!("JSON_OBJECT has a key without a value");
    }
    let mut members = Vec::with_capacity(raw.len());
    for (at, raw) in raw.iter().enumerate() {
        let keys = text_of(&call.column(1 + 2 * at)?, call.zone)?;
        members.push((keys, member(call, 2 + 2 * at, *raw)?));
    }
    texts(call.rows, |row, out| {
        let mut made = String::from("{");
        for (keys, values) in &members {
            let (keys, values) = (keys.as_string::<i32>(), values.as_string::<i32>());
            if keys.is_null(row) {
                return exec_err!("JSON_OBJECT: a key is NULL");
            }
            if values.is_null(row) && !with_nulls {
                continue;
            }
            if made.len() > 1 {
                made.push(',');
            }
            quoted(keys.value(row), &mut made);
            made.push(':');
            made.push_str(shown(values, row));
        }
        made.push('}');
        Ok(out.write_str(&made).is_ok())
    })
}

fn json_array(call: &Call) -> Result<ArrayRef> {
    let (with_nulls, raw) = form(call)?;
    let values = raw.iter().enumerate().map(|(at, raw)| member(call, 1 + at, *raw)).collect::<Result<Vec<_>>>()?;
    texts(call.rows, |row, out| {
        let mut made = String::from("[");
        for values in values.iter().map(|v| v.as_string::<i32>()) {
            if values.is_null(row) && !with_nulls {
                continue;
            }
            if made.len() > 1 {
                made.push(',');
            }
            made.push_str(shown(values, row));
        }
        made.push(']');
        Ok(out.write_str(&made).is_ok())
    })
}

fn shown(values: &StringArray, row: usize) -> &str {
    if values.is_null(row) { "null" } else { values.value(row) }
}

/// A JSON string.
fn quoted(text: &str, out: &mut String) {
    match serde_json::to_string(text) {
        Ok(json) => out.push_str(&json),
        // A string is always written; the text of an error would be no JSON.
        Err(_) => out.push_str("\"\""),
    }
}

fn json_quote(call: &Call) -> Result<ArrayRef> {
    let input = call.text(0);
    let mut made = String::new();
    texts(call.rows, |row, out| {
        let Some(text) = input.at(row) else { return Ok(false) };
        made.clear();
        quoted(text, &mut made);
        Ok(out.write_str(&made).is_ok())
    })
}

fn json_unquote(call: &Call) -> Result<ArrayRef> {
    let input = call.text(0);
    texts(call.rows, |row, out| {
        let Some(text) = input.at(row) else { return Ok(false) };
        let plain = text.starts_with('"').then(|| serde_json::from_str::<String>(text).ok()).flatten();
        Ok(out.write_str(plain.as_deref().unwrap_or(text)).is_ok())
    })
}

/// The values of a column as JSON; NULL for NULL.
pub(super) fn json_of(column: &ArrayRef, zone: Zone) -> Result<ArrayRef> {
    match column.data_type() {
        DataType::Null => Ok(arrow::array::new_null_array(&DataType::Utf8, column.len())),
        DataType::Boolean | DataType::Decimal128(..) => Ok(cast(column, &DataType::Utf8)?),
        t if t.is_integer() => Ok(cast(column, &DataType::Utf8)?),
        t if t.is_floating() => {
            let values = text_of(column, zone)?;
            let values = values.as_string::<i32>();
            each(column, |row, out| {
                let text = values.value(row);
                // JSON has no NaN and no infinity.
                if is_json(text) {
                    out.push_str(text)
                } else {
                    quoted(text, out)
                }
                Ok(())
            })
        }
        DataType::Binary => {
            let base64 = super::encoding::base64_of(column.as_binary::<i32>())?;
            each(column, |row, out| {
                quoted(base64.as_string::<i32>().value(row), out);
                Ok(())
            })
        }
        DataType::Timestamp(_, zoned) => {
            let format = if zoned.is_some() { "%Y-%m-%dT%H:%M:%S%.fZ" } else { "%Y-%m-%dT%H:%M:%S%.f" };
            let format_options =
                FormatOptions::new().with_timestamp_format(Some(format)).with_timestamp_tz_format(Some(format));
            let options = CastOptions { safe: false, format_options };
            let times = cast_with_options(column, &DataType::Utf8, &options)?;
            each(column, |row, out| {
                quoted(times.as_string::<i32>().value(row), out);
                Ok(())
            })
        }
        DataType::List(_) => {
            let lists = column.as_list::<i32>();
            let items = json_of(lists.values(), zone)?;
            let offsets = lists.value_offsets();
            each(column, |row, out| {
                let range = offsets[row] as usize..offsets[row + 1] as usize;
                listed(out, ['[', ']'], range, |at, out| out.push_str(shown(items.as_string::<i32>(), at)));
                Ok(())
            })
        }
        DataType::Map(..) => {
            let maps = column.as_map();
            let (keys, values) = (text_of(maps.keys(), zone)?, json_of(maps.values(), zone)?);
            let offsets = maps.value_offsets();
            each(column, |row, out| {
                let range = offsets[row] as usize..offsets[row + 1] as usize;
                listed(out, ['{', '}'], range, |at, out| {
                    quoted(keys.as_string::<i32>().value(at), out);
                    out.push(':');
                    out.push_str(shown(values.as_string::<i32>(), at));
                });
                Ok(())
            })
        }
        DataType::Struct(fields) => {
            let columns = column.as_struct().columns().iter().map(|c| json_of(c, zone)).collect::<Result<Vec<_>>>()?;
            each(column, |row, out| {
                listed(out, ['{', '}'], 0..columns.len(), |at, out| {
                    quoted(fields[at].name(), out);
                    out.push(':');
                    out.push_str(shown(columns[at].as_string::<i32>(), row));
                });
                Ok(())
            })
        }
        _ => {
            let values = text_of(column, zone)?;
            each(column, |row, out| {
                quoted(values.as_string::<i32>().value(row), out);
                Ok(())
            })
        }
    }
}

fn each(column: &ArrayRef, mut write: impl FnMut(usize, &mut String) -> Result<()>) -> Result<ArrayRef> {
    let mut made = String::new();
    texts(column.len(), |row, out: &mut StringBuilder| {
        if column.is_null(row) {
            return Ok(false);
        }
        made.clear();
        write(row, &mut made)?;
        Ok(out.write_str(&made).is_ok())
    })
}

fn listed(
    out: &mut String,
    brackets: [char; 2],
    range: std::ops::Range<usize>,
    mut item: impl FnMut(usize, &mut String),
) {
    out.push(brackets[0]);
    for at in range.clone() {
        if at != range.start {
            out.push(',');
        }
        item(at, out);
    }
    out.push(brackets[1]);
}
