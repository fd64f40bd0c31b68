//! Runs a plan: queries over rows in memory, expressions row by row.

mod aggregate;
mod expr;
mod join;
mod select;
mod sets;

use crate::cast::cast;
use crate::plan::{Body, NamedQuery, Order, Query, SetKind};
use crate::read::with_room;
use crate::{Environment, Error, Row, Type, Value};
use regex::Regex;
use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// Rows that a query may go through, so that it does not take all memory there is.
const ROWS_MAX: usize = 1_000_000;
/// How often is asked whether to go on.
const ROWS_BETWEEN: usize = 4096;

/// The rows around an expression.
#[derive(Clone, Copy)]
pub(crate) struct Frame<'f> {
    row: &'f [Value],
    aggregates: &'f [Value],
    windows: &'f [Value],
    sets: &'f [Value],
    above: Option<&'f Frame<'f>>,
}

impl<'f> Frame<'f> {
    fn of(row: &'f [Value], above: Option<&'f Frame<'f>>) -> Self {
        Self { row, aggregates: &[], windows: &[], sets: &[], above }
    }
}

/// One run of a plan.
pub(crate) struct Run<'a> {
    environment: &'a dyn Environment,
    parameters: Vec<Value>,
    /// Relations of WITH, and results that do not depend on rows around them.
    slots: RefCell<Vec<Option<Rc<Vec<Row>>>>>,
    regexes: RefCell<HashMap<(String, bool), Rc<Regex>>>,
    rows: Cell<usize>,
}

/// Parameters as values of their types.
pub(crate) fn prepared(values: &[Value], types: &[Type], environment: &dyn Environment) -> Result<Vec<Value>, Error> {
    if values.len() != types.len() {
        let message = format!("{} parameters are given, and {} are needed", values.len(), types.len());
        return Err(Error::new("08P01", message));
    }
    let value = |(value, of): (&Value, &Type)| match value {
        Value::Text(_) => cast(value, &Type::Text, of, environment),
        other => Ok(other.clone()),
    };
    values.iter().zip(types).map(value).collect()
}

impl<'a> Run<'a> {
    pub(crate) fn new(environment: &'a dyn Environment, parameters: Vec<Value>, slots: usize) -> Self {
        Self {
            environment,
            parameters,
            slots: RefCell::new(vec![None; slots]),
            regexes: RefCell::default(),
            rows: Cell::new(0),
        }
    }

    /// The rows of a query.
    pub(crate) fn query(&self, query: &Query, above: Option<&Frame<'_>>) -> Result<Vec<Row>, Error> {
        match query.kept {
            None => with_room(|| self.fresh(query, above)),
            Some(_) => Ok(self.kept(query, above)?.as_ref().clone()),
        }
    }

    /// The rows of a query, shared where they are always the same.
    fn kept(&self, query: &Query, above: Option<&Frame<'_>>) -> Result<Rc<Vec<Row>>, Error> {
        if let Some(slot) = query.kept
            && let Some(rows) = &self.slots.borrow()[slot]
        {
            return Ok(rows.clone());
        }
        let rows = Rc::new(with_room(|| self.fresh(query, above))?);
        if let Some(slot) = query.kept {
            self.slots.borrow_mut()[slot] = Some(rows.clone());
        }
        Ok(rows)
    }

    fn fresh(&self, query: &Query, above: Option<&Frame<'_>>) -> Result<Vec<Row>, Error> {
        for named in &query.named {
            let rows = match &named.of {
                NamedQuery::Plain(query) => self.query(query, above)?,
                NamedQuery::Recursive { first, step, all } => self.recursive(first, step, *all, named.slot, above)?,
            };
            self.slots.borrow_mut()[named.slot] = Some(Rc::new(rows));
        }
        let mut rows = self.body(&query.body, above)?;
        if !query.order.is_empty() {
            rows = self.ordered(rows, &query.order, above)?;
        }
        let root = Frame::of(&[], None);
        let around = above.unwrap_or(&root);
        let count = |expr: &Option<crate::plan::Expr>| -> Result<Option<usize>, Error> {
            let Some(expr) = expr else { return Ok(None) };
            match self.value(expr, around)? {
                Value::Int(number) => usize::try_from(number)
                    .map(Some)
                    .map_err(|_| Error::new("2201W", "LIMIT and OFFSET must not be negative")),
                _ => Ok(None),
            }
        };
        if let Some(offset) = count(&query.offset)? {
            rows.drain(..offset.min(rows.len()));
        }
        if let Some(limit) = count(&query.limit)? {
            rows.truncate(limit);
        }
        self.brought(rows, &query.casts)
    }

    fn brought(&self, rows: Vec<Row>, casts: &[(Type, Type)]) -> Result<Vec<Row>, Error> {
        if casts.iter().all(|(from, to)| from == to) {
            return Ok(rows);
        }
        let brought = |row: Row| {
            let values = row.iter().zip(casts).map(|(value, (from, to))| cast(value, from, to, self.environment));
            values.collect::<Result<Row, _>>()
        };
        rows.into_iter().map(brought).collect()
    }

