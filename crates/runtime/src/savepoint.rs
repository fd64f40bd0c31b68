//! Savepoints: who asks for one, and who writes it.
//!
//! An order waits with the job until the coordinator has a barrier cut for it; what shards freeze there is written beside them, as
//! entries files whatever the backend is. When the job ends or fails before, orders are dropped, and who waits is told.

use crate::coordinator::Event;
use crate::coordinator::savepoints::OrderId;
use crate::error::RuntimeError;
use crate::job::{JobShared, Snapshot};
use crate::job_log::{LogLevel, LogSubject};
use crate::keeper::{Fault, Header};
use crate::spans;
use eddyline_changes::{Barrier, BarrierKind};
use eddyline_checkpoint::{CheckpointId, Draft, Kind, Manifest, Place, Savepoint};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use tokio::runtime::Handle;

/// Where a savepoint is, or is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavepointTarget {
    /// A directory, or the URL of one in an object store: the savepoint's alone.
    pub location: String,
    /// Credentials and the like of the object store, by their names in the environment.
    pub environment: BTreeMap<String, String>,
}

impl SavepointTarget {
    pub(crate) fn open(&self, tokio: &Handle) -> Result<Savepoint, RuntimeError> {
        let environment = self.environment.iter().map(|(k, v)| (k.clone(), v.clone()));
        let place = Place::parse(&self.location, environment, tokio).map_err(Fault::Store)?;
        Ok(Savepoint::at(&place))
    }
}

/// A savepoint that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavepointMade {
    /// Where it is.
    pub location: String,
    /// The epoch that it ends.
    pub epoch: u64,
    /// Its size.
    pub size_bytes: u64,
}

/// Where it is told what came of an order; it is hung up when the job ends before.
pub(crate) type Made = Receiver<Result<SavepointMade, RuntimeError>>;

/// Somebody waits for a savepoint.
pub(crate) struct Order {
    place: Savepoint,
    reply: Sender<Result<SavepointMade, RuntimeError>>,
    made: Made,
}

impl Order {
    /// # Errors
    /// The place cannot be written, or holds a savepoint.
    pub(crate) fn new(target: &SavepointTarget, tokio: &Handle) -> Result<Self, RuntimeError> {
        let place = target.open(tokio)?;
        place.prepare().map_err(Fault::Store)?;
        let (reply, made) = channel();
        Ok(Self { place, reply, made })
    }
}

/// What waits for savepoints of one run of a job.
#[derive(Default)]
pub(crate) struct Orders(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    last: OrderId,
    waiting: BTreeMap<OrderId, Waits>,
    is_closed: bool,
}

/// What somebody waits for.
enum Waits {
    /// A savepoint at a place.
    Place(Savepoint, Sender<Result<SavepointMade, RuntimeError>>),
    /// What it would be made of.
    Picture(Sender<StatePicture>),
}

/// The state of a job at one of its epochs, as it was frozen. It can be written as a savepoint while the job goes on.
pub struct StatePicture {
    job: String,
    lineage: String,
    draft: Draft,
    snapshots: Vec<Snapshot>,
}

impl StatePicture {
    /// Is it all of the state? Otherwise it is what has changed since the last picture that was [kept](Self::kept).
    pub fn is_whole(&self) -> bool {
        self.snapshots.iter().all(|snapshot| snapshot.picture.is_whole())
    }

    /// Writes it as a savepoint. `before` is that of the last picture that was kept, which one needs that is not whole.
    ///
    /// # Errors
    /// The place cannot be written, or holds a savepoint already; the one before cannot be read.
    pub fn write(
        self,
        before: Option<&SavepointTarget>,
        target: &SavepointTarget,
        tokio: &Handle,
    ) -> Result<WrittenPicture, RuntimeError> {
        let place = target.open(tokio)?;
        place.prepare().map_err(Fault::Store)?;
        let before = before.filter(|_| !self.is_whole()).map(|before| Before::open(before, tokio)).transpose()?;
        let Self { job, lineage, draft, snapshots } = self;
        let made = written(&place, before.as_ref(), draft, &snapshots, &job, &lineage)?;
        Ok(WrittenPicture { made, snapshots })
    }
}

/// A [`StatePicture`] that was written. One that is dropped, and was not [kept](Self::kept), is a part of the next.
pub struct WrittenPicture {
    /// The savepoint.
    pub made: SavepointMade,
    snapshots: Vec<Snapshot>,
}

impl WrittenPicture {
    /// What was written is where it is to be: later pictures go on it.
    pub fn kept(self) {
        self.snapshots.iter().for_each(|snapshot| snapshot.picture.kept());
    }
}

/// A savepoint that another one goes on.
struct Before {
    place: Savepoint,
    manifest: Manifest,
}

impl Before {
    fn open(target: &SavepointTarget, tokio: &Handle) -> Result<Self, RuntimeError> {
        let place = target.open(tokio)?;
        let manifest = place.manifest().map_err(Fault::Store)?;
        Ok(Self { place, manifest })
    }
}

impl Orders {
    /// Takes an order, unless the job is over. The answer comes from the receiver, which is hung up on when the job ends before.
    pub(crate) fn take(&self, order: Order) -> Option<(OrderId, Made)> {
        let Order { place, reply, made } = order;
        let mut orders = self.0.lock();
        if orders.is_closed {
            return None;
        }
        orders.last += 1;
        let id = orders.last;
        orders.waiting.insert(id, Waits::Place(place, reply));
        Some((id, made))
    }

