//! The first rows of every partition of a changing table, in an order.

use crate::TimeKey;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::sync::Arc;

/// How the rows of a partition are numbered, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ranking {
    /// `ROW_NUMBER`: every copy of every row has a number of its own.
    RowNumber,
    /// `RANK`: one more than how many rows come before; rows of equal order have the same.
    Rank,
    /// `DENSE_RANK`: one more than how many different orders come before.
    DenseRank,
}

impl Ranking {
    /// The name that EXPLAIN shows.
    pub fn name(self) -> &'static str {
        match self {
            Ranking::RowNumber => "row_number",
            Ranking::Rank => "rank",
            Ranking::DenseRank => "dense_rank",
        }
    }
}

/// One column of an ORDER BY.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OrderColumn {
    /// Column of the input.
    pub column: usize,
    /// Largest first?
    pub descending: bool,
    /// NULLs before everything?
    pub nulls_first: bool,
}

/// Rows whose number within their partition lies in a range, maintained.
///
/// Rows of equal order have an order all the same, by the other columns of the input from left to right, so that the
/// answer depends neither on when rows come nor on where they are computed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TopNSpec {
    /// How rows are numbered.
    pub ranking: Ranking,
    /// The columns of a partition; rows are dealt out to shards by them. None: one partition of all rows.
    pub partition: Vec<usize>,
    /// The order within a partition, most significant first.
    pub order: Vec<OrderColumn>,
    /// The first number that is put out, from 1.
    pub first: u64,
    /// The last number that is put out. `None`: all from `first` on.
    pub last: Option<u64>,
    /// True when the input is never retracted: rows beyond `last` are then forgotten.
    pub append_only: bool,
    /// A column of the partition that is a time, by position in `partition`. A partition is then put out once, when its
    /// time is complete, and forgotten; rows that come later are left out. Needs `append_only`.
    pub closes: Option<TimeKey>,
    /// Select before the exchange: puts out, once each, the rows that come among the first `last` of this instance.
    /// Append-only in and out; needs `append_only`, `last`, `first` = 1 and an output of all columns of the input.
    pub local: bool,
    /// The columns put out: those of the input, and one beyond them for the number.
    pub output: Vec<usize>,
}

impl TopNSpec {
    /// The output schema over `input`; the number is `rank BIGINT NOT NULL`.
    pub fn output_schema(&self, input: &Schema) -> SchemaRef {
        let field = |c: &usize| match input.fields().get(*c) {
            Some(field) => field.clone(),
            None => Arc::new(Field::new("rank", DataType::Int64, false)),
        };
        Arc::new(Schema::new(self.output.iter().map(field).collect::<Vec<_>>()))
    }
}
