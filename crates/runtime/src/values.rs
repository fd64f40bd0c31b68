//! Rows of a VALUES clause as a bounded source of one split.

use arrow::array::RecordBatch;
use eddyline_changes::ChangeBatch;
use eddyline_connectors::{
    Boundedness, ConnectorError, Decoded, Decoder, Payload, Position, RawBlock, Rim, Source, Split, SplitReader,
};
use std::task::{Context, Poll};

pub(crate) struct ValuesSource(pub(crate) RecordBatch);

impl Source for ValuesSource {
    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }

    fn splits(&self, _shards: usize) -> Result<Vec<Split>, ConnectorError> {
        Ok(vec![Split { id: "values".into(), range: 0..self.0.num_rows() as u64 }])
    }

    fn open(&self, _split: &Split, from: Position, _rim: &Rim) -> Result<Box<dyn SplitReader>, ConnectorError> {
        let rows = usize::try_from(from.0).unwrap_or(usize::MAX).min(self.0.num_rows());
        Ok(Box::new(ValuesReader { left: Some(self.0.slice(rows, self.0.num_rows() - rows)), start: from }))
    }

    fn decoder(&self, _split: &Split) -> Result<Box<dyn Decoder>, ConnectorError> {
        Ok(Box::new(ValuesDecoder::default()))
    }
}

struct ValuesReader {
    left: Option<RecordBatch>,
    start: Position,
}

impl SplitReader for ValuesReader {
    fn poll_block(&mut self, _cx: &mut Context<'_>) -> Poll<Result<Option<RawBlock>, ConnectorError>> {
        let (start, left) = (self.start, self.left.take().filter(|r| r.num_rows() > 0));
        let block = |rows: RecordBatch| {
            let end = Position(start.0 + rows.num_rows() as u64);
            RawBlock { payload: Payload::Rows(rows), start, end }
        };
        Poll::Ready(Ok(left.map(block)))
    }
}

#[derive(Default)]
struct ValuesDecoder {
    rows: Option<RecordBatch>,
    position: u64,
}

impl Decoder for ValuesDecoder {
    fn feed(&mut self, block: RawBlock) -> Result<(), ConnectorError> {
        self.position = block.start.0;
        if let Payload::Rows(rows) = block.payload {
            self.rows = Some(rows);
        }
        Ok(())
    }

    fn next(&mut self, rows_max: usize) -> Result<Option<Decoded>, ConnectorError> {
        let Some(rows) = self.rows.take() else { return Ok(None) };
        let count = rows.num_rows().min(rows_max);
        if count < rows.num_rows() {
            self.rows = Some(rows.slice(count, rows.num_rows() - count));
        }
        self.position += count as u64;
        let changes = ChangeBatch::inserts(rows.slice(0, count));
        Ok(Some(Decoded { changes, skipped: 0, position: Position(self.position) }))
    }
}
