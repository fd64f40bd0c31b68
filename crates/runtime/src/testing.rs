//! For tests: a source whose rows are handed out on command, and a sink that collects what was committed.
//!
//! Both are connectors, so a plan names them as any other table: `'connector' = 'script'` and
//! `'connector' = 'collect'`. Which script or collection is meant is told by the table's name.

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use eddyline_changes::table::{format_changes, format_changes_sorted};
use eddyline_changes::{BarrierKind, ChangeBatch, Epoch};
use eddyline_connectors::{
    Boundedness, Commit, Committer, Connector, ConnectorError, Decoded, Decoder, Delivery, Options, Payload, Position,
    RawBlock, Rim, Sink, SinkChanges, SinkRequest, SinkWriter, Source, SourceRequest, Split, SplitReader,
};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// The splits of a scripted table and what they hand out. Rows stay, so that a split can be read again.
pub struct Script {
    boundedness: Boundedness,
    discovery: Option<Duration>,
    splits: Mutex<Vec<ScriptedSplit>>,
    keeps_together: AtomicBool,
}

struct ScriptedSplit {
    id: String,
    blocks: Vec<ChangeBatch>,
    end: Option<Result<(), String>>,
    wakers: Vec<Waker>,
}

impl Script {
    /// A table of these splits, which end when they are told to.
    pub fn new(boundedness: Boundedness, splits: &[&str]) -> Arc<Self> {
        let splits = Mutex::new(splits.iter().map(|s| fresh(s)).collect());
        Arc::new(Self { boundedness, discovery: None, splits, keeps_together: AtomicBool::default() })
    }

    /// A table that is looked through for new splits from time to time.
    pub fn discovered(interval: Duration, splits: &[&str]) -> Arc<Self> {
        let splits = Mutex::new(splits.iter().map(|s| fresh(s)).collect());
        let keeps_together = AtomicBool::default();
        Arc::new(Self { boundedness: Boundedness::Unbounded, discovery: Some(interval), splits, keeps_together })
    }

    /// One more split, for the next discovery.
    pub fn add_split(&self, id: &str) {
        self.splits.lock().push(fresh(id));
    }

    /// The rows of a block belong together: no epoch ends between them.
    pub fn keep_together(&self) {
        self.keeps_together.store(true, Ordering::Relaxed);
    }

    /// Hands out a block.
    pub fn push(&self, split: usize, changes: ChangeBatch) {
        self.change(split, |s| s.blocks.push(changes));
    }

    /// Ends a split after what was pushed.
    pub fn end(&self, split: usize) {
        self.change(split, |s| s.end = Some(Ok(())));
    }

    /// Ends all splits.
    pub fn end_all(&self) {
        let count = self.splits.lock().len();
        (0..count).for_each(|s| self.end(s));
    }

    /// Fails a split after what was pushed.
    pub fn fail(&self, split: usize, message: &str) {
        self.change(split, |s| s.end = Some(Err(message.to_owned())));
    }

