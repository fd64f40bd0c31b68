//! A session as the protocol sees it: what each message does, and what it is answered.
//!
//! It runs on a thread that may wait. A batch of messages is worked off one by one; what they answer goes out through [`Out`], which
//! waits for a client that reads slowly.

mod cursors;
mod extended;
mod prepared;
mod spans;

use self::spans::{StatementSpan, execute_span};
use crate::command::{self, Command};
use crate::copy_out::{self, CopyOut};
use crate::cursors::Cursors;
use crate::out::{Gone, Out};
use crate::report::{self, ERROR, FATAL, NOTICE, WARNING};
use crate::rows::Rows;
use crate::timer::Timer;
use crate::transaction::{self, Modes};
use crate::values::Cells;
use crate::variables::Variables;
use crate::wire::Format;
use crate::wire::backend::{Hidden, Report, Transaction};
use crate::wire::frontend::Message;
use crate::{answer, catalogs, limits, values::fields};
use answer::{Answer, CopyIn, caught};
use bytes::BytesMut;
use eddyline_engine::arrow::array::RecordBatch;
use eddyline_engine::arrow::array::timezone::Tz;
use eddyline_engine::arrow::datatypes::DataType;
use eddyline_engine::arrow::error::ArrowError;
use eddyline_engine::statement::StatementKind;
use eddyline_engine::{Connected, Parameter, Prepared, Session, SqlError, Subscription, split};
use std::collections::HashMap;
use std::sync::Arc;

/// Prepared statements and portals that a connection may have.
const PREPARED_MAX: usize = 10_000;

/// What follows a batch of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// More messages.
    More,
    /// The end of the connection.
    End,
}

/// The text of a statement, for the places of errors.
#[derive(Clone)]
struct Source {
    sql: Arc<str>,
    /// Where the statement begins in it.
    begin: usize,
}

impl Source {
    fn place(&self, error: &SqlError) -> Report {
        report::error(error, &self.sql, self.begin)
    }
}

/// A statement that was parsed, for any values.
struct Parsed {
    command: Command,
    source: Source,
    types: Vec<DataType>,
    /// As the client knows them.
    oids: Vec<u32>,
    plan: Plan,
    /// What it answers, once that was looked at.
    answer: Option<Answered>,
}

/// The columns of what a prepared statement answers, as of a version of the catalog.
struct Answered {
    version: u64,
    columns: Vec<(String, DataType)>,
}

/// Whether a prepared statement is planned for all values of its parameters.
enum Plan {
    /// Nobody has looked yet.
    Unknown,
    /// It is.
    Once(Arc<Prepared>),
    /// It is planned anew for its values.
    None,
}

/// A statement with values, and as far as its rows were sent.
struct Portal {
    command: Bound,
    source: Source,
    formats: Vec<Format>,
    rows: Option<Started>,
    /// What its values took on the way here.
    given_bytes: usize,
}

/// A statement with values.
#[derive(Clone)]
enum Bound {
    Command(Command),
    /// One that was planned before.
    Planned(Arc<Prepared>, Vec<Parameter>),
}

/// The rows of a portal that was executed.
struct Started {
    rows: Rows,
    verb: &'static str,
}

/// A COPY whose rows come.
struct Copying {
    of: Box<CopyIn>,
    /// A simple query began it: who is done with it is ready for another.
    is_simple: bool,
    span: StatementSpan,
    timer: Timer,
}

/// See the module's page.
pub(crate) struct Executor {
    session: Session,
    /// The database is not dropped.
    _connected: Connected,
    variables: Variables,
    transaction: Transaction,
    /// How often the transaction has changed something, which ROLLBACK does not take back.
    changes: usize,
    /// Its savepoints, and how often it had changed something before each.
    savepoints: Vec<(String, usize)>,
    cursors: Cursors,
    statements: HashMap<String, Parsed>,
    portals: HashMap<String, Portal>,
    /// Subscriptions that are read by FETCH.
    subscriptions: HashMap<String, Subscription>,
    /// A COPY whose rows come.
    copying: Option<Copying>,
    /// After an error, messages are left out until the client knows of it.
    is_skipping: bool,
    tokio: tokio::runtime::Handle,
    /// Traces have the texts of statements.
    tells_text: bool,
}

