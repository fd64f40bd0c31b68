//! What stands between the brackets of CREATE TABLE: columns, primary key, what else is unique, watermark.

use super::cursor::Cursor;
use super::{ddl, index, refuse};
use crate::statement::{Like, UniqueColumns};
use crate::{SqlError, TextPosition};
use arrow::datatypes::DataType;
use eddyline_catalog::{Column, ColumnSource, WatermarkDefinition};
use sqlparser::tokenizer::Token;

/// Columns, primary key, watermark.
type Finished = (Vec<Column>, Vec<String>, Option<WatermarkDefinition>);

/// The elements of a table, as written.
#[derive(Default)]
pub(super) struct Elements {
    columns: Vec<Column>,
    /// Where each column is named.
    places: Vec<TextPosition>,
    primary_key: Option<Vec<(String, TextPosition)>>,
    watermark: Option<(WatermarkDefinition, TextPosition)>,
    /// What no two rows may have alike.
    pub(super) unique: Vec<UniqueColumns>,
    /// The table that is copied, in PostgreSQL's spelling.
    pub(super) like: Option<Like>,
    /// What is wrong with a key that is to be enforced, if the table has a connector.
    enforced: Option<SqlError>,
}

impl Elements {
    /// After the opening bracket, to the closing one.
    ///
    /// # Errors
    /// A syntax error, what is not supported, or something twice.
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self, SqlError> {
        let mut elements = Self::default();
        if cursor.symbol(&Token::RParen) {
            return Ok(elements);
        }
        loop {
            elements.element(cursor)?;
            if cursor.symbol(&Token::RParen) {
                return Ok(elements);
            }
            if !cursor.symbol(&Token::Comma) {
                return Err(cursor.expected("`,` or `)`"));
            }
        }
    }

    /// The definition; `complete` says that nothing else brings columns, `is_kept` that there is no connector.
    ///
    /// # Errors
    /// A primary key or watermark over a column that is not there, a key that nobody can enforce.
    pub(super) fn finish(mut self, complete: bool, is_kept: bool) -> Result<Finished, SqlError> {
        if let Some(error) = self.enforced.take().filter(|_| !is_kept) {
            return Err(error);
        }
        if let Some((watermark, position)) = &self.watermark
            && complete
            && !self.columns.iter().any(|c| c.name == watermark.column)
        {
            return Err(self.unknown("the watermark", &watermark.column).at(*position));
        }
        for (name, position) in self.primary_key.iter().flatten() {
            let found = self.columns.iter_mut().find(|c| c.name == *name);
            match found {
                None if complete => return Err(self.unknown("the primary key", name).at(*position)),
                None => {}
                Some(column) if column.source == ColumnSource::Physical => column.nullable = false,
                Some(_) => {
                    let message = format!("the primary key names {name}, which is not a physical column");
                    return Err(SqlError::new(SqlError::INVALID, message).at(*position));
                }
            }
        }
        let key = self.primary_key.unwrap_or_default().into_iter().map(|(name, _)| name).collect();
        Ok((self.columns, key, self.watermark.map(|(w, _)| w)))
    }

    /// The column that ALTER TABLE adds.
    ///
    /// # Errors
    /// A syntax error, what is not supported, a key or a watermark.
    pub(super) fn added(cursor: &mut Cursor<'_>) -> Result<Column, SqlError> {
        let (position, mut elements) = (cursor.position(), Self::default());
        elements.element(cursor)?;
        match elements {
            Self { like: Some(_), .. } => {
                Err(refuse::unsupported("LIKE in ALTER TABLE", "ADD the columns by their names").at(position))
            }
            Self { unique, .. } if !unique.is_empty() => {
                let hint = "ALTER TABLE … ADD the column without it, then CREATE UNIQUE INDEX";
                Err(refuse::unsupported("UNIQUE of a column that is added", hint).at(position))
            }
            Self { mut columns, primary_key: None, watermark: None, .. } if columns.len() == 1 => Ok(columns.remove(0)),
            _ => {
                let hint = "CREATE TABLE another one with it, INSERT INTO it what this one holds, and ALTER TABLE … SWAP WITH it";
                Err(refuse::unsupported("a key or a watermark for a table that is there", hint).at(position))
            }
        }
    }

