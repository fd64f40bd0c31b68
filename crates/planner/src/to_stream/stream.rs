use super::join::Joining;
use super::over::Around;
use super::temporal_filter::Filtering;
use super::top_n::Numbering;
use super::unnest::Unnesting;
use crate::bind::state_ttl::Hint;
use crate::checked::NotNull;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_expr::Volatility;
use datafusion_physical_expr::expressions::{CastExpr, Column, Literal};
use datafusion_physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use eddyline_functions::scalar;
use eddyline_plan::{ChangeMode, ChangeTraits, Expression, NamedExpression, NodeId, SourceSpec, ValuesSpec, Window};
use std::sync::Arc;

/// Where a stream's rows come from, below its pending filter and projection.
#[derive(Debug, Clone)]
pub(crate) enum Base {
    /// A node of the graph.
    Node(NodeId),
    /// A source of which nothing is shared, not yet a node: filter and plain projection go into it.
    Source(Box<SourceSpec>),
    /// Rows known now: filter and projection are computed now.
    Values(ValuesSpec),
    /// Window columns appended to a stream, not yet a node: a window aggregate above needs no such node.
    Window(Box<Windowing>),
    /// Two inputs joined, not yet a node: which columns it puts out is known when they are read.
    Join(Box<Joining>),
    /// Rows that are there for a time, not yet a node: which columns are kept is known when they are read.
    TemporalFilter(Box<Filtering>),
    /// The first rows of partitions, not yet a node: whether their numbers are put out is known when they are read.
    TopN(Box<Numbering>),
    /// Elements of lists, not yet a node: which columns it puts out is known when they are read.
    Unnest(Box<Unnesting>),
    /// Functions over the rows around a row, not yet a node: which columns it puts out is known when they are read.
    Over(Box<Around>),
}

/// A [`Base::Window`].
#[derive(Debug, Clone)]
pub(crate) struct Windowing {
    pub(crate) below: Stream,
    pub(crate) cut: Cut,
    /// The time column of `below`'s output.
    pub(crate) time: usize,
}

impl Windowing {
    /// The windows, where their borders do not depend on rows.
    pub(crate) fn fixed(&self) -> Option<Window> {
        match self.cut {
            Cut::Fixed(window) => Some(window),
            Cut::Sessions(_) => None,
        }
    }
}

/// What the rows of a [`Windowing`] are put into.
#[derive(Debug, Clone)]
pub(crate) enum Cut {
    /// Windows whose borders do not depend on rows.
    Fixed(Window),
    /// Sessions.
    Sessions(Sessions),
}

/// Sessions of the rows that are equal in columns of a stream's output.
#[derive(Debug, Clone)]
pub(crate) struct Sessions {
    pub(crate) gap_ms: i64,
    pub(crate) partition: Vec<usize>,
    /// Do they come when the watermark has passed them?
    pub(crate) closes: bool,
}

/// That every row belongs to one window and carries it in columns (the output of a window aggregate, and of sessions that close).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WindowColumns {
    /// `None`: sessions. Then `window_start` says nothing of when a window closes.
    pub(crate) window: Option<Window>,
    pub(crate) start: Option<usize>,
    pub(crate) end: Option<usize>,
    pub(crate) time: Option<usize>,
}

/// What is known of a stream's rows, by column positions. Those of a node's output in [`Stream::facts`], those of
/// the stream's output from [`Stream::output_facts`].
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) mode: ChangeMode,
    pub(crate) reason: String,
    /// Sets of columns each of which identifies a row; best first.
    pub(crate) keys: Vec<Vec<usize>>,
    pub(crate) event_time: Vec<usize>,
    /// The columns by whose hash the rows are dealt out to shards.
    pub(crate) hashed_by: Option<Vec<usize>>,
    pub(crate) windows: Option<WindowColumns>,
    /// What the query says about keeping these rows.
    pub(crate) ttl: Option<Arc<Hint>>,
}

