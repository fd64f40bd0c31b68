//! Regular expressions, with flags as their last argument: `g` all matches, `i` whatever the case, `x` with blanks that mean nothing.
//!
//! The syntax is that of the `regex` crate: that of Postgres but for back-references and look-ahead, which are refused.

use super::super::call::{Arg, Cache, Call, Definition, Kind, Returns, Type, booleans, numbers, texts};
use super::{fail, function, texts_type};
use arrow::array::{ArrayRef, ListBuilder, StringArray, StringBuilder};
use arrow::datatypes::Int32Type;
use datafusion_common::Result;
use regex::{Captures, Regex, RegexBuilder};
use std::borrow::Cow;
use std::fmt::Write;
use std::rc::Rc;
use std::sync::Arc;

use Kind::{Int, Text};

thread_local! {
    static PATTERNS: Cache<Regex> = Cache::default();
}

/// More patterns than that are no constants of queries.
const PATTERNS_MAX: usize = 256;

const fn list(
    name: &'static str,
    body: fn(&Call) -> Result<ArrayRef>,
    page: (&'static str, &'static str, &'static str),
    example: (&'static str, &'static str),
) -> Definition {
    let returns = Returns::From(|_| Ok(texts_type()));
    Definition { returns, ..function(name, &[&[Text, Text], &[Text, Text, Text]], Type::Text, body, page, example) }
}

pub(super) const FUNCTIONS: &[Definition] = &[
    function(
        "regexp_replace",
        &[&[Text, Text, Text], &[Text, Text, Text, Text]],
        Type::Text,
        regexp_replace,
        (
            "REGEXP_REPLACE(text, regex, replacement [, flags])",
            "STRING",
            "The first match replaced, or all of them with `g`; `\\1` in the replacement is group 1, `\\&` the match.",
        ),
        ("REGEXP_REPLACE('banana', 'an', 'x', 'g')", "bxxa"),
    ),
    list(
        "regexp_match",
        regexp_match,
        (
            "REGEXP_MATCH(text, regex [, flags])",
            "ARRAY<STRING>",
            "What the groups of the first match matched, or the match where there are no groups. NULL if nothing matches.",
        ),
        ("REGEXP_MATCH('2024-03', '(\\d+)-(\\d+)')", "[2024, 03]"),
    ),
    list(
        "regexp_split_to_array",
        regexp_split,
        ("REGEXP_SPLIT_TO_ARRAY(text, regex [, flags])", "ARRAY<STRING>", "What stands between matches."),
        ("REGEXP_SPLIT_TO_ARRAY('a, b', ',\\s*')", "[a, b]"),
    ),
    function(
        "regexp_like",
        &[&[Text, Text], &[Text, Text, Text]],
        Type::Bool,
        |call| {
            let (text, mut patterns) = (call.text(0), Patterns::new(call, 1, 2));
            booleans(call.rows, |row| Ok(text.at(row).zip(patterns.at(row)?).map(|(text, regex)| regex.is_match(text))))
        },
        ("REGEXP_LIKE(text, regex [, flags])", "BOOLEAN", "TRUE if some part of the text matches."),
        ("REGEXP_LIKE('Hello', 'hel+', 'i')", "true"),
    ),
    function(
        "regexp_count",
        &[&[Text, Text], &[Text, Text, Int], &[Text, Text, Int, Text]],
        Type::Int,
        |call| {
            let (text, mut patterns) = (call.text(0), Patterns::new(call, 1, 3));
            let from = (call.len() > 2).then(|| call.int(2));
            numbers::<Int32Type>(call.rows, |row| {
                let Some((text, regex)) = text.at(row).zip(patterns.at(row)?) else { return Ok(None) };
                let from = from.as_ref().map_or(Some(1), |from| from.at(row));
                let rest = from.map(|from| super::strings::characters(text, from.saturating_sub(1), i64::MAX));
                Ok(rest.and_then(|rest| i32::try_from(regex.find_iter(rest).count()).ok()))
            })
        },
        ("REGEXP_COUNT(text, regex [, from [, flags]])", "INT", "The number of matches."),
        ("REGEXP_COUNT('banana', 'an')", "2"),
    ),
    function(
        "regexp_instr",
        &[&[Text, Text]],
        Type::Int,
        |call| {
            let (text, mut patterns) = (call.text(0), Patterns::new(call, 1, 2));
            numbers::<Int32Type>(call.rows, |row| {
                let Some((text, regex)) = text.at(row).zip(patterns.at(row)?) else { return Ok(None) };
                let place = |at: usize| i32::try_from(text[..at].chars().count() + 1).ok();
                Ok(regex.find(text).map_or(Some(0), |found| place(found.start())))
            })
        },
        ("REGEXP_INSTR(text, regex)", "INT", "The place of the first match, from 1; 0 if there is none."),
        ("REGEXP_INSTR('foobar', 'bar')", "4"),
    ),
    function(
        "regexp_substring",
        &[&[Text, Text]],
        Type::Text,
        |call| {
            let (text, mut patterns) = (call.text(0), Patterns::new(call, 1, 2));
            texts(call.rows, |row, out| {
                let Some((text, regex)) = text.at(row).zip(patterns.at(row)?) else { return Ok(false) };
                let captures = regex.captures(text);
                let found = captures.and_then(|found| found.get(usize::from(found.len() > 1)));
                Ok(found.is_some_and(|found| out.write_str(found.as_str()).is_ok()))
            })
        },
        (
            "SUBSTRING(text FROM regex)",
            "STRING",
            "The first match, or what its first group matched. NULL if nothing matches.",
        ),
        ("SUBSTRING('foobar' FROM 'o(.)b')", "o"),
    ),
];

/// The compiled patterns of a call, each looked up when it is another than that of the row before.
struct Patterns<'a> {
    pattern: Arg<'a, StringArray>,
    flags: Option<Arg<'a, StringArray>>,
    current: Option<(String, String, Rc<Regex>)>,
}