    fn unknown(&self, what: &str, name: &str) -> SqlError {
        let error =
            SqlError::new(SqlError::UNDEFINED_COLUMN, format!("{what} names column {name}, which does not exist"));
        let distance = |c: &Column| eddyline_catalog::edit_distance(&c.name.to_lowercase(), &name.to_lowercase());
        match self.columns.iter().min_by_key(|c| distance(c)).filter(|c| distance(c) <= 1 + name.len() / 4) {
            Some(near) => error.with_hint(format!("did you mean {}?", near.name)),
            None => {
                let names: Vec<&str> = self.columns.iter().map(|c| c.name.as_str()).collect();
                error.with_hint(format!("the columns are {}", names.join(", ")))
            }
        }
    }

    fn element(&mut self, cursor: &mut Cursor<'_>) -> Result<(), SqlError> {
        check_constraint(cursor, &OF_TABLES)?;
        if cursor.peek_words(&["WATERMARK", "FOR"]) {
            return self.watermark(cursor);
        }
        if cursor.peek_word("LIKE") {
            return self.table_like(cursor);
        }
        let constraint = cursor.peek_word("CONSTRAINT") && !super::script::is_word(&cursor.peek_nth(1).token, "AS");
        if constraint {
            cursor.word("CONSTRAINT");
            let name = cursor.identifier("the name of the constraint")?;
            check_constraint(cursor, &OF_TABLES)?;
            if !cursor.peek_words(&["PRIMARY", "KEY"]) && !cursor.peek_word("UNIQUE") {
                return Err(cursor.expected("PRIMARY KEY or UNIQUE"));
            }
            if cursor.peek_word("UNIQUE") {
                return self.table_unique(cursor, Some(name.value));
            }
        }
        if cursor.peek_words(&["PRIMARY", "KEY"]) {
            return self.table_key(cursor);
        }
        let begins_unique = |next: &Token| *next == Token::LParen || super::script::is_word(next, "NULLS");
        if cursor.peek_word("UNIQUE") && begins_unique(&cursor.peek_nth(1).token) {
            return self.table_unique(cursor, None);
        }
        self.column(cursor)
    }

    /// `LIKE t [INCLUDING …]`: the columns of another table.
    fn table_like(&mut self, cursor: &mut Cursor<'_>) -> Result<(), SqlError> {
        let position = cursor.position();
        cursor.expect_words(&["LIKE"])?;
        if self.like.is_some() || !self.columns.is_empty() {
            let hint = "write one LIKE, before the columns that are added";
            return Err(refuse::unsupported("LIKE behind columns or another LIKE", hint).at(position));
        }
        self.like = Some(ddl::like_among_columns(cursor)?);
        Ok(())
    }

    /// `UNIQUE [NULLS [NOT] DISTINCT] (a, b)`.
    fn table_unique(&mut self, cursor: &mut Cursor<'_>, name: Option<String>) -> Result<(), SqlError> {
        let position = cursor.position();
        cursor.expect_words(&["UNIQUE"])?;
        let nulls_distinct = index::nulls_distinct(cursor);
        cursor.expect_symbol(&Token::LParen)?;
        let columns = cursor.list(|c| Ok(c.identifier("the name of a column")?.value))?;
        if !cursor.symbol(&Token::RParen) {
            return Err(cursor.expected("`,` or `)`"));
        }
        self.unique.push(UniqueColumns { name, columns, nulls_distinct, position });
        Ok(())
    }

    fn watermark(&mut self, cursor: &mut Cursor<'_>) -> Result<(), SqlError> {
        let begin = cursor.position();
        cursor.expect_words(&["WATERMARK", "FOR"])?;
        let position = cursor.position();
        let column = cursor.identifier("the name of a column")?.value;
        if cursor.peek().token == Token::Period {
            let error =
                refuse::unsupported("a watermark for a field of a row", "declare a computed column: ts AS r.ts");
            return Err(error.at(position));
        }
        if !cursor.word("AS") {
            let hint = format!("write WATERMARK FOR {column} AS {column} - INTERVAL '5' SECOND");
            return Err(cursor.expected("AS").with_hint(hint));
        }
        let from = cursor.begin();
        cursor.expression()?;
        let watermark = WatermarkDefinition { column, sql: cursor.text_since(from).to_owned() };
        if self.watermark.replace((watermark, position)).is_some() {
            return Err(SqlError::new(SqlError::INVALID, "a table has one watermark, here is another").at(begin));
        }
        Ok(())
    }

