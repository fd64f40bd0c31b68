//! Opening, appending, reading and dropping.

use crate::JournalError;
use crate::segment::{CONTENT_BYTES_MAX, Each, HEADER_BYTES, Header, LENGTH_BYTES, Scanned, batch, closed, scan};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// How a journal is kept.
#[derive(Debug, Clone)]
pub struct JournalSettings {
    /// A segment that is longer is followed by another one.
    pub segment_bytes: u64,
}

/// The longest record.
pub const RECORD_BYTES_MAX: usize = CONTENT_BYTES_MAX - LENGTH_BYTES;

impl Default for JournalSettings {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20 }
    }
}

/// What was found when a journal was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// The number of the first record that is there; `next` when there is none.
    pub first: u64,
    /// The number that the next record gets.
    pub next: u64,
    /// Bytes that were cut off at the end: what was being written when the process or the machine died.
    pub cut_bytes: u64,
}

/// See the crate's page. All calls may come from several threads.
pub struct Journal {
    directory: PathBuf,
    settings: JournalSettings,
    state: Mutex<State>,
    /// A batch has become durable, or has failed.
    written: Condvar,
    // Held as long as it is open.
    _lock: File,
}

struct State {
    /// Records that wait, each behind its length.
    content: Vec<u8>,
    records: u32,
    /// The number of the next record.
    next: u64,
    /// Records before it are durable.
    durable: u64,
    /// First records of all segments.
    segments: BTreeSet<u64>,
    /// The segment that is written to; out while somebody writes.
    tail: Option<Tail>,
    failed: Option<JournalError>,
}

struct Tail {
    path: PathBuf,
    file: File,
    header: Header,
    size_bytes: u64,
}

impl Journal {
    /// Opens the journal of a directory, which is made when it is not there. What a crash has torn at its end is cut off.
    ///
    /// # Errors
    /// Damage; another process has it open; the directory cannot be read or written.
    pub fn open(directory: &Path, settings: JournalSettings) -> Result<(Self, Opened), JournalError> {
        make_directories(directory)?;
        let lock = lock(directory)?;
        let mut segments = segments(directory)?;
        let (tail, next, cut_bytes) = open_tail(directory, &mut segments)?;
        let opened = Opened { first: segments.first().copied().unwrap_or(next), next, cut_bytes };
        let (content, records, durable, failed) = (Vec::new(), 0, next, None);
        let state = State { content, records, next, durable, segments, tail: Some(tail), failed };
        let (state, written) = (Mutex::new(state), Condvar::new());
        Ok((Self { directory: directory.to_owned(), settings, state, written, _lock: lock }, opened))
    }

    /// Appends a record; returns its number when it is durable.
    ///
    /// # Errors
    /// It is too long; or it could not be written, and the journal takes nothing more.
    pub fn append(&self, record: &[u8]) -> Result<u64, JournalError> {
        let number = self.enqueue(record)?;
        self.wait(number)?;
        Ok(number)
    }

    /// Gives a record its place, without waiting for the disk; returns its number. It is written when somebody
    /// [waits](Self::wait) for it or for one behind it.
    ///
    /// # Errors
    /// It is too long. A journal that takes nothing more gives numbers still, and who waits for them is told.
    pub fn enqueue(&self, record: &[u8]) -> Result<u64, JournalError> {
        let size_bytes = record.len();
        if size_bytes > RECORD_BYTES_MAX {
            return Err(JournalError::TooLarge { size_bytes, max_bytes: RECORD_BYTES_MAX });
        }
        let mut state = self.state.lock();
        // A batch has an end too.
        while state.failed.is_none() && state.content.len() + LENGTH_BYTES + size_bytes > CONTENT_BYTES_MAX {
            self.write_or_wait(&mut state);
        }
        let number = state.next;
        state.next += 1;
        if state.failed.is_none() {
            state.content.extend_from_slice(&(size_bytes as u32).to_le_bytes());
            state.content.extend_from_slice(record);
            state.records += 1;
        }
        Ok(number)
    }

    /// Waits until the record of this number, and so all before it, are durable.
    ///
    /// # Errors
    /// It could not be written, and the journal takes nothing more.
    pub fn wait(&self, number: u64) -> Result<(), JournalError> {
        let mut state = self.state.lock();
        // Of what has no number yet there is nothing to wait for.
        let number = number.min(state.next.saturating_sub(1));
        while state.durable <= number {
            state.check()?;
            self.write_or_wait(&mut state);
        }
        Ok(())
    }

    /// Does it take records?
    ///
    /// # Errors
    /// It was closed, or a write has failed.
    pub fn check(&self) -> Result<(), JournalError> {
        self.state.lock().check()
    }

