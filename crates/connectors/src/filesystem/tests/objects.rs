use crate::testing::{Bench, failure, options, request, schema};
use crate::{Commit, ConnectorError, Delivery, Registry, Sink, SinkRequest, SinkWriter};
use arrow::datatypes::{DataType, SchemaRef};
use bytes::Bytes;
use eddyline_changes::table::parse_changes;
use eddyline_changes::{BarrierKind, Epoch};
use eddyline_stores::Stores;
use eddyline_stores::weather::{StormyStore, Weather};
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::sync::Arc;

fn table() -> SchemaRef {
    schema(&[("id", DataType::Int64), ("name", DataType::Utf8)])
}

const OURS: &str = "11112222";
const THEIRS: &str = "33334444";

fn sink(lineage: Option<&str>, more: &[(&str, &str)]) -> Result<Arc<dyn Sink>, ConnectorError> {
    let mut all = vec![("connector", "filesystem"), ("path", "memory:///out/t/"), ("format", "csv")];
    all.extend(more);
    let lineage = lineage.map(str::to_owned);
    let request = SinkRequest { table: "t".into(), schema: table(), key: None, time_zone: "UTC".into(), lineage };
    Registry::builtin().sink(&options(&all), request)
}

/// A store, and a rim of which `memory:///` is that store.
struct World {
    bench: Bench,
    store: Arc<InMemory>,
}

impl World {
    fn new() -> Self {
        let store = Arc::new(InMemory::new());
        let mut world = Self { bench: Bench::new(), store: store.clone() };
        world.bench.rim.stores = Stores::with_memory([], store);
        world
    }

    fn writer(&self, sink: &dyn Sink, shard: usize) -> Box<dyn SinkWriter> {
        sink.writer(shard, &self.bench.rim).expect("writer")
    }

    fn commit(&self, sink: &dyn Sink, epoch: u64, commits: &[Commit]) -> Result<(), ConnectorError> {
        sink.committer(&self.bench.rim)?.expect("one").commit(Epoch(epoch), commits)
    }

    fn clear(&self, sink: &dyn Sink, last: u64) -> Result<(), ConnectorError> {
        sink.committer(&self.bench.rim)?.expect("one").clear(Epoch(last))
    }

    /// Keys and contents.
    fn objects(&self) -> Vec<(String, Bytes)> {
        self.bench.runtime.block_on(async {
            let listed: Vec<_> = self.store.list(None).try_collect().await.expect("a list");
            let mut objects = Vec::new();
            for object in listed {
                let content = self.store.get(&object.location).await.expect("an object").bytes().await;
                objects.push((object.location.to_string(), content.expect("bytes")));
            }
            objects.sort();
            objects
        })
    }

    /// The contents of the files that can be seen.
    fn visible(&self) -> Vec<Bytes> {
        self.objects().into_iter().filter(|(key, _)| !key.contains("/_staging/")).map(|(_, content)| content).collect()
    }

    fn hidden(&self) -> usize {
        self.objects().len() - self.visible().len()
    }
}

fn write(writer: &mut dyn SinkWriter, changes: &str) {
    writer.write(&parse_changes(&table(), changes).expect("change table")).expect("write");
}

#[test]
fn files_appear_when_they_are_committed_and_commits_may_be_repeated() {
    let (world, sink) = (World::new(), sink(Some(OURS), &[]).expect("sink"));
    assert_eq!(sink.delivery(), Delivery::ExactlyOnce);
    let mut writers = [world.writer(&*sink, 0), world.writer(&*sink, 1)];
    write(&mut *writers[0], "+ 1 a\n+2 2 b");
    write(&mut *writers[1], "+ 3 c");
    let mut commits = Vec::new();
    for writer in &mut writers {
        commits.extend(writer.prepare(Epoch(7), BarrierKind::Checkpoint).expect("prepare"));
    }
    assert_eq!((commits.len(), world.hidden(), world.visible().len()), (2, 2, 0));
    for _ in 0..2 {
        world.commit(&*sink, 7, &commits).expect("commit");
        assert_eq!((world.hidden(), world.visible()), (0, vec!["1,a\n2,b\n2,b\n".into(), "3,c\n".into()]));
    }
    let keys = world.objects().into_iter().map(|(key, _)| key);
    let keys: Vec<_> = keys.collect();
    assert!(keys[0].starts_with("out/t/part-") && keys[0].ends_with("-0-0-e7.csv"), "{keys:?}");
}

