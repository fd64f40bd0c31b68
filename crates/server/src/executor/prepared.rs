//! Prepared statements by their names: held for PREPARE and for messages of the protocol alike, and executed by EXECUTE.

use super::{Answered, Bound, Executor, PREPARED_MAX, Parsed, Plan, Source, unknown_statement};
use crate::answer::{Answer, caught};
use crate::command::{self, Argument, Command, Execute, Prepare, explained};
use crate::out::Out;
use crate::timer::Timer;
use crate::values::{self, Cells};
use crate::variables::Held;
use crate::wire::Format;
use crate::{catalogs, limits};
use bytes::{Bytes, BytesMut};
use eddyline_engine::arrow::array::timezone::Tz;
use eddyline_engine::arrow::datatypes::{DataType, FieldRef, SchemaRef};
use eddyline_engine::arrow::error::ArrowError;
use eddyline_engine::{Parameter, SqlError, parse_in, sql_type, with_parameters};
use eddyline_introspection::Type;

impl Executor {
    /// PREPARE.
    pub(super) fn prepare(&mut self, said: &Prepare) -> Result<(), SqlError> {
        self.check_held(&said.name, said.text.len())?;
        let oids = said.types.iter().map(|of| self.oid_of(of)).collect::<Result<Vec<_>, _>>()?;
        let mut command = (*said.command).clone();
        let (types, oids) = self.parameters(&mut command, &oids)?;
        self.check(&command, &types)?;
        let source = Source { sql: said.text.as_str().into(), begin: 0 };
        self.hold(said.name.clone(), Parsed { command, source, types, oids, plan: Plan::Unknown, answer: None }, true);
        self.check_answer(&said.name)
    }

    /// Is there what a statement with parameters of these types reads?
    fn check(&mut self, command: &Command, types: &[DataType]) -> Result<(), SqlError> {
        let nulls: Vec<Parameter> = types.iter().cloned().map(Parameter::null).collect();
        let Command::Sql(statement) = bound(command, &nulls)? else { return Ok(()) };
        let beside = catalogs::relations(&statement, &mut self.session, &mut self.variables)?;
        self.session.with_relations(beside, |s| caught(|| s.result_schema(&statement))).map(drop)
    }

    /// The number of a type that PREPARE names.
    fn oid_of(&mut self, name: &str) -> Result<u32, SqlError> {
        if name.eq_ignore_ascii_case("unknown") {
            return Ok(0);
        }
        let unknown = || SqlError::new(SqlError::UNDEFINED_OBJECT, format!("type \"{name}\" does not exist"));
        let parsed = parse_in(&format!("SELECT CAST($1 AS {name})"), self.session.settings().dialect());
        let found = match parsed.as_deref() {
            Ok([cast]) => self.session.parameter_types(cast, &[]).ok().filter(|types| types.len() == 1),
            _ => None,
        };
        let of_engine = found.and_then(|types| types.first().map(values::oid));
        of_engine.or_else(|| Type::of_name(name).map(|of| of.oid())).ok_or_else(unknown)
    }

    /// May a statement of so many bytes be held under a name?
    pub(super) fn check_held(&self, name: &str, length: usize) -> Result<(), SqlError> {
        if !name.is_empty() && self.statements.contains_key(name) {
            return Err(SqlError::new("42P05", format!("prepared statement \"{name}\" already exists"))
                .with_hint("DEALLOCATE it, or use another name"));
        }
        if self.statements.len() >= PREPARED_MAX {
            let message = format!("a connection has at most {PREPARED_MAX} prepared statements");
            return Err(SqlError::new("53000", message).with_hint("close some"));
        }
        let held: usize = self.statements.values().map(|prepared| prepared.source.sql.len()).sum();
        if held + length > limits::PREPARED_BYTES {
            return Err(too_much("prepared statements"));
        }
        Ok(())
    }

    /// The types of a statement's parameters, and their numbers as the client knows them, of which it has given some.
    pub(super) fn parameters(
        &mut self,
        command: &mut Command,
        given: &[u32],
    ) -> Result<(Vec<DataType>, Vec<u32>), SqlError> {
        if let Command::Catalogs(asked) = command {
            let oids = asked.prepare(&mut self.session, &mut self.variables, given)?;
            return Ok((Vec::new(), oids));
        }
        let types: Vec<Option<DataType>> = given.iter().map(|oid| values::data_type(*oid)).collect();
        let within = match &*command {
            Command::Declare(_, _, query) | Command::CopyOut(query, _) => query.as_ref(),
            command => command,
        };
        let found = match within {
            Command::Sql(statement) => {
                let beside = catalogs::relations(statement, &mut self.session, &mut self.variables)?;
                self.session.with_relations(beside, |s| caught(|| s.parameter_types(statement, &types)))?
            }
            _ => Vec::new(),
        };
        let oid = |(at, of): (usize, &DataType)| match given.get(at) {
            Some(oid) if *oid != 0 => *oid,
            _ => values::oid(of),
        };
        let oids = found.iter().enumerate().map(oid).collect();
        Ok((found, oids))
    }

