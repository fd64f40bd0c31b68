//! Aggregates over many groups at once, by column.
//!
//! A group is a **slot**: a small dense number that the state table gave to its key. An accumulator holds one
//! value per slot, in columns. Every call works on a whole batch; there is no call per row.

use arrow::array::{ArrayRef, BooleanArray};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use eddyline_changes::Weights;

/// What can go wrong while aggregating.
#[derive(Debug, thiserror::Error)]
pub enum AggregateError {
    /// There is no such aggregate for these types.
    #[error("no aggregate {function}({args})")]
    Unknown {
        /// Name.
        function: String,
        /// Argument types.
        args: String,
    },
    /// A result does not fit its type.
    #[error("{function} overflows {data_type}")]
    Overflow {
        /// Name.
        function: String,
        /// Type of the result.
        data_type: DataType,
    },
    /// More was taken back than was accumulated.
    #[error("{function}: a row is retracted that was never inserted ({value})")]
    Retraction {
        /// Name.
        function: String,
        /// The value, as text.
        value: String,
    },
    /// Stored bytes are not an accumulator of this kind.
    #[error("{0}: stored accumulator is damaged")]
    Corrupt(String),
    /// An Arrow kernel refused.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
}

/// One aggregate's accumulators for all groups of a shard.
///
/// # Contract
/// - Slots are `< slots` of the last [`resize`](Self::resize). A new or cleared slot holds the empty accumulator.
/// - `slots[i]` is the slot of row `i` of the arguments.
/// - Accumulating a row and then the same row with the opposite weight restores the value exactly (I4), unless
///   the accumulator was made for append-only input.
pub trait GroupedAccumulator: Send {
    /// Makes room for slots `0..slots`.
    fn resize(&mut self, slots: usize);

    /// Adds rows with their weights (negative: takes back). Rows with a NULL argument (but COUNT(*)) and rows whose
    /// `filter` is not TRUE do not count.
    ///
    /// # Errors
    /// Overflow; a retraction of what was never accumulated.
    fn accumulate(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        weights: &Weights,
        filter: Option<&BooleanArray>,
    ) -> Result<(), AggregateError>;

    /// Adds partials: columns as `eddyline_plan::aggregate::partial_fields` lists them. Rows in which a partial is
    /// NULL add nothing.
    ///
    /// # Errors
    /// Overflow.
    fn merge(&mut self, slots: &[u32], partials: &[ArrayRef]) -> Result<(), AggregateError>;

    /// What `slots` accumulated, as partials to be merged elsewhere.
    ///
    /// # Errors
    /// Overflow.
    fn partials(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, AggregateError>;

    /// The results of `slots`.
    ///
    /// # Errors
    /// Overflow of the result type.
    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef, AggregateError>;

    /// Empties a slot.
    fn clear(&mut self, slot: u32);

    /// Appends the encoded accumulator of a slot.
    fn save(&self, slot: u32, out: &mut Vec<u8>);

    /// Reads what `save` wrote from the front of `input` and moves it on.
    ///
    /// # Errors
    /// [`AggregateError::Corrupt`].
    fn load(&mut self, slot: u32, input: &mut &[u8]) -> Result<(), AggregateError>;

    /// Memory in bytes, about.
    fn size_bytes(&self) -> usize;
}
