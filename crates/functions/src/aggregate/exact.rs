//! Sums of floating-point numbers without rounding.
//!
//! A sum is kept as an *expansion*: a few doubles whose exact sum is the exact sum of what was added (Shewchuk,
//! "Adaptive Precision Floating-Point Arithmetic", 1997). [`two_sum`] splits `a + b` into the rounded sum and the
//! rounding error, both exactly representable, so nothing is ever lost: what was added can be taken back, and the
//! order of additions does not matter. Rounding happens once, when a result is asked for.
//!
//! The splitting is exact as long as no sum overflows. Values of 2⁹⁰⁰ and more are therefore summed in a second
//! expansion, scaled down by 2²⁰⁰ (a power of two: exact); 2⁶³ values below that stay below 2⁹⁶³.

use super::AggregateError;
use super::encoding::{corrupt, take};

/// Values from here on go, scaled down, into the second expansion: 2⁹⁰⁰.
pub(super) const HUGE: f64 = f64::from_bits((1023 + 900) << 52);
const SCALE_DOWN: f64 = f64::from_bits((1023 - 200) << 52);
const SCALE_UP: f64 = f64::from_bits((1023 + 200) << 52);

/// `a + b` as the rounded sum and the error of the rounding (Knuth).
#[inline(always)]
pub(super) fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_rounded = sum - a;
    let a_rounded = sum - b_rounded;
    (sum, (a - a_rounded) + (b - b_rounded))
}

/// `a * b` as the rounded product and the error of the rounding, exact unless it is beyond the range of DOUBLE.
#[inline(always)]
pub(super) fn two_product(a: f64, b: f64) -> (f64, f64) {
    let product = a * b;
    let error = a.mul_add(b, -product);
    // What overflows has an infinite product and no error to speak of.
    (product, if error.is_finite() { error } else { 0.0 })
}

/// The sum of any values, also infinite ones and NaN, which are counted so that they can be taken back.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct WideSum {
    /// Expansion of the values below [`HUGE`]: no zeros, smallest first, not overlapping.
    pub(super) parts: Vec<f64>,
    /// Expansion of the other finite values, scaled down by 2²⁰⁰.
    pub(super) huge: Vec<f64>,
    /// Weight of NaN, of +∞ and of −∞.
    pub(super) specials: [i64; 3],
}

impl WideSum {
    /// The sum of doubles that are themselves sums of values below [`HUGE`], however large they have become.
    pub(super) fn of(parts: &[f64]) -> Self {
        let mut sum = Self::default();
        parts.iter().for_each(|p| grow(&mut sum.parts, *p));
        sum
    }

    /// Adds a value `weight` times.
    pub(super) fn add(&mut self, value: f64, weight: i64) {
        let special = if value.is_nan() { 0 } else { 1 + usize::from(value < 0.0) };
        if !value.is_finite() {
            self.specials[special] = self.specials[special].wrapping_add(weight);
        } else if value.abs() >= HUGE {
            times(value * SCALE_DOWN, weight, |v| grow(&mut self.huge, v));
        } else {
            times(value, weight, |v| grow(&mut self.parts, v));
        }
    }

    /// True when two doubles say the same.
    pub(super) fn fits_two(&self) -> bool {
        self.parts.len() <= 2 && self.huge.is_empty() && self.specials == [0; 3]
    }

    /// True when a special value was taken back more often than added.
    pub(super) fn is_negative(&self) -> bool {
        self.specials.iter().any(|w| *w < 0)
    }

    /// The double nearest to the exact sum.
    pub(super) fn round(&self) -> f64 {
        let [nan, plus, minus] = self.specials.map(|w| w > 0);
        if nan || (plus && minus) {
            f64::NAN
        } else if plus {
            f64::INFINITY
        } else if minus {
            f64::NEG_INFINITY
        } else if self.huge.is_empty() {
            round(&self.parts)
        } else {
            let mut all = self.huge.clone();
            self.parts.iter().for_each(|p| grow(&mut all, p * SCALE_DOWN));
            round(&all) * SCALE_UP
        }
    }

    /// Appends it.
    pub(super) fn save(&self, out: &mut Vec<u8>) {
        let has_specials = self.specials != [0; 3];
        out.push(u8::from(has_specials));
        if has_specials {
            self.specials.iter().for_each(|w| out.extend_from_slice(&w.to_le_bytes()));
        }
        for parts in [&self.parts, &self.huge] {
            // An expansion of doubles has fewer than 50 parts: 2100 bits, 53 a part.
            out.push(parts.len() as u8);
            parts.iter().for_each(|p| out.extend_from_slice(&p.to_le_bytes()));
        }
    }

