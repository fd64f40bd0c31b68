//! Filters on the time now: `WHERE ts > NOW() - INTERVAL '1' HOUR` is kept up as time passes.
//!
//! A comparison of the time now (give or take a constant) with a time of the row says from when on, or until when, the row
//! is there. So a conjunction of such comparisons becomes a [`TemporalFilterSpec`]; any other condition on the time now is refused,
//! because nobody can tell when it changes.
//!
//! NOW() is a moment; LOCALTIMESTAMP and CURRENT_DATE are what clocks of the session show: times that are compared with them are
//! taken for moments in the session's zone. (In the hour that clocks go through twice, they are taken to go on.) Months that are added to the
//! time now are left to the room, as these are no fixed shift: those of NOW() are months in UTC, those of the others months of the session's
//! calendar, compared with what clocks show.
//!
//! Where a query goes into a table that takes insertions only, its rows cannot be taken back: there the condition is tested once,
//! when a row comes, as Flink does everywhere.

use super::Builder;
use super::graph::{NewNode, meaning};
use super::join::has_map;
use super::stream::{Base, Facts, Stream};
use crate::SqlError;
use arrow::datatypes::{DataType, IntervalMonthDayNano, Schema, TimeUnit};
use datafusion_common::tree_node::TreeNode;
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::expr::Cast;
use datafusion_expr::{BinaryExpr, Expr, ExprSchemable, Operator, lit};
use eddyline_functions::scalar;
use eddyline_plan::{
    ChangeMode, Distribution, Input, Months, NodeId, OperatorSpec, TemporalFilterSpec, TimeBound, TimeTest,
};

const DAY_MS: i64 = 86_400_000;

/// A [`Base::TemporalFilter`]: everything but which columns are put out.
#[derive(Debug, Clone)]
pub(crate) struct Filtering {
    below: NodeId,
    distribution: Distribution,
    spec: TemporalFilterSpec,
}

/// Does a condition ask what time it is?
pub(super) fn asks_the_time(condition: &Expr) -> bool {
    condition.exists(|e| Ok(matches!(e, Expr::ScalarFunction(f) if scalar::is_clock(&f.func)))).unwrap_or(true)
}

impl Builder<'_, '_> {
    /// The rows for which all `conditions`, each of which asks the time, hold now.
    pub(super) fn temporal_filter(
        &mut self,
        input: Stream,
        conditions: &[Expr],
        below: &DFSchema,
    ) -> Result<Stream, SqlError> {
        let mut ends: Vec<End> = Vec::new();
        for condition in conditions {
            ends.extend(ends_of(condition, below).ok_or_else(|| self.unforeseeable(condition, below))?);
        }
        let times = ends.iter().map(|e| self.compiler.compile(&e.time, below)).collect::<Result<Vec<_>, _>>()?;
        let side = self.side(input, times)?;
        let schema = self.graph.node(side.node).schema.clone();
        check_types(&schema)?;
        let bound = |(end, column): (&End, &usize)| {
            let End { shift_ms, test, months, .. } = *end;
            TimeBound { column: *column, shift_ms, test, months }
        };
        let append_only = side.facts.mode == ChangeMode::AppendOnly;
        let (distribution, by) = meeting(&side.facts, append_only, side.width);
        let bounds = ends.iter().zip(&side.keys).map(bound).collect();
        let zone = self.planner.options.time_zone.clone();
        let spec =
            TemporalFilterSpec { clock: eddyline_plan::Clock::Wall, bounds, zone, append_only, by, output: vec![] };
        let facts = facts(&spec, side.facts, &schema);
        let filtering = Filtering { below: side.node, distribution, spec };
        let mut stream = Stream::over(Base::TemporalFilter(Box::new(filtering)), schema.clone(), facts);
        stream.project.truncate(side.width);
        Ok(stream)
    }

    /// The node of a filter that puts out what `stream` reads, and the stream over it.
    pub(super) fn temporal_filter_node(&mut self, filtering: &Filtering, stream: &Stream) -> (NodeId, Stream) {
        let Filtering { below, distribution, spec } = filtering;
        let (read, facts) = stream.read();
        let spec = TemporalFilterSpec { output: read.clone(), ..spec.clone() };
        let input = self.graph.node(*below).schema.clone();
        let schema = spec.output_schema(&input);
        let bound = |b: &TimeBound| {
            let months = match b.months {
                Some(Months { count, local: false }) => format!(" {count} months"),
                Some(Months { count, local: true }) => format!(" {count} months in {}", spec.zone),
                None => String::new(),
            };
            format!("{:?} {} {}{months}", b.test, meaning(input.field(b.column).name()), b.shift_ms)
        };
        let bounds: Vec<String> = spec.bounds.iter().map(bound).collect();
        let node = self.graph.add(NewNode {
            meaning: format!("while {} {}", spec.now(), bounds.join(" and ")),
            spec: OperatorSpec::TemporalFilter(spec),
            inputs: vec![Input::new(*below, distribution.clone())],
            schema: schema.clone(),
            traits: facts.traits(),
            of: vec![*below],
        });
        (node, stream.over_read(node, schema, &read, facts))
    }

