//! Statements about tables and views that the engine keeps: INSERT, UPDATE, DELETE, CREATE MATERIALIZED VIEW.

use crate::beginning::Beginning;
use crate::collect::{CHANNEL, COLLECT};
use crate::ddl;
use crate::durable::StoredView;
use crate::error::{from_catalog, of_arrow};
use crate::indexes::check_indexed;
use crate::job::{self, Epochs, JobEvent, ResultShape, RunningJob};
use crate::joined::{apart, beside as beside_rows, one_of_each, rows_of_delete, rows_of_update};
use crate::kept::{self, Feed, IndexedRows, Order, Reads, Registration, replaced};
use crate::listing::Listing;
use crate::replace::{Beside, beside, check_reads_none};
use crate::reservation::Reservation;
use crate::scan::{Scan, ScanPlan};
use crate::session::{Planned, created, created_message, result_output};
use crate::{Outcome, ResultTable, ScriptError, Session};
use arrow::array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use eddyline_catalog::{Catalog, Column, ColumnSource, Index, MaterializedView, Name, Object, Reference, Table, View};
use eddyline_changes::ChangeBatch;
use eddyline_plan::{ChangeMode, Clock, Dataflow, Node, OperatorSpec, SourceSpec};
use eddyline_planner::statement::{Conflict, Delete, Insert, Query, Update, defaults_query};
use eddyline_planner::{Emit, JobOutput, PlannedJob, PlannerOptions, SqlError, Target, TextPosition};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// What CREATE MATERIALIZED VIEW makes.
pub(crate) const VIEW: &str = "materialized view";
/// How long to wait for the next rows before looking again.
const WAIT: Duration = Duration::from_secs(1);

impl Session {
    /// Does the engine keep the rows of this table?
    pub(crate) fn is_kept(&self, name: &Name) -> bool {
        matches!(self.catalog.object(name), Ok(Object::Table(table)) if table.is_kept())
    }

    /// Does the engine keep the rows of the table that is meant?
    pub(crate) fn keeps(&self, written: &Reference) -> bool {
        self.resolve(written).is_ok_and(|name| self.is_kept(&name))
    }

    /// The rows that a planned job is to read of what the engine keeps, for as long as it starts.
    ///
    /// # Errors
    /// A view that has failed; a table that another session has taken away or replaced since the statement began.
    pub(crate) fn rows_for(&self, planned: &PlannedJob, number: u64) -> Result<Registration, SqlError> {
        let sources: Vec<&SourceSpec> = kept_sources(&planned.dataflow).collect();
        let pictures = self.pictures(&sources)?;
        let mut feeds = BTreeMap::new();
        for source in sources {
            let Some((name, rows)) = kept::name_of(source).and_then(|name| pictures.get_key_value(&name)) else {
                return Err(replaced(&source.table));
            };
            let read = rows.batches_where(&source.column_conditions()).and_then(Iterator::collect);
            let read: Vec<RecordBatch> = read.map_err(|e| kept::of_rows(&source.table, &e))?;
            feeds.insert(name.clone(), Feed::of(read));
        }
        Ok(self.engine.kept().register(number, &feeds))
    }

    /// The rows of a query that looks at each by itself.
    ///
    /// # Errors
    /// As [`rows_for`](Self::rows_for).
    pub(crate) fn scan(&self, plan: ScanPlan) -> Result<Scan, SqlError> {
        let pictures = self.pictures(plan.source().as_slice())?;
        Scan::new(plan, &pictures)
    }

    /// All rows of the tables of these sources, of one moment.
    ///
    /// # Errors
    /// As [`rows_for`](Self::rows_for).
    pub(crate) fn pictures(&self, sources: &[&SourceSpec]) -> Result<BTreeMap<Name, IndexedRows>, SqlError> {
        let tables: Vec<Name> = sources.iter().filter_map(|source| kept::name_of(source)).collect();
        self.pictures_of(&tables.iter().collect::<Vec<_>>())
    }

    /// Has the rows of a table that the engine keeps to itself, and sees it as it is now.
    ///
    /// # Errors
    /// Cancelled while it waits; the table is gone meanwhile, or was replaced.
    pub(crate) fn alone(&mut self, name: &Name) -> Result<Alone, SqlError> {
        let reserved = self.instance.write(name, &self.canceller)?;
        self.refresh();
        let table = self.catalog.table(name).map_err(from_catalog)?.clone();
        if !table.is_kept() {
            return Err(replaced(name));
        }
        let target = self.instance.database().target(name, &table.physical_schema())?;
        Ok(Alone { table, target, reserved })
    }

