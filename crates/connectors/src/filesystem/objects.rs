//! Files in an object store, which has no renaming: whole objects under `_staging/`, copied to their names when they are committed.
//!
//! A file is uploaded by a task of its own while it is written; rows wait when more than [`ROOM_BYTES`] of it are on their way. Its object
//! appears when the upload ends, not before, and it is safe then. What is handed over at the end of an epoch waits for that: what is
//! left to upload is at most the room.
//!
//! Why committing twice is harmless: a copy is made again from the same object, or there is none any more because it was copied before.
//! The name of an object is given once (see [`names`]), so nothing else can stand there.
//!
//! Readers pass over names that begin with `_`. Of a job that keeps checkpoints, what no checkpoint holds is removed when the job begins
//! again: all of its lineage that is in `_staging/` after what was held has been committed.

use super::medium::{Draft, Medium, Name};
use super::names;
use crate::{Commit, Committer, ConnectorError};
use bytes::Bytes;
use eddyline_changes::Epoch;
use eddyline_stores::Objects;
use futures::{StreamExt, TryStreamExt};
use object_store::buffered::BufWriter;
use object_store::path::Path as Key;
use object_store::{Error, ObjectStore, ObjectStoreExt};
use std::collections::BTreeSet;
use std::future::Future;
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

/// Where objects are until they are committed.
const STAGING: &str = "_staging";

/// Bytes of a file that may wait for the store.
const ROOM_BYTES: usize = 16 << 20;

/// Bytes of a part, of a file that has several.
const PART_BYTES: usize = 8 << 20;

/// Objects that are copied at the same time.
const COPIES: usize = 8;

/// How long removing what is left over may take when a job ends.
const CLEAN_UP: Duration = Duration::from_secs(10);

/// The largest file that every store copies at once.
pub(super) const FILE_BYTES_MAX: u64 = 4 << 30;

/// A prefix of an object store that files are written to.
pub(super) struct Bucket {
    place: Prefix,
    /// Of a job that keeps checkpoints.
    lineage: Option<String>,
    unfinished: Arc<Unfinished>,
}

/// Where files are. Clones mean the same.
#[derive(Clone)]
struct Prefix {
    /// As the table's definition has it.
    url: Arc<str>,
    store: Arc<dyn ObjectStore>,
    root: Key,
    tokio: Handle,
}

impl Prefix {
    fn staging(&self) -> Key {
        self.root.clone().join(STAGING)
    }

    /// The object, for errors.
    fn name_of(&self, key: &Key) -> String {
        let below = key.as_ref().strip_prefix(self.root.as_ref()).unwrap_or(key.as_ref());
        format!("{}/{}", self.url, below.trim_start_matches('/'))
    }

    fn fault(&self, key: &Key, e: Error) -> ConnectorError {
        ConnectorError::Io { place: self.name_of(key), source: io::Error::other(e) }
    }

    async fn delete(&self, key: &Key) -> Result<(), Error> {
        match self.store.delete(key).await {
            Err(e) if !matches!(e, Error::NotFound { .. }) => Err(e),
            _ => Ok(()),
        }
    }
}

impl Bucket {
    pub(super) fn new(url: &str, objects: Objects, lineage: Option<String>, tokio: &Handle) -> Self {
        let Objects { store, root } = objects;
        let place = Prefix { url: url.trim_end_matches('/').into(), store, root, tokio: tokio.clone() };
        let unfinished = Arc::new(Unfinished { place: place.clone(), keys: Mutex::default() });
        Self { place, lineage, unfinished }
    }
}

impl Medium for Bucket {
    fn prepare(&self) -> Result<(), ConnectorError> {
        Ok(())
    }

    fn begin(&self, name: Name) -> Result<Box<dyn Draft>, ConnectorError> {
        let staged = self.place.staging().join(names::file(&name, None));
        self.unfinished.lock().insert(staged.clone());
        let (pieces, taken) = unbounded_channel();
        let flow = Arc::<Flow>::default();
        let upload = upload(self.place.store.clone(), staged.clone(), taken, flow.clone());
        let upload = Upload::Running(self.place.tokio.spawn(upload));
        let (place, shown) = (self.place.clone(), self.place.name_of(&staged));
        let (is_durable, unfinished) = (self.lineage.is_some(), self.unfinished.clone());
        Ok(Box::new(ObjectDraft {
            place,
            shown,
            staged,
            name,
            pieces: Some(pieces),
            flow,
            upload,
            is_durable,
            unfinished,
        }))
    }

