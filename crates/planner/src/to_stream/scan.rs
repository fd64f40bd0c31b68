//! Scans become sources: one per table and job, which decodes only what somebody needs.

use super::Builder;
use super::calc::{check_repeatable_over, pruned};
use super::graph::NewNode;
use super::stream::{Base, Facts, Stream, column_at, rewrite_columns, substitute};
use crate::bind::window_assign::{Cut, WindowAssign};
use crate::bind::{CatalogTable, errors};
use crate::{Emit, Planner, SqlError};
use arrow::datatypes::Schema;
use datafusion_common::DFSchema;
use datafusion_expr::{LogicalPlan, TableScan};
use datafusion_physical_expr::expressions::{CastExpr, Column};
use eddyline_catalog::{ColumnSource, Name, Table};
use eddyline_connectors::{SourceChanges, parse_duration};
use eddyline_plan::{ChangeMode, Expression, NamedExpression, NodeId, OperatorSpec, SourceSpec, WatermarkSpec};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The option that keeps quiet splits from holding the watermark back.
const IDLE_TIMEOUT: &str = "scan.watermark.idle-timeout";

/// What the queries of a job need of a table.
#[derive(Debug, Default, Clone)]
struct Need {
    scans: usize,
    columns: BTreeSet<usize>,
    watermark: bool,
}

/// What the queries of a job need of every table that they read.
#[derive(Debug, Default, Clone)]
pub(crate) struct Scans {
    needs: HashMap<Name, Need>,
}

impl Scans {
    /// Looks through a plan. A watermark is needed where a window aggregate, the first rows of windows, or sessions wait for windows to
    /// close, and where OVER waits for the time of its rows.
    pub(crate) fn look_at(&mut self, plan: &LogicalPlan, emit: Emit) {
        self.look(plan, emit, false, false);
    }

    fn look(&mut self, plan: &LogicalPlan, emit: Emit, aggregated: bool, watermark: bool) {
        let mut aggregated = aggregated;
        let mut watermark = watermark;
        match plan {
            LogicalPlan::TableScan(scan) => {
                if let Some(source) = scan.source.downcast_ref::<CatalogTable>() {
                    let need = self.needs.entry(source.table.name.clone()).or_default();
                    need.scans += 1;
                    need.columns.extend(scanned(scan));
                    need.watermark |= watermark;
                }
            }
            LogicalPlan::Aggregate(_) | LogicalPlan::Distinct(_) => aggregated = true,
            LogicalPlan::Window(_) => {
                aggregated = true;
                watermark |= emit == Emit::Final;
            }
            LogicalPlan::Extension(e) => {
                if let Some(assign) = e.node.as_any().downcast_ref::<WindowAssign>() {
                    // Rows by themselves wait too for their session.
                    let waits = aggregated || matches!(assign.cut(), Cut::Sessions { .. });
                    watermark |= waits && emit.waits();
                }
            }
            _ => {}
        }
        plan.inputs().into_iter().for_each(|input| self.look(input, emit, aggregated, watermark));
    }
}

/// The columns that a scan puts out.
fn scanned(scan: &TableScan) -> Vec<usize> {
    match &scan.projection {
        Some(columns) => columns.clone(),
        None => (0..scan.source.schema().fields().len()).collect(),
    }
}

