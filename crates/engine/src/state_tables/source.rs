//! The connector of [`StateTables`](super::StateTables): the rows of a shard of a picture are a split, read on a thread that may wait.

use super::StateTable;
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use eddyline_changes::{ChangeBatch, Weights};
use eddyline_connectors::{
    Boundedness, Connector, ConnectorError, Decoded, Decoder, Options, Payload, Position, RawBlock, Rim, Source,
    SourceRequest, Split, SplitReader,
};
use eddyline_runtime::RuntimeError;
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use tokio::sync::mpsc::{Receiver, channel};

/// The connector's name; `$` keeps it apart from what users write.
pub(super) const STATE: &str = "$state";
/// The option that names the table.
pub(super) const NUMBER: &str = "number";
/// Batches that wait to be decoded.
const BATCHES_WAITING_MAX: usize = 4;

/// The tables of all statements that are planned or run, by number.
#[derive(Default)]
pub(crate) struct StateConnector {
    tables: Mutex<HashMap<u64, Weak<StateTable>>>,
    numbers: AtomicU64,
}

impl StateConnector {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Weak<StateTable>>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a table a number, as long as somebody holds it.
    pub(super) fn add(&self, table: &Arc<StateTable>) -> u64 {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let mut tables = self.lock();
        tables.retain(|_, table| table.strong_count() > 0);
        tables.insert(number, Arc::downgrade(table));
        number
    }
}

impl Connector for StateConnector {
    fn name(&self) -> &'static str {
        STATE
    }

    fn source(&self, mut options: Options, request: SourceRequest) -> Result<Arc<dyn Source>, ConnectorError> {
        let number: u64 = options.parsed(NUMBER)?.unwrap_or(u64::MAX);
        options.finish()?;
        let table = self.lock().get(&number).and_then(Weak::upgrade);
        let table = table.ok_or_else(|| ConnectorError::Unsupported {
            message: format!("connector '{STATE}' cannot be used in CREATE TABLE"),
            hint: "write SELECT … FROM STATE('job', 'operator')".into(),
        })?;
        Ok(Arc::new(StateSource { table, projection: request.projection.clone(), schema: request.decoded() }))
    }
}

struct StateSource {
    table: Arc<StateTable>,
    projection: Vec<usize>,
    schema: SchemaRef,
}

impl Source for StateSource {
    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }

    fn splits(&self, _shards: usize) -> Result<Vec<Split>, ConnectorError> {
        let name = self.table.picture.name();
        let split = |shard| Split { id: format!("{name}#{shard}"), range: 0..u64::MAX };
        Ok((0..self.table.picture.shards()).map(split).collect())
    }

    fn open(&self, split: &Split, from: Position, rim: &Rim) -> Result<Box<dyn SplitReader>, ConnectorError> {
        let shard = split.id.rsplit_once('#').and_then(|(_, shard)| shard.parse().ok());
        let shard: usize = shard.ok_or_else(|| failed(&split.id, io::Error::other("is no split of a state")))?;
        let (to, batches) = channel(BATCHES_WAITING_MAX);
        let (table, place) = (self.table.clone(), split.id.clone());
        rim.tokio.spawn_blocking(move || {
            let mut gone = false;
            let read = table.picture.read(&table.kept, shard, &mut |batch| match to.blocking_send(Ok(batch)) {
                Ok(()) => Ok(()),
                // Nobody reads any more.
                Err(_) => {
                    gone = true;
                    Err(RuntimeError::Plan { message: "nobody reads the state".into() })
                }
            });
            if let (Err(error), false) = (read, gone) {
                // Nobody reads any more: then nobody asks what went wrong.
                let _ = to.blocking_send(Err(failed(&place, io::Error::other(error))));
            }
        });
        Ok(Box::new(StateReader { batches, rows: 0, skip: from.0 }))
    }

    fn decoder(&self, _split: &Split) -> Result<Box<dyn Decoder>, ConnectorError> {
        let (projection, schema) = (self.projection.clone(), self.schema.clone());
        Ok(Box::new(StateDecoder { projection, schema, block: None }))
    }
}

fn failed(place: &str, source: io::Error) -> ConnectorError {
    ConnectorError::Io { place: place.to_owned(), source }
}

struct StateReader {
    batches: Receiver<Result<RecordBatch, ConnectorError>>,
    /// Rows so far.
    rows: u64,
    /// So many were handed out before.
    skip: u64,
}

impl SplitReader for StateReader {
    fn poll_block(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<RawBlock>, ConnectorError>> {
        loop {
            let Some(batch) = ready!(self.batches.poll_recv(cx)) else { return Poll::Ready(Ok(None)) };
            let mut batch = batch?;
            let begin = self.rows;
            self.rows += batch.num_rows() as u64;
            if self.rows <= self.skip {
                continue;
            }
            let skipped = self.skip.saturating_sub(begin);
            batch = batch.slice(skipped as usize, batch.num_rows() - skipped as usize);
            let (start, end) = (Position(begin + skipped), Position(self.rows));
            return Poll::Ready(Ok(Some(RawBlock { payload: Payload::Rows(batch), start, end })));
        }
    }
}

struct StateDecoder {
    projection: Vec<usize>,
    schema: SchemaRef,
    /// What is not handed out yet, and where it begins.
    block: Option<(RecordBatch, u64)>,
}

impl Decoder for StateDecoder {
    fn feed(&mut self, block: RawBlock) -> Result<(), ConnectorError> {
        let Payload::Rows(rows) = block.payload else {
            return Err(failed(STATE, io::Error::other("a block of another source")));
        };
        self.block = Some((rows, block.start.0));
        Ok(())
    }

    fn next(&mut self, rows_max: usize) -> Result<Option<Decoded>, ConnectorError> {
        let Some((rows, start)) = self.block.take() else { return Ok(None) };
        let taken = rows.num_rows().min(rows_max);
        let position = start + taken as u64;
        if taken < rows.num_rows() {
            self.block = Some((rows.slice(taken, rows.num_rows() - taken), position));
        }
        let columns = rows.slice(0, taken).project(&self.projection)?.columns().to_vec();
        let options = RecordBatchOptions::new().with_row_count(Some(taken));
        let rows = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        let changes = ChangeBatch::new(rows, Weights::AllInserts)?;
        Ok(Some(Decoded { changes, skipped: 0, position: Position(position) }))
    }
}
