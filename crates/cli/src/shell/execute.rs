//! What statements and commands do.

use super::command::{self, Command};
use super::input::{Item, items, position_of, within};
use super::jobs::Listeners;
use super::options::{Opt, Options};
use super::server::Server;
use super::{help, live};
use crate::args::{Format, SqlArgs};
use crate::exit::Exit;
use crate::follow::{Follower, Interrupts, Manner, Reporter, print_listing};
use crate::output::{More, Page};
use crate::run::text_of;
use crate::terminal;
use eddyline_engine::catalog::Reference;
use eddyline_engine::statement::Show;
use eddyline_engine::{
    Listing, Observer, Outcome, ResultMode, RunningJob, ScriptError, Session, SqlError, TextPosition,
};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Files that include each other stop here.
const INCLUDED_MAX: usize = 20;

/// What is to happen after a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// The next one.
    Next,
    /// The shell ends.
    Quit,
    /// It failed, and nothing is to follow.
    Failed,
}

/// A session, and how it is shown.
pub(crate) struct Shell {
    /// Of the engine inside; with a server, it has nothing but settings of the shell.
    pub(super) session: Session,
    /// Who does what is typed, if it is not the engine inside.
    pub(super) server: Option<Server>,
    pub(super) reporter: Reporter,
    pub(super) interrupts: Interrupts,
    pub(super) listeners: Listeners,
    pub(super) options: Options,
    pub(super) has_failed: bool,
    /// What was typed last, for `\e`.
    pub(super) last: String,
    is_typed: bool,
    quiet: bool,
    /// The files being executed, inside each other.
    included: Vec<PathBuf>,
}

impl Shell {
    /// A shell over a session.
    pub(crate) fn new(
        args: &SqlArgs,
        session: Session,
        reporter: Reporter,
        interrupts: Interrupts,
        is_typed: bool,
    ) -> Self {
        if is_typed {
            interrupts.outlive();
        }
        Self {
            session,
            server: None,
            reporter,
            interrupts,
            listeners: Listeners::default(),
            options: Options::new(args.format, is_typed),
            has_failed: false,
            last: String::new(),
            is_typed,
            quiet: args.quiet,
            included: Vec::new(),
        }
    }

    /// Does it without a word beside results?
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Executes a text to its end.
    pub(crate) fn run_text(&mut self, text: &str) -> After {
        let items = items(text, self.session.settings().dialect());
        let rest = items.begun.map(|begin| Item::Statement { text: text[begin..].trim_end(), begin });
        for item in items.whole.into_iter().chain(rest) {
            let after = match item {
                Item::Statement { text: statement, begin } => self.run_statement(text, statement, begin),
                Item::Command(line) => self.run_command(line),
            };
            if after != After::Next {
                return after;
            }
        }
        After::Next
    }

    /// Executes a file.
    pub(crate) fn run_file(&mut self, file: &Path) -> After {
        if self.included.len() >= INCLUDED_MAX {
            return self.failed(&format!("{}: files include each other {INCLUDED_MAX} deep", file.display()));
        }
        let text = match text_of(file) {
            Ok(text) => text,
            Err(why) => return self.failed(&why),
        };
        self.included.push(file.to_owned());
        // What stands in a file goes on behind a failure only where it is told to.
        let after = self.run_text(&text);
        self.included.pop();
        after
    }

    fn run_statement(&mut self, source: &str, statement: &str, begin: usize) -> After {
        let since = Instant::now();
        let begin = position_of(source, begin);
        let ended = match self.server {
            Some(_) => self.execute_there(statement, begin, since),
            None => self.execute(statement, begin, since),
        };
        match ended {
            Ok(()) => After::Next,
            Err(ScriptError::Stopped) if self.is_typed => After::Next,
            Err(ScriptError::Stopped) => After::Quit,
            Err(ScriptError::Aborted) => self.after_failure(),
            Err(ScriptError::Statement(error)) => {
                self.reporter.error(&error, Some(source));
                self.after_failure()
            }
            Err(ScriptError::Job(error)) => {
                self.reporter.failed(&error);
                self.after_failure()
            }
        }
    }

    fn execute(&mut self, text: &str, begin: TextPosition, since: Instant) -> Result<(), ScriptError> {
        let place = |e: SqlError| SqlError { position: e.position.map(|at| within(begin, at)), ..e };
        for statement in self.session.parse(text).map_err(place)? {
            let outcome = self.session.execute(&statement).map_err(|e| match e {
                ScriptError::Statement(error) => ScriptError::Statement(place(error)),
                other => other,
            })?;
            match outcome {
                Outcome::Done(message) | Outcome::Changed { message, .. } => {
                    if self.is_typed {
                        self.reporter.note(&message);
                    }
                }
                Outcome::Noted(message) => self.reporter.note(&format!("NOTE: {message}")),
                Outcome::Listing(listing) | Outcome::Returned(listing) => {
                    print_listing(&self.manner(since), &listing)?;
                }
                Outcome::Job(job) => self.run_job(*job, since)?,
            }
        }
        Ok(())
    }

    fn run_job(&mut self, job: RunningJob, since: Instant) -> Result<(), ScriptError> {
        let facts = job.facts();
        match &facts.result {
            None if !self.session.settings().waits_for_insert(facts.bounded) => {
                self.send_to_background(job);
                return Ok(());
            }
            Some(shape) => {
                let is_table =
                    self.options.format.is_none_or(|f| f == Format::Table) && shape.mode == ResultMode::Table;
                if is_table && !shape.ends(facts.bounded) && terminal::is_there() {
                    return live::watch(&job, &self.reporter, &self.interrupts);
                }
            }
            None => {}
        }
        let manner = self.manner(since);
        Follower::new(&manner, &self.reporter, &self.interrupts).job(job)
    }

