//! The names of result columns that have none of their own.

use eddyline_catalog::Dialect;
use sqlparser::ast::{
    AccessExpr, DataType, Expr, Ident, ObjectName, Query, Select, SelectItem, SetExpr, TableAlias, TableAliasColumnDef,
    TableFactor, Value,
};

/// The name of the expression at position `at` of a SELECT, which is no column. In Flink it is `EXPR$0`; in Postgres it comes from what the
/// expression is.
pub(crate) fn name_of(dialect: Dialect, at: usize, expr: &Expr) -> String {
    match dialect {
        Dialect::Flink => field_name(expr).map_or_else(|| format!("EXPR${at}"), str::to_owned),
        Dialect::Postgres => figured(expr).map_or_else(|| "?column?".to_owned(), |figured| figured.name),
    }
}

/// The field that `(row).field` means, whether it was normalised or not.
fn field_name(expr: &Expr) -> Option<&str> {
    let Expr::CompoundFieldAccess { access_chain, .. } = expr else { return None };
    match access_chain.last()? {
        AccessExpr::Dot(Expr::Identifier(name)) => Some(&name.value),
        AccessExpr::Dot(Expr::Value(value)) => match &value.value {
            Value::SingleQuotedString(name) => Some(name),
            _ => None,
        },
        _ => None,
    }
}

/// A name that an expression has by what it is.
struct Figured {
    name: String,
    /// It is only that of a type or of CASE: one from further inside is better.
    is_weak: bool,
}

fn strong(name: impl Into<String>) -> Option<Figured> {
    Some(Figured { name: name.into(), is_weak: false })
}

fn weak(name: impl Into<String>) -> Option<Figured> {
    Some(Figured { name: name.into(), is_weak: true })
}

fn figured(expr: &Expr) -> Option<Figured> {
    match expr {
        Expr::Identifier(name) => strong(&name.value),
        Expr::CompoundIdentifier(parts) => strong(&parts.last()?.value),
        Expr::Function(call) => match last_part(&call.name) {
            // What stands for `->` and `->>`.
            name if name.starts_with("json_extract_path") => None,
            // What stands for casts.
            name if name == "json_in" => weak("json"),
            name => strong(name),
        },
        Expr::Nested(inner) => figured(inner),
        Expr::CompoundFieldAccess { root, .. } => match field_name(expr) {
            Some(field) => strong(field),
            None => figured(root),
        },
        Expr::Cast { expr, data_type, .. } => match figured(expr) {
            Some(inner) if !inner.is_weak => Some(inner),
            _ => weak(type_name(data_type)),
        },
        Expr::Case { else_result, .. } => match else_result.as_deref().and_then(figured) {
            Some(inner) if !inner.is_weak => Some(inner),
            _ => weak("case"),
        },
        Expr::TypedString(literal) => weak(type_name(&literal.data_type)),
        Expr::Interval(_) => weak("interval"),
        Expr::Extract { .. } => strong("extract"),
        Expr::Ceil { .. } => strong("ceil"),
        Expr::Floor { .. } => strong("floor"),
        Expr::Position { .. } => strong("position"),
        Expr::Substring { .. } => strong("substring"),
        Expr::Overlay { .. } => strong("overlay"),
        Expr::Trim { .. } => strong("btrim"),
        Expr::AtTimeZone { .. } => strong("timezone"),
        Expr::Exists { .. } => strong("exists"),
        Expr::Subquery(query) => of_query(query),
        Expr::Array(_) => strong("array"),
        Expr::Tuple(_) => strong("row"),
        _ => None,
    }
}

/// A scalar subquery has the name of its column.
fn of_query(query: &Query) -> Option<Figured> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let Select { projection, .. } = select.as_ref();
    match projection.as_slice() {
        [SelectItem::UnnamedExpr(expr)] => figured(expr),
        [SelectItem::ExprWithAlias { alias, .. }] => strong(&alias.value),
        _ => None,
    }
}

