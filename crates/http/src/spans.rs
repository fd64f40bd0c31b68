//! What traces tell of requests. A request that says which trace it belongs to (`traceparent`) is part of that.

use axum::extract::{MatchedPath, Request};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;
use tracing::field::Empty;
use tracing::{Instrument, Span};

/// What is asked for every few seconds by who watches the server: nobody looks for it in traces.
const WATCHED: [&str; 3] = ["/health", "/ready", "/metrics"];

/// Makes a span of a request, until its answer begins.
pub(crate) async fn trace(request: Request, next: Next) -> Response {
    if WATCHED.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let span = span_of(&request);
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    span.record("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.record("error.type", status.as_str());
        span.record("otel.status_code", "ERROR");
    }
    response
}

fn span_of(request: &Request) -> Span {
    let span = tracing::info_span!(
        "request",
        otel.name = Empty,
        otel.kind = "server",
        http.request.method = request.method().as_str(),
        http.route = Empty,
        url.path = request.uri().path(),
        http.response.status_code = Empty,
        error.type = Empty,
        otel.status_code = Empty,
    );
    if span.is_disabled() {
        return span;
    }
    match request.extensions().get::<MatchedPath>().map(MatchedPath::as_str) {
        Some(route) => {
            span.record("http.route", route);
            span.record("otel.name", format!("{} {route}", request.method()));
        }
        None => drop(span.record("otel.name", request.method().as_str())),
    }
    let headers = request.headers();
    eddyline_traces::go_on_with(&span, text(headers, "traceparent"), text(headers, "tracestate"));
    span
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}
