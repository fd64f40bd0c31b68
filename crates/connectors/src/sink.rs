use crate::{ConnectorError, Rim};
use arrow::datatypes::SchemaRef;
use eddyline_changes::{BarrierKind, ChangeBatch, Epoch};
use std::task::{Context, Poll};

/// What a job asks of the connector of a table that it writes.
#[derive(Debug, Clone)]
pub struct SinkRequest {
    /// The table, for errors and printed lines.
    pub table: String,
    /// Its columns.
    pub schema: SchemaRef,
    /// Columns by which rows replace each other; `None`: whole rows.
    pub key: Option<Vec<usize>>,
    /// The session time zone.
    pub time_zone: String,
    /// For a job that keeps checkpoints: what tells its output from that of others, the same over all restarts.
    pub lineage: Option<String>,
}

/// Something that was prepared and can be committed: opaque, kept in the checkpoint until it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit(pub Vec<u8>);

/// What changes a table can be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkChanges {
    /// Rows that stay.
    Inserts,
    /// Rows, and the same rows taken back (as row kinds, or because it drops everything).
    Full,
    /// It keeps one row per value of the PRIMARY KEY: the last one written, until a deletion.
    Upserts,
}

/// How often a row reaches the world outside when a job fails and goes on from its last checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Once: what writers prepare stays invisible until it is committed, which waits for the checkpoint.
    ExactlyOnce,
    /// Once or more often: rows are visible with their epoch, and those since the last checkpoint come again.
    AtLeastOnce,
}

/// A configured table that can be written.
pub trait Sink: Send + Sync {
    /// What it can be given.
    fn changes(&self) -> SinkChanges;

    /// How often a row arrives over a failure.
    fn delivery(&self) -> Delivery {
        Delivery::AtLeastOnce
    }

    /// The writer of one shard. What it needs of the world outside the shard is in `rim`.
    ///
    /// # Errors
    /// The place cannot be opened.
    fn writer(&self, shard: usize, rim: &Rim) -> Result<Box<dyn SinkWriter>, ConnectorError>;

    /// Makes what writers prepared visible; `None` when there is nothing to do after `prepare`. `rim`: as in [`writer`](Self::writer).
    ///
    /// # Errors
    /// The place cannot be opened.
    fn committer(&self, rim: &Rim) -> Result<Option<Box<dyn Committer>>, ConnectorError> {
        let _ = rim;
        Ok(None)
    }
}

/// Writes the changes of one shard.
///
/// # Contract
/// `write*, prepare(epoch)` and so on. Nothing becomes visible outside before its epoch is committed, unless the
/// sink says of itself that it is at-least-once. Dropped without a last `prepare(.., Stop)`, a writer leaves
/// nothing half-written behind.
pub trait SinkWriter: Send {
    /// `Pending` while it cannot take more; the waker is called when it can. Never blocks.
    ///
    /// # Errors
    /// An earlier write failed.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectorError>> {
        let _ = cx;
        Poll::Ready(Ok(()))
    }

    /// Takes changes of the current epoch.
    ///
    /// # Errors
    /// They cannot be written.
    fn write(&mut self, changes: &ChangeBatch) -> Result<(), ConnectorError>;

    /// The epoch ends. Returns what is to be committed when the epoch is complete (and, for checkpoints, durable).
    ///
    /// # Errors
    /// What was written cannot be brought into safety.
    fn prepare(&mut self, epoch: Epoch, kind: BarrierKind) -> Result<Vec<Commit>, ConnectorError>;
}

/// Makes prepared output visible, for all shards of a sink.
///
/// # Contract
/// `commit` may be repeated with the same commits and does nothing the second time.
pub trait Committer: Send {
    /// Makes visible what was prepared in `epoch`.
    ///
    /// # Errors
    /// It cannot; trying again is allowed.
    fn commit(&mut self, epoch: Epoch, commits: &[Commit]) -> Result<(), ConnectorError>;

    /// Removes what earlier runs of the job have prepared and never committed; and, where that can be, what they have made
    /// visible of epochs after `last`, which come again: the job could not go on from its last checkpoint. Called when a job begins,
    /// after what its checkpoint holds was committed and before anything is written.
    ///
    /// # Errors
    /// The place cannot be reached.
    fn clear(&mut self, last: Epoch) -> Result<(), ConnectorError> {
        let _ = last;
        Ok(())
    }
}