    /// Says that a condition is not kept up.
    pub(super) fn warn_of_testing_once(&mut self, conditions: &[Expr], below: &DFSchema, table: &str) {
        let texts = conditions.iter().map(|c| self.words(c, below)).collect::<Vec<_>>().join(" AND ");
        self.warnings.push(format!(
            "{texts} is tested once, when a row comes: table {table} takes insertions only, and no row can be taken back when its time is over"
        ));
    }

    fn words(&self, condition: &Expr, below: &DFSchema) -> String {
        self.compiler.compile(condition, below).map_or_else(|_| condition.to_string(), meaning)
    }

    fn unforeseeable(&self, condition: &Expr, below: &DFSchema) -> SqlError {
        let message = format!("a condition on the time now that cannot be kept up: {}", self.words(condition, below));
        SqlError::new(SqlError::UNSUPPORTED, message)
            .with_detail("rows come and go as time passes, and when cannot be told from a row")
            .with_hint(
                "compare a time of the row with NOW(), LOCALTIMESTAMP or CURRENT_DATE, plus or minus an INTERVAL (months before days and less), by <, <=, >, >= or BETWEEN, and combine such conditions by AND: ts > NOW() - INTERVAL '1' HOUR",
            )
    }
}

/// Rows of which none is taken back may be anywhere; others must meet what takes them back.
fn meeting(facts: &Facts, append_only: bool, width: usize) -> (Distribution, Option<Vec<usize>>) {
    match &facts.hashed_by {
        _ if append_only => (Distribution::Forward, None),
        Some(columns) => (Distribution::Forward, Some(columns.clone())),
        None => {
            let columns = facts.keys.first().cloned().unwrap_or_else(|| (0..width).collect());
            (Distribution::Hash(columns.clone()), Some(columns))
        }
    }
}

/// What is known of the rows. They come out when the watermark may have passed them.
fn facts(spec: &TemporalFilterSpec, below: Facts, schema: &Schema) -> Facts {
    let mut facts = Facts { event_time: vec![], windows: None, ..below };
    if spec.ends() {
        let times: Vec<&str> =
            spec.bounds.iter().filter(|b| b.ends()).map(|b| schema.field(b.column).name().as_str()).collect();
        facts.mode = ChangeMode::Retract;
        facts.reason = format!("a row goes when the time now has passed its {}", times.join(" or "));
    }
    if let Some(by) = &spec.by {
        facts.hashed_by = Some(by.clone());
    }
    facts
}

/// Rows are kept by value: their types must have an order.
fn check_types(schema: &Schema) -> Result<(), SqlError> {
    match schema.fields().iter().find(|f| has_map(f.data_type())) {
        Some(field) => Err(SqlError::new(
            SqlError::UNSUPPORTED,
            format!("a condition on the time now over rows with the MAP column {}", field.name()),
        )
        .with_hint("take the values that are needed out of the map below")),
        None => Ok(()),
    }
}

/// One end of the time in which a row is there: `now + months <test> time - shift`; `time` is a TIMESTAMP_LTZ, or, with months of the session's
/// calendar, a TIMESTAMP.
struct End {
    time: Expr,
    shift_ms: i64,
    test: TimeTest,
    months: Option<Months>,
}

/// A clock, some months and then some milliseconds on.
#[derive(Clone, Copy)]
struct Now {
    clock: Clock,
    months: i32,
    shift_ms: i64,
}

impl Now {
    /// The clock as it is.
    fn of(clock: Clock) -> Self {
        Self { clock, months: 0, shift_ms: 0 }
    }

    /// Some time later (`sign` 1) or earlier (-1). Months added to a time that was moved before are refused: `None`.
    fn moved(self, by: &Expr, sign: i32) -> Option<Self> {
        let Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) = by else { return None };
        let IntervalMonthDayNano { months, days, nanoseconds } = *interval;
        let is_first = self.months == 0 && self.shift_ms == 0;
        if nanoseconds % 1_000_000 != 0 || (months != 0 && !is_first) {
            return None;
        }
        let ms = i64::from(days).checked_mul(DAY_MS)?.checked_add(nanoseconds / 1_000_000)?;
        let shift_ms = self.shift_ms.checked_add(ms.checked_mul(sign.into())?)?;
        Some(Self { months: self.months.checked_add(months.checked_mul(sign)?)?, shift_ms, ..self })
    }

    /// The months, where there are some.
    fn in_months(self) -> Option<Months> {
        (self.months != 0).then_some(Months { count: self.months, local: self.clock != Clock::Moment })
    }
}

/// What a clock shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Clock {
    /// The moment.
    Moment,
    /// Date and time in the session's zone.
    Local,
    /// The day there.
    Day,
}

