//! What CREATE SOURCE and CREATE SINK say in RisingWave's spelling beside Flink's: options without quotes, FORMAT … ENCODE, EMIT.

use super::cursor::Cursor;
use super::ddl::{Spelled, options};
use super::refuse;
use super::script::is_word;
use crate::SqlError;
use sqlparser::tokenizer::Token;
use std::collections::BTreeMap;

/// FORMAT, ENCODE, and the format of ours that means the same.
const FORMATS: [(&str, &str, &str); 8] = [
    ("PLAIN", "JSON", "json"),
    ("PLAIN", "CSV", "csv"),
    ("PLAIN", "PARQUET", "parquet"),
    ("PLAIN", "BYTES", "raw"),
    ("PLAIN", "TEXT", "raw"),
    ("UPSERT", "JSON", "upsert-json"),
    ("UPSERT", "CSV", "upsert-csv"),
    ("DEBEZIUM", "JSON", "debezium-json"),
];

/// `[FORMAT format ENCODE encoding [(options)]]`, as options of the connector.
///
/// # Errors
/// A syntax error; a format that is not there, or is said twice.
pub(super) fn format(cursor: &mut Cursor<'_>, options: &mut BTreeMap<String, String>) -> Result<(), SqlError> {
    let position = cursor.position();
    if !cursor.word("FORMAT") {
        return Ok(());
    }
    let format = cursor.identifier("PLAIN, UPSERT or DEBEZIUM")?.value.to_uppercase();
    cursor.expect_words(&["ENCODE"])?;
    let encoding = cursor.identifier("JSON, CSV, PARQUET, BYTES or TEXT")?.value.to_uppercase();
    let Some((.., name)) = FORMATS.iter().find(|(f, e, _)| *f == format && *e == encoding) else {
        let known: Vec<String> = FORMATS.iter().map(|(f, e, _)| format!("FORMAT {f} ENCODE {e}")).collect();
        let error = refuse::unsupported(
            &format!("FORMAT {format} ENCODE {encoding}"),
            &format!("there are {}", known.join(", ")),
        );
        return Err(error.at(position));
    };
    if let Some(said) = options.insert("format".into(), (*name).into()) {
        let message = format!("the format is there twice: 'format' = '{said}', and FORMAT {format} ENCODE {encoding}");
        return Err(SqlError::new(SqlError::INVALID_PARAMETER, message)
            .with_hint("leave one of them out")
            .at(position));
    }
    if cursor.peek().token == Token::LParen {
        let own = self::options(cursor, Spelled::Bare)?;
        for (key, value) in own {
            let (key, value) = encoding_option(name, key, value).map_err(|e| e.at(position))?;
            options.insert(key, value);
        }
    }
    Ok(())
}

/// An option behind ENCODE, as the connector calls it.
fn encoding_option(format: &str, key: String, value: String) -> Result<(String, String), SqlError> {
    Ok(match key.as_str() {
        FORCE_APPEND_ONLY => (key, value),
        "delimiter" => (format!("{format}.field-delimiter"), value),
        "without_header" => {
            let has_header = match value.to_ascii_lowercase().as_str() {
                "true" => "false",
                "false" => "true",
                _ => {
                    let message = format!("without_header = '{value}' is neither true nor false");
                    return Err(SqlError::new(SqlError::INVALID_PARAMETER, message));
                }
            };
            (format!("{format}.header"), has_header.to_owned())
        }
        _ => (format!("{format}.{key}"), value),
    })
}

/// The option of a sink that drops retractions.
const FORCE_APPEND_ONLY: &str = "force_append_only";

/// The name of an option: a string, or words with dots and dashes between.
///
/// # Errors
/// It is none.
pub(super) fn option_name(cursor: &mut Cursor<'_>) -> Result<String, SqlError> {
    if !matches!(&cursor.peek().token, Token::Word(word) if word.quote_style.is_none()) {
        return cursor.string("the name of an option");
    }
    let begin = cursor.begin();
    cursor.next();
    while matches!(cursor.peek().token, Token::Period | Token::Minus) {
        cursor.next();
        cursor.identifier("the rest of the option's name")?;
    }
    Ok(cursor.text_since(begin).split_whitespace().collect())
}

/// The value of an option: a string, a number, `true` or `false`.
///
/// # Errors
/// It is none.
pub(super) fn option_value(cursor: &mut Cursor<'_>) -> Result<String, SqlError> {
    let found = match &cursor.peek().token {
        Token::Number(digits, _) => digits.clone(),
        word if is_word(word, "TRUE") => "true".into(),
        word if is_word(word, "FALSE") => "false".into(),
        _ => return cursor.string("the option's value as a string"),
    };
    cursor.next();
    Ok(found)
}

/// Does `WITH (` or `FORMAT … ENCODE` come next, behind a query?
pub(super) fn begins_options(rest: &[&Token]) -> bool {
    match rest {
        [with, Token::LParen, ..] if is_word(with, "WITH") => true,
        [format, _, encode, ..] => is_word(format, "FORMAT") && is_word(encode, "ENCODE"),
        _ => false,
    }
}

/// Does `EMIT` come next, behind a query?
pub(super) fn begins_emit(rest: &[&Token]) -> bool {
    matches!(rest, [emit, on, ..] if is_word(emit, "EMIT") && (is_word(on, "ON") || is_word(on, "IMMEDIATELY")))
}

/// `[EMIT ON WINDOW CLOSE]`.
///
/// # Errors
/// EMIT of anything else.
pub(super) fn emits_on_close(cursor: &mut Cursor<'_>) -> Result<bool, SqlError> {
    if cursor.words(&["EMIT", "ON", "WINDOW", "CLOSE"]) {
        return Ok(true);
    }
    match cursor.peek_word("EMIT") {
        true => {
            let hint = "there is EMIT ON WINDOW CLOSE; without it, rows are there as soon as they are known";
            Err(refuse::unsupported("this EMIT", hint).at(cursor.position()))
        }
        false => Ok(false),
    }
}
