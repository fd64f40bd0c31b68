//! Parts of JSON texts by key and by number: `json -> 'key'`, `json ->> 0`.

use super::call::{Call, Definition, Kind, Page, Returns, Type, texts};
use super::json_path::{child, compact, is_json, scalar};
use arrow::array::ArrayRef;
use datafusion_common::Result;
use std::fmt::Write;

use Kind::Text;

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition {
        name: "json_extract_path",
        aliases: &["jsonb_extract_path"],
        args: &[&[Text, Text]],
        variadic: true,
        returns: Returns::Type(Type::Text),
        body: |call| extracted(call, false),
        page: Page {
            signature: "json -> key, or JSON_EXTRACT_PATH(json STRING, key STRING, …)",
            result: "STRING",
            text: "The value at a key of an object or at a number of an array (from 0; from the end if it is negative), of that the value at the next key, and so on, as JSON without blanks. NULL if there is none, or the text is no JSON.",
            example: ("'{\"a\": [1, {\"b\": \"x\"}]}' -> 'a' -> 1", "{\"b\":\"x\"}"),
        },
    },
    Definition {
        name: "json_extract_path_text",
        aliases: &["jsonb_extract_path_text"],
        args: &[&[Text, Text]],
        variadic: true,
        returns: Returns::Type(Type::Text),
        body: |call| extracted(call, true),
        page: Page {
            signature: "json ->> key, or JSON_EXTRACT_PATH_TEXT(json STRING, key STRING, …)",
            result: "STRING",
            text: "As JSON_EXTRACT_PATH, but a string without its quotes, and NULL for JSON's null.",
            example: ("'{\"a\": [1, {\"b\": \"x\"}]}' -> 'a' -> 1 ->> 'b'", "x"),
        },
    },
];

fn extracted(call: &Call, as_text: bool) -> Result<ArrayRef> {
    let (input, keys) = (call.text(0), (1..call.len()).map(|at| call.text(at)).collect::<Vec<_>>());
    texts(call.rows, |row, out| {
        let Some(json) = input.at(row).filter(|json| is_json(json)) else { return Ok(false) };
        let value = keys.iter().try_fold(json.trim(), |value, key| child(value, key.at(row)?));
        Ok(match value {
            None => false,
            Some(value) if as_text && !value.starts_with(['{', '[']) => {
                scalar(value).is_some_and(|text| out.write_str(&text).is_ok())
            }
            Some(value) => compact(value, out).is_ok(),
        })
    })
}
