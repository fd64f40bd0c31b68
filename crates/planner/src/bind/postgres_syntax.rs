//! Spellings of Postgres that stand for calls: rewritten in the syntax tree, before names have meanings.
//!
//! | spelling | call |
//! |---|---|
//! | `substring(x from 'pattern')` | `regexp_substring(x, 'pattern')` |
//! | `a ^ b`, `@ x`, `|/ x`, `||/ x`, `a ^@ b`, `a && b` | `power(a, b)`, `abs(x)`, `sqrt(x)`, `cbrt(x)`, `starts_with(a, b)`, `array_has_any(a, b)` |
//! | `make_interval(days => 10)` | the arguments in their order |
//! | `x = ANY (list)`, `x <> ALL (list)` | `equals_any(x, list)`, `NOT equals_any(x, list)` |
//! | `x LIKE ANY (ARRAY[a, b])` | `x LIKE a OR x LIKE b` |
//! | `ARRAY(SELECT x …)` | `(SELECT coalesce(array_agg(x), ARRAY[]) …)` |
//! | `t AT TIME ZONE z` | `timezone(z, t)` |
//! | `~x` | `-1 - x` |
//! | `array_prepend(x, list)`, `array_replace(…)` | `array_prepend(list, x)`, `array_replace_all(…)` |
//! | `jsonb_agg(x)`, `jsonb_object_agg(k, v)` | `jsonb_of_list(array_agg(to_jsonb(x)))`, `jsonb_of_objects(array_agg(jsonb_build_object(k, v)))` |
//! | `percentile_cont(p) WITHIN GROUP (ORDER BY x)` | `percentile_cont(x, p)` |
//! | `mode() WITHIN GROUP (ORDER BY x)` | `most_frequent(array_agg(x), FALSE)` |
//! | `percentile_disc(p) WITHIN GROUP (ORDER BY x)` | `percentile_disc_of(array_agg(x), p, FALSE)` |
//! | `age(x)` | `age(CURRENT_DATE, x)` |
//! | `clock_timestamp()` and the like | `now()` |

use super::syntax::call;
use crate::SqlError;
use crate::parse::{ast_type, gives_lists};
use arrow::datatypes::TimeUnit;
use sqlparser::ast::{
    AccessExpr, Array, BinaryOperator, CastKind, DataType, ExactNumberInfo, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArgumentClause, FunctionArguments, GroupByExpr, Ident, ObjectName, OrderBy, OrderByKind,
    SelectItem, SetExpr, Spanned, Subscript, UnaryOperator, Value,
};

