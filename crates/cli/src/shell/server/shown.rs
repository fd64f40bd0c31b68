//! What the shell does with a server.

use super::super::command::Command;
use super::super::execute::{After, Shell};
use super::super::input::within;
use super::super::vocabulary::Relation;
use super::{Answer, DIALECT, DIALECT_THERE, first_word};
use crate::follow::print_listing;
use eddyline_engine::statement::StatementKind;
use eddyline_engine::{ScriptError, SqlError, TextPosition, parse_in};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Notify;

/// SQLSTATE of a statement that was cancelled.
const CANCELLED: &str = "57014";
/// SQLSTATE of something of another kind.
const WRONG_OBJECT: &str = "42809";
/// What SHOW CREATE shows.
const KINDS: [&str; 6] = ["TABLE", "MATERIALIZED VIEW", "VIEW", "SOURCE", "SINK", "INDEX"];
/// Tables and views that are named without a schema, with what they are and their columns.
const NAMES: &str = "SELECT t.table_schema, t.table_name, t.table_type, c.column_name FROM information_schema.tables AS t \
    LEFT JOIN information_schema.columns AS c ON c.table_schema = t.table_schema AND c.table_name = t.table_name \
    WHERE t.table_schema = ANY (current_schemas(false)) ORDER BY t.table_name, c.ordinal_position";

impl Shell {
    /// Gives settings of the server's session values, where there is one. False where one of them has failed, which is told.
    pub(in super::super) fn set_there(&mut self, settings: &[(String, String)]) -> bool {
        self.server.is_none()
            || settings.iter().all(|(key, value)| {
                let set = self.asked_aside(&format!("SET {key} = '{}'", value.replace('\'', "''")));
                set.map_err(|e| self.reporter.error(&e, None)).is_ok()
            })
    }

    /// Has a statement done by the server.
    pub(in super::super) fn execute_there(
        &mut self,
        text: &str,
        begin: TextPosition,
        since: Instant,
    ) -> Result<(), ScriptError> {
        let done = match first_word(text).as_str() {
            "SUBSCRIBE" => self.follow_there(text),
            "COPY" => Err(SqlError::new(SqlError::UNSUPPORTED, "COPY in this shell")
                .with_hint("psql has \\copy; INSERT INTO … SELECT and tables with a connector are there")
                .into()),
            _ => self.answer_there(text, since),
        };
        done.map_err(|error| match error {
            ScriptError::Statement(e) if e.sqlstate == CANCELLED => {
                self.reporter.note("stopped");
                ScriptError::Stopped
            }
            ScriptError::Statement(e) => {
                ScriptError::Statement(SqlError { position: e.position.map(|at| within(begin, at)), ..e })
            }
            other => other,
        })
    }

    fn answer_there(&mut self, text: &str, since: Instant) -> Result<(), ScriptError> {
        let answer = self.asked(text)?;
        match answer.listing()? {
            Some(listing) => print_listing(&self.manner(since), &listing),
            None => {
                let verb = first_word(text);
                self.told(&match verb.as_str() {
                    "INSERT" | "UPDATE" | "DELETE" => format!("{verb}: {} rows", answer.changed),
                    verb => format!("{verb}: done"),
                });
                Ok(())
            }
        }
    }

    /// Asks the server; Ctrl-C cancels.
    fn asked(&mut self, text: &str) -> Result<Answer, SqlError> {
        let Some(server) = &mut self.server else {
            return Err(SqlError::new(SqlError::INTERNAL, "there is no server"));
        };
        if server.connect_anew()? {
            self.session.settings_mut().set(DIALECT, DIALECT_THERE)?;
            self.reporter.note("connected anew: settings, transactions and cursors of the session are gone");
        }
        let interrupt = Arc::new(Notify::new());
        let waits = interrupt.clone();
        self.interrupts.attach(move || waits.notify_one());
        let answer = server.ask(text, &interrupt);
        self.interrupts.detach();
        server.take_notices().iter().for_each(|notice| self.reporter.note(notice));
        if server.is_gone() && answer.is_err() {
            self.reporter.note("the connection is gone: the next statement connects anew");
        }
        if answer.is_ok() && text.to_ascii_lowercase().contains("dialect") {
            self.note_dialect(text)?;
        }
        answer
    }

