//! UNNEST. The lists are computed below, as columns; of the input, only the columns that are read above are put out, so
//! it becomes a node when that is known ([`Base::Unnest`]).

use super::Builder;
use super::graph::{NewNode, meaning};
use super::stream::{Base, Facts, Stream, column_at};
use crate::SqlError;
use crate::bind::unnest::Unnest;
use arrow::datatypes::Schema;
use datafusion_common::DFSchema;
use datafusion_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};
use eddyline_plan::{Input, NamedExpression, NodeId, OperatorSpec, UnnestSpec};
use std::sync::Arc;

/// A [`Base::Unnest`]: everything but which columns are put out.
#[derive(Debug, Clone)]
pub(crate) struct Unnesting {
    below: NodeId,
    spec: UnnestSpec,
}

impl Builder<'_, '_> {
    pub(super) fn unnest(&mut self, unnest: &Unnest) -> Result<Stream, SqlError> {
        let spec = (unnest.is_outer(), unnest.has_ordinality());
        let mut stream = self.unnested(unnest.input(), unnest.lists(), spec)?;
        let fields = unnest.schema().fields();
        stream.project.iter_mut().zip(fields).for_each(|(e, f)| e.name.clone_from(f.name()));
        Ok(stream)
    }

    /// The columns of `input`, then those of the elements (and their number).
    fn unnested(
        &mut self,
        input: &LogicalPlan,
        lists: &[Expr],
        (outer, ordinality): (bool, bool),
    ) -> Result<Stream, SqlError> {
        let below: &DFSchema = input.schema();
        let lists = lists.iter().map(|e| self.compiler.compile(e, below)).collect::<Result<Vec<_>, _>>()?;
        let stream = self.stream(input)?;
        let side = self.side(stream, lists)?;
        let spec = UnnestSpec { lists: side.keys, outer, ordinality, output: vec![] };
        let schema = self.graph.node(side.node).schema.clone();
        let all = Arc::new(Schema::new(spec.all_columns(&schema)));
        let (width, last) = (schema.fields().len(), all.fields().len().saturating_sub(1));
        // A row has several elements; with their number they are told apart.
        let mut facts = Facts { keys: vec![], ..side.facts.clone() };
        if ordinality && !outer {
            facts.keys = side.facts.keys.iter().map(|k| k.iter().copied().chain([last]).collect()).collect();
        }
        let unnesting = Unnesting { below: side.node, spec };
        let mut stream = Stream::over(Base::Unnest(Box::new(unnesting)), all.clone(), facts);
        let visible = (0..side.width).chain(width..all.fields().len());
        let named = visible.map(|c| NamedExpression::new(column_at(all.field(c), c), all.field(c).name()));
        stream.project = named.collect();
        Ok(stream)
    }

    /// The node of an UNNEST that puts out what `stream` reads, and the stream over it.
    pub(super) fn unnest_node(&mut self, unnesting: &Unnesting, stream: &Stream) -> (NodeId, Stream) {
        let (read, facts) = stream.read();
        let spec = UnnestSpec { output: read.clone(), ..unnesting.spec.clone() };
        let input = self.graph.node(unnesting.below).schema.clone();
        let lists: Vec<String> = spec.lists.iter().map(|c| meaning(input.field(*c).name())).collect();
        let schema = spec.output_schema(&input);
        let node = self.graph.add(NewNode {
            meaning: format!("unnest {} {} {}", lists.join(", "), spec.outer, spec.ordinality),
            spec: OperatorSpec::Unnest(spec),
            inputs: vec![Input::forward(unnesting.below)],
            schema: schema.clone(),
            traits: facts.traits(),
            of: vec![unnesting.below],
        });
        (node, stream.over_read(node, schema, &read, facts))
    }
}
