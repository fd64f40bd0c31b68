//! `eddyline sql --server`: what is typed is done by a server.

mod served;

use rexpect::session::PtySession;
use served::Served;
use std::process::{Command, Output, Stdio};

/// Nothing here depends on how long a thing takes: this is when a test gives up.
const GIVE_UP_MS: u64 = 60_000;

/// A server at a port of its own.
struct Server {
    served: Served,
    home: tempfile::TempDir,
}

impl Server {
    fn start(args: &[&str]) -> Self {
        Self::start_at("127.0.0.1:0", args)
    }

    fn start_at(address: &str, args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_eddyline"));
        command.args(["serve", "--listen", address, "--no-http", "--shards", "1"]).args(args);
        Self { served: Served::by(&mut command), home: tempfile::tempdir().expect("a directory") }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_eddyline"));
        command.args(["sql", "--server", &self.served.sql]).args(args);
        command.env("EDDYLINE_HISTORY", self.home.path().join("history")).env("TERM", "xterm-256color");
        command.env_remove("EDDYLINE_PASSWORD").env_remove("NO_COLOR");
        command
    }

    fn sql(&self, args: &[&str]) -> Output {
        self.command(args).stdin(Stdio::null()).output().expect("started")
    }

    /// A shell on a terminal of 80 columns and 24 lines.
    fn typed(&self, args: &[&str]) -> PtySession {
        let shell = self.command(args);
        let mut command = Command::new("sh");
        command
            .args(["-c", "stty cols 80 rows 24 && exec \"$@\"", "sh"])
            .arg(shell.get_program())
            .args(shell.get_args());
        for (name, value) in shell.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        rexpect::session::spawn_command(command, Some(GIVE_UP_MS)).expect("a terminal")
    }
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn statements_are_done_by_the_server() {
    let server = Server::start(&[]);
    let made = server.sql(&[
        "-e",
        "CREATE TABLE t (k INT PRIMARY KEY, v TEXT, n NUMERIC(5, 2)); INSERT INTO t VALUES (1, 'a', 1.5), (20, NULL, 2);",
        "-e",
        "CREATE MATERIALIZED VIEW m AS SELECT COUNT(*) AS n FROM t",
    ]);
    assert!(made.status.success(), "{}", err(&made));
    // Another shell sees it: it is the server's.
    let table = server.sql(&["--quiet", "-e", "SELECT k, v, n FROM t ORDER BY k"]);
    let wanted = "+----+------+------+\n| k  | v    | n    |\n+----+------+------+\n|  1 | a    | 1.50 |\n| 20 | NULL | 2.00 |\n+----+------+------+\n";
    assert_eq!(out(&table), wanted, "{}", err(&table));
    let json = server.sql(&["--quiet", "--format", "json", "-e", "SELECT n, n > 1 AS many FROM m"]);
    assert_eq!(out(&json), "{\"n\":2,\"many\":true}\n");
    let listed = out(&server.sql(&["--quiet", "--format", "csv", "-e", "\\d"]));
    assert_eq!(listed, "schema,name,type\npublic,m,MATERIALIZED VIEW\npublic,t,BASE TABLE\n");
    let described = out(&server.sql(&["--quiet", "-e", "\\d m"]));
    assert!(described.contains("CREATE MATERIALIZED VIEW \"m\""), "{described}");
    let functions = out(&server.sql(&["--quiet", "-e", "\\df date_tr"]));
    assert!(functions.contains("date_trunc") && !functions.contains("upper"), "{functions}");
}

/// Values are printed in one form, whoever computes them.
#[test]
fn values_look_as_in_a_shell_by_itself() {
    let server = Server::start(&[]);
    let sql = "SELECT 1.50 AS d, ARRAY[1, NULL, 3] AS a, ARRAY['x', 'y z'] AS t, NULL AS n, TRUE AS b, CAST(0.5 AS REAL) AS r";
    let by_itself = |format: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_eddyline"));
        command.args(["sql", "--set", "sql.dialect=postgres", "--quiet", "--format", format, "-e", sql]);
        out(&command.stdin(Stdio::null()).output().expect("started"))
    };
    let there = |format: &str| out(&server.sql(&["--quiet", "--format", format, "-e", sql]));
    let json = "{\"d\":1.50,\"a\":[1,null,3],\"t\":[\"x\",\"y z\"],\"n\":null,\"b\":true,\"r\":0.5}\n";
    assert_eq!((by_itself("json"), there("json")), (json.into(), json.into()));
    assert_eq!(by_itself("csv"), there("csv"));
}

