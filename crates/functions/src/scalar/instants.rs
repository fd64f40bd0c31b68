//! Date and timestamp columns as numbers of one unit.

use super::Zone;
use super::calendar::DAY_SECONDS;
use super::call::Call;
use super::date_pattern::LocalTime;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use datafusion_common::{Result, exec_err};

/// Dates or timestamps. A date is midnight; a `TIMESTAMP_LTZ` is shown as clocks in the session's zone show it.
#[derive(Debug)]
pub(super) struct Instants {
    values: ScalarBuffer<i64>,
    nulls: Option<NullBuffer>,
    /// Units in a second: 1, 1000, …
    per_second: i64,
    zone: Option<Zone>,
    constant: bool,
}

/// Units in a second.
pub(super) fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// The values of a timestamp column, whatever its unit.
pub(super) fn timestamp_values(array: &ArrayRef, unit: TimeUnit) -> ScalarBuffer<i64> {
    match unit {
        TimeUnit::Second => array.as_primitive::<TimestampSecondType>().values().clone(),
        TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().values().clone(),
        TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().values().clone(),
        TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().values().clone(),
    }
}

impl Instants {
    /// An argument of the kind `Time`.
    pub(super) fn new(call: &Call, at: usize) -> Result<Self> {
        let (array, constant) = call.raw(at);
        let nulls = array.nulls().filter(|n| n.null_count() > 0).cloned();
        let (values, unit, zone) = match array.data_type() {
            DataType::Date32 => {
                let days = array.as_primitive::<Date32Type>().values().iter();
                (days.map(|d| i64::from(*d) * DAY_SECONDS).collect(), TimeUnit::Second, None)
            }
            DataType::Timestamp(unit, zoned) => {
                // In UTC there is nothing to add.
                let zone = zoned.is_some().then_some(call.zone).filter(|z| *z != Zone::utc());
                (timestamp_values(array, *unit), *unit, zone)
            }
            // A time of day is one of 1970-01-01.
            DataType::Time32(unit) | DataType::Time64(unit) => {
                let array = cast(array, &DataType::Int64)?;
                (array.as_primitive::<Int64Type>().values().clone(), *unit, None)
            }
            other => return exec_err!("{} takes a DATE or TIMESTAMP, not {other}", call.sql_name()),
        };
        Ok(Self { values, nulls, per_second: per_second(unit), zone, constant })
    }

    /// NULLs of a column of timestamps that is not a constant.
    pub(super) fn column_nulls(&self) -> Option<&NullBuffer> {
        self.nulls.as_ref()
    }

    /// The values and their unit, if the time of day is simply the rest of a division: a column, no time zone.
    pub(super) fn plain_column(&self) -> Option<(&[i64], i64)> {
        (!self.constant && self.zone.is_none()).then_some((&self.values, self.per_second))
    }

    /// The unscaled value of a row and the units in a second.
    #[inline(always)]
    fn value(&self, row: usize) -> Option<i64> {
        let at = if self.constant { 0 } else { row };
        match &self.nulls {
            Some(nulls) if nulls.is_null(at) => None,
            _ => Some(self.values[at]),
        }
    }

    /// The local time of a row.
    #[inline(always)]
    pub(super) fn at(&self, row: usize) -> Option<LocalTime> {
        let value = self.value(row)?;
        let seconds = value.div_euclid(self.per_second);
        let nanos = (value.rem_euclid(self.per_second) * (1_000_000_000 / self.per_second)) as u32;
        let offset = self.zone.map_or(0, |zone| zone.offset_seconds(seconds));
        Some(LocalTime { seconds: seconds + offset, nanos, offset })
    }
}
