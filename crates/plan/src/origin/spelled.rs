//! What operators do, spelled out for good: state is found again by these words, so none of them follows from how the engine is written. Who changes
//! one must leave the former in place for what was stored with it ([`super::Words`]).

use super::{at, call_text, order_text, short};
use crate::{
    Compare, Conflict, Frame, FrameBound, FrameOffset, FrameUnits, JoinSpec, OrderColumn, OverFunction, SetOperation,
    TemporalFilterSpec, TimeKey, TimeTest, Window,
};
use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use eddyline_changes::hash::hash_bytes;
use std::fmt::Write as _;

pub(super) fn window(window: &Window) -> String {
    match window {
        Window::Tumble { size_ms, offset_ms } => format!("tumble {size_ms} at {offset_ms}"),
        Window::Hop { size_ms, slide_ms, offset_ms } => format!("hop {slide_ms} of {size_ms} at {offset_ms}"),
    }
}

/// Sessions of the rows of a partition.
pub(super) fn session(gap_ms: i64, partition: &[String]) -> String {
    format!("sessions of {gap_ms} by ({})", partition.join(", "))
}

/// How the sides of a join are kept.
pub(super) fn join_form(spec: &JoinSpec) -> String {
    let side = |append_only: bool| if append_only { "only inserted" } else { "taken back" };
    let [left, right] = spec.append_only.map(side);
    let mut text = format!("left {left}, right {right}");
    if let Some(range) = &spec.range {
        let compare = match range.compare {
            Compare::Less => "<",
            Compare::LessEqual => "<=",
            Compare::Greater => ">",
            Compare::GreaterEqual => ">=",
        };
        let all = if range.is_all { " and nothing else" } else { "" };
        let _ = write!(text, ", in the order of {compare}{all}");
    }
    text += &closes(spec.time.as_ref());
    if spec.on_close {
        text += ", put out then";
    }
    text
}

/// When rows are let go.
pub(super) fn closes(time: Option<&TimeKey>) -> String {
    time.map(|TimeKey { key, delay_ms }| format!(", until the time of key {key} and {delay_ms}")).unwrap_or_default()
}

pub(super) fn set_operation(operation: SetOperation) -> &'static str {
    match operation {
        SetOperation::IntersectAll => "those in both of",
        SetOperation::ExceptAll => "those in the first and not in the second of",
    }
}

pub(super) fn conflict(conflict: Conflict) -> &'static str {
    match conflict {
        Conflict::Error => "the only one",
        Conflict::Nothing => "the first",
        Conflict::Deduplicate => "the last",
    }
}

/// When rows are there.
pub(super) fn bounds(spec: &TemporalFilterSpec, columns: &[String]) -> String {
    let bound = |bound: &crate::TimeBound| {
        let test = match bound.test {
            TimeTest::Before => "<",
            TimeTest::Until => "<=",
            TimeTest::After => ">",
            TimeTest::From => ">=",
        };
        let months = bound.months.map(|months| {
            let zone = if months.local { spec.zone.as_str() } else { "UTC" };
            format!(" and {} months in {zone}", months.count)
        });
        format!(
            "{}{} {test} {} - {}",
            spec.now(),
            months.unwrap_or_default(),
            at(columns, bound.column),
            bound.shift_ms
        )
    };
    spec.bounds.iter().map(bound).collect::<Vec<_>>().join(" and ")
}

/// Rows that stand in the query.
pub(super) fn values(rows: &RecordBatch) -> String {
    let options = FormatOptions::default().with_display_error(true).with_null("NULL");
    let mut text = String::new();
    for column in rows.columns() {
        let _ = write!(text, "{}:", column.data_type());
        if let Ok(values) = ArrayFormatter::try_new(column.as_ref(), &options) {
            (0..rows.num_rows()).for_each(|row| {
                let _ = write!(text, " {:?}", values.value(row).to_string());
            });
        }
        text.push('\n');
    }
    format!("{} rows {:016x}", rows.num_rows(), hash_bytes(text.as_bytes()))
}

/// `by (shop) order price true false`.
pub(super) fn partition(partition: &[usize], order: &[OrderColumn], columns: &[String]) -> String {
    let by: Vec<String> = partition.iter().map(|c| at(columns, *c)).collect();
    let order: Vec<String> = order.iter().map(|o| order_text(o, columns)).collect();
    format!("by ({}) order {}", by.join(", "), order.join(", "))
}

/// A function over the rows around one.
pub(super) fn over_function(function: &OverFunction, columns: &[String]) -> String {
    let column = |c: &usize| at(columns, *c);
    let nulls = |ignore: &bool| if *ignore { " ignore nulls" } else { "" };
    let text = match function {
        OverFunction::RowNumber => "row_number()".into(),
        OverFunction::Rank => "rank()".into(),
        OverFunction::DenseRank => "dense_rank()".into(),
        OverFunction::PercentRank => "percent_rank()".into(),
        OverFunction::CumeDist => "cume_dist()".into(),
        OverFunction::Ntile(buckets) => format!("ntile({buckets})"),
        OverFunction::Shift { value, offset, default, ignore_nulls } => {
            let default = default.as_ref().map_or_else(|| "null".to_owned(), column);
            format!("{} {offset} rows before or {default}{}", column(value), nulls(ignore_nulls))
        }
        OverFunction::Nth { value, n, from_last, ignore_nulls, frame: of } => {
            let from = if *from_last { " from last" } else { "" };
            format!("{} of row {n}{from}{} of {}", column(value), nulls(ignore_nulls), frame(of))
        }
        OverFunction::Collect { value, separator, filter, frame: of } => {
            let separator = separator.as_ref().map(|s| format!(" by {s:?}")).unwrap_or_default();
            let filter = filter.as_ref().map(|f| format!(" where {}", column(f))).unwrap_or_default();
            format!("all {}{separator}{filter} of {}", column(value), frame(of))
        }
        OverFunction::Aggregate { call, frame: of } => format!("{} of {}", call_text(call, columns), frame(of)),
    };
    short(text)
}

fn frame(frame: &Frame) -> String {
    let units = match frame.units {
        FrameUnits::Rows => "rows",
        FrameUnits::Range => "range",
        FrameUnits::Groups => "groups",
    };
    format!("{units} {} to {}", bound(&frame.start), bound(&frame.end))
}

fn bound(bound: &FrameBound) -> String {
    match bound {
        FrameBound::UnboundedPreceding => "the first".into(),
        FrameBound::Preceding(by) => format!("{} before", offset(by)),
        FrameBound::CurrentRow => "this".into(),
        FrameBound::Following(by) => format!("{} behind", offset(by)),
        FrameBound::UnboundedFollowing => "the last".into(),
    }
}

fn offset(offset: &FrameOffset) -> String {
    match offset {
        FrameOffset::Count(count) => format!("{count}"),
        FrameOffset::Exact(value) => format!("value {value}"),
        FrameOffset::Float(bits) => format!("value {}", f64::from_bits(*bits)),
        FrameOffset::Interval { months, nanos } => format!("{months} months {nanos} ns"),
    }
}
