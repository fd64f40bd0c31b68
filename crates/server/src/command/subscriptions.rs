//! Cursors over subscriptions: DECLARE, and FETCH that waits.

use super::Command;
use super::words::{Word, reference};
use eddyline_engine::SqlError;
use eddyline_engine::catalog::Reference;
use std::time::Duration;

/// `DECLARE name SUBSCRIPTION CURSOR FOR view [FULL | SINCE NOW()]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Declare {
    pub(crate) cursor: String,
    /// A table or materialized view.
    pub(crate) of: Reference,
    /// `FULL`: its rows come first.
    pub(crate) snapshot: bool,
}

/// `FETCH {NEXT | ALL | number} FROM name WITH (timeout = '10s')`, or without a time to wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fetch {
    pub(crate) cursor: String,
    pub(crate) rows: usize,
    /// How long to wait where nothing is there.
    pub(crate) wait: Duration,
}

/// Reads one of these statements; `None`: it is none of them, as a FETCH that does not wait, which does not say what its cursor is of.
pub(super) fn read(words: &[Word]) -> Option<Result<Command, SqlError>> {
    let names: Vec<&str> = words.iter().map(|word| word.name.as_str()).collect();
    if words.first().is_none_or(|word| word.quoted) {
        return None;
    }
    match names.as_slice() {
        ["declare", _, "subscription", ..] => Some(declare(words, &names)),
        ["fetch", .., "with", "(", "timeout", "=", _, ")"] => Some(fetch(&names)),
        _ => None,
    }
}

fn declare(words: &[Word], names: &[&str]) -> Result<Command, SqlError> {
    const FORM: &str = "write DECLARE name SUBSCRIPTION CURSOR FOR view [FULL | SINCE NOW()]";
    let ["declare", cursor, "subscription", "cursor", "for", ..] = names else { return Err(syntax(FORM)) };
    let (of, taken) = reference(&words[5..], |word| &word.name).ok_or_else(|| syntax(FORM))?;
    let snapshot = match &names[5 + taken..] {
        [] | ["since", "now", "(", ")"] => false,
        ["full"] => true,
        ["since", ..] => {
            return Err(SqlError::new(SqlError::UNSUPPORTED, "a cursor that begins in the past").with_hint(
                "changes are told from now on: leave SINCE out, or write FULL for the rows that are there",
            ));
        }
        _ => return Err(syntax(FORM)),
    };
    Ok(Command::DeclareSubscription(Declare { cursor: (*cursor).to_owned(), of, snapshot }))
}

fn fetch(names: &[&str]) -> Result<Command, SqlError> {
    const FORM: &str = "write FETCH {NEXT | ALL | number} FROM name WITH (timeout = '10s')";
    let (count, rest) = match names {
        ["fetch", count, "from" | "in", rest @ ..] => (*count, rest),
        ["fetch", "forward", count, "from" | "in", rest @ ..] => (*count, rest),
        ["fetch", "from" | "in", rest @ ..] => ("next", rest),
        _ => return Err(syntax(FORM)),
    };
    let rows = match count {
        "next" => 1,
        "all" => usize::MAX,
        number => number.parse().map_err(|_| syntax(FORM))?,
    };
    let (cursor, wait) = match rest {
        [cursor, "with", "(", "timeout", "=", time, ")"] => (cursor, duration(time)?),
        _ => return Err(syntax(FORM)),
    };
    Ok(Command::FetchSubscription(Fetch { cursor: (*cursor).to_owned(), rows, wait }))
}

/// `10s`, `500 ms`, `2 minutes`.
fn duration(text: &str) -> Result<Duration, SqlError> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit_ms = match unit.trim() {
        "ms" | "millisecond" | "milliseconds" => Some(1),
        "" | "s" | "second" | "seconds" => Some(1000),
        "m" | "min" | "minute" | "minutes" => Some(60_000),
        "h" | "hour" | "hours" => Some(3_600_000),
        _ => None,
    };
    let wrong = || {
        SqlError::new(SqlError::INVALID_PARAMETER, format!("'{text}' is no time to wait"))
            .with_hint("write 500ms, 10s or 1h")
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(unit_ms.ok_or_else(wrong)?).map(Duration::from_millis).ok_or_else(wrong)
}

fn syntax(form: &str) -> SqlError {
    SqlError::new(SqlError::SYNTAX, "syntax error in a statement about a cursor").with_hint(form)
}

#[cfg(test)]
mod tests {
    use super::super::words::words;
    use super::*;

    fn of(text: &str) -> Result<Command, SqlError> {
        read(&words(text, eddyline_engine::Dialect::Postgres, 64)).expect("a statement about a cursor")
    }

    #[test]
    fn cursors_are_read() {
        let Ok(Command::DeclareSubscription(declared)) = of("DECLARE \"C\" SUBSCRIPTION CURSOR FOR public.V FULL")
        else {
            panic!()
        };
        let view = Reference { schema: Some("public".into()), ..Reference::bare("v") };
        assert_eq!(declared, Declare { cursor: "C".into(), of: view, snapshot: true });
        let Ok(Command::DeclareSubscription(declared)) = of("declare c subscription cursor for v since now()") else {
            panic!()
        };
        assert!(!declared.snapshot);
        for (text, rows, wait_ms) in [
            ("FETCH NEXT FROM c WITH (timeout = '0s')", 1, 0),
            ("FETCH FORWARD 7 IN c WITH (timeout = '2')", 7, 2000),
            ("FETCH ALL FROM c WITH (timeout = '1s')", usize::MAX, 1000),
            ("FETCH FROM c WITH (timeout = '500 ms')", 1, 500),
        ] {
            let Ok(Command::FetchSubscription(fetched)) = of(text) else { panic!("{text}") };
            assert_eq!(fetched, Fetch { cursor: "c".into(), rows, wait: Duration::from_millis(wait_ms) }, "{text}");
        }
        for text in [
            "DECLARE c SUBSCRIPTION CURSOR FOR v SINCE 1",
            "FETCH x FROM c WITH (timeout = '1s')",
            "FETCH 1 FROM c WITH (timeout = 'soon')",
        ] {
            assert!(of(text).is_err(), "{text}");
        }
    }
}
