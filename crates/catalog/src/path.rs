//! Which object a name in a statement means: the one place that decides it.

use crate::{Catalog, CatalogError, Name, PUBLIC, Reference};
use std::sync::Arc;

/// Schemas that are always there, whose relations the server answers.
pub const SYSTEM_SCHEMAS: [&str; 2] = ["pg_catalog", "information_schema"];

/// The schemas in which names without one are looked for, in order. New objects come into the first of them that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchPath(Arc<[String]>);

impl SearchPath {
    /// These schemas, in order.
    pub fn new(schemas: impl IntoIterator<Item = String>) -> Self {
        Self(schemas.into_iter().collect())
    }

    /// The schemas of `text`, as SET search_path has them: separated by commas, those in quotes as they are, others in small letters. `"$user"`
    /// stands for a schema with the name of the user.
    pub fn parse(text: &str, user: Option<&str>) -> Self {
        let of = |part: String| if part == "$user" { user.map(str::to_owned) } else { Some(part) };
        Self::new(parts(text).into_iter().filter_map(of))
    }

    /// In order.
    pub fn schemas(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Those that a catalog has: what `current_schemas` answers.
    pub fn existing<'s>(&'s self, catalog: &'s Catalog) -> impl Iterator<Item = &'s str> {
        self.schemas().filter(|schema| catalog.has_schema(schema) || SYSTEM_SCHEMAS.contains(schema))
    }
}

/// [`PUBLIC`] alone: what stored texts mean.
impl Default for SearchPath {
    fn default() -> Self {
        Self::new([PUBLIC.to_owned()])
    }
}

/// Names separated by commas, without their quotes.
fn parts(text: &str) -> Vec<String> {
    let (mut all, mut part, mut quote, mut was_quoted) = (Vec::new(), String::new(), None, false);
    for c in text.chars().chain([',']) {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), c) => part.push(c),
            (None, '"' | '`' | '\'') => (quote, was_quoted) = (Some(c), true),
            (None, ',') => {
                if !part.is_empty() || was_quoted {
                    all.push(std::mem::take(&mut part));
                }
                was_quoted = false;
            }
            (None, c) if c.is_whitespace() => {}
            (None, c) => part.extend(c.to_lowercase()),
        }
    }
    all.retain(|part| !part.is_empty());
    all
}

impl Catalog {
    /// The name of the object that a reference means; where none is there, the name that it would have.
    ///
    /// # Errors
    /// Another database; no such schema.
    pub fn resolve(&self, written: &Reference, path: &SearchPath) -> Result<Name, CatalogError> {
        match self.written_schema(written)? {
            Some(schema) => Ok(Name::new(schema, &written.object)),
            None if self.is_in_catalogs(&written.object) => Ok(Name::new(SYSTEM_SCHEMAS[0], &written.object)),
            None => {
                let names = path.schemas().map(|schema| Name::new(schema, &written.object));
                let mut known = names.filter(|name| self.has_schema(name.schema()));
                let nowhere = || CatalogError::Missing { kind: "table", name: written.object.clone(), nearest: None };
                let first = known.next().ok_or_else(nowhere)?;
                let mut all = std::iter::once(&first).cloned().chain(known);
                Ok(all.find(|name| self.object(name).is_ok()).unwrap_or(first))
            }
        }
    }

    /// The name that an object gets which is made under a reference.
    ///
    /// # Errors
    /// Another database; no such schema; one of the system's.
    pub fn place(&self, written: &Reference, path: &SearchPath) -> Result<Name, CatalogError> {
        let schema = match self.written_schema(written)? {
            Some(schema) => schema,
            None => {
                let there = path.schemas().find(|schema| self.has_schema(schema));
                there.ok_or(CatalogError::NoSchema)?
            }
        };
        match SYSTEM_SCHEMAS.contains(&schema) {
            true => Err(CatalogError::SystemSchema { name: schema.to_owned() }),
            false => Ok(Name::new(schema, &written.object)),
        }
    }

    /// Is there such a relation of `pg_catalog`, which is looked into first? A statement that names some has them beside the others.
    fn is_in_catalogs(&self, object: &str) -> bool {
        self.object(&Name::new(SYSTEM_SCHEMAS[0], object)).is_ok()
    }

    fn written_schema<'w>(&self, written: &'w Reference) -> Result<Option<&'w str>, CatalogError> {
        if let Some(database) = written.database.as_ref().filter(|database| **database != self.database()) {
            let (database, name) = (database.clone(), written.to_string());
            return Err(CatalogError::OtherDatabase { database, name });
        }
        match written.schema.as_deref() {
            Some(schema) if self.has_schema(schema) || SYSTEM_SCHEMAS.contains(&schema) => Ok(Some(schema)),
            Some(schema) => Err(CatalogError::MissingSchema { name: schema.to_owned() }),
            None => Ok(None),
        }
    }
}
