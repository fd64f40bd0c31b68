//! Where a job begins: at its newest checkpoint that is whole, or afresh.
//!
//! Told to begin at a savepoint, a job does so once: as soon as it has a checkpoint that descends from the savepoint, that is
//! where it goes on, so that the same command can be given again after a failure.
//!
//! A checkpoint that is damaged is passed over, saying so. When there are checkpoints and none is whole, the job does not
//! start, unless it is told to begin afresh: a job that silently forgot its state would give wrong results.
//!
//! Gigabytes of files that are linked, not copied, are not read before the job runs: they are checked beside it
//! ([`Recovered::unchecked`]), and RocksDB checks every block that it reads. When damage is found so, the job fails, which is noted beside
//! the live state ([`suspect`]); whoever finds the note checks everything before.

use crate::alter::{Alteration, alteration};
use crate::error::RuntimeError;
use crate::job::JobShared;
use crate::keeper::{Fault, remove_directory};
use crate::router::Router;
use crate::savepoint::SavepointTarget;
use crate::settings::{CheckpointSettings, JobSettings, StateBackend, open_named};
use eddyline_changes::{Epoch, KeyGroups};
use eddyline_checkpoint::{CheckpointId, CheckpointStore, Found, Manifest, OperatorFact, Savepoint, Unchecked};
use eddyline_plan::{Dataflow, Node, OperatorSpec, Words, state_origins};
use eddyline_state::{Backend, Each, EntriesReader, KEYS_END, MemoryBackend, Outgoing, StateError, StoredEntry, Write};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::runtime::Handle;

/// Linked files of a shard are checked at once as far as they have no more bytes together, unless a job's settings say otherwise.
pub(crate) const CHECKED_AT_ONCE_BYTES: u64 = 64 << 20;
/// The file that says that damage was found in the state.
const SUSPECT: &str = "suspect";
/// Entries that are written at a time when state moves between shards.
const MOVED_ENTRIES: usize = 10_000;

/// What a job begins with.
pub(crate) struct Recovered {
    /// The state, by shard.
    pub(crate) backends: Vec<Arc<dyn Backend>>,
    /// The checkpoint that it is of; `None`: afresh.
    pub(crate) manifest: Option<Manifest>,
    /// The files of the live state are those of the checkpoint: the next one may refer to them.
    pub(crate) is_same: bool,
    /// The last number that was given to a checkpoint.
    pub(crate) last: CheckpointId,
    /// How this differs from going on where the job was.
    pub(crate) beginning: Beginning,
    /// The savepoint that it descends from.
    pub(crate) origin: Option<String>,
    /// While files are still to be checked: the checkpoints before stay, which may be needed.
    pub(crate) is_unproven: Arc<AtomicBool>,
    /// Files that are still to be checked.
    pub(crate) unchecked: Vec<Unchecked>,
    /// Damaged checkpoints that are later than it.
    pub(crate) passed_over: Vec<CheckpointId>,
}

/// How a job begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// For the first time, or where it was.
    AsItWas,
    /// Where it was, with a changed query.
    Altered,
    /// There are checkpoints, and it begins afresh all the same.
    Renewed,
    /// At a savepoint.
    AtSavepoint,
}

/// Where a job may begin, beside its checkpoints.
#[derive(Default)]
pub(crate) struct Start {
    /// Afresh, when there are checkpoints but none is whole.
    pub(crate) allow_fresh: bool,
    /// At this savepoint.
    pub(crate) from: Option<OpenSavepoint>,
}

/// A savepoint that can be read.
pub(crate) struct OpenSavepoint {
    place: Savepoint,
    manifest: Manifest,
}

impl OpenSavepoint {
    /// # Errors
    /// There is none, or it is damaged.
    pub(crate) fn open(target: &SavepointTarget, tokio: &Handle) -> Result<Self, RuntimeError> {
        let place = target.open(tokio)?;
        let manifest = place.manifest().map_err(Fault::Store)?;
        Ok(Self { place, manifest })
    }

