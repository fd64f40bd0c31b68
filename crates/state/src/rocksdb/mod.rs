//! The backend on disk: RocksDB.
//!
//! One database per shard, without a write-ahead log: what a shard wrote since the last checkpoint is lost with it, and made again
//! from the checkpoint. All databases of a process share one block cache and one limit of write buffers
//! ([`MemoryBudget`](crate::MemoryBudget)).
//!
//! **Pictures.** A picture is RocksDB's checkpoint: the write buffer is flushed, the files are hard-linked. A thread begins with it as
//! soon as the backend is frozen, whenever its files are asked for, in a directory `pictures/N` within the database's own.
//! Writes wait until it is done, so they are not in it. Nothing else waits: the thread depends on no one, so no shard can wait in a
//! circle.
//!
//! **The journal.** As long as nobody reads below the hot sets, that is until something was evicted from them, writes go to a journal (`journal-N`)
//! and not to the database: appending costs little, and puts nothing in order that nobody looks up. A picture is then the files of the
//! journal beside an empty database. Who reads has the parts of the journal that he asks for (by table and key group) *folded* into the database, sorted, and from then on
//! what belongs to these parts is written there; so has who removes a range. A backend that is opened goes on with the journal that it finds, so gigabytes of it are read
//! only as far as somebody asks. When everything is in memory again, the backend is told to *rest*: the
//! database stays as it is, and writes go to a journal on top of it. Until the next read.
//!
//! **Packs.** All rows with one lead are one entry of the database ([packs]): what is written of a lead is merged with what is there when it is read, or
//! when files are. So a row costs RocksDB a fraction of an entry. Who uses a backend does not see it: he writes, finds and goes through rows
//! ([entries]).
//!
//! **Filters.** A filter in memory knows the leads and keys of a database that was empty when it was opened: most of what is asked for is not
//! there. It may take a 16th of the budget; after that, and for a database that held something, RocksDB's filters in files answer, at some microseconds each.
//!
//! **What a checkpoint costs** is what files are new since the last: the flushed changes, and what compaction rewrote. So
//! compaction is *universal*: it merges runs of about the same age and size, and rewrites an entry a few times over its whole life,
//! not once per change of its neighbourhood. Files in which most entries are removals are compacted for that reason alone, so
//! that the disk gets smaller when windows close.

mod backend;
mod entries;
mod fold;
mod known;
mod options;
mod packs;
mod picture;

pub use backend::RocksBackend;
