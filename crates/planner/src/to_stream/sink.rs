//! Where rows go: INSERT's columns matched and cast, the key, whether the table takes what the query gives.

use super::Builder;
use super::graph::NewNode;
use super::stream::{Facts, Stream};
use super::upsert::is_unique;
use crate::bind::{distinct_on_in_order, errors};
use crate::checked::{FieldNames, NotNull};
use crate::{Presentation, SortColumn, SqlError, Target};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion_common::ScalarValue;
use datafusion_expr::{Expr, FetchType, Limit, LogicalPlan, Projection, SkipType};
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::{CastExpr, Literal};
use eddyline_catalog::{Table, sql_type};
use eddyline_connectors::SinkChanges;
use eddyline_plan::{ChangeMode, Conflict, Distribution, Expression, Input, NamedExpression, OperatorSpec, SinkSpec};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Builder<'_, '_> {
    /// Adds the sink of a query's rows.
    pub(crate) fn sink(&mut self, stream: Stream, target: &Target) -> Result<(), SqlError> {
        match target {
            Target::Table { table, columns, conflict } => {
                let takes = self.takes(table)?;
                check_changes(&stream, table, takes)?;
                let stream = self.fitted(stream, table, columns)?;
                let schema = table.sink_schema();
                let key: Vec<usize> = table.primary_key.iter().filter_map(|k| schema.index_of(k).ok()).collect();
                let stream = match (takes, conflict) {
                    (SinkChanges::Upserts, _) => self.one_per_key(stream, table, &key, *conflict)?,
                    (_, None) => stream,
                    (_, Some(conflict)) => return Err(no_conflicts(table, *conflict)),
                };
                let key = (!key.is_empty()).then_some(key);
                let name = table.name.to_string();
                let place = Place { table: &name, options: &table.options, schema, key, takes };
                self.sink_node(stream, place)
            }
            Target::Result { name, options } => {
                let schema = stream.output_schema().map_err(errors::plain)?;
                let place = Place { table: name, options, schema, key: None, takes: SinkChanges::Full };
                self.sink_node(stream, place)
            }
        }
    }

    /// What changes a table can be given.
    fn takes(&self, table: &Table) -> Result<SinkChanges, SqlError> {
        self.planner.takes.map_or(Ok(SinkChanges::Full), |takes| takes(table))
    }

    fn sink_node(&mut self, stream: Stream, place: Place<'_>) -> Result<(), SqlError> {
        let Place { table, options, schema, key, takes } = place;
        let facts = stream.output_facts();
        let node = self.named_node(stream)?;
        let key = key.or_else(|| facts.keys.first().cloned());
        let input = Input::new(node, arrival(&facts, key.as_deref(), takes));
        let mut traits = facts.traits();
        if takes == SinkChanges::Upserts {
            (traits.mode, traits.key) = (ChangeMode::Upsert, key.clone());
            traits.reason = format!("table {table} keeps the last row of every key; {}", facts.reason);
        }
        let spec = SinkSpec { table: table.to_owned(), options: options.clone(), schema: schema.clone(), key };
        self.graph.add(NewNode {
            meaning: format!("sink {table}"),
            spec: OperatorSpec::Sink(spec),
            inputs: vec![input],
            schema,
            traits,
            of: vec![node],
        });
        Ok(())
    }
}

/// Where rows are written.
struct Place<'a> {
    table: &'a str,
    options: &'a BTreeMap<String, String>,
    schema: SchemaRef,
    key: Option<Vec<usize>>,
    takes: SinkChanges,
}

/// Refuses a query that changes its results where the table takes insertions only.
fn check_changes(stream: &Stream, table: &Table, takes: SinkChanges) -> Result<(), SqlError> {
    if stream.facts.mode == ChangeMode::AppendOnly || takes != SinkChanges::Inserts {
        return Ok(());
    }
    let connector = table.options.get("connector").map(String::as_str).unwrap_or("its connector");
    let place = match table.options.get("format").filter(|_| connector == "filesystem") {
        Some(format) => format!("'{connector}' with 'format' = '{format}'"),
        None => format!("'{connector}'"),
    };
    Err(SqlError::new(
        SqlError::UNSUPPORTED,
        format!("table {} takes insertions only, but the query changes its results", table.name),
    )
    .with_detail(format!("{}; {place} cannot take rows back", stream.facts.reason))
    .with_hint(
        "group by a TUMBLE or HOP window, whose results are final, or write where changes can be told: files with a \
         'format' of changelog-json, changelog-csv, debezium-json, or, with a PRIMARY KEY, upsert-json or upsert-csv; \
         'print'; 'blackhole'",
    ))
}

