//! Regular expressions.
//!
//! The syntax is that of the `regex` crate, which is Java's but for look-around and back-references: these are refused
//! when the pattern is compiled. A pattern is compiled once a thread, and before a match is tried the text is
//! searched for a piece that every match must contain, if the pattern shows one: most rows that do not match are
//! passed over at the speed of a substring search.

use super::call::{Cache, Call, Definition, Kind, Page, Patterns, Returns, Type, booleans, numbers, texts};
use super::parts::text_lists;
use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, Int32Type};
use datafusion_common::{Result, exec_datafusion_err, exec_err};
use memchr::memmem::Finder;
use regex::{CaptureLocations, Regex};
use std::fmt::Write;
use std::sync::Arc;

use Kind::{Int, Text};

thread_local! {
    static PATTERNS: Cache<Pattern> = Cache::default();
}

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition {
        name: "regexp_extract",
        aliases: &[],
        args: &[&[Text, Text], &[Text, Text, Int]],
        variadic: false,
        returns: Returns::Type(Type::Text),
        body: regexp_extract,
        page: Page {
            signature: "REGEXP_EXTRACT(text STRING, regex STRING [, group INT])",
            result: "STRING",
            text: "What a group of the first match matched; group 0, the default, is the whole match. NULL if an argument is NULL, nothing matches or the group took no part.",
            example: ("REGEXP_EXTRACT('foothebar', 'foo(.*?)(bar)', 2)", "bar"),
        },
    },
    Definition {
        name: "regexp_replace",
        aliases: &[],
        args: &[&[Text, Text, Text]],
        variadic: false,
        returns: Returns::Type(Type::Text),
        body: regexp_replace,
        page: Page {
            signature: "REGEXP_REPLACE(text STRING, regex STRING, replacement STRING)",
            result: "STRING",
            text: "All matches replaced; `$1` in the replacement is group 1. NULL if an argument is NULL.",
            example: ("REGEXP_REPLACE('foobar', 'oo|ar', '')", "fb"),
        },
    },
    Definition {
        name: "regexp",
        aliases: &[],
        args: &[&[Text, Text]],
        variadic: false,
        returns: Returns::Type(Type::Bool),
        body: regexp,
        page: Page {
            signature: "REGEXP(text STRING, regex STRING)",
            result: "BOOLEAN",
            text: "TRUE if some part of the text matches. NULL if an argument is NULL.",
            example: ("REGEXP('foobar', 'o+b')", "true"),
        },
    },
    Definition {
        name: "regexp_count",
        aliases: &[],
        args: &[&[Text, Text]],
        variadic: false,
        returns: Returns::Type(Type::Int),
        body: regexp_count,
        page: Page {
            signature: "REGEXP_COUNT(text STRING, regex STRING)",
            result: "INT",
            text: "The number of matches that do not overlap. NULL if an argument is NULL.",
            example: ("REGEXP_COUNT('banana', 'an')", "2"),
        },
    },
    Definition {
        name: "regexp_substr",
        aliases: &[],
        args: &[&[Text, Text]],
        variadic: false,
        returns: Returns::Type(Type::Text),
        body: regexp_substr,
        page: Page {
            signature: "REGEXP_SUBSTR(text STRING, regex STRING)",
            result: "STRING",
            text: "The first match. NULL if an argument is NULL or nothing matches.",
            example: ("REGEXP_SUBSTR('foobar', 'o+b')", "oob"),
        },
    },
    Definition {
        name: "regexp_extract_all",
        aliases: &[],
        args: &[&[Text, Text], &[Text, Text, Int]],
        variadic: false,
        returns: Returns::From(|_| Ok(DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))))),
        body: regexp_extract_all,
        page: Page {
            signature: "REGEXP_EXTRACT_ALL(text STRING, regex STRING [, group INT])",
            result: "ARRAY<STRING>",
            text: "What a group, the first by default, of every match matched; group 0 is the whole match. NULL if an argument is NULL.",
            example: ("REGEXP_EXTRACT_ALL('1-2, 3-4', '(\\d)-(\\d)', 2)", "[2, 4]"),
        },
    },
];

/// A compiled regular expression.
struct Pattern {
    regex: Regex,
    /// Finds a piece of text that every match contains.
    required: Option<Finder<'static>>,
}

impl Pattern {
    fn compile(pattern: &str) -> Result<Self> {
        let regex = Regex::new(pattern).map_err(|error| {
            exec_datafusion_err!("not a regular expression: '{pattern}': {}", error.to_string().replace('\n', " "))
        })?;
        let required = required_literal(pattern).map(|literal| Finder::new(literal.as_bytes()).into_owned());
        Ok(Self { regex, required })
    }

