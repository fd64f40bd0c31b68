//! INTERSECT ALL and EXCEPT ALL.

use super::Builder;
use super::graph::NewNode;
use super::join::{arrival, has_map};
use super::refuse;
use super::stream::{Base, Facts, Stream};
use crate::SqlError;
use crate::bind::errors;
use crate::bind::set_operation::SetOperationAll;
use arrow::datatypes::{Field, Schema};
use datafusion_expr::UserDefinedLogicalNodeCore;
use eddyline_plan::{ChangeMode, Input, OperatorSpec, SetOperation, SetOperationSpec};
use std::sync::Arc;

impl Builder<'_, '_> {
    pub(super) fn set_operation(&mut self, set: &SetOperationAll) -> Result<Stream, SqlError> {
        let streams = [self.stream(set.inputs()[0])?, self.stream(set.inputs()[1])?];
        let operation = set.operation();
        let found = [streams[0].output_schema(), streams[1].output_schema()];
        let [left, right] = found.map(|s| s.map_err(errors::plain));
        let (left, right) = (left?, right?);
        let fields = set.schema().fields().iter().zip(left.fields()).zip(right.fields());
        let fields = fields.map(|((field, l), r)| match (l.data_type() == r.data_type(), has_map(l.data_type())) {
            (false, _) => Err(SqlError::new(SqlError::INTERNAL, format!("{} is of two types", field.name()))),
            (_, true) => Err(refuse::unsupported(&format!("{} of the MAP column {}", operation.name(), field.name()))
                .with_hint("take the values that are needed out of the map below")),
            _ => Ok(Field::new(field.name(), l.data_type().clone(), l.is_nullable())),
        });
        let schema = Arc::new(Schema::new(fields.collect::<Result<Vec<_>, _>>()?));
        let columns: Vec<usize> = (0..schema.fields().len()).collect();
        let below = [streams[0].output_facts(), streams[1].output_facts()];
        let facts = facts(operation, &below, &columns);
        let [left, right] = streams.map(|stream| self.node(stream));
        let nodes = [left?, right?];
        let inputs = nodes.iter().zip(&below);
        let spec = OperatorSpec::SetOperation(SetOperationSpec { operation });
        let inputs = inputs.map(|(from, f)| self.kept(&spec, Input::new(*from, arrival(f, &columns)), f));
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let node = self.graph.add(NewNode {
            meaning: operation.name().into(),
            spec,
            inputs,
            schema: schema.clone(),
            traits: facts.traits(),
            of: nodes.to_vec(),
        });
        Ok(Stream::over(Base::Node(node), schema, facts))
    }
}

/// Rows of the result are rows of the left, at most as often. They come at the end of an epoch, behind the watermark.
fn facts(operation: SetOperation, below: &[Facts; 2], columns: &[usize]) -> Facts {
    let mut facts = Facts::append_only("both inputs are append-only, so there are never fewer copies in both");
    if let Some(changing) = below.iter().find(|f| f.mode == ChangeMode::Retract) {
        (facts.mode, facts.reason) = (ChangeMode::Retract, changing.reason.clone());
    } else if operation == SetOperation::ExceptAll {
        facts.mode = ChangeMode::Retract;
        facts.reason = "a row is taken back when the same comes in the right input of EXCEPT ALL".into();
    }
    facts.keys = below[0].keys.clone();
    if operation == SetOperation::IntersectAll {
        facts.keys.extend(below[1].keys.clone());
    }
    facts.hashed_by = Some(columns.to_vec());
    facts
}
