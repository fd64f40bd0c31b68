//! From the parser's tree to a plan: names, types, places of columns.

mod aggregates;
mod calls;
mod expr;
mod from;
mod names;
mod select;

use crate::plan::{Body, Expr, Named, NamedQuery, Order, Plan, Query, SetKind};
use crate::{Environment, Error, Type};
use names::{Scope, output_name};
pub(crate) use names::{folded, is_function_alone};
use sqlparser::ast::{
    Expr as Tree, LimitClause, OrderBy, OrderByExpr, OrderByKind, Query as QueryTree, SetExpr, SetOperator,
    SetQuantifier, Value as Literal,
};

/// Names and types of columns.
pub(crate) type Columns = Vec<(String, Type)>;

/// An expression and its type.
pub(crate) struct Typed {
    pub(crate) expr: Expr,
    pub(crate) of: Type,
}

/// A relation that WITH names.
#[derive(Clone)]
struct Known {
    name: String,
    columns: Columns,
    slot: usize,
    /// It changes from one step of a recursion to the next.
    changes: bool,
}

pub(crate) struct Binder<'a> {
    environment: &'a dyn Environment,
    parameters: Vec<Type>,
    /// Of the queries around, the innermost last.
    scopes: Vec<Scope>,
    known: Vec<Known>,
    slots: usize,
    /// The outermost scope that was referred to since somebody has looked.
    reached: usize,
}

/// Binds a whole statement.
pub(crate) fn plan(tree: &QueryTree, environment: &dyn Environment, types: &[Type]) -> Result<Plan, Error> {
    let mut binder = Binder {
        environment,
        parameters: types.to_vec(),
        scopes: Vec::new(),
        known: Vec::new(),
        slots: 0,
        reached: usize::MAX,
    };
    let (query, columns) = binder.query(tree)?;
    // Nobody has asked for another type: a text.
    let text = |of| if of == Type::Unknown { Type::Text } else { of };
    let columns = columns.into_iter().map(|(name, of)| (name, text(of))).collect();
    let parameters = binder.parameters.into_iter().map(text).collect();
    Ok(Plan { query, columns, parameters, slots: binder.slots })
}

