use super::SocketSource;
use crate::testing::{Bench, Lines, failure, request, schema, source};
use crate::{Boundedness, Decoder, Position, Source, SplitReader};
use arrow::datatypes::DataType;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

struct Talk {
    bench: Bench,
    server: TcpStream,
    reader: Box<dyn SplitReader>,
    decoder: Box<dyn Decoder>,
}

fn talk(delimiter: u8) -> Talk {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listener");
    let port = listener.local_addr().expect("address").port();
    let source =
        SocketSource { host: "127.0.0.1".into(), port, delimiter, format: Arc::new(Lines { splittable: true }) };
    assert_eq!(source.boundedness(), Boundedness::Unbounded);
    let split = &source.splits(4).expect("splits")[0];
    let bench = Bench::new();
    let reader = source.open(split, Position(0), &bench.rim).expect("reader");
    let decoder = source.decoder(split).expect("decoder");
    let (server, _) = listener.accept().expect("connection");
    Talk { bench, server, reader, decoder }
}

impl Talk {
    fn say(&mut self, text: &str) {
        self.server.write_all(text.as_bytes()).expect("write");
    }

    fn hear(&mut self) -> Result<Option<String>, crate::ConnectorError> {
        let rows = self.bench.rows(&mut *self.reader, &mut *self.decoder, 100)?;
        Ok(rows.map(|rows| rows.iter().map(|d| crate::testing::lines(d.changes.rows())).collect()))
    }
}

#[test]
fn lines_are_there_as_soon_as_they_are_complete() {
    let mut talk = talk(b'\n');
    talk.say("a\nb\nunfin");
    assert_eq!(talk.hear().expect("rows"), Some("a\nb\n".into()));
    talk.say("ished\nlast");
    assert_eq!(talk.hear().expect("rows"), Some("unfinished\n".into()));
    talk.server.shutdown(std::net::Shutdown::Both).expect("shutdown");
    assert_eq!(talk.hear().expect("rows"), Some("last\n".into()));
    assert_eq!(talk.hear().expect("end"), None);
    assert_eq!(talk.hear().expect("end"), None);
}

#[test]
fn another_delimiter_ends_records() {
    let mut talk = talk(b';');
    talk.say("a;b;");
    assert_eq!(talk.hear().expect("rows"), Some("a\nb\n".into()));
    talk.say("c\n;");
    assert!(failure(talk.hear()).contains("holds a newline though 'byte-delimiter' is 59"));
}

#[test]
fn nobody_there_is_an_error_that_names_the_address() {
    let unused = TcpListener::bind("127.0.0.1:0").expect("listener").local_addr().expect("address").port();
    let source = SocketSource {
        host: "127.0.0.1".into(),
        port: unused,
        delimiter: b'\n',
        format: Arc::new(Lines { splittable: true }),
    };
    let text = failure(Bench::new().read(&source, 1));
    assert!(text.contains(&format!("127.0.0.1:{unused}: ")), "{text}");
}

#[test]
fn options_are_checked() {
    let table = schema(&[("line", DataType::Utf8)]);
    let fail = |pairs: &[(&str, &str)]| {
        let mut all = vec![("connector", "socket")];
        all.extend(pairs);
        failure(source(&all, request(&table)))
    };
    assert!(fail(&[]).contains("option 'hostname' is missing"));
    assert!(fail(&[("hostname", "localhost")]).contains("option 'port' is missing"));
    assert!(fail(&[("hostname", "localhost"), ("port", "x")]).contains("is no port number"));
    let text = fail(&[("hostname", "localhost"), ("port", "1"), ("format", "parquet")]);
    assert!(text.contains("unknown format 'parquet'"), "{text}");
}
