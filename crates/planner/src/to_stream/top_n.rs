//! Filters on the number of a row: ROW_NUMBER, RANK, DENSE_RANK with bounds, and what is written in their terms (LIMIT,
//! DISTINCT ON).
//!
//! Whether the number is put out decides how much changes; that is known when the rows are read ([`Base::TopN`]).
//! Where the partition has a column of windows that close, a window is put out when it does (with `execution.emit` = `on-close`).
//! Without PARTITION BY all rows meet on one shard; if they are only inserted, every shard selects its first ones before.

use super::Builder;
use super::graph::{NewNode, meaning};
use super::join::has_map;
use super::refuse;
use super::stream::{Base, Facts, Stream, WindowColumns, column, column_at};
use crate::SqlError;
use crate::bind::ranking;
use arrow::datatypes::Schema;
use datafusion_common::ScalarValue;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_expr::expr::{Sort, WindowFunction};
use datafusion_expr::utils::{conjunction, split_conjunction};
use datafusion_expr::{Expr, Filter, LogicalPlan, Operator, Window, WindowFunctionDefinition};
use eddyline_plan::{
    ChangeMode, Input, NamedExpression, NodeId, OperatorSpec, OrderColumn, Ranking, TimeKey, TopNSpec,
};

/// A [`Base::TopN`]: everything but which columns are put out.
#[derive(Debug, Clone)]
pub(crate) struct Numbering {
    input: Input,
    spec: TopNSpec,
}

/// A filter that bounds the numbers of a window.
pub(super) struct Numbered<'p> {
    window: &'p Window,
    call: &'p WindowFunction,
    ranking: Ranking,
    bounds: Bounds,
    /// Between the filter and the window, from above.
    between: Vec<&'p LogicalPlan>,
    /// What the filter says beyond the bounds, over its input.
    rest: Option<Expr>,
}

/// Numbers from `first` to `last`. `exact`: the condition says nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    first: i64,
    last: i64,
    exact: bool,
}

const ALL: Bounds = Bounds { first: i64::MIN, last: i64::MAX, exact: true };

/// The window function that a window computes, if it numbers rows and nothing else.
pub(super) fn numbering(window: &Window) -> Option<(&WindowFunction, Ranking)> {
    let [expr] = window.window_expr.as_slice() else { return None };
    let expr = if let Expr::Alias(alias) = expr { alias.expr.as_ref() } else { expr };
    let Expr::WindowFunction(call) = expr else { return None };
    let WindowFunctionDefinition::WindowUDF(function) = &call.fun else { return None };
    Some((call, ranking(function)?))
}

impl<'p> Numbered<'p> {
    /// What `filter` is, if it bounds the numbers of a window.
    pub(super) fn of(filter: &'p Filter) -> Option<Self> {
        let mut between = Vec::new();
        let mut below = filter.input.as_ref();
        let window = loop {
            match below {
                LogicalPlan::Window(window) => break window,
                LogicalPlan::Projection(p) => {
                    between.push(below);
                    below = p.input.as_ref();
                }
                LogicalPlan::SubqueryAlias(a) => {
                    between.push(below);
                    below = a.input.as_ref();
                }
                _ => return None,
            }
        };
        let (call, ranking) = numbering(window)?;
        let number = Expr::Column(window.schema.columns().pop()?);
        let (mut bounds, mut rest) = (ALL, Vec::new());
        for condition in split_conjunction(&filter.predicate) {
            let over_window = between.iter().try_fold(condition.clone(), |e, plan| through(e, plan))?;
            let found = bounds_of(&over_window, &number);
            if let Some(found) = found {
                bounds = both(bounds, found);
            }
            if !found.is_some_and(|f| f.exact) {
                rest.push(condition.clone());
            }
        }
        let is_bounded = bounds.first > 1 || bounds.last < i64::MAX;
        is_bounded.then(|| Self { window, call, ranking, bounds, between, rest: conjunction(rest) })
    }
}

/// An expression over the output of a projection or alias, as one over its input.
fn through(expr: Expr, plan: &LogicalPlan) -> Option<Expr> {
    let replaced = expr.transform_up(|e| {
        let Expr::Column(column) = &e else { return Ok(Transformed::no(e)) };
        let at = plan.schema().index_of_column(column)?;
        Ok(Transformed::yes(match plan {
            LogicalPlan::Projection(p) => p.expr[at].clone().unalias(),
            LogicalPlan::SubqueryAlias(a) => Expr::Column(a.input.schema().columns().swap_remove(at)),
            _ => e,
        }))
    });
    replaced.ok().map(|t| t.data)
}

