//! USING and NATURAL in the syntax tree: what `*`, `t.*`, `t.k` and `k` mean above such a join.
//!
//! Every such join gets brackets of its own, which [`super::using_join`] plans: the common columns come out first, and
//! the name alone means them; the columns of the two sides that were merged are there under other names. So here
//! `t.k` becomes `t.<other name>` wherever that column was merged below, and `*` is written out without those columns. Which
//! columns there are is found by binding the FROM clause on its own.

use super::using_join::{common_columns, merged_name, own_name};
use datafusion_common::{DFSchema, DFSchemaRef};
use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{
    Cte, Expr, GroupByExpr, Ident, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableFactor,
    TableWithJoins, VisitMut, VisitorMut, WildcardAdditionalOptions, With,
};
use std::collections::HashSet;
use std::ops::ControlFlow;

/// Binds a query of which only the columns are wanted.
pub(super) type BindColumns<'a, E> = dyn Fn(Query) -> Result<DFSchemaRef, E> + 'a;

/// Rewrites all joins with USING and NATURAL in a query.
///
/// # Errors
/// What `bind` says of a FROM clause.
pub(super) fn rewrite<E>(query: &mut Query, bind: &BindColumns<'_, E>) -> Result<(), E> {
    if !has_common_columns(query) {
        return Ok(());
    }
    Rewriter { bind, ctes: Vec::new() }.query(query)
}

/// Is there any such join? Nothing else needs a second look.
fn has_common_columns(query: &mut Query) -> bool {
    struct Finder;
    impl VisitorMut for Finder {
        type Break = ();
        fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
            match select.from.iter().any(in_from) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        }
    }
    VisitMut::visit(query, &mut Finder).is_break()
}

fn in_from(from: &TableWithJoins) -> bool {
    let nested = |factor: &TableFactor| match factor {
        TableFactor::NestedJoin { table_with_joins, .. } => in_from(table_with_joins),
        _ => false,
    };
    nested(&from.relation)
        || from.joins.iter().any(|j| common_columns(&j.join_operator).is_some() || nested(&j.relation))
}

struct Rewriter<'a, E> {
    bind: &'a BindColumns<'a, E>,
    /// What WITH has defined around the query at hand, rewritten.
    ctes: Vec<Cte>,
}

/// Columns that were merged: table and name.
type Merged = HashSet<(String, String)>;

