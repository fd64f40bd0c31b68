//! How the job of a sink reads what it is to write.
//!
//! A position is the number of a record of [`Told`], and rows of it: `record << 32 | rows`. 0 is the beginning, which is all rows as they were
//! written last.

use crate::durable::{Entry, Next, Told};
use crate::lock::lock;
use eddyline_changes::ChangeBatch;
use eddyline_connectors::{
    Boundedness, Connector, ConnectorError, Decoded, Decoder, Options, Payload, Position, RawBlock, Rim, Source,
    SourceChanges, SourceRequest, Split, SplitReader,
};
use eddyline_planner::SqlError;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::task::JoinHandle;

/// The connector's name; `$` keeps it apart from what users write.
const TOLD: &str = "$told";
const NUMBER: &str = "number";
const ROWS: &str = "rows";
const GROW: &str = "grow";
const CHANGE: &str = "change";

/// The options that stand for what a sink is to write in the plan of its job.
pub(super) fn options(number: u64, grows: bool) -> BTreeMap<String, String> {
    let rows = if grows { GROW } else { CHANGE };
    let own = [("connector", TOLD.to_owned()), (NUMBER, number.to_string()), (ROWS, rows.to_owned())];
    own.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// The position at which a record begins.
pub(super) fn position(record: u64) -> u64 {
    record << 32
}

/// What sinks of an engine are to write, by a number.
#[derive(Default)]
pub(crate) struct ToldConnector {
    all: Mutex<HashMap<u64, Arc<Told>>>,
}

impl ToldConnector {
    /// Sources find it as long as the registration lives.
    pub(super) fn register(self: &Arc<Self>, number: u64, told: &Arc<Told>) -> Registration {
        lock(&self.all).insert(number, told.clone());
        Registration { connector: self.clone(), number }
    }
}

/// What can be found.
pub(super) struct Registration {
    connector: Arc<ToldConnector>,
    number: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        lock(&self.connector.all).remove(&self.number);
    }
}

impl Connector for ToldConnector {
    fn name(&self) -> &'static str {
        TOLD
    }

    fn changes(&self, options: &BTreeMap<String, String>) -> SourceChanges {
        match options.get(ROWS).map(String::as_str) {
            Some(GROW) => SourceChanges::Inserts,
            _ => SourceChanges::Full,
        }
    }

    fn source(&self, mut options: Options, request: SourceRequest) -> Result<Arc<dyn Source>, ConnectorError> {
        let number: u64 = options.parsed(NUMBER)?.unwrap_or_default();
        let _ = options.text(ROWS);
        options.finish()?;
        Ok(Arc::new(ToldSource { told: lock(&self.all).get(&number).cloned(), request }))
    }
}

struct ToldSource {
    /// `None`: it is gone, or was never there.
    told: Option<Arc<Told>>,
    request: SourceRequest,
}

impl Source for ToldSource {
    fn boundedness(&self) -> Boundedness {
        Boundedness::Unbounded
    }

    fn splits(&self, _shards: usize) -> Result<Vec<Split>, ConnectorError> {
        Ok(vec![Split { id: self.request.table.clone(), range: 0..u64::MAX }])
    }

    fn open(&self, _split: &Split, from: Position, rim: &Rim) -> Result<Box<dyn SplitReader>, ConnectorError> {
        let told = self.told.clone().ok_or_else(|| ConnectorError::Unsupported {
            message: format!("connector '{TOLD}' belongs to sinks, and cannot be used in CREATE TABLE"),
            hint: "CREATE SINK … FROM t".into(),
        })?;
        let start = if from.0 == 0 { told.beginning() } else { told.from(from.0 >> 32) };
        Ok(Box::new(Reader {
            told,
            tokio: rim.tokio.clone(),
            next: start.record,
            skipped_rows: from.0 & u64::from(u32::MAX),
            takes_all: start.takes_all,
            is_in_all: start.takes_all && from.0 != 0,
            ahead: VecDeque::new(),
            reading: None,
        }))
    }

    fn decoder(&self, _split: &Split) -> Result<Box<dyn Decoder>, ConnectorError> {
        Ok(Box::new(Rows { columns: self.request.projection.clone(), block: None, at: 0 }))
    }
}

type Portion = Result<VecDeque<(u64, Entry)>, SqlError>;

