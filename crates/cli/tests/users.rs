//! Users, passwords and certificates as they are used: the binary, psql, HTTP.

mod served;

use served::Served;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A server at ports of its own; what it logs goes into a file.
struct Server(Served);

impl Server {
    fn start(log: &Path, args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_eddyline"));
        command.args(["serve", "--shards", "1"]).args(args).env("EDDYLINE_LOG", "trace");
        let log = fs::File::options().create(true).append(true).open(log).expect("a file");
        Self(Served::by(command.stderr(log)))
    }

    fn port(&self) -> &str {
        self.0.port()
    }

    /// The status of an answer over HTTP, and its body.
    fn get(&self, path: &str, authorization: Option<&str>) -> (String, String) {
        let host = self.0.http.strip_prefix("http://").expect("no TLS");
        let mut socket = TcpStream::connect(host).expect("connected");
        let line = authorization.map(|value| format!("Authorization: {value}\r\n")).unwrap_or_default();
        write!(socket, "GET {path} HTTP/1.1\r\nHost: {host}\r\n{line}Connection: close\r\n\r\n").expect("sent");
        let mut text = String::new();
        socket.read_to_string(&mut text).expect("an answer");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).expect("a status");
        assert_eq!(status == "401", head.to_lowercase().contains("www-authenticate: basic"), "{head}");
        (status.to_owned(), body.to_owned())
    }
}

fn psql(parameters: &str, password: &str, script: &str) -> Output {
    let mut command = Command::new("psql");
    command.args(["-X", "-q", "-A", "-t", "-w", "-d", parameters, "-c", script]).env("PGPASSWORD", password);
    command.output().expect("psql is there (scripts/setup.sh installs it)")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn eddyline(args: &[&str], password: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_eddyline"));
    command.args(args).env_remove("EDDYLINE_PASSWORD");
    if let Some(password) = password {
        command.env("EDDYLINE_PASSWORD", password);
    }
    command.output().expect("started")
}

/// Does any file below a directory hold this?
fn holds(directory: &Path, what: &str) -> bool {
    fs::read_dir(directory).expect("a directory").any(|entry| {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => holds(&path, what),
            false => text(&fs::read(&path).expect("a file")).contains(what),
        }
    })
}

#[test]
fn users_outlive_the_server_and_passwords_stand_nowhere() {
    let place = tempfile::tempdir().expect("a directory");
    let (data, log, file) = (place.path().join("data"), place.path().join("log"), place.path().join("password"));
    fs::write(&file, "top-secret\n").expect("written");
    let (data_dir, password_file) = (data.display().to_string(), file.display().to_string());
    let args = ["--listen", "127.0.0.1:0", "--data-dir", &data_dir, "--root-password-file", &password_file];
    let server = Server::start(&log, &args);
    let at = |server: &Server, user: &str| format!("host=127.0.0.1 port={} user={user} dbname=dev", server.port());
    let made = psql(&at(&server, "root"), "top-secret", "CREATE USER anna PASSWORD 'pencil-case'");
    assert!(made.status.success(), "{}", text(&made.stderr));
    // In an error too, and in what is prepared.
    let wrong = psql(&at(&server, "root"), "top-secret", "CREATE USER anna PASSWORD 'pencil-case'");
    assert!(text(&wrong.stderr).contains("user anna exists already"), "{}", text(&wrong.stderr));
    drop(server);
    // kill -9, and again, without the file this time.
    let server = Server::start(&log, &args[..4]);
    let read = psql(&at(&server, "anna"), "pencil-case", "SELECT current_user");
    assert_eq!(text(&read.stdout), "anna\n", "{}", text(&read.stderr));
    let listed = psql(&at(&server, "root"), "top-secret", "\\du");
    let listed = text(&listed.stdout);
    assert!(listed.contains("anna|") && listed.contains("root|Superuser"), "{listed}");
    for (user, password) in [("anna", "pencil"), ("root", "pencil-case"), ("bert", "top-secret")] {
        let refused = text(&psql(&at(&server, user), password, "SELECT 1").stderr);
        assert!(refused.contains(&format!("password authentication failed for user \"{user}\"")), "{refused}");
    }
    drop(server);
    for hidden in ["pencil-case", "top-secret"] {
        assert!(!holds(&data, hidden), "{hidden} is in the data directory");
        assert!(!text(&fs::read(&log).expect("a log")).contains(hidden), "{hidden} is in the log");
    }
    assert!(holds(&data, "SCRAM-SHA-256$"), "what passwords are checked against is where it was looked for");
}

#[test]
fn http_asks_too() {
    let place = tempfile::tempdir().expect("a directory");
    let (log, file) = (place.path().join("log"), place.path().join("password"));
    fs::write(&file, "secret").expect("written");
    let server = Server::start(&log, &["--listen", "127.0.0.1:0", "--root-password-file", &file.display().to_string()]);
    assert_eq!(server.get("/health", None).0, "200");
    assert_eq!(server.get("/ready", None).0, "200");
    // "root:secret", "root:Secret", "nobody:secret", as base64 of coreutils writes them.
    let (right, wrong, nobody) = ("Basic cm9vdDpzZWNyZXQ=", "Basic cm9vdDpTZWNyZXQ=", "Basic bm9ib2R5OnNlY3JldA==");
    for path in ["/metrics", "/api/v1/jobs", "/api/openapi.json", "/nothing", "/health/"] {
        assert_eq!(server.get(path, None).0, "401", "{path}");
        assert_ne!(server.get(path, Some(right)).0, "401", "{path}");
    }
    for authorization in [wrong, nobody, "Basic cm9vdA==", "Basic ?", "Bearer secret", "", "cm9vdDpzZWNyZXQ="] {
        assert_eq!(server.get("/metrics", Some(authorization)).0, "401", "{authorization}");
    }
    let body = server.get("/metrics", Some(wrong)).1;
    assert!(body.contains("28P01") && !body.contains("Secret"), "{body}");

    let asked =
        |user: &[&str], password| eddyline(&[&["jobs", "--server", &server.0.http][..], user].concat(), password);
    assert!(asked(&[], Some("secret")).status.success(), "root, unless somebody else is named");
    assert!(asked(&["--user", "root"], Some("secret")).status.success());
    for (user, password) in
        [(&[][..], None), (&["--user", "root"][..], None), (&["--user", "anna"][..], Some("secret"))]
    {
        let refused = asked(user, password);
        assert!(!refused.status.success());
        assert!(text(&refused.stderr).contains("EDDYLINE_PASSWORD"), "{}", text(&refused.stderr));
    }
}

