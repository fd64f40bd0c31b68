//! GROUPING SETS, CUBE and ROLLUP.
//!
//! Every row is handed on once per grouping set that has keys, with NULL for the keys that the set leaves out and with the number of
//! the set, and all of them go into one aggregate by keys and number: one state, one exchange, and before the
//! exchange one local aggregation. Handing on costs nothing per row: the columns are shared, and a column of NULLs is
//! made per batch. The number keeps a NULL that is a key's value apart from one that stands for a key left out.
//!
//! Where every set has a window's columns, each set is a window aggregate of its own: windows close one by one, and a
//! union of them closes as they do.
//!
//! The grouping `()` has a row even over nothing, as an aggregate without GROUP BY has: it is one, beside the others.

use super::Builder;
use super::aggregate::{Call, Grouping};
use super::stream::{Base, Facts, Stream, column_at};
use crate::SqlError;
use crate::bind::errors;
use arrow::datatypes::{DataType, Schema};
use datafusion_common::ScalarValue;
use datafusion_expr::utils::grouping_set_to_exprlist;
use datafusion_expr::{Aggregate, Expr, GroupingSet};
use datafusion_physical_expr::expressions::{CastExpr, Literal};
use eddyline_plan::{Expression, NamedExpression};
use std::sync::Arc;

/// CUBE doubles the sets with every column.
const SETS_MAX: usize = 4096;

/// One grouping set: which of all keys it groups by, and its number.
struct Set {
    has: Vec<bool>,
    /// As `Aggregate::INTERNAL_GROUPING_ID` has it: a bit per key left out, the last key lowest; above them which
    /// of several equal sets it is.
    number: i64,
}

impl Builder<'_, '_> {
    /// The aggregate of `sets`.
    pub(super) fn grouping_sets(&mut self, aggregate: &Aggregate, sets: &GroupingSet) -> Result<Stream, SqlError> {
        let exprs = grouping_set_to_exprlist(&aggregate.group_expr).map_err(errors::plain)?;
        let sets = numbered(&exprs, sets)?;
        let fields = aggregate.schema.fields();
        let mut keys = Vec::new();
        for (expr, field) in exprs.iter().zip(fields) {
            keys.push(NamedExpression::new(self.compiler.compile(expr, aggregate.input.schema())?, field.name()));
        }
        let calls = self.calls(aggregate, keys.len() + 1)?;
        let mut input = self.stream(&aggregate.input)?;
        if let Base::Window(windowing) = &mut input.base {
            match windowing.fixed() {
                Some(_) => windowing.below = self.settled(windowing.below.clone())?,
                None => input = self.assigned(input)?,
            }
        }
        let grouping = Grouping { keys, calls };
        let mut stream = match self.over_windows(&input, &grouping, &sets)? {
            Some(stream) => stream,
            None => self.expanded(input, &grouping, &sets)?,
        };
        for (named, field) in stream.project.iter_mut().zip(fields) {
            named.name.clone_from(field.name());
        }
        let number = &mut stream.project[grouping.keys.len()];
        let wanted = fields[grouping.keys.len()].data_type().clone();
        number.expression =
            Expression::new(Arc::new(CastExpr::new(number.expression.physical().clone(), wanted, None)));
        Ok(stream)
    }

    /// One aggregate by keys and number over the rows of all sets, and one for each set without keys.
    fn expanded(&mut self, input: Stream, grouping: &Grouping, sets: &[Set]) -> Result<Stream, SqlError> {
        let width = grouping.keys.len();
        let mut read: Vec<Expression> = Vec::new();
        for expression in grouping.calls.iter().flat_map(Call::expressions) {
            if !read.contains(expression) {
                read.push(expression.clone());
            }
        }
        let arguments = read.iter().enumerate().map(|(at, e)| NamedExpression::new(e.clone(), format!("argument{at}")));
        let all: Vec<NamedExpression> = grouping.keys.iter().cloned().chain(arguments).collect();
        let rows = self.projected(input, all)?;
        let rows = self.settled(rows)?;
        let (keyed, total): (Vec<&Set>, Vec<&Set>) = sets.iter().partition(|set| set.has.contains(&true));
        let mut results = Vec::new();
        if !keyed.is_empty() {
            let streams = keyed.into_iter().map(|set| with_set(&rows, set)).collect::<Result<Vec<_>, _>>()?;
            let united = self.united(streams)?;
            let keys = united.project[..=width].to_vec();
            let calls = over(&grouping.calls, &read, &united.project[width + 1..]);
            results.push(self.group_aggregate(united, &Grouping { keys, calls })?);
        }
        let schema = output(&rows)?;
        let types: Vec<DataType> = schema.fields()[..width].iter().map(|f| f.data_type().clone()).collect();
        for set in total {
            let calls = over(&grouping.calls, &read, &rows.project[width..]);
            let stream = self.group_aggregate(rows.clone(), &Grouping { keys: vec![], calls })?;
            results.push(spread(stream, set, &types)?);
        }
        if results.len() > 1 { self.united(results) } else { results.pop().ok_or_else(no_sets) }
    }

