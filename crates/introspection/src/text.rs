//! How arrays and rows are spelled.

use crate::Error;

/// `{1,NULL,"a b"}` of texts.
pub(crate) fn list(items: impl Iterator<Item = Option<String>>) -> String {
    let item = |item: Option<String>| match item {
        None => "NULL".to_owned(),
        Some(text) => {
            let special = |c: char| matches!(c, '{' | '}' | ',' | '"' | '\\') || c.is_ascii_whitespace();
            match text.is_empty() || text.contains(special) || text.eq_ignore_ascii_case("null") {
                true => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
                false => text,
            }
        }
    };
    format!("{{{}}}", items.map(item).collect::<Vec<_>>().join(","))
}

/// `(1,,"a b")` of texts.
pub(crate) fn record(fields: impl Iterator<Item = Option<String>>) -> String {
    let field = |field: Option<String>| {
        let special = |c: char| matches!(c, '(' | ')' | ',' | '"' | '\\') || c.is_ascii_whitespace();
        match field {
            None => String::new(),
            Some(text) if text.is_empty() || text.contains(special) => {
                format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\"\""))
            }
            Some(text) => text,
        }
    };
    format!("({})", fields.map(field).collect::<Vec<_>>().join(","))
}

/// The items of `{…}`, as texts; `None` is NULL.
///
/// # Errors
/// Text that is no array of one dimension.
pub fn items(text: &str) -> Result<Vec<Option<String>>, Error> {
    let wrong = || Error::new("22P02", format!("malformed array literal: \"{text}\""));
    let inner = text.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).ok_or_else(wrong)?;
    let (mut found, mut chars) = (Vec::new(), inner.chars().peekable());
    if inner.trim().is_empty() {
        return Ok(found);
    }
    loop {
        let (mut item, mut quoted) = (String::new(), false);
        while chars.next_if(char::is_ascii_whitespace).is_some() {}
        if chars.next_if_eq(&'"').is_some() {
            quoted = true;
            loop {
                match chars.next().ok_or_else(wrong)? {
                    '"' => break,
                    '\\' => item.push(chars.next().ok_or_else(wrong)?),
                    c => item.push(c),
                }
            }
            while chars.next_if(char::is_ascii_whitespace).is_some() {}
        } else {
            while let Some(c) = chars.next_if(|c| *c != ',') {
                match c {
                    '{' | '}' | '"' => return Err(wrong()),
                    '\\' => item.push(chars.next().ok_or_else(wrong)?),
                    c => item.push(c),
                }
            }
            item.truncate(item.trim_end().len());
            if item.is_empty() {
                return Err(wrong());
            }
        }
        let is_null = !quoted && item.eq_ignore_ascii_case("null");
        found.push((!is_null).then_some(item));
        match chars.next() {
            None => return Ok(found),
            Some(',') => {}
            Some(_) => return Err(wrong()),
        }
    }
}
