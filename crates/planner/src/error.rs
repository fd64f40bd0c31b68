mod values;

use arrow::error::ArrowError;
use eddyline_catalog::{CatalogError, Name};
use std::fmt;

/// A place in SQL text, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextPosition {
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
}

/// The one error at the edge: what is wrong, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlError {
    /// SQLSTATE, five characters.
    pub sqlstate: &'static str,
    /// Short and factual.
    pub message: String,
    /// More facts.
    pub detail: Option<String>,
    /// What to do.
    pub hint: Option<String>,
    /// Where in the text that was given to `parse`.
    pub position: Option<TextPosition>,
    /// Which constraint rows break.
    pub constraint: Option<Box<Constraint>>,
}

/// What says which rows a table may hold: NOT NULL of a column, a PRIMARY KEY, UNIQUE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    /// Of which table.
    pub table: Name,
    /// Of which column, where it is NOT NULL.
    pub column: Option<String>,
    /// By which name, where it has one.
    pub name: Option<String>,
}

impl SqlError {
    /// `42601` syntax error.
    pub const SYNTAX: &'static str = "42601";
    /// `42P01` unknown table or view.
    pub const UNDEFINED_TABLE: &'static str = "42P01";
    /// `3F000` unknown schema.
    pub const UNDEFINED_SCHEMA: &'static str = "3F000";
    /// `42703` unknown column.
    pub const UNDEFINED_COLUMN: &'static str = "42703";
    /// `42883` unknown function.
    pub const UNDEFINED_FUNCTION: &'static str = "42883";
    /// `42P07` the name is taken.
    pub const DUPLICATE_TABLE: &'static str = "42P07";
    /// `42704` unknown type, job, setting.
    pub const UNDEFINED_OBJECT: &'static str = "42704";
    /// `42701` a column is there twice.
    pub const DUPLICATE_COLUMN: &'static str = "42701";
    /// `54001` nested too deeply.
    pub const TOO_COMPLEX: &'static str = "54001";
    /// `42804` types that do not fit.
    pub const DATATYPE_MISMATCH: &'static str = "42804";
    /// `0A000` not supported.
    pub const UNSUPPORTED: &'static str = "0A000";
    /// `22023` an option or setting that does not fit.
    pub const INVALID_PARAMETER: &'static str = "22023";
    /// `23502` a NULL where there must be none.
    pub const NULL_VALUE: &'static str = "23502";
    /// `23505` two rows that are alike where there must be none.
    pub const DUPLICATE_KEY: &'static str = "23505";
    /// `42000` any other fault of the statement.
    pub const INVALID: &'static str = "42000";
    /// `22003` a number that its type does not hold.
    pub const OUT_OF_RANGE: &'static str = "22003";
    /// `22P02` a text that is no value of a type.
    pub const INVALID_TEXT: &'static str = "22P02";
    /// `XX000` a fault of the engine.
    pub const INTERNAL: &'static str = "XX000";

    /// An error of a class.
    pub fn new(sqlstate: &'static str, message: impl Into<String>) -> Self {
        Self { sqlstate, message: message.into(), detail: None, hint: None, position: None, constraint: None }
    }

