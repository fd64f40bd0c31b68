//! What operators keep, in words that depend neither on positions of columns nor on what else a query computes. By them it can be told
//! of two plans which operators keep the same.
//!
//! Every column of every node has a text over the columns of tables: `sum(price * 2)` of a projection's `x`, where the projection says
//! `price * 2 AS x`. The rows of every node have one too, which says where they come from and which of them are there, but not which
//! columns are put out. Two operators keep something of the same rows, in the same way, when their
//! [places](StateOrigin::place) are equal. Whether it is the same that they keep is for their columns to say. State that was stored with other
//! [words](Words) is compared in those.

mod spelled;

use crate::{
    AggregateCall, AggregatePhase, Dataflow, Expression, JoinKind, Node, NodeId, OperatorSpec, OrderColumn, Window,
};
use arrow::datatypes::DataType;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::Column;
use eddyline_changes::hash::hash_bytes;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

/// Longer texts are cut, with a hash of the whole behind.
const TEXT_BYTES_MAX: usize = 160;

/// What an operator keeps.
#[derive(Debug, Clone, PartialEq)]
pub struct StateOrigin {
    /// The node.
    pub node: NodeId,
    /// Of which rows, by what, and in which way.
    pub place: String,
    /// The columns of the key, where that is known.
    pub keys: Vec<KeptColumn>,
    /// The aggregates, or the columns of the rows that are kept.
    pub kept: Vec<KeptColumn>,
    /// What else decides how it is encoded.
    pub form: String,
    /// Rows that are kept as they are: which of the columns `kept` they have, and how they are stored.
    pub rows: Vec<RowsOrigin>,
}

/// Rows that an operator keeps as they are.
#[derive(Debug, Clone, PartialEq)]
pub struct RowsOrigin {
    /// Which of the operator's rows, where it keeps several kinds: `left`, `right`.
    pub part: &'static str,
    /// Their columns, of those that the operator keeps.
    pub columns: Range<usize>,
    /// How they are stored.
    pub form: RowsForm,
}

/// How rows are stored; columns are those of the rows.
#[derive(Debug, Clone, PartialEq)]
pub enum RowsForm {
    /// One side of a join, by its keys.
    Side {
        /// 0: left, 1: right.
        side: usize,
        /// The columns that are compared.
        keys: Vec<usize>,
        /// Its rows are only inserted.
        append_only: bool,
    },
    /// In partitions, in an order.
    Partitions {
        /// The columns that make one.
        partition: Vec<usize>,
        /// The order.
        order: Vec<OrderColumn>,
    },
    /// The last row of every key.
    Last {
        /// The key.
        key: Vec<usize>,
    },
    /// All rows of every key, as they came.
    List {
        /// The key.
        key: Vec<usize>,
    },
    /// With how often each of two inputs has them.
    Copies {
        /// 0: left, 1: right.
        side: usize,
    },
    /// By the time in which they are there.
    Timed {
        /// The columns that are kept, in their order.
        columns: Vec<usize>,
        /// How many of them, the first, deal rows out; `None`: rows stay on their shard.
        by: Option<usize>,
    },
    /// Not rows, but aggregates by the slice of time to which they belong, and keys.
    Slices {
        /// A window is one slice.
        are_windows: bool,
    },
}

/// A column of what an operator keeps.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptColumn {
    /// What it is.
    pub text: String,
    /// The type of the values of a key or a row; that of the result of an aggregate.
    pub data_type: DataType,
    /// The aggregate.
    pub call: Option<AggregateCall>,
}

/// In which words it is told what operators keep. State is found by the words with which it was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// Some of them were how the engine's structures print themselves, with positions.
    Former,
    /// All are [spelled out](spelled).
    Spelled,
}

impl Words {
    /// Those of what is stored now.
    pub const NOW: Self = Self::Spelled;

    /// Their number, as it is stored.
    pub fn number(self) -> u32 {
        match self {
            Self::Former => 0,
            Self::Spelled => 1,
        }
    }

    /// Those of a stored number; `None` of one that is not known.
    pub fn of(number: u32) -> Option<Self> {
        [Self::Former, Self::Spelled].into_iter().find(|words| words.number() == number)
    }
}

