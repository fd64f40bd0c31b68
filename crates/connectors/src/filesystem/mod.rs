//! `'connector' = 'filesystem'`: files as tables, read (once, or watched) and written.
//!
//! Reading: [`location`] lists files, [`source`] makes splits of them, [`blocks`] cuts their bytes at record ends and
//! [`reader`] runs that on the rim; [`parquet`] has its own way from splits to rows; [`watch`] knows which watched
//! files are to be followed. Writing: [`sink`] makes files of rows, a [`medium`] hides them until they are committed: [`local`] in a
//! directory, [`objects`] in an object store. Not here: partitioned tables, compaction, reading object stores.

mod blocks;
mod compression;
mod local;
mod location;
mod medium;
mod names;
mod objects;
mod parquet;
mod reader;
mod sink;
mod source;
#[cfg(test)]
mod tests;
mod watch;

use crate::format;
use crate::{
    Connector, ConnectorError, Options, Reach, Sink, SinkChanges, SinkRequest, Source, SourceChanges, SourceRequest,
};
use arrow::datatypes::{DataType, TimeUnit};
use compression::Compression;
use location::Location;
use objects::FILE_BYTES_MAX;
use regex::Regex;
use source::{Content, FileSource};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use watch::Watch;

/// Makes sources and sinks of files.
pub(crate) struct FilesystemConnector {
    /// Which files it may read and write.
    pub(crate) reach: Reach,
}

/// The options that only concern reading or only writing: a table may be used for both, so both check all of them.
struct FileOptions {
    location: Location,
    /// The URL, when the files are in an object store.
    remote: Option<String>,
    parquet: bool,
    monitor_interval: Option<Duration>,
    split_bytes: u64,
    compression: Option<Compression>,
    rolling: sink::Rolling,
    parquet_compression: ::parquet::basic::Compression,
}

impl FileOptions {
    fn new(options: &mut Options, reach: &Reach) -> Result<Self, ConnectorError> {
        let path = options.required("path")?;
        let is_remote =
            eddyline_stores::is_object_store(&path).map_err(|e| options.bad("path", &path, &e.to_string()))?;
        match is_remote {
            true => reach.check_url(&path)?,
            false => reach.check_path(&path)?,
        }
        let pattern = match options.text("source.path.regex-pattern") {
            None => None,
            Some(text) => {
                Some(Regex::new(&text).map_err(|e| options.bad("source.path.regex-pattern", &text, &e.to_string()))?)
            }
        };
        let monitor_interval = options.duration("source.monitor-interval")?;
        if monitor_interval.is_some_and(|interval| interval.is_zero()) {
            return Err(options.bad("source.monitor-interval", "0", "is no interval; leave it out to read files once"));
        }
        let split_bytes = options.size_bytes("source.split-size")?.unwrap_or(16 << 20).max(1);
        let rolling = sink::Rolling {
            size_bytes: options.size_bytes("sink.rolling-policy.file-size")?.unwrap_or(128 << 20),
            interval: options.duration("sink.rolling-policy.rollover-interval")?.unwrap_or(Duration::from_secs(1800)),
        };
        if is_remote && rolling.size_bytes > FILE_BYTES_MAX {
            let text = options.text("sink.rolling-policy.file-size").unwrap_or_default();
            let why = "is more than an object store copies at once; write at most '4 GB'";
            return Err(options.bad("sink.rolling-policy.file-size", &text, why));
        }
        let parquet = options.text("format").as_deref() == Some("parquet");
        Ok(Self {
            location: Location::new(&path, pattern, reach.files()),
            remote: is_remote.then_some(path),
            parquet,
            monitor_interval,
            split_bytes,
            compression: Compression::option(options)?,
            rolling,
            parquet_compression: match parquet {
                true => parquet::compression(options)?,
                false => ::parquet::basic::Compression::SNAPPY,
            },
        })
    }
}

impl Connector for FilesystemConnector {
    fn name(&self) -> &'static str {
        "filesystem"
    }

    fn metadata(&self) -> Vec<(&'static str, DataType)> {
        vec![
            ("file.path", DataType::Utf8),
            ("file.name", DataType::Utf8),
            ("file.size", DataType::Int64),
            ("file.modification-time", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))),
        ]
    }

    fn changes(&self, options: &BTreeMap<String, String>) -> SourceChanges {
        format::source_changes(options)
    }

    fn source(&self, mut options: Options, request: SourceRequest) -> Result<Arc<dyn Source>, ConnectorError> {
        let own = FileOptions::new(&mut options, &self.reach)?;
        if let Some(url) = &own.remote {
            return Err(ConnectorError::Unsupported {
                message: format!(
                    "table {}: 'path' = '{url}': files in object stores cannot be read yet",
                    options.table()
                ),
                hint: "copy them into a directory and read that; they can be written".into(),
            });
        }
        let content = match own.parquet {
            true => Content::Parquet { files: Mutex::new(HashMap::new()) },
            false => Content::Bytes { format: decoding(&mut options, &request)?, compression: own.compression },
        };
        let is_ordered = format::source_changes(options.values()) != SourceChanges::Inserts;
        options.finish()?;
        let watch = own.monitor_interval.map(|interval| (interval, Arc::new(Watch::new(interval))));
        let FileOptions { location, split_bytes, .. } = own;
        Ok(Arc::new(FileSource { request, location, content, split_bytes, watch, is_ordered }))
    }

    fn sink(&self, mut options: Options, request: SinkRequest) -> Result<Arc<dyn Sink>, ConnectorError> {
        let own = FileOptions::new(&mut options, &self.reach)?;
        if own.compression.is_some_and(|c| c != Compression::None) {
            let why = "is for reading only";
            return Err(options.bad("compression", &options.clone().text("compression").unwrap_or_default(), why));
        }
        let (encoding, extension) = match own.parquet {
            true => (sink::Encoding::Parquet(own.parquet_compression), "parquet".to_owned()),
            false => {
                let name = options.text("format").unwrap_or_default();
                let extension = name.rsplit('-').next().unwrap_or_default().to_owned();
                (encoding(&mut options, &request, &name)?, extension)
            }
        };
        options.finish()?;
        let target = match own.remote {
            Some(url) => sink::Target::Objects(url),
            None => sink::Target::Directory(own.location.path().into(), self.reach.files()),
        };
        Ok(Arc::new(sink::FileSink::new(target, extension, request, encoding, own.rolling)))
    }
}

fn decoding(options: &mut Options, request: &SourceRequest) -> Result<Arc<dyn format::BytesFormat>, ConnectorError> {
    format::decoding(options, request).map_err(with_parquet)
}

fn encoding(options: &mut Options, request: &SinkRequest, name: &str) -> Result<sink::Encoding, ConnectorError> {
    let key = request.key.as_deref().unwrap_or_default();
    let format = format::encoding(options, &request.schema, key).map_err(with_parquet)?;
    Ok(match format::sink_changes(name) {
        SinkChanges::Inserts => sink::Encoding::Rows(format),
        changes => sink::Encoding::Changes(format, changes),
    })
}

/// Files know one format more than streams of bytes do.
fn with_parquet(e: ConnectorError) -> ConnectorError {
    match e {
        ConnectorError::Option { message, hint } if hint.starts_with("formats are: ") => {
            ConnectorError::Option { message, hint: format!("{hint}, parquet") }
        }
        other => other,
    }
}
