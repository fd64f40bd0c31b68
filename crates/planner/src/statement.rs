//! Statements, parsed but not bound. Queries are sqlparser's trees.

use crate::TextPosition;
use eddyline_catalog::{Table, View};
pub use eddyline_plan::Conflict;
pub use sqlparser::ast::Query;

/// One statement of a script.
#[derive(Debug, Clone)]
pub struct Statement {
    /// What it says.
    pub kind: StatementKind,
    /// Where it begins in the script.
    pub position: TextPosition,
    /// Its text, without the semicolon.
    pub sql: String,
}

/// What a statement says.
#[derive(Debug, Clone)]
pub enum StatementKind {
    /// `CREATE [OR REPLACE] [TEMPORARY] TABLE [IF NOT EXISTS] …`. A computed column has type `Null` until bound.
    CreateTable {
        /// The table as written; with LIKE, only what is added.
        table: Table,
        /// `IF NOT EXISTS`.
        if_not_exists: bool,
        /// `OR REPLACE`.
        or_replace: bool,
        /// `LIKE other [(INCLUDING …)]`.
        like: Option<Like>,
        /// `AS SELECT …`: create, then insert.
        query: Option<Box<Query>>,
    },
    /// `CREATE [OR REPLACE] [TEMPORARY] VIEW [IF NOT EXISTS] …`.
    CreateView {
        /// The view.
        view: View,
        /// Its query.
        query: Box<Query>,
        /// `IF NOT EXISTS`.
        if_not_exists: bool,
        /// `OR REPLACE`.
        or_replace: bool,
    },
    /// `DROP [TEMPORARY] TABLE|VIEW [IF EXISTS] name`.
    Drop {
        /// `table` or `view`.
        kind: &'static str,
        /// The name.
        name: String,
        /// `IF EXISTS`.
        if_exists: bool,
    },
    /// `INSERT INTO …`.
    Insert(Insert),
    /// `EXECUTE STATEMENT SET BEGIN … END`, or `BEGIN STATEMENT SET; … END`: several inserts, one job.
    StatementSet(Vec<Insert>),
    /// A query on its own.
    Select(Box<Query>),
    /// `EXPLAIN STATE statement`: what its operators keep, and what bounds it.
    ExplainState(Box<Statement>),
    /// `EXPLAIN ALTER [FROM 'savepoint'] statement`: what would become of the state of its job.
    ExplainAlter {
        /// The savepoint; `None`: the job's last checkpoint.
        from: Option<String>,
        /// The statement.
        statement: Box<Statement>,
    },
    /// `EXPLAIN [stage] statement`.
    Explain {
        /// What to show.
        stage: ExplainStage,
        /// Of what: a SELECT, an INSERT or a statement set.
        statement: Box<Statement>,
    },
    /// `SHOW …`.
    Show(Show),
    /// `DESCRIBE|DESC name`.
    Describe(String),
    /// `SET 'key' = 'value'`, `SET key = value`.
    Set {
        /// The setting.
        key: String,
        /// Its value, as text.
        value: String,
    },
    /// `SET` alone: list all settings.
    ShowSettings,
    /// `RESET 'key'`, or `RESET` for all.
    Reset(Option<String>),
}

/// `INSERT INTO table [(columns)] query [ON CONFLICT DO {ERROR|NOTHING|DEDUPLICATE}]`.
#[derive(Debug, Clone)]
pub struct Insert {
    /// The table.
    pub table: String,
    /// Where its name stands.
    pub position: TextPosition,
    /// Columns, empty for all.
    pub columns: Vec<String>,
    /// SELECT or VALUES.
    pub query: Box<Query>,
    /// `ON CONFLICT DO …`.
    pub conflict: Option<Conflict>,
}

/// `LIKE source [({INCLUDING|EXCLUDING|OVERWRITING} {ALL|CONSTRAINTS|GENERATED|METADATA|OPTIONS|PARTITIONS|WATERMARKS} …)]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Like {
    /// The table that is copied.
    pub source: String,
    /// What is said of its parts, in order.
    pub clauses: Vec<(LikeMode, LikePart)>,
}

/// What LIKE does with a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LikeMode {
    /// Copy; an error where both have it.
    Including,
    /// Leave out.
    Excluding,
    /// Copy; the new table wins.
    Overwriting,
}

/// A part of a table that LIKE can copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LikePart {
    /// Everything.
    All,
    /// The primary key.
    Constraints,
    /// Computed columns.
    Generated,
    /// Metadata columns.
    Metadata,
    /// WITH options.
    Options,
    /// Partitions (there are none here).
    Partitions,
    /// Watermarks.
    Watermarks,
}

/// What EXPLAIN shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExplainStage {
    /// `EXPLAIN …`: the dataflow.
    Dataflow,
    /// `EXPLAIN LOGICAL …`: as bound.
    Logical,
    /// `EXPLAIN OPTIMIZED …`.
    Optimized,
    /// `EXPLAIN CHANGELOG …` (`EXPLAIN CHANGELOG_MODE`): per node the mode and key, with reasons.
    Changelog,
}

/// What SHOW lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Show {
    /// `SHOW TABLES [LIKE 'pattern']`: tables and views, as in Flink.
    Tables {
        /// SQL LIKE pattern.
        like: Option<String>,
    },
    /// `SHOW VIEWS`.
    Views,
    /// `SHOW CREATE TABLE|VIEW name`.
    Create {
        /// `table` or `view`.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// `SHOW FUNCTIONS`.
    Functions,
    /// `SHOW COLUMNS FROM name`.
    Columns(String),
    /// `SHOW CONNECTORS`.
    Connectors,
    /// `SHOW CHECKPOINTS [FOR [JOB] 'name'] [IN 'location']`.
    Checkpoints {
        /// The job; all that have checkpoints there.
        job: Option<String>,
        /// A directory or URL; `state.checkpoints.dir`.
        location: Option<String>,
    },
    /// `SHOW JOBS`.
    Jobs,
}
