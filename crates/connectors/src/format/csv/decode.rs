//! Lines to columns. Fields are read one behind the other: numbers and timestamps parse from where the field begins
//! and only then look whether it ends there; strings and fields that nobody wants are scanned 16 bytes at a time.

use super::super::column::{Column, Values};
use super::super::rows::{Fault, Records, Step};
use super::super::scan::any_of;
use super::Syntax;
use arrow::datatypes::SchemaRef;

/// Reads one row per record.
pub(in crate::format) struct Lines {
    syntax: Syntax,
    names: Vec<String>,
    /// Per field of a record: the column that it goes to.
    targets: Vec<Option<usize>>,
    scratch: Vec<u8>,
}

/// A field: its text, and where its delimiter, newline or the end of the bytes stands.
struct Field<'a> {
    text: &'a [u8],
    is_quoted: bool,
    end: usize,
}

impl Lines {
    pub(in crate::format) fn new(syntax: Syntax, physical: &SchemaRef, projection: &[usize]) -> Self {
        let names = physical.fields().iter().map(|f| f.name().clone()).collect();
        let targets = (0..physical.fields().len()).map(|f| projection.iter().position(|p| *p == f)).collect();
        Self { syntax, names, targets, scratch: Vec::new() }
    }

    /// Goes over a field that nobody wants.
    #[inline]
    fn skip_field(&mut self, bytes: &[u8], at: usize) -> Result<usize, Fault> {
        let end = any_of(bytes, at, self.syntax.stops);
        if self.syntax.escape.is_none() && self.syntax.is_end(bytes.get(end)) {
            return Ok(end);
        }
        Ok(self.syntax.field(bytes, at, &mut self.scratch)?.end)
    }

    /// Decodes a field into `column`; returns its end.
    #[inline]
    fn read_field(&mut self, bytes: &[u8], at: usize, column: &mut Column) -> Result<usize, Fault> {
        if let Values::Text(text) = &mut column.values {
            let end = any_of(bytes, at, self.syntax.stops);
            if end > at && self.syntax.is_plain && bytes[end - 1] != b'\r' && self.syntax.is_end(bytes.get(end)) {
                text.push(&bytes[at..end]);
                return Ok(end);
            }
        } else if let Some(n) = column.append_leading(&bytes[at..]) {
            if self.syntax.is_plain && self.syntax.is_end(bytes.get(at + n)) {
                return Ok(at + n);
            }
            column.truncate(column.rows() - 1);
        }
        self.read_any_field(bytes, at, column)
    }

    /// As [`read_field`](Self::read_field), for fields that are empty, quoted, escaped or may be the null literal.
    fn read_any_field(&mut self, bytes: &[u8], at: usize, column: &mut Column) -> Result<usize, Fault> {
        let field = self.syntax.field(bytes, at, &mut self.scratch)?;
        self.syntax.append(column, field.text, field.is_quoted)?;
        Ok(field.end)
    }

    #[cold]
    fn count_fault(&self, bytes: &[u8], at: usize) -> Fault {
        let mut scratch = Vec::new();
        let (mut at, mut count) = (at, 1usize);
        while let Ok(field) = self.syntax.field(bytes, at, &mut scratch) {
            if bytes.get(field.end) != Some(&self.syntax.delimiter) {
                break;
            }
            (at, count) = (field.end + 1, count + 1);
        }
        let fields = if count == 1 { "field" } else { "fields" };
        Fault::record(format!("the row has {count} {fields}, the table has {} columns", self.names.len()))
    }
}

impl Records for Lines {
    const IS_TEXT: bool = true;

    fn read(&mut self, bytes: &[u8], start: usize, columns: &mut [Column]) -> Result<Step, Fault> {
        let mut at = start;
        match bytes[at] {
            b'\n' | b'\r' if self.targets.len() > 1 => {
                let end = at + usize::from(bytes[at] == b'\r');
                if bytes.get(end).is_none_or(|b| *b == b'\n') {
                    return Ok(Step::Nothing((end + 1).min(bytes.len())));
                }
            }
            b'#' if self.syntax.allows_comments => return Ok(Step::Nothing(self.skip(bytes, at))),
            _ => {}
        }
        let last = self.targets.len() - 1;
        for field in 0..=last {
            let end = match self.targets[field] {
                Some(column) => self.read_field(bytes, at, &mut columns[column])?,
                None => self.skip_field(bytes, at)?,
            };
            let ends_row = bytes.get(end).is_none_or(|b| *b == b'\n');
            if ends_row != (field == last) {
                return Err(self.count_fault(bytes, start));
            }
            at = end + 1;
        }
        Ok(Step::Row(at.min(bytes.len())))
    }

