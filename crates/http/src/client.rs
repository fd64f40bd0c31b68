//! Asks a server: one request on a connection of its own.

use crate::api::{Problem, ProblemFacts};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use eddyline_tls::{Connector, TlsError};
use eddyline_users::Secret;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A server that can be asked.
#[derive(Clone)]
pub struct Client {
    authority: String,
    /// Whose jobs are meant; `None`: those of the first.
    database: Option<String>,
    /// Whom it trusts, where it is to encrypt.
    tls: Option<Connector>,
    /// What says who asks.
    authorization: Option<HeaderValue>,
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
    /// It is encrypted, and the server is not trusted.
    #[error("{server} is not trusted: {message}")]
    Untrusted {
        /// The server.
        server: String,
        /// What is wrong with its certificate.
        message: String,
        /// What is to be done.
        hint: &'static str,
    },
    /// The server says no.
    #[error("{}", .0.message)]
    Refused(Box<ProblemFacts>),
}

impl Client {
    /// Of the server at `host:port`, with or without `http://` before it, or at `https://host:port`. Certificates are to be signed by one
    /// of `authorities`, which are PEM, or, without any, of the system's.
    ///
    /// # Errors
    /// Authorities that do not read.
    pub fn new(server: &str, authorities: Option<&[u8]>) -> Result<Self, TlsError> {
        let encrypted = server.strip_prefix("https://");
        let authority = encrypted.or(server.strip_prefix("http://")).unwrap_or(server).trim_end_matches('/');
        let tls = encrypted.map(|_| Connector::new(authorities, "http/1.1")).transpose()?;
        Ok(Self { authority: authority.to_owned(), database: None, tls, authorization: None })
    }

    /// Means the jobs of a database.
    #[must_use]
    pub fn of_database(mut self, database: Option<String>) -> Self {
        self.database = database;
        self
    }

    /// As a user.
    #[must_use]
    pub fn of_user(mut self, user: &str, password: &Secret) -> Self {
        let coded = STANDARD.encode(format!("{user}:{}", password.0));
        let mut value = HeaderValue::try_from(format!("Basic {coded}")).ok();
        value.iter_mut().for_each(|value| value.set_sensitive(true));
        self.authorization = value;
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

    fn untrusted(&self, error: std::io::Error) -> ClientError {
        match eddyline_tls::advice(&error) {
            Some(hint) => ClientError::Untrusted { server: self.authority.clone(), message: error.to_string(), hint },
            None => self.broken(error),
        }
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: Bytes) -> Result<T, ClientError> {
        let unreachable = |error| ClientError::Unreachable { server: self.authority.clone(), error };
        let socket = TcpStream::connect(&self.authority).await.map_err(unreachable)?;
        let mut sender = match &self.tls {
            Some(tls) => {
                let host = self.authority.rsplit_once(':').map_or(self.authority.as_str(), |(host, _)| host);
                begin(tls.connect(host, socket).await.map_err(|e| self.untrusted(e))?).await
            }
            None => begin(socket).await,
        }
        .map_err(|e| self.broken(e))?;
        let database = self.database.as_ref().map(|name| {
            let sign = if path.contains('?') { '&' } else { '?' };
            format!("{sign}database={}", utf8_percent_encode(name, NON_ALPHANUMERIC))
        });
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{path}{}", database.unwrap_or_default()))
            .header(HOST, &self.authority)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|e| self.broken(e))?;
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
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

/// Begins to speak HTTP.
async fn begin(
    socket: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<SendRequest<Full<Bytes>>, hyper::Error> {
    let (sender, connection) = handshake(TokioIo::new(socket)).await?;
    // It ends when the answer is read and the sender is gone; why it broke is told to who waits for the answer.
    tokio::spawn(connection);
    Ok(sender)
}
