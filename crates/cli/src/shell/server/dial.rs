//! How a server is reached.

use super::CONNECTION;
use eddyline_engine::SqlError;
use eddyline_tls::Connector;
use std::net::IpAddr;
use std::path::Path;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// The port of a server that is named without one.
const PORT: &str = "4566";
/// What asks a server to encrypt: the length of the message, and the number that stands for it.
const ASKS_FOR_TLS: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Bytes both ways.
pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Socket for T {}

/// Where a server is, and whom to trust.
pub(crate) struct Address {
    host: String,
    authority: String,
    /// It is to encrypt.
    tls: Option<Connector>,
}

impl Address {
    /// Of `host[:port]`. What goes to another machine, or where somebody says whom to trust, is encrypted.
    ///
    /// # Errors
    /// Authorities that do not read.
    pub(crate) fn new(server: &str, authorities: Option<&Path>) -> Result<Self, SqlError> {
        let (host, authority) = split(server);
        let invalid = |why: String| SqlError::new(SqlError::INVALID_PARAMETER, why);
        let read = |file: &Path| std::fs::read(file).map_err(|e| invalid(format!("{}: {e}", file.display())));
        let trusted = authorities.map(read).transpose()?;
        let tls = match trusted.is_some() || !is_here(&host) {
            true => Some(Connector::new(trusted.as_deref(), "postgresql").map_err(|e| match authorities {
                Some(file) => invalid(format!("{}: {e}", file.display())),
                None => invalid(e.to_string()),
            })?),
            false => None,
        };
        Ok(Self { host, authority, tls })
    }

    /// Connects, and encrypts where it is to.
    ///
    /// # Errors
    /// Nobody answers; the other end does not encrypt, or is not trusted.
    pub(super) async fn dial(&self) -> Result<Box<dyn Socket>, SqlError> {
        let broken = |e: std::io::Error| SqlError::new(CONNECTION, format!("{}: {e}", self.authority));
        let mut socket = TcpStream::connect(&self.authority).await.map_err(|e| {
            SqlError::new("08001", format!("no server answers at {}: {e}", self.authority))
                .with_hint("`eddyline serve` prints where it listens")
        })?;
        let Some(tls) = &self.tls else { return Ok(Box::new(socket)) };
        socket.write_all(&ASKS_FOR_TLS).await.map_err(broken)?;
        match socket.read_u8().await.map_err(broken)? {
            b'S' => Ok(Box::new(tls.connect(&self.host, socket).await.map_err(broken)?)),
            _ => Err(SqlError::new(CONNECTION, format!("{} does not encrypt", self.authority)).with_hint(
                "`eddyline serve` wants --tls-cert and --tls-key; or reach it by an address of this machine",
            )),
        }
    }
}

/// The host alone, and with its port.
fn split(server: &str) -> (String, String) {
    match server.rsplit_once(':') {
        // The colons of an address of version 6 stand in brackets where a port follows.
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && !is_bare(host) => {
            (host.trim_matches(['[', ']']).to_owned(), server.to_owned())
        }
        _ => {
            let host = server.trim_matches(['[', ']']);
            let written = if is_bare(host) { format!("[{host}]") } else { host.to_owned() };
            (host.to_owned(), format!("{written}:{PORT}"))
        }
    }
}

fn is_bare(host: &str) -> bool {
    host.contains(':') && !host.starts_with('[')
}

/// Is it this machine?
fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports() {
        for (server, host, authority) in [
            ("127.0.0.1:7000", "127.0.0.1", "127.0.0.1:7000"),
            ("db.example.org", "db.example.org", "db.example.org:4566"),
            ("[::1]:7000", "::1", "[::1]:7000"),
            ("::1", "::1", "[::1]:4566"),
        ] {
            assert_eq!(split(server), (host.to_owned(), authority.to_owned()), "{server}");
        }
        assert!(is_here("localhost") && is_here("::1") && !is_here("db.example.org"));
    }
}
