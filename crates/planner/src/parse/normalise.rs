//! Parsed queries and expressions in one form; what sqlparser takes but nobody carries out is refused.

use super::dialect::{call, string_of};
use super::windows::located;
use super::{clocks, interval, literals, patterns, values, windows};
use crate::SqlError;
use eddyline_catalog::{Dialect, PUBLIC, Reference};
use sqlparser::ast::{
    AccessExpr, BinaryOperator, CeilFloorKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, Ident, LimitClause, ObjectName, Query, Select, SelectItem, SetExpr, Spanned, TableFactor,
    TimezoneInfo, TypedString, Value, VisitMut, VisitorMut,
};
use std::ops::ControlFlow;

/// Units that TIMESTAMPDIFF and TIMESTAMPADD count in.
const UNITS: [&str; 11] =
    ["SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR", "MILLISECOND", "MICROSECOND", "NANOSECOND"];

/// Brings a query into one form.
///
/// # Errors
/// What is not supported.
pub(super) fn query(query: &mut Query, dialect: Dialect) -> Result<(), SqlError> {
    finish(VisitMut::visit(query, &mut Normaliser { dialect }))
}

/// Brings an expression into one form.
///
/// # Errors
/// What is not supported.
pub(super) fn expression(expression: &mut Expr, dialect: Dialect) -> Result<(), SqlError> {
    finish(VisitMut::visit(expression, &mut Normaliser { dialect }))
}

/// A name of one to three parts. Flink's `default_catalog` is the database that is connected to, its `default_database` the schema `public`.
///
/// # Errors
/// More parts; another catalog of Flink.
pub(super) fn reference(parts: &[Ident]) -> Result<Reference, SqlError> {
    let values: Vec<&str> = parts.iter().map(|p| p.value.as_str()).collect();
    let schema = |schema: &str| Some(if schema == "default_database" { PUBLIC } else { schema }.to_owned());
    match values.as_slice() {
        [object] => Ok(Reference::bare(*object)),
        [of, object] => Ok(Reference { database: None, schema: schema(of), object: (*object).to_owned() }),
        [database, of, object] => {
            let database = (*database != "default_catalog").then(|| (*database).to_owned());
            Ok(Reference { database, schema: schema(of), object: (*object).to_owned() })
        }
        [.., last] => {
            Err(SqlError::new(SqlError::SYNTAX, format!("{}: a name has three parts at most", values.join(".")))
                .with_hint(format!("write {last}, schema.{last} or database.schema.{last}")))
        }
        [] => Err(SqlError::new(SqlError::SYNTAX, "syntax error: a name is missing")),
    }
}

/// The parts of a name, at the places where they were written.
pub(super) fn qualified(parts: &[Ident]) -> Result<Vec<Ident>, SqlError> {
    let Reference { database, schema, object } = reference(parts)?;
    let new = [database, schema, Some(object)].into_iter().flatten().collect::<Vec<_>>();
    let old = parts.iter().skip(parts.len() - new.len());
    Ok(old.zip(new).map(|(old, value)| Ident { value, ..old.clone() }).collect())
}

