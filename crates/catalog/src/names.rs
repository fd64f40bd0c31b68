use crate::{CatalogError, Index, MaterializedView, Name, PUBLIC, SYSTEM_SCHEMAS, Sink, Table, View};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The database that is there from the start.
pub const FIRST_DATABASE: &str = "dev";

/// What a name stands for.
#[derive(Debug, Clone, PartialEq)]
pub enum Object {
    /// A table, or a source.
    Table(Arc<Table>),
    /// A view.
    View(Arc<View>),
    /// A view whose answer is kept.
    MaterializedView(Arc<MaterializedView>),
    /// A query whose answer is written elsewhere.
    Sink(Arc<Sink>),
    /// A second order of the rows of a table.
    Index(Arc<Index>),
}

impl Object {
    /// Its name.
    pub fn name(&self) -> &Name {
        match self {
            Object::Table(table) => &table.name,
            Object::View(view) => &view.name,
            Object::MaterializedView(view) => &view.view.name,
            Object::Sink(sink) => &sink.view.name,
            Object::Index(index) => &index.name,
        }
    }

    /// `table`, `source`, `view`, `materialized view`, `sink` or `index`.
    pub fn kind(&self) -> &'static str {
        match self {
            Object::Table(table) if table.is_source => "source",
            Object::Table(_) => "table",
            Object::View(_) => "view",
            Object::MaterializedView(_) => "materialized view",
            Object::Sink(_) => "sink",
            Object::Index(_) => "index",
        }
    }
}

/// All names of a database. A plain value: cloning it is a cheap snapshot.
#[derive(Debug, Clone)]
pub struct Catalog {
    database: Arc<str>,
    /// Those that statements have made, beside [`PUBLIC`].
    schemas: BTreeSet<Arc<str>>,
    objects: BTreeMap<Name, Object>,
    version: u64,
}

impl Default for Catalog {
    fn default() -> Self {
        Self::of_database(FIRST_DATABASE)
    }
}

impl Catalog {
    /// No names.
    pub fn new() -> Self {
        Self::default()
    }

    /// No names, of a database.
    pub fn of_database(database: &str) -> Self {
        Self { database: database.into(), schemas: BTreeSet::new(), objects: BTreeMap::new(), version: 0 }
    }

    /// What its database is called.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Counts every change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Adds a name; `replace` puts it in the place of one of the same kind, whose indexes go with it.
    ///
    /// # Errors
    /// [`CatalogError::Exists`], [`CatalogError::Kind`], [`CatalogError::MissingSchema`].
    pub fn create(&mut self, object: Object, replace: bool) -> Result<(), CatalogError> {
        let name = object.name().clone();
        if !self.has_schema(name.schema()) {
            return Err(CatalogError::MissingSchema { name: name.schema().to_owned() });
        }
        if let Some(old) = self.objects.get(&name) {
            if !replace {
                return Err(CatalogError::Exists { kind: old.kind(), name: name.to_string() });
            }
            if old.kind() != object.kind() {
                return Err(CatalogError::Kind { name: name.to_string(), is: old.kind(), wanted: object.kind() });
            }
        }
        if self.objects.insert(name.clone(), object).is_some() {
            self.remove_indexes(&name);
        }
        self.version += 1;
        Ok(())
    }

    /// Puts an object in the place of whatever has its name.
    pub fn put(&mut self, object: Object) {
        self.objects.insert(object.name().clone(), object);
        self.version += 1;
    }

    /// Takes a name of a [kind](Object::kind) away, and the indexes of what it stands for.
    ///
    /// # Errors
    /// [`CatalogError::Missing`], [`CatalogError::Kind`].
    pub fn remove(&mut self, kind: &'static str, name: &Name) -> Result<(), CatalogError> {
        let found = self.objects.get(name).ok_or_else(|| self.missing(kind, name))?;
        if found.kind() != kind {
            return Err(CatalogError::Kind { name: name.to_string(), is: found.kind(), wanted: kind });
        }
        self.objects.remove(name);
        self.remove_indexes(name);
        self.version += 1;
        Ok(())
    }

    fn remove_indexes(&mut self, table: &Name) {
        self.objects.retain(|_, object| !matches!(object, Object::Index(index) if index.table == *table));
    }

    /// The indexes of a table or materialized view, by name.
    pub fn indexes_of(&self, table: &Name) -> impl Iterator<Item = &Arc<Index>> {
        self.objects.values().filter_map(move |object| match object {
            Object::Index(index) if index.table == *table => Some(index),
            _ => None,
        })
    }

