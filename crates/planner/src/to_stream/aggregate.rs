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
use eddyline_functions::aggregate::{ListOptions, ListOrder, accumulator};
use eddyline_plan::{
    AggregateCall, AggregatePhase, ChangeMode, Expression, GroupAggregateSpec, Input, NamedExpression, NodeId,
    OperatorSpec, ValueList, ValueOrder,
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
    /// ORDER BY, and what belongs to it; its `order` is filled in when the columns are known.
    order: Vec<Order>,
    list: ValueList,
}

/// A column of ORDER BY inside an aggregate.
#[derive(Debug, Clone, PartialEq)]
struct Order {
    expression: Expression,
    descending: bool,
    nulls_first: bool,
}

impl Call {
    /// Does it count every value once?
    pub(super) fn is_distinct(&self) -> bool {
        self.distinct
    }

    /// All expressions that it reads.
    pub(super) fn expressions(&self) -> impl Iterator<Item = &Expression> {
        self.args.iter().chain(&self.filter).chain(self.order.iter().map(|o| &o.expression))
    }

    /// The same call over other expressions.
    pub(super) fn mapped(&self, to: impl Fn(&Expression) -> Expression) -> Self {
        let order = |o: &Order| Order { expression: to(&o.expression), ..o.clone() };
        Self {
            args: self.args.iter().map(&to).collect(),
            filter: self.filter.as_ref().map(&to),
            order: self.order.iter().map(order).collect(),
            ..self.clone()
        }
    }

