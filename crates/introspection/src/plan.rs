//! A query whose names and types are known, as plain data.
//!
//! An expression is evaluated over a row and the rows around it: of the query that a subquery stands in, and so on. A row of a SELECT
//! has the columns of everything in FROM, one item behind the other; aggregates, windows and sets are computed beside it.

use crate::functions::Function;
use crate::run::{Run, prepared};
use crate::{Environment, Error, Relation, Row, Type, Value};
use std::sync::Arc;

/// A query that can be run.
pub struct Plan {
    pub(crate) query: Query,
    pub(crate) columns: Vec<(String, Type)>,
    pub(crate) parameters: Vec<Type>,
    /// How many relations are kept while it runs.
    pub(crate) slots: usize,
}

impl Plan {
    /// Names and types of its columns.
    pub fn columns(&self) -> &[(String, Type)] {
        &self.columns
    }

    /// Types of its parameters.
    pub fn parameters(&self) -> &[Type] {
        &self.parameters
    }

    /// Its rows. Parameters are values of [their types](Self::parameters), or texts that say one.
    ///
    /// # Errors
    /// A value that is wrong, a function that fails, too many rows, [`Environment::check`].
    pub fn rows(&self, environment: &dyn Environment, parameters: &[Value]) -> Result<Vec<Row>, Error> {
        let parameters = prepared(parameters, &self.parameters, environment)?;
        Run::new(environment, parameters, self.slots).query(&self.query, None)
    }
}

/// A query with everything around its body.
pub(crate) struct Query {
    /// Computed first, each into its slot.
    pub(crate) named: Vec<Named>,
    pub(crate) body: Body,
    /// Of rows of the result, where the body does not order them itself.
    pub(crate) order: Vec<Order>,
    pub(crate) limit: Option<Expr>,
    pub(crate) offset: Option<Expr>,
    /// What its columns are cast to, from what; empty where they stay.
    pub(crate) casts: Vec<(Type, Type)>,
    /// Where its rows are kept, if they do not depend on the rows around it.
    pub(crate) kept: Option<usize>,
}

/// A relation of WITH.
pub(crate) struct Named {
    pub(crate) slot: usize,
    pub(crate) of: NamedQuery,
}

pub(crate) enum NamedQuery {
    Plain(Box<Query>),
    /// The step reads what the last step has found, from the slot, until it finds nothing.
    Recursive {
        first: Box<Query>,
        step: Box<Query>,
        all: bool,
    },
}

