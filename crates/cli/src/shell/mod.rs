//! `eddyline sql`: statements from a prompt, from arguments, files and standard input, one after the other.
//!
//! | module | holds |
//! |---|---|
//! | [`execute`] | what a statement or command does, and what is told of it |
//! | [`input`] | text cut into statements and commands |
//! | [`command`], [`options`], [`help`] | commands with a backslash |
//! | [`prompt`] | lines from a terminal: editing, history, colours, completion |
//! | [`lex`], [`words`], [`highlight`], [`complete`], [`vocabulary`] | what the prompt knows of SQL and of names |
//! | [`live`] | a result that changes, on the whole terminal |
//! | [`jobs`] | jobs in the background |
//! | [`server`] | a server that does it all, in the place of the engine inside |
//!
//! Not here: parsing and running, which are the engine's; how one job is followed ([`crate::follow`]).

mod command;
mod complete;
mod execute;
mod help;
mod highlight;
mod input;
mod jobs;
mod lex;
mod live;
mod options;
mod prompt;
mod server;
mod vocabulary;
mod words;

use crate::args::{Input, SqlArgs};
use crate::exit::{Exit, report_panic};
use crate::follow::{Interrupts, Reporter};
use crate::run::{apply_settings, tokio_runtime};
use crate::terminal::{self, Before};
use eddyline_engine::{DataSettings, Engine, EngineConfig};
use execute::{After, Shell};
use server::Server;

/// Runs the shell.
///
/// # Errors
/// The exit code, when not all went well; what happened has been told.
pub(crate) fn sql(args: &SqlArgs) -> Result<Exit, Exit> {
    let reporter = Reporter::new(false, args.quiet);
    let before = Before::now();
    std::panic::set_hook(Box::new({
        let before = before.clone();
        move |panic: &std::panic::PanicHookInfo<'_>| {
            before.restore();
            report_panic(panic);
        }
    }));
    let tokio = tokio_runtime().map_err(|e| reporter.usage(&format!("cannot start: {e}")))?;
    let engine = Engine::new(EngineConfig {
        environment: std::env::vars().collect(),
        ..EngineConfig::new(tokio.handle().clone())
    });
    let instance = match &args.data_dir {
        Some(directory) => engine.open(DataSettings::new(directory)).map_err(|e| reporter.error(&e, None))?,
        None => engine.instance(),
    };
    let mut session = instance.session();
    let server = args.server.as_ref().map(|server| Server::connect(tokio.handle(), args, server));
    let server = server.transpose().map_err(|e| reporter.error(&e, None))?;
    // Those of a server are set there.
    if server.is_some() {
        session.settings_mut().set(server::DIALECT, server::DIALECT_THERE).map_err(|e| reporter.error(&e, None))?;
    } else {
        apply_settings(&args.settings, &mut session).map_err(|e| reporter.error(&e, None))?;
    }

    let is_typed = args.interactive || (args.inputs.is_empty() && terminal::is_there());
    let interrupts = Interrupts::listen(tokio.handle(), before);
    let mut shell = Shell::new(args, session, reporter, interrupts, is_typed);
    shell.server = server;
    let exit = match shell.set_there(&args.settings.set) {
        true => run(args, &mut shell, is_typed),
        false => Exit::Usage,
    };
    drop(shell);
    let closed = instance.close();
    // Readers may sit in blocking calls; nothing of theirs matters any more.
    tokio.shutdown_background();
    closed.map_err(|e| Reporter::new(false, args.quiet).error(&e, None))?;
    Ok(exit)
}

fn run(args: &SqlArgs, shell: &mut Shell, is_typed: bool) -> Exit {
    let standard_input = [Input::File("-".into())];
    let inputs = if args.inputs.is_empty() && !is_typed { standard_input.as_slice() } else { args.inputs.as_slice() };
    for input in inputs {
        let after = match input {
            Input::Text(text) => shell.run_text(text),
            Input::File(file) => shell.run_file(file),
        };
        match after {
            After::Next => {}
            After::Quit => return shell.leave(),
            // Who goes on typing can mend it.
            After::Failed if is_typed => break,
            After::Failed => {
                shell.end_jobs(true);
                return Exit::Failed;
            }
        }
    }
    if is_typed {
        prompt::run(shell);
    }
    shell.leave()
}
