//! How SQL is tested: suites of files, an independent oracle, random queries.
//!
//! - [`shrink`]: a failing case made small, and written as a file of the suites.
//! - [`suite`]: sqllogictest files over an embedded session.
//! - [`wire`]: the same over the wire of Postgres.
//! - [`tpch`]: tables, rows and queries of TPC-H.
//! - [`feed`]: the connector `changes`, rows out of SQL text or pushed by a test.
//! - [`oracle`]: the batch answer of a bound query over given rows, by DataFusion.
//! - [`check`]: one query under simulation, compared with the oracle after every step.
//! - [`fuzz`]: one random case per seed.
//! - [`random`]: random tables, changes and queries from a seed.
//! - [`rows`]: multisets of rows as text, to compare answers.
//!
//! Nobody depends on this crate.

pub mod check;
pub mod feed;
pub mod fuzz;
mod nested;
pub mod oracle;
pub mod random;
mod random_correlated;
pub mod rows;
pub mod shrink;
pub mod suite;
pub mod tpch;
pub mod wire;
