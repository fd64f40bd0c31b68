//! Sinks from what the engine keeps to a connector.
//!
//! ```text
//! tables, views ──changes──▶ view of the sink's query ──followed by a writer──▶ Told ──▶ job: source ▶ connector
//! ```
//! The query of such a sink is computed as that of a materialized view is, under the sink's name and by the statements that change what it
//! reads; nobody waits for the connector. A thread, the writer, follows the answer and puts what changes into a journal of the sink
//! ([`Told`]); the job of the sink reads that from the place that its last checkpoint has, as any job reads its input. So what reaches the
//! outside exactly once stays so. When a process starts, the answer is computed anew, and what differs from all that was told is told.
//!
//! Without a data directory the journal goes with the process, and a job that begins again tells all rows again.
//!
//! Not here: CREATE SINK itself ([`crate::sinks`]).

mod connector;
#[cfg(test)]
mod tests;
mod writer;

use crate::beginning::Beginning;
use crate::changes::{PlannedView, WrittenView, by_itself};
use crate::creations::Creating;
use crate::durable::Told;
use crate::job::{self, RunningJob};
use crate::kept::NewView;
use crate::settings::Settings;
use crate::sinks::{is_outward, sink_of_job};
use crate::{Instance, ScriptError, Session};
use arrow::datatypes::SchemaRef;
pub(crate) use connector::ToldConnector;
use eddyline_catalog::{Catalog, Name, Object, PUBLIC, Reference, Sink, Table};
use eddyline_planner::parse::parse_query;
use eddyline_planner::{Dialect, JobOutput, SqlError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use writer::Writer;

/// How often it is looked whether the job before has let go of its journal.
const LOOK: Duration = Duration::from_millis(20);
/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// SQLSTATE of a directory that somebody else has.
const IN_USE: &str = "55006";
/// What a job of a sink is to write is here, in its directory.
const DIRECTORY: &str = "told";

impl Instance {
    /// The sink from what is kept here that a job writes.
    pub(crate) fn outward_sink(&self, job: u64) -> Option<Arc<Sink>> {
        let catalog = self.catalog();
        sink_of_job(&catalog, job).filter(|sink| is_outward(sink, &catalog))
    }

    /// The job of such a sink is over: nobody needs its answer.
    pub(crate) fn forget_answer(&self, job: u64) {
        if let Some(sink) = self.outward_sink(job) {
            self.database().remove(&sink.view.name);
        }
    }

    /// The directory of a job of a sink; `None`: jobs are not stored.
    fn told_directory(&self, job: u64) -> Option<PathBuf> {
        let durable = self.durable().filter(|durable| durable.has_jobs())?;
        Some(durable.job_directory(job).join(DIRECTORY))
    }
}

impl Session {
    /// Begins the job of a sink that reads what the engine keeps. `self` is the session of the sink.
    ///
    /// # Errors
    /// What cannot be planned, computed or opened.
    pub(crate) fn begin_outward(&mut self, sink: &Sink, id: u64) -> Result<RunningJob, ScriptError> {
        let name = &sink.view.name;
        let query = parse_query(&sink.view.sql, sink.view.dialect)?;
        let written =
            WrittenView { view: &sink.view, query: &query, is_final: sink.is_final, or_replace: false, from: None };
        let planned = self.planned_kept_up(&written)?;
        let answer = self.compute_outward(name, planned)?;
        let begun = self.begin_writing(sink, id, answer);
        if begun.is_err() {
            self.instance.database().remove(name);
        }
        begun
    }

    /// Computes the answer of a sink under its name.
    fn compute_outward(&self, name: &Name, planned: PlannedView) -> Result<Answer, ScriptError> {
        let PlannedView { object, plan, number, shards, epochs, schema, tables, times } = planned;
        let Object::MaterializedView(made) = object else {
            return Err(SqlError::new(SqlError::INTERNAL, "the answer of a sink is none").into());
        };
        let beginning = Beginning { is_kept_up: true, ..by_itself(format!("sink {name}"), shards) };
        let tables: Vec<&Name> = tables.iter().collect();
        let canceller = &self.canceller;
        let (into, is_stored, from) = (None, false, None);
        let added = NewView { name, tables: &tables, times: &times, into, canceller, is_stored, from };
        let (mut key, mut creating) = (Vec::new(), None);
        // One that was there belongs to a job that is over.
        self.instance.database().remove(name);
        let number = self.instance.database().add_view(&added, |feeds| {
            let _found = self.engine.kept().register(number, feeds);
            let job = job::start(&self.engine, &self.settings, shards, beginning, plan, Some(number), epochs)?;
            creating = Some(Creating::new(&self.instance, canceller, &job, feeds));
            key = job.key().unwrap_or_default().to_vec();
            Ok((job, schema))
        })?;
        Ok(Answer { table: made.table.as_ref().clone(), key, number })
    }

    /// Starts the job that writes an answer, and the thread that follows that.
    fn begin_writing(&mut self, sink: &Sink, id: u64, answer: Answer) -> Result<RunningJob, ScriptError> {
        let Answer { mut table, key, number: view } = answer;
        let name = &sink.view.name;
        let directory = self.instance.told_directory(id);
        let told = Arc::new(opened(&table.physical_schema(), &key, directory.as_deref())?);
        if directory.is_none() {
            // It has no place in a journal that is gone.
            self.settings.set("state.checkpoints.dir", "")?;
        }
        let number = self.engine.next_channel();
        let found = self.engine.told().register(number, &told);
        table.primary_key = key.iter().map(|at| table.columns[*at].name.clone()).collect();
        table.options = connector::options(number, sink.is_final);
        // Positions are kept under this name, which stays when the sink gets another.
        table.name = Name::new(PUBLIC, &format!("answer of sink {id}"));
        let output = self.output_to(sink, &table)?;
        let mut catalog = Catalog::clone(&self.catalog);
        catalog.put(Object::Table(Arc::new(table)));
        self.catalog = Arc::new(catalog);
        let job = self.start_stored(vec![output], id)?;
        let writer = Writer {
            database: Arc::downgrade(self.instance.database()),
            answer: view,
            name: name.clone(),
            told,
            job: job.handle().clone(),
            grows: sink.is_final,
            checkpoints: if directory.is_some() { checkpoints_kept(&self.settings) } else { 0 },
            _found: found,
        };
        let thread = std::thread::Builder::new().name(format!("sink {name}")).spawn(move || writer.run());
        thread.map_err(|e| SqlError::new(crate::error::state::RESOURCES, format!("no thread for sink {name}: {e}")))?;
        Ok(job)
    }

    /// All rows of an answer, to the place of a sink.
    fn output_to(&self, sink: &Sink, answer: &Table) -> Result<JobOutput, SqlError> {
        let all = format!("SELECT * FROM {}", Reference::from(&answer.name).to_sql());
        let own = parse_query(&sink.view.sql, sink.view.dialect)?;
        let output = self.sink_output(sink, &own)?;
        Ok(self.under_first_name(sink, JobOutput { query: *parse_query(&all, Dialect::Flink)?, ..output }))
    }
}

/// The answer of a sink, which is computed.
struct Answer {
    table: Table,
    /// Columns that tell its rows apart, if the plan knows some.
    key: Vec<usize>,
    /// That of the view.
    number: u64,
}

fn checkpoints_kept(settings: &Settings) -> u64 {
    let retained = settings.checkpoints_retained();
    u64::try_from(retained).unwrap_or(u64::MAX).max(1)
}

/// What is told already. The writer of a job that was just stopped may have it open for a moment.
fn opened(schema: &SchemaRef, key: &[usize], directory: Option<&Path>) -> Result<Told, SqlError> {
    let until = Instant::now() + PATIENCE;
    loop {
        match Told::open(schema, key, directory) {
            Err(error) if error.sqlstate == IN_USE && Instant::now() < until => std::thread::sleep(LOOK),
            opened => return opened,
        }
    }
}
