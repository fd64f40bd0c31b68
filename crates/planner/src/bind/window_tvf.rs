//! Window table functions: `TUMBLE`, `HOP` and `SESSION` in FROM.
//!
//! The parser hands `TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL …))` over as a table function whose data
//! argument is `__table(t)`, or `__table(t, a, b)` for `TABLE t PARTITION BY a, b`, and whose time column is `descriptor(ts)`; arguments may be
//! named (`DATA`, `TIMECOL`, `SIZE`, `SLIDE`, `OFFSET`, `GAP`).

use super::context::external;
use super::window_assign::{Cut, WindowAssign};
use crate::{SqlError, TextPosition};
use arrow::datatypes::DataType;
use datafusion_common::{Column, DFSchema, Result, ScalarValue};
use datafusion_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion_expr::{Expr, Extension, LogicalPlan};
use eddyline_plan::Window;
use sqlparser::ast::{
    Expr as SqlExpr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, Spanned, TableFactor,
};
use std::sync::Arc;

/// Name of the function that marks the data argument.
pub(crate) const TABLE_ARGUMENT: &str = "__table";
/// Name of the function that marks the time column.
pub(crate) const DESCRIPTOR: &str = "descriptor";

/// Plans window table functions.
#[derive(Debug)]
pub(crate) struct WindowTvfPlanner;

impl RelationPlanner for WindowTvfPlanner {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        match relation {
            TableFactor::TableFunction { expr: SqlExpr::Function(function), alias } => {
                let plan = plan_function(&function, context)?;
                Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
            }
            other => Ok(RelationPlanning::Original(Box::new(other))),
        }
    }
}

/// The arguments of a window function, positional or named.
struct Arguments {
    function: String,
    position: Option<TextPosition>,
    values: Vec<(&'static str, SqlExpr)>,
}

impl Arguments {
    fn read(function: &Function) -> Result<Self> {
        let name = function.name.to_string().to_uppercase();
        let position = position_of(function.name.span());
        let names: &[&'static str] = match name.as_str() {
            "TUMBLE" => &["DATA", "TIMECOL", "SIZE", "OFFSET"],
            "HOP" => &["DATA", "TIMECOL", "SLIDE", "SIZE", "OFFSET"],
            "SESSION" => &["DATA", "TIMECOL", "GAP"],
            "CUMULATE" => {
                return fail(
                    SqlError::new(SqlError::UNSUPPORTED, format!("{name} windows are not supported"))
                        .with_hint("TUMBLE, HOP and SESSION windows are"),
                    position,
                );
            }
            _ => {
                return fail(
                    SqlError::new(
                        SqlError::UNDEFINED_FUNCTION,
                        format!("table function {} does not exist", function.name),
                    )
                    .with_hint("window table functions are TUMBLE, HOP and SESSION"),
                    position,
                );
            }
        };
        let FunctionArguments::List(list) = &function.args else {
            return fail(SqlError::new(SqlError::INVALID, format!("{name} needs arguments")), position);
        };
        let mut values = Vec::new();
        for (at, argument) in list.args.iter().enumerate() {
            let (slot, value) = match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => (names.get(at).copied(), e),
                FunctionArg::Named { name, arg: FunctionArgExpr::Expr(e), .. } => {
                    (names.iter().copied().find(|n| name.value.eq_ignore_ascii_case(n)), e)
                }
                _ => (None, &SqlExpr::Wildcard(sqlparser::ast::helpers::attached_token::AttachedToken::empty())),
            };
            let Some(slot) = slot else {
                let hint = format!("the arguments of {name} are {}", names.join(", "));
                return fail(
                    SqlError::new(SqlError::INVALID, format!("{name} has no argument {argument}")).with_hint(hint),
                    position,
                );
            };
            values.push((slot, value.clone()));
        }
        Ok(Self { function: name, position, values })
    }

    fn optional(&self, name: &str) -> Option<&SqlExpr> {
        self.values.iter().find(|(n, _)| *n == name).map(|(_, e)| e)
    }

    fn required(&self, name: &str) -> Result<&SqlExpr> {
        self.optional(name).ok_or_else(|| {
            let error = SqlError::new(SqlError::INVALID, format!("{}: argument {name} is missing", self.function));
            external(match self.position {
                Some(p) => error.at(p),
                None => error,
            })
        })
    }

