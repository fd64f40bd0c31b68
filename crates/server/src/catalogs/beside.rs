//! Relations of the catalogs for a statement that reads tables too, or writes them.

use super::{Catalogs, into_engine, shape};
use crate::values;
use crate::variables::Variables;
use eddyline_engine::arrow::array::RecordBatch;
use eddyline_engine::catalog::Name;
use eddyline_engine::statement::Statement;
use eddyline_engine::{Dialect, Session, SqlError, relations_named};
use eddyline_introspection::{Environment, has_a_sign};
use std::collections::BTreeSet;

/// Does a statement name relations of the catalogs?
pub(crate) fn are_named(statement: &Statement) -> bool {
    !named(statement).is_empty()
}

/// The relations of the catalogs that a statement names, with their rows as they are now.
///
/// # Errors
/// An object whose name cannot be told.
pub(crate) fn relations(
    statement: &Statement,
    session: &mut Session,
    variables: &mut Variables,
) -> Result<Vec<(Name, RecordBatch)>, SqlError> {
    let named = if session.settings().dialect() == Dialect::Postgres { named(statement) } else { BTreeSet::new() };
    if named.is_empty() {
        return Ok(Vec::new());
    }
    let catalogs = Catalogs::new(session, variables);
    let filled = |name: Name| {
        let relation = catalogs.relation(name.schema(), name.object())?;
        let rows = values::catalog::batch(&relation.columns, &relation.rows, &catalogs).map_err(into_engine);
        Some(rows.map(|rows| (name, rows)))
    };
    named.into_iter().filter_map(filled).collect()
}

fn named(statement: &Statement) -> BTreeSet<Name> {
    if !has_a_sign(&statement.sql) {
        return BTreeSet::new();
    }
    let of_catalogs = relations_named(statement).into_iter().filter_map(|written| {
        let schema = written.schema.as_deref().unwrap_or("pg_catalog");
        shape::find(schema, &written.object).map(|_| Name::new(schema, &written.object))
    });
    of_catalogs.collect()
}
