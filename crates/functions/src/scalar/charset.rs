//! Strings as bytes of a character set, and back.

use super::call::{Call, Definition, Kind, Page, Returns, Type, texts};
use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion_common::{Result, exec_err};
use std::fmt::Write;
use std::sync::Arc;

use Kind::{Bytes, Text};

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition {
        name: "encode",
        aliases: &[],
        args: &[&[Text, Text]],
        variadic: false,
        returns: Returns::Type(Type::Bytes),
        body: encode,
        page: Page {
            signature: "ENCODE(text STRING, charset STRING)",
            result: "BYTES",
            text: "The text in US-ASCII, ISO-8859-1, UTF-8, UTF-16, UTF-16BE or UTF-16LE; characters that the set lacks become `?`. NULL if an argument is NULL.",
            example: ("ENCODE('é', 'UTF-8')", "x'c3a9'"),
        },
    },
    Definition {
        name: "decode",
        aliases: &[],
        args: &[&[Bytes, Text]],
        variadic: false,
        returns: Returns::Type(Type::Text),
        body: decode,
        page: Page {
            signature: "DECODE(bytes BYTES, charset STRING)",
            result: "STRING",
            text: "The text that bytes of a character set stand for (sets as for ENCODE); what is none becomes `\u{FFFD}`. NULL if an argument is NULL.",
            example: ("DECODE(x'c3a9', 'UTF-8')", "é"),
        },
    },
];

#[derive(Debug, Clone, Copy)]
enum Charset {
    Ascii,
    Latin1,
    Utf8,
    /// Of two bytes; with a mark of the order when written.
    Utf16 {
        little: bool,
        mark: bool,
    },
}

impl Charset {
    fn named(name: &str) -> Result<Charset> {
        Ok(match name.to_ascii_uppercase().as_str() {
            "US-ASCII" | "ASCII" => Charset::Ascii,
            "ISO-8859-1" | "LATIN1" => Charset::Latin1,
            "UTF-8" | "UTF8" => Charset::Utf8,
            "UTF-16" => Charset::Utf16 { little: false, mark: true },
            "UTF-16BE" => Charset::Utf16 { little: false, mark: false },
            "UTF-16LE" => Charset::Utf16 { little: true, mark: false },
            other => {
                return exec_err!(
                    "there is no character set '{other}'; there are US-ASCII, ISO-8859-1, UTF-8, UTF-16, UTF-16BE and \
                     UTF-16LE (Base64 and hexadecimal digits: TO_BASE64, FROM_BASE64, HEX, UNHEX)"
                );
            }
        })
    }

    fn encode(self, text: &str, out: &mut Vec<u8>) {
        let narrow =
            |limit: u32| text.chars().map(move |c| if u32::from(c) < limit { u32::from(c) as u8 } else { b'?' });
        match self {
            Charset::Ascii => out.extend(narrow(0x80)),
            Charset::Latin1 => out.extend(narrow(0x100)),
            Charset::Utf8 => out.extend(text.bytes()),
            Charset::Utf16 { little, mark } => {
                let units = mark.then_some(0xFEFF).into_iter().chain(text.encode_utf16());
                units.for_each(|unit| out.extend(if little { unit.to_le_bytes() } else { unit.to_be_bytes() }));
            }
        }
    }

    fn decode(self, bytes: &[u8]) -> String {
        match self {
            Charset::Ascii => {
                bytes.iter().map(|b| if b.is_ascii() { char::from(*b) } else { char::REPLACEMENT_CHARACTER }).collect()
            }
            Charset::Latin1 => bytes.iter().map(|b| char::from(*b)).collect(),
            Charset::Utf8 => String::from_utf8_lossy(bytes).into_owned(),
            Charset::Utf16 { little, mark } => {
                let (little, bytes) = match bytes {
                    [0xFE, 0xFF, rest @ ..] if mark => (false, rest),
                    [0xFF, 0xFE, rest @ ..] if mark => (true, rest),
                    _ => (little, bytes),
                };
                let unit = |pair: &[u8]| match *pair {
                    [a, b] if little => u16::from_le_bytes([a, b]),
                    [a, b] => u16::from_be_bytes([a, b]),
                    _ => 0xFFFD,
                };
                let units: Vec<u16> = bytes.chunks(2).map(unit).collect();
                String::from_utf16_lossy(&units)
            }
        }
    }
}

fn encode(call: &Call) -> Result<ArrayRef> {
    let (input, charset) = (call.text(0), call.text(1));
    let mut out = BinaryBuilder::with_capacity(call.rows, call.rows * 16);
    let mut bytes = Vec::new();
    for row in 0..call.rows {
        match (input.at(row), charset.at(row)) {
            (Some(text), Some(name)) => {
                bytes.clear();
                Charset::named(name)?.encode(text, &mut bytes);
                out.append_value(&bytes);
            }
            _ => out.append_null(),
        }
    }
    Ok(Arc::new(out.finish()))
}

fn decode(call: &Call) -> Result<ArrayRef> {
    let column = cast(&call.column(0)?, &DataType::Binary)?;
    let (input, charset) = (column.as_binary::<i32>(), call.text(1));
    texts(call.rows, |row, out| {
        let (true, Some(name)) = (input.is_valid(row), charset.at(row)) else { return Ok(false) };
        Ok(out.write_str(&Charset::named(name)?.decode(input.value(row))).is_ok())
    })
}
