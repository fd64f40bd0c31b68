//! The bytes of one split, in blocks of whole records. Blocking: runs on the rim.
//!
//! A range `start..end` of a file holds the records that begin in it: reading begins behind the first newline at or
//! after `start - 1` and ends with the record that holds byte `end - 1`. So ranges that cover a file hold each of its
//! records once, wherever they are cut. Where a newline need not end a record, ranges begin where records do.

use super::compression::Compression;
use super::location::external;
use super::watch::shrank;
use crate::format::BytesFormat;
use crate::{ConnectorError, Payload, Position, RawBlock};
use bytes::Bytes;
use eddyline_stores::Files;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

/// How much is read at once: enough to pay for handing it over, little enough to stay in the cache.
const BLOCK_BYTES: usize = 512 * 1024;

/// A record longer than this is taken for something else than a record.
const RECORD_BYTES_MAX: usize = 64 << 20;

/// What one step of reading brought.
pub(super) enum Step {
    Block(RawBlock),
    /// All there is was read; more may come.
    Wait,
    End,
}

/// Reads one split.
pub(super) struct Blocks {
    path: String,
    format: Arc<dyn BytesFormat>,
    input: Box<dyn Read + Send>,
    /// The file under `input`: its path may mean another one by now.
    file: File,
    range: Range<u64>,
    /// Where in the file `rest` begins.
    offset: u64,
    /// Read but not handed out: a record that is not complete yet.
    rest: Vec<u8>,
    /// Still within a record that belongs to the range before.
    within_record: bool,
    /// Wait at the end of the file for more.
    follow: bool,
    done: bool,
}

impl Blocks {
    /// Opens `path` to read the records that begin in `range`, or in the rest of it that begins at `from`, which is
    /// where a record begins.
    pub(super) fn open(
        files: &Files,
        path: &str,
        compression: Compression,
        format: Arc<dyn BytesFormat>,
        range: Range<u64>,
        from: Position,
    ) -> Result<Self, ConnectorError> {
        let open = || -> io::Result<_> {
            let mut file = files.open(path)?;
            let within_record = format.is_splittable() && from.0 <= range.start && range.start > 0;
            let offset = range.start.max(from.0) - u64::from(within_record);
            let size_bytes = file.metadata()?.len();
            let below = file.try_clone()?;
            if compression == Compression::None {
                file.seek(SeekFrom::Start(offset))?;
            }
            let mut input = compression.reader(file, size_bytes)?;
            if compression != Compression::None {
                io::copy(&mut input.by_ref().take(offset), &mut io::sink())?;
            }
            Ok((input, below, offset, within_record))
        };
        let (input, file, offset, within_record) = open().map_err(|e| external(path, e))?;
        let (path, rest) = (path.to_owned(), Vec::new());
        Ok(Self { path, format, input, file, range, offset, rest, within_record, follow: false, done: false })
    }

    /// The same, waiting at the end of the file for more.
    pub(super) fn following(mut self) -> Self {
        self.follow = true;
        self
    }

    /// No longer waits at the end of the file: what is there is the last record.
    pub(super) fn end_here(&mut self) {
        self.follow = false;
    }

    /// Where reading has come to in the file.
    pub(super) fn offset(&self) -> u64 {
        self.offset + self.rest.len() as u64
    }

    /// Reads on.
    ///
    /// # Errors
    /// The file cannot be read, shrank while it was followed, or has a record of absurd length.
    pub(super) fn step(&mut self) -> Result<Step, ConnectorError> {
        while !self.done && self.offset < self.range.end {
            let at_end = self.fill()?;
            if self.within_record && !self.leave_record() {
                match (at_end, self.follow) {
                    (true, true) => return Ok(Step::Wait),
                    (true, false) => return Ok(Step::End),
                    (false, _) => continue,
                }
            }
            if let Some(cut) = self.cut(at_end) {
                return Ok(Step::Block(self.take(cut)));
            }
            if at_end && self.follow {
                return Ok(Step::Wait);
            }
            if self.rest.len() > RECORD_BYTES_MAX {
                let message = format!("the record at byte {} is longer than {RECORD_BYTES_MAX} bytes", self.offset);
                return Err(ConnectorError::Format { place: self.path.clone(), message });
            }
        }
        Ok(Step::End)
    }

    /// Reads a block behind `rest`; true at the end of the file.
    fn fill(&mut self) -> Result<bool, ConnectorError> {
        self.rest.reserve_exact(BLOCK_BYTES);
        let mut block = self.input.by_ref().take(BLOCK_BYTES as u64);
        let read = block.read_to_end(&mut self.rest).map_err(|e| external(&self.path, e))?;
        if read == 0 && self.follow {
            let size_bytes = self.file.metadata().map_err(|e| external(&self.path, e))?.len();
            if size_bytes < self.offset() {
                return Err(shrank(&self.path, self.offset(), size_bytes));
            }
        }
        Ok(read < BLOCK_BYTES)
    }

    /// Drops what belongs to the range before; false when no record begins in what was read.
    fn leave_record(&mut self) -> bool {
        let newline = memchr::memchr(b'\n', &self.rest);
        let dropped = newline.map_or(self.rest.len(), |at| at + 1);
        self.rest.drain(..dropped);
        self.offset += dropped as u64;
        self.within_record = newline.is_none();
        newline.is_some() && self.offset < self.range.end
    }

    /// Where the next block ends in `rest`; none if more must be read first.
    fn cut(&mut self, at_end: bool) -> Option<usize> {
        let last = usize::try_from(self.range.end - 1 - self.offset).unwrap_or(usize::MAX);
        if last < self.rest.len() {
            if !self.format.is_splittable() && self.format.record_end(&self.rest[..=last]) == Some(last + 1) {
                self.done = true;
                return Some(last + 1);
            }
            let newline = memchr::memchr(b'\n', &self.rest[last..]);
            self.done = newline.is_some() || at_end;
            return newline.map(|at| last + at + 1).or(at_end.then_some(self.rest.len()));
        }
        if at_end && !self.follow {
            self.done = true;
            return Some(self.rest.len()).filter(|length| *length > 0);
        }
        self.format.record_end(&self.rest).filter(|cut| *cut > 0)
    }

    fn take(&mut self, cut: usize) -> RawBlock {
        let mut next = Vec::with_capacity(self.rest.len() - cut + BLOCK_BYTES);
        next.extend_from_slice(&self.rest[cut..]);
        let mut block = std::mem::replace(&mut self.rest, next);
        block.truncate(cut);
        let start = Position(self.offset);
        self.offset += cut as u64;
        RawBlock { payload: Payload::Bytes(Bytes::from(block)), start, end: Position(self.offset) }
    }
}
