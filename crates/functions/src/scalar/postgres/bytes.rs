//! Bytes: functions that there are for bytes alone, and what functions of texts are of bytes.
//!
//! One name stands for both in [`OVERLOADS`]: a call is one of bytes where an argument is of bytes; texts beside them are then read as bytes are
//! written (`'\x82'`).

use super::super::Zone;
use super::super::call::{Call, Definition, Function, Kind, Type, numbers, texts};
use super::super::encoding::digest_bytes;
use super::{INVALID_PARAMETER, fail, function};
use arrow::array::{ArrayRef, BinaryBuilder};
use arrow::datatypes::{DataType, Field, FieldRef, Int32Type, Int64Type};
use datafusion_common::Result;
use datafusion_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion_expr::type_coercion::functions::fields_with_udf;
use datafusion_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion_functions::crypto;
use std::fmt::Write;
use std::sync::Arc;

use Kind::{Binary, Int, Text};

/// A place outside of the bytes.
const OUT_OF_PLACES: &str = "2202E";

/// Functions of bytes alone.
pub(super) const FUNCTIONS: &[Definition] = &[
    function(
        "bytea_concat",
        &[&[Binary, Binary]],
        Type::Bytes,
        |call| {
            let (one, other) = (call.bytes(0), call.bytes(1));
            rows(call, |row, out| {
                let (Some(one), Some(other)) = (one.at(row), other.at(row)) else { return Ok(false) };
                out.extend_from_slice(one);
                out.extend_from_slice(other);
                Ok(true)
            })
        },
        ("bytes || bytes", "BYTES", "The ones behind the others."),
        ("X'01' || X'02'", "\\x0102"),
    ),
    function(
        "get_byte",
        &[&[Binary, Int]],
        Type::Int,
        |call| {
            let (bytes, place) = (call.bytes(0), call.int(1));
            numbers::<Int32Type>(call.rows, |row| {
                let (Some(bytes), Some(place)) = (bytes.at(row), place.at(row)) else { return Ok(None) };
                Ok(Some(i32::from(bytes[within(place, bytes.len())?])))
            })
        },
        ("GET_BYTE(bytes, n)", "INT", "The byte number `n`, from 0. An error where there is none."),
        ("GET_BYTE(X'01ff', 1)", "255"),
    ),
    function(
        "set_byte",
        &[&[Binary, Int, Int]],
        Type::Bytes,
        |call| {
            let (bytes, place, value) = (call.bytes(0), call.int(1), call.int(2));
            rows(call, |row, out| {
                let (Some(bytes), Some(place), Some(value)) = (bytes.at(row), place.at(row), value.at(row)) else {
                    return Ok(false);
                };
                out.extend_from_slice(bytes);
                out[within(place, bytes.len())?] = value as u8;
                Ok(true)
            })
        },
        ("SET_BYTE(bytes, n, value)", "BYTES", "The bytes with another byte number `n`, from 0."),
        ("SET_BYTE(X'0102', 1, 255)", "\\x01ff"),
    ),
    function(
        "get_bit",
        &[&[Binary, Int]],
        Type::Int,
        |call| {
            let (bytes, place) = (call.bytes(0), call.int(1));
            numbers::<Int32Type>(call.rows, |row| {
                let (Some(bytes), Some(place)) = (bytes.at(row), place.at(row)) else { return Ok(None) };
                let place = within(place, bytes.len() * 8)?;
                Ok(Some(i32::from(bytes[place / 8] >> (place % 8) & 1)))
            })
        },
        (
            "GET_BIT(bytes, n)",
            "INT",
            "The bit number `n`, from 0; of each byte the one of the least value comes first.",
        ),
        ("GET_BIT(X'02', 1)", "1"),
    ),
    function(
        "set_bit",
        &[&[Binary, Int, Int]],
        Type::Bytes,
        |call| {
            let (bytes, place, value) = (call.bytes(0), call.int(1), call.int(2));
            rows(call, |row, out| {
                let (Some(bytes), Some(place), Some(value)) = (bytes.at(row), place.at(row), value.at(row)) else {
                    return Ok(false);
                };
                out.extend_from_slice(bytes);
                let place = within(place, bytes.len() * 8)?;
                let bit = 1 << (place % 8);
                match value {
                    0 => out[place / 8] &= !bit,
                    1 => out[place / 8] |= bit,
                    _ => return fail(INVALID_PARAMETER, "new bit must be 0 or 1"),
                }
                Ok(true)
            })
        },
        ("SET_BIT(bytes, n, value)", "BYTES", "The bytes with another bit number `n`, counted as GET_BIT does."),
        ("SET_BIT(X'00', 1, 1)", "\\x02"),
    ),
    function(
        "bit_count",
        &[&[Binary]],
        Type::BigInt,
        |call| {
            let bytes = call.bytes(0);
            let ones = |bytes: &[u8]| bytes.iter().map(|byte| i64::from(byte.count_ones())).sum();
            numbers::<Int64Type>(call.rows, |row| Ok(bytes.at(row).map(ones)))
        },
        ("BIT_COUNT(bytes)", "BIGINT", "How many bits are 1."),
        ("BIT_COUNT(X'ff01')", "9"),
    ),
    function(
        "convert_from",
        &[&[Binary, Text]],
        Type::Text,
        convert_from,
        (
            "CONVERT_FROM(bytes, encoding)",
            "STRING",
            "The text that bytes in `UTF8` or `LATIN1` are. An error where they are none.",
        ),
        ("CONVERT_FROM(X'c3a4', 'UTF8')", "ä"),
    ),
    function(
        "convert_to",
        &[&[Text, Text]],
        Type::Bytes,
        convert_to,
        ("CONVERT_TO(text, encoding)", "BYTES", "The text in `UTF8` or `LATIN1`. An error where it has no such form."),
        ("CONVERT_TO('ä', 'LATIN1')", "\\xe4"),
    ),
];

