//! Driving sources in tests: a rim on a small tokio runtime, a clock moved by hand, readers drained by polling.

use crate::format::{BytesFormat, Place};
use crate::{
    Clock, ConnectorError, Decoded, Position, Registry, Rim, Source, SourceRequest, Split, SplitReader,
    clock::ManualClock,
};
use crate::{Decoder, Payload, RawBlock};
use arrow::array::{Array, ArrayRef, RecordBatch, StringArray, UInt32Array};
use arrow::compute::{concat_batches, take};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use bytes::Bytes;
use eddyline_changes::ChangeBatch;
use eddyline_stores::Stores;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io::{self, Read};
use std::sync::Arc;

pub(crate) struct Bench {
    pub(crate) runtime: tokio::runtime::Runtime,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) rim: Rim,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a tokio runtime");
        let clock = ManualClock::shared();
        let rim = Rim { tokio: runtime.handle().clone(), clock: clock.clone(), stores: Stores::new([]) };
        Self { runtime, clock, rim }
    }

    /// On the machine's clock, for what is really watched.
    pub(crate) fn with_system_clock() -> Self {
        let mut bench = Self::new();
        bench.rim.clock = crate::clock::SystemClock::shared(bench.runtime.handle().clone());
        let _: &Arc<dyn Clock> = &bench.rim.clock;
        bench
    }

    /// The next rows of a reader; `None` at its end.
    pub(crate) fn rows(
        &self,
        reader: &mut dyn SplitReader,
        decoder: &mut dyn Decoder,
        rows_max: usize,
    ) -> Result<Option<Vec<Decoded>>, ConnectorError> {
        let block = self.runtime.block_on(poll_fn(|cx| reader.poll_block(cx)))?;
        let Some(block) = block else { return Ok(None) };
        decoder.feed(block)?;
        let mut all = Vec::new();
        while let Some(decoded) = decoder.next(rows_max)? {
            assert!(decoded.changes.num_rows() <= rows_max);
            all.push(decoded);
        }
        Ok(Some(all))
    }

    pub(crate) fn read_split(
        &self,
        source: &dyn Source,
        split: &Split,
        from: Position,
        rows_max: usize,
    ) -> Result<Vec<Decoded>, ConnectorError> {
        let (mut reader, mut decoder) = (source.open(split, from, &self.rim)?, source.decoder(split)?);
        let mut all = Vec::new();
        while let Some(rows) = self.rows(&mut *reader, &mut *decoder, rows_max)? {
            all.extend(rows);
        }
        Ok(all)
    }

    /// All rows of all splits, one after the other.
    pub(crate) fn read(&self, source: &dyn Source, shards: usize) -> Result<RecordBatch, ConnectorError> {
        let mut batches = Vec::new();
        for split in source.splits(shards)? {
            let decoded = self.read_split(source, &split, Position(0), 1000)?;
            batches.extend(decoded.into_iter().map(|d| d.changes.rows().clone()));
        }
        let schema = batches.first().map_or_else(|| Arc::new(Schema::empty()), RecordBatch::schema);
        Ok(concat_batches(&schema, &batches)?)
    }
}

pub(crate) fn schema(fields: &[(&str, DataType)]) -> SchemaRef {
    Arc::new(Schema::new(fields.iter().map(|(n, t)| Field::new(*n, t.clone(), true)).collect::<Vec<_>>()))
}

pub(crate) fn request(physical: &SchemaRef) -> SourceRequest {
    SourceRequest {
        table: "t".into(),
        physical: physical.clone(),
        key: vec![],
        projection: (0..physical.fields().len()).collect(),
        metadata: vec![],
        time_zone: "UTC".into(),
    }
}

pub(crate) fn metadata(key: &str, data_type: DataType) -> (String, FieldRef) {
    (key.into(), Arc::new(Field::new(key, data_type, true)))
}

pub(crate) fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

pub(crate) fn source(pairs: &[(&str, &str)], request: SourceRequest) -> Result<Arc<dyn Source>, ConnectorError> {
    Registry::builtin().source(&options(pairs), request)
}

