//! What psql, drivers and tools send by themselves, and what PostgreSQL answers.
//!
//! `tool_statements.jsonl` holds a statement a line, as nine tools have sent them to a PostgreSQL 15, or as the sources of DBeaver,
//! Grafana and Metabase have them, with a table `t1`, a view `v1` and a materialized view `mv1`, and the columns and rows that PostgreSQL
//! has answered; numbers of those objects are `<t1>` and so on. Rows
//! differ from PostgreSQL's in what is different here: databases, extensions and functions that there are not, the texts of
//! defaults and views, which are kept as they were written. Where a statement lists everything (`whole` is false), the rows about those objects must be there.

use eddyline_engine::{Engine, EngineConfig};
use eddyline_server::{ServerConfig, bind};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// A client that speaks the protocol in texts.
struct Client(TcpStream);

/// What a statement is answered.
#[derive(Debug, Default)]
struct Answer {
    columns: Vec<String>,
    types: Vec<u64>,
    rows: Vec<Vec<Option<String>>>,
    copied: String,
    error: Option<String>,
}

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let mut client = Self(TcpStream::connect(address).expect("a connection"));
        let parameters = b"\0\x03\0\0user\0root\0database\0dev\0\0";
        client.0.write_all(&(parameters.len() as u32 + 4).to_be_bytes()).expect("sent");
        client.0.write_all(parameters).expect("sent");
        client.answer();
        client
    }

    fn send(&mut self, letter: u8, body: &[u8]) {
        let mut message = vec![letter];
        message.extend((body.len() as u32 + 4).to_be_bytes());
        message.extend(body);
        self.0.write_all(&message).expect("sent");
    }

    fn simple(&mut self, sql: &str) -> Answer {
        self.send(b'Q', format!("{sql}\0").as_bytes());
        self.answer()
    }

    fn extended(&mut self, sql: &str, parameters: &[Option<String>]) -> Answer {
        self.send(b'P', format!("\0{sql}\0\0\0").as_bytes());
        let mut bind = b"\0\0\0\0".to_vec();
        bind.extend((parameters.len() as u16).to_be_bytes());
        for value in parameters {
            match value {
                None => bind.extend((-1_i32).to_be_bytes()),
                Some(value) => {
                    bind.extend((value.len() as i32).to_be_bytes());
                    bind.extend(value.as_bytes());
                }
            }
        }
        bind.extend(b"\0\0");
        self.send(b'B', &bind);
        self.send(b'D', b"P\0");
        self.send(b'E', b"\0\0\0\0\0");
        self.send(b'S', b"");
        self.answer()
    }

    /// All messages up to that the server is ready.
    fn answer(&mut self) -> Answer {
        let mut answer = Answer::default();
        loop {
            let mut head = [0; 5];
            self.0.read_exact(&mut head).expect("a message");
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
            let mut body = vec![0; length - 4];
            self.0.read_exact(&mut body).expect("a message");
            match head[0] {
                b'Z' => return answer,
                b'T' => (answer.columns, answer.types) = described(&body),
                b'D' => answer.rows.push(row(&body)),
                b'd' => answer.copied += &String::from_utf8_lossy(&body),
                b'E' => answer.error = Some(String::from_utf8_lossy(&body).replace('\0', " ")),
                _ => {}
            }
        }
    }
}

fn described(mut body: &[u8]) -> (Vec<String>, Vec<u64>) {
    let count = u16::from_be_bytes([body[0], body[1]]);
    body = &body[2..];
    let column = |_| {
        let end = body.iter().position(|b| *b == 0).expect("a name");
        let name = String::from_utf8_lossy(&body[..end]).into_owned();
        let of = u32::from_be_bytes(body[end + 7..end + 11].try_into().expect("a type"));
        body = &body[end + 19..];
        (name, u64::from(of))
    };
    (0..count).map(column).unzip()
}

fn row(mut body: &[u8]) -> Vec<Option<String>> {
    let count = u16::from_be_bytes([body[0], body[1]]);
    body = &body[2..];
    let cell = |_| {
        let length = i32::from_be_bytes(body[..4].try_into().expect("a length"));
        body = &body[4..];
        let value = usize::try_from(length).ok().map(|length| String::from_utf8_lossy(&body[..length]).into_owned());
        body = &body[value.as_ref().map_or(0, String::len)..];
        value
    };
    (0..count).map(cell).collect()
}

fn texts(value: &Value) -> Vec<Option<String>> {
    value.as_array().into_iter().flatten().map(|value| value.as_str().map(str::to_owned)).collect()
}

#[test]
fn tools_are_answered_as_by_postgres() {
    let jobs = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let engine = Engine::new(EngineConfig { shards: 1, ..EngineConfig::new(jobs.handle().clone()) });
    let bound = jobs.block_on(bind(engine.instance(), &ServerConfig::new(([127, 0, 0, 1], 0).into()))).expect("a port");
    let address = bound.address().expect("an address");
    jobs.spawn(bound.serve());
    let mut client = Client::connect(address);
    for made in [
        "create table t1(id int primary key, name text default 'x', ts timestamptz)",
        "create materialized view mv1 as select name,count(*) c from t1 group by 1",
        "create view v1 as select * from t1",
    ] {
        assert_eq!(client.simple(made).error, None, "{made}");
    }
    let oid = |client: &mut Client, name: &str| {
        let answer = client.simple(&format!("select '{name}'::regclass::oid"));
        answer.rows[0][0].clone().expect("a number")
    };
    let numbers = ["t1", "mv1", "v1"].map(|name| (format!("<{name}>"), oid(&mut client, name)));
    let with = |text: &str| numbers.iter().fold(text.to_owned(), |text, (name, oid)| text.replace(name, oid));
    let without = |text: String| numbers.iter().fold(text, |text, (name, oid)| text.replace(oid, name));
    let mut wrong = Vec::new();
    for line in include_str!("tool_statements.jsonl").lines() {
        let expected: Value = serde_json::from_str(line).expect("JSON");
        let sql = with(expected["sql"].as_str().expect("a statement"));
        let parameters: Vec<_> = texts(&expected["parameters"]).into_iter().map(|p| p.map(|p| with(&p))).collect();
        let answer = match expected["by"].as_str() {
            Some("extended") => client.extended(&sql, &parameters),
            _ => client.simple(&sql),
        };
        let mut rows: Vec<Vec<Option<String>>> =
            answer.rows.into_iter().map(|row| row.into_iter().map(|cell| cell.map(without)).collect()).collect();
        let mut wanted: Vec<_> = expected["rows"].as_array().into_iter().flatten().map(texts).collect();
        if !sql.to_uppercase().contains("ORDER BY") {
            rows.sort();
            wanted.sort();
        }
        let columns: Vec<Option<String>> = answer.columns.into_iter().map(Some).collect();
        let types: Vec<Value> = answer.types.into_iter().map(Value::from).collect();
        let is_right = answer.error.is_none()
            && columns == texts(&expected["columns"])
            && expected["types"].as_array().is_none_or(|wanted| *wanted == types)
            && expected["copy"].as_str().unwrap_or_default() == answer.copied
            && match expected["whole"] {
                Value::Bool(false) => wanted.iter().all(|row| rows.contains(row)),
                _ => rows == wanted,
            };
        if !is_right {
            let answered = answer.error.unwrap_or_else(|| format!("{columns:?} {types:?} {rows:?}"));
            wrong.push(format!("{sql}\n  parameters {parameters:?}\n  answered {answered}\n  wanted {expected}\n"));
        }
    }
    assert!(wrong.is_empty(), "{} statements are answered otherwise:\n{}", wrong.len(), wrong.join("\n"));
}
