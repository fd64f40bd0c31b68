//! The sink: files that appear when they are complete.
//!
//! A writer fills a file that nobody sees. A file that is full, or too old when an epoch ends, is closed and handed over with
//! the epoch; at a checkpoint and at the end every open file is. Committing makes it visible, which may be repeated. What is
//! neither committed nor handed over is removed when the sink is dropped. Where files are, and how they are hidden, is told by
//! their [`Medium`].
//!
//! Of a format that holds changes, an epoch is written when it ends, as its net changes.
//!
//! Encoding and writing happen on the shard: the medium takes the bytes. Only what a checkpoint will hold is waited for.

use super::local::Directory;
use super::medium::{Draft, Medium, Name};
use super::objects::Bucket;
use super::parquet::ParquetEncoder;
use crate::changelog::row_kinds;
use crate::format::{CHANGE_FORMATS, EncodingFormat};
use crate::{Clock, Commit, Committer, ConnectorError, Delivery, Rim, Sink, SinkChanges, SinkRequest, SinkWriter};
use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{FieldRef, SchemaRef};
use arrow::row::{RowConverter, SortField};
use eddyline_changes::{BarrierKind, ChangeBatch, Epoch, RowKind};
use eddyline_stores::{Files, Located};
use parquet::basic::Compression;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
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

/// Where files are written.
pub(super) enum Target {
    /// The path of a directory, and what is in reach.
    Directory(PathBuf, Files),
    /// The URL of a prefix of an object store.
    Objects(String),
}

/// A table of files that is written.
pub(super) struct FileSink {
    target: Target,
    /// Opened when the job begins; all its writers share it.
    medium: OnceLock<Arc<dyn Medium>>,
    extension: String,
    /// What the names of this job's files begin with: when it began, so that they come behind those of jobs before it.
    uid: OnceLock<String>,
    encoding: Encoding,
    schema: SchemaRef,
    key: Option<Vec<usize>>,
    rolling: Rolling,
    /// Of a job that keeps checkpoints.
    lineage: Option<String>,
}

impl FileSink {
    pub(super) fn new(
        target: Target,
        extension: String,
        request: SinkRequest,
        encoding: Encoding,
        rolling: Rolling,
    ) -> Self {
        let SinkRequest { schema, key, lineage, .. } = request;
        let (medium, uid) = (OnceLock::new(), OnceLock::new());
        Self { target, medium, extension, uid, encoding, schema, key, rolling, lineage }
    }

    fn medium(&self, rim: &Rim) -> Result<Arc<dyn Medium>, ConnectorError> {
        if let Some(medium) = self.medium.get() {
            return Ok(medium.clone());
        }
        let lineage = self.lineage.clone();
        let opened: Arc<dyn Medium> = match &self.target {
            Target::Directory(path, files) => Arc::new(Directory::new(path, files, lineage)),
            Target::Objects(url) => match rim.stores.open(url).map_err(|e| at(url, io::Error::other(e)))? {
                Located::Directory(path) => Arc::new(Directory::new(&path, &Files::default(), lineage)),
                Located::Objects(objects) => Arc::new(Bucket::new(url, objects, lineage, &rim.tokio)),
            },
        };
        Ok(self.medium.get_or_init(|| opened).clone())
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
        let uid = self.uid.get_or_init(|| {
            let random = RandomState::new().build_hasher().finish() as u32;
            let lineage = self.lineage.as_deref().unwrap_or_default();
            format!("{:013}-{lineage}{random:08x}", rim.clock.wall_ms().max(0))
        });
        let medium = self.medium(rim)?;
        medium.prepare()?;
        Ok(Box::new(FileWriter {
            medium,
            uid: uid.clone(),
            extension: self.extension.clone(),
            encoding: self.encoding.clone(),
            schema: self.schema.clone(),
            key: self.key.clone(),
            pending: Vec::new(),
            rolling: self.rolling,
            clock: rim.clock.clone(),
            shard,
            files: 0,
            open: None,
            complete: Vec::new(),
        }))
    }

    fn committer(&self, rim: &Rim) -> Result<Option<Box<dyn Committer>>, ConnectorError> {
        Ok(Some(self.medium(rim)?.committer()))
    }
}

