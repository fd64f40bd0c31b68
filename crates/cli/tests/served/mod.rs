//! `eddyline serve` as a process, for the tests beside this.
#![allow(dead_code, reason = "no test needs all of it")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

/// A server that runs for as long as this lives.
pub(crate) struct Served {
    pub(crate) process: Child,
    /// Where clients of Postgres find it: `127.0.0.1:4566`.
    pub(crate) sql: String,
    /// Where clients of HTTP do: `http://127.0.0.1:4567`; empty where none can.
    pub(crate) http: String,
}

/// The command that starts a server at ports that are free.
pub(crate) fn serve(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_eddyline"));
    command.args(["serve", "--listen", "127.0.0.1:0"]).args(args);
    command
}

impl Served {
    /// Starts a server at ports that are free.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::by(&mut serve(args))
    }

    /// Starts a server by a command, and waits until it listens.
    pub(crate) fn by(command: &mut Command) -> Self {
        let has_http = !command.get_args().any(|arg| arg == "--no-http");
        let mut process = command.stdout(Stdio::piped()).spawn().expect("started");
        let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        let mut behind = |word: &str| {
            let line = lines
                .next()
                .and_then(Result::ok)
                .unwrap_or_else(|| panic!("it does not start: {}", said(&mut process)));
            line.strip_prefix(word).unwrap_or_else(|| panic!("not {word}: {line}")).to_owned()
        };
        let sql = behind("listening at ");
        let http = if has_http { behind("http at ") } else { String::new() };
        Self { process, sql, http }
    }

    /// The port of Postgres' protocol.
    pub(crate) fn port(&self) -> &str {
        self.sql.rsplit(':').next().expect("a port")
    }

    /// The host and the port of HTTP.
    pub(crate) fn http_host(&self) -> &str {
        self.http.rsplit('/').next().expect("an address")
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.process.kill().expect("killed");
        self.process.wait().expect("gone");
    }

    /// SIGTERM; its exit code.
    pub(crate) fn end(mut self) -> Option<i32> {
        let id = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("told");
        self.process.wait().expect("gone").code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may be over.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a process has complained of, where somebody listens.
fn said(process: &mut Child) -> String {
    let mut complaint = String::new();
    if let Some(mut errors) = process.stderr.take() {
        let _ = errors.read_to_string(&mut complaint);
    }
    complaint
}
