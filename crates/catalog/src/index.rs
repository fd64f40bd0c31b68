use crate::Name;

/// A second order in which the rows of a table or materialized view are kept, to be found by other columns than those of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Its name, in the schema of its table.
    pub name: Name,
    /// The table or materialized view.
    pub table: Name,
    /// The columns that order the rows, the most significant first.
    pub columns: Vec<IndexColumn>,
    /// The comment.
    pub comment: Option<String>,
    /// Its table is temporary.
    pub temporary: bool,
}

/// A column of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexColumn {
    /// The column of the table.
    pub name: String,
    /// `DESC`.
    pub descending: bool,
    /// `NULLS FIRST`; without a word, NULL is greater than any value.
    pub nulls_first: bool,
}
