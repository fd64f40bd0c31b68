//! Footers, read once per file, and the bytes of one row group's projected columns.

use crate::filesystem::location::external;
use crate::{ConnectorError, Payload, Position, RawBlock, Rim, SplitReader};
use arrow::datatypes::FieldRef;
use bytes::{Buf, Bytes};
use eddyline_stores::Files;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::{ChunkReader, Length};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::oneshot;

/// Neighbouring column chunks are fetched in one piece when no more than this lies between them.
const GAP_BYTES: u64 = 64 * 1024;

/// A file and its footer.
pub(in crate::filesystem) struct ParquetFile {
    pub(super) path: String,
    files: Files,
    pub(super) metadata: ArrowReaderMetadata,
    /// For each projected column its place among the columns that the mask lets through.
    pub(super) order: Vec<usize>,
    pub(super) mask: ProjectionMask,
}

impl ParquetFile {
    /// Opens `path` and reads its footer; `columns` are those to read.
    ///
    /// # Errors
    /// The file cannot be read, is no Parquet file, or lacks a column: names it and lists those that are there.
    pub(in crate::filesystem) fn load(files: &Files, path: &str, columns: &[FieldRef]) -> Result<Self, ConnectorError> {
        let file = files.open(path).map_err(|e| external(path, e))?;
        // Without the writer's Arrow schema strings are Utf8, whatever the writer had them in.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let metadata = ArrowReaderMetadata::load(&file, options).map_err(|e| broken(path, e))?;
        let fields = metadata.schema().fields();
        let roots = columns.iter().map(|column| {
            fields.iter().position(|f| f.name() == column.name()).ok_or_else(|| {
                let there: Vec<_> = fields.iter().map(|f| f.name().as_str()).collect();
                ConnectorError::Format {
                    place: path.to_owned(),
                    message: format!("has no column '{}'; its columns are: {}", column.name(), there.join(", ")),
                }
            })
        });
        let roots = roots.collect::<Result<Vec<_>, _>>()?;
        let mask = ProjectionMask::roots(metadata.parquet_schema(), roots.iter().copied());
        let mut read = roots.clone();
        read.sort_unstable();
        read.dedup();
        let order = roots.iter().map(|root| read.partition_point(|r| r < root)).collect();
        Ok(Self { path: path.to_owned(), files: files.clone(), metadata, order, mask })
    }

    /// Which rows of the file each row group has.
    pub(in crate::filesystem) fn row_groups(&self) -> Vec<Range<u64>> {
        let groups = 0..self.metadata.metadata().num_row_groups();
        groups.map(|group| self.rows_before(group)..self.rows_before(group + 1)).collect()
    }

    fn rows_before(&self, row_group: usize) -> u64 {
        let groups = self.metadata.metadata().row_groups().iter().take(row_group);
        groups.map(|g| u64::try_from(g.num_rows()).unwrap_or_default()).sum()
    }

