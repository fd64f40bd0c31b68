//! What could stand where the cursor is.

use super::command::COMMANDS;
use super::input::items;
use super::lex::{Kind, Piece, pieces};
use super::options::Opt;
use super::vocabulary::Vocabulary;
use super::words::{BEGINNINGS, KEYWORDS, SHOWN, is_keyword};
use eddyline_engine::catalog::PUBLIC;
use eddyline_engine::settings::{SETTINGS, SettingKind};
use std::path::Path;

/// What a result can be shown as.
const MODES: &[&str] = &["table", "changelog", "tableau"];
/// Formats of files and sockets.
const FORMATS: &[&str] =
    &["csv", "json", "parquet", "raw", "debezium-json", "changelog-json", "changelog-csv", "upsert-json", "upsert-csv"];

/// Completions: the byte from which they replace the text up to the cursor, and the texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Completions {
    pub(crate) from: usize,
    pub(crate) texts: Vec<String>,
}

/// The completions at byte `cursor` of a text.
pub(crate) fn complete(text: &str, cursor: usize, vocabulary: &Vocabulary) -> Completions {
    let typed = &text[..cursor];
    let begun = items(typed, vocabulary.dialect).begun;
    let line_begin = typed.rfind('\n').map_or(0, |at| at + 1);
    let found = match begun {
        None if typed[line_begin..].trim_start().starts_with('\\') => of_command(&typed[line_begin..], vocabulary),
        _ => {
            let begin = begun.unwrap_or(cursor);
            Statement::new(&text[begin..], cursor - begin, vocabulary).complete()
        }
    };
    let (length, mut texts) = found.unwrap_or_default();
    texts.sort();
    texts.dedup();
    Completions { from: cursor - length, texts }
}

/// How many bytes are replaced, by what.
type Found = Option<(usize, Vec<String>)>;

fn of_command(line: &str, vocabulary: &Vocabulary) -> Found {
    let line = line.trim_start();
    let Some((name, argument)) = line.split_once(char::is_whitespace) else {
        let names = COMMANDS.iter().map(|(name, ..)| (*name).to_owned());
        return Some((line.len(), names.filter(|name| name.starts_with(line)).collect()));
    };
    let argument = argument.trim_start();
    let of = |words: &[&str]| Some((argument.len(), starting(words.iter().copied(), argument)));
    match name {
        "\\d" => Some((argument.len(), starting(vocabulary.relations.keys().map(String::as_str), argument))),
        "\\df" => {
            let functions = vocabulary.functions.iter().map(String::as_str);
            Some((argument.len(), starting(functions, argument)))
        }
        "\\i" => Some(files(argument)),
        "\\mode" => of(MODES),
        "\\format" => of(&["table", "changelog", "csv", "json", "auto"]),
        "\\x" | "\\timing" | "\\wide" => of(&["on", "off"]),
        "\\set" | "\\pset" => of(&Opt::ALL.map(Opt::name)),
        _ => None,
    }
}

/// A statement with a cursor in it.
struct Statement<'a> {
    /// All of it.
    text: &'a str,
    all: Vec<Piece>,
    /// What stands before the word that is being typed.
    before: Vec<&'a str>,
    /// The word, string or quoted name that is being typed.
    word: &'a str,
    kind: Kind,
    vocabulary: &'a Vocabulary,
}

impl<'a> Statement<'a> {
    fn new(text: &'a str, cursor: usize, vocabulary: &'a Vocabulary) -> Self {
        let typed = &text[..cursor];
        let mut of_typed = pieces(typed, vocabulary.dialect);
        let is_typed = |p: &Piece| {
            p.open || (p.bytes.end == cursor && matches!(p.kind, Kind::Keyword | Kind::Word | Kind::Number))
        };
        let last = if of_typed.last().is_some_and(is_typed) { of_typed.pop() } else { None };
        let (word, kind) = last.map_or(("", Kind::Word), |p| (&typed[p.bytes.clone()], p.kind));
        let said = of_typed.iter().filter(|p| p.kind != Kind::Comment);
        let before = said.map(|p| &typed[p.bytes.clone()]).collect();
        Self { text, all: pieces(text, vocabulary.dialect), before, word, kind, vocabulary }
    }

    /// The `n`th piece before the word, from 0.
    fn back(&self, n: usize) -> &str {
        self.before.len().checked_sub(n + 1).map_or("", |at| self.before[at])
    }

    fn is_back(&self, n: usize, word: &str) -> bool {
        self.back(n).eq_ignore_ascii_case(word)
    }

    fn begins(&self, word: &str) -> bool {
        self.before.first().is_some_and(|first| first.eq_ignore_ascii_case(word))
    }

