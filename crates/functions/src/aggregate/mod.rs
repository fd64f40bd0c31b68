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
//! | `moments`, `exact_sums` | variance, standard deviation, covariance, correlation, without drift |
//! | `booleans`, `bits` | BOOL_AND and BOOL_OR; BIT_AND, BIT_OR, BIT_XOR |
//! | `value_list` | ARRAY_AGG, STRING_AGG, COLLECT, ANY_VALUE, FIRST_VALUE and LAST_VALUE with ORDER BY |
//! | `arrival` | FIRST_VALUE and LAST_VALUE without ORDER BY |
//! | `percentile` | PERCENTILE_CONT, of which MEDIAN and PERCENTILE are spellings |
//! | `state_column` | partials that are stored accumulators |
//! | [`batch`] | the same aggregates for DataFusion's planner and batch execution |

mod arrival;
pub mod batch;
mod bits;
mod booleans;
mod bytes;
mod count;
mod encoding;
mod exact;
mod exact_sums;
mod extreme;
mod float_sum;
mod moments;
mod multiset;
mod percentile;
mod rows;
mod state_column;
mod sum;
#[cfg(test)]
mod tests;
mod value_list;
#[cfg(test)]
mod value_tests;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::compute::SortOptions;
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

/// How an aggregate reads its values as a list.
#[derive(Debug, Clone, Default)]
pub struct ListOptions {
    /// The columns of ORDER BY, which follow the argument.
    pub order: Vec<ListOrder>,
    /// Equal values count once.
    pub once: bool,
    /// What stands between the texts of `string_agg`.
    pub separator: String,
    /// Which part of the values of `percentile_cont` lies below the result, from 0 to 1.
    pub fraction: f64,
}

/// A column of an ORDER BY inside an aggregate.
#[derive(Debug, Clone)]
pub struct ListOrder {
    /// Its type.
    pub data_type: DataType,
    /// Which way.
    pub options: SortOptions,
}

/// Accumulators for `function(arg_types)` with results of `return_type`.
///
/// | `function` | arguments | `append_only` matters |
/// |---|---|---|
/// | `count` | any, or none: COUNT(*) | |
/// | `sum`, `avg` | a number | |
/// | `min`, `max` | anything with an order | yes |
/// | `var_pop`, `var`, `stddev_pop`, `stddev` | DOUBLE | |
/// | `covar_pop`, `covar_samp`, `corr` | DOUBLE, DOUBLE | |
/// | `bool_and`, `bool_or` | BOOLEAN | |
/// | `bit_and`, `bit_or`, `bit_xor` | an integer | yes (but `bit_xor`) |
/// | `array_agg`, `collect` | any | |
/// | `string_agg` | STRING | |
/// | `any_value`, `first_value`, `last_value` | any | yes |
/// | `percentile_cont` | FLOAT or DOUBLE | |
///
/// Where `append_only` matters, accumulators made with it keep one value per slot and refuse negative weights; others
/// keep enough to take values back. Partials can be merged into those only with `append_only`. `first_value` and `last_value`
/// without `list.order` go by arrival and are there only with `append_only`.
///
/// # Errors
/// [`AggregateError::Unknown`] for any other function or types.
pub fn accumulator(
    function: &str,
    arg_types: &[DataType],
    return_type: &DataType,
    append_only: bool,
    list: &ListOptions,
) -> Result<Box<dyn GroupedAccumulator>, AggregateError> {
    use value_list::Made;
    let by_arrival = list.order.is_empty();
    let listed = |made: Made, arg: &DataType| value_list::build(made, arg, return_type, append_only, list);
    let bits = |operation: bits::Operation, arg: &DataType| bits::build(operation, arg, append_only);
    let made = match (function, arg_types) {
        ("count", _) if *return_type == DataType::Int64 => Some(count::build()),
        ("sum", [arg]) => sum::build(sum::Function::Sum, arg, return_type),
        ("avg", [arg]) => sum::build(sum::Function::Avg, arg, return_type),
        ("min", [arg]) if arg == return_type => extreme::build(extreme::Side::Min, arg, append_only),
        ("max", [arg]) if arg == return_type => extreme::build(extreme::Side::Max, arg, append_only),
        ("bool_and" | "bool_or", [DataType::Boolean]) => Some(booleans::build(function == "bool_and")),
        ("bit_and", [arg]) if arg == return_type => bits(bits::Operation::And, arg),
        ("bit_or", [arg]) if arg == return_type => bits(bits::Operation::Or, arg),
        ("bit_xor", [arg]) if arg == return_type => bits(bits::Operation::Xor, arg),
        ("array_agg", [arg]) => listed(Made::Array, arg),
        ("string_agg", [arg]) => listed(Made::Text, arg),
        ("collect", [arg]) => listed(Made::Counts, arg),
        ("any_value", [arg]) => listed(Made::Any, arg),
        ("first_value" | "last_value", [arg]) if by_arrival && append_only && arg == return_type => {
            arrival::build(function == "last_value", arg)
        }
        ("first_value", [arg]) if !by_arrival => listed(Made::First, arg),
        ("last_value", [arg]) if !by_arrival => listed(Made::Last, arg),
        ("percentile_cont", [arg]) => percentile::build(arg, return_type, list),
        (moment, args) => moments::Moment::named(moment).and_then(|m| moments::build(m, args, return_type)),
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

    /// As [`partials`](Self::partials), with nothing rounded, for an accumulator of the same kind at the same place.
    ///
    /// # Errors
    /// Overflow.
    fn exact_partials(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, AggregateError> {
        self.partials(slots)
    }

    /// Adds what [`exact_partials`](Self::exact_partials) gave.
    ///
    /// # Errors
    /// Overflow.
    fn merge_exact(&mut self, slots: &[u32], partials: &[ArrayRef]) -> Result<(), AggregateError> {
        self.merge(slots, partials)
    }

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
