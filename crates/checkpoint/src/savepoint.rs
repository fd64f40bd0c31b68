//! A savepoint: the state of a job at one of its epochs, as a person asked for it.
//!
//! ```text
//! <place>/manifest             what it is made of; written last
//! <place>/state/0.entries      the state of shard 0: an entries file
//! ```
//! It depends on nothing outside its place, and may be moved or copied as a whole. Its manifest is that of a checkpoint. No output waits in
//! it to be committed: who makes it sees to that before. docs/savepoints.md has all bytes.

use crate::disk::Disk;
use crate::place::{Place, Transfer};
use crate::store::{bring, hash_file};
use crate::{CheckpointError, Draft, KeptFile, Manifest, ShardState};
use std::path::{Path, PathBuf};

const MANIFEST: &str = "manifest";
const STATE: &str = "state";
/// What a manifest calls state in entries files, which is no backend's own.
pub const ENTRIES: &str = "entries";

/// A place that holds a savepoint, or is to hold one.
#[derive(Clone)]
pub struct Savepoint {
    place: Place,
}

impl Savepoint {
    /// That at a place; nothing is read or written yet.
    pub fn at(place: &Place) -> Self {
        Self { place: place.clone() }
    }

    /// Its place, for people.
    pub fn name(&self) -> String {
        self.place.name_of("").trim_end_matches('/').to_owned()
    }

    /// Is there one?
    ///
    /// # Errors
    /// The place cannot be reached.
    pub fn is_there(&self) -> Result<bool, CheckpointError> {
        match self.place.get(MANIFEST) {
            Ok(_) => Ok(true),
            Err(e) if e.is_damage() => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Its manifest.
    ///
    /// # Errors
    /// [`CheckpointError::NoSavepoint`]; it is damaged, or of another version; the place cannot be reached.
    pub fn manifest(&self) -> Result<Manifest, CheckpointError> {
        let bytes = self.place.get(MANIFEST).map_err(|e| match e.is_damage() {
            true => CheckpointError::NoSavepoint { path: self.name() },
            false => e,
        })?;
        Manifest::decode(&self.place.name_of(MANIFEST), &bytes)
    }

    /// Checks that a savepoint can be made here: there is none, and the place can be written.
    ///
    /// # Errors
    /// [`CheckpointError::SavepointThere`], or the place cannot be written.
    pub fn prepare(&self) -> Result<(), CheckpointError> {
        if self.is_there()? {
            return Err(CheckpointError::SavepointThere { path: self.place.name_of(MANIFEST) });
        }
        let probe = "manifest.probe";
        self.place.put(probe, Vec::new(), false)?;
        self.place.delete(probe)
    }

    /// Begins to write. Files on their way to an object store are in `scratch`, a directory that is there.
    pub fn write<'a>(&'a self, scratch: &'a Path) -> SavepointWriter<'a> {
        SavepointWriter { place: &self.place, scratch, shards: Vec::new() }
    }

    /// A file on this machine that holds the state of a shard; fetched into `scratch`, a directory that is there, if it has to be.
    /// Entries files check their content when they are read, so only the size is checked here.
    ///
    /// # Errors
    /// It is missing or damaged ([`CheckpointError::is_damage`]), or the place cannot be reached.
    pub fn file(&self, manifest: &Manifest, shard: usize, scratch: &Path) -> Result<PathBuf, CheckpointError> {
        let name = || self.place.name_of(&format!("{STATE}/{shard}"));
        let [file] = manifest.shards.get(shard).map_or(&[][..], |s| &s.files) else {
            return Err(CheckpointError::corrupt(name(), "the manifest names no file of this shard"));
        };
        let Some(directory) = self.place.directory() else {
            let path = scratch.join(format!("{shard}.entries"));
            return bring(&self.place, file, &path, false).map(|()| path);
        };
        let path = directory.join(&file.key);
        let size_bytes = std::fs::metadata(&path).map_err(|e| CheckpointError::io(&path, e))?.len();
        match size_bytes == file.size_bytes {
            true => Ok(path),
            false => {
                let message = format!("it has {size_bytes} bytes instead of {}", file.size_bytes);
                Err(CheckpointError::corrupt(path.display().to_string(), message))
            }
        }
    }

    /// Checks that every file is what was written: size and checksum. Returns what is not.
    ///
    /// # Errors
    /// The place cannot be reached.
    pub fn verify(&self, manifest: &Manifest, scratch: &Path) -> Result<Vec<CheckpointError>, CheckpointError> {
        let mut faults = Vec::new();
        for file in manifest.files() {
            let to = scratch.join("file");
            let brought = bring(&self.place, file, &to, false);
            // It may not have come so far.
            let _ = std::fs::remove_file(&to);
            match brought {
                Ok(()) => {}
                Err(e) if e.is_damage() => faults.push(e),
                Err(e) => return Err(e),
            }
        }
        Ok(faults)
    }
}

/// Writes a savepoint: shards in their order, then the manifest.
pub struct SavepointWriter<'a> {
    place: &'a Place,
    scratch: &'a Path,
    shards: Vec<ShardState>,
}

impl SavepointWriter<'_> {
    /// The state of the next shard: `write` writes it as an entries file to the path that it is given, durably.
    ///
    /// # Errors
    /// What `write` returns, or the file cannot be brought to its place.
    pub fn shard<E: From<CheckpointError>>(&mut self, write: impl FnOnce(&Path) -> Result<(), E>) -> Result<(), E> {
        let shard = self.shards.len();
        let key = format!("{STATE}/{shard}.entries");
        let local = self.place.directory().map(|directory| directory.join(&key));
        let path = local.clone().unwrap_or_else(|| self.scratch.join(format!("{shard}.entries")));
        if let Some(parent) = path.parent() {
            Disk::default().make_directories(parent)?;
        }
        write(&path)?;
        let (size_bytes, xxh3) = hash_file(&path)?;
        if local.is_none() {
            self.place.put_files(&[Transfer { key: key.clone(), path: &path, may_link: false }])?;
            std::fs::remove_file(&path).map_err(|e| CheckpointError::io(&path, e))?;
        }
        let file = KeptFile { name: format!("{shard}.entries"), key, size_bytes, xxh3, is_shared: false };
        self.shards.push(ShardState { backend: ENTRIES.into(), files: vec![file] });
        Ok(())
    }

    /// Writes the manifest: then the savepoint is there. The shards of `draft` are those that were written here.
    ///
    /// # Errors
    /// [`CheckpointError::SavepointThere`], or the place cannot be written.
    pub fn finish(self, draft: Draft, job: &str, lineage: &str) -> Result<Manifest, CheckpointError> {
        if let Some(directory) = self.place.directory() {
            Disk::default().sync_directory(&directory.join(STATE))?;
        }
        let manifest = draft.manifest(job, lineage, self.shards);
        let name = self.place.name_of(MANIFEST);
        let encoded = manifest.encode().map_err(|e| CheckpointError::corrupt(&name, e.to_string()))?;
        match self.place.put(MANIFEST, encoded, true) {
            Err(CheckpointError::Taken { path }) => Err(CheckpointError::SavepointThere { path }),
            put => put.map(|()| manifest),
        }
    }
}
