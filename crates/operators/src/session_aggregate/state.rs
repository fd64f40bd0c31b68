//! The sessions of all keys, with their accumulators.
//!
//! The sessions of a key are a list, the latest first: a row that comes in order meets its own at once. No two are less than a gap apart, so a row
//! that comes near to two makes one of them.

use super::NAME;
use crate::OperatorError;
use crate::aggregation::{Calls, add_weights, columns};
use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;
use eddyline_changes::ChangeBatch;
use eddyline_changes::hash::hash_columns;
use eddyline_plan::SessionAggregateSpec;
use eddyline_state::{SlotTable, StateError, Store, Table, TableId};
use hashbrown::HashSet;

const SESSIONS: TableId = 0;
/// No session.
const NONE: u32 = u32::MAX;
/// Keys that are brought into memory at a time.
const LOADED_AT_ONCE: usize = 1 << 16;
/// Memory of a session beside its accumulators.
pub(super) const SESSION_BYTES: usize = size_of::<Session>() + size_of::<i64>();

/// A session, and its place in the list of its key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Session {
    /// The time of its first row.
    pub(super) first: i64,
    /// The time of its last row.
    pub(super) last: i64,
    /// The one before it.
    earlier: u32,
    /// The slot of its key.
    pub(super) key: u32,
}

/// Sessions by number, their accumulators at the same places.
pub(super) struct Lists {
    gap_ms: i64,
    /// By key: its latest session.
    latest: Vec<u32>,
    sessions: Vec<Session>,
    pub(super) rows: Vec<i64>,
    pub(super) calls: Calls,
    free: Vec<u32>,
    /// Sessions that were made parts of others, and of which: their accumulators are still to be.
    united: Vec<(u32, u32)>,
}

impl Lists {
    pub(super) fn session(&self, at: u32) -> &Session {
        &self.sessions[at as usize]
    }

    /// Where a session ends.
    pub(super) fn end(&self, at: u32) -> i64 {
        self.session(at).last + self.gap_ms
    }

    /// All numbers of sessions are below this one.
    pub(super) fn room(&self) -> usize {
        self.sessions.len()
    }

    /// Puts a row into its session. `touch` is told of new sessions, and of others before they change.
    #[inline]
    fn place(&mut self, key: u32, time: i64, touch: &mut impl FnMut(u32, &Session, bool)) -> u32 {
        let gap_ms = self.gap_ms;
        let (mut later, mut at) = (NONE, self.latest[key as usize]);
        while at != NONE && self.session(at).first - time >= gap_ms {
            (later, at) = (at, self.session(at).earlier);
        }
        if at == NONE || time - self.session(at).last >= gap_ms {
            let new = self.add(Session { first: time, last: time, earlier: at, key });
            match later {
                NONE => self.latest[key as usize] = new,
                later => self.sessions[later as usize].earlier = new,
            }
            touch(new, self.session(new), true);
            return new;
        }
        touch(at, self.session(at), false);
        let session = &mut self.sessions[at as usize];
        (session.first, session.last) = (session.first.min(time), session.last.max(time));
        if later != NONE && self.session(later).first - self.session(at).last < gap_ms {
            touch(later, self.session(later), false);
            self.unite(later);
            at = later;
        }
        let earlier = self.session(at).earlier;
        if earlier != NONE && self.session(at).first - self.session(earlier).last < gap_ms {
            touch(earlier, self.session(earlier), false);
            self.unite(at);
        }
        at
    }

    /// Makes the session before one a part of it.
    fn unite(&mut self, at: u32) {
        let gone = self.session(at).earlier;
        let Session { first, last, earlier, .. } = *self.session(gone);
        let session = &mut self.sessions[at as usize];
        (session.first, session.last, session.earlier) = (session.first.min(first), session.last.max(last), earlier);
        self.united.push((gone, at));
    }

    fn add(&mut self, session: Session) -> u32 {
        if let Some(at) = self.free.pop() {
            self.sessions[at as usize] = session;
            return at;
        }
        self.sessions.push(session);
        (self.sessions.len() - 1) as u32
    }

    fn make_room(&mut self) {
        self.rows.resize(self.sessions.len(), 0);
        self.calls.resize(self.sessions.len());
    }

    /// Adds up the accumulators of sessions that were united. Returns those that are gone, which must be [let go](Self::release).
    pub(super) fn settle_united(&mut self) -> Result<Vec<u32>, OperatorError> {
        let united = std::mem::take(&mut self.united);
        let mut from = 0;
        while from < united.len() {
            // What becomes part of another that does so later must be whole before.
            let mut whole = HashSet::new();
            let count = united[from..].iter().take_while(|(gone, into)| {
                whole.insert(*into);
                !whole.contains(gone)
            });
            let (gone, into): (Vec<u32>, Vec<u32>) = united[from..from + count.count().max(1)].iter().copied().unzip();
            self.calls.merge(&into, &self.calls.partials(&gone, false)?)?;
            gone.iter().zip(&into).for_each(|(gone, into)| self.rows[*into as usize] += self.rows[*gone as usize]);
            from += gone.len();
        }
        Ok(united.into_iter().map(|(gone, _)| gone).collect())
    }

