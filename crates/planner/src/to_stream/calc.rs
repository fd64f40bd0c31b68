//! Filters and projections: chains of them become one `Calc`, or part of the source below.

use super::Builder;
use super::graph::{NewNode, meaning};
use super::join::arrival;
use super::stream::{
    Base, Cut, Facts, Sessions, Stream, Windowing, column, column_at, columns_of, count_columns, is_cheap, is_volatile,
    nameless, replace_parts, rewrite_columns, substitute,
};
use super::temporal_filter::asks_the_time;
use crate::SqlError;
use crate::bind::errors;
use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema};
use datafusion_common::DFSchema;
use datafusion_common::cast::as_boolean_array;
use datafusion_expr::utils::{conjunction as conjunction_of, split_conjunction};
use datafusion_expr::{Expr, Operator};
use datafusion_physical_expr::expressions::{BinaryExpr, Column};
use eddyline_functions::scalar::{self, Moments};
use eddyline_plan::{
    CalcSpec, ChangeMode, Expression, Input, NamedExpression, NodeId, OperatorSpec, SessionAssignSpec, SourceSpec,
    ValuesSpec, WindowAssignSpec,
};
use std::sync::Arc;

impl Builder<'_, '_> {
    pub(super) fn project(
        &mut self,
        input: Stream,
        exprs: &[Expr],
        below: &DFSchema,
        output: &DFSchema,
    ) -> Result<Stream, SqlError> {
        let compiled = exprs.iter().map(|e| self.compiler.compile(e, below)).collect::<Result<Vec<_>, _>>()?;
        let named = compiled.into_iter().zip(output.fields()).map(|(e, f)| NamedExpression::new(e, f.name())).collect();
        self.projected(input, named)
    }

    /// Puts a projection over the output of `input`. An expression of the projection below that is used more than
    /// once is computed once: the projection below becomes a node of its own.
    pub(super) fn projected(
        &mut self,
        mut input: Stream,
        mut project: Vec<NamedExpression>,
    ) -> Result<Stream, SqlError> {
        for e in &mut project {
            check_repeatable(&e.expression, &input)?;
            e.expression = self.reusing(&e.expression, &mut input);
        }
        let mut uses = vec![0; input.project.len()];
        project.iter().for_each(|e| count_columns(&e.expression, &mut uses));
        if input.project.iter().zip(&uses).any(|(e, n)| *n > 1 && !is_cheap(&e.expression)) {
            input = self.settled(input)?;
        }
        input.project = project
            .into_iter()
            .map(|e| NamedExpression::new(substitute(&e.expression, &input.project), e.name))
            .collect();
        Ok(input)
    }

    /// The expression with its parts replaced that a `Calc` below has computed already, for a filter as a rule.
    fn reusing(&self, expression: &Expression, input: &mut Stream) -> Expression {
        let Base::Node(below) = input.base else { return expression.clone() };
        let OperatorSpec::Calc(calc) = &self.graph.node(below).spec else { return expression.clone() };
        let made: Vec<(usize, Expression)> = calc
            .project
            .iter()
            .enumerate()
            .filter(|(_, e)| !is_cheap(&e.expression) && !is_volatile(&e.expression))
            .map(|(at, e)| (at, nameless(&e.expression)))
            .collect();
        if made.is_empty() {
            return expression.clone();
        }
        replace_parts(expression, |part| {
            if is_cheap(part) {
                return None;
            }
            let meant = nameless(&substitute(&input.pushed(part), &calc.project));
            let (at, _) = made.iter().find(|(_, e)| *e == meant)?;
            let field = input.schema.field(*at);
            let place = input.project.iter().position(|e| column(&e.expression) == Some(*at)).unwrap_or_else(|| {
                input.project.push(NamedExpression::new(column_at(field, *at), field.name()));
                input.project.len() - 1
            });
            Some(column_at(field, place))
        })
    }

    pub(super) fn filter(&mut self, input: Stream, predicate: &Expr, below: &DFSchema) -> Result<Stream, SqlError> {
        let (timed, rest): (Vec<Expr>, Vec<Expr>) =
            split_conjunction(predicate).into_iter().cloned().partition(asks_the_time);
        if timed.is_empty() || matches!(input.base, Base::Values(_)) {
            return self.tested(input, predicate, below);
        }
        if let (Some(table), ChangeMode::AppendOnly) = (self.insertions_into.clone(), input.facts.mode) {
            self.warn_of_testing_once(&timed, below, &table);
            return self.tested(input, predicate, below);
        }
        let input = match conjunction_of(rest) {
            Some(rest) => self.tested(input, &rest, below)?,
            None => input,
        };
        self.temporal_filter(input, &timed, below)
    }

