//! Numbers in patterns of PostgreSQL (`TO_CHAR(1234.5, '9,999.99')`).
//!
//! A pattern has places for digits, `9` and `0`. In front of the first digit of a number there are blanks up to the first `0`, behind the point zeros; the sign stands in front
//! of the first digit unless the pattern says where. A number that has more digits than there are places in front of the point shows `#`.

use super::clock_text::ordinal;
use super::{INVALID_PARAMETER, fail};
use datafusion_common::Result;

/// A piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// A place for a digit; `true`: a zero rather than a blank.
    Digit(bool),
    Point,
    Group,
    /// `S`.
    Sign,
    /// `MI`, `PL`, `SG`.
    Minus,
    Plus,
    Either,
    /// `L`.
    Currency,
    /// `TH`, `th`.
    Ordinal(bool),
    Text(String),
}

#[derive(Debug, Default)]
struct Pattern {
    pieces: Vec<Piece>,
    /// `FM`: without what only fills.
    is_bare: bool,
    /// `PR`: negative numbers in angle brackets.
    has_brackets: bool,
    is_scientific: bool,
    /// `RN`, `rn`.
    roman: Option<bool>,
    before_point: usize,
    behind_point: usize,
    /// The first place in front of the point, from the left, that shows a zero.
    first_zero: Option<usize>,
    /// How many places behind the point show their digit in any case.
    zeros_behind: usize,
    /// `V`: so many digits more.
    shifted: usize,
}

impl Pattern {
    fn read(text: &str) -> Result<Self> {
        let mut pattern = Self::default();
        let (mut rest, mut is_behind, mut is_shifted) = (text, false, false);
        while let Some(first) = rest.chars().next() {
            let upper: String = rest.chars().take(4).collect::<String>().to_ascii_uppercase();
            let (piece, length) = match upper.as_str() {
                "EEEE" => {
                    pattern.is_scientific = true;
                    (None, 4)
                }
                two if two.starts_with("FM") => {
                    pattern.is_bare = true;
                    (None, 2)
                }
                two if two.starts_with("PR") => {
                    pattern.has_brackets = true;
                    (None, 2)
                }
                two if two.starts_with("RN") => {
                    pattern.roman = Some(rest.starts_with('R'));
                    (None, 2)
                }
                two if two.starts_with("MI") => (Some(Piece::Minus), 2),
                two if two.starts_with("PL") => (Some(Piece::Plus), 2),
                two if two.starts_with("SG") => (Some(Piece::Either), 2),
                two if two.starts_with("TH") => (Some(Piece::Ordinal(rest.starts_with('T'))), 2),
                _ => match first {
                    '9' | '0' => {
                        if is_shifted {
                            pattern.shifted += 1;
                        }
                        if is_behind {
                            pattern.behind_point += 1;
                            if first == '0' {
                                pattern.zeros_behind = pattern.behind_point;
                            }
                        } else {
                            if first == '0' && pattern.first_zero.is_none() {
                                pattern.first_zero = Some(pattern.before_point);
                            }
                            pattern.before_point += 1;
                        }
                        (Some(Piece::Digit(first == '0')), 1)
                    }
                    '.' | 'D' | 'd' if is_behind => return fail("42601", "multiple decimal points"),
                    '.' | 'D' | 'd' => {
                        is_behind = true;
                        (Some(Piece::Point), 1)
                    }
                    ',' | 'G' | 'g' => (Some(Piece::Group), 1),
                    'S' | 's' => (Some(Piece::Sign), 1),
                    'L' | 'l' => (Some(Piece::Currency), 1),
                    'V' | 'v' => {
                        is_shifted = true;
                        (None, 1)
                    }
                    '"' => {
                        let (quoted, _) = rest[1..].split_once('"').unwrap_or((&rest[1..], ""));
                        (Some(Piece::Text(quoted.to_owned())), (quoted.len() + 2).min(rest.len()))
                    }
                    other => (Some(Piece::Text(other.to_string())), other.len_utf8()),
                },
            };
            pattern.pieces.extend(piece);
            rest = &rest[length..];
        }
        Ok(pattern)
    }