/// What names of functions of texts are where an argument is of bytes.
pub(in super::super) const OVERLOADS: &[Definition] = &[
    function(
        "length",
        &[&[Binary]],
        Type::Int,
        |call| lengths(call, 1),
        ("LENGTH(bytes)", "INT", "How many bytes there are."),
        ("LENGTH(X'e282ac')", "3"),
    ),
    function(
        "octet_length",
        &[&[Binary]],
        Type::Int,
        |call| lengths(call, 1),
        ("OCTET_LENGTH(bytes)", "INT", "How many bytes there are."),
        ("OCTET_LENGTH(X'e282ac')", "3"),
    ),
    function(
        "bit_length",
        &[&[Binary]],
        Type::Int,
        |call| lengths(call, 8),
        ("BIT_LENGTH(bytes)", "INT", "How many bits there are."),
        ("BIT_LENGTH(X'e282ac')", "24"),
    ),
    function(
        "substr",
        &[&[Binary, Int], &[Binary, Int, Int]],
        Type::Bytes,
        substring,
        (
            "SUBSTR(bytes, start [, length]), SUBSTRING(bytes FROM start [FOR length])",
            "BYTES",
            "The bytes from number `start` on, counted from 1. An error if the length is negative.",
        ),
        ("SUBSTR(X'010203', 2, 1)", "\\x02"),
    ),
    function(
        "substring",
        &[&[Binary, Int], &[Binary, Int, Int]],
        Type::Bytes,
        substring,
        ("SUBSTRING(bytes, start [, length])", "BYTES", "As SUBSTR."),
        ("SUBSTRING(X'010203', 2)", "\\x0203"),
    ),
    function(
        "instr",
        &[&[Binary, Binary]],
        Type::Int,
        |call| {
            let (bytes, part) = (call.bytes(0), call.bytes(1));
            numbers::<Int32Type>(call.rows, |row| {
                let (Some(bytes), Some(part)) = (bytes.at(row), part.at(row)) else { return Ok(None) };
                Ok(Some(memchr::memmem::find(bytes, part).map_or(0, |at| at as i32 + 1)))
            })
        },
        ("POSITION(part IN bytes)", "INT", "Where the part begins, counted from 1; 0 if it is not there."),
        ("POSITION(X'03' IN X'010203')", "3"),
    ),
    function(
        "overlay",
        &[&[Binary, Binary, Int], &[Binary, Binary, Int, Int]],
        Type::Bytes,
        overlay,
        (
            "OVERLAY(bytes PLACING part FROM start [FOR length])",
            "BYTES",
            "The bytes with so many (as many as the part has, if not told) from number `start` on replaced by the part.",
        ),
        ("OVERLAY(X'010203' PLACING X'ff' FROM 2)", "\\x01ff03"),
    ),
    Definition {
        aliases: &["trim"],
        ..function(
            "btrim",
            &[&[Binary, Binary]],
            Type::Bytes,
            |call| trimmed(call, true, true),
            ("BTRIM(bytes, set), TRIM(set FROM bytes)", "BYTES", "Without bytes of the set at both ends."),
            ("BTRIM(X'000100', X'00')", "\\x01"),
        )
    },
    function(
        "ltrim",
        &[&[Binary, Binary]],
        Type::Bytes,
        |call| trimmed(call, true, false),
        ("LTRIM(bytes, set)", "BYTES", "Without bytes of the set at the beginning."),
        ("LTRIM(X'000100', X'00')", "\\x0100"),
    ),
    function(
        "rtrim",
        &[&[Binary, Binary]],
        Type::Bytes,
        |call| trimmed(call, false, true),
        ("RTRIM(bytes, set)", "BYTES", "Without bytes of the set at the end."),
        ("RTRIM(X'000100', X'00')", "\\x0001"),
    ),
    function(
        "sha224",
        &[&[Binary]],
        Type::Bytes,
        |call| digest_bytes(call, &crypto::sha224()),
        ("SHA224(bytes)", "BYTES", "The digest of the bytes."),
        ("SHA224(X'00') IS NULL", "false"),
    ),
    function(
        "sha256",
        &[&[Binary]],
        Type::Bytes,
        |call| digest_bytes(call, &crypto::sha256()),
        ("SHA256(bytes)", "BYTES", "The digest of the bytes."),
        ("SHA256(X'00') IS NULL", "false"),
    ),
    function(
        "sha384",
        &[&[Binary]],
        Type::Bytes,
        |call| digest_bytes(call, &crypto::sha384()),
        ("SHA384(bytes)", "BYTES", "The digest of the bytes."),
        ("SHA384(X'00') IS NULL", "false"),
    ),
    function(
        "sha512",
        &[&[Binary]],
        Type::Bytes,
        |call| digest_bytes(call, &crypto::sha512()),
        ("SHA512(bytes)", "BYTES", "The digest of the bytes."),
        ("SHA512(X'00') IS NULL", "false"),
    ),
];

