//! JOIN and what becomes one (IN, EXISTS, scalar subqueries, INTERSECT, EXCEPT).
//!
//! Keys that are expressions are computed below the join, as columns of their own. The join puts out only the columns
//! that are read above, so it becomes a node when that is known ([`Base::Join`]).
//!
//! When a key is a column of the windows of both inputs, the join forgets a window when the watermark has passed it, and
//! with `execution.emit` = `on-close` an outer join waits until then to say that a row matches nothing.

use super::Builder;
use super::comparison::comparison;
use super::graph::{NewNode, meaning};
use super::stream::{Base, Facts, Stream, WindowColumns, column, column_at, is_volatile, rewrite_columns};
use crate::SqlError;
use crate::bind::errors;
use crate::optimize::value_of;
use arrow::datatypes::{DataType, Schema};
use datafusion_common::{DFSchema, JoinType, NullEquality};
use datafusion_expr::{Expr, Join, Operator};
use datafusion_physical_expr::expressions::{BinaryExpr, CastExpr, Column, IsNotNullExpr, IsNullExpr};
use eddyline_catalog::sql_type;
use eddyline_plan::{
    ChangeMode, Distribution, Expression, Input, JoinKind, JoinSpec, NamedExpression, NodeId, OperatorSpec, TimeKey,
};
use std::sync::Arc;

/// A [`Base::Join`]: everything but which columns are put out.
#[derive(Debug, Clone)]
pub(crate) struct Joining {
    pub(super) inputs: [Input; 2],
    pub(super) spec: JoinSpec,
}

/// An input, with its keys as columns.
pub(super) struct Side {
    pub(super) node: NodeId,
    pub(super) facts: Facts,
    /// How many columns the query sees; columns after them are keys.
    pub(super) width: usize,
    pub(super) keys: Vec<usize>,
}

impl Builder<'_, '_> {
    pub(super) fn join(&mut self, join: &Join) -> Result<Stream, SqlError> {
        let (kind, swapped) = kind(join.join_type);
        let inputs = if swapped { [&join.right, &join.left] } else { [&join.left, &join.right] };
        let null_aware = join.null_aware && join.join_type == JoinType::LeftAnti;
        if join.null_aware && !null_aware {
            return Err(SqlError::new(SqlError::UNSUPPORTED, "NOT IN (SELECT …) beside OR is not supported")
                .with_hint("write NOT EXISTS, or make a UNION of the two conditions"));
        }
        if null_aware && join.on.len() > 1 {
            // Which of the pairs is the one of NOT IN cannot be seen any more.
            return Err(SqlError::new(SqlError::INTERNAL, "NOT IN became a join by more than what it compares")
                .with_hint("write NOT EXISTS, and please report the query"));
        }
        let mut residual = self.residual(join)?;
        let mut keys: [Vec<Expression>; 2] = [vec![], vec![]];
        // By pair: is NULL equal to NULL in it?
        let mut alike = Vec::new();
        for (l, r) in &join.on {
            let (l, r) = if swapped { (r, l) } else { (l, r) };
            let values = value_of(l).zip(value_of(r));
            let (l, r) = values.unwrap_or((l, r));
            let pair = self.key_pair(l, inputs[0].schema(), r, inputs[1].schema())?;
            if null_aware && pair.iter().zip(inputs).any(|(e, i)| e.nullable(i.schema().as_arrow()).unwrap_or(true)) {
                residual = both(residual, null_aware_equal(pair, inputs[0].schema().fields().len()));
                continue;
            }
            keys.iter_mut().zip(pair).for_each(|(keys, key)| keys.push(key));
            alike.push(values.is_some() || join.null_equality == NullEquality::NullEqualsNull);
        }
        if swapped {
            let widths = [inputs[0].schema().fields().len(), inputs[1].schema().fields().len()];
            residual = residual.map(|r| rewrite_columns(&r, |c| swap_column(c, widths)));
        }
        let null_equal = alike.contains(&true);
        for ((l, r), is_alike) in keys[0].iter().zip(&keys[1]).zip(alike) {
            let nullable = |e: &Expression, at: usize| e.nullable(inputs[at].schema().as_arrow()).unwrap_or(true);
            if null_equal && !is_alike && nullable(l, 0) && nullable(r, 1) {
                residual = both(residual, Expression::new(Arc::new(IsNotNullExpr::new(l.physical().clone()))));
            }
        }
        let [left_keys, right_keys] = keys;
        let left = self.stream(inputs[0])?;
        let left = self.side(left, left_keys)?;
        let right = self.stream(inputs[1])?;
        let right = self.side(right, right_keys)?;
        self.joined(kind, [left, right], residual, null_equal)
    }

