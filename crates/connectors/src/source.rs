use crate::{Clock, ConnectorError};
use arrow::array::RecordBatch;
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use bytes::Bytes;
use eddyline_changes::ChangeBatch;
use eddyline_stores::Stores;
use std::any::Any;
use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// What a table asks of its connector.
#[derive(Debug, Clone)]
pub struct SourceRequest {
    /// The table, for errors.
    pub table: String,
    /// All physical columns: what a row of the input looks like.
    pub physical: SchemaRef,
    /// Which of them to decode, in this order.
    pub projection: Vec<usize>,
    /// The physical columns of the PRIMARY KEY; empty without one.
    pub key: Vec<usize>,
    /// METADATA columns to add behind them: the connector's key and the column.
    pub metadata: Vec<(String, FieldRef)>,
    /// The session time zone: for TIMESTAMP_LTZ text without an offset.
    pub time_zone: String,
}

impl SourceRequest {
    /// What a decoder makes: the projected columns, then the metadata columns.
    pub fn decoded(&self) -> SchemaRef {
        let physical = self.projection.iter().map(|c| self.physical.fields()[*c].clone());
        Arc::new(Schema::new(physical.chain(self.metadata.iter().map(|(_, f)| f.clone())).collect::<Vec<_>>()))
    }
}

/// What changes a table hands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceChanges {
    /// Rows that stay.
    Inserts,
    /// Rows, and the same rows taken back.
    Full,
    /// By the PRIMARY KEY: a row with weight +1 takes the place of the one before it, a row with weight -1 says that
    /// there is none any more. Its other columns mean nothing.
    Upserts,
}

/// Does the input end?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boundedness {
    /// It does.
    Bounded,
    /// It does not.
    Unbounded,
}

/// A place within a split's range, in the connector's own unit (bytes for files, rows for generators): reading begins
/// at `range.start`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub u64);

/// A part of a source that one reader reads, in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Split {
    /// Its identity: a file path and range, a generator's number. Stable across restarts. What stands before its last
    /// `#` is its *partition*: splits of one partition follow each other in event time.
    pub id: String,
    /// What is read of it, in the connector's unit; `u64::MAX` as end where it does not end.
    pub range: Range<u64>,
}

/// What readers may use of the world outside the shard.
#[derive(Clone)]
pub struct Rim {
    /// Where blocking and asynchronous I/O runs.
    pub tokio: tokio::runtime::Handle,
    /// The job's clock.
    pub clock: Arc<dyn Clock>,
    /// Object stores, with their credentials.
    pub stores: Stores,
}

/// A configured table that can be read.
pub trait Source: Send + Sync {
    /// Does it end?
    fn boundedness(&self) -> Boundedness;

    /// Can what was read be read again, from any position? Else the rows since the last checkpoint are lost when a job fails.
    fn is_repeatable(&self) -> bool {
        true
    }

    /// The splits there are now; `shards` readers will share them. May do I/O. Called again every
    /// [`discovery_interval`](Self::discovery_interval): splits with a new id are added.
    ///
    /// # Contract
    /// The order is part of the answer, because watermarks are made per split and wait for partitions of which nothing
    /// has been read:
    /// - bounded: splits are taken in this order, a shard takes the next free one when it has finished its last.
    ///   A source returns partitions side by side, the first splits of all of them before the second ones.
    /// - unbounded: a split need not end, so all of them are open at once, split `i` on shard `i % shards`.
    ///
    /// # Errors
    /// The place cannot be listed, or nothing is there.
    fn splits(&self, shards: usize) -> Result<Vec<Split>, ConnectorError>;

    /// True when rows of one split may take back or replace those of an earlier one. A bounded source is then read by one
    /// shard, its splits one after the other.
    fn is_ordered(&self) -> bool {
        false
    }

    /// How often to look for new splits; `None`: never.
    fn discovery_interval(&self) -> Option<Duration> {
        None
    }

    /// A reader of `split` that begins at `from`.
    ///
    /// # Errors
    /// The split cannot be opened.
    fn open(&self, split: &Split, from: Position, rim: &Rim) -> Result<Box<dyn SplitReader>, ConnectorError>;

    /// A decoder for the blocks of `split`.
    ///
    /// # Errors
    /// The request cannot be met.
    fn decoder(&self, split: &Split) -> Result<Box<dyn Decoder>, ConnectorError>;
}

/// What a reader hands out: bytes or anything its own decoder understands.
pub enum Payload {
    /// Whole records.
    Bytes(Bytes),
    /// Rows, decoded already.
    Rows(RecordBatch),
    /// Changes, decoded already.
    Changes(ChangeBatch),
    /// What only the source's own decoder knows: a row group, a range of numbers to generate.
    Own(Box<dyn Any + Send>),
}

/// A piece of a split.
pub struct RawBlock {
    /// What is to be decoded.
    pub payload: Payload,
    /// Where it begins.
    pub start: Position,
    /// Where the next one begins.
    pub end: Position,
}

/// Reads one split. It learns its start at `open` and knows nothing of epochs or checkpoints.
pub trait SplitReader: Send {
    /// The next block; `Ready(None)` after the last one. `Pending` when nothing is there yet: then the waker is
    /// called when there is. Never blocks.
    ///
    /// # Errors
    /// The split cannot be read.
    fn poll_block(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<RawBlock>, ConnectorError>>;
}

/// Rows out of a block.
pub struct Decoded {
    /// The rows, in the schema of [`SourceRequest::decoded`].
    pub changes: ChangeBatch,
    /// Rows that were left out because they could not be decoded and the table says to skip such rows.
    pub skipped: u64,
    /// Where in the split the next row begins.
    pub position: Position,
}

/// Turns blocks into changes, on a shard.
pub trait Decoder: Send {
    /// Takes a block to decode. Only called when [`next`](Self::next) has returned `None`.
    ///
    /// # Errors
    /// A block that cannot be decoded.
    fn feed(&mut self, block: RawBlock) -> Result<(), ConnectorError>;

    /// The next at most `rows_max` rows of the block; `None` when it is used up. Rows of one record, such as those before
    /// and after an update, stay together: there may be one more.
    ///
    /// # Errors
    /// [`ConnectorError::Row`] for a row that cannot be decoded.
    fn next(&mut self, rows_max: usize) -> Result<Option<Decoded>, ConnectorError>;

    /// Do the rows that were handed out last belong with those that come next? Then no epoch ends between them, however many they are: only
    /// what is in memory whole may say so.
    fn is_within(&self) -> bool {
        false
    }
}
