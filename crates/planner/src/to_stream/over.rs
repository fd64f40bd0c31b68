//! `OVER`: functions over the rows around a row.
//!
//! Functions over the same partition and order become one node; further ones stand above each other, in any order. Which
//! columns a node puts out is known when they are read ([`Base::Over`]). Numbers that a filter bounds are
//! [`top_n`](super::top_n)'s.

use super::Builder;
use super::aggregate::{Call, Columns, Grouping, check_calls};
use super::graph::{NewNode, meaning};
use super::join::{Side, arrival, has_map};
use super::refuse::unsupported;
use super::stream::{Base, Facts, Stream, column_at};
use super::top_n::{integer, order_column};
use crate::bind::errors;
use crate::{Emit, SqlError};
use arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::expr::{AggregateFunction, NullTreatment, Sort, WindowFunction, WindowFunctionParams};
use datafusion_expr::type_coercion::binary::type_union_resolution;
use datafusion_expr::{
    Expr, ExprSchemable, LogicalPlan, Window, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition,
};
use eddyline_catalog::sql_type;
use eddyline_plan::{
    AggregateCall, ChangeMode, Clock, Expression, Frame, FrameBound, FrameOffset, FrameUnits, Input, NamedExpression,
    NodeId, OperatorSpec, OrderColumn, OverCall, OverFunction, OverSpec, TemporalFilterSpec, TimeBound, TimeTest,
};

/// A [`Base::Over`]: everything but which columns are put out.
#[derive(Debug, Clone)]
pub(crate) struct Around {
    input: Input,
    spec: OverSpec,
    meaning: String,
}

/// A function over expressions, in places of [`Columns`]. Those of aggregates are numbers of calls until they are known.
enum Planned {
    Function(OverFunction),
    Aggregate { call: usize, frame: Frame },
}

impl Builder<'_, '_> {
    /// The stream of the rows of `window.input`, with one column more per function.
    pub(super) fn over(&mut self, window: &Window) -> Result<Stream, SqlError> {
        let mut stream = self.windows(window)?;
        stream.facts.ttl = None;
        Ok(stream)
    }

    /// The same, with the hint for what is below all windows of the query block: each of them keeps its rows.
    fn windows(&mut self, window: &Window) -> Result<Stream, SqlError> {
        let below = window.input.schema();
        let width = below.fields().len();
        let calls = window.window_expr.iter().map(window_function).collect::<Result<Vec<_>, _>>()?;
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for (at, call) in calls.iter().enumerate() {
            let same = |group: &&mut Vec<usize>| {
                let known = &calls[group[0]].params;
                known.partition_by == call.params.partition_by && known.order_by == call.params.order_by
            };
            match groups.iter_mut().find(same) {
                Some(group) => group.push(at),
                None => groups.push(vec![at]),
            }
        }
        let mut stream = match window.input.as_ref() {
            LogicalPlan::Window(below) => self.windows(below)?,
            other => self.stream(other)?,
        };
        let ttl = stream.facts.ttl.clone();
        for group in &groups {
            stream.facts.ttl.clone_from(&ttl);
            let fields = group.iter().map(|at| (calls[*at], &window.schema.fields()[width + at])).collect::<Vec<_>>();
            stream = self.over_group(stream, below, &fields)?;
        }
        stream.facts.ttl = ttl;
        let made: Vec<usize> = groups.concat();
        let place = |at: usize| match at.checked_sub(width) {
            Some(call) => width + made.iter().position(|m| *m == call).unwrap_or_default(),
            None => at,
        };
        stream.project = (0..window.schema.fields().len())
            .map(|at| {
                NamedExpression::new(stream.project[place(at)].expression.clone(), window.schema.field(at).name())
            })
            .collect();
        Ok(stream)
    }

