use crate::harness::Harness;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use eddyline_plan::{OperatorSpec, Window, WindowAssignSpec};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

fn assign(window: Window, unit: TimeUnit, zone: Option<&str>) -> Harness {
    let schema: SchemaRef = Arc::new(Schema::new(vec![
        Field::new("v", DataType::Int64, true),
        Field::new("ts", DataType::Timestamp(unit, zone.map(Into::into)), true),
    ]));
    Harness::new(OperatorSpec::WindowAssign(WindowAssignSpec { window, time: 1 }), &[schema]).expect("builds")
}

#[test]
fn a_row_is_in_one_tumbling_window_with_its_weight() {
    let mut h = assign(Window::Tumble { size_ms: 10_000, offset_ms: 1000 }, TimeUnit::Microsecond, None);
    h.process("+2 1 1970-01-01T00:00:11\n- 2 1970-01-01T00:00:10.999999").expect("processes");
    let out: Vec<String> = h.take().iter().map(eddyline_changes::table::format_changes).collect();
    assert_eq!(
        out,
        ["+2 1 1970-01-01T00:00:11 1970-01-01T00:00:11 1970-01-01T00:00:21 1970-01-01T00:00:20.999\n\
          - 2 1970-01-01T00:00:10.999999 1970-01-01T00:00:01 1970-01-01T00:00:11 1970-01-01T00:00:10.999\n"]
    );
}

#[test]
fn a_row_comes_out_once_per_hopping_window_and_null_time_is_rejected() {
    let mut h = assign(Window::Hop { size_ms: 4000, slide_ms: 2000, offset_ms: 0 }, TimeUnit::Second, Some("UTC"));
    h.process("+ 1 1970-01-01T00:00:03Z\n+3 2 NULL").expect("processes");
    assert_eq!(h.rejected("null time"), 1);
    assert_eq!(
        h.flush().expect("flushes"),
        "+ 1 1970-01-01T00:00:03Z 1970-01-01T00:00:00Z 1970-01-01T00:00:04Z 1970-01-01T00:00:03.999Z\n\
         + 1 1970-01-01T00:00:03Z 1970-01-01T00:00:02Z 1970-01-01T00:00:06Z 1970-01-01T00:00:05.999Z\n"
    );
}

proptest! {
    #[test]
    fn output_is_the_batch_answer_and_goes_back_to_nothing(
        times in prop::collection::vec(-30i64..30, 0..20),
        cut in 0usize..20,
        (size, slide, offset) in (1i64..9, 1i64..9, -3i64..3),
    ) {
        let mut h = assign(Window::Hop { size_ms: size, slide_ms: slide, offset_ms: offset }, TimeUnit::Millisecond, None);
        let time = |ms: i64| arrow::temporal_conversions::timestamp_ms_to_datetime(ms)
            .expect("a time").format("%Y-%m-%dT%H:%M:%S%.f").to_string();
        let mut answer = BTreeMap::new();
        for t in &times {
            for start in (-60..60).map(|k| k * slide + offset).filter(|s| s <= t && *t < s + size) {
                let row = format!("1 {} {} {} {}", time(*t), time(start), time(start + size), time(start + size - 1));
                *answer.entry(row).or_insert(0) += 1;
            }
        }
        let table = |sign: &str, times: &[i64]| times.iter().map(|t| format!("{sign} 1 {}\n", time(*t))).collect::<String>();
        let (first, second) = times.split_at(cut.min(times.len()));
        h.process(&table("+", first)).expect("processes");
        h.process(&table("+", second)).expect("processes");
        h.flush().expect("flushes");
        prop_assert_eq!(h.content(), crate::harness::content_text(&answer));
        h.process(&table("-", &times)).expect("processes");
        h.flush().expect("flushes");
        prop_assert_eq!(h.content(), "");
    }
}
