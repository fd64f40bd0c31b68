//! What a query is asked of.

use crate::{Error, Row, Type, Value};
use std::sync::Arc;

/// A relation with its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// Names and types of its columns.
    pub columns: Vec<(String, Type)>,
    /// As many values a row as there are columns.
    pub rows: Vec<Row>,
}

/// What a function takes and returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Types to which literals without a type are read; arguments beyond them are texts.
    pub takes: Vec<Type>,
    /// The type of what comes back.
    pub returns: Type,
}

/// The database that a query is about.
pub trait Environment {
    /// The rows of a relation; `None`: there is none of this name.
    fn relation(&self, schema: &str, name: &str) -> Option<Arc<Relation>>;

    /// A function of the database; `None`: there is none of this name, or it is one of [this crate](crate).
    fn function(&self, name: &str) -> Option<Signature>;

    /// Calls one of those functions.
    ///
    /// # Errors
    /// What it cannot answer.
    fn call(&self, name: &str, arguments: &[Value]) -> Result<Value, Error>;

    /// Is the query to go on? Asked every some thousand rows.
    ///
    /// # Errors
    /// It is not.
    fn check(&self) -> Result<(), Error>;
}
