//! Weather, for tests: an object store that refuses, loses answers, is slow, writes or reads half, as chance has it.

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::fmt;
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

    /// What happens to a call that these may happen to.
    pub fn draw(&self, of: &[Fault]) -> Option<Fault> {
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

    /// One of them; `None` of none.
    pub fn choose<'a, T>(&self, of: &'a [T]) -> Option<&'a T> {
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

    /// What is in it, with no weather before it.
    pub fn calm(&self) -> &Arc<InMemory> {
        &self.inner
    }

    /// What it is out in.
    pub fn weather(&self) -> &Arc<Weather> {
        &self.weather
    }
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
        match self.weather.draw(&[Fault::Refused, Fault::Slow]) {
            Some(Fault::Refused) => Err(trouble("POST", key)),
            _ => self.inner.put_multipart_opts(key, options).await,
        }
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
        match self.weather.draw(&[Fault::Refused, Fault::Lost, Fault::Slow]) {
            Some(Fault::Refused) => Err(trouble("COPY", from)),
            Some(Fault::Lost) => self.inner.copy_opts(from, to, options).await.and(Err(trouble("COPY", from))),
            _ => self.inner.copy_opts(from, to, options).await,
        }
    }
}