    /// Holds a statement under its name.
    pub(super) fn hold(&mut self, name: String, parsed: Parsed, from_sql: bool) {
        if !name.is_empty() {
            let held = Held { sql: parsed.source.sql.clone(), oids: parsed.oids.clone(), from_sql };
            self.variables.prepared.insert(name.clone(), held);
        }
        self.statements.insert(name, parsed);
    }

    /// Forgets a statement. Returns whether there was one.
    pub(super) fn forget(&mut self, name: &str) -> bool {
        self.variables.prepared.remove(name);
        self.statements.remove(name).is_some()
    }

    /// Forgets all statements.
    pub(super) fn forget_all(&mut self) {
        self.variables.prepared.clear();
        self.statements.clear();
    }

    /// A prepared statement with values.
    pub(super) fn with_values(
        &mut self,
        name: &str,
        formats: &[Format],
        given: &[Option<Bytes>],
    ) -> Result<Bound, SqlError> {
        let planned = self.planned(name);
        let prepared = self.statements.get(name).ok_or_else(|| unknown_statement(name))?;
        if let Command::Catalogs(asked) = &prepared.command {
            return Ok(Bound::Command(Command::Catalogs(Box::new(asked.with_values(given, formats)?))));
        }
        let values = given
            .iter()
            .zip(prepared.types.iter().zip(prepared.oids.iter().copied()))
            .enumerate()
            .map(|(at, (value, of))| values::parameter(at + 1, of, Format::of(formats, at), value.as_deref()));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        match planned {
            Some(planned) => Ok(Bound::Planned(planned, values)),
            None => bound(&prepared.command, &values).map(Bound::Command),
        }
    }

    /// EXECUTE.
    pub(super) fn execute_named(&mut self, said: &Execute, timer: &Timer, out: &mut Out) -> Result<Answer, SqlError> {
        let given = self.arguments(said, timer, out)?;
        self.check_answer(&said.name)?;
        // Places of errors are in the text of another statement.
        let placeless = |e: SqlError| SqlError { position: None, ..e };
        match self.with_values(&said.name, &[], &given).map_err(placeless)? {
            Bound::Planned(planned, values) => self.execute_planned(&planned, &values, timer),
            Bound::Command(command) => self.execute(&command, timer, out).map_err(placeless),
        }
    }

    /// A prepared statement answers the columns that it did when it was prepared, whatever has been altered since.
    ///
    /// # Errors
    /// It answers others.
    pub(super) fn check_answer(&mut self, name: &str) -> Result<(), SqlError> {
        let version = self.session.names_version();
        match self.statements.get(name) {
            Some(Parsed { command: Command::Sql(_), answer, .. })
                if !name.is_empty() && answer.as_ref().is_none_or(|known| known.version != version) => {}
            _ => return Ok(()),
        }
        // What is wrong with it is said when it is executed.
        let Ok(Some(columns)) = self.answered_by(name) else { return Ok(()) };
        let Some(prepared) = self.statements.get_mut(name) else { return Ok(()) };
        let column = |field: &FieldRef| (field.name().clone(), field.data_type().clone());
        let columns: Vec<(String, DataType)> = columns.fields().iter().map(column).collect();
        match &prepared.answer {
            Some(known) if known.columns != columns => {
                Err(SqlError::new(SqlError::UNSUPPORTED, "cached plan must not change result type")
                    .with_hint("what it reads was altered: DEALLOCATE it, and prepare it anew"))
            }
            _ => {
                prepared.answer = Some(Answered { version, columns });
                Ok(())
            }
        }
    }

    /// The columns of what a prepared statement answers now.
    pub(super) fn answered_by(&mut self, name: &str) -> Result<Option<SchemaRef>, SqlError> {
        if let Some(planned) = self.planned(name) {
            return Ok(planned.schema());
        }
        let prepared = self.statements.get(name).ok_or_else(|| unknown_statement(name))?;
        let nulls: Vec<Parameter> = prepared.types.iter().cloned().map(Parameter::null).collect();
        let command = bound(&prepared.command, &nulls)?;
        self.schema_of(&command)
    }

    /// The statement that EXPLAIN EXECUTE explains, as EXPLAIN of it.
    pub(super) fn explained(
        &mut self,
        explain: &eddyline_engine::statement::Statement,
        said: &Execute,
        timer: &Timer,
        out: &mut Out,
    ) -> Result<Command, SqlError> {
        let given = self.arguments(said, timer, out)?;
        let prepared = self.statements.get(&said.name).ok_or_else(|| unknown_statement(&said.name))?;
        let Command::Sql(statement) = &prepared.command else {
            return Err(SqlError::new(SqlError::UNSUPPORTED, "EXPLAIN of a query over the catalogs")
                .with_hint("EXPLAIN a statement over tables"));
        };
        let values = given
            .iter()
            .zip(prepared.types.iter().zip(prepared.oids.iter().copied()))
            .enumerate()
            .map(|(at, (value, of))| values::parameter(at + 1, of, Format::Text, value.as_deref()));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        Ok(Command::Sql(Box::new(explained(explain, with_parameters(statement, &values)?))))
    }