    /// What a job begins with at it.
    ///
    /// # Errors
    /// It is damaged, or is that of another query.
    pub(crate) fn begin(
        self,
        live: Option<&Path>,
        dataflow: &Dataflow,
        settings: &JobSettings,
    ) -> Result<Recovered, RuntimeError> {
        check_key_groups(&self.manifest, settings)?;
        let altered = allowed(&self.manifest, dataflow, settings.allow_dropped_state)?;
        let groups = KeyGroups::new(self.manifest.max_parallelism, settings.shards as u16);
        let temporary = std::env::temp_dir();
        let scratch = tempfile::tempdir_in(&temporary).map_err(|e| Fault::Io(temporary, e))?;
        let files = (0..self.manifest.shards.len()).map(|at| self.place.file(&self.manifest, at, scratch.path()));
        let files = files.collect::<Result<Vec<_>, _>>().map_err(Fault::Store)?;
        let is_same = altered.is_in_place(&self.manifest) && files.len() == settings.shards;
        let backends = match settings.state_goes_out {
            // The next picture goes on what is in these files.
            true if is_same => files.iter().map(|file| outgoing_on(file)).collect::<Result<_, _>>()?,
            true => outgoing_with(&files, &altered, groups).map_err(Fault::State)?,
            false => {
                let backends = fresh(settings, live)?;
                for file in &files {
                    let mut entries = EntriesReader::open(file).map_err(Fault::State)?;
                    let mut router = Router::new(&altered, groups).map_err(Fault::State)?;
                    spread(|each| entries.read_all(each), &mut router, &backends).map_err(Fault::State)?;
                }
                backends
            }
        };
        let (location, epoch) = (self.place.name(), self.manifest.epoch);
        tracing::info!(location, epoch, bytes = self.manifest.size_bytes(), "state restored from savepoint");
        if self.manifest.drained {
            tracing::warn!(
                location,
                "the savepoint was made with --drain: windows that were open then have been put out, and their rows to come begin them anew"
            );
        }
        let (origin, beginning) = (Some(self.manifest.identity()), Beginning::AtSavepoint);
        let (last, manifest) = (CheckpointId(0), Some(self.manifest));
        let (is_same, unchecked) = (false, Vec::new());
        Ok(Recovered {
            backends,
            manifest,
            is_same,
            last,
            beginning,
            origin,
            is_unproven: Arc::default(),
            unchecked,
            passed_over: Vec::new(),
        })
    }
}

impl Recovered {
    /// What a job begins with that has no state yet.
    pub(crate) fn afresh(backends: Vec<Arc<dyn Backend>>) -> Self {
        let (manifest, is_same, last, beginning) = (None, false, CheckpointId(0), Beginning::AsItWas);
        Self {
            backends,
            manifest,
            is_same,
            last,
            beginning,
            origin: None,
            is_unproven: Arc::default(),
            unchecked: Vec::new(),
            passed_over: Vec::new(),
        }
    }

    /// For how many shards sources cut their input, on `shards` shards.
    pub(crate) fn split_shards(&self, shards: usize) -> usize {
        self.manifest.as_ref().map_or(shards, |m| m.split_shards)
    }

    /// The time of the last epoch that is complete.
    pub(crate) fn after_ms(&self) -> i64 {
        self.manifest.as_ref().map_or(i64::MIN, |m| m.time_ms)
    }

    /// The last epoch that is complete.
    pub(crate) fn after(&self) -> Epoch {
        self.manifest.as_ref().map_or(Epoch(0), |m| Epoch(m.epoch))
    }
}

/// Empty state.
pub(crate) fn fresh(settings: &JobSettings, live: Option<&Path>) -> Result<Vec<Arc<dyn Backend>>, RuntimeError> {
    (0..settings.shards)
        .map(|shard| match settings.state_goes_out {
            true => Ok(Arc::new(Outgoing::new()) as Arc<dyn Backend>),
            false => open(&settings.backend, live, shard),
        })
        .collect()
}

/// Whether the plan with which a job made the state that it will begin with has its aggregates in phases: the new plan has to be like it.
/// `None`: it begins without state, or nobody said.
///
/// # Errors
/// The places cannot be reached, or there is no savepoint. Damaged checkpoints are no error here.
pub fn planned_in_phases(
    job: &str,
    checkpoints: Option<&CheckpointSettings>,
    from: Option<&SavepointTarget>,
    tokio: &Handle,
) -> Result<Option<bool>, RuntimeError> {
    if let Some(from) = from {
        return Ok(OpenSavepoint::open(from, tokio)?.manifest.in_phases);
    }
    let Some(settings) = checkpoints else { return Ok(None) };
    let store = CheckpointStore::new(&settings.place(tokio)?, job);
    let mut found = store.list().map_err(Fault::Store)?.into_iter();
    Ok(found.find_map(|f| f.manifest.ok()).and_then(|manifest| manifest.in_phases))
}

