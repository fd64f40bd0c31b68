//! Objects to columns. A row is read in one pass: link, value, link, value; see `template.rs` for how links are
//! found, `syntax.rs` for the slow ways of everything.

use super::super::column::{Column, JsonStrings, Values};
use super::super::rows::{Fault, Records, Step};
use super::syntax::{self, DEPTH_MAX, Items, Key, skip_space};
use super::template::{START, Target, Template};
use arrow::datatypes::SchemaRef;
use std::borrow::Cow;
use std::collections::HashMap;

/// Reads one object per line, or objects that stand within others.
pub(in crate::format) struct Objects {
    targets: HashMap<Vec<u8>, Target>,
    template: Template,
    /// Per column, the row (counted from 1) that has given it a value last.
    seen: Vec<u64>,
    row: u64,
    fails_on_missing: bool,
    /// An object is all that its line holds.
    is_line: bool,
    scratch: Vec<u8>,
}

impl Objects {
    pub(in crate::format) fn new(physical: &SchemaRef, projection: &[usize], fails_on_missing: bool) -> Self {
        let target = |at: usize| projection.iter().position(|p| *p == at).map_or(Target::Skip, Target::Column);
        let named = physical.fields().iter().enumerate();
        let targets = named.map(|(at, field)| (field.name().as_bytes().to_vec(), target(at))).collect();
        let seen = vec![0; projection.len()];
        let template = Template::new();
        Self { targets, template, seen, row: 0, fails_on_missing, is_line: true, scratch: Vec::new() }
    }

    /// For objects that are values of another object: whatever stands behind them is not looked at.
    pub(in crate::format) fn nested(self) -> Self {
        Self { is_line: false, ..self }
    }

    fn end(&self, bytes: &[u8], at: usize) -> Result<usize, Fault> {
        if self.is_line { line_end(bytes, at) } else { Ok(at) }
    }

    /// The link behind `previous`, parsed: itself, its target, where the value begins.
    #[cold]
    fn parse_link(&mut self, bytes: &[u8], at: usize, previous: usize, is_first: bool) -> Result<Link, Fault> {
        let mut from = skip_space(bytes, at);
        let opening = if is_first { b'{' } else { b',' };
        let (target, value) = match bytes.get(from) {
            Some(b) if *b == opening => {
                from = skip_space(bytes, from + 1);
                match bytes.get(from) {
                    Some(b'}') if is_first => (Target::End, self.end(bytes, from + 1)?),
                    _ => {
                        let key = syntax::key(bytes, from)?;
                        (self.target(&key)?, key.value)
                    }
                }
            }
            Some(b'}') if !is_first => (Target::End, self.end(bytes, from + 1)?),
            _ if is_first => {
                return Err(Fault::record(if self.is_line { NO_OBJECT } else { "a row is no JSON object" }));
            }
            _ => return Err(Fault::record("'}' or a comma is missing")),
        };
        let link = self.template.learn(previous, &bytes[at..value], target);
        Ok(Link { link, target, value })
    }

    fn target(&self, key: &Key<'_>) -> Result<Target, Fault> {
        let name = unescaped(key)?;
        Ok(self.targets.get(name.as_ref()).copied().unwrap_or(Target::Skip))
    }

    /// Gives columns that the object does not have their NULL.
    #[cold]
    fn fill_missing(&mut self, columns: &mut [Column]) -> Result<(), Fault> {
        for (column, seen) in columns.iter_mut().zip(&self.seen) {
            if *seen == self.row {
                continue;
            }
            if self.fails_on_missing {
                return Err(Fault::value(column, b"", "the field is missing".into()));
            }
            column.append_null().map_err(|refusal| Fault::value(column, b"", format!("{refusal} (missing)")))?;
        }
        Ok(())
    }
}

struct Link {
    link: usize,
    target: Target,
    value: usize,
}

impl Records for Objects {
    const IS_TEXT: bool = true;