impl Facts {
    /// Rows that are only inserted.
    pub(crate) fn append_only(reason: impl Into<String>) -> Self {
        Self {
            mode: ChangeMode::AppendOnly,
            reason: reason.into(),
            keys: vec![],
            event_time: vec![],
            hashed_by: None,
            windows: None,
            ttl: None,
        }
    }

    /// As a node states them.
    pub(crate) fn traits(&self) -> ChangeTraits {
        ChangeTraits {
            mode: self.mode,
            reason: self.reason.clone(),
            key: self.keys.first().cloned(),
            event_time: self.event_time.clone(),
        }
    }

    /// The facts after columns moved: `to` says where an old column stands now.
    fn moved(&self, to: impl Fn(usize) -> Option<usize>) -> Self {
        let all = |columns: &Vec<usize>| columns.iter().map(|c| to(*c)).collect::<Option<Vec<usize>>>();
        Self {
            mode: self.mode,
            reason: self.reason.clone(),
            keys: self.keys.iter().filter_map(all).collect(),
            event_time: self.event_time.iter().filter_map(|c| to(*c)).collect(),
            hashed_by: self.hashed_by.as_ref().and_then(all),
            windows: self.windows.as_ref().map(|w| WindowColumns {
                window: w.window,
                start: w.start.and_then(&to),
                end: w.end.and_then(&to),
                time: w.time.and_then(&to),
            }),
            ttl: self.ttl.clone(),
        }
    }
}

/// A query planned so far: a base, and a filter and projection over it that are not a node yet.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub(crate) base: Base,
    /// What the base puts out.
    pub(crate) schema: SchemaRef,
    pub(crate) facts: Facts,
    /// Conjuncts over the base's columns, before `project`.
    pub(crate) predicates: Vec<Expression>,
    /// The output columns over the base's columns.
    pub(crate) project: Vec<NamedExpression>,
}

impl Stream {
    /// A stream of all columns of a base.
    pub(crate) fn over(base: Base, schema: SchemaRef, facts: Facts) -> Self {
        let project = identity(&schema);
        Self { base, schema, facts, predicates: vec![], project }
    }

    /// True when the output is the base's output, but for names.
    pub(crate) fn is_plain(&self) -> bool {
        self.predicates.is_empty()
            && self.project.len() == self.schema.fields().len()
            && self.project.iter().enumerate().all(|(at, e)| column(&e.expression) == Some(at))
    }

    /// Is there something to be computed when the plan runs, though it is constant?
    pub(super) fn has_late(&self) -> bool {
        self.project.iter().map(|e| &e.expression).chain(&self.predicates).any(is_late)
    }

    /// The same under the names of `schema`: a projection that only renames is not there any more in an optimized plan.
    pub(crate) fn named(mut self, schema: &Schema) -> Self {
        self.project.iter_mut().zip(schema.fields()).for_each(|(e, f)| e.name.clone_from(f.name()));
        self
    }

    /// The schema of the output.
    pub(crate) fn output_schema(&self) -> datafusion_common::Result<SchemaRef> {
        let fields: datafusion_common::Result<Vec<FieldRef>> =
            self.project.iter().map(|e| e.field(&self.schema)).collect();
        Ok(Arc::new(Schema::new(fields?)))
    }

    /// What is known of the output's columns: what passes through as a plain column keeps its meaning.
    pub(crate) fn output_facts(&self) -> Facts {
        let place = |base| self.project.iter().position(|e| carried(&e.expression) == Some(base));
        let mut facts = self.facts.moved(place);
        // A key stays one where its columns are cast so that different values stay different.
        let apart = |base: &usize| {
            let cast =
                || self.project.iter().position(|e| told_apart(e.expression.physical(), &self.schema) == Some(*base));
            place(*base).or_else(cast)
        };
        facts.keys = self.facts.keys.iter().filter_map(|key| key.iter().map(apart).collect()).collect();
        facts
    }

