//! Queries that can be planned before the values of their parameters are known.

use super::{Found, Parameter, ParameterValue, number, visit, with_parameters};
use crate::statement::{Statement, StatementKind};
use arrow::datatypes::DataType;
use datafusion_common::ScalarValue;
use sqlparser::ast::{BinaryOperator, Expr, SetExpr};
use std::ops::ControlFlow;

/// A SELECT, UPDATE or DELETE with values of its parameters' types in their places that nobody will ever mean.
///
/// # Contract
/// Its parameters stand in its WHERE, which is nothing but `column = parameter` joined by AND, and in what an UPDATE sets, as `parameter` or
/// `column {+ | - | *} parameter`, each parameter once: so a plan of it is a plan for all values, if every stand-in is found in it once.
#[derive(Debug, Clone)]
pub struct StandIns {
    /// The statement.
    pub statement: Statement,
    /// What stands for each parameter.
    pub values: Vec<ScalarValue>,
}

/// The statement with stand-ins for its parameters, of these types; `None`: it is of another kind.
pub fn with_stand_ins(statement: &Statement, types: &[DataType]) -> Option<StandIns> {
    let mut found = Vec::new();
    let condition = match &statement.kind {
        StatementKind::Select(query) => match query.body.as_ref() {
            SetExpr::Select(select) => select.selection.as_ref(),
            _ if types.is_empty() => None,
            _ => return None,
        },
        StatementKind::Update(update) if !update.joins() => {
            update.values().try_for_each(|(_, value)| assigned(value, &mut found))?;
            update.condition()
        }
        StatementKind::Delete(delete) if !delete.joins() => delete.condition(),
        _ => return None,
    };
    if !types.is_empty() {
        if let Some(condition) = condition {
            equalities(condition, &mut found)?;
        }
        found.sort_unstable();
        // There are no others.
        if !found.iter().copied().eq(1..=types.len()) || occurrences(statement)? != types.len() {
            return None;
        }
    }
    let values: Vec<ScalarValue> =
        types.iter().enumerate().map(|(at, data_type)| stand_in(at, data_type)).collect::<Option<_>>()?;
    let parameter = |(value, data_type): (&ScalarValue, &DataType)| Parameter {
        data_type: data_type.clone(),
        value: ParameterValue::Text(value.to_string()),
    };
    let parameters: Vec<Parameter> = values.iter().zip(types).map(parameter).collect();
    Some(StandIns { statement: with_parameters(statement, &parameters).ok()?, values })
}

/// The numbers of the parameters in a condition of nothing but `column = parameter` joined by AND.
fn equalities(condition: &Expr, found: &mut Vec<usize>) -> Option<()> {
    match condition {
        Expr::Nested(inner) => equalities(inner, found),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            equalities(left, found)?;
            equalities(right, found)
        }
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
            let is_column = |e: &Expr| matches!(e, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
            let text = match (number(left), number(right)) {
                (None, Some(text)) if is_column(left) => text,
                (Some(text), None) if is_column(right) => text,
                _ => return None,
            };
            found.push(super::checked_number(text).ok()?);
            Some(())
        }
        _ => None,
    }
}

/// The number of the parameter in what an UPDATE gives a column; `None`: it is there in a way that a plan may not keep.
fn assigned(value: &Expr, found: &mut Vec<usize>) -> Option<()> {
    let is_column = |e: &Expr| matches!(e, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
    let text = match value {
        Expr::Nested(inner) => return assigned(inner, found),
        Expr::BinaryOp { left, op: BinaryOperator::Plus | BinaryOperator::Minus | BinaryOperator::Multiply, right } => {
            match (number(left), number(right)) {
                (None, Some(text)) if is_column(left) => Some(text),
                (Some(text), None) if is_column(right) => Some(text),
                // Those that are hidden deeper are counted, and not found here.
                _ => None,
            }
        }
        other => number(other),
    };
    if let Some(text) = text {
        found.push(super::checked_number(text).ok()?);
    }
    Some(())
}

/// How many parameters stand in a statement, each as often as it does.
fn occurrences(statement: &Statement) -> Option<usize> {
    let mut found = Found::default();
    match visit(&mut statement.clone(), &mut found) {
        ControlFlow::Continue(()) => Some(found.count),
        ControlFlow::Break(_) => None,
    }
}

/// What nobody will ever mean, for the parameter at a place.
fn stand_in(at: usize, data_type: &DataType) -> Option<ScalarValue> {
    Some(match data_type {
        DataType::Int32 => ScalarValue::Int32(Some(1_593_847_201 + i32::try_from(at).ok()?)),
        DataType::Int64 => ScalarValue::Int64(Some(7_301_946_155_823_971_003 + i64::try_from(at).ok()?)),
        DataType::Utf8 => ScalarValue::Utf8(Some(format!("\u{1}parameter {at}\u{2}"))),
        _ => return None,
    })
}
