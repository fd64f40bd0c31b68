//! Casts that Postgres makes by itself where a value is written to a column.

use crate::parse::ast_type;
use crate::{SqlError, Target};
use arrow::datatypes::DataType;
use datafusion_common::DFSchema;
use eddyline_catalog::{Dialect, Table};
use sqlparser::ast::{CastKind, Expr, Ident, Query, SelectItem, SetExpr, TableFactor};
use std::borrow::Cow;

/// The query with its columns cast to those of the table that it is written to, where they have other types and can be: numbers to
/// narrower ones, texts to anything, anything to texts. `None`: nothing is to be cast.
///
/// # Errors
/// None for a query that was bound.
pub(crate) fn assigned(query: &Query, found: &DFSchema, target: &Target) -> Result<Option<Query>, SqlError> {
    let Target::Table { table, columns, .. } = target else { return Ok(None) };
    let wanted = wanted(table, columns);
    // Who gives too many or too few columns hears of it later.
    if wanted.len() != found.fields().len() {
        return Ok(None);
    }
    let name = |at: usize| Ident::with_quote('`', format!("column {at}"));
    let mut items = Vec::with_capacity(wanted.len());
    let mut casts = false;
    for (at, (field, wanted)) in found.fields().iter().zip(&wanted).enumerate() {
        let mut expr = Expr::Identifier(name(at));
        if let Some(wanted) = wanted
            && is_cast(field.data_type(), wanted)
        {
            casts = true;
            let data_type = ast_type(wanted);
            expr = Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, array: false, format: None };
        }
        items.push(SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('`', field.name()) });
    }
    if !casts {
        return Ok(None);
    }
    let names: Vec<String> = (0..wanted.len()).map(|at| name(at).to_string()).collect();
    let text = format!("SELECT 1 FROM (SELECT 1) AS `rows`({})", names.join(", "));
    let mut around = crate::parse::parse_query(&text, Dialect::Flink)?;
    if let SetExpr::Select(select) = around.body.as_mut()
        && let Some(TableFactor::Derived { subquery, .. }) = select.from.first_mut().map(|from| &mut from.relation)
    {
        select.projection = items;
        **subquery = query.clone();
        return Ok(Some(*around));
    }
    Err(SqlError::new(SqlError::INTERNAL, "a SELECT is none"))
}

/// Where a query has fewer columns than the table that it is written to, and the statement names none, they are the first ones, as in
/// Postgres: the others have their DEFAULT.
pub(crate) fn first_columns<'t>(found: &DFSchema, target: &'t Target) -> Cow<'t, Target> {
    let Target::Table { table, columns, conflict } = target else { return Cow::Borrowed(target) };
    let all = table.sink_schema();
    let given = found.fields().len();
    if !columns.is_empty() || given >= all.fields().len() {
        return Cow::Borrowed(target);
    }
    let columns = all.fields().iter().take(given).map(|field| field.name().clone()).collect();
    Cow::Owned(Target::Table { table: table.clone(), columns, conflict: *conflict })
}

/// The types of the columns that are written; `None`: there is no such column.
fn wanted(table: &Table, columns: &[String]) -> Vec<Option<DataType>> {
    let schema = table.sink_schema();
    if columns.is_empty() {
        return schema.fields().iter().map(|f| Some(f.data_type().clone())).collect();
    }
    columns.iter().map(|name| schema.field_with_name(name).ok().map(|f| f.data_type().clone())).collect()
}

fn is_cast(from: &DataType, to: &DataType) -> bool {
    let is_number = |t: &DataType| t.is_numeric();
    let is_text = |t: &DataType| *t == DataType::Utf8;
    let is_list = |t: &DataType| matches!(t, DataType::List(_));
    from != to
        && !from.is_null()
        && (!to.is_nested() || is_text(from) && is_list(to))
        && (is_number(from) && is_number(to)
            || is_text(from)
            || is_text(to) && !from.is_nested()
            || matches!(
                (from, to),
                (DataType::Timestamp(..) | DataType::Date32, DataType::Timestamp(..) | DataType::Date32)
            ))
}
