//! Joins that differ from one that is there only in the columns that they keep.
//!
//! Two parts of a query that join the same tables alike, each for columns of its own, are one join that puts out the
//! columns of both, where the first to be planned has those of the second.

use super::join::Joining;
use super::stream::{Stream, column};
use super::{Builder, graph::Graph};
use eddyline_plan::{Distribution, Input, JoinSpec, Node, NodeId, OperatorSpec};

/// A node below those that only pick columns, and which of its columns were picked.
struct Picked {
    node: NodeId,
    columns: Vec<usize>,
}

/// A join of two inputs, told by the columns of what lies below the picking.
#[derive(PartialEq)]
struct Alike {
    nodes: [NodeId; 2],
    on: Vec<(usize, usize)>,
    by: [Option<Vec<usize>>; 2],
}

impl Builder<'_, '_> {
    /// A join that puts out all columns that `stream` reads of `joining`, and the stream over it.
    pub(super) fn same_but_wider(&self, joining: &Joining, stream: &Stream) -> Option<(NodeId, Stream)> {
        // Rows that lack a match are made of NULLs, whatever columns they have; what a condition reads, moves.
        if joining.spec.residual.is_some() || !joining.spec.kind.has_pairs() {
            return None;
        }
        let (read, facts) = stream.read();
        let (alike, wanted) = seen_below(&self.graph, &joining.spec, &joining.inputs, &read)?;
        let settings = |s: &JoinSpec| (s.kind, s.null_equal, s.append_only, s.time, s.on_close);
        let ttls = |inputs: &[Input]| inputs.iter().map(|i| i.ttl).collect::<Vec<_>>();
        // Where the columns that are wanted stand in what a node puts out.
        let places_in = |node: &Node| {
            let OperatorSpec::Join(spec) = &node.spec else { return None };
            if spec.residual.is_some()
                || settings(spec) != settings(&joining.spec)
                || ttls(&node.inputs) != ttls(&joining.inputs)
            {
                return None;
            }
            let (other, has) = seen_below(&self.graph, spec, &node.inputs, &spec.output)?;
            let places = wanted.iter().map(|w| has.iter().position(|h| h == w));
            places.collect::<Option<Vec<usize>>>().filter(|_| other == alike)
        };
        let (found, places) = self.graph.nodes().iter().find_map(|node| Some((node, places_in(node)?)))?;
        Some((found.id, stream.over_places(found.id, found.schema.clone(), &read, &places, &facts)))
    }
}

/// The join, and side and column of the columns `output`, as they are below nodes that only pick columns.
fn seen_below(
    graph: &Graph,
    spec: &JoinSpec,
    inputs: &[Input],
    output: &[usize],
) -> Option<(Alike, Vec<(usize, usize)>)> {
    let [left, right] = inputs else { return None };
    let sides = [picked(graph, left.from), picked(graph, right.from)];
    let width = sides[0].columns.len();
    let place = |c: usize| {
        let (side, at) = if c < width { (0, c) } else { (1, c - width) };
        sides[side].columns.get(at).map(|below| (side, *below))
    };
    let by = |input: &Input, side: &Picked| match &input.distribution {
        Distribution::Forward => None,
        Distribution::Hash(columns) => Some(columns.iter().map(|c| side.columns[*c]).collect()),
    };
    let alike = Alike {
        nodes: [sides[0].node, sides[1].node],
        on: spec.on.iter().map(|(l, r)| (sides[0].columns[*l], sides[1].columns[*r])).collect(),
        by: [by(left, &sides[0]), by(right, &sides[1])],
    };
    Some((alike, output.iter().map(|c| place(*c)).collect::<Option<_>>()?))
}

fn picked(graph: &Graph, mut node: NodeId) -> Picked {
    let mut columns: Vec<usize> = (0..graph.node(node).schema.fields().len()).collect();
    while let OperatorSpec::Calc(calc) = &graph.node(node).spec
        && calc.predicate.is_none()
        && let Some(picks) = calc.project.iter().map(|e| column(&e.expression)).collect::<Option<Vec<usize>>>()
    {
        columns = columns.iter().map(|c| picks[*c]).collect();
        node = graph.node(node).inputs[0].from;
    }
    Picked { node, columns }
}
