//! What COPY says behind its name: the table, its columns, how rows are written.

use super::words::Word;
use crate::copy::{Copy, CopyFormat, Header};
use eddyline_engine::SqlError;

/// Reads the words behind COPY.
///
/// # Errors
/// What is no COPY … FROM STDIN, or options that do not go together.
pub(super) fn copy(words: &[Word]) -> Result<Copy, SqlError> {
    let mut words = Words { words, at: 0 };
    let table = words.table()?;
    let columns = words.columns()?;
    if !words.takes("from") || !words.takes("stdin") {
        return Err(unsupported("COPY from or to anything but STDIN")
            .with_hint("write COPY t FROM STDIN; SELECT reads rows, files are tables with connector 'filesystem'"));
    }
    words.takes("with");
    let in_brackets = words.takes("(");
    let mut said = Said::default();
    while words.at < words.words.len() && !(in_brackets && words.takes(")")) {
        said.take(&mut words)?;
        words.takes(",");
    }
    Ok(Copy { table, columns, format: said.format()? })
}

/// Options as far as they were said.
#[derive(Default)]
struct Said {
    is_csv: Option<bool>,
    delimiter: Option<u8>,
    null: Option<String>,
    header: Option<Header>,
    quote: Option<u8>,
    escape: Option<u8>,
    encoding: Option<()>,
}

impl Said {
    fn take(&mut self, words: &mut Words<'_>) -> Result<(), SqlError> {
        match words.next("an option")?.name.clone().as_str() {
            "format" => once("FORMAT", &mut self.is_csv, words.format()?),
            "csv" => once("CSV", &mut self.is_csv, true),
            "header" => once("HEADER", &mut self.header, words.header()),
            "delimiter" | "delimiters" => once("DELIMITER", &mut self.delimiter, words.byte("a delimiter")?),
            "null" => once("NULL", &mut self.null, words.value("what stands for NULL")?),
            "quote" => once("QUOTE", &mut self.quote, words.byte("a quote")?),
            "escape" => once("ESCAPE", &mut self.escape, words.byte("an escape")?),
            "encoding" => once("ENCODING", &mut self.encoding, words.encoding()?),
            other => Err(unsupported(format!("COPY with option {other}"))
                .with_hint("there are FORMAT text or csv, HEADER, DELIMITER, NULL, QUOTE, ESCAPE and ENCODING 'UTF8'")),
        }
    }

    fn format(self) -> Result<CopyFormat, SqlError> {
        let is_csv = self.is_csv.unwrap_or_default();
        let usual = if is_csv { CopyFormat::csv() } else { CopyFormat::text() };
        let only_csv = [("QUOTE", self.quote), ("ESCAPE", self.escape)];
        if let (false, Some((name, _))) = (is_csv, only_csv.iter().find(|(_, said)| said.is_some())) {
            return Err(unsupported(format!("COPY: {name} is of the format csv alone"))
                .with_hint("write FORMAT csv, or leave it out"));
        }
        let quote = self.quote.unwrap_or(usual.quote);
        let format = CopyFormat {
            is_csv,
            delimiter: self.delimiter.unwrap_or(usual.delimiter),
            null: self.null.unwrap_or(usual.null),
            header: self.header.unwrap_or(usual.header),
            quote,
            escape: self.escape.unwrap_or(quote),
        };
        check(&format)?;
        Ok(format)
    }
}

/// What could not be told apart in rows.
fn check(format: &CopyFormat) -> Result<(), SqlError> {
    let wrong = |message: &str| Err(SqlError::new(SqlError::INVALID_PARAMETER, format!("COPY: {message}")));
    let in_null = |byte: u8| format.null.as_bytes().contains(&byte);
    if format.null.contains(['\n', '\r']) {
        return wrong("what stands for NULL cannot hold the end of a line");
    }
    if in_null(format.delimiter) {
        return wrong("the delimiter stands in what stands for NULL");
    }
    if format.is_csv && format.delimiter == format.quote {
        return wrong("the delimiter is the quote too");
    }
    if format.is_csv && in_null(format.quote) {
        return wrong("the quote stands in what stands for NULL");
    }
    let is_in_values = |byte: u8| byte == b'\\' || byte == b'.' || byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if !format.is_csv && is_in_values(format.delimiter) {
        return wrong("the delimiter cannot be a letter, a digit, a dot or a backslash");
    }
    Ok(())
}