/// The function of a name, which is one of bytes too where [`OVERLOADS`] has the name.
pub(in super::super) fn with_bytes(name: &str, of_texts: Arc<ScalarUDF>, zone: Zone) -> Arc<ScalarUDF> {
    let Some(definition) = OVERLOADS.iter().find(|definition| definition.name == name) else { return of_texts };
    let of_bytes = Arc::new(ScalarUDF::from(Function::new(definition, zone)));
    let signature = Signature::user_defined(Volatility::Immutable);
    let aliases = definition.aliases.iter().map(|alias| (*alias).to_owned()).collect();
    Arc::new(ScalarUDF::from(TextsOrBytes { name: definition.name, aliases, of_texts, of_bytes, signature }))
}

/// One name for two functions.
#[derive(Debug, PartialEq, Eq, Hash)]
struct TextsOrBytes {
    name: &'static str,
    aliases: Vec<String>,
    of_texts: Arc<ScalarUDF>,
    of_bytes: Arc<ScalarUDF>,
    signature: Signature,
}

impl TextsOrBytes {
    fn meant<'t>(&self, mut types: impl Iterator<Item = &'t DataType>) -> &Arc<ScalarUDF> {
        if types.any(|t| *t == DataType::Binary) { &self.of_bytes } else { &self.of_texts }
    }
}

impl ScalarUDFImpl for TextsOrBytes {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let fields: Vec<FieldRef> =
            types.iter().map(|data_type| Arc::new(Field::new("argument", data_type.clone(), true))).collect();
        let coerced = fields_with_udf(&fields, self.meant(types.iter()).as_ref())?;
        Ok(coerced.iter().map(|field| field.data_type().clone()).collect())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.meant(types.iter()).return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.meant(args.arg_fields.iter().map(|field| field.data_type())).return_field_from_args(args)
    }

    /// From here on it is the one that is meant.
    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let types = args.iter().map(|argument| info.get_data_type(argument)).collect::<Result<Vec<_>>>()?;
        Ok(ExprSimplifyResult::Simplified(self.meant(types.iter()).call(args)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.meant(args.arg_fields.iter().map(|field| field.data_type())).invoke_with_args(args)
    }
}

/// A column of bytes: `row` adds those of one to what is empty and returns true, or returns false for NULL.
fn rows(call: &Call, mut row: impl FnMut(usize, &mut Vec<u8>) -> Result<bool>) -> Result<ArrayRef> {
    let (mut out, mut bytes) = (BinaryBuilder::with_capacity(call.rows, call.rows * 16), Vec::new());
    for at in 0..call.rows {
        bytes.clear();
        match row(at, &mut bytes)? {
            true => out.append_value(&bytes),
            false => out.append_null(),
        }
    }
    Ok(Arc::new(out.finish()))
}

/// A place from 0, which must be one of so many.
fn within(place: i64, count: usize) -> Result<usize> {
    match usize::try_from(place).ok().filter(|place| *place < count) {
        Some(place) => Ok(place),
        None => {
            let last = count as i64 - 1;
            fail(OUT_OF_PLACES, format!("index {place} out of valid range, 0..{last}"))
        }
    }
}

fn lengths(call: &Call, each: i32) -> Result<ArrayRef> {
    let bytes = call.bytes(0);
    numbers::<Int32Type>(call.rows, |row| Ok(bytes.at(row).map(|bytes| bytes.len() as i32 * each)))
}

