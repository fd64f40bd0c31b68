use super::NAME;
use super::state::Rows;
use crate::aggregation::{BATCH_ROWS_MAX, retraction};
use crate::{Context, Operator, OperatorError};
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use eddyline_changes::{ChangeBatch, Weights};
use eddyline_plan::SetOperationSpec;
use eddyline_state::{Store, Table};

/// See the room's front page.
pub(super) struct SetOperation {
    spec: SetOperationSpec,
    output: SchemaRef,
    /// All columns.
    columns: Vec<usize>,
    rows: Rows,
    slots: Vec<u32>,
    /// Rows that changed in this epoch, in the order in which they were first touched.
    touched: Vec<u32>,
    /// By position in `touched`: how many copies are out.
    before: Vec<i64>,
    is_touched: Vec<bool>,
}

impl SetOperation {
    pub(super) fn open(
        spec: SetOperationSpec,
        output: &SchemaRef,
        store: &Store,
        ttl_ms: Option<u64>,
    ) -> Result<Self, OperatorError> {
        let types: Vec<_> = output.fields().iter().map(|f| f.data_type().clone()).collect();
        let mut rows = Rows::open(&types, store)?;
        ttl_ms.into_iter().for_each(|ttl_ms| rows.forget_after(ttl_ms));
        Ok(Self {
            spec,
            output: output.clone(),
            columns: (0..types.len()).collect(),
            rows,
            slots: Vec::new(),
            touched: Vec::new(),
            before: Vec::new(),
            is_touched: Vec::new(),
        })
    }

    /// Notes which rows this batch touches first in the epoch, with the copies that are out.
    fn touch(&mut self) {
        self.is_touched.resize(self.rows.table.slots_max(), false);
        for slot in &self.slots {
            if !std::mem::replace(&mut self.is_touched[*slot as usize], true) {
                self.touched.push(*slot);
                self.before.push(self.copies_of(*slot));
            }
        }
    }

    fn copies_of(&self, slot: u32) -> i64 {
        let [left, right] = self.rows.copies[slot as usize];
        self.spec.operation.copies(left, right)
    }

    fn emit(&self, slots: &[u32], weights: Vec<i64>, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let options = RecordBatchOptions::new().with_row_count(Some(slots.len()));
        let rows = RecordBatch::try_new_with_options(self.output.clone(), self.rows.table.keys(slots)?, &options)?;
        ctx.emit(ChangeBatch::new(rows, Weights::from_vec(weights))?)?;
        Ok(())
    }
}

impl Operator for SetOperation {
    fn process(&mut self, input: usize, changes: ChangeBatch, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        if self.touched.is_empty() {
            self.rows.forget_idle(ctx.moment().wall_ms)?;
        }
        let hashes = changes.key_hashes(&self.columns)?;
        let mut slots = std::mem::take(&mut self.slots);
        self.rows.lookup(changes.rows().columns(), &hashes, &mut slots)?;
        self.slots = slots;
        self.touch();
        self.rows.add(input, &self.slots, changes.weights());
        Ok(())
    }

    fn flush(&mut self, ctx: &mut Context<'_>) -> Result<(), OperatorError> {
        let now_ms = ctx.moment().wall_ms;
        self.rows.let_go(&self.touched, now_ms);
        let negative = |s: &&u32| self.rows.copies[**s as usize].iter().any(|c| *c < 0);
        if let Some(slot) = self.touched.iter().find(negative) {
            return Err(retraction(NAME, &self.rows.table.keys(&[*slot])?));
        }
        let changes = self.touched.iter().zip(&self.before).map(|(slot, out)| (*slot, self.copies_of(*slot) - out));
        let (slots, weights): (Vec<u32>, Vec<i64>) = changes.filter(|(_, weight)| *weight != 0).unzip();
        for (slots, weights) in slots.chunks(BATCH_ROWS_MAX).zip(weights.chunks(BATCH_ROWS_MAX)) {
            self.emit(slots, weights.to_vec(), ctx)?;
        }
        self.rows.settle(&self.touched)?;
        self.touched.iter().for_each(|s| self.is_touched[*s as usize] = false);
        self.touched.clear();
        self.before.clear();
        self.rows.forget_idle(now_ms)
    }

    fn tables(&mut self) -> Vec<&mut dyn Table> {
        vec![&mut self.rows]
    }
}
