//! SELECT: what it reads, groups, computes and orders.

use super::names::{Allows, Scope};
use super::{Binder, Columns, Typed, folded, ordered, output_name, position};
use crate::plan::{Distinct, Expr, Groups, JoinKind, Order, Select, Step};
use crate::{Error, Type};
use sqlparser::ast::{
    BinaryOperator, Distinct as DistinctTree, Expr as Tree, GroupByExpr, OrderByExpr, Select as SelectTree, SelectItem,
    SelectItemQualifiedWildcardKind,
};

impl Binder<'_> {
    /// A SELECT with the order of its rows.
    pub(super) fn select(&mut self, tree: &SelectTree, order: &[OrderByExpr]) -> Result<(Select, Columns), Error> {
        refuse(tree)?;
        self.scopes.push(Scope::default());
        let bound = self.select_in_scope(tree, order);
        self.scopes.pop();
        bound
    }

    fn select_in_scope(&mut self, tree: &SelectTree, order: &[OrderByExpr]) -> Result<(Select, Columns), Error> {
        let mut from = self.from(&tree.from)?;
        let width = self.scope().width();
        let before = match &tree.selection {
            Some(condition) => self.conditions(condition, &mut from)?,
            None => Vec::new(),
        };
        let keys = self.keys(tree)?;
        self.scope_mut().allows = Allows { aggregates: true, windows: true, sets: true };
        let mut columns = Vec::new();
        let mut items = Vec::new();
        for item in &tree.projection {
            self.item(item, &mut columns, &mut items)?;
        }
        let distinct = match &tree.distinct {
            None | Some(DistinctTree::All) => Distinct::No,
            Some(DistinctTree::Distinct) => Distinct::Rows,
            Some(DistinctTree::On(by)) => {
                Distinct::On(by.iter().map(|by| Ok(self.expr(by)?.expr)).collect::<Result<_, Error>>()?)
            }
        };
        let order = order.iter().map(|by| self.order(by, tree, &columns)).collect::<Result<Vec<_>, _>>()?;
        self.scope_mut().allows = Allows { aggregates: true, ..Allows::default() };
        let having = tree.having.as_ref().map(|having| self.condition(having)).transpose()?;
        let scope = self.scope_mut();
        let aggregates = std::mem::take(&mut scope.aggregates);
        let (windows, sets) = (std::mem::take(&mut scope.windows), std::mem::take(&mut scope.sets));
        let has_groups = !keys.is_empty() || !aggregates.is_empty() || having.is_some();
        let groups = has_groups.then_some(Groups { keys, aggregates, having });
        Ok((Select { from, width, before, groups, windows, sets, items, order, distinct }, columns))
    }

    /// Conditions of WHERE, each put where all that it stands on is there. Returns those that stand on nothing.
    fn conditions(&mut self, tree: &Tree, from: &mut [Step]) -> Result<Vec<Expr>, Error> {
        // Rows that an outer join adds would be judged before they are there.
        let waits = from.iter().any(|step| matches!(step.join, JoinKind::Right | JoinKind::Full));
        let mut ends = Vec::new();
        let mut end = 0;
        for step in from.iter() {
            end += step.width;
            ends.push(end);
        }
        let mut before = Vec::new();
        for part in conjuncts(tree) {
            let bound = self.condition(part)?;
            let reach = reach(&bound, end);
            match ends.iter().position(|end| reach <= *end) {
                _ if from.is_empty() => before.push(bound),
                _ if waits || reach == 0 => {
                    if let Some(last) = from.last_mut() {
                        last.then.push(bound);
                    }
                }
                Some(at) => place(bound, &mut from[at], at.checked_sub(1).map_or(0, |at| ends[at])),
                None => before.push(bound),
            }
        }
        Ok(before)
    }

    /// A boolean expression.
    pub(super) fn condition(&mut self, tree: &Tree) -> Result<Expr, Error> {
        let bound = self.expr(tree)?;
        match bound.of {
            Type::Bool | Type::Unknown => self.coerced(bound, &Type::Bool),
            of => Err(Error::new("42804", format!("a condition must be of type boolean, not {}", of.name()))),
        }
    }

    fn keys(&mut self, tree: &SelectTree) -> Result<Vec<Expr>, Error> {
        let GroupByExpr::Expressions(trees, modifiers) = &tree.group_by else {
            return Err(Error::unsupported("GROUP BY ALL"));
        };
        if !modifiers.is_empty() {
            return Err(Error::unsupported("GROUP BY WITH"));
        }
        let key = |tree_of: &Tree| {
            if let Some(at) = position(tree_of, tree.projection.len())?
                && let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = &tree.projection[at]
            {
                return Ok(self.expr(expr)?.expr);
            }
            // A name of FROM comes before that of a result.
            if let Tree::Identifier(name) = tree_of
                && self.scope().column(&folded(name))?.is_none()
                && let Some(expr) = aliased(tree, &folded(name))
            {
                return Ok(self.expr(expr)?.expr);
            }
            Ok(self.expr(tree_of)?.expr)
        };
        trees.iter().map(key).collect()
    }

    fn item(&mut self, item: &SelectItem, columns: &mut Columns, items: &mut Vec<Expr>) -> Result<(), Error> {
        let mut add = |name: String, bound: Typed| {
            columns.push((name, bound.of));
            items.push(bound.expr);
        };
        match item {
            SelectItem::UnnamedExpr(expr) => add(output_name(expr), self.expr(expr)?),
            SelectItem::ExprWithAlias { expr, alias } => add(folded(alias), self.expr(expr)?),
            SelectItem::Wildcard(_) => {
                for table in &self.scope().tables {
                    let shown = table.columns.iter().enumerate().filter(|(at, _)| !table.merged.contains(at));
                    for (at, (name, of)) in shown {
                        add(name.clone(), Typed { expr: Expr::Column { up: 0, at: table.begin + at }, of: of.clone() });
                    }
                }
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                let (schema, name) = crate::read::parts(name);
                let table = self.scope().table(schema.as_deref(), &name).ok_or_else(|| no_table(&name))?;
                for (at, (name, of)) in table.columns.iter().enumerate() {
                    add(name.clone(), Typed { expr: Expr::Column { up: 0, at: table.begin + at }, of: of.clone() });
                }
            }
            // `(f(x)).*`
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(expr), _) => {
                let of = self.expr(expr)?.of;
                let Type::Record(fields) = &of else { return Err(Error::unsupported(".* of no row")) };
                for (at, (name, of)) in fields.iter().enumerate() {
                    let row = self.expr(expr)?.expr;
                    add(name.clone(), Typed { expr: Expr::Field(Box::new(row), at), of: of.clone() });
                }
            }
            SelectItem::ExprWithAliases { .. } => return Err(Error::unsupported("several names of one column")),
        }
        Ok(())
    }

    fn order(&mut self, by: &OrderByExpr, tree: &SelectTree, columns: &Columns) -> Result<Order, Error> {
        let at = match position(&by.expr, columns.len())? {
            Some(at) => Some(at),
            None => match &by.expr {
                Tree::Identifier(name) => columns.iter().position(|(own, _)| *own == folded(name)),
                _ => None,
            },
        };
        // The same expression again: results are not read back.
        if let Some(at) = at {
            let mut found = Vec::new();
            for item in &tree.projection {
                self.item(item, &mut Vec::new(), &mut found)?;
            }
            if let Some(expr) = found.into_iter().nth(at) {
                return Ok(ordered(expr, by));
            }
        }
        Ok(ordered(self.expr(&by.expr)?.expr, by))
    }
}

