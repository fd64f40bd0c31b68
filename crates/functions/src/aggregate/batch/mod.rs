//! The aggregates as DataFusion knows them: for binding (names, coercion, result types) and for batch execution,
//! whose answers the streaming accumulators are compared with.
//!
//! `sum` and `avg` are not DataFusion's: SUM of integers is a checked BIGINT, AVG of integers stays an integer and is
//! truncated, AVG of decimals is rounded half up at six digits or more. Their accumulators are plain and short on
//! purpose. So are those in [`listed`], which give STRING (DataFusion's STRING_AGG gives a large one) or are not there. All
//! others are DataFusion's own.

mod listed;

use super::exact::WideSum;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Float64Type};
use datafusion_common::{Result, ScalarValue, exec_err, plan_err};
use datafusion_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};
use std::collections::HashSet;
use std::sync::Arc;

/// All aggregates.
pub fn batch_aggregates() -> Vec<Arc<AggregateUDF>> {
    use datafusion_functions_aggregate as theirs;
    let listed = |name| Arc::new(AggregateUDF::from(listed::Listed::new(name)));
    vec![
        theirs::count::count_udaf(),
        theirs::min_max::min_udaf(),
        theirs::min_max::max_udaf(),
        Arc::new(AggregateUDF::from(SumOrAvg::new("sum"))),
        Arc::new(AggregateUDF::from(SumOrAvg::new("avg"))),
        theirs::variance::var_pop_udaf(),
        theirs::variance::var_samp_udaf(),
        theirs::stddev::stddev_pop_udaf(),
        theirs::stddev::stddev_udaf(),
        theirs::covariance::covar_pop_udaf(),
        theirs::covariance::covar_samp_udaf(),
        theirs::correlation::corr_udaf(),
        theirs::bool_and_or::bool_and_udaf(),
        theirs::bool_and_or::bool_or_udaf(),
        theirs::bit_and_or_xor::bit_and_udaf(),
        theirs::bit_and_or_xor::bit_or_udaf(),
        theirs::bit_and_or_xor::bit_xor_udaf(),
        theirs::array_agg::array_agg_udaf(),
        theirs::first_last::first_value_udaf(),
        theirs::first_last::last_value_udaf(),
        theirs::percentile_cont::percentile_cont_udaf(),
        theirs::grouping::grouping_udaf(),
        listed("string_agg"),
        listed("collect"),
        listed("any_value"),
    ]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SumOrAvg {
    name: &'static str,
    signature: Signature,
}

impl SumOrAvg {
    fn new(name: &'static str) -> Self {
        Self { name, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for SumOrAvg {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, args: &[DataType]) -> Result<Vec<DataType>> {
        let [arg] = args else {
            return plan_err!("{} takes one argument, not {}", self.name.to_uppercase(), args.len());
        };
        match arg {
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Ok(vec![arg.clone()]),
            DataType::Float32 | DataType::Float64 | DataType::Decimal128(..) => Ok(vec![arg.clone()]),
            DataType::Null => Ok(vec![DataType::Int64]),
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => Ok(vec![DataType::Int64]),
            DataType::UInt64 => Ok(vec![DataType::Decimal128(20, 0)]),
            other => plan_err!("{} is defined on numbers, not on {other}", self.name.to_uppercase()),
        }
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        let is_sum = self.name == "sum";
        Ok(match &args[0] {
            DataType::Int8 | DataType::Int16 | DataType::Int32 if is_sum => DataType::Int64,
            DataType::Float32 | DataType::Float64 => DataType::Float64,
            DataType::Decimal128(_, scale) if is_sum => DataType::Decimal128(38, *scale),
            DataType::Decimal128(_, scale) => DataType::Decimal128(38, (*scale).max(6)),
            other => other.clone(),
        })
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(SumOrAvgAccumulator {
            name: self.name,
            arg: args.expr_fields[0].data_type().clone(),
            result: args.return_type().clone(),
            exact: 0,
            float: WideSum::default(),
            count: 0,
            distinct: args.is_distinct.then(HashSet::new),
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let arg = args.input_fields[0].data_type();
        if args.is_distinct {
            let values = Field::new_list_field(arg.clone(), true);
            return Ok(vec![Arc::new(Field::new_list(format!("{}[values]", args.name), values, false))]);
        }
        let sum = if arg.is_floating() { DataType::Float64 } else { DataType::Decimal128(38, 0) };
        Ok(vec![
            Arc::new(Field::new(format!("{}[sum]", args.name), sum, false)),
            Arc::new(Field::new(format!("{}[count]", args.name), DataType::Int64, false)),
        ])
    }
}

#[derive(Debug)]
struct SumOrAvgAccumulator {
    name: &'static str,
    arg: DataType,
    result: DataType,
    /// Sum of the unscaled values of integers and decimals.
    exact: i128,
    /// Sum of floating-point values.
    float: WideSum,
    count: i64,
    distinct: Option<HashSet<ScalarValue>>,
}

impl SumOrAvgAccumulator {
    fn overflow<T>(&self) -> Result<T> {
        exec_err!("{} overflows {}", self.name.to_uppercase(), super::sql_name(&self.result))
    }

    fn add(&mut self, values: &ArrayRef, weight: i64) -> Result<()> {
        let added = (values.len() - values.null_count()) as i64;
        self.count += weight * added;
        if self.arg.is_floating() {
            let values = cast(values, &DataType::Float64)?;
            values.as_primitive::<Float64Type>().iter().flatten().for_each(|v| self.float.add(v, weight));
            return Ok(());
        }
        let values = match self.arg {
            DataType::Decimal128(..) => values.clone(),
            _ => cast(values, &DataType::Decimal128(38, 0))?,
        };
        for value in values.as_primitive::<Decimal128Type>().iter().flatten() {
            match self.exact.checked_add(value * i128::from(weight)) {
                Some(sum) => self.exact = sum,
                None => return self.overflow(),
            }
        }
        Ok(())
    }

    fn add_distinct(&mut self, values: &ArrayRef) -> Result<()> {
        for row in (0..values.len()).filter(|row| values.is_valid(*row)) {
            let value = ScalarValue::try_from_array(values, row)?;
            if self.distinct.as_mut().is_some_and(|seen| seen.insert(value)) {
                self.add(&values.slice(row, 1), 1)?;
            }
        }
        Ok(())
    }

    /// Sum or average of whole numbers, unscaled at the scale of the result.
    fn exact_result(&self, digits: u32) -> Option<i128> {
        if self.name == "sum" {
            return self.exact.checked_mul(10i128.checked_pow(digits)?);
        }
        let count = i128::from(self.count);
        if self.result.is_integer() {
            return Some(self.exact / count);
        }
        let twice = self.exact.checked_mul(10i128.checked_pow(digits)?)?.checked_mul(2)?;
        // Half up, away from zero: (2 |x| + n) / 2n.
        Some(twice.signum() * ((twice.abs() + count) / (2 * count)))
    }
}

impl Accumulator for SumOrAvgAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if self.distinct.is_some() { self.add_distinct(&values[0]) } else { self.add(&values[0], 1) }
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(&values[0], -1)
    }

    fn supports_retract_batch(&self) -> bool {
        self.distinct.is_none()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.count == 0 {
            return ScalarValue::try_from(&self.result);
        }
        if self.arg.is_floating() {
            let sum = self.float.round();
            return Ok(ScalarValue::Float64(Some(if self.name == "sum" { sum } else { sum / self.count as f64 })));
        }
        let scale = |t: &DataType| if let DataType::Decimal128(_, scale) = t { *scale } else { 0 };
        let digits = scale(&self.result) - scale(&self.arg);
        let Some(value) = self.exact_result(digits.max(0) as u32) else { return self.overflow() };
        let DataType::Decimal128(precision, scale) = self.result else {
            let whole = ScalarValue::Decimal128(Some(value), 38, 0);
            return whole.cast_to(&self.result).or_else(|_| self.overflow());
        };
        if value.unsigned_abs() >= 10u128.pow(precision.into()) {
            return self.overflow();
        }
        Ok(ScalarValue::Decimal128(Some(value), precision, scale))
    }

    fn size(&self) -> usize {
        let values = self.distinct.as_ref().map_or(0, |d| d.capacity() * size_of::<ScalarValue>());
        size_of_val(self) + self.float.size_bytes() + values
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        if let Some(distinct) = &self.distinct {
            let values: Vec<ScalarValue> = distinct.iter().cloned().collect();
            return Ok(vec![ScalarValue::List(ScalarValue::new_list(&values, &self.arg, true))]);
        }
        let sum = if self.arg.is_floating() {
            ScalarValue::Float64(Some(self.float.round()))
        } else {
            ScalarValue::Decimal128(Some(self.exact), 38, 0)
        };
        Ok(vec![sum, ScalarValue::Int64(Some(self.count))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        if self.distinct.is_some() {
            return states[0].as_list::<i32>().iter().flatten().try_for_each(|values| self.add_distinct(&values));
        }
        let arg = std::mem::replace(&mut self.arg, states[0].data_type().clone());
        let (count, added) = (self.count, arrow::compute::sum(states[1].as_primitive::<arrow::datatypes::Int64Type>()));
        let done = self.add(&states[0], 1);
        self.arg = arg;
        self.count = count + added.unwrap_or(0);
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Decimal128Array, Float64Array, Int32Array, Int64Array};
    use arrow::datatypes::Schema;

    /// Over two batches, directly and by merging two partial states: both must agree.
    fn result(name: &str, distinct: bool, batches: [ArrayRef; 2]) -> Result<ScalarValue> {
        let function = batch_aggregates().into_iter().find(|f| f.name() == name).expect("known");
        let arg = batches[0].data_type().clone();
        let return_type = function.return_type(&function.coerce_types(std::slice::from_ref(&arg))?)?;
        let made = || {
            function.accumulator(AccumulatorArgs {
                return_field: Arc::new(Field::new("result", return_type.clone(), true)),
                schema: &Schema::empty(),
                ignore_nulls: false,
                order_bys: &[],
                is_reversed: false,
                name: "result",
                is_distinct: distinct,
                exprs: &[],
                expr_fields: &[Arc::new(Field::new("arg", arg.clone(), true))],
            })
        };
        let (mut direct, mut merged) = (made()?, made()?);
        for batch in &batches {
            direct.update_batch(std::slice::from_ref(batch))?;
            let mut part = made()?;
            part.update_batch(std::slice::from_ref(batch))?;
            let state: Vec<ArrayRef> = part.state()?.iter().map(ScalarValue::to_array).collect::<Result<_>>()?;
            merged.merge_batch(&state)?;
        }
        let direct = direct.evaluate()?;
        assert_eq!(direct, merged.evaluate()?, "{name}");
        assert_eq!(direct.data_type(), return_type, "{name}");
        Ok(direct)
    }

    #[test]
    fn integers_stay_integers_and_overflow_is_an_error() {
        let ints = |values: &[i32]| Arc::new(Int32Array::from(values.to_vec())) as ArrayRef;
        let both = || [ints(&[i32::MAX, -1]), ints(&[i32::MAX])];
        assert_eq!(result("sum", false, both()).expect("sum"), ScalarValue::Int64(Some(4_294_967_293)));
        assert_eq!(result("avg", false, both()).expect("avg"), ScalarValue::Int32(Some(1_431_655_764)));
        assert_eq!(result("avg", false, [ints(&[-1]), ints(&[-2])]).expect("avg"), ScalarValue::Int32(Some(-1)));
        assert_eq!(result("sum", true, [ints(&[1, 2, 2]), ints(&[2, 3])]).expect("sum"), ScalarValue::Int64(Some(6)));
        assert_eq!(result("sum", false, [ints(&[]), ints(&[])]).expect("sum"), ScalarValue::Int64(None));
        let longs = || Arc::new(Int64Array::from(vec![i64::MAX])) as ArrayRef;
        let error = result("sum", false, [longs(), longs()]).expect_err("overflow").to_string();
        assert!(error.contains("SUM overflows BIGINT"), "{error}");
    }

    #[test]
    fn decimals_are_rounded_half_up_and_doubles_once() {
        let decimals = |values: &[i128]| {
            let array = Decimal128Array::from(values.to_vec());
            Arc::new(array.with_precision_and_scale(5, 2).expect("fits")) as ArrayRef
        };
        let both = || [decimals(&[-100, -100]), decimals(&[0])];
        assert_eq!(result("sum", false, both()).expect("sum"), ScalarValue::Decimal128(Some(-200), 38, 2));
        assert_eq!(result("avg", false, both()).expect("avg"), ScalarValue::Decimal128(Some(-666_667), 38, 6));
        let doubles = |values: &[f64]| Arc::new(Float64Array::from(values.to_vec())) as ArrayRef;
        let sum = result("sum", false, [doubles(&[0.1, 0.2]), doubles(&[0.5])]).expect("sum");
        assert_eq!(sum, ScalarValue::Float64(Some(0.8)));
    }
}
