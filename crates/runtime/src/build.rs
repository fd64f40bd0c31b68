//! From a plan to tasks: opens sources and sinks, makes the channels, and gives every shard one task per fragment.

use crate::channel::Channel;
use crate::coordinator::checkpoints::CheckpointTimes;
use crate::coordinator::{Coordinator, CoordinatorSettings};
use crate::discovery::Discovery;
use crate::driver::NamedCommitter;
use crate::error::RuntimeError;
use crate::event_time::EventTime;
use crate::exchange::ExchangeWriter;
use crate::job::JobShared;
use crate::memory_limit::LimitShare;
use crate::metrics::Counters;
use crate::pipeline::{Pipeline, Stage, Work};
use crate::settings::JobSettings;
use crate::shard::Shard;
use crate::source::{HeadParts, SourceHead, stored_positions};
use crate::splits::{Progress, SplitTable};
use crate::task::{ChannelInput, Feed, SourceFeed, Task, Told};
use crate::values::ValuesSource;
use arrow::datatypes::SchemaRef;
use datafusion_physical_expr::expressions::Column;
use eddyline_changes::{Epoch, KeyGroups};
use eddyline_connectors::{
    ConnectorError, Delivery, Registry, Rim, Sink, SinkChanges, SinkRequest, Source, SourceRequest,
};
use eddyline_operators::{Operator, OperatorError};
use eddyline_plan::{
    CalcSpec, ChangeMode, Dataflow, Distribution, FragmentId, Node, NodeId, OperatorSpec, SinkSpec, SourceSpec,
};
use eddyline_state::{Backend, HotShare, Store};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// Makes the operator of a node over its store, given the schemas of its inputs.
pub(crate) type MakeOperator = fn(&Node, &[SchemaRef], &Store) -> Result<Box<dyn Operator>, OperatorError>;

/// What a job is built from.
pub(crate) struct Build<'a> {
    pub(crate) dataflow: &'a Dataflow,
    pub(crate) registry: &'a Registry,
    pub(crate) settings: &'a JobSettings,
    pub(crate) rim: &'a Rim,
    /// Makes operators: [`eddyline_operators::build`], but in tests of this crate.
    pub(crate) make: MakeOperator,
    /// What is measured, over all restarts.
    pub(crate) counters: Arc<Counters>,
    /// One per shard; may hold state from before.
    pub(crate) backends: Vec<Arc<dyn Backend>>,
    /// Channels of the simulation: elements arrive when they are released.
    pub(crate) delayed: bool,
    /// The last epoch that is complete already.
    pub(crate) after: Epoch,
    /// For how many shards sources cut their input: positions are those of splits, so they stay what they were.
    pub(crate) split_shards: usize,
    /// What tells the files of this job from those of others; `None` for a job that keeps no checkpoints.
    pub(crate) lineage: Option<String>,
}

/// A job that is ready to run.
pub(crate) struct Built {
    pub(crate) shared: Arc<JobShared>,
    pub(crate) shards: Vec<Shard>,
    pub(crate) committers: BTreeMap<NodeId, NamedCommitter>,
    /// Sinks whose commits wait for checkpoints.
    pub(crate) exactly_once: BTreeSet<NodeId>,
    pub(crate) channels: Vec<Arc<Channel>>,
    source_tasks: usize,
    after: Epoch,
}

impl Built {
    /// The coordinator of the job. Epochs that are cut because sources are idle keep `idle_interval` apart.
    pub(crate) fn coordinator(
        &self,
        settings: &JobSettings,
        idle_interval: Duration,
        after_ms: i64,
        checkpoints: Option<CheckpointTimes>,
    ) -> Coordinator {
        Coordinator::new(CoordinatorSettings {
            shards: settings.shards,
            source_tasks: self.source_tasks,
            epoch_interval: settings.epoch_interval,
            idle_interval,
            barrier_budget: settings.barrier_budget,
            epoch_rows: settings.epoch_rows,
            after: self.after,
            after_ms,
            on_demand: settings.epochs_on_demand,
            checkpoints,
        })
    }
}

/// An edge between fragments: its channels by producing and consuming shard.
struct Edge {
    from: NodeId,
    to: NodeId,
    input: usize,
    channels: Vec<Vec<Arc<Channel>>>,
}

/// A source of the plan, opened.
struct OpenedSource {
    table: Arc<str>,
    source: Arc<dyn Source>,
    splits: Arc<SplitTable>,
}

