//! Names and what they stand for: tables and views in schemas, versioned.
//!
//! A [`Reference`] is a name as a statement writes it; with a [`SearchPath`], [`Catalog::resolve`] says which [`Name`] it means. All that is
//! kept anywhere goes by [`Name`]s.
//!
//! Expressions in definitions (computed columns, watermarks, view queries) are kept as SQL text, so that a
//! definition can be printed ([`Table::to_sql`], [`View::to_sql`]), stored and bound again.
//!
//! Not here: parsing, binding, running. Start at [`Catalog`].

mod dialect;
mod error;
mod index;
mod name;
mod names;
mod path;
mod print;
mod table;
#[cfg(test)]
mod tests;
mod type_name;
mod view;

pub use dialect::Dialect;
pub use error::CatalogError;
pub use index::{Index, IndexColumn, Unique};
pub use name::{Name, PUBLIC, Reference};
pub use names::{Catalog, FIRST_DATABASE, Object, edit_distance};
pub use path::{SYSTEM_SCHEMAS, SearchPath};
pub use table::{Column, ColumnSource, Table, WatermarkDefinition};
pub use type_name::sql_type;
pub use view::{MaterializedView, Sink, View};
