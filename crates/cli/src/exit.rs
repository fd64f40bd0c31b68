//! How the process ends.

use std::io::Write;
use std::panic::PanicHookInfo;
use std::process::ExitCode;

/// The exit code of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All went well, or nobody reads our output any more.
    Done,
    /// A job failed or was aborted.
    Failed,
    /// Bad SQL or usage.
    Usage,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
        })
    }
}

/// One line for a fault of the program, then the end: a job whose shard is gone has no right answer.
pub(crate) fn report_panic(panic: &PanicHookInfo<'_>) {
    let text = panic.payload();
    let message = text.downcast_ref::<&str>().copied().or_else(|| text.downcast_ref::<String>().map(String::as_str));
    let place = panic.location().map(|l| format!(" at {}:{}", l.file(), l.line())).unwrap_or_default();
    let message = message.unwrap_or("unknown").replace('\n', " ");
    let _ = writeln!(std::io::stderr(), "internal error{place}: {message}; please report it");
    std::process::exit(1);
}
