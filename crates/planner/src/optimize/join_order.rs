//! Inner joins, ordered so that rows meet early what few of them match.
//!
//! A chain of inner joins is planned as it is written, `((a ⋈ b) ⋈ c) ⋈ d`: a change of `a` passes three joins, and `a ⋈ b` and
//! `a ⋈ b ⋈ c` are kept, as large as `a`. Where `d` is **narrow** (a table of which `d.name = 'EUROPE'` leaves little) and meets
//! `c` alone, `c ⋈ d` is narrow too, and so on: `a ⋈ (b ⋈ (c ⋈ d))` keeps less, and most changes of `a` end at their first join.
//!
//! Nothing is known of how large tables are, so no more than this is moved:
//! - where the first table is narrow, the chain begins with it, and the order that was written is as good;
//! - a narrow table that meets the first one is joined with it before all others, and then the rest stays as it is;
//! - joins that compare timestamps, and tables with a time to live of their own, stay: what bounds their state hangs on the order.
//!
//! The answer is the same, as inner joins of weighted rows are associative and commutative.

use crate::bind::state_ttl::StateTtl;
use arrow::datatypes::DataType;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{JoinType, NullEquality, Result};
use datafusion_expr::utils::{conjunction, split_conjunction};
use datafusion_expr::{BinaryExpr, Expr, Join, JoinConstraint, LogicalPlan, LogicalPlanBuilder, Operator};
use datafusion_optimizer::{OptimizerConfig, OptimizerRule};
use std::collections::BTreeSet;
use std::sync::Arc;

#[derive(Debug, Default)]
pub(super) struct NarrowJoinsFirst;

impl OptimizerRule for NarrowJoinsFirst {
    fn name(&self) -> &str {
        "narrow_joins_first"
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        plan.transform_down(|plan| {
            Ok(match Chain::of(&plan).and_then(|chain| chain.ordered(&plan)).transpose()? {
                Some(ordered) => Transformed::yes(ordered),
                None => Transformed::no(plan),
            })
        })
    }
}

/// Tables that are joined with each other, as they are written.
#[derive(Default)]
struct Chain<'p> {
    tables: Vec<&'p LogicalPlan>,
    equal: Vec<Equal<'p>>,
    conditions: Vec<Condition<'p>>,
}

type Tables = BTreeSet<usize>;

/// Two expressions that are equal, and the tables that each is made of.
struct Equal<'p> {
    sides: [&'p Expr; 2],
    tables: [Tables; 2],
}

struct Condition<'p> {
    expr: &'p Expr,
    tables: Tables,
}

/// Which tables are joined with which.
#[derive(Debug, Clone, PartialEq)]
enum Tree {
    Table(usize),
    Join(Box<Tree>, Box<Tree>),
}

/// Some tables, joined.
struct Unit {
    tree: Tree,
    tables: Tables,
    is_narrow: bool,
}

impl Unit {
    fn join(self, right: Unit) -> Unit {
        Unit {
            tree: Tree::Join(Box::new(self.tree), Box::new(right.tree)),
            tables: &self.tables | &right.tables,
            is_narrow: self.is_narrow || right.is_narrow,
        }
    }
}

fn is_of_own_time(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Extension(e) if e.node.as_any().downcast_ref::<StateTtl>().is_some())
}

fn inner(plan: &LogicalPlan) -> Option<&Join> {
    match plan {
        LogicalPlan::Join(j)
            if j.join_type == JoinType::Inner && j.null_equality == NullEquality::NullEqualsNothing =>
        {
            Some(j)
        }
        _ => None,
    }
}