    /// The stream with the results of functions of one partition and order as its last columns.
    fn over_group(
        &mut self,
        input: Stream,
        below: &DFSchema,
        calls: &[(&WindowFunction, &FieldRef)],
    ) -> Result<Stream, SqlError> {
        let WindowFunctionParams { partition_by, order_by, .. } = &calls[0].0.params;
        let order_by: Vec<&Sort> = order_by.iter().filter(|s| !matches!(s.expr, Expr::Literal(..))).collect();
        let compile = |e: &Expr| self.compiler.compile(e, below);
        let mut grouping = Grouping { keys: vec![], calls: vec![] };
        for expr in partition_by {
            grouping.keys.push(NamedExpression::new(compile(expr)?, "partition"));
        }
        for (call, field) in calls {
            if let Some(aggregate) = self.aggregate_over(call, below, field.data_type())? {
                grouping.calls.push(aggregate);
            }
        }
        let schema = input.output_schema().map_err(errors::plain)?;
        let mut columns = Columns::of(&grouping, &schema)?;
        check_calls(&columns.calls, true, "")?;
        let order = order_by
            .iter()
            .map(|s| Ok(columns.slot(&compile(&s.expr)?, "order")))
            .collect::<Result<Vec<_>, SqlError>>()?;
        let mut aggregates = columns.call_at.clone().into_iter();
        let mut planned = Vec::new();
        for (call, _) in calls {
            planned.push(self.planned(call, below, &mut columns, &mut aggregates)?);
        }
        let words = over_meaning(&grouping, &order_by, &planned, &columns);
        let expressions = columns.project.iter().map(|e| e.expression.clone()).collect();
        let side = self.side(input, expressions)?;
        let schema = self.graph.node(side.node).schema.clone();
        check_types(&schema, calls)?;
        let place = |slot: usize| side.keys[slot];
        let order: Vec<OrderColumn> =
            order.iter().map(|o| place(*o)).zip(&order_by).map(|(c, s)| order_column((&c, s))).collect();
        let spec = OverSpec {
            partition: columns.key_at.iter().map(|at| place(columns.keys[*at])).collect(),
            order,
            calls: planned
                .into_iter()
                .zip(calls)
                .map(|(function, (_, field))| over_call(function.over(&columns.calls, place), field))
                .collect(),
            output: vec![],
        };
        let width = schema.fields().len();
        let is_final = self.planner.options.emit == Emit::Final;
        let side = if is_final { self.in_time(side, &spec)? } else { side };
        let facts = facts(&spec, &side.facts, width, is_final);
        let all = OverSpec { output: (0..width + spec.calls.len()).collect(), ..spec.clone() }.output_schema(&schema);
        let visible = (0..side.width).chain(width..all.fields().len());
        let input = Input::new(side.node, arrival(&side.facts, &spec.partition));
        let input = self.kept(&OperatorSpec::Over(spec.clone()), input, &side.facts)?;
        let around = Around { input, spec, meaning: words };
        let mut stream = Stream::over(Base::Over(Box::new(around)), all.clone(), facts);
        stream.project =
            visible.map(|at| NamedExpression::new(column_at(all.field(at), at), all.field(at).name())).collect();
        Ok(stream)
    }

