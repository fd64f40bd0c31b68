//! SHOW, DESCRIBE and SET without arguments: what there is, as small tables.

use crate::Engine;
use crate::error::from_checkpoint;
use crate::jobs::{JobReport, JobStatus};
use crate::listing::{Listing, flags, text};
use crate::settings::{SETTINGS, Settings};
use arrow::array::{ArrayRef, Int64Array, TimestampMillisecondArray};
use arrow::datatypes::{Field, SchemaRef};
use eddyline_catalog::{ColumnSource, Dialect, Index, Name, Object, Sink, Table, sql_type};
use eddyline_checkpoint::{Attempt, CheckpointError, CheckpointStore, Listed, Outcome, Place};
use eddyline_planner::{SqlError, in_double_quotes};
use eddyline_runtime::LogEntry;
use std::sync::Arc;

/// `SHOW TABLES [LIKE 'pattern']`: tables and views.
pub(crate) fn tables(objects: Vec<&Object>, like: Option<&str>) -> Listing {
    let all = objects.into_iter().filter(|object| !matches!(object, Object::Sink(_) | Object::Index(_)));
    let all = all.map(|object| object.name().object());
    names("table name", all.filter(|name| like.is_none_or(|p| matches_like(p, name))).map(str::to_owned))
}

/// `SHOW VIEWS`.
pub(crate) fn views<'o>(objects: impl Iterator<Item = &'o Object>) -> Listing {
    let views = objects.filter(|object| matches!(object, Object::View(_)));
    names("view name", views.map(|view| view.name().object().to_owned()))
}

/// `SHOW MATERIALIZED VIEWS`.
pub(crate) fn materialized_views<'o>(objects: impl Iterator<Item = &'o Object>) -> Listing {
    let views = objects.filter(|object| matches!(object, Object::MaterializedView(_)));
    names("materialized view name", views.map(|view| view.name().object().to_owned()))
}

/// `SHOW SOURCES`.
pub(crate) fn sources<'o>(objects: impl Iterator<Item = &'o Object>) -> Listing {
    let found: Vec<&Table> = objects
        .filter_map(|object| match object {
            Object::Table(table) if table.is_source => Some(table.as_ref()),
            _ => None,
        })
        .collect();
    Listing::texts(vec![
        ("source name", found.iter().map(|table| Some(table.name.object().to_owned())).collect()),
        ("connector", found.iter().map(|table| table.options.get("connector").cloned()).collect()),
        ("format", found.iter().map(|table| table.options.get("format").cloned()).collect()),
    ])
}

/// `SHOW SINKS`.
pub(crate) fn sinks<'o>(objects: impl Iterator<Item = &'o Object>, jobs: &[JobReport]) -> Listing {
    let found: Vec<&Sink> = objects
        .filter_map(|object| match object {
            Object::Sink(sink) => Some(sink.as_ref()),
            _ => None,
        })
        .collect();
    let job = |sink: &Sink| jobs.iter().find(|job| job.id == sink.job);
    let error = |sink: &Sink| Some(job(sink)?.failure.as_ref()?.message.clone());
    let status = |sink: &Sink| match (&sink.into, job(sink)) {
        (_, Some(job)) => job.status,
        (Some(_), None) => JobStatus::Creating,
        // The job of one whose input was at its end is forgotten at some time.
        (None, None) => JobStatus::Finished,
    };
    Listing::texts(vec![
        ("sink name", found.iter().map(|sink| Some(sink.view.name.object().to_owned())).collect()),
        ("connector", found.iter().map(|sink| sink.options.get("connector").cloned()).collect()),
        ("table", found.iter().map(|sink| sink.into.as_ref().map(Name::to_string)).collect()),
        ("job", found.iter().map(|sink| Some(sink.job.to_string())).collect()),
        ("status", found.iter().map(|sink| Some(status(sink).name().to_owned())).collect()),
        ("error", found.iter().map(|sink| error(sink)).collect()),
    ])
}

/// Tables, views, or both: names, what they are, and the connectors of tables.
pub(crate) fn relations<'o>(objects: impl Iterator<Item = &'o Object>, tables: bool, views: bool) -> Listing {
    let wanted = |object: &Object| match object {
        Object::Table(_) => tables,
        Object::View(_) | Object::MaterializedView(_) => views,
        Object::Sink(_) | Object::Index(_) => false,
    };
    let found: Vec<&Object> = objects.filter(|object| wanted(object)).collect();
    let connector = |object: &Object| match object {
        Object::Table(table) => table.options.get("connector").cloned(),
        _ => None,
    };
    Listing::texts(vec![
        ("name", found.iter().map(|object| Some(object.name().object().to_owned())).collect()),
        ("type", found.iter().map(|object| Some(object.kind().to_owned())).collect()),
        ("connector", found.iter().map(|object| connector(object)).collect()),
    ])
}

/// Functions whose name has a part like `pattern`, in any case.
pub(crate) fn functions(all: Vec<String>, pattern: Option<&str>) -> Listing {
    let pattern = pattern.map(|p| format!("%{}%", p.to_lowercase()));
    let fits = |name: &String| pattern.as_deref().is_none_or(|p| matches_like(p, &name.to_lowercase()));
    names("function name", all.into_iter().filter(fits))
}

