//! Types: SQL spelling ↔ Arrow.
//!
//! | SQL | Arrow |
//! |---|---|
//! | BOOLEAN; TINYINT, SMALLINT, INT, BIGINT | Boolean; Int8, Int16, Int32, Int64 |
//! | FLOAT, DOUBLE; DECIMAL(p, s) | Float32, Float64; Decimal128, (10, 0) where nothing is said |
//! | CHAR, VARCHAR, STRING; BINARY, VARBINARY, BYTES | Utf8; Binary (the length of a column is not enforced, as in Flink) |
//! | DATE; TIME(p) | Date32; Time32 or Time64 of the unit that holds p digits |
//! | TIMESTAMP(p); TIMESTAMP_LTZ(p) | Timestamp of the unit that holds p digits, 6 where nothing is said; with zone UTC |
//! | INTERVAL … | Interval(MonthDayNano) |
//! | INT2, INT4, INT8, FLOAT4, FLOAT8, TEXT, BYTEA, TIMESTAMPTZ(p) | as SMALLINT, INT, BIGINT, FLOAT, DOUBLE, STRING, BYTES, TIMESTAMP_LTZ(p): the names of Postgres |
//! | JSONB | LargeUtf8, which nothing else is: a text that is JSON in its one form |
//! | with [`Dialect::Postgres`]: FLOAT, DECIMAL without digits, TIME, JSON, UUID, NAME, TIMESTAMP WITH TIME ZONE | Float64, Decimal128(38, 10), of 6 digits, Utf8, with zone UTC |
//! | ARRAY<T> and T[], MAP<K, V>, ROW<a T, …> | List, Map, Struct |

use super::script::is_word;
use super::syntax_error::pack;
use crate::SqlError;
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, Fields, IntervalUnit, TimeUnit};
use eddyline_catalog::Dialect;
pub use eddyline_catalog::sql_type;
use sqlparser::ast::{
    ArrayElemTypeDef, DataType as SqlType, ExactNumberInfo, Ident, StructBracketKind, StructField, TimezoneInfo,
};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, Word};
use std::sync::Arc;

/// Types may be nested so deep.
const DEPTH_MAX: usize = 50;

/// A type as written.
pub(super) struct ReadType {
    pub(super) arrow: DataType,
    /// Of CHAR(n) and VARCHAR(n): what a cast makes of longer and shorter strings.
    pub(super) length: Option<Length>,
}

/// Length of a string type.
#[derive(Clone, Copy)]
pub(super) enum Length {
    AtMost(u64),
    Exactly(u64),
}