    /// INSERT INTO a table that the engine keeps.
    ///
    /// # Errors
    /// A query that cannot be planned or computed, or does not end; a key that is there already.
    pub(crate) fn insert(&mut self, insert: &Insert) -> Result<Outcome, ScriptError> {
        let Alone { table, target, reserved } = self.alone(&self.resolve(&insert.table)?)?;
        let by = self.conflict_order(insert, &table)?;
        if let Some(update) = &insert.update {
            return self.insert_or_update(insert, update, by.as_ref(), Alone { table, target, reserved });
        }
        let insert = &insert.with_defaults(&table)?;
        let rows = self.computed(&insert.query, table.as_ref().clone(), insert.columns.clone(), insert.position)?;
        let alone = Alone { table: table.clone(), target, reserved };
        match &insert.returning {
            Some(query) => {
                let returned = |taken| self.returned(query, &table, taken);
                self.put_in(alone, &rows, insert.conflict, by.as_ref(), Some(&returned))
            }
            None => self.put_in(alone, &rows, insert.conflict, by.as_ref(), None),
        }
    }

    /// Inserts rows that were computed; `by` is a unique index that ON CONFLICT names, `returned` is asked what RETURNING answers of those of them that are inserted.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub(crate) fn put_in(
        &self,
        Alone { table, target, reserved }: Alone,
        rows: &RecordBatch,
        conflict: Option<Conflict>,
        by: Option<&Order>,
        returned: Option<&dyn Fn(RecordBatch) -> Result<Listing, ScriptError>>,
    ) -> Result<Outcome, ScriptError> {
        let database = self.instance.database();
        let rows = match conflict {
            Some(Conflict::Nothing) if by.is_some() || self.has_unique(&table.name) => {
                &database.unlike(&target, rows, by)?
            }
            _ => rows,
        };
        // Of another key than the one that is named, no two rows may have the same.
        let conflict = if by.is_some() { Some(Conflict::Error) } else { conflict };
        // Who leaves rows out says how many came.
        let taken = match returned.is_some() || conflict == Some(Conflict::Nothing) {
            true => Some(database.taken(&target, rows, conflict)?),
            false => None,
        };
        let returned = match (returned, &taken) {
            (Some(returned), Some(taken)) => Some(returned(taken.clone())?),
            _ => None,
        };
        let rows = taken.as_ref().filter(|_| conflict == Some(Conflict::Nothing)).unwrap_or(rows);
        let _storing = tracing::info_span!("store").entered();
        let stored = database.insert(&target, rows, conflict)?;
        drop(reserved);
        database.wait_for(&stored)?;
        Ok(changed(rows, "inserted into", &table.name, returned))
    }

    /// The columns that rows from outside are to have, to be [copied into](Self::copy_into) a table: those that are named, or all.
    ///
    /// # Errors
    /// The table or a column is not there, or is not written by statements.
    pub fn copy_columns(&mut self, table: &Reference, columns: &[String]) -> Result<Vec<(String, DataType)>, SqlError> {
        self.refresh();
        let table =
            self.changed(table, TextPosition { line: 1, column: 1 }).map_err(|e| SqlError { position: None, ..e })?;
        let all: Vec<(String, DataType)> = physical(table).map(|c| (c.name.clone(), c.data_type.clone())).collect();
        if columns.is_empty() {
            return Ok(all);
        }
        if let Some(twice) = columns.iter().enumerate().find(|(at, name)| columns[..*at].contains(name)) {
            return Err(SqlError::new(SqlError::DUPLICATE_COLUMN, format!("column {} is named twice", twice.1)));
        }
        let of = |name: &String| {
            let missing = || {
                SqlError::new(SqlError::UNDEFINED_COLUMN, format!("table {} has no column {name} to write", table.name))
            };
            all.iter().find(|(n, _)| n == name).cloned().ok_or_else(missing)
        };
        columns.iter().map(of).collect()
    }

    /// Inserts rows from outside; columns that they lack have their defaults. Returns how many there were.
    ///
    /// # Errors
    /// The table has changed since its columns were asked for; a NULL where there must be none.
    pub fn copy_into(&mut self, table: &Reference, rows: &RecordBatch) -> Result<usize, SqlError> {
        self.end_moment();
        let Alone { table, target, reserved } = self.alone(&self.resolve(table)?)?;
        let schema = table.physical_schema();
        let fits =
            |field: &FieldRef| schema.field_with_name(field.name()).is_ok_and(|f| f.data_type() == field.data_type());
        if !rows.schema().fields().iter().all(fits) {
            return Err(replaced(&table.name));
        }
        let defaults = self.defaults(&table, rows)?;
        let column = |field: &FieldRef| {
            let found = rows.column_by_name(field.name()).or_else(|| defaults.as_ref()?.column_by_name(field.name()));
            found.cloned().unwrap_or_else(|| new_null_array(field.data_type(), rows.num_rows()))
        };
        let columns: Vec<ArrayRef> = schema.fields().iter().map(column).collect();
        check_not_null(&table, &columns)?;
        let whole = RecordBatch::try_new(schema.clone(), columns);
        let whole = whole.map_err(|e| SqlError::new(of_arrow(&e), format!("rows of another table: {e}")))?;
        let _storing = tracing::info_span!("store").entered();
        let stored = self.instance.database().insert(&target, &whole, None)?;
        drop(reserved);
        self.instance.database().wait_for(&stored)?;
        Ok(whole.num_rows())
    }

    /// The defaults of columns that rows from outside lack, for each row; `None`: there are none.
    fn defaults(&self, table: &Table, rows: &RecordBatch) -> Result<Option<RecordBatch>, SqlError> {
        let lacks = |c: &&Column| c.default.is_some() && rows.column_by_name(&c.name).is_none();
        let Some(query) = defaults_query(table, physical(table).filter(lacks))? else { return Ok(None) };
        // The rows are those of the table, with nothing in them yet.
        let schema = Arc::new(Schema::new(
            table.physical_schema().fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect::<Vec<_>>(),
        ));
        let nulls = schema.fields().iter().map(|f| new_null_array(f.data_type(), rows.num_rows())).collect();
        let empty = RecordBatch::try_new(schema, nulls);
        let empty = empty.map_err(|e| SqlError::new(SqlError::INTERNAL, format!("DEFAULT: {e}")))?;
        let answered = self.answered(&query, &table.name, empty).map_err(ScriptError::into_error)?;
        Ok(Some(answered.rows))
    }

    /// What CREATE TABLE AS SELECT does for a table that the engine keeps, when it has been made.
    ///
    /// # Errors
    /// As [`insert`](Self::insert); then there is no such table.
    pub(crate) fn fill(&mut self, name: &Name, query: &Query, position: TextPosition) -> Result<Outcome, ScriptError> {
        let rows = {
            let Alone { table, target, reserved: _reserved } = self.alone(name)?;
            let rows = self.computed(query, table.as_ref().clone(), Vec::new(), position);
            let database = self.instance.database();
            rows.and_then(|rows| {
                let _storing = tracing::info_span!("store").entered();
                let stored = database.insert(&target, &rows, None)?;
                database.wait_for(&stored)?;
                Ok(rows)
            })
        };
        match rows {
            Ok(rows) => {
                let created = created_message("table", name, true);
                let message = format!("{created}; {}", counted(&rows, "inserted into", name));
                Ok(Outcome::Changed { rows: rows.num_rows(), message })
            }
            Err(error) => {
                self.drop_object("table", name, true, true)?;
                Err(error)
            }
        }
    }

    /// UPDATE.
    ///
    /// # Errors
    /// As [`insert`](Self::insert); a table that is not kept, a column that is not there.
    pub(crate) fn update(&mut self, update: &Update) -> Result<Outcome, ScriptError> {
        self.changed(&update.table, update.position)?;
        let alone = self.alone(&self.resolve(&update.table)?)?;
        let table = &alone.table.clone();
        let update = &self.with_shown(update.with_defaults(table)?, table)?;
        check_assigned(table, update)?;
        let of_rows = rows_of_update(table, update);
        let mut rows = self.computed(&update.query(table)?, of_rows, Vec::new(), update.position)?;
        if update.joins() {
            rows = one_of_each(table, &rows)?;
        }
        if !update.shown().is_empty() {
            let (own, others) = apart(&rows, update.shown().len())?;
            let shown = beside_rows(&halves(&own)?.1, others, update.shown())?;
            let returned = self.returned_beside(update, table, shown)?;
            return self.put_updated(alone, &own, returned.map(|listing| move |_| Ok(listing.clone())));
        }
        let session = &*self;
        let returned = update.returning.as_ref().map(|query| move |rows| session.returned(query, table, rows));
        session.put_updated(alone, &rows, returned)
    }

    /// DELETE, TRUNCATE.
    ///
    /// # Errors
    /// As [`insert`](Self::insert); a table that is not kept.
    pub(crate) fn delete(&mut self, delete: &Delete) -> Result<Outcome, ScriptError> {
        self.changed(&delete.table, delete.position)?;
        let alone = self.alone(&self.resolve(&delete.table)?)?;
        let table = &alone.table.clone();
        let delete = &self.with_shown(delete.clone(), table)?;
        let of_rows = rows_of_delete(table, delete);
        let mut rows = self.computed(&delete.query(table)?, of_rows, Vec::new(), delete.position)?;
        if delete.joins() {
            rows = one_of_each(table, &rows)?;
        }
        if !delete.shown().is_empty() {
            let (own, others) = apart(&rows, delete.shown().len())?;
            let returned = self.returned_beside(delete, table, beside_rows(&own, others, delete.shown())?)?;
            return self.put_away(alone, &own, returned.map(|listing| move |_| Ok(listing.clone())));
        }
        let session = &*self;
        let returned = delete.returning.as_ref().map(|query| move |rows| session.returned(query, table, rows));
        session.put_away(alone, &rows, returned)
    }

    /// The table that UPDATE or DELETE changes.
    ///
    /// # Errors
    /// It is not there, or behind a connector.
    pub(crate) fn changed(&self, written: &Reference, position: TextPosition) -> Result<&Table, SqlError> {
        let name = &self.resolve(written).map_err(|e| e.at(position))?;
        let table = self.catalog.table(name).map_err(|e| from_catalog(e).at(position))?;
        if !table.is_kept() {
            let kind = if table.is_source { "source" } else { "table" };
            let message = format!("{kind} {name} is behind a connector: its rows cannot be updated or deleted");
            return Err(SqlError::new(SqlError::UNSUPPORTED, message)
                .with_hint("CREATE TABLE without WITH ('connector' = …) makes a table whose rows statements change")
                .at(position));
        }
        Ok(table)
    }

    /// The rows of a query, as rows of a table.
    pub(crate) fn computed(
        &self,
        query: &Query,
        table: Table,
        columns: Vec<String>,
        position: TextPosition,
    ) -> Result<RecordBatch, ScriptError> {
        self.computed_over(query, table, columns, position, None)
    }

    /// As [`computed`](Self::computed); with `given`, the query reads one table, and these are its rows.
    pub(crate) fn computed_over(
        &self,
        query: &Query,
        table: Table,
        columns: Vec<String>,
        position: TextPosition,
        given: Option<(&Name, &RecordBatch)>,
    ) -> Result<RecordBatch, ScriptError> {
        let number = self.engine.next_channel();
        let (name, columns_of_rows) = (format!("statement on {}", table.name), table.physical_schema());
        let planned = self.planned_rows(query, table, columns, position, number)?;
        let _executing = tracing::info_span!("execute").entered();
        if let Some(plan) = ScanPlan::of(&planned.job, &self.settings)? {
            let scan = match given {
                Some((_, rows)) => Scan::of_rows(plan, rows)?,
                None => self.scan(plan)?,
            };
            return scan.all(&self.canceller).map_err(ScriptError::Job);
        }
        let found = match given {
            Some((_, rows)) if rows.num_rows() == 0 => return Ok(RecordBatch::new_empty(columns_of_rows)),
            Some((table, rows)) => {
                let feeds = BTreeMap::from([(table.clone(), Feed::of([rows.clone()]))]);
                self.engine.kept().register(number, &feeds)
            }
            None => self.rows_for(&planned.job, number)?,
        };
        let beginning = by_itself(name, 1);
        let job = job::start(&self.engine, &self.settings, 1, beginning, planned, Some(number), Epochs::AsTheyCome)?;
        drop(found);
        if !job.facts().bounded {
            let message = "the rows of this statement do not end: a table that it reads is endless";
            return Err(SqlError::new(SqlError::UNSUPPORTED, message)
                .with_hint("CREATE MATERIALIZED VIEW … AS the query keeps its answer up to date")
                .at(position)
                .into());
        }
        let mut rows = ResultTable::new(shape_of(&job)?);
        self.follow(&job, |changes| rows.apply(&changes))?;
        let rows = concat_batches(&rows.schema(), &rows.batches()?);
        Ok(rows.map_err(|e| SqlError::new(of_arrow(&e), format!("rows of a statement: {e}")))?)
    }

    /// The plan of a query whose rows are to be rows of a table.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn planned_rows(
        &self,
        query: &Query,
        table: Table,
        columns: Vec<String>,
        position: TextPosition,
        number: u64,
    ) -> Result<Planned, SqlError> {
        let table = Arc::new(Table { primary_key: Vec::new(), watermark: None, ..collected(table, number) });
        let target = Target::Table { table, columns, conflict: None };
        let outputs = vec![JobOutput { query: query.clone(), target, position: Some(position) }];
        let options = PlannerOptions { shards: 1, ..self.planner_options() };
        self.plan_reading(outputs, &options, Reads::Snapshot, number)
    }

    /// Does something with a table that is there for the time, under its name.
    pub(crate) fn with_table<T>(&mut self, table: Table, act: impl FnOnce(&Self) -> T) -> T {
        let mut catalog = Catalog::clone(&self.catalog);
        catalog.put(Object::Table(Arc::new(table)));
        let now = std::mem::replace(&mut self.catalog, Arc::new(catalog));
        let done = act(self);
        self.catalog = now;
        done
    }

    /// Takes what a job brings to its end.
    fn follow(
        &self,
        job: &RunningJob,
        mut each: impl FnMut(Vec<ChangeBatch>) -> Result<(), SqlError>,
    ) -> Result<(), ScriptError> {
        self.canceller.follow(job.interrupter());
        loop {
            self.canceller.check()?;
            match job.next_event(WAIT) {
                Some(JobEvent::Changes { changes, .. }) => each(changes)?,
                Some(JobEvent::Ended(result)) => return result.map_err(ScriptError::Job),
                Some(JobEvent::Interrupted) | None => {}
            }
        }
    }

    /// What RETURNING answers of rows of a table, in their order.
    pub(crate) fn returned(&self, query: &Query, table: &Table, rows: RecordBatch) -> Result<Listing, ScriptError> {
        let rows = RecordBatch::try_new(table.physical_schema(), rows.columns().to_vec())
            .map_err(|e| SqlError::new(SqlError::INTERNAL, format!("RETURNING: {e}")))?;
        self.answered(query, &table.name, rows)
    }

    /// What a query of expressions over the columns of a table answers of these rows, in their order.
    pub(crate) fn answered(&self, query: &Query, table: &Name, rows: RecordBatch) -> Result<Listing, ScriptError> {
        let number = self.engine.next_channel();
        let planned = self.planned_returning(query, number)?;
        if let Some(plan) = ScanPlan::of(&planned.job, &self.settings)? {
            return listing_of(Scan::of_rows(plan, &rows)?.all(&self.canceller)?);
        }
        let feeds = BTreeMap::from([(table.clone(), Feed::of([rows]))]);
        let found = self.engine.kept().register(number, &feeds);
        let beginning = by_itself(format!("rows of {table}"), 1);
        let job = job::start(&self.engine, &self.settings, 1, beginning, planned, Some(number), Epochs::AsTheyCome)?;
        drop(found);
        let shape = shape_of(&job)?.clone();
        let mut returned = Vec::new();
        self.follow(&job, |changes| {
            let visible = changes.iter().map(|batch| shape.visible(batch.rows())).collect::<Result<Vec<_>, _>>();
            returned.extend(visible.map_err(|e| SqlError::new(of_arrow(&e), format!("RETURNING: {e}")))?);
            Ok(())
        })?;
        let rows = concat_batches(&shape.visible_schema(), &returned);
        listing_of(rows.map_err(|e| SqlError::new(of_arrow(&e), format!("RETURNING: {e}")))?)
    }

    /// The plan of a RETURNING: each row by itself.
    ///
    /// # Errors
    /// What is wrong with it; aggregates.
    pub(crate) fn planned_returning(&self, query: &Query, number: u64) -> Result<Planned, SqlError> {
        let options = PlannerOptions { shards: 1, ..self.planner_options() };
        let planned = self.plan_reading(vec![result_output(query, number)], &options, Reads::Snapshot, number)?;
        let by_row = |spec: &OperatorSpec| {
            matches!(spec, OperatorSpec::Source(_) | OperatorSpec::Calc(_) | OperatorSpec::Sink(_))
        };
        match planned.job.dataflow.nodes().iter().all(|node| by_row(&node.spec)) {
            true => Ok(planned),
            false => Err(SqlError::new(
                SqlError::UNSUPPORTED,
                "RETURNING of more than expressions over the columns of each row",
            )
            .with_hint("leave aggregates, OVER and UNNEST out of it, and SELECT them by a statement of their own")),
        }
    }

    /// CREATE MATERIALIZED VIEW.
    ///
    /// # Errors
    /// The name is taken; a query that cannot be maintained; its job fails.
    pub(crate) fn create_materialized_view(
        &mut self,
        written: &WrittenView<'_>,
        if_not_exists: bool,
    ) -> Result<Outcome, ScriptError> {
        let &WrittenView { view, .. } = written;
        // The view is planned without waiting for anybody; then its name and those of the tables that it reads are taken,
        // and it is planned anew where they may stand for something else by now.
        let mut names = BTreeSet::from([view.name.clone()]);
        let (reserved, planned) = loop {
            if ddl::is_there(&self.catalog, &view.name, if_not_exists) {
                return Ok(created(VIEW, &view.name, false));
            }
            let (version, planned) = (self.catalog.version(), self.planned_view(written)?);
            names.extend(planned.tables.iter().cloned());
            names.append(&mut self.names_of(&self.dependents(&view.name)?));
            let reserved = self.reserve(names.clone())?;
            if self.catalog.version() == version {
                break (reserved, planned);
            }
        };
        let object = planned.object.clone();
        let dependents = self.dependents(&view.name)?;
        if !dependents.is_empty() {
            check_reads_none(&view.name, &self.names_read(view), &dependents)?;
        }
        let replaced = self.catalog.object(&view.name).is_ok();
        // Of a view that is restored they are there before it.
        let indexes = self.catalog.indexes_of(&view.name).filter(|_| replaced);
        let indexes: Vec<Arc<Index>> = indexes.cloned().collect();
        check_indexed(&indexes, &planned.schema)?;
        let warnings = match replaced {
            true => self.replace_materialized_view(planned, written, &indexes, &dependents)?,
            false => {
                let warnings = self.begin_view(planned, written, &view.name)?;
                // What was late for it cannot be found out from its tables.
                let stored = if written.is_final { self.instance.store_views(Some(&view.name)) } else { Ok(()) };
                let defined = stored.and_then(|()| self.define(|catalog| ddl::add(catalog, object, false)));
                if let Err(error) = defined {
                    self.instance.database().remove(&view.name);
                    return Err(error.into());
                }
                warnings
            }
        };
        drop(reserved);
        let created = created_message(VIEW, &view.name, true);
        match warnings.is_empty() {
            true => Ok(Outcome::Done(created)),
            false => Ok(Outcome::Noted(format!("{created}; {}", warnings.join("; ")))),
        }
    }

    /// Puts a materialized view in the place of another, whose indexes these are; those that read it are computed anew.
    fn replace_materialized_view(
        &mut self,
        planned: PlannedView,
        written: &WrittenView<'_>,
        indexes: &[Arc<Index>],
        dependents: &[Arc<MaterializedView>],
    ) -> Result<Vec<String>, ScriptError> {
        let (object, name) = (planned.object.clone(), planned.object.name().clone());
        let (place, mut made) = (beside(&name), Beside::default());
        made.warnings = self.begin_view(planned, written, &place)?;
        made.places.insert(name, place.clone());
        let ready = self.make_ready(&object, indexes, &place, written.is_final);
        let computed = ready.map_err(Into::into).and_then(|()| self.compute_beside(&object, dependents, &mut made));
        if let Err(error) = computed {
            self.give_up(&made);
            return Err(error);
        }
        self.take_places(&object, indexes, &made)?;
        Ok(made.warnings)
    }

    /// What CREATE MATERIALIZED VIEW will start, under the names as they are now.
    fn planned_view(&self, written: &WrittenView<'_>) -> Result<PlannedView, ScriptError> {
        ddl::check_takes(&self.catalog, &written.view.name, VIEW, written.or_replace)?;
        self.planned_kept_up(written)
    }

    /// The job that keeps the answer of a query up to date, and what it is kept as.
    ///
    /// # Errors
    /// A query that cannot be planned, or not be kept up to date.
    pub(crate) fn planned_kept_up(&self, written: &WrittenView<'_>) -> Result<PlannedView, ScriptError> {
        let &WrittenView { view, query, is_final, .. } = written;
        let answer = self.with_definer(|definer| definer.answer(view, query))?;
        let made = MaterializedView { view: view.clone(), table: Arc::new(answer.clone()), is_final };
        let object = Object::MaterializedView(Arc::new(made));
        self.check_reads_stored(view)?;
        let number = self.engine.next_channel();
        let schema = answer.schema();
        let target = Target::Table { table: Arc::new(collected(answer, number)), columns: Vec::new(), conflict: None };
        let outputs = vec![JobOutput { query: query.clone(), target, position: None }];
        // Who reads a view is told what is known so far, unless it is to hold final rows.
        let emit = if is_final { Emit::Final } else { Emit::OnUpdate };
        let planned = |shards| {
            let options = PlannerOptions { shards, emit, ..self.planner_options() };
            self.plan_reading(outputs.clone(), &options, Reads::Changes, number)
        };
        let mut shards = self.shards();
        let mut plan = planned(shards)?;
        let tables = kept_tables(&plan.job.dataflow);
        check_sources(&plan.job.dataflow, &tables)?;
        if tables.contains(&view.name) {
            let message = format!("materialized view {} would read itself", view.name);
            return Err(SqlError::new(SqlError::INVALID, message).with_hint("give it another name").into());
        }
        if is_final {
            check_final(&plan.job.dataflow)?;
        }
        let epochs = if tables.is_empty() { Epochs::AsTheyCome } else { Epochs::OnDemand };
        if epochs == Epochs::OnDemand && shards > 1 {
            // Changes by statements are few at a time: to share them out would cost more than to compute them.
            shards = self.settings.shards().unwrap_or(1);
            plan = planned(shards)?;
        }
        let times = self.times_of(&plan.job.dataflow)?;
        Ok(PlannedView { object, plan, number, shards, epochs, schema, tables, times })
    }

    /// The columns of the times whose watermarks a job waits for, of tables that the engine keeps.
    ///
    /// # Errors
    /// The time is computed: it is none of the columns that are kept.
    pub(crate) fn times_of(&self, dataflow: &Dataflow) -> Result<BTreeMap<Name, usize>, SqlError> {
        let waited = kept_sources(dataflow).filter(|source| source.watermark.is_some());
        let time = |source: &SourceSpec| {
            let name =
                kept::name_of(source).ok_or_else(|| SqlError::new(SqlError::INTERNAL, "a table without a name"))?;
            let table = self.catalog.table(&name).map_err(from_catalog)?;
            let column = table.watermark.as_ref().map(|watermark| watermark.column.as_str()).unwrap_or_default();
            let at = source.physical.index_of(column).map_err(|_| {
                let message = format!("EMIT ON WINDOW CLOSE over {column} of table {}, which is computed", table.name);
                SqlError::new(SqlError::UNSUPPORTED, message).with_hint("keep the time in a column of its own")
            })?;
            Ok((name, at))
        };
        waited.map(time).collect()
    }
}