struct FileWriter {
    medium: Arc<dyn Medium>,
    uid: String,
    extension: String,
    encoding: Encoding,
    schema: SchemaRef,
    key: Option<Vec<usize>>,
    /// Changes of this epoch, which are written when it ends.
    pending: Vec<ChangeBatch>,
    rolling: Rolling,
    clock: Arc<dyn Clock>,
    shard: usize,
    /// Files begun so far.
    files: u64,
    open: Option<OpenFile>,
    /// Closed, to be handed over when the epoch ends.
    complete: Vec<Box<dyn Draft>>,
}

struct OpenFile {
    place: String,
    since: Duration,
    content: OpenContent,
}

enum OpenContent {
    Bytes { file: Box<dyn Draft>, format: Arc<dyn EncodingFormat>, buffer: Vec<u8>, written_bytes: u64 },
    Parquet(Box<ParquetEncoder>),
}

impl OpenContent {
    fn write(
        &mut self,
        place: &str,
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
                if buffer.len() >= WRITE_BYTES { self.flush().map_err(|e| at(place, e)) } else { Ok(()) }
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

    /// The file that takes the bytes.
    fn draft(&mut self) -> &mut dyn Draft {
        match self {
            OpenContent::Bytes { file, .. } => file.as_mut(),
            OpenContent::Parquet(encoder) => encoder.draft(),
        }
    }

    fn finish(mut self, place: &str) -> Result<Box<dyn Draft>, ConnectorError> {
        self.flush().map_err(|e| at(place, e))?;
        match self {
            OpenContent::Bytes { file, .. } => Ok(file),
            OpenContent::Parquet(encoder) => encoder.finish(),
        }
    }
}

fn at(place: &str, source: io::Error) -> ConnectorError {
    ConnectorError::Io { place: place.to_owned(), source }
}

impl FileWriter {
    fn begin(&mut self) -> Result<OpenFile, ConnectorError> {
        let (uid, extension) = (self.uid.clone(), self.extension.clone());
        let name = Name { uid, shard: self.shard, number: self.files, extension };
        self.files += 1;
        let file = self.medium.begin(name)?;
        let place = file.place().to_owned();
        let content = match &self.encoding {
            Encoding::Parquet(compression) => {
                let encoder = ParquetEncoder::new(&place, file, &self.schema, *compression)?;
                OpenContent::Parquet(Box::new(encoder))
            }
            Encoding::Rows(format) | Encoding::Changes(format, _) => {
                let mut buffer = Vec::with_capacity(WRITE_BYTES);
                format.begin(&mut buffer);
                OpenContent::Bytes { file, format: format.clone(), buffer, written_bytes: 0 }
            }
        };
        Ok(OpenFile { place, since: self.clock.monotonic(), content })
    }

    /// Appends rows, or what the kinds say of them, to the open file.
    fn append(&mut self, rows: &RecordBatch, kinds: Option<&[(u32, RowKind)]>) -> Result<(), ConnectorError> {
        if self.open.is_none() {
            self.open = Some(self.begin()?);
        }
        if let Some(open) = &mut self.open {
            open.content.write(&open.place, rows, kinds)?;
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
        let Some(OpenFile { place, content, .. }) = self.open.take() else { return Ok(()) };
        let mut file = content.finish(&place)?;
        file.seal()?;
        self.complete.push(file);
        Ok(())
    }
}

impl SinkWriter for FileWriter {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectorError>> {
        let open = self.open.as_mut().map(|open| open.content.draft());
        for draft in open.into_iter().chain(self.complete.iter_mut().map(|c| c.as_mut() as &mut dyn Draft)) {
            std::task::ready!(draft.poll_room(cx))?;
        }
        Poll::Ready(Ok(()))
    }

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
        let complete = std::mem::take(&mut self.complete);
        if complete.is_empty() {
            return Ok(Vec::new());
        }
        let commits = complete.into_iter().map(|file| file.secure(epoch)).collect::<Result<_, _>>()?;
        self.medium.settle()?;
        Ok(commits)
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
