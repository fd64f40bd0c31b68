//! Window functions (`OVER`) over a changing table.

use crate::{AggregateCall, OrderColumn};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use std::sync::Arc;

/// Every row of the input with the results of functions over the rows around it, maintained.
///
/// Rows of equal order have an order all the same, by the other columns of the input from left to right, so that what
/// depends on it (`ROW_NUMBER`, `LAG`, frames of ROWS) depends neither on when rows come nor on where they are computed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OverSpec {
    /// The columns of a partition; rows are dealt out to shards by them. None: one partition of all rows.
    pub partition: Vec<usize>,
    /// The order within a partition, most significant first.
    pub order: Vec<OrderColumn>,
    /// The functions.
    pub calls: Vec<OverCall>,
    /// The columns put out: those of the input, and beyond them one per call.
    pub output: Vec<usize>,
}

/// One function over the rows of a partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OverCall {
    /// What is computed.
    pub function: OverFunction,
    /// Type of the result.
    pub return_type: DataType,
    /// False where the result is never NULL.
    pub nullable: bool,
    /// Name of the result column.
    pub name: String,
}

/// What is computed for a row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum OverFunction {
    /// How many rows come before, and one; every copy of a row has a number of its own. BIGINT.
    RowNumber,
    /// How many rows are of a smaller order, and one. BIGINT.
    Rank,
    /// How many different orders are smaller, and one. BIGINT.
    DenseRank,
    /// `(rank - 1) / (rows - 1)`, 0 for a single row. DOUBLE.
    PercentRank,
    /// Which part of the rows is of no greater order. DOUBLE.
    CumeDist,
    /// The number of the row's bucket, of so many as even as can be, the larger ones first. BIGINT.
    Ntile(u64),
    /// `LAG`: the value `offset` rows before, `LEAD`: after (negative). Where there is no such row, the default.
    Shift {
        /// Column of the value.
        value: usize,
        /// How many rows before.
        offset: i64,
        /// Column of the default, of the row itself; `None`: NULL.
        default: Option<usize>,
        /// Only rows whose value is not NULL count.
        ignore_nulls: bool,
    },
    /// The value of the n-th row of the frame, from its beginning or from its end.
    Nth {
        /// Column of the value.
        value: usize,
        /// Which row, from 1.
        n: u64,
        /// Counted from the end of the frame?
        from_last: bool,
        /// Only rows whose value is not NULL count.
        ignore_nulls: bool,
        /// The frame.
        frame: Frame,
    },
    /// The values of the frame in order, as an ARRAY or, with a separator between them, a STRING.
    Collect {
        /// Column of the value.
        value: usize,
        /// `None`: an ARRAY, with NULLs; else a STRING without.
        separator: Option<String>,
        /// A BOOLEAN column: rows where it is not TRUE do not count.
        filter: Option<usize>,
        /// The frame.
        frame: Frame,
    },
    /// An aggregate of the rows of the frame; its `name` and `return_type` are the call's.
    Aggregate {
        /// The aggregate. DISTINCT means distinct within the frame.
        call: AggregateCall,
        /// The frame.
        frame: Frame,
    },
}

/// The rows that count for a row, as the SQL standard has them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Frame {
    /// What bounds count.
    pub units: FrameUnits,
    /// The first row.
    pub start: FrameBound,
    /// The last row.
    pub end: FrameBound,
}

/// What the bounds of a frame count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FrameUnits {
    /// Rows, copies of a row one by one.
    Rows,
    /// Differences in the value of the one ORDER BY column; CURRENT ROW stands for all rows of equal order.
    Range,
    /// Groups of rows of equal order.
    Groups,
}

/// One end of a frame.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FrameBound {
    /// The beginning of the partition.
    UnboundedPreceding,
    /// So far before the row.
    Preceding(FrameOffset),
    /// The row itself, with RANGE and GROUPS all of equal order.
    CurrentRow,
    /// So far after the row.
    Following(FrameOffset),
    /// The end of the partition.
    UnboundedFollowing,
}

