//! Functions of arrays.

use super::{Function, Returns, Takes, function, int, list, text};
use crate::{Error, Value};
use Takes::{Int, Item, List, Text};

pub(super) const FUNCTIONS: &[Function] = &[
    Function { least: 2, ..function("array_to_string", &[List, Text, Text], Returns::Text, to_string) },
    Function { strict: false, ..function("string_to_array", &[Text, Text], Returns::Texts, from_string) },
    function("array_length", &[List, Int], Returns::Int4, |a| Ok(length(a))),
    function("array_upper", &[List, Int], Returns::Int4, |a| Ok(length(a))),
    function("array_lower", &[List, Int], Returns::Int4, |a| {
        Ok(if length(a).is_null() { Value::Null } else { 1.into() })
    }),
    function("cardinality", &[List], Returns::Int4, |a| Ok((list(a, 0).len() as i64).into())),
    function("array_ndims", &[List], Returns::Int4, |a| Ok(if list(a, 0).is_empty() { Value::Null } else { 1.into() })),
    Function { strict: false, ..function("array_remove", &[List, Item], Returns::First, remove) },
    Function { strict: false, ..function("array_append", &[List, Item], Returns::First, append) },
    Function { strict: false, ..function("array_position", &[List, Item], Returns::Int4, position) },
    function("array_cat", &[List, List], Returns::First, |a| {
        Ok(Value::list(list(a, 0).iter().chain(list(a, 1)).cloned()))
    }),
];

/// Of the one dimension that there is.
fn length(a: &[Value]) -> Value {
    match (int(a, 1), list(a, 0).len()) {
        (1, length) if length > 0 => (length as i64).into(),
        _ => Value::Null,
    }
}

fn to_string(a: &[Value]) -> Result<Value, Error> {
    let null = a.get(2).and_then(Value::as_text);
    let shown = |value: &Value| match value {
        Value::Null => null.map(str::to_owned),
        Value::Bool(value) => Some(if *value { "t" } else { "f" }.to_owned()),
        Value::Int(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Text(text) => Some(text.to_string()),
        Value::List(_) | Value::Row(_) => None,
    };
    Ok(list(a, 0).iter().filter_map(shown).collect::<Vec<_>>().join(text(a, 1)).into())
}

fn from_string(a: &[Value]) -> Result<Value, Error> {
    let Some(whole) = a[0].as_text() else { return Ok(Value::Null) };
    Ok(match a[1].as_text() {
        _ if whole.is_empty() => Value::list([]),
        None => Value::list(whole.chars().map(|c| Value::from(c.to_string()))),
        Some("") => Value::list([whole.into()]),
        Some(between) => Value::list(whole.split(between).map(Value::from)),
    })
}

fn remove(a: &[Value]) -> Result<Value, Error> {
    match &a[0] {
        Value::List(items) => Ok(Value::list(items.iter().filter(|item| **item != a[1]).cloned())),
        _ => Ok(Value::Null),
    }
}

fn append(a: &[Value]) -> Result<Value, Error> {
    Ok(Value::list(list(a, 0).iter().cloned().chain([a[1].clone()])))
}

fn position(a: &[Value]) -> Result<Value, Error> {
    Ok(list(a, 0).iter().position(|item| *item == a[1]).map(|at| at as i64 + 1).into())
}
