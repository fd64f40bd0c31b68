//! Values of expressions.

use super::{Frame, Run};
use crate::cast::cast;
use crate::plan::{Comparison, Expr, Matching, Operation, Query};
use crate::{Error, Value};
use std::cmp::Ordering;

impl Run<'_> {
    /// Is a condition true? NULL is not.
    pub(super) fn holds(&self, condition: &Expr, frame: &Frame<'_>) -> Result<bool, Error> {
        Ok(self.value(condition, frame)? == Value::Bool(true))
    }

    pub(super) fn value(&self, expr: &Expr, frame: &Frame<'_>) -> Result<Value, Error> {
        Ok(match expr {
            Expr::Constant(value) => value.clone(),
            Expr::Parameter(at) => self.parameters.get(*at).cloned().unwrap_or(Value::Null),
            Expr::Column { up, at } => column(frame, *up, *at)?,
            Expr::Aggregate(at) => frame.aggregates.get(*at).cloned().unwrap_or(Value::Null),
            Expr::Window(at) => frame.windows.get(*at).cloned().unwrap_or(Value::Null),
            Expr::Set(at) => frame.sets.get(*at).cloned().unwrap_or(Value::Null),
            Expr::Cast { of, from, to } => cast(&self.value(of, frame)?, from, to, self.environment)?,
            Expr::Compare(of, a, b) => compare(*of, &self.value(a, frame)?, &self.value(b, frame)?),
            Expr::Compute(of, a, b) => compute(*of, &self.value(a, frame)?, &self.value(b, frame)?)?,
            Expr::Negative(of) => match self.value(of, frame)? {
                Value::Int(number) => number.checked_neg().ok_or_else(out_of_range)?.into(),
                Value::Float(number) => Value::Float(-number),
                _ => Value::Null,
            },
            Expr::Concat(a, b) => match (self.value(a, frame)?, self.value(b, frame)?) {
                (Value::Text(a), Value::Text(b)) => format!("{a}{b}").into(),
                _ => Value::Null,
            },
            Expr::Append(a, b) => append(self.value(a, frame)?, self.value(b, frame)?),
            Expr::And(a, b) => match self.value(a, frame)?.as_bool() {
                Some(false) => Value::Bool(false),
                a => match (a, self.value(b, frame)?.as_bool()) {
                    (_, Some(false)) => Value::Bool(false),
                    (Some(true), Some(true)) => Value::Bool(true),
                    _ => Value::Null,
                },
            },
            Expr::Or(a, b) => match self.value(a, frame)?.as_bool() {
                Some(true) => Value::Bool(true),
                a => match (a, self.value(b, frame)?.as_bool()) {
                    (_, Some(true)) => Value::Bool(true),
                    (Some(false), Some(false)) => Value::Bool(false),
                    _ => Value::Null,
                },
            },
            Expr::Not(of) => Value::of_bool(self.value(of, frame)?.as_bool().map(|value| !value)),
            Expr::IsNull(of) => self.value(of, frame)?.is_null().into(),
            Expr::Is(of, wanted) => (self.value(of, frame)?.as_bool() == Some(*wanted)).into(),
            Expr::Same(a, b) => (self.value(a, frame)? == self.value(b, frame)?).into(),
            Expr::In(of, list) => {
                let of = self.value(of, frame)?;
                let values = list.iter().map(|item| self.value(item, frame));
                quantified(Comparison::Equal, &of, values, false)?
            }
            Expr::InQuery(of, query) => {
                let of = self.value(of, frame)?;
                self.quantified_query(Comparison::Equal, &of, query, false, frame)?
            }
            Expr::Quantified { of, left, right, all } => {
                let left = self.value(left, frame)?;
                match self.value(right, frame)? {
                    Value::List(items) => quantified(*of, &left, items.iter().cloned().map(Ok), *all)?,
                    _ => Value::Null,
                }
            }
            Expr::QuantifiedQuery { of, left, query, all } => {
                let left = self.value(left, frame)?;
                self.quantified_query(*of, &left, query, *all, frame)?
            }
            Expr::Match(matching, text, pattern) => {
                self.matches(*matching, &self.value(text, frame)?, &self.value(pattern, frame)?)?
            }
            Expr::Case { whens, otherwise } => {
                for (when, then) in whens {
                    if self.holds(when, frame)? {
                        return self.value(then, frame);
                    }
                }
                match otherwise {
                    Some(otherwise) => self.value(otherwise, frame)?,
                    None => Value::Null,
                }
            }
            Expr::Coalesce(list) => {
                for item in list {
                    let value = self.value(item, frame)?;
                    if !value.is_null() {
                        return Ok(value);
                    }
                }
                Value::Null
            }
            Expr::Call(function, arguments) => {
                let arguments = self.values(arguments, frame)?;
                match function.strict && arguments.iter().any(Value::is_null) {
                    true => Value::Null,
                    false => (function.run)(&arguments)?,
                }
            }
            Expr::Ask(name, arguments) => self.environment.call(name, &self.values(arguments, frame)?)?,
            Expr::List(items) => Value::list(self.values(items, frame)?),
            Expr::Row(fields) => Value::Row(self.values(fields, frame)?.into()),
            Expr::Item { of, at, first } => match (self.value(of, frame)?, self.value(at, frame)?) {
                (Value::List(items), Value::Int(at)) => {
                    let place = at.checked_sub(*first).and_then(|at| usize::try_from(at).ok());
                    place.and_then(|at| items.get(at)).cloned().unwrap_or(Value::Null)
                }
                _ => Value::Null,
            },
            Expr::Field(of, at) => match self.value(of, frame)? {
                Value::Row(fields) => fields.get(*at).cloned().unwrap_or(Value::Null),
                _ => Value::Null,
            },
            Expr::Scalar(query) => {
                let rows = self.kept(query, Some(frame))?;
                match rows.as_slice() {
                    [] => Value::Null,
                    [row] => row.first().cloned().unwrap_or(Value::Null),
                    _ => {
                        let message = "more than one row returned by a subquery used as an expression";
                        return Err(Error::new("21000", message));
                    }
                }
            }
            Expr::Exists(query) => (!self.kept(query, Some(frame))?.is_empty()).into(),
            Expr::ListOf(query) => {
                let rows = self.kept(query, Some(frame))?;
                Value::list(rows.iter().map(|row| row.first().cloned().unwrap_or(Value::Null)))
            }
        })
    }

    fn values(&self, exprs: &[Expr], frame: &Frame<'_>) -> Result<Vec<Value>, Error> {
        exprs.iter().map(|expr| self.value(expr, frame)).collect()
    }

    fn quantified_query(
        &self,
        of: Comparison,
        left: &Value,
        query: &Query,
        all: bool,
        frame: &Frame<'_>,
    ) -> Result<Value, Error> {
        let rows = self.kept(query, Some(frame))?;
        let value = |row: &crate::Row| match left {
            Value::Row(_) => Ok(Value::Row(row.clone())),
            _ => Ok(row.first().cloned().unwrap_or(Value::Null)),
        };
        quantified(of, left, rows.iter().map(value), all)
    }

    fn matches(&self, matching: Matching, text: &Value, pattern: &Value) -> Result<Value, Error> {
        let (Some(text), Some(pattern)) = (text.as_text(), pattern.as_text()) else { return Ok(Value::Null) };
        let regex = match matching.like {
            true => self.regex(&of_like(pattern, matching.escape), matching.any_case)?,
            false => self.regex(pattern, matching.any_case)?,
        };
        Ok(regex.is_match(text).into())
    }
}

