use crate::filesystem::compression::Compression;
use crate::filesystem::location::Location;
use crate::filesystem::source::{Content, FileSource};
use crate::filesystem::watch::Watch;
use crate::testing::{Bench, Lines, failure, lines, metadata, options, request, schema};
use crate::{Boundedness, ConnectorError, Decoder, Options, Position, Reach, Source, SourceRequest, SplitReader};
use arrow::datatypes::DataType;
use eddyline_stores::Files;
use regex::Regex;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

struct Table {
    path: String,
    splittable: bool,
    split_bytes: u64,
    interval: Option<Duration>,
    compression: Option<Compression>,
    pattern: Option<&'static str>,
    request: SourceRequest,
}

fn table(path: &Path) -> Table {
    Table {
        path: path.display().to_string(),
        splittable: true,
        split_bytes: 16 << 20,
        interval: None,
        compression: None,
        pattern: None,
        request: request(&schema(&[("line", DataType::Utf8)])),
    }
}

impl Table {
    fn source(self) -> FileSource {
        let format = Arc::new(Lines { splittable: self.splittable });
        FileSource {
            request: self.request,
            location: Location::new(
                &self.path,
                self.pattern.map(|p| Regex::new(p).expect("pattern")),
                Files::default(),
            ),
            content: Content::Bytes { format, compression: self.compression },
            split_bytes: self.split_bytes,
            watch: self.interval.map(|interval| (interval, Arc::new(Watch::new(interval)))),
            is_ordered: false,
        }
    }
}

fn ids(source: &dyn Source, directory: &Path, shards: usize) -> Vec<String> {
    let prefix = format!("{}/", directory.display());
    let splits = source.splits(shards).expect("splits");
    splits.iter().map(|s| s.id.strip_prefix(&prefix).unwrap_or(&s.id).to_owned()).collect()
}

fn read(source: &dyn Source, shards: usize) -> String {
    lines(&Bench::new().read(source, shards).expect("rows"))
}

fn count(from: usize, to: usize) -> String {
    (from..to).map(|i| format!("line {i} {}\n", "x".repeat(i % 7))).collect()
}

#[test]
fn a_path_is_a_file_a_directory_or_a_glob() {
    let directory = tempfile::tempdir().expect("directory");
    let at = |name: &str| directory.path().join(name);
    fs::create_dir_all(at("deep/er")).expect("directory");
    for name in ["b.csv", "a.csv", "deep/er/c.csv", "_ignored.csv", ".hidden", "other.txt"] {
        fs::write(at(name), format!("{name}\n")).expect("write");
    }
    let all = |path: &Path| read(&table(path).source(), 4);
    assert_eq!(all(directory.path()), "a.csv\nb.csv\ndeep/er/c.csv\nother.txt\n");
    assert_eq!(all(&at("a.csv")), "a.csv\n");
    assert_eq!(all(&at("*.csv")), "a.csv\nb.csv\n");
    assert_eq!(all(&at("**/c.csv")), "deep/er/c.csv\n");
    assert_eq!(all(&at("_ignored.csv")), "_ignored.csv\n", "who names a hidden file means it");
    assert_eq!(all(Path::new(&format!("file://{}", at("b.csv").display()))), "b.csv\n");
    let some = Table { pattern: Some(".*/[ab]\\.csv"), ..table(directory.path()) };
    assert_eq!(read(&some.source(), 1), "a.csv\nb.csv\n");
    let none = failure(table(&at("*.json")).source().splits(1));
    assert!(none.contains("*.json: no files there"), "{none}");
    let gone = failure(table(&at("gone")).source().splits(1));
    assert!(gone.contains("gone: "), "{gone}");
}

#[test]
fn ranges_hold_every_record_once_wherever_they_are_cut() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("a");
    for text in [count(0, 60), count(0, 60).trim_end_matches('\n').to_owned(), "\n\na\n\n".into(), "one line".into()] {
        fs::write(&path, &text).expect("write");
        for splittable in [true, false] {
            for split_bytes in [1, 2, 3, 5, 11, 13, 39] {
                let source = Table { splittable, split_bytes, ..table(&path) }.source();
                let rows = read(&source, 2);
                assert_eq!(
                    rows.trim_end_matches('\n'),
                    text.trim_end_matches('\n'),
                    "{split_bytes} bytes, splittable: {splittable}"
                );
            }
        }
    }
}