/// Rewrites an expression whose parts are rewritten.
///
/// # Errors
/// Arguments that a function does not have.
pub(super) fn rewrite(expr: &mut Expr) -> Result<(), SqlError> {
    let made = match expr {
        Expr::Substring { expr: value, substring_from: Some(from), substring_for: None, .. } if is_text(from) => {
            call("regexp_substring", vec![take(value), take(from)])
        }
        Expr::BinaryOp { left, op, right } => {
            let name = match op {
                BinaryOperator::PGExp | BinaryOperator::BitwiseXor => "power",
                BinaryOperator::PGStartsWith => "starts_with",
                BinaryOperator::PGOverlap => "array_has_any",
                _ => return Ok(()),
            };
            call(name, vec![take(left), take(right)])
        }
        Expr::UnaryOp { op, expr: value } => {
            let name = match op {
                UnaryOperator::PGAbs => "abs",
                UnaryOperator::PGSquareRoot => "sqrt",
                UnaryOperator::PGCubeRoot => "cbrt",
                UnaryOperator::BitwiseNot => {
                    let (left, right) = (Box::new(literal("-1")), Box::new(take(value)));
                    *expr = Expr::Nested(Box::new(Expr::BinaryOp { left, op: BinaryOperator::Minus, right }));
                    return Ok(());
                }
                _ => return Ok(()),
            };
            call(name, vec![take(value)])
        }
        // The binder does not know them in another place than a cast.
        Expr::TypedString(literal) if literal.data_type == DataType::JSON => {
            call("json_in", vec![Expr::Value(literal.value.clone())])
        }
        // Of as many digits as it has.
        Expr::TypedString(literal) if matches!(literal.data_type, DataType::Numeric(ExactNumberInfo::None)) => {
            match &literal.value.value {
                Value::SingleQuotedString(text) if is_number(text) => {
                    Expr::Value(Value::Number(text.clone(), false).into())
                }
                _ => return Ok(()),
            }
        }
        Expr::TypedString(literal) if literal.data_type == DataType::JSONB => {
            cast(Expr::Value(literal.value.clone()), &arrow::datatypes::DataType::LargeUtf8)
        }
        Expr::TypedString(literal) if is_timestamptz(&literal.data_type) => {
            let micros = arrow::datatypes::DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
            cast(Expr::Value(literal.value.clone()), &micros)
        }
        Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } if !is_subquery(right) => {
            call("equals_any", vec![take(left), take(right)])
        }
        Expr::AllOp { left, compare_op: BinaryOperator::NotEq, right } if !is_subquery(right) => {
            let is_any = Box::new(call("equals_any", vec![take(left), take(right)]));
            Expr::UnaryOp { op: UnaryOperator::Not, expr: is_any }
        }
        Expr::Like { any: true, pattern, .. } | Expr::ILike { any: true, pattern, .. } => {
            let Some(patterns) = listed(pattern) else { return Ok(()) };
            any_like(expr, patterns)
        }
        Expr::AtTimeZone { timestamp, time_zone } => call("timezone", vec![take(time_zone), take(timestamp)]),
        Expr::CompoundFieldAccess { root, access_chain } => match part_of_row(root, access_chain) {
            Some(part) => part,
            None => {
                access_chain.iter_mut().for_each(bounded);
                return Ok(());
            }
        },
        Expr::Function(function) => {
            match array_of(function).or_else(|| json_aggregate(function)).or_else(|| of_ordered_set(function)) {
                Some(made) => made,
                None => return rewrite_call(function),
            }
        }
        _ => return Ok(()),
    };
    *expr = made;
    Ok(())
}

/// `SELECT generate_series(1, 3)`: what gives rows in a list is unnested.
pub(super) fn unnest_item(item: &mut SelectItem) {
    let expr = match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => expr,
        _ => return,
    };
    if let Expr::Function(function) = expr
        && let Some(Some(list)) = gives_lists(&function.name)
    {
        function.name = ObjectName::from(vec![Ident::with_span(function.name.span(), list)]);
        *expr = call("unnest", vec![take(expr)]);
    }
}

fn take(expr: &mut Expr) -> Expr {
    std::mem::replace(expr, Expr::Value(Value::Null.into()))
}

fn cast(value: Expr, to: &arrow::datatypes::DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(value), data_type: ast_type(to), array: false, format: None }
}

fn literal(number: &str) -> Expr {
    Expr::Value(Value::Number(number.into(), false).into())
}

fn is_subquery(expr: &Expr) -> bool {
    match expr {
        Expr::Subquery(_) => true,
        Expr::Nested(inner) => is_subquery(inner),
        _ => false,
    }
}

/// The elements of `ARRAY[a, b]`.
fn listed(list: &mut Expr) -> Option<Vec<Expr>> {
    match list {
        Expr::Nested(inner) => listed(inner),
        Expr::Array(array) => Some(std::mem::take(&mut array.elem)),
        // What it has become before.
        Expr::Function(function) if function.name.to_string() == "make_array" => match &mut function.args {
            FunctionArguments::List(list) => {
                let value = |argument| match argument {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Some(value),
                    _ => None,
                };
                std::mem::take(&mut list.args).into_iter().map(value).collect()
            }
            _ => None,
        },
        _ => None,
    }
}

/// One LIKE for each of the patterns.
fn any_like(like: &Expr, patterns: Vec<Expr>) -> Expr {
    let one = |of: Expr| {
        let mut like = like.clone();
        if let Expr::Like { any, pattern, .. } | Expr::ILike { any, pattern, .. } = &mut like {
            (*any, **pattern) = (false, of);
        }
        like
    };
    let either = |left, right| Expr::BinaryOp { left: Box::new(left), op: BinaryOperator::Or, right: Box::new(right) };
    let all = patterns.into_iter().map(one).reduce(either);
    Expr::Nested(Box::new(all.unwrap_or_else(|| Expr::Value(Value::Boolean(false).into()))))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.') && text.parse::<f64>().is_ok()
}

