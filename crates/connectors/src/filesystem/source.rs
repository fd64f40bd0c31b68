//! The source: which splits there are, in which order, and their readers and decoders.

use super::blocks::Blocks;
use super::compression::Compression;
use super::location::{Found, Location, external};
use super::parquet::{ParquetDecoder, ParquetFile, RowGroupReader};
use super::reader::FileReader;
use super::watch::Watch;
use crate::format::{BytesFormat, LineAt, Place};
use crate::{Boundedness, ConnectorError, Decoder, Position, Rim, Source, SourceRequest, Split, SplitReader};
use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMillisecondArray};
use arrow::compute::cast;
use arrow::datatypes::FieldRef;
use eddyline_stores::Files;
use std::collections::HashMap;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A lone file is cut into ranges of at least this size.
const RANGE_BYTES_MIN: u64 = 1 << 20;

/// How files are read.
pub(super) enum Content {
    Bytes { format: Arc<dyn BytesFormat>, compression: Option<Compression> },
    Parquet { files: Mutex<HashMap<String, Arc<ParquetFile>>> },
}

/// A table of files.
pub(super) struct FileSource {
    pub(super) request: SourceRequest,
    pub(super) location: Location,
    pub(super) content: Content,
    pub(super) split_bytes: u64,
    pub(super) watch: Option<(Duration, Arc<Watch>)>,
    /// Rows may take back or replace earlier ones: files are read whole, one after the other.
    pub(super) is_ordered: bool,
}

/// True when every shard can have one whole file and all have about as much to do.
fn one_each(files: &[Found], shards: usize) -> bool {
    let average = files.iter().map(|f| f.size_bytes).sum::<u64>() / (files.len() as u64).max(1);
    files.len() == shards && files.iter().all(|f| f.size_bytes <= average.saturating_add(average / 4))
}

/// The split of `range` of a file.
pub(super) fn split(path: &str, range: Range<u64>) -> Split {
    Split { id: format!("{path}#{}", range.start), range }
}

/// The path in a split's id.
fn path_of(split: &Split) -> &str {
    split.id.rsplit_once('#').map_or(split.id.as_str(), |(path, _)| path)
}

impl FileSource {
    /// The ranges of one file (one, if `all` of it shall be), and how far into it each begins, from 0 to 1.
    fn ranges(&self, file: &Found, all: bool, alone: bool) -> Result<Vec<(f64, Range<u64>)>, ConnectorError> {
        let ranges = match &self.content {
            Content::Parquet { .. } => {
                let groups = self.parquet(&file.path)?.row_groups();
                if all { whole(groups.last().map_or(0, |g| g.end)) } else { groups }
            }
            Content::Bytes { compression, .. } if compression_of(*compression, &file.path) != Compression::None => {
                whole(u64::MAX)
            }
            Content::Bytes { format, .. } => {
                let aim = if alone { (file.size_bytes / 8).max(RANGE_BYTES_MIN) } else { u64::MAX };
                let count = file.size_bytes.div_ceil(self.split_bytes.min(aim)).max(1);
                if all || count == 1 { whole(file.size_bytes) } else { self.cut(file, &**format, count)? }
            }
        };
        let end = ranges.last().map_or(1, |r| r.end).max(1) as f64;
        Ok(ranges.into_iter().filter(|r| !r.is_empty()).map(|r| (r.start as f64 / end, r)).collect())
    }

    /// About `count` ranges of a file. Where a newline need not end a record, the file is read through to find out.
    fn cut(&self, file: &Found, format: &dyn BytesFormat, count: u64) -> Result<Vec<Range<u64>>, ConnectorError> {
        let at = |i: u64| (u128::from(file.size_bytes) * u128::from(i) / u128::from(count)) as u64;
        let mut starts: Vec<u64> = (0..count).map(at).collect();
        if !format.is_splittable() {
            let found = self
                .location
                .files()
                .open(&file.path)
                .and_then(|mut input| format.record_starts(&mut input, &starts[1..]));
            starts.splice(1.., found.map_err(|e| external(&file.path, e))?);
            starts.dedup();
        }
        let ends = starts.iter().skip(1).copied().chain([file.size_bytes]);
        Ok(starts.iter().copied().zip(ends).map(|(start, end)| start..end).filter(|r| !r.is_empty()).collect())
    }

    fn parquet(&self, path: &str) -> Result<Arc<ParquetFile>, ConnectorError> {
        let Content::Parquet { files } = &self.content else {
            return Err(external(path, io::Error::other("is not read as Parquet")));
        };
        let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = files.get(path) {
            return Ok(file.clone());
        }
        let fields = self.request.physical.fields();
        let columns: Vec<FieldRef> = self.request.projection.iter().map(|c| fields[*c].clone()).collect();
        let file = Arc::new(ParquetFile::load(self.location.files(), path, &columns)?);
        files.insert(path.to_owned(), file.clone());
        Ok(file)
    }

