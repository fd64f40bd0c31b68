//! Relations that the session answers: those of `pg_catalog` and `information_schema`, and the functions that go with them.

use super::visit;
use crate::SqlError;
use crate::parse::parse_query;
use crate::statement::Statement;
use eddyline_catalog::Dialect;
use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Join, JoinOperator, LimitClause,
    ObjectName, ObjectNamePart, Query, Select, SelectItem, SetExpr, TableAlias, TableFactor, TableWithJoins, Visit,
    Visitor, VisitorMut,
};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::rc::Rc;

/// A relation with its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemRelation {
    /// Names and SQL types of its columns.
    pub columns: Vec<(&'static str, &'static str)>,
    /// The rows, as texts that are cast to these types; `None`: NULL.
    pub rows: Vec<Vec<Option<String>>>,
}

/// A relation by its schema and its name, in lower case; `None`: there is none.
type Relations<'a> = dyn Fn(&str, &str) -> Option<SystemRelation> + 'a;

/// The statement with rows in the place of the relations that it reads of `pg_catalog`, where names that begin with `pg_` need not be qualified, and
/// of `information_schema`.
///
/// # Errors
/// A relation that there is not in these schemas.
pub fn with_relations(mut statement: Statement, relations: &Relations<'_>) -> Result<Statement, SqlError> {
    match visit(&mut statement, &mut System { relations, found: BTreeMap::new() }) {
        ControlFlow::Break(error) => Err(*error),
        ControlFlow::Continue(()) => Ok(statement),
    }
}

struct System<'a> {
    relations: &'a Relations<'a>,
    /// Those that were asked for, by schema and name.
    found: BTreeMap<(&'static str, String), Option<Rc<SystemRelation>>>,
}

