//! Rows with a mark that says what happens to them: `changelog-csv`, `changelog-json`, `upsert-csv`, `upsert-json`.
//!
//! *Meaning.* A record is one of `csv` or `json` with one field more, the mark. The options of these formats are there
//! under the format's own name (`changelog-json.ignore-parse-errors`).
//! - **changelog**: the field `op` (`<format>.op-field`) holds the row kind, `+I`, `-U`, `+U` or `-D`; in CSV it is the
//!   first. A row is taken back by a record that holds all of it. This is what `eddyline run --format csv` prints of
//!   a changelog.
//! - **upsert**: the field `__deleted` (`<format>.deleted-field`) is `true` where the row with this PRIMARY KEY is gone;
//!   `false`, NULL or not there, the row takes the place of the one before it. In CSV it is the last. Of a deletion only
//!   the key counts. Debezium's flattened events (`delete.tombstone.handling.mode = rewrite`) look like this.
//!
//! *Errors.* A mark that is something else, and NULL in a NOT NULL column, are row errors. In an upsert NULL is
//! allowed everywhere but in the key of a deletion.
//!
//! *Not here.* What happened to a key before: the planner puts an operator behind sources of upserts that knows.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

use super::column::{Column, JsonStrings};
use super::framing::{Framing, Newlines, record_starts};
use super::rows::{RowDecoder, columns};
use super::{BytesFormat, EncodingFormat, Place, csv, json};
use crate::{ConnectorError, Decoder, Options, SourceRequest};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use decode::Marked;
pub(super) use decode::not_null;
use std::io::{self, Read};
use std::sync::Arc;

/// What a mark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// The row kind.
    Kind,
    /// Is the row gone?
    Deleted,
}

/// One of the four formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Variant {
    pub(super) mark: Mark,
    pub(super) is_json: bool,
}

impl Variant {
    fn name(self) -> &'static str {
        match (self.mark, self.is_json) {
            (Mark::Kind, true) => "changelog-json",
            (Mark::Kind, false) => "changelog-csv",
            (Mark::Deleted, true) => "upsert-json",
            (Mark::Deleted, false) => "upsert-csv",
        }
    }

    /// The beginnings of the names of options: as `csv` or `json` read them, and as they are written.
    fn prefixes(self) -> (&'static str, &'static str) {
        match (self.mark, self.is_json) {
            (Mark::Kind, true) => ("json.", "changelog-json."),
            (Mark::Kind, false) => ("csv.", "changelog-csv."),
            (Mark::Deleted, true) => ("json.", "upsert-json."),
            (Mark::Deleted, false) => ("csv.", "upsert-csv."),
        }
    }

    fn field_option(self) -> &'static str {
        match (self.mark, self.is_json) {
            (Mark::Kind, true) => "changelog-json.op-field",
            (Mark::Kind, false) => "changelog-csv.op-field",
            (Mark::Deleted, true) => "upsert-json.deleted-field",
            (Mark::Deleted, false) => "upsert-csv.deleted-field",
        }
    }
}

/// Where the mark stands among the fields of a record.
#[derive(Debug, Clone)]
struct Layout {
    variant: Variant,
    name: String,
    /// The table's columns and the mark, as a record has them.
    fields: SchemaRef,
    mark: usize,
}

impl Layout {
    fn read(variant: Variant, options: &mut Options, physical: &SchemaRef) -> Result<Self, ConnectorError> {
        let option = variant.field_option();
        let default = if variant.mark == Mark::Kind { "op" } else { "__deleted" };
        let name = options.text(option).unwrap_or_else(|| default.into());
        if physical.fields().iter().any(|f| *f.name() == name) {
            return Err(ConnectorError::Option {
                message: format!(
                    "table {}: the field that says what happens to a row and a column are both called {name}",
                    options.table()
                ),
                hint: format!("give the field another name: '{option}' = '…'"),
            });
        }
        let mark = if variant.mark == Mark::Kind { 0 } else { physical.fields().len() };
        let mut fields: Vec<FieldRef> = physical.fields().to_vec();
        fields.insert(mark, Arc::new(Field::new(&name, DataType::Utf8, true)));
        Ok(Self { variant, name, fields: Arc::new(Schema::new(fields)), mark })
    }

