//! CREATE TABLE: types of computed columns, the watermark, the primary key.

use super::parsed_query;
use crate::{Planner, PlannerOptions, SqlError};
use arrow::datatypes::{DataType, TimeUnit};
use datafusion_common::{DFSchema, DFSchemaRef};
use datafusion_expr::{Expr, LogicalPlan};
use eddyline_catalog::{Catalog, Column, ColumnSource, Dialect, Name, Object, SearchPath, Table, sql_type};
use std::collections::HashSet;
use std::sync::Arc;

impl Planner<'_> {
    /// As [`Planner::bind_table`].
    pub(crate) fn bound_table(&self, mut table: Table) -> Result<Table, SqlError> {
        unique_names(&table)?;
        if !table.columns.iter().any(|c| c.source == ColumnSource::Physical) {
            return Err(SqlError::new(SqlError::INVALID, format!("table {} has no physical column", table.name)));
        }
        for at in 0..table.columns.len() {
            if let ColumnSource::Computed { sql } = &table.columns[at].source {
                let (expr, schema) = self.computed(&table, sql).map_err(|e| {
                    without_place(e, format!("in computed column {} of table {}", table.columns[at].name, table.name))
                })?;
                let (data_type, nullable) = type_of(&expr, &schema)?;
                table.columns[at].data_type = data_type;
                table.columns[at].nullable = nullable;
            }
        }
        check_primary_key(&mut table)?;
        self.check_watermark(&table)?;
        self.check_defaults(&table)?;
        Ok(table)
    }

    /// A column's DEFAULT, in the column's type: an expression over no columns.
    pub(crate) fn default_of(&self, table: &Table, column: &Column) -> Result<Option<(Expr, DFSchemaRef)>, SqlError> {
        let Some(sql) = &column.default else { return Ok(None) };
        let place = || format!("in DEFAULT of column {} of table {}", column.name, table.name);
        let (expr, schema) = self.computed(table, sql).map_err(|e| without_place(e, place()))?;
        let is_typed = type_of(&expr, &schema)?.0 == column.data_type;
        let expr = if is_typed { expr } else { datafusion_expr::cast(expr, column.data_type.clone()) };
        match expr.column_refs().is_empty() {
            true => Ok(Some((expr, schema))),
            false => Err(SqlError::new(SqlError::INVALID, "a DEFAULT cannot depend on columns of the row")
                .with_detail(place())
                .with_hint(format!("a computed column can: {} AS {sql}", column.name))),
        }
    }

    /// The first of the columns that are left out whose DEFAULT is another each time that it is computed.
    ///
    /// # Errors
    /// None for a table that was bound.
    pub fn varying_default<'t>(&self, table: &'t Table, written: &[String]) -> Result<Option<&'t Column>, SqlError> {
        for column in table.columns.iter().filter(|column| !written.contains(&column.name)) {
            if let Some((value, _)) = self.default_of(table, column)?
                && value.is_volatile()
            {
                return Ok(Some(column));
            }
        }
        Ok(None)
    }

    fn check_defaults(&self, table: &Table) -> Result<(), SqlError> {
        let Some(column) = table.columns.iter().find(|column| column.default.is_some()) else { return Ok(()) };
        if !table.is_kept() || column.source != ColumnSource::Physical {
            let message = format!("DEFAULT of column {} of table {}", column.name, table.name);
            return Err(SqlError::new(SqlError::UNSUPPORTED, message)
                .with_detail("rows without a value come from INSERT alone, into tables without a connector")
                .with_hint("write the value in INSERT, or a computed column"));
        }
        table.columns.iter().try_for_each(|column| self.default_of(table, column).map(drop))
    }

    /// A computed column's expression over the table's other columns.
    pub(crate) fn computed(&self, table: &Table, sql: &str) -> Result<(Expr, DFSchemaRef), SqlError> {
        let columns = table.columns.iter().filter(|c| !matches!(c.source, ColumnSource::Computed { .. }));
        self.over_columns(table, columns.cloned().collect(), sql)
    }

    /// The watermark expression over all columns.
    pub(crate) fn watermark(&self, table: &Table, sql: &str) -> Result<(Expr, DFSchemaRef), SqlError> {
        let physical = |c: &Column| Column { source: ColumnSource::Physical, ..c.clone() };
        self.over_columns(table, table.columns.iter().map(physical).collect(), sql)
    }

    /// Binds an expression over `columns` of a table.
    fn over_columns(&self, table: &Table, columns: Vec<Column>, sql: &str) -> Result<(Expr, DFSchemaRef), SqlError> {
        let mut catalog = Catalog::new();
        // It is the only one: in which schema does not matter.
        let name = Name::from(table.name.object());
        let text = format!("SELECT {sql} AS expression FROM {}", name.to_sql());
        catalog.put(Object::Table(Arc::new(Table {
            name,
            columns,
            primary_key: vec![],
            watermark: None,
            ..table.clone()
        })));
        let options = PlannerOptions { search_path: SearchPath::default(), ..self.options.clone() };
        let planner = Planner {
            catalog: &catalog,
            options: &options,
            functions: self.functions.clone(),
            takes: None,
            gives: None,
            reads: None,
            states: None,
            counts_values: false,
        };
        let query = parsed_query(&text, table.dialect)?;
        let bound = planner.bind_as(&query, table.dialect)?;
        crate::to_stream::check(&bound, &query)?;
        let plan = planner.simplify(bound)?;
        match plan {
            LogicalPlan::Projection(p) if p.expr.len() == 1 && matches!(*p.input, LogicalPlan::TableScan(_)) => {
                Ok((p.expr[0].clone().unalias(), p.input.schema().clone()))
            }
            _ => Err(SqlError::new(SqlError::INVALID, format!("{sql} is no expression over one row"))
                .with_hint("aggregates, subqueries and OVER are not allowed here")),
        }
    }

    fn check_watermark(&self, table: &Table) -> Result<(), SqlError> {
        let Some(watermark) = &table.watermark else { return Ok(()) };
        let Some(column) = table.columns.iter().find(|c| c.name == watermark.column) else {
            let known: Vec<datafusion_common::Column> =
                table.columns.iter().map(|c| datafusion_common::Column::new_unqualified(&c.name)).collect();
            let error = super::errors::unknown_column(&watermark.column, None, &known);
            return Err(error.with_detail(format!("in WATERMARK FOR of table {}", table.name)));
        };
        if !is_event_time(&column.data_type, table.dialect) {
            let hint = match table.dialect {
                Dialect::Flink => {
                    "event time is a TIMESTAMP(p) or TIMESTAMP_LTZ(p) with p from 0 to 3; write TIMESTAMP(3)"
                }
                Dialect::Postgres if matches!(column.data_type, DataType::Timestamp(..)) => {
                    "event time is a TIMESTAMP(p) or TIMESTAMPTZ(p) with p from 0 to 6; TIMESTAMP has 6 digits"
                }
                Dialect::Postgres => "event time is a TIMESTAMP or TIMESTAMPTZ",
            };
            return Err(SqlError::new(
                SqlError::DATATYPE_MISMATCH,
                format!("WATERMARK FOR {}: the column is {}", column.name, sql_type(&column.data_type)),
            )
            .with_hint(hint));
        }
        let place = format!("in WATERMARK FOR {} of table {}", column.name, table.name);
        let (expr, schema) = self.watermark(table, &watermark.sql).map_err(|e| without_place(e, place.clone()))?;
        match type_of(&expr, &schema)?.0 {
            DataType::Timestamp(..) => Ok(()),
            other => Err(SqlError::new(
                SqlError::DATATYPE_MISMATCH,
                format!("WATERMARK FOR {}: the expression is {}, not a TIMESTAMP", column.name, sql_type(&other)),
            )
            .with_hint(format!("write for example {0} - INTERVAL '5' SECOND", column.name))),
        }
    }
}

