use crate::testing::{Bench, failure, lines, metadata, options, request, schema, source};
use crate::{Commit, Position, Registry, Sink, SinkRequest, SourceRequest};
use arrow::array::{
    ArrayRef, Decimal128Array, DictionaryArray, Int32Array, Int64Array, LargeStringArray, RecordBatch, StringArray,
    StringViewArray, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type, SchemaRef, TimeUnit};
use eddyline_changes::{BarrierKind, ChangeBatch, Epoch};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).expect("batch")
}

fn write(path: &Path, rows: &RecordBatch, group_rows: usize) {
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(group_rows)).build();
    let mut writer =
        ArrowWriter::try_new(File::create(path).expect("file"), rows.schema(), Some(properties)).expect("writer");
    writer.write(rows).expect("write");
    writer.close().expect("close");
}

fn numbers(rows: i64) -> RecordBatch {
    let names = StringArray::from_iter_values((0..rows).map(|i| format!("n{i}")));
    batch(vec![
        ("id", Arc::new(Int64Array::from_iter_values(0..rows))),
        ("name", Arc::new(names)),
        ("twice", Arc::new(Int64Array::from_iter_values((0..rows).map(|i| 2 * i)))),
    ])
}

fn table() -> SchemaRef {
    numbers(0).schema()
}

fn parquet(path: &Path) -> [(&str, &str); 3] {
    [("connector", "filesystem"), ("format", "parquet"), ("path", path.to_str().expect("a path"))]
}

#[test]
fn row_groups_of_a_lone_file_are_splits_and_projection_keeps_its_order() {
    let directory = tempfile::tempdir().expect("directory");
    write(&directory.path().join("a.parquet"), &numbers(100), 30);
    let request = SourceRequest { projection: vec![2, 0], ..request(&table()) };
    let source = source(&parquet(directory.path()), request).expect("source");
    let splits = source.splits(2).expect("splits");
    assert_eq!(splits.len(), 4);
    let rows = Bench::new().read_split(&*source, &splits[1], Position(0), 8).expect("rows");
    let sizes: Vec<_> = rows.iter().map(|d| (d.changes.num_rows(), d.position.0)).collect();
    assert_eq!(sizes, [(8, 38), (8, 46), (8, 54), (6, 60)]);
    assert!(lines(rows[0].changes.rows()).starts_with("60,30\n62,31\n"));
}

#[test]
fn a_reader_goes_on_at_a_position_also_in_a_later_row_group() {
    let directory = tempfile::tempdir().expect("directory");
    write(&directory.path().join("a.parquet"), &numbers(100), 30);
    write(&directory.path().join("b.parquet"), &numbers(100), 30);
    let source = source(&parquet(directory.path()), request(&table())).expect("source");
    let splits = source.splits(2).expect("splits");
    assert_eq!(splits.len(), 2, "as many files as shards are read whole");
    for from in [0, 29, 30, 77, 100] {
        let rows = Bench::new().read_split(&*source, &splits[1], Position(from), 8).expect("rows");
        let count: usize = rows.iter().map(|d| d.changes.num_rows()).sum();
        assert_eq!(count as u64, 100 - from);
        if let Some(first) = rows.first() {
            assert!(lines(first.changes.rows()).starts_with(&format!("{from},n{from},")));
            assert_eq!(rows.last().map(|d| d.position), Some(Position(100)));
        }
    }
}

#[test]
fn no_columns_are_rows_all_the_same() {
    let directory = tempfile::tempdir().expect("directory");
    write(&directory.path().join("a.parquet"), &numbers(10), 30);
    let request = SourceRequest { projection: vec![], ..request(&table()) };
    let source = source(&parquet(directory.path()), request).expect("source");
    let rows = Bench::new().read_split(&*source, &source.splits(1).expect("splits")[0], Position(0), 8).expect("rows");
    assert_eq!(rows.iter().map(|d| d.changes.num_rows()).collect::<Vec<_>>(), [8, 2]);
}

#[test]
fn types_are_made_those_of_the_table() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("a.parquet");
    let words = ["x", "y"];
    write(
        &path,
        &batch(vec![
            ("large", Arc::new(LargeStringArray::from(words.to_vec()))),
            ("view", Arc::new(StringViewArray::from(words.to_vec()))),
            ("dictionary", Arc::new(words.into_iter().collect::<DictionaryArray<Int32Type>>())),
            ("us", Arc::new(TimestampMicrosecondArray::from(vec![1_000, 2_000]))),
            ("utc", Arc::new(TimestampMillisecondArray::from(vec![1, 2]).with_timezone("UTC"))),
            ("ns", Arc::new(TimestampNanosecondArray::from(vec![1_000_000, 2_000_000]))),
            ("small", Arc::new(Int32Array::from(vec![7, 8]))),
            ("exact", Arc::new(Decimal128Array::from(vec![125, 250]).with_precision_and_scale(9, 2).expect("decimal"))),
        ]),
        10,
    );
    let ms = DataType::Timestamp(TimeUnit::Millisecond, None);
    let table = schema(&[
        ("large", DataType::Utf8),
        ("view", DataType::Utf8),
        ("dictionary", DataType::Utf8),
        ("us", ms.clone()),
        ("utc", ms.clone()),
        ("ns", ms),
        ("small", DataType::Int64),
        ("exact", DataType::Decimal128(12, 3)),
    ]);
    let source = source(&parquet(&path), request(&table)).expect("source");
    let rows = Bench::new().read(&*source, 1).expect("rows");
    assert_eq!(rows.schema(), table);
    let time = |ms| format!("1970-01-01 00:00:00.00{ms}");
    let line = |w, ms: i32, n, d| format!("{w},{w},{w},{0},{0},{0},{n},{d}\n", time(ms));
    assert_eq!(lines(&rows), line("x", 1, 7, "1.250") + &line("y", 2, 8, "2.500"));
}

