//! `eddyline run`: reads the script and the settings, and runs it; its jobs are [followed](crate::follow).

use crate::args::{RunArgs, SettingArgs};
use crate::exit::Exit;
use crate::follow::{Follower, Interrupts, Manner, Reporter, TERMINAL_ROWS_MAX};
use crate::output::Page;
use crate::terminal::Before;
use eddyline_engine::{Engine, EngineConfig, ScriptError, Session, SqlError};
use std::io::IsTerminal;
use std::path::Path;

/// Runs a script.
///
/// # Errors
/// The exit code, when not all went well; what happened has been told.
pub(crate) fn run(args: &RunArgs) -> Result<Exit, Exit> {
    let reporter = Reporter::new(args.json, args.quiet);
    let sql = text_of(&args.file).map_err(|e| reporter.usage(&e))?;
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
    apply_settings(&args.settings, &mut session).map_err(|e| reporter.error(&e, None))?;

    let interrupts = Interrupts::listen(tokio.handle(), Before::now());
    let manner = manner(args);
    let mut follower = Follower::new(&manner, &reporter, &interrupts);
    let span = tracing::info_span!("run", eddyline.script = %args.file.display());
    let ended = span.in_scope(|| session.run_script(&sql, &mut follower));
    // Its end is told before the process ends.
    drop(span);
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

fn manner(args: &RunArgs) -> Manner {
    let rows_max = if std::io::stdout().is_terminal() { TERMINAL_ROWS_MAX } else { usize::MAX };
    let page = Page { rows_max, footer: !args.quiet, ..Page::endless() };
    Manner { format: args.format, json: args.json, page, cancels_selects: false }
}

/// Where I/O runs. Two workers: readers and writers do little more than wait.
pub(crate) fn tokio_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("eddyline-io").enable_all().build()
}

/// The text of a file; `-` is standard input.
///
/// # Errors
/// Says why it cannot be read.
pub(crate) fn text_of(file: &Path) -> Result<String, String> {
    if file.as_os_str() == "-" {
        let text = std::io::read_to_string(std::io::stdin());
        return text.map_err(|e| format!("cannot read standard input: {e}"));
    }
    std::fs::read_to_string(file).map_err(|e| format!("cannot read {}: {e}", file.display()))
}

/// The file first, then `--set`, then `--shards`: what is typed wins.
///
/// # Errors
/// A file that cannot be read; a setting or a value that does not fit.
pub(crate) fn apply_settings(args: &SettingArgs, session: &mut Session) -> Result<(), SqlError> {
    let settings = session.settings_mut();
    if let Some(file) = &args.config {
        let text = std::fs::read_to_string(file)
            .map_err(|e| SqlError::new(SqlError::INVALID_PARAMETER, format!("cannot read {}: {e}", file.display())))?;
        settings.set_toml(&text)?;
    }
    for (key, value) in &args.set {
        settings.set(key, value)?;
    }
    if let Some(shards) = args.shards {
        settings.set("execution.shards", &shards.to_string())?;
    }
    settings.keep();
    Ok(())
}
