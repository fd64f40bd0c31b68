//! Keeping, finding, checking, fetching and deleting the checkpoints of one job.

use crate::CheckpointError;
use crate::history::{ATTEMPTS_MAX, Attempt};
use crate::manifest::{CheckpointId, HeldCommit, KeptFile, Kind, Manifest, OperatorFact, ShardState, VERSION};
use crate::place::{Place, Transfer, percent_decoded};
use eddyline_state::StateFile;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::Xxh3Default;

const CHECKPOINTS: &str = "checkpoints";
const SHARED: &str = "shared";
const LINEAGE: &str = "lineage";
const HISTORY: &str = "history";
const MANIFEST: &str = "manifest";

/// How often something is read from an object store before it is said to be damaged.
const READS: usize = 3;

/// What a new checkpoint shall be made of.
pub struct Draft {
    /// Its number.
    pub id: CheckpointId,
    /// Who asked for it.
    pub kind: Kind,
    /// The epoch that it ends.
    pub epoch: u64,
    /// When its barrier was cut, in milliseconds since 1970-01-01T00:00:00Z.
    pub time_ms: i64,
    /// The input was at its end.
    pub finished: bool,
    /// Number of key groups.
    pub max_parallelism: u16,
    /// For how many shards the sources have cut their input into splits.
    pub split_shards: usize,
    /// Aggregates are planned in phases.
    pub in_phases: bool,
    /// Event time went to its end before it.
    pub drained: bool,
    /// The savepoint that the job began at.
    pub origin: Option<String>,
    /// In which words it is told what operators keep.
    pub words: u32,
    /// Operators with state.
    pub operators: Vec<OperatorFact>,
    /// The state, by shard.
    pub shards: Vec<ShardPicture>,
    /// What sinks have prepared.
    pub commits: Vec<HeldCommit>,
}

impl Draft {
    /// The manifest of it, with the files of its shards.
    pub(crate) fn manifest(self, job: &str, lineage: &str, shards: Vec<ShardState>) -> Manifest {
        Manifest {
            version: VERSION,
            program: env!("CARGO_PKG_VERSION").into(),
            job: job.into(),
            lineage: lineage.into(),
            id: self.id,
            kind: self.kind,
            epoch: self.epoch,
            time_ms: self.time_ms,
            finished: self.finished,
            max_parallelism: self.max_parallelism,
            split_shards: self.split_shards,
            in_phases: Some(self.in_phases),
            drained: self.drained,
            origin: self.origin,
            words: self.words,
            operators: self.operators,
            shards,
            commits: self.commits,
        }
    }
}

/// The frozen state of one shard, as files on this machine.
pub struct ShardPicture {
    /// The backend whose files these are.
    pub backend: String,
    /// Where they are.
    pub directory: PathBuf,
    /// The files.
    pub files: Vec<StateFile>,
}

/// A checkpoint in the store: its number, and its manifest or what is wrong with it.
pub struct Found {
    /// Its number.
    pub id: CheckpointId,
    /// The manifest.
    pub manifest: Result<Manifest, CheckpointError>,
}

/// What a sweep has deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Files.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
}

/// A file that was brought from a checkpoint, and of which it is not known whether it is whole.
#[derive(Debug)]
pub struct Unchecked {
    path: PathBuf,
    /// Where it came from, for people.
    name: String,
    file: KeptFile,
}

impl Unchecked {
    /// Reads the file and compares its checksum.
    ///
    /// # Errors
    /// It is damaged, not there any more, or cannot be read.
    pub fn check(&self) -> Result<(), CheckpointError> {
        let (size_bytes, xxh3) = hash_file(&self.path)?;
        self.compare_size(size_bytes)?;
        match xxh3 == self.file.xxh3 {
            true => Ok(()),
            false => Err(CheckpointError::corrupt(&self.name, "its checksum does not fit its content")),
        }
    }

    fn check_size(&self) -> Result<(), CheckpointError> {
        let facts = std::fs::metadata(&self.path).map_err(|e| CheckpointError::io(&self.path, e))?;
        self.compare_size(facts.len())
    }

    fn compare_size(&self, size_bytes: u64) -> Result<(), CheckpointError> {
        if size_bytes == self.file.size_bytes {
            return Ok(());
        }
        let message = format!("it has {size_bytes} bytes instead of {}", self.file.size_bytes);
        Err(CheckpointError::corrupt(&self.name, message))
    }

