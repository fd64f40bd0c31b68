//! A server that does what is typed, in the place of an engine inside: `eddyline sql --server`.
//!
//! | module | holds |
//! |---|---|
//! | [`dial`] | how it is reached, encrypted where it is another machine |
//! | [`answer`] | rows that come as texts |
//! | [`shown`] | what the shell does with it: statements, commands, names for completion |
//! | [`subscription`] | a table or view that is followed |
//!
//! Statements go over the Postgres wire as they are written, one after the other. Not here: how answers are printed.

mod answer;
mod dial;
mod shown;
mod subscription;
mod typed;

use super::lex;
use crate::args::SqlArgs;
use answer::Answer;
pub(super) use dial::Address;
use eddyline_engine::{Dialect, SqlError, TextPosition};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_postgres::error::{DbError, ErrorPosition};
use tokio_postgres::{AsyncMessage, CancelToken, Client, Config, NoTls, SimpleQueryMessage};

/// How statements begin whose rows have types that the server tells beforehand.
const TYPED: [&str; 6] = ["SELECT", "WITH", "VALUES", "TABLE", "SHOW", "DESCRIBE"];
/// What is wrong with a connection.
const CONNECTION: &str = "08006";
/// Somebody has given no password.
const NO_PASSWORD: &str = "28P01";
/// What to look at where a connection does not come about, and where it ends.
const UNREACHED: &str = "--server names the address of the Postgres wire, which `eddyline serve` prints first";
const GONE: &str = "the server has ended, or was ended: where it is started again, the next statement connects anew";

/// The setting that says in which dialect texts are cut up, and its value where a connection begins.
pub(super) const DIALECT: &str = "sql.dialect";
pub(super) const DIALECT_THERE: &str = "postgres";

/// How often a server is told to cancel, until it has answered.
const CANCEL_AGAIN: Duration = Duration::from_millis(250);

/// A connection.
pub(super) struct Server {
    tokio: Handle,
    address: Address,
    config: Config,
    line: Line,
    /// SQLSTATEs that the server has told: an error has one as long as the process lives.
    codes: BTreeMap<String, &'static str>,
}

/// What is gone when the connection is.
struct Line {
    client: Client,
    notices: UnboundedReceiver<String>,
}

impl Server {
    /// Connects.
    ///
    /// # Errors
    /// Nobody answers, the server cannot be trusted, or it says no.
    pub(super) fn connect(tokio: &Handle, args: &SqlArgs, server: &str) -> Result<Self, SqlError> {
        let address = Address::new(server, args.tls_ca.as_deref())?;
        let mut config = Config::new();
        config.user(args.user.as_deref().unwrap_or(eddyline_engine::ROOT));
        config.dbname(args.database.as_deref().unwrap_or(eddyline_engine::catalog::FIRST_DATABASE));
        config.application_name("eddyline sql");
        if let Ok(password) = std::env::var("EDDYLINE_PASSWORD") {
            config.password(password);
        }
        // Who encrypts has done so before.
        config.ssl_mode(tokio_postgres::config::SslMode::Disable);
        let mut codes = BTreeMap::new();
        let line = Line::open(tokio, &address, &config, &mut codes)?;
        Ok(Self { tokio: tokio.clone(), address, config, line, codes })
    }

    /// Connects anew where the connection is gone. Returns whether it was.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub(super) fn connect_anew(&mut self) -> Result<bool, SqlError> {
        if !self.is_gone() {
            return Ok(false);
        }
        self.line = Line::open(&self.tokio, &self.address, &self.config, &mut self.codes)?;
        Ok(true)
    }

    /// Has a statement done. Who notifies `interrupt` cancels it.
    ///
    /// # Errors
    /// What the server says, with the place in the statement; the connection is gone.
    fn ask(&mut self, sql: &str, interrupt: &Arc<Notify>) -> Result<Answer, SqlError> {
        let token = self.line.client.cancel_token();
        let (client, address) = (&self.line.client, &self.address);
        let answered = self.tokio.block_on(async {
            let answering = async {
                let types = match tells_types(sql) {
                    true => client.prepare(sql).await?.columns().iter().map(|column| column.type_().clone()).collect(),
                    false => Vec::new(),
                };
                Ok((types, client.simple_query(sql).await?))
            };
            tokio::pin!(answering);
            tokio::select! {
                answered = &mut answering => return answered,
                () = interrupt.notified() => {}
            }
            // Who is told before the statement has reached it has nothing to cancel, and is told again.
            let mut again = tokio::time::interval(CANCEL_AGAIN);
            loop {
                tokio::select! {
                    answered = &mut answering => return answered,
                    // A server that cannot be told goes on, and so does waiting for it.
                    _ = again.tick() => drop(cancel(&token, address).await),
                }
            }
        });
        match answered {
            Ok((types, messages)) => Ok(read(types, messages)),
            Err(error) => Err(told_error(&error, sql, GONE, &mut self.codes)),
        }
    }

    /// What the server has told beside answers since the last time.
    pub(super) fn take_notices(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.line.notices.try_recv().ok()).collect()
    }

    /// Is there no server any more?
    pub(super) fn is_gone(&self) -> bool {
        self.line.client.is_closed()
    }
}