/// Why a message is not done.
enum Failure {
    /// The client is told.
    Told(Box<Report>),
    /// There is no client any more.
    Gone,
}

impl From<Gone> for Failure {
    fn from(_: Gone) -> Self {
        Failure::Gone
    }
}

impl From<Report> for Failure {
    fn from(report: Report) -> Self {
        Failure::Told(Box::new(report))
    }
}

impl Executor {
    /// Over a session, which says whose it is.
    pub(crate) fn new(session: Session, connected: Connected, tokio: tokio::runtime::Handle, tells_text: bool) -> Self {
        Self {
            session,
            _connected: connected,
            variables: Variables::default(),
            transaction: Transaction::None,
            changes: 0,
            savepoints: Vec::new(),
            cursors: Cursors::default(),
            statements: HashMap::new(),
            portals: HashMap::new(),
            subscriptions: HashMap::new(),
            copying: None,
            is_skipping: false,
            tokio,
            tells_text,
        }
    }

    /// Gives a variable the value that the client has said when it connected.
    ///
    /// # Errors
    /// A value that it cannot have.
    pub(crate) fn begin_with(&mut self, name: &str, value: &str) -> Result<(), SqlError> {
        self.variables.set(&mut self.session, name, Some(value)).map(drop)
    }

    /// What a client is told when it has connected.
    pub(crate) fn greeting(&mut self) -> Vec<(String, String)> {
        self.variables.keep(&mut self.session);
        let mut told = self.variables.told(&self.session);
        told.push(("session_authorization".into(), self.session.user().to_owned()));
        told
    }

    /// What the client does not want to be told.
    pub(crate) fn hidden(&self) -> Hidden {
        self.variables.hidden()
    }

    /// Do rows of a COPY come? Then it can be cancelled between messages too.
    pub(crate) fn is_copying(&self) -> bool {
        self.copying.is_some()
    }

    /// Works off messages. The canceller was reset when they came, so that nobody who cancels meanwhile is overheard.
    pub(crate) fn handle(&mut self, messages: Vec<Message>, out: &mut Out) -> Next {
        for message in messages {
            match self.message(message, out) {
                Ok(Next::More) => {}
                Ok(Next::End) => {
                    let _ = out.flush();
                    return Next::End;
                }
                Err(Gone) => return Next::End,
            }
        }
        match out.flush() {
            Ok(()) => Next::More,
            Err(Gone) => Next::End,
        }
    }

    fn message(&mut self, message: Message, out: &mut Out) -> Result<Next, Gone> {
        out.messages.1 = self.variables.hidden();
        if self.copying.is_some() && !matches!(message, Message::Terminate) {
            return self.copied(message, out);
        }
        match message {
            Message::Terminate => return Ok(Next::End),
            Message::Sync => {
                self.is_skipping = false;
                if self.transaction == Transaction::None {
                    self.portals.clear();
                }
                out.messages.ready(self.transaction);
            }
            Message::Query(text) => {
                self.is_skipping = false;
                self.portals.remove("");
                let done = self.query(&text, out);
                self.told(done, out)?;
                if self.copying.is_none() {
                    out.messages.ready(self.transaction);
                }
            }
            Message::NoQuery(error) => {
                self.is_skipping = false;
                self.told(Err(report::error(&error, "", 0).into()), out)?;
                out.messages.ready(self.transaction);
            }
            Message::Flush => out.flush()?,
            // What is left of a COPY that has failed.
            Message::CopyData(_) | Message::CopyDone | Message::CopyFail(_) => {}
            Message::Password(_) => {
                out.messages.error(&report::plain(FATAL, "08P01", "a password that nobody has asked for"));
                return Ok(Next::End);
            }
            _ if self.is_skipping => {}
            message => {
                let done = self.extended(message, out);
                self.is_skipping = matches!(done, Err(Failure::Told(_)));
                self.told(done, out)?;
            }
        }
        Ok(Next::More)
    }

