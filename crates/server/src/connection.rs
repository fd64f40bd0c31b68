//! A connection: its first messages, then batches of messages and their answers.
//!
//! Sockets are served by tasks; what a message does runs on a thread that may wait ([`Executor`]). Meanwhile the task sends what comes
//! of it and looks whether the client is still there: when it is not, the statement is cancelled.

use crate::executor::{Executor, Next};
use crate::limits;
use crate::out::Out;
use crate::report::{self, FATAL};
use crate::server::{Place, Server};
use crate::wire::backend::{Messages, Report};
use crate::wire::frontend::{self, Message, Startup};
use bytes::{Bytes, BytesMut};
use eddyline_engine::{Canceller, SqlError};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// Answers that may wait for the socket.
const WAITING_MAX: usize = 4;

/// Serves a client to its end.
///
/// # Errors
/// The socket fails.
pub(crate) async fn serve(server: Arc<Server>, mut socket: TcpStream) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    let begun = tokio::time::timeout(limits::STARTUP, begin(&mut socket, &mut buffer)).await;
    let parameters = match begun {
        Ok(Ok(First::Session { minor, parameters })) => (minor, parameters),
        Ok(Ok(First::Cancel { process, secret })) => {
            server.cancel(process, secret);
            return Ok(());
        }
        Ok(Ok(First::Nothing)) | Err(_) => return Ok(()),
        Ok(Ok(First::Refused(why))) => return refuse(&mut socket, report::plain(FATAL, "08P01", why)).await,
        Ok(Err(error)) => return Err(error),
    };
    let Some(place) = server.take_place() else {
        let report = Report {
            hint: Some("close some, or raise --max-connections".into()),
            ..report::plain(FATAL, "53300", "there are too many connections already")
        };
        return refuse(&mut socket, report).await;
    };
    match greet(&server, &place, parameters) {
        Err(report) => refuse(&mut socket, *report).await,
        Ok((executor, canceller, messages)) => {
            socket.write_all(&messages.0).await?;
            let ended = converse(&mut socket, &mut buffer, executor, &canceller).await;
            drop(place);
            ended
        }
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
    /// The client has gone.
    Nothing,
    Refused(String),
}

async fn begin(socket: &mut TcpStream, buffer: &mut BytesMut) -> io::Result<First> {
    loop {
        match frontend::take_startup(buffer) {
            Err(error) => return Ok(First::Refused(error.0)),
            // What comes before the answer might be from somebody else: it is not read as ours.
            Ok(Some(Startup::Ssl | Startup::Gss)) if !buffer.is_empty() => {
                return Ok(First::Refused("more than the question whether to encrypt".into()));
            }
            Ok(Some(Startup::Ssl | Startup::Gss)) => socket.write_all(b"N").await?,
            Ok(Some(Startup::Cancel { process, secret })) => return Ok(First::Cancel { process, secret }),
            Ok(Some(Startup::Session { minor, parameters })) => return Ok(First::Session { minor, parameters }),
            Ok(None) => {
                buffer.reserve(limits::READ_BYTES);
                if socket.read_buf(buffer).await? == 0 {
                    return Ok(First::Nothing);
                }
            }
        }
    }
}

async fn refuse(socket: &mut TcpStream, report: Report) -> io::Result<()> {
    let mut messages = Messages::default();
    messages.error(&report);
    socket.write_all(&messages.0).await?;
    socket.shutdown().await
}

