//! Errors as clients are told of them.

use crate::wire::backend::Report;
use eddyline_engine::{SqlError, TextPosition};

pub(crate) const ERROR: &str = "ERROR";
pub(crate) const FATAL: &str = "FATAL";
pub(crate) const WARNING: &str = "WARNING";
pub(crate) const NOTICE: &str = "NOTICE";

/// An error of a statement that stands in `text`, from byte `begin` on; its position counts from there.
pub(crate) fn error(error: &SqlError, text: &str, begin: usize) -> Report {
    Report {
        severity: ERROR,
        code: error.sqlstate,
        message: error.message.clone(),
        detail: error.detail.clone(),
        hint: error.hint.clone(),
        position: error.position.and_then(|at| character(text, begin, at)),
        constraint: error.constraint.as_deref().cloned(),
    }
}

/// An error without a place.
pub(crate) fn plain(severity: &'static str, code: &'static str, message: impl Into<String>) -> Report {
    Report { severity, code, message: message.into(), ..Report::default() }
}

/// Which character of `text` a place behind byte `begin` is, from 1.
fn character(text: &str, begin: usize, at: TextPosition) -> Option<usize> {
    let before = text.get(..begin)?.chars().count();
    let rest = &text[begin..];
    let lines = rest.split_inclusive('\n').take(at.line.checked_sub(1)?).map(|line| line.chars().count());
    Some(before + lines.sum::<usize>() + at.column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_characters_of_the_whole_text() {
        let text = "SELECT 'ß'; SELECT\n  x";
        let at = |line, column| character(text, 13, TextPosition { line, column });
        assert_eq!(at(1, 1), Some(13));
        assert_eq!(at(2, 3), Some(22));
    }
}