impl Binder<'_> {
    fn slot(&mut self) -> usize {
        self.slots += 1;
        self.slots - 1
    }

    /// Binds a query in a scope of its own. Its rows are kept when they depend on nothing around it.
    fn subquery(&mut self, tree: &QueryTree) -> Result<(Query, Columns), Error> {
        let before = std::mem::replace(&mut self.reached, usize::MAX);
        let (mut query, columns) = self.query(tree)?;
        if self.reached >= self.scopes.len() {
            query.kept = Some(self.slot());
        }
        self.reached = self.reached.min(before);
        Ok((query, columns))
    }

    fn query(&mut self, tree: &QueryTree) -> Result<(Query, Columns), Error> {
        let known = self.known.len();
        let named = self.with(tree)?;
        let found = self.body(&tree.body, tree.order_by.as_ref());
        let (body, order, columns) = found?;
        self.known.truncate(known);
        let (mut limit, mut offset) = (None, None);
        if let Some(LimitClause::LimitOffset { limit: l, offset: o, .. }) = &tree.limit_clause {
            limit = l.as_ref().map(|l| self.count(l)).transpose()?;
            offset = o.as_ref().map(|o| self.count(&o.value)).transpose()?;
        }
        if let Some(quantity) = tree.fetch.as_ref().and_then(|fetch| fetch.quantity.as_ref()) {
            limit = Some(self.count(quantity)?);
        }
        Ok((Query { named, order, limit, offset, ..plain(body) }, columns))
    }

    fn count(&mut self, tree: &Tree) -> Result<Expr, Error> {
        let bound = self.expr(tree)?;
        self.coerced(bound, &Type::Int8)
    }

    fn with(&mut self, tree: &QueryTree) -> Result<Vec<Named>, Error> {
        let mut named = Vec::new();
        let Some(with) = &tree.with else { return Ok(named) };
        for cte in &with.cte_tables {
            let name = folded(&cte.alias.name);
            let slot = self.slot();
            let names: Vec<String> = cte.alias.columns.iter().map(|column| folded(&column.name)).collect();
            let recursive = match cte.query.body.as_ref() {
                SetExpr::SetOperation { left, op: SetOperator::Union, set_quantifier, right } if with.recursive => {
                    Some((left, right, *set_quantifier == SetQuantifier::All))
                }
                _ => None,
            };
            let (of, columns) = match recursive {
                None => {
                    let (query, columns) = self.query(&cte.query)?;
                    (NamedQuery::Plain(Box::new(query)), renamed(columns, &names))
                }
                Some((left, right, all)) => {
                    let (body, _, columns) = self.body(left, None)?;
                    let columns = renamed(columns, &names);
                    self.known.push(Known { name: name.clone(), columns: columns.clone(), slot, changes: true });
                    let step = self.body(right, None);
                    self.known.pop();
                    let (step, _, found) = step?;
                    if found.len() != columns.len() {
                        return Err(different_width());
                    }
                    (NamedQuery::Recursive { first: Box::new(plain(body)), step: Box::new(plain(step)), all }, columns)
                }
            };
            self.known.push(Known { name, columns, slot, changes: false });
            named.push(Named { slot, of });
        }
        Ok(named)
    }

    /// The body, the order of its result where it does not order its rows itself, and its columns.
    fn body(&mut self, tree: &SetExpr, order: Option<&OrderBy>) -> Result<(Body, Vec<Order>, Columns), Error> {
        match tree {
            SetExpr::Select(select) => {
                let (select, columns) = self.select(select, order_of(order)?)?;
                Ok((Body::Select(Box::new(select)), Vec::new(), columns))
            }
            SetExpr::Query(query) => {
                let (query, columns) = self.query(query)?;
                let order = self.output_order(order_of(order)?, &columns)?;
                // A query in brackets, which may have an order of its own.
                let all = Body::Set {
                    right: Box::new(plain(Body::Values(Vec::new()))),
                    left: Box::new(query),
                    of: SetKind::Union,
                    all: true,
                };
                Ok((all, order, columns))
            }
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                let (body, columns) = self.set_operation(left, *op, *set_quantifier, right)?;
                let order = self.output_order(order_of(order)?, &columns)?;
                Ok((body, order, columns))
            }
            SetExpr::Values(values) => {
                let rows: Vec<&[Tree]> = values.rows.iter().map(|row| row.content.as_slice()).collect();
                let (rows, columns) = self.values(&rows)?;
                let order = self.output_order(order_of(order)?, &columns)?;
                Ok((Body::Values(rows), order, columns))
            }
            _ => Err(Error::unsupported("a statement that changes something")),
        }
    }

    fn values(&mut self, rows: &[&[Tree]]) -> Result<(Vec<Vec<Expr>>, Columns), Error> {
        let width = rows.first().map_or(0, |row| row.len());
        let mut bound = Vec::with_capacity(rows.len());
        for row in rows {
            if row.len() != width {
                return Err(Error::new("42601", "VALUES lists must all be the same length"));
            }
            bound.push(row.iter().map(|value| self.expr(value)).collect::<Result<Vec<_>, _>>()?);
        }
        let mut types = Vec::with_capacity(width);
        for at in 0..width {
            types.push(self.common_type(bound.iter().map(|row| &row[at].of))?);
        }
        let row = |row: Vec<Typed>| {
            let cells = row.into_iter().zip(&types);
            cells.map(|(cell, of)| self.coerced(cell, of)).collect::<Result<Vec<_>, Error>>()
        };
        let rows = bound.into_iter().map(row).collect::<Result<Vec<_>, _>>()?;
        let columns = types.into_iter().enumerate().map(|(at, of)| (format!("column{}", at + 1), of)).collect();
        Ok((rows, columns))
    }

    fn set_operation(
        &mut self,
        left: &SetExpr,
        op: SetOperator,
        quantifier: SetQuantifier,
        right: &SetExpr,
    ) -> Result<(Body, Columns), Error> {
        let (a, a_order, a_columns) = self.body(left, None)?;
        let (b, b_order, b_columns) = self.body(right, None)?;
        if a_columns.len() != b_columns.len() {
            return Err(different_width());
        }
        let types = a_columns.iter().zip(&b_columns);
        let types: Vec<Type> = types.map(|(a, b)| self.common_type([&a.1, &b.1])).collect::<Result<_, _>>()?;
        let side = |body, order, columns: &Columns| {
            let casts = columns.iter().map(|(_, of)| of.clone()).zip(types.iter().cloned());
            Box::new(Query { order, casts: casts.collect(), ..plain(body) })
        };
        let (left, right) = (side(a, a_order, &a_columns), side(b, b_order, &b_columns));
        let of = match op {
            SetOperator::Union => SetKind::Union,
            SetOperator::Intersect => SetKind::Intersect,
            SetOperator::Except | SetOperator::Minus => SetKind::Except,
        };
        let all = quantifier == SetQuantifier::All;
        let columns = a_columns.into_iter().zip(types.iter().cloned()).map(|((name, _), of)| (name, of)).collect();
        Ok((Body::Set { left, right, of, all }, columns))
    }

    /// An order by columns of the result: by names, numbers, or expressions over them.
    fn output_order(&mut self, order: &[OrderByExpr], columns: &Columns) -> Result<Vec<Order>, Error> {
        if order.is_empty() {
            return Ok(Vec::new());
        }
        self.scopes.push(Scope::of(columns));
        let bound = order.iter().map(|by| {
            let expr = match position(&by.expr, columns.len())? {
                Some(at) => Expr::Column { up: 0, at },
                None => self.expr(&by.expr)?.expr,
            };
            Ok(ordered(expr, by))
        });
        let bound = bound.collect::<Result<Vec<_>, Error>>();
        self.scopes.pop();
        bound
    }
}

/// `ORDER BY 2`: from 0. `None`: no number.
fn position(tree: &Tree, width: usize) -> Result<Option<usize>, Error> {
    let Tree::Value(value) = tree else { return Ok(None) };
    let Literal::Number(number, _) = &value.value else { return Ok(None) };
    match number.parse::<usize>() {
        Ok(number) if (1..=width).contains(&number) => Ok(Some(number - 1)),
        _ => Err(Error::new("42P10", format!("ORDER BY position {number} is not in select list"))),
    }
}

fn ordered(by: Expr, tree: &OrderByExpr) -> Order {
    let descending = tree.options.asc == Some(false);
    Order { by, descending, nulls_first: tree.options.nulls_first.unwrap_or(descending) }
}

fn order_of(order: Option<&OrderBy>) -> Result<&[OrderByExpr], Error> {
    match order.map(|order| &order.kind) {
        None => Ok(&[]),
        Some(OrderByKind::Expressions(order)) => Ok(order),
        Some(OrderByKind::All(_)) => Err(Error::unsupported("ORDER BY ALL")),
    }
}

fn plain(body: Body) -> Query {
    Query { named: Vec::new(), body, order: Vec::new(), limit: None, offset: None, casts: Vec::new(), kept: None }
}

fn renamed(mut columns: Columns, names: &[String]) -> Columns {
    columns.iter_mut().zip(names).for_each(|((own, _), name)| own.clone_from(name));
    columns
}

fn different_width() -> Error {
    Error::new("42601", "each query of a set operation must have the same number of columns")
}