impl<'a> Patterns<'a> {
    fn new(call: &'a Call, pattern: usize, flags: usize) -> Self {
        Self { pattern: call.text(pattern), flags: call.optional_text(flags), current: None }
    }

    /// The pattern of a row, `None` for NULL.
    fn at(&mut self, row: usize) -> Result<Option<Rc<Regex>>> {
        let Some(pattern) = self.pattern.at(row) else { return Ok(None) };
        let Some(flags) = self.flags_at(row) else { return Ok(None) };
        if let Some((text, of, regex)) = &self.current
            && text == pattern
            && of == flags
        {
            return Ok(Some(regex.clone()));
        }
        let regex = compiled(pattern, flags)?;
        self.current = Some((pattern.to_owned(), flags.to_owned(), regex.clone()));
        Ok(Some(regex))
    }

    fn flags_at(&self, row: usize) -> Option<&'a str> {
        self.flags.as_ref().map_or(Some(""), |flags| flags.at(row))
    }
}

fn compiled(pattern: &str, flags: &str) -> Result<Rc<Regex>> {
    let key = format!("{flags}/{pattern}");
    if let Some(known) = PATTERNS.with_borrow(|known| known.get(&key).cloned()) {
        return Ok(known);
    }
    let mut builder = RegexBuilder::new(pattern);
    for flag in flags.chars() {
        match flag {
            'g' => {}
            'i' => {
                builder.case_insensitive(true);
            }
            'c' => {
                builder.case_insensitive(false);
            }
            'x' => {
                builder.ignore_whitespace(true);
            }
            'n' | 'm' => {
                builder.multi_line(true).dot_matches_new_line(false);
            }
            's' => {
                builder.dot_matches_new_line(true);
            }
            other => return fail(super::INVALID_PARAMETER, format!("invalid regular expression option: \"{other}\"")),
        }
    }
    if !flags.contains(['n', 'm']) {
        builder.dot_matches_new_line(true);
    }
    let regex = match builder.build() {
        Ok(regex) => Rc::new(regex),
        Err(error) => {
            let why = error.to_string().lines().last().unwrap_or_default().trim().to_owned();
            return fail("2201B", format!("invalid regular expression: {why}"));
        }
    };
    PATTERNS.with_borrow_mut(|known| {
        if known.len() >= PATTERNS_MAX {
            known.clear();
        }
        known.insert(key, regex.clone());
    });
    Ok(regex)
}

fn regexp_replace(call: &Call) -> Result<ArrayRef> {
    let (text, mut patterns, replacement) = (call.text(0), Patterns::new(call, 1, 3), call.text(2));
    texts(call.rows, |row, out| {
        let (Some((text, regex)), Some(replacement)) = (text.at(row).zip(patterns.at(row)?), replacement.at(row))
        else {
            return Ok(false);
        };
        let times = usize::from(!patterns.flags_at(row).is_some_and(|flags| flags.contains('g')));
        let replaced: Cow<'_, str> = regex.replacen(text, times, |found: &Captures<'_>| filled(replacement, found));
        Ok(out.write_str(&replaced).is_ok())
    })
}

/// The replacement with what groups matched.
fn filled(replacement: &str, found: &Captures<'_>) -> String {
    let (mut out, mut chars) = (String::with_capacity(replacement.len()), replacement.chars());
    let group = |at: usize| found.get(at).map_or("", |group| group.as_str());
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('&') => out.push_str(group(0)),
                Some(digit @ '1'..='9') => out.push_str(group(digit as usize - '0' as usize)),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            (c, _) => out.push(c),
        }
    }
    out
}

fn regexp_match(call: &Call) -> Result<ArrayRef> {
    let (text, mut patterns) = (call.text(0), Patterns::new(call, 1, 2));
    let mut out = ListBuilder::new(StringBuilder::new());
    for row in 0..call.rows {
        let found = text.at(row).zip(patterns.at(row)?).and_then(|(text, regex)| regex.captures(text));
        if let Some(found) = &found {
            let from = usize::from(found.len() > 1);
            (from..found.len()).for_each(|at| out.values().append_option(found.get(at).map(|group| group.as_str())));
        }
        out.append(found.is_some());
    }
    Ok(Arc::new(out.finish()))
}

fn regexp_split(call: &Call) -> Result<ArrayRef> {
    let (text, mut patterns) = (call.text(0), Patterns::new(call, 1, 2));
    let mut out = ListBuilder::new(StringBuilder::new());
    for row in 0..call.rows {
        match text.at(row).zip(patterns.at(row)?) {
            None => out.append(false),
            Some((text, regex)) => {
                regex.split(text).for_each(|part| out.values().append_value(part));
                out.append(true);
            }
        }
    }
    Ok(Arc::new(out.finish()))
}
