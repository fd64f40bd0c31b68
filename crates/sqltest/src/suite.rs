//! Suites of sqllogictest files over an embedded session.

use crate::feed::Changes;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use eddyline_connectors::Registry;
use eddyline_engine::{
    DataSettings, Engine, EngineConfig, Instance, JobEvent, Listing, Observer, ResultTable, RunningJob, ScriptError,
    Session,
};
use sqllogictest::{ColumnType, DB, DBOutput, DefaultColumnType};
use std::sync::Arc;
use std::time::Duration;

/// A session as sqllogictest sees it. Every statement is a script of its own and runs to its end.
pub struct Database {
    session: Session,
}

impl Database {
    /// An empty session whose jobs have `shards` shards; knows the connector `changes`.
    pub fn new(tokio: tokio::runtime::Handle, shards: usize) -> Self {
        let registry = Registry::builtin().with(Arc::new(Changes::default()));
        let engine = Engine::new(EngineConfig { registry, shards, ..EngineConfig::new(tokio) });
        Self { session: engine.session() }
    }

    /// A session over what a directory has. Whoever opens it again [closes](Instance::close) the instance before.
    ///
    /// # Panics
    /// The directory cannot be opened.
    pub fn open(tokio: tokio::runtime::Handle, shards: usize, data: DataSettings) -> (Self, Instance) {
        let engine = Engine::new(EngineConfig { shards, ..EngineConfig::new(tokio) });
        let instance = engine.open(data).unwrap_or_else(|e| panic!("{}", e.message));
        (Self { session: instance.session() }, instance)
    }
}

/// A failed statement: the error as a terminal shows it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failed(String);

impl Failed {
    pub(crate) fn new(shown: String) -> Self {
        Self(shown)
    }
}

impl DB for Database {
    type Error = Failed;
    type ColumnType = DefaultColumnType;

    fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failed> {
        let mut output = Output::default();
        match self.session.run_script(sql, &mut output) {
            Ok(()) => output.finish(),
            Err(ScriptError::Statement(e) | ScriptError::Job(e)) => Err(Failed(e.render(sql))),
            Err(ScriptError::Stopped | ScriptError::Aborted) => Err(Failed("the job was stopped".into())),
        }
    }

    fn engine_name(&self) -> &str {
        "eddyline"
    }
}

/// Collects the last result of a script.
#[derive(Default)]
struct Output {
    rows: Option<Vec<RecordBatch>>,
    types: Vec<DataType>,
}

impl Output {
    fn finish(self) -> Result<DBOutput<DefaultColumnType>, Failed> {
        let Some(batches) = self.rows else { return Ok(DBOutput::StatementComplete(0)) };
        let mut rows = Vec::new();
        for batch in &batches {
            let columns =
                batch.columns().iter().map(cells).collect::<Result<Vec<_>, _>>().map_err(|e| Failed(e.to_string()))?;
            rows.extend((0..batch.num_rows()).map(|r| columns.iter().map(|c| c[r].clone()).collect::<Vec<_>>()));
        }
        Ok(DBOutput::Rows { types: self.types.iter().map(letter).collect(), rows })
    }

    fn take(&mut self, schema: &arrow::datatypes::Schema, batches: Vec<RecordBatch>) {
        self.types = schema.fields().iter().map(|f| f.data_type().clone()).collect();
        self.rows = Some(batches);
    }
}

impl Observer for Output {
    fn done(&mut self, _message: &str) {}

    fn note(&mut self, _message: &str) {}

    fn listing(&mut self, listing: &Listing) -> Result<(), ScriptError> {
        self.take(&listing.rows.schema(), vec![listing.rows.clone()]);
        Ok(())
    }

    fn job(&mut self, job: RunningJob) -> Result<(), ScriptError> {
        let mut table = job.facts().result.as_ref().map(ResultTable::new);
        loop {
            match job.next_event(Duration::from_secs(60)) {
                Some(JobEvent::Changes { changes, .. }) => {
                    if let Some(table) = &mut table {
                        table.apply(&changes).map_err(ScriptError::Job)?;
                    }
                }
                Some(JobEvent::Interrupted) => return Err(ScriptError::Stopped),
                Some(JobEvent::Ended(result)) => {
                    result.map_err(ScriptError::Job)?;
                    if let Some(table) = table {
                        let batches = table.batches().map_err(ScriptError::Job)?;
                        self.take(&table.schema(), batches);
                    }
                    return Ok(());
                }
                None => {
                    job.cancel();
                    let message = "the job has said nothing for a minute";
                    return Err(ScriptError::Job(eddyline_engine::SqlError::new("57014", message)));
                }
            }
        }
    }
}

/// A query and its right answer as a record of a suite, rows sorted.
///
/// # Errors
/// A value that cannot be written.
pub fn record(query: &str, batches: &[RecordBatch]) -> Result<String, Failed> {
    let mut output = Output::default();
    if let Some(first) = batches.first() {
        output.take(&first.schema(), batches.to_vec());
    }
    let DBOutput::Rows { types, rows } = output.finish()? else {
        return Ok(format!("query T rowsort\n{query}\n----\n"));
    };
    let letters: String = types.iter().map(DefaultColumnType::to_char).collect();
    let mut lines: Vec<String> = rows.iter().map(|row| row.join(" ")).collect();
    lines.sort_unstable();
    Ok(format!("query {letters} rowsort\n{query}\n----\n{}\n", lines.join("\n")))
}

fn letter(data_type: &DataType) -> DefaultColumnType {
    match data_type {
        t if t.is_integer() => DefaultColumnType::Integer,
        t if t.is_floating() => DefaultColumnType::FloatingPoint,
        _ => DefaultColumnType::Text,
    }
}

fn cells(column: &ArrayRef) -> Result<Vec<String>, arrow::error::ArrowError> {
    let float = |v: Option<f64>| v.map_or_else(|| "NULL".to_owned(), |v| v.to_string());
    Ok(match column.data_type() {
        DataType::Float64 => column.as_primitive::<Float64Type>().iter().map(float).collect(),
        DataType::Float32 => {
            let text = |v: Option<f32>| v.map_or_else(|| "NULL".to_owned(), |v| v.to_string());
            column.as_primitive::<Float32Type>().iter().map(text).collect()
        }
        _ => {
            let options = FormatOptions::default().with_null("NULL");
            let formatter = ArrayFormatter::try_new(column.as_ref(), &options)?;
            (0..column.len())
                .map(|row| {
                    let text = formatter.value(row).try_to_string()?;
                    Ok(if text.is_empty() { "(empty)".to_owned() } else { text })
                })
                .collect::<Result<_, arrow::error::ArrowError>>()?
        }
    })
}
