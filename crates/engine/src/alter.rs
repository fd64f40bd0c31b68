//! ALTER TABLE, ALTER [MATERIALIZED] VIEW: other names and columns for what is there; COMMENT ON.
//!
//! Views that read what is altered go on as they are. Under other names, the texts of their queries are written anew. Where columns
//! change, each view is planned before and after: when it would not do what it did, the statement is refused and names it. So what a
//! restart computes from texts is what runs now.

use crate::changes::physical;
use crate::drops::DEPENDENT_OBJECTS;
use crate::durable::StoredAlteration;
use crate::error::from_catalog;
use crate::indexes::{orders, under_columns};
use crate::instance::Moves;
use crate::kept::{Alteration, Origin, Reads};
use crate::session::result_output;
use crate::{Outcome, ScriptError, Session};
use arrow::array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::{Schema, SchemaRef};
use eddyline_catalog::{
    Catalog, Column, ColumnSource, Index, MaterializedView, Name, Object, Reference, SearchPath, Sink, Table, View,
};
use eddyline_planner::parse::parse_query;
use eddyline_planner::statement::{Alter, ColumnChange, Comment, NameChange, defaults_query};
use eddyline_planner::{Emit, PlannerOptions, SqlError, renamed, with_columns_named};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// For so many rows a DEFAULT is computed to find out whether it is the same for all.
const TRIED_ROWS: usize = 16;

