//! JSON texts.

use super::call::{Cache, Call, Definition, Kind, Page, Patterns, Returns, Type, booleans, texts};
use super::json_path::{Found, JsonPath, compact, is_json, scalar};
use arrow::array::ArrayRef;
use datafusion_common::{Result, exec_err};
use std::fmt::Write;

use Kind::{AsText, Text};

thread_local! {
    static PATHS: Cache<JsonPath> = Cache::default();
}

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition {
        name: "json_value",
        aliases: &[],
        args: &[&[Text, Text], &[Text, Text, Text, AsText, AsText]],
        variadic: false,
        returns: Returns::Type(Type::Text),
        body: json_value,
        page: Page {
            signature: "JSON_VALUE(json STRING, path STRING [RETURNING type] [NULL | ERROR | DEFAULT value ON EMPTY] [NULL | ERROR | DEFAULT value ON ERROR])",
            result: "STRING, or the type after RETURNING",
            text: "The text of the scalar at a path. Without clauses NULL if there is none (empty), the text is no JSON or a `strict` path leads nowhere (error). NULL if an argument is NULL.",
            example: ("JSON_VALUE('{\"a\": {\"b\": 1.5}}', '$.a.b')", "1.5"),
        },
    },
    Definition {
        name: "json_query",
        aliases: &[],
        args: &[&[Text, Text], &[Text, Text, Text]],
        variadic: false,
        returns: Returns::Type(Type::Text),
        body: json_query,
        page: Page {
            signature: "JSON_QUERY(json STRING, path STRING [WITHOUT | WITH [CONDITIONAL | UNCONDITIONAL] ARRAY WRAPPER] [NULL | EMPTY ARRAY | EMPTY OBJECT | ERROR ON EMPTY] [… ON ERROR])",
            result: "STRING",
            text: "The object or array at a path, as JSON without blanks; of a path with `*` the array of all it finds. Without clauses NULL if there is none (empty), the text is no JSON or a `strict` path leads nowhere (error). NULL if an argument is NULL.",
            example: ("JSON_QUERY('{\"a\": [1, 2]}', '$.a')", "[1,2]"),
        },
    },
    Definition {
        name: "json_exists",
        aliases: &[],
        args: &[&[Text, Text], &[Text, Text, Text]],
        variadic: false,
        returns: Returns::Type(Type::Bool),
        body: json_exists,
        page: Page {
            signature: "JSON_EXISTS(json STRING, path STRING [TRUE | FALSE | UNKNOWN | ERROR ON ERROR])",
            result: "BOOLEAN",
            text: "TRUE if there is something at a path, FALSE if not. Without the clause FALSE also on an error: the text is no JSON, or a `strict` path leads nowhere. NULL if an argument is NULL.",
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
            signature: "text IS [NOT] JSON [VALUE | SCALAR | ARRAY | OBJECT], or IS_JSON(text STRING [, kind STRING])",
            result: "BOOLEAN",
            text: "TRUE if the text is JSON of a kind: VALUE (the default), SCALAR, ARRAY or OBJECT. FALSE for NULL.",
            example: ("'[1]' IS JSON ARRAY", "true"),
        },
    },
];

/// What a call does where there is nothing, or an error: the letters that the parser writes of its clauses.
fn clauses(call: &Call, usual: &'static str) -> String {
    call.optional_text(2).filter(|_| call.rows > 0).and_then(|c| c.at(0)).unwrap_or(usual).to_owned()
}