fn is_timestamptz(data_type: &DataType) -> bool {
    let written = data_type.to_string().to_ascii_uppercase();
    written.starts_with("TIMESTAMPTZ") || written.starts_with("TIMESTAMP") && written.ends_with("WITH TIME ZONE")
}

/// `x[2:]`, `x[:2]`: with both ends.
fn bounded(access: &mut AccessExpr) {
    if let AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, .. }) = access {
        lower_bound.get_or_insert_with(|| literal("1"));
        upper_bound.get_or_insert_with(|| literal("2147483647"));
    }
}

/// The arguments of a call that have no names.
fn values_of(call: &Function) -> Option<Vec<Expr>> {
    let FunctionArguments::List(list) = &call.args else { return None };
    let value = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Some(value.clone()),
        _ => None,
    };
    list.args.iter().map(value).collect()
}

/// `(ROW(a, b)).f2` is `b`.
fn part_of_row(root: &mut Expr, access_chain: &mut Vec<AccessExpr>) -> Option<Expr> {
    let parts = match root {
        Expr::Nested(inner) => return part_of_row(inner, access_chain),
        Expr::Tuple(parts) => parts.clone(),
        Expr::Function(call) if call.name.to_string().eq_ignore_ascii_case("row") => values_of(call)?,
        _ => return None,
    };
    let AccessExpr::Dot(Expr::Value(name)) = access_chain.first()? else { return None };
    let Value::SingleQuotedString(name) = &name.value else { return None };
    let at: usize = name.strip_prefix('f')?.parse().ok()?;
    let part = parts.into_iter().nth(at.checked_sub(1)?)?;
    access_chain.remove(0);
    Some(match access_chain.is_empty() {
        true => part,
        false => Expr::CompoundFieldAccess { root: Box::new(part), access_chain: std::mem::take(access_chain) },
    })
}

fn is_text(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)))
}

fn rewrite_call(function: &mut Function) -> Result<(), SqlError> {
    let name = function.name.to_string().to_ascii_lowercase();
    if name == "percentile_cont" {
        percentile(function);
    }
    let FunctionArguments::List(list) = &mut function.args else { return Ok(()) };
    match (name.as_str(), list.args.len()) {
        ("age", 1) => list.args.insert(0, unnamed(call("current_date", Vec::new()))),
        ("array_prepend", 2) => list.args.swap(0, 1),
        ("gen_random_uuid", 0) => function.name = ObjectName::from(vec![Ident::new("uuid")]),
        ("array_replace", 3) => function.name = ObjectName::from(vec![Ident::new("array_replace_all")]),
        ("make_interval", _) => list.args = in_order(std::mem::take(&mut list.args))?,
        ("clock_timestamp" | "statement_timestamp" | "transaction_timestamp", 0) => {
            function.name = ObjectName::from(vec![Ident::new("now")]);
        }
        _ => {}
    }
    Ok(())
}

/// `(p) WITHIN GROUP (ORDER BY x [DESC])` as `(x, p)`; from the greatest down, the other part.
fn percentile(function: &mut Function) {
    let FunctionArguments::List(list) = &mut function.args else { return };
    let ([FunctionArg::Unnamed(FunctionArgExpr::Expr(part))], [order]) =
        (list.args.as_mut_slice(), function.within_group.as_mut_slice())
    else {
        return;
    };
    let (mut part, of) = (take(part), take(&mut order.expr));
    if order.options.asc == Some(false) {
        let (left, right) = (Box::new(literal("1.0")), Box::new(part));
        part = Expr::BinaryOp { left, op: BinaryOperator::Minus, right };
    }
    list.args = vec![unnamed(of), unnamed(part)];
    function.within_group.clear();
}

fn unnamed(expr: Expr) -> FunctionArg {
    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
}

