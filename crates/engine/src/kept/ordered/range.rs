//! Which part of the order a condition on the first columns of the key leaves.

use super::OrderedRows;
use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use eddyline_plan::{ColumnCondition, Compare};

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
    pub(super) fn range_of(&self, conditions: &[ColumnCondition]) -> Result<KeyRange, ArrowError> {
        let mut start = Vec::new();
        for column in self.key.iter() {
            let data_type = self.schema.field(*column).data_type();
            let fits = |c: &&ColumnCondition| c.column == *column && c.value.data_type() == data_type;
            let here = conditions.iter().filter(fits).filter(|_| is_exact(data_type));
            if let Some(equal) = here.clone().find(|c| c.compare.is_none()) {
                start.extend(encoded(&equal.value)?);
                continue;
            }
            let mut range = KeyRange::beginning_with(start.clone());
            for ColumnCondition { compare, value, .. } in here {
                range.narrow(*compare, [start.as_slice(), &encoded(value)?].concat());
            }
            return Ok(range);
        }
        Ok(KeyRange::beginning_with(start))
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

/// Are values equal only when their bytes are? Floating point has two zeros, and its NaNs.
fn is_exact(data_type: &DataType) -> bool {
    !data_type.is_nested() && !data_type.is_floating()
}

/// A value as the column of a key. NULL is less than everything, and equal to nothing: what is compared with it finds what satisfies no condition.
fn encoded(value: &ArrayRef) -> Result<Vec<u8>, ArrowError> {
    let converter = RowConverter::new(vec![SortField::new(value.data_type().clone())])?;
    Ok(converter.convert_columns(std::slice::from_ref(value))?.row(0).data().to_vec())
}
