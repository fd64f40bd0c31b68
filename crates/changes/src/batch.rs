use crate::ChangeError;
use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, UInt32Array};
use arrow::buffer::ScalarBuffer;
use arrow::compute::{concat_batches, filter_record_batch, take_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::row::{RowConverter, SortField};
use std::collections::HashMap;
use std::sync::Arc;

/// How many copies each row of a batch adds (`> 0`) or takes away (`< 0`). Never 0 in what an operator emits.
#[derive(Debug, Clone, PartialEq)]
pub enum Weights {
    /// Every row has weight `+1`: what append-only streams carry, at no cost.
    AllInserts,
    /// One weight per row.
    PerRow(ScalarBuffer<i64>),
}

impl Weights {
    /// The weight of row `row`.
    #[inline]
    pub fn at(&self, row: usize) -> i64 {
        match self {
            Weights::AllInserts => 1,
            Weights::PerRow(w) => w[row],
        }
    }

    /// Weights as given, or [`Weights::AllInserts`] where all of them are `+1`.
    pub fn from_vec(weights: Vec<i64>) -> Self {
        if weights.iter().all(|w| *w == 1) { Weights::AllInserts } else { Weights::PerRow(weights.into()) }
    }

    /// The per-row weights, `None` where all rows are inserts.
    pub fn per_row(&self) -> Option<&[i64]> {
        match self {
            Weights::AllInserts => None,
            Weights::PerRow(w) => Some(w),
        }
    }
}

/// Key hashes that were computed once and are carried along, so that who comes next need not hash again.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyHashes {
    /// The columns, in order, that were hashed.
    pub columns: Arc<[usize]>,
    /// One [`crate::hash::hash_columns`] value per row.
    pub values: ScalarBuffer<u64>,
}

/// Rows with weights: the unit of work of the engine, 1 to 8192 rows as a rule.
///
/// # Contract
/// As many weights (and hashes) as rows; checked by the constructors.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeBatch {
    rows: RecordBatch,
    weights: Weights,
    hashes: Option<KeyHashes>,
}

impl ChangeBatch {
    /// Rows that are all inserted once.
    pub fn inserts(rows: RecordBatch) -> Self {
        Self { rows, weights: Weights::AllInserts, hashes: None }
    }

    /// Rows with weights.
    ///
    /// # Errors
    /// [`ChangeError::Shape`] unless there is one weight per row.
    pub fn new(rows: RecordBatch, weights: Weights) -> Result<Self, ChangeError> {
        match &weights {
            Weights::PerRow(w) if w.len() != rows.num_rows() => {
                Err(ChangeError::Shape(format!("{} weights for {} rows", w.len(), rows.num_rows())))
            }
            _ => Ok(Self { rows, weights, hashes: None }),
        }
    }

    /// No rows of `schema`.
    pub fn empty(schema: SchemaRef) -> Self {
        Self::inserts(RecordBatch::new_empty(schema))
    }

    /// The same changes with key hashes to carry along.
    ///
    /// # Errors
    /// [`ChangeError::Shape`] unless there is one hash per row.
    pub fn with_hashes(mut self, hashes: KeyHashes) -> Result<Self, ChangeError> {
        if hashes.values.len() != self.num_rows() {
            return Err(ChangeError::Shape(format!("{} hashes for {} rows", hashes.values.len(), self.num_rows())));
        }
        self.hashes = Some(hashes);
        Ok(self)
    }

    /// The rows, without their weights.
    pub fn rows(&self) -> &RecordBatch {
        &self.rows
    }

    /// The weights.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Rows and weights, apart.
    pub fn into_parts(self) -> (RecordBatch, Weights) {
        (self.rows, self.weights)
    }

    /// The schema of the rows.
    pub fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    /// One column of the rows.
    pub fn column(&self, at: usize) -> &ArrayRef {
        self.rows.column(at)
    }

    /// Number of rows, not counting weights.
    pub fn num_rows(&self) -> usize {
        self.rows.num_rows()
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.num_rows() == 0
    }

    /// The hash of the key `columns` of every row: as carried along, else computed.
    ///
    /// # Errors
    /// A key column of a type that cannot be hashed.
    pub fn key_hashes(&self, columns: &[usize]) -> Result<ScalarBuffer<u64>, ChangeError> {
        match &self.hashes {
            Some(h) if *h.columns == *columns => Ok(h.values.clone()),
            _ => {
                let keys: Vec<ArrayRef> = columns.iter().map(|c| self.rows.column(*c).clone()).collect();
                Ok(crate::hash::hash_columns(&keys, self.num_rows())?.into())
            }
        }
    }

    /// Rows `offset..offset + length`, sharing memory.
    pub fn slice(&self, offset: usize, length: usize) -> Self {
        let weights = match &self.weights {
            Weights::AllInserts => Weights::AllInserts,
            Weights::PerRow(w) => Weights::PerRow(w.slice(offset, length)),
        };
        let hashes = self
            .hashes
            .as_ref()
            .map(|h| KeyHashes { columns: h.columns.clone(), values: h.values.slice(offset, length) });
        Self { rows: self.rows.slice(offset, length), weights, hashes }
    }