    /// A message while rows of COPY come.
    fn copied(&mut self, message: Message, out: &mut Out) -> Result<Next, Gone> {
        let Some(Copying { mut of, is_simple, span, timer }) = self.copying.take() else { return Ok(Next::More) };
        let goes_on = self.session.canceller().check();
        let done = match message {
            Message::CopyData(bytes) => goes_on.and_then(|()| of.reader.push(&bytes)).map(|()| Some(of)),
            // They say nothing while rows come, as in Postgres.
            Message::Sync | Message::Flush => Ok(Some(of)),
            Message::CopyDone => {
                let CopyIn { table, reader } = *of;
                let rows = goes_on.and_then(|()| reader.finish());
                rows.and_then(|rows| caught(|| self.session.copy_into(&table, &rows))).map(|rows| {
                    span.rows(rows);
                    self.changes += 1;
                    out.messages.complete(&answer::tag("COPY", rows));
                    None
                })
            }
            Message::CopyFail(why) => Err(SqlError::new("57014", format!("COPY was given up: {why}"))),
            _ => {
                out.messages.error(&report::plain(FATAL, "08P01", "a message that does not belong into a COPY"));
                return Ok(Next::End);
            }
        };
        match done {
            Ok(Some(of)) => {
                self.copying = Some(Copying { of, is_simple, span, timer });
                return Ok(Next::More);
            }
            Ok(None) => {}
            Err(error) => {
                self.is_skipping = !is_simple;
                let done = Err(report::error(&timer.reason(error), "", 0).into());
                span.note(&done);
                self.told(done, out)?;
            }
        }
        if is_simple {
            out.messages.ready(self.transaction);
        }
        Ok(Next::More)
    }

    fn told(&mut self, done: Result<(), Failure>, out: &mut Out) -> Result<(), Gone> {
        match done {
            Ok(()) => Ok(()),
            Err(Failure::Gone) => Err(Gone),
            Err(Failure::Told(report)) => {
                if self.transaction == Transaction::Open {
                    self.transaction = Transaction::Failed;
                }
                out.messages.error(&report);
                out.flush_large()
            }
        }
    }

    /// All statements of a text, one after the other, up to the first that fails.
    fn query(&mut self, text: &str, out: &mut Out) -> Result<(), Failure> {
        check_length(text)?;
        let mut dialect = self.session.settings().dialect();
        let pieces = split(text, dialect);
        let mut pieces_all = pieces.statements;
        pieces_all.extend(pieces.begun.map(|begin| begin..text.len()));
        // A text that cannot be read to its end does nothing.
        let mut commands = Vec::with_capacity(pieces_all.len());
        for piece in pieces_all {
            let sql = &text[piece.clone()];
            let command = command::read(sql, dialect).map_err(|e| report::error(&e, text, piece.start))?;
            dialect = command.dialect_behind(dialect);
            commands.push((command, piece));
        }
        if commands.iter().all(|(command, _)| matches!(command, Command::Empty)) {
            out.messages.empty_query();
            return Ok(());
        }
        let last = commands.len().saturating_sub(1);
        if let Some((_, piece)) = commands.iter().take(last).find(|(command, _)| matches!(command, Command::Copy(_))) {
            let error = SqlError::new(SqlError::UNSUPPORTED, "COPY before another statement of one query");
            return Err(report::error(&error.with_hint("send it as a query of its own"), text, piece.start).into());
        }
        for (command, piece) in commands {
            let span = self.statement_span(|| spans::kind(&command), &text[piece.clone()]);
            span.work(|| self.answer_query(&command, &|e| report::error(&e, text, piece.start), &span, out))?;
            out.flush_large()?;
        }
        Ok(())
    }

