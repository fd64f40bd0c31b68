//! What a name stands for, as it is stored: the SQL that makes it, and what that does not say.

use super::stored_name;
use crate::Settings;
use eddyline_catalog::{Dialect, Name, Object};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A job in the background that is stored: it begins again with the instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredJob {
    /// Its number in SHOW JOBS, which no other job gets.
    pub(crate) id: u64,
    /// The statement that has started it.
    pub(crate) sql: String,
    /// The settings that it was started with, where they are not the defaults.
    pub(crate) settings: BTreeMap<String, String>,
    /// `sql` is a file that was submitted, under this name; else it is a statement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) submitted: Option<String>,
    /// The savepoint that it has begun at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<String>,
    /// What whoever submitted it has allowed, until it has a checkpoint of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) allowed: Option<Allowed>,
    /// It was stopped, and does not begin with the instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rest: Option<Rest>,
}

impl StoredJob {
    /// What it is called as long as it has not begun.
    pub(crate) fn name(&self) -> &str {
        self.submitted.as_deref().unwrap_or(&self.sql)
    }
}

/// What a job may do that would be refused otherwise. It is stored, as the process may end before the first checkpoint of the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Allowed {
    /// Lose state of the text before.
    pub(crate) dropped_state: bool,
    /// Begin without state, as no checkpoint is whole.
    pub(crate) fresh: bool,
    /// The last checkpoint that was there when it was allowed: of later ones it is not.
    pub(crate) until: u64,
}

/// How a job was stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rest {
    /// When, in milliseconds since 1970-01-01T00:00:00Z.
    pub(crate) time_ms: i64,
    /// The savepoint of its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) savepoint: Option<String>,
    /// Event time went to its end before, so it does not go on.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) drained: bool,
}

/// What is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Definition {
    /// A table.
    Table {
        /// Its name.
        #[serde(with = "stored_name")]
        name: Name,
        /// `CREATE TABLE …`.
        sql: String,
        /// Of a table that the engine keeps: its rows are stored under this number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<u64>,
        /// It is there when its first rows are: CREATE TABLE AS SELECT is done wholly or not at all.
        #[serde(default, skip_serializing_if = "is_false")]
        is_filling: bool,
        /// The name of the dialect of its expressions.
        #[serde(default = "flink", skip_serializing_if = "is_flink")]
        dialect: String,
    },
    /// A view.
    View {
        /// Its name.
        #[serde(with = "stored_name")]
        name: Name,
        /// `CREATE VIEW …`.
        sql: String,
        /// The name of the dialect of its query.
        #[serde(default = "flink", skip_serializing_if = "is_flink")]
        dialect: String,
    },
    /// A view whose answer is kept.
    MaterializedView {
        /// Its name.
        #[serde(with = "stored_name")]
        name: Name,
        /// What is stored of it is stored under this number; earlier versions have given it none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<u64>,
        /// `CREATE MATERIALIZED VIEW …`.
        sql: String,
        /// The columns of its answer: `CREATE TABLE …`.
        answer: String,
        /// The settings that it was made with, where they are not the defaults.
        settings: BTreeMap<String, String>,
    },
    /// A query whose answer a job writes.
    Sink {
        /// Its name.
        #[serde(with = "stored_name")]
        name: Name,
        /// `CREATE SINK …`.
        sql: String,
        /// The name of the dialect of its query.
        #[serde(default = "flink", skip_serializing_if = "is_flink")]
        dialect: String,
        /// The number of its job; 0 in what earlier versions have stored of one that writes a table here.
        job: u64,
        /// The settings that it was made with, where they are not the defaults.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        settings: BTreeMap<String, String>,
        /// It is there when its first rows are in its table.
        #[serde(default, skip_serializing_if = "is_false")]
        is_filling: bool,
        /// Why it has failed, if it writes a table here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failed: Option<String>,
    },
    /// A second order of the rows of a table; it is made anew.
    Index {
        /// Its name.
        #[serde(with = "stored_name")]
        name: Name,
        /// `CREATE INDEX …`.
        sql: String,
        /// UNIQUE of CREATE TABLE has made it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_constraint: bool,
    },
}

impl Definition {
    /// Of an object that is not temporary; `id` is that of its rows, of a table or view, `settings` those with which a view was made.
    pub(crate) fn of(
        object: &Object,
        id: Option<u64>,
        is_filling: bool,
        mut settings: BTreeMap<String, String>,
    ) -> Self {
        // Its text means the same wherever names are looked for.
        settings.remove("search_path");
        let name = object.name().clone();
        match object {
            Object::Table(table) => {
                Self::Table { name, sql: table.to_sql(), id, is_filling, dialect: table.dialect.name().to_owned() }
            }
            Object::View(view) => Self::View { name, sql: view.to_sql(), dialect: view.dialect.name().to_owned() },
            Object::MaterializedView(view) => {
                Self::MaterializedView { name, id, sql: view.to_sql(), answer: view.table.to_sql(), settings }
            }
            Object::Sink(sink) => {
                let (sql, dialect) = (sink.to_sql(), sink.view.dialect.name().to_owned());
                let (job, is_filling) = (sink.job, sink.into.is_some());
                Self::Sink { name, sql, dialect, job, settings, is_filling, failed: None }
            }
            Object::Index(index) => {
                let is_constraint = index.unique.is_some_and(|unique| unique.is_constraint);
                Self::Index { name, sql: index.to_sql(), is_constraint }
            }
        }
    }

    /// The number of a materialized view.
    pub(crate) fn view_id(&self) -> Option<u64> {
        match self {
            Self::MaterializedView { id, .. } => *id,
            _ => None,
        }
    }

    /// The name.
    pub(crate) fn name(&self) -> &Name {
        match self {
            Self::Table { name, .. }
            | Self::View { name, .. }
            | Self::MaterializedView { name, .. }
            | Self::Sink { name, .. }
            | Self::Index { name, .. } => name,
        }
    }
}

/// Settings, where they are not the defaults.
pub(crate) fn stored_settings(settings: &Settings) -> BTreeMap<String, String> {
    settings.changed().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn flink() -> String {
    Dialect::Flink.name().to_owned()
}

fn is_flink(dialect: &str) -> bool {
    dialect == Dialect::Flink.name()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_false(value: &bool) -> bool {
    !value
}
