//! Which words Postgres' SQL keeps to itself, and names in quotes where they need some for it. The words are those of PostgreSQL 15.

mod words;

use std::borrow::Cow;
pub use words::KEYWORDS;

/// What a key word may name without quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Anything.
    Unreserved,
    /// Anything but a function or a type.
    ColumnName,
    /// A function or a type.
    TypeOrFunctionName,
    /// Nothing.
    Reserved,
}

/// A name, in quotes where it would be folded or be another word, as `quote_ident` has it.
pub fn quoted_name(name: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    if begins && name.chars().all(is_plain) && kind(name).is_none_or(|kind| kind == Kind::Unreserved) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(format!("\"{}\"", name.replace('"', "\"\"")))
}

fn kind(word: &str) -> Option<Kind> {
    KEYWORDS.binary_search_by_key(&word, |(word, _)| word).ok().map(|at| KEYWORDS[at].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `quote_ident` of PostgreSQL 15 answers.
    #[test]
    fn names_are_quoted_as_postgres_does() {
        let bare = ["a", "_a1", "abort", "zone", "serial", "text", "name", "value", "watermark"];
        assert_eq!(bare.map(|name| quoted_name(name).into_owned()), bare);
        for name in
            ["select", "user", "varchar", "values", "left", "between", "authorization", "", "1a", "A", "a b", "ä", "a$"]
        {
            assert_eq!(quoted_name(name), format!("\"{name}\""));
        }
        assert_eq!(quoted_name("a\"b"), "\"a\"\"b\"");
    }

    #[test]
    fn words_stand_in_order() {
        assert!(KEYWORDS.is_sorted_by(|(a, _), (b, _)| a < b));
        assert_eq!(KEYWORDS.len(), 460);
    }
}