    fn settle(&self) -> Result<(), ConnectorError> {
        Ok(())
    }

    fn committer(&self) -> Box<dyn Committer> {
        let (place, lineage) = (self.place.clone(), self.lineage.clone());
        Box::new(Copier { place, lineage, unfinished: self.unfinished.clone() })
    }
}

/// What a draft has given, and its upload not yet taken.
#[derive(Default)]
struct Flow(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    bytes: usize,
    waker: Option<Waker>,
}

impl Flow {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, bytes: usize) {
        let mut waiting = self.lock();
        waiting.bytes -= bytes;
        if waiting.bytes < ROOM_BYTES
            && let Some(waker) = waiting.waker.take()
        {
            waker.wake();
        }
    }

    fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        let mut waiting = self.lock();
        if waiting.bytes < ROOM_BYTES {
            return Poll::Ready(());
        }
        waiting.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

enum Piece {
    Bytes(Bytes),
    /// The file is whole.
    End,
}

/// Uploads a file until it is whole. When its writer goes before that, nothing is left of it.
async fn upload(
    store: Arc<dyn ObjectStore>,
    key: Key,
    mut pieces: UnboundedReceiver<Piece>,
    flow: Arc<Flow>,
) -> Result<(), Error> {
    let mut writer = BufWriter::with_capacity(store, key, PART_BYTES);
    while let Some(piece) = pieces.recv().await {
        let Piece::Bytes(bytes) = piece else {
            return writer.shutdown().await.map_err(into_store);
        };
        let count = bytes.len();
        if let Err(e) = writer.put(bytes).await {
            // The upload has failed already: that it cannot be tidied up as well says nothing new.
            let _ = writer.abort().await;
            return Err(e);
        }
        flow.take(count);
    }
    writer.abort().await
}

fn into_store(error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => Error::Generic { store: "upload", source: Box::new(error) },
    }
}

enum Upload {
    Running(JoinHandle<Result<(), Error>>),
    Done,
}

impl Upload {
    /// Ready when it has ended.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let Upload::Running(task) = self else { return Poll::Ready(Ok(())) };
        let ended = ready!(Pin::new(task).poll(cx));
        *self = Upload::Done;
        Poll::Ready(ended.unwrap_or_else(|e| Err(Error::Generic { store: "upload", source: Box::new(e) })))
    }
}

struct ObjectDraft {
    place: Prefix,
    shown: String,
    staged: Key,
    name: Name,
    /// Until it is sealed.
    pieces: Option<UnboundedSender<Piece>>,
    flow: Arc<Flow>,
    upload: Upload,
    is_durable: bool,
    unfinished: Arc<Unfinished>,
}

