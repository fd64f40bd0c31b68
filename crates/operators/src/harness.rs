//! Drives an operator in tests: change tables in, change tables out.
//!
//! The harness stands where the runtime stands: it calls the verbs, keeps the watermark, collects what is emitted and counts
//! what is rejected. It checks that the operator's tables are those of its layout, and at every flush that no row has a negative multiplicity (invariant I4). What an
//! operator emits can be looked at as it comes ([`flush`](Harness::flush)) or accumulated ([`content`](Harness::content)).

use crate::layout::{Below, layout};
use crate::{Bound, Context, Operator, OperatorError, Outlet, Rejected, build};
use arrow::datatypes::SchemaRef;
use eddyline_changes::table::{format_changes, parse_changes};
use eddyline_changes::{ChangeBatch, KeyGroup, KeyGroups, Watermark};
use eddyline_functions::scalar::Moment;
use eddyline_plan::{ChangeMode, ChangeTraits, Input, Node, OperatorId, OperatorSpec, TimeToLive};
use eddyline_state::{Backend, MemoryBackend, Store, Write};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One instance of an operator over a backend in memory.
pub struct Harness {
    node: Node,
    inputs: Vec<SchemaRef>,
    backend: Arc<MemoryBackend>,
    groups: KeyGroups,
    shard: usize,
    operator: Box<dyn Operator>,
    watermark: Watermark,
    moment: Moment,
    due_ms: Option<i64>,
    emitted: Vec<ChangeBatch>,
    rejected: BTreeMap<&'static str, u64>,
    content: BTreeMap<String, i64>,
    is_tight: bool,
    /// Ends of epochs at which memory was short.
    epochs: usize,
}

/// What comes of a call.
struct Collected<'h> {
    emitted: &'h mut Vec<ChangeBatch>,
    rejected: &'h mut BTreeMap<&'static str, u64>,
}

impl Outlet for Collected<'_> {
    fn put(&mut self, changes: ChangeBatch) -> Result<(), OperatorError> {
        self.emitted.push(changes);
        Ok(())
    }

    fn check(&self) -> Result<(), OperatorError> {
        Ok(())
    }

    fn reject(&mut self, why: Rejected, rows: u64) {
        let why = match why {
            Rejected::Late => "late",
            Rejected::NullTime => "null time",
            Rejected::UnknownKey => "unknown key",
        };
        *self.rejected.entry(why).or_default() += rows;
    }
}

impl Harness {
    /// The only instance of the operator of `spec` over `inputs`.
    ///
    /// # Errors
    /// A spec that does not fit its inputs.
    pub fn new(spec: OperatorSpec, inputs: &[SchemaRef]) -> Result<Self, OperatorError> {
        Self::sharded(spec, inputs, KeyGroups::new(16, 1), 0)
    }