    /// Gives the numbers of sessions that are in no list to others.
    pub(super) fn release(&mut self, gone: &[u32]) {
        self.calls.clear(gone);
        gone.iter().for_each(|at| self.rows[*at as usize] = 0);
        self.free.extend_from_slice(gone);
    }

    /// Takes a session out of the list of its key. Is it the last one?
    fn unlink(&mut self, gone: u32) -> bool {
        let Session { key, earlier, .. } = *self.session(gone);
        let mut at = self.latest[key as usize];
        if at == gone {
            self.latest[key as usize] = earlier;
        } else {
            while self.session(at).earlier != gone {
                at = self.session(at).earlier;
            }
            self.sessions[at as usize].earlier = earlier;
        }
        self.latest[key as usize] == NONE
    }

    /// Forgets the sessions of a key.
    fn forget(&mut self, key: u32) {
        let gone: Vec<u32> = self.of(key).collect();
        self.latest[key as usize] = NONE;
        self.release(&gone);
    }

    /// The sessions of a key, the latest first.
    pub(super) fn of(&self, key: u32) -> impl Iterator<Item = u32> {
        let next = |at: u32| (at != NONE).then_some(at);
        std::iter::successors(next(self.latest[key as usize]), move |at| next(self.session(*at).earlier))
    }

    /// Encoding of a key's value: for each session, the latest first, the times of its first and last row, its number of rows (8 bytes each, little endian), then what
    /// every accumulator saves.
    fn save(&self, key: u32, out: &mut Vec<u8>) {
        for at in self.of(key) {
            let Session { first, last, .. } = self.session(at);
            [*first, *last, self.rows[at as usize]].iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
            self.calls.save(at, out);
        }
    }

    fn load(&mut self, key: u32, mut input: &[u8]) -> Result<(), StateError> {
        let damaged = || StateError::Corrupt { table: "sessions".into(), message: "an entry is too short".into() };
        self.latest.resize(self.latest.len().max(key as usize + 1), NONE);
        let mut later = NONE;
        while !input.is_empty() {
            let mut word = || -> Result<i64, StateError> {
                let (word, rest) = input.split_first_chunk::<8>().ok_or_else(damaged)?;
                input = rest;
                Ok(i64::from_le_bytes(*word))
            };
            let (first, last, rows) = (word()?, word()?, word()?);
            let at = self.add(Session { first, last, earlier: NONE, key });
            self.make_room();
            self.rows[at as usize] = rows;
            self.calls.load("sessions", at, &mut input)?;
            match later {
                NONE => self.latest[key as usize] = at,
                later => self.sessions[later as usize].earlier = at,
            }
            later = at;
        }
        Ok(())
    }
}

/// The sessions by key.
pub(super) struct Sessions {
    keys: Vec<usize>,
    pub(super) table: SlotTable,
    pub(super) lists: Lists,
    /// All keys are in memory.
    stays: bool,
    slots: Vec<u32>,
    /// By row of the last batch: its session.
    placed: Vec<u32>,
}

impl Sessions {
    pub(super) fn open(spec: &SessionAggregateSpec, input: &Schema, store: &Store) -> Result<Self, OperatorError> {
        let types: Vec<DataType> = spec.keys.iter().map(|k| input.field(*k).data_type().clone()).collect();
        let mut sessions = Self {
            keys: spec.keys.clone(),
            table: SlotTable::open("sessions", &types, store, SESSIONS, types.len())?,
            lists: Lists {
                gap_ms: spec.gap_ms,
                latest: Vec::new(),
                sessions: Vec::new(),
                rows: Vec::new(),
                calls: Calls::new(&spec.calls, true)?,
                free: Vec::new(),
                united: Vec::new(),
            },
            stays: spec.closes,
            slots: Vec::new(),
            placed: Vec::new(),
        };
        while sessions.stays && !sessions.is_whole() {
            sessions.warm(LOADED_AT_ONCE)?;
        }
        Ok(sessions)
    }

    /// The sessions that there are.
    pub(super) fn all(&self) -> Vec<u32> {
        self.table.slots().into_iter().flat_map(|key| self.lists.of(key)).collect()
    }

