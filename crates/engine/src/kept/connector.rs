//! How jobs read tables that the engine keeps: all rows as they are at a moment, or the changes as they come.
//!
//! A reader is registered before its job is planned to start and found by the options that stand for it in the plan.

use arrow::array::RecordBatch;
use eddyline_catalog::Name;
use eddyline_changes::ChangeBatch;
use eddyline_connectors::{
    Boundedness, Connector, ConnectorError, Decoded, Decoder, Options, Payload, Position, RawBlock, Rim, Source,
    SourceChanges, SourceRequest, Split, SplitReader,
};
use eddyline_plan::{KNOWN_BY, SourceSpec};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::lock;

/// The connector's name; `$` keeps it apart from what users write.
pub(crate) const KEPT: &str = "$kept";
const READ: &str = "read";
const JOB: &str = "job";
const SCHEMA: &str = "schema";
const TABLE: &str = "table";
const SNAPSHOT: &str = "snapshot";
const CHANGES: &str = "changes";

/// What a job reads of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    /// The rows that are there, which are not taken back.
    Snapshot,
    /// Those, and every change after.
    Changes,
}

/// The options that stand for a kept table in the plan of a job; `number` tells the jobs apart, `id` is that of the table, which keeps it
/// whatever it is called.
pub(crate) fn options(reads: Reads, number: u64, table: &Name, id: Option<u64>) -> BTreeMap<String, String> {
    let reads = if reads == Reads::Snapshot { SNAPSHOT } else { CHANGES };
    let own = [("connector", KEPT), (READ, reads), (SCHEMA, table.schema()), (TABLE, table.object())];
    let own = own.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let id = id.map(|id| (KNOWN_BY.to_owned(), id.to_string()));
    own.into_iter().chain([(JOB.to_owned(), number.to_string())]).chain(id).collect()
}

/// The table that a source of a plan reads, where the engine keeps it.
pub(crate) fn name_of(source: &SourceSpec) -> Option<Name> {
    let option = |key: &str| source.options.get(key).map(String::as_str);
    match (option("connector"), option(SCHEMA), option(TABLE)) {
        (Some(KEPT), Some(schema), Some(table)) => Some(Name::new(schema, table)),
        _ => None,
    }
}

/// Who waits for readers of jobs that are about to start: by the job's number and the table.
#[derive(Default)]
pub(crate) struct KeptConnector {
    feeds: Mutex<HashMap<(u64, Name), Arc<Feed>>>,
}

impl KeptConnector {
    /// Sources of this job find their feeds as long as the registration lives.
    pub(crate) fn register(self: &Arc<Self>, number: u64, feeds: &BTreeMap<Name, Arc<Feed>>) -> Registration {
        let mut all = lock(&self.feeds);
        all.extend(feeds.iter().map(|(table, feed)| ((number, table.clone()), feed.clone())));
        Registration { connector: self.clone(), number }
    }
}

/// Feeds that can be found.
pub(crate) struct Registration {
    connector: Arc<KeptConnector>,
    number: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        lock(&self.connector.feeds).retain(|(number, _), _| *number != self.number);
    }
}

impl Connector for KeptConnector {
    fn name(&self) -> &'static str {
        KEPT
    }

    fn changes(&self, options: &BTreeMap<String, String>) -> SourceChanges {
        match options.get(READ).map(String::as_str) {
            Some(CHANGES) => SourceChanges::Full,
            _ => SourceChanges::Inserts,
        }
    }

    fn source(&self, mut options: Options, request: SourceRequest) -> Result<Arc<dyn Source>, ConnectorError> {
        let number: u64 = options.parsed(JOB)?.unwrap_or_default();
        let bounded = options.text(READ).as_deref() != Some(CHANGES);
        let table = options.text(SCHEMA).zip(options.text(TABLE)).map(|(schema, table)| Name::new(&schema, &table));
        let known_by = options.text(KNOWN_BY).unwrap_or_else(|| request.table.clone());
        options.finish()?;
        let feed = table.and_then(|table| lock(&self.feeds).get(&(number, table)).cloned());
        Ok(Arc::new(KeptSource { feed, bounded, known_by, request }))
    }
}

/// Changes on their way to a job.
#[derive(Default)]
pub(crate) struct Feed {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<ChangeBatch>,
    /// The job has computed all that was pushed, but for what waits for the end of the epoch.
    is_taken: bool,
    /// Nothing will be pushed any more.
    is_closed: bool,
    reader: Option<Waker>,
}