    fn read(&mut self, bytes: &[u8], at: usize, columns: &mut [Column]) -> Result<Step, Fault> {
        self.row += 1;
        let (mut at, mut link, mut filled) = (at, START, 0);
        let mut is_first = true;
        loop {
            let target = match self.template.predict(link, &bytes[at..]) {
                Some((next, target, len)) => {
                    (link, at) = (next, at + len);
                    target
                }
                None => {
                    if is_first
                        && self.is_line
                        && let Some(next) = empty_line(bytes, at)
                    {
                        return Ok(Step::Nothing(next));
                    }
                    let parsed = self.parse_link(bytes, at, link, is_first)?;
                    (link, at) = (parsed.link, parsed.value);
                    parsed.target
                }
            };
            is_first = false;
            match target {
                Target::Column(c) => {
                    let column = &mut columns[c];
                    if self.seen[c] == self.row {
                        // The last of several values counts; all columns but this half row end at the row before.
                        column.truncate(column.rows() - 1);
                    } else {
                        self.seen[c] = self.row;
                        filled += 1;
                    }
                    at = value(bytes, at, column, &mut self.scratch)?;
                }
                Target::Skip => at = skip_value(bytes, at)?,
                Target::End => break,
            }
        }
        if filled < columns.len() {
            self.fill_missing(columns)?;
        }
        Ok(Step::Row(at))
    }

    fn skip(&self, bytes: &[u8], at: usize) -> usize {
        memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |n| at + n + 1)
    }
}

/// The fault of a line that is something else.
pub(in crate::format) const NO_OBJECT: &str = "the line is no JSON object";

/// Behind an object: nothing more on its line. Returns where the next line begins.
pub(in crate::format) fn line_end(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    let end = skip_space(bytes, at);
    match bytes.get(end) {
        None => Ok(end),
        Some(b'\n') => Ok(end + 1),
        Some(_) => Err(Fault::record("there is more behind the object; a line holds one object")),
    }
}

fn empty_line(bytes: &[u8], at: usize) -> Option<usize> {
    line_end(bytes, at).ok()
}

fn unescaped<'a>(key: &Key<'a>) -> Result<Cow<'a, [u8]>, Fault> {
    if !key.is_escaped {
        return Ok(Cow::Borrowed(key.text));
    }
    let mut name = Vec::with_capacity(key.text.len());
    syntax::unescape(key.text, &mut name)?;
    Ok(Cow::Owned(name))
}

#[inline]
fn skip_value(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    match bytes.get(at) {
        Some(b'"') => Ok(syntax::string(bytes, at + 1)?.0 + 1),
        _ => syntax::value_end(bytes, at, 0),
    }
}

/// Decodes the value at `at` into `column`; returns its end.
#[inline]
fn value(bytes: &[u8], at: usize, column: &mut Column, scratch: &mut Vec<u8>) -> Result<usize, Fault> {
    match bytes.get(at) {
        Some(b'"') => {
            if let Values::Text(text) = &mut column.values {
                let (end, is_escaped) = syntax::string(bytes, at + 1)?;
                if !is_escaped {
                    text.push(&bytes[at + 1..end]);
                    return Ok(end + 1);
                }
            } else if let Some(n) = column.append_leading(&bytes[at + 1..]) {
                if bytes.get(at + 1 + n) == Some(&b'"') {
                    return Ok(at + n + 2);
                }
                column.truncate(column.rows() - 1);
            }
        }
        Some(b'1'..=b'9') => {
            if let Values::Int64(_) | Values::Int32(_) = &column.values
                && let Some(n) = column.append_leading(&bytes[at..])
            {
                if !matches!(bytes.get(at + n), Some(b'.' | b'e' | b'E')) {
                    return Ok(at + n);
                }
                column.truncate(column.rows() - 1);
            }
        }
        _ => {}
    }
    any_value(bytes, at, column, scratch, 0)
}

