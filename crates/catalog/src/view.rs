/// A name for a query.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Its name.
    pub name: String,
    /// Names for its columns; empty: those of the query.
    pub columns: Vec<String>,
    /// The query.
    pub sql: String,
    /// The comment.
    pub comment: Option<String>,
    /// CREATE TEMPORARY VIEW.
    pub temporary: bool,
}