    /// What it means, for the operator's identity.
    pub(super) fn meaning(&self) -> String {
        let args: Vec<String> = self.args.iter().map(meaning).collect();
        let filter = self.filter.as_ref().map(meaning).unwrap_or_default();
        let order = |o: &Order| format!("{} {} {}", meaning(&o.expression), o.descending, o.nulls_first);
        let mut out = format!("{}({} {}) filter {filter}", self.function, self.distinct, args.join(", "));
        if self.list != ValueList::default() || !self.order.is_empty() {
            let order: Vec<String> = self.order.iter().map(order).collect();
            let ValueList { once, separator, fraction_bits, .. } = &self.list;
            out += &format!(" order {} once {once} by {separator:?} at {fraction_bits}", order.join(", "));
        }
        out
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
            let mut list = call.list.clone();
            for order in &call.order {
                list.order.push(ValueOrder {
                    column: columns.slot(&order.expression, "order"),
                    data_type: order.expression.data_type(input).map_err(errors::plain)?,
                    descending: order.descending,
                    nulls_first: order.nulls_first,
                });
            }
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
                list,
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
            None if matches!(role, "argument" | "filter" | "order") => format!("{role}{at}"),
            None => role.to_owned(),
        };
        self.project.push(NamedExpression::new(expression.clone(), name));
        at
    }

    /// `count(distinct bidder)`: what EXPLAIN and errors call the result.
    fn call_name(&self, call: &Call, args: &[usize]) -> String {
        let names: Vec<&str> = args.iter().map(|a| self.project[*a].name.as_str()).collect();
        let args = if names.is_empty() { "*".to_owned() } else { names.join(", ") };
        let distinct = if call.distinct || call.list.once { "distinct " } else { "" };
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
        if let [Expr::GroupingSet(sets)] = aggregate.group_expr.as_slice() {
            return self.grouping_sets(aggregate, sets);
        }
        let input = self.stream(&aggregate.input)?;
        let grouping = self.grouping(aggregate)?;
        self.grouped(input, grouping)
    }

    /// A grouping by the keys that tell groups apart; the constants among the keys are put back above it.
    fn grouped(&mut self, input: Stream, mut grouping: Grouping) -> Result<Stream, SqlError> {
        let all = std::mem::take(&mut grouping.keys);
        let mut constants: Vec<(usize, NamedExpression)> = Vec::new();
        for (at, key) in all.into_iter().enumerate() {
            let pushed = input.pushed(&key.expression);
            match pushed.physical().downcast_ref::<Literal>() {
                Some(_) => constants.push((at, NamedExpression::new(pushed, key.name))),
                None => grouping.keys.push(key),
            }
        }
        // Without a key there would be a row over no rows.
        if grouping.keys.is_empty() && !constants.is_empty() {
            grouping.keys.push(constants.remove(0).1);
        }
        let mut stream = match self.window_aggregate(&input, &grouping)? {
            Some(stream) => stream,
            None => self.group_aggregate(input, &grouping)?,
        };
        for (at, constant) in constants {
            stream.project.insert(at, constant);
        }
        Ok(stream)
    }

    /// `SELECT DISTINCT`: a grouping by all columns without aggregates.
    pub(super) fn distinct(&mut self, input: &LogicalPlan) -> Result<Stream, SqlError> {
        let below = self.stream(input)?;
        let schema = below.output_schema().map_err(errors::plain)?;
        let keys = schema.fields().iter().enumerate().map(|(at, f)| NamedExpression::new(column_at(f, at), f.name()));
        let grouping = Grouping { keys: keys.collect(), calls: vec![] };
        self.grouped(below, grouping)
    }

    fn grouping(&self, aggregate: &Aggregate) -> Result<Grouping, SqlError> {
        let below = aggregate.input.schema();
        let names = aggregate.schema.fields();
        let mut keys = Vec::new();
        for (at, expr) in aggregate.group_expr.iter().enumerate() {
            keys.push(NamedExpression::new(self.compiler.compile(expr, below)?, names[at].name()));
        }
        let calls = self.calls(aggregate, keys.len())?;
        Ok(Grouping { keys, calls })
    }

    /// The aggregates, whose results begin at field `first`.
    pub(super) fn calls(&self, aggregate: &Aggregate, first: usize) -> Result<Vec<Call>, SqlError> {
        let fields = &aggregate.schema.fields()[first..];
        let below = aggregate.input.schema();
        aggregate.aggr_expr.iter().zip(fields).map(|(e, field)| self.call(e, below, field.data_type())).collect()
    }

    /// One aggregate over columns of `below`.
    pub(super) fn call(&self, expr: &Expr, below: &DFSchema, return_type: &DataType) -> Result<Call, SqlError> {
        let Expr::AggregateFunction(aggregate) = expr.clone().unalias_nested().data else {
            return Err(SqlError::new(SqlError::INTERNAL, format!("{expr} is no aggregate")));
        };
        let mut function = aggregate.func.name().to_lowercase();
        let AggregateFunctionParams { mut args, distinct, filter, order_by, null_treatment } = aggregate.params;
        let mut list = ValueList::default();
        if matches!(function.as_str(), "string_agg" | "percentile_cont") && args.len() == 2 {
            let constant = args.pop();
            read_constant(&function, constant.as_ref(), &mut list)?;
        }
        if function == "percentile_cont" && order_by.iter().any(|o| !o.asc) {
            list.fraction_bits = (1.0 - f64::from_bits(list.fraction_bits)).to_bits();
        }
        // Whose values are there and not in which order: ORDER BY x says so for percentiles.
        let reads_order = matches!(function.as_str(), "array_agg" | "string_agg" | "first_value" | "last_value");
        if (!order_by.is_empty() && !reads_order && function != "percentile_cont") || null_treatment.is_some() {
            return Err(order_means_nothing(&function));
        }
        let mut order = Vec::new();
        for sort in order_by.iter().filter(|_| reads_order) {
            let expression = self.compiler.compile(&sort.expr, below)?;
            order.push(Order { expression, descending: !sort.asc, nulls_first: sort.nulls_first });
        }
        let args = args.iter().map(|a| self.compiler.compile(a, below)).collect::<Result<Vec<_>, _>>()?;
        let filter = filter.map(|f| self.compiler.compile(&f, below)).transpose()?;
        if distinct && reads_order && order.iter().any(|o| !args.contains(&o.expression)) {
            let error = format!("ORDER BY of {}(DISTINCT …) over another value", function.to_uppercase());
            let hint =
                "equal values may stand at several places of that order: order by the argument, or leave DISTINCT out";
            return Err(SqlError::new(SqlError::INVALID, error).with_hint(hint));
        }
        list.once = distinct && (reads_order || matches!(function.as_str(), "percentile_cont" | "collect"));
        if function == "any_value" && has_minimum(return_type) {
            function = "min".into();
        }
        Ok(Call {
            distinct: distinct && counts_values(&function),
            args: if function == "count" && !distinct { counted(args, below.as_arrow())? } else { args },
            filter: filter.filter(|f| !is_true(f)),
            return_type: return_type.clone(),
            function,
            order,
            list,
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
        check_calls(&columns.calls, append_only, &below_facts.reason)?;
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
        let by = spec.keys.clone();
        let ttl = self.kept(&OperatorSpec::GroupAggregate(spec.clone()), Input::forward(rows), &below_facts)?.ttl;
        let node = match two_phase {
            false => self.group_node(spec, Input { ttl, ..Input::hash(rows, by) }, &facts, words, rows),
            true => self.phases(spec, Input { ttl, ..Input::forward(rows) }, columns.has_distinct(), &facts, words),
        };
        Ok(self.aggregated(node, facts, &columns))
    }

    fn phases(
        &mut self,
        spec: GroupAggregateSpec,
        input: Input,
        distinct: bool,
        facts: &Facts,
        words: String,
    ) -> NodeId {
        let Input { from: rows, ttl, .. } = input;
        let partials = Facts::append_only("partial results are added up");
        let local = GroupAggregateSpec { phase: AggregatePhase::Local, ..spec.clone() };
        let mut below = self.group_node(local, Input::forward(rows), &partials, format!("local {words}"), rows);
        let after = GroupAggregateSpec { keys: (0..spec.keys.len()).collect(), ..spec };
        if distinct {
            let by = after.distinct_distribution(&self.graph.node(below).schema);
            let spec = GroupAggregateSpec { phase: AggregatePhase::Distinct, ..after.clone() };
            below = self.group_node(
                spec,
                Input { ttl, ..Input::hash(below, by) },
                &partials,
                format!("distinct {words}"),
                rows,
            );
        }
        let global = GroupAggregateSpec { phase: AggregatePhase::Global, ..after };
        let input = Input { ttl, ..Input::hash(below, global.keys.clone()) };
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
    if windowing.fixed().is_none() {
        return vec![];
    }
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

/// The separator of STRING_AGG, or the fraction of PERCENTILE_CONT.
fn read_constant(function: &str, constant: Option<&Expr>, list: &mut ValueList) -> Result<(), SqlError> {
    let mut value = constant.cloned().map(|c| c.unalias_nested().data);
    while let Some(Expr::Cast(cast)) = value {
        value = Some(*cast.expr);
    }
    let known = if let Some(Expr::Literal(value, _)) = &value { Some(value) } else { None };
    if function == "string_agg" {
        let text = known.and_then(|v| v.try_as_str()).flatten();
        list.separator = text.map(str::to_owned).ok_or_else(|| {
            SqlError::new(SqlError::UNSUPPORTED, "the separator of STRING_AGG or LISTAGG must be a constant text")
                .with_hint("write LISTAGG(x, ', ')")
        })?;
        return Ok(());
    }
    let fraction = known.and_then(|v| match v.cast_to(&DataType::Float64) {
        Ok(datafusion_common::ScalarValue::Float64(fraction)) => fraction,
        _ => None,
    });
    let fraction = fraction.filter(|f| (0.0..=1.0).contains(f)).ok_or_else(|| {
        SqlError::new(SqlError::INVALID, "the fraction of PERCENTILE_CONT or PERCENTILE must be a constant from 0 to 1")
            .with_hint("write PERCENTILE(x, 0.9), or PERCENTILE_CONT(0.9) WITHIN GROUP (ORDER BY x)")
    })?;
    list.fraction_bits = fraction.to_bits();
    Ok(())
}

fn order_means_nothing(function: &str) -> SqlError {
    let message =
        format!("{}: ORDER BY or IGNORE NULLS in an aggregate that does not depend on it", function.to_uppercase());
    SqlError::new(SqlError::UNSUPPORTED, message)
        .with_hint("leave it out; ARRAY_AGG, LISTAGG, FIRST_VALUE and LAST_VALUE depend on an order")
}

/// Does DISTINCT make a difference, and does the aggregate need a counted set for it?
fn counts_values(function: &str) -> bool {
    matches!(
        function,
        "count"
            | "sum"
            | "avg"
            | "bit_xor"
            | "var"
            | "var_pop"
            | "stddev"
            | "stddev_pop"
            | "covar_samp"
            | "covar_pop"
            | "corr"
    )
}

fn has_minimum(data_type: &DataType) -> bool {
    accumulator("min", std::slice::from_ref(data_type), data_type, true, &ListOptions::default()).is_ok()
}

/// Refuses what there is no accumulator for.
pub(super) fn check_calls(calls: &[AggregateCall], append_only: bool, reason: &str) -> Result<(), SqlError> {
    for call in calls {
        let name = call.function.to_uppercase();
        let by_arrival = matches!(call.function.as_str(), "first_value" | "last_value") && call.list.order.is_empty();
        if by_arrival && !append_only {
            return Err(SqlError::new(SqlError::UNSUPPORTED, format!("{name} by arrival over rows that change"))
                .with_detail(format!("{reason}; which row came first cannot be told once rows are taken back"))
                .with_hint(format!("say what comes first: {name}(x ORDER BY ts)")));
        }
        let order = |o: &ValueOrder| ListOrder { data_type: o.data_type.clone(), options: Default::default() };
        let list = ListOptions { order: call.list.order.iter().map(order).collect(), ..ListOptions::default() };
        if let Err(error) = accumulator(&call.function, &call.arg_types, &call.return_type, append_only, &list) {
            return Err(SqlError::new(SqlError::UNSUPPORTED, error.to_string())
                .with_hint("cast the argument to a type that the aggregate is defined on"));
        }
    }
    Ok(())
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
