//! Prepared statements and portals: the messages of the extended protocol.

use super::prepared::too_much;
use super::spans::{StatementSpan, kind_of, prepare_span};
use super::{
    Bound, Executor, Failure, PREPARED_MAX, Parsed, Plan, Portal, Source, Started, check_length, cursors,
    unknown_statement,
};
use crate::answer::{self, Answer, caught};
use crate::command::{self, Command, Cursor};
use crate::out::Out;
use crate::report::{self, ERROR};
use crate::timer::Timer;
use crate::values::{self, fields};
use crate::wire::Format;
use crate::wire::backend::Field;
use crate::wire::frontend::Message;
use crate::{catalogs, limits};
use bytes::Bytes;
use eddyline_engine::arrow::datatypes::SchemaRef;
use eddyline_engine::{Parameter, Prepared, SqlError, split};
use std::sync::Arc;

impl Executor {
    /// A message of the extended protocol.
    pub(super) fn extended(&mut self, message: Message, out: &mut Out) -> Result<(), Failure> {
        match message {
            Message::Parse { name, sql, types } => {
                self.parse(name, sql, &types)?;
                out.messages.parse_complete();
            }
            Message::Bind { portal, statement, formats, values, result_formats } => {
                self.bind(portal, &statement, &formats, &values, result_formats)?;
                out.messages.bind_complete();
            }
            Message::DescribeStatement(name) => {
                let prepared = self.statements.get(&name).ok_or_else(|| no_statement(&name))?;
                let oids = prepared.oids.clone();
                let fields = self.fields_of_prepared(&name)?;
                out.messages.parameters(&oids);
                described(fields, &[], out);
            }
            Message::DescribePortal(name) => {
                let Some(portal) = self.portals.get(&name) else {
                    // A cursor is a portal, which a statement has made.
                    let rows = self.cursors.rows(&name).map_err(|_| no_portal(&name))?;
                    out.messages.row_description(&fields(rows.schema()), &[]);
                    return Ok(());
                };
                let (command, source, formats) =
                    (portal.command.clone(), portal.source.clone(), portal.formats.clone());
                let fields = match &command {
                    Bound::Planned(planned, _) => planned.schema().map(|schema| fields(&schema)),
                    Bound::Command(command) => self.fields_of(command, &source)?,
                };
                described(fields, &formats, out);
            }
            Message::Execute { portal, rows_max } => {
                let mut found = self.portals.remove(&portal).ok_or_else(|| no_portal(&portal))?;
                let done = self.execute_portal(&mut found, rows_max, out);
                // A transaction that has ended takes its portals along.
                self.portals.insert(portal, found);
                done?;
            }
            Message::CloseStatement(name) => {
                self.forget(&name);
                out.messages.close_complete();
            }
            Message::ClosePortal(name) => {
                if self.portals.remove(&name).is_none() {
                    // Where there is nothing to close, nothing is done.
                    let _ = self.cursors.close(&name);
                }
                out.messages.close_complete();
            }
            Message::NoStatement(error) => return Err(report::error(&error, "", 0).into()),
            _ => return Err(report::plain(ERROR, "08P01", "a message that does not belong here").into()),
        }
        Ok(())
    }

    fn parse(&mut self, name: String, sql: String, types: &[u32]) -> Result<(), Failure> {
        check_length(&sql)?;
        let place = |e: &SqlError, begin: usize| Failure::from(report::error(e, &sql, begin));
        self.check_held(&name, sql.len()).map_err(|e| place(&e, 0))?;
        if let Some(unknown) = types.iter().find(|oid| !values::is_known(**oid)) {
            let message = format!("a parameter of the type with OID {unknown}, which is not supported");
            return Err(report::plain(ERROR, SqlError::UNSUPPORTED, message).into());
        }
        let dialect = self.session.settings().dialect();
        let pieces = split(&sql, dialect);
        let mut ranges = pieces.statements;
        ranges.extend(pieces.begun.map(|begin| begin..sql.len()));
        let (range, begin) = match ranges.as_slice() {
            [] => (0..0, 0),
            [one] => (one.clone(), one.start),
            _ => return Err(place(&command::several(), 0)),
        };
        let mut command = command::read(&sql[range], dialect).map_err(|e| place(&e, begin))?;
        let (types, oids) = self.parameters(&mut command, types).map_err(|e| place(&e, begin))?;
        let source = Source { sql: sql.into(), begin };
        self.hold(name, Parsed { command, source, types, oids, plan: Plan::Unknown, answer: None }, false);
        Ok(())
    }