    /// Is the file still where it was brought to?
    pub fn is_there(&self) -> bool {
        self.path.exists()
    }
}

/// The checkpoints of one job.
pub struct CheckpointStore {
    place: Place,
    job: String,
    /// Part of the names of the shared files that this process writes.
    life: String,
    attempts: Vec<Attempt>,
}

impl CheckpointStore {
    /// The checkpoints of `job` at a place; nothing is read or written yet.
    pub fn new(place: &Place, job: &str) -> Self {
        let life = format!("{:016x}", RandomState::new().build_hasher().finish());
        Self { place: place.child(&file_name(job)), job: job.into(), life, attempts: Vec::new() }
    }

    /// The jobs that have checkpoints at a place, by name.
    ///
    /// # Errors
    /// The place cannot be listed.
    pub fn jobs(place: &Place) -> Result<Vec<String>, CheckpointError> {
        let names = place.directories()?.into_iter().filter_map(|name| percent_decoded(&name));
        let has_checkpoints = |job: &String| place.child(&file_name(job)).get(LINEAGE).is_ok();
        Ok(names.filter(has_checkpoints).collect())
    }

    /// A directory within the place for the job's live state, when the place is a local directory: there, files can be
    /// linked instead of copied.
    pub fn live_directory(&self) -> Option<PathBuf> {
        self.place.directory().map(|d| d.join("live"))
    }

    /// What tells this job from others of its name elsewhere: made at its first start, the same from then on.
    ///
    /// # Errors
    /// The place cannot be reached.
    pub fn lineage(&self) -> Result<String, CheckpointError> {
        let read = || -> Result<String, CheckpointError> {
            let text = self.place.get(LINEAGE)?;
            let text = std::str::from_utf8(&text).ok().map(str::trim).filter(|t| t.len() == 8);
            let text = text.filter(|t| t.bytes().all(|b| b.is_ascii_alphanumeric()));
            text.map(str::to_owned)
                .ok_or_else(|| CheckpointError::corrupt(self.place.name_of(LINEAGE), "it is no lineage"))
        };
        match self.read_well(read) {
            Err(e) if e.is_damage() && !matches!(e, CheckpointError::Corrupt { .. }) => {
                let made = self.life[..8].to_owned();
                match self.place.put(LINEAGE, made.clone().into_bytes(), true) {
                    Err(CheckpointError::Taken { .. }) => read(),
                    put => put.map(|()| made),
                }
            }
            read => read,
        }
    }

    /// Gives the job a new lineage: it begins without its state, and what it wrote before is not its own any more.
    ///
    /// # Errors
    /// The place cannot be written.
    pub fn renew_lineage(&self) -> Result<String, CheckpointError> {
        let made = self.life[..8].to_owned();
        self.place.put(LINEAGE, made.clone().into_bytes(), false).map(|()| made)
    }

    /// Gives the job this lineage.
    ///
    /// # Errors
    /// The place cannot be written.
    pub fn set_lineage(&self, lineage: &str) -> Result<(), CheckpointError> {
        self.place.put(LINEAGE, lineage.as_bytes().to_vec(), false)
    }

    /// Where the manifest of a checkpoint is, for people.
    pub fn name_of(&self, id: CheckpointId) -> String {
        self.place.name_of(&manifest_key(id))
    }

    /// All checkpoints, newest first.
    ///
    /// # Errors
    /// The place cannot be listed. A manifest that cannot be read is no error but part of the answer.
    pub fn list(&self) -> Result<Vec<Found>, CheckpointError> {
        Ok(self.ids()?.into_iter().rev().map(|id| Found { id, manifest: self.manifest(id) }).collect())
    }

    fn ids(&self) -> Result<BTreeSet<CheckpointId>, CheckpointError> {
        Ok(self.place.list(CHECKPOINTS)?.iter().filter_map(|(key, _)| id_of_manifest(key)).collect())
    }

    /// A checkpoint that the job has passed over: it goes on from an earlier one, and this one must not come back.
    ///
    /// # Errors
    /// It cannot be deleted.
    pub fn abandon(&self, id: CheckpointId) -> Result<(), CheckpointError> {
        self.place.delete_durably(&manifest_key(id))
    }