fn finish(flow: ControlFlow<Box<SqlError>>) -> Result<(), SqlError> {
    match flow {
        ControlFlow::Break(error) => Err(*error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

fn flow(result: Result<(), SqlError>) -> ControlFlow<Box<SqlError>> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(Box::new(error)),
    }
}

struct Normaliser {
    dialect: Dialect,
}

impl VisitorMut for Normaliser {
    type Break = Box<SqlError>;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        limit_of_fetch(query);
        flow(check_query(query))
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        values::typed_numbers(query);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Self::Break> {
        flow(check_select(select))
    }

    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<Self::Break> {
        flow(unqualify(relation))
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Self::Break> {
        if let TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } = factor {
            unqualified(name);
        }
        flow(windows::normalise(factor).and_then(|()| check_table(factor)))
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        if let Expr::Exists { subquery, .. } = expr
            && let SetExpr::Select(select) = subquery.body.as_mut()
            && select.projection.is_empty()
        {
            select.projection.push(SelectItem::UnnamedExpr(literals::number(1)));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        flow(one_form(expr, self.dialect))
    }
}

/// Brings the name of a relation into one form.
fn unqualify(relation: &mut ObjectName) -> Result<(), SqlError> {
    let parts: Vec<Ident> = relation.0.iter().filter_map(|p| p.as_ident().cloned()).collect();
    let of_system = parts.iter().rev().nth(1).is_some_and(|schema| is_system(&schema.value));
    if parts.len() > 1 && !of_system {
        *relation = ObjectName::from(qualified(&parts).map_err(|e| located(e, relation.span()))?);
    }
    Ok(())
}

/// The schemas whose relations the session answers.
fn is_system(schema: &str) -> bool {
    schema.eq_ignore_ascii_case("pg_catalog") || schema.eq_ignore_ascii_case("information_schema")
}

fn refused(what: &str) -> SqlError {
    SqlError::new(SqlError::UNSUPPORTED, format!("{what} is not supported"))
}

/// `FETCH FIRST n ROWS ONLY` as `LIMIT n`.
fn limit_of_fetch(query: &mut Query) {
    let is_plain = query.fetch.as_ref().is_some_and(|fetch| !fetch.with_ties && !fetch.percent);
    let offset = match &mut query.limit_clause {
        None => None,
        Some(LimitClause::LimitOffset { limit: None, offset, limit_by }) if limit_by.is_empty() => offset.take(),
        Some(_) => return,
    };
    if let Some(fetch) = query.fetch.take_if(|_| is_plain) {
        let limit = Some(fetch.quantity.unwrap_or_else(|| literals::number(1)));
        query.limit_clause = Some(LimitClause::LimitOffset { limit, offset, limit_by: Vec::new() });
    } else if offset.is_some() {
        query.limit_clause = Some(LimitClause::LimitOffset { limit: None, offset, limit_by: Vec::new() });
    }
}

/// A statement that changes rows stands where a query should.
fn check_is_read(body: &SetExpr) -> Result<(), SqlError> {
    match body {
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
            let error = refused("a statement that changes rows, within another,");
            Err(located(error.with_hint("write it before the other, with RETURNING for what it changes"), body.span()))
        }
        SetExpr::SetOperation { left, right, .. } => check_is_read(left).and_then(|()| check_is_read(right)),
        _ => Ok(()),
    }
}

fn check_query(query: &Query) -> Result<(), SqlError> {
    check_is_read(&query.body)?;
    let found = [
        (!query.locks.is_empty(), "FOR UPDATE"),
        (query.for_clause.is_some(), "FOR XML, JSON or BROWSE"),
        (query.settings.is_some(), "SETTINGS"),
        (query.format_clause.is_some(), "FORMAT"),
        (!query.pipe_operators.is_empty(), "|>"),
    ];
    match found.iter().find(|(there, _)| *there) {
        Some((_, what)) => Err(located(refused(what), query.span())),
        None => Ok(()),
    }
}

fn check_select(select: &Select) -> Result<(), SqlError> {
    let found = [
        (select.top.is_some(), "TOP", Some("write LIMIT")),
        (select.into.is_some(), "SELECT INTO", Some("write INSERT INTO t SELECT …")),
        (!select.lateral_views.is_empty(), "LATERAL VIEW", None),
        (select.prewhere.is_some(), "PREWHERE", Some("write WHERE")),
        (!select.connect_by.is_empty(), "CONNECT BY", None),
        (!select.cluster_by.is_empty(), "CLUSTER BY", None),
        (!select.distribute_by.is_empty(), "DISTRIBUTE BY", None),
        (!select.sort_by.is_empty(), "SORT BY", Some("write ORDER BY")),
        (select.value_table_mode.is_some(), "SELECT AS STRUCT", Some("write SELECT ROW(…)")),
        (select.projection.is_empty(), "SELECT of no columns", Some("write SELECT COUNT(*), or name a column")),
        (select.exclude.is_some(), "EXCLUDE", Some("list the columns")),
        (select.select_modifiers.is_some(), "this modifier of SELECT", None),
    ];
    match found.iter().find(|(there, ..)| *there) {
        Some((_, what, hint)) => {
            let error = refused(what);
            Err(located(if let Some(h) = hint { error.with_hint(*h) } else { error }, select.span()))
        }
        None => Ok(()),
    }
}

fn check_table(factor: &TableFactor) -> Result<(), SqlError> {
    let span = factor.span();
    let what = match factor {
        TableFactor::Table { sample: Some(_), .. } | TableFactor::Derived { sample: Some(_), .. } => "TABLESAMPLE",
        TableFactor::Table { with_ordinality: true, .. } => "WITH ORDINALITY",
        TableFactor::Table { with_hints, .. } if !with_hints.is_empty() => "WITH after a table",
        TableFactor::Table { index_hints, .. } if !index_hints.is_empty() => "an index hint",
        TableFactor::Table { partitions, .. } if !partitions.is_empty() => "PARTITION after a table",
        TableFactor::JsonTable { .. } | TableFactor::OpenJsonTable { .. } => "JSON_TABLE",
        TableFactor::XmlTable { .. } => "XMLTABLE",
        TableFactor::MatchRecognize { .. } => "MATCH_RECOGNIZE",
        _ => return Ok(()),
    };
    Err(located(refused(what), span))
}

/// `t.list[1]`: the names in front are one, as without the index.
fn one_name(root: &mut Expr, access_chain: &mut Vec<AccessExpr>) {
    let Expr::Identifier(first) = root else { return };
    let behind = access_chain.iter().map_while(|access| match access {
        AccessExpr::Dot(Expr::Identifier(name)) => Some(name.clone()),
        _ => None,
    });
    let names: Vec<Ident> = std::iter::once(first.clone()).chain(behind).collect();
    if names.len() > 1 {
        access_chain.drain(..names.len() - 1);
        *root = Expr::CompoundIdentifier(names);
    }
}

/// `.field` behind an expression in brackets: the binder knows it as a text.
fn field_by_name(access: &mut AccessExpr) {
    if let AccessExpr::Dot(field) = access
        && let Expr::Identifier(name) = &*field
    {
        let value = Value::SingleQuotedString(name.value.clone());
        *field = Expr::Value(value.with_span(name.span));
    }
}

fn one_form(expr: &mut Expr, dialect: Dialect) -> Result<(), SqlError> {
    match expr {
        Expr::Interval(literal) => {
            let span = literal.value.span();
            match dialect == Dialect::Postgres && interval::is_bare(literal) {
                // Its text says all, as that of any other value does.
                true => *expr = literals::interval_of(literal.value.as_ref().clone()),
                false => interval::normalise(literal).map_err(|e| located(e, span))?,
            }
            Ok(())
        }
        Expr::Ceil { expr: value, field } => round_to("ceil_to", value, field).map(|made| {
            if let Some(made) = made {
                *expr = made
            }
        }),
        Expr::Floor { expr: value, field } => round_to("floor_to", value, field).map(|made| {
            if let Some(made) = made {
                *expr = made
            }
        }),
        Expr::TypedString(literal) => {
            with_precision(literal);
            Ok(())
        }
        Expr::Value(literal) => literals::one_form(literal).map(|made| {
            if let Some(made) = made {
                *expr = made
            }
        }),
        Expr::BinaryOp { op: BinaryOperator::Overlaps, .. } => clocks::overlaps(expr),
        Expr::BinaryOp { left, op: op @ (BinaryOperator::Arrow | BinaryOperator::LongArrow), right } => {
            let name = if *op == BinaryOperator::Arrow { "json_extract_path" } else { "json_extract_path_text" };
            let key = match string_of(right) {
                Some(_) => (**right).clone(),
                None => literals::text_of((**right).clone()),
            };
            *expr = call(Ident::with_span(left.span(), name), vec![(**left).clone(), key]);
            Ok(())
        }
        Expr::Identifier(_) => {
            clocks::word(expr);
            Ok(())
        }
        Expr::Collate { expr: inner, .. } => {
            // There is one order of texts.
            *expr = std::mem::replace(inner.as_mut(), Expr::Value(Value::Null.into()));
            Ok(())
        }
        Expr::Function(call) => {
            unqualified(&mut call.name);
            clocks::function(expr)?;
            match expr {
                Expr::Function(function) => unit_argument(function),
                _ => Ok(()),
            }
        }
        Expr::CompoundFieldAccess { root, access_chain } => {
            one_name(root, access_chain);
            access_chain.iter_mut().for_each(field_by_name);
            Ok(())
        }
        Expr::Like { pattern, escape_char, .. } => patterns::like(pattern, escape_char, dialect),
        Expr::SimilarTo { .. } => patterns::similar(expr),
        _ => Ok(()),
    }
}

fn round_to(name: &str, value: &mut Expr, field: &CeilFloorKind) -> Result<Option<Expr>, SqlError> {
    match field {
        CeilFloorKind::DateTimeField(sqlparser::ast::DateTimeField::NoDateTime) => Ok(None),
        CeilFloorKind::DateTimeField(unit) => {
            let value = std::mem::replace(value, Expr::Value(Value::Null.into()));
            let unit = literals::string(unit.to_string().to_uppercase());
            Ok(Some(call(Ident::with_span(value.span(), name), vec![unit, value])))
        }
        CeilFloorKind::Scale(_) => {
            let name = name.trim_end_matches("_to").to_uppercase();
            Err(located(refused(&format!("{name} with a scale")).with_hint("write ROUND(x, n)"), value.span()))
        }
    }
}

/// `TIMESTAMP '… .123'` is of type TIMESTAMP(3).
fn with_precision(literal: &mut TypedString) {
    let Value::SingleQuotedString(text) = &literal.value.value else { return };
    let fraction = text.rsplit_once('.').map_or("", |(_, f)| f);
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count().min(9) as u64;
    match &mut literal.data_type {
        DataType::Timestamp(precision @ None, TimezoneInfo::None)
        | DataType::Time(precision @ None, TimezoneInfo::None) => {
            *precision = Some(digits);
        }
        _ => {}
    }
}

/// `TIMESTAMPDIFF(SECOND, a, b)`: the unit as a string.
fn unit_argument(function: &mut Function) -> Result<(), SqlError> {
    let name = function.name.to_string().to_uppercase();
    if !matches!(name.as_str(), "TIMESTAMPDIFF" | "TIMESTAMPADD") {
        return Ok(());
    }
    let FunctionArguments::List(list) = &mut function.args else { return Ok(()) };
    let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(first))) = list.args.first_mut() else { return Ok(()) };
    let word = match &*first {
        Expr::Identifier(ident) => ident.value.to_uppercase(),
        other => string_of(other).map_or_else(|| other.to_string(), str::to_uppercase),
    };
    let unit = word.strip_prefix("SQL_TSI_").unwrap_or(&word);
    match UNITS.iter().find(|u| **u == unit || unit.strip_suffix('S') == Some(**u)) {
        Some(unit) => {
            *first = literals::string(*unit);
            Ok(())
        }
        None => {
            let error = SqlError::new(SqlError::INVALID, format!("{name}: {word} is no unit of time"))
                .with_hint("units are SECOND, MINUTE, HOUR, DAY, WEEK, MONTH, QUARTER and YEAR");
            Err(located(error, first.span()))
        }
    }
}

/// Takes `pg_catalog.` from the name of a function.
fn unqualified(name: &mut ObjectName) {
    if let [schema, _] = name.0.as_slice()
        && schema.as_ident().is_some_and(|schema| schema.value.eq_ignore_ascii_case("pg_catalog"))
    {
        name.0.remove(0);
    }
}
