//! A table whose columns change: what becomes of its rows, and what of the jobs that read it.

use super::Feed;
use crate::error::of_arrow;
use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array, make_array, new_null_array};
use arrow::compute::{sort_to_indices, take};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use eddyline_changes::{ChangeBatch, ChangeError};
use eddyline_planner::SqlError;
use std::sync::Arc;

/// Where a column comes from.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// From this column of the table as it was.
    Column(usize),
    /// It is new: every row that is there has this value, an array of one.
    Value(ArrayRef),
}

/// The columns of a table after it was altered, in their order.
#[derive(Debug, Clone)]
pub(crate) struct Alteration(pub(crate) Vec<Origin>);

impl Alteration {
    /// Rows of the table as it was, as rows of `schema`.
    ///
    /// # Errors
    /// They are none: a NULL in a column that has none.
    pub(crate) fn rows(&self, rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, SqlError> {
        let column = |origin: &Origin| match origin {
            Origin::Column(at) => Ok(rows.column(*at).clone()),
            Origin::Value(value) => take(value, &UInt32Array::from(vec![0; rows.num_rows()]), None),
        };
        let columns = self.0.iter().map(column).collect::<Result<Vec<_>, ArrowError>>();
        columns
            .and_then(|columns| RecordBatch::try_new(schema.clone(), columns))
            .map_err(|e| SqlError::new(of_arrow(&e), format!("rows of a table that is altered: {e}")))
    }

    /// Where a column of the table as it was is now.
    fn place(&self, column: usize) -> Option<usize> {
        self.0.iter().position(|origin| matches!(origin, Origin::Column(at) if *at == column))
    }
}

/// A job that reads a table, which may have had other columns when the job began.
pub(super) struct Fed {
    feed: Arc<Feed>,
    columns: Option<Columns>,
    /// The column of its time, where the job waits for a watermark: of rows that come together none is to come late.
    time: Option<usize>,
}

/// The columns that the job knows.
struct Columns {
    schema: SchemaRef,
    /// Where each of them is in the table now; `None`: it is gone, and the job does not read it.
    places: Vec<Option<usize>>,
}

impl Fed {
    pub(super) fn new(feed: Arc<Feed>, time: Option<usize>) -> Self {
        Self { feed, columns: None, time }
    }

    /// Does the job wait for the watermark of the table?
    pub(super) fn waits(&self) -> bool {
        self.time.is_some()
    }

    pub(super) fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    /// Gives the job changes of the table as it is now.
    ///
    /// # Errors
    /// None for changes of that table.
    pub(super) fn push(&self, changes: &ChangeBatch) -> Result<(), SqlError> {
        let fault = |e: &dyn std::fmt::Display| SqlError::new(SqlError::INTERNAL, format!("an altered table: {e}"));
        let give = |changes: ChangeBatch| {
            self.feed.push(match self.time {
                Some(time) => in_order_of(&changes, time).map_err(|e| fault(&e))?,
                None => changes,
            });
            Ok(())
        };
        let Some(Columns { schema, places }) = &self.columns else { return give(changes.clone()) };
        let columns = schema.fields().iter().zip(places).map(|(field, place)| match place {
            Some(place) => Ok(changes.column(*place).clone()),
            None => unread(field.data_type(), field.is_nullable(), changes.num_rows()),
        });
        let columns = columns.collect::<Result<Vec<_>, ArrowError>>();
        let rows = columns.and_then(|columns| RecordBatch::try_new(schema.clone(), columns)).map_err(|e| fault(&e))?;
        give(changes.with_rows(rows).map_err(|e| fault(&e))?)
    }

    /// The table, whose columns were those of `before`, is altered.
    pub(super) fn alter(&mut self, alteration: &Alteration, before: &SchemaRef) {
        let all = || Columns { schema: before.clone(), places: (0..before.fields().len()).map(Some).collect() };
        let columns = self.columns.get_or_insert_with(all);
        for place in &mut columns.places {
            *place = place.and_then(|place| alteration.place(place));
        }
    }
}

/// The same changes, those of early times first.
fn in_order_of(changes: &ChangeBatch, time: usize) -> Result<ChangeBatch, ChangeError> {
    changes.take(&sort_to_indices(changes.column(time), None, None)?)
}

/// Values of a column that nobody reads.
fn unread(data_type: &DataType, nullable: bool, rows: usize) -> Result<ArrayRef, ArrowError> {
    let nulls = new_null_array(data_type, rows);
    match nullable {
        true => Ok(nulls),
        false => nulls.to_data().into_builder().nulls(None).build().map(make_array),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{AsArray, Int64Array, StringArray};
    use arrow::datatypes::{Field, Int64Type, Schema};

    fn schema(fields: &[(&str, DataType, bool)]) -> SchemaRef {
        Arc::new(Schema::new(
            fields.iter().map(|(n, t, nullable)| Field::new(*n, t.clone(), *nullable)).collect::<Vec<_>>(),
        ))
    }

    #[test]
    fn jobs_are_given_the_columns_that_they_know() {
        let (int, text) = (DataType::Int64, DataType::Utf8);
        let first = schema(&[("a", int.clone(), false), ("b", text.clone(), false), ("c", int.clone(), true)]);
        let mut fed = Fed::new(Arc::default(), None);
        // b goes, d comes; then a and c change their places.
        fed.alter(
            &Alteration(vec![Origin::Column(0), Origin::Column(2), Origin::Value(Arc::new(Int64Array::from(vec![7])))]),
            &first,
        );
        let second = schema(&[("a", int.clone(), false), ("c", int.clone(), true), ("d", int.clone(), true)]);
        fed.alter(&Alteration(vec![Origin::Column(1), Origin::Column(0)]), &second);
        let columns: Vec<ArrayRef> =
            vec![Arc::new(Int64Array::from(vec![None, Some(3)])), Arc::new(Int64Array::from(vec![1, 2]))];
        let now = schema(&[("c", int.clone(), true), ("a", int, false)]);
        let rows = RecordBatch::try_new(now, columns).expect("rows");
        fed.push(&ChangeBatch::inserts(rows)).expect("changes");
        let given = fed.feed.waiting().expect("changes");
        assert_eq!(given.schema(), first);
        assert_eq!(given.column(0).as_primitive::<Int64Type>().values(), &[1, 2]);
        assert_eq!(given.column(1).as_ref(), &StringArray::from(vec!["", ""]) as &dyn Array);
        assert_eq!(given.column(2).as_ref(), &Int64Array::from(vec![None, Some(3)]) as &dyn Array);
    }

    #[test]
    fn rows_have_the_values_of_new_columns() {
        let before = schema(&[("a", DataType::Int64, false)]);
        let rows = RecordBatch::try_new(before, vec![Arc::new(Int64Array::from(vec![1, 2]))]).expect("rows");
        let alteration = Alteration(vec![Origin::Value(Arc::new(StringArray::from(vec!["x"]))), Origin::Column(0)]);
        let after = schema(&[("b", DataType::Utf8, false), ("a", DataType::Int64, false)]);
        let altered = alteration.rows(&rows, &after).expect("rows");
        assert_eq!(altered.column(0).as_string::<i32>().iter().collect::<Vec<_>>(), [Some("x"), Some("x")]);
        assert_eq!(altered.column(1).as_primitive::<Int64Type>().values(), &[1, 2]);
        let null = Alteration(vec![Origin::Value(new_null_array(&DataType::Utf8, 1)), Origin::Column(0)]);
        assert!(null.rows(&rows, &after).is_err());
    }
}