#[test]
fn a_record_over_lines_is_not_cut() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("a");
    let text: String = (0..50).map(|i| format!("{i} \\\nand more\n")).collect();
    fs::write(&path, &text).expect("write");
    for split_bytes in [1, 2, 3, 5, 11, 13, 59] {
        let source = Table { splittable: false, split_bytes, ..table(&path) }.source();
        let bench = Bench::new();
        let records: usize = source
            .splits(2)
            .expect("splits")
            .iter()
            .map(|split| {
                let rows = bench.read_split(&source, split, Position(0), 1000).expect("rows");
                rows.iter().map(|d| d.changes.num_rows()).sum::<usize>()
            })
            .sum();
        assert_eq!(records, 50, "{split_bytes} bytes");
    }
}

/// Quoted newlines, and numbers whose bytes may be newlines: ranges begin and end where the formats' records do.
#[test]
fn ranges_of_the_real_formats_hold_every_record_once() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("a");
    let quoted: String = (0..40).map(|i| format!("\"{i}\n\n{}\"\n", "\"\"\n".repeat(i % 4))).collect();
    let numbers: Vec<u8> = (0..40i32).flat_map(i32::to_be_bytes).collect();
    let cases = [("csv", DataType::Utf8, quoted.into_bytes()), ("raw", DataType::Int32, numbers)];
    for (name, data_type, bytes) in cases {
        fs::write(&path, bytes).expect("write");
        let request = request(&schema(&[("c", data_type)]));
        let mut options = Options::new("t", &options(&[("format", name)]));
        let format = crate::format::decoding(&mut options, &request).expect("format");
        for split_bytes in 1..60 {
            let content = Content::Bytes { format: format.clone(), compression: None };
            let table = Table { split_bytes, request: request.clone(), ..table(&path) };
            let source = FileSource { content, ..table.source() };
            assert_eq!(Bench::new().read(&source, 2).expect("rows").num_rows(), 40, "{name}, {split_bytes} bytes");
        }
    }
}

#[test]
fn a_reader_goes_on_at_a_position() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("a");
    let line = "x".repeat(99) + "\n";
    fs::write(&path, line.repeat(20_000)).expect("write");
    let source = Table { split_bytes: 1_000_000, ..table(&path) }.source();
    let splits = source.splits(2).expect("splits");
    assert_eq!(splits.len(), 2);
    let bench = Bench::new();
    for split in &splits {
        let all = bench.read_split(&source, split, Position(0), 1000).expect("rows");
        assert!(all.len() > 1, "several blocks");
        let rest = bench.read_split(&source, split, all[0].position, 1000).expect("rows");
        let rows = |d: &[crate::Decoded]| d.iter().map(|d| d.changes.num_rows()).sum::<usize>();
        assert_eq!((rows(&all), rows(&all[1..])), (10_000, rows(&rest)));
        assert_eq!(bench.read_split(&source, split, all[all.len() - 1].position, 1000).expect("rows").len(), 0);
    }
}

#[test]
fn the_order_of_splits_keeps_time_in_order() {
    let directory = tempfile::tempdir().expect("directory");
    let write = |name: &str, bytes: usize| {
        fs::write(directory.path().join(name), "12345678\n".repeat(bytes / 9 + 1)).expect("write");
    };
    let order = |shards| ids(&Table { split_bytes: 300, ..table(directory.path()) }.source(), directory.path(), shards);
    write("a", 890);
    // A lone file is cut, but not into crumbs.
    assert_eq!(order(2), ["a#0", "a#297", "a#594"]);
    write("b", 890);
    // As many files as shards, of one size: whole.
    assert_eq!(order(2), ["a#0", "b#0"]);
    // Otherwise all files advance together.
    assert_eq!(order(4), ["a#0", "b#0", "a#297", "b#297", "a#594", "b#594"]);
    write("c", 590);
    // By how far into its file a range begins.
    assert_eq!(order(2), ["a#0", "b#0", "c#0", "a#297", "b#297", "c#297", "a#594", "b#594"]);
}

