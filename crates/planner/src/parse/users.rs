//! Statements about users: CREATE, ALTER and DROP USER, which ROLE means too. No error repeats a password.

use super::cursor::Cursor;
use super::refuse;
use crate::SqlError;
use crate::statement::{StatementKind, UserOptions, UserStatement, UserVerb};
use eddyline_users::Secret;
use sqlparser::tokenizer::Token;

const HINT: &str =
    "a user has a name, a PASSWORD and a CONNECTION LIMIT; everyone may do what SQL can, and root changes users";

/// Does a statement about users come next?
pub(super) fn begins(cursor: &Cursor<'_>) -> bool {
    ["CREATE", "ALTER", "DROP"].iter().any(|verb| ["USER", "ROLE"].iter().any(|kind| cursor.peek_words(&[verb, kind])))
}

/// `CREATE {USER | ROLE} name [WITH] [LOGIN] [PASSWORD 'text'] [CONNECTION LIMIT n]`, `ALTER {USER | ROLE} name [WITH] …`,
/// `DROP {USER | ROLE} [IF EXISTS] name`.
///
/// # Errors
/// A syntax error, or an option that is not there.
pub(super) fn statement(cursor: &mut Cursor<'_>) -> Result<StatementKind, SqlError> {
    let verb = cursor.next().token.to_string().to_uppercase();
    let is_role = cursor.word("ROLE");
    if !is_role {
        cursor.expect_words(&["USER"])?;
    }
    let if_exists = verb == "DROP" && cursor.words(&["IF", "EXISTS"]);
    let name = cursor.identifier("the name of a user")?.value;
    let begin = cursor.position();
    let verb = match verb.as_str() {
        "DROP" => UserVerb::Drop { if_exists },
        "CREATE" => {
            let (options, logs_in) = options(cursor)?;
            if is_role && !logs_in {
                let hint = "write CREATE USER, or LOGIN: there are no roles beside users";
                return Err(refuse::unsupported("a role that cannot log in", hint).at(begin));
            }
            UserVerb::Create(options)
        }
        _ => match options(cursor)? {
            (UserOptions { password: None, connections_max: None }, _) => {
                return Err(cursor.expected("PASSWORD or CONNECTION LIMIT").with_hint(HINT));
            }
            (options, _) => UserVerb::Alter(options),
        },
    };
    Ok(StatementKind::User(UserStatement { name, verb }))
}

/// What stands behind a name, and whether LOGIN is among it.
fn options(cursor: &mut Cursor<'_>) -> Result<(UserOptions, bool), SqlError> {
    let (mut options, mut logs_in) = (UserOptions::default(), false);
    cursor.word("WITH");
    while !cursor.at_end() {
        let position = cursor.position();
        if cursor.word("LOGIN") {
            logs_in = true;
        } else if cursor.word("PASSWORD") || cursor.words(&["ENCRYPTED", "PASSWORD"]) {
            options.password = Some(password(cursor)?);
        } else if cursor.words(&["CONNECTION", "LIMIT"]) {
            options.connections_max = Some(limit(cursor)?);
        } else {
            // It is not repeated: a password may stand there.
            return Err(refuse::unsupported("what stands here behind the name of a user", HINT).at(position));
        }
    }
    Ok((options, logs_in))
}

/// A password; `None` for NULL.
fn password(cursor: &mut Cursor<'_>) -> Result<Option<Secret>, SqlError> {
    if cursor.word("NULL") {
        return Ok(None);
    }
    match &cursor.peek().token {
        Token::SingleQuotedString(_) | Token::EscapedStringLiteral(_) | Token::DollarQuotedString(_) => {
            match cursor.next().token {
                Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => Ok(Some(Secret(text))),
                Token::DollarQuotedString(text) => Ok(Some(Secret(text.value))),
                _ => Ok(None),
            }
        }
        // What stands there may be a password that is not quoted.
        _ => Err(SqlError::new(SqlError::SYNTAX, "expected a password as a string, or NULL").at(cursor.position())),
    }
}

/// A number of connections; `None` for -1.
fn limit(cursor: &mut Cursor<'_>) -> Result<Option<u32>, SqlError> {
    let expected = "-1, or how many connections the user may have";
    let is_none = cursor.symbol(&Token::Minus);
    let position = cursor.position();
    let number = cursor.count(expected)?;
    match (is_none, u32::try_from(number)) {
        (true, Ok(1)) => Ok(None),
        (false, Ok(number)) => Ok(Some(number)),
        _ => {
            Err(SqlError::new(SqlError::INVALID_PARAMETER, format!("CONNECTION LIMIT: expected {expected}"))
                .at(position))
        }
    }
}
