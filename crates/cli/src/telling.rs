//! What the process tells of itself: logs to standard error, traces to a collector if one is named.

use crate::args::LogFormat;
use eddyline_traces::{Traces, TracesError};
use std::io::IsTerminal;
use tracing::Subscriber;
use tracing_subscriber::filter::{FilterExt, LevelFilter, filter_fn};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry};

/// Logs warnings and errors, or what `EDDYLINE_LOG` asks for; with `has_traces`, sends traces where the environment says to.
///
/// # Errors
/// The environment asks for traces that cannot be sent.
pub(crate) fn begin(format: LogFormat, has_traces: bool) -> Result<Option<Traces>, TracesError> {
    let traces = if has_traces { Traces::from_environment(env!("CARGO_PKG_VERSION"))? } else { None };
    let sent = traces.as_ref().map(Traces::layer::<Registry>);
    tracing_subscriber::registry().with(sent).with(logs(format)).init();
    Ok(traces)
}

/// Logs have the events; spans are for traces.
fn logs<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    let filter = EnvFilter::try_from_env("EDDYLINE_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    let filter = filter_fn(|metadata| !metadata.is_span()).with_max_level_hint(LevelFilter::TRACE).and(filter);
    let logs = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => logs.with_filter(filter).boxed(),
        LogFormat::Json => logs.json().flatten_event(true).with_filter(filter).boxed(),
    }
}
