//! The connector that brings the result of a bare SELECT to whoever asked: changes, epoch by epoch.
//!
//! Writers keep the changes of an epoch; the committer hands over the epoch, all shards together, when it is
//! committed. So a reader only ever sees whole epochs. A reader that is slow holds the writers back once
//! [`ROWS_WAITING_MAX`] committed rows are unread; rows of an epoch that has not ended never do, or its barrier could
//! not pass. What is held for the reader takes no more memory than a query may.

#[cfg(test)]
mod tests;

use crate::lock::lock;
use crate::result::batch_bytes;
use eddyline_changes::{BarrierKind, ChangeBatch, Epoch};
use eddyline_connectors::{
    Commit, Committer, Connector, ConnectorError, Options, Rim, Sink, SinkChanges, SinkRequest, SinkWriter,
};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use crate::job::JobEvent;

/// The connector's name; `$` keeps it apart from what users write.
pub(crate) const COLLECT: &str = "$collect";
/// The option that names the channel.
pub(crate) const CHANNEL: &str = "channel";
/// Committed rows that may wait to be read before writers are held back.
const ROWS_WAITING_MAX: usize = 256 * 1024;

/// The channels of all running SELECTs, by number.
#[derive(Default)]
pub(crate) struct CollectConnector {
    channels: Mutex<HashMap<u64, Arc<Channel>>>,
}

impl CollectConnector {
    /// Opens channel `number`; its epochs go to `to`. Changes that nobody has read take at most `bytes_max` of memory.
    pub(crate) fn open(&self, number: u64, to: Sender<JobEvent>, bytes_max: Option<usize>) -> Arc<Channel> {
        let state = State { pending: BTreeMap::new(), waiting: 0, blocked: Vec::new() };
        let bytes_max = bytes_max.unwrap_or(usize::MAX);
        let (to, state, bytes) = (Mutex::new(Some(to)), Mutex::new(state), AtomicUsize::new(0));
        let channel = Arc::new(Channel { number, to, state, bytes_max, bytes });
        lock(&self.channels).insert(number, channel.clone());
        channel
    }

    /// Forgets a channel.
    pub(crate) fn close(&self, number: u64) {
        lock(&self.channels).remove(&number);
    }
}

impl Connector for CollectConnector {
    fn name(&self) -> &'static str {
        COLLECT
    }

    fn sink(&self, mut options: Options, _request: SinkRequest) -> Result<Arc<dyn Sink>, ConnectorError> {
        let number: u64 = options.parsed(CHANNEL)?.unwrap_or_default();
        options.finish()?;
        let channel = lock(&self.channels).get(&number).cloned();
        let channel = channel.ok_or_else(|| ConnectorError::Unsupported {
            message: format!("connector '{COLLECT}' belongs to SELECT and cannot be used in CREATE TABLE"),
            hint: "use 'print', or SELECT from the table".into(),
        })?;
        Ok(Arc::new(CollectSink(channel)))
    }
}

/// One SELECT's way out.
pub(crate) struct Channel {
    number: u64,
    to: Mutex<Option<Sender<JobEvent>>>,
    state: Mutex<State>,
    bytes_max: usize,
    /// What changes take that nobody has read.
    bytes: AtomicUsize,
}

struct State {
    /// Changes of epochs that are not committed, per shard.
    pending: BTreeMap<Epoch, Vec<(usize, ChangeBatch)>>,
    /// Committed rows that nobody has read.
    waiting: usize,
    /// Writers that wait for the reader.
    blocked: Vec<Waker>,
}

impl Channel {
    /// The channel's number, for the sink's options.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The reader has taken changes.
    pub(crate) fn taken(&self, changes: &[ChangeBatch]) {
        let rows: usize = changes.iter().map(ChangeBatch::num_rows).sum();
        self.bytes.fetch_sub(changes.iter().map(size_bytes).sum(), Ordering::Relaxed);
        let mut state = lock(&self.state);
        state.waiting = state.waiting.saturating_sub(rows);
        if state.waiting < ROWS_WAITING_MAX {
            state.blocked.drain(..).for_each(Waker::wake);
        }
    }

    /// The reader is gone: what is committed from now on is dropped.
    pub(crate) fn hang_up(&self) {
        lock(&self.to).take();
        let mut state = lock(&self.state);
        state.waiting = 0;
        state.blocked.drain(..).for_each(Waker::wake);
    }

    fn deliver(&self, epoch: Epoch) {
        let sender = lock(&self.to).clone();
        let mut state = lock(&self.state);
        let mut changes = state.pending.remove(&epoch).unwrap_or_default();
        // Arrival between shards is by chance; within a shard the order is kept.
        changes.sort_by_key(|(shard, _)| *shard);
        let rows: usize = changes.iter().map(|(_, c)| c.num_rows()).sum();
        let changes = changes.into_iter().map(|(_, c)| c).collect();
        if let Some(sender) = sender
            && sender.send(JobEvent::Changes { epoch, changes }).is_ok()
        {
            state.waiting += rows;
        }
    }
}

/// What changes take in memory.
fn size_bytes(changes: &ChangeBatch) -> usize {
    batch_bytes(changes.rows())
}

struct CollectSink(Arc<Channel>);

impl Sink for CollectSink {
    fn changes(&self) -> SinkChanges {
        SinkChanges::Full
    }

    fn writer(&self, shard: usize, _rim: &Rim) -> Result<Box<dyn SinkWriter>, ConnectorError> {
        Ok(Box::new(Writer { shard, channel: self.0.clone(), open: Vec::new() }))
    }

    fn committer(&self, _: &Rim) -> Result<Option<Box<dyn Committer>>, ConnectorError> {
        Ok(Some(Box::new(ChannelCommitter(self.0.clone()))))
    }
}

struct Writer {
    shard: usize,
    channel: Arc<Channel>,
    open: Vec<ChangeBatch>,
}

impl SinkWriter for Writer {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectorError>> {
        let mut state = lock(&self.channel.state);
        if state.waiting < ROWS_WAITING_MAX {
            return Poll::Ready(Ok(()));
        }
        state.blocked.push(cx.waker().clone());
        Poll::Pending
    }

    fn write(&mut self, changes: &ChangeBatch) -> Result<(), ConnectorError> {
        let more = size_bytes(changes);
        let max_bytes = self.channel.bytes_max;
        if self.channel.bytes.fetch_add(more, Ordering::Relaxed).saturating_add(more) > max_bytes {
            return Err(ConnectorError::Memory { what: "the result", max_bytes });
        }
        self.open.push(changes.clone());
        Ok(())
    }

    fn prepare(&mut self, epoch: Epoch, _kind: BarrierKind) -> Result<Vec<Commit>, ConnectorError> {
        let open = std::mem::take(&mut self.open);
        if open.is_empty() {
            return Ok(Vec::new());
        }
        lock(&self.channel.state).pending.entry(epoch).or_default().extend(open.into_iter().map(|c| (self.shard, c)));
        Ok(vec![Commit(epoch.0.to_be_bytes().to_vec())])
    }
}

struct ChannelCommitter(Arc<Channel>);

impl Committer for ChannelCommitter {
    fn commit(&mut self, epoch: Epoch, commits: &[Commit]) -> Result<(), ConnectorError> {
        // The changes of an epoch are gone after the first time, so that a second one hands over nothing.
        if !commits.is_empty() {
            self.0.deliver(epoch);
        }
        Ok(())
    }
}
