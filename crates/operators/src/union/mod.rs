//! UNION ALL.
//!
//! # Meaning
//! All rows of all inputs.
//!
//! # Input
//! Any number of inputs of equal column types; any change mode.
//!
//! # Output
//! Every batch as it comes, under the names of the first input.
//!
//! # State
//! None.
//!
//! # Time
//! The runtime hands on the minimum of the inputs' watermarks.
//!
//! # Errors
//! Inputs of other types: a fault of the planner.
//!
//! # Cost
//! None per row.
//!
//! # Not done
//! UNION DISTINCT is a union and a group aggregate without calls.

mod operator;
#[cfg(test)]
mod tests;

pub(crate) use operator::Union;

use crate::layout::{Below, Bound, Layout};

/// It keeps nothing; there are the rows of all inputs.
pub(crate) fn layout(inputs: &[Below<'_>]) -> Layout {
    Layout::stateless(inputs.iter().fold(Bound::Rows(0), |all, input| all.and(input.rows)))
}
