//! Where checkpoints are kept: a local directory, or an object store. All calls block; none is made on a shard's thread.
//!
//! In a directory, files are hard links where that is possible (state files never change), and what must be durable is
//! synced: each file, then the directories that name it, then what refers to it (see [`crate::disk`]).

use crate::CheckpointError;
use crate::disk::{Disk, Witness};
use bytes::Bytes;
use eddyline_stores::{Located, LocationError, Objects, Stores};
use futures::{StreamExt, TryStreamExt};
use object_store::buffered::BufWriter;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Handle;

/// Files that are on their way to or from an object store at the same time.
const TRANSFERS: usize = 4;
/// Bytes that are read from a file at a time on their way to an object store.
const TRANSFER_BYTES: usize = 1 << 20;

/// A directory, or a prefix of an object store. Clones mean the same.
#[derive(Clone)]
pub struct Place(Inner);

#[derive(Clone)]
enum Inner {
    Local { root: PathBuf, disk: Disk },
    Remote { store: Arc<dyn ObjectStore>, root: Key, tokio: Handle },
}

/// A file on its way into a place.
pub(crate) struct Transfer<'a> {
    pub(crate) key: String,
    pub(crate) path: &'a Path,
    /// The file never changes: a link will do.
    pub(crate) may_link: bool,
}

impl Place {
    /// What a path or URL means: `file:///…` and plain paths, `s3://`, `gs://`, `az://`, `abfss://` and so on, with
    /// credentials and the like from `environment` (`AWS_ACCESS_KEY_ID`, `GOOGLE_SERVICE_ACCOUNT`, `AZURE_STORAGE_ACCOUNT_NAME`, …).
    ///
    /// # Errors
    /// [`CheckpointError::Location`].
    pub fn parse(
        location: &str,
        environment: impl Iterator<Item = (String, String)>,
        tokio: &Handle,
    ) -> Result<Self, CheckpointError> {
        let wrong = |e: LocationError| CheckpointError::Location { location: location.into(), message: e.to_string() };
        Ok(match Stores::new(environment).open(location).map_err(wrong)? {
            Located::Directory(path) => Self::local(path),
            Located::Objects(Objects { store, root }) => Self(Inner::Remote { store, root, tokio: tokio.clone() }),
        })
    }

    /// A local directory, which need not be there yet.
    pub fn local(root: PathBuf) -> Self {
        Self(Inner::Local { root, disk: Disk::default() })
    }

    /// A local directory, for tests: `witness` sees what is done in it.
    pub fn local_seen_by(root: PathBuf, witness: Arc<dyn Witness>) -> Self {
        Self(Inner::Local { root, disk: Disk::seen_by(witness) })
    }

    /// An object store.
    pub fn remote(store: Arc<dyn ObjectStore>, tokio: &Handle) -> Self {
        Self(Inner::Remote { store, root: Key::default(), tokio: tokio.clone() })
    }

    /// An object store in memory, for tests.
    pub fn memory(tokio: &Handle) -> Self {
        Self::remote(Arc::new(object_store::memory::InMemory::new()), tokio)
    }

    /// The directory, when it is one.
    pub fn directory(&self) -> Option<&Path> {
        match &self.0 {
            Inner::Local { root, .. } => Some(root),
            Inner::Remote { .. } => None,
        }
    }

    /// The directories right within, as file names.
    pub(crate) fn directories(&self) -> Result<Vec<String>, CheckpointError> {
        let mut names = match &self.0 {
            Inner::Local { root, disk } => disk.directories(root)?,
            Inner::Remote { store, root, tokio } => {
                let listed = tokio.block_on(store.list_with_delimiter(Some(root))).map_err(|e| self.fault("", e))?;
                // Stores have `%` as `%25`.
                listed.common_prefixes.iter().filter_map(|p| p.filename().and_then(percent_decoded)).collect()
            }
        };
        names.sort();
        Ok(names)
    }

