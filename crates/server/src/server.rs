//! What connections share: the instance, who is there, and what cancels them.

use crate::{connection, duplex};
use eddyline_engine::{Canceller, Connected, Dialect, Instance, Session, SqlError};
use eddyline_tls::Acceptor;
use eddyline_users::{Entrance, Users};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};

/// What a server is to do.
#[derive(Clone)]
pub struct ServerConfig {
    /// Where to listen. Where other machines reach it, the entrance must allow it.
    pub listen: SocketAddr,
    /// Who comes in unasked.
    pub entrance: Entrance,
    /// The certificate; `None`: nothing is encrypted.
    pub tls: Option<Acceptor>,
    /// How many may be connected at once.
    pub connections_max: usize,
    /// How often a client that waits is told how far its statement is, and it is asked whether one is still there whose messages nobody reads for the time.
    pub attention: Duration,
    /// Traces tell the texts of statements, and messages of errors, which may hold secrets.
    pub traces_text: bool,
}

impl ServerConfig {
    /// Listens at an address, with the usual limits.
    pub fn new(listen: SocketAddr) -> Self {
        let (entrance, tls) = (Entrance::default(), None);
        let (connections_max, attention) = (crate::limits::CONNECTIONS, crate::limits::ATTENTION);
        Self { listen, entrance, tls, connections_max, attention, traces_text: false }
    }
}

/// A server that has its port and serves nobody yet.
pub struct Bound {
    listener: TcpListener,
    server: Arc<Server>,
}

/// See the module's page.
pub(crate) struct Server {
    instance: Instance,
    pub(crate) entrance: Entrance,
    pub(crate) tls: Option<Acceptor>,
    tokio: Handle,
    connections_max: usize,
    pub(crate) attention: Duration,
    pub(crate) traces_text: bool,
    strangers: Arc<Semaphore>,
    processes: AtomicU32,
    chance: RandomState,
    clients: Mutex<HashMap<u32, Client>>,
    accepted: AtomicU64,
    refused: AtomicU64,
    /// The server ends.
    ends: watch::Sender<bool>,
}

/// Tells clients that the server ends.
pub struct Farewell(Arc<Server>);

impl Farewell {
    /// Cancels what clients are at, and hangs up on them, who are told why (57P01). It happens in the background.
    pub fn say(&self) {
        self.0.ends.send_replace(true);
    }
}

/// How many clients a server has, and has had.
#[derive(Clone)]
pub struct ConnectionCounts(Arc<Server>);

impl ConnectionCounts {
    /// Who is connected now.
    pub fn open(&self) -> u64 {
        self.0.clients().len() as u64
    }

    /// How many were taken.
    pub fn accepted(&self) -> u64 {
        self.0.accepted.load(Ordering::Relaxed)
    }

    /// How many were turned away because there were too many.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }
}

struct Client {
    secret: u32,
    /// Empty before it is known.
    user: String,
    /// `None` before it has a session.
    canceller: Option<Canceller>,
}

/// The place of a connection, given back when it ends.
pub(crate) struct Place {
    server: Arc<Server>,
    pub(crate) process: u32,
    pub(crate) secret: u32,
}

/// Takes the port.
///
/// # Errors
/// The entrance does not allow the address, or it is taken.
pub async fn bind(instance: Instance, config: &ServerConfig) -> io::Result<Bound> {
    let allowed = config.entrance.check(config.listen.ip(), config.tls.is_some(), &instance.users());
    allowed.map_err(|e| io::Error::new(io::ErrorKind::PermissionDenied, e))?;
    let listener = TcpListener::bind(config.listen).await?;
    let server = Server {
        instance,
        entrance: config.entrance,
        tls: config.tls.clone(),
        tokio: Handle::current(),
        connections_max: config.connections_max,
        attention: config.attention,
        traces_text: config.traces_text,
        strangers: Arc::new(Semaphore::new(crate::limits::STRANGERS)),
        processes: AtomicU32::new(1),
        chance: RandomState::new(),
        clients: Mutex::default(),
        accepted: AtomicU64::new(0),
        refused: AtomicU64::new(0),
        ends: watch::Sender::new(false),
    };
    Ok(Bound { listener, server: Arc::new(server) })
}

