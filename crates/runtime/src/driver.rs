//! The hands of the coordinator: injects barriers, commits, sets timers; and the thread that does so for a job.

use crate::coordinator::{Action, Coordinator, Event, Now, Prepared};
use crate::error::RuntimeError;
use crate::job::{JobShared, JobState};
use crate::shard::Shard;
use eddyline_changes::{Barrier, BarrierKind, Epoch};
use eddyline_connectors::{Commit, Committer};
use eddyline_plan::NodeId;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Waker;
use std::thread::JoinHandle;

/// An expression of a thousand operators goes down as many calls. Only what is used takes memory.
const STACK_BYTES: usize = 32 << 20;

/// What came of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// There was nothing to do.
    Idle,
    /// Something was done.
    Worked,
    /// The last epoch is complete; `finished`: the input was at its end.
    Ended { finished: bool },
}

/// The committer of one sink node, with the table's name.
pub(crate) type NamedCommitter = (String, Box<dyn Committer>);

/// Carries out what the coordinator decides.
pub(crate) struct Driver {
    shared: Arc<JobShared>,
    coordinator: Coordinator,
    committers: BTreeMap<NodeId, NamedCommitter>,
}

impl Driver {
    pub(crate) fn new(
        shared: Arc<JobShared>,
        coordinator: Coordinator,
        committers: BTreeMap<NodeId, NamedCommitter>,
    ) -> Self {
        Self { shared, coordinator, committers }
    }

    /// Takes all events that wait, and does what follows from them.
    ///
    /// # Errors
    /// A sink could not commit.
    pub(crate) fn turn(&mut self) -> Result<Turn, RuntimeError> {
        let mut events: VecDeque<Event> = self.shared.take_events().into();
        let mut turn = Turn::Idle;
        while let Some(event) = events.pop_front() {
            turn = Turn::Worked;
            for action in self.coordinator.on(event, self.now()) {
                match action {
                    Action::Inject(barrier) => self.inject(barrier),
                    Action::Commit { epoch, prepared } => {
                        self.commit(epoch, prepared)?;
                        events.push_front(Event::Committed(epoch));
                    }
                    Action::Complete(barrier) => self.shared.completed(barrier),
                    Action::WakeAt(at) => {
                        let timer: Arc<JobShared> = self.shared.clone();
                        self.shared.clock.wake_at(at, Waker::from(Arc::new(crate::job::Timer(timer))));
                    }
                    Action::End { finished } => return Ok(Turn::Ended { finished }),
                }
            }
        }
        Ok(turn)
    }

    fn now(&self) -> Now {
        Now { monotonic: self.shared.clock.monotonic(), wall_ms: self.shared.clock.wall_ms() }
    }

    fn inject(&self, barrier: Barrier) {
        if barrier.kind == BarrierKind::Stop {
            self.shared.counters.set_state(JobState::Finishing);
        }
        self.shared.counters.set_cut(barrier.epoch);
        self.shared.inject(barrier);
    }

    fn commit(&mut self, epoch: Epoch, prepared: Vec<Prepared>) -> Result<(), RuntimeError> {
        let mut of_node: BTreeMap<NodeId, Vec<Commit>> = BTreeMap::new();
        for (node, mut commits) in prepared {
            of_node.entry(node).or_default().append(&mut commits);
        }
        for (node, commits) in of_node {
            if let Some((table, committer)) = self.committers.get_mut(&node) {
                let fault = |e| RuntimeError::Sink { table: table.clone(), shard: None, error: Arc::new(e) };
                committer.commit(epoch, &commits).map_err(fault)?;
            }
        }
        Ok(())
    }

    fn run_to_end(&mut self) -> Result<Option<bool>, RuntimeError> {
        let alarm = self.shared.coordinator_alarm();
        alarm.bind();
        loop {
            alarm.take();
            if self.shared.is_aborted() {
                return Ok(None);
            }
            if let Turn::Ended { finished } = self.turn()? {
                return Ok(Some(finished));
            }
            alarm.park();
        }
    }
}

/// Runs `shards` and the coordinator in threads of their own until the job ends.
///
/// # Errors
/// The machine gave no thread; then nothing runs.
pub(crate) fn spawn(mut driver: Driver, shards: Vec<Shard>) -> Result<(), RuntimeError> {
    let shared = driver.shared.clone();
    let mut threads: Vec<JoinHandle<()>> = Vec::with_capacity(shards.len());
    for (at, mut shard) in shards.into_iter().enumerate() {
        let job = shared.clone();
        let run = move || guard(&format!("shard {at}"), &job, move || shard.run_to_end());
        match thread(format!("shard-{at}"), run) {
            Ok(handle) => threads.push(handle),
            Err(e) => return Err(give_up(&shared, threads, e)),
        }
    }
    let coordinate = shared.clone();
    let (send, receive) = crossbeam_channel::bounded::<Vec<JoinHandle<()>>>(1);
    let run = move || {
        let threads = receive.recv().unwrap_or_default();
        let mut finished = None;
        guard("coordinator", &coordinate, || driver.run_to_end().map(|f| finished = f));
        join(threads);
        drop(driver);
        coordinate.end(finished);
    };
    match thread("coordinator".into(), run) {
        Ok(_) => {
            shared.counters.set_state(JobState::Running);
            // The coordinator has just been started and receives first thing.
            let _ = send.send(threads);
            Ok(())
        }
        Err(e) => Err(give_up(&shared, threads, e)),
    }
}

fn thread(name: String, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, RuntimeError> {
    let spawned = std::thread::Builder::new().name(name).stack_size(STACK_BYTES).spawn(run);
    spawned.map_err(|e| RuntimeError::Thread { message: e.to_string() })
}

fn give_up(shared: &JobShared, threads: Vec<JoinHandle<()>>, error: RuntimeError) -> RuntimeError {
    shared.fail(error.clone());
    join(threads);
    error
}

fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        // Panics were caught inside.
        let _ = thread.join();
    }
}

/// Runs a part of the job; an error or a panic ends the whole job.
pub(crate) fn guard(name: &str, shared: &JobShared, run: impl FnOnce() -> Result<(), RuntimeError>) {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => shared.fail(error),
        Err(panic) => shared.fail(RuntimeError::Panic { thread: name.to_owned(), message: message_of(panic.as_ref()) }),
    }
}

fn message_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}
