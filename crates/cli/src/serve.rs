//! `eddyline serve`: an instance for Postgres clients, until Ctrl-C or SIGTERM.

use crate::args::ServeArgs;
use crate::exit::Exit;
use crate::follow::Reporter;
use crate::run::tokio_runtime;
use eddyline_engine::{DataSettings, Engine, EngineConfig};
use eddyline_server::{ServerConfig, bind};
use std::io::{self, Write};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

/// How long answers that are on their way have when the server ends.
const LEAVE: Duration = Duration::from_millis(100);

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
        let config = ServerConfig { connections_max: args.max_connections, ..ServerConfig::new(args.listen) };
        let bound = bind(shared, &config).await?;
        let (mut interrupt, mut end) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        // Whoever has started it waits for this line.
        writeln!(io::stdout(), "listening at {}", bound.address()?)?;
        io::stdout().flush()?;
        tokio::select! {
            () = bound.serve() => {}
            _ = interrupt.recv() => {}
            _ = end.recv() => {}
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

fn for_clients(connections_max: usize) -> io::Result<Runtime> {
    let threads_max = connections_max.max(1);
    Builder::new_multi_thread().thread_name("eddyline-client").max_blocking_threads(threads_max).enable_all().build()
}
