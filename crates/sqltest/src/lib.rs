//! How SQL is tested: suites of files, an independent oracle, random queries.
//!
//! - [`feed`]: the connector `changes`, rows out of SQL text or pushed by a test.
//! - [`oracle`]: the batch answer of a bound query over given rows, by DataFusion.
//! - [`rows`]: multisets of rows as text, to compare answers.
//!
//! Nobody depends on this crate.

pub mod feed;
pub mod oracle;
pub mod rows;
