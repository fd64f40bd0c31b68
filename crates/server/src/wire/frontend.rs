//! What clients send. Every length is checked before anything is kept.

use super::{Format, ProtocolError, not_utf8};
use bytes::{Buf, Bytes, BytesMut};
use eddyline_engine::SqlError;

/// Bytes that a first message may have: nobody is known yet.
const STARTUP_BYTES_MAX: usize = 10_000;
const SSL: u32 = 80_877_103;
const GSS: u32 = 80_877_104;
const CANCEL: u32 = 80_877_102;

/// The first message of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Startup {
    /// May we speak TLS?
    Ssl,
    /// May we speak GSSAPI?
    Gss,
    /// Cancel what another connection is at.
    Cancel {
        /// Which connection.
        process: u32,
        /// What only its client knows.
        secret: u32,
    },
    /// A session.
    Session {
        /// Version of the protocol, behind the 3.
        minor: u16,
        /// `user`, `database`, settings.
        parameters: Vec<(String, String)>,
    },
}

/// A message of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Message {
    /// Statements, to be executed at once.
    Query(String),
    /// A statement, to be prepared.
    Parse {
        /// The name that it gets; empty for the one without.
        name: String,
        /// The statement.
        sql: String,
        /// Types of parameters, 0 for those that the server is to find out.
        types: Vec<u32>,
    },
    /// Values for the parameters of a prepared statement.
    Bind {
        /// The name that the portal gets.
        portal: String,
        /// The prepared statement.
        statement: String,
        /// Formats of the values.
        formats: Vec<Format>,
        /// The values.
        values: Vec<Option<Bytes>>,
        /// Formats of the columns of the result.
        result_formats: Vec<Format>,
    },
    /// What does a statement take, and give?
    DescribeStatement(String),
    /// What does a portal give?
    DescribePortal(String),
    /// Rows of a portal.
    Execute {
        /// The portal.
        portal: String,
        /// How many at most; 0 for all.
        rows_max: usize,
    },
    /// A statement is not needed any more.
    CloseStatement(String),
    /// A portal is not needed any more.
    ClosePortal(String),
    /// The end of messages that belong together.
    Sync,
    /// Send what there is.
    Flush,
    /// The session ends.
    Terminate,
    /// Rows of COPY.
    CopyData(Bytes),
    /// The rows of COPY are at their end.
    CopyDone,
    /// The rows of COPY are not to be taken, and why.
    CopyFail(String),
    /// A password, or the answer to a challenge.
    Password(Bytes),
    /// A query that is no text.
    NoQuery(SqlError),
    /// A statement to be prepared that is no text.
    NoStatement(SqlError),
}

/// Takes the first message, when all of it is there.
///
/// # Errors
/// Bytes that are none.
pub(crate) fn take_startup(buffer: &mut BytesMut) -> Result<Option<Startup>, ProtocolError> {
    let Some(length) = buffer.first_chunk::<4>().map(|b| u32::from_be_bytes(*b) as usize) else { return Ok(None) };
    if !(8..=STARTUP_BYTES_MAX).contains(&length) {
        return Err(ProtocolError(format!("a first message of {length} bytes")));
    }
    if buffer.len() < length {
        return Ok(None);
    }
    let mut body = Body(buffer.split_to(length).freeze());
    body.0.advance(4);
    let code = body.u32()?;
    Ok(Some(match (code, code >> 16) {
        (SSL, _) => Startup::Ssl,
        (GSS, _) => Startup::Gss,
        (CANCEL, _) => Startup::Cancel { process: body.u32()?, secret: body.u32()? },
        (_, 3) => {
            let mut parameters = Vec::new();
            loop {
                let name = body.text()?;
                if name.is_empty() {
                    break;
                }
                parameters.push((name, body.text()?));
            }
            Startup::Session { minor: (code & 0xffff) as u16, parameters }
        }
        (_, version) => {
            return Err(ProtocolError(format!("version {version} of the protocol is not supported; 3 is")));
        }
    }))
}

/// The first answer to a question for a password: the way that the client chooses, and what it begins with.
///
/// # Errors
/// Bytes that are none.
pub(crate) fn sasl_initial(answer: Bytes) -> Result<(String, Bytes), ProtocolError> {
    let mut body = Body(answer);
    let mechanism = body.text()?;
    match body.value()? {
        Some(message) if body.0.is_empty() => Ok((mechanism, message)),
        _ => Err(ProtocolError("an answer without a first message".into())),
    }
}