/// A table whose rows nobody else changes, as long as this lives.
pub(crate) struct Alone {
    pub(crate) table: Arc<Table>,
    pub(crate) target: kept::Target,
    pub(crate) reserved: Reservation,
}

/// A materialized view as it was written.
pub(crate) struct WrittenView<'w> {
    pub(crate) view: &'w View,
    pub(crate) query: &'w Query,
    /// `EMIT ON WINDOW CLOSE`.
    pub(crate) is_final: bool,
    /// `OR REPLACE`.
    pub(crate) or_replace: bool,
    /// What is stored of it.
    pub(crate) from: Option<&'w StoredView>,
}

/// A materialized view that is about to be made.
pub(crate) struct PlannedView {
    pub(crate) object: Object,
    pub(crate) plan: Planned,
    /// Of the channel that brings its changes.
    pub(crate) number: u64,
    pub(crate) shards: usize,
    pub(crate) epochs: Epochs,
    pub(crate) schema: SchemaRef,
    /// The tables and views that the engine keeps among those that it reads.
    pub(crate) tables: Vec<Name>,
    /// See [`Session::times_of`].
    pub(crate) times: BTreeMap<Name, usize>,
}

/// What an UPDATE sets must be columns that are written.
///
/// # Errors
/// A column that is not there, or is computed.
pub(crate) fn check_assigned(table: &Table, update: &Update) -> Result<(), SqlError> {
    let is_unwritten = |name: &str| !physical(table).any(|c| c.name == name);
    let Some(assignment) = update.assignments.iter().find(|assignment| is_unwritten(&assignment.column)) else {
        return Ok(());
    };
    let message = match table.columns.iter().any(|c| c.name == assignment.column) {
        true => format!("column {} of table {} is computed and cannot be set", assignment.column, table.name),
        false => format!("table {} has no column {}", table.name, assignment.column),
    };
    Err(SqlError::new(SqlError::UNDEFINED_COLUMN, message).at(assignment.position))
}

