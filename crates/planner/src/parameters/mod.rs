//! Parameters of prepared statements: `$1`, `$2`, …
//!
//! A statement with values is the same statement with typed literals in their places ([`with_parameters`]), so that nothing behind
//! the parser knows of parameters. Which types they have, when the client does not say, follows from what stands beside them
//! ([`parameter_types`]): the column that a value is written to or compared with, a CAST, LIMIT; else they are texts.
//!
//! Not here: how values come from a client.

mod constants;
mod infer;
mod rows;
mod stand_ins;
#[cfg(test)]
mod tests;

use crate::SqlError;
use crate::parse::ast_type;
use crate::statement::{Statement, StatementKind};
use arrow::datatypes::DataType;
pub use constants::with_constants;
use eddyline_catalog::{Catalog, SearchPath};
use infer::Inference;
pub use rows::{parameter_column, parameter_type, rows_over_parameters};
use sqlparser::ast::{Array, CastKind, Expr, LimitClause, Offset, Query, UnaryOperator, Value, VisitMut, VisitorMut};
use sqlparser::tokenizer::Span;
pub use stand_ins::{StandIns, with_stand_ins};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// Parameters that a statement may have, as the Postgres protocol counts them.
const PARAMETERS_MAX: usize = 65_535;

/// A value for a parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its type.
    pub data_type: DataType,
    /// The value.
    pub value: ParameterValue,
}

/// A value, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterValue {
    /// NULL.
    Null,
    /// A text that can be cast to the type.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// The items of an array.
    List(Vec<ParameterValue>),
}

impl Parameter {
    /// NULL of a type.
    pub fn null(data_type: DataType) -> Self {
        Self { data_type, value: ParameterValue::Null }
    }
}

/// The types of a statement's parameters; `given` are those that the client has said.
///
/// # Errors
/// Parameters where there can be none; a number that is none.
pub fn parameter_types(
    statement: &Statement,
    catalog: &Catalog,
    path: &SearchPath,
    given: &[Option<DataType>],
) -> Result<Vec<DataType>, SqlError> {
    let mut statement = statement.clone();
    let mut found = Found::default();
    let looked = visit(&mut statement, &mut found);
    if let ControlFlow::Break(error) = looked {
        return Err(*error);
    }
    let count = found.numbers.last().copied().unwrap_or_default().max(given.len());
    if count == 0 {
        return Ok(Vec::new());
    }
    let mut inference = Inference::new(catalog, path, count);
    inference.look_at(&mut statement);
    let of = |at: usize| given.get(at).cloned().flatten().or_else(|| inference.types[at].clone());
    Ok((0..count).map(|at| of(at).unwrap_or(DataType::Utf8)).collect())
}

/// The statement with values in the place of its parameters.
///
/// # Errors
/// A parameter without a value.
pub fn with_parameters(statement: &Statement, values: &[Parameter]) -> Result<Statement, SqlError> {
    let mut statement = statement.clone();
    match visit(&mut statement, &mut Replacement { values }) {
        ControlFlow::Continue(()) => Ok(statement),
        ControlFlow::Break(error) => Err(*error),
    }
}

/// Goes through all expressions of a statement.
fn visit<V: VisitorMut>(statement: &mut Statement, visitor: &mut V) -> ControlFlow<V::Break> {
    if let Some(returning) = statement.kind.returning_mut() {
        returning.visit(visitor)?;
    }
    match &mut statement.kind {
        StatementKind::Select(query) => query.visit(visitor),
        StatementKind::Insert(insert) => {
            insert.query.visit(visitor)?;
            let mut assigned = insert.update.iter_mut().flat_map(|update| update.expressions_mut());
            assigned.try_for_each(|e| e.visit(visitor))
        }
        StatementKind::Update(update) => {
            update.queries_mut().map_or(ControlFlow::Continue(()), |with| with.visit(visitor))?;
            update.others_mut().visit(visitor)?;
            update.expressions_mut().try_for_each(|e| e.visit(visitor))
        }
        StatementKind::Delete(delete) => {
            delete.queries_mut().map_or(ControlFlow::Continue(()), |with| with.visit(visitor))?;
            delete.others_mut().visit(visitor)?;
            delete.expressions_mut().try_for_each(|e| e.visit(visitor))
        }
        StatementKind::CreateTable { query: Some(query), .. }
        | StatementKind::CreateView { query, .. }
        | StatementKind::CreateMaterializedView { query, .. }
        | StatementKind::CreateSink { query, .. } => query.visit(visitor),
        StatementKind::Explain { statement, .. } => visit(statement, visitor),
        _ => ControlFlow::Continue(()),
    }
}

