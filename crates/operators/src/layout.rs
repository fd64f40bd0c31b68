//! What operators keep, known before anything runs: their tables, what bounds each of them, how large an entry is.
//!
//! Every room says it of its spec, in its function `layout`, given what is known of its inputs. [`layouts`] goes through a
//! plan, upstream first. The question that is answered all along is how many rows a table may hold *at one time*
//! ([`Bound`]), as the input goes on for ever: a source that ends, or takes its rows back, holds what it holds; one that only
//! inserts and never ends holds everything.
//!
//! Not here: what is done about it (warnings, refusals), which sources end (the caller knows).

use crate::{
    calc, changelog_normalize, group_aggregate, join, over, session_aggregate, session_assign, set_operation,
    sink_materialize, temporal_filter, top_n, union, unnest, window_aggregate, window_assign,
};
use arrow::datatypes::{DataType, Schema};
use eddyline_plan::{ChangeMode, Dataflow, Node, OperatorSpec, SourceSpec, TimeToLive};
use std::fmt;

/// How many rows there can be at one time, and why not more. The order is from the best known to the worst.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// At most so many.
    Rows(u64),
    /// They go when the watermark has passed their time.
    Watermark,
    /// They go when the time now has passed theirs.
    Clock,
    /// What was not touched for so long is forgotten.
    Ttl(TimeToLive),
    /// Not more than these tables hold at one time: they end, or take their rows back.
    Tables(Vec<String>),
    /// So many for every different value of the columns, and there may always come a new one.
    Keys {
        /// The columns.
        columns: Vec<String>,
        /// How many rows for each value.
        each: u64,
    },
    /// Every row of these tables, which do not end.
    Nothing(Vec<String>),
}

impl Bound {
    /// Is there a limit that holds however long the job runs?
    pub fn is_bounded(&self) -> bool {
        !matches!(self, Bound::Keys { .. } | Bound::Nothing(_))
    }

    fn rank(&self) -> u8 {
        match self {
            Bound::Rows(_) => 0,
            Bound::Watermark => 1,
            Bound::Clock => 2,
            Bound::Ttl(_) => 3,
            Bound::Tables(_) => 4,
            Bound::Keys { .. } => 5,
            Bound::Nothing(_) => 6,
        }
    }

    /// Of rows that come from both: the worse of the two says it.
    pub(crate) fn and(&self, other: &Bound) -> Bound {
        match (self, other) {
            (Bound::Rows(a), Bound::Rows(b)) => Bound::Rows(a.saturating_add(*b)),
            (Bound::Tables(a), Bound::Tables(b)) => Bound::Tables(united(a, b)),
            (Bound::Nothing(a), Bound::Nothing(b)) => Bound::Nothing(united(a, b)),
            (Bound::Keys { columns: a, each: n }, Bound::Keys { columns: b, each: m }) => {
                Bound::Keys { columns: united(a, b), each: n.saturating_add(*m) }
            }
            (a, b) => if a.rank() < b.rank() { b } else { a }.clone(),
        }
    }

    /// Of pairs of rows of the two.
    pub(crate) fn times(&self, other: &Bound) -> Bound {
        match (self, other) {
            (Bound::Rows(a), Bound::Rows(b)) => Bound::Rows(a.saturating_mul(*b)),
            (Bound::Keys { columns: a, each: n }, Bound::Keys { columns: b, each: m }) => {
                Bound::Keys { columns: united(a, b), each: n.saturating_mul(*m) }
            }
            (a, b) => a.and(b),
        }
    }