/// A condition of an inner join is part of it; an outer join's rows are judged behind it.
fn place(condition: Expr, step: &mut Step, begin: usize) {
    match step.join {
        JoinKind::Inner => super::from::joined(condition, step, begin),
        _ => step.then.push(condition),
    }
}

/// The expression of the list that has a name.
fn aliased<'t>(tree: &'t SelectTree, name: &str) -> Option<&'t Tree> {
    tree.projection.iter().find_map(|item| match item {
        SelectItem::ExprWithAlias { expr, alias } if folded(alias) == name => Some(expr),
        _ => None,
    })
}

/// What AND connects.
pub(super) fn conjuncts(tree: &Tree) -> Vec<&Tree> {
    match tree {
        Tree::BinaryOp { left, op: BinaryOperator::And, right } => {
            let mut parts = conjuncts(left);
            parts.extend(conjuncts(right));
            parts
        }
        Tree::Nested(inner) if matches!(inner.as_ref(), Tree::BinaryOp { op: BinaryOperator::And, .. }) => {
            conjuncts(inner)
        }
        other => vec![other],
    }
}

/// Up to which column of its own SELECT an expression reads; `all` where it has a query within.
pub(super) fn reach(expr: &Expr, all: usize) -> usize {
    let mut end = 0;
    expr.visit(&mut |expr| match expr {
        Expr::Column { up: 0, at } => end = end.max(at + 1),
        Expr::Scalar(_) | Expr::Exists(_) | Expr::ListOf(_) | Expr::InQuery(..) | Expr::QuantifiedQuery { .. } => {
            end = all;
        }
        _ => {}
    });
    end
}

fn refuse(tree: &SelectTree) -> Result<(), Error> {
    let what = match tree {
        SelectTree { into: Some(_), .. } => "SELECT INTO",
        SelectTree { qualify: Some(_), .. } => "QUALIFY",
        SelectTree { top: Some(_), .. } => "TOP",
        SelectTree { named_window, .. } if !named_window.is_empty() => "WINDOW",
        _ => return Ok(()),
    };
    Err(Error::unsupported(what))
}

pub(super) fn no_table(name: &str) -> Error {
    Error::new("42P01", format!("missing FROM-clause entry for table \"{name}\""))
}