fn column(frame: &Frame<'_>, up: usize, at: usize) -> Result<Value, Error> {
    let mut around = frame;
    for _ in 0..up {
        around = around.above.ok_or_else(|| Error::new("XX000", "a row around a query is missing"))?;
    }
    around.row.get(at).cloned().ok_or_else(|| Error::new("XX000", "a column of a row is missing"))
}

fn compare(of: Comparison, a: &Value, b: &Value) -> Value {
    if a.is_null() || b.is_null() {
        return Value::Null;
    }
    let order = a.cmp(b);
    Value::Bool(match of {
        Comparison::Equal => order == Ordering::Equal,
        Comparison::NotEqual => order != Ordering::Equal,
        Comparison::Less => order == Ordering::Less,
        Comparison::LessOrEqual => order != Ordering::Greater,
        Comparison::Greater => order == Ordering::Greater,
        Comparison::GreaterOrEqual => order != Ordering::Less,
    })
}

/// ANY is true where one comparison is; ALL is false where one is. A comparison that is NULL leaves it open.
fn quantified(
    of: Comparison,
    left: &Value,
    right: impl Iterator<Item = Result<Value, Error>>,
    all: bool,
) -> Result<Value, Error> {
    let mut is_open = false;
    for value in right {
        match compare(of, left, &value?).as_bool() {
            Some(found) if found != all => return Ok(Value::Bool(found)),
            Some(_) => {}
            None => is_open = true,
        }
    }
    Ok(if is_open { Value::Null } else { Value::Bool(all) })
}