impl Bound {
    /// Where it listens.
    ///
    /// # Errors
    /// The system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// How many clients it has, for whoever measures.
    pub fn connections(&self) -> ConnectionCounts {
        ConnectionCounts(self.server.clone())
    }

    /// For whoever ends it.
    pub fn farewell(&self) -> Farewell {
        Farewell(self.server.clone())
    }

    /// Serves clients for as long as it is polled.
    pub async fn serve(self) {
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
        let server = self.server.clone();
        // Who is one too many, and not known yet, is hung up on.
        let Ok(unknown) = server.strangers.clone().try_acquire_owned() else {
            server.refused.fetch_add(1, Ordering::Relaxed);
            return;
        };
        tokio::spawn(async move {
            let served = match duplex::prepare(&socket) {
                Ok(()) => connection::serve(server, socket, unknown).await,
                Err(error) => Err(error),
            };
            if let Err(error) = served {
                tracing::debug!(%error, "a connection has failed");
            }
        });
    }
}

impl Server {
    /// A user's session in a database, and what says that somebody is there.
    ///
    /// # Errors
    /// There is no such database.
    pub(crate) fn session(&self, user: &str, database: &str) -> Result<(Session, Connected), SqlError> {
        let (instance, connected) = self.instance.connect(database)?;
        let mut session = instance.session().of_user(user);
        let dialect = session.settings_mut().set("sql.dialect", Dialect::Postgres.name());
        debug_assert!(dialect.is_ok(), "the dialect is known");
        session.settings_mut().keep();
        Ok((session, connected))
    }

    /// Who may connect.
    pub(crate) fn users(&self) -> Arc<Users> {
        self.instance.users()
    }

    /// Learns that the server ends.
    pub(crate) fn end(&self) -> watch::Receiver<bool> {
        self.ends.subscribe()
    }

    pub(crate) fn tokio(&self) -> &Handle {
        &self.tokio
    }

    /// A place for a connection, if one is left.
    pub(crate) fn take_place(self: &Arc<Self>) -> Option<Place> {
        let mut clients = self.clients();
        if clients.len() >= self.connections_max {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        self.accepted.fetch_add(1, Ordering::Relaxed);
        let process = self.processes.fetch_add(1, Ordering::Relaxed);
        let secret = self.chance.hash_one(process) as u32;
        clients.insert(process, Client { secret, user: String::new(), canceller: None });
        Some(Place { server: self.clone(), process, secret })
    }

    /// The place is this user's from now on. False: the user has as many as there may be.
    pub(crate) fn seat(&self, place: &Place, user: &str) -> bool {
        let connections_max = self.users().user(user).and_then(|user| user.connections_max);
        let mut clients = self.clients();
        let has = || clients.values().filter(|client| client.user == user).count();
        if connections_max.is_some_and(|max| has() >= max as usize) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        if let Some(client) = clients.get_mut(&place.process) {
            user.clone_into(&mut client.user);
        }
        true
    }

    /// From now on the connection's statements can be cancelled.
    pub(crate) fn admit(&self, place: &Place, canceller: Canceller) {
        if let Some(client) = self.clients().get_mut(&place.process) {
            client.canceller = Some(canceller);
        }
    }

    /// Cancels what a connection is at, for who knows its secret.
    pub(crate) fn cancel(&self, process: u32, secret: u32) {
        let canceller = match self.clients().get(&process) {
            Some(client) if client.secret == secret => client.canceller.clone(),
            _ => None,
        };
        if let Some(canceller) = canceller {
            canceller.cancel();
        }
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<u32, Client>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.server.clients().remove(&self.process);
    }
}