    /// The rows at `indices`, in that order, with their weights and hashes.
    ///
    /// # Errors
    /// An index out of bounds.
    pub fn take(&self, indices: &UInt32Array) -> Result<Self, ChangeError> {
        let rows = take_record_batch(&self.rows, indices)?;
        let weights = match &self.weights {
            Weights::AllInserts => Weights::AllInserts,
            Weights::PerRow(w) => Weights::PerRow(indices.values().iter().map(|i| w[*i as usize]).collect()),
        };
        let hashes = self.hashes.as_ref().map(|h| KeyHashes {
            columns: h.columns.clone(),
            values: indices.values().iter().map(|i| h.values[*i as usize]).collect(),
        });
        Ok(Self { rows, weights, hashes })
    }

    /// The rows for which `keep` is true (NULL is not), with their weights. Hashes are dropped.
    ///
    /// # Errors
    /// A mask of another length.
    pub fn filter(&self, keep: &BooleanArray) -> Result<Self, ChangeError> {
        let rows = filter_record_batch(&self.rows, keep)?;
        let weights = match &self.weights {
            Weights::AllInserts => Weights::AllInserts,
            Weights::PerRow(w) => Weights::PerRow(
                w.iter().enumerate().filter(|(i, _)| keep.is_valid(*i) && keep.value(*i)).map(|(_, w)| *w).collect(),
            ),
        };
        Ok(Self { rows, weights, hashes: None })
    }

    /// The same weights over other rows: what a projection makes of a batch.
    ///
    /// # Errors
    /// [`ChangeError::Shape`] unless `rows` has as many rows.
    pub fn with_rows(&self, rows: RecordBatch) -> Result<Self, ChangeError> {
        if rows.num_rows() != self.num_rows() {
            return Err(ChangeError::Shape(format!("{} rows in the place of {}", rows.num_rows(), self.num_rows())));
        }
        Ok(Self { rows, weights: self.weights.clone(), hashes: None })
    }

    /// Several batches of one schema as one. Hashes are dropped.
    ///
    /// # Errors
    /// Batches of another schema.
    pub fn concat(schema: &SchemaRef, batches: &[ChangeBatch]) -> Result<Self, ChangeError> {
        let rows = concat_batches(schema, batches.iter().map(|b| &b.rows))?;
        let weights = if batches.iter().all(|b| b.weights == Weights::AllInserts) {
            Weights::AllInserts
        } else {
            let all = batches.iter().flat_map(|b| (0..b.num_rows()).map(|r| b.weights.at(r)));
            Weights::PerRow(all.collect())
        };
        Ok(Self { rows, weights, hashes: None })
    }

    /// The net change: equal rows added up into one, rows of weight 0 left out, in the order in which each row
    /// appeared first. A column of a type that cannot be ordered (`MAP`) is an error.
    ///
    /// # Errors
    /// A column of a type that the row format does not know.
    pub fn consolidate(&self) -> Result<Self, ChangeError> {
        let fields = self.rows.schema().fields().iter().map(|f| SortField::new(f.data_type().clone())).collect();
        let keys = RowConverter::new(fields)?.convert_columns(self.rows.columns())?;
        let mut at: HashMap<&[u8], usize> = HashMap::with_capacity(self.num_rows());
        let mut net: Vec<(u32, i64)> = Vec::new();
        for row in 0..self.num_rows() {
            let slot = *at.entry(keys.row(row).data()).or_insert_with(|| {
                net.push((row as u32, 0));
                net.len() - 1
            });
            net[slot].1 += self.weights.at(row);
        }
        net.retain(|(_, w)| *w != 0);
        let indices = UInt32Array::from_iter_values(net.iter().map(|(i, _)| *i));
        let rows = take_record_batch(&self.rows, &indices)?;
        Self::new(rows, Weights::from_vec(net.into_iter().map(|(_, w)| w).collect()))
    }
}

#[cfg(test)]
mod tests {
    use crate::table::{format_changes, parse_changes};
    use arrow::array::BooleanArray;
    use arrow::datatypes::{DataType, Field, Schema};
    use std::sync::Arc;

    fn schema() -> Arc<Schema> {
        Arc::new(Schema::new(vec![Field::new("k", DataType::Utf8, true), Field::new("v", DataType::Int64, true)]))
    }

    #[test]
    fn consolidate_adds_equal_rows_up() {
        let b = parse_changes(&schema(), "+ a 1\n- b 2\n+ a 1\n+2 b 2\n+ c NULL\n- c NULL").expect("table");
        let net = b.consolidate().expect("consolidates");
        assert_eq!(format_changes(&net), "+2 a 1\n+ b 2\n");
    }

    #[test]
    fn filter_take_slice_and_concat_keep_weights_with_their_rows() {
        let b = parse_changes(&schema(), "+ a 1\n-3 b 2\n+2 c 3").expect("table");
        let keep = BooleanArray::from(vec![None, Some(true), Some(true)]);
        assert_eq!(format_changes(&b.filter(&keep).expect("filter")), "-3 b 2\n+2 c 3\n");
        assert_eq!(format_changes(&b.take(&vec![2, 0].into()).expect("take")), "+2 c 3\n+ a 1\n");
        let s = b.slice(1, 1);
        let joined = super::ChangeBatch::concat(&schema(), &[s, b.slice(0, 1)]).expect("concat");
        assert_eq!(format_changes(&joined), "-3 b 2\n+ a 1\n");
    }
}