    fn run_command(&mut self, line: &str) -> After {
        let command = match command::read(line) {
            Ok(command) => command,
            Err(why) => return self.failed(&format!("{why}; \\? lists commands")),
        };
        match self.carry_out(command) {
            Ok(after) => after,
            Err(ScriptError::Stopped) => After::Quit,
            Err(error) => {
                self.reporter.error(&SqlError { position: None, ..error.into_error() }, None);
                self.after_failure()
            }
        }
    }

    fn carry_out(&mut self, command: Command) -> Result<After, ScriptError> {
        if self.server.is_some()
            && let Some(done) = self.carry_out_there(&command)
        {
            return done;
        }
        match command {
            Command::Help => print(&help::text())?,
            Command::Quit => return Ok(After::Quit),
            Command::Clear => print("\x1b[H\x1b[2J")?,
            Command::List { tables, views } => {
                let listing = self.session.relations(tables, views);
                self.print(&listing)?;
            }
            Command::Describe(name) => self.describe(&name)?,
            Command::Functions(pattern) => {
                let listing = self.session.functions_like(pattern.as_deref());
                self.print(&listing)?;
            }
            Command::Jobs => {
                let listing = self.session.show(&Show::Jobs)?;
                self.print(&listing)?;
            }
            Command::Include(file) => return Ok(self.run_file(Path::new(&file))),
            Command::Edit => return self.edit(),
            Command::Mode(mode) => {
                self.session.settings_mut().set("sql-client.execution.result-mode", &mode)?;
                self.told(&format!("results that change are shown as '{mode}'"));
            }
            Command::Set(option, value) => {
                if let Err(why) = self.options.set(option, value.as_deref()) {
                    return Ok(self.failed(&why));
                }
                self.told(&format!("{} is {}", option.name(), self.options.value(option)));
            }
            Command::Options => {
                let all = Opt::ALL.map(|option| format!("{} = {}\n", option.name(), self.options.value(option)));
                print(&all.concat())?;
            }
        }
        Ok(After::Next)
    }

    fn describe(&mut self, name: &Reference) -> Result<(), ScriptError> {
        let listing = self.session.describe(name)?;
        self.print(&listing)?;
        print(&format!("{}\n", self.session.definition(name)?))
    }

    /// Lets the user change what was typed last, then executes it.
    fn edit(&mut self) -> Result<After, ScriptError> {
        let failed = |why: String| ScriptError::Statement(SqlError::new(SqlError::INVALID, why));
        let editor = ["VISUAL", "EDITOR"].iter().find_map(|name| std::env::var(name).ok()).unwrap_or("vi".into());
        let file = tempfile::Builder::new().suffix(".sql").tempfile();
        let file = file.map_err(|e| failed(format!("cannot make a file to edit: {e}")))?;
        let write = std::fs::write(file.path(), &self.last);
        write.map_err(|e| failed(format!("{}: {e}", file.path().display())))?;
        // An editor may come with arguments.
        let command = format!("{editor} \"$1\"");
        let status = std::process::Command::new("sh").args(["-c", &command, "sh"]).arg(file.path()).status();
        match status {
            Ok(status) if status.success() => {}
            Ok(status) => return Err(failed(format!("{editor}: {status}"))),
            Err(e) => return Err(failed(format!("{editor}: {e}"))),
        }
        let text = text_of(file.path()).map_err(failed)?;
        if text.trim() == self.last.trim() {
            self.told("nothing was changed");
            return Ok(After::Next);
        }
        print(&format!("{}\n", text.trim_end()))?;
        self.last = text.clone();
        Ok(self.run_text(&text))
    }

    fn print(&self, listing: &Listing) -> Result<(), ScriptError> {
        print_listing(&self.manner(Instant::now()), listing)
    }

    /// What the user should see who types.
    pub(super) fn told(&self, text: &str) {
        if self.is_typed {
            self.reporter.note(text);
        }
    }

    /// Something failed that is no statement.
    fn failed(&mut self, why: &str) -> After {
        self.reporter.usage(why);
        self.after_failure()
    }

    fn after_failure(&mut self) -> After {
        self.has_failed = true;
        let reads_on = self.is_typed && self.included.is_empty();
        if reads_on || !self.options.on_error_stop { After::Next } else { After::Failed }
    }

    /// How results are shown now; those of a statement that began at `since`.
    pub(super) fn manner(&self, since: Instant) -> Manner {
        let is_screen = std::io::IsTerminal::is_terminal(&std::io::stdout());
        let width_max = if is_screen && !self.options.wide { terminal::size().0 } else { usize::MAX };
        let page = Page {
            rows_max: if is_screen { self.options.rows_max } else { usize::MAX },
            width_max,
            expanded: self.options.expanded,
            footer: !self.quiet,
            since: self.options.timing.then_some(since),
            more: More { rows: "\\rows 0 prints all", width: "\\x shows each row as a list, \\wide prints all of it" },
            colours: terminal::has_colours(),
        };
        Manner { format: self.options.format, json: false, page, cancels_selects: true }
    }

    /// The end of the shell: of its jobs too.
    pub(crate) fn leave(&mut self) -> Exit {
        let jobs = self.end_jobs(self.is_typed);
        if jobs && (self.is_typed || !self.has_failed) { Exit::Done } else { Exit::Failed }
    }
}

/// Prints text as it is.
///
/// # Errors
/// Nobody reads.
fn print(text: &str) -> Result<(), ScriptError> {
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(crate::follow::written)
}
