//! Which files a path names: a file, a directory with all below it, or a glob.

use crate::ConnectorError;
use regex::Regex;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::UNIX_EPOCH;

/// Where a table's files are.
#[derive(Debug, Clone)]
pub(super) struct Location {
    path: String,
    pattern: Option<Regex>,
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
    /// What the file system says of `path`.
    pub(super) fn at(path: &str) -> Result<Self, ConnectorError> {
        let found = fs::metadata(path).map_err(|e| external(path, e))?;
        Ok(Self::new(path.to_owned(), &found))
    }

    fn new(path: String, found: &Metadata) -> Self {
        let modified = found.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
        let modified_ms = modified.and_then(|d| i64::try_from(d.as_millis()).ok()).unwrap_or_default();
        Self { path, size_bytes: found.len(), modified_ms, inode: found.ino() }
    }
}

impl Location {
    /// The location that `path` names; `file://` before it is dropped. `pattern` must match the whole of a file's
    /// absolute path.
    pub(super) fn new(path: &str, pattern: Option<Regex>) -> Self {
        let path = path.strip_prefix("file://").unwrap_or(path);
        let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
        Self { path: path.to_owned(), pattern }
    }

    /// The path, without `file://`.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// All files there are now, by path. Below a directory and among the matches of a glob, names that begin with `.`
    /// or `_` are passed over, and so are symbolic links to directories.
    ///
    /// # Errors
    /// The path does not exist (a glob may match nothing), or cannot be read.
    pub(super) fn list(&self) -> Result<Vec<Found>, ConnectorError> {
        let mut files = Vec::new();
        match fs::metadata(&self.path) {
            Ok(found) if found.is_dir() => walk(Path::new(&self.path), &mut files)?,
            Ok(found) => files.push(Found::new(self.path.clone(), &found)),
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
        let bad = |e: glob::PatternError| external(&self.path, io::Error::new(io::ErrorKind::InvalidInput, e));
        for path in glob::glob(&self.path).map_err(bad)? {
            let path = path.map_err(|e| external(&self.path, e.into()))?;
            add(&path, true, files)?;
        }
        Ok(())
    }
}

fn matches_whole(pattern: &Regex, path: &str) -> bool {
    let absolute = std::path::absolute(path);
    let text = absolute.as_ref().map_or(path.into(), |p| p.to_string_lossy());
    pattern.find(&text).is_some_and(|m| m.range() == (0..text.len()))
}

fn walk(directory: &Path, files: &mut Vec<Found>) -> Result<(), ConnectorError> {
    let place = || directory.display().to_string();
    for entry in fs::read_dir(directory).map_err(|e| external(&place(), e))? {
        let entry = entry.map_err(|e| external(&place(), e))?;
        let link = entry.file_type().is_ok_and(|t| t.is_symlink());
        add(&entry.path(), !link, files)?;
    }
    Ok(())
}

fn add(path: &Path, descend: bool, files: &mut Vec<Found>) -> Result<(), ConnectorError> {
    let hidden = |name: &std::ffi::OsStr| matches!(name.as_encoded_bytes().first(), Some(b'.' | b'_'));
    if path.file_name().is_some_and(hidden) {
        return Ok(());
    }
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => {
            if descend {
                walk(path, files)?;
            }
        }
        Ok(found) => {
            let text = path.to_str().ok_or_else(|| {
                let e = io::Error::new(io::ErrorKind::InvalidData, "the name is not UTF-8");
                external(&path.display().to_string(), e)
            })?;
            files.push(Found::new(text.to_owned(), &found));
        }
        // Gone since it was listed.
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(external(&path.display().to_string(), e)),
    }
    Ok(())
}

/// The error of the file system about `place`.
pub(super) fn external(place: &str, source: io::Error) -> ConnectorError {
    ConnectorError::Io { place: place.to_owned(), source }
}