    /// The columns of the base that are read, ascending, and what is known of them alone.
    pub(crate) fn read(&self) -> (Vec<usize>, Facts) {
        let all = self.project.iter().map(|e| &e.expression).chain(&self.predicates);
        let mut read: Vec<usize> = all.flat_map(columns_of).collect();
        read.sort_unstable();
        read.dedup();
        let facts = self.facts.moved(|base| read.binary_search(&base).ok());
        (read, facts)
    }

    /// The same stream over a node that puts out the columns `read` alone, of which `facts` are known.
    pub(crate) fn over_read(&self, node: NodeId, schema: SchemaRef, read: &[usize], facts: Facts) -> Self {
        let places: Vec<usize> = (0..read.len()).collect();
        self.over_places(node, schema, read, &places, &facts)
    }

    /// The same stream over a node that has column `read[i]` at `places[i]` beside others; `facts` are known of the columns read alone.
    pub(crate) fn over_places(
        &self,
        node: NodeId,
        schema: SchemaRef,
        read: &[usize],
        places: &[usize],
        facts: &Facts,
    ) -> Self {
        let place = |e: &Expression| {
            rewrite_columns(e, |c| {
                let at = read.binary_search(&c).map_or(0, |r| places[r]);
                Arc::new(Column::new(schema.field(at).name(), at))
            })
        };
        let project = self.project.iter().map(|e| NamedExpression::new(place(&e.expression), e.name.clone())).collect();
        let predicates = self.predicates.iter().map(place).collect();
        let facts = facts.moved(|c| places.get(c).copied());
        Self { base: Base::Node(node), schema: schema.clone(), facts, predicates, project }
    }

    /// An expression over the output, as one over the base.
    pub(crate) fn pushed(&self, expression: &Expression) -> Expression {
        substitute(expression, &self.project)
    }
}

/// All columns of a schema as they are.
pub(crate) fn identity(schema: &Schema) -> Vec<NamedExpression> {
    schema.fields().iter().enumerate().map(|(at, f)| NamedExpression::new(column_at(f, at), f.name())).collect()
}

/// A column as an expression.
pub(crate) fn column_at(field: &Field, at: usize) -> Expression {
    Expression::new(Arc::new(Column::new(field.name(), at)))
}

/// The position, where the expression is nothing but a column.
pub(crate) fn column(expression: &Expression) -> Option<usize> {
    expression.physical().downcast_ref::<Column>().map(Column::index)
}

/// The position, where the expression gives the values of a column as they are.
fn carried(expression: &Expression) -> Option<usize> {
    match expression.physical().downcast_ref::<NotNull>() {
        Some(checked) => carried(&Expression::new(checked.value().clone())),
        None => column(expression),
    }
}

