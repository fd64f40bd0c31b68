//! What can be asked.

mod jobs;
mod watch;

use crate::api::{DatabaseQuery, Problem, ProblemFacts};
use crate::failure::Failure;
use crate::metrics::{Connections, Requests};
use crate::spans::trace;
use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use eddyline_engine::{Canceller, Instance, SqlError};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::sync::Semaphore;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi as _};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Bytes of the body of a request.
const BODY_BYTES: usize = 4 << 20;
/// Requests that are being carried out at once; the others are told to come again.
const AT_WORK_MAX: usize = 64;

/// What all requests share.
#[derive(Clone)]
pub(crate) struct Shared {
    instance: Instance,
    connections: Arc<dyn Fn() -> Connections + Send + Sync>,
    requests: Requests,
    is_ready: Arc<AtomicBool>,
    at_work: Arc<Semaphore>,
}

impl Shared {
    pub(crate) fn new(
        instance: Instance,
        connections: Arc<dyn Fn() -> Connections + Send + Sync>,
        requests: Requests,
        is_ready: Arc<AtomicBool>,
    ) -> Self {
        Self { instance, connections, requests, is_ready, at_work: Arc::new(Semaphore::new(AT_WORK_MAX)) }
    }

    /// As [`work`](Self::work), in a database.
    async fn work_in<T: Send + 'static>(
        &self,
        query: Result<Query<DatabaseQuery>, QueryRejection>,
        work: impl FnOnce(&Instance, &Canceller) -> Result<T, SqlError> + Send + 'static,
    ) -> Result<T, Failure> {
        let DatabaseQuery { database } = asked(query)?;
        self.work(move |first, canceller| match database {
            Some(name) => work(&first.database_named(&name)?, canceller),
            None => work(first, canceller),
        })
        .await
    }

    /// Does something that may wait, on a thread that may. When nobody waits for the answer any more, it is cancelled as far as it can be.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Instance, &Canceller) -> Result<T, SqlError> + Send + 'static,
    ) -> Result<T, Failure> {
        let place = self.at_work.clone().try_acquire_owned().map_err(|_| Failure::busy())?;
        let (instance, asked) = (self.instance.clone(), Asked(Canceller::default()));
        let canceller = asked.0.clone();
        let span = tracing::Span::current();
        let worked = tokio::task::spawn_blocking(move || {
            let _place = place;
            span.in_scope(|| work(&instance, &canceller))
        });
        match worked.await {
            Ok(result) => Ok(result?),
            Err(_) => Err(SqlError::new(SqlError::INTERNAL, "the request has panicked").into()),
        }
    }
}

/// Somebody waits for an answer for as long as this lives.
struct Asked(Canceller);

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "Eddyline", description = "Jobs, health and metrics of an Eddyline server. All errors look like Problem."),
    components(schemas(Problem, ProblemFacts)),
    modifiers(&Identified),
    security(("basic" = []), ()),
    tags(
        (name = "jobs", description = "Jobs that run on the server"),
        (name = "watch", description = "Is the server well, and how much does it do")
    )
)]
struct Document;

/// Users and their passwords, as the document tells of them.
struct Identified;

impl Modify for Identified {
    fn modify(&self, document: &mut OpenApi) {
        let basic = SecurityScheme::Http(Http::new(HttpAuthScheme::Basic));
        document.components.get_or_insert_default().add_security_scheme("basic", basic);
    }
}

/// The OpenAPI document, as JSON.
///
/// # Errors
/// None that is known: it is made of types.
pub fn document() -> Result<String, serde_json::Error> {
    described().into_openapi().to_pretty_json()
}

fn described() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(jobs::list, jobs::submit))
        .routes(routes!(jobs::show, jobs::forget))
        .routes(routes!(jobs::stop))
        .routes(routes!(jobs::savepoint))
        .routes(routes!(jobs::resume))
        .routes(routes!(jobs::logs))
        .routes(routes!(jobs::plan))
        .routes(routes!(watch::health))
        .routes(routes!(watch::ready))
        .routes(routes!(watch::metrics))
}

pub(crate) fn router(shared: Shared) -> Router {
    let (router, document) = described().split_for_parts();
    let document = Arc::new(document.to_pretty_json());
    router
        .route("/api/openapi.json", get(move || std::future::ready(watch::described(&document))))
        .fallback(unknown)
        .method_not_allowed_fallback(not_allowed)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(from_fn(trace))
        .layer(from_fn_with_state(shared.requests.clone(), count))
        .with_state(shared)
}

/// Counts answers by their status.
async fn count(State(requests): State<Requests>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    requests.answered(response.status());
    response
}

/// What stands behind the `?` of a path.
fn asked<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Failure> {
    let hint = "GET /api/openapi.json tells what can be asked";
    query
        .map(|Query(asked)| asked)
        .map_err(|e| Failure::new(e.status(), SqlError::INVALID_PARAMETER, e.body_text(), hint))
}

async fn unknown() -> Failure {
    let hint = "GET /api/openapi.json tells what there is";
    Failure::new(StatusCode::NOT_FOUND, SqlError::UNDEFINED_OBJECT, "there is nothing of this path", hint)
}

async fn not_allowed() -> Failure {
    let hint = "GET /api/openapi.json tells what there is";
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, SqlError::UNSUPPORTED, "this path has not the method", hint)
}
