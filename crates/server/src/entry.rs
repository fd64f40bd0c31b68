//! How a client comes in: its first messages, encryption, and who it is.
//!
//! ```text
//! SSLRequest ─> 'S', TLS ─> user, database ─> a place ─> a password (SCRAM-SHA-256), unless nobody asks ─> a session
//! ```
//! Until somebody is known, messages are short, and all of it has some seconds. A password that is wrong and a user that there is not look
//! the same from outside.

use crate::duplex::Duplex;
use crate::limits;
use crate::report::{self, FATAL};
use crate::server::{Place, Server};
use crate::wire::ProtocolError;
use crate::wire::backend::{Messages, Report};
use crate::wire::frontend::{self, Message, Startup};
use bytes::{Bytes, BytesMut};
use eddyline_tls::Acceptor;
use eddyline_users::{Binding, Exchange, ExchangeError, MECHANISM, MECHANISM_PLUS};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The byte that TLS begins with: no message of the protocol does.
const HANDSHAKE: u8 = 0x16;
/// Wrong password, or no such user.
const WRONG_PASSWORD: &str = "28P01";
const NOT_LET_IN: &str = "28000";

/// A client that is known.
pub(crate) struct Entered {
    pub(crate) socket: Box<dyn Duplex>,
    /// What it has sent already, and nobody has read.
    pub(crate) buffer: BytesMut,
    pub(crate) place: Place,
    pub(crate) user: String,
    /// Version of the protocol, behind the 3.
    pub(crate) minor: u16,
    pub(crate) parameters: Vec<(String, String)>,
}

/// Lets a client in; `None`: it was refused, has cancelled something, or has gone.
///
/// # Errors
/// The socket fails.
pub(crate) async fn enter(server: &Arc<Server>, socket: TcpStream) -> io::Result<Option<Entered>> {
    let peer = socket.peer_addr()?.ip();
    let mut buffer = BytesMut::new();
    let (mut socket, binding, first) = open(server, socket, &mut buffer).await?;
    let is_plain = binding.is_none();
    let (minor, parameters) = match first {
        First::Session { minor, parameters } => (minor, parameters),
        First::Cancel { process, secret } => {
            server.cancel(process, secret);
            return Ok(None);
        }
        First::Nothing | First::Encrypt => return Ok(None),
        First::Refused(why) => return refused(&mut socket, report::plain(FATAL, "08P01", why)).await,
    };
    if is_plain && !server.entrance.takes_plain(peer) {
        return refused(&mut socket, plain()).await;
    }
    let user = parameters.iter().find(|(name, value)| name == "user" && !value.is_empty());
    let Some(user) = user.map(|(_, user)| user.clone()) else {
        return refused(&mut socket, report::plain(FATAL, NOT_LET_IN, "no user name is given")).await;
    };
    let Some(place) = server.take_place() else { return refused(&mut socket, full()).await };
    let known = match is_unasked(server, &user, peer) {
        true => Ok(()),
        false => identify(server, &mut *socket, &mut buffer, &user, &binding.unwrap_or_default()).await?,
    };
    if let Err(why) = known {
        tracing::info!(user, %peer, code = why.code, "a client was not let in");
        return refused(&mut socket, why).await;
    }
    match server.seat(&place, &user) {
        true => Ok(Some(Entered { socket, buffer, place, user, minor, parameters })),
        false => refused(&mut socket, full_of(&user)).await,
    }
}

/// What a connection begins with.
enum First {
    Session {
        minor: u16,
        parameters: Vec<(String, String)>,
    },
    Cancel {
        process: u32,
        secret: u32,
    },
    /// TLS follows.
    Encrypt,
    /// The client has gone.
    Nothing,
    Refused(String),
}

/// What the way to a client is, what binds to it if it is encrypted, and its first message that matters.
type Opened = (Box<dyn Duplex>, Option<Binding>, First);

/// Encrypts where the client wants it, and reads what it begins with.
async fn open(server: &Server, mut socket: TcpStream, buffer: &mut BytesMut) -> io::Result<Opened> {
    // TLS at once, without being asked for: who begins so says what is spoken within, so that nobody has it meant for another server.
    let is_direct = server.tls.is_some() && begins_with_handshake(&socket).await?;
    let first = match is_direct {
        true => First::Encrypt,
        false => first(&mut socket, buffer, server.tls.is_some()).await?,
    };
    let (First::Encrypt, Some(tls)) = (&first, &server.tls) else { return Ok((Box::new(socket), None, first)) };
    let mut socket = tls.accept(socket).await?;
    let first = match is_direct && !tls.is_named(&socket) {
        true => First::Nothing,
        false => self::first(&mut socket, buffer, false).await?,
    };
    Ok((Box::new(socket), Some(bound_to(tls)), first))
}

async fn begins_with_handshake(socket: &TcpStream) -> io::Result<bool> {
    let mut begin = [0];
    Ok(socket.peek(&mut begin).await? == 1 && begin[0] == HANDSHAKE)
}

fn bound_to(tls: &Acceptor) -> Binding {
    tls.end_point().map_or(Binding::None, |hash| Binding::ServerEndPoint(hash.to_vec()))
}

