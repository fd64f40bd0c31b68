//! A shard: one thread that runs one task of every fragment in a cooperative loop.

use crate::coordinator::Event;
use crate::error::RuntimeError;
use crate::job::{JobShared, Snapshot};
use crate::pipeline::Passed;
use crate::task::{Step, Task};
use crate::wake::Alarm;
use eddyline_changes::{Barrier, BarrierKind, Epoch};
use eddyline_state::Backend;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What came of a step of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It did something; there may be more.
    Worked,
    /// Nothing to do until its alarm rings.
    Idle,
    /// It has passed the last barrier.
    Done,
}

/// All tasks of one shard.
pub(crate) struct Shard {
    index: usize,
    /// Downstream first: what is on its way goes before what is new. Sources stand at the end.
    tasks: Vec<Task>,
    sources: usize,
    next_source: usize,
    /// Tasks that have passed the barrier of an epoch, and what came of it.
    passed: BTreeMap<Epoch, PassedTasks>,
    backend: Arc<dyn Backend>,
    shared: Arc<JobShared>,
    alarm: Arc<Alarm>,
}

struct PassedTasks {
    count: usize,
    /// When the first did.
    since: Duration,
    /// State is written at this barrier.
    persists: bool,
    all: Passed,
}

impl Shard {
    /// `tasks` in the order of fragments, upstream first; `backend` holds their state.
    pub(crate) fn new(index: usize, mut tasks: Vec<Task>, backend: Arc<dyn Backend>, shared: Arc<JobShared>) -> Self {
        tasks.reverse();
        // Sources are of the lowest level, so they stand together.
        let sources = tasks.iter().position(Task::is_source).unwrap_or(tasks.len());
        let alarm = shared.shard_alarm(index);
        Self { index, tasks, sources, next_source: 0, passed: BTreeMap::new(), backend, shared, alarm }
    }

    /// Brings all state into memory: nobody looks below any more.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn bring_in(&mut self) -> Result<(), RuntimeError> {
        self.tasks.iter_mut().try_for_each(|task| task.pipeline.bring_in())?;
        self.backend.rest().map_err(|e| RuntimeError::State { error: Arc::new(e) })
    }

    /// Does one bounded piece of work. Never blocks.
    ///
    /// # Errors
    /// A task failed; then the shard must not run again.
    pub(crate) fn step(&mut self) -> Result<Progress, RuntimeError> {
        for barrier in self.shared.take_barriers(self.index) {
            self.tasks.iter_mut().for_each(|t| t.inject(barrier));
        }
        for at in 0..self.sources {
            if let Some(progress) = self.run(at)? {
                return Ok(progress);
            }
        }
        let sources = self.tasks.len() - self.sources;
        for _ in 0..sources {
            let at = self.sources + self.next_source;
            self.next_source = (self.next_source + 1) % sources;
            if let Some(progress) = self.run(at)? {
                return Ok(progress);
            }
        }
        Ok(Progress::Idle)
    }

    fn run(&mut self, at: usize) -> Result<Option<Progress>, RuntimeError> {
        self.tasks[at].pipeline.hold(self.passed.values().any(|tasks| tasks.persists));
        match self.tasks[at].step()? {
            Step::Idle => Ok(None),
            Step::Worked => Ok(Some(Progress::Worked)),
            Step::Passed(barrier, passed) => {
                let since = self.shared.clock.monotonic();
                let persists = self.shared.persists(barrier.kind);
                let entry = self.passed.entry(barrier.epoch);
                let tasks = entry.or_insert_with(|| PassedTasks { count: 0, since, persists, all: Passed::default() });
                tasks.count += 1;
                tasks.all.add(passed);
                if tasks.count < self.tasks.len() {
                    return Ok(Some(Progress::Worked));
                }
                self.acknowledge(barrier, at)?;
                Ok(Some(if barrier.kind == BarrierKind::Stop { Progress::Done } else { Progress::Worked }))
            }
        }
    }

    /// All tasks have passed the barrier, the one at `last` as the last one.
    fn acknowledge(&mut self, barrier: Barrier, last: usize) -> Result<(), RuntimeError> {
        let Some(PassedTasks { since, persists, all, .. }) = self.passed.remove(&barrier.epoch) else { return Ok(()) };
        if persists {
            let passed_at = self.shared.clock.monotonic();
            if self.tasks.iter_mut().all(|task| task.pipeline.is_whole()) {
                // Nobody looks below: what comes is appended.
                self.backend.rest().map_err(|e| RuntimeError::State { error: Arc::new(e) })?;
            }
            let picture = self.backend.freeze().map_err(|e| RuntimeError::State { error: Arc::new(e) })?;
            let now = self.shared.clock.monotonic();
            let snapshot = Snapshot {
                shard: self.index,
                picture,
                passed_at,
                alignment: passed_at.saturating_sub(since),
                sync: all.sync + now.saturating_sub(passed_at),
                last_task: format!("{} on shard {}", self.tasks[last].pipeline.name(), self.index),
            };
            self.shared.add_snapshot(barrier.epoch, snapshot);
        }
        let Passed { prepared, due_ms, rows, .. } = all;
        self.shared.tell(Event::Acknowledged { epoch: barrier.epoch, prepared, due_ms, rows });
        Ok(())
    }

    /// Is it to stop?
    pub(crate) fn is_aborted(&self) -> bool {
        self.shared.is_aborted()
    }

    /// Runs until the last barrier, or until the job is aborted.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub(crate) fn run_to_end(&mut self) -> Result<(), RuntimeError> {
        self.alarm.bind();
        loop {
            self.alarm.take();
            loop {
                if self.is_aborted() {
                    return Ok(());
                }
                match self.step()? {
                    Progress::Worked => {}
                    Progress::Idle => break,
                    Progress::Done => return Ok(()),
                }
            }
            self.alarm.park();
        }
    }
}
