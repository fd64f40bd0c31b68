//! Rewrites of the syntax tree before binding: the older `GROUP BY TUMBLE(…)` windows become window table
//! functions (`group_window`), and expressions without a name get the names that the dialect gives them.

use super::group_window::{function_name, rewrite_group_window};
use super::postgres_syntax;
use super::result_names::{name_function_column, name_of};
use super::window_tvf::position_of;
use crate::SqlError;
use arrow::datatypes::DataType;
use eddyline_catalog::Dialect;
use sqlparser::ast::{
    CastKind, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, ObjectName,
    Query, Select, SelectItem, SetExpr, TableFactor, TableWithJoins, Value, VisitMut, VisitorMut,
};
use std::collections::HashSet;
use std::ops::ControlFlow;

/// Applies all rewrites to a query and everything inside it.
///
/// # Errors
/// A group window that cannot be rewritten, a hint that names what is not there.
pub(crate) fn rewrite(query: &Query, dialect: Dialect) -> Result<Query, SqlError> {
    struct Rewriter(Dialect);
    impl VisitorMut for Rewriter {
        type Break = Box<SqlError>;
        fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<Self::Break> {
            match check_names(&select.from)
                .and_then(|()| rewrite_group_window(select, self.0))
                .and_then(|()| super::state_ttl::wrap(select))
            {
                Ok(()) => {
                    rename_repeated(select);
                    ControlFlow::Continue(())
                }
                Err(e) => ControlFlow::Break(Box::new(e)),
            }
        }

        fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Self::Break> {
            if self.0 == Dialect::Postgres {
                // By what they are as they are written; a query around may call them by their names.
                name_items(select, self.0);
                select.projection.iter_mut().for_each(postgres_syntax::unnest_item);
            }
            ControlFlow::Continue(())
        }

        fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Self::Break> {
            if self.0 == Dialect::Postgres {
                name_function_column(factor);
            }
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
            name_right_sides(&mut query.body, self.0);
            ControlFlow::Continue(())
        }

        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
            super::aggregate_syntax::rewrite(expr);
            if self.0 == Dialect::Postgres {
                concat_without_nulls(expr);
                if let Err(error) = postgres_syntax::rewrite(expr) {
                    return ControlFlow::Break(Box::new(error));
                }
            }
            array_as_call(expr);
            ControlFlow::Continue(())
        }
    }
    let mut query = query.clone();
    match VisitMut::visit(&mut query, &mut Rewriter(dialect)) {
        ControlFlow::Break(e) => return Err(*e),
        ControlFlow::Continue(()) => {}
    }
    name_expressions(&mut query.body, dialect);
    Ok(query)
}

/// CONCAT leaves NULLs out in Postgres; Flink's is NULL then.
fn concat_without_nulls(expr: &mut Expr) {
    if let Expr::Function(function) = expr
        && function_name(function) == "CONCAT"
        && let FunctionArguments::List(list) = &mut function.args
    {
        for argument in &mut list.args {
            if let FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) = argument {
                let text = Expr::Cast {
                    kind: CastKind::Cast,
                    expr: Box::new(value.clone()),
                    data_type: crate::parse::ast_type(&DataType::Utf8),
                    array: false,
                    format: None,
                };
                let empty = Expr::Value(Value::SingleQuotedString(String::new()).into());
                *value = call("coalesce", vec![text, empty]);
            }
        }
    }
}

/// `ARRAY[a, 1]` as `make_array(a, 1)`: in the literal the binder does not see columns of the query around.
fn array_as_call(expr: &mut Expr) {
    if let Expr::Array(array) = expr
        && array.elem.iter().any(|e| !matches!(e, Expr::Value(_)))
    {
        *expr = call("make_array", std::mem::take(&mut array.elem));
    }
}

/// Names what a query shows and has no name.
fn name_expressions(body: &mut SetExpr, dialect: Dialect) {
    match body {
        SetExpr::Select(select) => name_items(select, dialect),
        SetExpr::SetOperation { left, right, .. } => {
            name_expressions(left, dialect);
            name_expressions(right, dialect);
        }
        SetExpr::Query(q) => name_expressions(&mut q.body, dialect),
        _ => {}
    }
}

/// In Flink, `SELECT a + 1` gives a column named `EXPR$0`: the position counts from 0.
fn name_items(select: &mut Select, dialect: Dialect) {
    let relations = relation_names(&select.from);
    for (at, item) in select.projection.iter_mut().enumerate() {
        let SelectItem::UnnamedExpr(e) = item else { continue };
        let name = match e {
            Expr::Identifier(_) => continue,
            Expr::CompoundIdentifier(parts) => match field_of_column(parts, &relations) {
                Some(field) => field.to_owned(),
                None => continue,
            },
            _ => name_of(dialect, at, e),
        };
        *item = SelectItem::ExprWithAlias { expr: e.clone(), alias: Ident::with_quote('`', name) };
    }
}