fn no_conflicts(table: &Table, conflict: Conflict) -> SqlError {
    SqlError::new(
        SqlError::UNSUPPORTED,
        format!("ON CONFLICT DO {conflict}: table {} does not keep one row per key", table.name),
    )
    .with_detail("its rows do not replace each other, so there is no conflict")
    .with_hint("leave ON CONFLICT out, or write a table whose rows do: 'format' = 'upsert-json' with a PRIMARY KEY")
}

/// Rows that replace each other must come to the same writer, in order: they do when they are dealt out by columns
/// of the key, or never replaced.
fn arrival(facts: &Facts, key: Option<&[usize]>, takes: SinkChanges) -> Distribution {
    let Some(key) = key else { return Distribution::Forward };
    let replaced = facts.mode != ChangeMode::AppendOnly || (takes == SinkChanges::Upserts && !is_unique(facts, key));
    match &facts.hashed_by {
        _ if !replaced => Distribution::Forward,
        Some(columns) if columns.iter().all(|c| key.contains(c)) => Distribution::Forward,
        _ => Distribution::Hash(key.to_vec()),
    }
}

impl Builder<'_, '_> {
    /// What a column is given that INSERT does not name.
    fn left_out(&self, table: &Table, wanted: &Field) -> Result<Expression, SqlError> {
        let column = table.columns.iter().find(|column| column.name == *wanted.name());
        let default = column.map(|column| self.planner.default_of(table, column)).transpose()?.flatten();
        match default {
            Some((expr, schema)) => {
                let value = self.compiler.compile(&expr, &schema)?;
                Ok(if wanted.is_nullable() { value } else { not_null(value, table, wanted) })
            }
            None if wanted.is_nullable() => null(wanted.data_type()),
            None => {
                let message = format!("table {}: column {} is NOT NULL and gets no value", table.name, wanted.name());
                Err(SqlError { message, ..SqlError::null_in(&table.name, wanted.name()) }
                    .with_hint("name it in the column list and give it a value"))
            }
        }
    }

    /// The rows as the table has them: columns by position or by name, cast where nothing can be lost.
    fn fitted(&self, mut stream: Stream, table: &Table, columns: &[String]) -> Result<Stream, SqlError> {
        let sink = table.sink_schema();
        let found = stream.output_schema().map_err(errors::plain)?;
        let targets = targets(table, &sink, columns)?;
        if targets.len() != found.fields().len() {
            return Err(mismatch(table, &found, &sink, &targets, "they have not the same number of columns".into()));
        }
        let mut project = Vec::with_capacity(sink.fields().len());
        for (at, wanted) in sink.fields().iter().enumerate() {
            let expression = match targets.iter().position(|t| *t == at) {
                Some(from) => {
                    let given = found.field(from);
                    let expression = &stream.project[from].expression;
                    let cast = cast(expression, given, wanted);
                    let value = cast.map_err(|why| mismatch(table, &found, &sink, &targets, why))?;
                    if given.is_nullable() && !wanted.is_nullable() { not_null(value, table, wanted) } else { value }
                }
                None => self.left_out(table, wanted)?,
            };
            project.push(NamedExpression::new(expression, wanted.name()));
        }
        stream.project = project;
        Ok(stream)
    }
}