fn out_of_range() -> Error {
    Error::new("22003", "bigint out of range")
}

fn compute(of: Operation, a: &Value, b: &Value) -> Result<Value, Error> {
    let by_zero = || Error::new("22012", "division by zero");
    Ok(match (a, b) {
        (Value::Int(a), Value::Int(b)) => {
            let whole = match of {
                Operation::Divide | Operation::Remainder if *b == 0 => return Err(by_zero()),
                Operation::Add => a.checked_add(*b),
                Operation::Subtract => a.checked_sub(*b),
                Operation::Multiply => a.checked_mul(*b),
                Operation::Divide => a.checked_div(*b),
                Operation::Remainder => a.checked_rem(*b),
                Operation::And => Some(a & b),
                Operation::Or => Some(a | b),
                Operation::ShiftLeft => u32::try_from(*b).ok().and_then(|b| a.checked_shl(b)),
                Operation::ShiftRight => u32::try_from(*b).ok().and_then(|b| a.checked_shr(b)),
            };
            whole.ok_or_else(out_of_range)?.into()
        }
        (Value::Null, _) | (_, Value::Null) => Value::Null,
        (a, b) => {
            let number = |value: &Value| match value {
                Value::Int(number) => *number as f64,
                Value::Float(number) => *number,
                _ => f64::NAN,
            };
            let (a, b) = (number(a), number(b));
            Value::Float(match of {
                Operation::Divide | Operation::Remainder if b == 0.0 => return Err(by_zero()),
                Operation::Add => a + b,
                Operation::Subtract => a - b,
                Operation::Multiply => a * b,
                Operation::Divide => a / b,
                Operation::Remainder => a % b,
                _ => return Err(Error::new("42883", "operator of whole numbers on others")),
            })
        }
    })
}

fn append(a: Value, b: Value) -> Value {
    match (a, b) {
        (Value::List(a), Value::List(b)) => Value::list(a.iter().chain(b.iter()).cloned()),
        // An array and NULL is the array.
        (Value::Null, Value::List(list)) | (Value::List(list), Value::Null) => Value::List(list),
        (Value::List(list), item) => Value::list(list.iter().cloned().chain([item])),
        (item, Value::List(list)) => Value::list([item].into_iter().chain(list.iter().cloned())),
        _ => Value::Null,
    }
}

/// A pattern of LIKE as a regular expression.
fn of_like(pattern: &str, escape: Option<char>) -> String {
    let mut out = String::from("(?s)^");
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            c if Some(c) == escape => {
                let plain = chars.next().unwrap_or(c);
                out.push_str(&regex::escape(plain.encode_utf8(&mut [0; 4])));
            }
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            c => out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    out.push('$');
    out
}