/// A table of rows as they are, and beside them as they become.
pub(crate) fn pairs(table: &Table) -> Table {
    let before = physical(table).map(|c| Column { name: format!("{} before", c.name), ..c.clone() });
    Table { columns: before.chain(physical(table).cloned()).collect(), ..table.clone() }
}

/// The rows of [`pairs`] as they are, and as they become.
///
/// # Errors
/// They are none.
pub(crate) fn halves(rows: &RecordBatch) -> Result<(RecordBatch, RecordBatch), SqlError> {
    let width = rows.num_columns() / 2;
    let part = |from: usize| rows.project(&(from..from + width).collect::<Vec<_>>());
    let halves = part(0).and_then(|before| Ok((before, part(width)?)));
    halves.map_err(|e| SqlError::new(SqlError::INTERNAL, format!("UPDATE: {e}")))
}

pub(crate) fn physical(table: &Table) -> impl Iterator<Item = &Column> {
    table.columns.iter().filter(|c| c.source == ColumnSource::Physical)
}

/// A table of these columns whose rows come to a channel.
pub(crate) fn collected(table: Table, channel: u64) -> Table {
    let options =
        BTreeMap::from([("connector".to_owned(), COLLECT.to_owned()), (CHANNEL.to_owned(), channel.to_string())]);
    Table { options, ..table }
}

