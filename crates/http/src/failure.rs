//! Errors as answers.

use crate::api::{Problem, ProblemFacts};
use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use eddyline_engine::SqlError;

/// An answer that says what has gone wrong.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    /// Boxed, as most requests do not fail.
    problem: Box<ProblemFacts>,
}

impl Failure {
    /// An error with a hint.
    pub(crate) fn new(status: StatusCode, sqlstate: &str, message: impl Into<String>, hint: &str) -> Self {
        let problem = Box::new(ProblemFacts {
            sqlstate: sqlstate.to_owned(),
            message: message.into(),
            detail: None,
            hint: Some(hint.to_owned()),
            line: None,
            column: None,
        });
        Self { status, problem }
    }

    /// So many things are being done that nothing more is begun.
    pub(crate) fn busy() -> Self {
        let message = "the server is at as many requests as it takes at once";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "53300", message, "try again in a moment")
    }
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Self {
        Self { status: status_of(error.sqlstate), problem: Box::new(error.into()) }
    }
}

/// The status that fits the kind of an error.
fn status_of(sqlstate: &str) -> StatusCode {
    match sqlstate {
        // 3D000: a database.
        SqlError::UNDEFINED_OBJECT | "3D000" => StatusCode::NOT_FOUND,
        // A name that is taken; what does not go with how things are.
        "42710" | "42725" | "55000" | "55006" => StatusCode::CONFLICT,
        "57014" | "57P01" | "53300" => StatusCode::SERVICE_UNAVAILABLE,
        _ => match sqlstate.get(..2) {
            // Resources, the system, faults of the engine.
            Some("53" | "58" | "XX") => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        },
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let is_busy = self.status == StatusCode::SERVICE_UNAVAILABLE;
        let mut response = (self.status, Json(Problem { error: *self.problem })).into_response();
        if is_busy {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        }
        response
    }
}
