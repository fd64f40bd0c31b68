//! What COPY says behind its name: the table and its columns or a query, which way, how rows are written.

use super::words::{Word, reference};
use crate::copy::{Copy, CopyFormat, Header};
use eddyline_engine::SqlError;
use eddyline_engine::catalog::Reference;

/// What COPY is to do.
pub(super) enum Said {
    /// FROM STDIN.
    In(Copy),
    /// TO STDOUT: the rows of a query.
    Out(String, CopyFormat),
}

/// Reads the words behind COPY in `text`; `folds`: names without quotes are in small letters.
///
/// # Errors
/// What is no COPY from STDIN or to STDOUT, or options that do not go together.
pub(super) fn copy(text: &str, words: &[Word], folds: bool) -> Result<Said, SqlError> {
    let mut words = Words { words, at: 0, folds };
    if words.takes("(") {
        let begin = words.begin(text);
        let end = words.closing(text)?;
        words.takes("to");
        words.out()?;
        let format = words.options()?.format()?;
        return match format.header {
            Header::Match => Err(only_in()),
            _ => Ok(Said::Out(text[begin..end].to_owned(), format)),
        };
    }
    let begin = words.begin(text);
    let table = words.table()?;
    let between = words.begin(text);
    let columns = words.columns()?;
    let end = words.begin(text);
    if words.takes("to") {
        words.out()?;
        let format = words.options()?.format()?;
        if format.header == Header::Match {
            return Err(only_in());
        }
        let list = match columns.is_empty() {
            true => "*".to_owned(),
            false => text[between..end].trim().trim_start_matches('(').trim_end_matches(')').to_owned(),
        };
        return Ok(Said::Out(format!("SELECT {list} FROM {}", &text[begin..between]), format));
    }
    if !words.takes("from") || !words.takes("stdin") {
        return Err(no_file());
    }
    Ok(Said::In(Copy { table, columns, format: words.options()?.format()? }))
}

fn no_file() -> SqlError {
    unsupported("COPY from or to anything but STDIN and STDOUT")
        .with_hint("write COPY t FROM STDIN or COPY t TO STDOUT; files are tables with connector 'filesystem'")
}

fn only_in() -> SqlError {
    SqlError::new(SqlError::INVALID_PARAMETER, "COPY: HEADER MATCH is of COPY FROM alone").with_hint("write HEADER")
}

/// Options as far as they were said.
#[derive(Default)]
struct Options {
    is_csv: Option<bool>,
    delimiter: Option<u8>,
    null: Option<String>,
    header: Option<Header>,
    quote: Option<u8>,
    escape: Option<u8>,
    encoding: Option<()>,
}

impl Options {
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
    folds: bool,
}

impl Words<'_> {
    /// STDOUT.
    fn out(&mut self) -> Result<(), SqlError> {
        if self.takes("stdout") { Ok(()) } else { Err(no_file()) }
    }

    fn options(&mut self) -> Result<Options, SqlError> {
        self.takes("with");
        let in_brackets = self.takes("(");
        let mut said = Options::default();
        while self.at < self.words.len() && !(in_brackets && self.takes(")")) {
            said.take(self)?;
            self.takes(",");
        }
        Ok(said)
    }

    /// Where the next word begins.
    fn begin(&self, text: &str) -> usize {
        self.words.get(self.at).map_or(text.len(), |word| word.begin)
    }

    /// Goes behind the bracket that closes what was opened before. Returns where it stands.
    fn closing(&mut self, text: &str) -> Result<usize, SqlError> {
        let mut open = 1_usize;
        loop {
            let at = self.begin(text);
            let word = self.next("a bracket")?;
            match (word.quoted, word.text.as_str()) {
                (false, "(") => open += 1,
                (false, ")") => open -= 1,
                _ => {}
            }
            if open == 0 {
                return Ok(at);
            }
        }
    }

    /// A name, which may stand behind that of the schema.
    fn table(&mut self) -> Result<Reference, SqlError> {
        let part: fn(&Word) -> &str = if self.folds { |word| &word.name } else { |word| &word.text };
        match reference(&self.words[self.at..], part) {
            Some((table, taken)) => {
                self.at += taken;
                Ok(table)
            }
            None => self.next("the name of a table").and_then(|_| {
                Err(SqlError::new(SqlError::SYNTAX, "COPY: no name of a table").with_hint("write COPY schema.table …"))
            }),
        }
    }

    fn columns(&mut self) -> Result<Vec<String>, SqlError> {
        let mut columns = Vec::new();
        if self.takes("(") {
            columns.push(self.column()?);
            while self.takes(",") {
                columns.push(self.column()?);
            }
            self.expect(")")?;
        }
        Ok(columns)
    }

    fn column(&mut self) -> Result<String, SqlError> {
        let folds = self.folds;
        let word = self.next("the name of a column")?;
        Ok(if folds { word.name.clone() } else { word.text.clone() })
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