/// Takes a message, when all of it is there.
///
/// # Errors
/// Bytes that are none, or more than `bytes_max`.
pub(crate) fn take(buffer: &mut BytesMut, bytes_max: usize) -> Result<Option<Message>, ProtocolError> {
    let Some(&[letter, a, b, c, d]) = buffer.first_chunk::<5>() else { return Ok(None) };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if length < 4 {
        return Err(ProtocolError(format!("a message of {length} bytes")));
    }
    if length > bytes_max {
        return Err(ProtocolError(format!("a message of {length} bytes; at most {bytes_max} are taken")));
    }
    if buffer.len() <= length {
        return Ok(None);
    }
    let mut body = Body(buffer.split_to(length + 1).freeze());
    body.0.advance(5);
    let message = read(letter, &mut body)?;
    match body.0.is_empty() {
        true => Ok(Some(message)),
        false => Err(ProtocolError(format!("message '{}' is longer than what it holds", letter.escape_ascii()))),
    }
}

fn read(letter: u8, body: &mut Body) -> Result<Message, ProtocolError> {
    Ok(match letter {
        b'Q' => body.sql()?.map_or_else(Message::NoQuery, Message::Query),
        b'P' => {
            let (name, sql, types) = (body.text()?, body.sql()?, body.list(Body::u32)?);
            sql.map_or_else(Message::NoStatement, |sql| Message::Parse { name, sql, types })
        }
        b'B' => {
            let (portal, statement) = (body.text()?, body.text()?);
            let formats = body.list(Body::format)?;
            let values = body.list(Body::value)?;
            Message::Bind { portal, statement, formats, values, result_formats: body.list(Body::format)? }
        }
        b'D' | b'C' => {
            let (what, name) = (body.u8()?, body.text()?);
            match (letter, what) {
                (b'D', b'S') => Message::DescribeStatement(name),
                (b'D', b'P') => Message::DescribePortal(name),
                (b'C', b'S') => Message::CloseStatement(name),
                (b'C', b'P') => Message::ClosePortal(name),
                _ => return Err(ProtocolError(format!("neither statement nor portal: '{}'", what.escape_ascii()))),
            }
        }
        b'E' => Message::Execute { portal: body.text()?, rows_max: (body.u32()? as i32).max(0) as usize },
        b'S' => Message::Sync,
        b'H' => Message::Flush,
        b'X' => Message::Terminate,
        b'd' => Message::CopyData(body.rest()),
        b'c' => Message::CopyDone,
        b'f' => Message::CopyFail(body.text()?),
        b'p' => Message::Password(body.rest()),
        _ => return Err(ProtocolError(format!("'{}' is no message", letter.escape_ascii()))),
    })
}

/// What is left of a message.
struct Body(Bytes);

impl Body {
    fn u8(&mut self) -> Result<u8, ProtocolError> {
        self.0.try_get_u8().map_err(short)
    }

    fn u32(&mut self) -> Result<u32, ProtocolError> {
        self.0.try_get_u32().map_err(short)
    }

    fn format(&mut self) -> Result<Format, ProtocolError> {
        match self.0.try_get_u16().map_err(short)? {
            0 => Ok(Format::Text),
            1 => Ok(Format::Binary),
            other => Err(ProtocolError(format!("{other} is no format"))),
        }
    }

    fn text(&mut self) -> Result<String, ProtocolError> {
        String::from_utf8(self.ended()?.into()).map_err(|_| ProtocolError("a text that is not UTF-8".into()))
    }

    /// Statements, whose client learns what is wrong with their bytes and goes on.
    fn sql(&mut self) -> Result<Result<String, SqlError>, ProtocolError> {
        let text = self.ended()?;
        Ok(std::str::from_utf8(&text).map(str::to_owned).map_err(|e| not_utf8(&text, &e)))
    }

    /// The bytes up to a zero.
    fn ended(&mut self) -> Result<Bytes, ProtocolError> {
        let end = memchr(&self.0).ok_or_else(|| ProtocolError("a text without an end".into()))?;
        let text = self.0.split_to(end);
        self.0.advance(1);
        Ok(text)
    }

    fn value(&mut self) -> Result<Option<Bytes>, ProtocolError> {
        let length = self.u32()? as i32;
        match usize::try_from(length) {
            Err(_) if length == -1 => Ok(None),
            Ok(length) if length <= self.0.len() => Ok(Some(self.0.split_to(length))),
            _ => Err(ProtocolError(format!("a value of {length} bytes in a shorter message"))),
        }
    }

    fn list<T>(&mut self, item: impl Fn(&mut Self) -> Result<T, ProtocolError>) -> Result<Vec<T>, ProtocolError> {
        let length = self.0.try_get_u16().map_err(short)?;
        (0..length).map(|_| item(self)).collect()
    }

    fn rest(&mut self) -> Bytes {
        self.0.split_to(self.0.len())
    }
}

fn memchr(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|b| *b == 0)
}

fn short(_: bytes::TryGetError) -> ProtocolError {
    ProtocolError("a message is shorter than what it must hold".into())
}
