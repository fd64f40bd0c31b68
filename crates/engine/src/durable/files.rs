//! The files of a snapshot: rows of tables, and the manifest that names them.
//!
//! ```text
//! manifest   "eddyline manifest 1 <hash of what follows, hex>" | newline | JSON
//! tables/…   an Arrow stream; the manifest says how long it is, and its hash
//! ```
//! Hashes are xxh3. A manifest takes the place of another by one rename, when it and all that it names are durable.

use super::record::corrupt;
use super::{Definition, StoredJob, io_error};
use crate::kept::IndexedRows;
use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use eddyline_planner::SqlError;
use eddyline_users::Users;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

const MANIFEST: &str = "manifest";
const TITLE: &str = "eddyline manifest 1 ";
/// Bytes that are read or written at once.
const BUFFER_BYTES: usize = 1 << 20;

/// What a snapshot holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// Names are those of the log up to this record.
    pub(super) covered: u64,
    /// No table has had this number, nor a higher one.
    pub(super) next_id: u64,
    /// The record that has brought each name, and what it stands for.
    pub(super) definitions: Vec<(u64, Definition)>,
    pub(super) tables: Vec<TableFile>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) schemas: Vec<String>,
    #[serde(default)]
    pub(super) jobs: Vec<StoredJob>,
    /// No job has had this number, nor a higher one.
    #[serde(default)]
    pub(super) next_job: u64,
    /// Users, when any of them has ever changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) users: Option<Users>,
}

/// The rows of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TableFile {
    /// Of the table.
    pub(super) id: u64,
    /// Its rows are those of the log up to this record.
    pub(super) covered: u64,
    /// The last record that was there when the file was written.
    pub(super) written: u64,
    pub(super) file: String,
    pub(super) bytes: u64,
    /// Hexadecimal.
    pub(super) hash: String,
}

/// Where files of rows are.
pub(super) fn tables_directory(directory: &Path) -> PathBuf {
    directory.join("tables")
}

/// A file of rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DataFile {
    pub(super) bytes: u64,
    /// Hexadecimal.
    pub(super) hash: String,
}

/// Writes the rows of a table into a new file, durably.
///
/// # Errors
/// It cannot be written.
pub(super) fn write_rows(directory: &Path, id: u64, written: u64, rows: &IndexedRows) -> Result<TableFile, SqlError> {
    let file = format!("{id}-{written}");
    let DataFile { bytes, hash } = write_data(&tables_directory(directory).join(&file), rows)?;
    Ok(TableFile { id, covered: written, written, file, bytes, hash })
}

/// Writes rows into a new file, durably.
///
/// # Errors
/// It cannot be written.
pub(super) fn write_data(path: &Path, rows: &IndexedRows) -> Result<DataFile, SqlError> {
    let fault = |e| io_error(path, &e);
    let to = Hashing { to: File::create(path).map_err(fault)?, hash: Xxh3::new(), bytes: 0 };
    let mut to = BufWriter::with_capacity(BUFFER_BYTES, to);
    write_stream(&mut to, rows).map_err(|e| of_arrow(path, e))?;
    let to = to.into_inner().map_err(|e| fault(e.into_error()))?;
    to.to.sync_all().map_err(fault)?;
    Ok(DataFile { bytes: to.bytes, hash: format!("{:016x}", to.hash.digest()) })
}

fn write_stream(to: &mut impl Write, rows: &IndexedRows) -> Result<(), ArrowError> {
    let mut writer = StreamWriter::try_new(to, rows.schema())?;
    rows.batches().try_for_each(|batch| writer.write(&batch?))?;
    writer.finish()
}

/// Reads the rows of a table, batch by batch.
///
/// # Errors
/// The file is damaged or gone; `each` fails.
pub(super) fn read_rows(
    directory: &Path,
    table: &TableFile,
    each: impl FnMut(RecordBatch) -> Result<(), SqlError>,
) -> Result<(), SqlError> {
    let file = DataFile { bytes: table.bytes, hash: table.hash.clone() };
    read_data(&tables_directory(directory).join(&table.file), &file, each)
}

