//! Weather for checkpoints, for tests: an object store and a file system that refuse, lose answers, are slow, write or read half, and spoil
//! what they hold, as chance has it.

use crate::{Call, Witness};
pub use eddyline_stores::weather::{Fault, StormyStore, Weather};
use futures::TryStreamExt;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, Result};
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Spoils a file that belongs to the newest checkpoint in `store` alone. False when there is none behind it that is whole.
///
/// # Errors
/// None, as it is in memory.
pub async fn spoil(store: &StormyStore, spoilt: &mut BTreeSet<String>) -> Result<bool> {
    let (calm, weather) = (store.calm(), store.weather());
    let all: Vec<Key> = calm.list(None).map_ok(|m| m.location).try_collect().await?;
    let names: Vec<&str> = all.iter().map(Key::as_ref).collect();
    let Some(victims) = files_of_the_newest(&names, spoilt) else { return Ok(false) };
    let Some(victim) = weather.choose(&victims).map(|v| Key::from(*v)) else { return Ok(false) };
    let content = calm.get(&victim).await?.bytes().await?;
    match weather.choose(&[0, 1, 2]) {
        Some(0) => calm.delete(&victim).await?,
        how => {
            let content = damaged(&content, how == Some(&1));
            calm.put(&victim, content.into()).await.map(drop)?;
        }
    }
    Ok(true)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Half of a file, or all of it with a bit that is another.
fn damaged(content: &[u8], is_cut: bool) -> Vec<u8> {
    let mut content = content.to_vec();
    let middle = content.len() / 2;
    match content.get_mut(middle) {
        Some(byte) if !is_cut => *byte ^= 16,
        _ => content.truncate(middle),
    }
    content
}

/// Files in `…/checkpoints/<the newest>/`, with its manifest, when neither it nor the one before was spoilt already.
fn files_of_the_newest<'a>(names: &[&'a str], spoilt: &mut BTreeSet<String>) -> Option<Vec<&'a str>> {
    let manifests = names.iter().filter_map(|n| n.strip_suffix("/manifest"));
    let mut checkpoints: Vec<&str> = manifests.filter(|n| n.contains("/checkpoints/")).collect();
    checkpoints.sort_unstable();
    let [.., before, newest] = checkpoints.as_slice() else { return None };
    if spoilt.contains(*before) || !spoilt.insert((*newest).to_owned()) {
        return None;
    }
    Some(names.iter().filter(|n| n.starts_with(*newest)).copied().collect())
}

/// A directory, out in the weather: a full disk, syncs that fail; and what was not synced is gone when the power fails.
pub struct StormyDisk {
    root: PathBuf,
    weather: Arc<Weather>,
    cache: Mutex<Cache>,
}

/// What the disk does not hold yet.
#[derive(Default)]
struct Cache {
    /// Files (by inode) whose content was synced.
    synced: BTreeSet<u64>,
    /// Names whose directory was not.
    names: BTreeSet<PathBuf>,
}

impl StormyDisk {
    /// The directory `root`.
    pub fn new(root: &Path, weather: &Arc<Weather>) -> Arc<Self> {
        Arc::new(Self { root: root.to_owned(), weather: weather.clone(), cache: Mutex::default() })
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Some of what was never synced is lost.
    ///
    /// # Errors
    /// The disk below fails by itself.
    pub fn power_failure(&self) -> io::Result<()> {
        for name in std::mem::take(&mut locked(&self.cache).names) {
            if name.starts_with(&self.root) && self.weather.choose(&[true, false]) == Some(&true) {
                let lost = if name.is_dir() { fs::remove_dir_all(&name) } else { fs::remove_file(&name) };
                // It was removed meanwhile.
                lost.or_else(|e| if e.kind() == ErrorKind::NotFound { Ok(()) } else { Err(e) })?;
            }
        }
        let synced = std::mem::take(&mut locked(&self.cache).synced);
        for path in files_below(&self.root)? {
            let inode = fs::metadata(&path)?.ino();
            if !synced.contains(&inode) && self.weather.choose(&[true, false]) == Some(&true) {
                let file = fs::OpenOptions::new().write(true).open(&path)?;
                file.set_len(file.metadata()?.len() / 2)?;
            } else {
                locked(&self.cache).synced.insert(inode);
            }
        }
        Ok(())
    }

    /// As [`spoil`].
    ///
    /// # Errors
    /// The disk below fails by itself.
    pub fn spoil(&self, spoilt: &mut BTreeSet<String>) -> io::Result<bool> {
        let files: Vec<String> = files_below(&self.root)?.iter().map(|p| p.display().to_string()).collect();
        let names: Vec<&str> = files.iter().map(String::as_str).collect();
        let Some(victims) = files_of_the_newest(&names, spoilt) else { return Ok(false) };
        let Some(victim) = self.weather.choose(&victims) else { return Ok(false) };
        let content = damaged(&fs::read(victim)?, self.weather.choose(&[true, false]) == Some(&true));
        // Not in place: links of the file elsewhere stay as they are.
        fs::remove_file(victim)?;
        if self.weather.choose(&[0, 1, 2]) != Some(&0) {
            fs::write(victim, content)?;
            locked(&self.cache).synced.insert(fs::metadata(victim)?.ino());
        }
        Ok(true)
    }
}

fn files_below(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(directory) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(found),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() { found.extend(files_below(&path)?) } else { found.push(path) }
    }
    found.sort();
    Ok(found)
}

impl Witness for StormyDisk {
    fn before(&self, call: Call, _path: &Path) -> io::Result<()> {
        if self.weather.draw(&[Fault::Refused]).is_none() {
            return Ok(());
        }
        Err(match call {
            Call::Create | Call::Write | Call::Link | Call::Rename | Call::MakeDirectory => {
                ErrorKind::StorageFull.into()
            }
            Call::Read | Call::List | Call::Sync | Call::Remove | Call::SyncDirectory => {
                io::Error::other("input/output error")
            }
        })
    }

    fn after(&self, call: Call, path: &Path) {
        let mut cache = locked(&self.cache);
        let inode = fs::metadata(path).map(|m| m.ino());
        match (call, inode) {
            (Call::Create | Call::Write, Ok(inode)) => {
                cache.synced.remove(&inode);
                if call == Call::Create {
                    cache.names.insert(path.to_owned());
                }
            }
            (Call::Sync, Ok(inode)) => drop(cache.synced.insert(inode)),
            (Call::Link | Call::MakeDirectory, _) => drop(cache.names.insert(path.to_owned())),
            (Call::SyncDirectory, _) => cache.names.retain(|name| name.parent() != Some(path)),
            _ => {}
        }
    }
}