    /// Writes what waits, unless somebody else writes: then waits until that is done.
    fn write_or_wait(&self, state: &mut MutexGuard<'_, State>) {
        let Some(mut tail) = state.tail.take() else { return self.written.wait(state) };
        if state.records == 0 {
            // Somebody else was quicker.
            state.tail = Some(tail);
            return;
        }
        let (content, records) = (std::mem::take(&mut state.content), std::mem::take(&mut state.records));
        let first = state.next - u64::from(records);
        let written = MutexGuard::unlocked(state, || {
            if tail.size_bytes >= self.settings.segment_bytes && tail.header.first < first {
                tail = begin(&self.directory, first)?;
            }
            tail.write(&batch(tail.header.salt, first, records, &content)).map(|()| tail)
        });
        match written {
            Ok(tail) => {
                state.segments.insert(tail.header.first);
                state.tail = Some(tail);
                state.durable = first + u64::from(records);
            }
            Err(error) => state.failed = Some(error),
        }
        self.written.notify_all();
    }

    /// The number that the next record gets.
    pub fn next(&self) -> u64 {
        self.state.lock().next
    }

    /// Calls `each` with the number and bytes of every durable record from number `from` on that was not dropped. Not to be
    /// called while records are dropped.
    ///
    /// # Errors
    /// Damage, or a file cannot be read, or `each` failed.
    pub fn read(&self, from: u64, each: &mut Each<'_>) -> Result<(), JournalError> {
        let (segments, durable) = {
            let state = self.state.lock();
            (state.segments.clone(), state.durable)
        };
        let mut expected = None;
        for (at, first) in segments.iter().enumerate() {
            let following = segments.iter().nth(at + 1).copied();
            if following.is_some_and(|following| following <= from) {
                continue;
            }
            let path = path_of(&self.directory, *first);
            let bytes = fs::read(&path).map_err(|e| JournalError::io(&path, e))?;
            let mut wanted = |number: u64, record: &[u8]| match (from..durable).contains(&number) {
                true => each(number, record),
                false => Ok(()),
            };
            let scanned = scan(&path, &bytes, &mut wanted)?;
            let next = whole(&path, *first, expected, following, scanned, durable)?;
            expected = Some(next);
        }
        Ok(())
    }

    /// Forgets records up to and with number `covered`, as far as whole segments can go.
    ///
    /// # Errors
    /// A file cannot be deleted; the rest is left for the next time.
    pub fn drop_until(&self, covered: u64) -> Result<(), JournalError> {
        loop {
            let mut state = self.state.lock();
            let mut segments = state.segments.iter();
            let Some(oldest) = segments.next().copied() else { break };
            // The last one is written to.
            if segments.next().is_none_or(|following| *following > covered.saturating_add(1)) {
                break;
            }
            // The oldest first, one by one: whatever happens there is no gap.
            let path = path_of(&self.directory, oldest);
            fs::remove_file(&path).map_err(|e| JournalError::io(&path, e))?;
            state.segments.remove(&oldest);
        }
        sync_directory(&self.directory)
    }

    /// Writes what waits and ends it with a mark: from now on any damage is told as such, and nothing more is taken.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn close(&self) -> Result<(), JournalError> {
        let mut state = self.state.lock();
        while state.durable < state.next || state.tail.is_none() {
            state.check()?;
            self.write_or_wait(&mut state);
        }
        state.check()?;
        let next = state.next;
        let closed = match &mut state.tail {
            Some(tail) => tail.write(&closed(tail.header.salt, next)),
            None => Ok(()),
        };
        state.failed = Some(closed.clone().err().unwrap_or(JournalError::Closed));
        self.written.notify_all();
        closed
    }
}

impl State {
    fn check(&self) -> Result<(), JournalError> {
        match &self.failed {
            Some(JournalError::Closed) => Err(JournalError::Closed),
            Some(error) => Err(JournalError::Failed { error: Box::new(error.clone()) }),
            None => Ok(()),
        }
    }
}

impl Tail {
    fn write(&mut self, bytes: &[u8]) -> Result<(), JournalError> {
        let written = self.file.write_all(bytes).and_then(|()| self.file.sync_data());
        written.map_err(|e| JournalError::io(&self.path, e))?;
        self.size_bytes += bytes.len() as u64;
        Ok(())
    }
}

