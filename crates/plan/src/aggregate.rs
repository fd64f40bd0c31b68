//! Grouped aggregates and their phases.
//!
//! **Single** reads rows and keeps the state. When the rows of a group are spread over shards it is cheaper, and
//! safe against a hot key, to aggregate before the exchange: **Local** keeps nothing between epochs and emits at
//! each flush what its rows add to every group (partials), **Global** merges partials into the state.
//!
//! DISTINCT needs one counted set per group and column, which may be large while there are few groups (a count
//! of distinct users per day). So there is a step between: **Distinct** owns the counted sets, dealt out to
//! shards by *value*, and emits partials of the distinct aggregates for Global to merge:
//!
//! ```text
//! rows ─ Local ──exchange by (keys, set, value)── Distinct ──exchange by keys── Global
//! ```
//! One counted set serves all DISTINCT aggregates over the same column: it counts, per value, how many rows
//! pass each of the FILTERs.

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use std::sync::Arc;

/// One aggregate: `function([DISTINCT] args) FILTER (WHERE filter)`. Arguments and filter are input columns.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AggregateCall {
    /// Canonical lower-case name, as the module `aggregate` of the functions lists them; COUNT(*) is `count` without
    /// arguments.
    pub function: String,
    /// Argument columns.
    pub args: Vec<usize>,
    /// Their types.
    pub arg_types: Vec<DataType>,
    /// Only distinct arguments count, by a counted set beside the accumulator. Never set where it means nothing
    /// (`min`, `max`, `bool_and`, …), nor for aggregates that keep all their values ([`ValueList::once`]).
    pub distinct: bool,
    /// A BOOLEAN column: rows where it is not TRUE do not count.
    pub filter: Option<usize>,
    /// Type of the result.
    pub return_type: DataType,
    /// Name of the result column.
    pub name: String,
    /// For aggregates over a list of values (`array_agg`, `string_agg`, `first_value`, `percentile_cont`, …): how they
    /// read it.
    pub list: ValueList,
}

/// How an aggregate reads its values as a list. Without ORDER BY the values come in their own order, whatever order
/// the rows came in; but `first_value` and `last_value` go by arrival then.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ValueList {
    /// ORDER BY; among equals the value decides.
    pub order: Vec<ValueOrder>,
    /// Equal values count once (DISTINCT).
    pub once: bool,
    /// What stands between the texts of `string_agg`.
    pub separator: String,
    /// Which part of the values of `percentile_cont` lies below the result: the bits of a DOUBLE from 0 to 1.
    pub fraction_bits: u64,
}

/// One column of an ORDER BY inside an aggregate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ValueOrder {
    /// Column of the rows.
    pub column: usize,
    /// Its type.
    pub data_type: DataType,
    /// Greatest first.
    pub descending: bool,
    /// NULL before everything else.
    pub nulls_first: bool,
}

impl AggregateCall {
    /// The columns that its accumulator reads: arguments, then those of ORDER BY.
    pub fn columns(&self) -> impl Iterator<Item = usize> + '_ {
        self.args.iter().copied().chain(self.list.order.iter().map(|o| o.column))
    }

    /// The result column.
    pub fn field(&self) -> FieldRef {
        let nullable = self.function != "count";
        Arc::new(Field::new(&self.name, self.return_type.clone(), nullable))
    }
}

/// Which part of an aggregation an operator does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AggregatePhase {
    /// All of it: rows in, results out.
    Single,
    /// Before the exchange: rows in, partials out, no state between epochs.
    Local,
    /// Between two exchanges: counted sets of distinct values, partials in and out.
    Distinct,
    /// After the exchange: partials in, results out.
    Global,
}

/// `GROUP BY keys`, maintained: at each flush one retraction and one insertion per group that changed.
///
/// A group exists while its rows' weights add up to more than 0. Without keys there is one group which always
/// exists (`COUNT(*)` over nothing is one row with 0), held by the shard that owns the empty key; it is emitted
/// at the first flush.
///
/// | phase | input | output |
/// |---|---|---|
/// | Single | rows | keys, then one column per call |
/// | Local | rows | [`partial_schema`](Self::partial_schema) |
/// | Distinct | partial schema | partial schema, every `set` = 0 |
/// | Global | partial schema, `set` = 0 | keys, then one column per call |
///
/// With no calls this is DISTINCT.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GroupAggregateSpec {
    /// Key columns: of the rows; after `Local`, `0..keys.len()`.
    pub keys: Vec<usize>,
    /// The aggregates. Column numbers refer to the rows that `Single` or `Local` reads.
    pub calls: Vec<AggregateCall>,
    /// Which part of the aggregation this is.
    pub phase: AggregatePhase,
    /// True when the rows that `Single` or `Local` reads are never retracted: MIN and MAX then keep one value.
    pub append_only: bool,
}

