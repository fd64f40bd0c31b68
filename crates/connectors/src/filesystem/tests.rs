mod bytes;
mod parquet;