    fn complete(&self) -> Found {
        match self.kind {
            Kind::Comment | Kind::Number => None,
            Kind::String => self.of_string(&self.word[1..]),
            Kind::Quoted => {
                let name = &self.word[1..];
                let names = self.relations().chain(self.columns_in_reach());
                Some((self.word.len(), starting(names, name).into_iter().map(|n| format!("`{n}`")).collect()))
            }
            _ => Some((self.word.len(), self.of_word())),
        }
    }

    /// Settings, their values, options and their values, files.
    fn of_string(&self, typed: &str) -> Found {
        let closed = |words: Vec<String>| Some((typed.len(), words.into_iter().map(|w| format!("{w}'")).collect()));
        if (self.begins("SET") || self.begins("RESET")) && self.before.len() == 1 {
            return closed(starting(settings(), typed));
        }
        if self.begins("SET") && self.is_back(0, "=") {
            return closed(starting(values_of(self.back(1).trim_matches('\'')).into_iter(), typed));
        }
        match self.back(1).trim_matches('\'') {
            "connector" if self.is_back(0, "=") => {
                closed(starting(self.vocabulary.connectors.iter().map(String::as_str), typed))
            }
            "format" if self.is_back(0, "=") => closed(starting(FORMATS.iter().copied(), typed)),
            "path" if self.is_back(0, "=") => Some(files(typed)),
            _ if typed.starts_with(['/', '.', '~']) => Some(files(typed)),
            _ if matches!(self.back(0), "(" | ",") && self.before.iter().any(|w| w.eq_ignore_ascii_case("WITH")) => {
                closed(starting(["connector", "format", "path"].into_iter(), typed))
            }
            _ => None,
        }
    }

    fn of_word(&self) -> Vec<String> {
        if self.is_back(0, ".") {
            let of = self.back(1);
            let in_schema = self.vocabulary.schemas.get(unquoted(of)).into_iter().flat_map(|all| all.keys());
            let mut found = self.named(self.columns_of(of).into_iter());
            found.extend(self.named(in_schema.map(String::as_str)));
            return found;
        }
        if self.before.is_empty() {
            return self.cased(BEGINNINGS);
        }
        match self.back(0).to_ascii_uppercase().as_str() {
            "SHOW" => return self.cased(SHOWN),
            "DROP" => return self.cased(&["MATERIALIZED VIEW", "SCHEMA", "TABLE", "VIEW"]),
            "CREATE" => {
                return self.cased(&[
                    "TABLE",
                    "VIEW",
                    "MATERIALIZED VIEW",
                    "SCHEMA",
                    "TEMPORARY TABLE",
                    "TEMPORARY VIEW",
                    "OR REPLACE TABLE",
                    "OR REPLACE VIEW",
                ]);
            }
            "EXPLAIN" => {
                let mut all = self.cased(&["ALTER", "CHANGELOG", "LOGICAL", "OPTIMIZED", "STATE"]);
                all.extend(self.cased(BEGINNINGS));
                return all;
            }
            "SET" | "RESET" if self.before.len() == 1 && !self.begins("EXECUTE") => {
                return starting(settings(), self.word).into_iter().map(|name| format!("'{name}'")).collect();
            }
            "=" if self.begins("SET") && self.before.len() == 3 => {
                let values = values_of(self.back(1).trim_matches('\''));
                return starting(values.into_iter(), self.word).into_iter().map(|v| format!("'{v}'")).collect();
            }
            "TABLE" | "VIEW" if self.begins("CREATE") && !self.text.contains('(') => {
                return self.cased(&["IF NOT EXISTS"]);
            }
            "SCHEMA" | "USE" => return self.named(self.vocabulary.schemas.keys().map(String::as_str)),
            "FROM" | "JOIN" | "INTO" | "UPDATE" | "TRUNCATE" | "TABLE" | "VIEW" | "DESCRIBE" | "DESC" | "EXISTS" => {
                let mut found = self.named(self.relations());
                // What is in `public` alone needs no schema.
                let schemas = self.vocabulary.schemas.iter().filter(|(name, all)| *name != PUBLIC && !all.is_empty());
                let schemas = self.named(schemas.map(|(name, _)| name.as_str()));
                found.extend(schemas.into_iter().map(|name| format!("{name}.")));
                if !self.word.is_empty() {
                    found.extend(self.cased(KEYWORDS));
                }
                return found;
            }
            _ => {}
        }
        let mut found = self.named(self.columns_in_reach());
        if !self.word.is_empty() {
            found.extend(self.named(self.relations()));
            found.extend(self.cased(KEYWORDS));
            let functions = self.vocabulary.functions.iter().map(String::as_str);
            let functions = functions.filter(|f| !is_keyword(f) && f.starts_with(char::is_alphabetic));
            found.extend(self.in_case(starting(functions, self.word)).into_iter().map(|f| format!("{f}(")));
        }
        found
    }

