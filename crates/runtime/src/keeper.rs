//! The keeper makes checkpoints durable: it turns frozen state into files, stores them, and sweeps out older ones. It works on
//! a thread of its own, one task after the other, so that neither shards nor the coordinator wait for a disk or a network.

use crate::coordinator::Event;
use crate::coordinator::checkpoints::Held;
use crate::coordinator::savepoints::OrderId;
use crate::error::RuntimeError;
use crate::job::{JobShared, Snapshot};
use crate::job_log::{LogLevel, LogSubject};
use crate::metrics::{CheckpointFacts, JobFailure};
use crate::spans::CheckpointSpan;
use eddyline_changes::{Barrier, BarrierKind};
use eddyline_checkpoint::{
    Attempt, CheckpointError, CheckpointId, CheckpointStore, Draft, HeldCommit, Kind, Manifest, OperatorFact, Outcome,
    ShardPicture,
};
use eddyline_plan::{NodeId, Words};
use eddyline_state::StateError;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often the last checkpoint of a job is tried.
const LAST_TRIES: u32 = 3;

/// A sink whose commits stand in checkpoints.
#[derive(Debug, Clone)]
pub(crate) struct HeldSink {
    pub(crate) operator: u64,
    pub(crate) table: String,
}

/// What there is to do.
pub(crate) enum Task {
    /// Make this durable, and tell the coordinator.
    Keep {
        id: CheckpointId,
        barrier: Barrier,
        held: Vec<Held>,
        snapshots: Vec<Snapshot>,
        finished: bool,
        saves: bool,
        span: CheckpointSpan,
    },
    /// Make savepoints of the state that was frozen at the barrier: of the checkpoint that was kept last, if no snapshots are
    /// given.
    Save { barrier: Barrier, orders: Vec<OrderId>, snapshots: Option<Vec<Snapshot>>, finished: bool },
    /// Older checkpoints may go.
    Sweep,
}

/// What manifests of one run say, whatever they are of.
#[derive(Clone)]
pub(crate) struct Header {
    pub(crate) operators: Vec<OperatorFact>,
    pub(crate) max_parallelism: u16,
    pub(crate) split_shards: usize,
    pub(crate) in_phases: bool,
    pub(crate) shared: Arc<JobShared>,
}

impl Header {
    /// What is to be made durable of a barrier, without the state and what sinks have prepared.
    pub(crate) fn draft(&self, id: CheckpointId, kind: Kind, barrier: Barrier, finished: bool) -> Draft {
        Draft {
            id,
            kind,
            epoch: barrier.epoch.0,
            time_ms: barrier.time_ms,
            finished,
            max_parallelism: self.max_parallelism,
            split_shards: self.split_shards,
            in_phases: self.in_phases,
            drained: self.shared.drains() && barrier.kind == BarrierKind::Stop,
            origin: None,
            words: Words::NOW.number(),
            operators: self.operators.clone(),
            shards: Vec::new(),
            commits: Vec::new(),
        }
    }
}

/// See the module's page.
pub(crate) struct Keeper {
    pub(crate) store: CheckpointStore,
    /// For files on their way.
    pub(crate) directory: PathBuf,
    pub(crate) lineage: String,
    /// The checkpoint whose shared files the live state goes on from.
    pub(crate) base: Option<Manifest>,
    pub(crate) header: Header,
    pub(crate) sinks: BTreeMap<NodeId, HeldSink>,
    /// The savepoint that the job began at.
    pub(crate) origin: Option<String>,
    pub(crate) backend: &'static str,
    pub(crate) retained: usize,
    /// What the live state was restored from is still being checked: nothing that may take its place is deleted.
    pub(crate) is_unproven: Arc<AtomicBool>,
    /// Of the last checkpoint, if savepoints are to be made of it.
    pub(crate) pictures: Option<Vec<Snapshot>>,
    /// The time between the tries of the last checkpoint.
    pub(crate) pause: Duration,
    pub(crate) shared: Arc<JobShared>,
}

