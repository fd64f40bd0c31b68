//! What a sink from tables here is to write: the changes of its answer, one behind the other, in a journal of its own.
//!
//! ```text
//! answer ──changes──▶ Told ──▶ source of the sink's job, which stands at one of its records; a checkpoint has the place
//! ```
//! What is told is durable before the job reads it, so the job reads the same from a place again, whatever has happened to the process. All
//! that was ever told, added up, is the answer as it was then; the answer now less that is to be told when a process starts.
//!
//! So that it does not grow without end, all rows are written anew now and then: `ALL`, records of rows, `THESE`. That is what a job begins
//! with that begins at the beginning; one that reads on passes it over. What lies before it goes when no checkpoint needs it any more
//! ([`Told::drop_before`]). `VOID` stands in the place of `THESE` where a crash came between.

use super::record::{self, Record, corrupt};
use super::{changes_record, from_journal};
use crate::error::of_arrow;
use crate::kept::{Contents, IndexedRows};
use crate::lock::lock;
use arrow::array::BooleanArray;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use eddyline_changes::{ChangeBatch, ChangeError, Weights};
use eddyline_journal::{Journal, JournalError, JournalSettings, RECORD_BYTES_MAX};
use eddyline_planner::SqlError;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Mutex;
use std::task::Waker;
use tempfile::TempDir;

/// All rows follow.
const ALL: &[u8] = &[200, 1];
/// These were all rows.
const THESE: &[u8] = &[201, 1];
/// These were not all rows: a crash came between.
const VOID: &[u8] = &[202, 1];
/// So much is told before all rows are written anew, and at least twice as much as they take.
const TOLD_BYTES: usize = 16 << 20;
/// What was told last is in memory too, up to so many bytes.
const RECENT_BYTES: usize = 16 << 20;
/// What is read of the disk at once, at least.
const PORTION_BYTES: usize = 16 << 20;

/// See the module's page.
pub(crate) struct Told {
    schema: SchemaRef,
    key: Vec<usize>,
    /// See [`TOLD_BYTES`].
    told_bytes: usize,
    journal: Journal,
    state: Mutex<State>,
    /// Nothing is dropped while somebody reads.
    reading: Mutex<()>,
    /// Where the journal is, if it ends with the process.
    _temporary: Option<TempDir>,
}

#[derive(Default)]
struct State {
    /// The first record that was there when it was opened.
    first: u64,
    /// Up to here it can be read.
    next: u64,
    recent: VecDeque<(u64, Entry, usize)>,
    recent_bytes: usize,
    sections: Sections,
    reader: Option<Waker>,
    failed: Option<String>,
    /// Since all rows were written.
    told_bytes: usize,
    all_bytes: usize,
}

/// Where all rows were written anew.
#[derive(Debug, Default, Clone)]
struct Sections {
    /// `ALL` and `THESE`, in their order.
    whole: Vec<(u64, u64)>,
    /// `ALL` of one that has no end.
    open: Option<u64>,
}

/// A record.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    /// All rows follow.
    All,
    /// All rows are there, or are not to come.
    End,
    /// Changes, or rows between `All` and `End`.
    Changes(ChangeBatch),
}

/// What there is for a reader.
pub(crate) enum Next {
    /// A record.
    Entry(Entry),
    /// It is on the disk: [`Told::portion`] reads it.
    Stored,
    /// Nothing yet; the waker is called when there is.
    Nothing,
    /// Nothing more will come, for this reason.
    Failed(String),
}

/// Where a reader begins.
pub(crate) struct Start {
    /// At this record.
    pub(crate) record: u64,
    /// Rows behind `All` are for it, until the `End`.
    pub(crate) takes_all: bool,
}

