mod bytes;
mod parquet;
mod sink;