/// The outcome of looking for a value.
enum Outcome<'v> {
    One(&'v str),
    Empty,
    Fault(&'static str),
}

const NO_JSON: &str = "the text is no JSON";
const NOTHING: &str = "there is nothing at the path";

fn json_value(call: &Call) -> Result<ArrayRef> {
    let (input, mut found) = (call.text(0), Found::default());
    let mut paths = Patterns::new(call.text(1), &PATHS, JsonPath::compile);
    let clauses = clauses(call, "nn");
    let mut letters = clauses.chars();
    let (on_empty, on_error) = (letters.next().unwrap_or('n'), letters.next().unwrap_or('n'));
    let default = |at: usize, row: usize| call.optional_text(at).and_then(|texts| texts.at(row));
    texts(call.rows, |row, out| {
        let (Some(json), Some(path)) = (input.at(row), paths.at(row)?) else { return Ok(false) };
        let outcome = match () {
            () if !is_json(json) => Outcome::Fault(NO_JSON),
            () => match path.find(json, &mut found) {
                [] if path.strict => Outcome::Fault(NOTHING),
                [] => Outcome::Empty,
                [value] if value.starts_with('n') && path.strict => return Ok(false),
                [value] if value.starts_with('n') => Outcome::Empty,
                [value] if !value.starts_with(['{', '[']) && !path.many => Outcome::One(value),
                _ if path.strict => Outcome::Fault("there is no scalar at the path"),
                _ => Outcome::Empty,
            },
        };
        let (letter, default_at, what) = match outcome {
            Outcome::One(value) => return Ok(scalar(value).is_some_and(|v| out.write_str(&v).is_ok())),
            Outcome::Empty => (on_empty, 3, "there is no scalar at the path"),
            Outcome::Fault(what) => (on_error, 4, what),
        };
        match letter {
            'd' => Ok(default(default_at, row).is_some_and(|text| out.write_str(text).is_ok())),
            'e' => exec_err!("JSON_VALUE: {what}"),
            _ => Ok(false),
        }
    })
}

fn json_query(call: &Call) -> Result<ArrayRef> {
    let (input, mut found) = (call.text(0), Found::default());
    let mut paths = Patterns::new(call.text(1), &PATHS, JsonPath::compile);
    let clauses = clauses(call, "wnn");
    let mut letters = clauses.chars();
    let mut letter = |usual: char| letters.next().unwrap_or(usual);
    let (wrapper, on_empty, on_error) = (letter('w'), letter('n'), letter('n'));
    let mut made = String::new();
    texts(call.rows, |row, out| {
        let (Some(json), Some(path)) = (input.at(row), paths.at(row)?) else { return Ok(false) };
        made.clear();
        let outcome = match () {
            () if !is_json(json) => Outcome::Fault(NO_JSON),
            () => {
                let values = path.find(json, &mut found);
                match values {
                    [] if path.strict => Outcome::Fault(NOTHING),
                    [] if !path.many => Outcome::Empty,
                    _ => {
                        made.push_str(if path.many { "[" } else { "" });
                        for (at, value) in values.iter().enumerate() {
                            made.push_str(if at > 0 { "," } else { "" });
                            // Writing to memory does not fail.
                            let _ = compact(value, &mut made);
                        }
                        made.push_str(if path.many { "]" } else { "" });
                        if wrapper == 'u' || (wrapper == 'c' && !made.starts_with('[')) {
                            made.insert(0, '[');
                            made.push(']');
                        }
                        match made.starts_with(['{', '[']) {
                            true => Outcome::One(&made),
                            false if path.strict => Outcome::Fault("there is no object or array at the path"),
                            false => Outcome::Empty,
                        }
                    }
                }
            }
        };
        let (letter, what) = match outcome {
            Outcome::One(value) => return Ok(out.write_str(value).is_ok()),
            Outcome::Empty => (on_empty, "there is no object or array at the path"),
            Outcome::Fault(what) => (on_error, what),
        };
        match letter {
            'a' => Ok(out.write_str("[]").is_ok()),
            'o' => Ok(out.write_str("{}").is_ok()),
            'e' => exec_err!("JSON_QUERY: {what}"),
            _ => Ok(false),
        }
    })
}

fn json_exists(call: &Call) -> Result<ArrayRef> {
    let (input, mut found) = (call.text(0), Found::default());
    let mut paths = Patterns::new(call.text(1), &PATHS, JsonPath::compile);
    let on_error = clauses(call, "f");
    booleans(call.rows, |row| {
        let (Some(json), Some(path)) = (input.at(row), paths.at(row)?) else { return Ok(None) };
        let what = match is_json(json) {
            true if !path.find(json, &mut found).is_empty() => return Ok(Some(true)),
            true if !path.strict => return Ok(Some(false)),
            true => NOTHING,
            false => NO_JSON,
        };
        match on_error.as_str() {
            "t" => Ok(Some(true)),
            "u" => Ok(None),
            "e" => exec_err!("JSON_EXISTS: {what}"),
            _ => Ok(Some(false)),
        }
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
