//! Formats that hold changes: what is written reads back, in any cuts.

use super::{changes_in, encode_changes, format_with, request};
use crate::SourceRequest;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use eddyline_changes::ChangeBatch;
use eddyline_changes::table::{format_changes, format_changes_sorted, parse_changes};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

fn table() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("text", DataType::Utf8, true),
        Field::new("n", DataType::Decimal128(10, 2), false),
    ]))
}

const TEXTS: [&str; 6] = ["NULL", "a", "\"\"", "\"x y\"", "x,y", "true"];

/// Changes of a table with the key `id`, never more than one row per key, and the table at their end.
fn script(steps: &[(u8, u8, bool)]) -> (ChangeBatch, BTreeMap<u8, String>) {
    let (mut lines, mut rows) = (String::new(), BTreeMap::<u8, String>::new());
    for (key, value, deletes) in steps {
        let row = format!("{key} {} {}.5", TEXTS[usize::from(*value) % TEXTS.len()], value / 7);
        if let Some(before) = rows.remove(key) {
            lines.push_str(&format!("- {before}\n"));
        }
        if !deletes {
            lines.push_str(&format!("+ {row}\n"));
            rows.insert(*key, row);
        }
    }
    (parse_changes(&table(), &lines).expect("change table"), rows)
}

fn net(batches: &[ChangeBatch]) -> String {
    let all = ChangeBatch::concat(&batches[0].schema(), batches).expect("one schema");
    format_changes_sorted(&all.consolidate().expect("rows that compare"))
}

proptest! {
    #[test]
    fn changes_read_back_as_they_were(
        steps in prop::collection::vec((0u8..4, 0u8..40, any::<bool>()), 1..30),
        cuts in prop::collection::vec(0usize..2000, 0..6),
        rows_max in 1usize..9,
        has_key in any::<bool>(),
    ) {
        let (changes, _) = script(&steps);
        prop_assume!(!changes.is_empty());
        let mut cuts = cuts;
        cuts.sort_unstable();
        for format in ["changelog-json", "changelog-csv", "debezium-json"] {
            let pairs = [("format", format)];
            let text = encode_changes(&pairs, &changes, if has_key { &[0] } else { &[] }).expect("writes");
            let read = changes_in(format_with(&pairs, &request(&table())).as_ref(), text.as_bytes(), &cuts, rows_max);
            let (read, skipped) = read.expect("reads");
            prop_assert_eq!(skipped, 0);
            prop_assert_eq!(net(&read), net(std::slice::from_ref(&changes)), "{}\n{}", format, text);
        }
    }

    #[test]
    fn upserts_read_back_as_the_table(
        steps in prop::collection::vec((0u8..4, 0u8..40, any::<bool>()), 1..30),
        cuts in prop::collection::vec(0usize..2000, 0..6),
        rows_max in 1usize..9,
    ) {
        let (changes, rows) = script(&steps);
        let mut cuts = cuts;
        cuts.sort_unstable();
        for format in ["upsert-json", "upsert-csv"] {
            let pairs = [("format", format)];
            // A sink writes the net changes of an epoch.
            let changes = changes.consolidate().expect("rows that compare");
            let text = encode_changes(&pairs, &changes, &[0]).expect("writes");
            let request = SourceRequest { key: vec![0], ..request(&table()) };
            let read = changes_in(format_with(&pairs, &request).as_ref(), text.as_bytes(), &cuts, rows_max);
            let mut kept = BTreeMap::new();
            for line in read.expect("reads").0.iter().map(format_changes).collect::<String>().lines() {
                let (sign, row) = line.split_once(' ').expect("a row");
                let key = row.split_once(' ').expect("columns").0.parse::<u8>().expect("a key");
                kept.remove(&key);
                if sign == "+" {
                    kept.insert(key, row.to_owned());
                }
            }
            let wanted: BTreeMap<u8, String> = rows.iter().map(|(k, row)| {
                let one = parse_changes(&table(), &format!("+ {row}")).expect("a row");
                (*k, format_changes(&one).trim_start_matches("+ ").trim_end().to_owned())
            }).collect();
            prop_assert_eq!(&kept, &wanted, "{}\n{}", format, text);
        }
    }
}
