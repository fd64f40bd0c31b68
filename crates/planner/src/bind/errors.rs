//! DataFusion's errors as ours: SQLSTATE, a short message, the nearest name, the place.

use super::window_tvf::position_of;
use crate::{SqlError, TextPosition};
use datafusion_common::{Column, DataFusionError, SchemaError};
use eddyline_catalog::edit_distance;
use eddyline_functions::scalar::FunctionError;
use sqlparser::ast::{Expr, Ident, ObjectName, Query, Spanned, Visit, Visitor};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// The error of binding `query`.
pub(crate) fn of_query(error: DataFusionError, query: &Query) -> SqlError {
    let mut found = of(error);
    if found.error.position.is_none()
        && let Some(place) = found.name.as_deref().and_then(|name| find(query, name))
    {
        found.error = found.error.at(place);
    }
    found.error
}

/// The error of binding or planning something without a place.
pub(crate) fn plain(error: DataFusionError) -> SqlError {
    of(error).error
}

/// An error, and the name it is about.
struct Found {
    error: SqlError,
    name: Option<String>,
}

fn of(error: DataFusionError) -> Found {
    let position = diagnostic_position(&error);
    let mut found = match error {
        DataFusionError::External(inner) => match inner.downcast::<SqlError>() {
            Ok(own) => {
                let word = match own.sqlstate {
                    SqlError::UNDEFINED_TABLE => own.message.split_whitespace().nth(3),
                    SqlError::UNDEFINED_SCHEMA => own.message.split_whitespace().nth(1),
                    _ => None,
                };
                let name = word.map(|name| name.rsplit('.').next().unwrap_or(name).to_owned());
                Found { error: *own, name }
            }
            Err(other) => match other.downcast::<FunctionError>() {
                Ok(of_value) => named(SqlError::new(of_value.sqlstate, of_value.message), None),
                Err(other) => named(SqlError::new(SqlError::INVALID, other.to_string()), None),
            },
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => of(*inner),
        DataFusionError::Collection(mut all) if !all.is_empty() => of(all.swap_remove(0)),
        DataFusionError::Shared(inner) => shared(&inner),
        DataFusionError::SchemaError(inner, _) => schema_error(*inner),
        DataFusionError::NotImplemented(message) => {
            named(SqlError::new(SqlError::UNSUPPORTED, first_line(&message)), None)
        }
        DataFusionError::Plan(message) => plan_error(&message),
        DataFusionError::ArrowError(e, _) => {
            let other = || SqlError::new(SqlError::of_value(&e).unwrap_or("22000"), e.to_string());
            named(SqlError::of_kernel(&e).unwrap_or_else(other), None)
        }
        DataFusionError::Execution(message) => function_error(&message).unwrap_or_else(|| {
            named(SqlError::new(SqlError::of_value_text(&message).unwrap_or("22000"), first_line(&message)), None)
        }),
        other => {
            let message = other.strip_backtrace();
            let text = message.strip_prefix("Internal error: ").unwrap_or(&message);
            function_error(text).unwrap_or_else(|| named(SqlError::new(SqlError::INVALID, first_line(text)), None))
        }
    };
    if let Some(position) = position {
        found.error = found.error.at(position);
    }
    found
}

fn shared(error: &DataFusionError) -> Found {
    match error {
        DataFusionError::Plan(message) => plan_error(message),
        other => named(SqlError::new(SqlError::INVALID, other.strip_backtrace()), None),
    }
}

fn named(error: SqlError, name: Option<&str>) -> Found {
    Found { error, name: name.map(str::to_owned) }
}

fn diagnostic_position(error: &DataFusionError) -> Option<TextPosition> {
    let start = error.diagnostic()?.span?.start;
    (start.line > 0).then_some(TextPosition { line: start.line as usize, column: start.column as usize })
}

fn schema_error(error: SchemaError) -> Found {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let relation = field.relation.as_ref().map(|r| r.table().to_owned());
            let name = field.name.clone();
            named(unknown_column(&name, relation.as_deref(), &valid_fields), Some(&name))
        }
        SchemaError::AmbiguousReference { field } => {
            let error = SqlError::new("42702", format!("column {} is ambiguous", field.name))
                .with_hint("write the table's name or alias before it");
            named(error, Some(&field.name.clone()))
        }
        SchemaError::DuplicateQualifiedField { qualifier, .. } => {
            let name = qualifier.table().to_owned();
            let error = SqlError::new("42712", format!("table name \"{name}\" specified more than once"))
                .with_hint("give one of them another name with AS");
            named(error, Some(&name))
        }
        other => named(SqlError::new("42701", other.to_string()), None),
    }
}