/// How far a bound is from the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FrameOffset {
    /// Rows or groups.
    Count(u64),
    /// RANGE over integers and decimals: units of the last digit of the column's type.
    Exact(i128),
    /// RANGE over FLOAT and DOUBLE: the bits of a DOUBLE.
    Float(u64),
    /// RANGE over dates and times; not negative.
    Interval {
        /// Whole months.
        months: i32,
        /// Days of 24 hours, and less.
        nanos: i128,
    },
}

impl Frame {
    /// All rows of the partition.
    pub fn is_whole(&self) -> bool {
        self.start == FrameBound::UnboundedPreceding && self.end == FrameBound::UnboundedFollowing
    }

    /// Does the frame tell copies of a row apart?
    pub fn tells_copies_apart(&self) -> bool {
        self.units == FrameUnits::Rows && !self.is_whole()
    }
}

impl OverFunction {
    /// The frame, where there is one.
    pub fn frame(&self) -> Option<&Frame> {
        match self {
            OverFunction::Nth { frame, .. }
            | OverFunction::Collect { frame, .. }
            | OverFunction::Aggregate { frame, .. } => Some(frame),
            _ => None,
        }
    }

    /// Does the result of a row depend on no row of a greater order?
    pub fn looks_back(&self) -> bool {
        match self {
            OverFunction::RowNumber | OverFunction::Rank | OverFunction::DenseRank => true,
            OverFunction::PercentRank | OverFunction::CumeDist | OverFunction::Ntile(_) => false,
            OverFunction::Shift { offset, .. } => *offset >= 0,
            other => other
                .frame()
                .is_some_and(|frame| !matches!(frame.end, FrameBound::Following(_) | FrameBound::UnboundedFollowing)),
        }
    }

    /// Must copies of a row be looked at one by one?
    pub fn tells_copies_apart(&self) -> bool {
        match self {
            OverFunction::RowNumber | OverFunction::Ntile(_) | OverFunction::Shift { .. } => true,
            OverFunction::Nth { n: 2.., .. } => true,
            other => other.frame().is_some_and(Frame::tells_copies_apart),
        }
    }

    /// The columns of the input that are read, beside partition and order.
    pub fn columns(&self) -> Vec<usize> {
        match self {
            OverFunction::Shift { value, default, .. } => [*value].into_iter().chain(*default).collect(),
            OverFunction::Nth { value, .. } => vec![*value],
            OverFunction::Collect { value, filter, .. } => [*value].into_iter().chain(*filter).collect(),
            OverFunction::Aggregate { call, .. } => call.columns().chain(call.filter).collect(),
            _ => vec![],
        }
    }

    /// The name that EXPLAIN shows.
    pub fn name(&self) -> &str {
        match self {
            OverFunction::RowNumber => "row_number",
            OverFunction::Rank => "rank",
            OverFunction::DenseRank => "dense_rank",
            OverFunction::PercentRank => "percent_rank",
            OverFunction::CumeDist => "cume_dist",
            OverFunction::Ntile(_) => "ntile",
            OverFunction::Shift { offset, .. } if *offset < 0 => "lead",
            OverFunction::Shift { .. } => "lag",
            OverFunction::Nth { n: 1, from_last: false, .. } => "first_value",
            OverFunction::Nth { n: 1, from_last: true, .. } => "last_value",
            OverFunction::Nth { .. } => "nth_value",
            OverFunction::Collect { separator: None, .. } => "array_agg",
            OverFunction::Collect { .. } => "string_agg",
            OverFunction::Aggregate { call, .. } => &call.function,
        }
    }
}

impl OverCall {
    /// The result column.
    pub fn field(&self) -> FieldRef {
        Arc::new(Field::new(&self.name, self.return_type.clone(), self.nullable))
    }
}

impl OverSpec {
    /// The output schema over `input`.
    pub fn output_schema(&self, input: &Schema) -> SchemaRef {
        let width = input.fields().len();
        let field = |c: &usize| match c.checked_sub(width) {
            None => input.fields()[*c].clone(),
            Some(call) => self.calls[call].field(),
        };
        Arc::new(Schema::new(self.output.iter().map(field).collect::<Vec<_>>()))
    }
}
