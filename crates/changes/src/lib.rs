//! What flows: rows with weights, and the three things that travel with them.
//!
//! A **change** is a row with a weight: `+n` adds `n` copies of the row to the table, `-n` takes `n` copies
//! away (a Z-set). A **change batch** is many of them in columns. A stream is a sequence of
//! [`StreamElement`]s: changes, watermarks and barriers, and nothing else.
//!
//! Row kinds (`+I -U +U -D`) are not here in the flow: decoders turn kinds into weights and encoders that
//! know the key turn weights back ([`RowKind`] names them for both).
//!
//! Not here: SQL, state, threads, clocks. Start at [`ChangeBatch`].

mod batch;
mod element;
mod error;
pub mod hash;
mod key_group;
mod row_kind;
pub mod table;

pub use batch::{ChangeBatch, KeyHashes, Weights};
pub use element::{Barrier, BarrierKind, Epoch, StreamElement, Watermark};
pub use error::ChangeError;
pub use key_group::{KeyGroup, KeyGroupRange, KeyGroups, MAX_PARALLELISM_DEFAULT};
pub use row_kind::RowKind;
