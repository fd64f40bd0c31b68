//! Who asks: the users of the server, by Basic authentication (RFC 7617), under the rule of [`Entrance`]. Whether the server is well may be
//! asked by anybody.

use crate::failure::Failure;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eddyline_engine::Instance;
use eddyline_users::{Entrance, ROOT, Secret};
use std::net::IpAddr;

/// What anybody may ask.
const OPEN: [&str; 2] = ["/health", "/ready"];
/// Who asks without saying who is told to say it.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Basic realm=\"eddyline\", charset=\"UTF-8\"");

/// Where a connection comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Who may ask.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) instance: Instance,
    pub(crate) entrance: Entrance,
}

/// Lets a request through when it is known who asks, and says so if not.
pub(crate) async fn identify(State(identity): State<Identity>, request: Request, next: Next) -> Response {
    if OPEN.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let peer = request.extensions().get::<Peer>().copied();
    let said = match said(request.headers()) {
        Ok(said) => said,
        Err(refused) => return with_challenge(refused),
    };
    // To check a password takes some milliseconds.
    let known = tokio::task::spawn_blocking(move || identity.check(said, peer)).await;
    match known {
        Ok(Ok(())) => next.run(request).await,
        Ok(Err(refused)) => with_challenge(refused),
        Err(_) => Failure::busy().into_response(),
    }
}

/// A name and a password.
type Said = (String, Secret);

impl Identity {
    fn check(&self, said: Option<Said>, peer: Option<Peer>) -> Result<(), Failure> {
        let users = self.instance.users();
        let is_trusted = peer.is_some_and(|Peer(peer)| self.entrance.trusts(peer));
        match said {
            None if is_trusted && users.is_without_password(ROOT) => Ok(()),
            None => Err(refused("28000", "this server asks who you are".into())),
            Some((user, _)) if is_trusted && users.is_without_password(&user) => Ok(()),
            Some((user, password)) if users.is_password(&user, &password) => Ok(()),
            Some((user, _)) => {
                tracing::info!(user, "a request was not let in");
                Err(refused("28P01", format!("password authentication failed for user {user:?}")))
            }
        }
    }
}

/// Who a request says that it is; `None`: it says nothing.
fn said(headers: &HeaderMap) -> Result<Option<Said>, Failure> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let basic = |value: &str| {
        let (scheme, coded) = value.split_once(' ')?;
        let text = String::from_utf8(STANDARD.decode(coded.trim()).ok()?).ok()?;
        let (user, password) = text.split_once(':')?;
        scheme.eq_ignore_ascii_case("basic").then(|| (user.to_owned(), Secret(password.to_owned())))
    };
    let said = value.to_str().ok().and_then(basic);
    said.map(Some).ok_or_else(|| refused("28000", "an Authorization header that is not Basic".into()))
}

fn refused(sqlstate: &str, message: String) -> Failure {
    let hint = "give a user and its password: curl --user NAME, or --user NAME and EDDYLINE_PASSWORD for eddyline";
    Failure::new(StatusCode::UNAUTHORIZED, sqlstate, message, hint)
}

fn with_challenge(refused: Failure) -> Response {
    let mut response = refused.into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, CHALLENGE);
    response
}
