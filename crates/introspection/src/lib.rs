//! The queries that tools ask of a database about itself: over Postgres' catalogs, as relations in memory.
//!
//! Drivers and tools ask `pg_catalog` and `information_schema` in all that PostgreSQL's SQL has: queries within queries over rows
//! around them at any place, `WITH RECURSIVE`, functions that return sets in the list of a SELECT, arrays that count from 0, casts to
//! `regclass`. Such a query reads some hundred rows once. A dataflow would be planned for much longer than it runs, and much of this has
//! no meaning for rows that change. So these queries have an interpreter of their own: a tree of expressions that is walked row by row.
//!
//! ```text
//! text ── Query::read ──> Query ── plan ──> Plan (names and types known) ── Plan::rows ──> rows
//!                                   └── Environment: relations, functions of the database ──┘
//! ```
//! | module | holds |
//! |---|---|
//! | `read` | parsing; does a query concern the catalogs at all? |
//! | `bind` | names and types: from the parser's tree to a plan |
//! | `plan` | what is bound, as plain data |
//! | `run` | joins, groups, order; values of expressions |
//! | `functions` | functions without a database around them |
//! | `value`, `sql_type`, `cast`, `text` | values, their types, their spelling |
//!
//! Not here: what there is in a database (the [`Environment`] tells it), sockets, tables of users. Nothing is written.

mod bind;
mod cast;
mod environment;
mod error;
mod functions;
mod plan;
mod read;
mod run;
mod sql_type;
#[cfg(test)]
mod tests;
mod text;
mod value;

pub use cast::cast;
pub use environment::{Environment, Relation, Signature};
pub use error::Error;
pub use plan::Plan;
pub use read::{Concern, Query, has_a_sign};
pub use sql_type::Type;
pub use text::items;
pub use value::{Row, Value};