    /// A window aggregate per set; `None` where the first set is none.
    fn over_windows(&mut self, input: &Stream, grouping: &Grouping, sets: &[Set]) -> Result<Option<Stream>, SqlError> {
        let mut streams = Vec::new();
        for set in sets {
            let kept = grouping.keys.iter().zip(&set.has).filter(|(_, has)| **has).map(|(key, _)| key.clone());
            let part = Grouping { keys: kept.collect(), calls: grouping.calls.clone() };
            let stream = match self.window_aggregate(input, &part)? {
                Some(stream) => stream,
                None if streams.is_empty() => return Ok(None),
                None => self.group_aggregate(input.clone(), &part)?,
            };
            streams.push((set, stream));
        }
        let schema = output(input)?;
        let types = grouping.keys.iter().map(|k| k.expression.data_type(&schema).map_err(errors::plain));
        let types = types.collect::<Result<Vec<DataType>, SqlError>>()?;
        let all =
            streams.into_iter().map(|(set, stream)| spread(stream, set, &types)).collect::<Result<Vec<_>, _>>()?;
        self.united(all).map(Some)
    }
}

/// The calls over columns that hold what they `read`.
fn over(calls: &[Call], read: &[Expression], columns: &[NamedExpression]) -> Vec<Call> {
    let place = |e: &Expression| read.iter().position(|r| r == e);
    let to = |e: &Expression| place(e).map_or_else(|| e.clone(), |at| columns[at].expression.clone());
    calls.iter().map(|call| call.mapped(to)).collect()
}

fn no_sets() -> SqlError {
    SqlError::new(SqlError::INVALID, "GROUPING SETS without any set").with_hint("write GROUPING SETS ((a), ())")
}

fn output(stream: &Stream) -> Result<Arc<Schema>, SqlError> {
    stream.output_schema().map_err(errors::plain)
}

/// `rows` (keys, then arguments) as they are in one set: keys, number, arguments.
fn with_set(rows: &Stream, set: &Set) -> Result<Stream, SqlError> {
    let schema = output(rows)?;
    let mut stream = rows.clone();
    stream.facts = Facts { keys: vec![], hashed_by: None, ..stream.facts };
    stream.project.clear();
    for (at, field) in schema.fields().iter().enumerate() {
        let left_out = set.has.get(at).is_some_and(|has| !has);
        let expression = if left_out { null(field.data_type())? } else { column_at(field, at) };
        if at == set.has.len() {
            stream.project.push(number(set));
        }
        stream.project.push(NamedExpression::new(expression, field.name()));
    }
    if schema.fields().len() == set.has.len() {
        stream.project.push(number(set));
    }
    Ok(stream)
}

/// The result of one set's aggregate (its keys, then the calls): all keys, number, calls.
fn spread(mut stream: Stream, set: &Set, types: &[DataType]) -> Result<Stream, SqlError> {
    let mut own = std::mem::take(&mut stream.project).into_iter();
    for (has, data_type) in set.has.iter().zip(types) {
        let kept = if *has { own.next() } else { None };
        stream.project.push(match kept {
            Some(key) => key,
            None => NamedExpression::new(null(data_type)?, "key"),
        });
    }
    stream.project.push(number(set));
    stream.project.extend(own);
    Ok(stream)
}

fn null(data_type: &DataType) -> Result<Expression, SqlError> {
    let value = ScalarValue::try_from(data_type).map_err(errors::plain)?;
    Ok(Expression::new(Arc::new(Literal::new(value))))
}

fn number(set: &Set) -> NamedExpression {
    let value = Literal::new(ScalarValue::Int64(Some(set.number)));
    NamedExpression::new(Expression::new(Arc::new(value)), Aggregate::INTERNAL_GROUPING_ID)
}

/// The sets over all keys, in order.
fn numbered(exprs: &[&Expr], sets: &GroupingSet) -> Result<Vec<Set>, SqlError> {
    let count = match sets {
        GroupingSet::Rollup(keys) => keys.len() + 1,
        GroupingSet::Cube(keys) => 1usize.checked_shl(keys.len() as u32).unwrap_or(usize::MAX),
        GroupingSet::GroupingSets(sets) => sets.len(),
    };
    if count > SETS_MAX || exprs.len() > 40 {
        return Err(SqlError::new(SqlError::UNSUPPORTED, format!("{count} grouping sets over {} keys", exprs.len()))
            .with_hint(format!(
                "there may be {SETS_MAX} sets over 40 keys: write GROUPING SETS with those that are needed"
            )));
    }
    let listed: Vec<Vec<&Expr>> = match sets {
        GroupingSet::Rollup(keys) => (0..count).map(|n| keys[..keys.len() - n].iter().collect()).collect(),
        GroupingSet::Cube(keys) => {
            let in_set = |mask: usize, at: usize| mask >> (keys.len() - 1 - at) & 1 == 0;
            let set = |mask| keys.iter().enumerate().filter(|(at, _)| in_set(mask, *at)).map(|(_, k)| k).collect();
            (0..count).map(set).collect()
        }
        GroupingSet::GroupingSets(sets) => sets.iter().map(|set| set.iter().collect()).collect(),
    };
    let mut made: Vec<Set> = Vec::new();
    for set in listed {
        let has: Vec<bool> = exprs.iter().map(|e| set.contains(e)).collect();
        let bits = has.iter().fold(0, |bits: i64, has| bits << 1 | i64::from(!has));
        let before = made.iter().filter(|other| other.has == has).count() as i64;
        made.push(Set { has, number: before << exprs.len() | bits });
    }
    Ok(made)
}
