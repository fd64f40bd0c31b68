//! Colours of what is typed. They change no widths: only escape sequences come in.

use super::lex::{Kind, Piece, pieces};
use eddyline_engine::Dialect;

const OFF: &str = "\x1b[0m";
const MATCHING: &str = "\x1b[7m";
const COMMAND: &str = "\x1b[35m";

/// A line of a dialect in colours, behind the lines `before` it. The bracket at `cursor` and its partner are marked.
pub(crate) fn coloured(before: &str, line: &str, dialect: Dialect, cursor: Option<usize>) -> String {
    if before.trim().is_empty() && line.trim_start().starts_with('\\') {
        return format!("{COMMAND}{line}{OFF}");
    }
    let text = format!("{before}{line}");
    let pieces = pieces(&text, dialect);
    let marked = cursor.and_then(|at| brackets(&text, &pieces, before.len() + at)).unwrap_or_default();
    let mut out = String::with_capacity(line.len() * 2);
    let mut at = before.len();
    for piece in pieces.iter().filter(|piece| piece.bytes.end > before.len()) {
        let begin = piece.bytes.start.max(at);
        out.push_str(&text[at..begin]);
        let said = &text[begin..piece.bytes.end];
        let colour = if marked.contains(&piece.bytes.start) { Some(MATCHING) } else { colour(piece.kind) };
        match colour {
            Some(colour) => out.extend([colour, said, OFF]),
            None => out.push_str(said),
        }
        at = piece.bytes.end;
    }
    out.push_str(&text[at..]);
    out
}

fn colour(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Keyword => Some("\x1b[1;34m"),
        Kind::String => Some("\x1b[32m"),
        Kind::Quoted => Some("\x1b[33m"),
        Kind::Number => Some("\x1b[36m"),
        Kind::Comment => Some("\x1b[2m"),
        Kind::Word | Kind::Symbol => None,
    }
}

/// Where the bracket under the cursor or before it stands, and its partner.
fn brackets(text: &str, pieces: &[Piece], cursor: usize) -> Option<Vec<usize>> {
    let symbol =
        |piece: &Piece| if piece.kind == Kind::Symbol { text[piece.bytes.clone()].chars().next() } else { None };
    let is_bracket = |piece: &Piece| matches!(symbol(piece), Some('(' | ')' | '[' | ']'));
    let at_cursor = |piece: &&Piece| piece.bytes.start == cursor || piece.bytes.end == cursor;
    let (place, bracket) = pieces.iter().enumerate().filter(|(_, p)| is_bracket(p)).find(|(_, p)| at_cursor(p))?;
    let opens = matches!(symbol(bracket)?, '(' | '[');
    let rest: Vec<&Piece> =
        if opens { pieces[place..].iter().collect() } else { pieces[..=place].iter().rev().collect() };
    let mut depth = 0_i32;
    for piece in rest {
        match symbol(piece) {
            Some('(' | '[') => depth += 1,
            Some(')' | ']') => depth -= 1,
            _ => continue,
        }
        if depth == 0 {
            return Some(vec![bracket.bytes.start, piece.bytes.start]);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        text.replace("\x1b[1;34m", "<k>")
            .replace("\x1b[32m", "<s>")
            .replace("\x1b[36m", "<n>")
            .replace("\x1b[2m", "<c>")
            .replace("\x1b[35m", "<\\>")
            .replace("\x1b[7m", "<m>")
            .replace("\x1b[0m", "</>")
    }

    #[test]
    fn pieces_have_colours() {
        assert_eq!(
            plain(&coloured("", "SELECT a, 1 -- x", Dialect::Flink, None)),
            "<k>SELECT</> a, <n>1</> <c>-- x</>"
        );
        assert_eq!(plain(&coloured("", "\\d orders", Dialect::Flink, None)), "<\\>\\d orders</>");
    }

    #[test]
    fn what_began_on_an_earlier_line_goes_on() {
        assert_eq!(plain(&coloured("SELECT 'a\n", "b' FROM t", Dialect::Flink, None)), "<s>b'</> <k>FROM</> t");
        assert_eq!(plain(&coloured("SELECT 1,\n", "\\", Dialect::Flink, None)), "\\");
    }

    #[test]
    fn the_partner_of_a_bracket_is_marked() {
        assert_eq!(plain(&coloured("", "f(a, (b))", Dialect::Flink, Some(9))), "f<m>(</>a, (b)<m>)</>");
        assert_eq!(plain(&coloured("", "f(a, ')')", Dialect::Flink, Some(1))), "f<m>(</>a, <s>')'</><m>)</>");
        assert_eq!(plain(&coloured("", "f((a)", Dialect::Flink, Some(1))), "f((a)");
    }
}