struct Builder<'a> {
    build: Build<'a>,
    shared: Arc<JobShared>,
    groups: KeyGroups,
    fragment_of: Vec<FragmentId>,
    edges: Vec<Edge>,
    sources: HashMap<NodeId, OpenedSource>,
    sinks: HashMap<NodeId, Arc<dyn Sink>>,
    source_tasks: usize,
}

/// Builds all tasks of a job.
///
/// # Errors
/// Tables that cannot be opened, plans that cannot run, state that cannot be read.
pub(crate) fn build(build: Build<'_>) -> Result<Built, RuntimeError> {
    let shards = build.settings.shards;
    let keeps = build.lineage.is_some();
    let (clock, counters) = (build.rim.clock.clone(), build.counters.clone());
    let shared = JobShared::new(clock, counters, shards, keeps, build.settings.epoch_rows);
    let groups = KeyGroups::new(build.settings.max_parallelism, shards as u16);
    let fragment_of = (0..build.dataflow.nodes().len()).map(|n| build.dataflow.fragment_of(n)).collect();
    let mut builder = Builder {
        build,
        shared,
        groups,
        fragment_of,
        edges: Vec::new(),
        sources: HashMap::new(),
        sinks: HashMap::new(),
        source_tasks: 0,
    };
    let committers = builder.open_tables()?;
    let splits = builder.sources.values().map(|opened| (opened.table.clone(), opened.splits.clone()));
    builder.shared.counters.set_splits(splits.collect());
    builder.connect()?;
    let mut shards = (0..shards).map(|s| builder.shard(s)).collect::<Result<Vec<_>, _>>()?;
    if builder.build.settings.state_goes_out {
        shards.iter_mut().try_for_each(Shard::bring_in)?;
    }
    let channels = builder.edges.iter().flat_map(|e| e.channels.iter().flatten().cloned()).collect();
    builder.start_discoveries();
    let after = builder.build.after;
    let exactly_once = builder.sinks.iter().filter(|(_, s)| s.delivery() == Delivery::ExactlyOnce);
    let exactly_once = exactly_once.map(|(node, _)| *node).collect();
    let (shared, source_tasks) = (builder.shared, builder.source_tasks);
    Ok(Built { shared, shards, committers, exactly_once, channels, source_tasks, after })
}