    /// The rows of `side` once the watermark has passed their time: what functions that look back tell of them changes no more.
    fn in_time(&mut self, side: Side, spec: &OverSpec) -> Result<Side, SqlError> {
        let time = spec.order.first().filter(|o| !o.descending && side.facts.event_time.contains(&o.column));
        let ahead = spec.calls.iter().find(|call| !call.function.looks_back());
        let time = match (time, ahead) {
            (None, _) => Err("it is not in the order of a column whose watermark says what is complete".to_owned()),
            (_, Some(call)) => Err(format!("{} waits for rows that come later", call.name.to_uppercase())),
            (Some(time), None) => Ok(time.column),
        };
        let time = time.map_err(|why| {
            unsupported("EMIT ON WINDOW CLOSE of OVER whose results change").with_detail(why).with_hint(
                "ORDER BY a column with WATERMARK FOR, ascending, in frames that end at CURRENT ROW or before it; without EMIT results are \
                 up to date at any moment",
            )
        })?;
        let schema = self.graph.node(side.node).schema.clone();
        let append_only = side.facts.mode == ChangeMode::AppendOnly;
        let mut facts = Facts::append_only("rows whose time the watermark has passed change no more");
        // A row that is taken back when it has passed stays, beside one that takes its place.
        facts.keys = if append_only { side.facts.keys.clone() } else { vec![] };
        facts.hashed_by = Some(spec.partition.clone());
        facts.ttl.clone_from(&side.facts.ttl);
        let gate = TemporalFilterSpec {
            clock: Clock::Watermark,
            bounds: vec![TimeBound { column: time, shift_ms: 0, test: TimeTest::From, months: None }],
            zone: self.planner.options.time_zone.clone(),
            append_only,
            // Behind the exchange, where the watermark is that of all of the input.
            by: Some(spec.partition.clone()),
            output: (0..schema.fields().len()).collect(),
        };
        let node = self.graph.add(NewNode {
            meaning: format!("once the watermark has passed {}", meaning(schema.field(time).name())),
            spec: OperatorSpec::TemporalFilter(gate),
            inputs: vec![Input::new(side.node, arrival(&side.facts, &spec.partition))],
            schema,
            traits: facts.traits(),
            of: vec![side.node],
        });
        Ok(Side { node, facts, ..side })
    }

    /// The node that puts out what `stream` reads, and the stream over it.
    pub(super) fn over_node(&mut self, around: &Around, stream: &Stream) -> (NodeId, Stream) {
        let Around { input, spec, meaning } = around;
        let below = input.from;
        let (read, facts) = stream.read();
        let spec = OverSpec { output: read.clone(), ..spec.clone() };
        let schema = spec.output_schema(&self.graph.node(below).schema);
        let node = self.graph.add(NewNode {
            meaning: meaning.clone(),
            spec: OperatorSpec::Over(spec),
            inputs: vec![input.clone()],
            schema: schema.clone(),
            traits: facts.traits(),
            of: vec![below],
        });
        (node, stream.over_read(node, schema, &read, facts))
    }

    /// The aggregate that is computed over a frame, if it is one that an accumulator computes.
    fn aggregate_over(
        &self,
        call: &WindowFunction,
        below: &DFSchema,
        return_type: &DataType,
    ) -> Result<Option<Call>, SqlError> {
        let WindowFunctionDefinition::AggregateUDF(function) = &call.fun else { return Ok(None) };
        if is_collected(call) {
            return Ok(None);
        }
        let params = call.params.clone();
        let (args, filter) = (params.args, params.filter);
        let aggregate =
            AggregateFunction::new_udf(function.clone(), args, params.distinct, filter, vec![], params.null_treatment);
        self.call(&Expr::AggregateFunction(aggregate), below, return_type).map(Some)
    }

