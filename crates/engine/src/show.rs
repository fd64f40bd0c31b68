//! SHOW, DESCRIBE and SET without arguments: what there is, as small tables.

use crate::listing::{Listing, flags, text};
use crate::settings::{SETTINGS, Settings};
use crate::sql_type::sql_type;
use arrow::datatypes::{Field, SchemaRef};
use eddyline_catalog::{Catalog, ColumnSource, Object, Table, View};
use std::fmt::Write;

/// `SHOW TABLES [LIKE 'pattern']`: tables and views.
pub(crate) fn tables(catalog: &Catalog, like: Option<&str>) -> Listing {
    let names = catalog.objects().filter(|(n, _)| like.is_none_or(|p| matches_like(p, n)));
    Listing::texts(vec![("table name", names.map(|(n, _)| Some(n.to_owned())).collect())])
}

/// `SHOW VIEWS`.
pub(crate) fn views(catalog: &Catalog) -> Listing {
    let names = catalog.objects().filter(|(_, o)| matches!(o, Object::View(_)));
    Listing::texts(vec![("view name", names.map(|(n, _)| Some(n.to_owned())).collect())])
}

/// A list of names under a heading.
pub(crate) fn names(heading: &str, names: impl Iterator<Item = String>) -> Listing {
    Listing::texts(vec![(heading, names.map(Some).collect())])
}