/// `ARRAY(SELECT x … ORDER BY y)`; an empty array where there are no rows.
fn array_of(function: &Function) -> Option<Expr> {
    let FunctionArguments::Subquery(query) = &function.args else { return None };
    if !function.name.to_string().eq_ignore_ascii_case("array") {
        return None;
    }
    let mut query = query.clone();
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    let is_plain = select.distinct.is_none()
        && query.limit_clause.is_none()
        && query.with.is_none()
        && matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty());
    let [SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. }] =
        select.projection.as_mut_slice()
    else {
        return None;
    };
    if !is_plain {
        return None;
    }
    let mut all = call("array_agg", vec![take(item)]);
    if let (Some(OrderBy { kind: OrderByKind::Expressions(order), .. }), Expr::Function(function)) =
        (query.order_by.take(), &mut all)
        && let FunctionArguments::List(list) = &mut function.args
    {
        list.clauses.push(FunctionArgumentClause::OrderBy(order));
    }
    let none = Expr::Array(Array { elem: Vec::new(), named: true });
    let expr = call("coalesce", vec![all, none]);
    select.projection = vec![SelectItem::ExprWithAlias { expr, alias: Ident::new("array") }];
    Some(Expr::Subquery(query))
}

/// `jsonb_agg(x ORDER BY y)` as `jsonb_of_list(array_agg(to_jsonb(x) ORDER BY y))`, and so on; of `json_agg` the text.
fn json_aggregate(function: &mut Function) -> Option<Expr> {
    let name = function.name.to_string().to_ascii_lowercase();
    let (each, all) = match name.as_str() {
        "jsonb_agg" | "json_agg" => ("to_jsonb", "jsonb_of_list"),
        "jsonb_object_agg" | "json_object_agg" => ("jsonb_build_object", "jsonb_of_objects"),
        _ => return None,
    };
    let FunctionArguments::List(list) = &mut function.args else { return None };
    let given = std::mem::take(&mut list.args).into_iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Some(value),
        _ => None,
    });
    list.args = vec![unnamed(call(each, given.collect::<Option<_>>()?))];
    function.name = ObjectName::from(vec![Ident::with_span(function.name.span(), "array_agg")]);
    let made = call(all, vec![Expr::Function(function.clone())]);
    Some(if name.starts_with("json_") { cast(made, &arrow::datatypes::DataType::Utf8) } else { made })
}

/// `mode() WITHIN GROUP (ORDER BY x)` as `most_frequent(array_agg(x), FALSE)`, and `percentile_disc(p) WITHIN GROUP (ORDER BY x DESC)` as
/// `percentile_disc_of(array_agg(x), p, TRUE)`.
fn of_ordered_set(function: &mut Function) -> Option<Expr> {
    let [order] = function.within_group.as_mut_slice() else { return None };
    let FunctionArguments::List(list) = &mut function.args else { return None };
    let descending = Expr::Value(Value::Boolean(order.options.asc == Some(false)).into());
    let name = function.name.to_string().to_ascii_lowercase();
    let (choice, behind) = match (name.as_str(), list.args.as_mut_slice()) {
        ("mode", []) => ("most_frequent", vec![descending]),
        ("percentile_disc", [FunctionArg::Unnamed(FunctionArgExpr::Expr(part))]) => {
            ("percentile_disc_of", vec![take(part), descending])
        }
        _ => return None,
    };
    list.args = vec![unnamed(take(&mut order.expr))];
    function.within_group.clear();
    function.name = ObjectName::from(vec![Ident::with_span(function.name.span(), "array_agg")]);
    let all = Expr::Function(function.clone());
    Some(call(choice, std::iter::once(all).chain(behind).collect()))
}

/// Arguments of MAKE_INTERVAL by their names.
const PARTS: [&str; 7] = ["years", "months", "weeks", "days", "hours", "mins", "secs"];

fn in_order(given: Vec<FunctionArg>) -> Result<Vec<FunctionArg>, SqlError> {
    let zero = || unnamed(Expr::Value(Value::Number("0".into(), false).into()));
    let mut all: Vec<FunctionArg> = Vec::with_capacity(PARTS.len());
    for argument in given {
        let (name, value) = match argument {
            FunctionArg::Named { name, arg, .. } => (name.value.to_ascii_lowercase(), arg),
            other => {
                all.push(other);
                continue;
            }
        };
        let Some(at) = PARTS.iter().position(|part| *part == name) else {
            let message = format!("MAKE_INTERVAL has no argument {name}");
            return Err(SqlError::new(SqlError::UNDEFINED_FUNCTION, message)
                .with_hint(format!("its arguments are {}", PARTS.join(", "))));
        };
        while all.len() <= at {
            all.push(zero());
        }
        all[at] = FunctionArg::Unnamed(value);
    }
    if all.is_empty() {
        all.push(zero());
    }
    Ok(all)
}
