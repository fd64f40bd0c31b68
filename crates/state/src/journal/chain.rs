use super::merge::{Before, merge, merge_part};
use super::reader::parse_parts;
use super::segment::{Part, Segment};
use super::{ALL, PARTS, Parts, TABLE_BYTES, Writer};
use crate::{Batch, Puts, StateError};
use parking_lot::Mutex;
use std::fs;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// Files of the chain, before neighbours are merged.
const SEGMENTS_MAX: usize = 16;
/// How many neighbours are merged then.
const MERGED: usize = 8;
/// Neighbours are merged if they are together at most one part in so many of everything, or small.
const MERGED_SHARE: u64 = 64;
const SMALL_BYTES: u64 = 256 << 10;
/// Fewer records than this are not worth cleaning up for those that are replaced.
const RECORDS_MIN: u64 = 10_000;
const NAME: &str = "journal-";
/// The file that names the others: their order, and that none is missing.
const CHAIN: &str = "journal";

/// A file of a chain, and which of its parts are not dead.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) segment: Arc<Segment>,
    pub(crate) parts: Parts,
}

impl Link {
    fn new(segment: Segment) -> Self {
        let has = |(at, part): (usize, &Part)| if part.records > 0 { 1 << at } else { 0 };
        let parts = segment.parts.iter().enumerate().map(has).fold(0, |all, part: Parts| all | part);
        Self { segment: Arc::new(segment), parts }
    }

    pub(crate) fn has(&self, part: usize) -> bool {
        self.parts & (1 << part) != 0
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.segment, &other.segment) && self.parts == other.parts
    }

    /// A sum over the parts that are not dead.
    fn sum(&self, of: impl Fn(&Part) -> u64) -> u64 {
        (0..PARTS).filter(|part| self.has(*part)).map(|part| of(&self.segment.parts[part])).sum()
    }
}

/// Files of a journal, oldest first.
pub(crate) type Chain = Vec<Link>;

/// Writes the file that names those of a chain, which are beside it. Returns its name and size.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write_names(chain: &Chain, directory: &Path) -> Result<(String, u64), StateError> {
    let line = |link: &Link| format!("{} {:032x}\n", link.segment.name(), link.parts);
    let mut text: String = chain.iter().map(line).collect();
    text += &format!("{:016x}\n", xxh3_64(text.as_bytes()));
    let path = directory.join(CHAIN);
    fs::write(&path, &text).map_err(|e| StateError::io(&path, e))?;
    Ok((CHAIN.to_owned(), text.len() as u64))
}

/// The files, oldest first, that a directory holds of a journal that was closed, or of a picture of one, with their parts; and the first number that was not
/// given to a file.
///
/// # Errors
/// The directory cannot be read; [`StateError::CorruptFile`]: a file is missing or damaged.
pub(crate) fn found(directory: &Path) -> Result<(Vec<(PathBuf, Parts)>, u64), StateError> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(directory).map_err(|e| StateError::io(directory, e))? {
        let entry = entry.map_err(|e| StateError::io(directory, e))?;
        numbers.extend(entry.file_name().to_str().and_then(|n| n.strip_prefix(NAME)?.parse::<u64>().ok()));
    }
    let next = numbers.iter().max().map_or(1, |last| last + 1);
    let path = directory.join(CHAIN);
    let text = match fs::read_to_string(&path) {
        Err(e) if e.kind() == ErrorKind::NotFound && numbers.is_empty() => return Ok((Vec::new(), next)),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::InvalidData) => {
            return Err(StateError::corrupt_file(&path, "the file that names the journal's is missing or damaged"));
        }
        text => text.map_err(|e| StateError::io(&path, e))?,
    };
    let names = text.rfind(|c| c != '\n').and_then(|end| text[..end].rfind('\n')).map_or("", |end| &text[..=end]);
    if text[names.len()..] != format!("{:016x}\n", xxh3_64(names.as_bytes())) {
        return Err(StateError::corrupt_file(&path, "its checksum does not fit its content"));
    }
    let mut files = Vec::new();
    for line in names.lines() {
        let mut words = line.split(' ');
        let name = words.next().unwrap_or_default();
        let parts = parse_parts(words.next()).ok_or_else(|| StateError::corrupt_file(&path, "a line is not known"))?;
        files.push((directory.join(name), parts));
    }
    match files.iter().find(|(path, _)| !path.is_file()) {
        Some((missing, _)) => Err(StateError::corrupt_file(missing, "the file is missing")),
        None => Ok((files, next)),
    }
}

/// Removes what [`found`] has found: it is kept elsewhere now.
///
/// # Errors
/// A file cannot be removed.
pub(crate) fn remove(files: &[(PathBuf, Parts)], directory: &Path) -> Result<(), StateError> {
    for path in std::iter::once(&directory.join(CHAIN)).chain(files.iter().map(|(path, _)| path)) {
        remove_file(path)?;
    }
    Ok(())
}

