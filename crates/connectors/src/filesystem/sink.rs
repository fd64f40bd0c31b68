//! The sink: files that appear when they are complete.
//!
//! A writer fills `.part-<time>-<uid>-<shard>-<n>.<ext>.inprogress`. A file that is full, or too old when an epoch ends, is
//! closed and handed over with the epoch; at a checkpoint and at the end every open file is. Committing renames it to
//! `part-<time>-<uid>-<shard>-<n>.<ext>`, which may be repeated. What is neither committed nor handed over is
//! removed when the sink is dropped.
//!
//! Of a job that keeps checkpoints, what is handed over is synced, because it may be committed after a crash, from what the checkpoint
//! says; the uid begins with the job's lineage, so that what an earlier run has handed over and no checkpoint holds can be
//! told from the files of others, and is removed. Behind the number stands `-e` and the epoch with which the file was handed over:
//! when the last checkpoint is damaged and the job begins at one before, files of later epochs are removed as well.
//!
//! Of a format that holds changes, an epoch is written when it ends, as its net changes.
//!
//! Encoding and writing happen on the shard: the system takes the bytes into its cache. Only what a checkpoint will hold waits
//! for the disk.

use super::location::external;
use super::parquet::ParquetEncoder;
use crate::changelog::row_kinds;
use crate::format::{CHANGE_FORMATS, EncodingFormat};
use crate::{Clock, Commit, Committer, ConnectorError, Delivery, Rim, Sink, SinkChanges, SinkRequest, SinkWriter};
use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{FieldRef, SchemaRef};
use arrow::row::{RowConverter, SortField};
use eddyline_changes::{BarrierKind, ChangeBatch, Epoch, RowKind};
use parquet::basic::Compression;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// Encoded bytes are handed to the system in pieces of this size.
const WRITE_BYTES: usize = 256 * 1024;

/// Changes of an epoch are encoded in pieces of this many rows.
const PIECE_ROWS: usize = 8192;

/// When a file is complete, apart from checkpoints.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rolling {
    pub(super) size_bytes: u64,
    pub(super) interval: Duration,
}

/// What is written into files.
#[derive(Clone)]
pub(super) enum Encoding {
    /// Rows that stay.
    Rows(Arc<dyn EncodingFormat>),
    /// Changes, of the kind that the format holds.
    Changes(Arc<dyn EncodingFormat>, SinkChanges),
    Parquet(Compression),
}

/// A table of files that is written.
pub(super) struct FileSink {
    directory: PathBuf,
    extension: String,
    /// What the names of this job's files begin with: when it began, so that they come behind those of jobs before it.
    uid: OnceLock<String>,
    encoding: Encoding,
    schema: SchemaRef,
    key: Option<Vec<usize>>,
    rolling: Rolling,
    /// Of a job that keeps checkpoints.
    lineage: Option<String>,
    unfinished: Arc<Unfinished>,
}

#[derive(Debug, Clone)]
struct Target {
    directory: PathBuf,
    uid: String,
    extension: String,
    /// What is handed over may be committed after a crash.
    is_durable: bool,
}

impl Target {
    /// The name for ever of a shard's file, of a durable job with the epoch with which it is handed over.
    fn visible(&self, shard: usize, number: u64, epoch: Option<Epoch>) -> PathBuf {
        let Self { directory, uid, extension, .. } = self;
        let epoch = epoch.map(|e| format!("-e{}", e.0)).unwrap_or_default();
        directory.join(format!("part-{uid}-{shard}-{number}{epoch}.{extension}"))
    }
}

impl FileSink {
    pub(super) fn new(
        directory: &str,
        extension: String,
        request: SinkRequest,
        encoding: Encoding,
        rolling: Rolling,
    ) -> Self {
        let SinkRequest { schema, key, lineage, .. } = request;
        let (directory, uid) = (directory.into(), OnceLock::new());
        Self { directory, extension, uid, encoding, schema, key, rolling, lineage, unfinished: Arc::default() }
    }
}

impl Sink for FileSink {
    fn changes(&self) -> SinkChanges {
        match &self.encoding {
            Encoding::Changes(_, changes) => *changes,
            _ => SinkChanges::Inserts,
        }
    }

    fn delivery(&self) -> Delivery {
        Delivery::ExactlyOnce
    }

