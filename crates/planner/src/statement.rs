//! Statements, parsed but not bound. Queries are sqlparser's trees.

mod changes;
mod returning;
mod values;

use crate::SqlError;
use crate::TextPosition;
pub use changes::{Assignment, Delete, Update};
pub(crate) use changes::{ChangedTable, Others, column, from_table, rows_of};
use eddyline_catalog::{
    Column, ColumnSource, Dialect, Index, IndexColumn, Reference, Sink, Table, Unique, View, sql_type,
};
pub use eddyline_plan::Conflict;
use eddyline_users::Secret;
pub use returning::OtherColumn;
pub use sqlparser::ast::Query;
use sqlparser::ast::{Expr, Ident, SelectItem, SetExpr, TableFactor};
use std::sync::Arc;

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

impl Statement {
    /// Do both say the same, in the same words?
    pub fn is_same(&self, other: &Self) -> bool {
        // What they say has no other form that can be compared; this is asked once for a prepared statement.
        self.sql == other.sql && format!("{:?}", self.kind) == format!("{:?}", other.kind)
    }
}

/// What a statement says.
#[derive(Debug, Clone)]
pub enum StatementKind {
    /// `CREATE [OR REPLACE] [TEMPORARY] {TABLE|SOURCE} [IF NOT EXISTS] …`. A computed column has type `Null` until bound.
    CreateTable {
        /// Its name, as written.
        name: Reference,
        /// The table as written, whose name is to be found; with LIKE, only what is added.
        table: Table,
        /// `IF NOT EXISTS`.
        if_not_exists: bool,
        /// `OR REPLACE`.
        or_replace: bool,
        /// `UNIQUE (…)`.
        unique: Vec<UniqueColumns>,
        /// `LIKE other [(INCLUDING …)]`.
        like: Option<Like>,
        /// `AS SELECT …`: create, then insert.
        query: Option<Box<Query>>,
    },
    /// `CREATE [OR REPLACE] [TEMPORARY] VIEW [IF NOT EXISTS] …`.
    CreateView {
        /// Its name, as written.
        name: Reference,
        /// The view, whose name is to be found.
        view: View,
        /// Its query.
        query: Box<Query>,
        /// `IF NOT EXISTS`.
        if_not_exists: bool,
        /// `OR REPLACE`.
        or_replace: bool,
    },
    /// `CREATE [OR REPLACE] MATERIALIZED VIEW [IF NOT EXISTS] … [EMIT ON WINDOW CLOSE]`.
    CreateMaterializedView {
        /// Its name, as written.
        name: Reference,
        /// The view, whose name is to be found.
        view: View,
        /// Its query.
        query: Box<Query>,
        /// `IF NOT EXISTS`.
        if_not_exists: bool,
        /// `OR REPLACE`.
        or_replace: bool,
        /// `EMIT ON WINDOW CLOSE`: only rows that change no more.
        is_final: bool,
    },
    /// `CREATE SINK [IF NOT EXISTS] … {AS query | FROM name} … WITH (…)`.
    CreateSink {
        /// Its name.
        name: Reference,
        /// `INTO table`.
        into: Option<Reference>,
        /// Where that stands.
        into_at: Option<TextPosition>,
        /// The sink, whose names are not found yet, and whose job has no number.
        sink: Sink,
        /// Its query.
        query: Box<Query>,
        /// `IF NOT EXISTS`.
        if_not_exists: bool,
    },
    /// `CREATE INDEX …`.
    CreateIndex(CreateIndex),
    /// `DROP [TEMPORARY] TABLE|SOURCE|SINK|INDEX|[MATERIALIZED] VIEW [IF EXISTS] name, … [CASCADE]`.
    Drop {
        /// As [`Object::kind`](eddyline_catalog::Object::kind).
        kind: &'static str,
        /// The names.
        names: Vec<Reference>,
        /// `IF EXISTS`.
        if_exists: bool,
        /// `CASCADE`: what is made from it goes too.
        cascade: bool,
    },
    /// `ALTER {TABLE|SOURCE|[MATERIALIZED] VIEW} name …`.
    Alter(Alter),
    /// `CREATE|DROP|ALTER SCHEMA …`, `USE …`.
    Schema(SchemaStatement),
    /// `CREATE|DROP DATABASE …`.
    Database(DatabaseStatement),
    /// `COMMENT ON …`.
    Comment(Comment),
    /// `SUBSCRIBE [TO] name [WITH (snapshot = …)]`.
    Subscribe(Subscribe),
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
    Describe(Reference),
    /// `SET 'key' = 'value'`, `SET key = value`.
    Set {
        /// The setting.
        key: String,
        /// Its value, as text.
        value: String,
    },
    /// `STOP JOB 'job' …` and the like.
    Job(JobStatement),
    /// `CREATE USER name …` and the like.
    User(UserStatement),
    /// `SET` alone: list all settings.
    ShowSettings,
    /// `RESET 'key'`, or `RESET` for all.
    Reset(Option<String>),
}

