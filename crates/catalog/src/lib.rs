//! Names and what they stand for: tables and views, versioned.
//!
//! Expressions in definitions (computed columns, watermarks, view queries) are kept as SQL text, so that a
//! definition can be printed ([`Table::to_sql`], [`View::to_sql`]), stored and bound again.
//!
//! Not here: parsing, binding, running. Start at [`Catalog`].

mod dialect;
mod error;
mod names;
mod print;
mod table;
#[cfg(test)]
mod tests;
mod type_name;
mod view;

pub use dialect::Dialect;
pub use error::CatalogError;
pub use names::{Catalog, Object, edit_distance};
pub use table::{Column, ColumnSource, Table, WatermarkDefinition};
pub use type_name::sql_type;
pub use view::{MaterializedView, View};