/// A session, and what its client is told first.
fn greet(
    server: &Server,
    place: &Place,
    (minor, parameters): (u16, Vec<(String, String)>),
) -> Result<(Executor, Canceller, Messages), Box<Report>> {
    let value = |name: &str| parameters.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let fatal = |code, message: String| Box::new(report::plain(FATAL, code, message));
    let user = value("user").filter(|user| !user.is_empty());
    let user = user.ok_or_else(|| fatal("28000", "no user name is given".into()))?.to_owned();
    let database = value("database").unwrap_or(&user);
    let told = |e: SqlError| Box::new(Report { severity: FATAL, ..report::error(&e, "", 0) });
    let (session, connected) = server.session(database).map_err(told)?;
    let canceller = session.canceller();
    server.admit(place, canceller.clone());
    let mut executor = Executor::new(session, connected, user, server.tokio().clone());
    let options = value("options").map(options).unwrap_or_default();
    let ours =
        |name: &str| matches!(name, "user" | "database" | "options" | "replication") || name.starts_with("_pq_.");
    let own = parameters.iter().filter(|(name, _)| !ours(name)).cloned();
    for (name, value) in own.chain(options) {
        executor.begin_with(&name, &value).map_err(told)?;
    }
    let mut messages = Messages::default();
    let unknown: Vec<String> =
        parameters.iter().map(|(name, _)| name.clone()).filter(|n| n.starts_with("_pq_.")).collect();
    if minor > 0 || !unknown.is_empty() {
        messages.negotiate(&unknown);
    }
    messages.authentication_ok();
    executor.greeting().iter().for_each(|(name, value)| messages.parameter_status(name, value));
    messages.backend_key(place.process, place.secret);
    messages.ready(crate::wire::backend::Transaction::None);
    Ok((executor, canceller, messages))
}

/// `-c name=value --name=value`, as libpq sends PGOPTIONS.
fn options(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        let setting = match word {
            "-c" => words.next(),
            word => word.strip_prefix("--").or_else(|| word.strip_prefix("-c")),
        };
        if let Some((name, value)) = setting.and_then(|s| s.split_once('=')) {
            found.push((name.replace('-', "_"), value.to_owned()));
        }
    }
    found
}

/// Messages and answers, until one side ends it.
async fn converse(
    socket: &mut TcpStream,
    buffer: &mut BytesMut,
    mut executor: Executor,
    canceller: &Canceller,
) -> io::Result<()> {
    loop {
        let messages = match batch(buffer) {
            Ok(messages) => messages,
            Err(why) => return refuse(socket, report::plain(FATAL, "08P01", why)).await,
        };
        if messages.is_empty() {
            buffer.reserve(limits::READ_BYTES);
            if socket.read_buf(buffer).await? == 0 {
                return Ok(());
            }
            continue;
        }
        let (to, answers) = mpsc::channel::<Bytes>(WAITING_MAX);
        let work = tokio::task::spawn_blocking(move || {
            let mut out = Out::new(to);
            let next = executor.handle(messages, &mut out);
            (executor, next)
        });
        let sent = answer_with(socket, buffer, answers, canceller).await;
        let Ok((back, next)) = work.await else {
            tracing::error!("a statement panicked; its connection ends");
            return refuse(socket, report::plain(FATAL, "XX000", "a fault of the server; please report it")).await;
        };
        sent?;
        if next == Next::End {
            return socket.shutdown().await;
        }
        executor = back;
    }
}

/// The messages that are there.
fn batch(buffer: &mut BytesMut) -> Result<Vec<Message>, String> {
    let mut messages = Vec::new();
    while let Some(message) = frontend::take(buffer, limits::MESSAGE_BYTES).map_err(|e| e.0)? {
        messages.push(message);
        if messages.len() >= limits::BATCH_MESSAGES {
            break;
        }
    }
    Ok(messages)
}

/// Sends answers as they come, and cancels the statement when the client is gone.
async fn answer_with(
    socket: &mut TcpStream,
    buffer: &mut BytesMut,
    mut answers: mpsc::Receiver<Bytes>,
    canceller: &Canceller,
) -> io::Result<()> {
    let mut is_there = true;
    loop {
        buffer.reserve(limits::READ_BYTES);
        let reads = is_there && buffer.len() < limits::AHEAD_BYTES;
        tokio::select! {
            answer = answers.recv() => {
                let Some(answer) = answer else { return Ok(()) };
                if let Err(error) = socket.write_all(&answer).await {
                    canceller.cancel();
                    // Whoever sends learns that nobody takes it.
                    drop(answers);
                    return Err(error);
                }
            }
            read = socket.read_buf(buffer), if reads => {
                if !matches!(read, Ok(length) if length > 0) {
                    is_there = false;
                    canceller.cancel();
                }
            }
        }
    }
}
