//! Parquet files: a split per row group. The rim fetches the bytes of the projected columns, the shard decodes them.

mod decode;
mod fetch;
mod jsonb;
mod write;

pub(super) use decode::ParquetDecoder;
pub(super) use fetch::{ParquetFile, RowGroupReader};
pub(super) use write::{ParquetEncoder, compression};