#[test]
fn compressed_files_are_read_whole() {
    let directory = tempfile::tempdir().expect("directory");
    let text = count(0, 5000);
    let at = |name: &str| directory.path().join(name);
    let gzip = |text: &str| {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(text.as_bytes()).expect("write");
        out.finish().expect("finish")
    };
    let mut deflate = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    deflate.write_all(text.as_bytes()).expect("write");
    fs::write(at("a.gz"), [gzip(&count(0, 2500)), gzip(&count(2500, 5000))].concat()).expect("write");
    fs::write(at("a.zst"), zstd::encode_all(text.as_bytes(), 1).expect("encode")).expect("write");
    fs::write(at("a.deflate"), deflate.finish().expect("finish")).expect("write");
    for name in ["a.gz", "a.zst", "a.deflate"] {
        let source = Table { split_bytes: 100, ..table(&at(name)) }.source();
        assert_eq!(source.splits(4).expect("splits").len(), 1);
        assert_eq!(read(&source, 4), text, "{name}");
        let bench = Bench::new();
        let split = &source.splits(1).expect("splits")[0];
        let rows = bench.read_split(&source, split, Position(count(0, 10).len() as u64), 1000).expect("rows");
        assert!(lines(rows[0].changes.rows()).starts_with("line 10 "));
    }
    fs::rename(at("a.gz"), at("b")).expect("rename");
    let named = Table { compression: Some(Compression::Gzip), ..table(&at("b")) };
    assert_eq!(read(&named.source(), 1), text);
    fs::write(at("c.gz"), "no gzip").expect("write");
    assert!(failure(Bench::new().read(&table(&at("c.gz")).source(), 1)).contains("c.gz: "));
}

#[test]
fn metadata_tells_the_file() {
    let directory = tempfile::tempdir().expect("directory");
    fs::write(directory.path().join("a"), "x\n").expect("write");
    let columns = vec![metadata("file.name", DataType::Utf8), metadata("file.size", DataType::Int64)];
    let table = table(directory.path());
    let request = SourceRequest { metadata: columns, ..table.request };
    assert_eq!(read(&Table { request, ..table }.source(), 1), "x,a,2\n");
}

type Open = (String, Box<dyn SplitReader>, Box<dyn Decoder>);

/// Readers of all splits that a watched source has had so far.
struct Following {
    bench: Bench,
    source: FileSource,
    open: Vec<Open>,
}

impl Following {
    fn new(path: &Path, interval: Duration) -> Self {
        let source = Table { interval: Some(interval), ..table(path) }.source();
        assert_eq!((source.boundedness(), source.discovery_interval()), (Boundedness::Unbounded, Some(interval)));
        Self { bench: Bench::with_system_clock(), source, open: Vec::new() }
    }

    /// Lists the files; the splits that are new.
    fn discover(&mut self) -> Vec<String> {
        let mut new = Vec::new();
        for split in self.source.splits(1).expect("splits") {
            if self.open.iter().all(|(id, ..)| *id != split.id) {
                let reader = self.source.open(&split, Position(0), &self.bench.rim).expect("reader");
                let decoder = self.source.decoder(&split).expect("decoder");
                new.push(split.id.rsplit('/').next().unwrap_or_default().to_owned());
                self.open.push((split.id, reader, decoder));
            }
        }
        new
    }

    fn next(&mut self, at: usize) -> Result<Option<String>, ConnectorError> {
        let (_, reader, decoder) = &mut self.open[at];
        let rows = self.bench.rows(&mut **reader, &mut **decoder, 1000)?;
        Ok(rows.map(|rows| rows.iter().map(|d| lines(d.changes.rows())).collect()))
    }
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("open");
    file.write_all(text.as_bytes()).expect("write");
}

#[test]
fn what_is_appended_to_a_watched_file_is_read_at_once() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("a");
    append(&path, "one\ntw");
    let mut following = Following::new(directory.path(), Duration::from_secs(3600));
    assert_eq!(following.discover(), ["a#0"]);
    assert_eq!(following.next(0).expect("rows").as_deref(), Some("one\n"));
    let written = Instant::now();
    append(&path, "o\nthree\n");
    assert_eq!(following.next(0).expect("rows").as_deref(), Some("two\nthree\n"));
    assert!(written.elapsed() < Duration::from_secs(5), "not when files are listed again");
    fs::write(&path, "").expect("truncate");
    assert!(failure(following.next(0)).contains("shrank from 14 to 0 bytes"));
}

