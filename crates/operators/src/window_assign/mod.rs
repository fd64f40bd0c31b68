//! Window columns for every row: the table functions TUMBLE and HOP on their own.
//!
//! # Meaning
//! Every row once for each window that holds its time, with that window's start, end and rowtime. See
//! [`eddyline_plan::WindowAssignSpec`].
//!
//! # Input
//! Rows in any change mode.
//!
//! # Output
//! At once; a row in several windows stands together, earliest window first. Linear: weights pass through.
//!
//! # State
//! None.
//!
//! # Time
//! Watermarks pass: no row is late here, because nothing is closed.
//!
//! # Errors
//! A time whose windows do not fit into 64 bits of milliseconds. Rows with NULL time are rejected; a row between the windows of a HOP whose slide is larger than its size is in
//! no window and so in no output.
//!
//! # Cost
//! A TUMBLE copies nothing. A HOP copies a row `size / slide` times.
//!
//! # Not done
//! CUMULATE.

mod operator;
#[cfg(test)]
mod tests;

pub(crate) use operator::WindowAssign;

use crate::layout::{Below, Layout};

/// It keeps nothing; a row is in a fixed number of windows at most.
pub(crate) fn layout(input: &Below<'_>) -> Layout {
    Layout::stateless(input.rows.clone())
}
