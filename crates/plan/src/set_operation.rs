//! INTERSECT ALL and EXCEPT ALL: operations on rows with their numbers of copies.

/// How many copies of a row the result has, of `l` copies in the left and `r` in the right input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SetOperation {
    /// `INTERSECT ALL`: the fewer of both.
    IntersectAll,
    /// `EXCEPT ALL`: those of the left that the right has not.
    ExceptAll,
}

impl SetOperation {
    /// The name that EXPLAIN shows.
    pub fn name(self) -> &'static str {
        match self {
            SetOperation::IntersectAll => "intersect all",
            SetOperation::ExceptAll => "except all",
        }
    }

    /// The copies in the result.
    #[inline]
    pub fn copies(self, l: i64, r: i64) -> i64 {
        match self {
            SetOperation::IntersectAll => l.min(r),
            SetOperation::ExceptAll => (l - r).max(0),
        }
    }
}

/// A set operation over two inputs of equal column types, maintained. Rows are compared as a whole, NULL equals NULL;
/// both inputs are dealt out to shards by all their columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SetOperationSpec {
    /// Which rows are put out.
    pub operation: SetOperation,
}
