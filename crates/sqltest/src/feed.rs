//! The connector `changes`: rows with weights out of SQL text, or handed over by a test while the job runs.
//!
//! ```sql
//! CREATE TABLE t (k STRING, v BIGINT) WITH ('connector' = 'changes', 'rows' = '
//!   + a 1
//!   + b 2
//!   - a 1
//! ');
//! ```
//! The text is a change table (see `eddyline_changes::table`). `rows.1`, `rows.2`, … are further splits. A table
//! with `'feed' = 'name'` reads what a test pushes into the [`Feed`] of that name, block by block, until it is closed.

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use eddyline_changes::table::parse_changes;
use eddyline_changes::{ChangeBatch, RowKind};
use eddyline_connectors::changelog::row_kinds;
use eddyline_connectors::format::{self, BytesFormat, EncodingFormat, Place};
use eddyline_connectors::{
    Boundedness, Connector, ConnectorError, Decoded, Decoder, Options, Payload, Position, RawBlock, Rim, Source,
    SourceChanges, SourceRequest, Split, SplitReader,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Rows on their way into a table: one queue per split.
#[derive(Clone)]
pub struct Feed {
    splits: Vec<Arc<Mutex<Queue>>>,
}

#[derive(Default)]
struct Queue {
    blocks: VecDeque<ChangeBatch>,
    closed: bool,
    waker: Option<Waker>,
}

impl Feed {
    /// A feed of `splits` splits.
    pub fn new(splits: usize) -> Self {
        Self { splits: (0..splits).map(|_| Arc::default()).collect() }
    }

    /// Number of splits.
    pub fn splits(&self) -> usize {
        self.splits.len()
    }

    /// Hands changes (in the table's physical schema) to a split.
    pub fn push(&self, split: usize, changes: ChangeBatch) {
        let mut queue = lock(&self.splits[split]);
        queue.blocks.push_back(changes);
        wake(&mut queue);
    }

    /// Ends all splits after what was pushed.
    pub fn close(&self) {
        for split in &self.splits {
            let mut queue = lock(split);
            queue.closed = true;
            wake(&mut queue);
        }
    }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wake(queue: &mut Queue) {
    if let Some(waker) = queue.waker.take() {
        waker.wake();
    }
}

/// The connector, with the feeds that its tables may name.
#[derive(Clone, Default)]
pub struct Changes {
    feeds: BTreeMap<String, Feed>,
}

impl Changes {
    /// With one more feed.
    pub fn with_feed(mut self, name: impl Into<String>, feed: Feed) -> Self {
        self.feeds.insert(name.into(), feed);
        self
    }
}

impl Connector for Changes {
    fn name(&self) -> &'static str {
        "changes"
    }

    fn changes(&self, options: &BTreeMap<String, String>) -> SourceChanges {
        let is_set = |name: &str| options.get(name).is_some_and(|v| v == "true");
        match (is_set("upserts"), is_set("retracts")) {
            (true, _) => SourceChanges::Upserts,
            (false, true) => SourceChanges::Full,
            (false, false) => SourceChanges::Inserts,
        }
    }

    fn source(&self, mut options: Options, request: SourceRequest) -> Result<Arc<dyn Source>, ConnectorError> {
        let pushed = options.text("feed").is_some();
        let feed = match options.text("feed") {
            Some(name) => self.feeds.get(&name).cloned().ok_or_else(|| options.bad("feed", &name, "is no feed"))?,
            None => written(&mut options, &request.physical)?,
        };
        options.flag("retracts", false)?;
        options.flag("upserts", false)?;
        let through = options.text("through").map(|format| Through::new(&format, &request)).transpose()?;
        options.finish()?;
        let (projection, schema) = (request.projection.clone(), request.decoded());
        Ok(Arc::new(ChangesSource { feed, pushed, projection, schema, through }))
    }
}

/// The rows that stand in the options: a feed that is closed already.
fn written(options: &mut Options, physical: &Arc<Schema>) -> Result<Feed, ConnectorError> {
    let texts: Vec<String> = options.with_prefix("rows").into_values().collect();
    if texts.is_empty() {
        options.required("rows")?;
    }
    let feed = Feed::new(texts.len());
    for (split, text) in texts.iter().enumerate() {
        feed.push(split, parse_changes(physical, text)?);
    }
    feed.close();
    Ok(feed)
}

struct ChangesSource {
    feed: Feed,
    pushed: bool,
    projection: Vec<usize>,
    schema: SchemaRef,
    through: Option<Through>,
}

/// A format that rows are written in and read from on their way, to see that they arrive as they were.
#[derive(Clone)]
struct Through {
    write: Arc<dyn EncodingFormat>,
    read: Arc<dyn BytesFormat>,
    schema: SchemaRef,
    key: Vec<usize>,
}

impl Through {
    fn new(format: &str, request: &SourceRequest) -> Result<Self, ConnectorError> {
        let given = BTreeMap::from([("format".to_owned(), format.to_owned())]);
        let options = || Options::new(&request.table, &given);
        let write = format::encoding(&mut options(), &request.physical, &request.key)?;
        let read = format::decoding(&mut options(), request)?;
        Ok(Self { write, read, schema: request.decoded(), key: request.key.clone() })
    }

    /// `changes` as they come out of the format, one by one in their order: an upsert may follow another.
    fn carry(&self, changes: &ChangeBatch) -> Result<ChangeBatch, ConnectorError> {
        let mut bytes = Vec::new();
        let key = (!self.key.is_empty()).then_some(self.key.as_slice());
        let kinds = match key {
            // Told by their key, rows are not taken back one by one.
            Some(_) => (0..changes.num_rows() as u32)
                .map(|row| {
                    (row, if changes.weights().at(row as usize) > 0 { RowKind::Insert } else { RowKind::Delete })
                })
                .collect(),
            None => row_kinds(changes, None)?,
        };
        self.write.encode_changes(changes.rows(), &kinds, &mut bytes)?;
        let mut decoder = self.read.decoder(Place::new("through"))?;
        let end = Position(bytes.len() as u64);
        decoder.feed(RawBlock { payload: Payload::Bytes(bytes.into()), start: Position(0), end })?;
        let mut all = Vec::new();
        while let Some(decoded) = decoder.next(7)? {
            all.push(decoded.changes);
        }
        Ok(ChangeBatch::concat(&self.schema, &all)?)
    }
}

impl Source for ChangesSource {
    fn boundedness(&self) -> Boundedness {
        // Rows that a test pushes must be read as they come, from all splits at once.
        if self.pushed { Boundedness::Unbounded } else { Boundedness::Bounded }
    }

    fn splits(&self, _shards: usize) -> Result<Vec<Split>, ConnectorError> {
        Ok((0..self.feed.splits()).map(|s| Split { id: s.to_string(), range: 0..u64::MAX }).collect())
    }

    fn open(&self, split: &Split, from: Position, _rim: &Rim) -> Result<Box<dyn SplitReader>, ConnectorError> {
        let at: usize = split
            .id
            .parse()
            .map_err(|_| ConnectorError::Format { place: split.id.clone(), message: "is no split of a feed".into() })?;
        Ok(Box::new(ChangesReader { queue: self.feed.splits[at].clone(), position: 0, skip: from.0 }))
    }

    fn decoder(&self, _split: &Split) -> Result<Box<dyn Decoder>, ConnectorError> {
        let (projection, schema, through) = (self.projection.clone(), self.schema.clone(), self.through.clone());
        Ok(Box::new(ChangesDecoder { projection, schema, through, block: None }))
    }
}

struct ChangesReader {
    queue: Arc<Mutex<Queue>>,
    position: u64,
    /// Rows before this were handed out before a restart.
    skip: u64,
}

impl SplitReader for ChangesReader {
    fn poll_block(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<RawBlock>, ConnectorError>> {
        let mut queue = lock(&self.queue);
        loop {
            let Some(changes) = queue.blocks.get(usize::try_from(self.position).unwrap_or(0)).cloned() else {
                if queue.closed {
                    return Poll::Ready(Ok(None));
                }
                queue.waker = Some(cx.waker().clone());
                return Poll::Pending;
            };
            self.position += 1;
            if self.position > self.skip {
                let (start, end) = (Position(self.position - 1), Position(self.position));
                return Poll::Ready(Ok(Some(RawBlock { payload: Payload::Changes(changes), start, end })));
            }
        }
    }
}

struct ChangesDecoder {
    projection: Vec<usize>,
    schema: SchemaRef,
    through: Option<Through>,
    block: Option<(ChangeBatch, Position)>,
}

impl Decoder for ChangesDecoder {
    fn feed(&mut self, block: RawBlock) -> Result<(), ConnectorError> {
        let Payload::Changes(changes) = block.payload else {
            return Err(ConnectorError::Format { place: "changes".into(), message: "block of another source".into() });
        };
        self.block = Some((changes, block.end));
        Ok(())
    }

    fn next(&mut self, _rows_max: usize) -> Result<Option<Decoded>, ConnectorError> {
        let Some((changes, position)) = self.block.take() else { return Ok(None) };
        if let Some(through) = &self.through {
            return Ok(Some(Decoded { changes: through.carry(&changes)?, skipped: 0, position }));
        }
        let columns = changes.rows().project(&self.projection)?.columns().to_vec();
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(changes.num_rows()));
        let rows = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        Ok(Some(Decoded { changes: changes.with_rows(rows)?, skipped: 0, position }))
    }
}
