//! What both ways to put sessions out share: the rows by partition and time.

use super::NAME;
use super::spans::{Clocked, Span};
use crate::aggregation::{BATCH_ROWS_MAX, columns};
use crate::event_time::{session_millis, span_columns};
use crate::partitions::{Arrivals, Codec, Partitions};
use crate::{Context, OperatorError, Rejected};
use arrow::array::{Array, RecordBatch};
use arrow::compute::{is_not_null, min};
use arrow::datatypes::{DataType, SchemaRef};
use eddyline_changes::{ChangeBatch, Weights};
use eddyline_plan::{OrderColumn, SessionAssignSpec};
use eddyline_state::Store;

/// The rows of all partitions, and those that came since they were merged last.
pub(super) struct SessionRows {
    pub(super) spec: SessionAssignSpec,
    pub(super) clocked: Clocked,
    pub(super) codec: Codec,
    pub(super) state: Partitions,
    pub(super) arrivals: Arrivals,
    time_type: DataType,
    output: SchemaRef,
    slots: Vec<u32>,
}

/// Rows that are put out.
#[derive(Default)]
pub(super) struct Emission {
    /// Partitions and rows.
    rows: Vec<(u32, u32)>,
    spans: Vec<Span>,
    weights: Vec<i64>,
}

impl Emission {
    pub(super) fn push(&mut self, slot: u32, row: u32, span: Span, weight: i64) {
        self.rows.push((slot, row));
        self.spans.push(span);
        self.weights.push(weight);
    }
}

impl SessionRows {
    pub(super) fn open(
        spec: &SessionAssignSpec,
        input: &SchemaRef,
        output: &SchemaRef,
        store: &Store,
        ttl_ms: Option<u64>,
    ) -> Result<Self, OperatorError> {
        let time_type = input.field(spec.time).data_type().clone();
        let order = OrderColumn { column: spec.time, descending: false, nulls_first: true };
        let state = Partitions::open(NAME, &spec.partition, input, None, Some(store), ttl_ms)?;
        Ok(Self {
            clocked: Clocked::new(spec.gap_ms, &time_type)?,
            codec: Codec::new(&spec.partition, &[order], input)?,
            state: if spec.closes { state.staying()? } else { state },
            arrivals: Arrivals::default(),
            time_type,
            output: output.clone(),
            slots: Vec::new(),
            spec: spec.clone(),
        })
    }

    /// Notes rows that came. Returns the earliest of their times, if there is any.
    pub(super) fn note(&mut self, changes: ChangeBatch, ctx: &mut Context<'_>) -> Result<Option<i64>, OperatorError> {
        let time = changes.column(self.spec.time);
        let nulls = time.null_count();
        ctx.reject(Rejected::NullTime, nulls as u64);
        let changes = if nulls > 0 { changes.filter(&is_not_null(time)?)? } else { changes };
        let times = session_millis(NAME, self.spec.gap_ms, changes.column(self.spec.time))?;
        let hashes = changes.key_hashes(&self.spec.partition)?;
        self.state.lookup(&columns(&changes, &self.spec.partition), &hashes, &mut self.slots)?;
        self.arrivals.make_room(self.state.slots_max());
        let order = self.codec.order.encode(&changes, None)?;
        let rest = self.codec.rest.encode(&changes, None)?;
        for (row, slot) in self.slots.iter().enumerate() {
            let number = self.state.rows.add(order.row(row), rest.row(row), changes.weights().at(row));
            self.arrivals.add(*slot, number);
        }
        Ok(min(&times))
    }

    /// The row of a partition that is equal to another one.
    pub(super) fn known(&self, slot: u32, row: u32) -> Option<u32> {
        let (list, rows) = (self.state.list(slot), &self.state.rows);
        let at = list.binary_search_by(|known| rows.bytes(*known).cmp(rows.bytes(row)));
        at.ok().map(|at| list[at])
    }

    /// The time of a row in milliseconds.
    pub(super) fn time(&self, row: u32) -> i64 {
        self.clocked.time(&self.state.rows, row)
    }

    /// Puts rows out.
    pub(super) fn emit(&self, out: &Emission, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let all: Vec<usize> = (0..self.codec.places.len()).collect();
        for from in (0..out.rows.len()).step_by(BATCH_ROWS_MAX) {
            let range = from..out.rows.len().min(from + BATCH_ROWS_MAX);
            let mut columns = self.state.columns(&self.codec, &all, &out.rows[range.clone()])?;
            let (starts, ends) = out.spans[range.clone()].iter().map(|span| (span.start, span.end)).unzip();
            columns.extend(span_columns(&self.time_type, starts, ends));
            let rows = RecordBatch::try_new(self.output.clone(), columns)?;
            ctx.emit(ChangeBatch::new(rows, Weights::from_vec(out.weights[range].to_vec()))?)?;
        }
        Ok(())
    }
}