    fn planned(
        &self,
        call: &WindowFunction,
        below: &DFSchema,
        columns: &mut Columns,
        aggregates: &mut impl Iterator<Item = usize>,
    ) -> Result<Planned, SqlError> {
        let WindowFunctionParams { args, filter, null_treatment, distinct, .. } = &call.params;
        let name = call.fun.name().to_uppercase();
        let frame = || frame(&call.params, below);
        let mut column =
            |e: &Expr| -> Result<usize, SqlError> { Ok(columns.slot(&self.compiler.compile(e, below)?, "argument")) };
        let ignore_nulls = *null_treatment == Some(NullTreatment::IgnoreNulls);
        let value = || args.first().ok_or_else(|| wrong(&name, "needs a value"));
        if let WindowFunctionDefinition::AggregateUDF(function) = &call.fun {
            if !is_collected(call) {
                let call = aggregates.next().unwrap_or_default();
                return Ok(Planned::Aggregate { call, frame: frame()? });
            }
            if *distinct {
                return Err(unsupported(&format!("{name}(DISTINCT …) with OVER"))
                    .with_hint("leave DISTINCT out, or aggregate with GROUP BY and join with the result"));
            }
            let separator = match function.name() {
                "string_agg" => Some(separator(args.get(1))?),
                _ => None,
            };
            let filter = filter.as_ref().map(|f| column(f)).transpose()?;
            return Ok(Planned::Function(OverFunction::Collect {
                value: column(value()?)?,
                separator,
                filter,
                frame: frame()?,
            }));
        }
        if filter.is_some() || *distinct {
            return Err(wrong(&name, "takes neither FILTER nor DISTINCT"));
        }
        let positive = |at: usize, what: &str| match args.get(at).and_then(integer) {
            Some(n @ 1..) => Ok(n.unsigned_abs()),
            _ => Err(wrong(&name, what)),
        };
        Ok(Planned::Function(match call.fun.name() {
            "row_number" => OverFunction::RowNumber,
            "rank" => OverFunction::Rank,
            "dense_rank" => OverFunction::DenseRank,
            "percent_rank" => OverFunction::PercentRank,
            "cume_dist" => OverFunction::CumeDist,
            "ntile" => OverFunction::Ntile(positive(0, "needs a constant number of buckets, from 1")?),
            shift @ ("lag" | "lead") => {
                let offset = match args.get(1) {
                    None => 1,
                    Some(offset) => {
                        integer(offset).ok_or_else(|| wrong(&name, "needs a constant number of rows to look away"))?
                    }
                };
                let default = args.get(2).map(|d| self.default(d, value()?, below)).transpose()?.flatten();
                OverFunction::Shift {
                    value: column(value()?)?,
                    offset: if shift == "lag" { offset } else { offset.saturating_neg() },
                    default: default.map(|d| column(&d)).transpose()?,
                    ignore_nulls,
                }
            }
            nth @ ("first_value" | "last_value" | "nth_value") => OverFunction::Nth {
                value: column(value()?)?,
                n: if nth == "nth_value" { positive(1, "needs a constant number of a row, from 1")? } else { 1 },
                from_last: nth == "last_value",
                ignore_nulls,
                frame: frame()?,
            },
            _ => return Err(unsupported(&format!("{name} with OVER"))),
        }))
    }

    /// What stands for a value that is not there, in the type of the value; `None`: NULL.
    fn default(&self, default: &Expr, value: &Expr, below: &DFSchema) -> Result<Option<Expr>, SqlError> {
        let data_type = value.get_type(below).map_err(errors::plain)?;
        let found = default.get_type(below).map_err(errors::plain)?;
        if found == data_type {
            return Ok(Some(default.clone()));
        }
        let fits = match default {
            Expr::Literal(literal, _) if literal.is_null() => return Ok(None),
            Expr::Literal(literal, _) => {
                let back = literal.cast_to(&data_type).and_then(|there| there.cast_to(&found));
                back.is_ok_and(|back| back == *literal)
            }
            _ => type_union_resolution(&[data_type.clone(), found.clone()]).as_ref() == Some(&data_type),
        };
        if !fits {
            let message = format!(
                "the default of LAG or LEAD is of type {}, the value of type {}",
                sql_type(&found),
                sql_type(&data_type)
            );
            return Err(
                SqlError::new(SqlError::DATATYPE_MISMATCH, message).with_hint("CAST one to the type of the other")
            );
        }
        default.clone().cast_to(&data_type, below).map(Some).map_err(errors::plain)
    }
}

impl Planned {
    /// The function over columns of the node below; `place` says where a column of the group stands there.
    fn over(self, aggregates: &[AggregateCall], place: impl Fn(usize) -> usize) -> OverFunction {
        match self {
            Planned::Aggregate { call, frame } => {
                let mut call = aggregates[call].clone();
                call.args.iter_mut().for_each(|c| *c = place(*c));
                call.list.order.iter_mut().for_each(|o| o.column = place(o.column));
                call.filter = call.filter.map(&place);
                OverFunction::Aggregate { call, frame }
            }
            Planned::Function(OverFunction::Shift { value, offset, default, ignore_nulls }) => {
                OverFunction::Shift { value: place(value), offset, default: default.map(&place), ignore_nulls }
            }
            Planned::Function(OverFunction::Nth { value, n, from_last, ignore_nulls, frame }) => {
                OverFunction::Nth { value: place(value), n, from_last, ignore_nulls, frame }
            }
            Planned::Function(OverFunction::Collect { value, separator, filter, frame }) => {
                OverFunction::Collect { value: place(value), separator, filter: filter.map(&place), frame }
            }
            Planned::Function(other) => other,
        }
    }
}

