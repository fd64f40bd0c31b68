//! Prepared statements in SQL: PREPARE, EXECUTE, EXPLAIN EXECUTE.

use super::words::Word;
use super::{Command, read as read_statement};
use eddyline_engine::statement::{Statement, StatementKind};
use eddyline_engine::{Dialect, SqlError, parse_in};

/// `PREPARE name [(type, …)] AS statement`.
#[derive(Debug, Clone)]
pub(crate) struct Prepare {
    pub(crate) name: String,
    /// As they were written.
    pub(crate) types: Vec<String>,
    pub(crate) command: Box<Command>,
    /// All of it.
    pub(crate) text: String,
}

/// `EXECUTE name [(value, …)]`.
#[derive(Debug, Clone)]
pub(crate) struct Execute {
    pub(crate) name: String,
    pub(crate) arguments: Vec<Argument>,
}

/// A value that a prepared statement is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Argument {
    /// NULL.
    Null,
    /// A text in quotes.
    Text(String),
    /// A number without an exponent.
    Number(String),
    /// An expression, as it was written.
    Expression(String),
}

const PREPARE: &str = "write PREPARE name [(type, …)] AS SELECT …, INSERT …, UPDATE … or DELETE …";
const EXECUTE: &str = "write EXECUTE name [(value, …)]";

/// Does one of these statements begin with these words?
pub(super) fn begins(words: &[Word]) -> bool {
    let names: Vec<&str> = words.iter().take(6).map(|word| if word.quoted { "" } else { word.name.as_str() }).collect();
    match names.as_slice() {
        ["prepare", ..] => true,
        ["execute", "statement", "set", ..] => false,
        ["execute", ..] => true,
        ["explain", rest @ ..] => {
            rest.iter().position(|word| *word == "execute").is_some_and(|at| rest.get(at + 1) != Some(&"statement"))
        }
        _ => false,
    }
}

/// Reads one of these statements, of all of whose words these are.
///
/// # Errors
/// A syntax error, or that of the statement that is prepared.
pub(super) fn read(text: &str, words: &[Word], dialect: Dialect) -> Result<Command, SqlError> {
    match words[0].name.as_str() {
        "prepare" => prepare(text, words, dialect).map(Command::Prepare),
        "execute" => Ok(Command::Execute(execute(text, &words[1..], dialect)?)),
        _ => {
            let at = words.iter().position(|word| word.name == "execute").unwrap_or_default();
            // What is explained is put in when it is known.
            let explain = format!("{} SELECT 1", &text[..words[at].begin]);
            let explain = parse_in(&explain, dialect)?.pop().ok_or_else(|| syntax(EXECUTE))?;
            Ok(Command::ExplainExecute(Box::new(explain), execute(text, &words[at + 1..], dialect)?))
        }
    }
}

/// EXPLAIN of one statement as EXPLAIN of another.
pub(crate) fn explained(explain: &Statement, statement: Statement) -> Statement {
    let statement = Box::new(statement);
    let kind = match &explain.kind {
        StatementKind::ExplainState(_) => StatementKind::ExplainState(statement),
        StatementKind::ExplainAlter { from, .. } => StatementKind::ExplainAlter { from: from.clone(), statement },
        StatementKind::Explain { stage, .. } => StatementKind::Explain { stage: *stage, statement },
        other => other.clone(),
    };
    Statement { kind, ..explain.clone() }
}

