//! `eddyline serve`: an instance for Postgres clients and HTTP, until Ctrl-C or SIGTERM.

use crate::args::ServeArgs;
use crate::exit::Exit;
use crate::follow::Reporter;
use crate::run::tokio_runtime;
use eddyline_engine::connectors::{Reach, ReachSettings};
use eddyline_engine::{DataSettings, Engine, EngineConfig, Entrance, Instance, Secret, machine_memory_bytes};
use eddyline_http::{Connections, HttpConfig};
use eddyline_server::{ConnectionCounts, ServerConfig, bind};
use eddyline_tls::Acceptor;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

/// How long answers that are on their way have when the server ends.
const LEAVE: Duration = Duration::from_millis(100);

/// Statements compute on their own stack, and an expression goes down as many calls as it is deep. Only what is used takes memory.
const STACK_BYTES: usize = 16 << 20;

/// Serves clients.
///
/// # Errors
/// The exit code, when it cannot begin; what happened has been told.
pub(crate) fn serve(args: &ServeArgs) -> Result<Exit, Exit> {
    // A statement that panics ends its connection; the others go on.
    drop(std::panic::take_hook());
    let told = |error: io::Error| {
        let _ = writeln!(io::stderr(), "cannot serve at {}: {error}", args.listen);
        Exit::Usage
    };
    more_files();
    // Statements wait on threads of their own, so that I/O of jobs never waits for them.
    let (jobs, clients) = (tokio_runtime().map_err(told)?, for_clients(args.max_connections).map_err(told)?);
    let mut config =
        EngineConfig { environment: std::env::vars().collect(), ..EngineConfig::new(jobs.handle().clone()) };
    config.shards = args.shards.unwrap_or(config.shards);
    config.query_memory = Some(args.query_memory.unwrap_or_else(|| machine_memory_bytes() / 4));
    let engine = Engine::new(config.within(reach(args).map_err(told)?));
    let instance = match &args.data_dir {
        Some(directory) => engine
            .open(DataSettings { with_jobs: true, ..DataSettings::new(directory) })
            .map_err(|e| Reporter::new(false, false).error(&e, None))?,
        None => engine.instance(),
    };
    if let Some(file) = root_password_file(args) {
        let set =
            read(&file).and_then(|text| instance.set_root_password(&first_line(&text)).map_err(|e| e.to_string()));
        set.map_err(|e| told(io::Error::other(format!("the password of root in {}: {e}", file.display()))))?;
    }
    let (sql_tls, http_tls) = (acceptor(args, "postgresql").map_err(told)?, acceptor(args, "http/1.1").map_err(told)?);
    let entrance = Entrance { is_insecure: args.insecure, asks_everyone: args.require_passwords };
    let shared = instance.clone();
    let served = clients.block_on(async {
        let config = ServerConfig {
            connections_max: args.max_connections,
            entrance,
            tls: sql_tls,
            traces_text: args.trace_text,
            ..ServerConfig::new(args.listen)
        };
        let bound = bind(shared.clone(), &config).await?;
        let http = match http_address(args, bound.address()?) {
            Some(listen) => Some(
                bind_http(
                    shared,
                    args,
                    HttpConfig { entrance, tls: http_tls, ..HttpConfig::new(listen) },
                    bound.connections(),
                )
                .await?,
            ),
            None => None,
        };
        let farewell = bound.farewell();
        let (mut interrupt, mut end) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        // Whoever has started it waits for these lines, which come at once.
        let mut lines = format!("listening at {}\n", bound.address()?);
        if let Some(http) = &http {
            let scheme = if args.tls_cert.is_some() { "https" } else { "http" };
            lines.push_str(&format!("http at {scheme}://{}\n", http.address()?));
        }
        io::stdout().write_all(lines.as_bytes())?;
        io::stdout().flush()?;
        let is_ready = http.as_ref().map(eddyline_http::Bound::readiness);
        if let Some(http) = http {
            tokio::spawn(http.serve());
        }
        tokio::select! {
            () = bound.serve() => {}
            _ = interrupt.recv() => {}
            _ = end.recv() => {}
        }
        if let Some(is_ready) = is_ready {
            is_ready.store(false, Ordering::Relaxed);
        }
        // From now on nothing is changed; what was changed and waits for the disk is acknowledged.
        let closed = instance.close();
        farewell.say();
        tokio::time::sleep(LEAVE).await;
        closed.map_err(io::Error::other)
    });
    clients.shutdown_background();
    jobs.shutdown_background();
    served.map(|()| Exit::Done).map_err(told)
}

/// Every connection is a file of the process: it may have as many as the system lets it. Where it does not, fewer clients are taken.
fn more_files() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, files = limit.current, "the number of open files cannot be raised");
    }
}

/// What statements may name outside of the engine.
fn reach(args: &ServeArgs) -> io::Result<Reach> {
    let (directories, urls) = (args.allow_files.clone(), args.allow_urls.clone());
    Reach::limited(&ReachSettings { directories, urls, addresses: args.allow_connect.clone() })
}

/// The file that has the password of root, if there is one.
fn root_password_file(args: &ServeArgs) -> Option<PathBuf> {
    let set = || std::env::var_os("EDDYLINE_ROOT_PASSWORD_FILE").filter(|file| !file.is_empty()).map(PathBuf::from);
    args.root_password_file.clone().or_else(set)
}

fn read(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|e| e.to_string())
}

/// Editors put an end of line behind what is typed.
fn first_line(text: &str) -> Secret {
    Secret(text.lines().next().unwrap_or_default().to_owned())
}

/// The certificate, for a port where `protocol` is spoken.
fn acceptor(args: &ServeArgs, protocol: &'static str) -> io::Result<Option<Acceptor>> {
    let (Some(certificates), Some(key)) = (&args.tls_cert, &args.tls_key) else { return Ok(None) };
    let read =
        |file: &Path| std::fs::read(file).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", file.display())));
    let acceptor = Acceptor::new(&read(certificates)?, &read(key)?, protocol);
    let unfit = |e| io::Error::other(format!("{} and {}: {e}", certificates.display(), key.display()));
    acceptor.map(Some).map_err(unfit)
}

/// Where HTTP is served; `None`: it is not.
fn http_address(args: &ServeArgs, sql: SocketAddr) -> Option<SocketAddr> {
    let beside = || {
        // Any port, where any was asked for.
        let port = if args.listen.port() == 0 { 0 } else { sql.port().checked_add(1).unwrap_or(0) };
        SocketAddr::new(args.listen.ip(), port)
    };
    (!args.no_http).then(|| args.http_listen.unwrap_or_else(beside))
}

async fn bind_http(
    instance: Instance,
    args: &ServeArgs,
    config: HttpConfig,
    sql: ConnectionCounts,
) -> io::Result<eddyline_http::Bound> {
    let connections = move || Connections { open: sql.open(), accepted: sql.accepted(), refused: sql.refused() };
    let config = HttpConfig { hosts: args.http_host.clone(), connections: Arc::new(connections), ..config };
    let listen = config.listen;
    let refused = |e: io::Error| io::Error::new(e.kind(), format!("HTTP at {listen}: {e}"));
    eddyline_http::bind(instance, &config).await.map_err(refused)
}

fn for_clients(connections_max: usize) -> io::Result<Runtime> {
    let threads_max = connections_max.max(1);
    Builder::new_multi_thread()
        .thread_name("eddyline-client")
        .max_blocking_threads(threads_max)
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
}