    /// The rows for which a predicate is true when they come.
    fn tested(&mut self, mut input: Stream, predicate: &Expr, below: &DFSchema) -> Result<Stream, SqlError> {
        let predicate = self.compiler.compile(predicate, below)?;
        check_repeatable(&predicate, &input)?;
        // What the filter tests was computed below, and may be used above too: compute it once.
        if columns_of(&predicate).into_iter().any(|c| !is_cheap(&input.project[c].expression))
            || input.project.iter().any(|e| is_volatile(&e.expression))
            || draws_lots(&input.base)
        {
            input = self.settled(input)?;
        }
        let pushed = input.pushed(&predicate);
        input.predicates.extend(conjuncts(&pushed));
        Ok(input)
    }

    /// The same stream with nothing pending.
    pub(super) fn settled(&mut self, stream: Stream) -> Result<Stream, SqlError> {
        let facts = stream.output_facts();
        let node = self.node(stream)?;
        Ok(Stream::over(Base::Node(node), self.graph.node(node).schema.clone(), facts))
    }

    /// The node that puts out the stream.
    pub(super) fn node(&mut self, mut stream: Stream) -> Result<NodeId, SqlError> {
        if let Base::Source(spec) = &stream.base {
            stream = absorbed(spec.as_ref().clone(), stream)?;
        }
        let schema = stream.output_schema().map_err(errors::plain)?;
        let below = match &stream.base {
            Base::Node(id) => *id,
            Base::Source(spec) => self.source_node(spec.as_ref().clone(), &stream),
            Base::Values(values) if stream.has_late() => self.values_node(values.clone()),
            Base::Values(values) => {
                let values = computed(values, &stream, &schema, &self.moments).map_err(errors::plain)?;
                return Ok(self.values_node(values));
            }
            Base::Window(windowing) => self.assign_node(windowing, &stream)?,
            Base::Join(joining) => {
                let (node, over) = self.join_node(joining, &stream);
                stream = over;
                node
            }
            Base::TemporalFilter(filtering) => {
                let (node, over) = self.temporal_filter_node(filtering, &stream);
                stream = over;
                node
            }
            Base::TopN(numbering) => {
                let (node, over) = self.top_n_node(numbering, &stream);
                stream = over;
                node
            }
            Base::Unnest(unnesting) => {
                let (node, over) = self.unnest_node(unnesting, &stream);
                stream = over;
                node
            }
            Base::Over(around) => {
                let (node, over) = self.over_node(around, &stream);
                stream = over;
                node
            }
        };
        let plain = stream.is_plain();
        // Other names alone are no work.
        Ok(if plain { below } else { self.calc_node(below, stream) })
    }

    /// As [`node`](Self::node), for somebody who reads columns by name.
    pub(super) fn named_node(&mut self, stream: Stream) -> Result<NodeId, SqlError> {
        let schema = stream.output_schema().map_err(errors::plain)?;
        let facts = stream.output_facts();
        let below = self.node(stream)?;
        let found = self.graph.node(below).schema.clone();
        if found.fields().iter().map(|f| f.name()).eq(schema.fields().iter().map(|f| f.name())) {
            return Ok(below);
        }
        let mut renamed = Stream::over(Base::Node(below), found, facts);
        renamed.project.iter_mut().zip(schema.fields()).for_each(|(e, f)| e.name.clone_from(f.name()));
        Ok(self.calc_node(below, renamed))
    }

    fn calc_node(&mut self, below: NodeId, stream: Stream) -> NodeId {
        let facts = stream.output_facts();
        let spec = CalcSpec { predicate: conjunction(&stream.predicates), project: stream.project };
        let schema = spec.output_schema(&stream.schema).expect("its schema was computed before");
        let project: Vec<String> = spec.project.iter().map(|e| meaning(&e.expression)).collect();
        let filter = spec.predicate.as_ref().map(meaning).unwrap_or_default();
        self.graph.add(NewNode {
            meaning: format!("calc {} where {filter}", project.join(", ")),
            spec: OperatorSpec::Calc(spec),
            inputs: vec![Input::forward(below)],
            schema,
            traits: facts.traits(),
            of: vec![below],
        })
    }

