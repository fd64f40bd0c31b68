//! Variance, standard deviation, covariance and correlation, without drift.
//!
//! A slot holds how many values there are and the *exact* sums Σx, Σx² (Σy, Σy², Σxy with two arguments). A product of two
//! doubles is exactly the sum of two doubles (the rounded product and what rounding lost), so products are added to the
//! same exact sums of doubles as SUM keeps (see `exact`): what was added can be taken back and leaves nothing,
//! neither order nor cuts matter, and merging partials loses nothing.
//!
//! The result comes from `n Σxy − Σx Σy`, which is computed exactly too and rounded once: there is no cancellation
//! however large the values are beside their spread. After that come one division (and root): the result is within
//! about two units of the last place. A variance is never negative.
//!
//! Squares beyond 10²⁷⁰ are computed in plain doubles; beyond the range of DOUBLE the result is infinite or NaN. Infinity or
//! NaN among the values make it NaN, until they are taken back.

use super::encoding::{VERSION, take, take_version};
use super::exact::{WideSum, two_product};
use super::exact_sums::ExactSums;
use super::rows::{each, selected};
use super::state_column::{merge_states, states};
use super::{AggregateError, GroupedAccumulator};
use arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType, Float64Type};
use eddyline_changes::Weights;
use std::sync::Arc;

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    VarPop,
    VarSamp,
    StddevPop,
    StddevSamp,
    CovarPop,
    CovarSamp,
    Corr,
}

impl Moment {
    /// By canonical name.
    pub(super) fn named(function: &str) -> Option<Self> {
        Some(match function {
            "var_pop" => Moment::VarPop,
            "var" => Moment::VarSamp,
            "stddev_pop" => Moment::StddevPop,
            "stddev" => Moment::StddevSamp,
            "covar_pop" => Moment::CovarPop,
            "covar_samp" => Moment::CovarSamp,
            "corr" => Moment::Corr,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Moment::VarPop => "VAR_POP",
            Moment::VarSamp => "VAR_SAMP",
            Moment::StddevPop => "STDDEV_POP",
            Moment::StddevSamp => "STDDEV_SAMP",
            Moment::CovarPop => "COVAR_POP",
            Moment::CovarSamp => "COVAR_SAMP",
            Moment::Corr => "CORR",
        }
    }

    /// What is summed: products of these arguments; `None` stands for 1.
    fn terms(self) -> &'static [(usize, Option<usize>)] {
        match self {
            Moment::VarPop | Moment::VarSamp | Moment::StddevPop | Moment::StddevSamp => &[(0, None), (0, Some(0))],
            Moment::CovarPop | Moment::CovarSamp => &[(0, None), (1, None), (0, Some(1))],
            Moment::Corr => &[(0, None), (1, None), (0, Some(1)), (0, Some(0)), (1, Some(1))],
        }
    }

    fn is_sample(self) -> bool {
        matches!(self, Moment::VarSamp | Moment::StddevSamp | Moment::CovarSamp)
    }
}

/// Accumulators of `moment`, `None` for arguments or results that are not DOUBLE.
pub(super) fn build(moment: Moment, args: &[DataType], result: &DataType) -> Option<Box<dyn GroupedAccumulator>> {
    let wanted = if moment.terms().len() == 2 { 1 } else { 2 };
    let fits = args.len() == wanted && args.iter().chain([result]).all(|t| *t == DataType::Float64);
    let sums = || moment.terms().iter().map(|_| ExactSums::default()).collect();
    fits.then(|| Box::new(Moments { moment, counts: Vec::new(), sums: sums() }) as Box<dyn GroupedAccumulator>)
}

struct Moments {
    moment: Moment,
    counts: Vec<i64>,
    /// One per term.
    sums: Vec<ExactSums>,
}

impl Moments {
    fn sums_of(&self, slot: u32) -> Vec<WideSum> {
        self.sums.iter().map(|s| s.get(slot)).collect()
    }

    fn add_term(
        sums: &mut ExactSums,
        slots: &[u32],
        (a, b): (&[f64], Option<&[f64]>),
        weights: &Weights,
        mask: Option<&BooleanBuffer>,
    ) {
        match b {
            None => each(slots.len(), mask, |i| sums.add(slots[i], a[i], weights.at(i))),
            Some(b) => each(slots.len(), mask, |i| {
                let (product, error) = two_product(a[i], b[i]);
                sums.add(slots[i], product, weights.at(i));
                if error != 0.0 {
                    sums.add(slots[i], error, weights.at(i));
                }
            }),
        }
    }

    fn result(&self, slot: u32) -> Result<Option<f64>, AggregateError> {
        let n = self.counts[slot as usize];
        let sums = self.sums_of(slot);
        let is_nothing = |s: &WideSum| *s == WideSum::default();
        if n < 0 || sums.iter().any(WideSum::is_negative) || (n == 0 && !sums.iter().all(is_nothing)) {
            return Err(AggregateError::Retraction {
                function: self.moment.name().into(),
                value: format!("{n} values with the sum {} would be left", sums[0].round()),
            });
        }
        Ok(finished(self.moment, n, &sums))
    }