    /// The byte ranges of the projected columns of a row group, neighbours joined.
    fn ranges(&self, row_group: usize) -> Vec<Range<u64>> {
        let columns = self.metadata.metadata().row_group(row_group).columns().iter().enumerate();
        let mut wanted: Vec<_> = columns
            .filter(|(leaf, _)| self.mask.leaf_included(*leaf))
            .map(|(_, chunk)| chunk.byte_range())
            .map(|(start, length)| start..start + length)
            .collect();
        wanted.sort_unstable_by_key(|r| r.start);
        let mut joined: Vec<Range<u64>> = Vec::new();
        for range in wanted {
            match joined.last_mut() {
                Some(last) if range.start <= last.end + GAP_BYTES => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        joined
    }

    /// Reads the projected columns of a row group. Blocks.
    fn fetch(self: &Arc<Self>, row_group: usize, from: u64) -> Result<RowGroup, ConnectorError> {
        let file = self.files.open(&self.path).map_err(|e| external(&self.path, e))?;
        let size_bytes = file.metadata().map_err(|e| external(&self.path, e))?.len();
        let mut chunks = Vec::new();
        for range in self.ranges(row_group) {
            if range.end > size_bytes {
                return Err(broken(&self.path, ParquetError::EOF(format!("row group {row_group} is cut off"))));
            }
            let bytes = read_at(&file, &range).map_err(|e| external(&self.path, e))?;
            chunks.push((range.start, bytes));
        }
        let bytes = SparseBytes { size_bytes, chunks: chunks.into() };
        let skip_rows = from.saturating_sub(self.rows_before(row_group));
        Ok(RowGroup { file: self.clone(), row_group, skip_rows, bytes })
    }
}

fn read_at(file: &File, range: &Range<u64>) -> io::Result<Bytes> {
    let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes.into())
}

/// The error for a file that is no sound Parquet file.
pub(super) fn broken(path: &str, e: ParquetError) -> ConnectorError {
    ConnectorError::Format { place: path.to_owned(), message: e.to_string() }
}

/// What the decoder needs of one row group.
pub(in crate::filesystem) struct RowGroup {
    pub(super) file: Arc<ParquetFile>,
    pub(super) row_group: usize,
    /// Rows of it that were read before.
    pub(super) skip_rows: u64,
    pub(super) bytes: SparseBytes,
}

/// Pieces of a file at their places.
#[derive(Clone)]
pub(super) struct SparseBytes {
    size_bytes: u64,
    chunks: Arc<[(u64, Bytes)]>,
}

impl SparseBytes {
    fn from(&self, start: u64) -> ParquetResult<Bytes> {
        let at = self.chunks.partition_point(|(begin, _)| *begin <= start);
        let (begin, bytes) = at.checked_sub(1).map(|at| &self.chunks[at]).ok_or_else(|| missing(start))?;
        let skip = usize::try_from(start - begin).map_err(|_| missing(start))?;
        if skip > bytes.len() { Err(missing(start)) } else { Ok(bytes.slice(skip..)) }
    }
}

fn missing(start: u64) -> ParquetError {
    ParquetError::EOF(format!("the page at byte {start} lies outside of its column chunk"))
}

impl Length for SparseBytes {
    fn len(&self) -> u64 {
        self.size_bytes
    }
}

impl ChunkReader for SparseBytes {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let bytes = self.from(start)?;
        if length > bytes.len() { Err(missing(start)) } else { Ok(bytes.slice(..length)) }
    }
}

/// Row groups that are fetched ahead of the one that is decoded.
const AHEAD: usize = 2;

/// Hands out the row groups of a split, a block each. Positions are rows of the file.
pub(in crate::filesystem) struct RowGroupReader {
    file: Arc<ParquetFile>,
    rim: Rim,
    /// Not yet asked for.
    groups: VecDeque<(usize, Range<u64>)>,
    coming: VecDeque<Coming>,
}

/// A row group on its way.
struct Coming {
    fetching: oneshot::Receiver<Result<RowGroup, ConnectorError>>,
    rows: Range<u64>,
}

impl RowGroupReader {
    /// A reader of the row groups of `file` that hold `rows`.
    pub(in crate::filesystem) fn new(file: Arc<ParquetFile>, rows: &Range<u64>, rim: &Rim) -> Self {
        let groups = file.row_groups().into_iter().enumerate();
        let groups = groups.map(|(group, has)| (group, has.start.max(rows.start)..has.end.min(rows.end)));
        let groups = groups.filter(|(_, wanted)| !wanted.is_empty()).collect();
        let mut reader = Self { file, rim: rim.clone(), groups, coming: VecDeque::new() };
        reader.look_ahead();
        reader
    }

    /// Keeps row groups coming.
    fn look_ahead(&mut self) {
        while self.coming.len() < AHEAD {
            let Some((group, rows)) = self.groups.pop_front() else { return };
            let (file, from, (done, fetching)) = (self.file.clone(), rows.start, oneshot::channel());
            self.rim.tokio.spawn_blocking(move || {
                if !done.is_closed() {
                    // Fails when nobody waits for it any more.
                    let _ = done.send(file.fetch(group, from));
                }
            });
            self.coming.push_back(Coming { fetching, rows });
        }
    }
}

impl SplitReader for RowGroupReader {
    fn poll_block(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<RawBlock>, ConnectorError>> {
        let Some(first) = self.coming.front_mut() else { return Poll::Ready(Ok(None)) };
        let Poll::Ready(fetched) = Pin::new(&mut first.fetching).poll(cx) else { return Poll::Pending };
        let (start, end) = (Position(first.rows.start), Position(first.rows.end));
        self.coming.pop_front();
        self.look_ahead();
        let given_up = || external(&self.file.path, io::Error::other("reading was given up"));
        let row_group = fetched.map_err(|_| given_up())??;
        Poll::Ready(Ok(Some(RawBlock { payload: Payload::Own(Box::new(row_group)), start, end })))
    }
}
