//! Statements that concern the connection, and not the engine: transactions, variables, prepared statements.
//!
//! What is none of them is parsed by the engine.

use crate::copy::{Copy, CopyFormat};
use eddyline_engine::settings::SETTINGS;
use eddyline_engine::statement::Statement;
use eddyline_engine::{SqlError, parse};

/// A statement of a client.
#[derive(Debug, Clone)]
pub(crate) enum Command {
    /// Nothing but space and comments.
    Empty,
    /// `BEGIN`, `START TRANSACTION`.
    Begin,
    /// `COMMIT`, `END`.
    Commit,
    /// `ROLLBACK`, `ABORT`.
    Rollback,
    /// `SET name = value`; `None` for DEFAULT.
    Set(String, Option<String>),
    /// `SHOW name`.
    Show(String),
    /// `SHOW ALL`.
    ShowAll,
    /// `RESET name`; `None` for ALL.
    Reset(Option<String>),
    /// `DISCARD ALL` and parts of it.
    Discard,
    /// `DEALLOCATE name`; `None` for ALL.
    Deallocate(Option<String>),
    /// `COPY … FROM STDIN`.
    Copy(Box<Copy>),
    /// Of the engine.
    Sql(Box<Statement>),
}

/// What SHOW lists, and is no variable.
const LISTS: [&str; 10] = [
    "tables",
    "views",
    "materialized",
    "create",
    "functions",
    "columns",
    "connectors",
    "checkpoints",
    "jobs",
    "sources",
];

/// Reads one statement, without its semicolon.
///
/// # Errors
/// What the engine cannot parse; places count from the beginning of `text`.
pub(crate) fn read(text: &str) -> Result<Command, SqlError> {
    let begin = words(text, WORDS_MAX);
    if begin.first().is_some_and(|word| !word.quoted && word.name == "copy") {
        let all = words(text, usize::MAX);
        return Options { words: &all, at: 1 }.copy().map(|copy| Command::Copy(Box::new(copy)));
    }
    match of_connection(&begin) {
        Some(command) => Ok(command),
        None => {
            let mut statements = parse(text)?;
            match (statements.pop(), statements.pop()) {
                (Some(only), None) => Ok(Command::Sql(Box::new(only))),
                (None, _) => Ok(Command::Empty),
                (Some(_), Some(_)) => Err(several()),
            }
        }
    }
}

/// Several statements where there may be one.
pub(crate) fn several() -> SqlError {
    SqlError::new(SqlError::SYNTAX, "a prepared statement is one statement")
}

fn of_connection(words: &[Word]) -> Option<Command> {
    let names: Vec<&str> = words.iter().map(|word| word.name.as_str()).collect();
    let value = |at: usize| {
        let value = join(&words[at..])?;
        let is_default = words.len() == at + 1 && !words[at].quoted && words[at].name == "default";
        Some(if is_default { None } else { Some(value) })
    };
    Some(match names.as_slice() {
        ["begin", rest @ ..] if rest.first() != Some(&"statement") => Command::Begin,
        ["start", "transaction", ..] => Command::Begin,
        ["commit" | "end", ..] => Command::Commit,
        ["rollback", rest @ ..] if rest.contains(&"to") || rest.first() == Some(&"prepared") => return None,
        ["rollback" | "abort", ..] => Command::Rollback,
        ["discard", _] => Command::Discard,
        ["deallocate", "prepare", name] | ["deallocate", name] => {
            Command::Deallocate((*name != "all").then(|| (*name).to_owned()))
        }
        ["set", "transaction", ..] | ["set", "session", "characteristics", ..] => {
            Command::Set("transaction".into(), None)
        }
        ["set", "session" | "local", rest @ ..] if rest.len() > 1 => return of_connection(&without(words, 1)),
        ["set", "time", "zone", _, ..] => Command::Set("timezone".into(), value(3)?),
        ["set", "names", _] => Command::Set("client_encoding".into(), value(2)?),
        ["set", name, "=" | "to", _, ..] if !is_of_engine(name) => Command::Set((*name).to_owned(), value(3)?),
        ["show", "all"] => Command::ShowAll,
        ["show", "time", "zone"] => Command::Show("timezone".into()),
        ["show", "transaction", "isolation", "level"] => Command::Show("transaction_isolation".into()),
        ["show", name] if !LISTS.contains(name) => Command::Show((*name).to_owned()),
        ["reset", "all"] => Command::Reset(None),
        ["reset", "time", "zone"] => Command::Reset(Some("timezone".into())),
        ["reset", name] if !is_of_engine(name) => Command::Reset(Some((*name).to_owned())),
        _ => return None,
    })
}

