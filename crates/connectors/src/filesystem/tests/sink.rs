use crate::testing::{Bench, failure, lines, options, request, schema, source};
use crate::{Committer, ConnectorError, Registry, Sink, SinkRequest, SinkWriter};
use arrow::datatypes::{DataType, SchemaRef};
use eddyline_changes::table::parse_changes;
use eddyline_changes::{BarrierKind, Epoch};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn table() -> SchemaRef {
    schema(&[("id", DataType::Int64), ("name", DataType::Utf8)])
}

fn sink(path: &Path, more: &[(&str, &str)]) -> Result<Arc<dyn Sink>, ConnectorError> {
    let path = path.to_str().expect("a path");
    let mut all = vec![("connector", "filesystem"), ("path", path)];
    all.extend(more);
    let request = SinkRequest { table: "t".into(), schema: table(), key: None, time_zone: "UTC".into(), lineage: None };
    Registry::builtin().sink(&options(&all), request)
}

/// One shard of a sink, its commits carried out at every barrier.
struct Job {
    bench: Bench,
    writer: Box<dyn SinkWriter>,
    committer: Box<dyn Committer>,
    epoch: Epoch,
}

impl Job {
    fn new(sink: &dyn Sink) -> Self {
        let bench = Bench::new();
        let writer = sink.writer(3, &bench.rim).expect("writer");
        let committer = sink.committer(&bench.rim).expect("committer").expect("one");
        Self { bench, writer, committer, epoch: Epoch(0) }
    }

    fn write(&mut self, changes: &str) -> Result<(), ConnectorError> {
        self.writer.write(&parse_changes(&table(), changes).expect("change table"))
    }

    fn barrier(&mut self, kind: BarrierKind) {
        self.epoch = self.epoch.next();
        let commits = self.writer.prepare(self.epoch, kind).expect("prepare");
        self.committer.commit(self.epoch, &commits).expect("commit");
    }
}

/// The contents of the files that can be seen, by their names.
fn visible(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).expect("directory").map(|e| e.expect("entry").path());
    let name = |p: &Path| p.file_name().expect("a name").to_string_lossy().into_owned();
    let mut files: Vec<_> = entries.filter(|p| !name(p).starts_with('.')).collect();
    files.sort();
    files.iter().map(|p| std::fs::read_to_string(p).expect("text")).collect()
}

#[test]
fn what_was_written_can_be_read() {
    for format in ["csv", "json", "parquet"] {
        let directory = tempfile::tempdir().expect("directory");
        let mut job = Job::new(&*sink(directory.path(), &[("format", format)]).expect("sink"));
        job.write("+ 1 a\n+2 2 \"b, c\"\n+ 3 NULL").expect("write");
        job.barrier(BarrierKind::Stop);
        let path = directory.path().to_str().expect("a path");
        let pairs = [("connector", "filesystem"), ("path", path), ("format", format)];
        let rows = job.bench.read(&*source(&pairs, request(&table())).expect("source"), 1).expect("rows");
        assert_eq!(lines(&rows), "1,a\n2,b, c\n2,b, c\n3,-\n", "{format}");
    }
}

#[test]
fn only_full_or_old_files_appear_between_checkpoints() {
    let directory = tempfile::tempdir().expect("directory");
    let rolling = [
        ("format", "csv"),
        ("sink.rolling-policy.file-size", "8 b"),
        ("sink.rolling-policy.rollover-interval", "1 min"),
    ];
    let mut job = Job::new(&*sink(directory.path(), &rolling).expect("sink"));
    job.write("+ 1 a").expect("write");
    job.barrier(BarrierKind::Flush);
    assert_eq!(visible(directory.path()), Vec::<String>::new());
    job.write("+ 2 b").expect("write");
    assert_eq!(visible(directory.path()), Vec::<String>::new(), "full, but its epoch is not complete");
    job.write("+ 3 c").expect("write");
    job.barrier(BarrierKind::Flush);
    assert_eq!(visible(directory.path()), ["1,a\n2,b\n"]);
    job.bench.clock.advance(Duration::from_secs(60));
    job.barrier(BarrierKind::Flush);
    assert_eq!(visible(directory.path()), ["1,a\n2,b\n", "3,c\n"]);
    job.write("+ 4 d").expect("write");
    job.barrier(BarrierKind::Checkpoint);
    assert_eq!(visible(directory.path()), ["1,a\n2,b\n", "3,c\n", "4,d\n"]);
}