/// Removes a file, if it is there.
///
/// # Errors
/// It cannot be removed.
pub(crate) fn remove_file(path: &Path) -> Result<(), StateError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(StateError::io(path, e)),
        _ => Ok(()),
    }
}

/// Says of keys, whether what a journal is written on may hold them.
pub(crate) type Base = Arc<dyn Fn(&[&[u8]]) -> Vec<bool> + Send + Sync>;

/// What one backend writes. See the module's page.
pub(crate) struct Journal {
    directory: PathBuf,
    /// What it is written on; `None`: on nothing.
    base: Mutex<Option<Base>>,
    state: Mutex<State>,
    /// Held by who cleans up.
    cleaning: Mutex<()>,
}

struct State {
    /// The file that is written, if anything was since the last cut.
    open: Option<Writer>,
    chain: Chain,
    next: u64,
    /// Bytes that were written last: as many may be written for cleaning up.
    credit_bytes: u64,
    /// The part that is cleaned up next.
    part: usize,
}

impl Journal {
    /// An empty journal whose files are in `directory`, numbered from `next`.
    pub(crate) fn new(directory: &Path, next: u64) -> Self {
        let state = State { open: None, chain: Chain::new(), next, credit_bytes: 0, part: 0 };
        let (base, state) = (Mutex::new(None), Mutex::new(state));
        Self { directory: directory.into(), base, state, cleaning: Mutex::new(()) }
    }

    /// The same, of what is written on top of a store that does not change meanwhile.
    pub(crate) fn on(base: Base, directory: &Path, next: u64) -> Self {
        let journal = Self::new(directory, next);
        journal.rebase(base);
        journal
    }

    /// Goes on with the files that were [found](found) in its directory. `None`: one of them is of a version that is read whole.
    ///
    /// # Errors
    /// A file cannot be read; [`StateError::CorruptFile`]: it is damaged, as far as its footer tells.
    pub(crate) fn resume(
        base: Option<Base>,
        directory: &Path,
        (files, next): (&[(PathBuf, Parts)], u64),
    ) -> Result<Option<Self>, StateError> {
        let mut chain = Chain::new();
        for (path, parts) in files {
            let Some(segment) = Segment::open(path)? else { return Ok(None) };
            let link = Link::new(segment);
            chain.push(Link { parts: link.parts & parts, ..link });
        }
        // Who closes it writes the names again.
        remove_file(&directory.join(CHAIN))?;
        chain.iter().for_each(|link| link.segment.take());
        chain.retain(|link| link.parts != 0);
        let journal = Self::new(directory, next);
        *journal.base.lock() = base;
        journal.state.lock().chain = chain;
        Ok(Some(journal))
    }

    /// From now on it is written on top of this.
    pub(crate) fn rebase(&self, base: Base) {
        *self.base.lock() = Some(base);
    }

    /// Does it say anything of a table?
    pub(crate) fn has_table(&self, table: &[u8; TABLE_BYTES]) -> bool {
        let state = self.state.lock();
        let mut files = state.chain.iter().map(|link| &link.segment.tables);
        state.open.as_ref().is_some_and(|open| open.tables.has(table)) || files.any(|tables| tables.has(table))
    }

    /// Records that say something.
    pub(crate) fn records(&self) -> u64 {
        let state = self.state.lock();
        let sum = |of: fn(&Part) -> u64| state.chain.iter().map(|link| link.sum(of)).sum::<u64>();
        sum(|part| part.records).saturating_sub(sum(|part| part.waste))
    }

    /// What it says of parts is kept elsewhere now.
    pub(crate) fn forget(&self, parts: Parts) {
        let mut state = self.state.lock();
        state.chain.iter_mut().for_each(|link| link.parts &= !parts);
        state.chain.retain(|link| link.parts != 0);
    }

    /// The first number that was not given to a file.
    pub(crate) fn next(&self) -> u64 {
        self.state.lock().next
    }

    /// Appends writes, none of which removes a range.
    ///
    /// # Errors
    /// The file cannot be written. What a part of the batch wrote is never read: the job begins again at its last checkpoint.
    pub(crate) fn append(&self, batch: &Batch) -> Result<(), StateError> {
        self.write(|open| open.append(batch))
    }

