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
    /// No two rows have the same values in its columns.
    pub unique: Option<Unique>,
    /// The comment.
    pub comment: Option<String>,
    /// Its table is temporary.
    pub temporary: bool,
}

/// What is said of an index in whose columns no two rows are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unique {
    /// Rows with a NULL are like no other.
    pub nulls_distinct: bool,
    /// `UNIQUE` of CREATE TABLE has made it.
    pub is_constraint: bool,
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
