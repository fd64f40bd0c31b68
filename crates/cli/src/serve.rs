//! `eddyline serve`: an instance for Postgres clients, until Ctrl-C or SIGTERM.

use crate::args::ServeArgs;
use crate::exit::Exit;
use crate::run::tokio_runtime;
use eddyline_engine::{Engine, EngineConfig};
use eddyline_server::{ServerConfig, bind};
use std::io::{self, Write};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

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
    let instance = Engine::new(config).instance();
    let served = clients.block_on(async {
        let config = ServerConfig { connections_max: args.max_connections, ..ServerConfig::new(args.listen) };
        let bound = bind(instance, &config).await?;
        let (mut interrupt, mut end) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        // Whoever has started it waits for this line.
        writeln!(io::stdout(), "listening at {}", bound.address()?)?;
        io::stdout().flush()?;
        tokio::select! {
            () = bound.serve() => {}
            _ = interrupt.recv() => {}
            _ = end.recv() => {}
        }
        Ok(())
    });
    clients.shutdown_background();
    jobs.shutdown_background();
    served.map(|()| Exit::Done).map_err(told)
}

fn for_clients(connections_max: usize) -> io::Result<Runtime> {
    let threads_max = connections_max.max(1);
    Builder::new_multi_thread().thread_name("eddyline-client").max_blocking_threads(threads_max).enable_all().build()
}