/// `SET`: name, value, default and description of every setting.
pub(crate) fn settings(settings: &Settings) -> Listing {
    let column = |f: &dyn Fn(&'static crate::SettingSpec) -> String| SETTINGS.iter().map(|s| Some(f(s))).collect();
    Listing::texts(vec![
        ("name", column(&|s| s.name.to_owned())),
        ("value", column(&|s| settings.value(s).to_owned())),
        ("default", column(&|s| s.default.to_owned())),
        ("description", column(&|s| s.description.to_owned())),
    ])
}

/// `DESCRIBE table`: the columns as Flink lists them.
pub(crate) fn describe_table(table: &Table) -> Listing {
    let columns = &table.columns;
    let key = format!("PRI({})", table.primary_key.join(", "));
    let extras = columns.iter().map(|c| match &c.source {
        ColumnSource::Physical => None,
        ColumnSource::Computed { sql } => Some(format!("AS {sql}")),
        ColumnSource::Metadata { key, is_virtual } => {
            let from = if *key == c.name { String::new() } else { format!(" FROM {}", quoted(key)) };
            Some(format!("METADATA{from}{}", if *is_virtual { " VIRTUAL" } else { "" }))
        }
    });
    let watermark = |name: &str| table.watermark.as_ref().filter(|w| w.column == name).map(|w| w.sql.clone());
    let mut listing = vec![
        ("name", text(columns.iter().map(|c| Some(c.name.clone())).collect())),
        ("type", text(columns.iter().map(|c| Some(sql_type(&c.data_type))).collect())),
        ("null", flags(columns.iter().map(|c| c.nullable).collect())),
        ("key", text(columns.iter().map(|c| table.primary_key.contains(&c.name).then(|| key.clone())).collect())),
        ("extras", text(extras.collect())),
        ("watermark", text(columns.iter().map(|c| watermark(&c.name)).collect())),
    ];
    if columns.iter().any(|c| c.comment.is_some()) {
        listing.push(("comment", text(columns.iter().map(|c| c.comment.clone()).collect())));
    }
    Listing::columns(listing)
}

/// `DESCRIBE view`: the columns of its query.
pub(crate) fn describe_columns(schema: &SchemaRef) -> Listing {
    let of = |f: &dyn Fn(&Field) -> String| text(schema.fields().iter().map(|x| Some(f(x))).collect());
    Listing::columns(vec![
        ("name", of(&|f| f.name().clone())),
        ("type", of(&|f| sql_type(f.data_type()))),
        ("null", flags(schema.fields().iter().map(|f| f.is_nullable()).collect())),
    ])
}

/// `SHOW CREATE TABLE name`: a statement that makes the same table.
pub(crate) fn create_table(table: &Table) -> Listing {
    let mut parts: Vec<String> = table.columns.iter().map(column_definition).collect();
    if let Some(w) = &table.watermark {
        parts.push(format!("WATERMARK FOR {} AS {}", name(&w.column), w.sql));
    }
    if !table.primary_key.is_empty() {
        let key: Vec<String> = table.primary_key.iter().map(|c| name(c)).collect();
        parts.push(format!("PRIMARY KEY ({}) NOT ENFORCED", key.join(", ")));
    }
    let temporary = if table.temporary { "TEMPORARY " } else { "" };
    let mut out = format!("CREATE {temporary}TABLE {} (\n  {}\n)", name(&table.name), parts.join(",\n  "));
    if let Some(comment) = &table.comment {
        let _ = write!(out, " COMMENT {}", quoted(comment));
    }
    let options: Vec<String> = table.options.iter().map(|(k, v)| format!("{} = {}", quoted(k), quoted(v))).collect();
    let _ = write!(out, " WITH (\n  {}\n)", options.join(",\n  "));
    Listing::lines("result", &out)
}

/// `SHOW CREATE VIEW name`.
pub(crate) fn create_view(view: &View) -> Listing {
    let temporary = if view.temporary { "TEMPORARY " } else { "" };
    let columns: Vec<String> = view.columns.iter().map(|c| name(c)).collect();
    let columns = if columns.is_empty() { String::new() } else { format!(" ({})", columns.join(", ")) };
    let comment = view.comment.as_ref().map(|c| format!(" COMMENT {}", quoted(c))).unwrap_or_default();
    let out = format!("CREATE {temporary}VIEW {}{columns}{comment} AS\n{}", name(&view.name), view.sql);
    Listing::lines("result", &out)
}

fn column_definition(column: &eddyline_catalog::Column) -> String {
    let mut out = name(&column.name);
    match &column.source {
        ColumnSource::Computed { sql } => {
            let _ = write!(out, " AS {sql}");
        }
        source => {
            let _ = write!(out, " {}", sql_type(&column.data_type));
            if !column.nullable {
                out.push_str(" NOT NULL");
            }
            if let ColumnSource::Metadata { key, is_virtual } = source {
                let from = if *key == column.name { String::new() } else { format!(" FROM {}", quoted(key)) };
                let _ = write!(out, " METADATA{from}{}", if *is_virtual { " VIRTUAL" } else { "" });
            }
        }
    }
    if let Some(comment) = &column.comment {
        let _ = write!(out, " COMMENT {}", quoted(comment));
    }
    out
}

fn name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// SQL's LIKE over characters: `%` any run, `_` any one, `\` escapes.
fn matches_like(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    // reached[i]: the pattern so far matches the first i characters.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    let mut pattern = pattern.chars();
    while let Some(c) = pattern.next() {
        let mut next = vec![false; text.len() + 1];
        if c == '%' {
            let first = reached.iter().position(|r| *r).unwrap_or(next.len());
            next[first..].fill(true);
        } else {
            let wanted = if c == '\\' { pattern.next() } else { Some(c).filter(|c| *c != '_') };
            for (i, t) in text.iter().enumerate() {
                next[i + 1] = reached[i] && wanted.is_none_or(|w| w == *t);
            }
        }
        reached = next;
    }
    reached[text.len()]
}

#[cfg(test)]
mod tests {
    use super::matches_like;

    #[test]
    fn like_patterns() {
        for (pattern, text, fits) in [
            ("a%", "abc", true),
            ("%c", "abc", true),
            ("a_c", "abc", true),
            ("a\\_c", "abc", false),
            ("a\\_c", "a_c", true),
            ("%", "", true),
            ("_", "", false),
            ("%b%b%", "abcb", true),
            ("ab", "abc", false),
        ] {
            assert_eq!(matches_like(pattern, text), fits, "{text} LIKE {pattern}");
        }
    }
}