    /// `PRIMARY KEY (a, b) NOT ENFORCED`.
    fn table_key(&mut self, cursor: &mut Cursor<'_>) -> Result<(), SqlError> {
        let begin = cursor.position();
        cursor.expect_words(&["PRIMARY", "KEY"])?;
        cursor.expect_symbol(&Token::LParen)?;
        let mut columns: Vec<(String, TextPosition)> = Vec::new();
        for (name, position) in cursor
            .list(|c| Ok((c.position(), c.identifier("the name of a column")?.value)))?
            .into_iter()
            .map(|(p, n)| (n, p))
        {
            if columns.iter().any(|(n, _)| *n == name) {
                return Err(twice(&format!("column {name} of the primary key")).at(position));
            }
            columns.push((name, position));
        }
        if !cursor.symbol(&Token::RParen) {
            return Err(cursor.expected("`,` or `)`"));
        }
        self.enforced = self.enforced.take().or(enforced(cursor));
        self.set_key(columns, begin)
    }

    fn set_key(&mut self, columns: Vec<(String, TextPosition)>, begin: TextPosition) -> Result<(), SqlError> {
        match self.primary_key.replace(columns) {
            Some(_) => Err(SqlError::new(SqlError::INVALID, "a table has one primary key, here is another").at(begin)),
            None => Ok(()),
        }
    }

    fn column(&mut self, cursor: &mut Cursor<'_>) -> Result<(), SqlError> {
        let position = cursor.position();
        let name = cursor.identifier("a column, PRIMARY KEY or WATERMARK FOR")?.value;
        if self.columns.iter().any(|c| c.name == name) {
            return Err(twice(&format!("column {name}")).at(position));
        }
        let (data_type, source) = (DataType::Null, ColumnSource::Physical);
        let mut column = Column { name, data_type, nullable: true, source, comment: None, default: None };
        if cursor.word("AS") {
            let from = cursor.begin();
            cursor.expression()?;
            column.source = ColumnSource::Computed { sql: cursor.text_since(from).to_owned() };
            column.comment = ddl::comment(cursor)?;
        } else {
            if matches!(cursor.peek().token, Token::Comma | Token::RParen) {
                let error = cursor.expected(&format!("the type of column {}", column.name));
                return Err(error);
            }
            column.data_type = cursor.column_type()?;
            self.clauses(cursor, &mut column, position)?;
        }
        self.columns.push(column);
        self.places.push(position);
        Ok(())
    }

    /// After the type: NOT NULL, PRIMARY KEY, METADATA, DEFAULT, COMMENT in any order.
    fn clauses(
        &mut self,
        cursor: &mut Cursor<'_>,
        column: &mut Column,
        position: TextPosition,
    ) -> Result<(), SqlError> {
        loop {
            let begin = cursor.position();
            if cursor.words(&["NOT", "NULL"]) {
                column.nullable = false;
            } else if cursor.word("NULL") {
            } else if cursor.words(&["PRIMARY", "KEY"]) {
                self.enforced = self.enforced.take().or(enforced(cursor));
                self.set_key(vec![(column.name.clone(), position)], begin)?;
            } else if cursor.word("METADATA") {
                let from =
                    if cursor.word("FROM") { Some(cursor.string("the metadata's key as a string")?) } else { None };
                let key = from.unwrap_or_else(|| column.name.clone());
                column.source = ColumnSource::Metadata { key, is_virtual: cursor.word("VIRTUAL") };
            } else if cursor.peek_word("COMMENT") {
                column.comment = ddl::comment(cursor)?;
            } else if cursor.word("DEFAULT") {
                let from = cursor.begin();
                cursor.expression()?;
                if column.default.replace(cursor.text_since(from).to_owned()).is_some() {
                    return Err(twice(&format!("DEFAULT of column {}", column.name)).at(begin));
                }
            } else if cursor.word("UNIQUE") {
                let (nulls_distinct, columns) = (index::nulls_distinct(cursor), vec![column.name.clone()]);
                self.unique.push(UniqueColumns { name: None, columns, nulls_distinct, position: begin });
            } else if cursor.peek_words(&["GENERATED"]) {
                let counts = ["IDENTITY", "BY"]
                    .iter()
                    .any(|w| (0..4).any(|n| super::script::is_word(&cursor.peek_nth(n).token, w)));
                return Err(match counts {
                    true => refuse::unsupported("GENERATED AS IDENTITY", super::types::COUNTED),
                    false => refuse::unsupported("GENERATED", "write the column as: name AS expression"),
                }
                .at(begin));
            } else if cursor.peek_word("AS") {
                let hint = format!("a computed column has no type: {} AS expression", column.name);
                return Err(cursor.expected("`,` or `)`").with_hint(hint));
            } else {
                return check_constraint(cursor, &OF_COLUMNS);
            }
        }
    }
}