impl Builder<'_, '_> {
    pub(super) fn scan(&mut self, scan: &TableScan) -> Result<Stream, SqlError> {
        let Some(source) = scan.source.downcast_ref::<CatalogTable>() else {
            return Err(SqlError::new(SqlError::INTERNAL, format!("{} is no table of the catalog", scan.table_name)));
        };
        let table = source.table.clone();
        let need = self.scans.needs.get(&table.name).cloned().unwrap_or_default();
        let wanted = scanned(scan);
        let shared = need.scans > 1;
        let columns: Vec<usize> = if shared { need.columns.into_iter().collect() } else { wanted.clone() };
        let gives = self.planner.gives.map_or(SourceChanges::Inserts, |gives| gives(&table));
        let spec = source_spec(self.planner, &self.compiler, &table, &columns, need.watermark)?;
        let mut stream = match gives {
            SourceChanges::Upserts => self.upserts(spec, &table, &columns)?,
            _ => source_stream(pruned(spec), &table, &columns, gives)?,
        };
        if shared {
            let place = |c: &usize| columns.iter().position(|s| s == c).unwrap_or_default();
            if let Base::Source(spec) = &stream.base {
                stream.base = Base::Node(self.source_node(spec.as_ref().clone(), &stream));
            }
            stream.project = wanted.iter().map(|c| stream.project[place(c)].clone()).collect();
        }
        Ok(stream)
    }

    pub(super) fn source_node(&mut self, spec: SourceSpec, stream: &Stream) -> NodeId {
        self.graph.add(NewNode {
            meaning: format!("source {}", spec.table),
            spec: OperatorSpec::Source(spec),
            inputs: vec![],
            schema: stream.schema.clone(),
            traits: stream.facts.traits(),
            of: vec![],
        })
    }
}

/// The stream of `columns` of a table whose rows are inserted, or inserted and taken back as they are.
fn source_stream(spec: SourceSpec, table: &Table, columns: &[usize], gives: SourceChanges) -> Result<Stream, SqlError> {
    let mut facts = Facts::append_only(format!("rows of {} are only inserted", table.name));
    if gives == SourceChanges::Full {
        facts.mode = ChangeMode::Retract;
        facts.reason = format!("rows of {} are taken back", table.name);
        facts.keys.extend(key_of(table, columns));
        check_metadata(table, columns)?;
    }
    for column in &spec.project {
        check_repeatable_over(&column.expression, &facts)?;
    }
    if spec.watermark.is_some() {
        facts.event_time = time_column(table, columns).into_iter().collect();
    }
    let fields = columns.iter().map(|c| table.schema().fields()[*c].clone());
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    Ok(Stream::over(Base::Source(Box::new(spec)), schema, facts))
}

/// Where the PRIMARY KEY stands among `columns` of a table, if all of it does.
fn key_of(table: &Table, columns: &[usize]) -> Option<Vec<usize>> {
    let place = |name: &String| columns.iter().position(|c| table.columns[*c].name == *name);
    let key = table.primary_key.iter().map(place).collect::<Option<Vec<usize>>>()?;
    (!key.is_empty()).then_some(key)
}

/// Where the column of the watermark stands among `columns` of a table.
pub(super) fn time_column(table: &Table, columns: &[usize]) -> Option<usize> {
    let watermark = table.watermark.as_ref()?;
    columns.iter().position(|c| table.columns[*c].name == watermark.column)
}

/// A row is taken back by another record than the one that added it, of which the METADATA is another.
fn check_metadata(table: &Table, columns: &[usize]) -> Result<(), SqlError> {
    let is_metadata = |c: &&usize| matches!(table.columns[**c].source, ColumnSource::Metadata { .. });
    let Some(column) = columns.iter().find(is_metadata) else { return Ok(()) };
    Err(SqlError::new(
        SqlError::UNSUPPORTED,
        format!("METADATA column {} of table {}, whose rows are taken back", table.columns[*column].name, table.name),
    )
    .with_detail("the record that takes a row back has other METADATA than the one that added it")
    .with_hint(
        "leave the column out, or let rows be told by a PRIMARY KEY: 'debezium-json.upsert' = 'true', 'upsert-json'",
    ))
}