/// The number of a parameter, from 1.
fn number(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Placeholder(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

fn checked_number(text: &str) -> Result<usize, SqlError> {
    let number = text.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok());
    number.filter(|n| (1..=PARAMETERS_MAX).contains(n)).ok_or_else(|| {
        SqlError::new(SqlError::SYNTAX, format!("{text} is no parameter"))
            .with_hint("parameters of a prepared statement are $1, $2, …")
    })
}

/// Which parameters there are.
#[derive(Default)]
struct Found {
    numbers: BTreeSet<usize>,
    /// How often they stand there.
    count: usize,
}

impl VisitorMut for Found {
    type Break = Box<SqlError>;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        match number(expr).map(checked_number) {
            Some(Ok(number)) => {
                self.numbers.insert(number);
                self.count += 1;
            }
            Some(Err(error)) => return ControlFlow::Break(Box::new(error)),
            None => {}
        }
        ControlFlow::Continue(())
    }
}

struct Replacement<'a> {
    values: &'a [Parameter],
}

impl Replacement<'_> {
    fn value(&self, text: &str) -> Result<&Parameter, Box<SqlError>> {
        let number = checked_number(text)?;
        self.values.get(number - 1).ok_or_else(|| {
            Box::new(
                SqlError::new("42P02", format!("there is no parameter {text}"))
                    .with_hint("parameters belong to prepared statements; give it a value there"),
            )
        })
    }

    /// LIMIT and OFFSET are numbers, and not computed. NULL is none, as in Postgres. Returns whether there is one.
    fn limit(&self, expr: &mut Expr) -> Result<bool, Box<SqlError>> {
        let Some(parameter) = number(expr).map(|text| self.value(text)).transpose()? else { return Ok(true) };
        let ParameterValue::Text(value) = &parameter.value else { return Ok(false) };
        *expr = numeral(value);
        Ok(true)
    }

    fn limits(&self, limit: &mut Option<Expr>, offset: &mut Option<Offset>) -> Result<(), Box<SqlError>> {
        if let Some(expr) = limit
            && !self.limit(expr)?
        {
            *limit = None;
        }
        if let Some(Offset { value, .. }) = offset
            && !self.limit(value)?
        {
            *offset = None;
        }
        Ok(())
    }
}

impl VisitorMut for Replacement<'_> {
    type Break = Box<SqlError>;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        let replaced = match &mut query.limit_clause {
            Some(LimitClause::LimitOffset { limit, offset, .. }) => self.limits(limit, offset),
            _ => Ok(()),
        };
        // A clause that says nothing is none.
        if matches!(&query.limit_clause, Some(LimitClause::LimitOffset { limit: None, offset: None, limit_by }) if limit_by.is_empty())
        {
            query.limit_clause = None;
        }
        match replaced {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        let Some(text) = number(expr) else { return ControlFlow::Continue(()) };
        match self.value(text) {
            Ok(parameter) => *expr = literal(parameter),
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

fn value(value: Value) -> Expr {
    Expr::Value(value.with_span(Span::empty()))
}

/// A number, whose sign is an operator.
fn numeral(text: &str) -> Expr {
    match text.strip_prefix('-') {
        Some(rest) => {
            let expr = Box::new(value(Value::Number(rest.to_owned(), false)));
            Expr::Nested(Box::new(Expr::UnaryOp { op: UnaryOperator::Minus, expr }))
        }
        None => value(Value::Number(text.to_owned(), false)),
    }
}

/// The literal that says the same.
fn literal(parameter: &Parameter) -> Expr {
    literal_of(&parameter.value, &parameter.data_type)
}

fn literal_of(given: &ParameterValue, data_type: &DataType) -> Expr {
    let cast = |expr: Expr| Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(expr),
        data_type: ast_type(data_type),
        array: false,
        format: None,
    };
    match (given, data_type) {
        (ParameterValue::Null, _) => cast(value(Value::Null)),
        (ParameterValue::Bytes(bytes), _) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            value(Value::HexStringLiteral(digits))
        }
        (ParameterValue::Text(text), DataType::Utf8) => value(Value::SingleQuotedString(text.clone())),
        // A number has the digits that it has, whatever it is compared with.
        (ParameterValue::Text(text), DataType::Decimal128(..)) => numeral(text),
        (ParameterValue::Text(text), _) => cast(value(Value::SingleQuotedString(text.clone()))),
        (ParameterValue::List(items), DataType::List(item)) => {
            let elem = items.iter().map(|given| literal_of(given, item.data_type())).collect();
            cast(Expr::Array(Array { elem, named: true }))
        }
        (ParameterValue::List(_), _) => cast(value(Value::Null)),
    }
}