#[test]
fn rows_cannot_be_taken_back() {
    let directory = tempfile::tempdir().expect("directory");
    let mut job = Job::new(&*sink(directory.path(), &[("format", "csv")]).expect("sink"));
    assert!(failure(job.write("- 1 a")).contains("files cannot take rows back"));
}

#[test]
fn what_cannot_be_written_is_told() {
    let directory = tempfile::tempdir().expect("directory");
    let text = failure(sink(directory.path(), &[("format", "csv"), ("compression", "gzip")]));
    assert!(text.contains("'compression' = 'gzip' is for reading only"), "{text}");
    let text = failure(sink(directory.path(), &[("format", "parquet"), ("parquet.compression", "rar")]));
    assert!(text.contains("none of SNAPPY"), "{text}");
    let file = directory.path().join("file");
    std::fs::write(&file, "").expect("write");
    let sink = sink(&file, &[("format", "csv")]).expect("sink");
    assert!(failure(sink.writer(0, &Bench::new().rim)).contains("file: "));
}

#[test]
fn an_epoch_of_changes_is_written_as_its_net() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().to_str().expect("a path");
    let written = |format: &str, key: Option<Vec<usize>>| {
        let place = format!("{path}/{format}");
        let all = [("connector", "filesystem"), ("path", place.as_str()), ("format", format)];
        let request = SinkRequest { table: "t".into(), schema: table(), key, time_zone: "UTC".into(), lineage: None };
        let mut job = Job::new(&*Registry::builtin().sink(&options(&all), request).expect("sink"));
        job.write("+ 1 a\n+ 2 b").expect("write");
        job.barrier(BarrierKind::Flush);
        // What comes is sent before what goes, and what was never to be seen is not written.
        job.write("+ 1 aa\n+ 3 c\n+ 2 bb").expect("write");
        job.write("- 3 c\n- 1 a\n+ 4 d\n- 2 bb").expect("write");
        job.write("- 2 b").expect("write");
        job.barrier(BarrierKind::Stop);
        visible(Path::new(&place)).concat()
    };
    assert_eq!(written("changelog-csv", Some(vec![0])), "+I,1,a\n+I,2,b\n-U,1,a\n+U,1,aa\n+I,4,d\n-D,2,b\n");
    assert_eq!(written("upsert-csv", Some(vec![0])), "1,a,false\n2,b,false\n1,aa,false\n4,d,false\n2,,true\n");
    assert_eq!(
        written("debezium-json", None),
        "{\"before\":null,\"after\":{\"id\":1,\"name\":\"a\"},\"op\":\"c\"}\n\
         {\"before\":null,\"after\":{\"id\":2,\"name\":\"b\"},\"op\":\"c\"}\n\
         {\"before\":null,\"after\":{\"id\":1,\"name\":\"aa\"},\"op\":\"c\"}\n\
         {\"before\":{\"id\":1,\"name\":\"a\"},\"after\":null,\"op\":\"d\"}\n\
         {\"before\":null,\"after\":{\"id\":4,\"name\":\"d\"},\"op\":\"c\"}\n\
         {\"before\":{\"id\":2,\"name\":\"b\"},\"after\":null,\"op\":\"d\"}\n"
    );
}