/// As [`value`], for whatever stands there.
fn any_value(
    bytes: &[u8],
    at: usize,
    column: &mut Column,
    scratch: &mut Vec<u8>,
    depth: usize,
) -> Result<usize, Fault> {
    let at = skip_space(bytes, at);
    let refuse = |column: &Column, value: &[u8], refusal| Err(Fault::value(column, value, refusal));
    match bytes.get(at) {
        Some(b'"') if !takes_strings_as_json(column) => {
            let (end, is_escaped) = syntax::string(bytes, at + 1)?;
            let mut text = &bytes[at + 1..end];
            if is_escaped {
                scratch.clear();
                syntax::unescape(text, scratch)?;
                text = scratch.as_slice();
            }
            let done = match &column.values {
                Values::Text(_) | Values::Bytes(_) => column.append_text(text),
                _ => column.append_text(text.trim_ascii()),
            };
            done.or_else(|refusal| refuse(column, text, refusal))?;
            Ok(end + 1)
        }
        Some(b'n') => {
            let end = syntax::literal(bytes, at, b"null")?;
            column.append_null().or_else(|refusal| refuse(column, b"null", refusal))?;
            Ok(end)
        }
        Some(b'[' | b'{') if depth < DEPTH_MAX && is_nested(column) => nested(bytes, at, column, scratch, depth),
        Some(first) => {
            let end = syntax::value_end(bytes, at, depth)?;
            let text = &bytes[at..end];
            let takes = match (&column.values, first) {
                (Values::Text(_) | Values::Json { .. }, _) => true,
                (Values::Boolean(_), b't' | b'f') => true,
                (Values::Boolean(_) | Values::Bytes(_), _) => false,
                (_, b'-' | b'0'..=b'9') => true,
                _ => false,
            };
            let done = if takes { column.append_text(text) } else { Err(column.refusal()) };
            done.or_else(|refusal| refuse(column, text, refusal))?;
            Ok(end)
        }
        None => Err(Fault::record("a value is missing")),
    }
}

fn takes_strings_as_json(column: &Column) -> bool {
    matches!(column.values, Values::Json { strings: JsonStrings::Values, .. })
}

fn is_nested(column: &Column) -> bool {
    matches!(column.values, Values::List { .. } | Values::Map { .. } | Values::Row { .. })
}

/// Arrays, maps and rows.
fn nested(bytes: &[u8], at: usize, column: &mut Column, scratch: &mut Vec<u8>, depth: usize) -> Result<usize, Fault> {
    let refusal = column.refusal();
    let name = column.name().to_owned();
    match (&mut column.values, bytes[at]) {
        (Values::List { offsets, items }, b'[') => {
            let mut list = Items::new(at, b']');
            while let Some(item) = list.next(bytes)? {
                list.at = any_value(bytes, item, items, scratch, depth + 1)?;
            }
            offsets.push(items.rows() as i32);
            Ok(list.at)
        }
        (Values::Map { offsets, keys, values }, b'{') => {
            let mut entries = Items::new(at, b'}');
            while let Some(entry) = entries.next(bytes)? {
                let key = syntax::key(bytes, entry)?;
                keys.append_text(&unescaped(&key)?).map_err(|refusal| Fault::value(keys, key.text, refusal))?;
                entries.at = any_value(bytes, key.value, values, scratch, depth + 1)?;
            }
            offsets.push(keys.rows() as i32);
            Ok(entries.at)
        }
        (Values::Row { rows, columns }, b'{') => {
            let mut fields = Items::new(at, b'}');
            while let Some(field) = fields.next(bytes)? {
                let key = syntax::key(bytes, field)?;
                let wanted = unescaped(&key)?;
                fields.at = match columns.iter_mut().find(|c| c.name().as_bytes() == wanted.as_ref()) {
                    Some(column) => {
                        column.truncate(*rows);
                        any_value(bytes, key.value, column, scratch, depth + 1)?
                    }
                    None => syntax::value_end(bytes, key.value, depth + 1)?,
                };
            }
            *rows += 1;
            for column in columns.iter_mut().filter(|c| c.rows() < *rows) {
                column.append_null().map_err(|refusal| Fault::value(column, b"", format!("{refusal} (missing)")))?;
            }
            Ok(fields.at)
        }
        _ => {
            let end = syntax::value_end(bytes, at, depth)?;
            Err(Fault { column: Some(name), value: bytes[at..end].to_vec(), message: refusal })
        }
    }
}