/// Reads the rows of a file, batch by batch.
///
/// # Errors
/// As [`read_rows`].
pub(super) fn read_data(
    path: &Path,
    file: &DataFile,
    mut each: impl FnMut(RecordBatch) -> Result<(), SqlError>,
) -> Result<(), SqlError> {
    let open = || File::open(path).map_err(|e| io_error(path, &e));
    let (bytes, hash) = hash_of(open()?).map_err(|e| io_error(path, &e))?;
    if (DataFile { bytes, hash }) != *file {
        return Err(damaged(path));
    }
    let reader = StreamReader::try_new(BufReader::with_capacity(BUFFER_BYTES, open()?), None);
    for batch in reader.map_err(|e| of_arrow(path, e))? {
        each(batch.map_err(|e| of_arrow(path, e))?)?;
    }
    Ok(())
}

fn hash_of(mut file: File) -> io::Result<(u64, String)> {
    let (mut hash, mut bytes, mut buffer) = (Xxh3::new(), 0, vec![0; BUFFER_BYTES]);
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            return Ok((bytes, format!("{:016x}", hash.digest())));
        }
        hash.update(&buffer[..length]);
        bytes += length as u64;
    }
}

/// Puts a manifest into the place of the one before.
///
/// # Errors
/// It cannot be written.
pub(super) fn write_manifest(directory: &Path, manifest: &Manifest) -> Result<(), SqlError> {
    write_titled(directory, MANIFEST, TITLE, manifest)
}

/// Reads the manifest; `None`: there was no snapshot yet.
///
/// # Errors
/// It is damaged.
pub(super) fn read_manifest(directory: &Path) -> Result<Option<Manifest>, SqlError> {
    read_titled(&directory.join(MANIFEST), TITLE)
}

/// Puts a file of this title, a hash and JSON into the place of the one before.
///
/// # Errors
/// It cannot be written.
pub(super) fn write_titled(directory: &Path, name: &str, title: &str, what: &impl Serialize) -> Result<(), SqlError> {
    let (path, next) = (directory.join(name), directory.join(format!("{name}.next")));
    let json = serde_json::to_string_pretty(what)
        .map_err(|e| SqlError::new(SqlError::INTERNAL, format!("{} cannot be stored: {e}", path.display())))?;
    let text = format!("{title}{:016x}\n{json}", xxh3_64(json.as_bytes()));
    let written = File::create(&next).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|e| io_error(&next, &e))?;
    fs::rename(&next, &path).map_err(|e| io_error(&path, &e))?;
    sync_directory(directory)
}

/// Reads such a file; `None`: there is none.
///
/// # Errors
/// It is damaged.
pub(super) fn read_titled<T: DeserializeOwned>(path: &Path, title: &str) -> Result<Option<T>, SqlError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(io_error(path, &e)),
    };
    let whole = text.strip_prefix(title).and_then(|rest| rest.split_once('\n'));
    let whole = whole.filter(|(hash, json)| *hash == format!("{:016x}", xxh3_64(json.as_bytes())));
    let (_, json) = whole.ok_or_else(|| damaged(path))?;
    serde_json::from_str(json).map(Some).map_err(|e| corrupt(format!("{}: {e}", path.display())))
}

/// Deletes files of rows that the manifest does not name. Returns how many.
///
/// # Errors
/// One cannot be deleted.
pub(super) fn sweep(directory: &Path, manifest: &Manifest) -> Result<usize, SqlError> {
    let tables = tables_directory(directory);
    let fault = |e| io_error(&tables, &e);
    let mut swept = 0;
    for entry in fs::read_dir(&tables).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        let is_named = |table: &TableFile| entry.file_name().to_str() == Some(table.file.as_str());
        if !manifest.tables.iter().any(is_named) {
            fs::remove_file(entry.path()).map_err(|e| io_error(&entry.path(), &e))?;
            swept += 1;
        }
    }
    Ok(swept)
}

/// Makes names in a directory durable.
///
/// # Errors
/// The system's word.
pub(super) fn sync_directory(directory: &Path) -> Result<(), SqlError> {
    File::open(directory).and_then(|d| d.sync_all()).map_err(|e| io_error(directory, &e))
}

struct Hashing {
    to: File,
    hash: Xxh3,
    bytes: u64,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.to.write(bytes)?;
        self.hash.update(&bytes[..length]);
        self.bytes += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn damaged(path: &Path) -> SqlError {
    corrupt(format!("{} is damaged: it is not as it was written", path.display()))
        .with_hint("bring the file back from a copy; the disk may be failing")
}

fn of_arrow(path: &Path, error: ArrowError) -> SqlError {
    match error {
        ArrowError::IoError(_, e) => io_error(path, &e),
        other => corrupt(format!("{}: {other}", path.display())),
    }
}
