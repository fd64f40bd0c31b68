use crate::lead::{BY_LEAD, LEAD_AT, LENGTH_AT, NOTES, PACKED, lead_or_key, length_of};
use crate::puts::dealt_out;
use crate::{Backend, Batch, Each, Puts, StateError, Write, WriteRef};
use arrow::array::ArrayRef;
use eddyline_changes::hash::hash_columns;
use eddyline_changes::{KeyGroup, KeyGroupRange, KeyGroups};
use std::sync::Arc;

/// Number of a table within its operator.
pub type TableId = u16;

/// A key and its value.
pub type StoredEntry = (Vec<u8>, Vec<u8>);

/// What is done with the key group, key and value of every entry of a scan.
pub type EachEntry<'a> = dyn FnMut(KeyGroup, &[u8], &[u8]) -> Result<(), StateError> + 'a;

/// An entry of a table whose keys have a lead.
#[derive(Debug, Clone, Copy)]
pub struct LedEntry<'a> {
    /// Its full key.
    pub full_key: &'a [u8],
    /// Its key: the lead and the rest.
    pub key: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
}

/// Some entries of a table, in order.
#[derive(Debug, Default)]
pub struct Piece {
    /// Full keys and values.
    pub entries: Vec<StoredEntry>,
    /// The full key behind them; `None`: they are the last.
    pub next: Option<Vec<u8>>,
}

/// What is done with an entry, and the number of the lead by which it was found.
pub type EachLed<'a> = dyn FnMut(usize, LedEntry<'_>) -> Result<(), StateError> + 'a;

/// A table with a hot set, as the runtime sees it.
pub trait Table {
    /// The table's name, as EXPLAIN STATE and errors show it.
    fn name(&self) -> &str;
    /// Writes what changed since the last time to the backend.
    ///
    /// # Errors
    /// The backend cannot be written.
    fn persist(&mut self) -> Result<(), StateError>;
    /// Number of entries in the hot set.
    fn len(&self) -> usize;
    /// True without entries in the hot set.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Memory of the hot set in bytes, about.
    fn size_bytes(&self) -> usize;
    /// How much of [`size_bytes`](Self::size_bytes) entries take: the rest is room that others left, and that the next will take.
    fn taken_bytes(&self) -> usize {
        self.size_bytes()
    }
    /// Is everything that the backend has of this table in memory, so that nobody will look below?
    fn is_whole(&self) -> bool {
        true
    }
    /// Brings about `entries_max` more of those entries into memory that the backend alone may have; called often enough, the table
    /// [is whole](Self::is_whole).
    ///
    /// # Contract
    /// As that of [`evict`](Self::evict).
    ///
    /// # Errors
    /// The backend cannot be read.
    fn warm(&mut self, entries_max: usize) -> Result<(), StateError> {
        let _ = entries_max;
        Ok(())
    }
    /// Removes what has had its time from the backend, of about `entries_max` entries there; called often enough, it finds all.
    ///
    /// # Contract
    /// As that of [`evict`](Self::evict).
    ///
    /// # Errors
    /// The backend cannot be read or written.
    fn tidy(&mut self, entries_max: usize) -> Result<(), StateError> {
        let _ = entries_max;
        Ok(())
    }
    /// Makes room of about `bytes` that entries take, by leaving them to the backend alone. Nothing happens in a table whose
    /// owner needs all of it in memory.
    ///
    /// # Contract
    /// Called when an epoch has ended: after the flush, before the next changes. What the operator puts out does not depend
    /// on it.
    ///
    /// # Errors
    /// The backend cannot be written.
    fn evict(&mut self, bytes: usize) -> Result<(), StateError> {
        let _ = bytes;
        Ok(())
    }
}

/// An operator's corner of a shard's backend.
#[derive(Clone)]
pub struct Store {
    backend: Arc<dyn Backend>,
    operator: u64,
    groups: KeyGroups,
    owned: KeyGroupRange,
}

impl Store {
    /// The corner of `operator` on the shard that owns the key groups `owned`.
    pub fn new(backend: Arc<dyn Backend>, operator: u64, groups: KeyGroups, owned: KeyGroupRange) -> Self {
        Self { backend, operator, groups, owned }
    }

    /// How the job's key space is cut.
    pub fn groups(&self) -> KeyGroups {
        self.groups
    }

    /// The key groups of this shard.
    pub fn owned(&self) -> KeyGroupRange {
        self.owned.clone()
    }

    /// The full key of `key` in `table`.
    pub fn full_key(&self, table: TableId, group: KeyGroup, key: &[u8]) -> Vec<u8> {
        let mut full = self.prefix(table, group);
        full.extend_from_slice(key);
        full
    }

    fn prefix(&self, table: TableId, group: KeyGroup) -> Vec<u8> {
        let mut full = Vec::with_capacity(12 + 16);
        self.put_prefix(table, group, &mut full);
        full
    }

