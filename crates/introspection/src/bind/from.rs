//! FROM: relations, functions, queries and how they are joined.

use super::names::{Scope, Table};
use super::select::{conjuncts, reach};
use super::{Binder, Columns, folded, renamed};
use crate::plan::{Comparison, Expr, JoinKind, SetCall, SetFunction, Source, Step};
use crate::read::{CATALOG, parts};
use crate::{Error, Type};
use sqlparser::ast::{
    FunctionArg, FunctionArgExpr, JoinConstraint, JoinOperator, ObjectName, TableAlias, TableFactor, TableWithJoins,
};

/// What an item of FROM is, before it has its place.
struct Item {
    source: Source,
    schema: Option<String>,
    name: String,
    columns: Columns,
    lateral: bool,
}

impl Binder<'_> {
    pub(super) fn from(&mut self, trees: &[TableWithJoins]) -> Result<Vec<Step>, Error> {
        let mut steps = Vec::new();
        for tree in trees {
            let keeps = tree.joins.iter().all(|join| kind(&join.join_operator).is_ok_and(keeps_left));
            // Rows that an outer join adds belong to its own tables alone.
            if keeps || steps.is_empty() {
                self.chain(tree, &mut steps)?;
            } else {
                steps.push(self.nested(tree)?);
            }
        }
        Ok(steps)
    }

    fn chain(&mut self, tree: &TableWithJoins, steps: &mut Vec<Step>) -> Result<(), Error> {
        steps.push(self.factor(&tree.relation)?);
        for join in &tree.joins {
            let begin = self.scope().width();
            let (kind, constraint) = (kind(&join.join_operator)?, constraint(&join.join_operator));
            let mut step = Step { join: kind, ..self.factor(&join.relation)? };
            match constraint {
                Some(JoinConstraint::On(tree)) => {
                    for part in conjuncts(tree) {
                        joined(self.condition(part)?, &mut step, begin);
                    }
                }
                Some(JoinConstraint::Using(names)) => {
                    for name in names {
                        joined(self.merged(name, begin)?, &mut step, begin);
                    }
                }
                Some(JoinConstraint::Natural) => return Err(Error::unsupported("NATURAL JOIN")),
                Some(JoinConstraint::None) | None => {}
            }
            steps.push(step);
        }
        Ok(())
    }

    /// Joins in brackets: a source of its own.
    fn nested(&mut self, tree: &TableWithJoins) -> Result<Step, Error> {
        let begin = self.scope().width();
        // Places within it count from its own first column.
        let outside = std::mem::take(&mut self.scope_mut().tables);
        let mut steps = Vec::new();
        let bound = self.chain(tree, &mut steps);
        let inside = std::mem::replace(&mut self.scope_mut().tables, outside);
        bound?;
        let width = inside.iter().map(|table| table.columns.len()).sum();
        let placed = inside.into_iter().map(|table| Table { begin: table.begin + begin, ..table });
        self.scope_mut().tables.extend(placed);
        Ok(step(Source::Joined(steps), width, false))
    }

    /// `USING (name)`: the column of both sides, which has one name from now on.
    fn merged(&mut self, name: &ObjectName, begin: usize) -> Result<Expr, Error> {
        let (_, name) = parts(name);
        let missing = || Error::new("42703", format!("column \"{name}\" of USING does not exist on both sides"));
        let scope = self.scope_mut();
        let (mut left, mut right) = (None, None);
        for table in &mut scope.tables {
            for (at, (own, of)) in table.columns.iter().enumerate() {
                if *own != name || table.merged.contains(&at) {
                    continue;
                }
                let place = (table.begin + at, of.clone());
                if table.begin < begin {
                    left = Some(place);
                } else {
                    table.merged.push(at);
                    right = Some(place);
                    break;
                }
            }
        }
        let ((left, left_type), (right, right_type)) = (left.ok_or_else(missing)?, right.ok_or_else(missing)?);
        let column = |at, of| super::Typed { expr: Expr::Column { up: 0, at }, of };
        self.compared(Comparison::Equal, column(left, left_type), column(right, right_type))
    }

    /// An item, which from now on is in scope.
    fn factor(&mut self, tree: &TableFactor) -> Result<Step, Error> {
        if let TableFactor::NestedJoin { table_with_joins, alias: None } = tree {
            return self.nested(table_with_joins);
        }
        let begin = self.scope().width();
        let Item { source, schema, name, columns, lateral } = self.item_of_from(tree)?;
        let width = columns.len();
        self.scope_mut().tables.push(Table { schema, name, begin, columns, merged: Vec::new() });
        Ok(step(source, width, lateral))
    }

    fn item_of_from(&mut self, tree: &TableFactor) -> Result<Item, Error> {
        match tree {
            TableFactor::Table { name, alias, args: None, .. } => {
                let (source, schema, own, columns) = self.relation(name)?;
                let (name, columns) = aliased(alias.as_ref(), own, columns);
                Ok(Item { source, schema, name, columns, lateral: false })
            }
            TableFactor::Table { name, alias, args: Some(args), with_ordinality, .. } => {
                self.function(name, &args.args, alias.as_ref(), *with_ordinality)
            }
            TableFactor::Function { name, args, alias, with_ordinality, .. } => {
                self.function(name, args, alias.as_ref(), *with_ordinality)
            }
            TableFactor::UNNEST { alias, array_exprs, with_ordinality, .. } => {
                let arguments = array_exprs.iter().map(|array| self.expr(array)).collect::<Result<Vec<_>, _>>()?;
                let (call, columns) = self.set_call("unnest", arguments)?;
                self.called("unnest", call, columns, alias.as_ref(), *with_ordinality)
            }
            TableFactor::Derived { subquery, alias, .. } => self.derived(subquery, alias.as_ref()),
            _ => Err(Error::unsupported("this in FROM")),
        }
    }

    /// A query in FROM. It may refer to items before it, as LATERAL says; without that word Postgres refuses what this takes.
    fn derived(&mut self, subquery: &sqlparser::ast::Query, alias: Option<&TableAlias>) -> Result<Item, Error> {
        let own = self.scopes.len() - 1;
        let before = std::mem::replace(&mut self.reached, usize::MAX);
        let bound = self.query(subquery);
        let lateral = self.reached <= own;
        let reached = std::mem::replace(&mut self.reached, before);
        self.reached = self.reached.min(reached);
        let (query, columns) = bound?;
        let (name, columns) = aliased(alias, String::new(), columns);
        Ok(Item { source: Source::Query(Box::new(query)), schema: None, name, columns, lateral })
    }

    fn relation(&mut self, name: &ObjectName) -> Result<(Source, Option<String>, String, Columns), Error> {
        let (schema, name) = parts(name);
        if schema.is_none()
            && let Some(known) = self.known.iter().rev().find(|known| known.name == name).cloned()
        {
            if known.changes {
                self.reached = 0;
            }
            return Ok((Source::Slot(known.slot), None, name, known.columns));
        }
        let schema = schema.unwrap_or_else(|| CATALOG.to_owned());
        let relation = self.environment.relation(&schema, &name).ok_or_else(|| {
            Error::new("42P01", format!("relation \"{schema}.{name}\" does not exist"))
                .with_hint("SHOW TABLES and SHOW VIEWS tell what there is")
        })?;
        let columns = relation.columns.clone();
        Ok((Source::Relation(relation), Some(schema), name, columns))
    }

    fn function(
        &mut self,
        name: &ObjectName,
        arguments: &[FunctionArg],
        alias: Option<&TableAlias>,
        numbered: bool,
    ) -> Result<Item, Error> {
        let (_, name) = parts(name);
        let mut bound = Vec::with_capacity(arguments.len());
        for argument in arguments {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(tree)) = argument else {
                return Err(Error::unsupported("a named argument"));
            };
            bound.push(self.expr(tree)?);
        }
        let (call, columns) = match crate::functions::set(&name) {
            true => self.set_call(&name, bound)?,
            // Any other function is a relation of one row.
            false => {
                let value = self.call(&name, bound)?;
                let columns = match &value.of {
                    Type::Record(fields) => fields.to_vec(),
                    of => vec![(name.clone(), of.clone())],
                };
                (SetCall { of: SetFunction::Once, arguments: vec![value.expr] }, columns)
            }
        };
        self.called(&name, call, columns, alias, numbered)
    }

    #[allow(clippy::unused_self, clippy::unnecessary_wraps)]
    fn called(
        &self,
        name: &str,
        call: SetCall,
        mut columns: Columns,
        alias: Option<&TableAlias>,
        numbered: bool,
    ) -> Result<Item, Error> {
        let lateral = call.arguments.iter().any(|argument| reach(argument, 1) > 0);
        // The one column of a function has the name that the item has.
        if let (Some(alias), [(column, _)]) = (alias, columns.as_mut_slice()) {
            *column = folded(&alias.name);
        }
        if numbered {
            columns.push(("ordinality".to_owned(), Type::Int8));
        }
        let (name, columns) = aliased(alias, name.to_owned(), columns);
        Ok(Item { source: Source::Call { call, numbered }, schema: None, name, columns, lateral })
    }

    pub(super) fn scope(&self) -> &Scope {
        self.scopes.last().expect("FROM is bound in a scope")
    }

    pub(super) fn scope_mut(&mut self) -> &mut Scope {
        self.scopes.last_mut().expect("FROM is bound in a scope")
    }
}

