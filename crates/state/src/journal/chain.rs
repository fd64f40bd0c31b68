use super::Writer;
use super::merge::{Before, merge};
use crate::{Batch, StateError};
use parking_lot::Mutex;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use xxhash_rust::xxh3::xxh3_64;

/// Files of the chain, before neighbours are merged.
const SEGMENTS_MAX: usize = 16;
/// How many neighbours are merged then.
const MERGED: usize = 8;
/// Fewer records than this are not worth merging for those that are replaced.
const RECORDS_MIN: u64 = 10_000;
const NAME: &str = "journal-";
/// The file that names the others: their order, and that none is missing.
const CHAIN: &str = "journal";

/// A file that has ended. It is removed with the last who needs it.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    pub(crate) size_bytes: u64,
    pub(super) records: u64,
    /// Records, of these and of those in files before, that say nothing any more.
    pub(super) waste: u64,
    stays: AtomicBool,
}

impl Segment {
    /// Its name, which no other file of this journal ever has.
    pub(crate) fn name(&self) -> String {
        self.path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Brings it to the disk.
    ///
    /// # Errors
    /// The disk says no.
    pub(crate) fn sync(&self) -> Result<(), StateError> {
        let file = fs::File::open(&self.path).map_err(|e| StateError::io(&self.path, e))?;
        file.sync_data().map_err(|e| StateError::io(&self.path, e))
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        if !self.stays.load(Ordering::Relaxed) {
            // What cannot be removed goes with its directory.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Files of a journal, oldest first.
pub(crate) type Chain = Vec<Arc<Segment>>;

/// Writes the file that names those of a chain, which are beside it. Returns its name and size.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write_names(chain: &Chain, directory: &Path) -> Result<(String, u64), StateError> {
    let mut text: String = chain.iter().map(|segment| segment.name() + "\n").collect();
    text += &format!("{:016x}\n", xxh3_64(text.as_bytes()));
    let path = directory.join(CHAIN);
    fs::write(&path, &text).map_err(|e| StateError::io(&path, e))?;
    Ok((CHAIN.to_owned(), text.len() as u64))
}

/// The files, oldest first, that a directory holds of a journal that was closed, or of a picture of one; and the first number that was not
/// given to a file.
///
/// # Errors
/// The directory cannot be read; [`StateError::CorruptFile`]: a file is missing or damaged.
pub(crate) fn found(directory: &Path) -> Result<(Vec<PathBuf>, u64), StateError> {
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
    let files: Vec<PathBuf> = names.lines().map(|name| directory.join(name)).collect();
    match files.iter().find(|path| !path.is_file()) {
        Some(missing) => Err(StateError::corrupt_file(missing, "the file is missing")),
        None => Ok((files, next)),
    }
}

/// Removes what [`found`] has found: it is kept elsewhere now.
///
/// # Errors
/// A file cannot be removed.
pub(crate) fn remove(files: &[PathBuf], directory: &Path) -> Result<(), StateError> {
    for path in std::iter::once(&directory.join(CHAIN)).chain(files) {
        match fs::remove_file(path) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(StateError::io(path, e)),
            _ => {}
        }
    }
    Ok(())
}

/// Says of keys, whether what a journal is written on may hold them.
pub(crate) type Base = Box<dyn Fn(&[&[u8]]) -> Vec<bool> + Send + Sync>;

/// What one backend writes. See the module's page.
pub(crate) struct Journal {
    directory: PathBuf,
    /// What it is written on; `None`: on nothing.
    base: Option<Base>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The file that is written, if anything was since the last cut.
    open: Option<Writer>,
    chain: Chain,
    next: u64,
}

impl Journal {
    /// An empty journal whose files are in `directory`, numbered from `next`.
    pub(crate) fn new(directory: &Path, next: u64) -> Self {
        let state = State { open: None, chain: Chain::new(), next };
        Self { directory: directory.into(), base: None, state: Mutex::new(state) }
    }

    /// The same, of what is written on top of a store that does not change meanwhile.
    pub(crate) fn on(base: Base, directory: &Path, next: u64) -> Self {
        Self { base: Some(base), ..Self::new(directory, next) }
    }

    /// The first number that was not given to a file.
    pub(crate) fn next(&self) -> u64 {
        self.state.lock().next
    }

    /// Appends writes.
    ///
    /// # Errors
    /// The file cannot be written. What a part of the batch wrote is never read: the job begins again at its last checkpoint.
    pub(crate) fn append(&self, batch: &Batch) -> Result<(), StateError> {
        let mut state = self.state.lock();
        if state.open.is_none() {
            let path = state.next_path(&self.directory);
            state.open = Some(Writer::create(&path)?);
        }
        state.open.as_mut().map_or(Ok(()), |open| open.append(batch))
    }

    /// Ends the file at hand. Returns all that was written.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn cut(&self) -> Result<Chain, StateError> {
        let mut state = self.state.lock();
        if let Some(open) = state.open.take() {
            let segment = ended(open)?;
            state.chain.push(Arc::new(segment));
        }
        Ok(state.chain.clone())
    }

    /// Merges files of `chain`, a former state of the journal, where that pays. Returns the chain that holds the same.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub(crate) fn merged(&self, chain: Chain) -> Result<Chain, StateError> {
        let Some(run) = worth_merging(&chain) else { return Ok(chain) };
        let path = self.state.lock().next_path(&self.directory);
        let from = match (run.start, &self.base) {
            (0, None) => Before::Nothing,
            (0, Some(base)) => Before::Base(base),
            _ => Before::Files,
        };
        let segment = Arc::new(merge(&chain[run.clone()], from, &path)?);
        let old = &chain[run.clone()];
        let mut state = self.state.lock();
        // Somebody else may have merged them, or brought them elsewhere.
        let is_old = |window: &[Arc<Segment>]| window.iter().zip(old).all(|(a, b)| Arc::ptr_eq(a, b));
        if let Some(at) = state.chain.windows(old.len()).position(is_old) {
            state.chain.splice(at..at + old.len(), [segment.clone()]);
        }
        drop(state);
        let mut merged = chain;
        merged.splice(run, [segment]);
        Ok(merged)
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
        chain.iter().for_each(|segment| segment.stays.store(true, Ordering::Relaxed));
        Ok(())
    }
}

impl State {
    fn next_path(&mut self, directory: &Path) -> PathBuf {
        self.next += 1;
        directory.join(format!("{NAME}{}", self.next - 1))
    }
}

pub(super) fn ended(writer: Writer) -> Result<Segment, StateError> {
    let path = writer.path().to_owned();
    let finished = writer.finish()?;
    let (size_bytes, records, waste) = (finished.size_bytes, finished.records, finished.waste);
    Ok(Segment { path, size_bytes, records, waste, stays: AtomicBool::new(false) })
}

/// Which neighbours to merge.
fn worth_merging(chain: &[Arc<Segment>]) -> Option<std::ops::Range<usize>> {
    let sum = |of: fn(&Segment) -> u64, run: &[Arc<Segment>]| run.iter().map(|s| of(s)).sum::<u64>();
    let records = sum(|s| s.records, chain);
    if records >= RECORDS_MIN && 2 * sum(|s| s.waste, chain) > records {
        return Some(0..chain.len());
    }
    if chain.len() <= SEGMENTS_MAX {
        return None;
    }
    let starts = 0..=chain.len() - MERGED;
    let start = starts.min_by_key(|start| sum(|s| s.size_bytes, &chain[*start..start + MERGED]))?;
    Some(start..start + MERGED)
}
