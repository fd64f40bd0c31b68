//! What statements may name outside of the engine: files, object stores, addresses.
//!
//! An engine of its own user's reaches everything ([`Reach::free`]). One that takes statements from the network reaches what it was given:
//! directories, prefixes of URLs, addresses. A path is looked at twice: as it is written, when a table is defined, and when a file
//! is opened, where the system itself makes sure that no link, also one that was made a moment ago, leads out of the directory
//! (`cap-std`: every step of a path is taken from a directory that is held open, by `openat2` where there is one).
//!
//! # Contract
//! No function of [`Files`] touches anything outside of the directories. Tested in `tests/reach.rs`.

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use glob::{MatchOptions, Pattern};
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use url::Url;

/// What is in reach. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Reach(Option<Arc<Limits>>);

/// What a limited engine is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReachSettings {
    /// Directories, with all below them.
    pub directories: Vec<PathBuf>,
    /// What the URLs of object stores begin with: `s3://bucket/prefix`.
    pub urls: Vec<String>,
    /// What may be connected to: `host:port`, as tables name it.
    pub addresses: Vec<String>,
}

#[derive(Debug)]
struct Limits {
    roots: Vec<Root>,
    urls: Vec<Url>,
    addresses: Vec<String>,
}

/// A directory that is in reach.
#[derive(Debug)]
struct Root {
    /// As it was given, made absolute; and what that is without links.
    paths: [PathBuf; 2],
    directory: Dir,
}

/// Something is named that is out of reach.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place} is out of reach of this server's users")]
pub struct OutOfReach {
    /// What is named.
    pub place: String,
    /// What can be done.
    pub hint: &'static str,
}

const FILES: &str =
    "have the server started with --allow-files DIR, and name a path below DIR, without links that lead out of it";
const URLS: &str = "have the server started with --allow-urls PREFIX, and name a URL that begins with it";
const ADDRESSES: &str = "have the server started with --allow-connect HOST:PORT";

impl Reach {
    /// Everything that the process can reach.
    pub fn free() -> Self {
        Self(None)
    }

    /// Nothing but this.
    ///
    /// # Errors
    /// A directory that is not there, or a URL that is none.
    pub fn limited(settings: &ReachSettings) -> io::Result<Self> {
        let roots = settings.directories.iter().map(|path| Root::open(path)).collect::<io::Result<_>>()?;
        let url = |text: &String| match Url::parse(text) {
            Ok(url) if url.scheme() != "file" => Ok(url),
            Ok(_) => Err(invalid(text, "files are given as directories")),
            Err(e) => Err(invalid(text, e)),
        };
        let urls = settings.urls.iter().map(url).collect::<io::Result<_>>()?;
        Ok(Self(Some(Arc::new(Limits { roots, urls, addresses: settings.addresses.clone() }))))
    }

    /// The files in reach.
    pub fn files(&self) -> Files {
        Files(self.clone())
    }

    /// Is a file or directory in reach, as far as its path says? `file://` before it is dropped.
    ///
    /// # Errors
    /// It is not.
    pub fn check_path(&self, path: &str) -> Result<(), OutOfReach> {
        let path = Path::new(path.strip_prefix("file://").unwrap_or(path));
        self.within(path).map(drop)
    }

    /// Is the URL of an object store in reach?
    ///
    /// # Errors
    /// It is not.
    pub fn check_url(&self, text: &str) -> Result<(), OutOfReach> {
        let Some(limits) = &self.0 else { return Ok(()) };
        let lower = text.to_ascii_lowercase();
        // Stores read these as what they stand for, URLs do not: no prefix is to be left that way.
        let is_plain = !["%2e", "%2f", "%5c"].iter().any(|hidden| lower.contains(hidden)) && !text.contains('\\');
        let is_allowed = |url: &Url| limits.urls.iter().any(|allowed| begins_with(url, allowed));
        match Url::parse(text) {
            Ok(url) if is_plain && is_allowed(&url) => Ok(()),
            _ => Err(OutOfReach { place: text.to_owned(), hint: URLS }),
        }
    }

    /// Is a path or URL in reach, as far as it is known now? Links are followed to where they lead.
    ///
    /// # Errors
    /// It is not.
    pub fn check_location(&self, location: &str) -> Result<(), OutOfReach> {
        if self.0.is_none() {
            return Ok(());
        }
        if location.contains("://") && !location.starts_with("file://") {
            return self.check_url(location);
        }
        // Read as they will be when they are opened: `%2e%2e` in a URL is `..`.
        let path = match Url::parse(location) {
            Ok(url) if location.contains("://") => {
                url.to_file_path().map_err(|()| out_of_reach(Path::new(location)))?
            }
            _ => PathBuf::from(location),
        };
        let path = path.as_path();
        self.within(path)?;
        // What is not there yet will be made below what is.
        let there = path.ancestors().find(|path| path.symlink_metadata().is_ok());
        let Some(there) = there else { return Ok(()) };
        match self.files().look(there) {
            Ok(_) => Ok(()),
            Err(_) => Err(out_of_reach(path)),
        }
    }