    fn says_sign(&self) -> bool {
        let signs = [Piece::Sign, Piece::Minus, Piece::Plus, Piece::Either];
        self.has_brackets || self.pieces.iter().any(|piece| signs.contains(piece))
    }
}

/// A number, given as its text, in a pattern.
///
/// # Errors
/// A pattern that does not hold together.
pub(super) fn written(number: &str, pattern: &str) -> Result<String> {
    let pattern = Pattern::read(pattern)?;
    let plain = expanded(number);
    let (is_negative, plain) = plain.strip_prefix('-').map_or((false, plain.as_str()), |rest| (true, rest));
    if let Some(is_upper) = pattern.roman {
        return Ok(roman(plain, is_upper, pattern.is_bare));
    }
    if plain.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Ok("#".repeat(pattern.before_point + 1));
    }
    if pattern.is_scientific {
        return scientific(number, &pattern);
    }
    let (whole, behind) = rounded(plain, pattern.behind_point, pattern.shifted);
    let is_zero = whole.is_empty() && behind.bytes().all(|digit| digit == b'0');
    let is_negative = is_negative && !is_zero;
    if whole.len() > pattern.before_point {
        return Ok(filled(
            &pattern,
            &"#".repeat(pattern.before_point),
            &"#".repeat(pattern.behind_point),
            is_negative,
            &whole,
        ));
    }
    Ok(filled(&pattern, &whole, &behind, is_negative, &whole))
}

/// Without an exponent.
fn expanded(number: &str) -> String {
    let Some((mantissa, exponent)) = number.split_once('e') else { return number.to_owned() };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let (whole, behind) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{behind}");
    let point = whole.len() as i32 + exponent;
    match usize::try_from(point) {
        Ok(point) if point >= digits.len() => format!("{sign}{digits}{}", "0".repeat(point - digits.len())),
        Ok(point) if point > 0 => format!("{sign}{}.{}", &digits[..point], &digits[point..]),
        _ => format!("{sign}0.{}{digits}", "0".repeat(point.unsigned_abs() as usize)),
    }
}

/// The digits in front of the point, without zeros at their beginning, and so many behind it. Halves go away from 0.
fn rounded(plain: &str, behind_point: usize, shifted: usize) -> (String, String) {
    let (whole, behind) = plain.split_once('.').unwrap_or((plain, ""));
    let mut digits: Vec<u8> = whole.bytes().chain(behind.bytes()).map(|digit| digit - b'0').collect();
    let mut point = whole.len() + shifted;
    let kept = point + behind_point;
    let rounds_up = digits.get(kept).is_some_and(|next| *next >= 5);
    digits.resize(kept, 0);
    if rounds_up {
        let mut at = kept;
        while at > 0 && digits[at - 1] == 9 {
            at -= 1;
            digits[at] = 0;
        }
        match at {
            0 => {
                digits.insert(0, 1);
                point += 1;
            }
            at => digits[at - 1] += 1,
        }
    }
    let text = |digits: &[u8]| digits.iter().map(|digit| char::from(b'0' + digit)).collect::<String>();
    (text(&digits[..point]).trim_start_matches('0').to_owned(), text(&digits[point..]))
}

