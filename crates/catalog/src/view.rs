use crate::{Dialect, Name, Table};
use std::collections::BTreeMap;
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
    /// `EMIT ON WINDOW CLOSE`: it holds rows that change no more.
    pub is_final: bool,
}

/// A query whose answer is kept up to date elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Sink {
    /// The query and its name.
    pub view: View,
    /// `INTO table`; `None`: the options say where.
    pub into: Option<Name>,
    /// The columns of that table that it writes, in the order of those of its query; none: all of them.
    pub columns: Vec<String>,
    /// The WITH options.
    pub options: BTreeMap<String, String>,
    /// `EMIT ON WINDOW CLOSE`: rows that change no more.
    pub is_final: bool,
    /// The number of the job that writes it.
    pub job: u64,
}