    /// An interval argument in milliseconds.
    fn interval_ms(&self, name: &str, context: &mut dyn RelationPlannerContext) -> Result<Option<i64>> {
        let Some(value) = self.optional(name) else { return Ok(None) };
        let expr = context.sql_to_expr(value.clone(), &DFSchema::empty())?;
        let text = value.to_string();
        interval_ms(&expr).map(Some).map_err(|why| {
            let error = SqlError::new(SqlError::INVALID, format!("{}: {name} {text} {why}", self.function))
                .with_hint("write a length of time like INTERVAL '10' SECOND");
            external(match self.position {
                Some(p) => error.at(p),
                None => error,
            })
        })
    }

    fn length_ms(&self, name: &str, context: &mut dyn RelationPlannerContext) -> Result<i64> {
        self.required(name)?;
        match self.interval_ms(name, context)? {
            Some(ms) if ms > 0 => Ok(ms),
            _ => fail(
                SqlError::new(SqlError::INVALID, format!("{}: {name} must be longer than 0 ms", self.function)),
                self.position,
            ),
        }
    }
}

fn fail<T>(error: SqlError, position: Option<TextPosition>) -> Result<T> {
    Err(external(match position {
        Some(p) => error.at(p),
        None => error,
    }))
}

/// The place where a span of the parser begins; spans of made-up nodes are empty.
pub(crate) fn position_of(span: sqlparser::tokenizer::Span) -> Option<TextPosition> {
    (span.start.line > 0).then_some(TextPosition { line: span.start.line as usize, column: span.start.column as usize })
}

fn plan_function(function: &Function, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
    let arguments = Arguments::read(function)?;
    let (data, keys) = data(&arguments)?;
    let input = context.plan(data)?;
    let time = time_column(&arguments, input.schema())?;
    let cut = match arguments.function.as_str() {
        "SESSION" => Cut::Sessions {
            gap_ms: arguments.length_ms("GAP", context)?,
            partition: keys.iter().map(|key| key_column(&arguments, key, input.schema())).collect::<Result<_>>()?,
        },
        _ => Cut::Fixed(fixed_window(&arguments, &keys, context)?),
    };
    let node = WindowAssign::try_new(Arc::new(input), time, cut)?;
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
}

fn fixed_window(arguments: &Arguments, keys: &[SqlExpr], context: &mut dyn RelationPlannerContext) -> Result<Window> {
    let name = arguments.function.as_str();
    if !keys.is_empty() {
        let error = SqlError::new(SqlError::INVALID, format!("{name} has no PARTITION BY"))
            .with_hint("its windows are the same for all rows: leave it out, and GROUP BY the columns");
        return fail(error, arguments.position);
    }
    let offset_ms = arguments.interval_ms("OFFSET", context)?.unwrap_or(0);
    let size_ms = arguments.length_ms("SIZE", context)?;
    Ok(match name {
        "TUMBLE" => Window::Tumble { size_ms, offset_ms },
        _ => Window::Hop { size_ms, slide_ms: arguments.length_ms("SLIDE", context)?, offset_ms },
    })
}

/// The relation in the data argument, a table, view or CTE, or a subquery, and the columns by which it is parted.
fn data(arguments: &Arguments) -> Result<(TableFactor, Vec<SqlExpr>)> {
    let value = arguments.required("DATA")?;
    let mut all = match value {
        SqlExpr::Function(f) if f.name.to_string().eq_ignore_ascii_case(TABLE_ARGUMENT) => all_arguments(f),
        other => vec![other.clone()],
    };
    let keys = all.split_off(all.len().min(1));
    match all.pop() {
        Some(SqlExpr::Identifier(name)) => Ok((table_named(vec![name]), keys)),
        Some(SqlExpr::CompoundIdentifier(parts)) => Ok((table_named(parts), keys)),
        Some(SqlExpr::Subquery(subquery)) => {
            Ok((TableFactor::Derived { lateral: false, subquery, alias: None, sample: None }, keys))
        }
        _ => fail(
            SqlError::new(SqlError::INVALID, format!("{}: {value} is no table", arguments.function))
                .with_hint("the first argument is TABLE and the name of a table, view or WITH query"),
            arguments.position,
        ),
    }
}

