//! What was typed, cut into statements and commands.
//!
//! A command stands where a statement could begin, starts with `\` and goes to the end of its line. A few words alone mean
//! commands too, as in other shells: `help`, `quit`, `exit`, `clear`.

use eddyline_engine::{Dialect, TextPosition, split};

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    /// A statement, without its semicolon, and the byte at which it begins.
    Statement { text: &'a str, begin: usize },
    /// A command with its arguments, without line break.
    Command(&'a str),
}

/// A text, cut up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Items<'a> {
    /// What is whole.
    pub(crate) whole: Vec<Item<'a>>,
    /// The byte at which something begins that has no end yet.
    pub(crate) begun: Option<usize>,
}

/// Cuts up a text that begins in a dialect.
pub(crate) fn items(text: &str, dialect: Dialect) -> Items<'_> {
    let mut whole = Vec::new();
    let mut from = 0;
    loop {
        let split = split(&text[from..], dialect);
        let statements = split.statements.into_iter().map(|bytes| (from + bytes.start, Some(from + bytes.end)));
        let begun = split.begun.map(|at| (from + at, None));
        let mut next = None;
        for (begin, end) in statements.chain(begun) {
            if text[begin..].starts_with('\\') {
                // What follows a command is read anew: it need not be SQL.
                let line = text[begin..].lines().next().unwrap_or_default();
                whole.push(Item::Command(line.trim_end()));
                next = Some(begin + line.len());
                break;
            }
            let said = &text[begin..end.unwrap_or(text.len())];
            match (command_word(said), end) {
                (Some(command), _) => whole.push(Item::Command(command)),
                (None, Some(_)) => whole.push(Item::Statement { text: said, begin }),
                (None, None) => return Items { whole, begun: Some(begin) },
            }
        }
        match next {
            Some(next) => from = next,
            None => return Items { whole, begun: None },
        }
    }
}

fn command_word(said: &str) -> Option<&'static str> {
    let words = [("help", "\\?"), ("quit", "\\q"), ("exit", "\\q"), ("clear", "\\clear")];
    words.into_iter().find(|(word, _)| said.trim().eq_ignore_ascii_case(word)).map(|(_, command)| command)
}

/// Line and column of a byte.
pub(crate) fn position_of(text: &str, byte: usize) -> TextPosition {
    let before = &text[..byte];
    let line_begin = before.rfind('\n').map_or(0, |at| at + 1);
    TextPosition { line: before.matches('\n').count() + 1, column: before[line_begin..].chars().count() + 1 }
}

/// A place in a statement that begins at `begin`, as a place in the text around.
pub(crate) fn within(begin: TextPosition, at: TextPosition) -> TextPosition {
    let column = if at.line == 1 { begin.column + at.column - 1 } else { at.column };
    TextPosition { line: begin.line + at.line - 1, column }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> (Vec<&str>, Option<&str>) {
        let Items { whole, begun } = items(text, Dialect::Flink);
        let said = whole.into_iter().map(|item| match item {
            Item::Statement { text, .. } | Item::Command(text) => text,
        });
        (said.collect(), begun.map(|at| &text[at..]))
    }

    #[test]
    fn commands_go_to_the_end_of_their_line() {
        assert_eq!(of("\\d t"), (vec!["\\d t"], None));
        assert_eq!(
            of("SELECT 1;\n\\i it's.sql \r\nSELECT 'a';"),
            (vec!["SELECT 1", "\\i it's.sql", "SELECT 'a'"], None)
        );
        assert_eq!(of("SELECT 1; \\x\n\\x\nSELECT"), (vec!["SELECT 1", "\\x", "\\x"], Some("SELECT")));
        assert_eq!(of("-- first\n\\d"), (vec!["\\d"], None));
        assert_eq!(of("\\d a;\nSELECT 1;"), (vec!["\\d a;", "SELECT 1"], None));
    }

    #[test]
    fn a_backslash_inside_a_statement_is_no_command() {
        assert_eq!(of("SELECT '\n\\d\n';"), (vec!["SELECT '\n\\d\n'"], None));
    }

    #[test]
    fn words_of_other_shells() {
        assert_eq!(of("help"), (vec!["\\?"], None));
        assert_eq!(of("QUIT;"), (vec!["\\q"], None));
        assert_eq!(of("SELECT 1; exit"), (vec!["SELECT 1", "\\q"], None));
        assert_eq!(of("help me"), (vec![], Some("help me")));
    }

    #[test]
    fn places_count_from_the_text_around() {
        let text = "SELECT 1;\nSELECT 'ß'; SELECT\n x;";
        let Items { whole, .. } = items(text, Dialect::Flink);
        let Some(Item::Statement { begin, .. }) = whole.get(2) else { panic!("three statements") };
        let begin = position_of(text, *begin);
        assert_eq!(begin, TextPosition { line: 2, column: 13 });
        assert_eq!(within(begin, TextPosition { line: 1, column: 3 }), TextPosition { line: 2, column: 15 });
        assert_eq!(within(begin, TextPosition { line: 2, column: 2 }), TextPosition { line: 3, column: 2 });
    }
}