impl Keeper {
    /// Does one task.
    pub(crate) fn work(&mut self, task: Task) {
        match task {
            Task::Keep { id, barrier, held, snapshots, finished, saves, span } => {
                let (is_kept, attempt) = span.store(|| self.keep(id, barrier, &held, &snapshots, finished));
                span.end(&attempt);
                if let Err(error) = self.store.remember(attempt) {
                    tracing::warn!(%error, "the history of checkpoints cannot be written");
                }
                self.pictures = (is_kept && saves).then_some(snapshots);
                self.shared.tell(if is_kept { Event::Kept(id) } else { Event::KeepFailed(id) });
            }
            // Who asked for them has them made by another.
            Task::Save { .. } => {}
            // There will be another.
            Task::Sweep if self.is_unproven.load(Ordering::Relaxed) => {}
            Task::Sweep => {
                if let Err(error) = self.store.sweep(self.retained) {
                    tracing::warn!(%error, "older checkpoints cannot be deleted; it is tried again at the next");
                }
            }
        }
    }

    /// Whether it is durable, and what there is to say of it.
    fn keep(
        &mut self,
        id: CheckpointId,
        barrier: Barrier,
        held: &[Held],
        snapshots: &[Snapshot],
        finished: bool,
    ) -> (bool, Attempt) {
        let begin = self.shared.clock.monotonic();
        let mut attempt = attempt(id, barrier, snapshots);
        let tries = if barrier.kind == BarrierKind::Stop { LAST_TRIES } else { 1 };
        let mut result = self.try_keep(id, barrier, held, snapshots, finished);
        for _ in 1..tries {
            if !matches!(&result, Err(fault) if !fault.is_final()) {
                break;
            }
            std::thread::sleep(self.pause);
            result = self.try_keep(id, barrier, held, snapshots, finished);
        }
        attempt.async_ms = millis(self.shared.clock.monotonic().saturating_sub(begin));
        let is_kept = result.is_ok();
        match result {
            Ok((manifest, new_bytes)) => {
                (attempt.new_bytes, attempt.total_bytes) = (new_bytes, manifest.size_bytes());
                let (sync_ms, async_ms) = (attempt.sync_ms, attempt.async_ms);
                tracing::info!(%id, epoch = barrier.epoch.0, new_bytes, sync_ms, async_ms, "checkpoint complete");
                self.tell_complete(&attempt);
                self.base = Some(manifest);
            }
            Err(fault) => {
                tracing::warn!(%id, epoch = barrier.epoch.0, error = %fault, slowest = attempt.slowest, "checkpoint failed");
                attempt.outcome = Outcome::Failed(fault.to_string());
                self.tell_failed(id, fault.to_string());
                match fault.is_final() {
                    // Nothing of this run may become visible any more.
                    true => self.shared.fail(fault.into()),
                    false => self.shared.checkpoint_failed(fault.into()),
                }
            }
        }
        (is_kept, attempt)
    }

    /// Measures a checkpoint that is durable, and puts it into the job's log.
    fn tell_complete(&self, attempt: &Attempt) {
        let facts = CheckpointFacts {
            id: attempt.id.0,
            epoch: attempt.epoch,
            start_ms: attempt.start_ms,
            duration_ms: attempt.alignment_ms + attempt.sync_ms + attempt.async_ms,
            new_bytes: attempt.new_bytes,
            total_bytes: attempt.total_bytes,
        };
        let CheckpointFacts { id, epoch, duration_ms, new_bytes, total_bytes, .. } = &facts;
        let message =
            format!("checkpoint {id} of epoch {epoch}: {new_bytes} new bytes of {total_bytes}, {duration_ms} ms");
        let counters = &self.shared.counters;
        counters.log.tell(self.shared.clock.wall_ms(), LogLevel::Info, LogSubject::Checkpoint, message);
        counters.checkpointed(Ok(facts));
    }

    fn tell_failed(&self, id: CheckpointId, why: String) {
        let (counters, time_ms) = (&self.shared.counters, self.shared.clock.wall_ms());
        let message = format!("checkpoint {id} could not be made: {why}");
        counters.log.tell(time_ms, LogLevel::Warn, LogSubject::Checkpoint, message);
        counters.checkpointed(Err(JobFailure { time_ms, message: why }));
    }

