//! SQL text under other quotes.

use super::dialect::SqlDialect;
use super::replaced;
use eddyline_catalog::Dialect;
use sqlparser::tokenizer::{Span, Token, TokenWithSpan, Tokenizer};

/// A text whose names stand in double quotes, as Postgres has them, where they stood in back-ticks. What is no SQL stays as it is.
pub fn in_double_quotes(sql: &str) -> String {
    let dialect = SqlDialect::new(Dialect::Postgres);
    let Ok(tokens) = Tokenizer::new(&dialect, sql).tokenize_with_location() else { return sql.to_owned() };
    let places: Vec<(Span, String)> = tokens.into_iter().filter_map(quoted).collect();
    replaced(sql, Dialect::Postgres, &places).unwrap_or_else(|_| sql.to_owned())
}

/// A name in back-ticks: its place, and the name in double quotes.
fn quoted(TokenWithSpan { token, span }: TokenWithSpan) -> Option<(Span, String)> {
    match token {
        Token::Word(word) if word.quote_style == Some('`') => {
            Some((span, format!("\"{}\"", word.value.replace('"', "\"\""))))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::in_double_quotes;

    #[test]
    fn names_alone_change() {
        for (given, expected) in [
            ("CREATE TABLE `T` (`a``b` INT)", "CREATE TABLE \"T\" (\"a`b\" INT)"),
            ("SELECT `a \"b\"` FROM t -- `c`\n", "SELECT \"a \"\"b\"\"\" FROM t -- `c`\n"),
            ("SELECT 'it''s `x`', \"y\", E'\\'`' /* `z` */", "SELECT 'it''s `x`', \"y\", E'\\'`' /* `z` */"),
            ("`unfinished", "`unfinished"),
        ] {
            assert_eq!(in_double_quotes(given), expected);
        }
    }
}
