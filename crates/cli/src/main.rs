//! The binary `eddyline`: arguments in, exit code out.
//!
//! | module | holds |
//! |---|---|
//! | [`args`] | what can be typed |
//! | [`run`] | `eddyline run`: a script |
//! | [`shell`] | `eddyline sql`: a prompt, statements, commands, results that change |
//! | [`serve`] | `eddyline serve`: Postgres clients, HTTP |
//! | [`jobs`] | jobs of a server: `eddyline submit`, `jobs`, `resume`, `drop`, `logs`, `explain` |
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
mod jobs;
mod output;
mod run;
mod serve;
mod shell;
mod state;
mod terminal;

use args::{Args, Command, LogFormat};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    std::panic::set_hook(Box::new(exit::report_panic));
    let Args { command, log_format } = Args::read();
    log_to_stderr(log_format);
    let exit = match command {
        Command::Run(args) => run::run(&args),
        Command::Sql(args) => shell::sql(&args),
        Command::Serve(args) => serve::serve(&args),
        Command::Submit(args) => jobs::submit(&args),
        Command::Jobs(args) => jobs::list(&args),
        Command::Resume(args) => jobs::resume(&args),
        Command::Drop(args) => jobs::forget(&args),
        Command::Logs(args) => jobs::logs(&args),
        Command::Explain(args) => jobs::explain(&args),
        Command::Bench(args) => bench::bench(&args),
        Command::Savepoint(args) => control::savepoint(&args),
        Command::Stop(args) => control::stop(&args),
        Command::State(args) => state::state(&args),
    };
    exit.unwrap_or_else(|e| e).into()
}

/// Warnings and errors, or what `EDDYLINE_LOG` asks for.
fn log_to_stderr(format: LogFormat) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("EDDYLINE_LOG");
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => logs.init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
}