    /// Takes an order of a picture, unless the job is over. It comes from the receiver, which is hung up on when there is none.
    pub(crate) fn take_picture(&self) -> Option<(OrderId, Receiver<StatePicture>)> {
        let mut orders = self.0.lock();
        if orders.is_closed {
            return None;
        }
        let (reply, made) = channel();
        orders.last += 1;
        let id = orders.last;
        orders.waiting.insert(id, Waits::Picture(reply));
        Some((id, made))
    }

    fn place(&self, order: OrderId) -> Option<Savepoint> {
        match self.0.lock().waiting.get(&order) {
            Some(Waits::Place(place, _)) => Some(place.clone()),
            _ => None,
        }
    }

    /// Whoever waits for a picture at this order.
    fn picture(&self, order: OrderId) -> Option<Sender<StatePicture>> {
        match self.0.lock().waiting.remove(&order) {
            Some(Waits::Picture(reply)) => Some(reply),
            _ => None,
        }
    }

    /// Tells who waits what came of an order.
    pub(crate) fn end(&self, order: OrderId, result: Result<SavepointMade, RuntimeError>) {
        // Who waits for a picture is hung up on.
        if let Some(Waits::Place(_, reply)) = self.0.lock().waiting.remove(&order) {
            // Who waited may be gone.
            let _ = reply.send(result);
        }
    }

    /// No more savepoints are made.
    pub(crate) fn close(&self) {
        let mut orders = self.0.lock();
        orders.is_closed = true;
        orders.waiting.clear();
    }
}

/// Writes savepoints.
pub(crate) struct Saver {
    pub(crate) job: String,
    pub(crate) lineage: Option<String>,
    pub(crate) header: Header,
    pub(crate) shared: Arc<JobShared>,
}

impl Saver {
    /// Makes a savepoint for each of the orders, and tells those who wait and the coordinator.
    pub(crate) fn work(&self, barrier: Barrier, orders: &[OrderId], snapshots: Vec<Snapshot>, finished: bool) {
        let is_last = barrier.kind == BarrierKind::Stop;
        for order in orders {
            let Some(place) = self.shared.orders.place(*order) else { continue };
            let span = spans::savepoint(&self.job, barrier, &place.name());
            let made = span.in_scope(|| self.save(&place, barrier, &snapshots, finished)).map_err(RuntimeError::from);
            spans::savepoint_ended(&span, made.as_ref().map(|made| made.size_bytes));
            let (log, now) = (&self.shared.counters.log, self.shared.clock.wall_ms());
            match &made {
                Ok(made) => {
                    tracing::info!(location = made.location, epoch = made.epoch, "savepoint complete");
                    let message = format!("{}: {} bytes, epoch {}", made.location, made.size_bytes, made.epoch);
                    log.tell(now, LogLevel::Info, LogSubject::Savepoint, message);
                }
                Err(error) => {
                    let message = format!("{} could not be made: {error}", place.name());
                    log.tell(now, LogLevel::Error, LogSubject::Savepoint, message);
                    tracing::warn!(location = place.name(), %error, "savepoint failed");
                    if is_last && !self.shared.keeps {
                        // The state is nowhere else.
                        self.shared.fail(error.clone());
                    }
                }
            }
            self.shared.orders.end(*order, made);
        }
        // A second one would have nothing: he is hung up on.
        if let Some(reply) = orders.iter().filter_map(|order| self.shared.orders.picture(*order)).next() {
            let (job, lineage) = (self.job.clone(), self.lineage.clone().unwrap_or_default());
            let draft = self.draft(barrier, finished);
            // Who waited may be gone.
            let _ = reply.send(StatePicture { job, lineage, draft, snapshots });
        }
        self.shared.tell(Event::Saved(barrier.epoch));
    }

    fn draft(&self, barrier: Barrier, finished: bool) -> Draft {
        self.header.draft(CheckpointId(barrier.epoch.0), Kind::Savepoint, barrier, finished)
    }

    fn save(
        &self,
        place: &Savepoint,
        barrier: Barrier,
        snapshots: &[Snapshot],
        finished: bool,
    ) -> Result<SavepointMade, Fault> {
        let lineage = self.lineage.as_deref().unwrap_or_default();
        written(place, None, self.draft(barrier, finished), snapshots, &self.job, lineage)
    }
}

/// Writes a savepoint.
fn written(
    place: &Savepoint,
    before: Option<&Before>,
    draft: Draft,
    snapshots: &[Snapshot],
    job: &str,
    lineage: &str,
) -> Result<SavepointMade, Fault> {
    let temporary = std::env::temp_dir();
    let scratch = tempfile::tempdir_in(&temporary).map_err(|e| Fault::Io(temporary, e))?;
    let mut writer = place.write(scratch.path());
    for (shard, snapshot) in snapshots.iter().enumerate() {
        let file = |before: &Before| before.place.file(&before.manifest, shard, scratch.path());
        let file = before.map(file).transpose().map_err(Fault::Store)?;
        let write = |path: &Path| snapshot.picture.write(file.as_deref(), path).map(drop).map_err(Fault::State);
        writer.shard(write)?;
    }
    let epoch = draft.epoch;
    let manifest: Manifest = writer.finish(draft, job, lineage).map_err(Fault::Store)?;
    Ok(SavepointMade { location: place.name(), epoch, size_bytes: manifest.size_bytes() })
}