/// Constraints of PostgreSQL that are not there: how they begin, and what to do.
type Constraints = [(&'static [&'static str], &'static str)];

const UNCHECKED: &str = "nothing checks what rows refer to: leave it out, and join the tables where they are read";
const CONDITION: &str = "leave it out, and select the rows that break it in a materialized view";

const OF_TABLES: [(&[&str], &str); 3] =
    [(&["FOREIGN", "KEY", "("], UNCHECKED), (&["CHECK", "("], CONDITION), (&["EXCLUDE", "USING"], CONDITION)];

const OF_COLUMNS: [(&[&str], &str); 3] = [
    (&["REFERENCES"], UNCHECKED),
    (&["CHECK", "("], CONDITION),
    (&["COLLATE"], "texts are compared by their bytes, as with COLLATE \"C\": leave it out"),
];

/// Refuses a constraint that is not there.
fn check_constraint(cursor: &Cursor<'_>, constraints: &Constraints) -> Result<(), SqlError> {
    let is_next = |(at, word): (usize, &&str)| match *word {
        "(" => cursor.peek_nth(at).token == Token::LParen,
        word => super::script::is_word(&cursor.peek_nth(at).token, word),
    };
    match constraints.iter().find(|(begin, _)| begin.iter().enumerate().all(is_next)) {
        Some((begin, hint)) => {
            let words: Vec<&str> = begin.iter().copied().filter(|word| *word != "(").collect();
            Err(refuse::unsupported(&words.join(" "), hint).at(cursor.position()))
        }
        None => Ok(()),
    }
}

/// After PRIMARY KEY: what is wrong with it where a connector owns the rows, and nobody can enforce it.
fn enforced(cursor: &mut Cursor<'_>) -> Option<SqlError> {
    if cursor.words(&["NOT", "ENFORCED"]) {
        return None;
    }
    let position = cursor.position();
    if cursor.word("ENFORCED") {
        return Some(refuse::unsupported("ENFORCED", "write PRIMARY KEY … NOT ENFORCED").at(position));
    }
    let hint = "the connector owns the rows, so the key is declared, not checked: PRIMARY KEY … NOT ENFORCED";
    Some(cursor.expected("NOT ENFORCED").with_hint(hint))
}

fn twice(what: &str) -> SqlError {
    SqlError::new(SqlError::DUPLICATE_COLUMN, format!("{what} is there twice"))
}

/// `a [COMMENT 'text'], b)`: the names of a view's columns.
///
/// # Errors
/// A syntax error, or a name twice.
pub(super) fn view_names(cursor: &mut Cursor<'_>) -> Result<Vec<String>, SqlError> {
    let mut names: Vec<String> = Vec::new();
    loop {
        let position = cursor.position();
        let name = cursor.identifier("the name of a column")?.value;
        if names.contains(&name) {
            return Err(twice(&format!("column {name}")).at(position));
        }
        names.push(name);
        if cursor.peek_word("COMMENT") {
            let error = refuse::unsupported("COMMENT on a column of a view", "COMMENT after the columns is");
            return Err(error.at(cursor.position()));
        }
        if cursor.symbol(&Token::RParen) {
            return Ok(names);
        }
        if !cursor.symbol(&Token::Comma) {
            return Err(cursor.expected("`,` or `)`"));
        }
    }
}
