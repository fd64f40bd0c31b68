//! Encrypted connections: the certificate of a server, and whom a client trusts.
//!
//! TLS 1.2 and 1.3 as rustls speaks them. [`Acceptor`] is a server's end, [`Connector`] a client's. Not here: files, ports, protocols within.

mod binding;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring::default_provider};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A server's end of an encrypted connection.
pub type ServerStream = tokio_rustls::server::TlsStream<TcpStream>;
/// A client's end of an encrypted connection.
pub type ClientStream = tokio_rustls::client::TlsStream<TcpStream>;

/// What is wrong with a certificate or a key. Keys are not repeated.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// No certificate in the text.
    #[error("there is no certificate in it: it is to be PEM, the server's own first")]
    NoCertificate,
    /// No key in the text.
    #[error("there is no private key in it: it is to be PEM, without a passphrase")]
    NoKey,
    /// They are not understood, or do not go together.
    #[error("certificate and key: {0}")]
    Unfit(#[source] Error),
    /// The system knows of no authority.
    #[error("the system's certificate authorities cannot be read: {0}")]
    NoAuthorities(String),
}

/// A server's certificate.
#[derive(Clone)]
pub struct Acceptor {
    acceptor: TlsAcceptor,
    /// The protocol that is spoken within, as clients may name it.
    protocol: &'static str,
    end_point: Option<Arc<[u8]>>,
}

impl Acceptor {
    /// Of a certificate, with those that vouch for it behind it, and its key, both as PEM. `protocol` is what is spoken within
    /// (ALPN): a client that wants others alone is turned away.
    ///
    /// # Errors
    /// They do not read, or do not go together.
    pub fn new(certificates: &[u8], key: &[u8], protocol: &'static str) -> Result<Self, TlsError> {
        let chain = read_certificates(certificates)?;
        let end_point = chain.first().and_then(|own| binding::end_point(own)).map(Arc::from);
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::NoKey)?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key));
        let mut config = config.map_err(TlsError::Unfit)?;
        config.alpn_protocols = vec![protocol.into()];
        Ok(Self { acceptor: Arc::new(config).into(), protocol, end_point })
    }

    /// Begins to encrypt.
    ///
    /// # Errors
    /// The other end does not, or the connection breaks.
    pub async fn accept(&self, socket: TcpStream) -> io::Result<ServerStream> {
        self.acceptor.accept(socket).await
    }

    /// Has the client named the protocol that is spoken within?
    pub fn is_named(&self, stream: &ServerStream) -> bool {
        stream.get_ref().1.alpn_protocol() == Some(self.protocol.as_bytes())
    }

    /// What binds an exchange within to this certificate (RFC 5929, `tls-server-end-point`): its hash. `None`: its kind has no such.
    pub fn end_point(&self) -> Option<&[u8]> {
        self.end_point.as_deref()
    }
}

/// Whom a client trusts.
#[derive(Clone)]
pub struct Connector(TlsConnector);

impl Connector {
    /// Trusts what these authorities have signed, which are PEM; `None`: those of the system. `protocol` is what is to be spoken within.
    ///
    /// # Errors
    /// They do not read.
    pub fn new(authorities: Option<&[u8]>, protocol: &'static str) -> Result<Self, TlsError> {
        let authorities = match authorities {
            Some(pem) => read_certificates(pem)?,
            None => {
                let found = rustls_native_certs::load_native_certs();
                if let ([], [error, ..]) = (&found.certs[..], &found.errors[..]) {
                    return Err(TlsError::NoAuthorities(error.to_string()));
                }
                found.certs
            }
        };
        let mut roots = RootCertStore::empty();
        // Systems have some that are out of use; without any, nothing is trusted.
        roots.add_parsable_certificates(authorities);
        let config = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let mut config = config.map_err(TlsError::Unfit)?.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![protocol.into()];
        Ok(Self(Arc::new(config).into()))
    }

    /// Begins to encrypt, and makes sure that the other end is `host`.
    ///
    /// # Errors
    /// It is not, or the connection breaks.
    pub async fn connect(&self, host: &str, socket: TcpStream) -> io::Result<ClientStream> {
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
        self.0.connect(name.map_err(io::Error::other)?, socket).await
    }
}

/// What is to be done where [`Connector::connect`] does not trust the other end; `None`: it failed for another reason.
pub fn advice(error: &io::Error) -> Option<&'static str> {
    let Some(Error::InvalidCertificate(why)) = error.get_ref()?.downcast_ref::<Error>() else { return None };
    Some(match why {
        CertificateError::UnknownIssuer => "name the authority that has signed the server's certificate",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "connect by a name that the server's certificate is for"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "the server needs a new certificate",
        // The verifier has no word of its own for it.
        CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "the server's certificate is that of an authority, which vouches for others alone: have it sign one for the server, and trust the authority"
        }
        _ => "the server needs another certificate",
    })
}

fn read_certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    read.ok().filter(|chain| !chain.is_empty()).ok_or(TlsError::NoCertificate)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(default_provider())
}
