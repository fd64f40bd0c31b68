//! The life of a job: it begins at its last checkpoint, runs, fails, begins again, and ends.
//!
//! One thread sees to it: it builds the tasks, carries out what the coordinator decides, and when the job fails it waits
//! and builds them anew. Nothing of a failed run is used again but what its checkpoints hold.

use crate::build::{Build, Built, MakeOperator, build};
use crate::coordinator::Event;
use crate::coordinator::checkpoints::CheckpointTimes;
use crate::driver::{Driver, Keeping, NamedCommitter, Worker, run};
use crate::error::{ErrorClass, RuntimeError};
use crate::in_place::{End, InPlace};
use crate::job::{JobShared, JobState, JobSummary};
use crate::job_log::{LogLevel, LogSubject};
use crate::keeper::{Fault, Header, HeldSink, Keeper, remove_directory};
use crate::metrics::{Counters, JobMetrics};
use crate::recovery::{Beginning, OpenSavepoint, Recovered, Start, check, fresh, operator_facts, recover, suspect};
use crate::restart::Restarts;
use crate::savepoint::{Order, SavepointMade, Saver, StatePicture};
use crate::settings::{CheckpointSettings, JobSettings};
use crate::spans::{self, StartSpan};
use eddyline_changes::Epoch;
use eddyline_checkpoint::{CheckpointStore, Place};
use eddyline_connectors::{Clock, Commit, Registry, Rim};
use eddyline_plan::{Dataflow, NodeId, OperatorSpec};
use parking_lot::{Condvar, Mutex};
use std::collections::BTreeMap;
use std::fs::File;
use std::hash::Hasher;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

/// The time between the tries of a job's last checkpoint.
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// Before it is looked again whether an epoch of a job without threads can be completed: when something outside is to happen first.
const IN_PLACE_PAUSE: Duration = Duration::from_millis(1);

/// What a job is.
pub(crate) struct Definition {
    pub(crate) dataflow: Dataflow,
    pub(crate) registry: Registry,
    pub(crate) settings: JobSettings,
    pub(crate) rim: Rim,
    /// Makes operators: [`eddyline_operators::build`], but in tests of this crate.
    pub(crate) make: MakeOperator,
}

/// Where a job's checkpoints and its live state are.
pub(crate) struct Durable {
    pub(crate) place: Place,
    pub(crate) live: PathBuf,
    pub(crate) settings: CheckpointSettings,
    /// Between the tries of the last checkpoint.
    pub(crate) pause: Duration,
}

/// What its owner sees of a job, over all restarts.
pub(crate) struct Life {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) tokio: tokio::runtime::Handle,
    started: Duration,
    state: Mutex<State>,
    /// The job, where it has no threads, until it is over.
    in_place: Mutex<Option<InPlace>>,
    /// Somebody asked for the end.
    asked: Condvar,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    run: Option<Arc<JobShared>>,
    stop: bool,
    drain: bool,
    cancelled: bool,
    result: Option<Result<JobSummary, RuntimeError>>,
    wakers: Vec<Waker>,
}

impl Life {
    pub(crate) fn stop(&self) {
        self.state.lock().stop = true;
        self.asked.notify_all();
        self.tell(Event::Stop);
    }

    /// When the job ends, event time goes to its end before.
    pub(crate) fn drain(&self) {
        let mut state = self.state.lock();
        state.drain = true;
        if let Some(run) = &state.run {
            run.drain();
        }
    }

    /// Has a savepoint made, of the end of the job if it is to `stop`. Blocks until it is there.
    pub(crate) fn save(&self, order: Order, stop: bool) -> Result<SavepointMade, RuntimeError> {
        let run = self.state.lock().run.clone().ok_or(RuntimeError::NoSavepoint)?;
        if stop {
            run.save_at_end();
        }
        let (order, made) = run.orders.take(order).ok_or(RuntimeError::NoSavepoint)?;
        run.tell(Event::Save { order, stop });
        self.work();
        made.recv().unwrap_or_else(|_| Err(run.error().unwrap_or(RuntimeError::NoSavepoint)))
    }

