//! Compressed files, decompressed while they are read.

use crate::{ConnectorError, Options};
use std::io::{self, Read};

/// A file that unpacks to more than this many times its size is taken for an attack; logs reach some hundreds.
const RATIO_MAX: u64 = 4096;

/// Below this size no ratio is suspicious.
const HARMLESS_BYTES: u64 = 1 << 30;

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
    Deflate,
}

impl Compression {
    /// The option `compression`; `None`: by the file's extension.
    pub(super) fn option(options: &mut Options) -> Result<Option<Self>, ConnectorError> {
        Ok(match options.text("compression").as_deref() {
            None | Some("auto") => None,
            Some("none") => Some(Self::None),
            Some("gzip") => Some(Self::Gzip),
            Some("zstd") => Some(Self::Zstd),
            Some("deflate") => Some(Self::Deflate),
            Some(other) => {
                return Err(options.bad("compression", other, "is none of auto, none, gzip, zstd, deflate"));
            }
        })
    }

    /// What the extension of `path` says.
    pub(super) fn of(path: &str) -> Self {
        match path.rsplit('.').next() {
            Some("gz" | "gzip") => Self::Gzip,
            Some("zst" | "zstd") => Self::Zstd,
            Some("deflate") => Self::Deflate,
            _ => Self::None,
        }
    }

    /// The content of a file of `size_bytes`.
    ///
    /// # Errors
    /// No decompressor can be made. Reading fails where the content is broken or unpacks to more than is plausible.
    pub(super) fn reader(self, file: impl Read + Send + 'static, size_bytes: u64) -> io::Result<Box<dyn Read + Send>> {
        let buffered = |file| io::BufReader::with_capacity(64 * 1024, file);
        let content: Box<dyn Read + Send> = match self {
            Self::None => return Ok(Box::new(file)),
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(buffered(file))),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(buffered(file))?),
            Self::Deflate => Box::new(flate2::bufread::ZlibDecoder::new(buffered(file))),
        };
        let left = size_bytes.saturating_mul(RATIO_MAX).max(HARMLESS_BYTES);
        Ok(Box::new(Capped { content, left }))
    }
}

struct Capped {
    content: Box<dyn Read + Send>,
    left: u64,
}

impl Read for Capped {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(out)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            let message =
                format!("unpacks to more than {RATIO_MAX} times its size; unpack it beforehand if that is meant");
            io::Error::new(io::ErrorKind::InvalidData, message)
        })?;
        Ok(read)
    }
}
