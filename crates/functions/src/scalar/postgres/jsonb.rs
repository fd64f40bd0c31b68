//! JSON: `jsonb` is a text in one form (the crate `json`), whose type in Arrow is `LargeUtf8`; `json` is a text.

use super::super::call::{Arg, Call, Definition, Kind, Returns, Type, booleans, numbers, texts};
use super::{INVALID_PARAMETER, INVALID_TEXT, fail, function, texts_type};
use arrow::array::{
    Array, ArrayRef, AsArray, LargeStringArray, ListArray, ListBuilder, MapArray, StringArray, StringBuilder,
    StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int32Type};
use datafusion_common::Result;
use eddyline_json::{Json, jsonb_column, place, quoted};
use std::fmt::Write;
use std::sync::Arc;

use Kind::{Any, Bool, List, Text};

/// A function to JSONB.
const fn jsonb(
    name: &'static str,
    args: &'static [&'static [Kind]],
    body: fn(&Call) -> Result<ArrayRef>,
    signature: &'static str,
    text: &'static str,
    example: (&'static str, &'static str),
) -> Definition {
    function(name, args, Type::Jsonb, body, (signature, "JSONB", text), example)
}

/// A function to a text, or to JSON as the text that it is.
const fn json(
    name: &'static str,
    args: &'static [&'static [Kind]],
    body: fn(&Call) -> Result<ArrayRef>,
    signature: &'static str,
    text: &'static str,
    example: (&'static str, &'static str),
) -> Definition {
    function(name, args, Type::Text, body, (signature, "STRING", text), example)
}

/// A part of JSON, which is JSONB if that is.
const fn part(
    name: &'static str,
    args: &'static [&'static [Kind]],
    body: fn(&Call) -> Result<ArrayRef>,
    signature: &'static str,
    text: &'static str,
    example: (&'static str, &'static str),
) -> Definition {
    let returns = Returns::From(|signed| Ok(signed.types[0].clone()));
    Definition { returns, ..function(name, args, Type::Jsonb, body, (signature, "as json", text), example) }
}

const fn truth(
    name: &'static str,
    args: &'static [&'static [Kind]],
    body: fn(&Call) -> Result<ArrayRef>,
    signature: &'static str,
    text: &'static str,
    example: (&'static str, &'static str),
) -> Definition {
    function(name, args, Type::Bool, body, (signature, "BOOLEAN", text), example)
}

