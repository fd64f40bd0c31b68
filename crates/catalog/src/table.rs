use crate::{Dialect, Name};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::collections::BTreeMap;
use std::sync::Arc;

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
    /// `DEFAULT expression`: its value in rows that are inserted without one.
    pub default: Option<String>,
}

/// `WATERMARK FOR column AS sql`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatermarkDefinition {
    /// The time column.
    pub column: String,
    /// The expression.
    pub sql: String,
}

/// A table over a connector, or one that the engine keeps.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Its name.
    pub name: Name,
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
    /// CREATE SOURCE: it is read, and not written.
    pub is_source: bool,
    /// How its expressions are read.
    pub dialect: Dialect,
}

impl Table {
    /// The name of what its PRIMARY KEY says.
    pub fn key_name(&self) -> String {
        format!("{}_pkey", self.name.object())
    }

    /// Its rows are not elsewhere, behind a connector: the engine keeps them, and statements change them.
    pub fn is_kept(&self) -> bool {
        !self.options.contains_key("connector")
    }

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