    /// The only instance of an operator that forgets what was not touched for a time.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn forgetting(spec: OperatorSpec, inputs: &[SchemaRef], ttl_ms: u64) -> Result<Self, OperatorError> {
        let mut harness = Self::new(spec, inputs)?;
        harness.node.inputs.iter_mut().for_each(|input| input.ttl = Some(TimeToLive::of_setting(ttl_ms)));
        harness.restart()?;
        Ok(harness)
    }

    /// The instance of the operator on one of several shards, with a backend of its own.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn sharded(
        spec: OperatorSpec,
        inputs: &[SchemaRef],
        groups: KeyGroups,
        shard: usize,
    ) -> Result<Self, OperatorError> {
        let traits =
            ChangeTraits { mode: ChangeMode::Retract, reason: String::new(), key: None, event_time: Vec::new() };
        let schema = output_schema(&spec, inputs)?;
        let below = (0..inputs.len()).map(Input::forward).collect();
        let node = Node { id: 0, operator: OperatorId(1), spec, inputs: below, schema, traits };
        let backend = Arc::new(MemoryBackend::new());
        let mut operator = build(&node, inputs, &store(&backend, groups, shard))?;
        assert_announced(&node, inputs, operator.as_mut());
        Ok(Self {
            node,
            inputs: inputs.to_vec(),
            backend,
            groups,
            shard,
            operator,
            watermark: Watermark::NONE,
            moment: Moment::default(),
            due_ms: None,
            emitted: Vec::new(),
            rejected: BTreeMap::new(),
            content: BTreeMap::new(),
            is_tight: false,
            epochs: 0,
        })
    }

    /// A fresh instance on another number of shards, over what the tables of all instances `before` left there.
    ///
    /// # Errors
    /// State that cannot be read.
    pub fn rescaled(before: &[&Harness], groups: KeyGroups, shard: usize) -> Result<Self, OperatorError> {
        let backend = Arc::new(MemoryBackend::new());
        for harness in before {
            let mut writes = Vec::new();
            let owned = harness.groups.range_of(harness.shard);
            harness.backend.scan(&[], &[0xff; 12], &mut |key, value| {
                if owned.contains(&KeyGroup::from_be_bytes([key[10], key[11]])) {
                    writes.push(Write::Put(key.to_vec(), value.to_vec()));
                }
                Ok(())
            })?;
            backend.write(writes)?;
        }
        let Harness { node, inputs, watermark, moment, .. } = before[0];
        let operator = build(node, inputs, &store(&backend, groups, shard))?;
        Ok(Self {
            node: node.clone(),
            inputs: inputs.clone(),
            backend,
            groups,
            shard,
            operator,
            watermark: *watermark,
            moment: *moment,
            due_ms: None,
            emitted: Vec::new(),
            rejected: BTreeMap::new(),
            content: BTreeMap::new(),
            is_tight: false,
            epochs: 0,
        })
    }

    /// From now on memory is always short: when an epoch has ended, every table leaves a third of what it has to the backend, but at least
    /// an entry. Before, it brings in some of what it has left there.
    pub fn tight(self, is_tight: bool) -> Self {
        Self { is_tight, ..self }
    }

    fn evict(&mut self) -> Result<(), OperatorError> {
        self.operator.tables().into_iter().try_for_each(|table| table.tidy(1000))?;
        if !self.is_tight {
            return Ok(());
        }
        self.epochs += 1;
        // Every other time nothing leaves: so tables are whole again now and then.
        let (warms, leaves) = (self.epochs % 4 != 1, self.epochs % 4 < 2);
        for table in self.operator.tables() {
            if warms {
                table.warm(3)?;
            }
            if leaves {
                table.evict(table.taken_bytes() / 3 + 1)?;
            }
        }
        Ok(())
    }

    /// What the operator is told of time and chance from now on.
    pub fn stand_at(&mut self, moment: Moment) {
        self.moment = moment;
    }

    /// The net change of an epoch at a time, with rows of input 0, if any.
    ///
    /// # Panics
    /// The operator fails.
    pub fn epoch_at(&mut self, wall_ms: i64, rows: &str) -> String {
        self.stand_at(Moment { wall_ms, seed: 0 });
        if !rows.is_empty() {
            self.process(rows).expect("processes");
        }
        self.flush().expect("flushes")
    }

    /// When the operator has something to put out though no input comes, as it said at the last flush.
    pub fn due_ms(&self) -> Option<i64> {
        self.due_ms
    }

    /// What the operator emits.
    pub fn schema(&self) -> &SchemaRef {
        &self.node.schema
    }

    fn call<T>(
        &mut self,
        verb: impl FnOnce(&mut dyn Operator, &mut Context<'_>) -> Result<T, OperatorError>,
    ) -> Result<T, OperatorError> {
        let mut outlet = Collected { emitted: &mut self.emitted, rejected: &mut self.rejected };
        let mut context = Context::new(&mut outlet, self.watermark, self.moment);
        let result = verb(self.operator.as_mut(), &mut context);
        self.due_ms = context.due_ms();
        result
    }

    /// Applies a change table to the first input.
    ///
    /// # Errors
    /// What the operator says; a table that does not fit the input.
    pub fn process(&mut self, table: &str) -> Result<(), OperatorError> {
        self.process_on(0, table)
    }

    /// Applies a change table to an input.
    ///
    /// # Errors
    /// As [`process`](Self::process).
    pub fn process_on(&mut self, input: usize, table: &str) -> Result<(), OperatorError> {
        let changes = parse_changes(&self.inputs[input], table)?;
        self.apply(input, changes)
    }

    /// Applies changes to an input.
    ///
    /// # Errors
    /// What the operator says.
    pub fn apply(&mut self, input: usize, changes: ChangeBatch) -> Result<(), OperatorError> {
        self.call(|operator, ctx| operator.process(input, changes, ctx))
    }

    /// Moves event time to `watermark`; returns what the operator passes on.
    ///
    /// # Errors
    /// What the operator says.
    pub fn advance(&mut self, watermark: Watermark) -> Result<Watermark, OperatorError> {
        self.watermark = watermark;
        self.call(|operator, ctx| operator.advance(watermark, ctx))
    }

    /// Ends the epoch, and returns the net change since the last flush as a change table with sorted lines.
    ///
    /// # Errors
    /// What the operator says.
    ///
    /// # Panics
    /// When a row of the output has a negative multiplicity.
    pub fn flush(&mut self) -> Result<String, OperatorError> {
        let batches = self.flush_batches()?;
        Ok(net_text(&batches))
    }

    /// Ends the epoch, and returns what was emitted since the last one, as it came.
    ///
    /// # Errors
    /// What the operator says.
    ///
    /// # Panics
    /// When a row of the output has a negative multiplicity.
    pub fn flush_batches(&mut self) -> Result<Vec<ChangeBatch>, OperatorError> {
        self.call(|operator, ctx| operator.flush(ctx))?;
        let batches = std::mem::take(&mut self.emitted);
        for batch in &batches {
            assert_eq!(batch.schema(), self.node.schema, "emitted rows are of the announced schema");
            add_rows(&mut self.content, batch);
        }
        if !self.is_partial() {
            let negative = self.content.iter().find(|(_, weight)| **weight < 0);
            assert_eq!(negative, None, "no row has a negative multiplicity");
        }
        self.evict()?;
        Ok(batches)
    }

    /// Partials are changes, not rows of a table: they may repeat, and take back what was never there.
    fn is_partial(&self) -> bool {
        use eddyline_plan::AggregatePhase::{Distinct, Local};
        match &self.node.spec {
            OperatorSpec::GroupAggregate(a) => matches!(a.phase, Local | Distinct),
            OperatorSpec::WindowAggregate(a) => a.phase == Local,
            _ => false,
        }
    }

    /// Ends the epoch of an instance that goes on from another: what it emits is no table of its own.
    ///
    /// # Errors
    /// What the operator says.
    pub fn emitted_at_flush(&mut self) -> Result<Vec<ChangeBatch>, OperatorError> {
        self.call(|operator, ctx| operator.flush(ctx))?;
        self.evict()?;
        Ok(std::mem::take(&mut self.emitted))
    }

    /// Takes what was emitted since the last flush, or since the last call of this.
    pub fn take(&mut self) -> Vec<ChangeBatch> {
        let batches = std::mem::take(&mut self.emitted);
        batches.iter().for_each(|b| add_rows(&mut self.content, b));
        batches
    }

    /// All that was emitted, added up: a change table with sorted lines.
    pub fn content(&self) -> String {
        content_text(&self.content)
    }

    /// How many rows were left out for `why`: `late`, `null time`.
    pub fn rejected(&self, why: &str) -> u64 {
        self.rejected.get(why).copied().unwrap_or_default()
    }

    /// Persists all tables and goes on with a fresh operator over what they left. To be called after a flush.
    ///
    /// # Errors
    /// State that cannot be written or read.
    pub fn restart(&mut self) -> Result<(), OperatorError> {
        self.persist()?;
        self.operator = build(&self.node, &self.inputs, &store(&self.backend, self.groups, self.shard))?;
        Ok(())
    }

    /// Persists all tables.
    ///
    /// # Errors
    /// State that cannot be written.
    pub fn persist(&mut self) -> Result<(), OperatorError> {
        self.operator.tables().into_iter().try_for_each(|t| t.persist())?;
        Ok(())
    }

    /// Names of the tables that hold something, with their numbers of entries.
    pub fn state(&mut self) -> Vec<(String, usize)> {
        let tables = self.operator.tables().into_iter().map(|t| (t.name().to_owned(), t.len()));
        tables.filter(|(_, entries)| *entries > 0).collect()
    }

    /// Memory of all tables, about.
    pub fn state_bytes(&mut self) -> usize {
        self.operator.tables().iter().map(|t| t.size_bytes()).sum()
    }

    /// The operator's corner of the backend, for what another version may have left there: then [`restart`](Self::restart).
    pub fn store(&self) -> Store {
        store(&self.backend, self.groups, self.shard)
    }

    /// All that is stored below the hot sets, by full keys, in order.
    ///
    /// # Panics
    /// The backend cannot be read, which one in memory always can.
    pub fn entries(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut entries = Vec::new();
        let scanned = self.backend.scan(&[], &[0xff; 12], &mut |key, value| {
            entries.push((key.to_vec(), value.to_vec()));
            Ok(())
        });
        scanned.expect("memory can be read");
        entries
    }

    /// Number of entries that are stored below the hot sets.
    pub fn stored(&self) -> usize {
        self.backend.len()
    }
}

