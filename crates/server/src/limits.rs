//! What a client may ask for.

use std::time::Duration;

/// Time for the first messages, before anybody is known.
pub(crate) const STARTUP: Duration = Duration::from_secs(10);
/// Bytes of an answer to a question for a password.
pub(crate) const ANSWER_BYTES: usize = 4096;
/// Bytes of a message.
pub(crate) const MESSAGE_BYTES: usize = 64 << 20;
/// Bytes of a statement, or of several that are sent at once: what is made of them takes many times as much.
pub(crate) const STATEMENT_BYTES: usize = 8 << 20;
/// Bytes of all prepared statements and of the values of portals that a connection has.
pub(crate) const PREPARED_BYTES: usize = 64 << 20;
/// Clients that are not known yet, at once.
pub(crate) const STRANGERS: usize = 1000;
/// Bytes that are read ahead of what is being worked on.
pub(crate) const AHEAD_BYTES: usize = 256 << 10;
/// Bytes that are read at once, at least.
pub(crate) const READ_BYTES: usize = 4096;
/// Messages that are worked off at once.
pub(crate) const BATCH_MESSAGES: usize = 1000;
/// Connections, unless it is said otherwise.
pub(crate) const CONNECTIONS: usize = 4000;
/// How often a client that waits is told how far its statement is, unless it is said otherwise.
pub(crate) const ATTENTION: Duration = Duration::from_secs(5);
/// A client that has been silent for so long is asked by the system whether it is still there, so often and with these pauses.
pub(crate) const SILENCE: Duration = Duration::from_secs(60);
pub(crate) const SILENCE_PAUSE: Duration = Duration::from_secs(15);
pub(crate) const SILENCE_QUESTIONS: u32 = 4;
