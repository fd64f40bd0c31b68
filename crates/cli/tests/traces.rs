//! Traces: what a collector of OpenTelemetry is sent of statements, requests, jobs and checkpoints; collectors that do not answer.

mod served;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message;
use served::Served;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tokio_postgres::{Client, NoTls};

/// How long to wait for a span before the test gives up.
const WAIT: Duration = Duration::from_secs(60);

/// What a collector was sent in one request.
struct Sent {
    /// In small letters.
    head: String,
    request: ExportTraceServiceRequest,
}

/// A collector on a port of its own.
struct Collector {
    endpoint: String,
    sent: Receiver<Sent>,
    spans: Vec<Span>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("its address"));
        let (send, sent) = channel();
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let send = send.clone();
                std::thread::spawn(move || {
                    while let Some(sent) = take(&socket) {
                        if send.send(sent).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { endpoint, sent, spans: Vec::new() }
    }

    fn take(&mut self, sent: Sent) {
        for of_resource in sent.request.resource_spans {
            self.spans.extend(of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }

    /// The first span that is so, as soon as it has come.
    fn until(&mut self, is: impl Fn(&Span) -> bool) -> Span {
        loop {
            if let Some(found) = self.spans.iter().find(|span| is(span)) {
                return found.clone();
            }
            let sent = self.sent.recv_timeout(WAIT).unwrap_or_else(|_| panic!("no such span among {:?}", self.names()));
            self.take(sent);
        }
    }

    /// The span of this name right below another.
    fn child(&mut self, parent: &Span, name: &str) -> Span {
        let (trace, id) = (parent.trace_id.clone(), parent.span_id.clone());
        self.until(|span| span.trace_id == trace && span.parent_span_id == id && span.name == name)
    }

    fn names(&self) -> Vec<&str> {
        self.spans.iter().map(|span| span.name.as_str()).collect()
    }
}

/// One request, answered; `None`: there are no more.
fn take(socket: &TcpStream) -> Option<Sent> {
    let mut reader = BufReader::new(socket);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
    let mut body = vec![0; length.parse().expect("a number")];
    reader.read_exact(&mut body).expect("the body");
    (&mut &*socket).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ok()?;
    Some(Sent { head, request: ExportTraceServiceRequest::decode(body.as_slice()).expect("spans") })
}

fn value<'s>(attributes: &'s [KeyValue], key: &str) -> Option<&'s Value> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    found.value.as_ref().and_then(|AnyValue { value }| value.as_ref())
}

fn text<'s>(span: &'s Span, key: &str) -> &'s str {
    match value(&span.attributes, key) {
        Some(Value::StringValue(text)) => text,
        other => panic!("{key} of {} is {other:?}", span.name),
    }
}

fn number(span: &Span, key: &str) -> i64 {
    match value(&span.attributes, key) {
        Some(Value::IntValue(number)) => *number,
        other => panic!("{key} of {} is {other:?}", span.name),
    }
}

fn has_failed(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error)
}

