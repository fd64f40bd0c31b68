//! `eddyline state ls|show|verify`: the checkpoints of jobs, and savepoints, looked at from outside. Nothing is written but to standard
//! output; a job that runs is not disturbed.

use crate::args::{StateArgs, StatePlace, StateVerb};
use crate::exit::Exit;
use crate::follow::{grouped, tell};
use crate::run::tokio_runtime;
use eddyline_checkpoint::{
    Attempt, CheckpointError, CheckpointStore, ColumnFact, Found, Manifest, OperatorFact, Outcome, Place, Savepoint,
};
use std::fmt::Write as _;
use std::io::Write as _;

/// Carries the command out.
///
/// # Errors
/// The exit code, when something is damaged or cannot be read; what happened has been told.
pub(crate) fn state(args: &StateArgs) -> Result<Exit, Exit> {
    let fail = |message: &str, hint: Option<&str>| {
        tell(message, hint);
        Exit::Failed
    };
    let tokio = tokio_runtime().map_err(|e| fail(&format!("cannot start: {e}"), None))?;
    let (StateVerb::Ls(wanted) | StateVerb::Show(wanted) | StateVerb::Verify(wanted)) = &args.verb;
    let mut out = String::new();
    let mut damaged = false;
    let told = (|| -> Result<(), CheckpointError> {
        let place = Place::parse(&wanted.location, std::env::vars(), tokio.handle())?;
        let savepoint = Savepoint::at(&place);
        if savepoint.is_there()? {
            damaged |= look_at(&savepoint, &args.verb, &mut out)?;
            return Ok(());
        }
        let jobs = match &wanted.job {
            Some(job) => vec![job.clone()],
            None => CheckpointStore::jobs(&place)?,
        };
        if jobs.is_empty() {
            let _ = writeln!(out, "no job has checkpoints there");
        }
        for job in jobs {
            let store = CheckpointStore::new(&place, &job);
            let _ = writeln!(out, "job {job}");
            match &args.verb {
                StateVerb::Ls(_) => list(&store, wanted, &mut out)?,
                StateVerb::Show(_) => show(&store, wanted, &mut out)?,
                StateVerb::Verify(_) => damaged |= verify(&store, wanted, &mut out)?,
            }
        }
        Ok(())
    })();
    // A reader that is gone wants no more.
    let _ = std::io::stdout().write_all(out.as_bytes());
    match told {
        Ok(()) if damaged => Err(Exit::Failed),
        Ok(()) => Ok(Exit::Done),
        Err(e) => Err(fail(&e.to_string(), e.hint())),
    }
}

/// The same for a savepoint. Returns true when something is damaged.
fn look_at(savepoint: &Savepoint, verb: &StateVerb, out: &mut String) -> Result<bool, CheckpointError> {
    let manifest = match savepoint.manifest() {
        Err(fault) if matches!(verb, StateVerb::Verify(_)) && fault.is_damage() => {
            let _ = writeln!(out, "savepoint: {fault}");
            return Ok(true);
        }
        manifest => manifest?,
    };
    let _ = writeln!(out, "savepoint of job {}", manifest.job);
    match verb {
        StateVerb::Ls(_) => {
            let (made, bytes) = (utc(manifest.time_ms), grouped(manifest.size_bytes()));
            let _ = writeln!(out, "  epoch {}, made {made} (UTC), {bytes} bytes", manifest.epoch);
        }
        StateVerb::Show(_) => describe(&manifest, out),
        StateVerb::Verify(_) => {
            let scratch = scratch()?;
            return Ok(judge("savepoint", &manifest, &savepoint.verify(&manifest, scratch.path())?, out));
        }
    }
    Ok(false)
}

fn utc(time_ms: i64) -> String {
    let time = chrono::DateTime::from_timestamp_millis(time_ms);
    time.map(|t| t.format("%Y-%m-%d %H:%M:%S%.3f").to_string()).unwrap_or_default()
}

fn scratch() -> Result<tempfile::TempDir, CheckpointError> {
    let place = || std::env::temp_dir().display().to_string();
    tempfile::tempdir().map_err(|error| CheckpointError::Io { path: place(), error })
}

/// Puts what was found into words; returns true when something is damaged.
fn judge(what: &str, manifest: &Manifest, faults: &[CheckpointError], out: &mut String) -> bool {
    if faults.is_empty() {
        let (files, bytes) = (manifest.files().count(), grouped(manifest.size_bytes()));
        let _ = writeln!(out, "  {what}: whole ({files} files, {bytes} bytes)");
    }
    for fault in faults {
        let _ = writeln!(out, "  {what}: {fault}");
    }
    !faults.is_empty()
}

fn is_wanted(wanted: &StatePlace, id: u64) -> bool {
    wanted.id.is_none_or(|w| w == id)
}

const HEADER: [&str; 11] = [
    "id",
    "kind",
    "epoch",
    "start (UTC)",
    "align ms",
    "sync ms",
    "async ms",
    "new bytes",
    "total bytes",
    "kept",
    "slowest / why it failed",
];

