//! Where sockets are, and what they are called.

use crate::ControlError;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{DirBuilder, File, TryLockError};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

/// A socket's path has room for little more than a hundred bytes.
const NAME_BYTES_MAX: usize = 40;

/// The directory of the user's sockets, which is made if it is not there: `$EDDYLINE_RUNTIME_DIR`, else `$XDG_RUNTIME_DIR/eddyline`, else
/// `eddyline-<uid>` in the temporary directory. `environment` knows the variables.
///
/// # Errors
/// It cannot be made, or others can enter it.
pub fn directory(environment: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, ControlError> {
    let set = |name: &str| environment(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let uid = rustix::process::getuid().as_raw();
    let path = set("EDDYLINE_RUNTIME_DIR")
        .or_else(|| set("XDG_RUNTIME_DIR").map(|dir| dir.join("eddyline")))
        .unwrap_or_else(|| std::env::temp_dir().join(format!("eddyline-{uid}")));
    let wrong = |message: String| ControlError::Directory { path: path.clone(), message };
    DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(|e| wrong(e.to_string()))?;
    // In a directory that all may write, somebody else may have made it before.
    let metadata = std::fs::symlink_metadata(&path).map_err(|e| wrong(e.to_string()))?;
    if !metadata.is_dir() || metadata.uid() != uid {
        return Err(wrong("it belongs to somebody else".into()));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(wrong(format!("others can enter it (its mode is {:o}, not 700)", metadata.mode() & 0o777)));
    }
    Ok(path)
}

/// The socket of a job and its lock.
pub(crate) struct Names {
    pub(crate) socket: PathBuf,
    lock: PathBuf,
}

impl Names {
    pub(crate) fn of(directory: &Path, job: &str) -> Self {
        let name = file_name(job);
        Self { socket: directory.join(format!("{name}.sock")), lock: directory.join(format!("{name}.lock")) }
    }

    /// The lock, and with it the right to the socket; `None` while another process has it.
    pub(crate) fn lock(&self) -> Result<Option<File>, ControlError> {
        let file = File::create(&self.lock).map_err(|e| ControlError::io(&self.lock, e))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(ControlError::io(&self.lock, e)),
        }
    }

    /// Removes a socket that nobody listens on. The caller has the lock.
    pub(crate) fn remove_stale(&self) -> Result<(), ControlError> {
        match std::fs::remove_file(&self.socket) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(ControlError::io(&self.socket, e)),
            _ => Ok(()),
        }
    }
}

/// A job's name as a file name: what is not a letter, digit, `-`, `_` or `.` becomes `%xx`; what is too long is cut, and a
/// hash of it put behind.
fn file_name(job: &str) -> String {
    let mut name = String::new();
    for (at, byte) in job.bytes().enumerate() {
        match byte {
            b if b.is_ascii_alphanumeric() || b"-_".contains(&b) || (b == b'.' && at > 0) => name.push(b as char),
            // Writing to a text cannot fail.
            b => drop(write!(name, "%{b:02x}")),
        }
    }
    if name.len() > NAME_BYTES_MAX {
        name.truncate(NAME_BYTES_MAX - 17);
        let _ = write!(name, "-{:016x}", xxh3_64(job.as_bytes()));
    }
    name
}