/// The Arrow type of a type in a parsed query.
///
/// # Errors
/// A type that is not supported.
pub fn arrow_type(sql_type: &SqlType) -> Result<DataType, SqlError> {
    Ok(match sql_type {
        SqlType::Boolean | SqlType::Bool => DataType::Boolean,
        SqlType::TinyInt(_) => DataType::Int8,
        SqlType::SmallInt(_) => DataType::Int16,
        SqlType::Int(_) | SqlType::Integer(_) => DataType::Int32,
        SqlType::BigInt(_) => DataType::Int64,
        SqlType::Float(_) | SqlType::Real => DataType::Float32,
        SqlType::Double(_) | SqlType::DoublePrecision => DataType::Float64,
        SqlType::Decimal(n) | SqlType::Dec(n) | SqlType::Numeric(n) => match n {
            ExactNumberInfo::None => decimal(10, 0)?,
            ExactNumberInfo::Precision(p) => decimal(*p, 0)?,
            ExactNumberInfo::PrecisionAndScale(p, s) => decimal(*p, u64::try_from(*s).unwrap_or(u64::MAX))?,
        },
        SqlType::String(_)
        | SqlType::Text
        | SqlType::Varchar(_)
        | SqlType::Char(_)
        | SqlType::Character(_)
        | SqlType::CharacterVarying(_)
        | SqlType::CharVarying(_) => DataType::Utf8,
        SqlType::JSONB => DataType::LargeUtf8,
        SqlType::Bytes(_) | SqlType::Binary(_) | SqlType::Varbinary(_) => DataType::Binary,
        SqlType::Date => DataType::Date32,
        SqlType::Time(p, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => time(p.unwrap_or(0))?,
        SqlType::Timestamp(p, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => timestamp(p.unwrap_or(6), None)?,
        SqlType::Interval { .. } => DataType::Interval(IntervalUnit::MonthDayNano),
        SqlType::Array(ArrayElemTypeDef::AngleBracket(item)) => array(arrow_type(item)?, true),
        SqlType::Map(key, value) => map(arrow_type(key)?, arrow_type(value)?, true),
        SqlType::Struct(fields, _) => DataType::Struct(fields.iter().map(struct_field).collect::<Result<Fields, _>>()?),
        SqlType::Custom(name, arguments) if name.to_string().eq_ignore_ascii_case("TIMESTAMP_LTZ") => {
            timestamp(arguments.first().and_then(|a| a.parse().ok()).unwrap_or(6), Some("UTC"))?
        }
        other => return Err(unsupported(&other.to_string())),
    })
}

fn struct_field(field: &StructField) -> Result<Field, SqlError> {
    let name = field.field_name.as_ref().map_or_else(String::new, |n| n.value.clone());
    Ok(Field::new(name, arrow_type(&field.field_type)?, true))
}

/// The type in a tree that [`arrow_type`] takes back to `data_type`. Whether a nested value may be NULL is not kept.
pub(crate) fn ast_type(data_type: &DataType) -> SqlType {
    let digits = |unit: &TimeUnit| match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    };
    match data_type {
        DataType::Boolean => SqlType::Boolean,
        DataType::Int8 => SqlType::TinyInt(None),
        DataType::Int16 => SqlType::SmallInt(None),
        DataType::Int32 => SqlType::Int(None),
        DataType::Int64 => SqlType::BigInt(None),
        DataType::Float32 => SqlType::Float(ExactNumberInfo::None),
        DataType::Float64 => SqlType::Double(ExactNumberInfo::None),
        DataType::Decimal128(p, s) => {
            SqlType::Decimal(ExactNumberInfo::PrecisionAndScale(u64::from(*p), i64::from(*s)))
        }
        DataType::LargeUtf8 => SqlType::JSONB,
        DataType::Binary => SqlType::Bytes(None),
        DataType::Date32 => SqlType::Date,
        DataType::Time32(unit) | DataType::Time64(unit) => SqlType::Time(Some(digits(unit)), TimezoneInfo::None),
        DataType::Timestamp(unit, None) => SqlType::Timestamp(Some(digits(unit)), TimezoneInfo::None),
        DataType::Timestamp(unit, Some(_)) => {
            SqlType::Custom(Ident::new("TIMESTAMP_LTZ").into(), vec![digits(unit).to_string()])
        }
        DataType::Interval(_) => SqlType::Interval { fields: None, precision: None },
        DataType::List(item) => SqlType::Array(ArrayElemTypeDef::AngleBracket(Box::new(ast_type(item.data_type())))),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(kv) if kv.len() == 2 => {
                SqlType::Map(Box::new(ast_type(kv[0].data_type())), Box::new(ast_type(kv[1].data_type())))
            }
            _ => SqlType::Unspecified,
        },
        DataType::Struct(fields) => {
            let field = |f: &Arc<Field>| StructField {
                field_name: Some(Ident::with_quote('`', f.name())),
                field_type: ast_type(f.data_type()),
                options: None,
            };
            SqlType::Struct(fields.iter().map(field).collect(), StructBracketKind::AngleBrackets)
        }
        _ => SqlType::String(None),
    }
}

