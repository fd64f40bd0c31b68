//! Exchange: dealing the rows of a node out to the instances of another.
//!
//! The hash of the key is computed once and travels with the rows; each target's rows are gathered once. With one
//! shard, or when all rows of a batch go to one target, the batch is passed on as it is.
//!
//! **Why this cannot deadlock.** Fragments are cut so that exchanges point from a lower level to a higher one
//! ([`eddyline_plan::Dataflow`]), so tasks form a directed acyclic graph. A task is *runnable* when no output
//! channel is full and it has an element on an input that is not waiting for a barrier, or a barrier on all
//! inputs, or (a source) rows or a barrier from outside. Suppose that tasks have work and none is runnable. Let `e`
//! be the least number of barriers that any task has sent, and `G` the tasks which have sent `e`. Whoever reads
//! from a task of `G` is in `G` too, for it cannot send barrier `e + 1` before it has read it.
//! 1. A task of `G` has a full output to `d`. Then `d` is in `G` and does not hold that input back, as the barrier
//!    it would wait with has not been sent. So `d` has an element to read and can only be held up by a full output
//!    of its own. Follow those: the graph is acyclic, so we end at a task without full outputs that has something to read: runnable.
//! 2. No task of `G` has a full output. Then each misses input: some input is empty and not held back, and its
//!    producer has not sent barrier `e + 1`, so it is in `G`. Follow the producers up to a source, which waits for
//!    the outside world alone.
//!
//! So whenever nothing is runnable, the job waits for input from outside (or for a slow sink), not for itself.

use crate::channel::Channel;
use arrow::array::UInt32Array;
use eddyline_changes::{ChangeBatch, ChangeError, KeyGroups, KeyHashes, StreamElement};
use eddyline_plan::Distribution;
use std::sync::Arc;

/// The sending side of one edge, on one shard.
pub(crate) struct ExchangeWriter {
    targets: Vec<Target>,
    columns: Arc<[usize]>,
    route: Route,
    /// Pieces of fewer rows wait for others, until the next watermark or barrier at the latest.
    small_rows: usize,
    full_rows: usize,
}

enum Route {
    /// All rows to one target.
    One(usize),
    /// By key group.
    Hash(KeyGroups),
}

struct Target {
    channel: Arc<Channel>,
    /// Rows of the batch at hand that go there; the vector is used again and again.
    rows: Vec<u32>,
    waiting: Vec<ChangeBatch>,
    waiting_rows: usize,
}

impl ExchangeWriter {
    /// Writes into `channels`: one per consuming shard, or for [`Distribution::Forward`] the one to the same shard.
    pub(crate) fn new(
        distribution: &Distribution,
        groups: KeyGroups,
        channels: Vec<Arc<Channel>>,
        batch_rows: usize,
    ) -> Self {
        let (route, columns) = match distribution {
            Distribution::Forward => (Route::One(0), Vec::new()),
            Distribution::Hash(columns) if columns.is_empty() => (Route::One(groups.shard_of(0)), Vec::new()),
            Distribution::Hash(_) if groups.shards() == 1 => (Route::One(0), Vec::new()),
            Distribution::Hash(columns) => (Route::Hash(groups), columns.clone()),
        };
        let target = |channel| Target { channel, rows: Vec::new(), waiting: Vec::new(), waiting_rows: 0 };
        Self {
            targets: channels.into_iter().map(target).collect(),
            columns: columns.into(),
            route,
            small_rows: batch_rows / 8,
            full_rows: batch_rows / 2,
        }
    }

    /// Deals out the rows of `batch`.
    ///
    /// # Errors
    /// A key column that cannot be hashed.
    pub(crate) fn send(&mut self, batch: ChangeBatch) -> Result<(), ChangeError> {
        let groups = match self.route {
            Route::One(target) => {
                return self.targets[target].put(batch, self.small_rows, self.full_rows, &self.columns);
            }
            Route::Hash(groups) => groups,
        };
        let values = batch.key_hashes(&self.columns)?;
        for (row, hash) in values.iter().enumerate() {
            self.targets[groups.shard_of(*hash)].rows.push(row as u32);
        }
        let rows = batch.num_rows();
        let batch = batch.with_hashes(KeyHashes { columns: self.columns.clone(), values })?;
        for target in &mut self.targets {
            if target.rows.is_empty() {
                continue;
            }
            let piece = if target.rows.len() == rows {
                target.rows.clear();
                batch.clone()
            } else {
                let indices = UInt32Array::from(std::mem::take(&mut target.rows));
                let piece = batch.take(&indices)?;
                target.rows = recycle(indices);
                piece
            };
            target.put(piece, self.small_rows, self.full_rows, &self.columns)?;
        }
        Ok(())
    }

    /// Sends what still waits, then `element`, to all targets.
    ///
    /// # Errors
    /// Batches that do not fit together.
    pub(crate) fn broadcast(&mut self, element: &StreamElement) -> Result<(), ChangeError> {
        for target in &mut self.targets {
            target.send_waiting(&self.columns)?;
            target.channel.push(element.clone());
        }
        Ok(())
    }

    /// What waits in its channels for those that read them, in bytes.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.targets.iter().map(|t| t.channel.waiting_bytes()).sum()
    }

    /// True when one more element from each task step can be taken.
    pub(crate) fn has_room(&self) -> bool {
        self.targets.iter().all(|t| !t.channel.is_full())
    }
}

impl Target {
    fn put(
        &mut self,
        piece: ChangeBatch,
        small_rows: usize,
        full_rows: usize,
        columns: &Arc<[usize]>,
    ) -> Result<(), ChangeError> {
        if self.waiting.is_empty() && piece.num_rows() >= small_rows {
            self.channel.push(StreamElement::Changes(piece));
            return Ok(());
        }
        self.waiting_rows += piece.num_rows();
        self.waiting.push(piece);
        if self.waiting_rows >= full_rows { self.send_waiting(columns) } else { Ok(()) }
    }

    fn send_waiting(&mut self, columns: &Arc<[usize]>) -> Result<(), ChangeError> {
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting_rows = 0;
        let Some(first) = waiting.first() else { return Ok(()) };
        let joined = if waiting.len() == 1 {
            first.clone()
        } else {
            let joined = ChangeBatch::concat(&first.schema(), &waiting)?;
            if columns.is_empty() { joined } else { joined.with_hashes(join_hashes(&waiting, columns)?)? }
        };
        self.channel.push(StreamElement::Changes(joined));
        Ok(())
    }
}

/// The hashes that `pieces` carry, one after the other.
fn join_hashes(pieces: &[ChangeBatch], columns: &Arc<[usize]>) -> Result<KeyHashes, ChangeError> {
    let mut values = Vec::with_capacity(pieces.iter().map(ChangeBatch::num_rows).sum());
    for piece in pieces {
        values.extend_from_slice(&piece.key_hashes(columns)?);
    }
    Ok(KeyHashes { columns: columns.clone(), values: values.into() })
}

/// The memory of an index array, to be filled again.
fn recycle(indices: UInt32Array) -> Vec<u32> {
    let (_, values, _) = indices.into_parts();
    let mut rows = values.into_inner().into_vec().unwrap_or_default();
    rows.clear();
    rows
}
