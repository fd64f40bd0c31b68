//! Casts that mean something else in SQL than in Arrow.
//!
//! | from → to | meaning |
//! |---|---|
//! | TIMESTAMP → STRING | `2020-01-01 00:00:00.000`: a blank between, as many digits as the type has |
//! | TIMESTAMP_LTZ → STRING | the same, on the clocks of the session time zone |
//! | TIMESTAMP ↔ TIMESTAMP_LTZ | through the clocks of the session time zone |
//! | BOOLEAN → STRING | `TRUE`, `FALSE` |

use arrow::compute::CastOptions;
use arrow::datatypes::{DataType, Schema, TimeUnit};
use arrow::util::display::FormatOptions;
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_physical_expr::expressions::{CaseExpr, CastExpr, Literal};
use datafusion_physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use std::sync::Arc;

/// The expression in the place of a cast; `None` where Arrow's meaning is right.
pub(super) fn rewritten(
    expression: &Arc<dyn PhysicalExpr>,
    schema: &Schema,
    props: &ExecutionProps,
) -> Result<Option<Arc<dyn PhysicalExpr>>> {
    let Some(cast) = expression.downcast_ref::<CastExpr>() else { return Ok(None) };
    // Made here, from below: done already.
    if *cast.cast_options() != datafusion_common::format::DEFAULT_CAST_OPTIONS {
        return Ok(None);
    }
    let inner = cast.expr();
    let (from, to) = (inner.data_type(schema)?, cast.cast_type());
    Ok(match (&from, to) {
        (DataType::Timestamp(unit, None), DataType::Utf8) => Some(as_text(inner.clone(), *unit)),
        (DataType::Timestamp(unit, Some(_)), DataType::Utf8) => {
            Some(as_text(on_local_clocks(inner.clone(), *unit, schema, props)?, *unit))
        }
        (DataType::Timestamp(unit, Some(_)), DataType::Timestamp(wanted, None)) => {
            let local = on_local_clocks(inner.clone(), *unit, schema, props)?;
            Some(if unit == wanted { local } else { cast_to(local, to.clone()) })
        }
        (DataType::Timestamp(_, None), DataType::Timestamp(unit, Some(_))) => zone(props).map(|zone| {
            let local = cast_to(inner.clone(), DataType::Timestamp(*unit, Some(zone.into())));
            cast_to(local, to.clone())
        }),
        (DataType::Boolean, DataType::Utf8) => Some(truth(inner.clone())?),
        _ => None,
    })
}

/// The session time zone, unless it is UTC.
fn zone(props: &ExecutionProps) -> Option<&str> {
    let zone = props.config_options.as_ref()?.execution.time_zone.as_deref()?;
    (!zone.eq_ignore_ascii_case("UTC")).then_some(zone)
}

fn cast_to(inner: Arc<dyn PhysicalExpr>, to: DataType) -> Arc<dyn PhysicalExpr> {
    Arc::new(CastExpr::new(inner, to, None))
}

/// What clocks in the session time zone show at a moment.
fn on_local_clocks(
    moment: Arc<dyn PhysicalExpr>,
    unit: TimeUnit,
    schema: &Schema,
    props: &ExecutionProps,
) -> Result<Arc<dyn PhysicalExpr>> {
    let Some(zone) = zone(props) else { return Ok(cast_to(moment, DataType::Timestamp(unit, None))) };
    let there = cast_to(moment, DataType::Timestamp(unit, Some(zone.into())));
    let function = datafusion_functions::datetime::to_local_time();
    let config = props.config_options.clone().unwrap_or_default();
    Ok(Arc::new(ScalarFunctionExpr::try_new(function, vec![there], schema, config)?))
}

fn as_text(time: Arc<dyn PhysicalExpr>, unit: TimeUnit) -> Arc<dyn PhysicalExpr> {
    let format = match unit {
        TimeUnit::Second => "%Y-%m-%d %H:%M:%S",
        TimeUnit::Millisecond => "%Y-%m-%d %H:%M:%S%.3f",
        TimeUnit::Microsecond => "%Y-%m-%d %H:%M:%S%.6f",
        TimeUnit::Nanosecond => "%Y-%m-%d %H:%M:%S%.9f",
    };
    let format_options =
        FormatOptions::new().with_timestamp_format(Some(format)).with_timestamp_tz_format(Some(format));
    let options = CastOptions { safe: false, format_options };
    Arc::new(CastExpr::new(time, DataType::Utf8, Some(options)))
}

fn truth(value: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
    let text = |t: &str| -> Arc<dyn PhysicalExpr> { Arc::new(Literal::new(ScalarValue::Utf8(Some(t.into())))) };
    let boolean = |b: bool| -> Arc<dyn PhysicalExpr> { Arc::new(Literal::new(ScalarValue::Boolean(Some(b)))) };
    let cases = vec![(boolean(true), text("TRUE")), (boolean(false), text("FALSE"))];
    Ok(Arc::new(CaseExpr::try_new(Some(value), cases, None)?))
}
