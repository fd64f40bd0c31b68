use arrow::datatypes::SchemaRef;
use eddyline_changes::hash::{combine, hash_bytes};
use eddyline_plan::{ChangeTraits, Input, Node, NodeId, OperatorId, OperatorSpec, TimeToLive};
use std::collections::HashSet;

/// The nodes planned so far. A node that is asked for twice is made once.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    nodes: Vec<Node>,
    used: HashSet<OperatorId>,
    /// When what is kept of inputs is forgotten, where it can be and no hint says otherwise.
    ttl: Option<TimeToLive>,
}

/// A node to be.
pub(crate) struct NewNode {
    pub(crate) spec: OperatorSpec,
    pub(crate) inputs: Vec<Input>,
    pub(crate) schema: SchemaRef,
    pub(crate) traits: ChangeTraits,
    /// What it means, in words that do not depend on column positions, phases or versions: with the identities
    /// of its inputs it makes the operator's identity.
    pub(crate) meaning: String,
    /// The nodes whose identities count; those of the inputs unless a phase stands between.
    pub(crate) of: Vec<NodeId>,
}

impl Graph {
    /// A graph of operators that forget what was not touched for so long; `None`: never.
    pub(crate) fn new(ttl_ms: Option<u64>) -> Self {
        Self { ttl: ttl_ms.map(TimeToLive::of_setting), ..Self::default() }
    }

    /// The node at a position.
    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }

    /// All nodes so far, upstream first.
    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// All nodes, upstream first.
    pub(crate) fn into_nodes(self) -> Vec<Node> {
        self.nodes
    }

    /// Adds a node, or finds the one that does the same. Inputs without a time to live get that of all.
    pub(crate) fn add(&mut self, mut new: NewNode) -> NodeId {
        let can_forget = new.spec.can_forget();
        for input in &mut new.inputs {
            input.ttl = input.ttl.or(self.ttl).filter(|ttl| can_forget && ttl.ms > 0);
        }
        let shareable = !matches!(new.spec, OperatorSpec::Sink(_));
        if shareable && let Some(same) = self.nodes.iter().find(|n| n.inputs == new.inputs && n.spec == new.spec) {
            return same.id;
        }
        let operator = self.identity(&new);
        let id = self.nodes.len();
        self.nodes.push(Node {
            id,
            operator,
            spec: new.spec,
            inputs: new.inputs,
            schema: new.schema,
            traits: new.traits,
        });
        id
    }

    /// A hash of the meaning and the inputs' identities; the same meaning a second time gets a number.
    fn identity(&mut self, new: &NewNode) -> OperatorId {
        let mut hash = hash_bytes(new.meaning.as_bytes());
        for input in &new.of {
            hash = combine(hash, self.nodes[*input].operator.0);
        }
        let mut id = OperatorId(hash);
        let mut again = 1;
        while !self.used.insert(id) {
            id = OperatorId(combine(hash, again));
            again += 1;
        }
        id
    }
}

/// The text of an expression without column positions.
pub(crate) fn meaning(expression: impl std::fmt::Display) -> String {
    let text = expression.to_string();
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find('@') {
        out.push_str(&rest[..at]);
        let digits = rest[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            out.push('@');
        }
        rest = &rest[at + 1 + digits..];
    }
    out + rest
}