fn without(words: &[Word], at: usize) -> Vec<Word> {
    words.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, word)| word.clone()).collect()
}

/// A setting of the engine.
pub(crate) fn is_of_engine(name: &str) -> bool {
    SETTINGS.iter().any(|s| s.name == name || s.alias == Some(name)) || name.contains('-')
}

/// A value of several words and commas.
fn join(words: &[Word]) -> Option<String> {
    let mut value = String::new();
    for word in words {
        match word.text.as_str() {
            "," => value.push_str(", "),
            text => {
                if !value.is_empty() && !value.ends_with(' ') && !value.ends_with(['-', '+']) {
                    value.push(' ');
                }
                value.push_str(text);
            }
        }
    }
    (!words.is_empty()).then_some(value)
}

/// A word, a string, a quoted name or a sign.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    /// As it was written, without quotes.
    text: String,
    /// In lower case, unless quoted.
    name: String,
    quoted: bool,
}

/// How much of a statement is looked at.
const WORDS_MAX: usize = 64;

fn words(text: &str, words_max: usize) -> Vec<Word> {
    let mut found = Vec::new();
    let mut rest = text;
    while found.len() < words_max {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else { break };
        if rest.starts_with("--") {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
            continue;
        }
        if rest.starts_with("/*") {
            rest = rest.find("*/").map_or("", |end| &rest[end + 2..]);
            continue;
        }
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '$');
        let (word, length) = match first {
            '\'' | '"' | '`' => {
                let end = rest[1..].find(first).map_or(rest.len(), |end| end + 2);
                let text = rest[1..end].trim_end_matches(first).to_owned();
                (Word { name: text.clone(), text, quoted: true }, end)
            }
            c if is_part(c) => {
                let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
                let text = rest[..end].to_owned();
                (Word { name: text.to_ascii_lowercase(), text, quoted: false }, end)
            }
            c => (Word { name: c.to_string(), text: c.to_string(), quoted: false }, c.len_utf8()),
        };
        found.push(word);
        rest = &rest[length..];
    }
    found
}

/// The words of COPY, one after the other.
struct Options<'a> {
    words: &'a [Word],
    at: usize,
}

