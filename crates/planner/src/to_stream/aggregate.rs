//! GROUP BY and DISTINCT: which phases, over which columns.

use super::Builder;
use super::graph::{NewNode, meaning};
use super::stream::{Base, Facts, Stream, column, column_at};
use crate::SqlError;
use crate::bind::errors;
use arrow::datatypes::{DataType, Schema};
use datafusion_common::DFSchema;
use datafusion_expr::expr::AggregateFunctionParams;
use datafusion_expr::{Aggregate, Expr, LogicalPlan};
use datafusion_physical_expr::expressions::Literal;
use eddyline_plan::{
    AggregateCall, AggregatePhase, ChangeMode, Expression, GroupAggregateSpec, Input, NamedExpression, NodeId,
    OperatorSpec,
};

/// A grouping over expressions of the input's output.
pub(super) struct Grouping {
    pub(super) keys: Vec<NamedExpression>,
    pub(super) calls: Vec<Call>,
}

/// An aggregate over expressions.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    function: String,
    args: Vec<Expression>,
    filter: Option<Expression>,
    distinct: bool,
    return_type: DataType,
}

impl Call {
    /// All expressions that it reads.
    pub(super) fn expressions(&self) -> impl Iterator<Item = &Expression> {
        self.args.iter().chain(&self.filter)
    }

    /// The same call over other expressions.
    pub(super) fn mapped(&self, to: impl Fn(&Expression) -> Expression) -> Self {
        Self { args: self.args.iter().map(&to).collect(), filter: self.filter.as_ref().map(&to), ..self.clone() }
    }

    fn meaning(&self) -> String {
        let args: Vec<String> = self.args.iter().map(meaning).collect();
        let filter = self.filter.as_ref().map(meaning).unwrap_or_default();
        format!("{}({} {}) filter {filter}", self.function, self.distinct, args.join(", "))
    }
}

/// The columns that an aggregation reads, each distinct expression once, and the aggregation over them.
pub(super) struct Columns {
    pub(super) project: Vec<NamedExpression>,
    pub(super) keys: Vec<usize>,
    pub(super) calls: Vec<AggregateCall>,
    /// Where each key of the query stands among `keys`, and each call among `calls`.
    pub(super) key_at: Vec<usize>,
    pub(super) call_at: Vec<usize>,
}

impl Columns {
    pub(super) fn of(grouping: &Grouping, input: &Schema) -> Result<Self, SqlError> {
        let mut columns = Self { project: vec![], keys: vec![], calls: vec![], key_at: vec![], call_at: vec![] };
        for key in &grouping.keys {
            let at = columns.slot(&key.expression, &key.name);
            columns.key_at.push(position_or_push(&mut columns.keys, at));
        }
        let mut made: Vec<&Call> = Vec::new();
        for call in &grouping.calls {
            if let Some(at) = made.iter().position(|c| *c == call) {
                columns.call_at.push(at);
                continue;
            }
            let args: Vec<usize> = call.args.iter().map(|a| columns.slot(a, "argument")).collect();
            let arg_types = call
                .args
                .iter()
                .map(|a| a.data_type(input))
                .collect::<datafusion_common::Result<Vec<_>>>()
                .map_err(errors::plain)?;
            let filter = call.filter.as_ref().map(|f| columns.slot(f, "filter"));
            columns.call_at.push(made.len());
            made.push(call);
            columns.calls.push(AggregateCall {
                function: call.function.clone(),
                arg_types,
                distinct: call.distinct,
                filter,
                return_type: call.return_type.clone(),
                name: columns.call_name(call, &args),
                args,
            });
        }
        Ok(columns)
    }

    /// The place of an expression among the columns.
    pub(super) fn slot(&mut self, expression: &Expression, role: &str) -> usize {
        if let Some(at) = self.project.iter().position(|e| e.expression == *expression) {
            return at;
        }
        let at = self.project.len();
        let name = match expression.physical().downcast_ref::<datafusion_physical_expr::expressions::Column>() {
            Some(column) => column.name().to_owned(),
            None if role == "argument" || role == "filter" => format!("{role}{at}"),
            None => role.to_owned(),
        };
        self.project.push(NamedExpression::new(expression.clone(), name));
        at
    }

    /// `count(distinct bidder)`: what EXPLAIN and errors call the result.
    fn call_name(&self, call: &Call, args: &[usize]) -> String {
        let names: Vec<&str> = args.iter().map(|a| self.project[*a].name.as_str()).collect();
        let args = if names.is_empty() { "*".to_owned() } else { names.join(", ") };
        let distinct = if call.distinct { "distinct " } else { "" };
        let filter = if call.filter.is_some() { " filter" } else { "" };
        format!("{}({distinct}{args}){filter}", call.function)
    }

    fn has_distinct(&self) -> bool {
        self.calls.iter().any(|c| c.distinct)
    }
}

fn position_or_push(list: &mut Vec<usize>, item: usize) -> usize {
    list.iter().position(|i| *i == item).unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    })
}

