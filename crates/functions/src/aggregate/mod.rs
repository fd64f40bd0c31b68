//! Aggregates over many groups at once, by column.
//!
//! A group is a **slot**: a small dense number that the state table gave to its key. An accumulator holds one
//! value per slot, in columns. Every call works on a whole batch; there is no call per row.

//!
//! | file | holds |
//! |---|---|
//! | `rows` | which rows of a batch count |
//! | `count` | COUNT |
//! | `sum` | SUM and AVG over integers and decimals |
//! | `float_sum`, `exact` | SUM and AVG over floating point, without drift |
//! | `extreme`, `bytes` | MIN and MAX over fixed-size values, over strings and bytes |
//! | `multiset` | the counted multiset that MIN and MAX keep under retraction |
//! | [`batch`] | the same aggregates for DataFusion's planner and batch execution |

pub mod batch;
mod bytes;
mod count;
mod encoding;
mod exact;
mod extreme;
mod float_sum;
mod multiset;
mod rows;
mod sum;
#[cfg(test)]
mod tests;

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
    #[error("{function} overflows {}", sql_name(data_type))]
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

/// The SQL name of a numeric type.
fn sql_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Int8 => "TINYINT".into(),
        DataType::Int16 => "SMALLINT".into(),
        DataType::Int32 => "INT".into(),
        DataType::Int64 => "BIGINT".into(),
        DataType::Float32 => "FLOAT".into(),
        DataType::Float64 => "DOUBLE".into(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        other => other.to_string(),
    }
}

/// Accumulators for `function(arg_types)` with results of `return_type`.
///
/// `function` is `count` (without arguments COUNT(*)), `sum`, `avg`, `min` or `max`. With `append_only` MIN and MAX
/// keep one value per slot and refuse negative weights; otherwise they keep a counted ordered multiset. Partials can
/// be merged into MIN and MAX only with `append_only`.
///
/// # Errors
/// [`AggregateError::Unknown`] for any other function or types.
pub fn accumulator(
    function: &str,
    arg_types: &[DataType],
    return_type: &DataType,
    append_only: bool,
) -> Result<Box<dyn GroupedAccumulator>, AggregateError> {
    let made = match (function, arg_types) {
        ("count", _) if *return_type == DataType::Int64 => Some(count::build()),
        ("sum", [arg]) => sum::build(sum::Function::Sum, arg, return_type),
        ("avg", [arg]) => sum::build(sum::Function::Avg, arg, return_type),
        ("min", [arg]) if arg == return_type => extreme::build(extreme::Side::Min, arg, append_only),
        ("max", [arg]) if arg == return_type => extreme::build(extreme::Side::Max, arg, append_only),
        _ => None,
    };
    made.ok_or_else(|| AggregateError::Unknown {
        function: function.to_uppercase(),
        args: arg_types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    })
}

/// One aggregate's accumulators for all groups of a shard.
///
/// # Contract
/// - Slots are `< slots` of the last [`resize`](Self::resize). A new or cleared slot holds the empty accumulator.
/// - `slots[i]` is the slot of row `i` of the arguments.
/// - Weights may pass through negative totals between two calls of [`evaluate`](Self::evaluate): in which order the
///   changes of an epoch arrive does not matter. What is still negative when a result is asked for is an error.
/// - Accumulating a row and then the same row with the opposite weight restores the value exactly (I4), unless
///   the accumulator was made for append-only input.
pub trait GroupedAccumulator: Send {
    /// Makes room for slots `0..slots`.
    fn resize(&mut self, slots: usize);

    /// Adds rows with their weights (negative: takes back). Rows with a NULL argument (but COUNT(*)) and rows whose
    /// `filter` is not TRUE do not count.
    ///
    /// # Errors
    /// Overflow; a negative weight where only insertions were announced.
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
    /// Overflow of the result type; more was taken back than was accumulated.
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