pub(super) const FUNCTIONS: &[Definition] = &[
    jsonb(
        "jsonb_in",
        &[&[Text]],
        |call| each(call, |value, out| value.write(out)),
        "text::jsonb",
        "The JSON in the form of `jsonb`: keys once and in order, one blank behind `:` and `,`. An error if it is none.",
        ("'{\"b\":1,\"a\":2,\"b\":3}'::jsonb", "{\"a\": 2, \"b\": 3}"),
    ),
    json(
        "json_in",
        &[&[Text]],
        |call| {
            let text = call.text(0);
            texts(call.rows, |row, out| match text.at(row) {
                None => Ok(false),
                Some(text) => read(text).map(|_| out.write_str(text).is_ok()),
            })
        },
        "text::json",
        "The text as it stands. An error if it is no JSON.",
        ("'[1,  2]'::json", "[1,  2]"),
    ),
    Definition {
        variadic: true,
        aliases: &["jsonb_extract_path"],
        ..part(
            "json_extract_path",
            &[&[Kind::Json, Text]],
            |call| extracted(&call.with_text(0)?, false),
            "json -> key, JSONB_EXTRACT_PATH(json, key, …)",
            "The value at a key of an object or at a number of an array (from 0; from the end if it is negative), and so on.",
            ("'{\"a\": [1, {\"b\": 2}]}'::jsonb -> 'a' -> 1", "{\"b\": 2}"),
        )
    },
    Definition {
        variadic: true,
        aliases: &["jsonb_extract_path_text"],
        ..json(
            "json_extract_path_text",
            &[&[Text, Text]],
            |call| extracted(call, true),
            "json ->> key, JSONB_EXTRACT_PATH_TEXT(json, key, …)",
            "The same, but a string without its quotes, and NULL for JSON's null.",
            ("'{\"a\": \"x\"}'::jsonb ->> 'a'", "x"),
        )
    },
    part(
        "json_at_path",
        &[&[Kind::Json, List], &[Kind::Json, Text]],
        |call| at_path(&call.with_text(0)?, false),
        "json #> path",
        "The value at a path of keys.",
        ("'{\"a\": {\"b\": [1, 2]}}'::jsonb #> '{a,b,0}'", "1"),
    ),
    json(
        "json_at_path_text",
        &[&[Text, List], &[Text, Text]],
        |call| at_path(call, true),
        "json #>> path",
        "The value at a path of keys, a string without its quotes.",
        ("'{\"a\": {\"b\": \"x\"}}'::jsonb #>> '{a,b}'", "x"),
    ),
    truth(
        "jsonb_contains",
        &[&[Text, Text]],
        |call| both(call, |one, other| one.contains(other)),
        "json @> json, json <@ json",
        "TRUE if the first contains the second: keys with their values, elements anywhere.",
        ("'{\"a\": 1, \"b\": 2}'::jsonb @> '{\"a\": 1}'", "true"),
    ),
    truth(
        "jsonb_exists",
        &[&[Text, Text]],
        |call| {
            let (json, key) = (call.text(0), call.text(1));
            booleans(call.rows, |row| match (json.at(row), key.at(row)) {
                (Some(json), Some(key)) => Ok(Some(has(&read(json)?, key))),
                _ => Ok(None),
            })
        },
        "json ? key",
        "TRUE if it is a key of the object, a string of the array, or the string itself.",
        ("'{\"a\": 1}'::jsonb ? 'a'", "true"),
    ),
    truth(
        "jsonb_exists_any",
        &[&[Text, List], &[Text, Text]],
        |call| keys(call, false),
        "json ?| keys",
        "TRUE if any of the keys is there.",
        ("'{\"a\": 1}'::jsonb ?| ARRAY['x', 'a']", "true"),
    ),
    truth(
        "jsonb_exists_all",
        &[&[Text, List], &[Text, Text]],
        |call| keys(call, true),
        "json ?& keys",
        "TRUE if all of the keys are there.",
        ("'{\"a\": 1}'::jsonb ?& ARRAY['x', 'a']", "false"),
    ),
    Definition {
        aliases: &["json_typeof"],
        ..json(
            "jsonb_typeof",
            &[&[Text]],
            |call| each(call, |value, out| out.write_str(value.type_name())),
            "JSONB_TYPEOF(json)",
            "object, array, string, number, boolean or null.",
            ("JSONB_TYPEOF('[1]')", "array"),
        )
    },
    Definition {
        aliases: &["json_array_length"],
        ..function(
            "jsonb_array_length",
            &[&[Text]],
            Type::Int,
            |call| {
                let json = call.text(0);
                numbers::<Int32Type>(call.rows, |row| match json.at(row).map(read).transpose()? {
                    None => Ok(None),
                    Some(Json::Array(items)) => Ok(i32::try_from(items.len()).ok()),
                    Some(Json::Object(_)) => fail(INVALID_PARAMETER, "cannot get array length of a non-array"),
                    Some(_) => fail(INVALID_PARAMETER, "cannot get array length of a scalar"),
                })
            },
            ("JSONB_ARRAY_LENGTH(json)", "INT", "The number of elements of an array. An error for what is none."),
            ("JSONB_ARRAY_LENGTH('[1, 2]')", "2"),
        )
    },
    Definition {
        variadic: true,
        ..jsonb(
            "jsonb_build_object",
            &[&[], &[Any, Any]],
            build_object,
            "JSONB_BUILD_OBJECT(key, value, …)",
            "An object of keys and values.",
            ("JSONB_BUILD_OBJECT('a', 1)", "{\"a\": 1}"),
        )
    },
    Definition {
        variadic: true,
        ..jsonb(
            "jsonb_build_array",
            &[&[], &[Any]],
            build_array,
            "JSONB_BUILD_ARRAY(value, …)",
            "An array of values.",
            ("JSONB_BUILD_ARRAY(1, 'a', NULL)", "[1, \"a\", null]"),
        )
    },
    jsonb(
        "to_jsonb",
        &[&[Any]],
        to_json,
        "TO_JSONB(value)",
        "The value as JSON; of texts a string.",
        ("TO_JSONB(ARRAY[1, 2])", "[1, 2]"),
    ),
    Definition {
        aliases: &["array_to_json"],
        ..json("to_json", &[&[Any]], to_json, "TO_JSON(value)", "The same as a text.", ("TO_JSON('a'::text)", "\"a\""))
    },
    Definition {
        variadic: true,
        ..json(
            "json_build_object",
            &[&[], &[Any, Any]],
            build_object,
            "JSON_BUILD_OBJECT(key, value, …)",
            "An object of keys and values as a text, in the form of JSONB.",
            ("JSON_BUILD_OBJECT('a', 1)", "{\"a\": 1}"),
        )
    },
    Definition {
        variadic: true,
        ..json(
            "json_build_array",
            &[&[], &[Any]],
            build_array,
            "JSON_BUILD_ARRAY(value, …)",
            "An array of values as a text.",
            ("JSON_BUILD_ARRAY(1, 'a', NULL)", "[1, \"a\", null]"),
        )
    },
    jsonb(
        "jsonb_of_list",
        &[&[List]],
        of_list,
        "JSONB_AGG(value [ORDER BY …])",
        "Of the values of all rows an array; JSON_AGG is the same as a text.",
        ("JSONB_AGG(n ORDER BY n)", "[1, 2]"),
    ),
    jsonb(
        "jsonb_of_objects",
        &[&[List]],
        of_objects,
        "JSONB_OBJECT_AGG(key, value)",
        "Of the keys and values of all rows an object; JSON_OBJECT_AGG is the same as a text.",
        ("JSONB_OBJECT_AGG(name, n)", "{\"a\": 1}"),
    ),
    Definition {
        returns: Returns::From(|_| Ok(pairs_type(DataType::LargeUtf8))),
        ..json(
            "jsonb_each_map",
            &[&[Text]],
            |call| pairs(call, false),
            "JSONB_EACH(json)",
            "The keys and values of an object, as rows of two columns.",
            ("JSONB_EACH_MAP('{\"a\": 1}')", "{a=1}"),
        )
    },
    Definition {
        returns: Returns::From(|_| Ok(pairs_type(DataType::Utf8))),
        ..json(
            "jsonb_each_text_map",
            &[&[Text]],
            |call| pairs(call, true),
            "JSONB_EACH_TEXT(json)",
            "The same, strings without their quotes.",
            ("JSONB_EACH_TEXT_MAP('{\"a\": \"x\"}')", "{a=x}"),
        )
    },
    jsonb(
        "jsonb_set",
        &[&[Text, List, Text], &[Text, List, Text, Bool], &[Text, Text, Text], &[Text, Text, Text, Bool]],
        |call| changed(call, set),
        "JSONB_SET(json, path, value [, create])",
        "The JSON with a value at a path, in the place of another or as a new one.",
        ("JSONB_SET('{\"a\": 1}', '{a}', '2')", "{\"a\": 2}"),
    ),
    jsonb(
        "jsonb_insert",
        &[&[Text, List, Text], &[Text, List, Text, Bool], &[Text, Text, Text], &[Text, Text, Text, Bool]],
        |call| changed(call, insert),
        "JSONB_INSERT(json, path, value [, after])",
        "The JSON with a value more: before, or after, an element of an array; at a new key of an object.",
        ("JSONB_INSERT('[1, 2]', '{0}', '5')", "[5, 1, 2]"),
    ),
    jsonb(
        "jsonb_delete_path",
        &[&[Text, List], &[Text, Text]],
        |call| changed(call, |json, path, _, _| Ok(delete(json, path))),
        "json #- path",
        "The JSON without what is at a path.",
        ("'{\"a\": {\"b\": 1}}'::jsonb #- '{a,b}'", "{\"a\": {}}"),
    ),
    jsonb(
        "jsonb_delete",
        &[&[Text, Text], &[Text, Kind::Int], &[Text, List]],
        delete_keys,
        "JSONB_DELETE(json, key)",
        "The JSON without a key, a string or the element of a number.",
        ("JSONB_DELETE('{\"a\": 1, \"b\": 2}', 'a')", "{\"b\": 2}"),
    ),
    jsonb(
        "jsonb_concat",
        &[&[Text, Text]],
        |call| {
            let (one, other) = (call.text(0), call.text(1));
            texts(call.rows, |row, out| match (one.at(row), other.at(row)) {
                (Some(one), Some(other)) => Ok(concat(read(one)?, read(other)?).write(out).is_ok()),
                _ => Ok(false),
            })
        },
        "JSONB_CONCAT(json, json)",
        "Both objects or arrays as one.",
        ("JSONB_CONCAT('{\"a\": 1}', '{\"b\": 2}')", "{\"a\": 1, \"b\": 2}"),
    ),
    jsonb(
        "jsonb_strip_nulls",
        &[&[Text]],
        |call| each(call, |value, out| without_nulls(value).write(out)),
        "JSONB_STRIP_NULLS(json)",
        "The JSON without keys whose value is null.",
        ("JSONB_STRIP_NULLS('{\"a\": 1, \"b\": null}')", "{\"a\": 1}"),
    ),
    json(
        "jsonb_pretty",
        &[&[Text]],
        |call| each(call, |value, out| value.write_pretty(0, out)),
        "JSONB_PRETTY(json)",
        "The JSON in lines.",
        ("JSONB_PRETTY('[]')", "[]"),
    ),
    Definition {
        returns: Returns::From(|_| Ok(DataType::new_list(DataType::LargeUtf8, true))),
        ..json(
            "jsonb_elements_array",
            &[&[Text]],
            |call| elements(call, false),
            "JSONB_ARRAY_ELEMENTS(json)",
            "The elements of an array, as rows.",
            ("JSONB_ELEMENTS_ARRAY('[1, \"a\"]')", "[1, \"a\"]"),
        )
    },
    Definition {
        returns: Returns::From(|_| Ok(texts_type())),
        ..json(
            "jsonb_elements_text_array",
            &[&[Text]],
            |call| elements(call, true),
            "JSONB_ARRAY_ELEMENTS_TEXT(json)",
            "The elements of an array, as rows, strings without their quotes.",
            ("JSONB_ELEMENTS_TEXT_ARRAY('[1, \"a\"]')", "[1, a]"),
        )
    },
    Definition {
        returns: Returns::From(|_| Ok(texts_type())),
        ..json(
            "jsonb_keys_array",
            &[&[Text]],
            object_keys,
            "JSONB_OBJECT_KEYS(json)",
            "The keys of an object, as rows.",
            ("JSONB_KEYS_ARRAY('{\"a\": 1}')", "[a]"),
        )
    },
];