impl<'p> Chain<'p> {
    /// The tables joined by a plan, where their order is free.
    fn of(plan: &'p LogicalPlan) -> Option<Self> {
        inner(plan)?;
        let (mut tables, mut equal, mut conditions) = (Vec::new(), Vec::new(), Vec::new());
        gather(plan, &mut tables, &mut equal, &mut conditions);
        let has_own_time = |t: &&LogicalPlan| t.exists(|p| Ok(is_of_own_time(p))).unwrap_or(true);
        let schema = plan.schema();
        let is_time = |e: &Expr| {
            let mut columns = e.column_refs().into_iter();
            columns.any(|c| {
                schema
                    .qualified_field_from_column(c)
                    .is_ok_and(|(_, f)| matches!(f.data_type(), DataType::Timestamp(..)))
            })
        };
        let mut compared = equal.iter().flat_map(|(l, r)| [*l, *r]).chain(conditions.iter().copied());
        if tables.len() < 3 || tables.iter().any(has_own_time) || compared.any(|e| is_time(e) || e.is_volatile()) {
            return None;
        }
        let mut chain = Self { tables, ..Self::default() };
        for (l, r) in equal {
            chain.equal.push(Equal { sides: [l, r], tables: [chain.tables_of(l)?, chain.tables_of(r)?] });
        }
        for expr in conditions {
            chain.conditions.push(Condition { expr, tables: chain.tables_of(expr)? });
        }
        Some(chain)
    }

    /// The tables that an expression is made of; `None` where a column may be of several.
    fn tables_of(&self, expr: &Expr) -> Option<Tables> {
        let table = |column| {
            let mut having = (0..self.tables.len()).filter(|t| self.tables[*t].schema().has_column(column));
            having.next().filter(|_| having.next().is_none())
        };
        expr.column_refs().into_iter().map(table).collect()
    }

    /// The same joins in a better order; `None` where there is none.
    fn ordered(&self, plan: &LogicalPlan) -> Option<Result<LogicalPlan>> {
        let tree = self.left_deep(self.narrowed())?;
        if tree == written(plan, &mut 0) {
            return None;
        }
        let mut left = Left { equal: self.equal.iter().collect(), conditions: self.conditions.iter().collect() };
        let joined = match self.join(&tree, &mut left)? {
            Ok((joined, _)) => joined,
            Err(error) => return Some(Err(error)),
        };
        if !left.equal.is_empty() || !left.conditions.is_empty() {
            return None;
        }
        let columns = plan.schema().columns().into_iter().map(Expr::Column);
        Some(LogicalPlanBuilder::from(joined).project(columns).and_then(LogicalPlanBuilder::build))
    }

    /// Narrow units joined with the only one that they meet, until the first is narrow.
    fn narrowed(&self) -> Vec<Unit> {
        let unit = |(at, table): (usize, &&LogicalPlan)| Unit {
            tree: Tree::Table(at),
            tables: Tables::from([at]),
            is_narrow: is_narrow(table),
        };
        let mut units: Vec<Unit> = self.tables.iter().enumerate().map(unit).collect();
        while units.len() > 2 && !units[0].is_narrow {
            let only_met = |at: usize| {
                let mut met = (0..units.len()).filter(|other| *other != at && self.meet(&units[at], &units[*other]));
                met.next().filter(|_| met.next().is_none())
            };
            let next = (1..units.len()).filter(|at| units[*at].is_narrow).find_map(|at| Some((at, only_met(at)?)));
            let Some((at, met)) = next else { break };
            let narrow = units.remove(at);
            let met = if met > at { met - 1 } else { met };
            let wide = units.remove(met);
            units.insert(met, wide.join(narrow));
        }
        units
    }

    /// Units one after the other, as they are written; `None` where one would meet nothing.
    fn left_deep(&self, units: Vec<Unit>) -> Option<Tree> {
        let mut rest = units.into_iter();
        let mut joined = rest.next()?;
        for unit in rest {
            if !self.meet(&joined, &unit) {
                return None;
            }
            joined = joined.join(unit);
        }
        Some(joined.tree)
    }

    /// Is an expression over one equal to an expression over the other?
    fn meet(&self, one: &Unit, other: &Unit) -> bool {
        self.equal.iter().any(|e| e.between(&one.tables, &other.tables).is_some())
    }

