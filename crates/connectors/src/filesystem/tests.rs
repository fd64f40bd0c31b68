mod bytes;
mod objects;
mod parquet;
mod sink;