/// `[CONSTRAINT name] UNIQUE [NULLS [NOT] DISTINCT] (column, …)` in CREATE TABLE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UniqueColumns {
    /// The name; `None`: it gets one.
    pub name: Option<String>,
    /// Its columns.
    pub columns: Vec<String>,
    /// Rows with a NULL are like no other.
    pub nulls_distinct: bool,
    /// Where it stands.
    pub position: TextPosition,
}

/// `CREATE [UNIQUE] INDEX [IF NOT EXISTS] [name] ON table (column, …) [INCLUDE (column, …)] [COMMENT 'text']`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateIndex {
    /// Its name; `None`: it gets one.
    pub name: Option<Reference>,
    /// The table or materialized view.
    pub table: Reference,
    /// Where the name of the table stands.
    pub position: TextPosition,
    /// The columns that order the rows, and where their names stand.
    pub columns: Vec<(IndexColumn, TextPosition)>,
    /// `INCLUDE`: columns that are to be read through it. All are.
    pub included: Vec<(String, TextPosition)>,
    /// `UNIQUE`.
    pub unique: Option<Unique>,
    /// The comment.
    pub comment: Option<String>,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
}

/// A statement about a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserStatement {
    /// The user.
    pub name: String,
    /// What becomes of it.
    pub verb: UserVerb,
}

/// What becomes of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserVerb {
    /// `CREATE USER`.
    Create(UserOptions),
    /// `ALTER USER`.
    Alter(UserOptions),
    /// `DROP USER`.
    Drop {
        /// `IF EXISTS`.
        if_exists: bool,
    },
}

/// What is said of a user; `None` where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserOptions {
    /// `PASSWORD 'text'`, or `PASSWORD NULL`.
    pub password: Option<Option<Secret>>,
    /// `CONNECTION LIMIT n`, -1 for none.
    pub connections_max: Option<Option<u32>>,
}

/// SQLSTATE of a key that no table enforces.
const NO_SUCH_KEY: &str = "42P10";

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

/// Are these the same names, in any order?
fn is_same<'n>(one: &[String], other: impl ExactSizeIterator<Item = &'n String> + Clone) -> bool {
    one.len() == other.len() && one.iter().all(|name| other.clone().any(|n| n == name))
}

