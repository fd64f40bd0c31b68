use super::Format;
use super::frontend::{Message, Startup, take, take_startup};
use bytes::{Bytes, BytesMut};

const BYTES_MAX: usize = 1000;

/// A message of a letter.
fn message(letter: u8, body: &[u8]) -> Vec<u8> {
    [&[letter][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat()
}

fn of(bytes: &[u8]) -> Result<Option<Message>, String> {
    take(&mut BytesMut::from(bytes), BYTES_MAX).map_err(|e| e.0)
}

#[test]
fn messages_are_read_when_all_of_them_is_there() {
    let bytes = message(b'Q', b"SELECT 1\0");
    for end in 0..bytes.len() {
        assert_eq!(of(&bytes[..end]), Ok(None));
    }
    assert_eq!(of(&bytes), Ok(Some(Message::Query("SELECT 1".into()))));
    let mut two = BytesMut::from(&[message(b'S', b""), message(b'X', b"")].concat()[..]);
    assert_eq!(take(&mut two, BYTES_MAX), Ok(Some(Message::Sync)));
    assert_eq!(take(&mut two, BYTES_MAX), Ok(Some(Message::Terminate)));
    assert!(two.is_empty());
}

#[test]
fn values_are_read_with_their_formats() {
    let body = b"p\0s\0\0\x01\0\x01\0\x02\xff\xff\xff\xff\0\0\0\x02ab\0\0";
    let values = vec![None, Some(Bytes::from_static(b"ab"))];
    let (portal, statement, formats) = ("p".into(), "s".into(), vec![Format::Binary]);
    let bind = Message::Bind { portal, statement, formats, values, result_formats: Vec::new() };
    assert_eq!(of(&message(b'B', body)), Ok(Some(bind)));
}

#[test]
fn what_is_no_message_is_refused_and_never_kept() {
    assert_eq!(of(&message(b'?', b"")).unwrap_err(), "'?' is no message");
    assert_eq!(of(b"Q\0\0\0\x03").unwrap_err(), "a message of 3 bytes");
    assert!(of(b"Q\x7f\xff\xff\xff").unwrap_err().contains("at most 1000"), "by its length alone");
    assert_eq!(of(&message(b'Q', b"SELECT 1")).unwrap_err(), "a text without an end");
    assert_eq!(of(&message(b'E', b"\xff\0\0\0\0\0")).unwrap_err(), "a text that is not UTF-8");
    assert_eq!(of(&message(b'S', b"x")).unwrap_err(), "message 'S' is longer than what it holds");
    assert!(of(&message(b'B', b"\0\0\0\0\0\x01\x7f\xff\xff\xffab\0\0")).is_err(), "a value longer than its message");
    assert!(of(&message(b'P', b"\0\0\xff\xff")).is_err(), "more types than there are bytes");
}

/// A statement that is no text is an error, in PostgreSQL's words, and no end of the connection.
#[test]
fn statements_that_are_no_text_are_told_of() {
    let query = of(&message(b'Q', b"SELECT '\xe2\x28\xa1'\0"));
    let parse = of(&message(b'P', b"s\0SELECT '\xff'\0\0\x01\0\0\0\x17"));
    match (query, parse) {
        (Ok(Some(Message::NoQuery(query))), Ok(Some(Message::NoStatement(parse)))) => {
            assert_eq!((query.sqlstate, parse.sqlstate), ("22021", "22021"));
            assert_eq!(query.message, "invalid byte sequence for encoding \"UTF8\": 0xe2");
            assert_eq!(parse.message, "invalid byte sequence for encoding \"UTF8\": 0xff");
        }
        other => panic!("{other:?}"),
    }
}

/// Whatever bytes come, nothing but a message or an error comes of them.
#[test]
fn no_bytes_are_too_strange() {
    let mut seed = 7_u64;
    for _ in 0..20_000 {
        let mut bytes = Vec::new();
        for _ in 0..(seed % 40) {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            bytes.push((seed >> 56) as u8);
        }
        seed = seed.wrapping_add(1);
        let letter = b"QPBDCESHXdcfp"[(seed % 13) as usize];
        let _ = of(&bytes);
        let _ = of(&message(letter, &bytes));
        let _ = take_startup(&mut BytesMut::from(&bytes[..]));
    }
}

#[test]
fn a_first_message_is_small() {
    let body = b"\0\x03\0\0user\0root\0\0";
    let bytes = [&(body.len() as u32 + 4).to_be_bytes()[..], body].concat();
    let parameters = vec![("user".to_owned(), "root".to_owned())];
    let startup = take_startup(&mut BytesMut::from(&bytes[..]));
    assert_eq!(startup, Ok(Some(Startup::Session { minor: 0, parameters })));
    assert!(take_startup(&mut BytesMut::from(&b"\0\0\xff\xff\0\x03\0\0"[..])).is_err());
    assert!(take_startup(&mut BytesMut::from(&b"\0\0\0\x08\0\x02\0\0"[..])).unwrap_err().0.contains("version 2"));
    assert_eq!(take_startup(&mut BytesMut::from(&b"\0\0\0\x08\x04\xd2\x16\x2f"[..])), Ok(Some(Startup::Ssl)));
}
