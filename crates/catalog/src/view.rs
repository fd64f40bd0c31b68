use crate::{Dialect, Name, Table};
use std::sync::Arc;

/// A name for a query.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Its name.
    pub name: Name,
    /// Names for its columns; empty: those of the query.
    pub columns: Vec<String>,
    /// The query. Names without a schema are those of [`PUBLIC`](crate::PUBLIC).
    pub sql: String,
    /// How it is read.
    pub dialect: Dialect,
    /// The comment.
    pub comment: Option<String>,
    /// CREATE TEMPORARY VIEW.
    pub temporary: bool,
}

/// A query whose answer is kept, and kept up to date.
#[derive(Debug, Clone, PartialEq)]
pub struct MaterializedView {
    /// The query and its name.
    pub view: View,
    /// The rows of the answer: a table that the engine keeps.
    pub table: Arc<Table>,
}