impl GroupAggregateSpec {
    /// Argument lists of the DISTINCT calls, each once, in order of appearance: the counted sets.
    /// `set` number `s` in a partial stands for element `s - 1`.
    pub fn distinct_sets(&self) -> Vec<Vec<usize>> {
        let mut sets: Vec<Vec<usize>> = Vec::new();
        for call in self.calls.iter().filter(|c| c.distinct) {
            if !sets.contains(&call.args) {
                sets.push(call.args.clone());
            }
        }
        sets
    }

    /// What travels between the phases. A row of set 0 carries partials; a row of set `s > 0` carries one value
    /// of counted set `s` and how often it occurred.
    ///
    /// - the key columns,
    /// - `rows BIGINT`: Σ weight of the input rows it stands for, which decides whether a group exists (set 0 only, else 0),
    /// - for each call its [`partial_fields`] (NULL where the set is not 0),
    /// - only when there are DISTINCT calls: `set TINYINT`; for each counted set its value columns `set<s>_<i>`
    ///   (NULL elsewhere); for each DISTINCT call `seen<call> BIGINT`: Σ weight of the rows with that value that
    ///   pass the call's filter (0 elsewhere).
    ///
    /// `input` is the schema of the rows.
    pub fn partial_schema(&self, input: &Schema) -> SchemaRef {
        let mut fields: Vec<FieldRef> = self.keys.iter().map(|k| input.fields()[*k].clone()).collect();
        fields.push(Arc::new(Field::new("rows", DataType::Int64, false)));
        for (at, call) in self.calls.iter().enumerate() {
            fields.extend(partial_fields(at, call));
        }
        let sets = self.distinct_sets();
        if !sets.is_empty() {
            fields.push(Arc::new(Field::new("set", DataType::Int8, false)));
            for (s, args) in sets.iter().enumerate() {
                for (i, arg) in args.iter().enumerate() {
                    let data_type = input.field(*arg).data_type().clone();
                    fields.push(Arc::new(Field::new(format!("set{}_{i}", s + 1), data_type, true)));
                }
            }
            for (at, _) in self.calls.iter().enumerate().filter(|(_, c)| c.distinct) {
                fields.push(Arc::new(Field::new(format!("seen{at}"), DataType::Int64, false)));
            }
        }
        Arc::new(Schema::new(fields))
    }

    /// The output schema over `input`, the schema of what this phase reads.
    pub fn output_schema(&self, input: &Schema) -> SchemaRef {
        match self.phase {
            AggregatePhase::Local => self.partial_schema(input),
            AggregatePhase::Distinct => Arc::new(input.clone()),
            AggregatePhase::Single | AggregatePhase::Global => {
                let keys = self.keys.iter().map(|k| input.fields()[*k].clone());
                Arc::new(Schema::new(keys.chain(self.calls.iter().map(AggregateCall::field)).collect::<Vec<_>>()))
            }
        }
    }

    /// Columns by which rows for the phase `Distinct` are dealt out: keys, `set` and all value columns.
    pub fn distinct_distribution(&self, partial: &Schema) -> Vec<usize> {
        let set = partial.index_of("set").unwrap_or(partial.fields().len());
        let seen = self.calls.iter().filter(|c| c.distinct).count();
        (0..self.keys.len()).chain(set..partial.fields().len() - seen).collect()
    }
}

/// The columns in which call number `at` travels between phases. They are changes since the last flush.
///
/// | functions | columns |
/// |---|---|
/// | `count` | how many |
/// | `sum`, `avg` | the sum (in the type in which it is kept), how many |
/// | `min`, `max`, `bit_and`, `bit_or` | the result among the rows (append-only input only) |
/// | `bool_and`, `bool_or` | how many are TRUE, how many FALSE |
/// | `bit_xor` | the result, how many |
/// | all others | the accumulator as it is stored: nothing is rounded on the way |
pub fn partial_fields(at: usize, call: &AggregateCall) -> Vec<FieldRef> {
    let field = |suffix: &str, t: DataType| Arc::new(Field::new(format!("p{at}_{suffix}"), t, true));
    match call.function.as_str() {
        "count" => vec![field("count", DataType::Int64)],
        "sum" | "avg" => vec![field("sum", sum_type(&call.arg_types[0])), field("count", DataType::Int64)],
        "min" | "max" | "bit_and" | "bit_or" => vec![field("value", call.return_type.clone())],
        "bool_and" | "bool_or" => vec![field("trues", DataType::Int64), field("falses", DataType::Int64)],
        "bit_xor" => vec![field("value", call.return_type.clone()), field("count", DataType::Int64)],
        _ => vec![field("state", DataType::Binary)],
    }
}

/// The type in which SUM and AVG accumulate values of type `arg`: exact 128-bit integers (as DECIMAL(38,0)) for
/// integers, DECIMAL(38, s) for decimals, DOUBLE for floating point.
pub fn sum_type(arg: &DataType) -> DataType {
    match arg {
        DataType::Decimal128(_, scale) => DataType::Decimal128(38, *scale),
        DataType::Float32 | DataType::Float64 => DataType::Float64,
        _ => DataType::Decimal128(38, 0),
    }
}
