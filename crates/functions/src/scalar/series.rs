//! `GENERATE_SERIES` and `RANGE` of DataFusion, which would fill the memory before they fail: counted first.
//!
//! A long series of constants is left to whoever runs the plan ([`late`]): as a constant it would be copied, printed and compared with every
//! step of planning, where nothing can be cancelled.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, IntervalMonthDayNanoType};
use datafusion_common::{Result, ScalarValue, exec_err};
use datafusion_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::any::Any;
use std::sync::Arc;

/// Elements that one evaluation may make, over all rows of the batch.
const ELEMENTS_MAX: u128 = 1 << 24;

/// A series with more elements is no constant of a plan.
const CONSTANT_MAX: u128 = 8192;

const DAY_NANOS: i128 = 86_400_000_000_000;

/// The function inside, for as many elements as are bearable.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Series {
    function: Arc<ScalarUDF>,
    signature: Signature,
    is_late: bool,
}

/// Puts a limit on a function that makes a series; others stay as they are.
pub(super) fn limited(function: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    match function.name() {
        "generate_series" | "range" => {
            let signature = function.signature().clone();
            Arc::new(ScalarUDF::from(Series { function, signature, is_late: false }))
        }
        _ => function,
    }
}

/// The same function, not to be computed before the plan runs, if it makes a long series of these arguments. (A series that is
/// too long fails, the sooner the better.)
pub fn late(function: &ScalarUDF, args: &[&ScalarValue]) -> Option<ScalarUDF> {
    let series = of_ours(function)?;
    let args = args.iter().map(|a| a.to_array()).collect::<Result<Vec<_>>>().ok()?;
    if !(CONSTANT_MAX + 1..=ELEMENTS_MAX).contains(&elements(&args).ok()?) {
        return None;
    }
    // No optimizer folds what it believes to be another value every time.
    let signature = Signature { volatility: Volatility::Volatile, ..series.signature.clone() };
    Some(ScalarUDF::from(Series { function: series.function.clone(), signature, is_late: true }))
}

/// Is it such a function?
pub fn is_late(function: &ScalarUDF) -> bool {
    of_ours(function).is_some_and(|series| series.is_late)
}

fn of_ours(function: &ScalarUDF) -> Option<&Series> {
    let function: &dyn Any = function.inner().as_ref();
    function.downcast_ref::<Series>()
}

impl ScalarUDFImpl for Series {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.function.return_type(types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|a| a.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let count = elements(&arrays)?;
        if count > ELEMENTS_MAX {
            let name = self.name().to_uppercase();
            return exec_err!("{name} would make {count} elements; {ELEMENTS_MAX} are the most at a time");
        }
        self.function.invoke_with_args(args)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.function.documentation()
    }
}

/// How many elements all rows have together, a bit too many for steps of months.
fn elements(args: &[ArrayRef]) -> Result<u128> {
    if args.iter().any(|a| a.data_type().is_null()) {
        return Ok(0);
    }
    let (start, stop, step) = match args {
        [stop] => (None, stop, None),
        [start, stop] => (Some(start), stop, None),
        [start, stop, step] => (Some(start), stop, Some(step)),
        _ => return Ok(0),
    };
    let stop = numbers(stop)?;
    let start = start.map_or_else(|| Ok(vec![Some(0); stop.len()]), numbers)?;
    let step = step.map_or_else(|| Ok(vec![Some(1); stop.len()]), steps)?;
    let of_row = |((start, stop), step): ((&Option<i128>, &Option<i128>), &Option<i128>)| match (start, stop, step) {
        // A step of 0 is refused by the function itself.
        (Some(start), Some(stop), Some(step)) if *step != 0 && (*step > 0) == (stop >= start) => {
            (stop - start).unsigned_abs() / step.unsigned_abs() + 1
        }
        _ => 0,
    };
    Ok(start.iter().zip(&stop).zip(&step).map(of_row).fold(0, u128::saturating_add))
}

/// Integers as they are, times in nanoseconds.
fn numbers(array: &ArrayRef) -> Result<Vec<Option<i128>>> {
    let unit = match array.data_type() {
        DataType::Date32 => DAY_NANOS,
        DataType::Date64 => 1_000_000,
        DataType::Timestamp(unit, _) => i128::from(1_000_000_000 / super::instants::per_second(*unit)),
        _ => 1,
    };
    let days = cast(array, &DataType::Int32).ok().filter(|_| *array.data_type() == DataType::Date32);
    let values = cast(&days.unwrap_or_else(|| array.clone()), &DataType::Int64)?;
    Ok(values.as_primitive::<Int64Type>().iter().map(|v| v.map(|v| i128::from(v) * unit)).collect())
}

/// Steps: integers as they are, intervals in nanoseconds, the shortest that they may be.
fn steps(array: &ArrayRef) -> Result<Vec<Option<i128>>> {
    if !matches!(array.data_type(), DataType::Interval(_)) {
        return numbers(array);
    }
    let nanos = |months: i32, days: i32, nanos: i64| {
        i128::from(months) * 28 * DAY_NANOS + i128::from(days) * DAY_NANOS + i128::from(nanos)
    };
    let values = array.as_primitive::<IntervalMonthDayNanoType>();
    Ok(values.iter().map(|v| v.map(|v| nanos(v.months, v.days, v.nanoseconds))).collect())
}
