//! `eddyline serve` over HTTP, and the commands that ask it: jobs that are submitted, upgraded, stopped, resumed; metrics; who is let in.

mod served;

use serde_json::{Value, json};
use served::{Served, serve};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// A server with a data directory, at ports of its own.
struct Server {
    served: Served,
    /// Its address for HTTP.
    http: String,
}

impl Server {
    fn start(directory: &Path) -> Self {
        Self::start_with(directory, &[])
    }

    fn start_with(directory: &Path, more: &[&str]) -> Self {
        let mut command = serve(&["--shards", "2", "--data-dir"]);
        let served = Served::by(command.arg(directory).args(more).arg("--allow-files").arg(std::env::temp_dir()));
        let http = served.http_host().to_owned();
        Self { served, http }
    }

    /// SIGKILL.
    fn kill(self) {
        self.served.kill();
    }

    /// One request as it goes over the wire; the status, the head, the body.
    fn raw(&self, request: &str) -> (u16, String, String) {
        let mut socket = TcpStream::connect(&self.http).expect("connected");
        socket.write_all(request.as_bytes()).expect("sent");
        let mut text = String::new();
        socket.read_to_string(&mut text).expect("an answer");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
        (status, head.to_ascii_lowercase(), body.to_owned())
    }

    fn get_text(&self, path: &str) -> (u16, String, String) {
        self.raw(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.http))
    }

    fn get(&self, path: &str) -> (u16, Value) {
        let (status, _, body) = self.get_text(path);
        (status, serde_json::from_str(&body).unwrap_or_else(|e| panic!("{path}: {e}: {body}")))
    }

    fn send(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let (host, body) = (&self.http, body.to_string());
        let (status, _, answer) = self.raw(&format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        (status, serde_json::from_str(&answer).unwrap_or_else(|e| panic!("{path}: {e}: {answer}")))
    }

    /// The binary, told of this server.
    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_eddyline"));
        command.args(args).args(["--server", &self.http]).output().expect("started")
    }

    /// What the binary prints, when all goes well.
    fn told(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    fn job(&self, name: &str) -> Value {
        self.get(&format!("/api/v1/jobs/{name}")).1
    }

    /// Waits until a job is so.
    fn until(&self, name: &str, is: impl Fn(&Value) -> bool) -> Value {
        let begin = Instant::now();
        loop {
            let job = self.job(name);
            if is(&job) {
                return job;
            }
            assert_ne!(job["status"], "FAILED", "{job}");
            assert!(begin.elapsed() < Duration::from_secs(60), "{job}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn psql(&self, script: &str) -> Output {
        let mut command = Command::new("psql");
        command.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-h",
            "127.0.0.1",
            "-p",
            self.served.port(),
            "-U",
            "root",
            "-d",
            "dev",
            "-c",
            script,
        ]);
        command.output().expect("psql is there (scripts/setup.sh installs it)")
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A job that counts numbers up to `last`, and writes how many there are of each `parity`.
fn counting(home: &Path, last: u64, per_second: u64, column: &str) -> (PathBuf, String) {
    let out = home.join("out");
    let script = format!(
        "CREATE TABLE numbers (v BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '{per_second}',
           'fields.v.kind' = 'sequence', 'fields.v.start' = '1', 'fields.v.end' = '{last}');
         CREATE TABLE counts (parity BIGINT, n BIGINT, PRIMARY KEY (parity) NOT ENFORCED)
           WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'changelog-json');
         SET 'execution.checkpointing.interval' = '100 ms';
         INSERT INTO counts SELECT v % 2, {column} FROM numbers GROUP BY v % 2;",
        out.display()
    );
    let file = home.join("counting.sql");
    std::fs::write(&file, &script).expect("written");
    (file, script)
}

