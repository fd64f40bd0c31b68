//! Users over the wire: who is asked for a password, who comes in, who may change users; what is shown of them.

use eddyline_engine::{Engine, EngineConfig, Entrance, Instance, Secret};
use eddyline_server::{ServerConfig, bind};
use eddyline_tls::{Acceptor, Connector};
use std::io::{Read, Write};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// A server in this process, and one that may wait for it.
struct Bench {
    address: SocketAddr,
    instance: Instance,
    tokio: tokio::runtime::Runtime,
}

impl Bench {
    fn start(entrance: Entrance, root_password: Option<&str>, tls: Option<Acceptor>) -> Self {
        let tokio =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let engine = Engine::new(EngineConfig { shards: 1, ..EngineConfig::new(tokio.handle().clone()) });
        let instance = engine.instance();
        if let Some(password) = root_password {
            instance.set_root_password(&Secret(password.into())).expect("set");
        }
        let config = ServerConfig { entrance, tls, ..ServerConfig::new(([127, 0, 0, 1], 0).into()) };
        let bound = tokio.block_on(bind(instance.clone(), &config)).expect("a port");
        let address = bound.address().expect("an address");
        tokio.spawn(bound.serve());
        Self { address, instance, tokio }
    }

    fn usual() -> Self {
        Self::start(Entrance::default(), None, None)
    }

    fn connect(&self, user: &str, password: Option<&str>) -> Result<Connected<'_>, tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.address.port()).user(user).dbname("dev");
        if let Some(password) = password {
            config.password(password);
        }
        let (client, connection) = self.tokio.block_on(config.connect(NoTls))?;
        self.tokio.spawn(connection);
        Ok(Connected { bench: self, client })
    }

    /// Why somebody is not let in.
    fn refused(&self, user: &str, password: Option<&str>) -> (SqlState, String) {
        let error = self.connect(user, password).err().unwrap_or_else(|| panic!("{user} was let in"));
        let told = error.as_db_error().unwrap_or_else(|| panic!("{user}: {error}"));
        (told.code().clone(), told.message().to_owned())
    }
}

struct Connected<'a> {
    bench: &'a Bench,
    client: Client,
}

impl Connected<'_> {
    /// The values of the rows that a statement answers, `|` between them.
    fn rows(&self, sql: &str) -> Result<Vec<String>, tokio_postgres::Error> {
        let messages = self.bench.tokio.block_on(self.client.simple_query(sql))?;
        let row = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|at| row.get(at).unwrap_or("NULL")).collect::<Vec<_>>().join("|"))
            }
            _ => None,
        };
        Ok(messages.iter().filter_map(row).collect())
    }

    fn does(&self, sql: &str) {
        self.rows(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
    }

    /// The SQLSTATE and all texts of an error.
    fn fails(&self, sql: &str) -> (String, String) {
        let error = self.rows(sql).err().unwrap_or_else(|| panic!("{sql} does not fail"));
        let told = error.as_db_error().expect("an error of the server");
        let texts = [Some(told.message()), told.detail(), told.hint()];
        (told.code().code().to_owned(), texts.into_iter().flatten().collect::<Vec<_>>().join(" | "))
    }
}