    /// False when there cannot be a match.
    #[inline]
    fn may_match(&self, text: &str) -> bool {
        self.required.as_ref().is_none_or(|finder| finder.find(text.as_bytes()).is_some())
    }

    fn is_match(&self, text: &str) -> bool {
        self.may_match(text) && self.regex.is_match(text)
    }
}

/// The longest run of plain characters outside of groups, which every match must contain; `None` when there is none of
/// two characters or more, or the pattern has something that this simple reading does not understand. Reading less
/// than there is costs time only, so everything unusual ends a run.
fn required_literal(pattern: &str) -> Option<&str> {
    if !pattern.is_ascii() || pattern.contains("(?") {
        return None;
    }
    let bytes = pattern.as_bytes();
    let (mut best, mut start, mut depth, mut at) = ("", 0, 0usize, 0);
    let mut close = |start: usize, end: usize| {
        if end > start && end - start > best.len() {
            best = &pattern[start..end];
        }
    };
    while at < bytes.len() {
        match bytes[at] {
            b'|' if depth == 0 => return None,
            // The character before may be missing, or there is no telling how often it is there.
            b'*' | b'?' | b'{' | b'+' => {
                if depth == 0 {
                    close(start, at.saturating_sub(1));
                }
                if bytes[at] == b'{' {
                    at += pattern[at..].find('}')?;
                }
                start = at + 1;
            }
            b'\\' | b'^' | b'$' | b'.' | b'[' | b'(' | b')' => {
                if depth == 0 {
                    close(start, at);
                }
                match bytes[at] {
                    b'\\' => at += escape_length(bytes, at)?,
                    b'[' => at += class_length(bytes, at)?,
                    b'(' => depth += 1,
                    b')' => depth = depth.checked_sub(1)?,
                    _ => {}
                }
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    if depth == 0 {
        close(start, bytes.len());
    }
    (best.len() >= 2).then_some(best)
}

/// Length, without the first byte, of an escape; `None` for those that take more than a letter.
fn escape_length(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at + 1)? {
        b'd' | b'D' | b's' | b'S' | b'w' | b'W' | b'b' | b'B' | b't' | b'n' | b'r' => Some(1),
        other if other.is_ascii_punctuation() => Some(1),
        _ => None,
    }
}

/// Length, without the first byte, of a character class; `None` for nested ones.
fn class_length(bytes: &[u8], at: usize) -> Option<usize> {
    let mut end = at + 1;
    if bytes.get(end) == Some(&b'^') {
        end += 1;
    }
    // A bracket that comes first stands for itself.
    if bytes.get(end) == Some(&b']') {
        end += 1;
    }
    loop {
        match bytes.get(end)? {
            b']' => return Some(end - at),
            b'[' | b'&' if bytes.get(end) == Some(&b'[') || bytes.get(end + 1) == Some(&b'&') => return None,
            b'\\' => end += 2,
            _ => end += 1,
        }
    }
}

fn regexp_extract(call: &Call) -> Result<ArrayRef> {
    let input = call.text(0);
    let mut patterns = Patterns::new(call.text(1), &PATTERNS, Pattern::compile);
    let group = (call.len() == 3).then(|| call.int(2));
    let constant = patterns.is_constant();
    let mut locations: Option<CaptureLocations> = None;
    texts(call.rows, |row, out| {
        let group = group.as_ref().map_or(Some(0), |group| group.at(row));
        let (Some(text), Some(group)) = (input.at(row), group) else { return Ok(false) };
        let Some(pattern) = patterns.at(row)? else { return Ok(false) };
        let Some(group) = usize::try_from(group).ok().filter(|g| *g < pattern.regex.captures_len()) else {
            return exec_err!("REGEXP_EXTRACT: '{}' has no group {group}", pattern.regex.as_str());
        };
        if !pattern.may_match(text) {
            return Ok(false);
        }
        let found = if group == 0 {
            pattern.regex.find(text).map(|found| found.as_str())
        } else {
            let locations = match &mut locations {
                Some(locations) if constant => locations,
                other => other.insert(pattern.regex.capture_locations()),
            };
            let matched = pattern.regex.captures_read(locations, text).is_some();
            matched.then(|| locations.get(group)).flatten().map(|(from, to)| &text[from..to])
        };
        Ok(found.is_some_and(|found| out.write_str(found).is_ok()))
    })
}

/// Java's replacement, in which `$1x` is group 1 and an x and `\$` a dollar, as `regex` reads it.
fn replacement(java: &str) -> String {
    let mut out = String::with_capacity(java.len());
    let mut chars = java.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('$') => out.push_str("$$"),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            '$' if chars.peek().is_some_and(char::is_ascii_digit) => {
                out.push_str("${");
                out.extend(chars.next());
                out.push('}');
            }
            '$' if chars.peek() == Some(&'{') => out.push('$'),
            '$' => out.push_str("$$"),
            other => out.push(other),
        }
    }
    out
}

