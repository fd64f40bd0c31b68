//! The page `docs/sql/functions.md`, written from the table of functions.

use super::call::Definition;
use super::{SUBJECTS, ScalarSettings, all, postgres};
use std::collections::BTreeSet;
use std::fmt::Write;

/// The documentation of all scalar functions, as Markdown.
pub fn documentation() -> String {
    let mut out = String::from(
        "# Scalar functions\n\n\
         Names are case-insensitive. This page is written from the functions themselves \
         (`crates/functions/src/scalar`); a test compares the two.\n",
    );
    let mut described = BTreeSet::new();
    for (subject, definitions) in SUBJECTS {
        for definition in *definitions {
            described.insert(definition.name.to_owned());
            described.extend(definition.aliases.iter().map(|a| (*a).to_owned()));
        }
        table(&mut out, subject, definitions);
    }
    let mut others = BTreeSet::new();
    for function in all(&ScalarSettings::default()) {
        let names = std::iter::once(function.name()).chain(function.aliases().iter().map(String::as_str));
        others.extend(names.filter(|name| !described.contains(*name)).map(str::to_uppercase));
    }
    out.push_str("\n## From DataFusion\n\nWith DataFusion's meaning (see its documentation of scalar functions):\n\n");
    let names: Vec<String> = others.iter().map(|name| format!("`{name}`")).collect();
    out.push_str(&names.join(", "));
    out.push_str(".\n\n# In the dialect of Postgres\n\nThese take the place of those above, or are there alone; they are PostgreSQL's.\n");
    postgres::SUBJECTS.iter().for_each(|(subject, definitions)| table(&mut out, subject, definitions));
    table(&mut out, "Functions of strings, of bytes", postgres::OVERLOADS);
    out
}

/// The functions of a subject.
fn table(out: &mut String, subject: &str, definitions: &[Definition]) {
    // Writing to a string does not fail.
    let _ = write!(out, "\n## {subject}\n\n| function | result | meaning | example |\n|---|---|---|---|\n");
    for definition in definitions {
        let page = definition.page;
        let cell = |text: &str| text.replace('|', "\\|");
        let also: String = definition.aliases.iter().map(|a| format!(" Also `{}`.", a.to_uppercase())).collect();
        let _ = writeln!(
            out,
            "| `{}` | {} | {}{also} | `{}` → `{}` |",
            cell(page.signature),
            cell(page.result),
            cell(page.text),
            cell(page.example.0),
            cell(page.example.1)
        );
    }
}
