//! Nodes to a dataflow: what nothing reads is dropped, the rest is numbered and cut into fragments.

use crate::SqlError;
use eddyline_plan::{Dataflow, Node, OperatorSpec};

/// The dataflow of all nodes that lead to a sink. Exchanges are edges already; equal nodes were made once.
pub(crate) fn dataflow(nodes: Vec<Node>) -> Result<Dataflow, SqlError> {
    let mut live = vec![false; nodes.len()];
    for node in nodes.iter().rev() {
        if matches!(node.spec, OperatorSpec::Sink(_)) {
            live[node.id] = true;
        }
        if live[node.id] {
            node.inputs.iter().for_each(|i| live[i.from] = true);
        }
    }
    let mut place = vec![0; nodes.len()];
    let mut kept: Vec<Node> = Vec::new();
    for mut node in nodes {
        if !live[node.id] {
            continue;
        }
        place[node.id] = kept.len();
        node.id = kept.len();
        node.inputs.iter_mut().for_each(|i| i.from = place[i.from]);
        kept.push(node);
    }
    Dataflow::new(kept).map_err(|e| SqlError::new(SqlError::INTERNAL, e.to_string()))
}
