//! JSON values, and JSONB: JSON in the one form that PostgreSQL gives it, so that equal values are equal texts (but for zeros behind the
//! point of numbers, which PostgreSQL shows and does not compare). In Arrow a JSONB is a `LargeUtf8`, and nothing else is.
//!
//! Functions of JSON are in the crate `functions`, files of JSON in `connectors`; begin reading at [`Json`].

mod column;
mod value;

pub use column::{NotJson, jsonb_column};
pub use value::{Json, place, quoted};
