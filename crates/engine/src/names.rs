//! Which objects the names of a statement mean, and schemas: CREATE, DROP, ALTER SCHEMA.
//!
//! What a name means is decided by [`Catalog::resolve`](eddyline_catalog::Catalog::resolve) alone; a session has the search path. Texts of views
//! are stored so that they mean the same under any path ([`with_schemas`]).

use crate::error::from_catalog;
use crate::{Outcome, Session};
use eddyline_catalog::{Catalog, CatalogError, Name, Object, Reference, SearchPath, View};
use eddyline_planner::statement::SchemaStatement;
use eddyline_planner::{SqlError, with_schemas};
use std::collections::BTreeMap;

impl Session {
    /// The schemas in which names without one are looked for: those of `search_path` that there are.
    pub fn search_path(&self) -> SearchPath {
        let own = Some(self.user.as_str()).filter(|user| self.catalog.has_schema(user));
        // Nearly always.
        if own.is_none() && !self.settings.is_set("search_path") {
            return self.public.clone();
        }
        let said = SearchPath::parse(self.settings.search_path(), own);
        let there: Vec<String> = said.existing(&self.catalog).map(str::to_owned).collect();
        SearchPath::new(there)
    }

    /// The schema into which new objects come.
    pub fn current_schema(&self) -> Option<String> {
        let path = self.search_path();
        path.schemas().find(|schema| self.catalog.has_schema(schema)).map(str::to_owned)
    }

    /// The name of the object that is meant; where none is there, the name that it would have.
    ///
    /// # Errors
    /// Another database; no such schema.
    pub fn resolve(&self, written: &Reference) -> Result<Name, SqlError> {
        self.catalog.resolve(written, &self.search_path()).map_err(from_catalog)
    }

    /// The name that an object gets which is made under a reference.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve); a schema of the system.
    pub(crate) fn place(&self, written: &Reference) -> Result<Name, SqlError> {
        self.catalog.place(written, &self.search_path()).map_err(from_catalog)
    }

    /// A view that is about to be made, under its name, and with a text that goes on to mean what it means now.
    ///
    /// # Errors
    /// As [`place`](Self::place).
    pub(crate) fn placed_view(&self, written: &Reference, view: &View) -> Result<View, SqlError> {
        let name = self.place(written)?;
        let sql = with_schemas(&view.sql, view.dialect, &self.catalog, &self.search_path())?;
        Ok(View { name, sql: sql.unwrap_or_else(|| view.sql.clone()), ..view.clone() })
    }

    /// CREATE, DROP, ALTER SCHEMA.
    ///
    /// # Errors
    /// A name that is taken, or that nothing has; something is in the schema, or reads what is in it.
    pub(crate) fn schema_statement(&mut self, statement: &SchemaStatement) -> Result<Outcome, SqlError> {
        match statement {
            SchemaStatement::Create { name, if_not_exists } => {
                if *if_not_exists && self.catalog.has_schema(name) {
                    return Ok(Outcome::Noted(format!("schema {name} exists already, left as it is")));
                }
                self.define(|catalog| catalog.create_schema(name).map_err(from_catalog))?;
                Ok(Outcome::Done(format!("schema {name} created")))
            }
            SchemaStatement::Drop { names, if_exists, cascade } => {
                let mut told = Vec::new();
                for name in names {
                    told.push(self.drop_schema(name, *if_exists, *cascade)?);
                }
                Ok(Outcome::Done(told.join("; ")))
            }
            SchemaStatement::Rename { name, to } => {
                self.rename_schema(name, to)?;
                Ok(Outcome::Done(format!("schema {name} renamed to {to}")))
            }
            SchemaStatement::Use { name } => {
                if !self.catalog.has_schema(name) {
                    return Err(from_catalog(CatalogError::MissingSchema { name: name.clone() }));
                }
                self.settings.set("search_path", &format!("\"{name}\""))?;
                Ok(Outcome::Done(format!("names are looked for in {name}")))
            }
        }
    }

    fn drop_schema(&mut self, name: &str, if_exists: bool, cascade: bool) -> Result<String, SqlError> {
        match self.catalog.check_own_schema(name) {
            Err(CatalogError::MissingSchema { .. }) if if_exists => {
                return Ok(format!("schema {name} does not exist, nothing dropped"));
            }
            checked => checked.map_err(from_catalog)?,
        }
        // What comes into the schema meanwhile is met by the last step, which then says so.
        while cascade && let Some((kind, object)) = self.last_of(name) {
            self.drop_object(kind, &object, true, true)?;
            self.refresh();
        }
        self.define(|catalog| catalog.remove_schema(name).map_err(from_catalog))?;
        Ok(format!("schema {name} dropped"))
    }

    /// Something that is in a schema; views before what they may read.
    fn last_of(&self, schema: &str) -> Option<(&'static str, Name)> {
        let order = |object: &&Object| match object {
            Object::View(_) => 2,
            Object::MaterializedView(_) => 1,
            _ => 0,
        };
        let last = self.catalog.objects_of(schema).max_by_key(order)?;
        Some((last.kind(), last.name().clone()))
    }

    /// All that is in a schema gets its names in another, which is made for it.
    fn rename_schema(&mut self, name: &str, to: &str) -> Result<(), SqlError> {
        self.catalog.check_own_schema(name).map_err(from_catalog)?;
        // The new name must be free.
        Catalog::clone(&self.catalog).create_schema(to).map_err(from_catalog)?;
        let names: BTreeMap<Name, Name> =
            self.catalog.objects_of(name).map(|object| (object.name().clone(), object.name().in_schema(to))).collect();
        let come = |catalog: &mut Catalog| catalog.create_schema(to).map_err(from_catalog);
        let go = |catalog: &mut Catalog| catalog.remove_schema(name).map_err(from_catalog);
        self.move_names(names, come, go)
    }
}
