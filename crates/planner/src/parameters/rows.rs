//! INSERT … VALUES that can be planned before the values of its parameters are known.

use super::{checked_number, number};
use crate::parse::ast_type;
use crate::statement::{Insert, column, rows_of};
use arrow::datatypes::DataType;
use eddyline_catalog::{Name, Reference};
use sqlparser::ast::{CastKind, Expr, Query, SetExpr, VisitMut, VisitorMut};
use std::ops::ControlFlow;

/// Rows of VALUES that are worth planning each by itself.
const ROWS_MAX: usize = 64;

/// The rows of `INSERT INTO … VALUES`, each a SELECT from a table `parameters` whose columns are the parameters: called [`parameter_column`], of
/// [`parameter_type`].
///
/// `None`: no VALUES, many rows, queries within them, parameters of types that are not written as one text.
pub fn rows_over_parameters(insert: &Insert, types: &[DataType], parameters: &Name) -> Option<Vec<Query>> {
    let Query { with: None, body, order_by: None, limit_clause: None, fetch: None, .. } = insert.query.as_ref() else {
        return None;
    };
    let SetExpr::Values(values) = body.as_ref() else { return None };
    if values.rows.len() > ROWS_MAX || types.iter().any(|of| parameter_type(of).is_none()) {
        return None;
    }
    let row = |row: &[Expr]| {
        let items = row.iter().map(|item| over_columns(item.clone(), types)).collect::<Option<Vec<_>>>()?;
        rows_of((&Reference::from(parameters), None), items.into_iter(), None).ok()
    };
    values.rows.iter().map(|items| row(items)).collect()
}

/// What the column of a parameter is called, the first being 1.
pub fn parameter_column(number: usize) -> String {
    format!("${number}")
}

/// The type of the column in which values of a parameter come: texts that are cast, bytes. `None`: it has none.
pub fn parameter_type(of: &DataType) -> Option<DataType> {
    match of {
        DataType::Binary => Some(DataType::Binary),
        // A number has the digits that it has: what it is computed with depends on them.
        DataType::Decimal128(..) => None,
        of if of.is_nested() => None,
        _ => Some(DataType::Utf8),
    }
}

fn over_columns(mut item: Expr, types: &[DataType]) -> Option<Expr> {
    match item.visit(&mut OverColumns { types }) {
        ControlFlow::Continue(()) => Some(item),
        ControlFlow::Break(()) => None,
    }
}

/// Puts columns into the places of parameters.
struct OverColumns<'a> {
    types: &'a [DataType],
}

impl VisitorMut for OverColumns<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        ControlFlow::Break(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Some(text) = number(expr) else { return ControlFlow::Continue(()) };
        let Some((number, of)) =
            checked_number(text).ok().and_then(|number| Some((number, self.types.get(number - 1)?)))
        else {
            return ControlFlow::Break(());
        };
        let given = column(&parameter_column(number));
        *expr = match parameter_type(of) {
            Some(as_it_is) if as_it_is == *of => given,
            _ => Expr::Cast {
                kind: CastKind::Cast,
                expr: Box::new(given),
                data_type: ast_type(of),
                array: false,
                format: None,
            },
        };
        ControlFlow::Continue(())
    }
}
