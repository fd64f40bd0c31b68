//! `TO_CHAR(time, 'YYYY-MM-DD')` of Postgres as DATE_FORMAT, whose patterns are Java's.

use crate::SqlError;
use sqlparser::ast::{Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, Value};

/// What Postgres' patterns have, the longest first, and what says the same in Java's. The case of what is put out by letters is that of `Mon`.
const PARTS: &[(&str, &str)] = &[
    ("FMMonth", "MMMM"),
    ("FMDay", "EEEE"),
    ("HH24", "HH"),
    ("HH12", "hh"),
    ("YYYY", "yyyy"),
    ("DDD", "DDD"),
    ("Mon", "MMM"),
    ("DD", "dd"),
    ("Dy", "EEE"),
    ("HH", "hh"),
    ("MI", "mm"),
    ("MM", "MM"),
    ("MS", "SSS"),
    ("SS", "ss"),
    ("US", "SSSSSS"),
    ("YY", "yy"),
    ("AM", "a"),
    ("PM", "a"),
];

/// Makes a call of TO_CHAR with a pattern that is a literal one of DATE_FORMAT.
///
/// # Errors
/// A pattern that is no literal, or has what DATE_FORMAT cannot do.
pub(super) fn rewrite(call: &mut Function) -> Result<(), SqlError> {
    if !call.name.to_string().eq_ignore_ascii_case("to_char") {
        return Ok(());
    }
    let FunctionArguments::List(list) = &mut call.args else { return Ok(()) };
    let [_, FunctionArg::Unnamed(FunctionArgExpr::Expr(pattern))] = list.args.as_mut_slice() else { return Ok(()) };
    let refused = |message: String| {
        SqlError::new(SqlError::UNSUPPORTED, message)
            .with_hint("DATE_FORMAT(time, 'yyyy-MM-dd HH:mm:ss') takes Java's patterns")
    };
    let Expr::Value(value) = pattern else { return Err(refused("TO_CHAR with a pattern that is no literal".into())) };
    let Value::SingleQuotedString(text) = &mut value.value else {
        return Err(refused("TO_CHAR with a pattern that is no text".into()));
    };
    *text = java_pattern(text).map_err(|rest| refused(format!("TO_CHAR: '{rest}' in a pattern is not supported")))?;
    call.name = ObjectName::from(vec![Ident::with_span(sqlparser::ast::Spanned::span(&call.name), "date_format")]);
    Ok(())
}

/// The pattern as Java writes it, or from where on it cannot be told.
fn java_pattern(text: &str) -> Result<String, &str> {
    let (mut java, mut rest) = (String::new(), text);
    while let Some(first) = rest.chars().next() {
        if rest.starts_with("Month") || rest.starts_with("Day") {
            // Postgres puts blanks behind short names.
            return Err(rest);
        }
        if let Some((part, same)) = PARTS.iter().find(|(part, _)| starts_with(rest, part)) {
            java.push_str(same);
            rest = &rest[part.len()..];
        } else if let Some(quoted) = rest.strip_prefix('"') {
            let (inside, after) = quoted.split_once('"').ok_or(rest)?;
            java.push_str(&format!("'{}'", inside.replace('\'', "''")));
            rest = after;
        } else if first.is_ascii_alphabetic() {
            return Err(rest);
        } else {
            java.push_str(if first == '\'' { "''" } else { &rest[..first.len_utf8()] });
            rest = &rest[first.len_utf8()..];
        }
    }
    Ok(java)
}

/// Numbers in any case; of names the case is what is put out.
fn starts_with(text: &str, part: &str) -> bool {
    let is_name = part.chars().any(|c| c.is_ascii_lowercase());
    text.get(..part.len()).is_some_and(|found| found == part || !is_name && found.eq_ignore_ascii_case(part))
}

#[cfg(test)]
mod tests {
    use super::java_pattern;

    #[test]
    fn patterns_say_the_same() {
        for (postgres, java) in [
            ("YYYY-MM-DD HH24:MI:SS.MS", "yyyy-MM-dd HH:mm:ss.SSS"),
            ("yyyy/mm/dd", "yyyy/MM/dd"),
            ("Dy, DD Mon YY", "EEE, dd MMM yy"),
            ("FMMonth \"of\" YYYY", "MMMM 'of' yyyy"),
            ("HH12:MI AM", "hh:mm a"),
            ("\"it's\" MI'", "'it''s' mm''"),
        ] {
            assert_eq!(java_pattern(postgres).as_deref(), Ok(java), "{postgres}");
        }
        assert_eq!(java_pattern("YYYY-Q"), Err("Q"));
        assert_eq!(java_pattern("MON"), Err("MON"), "months in capital letters");
        assert_eq!(java_pattern("Month"), Err("Month"), "with blanks behind them");
        assert_eq!(java_pattern("MM \"x"), Err("\"x"));
    }
}