    fn writer(&self, shard: usize, rim: &Rim) -> Result<Box<dyn SinkWriter>, ConnectorError> {
        let directory = &self.directory;
        let uid = self.uid.get_or_init(|| {
            let random = RandomState::new().build_hasher().finish() as u32;
            let lineage = self.lineage.as_deref().unwrap_or_default();
            format!("{:013}-{lineage}{random:08x}", rim.clock.wall_ms().max(0))
        });
        let target = Target {
            directory: directory.clone(),
            uid: uid.clone(),
            extension: self.extension.clone(),
            is_durable: self.lineage.is_some(),
        };
        match self.lineage {
            Some(_) => make_directories(directory)?,
            None => fs::create_dir_all(directory).map_err(|e| at(directory, e))?,
        }
        Ok(Box::new(FileWriter {
            target,
            encoding: self.encoding.clone(),
            schema: self.schema.clone(),
            key: self.key.clone(),
            pending: Vec::new(),
            rolling: self.rolling,
            clock: rim.clock.clone(),
            unfinished: self.unfinished.clone(),
            shard,
            files: 0,
            open: None,
            complete: Vec::new(),
        }))
    }

    fn committer(&self) -> Result<Option<Box<dyn Committer>>, ConnectorError> {
        let (directory, lineage) = (self.directory.clone(), self.lineage.clone());
        Ok(Some(Box::new(Renamer { directory, lineage, unfinished: self.unfinished.clone() })))
    }
}

/// Files that would be left over if the job ended now.
#[derive(Default)]
struct Unfinished {
    paths: Mutex<BTreeSet<PathBuf>>,
}

impl Unfinished {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        for path in std::mem::take(&mut *self.lock()) {
            if let Err(e) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), error = %e, "an unfinished file cannot be removed");
            }
        }
    }
}

struct FileWriter {
    target: Target,
    encoding: Encoding,
    schema: SchemaRef,
    key: Option<Vec<usize>>,
    /// Changes of this epoch, which are written when it ends.
    pending: Vec<ChangeBatch>,
    rolling: Rolling,
    clock: Arc<dyn Clock>,
    unfinished: Arc<Unfinished>,
    shard: usize,
    /// Files begun so far.
    files: u64,
    open: Option<OpenFile>,
    /// Closed, to be handed over when the epoch ends.
    complete: Vec<(Part, File)>,
}

/// A file's name while it is written, and for ever.
struct Part {
    hidden: PathBuf,
    visible: PathBuf,
    /// Among the files of its writer.
    number: u64,
}

struct OpenFile {
    part: Part,
    since: Duration,
    content: OpenContent,
}

enum OpenContent {
    Bytes { file: File, format: Arc<dyn EncodingFormat>, buffer: Vec<u8>, written_bytes: u64 },
    Parquet(Box<ParquetEncoder>),
}

