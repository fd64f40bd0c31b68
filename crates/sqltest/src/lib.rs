//! How SQL is tested: suites of files, an independent oracle, random queries.
//!
//! - [`feed`]: the connector `changes`, rows out of SQL text or pushed by a test.
//! - [`random`]: random tables, changes and queries from a seed.
//! - [`suite`]: sqllogictest files over an embedded session.
//! - [`rows`]: multisets of rows as text, to compare answers.
//!
//! Nobody depends on this crate.

pub mod feed;
pub mod random;
pub mod rows;
pub mod suite;
