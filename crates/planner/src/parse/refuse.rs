//! What is not supported, with the nearest thing that is.

use super::cursor::Cursor;
use super::script::{is_word, position};
use crate::SqlError;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// How statements begin that other engines have: words, hint.
const STATEMENTS: [(&[&str], &str); 41] = [
    (&["CREATE", "CATALOG"], "CREATE SCHEMA makes a place for tables and views"),
    (&["CREATE", "TEMPORARY", "SYSTEM", "FUNCTION"], "SHOW FUNCTIONS lists what there is"),
    (&["CREATE", "TEMPORARY", "FUNCTION"], "SHOW FUNCTIONS lists what there is"),
    (&["CREATE", "FUNCTION"], "SHOW FUNCTIONS lists what there is"),
    (&["CREATE", "AGGREGATE"], "SHOW FUNCTIONS lists what there is"),
    (&["CREATE", "CONNECTION"], "give the options in CREATE TABLE … WITH (…)"),
    (&["CREATE", "MODEL"], "tables and views can be created"),
    (&["DROP", "CATALOG"], "DROP TABLE and DROP VIEW are there"),
    (&["DROP", "FUNCTION"], "DROP TABLE and DROP VIEW are there"),
    (&["DROP", "TEMPORARY", "FUNCTION"], "DROP TABLE and DROP VIEW are there"),
    (&["CREATE", "OR", "REPLACE", "MATERIALIZED"], "DROP MATERIALIZED VIEW it and create it anew"),
    (&["MERGE"], "INSERT INTO a table with a PRIMARY KEY updates rows of the same key"),
    (&["UPSERT"], "INSERT INTO a table with a PRIMARY KEY updates rows of the same key"),
    (&["GRANT"], "every user may do what SQL can; CREATE USER … PASSWORD says who may connect"),
    (&["REVOKE"], "every user may do what SQL can; DROP USER takes one away"),
    (&["LOAD"], "connectors, formats and functions are built in; leave the statement out"),
    (&["UNLOAD"], "connectors, formats and functions are built in; leave the statement out"),
    (&["ADD", "JAR"], "connectors and formats are built in; leave the statement out"),
    (&["REMOVE", "JAR"], "connectors and formats are built in; leave the statement out"),
    (&["ANALYZE"], "there are no statistics to be taken; leave the statement out"),
    (&["CALL"], "there are no procedures"),
    (&["COMPILE", "PLAN"], "EXPLAIN shows the plan"),
    (&["EXECUTE", "PLAN"], "run the INSERT itself"),
    (&["COMMIT"], "there are no transactions; EXECUTE STATEMENT SET runs several INSERTs as one job"),
    (&["ROLLBACK"], "there are no transactions"),
    (&["START"], "there are no transactions; EXECUTE STATEMENT SET runs several INSERTs as one job"),
    (&["COPY"], "CREATE TABLE … WITH ('connector' = 'filesystem', …) reads and writes files"),
    (&["LISTEN"], "SUBSCRIBE TO v tells what changes in a table or materialized view"),
    (&["NOTIFY"], "SUBSCRIBE TO v tells what changes in a table or materialized view"),
    (&["LOCK"], "each statement takes effect by itself, and readers wait for nobody: leave it out"),
    (&["VACUUM"], "rows that are gone take no place: leave it out"),
    (&["CHECKPOINT"], "what is acknowledged is durable; SAVEPOINT JOB 'j' makes a savepoint of a job"),
    (&["DO"], "there are no procedures: send the statements themselves"),
    (
        &["CREATE", "SEQUENCE"],
        "rows get no numbers by themselves: write BIGINT and give them their keys, or TEXT DEFAULT gen_random_uuid()",
    ),
    (&["CREATE", "TYPE"], "ROW<…>, STRUCT<…> and arrays are written where they are used; TEXT holds what ENUM would"),
    (&["CREATE", "DOMAIN"], "write its type"),
    (&["CREATE", "TRIGGER"], "CREATE MATERIALIZED VIEW and CREATE SINK follow what changes"),
    (&["CREATE", "EXTENSION"], "functions are built in: SHOW FUNCTIONS lists them"),
    (&["CREATE", "SUBSCRIPTION"], "DECLARE c SUBSCRIPTION CURSOR FOR a table or materialized view needs none"),
    (&["HELP"], "SHOW TABLES, DESCRIBE t, SET and SHOW FUNCTIONS tell what there is"),
    (&["BEGIN"], "BEGIN STATEMENT SET; … END runs several INSERTs as one job; there are no transactions"),
];

