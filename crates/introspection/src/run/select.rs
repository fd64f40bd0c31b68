//! SELECT: joins, groups, windows, sets, the list, the order.

use super::{Frame, Run};
use crate::plan::{Distinct, Expr, Select, Window, WindowKind};
use crate::{Error, Row, Value};
use std::collections::HashSet;

/// A row with what is computed beside it.
struct Wide {
    row: Row,
    aggregates: Vec<Value>,
    windows: Vec<Value>,
    sets: Vec<Value>,
}

impl Wide {
    fn frame<'f>(&'f self, above: Option<&'f Frame<'f>>) -> Frame<'f> {
        Frame { row: &self.row, aggregates: &self.aggregates, windows: &self.windows, sets: &self.sets, above }
    }
}

impl Run<'_> {
    pub(super) fn select(&self, select: &Select, above: Option<&Frame<'_>>) -> Result<Vec<Row>, Error> {
        let mut rows = self.grouped(select, self.from(select, above)?, above)?;
        for window in &select.windows {
            self.windowed(window, &mut rows, above)?;
        }
        if !select.sets.is_empty() {
            rows = self.expanded(select, rows, above)?;
        }
        if let Distinct::On(_) = &select.distinct {
            rows = self.in_order(select, rows, above)?;
            rows = self.first_of_each(select, rows, above)?;
            return rows.iter().map(|row| self.items(&select.items, &row.frame(above))).collect();
        }
        if select.order.is_empty() {
            let found = rows.iter().map(|row| self.items(&select.items, &row.frame(above)));
            let found = found.collect::<Result<Vec<_>, _>>()?;
            return Ok(match select.distinct {
                Distinct::Rows => once(found),
                _ => found,
            });
        }
        let rows = self.in_order(select, rows, above)?;
        let found = rows.iter().map(|row| self.items(&select.items, &row.frame(above)));
        let found = found.collect::<Result<Vec<_>, _>>()?;
        Ok(if matches!(select.distinct, Distinct::Rows) { once(found) } else { found })
    }

    fn items(&self, items: &[Expr], frame: &Frame<'_>) -> Result<Row, Error> {
        items.iter().map(|item| self.value(item, frame)).collect()
    }

    fn in_order(&self, select: &Select, rows: Vec<Wide>, above: Option<&Frame<'_>>) -> Result<Vec<Wide>, Error> {
        let mut keyed = Vec::with_capacity(rows.len());
        for row in rows {
            let keys = select.order.iter().map(|by| self.value(&by.by, &row.frame(above)));
            keyed.push((keys.collect::<Result<Vec<_>, _>>()?, row));
        }
        keyed.sort_by(|(a, _), (b, _)| super::compared(a, b, &select.order));
        Ok(keyed.into_iter().map(|(_, row)| row).collect())
    }

    fn first_of_each(&self, select: &Select, rows: Vec<Wide>, above: Option<&Frame<'_>>) -> Result<Vec<Wide>, Error> {
        let Distinct::On(by) = &select.distinct else { return Ok(rows) };
        let (mut seen, mut kept) = (HashSet::new(), Vec::new());
        for row in rows {
            if seen.insert(self.items(by, &row.frame(above))?) {
                kept.push(row);
            }
        }
        Ok(kept)
    }

    fn grouped(&self, select: &Select, rows: Vec<Row>, above: Option<&Frame<'_>>) -> Result<Vec<Wide>, Error> {
        let wide = |row, aggregates| Wide { row, aggregates, windows: Vec::new(), sets: Vec::new() };
        let Some(groups) = &select.groups else {
            return Ok(rows.into_iter().map(|row| wide(row, Vec::new())).collect());
        };
        let mut found = Vec::new();
        for members in self.groups(groups, rows, above)? {
            // What is not an aggregate is the same in all rows of a group.
            let row = members.first().cloned().unwrap_or_else(|| vec![Value::Null; select.width].into());
            let aggregates = groups.aggregates.iter().map(|of| self.aggregate(of, &members, above));
            let group = wide(row, aggregates.collect::<Result<_, _>>()?);
            let keeps = match &groups.having {
                None => true,
                Some(having) => self.holds(having, &group.frame(above))?,
            };
            if keeps {
                found.push(group);
            }
        }
        Ok(found)
    }

    fn windowed(&self, window: &Window, rows: &mut [Wide], above: Option<&Frame<'_>>) -> Result<(), Error> {
        let mut keyed = Vec::with_capacity(rows.len());
        for (at, row) in rows.iter().enumerate() {
            let frame = row.frame(above);
            let partition = self.items(&window.partition, &frame)?;
            let order = window.order.iter().map(|by| self.value(&by.by, &frame)).collect::<Result<Vec<_>, _>>()?;
            keyed.push((partition, order, at));
        }
        keyed.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| super::compared(&a.1, &b.1, &window.order)));
        let (mut number, mut rank, mut dense) = (0_i64, 0_i64, 0_i64);
        for at in 0..keyed.len() {
            let same_partition = at > 0 && keyed[at - 1].0 == keyed[at].0;
            if !same_partition {
                (number, rank, dense) = (0, 0, 0);
            }
            number += 1;
            if !same_partition || keyed[at - 1].1 != keyed[at].1 {
                (rank, dense) = (number, dense + 1);
            }
            let value = match window.of {
                WindowKind::Number => number,
                WindowKind::Rank => rank,
                WindowKind::DenseRank => dense,
            };
            rows[keyed[at].2].windows.push(value.into());
        }
        Ok(())
    }

    /// Functions that return rows go on side by side; the shorter ones are NULL behind their end.
    fn expanded(&self, select: &Select, rows: Vec<Wide>, above: Option<&Frame<'_>>) -> Result<Vec<Wide>, Error> {
        let mut found = Vec::new();
        for row in rows {
            let frame = row.frame(above);
            let sets = select.sets.iter().map(|call| self.set(call, &frame)).collect::<Result<Vec<_>, _>>()?;
            let length = sets.iter().map(Vec::len).max().unwrap_or_default();
            self.count(length)?;
            for at in 0..length {
                let value = |set: &Vec<Row>| match set.get(at).map(AsRef::as_ref) {
                    None => Value::Null,
                    Some([one]) => one.clone(),
                    Some(fields) => Value::Row(fields.into()),
                };
                found.push(Wide {
                    row: row.row.clone(),
                    aggregates: row.aggregates.clone(),
                    windows: row.windows.clone(),
                    sets: sets.iter().map(value).collect(),
                });
            }
        }
        Ok(found)
    }
}

fn once(rows: Vec<Row>) -> Vec<Row> {
    let mut seen = HashSet::new();
    rows.into_iter().filter(|row| seen.insert(row.clone())).collect()
}
