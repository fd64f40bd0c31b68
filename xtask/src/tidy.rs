//! Tidiness that no compiler checks: module pages, file sizes, names that say nothing, leftovers.

use std::path::{Path, PathBuf};

/// Above this a source file must be cut by subject.
const LINES_MAX: usize = 900;
/// Module names that say where a thing is kept instead of what it is.
const EMPTY_NAMES: [&str; 7] = ["common", "util", "utils", "helpers", "helper", "types", "misc"];

pub(crate) fn check() -> Result<(), String> {
    let mut files = Vec::new();
    for root in ["crates", "xtask"] {
        collect(Path::new(root), &mut files).map_err(|e| format!("{root}: {e}"))?;
    }
    let mut faults = Vec::new();
    for file in &files {
        let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
        faults.extend(faults_of(file, &text).into_iter().map(|f| format!("{}: {f}", file.display())));
    }
    if faults.is_empty() { Ok(()) } else { Err(format!("tidy:\n  {}", faults.join("\n  "))) }
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn faults_of(file: &Path, text: &str) -> Vec<String> {
    let stem = file.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
    let in_tests = file.components().any(|c| c.as_os_str() == "tests") || stem == "tests";
    let mut faults = Vec::new();
    let lines = text.lines().count();
    if lines > LINES_MAX && !in_tests {
        faults.push(format!("{lines} lines, at most {LINES_MAX}: cut it by subject"));
    }
    // SQL's types are a subject.
    let is_sql_types = ["parse/types.rs", "bind/types.rs"].iter().any(|f| file.ends_with(f));
    if EMPTY_NAMES.contains(&stem) && !is_sql_types {
        faults.push(format!("the name {stem:?} says nothing of its subject"));
    }
    if (stem == "mod" || stem == "lib" || stem == "main") && !in_tests && !text.starts_with("//!") {
        faults.push("opens without a page (`//!`)".to_owned());
    }
    for (at, line) in text.lines().enumerate() {
        for word in [concat!("FIX", "ME"), concat!("X", "XX "), concat!("TO", "DO")] {
            if line.contains(word) {
                faults.push(format!("line {}: {word}", at + 1));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_found() {
        assert!(faults_of(Path::new("crates/a/src/exchange.rs"), "fn f() {}\n").is_empty());
        assert_eq!(faults_of(Path::new("crates/a/src/util.rs"), "").len(), 1);
        assert_eq!(faults_of(Path::new("crates/a/src/lib.rs"), "fn f() {}\n").len(), 1);
        assert_eq!(faults_of(Path::new("crates/a/src/b.rs"), &"\n".repeat(LINES_MAX + 1)).len(), 1);
    }
}
