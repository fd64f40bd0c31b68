//! The text of EXPLAIN.

use crate::PlannedJob;
use crate::deep::with_room;
use crate::statement::ExplainStage;
use eddyline_plan::{ChangeMode, Dataflow, Node};
use std::fmt::Write;

impl PlannedJob {
    /// What EXPLAIN shows of a stage. Ends without a newline.
    pub fn explain(&self, stage: ExplainStage) -> String {
        let text = with_room(|| match stage {
            ExplainStage::Logical => plans(&self.logical),
            ExplainStage::Optimized => plans(&self.optimized),
            ExplainStage::Dataflow => self.dataflow.to_string(),
            ExplainStage::Changelog => changelog(&self.dataflow),
        });
        let mut text = text.trim_end().to_owned();
        for warning in &self.warnings {
            let _ = write!(text, "\nWARNING: {warning}");
        }
        text
    }
}

fn plans(plans: &[datafusion_expr::LogicalPlan]) -> String {
    plans.iter().map(|p| p.display_indent().to_string()).collect::<Vec<_>>().join("\n\n")
}

/// Per node what kinds of change it emits, by which key, and why; sinks first, as in the dataflow.
fn changelog(dataflow: &Dataflow) -> String {
    let mut out = String::new();
    for node in dataflow.nodes().iter().rev() {
        let mode = match node.traits.mode {
            ChangeMode::AppendOnly => "append-only",
            ChangeMode::Upsert => "upsert",
            ChangeMode::Retract => "retract",
        };
        let _ = writeln!(out, "#{} {}: {mode}{}: {}", node.id, node.spec.name(), columns(node), node.traits.reason);
    }
    out
}

fn columns(node: &Node) -> String {
    let names = |columns: &[usize]| -> String {
        columns.iter().map(|c| node.schema.field(*c).name().as_str()).collect::<Vec<_>>().join(", ")
    };
    let mut out = String::new();
    if let Some(key) = &node.traits.key {
        let _ = write!(out, ", key ({})", names(key));
    }
    if !node.traits.event_time.is_empty() {
        let _ = write!(out, ", event time ({})", names(&node.traits.event_time));
    }
    out
}