/// Does a segment hold all records from its first to the one before the next segment's? Returns the number after its last.
fn whole(
    path: &Path,
    first: u64,
    expected: Option<u64>,
    following: Option<u64>,
    scanned: Option<Scanned>,
    durable: u64,
) -> Result<u64, JournalError> {
    let corrupt = |at: u64, message: String| Err(JournalError::Corrupt { path: path.to_owned(), at, message });
    let Some(Scanned { header, next, whole_bytes }) = scanned else {
        return corrupt(0, "its header is not whole".into());
    };
    if header.first != first || expected.is_some_and(|expected| expected != first) {
        return corrupt(0, format!("it begins with record {}", header.first));
    }
    match following {
        Some(following) if following != next => corrupt(whole_bytes, format!("record {next} is missing")),
        None if next < durable => corrupt(whole_bytes, format!("record {next} is missing")),
        _ => Ok(next),
    }
}

/// The last segment, ready to be written; the number of the next record, and how much was cut off.
fn open_tail(directory: &Path, segments: &mut BTreeSet<u64>) -> Result<(Tail, u64, u64), JournalError> {
    let mut cut_bytes = 0;
    // A segment that was being made when the process died holds nothing; there is one at most.
    for _ in 0..2 {
        let Some(last) = segments.last().copied() else { break };
        let path = path_of(directory, last);
        let bytes = fs::read(&path).map_err(|e| JournalError::io(&path, e))?;
        match scan(&path, &bytes, &mut |_, _| Ok(()))? {
            Some(scanned) => {
                whole(&path, last, None, None, Some(scanned), 0)?;
                let Scanned { header, next, whole_bytes } = scanned;
                cut_bytes += bytes.len() as u64 - whole_bytes;
                let file = OpenOptions::new().append(true).open(&path).map_err(|e| JournalError::io(&path, e))?;
                if bytes.len() as u64 > whole_bytes {
                    file.set_len(whole_bytes).and_then(|()| file.sync_all()).map_err(|e| JournalError::io(&path, e))?;
                }
                return Ok((Tail { path, file, header, size_bytes: whole_bytes }, next, cut_bytes));
            }
            None => {
                fs::remove_file(&path).map_err(|e| JournalError::io(&path, e))?;
                sync_directory(directory)?;
                segments.remove(&last);
                cut_bytes += bytes.len() as u64;
                if segments.is_empty() {
                    // Its name says which record was next.
                    let tail = begin(directory, last)?;
                    segments.insert(last);
                    return Ok((tail, last, cut_bytes));
                }
            }
        }
    }
    match segments.last().copied() {
        None => {
            segments.insert(1);
            Ok((begin(directory, 1)?, 1, cut_bytes))
        }
        Some(last) => {
            let (path, message) = (path_of(directory, last), "its header is not whole".into());
            Err(JournalError::Corrupt { path, at: 0, message })
        }
    }
}

/// A new segment, durable.
fn begin(directory: &Path, first: u64) -> Result<Tail, JournalError> {
    let path = path_of(directory, first);
    let header = Header { first, salt: RandomState::new().build_hasher().finish() };
    let mut file =
        OpenOptions::new().append(true).create_new(true).open(&path).map_err(|e| JournalError::io(&path, e))?;
    let written = file.write_all(&header.encode()).and_then(|()| file.sync_all());
    written.map_err(|e| JournalError::io(&path, e))?;
    sync_directory(directory)?;
    Ok(Tail { path, file, header, size_bytes: HEADER_BYTES as u64 })
}

fn segments(directory: &Path) -> Result<BTreeSet<u64>, JournalError> {
    let fault = |e| JournalError::io(directory, e);
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(directory).map_err(fault)? {
        let name = entry.map_err(fault)?.file_name();
        found.extend(name.to_str().and_then(|n| n.strip_suffix(".journal")).and_then(|n| n.parse::<u64>().ok()));
    }
    Ok(found)
}

fn path_of(directory: &Path, first: u64) -> PathBuf {
    directory.join(format!("{first:020}.journal"))
}

fn lock(directory: &Path) -> Result<File, JournalError> {
    let path = directory.join("lock");
    let file = File::create(&path).map_err(|e| JournalError::io(&path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::Locked { path }),
        Err(TryLockError::Error(e)) => Err(JournalError::io(&path, e)),
    }
}

fn make_directories(directory: &Path) -> Result<(), JournalError> {
    if directory.is_dir() {
        return Ok(());
    }
    if let Some(parent) = directory.parent() {
        make_directories(parent)?;
    }
    match fs::create_dir(directory) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(JournalError::io(directory, e)),
        _ => {}
    }
    directory.parent().map_or(Ok(()), sync_directory)
}

fn sync_directory(directory: &Path) -> Result<(), JournalError> {
    // A relative path has an empty parent.
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    File::open(directory).and_then(|d| d.sync_all()).map_err(|e| JournalError::io(directory, e))
}