    fn bind(
        &mut self,
        portal: String,
        statement: &str,
        formats: &[Format],
        given: &[Option<Bytes>],
        result_formats: Vec<Format>,
    ) -> Result<(), Failure> {
        let prepared = self.statements.get(statement).ok_or_else(|| no_statement(statement))?;
        let needs = match &prepared.command {
            Command::Catalogs(asked) => asked.parameters(),
            _ => prepared.types.len(),
        };
        if given.len() != needs {
            let has = given.len();
            let message = format!(
                "bind message supplies {has} parameters, but prepared statement \"{statement}\" requires {needs}"
            );
            return Err(report::plain(ERROR, "08P01", message).into());
        }
        if !portal.is_empty() && self.portals.contains_key(&portal) {
            return Err(report::plain(ERROR, "42P03", format!("portal \"{portal}\" exists already")).into());
        }
        if self.portals.len() >= PREPARED_MAX {
            let message = format!("a connection has at most {PREPARED_MAX} portals");
            return Err(report::plain(ERROR, "53000", message).into());
        }
        let given_bytes = given.iter().flatten().map(Bytes::len).sum::<usize>();
        let held: usize = self.portals.values().map(|portal| portal.given_bytes).sum();
        if held + given_bytes > limits::PREPARED_BYTES {
            return Err(report::error(&too_much("values of portals"), "", 0).into());
        }
        let source = prepared.source.clone();
        self.check_answer(statement).map_err(|e| source.place(&e))?;
        let command = self.with_values(statement, formats, given).map_err(|e| source.place(&e))?;
        self.portals.insert(portal, Portal { command, source, formats: result_formats, rows: None, given_bytes });
        Ok(())
    }

    fn execute_portal(&mut self, portal: &mut Portal, rows_max: usize, out: &mut Out) -> Result<(), Failure> {
        let span = self.statement_span(|| kind_of(&portal.command), &portal.source.sql);
        span.work(|| self.answer_portal(portal, rows_max, &span, out))
    }

    fn answer_portal(
        &mut self,
        portal: &mut Portal,
        rows_max: usize,
        span: &StatementSpan,
        out: &mut Out,
    ) -> Result<(), Failure> {
        let source = portal.source.clone();
        let place = |e: SqlError| source.place(&e);
        let timer = self.timer();
        if portal.rows.is_none() {
            let answer = match &portal.command {
                Bound::Command(command) => self.execute(command, &timer, out),
                Bound::Planned(planned, values) => self.execute_planned(planned, values, &timer),
            };
            match answer.map_err(place)? {
                Answer::Nothing => {
                    out.messages.empty_query();
                    return Ok(());
                }
                Answer::Done(tag) => {
                    span.tag(&tag);
                    out.messages.complete(&tag);
                    return Ok(());
                }
                Answer::CopyIn(of) => {
                    self.begin_copy(of, false, (span, timer), out);
                    return Ok(());
                }
                Answer::CopyOut(of) => {
                    span.rows(self.send_copy(*of, &timer, out, &place)?);
                    return Ok(());
                }
                Answer::Rows(rows, verb) => portal.rows = Some(Started { rows, verb }),
            }
        }
        let Some(started) = &mut portal.rows else { return Ok(()) };
        let rows_max = if rows_max == 0 { usize::MAX } else { rows_max };
        let (sent, is_over) = self.send(&mut started.rows, &portal.formats, rows_max, &timer, out, &place)?;
        span.rows(sent);
        match is_over {
            true => out.messages.complete(&answer::tag(started.verb, sent)),
            false => out.messages.suspended(),
        }
        Ok(())
    }

    /// The plan of a prepared statement for all values of its parameters, if it has one.
    pub(super) fn planned(&mut self, name: &str) -> Option<Arc<Prepared>> {
        let prepared = self.statements.get_mut(name)?;
        let Command::Sql(statement) = &prepared.command else { return None };
        match &prepared.plan {
            Plan::None => return None,
            Plan::Once(planned) if self.session.holds(planned) => return Some(planned.clone()),
            Plan::Once(_) | Plan::Unknown => {}
        }
        let _preparing = prepare_span(&self.session).entered();
        let constants = answer::Constants { variables: &self.variables };
        // What answers of the session are put into may be another statement the next time.
        let is_plain =
            !catalogs::are_named(statement) && constants.put_into(&self.session, statement).is_same(statement);
        let planned = is_plain.then(|| caught(|| Ok(self.session.prepare(statement, &prepared.types))).ok());
        let planned = planned.flatten().flatten().map(Arc::new);
        prepared.plan = planned.clone().map_or(Plan::None, Plan::Once);
        planned
    }

