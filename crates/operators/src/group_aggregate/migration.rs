//! The state of a grouped aggregate, as that of one that computes other aggregates of the same groups, or of keys and arguments of
//! wider types. That of a windowed one has the slice before the key, and is the same else.

use super::state::GROUPS;
use crate::OperatorError;
use crate::aggregation::accumulator_of;
use crate::closed::WATERMARK;
use crate::migration::{MigratedEntry, Recode};
use arrow::array::ArrayRef;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use eddyline_changes::hash::hash_columns;
use eddyline_changes::{KeyGroup, KeyGroups, Weights};
use eddyline_functions::aggregate::GroupedAccumulator;
use eddyline_plan::AggregateCall;
use eddyline_plan::aggregate::partial_fields;
use eddyline_state::{StateError, TableId, stored_head_bytes};
use std::ops::Range;

/// Where a new aggregate's accumulator comes from. Numbers are those of old aggregates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccumulatorSource {
    /// The same aggregate, or one whose accumulator is the same: SUM and AVG.
    Same(usize),
    /// The same aggregate over values of a narrower type.
    Narrower(usize),
    /// COUNT of the values that SUM or AVG has added up.
    CountOf(usize),
    /// COUNT(*): a group knows how many rows it has.
    Rows,
    /// Nothing: it counts from here on.
    Nothing,
}

/// What the state was and is to be.
#[derive(Debug, Clone)]
pub struct AggregateMigrationSpec {
    /// Types of the key, as they were and as they are to be.
    pub keys: [Vec<DataType>; 2],
    /// The aggregates as they were.
    pub old: Vec<AggregateCall>,
    /// The aggregates as they are to be.
    pub new: Vec<AggregateCall>,
    /// Where each of the new ones comes from.
    pub sources: Vec<AccumulatorSource>,
    /// The rows that are aggregated are only inserted.
    pub append_only: bool,
    /// A slice of time stands before the key, and the watermark beside the groups.
    pub has_slices: bool,
}

/// Migrates entries of the phases `Single` and `Global`. DISTINCT aggregates are the same before and after.
pub(crate) struct AggregateMigration {
    spec: AggregateMigrationSpec,
    old: Vec<Box<dyn GroupedAccumulator>>,
    new: Vec<Box<dyn GroupedAccumulator>>,
    groups: KeyGroups,
    /// By table; `None`: keys stay as they are.
    keys: Option<Vec<KeyMigration>>,
}

impl AggregateMigration {
    /// # Errors
    /// Aggregates that are not known, or whose sources do not fit them.
    pub(crate) fn new(spec: AggregateMigrationSpec, groups: KeyGroups) -> Result<Self, OperatorError> {
        let accumulators = |calls: &[AggregateCall]| {
            calls
                .iter()
                .map(|call| {
                    let mut accumulator = accumulator_of(call, spec.append_only)?;
                    accumulator.resize(1);
                    Ok(accumulator)
                })
                .collect::<Result<Vec<_>, OperatorError>>()
        };
        let (old, new) = (accumulators(&spec.old)?, accumulators(&spec.new)?);
        let keys = if spec.keys[0] == spec.keys[1] { None } else { Some(key_migrations(&spec)?) };
        Ok(Self { spec, old, new, groups, keys })
    }

    /// What becomes of an entry.
    ///
    /// # Errors
    /// It is none of this operator.
    pub(crate) fn entry(
        &mut self,
        table: TableId,
        group: KeyGroup,
        key: &[u8],
        value: &[u8],
    ) -> Result<MigratedEntry, OperatorError> {
        if self.spec.has_slices && table == WATERMARK {
            return Ok((table, group, key.to_vec(), value.to_vec()));
        }
        let (group, key) = match &self.keys {
            None => (group, key.to_vec()),
            Some(keys) => keys.get(usize::from(table)).ok_or_else(damaged)?.migrated(key, self.groups)?,
        };
        let value = if table == GROUPS { self.value(value)? } else { value.to_vec() };
        Ok((table, group, key, value))
    }