/// What all operators of a plan keep: sources, which keep how far they have read, first; then the others that keep anything.
pub fn state_origins(dataflow: &Dataflow, words: Words) -> Vec<StateOrigin> {
    let mut texts = Texts { dataflow, is_former: words == Words::Former, rows: Vec::new(), columns: Vec::new() };
    let mut origins: Vec<StateOrigin> = Vec::new();
    for node in dataflow.nodes() {
        let (rows, columns) = texts.of(node);
        origins.extend(texts.origin(node, &rows));
        texts.rows.push(rows);
        texts.columns.push(columns);
    }
    origins.sort_by_key(|o| (!matches!(dataflow.nodes()[o.node].spec, OperatorSpec::Source(_)), o.node));
    origins
}

/// The texts of the nodes so far.
struct Texts<'a> {
    dataflow: &'a Dataflow,
    is_former: bool,
    rows: Vec<String>,
    columns: Vec<Vec<String>>,
}

impl Texts<'_> {
    /// The texts of a node's rows and columns.
    fn of(&self, node: &Node) -> (String, Vec<String>) {
        let below = node.inputs.first().map(|i| i.from);
        let rows = |n: Option<NodeId>| n.map_or("", |n| self.rows[n].as_str());
        let columns = |n: Option<NodeId>| n.map_or(&[][..], |n| self.columns[n].as_slice());
        match &node.spec {
            OperatorSpec::Source(spec) => {
                let decoded: Vec<String> = spec.decoded().fields().iter().map(|f| f.name().clone()).collect();
                let filter = filtered(spec.predicate.as_ref(), &decoded);
                let project = spec.project.iter().map(|e| over(&e.expression, &decoded));
                (short(format!("rows of {}{filter}", spec.known_by())), project.collect())
            }
            OperatorSpec::Calc(spec) => {
                let columns = columns(below);
                let filter = filtered(spec.predicate.as_ref(), columns);
                let project = spec.project.iter().map(|e| over(&e.expression, columns));
                (short(format!("{}{filter}", rows(below))), project.collect())
            }
            OperatorSpec::GroupAggregate(spec) => match spec.phase {
                AggregatePhase::Single | AggregatePhase::Global => {
                    let base = self.base(node);
                    let keys = self.picked(below, &spec.keys);
                    let calls = spec.calls.iter().map(|c| call_text(c, &self.columns[base]));
                    let columns = keys.iter().cloned().chain(calls).collect();
                    (short(format!("groups of ({}) by ({})", self.rows[base], keys.join(", "))), columns)
                }
                AggregatePhase::Local | AggregatePhase::Distinct => self.partials(node, &spec.keys),
            },
            OperatorSpec::WindowAggregate(spec) => match spec.phase {
                AggregatePhase::Local | AggregatePhase::Distinct => self.partials(node, &spec.keys),
                _ => {
                    let base = self.base(node);
                    let keys = self.picked(below, &spec.keys);
                    let time = self.columns[base].get(spec.time).cloned().unwrap_or_default();
                    let calls = spec.calls.iter().map(|c| call_text(c, &self.columns[base]));
                    let window = ["window_start", "window_end", "window_time"].map(str::to_owned);
                    let columns = keys.iter().cloned().chain(calls).chain(window).collect();
                    let (window, keys) = (self.window(&spec.window), keys.join(", "));
                    (short(format!("{window} of {time} of ({}) by ({keys})", self.rows[base])), columns)
                }
            },
            OperatorSpec::WindowAssign(spec) => {
                let time = columns(below).get(spec.time).cloned().unwrap_or_default();
                let window = ["window_start", "window_end", "window_time"].map(|part| format!("{part} of {time}"));
                let columns = columns(below).iter().cloned().chain(window).collect();
                (short(format!("({}) in {} of {time}", rows(below), self.window(&spec.window))), columns)
            }
            OperatorSpec::SessionAssign(spec) => {
                let time = columns(below).get(spec.time).cloned().unwrap_or_default();
                let session = spelled::session(spec.gap_ms, &self.picked(below, &spec.partition));
                let window =
                    ["window_start", "window_end", "window_time"].map(|part| short(format!("{part} of {session}")));
                let columns = columns(below).iter().cloned().chain(window).collect();
                (short(format!("({}) in {session} of {time}", rows(below))), columns)
            }
            OperatorSpec::SessionAggregate(spec) => {
                let time = columns(below).get(spec.time).cloned().unwrap_or_default();
                let keys = self.picked(below, &spec.keys);
                let session = spelled::session(spec.gap_ms, &keys);
                let calls = spec.calls.iter().map(|c| call_text(c, columns(below)));
                let window = ["window_start", "window_end", "window_time"].map(str::to_owned);
                let all = keys.iter().cloned().chain(calls).chain(window).collect();
                (short(format!("groups of ({}) by {session} of {time}", rows(below))), all)
            }
            OperatorSpec::Join(spec) => {
                let sides = [0, 1].map(|side: usize| node.inputs.get(side).map(|i| i.from));
                let [left, right] = sides.map(columns);
                let pair = |(l, r): &(usize, usize)| format!("{} = {}", at(left, *l), at(right, *r));
                let on: Vec<String> = spec.on.iter().map(pair).collect();
                let marked = |side: &str, texts: &[String]| -> Vec<String> {
                    texts.iter().map(|text| short(format!("{side} {text}"))).collect()
                };
                let both = [marked("left", left), marked("right", right)].concat();
                let residual = spec.residual.as_ref().map(|r| over(r, &both)).unwrap_or_default();
                let all = match spec.kind {
                    JoinKind::Mark => [marked("left", left), vec!["mark".to_owned()]].concat(),
                    _ => both,
                };
                let [l, r] = sides.map(rows);
                let (kind, on) = (spec.kind.name(), on.join(", "));
                let text = format!("{kind} join of ({l}) with ({r}) on {on} if {residual} nulls {}", spec.null_equal);
                (short(text), spec.output.iter().map(|c| at(&all, *c)).collect())
            }
            OperatorSpec::TopN(spec) => {
                let columns = columns(below);
                let order: Vec<String> = spec.order.iter().map(|o| order_text(o, columns)).collect();
                let by: Vec<String> = spec.partition.iter().map(|c| at(columns, *c)).collect();
                let (ranking, by, order) = (spec.ranking.name(), by.join(", "), order.join(", "));
                let (first, last) = (spec.first, spec.last);
                let text = match spec.local {
                    true => rows(below).to_owned(),
                    false => format!("{ranking} {first}..{last:?} of ({}) by ({by}) order {order}", rows(below)),
                };
                let all: Vec<String> = columns.iter().cloned().chain([ranking.to_owned()]).collect();
                (short(text), spec.output.iter().map(|c| at(&all, *c)).collect())
            }
            OperatorSpec::Union => {
                let inputs: Vec<&str> = node.inputs.iter().map(|i| self.rows[i.from].as_str()).collect();
                let column = |c: usize| {
                    let texts: Vec<String> = node.inputs.iter().map(|i| at(&self.columns[i.from], c)).collect();
                    short(texts.join(" or "))
                };
                let columns = (0..node.schema.fields().len()).map(column).collect();
                (short(format!("all of ({})", inputs.join(") and ("))), columns)
            }
            OperatorSpec::Sink(spec) => (format!("table {}", spec.table), Vec::new()),
            _ if self.is_former => self.whole(node),
            OperatorSpec::Over(spec) => {
                let columns = columns(below);
                let partition = spelled::partition(&spec.partition, &spec.order, columns);
                let calls = spec
                    .calls
                    .iter()
                    .map(|c| short(format!("{} over ({partition})", spelled::over_function(&c.function, columns))));
                let all: Vec<String> = columns.iter().cloned().chain(calls).collect();
                let text = format!("({}) {partition}", rows(below));
                (short(text), spec.output.iter().map(|c| at(&all, *c)).collect())
            }
            OperatorSpec::SetOperation(spec) => {
                let inputs: Vec<&str> = node.inputs.iter().map(|i| self.rows[i.from].as_str()).collect();
                let text = format!("{} ({})", spelled::set_operation(spec.operation), inputs.join(") and ("));
                (short(text), columns(below).to_vec())
            }
            OperatorSpec::TemporalFilter(spec) => {
                let columns = columns(below);
                let text = format!("({}) while {}", rows(below), spelled::bounds(spec, columns));
                (short(text), spec.output.iter().map(|c| at(columns, *c)).collect())
            }
            OperatorSpec::ChangelogNormalize(spec) => {
                let key = self.picked(below, &spec.key).join(", ");
                (short(format!("the last of ({}) by ({key})", rows(below))), columns(below).to_vec())
            }
            OperatorSpec::SinkMaterialize(spec) => {
                let (key, conflict) = (self.picked(below, &spec.key).join(", "), spelled::conflict(spec.conflict));
                let text = format!("{conflict} of ({}) by ({key}) for {}", rows(below), spec.table);
                (short(text), columns(below).to_vec())
            }
            OperatorSpec::Unnest(spec) => {
                let lists = self.picked(below, &spec.lists).join(", ");
                let (outer, number) = (spec.outer, spec.ordinality);
                let width = columns(below).len();
                let column = |c: &usize| match columns(below).get(*c) {
                    Some(text) => text.clone(),
                    None => short(format!("element {} of ({lists}), number {number}", c - width)),
                };
                let text = format!("elements of ({lists}) of ({}), also without {outer}", rows(below));
                (short(text), spec.output.iter().map(column).collect())
            }
            OperatorSpec::Values(spec) => {
                let name = spelled::values(&spec.rows);
                let columns = (0..node.schema.fields().len()).map(|c| format!("{c} of {name}")).collect();
                (name, columns)
            }
        }
    }

    fn window(&self, window: &Window) -> String {
        if self.is_former { format!("{window:?}") } else { spelled::window(window) }
    }

    /// In its former words, which hold positions: with all columns of its inputs, so that the positions mean something.
    fn whole(&self, node: &Node) -> (String, Vec<String>) {
        let mut text = format!("{:?}", node.spec);
        for input in &node.inputs {
            let _ = write!(text, " of ({}): {}", self.rows[input.from], self.columns[input.from].join(", "));
        }
        let name = format!("{} {:016x}", node.spec.name(), hash_bytes(text.as_bytes()));
        let columns = (0..node.schema.fields().len()).map(|c| format!("{c} of {name}")).collect();
        (name, columns)
    }

    /// What travels between the phases of an aggregate: keys, then partials.
    fn partials(&self, node: &Node, keys: &[usize]) -> (String, Vec<String>) {
        let below = node.inputs.first().map(|i| i.from);
        let mut columns = self.picked(below, keys);
        columns.resize(node.schema.fields().len().max(columns.len()), "partial".into());
        (below.map(|b| self.rows[b].clone()).unwrap_or_default(), columns)
    }

    /// The node whose rows the first phase of an aggregate reads.
    fn base(&self, node: &Node) -> NodeId {
        let mut at = node.inputs.first().map_or(0, |i| i.from);
        loop {
            let below = &self.dataflow.nodes()[at];
            let is_phase = match &below.spec {
                OperatorSpec::GroupAggregate(spec) => {
                    matches!(spec.phase, AggregatePhase::Local | AggregatePhase::Distinct)
                }
                OperatorSpec::WindowAggregate(spec) => spec.phase == AggregatePhase::Local,
                _ => false,
            };
            match below.inputs.first().filter(|_| is_phase) {
                Some(input) => at = input.from,
                None => return at,
            }
        }
    }

    fn picked(&self, node: Option<NodeId>, columns: &[usize]) -> Vec<String> {
        let texts = node.map_or(&[][..], |n| self.columns[n].as_slice());
        columns.iter().map(|c| at(texts, *c)).collect()
    }

    /// What a node keeps, if it keeps anything; `rows` is the text of its rows.
    fn origin(&self, node: &Node, rows: &str) -> Option<StateOrigin> {
        let inputs = || node.inputs.iter().map(|i| i.from);
        let origin = |keys, kept, form: String| {
            let place = format!("{}: {rows}", node.spec.name());
            let rows = self.kept_rows(node);
            Some(StateOrigin { node: node.id, place, keys, kept, form, rows })
        };
        match &node.spec {
            OperatorSpec::Source(spec) => {
                let place = format!("Source: {}", spec.known_by());
                let (keys, kept, rows) = (vec![], vec![], vec![]);
                Some(StateOrigin { node: node.id, place, keys, kept, form: String::new(), rows })
            }
            OperatorSpec::GroupAggregate(spec) => {
                let form = format!("{:?}, append-only {}", spec.phase, spec.append_only);
                match spec.phase {
                    AggregatePhase::Local => None,
                    AggregatePhase::Distinct => {
                        let calls: Vec<AggregateCall> = spec.calls.iter().filter(|c| c.distinct).cloned().collect();
                        origin(self.keys(node, &spec.keys), self.calls(node, &calls), form)
                    }
                    _ => origin(self.keys(node, &spec.keys), self.calls(node, &spec.calls), form),
                }
            }
            OperatorSpec::WindowAggregate(spec) if spec.phase != AggregatePhase::Local => {
                let form = format!("{:?}, append-only {}", spec.phase, spec.append_only);
                origin(self.keys(node, &spec.keys), self.calls(node, &spec.calls), form)
            }
            OperatorSpec::TopN(spec) if spec.local => None,
            OperatorSpec::Join(spec) => {
                let range = spec.range.as_ref().map(|r| (r.compare, r.is_all));
                let form = match self.is_former {
                    true => format!("{:?} {range:?} {:?} {}", spec.append_only, spec.time, spec.on_close),
                    false => spelled::join_form(spec),
                };
                origin(vec![], inputs().flat_map(|i| self.all(i)).collect(), form)
            }
            OperatorSpec::TopN(spec) => {
                let form = match self.is_former {
                    true => format!("append-only {} {:?}", spec.append_only, spec.closes),
                    false => format!("append-only {}{}", spec.append_only, spelled::closes(spec.closes.as_ref())),
                };
                origin(vec![], inputs().flat_map(|i| self.all(i)).collect(), form)
            }
            OperatorSpec::TemporalFilter(spec) if !self.is_former => {
                let by = spec.by.as_ref().map_or_else(|| "where they are".to_owned(), |by| format!("by {}", by.len()));
                origin(vec![], self.keys(node, &spec.stored()), by)
            }
            OperatorSpec::SessionAssign(spec) => {
                let form = if spec.closes { "until they close" } else { "for good" };
                origin(vec![], inputs().flat_map(|i| self.all(i)).collect(), form.into())
            }
            OperatorSpec::SessionAggregate(spec) => {
                let form = if spec.closes { "until they close" } else { "for good" };
                origin(self.keys(node, &spec.keys), self.calls(node, &spec.calls), form.into())
            }
            OperatorSpec::SetOperation(_)
            | OperatorSpec::Over(_)
            | OperatorSpec::TemporalFilter(_)
            | OperatorSpec::ChangelogNormalize(_)
            | OperatorSpec::SinkMaterialize(_) => {
                origin(vec![], inputs().flat_map(|i| self.all(i)).collect(), String::new())
            }
            _ => None,
        }
    }

    /// The rows that a node keeps as they are.
    fn kept_rows(&self, node: &Node) -> Vec<RowsOrigin> {
        let nodes = self.dataflow.nodes();
        let width = |input: usize| node.inputs.get(input).map_or(0, |i| nodes[i.from].schema.fields().len());
        let all = |form| vec![RowsOrigin { part: "", columns: 0..width(0), form }];
        match &node.spec {
            OperatorSpec::Join(spec) => {
                let of = |side: usize, part, columns| {
                    let form = RowsForm::Side { side, keys: spec.keys(side), append_only: spec.append_only[side] };
                    RowsOrigin { part, columns, form }
                };
                vec![of(0, "left", 0..width(0)), of(1, "right", width(0)..width(0) + width(1))]
            }
            OperatorSpec::TopN(spec) => {
                all(RowsForm::Partitions { partition: spec.partition.clone(), order: spec.order.clone() })
            }
            OperatorSpec::Over(spec) => {
                all(RowsForm::Partitions { partition: spec.partition.clone(), order: spec.order.clone() })
            }
            OperatorSpec::SessionAssign(spec) => {
                let order = vec![OrderColumn { column: spec.time, descending: false, nulls_first: true }];
                all(RowsForm::Partitions { partition: spec.partition.clone(), order })
            }
            OperatorSpec::ChangelogNormalize(spec) => all(RowsForm::Last { key: spec.key.clone() }),
            OperatorSpec::SinkMaterialize(spec) => all(RowsForm::List { key: spec.key.clone() }),
            OperatorSpec::SetOperation(_) => {
                let of = |side, part, columns| RowsOrigin { part, columns, form: RowsForm::Copies { side } };
                vec![of(0, "left", 0..width(0)), of(1, "right", width(0)..width(0) + width(1))]
            }
            OperatorSpec::TemporalFilter(spec) => {
                let (stored, by) = (spec.stored(), spec.by.as_ref().map(Vec::len));
                if self.is_former {
                    return all(RowsForm::Timed { columns: stored, by });
                }
                let form = RowsForm::Timed { columns: (0..stored.len()).collect(), by };
                vec![RowsOrigin { part: "", columns: 0..stored.len(), form }]
            }
            OperatorSpec::WindowAggregate(spec) if spec.phase != AggregatePhase::Local => {
                let are_windows = spec.window.slice_ms() == spec.window.size_ms();
                vec![RowsOrigin { part: "", columns: 0..spec.calls.len(), form: RowsForm::Slices { are_windows } }]
            }
            _ => Vec::new(),
        }
    }

    fn keys(&self, node: &Node, keys: &[usize]) -> Vec<KeptColumn> {
        let Some(below) = node.inputs.first().map(|i| i.from) else { return vec![] };
        let columns = self.all(below);
        keys.iter().filter_map(|k| columns.get(*k).cloned()).collect()
    }

    fn calls(&self, node: &Node, calls: &[AggregateCall]) -> Vec<KeptColumn> {
        let columns = &self.columns[self.base(node)];
        let kept = |call: &AggregateCall| KeptColumn {
            text: call_text(call, columns),
            data_type: call.return_type.clone(),
            call: Some(call.clone()),
        };
        calls.iter().map(kept).collect()
    }

    /// All columns that a node puts out.
    fn all(&self, node: NodeId) -> Vec<KeptColumn> {
        let fields = self.dataflow.nodes()[node].schema.fields().iter();
        let kept = |(text, field): (&String, &arrow::datatypes::FieldRef)| KeptColumn {
            text: text.clone(),
            data_type: field.data_type().clone(),
            call: None,
        };
        self.columns[node].iter().zip(fields).map(kept).collect()
    }
}

