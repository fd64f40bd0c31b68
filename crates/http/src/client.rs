//! Asks a server: one request on a connection of its own.

use crate::api::{Problem, ProblemFacts};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::handshake;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

/// A server that can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    authority: String,
    /// Whose jobs are meant; `None`: those of the first.
    database: Option<String>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error("no server answers at {server}: {error}")]
    Unreachable {
        /// The server.
        server: String,
        /// The system's word.
        #[source]
        error: std::io::Error,
    },
    /// The connection broke, or what listens there speaks another protocol.
    #[error("{server} does not answer as an Eddyline server does: {message}")]
    Protocol {
        /// The server.
        server: String,
        /// What is wrong.
        message: String,
    },
    /// The server says no.
    #[error("{}", .0.message)]
    Refused(Box<ProblemFacts>),
}

impl Client {
    /// Of the server at `host:port`, with or without `http://` before it.
    pub fn new(server: &str) -> Self {
        let authority = server.strip_prefix("http://").unwrap_or(server).trim_end_matches('/');
        Self { authority: authority.to_owned(), database: None }
    }

    /// Means the jobs of a database.
    #[must_use]
    pub fn of_database(mut self, database: Option<String>) -> Self {
        self.database = database;
        self
    }

    /// The path of a job, and of what stands behind it (`/logs`).
    pub fn job_path(job: &str, behind: &str) -> String {
        format!("/api/v1/jobs/{}{behind}", utf8_percent_encode(job, NON_ALPHANUMERIC))
    }

    /// The server.
    pub fn server(&self) -> &str {
        &self.authority
    }

    /// Asks for something; `path` begins with a slash.
    ///
    /// # Errors
    /// There is no answer, or the server says no.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.ask(Method::GET, path, Bytes::new()).await
    }

    /// Has something done.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|e| self.broken(e))?;
        self.ask(Method::POST, path, body.into()).await
    }

    /// Has something forgotten.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.ask(Method::DELETE, path, Bytes::new()).await
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: Bytes) -> Result<T, ClientError> {
        let unreachable = |error| ClientError::Unreachable { server: self.authority.clone(), error };
        let socket = TcpStream::connect(&self.authority).await.map_err(unreachable)?;
        let (mut sender, connection) = handshake(TokioIo::new(socket)).await.map_err(|e| self.broken(e))?;
        let database = self.database.as_ref().map(|name| {
            let sign = if path.contains('?') { '&' } else { '?' };
            format!("{sign}database={}", utf8_percent_encode(name, NON_ALPHANUMERIC))
        });
        let request = Request::builder()
            .method(method)
            .uri(format!("{path}{}", database.unwrap_or_default()))
            .header(HOST, &self.authority)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|e| self.broken(e))?;
        // It ends when the answer is read and the sender is gone; why it broke is told to who waits for the answer.
        tokio::spawn(connection);
        let answer = sender.send_request(request).await.map_err(|e| self.broken(e))?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(|e| self.broken(e))?.to_bytes();
        self.read(status, &body)
    }

    fn read<T: DeserializeOwned>(&self, status: StatusCode, body: &[u8]) -> Result<T, ClientError> {
        if status.is_success() {
            return serde_json::from_slice(body).map_err(|e| self.broken(e));
        }
        match serde_json::from_slice::<Problem>(body) {
            Ok(problem) => Err(ClientError::Refused(Box::new(problem.error))),
            Err(_) => Err(self.broken(format!("status {status}"))),
        }
    }

    fn broken(&self, error: impl ToString) -> ClientError {
        ClientError::Protocol { server: self.authority.clone(), message: error.to_string() }
    }
}
