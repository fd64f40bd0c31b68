//! Is the server well, and how much does it do?

use super::Shared;
use crate::api::{Health, Problem};
use crate::failure::Failure;
use crate::metrics;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use eddyline_engine::SqlError;
use std::sync::atomic::Ordering;

/// What Prometheus is told that it reads.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Says that the process answers.
#[utoipa::path(get, path = "/health", tag = "watch", responses((status = 200, body = Health)))]
pub(super) async fn health() -> Json<Health> {
    Json(ok())
}

/// Says whether the server takes work: it has begun, and is not ending.
#[utoipa::path(get, path = "/ready", tag = "watch", responses((status = 200, body = Health), (status = 503, body = Problem)))]
pub(super) async fn ready(State(shared): State<Shared>) -> Result<Json<Health>, Failure> {
    match shared.is_ready.load(Ordering::Relaxed) {
        true => Ok(Json(ok())),
        false => {
            let message = "the server begins or ends";
            Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, "57P03", message, "try again in a moment"))
        }
    }
}

fn ok() -> Health {
    Health { status: "ok".into(), version: env!("CARGO_PKG_VERSION").into() }
}

/// Everything that is measured, as Prometheus reads it.
#[utoipa::path(get, path = "/metrics", tag = "watch", responses((status = 200, body = String, content_type = "application/openmetrics-text")))]
pub(super) async fn metrics(State(shared): State<Shared>) -> Result<Response, Failure> {
    let (connections, requests) = ((shared.connections)(), shared.requests.clone());
    let text = shared.work(move |instance, _| {
        metrics::text(instance, &connections, &requests)
            .map_err(|_| SqlError::new(SqlError::INTERNAL, "metrics cannot be written"))
    });
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text.await?).into_response())
}

/// The OpenAPI document.
pub(super) fn described(document: &Result<String, serde_json::Error>) -> Response {
    match document {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text.clone()).into_response(),
        Err(error) => {
            Failure::from(SqlError::new(SqlError::INTERNAL, format!("the document cannot be written: {error}")))
                .into_response()
        }
    }
}
