//! What operators of a job keep, looked at by somebody else than the job: while it runs, in this process or another, or when it does not.
//!
//! A [`Picture`] is one checkpoint, or a savepoint. The files of a checkpoint are brought (linked, where that can be) into a directory of
//! their own first, so that it does not matter when the job deletes them. Nothing of the job's is written.
//!
//! A manifest says of every operator what it keeps, with types, so the query of the job need not be known. Aggregates of groups and windows
//! can be read, and what all others keep of rows.

use crate::alter_columns::{call, rows_form};
use crate::settings::open_named;
use crate::{RuntimeError, recovery};
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use eddyline_changes::KeyGroups;
use eddyline_checkpoint::{
    CheckpointError, CheckpointId, CheckpointStore, ColumnFact, Found, Manifest, OperatorFact, Place, RowsFact,
    Savepoint, StateFact,
};
use eddyline_operators::{KeptGroups, KeptRows, KeptSlices, OperatorError};
use eddyline_plan::{AggregateCall, RowsForm};
use eddyline_state::{Backend, EntriesReader, MemoryBackend, StateError, Store, Write};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

/// Entries of a savepoint that are taken at a time.
const ENTRIES_AT_ONCE: usize = 10_000;
/// How often a newer checkpoint is looked for when files of one are gone before they were read.
const TRIES: usize = 20;

/// A checkpoint or savepoint that stays as it is while it is looked at.
pub struct Picture {
    manifest: Manifest,
    /// Removed with the picture: a directory for each shard of a checkpoint; of a savepoint, what was fetched.
    scratch: TempDir,
    /// Of a savepoint: by shard, a file of entries.
    entries: Option<Vec<PathBuf>>,
    /// Opened once, by shard.
    backends: Mutex<BTreeMap<usize, Arc<dyn Backend>>>,
}

/// What an operator keeps, as a table.
#[derive(Debug, Clone)]
pub struct KeptTable {
    operator: u64,
    schema: SchemaRef,
    kept: Kept,
}

#[derive(Debug, Clone)]
enum Kept {
    Groups(KeptGroups),
    Rows(KeptRows),
    Slices(KeptSlices),
}

/// A table, and how it may be called.
struct Named {
    name: String,
    /// By the operator's id.
    id: String,
    /// Without the number.
    kind: Option<String>,
    table: KeptTable,
}

impl KeptTable {
    /// Its columns: those of the key, then the aggregates; or those of the rows. Under the names that the checkpoint gives them.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }
}

impl Picture {
    /// The newest checkpoint of a job that is whole; `None` when it has none.
    ///
    /// # Errors
    /// None of its checkpoints is whole, or the place cannot be reached.
    pub fn of_job(place: &Place, job: &str) -> Result<Option<Self>, RuntimeError> {
        let store = CheckpointStore::new(place, job);
        let mut passed_over: BTreeSet<CheckpointId> = BTreeSet::new();
        let mut faults = Vec::new();
        // What the job has deleted since it was listed has made room for newer ones.
        for _ in 0..TRIES {
            let listed = match store.list() {
                Err(error) if error.is_damage() => continue,
                listed => listed.map_err(checkpoint)?,
            };
            let newest = listed.into_iter().find(|found| !passed_over.contains(&found.id));
            let Some(Found { id, manifest }) = newest else { break };
            match manifest.and_then(|manifest| Self::fetched(&store, manifest)) {
                Ok(picture) => return Ok(Some(picture)),
                Err(error) if error.is_damage() => {
                    faults.push(format!("checkpoint {id}: {error}"));
                    passed_over.insert(id);
                }
                Err(error) => return Err(checkpoint(error)),
            }
        }
        if faults.is_empty() { Ok(None) } else { Err(RuntimeError::NoCheckpoint { faults }) }
    }