fn regexp_extract_all(call: &Call) -> Result<ArrayRef> {
    let input = call.text(0);
    let mut patterns = Patterns::new(call.text(1), &PATTERNS, Pattern::compile);
    let group = (call.len() == 3).then(|| call.int(2));
    text_lists(call.rows, |row, out| {
        let group = group.as_ref().map_or(Some(1), |group| group.at(row));
        let (Some(text), Some(group)) = (input.at(row), group) else { return Ok(false) };
        let Some(pattern) = patterns.at(row)? else { return Ok(false) };
        let Some(group) = usize::try_from(group).ok().filter(|g| *g < pattern.regex.captures_len()) else {
            return exec_err!("REGEXP_EXTRACT_ALL: '{}' has no group {group}", pattern.regex.as_str());
        };
        if pattern.may_match(text) {
            pattern.regex.captures_iter(text).for_each(|found| out.append_option(found.get(group).map(|m| m.as_str())));
        }
        Ok(true)
    })
}

fn regexp_replace(call: &Call) -> Result<ArrayRef> {
    let (input, by) = (call.text(0), call.text(2));
    let mut patterns = Patterns::new(call.text(1), &PATTERNS, Pattern::compile);
    let mut prepared: Option<String> = None;
    texts(call.rows, |row, out| {
        let (Some(text), Some(by_text)) = (input.at(row), by.at(row)) else { return Ok(false) };
        let Some(pattern) = patterns.at(row)? else { return Ok(false) };
        if !pattern.may_match(text) {
            return Ok(out.write_str(text).is_ok());
        }
        if prepared.is_none() || !by.constant {
            prepared = Some(replacement(by_text));
        }
        let replaced = pattern.regex.replace_all(text, prepared.as_deref().unwrap_or_default());
        Ok(out.write_str(&replaced).is_ok())
    })
}

fn regexp(call: &Call) -> Result<ArrayRef> {
    let input = call.text(0);
    let mut patterns = Patterns::new(call.text(1), &PATTERNS, Pattern::compile);
    booleans(call.rows, |row| {
        let (Some(text), Some(pattern)) = (input.at(row), patterns.at(row)?) else { return Ok(None) };
        Ok(Some(pattern.is_match(text)))
    })
}

fn regexp_count(call: &Call) -> Result<ArrayRef> {
    let input = call.text(0);
    let mut patterns = Patterns::new(call.text(1), &PATTERNS, Pattern::compile);
    numbers::<Int32Type>(call.rows, |row| {
        let (Some(text), Some(pattern)) = (input.at(row), patterns.at(row)?) else { return Ok(None) };
        Ok(Some(if pattern.may_match(text) { pattern.regex.find_iter(text).count() as i32 } else { 0 }))
    })
}

fn regexp_substr(call: &Call) -> Result<ArrayRef> {
    let input = call.text(0);
    let mut patterns = Patterns::new(call.text(1), &PATTERNS, Pattern::compile);
    texts(call.rows, |row, out| {
        let (Some(text), Some(pattern)) = (input.at(row), patterns.at(row)?) else { return Ok(false) };
        let found = pattern.may_match(text).then(|| pattern.regex.find(text)).flatten();
        Ok(found.is_some_and(|found| out.write_str(found.as_str()).is_ok()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_literals() {
        for (pattern, literal) in [
            ("(&|^)channel_id=([^&]*)", Some("channel_id=")),
            ("abc", Some("abc")),
            ("abc?d", Some("ab")),
            ("abc{0,2}def", Some("def")),
            ("a|bcd", None),
            ("(abc)+", None),
            ("(?i)abc", None),
            (r"\d+abc\.", Some("abc")),
            (r"\x41bcd", None),
            ("[]abc]xyz", Some("xyz")),
            ("[a[bc]]xyz", None),
            ("ab+cd", Some("cd")),
        ] {
            assert_eq!(required_literal(pattern), literal, "{pattern}");
        }
    }
}
