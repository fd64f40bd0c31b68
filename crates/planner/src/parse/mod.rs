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
use script::Text;
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
    let written = Text::read(sql, Dialect::Flink)?;
    let may_fold = dialect == Dialect::Postgres || sql.to_ascii_lowercase().contains("dialect");
    let lower = may_fold.then(|| written.folded());
    let folded = lower.as_deref().map(|lower| Text::read(lower, Dialect::Postgres)).transpose()?;
    let lists = (written.statements()?, folded.as_ref().map(Text::statements).transpose()?);
    with_room(|| {
        let (mut dialect, mut statements) = (dialect, Vec::with_capacity(lists.0.len()));
        for (at, tokens) in lists.0.iter().enumerate() {
            let statement = match (dialect, &folded, &lists.1) {
                (Dialect::Postgres, Some(folded), Some(list)) => {
                    let mut statement = statements::statement(&mut Cursor::new(folded, list[at])?)?;
                    statement.sql = written.bytes_from(statement.position, statement.sql.len()).to_owned();
                    statement
                }
                _ => statements::statement(&mut Cursor::new(&written, tokens)?)?,
            };
            dialect = statement.kind.dialect_behind(dialect);
            statements.push(statement);
        }
        Ok(statements)
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
