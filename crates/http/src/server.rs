//! The port, and who is connected.

use crate::guard::{Hosts, guard};
use crate::metrics::{Connections, Requests};
use crate::routes::{Shared, router};
use axum::Router;
use axum::middleware::from_fn_with_state;
use eddyline_engine::Instance;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
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
    /// Listens also where other machines reach it: nobody is asked who they are.
    pub is_insecure: bool,
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
        Self { listen, is_insecure: false, hosts: Vec::new(), connections_max: 256, connections }
    }
}

/// A server that has its port and serves nobody yet.
pub struct Bound {
    listener: TcpListener,
    router: Router,
    places: Arc<Semaphore>,
    requests: Requests,
    is_ready: Arc<AtomicBool>,
}

/// Takes the port.
///
/// # Errors
/// The address is not of this machine alone, or is taken.
pub async fn bind(instance: Instance, config: &HttpConfig) -> io::Result<Bound> {
    if !config.listen.ip().is_loopback() && !config.is_insecure {
        let message = "it is reached from other machines, and nobody is asked who they are; listen at 127.0.0.1, or say --insecure";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    let listener = TcpListener::bind(config.listen).await?;
    let (requests, is_ready) = (Requests::default(), Arc::new(AtomicBool::new(false)));
    let shared = Shared::new(instance, config.connections.clone(), requests.clone(), is_ready.clone());
    let router = router(shared).layer(from_fn_with_state(Hosts::new(&config.hosts), guard));
    let places = Arc::new(Semaphore::new(config.connections_max));
    Ok(Bound { listener, router, places, requests, is_ready })
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
        let service = TowerToHyperService::new(self.router.clone());
        tokio::spawn(async move {
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_BYTES);
            if let Err(error) = http.serve_connection(TokioIo::new(socket), service).await {
                tracing::debug!(%error, "a connection has failed");
            }
            drop(place);
        });
    }
}