const INVALID_JSON: &str = "invalid input syntax for type json";

fn read(text: &str) -> Result<Json> {
    match Json::read(text) {
        Some(json) => Ok(json),
        None => fail(INVALID_TEXT, INVALID_JSON),
    }
}

fn each(call: &Call, write: fn(&Json, &mut StringBuilder) -> std::fmt::Result) -> Result<ArrayRef> {
    let json = call.text(0);
    texts(call.rows, |row, out| match json.at(row) {
        None => Ok(false),
        Some(json) => Ok(write(&read(json)?, out).is_ok()),
    })
}

fn both(call: &Call, test: fn(&Json, &Json) -> bool) -> Result<ArrayRef> {
    let (one, other) = (call.text(0), call.text(1));
    booleans(call.rows, |row| match (one.at(row), other.at(row)) {
        (Some(one), Some(other)) => Ok(Some(test(&read(one)?, &read(other)?))),
        _ => Ok(None),
    })
}

fn has(json: &Json, key: &str) -> bool {
    match json {
        Json::Object(pairs) => pairs.iter().any(|(name, _)| name == key),
        Json::Array(items) => items.iter().any(|item| matches!(item, Json::Text(text) if text == key)),
        Json::Text(text) => text == key,
        _ => false,
    }
}

/// Paths of keys: arrays of texts, or texts that say such an array (`{a,b,0}`).
enum Paths {
    Lists(ListArray, StringArray),
    Texts(StringArray),
}

