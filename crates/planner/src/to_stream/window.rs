//! Windows: which GROUP BY can wait for a window to close, and what it reads.
//!
//! `GROUP BY … window_start, window_end` over a window table function becomes a window aggregate when the time
//! column still follows a watermark. The window columns need not be made for that: the aggregate cuts the time
//! itself (into slices, for HOP), and puts the window columns out.
//!
//! A second GROUP BY by the window columns of such a result (the maximum of counts per window) is a window
//! aggregate too. All rows of one window carry `window_time = window_end - 1 ms`, and two windows' ends are at
//! least a slide apart, so a TUMBLE of one slide whose bounds fall on the windows' ends puts exactly the rows of
//! one window together and closes when that window does.
//!
//! Sessions that close come as rows with their window columns. A GROUP BY by these is one by the window columns of a result: of sessions nothing is known of their
//! ends, so the TUMBLE has one millisecond, and the start is a key like others.

use super::Builder;
use super::aggregate::{Columns, Grouping, check_calls, group_meaning};
use super::graph::NewNode;
use super::join::has_map;
use super::refuse;
use super::stream::{
    Base, Cut, Facts, Sessions, Stream, WindowColumns, Windowing, column, column_at, columns_of, substitute,
};
use crate::SqlError;
use crate::bind::errors;
use crate::bind::window_assign::{self, WindowAssign};
use arrow::datatypes::{IntervalMonthDayNano, Schema, SchemaRef};
use datafusion_common::ScalarValue;
use datafusion_expr::Operator;
use datafusion_physical_expr::expressions::{BinaryExpr, Literal};
use eddyline_functions::scalar;
use eddyline_plan::window::window_fields;
use eddyline_plan::{
    AggregatePhase, ChangeMode, Expression, Input, NamedExpression, NodeId, OperatorSpec, Window, WindowAggregateSpec,
};
use std::sync::Arc;

/// Which column of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Start,
    End,
    Time,
}

/// What a window aggregate reads.
struct Rows {
    /// The rows, without window columns.
    stream: Stream,
    /// Their time column.
    time: usize,
    /// How they are cut.
    cut: Window,
    /// The windows that the query sees; `None`: sessions, with their start among the keys.
    window: Option<Window>,
    /// The grouping over `stream`'s output, without the window columns.
    grouping: Grouping,
    /// For each key of the query: a column of the window, or a key of `grouping`.
    keys: Vec<Result<Part, usize>>,
    /// Conjuncts over the query's window columns, to be tested on the result: column `w` is part `w`.
    after: Vec<Expression>,
}

impl Builder<'_, '_> {
    pub(super) fn window_assign(&mut self, assign: &WindowAssign) -> Result<Stream, SqlError> {
        let below = self.stream(&assign.input)?;
        let time = assign.input.schema().index_of_column(&assign.time).map_err(errors::plain)?;
        let input = below.output_schema().map_err(errors::plain)?;
        let added = window_fields(input.field(time).data_type());
        let schema = Arc::new(Schema::new(input.fields().iter().cloned().chain(added).collect::<Vec<_>>()));
        if !below.output_facts().event_time.contains(&time) && self.is_processing_time(&below, time) {
            return Err(processing_time(input.field(time).name()));
        }
        let (cut, facts) = match &assign.cut {
            window_assign::Cut::Fixed(window) => (Cut::Fixed(*window), assigned_facts(&below, time, *window)),
            window_assign::Cut::Sessions { gap_ms, partition } => {
                let place = |c| assign.input.schema().index_of_column(c).map_err(errors::plain);
                let partition = partition.iter().map(place).collect::<Result<Vec<_>, _>>()?;
                self.check_sessions(&input)?;
                let closes = self.planner.options.emit.waits() && below.output_facts().event_time.contains(&time);
                let sessions = Sessions { gap_ms: *gap_ms, partition, closes };
                let facts = session_facts(&below, &sessions);
                (Cut::Sessions(sessions), facts)
            }
        };
        let windowing = Windowing { below, cut, time };
        Ok(Stream::over(Base::Window(Box::new(windowing)), schema, facts))
    }

    /// Rows are kept by value: their types must have an order.
    fn check_sessions(&self, input: &Schema) -> Result<(), SqlError> {
        match input.fields().iter().find(|f| has_map(f.data_type())) {
            Some(field) => Err(refuse::unsupported(&format!("sessions of rows with the MAP column {}", field.name()))
                .with_hint("take the values that are needed out of the map below")),
            None => Ok(()),
        }
    }

