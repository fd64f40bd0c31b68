//! Functions that have another meaning in Postgres, and those that are there alone: what a name means where the dialect is Postgres'.
//!
//! The measure is PostgreSQL 15 (`crates/server/tests/postgres`); errors carry its SQLSTATEs ([`FunctionError`]).
//!
//! Not here: what Postgres and Flink mean alike; operators and types, which the planner turns into calls.

mod arrays;
mod bytes;
mod clock_text;
mod intervals;
mod jsonb;
mod number_text;
mod numbers;
mod operators;
mod patterns;
mod quotients;
mod read_interval;
mod read_text;
mod read_time;
mod series;
mod strings;
pub mod text;
mod text_form;
mod times;
mod truncate;

pub(super) use bytes::{OVERLOADS, with_bytes};
pub use jsonb::read_jsonb;
pub(super) use operators::{call_of, with_clock};
pub use read_text::{jsonb_as, read_text};
pub(super) use series::generate_series;
pub(super) use text_form::TEXT_FORM;

use super::call::{Call, Definition, Kind, Page, Returns, Type};
use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion_common::{DataFusionError, Result};
use std::fmt;

/// What each file holds, for the documentation.
pub(super) const SUBJECTS: &[(&str, &[Definition])] = &[
    ("Strings", strings::FUNCTIONS),
    ("Bytes", bytes::FUNCTIONS),
    ("Patterns", patterns::FUNCTIONS),
    ("Numbers", numbers::FUNCTIONS),
    ("Quotients and products", quotients::FUNCTIONS),
    ("Dates and times", times::FUNCTIONS),
    ("Units and zones", truncate::FUNCTIONS),
    ("Intervals", intervals::FUNCTIONS),
    ("Arrays", arrays::FUNCTIONS),
    ("JSON", jsonb::FUNCTIONS),
];

/// An error of a value, with the code that PostgreSQL gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionError {
    /// SQLSTATE.
    pub sqlstate: &'static str,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for FunctionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for FunctionError {}

/// Fails with a code.
fn fail<T>(sqlstate: &'static str, message: impl Into<String>) -> Result<T> {
    Err(DataFusionError::External(Box::new(FunctionError { sqlstate, message: message.into() })))
}

/// A parameter that a function does not take.
const INVALID_PARAMETER: &str = "22023";
/// A text that is no value of its type.
const INVALID_TEXT: &str = "22P02";
/// A number that has no place in its type.
const OUT_OF_RANGE: &str = "22003";
/// A text that does not read as a time.
const INVALID_TIME: &str = "22007";
/// A time that there is not.
const TIME_OUT_OF_RANGE: &str = "22008";

/// A function of one type of result.
const fn function(
    name: &'static str,
    args: &'static [&'static [Kind]],
    returns: Type,
    body: fn(&Call) -> Result<ArrayRef>,
    (signature, result, text): (&'static str, &'static str, &'static str),
    example: (&'static str, &'static str),
) -> Definition {
    let page = Page { signature, result, text, example };
    Definition { name, aliases: &[], args, variadic: false, returns: Returns::Type(returns), body, page }
}

/// An array of texts.
fn texts_type() -> DataType {
    DataType::new_list(DataType::Utf8, true)
}
