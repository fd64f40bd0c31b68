//! What clients are sent.

use super::Format;
use crate::report::WARNING;
use bytes::{BufMut, BytesMut};
use eddyline_engine::Constraint;

/// 3.0, the version of the protocol.
const VERSION: u32 = 3 << 16;

/// Where a session is between statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Transaction {
    /// In none.
    #[default]
    None,
    /// In one.
    Open,
    /// In one that has failed.
    Failed,
}

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    /// Its name.
    pub(crate) name: String,
    /// Its type.
    pub(crate) oid: u32,
    /// Bytes of a value, -1 when that varies.
    pub(crate) size: i16,
    /// What is added to the type: precision and scale of a number.
    pub(crate) modifier: i32,
}

/// The parts of an error or a notice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// `ERROR`, `FATAL`, `NOTICE`, `WARNING`.
    pub(crate) severity: &'static str,
    /// SQLSTATE.
    pub(crate) code: &'static str,
    /// What.
    pub(crate) message: String,
    /// More.
    pub(crate) detail: Option<String>,
    /// What to do.
    pub(crate) hint: Option<String>,
    /// At which character of the statement, from 1.
    pub(crate) position: Option<usize>,
    /// What rows break.
    pub(crate) constraint: Option<Constraint>,
}

/// What a client does not want to be told (`client_min_messages`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Hidden {
    /// It is told everything.
    #[default]
    Nothing,
    /// `NOTICE`.
    Notices,
    /// `NOTICE` and `WARNING`.
    Warnings,
}

/// Messages, one behind the other, without those that are hidden.
#[derive(Debug, Default)]
pub(crate) struct Messages(pub(crate) BytesMut, pub(crate) Hidden);

impl Messages {
    /// A message of a letter; `body` writes what it holds.
    fn message(&mut self, letter: u8, body: impl FnOnce(&mut BytesMut)) {
        self.0.put_u8(letter);
        let at = self.0.len();
        self.0.put_u32(0);
        body(&mut self.0);
        let length = (self.0.len() - at) as u32;
        self.0[at..at + 4].copy_from_slice(&length.to_be_bytes());
    }

    pub(crate) fn authentication_ok(&mut self) {
        self.message(b'R', |b| b.put_u32(0));
    }

    /// A password is asked for, in one of these ways.
    pub(crate) fn authentication_sasl(&mut self, mechanisms: &[&str]) {
        self.message(b'R', |b| {
            b.put_u32(10);
            mechanisms.iter().for_each(|mechanism| text(b, mechanism));
            b.put_u8(0);
        });
    }

    pub(crate) fn authentication_sasl_continue(&mut self, challenge: &str) {
        self.message(b'R', |b| {
            b.put_u32(11);
            b.put_slice(challenge.as_bytes());
        });
    }

    pub(crate) fn authentication_sasl_final(&mut self, signature: &str) {
        self.message(b'R', |b| {
            b.put_u32(12);
            b.put_slice(signature.as_bytes());
        });
    }

    pub(crate) fn parameter_status(&mut self, name: &str, value: &str) {
        self.message(b'S', |b| {
            text(b, name);
            text(b, value);
        });
    }

    pub(crate) fn backend_key(&mut self, process: u32, secret: u32) {
        self.message(b'K', |b| {
            b.put_u32(process);
            b.put_u32(secret);
        });
    }

    /// The client asked for a newer minor version, or for options that are not known.
    pub(crate) fn negotiate(&mut self, options: &[String]) {
        self.message(b'v', |b| {
            // Major and minor, whatever Postgres' page of the message says: libpq wants both.
            b.put_u32(VERSION);
            b.put_u32(options.len() as u32);
            options.iter().for_each(|option| text(b, option));
        });
    }

    pub(crate) fn ready(&mut self, transaction: Transaction) {
        self.message(b'Z', |b| {
            b.put_u8(match transaction {
                Transaction::None => b'I',
                Transaction::Open => b'T',
                Transaction::Failed => b'E',
            });
        });
    }

    pub(crate) fn complete(&mut self, tag: &str) {
        self.message(b'C', |b| text(b, tag));
    }

    pub(crate) fn empty_query(&mut self) {
        self.message(b'I', |_| {});
    }

    pub(crate) fn parse_complete(&mut self) {
        self.message(b'1', |_| {});
    }

