use crate::OperatorError;
use crate::aggregation::BATCH_ROWS_MAX;
use arrow::array::{Array, ArrayRef, AsArray, Int32Array, UInt32Array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::take;
use arrow::datatypes::DataType;

/// A column of lists: where the elements of every row are.
pub(super) struct Lists {
    offsets: OffsetBuffer<i32>,
    nulls: Option<NullBuffer>,
    /// The elements of all rows; rows that are NULL may have some, too.
    values: ArrayRef,
}

impl Lists {
    /// Of an ARRAY or MAP column.
    pub(super) fn of(column: &ArrayRef) -> Option<Self> {
        match column.data_type() {
            DataType::List(_) => {
                let (_, offsets, values, nulls) = column.as_list::<i32>().clone().into_parts();
                Some(Self { offsets, nulls, values })
            }
            DataType::Map(..) => {
                let (_, offsets, entries, nulls, _) = column.as_map().clone().into_parts();
                Some(Self { offsets, nulls, values: std::sync::Arc::new(entries) })
            }
            _ => None,
        }
    }

    #[inline]
    fn len(&self, row: usize) -> usize {
        match &self.nulls {
            Some(nulls) if nulls.is_null(row) => 0,
            _ => (self.offsets[row + 1] - self.offsets[row]) as usize,
        }
    }

    fn start(&self, row: usize) -> usize {
        self.offsets[row] as usize
    }
}

/// Which rows come out, by element; at most [`BATCH_ROWS_MAX`], so that a long list takes no more than its elements.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Row of the input.
    pub(super) rows: Vec<u32>,
    /// Number of the element in its row, from 0; rows without elements have [`NOTHING`].
    numbers: Vec<i32>,
    /// Is there a row without elements?
    has_nothing: bool,
}

const NOTHING: i32 = -1;

impl Places {
    /// All elements of `lists`, which have `rows` rows; of rows without any, `outer` keeps one place.
    pub(super) fn of(lists: &[Lists], rows: usize, outer: bool) -> impl Iterator<Item = Self> {
        let (mut row, mut number) = (0, 0);
        std::iter::from_fn(move || {
            let mut places = Self::default();
            while row < rows && places.rows.len() < BATCH_ROWS_MAX {
                let len = lists.iter().map(|l| l.len(row)).max().unwrap_or(0);
                let end = len.min(number + BATCH_ROWS_MAX - places.rows.len());
                places.numbers.extend(number as i32..end as i32);
                if len == 0 && outer {
                    places.numbers.push(NOTHING);
                    places.has_nothing = true;
                }
                places.rows.resize(places.numbers.len(), row as u32);
                (row, number) = if end == len { (row + 1, 0) } else { (row, end) };
            }
            (!places.rows.is_empty()).then_some(places)
        })
    }

    /// The numbers of the elements, from 1.
    pub(super) fn ordinality(&self) -> Int32Array {
        self.numbers.iter().map(|n| (*n != NOTHING).then_some(n + 1)).collect()
    }

    /// The elements of one of the lists.
    pub(super) fn elements(&self, lists: &Lists) -> Result<ArrayRef, OperatorError> {
        if let Some(from) = self.unbroken(lists) {
            return Ok(lists.values.slice(from, self.rows.len()));
        }
        let index = |(row, number): (&u32, &i32)| {
            let row = *row as usize;
            (*number != NOTHING && (*number as usize) < lists.len(row))
                .then(|| (lists.start(row) + *number as usize) as u32)
        };
        let indices: UInt32Array = self.rows.iter().zip(&self.numbers).map(index).collect();
        Ok(take(&lists.values, &indices, None)?)
    }

    /// Where the elements begin in the values, if they stand there one after the other.
    fn unbroken(&self, lists: &Lists) -> Option<usize> {
        let count = self.rows.len();
        if self.has_nothing || count == 0 {
            return None;
        }
        let place = |at: usize| {
            let (row, number) = (self.rows[at] as usize, self.numbers[at] as usize);
            (number < lists.len(row)).then(|| lists.start(row) + number)
        };
        let (first, last) = (place(0)?, place(count - 1)?);
        // As many values as places, and every place has one: there is none between that is not used.
        let rows = self.rows[0] as usize..=self.rows[count - 1] as usize;
        let used: usize = rows.map(|row| lists.len(row)).sum();
        let before = self.numbers[0] as usize;
        let after = lists.len(self.rows[count - 1] as usize) - 1 - self.numbers[count - 1] as usize;
        (last - first + 1 == count && used == before + count + after).then_some(first)
    }
}

/// The columns of elements: the fields of a row, where a row that is NULL has NULLs; else the elements themselves.
pub(super) fn spread(elements: ArrayRef) -> Result<Vec<ArrayRef>, OperatorError> {
    let DataType::Struct(_) = elements.data_type() else { return Ok(vec![elements]) };
    let (_, columns, nulls) = elements.as_struct().clone().into_parts();
    let Some(nulls) = nulls.filter(|n| n.null_count() > 0) else { return Ok(columns) };
    let with_nulls = |column: &ArrayRef| {
        let both = NullBuffer::union(Some(&nulls), column.nulls());
        Ok(arrow::array::make_array(column.to_data().into_builder().nulls(both).build()?))
    };
    columns.iter().map(with_nulls).collect()
}