    fn relations(&self) -> impl Iterator<Item = &'a str> {
        self.vocabulary.relations.keys().map(String::as_str)
    }

    /// The columns of all tables and views that the statement names.
    fn columns_in_reach(&self) -> impl Iterator<Item = &'a str> {
        let word = |at: usize| self.all.get(at).map_or("", |piece| unquoted(&self.text[piece.bytes.clone()]));
        let in_schema = move |at: usize| {
            let schema = at.checked_sub(2).filter(|_| word(at - 1) == ".").map(word);
            self.vocabulary.schemas.get(schema?)?.get(word(at))
        };
        let named =
            (0..self.all.len()).filter_map(move |at| in_schema(at).or_else(|| self.vocabulary.relations.get(word(at))));
        named.flat_map(|relation| relation.columns.iter().map(String::as_str))
    }

    /// The columns of a table or view, by its name or alias.
    fn columns_of(&self, name: &str) -> Vec<&'a str> {
        let name = unquoted(name);
        let words: Vec<&str> = self.all.iter().map(|p| &self.text[p.bytes.clone()]).collect();
        let aliased = words.iter().enumerate().find_map(|(at, word)| {
            let relation = self.vocabulary.relations.get(unquoted(word))?;
            let next = words.get(at + 1)?;
            let alias = if next.eq_ignore_ascii_case("AS") { words.get(at + 2)? } else { next };
            (unquoted(alias) == name).then_some(relation)
        });
        let relation = aliased.or_else(|| self.vocabulary.relations.get(name));
        relation.into_iter().flat_map(|relation| relation.columns.iter().map(String::as_str)).collect()
    }

    /// Names that go on with the word, in quotes where they need them.
    fn named<'b>(&self, names: impl Iterator<Item = &'b str>) -> Vec<String> {
        starting(names, self.word)
            .into_iter()
            .map(|name| if is_plain(&name) { name } else { format!("`{name}`") })
            .collect()
    }

    /// Keywords that go on with the word, in its case.
    fn cased(&self, words: &[&str]) -> Vec<String> {
        self.in_case(starting(words.iter().copied(), self.word))
    }

    fn in_case(&self, words: Vec<String>) -> Vec<String> {
        match self.word.starts_with(char::is_lowercase) {
            true => words.into_iter().map(|word| word.to_lowercase()).collect(),
            false => words,
        }
    }
}

/// Those that begin with what is typed, in any case.
fn starting<'a>(words: impl Iterator<Item = &'a str>, typed: &str) -> Vec<String> {
    let typed = typed.to_lowercase();
    words.filter(|word| word.to_lowercase().starts_with(&typed)).map(str::to_owned).collect()
}

fn settings() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().map(|spec| spec.name)
}

fn values_of(setting: &str) -> Vec<&'static str> {
    let spec = SETTINGS.iter().find(|spec| spec.name == setting || spec.alias == Some(setting));
    match spec.map(|spec| spec.kind) {
        Some(SettingKind::Choice(words)) => words.to_vec(),
        Some(SettingKind::Flag) => vec!["true", "false"],
        _ => Vec::new(),
    }
}

fn unquoted(name: &str) -> &str {
    let inner = |quote: char| name.strip_prefix(quote)?.strip_suffix(quote);
    inner('`').or_else(|| inner('"')).unwrap_or(name)
}

fn is_plain(name: &str) -> bool {
    let letter = |c: char| c.is_alphabetic() || c == '_';
    name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_numeric() || c == '$') && !is_keyword(name)
}

/// Files and directories that go on with the path; a directory ends with `/`.
fn files(typed: &str) -> (usize, Vec<String>) {
    let (directory, name) = typed.rfind('/').map_or(("", typed), |at| typed.split_at(at + 1));
    let home = || std::env::var("HOME").unwrap_or_default();
    let place = match directory.strip_prefix("~/") {
        Some(rest) => format!("{}/{rest}", home()),
        None if directory.is_empty() => ".".to_owned(),
        None => directory.to_owned(),
    };
    let entries = std::fs::read_dir(Path::new(&place)).into_iter().flatten().filter_map(Result::ok);
    let found = entries.filter_map(|entry| {
        let found = entry.file_name().into_string().ok()?;
        let is_hidden = found.starts_with('.') && !name.starts_with('.');
        let slash = if entry.path().is_dir() { "/" } else { "" };
        (found.starts_with(name) && !is_hidden).then(|| format!("{found}{slash}"))
    });
    (name.len(), found.collect())
}

#[cfg(test)]
mod tests;