    /// Does a column of a stream tell when the row was computed?
    fn is_processing_time(&self, stream: &Stream, at: usize) -> bool {
        let expression = &stream.project[at].expression;
        let Some(below) = column(expression) else { return scalar::tells_time(expression.physical()) };
        let of = |project: &[NamedExpression]| scalar::tells_time(project[below].expression.physical());
        match &stream.base {
            Base::Source(spec) => of(&spec.project),
            Base::Node(node) => match &self.graph.node(*node).spec {
                OperatorSpec::Source(spec) => of(&spec.project),
                OperatorSpec::Calc(spec) => of(&spec.project),
                _ => false,
            },
            _ => false,
        }
    }

    /// The window aggregate of a grouping; `None` where it is an ordinary one.
    pub(super) fn window_aggregate(&mut self, input: &Stream, grouping: &Grouping) -> Result<Option<Stream>, SqlError> {
        if let Base::Window(windowing) = &input.base
            && let Cut::Sessions(sessions) = &windowing.cut
            && let Some(stream) = self.session_aggregate(input, windowing, sessions, grouping)?
        {
            return Ok(Some(stream));
        }
        if !self.planner.options.emit.waits() {
            return Ok(None);
        }
        let rows = match &input.base {
            Base::Window(windowing) => match &windowing.cut {
                Cut::Fixed(window) => over_assigned(input, windowing, *window, grouping),
                Cut::Sessions(_) => over_windowed(&self.assigned(input.clone())?, grouping),
            },
            _ => over_windowed(input, grouping),
        };
        if let (None, Base::Window(windowing)) = (&rows, &input.base) {
            self.warn_of_updates(windowing);
        }
        rows.map(|rows| self.window_stream(rows)).transpose()
    }

    fn warn_of_updates(&mut self, windowing: &Windowing) {
        let name = &windowing.below.project[windowing.time].name;
        let followed = windowing.below.output_facts().event_time.contains(&windowing.time);
        self.warnings.push(match followed {
            false => format!(
                "windows over {name} never close, because no watermark follows it: results are handed out as they are and corrected later"
            ),
            true => format!(
                "a GROUP BY over windows of {name} is not by the window alone: results are handed out as they are and corrected later"
            ),
        });
    }

    fn window_stream(&mut self, rows: Rows) -> Result<Stream, SqlError> {
        let input = rows.stream.output_schema().map_err(errors::plain)?;
        let mut columns = Columns::of(&rows.grouping, &input)?;
        let time = columns.slot(&column_at(input.field(rows.time), rows.time), "time");
        let read = self.projected(rows.stream, columns.project.clone())?;
        let append_only = read.facts.mode == ChangeMode::AppendOnly;
        check_calls(&columns.calls, append_only, &read.facts.reason)?;
        let below = self.node(read)?;
        let spec = WindowAggregateSpec {
            window: rows.cut,
            time,
            time_type: self.graph.node(below).schema.field(time).data_type().clone(),
            keys: columns.keys.clone(),
            calls: columns.calls.clone(),
            phase: AggregatePhase::Single,
            append_only,
        };
        let facts = window_facts(&spec, rows.window);
        let words = format!("{:?} on {} {}", rows.cut, input.field(rows.time).name(), group_meaning(&rows.grouping));
        let distinct = spec.calls.iter().any(|c| c.distinct);
        let options = self.planner.options;
        let node = if append_only && !distinct && options.two_phase && options.shards > 1 {
            self.window_phases(spec, below, &facts, words)
        } else {
            let by = Input::hash(below, spec.keys.clone());
            self.window_node(spec, by, &facts, words, below)
        };
        let schema = self.graph.node(node).schema.clone();
        let first = columns.keys.len() + columns.calls.len();
        let parts = window_parts(&schema, first, rows.cut, rows.window);
        Ok(put_out(node, schema, facts, &parts, &rows.after, &rows.keys, &columns))
    }

    fn window_phases(&mut self, spec: WindowAggregateSpec, rows: NodeId, facts: &Facts, words: String) -> NodeId {
        let partials = Facts::append_only("partial results are added up");
        let local = WindowAggregateSpec { phase: AggregatePhase::Local, ..spec.clone() };
        let local = self.window_node(local, Input::forward(rows), &partials, format!("local {words}"), rows);
        let keys: Vec<usize> = (0..spec.keys.len()).collect();
        let global = WindowAggregateSpec { phase: AggregatePhase::Global, keys: keys.clone(), ..spec };
        self.window_node(global, Input::hash(local, keys), facts, words, rows)
    }