    /// What a name stands for.
    ///
    /// # Errors
    /// [`CatalogError::Missing`] with the nearest name.
    pub fn object(&self, name: &Name) -> Result<&Object, CatalogError> {
        self.objects.get(name).ok_or_else(|| self.missing("table", name))
    }

    /// The table or source of a name.
    ///
    /// # Errors
    /// [`CatalogError::Missing`], [`CatalogError::Kind`] where it is a view, materialized or not.
    pub fn table(&self, name: &Name) -> Result<&Arc<Table>, CatalogError> {
        match self.object(name)? {
            Object::Table(table) => Ok(table),
            other => Err(CatalogError::Kind { name: name.to_string(), is: other.kind(), wanted: "table" }),
        }
    }

    /// All names in order, those of [`PUBLIC`] first.
    pub fn objects(&self) -> impl Iterator<Item = (&Name, &Object)> {
        self.objects.iter()
    }

    fn missing(&self, kind: &'static str, name: &Name) -> CatalogError {
        let wanted = name.to_string().to_lowercase();
        let near = |known: &Name| {
            // In another schema, it is the schema that was forgotten.
            let same = known.object() == name.object();
            let text = known.to_string();
            (if same { 0 } else { edit_distance(&text.to_lowercase(), &wanted) }, text)
        };
        let nearest = self.objects.keys().map(near).min().filter(|(d, k)| *d <= 1 + k.len() / 4);
        CatalogError::Missing { kind, name: name.to_string(), nearest: nearest.map(|(_, k)| k) }
    }
}

/// Schemas.
impl Catalog {
    /// Is there such a schema, of the user's?
    pub fn has_schema(&self, name: &str) -> bool {
        name == PUBLIC || self.schemas.contains(name)
    }

    /// All schemas of the user's, [`PUBLIC`] among them, in order.
    pub fn schemas(&self) -> Vec<&str> {
        let all: BTreeSet<&str> = self.schemas.iter().map(|schema| &**schema).chain([PUBLIC]).collect();
        all.into_iter().collect()
    }

    /// Adds a schema.
    ///
    /// # Errors
    /// [`CatalogError::SchemaExists`], [`CatalogError::ReservedSchema`].
    pub fn create_schema(&mut self, name: &str) -> Result<(), CatalogError> {
        if self.has_schema(name) || SYSTEM_SCHEMAS.contains(&name) {
            return Err(CatalogError::SchemaExists { name: name.to_owned() });
        }
        if name.starts_with("pg_") {
            return Err(CatalogError::ReservedSchema { name: name.to_owned() });
        }
        self.schemas.insert(name.into());
        self.version += 1;
        Ok(())
    }

    /// Takes a schema away.
    ///
    /// # Errors
    /// [`CatalogError::MissingSchema`]; [`CatalogError::SystemSchema`], also of [`PUBLIC`]; [`CatalogError::Dependent`] where something is in it.
    pub fn remove_schema(&mut self, name: &str) -> Result<(), CatalogError> {
        self.check_own_schema(name)?;
        let objects: Vec<String> = self.objects_of(name).map(|o| format!("{} {}", o.kind(), o.name())).collect();
        if !objects.is_empty() {
            return Err(CatalogError::Dependent { name: name.to_owned(), objects });
        }
        self.schemas.remove(name);
        self.version += 1;
        Ok(())
    }

    /// A schema that statements have made?
    ///
    /// # Errors
    /// [`CatalogError::MissingSchema`], [`CatalogError::SystemSchema`].
    pub fn check_own_schema(&self, name: &str) -> Result<(), CatalogError> {
        let name = name.to_owned();
        match self.schemas.contains(name.as_str()) {
            true => Ok(()),
            false if name == PUBLIC || SYSTEM_SCHEMAS.contains(&name.as_str()) => {
                Err(CatalogError::SystemSchema { name })
            }
            false => Err(CatalogError::MissingSchema { name }),
        }
    }

    /// What is in a schema.
    pub fn objects_of(&self, schema: &str) -> impl Iterator<Item = &Object> {
        self.objects.values().filter(move |object| object.name().schema() == schema)
    }
}

/// Levenshtein distance by characters.
pub fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, cb) in b.iter().enumerate() {
            let best = (diagonal + usize::from(ca != *cb)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], best);
        }
    }
    row[b.len()]
}