    /// The condition beyond `on`, over the columns of the plan's left, then right input.
    fn residual(&self, join: &Join) -> Result<Option<Expression>, SqlError> {
        let Some(filter) = &join.filter else { return Ok(None) };
        let schema = join.left.schema().join(join.right.schema()).map_err(errors::plain)?;
        let residual = self.compiler.compile(filter, &schema)?;
        if is_volatile(&residual) {
            let message = format!("{} in the condition of a join", meaning(&residual));
            return Err(SqlError::new(SqlError::UNSUPPORTED, message)
                .with_detail("rows of the two inputs meet at any time, and its value changes")
                .with_hint("compute it as a column of one of the inputs, in a subquery"));
        }
        Ok(Some(residual))
    }

    /// Two keys in one type.
    fn key_pair(&self, l: &Expr, left: &DFSchema, r: &Expr, right: &DFSchema) -> Result<[Expression; 2], SqlError> {
        let (l, r) = (self.compiler.compile(l, left)?, self.compiler.compile(r, right)?);
        let lt = l.data_type(left.as_arrow()).map_err(errors::plain)?;
        let rt = r.data_type(right.as_arrow()).map_err(errors::plain)?;
        if lt == rt {
            return Ok([l, r]);
        }
        let wanted = datafusion_expr::type_coercion::binary::comparison_coercion(&lt, &rt).ok_or_else(|| {
            SqlError::new(
                SqlError::DATATYPE_MISMATCH,
                format!("a join compares {} with {}", sql_type(&lt), sql_type(&rt)),
            )
            .with_hint("CAST one of the two to the type of the other")
        })?;
        let cast = |e: Expression, from: DataType| match from == wanted {
            true => e,
            false => Expression::new(Arc::new(CastExpr::new(e.physical().clone(), wanted.clone(), None))),
        };
        Ok([cast(l, lt), cast(r, rt)])
    }

    /// An input as a node, with columns for keys that are none yet.
    pub(super) fn side(&mut self, input: Stream, keys: Vec<Expression>) -> Result<Side, SqlError> {
        let schema = input.output_schema().map_err(errors::plain)?;
        let width = schema.fields().len();
        let mut project = super::stream::identity(&schema);
        let mut places = Vec::new();
        for key in keys {
            let known = project
                .iter()
                .position(|e| e.expression == key || column(&key).is_some_and(|c| column(&e.expression) == Some(c)));
            places.push(known.unwrap_or_else(|| {
                project.push(NamedExpression::new(key, format!("key{}", project.len())));
                project.len() - 1
            }));
        }
        let input = if project.len() > width { self.projected(input, project)? } else { input };
        let facts = input.output_facts();
        Ok(Side { node: self.node(input)?, facts, width, keys: places })
    }

    fn joined(
        &mut self,
        kind: JoinKind,
        sides: [Side; 2],
        residual: Option<Expression>,
        null_equal: bool,
    ) -> Result<Stream, SqlError> {
        let schemas = [0, 1].map(|s: usize| self.graph.node(sides[s].node).schema.clone());
        let [left, right] = &sides;
        // The query's columns stand apart when keys were added to the left.
        let left_width = schemas[0].fields().len();
        let moved = |c: usize| if c < left.width { c } else { c - left.width + left_width };
        let all = Schema::new(JoinSpec::all_columns(JoinKind::Inner, &schemas[0], &schemas[1]));
        let residual =
            residual.map(|r| rewrite_columns(&r, |c| column_at(all.field(moved(c)), moved(c)).physical().clone()));
        let append_only = [0, 1].map(|s: usize| sides[s].facts.mode == ChangeMode::AppendOnly);
        let time = time_key(left, right).filter(|_| append_only == [true, true]);
        let waits = kind.single() != [false, false] && kind != JoinKind::Semi;
        let range = residual.as_ref().and_then(|r| comparison(r, &schemas[0], &schemas[1]));
        let spec = JoinSpec {
            kind,
            on: left.keys.iter().copied().zip(right.keys.iter().copied()).collect(),
            null_equal,
            residual,
            range,
            append_only,
            time,
            on_close: time.is_some() && waits && self.planner.options.emit.waits(),
            output: vec![],
        };
        check_types(&schemas, &spec)?;
        let facts = join_facts(&spec, &sides, left_width);
        let fields = JoinSpec::all_columns(kind, &schemas[0], &schemas[1]);
        let schema = Arc::new(Schema::new(fields));
        let operator = OperatorSpec::Join(spec.clone());
        let [left, right] = &sides;
        let mut input =
            |side: &Side| self.kept(&operator, Input::new(side.node, arrival(&side.facts, &side.keys)), &side.facts);
        let inputs = [input(left)?, input(right)?];
        let joining = Joining { inputs, spec };
        let visible = match kind {
            JoinKind::Semi | JoinKind::Anti => (0..left.width).collect::<Vec<_>>(),
            JoinKind::Mark => (0..left.width).chain([left_width]).collect(),
            _ => (0..left.width).chain((0..right.width).map(|c| c + left_width)).collect(),
        };
        let mut stream = Stream::over(Base::Join(Box::new(joining)), schema.clone(), facts);
        stream.project = visible
            .iter()
            .map(|c| NamedExpression::new(column_at(schema.field(*c), *c), schema.field(*c).name()))
            .collect();
        Ok(stream)
    }

