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
//! | [`telling`] | logs to standard error, traces to a collector |
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
mod telling;
mod terminal;

use args::{Args, Command};
use exit::Exit;
use std::io::Write;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    std::panic::set_hook(Box::new(exit::report_panic));
    let Args { command, log_format } = Args::read();
    let does_work = matches!(command, Command::Run(_) | Command::Serve(_));
    let traces = match telling::begin(log_format, does_work) {
        Ok(traces) => traces,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            return Exit::Usage.into();
        }
    };
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
    if let Some(traces) = traces {
        traces.end();
    }
    exit.unwrap_or_else(|e| e).into()
}
