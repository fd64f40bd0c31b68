//! SQL text under other quotes.

use super::dialect::SqlDialect;
use eddyline_catalog::Dialect;
use sqlparser::tokenizer::{Token, Tokenizer};

/// A text whose names stand in double quotes, as Postgres has them, where they stood in back-ticks. What is no SQL stays as it is.
pub fn in_double_quotes(sql: &str) -> String {
    let dialect = SqlDialect::new(Dialect::Postgres);
    // As written, so that literals are put out as they were.
    let Ok(tokens) = Tokenizer::new(&dialect, sql).with_unescape(false).tokenize() else { return sql.to_owned() };
    let shown = tokens.into_iter().map(|token| match token {
        Token::Word(word) if word.quote_style == Some('`') => {
            format!("\"{}\"", word.value.replace("``", "`").replace('"', "\"\""))
        }
        other => other.to_string(),
    });
    shown.collect()
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