/// The numbers for which a condition can be true, if it is about the number alone.
fn bounds_of(condition: &Expr, number: &Expr) -> Option<Bounds> {
    let is_number = |e: &Expr| plain(e) == number;
    match condition {
        Expr::BinaryExpr(b) if b.op == Operator::And => {
            Some(both(bounds_of(&b.left, number)?, bounds_of(&b.right, number)?))
        }
        Expr::BinaryExpr(b) if b.op == Operator::Or => {
            let (l, r) = (bounds_of(&b.left, number)?, bounds_of(&b.right, number)?);
            Some(Bounds { first: l.first.min(r.first), last: l.last.max(r.last), exact: false })
        }
        Expr::BinaryExpr(b) if is_number(&b.left) => compared(b.op, integer(&b.right)?),
        Expr::BinaryExpr(b) if is_number(&b.right) => compared(b.op.swap()?, integer(&b.left)?),
        Expr::Between(b) if !b.negated && is_number(&b.expr) => {
            Some(Bounds { first: integer(&b.low)?, last: integer(&b.high)?, exact: true })
        }
        Expr::InList(l) if !l.negated && is_number(&l.expr) => {
            let numbers = l.list.iter().map(integer).collect::<Option<Vec<i64>>>()?;
            Some(Bounds { first: *numbers.iter().min()?, last: *numbers.iter().max()?, exact: false })
        }
        _ => None,
    }
}

fn both(one: Bounds, other: Bounds) -> Bounds {
    Bounds { first: one.first.max(other.first), last: one.last.min(other.last), exact: one.exact && other.exact }
}

fn compared(op: Operator, with: i64) -> Option<Bounds> {
    Some(match op {
        Operator::Eq => Bounds { first: with, last: with, exact: true },
        Operator::LtEq => Bounds { last: with, ..ALL },
        Operator::Lt => Bounds { last: with.saturating_sub(1), ..ALL },
        Operator::GtEq => Bounds { first: with, ..ALL },
        Operator::Gt => Bounds { first: with.saturating_add(1), ..ALL },
        _ => return None,
    })
}

/// Without names and casts. A cast of a number does not change how it compares with integers.
fn plain(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(a) => plain(&a.expr),
        Expr::Cast(c) => plain(&c.expr),
        other => other,
    }
}

/// An integer that is known now.
pub(super) fn integer(expr: &Expr) -> Option<i64> {
    let Expr::Literal(value, _) = plain(expr) else { return None };
    if !value.data_type().is_integer() {
        return None;
    }
    match value.cast_to(&arrow::datatypes::DataType::Int64) {
        Ok(ScalarValue::Int64(value)) => value,
        _ => None,
    }
}

impl Builder<'_, '_> {
    /// The stream of a filter that bounds numbers.
    pub(super) fn top_n(&mut self, numbered: &Numbered<'_>, filter: &Filter) -> Result<Stream, SqlError> {
        let window = numbered.window;
        let below = window.input.schema();
        let params = &numbered.call.params;
        let keys = params.partition_by.iter().chain(params.order_by.iter().map(|s| &s.expr));
        let keys = keys.map(|e| self.compiler.compile(e, below)).collect::<Result<Vec<_>, _>>()?;
        let input = self.stream(&window.input)?;
        let windows = self.closing_windows(&input);
        let side = self.side(input, keys)?;
        let schema = self.graph.node(side.node).schema.clone();
        check_types(&schema)?;
        let (partition, order) = side.keys.split_at(params.partition_by.len());
        let bound = |n: i64| u64::try_from(n.max(0)).unwrap_or_default();
        let spec = TopNSpec {
            ranking: numbered.ranking,
            partition: partition.to_vec(),
            order: order.iter().zip(&params.order_by).map(order_column).collect(),
            first: bound(numbered.bounds.first).max(1),
            last: (numbered.bounds.last < i64::MAX).then(|| bound(numbered.bounds.last)),
            append_only: side.facts.mode == ChangeMode::AppendOnly,
            closes: windows.as_ref().and_then(|w| closes(w, partition)),
            local: false,
            output: vec![],
        };
        let width = schema.fields().len();
        let facts = facts(&spec, &side.facts, windows, width);
        let all = TopNSpec { output: (0..=width).collect(), ..spec.clone() }.output_schema(&schema);
        let input = Input::new(side.node, super::join::arrival(&side.facts, partition));
        let input = self.kept(&OperatorSpec::TopN(spec.clone()), input, &side.facts)?;
        let numbering = Numbering { input, spec };
        let mut stream = Stream::over(Base::TopN(Box::new(numbering)), all.clone(), facts);
        let visible = (0..side.width).chain([width]);
        stream.project = visible
            .zip(window.schema.fields())
            .map(|(at, f)| NamedExpression::new(column_at(all.field(at), at), f.name()))
            .collect();
        for plan in numbered.between.iter().rev() {
            if let LogicalPlan::Projection(p) = plan {
                stream = self.project(stream, &p.expr, p.input.schema(), &p.schema)?;
            }
        }
        match &numbered.rest {
            Some(rest) => self.filter(stream, rest, filter.input.schema()),
            None => Ok(stream),
        }
    }