/// Which column of the sink each column of the query goes to.
fn targets(table: &Table, sink: &Schema, columns: &[String]) -> Result<Vec<usize>, SqlError> {
    if columns.is_empty() {
        return Ok((0..sink.fields().len()).collect());
    }
    let mut targets = Vec::with_capacity(columns.len());
    for name in columns {
        let Ok(at) = sink.index_of(name) else {
            if table.columns.iter().any(|c| c.name == *name) {
                return Err(SqlError::new(
                    SqlError::INVALID,
                    format!("table {}: column {name} cannot be written", table.name),
                )
                .with_hint("it is computed, or METADATA that is VIRTUAL: leave it out"));
            }
            let known: Vec<datafusion_common::Column> =
                sink.fields().iter().map(|f| datafusion_common::Column::new_unqualified(f.name())).collect();
            return Err(errors::unknown_column(name, Some(&table.name.to_string()), &known));
        };
        if targets.contains(&at) {
            return Err(SqlError::new("42701", format!("table {}: column {name} is written twice", table.name)));
        }
        targets.push(at);
    }
    Ok(targets)
}

fn mismatch(table: &Table, found: &Schema, sink: &Schema, targets: &[usize], why: String) -> SqlError {
    let text = |f: &Field| format!("{} {}", f.name(), sql_type(f.data_type()));
    let list = |fields: Vec<String>| format!("({})", fields.join(", "));
    let given = list(found.fields().iter().map(|f| text(f)).collect());
    let wanted = list(targets.iter().map(|t| text(sink.field(*t))).collect());
    SqlError::new(SqlError::DATATYPE_MISMATCH, format!("table {}: the query's columns do not fit: {why}", table.name))
        .with_detail(format!("query: {given}; table: {wanted}"))
        .with_hint("CAST the columns of the query to the types of the table")
}

/// The expression in the wanted type, where every value can be converted without loss.
fn cast(expression: &Expression, given: &Field, wanted: &Field) -> Result<Expression, String> {
    if given.data_type() == wanted.data_type() {
        return Ok(expression.clone());
    }
    if is_implicit(given.data_type(), wanted.data_type()) {
        let value = expression.physical().clone();
        let named: Arc<dyn PhysicalExpr> = match given.data_type().is_nested() {
            true => Arc::new(FieldNames::new(value, given.data_type(), wanted.data_type())),
            false => value,
        };
        let cast = CastExpr::new(named, wanted.data_type().clone(), None);
        return Ok(Expression::new(Arc::new(cast)));
    }
    // A constant that fits is no loss: INSERT INTO t VALUES (1) into a SMALLINT.
    if let Some(literal) = expression.physical().downcast_ref::<Literal>()
        && given.data_type().is_integer()
        && wanted.data_type().is_integer()
        && let Ok(value) = literal.value().cast_to(wanted.data_type())
    {
        return Ok(Expression::new(Arc::new(Literal::new(value))));
    }
    Err(format!(
        "{} is {}, column {} is {}",
        given.name(),
        sql_type(given.data_type()),
        wanted.name(),
        sql_type(wanted.data_type())
    ))
}

fn not_null(value: Expression, table: &Table, wanted: &Field) -> Expression {
    Expression::new(Arc::new(NotNull::new(value.physical().clone(), &table.name, wanted.name())))
}

fn null(data_type: &DataType) -> Result<Expression, SqlError> {
    let value = ScalarValue::try_new_null(data_type).map_err(errors::plain)?;
    Ok(Expression::new(Arc::new(Literal::new(value))))
}

/// Conversions that INSERT makes by itself: numbers to wider numbers, decimals among themselves (checked when
/// they run), times to other precisions, NULL to anything.
fn is_implicit(from: &DataType, to: &DataType) -> bool {
    use DataType::*;
    let rank = |t: &DataType| match t {
        Int8 => Some(1),
        Int16 => Some(2),
        Int32 => Some(3),
        Int64 => Some(4),
        Decimal128(..) => Some(5),
        Float32 => Some(6),
        Float64 => Some(7),
        _ => None,
    };
    match (from, to) {
        (Null, _) => true,
        (Decimal128(..), Decimal128(..)) | (Timestamp(..), Timestamp(..)) | (Date32, Timestamp(..)) => true,
        (Time32(_) | Time64(_), Time32(_) | Time64(_)) => true,
        (Utf8 | LargeUtf8 | Utf8View, Utf8) | (Binary | LargeBinary | BinaryView, Binary) => true,
        (UInt8 | UInt16 | UInt32, Int64) | (UInt64, Decimal128(..)) => true,
        (List(a), List(b)) => a.data_type() == b.data_type() || is_implicit(a.data_type(), b.data_type()),
        (Struct(a), Struct(b)) => {
            a.len() == b.len()
                && a.iter()
                    .zip(b)
                    .all(|(x, y)| x.data_type() == y.data_type() || is_implicit(x.data_type(), y.data_type()))
        }
        (Map(..), Map(..)) => true,
        _ => matches!((rank(from), rank(to)), (Some(f), Some(t)) if f < t),
    }
}

