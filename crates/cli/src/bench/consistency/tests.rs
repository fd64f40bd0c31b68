use super::audit::Audit;
use super::transactions::{Kind, Transaction, transactions};
use super::{VIEWS, audited};
use crate::args::ConsistencyArgs;
use eddyline_engine::ChangeBatch;
use eddyline_engine::arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use std::sync::Arc;

#[test]
fn nothing_is_ever_inconsistent() {
    let args = ConsistencyArgs { transactions: 3_000, epoch_rows: 40, seed: 7, shards: vec![], settings: vec![] };
    for (kind, files, shards) in
        [(Kind::Delayed, 3, 1), (Kind::Delayed, 1, 2), (Kind::Delayed, 3, 4), (Kind::Ordered, 3, 2)]
    {
        let input = transactions(kind, args.transactions, args.seed);
        let dir = tempfile::tempdir().expect("a directory");
        super::transactions::write(&input, files, dir.path()).expect("written");
        let found = audited(&args, &input, dir.path(), shards, &VIEWS).expect("runs");
        assert_eq!(found.first, None, "{kind:?} in {files} files on {shards} shards");
        assert_eq!((found.wrong_totals, found.nulls, found.wrong_results), (0, 0, 0));
        assert!(found.epochs > 20, "{} epochs are too few to see anything", found.epochs);
    }
}

/// Rows (view, number, value) that become visible together.
fn shown(rows: &[(&str, Option<i64>, Option<f64>)]) -> ChangeBatch {
    let views: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.0)));
    let numbers: ArrayRef = Arc::new(rows.iter().map(|r| r.1).collect::<Int64Array>());
    let values: ArrayRef = Arc::new(rows.iter().map(|r| r.2).collect::<Float64Array>());
    let times: ArrayRef = Arc::new(TimestampMillisecondArray::new_null(rows.len()));
    let columns = [("view", views), ("number", numbers), ("value", values), ("ts", times)];
    ChangeBatch::inserts(RecordBatch::try_from_iter_with_nullable(columns.map(|(n, c)| (n, c, true))).expect("columns"))
}

#[test]
fn what_is_wrong_is_found() {
    let one = [Transaction { id: 0, from: 1, to: 2, ts_ms: 0 }];
    let after = |views: &[&str], rows: &[(&str, Option<i64>, Option<f64>)]| {
        let mut audit = Audit::new(views, &one);
        audit.epoch(&[shown(rows)]);
        audit.end()
    };
    let seen = ("seen", Some(0), None);
    assert_eq!(after(&["credits"], &[seen, ("credits", Some(2), Some(1.0))]).first, None);
    assert_eq!(after(&["credits"], &[seen, ("credits", Some(2), Some(2.0))]).wrong_results, 1);
    assert_eq!(after(&["credits", "debits"], &[seen, ("credits", Some(2), Some(1.0))]).wrong_results, 1);
    let partner_missing = after(&["self_join"], &[seen, ("self_join", Some(0), None)]);
    assert_eq!((partner_missing.nulls, partner_missing.wrong_results), (1, 1));
    assert_eq!(after(&["self_join"], &[seen]).wrong_results, 1);
    assert!(after(&["credits"], &[]).first.is_some_and(|f| f.contains("never read")));
    assert!(after(&["credits"], &[seen, seen]).first.is_some_and(|f| f.contains("or again")));
}

#[test]
fn a_total_that_is_not_zero_is_found() {
    let ring: Vec<Transaction> =
        (0..10).map(|id| Transaction { id, from: id as usize, to: (id as usize + 1) % 10, ts_ms: 0 }).collect();
    let seen = (0..10).map(|id| ("seen", Some(id), None));
    let mut audit = Audit::new(&["total"], &ring);
    audit.epoch(&[shown(&seen.chain([("total", None, Some(1.0))]).collect::<Vec<_>>())]);
    assert_eq!(audit.end().wrong_totals, 1);
}