    /// The values of the metadata columns for a file.
    fn constants(&self, path: &str) -> Result<Vec<ArrayRef>, ConnectorError> {
        if self.request.metadata.is_empty() {
            return Ok(vec![]);
        }
        let found = self.location.found(path)?;
        let constant = |(key, field): &(String, FieldRef)| -> Result<ArrayRef, ConnectorError> {
            let name = || Path::new(path).file_name().unwrap_or_default().to_string_lossy().into_owned();
            let value: ArrayRef = match key.as_str() {
                "file.path" => Arc::new(StringArray::from(vec![path])),
                "file.name" => Arc::new(StringArray::from(vec![name()])),
                "file.size" => Arc::new(Int64Array::from(vec![found.size_bytes as i64])),
                _ => Arc::new(TimestampMillisecondArray::from(vec![found.modified_ms]).with_timezone("UTC")),
            };
            Ok(cast(&value, field.data_type())?)
        };
        self.request.metadata.iter().map(constant).collect()
    }
}

/// What paths are ordered by so that numbers in them count as numbers: `part-2` comes before `part-10`.
fn order_of(path: &str) -> String {
    let mut out = String::with_capacity(path.len() + 64);
    let mut rest = path;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, number) = rest.split_at(at);
        let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
        out.push_str(before);
        out.push_str(&format!("{:0>20}", number[..end].trim_start_matches('0')));
        rest = &number[end..];
    }
    out + rest
}

fn compression_of(option: Option<Compression>, path: &str) -> Compression {
    option.unwrap_or_else(|| Compression::of(path))
}

fn whole(end: u64) -> Vec<Range<u64>> {
    std::iter::once(0..end).collect()
}

impl Source for FileSource {
    fn boundedness(&self) -> Boundedness {
        if self.watch.is_some() { Boundedness::Unbounded } else { Boundedness::Bounded }
    }

    /// As many files of about the same size as there are shards are read whole. Otherwise files are cut into ranges
    /// (Parquet: into row groups), so that one big file is read by all shards: the first ranges of all files, then
    /// those that begin further and further into their file.
    fn splits(&self, shards: usize) -> Result<Vec<Split>, ConnectorError> {
        let mut files = self.location.list()?;
        if self.is_ordered {
            files.sort_by_cached_key(|file| (order_of(&file.path), file.path.clone()));
        }
        if let (Some((_, watch)), Content::Bytes { compression, .. }) = (&self.watch, &self.content) {
            let grows = |path: &str| compression_of(*compression, path) == Compression::None;
            return watch.splits(&files, grows);
        }
        if files.is_empty() && self.watch.is_none() {
            let nothing = io::Error::new(io::ErrorKind::NotFound, "no files there");
            return Err(external(self.location.path(), nothing));
        }
        let whole = self.is_ordered || self.watch.is_some() || one_each(&files, shards);
        let mut splits = Vec::new();
        for (at, file) in files.iter().enumerate().filter(|(_, f)| f.size_bytes > 0) {
            let ranges = self.ranges(file, whole, files.len() == 1)?;
            splits.extend(ranges.into_iter().map(|(share, range)| (share, at, split(&file.path, range))));
        }
        // Whole files all begin at 0: they keep their order.
        splits.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        Ok(splits.into_iter().map(|(.., split)| split).collect())
    }

    fn is_ordered(&self) -> bool {
        self.is_ordered
    }

    fn discovery_interval(&self) -> Option<Duration> {
        self.watch.as_ref().map(|(interval, _)| *interval)
    }

    fn open(&self, split: &Split, from: Position, rim: &Rim) -> Result<Box<dyn SplitReader>, ConnectorError> {
        let path = path_of(split);
        match &self.content {
            Content::Parquet { .. } => {
                let file = self.parquet(path)?;
                let rows = split.range.start.max(from.0)..split.range.end;
                Ok(Box::new(RowGroupReader::new(file, &rows, rim)))
            }
            Content::Bytes { format, compression } => {
                let compression = compression_of(*compression, path);
                let watch = self.watch.as_ref().map(|(_, watch)| watch.clone());
                let follow = watch.is_some() && compression == Compression::None;
                let (place, format, range) = (path.to_owned(), format.clone(), split.range.clone());
                let files = self.location.files().clone();
                let open = move || {
                    let blocks = Blocks::open(&files, &place, compression, format, range, from)?;
                    Ok(if follow { blocks.following() } else { blocks })
                };
                Ok(Box::new(FileReader::new(path, split, open, watch, rim)))
            }
        }
    }

    fn decoder(&self, split: &Split) -> Result<Box<dyn Decoder>, ConnectorError> {
        let path = path_of(split);
        let constants = self.constants(path)?;
        match &self.content {
            Content::Parquet { .. } => Ok(Box::new(ParquetDecoder::new(self.request.decoded(), constants))),
            Content::Bytes { format, compression } => format.decoder(Place {
                name: path.to_owned(),
                origin: 0,
                constants,
                line_at: Some(line_at(self.location.files(), path, compression_of(*compression, path))),
            }),
        }
    }
}

/// Counts the lines before a byte of a file by reading it again; only done for an error.
fn line_at(files: &Files, path: &str, compression: Compression) -> LineAt {
    let (files, path) = (files.clone(), path.to_owned());
    Arc::new(move |byte| {
        let file = files.open(&path).ok()?;
        let size_bytes = file.metadata().ok()?.len();
        let mut input = compression.reader(file, size_bytes).ok()?.take(byte);
        let (mut lines, mut buffer) = (1, vec![0; 64 * 1024]);
        loop {
            match input.read(&mut buffer).ok()? {
                0 => return Some(lines),
                read => lines += memchr::memchr_iter(b'\n', &buffer[..read]).count() as u64,
            }
        }
    })
}
