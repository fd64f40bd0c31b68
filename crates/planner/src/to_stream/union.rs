use super::Builder;
use super::graph::NewNode;
use super::stream::{Base, Facts, Stream};
use crate::SqlError;
use crate::bind::errors;
use arrow::datatypes::{Field, Schema};
use datafusion_expr::Union;
use datafusion_physical_expr::expressions::CastExpr;
use eddyline_plan::{ChangeMode, Expression, Input, OperatorSpec};
use std::sync::Arc;

impl Builder<'_, '_> {
    /// `UNION ALL`: all rows of all inputs, in the types of the result. (`UNION` is DISTINCT over this.)
    pub(super) fn union(&mut self, union: &Union) -> Result<Stream, SqlError> {
        let mut streams = Vec::new();
        for input in &union.inputs {
            let mut stream = self.stream(input)?;
            let found = stream.output_schema().map_err(errors::plain)?;
            for ((e, f), wanted) in stream.project.iter_mut().zip(found.fields()).zip(union.schema.fields()) {
                if f.data_type() != wanted.data_type() {
                    let cast = CastExpr::new(e.expression.physical().clone(), wanted.data_type().clone(), None);
                    e.expression = Expression::new(Arc::new(cast));
                }
                e.name.clone_from(wanted.name());
            }
            streams.push(stream);
        }
        self.united(streams)
    }

    /// All rows of all streams, which have the same types. Columns are named as in the first.
    pub(super) fn united(&mut self, streams: Vec<Stream>) -> Result<Stream, SqlError> {
        let facts = union_facts(&streams);
        let schemas = streams.iter().map(Stream::output_schema).collect::<datafusion_common::Result<Vec<_>>>();
        let schemas = schemas.map_err(errors::plain)?;
        let fields = schemas.first().map(|s| s.fields().clone()).unwrap_or_default();
        let fields = fields.iter().enumerate().map(|(at, f)| {
            let nullable = schemas.iter().any(|s| s.field(at).is_nullable());
            Field::new(f.name(), f.data_type().clone(), nullable)
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let nodes = streams.into_iter().map(|s| self.named_node(s)).collect::<Result<Vec<_>, _>>()?;
        let node = self.graph.add(NewNode {
            meaning: "union".into(),
            spec: OperatorSpec::Union,
            inputs: nodes.iter().map(|n| Input::forward(*n)).collect(),
            schema: schema.clone(),
            traits: facts.traits(),
            of: nodes,
        });
        Ok(Stream::over(Base::Node(node), schema, facts))
    }
}

/// What holds for all inputs holds for the union; rows of several inputs may be equal, so there is no key.
fn union_facts(streams: &[Stream]) -> Facts {
    let all: Vec<Facts> = streams.iter().map(Stream::output_facts).collect();
    let mut facts = match all.iter().find(|f| f.mode == ChangeMode::Retract) {
        Some(changing) => Facts { mode: ChangeMode::Retract, ..Facts::append_only(&changing.reason) },
        None => Facts::append_only("all inputs of the union are append-only"),
    };
    if let Some(first) = all.first() {
        facts.ttl = first.ttl.clone().filter(|ttl| all.iter().all(|f| f.ttl.as_ref() == Some(ttl)));
        let everywhere = |c: &&usize| all.iter().all(|f| f.event_time.contains(c));
        facts.event_time = first.event_time.iter().filter(everywhere).copied().collect();
    }
    facts
}
