//! What there is, as the catalogs tell it: tables and views with their columns, keys, comments.

use crate::values;
use eddyline_engine::arrow::datatypes::{DataType, TimeUnit};
use eddyline_engine::catalog::{Column, ColumnSource, IndexColumn, Name, Object as Defined, Table, Unique, View};
use eddyline_engine::{Dialect, Session, in_double_quotes};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Numbers below are Postgres' own.
const FIRST_OID: u32 = 16_384;

/// A table or view.
pub(super) struct Object {
    pub(super) oid: u32,
    /// The schema that it is in.
    pub(super) schema: String,
    pub(super) name: String,
    /// It is found without its schema.
    pub(super) is_visible: bool,
    pub(super) kind: Kind,
    pub(super) columns: Vec<Described>,
    /// Names of the columns of its PRIMARY KEY.
    pub(super) key: Vec<String>,
    /// What stands for its PRIMARY KEY, then those that CREATE INDEX has made.
    pub(super) indexes: Vec<TableIndex>,
    /// The query of a view.
    pub(super) definition: Option<String>,
    pub(super) comment: Option<String>,
    pub(super) temporary: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Table,
    /// Told as a table, into which nothing is inserted.
    Source,
    View,
    MaterializedView,
}

/// What a PRIMARY KEY says.
const KEY: Unique = Unique { nulls_distinct: true, is_constraint: true };

/// An index of a table.
pub(super) struct TableIndex {
    pub(super) oid: u32,
    pub(super) name: String,
    /// It stands for the PRIMARY KEY.
    pub(super) is_primary: bool,
    /// No two rows have the same values in its columns.
    pub(super) unique: Option<Unique>,
    pub(super) columns: Vec<IndexColumn>,
    pub(super) comment: Option<String>,
}

/// A column.
pub(super) struct Described {
    pub(super) name: String,
    /// Of Postgres.
    pub(super) of: u32,
    pub(super) modifier: i32,
    pub(super) nullable: bool,
    pub(super) default: Option<String>,
    /// It is computed by this.
    pub(super) computed: Option<String>,
    pub(super) comment: Option<String>,
}

impl Object {
    /// `r`, `v`, `m`, as in `pg_class`.
    pub(super) fn letter(&self) -> &'static str {
        match self.kind {
            Kind::Table | Kind::Source => "r",
            Kind::View => "v",
            Kind::MaterializedView => "m",
        }
    }

    /// The name of its PRIMARY KEY, and of the index that stands for it.
    pub(super) fn key_name(&self) -> String {
        format!("{}_pkey", self.name)
    }

    pub(super) fn key_oid(&self) -> u32 {
        oid("index", &self.full_name())
    }

    /// The index with this number.
    pub(super) fn index(&self, oid: u32) -> Option<&TableIndex> {
        self.indexes.iter().find(|index| index.oid == oid)
    }

    /// What stands for its PRIMARY KEY.
    fn key_index(&self) -> Option<TableIndex> {
        let column = |name: &String| IndexColumn { name: name.clone(), descending: false, nulls_first: false };
        let columns: Vec<IndexColumn> = self.key.iter().map(column).collect();
        let (oid, name) = (self.key_oid(), self.key_name());
        (!columns.is_empty()).then_some(TableIndex {
            oid,
            name,
            is_primary: true,
            unique: Some(KEY),
            columns,
            comment: None,
        })
    }

    /// The number of the constraint that an index stands for.
    pub(super) fn constraint_oid(&self, index: &TableIndex) -> u32 {
        match index.is_primary {
            true => oid("constraint", &self.full_name()),
            false => oid("constraint", &Name::new(&self.schema, &index.name).to_string()),
        }
    }

    /// The indexes that stand for constraints.
    pub(super) fn constraints(&self) -> impl Iterator<Item = &TableIndex> {
        self.indexes.iter().filter(|index| index.unique.is_some_and(|unique| unique.is_constraint))
    }

    /// What no other object is called.
    pub(super) fn full_name(&self) -> String {
        Name::new(&self.schema, &self.name).to_string()
    }

    /// Numbers of columns, from 1.
    pub(super) fn numbers<'n>(&self, names: impl Iterator<Item = &'n String>) -> Vec<i64> {
        let place = |name: &String| self.columns.iter().position(|column| column.name == *name);
        names.filter_map(place).map(|at| at as i64 + 1).collect()
    }

    /// What of a column stands in `pg_attrdef`.
    pub(super) fn expressions(&self) -> impl Iterator<Item = (i64, &str)> {
        let columns = (1..).zip(&self.columns);
        columns.filter_map(|(at, column)| Some((at, column.computed.as_deref().or(column.default.as_deref())?)))
    }
}

