//! Joins of changing tables.

use crate::Expression;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use std::sync::Arc;

/// Which rows a join puts out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JoinKind {
    /// Pairs of rows that match.
    Inner,
    /// Pairs, and left rows that match nothing, with NULLs on the right.
    Left,
    /// Pairs, and right rows that match nothing, with NULLs on the left.
    Right,
    /// Pairs, and rows of both sides that match nothing, with NULLs on the other.
    Full,
    /// Left rows that match something (`IN`, `EXISTS`).
    Semi,
    /// Left rows that match nothing (`NOT EXISTS`).
    Anti,
    /// Every left row, and a last column `mark`: whether it matches something.
    Mark,
}

impl JoinKind {
    /// The name that EXPLAIN shows.
    pub fn name(self) -> &'static str {
        match self {
            JoinKind::Inner => "inner",
            JoinKind::Left => "left",
            JoinKind::Right => "right",
            JoinKind::Full => "full",
            JoinKind::Semi => "semi",
            JoinKind::Anti => "anti",
            JoinKind::Mark => "mark",
        }
    }

    /// Are pairs put out?
    pub fn has_pairs(self) -> bool {
        !matches!(self, JoinKind::Semi | JoinKind::Anti | JoinKind::Mark)
    }

    /// Of the left and of the right side: does what is put out of a row depend on whether it matches anything?
    pub fn single(self) -> [bool; 2] {
        match self {
            JoinKind::Inner => [false, false],
            JoinKind::Left | JoinKind::Semi | JoinKind::Anti | JoinKind::Mark => [true, false],
            JoinKind::Right => [false, true],
            JoinKind::Full => [true, true],
        }
    }
}

/// A key (of a join, of a partition) that is a time which the watermark of all inputs passes: then no row with that key comes any
/// more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeKey {
    /// Position among the keys; a TIMESTAMP.
    pub key: usize,
    /// Rows with the time `t` (ms) are complete when `t + delay_ms <= watermark`.
    pub delay_ms: i64,
}

/// How two values compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compare {
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
}

impl Compare {
    /// The same with the values in the other places.
    #[must_use]
    pub fn turned(self) -> Self {
        match self {
            Compare::Less => Compare::Greater,
            Compare::LessEqual => Compare::GreaterEqual,
            Compare::Greater => Compare::Less,
            Compare::GreaterEqual => Compare::LessEqual,
        }
    }
}

/// The other end of a range: what a row of one side meets of the other lies between two values of it (BETWEEN).
#[derive(Debug, Clone, PartialEq)]
pub struct Until {
    /// Over the columns of the seeking row's side, of the type of the comparison's values.
    pub value: Expression,
    /// Rows that are at this value match too.
    pub is_inclusive: bool,
}

/// A condition of a join that compares a value of the left with one of the right: pairs are found by range.
///
/// `residual` asks for all of it, and is tested on the pairs that were found: what is found may be more than what matches, never less.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Over the columns of the left input.
    pub left: Expression,
    /// How the left's value compares with the right's.
    pub compare: Compare,
    /// Over the columns of the right input; of the same type, one that is [taken](Self::takes).
    pub right: Expression,
    /// By side of the seeking row: where the range ends that [`compare`](Self::compare) begins, in the order of the other side's value.
    pub until: [Option<Until>; 2],
    /// There is no other condition beyond the keys, and values of the type are ordered exactly.
    pub is_all: bool,
}

impl Comparison {
    /// Can rows be kept in the order of values of this type?
    pub fn takes(data_type: &DataType) -> bool {
        data_type.is_integer()
            || data_type.is_floating() && *data_type != DataType::Float16
            || matches!(
                data_type,
                DataType::Date32 | DataType::Timestamp(..) | DataType::Decimal128(..) | DataType::Utf8
            )
    }
}

/// `left JOIN right`, maintained.
///
/// Rows match when all pairs of `on` are equal and `residual` is true. Both inputs are dealt out to shards by their
/// columns of `on`; without any, all rows are on the shard of the empty key.
#[derive(Debug, Clone, PartialEq)]
pub struct JoinSpec {
    /// Which rows are put out.
    pub kind: JoinKind,
    /// Columns of the left and of the right input that must be equal; of equal types.
    pub on: Vec<(usize, usize)>,
    /// NULL equals NULL in `on` (set operations); else it equals nothing.
    pub null_equal: bool,
    /// BOOLEAN over the columns of the left, then those of the right input.
    pub residual: Option<Expression>,
    /// A comparison that `residual` asks for, by which rows of keys with many are found.
    pub range: Option<Comparison>,
    /// Which inputs are never retracted.
    pub append_only: [bool; 2],
    /// What lets state go, if anything does.
    pub time: Option<TimeKey>,
    /// Rows that match nothing are put out when their time is complete, so that nothing is taken back. Needs `time`.
    pub on_close: bool,
    /// The columns put out, of those of the left, then those of the right input (then `mark`).
    pub output: Vec<usize>,
}

impl JoinSpec {
    /// The key columns of side 0 (left) or 1 (right).
    pub fn keys(&self, side: usize) -> Vec<usize> {
        self.on.iter().map(|(l, r)| if side == 0 { *l } else { *r }).collect()
    }

    /// All columns that [`output`](Self::output) may name.
    pub fn all_columns(kind: JoinKind, left: &Schema, right: &Schema) -> Vec<FieldRef> {
        let of = |schema: &Schema, null: bool| -> Vec<FieldRef> {
            let field = |f: &FieldRef| if null { Arc::new(f.as_ref().clone().with_nullable(true)) } else { f.clone() };
            schema.fields().iter().map(field).collect()
        };
        let mut fields = of(left, matches!(kind, JoinKind::Right | JoinKind::Full));
        match kind {
            JoinKind::Semi | JoinKind::Anti => {}
            JoinKind::Mark => fields.push(Arc::new(Field::new("mark", DataType::Boolean, false))),
            _ => fields.extend(of(right, matches!(kind, JoinKind::Left | JoinKind::Full))),
        }
        fields
    }

    /// The output schema.
    pub fn output_schema(&self, left: &Schema, right: &Schema) -> SchemaRef {
        let all = Self::all_columns(self.kind, left, right);
        Arc::new(Schema::new(self.output.iter().map(|c| all[*c].clone()).collect::<Vec<_>>()))
    }
}