#[test]
fn who_has_a_password_is_asked() {
    let bench = Bench::usual();
    let root = bench.connect("root", None).expect("root comes in unasked, from this machine");
    root.does("CREATE USER anna WITH PASSWORD 'pen''cil'");
    let anna = bench.connect("anna", Some("pen'cil")).expect("let in");
    assert_eq!(anna.rows("SELECT current_user, session_user, current_user()").expect("rows"), ["anna|anna|anna"]);
    assert_eq!(anna.rows("SELECT current_user FROM pg_roles WHERE rolname = current_user").expect("rows"), ["anna"]);
    // Who is there learns as much as who is not: nothing.
    let wrong = bench.refused("anna", Some("pencil"));
    assert_eq!(wrong, (SqlState::INVALID_PASSWORD, "password authentication failed for user \"anna\"".to_owned()));
    let nobody = bench.refused("bert", Some("pencil"));
    assert_eq!(nobody, (SqlState::INVALID_PASSWORD, "password authentication failed for user \"bert\"".to_owned()));
    // A password is changed and taken away; what was connected stays.
    root.does("ALTER USER anna PASSWORD $$other$$");
    assert_eq!(bench.refused("anna", Some("pen'cil")).0, SqlState::INVALID_PASSWORD);
    drop(bench.connect("anna", Some("other")).expect("let in"));
    root.does("ALTER ROLE anna WITH PASSWORD NULL");
    drop(bench.connect("anna", None).expect("unasked"));
    anna.does("SELECT 1");
    root.does("DROP USER anna; DROP USER IF EXISTS anna");
    assert_eq!(bench.refused("anna", Some("other")).0, SqlState::INVALID_PASSWORD);
}

/// What `\password` of psql sends: the password itself does not go over the wire.
#[test]
fn verifiers_that_clients_compute_are_taken() {
    let bench = Bench::usual();
    let root = bench.connect("root", None).expect("let in");
    assert_eq!(root.rows("SHOW password_encryption").expect("a row"), ["scram-sha-256"]);
    // Of "pencil", computed with Python's hashlib and hmac.
    root.does(
        "ALTER USER root PASSWORD 'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU='",
    );
    drop(bench.connect("root", Some("pencil")).expect("let in"));
    assert_eq!(bench.refused("root", Some("Pencil")).0, SqlState::INVALID_PASSWORD);
    assert!(bench.connect("root", None).is_err(), "a client without a password gives up");
}

/// Statement of anna, SQLSTATE.
const REFUSED: [(&str, &str); 20] = [
    ("CREATE USER carl PASSWORD 'hunter2'", "42501"),
    ("ALTER USER root PASSWORD 'hunter2'", "42501"),
    ("ALTER USER bert PASSWORD 'hunter2'", "42501"),
    ("ALTER USER anna CONNECTION LIMIT 5", "42501"),
    ("DROP USER bert", "42501"),
    ("DROP USER anna", "55006"),
    ("ALTER USER anna PASSWORD ''", "22023"),
    ("ALTER USER anna PASSWORD 'md5aabbccddeeff00112233445566778899'", "22023"),
    ("ALTER USER anna PASSWORD 'SCRAM-SHA-256$1:hunter2$hunter2:hunter2'", "22023"),
    ("ALTER USER anna PASSWORD hunter2", "42601"),
    ("ALTER USER anna PASSWORD 'x' hunter2", "0A000"),
    ("ALTER USER anna 'hunter2'", "0A000"),
    ("ALTER USER anna SUPERUSER PASSWORD 'hunter2'", "0A000"),
    ("ALTER USER anna VALID UNTIL '2030-01-01' PASSWORD 'hunter2'", "0A000"),
    ("ALTER USER anna CONNECTION LIMIT -2", "22023"),
    ("ALTER USER anna RENAME TO hunter2", "0A000"),
    ("ALTER USER anna", "42601"),
    ("CREATE ROLE carl PASSWORD 'hunter2'", "0A000"),
    ("CREATE USER", "42601"),
    ("EXPLAIN CREATE USER carl PASSWORD 'hunter2'", "0A000"),
];

#[test]
fn root_changes_users_and_everyone_the_own_password() {
    let bench = Bench::usual();
    let root = bench.connect("root", None).expect("let in");
    root.does("CREATE ROLE anna LOGIN ENCRYPTED PASSWORD 'pencil'; CREATE USER bert");
    assert_eq!(root.fails("CREATE USER anna").0, "42710");
    assert_eq!(root.fails("DROP USER carl").0, "42704");
    assert_eq!(root.fails("ALTER USER carl PASSWORD 'x'").0, "42704");
    assert_eq!(root.fails("DROP USER root").0, "55006");
    let anna = bench.connect("anna", Some("pencil")).expect("let in");
    for (sql, state) in REFUSED {
        let (found, texts) = anna.fails(sql);
        assert_eq!(found, state, "{sql}: {texts}");
        assert!(!texts.to_lowercase().contains("hunter2"), "{sql}: {texts}");
    }
    anna.does("ALTER USER anna PASSWORD 'pen'");
    drop(bench.connect("anna", Some("pen")).expect("let in"));
    // Prepared, with the same words.
    bench.tokio.block_on(anna.client.execute("ALTER USER anna PASSWORD 'ink'", &[])).expect("changed");
    drop(bench.connect("anna", Some("ink")).expect("let in"));
}