    fn try_keep(
        &self,
        id: CheckpointId,
        barrier: Barrier,
        held: &[Held],
        snapshots: &[Snapshot],
        finished: bool,
    ) -> Result<(Manifest, u64), Fault> {
        let directory = self.directory.join(id.to_string());
        remove_directory(&directory)?;
        let draft = Draft {
            origin: self.origin.clone(),
            commits: held.iter().flat_map(|held| self.commits(held)).collect(),
            ..self.header.draft(id, Kind::Checkpoint, barrier, finished)
        };
        let kept = self.keep_files(&directory, draft, snapshots);
        // Links would hold on to files that are gone otherwise.
        if let Err(error) = remove_directory(&directory) {
            tracing::warn!(%error, "files of a checkpoint that is over cannot be removed");
        }
        kept
    }

    fn keep_files(&self, directory: &Path, mut draft: Draft, snapshots: &[Snapshot]) -> Result<(Manifest, u64), Fault> {
        for (shard, snapshot) in snapshots.iter().enumerate() {
            let into = directory.join(shard.to_string());
            std::fs::create_dir_all(&into).map_err(|e| Fault::Io(into.clone(), e))?;
            let files = snapshot.picture.files(&into).map_err(Fault::State)?;
            draft.shards.push(ShardPicture { backend: self.backend.into(), directory: into, files });
        }
        self.store.keep(draft, &self.lineage, self.base.as_ref()).map_err(Fault::Store)
    }

    fn commits(&self, held: &Held) -> Vec<HeldCommit> {
        let (node, commits) = &held.prepared;
        let Some(HeldSink { operator, table }) = self.sinks.get(node) else { return Vec::new() };
        let commit = |commit: &eddyline_connectors::Commit| HeldCommit {
            operator: *operator,
            table: table.clone(),
            epoch: held.epoch.0,
            commit: commit.0.clone(),
        };
        commits.iter().map(commit).collect()
    }
}

fn attempt(id: CheckpointId, barrier: Barrier, snapshots: &[Snapshot]) -> Attempt {
    let slowest = snapshots.iter().max_by_key(|s| s.passed_at);
    Attempt {
        id,
        kind: Kind::Checkpoint,
        epoch: barrier.epoch.0,
        start_ms: barrier.time_ms,
        alignment_ms: snapshots.iter().map(|s| millis(s.alignment)).max().unwrap_or(0),
        sync_ms: snapshots.iter().map(|s| millis(s.sync)).max().unwrap_or(0),
        async_ms: 0,
        new_bytes: 0,
        total_bytes: 0,
        slowest: slowest.map(|s| s.last_task.clone()),
        outcome: Outcome::Complete,
    }
}

fn millis(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}

pub(crate) fn remove_directory(directory: &Path) -> Result<(), Fault> {
    match std::fs::remove_dir_all(directory) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Fault::Io(directory.to_owned(), e)),
        _ => Ok(()),
    }
}

/// Why a checkpoint was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("{}: {}", .0.display(), .1)]
    Io(PathBuf, std::io::Error),
    #[error(transparent)]
    State(StateError),
    #[error(transparent)]
    Store(CheckpointError),
}

impl From<CheckpointError> for Fault {
    fn from(error: CheckpointError) -> Self {
        Fault::Store(error)
    }
}

impl Fault {
    /// The job must not go on as it is.
    fn is_final(&self) -> bool {
        matches!(self, Fault::Store(error) if error.is_final())
    }
}

impl From<Fault> for RuntimeError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Io(path, error) => {
                let error = CheckpointError::Io { path: path.display().to_string(), error };
                RuntimeError::Checkpoint { error: Arc::new(error) }
            }
            Fault::State(error) => RuntimeError::State { error: Arc::new(error) },
            Fault::Store(error) => RuntimeError::Checkpoint { error: Arc::new(error) },
        }
    }
}
