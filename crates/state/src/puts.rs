//! Entries of a table that are set, many at once, with their keys in columns.

use crate::ages::{Ages, put_head_of};
use crate::journal::PARTS;
use crate::lead::length_of;
use crate::{Batch, Encode, StateError, Store, TableId};
use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::compute::filter;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};
use eddyline_changes::KeyGroup;

/// Memory that entries on their way may take, about.
const ON_THE_WAY_BYTES: usize = 2 << 20;
/// Entries that are set at once, at most.
pub(crate) const ENTRIES_MAX: usize = 1 << 16;

/// Many values take no more.
const VALUE_BYTES: usize = 16;
/// What stands in a full key beside its columns.
const KEY_BYTES: usize = 8 + 2 + 2 + 2 + 8;

/// Key groups of a table for which this is the same are in one part of a journal.
pub(crate) fn deal(group: KeyGroup) -> usize {
    usize::from(group) % PARTS
}

/// Slots and their key groups in the order in which a journal deals them out.
pub(crate) fn dealt_out(slots: &[u32], groups: &[KeyGroup]) -> (Vec<u32>, Vec<KeyGroup>) {
    let mut begin = [0; PARTS + 1];
    groups.iter().for_each(|group| begin[deal(*group) + 1] += 1);
    for at in 1..=PARTS {
        begin[at] += begin[at - 1];
    }
    let (mut dealt, mut dealt_groups) = (vec![0; slots.len()], vec![0; slots.len()]);
    for (slot, group) in slots.iter().zip(groups) {
        let at = &mut begin[deal(*group)];
        (dealt[*at], dealt_groups[*at]) = (*slot, *group);
        *at += 1;
    }
    (dealt, dealt_groups)
}

/// Values of entries, one behind another.
#[derive(Debug, Clone, Default)]
pub struct Values {
    pub(crate) bytes: Vec<u8>,
    pub(crate) ends: Vec<usize>,
}

impl Values {
    /// What a table stores of slots: when they were touched, if that is known, and what `encode` appends.
    pub(crate) fn of(slots: &[u32], ages: Option<&Ages>, encode: &mut Encode<'_>) -> Self {
        let (bytes, ends) = (Vec::with_capacity(slots.len() * VALUE_BYTES), Vec::with_capacity(slots.len()));
        let mut values = Self { bytes, ends };
        for slot in slots {
            values.push(|out| {
                put_head_of(ages, *slot, out);
                encode(*slot, out);
            });
        }
        values
    }

    /// Appends a value.
    pub(crate) fn push(&mut self, value: impl FnOnce(&mut Vec<u8>)) {
        value(&mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    pub(crate) fn get(&self, at: usize) -> &[u8] {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[at]]
    }
}

/// Entries of one table that are set, their keys in columns: what is written in order of the keys is made bytes ([`expand`](Self::expand)),
/// and what need not be found is kept as it is, in a fraction of the time and the space.
///
/// The full key of an entry is `operator (8 bytes, big endian) | table (2) | key group (2) | length of the lead (2, in tables with
/// leads) | the columns in the row format | suffix (8, big endian, in tables with suffixes)`.
#[derive(Debug, Clone, Default)]
pub struct Puts {
    /// Whose the table is.
    pub operator: u64,
    /// The table's number.
    pub table: TableId,
    /// How many leading columns are the lead of the keys; `None`: a table without leads.
    pub lead: Option<usize>,
    /// Of each entry, in the order of [`dealt_out`].
    pub groups: Vec<KeyGroup>,
    /// The keys, in the one form of values that are equal.
    pub keys: Vec<ArrayRef>,
    /// What keeps entries of equal columns apart.
    pub suffixes: Option<Vec<u64>>,
    /// What is set.
    pub values: Values,
    /// Of each entry: is there a value already?
    pub replaces: Vec<bool>,
}

impl Puts {
    /// Number of entries.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// True without entries.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The entries that are wanted, of each of which that is said.
    ///
    /// # Errors
    /// A column that cannot be filtered.
    pub(crate) fn filtered(&self, is_wanted: &[bool]) -> Result<Self, StateError> {
        let mask = BooleanArray::from(is_wanted.to_vec());
        let rows = || (0..self.len()).filter(|row| is_wanted[*row]);
        let mut values = Values::default();
        rows().for_each(|row| values.push(|out| out.extend_from_slice(self.values.get(row))));
        Ok(Self {
            groups: rows().map(|row| self.groups[row]).collect(),
            keys: self.keys.iter().map(|column| filter(column, &mask)).collect::<Result<_, ArrowError>>()?,
            suffixes: self.suffixes.as_ref().map(|suffixes| rows().map(|row| suffixes[row]).collect()),
            values,
            replaces: rows().map(|row| self.replaces[row]).collect(),
            ..*self
        })
    }