/// A call that is called as its function: the names of the query are too long to be read.
fn over_call(function: OverFunction, field: &FieldRef) -> OverCall {
    let name = function.name().to_owned();
    OverCall { function, return_type: field.data_type().clone(), nullable: field.is_nullable(), name }
}

fn window_function(expr: &Expr) -> Result<&WindowFunction, SqlError> {
    match expr {
        Expr::WindowFunction(call) => Ok(call),
        Expr::Alias(alias) => window_function(&alias.expr),
        other => Err(SqlError::new(SqlError::INTERNAL, format!("{other} is no function with OVER"))),
    }
}

/// Aggregates whose result has the order of the frame.
fn is_collected(call: &WindowFunction) -> bool {
    matches!(call.fun.name(), "array_agg" | "string_agg")
}

fn separator(expr: Option<&Expr>) -> Result<String, SqlError> {
    match expr.map(|e| e.clone().unalias()) {
        Some(Expr::Literal(text, _)) if text.try_as_str().flatten().is_some() => {
            Ok(text.try_as_str().flatten().unwrap_or_default().to_owned())
        }
        _ => Err(unsupported("the separator of STRING_AGG or LISTAGG must be a constant text")
            .with_hint("write LISTAGG(x, ', ')")),
    }
}

fn wrong(name: &str, what: &str) -> SqlError {
    SqlError::new(SqlError::INVALID, format!("{name} {what}"))
}

/// The frame of a function.
fn frame(params: &WindowFunctionParams, below: &DFSchema) -> Result<Frame, SqlError> {
    let WindowFrame { units, start_bound, end_bound, .. } = &params.window_frame;
    let order = match params.order_by.first() {
        Some(sort) => sort.expr.get_type(below).map_err(errors::plain)?,
        None => DataType::Null,
    };
    let bound = |b: &WindowFrameBound| {
        let offset = |n: &ScalarValue| match units {
            WindowFrameUnits::Range => by_value(n, &order),
            _ => match n {
                ScalarValue::UInt64(Some(n)) => Ok(FrameOffset::Count(*n)),
                other => Err(wrong("ROWS or GROUPS:", &format!("{other} is not a number of rows"))),
            },
        };
        Ok(match b {
            WindowFrameBound::Preceding(n) if n.is_null() => FrameBound::UnboundedPreceding,
            WindowFrameBound::Preceding(n) => FrameBound::Preceding(offset(n)?),
            WindowFrameBound::CurrentRow => FrameBound::CurrentRow,
            WindowFrameBound::Following(n) if n.is_null() => FrameBound::UnboundedFollowing,
            WindowFrameBound::Following(n) => FrameBound::Following(offset(n)?),
        })
    };
    let (start, end) = (bound(start_bound)?, bound(end_bound)?);
    let is_backward = matches!(
        (&start, &end),
        (FrameBound::Following(_), FrameBound::CurrentRow | FrameBound::Preceding(_))
            | (FrameBound::CurrentRow, FrameBound::Preceding(_))
    );
    if is_backward {
        return Err(SqlError::new(SqlError::INVALID, "a frame that ends before it begins")
            .with_hint("write the earlier bound first: BETWEEN … PRECEDING AND … FOLLOWING"));
    }
    let units = match units {
        WindowFrameUnits::Rows => FrameUnits::Rows,
        WindowFrameUnits::Range => FrameUnits::Range,
        WindowFrameUnits::Groups => FrameUnits::Groups,
    };
    Ok(Frame { units, start, end })
}

