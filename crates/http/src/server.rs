//! The port, and who is connected.

use crate::guard::{Hosts, guard};
use crate::identity::{Identity, Peer, identify};
use crate::metrics::{Connections, Requests};
use crate::routes::{Shared, router};
use axum::middleware::from_fn_with_state;
use axum::{Extension, Router};
use eddyline_engine::Instance;
use eddyline_tls::Acceptor;
use eddyline_users::Entrance;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Time for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of the head of a request.
const HEAD_BYTES: usize = 32 << 10;

/// What a server is to do.
#[derive(Clone)]
pub struct HttpConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Who comes in unasked.
    pub entrance: Entrance,
    /// The certificate; `None`: nothing is encrypted.
    pub tls: Option<Acceptor>,
    /// Names that it is known by, beside addresses and `localhost`.
    pub hosts: Vec<String>,
    /// How many may be connected at once.
    pub connections_max: usize,
    /// Counts connections of other protocols, for `/metrics`.
    pub connections: Arc<dyn Fn() -> Connections + Send + Sync>,
}

impl HttpConfig {
    /// Listens at an address, with the usual limits.
    pub fn new(listen: SocketAddr) -> Self {
        let connections = Arc::new(Connections::default);
        let (entrance, tls) = (Entrance::default(), None);
        Self { listen, entrance, tls, hosts: Vec::new(), connections_max: 256, connections }
    }
}

/// A server that has its port and serves nobody yet.
pub struct Bound {
    listener: TcpListener,
    router: Router,
    tls: Option<Acceptor>,
    entrance: Entrance,
    places: Arc<Semaphore>,
    requests: Requests,
    is_ready: Arc<AtomicBool>,
}

/// Takes the port.
///
/// # Errors
/// The entrance does not allow the address, or it is taken.
pub async fn bind(instance: Instance, config: &HttpConfig) -> io::Result<Bound> {
    let allowed = config.entrance.check(config.listen.ip(), config.tls.is_some(), &instance.users());
    allowed.map_err(|e| io::Error::new(io::ErrorKind::PermissionDenied, e))?;
    let listener = TcpListener::bind(config.listen).await?;
    let (requests, is_ready) = (Requests::default(), Arc::new(AtomicBool::new(false)));
    let identity = Identity { instance: instance.clone(), entrance: config.entrance };
    let shared = Shared::new(instance, config.connections.clone(), requests.clone(), is_ready.clone());
    let hosts = Hosts::new(&config.hosts, config.tls.is_some());
    let router = router(shared).layer(from_fn_with_state(identity, identify)).layer(from_fn_with_state(hosts, guard));
    let places = Arc::new(Semaphore::new(config.connections_max));
    let (tls, entrance) = (config.tls.clone(), config.entrance);
    Ok(Bound { listener, router, tls, entrance, places, requests, is_ready })
}

impl Bound {
    /// Where it listens.
    ///
    /// # Errors
    /// The system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Tells `/ready` whether the server takes work: set when all its ports are served, taken back when it ends.
    pub fn readiness(&self) -> Arc<AtomicBool> {
        self.is_ready.clone()
    }

    /// Serves clients for as long as it is polled.
    pub async fn serve(self) {
        self.is_ready.store(true, Ordering::Relaxed);
        loop {
            match self.listener.accept().await {
                Ok((socket, _)) => self.take(socket),
                Err(error) => {
                    // No sockets left, most likely: others may end.
                    tracing::warn!(%error, "a connection cannot be taken");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn take(&self, socket: TcpStream) {
        // Who is one too many is hung up on.
        let Ok(place) = self.places.clone().try_acquire_owned() else { return self.requests.refused() };
        let (router, tls, entrance) = (self.router.clone(), self.tls.clone(), self.entrance);
        tokio::spawn(async move {
            if let Err(error) = serve(router, tls, entrance, socket).await {
                tracing::debug!(error, "a connection has failed");
            }
            drop(place);
        });
    }
}

/// Serves a connection to its end.
async fn serve(
    router: Router,
    tls: Option<Acceptor>,
    entrance: Entrance,
    socket: TcpStream,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let peer = socket.peer_addr()?.ip();
    let service = TowerToHyperService::new(router.layer(Extension(Peer(peer))));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_BYTES);
    match tls {
        Some(tls) => {
            let socket = tokio::time::timeout(HEAD_TIMEOUT, tls.accept(socket)).await??;
            Ok(http.serve_connection(TokioIo::new(socket), service).await?)
        }
        // Where it listens to more than this machine without a certificate, it is insecure, and takes it.
        None if entrance.takes_plain(peer) => Ok(http.serve_connection(TokioIo::new(socket), service).await?),
        None => Ok(()),
    }
}