    /// The windows of a stream's rows, where they close and every row is in one.
    fn closing_windows(&self, input: &Stream) -> Option<WindowColumns> {
        let facts = input.output_facts();
        if !self.planner.options.emit.waits() || facts.mode != ChangeMode::AppendOnly {
            return None;
        }
        let Base::Window(windowing) = &input.base else { return facts.windows };
        let width = input.schema.fields().len() - 3;
        let place = |at: usize| input.project.iter().position(|e| column(&e.expression) == Some(at));
        // A watermark follows the last moment of a window, so it closes.
        input.facts.event_time.contains(&(width + 2)).then(|| WindowColumns {
            window: windowing.fixed(),
            start: place(width),
            end: place(width + 1),
            time: place(width + 2),
        })
    }

    /// The node of a Top-N that puts out what `stream` reads, and the stream over it.
    pub(super) fn top_n_node(&mut self, numbering: &Numbering, stream: &Stream) -> (NodeId, Stream) {
        let Numbering { input, spec } = numbering;
        let below = input.from;
        let (read, facts) = stream.read();
        let spec = TopNSpec { output: read.clone(), ..spec.clone() };
        let rows = self.graph.node(below).schema.clone();
        let words = top_n_meaning(&spec, &rows);
        let schema = spec.output_schema(&rows);
        let from = self.preselected(below, &spec, &words);
        let node = self.graph.add(NewNode {
            meaning: words,
            spec: OperatorSpec::TopN(spec),
            inputs: vec![Input { from, ..input.clone() }],
            schema: schema.clone(),
            traits: facts.traits(),
            of: vec![below],
        });
        (node, stream.over_read(node, schema, &read, facts))
    }

    /// The rows that can be among the first of all: where all meet on one shard, each sends its first ones.
    fn preselected(&mut self, below: NodeId, spec: &TopNSpec, words: &str) -> NodeId {
        let options = self.planner.options;
        let several = options.two_phase && options.shards > 1;
        if !(several && spec.partition.is_empty() && spec.append_only && spec.last.is_some()) {
            return below;
        }
        let schema = self.graph.node(below).schema.clone();
        let output = (0..schema.fields().len()).collect();
        let facts = Facts::append_only("a row that comes among the first of its shard goes on to, and stays");
        self.graph.add(NewNode {
            meaning: format!("local {words}"),
            spec: OperatorSpec::TopN(TopNSpec { local: true, first: 1, output, ..spec.clone() }),
            inputs: vec![Input::forward(below)],
            schema,
            traits: facts.traits(),
            of: vec![below],
        })
    }
}

pub(super) fn order_column((column, sort): (&usize, &Sort)) -> OrderColumn {
    OrderColumn { column: *column, descending: !sort.asc, nulls_first: sort.nulls_first }
}

/// Rows are kept by value: their types must have an order.
fn check_types(schema: &Schema) -> Result<(), SqlError> {
    match schema.fields().iter().find(|f| has_map(f.data_type())) {
        Some(field) => Err(refuse::unsupported(&format!("numbering rows with the MAP column {}", field.name()))
            .with_hint("take the values that are needed out of the map below")),
        None => Ok(()),
    }
}

/// The column of the partition that tells when a window is complete.
fn closes(windows: &WindowColumns, partition: &[usize]) -> Option<TimeKey> {
    let at = |column: Option<usize>| partition.iter().position(|p| Some(*p) == column);
    let key = |delay_ms: i64| move |key: usize| TimeKey { key, delay_ms };
    at(windows.time)
        .map(key(0))
        .or_else(|| at(windows.end).map(key(-1)))
        .or_else(|| at(windows.start).map(key(windows.window?.size_ms() - 1)))
}

/// What is known of the rows; column `width` is the number.
fn facts(spec: &TopNSpec, below: &Facts, windows: Option<WindowColumns>, width: usize) -> Facts {
    let last = spec.last.map_or_else(|| "rows".to_owned(), |l| format!("first {l}"));
    let mut facts = match spec.closes {
        Some(_) => Facts::append_only(format!("the {last} of a window are handed out once, when the window closes")),
        None => Facts::append_only(format!("a row leaves the {last} when another comes before it")),
    };
    if spec.closes.is_some() {
        facts.event_time = windows.as_ref().and_then(|w| w.time).into_iter().collect();
        facts.windows = windows;
    } else {
        facts.mode = ChangeMode::Retract;
    }
    if spec.ranking == Ranking::RowNumber {
        if spec.last == Some(spec.first) {
            facts.keys.push(spec.partition.clone());
        }
        facts.keys.push(spec.partition.iter().copied().chain([width]).collect());
    }
    facts.keys.extend(below.keys.clone());
    facts.hashed_by = Some(spec.partition.clone());
    facts
}

fn top_n_meaning(spec: &TopNSpec, input: &Schema) -> String {
    let name = |c: usize| meaning(input.field(c).name());
    let partition: Vec<String> = spec.partition.iter().map(|c| name(*c)).collect();
    let order: Vec<String> =
        spec.order.iter().map(|o| format!("{} {} {}", name(o.column), o.descending, o.nulls_first)).collect();
    let (ranking, by) = (spec.ranking.name(), partition.join(", "));
    format!("{ranking} {}..{:?} by {by} order {}", spec.first, spec.last, order.join(", "))
}