    /// Executes a statement of a query, and sends what it comes to.
    fn answer_query(
        &mut self,
        command: &Command,
        place: &impl Fn(SqlError) -> Report,
        span: &StatementSpan,
        out: &mut Out,
    ) -> Result<(), Failure> {
        let timer = self.timer();
        match self.execute(command, &timer, out).map_err(place)? {
            Answer::Nothing => {}
            Answer::Done(tag) => {
                span.tag(&tag);
                out.messages.complete(&tag);
            }
            Answer::CopyIn(of) => self.begin_copy(of, true, (span, timer), out),
            Answer::CopyOut(of) => span.rows(self.send_copy(*of, &timer, out, place)?),
            Answer::Rows(mut rows, verb) => {
                out.messages.row_description(&fields(rows.schema()), &[]);
                let (sent, _) = self.send(&mut rows, &[], usize::MAX, &timer, out, place)?;
                span.rows(sent);
                out.messages.complete(&answer::tag(verb, sent));
            }
        }
        Ok(())
    }

    fn begin_copy(&mut self, of: Box<CopyIn>, is_simple: bool, (span, timer): (&StatementSpan, Timer), out: &mut Out) {
        out.messages.copy_in(of.reader.width());
        self.copying = Some(Copying { of, is_simple, span: span.clone(), timer });
    }

    /// What ends a statement that takes longer than it may, with the sending of its rows.
    fn timer(&self) -> Timer {
        Timer::start(&self.tokio, self.variables.statement_timeout(), &self.session.canceller())
    }

    /// Sends rows. Returns how many, and whether those were all.
    fn send(
        &self,
        rows: &mut Rows,
        formats: &[Format],
        rows_max: usize,
        timer: &Timer,
        out: &mut Out,
        place: &impl Fn(SqlError) -> Report,
    ) -> Result<(usize, bool), Failure> {
        let _executing = execute_span().entered();
        let zone: Tz = self.session.settings().time_zone().parse().map_err(|e: ArrowError| internal(&e))?;
        let canceller = self.session.canceller();
        let mut sent = 0;
        while sent < rows_max {
            if rows.is_idle() {
                out.flush()?;
            }
            let Some(batch) = rows.next(&canceller).map_err(|e| place(timer.reason(e)))? else {
                return Ok((sent, true));
            };
            let count = batch.num_rows().min(rows_max - sent);
            send_rows(&batch.slice(0, count), formats, zone, out, place)?;
            sent += count;
            if count < batch.num_rows() {
                rows.put_back(batch.slice(count, batch.num_rows() - count));
            }
        }
        Ok((sent, false))
    }

    /// Sends rows as COPY does. Returns how many.
    fn send_copy(
        &self,
        CopyOut { mut rows, format }: CopyOut,
        timer: &Timer,
        out: &mut Out,
        place: &impl Fn(SqlError) -> Report,
    ) -> Result<usize, Failure> {
        let _executing = execute_span().entered();
        let zone: Tz = self.session.settings().time_zone().parse().map_err(|e: ArrowError| internal(&e))?;
        let canceller = self.session.canceller();
        let names: Vec<String> = rows.schema().fields().iter().map(|field| field.name().clone()).collect();
        out.messages.copy_out(names.len());
        if let Some(line) = copy_out::header(&names, &format) {
            out.messages.copy_data(|b| b.extend_from_slice(&line));
        }
        let (mut sent, mut value) = (0, BytesMut::new());
        while let Some(batch) = rows.next(&canceller).map_err(|e| place(timer.reason(e)))? {
            let cells = cells_of(&batch, &[], zone, place)?;
            for row in 0..batch.num_rows() {
                out.messages.copy_data(|line| {
                    for (at, cell) in cells.iter().enumerate() {
                        value.clear();
                        let is_there = cell.write(row, &mut value);
                        copy_out::cell(line, at, cells.len(), is_there.then_some(&value), &format);
                    }
                    line.extend_from_slice(b"\n");
                });
                out.flush_large()?;
            }
            sent += batch.num_rows();
        }
        out.messages.copy_done();
        out.messages.complete(&answer::tag("COPY", sent));
        Ok(sent)
    }