impl<E> Rewriter<'_, E> {
    fn query(&mut self, query: &mut Query) -> Result<(), E> {
        let known = self.ctes.len();
        let with = query.with.take();
        let with = match with {
            Some(mut with) => {
                for cte in &mut with.cte_tables {
                    if !with.recursive {
                        self.query(&mut cte.query)?;
                    }
                    self.ctes.push(cte.clone());
                }
                Some(with)
            }
            None => None,
        };
        self.inner_queries(query)?;
        let mut merged = Merged::new();
        self.body(&mut query.body, &mut merged)?;
        if let Some(order_by) = &mut query.order_by {
            rename(order_by, &merged);
        }
        query.with = with;
        self.ctes.truncate(known);
        Ok(())
    }

    /// All queries directly below this one.
    fn inner_queries(&mut self, query: &mut Query) -> Result<(), E> {
        struct Inner<'r, 'a, E> {
            rewriter: &'r mut Rewriter<'a, E>,
            depth: usize,
            out: Vec<Query>,
        }
        impl<E> VisitorMut for Inner<'_, '_, E> {
            type Break = E;
            fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<E> {
                self.depth += 1;
                if self.depth > 1 {
                    if let Err(e) = self.rewriter.query(query) {
                        return ControlFlow::Break(e);
                    }
                    // What is in it is done: the visitor must find nothing.
                    self.out.push(std::mem::replace(query, nothing()));
                }
                ControlFlow::Continue(())
            }
            fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<E> {
                self.depth -= 1;
                if let (true, Some(done)) = (self.depth > 0, self.out.pop()) {
                    *query = done;
                }
                ControlFlow::Continue(())
            }
        }
        let mut inner = Inner { rewriter: self, depth: 0, out: Vec::new() };
        match VisitMut::visit(query, &mut inner) {
            ControlFlow::Break(e) => Err(e),
            ControlFlow::Continue(()) => Ok(()),
        }
    }

    fn body(&mut self, body: &mut SetExpr, merged: &mut Merged) -> Result<(), E> {
        match body {
            SetExpr::Select(select) if select.from.iter().any(in_from) => self.select(select, merged),
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left, &mut Merged::new())?;
                self.body(right, &mut Merged::new())
            }
            _ => Ok(()),
        }
    }

    fn select(&mut self, select: &mut Select, merged: &mut Merged) -> Result<(), E> {
        for at in 0..select.from.len() {
            let mut from = std::mem::take(&mut select.from);
            let (before, rest) = from.split_at_mut(at);
            // LATERAL may refer to what stands before.
            rename(&mut rest[0], merged);
            let done = self.brackets(select, &mut rest[0], before, merged);
            select.from = from;
            done?;
        }
        let columns = self.columns(select, select.from.clone())?;
        merged.extend(merged_columns(&columns));
        let mut taken = HashSet::new();
        let items = std::mem::take(&mut select.projection);
        let written_out: Vec<SelectItem> = items.into_iter().flat_map(|item| written_out(item, &columns)).collect();
        select.projection = written_out.into_iter().map(|item| renamed_item(item, merged, &mut taken)).collect();
        let from = std::mem::take(&mut select.from);
        rename(select, merged);
        select.from = from;
        Ok(())
    }

    /// Brackets around every join with common columns and all that stands before it.
    fn brackets(
        &mut self,
        select: &Select,
        from: &mut TableWithJoins,
        before: &[TableWithJoins],
        merged: &mut Merged,
    ) -> Result<(), E> {
        self.nested(select, &mut from.relation, before, merged)?;
        for mut join in std::mem::take(&mut from.joins) {
            rename(&mut join, merged);
            self.nested(select, &mut join.relation, before, merged)?;
            let is_common = common_columns(&join.join_operator).is_some();
            from.joins.push(join);
            if is_common {
                let last = from.joins.pop();
                if !from.joins.is_empty() {
                    bracket(from);
                }
                from.joins.extend(last);
                bracket(from);
                let all = before.iter().chain([&*from]).cloned().collect();
                let columns = self.columns(select, all)?;
                merged.extend(merged_columns(&columns));
            }
        }
        Ok(())
    }

    fn nested(
        &mut self,
        select: &Select,
        factor: &mut TableFactor,
        before: &[TableWithJoins],
        merged: &mut Merged,
    ) -> Result<(), E> {
        let TableFactor::NestedJoin { table_with_joins, alias } = factor else { return Ok(()) };
        match alias {
            // What is named as a whole hides the tables in it.
            Some(_) => self.brackets(select, table_with_joins, before, &mut Merged::new())?,
            None => self.brackets(select, table_with_joins, before, merged)?,
        }
        // Brackets around what has brackets already.
        if let TableWithJoins { relation: TableFactor::NestedJoin { table_with_joins: inner, alias: None }, joins } =
            table_with_joins.as_mut()
            && joins.is_empty()
        {
            **table_with_joins = (**inner).clone();
        }
        Ok(())
    }

    /// The columns of a FROM clause.
    fn columns(&self, select: &Select, from: Vec<TableWithJoins>) -> Result<DFSchemaRef, E> {
        let all = SelectItem::Wildcard(WildcardAdditionalOptions::default());
        let select = Select {
            distinct: None,
            projection: vec![all],
            from,
            selection: None,
            group_by: GroupByExpr::Expressions(vec![], vec![]),
            having: None,
            named_window: vec![],
            qualify: None,
            ..select.clone()
        };
        let with_token = AttachedToken::empty();
        let with = With { with_token, recursive: false, cte_tables: self.ctes.clone() };
        let with = (!self.ctes.is_empty()).then_some(with);
        (self.bind)(Query { with, body: Box::new(SetExpr::Select(Box::new(select))), ..nothing() })
    }
}

fn bracket(from: &mut TableWithJoins) {
    let relation = TableFactor::NestedJoin { table_with_joins: Box::new(from.clone()), alias: None };
    *from = TableWithJoins { relation, joins: vec![] };
}

fn nothing() -> Query {
    Query {
        with: None,
        body: Box::new(SetExpr::Values(sqlparser::ast::Values {
            explicit_row: false,
            value_keyword: false,
            rows: vec![],
        })),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: vec![],
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: vec![],
    }
}

fn merged_columns(schema: &DFSchema) -> impl Iterator<Item = (String, String)> + '_ {
    schema
        .iter()
        .filter_map(|(qualifier, field)| Some((qualifier?.table().to_owned(), merged_name(field.name())?.to_owned())))
}