#[test]
fn what_was_handed_over_survives_a_crash_and_what_was_not_is_removed() {
    let world = World::new();
    // What stays of a process that is killed: objects, and commits in its checkpoint.
    let crash = |lineage: &str, held: &str, lost: &str| {
        let sink = sink(Some(lineage), &[]).expect("sink");
        let mut writer = world.writer(&*sink, 0);
        write(&mut *writer, held);
        let commits = writer.prepare(Epoch(1), BarrierKind::Checkpoint).expect("prepare");
        write(&mut *writer, lost);
        writer.prepare(Epoch(2), BarrierKind::Checkpoint).expect("prepare");
        commits
    };
    let (ours, theirs) = (crash(OURS, "+ 1 held", "+ 2 lost"), crash(THEIRS, "+ 3 theirs", "+ 4 theirs"));
    assert_eq!((world.hidden(), world.visible().len()), (4, 0));
    let again = sink(Some(OURS), &[]).expect("sink");
    // The manifest was there, and the crash came before, in the middle of or after the commit.
    (0..2).for_each(|_| world.commit(&*again, 1, &ours).expect("commit"));
    world.clear(&*again, 1).expect("clear");
    assert_eq!((world.hidden(), world.visible()), (2, vec!["1,held\n".into()]), "theirs are not touched");
    let again = sink(Some(THEIRS), &[]).expect("sink");
    world.commit(&*again, 1, &theirs).expect("commit");
    world.clear(&*again, 1).expect("clear");
    assert_eq!((world.hidden(), world.visible().len()), (0, 2));
    // The checkpoint of epoch 1 is damaged: its rows come again.
    world.clear(&*again, 0).expect("clear");
    assert_eq!(world.visible(), ["1,held\n"]);
}

#[test]
fn a_file_of_several_parts_is_uploaded_while_it_is_written() {
    let (world, sink) = (World::new(), sink(Some(OURS), &[]).expect("sink"));
    let mut writer = world.writer(&*sink, 0);
    let (name, mut rows) = ("x".repeat(1000), 0);
    for _ in 0..30 {
        world.bench.runtime.block_on(poll_fn(|cx| writer.poll_ready(cx))).expect("room");
        let lines: Vec<_> = (0..1000).map(|i| format!("+ {i} {name}")).collect();
        write(&mut *writer, &lines.join("\n"));
        rows += 1000;
    }
    let commits = writer.prepare(Epoch(1), BarrierKind::Checkpoint).expect("prepare");
    world.commit(&*sink, 1, &commits).expect("commit");
    let [content] = &world.visible()[..] else { panic!("one file") };
    assert_eq!(content.iter().filter(|b| **b == b'\n').count(), rows);
}

#[test]
fn a_job_that_fails_leaves_nothing_unfinished() {
    let world = World::new();
    for lineage in [None, Some(OURS)] {
        let sink = sink(lineage, &[("sink.rolling-policy.file-size", "1 b")]).expect("sink");
        let mut writer = world.writer(&*sink, 0);
        write(&mut *writer, "+ 1 closed");
        drop(writer);
        let mut writer = world.writer(&*sink, 1);
        write(&mut *writer, "+ 1 handed_over");
        let commits = writer.prepare(Epoch(1), BarrierKind::Flush).expect("prepare");
        assert_eq!(commits.len(), 1);
        drop((writer, sink));
        // Of a job with checkpoints, what was handed over may be in one.
        assert_eq!((world.visible().len(), world.hidden()), (0, usize::from(lineage.is_some())), "{lineage:?}");
    }
}

/// A job in one process after the other, each as long as the store lets it: at every checkpoint it may fail, and goes on from the last.
struct Storm {
    world: World,
    weather: Arc<Weather>,
    store: StormyStore,
    /// Of the last checkpoint: its epoch, the rows up to it, what it holds.
    checkpoint: (u64, u64, Vec<Commit>),
    failures: usize,
}