    /// The node of a join that puts out what `stream` reads, and the stream over it.
    pub(super) fn join_node(&mut self, joining: &Joining, stream: &Stream) -> (NodeId, Stream) {
        if let Some(found) = self.same_but_wider(joining, stream) {
            return found;
        }
        let (read, facts) = stream.read();
        let spec = JoinSpec { output: read.clone(), ..joining.spec.clone() };
        let nodes = [0, 1].map(|s: usize| joining.inputs[s].from);
        let schemas = nodes.map(|n| self.graph.node(n).schema.clone());
        let schema = spec.output_schema(&schemas[0], &schemas[1]);
        let node = self.graph.add(NewNode {
            meaning: join_meaning(&spec, &schemas[0], &schemas[1]),
            spec: OperatorSpec::Join(spec),
            inputs: joining.inputs.to_vec(),
            schema: schema.clone(),
            traits: facts.traits(),
            of: nodes.to_vec(),
        });
        (node, stream.over_read(node, schema, &read, facts))
    }
}

/// Our kind, and whether the sides change places.
fn kind(join_type: JoinType) -> (JoinKind, bool) {
    match join_type {
        JoinType::Inner => (JoinKind::Inner, false),
        JoinType::Left => (JoinKind::Left, false),
        JoinType::Right => (JoinKind::Right, false),
        JoinType::Full => (JoinKind::Full, false),
        JoinType::LeftSemi => (JoinKind::Semi, false),
        JoinType::RightSemi => (JoinKind::Semi, true),
        JoinType::LeftAnti => (JoinKind::Anti, false),
        JoinType::RightAnti => (JoinKind::Anti, true),
        JoinType::LeftMark => (JoinKind::Mark, false),
        JoinType::RightMark => (JoinKind::Mark, true),
    }
}

/// Column `c` of (right, left), `widths` being those of left and right, where it stands in (left, right).
fn swap_column(c: usize, widths: [usize; 2]) -> Arc<dyn datafusion_physical_expr::PhysicalExpr> {
    let to = if c < widths[1] { c + widths[0] } else { c - widths[1] };
    Arc::new(Column::new("", to))
}

fn both(one: Option<Expression>, other: Expression) -> Option<Expression> {
    super::calc::conjunction(&one.into_iter().chain([other]).collect::<Vec<_>>())
}

/// `l = r OR l IS NULL OR r IS NULL`: with which rows `l NOT IN (r, …)` is not true.
fn null_aware_equal([l, r]: [Expression; 2], left_width: usize) -> Expression {
    let l = l.physical().clone();
    let r = rewrite_columns(&r, |c| Arc::new(Column::new("", c + left_width))).physical().clone();
    let or = |a, b| Arc::new(BinaryExpr::new(a, Operator::Or, b)) as Arc<dyn datafusion_physical_expr::PhysicalExpr>;
    let equal = Arc::new(BinaryExpr::new(l.clone(), Operator::Eq, r.clone()));
    Expression::new(or(or(equal, Arc::new(IsNullExpr::new(l))), Arc::new(IsNullExpr::new(r))))
}

/// Rows are where their key is when they are dealt out by just that.
pub(super) fn arrival(facts: &Facts, keys: &[usize]) -> Distribution {
    match &facts.hashed_by {
        Some(columns) if columns == keys => Distribution::Forward,
        _ => Distribution::Hash(keys.to_vec()),
    }
}