/// How far a bound of RANGE is from the row, over an order of a type.
fn by_value(by: &ScalarValue, order: &DataType) -> Result<FrameOffset, SqlError> {
    let offset = match by {
        ScalarValue::Float32(Some(by)) => Some(FrameOffset::Float(f64::from(*by).to_bits())).filter(|_| *by >= 0.0),
        ScalarValue::Float64(Some(by)) => Some(FrameOffset::Float(by.to_bits())).filter(|_| *by >= 0.0),
        ScalarValue::Decimal128(Some(by), ..) => Some(FrameOffset::Exact(*by)).filter(|_| *by >= 0),
        ScalarValue::IntervalMonthDayNano(Some(by)) => {
            let nanos = i128::from(by.days) * 86_400_000_000_000 + i128::from(by.nanoseconds);
            Some(FrameOffset::Interval { months: by.months, nanos }).filter(|_| by.months >= 0 && nanos >= 0)
        }
        by if by.data_type().is_integer() => match by.cast_to(&DataType::Int64) {
            Ok(ScalarValue::Int64(Some(by @ 0..))) => Some(FrameOffset::Exact(by.into())),
            _ => None,
        },
        _ => None,
    };
    offset.ok_or_else(|| {
        SqlError::new(SqlError::INVALID, format!("{by} is not a distance in an ORDER BY of type {}", sql_type(order)))
            .with_hint("RANGE takes a number over numbers and an INTERVAL over times, not negative; ROWS counts rows")
    })
}

/// Rows are kept by value: their types must have an order; results are compared.
fn check_types(schema: &Schema, calls: &[(&WindowFunction, &FieldRef)]) -> Result<(), SqlError> {
    if let Some(field) = schema.fields().iter().find(|f| has_map(f.data_type())) {
        return Err(unsupported(&format!("OVER over rows with the MAP column {}", field.name()))
            .with_hint("take the values that are needed out of the map below"));
    }
    match calls.iter().find(|(_, field)| has_map(field.data_type())) {
        Some((call, _)) => Err(unsupported(&format!("{} with OVER", call.fun.name().to_uppercase()))
            .with_hint("aggregate with GROUP BY and join with the result")),
        None => Ok(()),
    }
}

/// What is known of the rows; results stand from column `width` on.
fn facts(spec: &OverSpec, below: &Facts, width: usize, is_final: bool) -> Facts {
    let mut facts = Facts::append_only("what OVER tells of a row changes when rows around it come or go");
    if !is_final {
        facts.mode = ChangeMode::Retract;
    }
    facts.keys.extend(below.keys.clone());
    let number = spec.calls.iter().position(|c| c.function == OverFunction::RowNumber);
    facts.keys.extend(number.map(|at| spec.partition.iter().copied().chain([width + at]).collect()));
    facts.hashed_by = Some(spec.partition.clone());
    facts
}

fn over_meaning(grouping: &Grouping, order: &[&Sort], planned: &[Planned], columns: &Columns) -> String {
    let text = |e: &Expression| meaning(e);
    let partition: Vec<String> = grouping.keys.iter().map(|k| text(&k.expression)).collect();
    let order: Vec<String> = order.iter().map(|s| s.to_string()).collect();
    let function = |p: &Planned| match p {
        Planned::Aggregate { call, frame } => {
            let at = columns.call_at.iter().position(|at| at == call).unwrap_or_default();
            format!("{} {frame}", grouping.calls[at].meaning())
        }
        Planned::Function(function) => {
            let args: Vec<String> = function.columns().iter().map(|c| text(&columns.project[*c].expression)).collect();
            let detail = match function {
                OverFunction::Ntile(n) => n.to_string(),
                OverFunction::Shift { offset, ignore_nulls, .. } => format!("{offset} {ignore_nulls}"),
                OverFunction::Nth { n, ignore_nulls, .. } => format!("{n} {ignore_nulls}"),
                OverFunction::Collect { separator, .. } => format!("{separator:?}"),
                _ => String::new(),
            };
            let frame = function.frame().map(ToString::to_string).unwrap_or_default();
            format!("{}({}) {detail} {frame}", function.name(), args.join(", "))
        }
    };
    let functions: Vec<String> = planned.iter().map(function).collect();
    format!("over by {} order {} compute {}", partition.join(", "), order.join(", "), functions.join(", "))
}
