//! COPY … FROM STDIN: rows as clients send them, in the formats `text` and `csv` of Postgres.
//!
//! Bytes come in pieces that may end anywhere. [`Reader`] cuts them into rows of texts, and makes columns of them when
//! [`Reader::finish`] is called; all rows are inserted at once, or none.
//!
//! Not here: messages, what becomes of the rows.

use arrow::array::{Array, ArrayRef, BinaryArray, RecordBatch, StringArray, StringBuilder};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::display::FormatOptions;
use eddyline_engine::catalog::Reference;
use eddyline_engine::{SqlError, arrow, read_jsonb, sql_type};
use std::sync::Arc;

/// SQLSTATE of data that is no row.
const BAD_COPY: &str = "22P04";
/// All rows are in memory until the last has come: so many bytes of them at most.
const ROWS_BYTES_MAX: usize = 512 << 20;

/// `COPY table (columns) FROM STDIN …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Copy {
    pub(crate) table: Reference,
    /// Empty for all.
    pub(crate) columns: Vec<String>,
    pub(crate) format: CopyFormat,
}

/// How rows are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CopyFormat {
    /// `csv`, else `text`.
    pub(crate) is_csv: bool,
    pub(crate) delimiter: u8,
    /// What stands for NULL.
    pub(crate) null: String,
    pub(crate) header: Header,
    pub(crate) quote: u8,
    pub(crate) escape: u8,
}

/// What the first line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Header {
    /// A row.
    None,
    /// No row, whatever it says.
    Skip,
    /// The names of the columns, in their order.
    Match,
}

impl CopyFormat {
    /// The format `text`.
    pub(crate) fn text() -> Self {
        let null = "\\N".to_owned();
        Self { is_csv: false, delimiter: b'\t', null, header: Header::None, quote: b'"', escape: b'"' }
    }

    /// The format `csv`.
    pub(crate) fn csv() -> Self {
        Self { is_csv: true, delimiter: b',', null: String::new(), ..Self::text() }
    }
}

/// Gathers rows.
pub(crate) struct Reader {
    format: CopyFormat,
    columns: Vec<(String, DataType)>,
    builders: Vec<StringBuilder>,
    /// What is not cut into rows yet.
    rest: Vec<u8>,
    /// How far `rest` was looked through, and whether that is within quotes.
    looked: usize,
    is_quoted: bool,
    line: usize,
    is_at_end: bool,
    /// Bytes that have come.
    taken_bytes: usize,
}

impl Reader {
    /// Of rows with these columns.
    pub(crate) fn new(format: CopyFormat, columns: Vec<(String, DataType)>) -> Self {
        let builders = columns.iter().map(|_| StringBuilder::new()).collect();
        let rest = Vec::new();
        let (looked, line, taken_bytes) = (0, 0, 0);
        Self { format, columns, builders, rest, looked, is_quoted: false, line, is_at_end: false, taken_bytes }
    }

    /// How many columns a row has.
    pub(crate) fn width(&self) -> usize {
        self.columns.len()
    }