    /// Executes a statement, but for sending its rows.
    fn execute(&mut self, command: &Command, timer: &Timer, out: &mut Out) -> Result<Answer, SqlError> {
        let ends =
            matches!(command, Command::Commit(_) | Command::Rollback(_) | Command::RollbackTo(_) | Command::Empty);
        if !ends {
            self.check_transaction()?;
        }
        self.session.canceller().check()?;
        Ok(match command {
            Command::Empty => Answer::Nothing,
            Command::Begin(tag, modes) => {
                if self.transaction == Transaction::Open {
                    out.messages.notice(&report::plain(WARNING, "25001", "there is already a transaction in progress"));
                    self.variables.set_modes(*modes)?;
                } else {
                    self.begin(*modes);
                }
                Answer::Done((*tag).into())
            }
            Command::Commit(chains) => {
                let commits = self.transaction != Transaction::Failed;
                Answer::Done(self.end_and_chain(commits, *chains, out)?.into())
            }
            Command::Rollback(chains) => Answer::Done(self.end_and_chain(false, *chains, out)?.into()),
            Command::SetTransaction(modes) => {
                if self.transaction == Transaction::None {
                    let message = "SET TRANSACTION can only be used in transaction blocks";
                    out.messages.notice(&report::plain(WARNING, "25P01", message));
                }
                self.variables.set_modes(*modes)?;
                Answer::Done("SET".into())
            }
            Command::SetCharacteristics(modes) => {
                for (name, value) in modes.said() {
                    self.set(&format!("default_{name}"), Some(value), out)?;
                }
                Answer::Done("SET".into())
            }
            Command::Set(name, value) => {
                self.set(name, value.as_deref(), out)?;
                Answer::Done("SET".into())
            }
            Command::SetLocal(name, value) => {
                self.set_local(name, value.as_deref(), out)?;
                Answer::Done("SET".into())
            }
            Command::Show(name) => {
                let value = self.variables.show(&self.session, name)?;
                Answer::Rows(Rows::of(answer::one_text(name, value)), "SHOW")
            }
            Command::ShowAll => Answer::Rows(Rows::of(answer::settings(self.variables.all(&self.session))), "SHOW"),
            Command::Reset(Some(name)) => {
                self.set(name, None, out)?;
                Answer::Done("RESET".into())
            }
            Command::Reset(None) => {
                self.reset(out);
                Answer::Done("RESET".into())
            }
            Command::Discard => {
                self.forget_all();
                self.portals.clear();
                self.cursors.close_all();
                self.subscriptions.clear();
                self.reset(out);
                Answer::Done("DISCARD ALL".into())
            }
            Command::DiscardNothing(tag) => Answer::Done((*tag).to_owned()),
            Command::Deallocate(name) => {
                match name {
                    None => self.forget_all(),
                    Some(name) if self.forget(name) => {}
                    Some(name) => return Err(unknown_statement(name)),
                }
                Answer::Done(if name.is_none() { "DEALLOCATE ALL" } else { "DEALLOCATE" }.into())
            }
            Command::Prepare(said) => {
                self.prepare(said)?;
                Answer::Done("PREPARE".into())
            }
            Command::Execute(said) => self.execute_named(said, timer, out)?,
            Command::ExplainExecute(explain, said) => {
                let explained = self.explained(explain, said, timer, out)?;
                self.execute(&explained, timer, out)?
            }
            Command::Copy(copy) => {
                self.check_change("COPY FROM")?;
                answer::copy(&mut self.session, copy)?
            }
            Command::CopyOut(query, format) => match self.execute(query, timer, out)? {
                Answer::Rows(rows, _) => Answer::CopyOut(Box::new(CopyOut { rows, format: format.clone() })),
                other => other,
            },
            Command::Savepoint(_) | Command::Release(_) | Command::RollbackTo(_) => self.savepoint(command, out)?,
            Command::Declare(name, holds, query) => {
                if self.transaction == Transaction::None && !holds {
                    let message = "DECLARE CURSOR can only be used in transaction blocks";
                    return Err(SqlError::new("25P01", message).with_hint("BEGIN one, or declare it WITH HOLD"));
                }
                self.check_cursor(name)?;
                if let Answer::Rows(rows, _) = self.execute(query, timer, out)? {
                    self.cursors.open(name.clone(), rows, *holds);
                }
                Answer::Done("DECLARE CURSOR".into())
            }
            Command::Cursor(cursor) => self.cursor(cursor, timer)?,
            Command::Catalogs(asked) => {
                self.variables.note_begun();
                let answer = asked.answer(&mut self.session, &mut self.variables);
                let (listing, told) = answer.map_err(|e| timer.reason(e))?;
                told.iter().for_each(|(name, value)| out.messages.parameter_status(name, value));
                Answer::Rows(Rows::of(listing), "SELECT")
            }
            Command::DeclareSubscription(declared) => {
                self.declare_subscription(declared)?;
                Answer::Done("DECLARE SUBSCRIPTION CURSOR".into())
            }
            Command::FetchSubscription(fetched) => Answer::Rows(self.fetch_subscription(fetched)?, "FETCH"),
            Command::Sql(statement) => {
                if let Some(name) = answer::change(statement) {
                    self.check_change(name)?;
                }
                self.variables.note_begun();
                if matches!(statement.kind, StatementKind::Set { .. } | StatementKind::Reset(_)) {
                    self.variables.note_set(&self.session);
                }
                let beside = catalogs::relations(statement, &mut self.session, &mut self.variables)?;
                let constants = answer::Constants { variables: &self.variables };
                let answer = self.session.with_relations(beside, |s| answer::execute(s, statement, &constants));
                let (answer, notes) = answer.map_err(|e| timer.reason(e))?;
                notes.into_iter().for_each(|note| out.messages.notice(&report::plain(NOTICE, "00000", note)));
                self.changes += usize::from(matches!(answer, Answer::Done(_)));
                answer
            }
        })
    }