/// The error for a column that is not there.
pub(crate) fn unknown_column(name: &str, relation: Option<&str>, known: &[Column]) -> SqlError {
    let full = relation.map(|r| format!("{r}.{name}")).unwrap_or_else(|| name.to_owned());
    let error = SqlError::new(SqlError::UNDEFINED_COLUMN, format!("column {full} does not exist"));
    // Where the table is known, only its columns are meant.
    let of_table = |c: &&Column| relation.is_some_and(|r| c.relation.as_ref().is_some_and(|t| t.table() == r));
    let of_table: Vec<&Column> = known.iter().filter(of_table).collect();
    let candidates = if of_table.is_empty() { known.iter().collect() } else { of_table };
    let mut told = BTreeSet::new();
    let names = candidates.iter().map(|c| c.name.as_str()).filter(|n| !n.starts_with("__"));
    let names: Vec<&str> = names.filter(|name| told.insert(*name)).collect();
    if name.eq_ignore_ascii_case("pi") {
        return error.with_hint("the function is called with brackets: PI()");
    }
    match nearest(name, names.iter().copied()) {
        Some(nearest) if nearest.eq_ignore_ascii_case(name) => {
            error.with_hint(format!("did you mean {nearest}? Names are case-sensitive"))
        }
        Some(nearest) => error.with_hint(format!("did you mean {nearest}?")),
        None if known.is_empty() => error.with_hint("there is no table here to take it from"),
        None => error.with_hint(format!("columns are: {}", names.join(", "))),
    }
}

/// The name that is nearest to what was typed, if any is near.
fn nearest<'n>(typed: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    names
        .map(|n| (edit_distance(&n.to_lowercase(), &typed.to_lowercase()), n))
        .min()
        .filter(|(d, n)| *d <= 1 + n.len() / 4)
        .map(|(_, n)| n)
}

fn plan_error(message: &str) -> Found {
    let line = first_line(message);
    if let Some(name) = line.strip_prefix("Invalid function '").and_then(|r| r.split('\'').next()) {
        let error = SqlError::new(SqlError::UNDEFINED_FUNCTION, format!("function {name} does not exist"));
        let suggestion = message
            .split("Did you mean '")
            .nth(1)
            .and_then(|r| r.split('\'').next())
            .filter(|s| edit_distance(&s.to_lowercase(), &name.to_lowercase()) <= 1 + s.len() / 3);
        let error = match suggestion {
            Some(s) => error.with_hint(format!("did you mean {}?", s.to_uppercase())),
            None => error.with_hint("SHOW FUNCTIONS lists all functions"),
        };
        return named(error, Some(name));
    }
    if line.contains("unique expression names") {
        let name = line.split('"').nth(1).unwrap_or_default().rsplit('.').next().unwrap_or_default();
        let error = SqlError::new("42701", format!("the result has two columns named {name}"))
            .with_hint("give one of them another name with AS");
        return named(error, Some(name));
    }
    if line.contains("must appear in the GROUP BY clause") || line.contains("must be in GROUP BY") {
        let column = line.split("column \"").nth(1).and_then(|r| r.split('"').next()).unwrap_or("of the SELECT list");
        let error =
            SqlError::new("42803", format!("column {column} is neither in GROUP BY nor inside an aggregate function"))
                .with_hint("add it to GROUP BY, or take MIN or MAX of it");
        let name = column.rsplit('.').next();
        return named(error, name);
    }
    if let Some(found) = function_error(message) {
        return found;
    }
    let state = if line.contains("coerce") || line.contains("Cannot infer common") || line.contains("types") {
        SqlError::DATATYPE_MISMATCH
    } else {
        SqlError::INVALID
    };
    named(SqlError::new(state, line), None)
}