impl Storm {
    fn new(seed: u64) -> Self {
        let weather = Weather::new(seed, 0.15, |_| {});
        let store = StormyStore::new(&weather);
        let mut world = World::new();
        world.store = store.calm().clone();
        world.bench.rim.stores = Stores::with_memory([], Arc::new(store.clone()));
        Self { world, weather, store, checkpoint: (0, 0, Vec::new()), failures: 0 }
    }

    /// One life of the job, until it fails or has written `rows` rows.
    fn life(&mut self, rows: u64) -> Result<(), ConnectorError> {
        let sink = sink(Some(OURS), &[("sink.rolling-policy.file-size", "20 b")])?;
        let (epoch, ..) = self.checkpoint;
        self.world.commit(&*sink, epoch, &self.checkpoint.2)?;
        self.world.clear(&*sink, epoch)?;
        let mut writer = sink.writer(0, &self.world.bench.rim)?;
        while self.checkpoint.1 < rows {
            let (last, from, _) = self.checkpoint;
            let until = rows.min(from + 5);
            for row in from..until {
                let row = parse_changes(&table(), &format!("+ {row} r{row}")).expect("change table");
                writer.write(&row)?;
            }
            let commits = writer.prepare(Epoch(last + 1), BarrierKind::Checkpoint)?;
            self.checkpoint = (last + 1, until, commits);
            self.world.commit(&*sink, last + 1, &self.checkpoint.2)?;
        }
        Ok(())
    }
}

#[test]
fn a_store_in_foul_weather_loses_and_doubles_nothing() {
    let mut failures = 0;
    for seed in 0..40 {
        let mut storm = Storm::new(seed);
        while storm.life(60).is_err() {
            storm.failures += 1;
            if storm.failures > 50 {
                storm.weather.clear_up();
            }
        }
        failures += storm.failures;
        storm.weather.clear_up();
        let seen: Vec<u8> = storm.world.visible().concat();
        let mut lines: Vec<_> = String::from_utf8(seen).expect("text").lines().map(str::to_owned).collect();
        lines.sort();
        let wanted: BTreeSet<_> = (0..60).map(|row| format!("{row},r{row}")).collect();
        assert_eq!(lines, wanted.into_iter().collect::<Vec<_>>(), "seed {seed}, {:?}", storm.store.weather().met());
    }
    assert!(failures > 100, "{failures} failures");
}

#[test]
fn what_fails_names_the_object() {
    let weather = Weather::new(1, 1.0, |_| {});
    let mut world = World::new();
    world.bench.rim.stores = Stores::with_memory([], Arc::new(StormyStore::new(&weather)));
    let sink = sink(Some(OURS), &[]).expect("sink");
    let failed = (0..50).find_map(|_| {
        let mut writer = world.writer(&*sink, 0);
        write(&mut *writer, "+ 1 a");
        writer.prepare(Epoch(1), BarrierKind::Checkpoint).err()
    });
    let text = failed.expect("a failure").to_string();
    assert!(text.starts_with("memory:///out/t/_staging/part-") && text.contains("503 Slow Down"), "{text}");
}

#[test]
fn what_cannot_be_is_told() {
    let path = |path: &str| {
        let all = [("connector", "filesystem"), ("path", path), ("format", "csv")];
        let request =
            SinkRequest { table: "t".into(), schema: table(), key: None, time_zone: "UTC".into(), lineage: None };
        Registry::builtin().sink(&options(&all), request)
    };
    assert!(path("s3://bucket/some/where").is_ok());
    let text = failure(path("gopher://x/y"));
    assert!(text.contains("option 'path' = 'gopher://x/y'"), "{text}");
    let text = failure(sink(None, &[("sink.rolling-policy.file-size", "5 GB")]));
    assert!(text.contains("more than an object store copies at once"), "{text}");
    let all = [("connector", "filesystem"), ("path", "s3://bucket/x"), ("format", "csv")];
    let text = failure(Registry::builtin().source(&options(&all), request(&table())));
    assert!(text.contains("'s3://bucket/x': files in object stores cannot be read yet"), "{text}");
}
