//! Who may ask, and what answers may do.
//!
//! A browser carries requests of any page to this machine. A page of another site must neither read nor change anything here, also where it
//! has its own name point at this machine (DNS rebinding). So the name that a request gives in `Host` must be one that this server is known by:
//! an address, `localhost`, or what the command line says; and a request that says which page it comes from must come from here. Answers
//! are data: nothing in them is run or shown as a page.

use crate::failure::Failure;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;
use std::sync::Arc;

/// What every answer says of itself.
static HEADERS: [(HeaderName, HeaderValue); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

/// Names that the server is known by, beside its addresses and `localhost`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hosts {
    names: Arc<Vec<String>>,
    /// Pages of this server are encrypted.
    is_encrypted: bool,
}

impl Hosts {
    pub(crate) fn new(names: &[String], is_encrypted: bool) -> Self {
        let names = Arc::new(names.iter().map(|name| name.to_ascii_lowercase()).collect());
        Self { names, is_encrypted }
    }

    fn knows(&self, authority: &str) -> bool {
        let host = host_of(authority).to_ascii_lowercase();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || address.parse::<IpAddr>().is_ok() || self.names.contains(&host)
    }
}

/// An authority without its port.
fn host_of(authority: &str) -> &str {
    match authority.rfind(':') {
        // The colons of an address stand in brackets.
        Some(at) if !authority[at..].contains(']') => &authority[..at],
        _ => authority,
    }
}

/// Lets a request through, or says why not.
pub(crate) async fn guard(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    let mut response = match check(&hosts, request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    };
    for (name, value) in &HEADERS {
        response.headers_mut().insert(name, value.clone());
    }
    response
}

fn check(hosts: &Hosts, uri: &Uri, headers: &HeaderMap) -> Result<(), Failure> {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("\u{fffd}"));
    let Some(host) = uri.authority().map(|authority| authority.as_str()).or_else(|| text(header::HOST)) else {
        return Err(refused(StatusCode::BAD_REQUEST, "the request names no host".into(), "send a Host header"));
    };
    if headers.get_all(header::HOST).iter().count() > 1 || !hosts.knows(host) {
        let message = format!("this server is not known as {host:?}");
        let hint = "ask for its address, or start it with --http-host NAME";
        return Err(refused(StatusCode::MISDIRECTED_REQUEST, message, hint));
    }
    let scheme = if hosts.is_encrypted { "https://" } else { "http://" };
    let from_here = text(header::ORIGIN).is_none_or(|origin| origin.strip_prefix(scheme) == Some(host));
    let site = text(HeaderName::from_static("sec-fetch-site"));
    // What is typed into the browser's address line comes from nowhere.
    let is_own = site.is_none_or(|site| matches!(site, "same-origin" | "none"));
    if from_here && is_own {
        return Ok(());
    }
    let message = "a page of another site asks".to_owned();
    Err(refused(StatusCode::FORBIDDEN, message, "only pages of this server, and programs, may ask"))
}

fn refused(status: StatusCode, message: String, hint: &str) -> Failure {
    Failure::new(status, "42501", message, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(headers: &[(&str, &str)]) -> Result<(), StatusCode> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let hosts = Hosts::new(&["Eddyline".to_owned()], false);
        check(&hosts, &Uri::from_static("/health"), &map).map_err(|failure| failure.into_response().status())
    }

    #[test]
    fn hosts_that_are_known() {
        for host in ["127.0.0.1:4567", "127.0.0.1", "localhost:4567", "LOCALHOST", "[::1]:4567", "[::1]", "eddyline:80"]
        {
            assert_eq!(answer(&[("host", host)]), Ok(()), "{host}");
        }
        // A name that somebody has point at this machine; what looks like one of ours.
        for host in
            ["evil.example", "evil.example:4567", "127.0.0.1.evil.example", "localhost.evil.example", "", "[::1].x"]
        {
            assert_eq!(answer(&[("host", host)]), Err(StatusCode::MISDIRECTED_REQUEST), "{host}");
        }
        assert_eq!(answer(&[]), Err(StatusCode::BAD_REQUEST));
        let two = [("host", "127.0.0.1"), ("host", "evil.example")];
        assert_eq!(answer(&two), Err(StatusCode::MISDIRECTED_REQUEST));
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        let host = ("host", "127.0.0.1:4567");
        assert_eq!(answer(&[host, ("origin", "http://127.0.0.1:4567")]), Ok(()));
        for origin in
            ["http://evil.example", "https://127.0.0.1:4567", "http://127.0.0.1:4568", "http://127.0.0.1", "null", ""]
        {
            assert_eq!(answer(&[host, ("origin", origin)]), Err(StatusCode::FORBIDDEN), "{origin}");
        }
        for (site, status) in [
            ("same-origin", Ok(())),
            ("none", Ok(())),
            ("same-site", Err(StatusCode::FORBIDDEN)),
            ("cross-site", Err(StatusCode::FORBIDDEN)),
        ] {
            assert_eq!(answer(&[host, ("sec-fetch-site", site)]), status, "{site}");
        }
    }
}
