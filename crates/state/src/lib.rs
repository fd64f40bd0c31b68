//! State of operators: typed tables in memory (the hot set) over a backend that may be larger than memory.
//!
//! An operator opens its tables over a [`Store`]: its own corner of a shard's [`Backend`]. The hot path touches
//! the hot set alone; a key that is not there is looked up in the backend, all keys of a batch at once. At a
//! checkpoint barrier the runtime calls [`Table::persist`], which writes the dirty entries.
//!
//! A key in the backend is `operator id (8 bytes, big endian) | table id (2) | key group (2) | key`, so what a
//! shard owns is a few contiguous ranges and rescaling moves ranges. In tables whose rows are looked for by their first columns
//! the key begins with how long these are ([`lead`]).
//!
//! Not here: what the rows mean, SQL, threads. Start at [`SlotTable`], then [`Store`].

mod ages;
mod arena;
mod backend;
mod batch;
mod blocks;
mod by_slot;
mod entries_file;
mod error;
mod filter;
mod idle;
mod journal;
mod lead;
mod memory;
mod memory_budget;
mod outgoing;
mod puts;
mod rocksdb;
mod row_table;
mod slot_table;
mod store;
mod tag_index;

pub use self::rocksdb::RocksBackend;
pub use ages::stored_head_bytes;
pub use arena::{Arena, Leaving};
pub use backend::{Backend, Each, EachOf, Frozen, KEYS_END, StateFile, Write};
pub use batch::{Batch, WriteRef};
pub use by_slot::BySlot;
pub use entries_file::{EntriesReader, EntriesWriter};
pub use error::StateError;
pub use idle::Idle;
pub use journal::NOTES_FROM;
pub use memory::MemoryBackend;
pub use memory_budget::{HotShare, MEMORY_BUDGET_MIN, MemoryBudget};
pub use outgoing::Outgoing;
pub use puts::{Puts, Values};
pub use row_table::{LooseRows, RowTable, RowTableSpec, StoredRows};
pub use slot_table::{Encode, HashKeys, Load, SlotTable};
pub use store::{EachEntry, EachLed, LedEntry, Piece, Store, StoredEntry, Table, TableId};
pub use tag_index::{TagIndex, tag_of};