pub(crate) fn by_itself(name: String, shards: usize) -> Beginning {
    Beginning::afresh(name, shards > 1)
}

/// The tables that a job reads: those that the engine keeps.
pub(crate) fn kept_tables(dataflow: &Dataflow) -> Vec<Name> {
    kept_sources(dataflow).filter_map(kept::name_of).collect()
}

pub(crate) fn kept_sources(dataflow: &Dataflow) -> impl Iterator<Item = &SourceSpec> {
    sources(dataflow).filter(|source| kept::is_kept(source))
}

fn sources(dataflow: &Dataflow) -> impl Iterator<Item = &SourceSpec> {
    dataflow.nodes().iter().filter_map(|node| match &node.spec {
        OperatorSpec::Source(source) => Some(source),
        _ => None,
    })
}

/// What a view can be made of.
pub(crate) fn check_sources(dataflow: &Dataflow, kept: &[Name]) -> Result<(), SqlError> {
    let Some(table) = kept.first() else { return Ok(()) };
    if let Some(SourceSpec { table: other, .. }) = sources(dataflow).find(|source| !kept::is_kept(source)) {
        let message = format!(
            "a materialized view over table {table}, which statements change, and {other}, which has a connector"
        );
        return Err(SqlError::new(SqlError::UNSUPPORTED, message).with_hint(format!(
            "CREATE MATERIALIZED VIEW over {other} alone, and read that one here: both then change together"
        )));
    }
    if dataflow
        .nodes()
        .iter()
        .any(|node| matches!(&node.spec, OperatorSpec::TemporalFilter(spec) if spec.clock == Clock::Wall))
    {
        let message = format!("a materialized view over table {table} whose rows come and go as time passes (NOW())");
        return Err(SqlError::new(SqlError::UNSUPPORTED, message)
            .with_hint("compare with NOW() in the SELECT that reads the view"));
    }
    Ok(())
}

