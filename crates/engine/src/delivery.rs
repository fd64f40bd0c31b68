//! What EXPLAIN says of the tables that a job writes: how often a row reaches them when the job fails and goes on.

use crate::Settings;
use crate::error::from_connector;
use eddyline_connectors::{Delivery, Registry, SinkRequest};
use eddyline_plan::{Dataflow, OperatorSpec};
use eddyline_planner::SqlError;

/// A line per table that is written, with the reason and the way out; and one per input that cannot be read again.
///
/// # Errors
/// A table that cannot be opened.
pub(crate) fn lines(registry: &Registry, settings: &Settings, dataflow: &Dataflow) -> Result<Vec<String>, SqlError> {
    let keeps = settings.checkpoints(&Default::default()).is_some();
    let mut lines = written(registry, settings, dataflow, |delivery| said(delivery, keeps))?;
    let mut fleeting = Vec::new();
    for node in dataflow.nodes() {
        let OperatorSpec::Source(spec) = &node.spec else { continue };
        if keeps {
            let source = registry.source(&spec.options, eddyline_runtime::source_request(spec, settings.time_zone()));
            if !source.map_err(|e| from_connector(&e))?.is_repeatable() {
                fleeting.push(&spec.table);
            }
        }
    }
    lines.extend(fleeting.iter().map(|table| {
        format!(
            "DELIVERY: {table} cannot be read again: after a failure its rows since the last checkpoint are missing"
        )
    }));
    Ok(lines)
}

/// The same of a sink from tables that the engine keeps, whose job can read its input again where jobs are stored.
///
/// # Errors
/// As [`lines`].
pub(crate) fn of_kept(
    registry: &Registry,
    settings: &Settings,
    dataflow: &Dataflow,
    is_stored: bool,
) -> Result<Vec<String>, SqlError> {
    written(registry, settings, dataflow, |delivery| match is_stored {
        true => said(delivery, true),
        false => "at-least-once: without a data directory all rows come again when the job begins again",
    })
}

/// A line per table that is written.
fn written(
    registry: &Registry,
    settings: &Settings,
    dataflow: &Dataflow,
    said: impl Fn(Delivery) -> &'static str,
) -> Result<Vec<String>, SqlError> {
    let mut lines = Vec::new();
    for node in dataflow.nodes() {
        let OperatorSpec::Sink(spec) = &node.spec else { continue };
        let request = SinkRequest {
            table: spec.table.clone(),
            schema: spec.schema.clone(),
            key: spec.key.clone(),
            time_zone: settings.time_zone().to_owned(),
            lineage: None,
        };
        let sink = registry.sink(&spec.options, request).map_err(|e| from_connector(&e))?;
        lines.push(format!("DELIVERY: {} {}", spec.table, said(sink.delivery())));
    }
    Ok(lines)
}

fn said(delivery: Delivery, keeps: bool) -> &'static str {
    match (delivery, keeps) {
        (Delivery::ExactlyOnce, true) => "exactly-once: what is written appears with the checkpoint that holds it",
        (Delivery::ExactlyOnce, false) => {
            "at-least-once: without checkpoints the job begins anew after a failure; exactly-once with \
             SET 'state.checkpoints.dir' = '…'"
        }
        (Delivery::AtLeastOnce, true) => {
            "at-least-once: rows appear with their epoch, and those since the last checkpoint come again after a failure; \
             exactly-once into a table with 'connector' = 'filesystem'"
        }
        (Delivery::AtLeastOnce, false) => {
            "at-least-once: without checkpoints the job begins anew after a failure; exactly-once with \
             SET 'state.checkpoints.dir' = '…' and a table with 'connector' = 'filesystem'"
        }
    }
}
