//! Driving sources in tests: a rim on a small tokio runtime, a clock moved by hand, readers drained by polling.

use crate::{
    Clock, ConnectorError, Decoded, Position, Registry, Rim, Source, SourceRequest, Split, SplitReader,
    clock::ManualClock,
};
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use std::collections::BTreeMap;
use std::future::poll_fn;
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
        let rim = Rim { tokio: runtime.handle().clone(), clock: clock.clone() };
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
        decoder: &mut dyn crate::Decoder,
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
