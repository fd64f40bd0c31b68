//! Sends batches of spans, and tells when that does not work: once, until it works again.

use crate::environment::{Destination, TracesError};
use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::runtime::Handle;

/// Bytes of an answer that are read: it says little more than that the spans have come.
const ANSWER_BYTES: usize = 64 << 10;

/// Where spans are sent.
#[derive(Debug, Clone)]
pub(crate) struct Collector {
    client: reqwest::Client,
    /// Requests run there: the thread that waits for them has no runtime.
    tokio: Handle,
    endpoint: Arc<str>,
    /// The last batch could not be sent.
    is_failing: Arc<AtomicBool>,
}

impl Collector {
    pub(crate) fn new(destination: &Destination, tokio: Handle) -> Result<Self, TracesError> {
        let mut client = reqwest::Client::builder()
            .timeout(destination.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("eddyline/", env!("CARGO_PKG_VERSION")));
        if let Some(file) = &destination.certificate {
            let unfit = |error: &(dyn Error + 'static)| TracesError::Variable {
                variable: "OTEL_EXPORTER_OTLP_CERTIFICATE".into(),
                value: file.clone(),
                hint: told(error),
            };
            let text = std::fs::read(file).map_err(|e| unfit(&e))?;
            let trusted = reqwest::Certificate::from_pem_bundle(&text).map_err(|e| unfit(&e))?;
            client = trusted
                .into_iter()
                .fold(client.tls_built_in_root_certs(false), reqwest::ClientBuilder::add_root_certificate);
        }
        let client = client.build().map_err(|e| TracesError::Start(told(&e)))?;
        let endpoint = destination.endpoint.as_str().into();
        Ok(Self { client, tokio, endpoint, is_failing: Arc::default() })
    }

    async fn send(self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let mut answer = self.client.execute(request.try_into()?).await?;
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await? {
            if body.len() + piece.len() > ANSWER_BYTES {
                return Err(format!("an answer of more than {ANSWER_BYTES} bytes").into());
            }
            body.extend_from_slice(&piece);
        }
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = answer.status();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        Ok(response)
    }

    /// Tells the first of several failures in a row, and the end of them.
    fn note(&self, failure: Option<String>) {
        let was_failing = self.is_failing.swap(failure.is_some(), Ordering::Relaxed);
        let endpoint = &*self.endpoint;
        match failure {
            Some(error) if !was_failing => {
                tracing::warn!(endpoint, error, "traces cannot be sent: spans are lost until it can be done");
            }
            None if was_failing => tracing::info!(endpoint, "traces are sent again"),
            _ => {}
        }
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = match self.tokio.spawn(self.clone().send(request)).await {
            Ok(sent) => sent,
            Err(ended) => Err(ended.into()),
        };
        self.note(match &sent {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("the collector answers {}", response.status())),
            Err(error) => Some(told(error.as_ref())),
        });
        sent
    }
}

/// An error with what has led to it.
fn told(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
