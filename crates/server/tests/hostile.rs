//! Clients that mean harm, or are broken: bytes that are no messages, messages that lie about their length, statements that are too
//! much. The server closes such connections or answers with an error, and goes on for all others.

use eddyline_engine::{Engine, EngineConfig};
use eddyline_server::{ServerConfig, bind};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// A server in this process; what stands here keeps it.
fn server() -> (SocketAddr, tokio::runtime::Runtime) {
    let jobs = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let engine = Engine::new(EngineConfig { shards: 1, ..EngineConfig::new(jobs.handle().clone()) });
    let bound = jobs.block_on(bind(engine.instance(), &ServerConfig::new(([127, 0, 0, 1], 0).into()))).expect("a port");
    let address = bound.address().expect("an address");
    jobs.spawn(bound.serve());
    (address, jobs)
}

/// Numbers from a seed (SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

fn startup() -> Vec<u8> {
    let body = b"\0\x03\0\0user\0root\0database\0dev\0\0";
    let mut bytes = (body.len() as u32 + 4).to_be_bytes().to_vec();
    bytes.extend(body);
    bytes
}

fn message(letter: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![letter];
    bytes.extend((body.len() as u32 + 4).to_be_bytes());
    bytes.extend(body);
    bytes
}

/// Sends bytes and nothing more, and reads all that comes until the server closes.
fn told(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(address).expect("a connection");
    // The server may have closed already: it owes nothing to what follows.
    let _ = socket.write_all(bytes);
    let _ = socket.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    answer
}

/// What a simple query is answered, by a client that stays until the end.
fn asked(address: SocketAddr, sql: &str) -> String {
    answered(address, &message(b'Q', format!("{sql}\0").as_bytes()))
}

/// What messages are answered.
fn answered(address: SocketAddr, messages: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).expect("a connection");
    socket.write_all(&[&startup(), messages, &message(b'X', b"")].concat()).expect("sent");
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Does the server answer somebody else?
fn lives(address: SocketAddr) -> bool {
    asked(address, "SELECT 41 + 1 AS n").contains("42")
}

/// What a good client sends, to be spoilt.
fn good(chance: &mut Chance) -> Vec<u8> {
    let mut bytes = startup();
    for _ in 0..1 + chance.below(6) {
        bytes.extend(match chance.below(11) {
            0 => message(b'Q', b"SELECT relname FROM pg_class; SELECT 1\0"),
            1 => message(b'P', b"s\0SELECT $1::INT + 1\0\0\x01\0\0\0\x17"),
            2 => message(b'B', b"\0s\0\0\x01\0\x01\0\x01\0\0\0\x04\0\0\0\x07\0\x01\0\x01"),
            3 => message(b'D', b"Ss\0"),
            4 => message(b'E', b"\0\0\0\0\0"),
            5 => message(b'C', b"Ss\0"),
            6 => message(b'Q', b"COPY (SELECT 1) TO STDOUT\0"),
            7 => message(b'p', b"SCRAM-SHA-256\0\0\0\0\x0bn,,n=,r=abc"),
            8 => message(b'Q', b"DECLARE c CURSOR WITH HOLD FOR SELECT 1; FETCH 1 FROM c; CLOSE c\0"),
            9 => message(b'Q', b"SELECT ARRAY[1, 2], CAST(NULL AS ROW<a INT>), E'\\x41', $$x$$, 1.5e3\0"),
            _ => message(b'S', b""),
        });
    }
    bytes
}

/// Seeds from `from` on: as many as are usual, or for as long as `cargo xtask fuzz-wire` says, from where it says.
fn seeds(from: u64, usual: u64) -> impl Iterator<Item = u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let from = number("EDDYLINE_FUZZ_SEED").unwrap_or(from);
    let seconds = number("EDDYLINE_FUZZ_SECONDS").map(Duration::from_secs);
    let begin = Instant::now();
    (from..).take_while(move |seed| match seconds {
        Some(seconds) => begin.elapsed() < seconds,
        None => *seed < from + usual,
    })
}

/// A seed after which nobody is answered is one that harms.
fn check(address: SocketAddr, seed: u64, rounds: u64) {
    if seed.is_multiple_of(rounds) {
        assert!(lives(address), "nobody is answered after seed {seed}, or one of the {rounds} before it");
    }
}

#[test]
fn spoilt_messages_harm_nobody() {
    let (address, _jobs) = server();
    for seed in seeds(0, 300) {
        let mut chance = Chance(seed);
        let mut bytes = good(&mut chance);
        for _ in 0..1 + chance.below(4) {
            // All of a short text may have been taken out.
            if bytes.is_empty() {
                break;
            }
            let at = chance.below(bytes.len());
            match chance.below(5) {
                0 => bytes[at] = chance.next() as u8,
                1 => bytes[at] ^= 1 << chance.below(8),
                2 => bytes.truncate(at + 1),
                3 => {
                    let more: Vec<u8> = (0..chance.below(40)).map(|_| chance.next() as u8).collect();
                    bytes.splice(at..at, more);
                }
                _ => drop(bytes.drain(at..(at + 1 + chance.below(8)).min(bytes.len()))),
            }
        }
        told(address, &bytes);
        check(address, seed, 50);
    }
    assert!(lives(address));
}