impl Insert {
    /// The key that ON CONFLICT means, among the PRIMARY KEY of the table and its indexes; `None`: it names none, or the PRIMARY KEY.
    ///
    /// # Errors
    /// There is none.
    pub fn conflict_index<'i>(
        &self,
        table: &Table,
        indexes: impl Iterator<Item = &'i Arc<Index>>,
    ) -> Result<Option<&'i Arc<Index>>, SqlError> {
        let Some((key, position)) = &self.key else { return Ok(None) };
        let unique: Vec<&Arc<Index>> = indexes.filter(|index| index.unique.is_some()).collect();
        let (found, message) = match key {
            ConflictKey::Columns(named) => {
                if is_same(named, table.primary_key.iter()) {
                    return Ok(None);
                }
                let is_it = |index: &&Arc<Index>| is_same(named, index.columns.iter().map(|column| &column.name));
                let message = format!("({}) is not the primary key of table {}", named.join(", "), table.name);
                (unique.iter().copied().find(is_it), format!("{message}, nor unique"))
            }
            ConflictKey::Constraint(name) => {
                if *name == table.key_name() {
                    return Ok(None);
                }
                let is_it = |index: &&Arc<Index>| index.name.object() == name;
                (unique.iter().copied().find(is_it), format!("table {} has no constraint {name}", table.name))
            }
        };
        let columns = |index: &&Arc<Index>| {
            let names: Vec<&str> = index.columns.iter().map(|column| column.name.as_str()).collect();
            format!("ON CONFLICT ({})", names.join(", "))
        };
        let keys = Some(&table.primary_key).filter(|key| !key.is_empty()).into_iter();
        let keys = keys.map(|key| format!("ON CONFLICT ({})", key.join(", ")));
        let keys: Vec<String> = keys.chain(unique.iter().map(columns)).collect();
        let hint = match keys.as_slice() {
            [] => "it has no key: rows do not take each other's place".to_owned(),
            keys => format!("write {}", keys.join(" or ")),
        };
        found.map(Some).ok_or_else(|| SqlError::new(NO_SUCH_KEY, message).with_hint(hint).at(*position))
    }

    /// With the DEFAULTs of the table where VALUES says DEFAULT, and values of different kinds in the types of their columns.
    ///
    /// # Errors
    /// None for tables that were checked.
    pub fn with_defaults(&self, table: &Table) -> Result<Self, SqlError> {
        let mut insert = self.clone();
        let SetExpr::Values(values) = insert.query.body.as_mut() else { return Ok(insert) };
        let written = table.columns.iter().filter(|column| column.source == ColumnSource::Physical);
        let named = |name: &String| table.columns.iter().find(|column| column.name == *name);
        let columns: Vec<_> = match self.columns.as_slice() {
            [] => written.map(Some).collect(),
            names => names.iter().map(named).collect(),
        };
        for row in &mut values.rows {
            for (value, column) in row.iter_mut().zip(&columns) {
                if let (true, Some(column)) = (is_default(value), column) {
                    *value = default_value(column, table.dialect)?;
                }
            }
        }
        if table.dialect == Dialect::Postgres {
            values::as_columns(values, &columns)?;
        }
        Ok(insert)
    }
}

/// A query of these columns of a table, with the DEFAULTs of the others beside them; and the columns that it then has.
///
/// # Errors
/// None for a query and a table that were checked.
pub fn beside_defaults(query: &Query, columns: &[String], table: &Table) -> Result<(Query, Vec<String>), SqlError> {
    let is_left_out = |c: &&Column| c.source == ColumnSource::Physical && !columns.contains(&c.name);
    let defaults: Vec<&Column> = table.columns.iter().filter(|c| c.default.is_some()).filter(is_left_out).collect();
    if defaults.is_empty() {
        return Ok((query.clone(), columns.to_vec()));
    }
    let given: Vec<String> = (0..columns.len()).map(|at| format!("`column {at}`")).collect();
    let text = format!("SELECT {0} FROM (SELECT 1) AS `given`({0})", given.join(", "));
    let mut whole = crate::parse::parse_query(&text, Dialect::Flink)?;
    if let SetExpr::Select(select) = whole.body.as_mut() {
        for column in &defaults {
            let (expr, alias) = (default_value(column, table.dialect)?, Ident::with_quote('`', &column.name));
            select.projection.push(SelectItem::ExprWithAlias { expr, alias });
        }
        if let Some(TableFactor::Derived { subquery, .. }) = select.from.first_mut().map(|from| &mut from.relation) {
            **subquery = query.clone();
        }
    }
    let all = columns.iter().chain(defaults.iter().map(|column| &column.name)).cloned().collect();
    Ok((*whole, all))
}

/// Is a column of a query a value that is written out in it? Then it is read when the query is planned.
pub fn is_written_out(query: &Query, column: usize) -> bool {
    let SetExpr::Select(select) = query.body.as_ref() else { return false };
    let is_value = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(matches!(expr, Expr::Value(_))),
        _ => None,
    };
    // Behind a `*` nobody knows which column it is.
    let values: Option<Vec<bool>> = select.projection.iter().map(is_value).collect();
    values.is_some_and(|values| values.get(column).copied().unwrap_or(false))
}