/// Every table that an operator has stands in its layout.
fn assert_announced(node: &Node, inputs: &[SchemaRef], operator: &mut dyn Operator) {
    let rows = Bound::Nothing(vec!["t".into()]);
    let below: Vec<Below<'_>> = inputs.iter().map(|schema| Below { schema, rows: &rows }).collect();
    let announced: Vec<String> = layout(node, &below, &|_| false).tables.into_iter().map(|t| t.name).collect();
    for table in operator.tables() {
        assert!(announced.iter().any(|name| name == table.name()), "{} is not among {announced:?}", table.name());
    }
}

fn store(backend: &Arc<MemoryBackend>, groups: KeyGroups, shard: usize) -> Store {
    Store::new(backend.clone(), 1, groups, groups.range_of(shard))
}

fn output_schema(spec: &OperatorSpec, inputs: &[SchemaRef]) -> Result<SchemaRef, OperatorError> {
    Ok(match spec {
        OperatorSpec::Calc(s) => s.output_schema(&inputs[0])?,
        OperatorSpec::GroupAggregate(s) => s.output_schema(&inputs[0]),
        OperatorSpec::WindowAggregate(s) => s.output_schema(&inputs[0]),
        OperatorSpec::SessionAssign(s) => s.output_schema(&inputs[0]),
        OperatorSpec::SessionAggregate(s) => s.output_schema(&inputs[0]),
        OperatorSpec::Join(s) => s.output_schema(&inputs[0], &inputs[1]),
        OperatorSpec::TopN(s) => s.output_schema(&inputs[0]),
        OperatorSpec::Unnest(s) => s.output_schema(&inputs[0]),
        OperatorSpec::Over(s) => s.output_schema(&inputs[0]),
        OperatorSpec::TemporalFilter(s) => s.output_schema(&inputs[0]),
        OperatorSpec::WindowAssign(s) => {
            let time = inputs[0].field(s.time).data_type();
            let windows = eddyline_plan::window::window_fields(time);
            let fields = inputs[0].fields().iter().cloned().chain(windows);
            Arc::new(arrow::datatypes::Schema::new(fields.collect::<Vec<_>>()))
        }
        _ => inputs[0].clone(),
    })
}

/// Adds the rows of a batch, as lines without their sign, to `content`.
pub fn add_rows(content: &mut BTreeMap<String, i64>, changes: &ChangeBatch) {
    for (row, line) in format_changes(changes).lines().enumerate() {
        let text = line.split_once(' ').map_or("", |(_, text)| text);
        let weight = content.entry(text.to_owned()).or_default();
        *weight += changes.weights().at(row);
        if *weight == 0 {
            content.remove(text);
        }
    }
}

/// A content as a change table.
pub fn content_text(content: &BTreeMap<String, i64>) -> String {
    let sign = |weight: i64| match weight {
        1 => "+".to_owned(),
        -1 => "-".to_owned(),
        w => format!("{w:+}"),
    };
    let mut lines: Vec<String> = content.iter().map(|(row, w)| format!("{} {row}", sign(*w))).collect();
    lines.sort_unstable();
    lines.iter().flat_map(|l| [l.trim_end(), "\n"]).collect()
}

/// The net change of batches as a change table with sorted lines.
pub fn net_text(batches: &[ChangeBatch]) -> String {
    let mut net = BTreeMap::new();
    batches.iter().for_each(|b| add_rows(&mut net, b));
    content_text(&net)
}