#[test]
fn a_later_job_s_files_come_behind() {
    let directory = tempfile::tempdir().expect("directory");
    for (seconds, row) in [(0, "+ 1 first"), (5, "+ 1 second"), (100, "+ 1 third")] {
        let sink = sink(directory.path(), &[("format", "csv")]).expect("sink");
        let bench = Bench::new();
        bench.clock.advance(Duration::from_secs(seconds));
        let mut writer = sink.writer(0, &bench.rim).expect("writer");
        writer.write(&parse_changes(&table(), row).expect("change table")).expect("write");
        let commits = writer.prepare(Epoch(1), BarrierKind::Stop).expect("prepare");
        sink.committer(&bench.rim).expect("committer").expect("one").commit(Epoch(1), &commits).expect("commit");
    }
    assert_eq!(visible(directory.path()), ["1,first\n", "1,second\n", "1,third\n"]);
}

/// A sink of a job that keeps checkpoints.
fn durable(path: &Path, lineage: &str) -> Arc<dyn Sink> {
    let path = path.to_str().expect("a path");
    let all =
        [("connector", "filesystem"), ("path", path), ("format", "csv"), ("sink.rolling-policy.file-size", "1 b")];
    let lineage = Some(lineage.to_owned());
    let request = SinkRequest { table: "t".into(), schema: table(), key: None, time_zone: "UTC".into(), lineage };
    Registry::builtin().sink(&options(&all), request).expect("sink")
}

#[test]
fn what_was_handed_over_survives_a_crash_and_what_was_not_is_removed() {
    let directory = tempfile::tempdir().expect("directory");
    let rows = |text: &str| parse_changes(&table(), text).expect("change table");
    let crash = |lineage: &str, held: &str, lost: &str| {
        let sink = durable(directory.path(), lineage);
        let mut writer = sink.writer(0, &Bench::new().rim).expect("writer");
        writer.write(&rows(held)).expect("write");
        let commits = writer.prepare(Epoch(1), BarrierKind::Flush).expect("prepare");
        writer.write(&rows(lost)).expect("write");
        writer.prepare(Epoch(2), BarrierKind::Checkpoint).expect("prepare");
        // Nothing is dropped in order by kill -9; what was handed over stays even so.
        commits
    };
    let (ours, theirs) = (crash("11112222", "+ 1 held", "+ 2 lost"), crash("33334444", "+ 3 theirs", "+ 4 theirs"));
    assert_eq!(visible(directory.path()), Vec::<String>::new());
    let mut committer =
        durable(directory.path(), "11112222").committer(&Bench::new().rim).expect("committer").expect("one");
    // Once more does nothing.
    (0..2).for_each(|_| committer.commit(Epoch(1), &ours).expect("commit"));
    committer.clear(Epoch(1)).expect("clear");
    assert_eq!(visible(directory.path()), ["1,held\n"]);
    assert_eq!(std::fs::read_dir(directory.path()).expect("directory").count(), 3, "theirs are not touched");
    let mut committer =
        durable(directory.path(), "33334444").committer(&Bench::new().rim).expect("committer").expect("one");
    committer.commit(Epoch(1), &theirs).expect("commit");
    committer.clear(Epoch(1)).expect("clear");
    assert_eq!(std::fs::read_dir(directory.path()).expect("directory").count(), 2);
    // The checkpoint of epoch 1 is damaged: its rows come again.
    committer.clear(Epoch(0)).expect("clear");
    assert_eq!(visible(directory.path()), ["1,held\n"]);
}

#[test]
fn a_job_with_checkpoints_makes_directories_above_its_files() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("a/b");
    let options = options(&[("connector", "filesystem"), ("path", path.to_str().expect("a path")), ("format", "csv")]);
    let lineage = Some("abcd0123".into());
    let request = SinkRequest { table: "t".into(), schema: table(), key: None, time_zone: "UTC".into(), lineage };
    let mut job = Job::new(&*Registry::builtin().sink(&options, request).expect("sink"));
    job.write("+ 1 a").expect("write");
    job.barrier(BarrierKind::Stop);
    assert_eq!(visible(&path), ["1,a\n"]);
}
