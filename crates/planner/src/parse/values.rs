//! VALUES: whole numbers beside what is computed.

use super::types;
use arrow::datatypes::DataType;
use sqlparser::ast::{CastKind, Expr, Query, SetExpr, UnaryOperator, Value, Values, VisitMut, VisitorMut};
use std::ops::ControlFlow;

/// Whole numbers are INT where they fit. To the binder they are BIGINT at first, and it makes the rows of a column alike before that is
/// mended; so where other rows of a column are computed, its numbers say what they are.
pub(super) fn typed_numbers(query: &mut Query) {
    if let SetExpr::Values(values) = query.body.as_mut()
        && values.rows.len() > 1
    {
        for column in 0..values.rows.first().map_or(0, |row| row.len()) {
            if !cells(values, column).all(|cell| is_plain(cell)) {
                for cell in cells(values, column) {
                    let _: ControlFlow<()> = cell.visit(&mut Numbers);
                }
            }
        }
    }
}

fn cells(values: &mut Values, column: usize) -> impl Iterator<Item = &mut Expr> {
    values.rows.iter_mut().filter_map(move |row| row.get_mut(column))
}

/// A literal, with its sign.
fn is_plain(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) => true,
        Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } | Expr::Nested(expr) => is_plain(expr),
        _ => false,
    }
}

struct Numbers;

impl VisitorMut for Numbers {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let is_int = |value: &Value| matches!(value, Value::Number(text, _) if text.parse::<i32>().is_ok());
        if matches!(expr, Expr::Value(value) if is_int(&value.value)) {
            let (kind, data_type) = (CastKind::Cast, types::ast_type(&DataType::Int32));
            let number = Box::new(expr.clone());
            *expr = Expr::Cast { kind, expr: number, data_type, array: false, format: None };
        }
        ControlFlow::Continue(())
    }
}
