//! `GENERATE_SERIES` and `RANGE` of DataFusion, which would fill the memory before they fail: counted first.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, IntervalMonthDayNanoType};
use datafusion_common::{Result, exec_err};
use datafusion_expr::{ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};
use std::sync::Arc;

/// Elements that one evaluation may make, over all rows of the batch.
const ELEMENTS_MAX: u128 = 1 << 24;

const DAY_NANOS: i128 = 86_400_000_000_000;

/// The function inside, for as many elements as are bearable.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Series(Arc<ScalarUDF>);

/// Puts a limit on a function that makes a series; others stay as they are.
pub(super) fn limited(function: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    match function.name() {
        "generate_series" | "range" => Arc::new(ScalarUDF::from(Series(function))),
        _ => function,
    }
}

impl ScalarUDFImpl for Series {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn aliases(&self) -> &[String] {
        self.0.aliases()
    }

    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.0.return_type(types)
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
        self.0.invoke_with_args(args)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.0.documentation()
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