/// The word DEFAULT in the place of a value.
fn is_default(value: &Expr) -> bool {
    matches!(value, Expr::Identifier(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("default"))
}

/// The DEFAULT of a column in its type, or NULL; the table was made in this dialect.
fn default_value(column: &Column, dialect: Dialect) -> Result<Expr, SqlError> {
    let sql = column.default.as_deref().unwrap_or("NULL");
    // Types are printed as Flink has them.
    let mut typed = one_expression(&format!("CAST(NULL AS {})", sql_type(&column.data_type)), Dialect::Flink)?;
    if let Expr::Cast { expr, .. } = &mut typed {
        **expr = Expr::Nested(Box::new(one_expression(sql, dialect)?));
    }
    Ok(typed)
}

fn one_expression(sql: &str, dialect: Dialect) -> Result<Expr, SqlError> {
    let query = crate::parse::parse_query(&format!("SELECT {sql}"), dialect)?;
    match *query.body {
        SetExpr::Select(select) => match select.projection.into_iter().next() {
            Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => Ok(expr),
            _ => Err(SqlError::new(SqlError::INTERNAL, "an expression is none")),
        },
        _ => Err(SqlError::new(SqlError::INTERNAL, "an expression is none")),
    }
}

impl StatementKind {
    /// What `RETURNING` of an INSERT, UPDATE or DELETE asks for, and of which table.
    pub fn returning(&self) -> Option<(&Query, &Reference)> {
        let (query, table) = match self {
            Self::Insert(insert) => (&insert.returning, &insert.table),
            Self::Update(update) => (&update.returning, &update.table),
            Self::Delete(delete) => (&delete.returning, &delete.table),
            _ => return None,
        };
        query.as_ref().map(|query| (query.as_ref(), table))
    }

    /// See [`returning`](Self::returning).
    pub(crate) fn returning_mut(&mut self) -> Option<&mut Query> {
        match self {
            Self::Insert(Insert { returning, .. })
            | Self::Update(Update { returning, .. })
            | Self::Delete(Delete { returning, .. }) => returning.as_deref_mut(),
            _ => None,
        }
    }
}

/// `INSERT INTO table [(columns)] query [ON CONFLICT [(key)] DO {ERROR|NOTHING|DEDUPLICATE|UPDATE SET …}] [RETURNING …]`.
#[derive(Debug, Clone)]
pub struct Insert {
    /// The table.
    pub table: Reference,
    /// Where its name stands.
    pub position: TextPosition,
    /// Columns, empty for all.
    pub columns: Vec<String>,
    /// SELECT or VALUES.
    pub query: Box<Query>,
    /// `ON CONFLICT DO …`.
    pub conflict: Option<Conflict>,
    /// `ON CONFLICT (columns) DO …`, `ON CONFLICT ON CONSTRAINT name DO …`: the key that is meant, and where it stands.
    pub key: Option<(ConflictKey, TextPosition)>,
    /// `ON CONFLICT … DO UPDATE SET …`: what becomes of the row that is there, beside whose columns stand those of the row that is not
    /// inserted, under their [names](excluded).
    pub update: Option<Update>,
    /// `RETURNING …`: a SELECT from the table that is answered from the rows of the statement.
    pub returning: Option<Box<Query>>,
}

/// Which key ON CONFLICT is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConflictKey {
    /// That of these columns, in any order.
    Columns(Vec<String>),
    /// That of this name.
    Constraint(String),
}

/// What `EXCLUDED.column` is called within the statement.
pub fn excluded(column: &str) -> String {
    format!("excluded {column}")
}

/// The DEFAULTs of columns of a table, for each of its rows: `None` without any columns.
///
/// # Errors
/// None for tables that were checked.
pub fn defaults_query<'c>(table: &Table, columns: impl Iterator<Item = &'c Column>) -> Result<Option<Query>, SqlError> {
    let named = |column: &Column| {
        let alias = Ident::with_quote('`', column.name.clone());
        Ok(SelectItem::ExprWithAlias { expr: default_value(column, table.dialect)?, alias })
    };
    let items: Vec<SelectItem> = columns.map(named).collect::<Result<_, SqlError>>()?;
    if items.is_empty() {
        return Ok(None);
    }
    let mut query = rows_of((&Reference::from(&table.name), None), std::iter::empty(), None)?;
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.projection = items;
    }
    Ok(Some(query))
}

