//! Durable checkpoints of a job: what its shards froze, as files in a directory or an object store, and a **manifest**
//! that says which files make a checkpoint.
//!
//! ```text
//! <location>/<job>/checkpoints/0000000012/manifest           what the checkpoint is made of; written last
//! <location>/<job>/checkpoints/0000000012/0-<life>/CURRENT   files of shard 0 that belong to this checkpoint alone
//! <location>/<job>/shared/<life>-12-0-000017.sst             files that later checkpoints may refer to
//! <location>/<job>/history                                   the last attempts, also those that failed
//! ```
//!
//! Why this is right:
//! - A checkpoint is there when its manifest is; the manifest is created atomically after everything it names is there,
//!   with the size and checksum of each file. What a crash leaves behind without a manifest is never read, and is
//!   swept away when a later checkpoint is there.
//! - Names are never given twice: the life of the process that wrote a file is part of its name. So
//!   a process that was thought to be dead cannot spoil what its successor wrote. Because a manifest is only created where
//!   none is, of two that go on from the same checkpoint one fails ([`CheckpointError::Taken`]); and so does one that finds a
//!   later checkpoint when it has made its own, because it was left behind long ago.
//! - A file is deleted only when no retained manifest names it, after the manifests that did are gone, and no manifest to come
//!   can name it: a checkpoint of its number or a later one is there.
//! - A checkpoint that a job has passed over because it was damaged is gone for good ([`CheckpointStore::abandon`]): what came
//!   after the one that it went on from must not come back.
//!
//! A **savepoint** ([`Savepoint`]) was asked for by a person. It is a place of its own that holds all its files, in one form
//! whatever backend they come from.
//!
//! Not here: what the state means, when a checkpoint is due, what sinks commit. Start at [`CheckpointStore`].

mod disk;
mod error;
mod history;
mod manifest;
mod overview;
mod place;
mod savepoint;
mod store;
#[cfg(test)]
mod tests;
#[cfg(feature = "testing")]
pub mod weather;

pub use disk::{Call, Witness};
pub use error::CheckpointError;
pub use history::{Attempt, Outcome};
pub use manifest::{
    CallFact, CheckpointId, ColumnFact, HeldCommit, KeptFile, Kind, ListFact, Manifest, OperatorFact, RowsFact,
    ShardState, StateFact,
};
pub use overview::Listed;
pub use place::Place;
pub use savepoint::{ENTRIES, Savepoint, SavepointWriter};
pub use store::{CheckpointStore, Draft, Found, ShardPicture, Swept, Unchecked};