/// Puts a condition into a join: what is equal on both sides is looked up.
pub(super) fn joined(condition: Expr, step: &mut Step, begin: usize) {
    if step.lateral {
        step.on.push(condition);
        return;
    }
    match condition {
        Expr::Compare(Comparison::Equal, a, b) => {
            let (of_left, of_right) = (side(&a, begin), side(&b, begin));
            match (of_left, of_right) {
                (Some(Side::Left), Some(Side::Right)) => step.equal.push((*a, b.moved(begin))),
                (Some(Side::Right), Some(Side::Left)) => step.equal.push((*b, a.moved(begin))),
                _ => step.on.push(Expr::Compare(Comparison::Equal, a, b)),
            }
        }
        other => step.on.push(other),
    }
}

#[derive(PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// On which side of a join an expression stands altogether.
fn side(expr: &Expr, begin: usize) -> Option<Side> {
    let (mut left, mut right, mut within) = (false, false, false);
    expr.visit(&mut |expr| match expr {
        Expr::Column { up: 0, at } if *at < begin => left = true,
        Expr::Column { up: 0, .. } => right = true,
        Expr::Scalar(_) | Expr::Exists(_) | Expr::ListOf(_) | Expr::InQuery(..) | Expr::QuantifiedQuery { .. } => {
            within = true;
        }
        _ => {}
    });
    match (left, right, within) {
        (_, false, false) => Some(Side::Left),
        (false, true, false) => Some(Side::Right),
        _ => None,
    }
}