fn filled(pattern: &Pattern, whole: &str, behind: &str, is_negative: bool, number: &str) -> String {
    let mut out = String::new();
    let blanks = pattern.before_point - whole.len();
    // The place of the first thing that is shown.
    let begin = pattern.first_zero.map_or(blanks, |zero| zero.min(blanks));
    let begin =
        if begin == pattern.before_point && pattern.behind_point == 0 { begin.saturating_sub(1) } else { begin };
    // Behind the point, digits of a bare pattern end with the last that is not 0.
    let shown_behind = match pattern.is_bare {
        true => behind.trim_end_matches('0').len().max(pattern.zeros_behind),
        false => behind.len(),
    };
    let own_sign = !pattern.says_sign();
    let sign = |is_negative: bool| if is_negative { '-' } else { '+' };
    let (mut place, mut place_behind, mut is_behind, mut is_begun) = (0, 0, false, false);
    let begins = |out: &mut String, is_begun: &mut bool| {
        if std::mem::replace(is_begun, true) {
            return;
        }
        if own_sign && (is_negative || !pattern.is_bare) {
            out.push(if is_negative { '-' } else { ' ' });
        } else if pattern.has_brackets && (is_negative || !pattern.is_bare) {
            out.push(if is_negative { '<' } else { ' ' });
        } else if pattern.pieces.iter().find(|piece| matches!(piece, Piece::Sign | Piece::Digit(_)))
            == Some(&Piece::Sign)
        {
            out.push(sign(is_negative));
        }
    };
    let last_digit = pattern.pieces.iter().rposition(|piece| matches!(piece, Piece::Digit(_) | Piece::Point));
    for (at, piece) in pattern.pieces.iter().enumerate() {
        match piece {
            Piece::Digit(_) if is_behind => {
                begins(&mut out, &mut is_begun);
                if place_behind < shown_behind {
                    out.push_str(&behind[place_behind..=place_behind]);
                }
                place_behind += 1;
            }
            Piece::Digit(_) => {
                if place >= begin {
                    begins(&mut out, &mut is_begun);
                    let digit = place.checked_sub(blanks).and_then(|at| whole.get(at..=at));
                    out.push_str(digit.unwrap_or("0"));
                } else if !pattern.is_bare {
                    out.push(' ');
                }
                place += 1;
            }
            Piece::Point => {
                begins(&mut out, &mut is_begun);
                is_behind = true;
                out.push('.');
            }
            Piece::Group if is_begun => out.push(','),
            Piece::Group if !pattern.is_bare => out.push(' '),
            Piece::Group => {}
            Piece::Sign if last_digit.is_some_and(|last| at > last) => out.push(sign(is_negative)),
            Piece::Sign => {}
            Piece::Minus if is_negative => out.push('-'),
            Piece::Minus if !pattern.is_bare => out.push(' '),
            Piece::Minus => {}
            Piece::Plus if !is_negative => out.push('+'),
            Piece::Plus if !pattern.is_bare => out.push(' '),
            Piece::Plus => {}
            Piece::Either => out.push(sign(is_negative)),
            Piece::Currency if !pattern.is_bare => out.push(' '),
            Piece::Currency => {}
            Piece::Ordinal(is_upper) if !is_negative && behind.is_empty() => {
                out.push_str(ordinal(if number.is_empty() { "0" } else { number }, *is_upper));
            }
            Piece::Ordinal(_) => {}
            Piece::Text(text) => out.push_str(text),
        }
        if Some(at) == last_digit && pattern.has_brackets && (is_negative || !pattern.is_bare) {
            out.push(if is_negative { '>' } else { ' ' });
        }
    }
    out
}

fn scientific(number: &str, pattern: &Pattern) -> Result<String> {
    let Ok(value) = number.parse::<f64>() else { return fail(INVALID_PARAMETER, format!("{number} is no number")) };
    let shown = format!("{:.*e}", pattern.behind_point, value.abs());
    let (mantissa, exponent) = shown.split_once('e').unwrap_or((&shown, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let (sign, of_exponent) = (if value < 0.0 { "-" } else { " " }, if exponent < 0 { '-' } else { '+' });
    Ok(format!("{}{mantissa}e{of_exponent}{:02}", if pattern.is_bare { sign.trim() } else { sign }, exponent.abs()))
}

fn roman(plain: &str, is_upper: bool, is_bare: bool) -> String {
    const SIGNS: [(u32, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let (whole, _) = rounded(plain, 0, 0);
    let Some(mut left) = whole.parse::<u32>().ok().filter(|n| (1..4000).contains(n)) else { return "#".repeat(15) };
    let mut out = String::new();
    for (value, sign) in SIGNS {
        while left >= value {
            out.push_str(sign);
            left -= value;
        }
    }
    let out = if is_upper { out } else { out.to_ascii_lowercase() };
    if is_bare { out } else { format!("{out:>15}") }
}