/// A certificate for this machine, and its key, as files.
fn certificate(place: &Path, name: &str) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
    let files = (place.join(format!("{name}.crt")), place.join(format!("{name}.key")));
    fs::write(&files.0, made.cert.pem()).expect("written");
    fs::write(&files.1, made.signing_key.serialize_pem()).expect("written");
    files
}

#[test]
fn psql_and_http_make_sure_of_the_certificate() {
    let place = tempfile::tempdir().expect("a directory");
    let (own, other) = (certificate(place.path(), "own"), certificate(place.path(), "other"));
    let log = place.path().join("log");
    let file = place.path().join("password");
    fs::write(&file, "secret").expect("written");
    let [cert, key, stranger, file] = [&own.0, &own.1, &other.0, &file].map(|path| path.display().to_string());
    // Where other machines reach it, with a password and a certificate.
    let args = ["--tls-cert", &cert, "--tls-key", &key, "--root-password-file", &file, "--listen", "0.0.0.0:0"];
    let server = Server::start(&log, &[&args[..], &["--http-host", "localhost"]].concat());
    let at =
        |more: &str| format!("host=localhost hostaddr=127.0.0.1 port={} user=root dbname=dev {more}", server.port());
    let trusting = |root: &str| format!("sslmode=verify-full sslrootcert={root}");
    let asked = |more: &str| psql(&at(more), "secret", "SELECT 40 + 2");
    for more in [trusting(&cert), format!("{} channel_binding=require", trusting(&cert)), "sslmode=require".into()] {
        let answered = asked(&more);
        assert_eq!(text(&answered.stdout), "42\n", "{more}: {}", text(&answered.stderr));
    }
    // Many rows too, of which some wait to be encrypted.
    let many =
        psql(&at(&trusting(&cert)), "secret", "SELECT n, repeat('x', 100) FROM generate_series(1, 20000) AS t(n)");
    assert_eq!(text(&many.stdout).lines().count(), 20_000, "{}", text(&many.stderr));
    let untrusted = asked(&trusting(&stranger));
    assert!(text(&untrusted.stderr).contains("certificate verify failed"), "{}", text(&untrusted.stderr));
    // From this machine nobody has to encrypt; without it nothing is bound to a certificate.
    assert_eq!(text(&asked("sslmode=disable").stdout), "42\n");
    assert!(!asked("sslmode=disable channel_binding=require").status.success());

    let port = server.0.http.rsplit(':').next().expect("a port");
    assert!(server.0.http.starts_with("https://"), "{}", server.0.http);
    let jobs = |scheme: &str, root: &str| {
        eddyline(&["jobs", "--server", &format!("{scheme}localhost:{port}"), "--tls-ca", root], Some("secret"))
    };
    let listed = jobs("https://", &cert);
    assert!(listed.status.success(), "{}", text(&listed.stderr));
    assert!(!jobs("https://", &stranger).status.success());
    assert!(!jobs("http://", &cert).status.success());
}

#[test]
fn it_does_not_listen_to_others_without_password_and_certificate() {
    let place = tempfile::tempdir().expect("a directory");
    let (certificate, key) = certificate(place.path(), "own");
    let (empty, password) = (place.path().join("empty"), place.path().join("password"));
    fs::write(&empty, "\n").expect("written");
    fs::write(&password, "secret\n").expect("written");
    let [certificate, key, empty, password] =
        [&certificate, &key, &empty, &password].map(|path| path.display().to_string());
    let refused = |args: &[&str]| {
        let output = eddyline(&[&["serve", "--listen", "0.0.0.0:0"][..], args].concat(), None);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", text(&output.stderr));
        text(&output.stderr)
    };
    assert!(refused(&[]).contains("nothing is encrypted"));
    assert!(refused(&["--root-password-file", &password]).contains("nothing is encrypted"));
    assert!(refused(&["--tls-cert", &certificate, "--tls-key", &key]).contains("no user has a password"));
    assert!(refused(&["--insecure", "--require-passwords"]).contains("no user has one"));
    assert!(refused(&["--tls-cert", &certificate]).contains("--tls-key"));
    assert!(refused(&["--tls-cert", &key, "--tls-key", &key]).contains("there is no certificate in it"));
    assert!(refused(&["--tls-cert", "/nowhere", "--tls-key", &key]).contains("/nowhere"));
    assert!(refused(&["--root-password-file", &empty]).contains("empty"));
    assert!(refused(&["--root-password-file", "/nowhere"]).contains("/nowhere"));
    // The port of HTTP is looked at by itself.
    let http = eddyline(&["serve", "--listen", "127.0.0.1:0", "--http-listen", "0.0.0.0:0"], None);
    assert!(text(&http.stderr).contains("nothing is encrypted"), "{}", text(&http.stderr));
}