    /// May it be connected to?
    ///
    /// # Errors
    /// It may not.
    pub fn check_address(&self, host: &str, port: u16) -> Result<(), OutOfReach> {
        let Some(limits) = &self.0 else { return Ok(()) };
        let address = format!("{host}:{port}");
        match limits.addresses.iter().any(|allowed| allowed.eq_ignore_ascii_case(&address)) {
            true => Ok(()),
            false => Err(OutOfReach { place: address, hint: ADDRESSES }),
        }
    }

    /// The directory that a path is below, and how it goes on from there; `None`: paths are taken as they are.
    fn within(&self, path: &Path) -> Result<Option<(&Dir, PathBuf)>, OutOfReach> {
        let Some(limits) = &self.0 else { return Ok(None) };
        let absolute = std::path::absolute(path).map_err(|_| out_of_reach(path))?;
        if absolute.components().any(|part| part == Component::ParentDir) {
            return Err(out_of_reach(path));
        }
        let below = |root: &'_ Root| {
            let rest = root.paths.iter().find_map(|root| absolute.strip_prefix(root).ok())?;
            let is_root = rest.as_os_str().is_empty();
            Some(if is_root { PathBuf::from(".") } else { rest.to_owned() })
        };
        let found = limits.roots.iter().find_map(|root| Some((&root.directory, below(root)?)));
        found.map(Some).ok_or_else(|| out_of_reach(path))
    }
}

impl Root {
    fn open(path: &Path) -> io::Result<Self> {
        let named = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
        let open = || {
            let paths = [std::path::absolute(path)?, path.canonicalize()?];
            Ok(Self { paths, directory: Dir::open_ambient_dir(path, ambient_authority())? })
        };
        open().map_err(named)
    }
}

fn invalid(text: &str, why: impl fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{text}: {why}"))
}

fn out_of_reach(path: &Path) -> OutOfReach {
    OutOfReach { place: path.display().to_string(), hint: FILES }
}

/// Does a URL name the same store, and a path below?
fn begins_with(url: &Url, prefix: &Url) -> bool {
    let store =
        |url: &Url| (url.scheme().to_owned(), url.username().to_owned(), url.host_str().map(str::to_owned), url.port());
    let rest = url.path().strip_prefix(prefix.path().trim_end_matches('/'));
    store(url) == store(prefix)
        && url.query().is_none()
        && url.fragment().is_none()
        && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Files of this machine, as far as they are in reach. All functions are those of [`std::fs`], but for what is out of reach: an error of
/// kind `PermissionDenied` that holds an [`OutOfReach`].
#[derive(Debug, Clone, Default)]
pub struct Files(Reach);

/// What the file system says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Is it a directory?
    pub is_directory: bool,
    /// How long it is.
    pub size_bytes: u64,
    /// When it was changed.
    pub modified: Option<SystemTime>,
    /// The file itself, whatever its name.
    pub inode: u64,
}

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name.
    pub name: OsString,
    /// It is a symbolic link.
    pub is_link: bool,
}

impl Files {
    fn at<T>(
        &self,
        path: &Path,
        free: impl FnOnce(&Path) -> io::Result<T>,
        limited: impl FnOnce(&Dir, &Path) -> io::Result<T>,
    ) -> io::Result<T> {
        match self.0.within(path).map_err(denied)? {
            None => free(path),
            Some((directory, rest)) => {
                limited(directory, &rest).map_err(|e| if leads_out(&e) { denied(out_of_reach(path)) } else { e })
            }
        }
    }

