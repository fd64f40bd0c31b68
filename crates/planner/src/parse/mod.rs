//! SQL text to statements.
//!
//! Statements are read by hand ([`Cursor`](cursor::Cursor) over sqlparser's tokens); queries and expressions by
//! sqlparser with a dialect of our own, types by hand. What several spellings say is brought into one form, so that
//! the binder sees fewer shapes than the user may write:
//!
//! | written | in the tree |
//! |---|---|
//! | `TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' HOUR))`, `TUMBLE(…)` without TABLE( ), named arguments | `TableFactor::TableFunction { expr: Function }`, the function one of `TUMBLE`, `HOP`, `CUMULATE`, `SESSION`, its arguments positional: TUMBLE(data, timecol, size [, offset]), HOP(data, timecol, slide, size [, offset]), CUMULATE(data, timecol, step, size [, offset]), SESSION(data, timecol, gap) |
//! | `TABLE t [PARTITION BY a, b]` as an argument | function `__table(t [, a, b])` |
//! | `DESCRIPTOR(ts)` | function `descriptor(ts)` |
//! | `TUMBLE(t, ts, …)`, names by themselves | the same as `TUMBLE(TABLE t, DESCRIPTOR(ts), …)` |
//! | `TIMESTAMPDIFF(SECOND, a, b)`, `TIMESTAMPADD(DAY, n, ts)` | first argument the string `'SECOND'`, `'DAY'` |
//! | `CEIL(x TO DAY)`, `FLOOR(x TO DAY)` | functions `ceil_to('DAY', x)`, `floor_to('DAY', x)` |
//! | `INTERVAL '1 02:03:04' DAY TO SECOND`, `INTERVAL '1-2' YEAR TO MONTH` | an interval without unit whose text names them: `'1 days 2 hours 3 minutes 4 seconds'` |
//! | `INTERVAL '2' QUARTER` | `INTERVAL '6' MONTH` |
//! | `MAP['a', 1, 'b', 2]` | function `map(ARRAY['a', 'b'], ARRAY[1, 2])` |
//! | `ROW(1, 'a')`, `ARRAY[1, 2]` | function `ROW`; `Expr::Array` |
//! | `CAST(x AS VARCHAR(3))`, `CAST(x AS CHAR(3))` | `left(CAST(x AS STRING), 3)`, `rpad(CAST(x AS STRING), 3)` |
//! | `CAST(x AS ROW<…>)` and other types | a data type that [`arrow_type`] understands |
//! | `JSON_VALUE(j, p RETURNING t NULL ON EMPTY NULL ON ERROR)` | `TRY_CAST(JSON_VALUE(j, p) AS t)` |
//! | `TIMESTAMP '2020-01-01 00:00:00.123'`, `TIME '…'` | the type has the precision of the text: `TIMESTAMP(3)` |
//! | `1e3` | `CAST('1e3' AS DOUBLE)` |
//! | `default_catalog.default_database.t` | `public.t` |
//!
//! Not here: what names stand for.

mod alter;
mod clocks;
mod columns;
mod cursor;
mod ddl;
mod depth;
mod dialect;
mod dml;
mod hints;
mod index;
mod interval;
mod jobs;
mod json;
mod literals;
#[cfg(test)]
mod mutation_tests;
#[cfg(test)]
mod nesting_tests;
mod normalise;
mod outside;
mod patterns;
mod quotes;
mod refuse;
mod schemas;
mod script;
mod session;
mod split;
mod statements;
mod syntax_error;
#[cfg(test)]
mod tests;
mod types;
mod users;
mod values;
mod windows;
mod with;

pub(crate) use hints::times_to_live;
pub use quotes::in_double_quotes;
pub use split::{Split, split};
pub(crate) use types::ast_type;
pub use types::{arrow_type, sql_type};
pub(crate) use windows::gives_lists;

use crate::SqlError;
use crate::deep::with_room;
use crate::statement::Statement;
use cursor::Cursor;
use eddyline_catalog::Dialect;
use script::{Text, unreadable};
use sqlparser::ast::Query;
use sqlparser::tokenizer::Span;