/// A view that would not be what it is: its kind, its name, and what is wrong, if its query does not hold at all.
type BrokenView = (&'static str, Name, Option<SqlError>);

impl Session {
    /// ALTER.
    ///
    /// # Errors
    /// Unknown names, or names that are taken; views that could not go on; what is wrong with the columns.
    pub(crate) fn alter(&mut self, alter: &Alter) -> Result<Outcome, SqlError> {
        let kind = alter.kind;
        let placed = |error: SqlError| error.at(alter.position);
        let name = &match self.resolve(&alter.name) {
            Ok(name) if alter.if_exists && self.catalog.object(&name).is_err() => {
                return Ok(Outcome::Done(format!("{kind} {name} does not exist, nothing altered")));
            }
            Err(error) if alter.if_exists && error.sqlstate == SqlError::UNDEFINED_SCHEMA => {
                return Ok(Outcome::Done(format!("{}, nothing altered", error.message)));
            }
            found => found.map_err(placed)?,
        };
        match &alter.change {
            NameChange::To(new) => {
                let new = match new.schema {
                    None => Name::new(name.schema(), &new.object),
                    Some(_) => self.place(new).map_err(placed)?,
                };
                self.rename(kind, BTreeMap::from([(name.clone(), new.clone())])).map_err(placed)?;
                Ok(Outcome::Done(format!("{kind} {name} renamed to {new}")))
            }
            NameChange::Schema(schema) => {
                let new = Reference { schema: Some(schema.clone()), ..Reference::bare(name.object()) };
                let new = self.place(&new).map_err(placed)?;
                if new != *name {
                    self.rename(kind, BTreeMap::from([(name.clone(), new.clone())])).map_err(placed)?;
                }
                Ok(Outcome::Done(format!("{kind} {name} is {new} now")))
            }
            NameChange::Swap(other) => {
                let other = self.resolve(other).map_err(placed)?;
                let names = [(name, &other), (&other, name)].map(|(old, new)| (old.clone(), new.clone()));
                self.rename(kind, names.into()).map_err(placed)?;
                Ok(Outcome::Done(format!("{kind} {name} swapped with {other}")))
            }
            NameChange::Columns(changes) => {
                self.alter_columns(kind, name, changes).map_err(placed)?;
                Ok(Outcome::Done(format!("{kind} {name} altered")))
            }
        }
    }

    /// Gives objects of a kind other names: by the old name the new one.
    fn rename(&mut self, kind: &'static str, mut names: BTreeMap<Name, Name>) -> Result<(), SqlError> {
        for (old, new) in names.clone() {
            check_kind(self.catalog.object(&old).map_err(|e| from_catalog(e.of_kind(kind)))?, kind)?;
            if kind == "index" && old.schema() != new.schema() {
                let message = format!("index {old} would not be in the schema of its table");
                return Err(SqlError::new(SqlError::INVALID, message).with_hint("ALTER TABLE … SET SCHEMA moves both"));
            }
            if old.schema() != new.schema() {
                let moved = |index: &Arc<Index>| (index.name.clone(), index.name.in_schema(new.schema()));
                names.extend(self.catalog.indexes_of(&old).map(moved));
            }
        }
        self.move_names(names, |_| Ok(()), |_| Ok(()))
    }

    /// Gives objects other names: by the old name the new one. The catalog is changed by `before` and `after` at the same moment.
    ///
    /// # Errors
    /// A name that is taken; a view that would mean something else; those of `before` and `after`.
    pub(crate) fn move_names(
        &mut self,
        names: BTreeMap<Name, Name>,
        before: impl Fn(&mut Catalog) -> Result<(), SqlError>,
        after: impl Fn(&mut Catalog) -> Result<(), SqlError>,
    ) -> Result<(), SqlError> {
        let all = names.keys().chain(names.values()).cloned().collect::<BTreeSet<_>>();
        let _reserved = self.reserve_with_readers(&all)?;
        let _rows = self.instance.write_all(all, &self.canceller)?;
        self.refresh();
        for (old, new) in &names {
            self.catalog.object(old).map_err(from_catalog)?;
            if let (false, Ok(there)) = (names.contains_key(new), self.catalog.object(new)) {
                let message = format!("{} {new} exists already", there.kind());
                return Err(
                    SqlError::new(SqlError::DUPLICATE_TABLE, message).with_hint("use another name, or SWAP WITH")
                );
            }
        }
        let come = self.under_names(&names)?;
        let change = |catalog: &mut Catalog| {
            before(catalog)?;
            move_objects(catalog, &names, &come)?;
            after(catalog)
        };
        let mut next = Catalog::clone(&self.catalog);
        change(&mut next)?;
        for (old, object) in &come {
            if let (Some(view), Ok(before)) = (view_of(object), self.catalog.object(old))
                && let Some(before) = view_of(before)
            {
                self.check_same(before, view, &next)?;
            }
        }
        let moves = come.iter().map(|(old, object)| (object.name().clone(), old.clone())).collect();
        let moves = Moves { names: moves, ..Moves::default() };
        let (database, durable) = (self.instance.database().clone(), self.instance.durable().cloned());
        let _between = durable.as_ref().map(|durable| durable.between_snapshots());
        self.instance.define_moving(&self.settings, &moves, change, |_| database.rename(&names))?;
        self.refresh();
        // Rows that are kept out by a unique index are told its name.
        let tables: BTreeSet<Name> = names.values().filter_map(|name| self.table_of_index(name)).collect();
        tables.iter().try_for_each(|table| self.keep_orders(&self.catalog, table))?;
        Ok(())
    }

    /// Objects as they are when others have these names, by the names that they have now: those that get another name, and views that read them.
    fn under_names(&self, names: &BTreeMap<Name, Name>) -> Result<Vec<(Name, Object)>, SqlError> {
        let mut come = Vec::new();
        for (old, object) in self.catalog.objects() {
            let name = names.get(old).unwrap_or(old).clone();
            let rewritten = |view: &View| -> Result<View, SqlError> {
                let reads = self.names_read(view).iter().any(|read| names.contains_key(read));
                let sql = if reads { renamed(&view.sql, view.dialect, names) } else { Ok(view.sql.clone()) };
                let sql = sql.map_err(|e| depends(&format!("{} {old}", object.kind()), &e))?;
                Ok(View { name: name.clone(), sql, ..view.clone() })
            };
            let new = match object {
                Object::Table(table) => Object::Table(Arc::new(Table { name: name.clone(), ..table.as_ref().clone() })),
                Object::View(view) => Object::View(Arc::new(rewritten(view)?)),
                Object::MaterializedView(view) => {
                    let table = Arc::new(Table { name: name.clone(), ..view.table.as_ref().clone() });
                    let is_final = view.is_final;
                    Object::MaterializedView(Arc::new(MaterializedView {
                        view: rewritten(&view.view)?,
                        table,
                        is_final,
                    }))
                }
                Object::Sink(sink) => {
                    let into = sink.into.as_ref().map(|into| names.get(into).unwrap_or(into).clone());
                    Object::Sink(Arc::new(Sink { view: rewritten(&sink.view)?, into, ..sink.as_ref().clone() }))
                }
                Object::Index(index) => {
                    let table = names.get(&index.table).unwrap_or(&index.table).clone();
                    Object::Index(Arc::new(Index { name, table, ..index.as_ref().clone() }))
                }
            };
            if new != *object {
                come.push((old.clone(), new));
            }
        }
        Ok(come)
    }

    /// A view with another text must mean the same under other names.
    fn check_same(&self, before: &View, after: &View, next: &Catalog) -> Result<(), SqlError> {
        let was = self.columns_under(before, &self.catalog);
        // What is broken already can be renamed too.
        let Ok(was) = was else { return Ok(()) };
        match self.columns_under(after, next) {
            Ok(is) if is == was => Ok(()),
            Ok(_) => {
                Err(depends(&before.name.to_string(), &SqlError::new(SqlError::INVALID, "its columns would be others")))
            }
            Err(error) => Err(depends(&before.name.to_string(), &error)),
        }
    }

    pub(crate) fn columns_under(&self, view: &View, catalog: &Catalog) -> Result<SchemaRef, SqlError> {
        let search_path = SearchPath::default();
        let options = PlannerOptions { dialect: view.dialect, search_path, ..self.planner_options() };
        let query = parse_query(&view.sql, view.dialect)?;
        let bound = self.planner(catalog, &options).bind_query(&query)?;
        Ok(Arc::new(bound.schema().as_arrow().clone()))
    }

    /// Has names to itself, and those of all views that read them.
    fn reserve_with_readers(&mut self, names: &BTreeSet<Name>) -> Result<crate::reservation::Reservation, SqlError> {
        loop {
            let reserved = self.reserve(self.with_readers(names))?;
            // Meanwhile another session may have made a view that reads one of them.
            if reserved.holds(&self.with_readers(names)) {
                return Ok(reserved);
            }
        }
    }

    fn with_readers(&self, names: &BTreeSet<Name>) -> BTreeSet<Name> {
        let mut all = names.clone();
        for (name, object) in self.catalog.objects() {
            let is_index = matches!(object, Object::Index(index) if names.contains(&index.table));
            if is_index || view_of(object).is_some_and(|view| !self.names_read(view).is_disjoint(names)) {
                all.insert(name.clone());
            }
        }
        all
    }
}

impl Session {
    /// COMMENT ON.
    ///
    /// # Errors
    /// An unknown name, or one of another kind.
    pub(crate) fn comment(&mut self, said: &Comment) -> Result<Outcome, SqlError> {
        let placed = |error: SqlError| error.at(said.position);
        let name = self.resolve(&said.name).map_err(placed)?;
        let _reserved = self.reserve_one(&name)?;
        let object = self.catalog.object(&name).map_err(|e| placed(from_catalog(e)))?;
        let is_of_source = said.column.is_some() && object.kind() == "source";
        if object.kind() != said.kind && !is_of_source {
            let message = format!("{} is a {}, not a {}", said.name, object.kind(), said.kind);
            return Err(placed(SqlError::new(crate::error::state::WRONG_OBJECT, message)));
        }
        let object = with_comment(object, said).map_err(placed)?;
        let moves = Moves { names: BTreeMap::from([(name.clone(), name)]), ..Moves::default() };
        let durable = self.instance.durable().cloned();
        let _between = durable.as_ref().map(|durable| durable.between_snapshots());
        let change = |catalog: &mut Catalog| {
            catalog.put(object);
            Ok(())
        };
        self.instance.define_moving(&self.settings, &moves, change, |_| {})?;
        self.refresh();
        Ok(Outcome::Done(format!("comment on {} {} stored", said.kind, said.name)))
    }
}

fn with_comment(object: &Object, said: &Comment) -> Result<Object, SqlError> {
    let comment = said.comment.clone();
    Ok(match object {
        Object::Table(table) => {
            let mut table = table.as_ref().clone();
            match &said.column {
                None => table.comment = comment,
                Some(name) => {
                    let Some(column) = table.columns.iter_mut().find(|c| c.name == *name) else {
                        return Err(missing(&table, name));
                    };
                    column.comment = comment;
                }
            }
            Object::Table(Arc::new(table))
        }
        Object::View(view) => Object::View(Arc::new(View { comment, ..view.as_ref().clone() })),
        Object::MaterializedView(made) => {
            let view = View { comment: comment.clone(), ..made.view.clone() };
            let table = Arc::new(Table { comment, ..made.table.as_ref().clone() });
            Object::MaterializedView(Arc::new(MaterializedView { view, table, is_final: made.is_final }))
        }
        Object::Sink(sink) => {
            let view = View { comment, ..sink.view.clone() };
            Object::Sink(Arc::new(Sink { view, ..sink.as_ref().clone() }))
        }
        Object::Index(index) => Object::Index(Arc::new(Index { comment, ..index.as_ref().clone() })),
    })
}

/// Columns.
impl Session {
    fn alter_columns(&mut self, kind: &str, name: &Name, changes: &[ColumnChange]) -> Result<(), SqlError> {
        let _reserved = self.reserve_with_readers(&BTreeSet::from([name.clone()]))?;
        let _rows = self.instance.write(name, &self.canceller)?;
        self.refresh();
        let object = self.catalog.object(name).map_err(from_catalog)?;
        check_kind(object, kind)?;
        let before = self.catalog.table(name).map_err(from_catalog)?.clone();
        let Some((after, cascade)) = changed_columns(&before, changes)? else { return Ok(()) };
        self.check_unwritten(name)?;
        let is_growing = changes.iter().all(|change| matches!(change, ColumnChange::Add { .. }));
        let table = after.iter().map(|(column, _)| column.clone()).collect();
        let bound =
            self.with_definer(|definer| definer.checked(Table { columns: table, ..renamed_parts(&before, changes) }));
        let bound =
            Arc::new(bound.map_err(|error| if is_growing { error } else { depends(&part_of(name, &error), &error) })?);
        self.check_stored(&bound)?;
        let mut broken = self.broken_views(&before, &bound, &[])?;
        let mut renewed = Vec::new();
        if is_growing && !broken.is_empty() {
            renewed = self.with_columns_named(&before, &broken)?;
            broken = self.broken_views(&before, &bound, &renewed)?;
        }
        if !cascade && !broken.is_empty() {
            return Err(not_without(&before.name, &broken, is_growing));
        }
        let alteration = match before.is_kept() {
            true => Some(self.alteration_of(&before, &bound, &after)?),
            false => None,
        };
        let indexes: Vec<Arc<Index>> = self.catalog.indexes_of(name).cloned().collect();
        let indexes = under_columns(&indexes, changes);
        let orders = orders(indexes.iter().filter_map(|(_, index)| index.as_ref()), &bound);
        let altered =
            alteration.as_ref().map(|alteration| self.instance.database().altered(&bound, alteration, &orders));
        let altered = altered.transpose().map_err(|error| null_in_new_column(error, &bound))?;
        for (kind, view, _) in broken {
            // One that reads another of them may be gone with it.
            if self.catalog.object(&view).is_ok() {
                self.check_readers(&view, true)?;
                self.take_away(kind, &view, false)?;
            }
        }
        self.publish_columns(bound, indexes, renewed, alteration.zip(altered))
    }

    /// Those of views and sinks that read a table by `*`, with texts that name the columns which the table has.
    fn with_columns_named(&self, table: &Table, views: &[BrokenView]) -> Result<Vec<Object>, SqlError> {
        let columns: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        let mut renewed = Vec::new();
        for (_, name, _) in views {
            let object = self.catalog.object(name).map_err(from_catalog)?;
            let Some(view) = view_of(object) else { continue };
            if let Some(sql) = with_columns_named(&view.sql, view.dialect, &table.name, &columns)? {
                renewed.push(with_text(object, sql));
            }
        }
        Ok(renewed)
    }

    /// No sink may write a table whose columns change: its rows would not fit any more.
    fn check_unwritten(&self, name: &Name) -> Result<(), SqlError> {
        let writes = |object: &&Object| matches!(object, Object::Sink(sink) if sink.into.as_ref() == Some(name));
        match self.catalog.objects().map(|(_, object)| object).find(writes) {
            Some(sink) => {
                let message = format!("sink {} writes table {name}, whose columns are to change", sink.name());
                Err(SqlError::new(DEPENDENT_OBJECTS, message)
                    .with_hint("DROP SINK it, alter the table, and CREATE SINK it anew over what the table lacks"))
            }
            None => Ok(()),
        }
    }

    fn publish_columns(
        &mut self,
        table: Arc<Table>,
        indexes: Vec<(Name, Option<Index>)>,
        renewed: Vec<Object>,
        rows: Option<(Alteration, crate::kept::Contents)>,
    ) -> Result<(), SqlError> {
        let name = table.name.clone();
        let stay = renewed.iter().map(Object::name).chain([&name]).map(|name| (name.clone(), name.clone()));
        let mut moves = Moves { names: stay.collect(), ..Moves::default() };
        if let (Some((alteration, altered)), false) = (&rows, table.temporary) {
            moves.altered.push(StoredAlteration::new(altered.id(), alteration)?);
        }
        let (database, durable) = (self.instance.database().clone(), self.instance.durable().cloned());
        let _between = durable.as_ref().map(|durable| durable.between_snapshots());
        let change = |catalog: &mut Catalog| {
            catalog.put(Object::Table(table));
            renewed.into_iter().for_each(|object| catalog.put(object));
            for (name, index) in indexes {
                match index.map(|index| Object::Index(Arc::new(index))) {
                    Some(index) if catalog.object(&name) == Ok(&index) => {}
                    Some(index) => catalog.put(index),
                    None => catalog.remove("index", &name).map_err(from_catalog)?,
                }
            }
            Ok(())
        };
        self.instance.define_moving(&self.settings, &moves, change, |record| {
            if let Some((alteration, altered)) = rows {
                database.alter(&name, altered, &alteration, record);
            }
        })?;
        self.refresh();
        Ok(())
    }

    /// Where the columns of the rows come from; values of new ones are computed once.
    fn alteration_of(
        &self,
        before: &Table,
        bound: &Table,
        after: &[(Column, Option<String>)],
    ) -> Result<Alteration, SqlError> {
        let was: Vec<&Column> = physical(before).collect();
        let is_new = |column: &Column| after.iter().any(|(c, old)| c.name == column.name && old.is_none());
        let values = self.new_values(before, bound, &is_new)?;
        let origin = |column: &Column| {
            let old = after.iter().find(|(c, _)| c.name == column.name).and_then(|(_, old)| old.as_deref());
            match was.iter().position(|c| Some(c.name.as_str()) == old) {
                Some(at) => Origin::Column(at),
                None => Origin::Value(match values.as_ref().and_then(|values| values.column_by_name(&column.name)) {
                    Some(value) => value.slice(0, 1),
                    None => new_null_array(&column.data_type, 1),
                }),
            }
        };
        Ok(Alteration(physical(bound).map(origin).collect()))
    }

    /// The DEFAULTs of new columns, for some rows.
    fn new_values(
        &self,
        before: &Table,
        bound: &Table,
        is_new: &impl Fn(&Column) -> bool,
    ) -> Result<Option<RecordBatch>, SqlError> {
        let columns = physical(bound).filter(|c| is_new(c) && c.default.is_some());
        let Some(query) = defaults_query(bound, columns)? else { return Ok(None) };
        let nullable = |field: &Arc<arrow::datatypes::Field>| field.as_ref().clone().with_nullable(true);
        let schema = Schema::new(before.physical_schema().fields().iter().map(nullable).collect::<Vec<_>>());
        let nulls: Vec<ArrayRef> = schema.fields().iter().map(|f| new_null_array(f.data_type(), TRIED_ROWS)).collect();
        let rows = RecordBatch::try_new(Arc::new(schema), nulls)
            .map_err(|e| SqlError::new(SqlError::INTERNAL, format!("DEFAULT: {e}")))?;
        let values = self.answered(&query, &before.name, rows).map_err(ScriptError::into_error)?.rows;
        let differs = |column: &ArrayRef| {
            (1..column.len()).any(|at| column.slice(at, 1).to_data() != column.slice(0, 1).to_data())
        };
        if let Some((at, _)) = values.columns().iter().enumerate().find(|(_, column)| differs(column)) {
            let message =
                format!("a new column {} whose DEFAULT is another one in every row", values.schema().field(at).name());
            return Err(SqlError::new(SqlError::UNSUPPORTED, message)
                .with_hint("ADD it without DEFAULT, UPDATE the rows, then ALTER COLUMN … SET DEFAULT"));
        }
        Ok(Some(values))
    }

    /// The views that read a table and would not be what they are when it has other columns, and some of them other texts: kinds, names,
    /// what is wrong.
    fn broken_views(
        &mut self,
        before: &Table,
        after: &Arc<Table>,
        renewed: &[Object],
    ) -> Result<Vec<BrokenView>, SqlError> {
        let reads =
            |object: &Object| view_of(object).filter(|view| self.names_read(view).contains(&before.name)).cloned();
        let readers: Vec<(&'static str, View)> =
            self.catalog.objects().filter_map(|(_, object)| Some((object.kind(), reads(object)?))).collect();
        let mut next = Catalog::clone(&self.catalog);
        next.put(Object::Table(after.clone()));
        renewed.iter().for_each(|object| next.put(object.clone()));
        let (next, options) = (Arc::new(next), self.planner_options());
        let mut broken = Vec::new();
        for (kind, view) in readers {
            // What is broken already stays so.
            let Ok(was) = self.meaning(&view, &options) else { continue };
            let view = next.object(&view.name).ok().and_then(view_of).cloned().unwrap_or(view);
            let now = std::mem::replace(&mut self.catalog, next.clone());
            let is = self.meaning(&view, &options);
            self.catalog = now;
            match is {
                Ok(is) if is == was => {}
                Ok(_) => broken.push((kind, view.name, None)),
                Err(error) => broken.push((kind, view.name, Some(error))),
            }
        }
        Ok(broken)
    }

    /// What a view computes, and of which columns of tables: a text that is another one when that is.
    fn meaning(&self, view: &View, options: &PlannerOptions) -> Result<(SchemaRef, String), SqlError> {
        let query = parse_query(&view.sql, view.dialect)?;
        let search_path = SearchPath::default();
        let options =
            PlannerOptions { dialect: view.dialect, search_path, shards: 1, emit: Emit::OnUpdate, ..options.clone() };
        let planned = self.plan_reading(vec![result_output(&query, 0)], &options, Reads::Changes, 0)?;
        let shown = planned.job.optimized.iter().map(|plan| plan.display_indent_schema().to_string());
        let columns = self.planner(&self.catalog, &options).bind_query(&query)?;
        Ok((Arc::new(columns.schema().as_arrow().clone()), shown.collect()))
    }
}

fn view_of(object: &Object) -> Option<&View> {
    match object {
        Object::Table(_) | Object::Index(_) => None,
        Object::View(view) => Some(view),
        Object::MaterializedView(view) => Some(&view.view),
        Object::Sink(sink) => Some(&sink.view),
    }
}

/// A view or sink with another text.
fn with_text(object: &Object, sql: String) -> Object {
    match object {
        Object::Table(_) | Object::Index(_) => object.clone(),
        Object::View(view) => Object::View(Arc::new(View { sql, ..view.as_ref().clone() })),
        Object::MaterializedView(made) => {
            let view = View { sql, ..made.view.clone() };
            Object::MaterializedView(Arc::new(MaterializedView { view, ..made.as_ref().clone() }))
        }
        Object::Sink(sink) => {
            let view = View { sql, ..sink.view.clone() };
            Object::Sink(Arc::new(Sink { view, ..sink.as_ref().clone() }))
        }
    }
}

fn check_kind(object: &Object, kind: &str) -> Result<(), SqlError> {
    if object.kind() == kind {
        return Ok(());
    }
    let message = format!("{} is a {}, not a {kind}", object.name(), object.kind());
    let hint = match kind {
        "table" => format!("ALTER {} … RENAME TO and SWAP WITH are there", object.kind().to_uppercase()),
        _ => format!("write ALTER {}", object.kind().to_uppercase()),
    };
    Err(SqlError::new(crate::error::state::WRONG_OBJECT, message).with_hint(hint))
}

/// Objects get their new names, and views their new texts.
fn move_objects(catalog: &mut Catalog, names: &BTreeMap<Name, Name>, come: &[(Name, Object)]) -> Result<(), SqlError> {
    for old in names.keys() {
        // An index may have gone with its table, and comes with it.
        if let Ok(kind) = catalog.object(old).map(Object::kind) {
            catalog.remove(kind, old).map_err(from_catalog)?;
        }
    }
    come.iter().for_each(|(_, object)| catalog.put(object.clone()));
    Ok(())
}

/// What of a table does not hold any more: the planner says where it is.
fn part_of(table: &Name, error: &SqlError) -> String {
    let part = error.detail.as_deref().and_then(|detail| detail.strip_prefix("in "));
    part.map_or_else(|| format!("table {table}"), str::to_owned)
}

/// Something cannot do without what is to change.
fn depends(what: &str, error: &SqlError) -> SqlError {
    SqlError::new(DEPENDENT_OBJECTS, format!("{what} depends on what is to change: {}", error.message))
        .with_hint("DROP what depends on it first, and CREATE it anew")
}

fn not_without(table: &Name, broken: &[BrokenView], is_growing: bool) -> SqlError {
    let names: Vec<String> = broken.iter().map(|(kind, name, _)| format!("{kind} {name}")).collect();
    let verb = if names.len() == 1 { "depends" } else { "depend" };
    let message = format!("{} {verb} on columns of table {table} that are to change", names.join(", "));
    let error = SqlError::new(DEPENDENT_OBJECTS, message);
    let error = match broken.iter().find_map(|(_, name, error)| Some((name, error.as_ref()?))) {
        Some((name, why)) => error.with_detail(format!("{name}: {}", why.message)),
        None => error,
    };
    match is_growing {
        true => error.with_hint("a view of `*` over USING, NATURAL or a function of tables would have another column: let it name its columns"),
        false => {
            error.with_hint("DROP COLUMN … CASCADE takes such views away; else DROP them first, and CREATE them anew")
        }
    }
}

/// A new column that is NOT NULL needs a value for the rows that are there.
fn null_in_new_column(error: SqlError, table: &Table) -> SqlError {
    match error.sqlstate == SqlError::NULL_VALUE || error.message.contains("non-nullable") {
        true => SqlError::new(
            SqlError::NULL_VALUE,
            format!("table {} has rows, and a new column that is NOT NULL has no value in them", table.name),
        )
        .with_hint("give the column a DEFAULT"),
        false => error,
    }
}

/// The columns after the changes, each with the name that it had; `None`: nothing changes. True: views that cannot go on go too.
type ChangedColumns = Option<(Vec<(Column, Option<String>)>, bool)>;

fn changed_columns(table: &Table, changes: &[ColumnChange]) -> Result<ChangedColumns, SqlError> {
    let mut columns: Vec<(Column, Option<String>)> =
        table.columns.iter().map(|c| (unbound(c), Some(c.name.clone()))).collect();
    let (mut is_changed, mut cascades) = (false, false);
    let find = |columns: &[(Column, Option<String>)], name: &str| {
        columns.iter().position(|(c, _)| c.name == name).ok_or_else(|| missing(table, name))
    };
    for change in changes {
        match change {
            ColumnChange::Add { column, position, if_not_exists } => {
                if columns.iter().any(|(c, _)| c.name == column.name) {
                    if *if_not_exists {
                        continue;
                    }
                    let message = format!("table {} has a column {} already", table.name, column.name);
                    return Err(SqlError::new(SqlError::DUPLICATE_COLUMN, message).at(*position));
                }
                columns.push((column.clone(), None));
            }
            ColumnChange::Drop { column, position, if_exists, cascade } => {
                let at = match find(&columns, column) {
                    Err(_) if *if_exists => continue,
                    found => found.map_err(|e| e.at(*position))?,
                };
                if table.primary_key.contains(column) {
                    let message = format!("the primary key of table {} depends on column {column}", table.name);
                    return Err(SqlError::new(DEPENDENT_OBJECTS, message)
                        .with_hint("CREATE TABLE another one, INSERT INTO it what this one holds, and ALTER TABLE … SWAP WITH it")
                        .at(*position));
                }
                columns.remove(at);
                cascades |= cascade;
            }
            ColumnChange::Rename { column, position, to } => {
                let at = find(&columns, column).map_err(|e| e.at(*position))?;
                if columns.iter().any(|(c, _)| c.name == *to) {
                    let message = format!("table {} has a column {to} already", table.name);
                    return Err(SqlError::new(SqlError::DUPLICATE_COLUMN, message).at(*position));
                }
                columns[at].0.name.clone_from(to);
            }
            ColumnChange::Default { column, position, default } => {
                let at = find(&columns, column).map_err(|e| e.at(*position))?;
                columns[at].0.default.clone_from(default);
            }
        }
        is_changed = true;
    }
    Ok(is_changed.then_some((columns, cascades)))
}

/// A column as it was written: the type of a computed one is to be found.
fn unbound(column: &Column) -> Column {
    match column.source {
        ColumnSource::Computed { .. } => {
            Column { data_type: arrow::datatypes::DataType::Null, nullable: true, ..column.clone() }
        }
        _ => column.clone(),
    }
}

/// The table with its key and watermark under the new names of their columns.
fn renamed_parts(table: &Table, changes: &[ColumnChange]) -> Table {
    let mut table = table.clone();
    for change in changes {
        if let ColumnChange::Rename { column, to, .. } = change {
            table.primary_key.iter_mut().filter(|key| *key == column).for_each(|key| key.clone_from(to));
            if let Some(watermark) = table.watermark.as_mut().filter(|watermark| watermark.column == *column) {
                watermark.column.clone_from(to);
            }
        }
    }
    table
}

fn missing(table: &Table, name: &str) -> SqlError {
    let names: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
    SqlError::new(SqlError::UNDEFINED_COLUMN, format!("table {} has no column {name}", table.name))
        .with_hint(format!("the columns are {}", names.join(", ")))
}
