//! GROUP BY sessions, where the rows need not be kept for it: accumulators per session.
//!
//! That is so where rows are only inserted, none of the aggregates is DISTINCT, the keys beside the window columns are the columns of
//! PARTITION BY, and no condition is tested between on anything but these or the window. All else is grouped over rows that have their sessions.

use super::Builder;
use super::aggregate::{Columns, Grouping, check_calls, group_meaning};
use super::graph::NewNode;
use super::stream::{Facts, Sessions, Stream, WindowColumns, Windowing, column, column_at};
use super::window::{Part, part_at, predicates_apart, put_out, split_keys, window_columns};
use crate::SqlError;
use crate::bind::errors;
use eddyline_plan::{ChangeMode, Expression, Input, OperatorSpec, SessionAggregateSpec};

/// What the aggregate reads.
struct Rows {
    /// The rows, without window columns.
    stream: Stream,
    /// The grouping over `stream`'s output, without the window columns.
    grouping: Grouping,
    /// For each key of the query: a column of the window, or a key of `grouping`.
    keys: Vec<Result<Part, usize>>,
    /// Conjuncts over the window columns, to be tested on the result: column `w` is part `w`.
    after: Vec<Expression>,
}

impl Builder<'_, '_> {
    /// The aggregate of a grouping over sessions; `None` where it needs the rows.
    pub(super) fn session_aggregate(
        &mut self,
        input: &Stream,
        windowing: &Windowing,
        sessions: &Sessions,
        grouping: &Grouping,
    ) -> Result<Option<Stream>, SqlError> {
        let Some(rows) = rows(input, windowing, sessions, grouping) else { return Ok(None) };
        let schema = rows.stream.output_schema().map_err(errors::plain)?;
        let mut columns = Columns::of(&rows.grouping, &schema)?;
        let name = schema.field(windowing.time).name();
        let time = columns.slot(&column_at(schema.field(windowing.time), windowing.time), "time");
        let read = self.projected(rows.stream, columns.project.clone())?;
        check_calls(&columns.calls, true, &read.facts.reason)?;
        let below_facts = read.output_facts();
        let below = self.node(read)?;
        let spec = SessionAggregateSpec {
            gap_ms: sessions.gap_ms,
            time,
            time_type: self.graph.node(below).schema.field(time).data_type().clone(),
            keys: columns.keys.clone(),
            calls: columns.calls.clone(),
            closes: sessions.closes,
        };
        let facts = facts(&spec);
        let input = Input::hash(below, spec.keys.clone());
        let (schema, gap_ms) = (spec.output_schema(&self.graph.node(below).schema), sessions.gap_ms);
        let spec = OperatorSpec::SessionAggregate(spec);
        let input = if spec.can_forget() { self.kept(&spec, input, &below_facts)? } else { input };
        let node = self.graph.add(NewNode {
            meaning: format!("session {gap_ms} on {name} {}", group_meaning(&rows.grouping)),
            spec,
            inputs: vec![input],
            schema: schema.clone(),
            traits: facts.traits(),
            of: vec![below],
        });
        let parts = window_columns(&schema, columns.keys.len() + columns.calls.len());
        Ok(Some(put_out(node, schema, facts, &parts, &rows.after, &rows.keys, &columns)))
    }
}

fn rows(input: &Stream, windowing: &Windowing, sessions: &Sessions, grouping: &Grouping) -> Option<Rows> {
    let below = &windowing.below;
    let distinct = grouping.calls.iter().any(|call| call.is_distinct());
    if below.facts.mode != ChangeMode::AppendOnly || distinct {
        return None;
    }
    let width = below.project.len();
    let (grouping, keys) = split_keys(input, grouping, |c| part_at(c, width))?;
    let mut by = grouping.keys.iter().map(|key| column(&key.expression)).collect::<Option<Vec<usize>>>()?;
    let mut partition = sessions.partition.clone();
    for columns in [&mut by, &mut partition] {
        columns.sort_unstable();
        columns.dedup();
    }
    if by != partition {
        return None;
    }
    let (stream, after) = predicates_apart(input, below, |c| partition.contains(&c))?;
    Some(Rows { stream, grouping, keys, after })
}

fn facts(spec: &SessionAggregateSpec) -> Facts {
    let keys: Vec<usize> = (0..spec.keys.len()).collect();
    let first = spec.keys.len() + spec.calls.len();
    let by = |w: usize| keys.iter().copied().chain([w]).collect::<Vec<usize>>();
    let mut facts = if spec.closes {
        let mut facts = Facts::append_only("a session's result is handed out once, when the session closes");
        facts.event_time = vec![first + 2];
        facts.windows =
            Some(WindowColumns { window: None, start: Some(first), end: Some(first + 1), time: Some(first + 2) });
        // A session that late rows have made longer may begin as one did that has closed.
        facts.keys = vec![by(first + 1), by(first + 2)];
        facts
    } else {
        let mut facts = Facts::append_only("a session changes its result when more rows come");
        facts.mode = ChangeMode::Retract;
        facts.keys = vec![by(first + 1), by(first), by(first + 2)];
        facts
    };
    facts.hashed_by = Some(keys);
    facts
}