#[test]
fn catalogs_tell_of_users_and_nothing_of_passwords() {
    let bench = Bench::usual();
    let root = bench.connect("root", None).expect("let in");
    root.does("CREATE USER anna PASSWORD 'pencil' CONNECTION LIMIT 3; CREATE USER \"Bert\"");
    let rows = |sql: &str| root.rows(sql).expect("rows");
    assert_eq!(
        rows("SELECT rolname, rolsuper, rolcanlogin, rolconnlimit, rolpassword FROM pg_roles ORDER BY oid"),
        ["root|t|t|-1|NULL", "anna|f|t|3|********", "Bert|f|t|-1|NULL"]
    );
    assert_eq!(rows("SELECT usename, usesuper, passwd FROM pg_user WHERE passwd IS NOT NULL"), ["anna|f|********"]);
    assert_eq!(rows("SELECT rolpassword FROM pg_authid WHERE rolname = 'anna'"), ["********"]);
    assert_eq!(rows("SELECT pg_get_userbyid(oid) FROM pg_roles WHERE oid = 'anna'::regrole"), ["anna"]);
    root.does("ALTER USER anna CONNECTION LIMIT -1");
    assert_eq!(rows("SELECT rolconnlimit FROM pg_roles WHERE rolname = 'anna'"), ["-1"]);
}

#[test]
fn a_user_has_so_many_connections() {
    let bench = Bench::usual();
    let root = bench.connect("root", None).expect("let in");
    root.does("CREATE USER anna PASSWORD 'pencil' CONNECTION LIMIT 1; CREATE USER bert CONNECTION LIMIT 0");
    let first = bench.connect("anna", Some("pencil")).expect("let in");
    assert_eq!(bench.refused("anna", Some("pencil")).0, SqlState::TOO_MANY_CONNECTIONS);
    assert_eq!(bench.refused("bert", None).0, SqlState::TOO_MANY_CONNECTIONS);
    // Who does not know the password learns nothing, and takes no place.
    assert_eq!(bench.refused("anna", Some("pen")).0, SqlState::INVALID_PASSWORD);
    drop(bench.connect("root", None).expect("others are not counted"));
    first.does("SELECT 1");
}

#[test]
fn everyone_is_asked_where_it_is_said() {
    let bench = Bench::start(Entrance { asks_everyone: true, ..Entrance::default() }, Some("secret"), None);
    let root = bench.connect("root", Some("secret")).expect("let in");
    root.does("CREATE USER bert");
    assert_eq!(bench.refused("bert", Some("")).0, SqlState::INVALID_PASSWORD);
    assert_eq!(bench.refused("carl", Some("")).0, SqlState::INVALID_PASSWORD);
}

fn startup(user: &str) -> Vec<u8> {
    let body = format!("\0\x03\0\0user\0{user}\0database\0dev\0\0");
    [&(body.len() as u32 + 4).to_be_bytes()[..], body.as_bytes()].concat()
}