    /// Puts the rows of a batch, at `times`, into their sessions; they are not added up yet. `touch` is told of new sessions, and of others before
    /// they change.
    pub(super) fn place(
        &mut self,
        changes: &ChangeBatch,
        times: &[i64],
        touch: &mut impl FnMut(u32, &Session, bool),
    ) -> Result<(), OperatorError> {
        if changes.weights().per_row().is_some_and(|w| w.iter().any(|w| *w < 0)) {
            let message = "a row is taken back of an input that was said to be append-only".into();
            return Err(OperatorError::Spec { operator: NAME, message });
        }
        let keys = columns(changes, &self.keys);
        let hashes = match keys.is_empty() {
            true => vec![0; changes.num_rows()].into(),
            false => changes.key_hashes(&self.keys)?,
        };
        let lists = &mut self.lists;
        self.table.lookup(&keys, &hashes, &mut self.slots, &mut |key, bytes| lists.load(key, bytes))?;
        self.lists.latest.resize(self.table.slots_max(), NONE);
        self.table.mark_dirty(&self.slots);
        self.placed.clear();
        let lists = &mut self.lists;
        self.placed.extend(self.slots.iter().zip(times).map(|(key, time)| lists.place(*key, *time, touch)));
        self.lists.make_room();
        Ok(())
    }

    /// Adds up the rows that were placed last. Returns the sessions that became parts of others, which must be [let go](Lists::release).
    pub(super) fn add(&mut self, changes: &ChangeBatch) -> Result<Vec<u32>, OperatorError> {
        add_weights(&mut self.lists.rows, &self.placed, changes.weights());
        self.lists.calls.accumulate(&self.placed, changes)?;
        self.lists.settle_united()
    }

    /// The sessions of the rows that were placed last.
    pub(super) fn placed(&self) -> &[u32] {
        &self.placed
    }

    /// Notes that the keys of the rows that were placed last are used.
    pub(super) fn touch(&mut self, now_ms: i64) {
        self.table.touch(&self.slots, now_ms);
    }

    /// The keys of sessions.
    pub(super) fn keys_of(&self, sessions: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        let slots: Vec<u32> = sessions.iter().map(|at| self.lists.session(*at).key).collect();
        Ok(self.table.keys(&slots)?)
    }

    /// Forgets sessions, and keys without any.
    pub(super) fn remove(&mut self, gone: &[u32]) -> Result<(), OperatorError> {
        let (mut empty, mut dirty) = (Vec::new(), Vec::new());
        for at in gone {
            let key = self.lists.session(*at).key;
            if self.lists.unlink(*at) { empty.push(key) } else { dirty.push(key) }
        }
        self.lists.release(gone);
        self.table.mark_dirty(&dirty);
        Ok(self.table.remove(&empty)?)
    }

    /// Forgets keys, with all their sessions.
    pub(super) fn forget(&mut self, keys: &[u32]) -> Result<(), OperatorError> {
        keys.iter().for_each(|key| self.lists.forget(*key));
        Ok(self.table.remove(keys)?)
    }
}

/// How keys are hashed. Without keys there is one, looked up by 0.
fn hash_keys(keys: &[ArrayRef], rows: usize) -> Result<Vec<u64>, ArrowError> {
    if keys.is_empty() { Ok(vec![0; rows]) } else { hash_columns(keys, rows) }
}

impl Table for Sessions {
    fn name(&self) -> &str {
        self.table.name()
    }

    fn persist(&mut self) -> Result<(), StateError> {
        let lists = &self.lists;
        self.table.persist(&mut |key, out| lists.save(key, out))
    }

    fn len(&self) -> usize {
        self.table.len()
    }

    fn size_bytes(&self) -> usize {
        let Lists { latest, sessions, rows, calls, free, .. } = &self.lists;
        let lists =
            sessions.capacity() * size_of::<Session>() + (latest.capacity() + free.capacity()) * size_of::<u32>();
        self.table.size_bytes() + lists + rows.capacity() * size_of::<i64>() + calls.size_bytes()
    }

    fn taken_bytes(&self) -> usize {
        self.table.taken_bytes(self.size_bytes())
    }

    fn is_whole(&self) -> bool {
        self.table.is_complete()
    }

    fn warm(&mut self, entries_max: usize) -> Result<(), StateError> {
        let lists = &mut self.lists;
        self.table.scan_more(entries_max, &hash_keys, &mut |key, bytes| lists.load(key, bytes))?;
        self.lists.latest.resize(self.table.slots_max(), NONE);
        Ok(())
    }

    fn tidy(&mut self, entries_max: usize) -> Result<(), StateError> {
        self.table.tidy(entries_max)
    }

    fn evict(&mut self, bytes: usize) -> Result<(), StateError> {
        if self.stays {
            return Ok(());
        }
        let count = self.table.count_of(bytes, self.taken_bytes());
        let lists = &self.lists;
        let gone = self.table.evict(count, &mut |key, out| lists.save(key, out))?;
        gone.iter().for_each(|key| self.lists.forget(*key));
        Ok(())
    }
}