    /// The values that a prepared statement is given, as texts.
    fn arguments(&mut self, said: &Execute, timer: &Timer, out: &mut Out) -> Result<Vec<Option<Bytes>>, SqlError> {
        let prepared = self.statements.get(&said.name).ok_or_else(|| unknown_statement(&said.name))?;
        if said.arguments.len() != prepared.oids.len() {
            let message = format!("wrong number of parameters for prepared statement \"{}\"", said.name);
            let detail = format!("Expected {} parameters but got {}.", prepared.oids.len(), said.arguments.len());
            return Err(SqlError::new(SqlError::SYNTAX, message).with_detail(detail));
        }
        let of_oid = |oid: &u32| values::data_type(*oid).unwrap_or(DataType::Utf8);
        let types: Vec<DataType> = match prepared.types.is_empty() {
            true => prepared.oids.iter().map(of_oid).collect(),
            false => prepared.types.clone(),
        };
        let mut computed = Vec::new();
        let mut given = Vec::with_capacity(types.len());
        for (at, (argument, of)) in said.arguments.iter().zip(&types).enumerate() {
            given.push(match argument {
                Argument::Null => None,
                Argument::Text(text) => Some(Bytes::copy_from_slice(text.as_bytes())),
                Argument::Number(text) if is_read_as(text, of) => Some(Bytes::copy_from_slice(text.as_bytes())),
                Argument::Number(text) | Argument::Expression(text) => {
                    computed.push((
                        at,
                        match of {
                            // NUMERIC has the digits that the value has.
                            DataType::Decimal128(..) => format!("{text} AS a{at}"),
                            _ => format!("CAST({text} AS {}) AS a{at}", sql_type(of)),
                        },
                    ));
                    None
                }
            });
        }
        for ((at, _), value) in computed.iter().zip(self.computed(&computed, timer, out)?) {
            given[*at] = value;
        }
        Ok(given)
    }

    /// The values of expressions, as texts.
    fn computed(
        &mut self,
        expressions: &[(usize, String)],
        timer: &Timer,
        out: &mut Out,
    ) -> Result<Vec<Option<Bytes>>, SqlError> {
        if expressions.is_empty() {
            return Ok(Vec::new());
        }
        let list: Vec<&str> = expressions.iter().map(|(_, expression)| expression.as_str()).collect();
        let select = command::read(&format!("SELECT {}", list.join(", ")), self.session.settings().dialect());
        let placeless = |e: SqlError| SqlError { position: None, ..e };
        let Answer::Rows(mut rows, _) = self.execute(&select.map_err(placeless)?, timer, out).map_err(placeless)?
        else {
            return Err(SqlError::new(SqlError::INTERNAL, "values that are no rows"));
        };
        let internal = |e: ArrowError| SqlError::new(SqlError::INTERNAL, e.to_string());
        let zone: Tz = self.session.settings().time_zone().parse().map_err(internal)?;
        let batch = rows.next(&self.session.canceller()).map_err(|e| timer.reason(e))?;
        let batch = batch.ok_or_else(|| SqlError::new(SqlError::INTERNAL, "no row of values"))?;
        let text = |column| {
            let (cells, mut text) = (Cells::new(column, Format::Text, zone).map_err(internal)?, BytesMut::new());
            Ok(cells.write(0, &mut text).then(|| text.freeze()))
        };
        batch.columns().iter().map(text).collect()
    }
}

/// Is a number, as it is written, one of a type? Where it has digits behind the point, it is rounded for an integer.
fn is_read_as(number: &str, of: &DataType) -> bool {
    matches!(of, DataType::Utf8 | DataType::Decimal128(..)) || of.is_numeric() && !number.contains('.')
}

/// The statement with values.
pub(super) fn bound(command: &Command, values: &[Parameter]) -> Result<Command, SqlError> {
    match command {
        Command::Sql(statement) => Ok(Command::Sql(Box::new(with_parameters(statement, values)?))),
        Command::Declare(name, holds, query) => {
            Ok(Command::Declare(name.clone(), *holds, Box::new(bound(query, values)?)))
        }
        Command::CopyOut(query, format) => Ok(Command::CopyOut(Box::new(bound(query, values)?), format.clone())),
        other => Ok(other.clone()),
    }
}

pub(super) fn too_much(what: &str) -> SqlError {
    let message = format!("the {what} of a connection have at most {} bytes", limits::PREPARED_BYTES);
    SqlError::new("53200", message).with_hint("close some")
}
