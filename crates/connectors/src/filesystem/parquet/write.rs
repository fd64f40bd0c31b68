//! Rows into a Parquet file.

use super::fetch::broken;
use crate::filesystem::medium::Draft;
use crate::{ConnectorError, Options};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::WriterProperties;

/// The option `parquet.compression`.
pub(in crate::filesystem) fn compression(options: &mut Options) -> Result<Compression, ConnectorError> {
    let text = options.text("parquet.compression").unwrap_or_else(|| "SNAPPY".into());
    Ok(match text.to_ascii_uppercase().as_str() {
        "SNAPPY" => Compression::SNAPPY,
        "ZSTD" => Compression::ZSTD(ZstdLevel::default()),
        "GZIP" => Compression::GZIP(GzipLevel::default()),
        "LZ4" => Compression::LZ4_RAW,
        "UNCOMPRESSED" | "NONE" => Compression::UNCOMPRESSED,
        _ => {
            let why = "is none of SNAPPY, ZSTD, GZIP, LZ4, UNCOMPRESSED";
            return Err(options.bad("parquet.compression", &text, why));
        }
    })
}

/// Writes one file.
pub(in crate::filesystem) struct ParquetEncoder {
    path: String,
    writer: ArrowWriter<Box<dyn Draft>>,
}

impl ParquetEncoder {
    pub(in crate::filesystem) fn new(
        path: &str,
        file: Box<dyn Draft>,
        schema: &SchemaRef,
        compression: Compression,
    ) -> Result<Self, ConnectorError> {
        let properties = WriterProperties::builder().set_compression(compression).build();
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties)).map_err(|e| broken(path, e))?;
        Ok(Self { path: path.to_owned(), writer })
    }

    pub(in crate::filesystem) fn write(&mut self, rows: &RecordBatch) -> Result<(), ConnectorError> {
        self.writer.write(rows).map_err(|e| broken(&self.path, e))
    }

    /// About as large as the file would be if it ended here.
    pub(in crate::filesystem) fn size_bytes(&self) -> u64 {
        (self.writer.bytes_written() + self.writer.in_progress_size()) as u64
    }

    /// The file that takes the bytes.
    pub(in crate::filesystem) fn draft(&mut self) -> &mut dyn Draft {
        self.writer.inner_mut().as_mut()
    }

    /// Writes the footer and hands the file back.
    pub(in crate::filesystem) fn finish(self) -> Result<Box<dyn Draft>, ConnectorError> {
        self.writer.into_inner().map_err(|e| broken(&self.path, e))
    }
}