fn hexadecimal(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The binary, with nothing of the environment that has to do with traces or proxies.
fn eddyline(variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_eddyline"));
    for (name, _) in std::env::vars_os() {
        let upper = name.to_string_lossy().to_ascii_uppercase();
        if upper.starts_with("OTEL_") || upper.ends_with("_PROXY") || upper == "EDDYLINE_LOG" {
            command.env_remove(name);
        }
    }
    command.envs(variables.iter().copied());
    command
}

/// A server with a data directory, at ports of its own.
struct Server {
    served: Served,
    tokio: tokio::runtime::Runtime,
}

impl Server {
    fn start(directory: &Path, variables: &[(&str, &str)], more: &[&str]) -> Self {
        let mut command = eddyline(variables);
        command.args(["serve", "--listen", "127.0.0.1:0", "--shards", "2", "--data-dir"]).arg(directory.join("data"));
        let served = Served::by(command.arg("--allow-files").arg(directory).args(more));
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("tokio");
        Self { served, tokio }
    }

    fn connect(&self) -> Client {
        let to = format!("host=127.0.0.1 port={} user=root dbname=dev", self.served.port());
        let (client, connection) = self.tokio.block_on(tokio_postgres::connect(&to, NoTls)).expect("connected");
        self.tokio.spawn(connection);
        client
    }

    fn get(&self, path: &str, traceparent: &str) -> String {
        let host = self.served.http_host();
        let mut socket = TcpStream::connect(host).expect("connected");
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {host}\r\ntraceparent: {traceparent}\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("an answer");
        answer
    }

    /// SIGTERM.
    fn stop(self) {
        assert_eq!(self.served.end(), Some(0));
    }
}

#[test]
fn statements_are_spans_with_what_they_consist_of() {
    let home = tempfile::tempdir().expect("a directory");
    let mut collector = Collector::start();
    let endpoint = collector.endpoint.clone();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20sesame"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ];
    let server = Server::start(home.path(), &variables, &[]);
    let client = server.connect();
    let run = |sql: &str| server.tokio.block_on(client.batch_execute(sql));
    run("CREATE TABLE t (k INT, v INT, PRIMARY KEY (k) NOT ENFORCED)").expect("created");
    run("INSERT INTO t VALUES (1, 10), (2, 20), (3, 30)").expect("inserted");
    run("SELECT v FROM t WHERE k > 1").expect("selected");
    let error = run("SELECT 'sesame' FROM nowhere").expect_err("there is no such table");
    assert_eq!(error.code().expect("of the server").code(), "42P01");

    let sent = collector.sent.recv_timeout(WAIT).expect("spans");
    assert!(sent.head.starts_with("post /v1/traces ") && sent.head.contains("content-type: application/x-protobuf"));
    assert!(sent.head.contains("authorization: bearer sesame"), "{}", sent.head);
    let resource = sent.request.resource_spans[0].resource.clone().expect("who sends");
    let of_resource = |key| value(&resource.attributes, key).cloned();
    assert_eq!(of_resource("service.name"), Some(Value::StringValue("eddyline".into())));
    assert_eq!(of_resource("service.version"), Some(Value::StringValue(env!("CARGO_PKG_VERSION").into())));
    collector.take(sent);

    let insert = collector.until(|span| span.name == "INSERT");
    assert_eq!((insert.kind(), insert.parent_span_id.len()), (SpanKind::Server, 0));
    let told = ["db.system.name", "db.namespace", "user.name", "db.operation.name"].map(|key| text(&insert, key));
    assert_eq!(told, ["eddyline", "dev", "root", "INSERT"]);
    assert_eq!(number(&insert, "eddyline.rows"), 3);
    for name in ["plan", "execute", "store"] {
        let part = collector.child(&insert, name);
        assert!(insert.start_time_unix_nano <= part.start_time_unix_nano, "{name}");
        assert!(part.end_time_unix_nano <= insert.end_time_unix_nano, "{name}");
    }
    let select = collector.until(|span| span.name == "SELECT" && !has_failed(span));
    assert_eq!(number(&select, "eddyline.rows"), 2);
    collector.child(&select, "plan");
    collector.child(&select, "execute");
    assert_ne!(select.trace_id, insert.trace_id);

    let failed = collector.until(|span| span.name == "SELECT" && has_failed(span));
    assert_eq!(text(&failed, "db.response.status_code"), "42P01");
    assert!(value(&failed.attributes, "eddyline.rows").is_none());
    // What stands in statements may be secret.
    let everything = format!("{:?}", collector.spans);
    assert!(!everything.contains("sesame") && !everything.contains("nowhere"), "{everything}");
}

#[test]
fn prepared_statements_and_copies_are_spans_and_texts_are_told_where_that_is_asked_for() {
    let home = tempfile::tempdir().expect("a directory");
    let mut collector = Collector::start();
    let endpoint = format!("{}/v1/traces", collector.endpoint);
    let variables = [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
        ("OTEL_SERVICE_NAME", "orders"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ];
    let server = Server::start(home.path(), &variables, &["--trace-text"]);
    let client = server.connect();
    server.tokio.block_on(async {
        client.batch_execute("CREATE TABLE t (k INT, v INT)").await.expect("created");
        let copy = client.copy_in("COPY t FROM STDIN").await.expect("a copy");
        futures::pin_mut!(copy);
        let rows = bytes::Bytes::from_static(b"1\t10\n2\t20\n");
        futures::SinkExt::send(&mut copy, rows).await.expect("sent");
        assert_eq!(copy.finish().await.expect("copied"), 2);
        let statement = client.prepare("SELECT v FROM t WHERE k = $1").await.expect("prepared");
        let row = client.query_one(&statement, &[&2]).await.expect("a row");
        assert_eq!(row.get::<_, i32>(0), 20);
        client.batch_execute("SELECT 'sesame' FROM nowhere").await.expect_err("there is no such table");
    });
    let copy = collector.until(|span| span.name == "COPY");
    assert_eq!((number(&copy, "eddyline.rows"), text(&copy, "db.query.text")), (2, "COPY t FROM STDIN"));
    let select = collector.until(|span| span.name == "SELECT" && !has_failed(span));
    assert_eq!((number(&select, "eddyline.rows"), text(&select, "db.query.text")), (1, "SELECT v FROM t WHERE k = $1"));
    collector.child(&select, "execute");
    // It was planned when it was prepared.
    let prepared: Vec<&Span> = collector.spans.iter().filter(|span| span.name == "prepare").collect();
    let is_of_one = |plan: &&Span| prepared.iter().any(|prepare| prepare.span_id == plan.parent_span_id);
    assert_eq!(collector.spans.iter().filter(|span| span.name == "plan").filter(is_of_one).count(), 1);
    let failed = collector.until(has_failed);
    assert!(failed.status.as_ref().is_some_and(|status| status.message.contains("nowhere")), "{failed:?}");
    assert_eq!(text(&failed, "db.query.text"), "SELECT 'sesame' FROM nowhere");
}

#[test]
fn a_request_goes_on_with_the_trace_that_it_names() {
    let home = tempfile::tempdir().expect("a directory");
    let mut collector = Collector::start();
    let endpoint = collector.endpoint.clone();
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "50")];
    let server = Server::start(home.path(), &variables, &[]);
    assert!(server.get("/health", "00-11111111111111111111111111111111-2222222222222222-01").contains(" 200 "));
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    assert!(server.get("/api/v1/jobs/none", parent).contains(" 404 "));
    let asked = collector.until(|span| span.name == "GET /api/v1/jobs/{job}");
    assert_eq!(hexadecimal(&asked.trace_id), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(hexadecimal(&asked.parent_span_id), "00f067aa0ba902b7");
    assert_eq!((asked.kind(), has_failed(&asked)), (SpanKind::Server, false));
    assert_eq!(number(&asked, "http.response.status_code"), 404);
    assert_eq!(text(&asked, "url.path"), "/api/v1/jobs/none");
    // Who asks not to be traced is not; what names no trace begins one.
    server.get("/api/v1/jobs/none", "00-4bf92f3577b34da6a3ce929d0e0e4737-00f067aa0ba902b7-00");
    server.get("/api/v1/jobs", "nonsense");
    let own = collector.until(|span| span.name == "GET /api/v1/jobs");
    assert!(own.parent_span_id.is_empty());
    assert_eq!(collector.spans.len(), 2, "{:?}", collector.spans);
}

#[test]
fn starts_and_checkpoints_of_jobs_are_spans() {
    let home = tempfile::tempdir().expect("a directory");
    let mut collector = Collector::start();
    let endpoint = collector.endpoint.clone();
    // Nothing is sent before there are many spans, or the end.
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "3600000")];
    let script = home.path().join("job.sql");
    let text_of = |last: u32| {
        format!(
            "CREATE TABLE numbers (v BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '0',
               'fields.v.kind' = 'sequence', 'fields.v.start' = '1', 'fields.v.end' = '{last}');
             CREATE TABLE sums (s BIGINT) WITH ('connector' = 'filesystem', 'path' = '{0}/out', 'format' = 'changelog-json');
             SET 'pipeline.name' = 'sums';
             SET 'state.checkpoints.dir' = '{0}/checkpoints';
             INSERT INTO sums SELECT SUM(v) FROM numbers;",
            home.path().display()
        )
    };
    std::fs::write(&script, text_of(1000)).expect("written");
    let ran = eddyline(&variables).arg("run").arg(&script).output().expect("started");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));

    let run = collector.until(|span| span.name == "run");
    assert_eq!(text(&run, "eddyline.script"), script.display().to_string());
    collector.child(&run, "plan");
    let start = collector.child(&run, "job start");
    assert_eq!((text(&start, "eddyline.job.name"), has_failed(&start)), ("sums", false));
    collector.child(&start, "recovery");
    let checkpoint = collector.until(|span| span.name == "checkpoint");
    assert_eq!(text(&checkpoint, "eddyline.job.name"), "sums");
    assert_eq!(text(&checkpoint, "eddyline.checkpoint.result"), "complete");
    assert_eq!(number(&checkpoint, "eddyline.checkpoint.id"), 1);
    let (new, total) =
        (number(&checkpoint, "eddyline.checkpoint.new_bytes"), number(&checkpoint, "eddyline.checkpoint.total_bytes"));
    // What is written is the manifest too.
    assert!(0 < new && 0 < total, "{new} of {total}");
    let parts =
        ["alignment", "sync", "async"].map(|part| number(&checkpoint, &format!("eddyline.checkpoint.{part}_ms")));
    assert!(parts.iter().all(|part| *part >= 0), "{parts:?}");
    collector.child(&checkpoint, "store");

    // Once more: it starts from the checkpoint.
    let ran = eddyline(&variables).arg("run").arg(&script).output().expect("started");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let id = number(&checkpoint, "eddyline.checkpoint.id");
    let again = collector.until(|span| span.name == "job start" && span.span_id != start.span_id);
    assert_eq!(number(&again, "eddyline.checkpoint.id"), id);
}