impl Builder<'_, '_> {
    pub(super) fn aggregate(&mut self, aggregate: &Aggregate) -> Result<Stream, SqlError> {
        let input = self.stream(&aggregate.input)?;
        let grouping = self.grouping(aggregate)?;
        match self.window_aggregate(&input, &grouping)? {
            Some(stream) => Ok(stream),
            None => self.group_aggregate(input, &grouping),
        }
    }

    /// `SELECT DISTINCT`: a grouping by all columns without aggregates.
    pub(super) fn distinct(&mut self, input: &LogicalPlan) -> Result<Stream, SqlError> {
        let below = self.stream(input)?;
        let schema = below.output_schema().map_err(errors::plain)?;
        let keys = schema.fields().iter().enumerate().map(|(at, f)| NamedExpression::new(column_at(f, at), f.name()));
        let grouping = Grouping { keys: keys.collect(), calls: vec![] };
        match self.window_aggregate(&below, &grouping)? {
            Some(stream) => Ok(stream),
            None => self.group_aggregate(below, &grouping),
        }
    }

    fn grouping(&self, aggregate: &Aggregate) -> Result<Grouping, SqlError> {
        let below = aggregate.input.schema();
        let names = aggregate.schema.fields();
        let mut keys = Vec::new();
        for (at, expr) in aggregate.group_expr.iter().enumerate() {
            if matches!(expr, Expr::GroupingSet(_)) {
                return Err(SqlError::new(SqlError::UNSUPPORTED, "GROUPING SETS, CUBE and ROLLUP are not supported")
                    .with_hint("write one GROUP BY per grouping and combine them with UNION ALL"));
            }
            keys.push(NamedExpression::new(self.compiler.compile(expr, below)?, names[at].name()));
        }
        let calls = aggregate
            .aggr_expr
            .iter()
            .zip(&names[keys.len()..])
            .map(|(expr, field)| self.call(expr, below, field.data_type()))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Grouping { keys, calls })
    }

    fn call(&self, expr: &Expr, below: &DFSchema, return_type: &DataType) -> Result<Call, SqlError> {
        let Expr::AggregateFunction(aggregate) = expr.clone().unalias_nested().data else {
            return Err(SqlError::new(SqlError::INTERNAL, format!("{expr} is no aggregate")));
        };
        let function = aggregate.func.name().to_lowercase();
        let AggregateFunctionParams { args, distinct, filter, order_by, null_treatment } = aggregate.params;
        if !order_by.is_empty() || null_treatment.is_some() {
            return Err(SqlError::new(
                SqlError::UNSUPPORTED,
                format!("{}: ORDER BY and IGNORE NULLS in an aggregate are not supported", function.to_uppercase()),
            )
            .with_hint("COUNT, SUM, AVG, MIN and MAX do not depend on an order: leave it out"));
        }
        let args = args.iter().map(|a| self.compiler.compile(a, below)).collect::<Result<Vec<_>, _>>()?;
        let filter = filter.map(|f| self.compiler.compile(&f, below)).transpose()?;
        Ok(Call {
            distinct: distinct && !matches!(function.as_str(), "min" | "max"),
            args: if function == "count" && !distinct { counted(args, below.as_arrow())? } else { args },
            filter: filter.filter(|f| !is_true(f)),
            return_type: return_type.clone(),
            function,
        })
    }

    pub(super) fn group_aggregate(&mut self, input: Stream, grouping: &Grouping) -> Result<Stream, SqlError> {
        let schema = input.output_schema().map_err(errors::plain)?;
        let columns = Columns::of(grouping, &schema)?;
        let window_keys = window_keys(&input, grouping);
        let rows = self.projected(input, columns.project.clone())?;
        let below_facts = rows.output_facts();
        let rows = self.node(rows)?;
        let append_only = below_facts.mode == ChangeMode::AppendOnly;
        let spec = GroupAggregateSpec {
            keys: columns.keys.clone(),
            calls: columns.calls.clone(),
            phase: AggregatePhase::Single,
            append_only,
        };
        let mut facts = group_facts(&spec, &below_facts, grouping);
        if !window_keys.is_empty() {
            facts.keys = one_window_column(&columns, &window_keys);
        }
        let words = group_meaning(grouping);
        // Partials of MIN and MAX cannot be taken back, and only rows that stay are worth a phase of their own.
        let two_phase = append_only && self.planner.options.two_phase && self.planner.options.shards > 1;
        let node = match two_phase {
            false => self.single(spec, rows, &facts, words),
            true => self.phases(spec, rows, columns.has_distinct(), &facts, words),
        };
        Ok(self.aggregated(node, facts, &columns))
    }

    fn single(&mut self, spec: GroupAggregateSpec, rows: NodeId, facts: &Facts, words: String) -> NodeId {
        let input = Input::hash(rows, spec.keys.clone());
        self.group_node(spec, input, facts, words, rows)
    }

    fn phases(
        &mut self,
        spec: GroupAggregateSpec,
        rows: NodeId,
        distinct: bool,
        facts: &Facts,
        words: String,
    ) -> NodeId {
        let partials = Facts::append_only("partial results are added up");
        let local = GroupAggregateSpec { phase: AggregatePhase::Local, ..spec.clone() };
        let mut below = self.group_node(local, Input::forward(rows), &partials, format!("local {words}"), rows);
        let after = GroupAggregateSpec { keys: (0..spec.keys.len()).collect(), ..spec };
        if distinct {
            let by = after.distinct_distribution(&self.graph.node(below).schema);
            let spec = GroupAggregateSpec { phase: AggregatePhase::Distinct, ..after.clone() };
            below = self.group_node(spec, Input::hash(below, by), &partials, format!("distinct {words}"), rows);
        }
        let global = GroupAggregateSpec { phase: AggregatePhase::Global, ..after };
        let input = Input::hash(below, global.keys.clone());
        self.group_node(global, input, facts, words, rows)
    }

    fn group_node(
        &mut self,
        spec: GroupAggregateSpec,
        input: Input,
        facts: &Facts,
        words: String,
        rows: NodeId,
    ) -> NodeId {
        // `partial_schema` speaks of the rows; only the first phase reads rows.
        let schema = spec.output_schema(&self.graph.node(input.from).schema);
        self.graph.add(NewNode {
            meaning: words,
            spec: OperatorSpec::GroupAggregate(spec),
            inputs: vec![input],
            schema,
            traits: facts.traits(),
            of: vec![rows],
        })
    }

    /// The stream of an aggregate node, with the columns where the query has them.
    fn aggregated(&self, node: NodeId, facts: Facts, columns: &Columns) -> Stream {
        let schema = self.graph.node(node).schema.clone();
        let keys = columns.keys.len();
        let places = columns.key_at.iter().copied().chain(columns.call_at.iter().map(|c| keys + c));
        let mut stream = Stream::over(Base::Node(node), schema.clone(), facts);
        stream.project =
            places.map(|at| NamedExpression::new(column_at(schema.field(at), at), schema.field(at).name())).collect();
        stream
    }
}