#[test]
fn bytes_of_chance_harm_nobody() {
    let (address, _jobs) = server();
    for seed in seeds(1000, 100) {
        let mut chance = Chance(seed);
        let bytes: Vec<u8> = (0..chance.below(300)).map(|_| chance.next() as u8).collect();
        told(address, &bytes);
        // The same behind a good start.
        told(address, &[startup(), bytes].concat());
        check(address, seed, 50);
    }
    assert!(lives(address));
}

/// What is announced is not believed: no memory is taken for it, and the connection ends with an error.
#[test]
fn lengths_that_lie_are_refused() {
    let (address, _jobs) = server();
    let refused = |bytes: &[u8]| {
        let answer = told(address, bytes);
        let text = String::from_utf8_lossy(&answer).into_owned();
        assert!(text.contains("FATAL") && text.contains("08P01"), "{text:?}");
    };
    refused(b"\x7f\xff\xff\xff\0\x03\0\0");
    refused(b"\0\0\0\x03");
    refused(&[startup(), b"Q\x7f\xff\xff\xff".to_vec()].concat());
    refused(&[startup(), b"Q\0\0\0\x01".to_vec()].concat());
    // A Bind of 65,535 values that are not there; a value longer than its message.
    refused(&[startup(), message(b'B', b"\0\0\0\0\xff\xff")].concat());
    refused(&[startup(), message(b'B', b"\0\0\0\0\0\x01\x7f\xff\xff\xff\0\0")].concat());
    refused(&[startup(), message(b'E', b"\xff\0\0\0\0\0")].concat());
    // What is no text is no statement, and the next one may be.
    let two = [message(b'Q', b"SELECT '\xff'\0"), message(b'Q', b"SELECT 'goes' || ' on'\0")].concat();
    let text = answered(address, &two);
    assert!(text.contains("22021") && text.contains("goes on") && !text.contains("FATAL"), "{text:?}");
    assert!(lives(address));
}

/// Statement, SQLSTATE.
const REFUSED: [(&str, &str); 14] = [
    ("COPY t FROM '/etc/passwd'", "0A000"),
    ("COPY t FROM PROGRAM 'id'", "0A000"),
    ("COPY t TO '/tmp/x'", "0A000"),
    ("COPY (SELECT 1) TO PROGRAM 'cat > /tmp/x'", "0A000"),
    ("LOAD 'x.so'", "0A000"),
    ("SELECT pg_read_file('/etc/passwd')", "42883"),
    ("SELECT lo_import('/etc/passwd') FROM pg_class", "42883"),
    ("SELECT repeat('x', 2000000000) FROM pg_class", "54000"),
    ("SELECT count(*) FROM generate_series(1, 1000000000) n, pg_class", "54000"),
    ("SELECT count(*) FROM pg_attribute a, pg_attribute b, pg_attribute c", "54000"),
    ("WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n FROM t) SELECT count(*) FROM t, pg_class", "54000"),
    ("SET server_version = '9'", "55P02"),
    ("SELECT set_config('is_superuser', 'off', false)", "55P02"),
    ("SELECT relname FROM pg_class WHERE relname ~ '('", "2201B"),
];

#[test]
fn statements_that_are_too_much_are_refused() {
    let (address, _jobs) = server();
    for (sql, state) in REFUSED {
        let answer = asked(address, sql);
        assert!(answer.contains(&format!("\0C{state}\0")), "{sql}: {answer:?}");
    }
    let deep = format!("SELECT {}1{}", "(".repeat(20_000), ")".repeat(20_000));
    let long = format!("SELECT 1{}", " + 1".repeat(100_000));
    for sql in [deep, long] {
        let answer = asked(address, &sql);
        assert!(answer.contains("\0C54001\0"), "{}", &answer[answer.len().saturating_sub(300)..]);
    }
    assert!(lives(address));
}

/// A client that goes in the midst of a result ends its statement; another's goes on.
#[test]
fn a_client_that_vanishes_holds_nobody_up() {
    let (address, _jobs) = server();
    asked(
        address,
        "CREATE TABLE many (n INT); INSERT INTO many VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9), (10)",
    );
    let endless = "SELECT a.n FROM many a, many b, many c, many d, many e, many f, many g\0";
    for _ in 0..3 {
        let mut socket = TcpStream::connect(address).expect("a connection");
        socket.write_all(&[startup(), message(b'Q', endless.as_bytes())].concat()).expect("sent");
        socket.read_exact(&mut [0; 2000]).expect("the beginning of an answer");
    }
    assert!(lives(address));
}