impl Paths {
    fn new(call: &Call, at: usize) -> Result<Self> {
        let column = call.column(at)?;
        if let Some(lists) = column.as_list_opt::<i32>() {
            let items = super::text_form::text_of(lists.values(), call.zone)?;
            return Ok(Self::Lists(lists.clone(), items.as_string::<i32>().clone()));
        }
        Ok(Self::Texts(column.as_string::<i32>().clone()))
    }

    /// The path of a row; `None` for NULL.
    fn at(&self, row: usize) -> Option<Vec<&str>> {
        match self {
            Self::Lists(lists, items) => {
                let range = lists.value_offsets()[row] as usize..lists.value_offsets()[row + 1] as usize;
                lists.is_valid(row).then(|| range.map(|at| items.value(at)).collect())
            }
            Self::Texts(texts) => {
                let inside = texts.is_valid(row).then(|| texts.value(row).trim())?;
                let inside = inside.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(inside);
                let parts = inside.split(',').map(|part| part.trim().trim_matches('"'));
                Some(if inside.is_empty() { Vec::new() } else { parts.collect() })
            }
        }
    }
}

fn keys(call: &Call, all: bool) -> Result<ArrayRef> {
    let (json, keys) = (call.text(0), Paths::new(call, 1)?);
    booleans(call.rows, |row| match (json.at(row), keys.at(row)) {
        (Some(json), Some(keys)) => {
            let json = read(json)?;
            let mut is_there = keys.iter().map(|key| has(&json, key));
            Ok(Some(if all { is_there.all(|is| is) } else { is_there.any(|is| is) }))
        }
        _ => Ok(None),
    })
}