    pub(crate) fn bind_complete(&mut self) {
        self.message(b'2', |_| {});
    }

    pub(crate) fn close_complete(&mut self) {
        self.message(b'3', |_| {});
    }

    pub(crate) fn no_data(&mut self) {
        self.message(b'n', |_| {});
    }

    /// Rows of so many columns are waited for.
    pub(crate) fn copy_in(&mut self, columns: usize) {
        self.message(b'G', |b| {
            b.put_u8(0);
            b.put_u16(columns as u16);
            (0..columns).for_each(|_| b.put_u16(0));
        });
    }

    /// Rows of COPY are to come, so many texts each.
    pub(crate) fn copy_out(&mut self, columns: usize) {
        self.message(b'H', |b| {
            b.put_u8(0);
            b.put_u16(columns as u16);
            (0..columns).for_each(|_| b.put_u16(0));
        });
    }

    /// Bytes of COPY.
    pub(crate) fn copy_data(&mut self, write: impl FnOnce(&mut BytesMut)) {
        self.message(b'd', write);
    }

    pub(crate) fn copy_done(&mut self) {
        self.message(b'c', |_| {});
    }

    pub(crate) fn suspended(&mut self) {
        self.message(b's', |_| {});
    }

    pub(crate) fn parameters(&mut self, types: &[u32]) {
        self.message(b't', |b| {
            b.put_u16(types.len() as u16);
            types.iter().for_each(|oid| b.put_u32(*oid));
        });
    }

    pub(crate) fn row_description(&mut self, fields: &[Field], formats: &[Format]) {
        self.message(b'T', |b| {
            b.put_u16(fields.len() as u16);
            for (at, field) in fields.iter().enumerate() {
                text(b, &field.name);
                // Neither table nor column: results are computed.
                b.put_u32(0);
                b.put_u16(0);
                b.put_u32(field.oid);
                b.put_i16(field.size);
                b.put_i32(field.modifier);
                b.put_u16(u16::from(Format::of(formats, at) == Format::Binary));
            }
        });
    }

    /// A row; `cell` writes the value of a column behind its length, and says whether there is one.
    pub(crate) fn row(&mut self, columns: usize, mut cell: impl FnMut(usize, &mut BytesMut) -> bool) {
        self.message(b'D', |b| {
            b.put_u16(columns as u16);
            (0..columns).for_each(|at| value(b, |b| cell(at, b)));
        });
    }

    pub(crate) fn error(&mut self, report: &Report) {
        self.report(b'E', report);
    }

    pub(crate) fn notice(&mut self, report: &Report) {
        let least = if report.severity == WARNING { Hidden::Warnings } else { Hidden::Notices };
        if self.1 < least {
            self.report(b'N', report);
        }
    }

    fn report(&mut self, letter: u8, report: &Report) {
        let position = report.position.map(|at| at.to_string());
        let severity = Some(report.severity);
        let constraint = report.constraint.as_ref();
        let parts = [
            (b'S', severity),
            (b'V', severity),
            (b'C', Some(report.code)),
            (b'M', Some(report.message.as_str())),
            (b'D', report.detail.as_deref()),
            (b'H', report.hint.as_deref()),
            (b'P', position.as_deref()),
            (b's', constraint.map(|of| of.table.schema())),
            (b't', constraint.map(|of| of.table.object())),
            (b'c', constraint.and_then(|of| of.column.as_deref())),
            (b'n', constraint.and_then(|of| of.name.as_deref())),
        ];
        self.message(letter, |b| {
            for (letter, part) in parts.into_iter().filter_map(|(letter, part)| Some((letter, part?))) {
                b.put_u8(letter);
                text(b, part);
            }
            b.put_u8(0);
        });
    }
}

/// A value behind its length, -1 for none.
pub(crate) fn value(buffer: &mut BytesMut, write: impl FnOnce(&mut BytesMut) -> bool) {
    let at = buffer.len();
    buffer.put_i32(-1);
    if write(buffer) {
        let length = (buffer.len() - at - 4) as u32;
        buffer[at..at + 4].copy_from_slice(&length.to_be_bytes());
    }
}

/// A text with its end; what stands behind a zero in it cannot be sent.
fn text(buffer: &mut BytesMut, text: &str) {
    buffer.put_slice(text.split('\0').next().unwrap_or_default().as_bytes());
    buffer.put_u8(0);
}
