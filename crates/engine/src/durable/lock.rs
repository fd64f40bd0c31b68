//! One process writes a data directory.

use super::io_error;
use eddyline_planner::SqlError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

/// SQLSTATE of something that another has open.
const IN_USE: &str = "55006";

/// Held as long as it lives. The file says which process has it.
pub(super) struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Takes the directory.
    ///
    /// # Errors
    /// Another process has it; the lock cannot be written.
    pub(super) fn take(directory: &Path) -> Result<Self, SqlError> {
        let path = directory.join("lock");
        let fault = |e| io_error(&path, &e);
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(&path).map_err(fault)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(e)) => return Err(fault(e)),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Who has just taken it may not have said so yet.
                let _ = file.read_to_string(&mut holder);
                let holder = match holder.trim() {
                    "" => "another process".to_owned(),
                    process => format!("process {process}"),
                };
                let message = format!("data directory {} is in use by {holder}", directory.display());
                return Err(SqlError::new(IN_USE, message).with_hint("end that process, or give another directory"));
            }
        }
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(fault)?;
        Ok(Self { _file: file })
    }
}
