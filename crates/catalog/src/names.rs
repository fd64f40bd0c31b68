use crate::{CatalogError, MaterializedView, Table, View};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a name stands for.
#[derive(Debug, Clone, PartialEq)]
pub enum Object {
    /// A table.
    Table(Arc<Table>),
    /// A view.
    View(Arc<View>),
    /// A view whose answer is kept.
    MaterializedView(Arc<MaterializedView>),
}

impl Object {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Object::Table(table) => &table.name,
            Object::View(view) => &view.name,
            Object::MaterializedView(view) => &view.view.name,
        }
    }

    /// `table`, `view` or `materialized view`.
    pub fn kind(&self) -> &'static str {
        match self {
            Object::Table(_) => "table",
            Object::View(_) => "view",
            Object::MaterializedView(_) => "materialized view",
        }
    }
}

/// All names. A plain value: cloning it is a cheap snapshot.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    objects: BTreeMap<String, Object>,
    version: u64,
}

impl Catalog {
    /// No names.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts every change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Adds a name; `replace` puts it in the place of one of the same kind.
    ///
    /// # Errors
    /// [`CatalogError::Exists`], [`CatalogError::Kind`].
    pub fn create(&mut self, object: Object, replace: bool) -> Result<(), CatalogError> {
        let name = object.name().to_owned();
        if let Some(old) = self.objects.get(&name) {
            if !replace {
                return Err(CatalogError::Exists { kind: old.kind(), name });
            }
            if old.kind() != object.kind() {
                return Err(CatalogError::Kind { name, is: old.kind(), wanted: object.kind() });
            }
        }
        self.objects.insert(name, object);
        self.version += 1;
        Ok(())
    }

    /// Puts an object in the place of whatever has its name.
    pub fn put(&mut self, object: Object) {
        self.objects.insert(object.name().to_owned(), object);
        self.version += 1;
    }

    /// Takes a name of a [kind](Object::kind) away.
    ///
    /// # Errors
    /// [`CatalogError::Missing`], [`CatalogError::Kind`].
    pub fn remove(&mut self, kind: &'static str, name: &str) -> Result<(), CatalogError> {
        let found = self.objects.get(name).ok_or_else(|| self.missing(kind, name))?;
        if found.kind() != kind {
            return Err(CatalogError::Kind { name: name.to_owned(), is: found.kind(), wanted: kind });
        }
        self.objects.remove(name);
        self.version += 1;
        Ok(())
    }

    /// What a name stands for.
    ///
    /// # Errors
    /// [`CatalogError::Missing`] with the nearest name.
    pub fn object(&self, name: &str) -> Result<&Object, CatalogError> {
        self.objects.get(name).ok_or_else(|| self.missing("table", name))
    }

    /// The table of a name.
    ///
    /// # Errors
    /// [`CatalogError::Missing`], [`CatalogError::Kind`] where it is a view, materialized or not.
    pub fn table(&self, name: &str) -> Result<&Arc<Table>, CatalogError> {
        match self.object(name)? {
            Object::Table(table) => Ok(table),
            other => Err(CatalogError::Kind { name: name.to_owned(), is: other.kind(), wanted: "table" }),
        }
    }

    /// All names in order.
    pub fn objects(&self) -> impl Iterator<Item = (&str, &Object)> {
        self.objects.iter().map(|(n, o)| (n.as_str(), o))
    }

    fn missing(&self, kind: &'static str, name: &str) -> CatalogError {
        let nearest = self
            .objects
            .keys()
            .map(|k| (edit_distance(&k.to_lowercase(), &name.to_lowercase()), k))
            .min()
            .filter(|(d, k)| *d <= 1 + k.len() / 4);
        CatalogError::Missing { kind, name: name.to_owned(), nearest: nearest.map(|(_, k)| k.clone()) }
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