/// Takes ORDER BY off the top of a bare SELECT: it says how the finished result is shown. LIMIT and OFFSET of a result
/// with an order stay in the plan, so that the result is right at every moment, unless it is read once; without an order they are shown too.
/// What is sorted by and is no column of the result comes behind its columns.
pub(crate) fn presentation(
    plan: LogicalPlan,
    reads_once: bool,
) -> Result<(LogicalPlan, Option<Presentation>), SqlError> {
    let plan = distinct_on_in_order(plan).map_err(errors::plain)?;
    let (limit, below) = match &plan {
        LogicalPlan::Limit(limit) => (Some(limit), limit.input.as_ref()),
        other => (None, other),
    };
    let numbers = limit.filter(|_| reads_once).and_then(numbers);
    let (sort, shown) = match below {
        LogicalPlan::Sort(sort) => (sort, None),
        LogicalPlan::Projection(p) => match p.input.as_ref() {
            LogicalPlan::Sort(sort) => (sort, Some(p)),
            _ => return unsorted(&plan, limit),
        },
        _ => return unsorted(&plan, limit),
    };
    let visible: Vec<Expr> = match shown {
        Some(p) => p.expr.clone(),
        None => sort.input.schema().columns().into_iter().map(Expr::Column).collect(),
    };
    let mut columns = visible.clone();
    // What is said in the presentation is not in the plan.
    let limit = limit.filter(|_| numbers.is_none());
    let (offset, fetch) = numbers.unwrap_or_default();
    let mut presentation =
        Presentation { is_limited: limit.is_some(), limit: fetch, offset, ..Presentation::default() };
    for key in &sort.expr {
        let known = columns.iter().position(|c| c.clone().unalias() == key.expr);
        let column = known.unwrap_or_else(|| {
            columns.push(key.expr.clone().alias(format!("$order{}", columns.len())));
            columns.len() - 1
        });
        presentation.sort.push(SortColumn { column, ascending: key.asc, nulls_first: key.nulls_first });
    }
    presentation.hidden = columns.len() - visible.len();
    let input = match limit {
        Some(_) => Arc::new(LogicalPlan::Sort(sort.clone())),
        None => sort.input.clone(),
    };
    let projected = match shown.is_some() || presentation.hidden > 0 {
        true => Arc::new(LogicalPlan::Projection(Projection::try_new(columns, input).map_err(errors::plain)?)),
        false => input,
    };
    let plan = match limit {
        Some(limit) => LogicalPlan::Limit(Limit { input: projected, ..limit.clone() }),
        None => Arc::unwrap_or_clone(projected),
    };
    Ok((plan, Some(presentation)))
}

/// A result without an order: any rows will do for a LIMIT, those that come first as a rule.
fn unsorted(plan: &LogicalPlan, limit: Option<&Limit>) -> Result<(LogicalPlan, Option<Presentation>), SqlError> {
    let Some(limit) = limit else { return Ok((plan.clone(), None)) };
    let Some((offset, fetch)) = numbers(limit) else {
        return Err(SqlError::new(SqlError::UNSUPPORTED, "LIMIT and OFFSET must be numbers"));
    };
    let presentation = Presentation { limit: fetch, offset, ..Presentation::default() };
    Ok((limit.input.as_ref().clone(), Some(presentation)))
}

/// OFFSET and LIMIT, if they are numbers.
fn numbers(limit: &Limit) -> Option<(usize, Option<usize>)> {
    match (limit.get_skip_type(), limit.get_fetch_type()) {
        (Ok(SkipType::Literal(offset)), Ok(FetchType::Literal(fetch))) => Some((offset, fetch)),
        _ => None,
    }
}