    /// The plan of a tree, with its tables; takes what it compares out of `left`.
    fn join(&self, tree: &Tree, left: &mut Left<'_, 'p>) -> Option<Result<(LogicalPlan, Tables)>> {
        let (l, r) = match tree {
            Tree::Table(at) => return Some(Ok((self.tables[*at].clone(), Tables::from([*at])))),
            Tree::Join(l, r) => (self.join(l, left)?, self.join(r, left)?),
        };
        let ((l, in_l), (r, in_r)) = match (l, r) {
            (Ok(l), Ok(r)) => (l, r),
            (Err(error), _) | (_, Err(error)) => return Some(Err(error)),
        };
        let all = &in_l | &in_r;
        let on = left.take_equal(&in_l, &in_r);
        if on.is_empty() {
            return None;
        }
        let filter = conjunction(left.take_conditions(&all));
        let (constraint, equality) = (JoinConstraint::On, NullEquality::NullEqualsNothing);
        let made = Join::try_new(Arc::new(l), Arc::new(r), on, filter, JoinType::Inner, constraint, equality, false);
        Some(made.map(|join| (LogicalPlan::Join(join), all)))
    }
}

/// What no join compares yet.
struct Left<'c, 'p> {
    equal: Vec<&'c Equal<'p>>,
    conditions: Vec<&'c Condition<'p>>,
}

impl Left<'_, '_> {
    fn take_equal(&mut self, left: &Tables, right: &Tables) -> Vec<(Expr, Expr)> {
        let mut on = Vec::new();
        self.equal.retain(|equal| match equal.between(left, right) {
            Some((l, r)) => {
                on.push((l.clone(), r.clone()));
                false
            }
            None => true,
        });
        on
    }

    fn take_conditions(&mut self, tables: &Tables) -> Vec<Expr> {
        let mut taken = Vec::new();
        self.conditions.retain(|condition| {
            let is_known = condition.tables.is_subset(tables);
            if is_known {
                taken.push(condition.expr.clone());
            }
            !is_known
        });
        taken
    }
}

impl<'p> Equal<'p> {
    /// The sides, where one is made of tables of the left, the other of the right.
    fn between(&self, left: &Tables, right: &Tables) -> Option<(&'p Expr, &'p Expr)> {
        let ([l, r], [in_l, in_r]) = (self.sides, &self.tables);
        let is_of = |tables: &Tables, unit: &Tables| !tables.is_empty() && tables.is_subset(unit);
        match () {
            () if is_of(in_l, left) && is_of(in_r, right) => Some((l, r)),
            () if is_of(in_l, right) && is_of(in_r, left) => Some((r, l)),
            () => None,
        }
    }
}

fn gather<'p>(
    plan: &'p LogicalPlan,
    tables: &mut Vec<&'p LogicalPlan>,
    equal: &mut Vec<(&'p Expr, &'p Expr)>,
    conditions: &mut Vec<&'p Expr>,
) {
    let Some(join) = inner(plan) else { return tables.push(plan) };
    gather(&join.left, tables, equal, conditions);
    gather(&join.right, tables, equal, conditions);
    equal.extend(join.on.iter().map(|(l, r)| (l, r)));
    conditions.extend(join.filter.iter().flat_map(split_conjunction));
}

/// The order that a plan has; `tables` counts them.
fn written(plan: &LogicalPlan, tables: &mut usize) -> Tree {
    match inner(plan) {
        Some(join) => {
            let left = written(&join.left, tables);
            Tree::Join(Box::new(left), Box::new(written(&join.right, tables)))
        }
        None => {
            *tables += 1;
            Tree::Table(*tables - 1)
        }
    }
}

/// Does a condition `column = constant`, or `column IN (constants)`, leave little of a table?
fn is_narrow(table: &LogicalPlan) -> bool {
    match table {
        LogicalPlan::Filter(f) => split_conjunction(&f.predicate).into_iter().any(is_point) || is_narrow(&f.input),
        LogicalPlan::TableScan(scan) => scan.filters.iter().flat_map(split_conjunction).any(is_point),
        LogicalPlan::SubqueryAlias(a) => is_narrow(&a.input),
        LogicalPlan::Projection(p) => is_narrow(&p.input),
        _ => false,
    }
}

fn is_point(condition: &Expr) -> bool {
    let is_constant = |e: &Expr| e.column_refs().is_empty();
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => is_constant(left) != is_constant(right),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => is_point(left) && is_point(right),
        Expr::InList(list) => !list.negated && !is_constant(&list.expr) && list.list.iter().all(is_constant),
        _ => false,
    }
}