impl Line {
    fn open(
        tokio: &Handle,
        address: &Address,
        config: &Config,
        codes: &mut BTreeMap<String, &'static str>,
    ) -> Result<Self, SqlError> {
        let (client, mut connection) = tokio.block_on(async {
            let socket = address.dial().await?;
            config.connect_raw(socket, NoTls).await.map_err(|e| told_error(&e, "", UNREACHED, codes))
        })?;
        let (tell, notices) = unbounded_channel();
        tokio.spawn(async move {
            while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                if let AsyncMessage::Notice(notice) = message {
                    // Nobody reads when the shell has ended.
                    let _ = tell.send(notice_text(&notice));
                }
            }
        });
        Ok(Self { client, notices })
    }
}

async fn cancel(token: &CancelToken, address: &Address) -> Result<(), SqlError> {
    let socket = address.dial().await?;
    token.cancel_query_raw(socket, NoTls).await.map_err(|e| SqlError::new(CONNECTION, e.to_string()))
}

fn read(types: Vec<tokio_postgres::types::Type>, messages: Vec<SimpleQueryMessage>) -> Answer {
    let mut answer = Answer { types, ..Answer::default() };
    for message in messages {
        match message {
            SimpleQueryMessage::RowDescription(columns) => {
                answer.columns = Some(columns.iter().map(|column| column.name().to_owned()).collect());
            }
            SimpleQueryMessage::Row(row) => {
                answer.rows.push((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect());
            }
            SimpleQueryMessage::CommandComplete(rows) => answer.changed = rows,
            _ => {}
        }
    }
    answer
}

/// Do rows come whose types the server tells beforehand?
fn tells_types(sql: &str) -> bool {
    let is_returning = |piece: &lex::Piece| {
        piece.kind == lex::Kind::Keyword && sql[piece.bytes.clone()].eq_ignore_ascii_case("returning")
    };
    TYPED.contains(&first_word(sql).as_str()) || lex::pieces(sql, Dialect::Postgres).iter().any(is_returning)
}

/// The first word of a statement, in capitals.
pub(super) fn first_word(sql: &str) -> String {
    let pieces = lex::pieces(sql, Dialect::Postgres);
    let first = pieces.iter().find(|piece| piece.kind != lex::Kind::Comment);
    first.map(|piece| sql[piece.bytes.clone()].to_uppercase()).unwrap_or_default()
}

fn notice_text(notice: &DbError) -> String {
    let hint = notice.hint().map(|hint| format!("\nHINT: {hint}")).unwrap_or_default();
    format!("{}: {}{hint}", notice.severity(), notice.message())
}

/// An error of the server as one of ours.
fn told_error(
    error: &tokio_postgres::Error,
    sql: &str,
    hint: &str,
    codes: &mut BTreeMap<String, &'static str>,
) -> SqlError {
    let Some(told) = error.as_db_error() else { return broken(error, hint) };
    let code = told.code().code();
    // There are some hundred, and each is kept once.
    let sqlstate = *codes.entry(code.to_owned()).or_insert_with(|| Box::leak(code.to_owned().into_boxed_str()));
    let position = match told.position() {
        Some(ErrorPosition::Original(at)) => Some(place(sql, *at)),
        _ => None,
    };
    let (detail, hint) = (told.detail().map(str::to_owned), told.hint().map(str::to_owned));
    SqlError { detail, hint, position, ..SqlError::new(sqlstate, told.message()) }
}

/// An error of the connection, which the server has not told.
fn broken(error: &tokio_postgres::Error, hint: &str) -> SqlError {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    if cause == "password missing" {
        return SqlError::new(NO_PASSWORD, "the server asks for a password, and none was given").with_hint(
            "the environment gives it: EDDYLINE_PASSWORD=… eddyline sql --server …; --user says whose it is",
        );
    }
    let separator = if cause.is_empty() { "" } else { ": " };
    SqlError::new(CONNECTION, format!("{error}{separator}{cause}")).with_hint(hint)
}

/// The place of a character, which are counted from 1.
fn place(sql: &str, character: u32) -> TextPosition {
    let before: String = sql.chars().take(usize::try_from(character).unwrap_or(1).saturating_sub(1)).collect();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    TextPosition { line, column }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters() {
        for (at, line, column) in [(1, 1, 1), (9, 1, 9), (12, 2, 1), (13, 2, 2)] {
            assert_eq!(place("SELECT 'ß'\nx", at), TextPosition { line, column }, "{at}");
        }
    }

    #[test]
    fn statements_begin_behind_comments() {
        assert_eq!(first_word("-- a\n /* b */ select 1"), "SELECT");
        assert_eq!(first_word(""), "");
    }

    #[test]
    fn rows_that_are_returned_have_types() {
        assert!(tells_types("show tables") && tells_types("insert into t values (1) returning *"));
        assert!(!tells_types("insert into t values ('returning')") && !tells_types("create table t (a int)"));
    }
}