    /// SQLSTATE of what is wrong with a value, where an Arrow kernel says it, as PostgreSQL tells it apart: a number that is too great
    /// (`22003`), a text that is none of its type (`22P02`), a division by zero (`22012`).
    pub fn of_value(error: &ArrowError) -> Option<&'static str> {
        match error {
            ArrowError::DivideByZero => Some("22012"),
            ArrowError::ArithmeticOverflow(_) => Some(Self::OUT_OF_RANGE),
            ArrowError::CastError(message) | ArrowError::ParseError(message) => {
                match is_of_number(message) || values::is_of_decimal(message) {
                    true => Some(Self::OUT_OF_RANGE),
                    false => Some(Self::INVALID_TEXT),
                }
            }
            ArrowError::InvalidArgumentError(message) if message.contains("to store in a Decimal") => {
                Some(Self::OUT_OF_RANGE)
            }
            ArrowError::ComputeError(message) => Self::of_value_text(message),
            _ => None,
        }
    }

    /// The same where nothing but the text of a function tells.
    pub fn of_value_text(message: &str) -> Option<&'static str> {
        match message {
            message if message.contains("integer overflow") || message.contains("overflow on ") => {
                Some(Self::OUT_OF_RANGE)
            }
            message if message.contains("Timestamp out of range") => Some("22008"),
            message if message.contains("division by zero") => Some("22012"),
            message if message.contains("regular expression") => Some("2201B"),
            _ => None,
        }
    }

    /// Of the catalog: names, schemas.
    pub fn of_catalog(error: &CatalogError) -> Self {
        let (sqlstate, hint) = match error {
            CatalogError::Exists { kind, .. } => {
                let hint = "use another name, CREATE OR REPLACE, CREATE … IF NOT EXISTS, or DROP";
                (Self::DUPLICATE_TABLE, format!("{hint} {} first", kind.to_uppercase()))
            }
            CatalogError::Missing { nearest: Some(name), .. } => {
                (Self::UNDEFINED_TABLE, format!("did you mean {name}?"))
            }
            CatalogError::Missing { nearest: None, .. } => {
                (Self::UNDEFINED_TABLE, "SHOW TABLES lists what there is".into())
            }
            CatalogError::Kind { .. } => return Self::new("42809", error.to_string()),
            CatalogError::SchemaExists { .. } => ("42P06", "use another name, or CREATE SCHEMA IF NOT EXISTS".into()),
            CatalogError::MissingSchema { name } => {
                (Self::UNDEFINED_SCHEMA, format!("SHOW SCHEMAS lists what there is; CREATE SCHEMA {name} makes it"))
            }
            CatalogError::NoSchema => (Self::UNDEFINED_SCHEMA, "SET search_path = public".into()),
            CatalogError::SystemSchema { .. } => ("42501", "use a schema of your own: CREATE SCHEMA s".into()),
            CatalogError::ReservedSchema { .. } => ("42939", "use another name".into()),
            CatalogError::Dependent { name, .. } => {
                ("2BP01", format!("DROP SCHEMA {name} CASCADE takes away what is in it too"))
            }
            CatalogError::OtherDatabase { database, .. } => {
                (Self::UNSUPPORTED, format!("connect to {database}: in psql, \\c {database}"))
            }
        };
        Self::new(sqlstate, error.to_string()).with_hint(hint)
    }

    /// With more facts.
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// With what to do.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A NULL in a column that is NOT NULL.
    pub fn null_in(table: &Name, column: &str) -> Self {
        let constraint = Constraint { table: table.clone(), column: Some(column.to_owned()), name: None };
        Self::new(Self::NULL_VALUE, format!("column {column} of table {table} is NOT NULL and got a NULL"))
            .with_constraint(constraint)
    }

    /// With the constraint that rows break.
    pub fn with_constraint(mut self, constraint: Constraint) -> Self {
        self.constraint = Some(Box::new(constraint));
        self
    }

    /// With the place, unless there is one already. Rows that break a constraint have no place in a statement.
    pub fn at(mut self, position: TextPosition) -> Self {
        if self.constraint.is_none() {
            self.position.get_or_insert(position);
        }
        self
    }

    /// The error as a terminal shows it: message, the line of `sql` with a caret, detail, hint. Ends without a
    /// newline.
    pub fn render(&self, sql: &str) -> String {
        let mut out = format!("ERROR {}: {}", self.sqlstate, self.message);
        if let Some(TextPosition { line, column }) = self.position
            && let Some(text) = sql.lines().nth(line - 1)
        {
            let gutter = format!("LINE {line}: ");
            let (shown, before) = clipped(text, column - 1);
            let blanks = " ".repeat(gutter.len() + before);
            out.push_str(&format!("\n{gutter}{shown}\n{blanks}^"));
        }
        for (name, text) in [("DETAIL", &self.detail), ("HINT", &self.hint)] {
            if let Some(text) = text {
                out.push_str(&format!("\n{name}: {text}"));
            }
        }
        out
    }
}

/// What is shown of a line around its character `at`, and where that stands in it. Very long lines are cut on both sides.
fn clipped(text: &str, at: usize) -> (String, usize) {
    const WHOLE_MAX: usize = 300;
    const BEFORE: usize = 100;
    const AFTER: usize = 60;
    let long = text.chars().nth(WHOLE_MAX).is_some();
    let (from, length) = if long { (at.saturating_sub(BEFORE), BEFORE + AFTER) } else { (0, WHOLE_MAX) };
    let mut rest = text.chars().skip(from).map(|c| if c == '\t' { ' ' } else { c });
    let mut shown = String::from(if from > 0 { "…" } else { "" });
    shown.extend(rest.by_ref().take(length));
    if rest.next().is_some() {
        shown.push('…');
    }
    (shown, at - from + usize::from(from > 0))
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SqlError {}

/// Does a cast fail on a number, or on a text that is one?
fn is_of_number(message: &str) -> bool {
    match message.strip_prefix("Cannot cast string '").and_then(|rest| rest.rsplit_once("' to value of ")) {
        Some((text, _)) => text.trim().parse::<i128>().is_ok(),
        None => message.starts_with("Can't cast value"),
    }
}
