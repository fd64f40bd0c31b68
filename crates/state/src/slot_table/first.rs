//! Entries by their first key column, which stand together within a key group: brought into the hot set, and removed, at once.

use super::{HashKeys, Load, SlotTable};
use crate::{StateError, Store, StoredEntry};
use arrow::array::{Array, ArrayRef};
use arrow::row::{RowConverter, SortField};
use std::ops::Range;

impl SlotTable {
    /// Brings all into the hot set that the store holds under the value `first` (an array of one) of the first key column. Returns
    /// the slots that were made. See [`scan_all`](Self::scan_all).
    ///
    /// # Errors
    /// The store cannot be read, or `load` failed.
    pub fn scan_first(
        &mut self,
        first: &ArrayRef,
        hash: &HashKeys<'_>,
        load: &mut Load<'_>,
    ) -> Result<Vec<u32>, StateError> {
        let mut created = Vec::new();
        let Some(home) = self.home.as_ref().filter(|_| !self.complete) else { return Ok(created) };
        let (store, id) = (home.store.clone(), home.id);
        for (from, to) in ranges(&store, id, first)? {
            let mut stored: Vec<StoredEntry> = Vec::new();
            if !self.is_range_gone(&from) {
                store.scan_range(&from, &to, &mut |full_key, value| {
                    if self.gone.is_empty() || !self.gone.contains(full_key) {
                        stored.push((Store::key_in(full_key).to_vec(), value.to_vec()));
                    }
                    Ok(())
                })?;
            }
            // What is at hand is not looked for once more.
            self.complete = true;
            let loaded = self.load_entries(&stored, hash, load);
            self.complete = false;
            created.extend(loaded?);
        }
        Ok(created)
    }

    /// Removes everything under a value of the first key column (an array of one), in the hot set or not. `slots` are all that
    /// are in the hot set.
    ///
    /// # Errors
    /// A value that cannot be encoded.
    pub fn remove_first(&mut self, first: &ArrayRef, slots: &[u32]) -> Result<(), StateError> {
        if self.complete || self.home.is_none() {
            return self.remove(slots);
        }
        if let Some(home) = &self.home {
            self.gone_ranges.extend(ranges(&home.store, home.id, first)?);
        }
        self.forget(slots);
        Ok(())
    }

    /// The different values of the first key column in the store, in no order, as arrays of one.
    ///
    /// # Errors
    /// The store cannot be read, or holds what is no key.
    pub fn firsts(&self) -> Result<Vec<ArrayRef>, StateError> {
        let (Some(home), Some(data_type)) = (&self.home, self.types.first()) else { return Ok(Vec::new()) };
        let converter = RowConverter::new(vec![SortField::new(data_type.clone())])?;
        let all = self.converter.as_ref().expect("there is a key column");
        let mut values: Vec<ArrayRef> = Vec::new();
        let mut known = hashbrown::HashSet::new();
        for group in home.store.owned() {
            let end = home.store.full_key(home.id, group + 1, &[]);
            let mut from = home.store.full_key(home.id, group, &[]);
            while let Some(key) = home.store.first_of(&from, &end)? {
                let first = all.convert_rows([all.parser().parse(&key)])?.remove(0);
                let row = converter.convert_columns(std::slice::from_ref(&first))?;
                let range = home.store.range_of(home.id, group, row.row(0).data());
                if known.insert(row.row(0).data().to_vec()) {
                    values.push(first);
                }
                from = range.1;
            }
        }
        Ok(values)
    }

    /// The smallest value of the first key column in the store that is greater than `after` (an array of one; `None`: the smallest of
    /// all), as an array of one.
    ///
    /// # Errors
    /// As [`firsts`](Self::firsts).
    pub fn next_first(&self, after: Option<&ArrayRef>) -> Result<Option<ArrayRef>, StateError> {
        let (Some(home), Some(converter), Some(data_type)) = (&self.home, &self.converter, self.types.first()) else {
            return Ok(None);
        };
        let first = RowConverter::new(vec![SortField::new(data_type.clone())])?;
        let after = after.map(|after| first.convert_columns(std::slice::from_ref(after))).transpose()?;
        let mut least: Option<Vec<u8>> = None;
        for group in home.store.owned() {
            let end = home.store.full_key(home.id, group + 1, &[]);
            let from = match &after {
                Some(after) => home.store.range_of(home.id, group, after.row(0).data()).1,
                None => home.store.full_key(home.id, group, &[]),
            };
            if let Some(key) = home.store.first_of(&from, &end)?
                && least.as_ref().is_none_or(|least| key < *least)
            {
                least = Some(key);
            }
        }
        least.map(|key| Ok(converter.convert_rows([converter.parser().parse(&key)])?.remove(0))).transpose()
    }

    /// Is a range beginning here removed, which is not yet written?
    fn is_range_gone(&self, from: &[u8]) -> bool {
        self.gone_ranges.iter().any(|(gone, _)| gone == from)
    }
}

type FullRange = (Vec<u8>, Vec<u8>);

/// Where the entries under a value of the first column stand, in every owned key group.
fn ranges(store: &Store, table: crate::TableId, first: &ArrayRef) -> Result<Vec<FullRange>, StateError> {
    let converter = RowConverter::new(vec![SortField::new(first.data_type().clone())])?;
    let rows = converter.convert_columns(std::slice::from_ref(first))?;
    let groups: Range<_> = store.owned();
    Ok(groups.map(|group| store.range_of(table, group, rows.row(0).data())).collect())
}