/// A part of a text that is JSON, as it stands there.
fn put(value: Option<&str>, as_text: bool, out: &mut StringBuilder) -> bool {
    use super::super::json_path::scalar;
    match value {
        None => false,
        Some(value) if as_text && !value.starts_with(['{', '[']) => {
            scalar(value).is_some_and(|text| out.write_str(&text).is_ok())
        }
        Some(value) => out.write_str(value).is_ok(),
    }
}

fn extracted(call: &Call, as_text: bool) -> Result<ArrayRef> {
    use super::super::json_path::{child, is_json};
    let (input, keys) = (call.text(0), (1..call.len()).map(|at| call.text(at)).collect::<Vec<Arg<'_, StringArray>>>());
    texts(call.rows, |row, out| {
        let Some(json) = input.at(row) else { return Ok(false) };
        if !is_json(json) {
            return fail(INVALID_TEXT, "invalid input syntax for type json");
        }
        let value = keys.iter().try_fold(json.trim(), |value, key| child(value, key.at(row)?));
        Ok(put(value, as_text, out))
    })
}

fn at_path(call: &Call, as_text: bool) -> Result<ArrayRef> {
    use super::super::json_path::{child, is_json};
    let (input, paths) = (call.text(0), Paths::new(call, 1)?);
    texts(call.rows, |row, out| {
        let (Some(json), Some(path)) = (input.at(row), paths.at(row)) else { return Ok(false) };
        if !is_json(json) {
            return fail(INVALID_TEXT, "invalid input syntax for type json");
        }
        Ok(put(path.iter().try_fold(json.trim(), |value, key| child(value, key)), as_text, out))
    })
}

/// The values of an argument as JSON.
fn values(call: &Call, at: usize) -> Result<Vec<Json>> {
    let column = call.column(at)?;
    of_column(&column, call)
}

fn of_column(column: &ArrayRef, call: &Call) -> Result<Vec<Json>> {
    let rows = 0..column.len();
    if let DataType::List(_) = column.data_type() {
        let lists = column.as_list::<i32>();
        let items = of_column(lists.values(), call)?;
        let of = |row: usize| {
            let range = lists.value_offsets()[row] as usize..lists.value_offsets()[row + 1] as usize;
            if lists.is_null(row) { Json::Null } else { Json::Array(items[range].to_vec()) }
        };
        return Ok(rows.map(of).collect());
    }
    if let DataType::Struct(fields) = column.data_type() {
        let row_of = column.as_struct();
        let parts = row_of.columns().iter().map(|part| of_column(part, call)).collect::<Result<Vec<_>>>()?;
        let of = |row: usize| {
            let pairs = fields.iter().zip(&parts).map(|(field, values)| (field.name().clone(), values[row].clone()));
            if row_of.is_null(row) { Json::Null } else { Json::object(pairs.collect()) }
        };
        return Ok(rows.map(of).collect());
    }
    if *column.data_type() == DataType::LargeUtf8 {
        let of = |json: Option<&str>| json.map_or(Ok(Json::Null), read);
        return column.as_string::<i64>().iter().map(of).collect();
    }
    let shown = super::text_form::text_of(column, call.zone)?;
    let shown = shown.as_string::<i32>();
    let data_type = column.data_type();
    let of = |row: usize| {
        if column.is_null(row) || data_type.is_null() {
            return Json::Null;
        }
        let text = shown.value(row);
        match data_type {
            DataType::Boolean => Json::Bool(text.starts_with('t')),
            number if number.is_numeric() && Json::read(text).is_some() => Json::Number(text.to_owned()),
            DataType::Timestamp(..) => Json::Text(text.replacen(' ', "T", 1)),
            _ => Json::Text(text.to_owned()),
        }
    };
    Ok(rows.map(of).collect())
}

fn to_json(call: &Call) -> Result<ArrayRef> {
    let (column, values) = (call.column(0)?, values(call, 0)?);
    texts(call.rows, |row, out| Ok(column.is_valid(row) && values[row].write(out).is_ok()))
}

/// Texts as JSON in its one form.
///
/// # Errors
/// A text that is none.
pub fn read_jsonb(texts: &StringArray) -> Result<ArrayRef> {
    match jsonb_column(texts) {
        Ok(column) => Ok(Arc::new(column)),
        Err(_) => fail(INVALID_TEXT, INVALID_JSON),
    }
}

/// The lists of a call as lists of JSON in its one form.
fn json_lists(call: &Call) -> Result<(ListArray, LargeStringArray)> {
    let lists = cast(&call.column(0)?, &DataType::new_list(DataType::LargeUtf8, true))?;
    let lists = lists.as_list::<i32>().clone();
    let items = lists.values().as_string::<i64>().clone();
    Ok((lists, items))
}

fn range(lists: &ListArray, row: usize) -> std::ops::Range<usize> {
    lists.value_offsets()[row] as usize..lists.value_offsets()[row + 1] as usize
}

fn of_list(call: &Call) -> Result<ArrayRef> {
    let (lists, items) = json_lists(call)?;
    texts(call.rows, |row, out| {
        if lists.is_null(row) {
            return Ok(false);
        }
        let mut written = out.write_char('[');
        for (nth, at) in range(&lists, row).enumerate() {
            written = written.and_then(|()| out.write_str(if nth > 0 { ", " } else { "" }));
            written = written.and_then(|()| out.write_str(if items.is_null(at) { "null" } else { items.value(at) }));
        }
        Ok(written.and_then(|()| out.write_char(']')).is_ok())
    })
}

fn of_objects(call: &Call) -> Result<ArrayRef> {
    let (lists, items) = json_lists(call)?;
    texts(call.rows, |row, out| {
        if lists.is_null(row) {
            return Ok(false);
        }
        let mut all = Vec::new();
        for at in range(&lists, row).filter(|at| items.is_valid(*at)) {
            if let Json::Object(pairs) = read(items.value(at))? {
                all.extend(pairs);
            }
        }
        Ok(Json::object(all).write(out).is_ok())
    })
}

fn pairs_type(value: DataType) -> DataType {
    let entry = vec![Field::new("key", DataType::Utf8, false), Field::new("value", value, true)];
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entry.into()), false)), false)
}

