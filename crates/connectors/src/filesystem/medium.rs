//! Where a sink's files are written: a directory, or an object store.

use crate::{Commit, Committer, ConnectorError};
use eddyline_changes::Epoch;
use std::io;
use std::task::{Context, Poll};

/// Where files are written. All shards of a sink share it.
pub(super) trait Medium: Send + Sync {
    /// Gets the place ready.
    ///
    /// # Errors
    /// It cannot be reached or made.
    fn prepare(&self) -> Result<(), ConnectorError>;

    /// Begins a file that nobody sees until its commit is carried out.
    ///
    /// # Errors
    /// It cannot be made.
    fn begin(&self, name: Name) -> Result<Box<dyn Draft>, ConnectorError>;

    /// What was [secured](Draft::secure) since the last time survives a crash, if the job is one that keeps checkpoints.
    ///
    /// # Errors
    /// It is not known to.
    fn settle(&self) -> Result<(), ConnectorError>;

    /// Makes secured files visible.
    fn committer(&self) -> Box<dyn Committer>;
}

/// What the name of a file is made of.
#[derive(Debug, Clone)]
pub(super) struct Name {
    /// What the names of all files of this run begin with.
    pub(super) uid: String,
    pub(super) shard: usize,
    /// Among the files of its writer.
    pub(super) number: u64,
    pub(super) extension: String,
}

/// A file that is being written. Dropped, it leaves nothing behind, as far as that can be.
pub(super) trait Draft: io::Write + Send {
    /// Where it is, for errors.
    fn place(&self) -> &str;

    /// `Pending` while it cannot take more.
    ///
    /// # Errors
    /// An earlier write failed.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectorError>>;

    /// It is written to its end.
    ///
    /// # Errors
    /// An earlier write failed.
    fn seal(&mut self) -> Result<(), ConnectorError>;

    /// Waits until its content is safe, and says what is to be committed with `epoch`.
    ///
    /// # Errors
    /// It cannot be made safe.
    fn secure(self: Box<Self>, epoch: Epoch) -> Result<Commit, ConnectorError>;
}