    /// At most `each` rows for every different value of `columns` of rows that are bounded like this.
    pub(crate) fn per_key(&self, schema: &Schema, columns: &[usize], each: u64) -> Bound {
        if let Some(rows) = values_max(schema, columns).and_then(|v| v.checked_mul(each)) {
            return Bound::Rows(rows);
        }
        match self.is_bounded() {
            true => self.clone(),
            false => Bound::Keys { columns: names(schema, columns), each },
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::Rows(1) => write!(f, "one"),
            Bound::Rows(n) => write!(f, "at most {n}"),
            Bound::Watermark => write!(f, "they go when the watermark has passed them"),
            Bound::Clock => write!(f, "they go when the time now has passed them"),
            Bound::Ttl(ttl) => write!(f, "what was not touched for {ttl} is forgotten ({})", ttl.origin),
            Bound::Tables(tables) => {
                let hold = if tables.len() == 1 { "holds" } else { "hold" };
                write!(f, "as large as the rows that {} {hold} at one time", tables.join(" and "))
            }
            Bound::Keys { columns, each } => {
                let many = if *each == 1 { "one".to_owned() } else { format!("up to {each}") };
                write!(f, "{many} for every different ({}), and new ones may always come", columns.join(", "))
            }
            Bound::Nothing(tables) => write!(f, "grows with every row of {}", tables.join(" and ")),
        }
    }
}

fn united(a: &[String], b: &[String]) -> Vec<String> {
    let new = b.iter().filter(|x| !a.contains(x));
    a.iter().chain(new).cloned().collect()
}

/// How many different values columns can have, where that is a number that memory can hold.
fn values_max(schema: &Schema, columns: &[usize]) -> Option<u64> {
    let values = |column: &usize| {
        let field = schema.field(*column);
        let different: u64 = match field.data_type() {
            DataType::Null => 0,
            DataType::Boolean => 2,
            DataType::Int8 => 1 << 8,
            DataType::Int16 => 1 << 16,
            _ => return None,
        };
        Some(different + u64::from(field.is_nullable()))
    };
    columns.iter().map(values).try_fold(1u64, |all, n| all.checked_mul(n?)).filter(|n| *n <= 1 << 24)
}

/// Names of columns.
pub(crate) fn names(schema: &Schema, columns: &[usize]) -> Vec<String> {
    columns.iter().map(|c| schema.field(*c).name().clone()).collect()
}

/// A table that an operator keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableLayout {
    /// Its name, as metrics and errors show it.
    pub name: String,
    /// The columns that tell its entries apart.
    pub key: Vec<String>,
    /// How many entries there can be.
    pub bound: Bound,
    /// Memory per entry that is to be expected, with its share of the index. What has no fixed length is taken for
    /// [`TEXT_BYTES`] long.
    pub entry_bytes: usize,
}

/// What is known of an operator before it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// What it keeps over the end of an epoch.
    pub tables: Vec<TableLayout>,
    /// How many rows its output has, added up, at one time.
    pub output: Bound,
    /// What the user can do about state that nothing bounds.
    pub way_out: &'static str,
}

impl Layout {
    /// An operator without state.
    pub(crate) fn stateless(output: Bound) -> Self {
        Self { tables: Vec::new(), output, way_out: "" }
    }
}

/// What is known of an input.
pub(crate) struct Below<'a> {
    /// Its columns.
    pub(crate) schema: &'a Schema,
    /// How many rows it has, added up, at one time.
    pub(crate) rows: &'a Bound,
}

/// The layouts of all nodes of a plan, by position. `ends` says of which sources the input ends.
pub fn layouts(dataflow: &Dataflow, ends: &dyn Fn(&SourceSpec) -> bool) -> Vec<Layout> {
    let mut known: Vec<Layout> = Vec::new();
    for node in dataflow.nodes() {
        let below: Vec<Below<'_>> = node
            .inputs
            .iter()
            .map(|i| Below { schema: &dataflow.nodes()[i.from].schema, rows: &known[i.from].output })
            .collect();
        let mut layout = layout(node, &below, ends);
        for (at, table) in layout.tables.iter_mut().enumerate().filter(|(_, table)| !table.bound.is_bounded()) {
            // Its output is not: what was put out for a key is not taken back when the key is forgotten.
            if let Some(ttl) = ttl_of(node, at) {
                table.bound = Bound::Ttl(ttl);
            }
        }
        known.push(layout);
    }
    known
}

