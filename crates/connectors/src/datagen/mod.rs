//! `'connector' = 'datagen'`: rows out of thin air, column by column, random or counted. Options are Flink's.
//!
//! Random values depend on the seed, the row and the column alone; only times are taken from the clock, as in Flink.

mod column;
mod nested;
#[cfg(test)]
mod tests;

use crate::generator::{self, NumberReader, Numbers};
use crate::{
    Boundedness, Connector, ConnectorError, Decoded, Decoder, Options, Position, RawBlock, Rim, Source, SourceRequest,
    Split, SplitReader,
};
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use column::{Column, Fields};
use eddyline_changes::ChangeBatch;
use std::sync::Arc;

/// Makes generating sources.
pub(crate) struct DatagenConnector;

impl Connector for DatagenConnector {
    fn name(&self) -> &'static str {
        "datagen"
    }

    fn source(&self, mut options: Options, request: SourceRequest) -> Result<Arc<dyn Source>, ConnectorError> {
        let per_second = options.parsed::<u32>("rows-per-second")?.unwrap_or(10_000);
        let rows = options.parsed::<u64>("number-of-rows")?;
        let seed = options.parsed::<u64>("seed")?.unwrap_or(0);
        let mut fields = Fields::new(&mut options);
        options.finish()?;
        let all = request.physical.fields().iter().enumerate();
        let all = all.map(|(at, field)| Column::new(&mut fields, at, field, seed)).collect::<Result<Vec<_>, _>>()?;
        fields.finish()?;
        let ends = all.iter().filter_map(Column::rows).chain(rows).min();
        let columns = request.projection.iter().map(|c| all[*c].clone()).collect();
        let per_second = Some(f64::from(per_second)).filter(|rate| *rate > 0.0);
        Ok(Arc::new(DatagenSource { schema: request.decoded(), columns, rows: ends, per_second }))
    }
}

struct DatagenSource {
    schema: SchemaRef,
    columns: Arc<[Column]>,
    rows: Option<u64>,
    per_second: Option<f64>,
}

impl Source for DatagenSource {
    fn boundedness(&self) -> Boundedness {
        if self.rows.is_some() { Boundedness::Bounded } else { Boundedness::Unbounded }
    }

    /// Split `i` of `n` has the rows `r` with `r % n == i`.
    fn splits(&self, shards: usize) -> Result<Vec<Split>, ConnectorError> {
        let end = |i: u64, of: u64| self.rows.map_or(u64::MAX, |rows| (rows + of - 1 - i) / of);
        Ok(generator::splits("datagen", shards, |i, of| 0..end(i, of)))
    }

    fn open(&self, split: &Split, from: Position, rim: &Rim) -> Result<Box<dyn SplitReader>, ConnectorError> {
        let (_, of) = generator::number_of(split)?;
        Ok(NumberReader::open(split, from, self.per_second.map(|rate| rate / of as f64), rim))
    }

    fn decoder(&self, split: &Split) -> Result<Box<dyn Decoder>, ConnectorError> {
        let split = generator::number_of(split)?;
        let (schema, columns) = (self.schema.clone(), self.columns.clone());
        Ok(Box::new(DatagenDecoder { schema, columns, split, left: None }))
    }
}

struct DatagenDecoder {
    schema: SchemaRef,
    columns: Arc<[Column]>,
    split: (u64, u64),
    left: Option<Numbers>,
}

impl Decoder for DatagenDecoder {
    fn feed(&mut self, block: RawBlock) -> Result<(), ConnectorError> {
        self.left = Some(generator::numbers(block));
        Ok(())
    }

    fn next(&mut self, rows_max: usize) -> Result<Option<Decoded>, ConnectorError> {
        let Some(left) = self.left.as_mut().filter(|left| !left.positions.is_empty()) else { return Ok(None) };
        let start = left.positions.start;
        let end = left.positions.end.min(start.saturating_add(rows_max as u64));
        left.positions.start = end;
        let rows: Vec<u64> = (start..end).map(|p| p * self.split.1 + self.split.0).collect();
        let arrays = self.columns.iter().map(|c| c.array(&rows, left.wall_ms)).collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)?;
        Ok(Some(Decoded { changes: ChangeBatch::inserts(batch), skipped: 0, position: Position(end) }))
    }
}