/// What is said of the arguments of a function, as an error of ours.
fn function_error(message: &str) -> Option<Found> {
    let line = first_line(message);
    if let Some(call) = line.split("function ").find(|rest| rest.contains("is not unique")) {
        let name = call.split('(').next();
        let call = call.split(" is not unique").next().unwrap_or_default();
        let error = SqlError::new("42725", format!("function {call} is not unique"))
            .with_hint("add casts to its arguments: $1::int, '2024-01-01'::timestamp");
        return Some(named(error, name));
    }
    let quoted = |word: &str| line.split(word).nth(1).and_then(|rest| rest.split('\'').next());
    let by_types =
        line.split("No function matches the given name and argument types '").nth(1).and_then(|r| r.split('(').next());
    let name = quoted("function '").or_else(|| quoted("Function '")).or(by_types)?;
    let is_about_arguments = ["coerc", "argument", "signature", "requires", "expects"].iter().any(|w| line.contains(w));
    if !is_about_arguments {
        return None;
    }
    // Of what several signatures say, the first is enough; what one of ours says is all.
    let said = line.split(" coercion failed with: ").last().unwrap_or(&line);
    let said = said.strip_prefix("Error during planning: ").unwrap_or(said);
    let said = said.split(". No function matches").next().unwrap_or(said);
    let said = match said.split_once("errors: Error during planning: ") {
        Some((_, first)) => first.split(",Error during planning").next().unwrap_or(first),
        None => said,
    };
    let error = SqlError::new(SqlError::UNDEFINED_FUNCTION, format!("function {name} does not take these arguments"))
        .with_detail(said);
    let candidates = message.split("Candidate functions:").nth(1).map(|c| c.split_whitespace().collect::<Vec<_>>());
    let error = match candidates.map(|c| c.join(" ")).filter(|c| !c.contains("UserDefined")) {
        Some(candidates) => error.with_hint(format!("it can be called as {candidates}")),
        None => error.with_hint("CAST makes other types of its arguments; SHOW FUNCTIONS lists all functions"),
    };
    Some(named(error, Some(name)))
}

/// The first line, with types as SQL spells them.
fn first_line(message: &str) -> String {
    let mut line = plain_line(message);
    for (arrow, sql) in TYPES {
        line = line.replace(arrow, sql);
    }
    line
}

/// Names of Arrow types in DataFusion's messages; longer ones first.
const TYPES: [(&str, &str); 14] = [
    ("Interval(MonthDayNano)", "INTERVAL"),
    ("Timestamp(ns)", "TIMESTAMP(9)"),
    ("Timestamp(µs)", "TIMESTAMP(6)"),
    ("Timestamp(ms)", "TIMESTAMP(3)"),
    ("Timestamp(s)", "TIMESTAMP(0)"),
    ("Decimal128", "DECIMAL"),
    ("Float64", "DOUBLE"),
    ("Float32", "FLOAT"),
    ("Int64", "BIGINT"),
    ("Int32", "INT"),
    ("Int16", "SMALLINT"),
    ("Int8", "TINYINT"),
    ("Utf8", "STRING"),
    ("Date32", "DATE"),
];

fn plain_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().trim_end_matches('.').to_owned()
}

/// Where a name stands in the query: a table, a function or a column; the first place.
pub(crate) fn find(query: &Query, name: &str) -> Option<TextPosition> {
    struct Finder<'n>(&'n str);
    impl Finder<'_> {
        fn check(&self, ident: &Ident) -> ControlFlow<TextPosition> {
            match position_of(ident.span) {
                Some(place) if ident.value.eq_ignore_ascii_case(self.0) => ControlFlow::Break(place),
                _ => ControlFlow::Continue(()),
            }
        }
        fn check_name(&self, name: &ObjectName) -> ControlFlow<TextPosition> {
            match name.0.last().and_then(|p| p.as_ident()) {
                Some(ident) => self.check(ident),
                None => ControlFlow::Continue(()),
            }
        }
    }
    impl Visitor for Finder<'_> {
        type Break = TextPosition;
        fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<TextPosition> {
            // It may be the schema that is not there.
            relation.0.iter().filter_map(|part| part.as_ident()).try_for_each(|ident| self.check(ident))
        }
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<TextPosition> {
            match expr {
                Expr::Identifier(ident) => self.check(ident),
                Expr::CompoundIdentifier(parts) => match parts.last() {
                    Some(last) if last.value.eq_ignore_ascii_case(self.0) => match position_of(expr.span()) {
                        Some(place) => ControlFlow::Break(place),
                        None => ControlFlow::Continue(()),
                    },
                    _ => ControlFlow::Continue(()),
                },
                Expr::Function(f) => self.check_name(&f.name),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    match query.visit(&mut Finder(name)) {
        ControlFlow::Break(place) => Some(place),
        ControlFlow::Continue(()) => None,
    }
}