#[test]
fn the_last_spans_are_sent_when_the_server_ends() {
    let home = tempfile::tempdir().expect("a directory");
    let mut collector = Collector::start();
    let endpoint = collector.endpoint.clone();
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "3600000")];
    let server = Server::start(home.path(), &variables, &[]);
    let client = server.connect();
    let made = "CREATE TABLE t (k INT); CREATE MATERIALIZED VIEW v AS SELECT COUNT(*) AS n FROM t; SHOW TABLES";
    server.tokio.block_on(client.batch_execute(made)).expect("answered");
    server.stop();
    collector.until(|span| span.name == "SHOW");
    // The next one waits for the view.
    Server::start(home.path(), &variables, &[]).stop();
    let recovery = collector.until(|span| span.name == "view recovery");
    assert_eq!(text(&recovery, "eddyline.view"), "v");
    collector.child(&recovery, "plan");
}

fn selects(variables: &[(&str, &str)]) -> Output {
    let mut command = eddyline(variables);
    command.args(["run", "--quiet", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().expect("started");
    process.stdin.take().expect("its input").write_all(b"SELECT 1 + 1 AS two").expect("written");
    process.wait_with_output().expect("ended")
}

fn warnings(output: &Output) -> usize {
    String::from_utf8_lossy(&output.stderr).lines().filter(|line| line.contains("traces cannot be sent")).count()
}

#[test]
fn a_collector_that_is_not_there_is_told_once_and_nothing_else_changes() {
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    let (undisturbed, endpoint) = (selects(&[]), format!("http://{nobody}"));
    assert_eq!(warnings(&undisturbed), 0);
    // Every span is a batch of its own.
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1")];
    let output = selects(&variables);
    assert_eq!((output.status.code(), &output.stdout), (Some(0), &undisturbed.stdout));
    assert!(!undisturbed.stdout.is_empty());
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(warnings(&output), 1, "{told}");
    assert!(told.contains(&endpoint) && told.contains("refused"), "{told}");
}

#[test]
fn a_collector_that_never_answers_does_not_keep_the_process_from_ending() {
    // Connections are taken by the system, and nobody reads from them.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", silent.local_addr().expect("its address"));
    // It would be waited for until tomorrow.
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_EXPORTER_OTLP_TIMEOUT", "86400000")];
    let output = selects(&variables);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the last spans were not sent"));
}

#[test]
fn a_variable_that_would_not_be_heeded_is_refused() {
    let at = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317");
    let output = selects(&[at, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.starts_with("OTEL_EXPORTER_OTLP_PROTOCOL=grpc: http/protobuf alone is spoken"), "{told}");
    let output = selects(&[at, ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem")]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("/nowhere/ca.pem: No such file"), "{told}");
}
