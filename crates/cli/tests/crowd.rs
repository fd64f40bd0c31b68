//! `eddyline serve` among many clients: those that do nothing, those that read a byte now and then, and those that vanish in the middle of whatever
//! they are at. The others are served meanwhile, sessions end, and the server's memory returns.

mod served;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use served::Served;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// What a query may take, of every server here.
const QUERY_MEMORY_MIB: usize = 32;
/// The longest that a condition is waited for before the test gives up.
const PATIENCE: Duration = Duration::from_secs(120);

struct Server(Served);

impl Server {
    fn start() -> Self {
        // The server gets what this process may have.
        let files = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files }).expect("more files");
        Self(Served::start(&["--shards", "2", "--query-memory", &format!("{QUERY_MEMORY_MIB} MB")]))
    }

    /// A client of root.
    fn client(&self) -> Client {
        let mut client = self.stranger();
        client.send(&startup("root"));
        client.answer();
        client
    }

    /// A client that has said nothing yet.
    fn stranger(&self) -> Client {
        Client { socket: TcpStream::connect(&self.0.sql).expect("connected") }
    }

    /// How many clients have a place.
    fn connections(&self) -> usize {
        let mut socket = TcpStream::connect(self.0.http_host()).expect("connected");
        write!(socket, "GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.0.http_host())
            .expect("asked");
        let mut text = String::new();
        socket.read_to_string(&mut text).expect("an answer");
        let line = text.lines().find_map(|line| line.strip_prefix("eddyline_connection_open{protocol=\"postgres\"} "));
        line.expect("it is measured").parse::<f64>().expect("a number") as usize
    }

    /// What the process has of memory.
    fn memory_mib(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.process.id())).expect("its state");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
        line.trim().strip_suffix("kB").expect("in kB").trim().parse::<usize>().expect("a number") >> 10
    }

    /// Waits until this is so.
    fn until(&self, what: &str, is: impl Fn(&Self) -> bool) {
        let begin = Instant::now();
        while !is(self) {
            let (connections, memory_mib) = (self.connections(), self.memory_mib());
            assert!(begin.elapsed() < PATIENCE, "{what}: {connections} connections, {memory_mib} MiB");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until nobody but so many clients has a place, and the memory is as it was.
    fn until_left(&self, clients: usize, memory_mib: usize) {
        self.until("sessions end", |server| server.connections() == clients);
        self.until("memory returns", |server| server.memory_mib() <= memory_mib);
    }
}

/// A client that knows no more of the protocol than it needs.
struct Client {
    socket: TcpStream,
}

impl Client {
    fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).expect("sent");
    }

    /// Sends what there is room for.
    fn send_some(&mut self, bytes: &[u8]) {
        self.socket.set_nonblocking(true).expect("set");
        match self.socket.write(bytes) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => panic!("{error}"),
            _ => {}
        }
    }

    /// Reads up to the end of an answer; the first values of its rows, and the codes of errors.
    fn answer(&mut self) -> Vec<String> {
        let mut found = Vec::new();
        loop {
            let mut head = [0; 5];
            self.socket.read_exact(&mut head).expect("a message");
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize - 4;
            let mut body = vec![0; length];
            self.socket.read_exact(&mut body).expect("all of it");
            match head[0] {
                b'Z' => return found,
                b'D' => {
                    let length = u32::from_be_bytes([body[2], body[3], body[4], body[5]]) as usize;
                    found.push(String::from_utf8_lossy(&body[6..6 + length]).into_owned());
                }
                b'E' => {
                    let code = body.split(|byte| *byte == 0).find_map(|field| field.strip_prefix(b"C"));
                    found.push(String::from_utf8_lossy(code.expect("a code")).into_owned());
                }
                _ => {}
            }
        }
    }

    fn ask(&mut self, sql: &str) -> Vec<String> {
        self.send(&query(sql));
        self.answer()
    }

    /// Waits for a byte of an answer.
    fn read_byte(&mut self) {
        self.socket.read_exact(&mut [0]).expect("a byte");
    }
}

fn startup(user: &str) -> Vec<u8> {
    let body = format!("\0\x03\0\0user\0{user}\0database\0dev\0\0");
    [&(body.len() as u32 + 4).to_be_bytes(), body.as_bytes()].concat()
}