#[test]
fn what_does_not_fit_names_file_and_columns() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("a.parquet");
    write(&path, &numbers(300), 1000);
    let read = |pairs: &[(&str, &str)], table: &SchemaRef| {
        Bench::new().read(&*source(pairs, request(table)).expect("source"), 1)
    };
    let text = failure(read(&parquet(&path), &schema(&[("price", DataType::Int64)])));
    assert!(text.contains("a.parquet: has no column 'price'; its columns are: id, name, twice"), "{text}");
    let text = failure(read(&parquet(&path), &schema(&[("name", DataType::Int64)])));
    assert!(text.contains("column 'name' is Utf8 in the file and Int64 in the table"), "{text}");
    let text = failure(read(&parquet(&path), &schema(&[("id", DataType::Int8)])));
    assert!(text.contains("column 'id' is Int64 in the file and Int8 in the table"), "{text}");
    let mut bytes = std::fs::read(&path).expect("read");
    bytes[4..40].fill(0xff);
    std::fs::write(&path, bytes).expect("write");
    let text = failure(read(&parquet(&path), &schema(&[("id", DataType::Int64)])));
    assert!(text.contains("a.parquet: row group 0 is damaged: "), "{text}");
    std::fs::write(&path, "no parquet").expect("write");
    let text = failure(read(&parquet(&path), &table()));
    assert!(text.contains("a.parquet: "), "{text}");
    let gone = directory.path().join("gone");
    assert!(failure(read(&parquet(&gone), &table())).contains("gone: "));
    let empty = tempfile::tempdir().expect("directory");
    assert!(failure(read(&parquet(empty.path()), &table())).contains("no files there"));
}

#[test]
fn metadata_columns_stand_behind_the_others() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("a.parquet");
    write(&path, &numbers(2), 10);
    let columns = vec![
        metadata("file.name", DataType::Utf8),
        metadata("file.size", DataType::Int64),
        metadata("file.path", DataType::Utf8),
        metadata("file.modification-time", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))),
    ];
    let request = SourceRequest { projection: vec![0], metadata: columns, ..request(&table()) };
    let rows = Bench::new().read(&*source(&parquet(&path), request).expect("source"), 1).expect("rows");
    let found = std::fs::metadata(&path).expect("metadata");
    let modified = found.modified().expect("time").duration_since(std::time::UNIX_EPOCH).expect("time");
    let expected = format!("0,a.parquet,{},{}", found.len(), path.display());
    assert!(lines(&rows).starts_with(&expected), "{}", lines(&rows));
    let modified_ms = cast(rows.column(4), &DataType::Int64).expect("cast");
    assert_eq!(lines(&batch(vec![("ms", modified_ms)])), format!("{0}\n{0}\n", modified.as_millis()));
}

fn sink(path: &Path) -> Arc<dyn Sink> {
    let request = SinkRequest { table: "t".into(), schema: table(), key: None, time_zone: "UTC".into(), lineage: None };
    Registry::builtin().sink(&options(&parquet(path)), request).expect("sink")
}

fn names(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).expect("directory");
    let mut names: Vec<_> = entries.map(|e| e.expect("entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn files_appear_when_their_epoch_is_committed_and_commits_may_be_repeated() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("out");
    let (bench, sink) = (Bench::new(), sink(&path));
    assert_eq!(sink.changes(), crate::SinkChanges::Inserts);
    let mut writers = [sink.writer(0, &bench.rim).expect("writer"), sink.writer(1, &bench.rim).expect("writer")];
    let mut committer = sink.committer(&bench.rim).expect("committer").expect("one");
    for writer in &mut writers {
        writer.write(&ChangeBatch::inserts(numbers(5))).expect("write");
        assert_eq!(writer.prepare(Epoch(1), BarrierKind::Flush).expect("prepare"), vec![]);
        writer.write(&ChangeBatch::inserts(numbers(3))).expect("write");
    }
    let mut prepare = |kind| {
        let commits = writers.iter_mut().flat_map(|w| w.prepare(Epoch(2), kind).expect("prepare"));
        commits.collect::<Vec<Commit>>()
    };
    let commits = prepare(BarrierKind::Checkpoint);
    assert!(names(&path).iter().all(|n| n.starts_with(".part-") && n.ends_with(".inprogress")));
    committer.commit(Epoch(2), &commits).expect("commit");
    committer.commit(Epoch(2), &commits).expect("again");
    assert_eq!(names(&path).len(), 2);
    assert!(names(&path).iter().all(|n| n.starts_with("part-") && n.ends_with("-0.parquet")));
    assert_eq!(prepare(BarrierKind::Stop), vec![]);
    let rows = bench.read(&*source(&parquet(&path), request(&table())).expect("source"), 1).expect("rows");
    assert_eq!(rows.num_rows(), 16);
}

#[test]
fn nothing_is_left_of_what_was_not_committed() {
    let directory = tempfile::tempdir().expect("directory");
    let (bench, sink) = (Bench::new(), sink(directory.path()));
    let mut writer = sink.writer(0, &bench.rim).expect("writer");
    writer.write(&ChangeBatch::inserts(numbers(5))).expect("write");
    assert_eq!(writer.prepare(Epoch(1), BarrierKind::Stop).expect("prepare").len(), 1);
    writer.write(&ChangeBatch::inserts(numbers(5))).expect("write");
    assert_eq!(names(directory.path()).len(), 2);
    drop((writer, sink));
    assert_eq!(names(directory.path()), Vec::<String>::new());
}
