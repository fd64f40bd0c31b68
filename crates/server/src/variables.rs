//! Variables of a connection: what drivers set and ask for.

use crate::command::is_of_engine;
use crate::transaction::{Modes, Opened};
use crate::wire::backend::Hidden;
use eddyline_engine::settings::SETTINGS;
use eddyline_engine::{Session, Settings, SqlError};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The version of Postgres whose protocol and catalog clients may expect.
pub(crate) const SERVER_VERSION: &str = "15.0";

/// Name as it is shown, value at the beginning, whether clients are told of changes.
const KNOWN: [(&str, &str, bool); 25] = [
    ("application_name", "", true),
    ("bytea_output", "hex", false),
    ("client_encoding", "UTF8", true),
    ("client_min_messages", "notice", false),
    ("DateStyle", "ISO, MDY", true),
    ("default_table_access_method", "heap", false),
    ("default_transaction_deferrable", "off", false),
    ("default_transaction_isolation", "read committed", false),
    ("default_transaction_read_only", "off", true),
    ("extra_float_digits", "1", false),
    ("in_hot_standby", "off", true),
    ("integer_datetimes", "on", true),
    ("IntervalStyle", "postgres", true),
    ("is_superuser", "on", true),
    ("jit", "off", false),
    ("max_identifier_length", "63", false),
    ("password_encryption", "scram-sha-256", false),
    ("server_encoding", "UTF8", true),
    ("server_version", SERVER_VERSION, true),
    ("server_version_num", "150000", false),
    ("standard_conforming_strings", "on", true),
    ("statement_timeout", "0", false),
    ("transaction_deferrable", "off", false),
    ("transaction_isolation", "read committed", false),
    ("transaction_read_only", "off", false),
];
/// What only has one value here.
const FIXED: [(&str, &[&str]); 8] = [
    // SQL_ASCII leaves bytes as they are, which is UTF-8.
    ("client_encoding", &["utf8", "unicode", "sqlascii"]),
    ("standard_conforming_strings", &["on", "true", "1"]),
    ("bytea_output", &["hex"]),
    // Times are written as ISO 8601 has them; what is read otherwise has its month first.
    ("datestyle", &["iso", "isomdy", "mdy", "isous", "us"]),
    ("intervalstyle", &["postgres"]),
    ("integer_datetimes", &["on"]),
    ("server_encoding", &["utf8"]),
    ("password_encryption", &["scramsha256"]),
];
/// What `client_min_messages` may be. There are no messages below notices.
const LEVELS: [&str; 9] = ["debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error"];
/// Nobody sets these.
const READ_ONLY: [&str; 6] = [
    "server_version",
    "server_version_num",
    "is_superuser",
    "in_hot_standby",
    "max_identifier_length",
    "session_authorization",
];
/// What they are for the transaction that is open; with `default_` before it, for those that begin.
const MODES: [&str; 3] = ["transaction_isolation", "transaction_read_only", "transaction_deferrable"];
const TIME_ZONE: &str = "table.local-time-zone";
const SEARCH_PATH: &str = "search_path";

/// The variables of a connection, and what else queries over the catalogs are told of it.
#[derive(Debug, Default)]
pub(crate) struct Variables {
    /// By their names in lower case.
    values: BTreeMap<String, String>,
    /// What RESET goes back to: what the client said when it connected.
    given: BTreeMap<String, String>,
    /// The transaction that is open.
    transaction: Option<Opened>,
    /// What was there before the transaction has set anything; `None`: it has not.
    before: Option<Before>,
    /// Prepared statements that have a name.
    pub(crate) prepared: BTreeMap<String, Held>,
}

/// Variables and settings as they were.
#[derive(Debug, Default)]
struct Before {
    values: BTreeMap<String, String>,
    settings: Settings,
    /// What SET LOCAL has set, by names in lower case, and what it was before.
    local: BTreeMap<String, Own>,
}