/// Notes that damage was found in the state of the job whose live directory this is.
pub(crate) fn suspect(live: &Path) {
    if let Err(error) =
        std::fs::write(live.join(SUSPECT), "damage was found: all files are checked at the next start\n")
    {
        tracing::warn!(%error, "it cannot be noted that the state is damaged");
    }
}

/// Finds where the job begins, and brings the state into `directory`, the live directory of this job alone.
///
/// # Errors
/// [`RuntimeError::NoCheckpoint`], [`RuntimeError::OtherState`], or the place cannot be reached.
pub(crate) fn recover(
    store: &CheckpointStore,
    directory: &Path,
    dataflow: &Dataflow,
    settings: &JobSettings,
    start: Start,
) -> Result<Recovered, RuntimeError> {
    let (live, suspect) = (&directory.join("state"), directory.join(SUSPECT));
    let checked_bytes = match &settings.checkpoints {
        _ if suspect.exists() => u64::MAX,
        Some(checkpoints) => checkpoints.checked_first_bytes,
        None => CHECKED_AT_ONCE_BYTES,
    };
    remove_directory(live)?;
    std::fs::create_dir_all(live).map_err(|e| Fault::Io(live.to_owned(), e))?;
    let found = store.list().map_err(Fault::Store)?;
    let last = found.first().map_or(CheckpointId(0), |f| f.id);
    let origin = start.from.as_ref().map(|from| from.manifest.identity());
    let mut faults = Vec::new();
    let mut passed_over = Vec::new();
    for Found { id, manifest } in found {
        if origin.is_some() && !matches!(&manifest, Ok(manifest) if manifest.origin == origin) {
            continue;
        }
        if let Ok(manifest) = &manifest {
            check_key_groups(manifest, settings)?;
        }
        let may_lose = settings.allow_dropped_state && id.0 <= settings.allowed_until;
        let altered = manifest.as_ref().ok().map(|manifest| allowed(manifest, dataflow, may_lose)).transpose()?;
        let altered = altered.unwrap_or_default();
        let attempt = manifest.map_err(Fault::Store).and_then(|manifest| {
            let restored = restore(store, &manifest, live, settings, &altered, checked_bytes)?;
            Ok((manifest, restored))
        });
        match attempt {
            Ok((manifest, Restored { backends, is_same, unchecked })) => {
                tracing::info!(%id, epoch = manifest.epoch, bytes = manifest.size_bytes(), "state restored");
                // What is wrong was passed over.
                let _ = std::fs::remove_file(suspect);
                let origin = manifest.origin.clone();
                let beginning = if altered.is_nothing() { Beginning::AsItWas } else { Beginning::Altered };
                let manifest = Some(manifest);
                let is_unproven = Arc::new(AtomicBool::new(!unchecked.is_empty()));
                return Ok(Recovered {
                    backends,
                    manifest,
                    is_same,
                    last,
                    beginning,
                    origin,
                    is_unproven,
                    unchecked,
                    passed_over,
                });
            }
            Err(fault) if is_damage(&fault) => {
                tracing::warn!(%id, error = %fault, "checkpoint is damaged; the one before it is tried");
                faults.push(format!("checkpoint {id}: {fault}"));
                passed_over.push(id);
                remove_directory(live)?;
                std::fs::create_dir_all(live).map_err(|e| Fault::Io(live.to_owned(), e))?;
            }
            Err(fault) => return Err(fault.into()),
        }
    }
    if let Some(from) = start.from {
        return Ok(Recovered { last, ..from.begin(Some(live), dataflow, settings)? });
    }
    let may_begin_afresh = start.allow_fresh && last.0 <= settings.allowed_until;
    if !faults.is_empty() && !may_begin_afresh {
        return Err(RuntimeError::NoCheckpoint { faults });
    }
    let beginning = if faults.is_empty() { Beginning::AsItWas } else { Beginning::Renewed };
    let backends = fresh(settings, Some(live))?;
    Ok(Recovered { last, beginning, passed_over, ..Recovered::afresh(backends) })
}

fn is_damage(fault: &Fault) -> bool {
    match fault {
        Fault::Store(error) => error.is_damage(),
        Fault::State(error) => error.is_corruption(),
        Fault::Io(..) => false,
    }
}

struct Restored {
    backends: Vec<Arc<dyn Backend>>,
    /// The files are those of the checkpoint.
    is_same: bool,
    unchecked: Vec<Unchecked>,
}

