//! How transactions begin and end, and what they may do: `BEGIN READ ONLY`, `COMMIT AND CHAIN`, `SET TRANSACTION …`.

use super::Command;
use super::words::Word;
use crate::transaction::Modes;
use eddyline_engine::SqlError;

/// Reads one of these statements; `None`: it is none of them.
pub(super) fn read(words: &[Word]) -> Option<Result<Command, SqlError>> {
    if words.first().is_none_or(|word| word.quoted) {
        return None;
    }
    let names: Vec<&str> = words.iter().map(|word| word.name.as_str()).collect();
    Some(match names.as_slice() {
        ["begin", "statement", ..] => return None,
        ["begin", "work" | "transaction", rest @ ..] | ["begin", rest @ ..] => {
            modes(rest).map(|modes| Command::Begin("BEGIN", modes))
        }
        ["start", "transaction", rest @ ..] => modes(rest).map(|modes| Command::Begin("START TRANSACTION", modes)),
        ["set", "transaction", "snapshot", ..] => Err(SqlError::new(SqlError::UNSUPPORTED, "SET TRANSACTION SNAPSHOT")
            .with_hint("a transaction reads the moment of its first SELECT")),
        ["set", "session", "characteristics", "as", "transaction", rest @ ..] => {
            some_modes(rest).map(Command::SetCharacteristics)
        }
        ["set", "transaction", rest @ ..] | ["set", "session" | "local", "transaction", rest @ ..] => {
            some_modes(rest).map(Command::SetTransaction)
        }
        ["commit" | "end", rest @ ..] if rest.first() != Some(&"prepared") => chains(rest).map(Command::Commit),
        ["rollback" | "abort", rest @ ..] if rest.first() != Some(&"prepared") && !rest.contains(&"to") => {
            chains(rest).map(Command::Rollback)
        }
        _ => return None,
    })
}

fn some_modes(words: &[&str]) -> Result<Modes, SqlError> {
    if words.is_empty() { Err(unknown("end of input")) } else { modes(words) }
}

/// `ISOLATION LEVEL …`, `READ ONLY`, `READ WRITE`, `[NOT] DEFERRABLE`, with commas or without.
fn modes(words: &[&str]) -> Result<Modes, SqlError> {
    let (mut said, mut rest) = (Modes::default(), words);
    while let [_, ..] = rest {
        let mode;
        (mode, rest) = match rest {
            ["isolation", "level", "serializable", rest @ ..] => (isolation("serializable"), rest),
            ["isolation", "level", "repeatable", "read", rest @ ..] => (isolation("repeatable read"), rest),
            ["isolation", "level", "read", "committed", rest @ ..] => (isolation("read committed"), rest),
            ["isolation", "level", "read", "uncommitted", rest @ ..] => (isolation("read uncommitted"), rest),
            ["read", "only", rest @ ..] => (Modes { read_only: Some(true), ..Modes::default() }, rest),
            ["read", "write", rest @ ..] => (Modes { read_only: Some(false), ..Modes::default() }, rest),
            ["not", "deferrable", rest @ ..] => (Modes { deferrable: Some(false), ..Modes::default() }, rest),
            ["deferrable", rest @ ..] => (Modes { deferrable: Some(true), ..Modes::default() }, rest),
            other => return Err(unknown(other[0])),
        };
        // What is said last holds.
        said = mode.or(said);
        rest = match rest {
            [","] => return Err(unknown("end of input")),
            [",", rest @ ..] => rest,
            rest => rest,
        };
    }
    Ok(said)
}

fn isolation(level: &'static str) -> Modes {
    Modes { isolation: Some(level), ..Modes::default() }
}

/// `[WORK | TRANSACTION] [AND [NO] CHAIN]`.
fn chains(words: &[&str]) -> Result<bool, SqlError> {
    let rest = match words {
        ["work" | "transaction", rest @ ..] => rest,
        rest => rest,
    };
    match rest {
        [] | ["and", "no", "chain"] => Ok(false),
        ["and", "chain"] => Ok(true),
        other => Err(SqlError::new(SqlError::SYNTAX, format!("syntax error at or near \"{}\"", other[0]))
            .with_hint("write COMMIT or ROLLBACK, with AND CHAIN for another transaction like it")),
    }
}

fn unknown(at: &str) -> SqlError {
    let message = if at == "end of input" {
        "syntax error at end of input".to_owned()
    } else {
        format!("syntax error at or near \"{at}\"")
    };
    SqlError::new(SqlError::SYNTAX, message)
        .with_hint("modes of transactions are READ ONLY, READ WRITE, ISOLATION LEVEL …, DEFERRABLE and NOT DEFERRABLE")
}