impl Builder<'_> {
    fn open_tables(&mut self) -> Result<BTreeMap<NodeId, NamedCommitter>, RuntimeError> {
        let mut committers = BTreeMap::new();
        let dataflow = self.build.dataflow;
        for node in dataflow.nodes() {
            match &node.spec {
                OperatorSpec::Source(spec) => {
                    let fault = |e| source_fault(&spec.table, e);
                    let source = self
                        .build
                        .registry
                        .source(&spec.options, source_request(spec, &self.build.settings.time_zone))
                        .map_err(fault)?;
                    self.open_source(node, &spec.table, source, spec.watermark.is_some())?;
                }
                OperatorSpec::Values(spec) => {
                    self.open_source(node, "VALUES", Arc::new(ValuesSource(spec.rows.clone())), false)?;
                }
                OperatorSpec::Sink(spec) => {
                    let sink = self.open_sink(node, spec)?;
                    if let Some(committer) =
                        sink.committer(self.build.rim).map_err(|e| sink_fault(&spec.table, None, e))?
                    {
                        committers.insert(node.id, (spec.table.clone(), committer));
                    }
                    self.sinks.insert(node.id, sink);
                }
                _ => {}
            }
        }
        Ok(committers)
    }

    fn open_source(
        &mut self,
        node: &Node,
        table: &str,
        source: Arc<dyn Source>,
        timed: bool,
    ) -> Result<(), RuntimeError> {
        let shards = self.build.settings.shards;
        let alarms = (0..shards).map(|s| self.shared.shard_alarm(s)).collect();
        let growing = source.discovery_interval().is_some();
        let splits = SplitTable::new(source.boundedness(), growing, source.is_ordered(), timed, alarms);
        let progress = self.positions(node)?;
        splits.add(source.splits(self.build.split_shards).map_err(|e| source_fault(table, e))?, &progress);
        self.sources.insert(node.id, OpenedSource { table: table.into(), source, splits });
        Ok(())
    }

    /// How far the splits of a source were read, over the stores of all shards: a split may have moved between
    /// shards, and its position only grows.
    fn positions(&self, node: &Node) -> Result<HashMap<String, Progress>, RuntimeError> {
        let mut found: HashMap<String, Progress> = HashMap::new();
        for shard in 0..self.build.settings.shards {
            let store = self.source_store(node, shard);
            let read = stored_positions(&store, |id, progress| {
                found.entry(id).and_modify(|p| *p = p.further(progress)).or_insert(progress);
            });
            read.map_err(|e| operator_fault(node, shard, e.into()))?;
        }
        Ok(found)
    }

    fn source_store(&self, node: &Node, shard: usize) -> Store {
        let backend = self.build.backends[shard].clone();
        Store::new(backend, node.operator.0, self.groups, 0..self.groups.groups())
    }

    fn open_sink(&self, node: &Node, spec: &SinkSpec) -> Result<Arc<dyn Sink>, RuntimeError> {
        let request = SinkRequest {
            table: spec.table.clone(),
            schema: spec.schema.clone(),
            key: spec.key.clone(),
            time_zone: self.build.settings.time_zone.clone(),
            lineage: self.build.lineage.clone(),
        };
        let sink = self.build.registry.sink(&spec.options, request).map_err(|e| sink_fault(&spec.table, None, e))?;
        let retracting = node.inputs.iter().map(|i| &self.build.dataflow.nodes()[i.from].traits);
        match retracting.into_iter().find(|t| t.mode != ChangeMode::AppendOnly) {
            Some(traits) if sink.changes() == SinkChanges::Inserts => {
                Err(RuntimeError::Retractions { table: spec.table.clone(), reason: traits.reason.clone() })
            }
            _ => Ok(sink),
        }
    }

    /// Makes the channels of all edges between fragments.
    fn connect(&mut self) -> Result<(), RuntimeError> {
        let dataflow = self.build.dataflow;
        let shards = self.build.settings.shards;
        for node in dataflow.nodes() {
            for (at, input) in node.inputs.iter().enumerate() {
                let forward = input.distribution == Distribution::Forward;
                let inside = self.fragment_of[input.from] == self.fragment_of[node.id];
                if inside && forward {
                    continue;
                }
                if inside {
                    let message = format!("node {} reads node {} of its own fragment by exchange", node.id, input.from);
                    return Err(RuntimeError::Plan { message });
                }
                let targets = |from: usize| if forward { from..from + 1 } else { 0..shards };
                let row = |from: usize| targets(from).map(|to| self.channel(from, to)).collect();
                let channels = (0..shards).map(row).collect();
                self.edges.push(Edge { from: input.from, to: node.id, input: at, channels });
            }
        }
        Ok(())
    }

    fn channel(&self, from: usize, to: usize) -> Arc<Channel> {
        let (producer, consumer) = (self.shared.shard_alarm(from), self.shared.shard_alarm(to));
        Channel::new(self.build.settings.channel_batches, self.build.delayed, producer, consumer)
    }

    fn shard(&mut self, shard: usize) -> Result<Shard, RuntimeError> {
        let fragments = 0..self.build.dataflow.fragments().len();
        let tasks = fragments.map(|f| self.task(f, shard)).collect::<Result<Vec<_>, _>>()?;
        Ok(Shard::new(shard, tasks, self.build.backends[shard].clone(), self.shared.clone()))
    }

    fn task(&mut self, fragment: FragmentId, shard: usize) -> Result<Task, RuntimeError> {
        let dataflow = self.build.dataflow;
        let nodes = &dataflow.fragments()[fragment].nodes;
        let stage_of: HashMap<NodeId, usize> = nodes.iter().enumerate().map(|(at, n)| (*n, at)).collect();
        let mut stages = Vec::with_capacity(nodes.len());
        for id in nodes {
            stages.push(self.stage(&dataflow.nodes()[*id], shard)?);
        }
        for (at, id) in nodes.iter().enumerate() {
            for (port, input) in dataflow.nodes()[*id].inputs.iter().enumerate() {
                if let (Some(from), Distribution::Forward) = (stage_of.get(&input.from), &input.distribution) {
                    stages[*from].next.push((at, port));
                }
            }
        }
        let feed = self.feed(nodes, &stage_of, shard)?;
        let random = random(self.build.settings.seed, fragment, shard);
        let mut pipeline = Pipeline::new(stages, shard, self.shared.clone(), random);
        let JobSettings { backend, memory, memory_limit, .. } = self.build.settings;
        if let Some(budget) = backend.budget().or(memory.as_ref()) {
            // Without checkpoints state is in memory, whatever the backend.
            let can_leave = self.shared.keeps && backend.budget().is_some();
            let below = can_leave.then(|| self.build.backends[shard].clone());
            pipeline.keep_within(HotShare::new(budget), below);
            if let Some(limit) = memory_limit.as_ref().filter(|_| !can_leave) {
                pipeline.limit(LimitShare::new(limit));
            }
        }
        Ok(Task {
            pipeline,
            feed,
            waker: Waker::from(self.shared.shard_alarm(shard)),
            shared: self.shared.clone(),
            done: false,
        })
    }

    fn stage(&self, node: &Node, shard: usize) -> Result<Stage, RuntimeError> {
        let work = self.work(node, shard)?;
        let mut stage = Stage::new(node.id, node.spec.name(), work, node.inputs.len().max(1));
        for edge in self.edges.iter().filter(|e| e.from == node.id) {
            let distribution = &self.build.dataflow.nodes()[edge.to].inputs[edge.input].distribution;
            let channels = edge.channels[shard].clone();
            let batch_rows = self.build.settings.batch_rows;
            stage.outputs.push(ExchangeWriter::new(distribution, self.groups, channels, batch_rows));
        }
        Ok(stage)
    }

    /// Do all inputs of a node have its schema?
    fn has_schema_of(&self, node: &Node) -> bool {
        node.inputs.iter().all(|i| self.build.dataflow.nodes()[i.from].schema == node.schema)
    }

    fn work(&self, node: &Node, shard: usize) -> Result<Work, RuntimeError> {
        match &node.spec {
            OperatorSpec::Values(_) => Ok(Work::Pass),
            // Where an input's columns may be NULL and another's not, the room gives all the same schema: an exchange
            // behind it joins batches of several inputs.
            OperatorSpec::Union if self.has_schema_of(node) => Ok(Work::Pass),
            OperatorSpec::Source(spec) => self.source_work(node, spec, shard),
            OperatorSpec::Sink(spec) => {
                let writer = self.sinks[&node.id].writer(shard, self.build.rim);
                let writer = writer.map_err(|e| sink_fault(&spec.table, Some(shard), e))?;
                Ok(Work::Sink { table: spec.table.clone(), writer })
            }
            _ => {
                let inputs = node.inputs.iter().map(|i| self.build.dataflow.nodes()[i.from].schema.clone());
                let inputs: Vec<SchemaRef> = inputs.collect();
                self.operator(node, &inputs, shard).map(Work::Operator)
            }
        }
    }

    /// Predicate and projection of a source are a calc over what was decoded.
    fn source_work(&self, node: &Node, spec: &SourceSpec, shard: usize) -> Result<Work, RuntimeError> {
        let decoded = spec.decoded();
        if spec.predicate.is_none() && is_identity(spec, &decoded) {
            return Ok(Work::Pass);
        }
        let calc = CalcSpec { predicate: spec.predicate.clone(), project: spec.project.clone() };
        let node = Node { spec: OperatorSpec::Calc(calc), ..node.clone() };
        self.operator(&node, &[decoded], shard).map(Work::Operator)
    }

    fn operator(&self, node: &Node, inputs: &[SchemaRef], shard: usize) -> Result<Box<dyn Operator>, RuntimeError> {
        let owned = self.groups.range_of(shard);
        let store = Store::new(self.build.backends[shard].clone(), node.operator.0, self.groups, owned);
        (self.build.make)(node, inputs, &store).map_err(|e| operator_fault(node, shard, e))
    }

    fn feed(
        &mut self,
        nodes: &[NodeId],
        stage_of: &HashMap<NodeId, usize>,
        shard: usize,
    ) -> Result<Feed, RuntimeError> {
        let heads: Vec<(NodeId, SourceHead)> = nodes
            .iter()
            .filter(|n| self.sources.contains_key(n))
            .map(|n| (*n, self.head(*n, stage_of[n], shard)))
            .collect();
        let inputs: Vec<ChannelInput> = self.inputs(stage_of, shard).collect();
        match (heads.is_empty(), inputs.is_empty()) {
            (true, false) => Ok(Feed::Channels { inputs, next: 0 }),
            (false, true) => {
                self.source_tasks += 1;
                Ok(Feed::Sources(SourceFeed {
                    heads,
                    barriers: VecDeque::new(),
                    task: self.source_tasks - 1,
                    shared: self.shared.clone(),
                    shard,
                    epoch: self.build.after.next(),
                    rows: 0,
                    told: Told::default(),
                    next: 0,
                    has_passed: false,
                }))
            }
            (true, true) => Err(RuntimeError::Plan { message: format!("nothing feeds the nodes {nodes:?}") }),
            (false, false) => {
                Err(RuntimeError::Plan { message: format!("nodes {nodes:?} have sources and exchanges as inputs") })
            }
        }
    }

    fn inputs<'b>(
        &'b self,
        stage_of: &'b HashMap<NodeId, usize>,
        shard: usize,
    ) -> impl Iterator<Item = ChannelInput> + 'b {
        self.edges.iter().filter_map(|e| Some((e, *stage_of.get(&e.to)?))).flat_map(move |(edge, stage)| {
            // A forward edge has one channel per shard, to the same shard.
            let forward = self.build.dataflow.nodes()[edge.to].inputs[edge.input].distribution == Distribution::Forward;
            let from = if forward { &edge.channels[shard..=shard] } else { &edge.channels[..] };
            let to = if forward { 0 } else { shard };
            from.iter().map(move |row| ChannelInput {
                channel: row[to].clone(),
                stage,
                input: edge.input,
                time: EventTime::NONE,
                barrier: None,
            })
        })
    }

    fn head(&self, id: NodeId, stage: usize, shard: usize) -> SourceHead {
        let node = &self.build.dataflow.nodes()[id];
        let OpenedSource { table, source, splits } = &self.sources[&id];
        let watermark = match &node.spec {
            OperatorSpec::Source(spec) => spec.watermark.clone(),
            _ => None,
        };
        SourceHead::new(HeadParts {
            table_name: table.clone(),
            stage,
            shard,
            source: source.clone(),
            splits: splits.clone(),
            watermark,
            store: self.source_store(node, shard),
            rim: self.build.rim.clone(),
            alarm: self.shared.shard_alarm(shard),
            batch_rows: self.build.settings.batch_rows,
        })
    }

    fn start_discoveries(&self) {
        for OpenedSource { table, source, splits } in self.sources.values() {
            if let Some(interval) = source.discovery_interval() {
                let discovery = Discovery {
                    table: table.to_string(),
                    source: source.clone(),
                    splits: splits.clone(),
                    shards: self.build.split_shards,
                    interval,
                    rim: self.build.rim.clone(),
                    job: Arc::downgrade(&self.shared),
                    inline: self.build.delayed,
                };
                Arc::new(discovery).arm();
            }
        }
    }
}

