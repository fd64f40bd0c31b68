use crate::{OperatorSpec, TimeToLive};
use arrow::datatypes::SchemaRef;
use std::fmt;

/// Position of a node in [`Dataflow::nodes`].
pub type NodeId = usize;
/// Position of a fragment in [`Dataflow::fragments`].
pub type FragmentId = usize;

/// Identity of an operator across plans: derived from its meaning, so that state finds its operator again after
/// a restart or in a changed query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperatorId(pub u64);

impl fmt::Display for OperatorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What kinds of change an edge carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeMode {
    /// Only insertions.
    AppendOnly,
    /// Rows that take the place of the one with their key, and deletions that tell a key alone.
    Upsert,
    /// Insertions, and retractions of rows that were inserted before.
    Retract,
}

/// What is known of the changes that a node emits.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeTraits {
    /// Kinds of change.
    pub mode: ChangeMode,
    /// Why it is that mode, in words for EXPLAIN CHANGELOG.
    pub reason: String,
    /// Columns that identify a row at any moment: at most one row per value. `None`: rows may repeat.
    pub key: Option<Vec<usize>>,
    /// Columns that still follow the watermark: no row with a value `<=` the watermark will come.
    pub event_time: Vec<usize>,
}

/// How rows of an input are dealt out to the instances of the node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Distribution {
    /// They stay on the shard where they are.
    Forward,
    /// By the hash of these columns of the upstream's output. No columns: all to the shard of the empty key.
    Hash(Vec<usize>),
}

/// One input of a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// The upstream node.
    pub from: NodeId,
    /// How its rows arrive.
    pub distribution: Distribution,
    /// When what the operator keeps of its rows is forgotten, where the operator can ([`OperatorSpec::can_forget`]). `None`:
    /// never.
    pub ttl: Option<TimeToLive>,
}

impl Input {
    /// Rows that arrive in a certain way, of which all is kept.
    pub fn new(from: NodeId, distribution: Distribution) -> Self {
        Self { from, distribution, ttl: None }
    }

    /// Rows as they are on the same shard.
    pub fn forward(from: NodeId) -> Self {
        Self::new(from, Distribution::Forward)
    }

    /// Rows dealt out by the hash of `columns`.
    pub fn hash(from: NodeId, columns: Vec<usize>) -> Self {
        Self::new(from, Distribution::Hash(columns))
    }
}

/// One operator of the plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its position in the plan.
    pub id: NodeId,
    /// Its identity across plans.
    pub operator: OperatorId,
    /// What it does.
    pub spec: OperatorSpec,
    /// Where its rows come from, in the operator's order.
    pub inputs: Vec<Input>,
    /// What it emits.
    pub schema: SchemaRef,
    /// What is known of what it emits.
    pub traits: ChangeTraits,
}

impl Node {
    /// When that is forgotten which is kept of all inputs together: after the longest of their times; `None` where
    /// anything is kept for ever.
    pub fn ttl(&self) -> Option<TimeToLive> {
        let all: Option<Vec<TimeToLive>> = self.inputs.iter().map(|input| input.ttl).collect();
        all?.into_iter().max_by_key(|ttl| ttl.ms)
    }

    /// [`ttl`](Self::ttl) in milliseconds.
    pub fn ttl_ms(&self) -> Option<u64> {
        self.ttl().map(|ttl| ttl.ms)
    }
}

/// Nodes that run in one task: connected by forward edges and equally many exchanges away from the sources, in
/// topological order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// The nodes, upstream first.
    pub nodes: Vec<NodeId>,
}

/// A plan that is wrong in itself: a fault of the planner.
#[derive(Debug, thiserror::Error)]
#[error("dataflow plan: {0}")]
pub struct PlanError(pub String);

/// What runs as one job.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataflow {
    nodes: Vec<Node>,
    fragments: Vec<Fragment>,
}

impl Dataflow {
    /// Cuts `nodes` into fragments.
    ///
    /// # Contract
    /// `nodes[i].id == i` and inputs point to earlier nodes: checked here.
    ///
    /// # Errors
    /// [`PlanError`] where the contract is broken.
    pub fn new(nodes: Vec<Node>) -> Result<Self, PlanError> {
        for (at, node) in nodes.iter().enumerate() {
            if node.id != at {
                return Err(PlanError(format!("node {} stands at position {at}", node.id)));
            }
            if let Some(input) = node.inputs.iter().find(|i| i.from >= at) {
                return Err(PlanError(format!("node {at} reads the later node {}", input.from)));
            }
        }
        let fragments = cut(&nodes);
        Ok(Self { nodes, fragments })
    }

    /// All nodes, upstream first.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// All fragments, upstream first.
    pub fn fragments(&self) -> &[Fragment] {
        &self.fragments
    }

    /// The fragment of a node.
    pub fn fragment_of(&self, node: NodeId) -> FragmentId {
        self.fragments.iter().position(|f| f.nodes.contains(&node)).expect("every node is in a fragment")
    }
}

/// Connected components over forward edges between nodes of one **level**: the largest number of exchanges on a
/// way from a source to the node. Without levels a fragment could feed itself through an exchange (rows united with
/// their own aggregate). A forward edge between levels is an edge between fragments on the same shard.
/// Ordered by level, so that edges between fragments always point forward.
fn cut(nodes: &[Node]) -> Vec<Fragment> {
    let mut level: Vec<usize> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let above = |i: &Input| level[i.from] + usize::from(i.distribution != Distribution::Forward);
        level.push(node.inputs.iter().map(above).max().unwrap_or(0));
    }
    let mut root: Vec<NodeId> = (0..nodes.len()).collect();
    fn find(root: &mut [NodeId], n: NodeId) -> NodeId {
        let mut n = n;
        while root[n] != n {
            root[n] = root[root[n]];
            n = root[n];
        }
        n
    }
    for node in nodes {
        for input in node.inputs.iter().filter(|i| i.distribution == Distribution::Forward) {
            if level[input.from] == level[node.id] {
                let (a, b) = (find(&mut root, node.id), find(&mut root, input.from));
                root[a.max(b)] = a.min(b);
            }
        }
    }
    let mut fragments: Vec<(usize, Fragment)> = Vec::new();
    let mut of_root: std::collections::HashMap<NodeId, usize> = Default::default();
    for node in nodes {
        let r = find(&mut root, node.id);
        let at = *of_root.entry(r).or_insert_with(|| {
            fragments.push((level[node.id], Fragment { nodes: Vec::new() }));
            fragments.len() - 1
        });
        fragments[at].1.nodes.push(node.id);
    }
    fragments.sort_by_key(|(level, _)| *level);
    fragments.into_iter().map(|(_, fragment)| fragment).collect()
}
