//! Filter, then project.
//!
//! # Meaning
//! The rows for which the predicate is TRUE, as the projected expressions. See [`eddyline_plan::CalcSpec`].
//!
//! # Input
//! Rows in any change mode.
//!
//! # Output
//! At once, batch by batch. Linear: weights pass through. Columns that are only passed on share their memory with the input
//! when no row is left out; only columns that the projection reads are filtered.
//!
//! # State
//! None.
//!
//! # Time
//! Watermarks pass. Functions of the moment (NOW, RAND, …) are computed per batch from what the runtime says of it: all rows of
//! a batch have one time. The planner has refused them over rows that may be taken back.
//!
//! # Errors
//! What an expression cannot compute: division by zero, overflow, a cast. The projection sees only rows that the
//! predicate kept, so what it would not survive can be filtered out.
//!
//! # Cost
//! The expressions.
//!
//! # Not done
//! Sharing of common subexpressions: the planner may split a calc in two.

mod operator;
#[cfg(test)]
mod tests;

pub(crate) use operator::Calc;

use crate::layout::{Below, Layout};

/// It keeps nothing; there are not more rows than before.
pub(crate) fn layout(input: &Below<'_>) -> Layout {
    Layout::stateless(input.rows.clone())
}