    /// May a statement be executed?
    fn check_transaction(&self) -> Result<(), SqlError> {
        if self.transaction == Transaction::Failed {
            let message = "the transaction has failed, statements are left out until it ends";
            return Err(SqlError::new("25P02", message).with_hint("ROLLBACK"));
        }
        Ok(())
    }

    /// May a statement that changes something be executed? It is told by its command tag.
    fn check_change(&self, statement: &str) -> Result<(), SqlError> {
        if self.variables.is_read_only() { Err(transaction::read_only(statement)) } else { Ok(()) }
    }

    fn set(&mut self, name: &str, value: Option<&str>, out: &mut Out) -> Result<(), SqlError> {
        let told = self.variables.set(&mut self.session, name, value)?;
        told.iter().for_each(|(name, value)| out.messages.parameter_status(name, value));
        Ok(())
    }

    /// Sets a variable until the transaction ends: at once, where there is none.
    fn set_local(&mut self, name: &str, value: Option<&str>, out: &mut Out) -> Result<(), SqlError> {
        let told = self.variables.told(&self.session);
        let set = self.variables.set_local(&mut self.session, name, value);
        if self.transaction == Transaction::None {
            let message = "SET LOCAL can only be used in transaction blocks";
            out.messages.notice(&report::plain(WARNING, "25P01", message));
            self.variables.end(&mut self.session, true);
        }
        self.tell_changed(&told, out);
        set
    }

    /// Tells the client of variables that are not what it was told.
    fn tell_changed(&self, told: &[(String, String)], out: &mut Out) {
        let now = self.variables.told(&self.session);
        let changed = now.iter().filter(|variable| !told.contains(variable));
        changed.for_each(|(name, value)| out.messages.parameter_status(name, value));
    }

