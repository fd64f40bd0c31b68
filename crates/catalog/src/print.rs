//! Definitions as the SQL that makes them, in Flink's spelling.

use crate::{Column, ColumnSource, Index, IndexColumn, MaterializedView, Sink, Table, View, sql_type};
use std::collections::BTreeMap;
use std::fmt::Write;

impl Table {
    /// `CREATE TABLE …` or `CREATE SOURCE …`, without a semicolon: parsing it gives the same definition.
    pub fn to_sql(&self) -> String {
        self.to_sql_with([])
    }

    /// As [`to_sql`](Self::to_sql), with what `UNIQUE` says where it has made these indexes of the table.
    pub fn to_sql_with<'i>(&self, unique: impl IntoIterator<Item = &'i Index>) -> String {
        let mut parts: Vec<String> = self.columns.iter().map(column).collect();
        if let Some(w) = &self.watermark {
            parts.push(format!("WATERMARK FOR {} AS {}", name(&w.column), w.sql));
        }
        if !self.primary_key.is_empty() {
            let key: Vec<String> = self.primary_key.iter().map(|c| name(c)).collect();
            let enforced = if self.is_kept() { "" } else { " NOT ENFORCED" };
            parts.push(format!("PRIMARY KEY ({}){enforced}", key.join(", ")));
        }
        parts.extend(unique.into_iter().filter_map(Index::to_constraint_sql));
        let kind = if self.is_source { "SOURCE" } else { "TABLE" };
        let mut out = format!("CREATE {}{kind} {}", temporary(self.temporary), self.name.to_sql());
        let _ = write!(out, " (\n  {}\n)", parts.join(",\n  "));
        if let Some(comment) = &self.comment {
            let _ = write!(out, " COMMENT {}", string(comment));
        }
        if !self.options.is_empty() {
            let _ = write!(out, " {}", with(&self.options));
        }
        out
    }
}

impl Sink {
    /// `CREATE SINK …`, without a semicolon: parsing it gives the same definition.
    pub fn to_sql(&self) -> String {
        let mut out = format!("CREATE SINK {}", self.view.name.to_sql());
        if let Some(table) = &self.into {
            let _ = write!(out, " INTO {}", table.to_sql());
        }
        if !self.columns.is_empty() {
            let columns: Vec<String> = self.columns.iter().map(|c| name(c)).collect();
            let _ = write!(out, " ({})", columns.join(", "));
        }
        if let Some(comment) = &self.view.comment {
            let _ = write!(out, "\nCOMMENT {}", string(comment));
        }
        let _ = write!(out, "\nAS {}", self.view.sql);
        if self.is_final {
            out.push_str("\nEMIT ON WINDOW CLOSE");
        }
        if !self.options.is_empty() {
            let _ = write!(out, "\n{}", with(&self.options));
        }
        out
    }
}

/// `WITH (options)`.
fn with(options: &BTreeMap<String, String>) -> String {
    let options: Vec<String> = options.iter().map(|(k, v)| format!("{} = {}", string(k), string(v))).collect();
    format!("WITH (\n  {}\n)", options.join(",\n  "))
}

impl View {
    /// `CREATE VIEW …`, without a semicolon: parsing it gives the same definition.
    pub fn to_sql(&self) -> String {
        self.to_sql_as(&format!("{}VIEW", temporary(self.temporary)))
    }

    fn to_sql_as(&self, kind: &str) -> String {
        let mut out = format!("CREATE {kind} {}", self.name.to_sql());
        if !self.columns.is_empty() {
            let columns: Vec<String> = self.columns.iter().map(|c| name(c)).collect();
            let _ = write!(out, " ({})", columns.join(", "));
        }
        if let Some(comment) = &self.comment {
            let _ = write!(out, "\nCOMMENT {}", string(comment));
        }
        let _ = write!(out, "\nAS {}", self.sql);
        out
    }
}

impl MaterializedView {
    /// `CREATE MATERIALIZED VIEW …`, without a semicolon: parsing it gives the same definition.
    pub fn to_sql(&self) -> String {
        let end = if self.is_final { "\nEMIT ON WINDOW CLOSE" } else { "" };
        format!("{}{end}", self.view.to_sql_as("MATERIALIZED VIEW"))
    }
}

impl Index {
    /// `CREATE INDEX …`, without a semicolon: parsing it gives the same definition.
    pub fn to_sql(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(|c| format!("{}{}", name(&c.name), c.direction())).collect();
        let unique = if self.unique.is_some() { "UNIQUE " } else { "" };
        let mut out = format!(
            "CREATE {unique}INDEX {} ON {} ({})",
            name(self.name.object()),
            self.table.to_sql(),
            columns.join(", ")
        );
        if self.unique.is_some_and(|unique| !unique.nulls_distinct) {
            out.push_str(" NULLS NOT DISTINCT");
        }
        if let Some(comment) = &self.comment {
            let _ = write!(out, " COMMENT {}", string(comment));
        }
        out
    }
}

impl Index {
    /// `CONSTRAINT … UNIQUE (…)`, where that has made it.
    fn to_constraint_sql(&self) -> Option<String> {
        let unique = self.unique.filter(|unique| unique.is_constraint)?;
        let columns: Vec<String> = self.columns.iter().map(|c| name(&c.name)).collect();
        let nulls = if unique.nulls_distinct { "" } else { " NULLS NOT DISTINCT" };
        Some(format!("CONSTRAINT {} UNIQUE{nulls} ({})", name(self.name.object()), columns.join(", ")))
    }
}

impl IndexColumn {
    /// ` DESC`, ` NULLS FIRST` and the like, where that has to be said.
    pub fn direction(&self) -> &'static str {
        match (self.descending, self.nulls_first) {
            (false, false) => "",
            (false, true) => " NULLS FIRST",
            (true, true) => " DESC",
            (true, false) => " DESC NULLS LAST",
        }
    }
}

fn column(column: &Column) -> String {
    let mut out = name(&column.name);
    if let ColumnSource::Computed { sql } = &column.source {
        let _ = write!(out, " AS {sql}");
    } else {
        let _ = write!(out, " {}{}", sql_type(&column.data_type), if column.nullable { "" } else { " NOT NULL" });
    }
    if let ColumnSource::Metadata { key, is_virtual } = &column.source {
        out.push_str(" METADATA");
        if *key != column.name {
            let _ = write!(out, " FROM {}", string(key));
        }
        out.push_str(if *is_virtual { " VIRTUAL" } else { "" });
    }
    if let Some(default) = &column.default {
        let _ = write!(out, " DEFAULT {default}");
    }
    if let Some(comment) = &column.comment {
        let _ = write!(out, " COMMENT {}", string(comment));
    }
    out
}

fn temporary(temporary: bool) -> &'static str {
    if temporary { "TEMPORARY " } else { "" }
}

/// A name in back-ticks.
pub(crate) fn name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A name, in back-ticks where it does not look like one.
pub(crate) fn name_if_needed(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { name(text) }
}

/// Does it look like a name without any quotes?
pub(crate) fn is_plain(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.chars().all(plain)
}

/// A string in single quotes.
fn string(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
