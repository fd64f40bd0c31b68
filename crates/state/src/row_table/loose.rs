//! Rows without leading columns: they stand together in the store, in the order of all that they hold. Who wants those that
//! the store alone has goes through all of them, a piece at a time, or asks for single rows by all that they hold.
//!
//! What is here and in the store, the table does not know: its owner says so by the [keys](RowTable::keys_of) of the rows that came
//! by themselves. Rows that were brought in [one behind the other](RowTable::take_next_loose) stand before all that are looked at.

use super::{RowTable, SUFFIX_BYTES};
use crate::ages::Stored;
use crate::lead::length_of;
use crate::slot_table::key_column::canonical_column;
use crate::{Load, Piece, StateError, Store, StoredEntry};
use arrow::array::{Array, ArrayRef, BinaryArray};
use arrow::error::ArrowError;
use eddyline_changes::hash::hash_columns;
use std::collections::HashSet;

/// Rows that the store alone has.
#[derive(Debug)]
pub struct LooseRows {
    /// With their full keys.
    entries: Vec<StoredEntry>,
    /// All their columns.
    pub columns: Vec<ArrayRef>,
    /// The full key behind them; `None`: they are the last.
    pub next: Option<Vec<u8>>,
}

impl LooseRows {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What the table's owner has written of a row.
    ///
    /// # Errors
    /// It was written by another version.
    pub fn value(&self, row: usize) -> Result<&[u8], StateError> {
        Stored::parse("rows", &self.entries[row].1).map(|stored| stored.value)
    }
}

impl RowTable {
    /// What tells the rows of slots apart in the store.
    ///
    /// # Errors
    /// A row that cannot be encoded.
    pub fn keys_of(&self, slots: &[u32]) -> Result<HashSet<Vec<u8>>, StateError> {
        let mut keys = HashSet::with_capacity(slots.len());
        for slots in slots.chunks(Store::BATCH) {
            keys.extend(self.full_keys(slots)?);
        }
        Ok(keys)
    }

    /// At most `rows_max` rows that the store alone has, and that stand at the full key `from` or behind it (`None`: the first). `here`: the
    /// [keys](Self::keys_of) of all rows that are here but those that were taken [one behind the other](Self::take_next_loose).
    ///
    /// # Errors
    /// The store cannot be read, or holds what is no row.
    pub fn loose_from(
        &self,
        from: Option<&[u8]>,
        rows_max: usize,
        here: &HashSet<Vec<u8>>,
    ) -> Result<LooseRows, StateError> {
        let Piece { entries, next } = self.store.entries_from(self.id, from.unwrap_or(&self.cursor), rows_max)?;
        self.loose(entries, next, here)
    }

    /// The rows that the store alone has of those of a batch, in a table whose rows are distinct. `here` as in [`loose_from`](Self::loose_from).
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn loose_like(
        &self,
        columns: &[ArrayRef],
        rows: usize,
        here: &HashSet<Vec<u8>>,
    ) -> Result<LooseRows, StateError> {
        debug_assert!(self.is_distinct && self.distribution == 0);
        let columns = columns.iter().map(|c| canonical_column(c)).collect::<Result<Vec<_>, ArrowError>>()?;
        let encoded = self.converter.as_ref().map(|c| c.convert_columns(&columns)).transpose()?;
        let group = self.store.groups().group_of(hash_columns(&[], 1)?[0]);
        let mut start = Vec::new();
        self.store.put_prefix(self.id, group, &mut start);
        start.extend_from_slice(&length_of(0));
        let key = |row| [start.as_slice(), encoded.as_ref().map_or(&[], |rows| rows.row(row).data())].concat();
        // All that stands before the cursor is here.
        let is_asked = |key: &Vec<u8>| *key >= self.cursor && !here.contains(key) && !self.gone.contains(key);
        let mut keys: Vec<Vec<u8>> = (0..rows).map(key).filter(is_asked).collect();
        keys.sort_unstable();
        keys.dedup();
        let mut entries = Vec::new();
        for keys in keys.chunks(Store::BATCH) {
            let values = self.store.multi_get(&keys.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
            let found = keys.iter().zip(values).filter_map(|(key, value)| Some((key.clone(), value?)));
            entries.extend(found);
        }
        self.loose(entries, None, here)
    }

    fn loose(
        &self,
        mut entries: Vec<StoredEntry>,
        next: Option<Vec<u8>>,
        here: &HashSet<Vec<u8>>,
    ) -> Result<LooseRows, StateError> {
        let mut damaged = None;
        entries.retain(|(full_key, value)| {
            let is_over = match (&self.ages, Stored::parse(&self.name, value)) {
                (_, Err(error)) => {
                    damaged = Some(error);
                    false
                }
                (None, _) => false,
                (Some(ages), Ok(stored)) => ages.is_over(&stored),
            };
            !is_over && !here.contains(full_key) && !self.gone.contains(full_key)
        });
        if let Some(error) = damaged {
            return Err(error);
        }
        let columns = self.parsed_keys(entries.iter().map(|(full_key, _)| Store::key_of(self.id, full_key)))?;
        Ok(LooseRows { entries, columns, next })
    }

    fn parsed_keys<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) -> Result<Vec<ArrayRef>, StateError> {
        let Some(converter) = &self.converter else { return Ok(Vec::new()) };
        let suffix = if self.is_distinct { 0 } else { SUFFIX_BYTES };
        let row = |key: &'a [u8]| match key.len().checked_sub(suffix) {
            Some(length) => Ok(&key[..length]),
            None => Err(self.damaged()),
        };
        let rows = BinaryArray::from_iter_values(keys.map(row).collect::<Result<Vec<_>, _>>()?);
        let parser = converter.parser();
        Ok(converter.convert_rows((0..rows.len()).map(|row| parser.parse(rows.value(row))))?)
    }

    /// Takes those of the rows that are wanted. Returns their slots.
    ///
    /// # Errors
    /// `load` failed.
    pub fn take_loose(
        &mut self,
        loose: LooseRows,
        is_wanted: &[bool],
        load: &mut Load<'_>,
    ) -> Result<Vec<u32>, StateError> {
        let wanted = loose.entries.into_iter().zip(is_wanted).filter(|(_, is_wanted)| **is_wanted);
        let wanted: Vec<StoredEntry> =
            wanted.map(|((full_key, value), _)| (Store::key_of(self.id, &full_key).to_vec(), value)).collect();
        if wanted.is_empty() { Ok(Vec::new()) } else { self.take_in(&super::borrowed(&wanted), load) }
    }

    /// Takes the [first](Self::loose_from) of the rows that the store alone has. Returns their slots.
    ///
    /// # Errors
    /// `load` failed.
    pub fn take_next_loose(&mut self, mut loose: LooseRows, load: &mut Load<'_>) -> Result<Vec<u32>, StateError> {
        let next = loose.next.take();
        let all = vec![true; loose.len()];
        let slots = self.take_loose(loose, &all, load)?;
        self.is_complete = next.is_none();
        self.cursor = next.unwrap_or_default();
        Ok(slots)
    }
}
