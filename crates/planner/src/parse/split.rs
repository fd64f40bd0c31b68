//! Where the statements of a text begin and end while it is still being typed. Nothing is parsed: what is wrong with a
//! statement is found when it is carried out.

use super::parse_in;
use super::script::{Text, first_statement, is_space};
use eddyline_catalog::Dialect;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan};
use std::ops::Range;

/// The statements of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Bytes of each statement that has its semicolon, without it and without space around.
    pub statements: Vec<Range<usize>>,
    /// Where a statement, string or comment begins that has no end yet.
    pub begun: Option<usize>,
}

/// Cuts a text that begins in `dialect` at the semicolons that end statements: not those in strings, quoted names, comments and
/// statement sets. Text that SQL does not know is taken for part of a statement that has no end yet.
pub fn split(sql: &str, dialect: Dialect) -> Split {
    let mut all = Split { statements: Vec::new(), begun: None };
    let (mut from, mut dialect) = (0, dialect);
    loop {
        let (found, behind) = part(&sql[from..], dialect);
        all.statements.extend(found.statements.iter().map(|bytes| from + bytes.start..from + bytes.end));
        all.begun = found.begun.map(|at| from + at);
        let (Some(behind), Some(last)) = (behind, all.statements.last()) else { return all };
        (from, dialect) = (last.end, behind);
    }
}

/// The statements of a text up to one behind which another dialect begins, and which that is.
fn part(sql: &str, dialect: Dialect) -> (Split, Option<Dialect>) {
    let (text, error) = Text::read_as_far(sql, dialect);
    let mut statements = Vec::new();
    let mut rest = text.tokens();
    loop {
        let found = first_statement(rest);
        let Ok(Some((statement, after))) = found else {
            // A statement set without its END begins at its first word.
            let open = if found.is_err() { first_word(rest).map(|t| t.span.start) } else { None };
            let begun = open.or(error.map(|e| unread(&text, e.location)));
            return (Split { statements, begun: begun.map(|at| text.byte(at)) }, None);
        };
        let bytes = bytes(&text, statement);
        if !after.iter().any(|t| t.token == Token::SemiColon) {
            return (Split { statements, begun: Some(bytes.start) }, None);
        }
        let behind = dialect_behind(&sql[bytes.clone()], dialect);
        statements.push(bytes);
        if behind != dialect {
            return (Split { statements, begun: None }, Some(behind));
        }
        rest = after;
    }
}

/// The dialect behind a statement. Nearly all are not parsed for it.
fn dialect_behind(statement: &str, dialect: Dialect) -> Dialect {
    let sets = statement.get(..3).is_some_and(|word| word.eq_ignore_ascii_case("set"));
    if !sets || !statement.to_ascii_lowercase().contains("dialect") {
        return dialect;
    }
    let parsed = parse_in(statement, dialect);
    parsed.ok().and_then(|all| Some(all.first()?.kind.dialect_behind(dialect))).unwrap_or(dialect)
}

fn bytes(text: &Text<'_>, statement: &[TokenWithSpan]) -> Range<usize> {
    let first = statement.first().map_or(0, |t| text.byte(t.span.start));
    let last = statement.last().map_or(first, |t| text.byte(t.span.end));
    first..last
}

fn first_word(tokens: &[TokenWithSpan]) -> Option<&TokenWithSpan> {
    tokens.iter().find(|t| !is_space(t) && t.token != Token::SemiColon)
}

