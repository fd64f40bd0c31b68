//! The tables that the generator can fill: the one table of the Flink connector, with a ROW per stream, and our flat
//! ones, and the check that a declared table is one of them.

use super::events::{Events, Model, Stream};
use crate::{ConnectorError, SourceRequest};
use arrow::array::{ArrayRef, Int32Array, RecordBatch, RecordBatchOptions, StructArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, FieldRef, Fields, SchemaRef, TimeUnit};
use std::ops::Range;
use std::sync::Arc;

#[derive(Clone, Copy)]
enum Kind {
    Long,
    Text,
    Time,
}

impl Kind {
    fn data_type(self) -> DataType {
        match self {
            Kind::Long => DataType::Int64,
            Kind::Text => DataType::Utf8,
            Kind::Time => DataType::Timestamp(TimeUnit::Millisecond, None),
        }
    }

    fn sql(self) -> &'static str {
        match self {
            Kind::Long => "BIGINT",
            Kind::Text => "VARCHAR",
            Kind::Time => "TIMESTAMP(3)",
        }
    }
}

/// Name within the ROW, name in the flat table, type; at the place that [`Model::column`] knows.
type Known = (&'static str, &'static str, Kind);

const PERSON: &[Known] = &[
    ("id", "id", Kind::Long),
    ("name", "name", Kind::Text),
    ("emailAddress", "email_address", Kind::Text),
    ("creditCard", "credit_card", Kind::Text),
    ("city", "city", Kind::Text),
    ("state", "state", Kind::Text),
    ("dateTime", "date_time", Kind::Time),
    ("extra", "extra", Kind::Text),
];
const AUCTION: &[Known] = &[
    ("id", "id", Kind::Long),
    ("itemName", "item_name", Kind::Text),
    ("description", "description", Kind::Text),
    ("initialBid", "initial_bid", Kind::Long),
    ("reserve", "reserve", Kind::Long),
    ("dateTime", "date_time", Kind::Time),
    ("expires", "expires", Kind::Time),
    ("seller", "seller", Kind::Long),
    ("category", "category", Kind::Long),
    ("extra", "extra", Kind::Text),
];
const BID: &[Known] = &[
    ("auction", "auction", Kind::Long),
    ("bidder", "bidder", Kind::Long),
    ("price", "price", Kind::Long),
    ("channel", "channel", Kind::Text),
    ("url", "url", Kind::Text),
    ("dateTime", "date_time", Kind::Time),
    ("extra", "extra", Kind::Text),
];

fn known(stream: Stream) -> &'static [Known] {
    match stream {
        Stream::Person => PERSON,
        Stream::Auction => AUCTION,
        Stream::Bid => BID,
    }
}

/// What a decoder makes of events.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    schema: SchemaRef,
    columns: Columns,
}

#[derive(Debug, Clone)]
enum Columns {
    /// Events of one stream: the fields of its columns.
    Flat(Stream, Vec<usize>),
    /// Events of all streams.
    All(Vec<Column>),
}

#[derive(Debug, Clone)]
enum Column {
    EventType,
    Row(Stream, Fields, Vec<usize>),
}

impl Layout {
    /// The layout of a request: `flat` for a table of one stream.
    ///
    /// # Errors
    /// A column that the table does not have, or one of another type; all columns are checked, also those that are
    /// not projected.
    pub(super) fn new(request: &SourceRequest, flat: Option<Stream>) -> Result<Self, ConnectorError> {
        let fields = request.physical.fields();
        let projected = request.projection.iter();
        let columns = match flat {
            Some(stream) => {
                let all = places(&request.table, fields, known(stream), |k| k.1)?;
                Columns::Flat(stream, projected.map(|c| all[*c]).collect())
            }
            None => {
                let all = fields.iter().map(|f| column(&request.table, f)).collect::<Result<Vec<_>, _>>()?;
                Columns::All(projected.map(|c| all[*c].clone()).collect())
            }
        };
        Ok(Self { schema: request.decoded(), columns })
    }

