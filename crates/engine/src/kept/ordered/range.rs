//! Which part of the order a condition on the first columns of the key leaves.

use super::OrderedRows;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use eddyline_plan::{ColumnCondition, Compare};

/// The part of an order in which some rows are.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) range: KeyRange,
    /// How much of the key that took: more is better.
    pub(super) by: Narrowed,
}

/// How much of a key conditions say, from its first column on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Narrowed {
    /// All of it: there is one such row.
    is_whole: bool,
    /// Else so many columns have one value.
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
    fn beginning_with(start: Vec<u8>) -> Self {
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
    /// The part of the order in which rows can be that satisfy all conditions; a value that is not of its column's type says nothing here.
    /// Rows that do not satisfy them may be there too.
    ///
    /// # Errors
    /// None for columns of this schema.
    pub(super) fn range_of(&self, conditions: &[ColumnCondition]) -> Result<Found, ArrowError> {
        let mut start = Vec::new();
        for (equal, (column, options)) in self.key.iter().zip(self.options.iter()).enumerate() {
            let data_type = self.schema.field(*column).data_type();
            let fits = |c: &&ColumnCondition| c.column == *column && c.value.data_type() == data_type;
            let here = conditions.iter().filter(fits).filter(|c| is_exact(&c.value));
            if let Some(equal) = here.clone().find(|c| c.compare.is_none()) {
                start.extend(encoded(&equal.value, *options)?);
                continue;
            }
            let (mut range, mut is_ranged) = (KeyRange::beginning_with(start.clone()), false);
            for ColumnCondition { compare, value, .. } in here {
                let compare = if options.descending { compare.map(Compare::turned) } else { *compare };
                range.narrow(compare, [start.as_slice(), &encoded(value, *options)?].concat());
                is_ranged = true;
            }
            return Ok(Found { range, by: Narrowed { is_whole: false, equal, is_ranged } });
        }
        let by = Narrowed { is_whole: true, equal: 0, is_ranged: false };
        Ok(Found { range: KeyRange::beginning_with(start), by })
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

/// A value as the column of a key. NULL stands at one end, and is equal to nothing: what is compared with it finds what satisfies no condition.
fn encoded(value: &ArrayRef, options: SortOptions) -> Result<Vec<u8>, ArrowError> {
    let converter = RowConverter::new(vec![SortField::new_with_options(value.data_type().clone(), options)])?;
    Ok(converter.convert_columns(std::slice::from_ref(value))?.row(0).data().to_vec())
}