    /// Takes more bytes.
    ///
    /// # Errors
    /// A row that does not fit; what follows is of no use then.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), SqlError> {
        self.taken_bytes += bytes.len();
        if self.taken_bytes > ROWS_BYTES_MAX {
            let message = format!("COPY: there are more than {} MiB of rows", ROWS_BYTES_MAX >> 20);
            return Err(SqlError::new("54000", message).with_hint("send them by several COPYs"));
        }
        self.rest.extend_from_slice(bytes);
        let CopyFormat { quote, escape, .. } = self.format;
        let rest = std::mem::take(&mut self.rest);
        let mut begin = 0;
        let mut at = self.looked;
        while at < rest.len() {
            let byte = rest[at];
            if self.is_quoted && byte == escape && escape != quote {
                // What follows an escape within quotes ends nothing. It may not be there yet.
                at += 1;
            } else if self.format.is_csv && byte == quote {
                // A doubled quote closes and opens: between them nothing can end the row.
                self.is_quoted = !self.is_quoted;
            } else if byte == b'\n' && !self.is_quoted {
                self.line(&rest[begin..at])?;
                begin = at + 1;
            } else if byte == b'\\' && !self.format.is_csv {
                // What follows a backslash ends nothing. It may not be there yet.
                at += 1;
            }
            at += 1;
        }
        self.looked = at.min(rest.len()) - begin;
        if at > rest.len() {
            self.looked -= 1;
        }
        self.rest = rest[begin..].to_vec();
        Ok(())
    }

    /// All rows, when no more bytes come.
    ///
    /// # Errors
    /// A row that does not fit; a value that is none of its type.
    pub(crate) fn finish(mut self) -> Result<RecordBatch, SqlError> {
        let rest = std::mem::take(&mut self.rest);
        if self.is_quoted {
            return Err(SqlError::new(BAD_COPY, format!("line {}: a quoted value has no end", self.line + 1)));
        }
        if !rest.is_empty() {
            self.line(&rest)?;
        }
        let texts: Vec<StringArray> = self.builders.iter_mut().map(StringBuilder::finish).collect();
        let mut columns = Vec::with_capacity(texts.len());
        for ((name, data_type), text) in self.columns.iter().zip(texts) {
            columns.push(self.column(name, data_type, text)?);
        }
        let fields = self.columns.iter().map(|(name, of)| Field::new(name, of.clone(), true)).collect::<Vec<_>>();
        let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns);
        rows.map_err(|e| SqlError::new(SqlError::INTERNAL, format!("COPY: {e}")))
    }

    fn line(&mut self, line: &[u8]) -> Result<(), SqlError> {
        self.line += 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.is_at_end |= line == b"\\.";
        let is_header = self.line == 1 && self.format.header != Header::None;
        if self.is_at_end || (is_header && self.format.header == Header::Skip) {
            return Ok(());
        }
        let fields = if self.format.is_csv { self.csv_fields(line) } else { self.text_fields(line) };
        if is_header {
            return self.check_names(fields);
        }
        // An empty line is a row of one column with an empty value.
        if fields.len() != self.builders.len() {
            let (is, wanted) = (fields.len(), self.builders.len());
            let what = if is < wanted { "missing" } else { "extra" };
            let message = format!("line {}: {what} data: {is} values for {wanted} columns", self.line);
            return Err(SqlError::new(BAD_COPY, message));
        }
        for (builder, field) in self.builders.iter_mut().zip(fields) {
            match field.map(String::from_utf8) {
                None => builder.append_null(),
                Some(Ok(text)) => builder.append_value(text),
                Some(Err(_)) => {
                    let message = format!("line {}: bytes that are not UTF-8", self.line);
                    return Err(SqlError::new("22021", message));
                }
            }
        }
        Ok(())
    }

    /// Are these the names of the columns?
    fn check_names(&self, fields: Vec<Option<Vec<u8>>>) -> Result<(), SqlError> {
        let (is, wanted) = (fields.len(), self.columns.len());
        if is != wanted {
            let message = format!("line 1: there are {is} names in the header, and {wanted} columns");
            return Err(SqlError::new(BAD_COPY, message));
        }
        for (field, (wanted, _)) in fields.into_iter().zip(&self.columns) {
            let is = field.map(|name| String::from_utf8_lossy(&name).into_owned());
            if is.as_ref() != Some(wanted) {
                let is = is.map_or_else(|| "NULL".to_owned(), |is| format!("\"{is}\""));
                let message = format!("line 1: the header says {is} where column \"{wanted}\" is to come");
                return Err(SqlError::new(BAD_COPY, message));
            }
        }
        Ok(())
    }

    fn text_fields(&self, line: &[u8]) -> Vec<Option<Vec<u8>>> {
        let (mut fields, mut field, mut raw) = (Vec::new(), Vec::new(), 0);
        let mut at = 0;
        let end =
            |from: usize, to: usize, field: Vec<u8>| (line[from..to] != *self.format.null.as_bytes()).then_some(field);
        while at < line.len() {
            match line[at] {
                byte if byte == self.format.delimiter => {
                    fields.push(end(raw, at, std::mem::take(&mut field)));
                    raw = at + 1;
                }
                b'\\' if at + 1 < line.len() => {
                    let (byte, length) = escaped(&line[at + 1..]);
                    field.push(byte);
                    at += length;
                }
                byte => field.push(byte),
            }
            at += 1;
        }
        fields.push(end(raw, line.len(), field));
        fields
    }

    fn csv_fields(&self, line: &[u8]) -> Vec<Option<Vec<u8>>> {
        let CopyFormat { delimiter, quote, escape, .. } = self.format;
        let (mut fields, mut field) = (Vec::new(), Vec::new());
        let (mut was_quoted, mut is_quoted) = (false, false);
        let end =
            |field: Vec<u8>, was_quoted: bool| (was_quoted || field != self.format.null.as_bytes()).then_some(field);
        let mut at = 0;
        while at < line.len() {
            let byte = line[at];
            let next = line.get(at + 1).copied();
            if is_quoted && byte == escape && next.is_some_and(|n| n == quote || n == escape) {
                field.extend(next);
                at += 1;
            } else if byte == quote {
                (is_quoted, was_quoted) = (!is_quoted, true);
            } else if byte == delimiter && !is_quoted {
                fields.push(end(std::mem::take(&mut field), std::mem::take(&mut was_quoted)));
            } else {
                field.push(byte);
            }
            at += 1;
        }
        fields.push(end(field, was_quoted));
        fields
    }

    fn column(&self, name: &str, data_type: &DataType, text: StringArray) -> Result<ArrayRef, SqlError> {
        if *data_type == DataType::Utf8 {
            return Ok(Arc::new(text));
        }
        let wrong = |row: usize| {
            let line = row + 1 + usize::from(self.format.header != Header::None);
            let message = format!("line {line}, column {name}: \"{}\" is no {}", text.value(row), sql_type(data_type));
            SqlError::new("22P02", message)
        };
        if *data_type == DataType::Binary {
            let mut bytes = Vec::with_capacity(text.len());
            for (row, value) in text.iter().enumerate() {
                let value = value.map(|v| crate::values::unescaped_bytes(v).ok_or_else(|| wrong(row)));
                bytes.push(value.transpose()?);
            }
            return Ok(Arc::new(bytes.iter().map(Option::as_deref).collect::<BinaryArray>()));
        }
        if *data_type == DataType::LargeUtf8 {
            let is_wrong = |row: &usize| read_jsonb(&text.slice(*row, 1)).is_err();
            return read_jsonb(&text).map_err(|_| wrong((0..text.len()).find(is_wrong).unwrap_or_default()));
        }
        let options = CastOptions { safe: true, format_options: FormatOptions::default() };
        let cast = cast_with_options(&text, data_type, &options).map_err(|_| {
            SqlError::new(SqlError::UNSUPPORTED, format!("COPY into column {name} of type {}", sql_type(data_type)))
                .with_hint("leave the column out, and UPDATE it")
        })?;
        // What cannot be cast is NULL now, and was not before.
        match (0..text.len()).find(|row| cast.is_null(*row) && !text.is_null(*row)) {
            Some(row) => Err(wrong(row)),
            None => Ok(cast),
        }
    }
}