impl Options<'_> {
    fn copy(&mut self) -> Result<Copy, SqlError> {
        let name = self.next("the name of a table")?.text.clone();
        let table = name.strip_prefix("public.").unwrap_or(&name).to_owned();
        let mut columns = Vec::new();
        if self.takes("(") {
            columns = vec![self.next("the name of a column")?.text.clone()];
            while self.takes(",") {
                columns.push(self.next("the name of a column")?.text.clone());
            }
            self.expect(")")?;
        }
        if !self.takes("from") || !self.takes("stdin") {
            return Err(SqlError::new(SqlError::UNSUPPORTED, "COPY from or to anything but STDIN").with_hint(
                "write COPY t FROM STDIN; SELECT reads rows, files are tables with connector 'filesystem'",
            ));
        }
        self.takes("with");
        let in_brackets = self.takes("(");
        let mut format = CopyFormat::text();
        while self.at < self.words.len() && !(in_brackets && self.takes(")")) {
            self.option(&mut format)?;
            self.takes(",");
        }
        Ok(Copy { table, columns, format })
    }

    fn option(&mut self, format: &mut CopyFormat) -> Result<(), SqlError> {
        match self.next("an option")?.name.clone().as_str() {
            "format" => self.format(format)?,
            "csv" => *format = self.other(format, true),
            "header" if self.takes("false") || self.takes("off") => format.has_header = false,
            "header" => {
                let _ = self.takes("true") || self.takes("on") || self.takes("match");
                format.has_header = true;
            }
            "delimiter" | "delimiters" => format.delimiter = self.byte("a delimiter")?,
            "null" => format.null = self.value("what stands for NULL")?,
            "quote" => format.quote = self.byte("a quote")?,
            "escape" => format.escape = self.byte("an escape")?,
            "encoding" => drop(self.value("an encoding")?),
            other => {
                return Err(SqlError::new(SqlError::UNSUPPORTED, format!("COPY with option {other}"))
                    .with_hint("there are FORMAT text or csv, HEADER, DELIMITER, NULL, QUOTE and ESCAPE"));
            }
        }
        Ok(())
    }

    fn format(&mut self, format: &mut CopyFormat) -> Result<(), SqlError> {
        let name = self.value("a format")?.to_ascii_lowercase();
        match name.as_str() {
            "csv" | "text" => *format = self.other(format, name == "csv"),
            _ => {
                return Err(SqlError::new(SqlError::UNSUPPORTED, format!("COPY in the format {name}"))
                    .with_hint("write FORMAT csv or FORMAT text"));
            }
        }
        Ok(())
    }

    /// Another format; what was said already holds.
    fn other(&self, said: &CopyFormat, is_csv: bool) -> CopyFormat {
        let (from, to) = (CopyFormat::text(), if is_csv { CopyFormat::csv() } else { CopyFormat::text() });
        CopyFormat {
            delimiter: if said.delimiter == from.delimiter { to.delimiter } else { said.delimiter },
            null: if said.null == from.null { to.null } else { said.null.clone() },
            is_csv,
            ..said.clone()
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

    /// A string or a word, behind AS or not; `E'\t'` is a tab.
    fn value(&mut self, what: &str) -> Result<String, SqlError> {
        self.takes("as");
        let escapes = self.takes("e");
        let value = self.next(what)?.text.clone();
        Ok(if escapes { value.replace("\\t", "\t").replace("\\\\", "\\") } else { value })
    }

    fn byte(&mut self, what: &str) -> Result<u8, SqlError> {
        match self.value(what)?.as_bytes() {
            [byte] if !matches!(byte, b'\n' | b'\r') => Ok(*byte),
            _ => Err(SqlError::new(SqlError::INVALID_PARAMETER, format!("{what} of COPY is one character"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(text: &str) -> Result<Copy, String> {
        match read(text) {
            Ok(Command::Copy(copy)) => Ok(*copy),
            Ok(_) => Err("no COPY".into()),
            Err(error) => Err(error.message),
        }
    }

    #[test]
    fn copy_has_options_in_both_spellings() {
        let plain = Copy { table: "t".into(), columns: Vec::new(), format: CopyFormat::text() };
        assert_eq!(copy("COPY t FROM STDIN"), Ok(plain.clone()));
        let columns = vec!["a".to_owned(), "b c".to_owned()];
        let csv = CopyFormat { has_header: true, delimiter: b';', ..CopyFormat::csv() };
        let wanted = Copy { columns, format: csv, ..plain.clone() };
        assert_eq!(
            copy("COPY public.t (a, \"b c\") FROM STDIN WITH (FORMAT csv, HEADER true, DELIMITER ';')"),
            Ok(wanted.clone())
        );
        assert_eq!(copy("copy t (a, \"b c\") from stdin delimiter as ';' csv header"), Ok(wanted));
        let format = CopyFormat { null: String::new(), ..CopyFormat::text() };
        assert_eq!(copy("COPY t FROM STDIN (DELIMITER E'\\t', NULL '')"), Ok(Copy { format, ..plain }));
        assert!(copy("COPY t FROM '/etc/passwd'").unwrap_err().contains("but STDIN"));
        assert!(copy("COPY t FROM PROGRAM 'ls'").unwrap_err().contains("but STDIN"));
        assert!(copy("COPY t FROM STDIN (FORMAT binary)").unwrap_err().contains("format binary"));
    }

    fn shown(text: &str) -> String {
        match read(text) {
            Ok(Command::Sql(statement)) => format!("SQL {}", statement.sql),
            Ok(command) => format!("{command:?}"),
            Err(error) => error.message,
        }
    }

    #[test]
    fn statements_of_the_connection_are_told_from_those_of_the_engine() {
        assert_eq!(shown(" -- nothing\n /* at all */ "), "Empty");
        assert_eq!(shown("BEGIN"), "Begin");
        assert_eq!(shown("begin isolation level serializable"), "Begin");
        assert_eq!(shown("START TRANSACTION READ ONLY"), "Begin");
        assert_eq!(shown("END"), "Commit");
        assert_eq!(shown("rollback work"), "Rollback");
        assert_eq!(shown("SET application_name = 'x y'"), "Set(\"application_name\", Some(\"x y\"))");
        assert_eq!(shown("SET search_path TO a, b"), "Set(\"search_path\", Some(\"a, b\"))");
        assert_eq!(shown("SET LOCAL extra_float_digits TO DEFAULT"), "Set(\"extra_float_digits\", None)");
        assert_eq!(shown("SET TIME ZONE 'UTC'"), "Set(\"timezone\", Some(\"UTC\"))");
        assert_eq!(shown("SHOW server_version"), "Show(\"server_version\")");
        assert_eq!(shown("SHOW TRANSACTION ISOLATION LEVEL"), "Show(\"transaction_isolation\")");
        assert_eq!(shown("DEALLOCATE ALL"), "Deallocate(None)");
        assert_eq!(shown("SHOW TABLES"), "SQL SHOW TABLES");
        assert_eq!(shown("SET 'execution.shards' = '1'"), "SQL SET 'execution.shards' = '1'");
        assert_eq!(shown("SELECT 1"), "SQL SELECT 1");
    }
}
