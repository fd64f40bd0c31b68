//! UNNEST.
//!
//! # Meaning
//! [`eddyline_plan::UnnestSpec`]: a row for every element.
//!
//! # Input
//! Rows in any change mode.
//!
//! # Output
//! At once; the elements of a row stand together, in their order, with the weight of the row.
//!
//! # State
//! None.
//!
//! # Time
//! Watermarks pass: the columns of the input keep their values.
//!
//! # Errors
//! A column that is neither ARRAY nor MAP: a fault of the planner.
//!
//! # Cost
//! Per element: one gather per output column; elements of one list that are all used are not copied. What comes out is cut
//! into batches of 8192 rows.
//!
//! # Not done
//! Lists in lists are unnested one level; the next level is an UNNEST of its own.

mod elements;
mod operator;
#[cfg(test)]
mod tests;

pub(crate) use operator::Unnest;

use crate::layout::{Below, Layout};

/// It keeps nothing; how many elements a row has nobody knows.
pub(crate) fn layout(input: &Below<'_>) -> Layout {
    Layout::stateless(input.rows.clone())
}