/// Words that begin statements that are supported.
const BEGINNINGS: [&str; 26] = [
    "SELECT",
    "SUBSCRIBE",
    "WITH",
    "VALUES",
    "CREATE",
    "ALTER",
    "COMMENT",
    "DROP",
    "INSERT",
    "UPDATE",
    "DELETE",
    "TRUNCATE",
    "FLUSH",
    "EXECUTE",
    "BEGIN",
    "EXPLAIN",
    "SHOW",
    "DESCRIBE",
    "DESC",
    "SET",
    "RESET",
    "STOP",
    "RESUME",
    "SUBMIT",
    "TABLE",
    "USE",
];

/// `<what> is not supported`.
pub(super) fn unsupported(what: &str, hint: &str) -> SqlError {
    SqlError::new(SqlError::UNSUPPORTED, format!("{what} is not supported")).with_hint(hint)
}

/// The error for a statement that begins in no way that is known.
pub(super) fn statement(cursor: &Cursor<'_>) -> SqlError {
    if let Some((words, hint)) = STATEMENTS.iter().find(|(words, _)| cursor.peek_words(words)) {
        return unsupported(&words.join(" "), hint).at(cursor.position());
    }
    let error = cursor.expected("a statement");
    let Token::Word(word) = &cursor.peek().token else { return error };
    let upper = word.value.to_uppercase();
    match super::syntax_error::nearest(&upper, &BEGINNINGS) {
        Some(near) => error.with_hint(format!("did you mean {near}?")),
        None => error.with_hint(
            "statements begin with SELECT, WITH, CREATE, ALTER, DROP, INSERT, UPDATE, DELETE, EXECUTE, EXPLAIN, SHOW, DESCRIBE, SET, RESET or STOP",
        ),
    }
}

/// What is refused wherever it stands.
///
/// # Errors
/// Hints in comments that are not carried out, MATCH_RECOGNIZE, EXCLUDE in frames.
pub(super) fn everywhere(tokens: &[TokenWithSpan]) -> Result<(), SqlError> {
    super::hints::check(tokens)?;
    for (at, token) in tokens.iter().enumerate() {
        let error = match &token.token {
            word if is_word(word, "MATCH_RECOGNIZE") && opens_bracket(&tokens[at + 1..]) => {
                unsupported("MATCH_RECOGNIZE", "joins, windows and aggregates are there")
            }
            word if is_word(word, "EXCLUDE") => match excluded_rows(&tokens[at + 1..]) {
                Some("NO OTHERS") => unsupported("EXCLUDE NO OTHERS", "that is what a frame does anyway: leave it out"),
                Some(rows) => unsupported(
                    &format!("EXCLUDE {rows} in a frame"),
                    "frames hold all rows between their two ends; join an aggregate over the table if some must be left out",
                ),
                None => continue,
            },
            _ => continue,
        };
        return Err(match position(token.span.start) {
            Some(position) => error.at(position),
            None => error,
        });
    }
    Ok(())
}

fn opens_bracket(tokens: &[TokenWithSpan]) -> bool {
    tokens.iter().find(|t| !super::script::is_space(t)).is_some_and(|t| t.token == Token::LParen)
}

/// Which rows an EXCLUDE before `tokens` takes out of a frame; `None` when it is no EXCLUDE of a frame.
fn excluded_rows(tokens: &[TokenWithSpan]) -> Option<&'static str> {
    let mut words = tokens.iter().filter(|t| !super::script::is_space(t));
    let (first, second) = (&words.next()?.token, words.next().map(|t| &t.token));
    let then = |word: &str| second.is_some_and(|t| is_word(t, word));
    let closed = second == Some(&Token::RParen);
    match first {
        t if is_word(t, "CURRENT") && then("ROW") => Some("CURRENT ROW"),
        t if is_word(t, "NO") && then("OTHERS") => Some("NO OTHERS"),
        t if is_word(t, "TIES") && closed => Some("TIES"),
        t if is_word(t, "GROUP") && closed => Some("GROUP"),
        _ => None,
    }
}