/// The first message that matters; questions whether to encrypt are answered.
async fn first(socket: &mut (impl Duplex + ?Sized), buffer: &mut BytesMut, offers_tls: bool) -> io::Result<First> {
    loop {
        match frontend::take_startup(buffer) {
            Err(error) => return Ok(First::Refused(error.0)),
            // What comes before the answer might be from somebody else: it is not read as the client's.
            Ok(Some(Startup::Ssl | Startup::Gss)) if !buffer.is_empty() => {
                return Ok(First::Refused("more than the question whether to encrypt".into()));
            }
            Ok(Some(Startup::Ssl)) if offers_tls => {
                socket.write_all(b"S").await?;
                return Ok(First::Encrypt);
            }
            Ok(Some(Startup::Ssl | Startup::Gss)) => {
                socket.write_all(b"N").await?;
                socket.flush().await?;
            }
            Ok(Some(Startup::Cancel { process, secret })) => return Ok(First::Cancel { process, secret }),
            Ok(Some(Startup::Session { minor, parameters })) => return Ok(First::Session { minor, parameters }),
            Ok(None) if more(socket, buffer).await? => {}
            Ok(None) => return Ok(First::Nothing),
        }
    }
}

/// Reads what has come; false: the client has gone.
async fn more(socket: &mut (impl Duplex + ?Sized), buffer: &mut BytesMut) -> io::Result<bool> {
    buffer.reserve(limits::READ_BYTES);
    Ok(socket.read_buf(buffer).await? > 0)
}

/// Does this user come in from there without a password?
fn is_unasked(server: &Server, user: &str, peer: IpAddr) -> bool {
    server.entrance.trusts(peer) && server.users().is_without_password(user)
}

/// Why somebody is not let in.
type Refusal = Report;

/// Asks for a password, by SCRAM-SHA-256.
async fn identify(
    server: &Server,
    socket: &mut (impl Duplex + ?Sized),
    buffer: &mut BytesMut,
    user: &str,
    binding: &Binding,
) -> io::Result<Result<(), Refusal>> {
    let mut messages = Messages::default();
    match binding {
        Binding::None => messages.authentication_sasl(&[MECHANISM]),
        Binding::ServerEndPoint(_) => messages.authentication_sasl(&[MECHANISM_PLUS, MECHANISM]),
    }
    send(socket, &messages).await?;
    let Some(answer) = answer(socket, buffer).await? else { return Ok(Err(nothing_said())) };
    let (mechanism, message) = match answer.and_then(frontend::sasl_initial) {
        Ok(said) => said,
        Err(why) => return Ok(Err(report::plain(FATAL, "08P01", why.0))),
    };
    let (exchange, challenge) = match Exchange::begin(&mechanism, binding, server.users().checked(user), &message) {
        Ok(begun) => begun,
        Err(why) => return Ok(Err(broken(&why))),
    };
    let mut messages = Messages::default();
    messages.authentication_sasl_continue(&challenge);
    send(socket, &messages).await?;
    let Some(answer) = self::answer(socket, buffer).await? else { return Ok(Err(nothing_said())) };
    let proof = match answer {
        Ok(proof) => proof,
        Err(why) => return Ok(Err(report::plain(FATAL, "08P01", why.0))),
    };
    match exchange.finish(&proof) {
        Err(why) => Ok(Err(broken(&why))),
        Ok(None) => Ok(Err(wrong_password(user))),
        Ok(Some(signature)) => {
            let mut messages = Messages::default();
            messages.authentication_sasl_final(&signature);
            send(socket, &messages).await.map(Ok)
        }
    }
}

/// What a client answers to a question for its password; `None`: it goes without an answer, as psql does to ask its user.
async fn answer(
    socket: &mut (impl Duplex + ?Sized),
    buffer: &mut BytesMut,
) -> io::Result<Option<Result<Bytes, ProtocolError>>> {
    loop {
        match frontend::take(buffer, limits::ANSWER_BYTES) {
            Err(error) => return Ok(Some(Err(error))),
            Ok(Some(Message::Password(bytes))) => return Ok(Some(Ok(bytes))),
            Ok(Some(Message::Terminate)) => return Ok(None),
            Ok(Some(_)) => {
                return Ok(Some(Err(ProtocolError(
                    "the answer to a question for a password is another message".into(),
                ))));
            }
            Ok(None) if more(socket, buffer).await? => {}
            Ok(None) => return Ok(None),
        }
    }
}

async fn send(socket: &mut (impl Duplex + ?Sized), messages: &Messages) -> io::Result<()> {
    socket.write_all(&messages.0).await?;
    socket.flush().await
}

/// Tells a client why it is not let in, and hangs up.
async fn refused<T>(socket: &mut (impl Duplex + ?Sized), report: Report) -> io::Result<Option<T>> {
    let mut messages = Messages::default();
    messages.error(&report);
    socket.write_all(&messages.0).await?;
    socket.shutdown().await?;
    Ok(None)
}

fn broken(error: &ExchangeError) -> Refusal {
    report::plain(FATAL, "08P01", error.to_string())
}

fn nothing_said() -> Refusal {
    report::plain(FATAL, NOT_LET_IN, "no password is given")
}

fn wrong_password(user: &str) -> Refusal {
    report::plain(FATAL, WRONG_PASSWORD, format!("password authentication failed for user \"{user}\""))
}

fn plain() -> Refusal {
    let hint = Some("connect with sslmode=require, or better verify-full".into());
    Report { hint, ..report::plain(FATAL, NOT_LET_IN, "the connection is not encrypted") }
}

fn full() -> Refusal {
    let hint = Some("close some, or raise --max-connections".into());
    Report { hint, ..report::plain(FATAL, "53300", "there are too many connections already") }
}

fn full_of(user: &str) -> Refusal {
    let hint = Some("close some, or have root say ALTER USER … CONNECTION LIMIT n".into());
    Report { hint, ..report::plain(FATAL, "53300", format!("user \"{user}\" has too many connections already")) }
}