fn restore(
    store: &CheckpointStore,
    manifest: &Manifest,
    live: &Path,
    settings: &JobSettings,
    altered: &Alteration,
    checked_bytes: u64,
) -> Result<Restored, Fault> {
    let kind = &settings.backend;
    let is_same = altered.is_in_place(manifest)
        && manifest.shards.len() == settings.shards
        && manifest.shards.iter().all(|s| s.backend == kind.name());
    let mut unchecked = Vec::new();
    for shard in 0..manifest.shards.len() {
        let directory = if is_same { directory_of(live, shard) } else { live.join(format!("from-{shard}")) };
        std::fs::create_dir_all(&directory).map_err(|e| Fault::Io(directory.clone(), e))?;
        // What is read whole and thrown away is checked before.
        let checked_bytes = if is_same { checked_bytes } else { u64::MAX };
        unchecked.extend(store.fetch(manifest, shard, &directory, checked_bytes).map_err(Fault::Store)?);
    }
    if is_same {
        let backends =
            (0..settings.shards).map(|shard| kind.open(&directory_of(live, shard))).collect::<Result<_, _>>();
        return Ok(Restored { backends: backends.map_err(Fault::State)?, is_same, unchecked });
    }
    let groups = KeyGroups::new(manifest.max_parallelism, settings.shards as u16);
    let to = (0..settings.shards).map(|shard| open(kind, Some(live), shard)).collect::<Result<Vec<_>, _>>();
    let to = to.map_err(|e| Fault::Io(live.to_owned(), std::io::Error::other(e.to_string())))?;
    for (shard, state) in manifest.shards.iter().enumerate() {
        let directory = live.join(format!("from-{shard}"));
        let unknown = || {
            let message = format!("state of backend '{}', which is not known", state.backend);
            StateError::Corrupt { table: store.name_of(manifest.id), message }
        };
        let from = open_named(&state.backend, &directory).unwrap_or_else(|| Err(unknown())).map_err(Fault::State)?;
        let mut router = Router::new(altered, groups).map_err(Fault::State)?;
        spread(|each| from.scan(&[], &KEYS_END, each), &mut router, &to).map_err(Fault::State)?;
        drop(from);
        remove_directory(&directory)?;
    }
    Ok(Restored { backends: to, is_same, unchecked })
}

/// Checks files while the job runs; the first that is damaged ends it. When all are well, that is noted.
pub(crate) fn check(unchecked: &[Unchecked], is_unproven: &AtomicBool, shared: &JobShared) {
    for file in unchecked {
        if shared.is_aborted() {
            return;
        }
        match file.check() {
            // The state has moved on: it is of no use any more.
            Err(_) if !file.is_there() => {}
            Err(error) => return shared.fail(RuntimeError::Checkpoint { error: Arc::new(error) }),
            Ok(()) => {}
        }
    }
    is_unproven.store(false, Ordering::Relaxed);
}

