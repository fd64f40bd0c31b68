//! `eddyline serve`: an instance for Postgres clients and HTTP, until Ctrl-C or SIGTERM.

use crate::args::ServeArgs;
use crate::exit::Exit;
use crate::follow::Reporter;
use crate::run::tokio_runtime;
use eddyline_engine::{DataSettings, Engine, EngineConfig, Instance};
use eddyline_http::{Connections, HttpConfig};
use eddyline_server::{ConnectionCounts, ServerConfig, bind};
use std::io::{self, Write};
use std::net::SocketAddr;
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
    // Statements wait on threads of their own, so that I/O of jobs never waits for them.
    let (jobs, clients) = (tokio_runtime().map_err(told)?, for_clients(args.max_connections).map_err(told)?);
    let mut config =
        EngineConfig { environment: std::env::vars().collect(), ..EngineConfig::new(jobs.handle().clone()) };
    config.shards = args.shards.unwrap_or(config.shards);
    let engine = Engine::new(config);
    let instance = match &args.data_dir {
        Some(directory) => engine
            .open(DataSettings { with_jobs: true, ..DataSettings::new(directory) })
            .map_err(|e| Reporter::new(false, false).error(&e, None))?,
        None => engine.instance(),
    };
    let shared = instance.clone();
    let served = clients.block_on(async {
        let config = ServerConfig {
            connections_max: args.max_connections,
            is_insecure: args.insecure,
            ..ServerConfig::new(args.listen)
        };
        let bound = bind(shared.clone(), &config).await?;
        let http = match http_address(args, bound.address()?) {
            Some(listen) => Some(bind_http(shared, args, listen, bound.connections()).await?),
            None => None,
        };
        let (mut interrupt, mut end) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        // Whoever has started it waits for these lines, which come at once.
        let mut lines = format!("listening at {}\n", bound.address()?);
        if let Some(http) = &http {
            lines.push_str(&format!("http at http://{}\n", http.address()?));
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
        tokio::time::sleep(LEAVE).await;
        closed.map_err(io::Error::other)
    });
    clients.shutdown_background();
    jobs.shutdown_background();
    served.map(|()| Exit::Done).map_err(told)
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
    listen: SocketAddr,
    sql: ConnectionCounts,
) -> io::Result<eddyline_http::Bound> {
    let connections = move || Connections { open: sql.open(), accepted: sql.accepted(), refused: sql.refused() };
    let config = HttpConfig {
        is_insecure: args.insecure,
        hosts: args.http_host.clone(),
        connections: Arc::new(connections),
        ..HttpConfig::new(listen)
    };
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
