//! Groups and aggregates.

use super::{Frame, Run};
use crate::functions::json_spelled;
use crate::plan::{Aggregate, AggregateKind, Groups};
use crate::{Error, Row, Value};
use std::collections::{HashMap, HashSet};

impl Run<'_> {
    /// The rows of each group, in the order in which groups are met. Without keys there is one group, of all rows.
    pub(super) fn groups(
        &self,
        groups: &Groups,
        rows: Vec<Row>,
        above: Option<&Frame<'_>>,
    ) -> Result<Vec<Vec<Row>>, Error> {
        if groups.keys.is_empty() {
            return Ok(vec![rows]);
        }
        let mut places: HashMap<Row, usize> = HashMap::new();
        let mut found: Vec<Vec<Row>> = Vec::new();
        for row in rows {
            let frame = Frame::of(&row, above);
            let key = groups.keys.iter().map(|key| self.value(key, &frame)).collect::<Result<Row, _>>()?;
            let at = *places.entry(key).or_insert(found.len());
            match found.get_mut(at) {
                Some(members) => members.push(row),
                None => found.push(vec![row]),
            }
        }
        Ok(found)
    }

    pub(super) fn aggregate(&self, of: &Aggregate, rows: &[Row], above: Option<&Frame<'_>>) -> Result<Value, Error> {
        let mut members: Vec<Row> = Vec::with_capacity(rows.len());
        let mut seen = HashSet::new();
        for row in rows {
            let frame = Frame::of(row, above);
            if let Some(filter) = &of.filter
                && !self.holds(filter, &frame)?
            {
                continue;
            }
            let distinct =
                || of.arguments.iter().map(|argument| self.value(argument, &frame)).collect::<Result<Row, _>>();
            if of.distinct && !seen.insert(distinct()?) {
                continue;
            }
            members.push(row.clone());
        }
        if !of.order.is_empty() {
            members = self.ordered(members, &of.order, above)?;
        }
        let argument = |at: usize| -> Result<Vec<Value>, Error> {
            let Some(argument) = of.arguments.get(at) else { return Ok(Vec::new()) };
            members.iter().map(|row| self.value(argument, &Frame::of(row, above))).collect()
        };
        if of.of == AggregateKind::Rows {
            return Ok((members.len() as i64).into());
        }
        let all = argument(0)?;
        match of.of {
            AggregateKind::List if all.is_empty() => return Ok(Value::Null),
            AggregateKind::List => return Ok(Value::list(all)),
            AggregateKind::Json if all.is_empty() => return Ok(Value::Null),
            AggregateKind::Json => {
                return Ok(format!("[{}]", all.iter().map(json_spelled).collect::<Vec<_>>().join(", ")).into());
            }
            AggregateKind::Joined => return Ok(joined(&all, &argument(1)?)),
            _ => {}
        }
        let known = all.into_iter().filter(|value| !value.is_null());
        Ok(match of.of {
            AggregateKind::Count => (known.count() as i64).into(),
            AggregateKind::Least => known.min().unwrap_or(Value::Null),
            AggregateKind::Greatest => known.max().unwrap_or(Value::Null),
            AggregateKind::First => { known }.next().unwrap_or(Value::Null),
            AggregateKind::Every => Value::of_bool(known.filter_map(|value| value.as_bool()).reduce(|a, b| a && b)),
            AggregateKind::Any => Value::of_bool(known.filter_map(|value| value.as_bool()).reduce(|a, b| a || b)),
            AggregateKind::Average => {
                let numbers: Vec<f64> = known.filter_map(|value| float(&value)).collect();
                match numbers.is_empty() {
                    true => Value::Null,
                    false => Value::Float(numbers.iter().sum::<f64>() / numbers.len() as f64),
                }
            }
            _ => sum(known)?,
        })
    }
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

fn sum(values: impl Iterator<Item = Value>) -> Result<Value, Error> {
    let too_large = || Error::new("22003", "bigint out of range");
    let mut total = Value::Null;
    for value in values {
        total = match (total, value) {
            (Value::Null, first) => first,
            (Value::Int(a), Value::Int(b)) => a.checked_add(b).ok_or_else(too_large)?.into(),
            (a, b) => Value::Float(float(&a).unwrap_or_default() + float(&b).unwrap_or_default()),
        };
    }
    Ok(total)
}

/// Texts that are not NULL, each but the first behind its own separator.
fn joined(texts: &[Value], between: &[Value]) -> Value {
    let mut out: Option<String> = None;
    for (text, between) in texts.iter().zip(between) {
        let Some(text) = text.as_text() else { continue };
        match &mut out {
            None => out = Some(text.to_owned()),
            Some(out) => {
                out.push_str(between.as_text().unwrap_or_default());
                out.push_str(text);
            }
        }
    }
    out.into()
}
