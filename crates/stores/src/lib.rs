//! What the URL of a place outside means: a local directory, or a prefix of an object store (S3-compatible, GCS, Azure, memory), opened with
//! credentials from the environment. Checkpoints and files are both kept in such places.
//!
//! Where statements come from the network, [`Reach`] says which of them may be named.
//!
//! Not here: what is written there, and how it becomes visible. Start at [`Stores`].

mod reach;
#[cfg(test)]
mod tests;
#[cfg(feature = "testing")]
pub mod weather;

pub use reach::{Entry, Files, OutOfReach, Reach, ReachSettings, Seen};

use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreScheme};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use url::Url;

/// A place, opened.
pub enum Located {
    /// A directory of this machine, which need not be there yet.
    Directory(PathBuf),
    /// A prefix of an object store. Nothing was asked of the store yet.
    Objects(Objects),
}

/// A prefix of an object store.
#[derive(Clone)]
pub struct Objects {
    /// The store.
    pub store: Arc<dyn ObjectStore>,
    /// What the keys begin with.
    pub root: Key,
}

/// A location that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LocationError(pub String);

/// Opens places by their URLs. Clones mean the same stores.
#[derive(Clone)]
pub struct Stores {
    environment: Arc<BTreeMap<String, String>>,
    /// What `memory:///` means.
    memory: Arc<dyn ObjectStore>,
}

impl Stores {
    /// Stores with credentials and the like from `environment` (`AWS_ACCESS_KEY_ID`, `GOOGLE_SERVICE_ACCOUNT`,
    /// `AZURE_STORAGE_ACCOUNT_NAME`, …), and an empty one in memory.
    pub fn new(environment: impl IntoIterator<Item = (String, String)>) -> Self {
        Self::with_memory(environment, Arc::new(InMemory::new()))
    }

    /// As [`new`](Self::new), and `memory:///` means `memory`.
    pub fn with_memory(environment: impl IntoIterator<Item = (String, String)>, memory: Arc<dyn ObjectStore>) -> Self {
        let environment = environment.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        Self { environment: Arc::new(environment), memory }
    }

    /// What a path or URL means: `file:///…` and plain paths, `s3://`, `gs://`, `az://`, `abfss://` and so on; `memory:///…` for what need
    /// not outlive the process. Does no I/O.
    ///
    /// # Errors
    /// It means no place, or its store lacks something in the environment.
    pub fn open(&self, location: &str) -> Result<Located, LocationError> {
        let Some(url) = url_of(location)? else {
            return std::path::absolute(location).map(Located::Directory).map_err(wrong);
        };
        if url.scheme() == "file" {
            let path = url.to_file_path().map_err(|()| LocationError("is no path of this machine".into()))?;
            return Ok(Located::Directory(path));
        }
        if let Ok((ObjectStoreScheme::Memory, root)) = ObjectStoreScheme::parse(&url) {
            return Ok(Located::Objects(Objects { store: self.memory.clone(), root }));
        }
        let options = self.environment.iter().map(|(name, value)| (name.clone(), value.clone()));
        let (store, root) = object_store::parse_url_opts(&url, options).map_err(wrong)?;
        Ok(Located::Objects(Objects { store: store.into(), root }))
    }
}

impl fmt::Debug for Stores {
    /// Without the environment, which holds secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stores").finish_non_exhaustive()
    }
}

/// Is it the URL of an object store, and not that or the path of a directory?
///
/// # Errors
/// It is a URL, but of nothing that is known.
pub fn is_object_store(location: &str) -> Result<bool, LocationError> {
    let Some(url) = url_of(location)? else { return Ok(false) };
    let (scheme, _) = ObjectStoreScheme::parse(&url).map_err(wrong)?;
    Ok(scheme != ObjectStoreScheme::Local)
}

fn url_of(location: &str) -> Result<Option<Url>, LocationError> {
    match location {
        "" => Err(LocationError("is empty".into())),
        path if !path.contains("://") => Ok(None),
        url => Url::parse(url).map(Some).map_err(wrong),
    }
}

fn wrong(e: impl fmt::Display) -> LocationError {
    LocationError(e.to_string())
}