    fn change(&self, split: usize, change: impl FnOnce(&mut ScriptedSplit)) {
        let wakers = {
            let split = &mut self.splits.lock()[split];
            change(split);
            std::mem::take(&mut split.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

fn fresh(id: &str) -> ScriptedSplit {
    ScriptedSplit { id: id.to_owned(), blocks: Vec::new(), end: None, wakers: Vec::new() }
}

/// The connector `script`.
#[derive(Clone, Default)]
pub struct ScriptConnector(BTreeMap<String, Arc<Script>>);

impl ScriptConnector {
    /// One more table.
    pub fn with(mut self, table: &str, script: &Arc<Script>) -> Self {
        self.0.insert(table.to_owned(), script.clone());
        self
    }
}

impl Connector for ScriptConnector {
    fn name(&self) -> &'static str {
        "script"
    }

    fn source(&self, options: Options, request: SourceRequest) -> Result<Arc<dyn Source>, ConnectorError> {
        options.finish()?;
        let script = self.0.get(&request.table).ok_or_else(|| unknown(&request.table))?.clone();
        Ok(Arc::new(ScriptSource { script, request }))
    }
}

fn unknown(table: &str) -> ConnectorError {
    ConnectorError::Option { message: format!("table {table} is not part of the test"), hint: String::new() }
}

struct ScriptSource {
    script: Arc<Script>,
    request: SourceRequest,
}

impl Source for ScriptSource {
    fn boundedness(&self) -> Boundedness {
        self.script.boundedness
    }

    fn splits(&self, _shards: usize) -> Result<Vec<Split>, ConnectorError> {
        Ok(self.script.splits.lock().iter().map(|s| Split { id: s.id.clone(), range: 0..u64::MAX }).collect())
    }

    fn discovery_interval(&self) -> Option<Duration> {
        self.script.discovery
    }

    fn open(&self, split: &Split, from: Position, _rim: &Rim) -> Result<Box<dyn SplitReader>, ConnectorError> {
        Ok(Box::new(ScriptReader { script: self.script.clone(), id: split.id.clone(), position: from.0 }))
    }

    fn decoder(&self, _split: &Split) -> Result<Box<dyn Decoder>, ConnectorError> {
        let (schema, request, script) = (self.request.decoded(), self.request.clone(), self.script.clone());
        Ok(Box::new(ScriptDecoder { script, schema, request, block: None, is_within: false }))
    }
}

struct ScriptReader {
    script: Arc<Script>,
    id: String,
    position: u64,
}

impl SplitReader for ScriptReader {
    fn poll_block(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<RawBlock>, ConnectorError>> {
        let mut splits = self.script.splits.lock();
        let Some(split) = splits.iter_mut().find(|s| s.id == self.id) else { return Poll::Ready(Ok(None)) };
        let mut begin = 0;
        for block in &split.blocks {
            let end = begin + block.num_rows() as u64;
            if end > self.position {
                let skip = (self.position - begin) as usize;
                let rows = block.slice(skip, block.num_rows() - skip);
                let (start, end) = (Position(self.position), Position(end));
                self.position = end.0;
                return Poll::Ready(Ok(Some(RawBlock { payload: Payload::Changes(rows), start, end })));
            }
            begin = end;
        }
        match &split.end {
            Some(Ok(())) => Poll::Ready(Ok(None)),
            Some(Err(message)) => {
                Poll::Ready(Err(ConnectorError::Format { place: self.id.clone(), message: message.clone() }))
            }
            None => {
                split.wakers.push(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

struct ScriptDecoder {
    script: Arc<Script>,
    schema: SchemaRef,
    request: SourceRequest,
    block: Option<(ChangeBatch, u64)>,
    is_within: bool,
}

impl Decoder for ScriptDecoder {
    fn feed(&mut self, block: RawBlock) -> Result<(), ConnectorError> {
        if let Payload::Changes(changes) = block.payload {
            self.block = Some((changes, block.start.0));
        }
        Ok(())
    }

    fn next(&mut self, rows_max: usize) -> Result<Option<Decoded>, ConnectorError> {
        let Some((changes, start)) = self.block.take() else { return Ok(None) };
        let count = changes.num_rows().min(rows_max);
        let position = start + count as u64;
        self.is_within = count < changes.num_rows() && self.script.keeps_together.load(Ordering::Relaxed);
        if count < changes.num_rows() {
            self.block = Some((changes.slice(count, changes.num_rows() - count), position));
        }
        let (rows, weights) = changes.slice(0, count).into_parts();
        let columns: Vec<ArrayRef> = self.request.projection.iter().map(|c| rows.column(*c).clone()).collect();
        let rows = RecordBatch::try_new(self.schema.clone(), columns)?;
        Ok(Some(Decoded { changes: ChangeBatch::new(rows, weights)?, skipped: 0, position: Position(position) }))
    }

    fn is_within(&self) -> bool {
        self.is_within
    }
}

/// Takes part in every write and commit of a [`Collection`].
type Hook = Box<dyn FnMut(&ChangeBatch) -> Result<(), String> + Send>;

/// What a sink has taken.
#[derive(Default)]
pub struct Collection {
    state: Mutex<Collected>,
}

#[derive(Default)]
struct Collected {
    next: u64,
    prepared: BTreeMap<u64, Vec<ChangeBatch>>,
    committed: Vec<(Epoch, usize, ChangeBatch)>,
    /// Commits wait for checkpoints.
    durable: bool,
    appends_only: bool,
    /// Writes that may still be made; `None`: any number.
    room: Option<usize>,
    wakers: Vec<Waker>,
    on_write: Option<Hook>,
    commit_fails: Option<String>,
}

impl Collection {
    /// An empty collection that takes everything.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// What is written becomes visible when it is part of a checkpoint, once.
    pub fn durable(self: Arc<Self>) -> Arc<Self> {
        self.state.lock().durable = true;
        self
    }

    /// What another has committed up to and with `epoch` is in it from the beginning.
    pub fn after(self: Arc<Self>, other: &Collection, epoch: Epoch) -> Arc<Self> {
        let committed = other.committed().into_iter().filter(|(e, _, _)| *e <= epoch).collect();
        self.state.lock().committed = committed;
        self
    }

    /// Retractions are not taken.
    pub fn appends_only(self: Arc<Self>) -> Arc<Self> {
        self.state.lock().appends_only = true;
        self
    }

    /// No writes until there is [`room`](Self::room).
    pub fn slow(self: Arc<Self>) -> Arc<Self> {
        self.state.lock().room = Some(0);
        self
    }

    /// Room for so many more writes.
    pub fn room(&self, writes: usize) {
        let wakers = {
            let mut state = self.state.lock();
            state.room = state.room.map(|r| r + writes);
            std::mem::take(&mut state.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Calls `hook` with every batch; its error is the writer's.
    pub fn on_write(&self, hook: impl FnMut(&ChangeBatch) -> Result<(), String> + Send + 'static) {
        self.state.lock().on_write = Some(Box::new(hook));
    }

    /// The next commit fails.
    pub fn fail_commit(&self, message: &str) {
        self.state.lock().commit_fails = Some(message.to_owned());
    }

    /// All committed changes with their epoch and the shard that wrote them, in the order of commits.
    pub fn committed(&self) -> Vec<(Epoch, usize, ChangeBatch)> {
        self.state.lock().committed.clone()
    }

    /// Committed changes as they came, as a change table.
    pub fn text(&self) -> String {
        self.state.lock().committed.iter().map(|(_, _, c)| format_changes(c)).collect()
    }

    /// The net of all that was committed up to and with `epoch`: a change table in sorted order.
    pub fn accumulated_at(&self, epoch: Epoch) -> String {
        let state = self.state.lock();
        let upto: Vec<ChangeBatch> =
            state.committed.iter().filter(|(e, _, _)| *e <= epoch).map(|(_, _, c)| c.clone()).collect();
        let Some(first) = upto.first() else { return String::new() };
        let net = ChangeBatch::concat(&first.schema(), &upto).and_then(|all| all.consolidate());
        net.map_or_else(|e| e.to_string(), |net| format_changes_sorted(&net))
    }

    /// The net of all that was committed.
    pub fn accumulated(&self) -> String {
        self.accumulated_at(Epoch(u64::MAX))
    }
}

/// The connector `collect`.
#[derive(Clone, Default)]
pub struct CollectConnector(BTreeMap<String, Arc<Collection>>);

impl CollectConnector {
    /// One more table.
    pub fn with(mut self, table: &str, collection: &Arc<Collection>) -> Self {
        self.0.insert(table.to_owned(), collection.clone());
        self
    }
}

impl Connector for CollectConnector {
    fn name(&self) -> &'static str {
        "collect"
    }

    fn sink(&self, options: Options, request: SinkRequest) -> Result<Arc<dyn Sink>, ConnectorError> {
        options.finish()?;
        let collection = self.0.get(&request.table).ok_or_else(|| unknown(&request.table))?.clone();
        Ok(Arc::new(CollectSink { collection }))
    }
}

struct CollectSink {
    collection: Arc<Collection>,
}

impl Sink for CollectSink {
    fn changes(&self) -> SinkChanges {
        if self.collection.state.lock().appends_only { SinkChanges::Inserts } else { SinkChanges::Full }
    }

    fn delivery(&self) -> Delivery {
        if self.collection.state.lock().durable { Delivery::ExactlyOnce } else { Delivery::AtLeastOnce }
    }

    fn writer(&self, shard: usize, _rim: &Rim) -> Result<Box<dyn SinkWriter>, ConnectorError> {
        Ok(Box::new(CollectWriter { collection: self.collection.clone(), shard, written: Vec::new() }))
    }

    fn committer(&self, _: &Rim) -> Result<Option<Box<dyn Committer>>, ConnectorError> {
        Ok(Some(Box::new(CollectCommitter { collection: self.collection.clone() })))
    }
}

struct CollectWriter {
    collection: Arc<Collection>,
    shard: usize,
    written: Vec<ChangeBatch>,
}

impl SinkWriter for CollectWriter {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectorError>> {
        let mut state = self.collection.state.lock();
        if state.room == Some(0) {
            state.wakers.push(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn write(&mut self, changes: &ChangeBatch) -> Result<(), ConnectorError> {
        let mut state = self.collection.state.lock();
        state.room = state.room.map(|r| r.saturating_sub(1));
        if let Some(hook) = &mut state.on_write {
            hook(changes).map_err(|message| ConnectorError::Format { place: "collection".into(), message })?;
        }
        self.written.push(changes.clone());
        Ok(())
    }

    fn prepare(&mut self, _epoch: Epoch, _kind: BarrierKind) -> Result<Vec<Commit>, ConnectorError> {
        let mut state = self.collection.state.lock();
        if self.written.is_empty() {
            return Ok(Vec::new());
        }
        state.next += 1;
        let number = state.next;
        state.prepared.insert(number, std::mem::take(&mut self.written));
        let mut commit = number.to_be_bytes().to_vec();
        commit.extend_from_slice(&(self.shard as u64).to_be_bytes());
        Ok(vec![Commit(commit)])
    }
}

struct CollectCommitter {
    collection: Arc<Collection>,
}

impl Committer for CollectCommitter {
    fn commit(&mut self, epoch: Epoch, commits: &[Commit]) -> Result<(), ConnectorError> {
        let mut state = self.collection.state.lock();
        if let Some(message) = state.commit_fails.take() {
            return Err(ConnectorError::Format { place: "collection".into(), message });
        }
        for Commit(bytes) in commits {
            let number =
                |at: usize| bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_be_bytes);
            let batches = state.prepared.remove(&number(0)).unwrap_or_default();
            let shard = number(8) as usize;
            state.committed.extend(batches.into_iter().map(|c| (epoch, shard, c)));
        }
        Ok(())
    }

    fn clear(&mut self, last: Epoch) -> Result<(), ConnectorError> {
        let mut state = self.collection.state.lock();
        if state.durable {
            state.prepared.clear();
            state.committed.retain(|(epoch, _, _)| *epoch <= last);
        }
        Ok(())
    }
}