/// Where checkpoints are.
pub(crate) struct CheckpointPlace {
    /// A directory or URL.
    pub(crate) location: String,
    /// The job; `None`: all that have some there.
    pub(crate) job: Option<String>,
}

/// `SHOW LOGS`.
pub(crate) fn logs(entries: &[LogEntry]) -> Listing {
    let times: TimestampMillisecondArray = entries.iter().map(|entry| Some(entry.time_ms)).collect();
    let texts = |of: &dyn Fn(&LogEntry) -> String| text(entries.iter().map(|entry| Some(of(entry))).collect());
    Listing::columns(vec![
        ("time", Arc::new(times.with_timezone("UTC"))),
        ("level", texts(&|entry| entry.level.name().to_owned())),
        ("subject", texts(&|entry| entry.subject.name().to_owned())),
        ("message", texts(&|entry| entry.message.clone())),
    ])
}

/// `SHOW CHECKPOINTS`: what was tried, and what is there.
///
/// # Errors
/// The place is none, or cannot be read.
pub(crate) fn checkpoints(engine: &Engine, places: &[CheckpointPlace]) -> Result<Listing, SqlError> {
    let read_one = |place: &CheckpointPlace| -> Result<Vec<(String, Vec<Listed>)>, CheckpointError> {
        let environment = engine.environment().iter().map(|(k, v)| (k.clone(), v.clone()));
        let CheckpointPlace { location, job } = place;
        let place = Place::parse(location, environment, &engine.rim().tokio)?;
        let jobs = match job {
            Some(job) => vec![job.clone()],
            None => CheckpointStore::jobs(&place)?,
        };
        jobs.into_iter().map(|job| Ok((job.clone(), CheckpointStore::new(&place, &job).overview()?))).collect()
    };
    let read = || -> Result<Vec<(String, Vec<Listed>)>, CheckpointError> {
        Ok(places.iter().map(read_one).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    };
    // Who asks may be on a thread that must not wait for a store.
    let read = std::thread::scope(|scope| scope.spawn(read).join());
    let panicked = |_| SqlError::new(SqlError::INTERNAL, "reading checkpoints panicked");
    let found = read.map_err(panicked)?.map_err(|e| from_checkpoint(&e))?;
    let rows: Vec<(&str, &Listed)> =
        found.iter().flat_map(|(job, all)| all.iter().map(|l| (job.as_str(), l))).collect();
    let texts = |of: &dyn Fn(&Listed) -> Option<String>| text(rows.iter().map(|(_, l)| of(l)).collect());
    let numbers = |of: &dyn Fn(&Attempt) -> u64| -> ArrayRef {
        Arc::new(rows.iter().map(|(_, l)| i64::try_from(of(&l.attempt)).ok()).collect::<Int64Array>())
    };
    let failure = |listed: &Listed| match &listed.attempt.outcome {
        Outcome::Complete => None,
        Outcome::Failed(why) => Some(why.clone()),
    };
    let start: TimestampMillisecondArray = rows.iter().map(|(_, l)| Some(l.attempt.start_ms)).collect();
    Ok(Listing::columns(vec![
        ("job", text(rows.iter().map(|(job, _)| Some((*job).to_owned())).collect())),
        ("id", numbers(&|a| a.id.0)),
        ("kind", texts(&|l| Some(l.attempt.kind.to_string()))),
        ("epoch", numbers(&|a| a.epoch)),
        ("start", Arc::new(start.with_timezone("UTC"))),
        ("alignment ms", numbers(&|a| a.alignment_ms)),
        ("sync ms", numbers(&|a| a.sync_ms)),
        ("async ms", numbers(&|a| a.async_ms)),
        ("new bytes", numbers(&|a| a.new_bytes)),
        ("total bytes", numbers(&|a| a.total_bytes)),
        ("is kept", flags(rows.iter().map(|(_, l)| l.is_kept).collect())),
        ("slowest task", texts(&|l| l.attempt.slowest.clone())),
        ("failure", texts(&failure)),
    ]))
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

/// `DESCRIBE index`: its columns, in their order.
pub(crate) fn describe_index(index: &Index) -> Listing {
    let columns = &index.columns;
    Listing::columns(vec![
        ("name", text(columns.iter().map(|c| Some(c.name.clone())).collect())),
        ("descending", flags(columns.iter().map(|c| c.descending).collect())),
        ("nulls first", flags(columns.iter().map(|c| c.nulls_first).collect())),
    ])
}

/// `SHOW CREATE TABLE|SOURCE|SINK|INDEX|[MATERIALIZED] VIEW name`: a statement that makes the same object, with the quotes of the dialect.
///
/// # Errors
/// The object is of the other kind.
pub(crate) fn create(kind: &str, object: &Object, sql: &str, dialect: Dialect) -> Result<Listing, SqlError> {
    let name = object.name();
    if object.kind() != kind {
        return Err(SqlError::new("42809", format!("{name} is a {}, not a {kind}", object.kind()))
            .with_hint(format!("write SHOW CREATE {} {name}", object.kind().to_uppercase())));
    }
    Ok(match dialect {
        Dialect::Flink => Listing::lines("result", sql),
        Dialect::Postgres => Listing::lines("result", &in_double_quotes(sql)),
    })
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