/// The source of `columns` of a table, reading everything that the connector has.
fn source_spec(
    planner: &Planner<'_>,
    compiler: &crate::checked::Compiler,
    table: &Table,
    columns: &[usize],
    watermark: bool,
) -> Result<SourceSpec, SqlError> {
    let physical = table.physical_schema();
    let metadata = table.columns.iter().filter_map(|c| match &c.source {
        ColumnSource::Metadata { key, .. } => {
            let field = arrow::datatypes::Field::new(&c.name, c.data_type.clone(), c.nullable);
            Some((key.clone(), Arc::new(field)))
        }
        _ => None,
    });
    let mut options = table.options.clone();
    let idle = options.remove(IDLE_TIMEOUT);
    let mut spec = SourceSpec {
        table: table.name.to_string(),
        options,
        projection: (0..physical.fields().len()).collect(),
        metadata: metadata.collect(),
        key: table.primary_key.iter().filter_map(|k| physical.index_of(k).ok()).collect(),
        physical,
        predicate: None,
        project: vec![],
        watermark: None,
    };
    let decoded = spec.decoded();
    let all = table
        .columns
        .iter()
        .enumerate()
        .map(|(at, c)| {
            let needed = columns.contains(&at) || watermark;
            let expression = match &c.source {
                ColumnSource::Computed { sql } if needed => computed(planner, compiler, table, sql, &decoded)?,
                ColumnSource::Computed { .. } => column_at(decoded.field(0), 0),
                _ => {
                    let at = decoded.index_of(&c.name).map_err(|e| SqlError::new(SqlError::INTERNAL, e.to_string()))?;
                    column_at(decoded.field(at), at)
                }
            };
            Ok(NamedExpression::new(expression, &c.name))
        })
        .collect::<Result<Vec<_>, SqlError>>()?;
    spec.project = columns.iter().map(|c| all[*c].clone()).collect();
    if let Some(w) = table.watermark.as_ref().filter(|_| watermark) {
        let (expr, schema) = planner.watermark(table, &w.sql)?;
        let over_columns = compiler.compile(&expr, &schema)?;
        spec.watermark = Some(WatermarkSpec {
            expression: as_time(substitute(&over_columns, &all), table, &w.column, &decoded)?,
            idle_timeout_ms: idle_timeout(table, idle.as_deref())?,
        });
    }
    Ok(spec)
}

/// A computed column over what the connector decodes.
fn computed(
    planner: &Planner<'_>,
    compiler: &crate::checked::Compiler,
    table: &Table,
    sql: &str,
    decoded: &Schema,
) -> Result<Expression, SqlError> {
    let (expr, schema) = planner.computed(table, sql)?;
    let compiled = compiler.compile(&expr, &schema)?;
    Ok(by_name(&compiled, &schema, decoded))
}

/// Moves columns from their places in `from` to those of the same names in `to`.
fn by_name(expression: &Expression, from: &DFSchema, to: &Schema) -> Expression {
    rewrite_columns(expression, |c| {
        let name = from.field(c).name();
        Arc::new(Column::new(name, to.index_of(name).unwrap_or_default()))
    })
}

/// The watermark in the type of its column.
fn as_time(expression: Expression, table: &Table, column: &str, decoded: &Schema) -> Result<Expression, SqlError> {
    let wanted = table.columns.iter().find(|c| c.name == column).map(|c| c.data_type.clone());
    let found = expression.data_type(decoded).map_err(errors::plain)?;
    Ok(match wanted {
        Some(wanted) if wanted != found => {
            Expression::new(Arc::new(CastExpr::new(expression.physical().clone(), wanted, None)))
        }
        _ => expression,
    })
}

fn idle_timeout(table: &Table, text: Option<&str>) -> Result<Option<u64>, SqlError> {
    let Some(text) = text else { return Ok(None) };
    match parse_duration(text) {
        Some(duration) => Ok(Some(duration.as_millis() as u64).filter(|ms| *ms > 0)),
        None => Err(SqlError::new(
            SqlError::INVALID_PARAMETER,
            format!("table {}: '{IDLE_TIMEOUT}' = '{text}' is no length of time", table.name),
        )
        .with_hint("write for example '10 s'")),
    }
}
