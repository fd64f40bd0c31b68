use crate::protocol::{receive, send};
use crate::sockets::Names;
use crate::{Answer, ControlError, Request};
use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// A process that does not say at once who it is is busy with something else.
const ABOUT_TIMEOUT: Duration = Duration::from_secs(2);

/// Asks the process that runs `job` for something, and waits for its answer, however long it takes.
///
/// # Errors
/// [`ControlError::NoJob`], or the connection breaks.
pub fn ask(directory: &Path, job: &str, request: &Request) -> Result<Answer, ControlError> {
    let names = Names::of(directory, job);
    let stream = match UnixStream::connect(&names.socket) {
        Ok(stream) => stream,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            if e.kind() == ErrorKind::ConnectionRefused
                && let Some(_lock) = names.lock()?
            {
                names.remove_stale()?;
            }
            return Err(ControlError::NoJob { job: job.into(), running: running(directory) });
        }
        Err(error) => return Err(ControlError::Io { path: names.socket, error }),
    };
    send(&stream, request)?;
    receive(&stream)
}

/// The jobs that answer, by name.
pub fn running(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let sockets = entries.map(|e| e.path()).filter(|path| path.extension().is_some_and(|e| e == "sock"));
    let mut names: Vec<String> = sockets.filter_map(|path| name_of(&path)).collect();
    names.sort();
    names
}

fn name_of(socket: &Path) -> Option<String> {
    let stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(ABOUT_TIMEOUT)).ok()?;
    send(&stream, &Request::About).ok()?;
    match receive(&stream).ok()? {
        Answer::Job { name, .. } => Some(name),
        _ => None,
    }
}
