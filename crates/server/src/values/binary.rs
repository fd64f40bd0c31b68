//! Values as `typsend` of Postgres writes them.

use bytes::{Buf, BufMut, BytesMut};

/// What JSONB begins with.
pub(super) const JSONB_VERSION: u8 = 1;

/// 2000-01-01, where Postgres begins to count.
pub(super) const EPOCH_DAYS: i32 = 10_957;
pub(super) const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;

const NEGATIVE: u16 = 0x4000;
const DIGIT_MAX: u16 = 9_999;

/// A number as digits to the base 10,000.
pub(super) fn numeric(out: &mut BytesMut, value: i128, scale: i8) {
    let scale = usize::try_from(scale).unwrap_or_default();
    let text = value.unsigned_abs().to_string();
    let text = format!("{text:0>width$}", width = scale + 1);
    let (whole, fraction) = text.split_at(text.len() - scale);
    let whole = format!("{whole:0>width$}", width = whole.len().next_multiple_of(4));
    let fraction = format!("{fraction:0<width$}", width = fraction.len().next_multiple_of(4));
    let digits: Vec<u16> = (whole + &fraction)
        .as_bytes()
        .chunks(4)
        .map(|four| four.iter().fold(0, |n, d| n * 10 + u16::from(d - b'0')))
        .collect();
    let before = digits.iter().take_while(|digit| **digit == 0).count();
    let digits_behind = fraction.len() / 4;
    let weight = (digits.len() - digits_behind) as i16 - 1 - before as i16;
    let end = digits.iter().rposition(|digit| *digit != 0).map_or(before, |last| last + 1);
    let shown = &digits[before..end.max(before)];
    out.put_u16(shown.len() as u16);
    out.put_i16(if shown.is_empty() { 0 } else { weight });
    out.put_u16(if value < 0 { NEGATIVE } else { 0 });
    out.put_u16(scale as u16);
    shown.iter().for_each(|digit| out.put_u16(*digit));
}

/// A number as text; `None` for what is no number of ours.
pub(super) fn numeric_text(bytes: &[u8]) -> Option<String> {
    let word = |at: usize| bytes.get(at * 2..at * 2 + 2).map(|b| u16::from_be_bytes([b[0], b[1]]));
    let (count, weight, sign, scale) = (word(0)? as usize, word(1)? as i16, word(2)?, word(3)? as usize);
    if !matches!(sign, 0 | NEGATIVE) || bytes.len() != 8 + count * 2 || scale > 1000 || weight.abs() > 100 {
        return None;
    }
    if bytes[8..].chunks(2).any(|digit| u16::from_be_bytes([digit[0], digit[1]]) > DIGIT_MAX) {
        return None;
    }
    let digit = |at: i32| usize::try_from(at).ok().filter(|at| *at < count).and_then(|at| word(4 + at)).unwrap_or(0);
    let mut whole = String::new();
    let weight = i32::from(weight);
    for at in 0..=weight.max(0) {
        // A number below 1 begins behind the point.
        let at = if weight < 0 { -1 } else { at };
        whole += &format!("{:04}", digit(at));
    }
    let whole = whole.trim_start_matches('0');
    let sign = if sign == NEGATIVE { "-" } else { "" };
    let mut text = format!("{sign}{}", if whole.is_empty() { "0" } else { whole });
    let fraction: String = (0..scale.div_ceil(4) as i32).map(|at| format!("{:04}", digit(weight + 1 + at))).collect();
    if scale > 0 {
        text = format!("{text}.{}", &fraction[..scale]);
    }
    Some(text)
}

/// What stands before the items of a list: one dimension, or none where there are no items.
pub(super) fn list_head(out: &mut BytesMut, item: u32, length: usize, has_nulls: bool) {
    out.put_i32(i32::from(length > 0));
    out.put_i32(i32::from(has_nulls));
    out.put_u32(item);
    if length > 0 {
        out.put_i32(length as i32);
        out.put_i32(1);
    }
}

/// The type of the items of a list of one dimension, or of none, and the items; `None`: it is no such list.
pub(super) fn items(mut bytes: &[u8]) -> Option<(u32, Vec<Option<&[u8]>>)> {
    let (dimensions, _, item) = (bytes.try_get_i32().ok()?, bytes.try_get_i32().ok()?, bytes.try_get_u32().ok()?);
    let length = match dimensions {
        0 => return bytes.is_empty().then(|| (item, Vec::new())),
        1 => (bytes.try_get_i32().ok()?, bytes.try_get_i32().ok()?).0,
        _ => return None,
    };
    // Each item has a length of four bytes at least: nothing is made for those that are not there.
    let length = usize::try_from(length).ok().filter(|length| length * 4 <= bytes.len())?;
    let mut found = Vec::with_capacity(length);
    for _ in 0..length {
        let size = bytes.try_get_i32().ok()?;
        found.push(match usize::try_from(size) {
            Ok(size) => Some(bytes.split_off(..size)?),
            Err(_) if size == -1 => None,
            Err(_) => return None,
        });
    }
    bytes.is_empty().then_some((item, found))
}

/// A UUID in digits (RFC 9562), from its 16 bytes.
pub(super) fn uuid_text(bytes: &[u8]) -> Option<String> {
    let digits = format!("{:032x}", u128::from_be_bytes(array(bytes)?));
    let groups = [0..8, 8..12, 12..16, 16..20, 20..32].map(|at| &digits[at]);
    Some(groups.join("-"))
}

/// Exactly so many bytes.
pub(super) fn array<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}