    fn begin(&mut self, modes: Modes) {
        (self.transaction, self.changes) = (Transaction::Open, 0);
        self.variables.begin(modes);
        self.session.hold_moment();
    }

    /// Ends a transaction, behind which another with the same modes may begin; returns the tag of the statement that does.
    fn end_and_chain(&mut self, commits: bool, chains: bool, out: &mut Out) -> Result<&'static str, SqlError> {
        let modes = self.variables.modes();
        let tag = if commits { "COMMIT" } else { "ROLLBACK" };
        match modes {
            None if chains => {
                Err(SqlError::new("25P01", format!("{tag} AND CHAIN can only be used in transaction blocks"))
                    .with_hint("BEGIN one"))
            }
            Some(modes) if chains => {
                self.end(commits, out);
                self.begin(modes);
                Ok(tag)
            }
            _ => Ok(self.end(commits, out)),
        }
    }

    /// Ends a transaction; returns the tag of the statement that does.
    fn end(&mut self, commits: bool, out: &mut Out) -> &'static str {
        let was = std::mem::take(&mut self.transaction);
        self.portals.clear();
        let told = self.variables.told(&self.session);
        self.variables.end(&mut self.session, commits);
        self.tell_changed(&told, out);
        self.session.release_moment();
        if was == Transaction::None {
            out.messages.notice(&report::plain(WARNING, "25P01", "there is no transaction in progress"));
        } else if !commits && self.changes > 0 {
            not_taken_back(out);
        }
        self.changes = 0;
        self.savepoints.clear();
        self.cursors.end_transaction();
        if commits { "COMMIT" } else { "ROLLBACK" }
    }

    fn reset(&mut self, out: &mut Out) {
        self.variables.reset_all(&mut self.session);
        let told = self.variables.told(&self.session);
        told.iter().for_each(|(name, value)| out.messages.parameter_status(name, value));
    }
}

/// What is made of a text takes many times as much.
fn check_length(text: &str) -> Result<(), Failure> {
    if text.len() <= limits::STATEMENT_BYTES {
        return Ok(());
    }
    let message = format!("a statement of {} bytes; at most {} are taken", text.len(), limits::STATEMENT_BYTES);
    let hint = Some("send rows by COPY, or in several statements".into());
    Err(Report { hint, ..report::plain(ERROR, "54000", message) }.into())
}

fn not_taken_back(out: &mut Out) {
    let message = "what the transaction has changed is not taken back";
    let hint = Some("every statement takes effect by itself".to_owned());
    out.messages.notice(&Report { hint, ..report::plain(WARNING, "01000", message) });
}

fn send_rows(
    batch: &RecordBatch,
    formats: &[Format],
    zone: Tz,
    out: &mut Out,
    place: &impl Fn(SqlError) -> Report,
) -> Result<(), Failure> {
    let cells = cells_of(batch, formats, zone, place)?;
    for row in 0..batch.num_rows() {
        out.messages.row(cells.len(), |column, buffer| cells[column].write(row, buffer));
        out.flush_large()?;
    }
    Ok(())
}

fn cells_of(
    batch: &RecordBatch,
    formats: &[Format],
    zone: Tz,
    place: &impl Fn(SqlError) -> Report,
) -> Result<Vec<Cells>, Failure> {
    let schema = batch.schema();
    let cells = |(at, column)| Cells::of_field(schema.field(at), column, Format::of(formats, at), zone);
    let cells = batch.columns().iter().enumerate().map(cells).collect::<Result<Vec<_>, _>>();
    Ok(cells.map_err(|e| place(SqlError::new("22008", format!("a value that cannot be sent: {e}"))))?)
}

/// A zone that is none, which settings do not let through.
fn internal(error: &ArrowError) -> Failure {
    report::plain(ERROR, SqlError::INTERNAL, error.to_string()).into()
}

fn unknown_statement(name: &str) -> SqlError {
    SqlError::new("26000", format!("prepared statement \"{name}\" does not exist"))
}
