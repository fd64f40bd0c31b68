//! The way to a client.

use crate::wire::backend::Messages;
use bytes::Bytes;
use tokio::sync::mpsc::Sender;

/// Bytes that are gathered before they are sent.
const GATHERED_BYTES: usize = 32 * 1024;

/// Messages, and where they go. Whoever sends waits while the client does not read.
pub(crate) struct Out {
    pub(crate) messages: Messages,
    to: Sender<Bytes>,
}

/// There is no client any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone;

impl Out {
    pub(crate) fn new(to: Sender<Bytes>) -> Self {
        Self { messages: Messages::default(), to }
    }

    /// Sends what there is, if it is much.
    ///
    /// # Errors
    /// There is no client any more.
    pub(crate) fn flush_large(&mut self) -> Result<(), Gone> {
        if self.messages.0.len() < GATHERED_BYTES { Ok(()) } else { self.flush() }
    }

    /// Sends what there is.
    ///
    /// # Errors
    /// There is no client any more.
    pub(crate) fn flush(&mut self) -> Result<(), Gone> {
        if self.messages.0.is_empty() {
            return Ok(());
        }
        self.to.blocking_send(self.messages.0.split().freeze()).map_err(|_| Gone)
    }
}