    /// The manifest of a checkpoint.
    ///
    /// # Errors
    /// It is not there, damaged or of another version.
    pub fn manifest(&self, id: CheckpointId) -> Result<Manifest, CheckpointError> {
        let key = manifest_key(id);
        self.read_well(|| {
            let manifest = Manifest::decode(&self.place.name_of(&key), &self.place.get(&key)?)?;
            match manifest.id == id {
                true => Ok(manifest),
                false => Err(CheckpointError::corrupt(self.place.name_of(&key), "it is that of another checkpoint")),
            }
        })
    }

    /// What is read over a network may have been spoilt on its way: it is read again before it is taken for damaged.
    fn read_well<T>(&self, mut read: impl FnMut() -> Result<T, CheckpointError>) -> Result<T, CheckpointError> {
        let tries = if self.place.directory().is_none() { READS } else { 1 };
        let mut result = read();
        for _ in 1..tries {
            if !matches!(result, Err(CheckpointError::Corrupt { .. })) {
                break;
            }
            result = read();
        }
        result
    }

    /// Makes a checkpoint durable. Shared files that `base` (the last checkpoint of the same live state) names are
    /// referred to and not written again. Returns the manifest and the bytes that were written.
    ///
    /// # Errors
    /// Something cannot be read or written: then there is no checkpoint, and it can be tried again under another number.
    /// [`CheckpointError::Taken`]: another process has made a checkpoint of this number.
    pub fn keep(
        &self,
        draft: Draft,
        lineage: &str,
        base: Option<&Manifest>,
    ) -> Result<(Manifest, u64), CheckpointError> {
        let mut shards = Vec::with_capacity(draft.shards.len());
        let mut new_bytes = 0;
        for (shard, picture) in draft.shards.iter().enumerate() {
            let known = base.and_then(|b| b.shards.get(shard)).filter(|s| s.backend == picture.backend);
            let (state, bytes) = self.keep_shard(draft.id, shard, picture, known)?;
            new_bytes += bytes;
            shards.push(state);
        }
        let key = manifest_key(draft.id);
        let manifest = draft.manifest(&self.job, lineage, shards);
        let encoded =
            manifest.encode().map_err(|e| CheckpointError::corrupt(self.place.name_of(&key), e.to_string()))?;
        new_bytes += encoded.len() as u64;
        self.place.put(&key, encoded, true)?;
        // Of a number that was free again because newer ones have taken its place.
        match self.ids()?.last() {
            Some(newest) if *newest > manifest.id => Err(CheckpointError::Taken { path: self.name_of(*newest) }),
            _ => Ok((manifest, new_bytes)),
        }
    }

    fn keep_shard(
        &self,
        id: CheckpointId,
        shard: usize,
        picture: &ShardPicture,
        known: Option<&ShardState>,
    ) -> Result<(ShardState, u64), CheckpointError> {
        let known: BTreeMap<&str, &KeptFile> =
            known.into_iter().flat_map(|s| &s.files).filter(|f| f.is_shared).map(|f| (f.name.as_str(), f)).collect();
        let (mut files, mut paths, mut new): (Vec<KeptFile>, Vec<PathBuf>, Vec<usize>) = Default::default();
        for file in &picture.files {
            if let Some(kept) =
                known.get(file.name.as_str()).filter(|k| file.is_shared && k.size_bytes == file.size_bytes)
            {
                files.push((*kept).clone());
                continue;
            }
            let path = picture.directory.join(&file.name);
            let (size_bytes, xxh3) = match file.xxh3 {
                Some(xxh3) => (checked_size(&path, file.size_bytes)?, xxh3),
                None => hash_file(&path)?,
            };
            let key = match file.is_shared {
                true => format!("{SHARED}/{}-{id}-{shard}-{}", self.life, file.name),
                false => format!("{}/{shard}-{}/{}", directory_of(id), self.life, file.name),
            };
            new.push(files.len());
            paths.push(path);
            files.push(KeptFile { name: file.name.clone(), key, size_bytes, xxh3, is_shared: file.is_shared });
        }
        let transfers: Vec<Transfer<'_>> = new
            .iter()
            .zip(&paths)
            .map(|(at, path)| Transfer { key: files[*at].key.clone(), path, may_link: files[*at].is_shared })
            .collect();
        self.place.put_files(&transfers)?;
        let bytes = new.iter().map(|at| files[*at].size_bytes).sum();
        Ok((ShardState { backend: picture.backend.clone(), files }, bytes))
    }