/// The position, where the expression gives different values for different values of a column.
fn told_apart(expression: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Option<usize> {
    if let Some(checked) = expression.downcast_ref::<NotNull>() {
        return told_apart(checked.value(), schema);
    }
    match expression.downcast_ref::<CastExpr>() {
        Some(cast) => {
            let from = cast.expr().data_type(schema).ok()?;
            told_apart(cast.expr(), schema).filter(|_| keeps_apart(&from, cast.cast_type()))
        }
        None => expression.downcast_ref::<Column>().map(Column::index),
    }
}

/// Does a cast between the types keep different values different?
fn keeps_apart(from: &DataType, to: &DataType) -> bool {
    use DataType::{Date32, Decimal128, Float32, Float64, Int8, Int16, Int32, Int64, Timestamp};
    let digits = |t: &DataType| match t {
        Int8 => Some(3),
        Int16 => Some(5),
        Int32 => Some(10),
        Int64 => Some(19),
        _ => None,
    };
    match (from, to) {
        _ if from == to => true,
        (_, Int8 | Int16 | Int32 | Int64) => matches!((digits(from), digits(to)), (Some(f), Some(t)) if f < t),
        (Int8 | Int16, Float32) | (Int8 | Int16 | Int32 | Float32, Float64) => true,
        // What does not fit is an error, not another value.
        (Decimal128(_, from), Decimal128(_, to)) => from <= to,
        (_, Decimal128(_, scale)) => digits(from).is_some() && *scale >= 0,
        (Date32, Timestamp(_, None)) => true,
        (Timestamp(from, a), Timestamp(to, b)) => a.is_some() == b.is_some() && from <= to,
        _ => false,
    }
}

/// True for expressions that cost nothing to compute twice.
pub(crate) fn is_cheap(expression: &Expression) -> bool {
    let physical = expression.physical();
    physical.downcast_ref::<Column>().is_some() || physical.downcast_ref::<Literal>().is_some()
}

/// How often each column occurs, added to `counts`.
pub(crate) fn count_columns(expression: &Expression, counts: &mut [usize]) {
    let _ = expression.physical().apply(|e| {
        if let Some(c) = e.downcast_ref::<Column>()
            && let Some(count) = counts.get_mut(c.index())
        {
            *count += 1;
        }
        Ok(TreeNodeRecursion::Continue)
    });
}

/// The columns that an expression reads, in order, each once.
pub(crate) fn columns_of(expression: &Expression) -> Vec<usize> {
    let mut found = Vec::new();
    let _ = expression.physical().apply(|e| {
        if let Some(c) = e.downcast_ref::<Column>()
            && !found.contains(&c.index())
        {
            found.push(c.index());
        }
        Ok(TreeNodeRecursion::Continue)
    });
    found.sort_unstable();
    found
}

/// True when the expression gives another value every time (RAND, UUID).
pub(crate) fn is_volatile(expression: &Expression) -> bool {
    expression
        .physical()
        .exists(|e| {
            Ok(e.downcast_ref::<ScalarFunctionExpr>()
                .is_some_and(|f| f.fun().signature().volatility == Volatility::Volatile && !scalar::is_late(f.fun())))
        })
        .unwrap_or(false)
}

/// Is it to be computed when the plan runs, though it is constant?
fn is_late(expression: &Expression) -> bool {
    let calls_late = |e: &Arc<dyn PhysicalExpr>| {
        Ok(e.downcast_ref::<ScalarFunctionExpr>().is_some_and(|f| scalar::is_late(f.fun())))
    };
    expression.physical().exists(calls_late).unwrap_or(false)
}

/// Replaces column `c` by expression `c` of `below`.
pub(crate) fn substitute(expression: &Expression, below: &[NamedExpression]) -> Expression {
    rewrite_columns(expression, |c| below[c].expression.physical().clone())
}

/// Replaces columns.
pub(crate) fn rewrite_columns(
    expression: &Expression,
    replacement: impl Fn(usize) -> Arc<dyn PhysicalExpr>,
) -> Expression {
    let rewritten = expression
        .physical()
        .clone()
        .transform_down(|e| match e.downcast_ref::<Column>() {
            // Jump: what was put in must not be replaced again.
            Some(c) => Ok(Transformed::new(replacement(c.index()), true, TreeNodeRecursion::Jump)),
            None => Ok(Transformed::no(e)),
        })
        .expect("replacing columns by expressions of the same type cannot fail");
    Expression::new(rewritten.data)
}

/// The expression with columns known by position alone: what is computed alike is equal.
pub(crate) fn nameless(expression: &Expression) -> Expression {
    rewrite_columns(expression, |c| Arc::new(Column::new("", c)))
}

/// Replaces the largest parts for which `replacement` has something else.
pub(crate) fn replace_parts(
    expression: &Expression,
    mut replacement: impl FnMut(&Expression) -> Option<Expression>,
) -> Expression {
    let rewritten = expression
        .physical()
        .clone()
        .transform_down(|e| match replacement(&Expression::new(e.clone())) {
            Some(other) => Ok(Transformed::new(other.physical().clone(), true, TreeNodeRecursion::Jump)),
            None => Ok(Transformed::no(e)),
        })
        .expect("replacing parts by columns of the same type cannot fail");
    Expression::new(rewritten.data)
}
