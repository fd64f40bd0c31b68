//! Values inside JSON texts, found without building a tree: a text is checked once, then scanned along a path.
//!
//! Paths are the part of SQL/JSON paths that names places: `$`, `.name`, `['name']`, `[n]`, `[*]`, `.*`, after an
//! optional `lax` or `strict`. A place that is not there gives nothing.

use datafusion_common::{Result, exec_err};
use serde::de::IgnoredAny;

/// A compiled path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JsonPath {
    steps: Vec<Step>,
    /// A place that is not there is an error.
    pub(super) strict: bool,
    /// May name several places.
    pub(super) many: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Member(String),
    Element(usize),
    AllElements,
    AllMembers,
}

impl JsonPath {
    /// Compiles a path.
    pub(super) fn compile(path: &str) -> Result<Self> {
        let text = path.trim();
        let strict = text.starts_with("strict ");
        let text = ["lax ", "strict "].iter().find_map(|mode| text.strip_prefix(mode)).unwrap_or(text).trim_start();
        let mut steps = Vec::new();
        let mut rest = match text.strip_prefix('$') {
            Some(rest) => rest,
            None => return exec_err!("JSON path '{path}' does not begin with $"),
        };
        while !rest.is_empty() {
            match Step::read(rest) {
                Some((step, after)) => {
                    steps.push(step);
                    rest = after;
                }
                None => {
                    return exec_err!(
                        "JSON path '{path}' is not supported at '{rest}'; supported are .name, ['name'], [n], [*], .*"
                    );
                }
            }
        }
        let many = steps.iter().any(|step| matches!(step, Step::AllElements | Step::AllMembers));
        Ok(Self { steps, strict, many })
    }

    /// The texts of all values that the path names in a valid JSON text.
    pub(super) fn find<'a, 'f>(&self, json: &'a str, found: &'f mut Found<'a>) -> &'f [&'a str] {
        found.now.clear();
        found.now.push(json.trim_matches(BLANKS));
        for step in &self.steps {
            found.next.clear();
            for value in &found.now {
                step.apply(value, &mut found.next);
            }
            std::mem::swap(&mut found.now, &mut found.next);
        }
        &found.now
    }
}

/// Memory for the values found, to be used again for the next row.
#[derive(Debug, Default)]
pub(super) struct Found<'a> {
    now: Vec<&'a str>,
    next: Vec<&'a str>,
}

impl Step {
    fn read(text: &str) -> Option<(Step, &str)> {
        if let Some(rest) = text.strip_prefix(".*") {
            return Some((Step::AllMembers, rest));
        }
        if let Some(rest) = text.strip_prefix("[*]") {
            return Some((Step::AllElements, rest));
        }
        if let Some(rest) = text.strip_prefix('.') {
            if let Some(quoted) = rest.strip_prefix('"') {
                let (name, rest) = quoted.split_once('"')?;
                return Some((Step::Member(name.to_owned()), rest));
            }
            if rest.starts_with('[') {
                return Step::read(rest);
            }
            let end = rest.find(['.', '[', ' ']).unwrap_or(rest.len());
            let (name, rest) = rest.split_at(end);
            let plain = !name.is_empty() && !name.contains(['(', ')', '*', '?', '@', '\'', '"']);
            return plain.then(|| (Step::Member(name.to_owned()), rest));
        }
        let inside = text.strip_prefix('[')?;
        for quote in ['\'', '"'] {
            if let Some(quoted) = inside.strip_prefix(quote) {
                let (name, rest) = quoted.split_once(quote)?;
                return Some((Step::Member(name.to_owned()), rest.strip_prefix(']')?));
            }
        }
        let (number, rest) = inside.split_once(']')?;
        Some((Step::Element(number.trim().parse().ok()?), rest))
    }

    fn apply<'a>(&self, value: &'a str, found: &mut Vec<&'a str>) {
        match self {
            // Of equal names the last counts.
            Step::Member(name) => {
                let mut last = None;
                for_each(value, '{', |key, value| {
                    if is_key(key, name) {
                        last = Some(value);
                    }
                });
                found.extend(last);
            }
            Step::Element(wanted) => {
                let mut at = 0;
                for_each(value, '[', |_, value| {
                    if at == *wanted {
                        found.push(value);
                    }
                    at += 1;
                });
            }
            Step::AllElements => for_each(value, '[', |_, value| found.push(value)),
            Step::AllMembers => for_each(value, '{', |_, value| found.push(value)),
        }
    }
}

const BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];

/// True when a text is one JSON value.
pub(super) fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// The text of a scalar value, a string without quotes; `None` for JSON's null, objects and arrays.
pub(super) fn scalar(value: &str) -> Option<std::borrow::Cow<'_, str>> {
    match value.as_bytes().first()? {
        b'{' | b'[' | b'n' => None,
        b'"' if value.contains('\\') => serde_json::from_str::<String>(value).ok().map(Into::into),
        b'"' => value.get(1..value.len() - 1).map(Into::into),
        _ => Some(value.into()),
    }
}