/// All of them. A view whose query does not hold any more has no columns.
pub(super) fn objects(session: &Session) -> Vec<Object> {
    let visible: HashSet<&Name> = session.visible().map(Defined::name).collect();
    let described = |(name, object)| {
        let found = described(session, name, object)?;
        let own = session.catalog().indexes_of(name).map(|index| TableIndex {
            oid: oid("relation", &index.name.to_string()),
            name: index.name.object().to_owned(),
            is_primary: false,
            unique: index.unique,
            columns: index.columns.clone(),
            comment: index.comment.clone(),
        });
        let indexes = found.key_index().into_iter().chain(own).collect();
        Some(Object { is_visible: visible.contains(name), indexes, ..found })
    };
    session.catalog().objects().filter_map(described).collect()
}

/// The query of a view as Postgres writes it. Names that were put into it stand in back-ticks.
fn text_of(view: &View) -> String {
    match view.dialect {
        Dialect::Postgres if view.sql.contains('`') => in_double_quotes(&view.sql),
        Dialect::Postgres | Dialect::Flink => view.sql.clone(),
    }
}

/// `None`: nobody reads it.
fn described(session: &Session, name: &Name, object: &Defined) -> Option<Object> {
    let plain = |kind, columns| Object {
        oid: oid("relation", &name.to_string()),
        schema: name.schema().to_owned(),
        name: name.object().to_owned(),
        is_visible: true,
        kind,
        columns,
        key: Vec::new(),
        indexes: Vec::new(),
        definition: None,
        comment: None,
        temporary: false,
    };
    Some(match object {
        Defined::Sink(_) | Defined::Index(_) => return None,
        Defined::Table(table) => Object {
            key: table.primary_key.clone(),
            comment: table.comment.clone(),
            temporary: table.temporary,
            ..plain(if table.is_source { Kind::Source } else { Kind::Table }, columns(table))
        },
        Defined::MaterializedView(view) => Object {
            definition: Some(text_of(&view.view)),
            comment: view.view.comment.clone(),
            ..plain(Kind::MaterializedView, columns(&view.table))
        },
        Defined::View(view) => {
            let schema = session.columns_of_view(&view.name).ok();
            let fields = schema.iter().flat_map(|schema| schema.fields());
            let columns = fields.map(|field| column(field.name(), field.data_type(), true));
            Object {
                definition: Some(text_of(view)),
                comment: view.comment.clone(),
                temporary: view.temporary,
                ..plain(Kind::View, columns.collect())
            }
        }
    })
}

fn columns(table: &Table) -> Vec<Described> {
    let own = |own: &Column| Described {
        default: own.default.clone(),
        computed: match &own.source {
            ColumnSource::Computed { sql } => Some(sql.clone()),
            _ => None,
        },
        comment: own.comment.clone(),
        ..column(&own.name, &own.data_type, own.nullable)
    };
    table.columns.iter().map(own).collect()
}

fn column(name: &str, of: &DataType, nullable: bool) -> Described {
    let (of, modifier) = (values::oid(of), modifier(of));
    Described { name: name.to_owned(), of, modifier, nullable, default: None, computed: None, comment: None }
}

/// Digits of a number, or of seconds where they are fewer than Postgres keeps by itself.
fn modifier(of: &DataType) -> i32 {
    match of {
        DataType::Timestamp(unit, _) | DataType::Time32(unit) | DataType::Time64(unit) => match unit {
            TimeUnit::Second => 0,
            TimeUnit::Millisecond => 3,
            _ => -1,
        },
        DataType::List(item) => modifier(item.data_type()),
        other => values::modifier(other),
    }
}

/// The number of an object, from its name, so that it is the same in every query.
pub(super) fn oid(kind: &str, name: &str) -> u32 {
    let mut hasher = DefaultHasher::new();
    (kind, name).hash(&mut hasher);
    FIRST_OID + (hasher.finish() % u64::from(i32::MAX as u32 - FIRST_OID)) as u32
}
