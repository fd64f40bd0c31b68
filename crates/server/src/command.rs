//! Statements that concern the connection, and not the engine: transactions, variables, prepared statements.
//!
//! What is none of them is parsed by the engine.

use eddyline_engine::settings::SETTINGS;
use eddyline_engine::statement::Statement;
use eddyline_engine::{SqlError, parse};

/// A statement of a client.
#[derive(Debug, Clone)]
pub(crate) enum Command {
    /// Nothing but space and comments.
    Empty,
    /// `BEGIN`, `START TRANSACTION`.
    Begin,
    /// `COMMIT`, `END`.
    Commit,
    /// `ROLLBACK`, `ABORT`.
    Rollback,
    /// `SET name = value`; `None` for DEFAULT.
    Set(String, Option<String>),
    /// `SHOW name`.
    Show(String),
    /// `SHOW ALL`.
    ShowAll,
    /// `RESET name`; `None` for ALL.
    Reset(Option<String>),
    /// `DISCARD ALL` and parts of it.
    Discard,
    /// `DEALLOCATE name`; `None` for ALL.
    Deallocate(Option<String>),
    /// Of the engine.
    Sql(Box<Statement>),
}

/// What SHOW lists, and is no variable.
const LISTS: [&str; 10] = [
    "tables",
    "views",
    "materialized",
    "create",
    "functions",
    "columns",
    "connectors",
    "checkpoints",
    "jobs",
    "sources",
];

/// Reads one statement, without its semicolon.
///
/// # Errors
/// What the engine cannot parse; places count from the beginning of `text`.
pub(crate) fn read(text: &str) -> Result<Command, SqlError> {
    match of_connection(&words(text)) {
        Some(command) => Ok(command),
        None => {
            let mut statements = parse(text)?;
            match (statements.pop(), statements.pop()) {
                (Some(only), None) => Ok(Command::Sql(Box::new(only))),
                (None, _) => Ok(Command::Empty),
                (Some(_), Some(_)) => Err(several()),
            }
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
        ["begin", rest @ ..] if rest.first() != Some(&"statement") => Command::Begin,
        ["start", "transaction", ..] => Command::Begin,
        ["commit" | "end", ..] => Command::Commit,
        ["rollback", rest @ ..] if rest.contains(&"to") || rest.first() == Some(&"prepared") => return None,
        ["rollback" | "abort", ..] => Command::Rollback,
        ["discard", _] => Command::Discard,
        ["deallocate", "prepare", name] | ["deallocate", name] => {
            Command::Deallocate((*name != "all").then(|| (*name).to_owned()))
        }
        ["set", "transaction", ..] | ["set", "session", "characteristics", ..] => {
            Command::Set("transaction".into(), None)
        }
        ["set", "session" | "local", rest @ ..] if rest.len() > 1 => return of_connection(&without(words, 1)),
        ["set", "time", "zone", _, ..] => Command::Set("timezone".into(), value(3)?),
        ["set", "names", _] => Command::Set("client_encoding".into(), value(2)?),
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

/// A word, a string, a quoted name or a sign.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    /// As it was written, without quotes.
    text: String,
    /// In lower case, unless quoted.
    name: String,
    quoted: bool,
}

/// How much of a statement is looked at.
const WORDS_MAX: usize = 64;

fn words(text: &str) -> Vec<Word> {
    let mut found = Vec::new();
    let mut rest = text;
    while found.len() < WORDS_MAX {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else { break };
        if rest.starts_with("--") {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
            continue;
        }
        if rest.starts_with("/*") {
            rest = rest.find("*/").map_or("", |end| &rest[end + 2..]);
            continue;
        }
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '$');
        let (word, length) = match first {
            '\'' | '"' | '`' => {
                let end = rest[1..].find(first).map_or(rest.len(), |end| end + 2);
                let text = rest[1..end].trim_end_matches(first).to_owned();
                (Word { name: text.clone(), text, quoted: true }, end)
            }
            c if is_part(c) => {
                let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
                let text = rest[..end].to_owned();
                (Word { name: text.to_ascii_lowercase(), text, quoted: false }, end)
            }
            c => (Word { name: c.to_string(), text: c.to_string(), quoted: false }, c.len_utf8()),
        };
        found.push(word);
        rest = &rest[length..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match read(text) {
            Ok(Command::Sql(statement)) => format!("SQL {}", statement.sql),
            Ok(command) => format!("{command:?}"),
            Err(error) => error.message,
        }
    }

    #[test]
    fn statements_of_the_connection_are_told_from_those_of_the_engine() {
        assert_eq!(shown(" -- nothing\n /* at all */ "), "Empty");
        assert_eq!(shown("BEGIN"), "Begin");
        assert_eq!(shown("begin isolation level serializable"), "Begin");
        assert_eq!(shown("START TRANSACTION READ ONLY"), "Begin");
        assert_eq!(shown("END"), "Commit");
        assert_eq!(shown("rollback work"), "Rollback");
        assert_eq!(shown("SET application_name = 'x y'"), "Set(\"application_name\", Some(\"x y\"))");
        assert_eq!(shown("SET search_path TO a, b"), "Set(\"search_path\", Some(\"a, b\"))");
        assert_eq!(shown("SET LOCAL extra_float_digits TO DEFAULT"), "Set(\"extra_float_digits\", None)");
        assert_eq!(shown("SET TIME ZONE 'UTC'"), "Set(\"timezone\", Some(\"UTC\"))");
        assert_eq!(shown("SHOW server_version"), "Show(\"server_version\")");
        assert_eq!(shown("SHOW TRANSACTION ISOLATION LEVEL"), "Show(\"transaction_isolation\")");
        assert_eq!(shown("DEALLOCATE ALL"), "Deallocate(None)");
        assert_eq!(shown("SHOW TABLES"), "SQL SHOW TABLES");
        assert_eq!(shown("SET 'execution.shards' = '1'"), "SQL SET 'execution.shards' = '1'");
        assert_eq!(shown("SELECT 1"), "SQL SELECT 1");
    }
}