    /// A stream over windows as one over the node that assigns them.
    pub(super) fn assigned(&mut self, mut stream: Stream) -> Result<Stream, SqlError> {
        if let Base::Window(windowing) = &stream.base {
            stream.base = Base::Node(self.assign_node(windowing, &stream)?);
        }
        Ok(stream)
    }

    fn assign_node(&mut self, windowing: &Windowing, stream: &Stream) -> Result<NodeId, SqlError> {
        let facts = windowing.below.output_facts();
        let below = self.node(windowing.below.clone())?;
        let (spec, words, input) = match &windowing.cut {
            Cut::Fixed(window) => {
                let spec = WindowAssignSpec { window: *window, time: windowing.time };
                (OperatorSpec::WindowAssign(spec), format!("{window:?}"), Input::forward(below))
            }
            Cut::Sessions(Sessions { gap_ms, partition, closes }) => {
                let (gap_ms, closes) = (*gap_ms, *closes);
                let spec = SessionAssignSpec { gap_ms, time: windowing.time, partition: partition.clone(), closes };
                let by = partition.iter().map(|c| windowing.below.project[*c].name.as_str());
                let words = format!("session {gap_ms} by ({})", by.collect::<Vec<_>>().join(", "));
                let spec = OperatorSpec::SessionAssign(spec);
                let input = Input::new(below, arrival(&facts, partition));
                let input = if spec.can_forget() { self.kept(&spec, input, &facts)? } else { input };
                (spec, words, input)
            }
        };
        let time = self.graph.node(below).schema.field(windowing.time).name().clone();
        Ok(self.graph.add(NewNode {
            meaning: format!("window assign {words} on {time}"),
            spec,
            inputs: vec![input],
            schema: stream.schema.clone(),
            traits: stream.facts.traits(),
            of: vec![below],
        }))
    }
}

/// Does a source have a computed column of chance, which a filter in the source would draw again?
fn draws_lots(base: &Base) -> bool {
    let lots = |e: &Expression| is_volatile(e) && !scalar::tells_time(e.physical());
    matches!(base, Base::Source(spec) if spec.project.iter().any(|e| lots(&e.expression)))
}

/// A retraction must be computed as the row was that it takes back.
fn check_repeatable(expression: &Expression, input: &Stream) -> Result<(), SqlError> {
    check_repeatable_over(expression, &input.facts)
}

/// As [`check_repeatable`], over rows of which `facts` hold.
pub(super) fn check_repeatable_over(expression: &Expression, facts: &Facts) -> Result<(), SqlError> {
    if facts.mode == ChangeMode::AppendOnly || !is_volatile(expression) {
        return Ok(());
    }
    Err(SqlError::new(SqlError::UNSUPPORTED, format!("{} over rows that change", meaning(expression)))
        .with_detail(format!("{}; a retracted row would be computed differently than it was inserted", facts.reason))
        .with_hint("compute it below the aggregate, over rows that are only inserted"))
}

/// Moves a stream's filter, and its projection where it only picks columns, into the source.
fn absorbed(mut spec: SourceSpec, mut stream: Stream) -> Result<Stream, SqlError> {
    let facts = stream.output_facts();
    let predicates: Vec<Expression> = stream.predicates.iter().map(|p| substitute(p, &spec.project)).collect();
    spec.predicate = conjunction(&spec.predicate.iter().cloned().chain(predicates).collect::<Vec<_>>());
    stream.predicates.clear();
    let picks: Option<Vec<usize>> = stream.project.iter().map(|e| column(&e.expression)).collect();
    if let Some(picks) = picks {
        let named = |(pick, e): (&usize, &NamedExpression)| {
            NamedExpression::new(spec.project[*pick].expression.clone(), e.name.clone())
        };
        let project: Vec<NamedExpression> = picks.iter().zip(&stream.project).map(named).collect();
        spec.project = project;
        let spec = pruned(spec);
        let decoded = spec.decoded();
        let fields: datafusion_common::Result<Vec<_>> = spec.project.iter().map(|e| e.field(&decoded)).collect();
        let schema = Arc::new(Schema::new(fields.map_err(errors::plain)?));
        return Ok(Stream::over(Base::Source(Box::new(spec)), schema, facts));
    }
    // Columns that only the filter needed go no further.
    let mut needed: Vec<usize> = stream.project.iter().flat_map(|e| columns_of(&e.expression)).collect();
    needed.sort_unstable();
    needed.dedup();
    let schema = Arc::new(Schema::new(needed.iter().map(|c| stream.schema.fields()[*c].clone()).collect::<Vec<_>>()));
    let place = |c: usize| needed.iter().position(|n| *n == c).unwrap_or_default();
    let project = stream
        .project
        .iter()
        .map(|e| {
            let moved =
                rewrite_columns(&e.expression, |c| Arc::new(Column::new(stream.schema.field(c).name(), place(c))));
            NamedExpression::new(moved, e.name.clone())
        })
        .collect();
    spec.project = needed.iter().map(|c| spec.project[*c].clone()).collect();
    let facts = {
        let narrowed = Stream {
            project: needed
                .iter()
                .map(|c| NamedExpression::new(column_at(stream.schema.field(*c), *c), stream.schema.field(*c).name()))
                .collect(),
            ..stream
        };
        narrowed.output_facts()
    };
    Ok(Stream { base: Base::Source(Box::new(pruned(spec))), schema, facts, predicates: vec![], project })
}

