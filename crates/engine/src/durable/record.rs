//! The bytes of a record of the log. All numbers are little-endian.
//!
//! ```text
//! names    kind 1 u8 | version u8 | what changed, as JSON
//! together kind 3 u8 | version u8 | records, each behind its length u32
//! changes  kind 2 u8 | version u8 | has weights u8 | 0 u8 | bytes of the head u32 | table u64 | rows u64
//!          | a weight i64 per row, if it has them | head: an Arrow message | body: the columns of that message
//! ```
//! The columns of changes are those of the table, which its definition tells: they are not repeated in every record.

use super::{Definition, StoredAlteration, StoredJob};
use crate::error::state::CORRUPTED;
use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow::ipc::{MetadataVersion, reader::read_record_batch, root_as_message};
use eddyline_catalog::Name;
use eddyline_changes::{ChangeBatch, Weights};
use eddyline_journal::RECORD_BYTES_MAX;
use eddyline_planner::SqlError;
use eddyline_users::Users;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

const NAMES: u8 = 1;
const CHANGES: u8 = 2;
const TOGETHER: u8 = 3;
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 24;
/// Buffers of a message begin at multiples of this.
const ALIGNMENT: usize = 8;

/// What a statement has made of names and jobs: those that went, then those that came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Names {
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "super::stored_name::list")]
    pub(super) gone: Vec<Name>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) come: Vec<Definition>,
    /// What becomes of the rows of tables that come with other columns than they had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) altered: Vec<StoredAlteration>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) schemas_gone: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) schemas_come: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) jobs_gone: Vec<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) jobs_come: Vec<StoredJob>,
    /// All users, when any of them has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) users: Option<Users>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) sinks: Vec<SinkNews>,
}

/// What has become of a sink that writes a table here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SinkNews {
    /// The sink.
    #[serde(with = "super::stored_name")]
    pub(crate) name: Name,
    /// Why it has failed; `None`: its first rows are written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failed: Option<String>,
}

/// A record.
pub(super) enum Record<'a> {
    Names(Names),
    Changes(Changes<'a>),
    /// Records that are there all, or none.
    Together(Vec<Record<'a>>),
}

/// Changes of a table, not decoded yet.
pub(super) struct Changes<'a> {
    pub(super) table: u64,
    rows: usize,
    weights: Option<&'a [u8]>,
    head: &'a [u8],
    body: &'a [u8],
}

/// The record of changed names.
pub(super) fn names(names: &Names) -> Result<Vec<u8>, SqlError> {
    let mut bytes = vec![NAMES, VERSION];
    serde_json::to_writer(&mut bytes, names)
        .map_err(|e| SqlError::new(SqlError::INTERNAL, format!("a definition cannot be stored: {e}")))?;
    Ok(bytes)
}

/// One record of several; `None`: they are too many for one.
pub(super) fn together(records: &[Vec<u8>]) -> Option<Vec<u8>> {
    let size_bytes = records.iter().map(|record| record.len() + 4).sum::<usize>() + 2;
    if size_bytes > RECORD_BYTES_MAX {
        return None;
    }
    let mut bytes = Vec::with_capacity(size_bytes);
    bytes.extend_from_slice(&[TOGETHER, VERSION]);
    for record in records {
        bytes.extend_from_slice(&(record.len() as u32).to_le_bytes());
        bytes.extend_from_slice(record);
    }
    Some(bytes)
}