impl Told {
    /// What the journal of a directory tells; of one that goes with the process where there is none. `key` are columns that tell rows apart.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(crate) fn open(schema: &SchemaRef, key: &[usize], directory: Option<&Path>) -> Result<Self, SqlError> {
        Self::open_sized(schema, key, directory, TOLD_BYTES)
    }

    /// As [`open`](Self::open); all rows are written anew when at least so many bytes were told.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn open_sized(
        schema: &SchemaRef,
        key: &[usize],
        directory: Option<&Path>,
        told_bytes: usize,
    ) -> Result<Self, SqlError> {
        let temporary = match directory {
            Some(_) => None,
            None => Some(tempfile::tempdir().map_err(|e| {
                SqlError::new(crate::error::state::IO, format!("no directory for what a sink is to write: {e}"))
            })?),
        };
        let directory = directory.or(temporary.as_ref().map(TempDir::path)).unwrap_or(Path::new("."));
        let settings = JournalSettings { segment_bytes: told_bytes as u64 };
        let (journal, opened) = Journal::open(directory, settings).map_err(from_journal)?;
        let mut state = State { first: opened.first, next: opened.next, ..State::default() };
        let mut note = |number: u64, bytes: &[u8]| {
            state.note(number, bytes);
            Ok(())
        };
        journal.read(opened.first, &mut note).map_err(from_journal)?;
        if state.sections.open.is_some() {
            let number = journal.append(VOID).map_err(from_journal)?;
            state.note(number, VOID);
            state.next = number + 1;
        }
        let (schema, key) = (schema.clone(), key.to_vec());
        let (state, reading) = (Mutex::new(state), Mutex::default());
        Ok(Self { schema, key, told_bytes, journal, state, reading, _temporary: temporary })
    }

    /// All that was told, added up.
    ///
    /// # Errors
    /// The journal cannot be read, or is that of another answer.
    fn added_up(&self) -> Result<Contents, SqlError> {
        let mut rows = Contents::of_view(0, self.schema.clone(), &self.key)?;
        let from = lock(&self.state).sections.whole.last().map(|(all, _)| *all);
        let (mut skips, mut failed) = (false, None);
        let mut each = |number: u64, bytes: &[u8]| -> Result<(), SqlError> {
            match bytes {
                ALL => skips = Some(number) != from,
                THESE | VOID => skips = false,
                _ if skips => {}
                bytes => rows.apply(&decoded(bytes, &self.schema)?)?,
            }
            Ok(())
        };
        let _reading = lock(&self.reading);
        let read = self.journal.read(from.unwrap_or_default(), &mut |number, bytes| {
            if failed.is_none() {
                failed = each(number, bytes).err();
            }
            Ok(())
        });
        read.map_err(from_journal)?;
        failed.map_or(Ok(rows), Err)
    }

    /// Tells what was not told yet where these rows are the answer; `grows`: what was told stays.
    ///
    /// # Errors
    /// Rows of another answer; it cannot be stored.
    pub(crate) fn catch_up(&self, rows: &IndexedRows, grows: bool) -> Result<(), SqlError> {
        let told = self.added_up()?;
        let mut all = Vec::new();
        for batch in rows.batches() {
            all.push(ChangeBatch::inserts(batch.map_err(|e| unreadable(&e))?));
        }
        let before = all.len();
        for batch in told.rows().batches() {
            let batch = batch.map_err(|e| unreadable(&e))?;
            let weights = Weights::from_vec(vec![-1; batch.num_rows()]);
            all.push(ChangeBatch::new(batch, weights).map_err(fault)?);
        }
        drop(told);
        if all.len() == before {
            return self.tell(&all);
        }
        let net = ChangeBatch::concat(rows.schema(), &all).and_then(|all| all.consolidate()).map_err(fault)?;
        let comes = |at: usize| Some(!grows || net.weights().at(at) > 0);
        let net = net.filter(&BooleanArray::from_iter((0..net.num_rows()).map(comes))).map_err(fault)?;
        self.tell(&[net])
    }

    /// Tells changes; they are on the disk when this returns.
    ///
    /// # Errors
    /// They cannot be put there.
    pub(crate) fn tell(&self, changes: &[ChangeBatch]) -> Result<(), SqlError> {
        let mut entries = Vec::new();
        for changes in changes.iter().filter(|changes| !changes.is_empty()) {
            self.records(changes, &mut entries)?;
        }
        self.put(entries)
    }

    /// Writes all rows anew, if what was told since the last time is long. Returns the number of the record with which they begin.
    ///
    /// # Errors
    /// They cannot be read or written.
    pub(crate) fn renew(&self) -> Result<Option<u64>, SqlError> {
        let is_long = {
            let state = lock(&self.state);
            state.told_bytes > self.told_bytes.max(2 * state.all_bytes)
        };
        if !is_long {
            return Ok(None);
        }
        let all = self.added_up()?;
        self.put(vec![(ALL.to_vec(), Entry::All)])?;
        for rows in all.rows().batches() {
            let mut entries = Vec::new();
            self.records(&ChangeBatch::inserts(rows.map_err(|e| unreadable(&e))?), &mut entries)?;
            self.put(entries)?;
        }
        self.put(vec![(THESE.to_vec(), Entry::End)])?;
        Ok(lock(&self.state).sections.whole.last().map(|(all, _)| *all))
    }

    /// Forgets what was told before a record with which all rows begin.
    ///
    /// # Errors
    /// Files cannot be deleted.
    pub(crate) fn drop_before(&self, record: u64) -> Result<(), SqlError> {
        let _reading = lock(&self.reading);
        self.journal.drop_until(record.saturating_sub(1)).map_err(from_journal)?;
        lock(&self.state).sections.whole.retain(|(all, _)| *all >= record);
        Ok(())
    }

    /// Nothing more will be told: the job fails when it has read what was.
    pub(crate) fn fail(&self, why: String) {
        let reader = {
            let mut state = lock(&self.state);
            state.failed = Some(why);
            state.reader.take()
        };
        reader.into_iter().for_each(Waker::wake);
    }

    /// Where a reader begins at the beginning.
    pub(crate) fn beginning(&self) -> Start {
        let state = lock(&self.state);
        match state.sections.whole.last() {
            Some((all, _)) => Start { record: *all, takes_all: true },
            None => Start { record: state.first, takes_all: false },
        }
    }

    /// Where a reader goes on that stands at this record.
    pub(crate) fn from(&self, record: u64) -> Start {
        let state = lock(&self.state);
        let takes_all = state.sections.whole.iter().any(|(all, these)| (*all + 1..=*these).contains(&record));
        Start { record, takes_all }
    }

    /// The record of this number.
    pub(crate) fn next(&self, number: u64, waker: &Waker) -> Next {
        let mut state = lock(&self.state);
        if number >= state.next {
            if let Some(why) = &state.failed {
                return Next::Failed(why.clone());
            }
            state.reader = Some(waker.clone());
            return Next::Nothing;
        }
        // What is before it is read.
        while state.recent.front().is_some_and(|(first, ..)| *first < number) {
            state.forget_first();
        }
        match state.recent.front() {
            Some((first, entry, _)) if *first == number => Next::Entry(entry.clone()),
            _ => Next::Stored,
        }
    }

    /// Records from this number on that are on the disk, some of them. Blocks.
    ///
    /// # Errors
    /// They cannot be read, or are gone.
    pub(crate) fn portion(&self, from: u64) -> Result<VecDeque<(u64, Entry)>, SqlError> {
        let _reading = lock(&self.reading);
        let (mut found, mut bytes_read, mut failed) = (VecDeque::new(), 0, None);
        let read = self.journal.read(from, &mut |number, bytes| {
            bytes_read += bytes.len();
            match entry(bytes, &self.schema) {
                Ok(entry) => found.push_back((number, entry)),
                Err(error) => failed = Some(error),
            }
            // It ends here.
            if failed.is_some() || bytes_read >= PORTION_BYTES { Err(JournalError::Closed) } else { Ok(()) }
        });
        match (failed, read) {
            (Some(error), _) => Err(error),
            (None, Err(error)) if !matches!(error, JournalError::Closed) => Err(from_journal(error)),
            _ if found.front().is_none_or(|(number, _)| *number != from) => {
                Err(corrupt(format!("what a sink is to write is gone from record {from} on")))
            }
            _ => Ok(found),
        }
    }

    /// Records of changes, each short enough.
    fn records(&self, changes: &ChangeBatch, records: &mut Vec<(Vec<u8>, Entry)>) -> Result<(), SqlError> {
        let rows = changes.num_rows();
        if rows > 1 && changes.rows().get_array_memory_size() > RECORD_BYTES_MAX / 2 {
            let half = rows / 2;
            self.records(&copied(&changes.slice(0, half))?, records)?;
            return self.records(&copied(&changes.slice(half, rows - half))?, records);
        }
        records.push((changes_record(0, changes)?, Entry::Changes(changes.clone())));
        Ok(())
    }

    /// Puts records on the disk, and where the reader finds them.
    fn put(&self, entries: Vec<(Vec<u8>, Entry)>) -> Result<(), SqlError> {
        let mut numbered = Vec::with_capacity(entries.len());
        for (bytes, entry) in entries {
            numbered.push((self.journal.enqueue(&bytes).map_err(from_journal)?, bytes, entry));
        }
        let Some((last, ..)) = numbered.last() else { return Ok(()) };
        self.journal.wait(*last).map_err(from_journal)?;
        let reader = {
            let mut state = lock(&self.state);
            state.next = last + 1;
            for (number, bytes, entry) in numbered {
                state.note(number, &bytes);
                state.recent_bytes += bytes.len();
                state.recent.push_back((number, entry, bytes.len()));
            }
            while state.recent_bytes > RECENT_BYTES {
                state.forget_first();
            }
            state.reader.take()
        };
        reader.into_iter().for_each(Waker::wake);
        Ok(())
    }
}