/// Takes a type.
pub(super) fn read_type(parser: &mut Parser, dialect: Dialect) -> Result<ReadType, ParserError> {
    let mut reader = Reader { parser, dialect, closing: false, depth: 0 };
    let found = reader.read()?;
    if reader.closing {
        return reader.parser.expected("one `>` less", reader.parser.get_current_token().clone());
    }
    Ok(found)
}

/// Names of types in Postgres' catalog, and its schema.
const QUOTED: [&str; 23] = [
    "bool",
    "bpchar",
    "bytea",
    "date",
    "float4",
    "float8",
    "int2",
    "int4",
    "int8",
    "interval",
    "json",
    "jsonb",
    "name",
    "numeric",
    "oid",
    "pg_catalog",
    "text",
    "time",
    "timestamp",
    "timestamptz",
    "uuid",
    "varchar",
    "regclass",
];

/// Reads types; `closing`: half of a `>>` was used.
struct Reader<'p, 'a> {
    parser: &'p mut Parser<'a>,
    dialect: Dialect,
    closing: bool,
    depth: usize,
}

impl Reader<'_, '_> {
    fn read(&mut self) -> Result<ReadType, ParserError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(ParserError::RecursionLimitExceeded);
        }
        let at = self.parser.peek_token_ref().span.start;
        let mut found = self.read_prefix()?;
        let mut suffixes = 0;
        // `INT ARRAY`, after a NOT NULL of its item perhaps.
        while !self.closing && self.word(&["ARRAY"]) {
            suffixes += 1;
            if suffixes > DEPTH_MAX {
                return Err(ParserError::RecursionLimitExceeded);
            }
            found = plain(array(found.arrow, true));
        }
        // `INT[]`.
        while !self.closing
            && self.parser.peek_token_ref().token == Token::LBracket
            && self.parser.peek_nth_token_ref(1).token == Token::RBracket
        {
            suffixes += 1;
            if suffixes > DEPTH_MAX {
                return Err(ParserError::RecursionLimitExceeded);
            }
            (0..2).for_each(|_| self.parser.advance_token());
            found = plain(array(found.arrow, true));
        }
        if !self.closing && super::script::is_word(&self.parser.peek_token_ref().token, "MULTISET") {
            return Err(pack(unsupported("MULTISET"), at));
        }
        self.depth -= 1;
        Ok(found)
    }

    fn read_prefix(&mut self) -> Result<ReadType, ParserError> {
        let token = self.parser.peek_token();
        let at = token.span.start;
        let Token::Word(word) = &token.token else { return self.parser.expected("a type", token) };
        if word.quote_style.is_some() && !self.is_quoted_type(word) {
            return self.parser.expected("a type", token);
        }
        let name = word.value.to_ascii_uppercase();
        self.parser.advance_token();
        if name == "PG_CATALOG" && self.parser.consume_token(&Token::Period) {
            return self.read_prefix();
        }
        if word.quote_style.is_some() && name == "BPCHAR" {
            return Ok(plain(DataType::Utf8));
        }
        let arrow = match name.as_str() {
            "BOOLEAN" | "BOOL" => DataType::Boolean,
            "TINYINT" => DataType::Int8,
            "SMALLINT" | "INT2" => DataType::Int16,
            "INT" | "INTEGER" | "INT4" => DataType::Int32,
            "OID" if self.dialect == Dialect::Postgres => DataType::Int64,
            "BIGINT" | "INT8" => DataType::Int64,
            "FLOAT" if self.dialect == Dialect::Postgres => DataType::Float64,
            "FLOAT" | "REAL" | "FLOAT4" => DataType::Float32,
            "FLOAT8" => DataType::Float64,
            "DOUBLE" => {
                self.word(&["PRECISION"]);
                DataType::Float64
            }
            "DECIMAL" | "DEC" | "NUMERIC" => {
                let (p, s) = self.two_numbers()?;
                match (p, self.dialect) {
                    (None, Dialect::Postgres) => decimal(38, 10),
                    (p, _) => decimal(p.unwrap_or(10), s.unwrap_or(0)),
                }
                .map_err(|e| pack(e, at))?
            }
            "STRING" | "TEXT" => DataType::Utf8,
            "JSONB" => DataType::LargeUtf8,
            "JSON" | "UUID" | "NAME" | "REGTYPE" | "REGCLASS" | "REGNAMESPACE" | "REGPROC" | "REGROLE"
                if self.dialect == Dialect::Postgres =>
            {
                DataType::Utf8
            }
            "CHAR" | "CHARACTER" | "VARCHAR" => return self.text(&name, at),
            "BYTES" | "BYTEA" => DataType::Binary,
            "BINARY" | "VARBINARY" => {
                self.number()?;
                DataType::Binary
            }
            "DATE" => DataType::Date32,
            "TIME" => {
                let digits = self.number()?.unwrap_or(if self.dialect == Dialect::Postgres { 6 } else { 0 });
                self.without_zone("TIME", at)?;
                time(digits).map_err(|e| pack(e, at))?
            }
            "TIMESTAMP" => self.timestamp(at)?,
            "TIMESTAMP_LTZ" | "TIMESTAMPTZ" => {
                timestamp(self.number()?.unwrap_or(6), Some("UTC")).map_err(|e| pack(e, at))?
            }
            "INTERVAL" => self.interval()?,
            "ARRAY" => {
                self.open()?;
                let (item, nullable) = self.nested()?;
                self.close()?;
                array(item, nullable)
            }
            "MAP" => {
                self.open()?;
                let (key, _) = self.nested()?;
                self.parser.expect_token(&Token::Comma)?;
                let (value, nullable) = self.nested()?;
                self.close()?;
                map(key, value, nullable)
            }
            // RisingWave's word for it.
            "ROW" | "STRUCT" => self.row()?,
            _ => return Err(pack(unknown(&word.value), at)),
        };
        Ok(plain(arrow))
    }

    /// Is this the name that a type has in Postgres' catalog, or the schema of those, which drivers quote?
    fn is_quoted_type(&self, word: &Word) -> bool {
        self.dialect == Dialect::Postgres && QUOTED.contains(&word.value.as_str())
    }

    /// After CHAR, CHARACTER or VARCHAR.
    fn text(&mut self, name: &str, at: Location) -> Result<ReadType, ParserError> {
        let varying = name == "VARCHAR" || self.word(&["VARYING"]);
        let length = match self.number()? {
            Some(0) => {
                let error =
                    SqlError::new(SqlError::INVALID_PARAMETER, "the length of a string type must be at least 1");
                return Err(pack(error, at));
            }
            Some(n) if varying => Some(Length::AtMost(n)).filter(|_| n < i32::MAX as u64),
            Some(n) => Some(Length::Exactly(n)),
            // As in Flink: CHAR is CHAR(1), VARCHAR as long as it likes.
            None if varying => None,
            None => Some(Length::Exactly(1)),
        };
        Ok(ReadType { arrow: DataType::Utf8, length })
    }

    fn timestamp(&mut self, at: Location) -> Result<DataType, ParserError> {
        let digits = self.number()?.unwrap_or(6);
        let local = self.word(&["WITH", "LOCAL", "TIME", "ZONE"])
            || self.dialect == Dialect::Postgres && self.word(&["WITH", "TIME", "ZONE"]);
        if !local {
            self.without_zone("TIMESTAMP", at)?;
        }
        timestamp(digits, local.then_some("UTC")).map_err(|e| pack(e, at))
    }

    fn without_zone(&mut self, name: &str, at: Location) -> Result<(), ParserError> {
        if self.word(&["WITH", "TIME", "ZONE"]) {
            let error = unsupported(&format!("{name} WITH TIME ZONE"));
            return Err(pack(
                error.with_hint("TIMESTAMP_LTZ(p) is a moment in time, shown in the session's time zone"),
                at,
            ));
        }
        self.word(&["WITHOUT", "TIME", "ZONE"]);
        Ok(())
    }

    /// `INTERVAL [unit[(p)] [TO unit[(p)]]]`.
    fn interval(&mut self) -> Result<DataType, ParserError> {
        let unit = |r: &mut Self| -> Result<bool, ParserError> {
            let found = ["YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"].iter().any(|u| r.word(&[u]));
            if found {
                r.number()?;
            }
            Ok(found)
        };
        if unit(self)? && self.word(&["TO"]) && !unit(self)? {
            return self.parser.expected("a unit of time", self.parser.peek_token());
        }
        Ok(DataType::Interval(IntervalUnit::MonthDayNano))
    }

    fn row(&mut self) -> Result<DataType, ParserError> {
        let round = self.parser.consume_token(&Token::LParen);
        if !round {
            self.open()?;
        }
        let mut fields: Vec<Field> = Vec::new();
        loop {
            let token = self.parser.peek_token();
            let name = self.parser.parse_identifier()?.value;
            if fields.iter().any(|f| *f.name() == name) {
                let error = SqlError::new(SqlError::INVALID, format!("field {name} is there twice"));
                return Err(pack(error, token.span.start));
            }
            let (data_type, nullable) = self.nested()?;
            fields.push(Field::new(name, data_type, nullable));
            if self.closing || !self.parser.consume_token(&Token::Comma) {
                break;
            }
        }
        if round {
            self.parser.expect_token(&Token::RParen)?;
        } else {
            self.close()?;
        }
        Ok(DataType::Struct(fields.into()))
    }

    /// A type inside another, and whether it may be NULL.
    fn nested(&mut self) -> Result<(DataType, bool), ParserError> {
        let found = self.read()?.arrow;
        let not_null = !self.closing && self.word(&["NOT", "NULL"]);
        if !not_null && !self.closing {
            self.word(&["NULL"]);
        }
        Ok((found, !not_null))
    }

    fn open(&mut self) -> Result<(), ParserError> {
        self.parser.expect_token(&Token::Lt).map(|_| ())
    }

    fn close(&mut self) -> Result<(), ParserError> {
        if std::mem::take(&mut self.closing) {
            return Ok(());
        }
        if self.parser.consume_token(&Token::ShiftRight) {
            self.closing = true;
            return Ok(());
        }
        self.parser.expect_token(&Token::Gt).map(|_| ())
    }

    /// `[(n)]`.
    fn number(&mut self) -> Result<Option<u64>, ParserError> {
        if self.closing || !self.parser.consume_token(&Token::LParen) {
            return Ok(None);
        }
        let n = self.parser.parse_literal_uint()?;
        self.parser.expect_token(&Token::RParen)?;
        Ok(Some(n))
    }

    /// `[(n [, m])]`.
    fn two_numbers(&mut self) -> Result<(Option<u64>, Option<u64>), ParserError> {
        if self.closing || !self.parser.consume_token(&Token::LParen) {
            return Ok((None, None));
        }
        let first = self.parser.parse_literal_uint()?;
        let second =
            if self.parser.consume_token(&Token::Comma) { Some(self.parser.parse_literal_uint()?) } else { None };
        self.parser.expect_token(&Token::RParen)?;
        Ok((Some(first), second))
    }

    fn word(&mut self, words: &[&str]) -> bool {
        let found = words.iter().enumerate().all(|(n, w)| is_word(&self.parser.peek_nth_token_ref(n).token, w));
        if found {
            words.iter().for_each(|_| self.parser.advance_token());
        }
        found
    }
}