/// What a variable is, where it was set.
#[derive(Debug)]
enum Own {
    Variable(Option<String>),
    /// One of the engine's settings, by the name that it has there.
    Setting(&'static str, Option<String>),
}

/// What the catalogs tell of a prepared statement.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) sql: Arc<str>,
    /// The types of its parameters.
    pub(crate) oids: Vec<u32>,
    /// PREPARE has made it, and not a message.
    pub(crate) from_sql: bool,
}

impl Variables {
    /// What was set until now is what RESET goes back to.
    pub(crate) fn keep(&mut self, session: &mut Session) {
        session.settings_mut().keep();
        self.given = self.values.clone();
    }

    /// Sets a variable; `None` takes it back. Returns the name and value that the client is to be told.
    ///
    /// # Errors
    /// A value that it cannot have.
    pub(crate) fn set(
        &mut self,
        session: &mut Session,
        name: &str,
        value: Option<&str>,
    ) -> Result<Option<(String, String)>, SqlError> {
        let lower = name.to_ascii_lowercase();
        self.note_set(session);
        if let Some(before) = &mut self.before {
            before.local.remove(&lower);
        }
        if READ_ONLY.contains(&lower.as_str()) {
            return Err(SqlError::new("55P02", format!("parameter \"{name}\" cannot be changed")));
        }
        if lower == "timezone" {
            match value {
                Some(value) => drop(session.settings_mut().set(TIME_ZONE, zone(value))?),
                None => session.settings_mut().reset(TIME_ZONE)?,
            }
            return Ok(self.value(session, "TimeZone").map(|value| ("TimeZone".to_owned(), value)));
        }
        if lower == SEARCH_PATH {
            match value {
                Some(value) => drop(session.settings_mut().set(SEARCH_PATH, value)?),
                None => session.settings_mut().reset(SEARCH_PATH)?,
            }
            return Ok(None);
        }
        if MODES.contains(&lower.as_str()) {
            let value = value.map(str::to_owned).or_else(|| self.value(session, &format!("default_{lower}")));
            let modes = Modes::of_variable(&lower, &value.unwrap_or_default()).transpose()?;
            self.set_modes(modes.unwrap_or_default())?;
            return Ok(None);
        }
        let said = value.and_then(|value| Modes::of_variable(&lower, value)).transpose()?;
        let value = said.as_ref().and_then(|modes| modes.said().next()).map(|(_, value)| value).or(value);
        if let (Some((_, allowed)), Some(value)) = (FIXED.iter().find(|(fixed, _)| *fixed == lower), value) {
            // 'utf-8' in quotes is UTF8 too, as in Postgres: signs do not count.
            let plain: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
            if allowed.contains(&plain.to_ascii_lowercase().as_str()) {
                return Ok(self.told_of(session, &lower));
            }
            let message = format!("parameter \"{name}\" cannot be \"{value}\"");
            let fixed = self.value(session, &lower).unwrap_or_default();
            return Err(SqlError::new(SqlError::UNSUPPORTED, message).with_hint(format!("it is {fixed}")));
        }
        if lower == "client_min_messages"
            && let Some(value) = value.filter(|value| !LEVELS.contains(&value.to_ascii_lowercase().as_str()))
        {
            let message = format!("invalid value for parameter \"client_min_messages\": \"{value}\"");
            return Err(SqlError::new(SqlError::INVALID_PARAMETER, message).with_hint("it is notice, warning or error"));
        }
        if lower == "statement_timeout"
            && let Some(value) = value
        {
            duration(value).ok_or_else(|| {
                SqlError::new(SqlError::INVALID_PARAMETER, format!("statement_timeout cannot be \"{value}\""))
                    .with_hint("give milliseconds, or a number with ms, s, min or h; 0 is none")
            })?;
        }
        match value.map(str::to_owned).or_else(|| self.given.get(&lower).cloned()) {
            Some(value) => drop(self.values.insert(lower.clone(), value)),
            None => drop(self.values.remove(&lower)),
        }
        Ok(self.told_of(session, &lower))
    }