    fn fetched(store: &CheckpointStore, manifest: Manifest) -> Result<Self, CheckpointError> {
        let scratch = scratch()?;
        for shard in 0..manifest.shards.len() {
            let directory = scratch.path().join(shard.to_string());
            std::fs::create_dir(&directory).map_err(|error| io(&directory, error))?;
            // Of large files only the sizes are looked at: every block is checked when it is read.
            store.fetch(&manifest, shard, &directory, recovery::CHECKED_AT_ONCE_BYTES)?;
        }
        Ok(Self { manifest, scratch, entries: None, backends: Mutex::default() })
    }

    /// A savepoint; `None` where there is none.
    ///
    /// # Errors
    /// It is damaged, or the place cannot be reached.
    pub fn of_savepoint(place: &Place) -> Result<Option<Self>, RuntimeError> {
        let read = || -> Result<Option<Self>, CheckpointError> {
            let savepoint = Savepoint::at(place);
            if !savepoint.is_there()? {
                return Ok(None);
            }
            let (manifest, scratch) = (savepoint.manifest()?, scratch()?);
            let file = |shard| savepoint.file(&manifest, shard, scratch.path());
            let entries = (0..manifest.shards.len()).map(file).collect::<Result<_, _>>()?;
            Ok(Some(Self { manifest, scratch, entries: Some(entries), backends: Mutex::default() }))
        };
        read().map_err(checkpoint)
    }

    /// What tells it from all others, for people too.
    pub fn name(&self) -> String {
        let Manifest { job, kind, id, lineage, .. } = &self.manifest;
        format!("{kind} {id} of {job} ({lineage})")
    }

    /// Of how many shards the job was.
    pub fn shards(&self) -> usize {
        self.manifest.shards.len()
    }

    /// The names of what can be read: operators as a checkpoint names them, with `left` and `right` behind those of joins.
    pub fn readable(&self) -> impl Iterator<Item = String> {
        self.kept().map(|kept| kept.name)
    }

    /// All that can be read.
    fn kept(&self) -> impl Iterator<Item = Named> {
        self.manifest.operators.iter().flat_map(|operator| {
            let groups = kept_groups(operator).map(|(schema, groups)| ("", schema, Kept::Groups(groups)));
            let rows =
                operator.state.iter().flat_map(|state| state.rows.iter().filter_map(|rows| kept_rows(state, rows)));
            groups.into_iter().chain(rows).map(|(part, schema, kept)| {
                let behind = if part.is_empty() { String::new() } else { format!(" {part}") };
                let table = KeptTable { operator: operator.id, schema, kept };
                Named {
                    name: format!("{}{behind}", operator.name),
                    id: format!("{:016x}{behind}", operator.id),
                    kind: operator.name.split_once(" #").map(|(kind, _)| format!("{kind}{behind}")),
                    table,
                }
            })
        })
    }

    /// Is there an operator of this name that keeps anything?
    pub fn has(&self, operator: &str) -> bool {
        self.manifest.operators.iter().any(|o| o.name == operator && o.state.is_some())
    }

    /// What an operator keeps, if there is one of this name (the number may be left out where there is one of its kind) that can be read.
    pub fn table(&self, operator: &str) -> Option<KeptTable> {
        if let Some(named) = self.kept().find(|kept| kept.name == operator || kept.id == operator) {
            return Some(named.table);
        }
        let mut of_kind = self.kept().filter(|kept| kept.kind.as_deref() == Some(operator));
        let found = of_kind.next().filter(|_| of_kind.next().is_none())?;
        Some(found.table)
    }

