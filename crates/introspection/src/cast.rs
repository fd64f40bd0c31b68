//! From one type to another.

use crate::{Environment, Error, Type, Value, text};

/// A value of type `from` as one of type `to`.
///
/// # Errors
/// It is none, or there is no such cast.
pub fn cast(value: &Value, from: &Type, to: &Type, environment: &dyn Environment) -> Result<Value, Error> {
    if value.is_null() || from == to {
        return Ok(value.clone());
    }
    match to {
        Type::Unknown | Type::Text | Type::Name | Type::Json | Type::Moment => {
            Ok(Value::text(shown(value, from, environment)?))
        }
        Type::Char => {
            let text = shown(value, from, environment)?;
            Ok(Value::text(text.chars().next().map(String::from).unwrap_or_default()))
        }
        Type::Bool => truth(value, to),
        Type::Int2 => whole(value, to, i16::MIN.into(), i16::MAX.into()),
        Type::Int4 => whole(value, to, i32::MIN.into(), i32::MAX.into()),
        Type::Int8 => whole(value, to, i64::MIN, i64::MAX),
        Type::Oid => whole(value, to, 0, u32::MAX.into()),
        Type::Float4 | Type::Float8 => number(value, to),
        Type::Regclass | Type::Regtype | Type::Regproc | Type::Regnamespace | Type::Regrole => {
            object(value, to, environment)
        }
        Type::List(_) | Type::Int2Vector | Type::OidVector => list(value, from, to, environment),
        Type::Record(_) => match value {
            Value::Row(_) => Ok(value.clone()),
            _ => Err(none(value, to)),
        },
    }
}

fn list(value: &Value, from: &Type, to: &Type, environment: &dyn Environment) -> Result<Value, Error> {
    let item = to.item().unwrap_or(Type::Text);
    let (items, from) = match value {
        Value::List(items) => (items.to_vec(), from.item().unwrap_or(Type::Unknown)),
        // `1 2 3` is a vector.
        Value::Text(text) if to.first() == 0 => (text.split_whitespace().map(Value::text).collect(), Type::Text),
        Value::Text(text) => (text::items(text)?.into_iter().map(Value::from).collect(), Type::Text),
        _ => return Err(none(value, to)),
    };
    let items = items.iter().map(|value| cast(value, &from, &item, environment));
    Ok(Value::List(items.collect::<Result<_, _>>()?))
}

fn truth(value: &Value, to: &Type) -> Result<Value, Error> {
    match value {
        Value::Bool(_) => Ok(value.clone()),
        Value::Int(number) => Ok(Value::Bool(*number != 0)),
        Value::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
            "t" | "true" | "y" | "yes" | "on" | "1" => Ok(Value::Bool(true)),
            "f" | "false" | "n" | "no" | "off" | "0" => Ok(Value::Bool(false)),
            _ => Err(no_text(text, to)),
        },
        _ => Err(none(value, to)),
    }
}

fn whole(value: &Value, to: &Type, least: i64, most: i64) -> Result<Value, Error> {
    let number = match value {
        Value::Int(number) => *number,
        Value::Bool(value) => i64::from(*value),
        // Half to even, as floats are rounded.
        Value::Float(number) => number.round_ties_even() as i64,
        Value::Text(text) => text.trim().parse().map_err(|_| no_text(text, to))?,
        _ => return Err(none(value, to)),
    };
    match (least..=most).contains(&number) {
        true => Ok(Value::Int(number)),
        false => Err(Error::new("22003", format!("{number} is out of range for type {}", to.name()))),
    }
}

fn number(value: &Value, to: &Type) -> Result<Value, Error> {
    Ok(Value::Float(match value {
        Value::Int(number) => *number as f64,
        Value::Float(number) => *number,
        Value::Text(text) => text.trim().parse().map_err(|_| no_text(text, to))?,
        _ => return Err(none(value, to)),
    }))
}

/// The number of an object by its name, or by digits.
fn object(value: &Value, to: &Type, environment: &dyn Environment) -> Result<Value, Error> {
    let text = match value {
        Value::Int(_) => return Ok(value.clone()),
        Value::Text(text) => text,
        _ => return Err(none(value, to)),
    };
    if let Ok(number) = text.parse::<u32>() {
        return Ok(number.into());
    }
    let found = environment.call(&format!("to_{}", to.name()), std::slice::from_ref(value))?;
    match found {
        Value::Null => {
            let (code, what) = match to {
                Type::Regclass => ("42P01", "relation"),
                Type::Regproc => ("42883", "function"),
                Type::Regnamespace => ("3F000", "schema"),
                Type::Regrole => ("42704", "role"),
                _ => ("42704", "type"),
            };
            Err(Error::new(code, format!("{what} \"{text}\" does not exist")))
        }
        found => Ok(found),
    }
}

/// How a value is shown, which is also what a cast to a text gives.
pub(crate) fn shown(value: &Value, of: &Type, environment: &dyn Environment) -> Result<String, Error> {
    let item = |value: &Value, of: &Type| match value {
        Value::Null => Ok(None),
        // Within an array and a row, truth has one letter.
        Value::Bool(value) => Ok(Some(if *value { "t" } else { "f" }.to_owned())),
        value => shown(value, of, environment).map(Some),
    };
    Ok(match value {
        Value::Null => String::new(),
        Value::Bool(value) => value.to_string(),
        Value::Int(number) if of.is_object() && *of != Type::Oid => {
            let name = environment.call(&format!("{}out", of.name()), std::slice::from_ref(value))?;
            name.as_text().map_or_else(|| number.to_string(), str::to_owned)
        }
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Text(text) => text.to_string(),
        Value::List(items) => {
            let within = of.item().unwrap_or(Type::Text);
            let items = items.iter().map(|value| item(value, &within)).collect::<Result<Vec<_>, _>>()?;
            match of.first() {
                0 => items.into_iter().flatten().collect::<Vec<_>>().join(" "),
                _ => text::list(items.into_iter()),
            }
        }
        Value::Row(fields) => {
            let of = |at: usize| match of {
                Type::Record(columns) => columns.get(at).map_or(Type::Text, |(_, of)| of.clone()),
                _ => Type::Text,
            };
            let fields = fields.iter().enumerate().map(|(at, value)| item(value, &of(at)));
            text::record(fields.collect::<Result<Vec<_>, _>>()?.into_iter())
        }
    })
}

fn no_text(text: &str, to: &Type) -> Error {
    Error::new("22P02", format!("invalid input syntax for type {}: \"{text}\"", to.name()))
}

fn none(value: &Value, to: &Type) -> Error {
    Error::new("42846", format!("{value:?} cannot be cast to type {}", to.name()))
}