#[test]
fn an_older_file_is_left_and_read_on_should_it_grow() {
    let directory = tempfile::tempdir().expect("directory");
    let (old, new) = (directory.path().join("a"), directory.path().join("b"));
    append(&old, "one\n");
    let mut following = Following::new(directory.path(), Duration::from_millis(1));
    assert_eq!(following.discover(), ["a#0"]);
    assert_eq!(following.next(0).expect("rows").as_deref(), Some("one\n"));
    append(&new, "two\n");
    let later = fs::metadata(&old).expect("metadata").modified().expect("time") + Duration::from_secs(10);
    fs::File::options().append(true).open(&new).expect("open").set_modified(later).expect("set");
    assert_eq!(following.discover(), ["b#0"]);
    assert_eq!(following.next(1).expect("rows").as_deref(), Some("two\n"));
    assert_eq!(following.next(0).expect("end"), None);
    assert_eq!(following.discover(), Vec::<String>::new());
    append(&old, "three\n");
    assert_eq!(following.discover(), ["a#4"]);
    assert_eq!(following.next(2).expect("rows").as_deref(), Some("three\n"));
}

#[test]
fn an_older_file_that_was_left_must_not_shrink() {
    let directory = tempfile::tempdir().expect("directory");
    let (old, new) = (directory.path().join("a"), directory.path().join("b"));
    append(&old, "one\n");
    let mut following = Following::new(directory.path(), Duration::from_millis(1));
    following.discover();
    assert_eq!(following.next(0).expect("rows").as_deref(), Some("one\n"));
    append(&new, "two\n");
    let later = fs::metadata(&old).expect("metadata").modified().expect("time") + Duration::from_secs(10);
    fs::File::options().append(true).open(&new).expect("open").set_modified(later).expect("set");
    following.discover();
    assert_eq!(following.next(0).expect("end"), None);
    fs::write(&old, "").expect("truncate");
    assert!(failure(following.source.splits(1)).contains("a: shrank from 4 to 0 bytes"));
}

#[test]
fn a_rotated_log_is_read_to_its_end_and_the_new_one_from_the_start() {
    let directory = tempfile::tempdir().expect("directory");
    let (path, new) = (directory.path().join("log"), directory.path().join(".new"));
    append(&path, "one\n");
    let mut following = Following::new(directory.path(), Duration::from_secs(3600));
    assert_eq!(following.discover(), ["log#0"]);
    assert_eq!(following.next(0).expect("rows").as_deref(), Some("one\n"));
    append(&path, "two\n");
    append(&new, "x\n");
    fs::rename(&new, &path).expect("rename");
    assert_eq!(following.next(0).expect("rows").as_deref(), Some("two\n"));
    assert_eq!(following.discover(), ["log#0.1"]);
    assert_eq!(following.next(0).expect("end"), None);
    assert_eq!(following.next(1).expect("rows").as_deref(), Some("x\n"));
}

#[test]
fn a_watched_directory_may_be_empty_but_must_be_there() {
    let directory = tempfile::tempdir().expect("directory");
    let mut following = Following::new(directory.path(), Duration::from_secs(1));
    assert_eq!(following.discover(), Vec::<String>::new());
    let gone = table(&directory.path().join("gone"));
    let source = Table { interval: Some(Duration::from_secs(1)), ..gone }.source();
    assert!(failure(source.splits(1)).contains("gone: "));
}

