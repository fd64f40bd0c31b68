//! The words of a statement: what is said to the connection is told by them, without a parser.

use eddyline_engine::Dialect;
use eddyline_engine::catalog::Reference;

/// A word, a string, a quoted name or a sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// As it was written, without quotes.
    pub(super) text: String,
    /// In lower case, unless quoted.
    pub(super) name: String,
    pub(super) quoted: bool,
    /// The byte at which it begins.
    pub(super) begin: usize,
}

impl Word {
    fn quoted(text: String) -> Self {
        Self { name: text.clone(), text, quoted: true, begin: 0 }
    }

    fn plain(text: &str) -> Self {
        Self { name: text.to_ascii_lowercase(), text: text.to_owned(), quoted: false, begin: 0 }
    }
}

/// The first words of a text in a dialect, so many at most.
pub(super) fn words(text: &str, dialect: Dialect, words_max: usize) -> Vec<Word> {
    let mut found = Vec::new();
    let mut rest = text;
    while found.len() < words_max {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else { break };
        if rest.starts_with("--") {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
            continue;
        }
        if rest.starts_with("/*") {
            rest = behind_comment(rest, dialect == Dialect::Postgres);
            continue;
        }
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '$');
        let (word, length) = match first {
            '\'' | '"' | '`' => quoted(rest, first, false),
            'e' | 'E' if rest[1..].starts_with('\'') => {
                let (word, length) = quoted(&rest[1..], '\'', true);
                (word, length + 1)
            }
            '$' if let Some((word, length)) = between_dollars(rest) => (word, length),
            c if is_part(c) => {
                let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
                (Word::plain(&rest[..end]), end)
            }
            c => (Word::plain(&rest[..c.len_utf8()]), c.len_utf8()),
        };
        found.push(Word { begin: text.len() - rest.len(), ..word });
        rest = &rest[length..];
    }
    found
}

/// What follows a comment, which may hold others where they nest.
fn behind_comment(text: &str, nests: bool) -> &str {
    let (mut open, mut rest) = (1_usize, &text[2..]);
    while open > 0 {
        let Some(end) = rest.find("*/") else { return "" };
        match rest[..end].find("/*").filter(|_| nests) {
            Some(begin) => (open, rest) = (open + 1, &rest[begin + 2..]),
            None => (open, rest) = (open - 1, &rest[end + 2..]),
        }
    }
    rest
}

/// The name at the beginning, with its schema and database where they stand before it, and how many words it takes; `part` says what a word
/// is called. `None`: there is none.
pub(super) fn reference(words: &[Word], part: fn(&Word) -> &str) -> Option<(Reference, usize)> {
    let mut parts: Vec<String> = Vec::new();
    let (mut taken, mut is_open) = (0, true);
    for word in words {
        let text = part(word);
        let is_behind = !word.quoted && text.starts_with('.');
        if !is_open && !is_behind {
            break;
        }
        taken += 1;
        if word.quoted {
            parts.push(text.to_owned());
            is_open = false;
        } else {
            parts.extend(text.split('.').filter(|part| !part.is_empty()).map(str::to_owned));
            is_open = text.ends_with('.');
        }
    }
    let object = parts.pop().filter(|_| !is_open)?;
    let (schema, database) = (parts.pop(), parts.pop());
    parts.is_empty().then_some((Reference { database, schema, object }, taken))
}

/// What stands in quotes at the beginning of a text, where a doubled quote is one of it and, with `escapes`, a backslash says what
/// follows; and how long that is, quotes and all.
fn quoted(text: &str, quote: char, escapes: bool) -> (Word, usize) {
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        if c == quote {
            if characters.next_if(|(_, next)| *next == quote).is_none() {
                return (Word::quoted(value), at + c.len_utf8());
            }
            value.push(c);
        } else if c == '\\' && escapes {
            value.push(match characters.next() {
                Some((_, 'b')) => '\u{8}',
                Some((_, 'f')) => '\u{c}',
                Some((_, 'n')) => '\n',
                Some((_, 'r')) => '\r',
                Some((_, 't')) => '\t',
                Some((_, other)) => other,
                None => break,
            });
        } else {
            value.push(c);
        }
    }
    (Word::quoted(value), text.len())
}

/// What stands between dollars at the beginning of a text, `$$…$$` or `$tag$…$tag$`, and how long that is. `None`: it is something else.
fn between_dollars(text: &str) -> Option<(Word, usize)> {
    let end = text[1..].find('$')? + 2;
    let tag = &text[1..end - 1];
    let is_tag = !tag.starts_with(|c: char| c.is_ascii_digit()) && tag.chars().all(|c| c.is_alphanumeric() || c == '_');
    if !is_tag {
        return None;
    }
    let value = &text[end..];
    let length = value.find(&text[..end]).unwrap_or(value.len());
    Some((Word::quoted(value[..length].to_owned()), (end + length + end).min(text.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_left_out() {
        assert_eq!(texts("/* a /* b */ c */ d -- e\n f /**/ g /* /* */ h"), ["d", "f", "g"]);
        let flink = words("/* a /* b */ c /*/ d */ e", Dialect::Flink, 100);
        assert_eq!(flink.into_iter().map(|word| word.text).collect::<Vec<_>>(), ["c", "e"]);
    }

    fn texts(text: &str) -> Vec<String> {
        words(text, Dialect::Postgres, 100).into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn names_have_parts() {
        let of = |text: &str| {
            let (found, taken) = reference(&words(text, Dialect::Postgres, 100), |word| &word.name)?;
            Some((found.to_string(), taken))
        };
        for (text, name, taken) in [
            ("T (a)", "t", 1),
            ("public.T FROM", "public.t", 1),
            ("S . \"T\" x", "s.T", 3),
            ("\"S.x\".t", "S.x.t", 2),
            ("dev.\"S\".t full", "dev.S.t", 3),
            ("\"T\" \"U\"", "T", 1),
        ] {
            assert_eq!(of(text), Some((name.to_owned(), taken)), "{text}");
        }
        for text in ["", "s.", "a.b.c.d"] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn a_string_is_one_word_whatever_is_in_it() {
        assert_eq!(texts("SET x = 'it''s'"), ["SET", "x", "=", "it's"]);
        assert_eq!(texts("''''"), ["'"]);
        assert_eq!(texts("'''utf-8'''"), ["'utf-8'"]);
        assert_eq!(texts("'', ''"), ["", ",", ""]);
        assert_eq!(texts(r#""a""b" `c``d`"#), ["a\"b", "c`d"]);
        assert_eq!(texts(r"E'\t' e'it\'s\\' 'a\'"), ["\t", "it's\\", "a\\"]);
        assert_eq!(texts("$$it's$$ $a$(,$$)$a$ $1 x$y"), ["it's", "(,$$)", "$1", "x$y"]);
        assert_eq!(texts("'no end"), ["no end"]);
        assert_eq!(texts("é -- nothing\n/* at all */ ß"), ["é", "ß"]);
    }
}
