use crate::calc::Calc;
use crate::union::Union;
use crate::unnest::Unnest;
use crate::window_assign::WindowAssign;
use crate::{
    Operator, OperatorError, changelog_normalize, group_aggregate, join, over, session_aggregate, session_assign,
    set_operation, sink_materialize, temporal_filter, top_n, window_aggregate,
};
use arrow::datatypes::SchemaRef;
use eddyline_plan::{Node, OperatorSpec};
use eddyline_state::Store;

/// Makes the operator of `node` over `store`, which may hold its state from before. `inputs` are the schemas of
/// its inputs, in order.
///
/// # Errors
/// [`OperatorError::Spec`] for sources and sinks, which are not operators, and for specs that do not fit.
pub fn build(node: &Node, inputs: &[SchemaRef], store: &Store) -> Result<Box<dyn Operator>, OperatorError> {
    let wrong = |message: &str| OperatorError::Spec { operator: node.spec.name(), message: message.into() };
    let input = inputs.first().ok_or_else(|| wrong("is not an operator, or has no input"))?;
    let output = &node.schema;
    Ok(match &node.spec {
        OperatorSpec::Calc(spec) => Box::new(Calc::new(spec, input, output)?),
        OperatorSpec::Union => Box::new(Union::new(output)),
        OperatorSpec::GroupAggregate(spec) => group_aggregate::build(spec, input, output, store, node.ttl_ms())?,
        OperatorSpec::WindowAssign(spec) => Box::new(WindowAssign::new(spec, input, output)),
        OperatorSpec::WindowAggregate(spec) => window_aggregate::build(spec, input, output, store)?,
        OperatorSpec::SessionAssign(spec) => session_assign::build(spec, input, output, store, node.ttl_ms())?,
        OperatorSpec::SessionAggregate(spec) => session_aggregate::build(spec, input, output, store, node.ttl_ms())?,
        OperatorSpec::Join(spec) => join::build(spec, node, inputs, store)?,
        OperatorSpec::Unnest(spec) => Box::new(Unnest::new(spec, input, output)),
        OperatorSpec::SetOperation(spec) => set_operation::build(*spec, inputs, output, store, node.ttl_ms())?,
        OperatorSpec::TopN(spec) => top_n::build(spec, input, output, store, node.ttl_ms())?,
        OperatorSpec::Over(spec) => over::build(spec, input, output, store, node.ttl_ms())?,
        OperatorSpec::TemporalFilter(spec) => temporal_filter::build(spec, input, output, store)?,
        OperatorSpec::ChangelogNormalize(spec) => changelog_normalize::build(spec, output, store, node.ttl_ms())?,
        OperatorSpec::SinkMaterialize(spec) => sink_materialize::build(spec, output, store, node.ttl_ms())?,
        OperatorSpec::Source(_) | OperatorSpec::Values(_) | OperatorSpec::Sink(_) => {
            return Err(wrong("is not an operator"));
        }
    })
}