#[test]
fn errors_show_where_and_notices_are_told() {
    let server = Server::start(&[]);
    let wrong = server.sql(&["-e", "SELECT 1;\nSELECT 'ß', nope"]);
    assert_eq!(wrong.status.code(), Some(1));
    let said = err(&wrong);
    assert!(said.contains("ERROR 42703: column nope does not exist"), "{said}");
    assert!(said.contains("LINE 2: SELECT 'ß', nope\n                    ^"), "{said}");
    let noted = server.sql(&["-e", "DROP TABLE IF EXISTS nothere"]);
    assert!(noted.status.success() && err(&noted).contains("NOTICE: table nothere does not exist"), "{}", err(&noted));
    let copy = server.sql(&["-e", "COPY t FROM STDIN"]);
    assert!(err(&copy).contains("COPY in this shell"), "{}", err(&copy));
    let nobody = Command::new(env!("CARGO_BIN_EXE_eddyline"))
        .args(["sql", "--server", "127.0.0.1:1"])
        .stdin(Stdio::null())
        .output();
    let nobody = nobody.expect("started");
    assert_eq!(nobody.status.code(), Some(2));
    assert!(err(&nobody).contains("no server answers at 127.0.0.1:1"), "{}", err(&nobody));
}

#[test]
fn a_password_is_asked_for() {
    let home = tempfile::tempdir().expect("a directory");
    let file = home.path().join("password");
    std::fs::write(&file, "secret\n").expect("written");
    let server = Server::start(&["--root-password-file", file.to_str().expect("text")]);
    let with = server
        .command(&["--quiet", "--format", "csv", "-e", "SELECT 1 AS a"])
        .env("EDDYLINE_PASSWORD", "secret")
        .stdin(Stdio::null())
        .output();
    assert_eq!(out(&with.expect("started")), "a\n1\n");
    let without = server
        .command(&["-e", "SELECT 1"])
        .env("EDDYLINE_PASSWORD", "wrong")
        .stdin(Stdio::null())
        .output()
        .expect("started");
    assert_eq!(without.status.code(), Some(2));
    assert!(err(&without).contains("28P01"), "{}", err(&without));
    let none = err(&server.sql(&["-e", "SELECT 1"]));
    assert!(none.contains("28P01: the server asks for a password") && none.contains("EDDYLINE_PASSWORD=…"), "{none}");
    let told = err(&server.sql(&["--tls-ca", file.to_str().expect("text"), "-e", "SELECT 1"]));
    assert!(told.contains(&format!("{}: there is no certificate in it", file.display())), "{told}");
}

/// Types a line; rexpect's own waits for an echo that colours cut into pieces.
fn say(shell: &mut PtySession, line: &str) {
    shell.send_line(line).expect("typed");
}

