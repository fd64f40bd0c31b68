//! When what a table holds was touched last (state TTL), in memory or not.
//!
//! The time stands in front of what is stored of a key or a row. So what left memory is known to be over when it is looked up: then it
//! counts as not there. What nobody looks up is found by going through the store, a piece at a time
//! ([`Ages::look_through`]). What was stored without a time has all its time from when it is met.

use crate::store::Piece;
use crate::{Idle, StateError, Store, TableId, Write};

/// First byte of a stored value.
pub(crate) const VERSION: u8 = 1;
/// The same of a value that begins with the time (8 bytes, milliseconds, little endian) when it was touched last.
const AGED: u8 = 2;

/// When the slots of a table were touched. See the module's page.
pub(crate) struct Ages {
    idle: Idle,
    /// The time that was told last; `None`: none was yet.
    now_ms: Option<i64>,
    /// Where [`look_through`](Self::look_through) goes on.
    cursor: Vec<u8>,
}

impl Ages {
    /// What is not touched for `ttl_ms` is over; `slots` are there already.
    pub(crate) fn new(ttl_ms: u64, slots: Vec<u32>) -> Self {
        let mut idle = Idle::new(ttl_ms);
        idle.adopt(slots);
        Self { idle, now_ms: None, cursor: Vec::new() }
    }

    pub(crate) fn touch(&mut self, slots: &[u32], now_ms: i64) {
        self.idle.touch(slots.iter().copied(), now_ms);
    }

    /// Tells the time, and takes out the slots that are over. `is_free` says of a slot, whether it is in use and may go now.
    pub(crate) fn take(&mut self, now_ms: i64, is_free: impl Fn(u32) -> bool) -> Vec<u32> {
        self.now_ms = Some(now_ms);
        self.idle.take(now_ms, is_free)
    }

    /// Is what the store has over?
    pub(crate) fn is_over(&self, stored: &Stored<'_>) -> bool {
        let times = stored.touched_ms.zip(self.now_ms);
        times.is_some_and(|(touched_ms, now_ms)| self.idle.is_over(touched_ms, now_ms))
    }

    /// A slot came from the store.
    pub(crate) fn admit(&mut self, slot: u32, touched_ms: Option<i64>) {
        match touched_ms.or(self.now_ms) {
            Some(touched_ms) => self.idle.touch([slot], touched_ms),
            None => self.idle.adopt(vec![slot]),
        }
    }

    /// Looks through about `entries_max` entries of the store, the next ones. Returns the full keys of those that are over; of those that have
    /// no time it begins now. `is_gone`: of full keys that are removed already.
    ///
    /// Who has such a key in memory has touched it since, or the slot would be over too: so it is going to be written again.
    pub(crate) fn look_through(
        &mut self,
        store: &Store,
        table: (TableId, &str),
        entries_max: usize,
        is_gone: impl Fn(&[u8]) -> bool,
    ) -> Result<Vec<Vec<u8>>, StateError> {
        let Some(now_ms) = self.now_ms else { return Ok(Vec::new()) };
        let Piece { entries, next } = store.entries_from(table.0, &self.cursor, entries_max)?;
        self.cursor = next.unwrap_or_default();
        let (mut over, mut begun) = (Vec::new(), Vec::new());
        for (full_key, value) in entries.into_iter().filter(|(full_key, _)| !is_gone(full_key)) {
            let stored = Stored::parse(table.1, &value)?;
            if self.is_over(&stored) {
                over.push(full_key);
            } else if stored.touched_ms.is_none() {
                let mut aged = Vec::with_capacity(value.len() + size_of::<i64>());
                put_head(Some(now_ms), &mut aged);
                aged.extend_from_slice(stored.value);
                begun.push(Write::Put(full_key, aged));
            }
        }
        store.write(begun)?;
        Ok(over)
    }

    pub(crate) fn size_bytes(&self) -> usize {
        self.idle.size_bytes()
    }
}

/// What the store has of a key or a row.
pub(crate) struct Stored<'a> {
    pub(crate) touched_ms: Option<i64>,
    pub(crate) value: &'a [u8],
}

impl<'a> Stored<'a> {
    pub(crate) fn parse(table: &str, value: &'a [u8]) -> Result<Self, StateError> {
        let corrupt = |message: String| StateError::Corrupt { table: table.into(), message };
        match value.split_first() {
            Some((&VERSION, value)) => Ok(Self { touched_ms: None, value }),
            Some((&AGED, rest)) => {
                let cut = rest.split_first_chunk().ok_or_else(|| corrupt("an entry is too short".into()))?;
                Ok(Self { touched_ms: Some(i64::from_le_bytes(*cut.0)), value: cut.1 })
            }
            Some((version, _)) => Err(corrupt(format!("an entry has version {version}, known is {AGED}"))),
            None => Err(corrupt("an entry is empty".into())),
        }
    }
}

/// How many bytes of a stored value stand before what its owner has written.
pub fn stored_head_bytes(value: &[u8]) -> usize {
    if value.first() == Some(&AGED) { 1 + size_of::<i64>() } else { 1 }
}

/// Appends what stands before the value of a slot.
pub(crate) fn put_head_of(ages: Option<&Ages>, slot: u32, out: &mut Vec<u8>) {
    put_head(ages.and_then(|ages| ages.idle.touched_ms(slot)), out);
}

fn put_head(touched_ms: Option<i64>, out: &mut Vec<u8>) {
    match touched_ms {
        Some(touched_ms) => {
            out.push(AGED);
            out.extend_from_slice(&touched_ms.to_le_bytes());
        }
        None => out.push(VERSION),
    }
}