/// `LIKE source [({INCLUDING|EXCLUDING|OVERWRITING} {ALL|CONSTRAINTS|GENERATED|METADATA|OPTIONS|PARTITIONS|WATERMARKS} …)]` behind the columns, or
/// among them, as PostgreSQL has it, `LIKE source [{INCLUDING|EXCLUDING} {ALL|COMMENTS|DEFAULTS|GENERATED|INDEXES|…} …]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Like {
    /// The table that is copied.
    pub source: Reference,
    /// It stands among the columns: nothing but columns is copied unless a clause says so, and a later clause goes before an earlier one.
    pub among_columns: bool,
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
    /// The primary key, and what else is unique; among columns what PostgreSQL checks of single rows, which there is not.
    Constraints,
    /// Comments of columns.
    Comments,
    /// DEFAULT.
    Defaults,
    /// The primary key, what else is unique, and indexes.
    Indexes,
    /// How values are stored, and what is known of them: nothing here.
    Storage,
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

/// `ALTER {TABLE|SOURCE|[MATERIALIZED] VIEW} [IF EXISTS] name …`.
#[derive(Debug, Clone, PartialEq)]
pub struct Alter {
    /// As [`Object::kind`](eddyline_catalog::Object::kind).
    pub kind: &'static str,
    /// The name.
    pub name: Reference,
    /// Where it stands.
    pub position: TextPosition,
    /// `IF EXISTS`.
    pub if_exists: bool,
    /// What is to change.
    pub change: NameChange,
}

/// A statement about databases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseStatement {
    /// `CREATE DATABASE [IF NOT EXISTS] name`.
    Create {
        /// The name.
        name: String,
        /// `IF NOT EXISTS`.
        if_not_exists: bool,
    },
    /// `DROP DATABASE [IF EXISTS] name`.
    Drop {
        /// The name.
        name: String,
        /// `IF EXISTS`.
        if_exists: bool,
    },
}

/// A statement about schemas. In Flink's dialect they are called databases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaStatement {
    /// `CREATE SCHEMA [IF NOT EXISTS] name`.
    Create {
        /// The name.
        name: String,
        /// `IF NOT EXISTS`.
        if_not_exists: bool,
    },
    /// `DROP SCHEMA [IF EXISTS] name, … [CASCADE | RESTRICT]`.
    Drop {
        /// The names.
        names: Vec<String>,
        /// `IF EXISTS`.
        if_exists: bool,
        /// `CASCADE`: what is in it goes too, and what reads that.
        cascade: bool,
    },
    /// `ALTER SCHEMA name RENAME TO name`.
    Rename {
        /// The name.
        name: String,
        /// Its new name.
        to: String,
    },
    /// `USE name`: names without a schema are looked for there.
    Use {
        /// The name.
        name: String,
    },
}

/// `COMMENT ON {TABLE|SOURCE|SINK|[MATERIALIZED] VIEW|COLUMN} name IS {'text'|NULL}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// As [`Object::kind`](eddyline_catalog::Object::kind); of a column `table`, which a source is too.
    pub kind: &'static str,
    /// The name.
    pub name: Reference,
    /// Where it stands.
    pub position: TextPosition,
    /// The column of the table.
    pub column: Option<String>,
    /// The comment; `None`: it has none any more.
    pub comment: Option<String>,
}

/// `SUBSCRIBE [TO] name [WITH (snapshot = {true|false})]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribe {
    /// A table or materialized view.
    pub name: Reference,
    /// Where its name stands.
    pub position: TextPosition,
    /// Its rows come first.
    pub snapshot: bool,
}

/// What ALTER changes of what a name stands for.
#[derive(Debug, Clone, PartialEq)]
pub enum NameChange {
    /// `RENAME TO name`.
    To(Reference),
    /// `SET SCHEMA name`.
    Schema(String),
    /// `SWAP WITH name`: each has the other's name then.
    Swap(Reference),
    /// The columns of a table, one change after the other.
    Columns(Vec<ColumnChange>),
}

