//! Rows told by a key: tables that hand them out, and tables that keep them.
//!
//! A source of upserts hands out its key and what the query needs; behind an exchange by the key, an operator finds out
//! which row each one replaces. Filters and computed columns stand above it: a deletion tells the key alone.
//! A sink of upserts is given one row per key: by the query, where one of its keys is part of the PRIMARY KEY, else by an
//! operator that does what ON CONFLICT says.

use super::Builder;
use super::calc::{check_repeatable_over, pruned};
use super::graph::NewNode;
use super::join::has_map;
use super::refuse;
use super::scan::time_column;
use super::stream::{Base, Facts, Stream, column_at, columns_of, rewrite_columns};
use crate::SqlError;
use arrow::datatypes::Schema;
use datafusion_physical_expr::expressions::Column;
use eddyline_catalog::Table;
use eddyline_plan::{
    ChangeMode, ChangelogNormalizeSpec, Conflict, Input, NamedExpression, NodeId, OperatorSpec, SinkMaterializeSpec,
    SourceSpec,
};
use std::sync::Arc;

/// Does a part of `key` tell a row already?
pub(super) fn is_unique(facts: &Facts, key: &[usize]) -> bool {
    facts.keys.iter().any(|known| known.iter().all(|c| key.contains(c)))
}

impl Builder<'_, '_> {
    /// The stream of `columns` of a table of upserts; `spec` projects them.
    pub(super) fn upserts(&mut self, spec: SourceSpec, table: &Table, columns: &[usize]) -> Result<Stream, SqlError> {
        let mut needed: Vec<usize> = spec.project.iter().flat_map(|e| columns_of(&e.expression)).collect();
        needed.extend(&spec.key);
        needed.sort_unstable();
        needed.dedup();
        let decoded = spec.decoded();
        let schema = Arc::new(Schema::new(needed.iter().map(|c| decoded.fields()[*c].clone()).collect::<Vec<_>>()));
        check_types(&schema, &format!("table {}, whose rows are told by their key, with", table.name))?;
        let place = |c: &usize| needed.iter().position(|n| n == c).unwrap_or_default();
        let key: Vec<usize> = spec.key.iter().map(place).collect();
        let project = spec.project.iter().map(|e| {
            let moved = rewrite_columns(&e.expression, |c| Arc::new(Column::new(decoded.field(c).name(), place(&c))));
            NamedExpression::new(moved, e.name.clone())
        });
        let project: Vec<NamedExpression> = project.collect();
        let has_watermark = spec.watermark.is_some();

        let mut facts = Facts::append_only(format!("a row of {} takes the place of the one with its key", table.name));
        (facts.mode, facts.keys) = (ChangeMode::Upsert, vec![key.clone()]);
        let plain =
            needed.iter().map(|c| NamedExpression::new(column_at(decoded.field(*c), *c), decoded.field(*c).name()));
        let source = pruned(SourceSpec { project: plain.collect(), ..spec });
        let source = Stream::over(Base::Source(Box::new(source.clone())), schema, facts.clone());
        let node = self.normalize_node(&source, key.clone())?;

        facts.mode = ChangeMode::Retract;
        facts.hashed_by = Some(key);
        project.iter().try_for_each(|e| check_repeatable_over(&e.expression, &facts))?;
        let mut stream = Stream::over(Base::Node(node), source.schema, facts);
        stream.project = project;
        let Some(time) = time_column(table, columns).filter(|_| has_watermark) else { return Ok(stream) };
        // A computed column that watermarks follow is computed by a node of its own, so that they follow it there.
        stream = self.settled(stream)?;
        stream.facts.event_time = vec![time];
        Ok(stream)
    }

    fn normalize_node(&mut self, source: &Stream, key: Vec<usize>) -> Result<NodeId, SqlError> {
        let from = self.node(source.clone())?;
        let mut traits = source.facts.traits();
        traits.mode = ChangeMode::Retract;
        Ok(self.graph.add(NewNode {
            meaning: "rows by key".into(),
            spec: OperatorSpec::ChangelogNormalize(ChangelogNormalizeSpec { key: key.clone() }),
            inputs: vec![Input::hash(from, key)],
            schema: source.schema.clone(),
            traits,
            of: vec![from],
        }))
    }

    /// The rows of a query for a table that keeps one per `key`.
    pub(super) fn one_per_key(
        &mut self,
        stream: Stream,
        table: &Table,
        key: &[usize],
        conflict: Option<Conflict>,
    ) -> Result<Stream, SqlError> {
        check_types(&table.sink_schema(), &format!("table {}, which keeps one row per key, with", table.name))?;
        let facts = stream.output_facts();
        if is_unique(&facts, key) {
            return Ok(stream);
        }
        let conflict = match conflict {
            Some(conflict) => conflict,
            None if self.planner.options.require_on_conflict => return Err(conflict_missing(&stream, table)),
            None => Conflict::Deduplicate,
        };
        if facts.mode == ChangeMode::AppendOnly && conflict == Conflict::Deduplicate {
            // Every row that comes takes the place of the one before: that is what the table does.
            return Ok(stream);
        }
        let from = self.named_node(stream)?;
        let spec = SinkMaterializeSpec { table: table.name.to_string(), key: key.to_vec(), conflict };
        let spec = OperatorSpec::SinkMaterialize(spec);
        let input = self.kept(&spec, Input::hash(from, key.to_vec()), &facts)?;
        let schema = self.graph.node(from).schema.clone();
        let mut facts = Facts::append_only(match conflict {
            Conflict::Deduplicate => "of several rows with one key the last one that came is written",
            Conflict::Nothing => "of several rows with one key the first one that is there is written",
            Conflict::Error => "rows of the query are taken back",
        });
        (facts.mode, facts.keys) = (ChangeMode::Retract, vec![key.to_vec()]);
        facts.hashed_by = Some(key.to_vec());
        let node = self.graph.add(NewNode {
            meaning: format!("one row per key of {} on conflict do {conflict}", table.name),
            spec,
            inputs: vec![input],
            schema: schema.clone(),
            traits: facts.traits(),
            of: vec![from],
        });
        Ok(Stream::over(Base::Node(node), schema, facts))
    }
}

/// Rows are compared by value: their types must have an order.
fn check_types(schema: &Schema, what: &str) -> Result<(), SqlError> {
    match schema.fields().iter().find(|f| has_map(f.data_type())) {
        Some(field) => Err(refuse::unsupported(&format!("{what} the MAP column {}", field.name()))
            .with_hint("take the values that are needed out of the map, or leave the column out")),
        None => Ok(()),
    }
}

fn conflict_missing(stream: &Stream, table: &Table) -> SqlError {
    let facts = stream.output_facts();
    let names = |key: &Vec<usize>| key.iter().map(|c| stream.project[*c].name.as_str()).collect::<Vec<_>>().join(", ");
    let detail = match facts.keys.first() {
        Some(key) => format!("the query has one row per ({})", names(key)),
        None => "it is not known what tells the rows of the query apart".to_owned(),
    };
    let key = table.primary_key.join(", ");
    SqlError::new(
        SqlError::INVALID,
        format!("table {}: several rows of the query may have the same PRIMARY KEY ({key})", table.name),
    )
    .with_detail(detail)
    .with_hint(
        "say what becomes of them: ON CONFLICT DO DEDUPLICATE (the last one that came is written), DO NOTHING (the first \
         one), DO ERROR (the job fails); or let the PRIMARY KEY hold what tells the rows apart; SET \
         'table.exec.sink.require-on-conflict' = 'false' means DO DEDUPLICATE everywhere",
    )
}
