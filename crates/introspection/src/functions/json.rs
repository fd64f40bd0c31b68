//! Functions that make JSON.

use super::{Function, Returns, Takes, function};
use crate::{Error, Value};
use Takes::Any;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        least: 0,
        most: usize::MAX,
        strict: false,
        ..function("json_build_object", &[Any], Returns::Json, object)
    },
    Function {
        least: 0,
        most: usize::MAX,
        strict: false,
        ..function("jsonb_build_object", &[Any], Returns::Json, object)
    },
    Function {
        least: 0,
        most: usize::MAX,
        strict: false,
        ..function("json_build_array", &[Any], Returns::Json, array)
    },
    function("to_json", &[Any], Returns::Json, |a| Ok(spelled(&a[0]).into())),
];

fn object(a: &[Value]) -> Result<Value, Error> {
    let mut parts = Vec::with_capacity(a.len() / 2);
    for pair in a.chunks(2) {
        let [key, value] = pair else {
            return Err(Error::new("22023", "argument list must have even number of elements"));
        };
        let key = key.as_text().ok_or_else(|| Error::new("22004", "null value not allowed for object key"))?;
        parts.push(format!("{} : {}", string(key), spelled(value)));
    }
    Ok(format!("{{{}}}", parts.join(", ")).into())
}

fn array(a: &[Value]) -> Result<Value, Error> {
    Ok(format!("[{}]", a.iter().map(spelled).collect::<Vec<_>>().join(", ")).into())
}

/// A value as JSON.
pub(crate) fn spelled(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Text(text) => string(text),
        Value::List(items) | Value::Row(items) => {
            format!("[{}]", items.iter().map(spelled).collect::<Vec<_>>().join(","))
        }
    }
}

fn string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