fn list(store: &CheckpointStore, wanted: &StatePlace, out: &mut String) -> Result<(), CheckpointError> {
    let listed = store.overview()?;
    let rows = listed.iter().filter(|l| is_wanted(wanted, l.attempt.id.0)).map(|l| row(&l.attempt, l.is_kept));
    let rows: Vec<[String; 11]> = std::iter::once(HEADER.map(str::to_owned)).chain(rows).collect();
    let widths: Vec<usize> =
        (0..HEADER.len()).map(|c| rows.iter().map(|r| r[c].chars().count()).max().unwrap_or(0)).collect();
    for row in rows {
        let cell = |(c, text): (usize, &String)| match c {
            1 | 3 | 9 | 10 => format!("{text:<width$}", width = widths[c]),
            _ => format!("{text:>width$}", width = widths[c]),
        };
        let line = row.iter().enumerate().map(cell).collect::<Vec<_>>().join("  ");
        let _ = writeln!(out, "  {}", line.trim_end());
    }
    Ok(())
}

fn row(attempt: &Attempt, is_kept: bool) -> [String; 11] {
    let last = match &attempt.outcome {
        Outcome::Complete => attempt.slowest.clone().unwrap_or_default(),
        Outcome::Failed(why) => format!("failed: {why}"),
    };
    [
        attempt.id.to_string(),
        attempt.kind.to_string(),
        attempt.epoch.to_string(),
        utc(attempt.start_ms),
        grouped(attempt.alignment_ms),
        grouped(attempt.sync_ms),
        grouped(attempt.async_ms),
        grouped(attempt.new_bytes),
        grouped(attempt.total_bytes),
        if is_kept { "yes" } else { "" }.to_owned(),
        last,
    ]
}

fn show(store: &CheckpointStore, wanted: &StatePlace, out: &mut String) -> Result<(), CheckpointError> {
    let found = store.list()?;
    match found.into_iter().find(|f| is_wanted(wanted, f.id.0)) {
        None => {
            let _ = writeln!(out, "  no such checkpoint");
        }
        Some(Found { manifest, .. }) => describe(&manifest?, out),
    }
    Ok(())
}

fn describe(manifest: &Manifest, out: &mut String) {
    let kind = manifest.kind;
    let finished = if manifest.finished { ", the input was at its end" } else { "" };
    let drained = if manifest.drained { ", event time went to its end before" } else { "" };
    let _ = writeln!(out, "  {kind} {} of epoch {}{finished}{drained}", manifest.id, manifest.epoch);
    let _ = writeln!(out, "  written by version {}, lineage {}", manifest.program, manifest.lineage);
    let _ = writeln!(out, "  {} key groups on {} shards", manifest.max_parallelism, manifest.shards.len());
    for (shard, state) in manifest.shards.iter().enumerate() {
        let bytes: u64 = state.files.iter().map(|f| f.size_bytes).sum();
        let (files, backend) = (state.files.len(), &state.backend);
        let _ = writeln!(out, "  shard {shard}: {} bytes in {files} files of {backend}", grouped(bytes));
    }
    let _ = writeln!(out, "  operators:");
    for operator in &manifest.operators {
        let _ = writeln!(out, "    {:016x} {}{}", operator.id, operator.name, kept(operator));
    }
    for commit in &manifest.commits {
        let _ =
            writeln!(out, "  prepared for {} in epoch {}: {} bytes", commit.table, commit.epoch, commit.commit.len());
    }
}

/// What an operator keeps.
fn kept(operator: &OperatorFact) -> String {
    let Some(state) = &operator.state else { return String::new() };
    let texts = |columns: &[ColumnFact]| columns.iter().map(|c| c.text.as_str()).collect::<Vec<_>>().join(", ");
    match (state.keys.is_empty(), state.kept.is_empty()) {
        (true, true) => String::new(),
        (true, false) => format!(" keeps {}", texts(&state.kept)),
        (false, true) => format!(" keeps ({})", texts(&state.keys)),
        (false, false) => format!(" keeps {} by ({})", texts(&state.kept), texts(&state.keys)),
    }
}

/// Returns true when something is damaged.
fn verify(store: &CheckpointStore, wanted: &StatePlace, out: &mut String) -> Result<bool, CheckpointError> {
    let scratch = scratch()?;
    let mut damaged = false;
    for Found { id, manifest } in store.list()? {
        if !is_wanted(wanted, id.0) {
            continue;
        }
        let manifest = match manifest {
            Ok(manifest) => manifest,
            Err(fault) => {
                let _ = writeln!(out, "  checkpoint {id}: {fault}");
                damaged = true;
                continue;
            }
        };
        let faults = store.verify(&manifest, scratch.path())?;
        damaged |= judge(&format!("checkpoint {id}"), &manifest, &faults, out);
    }
    Ok(damaged)
}