    /// Appends what the full keys of `table` in a key group begin with.
    pub fn put_prefix(&self, table: TableId, group: KeyGroup, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.operator.to_be_bytes());
        out.extend_from_slice(&table.to_be_bytes());
        out.extend_from_slice(&group.to_be_bytes());
    }

    /// True while nothing was ever written below the hot sets of this shard.
    pub fn is_fresh(&self) -> bool {
        self.backend.is_empty()
    }

    /// Values of full `keys`, `None` where there is none.
    ///
    /// # Errors
    /// The backend cannot be read.
    pub fn multi_get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StateError> {
        self.backend.multi_get(keys)
    }

    /// Calls `each` with the key group, key and value of every entry of `table` in the owned key groups.
    ///
    /// # Errors
    /// The backend cannot be read, or `each` failed.
    pub fn scan(&self, table: TableId, each: &mut EachEntry<'_>) -> Result<(), StateError> {
        let from = self.prefix(table, self.owned.start);
        let to = self.prefix(table, self.owned.end);
        self.backend.scan(&from, &to, &mut |full, value| {
            let group = KeyGroup::from_be_bytes([full[10], full[11]]);
            each(group, Self::key_of(table, full), value)
        })
    }

    /// The entries of `table` in the owned key groups, keys without their groups; `None` when they are more than `entries_max`.
    ///
    /// # Errors
    /// The backend cannot be read.
    pub fn entries(&self, table: TableId, entries_max: usize) -> Result<Option<Vec<StoredEntry>>, StateError> {
        let mut entries = Vec::new();
        let mut is_more = false;
        let scanned = self.scan(table, &mut |_, key, value| {
            is_more = entries.len() == entries_max;
            if is_more {
                return Err(stop());
            }
            entries.push((key.to_vec(), value.to_vec()));
            Ok(())
        });
        if is_more { Ok(None) } else { scanned.map(|()| Some(entries)) }
    }

    /// As [`entries`](Self::entries); `None` also where the backend holds so much that it would take long to find out.
    ///
    /// # Errors
    /// The backend cannot be read.
    pub fn few_entries(&self, table: TableId, entries_max: usize) -> Result<Option<Vec<StoredEntry>>, StateError> {
        if self.backend.is_vast() && entries_max < usize::MAX { Ok(None) } else { self.entries(table, entries_max) }
    }

    /// The entries of `table` in the owned key groups that stand at the full key `from` or behind it (empty: all), about `entries_max` of
    /// them: entries with the same lead are not torn apart.
    ///
    /// # Errors
    /// The backend cannot be read.
    pub fn piece(&self, table: TableId, from: &[u8], entries_max: usize) -> Result<Piece, StateError> {
        self.cut(table, from, entries_max, |last, full| lead_or_key(last) != lead_or_key(full))
    }

    /// As [`piece`](Self::piece), of at most `entries_max` entries, whatever their leads.
    ///
    /// # Errors
    /// The backend cannot be read.
    pub fn entries_from(&self, table: TableId, from: &[u8], entries_max: usize) -> Result<Piece, StateError> {
        self.cut(table, from, entries_max, |_, _| true)
    }

    /// Entries until there are `entries_max` and `may_cut` allows it between the last and the next full key.
    fn cut(
        &self,
        table: TableId,
        from: &[u8],
        entries_max: usize,
        may_cut: impl Fn(&[u8], &[u8]) -> bool,
    ) -> Result<Piece, StateError> {
        let begin = self.prefix(table, self.owned.start);
        let end = self.prefix(table, self.owned.end);
        let mut piece = Piece::default();
        let scanned = self.backend.scan(if from.is_empty() { &begin } else { from }, &end, &mut |full, value| {
            if piece.entries.len() >= entries_max && piece.entries.last().is_some_and(|(last, _)| may_cut(last, full)) {
                piece.next = Some(full.to_vec());
                return Err(stop());
            }
            piece.entries.push((full.to_vec(), value.to_vec()));
            Ok(())
        });
        if piece.next.is_some() { Ok(piece) } else { scanned.map(|()| piece) }
    }

    /// The key in a full key of `table`.
    pub fn key_of(table: TableId, full_key: &[u8]) -> &[u8] {
        let key_at = if table & (BY_LEAD | NOTES) == BY_LEAD { LEAD_AT } else { LENGTH_AT };
        full_key.get(key_at..).unwrap_or_default()
    }

    /// From where to where the full keys of `table` in a key group stand whose keys begin with `start`.
    pub(crate) fn range_of(&self, table: TableId, group: KeyGroup, start: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let from = self.full_key(table, group, start);
        // The first key behind all that begin so: the last byte that can be is one greater, and what follows is cut off.
        let mut to = from.clone();
        while let Some(last) = to.last_mut() {
            if *last < u8::MAX {
                *last += 1;
                break;
            }
            to.pop();
        }
        (from, to)
    }

    /// Calls `each` with every full key in `from..to` and its value.
    pub(crate) fn scan_range(&self, from: &[u8], to: &[u8], each: &mut Each<'_>) -> Result<(), StateError> {
        self.backend.scan(from, to, each)
    }

    /// The key in a full key of a table without leads.
    pub(crate) fn key_in(full_key: &[u8]) -> &[u8] {
        full_key.get(LENGTH_AT..).unwrap_or_default()
    }

    /// The first key of those whose full keys are in `from..to`.
    pub(crate) fn first_of(&self, from: &[u8], to: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let mut first = None;
        let scanned = self.backend.scan(from, to, &mut |full, _| {
            first = Some(Self::key_in(full).to_vec());
            Err(stop())
        });
        if first.is_some() { Ok(first) } else { scanned.map(|()| None) }
    }

    /// The number of a table whose keys have a lead: number `table`, marked as such.
    pub fn by_lead(table: TableId) -> TableId {
        debug_assert!(table < PACKED, "table {table}");
        table | BY_LEAD
    }

    /// What stands before a key whose lead has so many bytes, in a table [by lead](Self::by_lead).
    pub fn lead_length(lead_bytes: usize) -> [u8; 2] {
        length_of(lead_bytes)
    }

    /// The full key of `key`, the first `lead_bytes` bytes of which are its lead, in a table [by lead](Self::by_lead).
    pub fn led_key(&self, table: TableId, group: KeyGroup, lead_bytes: usize, key: &[u8]) -> Vec<u8> {
        debug_assert!(table & BY_LEAD != 0);
        let mut full = self.prefix(table, group);
        full.extend_from_slice(&length_of(lead_bytes));
        full.extend_from_slice(key);
        full
    }

    /// Calls `each` with all entries of a table [by lead](Self::by_lead) whose leads are in `leads`, with their key groups: lead by lead,
    /// with its number, and in the order of the keys within each. Leads that stand in order are found faster.
    ///
    /// # Errors
    /// The backend cannot be read, or `each` failed.
    pub fn scan_leads(
        &self,
        table: TableId,
        leads: &[(KeyGroup, &[u8])],
        each: &mut EachLed<'_>,
    ) -> Result<(), StateError> {
        let prefixes: Vec<Vec<u8>> =
            leads.iter().map(|(group, lead)| self.led_key(table, *group, lead.len(), lead)).collect();
        self.backend.scan_prefixes(&prefixes, &mut |at, full_key, value| {
            each(at, LedEntry { full_key, key: &full_key[LEAD_AT..], value })
        })
    }

    /// Entries that are read or written at a time: keys of half a kilobyte are then several times half a megabyte, on their way.
    pub const BATCH: usize = 1024;

    /// Applies writes with full keys in order, some at a time.
    ///
    /// # Errors
    /// The backend cannot be written; then a part was, and it can be tried again.
    pub fn write_all<'a>(&self, writes: impl Iterator<Item = WriteRef<'a>>) -> Result<(), StateError> {
        let mut batch = Batch::new();
        for write in writes {
            batch.push(write);
            if batch.len() == Self::BATCH {
                self.apply(&batch)?;
                batch.clear();
            }
        }
        self.apply(&batch)
    }

    /// Applies writes with full keys, as one.
    ///
    /// # Errors
    /// The backend cannot be written.
    pub fn write(&self, writes: Vec<Write>) -> Result<(), StateError> {
        if writes.is_empty() { Ok(()) } else { self.backend.write(writes) }
    }

    /// Sets entries of `table`, which are this corner's.
    ///
    /// # Errors
    /// The backend cannot be written; then a part was.
    pub(crate) fn put(&self, puts: &Puts) -> Result<(), StateError> {
        debug_assert_eq!(puts.operator, self.operator);
        self.backend.put(puts)
    }

    /// Slots and their key groups, by the columns that decide these, in the order in which they are [put](Self::put).
    pub(crate) fn dealt_out(
        &self,
        slots: &[u32],
        columns: &[ArrayRef],
    ) -> Result<(Vec<u32>, Vec<KeyGroup>), StateError> {
        let groups = hash_columns(columns, slots.len())?.into_iter().map(|hash| self.groups.group_of(hash));
        Ok(dealt_out(slots, &groups.collect::<Vec<_>>()))
    }

    /// Whose corner it is.
    pub(crate) fn operator(&self) -> u64 {
        self.operator
    }

    /// As [`write`](Self::write), of many writes without a piece of memory for each.
    ///
    /// # Errors
    /// The backend cannot be written.
    pub fn apply(&self, batch: &Batch) -> Result<(), StateError> {
        if batch.is_empty() { Ok(()) } else { self.backend.apply(batch) }
    }
}

/// Ends a scan, as any error does.
fn stop() -> StateError {
    StateError::Corrupt { table: String::new(), message: String::new() }
}