    /// Sets a variable until the transaction [ends](Self::end), which there need not be.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub(crate) fn set_local(&mut self, session: &mut Session, name: &str, value: Option<&str>) -> Result<(), SqlError> {
        let lower = name.to_ascii_lowercase();
        self.note_set(session);
        let own = self.before.as_mut().and_then(|before| before.local.remove(&lower));
        let own = own.unwrap_or_else(|| self.own(session, &lower));
        match (is_of_engine(&lower), value) {
            (true, Some(value)) => drop(session.settings_mut().set(&lower, value)?),
            (true, None) => session.settings_mut().reset(&lower)?,
            (false, value) => drop(self.set(session, &lower, value)?),
        }
        // Those of the transaction end with it by themselves.
        if !MODES.contains(&lower.as_str()) {
            let before =
                || Before { values: self.values.clone(), settings: session.settings().clone(), local: BTreeMap::new() };
            self.before.get_or_insert_with(before).local.insert(lower, own);
        }
        Ok(())
    }

    fn own(&self, session: &Session, lower: &str) -> Own {
        let name = if lower == "timezone" { TIME_ZONE } else { lower };
        let spec = SETTINGS.iter().find(|s| s.name == name || s.alias == Some(name));
        match spec.filter(|_| lower == "timezone" || lower == SEARCH_PATH || is_of_engine(lower)) {
            None => Own::Variable(self.values.get(lower).cloned()),
            Some(spec) => {
                let set = session.settings().changed().find(|(name, _)| *name == spec.name);
                Own::Setting(spec.name, set.map(|(_, value)| value.to_owned()))
            }
        }
    }

    /// Something is about to be set: a transaction that is rolled back takes it back.
    pub(crate) fn note_set(&mut self, session: &Session) {
        if self.transaction.is_some() && self.before.is_none() {
            let (values, settings) = (self.values.clone(), session.settings().clone());
            self.before = Some(Before { values, settings, local: BTreeMap::new() });
        }
    }

    /// Name and value of a variable that clients are told of.
    fn told_of(&self, session: &Session, lower: &str) -> Option<(String, String)> {
        let (known, ..) = KNOWN.iter().find(|(known, _, told)| *told && known.eq_ignore_ascii_case(lower))?;
        Some(((*known).to_owned(), self.value(session, known)?))
    }

    /// Takes all variables back.
    pub(crate) fn reset_all(&mut self, session: &mut Session) {
        self.note_set(session);
        self.values = self.given.clone();
        session.settings_mut().reset_all();
    }

    /// The value of a variable.
    pub(crate) fn value(&self, session: &Session, name: &str) -> Option<String> {
        let lower = name.to_ascii_lowercase();
        if lower == "timezone" {
            return Some(session.settings().time_zone().to_owned());
        }
        if MODES.contains(&lower.as_str()) {
            let own = self.transaction.and_then(|opened| opened.modes.said().find(|(mode, _)| *mode == lower));
            return match own {
                Some((_, value)) => Some(value.to_owned()),
                None => self.value(session, &format!("default_{lower}")),
            };
        }
        let known = || KNOWN.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name)).map(|(_, value, _)| *value);
        let own = self.values.get(&lower).cloned().or_else(|| known().map(str::to_owned));
        own.or_else(|| {
            let spec = SETTINGS.iter().find(|s| s.name == name || s.alias == Some(name))?;
            Some(session.settings().value(spec).to_owned())
        })
    }

    /// The value that SHOW shows.
    ///
    /// # Errors
    /// Nobody knows it.
    pub(crate) fn show(&self, session: &Session, name: &str) -> Result<String, SqlError> {
        self.value(session, name).ok_or_else(|| {
            let message = format!("unrecognized configuration parameter \"{name}\"");
            SqlError::new(SqlError::UNDEFINED_OBJECT, message).with_hint("SHOW ALL lists what there is")
        })
    }

    /// All names and values.
    pub(crate) fn all(&self, session: &Session) -> Vec<(String, String)> {
        let known =
            KNOWN.iter().map(|(name, ..)| (*name).to_owned()).chain(["TimeZone", SEARCH_PATH].map(str::to_owned));
        let own = self.values.keys().filter(|name| !KNOWN.iter().any(|(known, ..)| known.eq_ignore_ascii_case(name)));
        let mut names: Vec<String> = known.chain(own.cloned()).collect();
        names.sort_by_key(|name| name.to_ascii_lowercase());
        names.into_iter().filter_map(|name| Some((name.clone(), self.value(session, &name)?))).collect()
    }

    /// What a client is told when it connects.
    pub(crate) fn told(&self, session: &Session) -> Vec<(String, String)> {
        let told = KNOWN.iter().filter(|(.., told)| *told).map(|(name, ..)| *name).chain(["TimeZone"]);
        told.filter_map(|name| Some((name.to_owned(), self.value(session, name)?))).collect()
    }

    /// A transaction begins. Where it does not say what it is, it is what transactions are unless they say.
    pub(crate) fn begin(&mut self, modes: Modes) {
        let defaults = MODES.map(|mode| {
            let value = self.values.get(&format!("default_{mode}"));
            value.and_then(|value| Modes::of_variable(mode, value)?.ok()).unwrap_or_default()
        });
        let modes = defaults.into_iter().fold(modes, Modes::or);
        (self.transaction, self.before) = (Some(Opened { modes, has_begun: false }), None);
    }

    /// The transaction ends: what it has set goes with it, or stays where it was not LOCAL.
    pub(crate) fn end(&mut self, session: &mut Session, commits: bool) {
        self.transaction = None;
        let Some(before) = self.before.take() else { return };
        if !commits {
            self.values = before.values;
            *session.settings_mut() = before.settings;
            return;
        }
        for (lower, own) in before.local {
            match own {
                Own::Variable(Some(value)) => drop(self.values.insert(lower, value)),
                Own::Variable(None) => drop(self.values.remove(&lower)),
                Own::Setting(name, value) => session.settings_mut().put_back(name, value),
            }
        }
    }

    /// The transaction has read or changed something.
    pub(crate) fn note_begun(&mut self) {
        if let Some(opened) = &mut self.transaction {
            opened.has_begun = true;
        }
    }

    /// What the transaction that is open is.
    pub(crate) fn modes(&self) -> Option<Modes> {
        self.transaction.map(|opened| opened.modes)
    }

    /// Says what the transaction is. Outside one, a statement is a transaction that ends with it.
    ///
    /// # Errors
    /// It has begun otherwise.
    pub(crate) fn set_modes(&mut self, modes: Modes) -> Result<(), SqlError> {
        self.transaction.as_mut().map_or(Ok(()), |opened| opened.set(modes))
    }

    /// May nothing be changed now?
    pub(crate) fn is_read_only(&self) -> bool {
        match &self.transaction {
            Some(opened) => opened.modes.read_only == Some(true),
            None => self.values.get("default_transaction_read_only").is_some_and(|value| value == "on"),
        }
    }

    /// What the client does not want to be told.
    pub(crate) fn hidden(&self) -> Hidden {
        match self.values.get("client_min_messages").map(|value| value.to_ascii_lowercase()).as_deref() {
            Some("warning") => Hidden::Notices,
            Some("error") => Hidden::Warnings,
            _ => Hidden::Nothing,
        }
    }

    /// How long a statement may take.
    pub(crate) fn statement_timeout(&self) -> Option<Duration> {
        self.values.get("statement_timeout").and_then(|value| duration(value)).filter(|d| !d.is_zero())
    }
}

/// Names of zones that Postgres has and we spell otherwise.
fn zone(value: &str) -> &str {
    match value {
        v if v.eq_ignore_ascii_case("utc") || v.eq_ignore_ascii_case("gmt") || v.eq_ignore_ascii_case("z") => "UTC",
        v => v,
    }
}

/// Milliseconds, or a number with a unit.
fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let factor = match text[digits..].trim() {
        "" | "ms" => 1,
        "s" => 1000,
        "min" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.checked_mul(factor)?))
}
