//! FROM: items one behind the other, each joined to the rows so far.

use super::{Frame, Run};
use crate::plan::{Expr, JoinKind, Select, Source, Step};
use crate::{Error, Row, Value};
use std::collections::HashMap;
use std::rc::Rc;

impl Run<'_> {
    pub(super) fn from(&self, select: &Select, above: Option<&Frame<'_>>) -> Result<Vec<Row>, Error> {
        let none: Row = Vec::new().into();
        for condition in &select.before {
            if !self.holds(condition, &Frame::of(&none, above))? {
                return Ok(Vec::new());
            }
        }
        self.steps(&select.from, above)
    }

    fn steps(&self, steps: &[Step], above: Option<&Frame<'_>>) -> Result<Vec<Row>, Error> {
        let mut rows: Vec<Row> = vec![Vec::new().into()];
        let mut width = 0;
        for step in steps {
            let joined = self.step(step, rows, width, above)?;
            width += step.width;
            rows = self.kept_by(joined, &step.then, above)?;
        }
        Ok(rows)
    }

    fn kept_by(&self, rows: Vec<Row>, conditions: &[Expr], above: Option<&Frame<'_>>) -> Result<Vec<Row>, Error> {
        if conditions.is_empty() {
            return Ok(rows);
        }
        let mut kept = Vec::with_capacity(rows.len());
        for row in rows {
            if self.all_hold(conditions, &Frame::of(&row, above))? {
                kept.push(row);
            }
        }
        Ok(kept)
    }

    fn all_hold(&self, conditions: &[Expr], frame: &Frame<'_>) -> Result<bool, Error> {
        for condition in conditions {
            if !self.holds(condition, frame)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn step(&self, step: &Step, rows: Vec<Row>, width: usize, above: Option<&Frame<'_>>) -> Result<Vec<Row>, Error> {
        // Nothing is joined to nothing: what stands on its right need not be computed.
        if rows.is_empty() && matches!(step.join, JoinKind::Inner | JoinKind::Left) {
            return Ok(rows);
        }
        if step.lateral {
            let mut found = Vec::new();
            for row in rows {
                let source = self.source(&step.source, &Frame::of(&row, above))?;
                found.extend(self.joined(step, vec![row], &source, width, above)?);
            }
            return Ok(found);
        }
        let none: Row = Vec::new().into();
        let source = self.source(&step.source, &Frame::of(&none, above))?;
        self.joined(step, rows, &source, width, above)
    }

    /// Rows of both sides that fit; rows without any, with NULLs, where the join keeps them.
    fn joined(
        &self,
        step: &Step,
        rows: Vec<Row>,
        source: &[Row],
        width: usize,
        above: Option<&Frame<'_>>,
    ) -> Result<Vec<Row>, Error> {
        let lookup = match step.equal.is_empty() {
            true => None,
            false => Some(self.lookup(step, source, above)?),
        };
        let everything: Vec<usize> = if lookup.is_none() { (0..source.len()).collect() } else { Vec::new() };
        let mut met = vec![false; source.len()];
        let mut found = Vec::new();
        for row in rows {
            let candidates = match &lookup {
                None => &everything,
                Some(lookup) => {
                    let frame = Frame::of(&row, above);
                    let key = step.equal.iter().map(|(left, _)| self.value(left, &frame));
                    let key = key.collect::<Result<Vec<_>, _>>()?;
                    match lookup.get(&key) {
                        Some(candidates) => candidates,
                        None => &Vec::new(),
                    }
                }
            };
            let mut is_met = false;
            self.count(candidates.len() + 1)?;
            for &at in candidates {
                let whole: Row = row.iter().chain(source[at].iter()).cloned().collect();
                if self.all_hold(&step.on, &Frame::of(&whole, above))? {
                    (is_met, met[at]) = (true, true);
                    found.push(whole);
                }
            }
            if !is_met && matches!(step.join, JoinKind::Left | JoinKind::Full) {
                found.push(row.iter().cloned().chain(std::iter::repeat_n(Value::Null, step.width)).collect());
            }
        }
        if matches!(step.join, JoinKind::Right | JoinKind::Full) {
            let alone = source.iter().zip(met).filter(|(_, met)| !met);
            let alone =
                alone.map(|(row, _)| std::iter::repeat_n(Value::Null, width).chain(row.iter().cloned()).collect());
            found.extend(alone);
        }
        Ok(found)
    }

    /// Where rows of a source are, by what they are compared with.
    fn lookup(
        &self,
        step: &Step,
        source: &[Row],
        above: Option<&Frame<'_>>,
    ) -> Result<HashMap<Vec<Value>, Vec<usize>>, Error> {
        let mut lookup: HashMap<Vec<Value>, Vec<usize>> = HashMap::new();
        for (at, row) in source.iter().enumerate() {
            let frame = Frame::of(row, above);
            let key = step.equal.iter().map(|(_, right)| self.value(right, &frame)).collect::<Result<Vec<_>, _>>()?;
            // NULL is equal to nothing.
            if !key.iter().any(Value::is_null) {
                lookup.entry(key).or_default().push(at);
            }
        }
        Ok(lookup)
    }

    /// The rows of an item; `frame` is the row so far.
    fn source(&self, source: &Source, frame: &Frame<'_>) -> Result<Rc<Vec<Row>>, Error> {
        Ok(match source {
            Source::Relation(relation) => Rc::new(relation.rows.clone()),
            Source::Slot(slot) => self.slots.borrow()[*slot].clone().unwrap_or_default(),
            Source::Query(query) => self.kept(query, Some(frame))?,
            Source::Joined(steps) => Rc::new(self.steps(steps, frame.above)?),
            Source::Call { call, numbered } => {
                let rows = self.set(call, frame)?;
                Rc::new(match numbered {
                    false => rows,
                    true => {
                        let number = |(row, at): (Row, i64)| row.iter().cloned().chain([at.into()]).collect();
                        rows.into_iter().zip(1..).map(number).collect()
                    }
                })
            }
        })
    }
}