    /// What is typed next is cut up in the dialect that a statement has set there.
    fn note_dialect(&mut self, text: &str) -> Result<(), SqlError> {
        let parsed = parse_in(text, self.session.settings().dialect());
        if let Some(StatementKind::Set { key, value }) = parsed.ok().and_then(|mut all| Some(all.pop()?.kind))
            && key == DIALECT
        {
            self.session.settings_mut().set(DIALECT, &value)?;
        }
        Ok(())
    }

    /// Asks for something that nobody has typed: its places say nothing.
    pub(super) fn asked_aside(&mut self, text: &str) -> Result<Answer, SqlError> {
        self.asked(text).map_err(|e| SqlError { position: None, ..e })
    }

    /// A command that asks for something that the server has; `None`: it is the shell's own.
    pub(in super::super) fn carry_out_there(&mut self, command: &Command) -> Option<Result<After, ScriptError>> {
        let since = Instant::now();
        let listed = match command {
            Command::List { tables, views } => self.list_there(*tables, *views),
            Command::Describe(name) => self.describe_there(&name.to_sql()),
            Command::Functions(pattern) => self.functions_there(pattern.as_deref().unwrap_or_default()),
            Command::Jobs => self.answer_there("SHOW JOBS", since),
            _ => return None,
        };
        Some(listed.map(|()| After::Next))
    }

    fn list_there(&mut self, tables: bool, views: bool) -> Result<(), ScriptError> {
        let kinds = match (tables, views) {
            (true, false) => " WHERE type = 'BASE TABLE'",
            (false, true) => " WHERE type <> 'BASE TABLE'",
            _ => "",
        };
        let sql = format!(
            "SELECT * FROM (SELECT table_schema AS schema, table_name AS name, table_type AS type FROM information_schema.tables \
             WHERE table_schema = ANY (current_schemas(false))) AS t{kinds} ORDER BY schema, name"
        );
        self.answer_there(&sql, Instant::now())
    }

    fn functions_there(&mut self, part: &str) -> Result<(), ScriptError> {
        let answer = self.asked_aside("SHOW FUNCTIONS")?;
        let pattern = part.trim_matches('%').to_lowercase();
        let rows = answer.rows.into_iter();
        let rows = rows.filter(|row| row.iter().flatten().any(|name| name.to_lowercase().contains(&pattern))).collect();
        match (Answer { rows, ..answer }).listing()? {
            Some(listing) => print_listing(&self.manner(Instant::now()), &listing),
            None => Ok(()),
        }
    }

    fn describe_there(&mut self, name: &str) -> Result<(), ScriptError> {
        self.answer_there(&format!("DESCRIBE {name}"), Instant::now())?;
        for kind in KINDS {
            match self.asked(&format!("SHOW CREATE {kind} {name}")) {
                Err(error) if error.sqlstate == WRONG_OBJECT => {}
                answer => {
                    if let Some(listing) = answer?.listing()? {
                        print_listing(&self.manner(Instant::now()), &listing)?;
                    }
                    break;
                }
            }
        }
        Ok(())
    }

    /// The names that completion knows of the server; `None`: there is no server, or it does not say.
    pub(in super::super) fn names_there(&mut self) -> Option<BTreeMap<String, Relation>> {
        let server = self.server.as_mut()?;
        let answer = server.ask(NAMES, &Arc::default()).ok()?;
        let mut relations: BTreeMap<String, Relation> = BTreeMap::new();
        for row in answer.rows {
            let [_, Some(name), Some(kind), column] = row.as_slice() else { continue };
            let none = || Relation { definition: kind.clone(), columns: Vec::new() };
            relations.entry(name.clone()).or_insert_with(none).columns.extend(column.clone());
        }
        Some(relations)
    }
}