fn step(source: Source, width: usize, lateral: bool) -> Step {
    Step { source, join: JoinKind::Inner, width, equal: Vec::new(), on: Vec::new(), then: Vec::new(), lateral }
}

fn kind(operator: &JoinOperator) -> Result<JoinKind, Error> {
    Ok(match operator {
        JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_) => JoinKind::Inner,
        JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => JoinKind::Left,
        JoinOperator::Right(_) | JoinOperator::RightOuter(_) => JoinKind::Right,
        JoinOperator::FullOuter(_) => JoinKind::Full,
        _ => return Err(Error::unsupported("this kind of join")),
    })
}

fn keeps_left(kind: JoinKind) -> bool {
    matches!(kind, JoinKind::Inner | JoinKind::Left)
}

fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    match operator {
        JoinOperator::Join(c)
        | JoinOperator::Inner(c)
        | JoinOperator::CrossJoin(c)
        | JoinOperator::Left(c)
        | JoinOperator::LeftOuter(c)
        | JoinOperator::Right(c)
        | JoinOperator::RightOuter(c)
        | JoinOperator::FullOuter(c) => Some(c),
        _ => None,
    }
}

fn aliased(alias: Option<&TableAlias>, own: String, columns: Columns) -> (String, Columns) {
    match alias {
        None => (own, columns),
        Some(alias) => {
            let names: Vec<String> = alias.columns.iter().map(|column| folded(&column.name)).collect();
            (folded(&alias.name), renamed(columns, &names))
        }
    }
}