/// The keys of a grouping that are columns of a window.
fn window_keys(input: &Stream, grouping: &Grouping) -> Vec<usize> {
    let Base::Window(windowing) = &input.base else { return vec![] };
    let width = windowing.below.project.len();
    let is_window = |k: &NamedExpression| column(&input.pushed(&k.expression)).is_some_and(|c| c >= width);
    (0..grouping.keys.len()).filter(|k| is_window(&grouping.keys[*k])).collect()
}

/// One column of a window tells which window it is: all other keys with any one of them identify a group.
fn one_window_column(columns: &Columns, window_keys: &[usize]) -> Vec<Vec<usize>> {
    let places: Vec<usize> = window_keys.iter().map(|k| columns.key_at[*k]).collect();
    let others: Vec<usize> = (0..columns.keys.len()).filter(|k| !places.contains(k)).collect();
    places.iter().map(|p| others.iter().copied().chain([*p]).collect()).collect()
}

/// What is known of the results.
fn group_facts(spec: &GroupAggregateSpec, below: &Facts, grouping: &Grouping) -> Facts {
    let keys: Vec<usize> = (0..spec.keys.len()).collect();
    let mut facts = if spec.calls.is_empty() && spec.append_only {
        Facts::append_only("a distinct row appears once and stays, because the input is append-only")
    } else if spec.calls.is_empty() {
        let mut facts =
            Facts::append_only(format!("a distinct row goes when its last copy is retracted: {}", below.reason));
        facts.mode = ChangeMode::Retract;
        facts
    } else {
        let names: Vec<&str> = grouping.keys.iter().map(|k| k.name.as_str()).collect();
        let by =
            if names.is_empty() { "the total".to_owned() } else { format!("a group of GROUP BY {}", names.join(", ")) };
        let mut facts = Facts::append_only(format!("{by} changes its result when more rows come"));
        facts.mode = ChangeMode::Retract;
        facts
    };
    facts.keys = vec![keys.clone()];
    facts.hashed_by = Some(keys);
    facts
}

/// What a grouping means, for the operator's identity.
pub(super) fn group_meaning(grouping: &Grouping) -> String {
    let keys: Vec<String> = grouping.keys.iter().map(|k| meaning(&k.expression)).collect();
    let calls: Vec<String> = grouping.calls.iter().map(Call::meaning).collect();
    format!("group by {} compute {}", keys.join(", "), calls.join(", "))
}

/// The arguments of COUNT that matter: what is never NULL counts every row, as COUNT(*) does.
fn counted(args: Vec<Expression>, input: &Schema) -> Result<Vec<Expression>, SqlError> {
    let mut kept = Vec::new();
    for arg in args {
        if arg.nullable(input).map_err(errors::plain)? {
            kept.push(arg);
        }
    }
    Ok(kept)
}

fn is_true(expression: &Expression) -> bool {
    let literal = expression.physical().downcast_ref::<Literal>();
    literal.is_some_and(|l| *l.value() == datafusion_common::ScalarValue::Boolean(Some(true)))
}
