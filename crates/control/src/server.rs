use crate::protocol::{receive, send};
use crate::sockets::Names;
use crate::{Answer, ControlError, Request};
use std::fs::File;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Who connects has so long to say what he wants, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Carries requests out. Called on a thread of the connection's own; may take its time.
pub type Handler = Arc<dyn Fn(Request) -> Answer + Send + Sync>;

/// Listens for requests to one job, until it is dropped. Then requests that are being carried out are finished first: a
/// job that was asked to end ends, and says so.
pub struct Listener {
    names: Names,
    is_closed: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
    _lock: File,
}

impl Listener {
    /// Listens on the socket of `job`. `None` when another process does: two jobs have one name.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn bind(directory: &Path, job: &str, handler: Handler) -> Result<Option<Self>, ControlError> {
        let names = Names::of(directory, job);
        let Some(lock) = names.lock()? else { return Ok(None) };
        names.remove_stale()?;
        let io = |e| ControlError::io(&names.socket, e);
        let socket = UnixListener::bind(&names.socket).map_err(io)?;
        let is_closed = Arc::new(AtomicBool::new(false));
        let closed = is_closed.clone();
        let accept = Builder::new().name("control".into()).spawn(move || accept(&socket, &closed, &handler));
        let accepting = Some(accept.map_err(io)?);
        Ok(Some(Self { names, is_closed, accepting, _lock: lock }))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.is_closed.store(true, SeqCst);
        // Wakes the thread, which then sees that it is over. Where it cannot be woken it is left alone.
        if UnixStream::connect(&self.names.socket).is_ok()
            && let Some(accepting) = self.accepting.take()
        {
            // A panic was told where it happened.
            let _ = accepting.join();
        }
        if let Err(error) = self.names.remove_stale() {
            tracing::warn!(%error, "control socket cannot be removed");
        }
    }
}

fn accept(socket: &UnixListener, is_closed: &AtomicBool, handler: &Handler) {
    let mut conversations: Vec<JoinHandle<()>> = Vec::new();
    for stream in socket.incoming() {
        if is_closed.load(SeqCst) {
            break;
        }
        conversations.retain(|c| !c.is_finished());
        let handler = handler.clone();
        let talk = move |stream: &UnixStream| -> Result<(), ControlError> {
            stream.set_read_timeout(Some(PATIENCE)).map_err(ControlError::Connection)?;
            stream.set_write_timeout(Some(PATIENCE)).map_err(ControlError::Connection)?;
            let answer = match receive(stream) {
                Ok(request) => handler(request),
                Err(ControlError::HungUp) => return Ok(()),
                Err(e) => Answer::Failed { message: e.to_string(), hint: e.hint().map(str::to_owned) },
            };
            send(stream, &answer)
        };
        let talked = stream.and_then(|stream| {
            Builder::new().name("control".into()).spawn(move || {
                if let Err(error) = talk(&stream) {
                    tracing::debug!(%error, "control connection");
                }
            })
        });
        match talked {
            Ok(conversation) => conversations.push(conversation),
            Err(error) => {
                tracing::warn!(%error, "control connection cannot be taken");
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }
    for conversation in conversations {
        let _ = conversation.join();
    }
}
