//! Functions that need no database.

mod arrays;
mod json;
mod texts;

use crate::{Error, Value};

/// What an argument is brought to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    Text,
    Int,
    /// An array; without a type, of texts.
    List,
    /// An item of the array that is the first argument.
    Item,
    /// Anything; without a type, a text.
    Any,
}

/// What a function returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Returns {
    Text,
    Texts,
    Int4,
    Int8,
    Bool,
    Json,
    /// The type of its first argument.
    First,
}

/// A function.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    /// The last holds for all that follow.
    pub(crate) takes: &'static [Takes],
    pub(crate) least: usize,
    pub(crate) most: usize,
    pub(crate) returns: Returns,
    /// A NULL makes it NULL.
    pub(crate) strict: bool,
    pub(crate) run: fn(&[Value]) -> Result<Value, Error>,
}

/// The function of a name.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    [texts::FUNCTIONS, arrays::FUNCTIONS, json::FUNCTIONS].into_iter().flatten().find(|function| function.name == name)
}

/// Does it return rows?
pub(crate) fn set(name: &str) -> bool {
    matches!(name, "unnest" | "generate_series" | "generate_subscripts" | "_pg_expandarray" | "pg_get_keywords")
}

/// Is it one that only the catalogs have?
pub(crate) fn is_of_catalogs(name: &str) -> bool {
    matches!(name, "_pg_expandarray" | "pg_get_keywords" | "pg_typeof")
}

/// Does anything here have this name?
pub(crate) fn is_known(name: &str) -> bool {
    const OTHERS: [&str; 22] = [
        "array",
        "row",
        "coalesce",
        "ifnull",
        "pg_typeof",
        "count",
        "sum",
        "avg",
        "min",
        "max",
        "array_agg",
        "string_agg",
        "bool_and",
        "every",
        "bool_or",
        "any_value",
        "json_agg",
        "jsonb_agg",
        "row_number",
        "rank",
        "dense_rank",
        "nullif",
    ];
    find(name).is_some() || set(name) || OTHERS.contains(&name)
}

pub(crate) use json::spelled as json_spelled;
pub(crate) use texts::OWN_KEYWORDS;

/// A function with the arguments that most have.
const fn function(
    name: &'static str,
    takes: &'static [Takes],
    returns: Returns,
    run: fn(&[Value]) -> Result<Value, Error>,
) -> Function {
    Function { name, takes, least: takes.len(), most: takes.len(), returns, strict: true, run }
}

fn text(arguments: &[Value], at: usize) -> &str {
    arguments.get(at).and_then(Value::as_text).unwrap_or_default()
}

fn int(arguments: &[Value], at: usize) -> i64 {
    arguments.get(at).and_then(Value::as_int).unwrap_or_default()
}

fn list(arguments: &[Value], at: usize) -> &[Value] {
    arguments.get(at).and_then(Value::as_list).unwrap_or_default()
}