fn once<T>(name: &str, place: &mut Option<T>, value: T) -> Result<(), SqlError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(SqlError::new(SqlError::SYNTAX, format!("COPY: {name} is said twice"))),
    }
}

fn unsupported(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlError::UNSUPPORTED, message)
}

/// The words of COPY, one after the other.
struct Words<'a> {
    words: &'a [Word],
    at: usize,
}

impl Words<'_> {
    /// A name, which may stand behind that of the schema.
    fn table(&mut self) -> Result<String, SqlError> {
        let first = self.next("the name of a table")?;
        if !first.quoted && first.text == "public." {
            return Ok(self.next("the name of a table")?.text.clone());
        }
        let (name, quoted) = (first.text.clone(), first.quoted);
        Ok(if quoted { name } else { name.strip_prefix("public.").map(str::to_owned).unwrap_or(name) })
    }

    fn columns(&mut self) -> Result<Vec<String>, SqlError> {
        let mut columns = Vec::new();
        if self.takes("(") {
            columns.push(self.next("the name of a column")?.text.clone());
            while self.takes(",") {
                columns.push(self.next("the name of a column")?.text.clone());
            }
            self.expect(")")?;
        }
        Ok(columns)
    }

    /// Is it csv?
    fn format(&mut self) -> Result<bool, SqlError> {
        let name = self.value("a format")?.to_ascii_lowercase();
        match name.as_str() {
            "csv" => Ok(true),
            "text" => Ok(false),
            _ => Err(unsupported(format!("COPY in the format {name}")).with_hint("write FORMAT csv or FORMAT text")),
        }
    }

    fn header(&mut self) -> Header {
        if self.takes("match") {
            return Header::Match;
        }
        let no = ["false", "off", "0"].iter().any(|word| self.takes(word));
        let _yes = ["true", "on", "1"].iter().any(|word| self.takes(word));
        if no { Header::None } else { Header::Skip }
    }

    fn encoding(&mut self) -> Result<(), SqlError> {
        let name = self.value("an encoding")?;
        let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        match plain.to_ascii_lowercase().as_str() {
            "utf8" | "unicode" => Ok(()),
            _ => Err(unsupported(format!("COPY in the encoding {name}")).with_hint("send it in UTF8")),
        }
    }

    fn next(&mut self, what: &str) -> Result<&Word, SqlError> {
        let word = self.words.get(self.at);
        self.at += 1;
        word.ok_or_else(|| SqlError::new(SqlError::SYNTAX, format!("syntax error: COPY ends where {what} must stand")))
    }

    fn takes(&mut self, name: &str) -> bool {
        let is_there = self.words.get(self.at).is_some_and(|word| !word.quoted && word.name == name);
        self.at += usize::from(is_there);
        is_there
    }

    fn expect(&mut self, name: &str) -> Result<(), SqlError> {
        match self.takes(name) {
            true => Ok(()),
            false => Err(SqlError::new(SqlError::SYNTAX, format!("syntax error: COPY lacks `{name}`"))),
        }
    }

    /// A string or a word, behind AS or not.
    fn value(&mut self, what: &str) -> Result<String, SqlError> {
        self.takes("as");
        Ok(self.next(what)?.text.clone())
    }

    fn byte(&mut self, what: &str) -> Result<u8, SqlError> {
        match self.value(what)?.as_bytes() {
            [byte] if !matches!(byte, b'\n' | b'\r') => Ok(*byte),
            _ => Err(SqlError::new(SqlError::INVALID_PARAMETER, format!("{what} of COPY is one character"))),
        }
    }
}