    fn window_node(
        &mut self,
        spec: WindowAggregateSpec,
        input: Input,
        facts: &Facts,
        words: String,
        rows: NodeId,
    ) -> NodeId {
        let schema = spec.output_schema(&self.graph.node(input.from).schema);
        self.graph.add(NewNode {
            meaning: words,
            spec: OperatorSpec::WindowAggregate(spec),
            inputs: vec![input],
            schema,
            traits: facts.traits(),
            of: vec![rows],
        })
    }
}

/// The columns of a query over the node of its aggregate: `keys` are parts of the window or keys of the aggregate. `after` are conjuncts over the window's
/// parts.
pub(super) fn put_out(
    node: NodeId,
    schema: SchemaRef,
    facts: Facts,
    parts: &[NamedExpression],
    after: &[Expression],
    keys: &[Result<Part, usize>],
    columns: &Columns,
) -> Stream {
    let mut stream = Stream::over(Base::Node(node), schema.clone(), facts);
    stream.predicates = after.iter().map(|p| substitute(p, parts)).collect();
    let named = |at: usize| NamedExpression::new(column_at(schema.field(at), at), schema.field(at).name());
    let keys = keys.iter().map(|k| match k {
        Ok(part) => parts[*part as usize].clone(),
        Err(key) => named(columns.key_at[*key]),
    });
    let calls = columns.call_at.iter().map(|c| named(columns.keys.len() + c));
    stream.project = keys.chain(calls).collect();
    stream
}

/// What is known of rows with fixed windows.
fn assigned_facts(below: &Stream, time: usize, window: Window) -> Facts {
    let mut facts = below.output_facts();
    let width = below.project.len();
    if let Window::Hop { .. } = window {
        facts.keys.iter_mut().for_each(|k| k.push(width));
    }
    if facts.event_time.contains(&time) {
        // The last moment of a window is never before the row's time.
        facts.event_time.push(width + 2);
    }
    facts.windows = None;
    facts
}

/// What is known of rows with their sessions.
fn session_facts(below: &Stream, sessions: &Sessions) -> Facts {
    let before = below.output_facts();
    let width = below.project.len();
    let mut facts = if sessions.closes {
        Facts::append_only("a row is handed out once, when its session closes")
    } else {
        Facts::append_only("a row is replaced when its session changes")
    };
    // A row that is taken back when its session has closed stays, beside one that takes its place.
    if before.mode == ChangeMode::AppendOnly || !sessions.closes {
        facts.keys = before.keys;
    }
    facts.hashed_by = Some(sessions.partition.clone());
    facts.ttl = before.ttl;
    if sessions.closes {
        facts.event_time = vec![width + 2];
        facts.windows =
            Some(WindowColumns { window: None, start: Some(width), end: Some(width + 1), time: Some(width + 2) });
    } else {
        facts.mode = ChangeMode::Retract;
    }
    facts
}

fn processing_time(column: &str) -> SqlError {
    SqlError::new(SqlError::UNSUPPORTED, format!("windows over processing time ({column}) are not supported"))
        .with_hint(format!(
            "make the time of arrival event time: {column} AS CURRENT_TIMESTAMP, WATERMARK FOR {column} AS {column}"
        ))
}

/// A grouping over a window table function, with filters and projections between.
fn over_assigned(input: &Stream, windowing: &Windowing, window: Window, grouping: &Grouping) -> Option<Rows> {
    let below = &windowing.below;
    if !below.output_facts().event_time.contains(&windowing.time) {
        return None;
    }
    let width = below.project.len();
    let (grouping, keys) = split_keys(input, grouping, |c| part_at(c, width))?;
    let (stream, after) = predicates_apart(input, below, |_| true)?;
    Some(Rows { stream, time: windowing.time, cut: window, window: Some(window), grouping, keys, after })
}

/// Which column of a window follows `width` others at a place.
pub(super) fn part_at(column: usize, width: usize) -> Option<Part> {
    [Part::Start, Part::End, Part::Time].get(column.checked_sub(width)?).copied()
}

/// The rows `below` windows of which the predicates above them leave some, and the predicates on the window. `goes_below` says of columns whether predicates on them may
/// be tested before. `None` where one is neither.
pub(super) fn predicates_apart(
    input: &Stream,
    below: &Stream,
    goes_below: impl Fn(usize) -> bool,
) -> Option<(Stream, Vec<Expression>)> {
    let width = below.project.len();
    let mut stream = below.clone();
    let mut after = Vec::new();
    for predicate in &input.predicates {
        let columns = columns_of(predicate);
        if columns.iter().all(|c| *c < width && goes_below(*c)) {
            stream.predicates.push(stream.pushed(predicate));
        } else if columns.iter().all(|c| *c >= width) {
            let moved = super::stream::rewrite_columns(predicate, |c| {
                column_at(input.schema.field(c), c - width).physical().clone()
            });
            after.push(moved);
        } else {
            return None;
        }
    }
    Some((stream, after))
}

