//! Whole jobs: scripted sources, toy operators, collecting sinks.

mod conflicts;
mod crashes;
mod epochs;
mod exchange;
mod failures;
mod faults;
mod pressure;
mod restart;
mod savepoints;
mod threads;
mod toys;
mod watermarks;

use crate::settings::JobSettings;
use crate::simulation::Simulation;
use crate::testing::{CollectConnector, Collection, Script, ScriptConnector};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion_physical_expr::expressions::Column;
use eddyline_changes::ChangeBatch;
use eddyline_changes::table::parse_changes;
use eddyline_connectors::Registry;
use eddyline_connectors::clock::ManualClock;
use eddyline_plan::{
    AggregatePhase, ChangeMode, ChangeTraits, Dataflow, Expression, GroupAggregateSpec, Input, NamedExpression, Node,
    NodeId, OperatorId, OperatorSpec, SinkSpec, SourceSpec, WatermarkSpec, Window, WindowAssignSpec,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Columns of every table: key, event time, value.
fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("k", DataType::Utf8, true),
        Field::new("t", DataType::Timestamp(TimeUnit::Millisecond, None), true),
        Field::new("v", DataType::Int64, true),
    ]))
}

/// What the toy aggregate makes of it.
fn sums() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("k", DataType::Utf8, true), Field::new("v", DataType::Int64, true)]))
}

/// A change table in [`schema`]; `t` is written as seconds of the first minute of 1970.
fn rows(text: &str) -> ChangeBatch {
    let timed: Vec<String> = text
        .lines()
        .filter(|l| !l.trim().is_empty())
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let time = if words[2] == "NULL" { "NULL".into() } else { format!("1970-01-01T00:00:{}", words[2]) };
            format!("{} {} {time} {}", words[0], words[1], words[3])
        })
        .collect();
    parse_changes(&schema(), &timed.join("\n")).unwrap()
}

fn traits(mode: ChangeMode) -> ChangeTraits {
    ChangeTraits { mode, reason: "the test says so".into(), key: None, event_time: Vec::new() }
}

/// A plan under construction.
#[derive(Default)]
struct Plan {
    nodes: Vec<Node>,
}

impl Plan {
    fn node(&mut self, spec: OperatorSpec, inputs: Vec<Input>, schema: SchemaRef, mode: ChangeMode) -> NodeId {
        let id = self.nodes.len();
        self.nodes.push(Node { id, operator: OperatorId(id as u64 + 1), spec, inputs, schema, traits: traits(mode) });
        id
    }

    fn source(&mut self, table: &str) -> NodeId {
        self.timed_source(table, None)
    }

    fn timed_source(&mut self, table: &str, idle_timeout_ms: Option<u64>) -> NodeId {
        let expression = Expression::new(Arc::new(Column::new("t", 1)));
        self.source_with(table, Some(WatermarkSpec { expression, idle_timeout_ms }))
    }

    fn source_with(&mut self, table: &str, watermark: Option<WatermarkSpec>) -> NodeId {
        let column = |(at, f): (usize, &Arc<Field>)| {
            NamedExpression::new(Expression::new(Arc::new(Column::new(f.name(), at))), f.name())
        };
        let spec = SourceSpec {
            key: vec![],
            table: table.into(),
            options: options("script"),
            physical: schema(),
            projection: vec![0, 1, 2],
            metadata: Vec::new(),
            predicate: None,
            project: schema().fields().iter().enumerate().map(column).collect(),
            watermark,
        };
        self.node(OperatorSpec::Source(spec), Vec::new(), schema(), ChangeMode::AppendOnly)
    }

    fn union(&mut self, inputs: Vec<Input>) -> NodeId {
        let schema = self.nodes[inputs[0].from].schema.clone();
        self.node(OperatorSpec::Union, inputs, schema, ChangeMode::Retract)
    }

    /// Sum of `v` by `k`: see [`toys::Sum`].
    fn sum(&mut self, from: NodeId) -> NodeId {
        let spec =
            GroupAggregateSpec { keys: vec![0], calls: Vec::new(), phase: AggregatePhase::Single, append_only: false };
        self.node(OperatorSpec::GroupAggregate(spec), vec![Input::hash(from, vec![0])], sums(), ChangeMode::Retract)
    }

    /// Drops late rows: see [`toys::OnTime`].
    fn on_time(&mut self, input: Input) -> NodeId {
        let window = Window::Tumble { size_ms: 1000, offset_ms: 0 };
        let spec = OperatorSpec::WindowAssign(WindowAssignSpec { window, time: 1 });
        self.node(spec, vec![input], schema(), ChangeMode::AppendOnly)
    }

    fn sink(&mut self, table: &str, input: Input) -> NodeId {
        let schema = self.nodes[input.from].schema.clone();
        let mode = self.nodes[input.from].traits.mode;
        let spec = SinkSpec { table: table.into(), options: options("collect"), schema: schema.clone(), key: None };
        self.node(OperatorSpec::Sink(spec), vec![input], schema, mode)
    }

    fn dataflow(&self) -> Dataflow {
        Dataflow::new(self.nodes.clone()).unwrap()
    }
}

fn options(connector: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("connector".to_owned(), connector.to_owned())])
}

/// Tables of a test.
#[derive(Clone, Default)]
struct Tables {
    scripts: ScriptConnector,
    collections: CollectConnector,
}

impl Tables {
    fn source(mut self, table: &str, script: &Arc<Script>) -> Self {
        self.scripts = self.scripts.with(table, script);
        self
    }

    fn sink(mut self, table: &str, collection: &Arc<Collection>) -> Self {
        self.collections = self.collections.with(table, collection);
        self
    }

    fn registry(&self) -> Registry {
        Registry::empty().with(Arc::new(self.scripts.clone())).with(Arc::new(self.collections.clone()))
    }
}

fn settings(shards: usize) -> JobSettings {
    JobSettings { shards, ..JobSettings::default() }
}

fn simulate(plan: &Plan, tables: &Tables, settings: JobSettings, seed: u64) -> Simulation {
    let clock = ManualClock::shared();
    Simulation::with_operators(plan.dataflow(), &tables.registry(), settings, seed, clock, toys::make).unwrap()
}