/// What a task draws from; no other task of the job draws the same.
fn random(seed: u64, fragment: FragmentId, shard: usize) -> StdRng {
    let mut bytes = [0; 32];
    let parts = [seed, fragment as u64, shard as u64];
    bytes.chunks_exact_mut(8).zip(parts).for_each(|(to, part)| to.copy_from_slice(&part.to_le_bytes()));
    StdRng::from_seed(bytes)
}

/// Does the projection hand out what was decoded, as it is?
fn is_identity(spec: &SourceSpec, decoded: &SchemaRef) -> bool {
    let same = |(at, (out, field)): (usize, (&eddyline_plan::NamedExpression, &arrow::datatypes::FieldRef))| {
        let expression: &dyn Any = out.expression.physical().as_ref();
        out.name == *field.name() && expression.downcast_ref::<Column>().is_some_and(|c| c.index() == at)
    };
    spec.project.len() == decoded.fields().len() && spec.project.iter().zip(decoded.fields()).enumerate().all(same)
}

fn source_fault(table: &str, error: ConnectorError) -> RuntimeError {
    RuntimeError::Source { table: table.to_owned(), split: None, shard: None, error: Arc::new(error) }
}

fn sink_fault(table: &str, shard: Option<usize>, error: ConnectorError) -> RuntimeError {
    RuntimeError::Sink { table: table.to_owned(), shard, error: Arc::new(error) }
}

fn operator_fault(node: &Node, shard: usize, error: OperatorError) -> RuntimeError {
    let operator = format!("{} #{}", node.spec.name(), node.id);
    RuntimeError::Operator { operator, shard, place: None, error: Arc::new(error) }
}

/// What a source node asks of its connector.
pub fn source_request(spec: &SourceSpec, time_zone: &str) -> SourceRequest {
    SourceRequest {
        table: spec.table.clone(),
        physical: spec.physical.clone(),
        projection: spec.projection.clone(),
        key: spec.key.clone(),
        metadata: spec.metadata.clone(),
        time_zone: time_zone.to_owned(),
    }
}