/// A table in FROM, by its name alone.
pub(super) fn table_named(parts: Vec<Ident>) -> TableFactor {
    TableFactor::Table {
        name: ObjectName::from(parts),
        alias: None,
        args: None,
        with_hints: vec![],
        version: None,
        with_ordinality: false,
        partitions: vec![],
        json_path: None,
        sample: None,
        index_hints: vec![],
    }
}

fn all_arguments(function: &Function) -> Vec<SqlExpr> {
    let expr = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => Some(e.clone()),
        _ => None,
    };
    match &function.args {
        FunctionArguments::List(list) => list.args.iter().filter_map(expr).collect(),
        FunctionArguments::Subquery(q) => vec![SqlExpr::Subquery(q.clone())],
        FunctionArguments::None => vec![],
    }
}

/// A column of PARTITION BY.
fn key_column(arguments: &Arguments, key: &SqlExpr, schema: &DFSchema) -> Result<Column> {
    let ident = match key {
        SqlExpr::Identifier(ident) => ident,
        SqlExpr::CompoundIdentifier(parts) if !parts.is_empty() => &parts[parts.len() - 1],
        other => {
            let error = SqlError::new(SqlError::UNSUPPORTED, format!("{}: PARTITION BY {other}", arguments.function))
                .with_hint("it takes columns: compute it in a view or a WITH query, and name its column");
            return fail(error, arguments.position);
        }
    };
    let (column, _) = named_column(arguments, ident, schema)?;
    Ok(column)
}

/// The column of a name, and its type.
fn named_column(arguments: &Arguments, ident: &Ident, schema: &DFSchema) -> Result<(Column, DataType)> {
    let position = position_of(ident.span).or(arguments.position);
    match schema.qualified_fields_with_unqualified_name(&ident.value).as_slice() {
        [(qualifier, field)] => Ok((Column::new(qualifier.cloned(), field.name()), field.data_type().clone())),
        [] => fail(super::errors::unknown_column(&ident.value, None, &schema.columns()), position),
        _ => fail(SqlError::new(SqlError::INVALID, format!("column {} is ambiguous", ident.value)), position),
    }
}

fn time_column(arguments: &Arguments, schema: &DFSchema) -> Result<Column> {
    let value = arguments.required("TIMECOL")?;
    let inner = match value {
        SqlExpr::Function(f) if f.name.to_string().eq_ignore_ascii_case(DESCRIPTOR) => all_arguments(f),
        _ => vec![],
    };
    let ident = match inner.as_slice() {
        [SqlExpr::Identifier(ident)] => ident,
        [SqlExpr::CompoundIdentifier(parts)] if !parts.is_empty() => &parts[parts.len() - 1],
        _ => {
            return fail(
                SqlError::new(SqlError::INVALID, format!("{}: {value} names no time column", arguments.function))
                    .with_hint("write DESCRIPTOR(column)"),
                arguments.position,
            );
        }
    };
    match named_column(arguments, ident, schema)? {
        (column, DataType::Timestamp(..)) => Ok(column),
        _ => fail(
            SqlError::new(
                SqlError::DATATYPE_MISMATCH,
                format!("{}: time column {} is no TIMESTAMP", arguments.function, ident.value),
            )
            .with_hint("windows are cut over a TIMESTAMP or TIMESTAMP_LTZ column"),
            position_of(ident.span).or(arguments.position),
        ),
    }
}

/// The milliseconds of a constant interval.
fn interval_ms(expr: &Expr) -> std::result::Result<i64, &'static str> {
    match expr {
        Expr::Negative(inner) => interval_ms(inner).map(|ms| -ms),
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(v)), _) => {
            if v.months != 0 {
                return Err("has months or years, whose length varies");
            }
            let nanos = i128::from(v.days) * 86_400_000_000_000 + i128::from(v.nanoseconds);
            if nanos % 1_000_000 != 0 {
                return Err("is finer than a millisecond");
            }
            i64::try_from(nanos / 1_000_000).map_err(|_| "is too long")
        }
        _ => Err("is no constant INTERVAL"),
    }
}