/// Event time is told in milliseconds, and a finer column by the milliseconds that have begun. Flink has no finer ones.
fn is_event_time(data_type: &DataType, dialect: Dialect) -> bool {
    match data_type {
        DataType::Timestamp(TimeUnit::Second | TimeUnit::Millisecond, _) => true,
        DataType::Timestamp(TimeUnit::Microsecond, _) => dialect == Dialect::Postgres,
        _ => false,
    }
}

fn without_place(mut error: SqlError, detail: String) -> SqlError {
    error.position = None;
    match error.detail {
        Some(_) => error,
        None => error.with_detail(detail),
    }
}

fn type_of(expr: &Expr, schema: &DFSchema) -> Result<(DataType, bool), SqlError> {
    use datafusion_expr::ExprSchemable;
    let (_, field) = expr.to_field(schema).map_err(super::errors::plain)?;
    Ok((field.data_type().clone(), field.is_nullable()))
}

fn unique_names(table: &Table) -> Result<(), SqlError> {
    let mut seen = HashSet::new();
    match table.columns.iter().find(|c| !seen.insert(&c.name)) {
        None => Ok(()),
        Some(c) => Err(SqlError::new("42701", format!("table {}: column {} is defined twice", table.name, c.name))),
    }
}

fn check_primary_key(table: &mut Table) -> Result<(), SqlError> {
    for name in &table.primary_key {
        let fault = |why: &str| {
            Err(SqlError::new(
                SqlError::UNDEFINED_COLUMN,
                format!("table {}: PRIMARY KEY column {name} {why}", table.name),
            ))
        };
        match table.columns.iter_mut().find(|c| c.name == *name) {
            None => return fault("does not exist"),
            Some(c) if c.source != ColumnSource::Physical => return fault("is not a physical column"),
            Some(c) => c.nullable = false,
        }
    }
    Ok(())
}
