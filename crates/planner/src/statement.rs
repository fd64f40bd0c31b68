//! Statements, parsed but not bound. Queries are sqlparser's trees.

use crate::SqlError;
use crate::TextPosition;
use eddyline_catalog::{Dialect, Table, View};
pub use eddyline_plan::Conflict;
pub use sqlparser::ast::Query;
use sqlparser::ast::{Expr, Ident, SelectItem, SetExpr};

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
    /// `CREATE MATERIALIZED VIEW [IF NOT EXISTS] …`.
    CreateMaterializedView {
        /// The view.
        view: View,
        /// Its query.
        query: Box<Query>,
        /// `IF NOT EXISTS`.
        if_not_exists: bool,
    },
    /// `DROP [TEMPORARY] TABLE|[MATERIALIZED] VIEW [IF EXISTS] name [CASCADE]`.
    Drop {
        /// `table`, `view` or `materialized view`.
        kind: &'static str,
        /// The name.
        name: String,
        /// `IF EXISTS`.
        if_exists: bool,
        /// `CASCADE`: what is made from it goes too.
        cascade: bool,
    },
    /// `UPDATE table SET …`.
    Update(Update),
    /// `DELETE FROM table …`, `TRUNCATE table`.
    Delete(Delete),
    /// `FLUSH`.
    Flush,
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
    /// `STOP JOB 'job' [WITH SAVEPOINT] [WITH DRAIN]`.
    StopJob {
        /// Its name, or its number as SHOW JOBS lists it.
        job: String,
        /// `WITH SAVEPOINT`.
        savepoint: bool,
        /// `WITH DRAIN`.
        drain: bool,
    },
    /// `SET` alone: list all settings.
    ShowSettings,
    /// `RESET 'key'`, or `RESET` for all.
    Reset(Option<String>),
}

impl StatementKind {
    /// The dialect of a text behind the statement, where it has `dialect` itself.
    pub fn dialect_behind(&self, dialect: Dialect) -> Dialect {
        match self {
            StatementKind::Set { key, value } if ["sql.dialect", "table.sql-dialect"].contains(&key.as_str()) => {
                Dialect::from_name(value).unwrap_or(dialect)
            }
            _ => dialect,
        }
    }
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

/// `UPDATE table SET column = value, … [WHERE condition]`.
#[derive(Debug, Clone)]
pub struct Update {
    /// The table.
    pub table: String,
    /// Where its name stands.
    pub position: TextPosition,
    /// The columns that are given another value, each once.
    pub assignments: Vec<Assignment>,
    condition: Option<Expr>,
}

/// `column = value` of an UPDATE.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// The column.
    pub column: String,
    /// Where its name stands.
    pub position: TextPosition,
    value: Expr,
}

impl Update {
    pub(crate) fn new(
        (table, position): (String, TextPosition),
        assignments: Vec<(String, TextPosition, Expr)>,
        condition: Option<Expr>,
    ) -> Self {
        let assigned = |(column, position, value)| Assignment { column, position, value };
        Self { table, position, assignments: assignments.into_iter().map(assigned).collect(), condition }
    }

    /// All its expressions.
    pub(crate) fn expressions_mut(&mut self) -> impl Iterator<Item = &mut Expr> {
        self.assignments.iter_mut().map(|a| &mut a.value).chain(self.condition.iter_mut())
    }

    /// Columns, and what they are given.
    pub(crate) fn values(&self) -> impl Iterator<Item = (&str, &Expr)> {
        self.assignments.iter().map(|a| (a.column.as_str(), &a.value))
    }

    /// The rows that are changed: `columns` as they are, then `columns` as they become.
    ///
    /// # Errors
    /// None for a statement that was parsed.
    pub fn query(&self, columns: &[&str]) -> Result<Query, SqlError> {
        let assigned = |name: &&str| self.assignments.iter().find(|a| a.column == **name).map(|a| a.value.clone());
        let before = columns.iter().map(|name| column(name));
        let after = columns.iter().map(|name| assigned(name).unwrap_or_else(|| column(name)));
        rows_of(&self.table, before.chain(after), self.condition.clone())
    }
}

/// `DELETE FROM table [WHERE condition]`, and `TRUNCATE table`, which is the same without a condition.
#[derive(Debug, Clone)]
pub struct Delete {
    /// The table.
    pub table: String,
    /// Where its name stands.
    pub position: TextPosition,
    condition: Option<Expr>,
}

impl Delete {
    pub(crate) fn new((table, position): (String, TextPosition), condition: Option<Expr>) -> Self {
        Self { table, position, condition }
    }

    /// All its expressions.
    pub(crate) fn expressions_mut(&mut self) -> impl Iterator<Item = &mut Expr> {
        self.condition.iter_mut()
    }

    /// The rows that go: `columns` of them.
    ///
    /// # Errors
    /// None for a statement that was parsed.
    pub fn query(&self, columns: &[&str]) -> Result<Query, SqlError> {
        rows_of(&self.table, columns.iter().map(|name| column(name)), self.condition.clone())
    }
}

fn column(name: &str) -> Expr {
    Expr::Identifier(Ident::with_quote('`', name))
}

/// `SELECT items FROM table [WHERE condition]`.
fn rows_of(table: &str, items: impl Iterator<Item = Expr>, condition: Option<Expr>) -> Result<Query, SqlError> {
    let mut query =
        crate::parse::parse_query(&format!("SELECT 1 FROM `{}`", table.replace('`', "``")), Dialect::Flink)?;
    let SetExpr::Select(select) = query.body.as_mut() else {
        return Err(SqlError::new(SqlError::INTERNAL, "a SELECT is none"));
    };
    // Each has a name of its own, whatever it computes.
    let named = |(at, expr)| SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('`', format!("column {at}")) };
    select.projection = items.enumerate().map(named).collect();
    select.selection = condition;
    Ok(*query)
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
    /// `SHOW MATERIALIZED VIEWS`.
    MaterializedViews,
    /// `SHOW CREATE TABLE|[MATERIALIZED] VIEW name`.
    Create {
        /// `table`, `view` or `materialized view`.
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