/// A grouping by the window columns of a window aggregate's result.
fn over_windowed(input: &Stream, grouping: &Grouping) -> Option<Rows> {
    let windows = input.facts.windows.clone()?;
    let time = windows.time.filter(|t| input.facts.event_time.contains(t))?;
    let part = |c: usize| match Some(c) {
        // The start of a session does not follow from its end.
        c if c == windows.start => windows.window.map(|_| Part::Start),
        c if c == windows.end => Some(Part::End),
        c if c == windows.time => Some(Part::Time),
        _ => None,
    };
    let (grouping, keys) = split_keys(input, grouping, part)?;
    let mut stream = input.clone();
    stream.project = super::stream::identity(&input.schema);
    let cut = windows.window.map_or(Window::Tumble { size_ms: 1, offset_ms: 0 }, |window| {
        let slide_ms = window.slide_ms();
        let offset_ms = (window.offset_ms() + window.size_ms()).rem_euclid(slide_ms);
        Window::Tumble { size_ms: slide_ms, offset_ms }
    });
    Some(Rows { stream, time, cut, window: windows.window, grouping, keys, after: vec![] })
}

/// Parts a grouping into window columns and the rest, over the columns of `input`'s base. `None` where there is no
/// window column among the keys, or where an argument or another key reads one that the rows will not have.
pub(super) fn split_keys(
    input: &Stream,
    grouping: &Grouping,
    part: impl Fn(usize) -> Option<Part>,
) -> Option<(Grouping, Vec<Result<Part, usize>>)> {
    let mut kept = Grouping { keys: vec![], calls: vec![] };
    let mut keys = Vec::new();
    for key in &grouping.keys {
        let pushed = input.pushed(&key.expression);
        match column(&pushed).and_then(&part) {
            Some(part) => keys.push(Ok(part)),
            None => {
                keys.push(Err(kept.keys.len()));
                kept.keys.push(NamedExpression::new(pushed, key.name.clone()));
            }
        }
    }
    kept.calls = grouping.calls.iter().map(|c| c.mapped(|e| input.pushed(e))).collect();
    // A window aggregate over assigned windows never makes the window columns for its rows.
    let assigned = matches!(input.base, Base::Window(_));
    let reads_window = |e: &Expression| assigned && columns_of(e).into_iter().any(|c| part(c).is_some());
    let clean = !kept.keys.iter().any(|k| reads_window(&k.expression))
        && !kept.calls.iter().flat_map(|c| c.expressions()).any(reads_window);
    (clean && keys.iter().any(Result::is_ok)).then_some((kept, keys))
}

/// The columns `first` and the two after it: start, end and time of a window.
pub(super) fn window_columns(schema: &Schema, first: usize) -> Vec<NamedExpression> {
    let plain = |at: usize| NamedExpression::new(column_at(schema.field(at), at), schema.field(at).name());
    vec![plain(first), plain(first + 1), plain(first + 2)]
}

/// The window columns of a result, which begin at column `first`.
fn window_parts(schema: &Schema, first: usize, cut: Window, window: Option<Window>) -> Vec<NamedExpression> {
    let mut parts = window_columns(schema, first);
    if let Some(window) = window.filter(|window| cut.size_ms() != window.size_ms()) {
        // Cut by the slide: the window begins a whole size before its end.
        let size = IntervalMonthDayNano::new(0, 0, window.size_ms() * 1_000_000);
        let size = Literal::new(ScalarValue::IntervalMonthDayNano(Some(size)));
        let end = parts[1].expression.physical().clone();
        parts[0].expression = Expression::new(Arc::new(BinaryExpr::new(end, Operator::Minus, Arc::new(size))));
    }
    parts
}

fn window_facts(spec: &WindowAggregateSpec, window: Option<Window>) -> Facts {
    let keys: Vec<usize> = (0..spec.keys.len()).collect();
    let first = spec.keys.len() + spec.calls.len();
    let mut facts = Facts::append_only("a window's result is handed out once, when the window closes");
    facts.keys = [first + 1, first, first + 2].map(|w| keys.iter().copied().chain([w]).collect()).to_vec();
    facts.event_time = vec![first + 2];
    facts.hashed_by = Some(keys);
    let start = window.filter(|window| spec.window.size_ms() == window.size_ms()).map(|_| first);
    facts.windows = Some(WindowColumns { window, start, end: Some(first + 1), time: Some(first + 2) });
    facts
}