#[test]
fn ctrl_c_ends_what_the_server_does_and_not_the_shell() {
    let server = Server::start(&[]);
    let made = server.sql(&["-e", "CREATE TABLE t (k INT PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'first')"]);
    assert!(made.status.success(), "{}", err(&made));
    let mut shell = server.typed(&["-i", "--format", "changelog"]);
    shell.exp_string("eddyline> ").expect("a prompt");
    say(&mut shell, "SUBSCRIBE TO t;");
    shell.exp_string("+I\x1b[0m | 1 | first").expect("the rows that are there");
    let changed = server.sql(&["-e", "UPDATE t SET v = 'second'"]);
    assert!(changed.status.success(), "{}", err(&changed));
    shell.exp_string("-U\x1b[0m | 1 | first").expect("what goes");
    shell.exp_string("+U\x1b[0m | 1 | second").expect("what comes");
    shell.send_control('c').expect("pressed");
    shell.exp_string("stopped").expect("the end");
    shell.exp_string("eddyline> ").expect("a prompt");
    let long =
        "SELECT COUNT(*) FROM generate_series(1, 3000) a, generate_series(1, 3000) b, generate_series(1, 3000) c;";
    say(&mut shell, &format!("SELECT 7 AS before; {long}"));
    shell.exp_string("1 row (").expect("the answer of the first, behind which the long one begins");
    shell.send_control('c').expect("pressed");
    shell.exp_string("stopped").expect("the end");
    shell.exp_string("eddyline> ").expect("a prompt");
    say(&mut shell, "SELECT 40 + 2 AS answer;");
    shell.exp_string("|     42 |").expect("an answer");
    say(&mut shell, "\\q");
    shell.exp_eof().expect("the end");
}

#[test]
fn a_view_is_shown_as_it_changes() {
    let server = Server::start(&[]);
    let made = server.sql(&[
        "-e",
        "CREATE TABLE t (k INT PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b');\
         CREATE MATERIALIZED VIEW many AS SELECT v, COUNT(*) AS n FROM t GROUP BY v",
    ]);
    assert!(made.status.success(), "{}", err(&made));
    let mut shell = server.typed(&["-i"]);
    shell.exp_string("eddyline> ").expect("a prompt");
    say(&mut shell, "SUBSCRIBE TO many;");
    shell.exp_string("\x1b[?1049h").expect("the other screen");
    shell.exp_string("2 rows").expect("the rows that are there");
    let changed = server.sql(&["-e", "INSERT INTO t VALUES (3, 'b')"]);
    assert!(changed.status.success(), "{}", err(&changed));
    // The row stays where it is: only the cell that has changed is marked.
    shell.exp_string(" b | \x1b[1;33m2\x1b[0m").expect("a marked cell");
    shell.send("q").and_then(|_| shell.flush()).expect("pressed");
    shell.exp_string("\x1b[?1049l").expect("the screen from before");
    shell.exp_string("2 rows when it was stopped").expect("the end");
    say(&mut shell, "\\q");
    shell.exp_eof().expect("the end");
}

#[test]
fn a_shell_connects_anew_when_the_server_has_gone() {
    let server = Server::start(&[]);
    let made = server.sql(&["-e", "CREATE TABLE t (k INT PRIMARY KEY); INSERT INTO t VALUES (1)"]);
    assert!(made.status.success(), "{}", err(&made));
    let mut shell = server.typed(&["-i", "--format", "changelog"]);
    shell.exp_string("eddyline> ").expect("a prompt");
    let address = server.served.sql.clone();
    say(&mut shell, "SUBSCRIBE TO t;");
    shell.exp_string("+I\x1b[0m | 1").expect("the rows that are there");
    drop(server);
    shell.exp_string("the server has ended, or was ended").expect("an error");
    shell.exp_string("eddyline> ").expect("a prompt");
    say(&mut shell, "SELECT 1 AS a;");
    shell.exp_regex("no server answers at|the connection is gone").expect("an error");
    shell.exp_string("eddyline> ").expect("a prompt");
    let _again = Server::start_at(&address, &[]);
    say(&mut shell, "SELECT 40 + 2 AS answer;");
    shell.exp_string("connected anew").expect("a note");
    shell.exp_string("42").expect("an answer");
    say(&mut shell, "\\q");
    shell.exp_eof().expect("the end");
}