/// The source without the columns that nothing reads.
pub(super) fn pruned(mut spec: SourceSpec) -> SourceSpec {
    let watermark = spec.watermark.as_ref().map(|w| &w.expression);
    let all = spec.project.iter().map(|e| &e.expression).chain(&spec.predicate).chain(watermark);
    let mut needed: Vec<usize> = all.flat_map(columns_of).collect();
    needed.sort_unstable();
    needed.dedup();
    let physical = spec.projection.len();
    if needed.len() == physical + spec.metadata.len() {
        return spec;
    }
    let decoded = spec.decoded();
    let moved = |e: &Expression| {
        rewrite_columns(e, |c| {
            let place = needed.iter().position(|n| *n == c).unwrap_or_default();
            Arc::new(Column::new(decoded.field(c).name(), place))
        })
    };
    let project = spec.project.iter().map(|e| NamedExpression::new(moved(&e.expression), e.name.clone())).collect();
    let predicate = spec.predicate.as_ref().map(moved);
    if let Some(w) = &mut spec.watermark {
        w.expression = moved(&w.expression);
    }
    (spec.project, spec.predicate) = (project, predicate);
    spec.metadata = needed.iter().filter(|n| **n >= physical).map(|n| spec.metadata[n - physical].clone()).collect();
    spec.projection = needed.iter().filter(|n| **n < physical).map(|n| spec.projection[*n]).collect();
    spec
}

/// The conjuncts of a predicate.
fn conjuncts(predicate: &Expression) -> Vec<Expression> {
    match predicate.physical().downcast_ref::<BinaryExpr>() {
        Some(b) if *b.op() == Operator::And => {
            let mut all = conjuncts(&Expression::new(b.left().clone()));
            all.extend(conjuncts(&Expression::new(b.right().clone())));
            all
        }
        _ => vec![predicate.clone()],
    }
}

/// All of the predicates.
pub(super) fn conjunction(predicates: &[Expression]) -> Option<Expression> {
    predicates.iter().cloned().reduce(|a, b| {
        Expression::new(Arc::new(BinaryExpr::new(a.physical().clone(), Operator::And, b.physical().clone())))
    })
}

/// Filters and projects rows that are known now.
fn computed(
    values: &ValuesSpec,
    stream: &Stream,
    schema: &Arc<Schema>,
    moments: &Arc<Moments>,
) -> datafusion_common::Result<ValuesSpec> {
    let mut rows = values.rows.clone();
    for predicate in &stream.predicates {
        let keep = scalar::at(predicate.physical(), moments).evaluate(&rows)?.into_array(rows.num_rows())?;
        rows = arrow::compute::filter_record_batch(&rows, as_boolean_array(&keep)?)?;
    }
    let columns = stream
        .project
        .iter()
        .map(|e| scalar::at(e.expression.physical(), moments).evaluate(&rows)?.into_array(rows.num_rows()))
        .collect::<datafusion_common::Result<Vec<_>>>()?;
    let fields: Vec<Field> = schema.fields().iter().map(|f| f.as_ref().clone()).collect();
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    let rows = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?;
    Ok(ValuesSpec { rows })
}