impl Feed {
    /// A feed of these rows and nothing else.
    pub(crate) fn of(rows: impl IntoIterator<Item = RecordBatch>) -> Arc<Self> {
        let waiting = rows.into_iter().map(ChangeBatch::inserts).collect();
        let state = State { waiting, is_closed: true, ..State::default() };
        Arc::new(Self { state: Mutex::new(state), changed: Condvar::new() })
    }

    /// Gives the job changes.
    pub(crate) fn push(&self, changes: ChangeBatch) {
        let reader = {
            let mut state = lock(&self.state);
            state.waiting.push_back(changes);
            state.is_taken = false;
            state.reader.take()
        };
        reader.into_iter().for_each(Waker::wake);
    }

    /// Rows that wait for the job.
    pub(crate) fn waiting_rows(&self) -> u64 {
        lock(&self.state).waiting.iter().map(|changes| changes.num_rows() as u64).sum()
    }

    /// What waits for the job first.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> Option<ChangeBatch> {
        lock(&self.state).waiting.front().cloned()
    }

    /// Waits for a while until the job has taken all that was pushed; false when it has not.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(lock(&self.state), time, |state| !state.is_taken);
        waited.is_ok_and(|(state, _)| state.is_taken)
    }
}

struct KeptSource {
    /// `None`: the plan is looked at, and does not run.
    feed: Option<Arc<Feed>>,
    bounded: bool,
    /// What state knows the table by.
    known_by: String,
    request: SourceRequest,
}

impl Source for KeptSource {
    fn boundedness(&self) -> Boundedness {
        if self.bounded { Boundedness::Bounded } else { Boundedness::Unbounded }
    }

    fn is_repeatable(&self) -> bool {
        false
    }

    fn splits(&self, _shards: usize) -> Result<Vec<Split>, ConnectorError> {
        Ok(vec![Split { id: self.known_by.clone(), range: 0..u64::MAX }])
    }

    fn open(&self, _split: &Split, from: Position, _rim: &Rim) -> Result<Box<dyn SplitReader>, ConnectorError> {
        let feed = self.feed.clone().ok_or_else(|| ConnectorError::Unsupported {
            message: format!(
                "connector '{KEPT}' belongs to tables that the engine keeps, and cannot be used in CREATE TABLE"
            ),
            hint: "leave WITH (…) out: then statements write the table".into(),
        })?;
        Ok(Box::new(Reader { feed, read: from.0 }))
    }

    fn decoder(&self, _split: &Split) -> Result<Box<dyn Decoder>, ConnectorError> {
        Ok(Box::new(Projecting { columns: self.request.projection.clone(), changes: None, at: 0, end: Position(0) }))
    }
}

struct Reader {
    feed: Arc<Feed>,
    read: u64,
}

impl SplitReader for Reader {
    fn poll_block(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<RawBlock>, ConnectorError>> {
        let mut state = lock(&self.feed.state);
        if let Some(changes) = state.waiting.pop_front() {
            let start = Position(self.read);
            self.read += 1;
            let payload = Payload::Changes(changes);
            return Poll::Ready(Ok(Some(RawBlock { payload, start, end: Position(self.read) })));
        }
        if state.is_closed {
            return Poll::Ready(Ok(None));
        }
        // A reader is asked for more when what it gave was decoded and has gone through the operators of its task.
        state.is_taken = true;
        state.reader = Some(cx.waker().clone());
        drop(state);
        self.feed.changed.notify_all();
        Poll::Pending
    }
}

/// Hands out the columns that the job reads.
struct Projecting {
    columns: Vec<usize>,
    changes: Option<ChangeBatch>,
    at: usize,
    end: Position,
}

impl Decoder for Projecting {
    fn feed(&mut self, block: RawBlock) -> Result<(), ConnectorError> {
        let Payload::Changes(changes) = block.payload else {
            let message = "a block of another reader".into();
            return Err(ConnectorError::Format { place: KEPT.into(), message });
        };
        let rows = changes.rows().project(&self.columns)?;
        (self.changes, self.at, self.end) = (Some(changes.with_rows(rows)?), 0, block.end);
        Ok(())
    }

    fn next(&mut self, rows_max: usize) -> Result<Option<Decoded>, ConnectorError> {
        let Some(changes) = self.changes.as_ref().filter(|changes| self.at < changes.num_rows()) else {
            self.changes = None;
            return Ok(None);
        };
        let rows = rows_max.max(1).min(changes.num_rows() - self.at);
        let part = changes.slice(self.at, rows);
        self.at += rows;
        Ok(Some(Decoded { changes: part, skipped: 0, position: self.end }))
    }
}