    /// How many entries like these are set at once.
    pub(crate) fn count_of_next(&self) -> usize {
        let keys: usize = self.keys.iter().map(|column| column.get_array_memory_size()).sum();
        let entry_bytes = (keys + self.values.bytes.len()) / self.len().max(1);
        (ON_THE_WAY_BYTES / entry_bytes.max(1)).clamp(Store::BATCH, ENTRIES_MAX)
    }

    /// Calls `each` with the entries as writes, some at a time.
    ///
    /// # Errors
    /// A key that cannot be encoded, or `each` failed.
    pub fn expand(&self, each: &mut dyn FnMut(&Batch) -> Result<(), StateError>) -> Result<(), StateError> {
        self.expand_by(Store::BATCH, each)
    }

    /// As [`expand`](Self::expand), with so many writes at a time.
    pub(crate) fn expand_by(
        &self,
        writes_max: usize,
        each: &mut dyn FnMut(&Batch) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        let whole = converter(&self.keys)?;
        let lead = self.lead.map_or(Ok(None), |columns| converter(&self.keys[..columns]))?;
        let mut batch = Batch::new();
        let mut from = 0;
        while from < self.len() {
            let length = writes_max.min(self.len() - from);
            let keys: Vec<ArrayRef> = self.keys.iter().map(|column| column.slice(from, length)).collect();
            let rows = |converter: &Option<RowConverter>, columns| -> Result<Option<Rows>, StateError> {
                converter.as_ref().map(|c| Ok(c.convert_columns(&keys[..columns])?)).transpose()
            };
            let (rows, leads) = (rows(&whole, keys.len())?, rows(&lead, self.lead.unwrap_or_default())?);
            if batch.is_empty() {
                let row_bytes = rows.as_ref().map_or(0, |rows| rows.size() / length);
                let value_bytes = self.values.bytes.len() / self.len();
                batch = Batch::with_room(length, length * (KEY_BYTES + row_bytes + value_bytes));
            }
            batch.clear();
            for at in 0..length {
                let key = |out: &mut Vec<u8>| self.put_key(from + at, at, rows.as_ref(), leads.as_ref(), out);
                batch.put(self.replaces[from + at], key, |out| out.extend_from_slice(self.values.get(from + at)));
            }
            each(&batch)?;
            from += length;
        }
        Ok(())
    }

    /// Appends the full key of an entry, which has the row `at` of the encoded ones.
    fn put_key(&self, entry: usize, at: usize, rows: Option<&Rows>, leads: Option<&Rows>, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.operator.to_be_bytes());
        out.extend_from_slice(&self.table.to_be_bytes());
        out.extend_from_slice(&self.groups[entry].to_be_bytes());
        if self.lead.is_some() {
            out.extend_from_slice(&length_of(leads.map_or(0, |leads| leads.row(at).data().len())));
        }
        if let Some(rows) = rows {
            out.extend_from_slice(rows.row(at).data());
        }
        if let Some(suffixes) = &self.suffixes {
            out.extend_from_slice(&suffixes[entry].to_be_bytes());
        }
    }
}

/// Encodes columns; `None`: there are none.
fn converter(columns: &[ArrayRef]) -> Result<Option<RowConverter>, StateError> {
    let fields: Vec<SortField> = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    Ok(if fields.is_empty() { None } else { Some(RowConverter::new(fields)?) })
}