/// `*` and `t.*` as columns.
fn written_out(item: SelectItem, columns: &DFSchema) -> Vec<SelectItem> {
    let table = match &item {
        SelectItem::Wildcard(options) if *options == plain(options) => None,
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options)
            if *options == plain(options) =>
        {
            name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.clone())
        }
        _ => return vec![item],
    };
    let is_meant = |qualifier: Option<&str>, name: &str| match &table {
        None => merged_name(name).is_none(),
        Some(table) => qualifier == Some(table),
    };
    let column = |qualifier: Option<&str>, name: &str| {
        let name = Ident::with_quote('`', merged_name(name).unwrap_or(name));
        SelectItem::UnnamedExpr(match qualifier {
            Some(qualifier) => Expr::CompoundIdentifier(vec![Ident::with_quote('`', qualifier), name]),
            None => Expr::Identifier(name),
        })
    };
    let found: Vec<SelectItem> = columns
        .iter()
        .map(|(qualifier, field)| (qualifier.map(|q| q.table()), field.name().as_str()))
        .filter(|(qualifier, name)| is_meant(*qualifier, name))
        .map(|(qualifier, name)| column(qualifier, name))
        .collect();
    // A table that is not there: the binder says so.
    if found.is_empty() { vec![item] } else { found }
}

fn plain(options: &WildcardAdditionalOptions) -> WildcardAdditionalOptions {
    WildcardAdditionalOptions { wildcard_token: options.wildcard_token.clone(), ..Default::default() }
}

/// `t.k` keeps its name when it is read under another.
fn renamed_item(item: SelectItem, merged: &Merged, taken: &mut HashSet<String>) -> SelectItem {
    let name = match &item {
        SelectItem::UnnamedExpr(Expr::Identifier(ident)) => ident.value.clone(),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => {
            parts.last().map(|i| i.value.clone()).unwrap_or_default()
        }
        SelectItem::ExprWithAlias { alias, .. } => alias.value.clone(),
        _ => return item,
    };
    let is_merged = matches!(&item, SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts))
        if matches!(parts.as_slice(), [table, column] if merged.contains(&(table.value.clone(), column.value.clone()))));
    let is_new = taken.insert(name.clone());
    match item {
        SelectItem::UnnamedExpr(expr) if is_merged => {
            let mut alias = name.clone();
            let mut free = 0;
            while !is_new && !taken.insert(alias.clone()) {
                alias = format!("{name}{free}");
                free += 1;
            }
            SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('`', alias) }
        }
        other => other,
    }
}

/// `t.k` under the name that it has since it was merged, unless a subquery has a `t` of its own.
fn rename(part: &mut impl VisitMut, merged: &Merged) {
    struct Renamer<'m> {
        merged: &'m Merged,
        hidden: Vec<HashSet<String>>,
    }
    impl VisitorMut for Renamer<'_> {
        type Break = ();
        fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
            let mut tables = HashSet::new();
            tables_of(&query.body, &mut tables);
            self.hidden.push(tables);
            ControlFlow::Continue(())
        }
        fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
            self.hidden.pop();
            ControlFlow::Continue(())
        }
        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Expr::CompoundIdentifier(parts) = expr
                && let [table, column, ..] = parts.as_mut_slice()
                && self.merged.contains(&(table.value.clone(), column.value.clone()))
                && !self.hidden.iter().any(|h| h.contains(&table.value))
            {
                let span = column.span;
                *column = Ident { span, ..Ident::with_quote('`', own_name(&column.value)) };
            }
            ControlFlow::Continue(())
        }
    }
    if !merged.is_empty() {
        let _ = VisitMut::visit(part, &mut Renamer { merged, hidden: Vec::new() });
    }
}

/// The names of the tables in the FROM of a query.
fn tables_of(body: &SetExpr, tables: &mut HashSet<String>) {
    fn of(from: &TableWithJoins, tables: &mut HashSet<String>) {
        let mut factor = |f: &TableFactor| match f {
            TableFactor::Table { alias: None, name, .. } => {
                tables.extend(name.0.last().and_then(|p| p.as_ident()).map(|i| i.value.clone()));
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => of(table_with_joins, tables),
            TableFactor::Table { alias: Some(alias), .. }
            | TableFactor::Derived { alias: Some(alias), .. }
            | TableFactor::TableFunction { alias: Some(alias), .. }
            | TableFactor::UNNEST { alias: Some(alias), .. }
            | TableFactor::NestedJoin { alias: Some(alias), .. } => {
                tables.insert(alias.name.value.clone());
            }
            _ => {}
        };
        factor(&from.relation);
        from.joins.iter().for_each(|j| factor(&j.relation));
    }
    match body {
        SetExpr::Select(select) => select.from.iter().for_each(|f| of(f, tables)),
        SetExpr::SetOperation { left, right, .. } => {
            tables_of(left, tables);
            tables_of(right, tables);
        }
        _ => {}
    }
}