    /// Checks that every file of a checkpoint is what was written: size and checksum. Returns what is not.
    ///
    /// # Errors
    /// The place cannot be reached.
    pub fn verify(&self, manifest: &Manifest, scratch: &Path) -> Result<Vec<CheckpointError>, CheckpointError> {
        let mut faults = Vec::new();
        for file in manifest.files() {
            let checked = self.bring(file, &scratch.join("file"), true).map(drop);
            match checked {
                Ok(()) => {}
                Err(e) if e.is_damage() => faults.push(e),
                Err(e) => return Err(e),
            }
            remove(&scratch.join("file"))?;
        }
        Ok(faults)
    }

    /// Brings the state of one shard into an empty directory, checked; files that are linked only as far as together they have no
    /// more than `linked_bytes_max`. Returns the others, of which the sizes alone were looked at.
    ///
    /// # Errors
    /// Missing and damaged files ([`CheckpointError::is_damage`]), or the place cannot be reached.
    pub fn fetch(
        &self,
        manifest: &Manifest,
        shard: usize,
        into: &Path,
        linked_bytes_max: u64,
    ) -> Result<Vec<Unchecked>, CheckpointError> {
        let mut unchecked = Vec::new();
        let mut left_bytes = linked_bytes_max;
        for file in manifest.shards.get(shard).into_iter().flat_map(|s| &s.files) {
            let to = into.join(&file.name);
            let later = Unchecked { path: to, name: self.place.name_of(&file.key), file: file.clone() };
            let (is_linked, is_checked) = self.read_well(|| {
                let is_linked = self.place.fetch(&file.key, &later.path, file.is_shared)?;
                let is_checked = !is_linked || file.size_bytes <= left_bytes;
                if is_checked {
                    later.check()?
                } else {
                    later.check_size()?
                }
                Ok((is_linked, is_checked))
            })?;
            if !is_checked {
                unchecked.push(later);
            } else if is_linked {
                left_bytes -= file.size_bytes;
            }
        }
        Ok(unchecked)
    }

    fn bring(&self, file: &KeptFile, to: &Path, may_link: bool) -> Result<(), CheckpointError> {
        self.read_well(|| bring(&self.place, file, to, may_link))
    }

    /// Deletes checkpoints (not savepoints) but for the `retained` newest, and files that nothing refers to.
    ///
    /// # Errors
    /// The place cannot be listed, or a file cannot be deleted: the rest is left for the next time.
    pub fn sweep(&self, retained: usize) -> Result<Swept, CheckpointError> {
        let found = self.list()?;
        // Of a manifest that cannot be read it is not known what it names: nothing that it might name is deleted.
        let all_known = found.iter().all(|f| f.manifest.is_ok());
        // What belongs to later ones may be on its way, from another process too.
        let newest = found.first().map_or(CheckpointId(0), |f| f.id);
        let mut kept = Vec::new();
        let mut checkpoints = 0;
        let mut swept = Swept::default();
        for Found { id, manifest } in found {
            let stays = match &manifest {
                Ok(manifest) if manifest.kind == Kind::Checkpoint => {
                    checkpoints += 1;
                    checkpoints <= retained.max(1)
                }
                _ => true,
            };
            if stays {
                kept.extend(manifest);
            } else {
                self.place.delete(&manifest_key(id))?;
            }
        }
        let named: BTreeSet<&str> = kept.iter().flat_map(Manifest::keys).collect();
        let manifests: BTreeSet<String> = kept.iter().map(|m| directory_of(m.id)).collect();
        let own = self.place.list(CHECKPOINTS)?.into_iter().filter(|(key, _)| {
            let directory = key.rsplit_once('/').map_or("", |(d, _)| d);
            let checkpoint = directory.split('/').take(2).collect::<Vec<_>>().join("/");
            id_of_manifest(key).is_none()
                && !named.contains(key.as_str())
                && id_of_own(key).is_some_and(|id| id <= newest)
                && (all_known || manifests.contains(&checkpoint))
        });
        let shared = if all_known { self.place.list(SHARED)? } else { Vec::new() };
        let shared = shared
            .into_iter()
            .filter(|(key, _)| !named.contains(key.as_str()) && id_of_shared(key).is_some_and(|id| id <= newest));
        for (key, bytes) in own.chain(shared) {
            self.place.delete(&key)?;
            swept.files += 1;
            swept.bytes += bytes;
        }
        Ok(swept)
    }

