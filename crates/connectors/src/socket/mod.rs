//! `'connector' = 'socket'`: lines from a TCP server that this side connects to. For trying things out.
//!
//! A record can be read as soon as its delimiter has come. The end of the connection ends the table; nothing is read
//! twice and nothing is replayed: after a restart reading begins with what the server sends then.

#[cfg(test)]
mod tests;

use crate::format::{self, BytesFormat, Place};
use crate::{
    Boundedness, Connector, ConnectorError, Decoder, Options, Payload, Position, RawBlock, Reach, Rim, Source,
    SourceChanges, SourceRequest, Split, SplitReader,
};
use bytes::{Bytes, BytesMut};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// A record longer than this is taken for something else than a record.
const RECORD_BYTES_MAX: usize = 64 << 20;

/// Pieces that are received ahead of the one that is decoded.
const AHEAD: usize = 4;

/// Makes sources of lines from a server.
pub(crate) struct SocketConnector {
    /// What it may connect to.
    pub(crate) reach: Reach,
}

impl Connector for SocketConnector {
    fn name(&self) -> &'static str {
        "socket"
    }

    fn changes(&self, options: &BTreeMap<String, String>) -> SourceChanges {
        format::source_changes(options)
    }

    fn source(&self, mut options: Options, request: SourceRequest) -> Result<Arc<dyn Source>, ConnectorError> {
        let host = options.required("hostname")?;
        let port_text = options.required("port")?;
        let port: u16 = port_text.parse().map_err(|_| options.bad("port", &port_text, "is no port number"))?;
        self.reach.check_address(&host, port)?;
        let delimiter = options.parsed::<u8>("byte-delimiter")?.unwrap_or(b'\n');
        let format = format::decoding(&mut options, &request)?;
        options.finish()?;
        Ok(Arc::new(SocketSource { host, port, delimiter, format }))
    }
}

struct SocketSource {
    host: String,
    port: u16,
    delimiter: u8,
    format: Arc<dyn BytesFormat>,
}

impl SocketSource {
    fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl Source for SocketSource {
    fn boundedness(&self) -> Boundedness {
        Boundedness::Unbounded
    }

    fn is_repeatable(&self) -> bool {
        false
    }

    fn splits(&self, _: usize) -> Result<Vec<Split>, ConnectorError> {
        Ok(vec![Split { id: self.address(), range: 0..u64::MAX }])
    }

    fn open(&self, _: &Split, from: Position, rim: &Rim) -> Result<Box<dyn SplitReader>, ConnectorError> {
        let (out, pieces) = mpsc::channel(AHEAD);
        let address = (self.host.clone(), self.port);
        let (delimiter, format) = (self.delimiter, self.format.clone());
        rim.tokio.spawn(async move {
            let ended = receive(address, delimiter, &*format, &out).await;
            // Fails when the reader is gone, which is no matter.
            let _ = out.send(ended.map(|()| None)).await;
        });
        Ok(Box::new(SocketReader { address: self.address(), pieces, position: from, ended: false }))
    }

    fn decoder(&self, _: &Split) -> Result<Box<dyn Decoder>, ConnectorError> {
        self.format.decoder(Place::new(self.address()))
    }
}

type Piece = io::Result<Option<Bytes>>;

/// Sends whole records, as many as have come, until the connection ends or nobody wants them.
async fn receive(
    address: (String, u16),
    delimiter: u8,
    format: &dyn BytesFormat,
    out: &mpsc::Sender<Piece>,
) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let mut rest = BytesMut::new();
    loop {
        let begun = rest.len();
        rest.reserve(64 * 1024);
        let read = tokio::select! {
            read = stream.read_buf(&mut rest) => read?,
            () = out.closed() => return Ok(()),
        };
        if delimiter != b'\n' {
            into_lines(&mut rest[begun..], delimiter)?;
        }
        let cut = match read {
            0 => Some(rest.len()),
            _ => format.record_end(&rest),
        };
        if let Some(cut) = cut.filter(|cut| *cut > 0)
            && out.send(Ok(Some(rest.split_to(cut).freeze()))).await.is_err()
        {
            return Ok(());
        }
        if read == 0 {
            return Ok(());
        }
        if rest.len() > RECORD_BYTES_MAX {
            let text = format!("a record is longer than {RECORD_BYTES_MAX} bytes; is 'byte-delimiter' right?");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
    }
}

/// Formats know lines: the delimiter becomes a newline, and a newline has no place within a record.
fn into_lines(bytes: &mut [u8], delimiter: u8) -> io::Result<()> {
    for byte in bytes {
        match *byte {
            b'\n' => {
                let text = format!("a record holds a newline though 'byte-delimiter' is {delimiter}");
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            b if b == delimiter => *byte = b'\n',
            _ => {}
        }
    }
    Ok(())
}

struct SocketReader {
    address: String,
    pieces: mpsc::Receiver<Piece>,
    position: Position,
    ended: bool,
}

impl SplitReader for SocketReader {
    fn poll_block(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<RawBlock>, ConnectorError>> {
        if self.ended {
            return Poll::Ready(Ok(None));
        }
        let Poll::Ready(received) = self.pieces.poll_recv(cx) else { return Poll::Pending };
        let piece = received.unwrap_or_else(|| Err(io::Error::other("receiving was given up")));
        let piece = piece.map_err(|source| ConnectorError::Io { place: self.address.clone(), source })?;
        let Some(bytes) = piece else {
            self.ended = true;
            return Poll::Ready(Ok(None));
        };
        let start = self.position;
        self.position.0 += bytes.len() as u64;
        Poll::Ready(Ok(Some(RawBlock { payload: Payload::Bytes(bytes), start, end: self.position })))
    }
}