    /// At most `rows_max` rows out of `positions`; and where the next one begins.
    pub(super) fn rows(
        &self,
        model: &Model,
        positions: Range<u64>,
        split: (u64, u64),
        rows_max: usize,
    ) -> Result<(RecordBatch, u64), ConnectorError> {
        let stream = match &self.columns {
            Columns::Flat(stream, _) => Some(*stream),
            Columns::All(_) => None,
        };
        let (events, next) = model.events(stream, positions.clone(), split, rows_max);
        let arrays = match &self.columns {
            Columns::Flat(stream, fields) => {
                fields.iter().map(|f| model.column(*stream, *f, &events)).collect::<Result<Vec<_>, _>>()?
            }
            Columns::All(columns) => {
                let columns = columns.iter().map(|c| c.array(model, positions.start..next, split, &events));
                columns.collect::<Result<Vec<_>, _>>()?
            }
        };
        let options = RecordBatchOptions::new().with_row_count(Some(events.len()));
        Ok((RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)?, next))
    }
}

impl Column {
    fn array(
        &self,
        model: &Model,
        positions: Range<u64>,
        split: (u64, u64),
        all: &Events,
    ) -> Result<ArrayRef, ConnectorError> {
        match self {
            Column::EventType => {
                let types = all.places().iter().map(|place| model.stream_at(*place) as i32);
                Ok(Arc::new(Int32Array::from_iter_values(types)))
            }
            Column::Row(stream, fields, places) => {
                let (own, _) = model.events(Some(*stream), positions, split, usize::MAX);
                let arrays = places.iter().map(|f| model.column(*stream, *f, &own)).collect::<Result<Vec<_>, _>>()?;
                let rows = StructArray::try_new_with_length(fields.clone(), arrays, None, own.len())?;
                let mut next = 0..own.len() as u32;
                let at = all.places().iter().map(|p| if model.stream_at(*p) == *stream { next.next() } else { None });
                Ok(take(&rows, &at.collect::<UInt32Array>(), None)?)
            }
        }
    }
}

fn column(table: &str, field: &FieldRef) -> Result<Column, ConnectorError> {
    let stream = match field.name().as_str() {
        "event_type" if *field.data_type() == DataType::Int32 => return Ok(Column::EventType),
        "event_type" => return Err(wrong(table, format!("column 'event_type' is INT, not {}", field.data_type()))),
        "person" => Stream::Person,
        "auction" => Stream::Auction,
        "bid" => Stream::Bid,
        other => {
            let message = format!("the nexmark table has no column '{other}', but event_type, person, auction, bid");
            return Err(wrong(table, message));
        }
    };
    match field.data_type() {
        DataType::Struct(fields) => {
            Ok(Column::Row(stream, fields.clone(), places(table, fields, known(stream), |k| k.0)?))
        }
        other => Err(wrong(table, format!("column '{}' is ROW<{}>, not {other}", field.name(), describe(stream)))),
    }
}

fn places(
    table: &str,
    fields: &Fields,
    known: &[Known],
    name: impl Fn(&Known) -> &'static str,
) -> Result<Vec<usize>, ConnectorError> {
    let list = || known.iter().map(|k| format!("{} {}", name(k), k.2.sql())).collect::<Vec<_>>().join(", ");
    let place = |field: &FieldRef| {
        let at = known.iter().position(|k| name(k) == field.name());
        let at = at.ok_or_else(|| wrong(table, format!("nexmark has no column '{}', but {}", field.name(), list())))?;
        if *field.data_type() != known[at].2.data_type() {
            let message = format!("column '{}' is {}, not {}", field.name(), known[at].2.sql(), field.data_type());
            return Err(wrong(table, message));
        }
        Ok(at)
    };
    fields.iter().map(place).collect()
}

fn describe(stream: Stream) -> String {
    known(stream).iter().map(|k| format!("`{}` {}", k.0, k.2.sql())).collect::<Vec<_>>().join(", ")
}

fn wrong(table: &str, message: String) -> ConnectorError {
    ConnectorError::Option {
        message: format!("table {table}: {message}"),
        hint: "declare the table as docs/connectors/nexmark.md shows it, or one stream of it with \
               'nexmark.table' = 'bid'"
            .into(),
    }
}