    /// The last attempts of all processes that worked at this job, oldest first.
    ///
    /// # Errors
    /// The place cannot be read. History that was never written is empty.
    pub fn history(&self) -> Result<Vec<Attempt>, CheckpointError> {
        match self.place.get(HISTORY) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|e| CheckpointError::corrupt(self.place.name_of(HISTORY), e.to_string())),
            Err(e) if e.is_damage() => Ok(Vec::new()),
            Err(e) => Err(e),
        }
    }

    /// Remembers an attempt. Of no consequence for anything but what people are shown.
    ///
    /// # Errors
    /// The place cannot be written.
    pub fn remember(&mut self, attempt: Attempt) -> Result<(), CheckpointError> {
        if self.attempts.is_empty() {
            self.attempts = match self.history() {
                Err(e) if e.is_damage() => Vec::new(),
                history => history?,
            };
        }
        self.attempts.push(attempt);
        let from = self.attempts.len().saturating_sub(ATTEMPTS_MAX);
        self.attempts.drain(..from);
        let encoded = serde_json::to_vec_pretty(&self.attempts)
            .map_err(|e| CheckpointError::corrupt(self.place.name_of(HISTORY), e.to_string()))?;
        self.place.put(HISTORY, encoded, false)
    }
}

fn directory_of(id: CheckpointId) -> String {
    format!("{CHECKPOINTS}/{:010}", id.0)
}

fn manifest_key(id: CheckpointId) -> String {
    format!("{}/{MANIFEST}", directory_of(id))
}

fn id_of_manifest(key: &str) -> Option<CheckpointId> {
    let number = key.strip_prefix(CHECKPOINTS)?.strip_prefix('/')?.strip_suffix(MANIFEST)?.strip_suffix('/')?;
    number.parse().ok().map(CheckpointId)
}

/// The checkpoint to which a file belongs alone.
fn id_of_own(key: &str) -> Option<CheckpointId> {
    key.strip_prefix(CHECKPOINTS)?.strip_prefix('/')?.split('/').next()?.parse().ok().map(CheckpointId)
}

/// The checkpoint for which a shared file was written.
fn id_of_shared(key: &str) -> Option<CheckpointId> {
    key.strip_prefix(SHARED)?.strip_prefix('/')?.split('-').nth(1)?.parse().ok().map(CheckpointId)
}

/// A job's name as a file name: what is not a letter, digit, `-`, `_` or `.` within becomes `%xx`.
fn file_name(job: &str) -> String {
    let plain = |at: usize, b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b) || (b == b'.' && at > 0);
    let encode = |(at, b): (usize, u8)| if plain(at, b) { (b as char).to_string() } else { format!("%{b:02x}") };
    job.bytes().enumerate().map(encode).collect()
}

/// Brings a file of a checkpoint from its place, checked.
pub(crate) fn bring(place: &Place, file: &KeptFile, to: &Path, may_link: bool) -> Result<(), CheckpointError> {
    place.fetch(&file.key, to, may_link)?;
    Unchecked { path: to.into(), name: place.name_of(&file.key), file: file.clone() }.check()
}

/// The size of a file, which must be what was written.
fn checked_size(path: &Path, written_bytes: u64) -> Result<u64, CheckpointError> {
    let size_bytes = std::fs::metadata(path).map_err(|e| CheckpointError::io(path, e))?.len();
    match size_bytes == written_bytes {
        true => Ok(size_bytes),
        false => {
            let message = format!("it has {size_bytes} bytes, and {written_bytes} were written");
            Err(CheckpointError::corrupt(path.display().to_string(), message))
        }
    }
}

/// Size and hash of a file's content.
pub(crate) fn hash_file(path: &Path) -> Result<(u64, u64), CheckpointError> {
    let fault = |e: io::Error| CheckpointError::io(path, e);
    let mut file = File::open(path).map_err(fault)?;
    let (mut hash, mut size_bytes, mut piece) = (Xxh3Default::new(), 0, vec![0; 1 << 20]);
    loop {
        let count = file.read(&mut piece).map_err(fault)?;
        if count == 0 {
            return Ok((size_bytes, hash.digest()));
        }
        hash.update(&piece[..count]);
        size_bytes += count as u64;
    }
}

fn remove(path: &Path) -> Result<(), CheckpointError> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(CheckpointError::io(path, e)),
        _ => Ok(()),
    }
}