/// A view of final rows needs something that waits for them, and nothing that takes rows back.
///
/// # Errors
/// The query's rows come as soon as they are known, or change later.
pub(crate) fn check_final(dataflow: &Dataflow) -> Result<(), SqlError> {
    let nodes = dataflow.nodes();
    let refused = |why: String| {
        let error = SqlError::new(SqlError::UNSUPPORTED, "EMIT ON WINDOW CLOSE of a query whose rows are not final");
        error.with_detail(why).with_hint(
            "GROUP BY window_start, window_end of a TUMBLE, HOP or SESSION over a column with WATERMARK FOR (a Top-N or a join goes over \
             that), or OVER in its order; without EMIT the view is up to date at any moment",
        )
    };
    let waits = |node: &Node| match &node.spec {
        OperatorSpec::WindowAggregate(_) => true,
        OperatorSpec::SessionAssign(spec) => spec.closes,
        OperatorSpec::SessionAggregate(spec) => spec.closes,
        OperatorSpec::TopN(spec) => spec.closes.is_some(),
        OperatorSpec::Join(spec) => spec.on_close,
        OperatorSpec::TemporalFilter(spec) => spec.clock == Clock::Watermark,
        _ => false,
    };
    let result = nodes.iter().find(|node| matches!(node.spec, OperatorSpec::Sink(_)));
    if let Some(input) = result.and_then(|sink| sink.inputs.first()).map(|input| &nodes[input.from])
        && input.traits.mode != ChangeMode::AppendOnly
    {
        return Err(refused(input.traits.reason.clone()));
    }
    match nodes.iter().any(waits) {
        true => Ok(()),
        false => Err(refused("nothing in it waits for the watermark of a window".into())),
    }
}

