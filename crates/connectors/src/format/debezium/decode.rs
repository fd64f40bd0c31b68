//! Events to rows. `op` stands behind the rows, so rows are decoded as they come, in the belief that `op` will want
//! them, and what it does not want is taken back: that never happens in events as Debezium writes them, where the
//! other row is null. So every byte is gone over once.

use super::super::column::Column;
use super::super::json::syntax::{self, Items, skip_space};
use super::super::json::{NO_OBJECT, Objects, Reading, line_end};
use super::super::marked::not_null;
use super::super::rows::{Fault, Records, Step};
use crate::SourceRequest;

/// Reads one event per line.
pub(super) struct Events {
    objects: Objects,
    has_schema: bool,
    is_upsert: bool,
    /// The columns that make the key, and those of all that must not be NULL.
    key: Vec<usize>,
    not_null: Vec<usize>,
    weights: Vec<i64>,
}

/// What an event says.
#[derive(Clone, Copy)]
enum Op {
    Added,
    Updated,
    Deleted,
}

/// The fields of an event: where the rows stand, if they are not null.
#[derive(Default)]
struct Fields {
    before: Option<usize>,
    after: Option<usize>,
    op: Option<Op>,
    /// Rows that were decoded, in this order: the weights that go with them.
    decoded: [i64; 2],
    count: usize,
}

impl Events {
    pub(super) fn new(request: &SourceRequest, reading: &Reading, has_schema: bool, is_upsert: bool) -> Self {
        let column = |physical: &usize| request.projection.iter().position(|p| p == physical);
        let fields = request.physical.fields();
        let not_null = request.projection.iter().enumerate().filter(|(_, p)| !fields[**p].is_nullable());
        Self {
            objects: Objects::new(&request.physical, &request.projection, reading.fails_on_missing).nested(),
            has_schema,
            is_upsert,
            key: request.key.iter().filter_map(column).collect(),
            not_null: not_null.map(|(at, _)| at).collect(),
            weights: Vec::new(),
        }
    }

    /// Reads the event that begins at `at`; returns where it ends.
    fn event(&mut self, bytes: &[u8], at: usize, columns: &mut [Column]) -> Result<usize, Fault> {
        let rows_before = columns.first().map_or(0, Column::rows);
        let (fields, end) = self.fields(bytes, at, columns)?;
        let op = fields.op.ok_or_else(|| Fault::record("the event has no \"op\""))?;
        let (before, after) = match op {
            Op::Added => (false, true),
            Op::Updated => (!self.is_upsert, true),
            Op::Deleted => (true, false),
        };
        if (before && fields.before.is_none()) || (after && fields.after.is_none()) {
            return Err(missing(op, self.is_upsert, fields.after.is_none()));
        }
        let wanted: &[i64] = match (before, after) {
            (true, true) => &[-1, 1],
            (true, false) => &[-1],
            _ => &[1],
        };
        let decoded = &fields.decoded[..fields.count];
        // An update may have its rows in another order.
        if decoded != wanted && !(decoded == [1, -1] && wanted.len() == 2) {
            columns.iter_mut().for_each(|c| c.truncate(rows_before));
            self.weights.truncate(self.weights.len() - fields.count);
            for (place, weight) in [(fields.before.filter(|_| before), -1), (fields.after.filter(|_| after), 1)] {
                if let Some(place) = place {
                    self.row(bytes, place, weight, columns)?;
                }
            }
        }
        if self.is_upsert {
            not_null(if after { &self.not_null } else { &self.key }, columns)?;
        }
        Ok(end)
    }

    /// Goes over the fields of an event, and decodes the rows among them that are likely to be wanted.
    fn fields(&mut self, bytes: &[u8], at: usize, columns: &mut [Column]) -> Result<(Fields, usize), Fault> {
        if bytes.get(at) != Some(&b'{') {
            return Err(Fault::record("the event is no JSON object"));
        }
        let mut fields = Fields::default();
        let mut items = Items::new(at, b'}');
        while let Some(item) = items.next(bytes)? {
            let key = syntax::key(bytes, item)?;
            let weight = match key.text {
                b"before" => -1,
                b"after" => 1,
                b"op" => {
                    items.at = syntax::value_end(bytes, key.value, 0)?;
                    fields.op = Some(op(&bytes[key.value..items.at])?);
                    continue;
                }
                _ => {
                    items.at = syntax::value_end(bytes, key.value, 0)?;
                    continue;
                }
            };
            if bytes.get(key.value) == Some(&b'n') {
                items.at = syntax::literal(bytes, key.value, b"null")?;
                continue;
            }
            let seen = if weight < 0 { &mut fields.before } else { &mut fields.after };
            if seen.replace(key.value).is_some() {
                return Err(Fault::record("the event has \"before\" or \"after\" twice"));
            }
            items.at = if weight < 0 && self.is_upsert {
                syntax::value_end(bytes, key.value, 0)?
            } else {
                fields.decoded[fields.count] = weight;
                fields.count += 1;
                self.row(bytes, key.value, weight, columns)?
            };
        }
        Ok((fields, items.at))
    }

