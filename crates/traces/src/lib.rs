//! Traces: what the process does, as spans, to a collector of OpenTelemetry by OTLP over HTTP.
//!
//! The crates of the engine make spans with `tracing`; nothing else of them knows of OpenTelemetry. Where no collector is named, no
//! [layer](Traces::layer) is there, and a span costs the look at one number. Where one is, spans that have ended wait in a queue of bounded
//! length for a thread of the SDK, which sends them in batches: nobody waits for the collector, and what the queue cannot take is left out.
//!
//! | module | holds |
//! |---|---|
//! | [`environment`] | whether and where to send: the variables of OpenTelemetry |
//! | [`collector`] | the sending, and what is told when it fails |
//!
//! Not here: what is worth a span. Start at [`Traces::from_environment`].

mod collector;
mod environment;

use collector::Collector;
pub use environment::TracesError;
use environment::{Destination, Variables};
use opentelemetry::KeyValue;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tracing::{Metadata, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::registry::LookupSpan;

/// How long the spans that are left may take to be sent when the process ends.
const LAST: Duration = Duration::from_secs(2);
/// What the process is called unless `OTEL_SERVICE_NAME` says otherwise.
const SERVICE: &str = "eddyline";
/// The crates whose spans are sent; others of the process make some too.
const OURS: &str = "eddyline";

/// Spans on their way to a collector. Dropped without [`end`](Self::end), the last of them may be lost.
pub struct Traces {
    provider: SdkTracerProvider,
    /// Where requests to the collector wait for it.
    tokio: Runtime,
}

impl Traces {
    /// As the environment says; `None`: it names no collector.
    ///
    /// # Errors
    /// A variable that is not understood, or asks for what is not there.
    pub fn from_environment(version: &'static str) -> Result<Option<Self>, TracesError> {
        let Some(destination) = Destination::read(&Variables::of_process())? else { return Ok(None) };
        let tokio = Builder::new_multi_thread().worker_threads(1).thread_name("eddyline-traces").enable_all().build();
        let tokio = tokio.map_err(|e| TracesError::Start(e.to_string()))?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_http_client(Collector::new(&destination, tokio.handle().clone())?)
            .build()
            .map_err(|e| TracesError::Start(e.to_string()))?;
        let named = Variables::of_process().names_service();
        let resource = Resource::builder().with_attribute(KeyValue::new("service.version", version));
        let resource = if named { resource } else { resource.with_service_name(SERVICE) };
        let provider =
            SdkTracerProvider::builder().with_resource(resource.build()).with_batch_exporter(exporter).build();
        Ok(Some(Self { provider, tokio }))
    }

    /// What takes the spans of the engine.
    pub fn layer<S: Subscriber + for<'s> LookupSpan<'s>>(&self) -> impl Layer<S> + use<S> {
        let is_ours = |metadata: &Metadata<'_>| metadata.is_span() && metadata.target().starts_with(OURS);
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer(SERVICE))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(is_ours).with_max_level_hint(LevelFilter::INFO))
    }

    /// Sends what is left, but not for long: a collector that does not answer holds up nobody.
    pub fn end(self) {
        if let Err(error) = self.provider.shutdown_with_timeout(LAST) {
            tracing::warn!(%error, "the last spans were not sent");
        }
        self.tokio.shutdown_background();
    }
}

/// Has a span go on with the trace that a request names in its headers `traceparent` and `tracestate`, as the W3C has them. What names none,
/// or not rightly, leaves it as it is.
pub fn go_on_with(span: &Span, traceparent: Option<&str>, tracestate: Option<&str>) {
    if span.is_disabled() || traceparent.is_none() {
        return;
    }
    let context = TraceContextPropagator::new().extract(&Headers { traceparent, tracestate });
    // It has no parent yet, and nobody has entered it: there is nothing that could be refused.
    let _ = span.set_parent(context);
}

struct Headers<'h> {
    traceparent: Option<&'h str>,
    tracestate: Option<&'h str>,
}

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            "traceparent" => self.traceparent,
            "tracestate" => self.tracestate,
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate"]
    }
}