struct Reader {
    told: Arc<Told>,
    tokio: tokio::runtime::Handle,
    /// The record that comes next.
    next: u64,
    /// Rows of that record that were read before.
    skipped_rows: u64,
    /// The rows of the first section are for this reader.
    takes_all: bool,
    /// It is in a section of all rows.
    is_in_all: bool,
    /// What was read of the disk.
    ahead: VecDeque<(u64, Entry)>,
    reading: Option<JoinHandle<Portion>>,
}

impl SplitReader for Reader {
    fn poll_block(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<RawBlock>, ConnectorError>> {
        loop {
            let entry = match self.poll_entry(cx) {
                Poll::Ready(Ok(entry)) => entry,
                Poll::Ready(Err(message)) => {
                    return Poll::Ready(Err(ConnectorError::Format { place: "the rows of the sink".into(), message }));
                }
                Poll::Pending => return Poll::Pending,
            };
            let number = self.next;
            self.next += 1;
            match entry {
                Entry::All => self.is_in_all = true,
                Entry::End => (self.is_in_all, self.takes_all) = (false, false),
                Entry::Changes(_) if self.is_in_all && !self.takes_all => {}
                Entry::Changes(changes) => {
                    let start = Position(position(number) | std::mem::take(&mut self.skipped_rows));
                    let end = Position(position(number + 1));
                    return Poll::Ready(Ok(Some(RawBlock { payload: Payload::Changes(changes), start, end })));
                }
            }
        }
    }
}

impl Reader {
    fn poll_entry(&mut self, cx: &mut Context<'_>) -> Poll<Result<Entry, String>> {
        loop {
            if let Some((_, entry)) = self.ahead.pop_front() {
                return Poll::Ready(Ok(entry));
            }
            if let Some(reading) = &mut self.reading {
                let Poll::Ready(read) = Pin::new(reading).poll(cx) else { return Poll::Pending };
                self.reading = None;
                match read {
                    Ok(Ok(portion)) => self.ahead = portion,
                    Ok(Err(error)) => return Poll::Ready(Err(error.message)),
                    Err(error) => return Poll::Ready(Err(error.to_string())),
                }
                continue;
            }
            match self.told.next(self.next, cx.waker()) {
                Next::Entry(entry) => return Poll::Ready(Ok(entry)),
                Next::Stored => {
                    let (told, from) = (self.told.clone(), self.next);
                    self.reading = Some(self.tokio.spawn_blocking(move || told.portion(from)));
                }
                Next::Nothing => return Poll::Pending,
                Next::Failed(why) => return Poll::Ready(Err(why)),
            }
        }
    }
}

/// Hands out the columns that the job reads.
struct Rows {
    columns: Vec<usize>,
    block: Option<Block>,
    at: usize,
}

struct Block {
    changes: ChangeBatch,
    /// Where its record begins, and the next one.
    start: u64,
    end: Position,
}

impl Decoder for Rows {
    fn feed(&mut self, block: RawBlock) -> Result<(), ConnectorError> {
        let Payload::Changes(changes) = block.payload else {
            return Err(ConnectorError::Format { place: TOLD.into(), message: "a block of another reader".into() });
        };
        let rows = changes.rows().project(&self.columns)?;
        self.at = (block.start.0 & u64::from(u32::MAX)) as usize;
        let start = block.start.0 >> 32 << 32;
        self.block = Some(Block { changes: changes.with_rows(rows)?, start, end: block.end });
        Ok(())
    }

    fn next(&mut self, rows_max: usize) -> Result<Option<Decoded>, ConnectorError> {
        let Some(block) = self.block.as_ref().filter(|block| self.at < block.changes.num_rows()) else {
            self.block = None;
            return Ok(None);
        };
        let left = block.changes.num_rows() - self.at;
        let rows = rows_max.max(1).min(left);
        let part = block.changes.slice(self.at, rows);
        self.at += rows;
        let position = if rows == left { block.end } else { Position(block.start | self.at as u64) };
        Ok(Some(Decoded { changes: part, skipped: 0, position }))
    }

    /// A record is what one statement changes.
    fn is_within(&self) -> bool {
        self.block.as_ref().is_some_and(|block| self.at > 0 && self.at < block.changes.num_rows())
    }
}