/// What is directly in a value of a valid JSON text: at a key of an object, or at a number of an array, from its end if it is negative.
pub(super) fn child<'a>(value: &'a str, key: &str) -> Option<&'a str> {
    let mut found = None;
    if value.starts_with('[') {
        let wanted: i64 = key.parse().ok()?;
        let mut length = 0;
        if wanted < 0 {
            for_each(value, '[', |_, _| length += 1);
        }
        let mut at = 0;
        for_each(value, '[', |_, item| {
            if at == wanted + length {
                found = Some(item);
            }
            at += 1;
        });
    } else {
        // Of equal keys the last counts.
        for_each(value, '{', |name, member| {
            if is_key(name, key) {
                found = Some(member);
            }
        });
    }
    found
}

/// True when a key, with its quotes, is `name`.
fn is_key(key: &str, name: &str) -> bool {
    match key.contains('\\') {
        true => serde_json::from_str::<String>(key).is_ok_and(|key| key == name),
        false => key.get(1..key.len() - 1) == Some(name),
    }
}

/// Calls `item` with the key (empty in arrays) and the value of everything directly in an object (`{`) or array (`[`);
/// not at all if the value is something else. The text is valid JSON, so ends are found by brackets and quotes alone.
fn for_each<'a>(value: &'a str, open: char, mut item: impl FnMut(&'a str, &'a str)) {
    let Some(rest) = value.strip_prefix(open) else { return };
    let bytes = value.as_bytes();
    let mut at = value.len() - rest.len();
    let skip = |mut at: usize, also: u8| {
        while at < bytes.len() && (bytes[at].is_ascii_whitespace() || bytes[at] == also) {
            at += 1;
        }
        at
    };
    loop {
        at = skip(at, b',');
        if at >= bytes.len() || matches!(bytes[at], b'}' | b']') {
            return;
        }
        let mut key = "";
        if open == '{' {
            let end = value_end(bytes, at);
            key = &value[at..end];
            at = skip(end, b':');
        }
        let end = value_end(bytes, at);
        item(key, &value[at..end]);
        at = end;
    }
}

/// Where the value that begins at `at` ends.
fn value_end(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0usize;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at = string_end(bytes, at);
                if depth == 0 {
                    return at;
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return at,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    at
}

/// Behind the closing quote of the string that begins at `at`.
fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut from = at + 1;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &bytes[from..]) {
        if bytes[from + found] == b'"' {
            return from + found + 1;
        }
        from = (from + found + 2).min(bytes.len());
    }
    bytes.len()
}

/// A JSON text without blanks between its parts.
pub(super) fn compact(json: &str, out: &mut impl std::fmt::Write) -> std::fmt::Result {
    let bytes = json.as_bytes();
    let (mut start, mut at) = (0, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = string_end(bytes, at),
            b' ' | b'\t' | b'\n' | b'\r' => {
                out.write_str(&json[start..at])?;
                at += 1;
                start = at;
            }
            _ => at += 1,
        }
    }
    out.write_str(&json[start..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_a_text() {
        let json = r#" {"a": {"b": [1, {"c": "x\"]}"}, [true]]}, "d" : null, "é\n": 2.50, "a.b": "dot", "d": 7} "#;
        assert!(is_json(json));
        for (path, values) in [
            ("$.a.b[0]", vec!["1"]),
            ("lax $.a.b[1].c", vec![r#""x\"]}""#]),
            ("$.a.b[2][0]", vec!["true"]),
            ("$['a'][\"b\"][*]", vec!["1", r#"{"c": "x\"]}"}"#, "[true]"]),
            ("$.d", vec!["7"]),
            ("$.\"a.b\"", vec![r#""dot""#]),
            ("$.[\"a.b\"]", vec![r#""dot""#]),
            ("$.a.x", vec![]),
            ("$.a.b[9]", vec![]),
            ("$.d[0]", vec![]),
            ("$.a.*", vec![r#"[1, {"c": "x\"]}"}, [true]]"#]),
        ] {
            let mut found = Found::default();
            assert_eq!(JsonPath::compile(path).expect(path).find(json, &mut found), values, "{path}");
        }
        for path in ["a", "$.", "$[x]", "$..a", "$.a?(@.b)", "$['a]"] {
            assert!(JsonPath::compile(path).is_err(), "{path}");
        }
    }

    #[test]
    fn blanks_outside_of_strings_are_left_out() {
        let mut out = String::new();
        compact(r#"{ "a b" : [ 1 , "\" " ] }"#, &mut out).expect("writes");
        assert_eq!(out, r#"{"a b":[1,"\" "]}"#);
    }
}