/// Parses a script of Flink's dialect: statements separated by semicolons, comments anywhere.
///
/// # Errors
/// A syntax error, or what is not supported, with its position.
pub fn parse(sql: &str) -> Result<Vec<Statement>, SqlError> {
    parse_in(sql, Dialect::Flink)
}

/// Parses a script that begins in `dialect`. Behind `SET sql.dialect = …` it goes on in the one that is set.
///
/// # Errors
/// As [`parse`].
pub fn parse_in(sql: &str, dialect: Dialect) -> Result<Vec<Statement>, SqlError> {
    let mut statements = Vec::new();
    let mut next = part(sql, dialect, &mut statements)?;
    while let Some((from, dialect)) = next {
        // Space stands where the statements before were, so that places count from the beginning.
        let blank: String = sql[..from].chars().map(|c| if c == '\n' { c } else { ' ' }).collect();
        let rest = format!("{blank}{}", &sql[from..]);
        let skipped = blank.len();
        next = part(&rest, dialect, &mut statements)?.map(|(at, dialect)| (from + at - skipped, dialect));
    }
    Ok(statements)
}

/// Parses the statements that are of one dialect. Where another begins: the byte behind the statement that says so, and which it is.
fn part(sql: &str, dialect: Dialect, statements: &mut Vec<Statement>) -> Result<Option<(usize, Dialect)>, SqlError> {
    let (written, unread) = Text::read_as_far(sql, dialect);
    let lower = (dialect == Dialect::Postgres).then(|| written.folded());
    let folded = lower.as_deref().map(|lower| Text::read_as_far(lower, dialect).0);
    let text = folded.as_ref().unwrap_or(&written);
    // What cannot be read to its end may be missing where a statement ends.
    let whole = |e: SqlError| unread.as_ref().map_or(e, unreadable);
    with_room(|| {
        for tokens in text.statements().map_err(whole)? {
            let mut statement = statements::statement(&mut Cursor::new(text, tokens)?).map_err(whole)?;
            if folded.is_some() {
                written.bytes_from(statement.position, statement.sql.len()).clone_into(&mut statement.sql);
            }
            let behind = statement.kind.dialect_behind(dialect);
            statements.push(statement);
            if behind != dialect {
                let end = tokens.last().map_or(0, |token| text.byte(token.span.end));
                return Ok(Some((end, behind)));
            }
        }
        unread.as_ref().map_or(Ok(None), |error| Err(unreadable(error)))
    })
}

/// Parses one query, such as the text of a view.
///
/// # Errors
/// A syntax error, or what is not supported, with its position in `sql`.
pub fn parse_query(sql: &str, dialect: Dialect) -> Result<Box<Query>, SqlError> {
    whole(sql, dialect, |c| c.query())
}

/// A text with others in some places, which are in its order.
///
/// # Errors
/// None for a text that was parsed.
pub(crate) fn replaced(sql: &str, dialect: Dialect, places: &[(Span, String)]) -> Result<String, SqlError> {
    let text = Text::read(sql, dialect)?;
    let (mut out, mut from) = (String::with_capacity(sql.len()), 0);
    for (span, new) in places {
        out.push_str(sql.get(from..text.byte(span.start)).unwrap_or_default());
        out.push_str(new);
        from = text.byte(span.end);
    }
    out.push_str(sql.get(from..).unwrap_or_default());
    Ok(out)
}

fn whole<T>(
    sql: &str,
    dialect: Dialect,
    read: impl FnOnce(&mut Cursor<'_>) -> Result<T, SqlError>,
) -> Result<T, SqlError> {
    let lower;
    let mut text = Text::read(sql, dialect)?;
    if dialect == Dialect::Postgres {
        lower = text.folded();
        text = Text::read(&lower, dialect)?;
    }
    with_room(|| {
        let mut cursor = Cursor::new(&text, text.tokens())?;
        let found = read(&mut cursor)?;
        cursor.expect_end()?;
        Ok(found)
    })
}
