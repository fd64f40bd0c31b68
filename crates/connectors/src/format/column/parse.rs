//! Text into columns.

use super::super::text;
use super::{BASE64, Column, Refusal, Values};
use arrow::datatypes::DataType;
use base64::Engine;
use eddyline_json::Json;

impl Column {
    /// Reads a value at the start of `bytes`, appends it and tells its length; `None`, with nothing appended, when
    /// it takes a closer look ([`append_text`](Self::append_text)). The caller checks that the field ends there,
    /// and takes the row back if not.
    #[inline(always)]
    pub(in crate::format) fn append_leading(&mut self, bytes: &[u8]) -> Option<usize> {
        match &mut self.values {
            Values::Int64(v) => text::leading_i64(bytes).map(|(value, n)| (v.push(value), n).1),
            Values::Timestamp(v, reader) => reader.leading(bytes).map(|(value, n)| (v.push(value), n).1),
            Values::Int32(v) => {
                let (value, n) = text::leading_i64(bytes)?;
                v.push(i32::try_from(value).ok()?);
                Some(n)
            }
            Values::Float64(v) => {
                let n = number_length(bytes)?;
                v.push(lexical_core::parse(&bytes[..n]).ok()?);
                Some(n)
            }
            Values::Decimal { values, precision, scale } => {
                let n = number_length(bytes)?;
                values.push(text::decimal(&bytes[..n], *precision, *scale)?);
                Some(n)
            }
            _ => None,
        }
    }

    /// Appends the value that all of `text` (of a field, without quotes and escapes) stands for.
    pub(in crate::format) fn append_text(&mut self, text: &[u8]) -> Result<(), Refusal> {
        let done = match &mut self.values {
            Values::Text(v) => {
                v.push(text);
                Some(())
            }
            Values::Json { texts, .. } => json(text).map(|json| texts.push(json.as_bytes())),
            Values::Boolean(v) => text::boolean(text).map(|x| v.push(x)),
            Values::Int8(v) => push_integer(v, text),
            Values::Int16(v) => push_integer(v, text),
            Values::Int32(v) => push_integer(v, text),
            Values::Int64(v) => push_integer(v, text),
            Values::Float32(v) => text::float(text).map(|x| v.push(x)),
            Values::Float64(v) => text::float(text).map(|x| v.push(x)),
            Values::Decimal { values, precision, scale } => {
                text::decimal(text, *precision, *scale).map(|x| values.push(x))
            }
            Values::Bytes(v) => v.push_with(|out| BASE64.decode_vec(text, out)).ok(),
            Values::Date(v) => text::date(text).map(|x| v.push(x)),
            Values::Time32(v, unit) => text::time(text, *unit).and_then(|x| i32::try_from(x).ok()).map(|x| v.push(x)),
            Values::Time64(v, unit) => text::time(text, *unit).map(|x| v.push(x)),
            Values::Timestamp(v, reader) => reader.whole(text).map(|x| v.push(x)),
            Values::List { .. } | Values::Map { .. } | Values::Row { .. } => None,
        };
        done.ok_or_else(|| self.refusal())
    }

    /// What the column wants instead.
    pub(in crate::format) fn refusal(&self) -> Refusal {
        let wanted = match self.data_type() {
            DataType::Boolean => "true or false",
            DataType::Int8 => "a TINYINT (-128 to 127)",
            DataType::Int16 => "a SMALLINT (-32768 to 32767)",
            DataType::Int32 => "an INT (-2147483648 to 2147483647)",
            DataType::Int64 => "a BIGINT (-9223372036854775808 to 9223372036854775807)",
            DataType::Float32 => "a FLOAT",
            DataType::Float64 => "a DOUBLE",
            DataType::Decimal128(precision, scale) => {
                return format!("is not a DECIMAL({precision}, {scale})");
            }
            DataType::Utf8 => "a string",
            DataType::LargeUtf8 => "JSON",
            DataType::Binary => "bytes in base64",
            DataType::Date32 => "a DATE like 2024-01-31",
            DataType::Time32(_) | DataType::Time64(_) => "a TIME like 23:45:00.123",
            DataType::Timestamp(_, None) => {
                "a TIMESTAMP like 2024-01-31 23:45:00.123 (text with a time zone needs TIMESTAMP_LTZ)"
            }
            DataType::Timestamp(_, Some(_)) => "a TIMESTAMP_LTZ like 2024-01-31 23:45:00.123Z",
            DataType::List(_) => "an array",
            DataType::Map(..) | DataType::Struct(_) => "an object",
            _ => "of the column's type",
        };
        format!("is not {wanted}")
    }
}

/// The length of what looks like a number at the start of `bytes`: sign, digits, point, exponent.
#[inline]
fn number_length(bytes: &[u8]) -> Option<usize> {
    let n = bytes.iter().take_while(|b| matches!(b, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E')).count();
    (n > 0).then_some(n)
}

/// JSON in its one form.
fn json(text: &[u8]) -> Option<String> {
    let mut written = String::with_capacity(text.len());
    Json::read(std::str::from_utf8(text).ok()?)?.write(&mut written).ok()?;
    Some(written)
}

fn push_integer<I: TryFrom<i64>>(values: &mut Vec<I>, text: &[u8]) -> Option<()> {
    values.push(I::try_from(text::integer(text)?).ok()?);
    Some(())
}