    fn row(&mut self, bytes: &[u8], at: usize, weight: i64, columns: &mut [Column]) -> Result<usize, Fault> {
        match self.objects.read(bytes, at, columns)? {
            Step::Row(end) => {
                self.weights.push(weight);
                Ok(end)
            }
            _ => Err(Fault::record(NO_OBJECT)),
        }
    }

    /// The place of the event in its line.
    fn event_start(&self, bytes: &[u8], at: usize) -> Result<(usize, Option<Items>), Fault> {
        if !self.has_schema {
            return Ok((at, None));
        }
        if bytes.get(at) != Some(&b'{') {
            return Err(Fault::record(NO_OBJECT));
        }
        let mut items = Items::new(at, b'}');
        while let Some(item) = items.next(bytes)? {
            let key = syntax::key(bytes, item)?;
            if key.text == b"payload" {
                return Ok((key.value, Some(items)));
            }
            items.at = syntax::value_end(bytes, key.value, 0)?;
        }
        Err(Fault::record("there is no \"payload\", though 'debezium-json.schema-include' is true"))
    }

    fn line(&mut self, bytes: &[u8], at: usize, columns: &mut [Column]) -> Result<usize, Fault> {
        let (event, around) = self.event_start(bytes, at)?;
        let mut end = self.event(bytes, event, columns)?;
        if let Some(mut items) = around {
            items.at = end;
            while let Some(item) = items.next(bytes)? {
                items.at = syntax::value_end(bytes, syntax::key(bytes, item)?.value, 0)?;
            }
            end = items.at;
        }
        line_end(bytes, end)
    }
}

fn op(value: &[u8]) -> Result<Op, Fault> {
    match value {
        b"\"c\"" | b"\"r\"" => Ok(Op::Added),
        b"\"u\"" => Ok(Op::Updated),
        b"\"d\"" => Ok(Op::Deleted),
        _ => {
            Err(Fault { column: Some("op".into()), value: value.to_vec(), message: "is none of c, r, u and d".into() })
        }
    }
}

#[cold]
fn missing(op: Op, is_upsert: bool, is_after: bool) -> Fault {
    if is_after && !matches!(op, Op::Deleted) {
        return Fault::record("\"after\" is null, though a row was added or updated");
    }
    Fault::record(match is_upsert {
        true => "\"before\" is null: there is no key of what was deleted",
        false => {
            "\"before\" is null: it is not known which row was updated or deleted. Let the database send whole rows \
             (Postgres: ALTER TABLE … REPLICA IDENTITY FULL), or declare a PRIMARY KEY and set \
             'debezium-json.upsert' = 'true'"
        }
    })
}

impl Records for Events {
    const IS_TEXT: bool = true;

    fn read(&mut self, bytes: &[u8], at: usize, columns: &mut [Column]) -> Result<Step, Fault> {
        let start = skip_space(bytes, at);
        if matches!(bytes.get(start), None | Some(b'\n')) {
            return Ok(Step::Nothing(line_end(bytes, start)?));
        }
        let weights = self.weights.len();
        match self.line(bytes, start, columns) {
            Ok(next) if self.weights.len() - weights == 2 => Ok(Step::Pair(next)),
            Ok(next) => Ok(Step::Row(next)),
            Err(fault) => {
                self.weights.truncate(weights);
                Err(fault)
            }
        }
    }

    fn skip(&self, bytes: &[u8], at: usize) -> usize {
        memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |n| at + n + 1)
    }

    fn take_weights(&mut self) -> Option<Vec<i64>> {
        Some(std::mem::take(&mut self.weights))
    }
}