fn counted(rows: &RecordBatch, what: &str, table: &Name) -> String {
    let rows = rows.num_rows();
    format!("{rows} {} {what} {table}", if rows == 1 { "row" } else { "rows" })
}

pub(crate) fn changed(rows: &RecordBatch, what: &str, table: &Name, returned: Option<Listing>) -> Outcome {
    match returned {
        Some(listing) => Outcome::Returned(listing),
        None => Outcome::Changed { rows: rows.num_rows(), message: counted(rows, what, table) },
    }
}

fn listing_of(rows: RecordBatch) -> Result<Listing, ScriptError> {
    Ok(Listing { rows, plain: false })
}

fn shape_of(job: &RunningJob) -> Result<&ResultShape, SqlError> {
    job.facts().result.as_ref().ok_or_else(|| SqlError::new(SqlError::INTERNAL, "a statement has no result"))
}

/// Is there no NULL where the table has none? Its columns come once or, with what becomes of them, twice.
pub(crate) fn check_not_null(table: &Table, columns: &[ArrayRef]) -> Result<(), SqlError> {
    let schema = table.physical_schema();
    let mut both = schema.fields().iter().cycle().zip(columns);
    match both.find(|(field, column)| !field.is_nullable() && column.null_count() > 0) {
        None => Ok(()),
        Some((field, _)) => Err(SqlError::null_in(&table.name, field.name())),
    }
}
