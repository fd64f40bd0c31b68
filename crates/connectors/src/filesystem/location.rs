//! Which files a path names: a file, a directory with all below it, or a glob.

use crate::ConnectorError;
use eddyline_stores::{Entry, Files, OutOfReach, Seen};
use regex::Regex;
use std::io;
use std::path::Path;
use std::time::UNIX_EPOCH;

/// Where a table's files are.
#[derive(Debug, Clone)]
pub(super) struct Location {
    path: String,
    pattern: Option<Regex>,
    files: Files,
}

/// A file that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) path: String,
    pub(super) size_bytes: u64,
    pub(super) modified_ms: i64,
    /// The file itself, whatever its name.
    pub(super) inode: u64,
}

impl Found {
    fn new(path: String, seen: Seen) -> Self {
        let modified = seen.modified.and_then(|t| t.duration_since(UNIX_EPOCH).ok());
        let modified_ms = modified.and_then(|d| i64::try_from(d.as_millis()).ok()).unwrap_or_default();
        Self { path, size_bytes: seen.size_bytes, modified_ms, inode: seen.inode }
    }
}

impl Location {
    /// The location that `path` names; `file://` before it is dropped. `pattern` must match the whole of a file's
    /// absolute path.
    pub(super) fn new(path: &str, pattern: Option<Regex>, files: Files) -> Self {
        let path = path.strip_prefix("file://").unwrap_or(path);
        let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
        Self { path: path.to_owned(), pattern, files }
    }

    /// The path, without `file://`.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Where files are opened.
    pub(super) fn files(&self) -> &Files {
        &self.files
    }

    /// What the file system says of one of them.
    pub(super) fn found(&self, path: &str) -> Result<Found, ConnectorError> {
        let seen = self.files.look(path).map_err(|e| external(path, e))?;
        Ok(Found::new(path.to_owned(), seen))
    }

    /// All files there are now, by path. Below a directory and among the matches of a glob, names that begin with `.`
    /// or `_` are passed over, and so are symbolic links to directories.
    ///
    /// # Errors
    /// The path does not exist (a glob may match nothing), or cannot be read.
    pub(super) fn list(&self) -> Result<Vec<Found>, ConnectorError> {
        let mut files = Vec::new();
        match self.files.look(&self.path) {
            Ok(seen) if seen.is_directory => self.walk(Path::new(&self.path), &mut files)?,
            Ok(seen) => files.push(Found::new(self.path.clone(), seen)),
            Err(e) if e.kind() == io::ErrorKind::NotFound && self.path.contains(['*', '?', '[']) => {
                self.glob(&mut files)?;
            }
            Err(e) => return Err(external(&self.path, e)),
        }
        if let Some(pattern) = &self.pattern {
            files.retain(|f| matches_whole(pattern, &f.path));
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    fn glob(&self, files: &mut Vec<Found>) -> Result<(), ConnectorError> {
        for path in self.files.glob(&self.path).map_err(|e| external(&self.path, e))? {
            self.add(&path, true, files)?;
        }
        Ok(())
    }

    fn walk(&self, directory: &Path, files: &mut Vec<Found>) -> Result<(), ConnectorError> {
        let entries = self.files.entries(directory).map_err(|e| external(&directory.display().to_string(), e))?;
        for Entry { name, is_link } in entries {
            self.add(&directory.join(name), !is_link, files)?;
        }
        Ok(())
    }

    fn add(&self, path: &Path, descend: bool, files: &mut Vec<Found>) -> Result<(), ConnectorError> {
        let hidden = |name: &std::ffi::OsStr| matches!(name.as_encoded_bytes().first(), Some(b'.' | b'_'));
        if path.file_name().is_some_and(hidden) {
            return Ok(());
        }
        match self.files.look(path) {
            Ok(seen) if seen.is_directory => {
                if descend {
                    self.walk(path, files)?;
                }
            }
            Ok(seen) => {
                let text = path.to_str().ok_or_else(|| {
                    let e = io::Error::new(io::ErrorKind::InvalidData, "the name is not UTF-8");
                    external(&path.display().to_string(), e)
                })?;
                files.push(Found::new(text.to_owned(), seen));
            }
            // Gone since it was listed.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(external(&path.display().to_string(), e)),
        }
        Ok(())
    }
}

fn matches_whole(pattern: &Regex, path: &str) -> bool {
    let absolute = std::path::absolute(path);
    let text = absolute.as_ref().map_or(path.into(), |p| p.to_string_lossy());
    pattern.find(&text).is_some_and(|m| m.range() == (0..text.len()))
}

/// The error of the file system about `place`.
pub(super) fn external(place: &str, source: io::Error) -> ConnectorError {
    match source.get_ref().and_then(|why| why.downcast_ref::<OutOfReach>()) {
        Some(why) => ConnectorError::OutOfReach(why.clone()),
        None => ConnectorError::Io { place: place.to_owned(), source },
    }
}