fn pairs(call: &Call, as_text: bool) -> Result<ArrayRef> {
    let json = call.text(0);
    let (mut keys, mut values) = (StringBuilder::new(), StringBuilder::new());
    let (mut lengths, mut nulls) = (Vec::with_capacity(call.rows), Vec::with_capacity(call.rows));
    for row in 0..call.rows {
        let found = json.at(row).map(read).transpose()?;
        nulls.push(found.is_some());
        let pairs = match found {
            None => Vec::new(),
            Some(Json::Object(pairs)) => pairs,
            Some(_) => return fail(INVALID_PARAMETER, "cannot call jsonb_each on a non-object"),
        };
        lengths.push(pairs.len());
        for (key, value) in &pairs {
            keys.append_value(key);
            values.append_option(element_text(value, as_text));
        }
    }
    let DataType::Map(entries, _) = &call.return_type else { return fail("XX000", "JSONB_EACH gives pairs") };
    let DataType::Struct(fields) = entries.data_type() else { return fail("XX000", "JSONB_EACH gives pairs") };
    let values = cast(&values.finish(), fields[1].data_type())?;
    let rows = StructArray::try_new(fields.clone(), vec![Arc::new(keys.finish()), values], None)?;
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(MapArray::try_new(entries.clone(), offsets, rows, Some(nulls.into()), false)?))
}

/// A value inside of another; `as_text`: strings without their quotes, and `None` for null.
fn element_text(value: &Json, as_text: bool) -> Option<String> {
    let mut text = String::new();
    let written = match value {
        Json::Null if as_text => return None,
        Json::Text(value) if as_text => text.write_str(value),
        other => other.write(&mut text),
    };
    debug_assert!(written.is_ok(), "writing into memory cannot fail");
    Some(text)
}