pub(crate) enum Body {
    Select(Box<Select>),
    Set { left: Box<Query>, right: Box<Query>, of: SetKind, all: bool },
    Values(Vec<Vec<Expr>>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetKind {
    Union,
    Intersect,
    Except,
}

#[derive(Default)]
pub(crate) struct Select {
    pub(crate) from: Vec<Step>,
    /// How many columns a row of FROM has.
    pub(crate) width: usize,
    /// Conditions that stand on nothing of FROM.
    pub(crate) before: Vec<Expr>,
    pub(crate) groups: Option<Groups>,
    pub(crate) windows: Vec<Window>,
    pub(crate) sets: Vec<SetCall>,
    pub(crate) items: Vec<Expr>,
    pub(crate) order: Vec<Order>,
    pub(crate) distinct: Distinct,
}

#[derive(Default)]
pub(crate) enum Distinct {
    #[default]
    No,
    Rows,
    On(Vec<Expr>),
}

/// An item of FROM that is joined to those before it.
pub(crate) struct Step {
    pub(crate) source: Source,
    pub(crate) join: JoinKind,
    pub(crate) width: usize,
    /// Equal on both sides: (of the rows so far, of the source alone).
    pub(crate) equal: Vec<(Expr, Expr)>,
    /// What else must hold of both.
    pub(crate) on: Vec<Expr>,
    /// Conditions of WHERE that can be told from here on.
    pub(crate) then: Vec<Expr>,
    /// It refers to items before it: it is computed anew for each of their rows.
    pub(crate) lateral: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
}

pub(crate) enum Source {
    Relation(Arc<Relation>),
    Slot(usize),
    Query(Box<Query>),
    Call { call: SetCall, numbered: bool },
    Joined(Vec<Step>),
}

pub(crate) struct Groups {
    pub(crate) keys: Vec<Expr>,
    pub(crate) aggregates: Vec<Aggregate>,
    pub(crate) having: Option<Expr>,
}

pub(crate) struct Aggregate {
    pub(crate) of: AggregateKind,
    pub(crate) arguments: Vec<Expr>,
    pub(crate) distinct: bool,
    pub(crate) order: Vec<Order>,
    pub(crate) filter: Option<Expr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AggregateKind {
    Rows,
    Count,
    Sum,
    Average,
    Least,
    Greatest,
    List,
    Joined,
    Every,
    Any,
    /// The first of them.
    First,
    Json,
}

pub(crate) struct Window {
    pub(crate) of: WindowKind,
    pub(crate) partition: Vec<Expr>,
    pub(crate) order: Vec<Order>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WindowKind {
    Number,
    Rank,
    DenseRank,
}

/// A function that returns rows.
pub(crate) struct SetCall {
    pub(crate) of: SetFunction,
    pub(crate) arguments: Vec<Expr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetFunction {
    /// Items of arrays, side by side.
    Unnest,
    Series,
    /// Numbers of the items of an array, the first of which is this.
    Subscripts(i64),
    /// Items with their numbers from 1.
    Expanded,
    Keywords,
    /// One row with the values of its arguments.
    Once,
}

pub(crate) struct Order {
    pub(crate) by: Expr,
    pub(crate) descending: bool,
    pub(crate) nulls_first: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    And,
    Or,
    ShiftLeft,
    ShiftRight,
}

/// How a text is matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Matching {
    pub(crate) like: bool,
    /// What takes the meaning from the next character of LIKE.
    pub(crate) escape: Option<char>,
    pub(crate) any_case: bool,
}

pub(crate) enum Expr {
    Constant(Value),
    Parameter(usize),
    /// A column `at` of the row so many queries further `up`.
    Column {
        up: usize,
        at: usize,
    },
    Aggregate(usize),
    Window(usize),
    Set(usize),
    Cast {
        of: Box<Expr>,
        from: Type,
        to: Type,
    },
    Compare(Comparison, Box<Expr>, Box<Expr>),
    Compute(Operation, Box<Expr>, Box<Expr>),
    Negative(Box<Expr>),
    Concat(Box<Expr>, Box<Expr>),
    /// Arrays, or an array and an item.
    Append(Box<Expr>, Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    IsNull(Box<Expr>),
    /// IS TRUE, IS FALSE.
    Is(Box<Expr>, bool),
    /// IS NOT DISTINCT FROM.
    Same(Box<Expr>, Box<Expr>),
    In(Box<Expr>, Vec<Expr>),
    InQuery(Box<Expr>, Box<Query>),
    /// ANY and ALL of an array.
    Quantified {
        of: Comparison,
        left: Box<Expr>,
        right: Box<Expr>,
        all: bool,
    },
    QuantifiedQuery {
        of: Comparison,
        left: Box<Expr>,
        query: Box<Query>,
        all: bool,
    },
    Match(Matching, Box<Expr>, Box<Expr>),
    Case {
        whens: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    Coalesce(Vec<Expr>),
    Call(&'static Function, Vec<Expr>),
    Ask(String, Vec<Expr>),
    List(Vec<Expr>),
    Row(Vec<Expr>),
    /// An item of an array whose first has this number.
    Item {
        of: Box<Expr>,
        at: Box<Expr>,
        first: i64,
    },
    Field(Box<Expr>, usize),
    Scalar(Box<Query>),
    Exists(Box<Query>),
    ListOf(Box<Query>),
}

impl Expr {
    /// Goes through an expression, from above; not into queries within.
    pub(crate) fn visit(&self, look: &mut impl FnMut(&Expr)) {
        look(self);
        match self {
            Expr::Constant(_) | Expr::Parameter(_) | Expr::Column { .. } => {}
            Expr::Aggregate(_) | Expr::Window(_) | Expr::Set(_) => {}
            Expr::Scalar(_) | Expr::Exists(_) | Expr::ListOf(_) => {}
            Expr::Cast { of, .. }
            | Expr::Negative(of)
            | Expr::Not(of)
            | Expr::IsNull(of)
            | Expr::Is(of, _)
            | Expr::InQuery(of, _)
            | Expr::QuantifiedQuery { left: of, .. }
            | Expr::Field(of, _) => of.visit(look),
            Expr::Compare(_, a, b)
            | Expr::Compute(_, a, b)
            | Expr::Match(_, a, b)
            | Expr::Concat(a, b)
            | Expr::Append(a, b)
            | Expr::And(a, b)
            | Expr::Or(a, b)
            | Expr::Same(a, b)
            | Expr::Quantified { left: a, right: b, .. }
            | Expr::Item { of: a, at: b, .. } => {
                a.visit(look);
                b.visit(look);
            }
            Expr::In(of, list) => {
                of.visit(look);
                list.iter().for_each(|item| item.visit(look));
            }
            Expr::Case { whens, otherwise } => {
                for (when, then) in whens {
                    when.visit(look);
                    then.visit(look);
                }
                if let Some(otherwise) = otherwise {
                    otherwise.visit(look);
                }
            }
            Expr::Coalesce(list) | Expr::Call(_, list) | Expr::Ask(_, list) | Expr::List(list) | Expr::Row(list) => {
                list.iter().for_each(|item| item.visit(look));
            }
        }
    }

    /// An expression over a row as one over what begins at column `begin` of it. Not for expressions with queries within.
    pub(crate) fn moved(mut self, begin: usize) -> Self {
        self.each(&mut |expr| {
            if let Expr::Column { up: 0, at } = expr {
                *at -= begin;
            }
        });
        self
    }

    fn each(&mut self, change: &mut impl FnMut(&mut Expr)) {
        change(self);
        match self {
            Expr::Constant(_) | Expr::Parameter(_) | Expr::Column { .. } => {}
            Expr::Aggregate(_) | Expr::Window(_) | Expr::Set(_) => {}
            Expr::Scalar(_) | Expr::Exists(_) | Expr::ListOf(_) => {}
            Expr::Cast { of, .. }
            | Expr::Negative(of)
            | Expr::Not(of)
            | Expr::IsNull(of)
            | Expr::Is(of, _)
            | Expr::InQuery(of, _)
            | Expr::QuantifiedQuery { left: of, .. }
            | Expr::Field(of, _) => of.each(change),
            Expr::Compare(_, a, b)
            | Expr::Compute(_, a, b)
            | Expr::Match(_, a, b)
            | Expr::Concat(a, b)
            | Expr::Append(a, b)
            | Expr::And(a, b)
            | Expr::Or(a, b)
            | Expr::Same(a, b)
            | Expr::Quantified { left: a, right: b, .. }
            | Expr::Item { of: a, at: b, .. } => {
                a.each(change);
                b.each(change);
            }
            Expr::In(of, list) => {
                of.each(change);
                list.iter_mut().for_each(|item| item.each(change));
            }
            Expr::Case { whens, otherwise } => {
                for (when, then) in whens {
                    when.each(change);
                    then.each(change);
                }
                if let Some(otherwise) = otherwise {
                    otherwise.each(change);
                }
            }
            Expr::Coalesce(list) | Expr::Call(_, list) | Expr::Ask(_, list) | Expr::List(list) | Expr::Row(list) => {
                list.iter_mut().for_each(|item| item.each(change));
            }
        }
    }
}
