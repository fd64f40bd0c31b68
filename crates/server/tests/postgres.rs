//! Expressions and queries beside PostgreSQL 15: values and codes of errors, as texts of the simple protocol.
//!
//! `postgres/*.txt` holds statements and what PostgreSQL answered them, recorded by `cargo xtask record-postgres`:
//!
//! ```text
//! SELECT 7 / 2                      the statement
//!   3                               a line for each row, its values with | between them; ! and a code for an error
//! here: why it is another           where we answer something else; docs/sql/dialects.md says so
//!   3.5
//! ```
//! Where a PostgreSQL server is installed, what is recorded is compared with what it answers.

use eddyline_engine::{Engine, EngineConfig};
use eddyline_server::{ServerConfig, bind};
use std::fmt::Write;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// A statement, and what is known of it.
struct Case {
    sql: String,
    postgres: String,
    /// Why something else is answered here, and what.
    here: Option<(String, String)>,
}

/// The files, with their cases.
fn recorded() -> Vec<(PathBuf, Vec<Case>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/postgres");
    let files = std::fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("a file").path());
    let mut files: Vec<PathBuf> = files.collect();
    files.sort();
    files.into_iter().map(|file| (file.clone(), read(&std::fs::read_to_string(file).expect("a text")))).collect()
}

fn read(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        match (line.strip_prefix("  "), line.strip_prefix("here: "), cases.last_mut()) {
            (Some(row), _, Some(case)) => {
                let answer = case.here.as_mut().map_or(&mut case.postgres, |(_, answer)| answer);
                answer.push_str(row);
                answer.push('\n');
            }
            (None, Some(why), Some(case)) => case.here = Some((why.to_owned(), String::new())),
            _ => cases.push(Case { sql: line.to_owned(), postgres: String::new(), here: None }),
        }
    }
    cases
}

fn written(cases: &[Case]) -> String {
    let mut text = String::new();
    let answer = |text: &mut String, answer: &str| {
        answer.lines().for_each(|line| writeln!(text, "  {line}").expect("written"));
    };
    for Case { sql, postgres, here } in cases {
        writeln!(text, "{sql}").expect("written");
        answer(&mut text, postgres);
        if let Some((why, other)) = here {
            writeln!(text, "here: {why}").expect("written");
            answer(&mut text, other);
        }
        text.push('\n');
    }
    text
}

/// What a server answers, as it is recorded.
async fn asked(client: &Client, sql: &str) -> String {
    let messages = match client.simple_query(sql).await {
        Ok(messages) => messages,
        Err(error) => {
            let code = error.as_db_error().map_or_else(|| error.to_string(), |error| error.code().code().to_owned());
            return format!("! {code}\n");
        }
    };
    let mut text = String::new();
    for message in messages {
        if let SimpleQueryMessage::Row(row) = message {
            let cell = |at| row.get(at).map_or_else(|| "NULL".to_owned(), |value| value.replace('\n', "\\n"));
            text.push_str(&(0..row.len()).map(cell).collect::<Vec<_>>().join("|"));
            text.push('\n');
        }
    }
    text
}

async fn connect(parameters: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(parameters, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

#[test]
fn statements_are_answered_as_postgresql_answers_them() {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let engine = Engine::new(EngineConfig { shards: 1, ..EngineConfig::new(tokio.handle().clone()) });
    let mut wrong = String::new();
    tokio.block_on(async {
        let bound = bind(engine.instance(), &ServerConfig::new(([127, 0, 0, 1], 0).into())).await.expect("a port");
        let port = bound.address().expect("an address").port();
        tokio::spawn(bound.serve());
        let parameters = format!("host=127.0.0.1 port={port} user=root dbname=dev");
        let mut client = connect(&parameters).await;
        for (file, cases) in recorded() {
            let file = file.file_name().expect("a name").to_string_lossy().into_owned();
            for case in cases {
                if client.is_closed() {
                    client = connect(&parameters).await;
                }
                let answer = asked(&client, &case.sql).await;
                let expected = case.here.as_ref().map_or(&case.postgres, |(_, here)| here);
                if answer != *expected {
                    writeln!(wrong, "{file}: {}\n{expected}is answered with\n{answer}", case.sql).expect("written");
                }
                if case.here.is_some_and(|(_, here)| here == case.postgres) {
                    writeln!(wrong, "{file}: {}\nis the same as in PostgreSQL", case.sql).expect("written");
                }
            }
        }
    });
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn what_is_recorded_is_what_postgresql_answers() {
    let records = std::env::var_os("EDDYLINE_RECORD").is_some();
    let Some(postgres) = Postgres::start() else {
        assert!(!records, "there is no PostgreSQL to record from: Debian's package is postgresql");
        eprintln!("there is no PostgreSQL on this machine: what is recorded is not compared with it");
        return;
    };
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio.block_on(async {
        let client = postgres.client().await;
        let version = asked(&client, "SHOW server_version").await;
        if !version.starts_with("15.") {
            assert!(!records, "these are answers of PostgreSQL 15, and this is {version}");
            return;
        }
        for (file, mut cases) in recorded() {
            for case in &mut cases {
                let answer = asked(&client, &case.sql).await;
                assert!(records || answer == case.postgres, "{}\n{answer}", case.sql);
                case.postgres = answer;
            }
            if records {
                std::fs::write(file, written(&cases)).expect("written");
            }
        }
    });
}

/// A PostgreSQL of its own, reached by a socket in its directory.
struct Postgres {
    directory: tempfile::TempDir,
    process: Child,
}

/// Whoever runs the tests as root lends PostgreSQL, which does not want to be root, this user.
const NOBODY: u32 = 65534;

impl Postgres {
    /// `None`: there is none on this machine.
    fn start() -> Option<Self> {
        let programs = std::fs::read_dir("/usr/lib/postgresql").ok()?.filter_map(Result::ok);
        let programs = programs.map(|entry| entry.path().join("bin")).find(|bin| bin.join("initdb").exists())?;
        let directory = tempfile::tempdir().expect("a directory");
        // Files that root has made belong to root.
        let is_root = std::os::unix::fs::MetadataExt::uid(&directory.path().metadata().expect("it is there")) == 0;
        let command = |program: &str| {
            let mut command = Command::new(programs.join(program));
            command.current_dir(directory.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            if is_root {
                command.uid(NOBODY).gid(NOBODY);
            }
            command
        };
        if is_root {
            chown(directory.path(), Some(NOBODY), Some(NOBODY)).expect("lent");
        }
        let made = ["-D", "data", "-U", "root", "--locale=C.UTF-8", "-E", "UTF8", "-A", "trust", "--no-sync"];
        assert!(command("initdb").args(made).status().expect("initdb").success());
        let of_its_own = ["-D", "data", "-c", "listen_addresses=", "-c", "timezone=UTC", "-k"];
        let process = command("postgres").args(of_its_own).arg(directory.path()).spawn().expect("postgres");
        Some(Self { directory, process })
    }

    /// A client, when it is ready.
    async fn client(&self) -> Client {
        let parameters = format!("host={} user=root dbname=postgres", self.directory.path().display());
        for _ in 0..600 {
            if let Ok((client, connection)) = tokio_postgres::connect(&parameters, NoTls).await {
                tokio::spawn(connection);
                return client;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("PostgreSQL does not begin to serve");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
