//! JSON texts.

use super::call::{Arg, Cache, Call, Definition, Kind, Page, Patterns, Returns, Type, booleans, texts};
use super::json_path::{Found, JsonPath, compact, is_json, scalar};
use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion_common::{Result, exec_err};
use std::fmt::Write;

use Kind::{Any, Text};

thread_local! {
    static PATHS: Cache<JsonPath> = Cache::default();
}

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition {
        name: "json_value",
        aliases: &[],
        args: &[&[Text, Text]],
        variadic: false,
        returns: Returns::Type(Type::Text),
        body: json_value,
        page: Page {
            signature: "JSON_VALUE(json STRING, path STRING)",
            result: "STRING",
            text: "The text of the scalar at a path. NULL if an argument is NULL, the text is no JSON, or there is not exactly one scalar at the path.",
            example: ("JSON_VALUE('{\"a\": {\"b\": 1.5}}', '$.a.b')", "1.5"),
        },
    },
    Definition {
        name: "json_query",
        aliases: &[],
        args: &[&[Text, Text]],
        variadic: false,
        returns: Returns::Type(Type::Text),
        body: json_query,
        page: Page {
            signature: "JSON_QUERY(json STRING, path STRING)",
            result: "STRING",
            text: "The object or array at a path, as JSON without blanks. NULL if an argument is NULL, the text is no JSON, or there is not exactly one object or array at the path.",
            example: ("JSON_QUERY('{\"a\": [1, 2]}', '$.a')", "[1,2]"),
        },
    },
    Definition {
        name: "json_exists",
        aliases: &[],
        args: &[&[Text, Text]],
        variadic: false,
        returns: Returns::Type(Type::Bool),
        body: json_exists,
        page: Page {
            signature: "JSON_EXISTS(json STRING, path STRING)",
            result: "BOOLEAN",
            text: "TRUE if there is something at a path, FALSE if not or if the text is no JSON. NULL if an argument is NULL.",
            example: ("JSON_EXISTS('{\"a\": null}', '$.a')", "true"),
        },
    },
    Definition {
        name: "is_json",
        aliases: &[],
        args: &[&[Text], &[Text, Text]],
        variadic: false,
        returns: Returns::Type(Type::Bool),
        body: is_json_of,
        page: Page {
            signature: "IS_JSON(text STRING [, kind STRING])",
            result: "BOOLEAN",
            text: "TRUE if the text is JSON of a kind: VALUE (the default), SCALAR, ARRAY or OBJECT. FALSE for NULL.",
            example: ("IS_JSON('[1]', 'ARRAY')", "true"),
        },
    },
    Definition {
        name: "json_string",
        aliases: &[],
        args: &[&[Any]],
        variadic: false,
        returns: Returns::Type(Type::Text),
        body: json_string,
        page: Page {
            signature: "JSON_STRING(value)",
            result: "STRING",
            text: "The value as JSON: numbers and booleans as they are, anything else as a string. NULL if the value is NULL.",
            example: ("JSON_STRING('a\"b')", "\"a\\\"b\""),
        },
    },
];

/// The one value at the path in a row; `None` if an argument is NULL, the text no JSON or there is not one value.
fn one<'a>(
    input: &Arg<'a, StringArray>,
    paths: &mut Patterns<'_, JsonPath>,
    found: &mut Found<'a>,
    row: usize,
) -> Result<Option<&'a str>> {
    let (Some(json), Some(path)) = (input.at(row), paths.at(row)?) else { return Ok(None) };
    if !is_json(json) {
        return Ok(None);
    }
    Ok(if let [value] = path.find(json, found) { Some(*value) } else { None })
}

fn json_value(call: &Call) -> Result<ArrayRef> {
    let (input, mut found) = (call.text(0), Found::default());
    let mut paths = Patterns::new(call.text(1), &PATHS, JsonPath::compile);
    texts(call.rows, |row, out| {
        let value = one(&input, &mut paths, &mut found, row)?.and_then(scalar);
        Ok(value.is_some_and(|value| out.write_str(&value).is_ok()))
    })
}

fn json_query(call: &Call) -> Result<ArrayRef> {
    let (input, mut found) = (call.text(0), Found::default());
    let mut paths = Patterns::new(call.text(1), &PATHS, JsonPath::compile);
    texts(call.rows, |row, out| {
        let value = one(&input, &mut paths, &mut found, row)?.filter(|value| value.starts_with(['{', '[']));
        Ok(value.is_some_and(|value| compact(value, out).is_ok()))
    })
}

fn json_exists(call: &Call) -> Result<ArrayRef> {
    let (input, mut found) = (call.text(0), Found::default());
    let mut paths = Patterns::new(call.text(1), &PATHS, JsonPath::compile);
    booleans(call.rows, |row| {
        let (Some(json), Some(path)) = (input.at(row), paths.at(row)?) else { return Ok(None) };
        if !is_json(json) {
            return Ok(Some(false));
        }
        Ok(Some(!path.find(json, &mut found).is_empty()))
    })
}

fn is_json_of(call: &Call) -> Result<ArrayRef> {
    let (input, kinds) = (call.text(0), call.optional_text(1));
    booleans(call.rows, |row| {
        let kind = kinds.as_ref().map_or(Some("VALUE"), |kinds| kinds.at(row)).unwrap_or("VALUE");
        let Some(text) = input.at(row) else { return Ok(Some(false)) };
        let first = text.trim_start().as_bytes().first();
        let is_kind = match kind.to_ascii_uppercase().as_str() {
            "VALUE" => true,
            "SCALAR" => !matches!(first, Some(b'{' | b'[')),
            "ARRAY" => first == Some(&b'['),
            "OBJECT" => first == Some(&b'{'),
            other => return exec_err!("IS_JSON: the kind is VALUE, SCALAR, ARRAY or OBJECT, not {other}"),
        };
        Ok(Some(is_kind && is_json(text)))
    })
}

fn json_string(call: &Call) -> Result<ArrayRef> {
    let column = call.column(0)?;
    if column.data_type().is_nested() {
        return exec_err!("JSON_STRING of {} is not supported", column.data_type());
    }
    let bare = column.data_type().is_numeric() || column.data_type() == &DataType::Boolean;
    let values = cast(&column, &DataType::Utf8)?;
    let values = values.as_string::<i32>();
    texts(call.rows, |row, out| {
        if values.is_null(row) {
            return Ok(false);
        }
        let text = values.value(row);
        if bare {
            return Ok(out.write_str(text).is_ok());
        }
        match serde_json::to_string(text) {
            Ok(json) => Ok(out.write_str(&json).is_ok()),
            Err(error) => exec_err!("JSON_STRING: {error}"),
        }
    })
}
