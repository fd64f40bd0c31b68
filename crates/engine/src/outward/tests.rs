//! What a job reads of what a sink is to write, from any place.

use super::connector::{ToldConnector, options, position};
use crate::durable::Told;
use crate::kept::Contents;
use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use eddyline_changes::{ChangeBatch, Weights};
use eddyline_connectors::clock::ManualClock;
use eddyline_connectors::{Connector, Options, Position, Rim, Source, SourceRequest};
use eddyline_stores::Stores;
use std::future::poll_fn;
use std::path::Path;
use std::sync::Arc;

/// Of these bytes each record is longer, so that every renewal and every drop happens.
const BYTES: usize = 1;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]))
}

fn changes(rows: &[(i64, i64)]) -> ChangeBatch {
    let (values, weights): (Vec<i64>, Vec<i64>) = rows.iter().copied().unzip();
    let rows = RecordBatch::try_new(schema(), vec![Arc::new(Int64Array::from(values))]).expect("rows");
    ChangeBatch::new(rows, Weights::from_vec(weights)).expect("changes")
}

fn told(directory: &Path) -> Arc<Told> {
    Arc::new(Told::open_sized(&schema(), &[0], Some(directory), BYTES).expect("a journal"))
}

/// Rows with their weights, and where the next one begins.
type Piece = (Vec<(i64, i64)>, u64);

/// All that is there from a position on when a process starts, in pieces of at most so many rows.
fn read(directory: &Path, from: u64, rows_max: usize) -> Vec<Piece> {
    let told = told(directory);
    // Behind what was told, readers find this.
    told.fail("the end".into());
    let tokio = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let connector: Arc<ToldConnector> = Arc::default();
    let _found = connector.register(7, &told);
    let request = SourceRequest {
        table: "answer".into(),
        physical: schema(),
        projection: vec![0],
        key: Vec::new(),
        metadata: Vec::new(),
        time_zone: "UTC".into(),
    };
    let source: Arc<dyn Source> = connector.source(Options::new("answer", &options(7, false)), request).expect("it");
    let split = source.splits(1).expect("splits").remove(0);
    let rim = Rim { tokio: tokio.handle().clone(), clock: ManualClock::shared(), stores: Stores::new([]) };
    let mut reader = source.open(&split, Position(from), &rim).expect("open");
    let mut decoder = source.decoder(&split).expect("a decoder");
    let mut found = Vec::new();
    loop {
        match tokio.block_on(poll_fn(|cx| reader.poll_block(cx))) {
            Ok(block) => decoder.feed(block.expect("no end")).expect("fed"),
            Err(error) => {
                assert!(error.to_string().contains("the end"), "{error}");
                return found;
            }
        }
        while let Some(part) = decoder.next(rows_max).expect("rows") {
            let values = part.changes.column(0).as_primitive::<Int64Type>().values().to_vec();
            let rows = values.into_iter().enumerate().map(|(at, n)| (n, part.changes.weights().at(at)));
            found.push((rows.collect(), part.position.0));
        }
    }
}

fn rows(pieces: &[Piece]) -> Vec<(i64, i64)> {
    pieces.iter().flat_map(|(rows, _)| rows.iter().copied()).collect()
}

#[test]
fn a_job_reads_on_from_any_row() {
    let home = tempfile::tempdir().expect("a directory");
    told(home.path()).tell(&[changes(&[(1, 1), (2, 1), (3, 2)]), changes(&[(2, -1), (4, 1)])]).expect("told");
    let all = read(home.path(), 0, 2);
    assert_eq!(rows(&all), [(1, 1), (2, 1), (3, 2), (2, -1), (4, 1)]);
    let mut before = 0;
    for (pieces, end) in &all {
        before += pieces.len();
        assert_eq!(rows(&read(home.path(), *end, 9)), rows(&all)[before..], "from {end}");
    }
}

#[test]
fn all_rows_written_anew_are_for_those_who_begin() {
    let home = tempfile::tempdir().expect("a directory");
    let first = told(home.path());
    first.tell(&[changes(&[(1, 1), (2, 1), (3, 1)])]).expect("told");
    first.tell(&[changes(&[(2, -1)])]).expect("told");
    let all = first.renew().expect("renewed").expect("it was long");
    first.tell(&[changes(&[(4, 1)])]).expect("told");
    drop(first);
    // Who reads on is not told them.
    assert_eq!(rows(&read(home.path(), position(all), 9)), [(4, 1)]);
    assert_eq!(rows(&read(home.path(), position(all - 1), 9)), [(2, -1), (4, 1)]);
    let anew = read(home.path(), 0, 1);
    assert_eq!(rows(&anew), [(1, 1), (3, 1), (4, 1)]);
    // Who has read some of them is told the others.
    assert_eq!(rows(&read(home.path(), anew[0].1, 9)), [(3, 1), (4, 1)]);
    // What lay before goes, and nothing else.
    let second = told(home.path());
    second.drop_before(all).expect("dropped");
    drop(second);
    assert_eq!(rows(&read(home.path(), 0, 9)), [(1, 1), (3, 1), (4, 1)]);
    assert_eq!(rows(&read(home.path(), position(all), 9)), [(4, 1)]);
}

#[test]
fn what_is_lacking_is_told_when_a_process_starts() {
    let home = tempfile::tempdir().expect("a directory");
    told(home.path()).tell(&[changes(&[(1, 1), (2, 1), (3, 2)])]).expect("told");
    let told_before = read(home.path(), 0, 9)[0].1;
    let mut now = Contents::of_view(0, schema(), &[0]).expect("rows");
    now.apply(&changes(&[(2, 1), (3, 1), (5, 1)])).expect("rows");
    let told_on = told(home.path());
    told_on.catch_up(&now.rows(), false).expect("told");
    // Nothing is lacking any more.
    told_on.catch_up(&now.rows(), false).expect("told");
    drop(told_on);
    let mut after = rows(&read(home.path(), told_before, 9));
    after.sort_unstable();
    assert_eq!(after, [(1, -1), (3, -1), (5, 1)]);
}

#[test]
fn what_is_final_is_not_taken_back() {
    let home = tempfile::tempdir().expect("a directory");
    told(home.path()).tell(&[changes(&[(1, 1)])]).expect("told");
    let mut now = Contents::of_view(0, schema(), &[]).expect("rows");
    now.apply(&changes(&[(2, 1)])).expect("rows");
    told(home.path()).catch_up(&now.rows(), true).expect("told");
    assert_eq!(rows(&read(home.path(), 0, 9)), [(1, 1), (2, 1)]);
}
