//! How one process asks another for something that concerns a job it runs: a savepoint, its end.
//!
//! A process listens on a Unix-domain socket per job, in a directory that its user alone can enter ([`directory`]), so nobody else can
//! ask. A connection carries one [`Request`] and one [`Answer`], a line of JSON each:
//!
//! ```text
//! → {"verb":"savepoint","place":{"path":"/backups/one"}}
//! ← {"savepoint":{"location":"/backups/one","epoch":12,"size_bytes":3210}}
//! ```
//! Whoever holds the lock beside a socket listens on it. So a socket that a process left behind when it was killed is known
//! to be stale, and the next one takes its place.
//!
//! Not here: what jobs are, and how a request is carried out (the [`Handler`] knows). Start at [`Listener`] and [`ask`].

mod client;
mod error;
mod protocol;
mod server;
mod sockets;
#[cfg(test)]
mod tests;

pub use client::{ask, running};
pub use error::ControlError;
pub use protocol::{Answer, Request, SavepointFacts, Target};
pub use server::{Handler, Listener};
pub use sockets::directory;
