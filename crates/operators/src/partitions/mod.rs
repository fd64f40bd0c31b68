//! Rows in order, by partition: what the rooms that number rows or look along their order share. No control flow, no
//! context.
//!
//! A row is one string of bytes which orders as the rows of a partition do: the columns of the order in the row format,
//! then all others. Rows with equal bytes are equal; how many of them there are is their weight. What comes in an epoch is
//! kept as a chain per partition ([`Arrivals`]) and merged into the partition's rows once, when the epoch ends
//! ([`Partitions::merge`]).

mod arrivals;
mod codec;
mod rows;
mod state;

/// Memory of a row beside its bytes: where it lies, its weight, its place in its partition.
pub(crate) const ROW_BYTES: usize = 29;

pub(crate) use arrivals::{Arrivals, Touched};
pub(crate) use codec::{Codec, Encoded, Part};
pub(crate) use rows::Rows;
pub(crate) use state::{Merged, Partitions, StoredRow, read_rows, rows_table};