/// Copies every entry to the shard that owns its key group now, as the operator has it that goes on with it.
fn spread(
    scan: impl FnOnce(&mut Each<'_>) -> Result<(), StateError>,
    router: &mut Router<'_>,
    to: &[Arc<dyn Backend>],
) -> Result<(), StateError> {
    let mut writes: Vec<Vec<Write>> = to.iter().map(|_| Vec::new()).collect();
    scan(&mut |key, value| {
        let Some((shard, key, value)) = router.route(key, value)? else { return Ok(()) };
        writes[shard].push(Write::Put(key, value));
        match writes[shard].len() {
            MOVED_ENTRIES.. => to[shard].write(std::mem::take(&mut writes[shard])),
            _ => Ok(()),
        }
    })?;
    to.iter().zip(writes).try_for_each(|(to, writes)| to.write(writes))
}

/// Keys stand under the key groups that they had: with another number of groups they would not be found.
fn check_key_groups(manifest: &Manifest, settings: &JobSettings) -> Result<(), RuntimeError> {
    let (then, now) = (manifest.max_parallelism, settings.max_parallelism);
    if then == now {
        return Ok(());
    }
    let message =
        format!("is {now}, but the state of job '{}' was made with {then}, which cannot change", manifest.job);
    Err(RuntimeError::Setting { setting: "pipeline.max-parallelism", message })
}

/// What becomes of the state, if it may.
fn allowed(manifest: &Manifest, dataflow: &Dataflow, may_lose: bool) -> Result<Alteration, RuntimeError> {
    let altered = alteration(manifest, dataflow);
    let job = manifest.job.clone();
    match &altered.impossible {
        Some(why) => Err(RuntimeError::StateMisfit { job, why: why.clone() }),
        None if altered.loses() && !may_lose => Err(RuntimeError::OtherState { job, losses: altered.losses() }),
        None => {
            if !altered.is_nothing() {
                tracing::info!(job, changes = %altered, "the query was changed");
            }
            Ok(altered)
        }
    }
}

/// What would become of the state of a job, if it began now with this plan; `None`: it has none. The place of the state, and what becomes of
/// it. Nothing is changed.
///
/// # Errors
/// The places cannot be reached, there is no savepoint, or no checkpoint can be read.
pub fn preview(
    job: &str,
    dataflow: &Dataflow,
    checkpoints: Option<&CheckpointSettings>,
    from: Option<&SavepointTarget>,
    tokio: &Handle,
) -> Result<Option<(String, Alteration)>, RuntimeError> {
    if let Some(from) = from {
        let OpenSavepoint { place, manifest } = OpenSavepoint::open(from, tokio)?;
        return Ok(Some((place.name(), alteration(&manifest, dataflow))));
    }
    let Some(settings) = checkpoints else { return Ok(None) };
    let store = CheckpointStore::new(&settings.place(tokio)?, job);
    let found = store.list().map_err(Fault::Store)?;
    match found.iter().find_map(|f| f.manifest.as_ref().ok()) {
        Some(manifest) => Ok(Some((store.name_of(manifest.id), alteration(manifest, dataflow)))),
        None => Ok(None),
    }
}

/// The last number that was given to a checkpoint of a job; 0: it has none.
///
/// # Errors
/// The place cannot be reached.
pub fn last_checkpoint(job: &str, settings: &CheckpointSettings, tokio: &Handle) -> Result<u64, RuntimeError> {
    let store = CheckpointStore::new(&settings.place(tokio)?, job);
    let found = store.list().map_err(Fault::Store)?;
    Ok(found.first().map_or(0, |found| found.id.0))
}

/// The operators of a dataflow, as a manifest names them.
pub(crate) fn operator_facts(dataflow: &Dataflow) -> Vec<OperatorFact> {
    let mut states: BTreeMap<_, _> = state_origins(dataflow, Words::NOW)
        .iter()
        .map(|origin| (origin.node, crate::alter_columns::fact(origin)))
        .collect();
    let fact = |n: &Node| OperatorFact { id: n.operator.0, name: operator_name(n), state: states.remove(&n.id) };
    dataflow.nodes().iter().map(fact).collect()
}

/// An operator, as EXPLAIN shows it.
pub(crate) fn operator_name(node: &Node) -> String {
    match &node.spec {
        OperatorSpec::Source(spec) => format!("{} {}", node.spec.name(), spec.table),
        OperatorSpec::Sink(spec) => format!("{} {}", node.spec.name(), spec.table),
        _ => format!("{} #{}", node.spec.name(), node.id),
    }
}

fn outgoing_on(file: &Path) -> Result<Arc<dyn Backend>, RuntimeError> {
    Ok(Arc::new(Outgoing::on(file).map_err(Fault::State)?))
}

/// State that goes elsewhere than where it stands in files.
fn outgoing_with(
    files: &[PathBuf],
    altered: &Alteration,
    groups: KeyGroups,
) -> Result<Vec<Arc<dyn Backend>>, StateError> {
    let mut entries: Vec<Vec<StoredEntry>> = (0..groups.shards()).map(|_| Vec::new()).collect();
    for file in files {
        let mut router = Router::new(altered, groups)?;
        EntriesReader::open(file)?.read_all(&mut |key, value| {
            if let Some((shard, key, value)) = router.route(key, value)? {
                entries[shard].push((key, value));
            }
            Ok(())
        })?;
    }
    Ok(entries.into_iter().map(|entries| Arc::new(Outgoing::with(entries)) as Arc<dyn Backend>).collect())
}

fn directory_of(live: &Path, shard: usize) -> std::path::PathBuf {
    live.join(format!("shard-{shard}"))
}

fn open(kind: &StateBackend, live: Option<&Path>, shard: usize) -> Result<Arc<dyn Backend>, RuntimeError> {
    match live {
        // Nothing reaches a disk.
        None => Ok(Arc::new(MemoryBackend::new())),
        Some(live) => {
            let directory = directory_of(live, shard);
            kind.create(&directory).map_err(|e| RuntimeError::State { error: Arc::new(e) })
        }
    }
}