    /// What the state of the job is now, at the end of an epoch.
    pub(crate) fn picture(&self) -> Result<StatePicture, RuntimeError> {
        let run = self.state.lock().run.clone().ok_or(RuntimeError::NoSavepoint)?;
        let (order, made) = run.orders.take_picture().ok_or(RuntimeError::NoSavepoint)?;
        run.tell(Event::Save { order, stop: false });
        self.work();
        made.recv().map_err(|_| run.error().unwrap_or(RuntimeError::NoSavepoint))
    }

    /// Ends an epoch; false when the job ended before.
    pub(crate) fn cut(&self) -> Result<bool, RuntimeError> {
        let Some(run) = self.state.lock().run.clone() else { return Ok(false) };
        // What sources have goes into the epoch.
        self.work();
        let cut = run.cuts.ask();
        run.tell(Event::Cut(Some(cut)));
        while self.work() && !run.cuts.is_answered(cut) {
            std::thread::sleep(IN_PLACE_PAUSE);
        }
        match (run.cuts.wait(cut), run.error()) {
            (false, Some(error)) => Err(error),
            (is_complete, _) => Ok(is_complete),
        }
    }

    pub(crate) fn cancel(&self) {
        {
            let mut state = self.state.lock();
            state.cancelled = true;
            self.asked.notify_all();
            if let Some(run) = &state.run {
                run.abort();
            }
        }
        // Who works on it ends it, if somebody does.
        if let Some(mut in_place) = self.in_place.try_lock() {
            self.work_on(&mut in_place);
        }
    }

    pub(crate) fn tell(&self, event: Event) {
        let run = self.state.lock().run.clone();
        if let Some(run) = run {
            run.tell(event);
            self.work();
        }
    }

    /// Does what there is to do of a job that has no threads. False for one that has, and one that is over.
    pub(crate) fn work(&self) -> bool {
        self.work_on(&mut self.in_place.lock())
    }

    fn work_on(&self, in_place: &mut Option<InPlace>) -> bool {
        let Some(job) = in_place else { return false };
        let Some(End { finished, error }) = job.work() else { return true };
        *in_place = None;
        self.end(error, finished);
        false
    }

    pub(crate) fn wait(&self) -> Result<JobSummary, RuntimeError> {
        let mut state = self.state.lock();
        loop {
            if let Some(result) = &state.result {
                return result.clone();
            }
            self.ended.wait(&mut state);
        }
    }