fn message(letter: u8, body: &[u8]) -> Vec<u8> {
    [&[letter][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat()
}

fn query(sql: &str) -> Vec<u8> {
    message(b'Q', format!("{sql}\0").as_bytes())
}

/// A table of numbers, so that `SELECT long` answers 200 MB.
const NUMBERS: &str = "CREATE TABLE numbers AS SELECT CAST(n AS INT) AS n FROM generate_series(1, 200000) AS s(n)";
const LONG: &str = "SELECT REPEAT('x', 1000) || CAST(n AS TEXT) AS long FROM numbers";
/// The same number of rows out of a job.
const LONG_OF_JOB: &str = "SELECT DISTINCT n, REPEAT('x', 10) AS long FROM numbers";
/// Hours of work within one step of a join.
const ENDLESS: &str = "SELECT MAX(a.n + b.n * c.n - d.n * e.n) FROM few a, few b, few c, few d, few e";
const FEW: &str = "CREATE TABLE few AS SELECT n FROM numbers WHERE n <= 800";

/// Some more than the server reads of a client whose statement runs.
const AHEAD_BYTES: usize = 280 << 10;

#[test]
fn two_thousand_idle_clients_take_little_and_leave_nothing() {
    let server = Server::start();
    let mut working = server.client();
    working.ask("CREATE TABLE t (n INT)");
    let crowd = || (0..2000).map(|_| server.client()).collect::<Vec<_>>();
    // What is there from the first time on (threads, stacks, what the allocator keeps) is not a connection's.
    crowd().iter_mut().step_by(10).for_each(|client| drop(client.ask("SELECT COUNT(*) FROM t")));
    server.until("sessions end", |server| server.connections() == 1);
    let before_mib = server.memory_mib();
    let mut clients = crowd();
    assert_eq!(server.connections(), 2001);
    let of_one_kib = server.memory_mib().saturating_sub(before_mib) * 1024 / 2000;
    assert!(of_one_kib < 100, "an idle connection takes {of_one_kib} KiB");
    assert_eq!(working.ask("INSERT INTO t VALUES (1), (2); SELECT COUNT(*) FROM t"), ["2"]);
    // They may still ask.
    for client in clients.iter_mut().step_by(10) {
        assert_eq!(client.ask("SELECT COUNT(*) FROM t"), ["2"]);
    }
    drop(clients);
    server.until_left(1, before_mib + 48);
    assert_eq!(working.ask("SELECT COUNT(*) FROM t"), ["2"]);
}

#[test]
fn clients_that_read_slowly_hold_nothing_up_but_themselves() {
    let server = Server::start();
    let mut working = server.client();
    working.ask(NUMBERS);
    working.ask("CREATE TABLE t (n INT); CREATE MATERIALIZED VIEW total AS SELECT SUM(n) AS n FROM t");
    let before_mib = server.memory_mib();
    let mut slow: Vec<Client> = (0..8).map(|_| server.client()).collect();
    for (at, client) in slow.iter_mut().enumerate() {
        client.send(&query(if at % 2 == 0 { LONG } else { LONG_OF_JOB }));
        client.read_byte();
    }
    let mut sum = 0;
    for n in 1..=20 {
        slow.iter_mut().for_each(Client::read_byte);
        working.ask(&format!("INSERT INTO t VALUES ({n})"));
        sum += n;
        assert_eq!(working.ask("SELECT n FROM total"), [sum.to_string()]);
        let taken_mib = server.memory_mib().saturating_sub(before_mib);
        // Results of 800 MB wait; the four jobs may have their memory.
        assert!(taken_mib < 6 * QUERY_MEMORY_MIB, "{taken_mib} MiB for what nobody reads");
    }
    assert_eq!(working.ask("SELECT COUNT(*) FROM numbers"), ["200000"]);
    drop(slow);
    server.until_left(1, before_mib + 32);
}

#[test]
fn clients_that_vanish_take_everything_along() {
    let server = Server::start();
    let mut working = server.client();
    for sql in [NUMBERS, FEW, "CREATE TABLE t (n INT)", "CREATE USER anna PASSWORD 'pencil'"] {
        assert_eq!(working.ask(sql), [""; 0], "{sql}");
    }
    let before_mib = server.memory_mib();
    for _ in 0..2 {
        vanish_in_the_middle(&server);
        // Whoever was at something has ended it.
        server.until_left(1, before_mib + 48);
        assert_eq!(working.ask("SELECT COUNT(*) FROM t"), ["0"], "what was half sent is not there");
    }
    assert_eq!(working.ask("INSERT INTO t VALUES (1); SELECT COUNT(*) FROM t"), ["1"]);
}

/// A client each that vanishes while it says who it is, sends a statement, waits for one, reads its result, sends rows.
fn vanish_in_the_middle(server: &Server) {
    let mut clients = Vec::new();
    let mut at = |of: &mut dyn FnMut(&mut Client)| {
        let mut client = server.client();
        of(&mut client);
        clients.push(client);
    };
    at(&mut |client| client.send(&query("SELECT 1")[..7]));
    at(&mut |client| client.send(&query(ENDLESS)));
    at(&mut |client| client.send(&query(&format!("CREATE MATERIALIZED VIEW v AS {ENDLESS}"))));
    at(&mut |client| client.send(&query(&format!("INSERT INTO t SELECT n FROM ({ENDLESS}) AS of(n)"))));
    at(&mut |client| client.send(&query("SUBSCRIBE TO numbers")));
    at(&mut |client| {
        client.send(&query(LONG));
        client.read_byte();
    });
    at(&mut |client| {
        client.send(&query(LONG_OF_JOB));
        client.read_byte();
    });
    // Prepared, with a portal that is half read.
    at(&mut |client| {
        let parsed = message(b'P', format!("s\0{LONG}\0\0\0").as_bytes());
        let bound = message(b'B', b"p\0s\0\0\0\0\0\0\0");
        let executed = message(b'E', b"p\0\0\0\0\x05");
        client.send(&[parsed, bound, executed, message(b'H', b"")].concat());
        client.read_byte();
    });
    for half in [&b"1\n2\n3\n"[..], b""] {
        at(&mut |client| {
            client.send(&query("COPY t FROM STDIN"));
            client.read_byte();
            client.send(&message(b'd', b"1\n2\n"));
            client.send(&message(b'd', &[half, &[b'7'; 1000]].concat())[..500]);
        });
    }
    // Statements, one behind the other, more than are read ahead: what the client does then is seen behind them alone.
    at(&mut |client| client.send_some(&query(ENDLESS).repeat(AHEAD_BYTES / ENDLESS.len())));
    at(&mut |client| client.send(&message(b'X', b"")));
    let mut strangers: Vec<Client> = (0..4).map(|_| server.stranger()).collect();
    strangers[1].send(&startup("root")[..9]);
    strangers[2].send(&startup("anna"));
    strangers[2].read_byte();
    strangers[3].send(&[startup("anna"), message(b'p', b"SCRAM-SHA-256\0\0\0\0\x20n,,n=")].concat());
    strangers[3].read_byte();
    drop((clients, strangers));
}