impl Write for ObjectDraft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.flow.lock().bytes += bytes.len();
        // When the upload has ended before the file did, it has failed: sealing, or asking for room, tells why.
        let sent = self.pieces.as_ref().map(|pieces| pieces.send(Piece::Bytes(Bytes::copy_from_slice(bytes))));
        match sent {
            Some(Ok(())) => Ok(bytes.len()),
            _ => Err(self.failure()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ObjectDraft {
    /// Why the upload has ended before the file did.
    fn failure(&mut self) -> io::Error {
        let tokio = self.place.tokio.clone();
        match tokio.block_on(std::future::poll_fn(|cx| self.upload.poll(cx))) {
            Err(e) => io::Error::other(e),
            Ok(()) => io::ErrorKind::BrokenPipe.into(),
        }
    }
}

impl Draft for ObjectDraft {
    fn place(&self) -> &str {
        &self.shown
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectorError>> {
        if let Poll::Ready(Err(e)) = self.upload.poll(cx) {
            return Poll::Ready(Err(self.place.fault(&self.staged, e)));
        }
        self.flow.poll_room(cx).map(Ok)
    }

    fn seal(&mut self) -> Result<(), ConnectorError> {
        let sent = self.pieces.take().map(|pieces| pieces.send(Piece::End));
        match sent {
            Some(Err(_)) => Err(ConnectorError::Io { place: self.shown.clone(), source: self.failure() }),
            _ => Ok(()),
        }
    }

    fn secure(mut self: Box<Self>, epoch: Epoch) -> Result<Commit, ConnectorError> {
        let tokio = self.place.tokio.clone();
        let ended = tokio.block_on(std::future::poll_fn(|cx| self.upload.poll(cx)));
        ended.map_err(|e| self.place.fault(&self.staged, e))?;
        let visible = self.place.root.clone().join(names::file(&self.name, self.is_durable.then_some(epoch)));
        if self.is_durable {
            // From here on it belongs to a checkpoint to come.
            self.unfinished.lock().remove(&self.staged);
        }
        // Both keys, the staged one first, a NUL between them: no key of ours holds one.
        Ok(Commit(format!("{}\0{visible}", self.staged).into_bytes()))
    }
}

impl Drop for ObjectDraft {
    fn drop(&mut self) {
        // One that is not sealed tidies up after itself.
        if let (None, Upload::Running(task)) = (&self.pieces, &self.upload) {
            task.abort();
        }
    }
}

/// Objects that would be left over if the job ended now.
struct Unfinished {
    place: Prefix,
    keys: Mutex<BTreeSet<Key>>,
}

impl Unfinished {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<Key>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let keys = std::mem::take(&mut *self.lock());
        if keys.is_empty() {
            return;
        }
        let (place, (done, wait)) = (self.place.clone(), std::sync::mpsc::channel::<()>());
        self.place.tokio.spawn(async move {
            for key in keys {
                if let Err(e) = place.delete(&key).await {
                    tracing::warn!(object = place.name_of(&key), error = %e, "an unfinished object cannot be removed");
                }
            }
            drop(done);
        });
        // The process may end with the job. A thread that serves tasks must not wait for one.
        if Handle::try_current().is_err() && wait.recv_timeout(CLEAN_UP) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!(place = %self.place.url, "unfinished objects were not removed in time");
        }
    }
}

/// Both keys of a commit.
fn keys_of(commit: &Commit) -> Option<(Key, Key)> {
    let (staged, visible) = std::str::from_utf8(&commit.0).ok()?.split_once('\0')?;
    Some((Key::parse(staged).ok()?, Key::parse(visible).ok()?))
}

struct Copier {
    place: Prefix,
    lineage: Option<String>,
    unfinished: Arc<Unfinished>,
}

impl Copier {
    async fn publish(&self, commit: &Commit) -> Result<(), ConnectorError> {
        let Some((staged, visible)) = keys_of(commit) else {
            let message = "is no commit of a filesystem sink in an object store".into();
            return Err(ConnectorError::Format { place: "commit".into(), message });
        };
        match self.place.store.copy(&staged, &visible).await {
            Ok(()) => {}
            // It was copied before.
            Err(Error::NotFound { .. }) if self.place.store.head(&visible).await.is_ok() => {}
            Err(e) => return Err(self.place.fault(&staged, e)),
        }
        if let Err(e) = self.place.delete(&staged).await {
            // Nobody sees it, and it goes when the job begins again.
            tracing::warn!(object = self.place.name_of(&staged), error = %e, "a staged object cannot be removed");
        }
        self.unfinished.lock().remove(&staged);
        Ok(())
    }

    /// The objects right in `directory` whose file name is such.
    async fn find(&self, directory: &Key, is_such: impl Fn(&str) -> bool) -> Result<Vec<Key>, ConnectorError> {
        let listed = self.place.store.list_with_delimiter(Some(directory)).await;
        let objects = listed.map_err(|e| self.place.fault(directory, e))?.objects;
        Ok(objects.into_iter().map(|o| o.location).filter(|k| k.filename().is_some_and(&is_such)).collect())
    }
}

impl Committer for Copier {
    fn commit(&mut self, _: Epoch, commits: &[Commit]) -> Result<(), ConnectorError> {
        let copies = futures::stream::iter(commits.iter().map(|commit| self.publish(commit)));
        self.place.tokio.block_on(copies.buffer_unordered(COPIES).try_collect())
    }

    fn clear(&mut self, last: Epoch) -> Result<(), ConnectorError> {
        let Some(lineage) = &self.lineage else { return Ok(()) };
        self.place.tokio.block_on(async {
            let mut void = self.find(&self.place.staging(), |name| names::is_of(name, lineage)).await?;
            void.extend(self.find(&self.place.root, |name| names::is_after(name, lineage, last)).await?);
            for key in void {
                self.place.delete(&key).await.map_err(|e| self.place.fault(&key, e))?;
            }
            Ok(())
        })
    }
}