fn message(letter: u8, body: &[u8]) -> Vec<u8> {
    [&[letter][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat()
}

/// A message of a client that does not keep to the exchange, what the server says.
fn strange() -> Vec<(Vec<u8>, &'static str)> {
    let initial = |mechanism: &str, first: &str| {
        let mut body = format!("{mechanism}\0").into_bytes();
        body.extend((first.len() as u32).to_be_bytes());
        body.extend(first.as_bytes());
        message(b'p', &body)
    };
    let good = initial("SCRAM-SHA-256", "n,,n=,r=abc");
    vec![
        (message(b'Q', b"SELECT 1\0"), "C08P01"),
        (message(b'p', b""), "C08P01"),
        (message(b'p', b"secret\0"), "C08P01"),
        (message(b'p', b"SCRAM-SHA-256\0\x7f\xff\xff\xffn,,"), "C08P01"),
        (message(b'p', b"SCRAM-SHA-256\0\xff\xff\xff\xff"), "C08P01"),
        (initial("PLAIN", "n,,n=,r=abc"), "C08P01"),
        (initial("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,n=,r=abc"), "C08P01"),
        (initial("SCRAM-SHA-256", "n,a=other,n=,r=abc"), "C08P01"),
        (message(b'p', &vec![b'x'; 5000]), "C08P01"),
        (b"p\x7f\xff\xff\xff".to_vec(), "C08P01"),
        ([good.clone(), message(b'Q', b"SELECT 1\0")].concat(), "C08P01"),
        ([good.clone(), message(b'p', b"c=biws,r=abc,p=AAAA")].concat(), "C08P01"),
        ([good.clone(), good].concat(), "C08P01"),
        (message(b'X', b""), "C28000"),
    ]
}

#[test]
fn nobody_comes_in_by_strange_answers() {
    let bench = Bench::start(Entrance::default(), Some("secret"), None);
    for user in ["root", "nobody"] {
        for (bytes, state) in strange() {
            let mut socket = std::net::TcpStream::connect(bench.address).expect("a connection");
            socket
                .write_all(&[startup(user), bytes.clone(), message(b'Q', b"SELECT 'come in'\0")].concat())
                .expect("sent");
            let mut answer = Vec::new();
            // It hangs up, maybe before all was sent.
            let _ = socket.read_to_end(&mut answer);
            let answer = String::from_utf8_lossy(&answer).into_owned();
            assert!(answer.contains(state) && !answer.contains("come in"), "{bytes:?}: {answer:?}");
        }
    }
    assert!(bench.instance.users().have_passwords());
    drop(bench.connect("root", Some("secret")).expect("let in"));
}

/// TLS at once, as clients of PostgreSQL 17 may: the protocol is named. (psql encrypts in the tests of the binary.)
#[test]
fn encryption_begins_at_once_where_the_protocol_is_named() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let acceptor = Acceptor::new(certificate.as_bytes(), key.as_bytes(), "postgresql").expect("an acceptor");
    let bench = Bench::start(Entrance::default(), None, Some(acceptor));
    let answer = |protocol: &'static str, asks_first: bool| {
        let (address, certificate) = (bench.address, certificate.clone());
        bench.tokio.block_on(async move {
            let mut socket = tokio::net::TcpStream::connect(address).await?;
            if asks_first {
                socket.write_all(b"\0\0\0\x08\x04\xd2\x16\x2f").await?;
                assert_eq!(socket.read_u8().await?, b'S');
            }
            let connector = Connector::new(Some(certificate.as_bytes()), protocol).expect("a connector");
            let mut stream = connector.connect("localhost", socket).await?;
            stream
                .write_all(&[startup("root"), message(b'Q', b"SELECT 'in' || 'side'\0"), message(b'X', b"")].concat())
                .await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer).into_owned())
        })
    };
    assert!(answer("postgresql", false).expect("an answer").contains("inside"));
    assert!(answer("postgresql", true).expect("an answer").contains("inside"));
    assert!(answer("http/1.1", false).is_err(), "meant for another server");
    // From this machine nobody has to.
    drop(bench.connect("root", None).expect("let in"));
    // What was sent before the answer might be from somebody else.
    let mut socket = std::net::TcpStream::connect(bench.address).expect("a connection");
    socket.write_all(&[b"\0\0\0\x08\x04\xd2\x16\x2f", &startup("root")[..]].concat()).expect("sent");
    let mut told = Vec::new();
    let _ = socket.read_to_end(&mut told);
    assert!(String::from_utf8_lossy(&told).contains("C08P01"), "{told:?}");
}