    /// Where a column of the table stands in a record.
    fn place(&self, column: usize) -> usize {
        column + usize::from(self.mark <= column)
    }
}

/// See [`super::decoding`].
pub(super) fn decoding(
    variant: Variant,
    options: &mut Options,
    request: &SourceRequest,
) -> Result<Arc<dyn BytesFormat>, ConnectorError> {
    check_key(variant, options, &request.key)?;
    let layout = Layout::read(variant, options, &request.physical)?;
    let (prefix, written) = variant.prefixes();
    let base = options.renamed(prefix, written, |options| match variant.is_json {
        true => {
            json::read_style(options, JsonStrings::Values)?;
            json::check_columns(options, &request.physical)?;
            json::Reading::read(options, JsonStrings::Values).map(Base::Json)
        }
        false => csv::reading(options, &layout.fields).map(|(syntax, skips)| Base::Csv(syntax, skips)),
    })?;
    Ok(Arc::new(MarkedFormat { layout, base, request: request.clone() }))
}

/// See [`super::encoding`].
pub(super) fn encoding(
    variant: Variant,
    options: &mut Options,
    schema: &SchemaRef,
    key: &[usize],
) -> Result<Arc<dyn EncodingFormat>, ConnectorError> {
    check_key(variant, options, key)?;
    let layout = Layout::read(variant, options, schema)?;
    let (prefix, written) = variant.prefixes();
    let fields = encode::fields(&layout, key);
    let base: Box<dyn EncodingFormat> =
        options.renamed(prefix, written, |options| -> Result<Box<dyn EncodingFormat>, ConnectorError> {
            Ok(match variant.is_json {
                true => Box::new(json::writer(options, &fields)?),
                false => Box::new(csv::writer(options, &fields)?),
            })
        })?;
    Ok(Arc::new(encode::Writer::new(layout, fields, key, base)))
}

fn check_key(variant: Variant, options: &Options, key: &[usize]) -> Result<(), ConnectorError> {
    match variant.mark == Mark::Deleted && key.is_empty() {
        true => Err(super::key_is_missing(options, variant.name())),
        false => Ok(()),
    }
}

enum Base {
    Json(json::Reading),
    Csv(csv::Syntax, bool),
}

struct MarkedFormat {
    layout: Layout,
    base: Base,
    request: SourceRequest,
}

impl MarkedFormat {
    fn framing(&self) -> &dyn Framing {
        match &self.base {
            Base::Json(_) => &Newlines,
            Base::Csv(syntax, _) => syntax,
        }
    }
}

impl BytesFormat for MarkedFormat {
    fn decoder(&self, place: Place) -> Result<Box<dyn Decoder>, ConnectorError> {
        let Self { layout, request, .. } = self;
        let mut columns = columns(request)?;
        if layout.variant.mark == Mark::Deleted {
            columns = columns.into_iter().map(|c| c.lenient()).collect();
        }
        columns.push(Column::new(&layout.fields.fields()[layout.mark], &request.time_zone)?);
        let fields: Vec<usize> = request.projection.iter().map(|c| layout.place(*c)).chain([layout.mark]).collect();
        Ok(match &self.base {
            Base::Json(reading) => {
                let columns = columns.into_iter().map(|c| c.with_json_strings(reading.json_strings)).collect();
                let objects = json::Objects::new(&layout.fields, &fields, reading.fails_on_missing);
                let records = Marked::new(objects, layout, request);
                Box::new(RowDecoder::with_columns(records, columns, request, place, reading.skips_faults)?)
            }
            Base::Csv(syntax, skips_faults) => {
                let lines = csv::Lines::new(syntax.clone(), &layout.fields, &fields);
                let records = Marked::new(lines, layout, request);
                Box::new(RowDecoder::with_columns(records, columns, request, place, *skips_faults)?)
            }
        })
    }

    fn record_end(&self, bytes: &[u8]) -> Option<usize> {
        self.framing().last_end(bytes)
    }

    fn is_splittable(&self) -> bool {
        match &self.base {
            Base::Json(_) => true,
            Base::Csv(syntax, _) => syntax.ends_at_newlines(),
        }
    }

    fn record_starts(&self, input: &mut dyn Read, targets: &[u64]) -> io::Result<Vec<u64>> {
        record_starts(self.framing(), input, targets)
    }
}
