//! Runs every file of `sql-tests/` on one and on four shards.

use eddyline_sqltest::suite::Database;
use libtest_mimic::{Arguments, Failed, Trial};
use sqllogictest::{Runner, strict_column_validator};
use std::path::{Path, PathBuf};

fn main() {
    let arguments = Arguments::from_args();
    // Paths in the suites are relative to the top of the repository.
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::env::set_current_dir(&top).expect("the repository is there");
    let mut files = Vec::new();
    collect(Path::new("sql-tests"), &mut files);
    files.sort();
    assert!(!files.is_empty(), "no suites under sql-tests/");
    let trials = files.iter().flat_map(|file| [1, 4].map(|shards| trial(file.clone(), shards))).collect();
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

fn trial(file: PathBuf, shards: usize) -> Trial {
    let name = file.strip_prefix("sql-tests").expect("below sql-tests").with_extension("");
    Trial::test(format!("{} on {shards}", name.display()), move || run(&file, shards))
}

fn run(file: &Path, shards: usize) -> Result<(), Failed> {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let handle = tokio.handle().clone();
    let mut runner = Runner::new(|| std::future::ready(Ok(Database::new(handle.clone(), shards))));
    runner.with_column_validator(strict_column_validator);
    runner.run_file(file).map_err(|e| Failed::from(e.display(false).to_string()))
}