    /// Takes what [`save`](Self::save) wrote from the front.
    pub(super) fn load(name: &str, input: &mut &[u8]) -> Result<Self, AggregateError> {
        let mut sum = Self::default();
        match take::<1>(name, input)? {
            [0] => {}
            [1] => {
                for weight in &mut sum.specials {
                    *weight = i64::from_le_bytes(take(name, input)?);
                }
            }
            _ => return Err(corrupt(name)),
        }
        for parts in [&mut sum.parts, &mut sum.huge] {
            let [length] = take(name, input)?;
            for _ in 0..length {
                parts.push(f64::from_le_bytes(take(name, input)?));
            }
        }
        Ok(sum)
    }

    /// Adds another sum.
    pub(super) fn add_all(&mut self, other: &Self) {
        other.parts.iter().for_each(|p| grow(&mut self.parts, *p));
        other.huge.iter().for_each(|p| grow(&mut self.huge, *p));
        self.specials.iter_mut().zip(other.specials).for_each(|(w, o)| *w = w.wrapping_add(o));
    }

    /// Memory in bytes.
    pub(super) fn size_bytes(&self) -> usize {
        size_of::<Self>() + (self.parts.capacity() + self.huge.capacity()) * 8
    }
}

/// Calls `add` with numbers that are exact and add up to `value * weight`: one per bit of the weight.
#[inline]
fn times(value: f64, weight: i64, mut add: impl FnMut(f64)) {
    let signed = if weight < 0 { -value } else { value };
    let mut bits = weight.unsigned_abs();
    while bits != 0 {
        add(signed * (bits & bits.wrapping_neg()) as f64);
        bits &= bits - 1;
    }
}

/// Adds `value` to an expansion.
fn grow(parts: &mut Vec<f64>, value: f64) {
    let mut sum = value;
    let mut kept = 0;
    for i in 0..parts.len() {
        let (rounded, error) = two_sum(sum, parts[i]);
        if error != 0.0 {
            parts[kept] = error;
            kept += 1;
        }
        sum = rounded;
    }
    parts.truncate(kept);
    if sum != 0.0 {
        parts.push(sum);
    }
}

/// The double nearest to the exact sum of a non-overlapping expansion, half to even.
fn round(parts: &[f64]) -> f64 {
    let mut rest = parts.iter().rev();
    let mut high = *rest.next().unwrap_or(&0.0);
    let mut error = 0.0;
    for part in rest.by_ref() {
        (high, error) = two_sum(high, *part);
        if error != 0.0 {
            break;
        }
    }
    // Exactly half way only as far as two parts tell: a third one of the same sign decides against even.
    if let Some(next) = rest.next()
        && ((error < 0.0 && *next < 0.0) || (error > 0.0 && *next > 0.0))
    {
        let twice = error * 2.0;
        let candidate = high + twice;
        if candidate - high == twice {
            high = candidate;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cancels_leaves_the_rest_exactly() {
        let mut sum = WideSum::default();
        [1e300, 1.0, 1e-300, -1e300, -1.0].iter().for_each(|v| sum.add(*v, 1));
        assert_eq!(sum.round(), 1e-300);
        sum.add(1e-300, -1);
        assert_eq!(sum, WideSum::default());
    }

    #[test]
    fn overflow_on_the_way_is_taken_back() {
        let mut sum = WideSum::default();
        sum.add(f64::MAX, 4);
        sum.add(0.5, 3);
        assert_eq!(sum.round(), f64::INFINITY);
        sum.add(f64::MAX, -3);
        assert_eq!(sum.round(), f64::MAX);
        sum.add(f64::MAX, -1);
        assert_eq!(sum.round(), 1.5);
    }

    #[test]
    fn a_sum_that_grew_large_is_taken_back_where_it_was_added() {
        let value = HUGE * 0.75;
        let mut sum = WideSum::of(&[value + value]);
        sum.add(value, -2);
        assert_eq!(sum, WideSum::default());
    }

    #[test]
    fn rounding_is_half_even_with_a_third_part_deciding() {
        let mut sum = WideSum::default();
        let ulp = f64::EPSILON;
        [1.0, ulp / 2.0].iter().for_each(|v| sum.add(*v, 1));
        assert_eq!(sum.round(), 1.0);
        sum.add(1e-40, 1);
        assert_eq!(sum.round(), 1.0 + ulp);
    }

    #[test]
    fn weights_are_exact_products() {
        let mut sum = WideSum::default();
        sum.add(0.1, 1_000_003);
        (0..1_000_003).for_each(|_| sum.add(0.1, -1));
        assert_eq!(sum, WideSum::default());
    }

    #[test]
    fn special_values_are_counted() {
        let mut sum = WideSum::default();
        sum.add(2.0, 1);
        sum.add(f64::INFINITY, 1);
        sum.add(f64::NEG_INFINITY, 1);
        assert!(sum.round().is_nan());
        sum.add(f64::INFINITY, -1);
        assert_eq!(sum.round(), f64::NEG_INFINITY);
        sum.add(f64::NEG_INFINITY, -1);
        assert_eq!(sum.round(), 2.0);
    }
}
