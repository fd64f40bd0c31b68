//! Runs every file of `sql-tests/` on one and on four shards, and over the wire, by prepared statements; those of some themes by simple queries too.

use eddyline_sqltest::suite::Database;
use eddyline_sqltest::wire::{Protocol, Wire};
use libtest_mimic::{Arguments, Failed, Trial};
use sqllogictest::{DB, DefaultColumnType, Runner, strict_column_validator};
use std::path::{Path, PathBuf};
use tokio::runtime::Handle;

/// Themes that go over the wire by simple queries too, for the texts of all types.
const SIMPLE: [&str; 5] = ["types", "functions", "tables", "dialect", "ddl"];

fn main() {
    let arguments = Arguments::from_args();
    // Paths in the suites are relative to the top of the repository.
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::env::set_current_dir(&top).expect("the repository is there");
    let mut files = Vec::new();
    collect(Path::new("sql-tests"), &mut files);
    files.sort();
    assert!(!files.is_empty(), "no suites under sql-tests/");
    let trials = files.iter().flat_map(|file| trials(file)).collect();
    libtest_mimic::run(&arguments, trials).exit();
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("sql-tests/ can be listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "slt") {
            files.push(path);
        }
    }
}

fn trials(file: &Path) -> Vec<Trial> {
    let name = file.strip_prefix("sql-tests").expect("below sql-tests").with_extension("");
    let embedded = [1, 4].map(|shards| {
        let file = file.to_owned();
        Trial::test(format!("{} on {shards}", name.display()), move || {
            run(&file, &[], |tokio| Database::new(tokio, shards))
        })
    });
    let wire = [("by wire", Protocol::Extended), ("by wire, simple", Protocol::Simple)].map(|(how, protocol)| {
        let file = file.to_owned();
        Trial::test(format!("{} {how}", name.display()), move || {
            run(&file, &["wire"], |tokio| Wire::new(tokio, protocol))
        })
    });
    let by_text = SIMPLE.iter().any(|theme| name.starts_with(theme));
    embedded.into_iter().chain(wire.into_iter().take(if by_text { 2 } else { 1 })).collect()
}

/// `skipif` one of the labels leaves a record out.
fn run<D: DB<ColumnType = DefaultColumnType> + Send>(
    file: &Path,
    labels: &[&str],
    open: impl Fn(Handle) -> D,
) -> Result<(), Failed> {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let handle = tokio.handle().clone();
    let mut runner = Runner::new(|| std::future::ready(Ok(open(handle.clone()))));
    labels.iter().for_each(|label| runner.add_label(label));
    runner.with_column_validator(strict_column_validator);
    runner.run_file(file).map_err(|e| Failed::from(e.display(false).to_string()))
}