fn prepare(text: &str, words: &[Word], dialect: Dialect) -> Result<Prepare, SqlError> {
    let (name, rest) = name(&words[1..], PREPARE)?;
    if !words[1].quoted && name == "transaction" && rest.first().is_some_and(|word| word.quoted) {
        return Err(SqlError::new(SqlError::UNSUPPORTED, "PREPARE TRANSACTION")
            .with_hint("every statement takes effect by itself; COMMIT ends the transaction"));
    }
    let (types, rest) = list(text, rest, PREPARE)?;
    let [begin, first, ..] = rest else { return Err(syntax(PREPARE)) };
    if begin.quoted || begin.name != "as" {
        return Err(syntax(PREPARE));
    }
    // Places count from the beginning of all of it: there is space where something else stands.
    let blank: String = text[..first.begin].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
    let command = read_statement(&format!("{blank}{}", &text[first.begin..]), dialect)?;
    let may_be = match &command {
        Command::Catalogs(_) => true,
        Command::Sql(statement) => matches!(
            statement.kind,
            StatementKind::Select(_) | StatementKind::Insert(_) | StatementKind::Update(_) | StatementKind::Delete(_)
        ),
        _ => false,
    };
    if !may_be {
        return Err(syntax(PREPARE));
    }
    Ok(Prepare { name, types, command: Box::new(command), text: text.trim().to_owned() })
}

fn execute(text: &str, words: &[Word], dialect: Dialect) -> Result<Execute, SqlError> {
    let (name, rest) = name(words, EXECUTE)?;
    let (arguments, rest) = list(text, rest, EXECUTE)?;
    if !rest.is_empty() {
        return Err(syntax(EXECUTE));
    }
    Ok(Execute { name, arguments: arguments.into_iter().map(|text| argument(text, dialect)).collect() })
}

fn argument(text: String, dialect: Dialect) -> Argument {
    let parts = super::words::words(&text, dialect, 3);
    match parts.as_slice() {
        [word] if word.quoted && text.starts_with(['\'', '$']) => Argument::Text(word.text.clone()),
        [word] if !word.quoted && word.name == "null" => Argument::Null,
        [word] if !word.quoted && is_number(&word.text) => Argument::Number(word.text.clone()),
        [sign, word] if sign.text == "-" && !sign.quoted && !word.quoted && is_number(&word.text) => {
            Argument::Number(format!("-{}", word.text))
        }
        _ => Argument::Expression(text),
    }
}

/// Digits, and a point among them.
fn is_number(text: &str) -> bool {
    let (whole, behind) = text.split_once('.').unwrap_or((text, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !whole.is_empty() && are_digits(whole) && are_digits(behind)
}

fn name<'w>(words: &'w [Word], form: &str) -> Result<(String, &'w [Word]), SqlError> {
    let [name, rest @ ..] = words else { return Err(syntax(form)) };
    let is_name = name.quoted || name.name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    if is_name && !name.name.is_empty() { Ok((name.name.clone(), rest)) } else { Err(syntax(form)) }
}

/// What stands between brackets and commas, if a bracket comes next, and the words behind it.
fn list<'w>(text: &str, words: &'w [Word], form: &str) -> Result<(Vec<String>, &'w [Word]), SqlError> {
    let sign = |word: &Word| if word.quoted { None } else { word.text.chars().next() };
    let Some((first, inside)) = words.split_first().filter(|(first, _)| sign(first) == Some('(')) else {
        return Ok((Vec::new(), words));
    };
    let (mut items, mut begin, mut open) = (Vec::new(), first.begin + 1, 0_usize);
    for (at, word) in inside.iter().enumerate() {
        match sign(word) {
            Some('(' | '[' | '{') => open += 1,
            Some(end @ (',' | ')')) if open == 0 => {
                let item = text[begin..word.begin].trim();
                if item.is_empty() {
                    return Err(syntax(form));
                }
                items.push(item.to_owned());
                begin = word.begin + 1;
                if end == ')' {
                    return Ok((items, &inside[at + 1..]));
                }
            }
            Some(')' | ']' | '}') => open = open.saturating_sub(1),
            _ => {}
        }
    }
    Err(syntax(form))
}

fn syntax(form: &str) -> SqlError {
    let verb = form.split(' ').nth(1).unwrap_or_default();
    SqlError::new(SqlError::SYNTAX, format!("syntax error in {verb}")).with_hint(form)
}
