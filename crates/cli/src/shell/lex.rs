//! SQL text in pieces, for colours and completion: any text has them, whole or half typed. Where statements end is
//! [`eddyline_engine::split`]'s to say.

use super::words::is_keyword;
use eddyline_engine::Dialect;
use std::ops::Range;

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `SELECT`
    Keyword,
    /// A name, or a function's.
    Word,
    /// `` `name` ``, `"name"`
    Quoted,
    /// `'text'`, `$$text$$`
    String,
    /// `1.5`
    Number,
    /// `-- …`, `/* … */`
    Comment,
    /// Any other character.
    Symbol,
}

/// A piece of text; space between pieces is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) kind: Kind,
    pub(crate) bytes: Range<usize>,
    /// Does it go on behind the end of the text?
    pub(crate) open: bool,
}

/// The pieces of a text in a dialect, in order.
pub(crate) fn pieces(text: &str, dialect: Dialect) -> Vec<Piece> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let (kind, length, open) = piece(&text[at..], c, dialect);
        found.push(Piece { kind, bytes: at..at + length, open });
        at += length;
    }
    found
}

/// What begins here: kind, bytes, and whether its end is missing.
fn piece(rest: &str, first: char, dialect: Dialect) -> (Kind, usize, bool) {
    let closed_by = |kind: Kind, begin: usize, end: &str| match rest[begin..].find(end) {
        Some(at) => (kind, begin + at + end.len(), false),
        None => (kind, rest.len(), true),
    };
    match first {
        '\'' => closed_by(Kind::String, 1, "'"),
        '`' => closed_by(Kind::Quoted, 1, "`"),
        '"' => closed_by(Kind::Quoted, 1, "\""),
        '-' if rest.starts_with("--") => (Kind::Comment, rest.find('\n').unwrap_or(rest.len()), false),
        '/' if rest.starts_with("/*") && dialect == Dialect::Postgres => {
            let length = nested_comment(rest);
            (Kind::Comment, length.unwrap_or(rest.len()), length.is_none())
        }
        '/' if rest.starts_with("/*") => closed_by(Kind::Comment, 2, "*/"),
        '$' => match dollar_tag(rest) {
            Some(tag) => closed_by(Kind::String, tag.len(), tag),
            None => (Kind::Symbol, 1, false),
        },
        c if c.is_alphabetic() || c == '_' => {
            let length = length_while(rest, |c| c.is_alphanumeric() || c == '_' || c == '$');
            let kind = if is_keyword(&rest[..length]) { Kind::Keyword } else { Kind::Word };
            (kind, length, false)
        }
        c if c.is_ascii_digit() => (Kind::Number, length_while(rest, |c| c.is_ascii_alphanumeric() || c == '.'), false),
        c => (Kind::Symbol, c.len_utf8(), false),
    }
}

/// The bytes of a comment that may hold others; `None`: its end is missing.
fn nested_comment(text: &str) -> Option<usize> {
    let (mut open, mut at) = (1, 2);
    while open > 0 {
        let end = at + text[at..].find("*/")?;
        let inner = text[at..end].find("/*").map(|begin| at + begin);
        (open, at) = inner.map_or((open - 1, end + 2), |begin| (open + 1, begin + 2));
    }
    Some(at)
}

/// `$$` or `$tag$`.
fn dollar_tag(rest: &str) -> Option<&str> {
    let tag = length_while(&rest[1..], |c| c.is_alphanumeric() || c == '_');
    rest[1 + tag..].starts_with('$').then(|| &rest[..tag + 2])
}

fn length_while(text: &str, fits: impl Fn(char) -> bool) -> usize {
    text.find(|c| !fits(c)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<(Kind, &str)> {
        pieces(text, Dialect::Flink).into_iter().map(|p| (p.kind, &text[p.bytes])).collect()
    }

    #[test]
    fn each_piece_has_its_kind() {
        use Kind::{Comment, Keyword, Number, Quoted, String, Symbol, Word};
        let want = [
            (Keyword, "select"),
            (Word, "a"),
            (Symbol, "."),
            (Quoted, "`b c`"),
            (Symbol, ","),
            (Number, "1.5e3"),
            (Symbol, "+"),
            (String, "'x;'"),
            (Comment, "-- it's"),
            (Keyword, "FROM"),
            (Word, "größe"),
            (Comment, "/* ; */"),
            (String, "$$ ' $$"),
            (String, "$q$ $$ $q$"),
        ];
        assert_eq!(of("select a.`b c`, 1.5e3 + 'x;' -- it's\nFROM größe /* ; */ $$ ' $$ $q$ $$ $q$"), want);
    }

    #[test]
    fn what_has_no_end_is_open() {
        for (text, open) in
            [("'a", true), ("a 'b' ", false), ("`a", true), ("/* a", true), ("-- a", false), ("$$a", true)]
        {
            assert_eq!(pieces(text, Dialect::Flink).last().is_some_and(|p| p.open), open, "{text}");
        }
        let nested = pieces("/* a /* b */ c */ d", Dialect::Postgres);
        assert_eq!((nested.len(), nested[0].bytes.end, nested[0].open), (2, 17, false));
        assert!(pieces("/* a /* b */ c", Dialect::Postgres)[0].open);
        // Two strings next to each other are one with a quote in it: for colours that is the same.
        assert_eq!(of("'it''s'").len(), 2);
    }
}