/// Where what cannot be read begins. Some errors stand at the end of the text, not where the trouble begins.
fn unread(text: &Text<'_>, error: Location) -> Location {
    text.tokens().last().map_or(Location { line: 1, column: 1 }, |t| t.span.end).min(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is split into: statements, then what is begun.
    fn of(sql: &str) -> (Vec<&str>, Option<&str>) {
        of_dialect(sql, Dialect::Flink)
    }

    fn of_dialect(sql: &str, dialect: Dialect) -> (Vec<&str>, Option<&str>) {
        let split = split(sql, dialect);
        (split.statements.into_iter().map(|r| &sql[r]).collect(), split.begun.map(|at| &sql[at..]))
    }

    #[test]
    fn semicolons_end_statements() {
        assert_eq!(of(""), (vec![], None));
        assert_eq!(of(" ;; \n"), (vec![], None));
        assert_eq!(of("SELECT 1"), (vec![], Some("SELECT 1")));
        assert_eq!(of(" SELECT 1 ; SELECT 2;"), (vec!["SELECT 1", "SELECT 2"], None));
        assert_eq!(of("SELECT 1; SELECT\n 2"), (vec!["SELECT 1"], Some("SELECT\n 2")));
        assert_eq!(of("SELECT 'ß';SELECT ';é'; "), (vec!["SELECT 'ß'", "SELECT ';é'"], None));
    }

    #[test]
    fn strings_names_and_comments_hide_semicolons() {
        assert_eq!(of("SELECT 'a;''b'; x"), (vec!["SELECT 'a;''b'"], Some("x")));
        assert_eq!(of("SELECT `a;b`, \"c;\";"), (vec!["SELECT `a;b`, \"c;\""], None));
        assert_eq!(of("SELECT 1 -- one; two\n;"), (vec!["SELECT 1"], None));
        assert_eq!(of("/* a; */ SELECT /* ; */ 1;"), (vec!["SELECT /* ; */ 1"], None));
        assert_eq!(of("SELECT $$a;b$$, $t$;$t$;"), (vec!["SELECT $$a;b$$, $t$;$t$"], None));
    }

    #[test]
    fn comments_nest_where_the_dialect_has_them_so() {
        let sql = "/* a /* ; */ b; */ SELECT 1; SELECT 2;";
        assert_eq!(of_dialect(sql, Dialect::Postgres), (vec!["SELECT 1", "SELECT 2"], None));
        assert_eq!(of(sql).0, ["b", "*/ SELECT 1", "SELECT 2"]);
        assert_eq!(of_dialect("/* a /* b */;", Dialect::Postgres), (vec![], Some("/* a /* b */;")));
        let sql =
            "SET sql.dialect = 'postgres'; SELECT /* /* ; */ ; */ 1; SET sql.dialect = 'flink'; SELECT /* /* ; */ 2;";
        let (found, begun) = of(sql);
        assert_eq!(
            (found.len(), found[1], found[3], begun),
            (4, "SELECT /* /* ; */ ; */ 1", "SELECT /* /* ; */ 2", None)
        );
    }

    #[test]
    fn what_has_no_end_is_begun() {
        assert_eq!(of("SELECT 1; SELECT 'a;"), (vec!["SELECT 1"], Some("SELECT 'a;")));
        assert_eq!(of("SELECT `a;"), (vec![], Some("SELECT `a;")));
        assert_eq!(of("SELECT 1;/* a;"), (vec!["SELECT 1"], Some("/* a;")));
        assert_eq!(of("SELECT $$a;"), (vec![], Some("SELECT $$a;")));
        assert_eq!(of("SELECT 1; -- a"), (vec!["SELECT 1"], None));
    }

    #[test]
    fn a_statement_set_goes_to_its_end() {
        let set = "EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT 1; INSERT INTO b SELECT 2; END";
        assert_eq!(of(&format!("{set};")), (vec![set], None));
        let open = "BEGIN STATEMENT SET; INSERT INTO a SELECT 1;";
        assert_eq!(of(&format!("SELECT 1; {open}")), (vec!["SELECT 1"], Some(open)));
    }

    #[test]
    fn lines_that_are_no_sql_begin_where_they_stand() {
        assert_eq!(of("SELECT 1;\n\\i it's.sql\n"), (vec!["SELECT 1"], Some("\\i it's.sql\n")));
        assert_eq!(of("\\d"), (vec![], Some("\\d")));
    }
}