fn at(texts: &[String], column: usize) -> String {
    texts.get(column).cloned().unwrap_or_default()
}

fn filtered(predicate: Option<&Expression>, columns: &[String]) -> String {
    predicate.map(|p| format!(" where {}", over(p, columns))).unwrap_or_default()
}

fn order_text(order: &OrderColumn, columns: &[String]) -> String {
    format!("{} {} {}", at(columns, order.column), order.descending, order.nulls_first)
}

/// `sum(price) where active`.
fn call_text(call: &AggregateCall, columns: &[String]) -> String {
    let args: Vec<String> = call.args.iter().map(|c| at(columns, *c)).collect();
    let distinct = if call.distinct || call.list.once { "distinct " } else { "" };
    let args = if args.is_empty() { "*".to_owned() } else { args.join(", ") };
    let mut text = format!("{}({distinct}{args})", call.function);
    if let Some(filter) = call.filter {
        let _ = write!(text, " where {}", at(columns, filter));
    }
    for order in &call.list.order {
        let _ = write!(text, " order {} {} {}", at(columns, order.column), order.descending, order.nulls_first);
    }
    if !call.list.separator.is_empty() || call.list.fraction_bits != 0 {
        let _ = write!(text, " by {:?} at {}", call.list.separator, f64::from_bits(call.list.fraction_bits));
    }
    short(text)
}

/// The text of an expression over columns of these texts.
fn over(expression: &Expression, columns: &[String]) -> String {
    let named = |e: Arc<dyn PhysicalExpr>| {
        let Some(column) = e.downcast_ref::<Column>() else { return Ok(Transformed::no(e)) };
        // At one place, whatever the column's: see below.
        Ok(Transformed::yes(Arc::new(Column::new(&at(columns, column.index()), 0)) as Arc<dyn PhysicalExpr>))
    };
    // Nothing in it fails; and what was not replaced would hold positions.
    let named = expression.physical().clone().transform_up(named);
    let text = named.map_or_else(|_| expression.to_string(), |e| Expression::new(e.data).to_string());
    short(text.replace("@0", ""))
}

/// A text as it is, or its beginning and a hash of the whole.
fn short(text: String) -> String {
    if text.len() <= TEXT_BYTES_MAX {
        return text;
    }
    let end = (0..=TEXT_BYTES_MAX - 20).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…{:016x}", &text[..end], hash_bytes(text.as_bytes()))
}