fn last_part(name: &ObjectName) -> String {
    let ident = name.0.last().and_then(|part| part.as_ident());
    ident.map_or_else(|| name.to_string(), |ident| ident.value.to_lowercase())
}

/// The name by which Postgres knows a type.
fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean | DataType::Bool => "bool",
        DataType::TinyInt(_) | DataType::SmallInt(_) => "int2",
        DataType::Int(_) | DataType::Integer(_) => "int4",
        DataType::BigInt(_) => "int8",
        DataType::Float(_) | DataType::Real => "float4",
        DataType::Double(_) | DataType::DoublePrecision => "float8",
        DataType::Decimal(_) | DataType::Dec(_) | DataType::Numeric(_) => "numeric",
        DataType::Bytes(_) | DataType::Binary(_) | DataType::Varbinary(_) => "bytea",
        DataType::Date => "date",
        DataType::Time(..) => "time",
        DataType::Timestamp(..) => "timestamp",
        DataType::Custom(..) => "timestamptz",
        DataType::Interval { .. } => "interval",
        DataType::Array(_) => "array",
        DataType::JSONB => "jsonb",
        DataType::Struct(..) => "row",
        _ => "text",
    }
    .to_owned()
}

/// In Postgres, the columns of functions in FROM have names: the one of `generate_series(1, 3) AS g` and `unnest(ARRAY[1]) AS g` is called `g`, and without the alias as the function is.
pub(super) fn name_function_column(factor: &mut TableFactor) {
    let (function, alias) = match factor {
        TableFactor::Table { name, alias, args: Some(_), .. } | TableFactor::Function { name, alias, .. } => {
            (last_part(name), alias)
        }
        TableFactor::UNNEST { array_exprs, alias, .. } if let [Expr::Function(call)] = array_exprs.as_slice() => {
            (last_part(&call.name), alias)
        }
        // What else is unnested may have several columns.
        TableFactor::UNNEST { array_exprs, alias, .. } if matches!(array_exprs.as_slice(), [Expr::Array(_)]) => {
            ("unnest".to_owned(), alias)
        }
        _ => return,
    };
    let columns: &[&str] = match function.as_str() {
        "generate_series" | "unnest" => &[],
        "regexp_split_to_array" | "string_to_array" | "jsonb_keys_array" => &[],
        "jsonb_elements_array" | "jsonb_elements_text_array" => &["value"],
        "jsonb_each_map" | "jsonb_each_text_map" => &["key", "value"],
        _ => return,
    };
    let alias = alias.get_or_insert_with(|| TableAlias {
        explicit: true,
        name: Ident::with_quote('`', function),
        columns: Vec::new(),
        at: None,
    });
    if alias.columns.is_empty() {
        let names = match columns {
            [] => vec![alias.name.clone()],
            columns => columns.iter().map(|column| Ident::with_quote('`', *column)).collect(),
        };
        alias.columns.extend(names.into_iter().map(|name| TableAliasColumnDef { name, data_type: None }));
    }
}

/// The names under which Postgres shows the columns of a query, whose result has these `names`, each once.
pub(crate) fn shown_names(query: &Query, mut names: Vec<String>) -> Vec<String> {
    fn items(body: &SetExpr) -> Option<&[SelectItem]> {
        match body {
            SetExpr::Select(select) => Some(&select.projection),
            SetExpr::Query(query) => items(&query.body),
            SetExpr::SetOperation { left, .. } => items(left),
            _ => None,
        }
    }
    let Some(items) = items(&query.body) else { return names };
    let name = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) => Some(name_of(Dialect::Postgres, 0, expr)),
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
        _ => None,
    };
    // How many columns `*` stands for is not known: from both ends up to it.
    let known = items.iter().map(name);
    let end = names.len();
    for (at, name) in known.clone().enumerate().map_while(|(at, name)| Some((at, name?))).take(end) {
        names[at] = name;
    }
    for (back, name) in known.rev().enumerate().map_while(|(back, name)| Some((back, name?))).take(end) {
        names[end - 1 - back] = name;
    }
    names
}