fn build_object(call: &Call) -> Result<ArrayRef> {
    if call.len() % 2 == 1 {
        return fail(INVALID_PARAMETER, "argument list must have even number of elements");
    }
    let all = (0..call.len()).map(|at| values(call, at)).collect::<Result<Vec<_>>>()?;
    texts(call.rows, |row, out| {
        let mut pairs = Vec::with_capacity(all.len() / 2);
        for pair in all.chunks(2) {
            let key = match &pair[0][row] {
                Json::Null => return fail(INVALID_PARAMETER, "argument 1: key must not be null"),
                Json::Text(text) => text.clone(),
                other => {
                    let mut text = String::new();
                    // Writing into memory cannot fail.
                    let _ = other.write(&mut text);
                    text
                }
            };
            pairs.push((key, pair[1][row].clone()));
        }
        Ok(Json::object(pairs).write(out).is_ok())
    })
}

fn build_array(call: &Call) -> Result<ArrayRef> {
    let all = (0..call.len()).map(|at| values(call, at)).collect::<Result<Vec<_>>>()?;
    texts(call.rows, |row, out| {
        Ok(Json::Array(all.iter().map(|values| values[row].clone()).collect()).write(out).is_ok())
    })
}

/// JSON that was changed at a path.
fn changed(call: &Call, change: fn(Json, &[&str], Json, bool) -> Result<Json>) -> Result<ArrayRef> {
    let (json, paths) = (call.text(0), Paths::new(call, 1)?);
    let value = call.optional_text(2);
    let flag = (call.len() > 3).then(|| call.boolean(3));
    texts(call.rows, |row, out| {
        let (Some(json), Some(path)) = (json.at(row), paths.at(row)) else { return Ok(false) };
        let value = match &value {
            None => Json::Null,
            Some(value) => match value.at(row) {
                Some(value) => read(value)?,
                None => return Ok(false),
            },
        };
        let flag = flag.as_ref().map_or(Some(call.sql_name() == "JSONB_SET"), |flag| flag.at(row));
        let Some(flag) = flag else { return Ok(false) };
        Ok(change(read(json)?, &path, value, flag)?.write(out).is_ok())
    })
}

fn set(json: Json, path: &[&str], value: Json, creates: bool) -> Result<Json> {
    let Some((key, rest)) = path.split_first() else { return Ok(json) };
    Ok(match json {
        Json::Object(mut pairs) => {
            match pairs.iter().position(|(name, _)| name == key) {
                Some(at) if rest.is_empty() => pairs[at].1 = value,
                Some(at) => pairs[at].1 = set(std::mem::replace(&mut pairs[at].1, Json::Null), rest, value, creates)?,
                None if rest.is_empty() && creates => pairs.push(((*key).to_owned(), value)),
                None => {}
            }
            Json::object(pairs)
        }
        Json::Array(mut items) => {
            if key.trim().parse::<i64>().is_err() {
                return fail(INVALID_TEXT, format!("path element at position 1 is not an integer: \"{key}\""));
            }
            let at = place(items.len(), key);
            match at.filter(|at| *at < items.len()) {
                Some(at) if rest.is_empty() => items[at] = value,
                Some(at) => items[at] = set(std::mem::replace(&mut items[at], Json::Null), rest, value, creates)?,
                None if rest.is_empty() && creates && at.is_none() => items.insert(0, value),
                None if rest.is_empty() && creates => items.push(value),
                None => {}
            }
            Json::Array(items)
        }
        other => other,
    })
}

fn insert(json: Json, path: &[&str], value: Json, after: bool) -> Result<Json> {
    let Some((key, rest)) = path.split_first() else { return Ok(json) };
    Ok(match json {
        Json::Object(mut pairs) => {
            match pairs.iter().position(|(name, _)| name == key) {
                Some(_) if rest.is_empty() => {
                    return fail(INVALID_PARAMETER, "cannot replace existing key");
                }
                Some(at) => pairs[at].1 = insert(std::mem::replace(&mut pairs[at].1, Json::Null), rest, value, after)?,
                None if rest.is_empty() => pairs.push(((*key).to_owned(), value)),
                None => {}
            }
            Json::object(pairs)
        }
        Json::Array(mut items) => {
            let at = place(items.len(), key).unwrap_or(0);
            if rest.is_empty() {
                items.insert((at + usize::from(after && at < items.len())).min(items.len()), value);
            } else if at < items.len() {
                items[at] = insert(std::mem::replace(&mut items[at], Json::Null), rest, value, after)?;
            }
            Json::Array(items)
        }
        other => other,
    })
}