impl OpenContent {
    fn write(
        &mut self,
        path: &Path,
        rows: &RecordBatch,
        kinds: Option<&[(u32, RowKind)]>,
    ) -> Result<(), ConnectorError> {
        match self {
            OpenContent::Parquet(encoder) => encoder.write(rows),
            OpenContent::Bytes { format, buffer, .. } => {
                match kinds {
                    None => format.encode(rows, buffer)?,
                    Some(kinds) => format.encode_changes(rows, kinds, buffer)?,
                }
                if buffer.len() >= WRITE_BYTES { self.flush().map_err(|e| at(path, e)) } else { Ok(()) }
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if let OpenContent::Bytes { file, buffer, written_bytes, .. } = self {
            file.write_all(buffer)?;
            *written_bytes += buffer.len() as u64;
            buffer.clear();
        }
        Ok(())
    }

    fn size_bytes(&self) -> u64 {
        match self {
            OpenContent::Bytes { buffer, written_bytes, .. } => written_bytes + buffer.len() as u64,
            OpenContent::Parquet(encoder) => encoder.size_bytes(),
        }
    }

    fn finish(mut self, path: &Path) -> Result<File, ConnectorError> {
        self.flush().map_err(|e| at(path, e))?;
        match self {
            OpenContent::Bytes { file, .. } => Ok(file),
            OpenContent::Parquet(encoder) => encoder.finish(),
        }
    }
}

fn at(path: &Path, e: io::Error) -> ConnectorError {
    external(&path.display().to_string(), e)
}

impl FileWriter {
    fn begin(&mut self) -> Result<OpenFile, ConnectorError> {
        let Target { directory, uid, extension, .. } = &self.target;
        let (shard, number) = (self.shard, self.files);
        let hidden = directory.join(format!(".part-{uid}-{shard}-{number}.{extension}.inprogress"));
        let part = Part { hidden, visible: self.target.visible(shard, number, None), number };
        self.files += 1;
        let file = File::create_new(&part.hidden).map_err(|e| at(&part.hidden, e))?;
        self.unfinished.lock().insert(part.hidden.clone());
        let content = match &self.encoding {
            Encoding::Parquet(compression) => {
                let path = part.hidden.display().to_string();
                let encoder = ParquetEncoder::new(&path, file, &self.schema, *compression)?;
                OpenContent::Parquet(Box::new(encoder))
            }
            Encoding::Rows(format) | Encoding::Changes(format, _) => {
                let mut buffer = Vec::with_capacity(WRITE_BYTES);
                format.begin(&mut buffer);
                OpenContent::Bytes { file, format: format.clone(), buffer, written_bytes: 0 }
            }
        };
        Ok(OpenFile { part, since: self.clock.monotonic(), content })
    }

    /// Appends rows, or what the kinds say of them, to the open file.
    fn append(&mut self, rows: &RecordBatch, kinds: Option<&[(u32, RowKind)]>) -> Result<(), ConnectorError> {
        if self.open.is_none() {
            self.open = Some(self.begin()?);
        }
        if let Some(open) = &mut self.open {
            open.content.write(&open.part.hidden, rows, kinds)?;
            if open.content.size_bytes() >= self.rolling.size_bytes {
                self.close()?;
            }
        }
        Ok(())
    }

    /// Writes the net changes of the epoch: what was added and taken back within it is not to be seen, and what was taken
    /// back of a key stands before what was added, whatever the order in which shards sent it.
    fn append_pending(&mut self) -> Result<(), ConnectorError> {
        let pending = std::mem::take(&mut self.pending);
        if pending.is_empty() {
            return Ok(());
        }
        let changes = ChangeBatch::concat(&self.schema, &pending)?;
        let (changes, kinds) = match is_comparable(&self.schema) {
            true => {
                let net = if changes.weights().per_row().is_some() { changes.consolidate()? } else { changes };
                let kinds = row_kinds(&net, self.key.as_deref())?;
                (net, kinds)
            }
            // Rows with maps stay in the order in which they came.
            false => {
                let kinds = row_kinds(&changes, None)?;
                (changes, kinds)
            }
        };
        for kinds in kinds.chunks(PIECE_ROWS) {
            self.append(changes.rows(), Some(kinds))?;
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), ConnectorError> {
        let Some(OpenFile { part, content, .. }) = self.open.take() else { return Ok(()) };
        let file = content.finish(&part.hidden)?;
        self.complete.push((part, file));
        Ok(())
    }
}

impl SinkWriter for FileWriter {
    fn write(&mut self, changes: &ChangeBatch) -> Result<(), ConnectorError> {
        if changes.is_empty() {
            return Ok(());
        }
        if let Encoding::Changes(..) = &self.encoding {
            self.pending.push(changes.clone());
            return Ok(());
        }
        let repeated;
        let rows = match changes.weights().per_row() {
            None => changes.rows(),
            Some(weights) => {
                repeated = copies(changes.rows(), weights)?;
                &repeated
            }
        };
        self.append(rows, None)
    }

    fn prepare(&mut self, epoch: Epoch, kind: BarrierKind) -> Result<Vec<Commit>, ConnectorError> {
        self.append_pending()?;
        let old = |open: &OpenFile| self.clock.monotonic().saturating_sub(open.since) >= self.rolling.interval;
        if kind != BarrierKind::Flush || self.open.as_ref().is_some_and(old) {
            self.close()?;
        }
        let mut parts = std::mem::take(&mut self.complete);
        if self.target.is_durable && !parts.is_empty() {
            for (part, file) in &mut parts {
                part.visible = self.target.visible(self.shard, part.number, Some(epoch));
                file.sync_all().map_err(|e| at(&part.hidden, e))?;
                // From here on it belongs to a checkpoint to come.
                self.unfinished.lock().remove(&part.hidden);
            }
            sync_directory(&self.target.directory)?;
        }
        Ok(parts.iter().map(|(part, _)| part.commit()).collect())
    }
}

/// Can rows be compared?
fn is_comparable(schema: &SchemaRef) -> bool {
    let field = |field: &FieldRef| SortField::new(field.data_type().clone());
    RowConverter::supports_fields(&schema.fields().iter().map(field).collect::<Vec<_>>())
}

/// Each row as many times as its weight says.
fn copies(rows: &RecordBatch, weights: &[i64]) -> Result<RecordBatch, ConnectorError> {
    if weights.iter().any(|w| *w < 0) {
        return Err(ConnectorError::Unsupported {
            message: "files cannot take rows back, but the query retracts rows".into(),
            hint: format!("write one of the formats that hold changes ({CHANGE_FORMATS}), or aggregate over windows"),
        });
    }
    let indices = weights.iter().enumerate().flat_map(|(row, w)| (0..*w).map(move |_| row as u32));
    Ok(take_record_batch(rows, &UInt32Array::from_iter_values(indices))?)
}

impl Part {
    /// Both names, hidden one first, a NUL between them: no path holds one.
    fn commit(&self) -> Commit {
        let (hidden, visible) = (self.hidden.as_os_str(), self.visible.as_os_str());
        Commit([hidden.as_encoded_bytes(), b"\0", visible.as_encoded_bytes()].concat())
    }

    /// Both names of a commit.
    fn names(commit: &Commit) -> Option<(PathBuf, PathBuf)> {
        let (hidden, visible) = std::str::from_utf8(&commit.0).ok()?.split_once('\0')?;
        Some((hidden.into(), visible.into()))
    }
}

struct Renamer {
    directory: PathBuf,
    lineage: Option<String>,
    unfinished: Arc<Unfinished>,
}

impl Committer for Renamer {
    fn commit(&mut self, _: Epoch, commits: &[Commit]) -> Result<(), ConnectorError> {
        for commit in commits {
            let Some((hidden, visible)) = Part::names(commit) else {
                let message = "is no commit of a filesystem sink".into();
                return Err(ConnectorError::Format { place: "commit".into(), message });
            };
            match fs::rename(&hidden, &visible) {
                Ok(()) => {}
                // It was renamed before.
                Err(e) if e.kind() == io::ErrorKind::NotFound && visible.exists() => {}
                Err(e) => return Err(at(&hidden, e)),
            }
            self.unfinished.lock().remove(&hidden);
        }
        // The checkpoint that holds these commits may go when this returns.
        if self.lineage.is_some() && !commits.is_empty() { sync_directory(&self.directory) } else { Ok(()) }
    }

    fn clear(&mut self, last: Epoch) -> Result<(), ConnectorError> {
        let Some(lineage) = &self.lineage else { return Ok(()) };
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(at(&self.directory, e)),
        };
        for entry in entries {
            let path = entry.map_err(|e| at(&self.directory, e))?.path();
            if path.file_name().and_then(|n| n.to_str()).is_some_and(|name| is_void(name, lineage, last)) {
                fs::remove_file(&path).map_err(|e| at(&path, e))?;
            }
        }
        Ok(())
    }
}

/// Is it the name of a file of this lineage that is not finished, or of an epoch after the last? See [`FileWriter::begin`] and
/// [`Target::visible`].
fn is_void(name: &str, lineage: &str, last: Epoch) -> bool {
    let hidden = name.strip_prefix(".part-").filter(|n| n.ends_with(".inprogress"));
    let Some(rest) = hidden.or_else(|| name.strip_prefix("part-")) else { return false };
    let uid = rest.split('-').nth(1);
    if !uid.is_some_and(|uid| uid.len() == lineage.len() + 8 && uid.starts_with(lineage)) {
        return false;
    }
    let epoch =
        rest.split('.').next().and_then(|stem| stem.rsplit_once("-e")).and_then(|(_, epoch)| epoch.parse().ok());
    hidden.is_some() || epoch.is_some_and(|epoch: u64| epoch > last.0)
}

/// Makes a directory and those above it, durably: what a checkpoint holds may be committed into it after a power failure.
fn make_directories(directory: &Path) -> Result<(), ConnectorError> {
    if directory.as_os_str().is_empty() || directory.is_dir() {
        return Ok(());
    }
    let parent = directory.parent().unwrap_or(Path::new(""));
    make_directories(parent)?;
    match fs::create_dir(directory) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(at(directory, e)),
        _ => {}
    }
    sync_directory(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

fn sync_directory(directory: &Path) -> Result<(), ConnectorError> {
    File::open(directory).and_then(|d| d.sync_all()).map_err(|e| at(directory, e))
}