/// The bytes number `from` to `to`, from 0; what is outside is not there.
fn part(bytes: &[u8], from: i64, to: i64) -> &[u8] {
    let place = |at: i64| usize::try_from(at.max(0)).unwrap_or(usize::MAX).min(bytes.len());
    let (from, to) = (place(from), place(to));
    if from < to { &bytes[from..to] } else { &[] }
}

fn substring(call: &Call) -> Result<ArrayRef> {
    let (bytes, start) = (call.bytes(0), call.int(1));
    let length = (call.len() > 2).then(|| call.int(2));
    rows(call, |row, out| {
        let (Some(bytes), Some(start)) = (bytes.at(row), start.at(row)) else { return Ok(false) };
        let end = match length.as_ref().map(|length| length.at(row)) {
            None => i64::MAX,
            Some(None) => return Ok(false),
            Some(Some(length)) if length < 0 => return fail("22011", "negative substring length not allowed"),
            Some(Some(length)) => start.saturating_add(length).saturating_sub(1),
        };
        out.extend_from_slice(part(bytes, start.saturating_sub(1), end));
        Ok(true)
    })
}

fn overlay(call: &Call) -> Result<ArrayRef> {
    let (bytes, with, start) = (call.bytes(0), call.bytes(1), call.int(2));
    let length = (call.len() > 3).then(|| call.int(3));
    rows(call, |row, out| {
        let (Some(bytes), Some(with), Some(start)) = (bytes.at(row), with.at(row), start.at(row)) else {
            return Ok(false);
        };
        let length = match length.as_ref().map(|length| length.at(row)) {
            None => with.len() as i64,
            Some(None) => return Ok(false),
            Some(Some(length)) => length,
        };
        if start <= 0 {
            return fail("22011", "negative substring length not allowed");
        }
        out.extend_from_slice(part(bytes, 0, start - 1));
        out.extend_from_slice(with);
        out.extend_from_slice(part(bytes, (start - 1).saturating_add(length), i64::MAX));
        Ok(true)
    })
}

fn trimmed(call: &Call, at_front: bool, at_end: bool) -> Result<ArrayRef> {
    let (bytes, set) = (call.bytes(0), call.bytes(1));
    rows(call, |row, out| {
        let (Some(bytes), Some(set)) = (bytes.at(row), set.at(row)) else { return Ok(false) };
        let stays = |byte: &u8| !set.contains(byte);
        let from = if at_front { bytes.iter().position(stays).unwrap_or(bytes.len()) } else { 0 };
        let to = if at_end { bytes.iter().rposition(stays).map_or(0, |last| last + 1) } else { bytes.len() };
        out.extend_from_slice(bytes.get(from..to).unwrap_or_default());
        Ok(true)
    })
}

/// An encoding that texts may have outside.
enum Encoding {
    Utf8,
    Latin1,
}

fn encoding(name: &str, which: &str) -> Result<Encoding> {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    match plain.to_ascii_uppercase().as_str() {
        "UTF8" | "UNICODE" => Ok(Encoding::Utf8),
        "LATIN1" | "ISO88591" => Ok(Encoding::Latin1),
        _ => fail(INVALID_PARAMETER, format!("invalid {which} encoding name \"{name}\"")),
    }
}

fn convert_from(call: &Call) -> Result<ArrayRef> {
    let (bytes, name) = (call.bytes(0), call.text(1));
    texts(call.rows, |row, out| {
        let (Some(bytes), Some(name)) = (bytes.at(row), name.at(row)) else { return Ok(false) };
        let written = match encoding(name, "source")? {
            Encoding::Utf8 => match std::str::from_utf8(bytes) {
                Ok(text) => out.write_str(text),
                Err(error) => {
                    let wrong = bytes.get(error.valid_up_to()).copied().unwrap_or_default();
                    let message = format!("invalid byte sequence for encoding \"UTF8\": 0x{wrong:02x}");
                    return fail("22021", message);
                }
            },
            Encoding::Latin1 => bytes.iter().try_for_each(|byte| out.write_char(char::from(*byte))),
        };
        Ok(written.is_ok())
    })
}

fn convert_to(call: &Call) -> Result<ArrayRef> {
    let (text, name) = (call.text(0), call.text(1));
    rows(call, |row, out| {
        let (Some(text), Some(name)) = (text.at(row), name.at(row)) else { return Ok(false) };
        match encoding(name, "destination")? {
            Encoding::Utf8 => out.extend_from_slice(text.as_bytes()),
            Encoding::Latin1 => {
                for c in text.chars() {
                    match u8::try_from(u32::from(c)) {
                        Ok(byte) => out.push(byte),
                        Err(_) => {
                            return fail("22P05", format!("character {c:?} has no equivalent in encoding \"LATIN1\""));
                        }
                    }
                }
            }
        }
        Ok(true)
    })
}
