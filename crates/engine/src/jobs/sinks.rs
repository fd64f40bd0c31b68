//! Sinks into tables that the engine keeps, as jobs: they have a number and a report. What they do is done by the statements that change what
//! they read, so nothing can be asked of them.

use super::{JobReport, JobStatus};
use crate::Instance;
use crate::job::{JobFacts, SinkPlace};
use crate::kept::SinkState;
use eddyline_catalog::{Object, Sink};
use eddyline_planner::SqlError;
use eddyline_runtime::JobFailure;
use std::sync::Arc;

impl Instance {
    /// All of them.
    pub(super) fn sinks_into_tables(&self) -> Vec<Arc<Sink>> {
        let catalog = self.catalog();
        let sinks = catalog.objects().filter_map(|(_, object)| match object {
            Object::Sink(sink) if sink.into.is_some() => Some(sink.clone()),
            _ => None,
        });
        sinks.collect()
    }

    /// The one of this name or number.
    pub(super) fn sink_into_table(&self, job: &str) -> Option<Arc<Sink>> {
        let is_it = |sink: &Arc<Sink>| {
            let names = [sink.job.to_string(), sink.view.name.to_string()];
            names.iter().any(|name| name == job)
        };
        self.sinks_into_tables().into_iter().find(is_it)
    }

    /// What is told of one; `None`: it is being made.
    pub(super) fn report_of_sink(&self, sink: &Sink) -> Option<JobReport> {
        let SinkState { job, started_ms, failed } = self.database().sink_state(&sink.view.name);
        let metrics = job.map(|job| job.metrics());
        let status = match (&metrics, &failed) {
            (_, Some(_)) => JobStatus::Failed,
            (Some(_), None) => JobStatus::Running,
            (None, None) => return None,
        };
        let table = sink.into.as_ref().map(ToString::to_string).unwrap_or_default();
        let facts = JobFacts {
            name: sink.view.name.to_string(),
            is_named: false,
            bounded: false,
            shards: 1,
            sinks: vec![SinkPlace { table, connector: String::new(), path: None }],
            result: None,
            warnings: Vec::new(),
        };
        Some(JobReport {
            database: self.name(),
            id: sink.job,
            facts,
            is_submitted: false,
            status,
            started_ms,
            metrics,
            failure: failed.map(|error| JobFailure { time_ms: started_ms, message: error.message }),
            sql: Some(sink.to_sql()),
            savepoint: None,
            progress: None,
        })
    }

    /// Why nothing can be asked of a job, if it is such a sink.
    pub(super) fn without_job(&self, job: &str) -> Option<SqlError> {
        let sink = self.sink_into_table(job)?;
        let (name, table) = (&sink.view.name, sink.into.as_ref()?);
        let message = format!(
            "job '{job}' is what sink {name} writes into table {table}: a part of the statements that change what it reads"
        );
        Some(SqlError::new(SqlError::UNSUPPORTED, message).with_hint(format!("DROP SINK {name} ends it")))
    }
}