/// What stands behind a backslash: the byte, and how many bytes say it.
fn escaped(rest: &[u8]) -> (u8, usize) {
    let digits = |radix: u32, from: usize, max: usize| {
        let digits = rest[from..].iter().take(max).map_while(|b| (*b as char).to_digit(radix)).collect::<Vec<_>>();
        let value = digits.iter().fold(0, |value, digit| value * radix + digit);
        (value as u8, from + digits.len())
    };
    match rest[0] {
        b'b' => (8, 1),
        b'f' => (12, 1),
        b'n' => (b'\n', 1),
        b'r' => (b'\r', 1),
        b't' => (b'\t', 1),
        b'v' => (11, 1),
        b'0'..=b'7' => digits(8, 0, 3),
        b'x' if rest.get(1).is_some_and(u8::is_ascii_hexdigit) => digits(16, 1, 2),
        byte => (byte, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::AsArray;
    use arrow::datatypes::Int32Type;

    fn read(format: &CopyFormat, bytes: &[u8], cut: usize) -> Result<RecordBatch, SqlError> {
        let columns = vec![("k".to_owned(), DataType::Int32), ("v".to_owned(), DataType::Utf8)];
        let mut reader = Reader::new(format.clone(), columns);
        for piece in bytes.chunks(cut) {
            reader.push(piece)?;
        }
        reader.finish()
    }

    fn rows(format: &CopyFormat, text: &str) -> Vec<(Option<i32>, Option<String>)> {
        let shown = |batch: RecordBatch| {
            let keys = batch.column(0).as_primitive::<Int32Type>().iter();
            let values = batch.column(1).as_string::<i32>().iter().map(|v| v.map(str::to_owned));
            keys.zip(values).collect::<Vec<_>>()
        };
        let whole = shown(read(format, text.as_bytes(), 1000).unwrap());
        for cut in 1..5 {
            assert_eq!(shown(read(format, text.as_bytes(), cut).unwrap()), whole, "cut after {cut}");
        }
        whole
    }

    fn of(k: i32, v: &str) -> (Option<i32>, Option<String>) {
        (Some(k), Some(v.to_owned()))
    }

    #[test]
    fn text_has_tabs_and_backslashes() {
        let text = "1\ta\\tb\\\\c\n2\t\\N\r\n3\t\n\\N\t\\x41\\102\\\n.\n4\te\\\n";
        let expected = [of(1, "a\tb\\c"), (Some(2), None), of(3, ""), (None, Some("AB\n.".into())), of(4, "e\n")];
        assert_eq!(rows(&CopyFormat::text(), text), expected);
        assert_eq!(rows(&CopyFormat::text(), "1\ta\n\\.\n2\tb\n"), [of(1, "a")]);
    }

    #[test]
    fn csv_has_quotes() {
        let format = CopyFormat { header: Header::Skip, ..CopyFormat::csv() };
        let text = "k,v\n1,\"a,\"\"b\"\"\nc\"\n2,\n3,\"\"\n4,d";
        let expected = [of(1, "a,\"b\"\nc"), (Some(2), None), of(3, ""), of(4, "d")];
        assert_eq!(rows(&format, text), expected);
    }

    #[test]
    fn quotes_and_escapes_may_be_others() {
        let quoted = CopyFormat { quote: b'\'', escape: b'\'', ..CopyFormat::csv() };
        assert_eq!(rows(&quoted, "1,'it''s'\n2,'a,\"\n'\n"), [of(1, "it's"), of(2, "a,\"\n")]);
        // An escaped quote does not end the value, nor the end of a line in it the row.
        let escaped = CopyFormat { escape: b'\\', ..CopyFormat::csv() };
        let text = "1,\"a\\\"b\nc\"\n2,\"\\\\\"\n3,\"x\\y\"\n4,\\\n";
        assert_eq!(rows(&escaped, text), [of(1, "a\"b\nc"), of(2, "\\"), of(3, "x\\y"), of(4, "\\")]);
    }

    #[test]
    fn a_header_is_compared_where_that_is_asked_for() {
        let format = CopyFormat { header: Header::Match, ..CopyFormat::csv() };
        assert_eq!(rows(&format, "k,v\n1,a\n"), [of(1, "a")]);
        let error = |text: &str| read(&format, text.as_bytes(), 3).unwrap_err().message;
        assert_eq!(error("v,k\n1,a\n"), "line 1: the header says \"v\" where column \"k\" is to come");
        assert_eq!(error("k\n1,a\n"), "line 1: there are 1 names in the header, and 2 columns");
        assert_eq!(error("k,\n1,a\n"), "line 1: the header says NULL where column \"v\" is to come");
    }

    #[test]
    fn what_does_not_fit_says_where() {
        let error = |text: &str| read(&CopyFormat::csv(), text.as_bytes(), 3).unwrap_err().message;
        assert_eq!(error("1,a\n2\n"), "line 2: missing data: 1 values for 2 columns");
        assert_eq!(error("1,a,b\n"), "line 1: extra data: 3 values for 2 columns");
        assert_eq!(error("1,a\nx,b\n"), "line 2, column k: \"x\" is no INT");
        assert_eq!(error("1,\"a\n"), "line 1: a quoted value has no end");
    }
}