    pub(crate) fn poll_end(&self, cx: &mut Context<'_>) -> Poll<Result<JobSummary, RuntimeError>> {
        let mut state = self.state.lock();
        match &state.result {
            Some(result) => Poll::Ready(result.clone()),
            None => {
                state.wakers.push(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// A run begins. What was asked of the job meanwhile is asked of the run.
    fn begin(&self, run: &Arc<JobShared>) {
        let mut state = self.state.lock();
        if state.drain {
            run.drain();
        }
        if state.stop {
            run.tell(Event::Stop);
        }
        if state.cancelled {
            run.abort();
        }
        state.run = Some(run.clone());
        self.counters.set_state(JobState::Running);
    }

    /// Waits before the job is started again. False when somebody asked for its end.
    fn pause(&self, time: Duration) -> bool {
        self.counters.set_state(JobState::Restarting);
        self.counters.restarted();
        let mut state = self.state.lock();
        state.run = None;
        if !state.stop && !state.cancelled {
            self.asked.wait_for(&mut state, time);
        }
        !state.cancelled && !state.stop
    }

    /// Puts into the job's log that it has failed.
    fn tell_failure(&self, level: LogLevel, error: &RuntimeError, then: &str) {
        let now = self.clock.wall_ms();
        self.counters.failed(now, error.to_string());
        self.counters.log.tell(now, level, LogSubject::Life, format!("failed: {error}{then}"));
    }

    fn tell_end(&self, state: JobState, metrics: &JobMetrics) {
        let how = if state == JobState::Finished { "finished" } else { "stopped" };
        let message = format!("{how}: {} rows in, {} rows out", metrics.rows_in, metrics.rows_out);
        self.counters.log.tell(self.clock.wall_ms(), LogLevel::Info, LogSubject::Life, message);
    }

    /// The job is over. `finished`: the last epoch is complete, with the input at its end or not.
    fn end(&self, error: Option<RuntimeError>, finished: Option<bool>) {
        let job_state = final_state(error.as_ref(), finished);
        // Who sees that it has failed finds out why.
        error.iter().for_each(|error| self.tell_failure(LogLevel::Error, error, ""));
        self.counters.set_state(job_state);
        let elapsed = self.clock.monotonic().saturating_sub(self.started);
        let metrics = self.counters.snapshot(self.clock.wall_ms(), self.clock.monotonic());
        if error.is_none() {
            self.tell_end(job_state, &metrics);
        }
        tracing::info!(state = ?job_state, ?elapsed, rows_in = metrics.rows_in, rows_out = metrics.rows_out, "job ended");
        let mut state = self.state.lock();
        state.result = Some(error.map_or(Ok(JobSummary { state: job_state, elapsed, metrics }), Err));
        state.wakers.drain(..).for_each(Waker::wake);
        self.ended.notify_all();
    }
}

/// Where a job stands whose threads are gone.
pub(crate) fn final_state(error: Option<&RuntimeError>, finished: Option<bool>) -> JobState {
    match (error, finished) {
        (Some(_), _) => JobState::Failed,
        (None, Some(true)) => JobState::Finished,
        (None, _) => JobState::Stopped,
    }
}

/// Begins a job on a thread of its own, or on none; returns when it runs, or could not be built.
pub(crate) fn begin(definition: Definition) -> Result<Arc<Life>, RuntimeError> {
    let counters = Counters::new(
        definition.settings.log.clone(),
        &definition.dataflow,
        definition.settings.shards,
        definition.rim.clock.monotonic(),
    );
    let life = Arc::new(Life {
        clock: definition.rim.clock.clone(),
        counters,
        tokio: definition.rim.tokio.clone(),
        started: definition.rim.clock.monotonic(),
        state: Mutex::default(),
        in_place: Mutex::default(),
        asked: Condvar::new(),
        ended: Condvar::new(),
    });
    let started = StartSpan::begin(&tracing::Span::current(), &definition.settings.name, definition.settings.shards);
    if definition.settings.in_place {
        let ready = started.start(|| definition.prepare(&life.counters, None, true))?;
        life.begin(&ready.built.shared);
        *life.in_place.lock() = Some(InPlace::new(ready));
        return Ok(life);
    }
    let (send, receive) = crossbeam_channel::bounded(1);
    let told = life.clone();
    crate::driver::thread("coordinator".into(), move || {
        let prepared = definition.durable().and_then(|durable| {
            let lock = durable.as_ref().map(|d| lock(&definition.settings.name, &d.live)).transpose()?;
            let ready = started.start(|| definition.prepare(&told.counters, durable.as_ref(), true))?;
            Ok((durable, lock, ready))
        });
        match prepared {
            Ok((durable, _lock, ready)) => {
                told.begin(&ready.built.shared);
                // Who asked waits for it.
                let _ = send.send(Ok(()));
                drop(send);
                live(&told, &definition, durable.as_ref(), ready);
            }
            Err(e) => {
                let _ = send.send(Err(e));
            }
        }
    })?;
    let gone = || RuntimeError::Panic { thread: "coordinator".into(), message: "while the job was built".into() };
    receive.recv().unwrap_or_else(|_| Err(gone()))?;
    Ok(life)
}

fn live(life: &Arc<Life>, definition: &Definition, durable: Option<&Durable>, first: Ready) {
    let mut restarts = Restarts::new(definition.settings.restart.clone());
    let mut next = Ok(first);
    loop {
        let begun = life.clock.monotonic();
        let (finished, error) = match next {
            Ok(ready) => run(ready),
            Err(e) => (None, Some(e)),
        };
        let Some(error) = error else { return life.end(None, finished) };
        let ran = life.clock.monotonic().saturating_sub(begun);
        if let Some(durable) = durable
            && is_damage(&error)
        {
            suspect(&durable.live);
        }
        let Some(pause) = durable.and_then(|_| restarts.after(&error, ran)) else {
            return life.end(Some(error), finished);
        };
        tracing::warn!(job = definition.settings.name, %error, ?pause, "job failed; it is started again");
        life.tell_failure(LogLevel::Warn, &error, &format!("; it is started again in {pause:?}"));
        if !life.pause(pause) {
            return life.end(Some(error), None);
        }
        let again = StartSpan::again(&definition.settings.name, definition.settings.shards, &error);
        let prepared = again.start(|| definition.prepare(&life.counters, durable, false));
        next = prepared.inspect(|ready| life.begin(&ready.built.shared));
    }
}

/// A job that is built and ready to run.
pub(crate) struct Ready {
    pub(crate) built: Built,
    pub(crate) driver: Driver,
}

impl Definition {
    /// Where checkpoints and live state are; `None` for a job that keeps none.
    fn durable(&self) -> Result<Option<Durable>, RuntimeError> {
        let Some(settings) = &self.settings.checkpoints else { return Ok(None) };
        let place = settings.place(&self.rim.tokio)?;
        let beside = || CheckpointStore::new(&place, &self.settings.name).live_directory();
        let live = settings.local.as_ref().map(|local| local.join(self.local_name()));
        let live =
            live.or_else(beside).unwrap_or_else(|| std::env::temp_dir().join("eddyline").join(self.local_name()));
        Ok(Some(Durable { place, live, settings: settings.clone(), pause: LAST_PAUSE }))
    }

    /// A name for the job's live state that no other job has, also not one of the same name with checkpoints elsewhere.
    fn local_name(&self) -> String {
        let mut hash = Xxh3Default::new();
        hash.write(self.settings.checkpoints.as_ref().map_or("", |c| &c.location).as_bytes());
        hash.write(&[0]);
        hash.write(self.settings.name.as_bytes());
        format!("{:016x}", hash.finish())
    }

    /// Builds the job, with the state of its last checkpoint. `may_be_fresh`: this is the start, at which the user may have
    /// allowed to begin without state.
    pub(crate) fn prepare(
        &self,
        counters: &Arc<Counters>,
        durable: Option<&Durable>,
        may_be_fresh: bool,
    ) -> Result<Ready, RuntimeError> {
        let ready = self.try_prepare(counters, durable, may_be_fresh);
        match (&ready, durable) {
            (Err(error), Some(durable)) if is_damage(error) => {
                tracing::warn!(job = self.settings.name, %error, "the state is damaged; all its files are checked");
                suspect(&durable.live);
                self.try_prepare(counters, Some(durable), may_be_fresh)
            }
            _ => ready,
        }
    }

    fn try_prepare(
        &self,
        counters: &Arc<Counters>,
        durable: Option<&Durable>,
        may_be_fresh: bool,
    ) -> Result<Ready, RuntimeError> {
        let store = durable.map(|d| CheckpointStore::new(&d.place, &self.settings.name));
        let from = self.settings.from.as_ref().map(|from| OpenSavepoint::open(from, &self.rim.tokio)).transpose()?;
        let (mut recovered, lineage) = match (durable, &store) {
            (Some(durable), Some(store)) => {
                let allow_fresh = may_be_fresh && durable.settings.allow_fresh;
                let (recovered, lineage) = self.recover(durable, store, Start { allow_fresh, from })?;
                (recovered, Some(lineage))
            }
            _ => (self.without_checkpoints(from)?, None),
        };
        let mut built = build(Build {
            dataflow: &self.dataflow,
            registry: &self.registry,
            settings: &self.settings,
            rim: &self.rim,
            make: self.make,
            counters: counters.clone(),
            backends: recovered.backends.clone(),
            delayed: false,
            after: recovered.after(),
            split_shards: recovered.split_shards(self.settings.shards),
            lineage: lineage.clone(),
        })?;
        self.settle(&mut built, &recovered)?;
        let saver = self.saver(lineage.clone(), &built, &recovered);
        let keeper = match (durable, store, lineage) {
            (Some(durable), Some(store), Some(lineage)) => {
                Some(self.keeper(durable, store, lineage, &built, &recovered))
            }
            _ => None,
        };
        let worker = Worker { keeper, saver };
        let keeping = Some(match self.settings.in_place {
            true => Keeping::Queue { tasks: Default::default(), worker: Box::new(worker) },
            false => Keeping::spawn(worker)?,
        });
        let unchecked = std::mem::take(&mut recovered.unchecked);
        if !unchecked.is_empty() {
            let (shared, is_unproven) = (built.shared.clone(), recovered.is_unproven.clone());
            crate::driver::thread("state check".into(), move || check(&unchecked, &is_unproven, &shared))?;
        }
        let driver = self.driver(&mut built, durable, keeping, &recovered, self.settings.epoch_interval / 20);
        if matches!(recovered.beginning, Beginning::AtSavepoint | Beginning::Altered) {
            // From then on it is a checkpoint of this query that the job goes on from.
            built.shared.tell(Event::Checkpoint);
        }
        let whence = match (&recovered.manifest, recovered.beginning) {
            (Some(_), Beginning::AtSavepoint) => "from a savepoint".to_owned(),
            (Some(manifest), _) => format!("from checkpoint {}", manifest.id),
            (None, _) => "afresh".to_owned(),
        };
        spans::starts_from(recovered.manifest.as_ref().map(|manifest| manifest.id.0));
        let started = format!("starts {whence}, on {} shards", self.settings.shards);
        counters.log.tell(self.rim.clock.wall_ms(), LogLevel::Info, LogSubject::Life, started);
        tracing::info!(
            job = self.settings.name,
            shards = self.settings.shards,
            fragments = self.dataflow.fragments().len(),
            from = recovered.manifest.map(|m| m.id.0),
            "job starts"
        );
        Ok(Ready { built, driver })
    }

    /// The state to begin with, and the job's lineage.
    pub(crate) fn recover(
        &self,
        durable: &Durable,
        store: &CheckpointStore,
        start: Start,
    ) -> Result<(Recovered, String), RuntimeError> {
        let recovered =
            spans::recovery().in_scope(|| recover(store, &durable.live, &self.dataflow, &self.settings, start))?;
        let lineage = self.lineage(store, &recovered)?;
        // Before anything that came after the state is made void.
        recovered.passed_over.iter().try_for_each(|id| store.abandon(*id)).map_err(Fault::Store)?;
        Ok((recovered, lineage))
    }

    /// What a job begins with that keeps no checkpoints.
    fn without_checkpoints(&self, from: Option<OpenSavepoint>) -> Result<Recovered, RuntimeError> {
        if let Some(from) = from {
            return from.begin(None, &self.dataflow, &self.settings);
        }
        Ok(Recovered::afresh(fresh(&self.settings, None)?))
    }

    /// What tells the output of the job from that of others. At a savepoint another line begins, which leaves alone what a job
    /// that made the savepoint has written since; begun there again, it is the same line.
    fn lineage(&self, store: &CheckpointStore, recovered: &Recovered) -> Result<String, RuntimeError> {
        let lineage = match recovered.beginning {
            Beginning::AsItWas | Beginning::Altered => store.lineage(),
            Beginning::Renewed => store.renew_lineage(),
            Beginning::AtSavepoint => {
                let origin = recovered.origin.as_deref().unwrap_or_default();
                let lineage = xxh3_64(format!("{origin} {}", self.local_name()).as_bytes());
                let lineage = format!("{:08x}", lineage as u32);
                store.set_lineage(&lineage).map(|()| lineage)
            }
        };
        Ok(lineage.map_err(Fault::Store)?)
    }

    pub(crate) fn saver(&self, lineage: Option<String>, built: &Built, recovered: &Recovered) -> Saver {
        Saver {
            job: self.settings.name.clone(),
            lineage,
            header: self.header(built, recovered),
            shared: built.shared.clone(),
        }
    }

    fn header(&self, built: &Built, recovered: &Recovered) -> Header {
        Header {
            operators: operator_facts(&self.dataflow),
            max_parallelism: self.settings.max_parallelism,
            split_shards: recovered.split_shards(self.settings.shards),
            in_phases: self.settings.in_phases,
            shared: built.shared.clone(),
        }
    }

    pub(crate) fn driver(
        &self,
        built: &mut Built,
        durable: Option<&Durable>,
        keeping: Option<Keeping>,
        recovered: &Recovered,
        idle_interval: Duration,
    ) -> Driver {
        let times = durable.map(|durable| CheckpointTimes {
            interval: durable.settings.interval,
            min_pause: durable.settings.min_pause,
            timeout: durable.settings.timeout,
            after: recovered.last,
            exactly_once: built.exactly_once.clone(),
        });
        let coordinator = built.coordinator(&self.settings, idle_interval, recovered.after_ms(), times);
        Driver::new(
            self.settings.name.clone(),
            built.shared.clone(),
            coordinator,
            std::mem::take(&mut built.committers),
            keeping,
        )
    }

    pub(crate) fn keeper(
        &self,
        durable: &Durable,
        store: CheckpointStore,
        lineage: String,
        built: &Built,
        recovered: &Recovered,
    ) -> Keeper {
        Keeper {
            store,
            directory: durable.live.join("pictures"),
            lineage,
            base: recovered.manifest.clone().filter(|_| recovered.is_same),
            header: self.header(built, recovered),
            sinks: self.held_sinks(),
            origin: recovered.origin.clone(),
            pictures: None,
            backend: self.settings.backend.name(),
            retained: durable.settings.retained,
            is_unproven: recovered.is_unproven.clone(),
            pause: durable.pause,
            shared: built.shared.clone(),
        }
    }

    fn held_sinks(&self) -> BTreeMap<NodeId, HeldSink> {
        let held = |n: &eddyline_plan::Node| match &n.spec {
            OperatorSpec::Sink(spec) => Some((n.id, HeldSink { operator: n.operator.0, table: spec.table.clone() })),
            _ => None,
        };
        self.dataflow.nodes().iter().filter_map(held).collect()
    }

    /// Commits what the checkpoint holds, in case that the job died before it was, and removes what will never be.
    pub(crate) fn settle(&self, built: &mut Built, recovered: &Recovered) -> Result<(), RuntimeError> {
        let mut held: BTreeMap<(NodeId, u64), Vec<Commit>> = BTreeMap::new();
        for commit in recovered.manifest.iter().flat_map(|m| &m.commits) {
            let operator = |node: &&NodeId| self.dataflow.nodes()[**node].operator.0 == commit.operator;
            // In a changed query the sink of a table may have another id.
            let table = |(_, (table, _)): &(&NodeId, &NamedCommitter)| *table == commit.table;
            let node = built.committers.keys().find(operator);
            let node = node.or_else(|| built.committers.iter().find(table).map(|(node, _)| node));
            let Some(node) = node else { return Err(RuntimeError::HeldOutput { table: commit.table.clone() }) };
            held.entry((*node, commit.epoch)).or_default().push(Commit(commit.commit.clone()));
        }
        for (node, (table, committer)) in &mut built.committers {
            let fault = |e| RuntimeError::Sink { table: table.clone(), shard: None, error: Arc::new(e) };
            for ((_, epoch), commits) in held.range((*node, 0)..=(*node, u64::MAX)) {
                committer.commit(Epoch(*epoch), commits).map_err(fault)?;
            }
            committer.clear(recovered.after()).map_err(fault)?;
        }
        Ok(())
    }
}

/// Takes the lock of a job's live directory, for as long as the file is open.
fn lock(job: &str, live: &Path) -> Result<File, RuntimeError> {
    let path = live.join("lock");
    let fault = |e| RuntimeError::from(Fault::Io(path.clone(), e));
    std::fs::create_dir_all(live).map_err(fault)?;
    let file = File::create(&path).map_err(fault)?;
    match file.try_lock() {
        Ok(()) => {
            remove_directory(&live.join("pictures"))?;
            Ok(file)
        }
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(RuntimeError::Locked { job: job.to_owned(), path: path.display().to_string() })
        }
        Err(std::fs::TryLockError::Error(e)) => Err(fault(e)),
    }
}

/// Is state damaged, which another checkpoint may have whole?
fn is_damage(error: &RuntimeError) -> bool {
    error.class() == ErrorClass::Corruption && !matches!(error, RuntimeError::NoCheckpoint { .. })
}
