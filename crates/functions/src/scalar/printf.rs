//! `PRINTF`: values in a format as Java's `String.format` has it.

use super::call::{Call, Definition, Kind, Page, Returns, Type, texts};
use super::text_form::text_of;
use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion_common::{Result, exec_err};

pub(super) const FUNCTIONS: &[Definition] = &[Definition {
    name: "printf",
    aliases: &[],
    args: &[&[Kind::Text], &[Kind::Text, Kind::Any]],
    variadic: true,
    returns: Returns::Type(Type::Text),
    body: printf,
    page: Page {
        signature: "PRINTF(format STRING, value, …)",
        result: "STRING",
        text: "The format with its %s, %d, %x, %X, %o, %c, %f, %e, %b, %n and %% replaced by the values in turn, with flags (- 0 + ,), width and digits as in Java; NULL is written `null`. NULL if the format is NULL; a value that does not fit its place is an error.",
        example: ("PRINTF('%s has %05d', 'a', 42)", "a has 00042"),
    },
}];

/// A value's column in the forms that places may want.
struct Value {
    text: ArrayRef,
    whole: Option<ArrayRef>,
    float: Option<ArrayRef>,
    truth: bool,
}

impl Value {
    fn new(call: &Call, at: usize) -> Result<Self> {
        let column = call.column(at)?;
        let number = |to: DataType| column.data_type().is_numeric().then(|| cast(&column, &to)).transpose();
        let is_whole = column.data_type().is_integer();
        Ok(Self {
            text: text_of(&column, call.zone)?,
            whole: if is_whole { number(DataType::Int64)? } else { None },
            float: if is_whole { None } else { number(DataType::Float64)? },
            truth: column.data_type() == &DataType::Boolean,
        })
    }

    fn text(&self) -> &StringArray {
        self.text.as_string::<i32>()
    }
}

/// A place in a format: `%-08.2f`.
#[derive(Debug, Default, Clone, Copy)]
struct Place {
    left: bool,
    zeros: bool,
    plus: bool,
    commas: bool,
    width: usize,
    digits: Option<usize>,
    kind: char,
}

/// Widths and digits are cut to this.
const WIDTH_MAX: usize = 1000;

impl Place {
    /// The place behind a `%`, and what follows it.
    fn read(text: &str) -> Option<(Place, &str)> {
        let mut place = Place::default();
        let mut rest = text;
        while let Some(flag) = rest.chars().next().filter(|c| "-0+,".contains(*c)) {
            match flag {
                '-' => place.left = true,
                '0' => place.zeros = true,
                '+' => place.plus = true,
                _ => place.commas = true,
            }
            rest = &rest[1..];
        }
        let number = |rest: &mut &str| {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let (digits, after) = rest.split_at(end);
            *rest = after;
            digits.parse::<usize>().ok().map(|n| n.min(WIDTH_MAX))
        };
        place.width = number(&mut rest).unwrap_or(0);
        if let Some(after) = rest.strip_prefix('.') {
            rest = after;
            place.digits = Some(number(&mut rest)?);
        }
        place.kind = rest.chars().next()?;
        Some((place, &rest[place.kind.len_utf8()..]))
    }

    fn write(&self, value: &Value, row: usize) -> Option<String> {
        if value.text.is_null(row) {
            return Some(self.padded(if self.kind == 'b' { "false" } else { "null" }, false));
        }
        let whole = || value.whole.as_ref().map(|v| v.as_primitive::<Int64Type>().value(row));
        let float = || value.float.as_ref().map(|v| v.as_primitive::<Float64Type>().value(row));
        let text = value.text().value(row);
        let cut = |text: &str| text.chars().take(self.digits.unwrap_or(usize::MAX)).collect::<String>();
        Some(match self.kind {
            's' if value.truth => self.padded(&cut(&text.to_lowercase()), false),
            's' => self.padded(&cut(text), false),
            'S' => self.padded(&cut(text).to_uppercase(), false),
            'b' => self.padded(if value.truth && text == "FALSE" { "false" } else { "true" }, false),
            'd' => self.signed(&whole()?.unsigned_abs().to_string(), whole()? < 0),
            'x' => self.padded(&format!("{:x}", whole()?), true),
            'X' => self.padded(&format!("{:X}", whole()?), true),
            'o' => self.padded(&format!("{:o}", whole()?), true),
            'c' => self.padded(&whole().map_or_else(|| single(text), character)?.to_string(), false),
            'f' => self.signed(&format!("{:.*}", self.digits.unwrap_or(6), float()?.abs()), float()? < 0.0),
            'e' => self.signed(&exponent(float()?.abs(), self.digits.unwrap_or(6)), float()? < 0.0),
            _ => return None,
        })
    }

    fn signed(&self, digits: &str, negative: bool) -> String {
        let digits = if self.commas { grouped(digits) } else { digits.to_owned() };
        let sign = if negative {
            "-"
        } else if self.plus {
            "+"
        } else {
            ""
        };
        if self.zeros && !self.left {
            let zeros = self.width.saturating_sub(sign.len() + digits.len());
            return format!("{sign}{}{digits}", "0".repeat(zeros));
        }
        self.padded(&format!("{sign}{digits}"), false)
    }

    fn padded(&self, text: &str, number: bool) -> String {
        let pad = self.width.saturating_sub(text.chars().count());
        match (self.left, number && self.zeros) {
            (true, _) => format!("{text}{}", " ".repeat(pad)),
            (false, true) => format!("{}{text}", "0".repeat(pad)),
            (false, false) => format!("{}{text}", " ".repeat(pad)),
        }
    }
}

fn single(text: &str) -> Option<char> {
    let mut chars = text.chars();
    chars.next().filter(|_| chars.next().is_none())
}

fn character(code: i64) -> Option<char> {
    u32::try_from(code).ok().and_then(char::from_u32)
}

/// `1.500000e+00`.
fn exponent(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => {
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |e| ('-', e));
            format!("{mantissa}e{sign}{exponent:0>2}")
        }
        None => text,
    }
}

fn grouped(digits: &str) -> String {
    let (whole, fraction) = digits.find('.').map_or((digits, ""), |at| digits.split_at(at));
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out + fraction
}

fn printf(call: &Call) -> Result<ArrayRef> {
    use std::fmt::Write;
    let formats = call.text(0);
    let values = (1..call.len()).map(|at| Value::new(call, at)).collect::<Result<Vec<_>>>()?;
    texts(call.rows, |row, out| {
        let Some(format) = formats.at(row) else { return Ok(false) };
        let mut made = String::with_capacity(format.len() + 16);
        let (mut rest, mut next) = (format, 0);
        while let Some((before, after)) = rest.split_once('%') {
            made.push_str(before);
            let Some((place, after)) = Place::read(after) else {
                return exec_err!("PRINTF: the format '{format}' ends in a place or has a wrong one");
            };
            rest = after;
            match place.kind {
                '%' => made.push('%'),
                'n' => made.push('\n'),
                kind => {
                    let Some(value) = values.get(next) else {
                        return exec_err!("PRINTF: the format '{format}' has more places than there are values");
                    };
                    next += 1;
                    match place.write(value, row) {
                        Some(text) => made.push_str(&text),
                        None => return exec_err!("PRINTF: value number {next} does not fit %{kind}"),
                    }
                }
            }
        }
        made.push_str(rest);
        Ok(out.write_str(&made).is_ok())
    })
}