    /// Calls `each` with the rows of a shard, some at a time. They are all in memory meanwhile. (What is kept without a key is with the rows of the
    /// first shard, wherever it was.)
    ///
    /// # Errors
    /// The state cannot be read, or `each` failed.
    pub fn read(
        &self,
        table: &KeptTable,
        shard: usize,
        each: &mut dyn FnMut(RecordBatch) -> Result<(), RuntimeError>,
    ) -> Result<(), RuntimeError> {
        let groups = match &table.kept {
            Kept::Groups(groups) if groups.keys.is_empty() => groups,
            _ => return self.read_shard(table, shard, each),
        };
        if shard > 0 {
            return Ok(());
        }
        let mut rows = 0;
        for shard in 0..self.shards() {
            self.read_shard(table, shard, &mut |batch| {
                rows += batch.num_rows();
                each(batch)
            })?;
        }
        match rows {
            0 => {
                let columns = groups.of_nothing().map_err(|e| self.failed(shard, e))?;
                each(batch(&table.schema, columns).map_err(|e| self.failed(shard, e))?)
            }
            _ => Ok(()),
        }
    }

    fn read_shard(
        &self,
        table: &KeptTable,
        shard: usize,
        each: &mut dyn FnMut(RecordBatch) -> Result<(), RuntimeError>,
    ) -> Result<(), RuntimeError> {
        let groups = KeyGroups::new(self.manifest.max_parallelism, 1);
        let store = Store::new(self.backend(shard)?, table.operator, groups, 0..self.manifest.max_parallelism);
        let mut failure = None;
        let mut hand_over = |columns| {
            each(batch(&table.schema, columns)?).map_err(|error| {
                let message = error.to_string();
                failure = Some(error);
                OperatorError::Spec { operator: "STATE", message }
            })
        };
        let read = match &table.kept {
            Kept::Groups(groups) => groups.read(&store, &mut hand_over),
            Kept::Rows(rows) => rows.read(&store, &mut hand_over),
            Kept::Slices(slices) => slices.read(&store, &mut hand_over),
        };
        match failure {
            Some(failure) => Err(failure),
            None => read.map_err(|error| self.failed(shard, error)),
        }
    }

    fn failed(&self, shard: usize, error: OperatorError) -> RuntimeError {
        RuntimeError::Operator { operator: self.name(), shard, place: None, error: Arc::new(error) }
    }

    fn backend(&self, shard: usize) -> Result<Arc<dyn Backend>, RuntimeError> {
        let mut backends = self.backends.lock();
        if let Some(backend) = backends.get(&shard) {
            return Ok(backend.clone());
        }
        let opened = self.open(shard).map_err(|error| RuntimeError::State { error: Arc::new(error) })?;
        backends.insert(shard, opened.clone());
        Ok(opened)
    }

    fn open(&self, shard: usize) -> Result<Arc<dyn Backend>, StateError> {
        let unknown = |what: &str| StateError::Corrupt { table: self.name(), message: format!("{what} is not known") };
        let kept = self.manifest.shards.get(shard).ok_or_else(|| unknown("its shard"))?;
        let Some(entries) = &self.entries else {
            let directory = self.scratch.path().join(shard.to_string());
            return open_named(&kept.backend, &directory).unwrap_or_else(|| Err(unknown(&kept.backend)));
        };
        let path = entries.get(shard).ok_or_else(|| unknown("its shard"))?;
        let backend = MemoryBackend::new();
        let mut writes = Vec::new();
        EntriesReader::open(path)?.read_all(&mut |key, value| {
            writes.push(Write::Put(key.to_vec(), value.to_vec()));
            if writes.len() == ENTRIES_AT_ONCE { backend.write(std::mem::take(&mut writes)) } else { Ok(()) }
        })?;
        backend.write(writes)?;
        Ok(Arc::new(backend))
    }
}

fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch, OperatorError> {
    let options = RecordBatchOptions::new().with_row_count(columns.first().map(|column| column.len()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
}

/// The columns of a grouped aggregate, and how it keeps them; `None` of other operators.
fn kept_groups(operator: &OperatorFact) -> Option<(SchemaRef, KeptGroups)> {
    let state = operator.state.as_ref()?;
    if !operator.name.starts_with("GroupAggregate ") {
        return None;
    }
    let Aggregates { keys, calls, append_only } = aggregates(state)?;
    let results = calls.iter().map(|call| call.return_type.clone());
    let schema = named(state.keys.iter().chain(&state.kept).zip(keys.iter().cloned().chain(results)));
    Some((schema, KeptGroups { keys, calls, append_only }))
}

struct Aggregates {
    /// Types of the key.
    keys: Vec<DataType>,
    calls: Vec<AggregateCall>,
    append_only: bool,
}

/// What is computed of groups or windows, where it is kept as results follow from it.
fn aggregates(state: &StateFact) -> Option<Aggregates> {
    let StateFact { keys, kept, form, .. } = state;
    let append_only =
        ["Single", "Global"].iter().find_map(|phase| form.strip_prefix(phase)?.strip_prefix(", append-only "))?;
    Some(Aggregates {
        keys: keys.iter().map(|k| k.data_type.parse().ok()).collect::<Option<_>>()?,
        calls: kept.iter().map(call).collect::<Option<_>>()?,
        append_only: append_only.parse().ok()?,
    })
}

/// What an operator keeps by slices of time: when they begin, keys and aggregates.
fn kept_slices(state: &StateFact, are_windows: bool) -> Option<(SchemaRef, Kept)> {
    let Aggregates { keys, calls, append_only } = aggregates(state)?;
    let slices = KeptSlices { keys, calls, append_only, are_windows };
    let begin = ColumnFact { text: "slice".into(), data_type: String::new(), call: None };
    let shown = slices.shown().map(|call| (&state.kept[call], slices.calls[call].return_type.clone()));
    let keys = state.keys.iter().zip(slices.keys.iter().cloned());
    let first = (&begin, DataType::Timestamp(TimeUnit::Millisecond, None));
    let schema = named(std::iter::once(first).chain(keys).chain(shown));
    Some((schema, Kept::Slices(slices)))
}

/// Rows that an operator keeps, and which; `None` where it is not known how.
fn kept_rows<'a>(state: &StateFact, rows: &'a RowsFact) -> Option<(&'a str, SchemaRef, Kept)> {
    let form = rows_form(rows)?;
    if let RowsForm::Slices { are_windows } = form {
        let (schema, kept) = kept_slices(state, are_windows)?;
        return Some((&rows.part, schema, kept));
    }
    let mut columns: Vec<&ColumnFact> = state.kept.get(rows.columns.0..rows.columns.1)?.iter().collect();
    if let RowsForm::Timed { columns: kept, .. } = &form {
        columns = kept.iter().map(|column| columns.get(*column).copied()).collect::<Option<_>>()?;
    }
    let types = columns.iter().map(|c| c.data_type.parse().ok()).collect::<Option<Vec<DataType>>>()?;
    let schema = named(columns.into_iter().zip(types));
    Some((&rows.part, schema.clone(), Kept::Rows(KeptRows { schema, form })))
}

/// Columns under their texts; a number tells equal ones apart.
fn named<'a>(columns: impl Iterator<Item = (&'a ColumnFact, DataType)>) -> SchemaRef {
    let mut names = BTreeSet::new();
    let field = |(column, data_type): (&ColumnFact, DataType)| {
        let mut name = column.text.clone();
        let mut number = 1;
        while !names.insert(name.clone()) {
            number += 1;
            name = format!("{} ({number})", column.text);
        }
        Field::new(name, data_type, true)
    };
    Arc::new(Schema::new(columns.map(field).collect::<Vec<_>>()))
}

fn checkpoint(error: CheckpointError) -> RuntimeError {
    RuntimeError::Checkpoint { error: Arc::new(error) }
}

fn io(path: &std::path::Path, error: std::io::Error) -> CheckpointError {
    CheckpointError::Io { path: path.display().to_string(), error }
}

fn scratch() -> Result<TempDir, CheckpointError> {
    tempfile::tempdir().map_err(|error| io(&std::env::temp_dir(), error))
}