/// When what is in table `at` of the layout of a node is forgotten: a join has a table for each side, with a time of its own.
pub fn ttl_of(node: &Node, at: usize) -> Option<TimeToLive> {
    match &node.spec {
        OperatorSpec::Join(_) => node.inputs.get(at).and_then(|input| input.ttl),
        _ => node.ttl(),
    }
}

/// The layout of one node over its inputs. An operator without its inputs cannot be built, and keeps nothing.
pub(crate) fn layout(node: &Node, below: &[Below<'_>], ends: &dyn Fn(&SourceSpec) -> bool) -> Layout {
    let nothing = Layout::stateless(Bound::Rows(0));
    let Some(input) = below.first() else {
        return match &node.spec {
            OperatorSpec::Source(source) => Layout::stateless(of_source(source, node.traits.mode, ends(source))),
            OperatorSpec::Values(values) => Layout::stateless(Bound::Rows(values.rows.num_rows() as u64)),
            _ => nothing,
        };
    };
    let second = below.get(1).unwrap_or(input);
    match &node.spec {
        OperatorSpec::Source(_) | OperatorSpec::Values(_) => nothing,
        OperatorSpec::Calc(_) => calc::layout(input),
        OperatorSpec::Union => union::layout(below),
        OperatorSpec::GroupAggregate(spec) => group_aggregate::layout(spec, input),
        OperatorSpec::WindowAssign(_) => window_assign::layout(input),
        OperatorSpec::WindowAggregate(spec) => window_aggregate::layout(spec, input),
        OperatorSpec::SessionAssign(spec) => session_assign::layout(spec, input),
        OperatorSpec::SessionAggregate(spec) => session_aggregate::layout(spec, input),
        OperatorSpec::Join(spec) => join::layout(spec, [input, second]),
        OperatorSpec::TopN(spec) => top_n::layout(spec, input),
        OperatorSpec::Unnest(_) => unnest::layout(input),
        OperatorSpec::Over(spec) => over::layout(spec, input),
        OperatorSpec::SetOperation(_) => set_operation::layout(input, second),
        OperatorSpec::TemporalFilter(spec) => temporal_filter::layout(spec, input),
        OperatorSpec::ChangelogNormalize(spec) => changelog_normalize::layout(spec, input),
        OperatorSpec::SinkMaterialize(spec) => sink_materialize::layout(spec, input),
        OperatorSpec::Sink(_) => Layout::stateless(input.rows.clone()),
    }
}

/// A source whose rows come and go holds as many as somebody keeps in it, though its changes never end.
fn of_source(source: &SourceSpec, mode: ChangeMode, ends: bool) -> Bound {
    let tables = vec![source.table.clone()];
    if ends || mode != ChangeMode::AppendOnly { Bound::Tables(tables) } else { Bound::Nothing(tables) }
}

/// What a text, a list or the like is taken for.
pub const TEXT_BYTES: usize = 24;
/// Hash, flags and the place in the index of a key of a `SlotTable`.
pub(crate) const SLOT_BYTES: usize = 20;

/// Bytes of a value of a type in a column.
pub(crate) fn value_bytes(data_type: &DataType) -> usize {
    match data_type {
        DataType::Null => 0,
        DataType::Boolean => 1,
        DataType::Struct(fields) => fields.iter().map(|f| value_bytes(f.data_type())).sum(),
        other => other.primitive_width().unwrap_or(TEXT_BYTES),
    }
}

/// Bytes of the values of some columns.
pub(crate) fn columns_bytes(schema: &Schema, columns: impl IntoIterator<Item = usize>) -> usize {
    columns.into_iter().map(|c| value_bytes(schema.field(c).data_type())).sum()
}
