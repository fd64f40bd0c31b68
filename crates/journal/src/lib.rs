//! A journal: records that survive `kill -9` and power failures from the moment that [`Journal::append`] returns, until a
//! checkpoint holds what they say and they are [dropped](Journal::drop_until).
//!
//! ```text
//! <directory>/lock
//! <directory>/00000000000000000001.journal    a segment; its name is the number of its first record
//! <directory>/00000000000000004711.journal    the last one is written to
//! ```
//!
//! Records are numbered from 1 on, without gaps. Who appends while another's records are on their way to the disk has its own
//! written together with those of all others that came meanwhile, as one **batch**: one write, one sync (group commit).
//!
//! Why this is right:
//! - A batch is written when the one before it is durable. So of all batches only the last one can be torn by a crash; it was
//!   not acknowledged, and is cut off when the journal is opened.
//! - What is not whole and is *not* the last batch was acknowledged, and is damage: opening or reading it is an error. It is not the last one
//!   when a whole batch header stands anywhere behind it. Headers are hashed with a number that was drawn for the
//!   segment, so that no record, whatever its bytes, can be taken for one.
//! - Damage to the last batch alone looks as if it were torn. Who [closes](Journal::close) a journal puts a mark behind it, so
//!   that this is damage as well. [`Opened::cut_bytes`] tells when something was cut off.
//! - A segment's header is durable, and so is its name, before a batch is written to it.
//! - After a write or sync that failed the journal takes nothing more: what the disk holds is known only when it is opened again. A record whose
//!   append failed may be there then.
//!
//! Not here: what records mean; threads. Calls block. Start at [`Journal`].

mod error;
mod journal;
mod segment;
#[cfg(test)]
mod tests;

pub use error::JournalError;
pub use journal::{Journal, JournalSettings, Opened, RECORD_BYTES_MAX};
pub use segment::Each;