fn plain(arrow: DataType) -> ReadType {
    ReadType { arrow, length: None }
}

fn array(item: DataType, nullable: bool) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, nullable)))
}

fn map(key: DataType, value: DataType, nullable: bool) -> DataType {
    let entry = vec![Field::new("key", key, false), Field::new("value", value, nullable)];
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entry.into()), false)), false)
}

fn decimal(precision: u64, scale: u64) -> Result<DataType, SqlError> {
    let fits = (1..=u64::from(DECIMAL128_MAX_PRECISION)).contains(&precision) && scale <= precision;
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(p), Ok(s)) if fits => Ok(DataType::Decimal128(p, s)),
        _ => Err(SqlError::new(SqlError::INVALID_PARAMETER, format!("DECIMAL({precision}, {scale}) is no type"))
            .with_hint("the precision is 1 to 38, the scale 0 to the precision")),
    }
}

fn unit(name: &str, digits: u64) -> Result<TimeUnit, SqlError> {
    match digits {
        0 => Ok(TimeUnit::Second),
        1..=3 => Ok(TimeUnit::Millisecond),
        4..=6 => Ok(TimeUnit::Microsecond),
        7..=9 => Ok(TimeUnit::Nanosecond),
        _ => Err(SqlError::new(SqlError::INVALID_PARAMETER, format!("{name}({digits}) is no type"))
            .with_hint("a time has 0 to 9 digits of a second")),
    }
}

