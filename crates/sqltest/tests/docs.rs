//! Every `sql` block of docs/sql runs, page by page; every statement of a block marked `refused` is refused with a hint.

use eddyline_sqltest::suite::Database;
use sqllogictest::DB;
use std::path::Path;

/// A block of a page: where it begins, whether it is to be refused, its text.
struct Block {
    line: usize,
    refused: bool,
    sql: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let Some(kind) = line.strip_prefix("```sql") else { continue };
        let sql = lines.by_ref().map(|(_, l)| l).take_while(|l| *l != "```").collect::<Vec<_>>().join("\n");
        found.push(Block { line: at + 1, refused: kind.trim() == "refused", sql });
    }
    found
}

fn statements(sql: &str) -> impl Iterator<Item = &str> {
    sql.split(";\n").map(|s| s.trim_end_matches(';').trim()).filter(|s| !s.is_empty())
}

fn run(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sql").join(name);
    let page = std::fs::read_to_string(&path).expect("the page is there");
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("tokio");
    let mut database = Database::new(tokio.handle().clone(), 2);
    let blocks = blocks(&page);
    assert!(!blocks.is_empty(), "{name} has no examples");
    for Block { line, refused, sql } in blocks {
        if !refused {
            if let Err(error) = database.run(&sql) {
                panic!("docs/sql/{name}, the block at line {line}: {error}");
            }
            continue;
        }
        for statement in statements(&sql) {
            match database.run(statement) {
                Ok(_) => panic!("docs/sql/{name}, line {line}: not refused: {statement}"),
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.contains("HINT:"), "docs/sql/{name}, line {line}: {statement}\nno hint: {text}");
                }
            }
        }
    }
}

#[test]
fn aggregates_page() {
    run("aggregates.md");
}

#[test]
fn changes_page() {
    run("changes.md");
}

#[test]
fn statements_page() {
    run("statements.md");
}

#[test]
fn types_page() {
    run("types.md");
}

#[test]
fn queries_page() {
    run("queries.md");
}

#[test]
fn windows_page() {
    run("windows.md");
}

#[test]
fn state_page() {
    run("state.md");
}

#[test]
fn time_page() {
    run("time.md");
}

#[test]
fn dialects_page() {
    run("dialects.md");
}
