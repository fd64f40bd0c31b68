use crate::harness::Harness;
use arrow::datatypes::{DataType, Field, Schema};
use eddyline_changes::table::parse_changes;
use eddyline_plan::OperatorSpec;
use proptest::prelude::*;
use std::sync::Arc;

proptest! {
    #[test]
    fn all_rows_of_all_inputs_come_out_under_the_names_of_the_first(
        batches in prop::collection::vec((0usize..2, prop::collection::vec((0i64..5, 1i64..3), 0..5)), 0..8)
    ) {
        let schema = |name: &str| Arc::new(Schema::new(vec![Field::new(name, DataType::Int64, true)]));
        let inputs = [schema("a"), schema("b")];
        let mut h = Harness::new(OperatorSpec::Union, &inputs).expect("builds");
        let mut totals = std::collections::BTreeMap::new();
        for sign in [1, -1] {
            for (input, rows) in &batches {
                let text: String = rows.iter().map(|(v, w)| format!("{:+} {v}\n", w * sign)).collect();
                rows.iter().for_each(|(v, w)| *totals.entry(v.to_string()).or_insert(0) += w * sign);
                h.apply(*input, parse_changes(&inputs[*input], &text).expect("a table")).expect("processes");
            }
            h.flush().expect("flushes");
            totals.retain(|_, w| *w != 0);
            prop_assert_eq!(h.content(), crate::harness::content_text(&totals));
        }
        prop_assert!(totals.is_empty());
    }
}