    /// Version, when it was touched, and number of rows stay; accumulators follow.
    fn value(&mut self, value: &[u8]) -> Result<Vec<u8>, OperatorError> {
        let rows_at = stored_head_bytes(value);
        let (head, mut rest) = value.split_at_checked(rows_at + 8).ok_or_else(damaged)?;
        let rows = head[rows_at..].try_into().map(i64::from_le_bytes).map_err(|_| damaged())?;
        let mut saved: Vec<&[u8]> = Vec::with_capacity(self.old.len());
        for accumulator in &mut self.old {
            let before = rest;
            accumulator.load(0, &mut rest)?;
            saved.push(&before[..before.len() - rest.len()]);
        }
        let mut out = head.to_vec();
        for (at, source) in self.spec.sources.iter().enumerate() {
            let (accumulator, call) = (&mut self.new[at], &self.spec.new[at]);
            accumulator.clear(0);
            match *source {
                AccumulatorSource::Same(from) => {
                    out.extend_from_slice(saved[from]);
                    continue;
                }
                AccumulatorSource::Narrower(from) => {
                    let types = partial_fields(at, call).iter().map(|f| f.data_type().clone()).collect::<Vec<_>>();
                    let partials = all_cast(&self.old[from].partials(&[0])?, &types)?;
                    accumulator.merge(&[0], &partials)?;
                }
                AccumulatorSource::CountOf(from) => {
                    let partials = self.old[from].partials(&[0])?;
                    accumulator.merge(&[0], &partials[1..2])?;
                }
                AccumulatorSource::Rows => {
                    accumulator.accumulate(&[0], &[], &Weights::from_vec(vec![rows]), None)?;
                }
                AccumulatorSource::Nothing => {}
            }
            accumulator.save(0, &mut out);
        }
        Ok(out)
    }
}

/// Keys of a table in other types.
struct KeyMigration {
    keys: Recode,
    /// The columns that decide the key group.
    distribution: Range<usize>,
}

impl KeyMigration {
    fn migrated(&self, key: &[u8], groups: KeyGroups) -> Result<(KeyGroup, Vec<u8>), OperatorError> {
        let columns = self.keys.columns(key)?;
        let hashes = hash_columns(&columns[self.distribution.clone()], 1)?;
        Ok((groups.group_of(hashes[0]), self.keys.bytes(&columns)?))
    }
}

fn key_migrations(spec: &AggregateMigrationSpec) -> Result<Vec<KeyMigration>, OperatorError> {
    let [from, to] = &spec.keys;
    let slice = usize::from(spec.has_slices);
    let table = |values: &[DataType]| {
        let slices = (0..slice).map(|_| [DataType::Int64, DataType::Int64]);
        let keys = from.iter().zip(to).map(|(from, to)| [from.clone(), to.clone()]);
        let values = values.iter().map(|value| [value.clone(), value.clone()]);
        let keys = Recode::ascending(slices.chain(keys).chain(values))?;
        Ok::<_, OperatorError>(KeyMigration { keys, distribution: slice..slice + to.len() })
    };
    let mut tables = vec![table(&[])?];
    let mut sets: Vec<&[usize]> = Vec::new();
    for call in spec.new.iter().filter(|c| c.distinct) {
        if !sets.contains(&call.args.as_slice()) {
            sets.push(&call.args);
            tables.push(table(&call.arg_types)?);
        }
    }
    Ok(tables)
}

fn all_cast(columns: &[ArrayRef], types: &[DataType]) -> Result<Vec<ArrayRef>, OperatorError> {
    columns.iter().zip(types).map(|(column, to)| Ok(cast(column, to)?)).collect()
}

fn damaged() -> OperatorError {
    OperatorError::State(StateError::Corrupt { table: "groups".into(), message: "an entry is too short".into() })
}