    /// A place within.
    pub(crate) fn child(&self, name: &str) -> Self {
        Self(match &self.0 {
            Inner::Local { root, disk } => Inner::Local { root: root.join(name), disk: disk.clone() },
            Inner::Remote { store, root, tokio } => {
                Inner::Remote { store: store.clone(), root: below(root, name), tokio: tokio.clone() }
            }
        })
    }

    /// The full name of `key`, for errors and people.
    pub(crate) fn name_of(&self, key: &str) -> String {
        match &self.0 {
            Inner::Local { root, .. } => root.join(key).display().to_string(),
            Inner::Remote { store, root, .. } => format!("{store}/{}", below(root, key)),
        }
    }

    /// Writes `content`: it is there whole or not at all, and durable. If `fresh`, nothing may be there yet but the same.
    pub(crate) fn put(&self, key: &str, content: Vec<u8>, fresh: bool) -> Result<(), CheckpointError> {
        match &self.0 {
            Inner::Local { root, disk } => match disk.put(&root.join(key), &content, fresh) {
                Err(taken @ CheckpointError::Taken { .. }) => self.is_own(key, &content, taken),
                put => put,
            },
            Inner::Remote { store, root, tokio } => {
                let path = below(root, key);
                let mode = if fresh { PutMode::Create } else { PutMode::Overwrite };
                let content = Bytes::from(content);
                let put = store.put_opts(&path, PutPayload::from(content.clone()), PutOptions::from(mode));
                match tokio.block_on(put) {
                    Ok(_) => Ok(()),
                    Err(object_store::Error::AlreadyExists { .. }) => {
                        self.is_own(key, &content, CheckpointError::Taken { path: self.name_of(key) })
                    }
                    Err(error) => Err(self.fault(key, error)),
                }
            }
        }
    }

    /// What stands where a fresh file was to be written may be that file: an earlier try had reached the store, and its answer was lost.
    fn is_own(&self, key: &str, content: &[u8], taken: CheckpointError) -> Result<(), CheckpointError> {
        if self.get(key)?.as_ref() == content { Ok(()) } else { Err(taken) }
    }

