//! JSON values: numbers as they are written, so that none of their digits is lost.

use std::fmt::{Result as Written, Write};

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`, which is no NULL.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// As `jsonb` shows it: without an exponent.
    Number(String),
    /// A string, without quotes and escapes.
    Text(String),
    /// Values in their order.
    Array(Vec<Json>),
    /// In the order of `jsonb`: shorter keys first, then by their bytes; each key once.
    Object(Vec<(String, Json)>),
}

/// Values in values, at most.
const DEPTH_MAX: usize = 128;

impl Json {
    /// Reads a text; `None`: it is no JSON, or nested too deep.
    pub fn read(text: &str) -> Option<Self> {
        let mut reader = Reader { text, at: 0, depth: 0 };
        let value = reader.value()?;
        reader.blanks();
        (reader.at == text.len()).then_some(value)
    }

    /// An object of these, of which the last of a key counts.
    pub fn object(mut pairs: Vec<(String, Json)>) -> Self {
        // Stable: what came later is behind.
        pairs.sort_by(|(a, _), (b, _)| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
        let mut kept: Vec<(String, Json)> = Vec::with_capacity(pairs.len());
        for pair in pairs {
            match kept.last_mut() {
                Some(last) if last.0 == pair.0 => *last = pair,
                _ => kept.push(pair),
            }
        }
        Json::Object(kept)
    }

    /// What `jsonb_typeof` says.
    pub fn type_name(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "boolean",
            Json::Number(_) => "number",
            Json::Text(_) => "string",
            Json::Array(_) => "array",
            Json::Object(_) => "object",
        }
    }

    /// Does it contain the other, as `@>` has it?
    pub fn contains(&self, other: &Json) -> bool {
        match (self, other) {
            (Json::Object(own), Json::Object(others)) => {
                others.iter().all(|(key, value)| own.iter().any(|(name, of)| name == key && of.contains(value)))
            }
            (Json::Array(own), Json::Array(others)) => {
                others.iter().all(|other| own.iter().any(|item| item.contains(other)))
            }
            (Json::Array(own), other @ (Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_))) => {
                own.iter().any(|item| item.is_like(other))
            }
            (one, other) => one.is_like(other),
        }
    }

    fn is_like(&self, other: &Json) -> bool {
        match (self, other) {
            (Json::Number(a), Json::Number(b)) => a == b || bare(a) == bare(b),
            (a, b) => a == b,
        }
    }

    /// As `jsonb` writes it.
    pub fn write(&self, out: &mut dyn Write) -> Written {
        match self {
            Json::Null => out.write_str("null"),
            Json::Bool(value) => write!(out, "{value}"),
            Json::Number(text) => out.write_str(text),
            Json::Text(text) => quoted(text, out),
            Json::Array(items) => {
                out.write_char('[')?;
                for (at, item) in items.iter().enumerate() {
                    out.write_str(if at > 0 { ", " } else { "" })?;
                    item.write(out)?;
                }
                out.write_char(']')
            }
            Json::Object(pairs) => {
                out.write_char('{')?;
                for (at, (key, value)) in pairs.iter().enumerate() {
                    out.write_str(if at > 0 { ", " } else { "" })?;
                    quoted(key, out)?;
                    out.write_str(": ")?;
                    value.write(out)?;
                }
                out.write_char('}')
            }
        }
    }

    /// In lines, as `jsonb_pretty` has it.
    pub fn write_pretty(&self, depth: usize, out: &mut dyn Write) -> Written {
        let line = |out: &mut dyn Write, depth: usize| write!(out, "\n{}", "    ".repeat(depth));
        match self {
            Json::Array(items) if !items.is_empty() => {
                out.write_char('[')?;
                for (at, item) in items.iter().enumerate() {
                    out.write_str(if at > 0 { "," } else { "" })?;
                    line(out, depth + 1)?;
                    item.write_pretty(depth + 1, out)?;
                }
                line(out, depth)?;
                out.write_char(']')
            }
            Json::Object(pairs) if !pairs.is_empty() => {
                out.write_char('{')?;
                for (at, (key, value)) in pairs.iter().enumerate() {
                    out.write_str(if at > 0 { "," } else { "" })?;
                    line(out, depth + 1)?;
                    quoted(key, out)?;
                    out.write_str(": ")?;
                    value.write_pretty(depth + 1, out)?;
                }
                line(out, depth)?;
                out.write_char('}')
            }
            other => other.write(out),
        }
    }
}

/// The place in an array that a key means, from the end if it is negative.
pub fn place(length: usize, key: &str) -> Option<usize> {
    let at: i64 = key.trim().parse().ok()?;
    if at < 0 { length.checked_sub(usize::try_from(at.unsigned_abs()).ok()?) } else { usize::try_from(at).ok() }
}

/// Without zeros at the end of what is behind the point.
fn bare(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

/// A text with its quotes.
pub fn quoted(text: &str, out: &mut dyn Write) -> Written {
    out.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            '\u{8}' => out.write_str("\\b")?,
            '\u{c}' => out.write_str("\\f")?,
            c if (c as u32) < 0x20 => write!(out, "\\u{:04x}", c as u32)?,
            c => out.write_char(c)?,
        }
    }
    out.write_char('"')
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn blanks(&mut self) {
        let blank = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        self.at += self.text.as_bytes()[self.at..].iter().take_while(blank).count();
    }

    fn is_next(&mut self, byte: u8) -> bool {
        self.blanks();
        let is = self.text.as_bytes().get(self.at) == Some(&byte);
        self.at += usize::from(is);
        is
    }

    fn word(&mut self, word: &str, value: Json) -> Option<Json> {
        self.text[self.at..].starts_with(word).then(|| {
            self.at += word.len();
            value
        })
    }

    fn value(&mut self) -> Option<Json> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return None;
        }
        self.blanks();
        let value = match self.text.as_bytes().get(self.at)? {
            b'{' => self.object(),
            b'[' => self.array(),
            b'"' => self.string().map(Json::Text),
            b't' => self.word("true", Json::Bool(true)),
            b'f' => self.word("false", Json::Bool(false)),
            b'n' => self.word("null", Json::Null),
            _ => self.number(),
        };
        self.depth -= 1;
        value
    }

    fn array(&mut self) -> Option<Json> {
        self.at += 1;
        let mut items = Vec::new();
        if self.is_next(b']') {
            return Some(Json::Array(items));
        }
        loop {
            items.push(self.value()?);
            if self.is_next(b']') {
                return Some(Json::Array(items));
            }
            if !self.is_next(b',') {
                return None;
            }
        }
    }

    fn object(&mut self) -> Option<Json> {
        self.at += 1;
        let mut pairs = Vec::new();
        if self.is_next(b'}') {
            return Some(Json::Object(pairs));
        }
        loop {
            self.blanks();
            let key = self.string()?;
            if !self.is_next(b':') {
                return None;
            }
            pairs.push((key, self.value()?));
            if self.is_next(b'}') {
                return Some(Json::object(pairs));
            }
            if !self.is_next(b',') {
                return None;
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        // The reading of escapes is left to who knows all of them.
        let rest = &self.text[self.at..];
        if !rest.starts_with('"') {
            return None;
        }
        let mut is_escaped = false;
        let end = rest.bytes().enumerate().skip(1).find(|(_, byte)| {
            let ends = *byte == b'"' && !is_escaped;
            is_escaped = *byte == b'\\' && !is_escaped;
            ends
        });
        let literal = &rest[..=end?.0];
        self.at += literal.len();
        serde_json::from_str(literal).ok()
    }

    fn number(&mut self) -> Option<Json> {
        let rest = &self.text[self.at..];
        let length =
            rest.bytes().take_while(|b| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E')).count();
        let literal = &rest[..length];
        // The rules of JSON, by who knows them.
        serde_json::from_str::<serde_json::Number>(literal).ok()?;
        self.at += length;
        Some(Json::Number(plain(literal)?))
    }
}

/// A number without an exponent; `None`: it would be too long.
fn plain(literal: &str) -> Option<String> {
    let Some((mantissa, exponent)) = literal.split_once(['e', 'E']) else {
        return Some(if literal == "-0" { "0".into() } else { literal.to_owned() });
    };
    let exponent: i32 = exponent.parse().ok().filter(|e: &i32| e.abs() < 1000)?;
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let (whole, behind) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{behind}");
    let point = whole.len() as i32 + exponent;
    Some(match usize::try_from(point) {
        Ok(point) if point >= digits.len() => {
            let all = format!("{digits}{}", "0".repeat(point - digits.len()));
            let trimmed = all.trim_start_matches('0');
            format!("{sign}{}", if trimmed.is_empty() { "0" } else { trimmed })
        }
        Ok(point) if point > 0 => format!("{sign}{}.{}", &digits[..point], &digits[point..]),
        _ => format!("{sign}0.{}{digits}", "0".repeat(point.unsigned_abs() as usize)),
    })
}