    /// Opens a file to read it.
    ///
    /// # Errors
    /// As all of them.
    pub fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        self.at(path.as_ref(), |path| File::open(path), |dir, rest| Ok(dir.open(rest)?.into_std()))
    }

    /// Makes a file that is not there yet.
    ///
    /// # Errors
    /// As all of them.
    pub fn create_new(&self, path: impl AsRef<Path>) -> io::Result<File> {
        let options = || OpenOptions::new().read(true).write(true).create_new(true).clone();
        self.at(
            path.as_ref(),
            |path| File::create_new(path),
            |dir, rest| Ok(dir.open_with(rest, &options())?.into_std()),
        )
    }

    /// What there is at a path, links followed.
    ///
    /// # Errors
    /// As all of them.
    pub fn look(&self, path: impl AsRef<Path>) -> io::Result<Seen> {
        let seen = |found: &fs::Metadata| Seen {
            is_directory: found.is_dir(),
            size_bytes: found.len(),
            modified: found.modified().ok(),
            inode: found.ino(),
        };
        self.at(
            path.as_ref(),
            |path| fs::metadata(path).map(|found| seen(&found)),
            |dir, rest| {
                let found = dir.metadata(rest)?;
                let modified = found.modified().ok().map(cap_std::time::SystemTime::into_std);
                let inode = cap_std::fs::MetadataExt::ino(&found);
                Ok(Seen { is_directory: found.is_dir(), size_bytes: found.len(), modified, inode })
            },
        )
    }

    /// The names in a directory.
    ///
    /// # Errors
    /// As all of them.
    pub fn entries(&self, directory: impl AsRef<Path>) -> io::Result<Vec<Entry>> {
        self.at(
            directory.as_ref(),
            |path| {
                let entry = |entry: io::Result<fs::DirEntry>| {
                    let entry = entry?;
                    let is_link = entry.file_type().is_ok_and(|of| of.is_symlink());
                    Ok(Entry { name: entry.file_name(), is_link })
                };
                fs::read_dir(path)?.map(entry).collect()
            },
            |dir, rest| {
                let entry = |entry: io::Result<cap_std::fs::DirEntry>| {
                    let entry = entry?;
                    let is_link = entry.file_type().is_ok_and(|of| of.is_symlink());
                    Ok(Entry { name: entry.file_name(), is_link })
                };
                dir.read_dir(rest)?.map(entry).collect()
            },
        )
    }

    /// The paths that a glob names; the order is any.
    ///
    /// # Errors
    /// As all of them; a pattern that is none.
    pub fn glob(&self, pattern: &str) -> io::Result<Vec<PathBuf>> {
        let bad = |e: glob::PatternError| io::Error::new(io::ErrorKind::InvalidInput, e);
        if self.0.0.is_none() {
            return glob::glob(pattern).map_err(bad)?.map(|path| path.map_err(io::Error::from)).collect();
        }
        let compiled = Pattern::new(pattern).map_err(bad)?;
        let is_plain = |part: &Component<'_>| !part.as_os_str().as_encoded_bytes().iter().any(|b| b"*?[".contains(b));
        let base: PathBuf = Path::new(pattern).components().take_while(is_plain).collect();
        let mut found = Vec::new();
        self.matches(&base, &compiled, &mut found)?;
        Ok(found)
    }

    /// What matches below a directory, not below what matches itself.
    fn matches(&self, directory: &Path, pattern: &Pattern, found: &mut Vec<PathBuf>) -> io::Result<()> {
        let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
        for Entry { name, is_link } in self.entries(directory)? {
            let path = directory.join(name);
            if pattern.matches_path_with(&path, options) {
                found.push(path);
            } else if !is_link && self.look(&path).is_ok_and(|seen| seen.is_directory) {
                self.matches(&path, pattern, found)?;
            }
        }
        Ok(())
    }

    /// Makes a directory.
    ///
    /// # Errors
    /// As all of them.
    pub fn create_directory(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.at(path.as_ref(), |path| fs::create_dir(path), |dir, rest| dir.create_dir(rest))
    }

    /// Makes a directory and those above it that are not there.
    ///
    /// # Errors
    /// As all of them.
    pub fn create_directories(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.at(
            path.as_ref(),
            |path| fs::create_dir_all(path),
            // A link that leads out is there already, for who would make a directory, and is none: say where it leads.
            |dir, rest| {
                dir.create_dir_all(rest).map_err(|e| match dir.metadata(rest) {
                    Err(out) if leads_out(&out) => out,
                    _ => e,
                })
            },
        )
    }

    /// Gives a file another name, of the same reach.
    ///
    /// # Errors
    /// As all of them.
    pub fn rename(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
        let (from, to) = (from.as_ref(), to.as_ref());
        let target = self.0.within(to).map_err(denied)?;
        self.at(
            from,
            |from| fs::rename(from, to),
            |dir, rest| match &target {
                Some((to_dir, to_rest)) => dir.rename(rest, to_dir, to_rest),
                None => Err(io::Error::other("paths of two reaches")),
            },
        )
    }

    /// Removes a file.
    ///
    /// # Errors
    /// As all of them.
    pub fn remove(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.at(path.as_ref(), |path| fs::remove_file(path), |dir, rest| dir.remove_file(rest))
    }
}

/// Is it `cap-std`'s word that a link leads out? The system's own word has a number.
fn leads_out(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied && error.raw_os_error().is_none()
}

fn denied(error: OutOfReach) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, error)
}
