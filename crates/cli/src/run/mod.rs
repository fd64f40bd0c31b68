//! `eddyline run`: reads the script and the settings, runs it, follows its jobs.
//!
//! | module | holds |
//! |---|---|
//! | `follow` | one job: events, progress, Ctrl-C, summary |
//! | `view` | the result of a SELECT on its way to standard output |
//! | `report` | notes, progress and events: what goes beside the result |
//! | `interrupt` | Ctrl-C |

mod follow;
mod interrupt;
mod report;
mod view;

use crate::args::RunArgs;
use crate::exit::Exit;
use eddyline_engine::{Engine, EngineConfig, ScriptError, Session, SqlError};
pub(crate) use report::{grouped, tell};

use follow::Follower;
use interrupt::Interrupts;
use report::Reporter;
use std::io::Read;
use std::path::Path;

/// Runs a script.
///
/// # Errors
/// The exit code, when not all went well; what happened has been told.
pub(crate) fn run(args: &RunArgs) -> Result<Exit, Exit> {
    let reporter = Reporter::new(args);
    let sql = read_script(&args.file).map_err(|e| reporter.usage(&e))?;
    let tokio = tokio_runtime().map_err(|e| reporter.usage(&format!("cannot start: {e}")))?;
    let engine = Engine::new(EngineConfig {
        environment: std::env::vars().collect(),
        allow_fresh: args.allow_fresh,
        from: args.from.clone(),
        allow_dropped_state: args.allow_dropped_state,
        is_dry_run: args.dry_run,
        program: args.file.file_stem().and_then(|name| name.to_str()).filter(|name| *name != "-").map(str::to_owned),
        ..EngineConfig::new(tokio.handle().clone())
    });
    let mut session = engine.session();
    apply_settings(args, &mut session).map_err(|e| reporter.error(&e, None))?;

    let interrupts = Interrupts::listen(tokio.handle());
    let mut follower = Follower::new(args, &reporter, &interrupts);
    let ended = session.run_script(&sql, &mut follower);
    let exit = match ended {
        Ok(()) if engine.is_savepoint_left() => {
            let message = "the script starts no job that could begin at the savepoint";
            let hint = "a SELECT can when 'pipeline.name' is set";
            reporter.error(&SqlError::new(SqlError::INVALID, message).with_hint(hint), None)
        }
        Ok(()) | Err(ScriptError::Stopped) => Exit::Done,
        Err(ScriptError::Statement(error)) => reporter.error(&error, Some(&sql)),
        Err(ScriptError::Job(error)) => reporter.failed(&error),
        Err(ScriptError::Aborted) => Exit::Failed,
    };
    // Readers may sit in blocking calls; nothing of theirs matters any more.
    tokio.shutdown_background();
    Ok(exit)
}

/// Where I/O runs. Two workers: readers and writers do little more than wait.
pub(crate) fn tokio_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("eddyline-io").enable_all().build()
}

fn read_script(file: &Path) -> Result<String, String> {
    if file.as_os_str() == "-" {
        let mut sql = String::new();
        return match std::io::stdin().read_to_string(&mut sql) {
            Ok(_) => Ok(sql),
            Err(e) => Err(format!("cannot read standard input: {e}")),
        };
    }
    std::fs::read_to_string(file).map_err(|e| format!("cannot read {}: {e}", file.display()))
}

/// The file first, then `--set`, then `--shards`: what is typed wins.
fn apply_settings(args: &RunArgs, session: &mut Session) -> Result<(), SqlError> {
    let settings = session.settings_mut();
    if let Some(file) = &args.config {
        let text = std::fs::read_to_string(file)
            .map_err(|e| SqlError::new(SqlError::INVALID_PARAMETER, format!("cannot read {}: {e}", file.display())))?;
        settings.set_toml(&text)?;
    }
    for (key, value) in &args.settings {
        settings.set(key, value)?;
    }
    if let Some(shards) = args.shards {
        settings.set("execution.shards", &shards.to_string())?;
    }
    settings.keep();
    Ok(())
}