impl State {
    fn forget_first(&mut self) {
        if let Some((.., size_bytes)) = self.recent.pop_front() {
            self.recent_bytes -= size_bytes;
        }
    }

    /// A record was written.
    fn note(&mut self, number: u64, bytes: &[u8]) {
        match bytes {
            ALL => (self.sections.open, self.told_bytes, self.all_bytes) = (Some(number), 0, 0),
            THESE | VOID => {
                let whole = self.sections.open.take().filter(|_| bytes == THESE).map(|all| (all, number));
                self.sections.whole.extend(whole);
            }
            _ if self.sections.open.is_some() => self.all_bytes += bytes.len(),
            _ => self.told_bytes += bytes.len(),
        }
    }
}

fn entry(bytes: &[u8], schema: &SchemaRef) -> Result<Entry, SqlError> {
    Ok(match bytes {
        ALL => Entry::All,
        THESE | VOID => Entry::End,
        bytes => Entry::Changes(decoded(bytes, schema)?),
    })
}

fn decoded(bytes: &[u8], schema: &SchemaRef) -> Result<ChangeBatch, SqlError> {
    match record::read(bytes)? {
        Record::Changes(changes) => changes.decode(schema),
        _ => Err(corrupt("a record of what a sink is to write is none".into())),
    }
}

/// Rows that share nothing with others, so that their size in memory is their own.
fn copied(changes: &ChangeBatch) -> Result<ChangeBatch, SqlError> {
    ChangeBatch::concat(&changes.schema(), std::slice::from_ref(changes)).map_err(fault)
}

fn unreadable(error: &ArrowError) -> SqlError {
    SqlError::new(of_arrow(error), format!("rows of a sink: {error}"))
}

fn fault(error: ChangeError) -> SqlError {
    SqlError::new(SqlError::INTERNAL, format!("rows of a sink: {error}"))
}