fn time(digits: u64) -> Result<DataType, SqlError> {
    Ok(match unit("TIME", digits)? {
        unit @ (TimeUnit::Second | TimeUnit::Millisecond) => DataType::Time32(unit),
        unit => DataType::Time64(unit),
    })
}

fn timestamp(digits: u64, zone: Option<&str>) -> Result<DataType, SqlError> {
    let name = if zone.is_some() { "TIMESTAMP_LTZ" } else { "TIMESTAMP" };
    Ok(DataType::Timestamp(unit(name, digits)?, zone.map(Into::into)))
}

fn unsupported(name: &str) -> SqlError {
    SqlError::new(SqlError::UNSUPPORTED, format!("type {name} is not supported"))
}

const NAMES: [&str; 26] = [
    "BOOLEAN",
    "TINYINT",
    "SMALLINT",
    "INT",
    "INTEGER",
    "BIGINT",
    "FLOAT",
    "DOUBLE",
    "DECIMAL",
    "DEC",
    "NUMERIC",
    "CHAR",
    "VARCHAR",
    "STRING",
    "BINARY",
    "VARBINARY",
    "BYTES",
    "DATE",
    "TIME",
    "TIMESTAMP",
    "TIMESTAMP_LTZ",
    "INTERVAL",
    "ARRAY",
    "MAP",
    "ROW",
    "REAL",
];