    fn body(&self, body: &Body, above: Option<&Frame<'_>>) -> Result<Vec<Row>, Error> {
        match body {
            Body::Select(select) => self.select(select, above),
            Body::Values(rows) => {
                let root = Frame::of(&[], None);
                let around = above.unwrap_or(&root);
                rows.iter().map(|row| row.iter().map(|expr| self.value(expr, around)).collect()).collect()
            }
            Body::Set { left, right, of, all } => {
                let (left, right) = (self.query(left, above)?, self.query(right, above)?);
                Ok(set_operation(left, right, *of, *all))
            }
        }
    }

    /// What the first query finds, and what the step finds in what was found last, until that is nothing.
    fn recursive(
        &self,
        first: &Query,
        step: &Query,
        all: bool,
        slot: usize,
        above: Option<&Frame<'_>>,
    ) -> Result<Vec<Row>, Error> {
        let mut seen = HashSet::new();
        let mut new =
            |rows: Vec<Row>| -> Vec<Row> { rows.into_iter().filter(|row| all || seen.insert(row.clone())).collect() };
        let mut last = new(self.query(first, above)?);
        let mut found = last.clone();
        while !last.is_empty() {
            self.slots.borrow_mut()[slot] = Some(Rc::new(last));
            last = new(self.query(step, above)?);
            self.count(last.len() + 1)?;
            found.extend(last.iter().cloned());
        }
        Ok(found)
    }

    /// Rows in an order that is computed over them.
    fn ordered(&self, rows: Vec<Row>, order: &[Order], above: Option<&Frame<'_>>) -> Result<Vec<Row>, Error> {
        let mut keyed = Vec::with_capacity(rows.len());
        for row in rows {
            let keys = order.iter().map(|by| self.value(&by.by, &Frame::of(&row, above)));
            keyed.push((keys.collect::<Result<Vec<_>, _>>()?, row));
        }
        keyed.sort_by(|(a, _), (b, _)| compared(a, b, order));
        Ok(keyed.into_iter().map(|(_, row)| row).collect())
    }

    /// Counts rows that are gone through.
    ///
    /// # Errors
    /// They are too many, or the query is not to go on.
    fn count(&self, rows: usize) -> Result<(), Error> {
        let before = self.rows.get();
        self.rows.set(before + rows);
        if before / ROWS_BETWEEN != (before + rows) / ROWS_BETWEEN {
            self.environment.check()?;
        }
        match before + rows > ROWS_MAX {
            true => Err(Error::new(
                "54000",
                format!("a query over the catalogs that goes through more than {ROWS_MAX} rows"),
            )),
            false => Ok(()),
        }
    }

    fn regex(&self, pattern: &str, any_case: bool) -> Result<Rc<Regex>, Error> {
        let key = (pattern.to_owned(), any_case);
        if let Some(regex) = self.regexes.borrow().get(&key) {
            return Ok(regex.clone());
        }
        let written = if any_case { format!("(?i){pattern}") } else { pattern.to_owned() };
        let regex =
            Regex::new(&written).map_err(|e| Error::new("2201B", format!("invalid regular expression: {e}")))?;
        let regex = Rc::new(regex);
        self.regexes.borrow_mut().insert(key, regex.clone());
        Ok(regex)
    }
}

fn compared(a: &[Value], b: &[Value], order: &[Order]) -> Ordering {
    let one = |((a, b), by): ((&Value, &Value), &Order)| match (a.is_null(), b.is_null()) {
        (true, true) => Ordering::Equal,
        (true, false) if by.nulls_first => Ordering::Less,
        (true, false) => Ordering::Greater,
        (false, true) if by.nulls_first => Ordering::Greater,
        (false, true) => Ordering::Less,
        _ if by.descending => b.cmp(a),
        _ => a.cmp(b),
    };
    a.iter().zip(b).zip(order).map(one).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

fn set_operation(left: Vec<Row>, right: Vec<Row>, of: SetKind, all: bool) -> Vec<Row> {
    if of == SetKind::Union {
        let mut seen = HashSet::new();
        return left.into_iter().chain(right).filter(|row| all || seen.insert(row.clone())).collect();
    }
    let mut counts: HashMap<Row, usize> = HashMap::new();
    right.into_iter().for_each(|row| *counts.entry(row).or_default() += 1);
    let mut seen = HashSet::new();
    let keeps = |row: &Row| {
        if !all && !seen.insert(row.clone()) {
            return false;
        }
        let matched = match counts.get_mut(row) {
            Some(count) if *count > 0 => {
                // Without ALL, one row meets all that are equal.
                *count -= usize::from(all);
                true
            }
            _ => false,
        };
        matched == (of == SetKind::Intersect)
    };
    left.into_iter().filter(keeps).collect()
}