/// The ends that a condition gives rows; `None` if it is of another form.
fn ends_of(condition: &Expr, schema: &DFSchema) -> Option<Vec<End>> {
    let compared = |row: &Expr, op: Operator, now: &Expr| -> Option<Vec<End>> {
        let now = now_of(now)?;
        if asks_the_time(row) { None } else { ends(row.clone(), op, now, schema) }
    };
    match condition {
        Expr::Alias(a) => ends_of(&a.expr, schema),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            let (mut ends, more) = (ends_of(left, schema)?, ends_of(right, schema)?);
            ends.extend(more);
            Some(ends)
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            compared(left, *op, right).or_else(|| compared(right, op.swap()?, left))
        }
        Expr::Between(b) if !b.negated => {
            let half = |op, bound: &Expr| compared(&b.expr, op, bound).or_else(|| compared(bound, op.swap()?, &b.expr));
            let (mut ends, more) = (half(Operator::GtEq, &b.low)?, half(Operator::LtEq, &b.high)?);
            ends.extend(more);
            Some(ends)
        }
        _ => None,
    }
}

/// The time now, and what is added to it.
fn now_of(expr: &Expr) -> Option<Now> {
    match expr {
        Expr::Alias(a) => now_of(&a.expr),
        Expr::ScalarFunction(f) if scalar::is_clock(&f.func) => match f.func.name() {
            "now" => Some(Now::of(Clock::Moment)),
            "localtimestamp" => Some(Now::of(Clock::Local)),
            "current_date" => Some(Now::of(Clock::Day)),
            _ => None,
        },
        Expr::Cast(Cast { expr, field }) => {
            let now = now_of(expr)?;
            let clock = match (now.clock, field.data_type()) {
                // The time now has milliseconds; a cast to less would cut them off.
                (Clock::Day, DataType::Date32) => Clock::Day,
                (Clock::Day, _) | (_, DataType::Timestamp(TimeUnit::Second, _)) => return None,
                (_, DataType::Timestamp(_, Some(_))) => Clock::Moment,
                (_, DataType::Timestamp(_, None)) => Clock::Local,
                _ => return None,
            };
            // Months of one calendar are not those of another.
            (now.months == 0 || clock == now.clock).then_some(Now { clock, ..now })
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Plus, right }) => {
            let moved = |now: &Expr, by: &Expr| now_of(now)?.moved(by, 1);
            moved(left, right).or_else(|| moved(right, left))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Minus, right }) => now_of(left)?.moved(right, -1),
        _ => None,
    }
}

/// The ends of `row <op> now`.
fn ends(row: Expr, op: Operator, now: Now, schema: &DFSchema) -> Option<Vec<End>> {
    let data_type = row.get_type(schema).ok()?;
    let Now { clock, shift_ms, .. } = now;
    if clock == Clock::Day {
        return day_ends(row, op, now).filter(|_| data_type == DataType::Date32);
    }
    let test = match op {
        Operator::Gt => TimeTest::Before,
        Operator::GtEq => TimeTest::Until,
        Operator::Lt => TimeTest::After,
        Operator::LtEq => TimeTest::From,
        _ => return None,
    };
    match (clock, data_type) {
        (Clock::Moment, DataType::Timestamp(_, Some(_))) => {
            Some(vec![End { time: row, shift_ms, test, months: now.in_months() }])
        }
        (Clock::Local, DataType::Timestamp(unit, None)) => {
            let time = on_calendar(row, unit, shift_ms.checked_neg()?, now)?;
            Some(vec![End { time, shift_ms: 0, test, months: now.in_months() }])
        }
        _ => None,
    }
}

/// The ends of `day <op> today`: at the midnights where the day begins, or is over.
fn day_ends(day: Expr, op: Operator, now: Now) -> Option<Vec<End>> {
    if now.shift_ms % DAY_MS != 0 {
        return None;
    }
    let end = |test: TimeTest, days: i64| -> Option<End> {
        let by = days.checked_mul(DAY_MS)?.checked_sub(now.shift_ms)?;
        let time = on_calendar(day.clone(), TimeUnit::Second, by, now)?;
        Some(End { time, shift_ms: 0, test, months: now.in_months() })
    };
    Some(match op {
        Operator::Gt => vec![end(TimeTest::Before, 0)?],
        Operator::GtEq => vec![end(TimeTest::Before, 1)?],
        Operator::Lt => vec![end(TimeTest::From, 1)?],
        Operator::LtEq => vec![end(TimeTest::From, 0)?],
        Operator::Eq => vec![end(TimeTest::From, 0)?, end(TimeTest::Before, 1)?],
        _ => return None,
    })
}

/// A local time, moved by so many milliseconds on the session's clocks: as its moment, but as it is where months are added to the time now.
fn on_calendar(local: Expr, unit: TimeUnit, by_ms: i64, now: Now) -> Option<Expr> {
    // Seconds could not be moved by less.
    let unit = if unit == TimeUnit::Second { TimeUnit::Millisecond } else { unit };
    let local = datafusion_expr::cast(local, DataType::Timestamp(unit, None));
    let moved = match by_ms {
        0 => local,
        ms => {
            let interval = IntervalMonthDayNano::new(0, 0, ms.checked_mul(1_000_000)?);
            local + lit(ScalarValue::IntervalMonthDayNano(Some(interval)))
        }
    };
    Some(match now.months {
        0 => datafusion_expr::cast(moved, DataType::Timestamp(unit, Some("UTC".into()))),
        _ => moved,
    })
}
