//! The modes of transactions: whether they may change anything, and how they are kept apart.
//!
//! READ ONLY is kept: what changes something is refused. How a transaction is kept apart is shown as it was said and means nothing
//! more: what it reads is of one moment anyway.

use eddyline_engine::SqlError;

/// What BEGIN, SET TRANSACTION and SET SESSION CHARACTERISTICS say of transactions; `None`: nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Modes {
    /// `ISOLATION LEVEL …`.
    pub(crate) isolation: Option<&'static str>,
    /// `READ ONLY`, or `READ WRITE`.
    pub(crate) read_only: Option<bool>,
    /// `[NOT] DEFERRABLE`.
    pub(crate) deferrable: Option<bool>,
}

/// A transaction that is open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opened {
    pub(crate) modes: Modes,
    /// It has read or changed something.
    pub(crate) has_begun: bool,
}

const LEVELS: [&str; 4] = ["serializable", "repeatable read", "read committed", "read uncommitted"];
const ISOLATION: &str = "transaction_isolation";
const READ_ONLY: &str = "transaction_read_only";
const DEFERRABLE: &str = "transaction_deferrable";

impl Modes {
    /// A variable of the transaction that is open, `transaction_…`, or of those to come, `default_transaction_…`, in small letters,
    /// with a value. `None`: it is no such variable.
    ///
    /// # Errors
    /// A value that it cannot have.
    pub(crate) fn of_variable(name: &str, value: &str) -> Option<Result<Self, SqlError>> {
        let mode = name.strip_prefix("default_").unwrap_or(name);
        Some(match mode {
            ISOLATION => level(name, value).map(|level| Self { isolation: Some(level), ..Self::default() }),
            READ_ONLY => boolean(name, value).map(|on| Self { read_only: Some(on), ..Self::default() }),
            DEFERRABLE => boolean(name, value).map(|on| Self { deferrable: Some(on), ..Self::default() }),
            _ => return None,
        })
    }

    /// What they say, by the names of variables of the transaction that is open.
    pub(crate) fn said(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let word = |on: bool| if on { "on" } else { "off" };
        let said = [
            (ISOLATION, self.isolation),
            (READ_ONLY, self.read_only.map(word)),
            (DEFERRABLE, self.deferrable.map(word)),
        ];
        said.into_iter().filter_map(|(name, value)| Some((name, value?)))
    }

    /// These, and where they say nothing, the others.
    pub(crate) fn or(self, others: Self) -> Self {
        Self {
            isolation: self.isolation.or(others.isolation),
            read_only: self.read_only.or(others.read_only),
            deferrable: self.deferrable.or(others.deferrable),
        }
    }
}

impl Opened {
    /// Gives the transaction other modes.
    ///
    /// # Errors
    /// It has begun, and goes on as it has.
    pub(crate) fn set(&mut self, modes: Modes) -> Result<(), SqlError> {
        let changes = |now: Option<bool>, to: Option<bool>| to == Some(false) && now == Some(true);
        let too_late = |message: &str| {
            Err(SqlError::new("25001", message).with_hint("say it behind BEGIN, before the transaction reads anything"))
        };
        if self.has_begun && changes(self.modes.read_only, modes.read_only) {
            return too_late("transaction read-write mode must be set before any query");
        }
        if self.has_begun && modes.isolation.is_some() && modes.isolation != self.modes.isolation {
            return too_late("SET TRANSACTION ISOLATION LEVEL must be called before any query");
        }
        self.modes = modes.or(self.modes);
        Ok(())
    }
}

/// A statement that changes something, where nothing may be changed.
pub(crate) fn read_only(statement: &str) -> SqlError {
    SqlError::new("25006", format!("cannot execute {statement} in a read-only transaction"))
        .with_hint("BEGIN READ WRITE, or SET default_transaction_read_only = off")
}

fn level(name: &str, value: &str) -> Result<&'static str, SqlError> {
    let found = LEVELS.into_iter().find(|level| level.eq_ignore_ascii_case(value.trim()));
    found.ok_or_else(|| {
        SqlError::new(SqlError::INVALID_PARAMETER, format!("invalid value for parameter \"{name}\": \"{value}\""))
            .with_hint(format!("there are {}", LEVELS.join(", ")))
    })
}

/// As Postgres reads it: words may be cut short as long as they are told apart.
fn boolean(name: &str, value: &str) -> Result<bool, SqlError> {
    let value = value.trim().to_ascii_lowercase();
    let begins = |word: &str, letters: usize| value.len() >= letters && word.starts_with(&value);
    match value.as_str() {
        "1" => Ok(true),
        "0" => Ok(false),
        _ if begins("true", 1) || begins("yes", 1) || begins("on", 2) => Ok(true),
        _ if begins("false", 1) || begins("no", 1) || begins("off", 2) => Ok(false),
        _ => Err(SqlError::new(SqlError::INVALID_PARAMETER, format!("parameter \"{name}\" requires a Boolean value"))
            .with_hint("write on or off")),
    }
}