fn delete(json: Json, path: &[&str]) -> Json {
    let Some((key, rest)) = path.split_first() else { return json };
    match json {
        Json::Object(mut pairs) => {
            match pairs.iter().position(|(name, _)| name == key) {
                Some(at) if rest.is_empty() => drop(pairs.remove(at)),
                Some(at) => pairs[at].1 = delete(std::mem::replace(&mut pairs[at].1, Json::Null), rest),
                None => {}
            }
            Json::Object(pairs)
        }
        Json::Array(mut items) => {
            match place(items.len(), key).filter(|at| *at < items.len()) {
                Some(at) if rest.is_empty() => drop(items.remove(at)),
                Some(at) => items[at] = delete(std::mem::replace(&mut items[at], Json::Null), rest),
                None => {}
            }
            Json::Array(items)
        }
        other => other,
    }
}

fn delete_keys(call: &Call) -> Result<ArrayRef> {
    let json = call.text(0);
    let lists = matches!(call.raw(1).0.data_type(), DataType::List(_)).then(|| Paths::new(call, 1)).transpose()?;
    let is_number = call.raw(1).0.data_type().is_integer();
    texts(call.rows, |row, out| {
        let Some(json) = json.at(row) else { return Ok(false) };
        let mut json = read(json)?;
        let keys: Vec<String> = match &lists {
            Some(lists) => match lists.at(row) {
                Some(keys) => keys.into_iter().map(str::to_owned).collect(),
                None => return Ok(false),
            },
            None if is_number => match call.int(1).at(row) {
                Some(at) => vec![at.to_string()],
                None => return Ok(false),
            },
            None => match call.text(1).at(row) {
                Some(key) => vec![key.to_owned()],
                None => return Ok(false),
            },
        };
        json = match json {
            Json::Array(items) if !is_number => {
                let is_kept = |item: &Json| !matches!(item, Json::Text(text) if keys.contains(text));
                Json::Array(items.into_iter().filter(is_kept).collect())
            }
            other @ (Json::Array(_) | Json::Object(_)) => keys.iter().fold(other, |json, key| delete(json, &[key])),
            _ => return fail(INVALID_PARAMETER, "cannot delete from scalar"),
        };
        Ok(json.write(out).is_ok())
    })
}

fn concat(one: Json, other: Json) -> Json {
    match (one, other) {
        (Json::Object(mut pairs), Json::Object(others)) => {
            pairs.extend(others);
            Json::object(pairs)
        }
        (one, other) => {
            let items = |json: Json| match json {
                Json::Array(items) => items,
                other => vec![other],
            };
            Json::Array(items(one).into_iter().chain(items(other)).collect())
        }
    }
}

fn without_nulls(json: &Json) -> Json {
    match json {
        Json::Object(pairs) => {
            let kept = pairs.iter().filter(|(_, value)| *value != Json::Null);
            Json::Object(kept.map(|(key, value)| (key.clone(), without_nulls(value))).collect())
        }
        Json::Array(items) => Json::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}

fn elements(call: &Call, as_text: bool) -> Result<ArrayRef> {
    let json = call.text(0);
    let mut out = ListBuilder::new(StringBuilder::new());
    for row in 0..call.rows {
        let Some(json) = json.at(row) else {
            out.append_null();
            continue;
        };
        let Json::Array(items) = read(json)? else {
            return fail(INVALID_PARAMETER, "cannot extract elements from what is no array");
        };
        for item in &items {
            out.values().append_option(element_text(item, as_text));
        }
        out.append(true);
    }
    Ok(cast(&out.finish(), &call.return_type)?)
}

fn object_keys(call: &Call) -> Result<ArrayRef> {
    let json = call.text(0);
    let mut out = ListBuilder::new(StringBuilder::new());
    let mut quoting = String::new();
    for row in 0..call.rows {
        let Some(json) = json.at(row) else {
            out.append_null();
            continue;
        };
        let Json::Object(pairs) = read(json)? else {
            quoting.clear();
            let _ = quoted(json, &mut quoting);
            return fail(INVALID_PARAMETER, format!("cannot call jsonb_object_keys on {quoting}"));
        };
        pairs.iter().for_each(|(key, _)| out.values().append_value(key));
        out.append(true);
    }
    Ok(Arc::new(out.finish()))
}
