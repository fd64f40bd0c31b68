//! EXPLAIN STATE, and what is said of state that nothing bounds before a job starts (invariant I5).
//!
//! What operators keep they say themselves ([`eddyline_operators::layouts`]). Here it is put into words.

use crate::settings::UnboundedState;
use eddyline_operators::{Bound, TableLayout, layouts, ttl_of};
use eddyline_plan::{Dataflow, NodeId, TimeToLive};
use eddyline_planner::SqlError;
use std::fmt;

/// The state tables of a plan.
#[derive(Debug, Clone)]
pub(crate) struct KeptState(Vec<Kept>);

/// One table.
#[derive(Debug, Clone)]
struct Kept {
    node: NodeId,
    operator: &'static str,
    table: TableLayout,
    ttl: Option<TimeToLive>,
    way_out: &'static str,
}

impl KeptState {
    /// What the operators of a plan keep; the input of `endless` tables does not end.
    pub(crate) fn of(dataflow: &Dataflow, endless: &[String]) -> Self {
        let layouts = layouts(dataflow, &|source| !endless.contains(&source.table));
        let nodes = dataflow.nodes().iter().zip(layouts);
        let tables = nodes.flat_map(|(node, layout)| {
            let (way_out, operator) = (layout.way_out, node.spec.name());
            let kept = move |(at, table)| Kept { node: node.id, operator, table, ttl: ttl_of(node, at), way_out };
            layout.tables.into_iter().enumerate().map(kept)
        });
        Self(tables.collect())
    }

    /// The warnings about state that nothing bounds.
    ///
    /// # Errors
    /// Such state, where it is not wanted.
    pub(crate) fn checked(&self, wanted: UnboundedState) -> Result<Vec<String>, SqlError> {
        let unbounded: Vec<&Kept> = self.0.iter().filter(|k| !k.table.bound.is_bounded()).collect();
        let Some(first) = unbounded.first() else { return Ok(Vec::new()) };
        match wanted {
            UnboundedState::Allow => Ok(Vec::new()),
            UnboundedState::Warn => Ok(unbounded.iter().map(|k| format!("nothing bounds the state: {k}")).collect()),
            UnboundedState::Error => {
                let all: Vec<String> = unbounded.iter().map(ToString::to_string).collect();
                Err(SqlError::new(SqlError::INVALID, "nothing bounds the state, and 'state.unbounded' is 'error'")
                    .with_detail(all.join("; "))
                    .with_hint(format!("{}; or SET 'state.unbounded' = 'warn'", first.way_out)))
            }
        }
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Kept { node, operator, table, ttl, .. } = self;
        write!(f, "{operator} #{node} keeps {}", table.name)?;
        if !table.key.is_empty() {
            write!(f, " by ({})", table.key.join(", "))?;
        }
        let size = table.entry_bytes;
        match &table.bound {
            Bound::Rows(1) => write!(f, ", one of about {size} bytes")?,
            bound => write!(f, ", about {size} bytes each: {bound}")?,
        }
        match ttl {
            Some(ttl) if !matches!(table.bound, Bound::Ttl(_)) => write!(f, "; {}", Bound::Ttl(*ttl)),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for KeptState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return writeln!(f, "no operator keeps anything");
        }
        for kept in &self.0 {
            let verdict = if kept.table.bound.is_bounded() { "bounded" } else { "UNBOUNDED" };
            writeln!(f, "{verdict}: {kept}")?;
        }
        Ok(())
    }
}