    /// Brings files here. They are durable when this returns.
    pub(crate) fn put_files(&self, files: &[Transfer<'_>]) -> Result<(), CheckpointError> {
        match &self.0 {
            Inner::Local { root, disk } => {
                let mut directories: Vec<PathBuf> = Vec::new();
                for file in files {
                    let to = root.join(&file.key);
                    directories.extend(to.parent().map(Path::to_path_buf));
                    disk.copy_durably(file.path, &to, file.may_link)?;
                }
                directories.sort();
                directories.dedup();
                directories.iter().try_for_each(|d| disk.sync_directory(d))
            }
            Inner::Remote { store, root, tokio } => tokio.block_on(async {
                let uploads = files.iter().map(|file| async move {
                    let key = below(root, &file.key);
                    upload(store.clone(), key, file.path).await.map_err(|e| match e {
                        UploadError::Read(e) => CheckpointError::io(file.path, e),
                        UploadError::Store(e) => self.fault(&file.key, e),
                    })
                });
                futures::stream::iter(uploads).buffer_unordered(TRANSFERS).try_collect().await
            }),
        }
    }

    /// Reads the whole of a small file.
    pub(crate) fn get(&self, key: &str) -> Result<Bytes, CheckpointError> {
        match &self.0 {
            Inner::Local { root, disk } => disk.read(&root.join(key)).map(Bytes::from),
            Inner::Remote { store, root, tokio } => {
                let get = async { store.get(&below(root, key)).await?.bytes().await };
                tokio.block_on(get).map_err(|e| self.fault(key, e))
            }
        }
    }

    /// Brings a file from here to `to`. Returns whether it is linked, the same file under another name.
    pub(crate) fn fetch(&self, key: &str, to: &Path, may_link: bool) -> Result<bool, CheckpointError> {
        match &self.0 {
            Inner::Local { root, disk } => disk.copy(&root.join(key), to, may_link),
            Inner::Remote { store, root, tokio } => {
                let mut file = File::create(to).map_err(|e| CheckpointError::io(to, e))?;
                tokio.block_on(async {
                    let got = store.get(&below(root, key)).await.map_err(|e| self.fault(key, e))?;
                    let mut stream = got.into_stream();
                    while let Some(bytes) = stream.try_next().await.map_err(|e| self.fault(key, e))? {
                        file.write_all(&bytes).map_err(|e| CheckpointError::io(to, e))?;
                    }
                    Ok(false)
                })
            }
        }
    }

    /// All files whose key begins with the directory `below`, with their sizes; unordered.
    pub(crate) fn list(&self, directory: &str) -> Result<Vec<(String, u64)>, CheckpointError> {
        match &self.0 {
            Inner::Local { root, disk } => disk.files(root, Path::new(directory)),
            Inner::Remote { store, root, tokio } => {
                let prefix = below(root, directory);
                let listed: Result<Vec<_>, _> = tokio.block_on(store.list(Some(&prefix)).try_collect());
                let listed = listed.map_err(|e| self.fault(directory, e))?;
                let key = |path: &Key| {
                    let parts: Option<Vec<String>> =
                        path.prefix_match(root).map(|parts| parts.map(|p| p.as_ref().to_owned()).collect());
                    parts.map(|p| p.join("/"))
                };
                Ok(listed.into_iter().filter_map(|m| Some((key(&m.location)?, m.size))).collect())
            }
        }
    }

    /// Deletes a file, if it is there.
    pub(crate) fn delete(&self, key: &str) -> Result<(), CheckpointError> {
        match &self.0 {
            Inner::Local { root, disk } => {
                let path = root.join(key);
                disk.remove(&path)?;
                // Directories that are empty now go too; that others are not is no fault.
                let above = path.ancestors().skip(1).take_while(|d| d != root);
                above.take_while(|d| fs::remove_dir(d).is_ok()).count();
                Ok(())
            }
            Inner::Remote { store, root, tokio } => match tokio.block_on(store.delete(&below(root, key))) {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(e) => Err(self.fault(key, e)),
            },
        }
    }

    /// As [`delete`](Self::delete), and it will not be there again after a power failure.
    pub(crate) fn delete_durably(&self, key: &str) -> Result<(), CheckpointError> {
        if let Inner::Local { root, disk } = &self.0 {
            let path = root.join(key);
            disk.remove(&path)?;
            return path.parent().map_or(Ok(()), |parent| disk.sync_directory(parent));
        }
        self.delete(key)
    }

    fn fault(&self, key: &str, error: object_store::Error) -> CheckpointError {
        CheckpointError::Store { path: self.name_of(key), error }
    }
}

fn below(root: &Key, key: &str) -> Key {
    key.split('/').filter(|part| !part.is_empty()).fold(root.clone(), |path, part| path.join(part))
}

enum UploadError {
    Read(io::Error),
    Store(object_store::Error),
}

async fn upload(store: Arc<dyn ObjectStore>, key: Key, path: &Path) -> Result<(), UploadError> {
    let mut file = tokio::fs::File::open(path).await.map_err(UploadError::Read)?;
    let mut writer = BufWriter::new(store, key);
    let mut piece = vec![0; TRANSFER_BYTES];
    // An object appears when the writer is shut down, and not before.
    loop {
        let count = file.read(&mut piece).await.map_err(UploadError::Read)?;
        if count == 0 {
            return writer.shutdown().await.map_err(into_store);
        }
        writer.write_all(&piece[..count]).await.map_err(into_store)?;
    }
}

fn into_store(error: io::Error) -> UploadError {
    match error.downcast::<object_store::Error>() {
        Ok(error) => UploadError::Store(error),
        Err(error) => UploadError::Store(object_store::Error::Generic { store: "upload", source: Box::new(error) }),
    }
}

/// Text in which `%xx` stands for some bytes; `None` where it does not parse.
pub(crate) fn percent_decoded(name: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b'%' => {
                let (digits, tail) = rest.split_at_checked(2)?;
                bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
                rest = tail;
            }
            plain => bytes.push(*plain),
        }
    }
    String::from_utf8(bytes).ok()
}
