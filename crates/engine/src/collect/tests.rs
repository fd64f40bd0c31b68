use super::*;
use arrow::datatypes::{DataType, Field, Schema};
use eddyline_changes::table::{format_changes, parse_changes};
use eddyline_connectors::clock::ManualClock;
use eddyline_stores::Stores;
use std::sync::mpsc::{Receiver, channel};

/// For numbers of 8 bytes and a bit, of which twice as many may wait as are held back.
const BYTES_MAX: usize = 2 * 9 * ROWS_WAITING_MAX;

struct Select {
    sink: Arc<dyn Sink>,
    channel: Arc<Channel>,
    events: Receiver<JobEvent>,
    runtime: tokio::runtime::Runtime,
}

impl Select {
    fn new() -> Self {
        let connector = CollectConnector::default();
        let (to, events) = channel();
        let channel = connector.open(7, to, Some(BYTES_MAX));
        let options = BTreeMap::from([("connector".into(), COLLECT.into()), (CHANNEL.into(), "7".into())]);
        let sink = connector.sink(Options::new("result", &options), request()).expect("opened");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        Self { sink, channel, events, runtime }
    }

    fn rim(&self) -> Rim {
        Rim { tokio: self.runtime.handle().clone(), clock: ManualClock::shared(), stores: Stores::new([]) }
    }

    fn writer(&self, shard: usize) -> Box<dyn SinkWriter> {
        self.sink.writer(shard, &self.rim()).expect("writer")
    }

    fn committer(&self) -> Box<dyn Committer> {
        self.sink.committer(&self.rim()).expect("committer").expect("there is one")
    }

    fn event(&self) -> Option<(u64, String)> {
        match self.events.try_recv().ok()? {
            JobEvent::Changes { epoch, changes } => Some((epoch.0, changes.iter().map(format_changes).collect())),
            other => panic!("{other:?}"),
        }
    }
}

fn schema() -> Arc<Schema> {
    Arc::new(Schema::new(vec![Field::new("v", DataType::Int64, true)]))
}

fn request() -> SinkRequest {
    SinkRequest { table: "result".into(), schema: schema(), key: None, time_zone: "UTC".into(), lineage: None }
}

fn changes(text: &str) -> ChangeBatch {
    parse_changes(&schema(), text).expect("change table")
}

#[test]
fn an_epoch_is_seen_whole_and_only_when_it_is_committed() {
    let select = Select::new();
    let (mut one, mut two, mut committer) = (select.writer(1), select.writer(0), select.committer());
    one.write(&changes("+ 1")).expect("written");
    let mut commits = one.prepare(Epoch(1), BarrierKind::Flush).expect("prepared");
    one.write(&changes("- 1")).expect("written");
    two.write(&changes("+ 2")).expect("written");
    assert_eq!(select.event(), None);
    commits.extend(two.prepare(Epoch(1), BarrierKind::Flush).expect("prepared"));
    committer.commit(Epoch(1), &commits).expect("committed");
    assert_eq!(select.event(), Some((1, "+ 2\n+ 1\n".into())));
    committer.commit(Epoch(1), &commits).expect("committed again");
    assert_eq!(select.event().map(|(_, t)| t), Some(String::new()));
    let commits = one.prepare(Epoch(2), BarrierKind::Stop).expect("prepared");
    committer.commit(Epoch(2), &commits).expect("committed");
    assert_eq!(select.event(), Some((2, "- 1\n".into())));
}

#[test]
fn a_slow_reader_holds_writers_back_until_it_has_read() {
    let select = Select::new();
    let (mut writer, mut committer) = (select.writer(0), select.committer());
    let row = changes("+ 1");
    let many = row.take(&vec![0; ROWS_WAITING_MAX].into()).expect("taken");
    writer.write(&many).expect("written");
    let waker = Waker::noop();
    let mut cx = Context::from_waker(waker);
    assert!(writer.poll_ready(&mut cx).is_ready(), "what is not committed holds nobody back");
    let commits = writer.prepare(Epoch(1), BarrierKind::Flush).expect("prepared");
    committer.commit(Epoch(1), &commits).expect("committed");
    assert!(writer.poll_ready(&mut cx).is_pending());
    select.channel.taken(&[changes("+ 1")]);
    assert!(writer.poll_ready(&mut cx).is_ready());
}

/// Of an epoch that has not ended too: nothing holds its rows back.
#[test]
fn what_nobody_has_read_takes_no_more_memory_than_it_may() {
    let select = Select::new();
    let (mut one, mut other, mut committer) = (select.writer(0), select.writer(1), select.committer());
    let half = changes("+ 1").take(&vec![0; ROWS_WAITING_MAX].into()).expect("taken");
    one.write(&half).expect("written");
    other.write(&half).expect("written");
    let commits = one.prepare(Epoch(1), BarrierKind::Flush).expect("prepared");
    committer.commit(Epoch(1), &commits).expect("committed");
    let error = other.write(&half).expect_err("too much");
    assert!(matches!(error, ConnectorError::Memory { max_bytes: BYTES_MAX, .. }), "{error:?}");
    // What was read makes room.
    let select = Select::new();
    let (mut writer, mut committer) = (select.writer(0), select.committer());
    for epoch in 1..10 {
        writer.write(&half).expect("written");
        let commits = writer.prepare(Epoch(epoch), BarrierKind::Flush).expect("prepared");
        committer.commit(Epoch(epoch), &commits).expect("committed");
        let Ok(JobEvent::Changes { changes, .. }) = select.events.try_recv() else { panic!("no changes") };
        select.channel.taken(&changes);
    }
}

#[test]
fn nobody_waits_for_a_reader_that_is_gone() {
    let select = Select::new();
    let (mut writer, mut committer) = (select.writer(0), select.committer());
    select.channel.hang_up();
    writer.write(&changes("+ 1")).expect("written");
    let commits = writer.prepare(Epoch(1), BarrierKind::Flush).expect("prepared");
    committer.commit(Epoch(1), &commits).expect("committed");
    assert!(select.event().is_none());
}

#[test]
fn a_table_cannot_name_the_connector() {
    let options = BTreeMap::from([("connector".into(), COLLECT.into())]);
    let Err(error) = CollectConnector::default().sink(Options::new("t", &options), request()) else {
        panic!("refused");
    };
    assert_eq!(error.to_string(), "connector '$collect' belongs to SELECT and cannot be used in CREATE TABLE");
}
