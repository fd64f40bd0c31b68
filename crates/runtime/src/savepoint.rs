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
use eddyline_checkpoint::{CheckpointId, Kind, Manifest, Place, Savepoint};
use eddyline_state::{EntriesWriter, Frozen};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use tokio::runtime::Handle;

/// Greater than all keys of a backend.
pub(crate) const KEYS_END: [u8; 32] = [0xff; 32];

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
    waiting: BTreeMap<OrderId, (Savepoint, Sender<Result<SavepointMade, RuntimeError>>)>,
    is_closed: bool,
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
        orders.waiting.insert(id, (place, reply));
        Some((id, made))
    }

    fn place(&self, order: OrderId) -> Option<Savepoint> {
        self.0.lock().waiting.get(&order).map(|(place, _)| place.clone())
    }

    /// Tells who waits what came of an order.
    pub(crate) fn end(&self, order: OrderId, result: Result<SavepointMade, RuntimeError>) {
        if let Some((_, reply)) = self.0.lock().waiting.remove(&order) {
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
    pub(crate) fn work(&self, barrier: Barrier, orders: &[OrderId], snapshots: &[Snapshot], finished: bool) {
        let is_last = barrier.kind == BarrierKind::Stop;
        for order in orders {
            let Some(place) = self.shared.orders.place(*order) else { continue };
            let span = spans::savepoint(&self.job, barrier, &place.name());
            let made = span.in_scope(|| self.save(&place, barrier, snapshots, finished)).map_err(RuntimeError::from);
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
        self.shared.tell(Event::Saved(barrier.epoch));
    }

    fn save(
        &self,
        place: &Savepoint,
        barrier: Barrier,
        snapshots: &[Snapshot],
        finished: bool,
    ) -> Result<SavepointMade, Fault> {
        let temporary = std::env::temp_dir();
        let scratch = tempfile::tempdir_in(&temporary).map_err(|e| Fault::Io(temporary, e))?;
        let mut writer = place.write(scratch.path());
        for snapshot in snapshots {
            writer.shard(|path| write_entries(snapshot.picture.as_ref(), path))?;
        }
        let draft = self.header.draft(CheckpointId(barrier.epoch.0), Kind::Savepoint, barrier, finished);
        let manifest = writer.finish(draft, &self.job, self.lineage.as_deref().unwrap_or(""));
        let manifest: Manifest = manifest.map_err(Fault::Store)?;
        let (location, size_bytes) = (place.name(), manifest.size_bytes());
        Ok(SavepointMade { location, epoch: barrier.epoch.0, size_bytes })
    }
}

fn write_entries(picture: &dyn Frozen, path: &Path) -> Result<(), Fault> {
    let mut writer = EntriesWriter::create(path).map_err(Fault::State)?;
    picture.scan(&[], &KEYS_END, &mut |key, value| writer.put(key, value)).map_err(Fault::State)?;
    writer.finish_file().map(drop).map_err(Fault::State)
}
