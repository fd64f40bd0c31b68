//! A connection of a client that is known ([`entry`]): what it is told first, then batches of messages and their answers.
//!
//! Sockets are served by tasks; what a message does runs on a thread that may wait ([`Executor`]). Meanwhile the task sends what comes
//! of it and looks whether the client is still there: when it is not, the statement is cancelled.

use crate::duplex::Duplex;
use crate::entry::{self, Entered};
use crate::executor::{Executor, Next};
use crate::limits;
use crate::out::Out;
use crate::report::{self, FATAL, NOTICE};
use crate::server::{Place, Server};
use crate::wire::backend::{Hidden, Messages, Report};
use crate::wire::frontend::{self, Message};
use bytes::{Bytes, BytesMut};
use eddyline_engine::{Canceller, SqlError};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::{Interval, MissedTickBehavior};

/// Answers that may wait for the socket.
const WAITING_MAX: usize = 4;

/// Serves a client to its end. It has a place among the unknown until it is known.
///
/// # Errors
/// The socket fails.
pub(crate) async fn serve(server: Arc<Server>, socket: TcpStream, unknown: OwnedSemaphorePermit) -> io::Result<()> {
    let Ok(entered) = tokio::time::timeout(limits::STARTUP, entry::enter(&server, socket)).await else { return Ok(()) };
    let Some(Entered { mut socket, mut buffer, place, user, minor, parameters }) = entered? else { return Ok(()) };
    drop(unknown);
    match greet(&server, &place, user, (minor, parameters)) {
        Err(report) => refuse(&mut *socket, *report).await,
        Ok((executor, canceller, messages)) => {
            socket.write_all(&messages.0).await?;
            socket.flush().await?;
            let ended =
                converse(&mut *socket, &mut buffer, executor, (&canceller, server.attention), server.end()).await;
            drop(place);
            ended
        }
    }
}

async fn refuse(socket: &mut (impl Duplex + ?Sized), report: Report) -> io::Result<()> {
    let mut messages = Messages::default();
    messages.error(&report);
    socket.write_all(&messages.0).await?;
    socket.shutdown().await
}

/// A session, and what its client is told first.
fn greet(
    server: &Server,
    place: &Place,
    user: String,
    (minor, parameters): (u16, Vec<(String, String)>),
) -> Result<(Executor, Canceller, Messages), Box<Report>> {
    let value = |name: &str| parameters.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let database = value("database").unwrap_or(&user);
    let told = |e: SqlError| Box::new(Report { severity: FATAL, ..report::error(&e, "", 0) });
    let (session, connected) = server.session(&user, database).map_err(told)?;
    let canceller = session.canceller();
    server.admit(place, canceller.clone());
    let mut executor = Executor::new(session, connected, server.tokio().clone(), server.traces_text);
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
    socket: &mut (impl Duplex + ?Sized),
    buffer: &mut BytesMut,
    mut executor: Executor,
    (canceller, attention): (&Canceller, Duration),
    mut end: watch::Receiver<bool>,
) -> io::Result<()> {
    // One for all statements: to begin another for each would cost a short one too much.
    let mut ticks = tokio::time::interval(attention);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let messages = match batch(buffer) {
            Ok(messages) => messages,
            Err(why) => return refuse(socket, report::plain(FATAL, "08P01", why)).await,
        };
        if messages.is_empty() {
            buffer.reserve(limits::READ_BYTES);
            tokio::select! {
                read = socket.read_buf(buffer) => {
                    if read? == 0 {
                        return Ok(());
                    }
                }
                () = comes(&mut end) => {
                    let report = report::plain(FATAL, "57P01", "the server ends, and its connections with it");
                    let hint = Some("connect again when it is back".into());
                    return refuse(socket, Report { hint, ..report }).await;
                }
            }
            continue;
        }
        if !executor.is_copying() {
            canceller.reset();
        }
        let hidden = executor.hidden();
        let (to, answers) = mpsc::channel::<Bytes>(WAITING_MAX);
        let work = tokio::task::spawn_blocking(move || {
            let mut out = Out::new(to);
            let next = executor.handle(messages, &mut out);
            (executor, next)
        });
        let sent = answer_with(socket, buffer, answers, (canceller, &mut ticks), (&mut end, hidden)).await;
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

/// Waits for the end of the server.
async fn comes(end: &mut watch::Receiver<bool>) {
    if end.wait_for(|ends| *ends).await.is_err() {
        // Whoever would tell it is gone.
        std::future::pending::<()>().await;
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

/// Sends bytes, of which an encrypted connection keeps none back.
async fn send(socket: &mut (impl Duplex + ?Sized), bytes: &[u8]) -> io::Result<()> {
    socket.write_all(bytes).await?;
    socket.flush().await
}

/// Sends answers as they come, and cancels the statement when the client is gone.
async fn answer_with(
    socket: &mut (impl Duplex + ?Sized),
    buffer: &mut BytesMut,
    mut answers: mpsc::Receiver<Bytes>,
    (canceller, ticks): (&Canceller, &mut Interval),
    (end, hidden): (&mut watch::Receiver<bool>, Hidden),
) -> io::Result<()> {
    let (mut is_there, mut goes_on) = (true, true);
    loop {
        buffer.reserve(limits::READ_BYTES);
        let reads = is_there && buffer.len() < limits::AHEAD_BYTES;
        tokio::select! {
            answer = answers.recv() => {
                let Some(answer) = answer else { return Ok(()) };
                if let Err(error) = send(socket, &answer).await {
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
            () = comes(end), if goes_on => {
                goes_on = false;
                canceller.cancel();
            }
            _ = ticks.tick(), if is_there => {
                // What it has sent, and nobody reads for the time, stands before its end.
                if !reads && socket.has_hung_up() {
                    is_there = false;
                    canceller.cancel();
                } else if let Some(progress) = canceller.progress() {
                    let mut messages = Messages(BytesMut::new(), hidden);
                    messages.notice(&report::plain(NOTICE, "00000", progress.to_string()));
                    if let Err(error) = send(socket, &messages.0).await {
                        canceller.cancel();
                        return Err(error);
                    }
                }
            }
        }
    }
}