/// What ALTER TABLE changes of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnChange {
    /// `ADD [COLUMN] [IF NOT EXISTS] name type …`. A computed column has type `Null` until bound.
    Add {
        /// The column.
        column: Column,
        /// Where it stands.
        position: TextPosition,
        /// `IF NOT EXISTS`.
        if_not_exists: bool,
    },
    /// `DROP [COLUMN] [IF EXISTS] name [CASCADE]`.
    Drop {
        /// The column.
        column: String,
        /// Where its name stands.
        position: TextPosition,
        /// `IF EXISTS`.
        if_exists: bool,
        /// `CASCADE`: views that read it go too.
        cascade: bool,
    },
    /// `RENAME [COLUMN] name TO name`.
    Rename {
        /// The column.
        column: String,
        /// Where its name stands.
        position: TextPosition,
        /// Its new name.
        to: String,
    },
    /// `ALTER [COLUMN] name {SET DEFAULT expression | DROP DEFAULT}`.
    Default {
        /// The column.
        column: String,
        /// Where its name stands.
        position: TextPosition,
        /// The expression; `None`: it has none any more.
        default: Option<String>,
    },
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
    /// `SHOW TABLES [{FROM | IN} schema] [LIKE 'pattern']`: tables and views, as in Flink.
    Tables {
        /// The schema; `None`: all that can be named without one.
        schema: Option<String>,
        /// SQL LIKE pattern.
        like: Option<String>,
    },
    /// `SHOW DATABASES`.
    Databases,
    /// `SHOW SCHEMAS`, in Flink's dialect `SHOW DATABASES`.
    Schemas,
    /// `SHOW VIEWS`.
    Views,
    /// `SHOW MATERIALIZED VIEWS`.
    MaterializedViews,
    /// `SHOW SOURCES`.
    Sources,
    /// `SHOW SINKS`.
    Sinks,
    /// `SHOW INDEXES [FROM table]`: of all tables, or of this one.
    Indexes(Option<Reference>),
    /// `SHOW CREATE TABLE|SOURCE|[MATERIALIZED] VIEW name`.
    Create {
        /// As [`Object::kind`](eddyline_catalog::Object::kind).
        kind: &'static str,
        /// The name.
        name: Reference,
    },
    /// `SHOW FUNCTIONS`.
    Functions,
    /// `SHOW COLUMNS FROM name`.
    Columns(Reference),
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
    /// `SHOW LOGS FOR JOB 'job' [LIMIT n]`.
    Logs {
        /// Its name, or its number as SHOW JOBS lists it.
        job: String,
        /// The last entries, so many.
        rows_max: usize,
    },
}

/// A statement about a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobStatement {
    /// Its name, or its number as SHOW JOBS lists it.
    pub job: String,
    /// What is to become of it.
    pub verb: JobVerb,
}

/// What is to become of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobVerb {
    /// `SUBMIT JOB 'job' AS 'script' [WITH DRY RUN]`.
    Submit {
        /// Definitions and INSERTs.
        script: String,
        /// `WITH DRY RUN`.
        is_dry_run: bool,
    },
    /// `STOP JOB 'job' [WITH SAVEPOINT ['place']] [WITH DRAIN]`.
    Stop {
        /// `WITH SAVEPOINT`.
        with_savepoint: bool,
        /// Where the savepoint is to be made; `state.savepoints.dir`.
        place: Option<String>,
        /// `WITH DRAIN`.
        drain: bool,
    },
    /// `RESUME JOB 'job'`.
    Resume,
    /// `SAVEPOINT JOB 'job' [AT 'place']`.
    Savepoint {
        /// Where it is to be made; `state.savepoints.dir`.
        place: Option<String>,
    },
    /// `DROP JOB [IF EXISTS] 'job'`.
    Drop {
        /// `IF EXISTS`.
        if_exists: bool,
    },
    /// `EXPLAIN [stage] JOB 'job'`.
    Explain(ExplainStage),
}