/// The key that is a column of the same windows on both sides.
fn time_key(left: &Side, right: &Side) -> Option<TimeKey> {
    let (lw, rw) = (left.facts.windows.as_ref()?, right.facts.windows.as_ref()?);
    if lw.window != rw.window {
        return None;
    }
    let pairs = || left.keys.iter().zip(&right.keys);
    let at = |l: Option<usize>, r: Option<usize>| {
        let (l, r) = (l?, r?);
        pairs().position(|(a, b)| *a == l && *b == r)
    };
    let key = |key: usize, delay_ms: i64| TimeKey { key, delay_ms };
    at(lw.time, rw.time)
        .map(|k| key(k, 0))
        .or_else(|| at(lw.end, rw.end).map(|k| key(k, -1)))
        .or_else(|| Some(key(at(lw.start, rw.start)?, lw.window?.size_ms() - 1)))
}

/// Rows are kept by value: their types must have an order.
fn check_types(schemas: &[Arc<Schema>; 2], spec: &JoinSpec) -> Result<(), SqlError> {
    for field in schemas.iter().flat_map(|s| s.fields()) {
        if has_map(field.data_type()) {
            return Err(SqlError::new(
                SqlError::UNSUPPORTED,
                format!("a {} join with the MAP column {}", spec.kind.name(), field.name()),
            )
            .with_hint("take the values that are needed out of the map below the join"));
        }
    }
    Ok(())
}

pub(super) fn has_map(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(..) => true,
        DataType::List(f) => has_map(f.data_type()),
        DataType::Struct(fields) => fields.iter().any(|f| has_map(f.data_type())),
        _ => false,
    }
}

/// What is known of a join's rows.
fn join_facts(spec: &JoinSpec, sides: &[Side; 2], left_width: usize) -> Facts {
    let [left, right] = sides;
    let mut facts = Facts::append_only("both inputs of the join are append-only");
    (facts.mode, facts.reason) = mode(spec, sides);
    let shifted = |columns: &[usize]| columns.iter().map(|c| c + left_width).collect::<Vec<usize>>();
    let unique = |side: &Side| side.facts.keys.iter().any(|key| key.iter().all(|c| side.keys.contains(c)));
    if !spec.kind.has_pairs() {
        facts.keys = left.facts.keys.clone();
    } else {
        if unique(right) && matches!(spec.kind, JoinKind::Inner | JoinKind::Left) {
            facts.keys.extend(left.facts.keys.clone());
        }
        if unique(left) && matches!(spec.kind, JoinKind::Inner | JoinKind::Right) {
            facts.keys.extend(right.facts.keys.iter().map(|k| shifted(k)));
        }
        if let (true, Some(l), Some(r)) = (facts.keys.is_empty(), left.facts.keys.first(), right.facts.keys.first()) {
            facts.keys.push(l.iter().copied().chain(shifted(r)).collect());
        }
    }
    facts.hashed_by = match spec.kind {
        JoinKind::Right => Some(shifted(&right.keys)),
        JoinKind::Full => None,
        _ => Some(left.keys.clone()),
    };
    if spec.time.is_some() {
        let keeps_left = !matches!(spec.kind, JoinKind::Right | JoinKind::Full);
        facts.windows = left.facts.windows.clone().filter(|_| keeps_left);
        facts.event_time.extend(facts.windows.as_ref().and_then(|w: &WindowColumns| w.time));
        if spec.kind == JoinKind::Inner {
            facts.event_time.extend(right.facts.windows.as_ref().and_then(|w| w.time).map(|t| t + left_width));
        }
    }
    facts
}

/// Does the join take rows back, and why?
fn mode(spec: &JoinSpec, sides: &[Side; 2]) -> (ChangeMode, String) {
    if let Some(side) = sides.iter().find(|s| s.facts.mode == ChangeMode::Retract) {
        return (ChangeMode::Retract, side.facts.reason.clone());
    }
    match spec.kind {
        JoinKind::Inner => (ChangeMode::AppendOnly, "both inputs of the join are append-only".into()),
        JoinKind::Semi => (
            ChangeMode::AppendOnly,
            "a row that matches something goes on to, because both inputs are append-only".into(),
        ),
        _ if spec.on_close => {
            (ChangeMode::AppendOnly, "what matches nothing is handed out when its window closes".into())
        }
        JoinKind::Anti | JoinKind::Mark => {
            (ChangeMode::Retract, "a row that matches nothing may match something later".into())
        }
        _ => (
            ChangeMode::Retract,
            format!("a row without a match in the {} join is replaced when one comes", spec.kind.name()),
        ),
    }
}

fn join_meaning(spec: &JoinSpec, left: &Schema, right: &Schema) -> String {
    let on: Vec<String> =
        spec.on.iter().map(|(l, r)| format!("{} = {}", left.field(*l).name(), right.field(*r).name())).collect();
    let residual = spec.residual.as_ref().map(meaning).unwrap_or_default();
    format!("{} join on {} if {residual} nulls {}", spec.kind.name(), on.join(", "), spec.null_equal)
}
