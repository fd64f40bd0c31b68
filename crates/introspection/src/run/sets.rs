//! Functions that return rows.

use super::{Frame, Run};
use crate::functions::OWN_KEYWORDS;
use crate::plan::{SetCall, SetFunction};
use crate::{Error, Row, Value};
use eddyline_keywords::{KEYWORDS, Kind};

/// Numbers of one series.
const SERIES_MAX: usize = 1_000_000;

impl Run<'_> {
    pub(super) fn set(&self, call: &SetCall, frame: &Frame<'_>) -> Result<Vec<Row>, Error> {
        let arguments = call.arguments.iter().map(|argument| self.value(argument, frame));
        let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
        Ok(match call.of {
            SetFunction::Unnest => side_by_side(&arguments),
            SetFunction::Series => series(&arguments)?,
            SetFunction::Subscripts(first) => match (arguments.first(), arguments.get(1)) {
                (Some(Value::List(items)), Some(Value::Int(1))) => {
                    (first..).take(items.len()).map(|at| [at.into()].into()).collect()
                }
                _ => Vec::new(),
            },
            SetFunction::Expanded => match arguments.first() {
                Some(Value::List(items)) => {
                    items.iter().zip(1_i64..).map(|(item, at)| [item.clone(), at.into()].into()).collect()
                }
                _ => Vec::new(),
            },
            SetFunction::Keywords => keywords(),
            SetFunction::Once => match arguments.into_iter().next() {
                Some(Value::Row(fields)) => vec![fields],
                Some(value) => vec![[value].into()],
                None => Vec::new(),
            },
        })
    }
}

fn side_by_side(arrays: &[Value]) -> Vec<Row> {
    let length = arrays.iter().filter_map(Value::as_list).map(<[Value]>::len).max().unwrap_or_default();
    let item =
        |array: &Value, at: usize| array.as_list().and_then(|items| items.get(at)).cloned().unwrap_or(Value::Null);
    (0..length).map(|at| arrays.iter().map(|array| item(array, at)).collect()).collect()
}

fn series(arguments: &[Value]) -> Result<Vec<Row>, Error> {
    let number = |at: usize| arguments.get(at).and_then(Value::as_int);
    let (Some(begin), Some(end)) = (number(0), number(1)) else { return Ok(Vec::new()) };
    let step = if arguments.len() > 2 { number(2) } else { Some(1) };
    let Some(step) = step else { return Ok(Vec::new()) };
    if step == 0 {
        return Err(Error::new("22023", "step size cannot equal zero"));
    }
    let (mut found, mut next) = (Vec::new(), Some(begin));
    while let Some(at) = next.filter(|at| if step > 0 { *at <= end } else { *at >= end }) {
        if found.len() >= SERIES_MAX {
            return Err(Error::new("54000", format!("a series of more than {SERIES_MAX} numbers")));
        }
        found.push([at.into()].into());
        next = at.checked_add(step);
    }
    Ok(found)
}

fn keywords() -> Vec<Row> {
    let own = OWN_KEYWORDS.iter().map(|word| (*word, Kind::Unreserved));
    let row = |(word, kind): (&str, Kind)| -> Row {
        let (code, what) = match kind {
            Kind::Unreserved => ("U", "unreserved"),
            Kind::ColumnName => ("C", "unreserved (cannot be function or type name)"),
            Kind::TypeOrFunctionName => ("T", "reserved (can be function or type name)"),
            Kind::Reserved => ("R", "reserved"),
        };
        [word.into(), code.into(), what.into()].into()
    };
    KEYWORDS.iter().copied().chain(own).map(row).collect()
}