    fn skip(&self, bytes: &[u8], at: usize) -> usize {
        self.syntax.record_end(&bytes[at..]).map_or(bytes.len(), |n| at + n)
    }

    fn start(&mut self, bytes: &[u8]) -> Result<usize, String> {
        if !self.syntax.has_header || bytes.is_empty() {
            return Ok(0);
        }
        let bytes_behind_mark = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut at = bytes.len() - bytes_behind_mark.len();
        let mut names = Vec::new();
        loop {
            let field = self.syntax.field(bytes, at, &mut self.scratch).map_err(|f| f.message)?;
            names.push(String::from_utf8_lossy(field.text).trim().to_owned());
            at = field.end + 1;
            if bytes.get(field.end) != Some(&self.syntax.delimiter) {
                break;
            }
        }
        if names != self.names {
            let list = |names: &[String]| names.join(", ");
            return Err(format!(
                "the header names the columns {}; the table has {}. Declare the table's columns in the header's order \
                 and spelling",
                list(&names),
                list(&self.names)
            ));
        }
        Ok(at.min(bytes.len()))
    }
}

impl Syntax {
    /// The field that begins at `at`, without its quotes and escapes.
    fn field<'a>(&self, bytes: &'a [u8], at: usize, scratch: &'a mut Vec<u8>) -> Result<Field<'a>, Fault> {
        if self.quote.is_some() && bytes.get(at).copied() == self.quote {
            return self.quoted_field(bytes, at + 1, scratch);
        }
        let mut end = at;
        let mut has_escape = false;
        while let Some(b) = bytes.get(end).filter(|b| **b != self.delimiter && **b != b'\n') {
            let is_escape = Some(*b) == self.escape;
            has_escape |= is_escape;
            end += if is_escape && end + 1 < bytes.len() { 2 } else { 1 };
        }
        let mut text = &bytes[at..end];
        if bytes.get(end).is_none_or(|b| *b == b'\n') {
            text = text.strip_suffix(b"\r").unwrap_or(text);
        }
        if has_escape {
            scratch.clear();
            self.unescape(text, None, scratch);
            text = scratch;
        }
        Ok(Field { text, is_quoted: has_escape, end })
    }

    /// A field whose text begins at `at`, behind its quote.
    fn quoted_field<'a>(&self, bytes: &'a [u8], at: usize, scratch: &'a mut Vec<u8>) -> Result<Field<'a>, Fault> {
        let close = self.closing_quote(bytes, at).ok_or_else(|| Fault::record("a quoted field is not closed"))?;
        let mut text = &bytes[at..close];
        let end = match bytes.get(close + 1) {
            Some(b'\r') if bytes.get(close + 2).is_none_or(|b| *b == b'\n') => close + 2,
            Some(b) if *b != self.delimiter && *b != b'\n' => {
                return Err(Fault::record("something stands between a closing quote and the end of its field"));
            }
            _ => close + 1,
        };
        if text.iter().any(|b| Some(*b) == self.quote || Some(*b) == self.escape) {
            scratch.clear();
            self.unescape(text, self.quote, scratch);
            text = scratch;
        }
        Ok(Field { text, is_quoted: true, end })
    }

    /// Halves doubled quotes and resolves escapes.
    fn unescape(&self, text: &[u8], quote: Option<u8>, out: &mut Vec<u8>) {
        let mut bytes = text.iter().copied();
        while let Some(b) = bytes.next() {
            let taken = match b {
                _ if Some(b) == self.escape => bytes.next().map(escaped),
                _ if Some(b) == quote => bytes.next(),
                _ => Some(b),
            };
            out.push(taken.unwrap_or(b));
        }
    }

    /// Appends what the text of a field stands for.
    fn append(&self, column: &mut Column, text: &[u8], is_quoted: bool) -> Result<(), Fault> {
        let is_text = matches!(column.values, Values::Text(_));
        let is_null = !is_quoted
            && match &self.null_literal {
                Some(null) => text == null.as_bytes() || (text.is_empty() && !is_text),
                None => text.is_empty(),
            };
        let done = if is_null {
            column.append_null()
        } else if let Values::List { offsets, items } = &mut column.values {
            if !text.is_empty() {
                text.split(|b| *b == self.array_delimiter).try_for_each(|item| self.append(items, item, false))?;
            }
            offsets.push(items.rows() as i32);
            Ok(())
        } else if is_text {
            column.append_text(text)
        } else {
            column.append_text(text.trim_ascii())
        };
        done.map_err(|refusal| Fault::value(column, text, refusal))
    }
}

/// What an escaped character stands for.
fn escaped(b: u8) -> u8 {
    match b {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'0' => 0,
        _ => b,
    }
}
