//! Names and what they stand for: tables and views, versioned.
//!
//! Expressions in definitions (computed columns, watermarks, view queries) are kept as SQL text, so that a
//! definition can be printed, stored and bound again.
//!
//! Not here: parsing, binding, running. Start at [`Catalog`].

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What can go wrong with names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// The name is taken.
    #[error("{kind} {name} exists already")]
    Exists {
        /// `table` or `view`.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// There is nothing of that name.
    #[error("{kind} {name} does not exist")]
    Missing {
        /// `table` or `view`.
        kind: &'static str,
        /// The name.
        name: String,
        /// The nearest name that exists.
        nearest: Option<String>,
    },
    /// The name stands for something else.
    #[error("{name} is a {is}, not a {wanted}")]
    Kind {
        /// The name.
        name: String,
        /// What it is.
        is: &'static str,
        /// What was asked for.
        wanted: &'static str,
    },
}

/// Where a column's values come from.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnSource {
    /// The rows of the connector.
    Physical,
    /// `name AS expression`.
    Computed {
        /// The expression.
        sql: String,
    },
    /// `name type METADATA [FROM 'key'] [VIRTUAL]`.
    Metadata {
        /// The connector's key.
        key: String,
        /// Read-only: not a column of the sink.
        is_virtual: bool,
    },
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type; for a computed column the type of its expression (known once it is bound).
    pub data_type: DataType,
    /// May it be NULL?
    pub nullable: bool,
    /// Where its values come from.
    pub source: ColumnSource,
    /// The comment.
    pub comment: Option<String>,
}

/// `WATERMARK FOR column AS sql`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatermarkDefinition {
    /// The time column.
    pub column: String,
    /// The expression.
    pub sql: String,
}

/// A table over a connector.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// Names of the PRIMARY KEY … NOT ENFORCED columns; empty without one.
    pub primary_key: Vec<String>,
    /// How its event time is told.
    pub watermark: Option<WatermarkDefinition>,
    /// The WITH options.
    pub options: BTreeMap<String, String>,
    /// The comment.
    pub comment: Option<String>,
    /// CREATE TEMPORARY TABLE.
    pub temporary: bool,
}

impl Table {
    /// The columns of a row at the connector: all physical ones.
    pub fn physical_schema(&self) -> SchemaRef {
        self.schema_of(|c| c.source == ColumnSource::Physical)
    }

    /// The columns that a query sees.
    pub fn schema(&self) -> SchemaRef {
        self.schema_of(|_| true)
    }

    /// The columns that INSERT INTO writes: physical ones and metadata that is not VIRTUAL.
    pub fn sink_schema(&self) -> SchemaRef {
        self.schema_of(|c| match &c.source {
            ColumnSource::Physical => true,
            ColumnSource::Metadata { is_virtual, .. } => !is_virtual,
            ColumnSource::Computed { .. } => false,
        })
    }

    fn schema_of(&self, keep: impl Fn(&Column) -> bool) -> SchemaRef {
        let field = |c: &Column| Field::new(&c.name, c.data_type.clone(), c.nullable);
        Arc::new(Schema::new(self.columns.iter().filter(|c| keep(c)).map(field).collect::<Vec<_>>()))
    }
}

/// A name for a query.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Its name.
    pub name: String,
    /// Names for its columns; empty: those of the query.
    pub columns: Vec<String>,
    /// The query.
    pub sql: String,
    /// The comment.
    pub comment: Option<String>,
    /// CREATE TEMPORARY VIEW.
    pub temporary: bool,
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq)]
pub enum Object {
    /// A table.
    Table(Arc<Table>),
    /// A view.
    View(Arc<View>),
}

impl Object {
    /// `table` or `view`.
    pub fn kind(&self) -> &'static str {
        match self {
            Object::Table(_) => "table",
            Object::View(_) => "view",
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
        let name = match &object {
            Object::Table(t) => t.name.clone(),
            Object::View(v) => v.name.clone(),
        };
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

    /// Takes a name of `kind` (`table` or `view`) away.
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
    /// [`CatalogError::Missing`], [`CatalogError::Kind`] where it is a view.
    pub fn table(&self, name: &str) -> Result<&Arc<Table>, CatalogError> {
        match self.object(name)? {
            Object::Table(table) => Ok(table),
            Object::View(_) => Err(CatalogError::Kind { name: name.to_owned(), is: "view", wanted: "table" }),
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