    fn read(&self, input: &mut &[u8]) -> Result<(i64, Vec<WideSum>), AggregateError> {
        let name = self.moment.name();
        take_version(name, input)?;
        let count = i64::from_le_bytes(take(name, input)?);
        let sums = self.sums.iter().map(|_| WideSum::load(name, input)).collect::<Result<_, _>>()?;
        Ok((count, sums))
    }
}

/// The result of `n` values with these sums of [`Moment::terms`].
pub(super) fn finished(moment: Moment, n: i64, sums: &[WideSum]) -> Option<f64> {
    let count = n as f64;
    let (low, divisor) = if moment.is_sample() { (2, count - 1.0) } else { (1, count) };
    if n < low {
        return None;
    }
    // Two divisions would round twice: below 2²⁶ the product is exact.
    let by = |value: f64| if n < 1 << 26 { value / (count * divisor) } else { value / count / divisor };
    match moment {
        Moment::VarPop | Moment::VarSamp => Some(by(central(n, &sums[0], &sums[0], &sums[1]))),
        Moment::StddevPop | Moment::StddevSamp => Some(by(central(n, &sums[0], &sums[0], &sums[1])).sqrt()),
        Moment::CovarPop | Moment::CovarSamp => Some(by(central(n, &sums[0], &sums[1], &sums[2]))),
        Moment::Corr => {
            let xy = central(n, &sums[0], &sums[1], &sums[2]);
            let (xx, yy) = (central(n, &sums[0], &sums[0], &sums[3]), central(n, &sums[1], &sums[1], &sums[4]));
            if xx == 0.0 || yy == 0.0 {
                return None;
            }
            let together = xx * yy;
            let spread = if together.is_normal() { together.sqrt() } else { xx.sqrt() * yy.sqrt() };
            Some((xy / spread).clamp(-1.0, 1.0))
        }
    }
}

/// `n Σab − Σa Σb`, rounded once.
fn central(n: i64, a: &WideSum, b: &WideSum, ab: &WideSum) -> f64 {
    if [a, b].iter().any(|s| s.specials != [0; 3]) {
        return f64::NAN;
    }
    let is_plain = |s: &WideSum| s.huge.is_empty() && s.specials == [0; 3] && s.parts.iter().all(|p| p.abs() < 1e150);
    let is_small = ab.huge.is_empty() && ab.specials == [0; 3];
    if !(is_plain(a) && is_plain(b) && is_small) {
        return n as f64 * ab.round() - a.round() * b.round();
    }
    let mut exact = WideSum::default();
    ab.parts.iter().for_each(|p| exact.add(*p, n));
    for x in &a.parts {
        for y in &b.parts {
            let (product, error) = two_product(*x, *y);
            exact.add(product, -1);
            exact.add(error, -1);
        }
    }
    exact.round()
}

impl GroupedAccumulator for Moments {
    fn resize(&mut self, slots: usize) {
        self.counts.resize(slots, 0);
        self.sums.iter_mut().for_each(|s| s.resize(slots));
    }

    fn accumulate(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        weights: &Weights,
        filter: Option<&BooleanArray>,
    ) -> Result<(), AggregateError> {
        let mask = selected(args, filter);
        let values: Vec<&[f64]> =
            args.iter().map(|a| &a.as_primitive::<Float64Type>().values()[..slots.len()]).collect();
        let counts = &mut self.counts;
        each(slots.len(), mask.as_ref(), |i| {
            let count = &mut counts[slots[i] as usize];
            *count = count.wrapping_add(weights.at(i));
        });
        for (sums, (a, b)) in self.sums.iter_mut().zip(self.moment.terms()) {
            Self::add_term(sums, slots, (values[*a], b.map(|b| values[b])), weights, mask.as_ref());
        }
        Ok(())
    }

    fn merge(&mut self, slots: &[u32], partials: &[ArrayRef]) -> Result<(), AggregateError> {
        merge_states(slots, partials, |slot, input| {
            let (count, sums) = self.read(input)?;
            let total = &mut self.counts[slot as usize];
            *total = total.wrapping_add(count);
            for (own, added) in self.sums.iter_mut().zip(sums) {
                let mut sum = own.get(slot);
                sum.add_all(&added);
                own.set(slot, sum);
            }
            Ok(())
        })
    }

    fn partials(&self, slots: &[u32]) -> Result<Vec<ArrayRef>, AggregateError> {
        Ok(states(self, slots))
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef, AggregateError> {
        Ok(Arc::new(slots.iter().map(|s| self.result(*s)).collect::<Result<Float64Array, _>>()?))
    }

    fn clear(&mut self, slot: u32) {
        self.counts[slot as usize] = 0;
        self.sums.iter_mut().for_each(|s| s.set(slot, WideSum::default()));
    }

    fn save(&self, slot: u32, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend_from_slice(&self.counts[slot as usize].to_le_bytes());
        self.sums.iter().for_each(|s| s.get(slot).save(out));
    }

    fn load(&mut self, slot: u32, input: &mut &[u8]) -> Result<(), AggregateError> {
        let (count, sums) = self.read(input)?;
        self.counts[slot as usize] = count;
        self.sums.iter_mut().zip(sums).for_each(|(own, sum)| own.set(slot, sum));
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        self.counts.capacity() * 8 + self.sums.iter().map(ExactSums::size_bytes).sum::<usize>()
    }
}