    /// Executes a statement that was planned before.
    pub(super) fn execute_planned(
        &mut self,
        planned: &Prepared,
        values: &[Parameter],
        timer: &Timer,
    ) -> Result<Answer, SqlError> {
        self.check_transaction()?;
        if !matches!(planned, Prepared::Scan(_)) {
            self.check_change(answer::verb_of_prepared(planned))?;
        }
        self.variables.note_begun();
        self.session.canceller().check()?;
        let answer = answer::execute_prepared(&mut self.session, planned, values).map_err(|e| timer.reason(e))?;
        self.changes += usize::from(matches!(answer, Answer::Done(_)));
        Ok(answer)
    }

    /// The columns of what a prepared statement answers.
    fn fields_of_prepared(&mut self, name: &str) -> Result<Option<Vec<Field>>, Failure> {
        let prepared = self.statements.get(name).ok_or_else(|| no_statement(name))?;
        let source = prepared.source.clone();
        if let Command::Catalogs(_) | Command::Execute(_) = &prepared.command {
            let command = prepared.command.clone();
            return self.fields_of(&command, &source);
        }
        let schema = self.answered_by(name).map_err(|e| source.place(&e))?;
        Ok(schema.map(|schema| fields(&schema)))
    }

    fn fields_of(&mut self, command: &Command, source: &Source) -> Result<Option<Vec<Field>>, Failure> {
        match command {
            Command::Catalogs(asked) => {
                let _preparing = prepare_span(&self.session).entered();
                let fields = asked.fields(&mut self.session, &mut self.variables);
                fields.map(Some).map_err(|e| source.place(&e).into())
            }
            Command::Execute(said) => self.fields_of_prepared(&said.name),
            other => {
                let schema = self.schema_of(other).map_err(|e| source.place(&e))?;
                Ok(schema.map(|schema| fields(&schema)))
            }
        }
    }

    /// The columns of what a command answers that is no query over the catalogs.
    pub(super) fn schema_of(&mut self, command: &Command) -> Result<Option<SchemaRef>, SqlError> {
        let _preparing = prepare_span(&self.session).entered();
        Ok(match command {
            // What is explained has the columns of what explains it, whatever it is.
            Command::ExplainExecute(explain, _) => self.session.result_schema(explain)?,
            Command::Sql(statement) => {
                let beside = catalogs::relations(statement, &mut self.session, &mut self.variables)?;
                let constants = answer::Constants { variables: &self.variables };
                let statement = constants.put_into(&self.session, statement);
                self.session.with_relations(beside, |s| caught(|| s.result_schema(&statement)))?
            }
            Command::Show(name) => Some(answer::one_text(name, String::new()).rows.schema()),
            Command::Cursor(Cursor::Fetch(name, _)) if self.subscriptions.contains_key(name) => {
                self.subscriptions.get(name).map(|cursor| cursor.schema().clone())
            }
            Command::Cursor(Cursor::Fetch(name, _)) => Some(self.cursors.rows(name)?.schema().clone()),
            Command::ShowAll => Some(answer::settings(Vec::new()).rows.schema()),
            Command::FetchSubscription(fetched) => match self.subscriptions.get(&fetched.cursor) {
                Some(cursor) => Some(cursor.schema().clone()),
                None => return Err(cursors::no_cursor(&fetched.cursor)),
            },
            _ => None,
        })
    }
}

fn described(fields: Option<Vec<Field>>, formats: &[Format], out: &mut Out) {
    match fields {
        Some(fields) => out.messages.row_description(&fields, formats),
        None => out.messages.no_data(),
    }
}

fn no_statement(name: &str) -> Failure {
    let error = unknown_statement(name);
    report::plain(ERROR, error.sqlstate, error.message).into()
}

fn no_portal(name: &str) -> Failure {
    report::plain(ERROR, "34000", format!("portal \"{name}\" does not exist")).into()
}