#[test]
fn options_are_checked() {
    let table = schema(&[("line", DataType::Utf8)]);
    let fail = |pairs: &[(&str, &str)]| {
        let mut all = vec![("connector", "filesystem"), ("path", "/tmp/x")];
        all.extend(pairs);
        failure(crate::testing::source(&all, request(&table)))
    };
    assert!(fail(&[]).contains("option 'format' is missing"), "{}", fail(&[]));
    let text = fail(&[("format", "xml")]);
    assert!(text.contains("unknown format 'xml'") && text.contains("parquet"), "{text}");
    let text = fail(&[("format", "parquet"), ("auto-compaction", "true")]);
    assert!(text.contains("unknown option 'auto-compaction'") && text.contains("source.monitor-interval"), "{text}");
    assert!(fail(&[("format", "parquet"), ("compression", "rar")]).contains("none of auto, none, gzip"));
    assert!(fail(&[("format", "parquet"), ("source.monitor-interval", "x")]).contains("is no duration"));
    assert!(fail(&[("format", "parquet"), ("source.path.regex-pattern", "(")]).contains("regex-pattern"));
    let missing = Options::new("t", &options(&[("connector", "filesystem")]));
    let connector = crate::filesystem::FilesystemConnector { reach: Reach::free() };
    assert!(failure(crate::Connector::source(&connector, missing, request(&table))).contains("'path' is missing"));
}

#[test]
fn a_bad_row_is_told_with_file_and_line_also_in_a_later_range() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("a.json");
    let row = |i: i32| if i == 37 { "{\"n\": \"x\"}\n".into() } else { format!("{{\"n\": {i}}}\n") };
    fs::write(&path, (1..=50).map(row).collect::<String>()).expect("write");
    let text = path.display().to_string();
    let pairs = [("connector", "filesystem"), ("path", &*text), ("format", "json"), ("source.split-size", "100")];
    let source = crate::testing::source(&pairs, request(&schema(&[("n", DataType::Int64)]))).expect("source");
    assert!(source.splits(2).expect("splits").len() > 3);
    let text = failure(Bench::new().read(&*source, 2));
    assert!(text.contains("a.json") && text.contains("37") && text.contains("column n"), "{text}");
}

#[test]
fn files_of_changes_are_read_whole_in_the_order_of_their_numbers() {
    let directory = tempfile::tempdir().expect("directory");
    for (name, text) in [("part-10.csv", "+I,c\n"), ("part-2.csv", "+I,b\n"), ("part-1.csv", "+I,a\n")] {
        std::fs::write(directory.path().join(name), text).expect("written");
    }
    let path = directory.path().to_str().expect("a path");
    let pairs = [("connector", "filesystem"), ("path", path), ("format", "changelog-csv"), ("source.split-size", "1")];
    let source = crate::testing::source(&pairs, request(&schema(&[("line", DataType::Utf8)]))).expect("a source");
    assert!(source.is_ordered());
    assert_eq!(ids(source.as_ref(), directory.path(), 3), ["part-1.csv#0", "part-2.csv#0", "part-10.csv#0"]);
    assert_eq!(read(source.as_ref(), 3), "a\nb\nc\n");
}

/// A text of so many bytes, packed by zstd, which packs what repeats into next to nothing.
fn packed(piece: &[u8], size_bytes: usize) -> Vec<u8> {
    let mut packing = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("an encoder");
    (0..size_bytes.div_ceil(piece.len())).for_each(|_| packing.write_all(piece).expect("packed"));
    packing.finish().expect("packed")
}

/// A small file that unpacks to more than it plausibly can is refused on the way, and not kept.
#[test]
fn a_file_that_unpacks_without_end_is_refused() {
    let bomb = packed(&vec![b'0'; 1 << 20], (1 << 30) + (64 << 20));
    assert!(bomb.len() < 1 << 18, "{} bytes", bomb.len());
    let size_bytes = bomb.len() as u64;
    let mut content = Compression::Zstd.reader(std::io::Cursor::new(bomb), size_bytes).expect("a reader");
    let error = std::io::copy(&mut content, &mut std::io::sink()).expect_err("refused");
    assert!(error.to_string().contains("unpacks to more than 4096 times its size"), "{error}");
}

/// A record is as long as it is, whatever it was packed into.
#[test]
fn a_record_that_unpacks_without_end_is_refused() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("a.zst");
    fs::write(&path, packed(&vec![b'0'; 1 << 20], 80 << 20)).expect("written");
    let text = failure(Bench::new().read(&table(&path).source(), 1));
    assert!(text.contains("longer than 67108864 bytes"), "{text}");
}
