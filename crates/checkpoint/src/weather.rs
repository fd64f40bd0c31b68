//! Weather for checkpoints, for tests: an object store and a file system that refuse, lose answers, are slow, write or read half, and spoil
//! what they hold, as chance has it.

use crate::{Call, Witness};
use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What may happen to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Nothing is done.
    Refused,
    /// It is done, and the answer does not arrive.
    Lost,
    /// Half of it is done.
    Half,
    /// It takes minutes.
    Slow,
}

/// Draws faults.
pub struct Weather {
    /// Lets time pass.
    wait: Box<dyn Fn(Duration) + Send + Sync>,
    drawn: Mutex<Drawn>,
}

struct Drawn {
    random: StdRng,
    chance: f64,
    met: BTreeMap<Fault, usize>,
}

impl Weather {
    /// A fault in this part of all calls.
    pub fn new(seed: u64, chance: f64, wait: impl Fn(Duration) + Send + Sync + 'static) -> Arc<Self> {
        let drawn = Drawn { random: StdRng::seed_from_u64(seed), chance, met: BTreeMap::new() };
        Arc::new(Self { wait: Box::new(wait), drawn: Mutex::new(drawn) })
    }

    /// No more faults.
    pub fn clear_up(&self) {
        locked(&self.drawn).chance = 0.0;
    }

    /// Faults so far, by kind.
    pub fn met(&self) -> BTreeMap<Fault, usize> {
        locked(&self.drawn).met.clone()
    }

    fn draw(&self, of: &[Fault]) -> Option<Fault> {
        let mut drawn = locked(&self.drawn);
        let chance = drawn.chance;
        if !drawn.random.random_bool(chance) {
            return None;
        }
        let fault = *of.choose(&mut drawn.random)?;
        *drawn.met.entry(fault).or_default() += 1;
        if fault == Fault::Slow {
            let minutes = drawn.random.random_range(1..20);
            drop(drawn);
            (self.wait)(Duration::from_secs(60 * minutes));
        }
        Some(fault)
    }

    fn choose<'a, T>(&self, of: &'a [T]) -> Option<&'a T> {
        of.choose(&mut locked(&self.drawn).random)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn trouble(what: &str, key: &Key) -> Error {
    Error::Generic { store: "stormy", source: format!("{what} /{key}: 503 Slow Down").into() }
}

/// An object store in memory, out in the weather.
#[derive(Clone)]
pub struct StormyStore {
    inner: Arc<InMemory>,
    weather: Arc<Weather>,
}

impl StormyStore {
    /// An empty one.
    pub fn new(weather: &Arc<Weather>) -> Self {
        Self { inner: Arc::default(), weather: weather.clone() }
    }

    /// Spoils a file that belongs to the newest checkpoint alone. False when there is none behind it that is whole.
    ///
    /// # Errors
    /// None, as it is in memory.
    pub async fn spoil(&self, spoilt: &mut BTreeSet<String>) -> Result<bool> {
        let all: Vec<Key> = self.inner.list(None).map_ok(|m| m.location).try_collect().await?;
        let names: Vec<&str> = all.iter().map(Key::as_ref).collect();
        let Some(victims) = files_of_the_newest(&names, spoilt) else { return Ok(false) };
        let Some(victim) = self.weather.choose(&victims).map(|v| Key::from(*v)) else { return Ok(false) };
        let content = self.inner.get(&victim).await?.bytes().await?;
        match self.weather.choose(&[0, 1, 2]) {
            Some(0) => self.inner.delete(&victim).await?,
            how => {
                let content = damaged(&content, how == Some(&1));
                self.inner.put(&victim, content.into()).await.map(drop)?;
            }
        }
        Ok(true)
    }
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

impl fmt::Display for StormyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stormy")
    }
}

impl fmt::Debug for StormyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stormy")
    }
}

#[async_trait]
impl ObjectStore for StormyStore {
    async fn put_opts(&self, key: &Key, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        match self.weather.draw(&[Fault::Refused, Fault::Lost, Fault::Half, Fault::Slow]) {
            Some(Fault::Refused) => Err(trouble("PUT", key)),
            Some(Fault::Lost) => {
                self.inner.put_opts(key, payload, options).await?;
                Err(trouble("PUT", key))
            }
            Some(Fault::Half) if options.mode == PutMode::Overwrite => {
                let content: Vec<u8> = payload.into_iter().flatten().collect();
                self.inner.put_opts(key, content[..content.len() / 2].to_vec().into(), options).await?;
                Err(trouble("PUT", key))
            }
            _ => self.inner.put_opts(key, payload, options).await,
        }
    }

    async fn put_multipart_opts(&self, key: &Key, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(key, options).await
    }

    async fn get_opts(&self, key: &Key, options: GetOptions) -> Result<GetResult> {
        let fault = self.weather.draw(&[Fault::Refused, Fault::Half, Fault::Lost, Fault::Slow]);
        if fault == Some(Fault::Refused) {
            return Err(trouble("GET", key));
        }
        let got = self.inner.get_opts(key, options).await?;
        let (meta, range, attributes) = (got.meta.clone(), got.range.clone(), got.attributes.clone());
        let content = got.bytes().await?;
        let half = content.slice(..content.len() / 2);
        let pieces = match fault {
            // The line breaks; or it seems to be at its end.
            Some(Fault::Half) => vec![Ok(half), Err(trouble("GET", key))],
            Some(Fault::Lost) => vec![Ok(half)],
            _ => vec![Ok(content)],
        };
        Ok(GetResult { payload: GetResultPayload::Stream(stream::iter(pieces).boxed()), meta, range, attributes })
    }

    fn delete_stream(&self, keys: BoxStream<'static, Result<Key>>) -> BoxStream<'static, Result<Key>> {
        let (weather, inner) = (self.weather.clone(), self.inner.clone());
        keys.then(move |key| {
            let (weather, inner) = (weather.clone(), inner.clone());
            async move {
                let key = key?;
                match weather.draw(&[Fault::Refused, Fault::Lost, Fault::Slow]) {
                    Some(Fault::Refused) => Err(trouble("DELETE", &key)),
                    Some(Fault::Lost) => inner.delete(&key).await.and(Err(trouble("DELETE", &key))),
                    _ => inner.delete(&key).await.map(|()| key),
                }
            }
        })
        .boxed()
    }

    fn list(&self, prefix: Option<&Key>) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = prefix.cloned().unwrap_or_default();
        let fault = self.weather.draw(&[Fault::Refused, Fault::Half, Fault::Slow]);
        let listed = self.inner.list(Some(&prefix));
        match fault {
            Some(Fault::Refused) => stream::iter([Err(trouble("LIST", &prefix))]).boxed(),
            Some(Fault::Half) => listed.take(1).chain(stream::iter([Err(trouble("LIST", &prefix))])).boxed(),
            _ => listed,
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Key>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Key, to: &Key, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
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

    /// As [`StormyStore::spoil`].
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
