//! Prepared statements and portals: the messages of the extended protocol.

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
use crate::wire::backend::{Field, Report};
use crate::wire::frontend::Message;
use crate::{catalogs, limits};
use bytes::Bytes;
use eddyline_engine::arrow::datatypes::DataType;
use eddyline_engine::{Parameter, Prepared, Session, SqlError, split, with_parameters};
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
                let planned = self.planned(&name);
                let prepared = self.statements.get(&name).ok_or_else(|| no_statement(&name))?;
                let (source, oids) = (prepared.source.clone(), prepared.oids.clone());
                let fields = match planned {
                    Some(planned) => planned.schema().map(|schema| fields(&schema)),
                    None => {
                        let nulls: Vec<Parameter> = prepared.types.iter().cloned().map(Parameter::null).collect();
                        let command = bound(&prepared.command, &nulls).map_err(|e| source.place(&e))?;
                        self.fields_of(&command, &source)?
                    }
                };
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
                self.statements.remove(&name);
                out.messages.close_complete();
            }
            Message::ClosePortal(name) => {
                if self.portals.remove(&name).is_none() {
                    // Where there is nothing to close, nothing is done.
                    let _ = self.cursors.close(&name);
                }
                out.messages.close_complete();
            }
            _ => return Err(report::plain(ERROR, "08P01", "a message that does not belong here").into()),
        }
        Ok(())
    }

    fn parse(&mut self, name: String, sql: String, types: &[u32]) -> Result<(), Failure> {
        check_length(&sql)?;
        if !name.is_empty() && self.statements.contains_key(&name) {
            let message = format!("prepared statement \"{name}\" exists already");
            return Err(report::plain(ERROR, "42P05", message).into());
        }
        if self.statements.len() >= PREPARED_MAX {
            let message = format!("a connection has at most {PREPARED_MAX} prepared statements");
            return Err(Report { hint: Some("close some".into()), ..report::plain(ERROR, "53000", message) }.into());
        }
        let held: usize = self.statements.values().map(|prepared| prepared.source.sql.len()).sum();
        if held + sql.len() > limits::PREPARED_BYTES {
            return Err(too_much("prepared statements"));
        }
        let place = |e: &SqlError, begin: usize| Failure::from(report::error(e, &sql, begin));
        if let Some(unknown) = types.iter().find(|oid| !values::is_known(**oid)) {
            let message = format!("a parameter of the type with OID {unknown}, which is not supported");
            return Err(report::plain(ERROR, SqlError::UNSUPPORTED, message).into());
        }
        let pieces = split(&sql);
        let mut ranges = pieces.statements;
        ranges.extend(pieces.begun.map(|begin| begin..sql.len()));
        let (range, begin) = match ranges.as_slice() {
            [] => (0..0, 0),
            [one] => (one.clone(), one.start),
            _ => return Err(place(&command::several(), 0)),
        };
        let dialect = self.session.settings().dialect();
        let mut command = command::read(&sql[range], dialect).map_err(|e| place(&e, begin))?;
        let given: Vec<Option<DataType>> = types.iter().map(|oid| values::data_type(*oid)).collect();
        if let Command::Catalogs(asked) = &mut command {
            let oids = asked.prepare(&mut self.session, &mut self.variables, types);
            let oids = oids.map_err(|e| place(&e, begin))?;
            let source = Source { sql, begin };
            let prepared = Parsed { command, source, types: Vec::new(), oids, plan: Plan::None };
            self.statements.insert(name, prepared);
            return Ok(());
        }
        let within = match &command {
            Command::Declare(_, _, query) | Command::CopyOut(query, _) => query.as_ref(),
            command => command,
        };
        let found = match within {
            Command::Sql(statement) => catalogs::relations(statement, &mut self.session, &mut self.variables)
                .and_then(|b| self.session.with_relations(b, |s| caught(|| s.parameter_types(statement, &given))))
                .map_err(|e| place(&e, begin))?,
            _ => Vec::new(),
        };
        let oid = |(at, of): (usize, &DataType)| match types.get(at) {
            Some(oid) if *oid != 0 => *oid,
            _ => values::oid(of),
        };
        let oids = found.iter().enumerate().map(oid).collect();
        let source = Source { sql, begin };
        self.statements.insert(name, Parsed { command, source, types: found, oids, plan: Plan::Unknown });
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
        let planned = self.planned(statement);
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
            return Err(too_much("values of portals"));
        }
        let place = |e: SqlError| prepared.source.place(&e);
        let values = given
            .iter()
            .zip(&prepared.types)
            .enumerate()
            .map(|(at, (value, of))| values::parameter(at + 1, of, Format::of(formats, at), value.as_deref()));
        let values = values.collect::<Result<Vec<_>, _>>().map_err(place)?;
        let command = match (planned, &prepared.command) {
            (Some(planned), _) => Bound::Planned(planned, values),
            (None, Command::Catalogs(asked)) => {
                let asked = asked.with_values(given, formats).map_err(place)?;
                Bound::Command(Command::Catalogs(Box::new(asked)))
            }
            (None, command) => Bound::Command(bound(command, &values).map_err(place)?),
        };
        let source = prepared.source.clone();
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
                    self.begin_copy(of, false, span, out);
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
    fn planned(&mut self, name: &str) -> Option<Arc<Prepared>> {
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
    fn execute_planned(&mut self, planned: &Prepared, values: &[Parameter], timer: &Timer) -> Result<Answer, SqlError> {
        self.check_transaction()?;
        self.session.canceller().check()?;
        let answer = answer::execute_prepared(&mut self.session, planned, values).map_err(|e| timer.reason(e))?;
        self.changes += usize::from(matches!(answer, Answer::Done(_)));
        Ok(answer)
    }

    fn fields_of(&mut self, command: &Command, source: &Source) -> Result<Option<Vec<Field>>, Failure> {
        let _preparing = prepare_span(&self.session).entered();
        if let Command::Catalogs(asked) = command {
            let fields = asked.fields(&mut self.session, &mut self.variables);
            return fields.map(Some).map_err(|e| source.place(&e).into());
        }
        let schema = match command {
            Command::Sql(statement) => {
                let beside = catalogs::relations(statement, &mut self.session, &mut self.variables);
                let constants = answer::Constants { variables: &self.variables };
                let statement = constants.put_into(&self.session, statement);
                let types = |s: &mut Session| caught(|| s.result_schema(&statement));
                beside.and_then(|b| self.session.with_relations(b, types)).map_err(|e| source.place(&e))?
            }
            Command::Show(name) => Some(answer::one_text(name, String::new()).rows.schema()),
            Command::Cursor(Cursor::Fetch(name, _)) if self.subscriptions.contains_key(name) => {
                self.subscriptions.get(name).map(|cursor| cursor.schema().clone())
            }
            Command::Cursor(Cursor::Fetch(name, _)) => {
                Some(self.cursors.rows(name).map_err(|e| source.place(&e))?.schema().clone())
            }
            Command::ShowAll => Some(answer::settings(Vec::new()).rows.schema()),
            Command::FetchSubscription(fetched) => match self.subscriptions.get(&fetched.cursor) {
                Some(cursor) => Some(cursor.schema().clone()),
                None => return Err(source.place(&cursors::no_cursor(&fetched.cursor)).into()),
            },
            _ => None,
        };
        Ok(schema.map(|schema| fields(&schema)))
    }
}

fn too_much(what: &str) -> Failure {
    let message = format!("the {what} of a connection have at most {} bytes", limits::PREPARED_BYTES);
    Report { hint: Some("close some".into()), ..report::plain(ERROR, "53200", message) }.into()
}

/// The statement with values.
fn bound(command: &Command, values: &[Parameter]) -> Result<Command, SqlError> {
    match command {
        Command::Sql(statement) => Ok(Command::Sql(Box::new(with_parameters(statement, values)?))),
        Command::Declare(name, holds, query) => {
            Ok(Command::Declare(name.clone(), *holds, Box::new(bound(query, values)?)))
        }
        Command::CopyOut(query, format) => Ok(Command::CopyOut(Box::new(bound(query, values)?), format.clone())),
        other => Ok(other.clone()),
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