/// The field that `column.field` and `table.column.field` mean, which are no columns of their own.
fn field_of_column<'p>(parts: &'p [Ident], relations: &HashSet<String>) -> Option<&'p str> {
    let [first, .., last] = parts else { return None };
    let is_relation = |part: &Ident| relations.contains(&part.value);
    let columns_from = match parts {
        [schema, table, _, ..] if is_relation(schema) && is_relation(table) => 2,
        _ => usize::from(is_relation(first)),
    };
    (parts.len() > columns_from + 1).then_some(last.value.as_str())
}

/// The names that relations of a FROM have.
fn relation_names(from: &[TableWithJoins]) -> HashSet<String> {
    fn add(factor: &TableFactor, names: &mut HashSet<String>) {
        let (alias, name) = match factor {
            TableFactor::Table { name, alias, .. } | TableFactor::Function { name, alias, .. } => (alias, Some(name)),
            TableFactor::Derived { alias, .. }
            | TableFactor::TableFunction { alias, .. }
            | TableFactor::UNNEST { alias, .. } => (alias, None),
            TableFactor::NestedJoin { table_with_joins, alias } => {
                add_all(table_with_joins, names);
                (alias, None)
            }
            _ => return,
        };
        let parts = name.iter().flat_map(|name| &name.0).filter_map(|part| part.as_ident());
        names.extend(alias.iter().map(|alias| &alias.name).chain(parts).map(|name| name.value.clone()));
    }
    fn add_all(from: &TableWithJoins, names: &mut HashSet<String>) {
        add(&from.relation, names);
        from.joins.iter().for_each(|join| add(&join.relation, names));
    }
    let mut names = HashSet::new();
    from.iter().for_each(|from| add_all(from, &mut names));
    names
}

/// Refuses two tables of one name in a FROM; those of two schemas may have one.
fn check_names(from: &[TableWithJoins]) -> Result<(), SqlError> {
    let factors =
        from.iter().flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|j| &j.relation)));
    // The name, and the whole of it where it is the table's own.
    let mut known: Vec<(&Ident, Option<String>)> = Vec::new();
    for factor in factors {
        let named = match factor {
            TableFactor::Table { alias: Some(alias), .. }
            | TableFactor::Derived { alias: Some(alias), .. }
            | TableFactor::Function { alias: Some(alias), .. }
            | TableFactor::TableFunction { alias: Some(alias), .. }
            | TableFactor::UNNEST { alias: Some(alias), .. } => Some((&alias.name, None)),
            TableFactor::Table { name, alias: None, .. } => {
                let last = name.0.last().and_then(|part| part.as_ident());
                last.map(|last| (last, Some(name.to_string())))
            }
            _ => None,
        };
        let Some((name, whole)) = named else { continue };
        let is_same = |(other, of_other): &&(&Ident, Option<String>)| {
            other.value == name.value && (whole.is_none() || of_other.is_none() || whole == *of_other)
        };
        if known.iter().any(|other| is_same(&other)) {
            let error = SqlError::new("42712", format!("table name \"{}\" specified more than once", name.value))
                .with_hint("give one of them another name with AS");
            return Err(match position_of(name.span) {
                Some(place) => error.at(place),
                None => error,
            });
        }
        known.push((name, whole));
    }
    Ok(())
}

/// Names what has no name on the right of UNION, INTERSECT and EXCEPT. The binder would give it the name that the left side has at its
/// place, though a column beside it may have that name.
fn name_right_sides(body: &mut SetExpr, dialect: Dialect) {
    if let SetExpr::SetOperation { left, right, .. } = body {
        name_right_sides(left, dialect);
        name_expressions(right, dialect);
    }
}

/// `SELECT a, a` gives the columns `a` and `a0`.
fn rename_repeated(select: &mut Select) {
    let mut names: HashSet<String> = HashSet::new();
    for item in &mut select.projection {
        let (expr, name) = match item {
            SelectItem::UnnamedExpr(e @ Expr::Identifier(_))
            | SelectItem::UnnamedExpr(e @ Expr::CompoundIdentifier(_)) => {
                let name = match e {
                    Expr::Identifier(ident) => ident.value.clone(),
                    Expr::CompoundIdentifier(parts) => parts.last().map(|i| i.value.clone()).unwrap_or_default(),
                    _ => continue,
                };
                (e.clone(), name)
            }
            SelectItem::ExprWithAlias { expr, alias } => (expr.clone(), alias.value.clone()),
            _ => continue,
        };
        if names.insert(name.clone()) {
            continue;
        }
        let mut free = 0;
        while !names.insert(format!("{name}{free}")) {
            free += 1;
        }
        *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('`', format!("{name}{free}")) };
    }
}

pub(super) fn argument_list(arguments: Vec<Expr>) -> FunctionArguments {
    FunctionArguments::List(FunctionArgumentList {
        duplicate_treatment: None,
        args: arguments.into_iter().map(|e| FunctionArg::Unnamed(FunctionArgExpr::Expr(e))).collect(),
        clauses: vec![],
    })
}

pub(super) fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: argument_list(arguments),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    })
}