/// The record of changes.
///
/// # Errors
/// They are too many for a record.
pub(crate) fn changes(table: u64, changes: &ChangeBatch) -> Result<Vec<u8>, SqlError> {
    let options = IpcWriteOptions::try_new(ALIGNMENT, false, MetadataVersion::V5).map_err(unexpected)?;
    let (_, encoded) = IpcDataGenerator::default()
        .encode(changes.rows(), &mut DictionaryTracker::new(false), &options, &mut IpcWriteContext::default())
        .map_err(unexpected)?;
    let weights = changes.weights().per_row();
    let (head, body) = (encoded.ipc_message, encoded.arrow_data);
    let size_bytes = HEADER_BYTES + weights.map_or(0, |w| w.len() * 8) + head.len() + body.len();
    if size_bytes > RECORD_BYTES_MAX {
        let message =
            format!("the rows of one statement take {size_bytes} bytes, and {RECORD_BYTES_MAX} can be stored");
        return Err(SqlError::new("54000", message).with_hint("change fewer rows by one statement"));
    }
    let mut bytes = Vec::with_capacity(size_bytes);
    bytes.extend_from_slice(&[CHANGES, VERSION, u8::from(weights.is_some()), 0]);
    bytes.extend_from_slice(&(head.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&table.to_le_bytes());
    bytes.extend_from_slice(&(changes.num_rows() as u64).to_le_bytes());
    weights.into_iter().flatten().for_each(|weight| bytes.extend_from_slice(&weight.to_le_bytes()));
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// Reads a record.
///
/// # Errors
/// It is none that this version writes.
pub(super) fn read(bytes: &[u8]) -> Result<Record<'_>, SqlError> {
    match bytes {
        [NAMES, VERSION, json @ ..] => {
            let names = serde_json::from_slice(json);
            names.map(Record::Names).map_err(|e| corrupt(format!("a definition does not read: {e}")))
        }
        [TOGETHER, VERSION, rest @ ..] => {
            let (mut all, mut rest) = (Vec::new(), rest);
            while !rest.is_empty() {
                let (record, behind) = first(rest).ok_or_else(|| corrupt("records end too early".into()))?;
                all.push(read(record)?);
                rest = behind;
            }
            Ok(Record::Together(all))
        }
        [CHANGES, VERSION, ..] => read_changes(bytes).ok_or_else(|| corrupt("changes of a table end too early".into())),
        [kind, version, ..] => {
            Err(corrupt(format!("a record of kind {kind} in version {version}, which this version cannot read"))
                .with_hint("use the version of Eddyline that has written it, or a newer one"))
        }
        _ => Err(corrupt("an empty record".into())),
    }
}

/// A record behind its length, and what follows.
fn first(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    bytes[4..].split_at_checked(length)
}

fn read_changes(bytes: &[u8]) -> Option<Record<'_>> {
    let has_weights = *bytes.get(2)? != 0;
    let head_bytes = u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?) as usize;
    let table = u64::from_le_bytes(bytes.get(8..16)?.try_into().ok()?);
    let rows = usize::try_from(u64::from_le_bytes(bytes.get(16..HEADER_BYTES)?.try_into().ok()?)).ok()?;
    let weights_bytes = if has_weights { rows.checked_mul(8)? } else { 0 };
    let rest = bytes.get(HEADER_BYTES..)?;
    let (weights, rest) = rest.split_at_checked(weights_bytes)?;
    let (head, body) = rest.split_at_checked(head_bytes)?;
    Some(Record::Changes(Changes { table, rows, weights: has_weights.then_some(weights), head, body }))
}

impl Changes<'_> {
    /// The changes, of a table of these columns.
    ///
    /// # Errors
    /// They are none of such a table.
    pub(super) fn decode(&self, schema: &SchemaRef) -> Result<ChangeBatch, SqlError> {
        let fault = |e: ArrowError| corrupt(format!("changes of a table do not read: {e}"));
        let head = Buffer::from(self.head);
        let message = root_as_message(&head).map_err(|e| corrupt(format!("changes of a table do not read: {e}")))?;
        let batch = message.header_as_record_batch().ok_or_else(|| corrupt("changes without rows".into()))?;
        let rows: RecordBatch = read_record_batch(
            &Buffer::from(self.body),
            batch,
            schema.clone(),
            &HashMap::new(),
            None,
            &message.version(),
        )
        .map_err(fault)?;
        if rows.num_rows() != self.rows {
            return Err(corrupt(format!("changes of {} rows hold {}", self.rows, rows.num_rows())));
        }
        let weight = |bytes: &[u8]| bytes.try_into().map(i64::from_le_bytes).unwrap_or_default();
        let weights = match self.weights {
            Some(bytes) => Weights::from_vec(bytes.chunks_exact(8).map(weight).collect()),
            None => Weights::AllInserts,
        };
        ChangeBatch::new(rows, weights).map_err(|e| corrupt(format!("changes of a table: {e}")))
    }
}

pub(super) fn corrupt(message: String) -> SqlError {
    SqlError::new(CORRUPTED, message)
}

fn unexpected(error: ArrowError) -> SqlError {
    SqlError::new(SqlError::INTERNAL, format!("rows cannot be stored: {error}"))
}