/// The message and hint of what should fail.
pub(crate) fn failure<T>(result: Result<T, ConnectorError>) -> String {
    match result {
        Ok(_) => panic!("should fail"),
        Err(e) => format!("{e}\n{}", e.hint().unwrap_or_default()),
    }
}

/// Rows as lines, columns between commas, NULL as `-`.
pub(crate) fn lines(rows: &RecordBatch) -> String {
    use arrow::util::display::{ArrayFormatter, FormatOptions};
    let options = FormatOptions::default().with_null("-").with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.3f"));
    let columns: Vec<_> = rows.columns().iter().map(|c| ArrayFormatter::try_new(c, &options).expect("shown")).collect();
    let line = |row| columns.iter().map(|c| c.value(row).to_string()).collect::<Vec<_>>().join(",") + "\n";
    (0..rows.num_rows()).map(line).collect()
}

/// A format of lines, one column of text; without options, for tests of what carries bytes. Where it is not
/// splittable, a newline behind a `\` does not end a record.
pub(crate) struct Lines {
    pub(crate) splittable: bool,
}

impl Lines {
    fn ends(&self, bytes: &[u8]) -> Vec<usize> {
        let newlines = memchr::memchr_iter(b'\n', bytes);
        newlines.filter(|at| self.splittable || *at == 0 || bytes[at - 1] != b'\\').map(|at| at + 1).collect()
    }
}

impl BytesFormat for Lines {
    fn decoder(&self, place: Place) -> Result<Box<dyn Decoder>, ConnectorError> {
        Ok(Box::new(LineDecoder { lines: Lines { splittable: self.splittable }, place, block: None }))
    }

    fn record_end(&self, bytes: &[u8]) -> Option<usize> {
        self.ends(bytes).last().copied()
    }

    fn is_splittable(&self) -> bool {
        self.splittable
    }

    fn record_starts(&self, input: &mut dyn Read, targets: &[u64]) -> io::Result<Vec<u64>> {
        let mut bytes = Vec::new();
        input.read_to_end(&mut bytes)?;
        let ends = self.ends(&bytes);
        let start = |target: &u64| ends.iter().map(|e| *e as u64).find(|e| e >= target).unwrap_or(bytes.len() as u64);
        Ok(targets.iter().map(start).collect())
    }
}

struct LineDecoder {
    lines: Lines,
    place: Place,
    block: Option<(Bytes, u64)>,
}

impl Decoder for LineDecoder {
    fn feed(&mut self, block: RawBlock) -> Result<(), ConnectorError> {
        let Payload::Bytes(bytes) = block.payload else { panic!("bytes") };
        assert_eq!(bytes.len() as u64, block.end.0 - block.start.0);
        self.block = Some((bytes, block.start.0));
        Ok(())
    }

    fn next(&mut self, rows_max: usize) -> Result<Option<Decoded>, ConnectorError> {
        let Some((bytes, start)) = self.block.as_mut().filter(|(bytes, _)| !bytes.is_empty()) else { return Ok(None) };
        let mut ends = self.lines.ends(bytes);
        if ends.last() != Some(&bytes.len()) {
            ends.push(bytes.len());
        }
        ends.truncate(rows_max);
        let block = bytes.split_to(ends[ends.len() - 1]);
        *start += block.len() as u64;
        let end = *start;
        let starts = [0].into_iter().chain(ends.iter().copied());
        let records =
            starts.zip(&ends).map(|(s, e)| String::from_utf8_lossy(&block[s..*e]).trim_matches('\n').to_owned());
        let text: ArrayRef = Arc::new(StringArray::from_iter_values(records));
        let constants = self.place.constants.iter().map(|c| take(c, &UInt32Array::from(vec![0; text.len()]), None));
        let mut columns = vec![("line".to_owned(), text.clone())];
        columns.extend(constants.enumerate().map(|(i, c)| (format!("m{i}"), c.expect("constant"))));
        let rows = RecordBatch::try_from_iter(columns)?;
        Ok(Some(Decoded { changes: ChangeBatch::inserts(rows), skipped: 0, position: Position(end) }))
    }
}