    /// Sets entries.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub(crate) fn put(&self, puts: &Puts) -> Result<(), StateError> {
        self.write(|open| open.put(puts))
    }

    fn write(&self, write: impl FnOnce(&mut Writer) -> Result<(), StateError>) -> Result<(), StateError> {
        let mut state = self.state.lock();
        if state.open.is_none() {
            let path = state.next_path(&self.directory);
            state.open = Some(Writer::create(&path)?);
        }
        state.open.as_mut().map_or(Ok(()), write)
    }

    /// Ends the file at hand. Returns all that was written.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn cut(&self) -> Result<Chain, StateError> {
        let mut state = self.state.lock();
        if let Some(open) = state.open.take() {
            let segment = Segment::ended(open)?;
            state.credit_bytes = segment.size_bytes;
            state.chain.push(Link::new(segment));
        }
        Ok(state.chain.clone())
    }

    /// Merges files of `chain`, a former state of the journal, and cleans up parts of it, where that pays. Returns the chain that holds the
    /// same.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub(crate) fn merged(&self, chain: Chain) -> Result<Chain, StateError> {
        let _cleaning = self.cleaning.lock();
        // Somebody else may have changed it, or brought it elsewhere.
        if !self.state.lock().begins_with(&chain) {
            return Ok(chain);
        }
        let mut merged = chain.clone();
        let base = self.base.lock().clone();
        let beginning = base.as_ref().map_or(Before::Nothing, Before::Base);
        self.merge_neighbours(&mut merged, beginning)?;
        self.clean(&mut merged, beginning)?;
        let mut state = self.state.lock();
        if state.begins_with(&chain) {
            state.chain.splice(..chain.len(), merged.iter().cloned());
        }
        Ok(merged)
    }

    fn create(&self) -> Result<Writer, StateError> {
        let path = self.state.lock().next_path(&self.directory);
        Writer::create(&path)
    }

    fn merge_neighbours(&self, chain: &mut Chain, beginning: Before<'_>) -> Result<(), StateError> {
        let Some(run) = worth_merging(chain) else { return Ok(()) };
        let before = if run.start == 0 { beginning } else { Before::Files };
        let mut writer = self.create()?;
        merge(&chain[run.clone()], before, &mut writer)?;
        chain.splice(run, [Link::new(Segment::ended(writer)?)]);
        chain.retain(|link| link.parts != 0);
        Ok(())
    }

    /// Writes what holds of parts anew, the next ones, while more than half of all records hold nothing, and no more was written for that than
    /// for what has changed.
    fn clean(&self, chain: &mut Chain, beginning: Before<'_>) -> Result<(), StateError> {
        let mut part = self.state.lock().part;
        let mut writer: Option<Writer> = None;
        let (mut cleaned, mut cleaned_records): (Parts, u64) = (0, 0);
        let credit_bytes = self.state.lock().credit_bytes;
        while cleaned != ALL && writer.as_ref().is_none_or(|writer| writer.size_bytes() < credit_bytes) {
            let sum = |of: fn(&Part) -> u64| chain.iter().map(|link| link.sum(of)).sum::<u64>();
            let (records, waste) = (sum(|p| p.records) + cleaned_records, sum(|p| p.waste));
            if records < RECORDS_MIN || 2 * waste <= records {
                break;
            }
            let mut open = writer.map_or_else(|| self.create(), Ok)?;
            merge_part(chain, part, beginning, &mut open)?;
            cleaned_records += open.parts[part].records;
            cleaned |= 1 << part;
            chain.iter_mut().for_each(|link| link.parts &= !(1 << part));
            part = (part + 1) % PARTS;
            writer = Some(open);
        }
        let mut state = self.state.lock();
        (state.part, state.credit_bytes) = (part, 0);
        drop(state);
        if let Some(writer) = writer {
            chain.push(Link::new(Segment::ended(writer)?));
            chain.retain(|link| link.parts != 0);
        }
        Ok(())
    }

    /// Leaves the files where they are: the backend is closed.
    ///
    /// # Errors
    /// The file at hand cannot be ended.
    pub(crate) fn close(&self) -> Result<(), StateError> {
        let chain = self.cut()?;
        if !chain.is_empty() {
            write_names(&chain, &self.directory)?;
        }
        chain.iter().for_each(|link| link.segment.leave());
        Ok(())
    }
}

impl State {
    fn next_path(&mut self, directory: &Path) -> PathBuf {
        self.next += 1;
        directory.join(format!("{NAME}{}", self.next - 1))
    }

    fn begins_with(&self, chain: &Chain) -> bool {
        self.chain.len() >= chain.len() && self.chain.iter().zip(chain).all(|(a, b)| a.is(b))
    }
}

/// Which neighbours to merge.
fn worth_merging(chain: &[Link]) -> Option<Range<usize>> {
    if chain.len() <= SEGMENTS_MAX {
        return None;
    }
    let sizes: Vec<u64> = chain.iter().map(|link| link.sum(Part::size_bytes)).collect();
    let limit = (sizes.iter().sum::<u64>() / MERGED_SHARE).max(SMALL_BYTES);
    let sum = |start: usize| sizes[start..start + MERGED].iter().sum::<u64>();
    let start = (0..=chain.len() - MERGED).min_by_key(|start| sum(*start)).filter(|start| sum(*start) <= limit)?;
    Some(start..start + MERGED)
}
