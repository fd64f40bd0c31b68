use super::{PrintCommitter, PrintConnector, PrintWriter};
use crate::testing::{Bench, failure, options, schema};
use crate::{Commit, Committer, Connector, Options, SinkRequest, SinkWriter};
use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int64Array,
    ListArray, MapBuilder, RecordBatch, StringArray, StringBuilder, StructArray, Time32MillisecondArray,
    TimestampMicrosecondArray, TimestampMillisecondArray, TimestampSecondArray,
};
use arrow::datatypes::{DataType, Field, Int32Type, SchemaRef};
use eddyline_changes::table::parse_changes;
use eddyline_changes::{BarrierKind, ChangeBatch, Epoch};
use std::io::Write;
use std::sync::{Arc, Mutex};

fn request(schema: &SchemaRef, key: Option<Vec<usize>>) -> SinkRequest {
    SinkRequest { table: "t".into(), schema: schema.clone(), key, time_zone: "UTC".into(), lineage: None }
}

fn text(commits: &[Commit]) -> String {
    commits.iter().map(|c| String::from_utf8_lossy(&c.0).into_owned()).collect()
}

fn line(column: ArrayRef) -> String {
    let rows = RecordBatch::try_from_iter([("c", column)]).expect("batch");
    let mut writer = PrintWriter { prefix: String::new(), key: None, text: vec![] };
    writer.write(&ChangeBatch::inserts(rows)).expect("write");
    text(&writer.prepare(Epoch(1), BarrierKind::Flush).expect("prepare")).replace('\n', " ")
}

#[test]
fn lines_have_row_kinds_and_come_epoch_by_epoch() {
    let schema = schema(&[("k", DataType::Utf8), ("v", DataType::Int64)]);
    let sink = PrintConnector
        .sink(Options::new("t", &options(&[("print-identifier", "out")])), request(&schema, Some(vec![0])))
        .expect("sink");
    assert_eq!(sink.changes(), crate::SinkChanges::Full);
    let mut writer = sink.writer(0, &Bench::new().rim).expect("writer");
    writer.write(&parse_changes(&schema, "+ a 1\n+ b NULL").expect("table")).expect("write");
    writer.write(&parse_changes(&schema, "- a 1\n+ a 2\n- b NULL").expect("table")).expect("write");
    let first = writer.prepare(Epoch(1), BarrierKind::Flush).expect("prepare");
    assert_eq!(text(&first), "out> +I[a, 1]\nout> +I[b, null]\nout> -U[a, 1]\nout> +U[a, 2]\nout> -D[b, null]\n");
    assert_eq!(writer.prepare(Epoch(2), BarrierKind::Flush).expect("prepare"), vec![]);
}

#[test]
fn values_look_as_in_flink() {
    assert_eq!(line(Arc::new(BooleanArray::from(vec![true, false]))), "+I[true] +I[false] ");
    assert_eq!(line(Arc::new(BinaryArray::from(vec![&b"\x01\xff"[..]]))), "+I[[1, -1]] ");
    assert_eq!(
        line(Arc::new(Float64Array::from(vec![1.0, 0.25, 12345678.0, 1e-4]))),
        "+I[1.0] +I[0.25] +I[1.2345678E7] +I[1.0E-4] "
    );
    assert_eq!(line(Arc::new(Float32Array::from(vec![0.1, 1e10]))), "+I[0.1] +I[1.0E10] ");
    let decimal = Decimal128Array::from(vec![120, -5]).with_precision_and_scale(10, 2).expect("decimal");
    assert_eq!(line(Arc::new(decimal)), "+I[1.20] +I[-0.05] ");
    assert_eq!(line(Arc::new(Date32Array::from(vec![0]))), "+I[1970-01-01] ");
    assert_eq!(line(Arc::new(Time32MillisecondArray::from(vec![0, 61_500]))), "+I[00:00] +I[00:01:01.500] ");
    assert_eq!(
        line(Arc::new(TimestampMillisecondArray::from(vec![0, 10_004]))),
        "+I[1970-01-01T00:00] +I[1970-01-01T00:00:10.004] "
    );
    assert_eq!(line(Arc::new(TimestampMicrosecondArray::from(vec![1]))), "+I[1970-01-01T00:00:00.000001] ");
    let instant = TimestampSecondArray::from(vec![60]).with_timezone("UTC");
    assert_eq!(line(Arc::new(instant)), "+I[1970-01-01T00:01:00Z] ");
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None]);
    assert_eq!(line(Arc::new(list)), "+I[[1, null]] +I[null] ");
    let field = |n: &str, t| Arc::new(Field::new(n, t, true));
    let row = StructArray::from(vec![
        (field("a", DataType::Int64), Arc::new(Int64Array::from(vec![1])) as ArrayRef),
        (field("b", DataType::Utf8), Arc::new(StringArray::from(vec!["x"])) as ArrayRef),
    ]);
    assert_eq!(line(Arc::new(row)), "+I[+I[1, x]] ");
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    map.keys().append_value("k");
    map.values().append_value("v");
    map.append(true).expect("map");
    assert_eq!(line(Arc::new(map.finish())), "+I[{k=v}] ");
}

#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_repeated_commit_prints_nothing() {
    let screen = Screen::default();
    let mut committer = PrintCommitter { place: "screen", out: Box::new(screen.clone()), last: Epoch(0) };
    committer.commit(Epoch(1), &[Commit(b"a\n".to_vec())]).expect("commit");
    committer.commit(Epoch(1), &[Commit(b"a\n".to_vec())]).expect("commit");
    committer.commit(Epoch(2), &[Commit(b"b\n".to_vec())]).expect("commit");
    assert_eq!(*screen.0.lock().expect("no panic"), b"a\nb\n");
}

#[test]
fn unknown_options_and_reading_are_refused() {
    let schema = schema(&[("v", DataType::Int64)]);
    let print =
        |pairs: &[(&str, &str)]| PrintConnector.sink(Options::new("t", &options(pairs)), request(&schema, None));
    let text = failure(print(&[("identifier", "x")]));
    assert!(text.contains("unknown option 'identifier'") && text.contains("print-identifier"), "{text}");
    let source = PrintConnector.source(Options::new("t", &options(&[])), crate::testing::request(&schema));
    assert!(failure(source).contains("cannot be read"));
}
