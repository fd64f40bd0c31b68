//! Which part of the order a condition on the first columns of the key leaves.

use super::OrderedRows;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use eddyline_plan::{ColumnCondition, Compare};
use std::collections::BTreeSet;

/// With more parts of an order than these it is not looked for more of them.
const RANGES_MAX: usize = 4096;

/// The parts of an order in which some rows are.
#[derive(Debug)]
pub(super) struct Found {
    /// In that order; no two of them have a key in common.
    pub(super) ranges: Vec<KeyRange>,
    /// So many of the first columns have one value in all of them.
    pub(super) fixed: usize,
    /// How much of the key that took: more is better.
    pub(super) by: Narrowed,
}

/// How much of a key conditions say, from its first column on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Narrowed {
    /// All of it: there is one such row.
    is_whole: bool,
    /// Else so many columns have one value, or one of several.
    equal: usize,
    /// The next one is in a range.
    is_ranged: bool,
}

/// Keys from one on up to, and without, another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyRange {
    pub(super) from: Vec<u8>,
    /// `None`: to the end.
    pub(super) to: Option<Vec<u8>>,
}

impl KeyRange {
    /// All keys.
    pub(super) fn all() -> Self {
        Self { from: Vec::new(), to: None }
    }

    /// Keys that begin so.
    pub(super) fn beginning_with(start: Vec<u8>) -> Self {
        let to = behind(&start);
        Self { from: start, to }
    }
}

/// The first key behind all that begin so; `None`: there is none.
fn behind(start: &[u8]) -> Option<Vec<u8>> {
    let last = start.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut key = start[..=last].to_vec();
    key[last] += 1;
    Some(key)
}

impl OrderedRows {
    /// The parts of the order in which rows can be that satisfy all conditions; a value that is not of its column's type says nothing here.
    /// Rows that do not satisfy them may be there too.
    ///
    /// # Errors
    /// None for columns of this schema.
    pub(super) fn range_of(&self, conditions: &[ColumnCondition]) -> Result<Found, ArrowError> {
        let (mut starts, mut fixed) = (vec![Vec::new()], 0);
        for (equal, (column, options)) in self.key.iter().zip(self.options.iter()).enumerate() {
            let data_type = self.schema.field(*column).data_type();
            let fits = |c: &&ColumnCondition| c.column == *column && c.value.data_type() == data_type;
            let here = conditions.iter().filter(fits).filter(|c| is_exact(&c.value));
            let one_of = here.clone().filter(|c| c.compare.is_none()).min_by_key(|c| c.value.len());
            if let Some(one_of) = one_of.filter(|c| starts.len().saturating_mul(c.value.len()) <= RANGES_MAX) {
                let values = encoded(&one_of.value, *options)?;
                starts = continued(&starts, &values);
                fixed += usize::from(values.len() == 1 && fixed == equal);
                continue;
            }
            let compared: Vec<&ColumnCondition> = here.filter(|c| c.compare.is_some()).collect();
            let range = |start: &Vec<u8>| -> Result<KeyRange, ArrowError> {
                let mut range = KeyRange::beginning_with(start.clone());
                for ColumnCondition { compare, value, .. } in &compared {
                    let compare = if options.descending { compare.map(Compare::turned) } else { *compare };
                    for value in encoded(value, *options)? {
                        range.narrow(compare, [start.as_slice(), &value].concat());
                    }
                }
                Ok(range)
            };
            let ranges = starts.iter().map(range).collect::<Result<_, _>>()?;
            let by = Narrowed { is_whole: false, equal, is_ranged: !compared.is_empty() };
            return Ok(Found { ranges, fixed, by });
        }
        let by = Narrowed { is_whole: true, equal: 0, is_ranged: false };
        Ok(Found { ranges: starts.into_iter().map(KeyRange::beginning_with).collect(), fixed, by })
    }

    /// Do rows in these parts of the order, one behind the other, stand in the order of other columns? `Some(true)`: from the last to the first.
    pub(super) fn is_sorted_by(&self, found: &Found, sort: &[(usize, SortOptions)]) -> Option<bool> {
        let fixed = &self.key[..found.fixed];
        // What has one value orders nothing.
        let sort = || sort.iter().filter(|(column, _)| !fixed.contains(column));
        let key: Vec<(usize, SortOptions)> = self.key.iter().copied().zip(self.options.iter().copied()).collect();
        let key = &key[found.fixed..];
        let is_so = |turned: bool| {
            let as_said = |(said, is): (&(usize, SortOptions), &(usize, SortOptions))| {
                let options =
                    SortOptions { descending: is.1.descending != turned, nulls_first: is.1.nulls_first != turned };
                // What cannot be NULL stands nowhere among NULLs.
                let nulls = |of: SortOptions| self.schema.field(is.0).is_nullable().then_some(of.nulls_first);
                said.0 == is.0 && said.1.descending == options.descending && nulls(said.1) == nulls(options)
            };
            // Behind a whole key there is one row at most.
            sort().zip(key).all(as_said)
        };
        [false, true].into_iter().find(|turned| is_so(*turned))
    }
}

impl KeyRange {
    /// Leaves out what does not compare so with the keys that begin with `start`.
    fn narrow(&mut self, compare: Option<Compare>, start: Vec<u8>) {
        match compare {
            // All keys of the range begin with it.
            None => {}
            Some(Compare::Less) => self.end_before(Some(start)),
            Some(Compare::LessEqual) => self.end_before(behind(&start)),
            Some(Compare::GreaterEqual) => self.begin_at(Some(start)),
            Some(Compare::Greater) => self.begin_at(behind(&start)),
        }
    }

    fn end_before(&mut self, key: Option<Vec<u8>>) {
        if let Some(key) = key
            && self.to.as_ref().is_none_or(|to| key < *to)
        {
            self.to = Some(key);
        }
    }

    fn begin_at(&mut self, key: Option<Vec<u8>>) {
        match key {
            Some(key) if key > self.from => self.from = key,
            Some(_) => {}
            None => self.to = Some(self.from.clone()),
        }
    }
}

/// Does a value compare with others as its bytes do? In floating point, zero is there twice, and NaN in many ways.
fn is_exact(value: &ArrayRef) -> bool {
    match value.data_type() {
        DataType::Float64 => value.as_primitive::<Float64Type>().iter().flatten().all(|v| v != 0.0 && !v.is_nan()),
        DataType::Float32 => value.as_primitive::<Float32Type>().iter().flatten().all(|v| v != 0.0 && !v.is_nan()),
        other => !other.is_nested() && !other.is_floating(),
    }
}

/// Values as the column of a key, in its order, each once. NULL stands at one end, and is equal to nothing: what is compared with it finds what
/// satisfies no condition.
fn encoded(values: &ArrayRef, options: SortOptions) -> Result<BTreeSet<Vec<u8>>, ArrowError> {
    let converter = RowConverter::new(vec![SortField::new_with_options(values.data_type().clone(), options)])?;
    Ok(converter.convert_columns(std::slice::from_ref(values))?.iter().map(|row| row.data().to_vec()).collect())
}

/// Each of these starts of keys with each of these columns behind it.
fn continued(starts: &[Vec<u8>], values: &BTreeSet<Vec<u8>>) -> Vec<Vec<u8>> {
    starts.iter().flat_map(|start| values.iter().map(|value| [start.as_slice(), value].concat())).collect()
}