impl VisitorMut for System<'_> {
    type Break = Box<SqlError>;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        if let SetExpr::Select(select) = query.body.as_mut()
            && self.is_empty(select)
        {
            query.order_by = None;
        }
        self.make_empty(&mut query.body);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Self::Break> {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) = item
                && let Expr::Function(call) = expr
                && let Some(answer) = answer(call)
            {
                *item = SelectItem::ExprWithAlias { expr: answer, alias: Ident::with_quote('`', function_name(call)) };
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        let Expr::Subquery(query) = &mut *expr else { return ControlFlow::Continue(()) };
        match self.rows_of(query) {
            None => {}
            Some(0) => *expr = expression("CAST(NULL AS STRING)").unwrap_or_else(|| expr.clone()),
            // Numbers of objects are looked up: there is one row, which nobody can know.
            Some(_) if query.limit_clause.is_none() => {
                let limit = expression("1");
                query.limit_clause = Some(LimitClause::LimitOffset { limit, offset: None, limit_by: Vec::new() });
            }
            Some(_) => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Self::Break> {
        let TableFactor::Table { name, alias, args: None, .. } = factor else { return ControlFlow::Continue(()) };
        let Some((schema, relation)) = of_system(name) else { return ControlFlow::Continue(()) };
        let Some(found) = self.relation((schema, relation.clone())) else {
            if name.0.len() == 1 {
                return ControlFlow::Continue(());
            }
            let message = format!("relation {schema}.{relation} does not exist");
            let error = SqlError::new(SqlError::UNDEFINED_TABLE, message)
                .with_hint("SHOW TABLES, SHOW VIEWS and DESCRIBE tell what there is");
            return ControlFlow::Break(Box::new(error));
        };
        let subquery = match query(&found) {
            Ok(query) => query,
            Err(error) => return ControlFlow::Break(Box::new(error)),
        };
        let own =
            || TableAlias { explicit: true, name: Ident::with_quote('`', &relation), columns: Vec::new(), at: None };
        let alias = Some(alias.take().unwrap_or_else(own));
        *factor = TableFactor::Derived { lateral: false, subquery, alias, sample: None };
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        if let Expr::Function(call) = expr
            && let Some(answer) = answer(call)
        {
            *expr = answer;
        }
        ControlFlow::Continue(())
    }
}

impl System<'_> {
    fn relation(&mut self, key: (&'static str, String)) -> Option<Rc<SystemRelation>> {
        let relations = self.relations;
        let found = self.found.entry(key);
        found.or_insert_with_key(|(schema, name)| relations(schema, name).map(Rc::new)).clone()
    }

    /// Does it read first of all a relation of the system that has no rows here?
    fn is_empty(&mut self, select: &Select) -> bool {
        let joins_none = |join: &Join| {
            matches!(
                join.join_operator,
                JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::Left(_) | JoinOperator::LeftOuter(_)
            )
        };
        let mut of_nothing = |from: &TableWithJoins| match &from.relation {
            TableFactor::Table { name, args: None, .. } => {
                let found = of_system(name).and_then(|key| self.relation(key));
                found.is_some_and(|relation| relation.rows.is_empty()) && from.joins.iter().all(joins_none)
            }
            _ => false,
        };
        // What `*` stands for is told by the relation itself.
        let is_star = |item: &SelectItem| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
        !has_total(select) && !select.projection.iter().any(is_star) && select.from.iter().any(&mut of_nothing)
    }

    /// What is asked of rows that there are not need not be understood: it has the names of its columns.
    fn make_empty(&mut self, body: &mut SetExpr) {
        match body {
            SetExpr::Select(select) if self.is_empty(select) => {
                let name = |item: &SelectItem| match item {
                    SelectItem::ExprWithAlias { alias, .. } => alias.value.clone(),
                    SelectItem::UnnamedExpr(Expr::Identifier(name)) => name.value.clone(),
                    SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => {
                        parts.last().map(|name| name.value.clone()).unwrap_or_default()
                    }
                    SelectItem::UnnamedExpr(Expr::Function(call)) => function_name(call),
                    _ => "?column?".to_owned(),
                };
                let quoted = |name: String| format!("CAST(NULL AS STRING) AS `{}`", name.replace('`', "``"));
                let items: Vec<String> = select.projection.iter().map(name).map(quoted).collect();
                let text = format!("SELECT {} FROM (VALUES (1)) AS nothing(x) WHERE x = 0", items.join(", "));
                if let Ok(query) = parse_query(&text, Dialect::Flink) {
                    *body = *query.body;
                }
            }
            SetExpr::SetOperation { left, right, .. } => {
                self.make_empty(left);
                self.make_empty(right);
            }
            _ => {}
        }
    }

    /// How many rows the relations have at most that a subquery joins, where all of them are of the system.
    fn rows_of(&mut self, query: &Query) -> Option<usize> {
        let SetExpr::Select(select) = query.body.as_ref() else { return None };
        // A total has a row, whatever it is of.
        if has_total(select) || select.from.is_empty() || select.from.iter().any(|from| !from.joins.is_empty()) {
            return None;
        }
        let rows = select.from.iter().map(|from| match &from.relation {
            TableFactor::Table { name, args: None, .. } => {
                let (schema, relation) = of_system(name)?;
                self.relation((schema, relation)).map(|relation| relation.rows.len())
            }
            _ => None,
        });
        rows.product()
    }
}

/// Does it show an aggregate, on its own or within an expression? Then it has a row without any to read, unless it groups them.
fn has_total(select: &Select) -> bool {
    /// How many subqueries are around; what they aggregate is theirs.
    struct Totals(usize);
    impl Visitor for Totals {
        type Break = ();

        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.0 += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.0 -= 1;
            ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Function(call) if self.0 == 0 && AGGREGATES.contains(&function_name(call).as_str()) => {
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    select.projection.visit(&mut Totals(0)).is_break()
}

/// Aggregates that are asked of catalogs.
const AGGREGATES: [&str; 12] = [
    "count",
    "sum",
    "min",
    "max",
    "avg",
    "array_agg",
    "string_agg",
    "bool_or",
    "bool_and",
    "every",
    "json_agg",
    "any_value",
];

/// The schema and the name of a relation, if it is one of the system.
fn of_system(name: &ObjectName) -> Option<(&'static str, String)> {
    let parts: Vec<String> =
        name.0.iter().filter_map(ObjectNamePart::as_ident).map(|part| part.value.to_lowercase()).collect();
    match parts.as_slice() {
        [relation] if relation.starts_with("pg_") => Some(("pg_catalog", relation.clone())),
        [.., schema, relation] if schema == "pg_catalog" => Some(("pg_catalog", relation.clone())),
        [.., schema, relation] if schema == "information_schema" => Some(("information_schema", relation.clone())),
        _ => None,
    }
}

/// The rows as a query.
fn query(relation: &SystemRelation) -> Result<Box<Query>, SqlError> {
    let name = |name: &str| format!("`{}`", name.replace('`', "``"));
    let cast = |(at, (column, of)): (usize, &(&str, &str))| match relation.rows.is_empty() {
        true => format!("CAST(NULL AS {of}) AS {}", name(column)),
        false => format!("CAST(`{at}` AS {of}) AS {}", name(column)),
    };
    let items: Vec<String> = relation.columns.iter().enumerate().map(cast).collect();
    let value = |value: &Option<String>| match value {
        Some(text) => format!("'{}'", text.replace('\'', "''")),
        None => "CAST(NULL AS STRING)".to_owned(),
    };
    let row = |row: &Vec<Option<String>>| format!("({})", row.iter().map(value).collect::<Vec<_>>().join(", "));
    let rows: Vec<String> = relation.rows.iter().map(row).collect();
    let numbers: Vec<String> = (0..relation.columns.len()).map(|at| format!("`{at}`")).collect();
    let text = match rows.is_empty() {
        true => format!("SELECT {} FROM (VALUES (1)) AS nothing(x) WHERE x = 0", items.join(", ")),
        false => {
            format!("SELECT {} FROM (VALUES {}) AS `rows`({})", items.join(", "), rows.join(", "), numbers.join(", "))
        }
    };
    parse_query(&text, Dialect::Flink)
}

fn function_name(call: &Function) -> String {
    call.name.0.last().and_then(ObjectNamePart::as_ident).map(|name| name.value.to_lowercase()).unwrap_or_default()
}

/// What a function of the catalog answers here, whatever it is asked of.
fn answer(call: &Function) -> Option<Expr> {
    let text = match function_name(call).as_str() {
        "pg_table_is_visible"
        | "pg_type_is_visible"
        | "pg_function_is_visible"
        | "has_table_privilege"
        | "has_schema_privilege"
        | "has_database_privilege" => "TRUE",
        "pg_get_userbyid" => "'root'",
        "pg_encoding_to_char" => "'UTF8'",
        "pg_size_pretty"
        | "pg_table_size"
        | "pg_relation_size"
        | "pg_total_relation_size"
        | "obj_description"
        | "col_description"
        | "shobj_description"
        | "pg_get_expr"
        | "pg_get_constraintdef"
        | "pg_get_indexdef" => "CAST(NULL AS STRING)",
        "format_type" => return format_type(call),
        _ => return None,
    };
    expression(text)
}

fn expression(text: &str) -> Option<Expr> {
    let query = parse_query(&format!("SELECT {text}"), Dialect::Flink).ok()?;
    let SetExpr::Select(select) = *query.body else { return None };
    match select.projection.into_iter().next()? {
        SelectItem::UnnamedExpr(expr) => Some(expr),
        _ => None,
    }
}

/// The types of Postgres that there are here: their numbers, their short names, and those of the standard.
pub const POSTGRES_TYPES: &[(u32, &str, &str)] = &[
    (16, "bool", "boolean"),
    (17, "bytea", "bytea"),
    (20, "int8", "bigint"),
    (21, "int2", "smallint"),
    (23, "int4", "integer"),
    (25, "text", "text"),
    (700, "float4", "real"),
    (701, "float8", "double precision"),
    (1082, "date", "date"),
    (1083, "time", "time without time zone"),
    (1114, "timestamp", "timestamp without time zone"),
    (1184, "timestamptz", "timestamp with time zone"),
    (1186, "interval", "interval"),
    (1700, "numeric", "numeric"),
    (2249, "record", "record"),
];

/// `format_type(oid, modifier)` as a CASE over the numbers.
fn format_type(call: &Function) -> Option<Expr> {
    let FunctionArguments::List(list) = &call.args else { return None };
    let FunctionArg::Unnamed(FunctionArgExpr::Expr(number)) = list.args.first()? else { return None };
    let whens: String = POSTGRES_TYPES.iter().map(|(oid, _, name)| format!(" WHEN {oid} THEN '{name}'")).collect();
    let mut made = expression(&format!("CASE 0{whens} ELSE 'text' END"))?;
    if let Expr::Case { operand: Some(operand), .. } = &mut made {
        **operand = number.clone();
    }
    Some(made)
}

/// Takes `pg_catalog.` from the name of a function.
pub(crate) fn unqualified(name: &mut ObjectName) {
    if let [schema, _] = name.0.as_slice()
        && schema.as_ident().is_some_and(|schema| schema.value.eq_ignore_ascii_case("pg_catalog"))
    {
        name.0.remove(0);
    }
}
