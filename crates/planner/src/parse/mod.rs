//! SQL text to statements.

use crate::SqlError;
use crate::statement::Statement;

/// Parses a script: statements separated by semicolons, comments anywhere.
///
/// # Errors
/// A syntax error with its position.
pub fn parse(sql: &str) -> Result<Vec<Statement>, SqlError> {
    let _ = sql;
    Err(SqlError::new(SqlError::UNSUPPORTED, "parsing is not there yet"))
}
