//! The binary `eddyline`: arguments in, exit code out.
//!
//! | module | holds |
//! |---|---|
//! | [`args`] | what can be typed |
//! | [`run`] | `eddyline run`: a script |
//! | [`shell`] | `eddyline sql`: a prompt, statements, commands, results that change |
//! | [`serve`] | `eddyline serve`: Postgres clients |
//! | [`follow`] | a job: its result, its progress, Ctrl-C, the summary |
//! | [`output`] | results as table, changelog, CSV, JSON |
//! | [`bench`] | `eddyline bench nexmark` |
//! | [`control`] | `eddyline savepoint`, `eddyline stop`, and the other end of them |
//! | [`state`] | `eddyline state`: checkpoints, looked at from outside |
//!
//! Exit codes: 0, 1 a job failed, 2 bad SQL or usage. Not here: anything that a library user would want.

mod args;
mod bench;
mod control;
mod exit;
mod follow;
mod output;
mod run;
mod serve;
mod shell;
mod state;
mod terminal;

use args::{Args, Command};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    std::panic::set_hook(Box::new(exit::report_panic));
    log_to_stderr();
    let exit = match Args::read().command {
        Command::Run(args) => run::run(&args),
        Command::Sql(args) => shell::sql(&args),
        Command::Serve(args) => serve::serve(&args),
        Command::Bench(args) => bench::bench(&args),
        Command::Savepoint(args) => control::savepoint(&args),
        Command::Stop(args) => control::stop(&args),
        Command::State(args) => state::state(&args),
    };
    exit.unwrap_or_else(|e| e).into()
}

/// Warnings and errors, or what `EDDYLINE_LOG` asks for.
fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("EDDYLINE_LOG");
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}
