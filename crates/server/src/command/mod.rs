//! Statements that concern the connection, and not the engine: transactions, variables, prepared statements.
//!
//! What is none of them is parsed by the engine.

mod cursors;
mod options;
mod prepared;
mod subscriptions;
mod transactions;
mod words;

use crate::catalogs::{self, Asked};
use crate::copy::{Copy, CopyFormat};
use crate::transaction::Modes;
pub(crate) use cursors::Cursor;
use eddyline_engine::settings::SETTINGS;
use eddyline_engine::statement::{Statement, StatementKind};
use eddyline_engine::{Dialect, SqlError, parse_in};
pub(crate) use prepared::{Argument, Execute, Prepare, explained};
pub(crate) use subscriptions::{Declare, Fetch};
use words::{Word, words};

/// How much of a statement is looked at.
const WORDS_MAX: usize = 64;

/// A statement of a client.
#[derive(Debug, Clone)]
pub(crate) enum Command {
    /// Nothing but space and comments.
    Empty,
    /// `BEGIN`, `START TRANSACTION`: its command tag, and what it says of the transaction.
    Begin(&'static str, Modes),
    /// `COMMIT`, `END`; does another transaction like it begin?
    Commit(bool),
    /// `ROLLBACK`, `ABORT`; does another transaction like it begin?
    Rollback(bool),
    /// `SET TRANSACTION …`.
    SetTransaction(Modes),
    /// `SET SESSION CHARACTERISTICS AS TRANSACTION …`.
    SetCharacteristics(Modes),
    /// `SET name = value`; `None` for DEFAULT.
    Set(String, Option<String>),
    /// `SET LOCAL name = value`: until the transaction ends.
    SetLocal(String, Option<String>),
    /// `SHOW name`.
    Show(String),
    /// `SHOW ALL`.
    ShowAll,
    /// `RESET name`; `None` for ALL.
    Reset(Option<String>),
    /// `DISCARD ALL`.
    Discard,
    /// `DISCARD PLANS`, `DISCARD SEQUENCES`, `UNLISTEN`: there is nothing of the kind to be forgotten. The command tag.
    DiscardNothing(&'static str),
    /// `DEALLOCATE name`; `None` for ALL.
    Deallocate(Option<String>),
    /// `PREPARE name AS …`.
    Prepare(Prepare),
    /// `EXECUTE name …`.
    Execute(Execute),
    /// `EXPLAIN … EXECUTE name …`: EXPLAIN of a statement in the place of the one that is prepared.
    ExplainExecute(Box<Statement>, Execute),
    /// `DECLARE … SUBSCRIPTION CURSOR FOR …`.
    DeclareSubscription(Declare),
    /// `FETCH … FROM … WITH (timeout = …)`.
    FetchSubscription(Fetch),
    /// `COPY … FROM STDIN`.
    Copy(Box<Copy>),
    /// `COPY … TO STDOUT`: the rows of a query.
    CopyOut(Box<Command>, CopyFormat),
    /// `SAVEPOINT name`.
    Savepoint(String),
    /// `RELEASE name`.
    Release(String),
    /// `ROLLBACK TO name`.
    RollbackTo(String),
    /// `DECLARE name CURSOR FOR` a query; does it outlive its transaction?
    Declare(String, bool, Box<Command>),
    /// FETCH, MOVE, CLOSE.
    Cursor(Cursor),
    /// A query over the catalogs.
    Catalogs(Box<Asked>),
    /// Of the engine.
    Sql(Box<Statement>),
}

/// What SHOW lists, and is no variable.
const LISTS: [&str; 15] = [
    "indexes",
    "schemas",
    "databases",
    "tables",
    "views",
    "materialized",
    "create",
    "functions",
    "columns",
    "connectors",
    "checkpoints",
    "jobs",
    "logs",
    "sources",
    "sinks",
];

impl Command {
    /// The dialect of what comes behind it, where it has `dialect`.
    pub(crate) fn dialect_behind(&self, dialect: Dialect) -> Dialect {
        match self {
            Command::Sql(statement) => statement.kind.dialect_behind(dialect),
            _ => dialect,
        }
    }
}

/// Reads one statement, without its semicolon.
///
/// # Errors
/// What the engine cannot parse; places count from the beginning of `text`.
pub(crate) fn read(text: &str, dialect: Dialect) -> Result<Command, SqlError> {
    let begin = words(text, dialect, WORDS_MAX);
    let begins_with = |name: &str| begin.first().is_some_and(|word| !word.quoted && word.name == name);
    if begins_with("copy") {
        let all = words(text, dialect, usize::MAX);
        return match options::copy(text, &all[1..], dialect == Dialect::Postgres)? {
            options::Said::In(copy) => Ok(Command::Copy(Box::new(copy))),
            options::Said::Out(query, format) => {
                let query = read(&query, dialect).map_err(|e| SqlError { position: None, ..e })?;
                let query = rows_alone(query, "COPY TO STDOUT")?;
                Ok(Command::CopyOut(Box::new(query), format))
            }
        };
    }
    if let Some(command) = subscriptions::read(&begin).or_else(|| transactions::read(&begin)) {
        return command;
    }
    if begins_with("declare")
        && let Some(declared) = cursors::declare(&begin[1..])?
    {
        let rest = text.get(declared.query..).unwrap_or_default();
        let query = read(rest, dialect).map_err(|e| SqlError { position: None, ..e })?;
        let query = rows_alone(query, "DECLARE CURSOR")?;
        return Ok(Command::Declare(declared.name, declared.holds, Box::new(query)));
    }
    if prepared::begins(&begin) {
        return prepared::read(text, &words(text, dialect, usize::MAX), dialect);
    }
    if let Some(cursor) = cursors::read(&begin)? {
        return Ok(Command::Cursor(cursor));
    }
    match of_connection(&begin) {
        Some(command) => Ok(command),
        None if begins_with("discard") && begin.get(1).is_some_and(|word| word.name.starts_with("temp")) => {
            Err(SqlError::new(SqlError::UNSUPPORTED, "DISCARD TEMP: temporary tables belong to no connection")
                .with_hint("DROP TABLE takes one away"))
        }
        None => {
            if dialect == Dialect::Postgres
                && let Some(asked) = catalogs::read(text)
            {
                return Ok(Command::Catalogs(Box::new(asked)));
            }
            let mut statements = parse_in(text, dialect)?;
            match (statements.pop(), statements.pop()) {
                (Some(only), None) => Ok(Command::Sql(Box::new(only))),
                (None, _) => Ok(Command::Empty),
                (Some(_), Some(_)) => Err(several()),
            }
        }
    }
}

/// A query, and nothing that changes something.
fn rows_alone(command: Command, of: &str) -> Result<Command, SqlError> {
    let is_query = match &command {
        Command::Catalogs(_) => true,
        Command::Sql(statement) => matches!(statement.kind, StatementKind::Select(_)),
        _ => false,
    };
    match is_query {
        true => Ok(command),
        false => {
            Err(SqlError::new(SqlError::UNSUPPORTED, format!("{of} of anything but a query"))
                .with_hint("give it a SELECT"))
        }
    }
}

/// Several statements where there may be one.
pub(crate) fn several() -> SqlError {
    SqlError::new(SqlError::SYNTAX, "a prepared statement is one statement")
}

fn of_connection(words: &[Word]) -> Option<Command> {
    let names: Vec<&str> = words.iter().map(|word| word.name.as_str()).collect();
    let value = |at: usize| {
        let value = join(&words[at..])?;
        let is_default = words.len() == at + 1 && !words[at].quoted && words[at].name == "default";
        Some(if is_default { None } else { Some(value) })
    };
    Some(match names.as_slice() {
        ["savepoint", name] => Command::Savepoint((*name).to_owned()),
        ["release", "savepoint", name] | ["release", name] => Command::Release((*name).to_owned()),
        ["rollback" | "abort", rest @ ..] if rest.contains(&"to") => match rest {
            ["to", name] | ["to", "savepoint", name] => Command::RollbackTo((*name).to_owned()),
            ["work" | "transaction", "to", name] | ["work" | "transaction", "to", "savepoint", name] => {
                Command::RollbackTo((*name).to_owned())
            }
            _ => return None,
        },
        ["discard", "all"] => Command::Discard,
        ["discard", "plans"] => Command::DiscardNothing("DISCARD PLANS"),
        // Nothing is listened for.
        ["unlisten", _] => Command::DiscardNothing("UNLISTEN"),
        ["discard", "sequences"] => Command::DiscardNothing("DISCARD SEQUENCES"),
        ["deallocate", "prepare", name] | ["deallocate", name] => {
            Command::Deallocate((*name != "all").then(|| (*name).to_owned()))
        }
        ["set", "session", rest @ ..] if rest.len() > 1 => return of_connection(&without(words, 1)),
        ["set", "local", name, "=" | "to", _, ..] if is_of_engine(name) => {
            Command::SetLocal((*name).to_owned(), value(4)?)
        }
        ["set", "local", rest @ ..] if rest.len() > 1 => match of_connection(&without(words, 1))? {
            Command::Set(name, value) => Command::SetLocal(name, value),
            other => other,
        },
        ["set", "time", "zone", _, ..] => Command::Set("timezone".into(), value(3)?),
        ["set", "names", _] => Command::Set("client_encoding".into(), value(2)?),
        ["set", "search_path", "=" | "to", _, ..] => Command::Set("search_path".into(), path(&words[3..])),
        ["set", "schema", _] => Command::Set("search_path".into(), path(&words[2..])),
        ["reset", "search_path"] => Command::Reset(Some("search_path".into())),
        ["set", name, "=" | "to", _, ..] if !is_of_engine(name) => Command::Set((*name).to_owned(), value(3)?),
        ["show", "all"] => Command::ShowAll,
        ["show", "time", "zone"] => Command::Show("timezone".into()),
        ["show", "transaction", "isolation", "level"] => Command::Show("transaction_isolation".into()),
        ["show", name] if !LISTS.contains(name) => Command::Show((*name).to_owned()),
        ["reset", "all"] => Command::Reset(None),
        ["reset", "time", "zone"] => Command::Reset(Some("timezone".into())),
        ["reset", name] if !is_of_engine(name) => Command::Reset(Some((*name).to_owned())),
        _ => return None,
    })
}

fn without(words: &[Word], at: usize) -> Vec<Word> {
    words.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, word)| word.clone()).collect()
}

/// A setting of the engine.
pub(crate) fn is_of_engine(name: &str) -> bool {
    SETTINGS.iter().any(|s| s.name == name || s.alias == Some(name)) || name.contains('-')
}

/// Names of schemas, in quotes where they would not be kept as they are; `None` for DEFAULT.
fn path(words: &[Word]) -> Option<String> {
    if let [only] = words
        && !only.quoted
        && only.name == "default"
    {
        return None;
    }
    let schemas = words.iter().filter(|word| word.quoted || word.name != ",");
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let written = schemas.map(|word| match word.name.chars().all(is_plain) && !word.name.is_empty() {
        true => word.name.clone(),
        false => format!("\"{}\"", word.name),
    });
    Some(written.collect::<Vec<_>>().join(", "))
}

/// A value of several words and commas.
fn join(words: &[Word]) -> Option<String> {
    let mut value = String::new();
    for word in words {
        match word.text.as_str() {
            "," => value.push_str(", "),
            text => {
                if !value.is_empty() && !value.ends_with(' ') && !value.ends_with(['-', '+']) {
                    value.push(' ');
                }
                value.push_str(text);
            }
        }
    }
    (!words.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests;
