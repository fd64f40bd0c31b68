//! `eddyline bench`: the engine measured on its own machine.
//!
//! Each Nexmark query runs in a process of its own (this program, started again with `--here`), so that peak memory is the
//! query's and nothing is warm from the one before.

mod consistency;
mod measure;
mod queries;

use crate::args::{BenchArgs, NexmarkArgs, Suite};
use crate::exit::Exit;
use crate::follow::grouped;
use crate::run::tokio_runtime;
use eddyline_checkpoint::{Attempt, CheckpointError, CheckpointStore, Outcome, Place};
use eddyline_engine::{Engine, EngineConfig, Observer, ScriptError};
use measure::Measurement;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs a suite.
///
/// # Errors
/// The exit code, when not all went well; what happened has been told.
pub(crate) fn bench(args: &BenchArgs) -> Result<Exit, Exit> {
    match &args.suite {
        Suite::Nexmark(args) => nexmark(args),
        Suite::Consistency(args) => consistency::consistency(args),
    }
}

fn nexmark(args: &NexmarkArgs) -> Result<Exit, Exit> {
    let queries = chosen(args).map_err(|e| tell(&format!("ERROR: {e}"), Exit::Usage))?;
    if args.here {
        return here(args, &queries);
    }
    let mut exit = Exit::Done;
    let mut first = true;
    for (name, _) in queries {
        let best = fastest(args, name);
        let written = match best {
            Ok(m) if args.json => writeln!(io::stdout(), "{}", m.to_json()),
            Ok(m) => write_row(&mut io::stdout(), &m, std::mem::take(&mut first)),
            Err(message) => {
                exit = tell(&format!("{name}: {message}"), Exit::Failed);
                Ok(())
            }
        };
        if written.is_err() {
            break;
        }
    }
    Ok(exit)
}

fn tell(message: &str, exit: Exit) -> Exit {
    let _ = writeln!(io::stderr(), "{message}");
    exit
}

/// Runs a script in this process.
fn run_here(
    settings: impl Iterator<Item = (String, String)>,
    sql: &str,
    observer: &mut dyn Observer,
) -> Result<(), String> {
    let tokio = tokio_runtime().map_err(|e| format!("cannot start: {e}"))?;
    let mut session = Engine::new(EngineConfig::new(tokio.handle().clone())).session();
    for (key, value) in settings {
        session.settings_mut().set(&key, &value).map_err(|e| e.render(""))?;
    }
    session.run_script(sql, observer).map_err(|e| match e {
        ScriptError::Statement(e) | ScriptError::Job(e) => e.render(sql),
        ScriptError::Aborted | ScriptError::Stopped => "stopped".to_owned(),
    })?;
    tokio.shutdown_background();
    Ok(())
}

fn chosen(args: &NexmarkArgs) -> Result<Vec<(&'static str, &'static str)>, String> {
    if args.queries.iter().any(|q| q == "all") {
        return Ok(queries::QUERIES.to_vec());
    }
    let find = |wanted: &String| {
        let found = queries::QUERIES.iter().find(|(name, _)| name == wanted);
        found.copied().ok_or_else(|| {
            let names: Vec<_> = queries::QUERIES.iter().map(|(name, _)| *name).collect();
            format!("there is no query {wanted}; there are {}", names.join(", "))
        })
    };
    args.queries.iter().map(find).collect()
}

fn here(args: &NexmarkArgs, queries: &[(&str, &str)]) -> Result<Exit, Exit> {
    for (name, sql) in queries {
        let measured = measure::measure(args, name, sql).map_err(|e| tell(&e, Exit::Failed))?;
        writeln!(io::stdout(), "{}", measured.to_json()).map_err(|_| Exit::Failed)?;
    }
    Ok(Exit::Done)
}

fn fastest(args: &NexmarkArgs, query: &str) -> Result<Measurement, String> {
    let mut best: Option<Measurement> = None;
    for _ in 0..args.reps {
        let run = in_own_process(args, query)?;
        if best.as_ref().is_none_or(|b| run.seconds < b.seconds) {
            best = Some(run);
        }
    }
    best.ok_or_else(|| "not run".into())
}

fn in_own_process(args: &NexmarkArgs, query: &str) -> Result<Measurement, String> {
    let program = std::env::current_exe().map_err(|e| format!("cannot find this program: {e}"))?;
    let mut command = Command::new(program);
    command.args(["bench", "nexmark", "--here", "--queries", query, "--source", &args.source]);
    command.args(["--format", args.format.name(), "--events", &args.events.to_string()]);
    if let Some(shards) = args.shards {
        command.args(["--shards", &shards.to_string()]);
    }
    for (key, value) in &args.settings {
        command.args(["--set", &format!("{key}={value}")]);
    }
    let checkpoints = args.checkpoints.as_ref().map(|interval| Ok((tempfile::tempdir()?, interval)));
    let checkpoints = checkpoints.transpose().map_err(|e: io::Error| format!("no directory for checkpoints: {e}"))?;
    if let Some((directory, interval)) = &checkpoints {
        command.args(["--set", &format!("state.checkpoints.dir={}", directory.path().display())]);
        command.args(["--set", &format!("execution.checkpointing.interval={interval}")]);
    }
    let output = command.stderr(Stdio::piped()).output().map_err(|e| format!("cannot start a process: {e}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    let line: serde_json::Value =
        serde_json::from_slice(&output.stdout).map_err(|e| format!("unreadable measurement: {e}"))?;
    let mut measured = Measurement::from_json(&line).ok_or("incomplete measurement")?;
    if let Some((directory, _)) = &checkpoints {
        measured.checkpoints = attempts(directory.path()).map_err(|e| e.to_string())?;
    }
    Ok(measured)
}

/// The checkpoints that were made in a directory.
fn attempts(directory: &Path) -> Result<Vec<Attempt>, CheckpointError> {
    let io = |error| CheckpointError::Io { path: directory.display().to_string(), error };
    let tokio = tokio_runtime().map_err(io)?;
    let place = Place::parse(&directory.display().to_string(), std::env::vars(), tokio.handle())?;
    let mut attempts = Vec::new();
    for job in CheckpointStore::jobs(&place)? {
        attempts.extend(CheckpointStore::new(&place, &job).history()?);
    }
    Ok(attempts)
}

fn write_row(out: &mut dyn Write, m: &Measurement, header: bool) -> io::Result<()> {
    if header {
        writeln!(
            out,
            "{:<7} {:>12} {:>9} {:>12} {:>8} {:>11} {:>9}",
            "query", "rows", "seconds", "rows/s", "CPU s", "CPU µs/row", "peak MiB"
        )?;
    }
    let mib = |bytes: u64| format!("{:.0}", bytes as f64 / 1_048_576.0);
    let peak = m.peak_bytes.map_or("-".to_owned(), mib);
    writeln!(
        out,
        "{:<7} {:>12} {:>9.3} {:>12} {:>8.2} {:>11.3} {:>9}",
        m.query,
        grouped(m.rows),
        m.seconds,
        grouped(m.rows_per_second() as u64),
        m.cpu_seconds,
        m.cpu_us_per_row(),
        peak
    )?;
    for attempt in &m.checkpoints {
        let failed = if attempt.outcome == Outcome::Complete { "" } else { ", failed" };
        let (sync, later, new, all) =
            (attempt.sync_ms, attempt.async_ms, mib(attempt.new_bytes), mib(attempt.total_bytes));
        writeln!(
            out,
            "  checkpoint {}: shards wrote back for {sync} ms, stored {later} ms later; {new} MiB new of {all}{failed}",
            attempt.id
        )?;
    }
    Ok(())
}
