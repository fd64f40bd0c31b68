use crate::{Operator, OperatorError};
use arrow::datatypes::SchemaRef;
use eddyline_plan::Node;
use eddyline_state::Store;

/// Makes the operator of `node` over `store`, which may hold its state from before. `inputs` are the schemas of
/// its inputs, in order.
///
/// # Errors
/// [`OperatorError::Spec`] for sources and sinks, which are not operators, and for specs that do not fit.
pub fn build(node: &Node, inputs: &[SchemaRef], store: &Store) -> Result<Box<dyn Operator>, OperatorError> {
    let _ = (inputs, store);
    Err(OperatorError::Spec { operator: node.spec.name(), message: "is not an operator".into() })
}