/// The last state of each key in the changelog that a job has written, in order.
fn counts(home: &Path) -> Vec<(i64, i64)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(home.join("out")).into_iter().flatten().flatten() {
        let is_hidden = entry.file_name().to_string_lossy().starts_with(['.', '_']);
        if is_hidden || !entry.file_type().is_ok_and(|of| of.is_file()) {
            continue;
        }
        for line in std::fs::read_to_string(entry.path()).unwrap_or_default().lines() {
            let row: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
            let op = row["op"].as_str().expect("a kind").to_owned();
            let weight: i64 = if op.starts_with('+') { 1 } else { -1 };
            found.push(((row["parity"].as_i64().expect("a number"), row["n"].as_i64().expect("a number")), weight));
        }
    }
    let mut net = std::collections::BTreeMap::<(i64, i64), i64>::new();
    found.into_iter().for_each(|(row, weight)| *net.entry(row).or_default() += weight);
    net.retain(|_, weight| *weight != 0);
    assert!(net.values().all(|weight| *weight == 1), "each row is there once: {net:?}");
    net.into_keys().collect()
}

#[test]
fn it_tells_that_it_is_well_and_what_can_be_asked() {
    let home = tempfile::tempdir().expect("a directory");
    let server = Server::start(home.path());
    let (status, head, body) = server.get_text("/health");
    assert_eq!(status, 200, "{body}");
    for header in [
        "content-security-policy: default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "x-content-type-options: nosniff",
        "cache-control: no-store",
        "referrer-policy: no-referrer",
        "cross-origin-resource-policy: same-origin",
    ] {
        assert!(head.contains(header), "{header}\n{head}");
    }
    assert_eq!(server.get("/ready"), (200, json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") })));
    let (status, document) = server.get("/api/openapi.json");
    assert_eq!(status, 200);
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.")), "{document}");
    // Every path is told, and every one that takes nothing is answered.
    let paths = document["paths"].as_object().expect("paths");
    assert_eq!(paths.len(), 10, "{paths:?}");
    for path in paths.keys().filter(|path| !path.contains('{') && *path != "/metrics") {
        assert_eq!(server.get(path).0, 200, "{path}");
    }
    assert!(document["components"]["schemas"]["SubmitRequest"]["properties"]["allow_dropped_state"].is_object());
    let (status, nothing) = server.get("/api/v1/nothing");
    assert_eq!((status, &nothing["error"]["sqlstate"]), (404, &json!("42704")));
    assert_eq!(server.send("PUT", "/api/v1/jobs", &json!({})).0, 405);
    assert_eq!(server.get("/api/v1/jobs/nobody").0, 404);
}

/// A page of another site, and a name that somebody has point at this machine, get nothing and change nothing.
#[test]
fn strangers_are_turned_away() {
    let home = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(home.path(), &["--http-host", "eddyline"]);
    let get = |host: &str, more: &str| {
        let (status, head, body) =
            server.raw(&format!("GET /api/v1/jobs HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n"));
        assert!(head.contains("content-security-policy"), "{head}");
        (status, serde_json::from_str::<Value>(&body).expect("JSON")["error"]["message"].clone())
    };
    let port = server.http.rsplit(':').next().expect("a port").to_owned();
    for known in [format!("127.0.0.1:{port}"), format!("localhost:{port}"), format!("eddyline:{port}")] {
        assert_eq!(get(&known, "").0, 200, "{known}");
    }
    let (status, message) = get(&format!("evil.example:{port}"), "");
    assert_eq!((status, message), (421, json!(format!("this server is not known as \"evil.example:{port}\""))));
    assert_eq!(get(&server.http, "Origin: http://evil.example\r\n").0, 403);
    assert_eq!(get(&server.http, "Sec-Fetch-Site: cross-site\r\n").0, 403);
    assert_eq!(get(&server.http, &format!("Origin: http://{}\r\n", server.http)).0, 200);
    // A form of another page is text, not JSON.
    let form = "POST /api/v1/jobs HTTP/1.1\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 11\r\n";
    let (status, _, body) = server.raw(&format!("{form}Host: {}\r\n\r\n{{\"sql\":\"x\"}}", server.http));
    assert_eq!(status, 415, "{body}");
    let elsewhere = Command::new(env!("CARGO_BIN_EXE_eddyline"))
        .args(["serve", "--listen", "127.0.0.1:0", "--http-listen", "0.0.0.0:0"])
        .output()
        .expect("started");
    assert_eq!(elsewhere.status.code(), Some(2));
    assert!(text(&elsewhere.stderr).contains("reached from other machines"), "{}", text(&elsewhere.stderr));
}

#[test]
fn wrong_requests_say_what_is_wrong() {
    let home = tempfile::tempdir().expect("a directory");
    let server = Server::start(home.path());
    let post = |body: Value| server.send("POST", "/api/v1/jobs", &body);
    let wrong = |body: Value| {
        let (status, answer) = post(body);
        (status, answer["error"]["sqlstate"].as_str().unwrap_or_default().to_owned(), answer)
    };
    let (status, sqlstate, answer) = wrong(json!({ "name": "a", "sql": "CREATE TABLE t (x INT);\nSELEC 1" }));
    assert_eq!((status, sqlstate.as_str()), (422, "42601"), "{answer}");
    assert_eq!(answer["error"]["line"], 2, "{answer}");
    for (sql, sqlstate) in [
        ("SELECT 1", "0A000"),
        ("CREATE TABLE t (x INT)", "0A000"),
        ("SET 'pipeline.name' = 'x'", "22023"),
        ("CREATE TABLE t (x INT) WITH ('connector' = 'blackhole')", "22023"),
        ("INSERT INTO nothing SELECT 1", "42P01"),
    ] {
        let (status, found, answer) = wrong(json!({ "name": "a", "sql": sql }));
        assert_eq!(status, 422, "{sql}: {answer}");
        assert!(answer["error"]["hint"].is_string(), "{sql}: {answer}");
        assert!(found == sqlstate || sqlstate == "22023", "{sql}: {answer}");
    }
    let job = "CREATE TABLE t (x INT) WITH ('connector' = 'blackhole'); INSERT INTO t VALUES (1)";
    for name in ["12", "a/b", "", "a\u{0}"] {
        let (status, found, answer) = wrong(json!({ "name": name, "sql": job }));
        assert_eq!((status, found.as_str()), (422, "22023"), "{name:?}: {answer}");
    }
    assert_eq!(wrong(json!({ "sql": job, "nmae": "a" })).0, 422);
    assert_eq!(server.get("/api/v1/jobs").1, json!({ "jobs": [] }), "nothing is left behind");
    assert_eq!(server.send("POST", "/api/v1/jobs/a/stop", &json!({})).0, 404);
    assert_eq!(server.get("/api/v1/jobs/a/logs?after=x").0, 400);
}

/// The life of a file: submitted, submitted again, changed, stopped, resumed, dropped, with its server killed in between.
#[test]
fn a_submitted_file_is_upgraded_stopped_resumed_and_outlives_its_server() {
    let home = tempfile::tempdir().expect("a directory");
    let data = home.path().join("data");
    let server = Server::start(&data);
    let (file, _) = counting(home.path(), 60_000, 500, "COUNT(*)");
    let file = file.to_str().expect("a path");
    assert_eq!(server.told(&["submit", file]), "job 1 'counting' started\n");
    let again = server.told(&["submit", file]);
    assert_eq!(again, "job 1 'counting' is the same already: nothing was done\n");
    let running = server.until("counting", |job| job["checkpoints"]["complete"].as_u64() > Some(2));
    assert_eq!((&running["status"], &running["is_submitted"]), (&json!("RUNNING"), &json!(true)));
    assert!(running["state_bytes"].as_u64() > Some(0), "{running}");
    assert!(running["operators"].as_array().is_some_and(|all| all.len() > 2), "{running}");
    assert_eq!(running["splits"][0]["table"], "numbers", "{running}");

    // Killed: it goes on, and the name is taken still.
    server.kill();
    let server = Server::start(&data);
    server.until("counting", |job| job["status"] == "RUNNING");
    assert_eq!(server.told(&["submit", file]), "job 1 'counting' is the same already: nothing was done\n");

    // What would lose state is told, and refused; the job is not disturbed.
    counting(home.path(), 60_000, 500, "MAX(v)");
    let told = server.run(&["submit", file, "--dry-run"]);
    let lines = text(&told.stdout);
    assert!(lines.starts_with("job 'counting' would be upgraded; its state:\n"), "{lines}");
    assert!(lines.contains("it would be refused: state would be lost"), "{lines}");
    assert_eq!(told.status.code(), Some(1));
    let refused = server.run(&["submit", file]);
    assert!(!refused.status.success());
    let complaint = text(&refused.stderr);
    assert!(complaint.contains("does not go on with this file: state would be lost"), "{complaint}");
    assert!(complaint.contains("--allow-dropped-state"), "{complaint}");
    assert_eq!(server.job("counting")["status"], "RUNNING");

    // The same query in other words goes on where it was.
    let (_, script) = counting(home.path(), 60_000, 500, "COUNT(*)");
    std::fs::write(file, format!("-- How many there are.\n{script}")).expect("written");
    let upgraded = server.told(&["submit", file]);
    assert!(upgraded.starts_with("job 1 'counting' upgraded; its state:\n  kept: "), "{upgraded}");
    assert!(!upgraded.contains("dropped") && !upgraded.contains("rebuilt"), "{upgraded}");

    // Stopped, it stays stopped, and goes on when it is told to.
    let stopped = server.run(&["stop", "counting"]);
    assert!(stopped.status.success(), "{}", text(&stopped.stderr));
    server.kill();
    let server = Server::start(&data);
    assert_eq!(server.job("counting")["status"], "STOPPED");
    let again = server.told(&["submit", file]);
    assert!(again.contains("STOPPED") && again.contains("eddyline resume"), "{again}");
    assert_eq!(server.send("POST", "/api/v1/jobs/counting/stop", &json!({})).0, 409);
    assert_eq!(server.told(&["resume", "counting"]), "job 1 'counting' goes on\n");
    assert!(!server.run(&["resume", "counting"]).status.success(), "it runs");
    assert!(!server.run(&["drop", "counting"]).status.success(), "it runs");
    // The rest at once: another rate of the same numbers.
    let (_, script) = counting(home.path(), 60_000, 0, "COUNT(*)");
    let upgraded = server.told(&["submit", file]);
    assert!(upgraded.contains("  kept: Source numbers"), "{upgraded}\n{script}");
    server.until("counting", |job| job["status"] == "FINISHED");
    assert_eq!(counts(home.path()), [(0, 30_000), (1, 30_000)]);
    let log = server.told(&["logs", "counting"]);
    assert!(log.contains("job: resumed") && log.contains("job: starts from checkpoint"), "{log}");
    assert!(log.contains("checkpoint: checkpoint ") && log.contains("job: finished: "), "{log}");
    assert_eq!(server.told(&["drop", "counting"]), "job 'counting' dropped\n");
    assert_eq!(server.get("/api/v1/jobs").1, json!({ "jobs": [] }));
    // The name is free.
    counting(home.path(), 10, 0, "COUNT(*)");
    assert_eq!(server.told(&["submit", file, "--dry-run"]), "job 'counting' would be new: it begins afresh\n");
}

/// What an upgrade may lose is known to the job until it has a checkpoint of its own, whatever happens to the process.
#[test]
fn what_was_allowed_outlives_the_server_until_the_first_checkpoint() {
    let home = tempfile::tempdir().expect("a directory");
    let data = home.path().join("data");
    let server = Server::start(&data);
    let (file, _) = counting(home.path(), 1_000_000, 500, "COUNT(*)");
    let name = file.to_str().expect("a path");
    server.told(&["submit", name]);
    server.until("counting", |job| job["checkpoints"]["complete"].as_u64() > Some(1));
    // Without a checkpoint until somebody asks.
    let (_, script) = counting(home.path(), 1_000_000, 500, "MAX(v)");
    let seldom = script.replace("'100 ms'", "'1 h'");
    std::fs::write(&file, &seldom).expect("written");
    let upgraded = server.told(&["submit", name, "--allow-dropped-state"]);
    assert!(upgraded.contains("dropped") || upgraded.contains("rebuilt"), "{upgraded}");
    assert_eq!(
        server.told(&["submit", name, "--dry-run"]),
        "job 'counting' is the same already: nothing would be done\n"
    );
    server.kill();
    let server = Server::start(&data);
    let running = server.until("counting", |job| job["status"] == "RUNNING");
    assert_eq!(running["checkpoints"]["complete"], json!(0), "{running}");
    // The permission ends with the first checkpoint, at the latest that of its end.
    server.told(&["stop", "counting"]);
    server.told(&["resume", "counting"]);
    std::fs::write(&file, seldom.replace("MAX(v)", "MIN(v)")).expect("written");
    let refused = text(&server.run(&["submit", name]).stderr);
    assert!(refused.contains("state would be lost"), "{refused}");
}

/// A job that has failed: no savepoint is made of it, and its file begins it again.
#[test]
fn a_job_that_has_failed_is_begun_again_by_its_file() {
    let home = tempfile::tempdir().expect("a directory");
    let data = home.path().join("data");
    let server = Server::start(&data);
    let (file, script) = counting(home.path(), 60_000, 500, "COUNT(*)");
    std::fs::write(&file, format!("SET 'restart-strategy.type' = 'none';\n{script}")).expect("written");
    let name = file.to_str().expect("a path");
    server.told(&["submit", name]);
    server.until("counting", |job| job["checkpoints"]["complete"].as_u64() > Some(2));
    let (out, aside) = (home.path().join("out"), home.path().join("aside"));
    std::fs::rename(&out, &aside).expect("out of the way");
    std::fs::write(&out, "in the way").expect("written");
    while server.job("counting")["status"] != "FAILED" {
        std::thread::sleep(Duration::from_millis(20));
    }
    let point = home.path().join("point");
    for more in [&["--savepoint", point.to_str().expect("a path")][..], &["--drain"]] {
        let refused = server.run(&[&["stop", "counting"], more].concat());
        assert_eq!(refused.status.code(), Some(1), "{}", text(&refused.stdout));
        assert!(text(&refused.stderr).contains("job 'counting' has failed"), "{}", text(&refused.stderr));
    }
    assert!(!point.exists());
    assert_eq!(server.job("counting")["status"], "FAILED");
    std::fs::remove_file(&out).expect("removed");
    std::fs::rename(&aside, &out).expect("back again");
    let told = server.told(&["submit", name, "--dry-run"]);
    assert!(told.starts_with("job 'counting' has failed, and would go on; its state:\n  kept: "), "{told}");
    assert_eq!(server.told(&["submit", name]), "job 1 'counting' is the same, and goes on\n");
    server.until("counting", |job| job["status"] == "RUNNING");

    // No checkpoint is whole: the hint names what is to be done, and that helps.
    server.told(&["stop", "counting"]);
    let mut damaged = 0;
    let mut directories = vec![data.join("jobs")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
            match entry.path() {
                path if path.is_dir() => directories.push(path),
                path if path.ends_with("manifest") => {
                    std::fs::write(path, "no manifest").expect("written");
                    damaged += 1;
                }
                _ => {}
            }
        }
    }
    assert!(damaged > 0, "there are checkpoints");
    let refused = server.run(&["resume", "counting"]);
    let hint = text(&refused.stderr);
    assert!(hint.contains("submit its file again with --allow-fresh (--name 'counting')"), "{hint}");
    assert_eq!(server.told(&["submit", name, "--allow-fresh"]), "job 1 'counting' is the same, and goes on\n");
}

/// Before there is a checkpoint, what would become of the state is told by the two texts.
#[test]
fn a_dry_run_needs_no_checkpoint() {
    let home = tempfile::tempdir().expect("a directory");
    let server = Server::start(&home.path().join("data"));
    let (file, _) = counting(home.path(), 60_000, 500, "COUNT(*)");
    let seldom = |aggregate: &str| {
        let (_, script) = counting(home.path(), 60_000, 500, aggregate);
        std::fs::write(&file, script.replace("'100 ms'", "'1 h'")).expect("written");
    };
    seldom("COUNT(*)");
    let name = file.to_str().expect("a path");
    assert_eq!(server.told(&["submit", name]), "job 1 'counting' started\n");
    let running = server.until("counting", |job| job["status"] == "RUNNING");
    assert_eq!(running["checkpoints"]["complete"], json!(0), "{running}");
    seldom("MAX(v)");
    let told = server.run(&["submit", name, "--dry-run"]);
    let lines = text(&told.stdout);
    assert!(
        lines.contains("kept: Source numbers") && lines.contains("it would be refused: state would be lost"),
        "{lines}"
    );
    assert_eq!(told.status.code(), Some(1));
    let refused = text(&server.run(&["submit", name]).stderr);
    assert!(refused.contains("of the checkpoint that it would be stopped at"), "{refused}");
    assert_eq!(server.job("counting")["status"], "RUNNING");
}

/// A job whose files cannot be written for a while is started again until they can, and says why all the while.
#[test]
fn a_job_that_fails_is_started_again_and_says_why() {
    let home = tempfile::tempdir().expect("a directory");
    let server = Server::start(&home.path().join("data"));
    let (file, script) = counting(home.path(), 60_000, 500, "COUNT(*)");
    let patient = "SET 'restart-strategy.exponential-delay.initial-backoff' = '20 ms';";
    std::fs::write(&file, format!("{patient}\n{script}")).expect("written");
    server.told(&["submit", file.to_str().expect("a path")]);
    server.until("counting", |job| job["checkpoints"]["complete"].as_u64() > Some(2));
    let (out, aside) = (home.path().join("out"), home.path().join("aside"));
    std::fs::rename(&out, &aside).expect("out of the way");
    std::fs::write(&out, "in the way").expect("written");
    let failing = server.until("counting", |job| job["restarts"].as_u64() > Some(1));
    let why = failing["error"]["message"].as_str().expect("a reason").to_owned();
    assert!(why.contains("counts") || why.contains("out"), "{why}");
    std::fs::remove_file(&out).expect("removed");
    std::fs::rename(&aside, &out).expect("back again");
    let before = server.job("counting")["checkpoints"]["complete"].as_u64();
    let well = server.until("counting", |job| {
        job["status"] == "RUNNING" && job["checkpoints"]["complete"].as_u64() > before.map(|n| n + 1)
    });
    assert!(well["error"]["message"].is_string(), "what went wrong is told still: {well}");
    let log = server.told(&["logs", "counting"]);
    assert!(log.contains("WARN  job: failed: ") && log.contains("it is started again in 20ms"), "{log}");
    assert!(
        server
            .get_text("/metrics")
            .2
            .contains("eddyline_job_restarts_total{database=\"dev\",job_id=\"1\",job_name=\"counting\"} ")
    );
    // The rest at once: every number counts once.
    counting(home.path(), 60_000, 0, "COUNT(*)");
    server.told(&["submit", file.to_str().expect("a path")]);
    server.until("counting", |job| job["status"] == "FINISHED");
    assert_eq!(counts(home.path()), [(0, 30_000), (1, 30_000)]);
}

/// A savepoint over HTTP, and a job that begins at it under another name.
#[test]
fn savepoints_are_made_and_begun_at() {
    let home = tempfile::tempdir().expect("a directory");
    let server = Server::start(&home.path().join("data"));
    let (file, _) = counting(home.path(), 1_000_000, 500, "COUNT(*)");
    let file = file.to_str().expect("a path");
    server.told(&["submit", file, "--name", "first"]);
    server.until("first", |job| job["rows_in"].as_u64() > Some(100));
    let place = home.path().join("point");
    let made = server.told(&["savepoint", "first", place.to_str().expect("a path")]);
    assert_eq!(made.trim(), place.display().to_string());
    let (status, stopped) =
        server.send("POST", "/api/v1/jobs/1/stop", &json!({ "savepoint": { "directory": home.path() } }));
    assert_eq!(status, 200, "{stopped}");
    let last = stopped["savepoint"]["location"].as_str().expect("a place").to_owned();
    assert_eq!(server.job("first")["savepoint"], json!(last));
    let told = server.told(&["submit", file, "--name", "second", "--from", &last, "--json"]);
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!((&told["verdict"], &told["id"]), (&json!("started"), &json!(2)), "{told}");
    let log = server.told(&["logs", "second", "--json"]);
    assert!(log.contains("starts from a savepoint"), "{log}");
    let both = json!({ "path": "/x", "directory": "/y" });
    assert_eq!(server.send("POST", "/api/v1/jobs/second/savepoint", &both).0, 422);
    assert_eq!(server.send("POST", "/api/v1/jobs/first/savepoint", &json!({})).0, 409);
}

/// The same in SQL.
#[test]
fn jobs_belong_to_databases() {
    let home = tempfile::tempdir().expect("a directory");
    let (data, (_, sql)) = (home.path().join("data"), counting(home.path(), 1_000_000, 500, "COUNT(*)"));
    let server = Server::start(&data);
    assert!(server.psql("CREATE DATABASE shop").status.success());
    let request = json!({"name": "counting", "sql": sql});
    let (status, answer) = server.send("POST", "/api/v1/jobs?database=shop", &request);
    assert_eq!((status, &answer["verdict"]), (201, &json!("started")), "{answer}");
    // It is listed with its database, and is another one's job by no name.
    let (_, list) = server.get("/api/v1/jobs");
    assert_eq!(
        (&list["jobs"][0]["database"], &list["jobs"][0]["name"]),
        (&json!("shop"), &json!("counting")),
        "{list}"
    );
    assert_eq!(server.get("/api/v1/jobs/counting").0, 404);
    assert_eq!(server.get("/api/v1/jobs/counting?database=shop").1["database"], "shop");
    assert_eq!(server.get("/api/v1/jobs/counting?database=none").1["error"]["sqlstate"], "3D000");
    assert_eq!(text(&server.psql("SHOW JOBS").stdout), "");
    server.kill();
    // It goes on in its database.
    let server = Server::start(&data);
    assert_eq!(server.get("/api/v1/jobs/counting?database=shop").0, 200);
    assert!(!server.run(&["stop", "counting"]).status.success());
    server.told(&["stop", "counting", "--database", "shop"]);
    assert!(server.told(&["logs", "counting", "-n", "1", "--database", "shop"]).contains("stop"));
    // A database goes with its jobs.
    let dropped = server.psql("DROP DATABASE shop");
    assert!(dropped.status.success(), "{}", text(&dropped.stderr));
    assert_eq!(server.get("/api/v1/jobs").1["jobs"], json!([]));
}

#[test]
fn jobs_in_sql() {
    let home = tempfile::tempdir().expect("a directory");
    let server = Server::start(&home.path().join("data"));
    let (_, script) = counting(home.path(), 1_000_000, 500, "COUNT(*)");
    let submit = format!("SET sql.dialect = 'flink'; SUBMIT JOB 'c' AS $${script}$$");
    let submitted = server.psql(&submit);
    assert!(text(&submitted.stderr).contains("job 1 'c' started"), "{}", text(&submitted.stderr));
    server.until("c", |job| job["checkpoints"]["complete"].as_u64() > Some(1));
    let shown = text(&server.psql("SHOW JOBS").stdout);
    let columns: Vec<&str> = shown.trim().split('|').collect();
    assert_eq!((columns.len(), &columns[..3]), (14, ["1", "c", "RUNNING"].as_slice()), "{shown}");
    assert!(text(&server.psql("EXPLAIN JOB 'c'").stdout).contains("GroupAggregate"));
    assert!(text(&server.psql("SHOW LOGS FOR JOB 'c'").stdout).contains("starts afresh, on 2 shards"));
    let checkpoints = text(&server.psql("SHOW CHECKPOINTS FOR JOB 'c'").stdout);
    assert!(checkpoints.lines().count() > 1 && checkpoints.starts_with("c|1|"), "{checkpoints}");
    let dry = |script: &str| {
        let run = format!("SET sql.dialect = 'flink'; SUBMIT JOB 'c' AS $${script}$$ WITH DRY RUN");
        text(&server.psql(&run).stdout)
    };
    assert_eq!(dry(&script), "job 'c' is the same already: nothing would be done\n");
    let others = dry(&format!("-- In other words.\n{script}"));
    assert!(others.contains("kept: GroupAggregate"), "{others}");
    let done =
        server.psql("STOP JOB 'c'; RESUME JOB 'c'; STOP JOB 'c'; DROP JOB 'c'; DROP JOB IF EXISTS 'c'; SHOW JOBS");
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert_eq!(text(&done.stdout), "");
    let wrong = text(&server.psql("RESUME JOB 'c'").stderr);
    assert!(wrong.contains("there is no job 'c' here"), "{wrong}");
}

/// Prometheus reads what jobs, operators, splits, checkpoints and connections do, and the dashboard asks for what there is.
#[test]
fn metrics_are_those_of_the_dashboard() {
    let home = tempfile::tempdir().expect("a directory");
    let server = Server::start(&home.path().join("data"));
    let script = "CREATE TABLE clicks (k BIGINT, at AS LOCALTIMESTAMP, WATERMARK FOR at AS at)
           WITH ('connector' = 'datagen', 'rows-per-second' = '500', 'fields.k.min' = '1', 'fields.k.max' = '7');
         CREATE TABLE out (k BIGINT, n BIGINT) WITH ('connector' = 'blackhole');
         SET 'execution.checkpointing.interval' = '100 ms';
         INSERT INTO out SELECT k, COUNT(*) FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(at), INTERVAL '1' SECOND))
           GROUP BY k, window_start, window_end;";
    let name = "a \"quoted\\name\"\u{e4}";
    for name in [name, "other"] {
        let (status, answer) = server.send("POST", "/api/v1/jobs", &json!({ "name": name, "sql": script }));
        assert_eq!(status, 201, "{answer}");
    }
    server.until("2", |job| job["checkpoints"]["complete"].as_u64() > Some(0) && job["watermark_ms"].is_i64());
    server.until("1", |job| job["checkpoints"]["complete"].as_u64() > Some(0) && job["watermark_ms"].is_i64());
    let (status, head, metrics) = server.get_text("/metrics");
    assert_eq!(status, 200, "{metrics}");
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    let label = "job_name=\"a \\\"quoted\\\\name\\\"\u{e4}\"";
    assert!(
        metrics.contains(&format!("eddyline_job_state{{database=\"dev\",job_id=\"1\",{label},state=\"RUNNING\"}} 1.0")),
        "{metrics}"
    );
    let families: Vec<&str> = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let mut unique = families.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(families.len(), unique.len(), "every name is told once");
    let has = |name: &str| metrics.lines().any(|line| line.split(['{', ' ']).next() == Some(name));
    for name in [
        "eddyline_job_input_rows_total",
        "eddyline_job_watermark_lag_seconds",
        "eddyline_operator_busy_seconds_total",
        "eddyline_split_input_rows_total",
        "eddyline_checkpoint_last_duration_seconds",
        "eddyline_connection_open",
    ] {
        assert!(has(name), "{name}\n{metrics}");
    }
    // Every name that the dashboard asks for is there, and so is every one that the page tells of.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    let dashboard: Value = serde_json::from_str(&read("docker/grafana/dashboards/eddyline.json")).expect("JSON");
    let asked: Vec<String> = names_in(&dashboard.to_string());
    assert!(asked.len() > 10, "{asked:?}");
    for name in asked
        .into_iter()
        .chain(names_in(&read("docs/metrics.md")))
        .chain(names_in(&read("docker/prometheus-rules.yml")))
    {
        assert!(has(&name), "{name} is asked for, and there is no such metric");
    }
    // And every one that there is stands on the page.
    let page = read("docs/metrics.md");
    for family in families {
        let (name, kind) = family.split_once(' ').expect("a name and a kind");
        let name = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
        assert!(page.contains(&format!("`{name}`")), "{name} is not told of in docs/metrics.md");
    }
}

/// Names of metrics in a text.
fn names_in(text: &str) -> Vec<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit();
    let mut found: Vec<String> = text
        .match_indices("eddyline_")
        .filter(|(at, _)| !text[..*at].ends_with(is_part))
        .map(|(at, _)| text[at..].chars().take_while(|c| is_part(*c)).collect::<String>())
        .filter(|name| name != "eddyline_")
        .collect();
    found.sort();
    found.dedup();
    found
}