/// What to do where rows should get numbers by themselves.
pub(super) const COUNTED: &str =
    "rows get no numbers by themselves: write BIGINT and give them their keys, or TEXT DEFAULT gen_random_uuid()";

/// A word that is no type of ours.
fn unknown(word: &str) -> SqlError {
    let upper = word.to_uppercase();
    let instead = match upper.as_str() {
        "CLOB" | "NVARCHAR" => Some("STRING"),
        "BLOB" => Some("BYTES"),
        "DATETIME" => Some("TIMESTAMP(3) or TIMESTAMP_LTZ(3)"),
        "LONG" => Some("BIGINT"),
        "SERIAL" | "BIGSERIAL" | "SMALLSERIAL" | "SERIAL4" | "SERIAL8" | "SERIAL2" => {
            return unsupported(&upper).with_hint(COUNTED);
        }
        "MULTISET" | "RAW" | "VARIANT" | "SYMBOL" | "NULL" => return unsupported(&upper),
        _ => NAMES.iter().copied().find(|n| eddyline_catalog::edit_distance(n, &upper) == 1),
    };
    let error = SqlError::new(SqlError::UNDEFINED_OBJECT, format!("type {word} does not exist"));
    match instead {
        Some(name) => error.with_hint(format!("write {name}")),
        None => error,
    }
}
