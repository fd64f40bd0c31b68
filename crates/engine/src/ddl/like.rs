//! `CREATE TABLE … LIKE`: what is copied from the other table, by the rules of Flink SQL.
//!
//! Without clauses everything is copied, and options of the new table win. A clause for ALL replaces these defaults;
//! a clause for a part wins over ALL. Physical columns are always copied and come first.
//!
//! Among the columns LIKE is PostgreSQL's: names, types and NOT NULL are copied, anything else where a clause asks for it, and the last clause
//! counts.

use eddyline_catalog::{Column, ColumnSource, Index, Table};
use eddyline_planner::SqlError;
use eddyline_planner::statement::{Like, LikeMode, LikePart};

/// `table` with what it takes from `base`.
///
/// # Errors
/// Both have what may be there only once, or a clause that says nothing.
pub(crate) fn merge(base: &Table, table: Table, like: &Like) -> Result<Table, SqlError> {
    if like.among_columns {
        return merge_among(base, table, like);
    }
    check(like)?;
    let mut merged = table.clone();
    merged.columns = merge_columns(base, &table, like)?;

    merged.primary_key = match (mode(like, LikePart::Constraints), table.primary_key.is_empty()) {
        (LikeMode::Excluding, _) => table.primary_key,
        (_, true) => base.primary_key.clone(),
        (_, false) if base.primary_key.is_empty() => table.primary_key,
        _ => return Err(twice(base, "a primary key", "EXCLUDING CONSTRAINTS")),
    };
    merged.watermark = match (mode(like, LikePart::Watermarks), table.watermark) {
        (LikeMode::Excluding, own) => own,
        (_, None) => base.watermark.clone(),
        (LikeMode::Including, Some(_)) if base.watermark.is_some() => {
            return Err(twice(base, "a watermark", "OVERWRITING WATERMARKS or EXCLUDING WATERMARKS"));
        }
        (_, own) => own,
    };
    let options = mode(like, LikePart::Options);
    if options != LikeMode::Excluding {
        for (key, value) in &base.options {
            let own = merged.options.contains_key(key);
            if own && options == LikeMode::Including {
                return Err(twice(base, &format!("option '{key}'"), "OVERWRITING OPTIONS or EXCLUDING OPTIONS"));
            }
            if !own {
                merged.options.insert(key.clone(), value.clone());
            }
        }
    }
    Ok(merged)
}

/// Is an index copied?
pub(crate) fn copies_index(like: &Like, index: &Index) -> bool {
    match like.among_columns {
        true => is_asked_for(like, LikePart::Indexes),
        false => {
            mode(like, LikePart::Constraints) != LikeMode::Excluding
                && index.unique.is_some_and(|unique| unique.is_constraint)
        }
    }
}

/// Are comments copied?
pub(crate) fn copies_comments(like: &Like) -> bool {
    !like.among_columns || is_asked_for(like, LikePart::Comments)
}

fn merge_among(base: &Table, mut table: Table, like: &Like) -> Result<Table, SqlError> {
    let mut columns: Vec<Column> = base.columns.iter().map(|column| copied(column, like)).collect();
    for own in table.columns {
        if columns.iter().any(|column| column.name == own.name) {
            let message = format!("column {} is there twice: table {} has one", own.name, base.name);
            return Err(SqlError::new(SqlError::DUPLICATE_COLUMN, message));
        }
        columns.push(own);
    }
    table.columns = columns;
    if is_asked_for(like, LikePart::Indexes) && !base.primary_key.is_empty() {
        if !table.primary_key.is_empty() {
            return Err(twice(base, "a primary key", "EXCLUDING INDEXES"));
        }
        table.primary_key.clone_from(&base.primary_key);
    }
    Ok(table)
}

/// A column with what is asked for of it. One that is computed, or told by a connector, is written by statements unless it is to stay so.
fn copied(column: &Column, like: &Like) -> Column {
    let mut copy = column.clone();
    if !is_asked_for(like, LikePart::Generated) {
        copy.source = ColumnSource::Physical;
    }
    copy.default.take_if(|_| !is_asked_for(like, LikePart::Defaults));
    copy.comment.take_if(|_| !copies_comments(like));
    copy
}

/// What the last clause about a part says.
fn is_asked_for(like: &Like, part: LikePart) -> bool {
    let clause = like.clauses.iter().rev().find(|(_, of)| *of == part || *of == LikePart::All);
    clause.is_some_and(|(mode, _)| *mode == LikeMode::Including)
}

fn merge_columns(base: &Table, table: &Table, like: &Like) -> Result<Vec<Column>, SqlError> {
    let mut columns: Vec<Column> =
        base.columns.iter().filter(|c| column_mode(like, c) != LikeMode::Excluding).cloned().collect();
    for own in &table.columns {
        let Some(at) = columns.iter().position(|c| c.name == own.name) else {
            columns.push(own.clone());
            continue;
        };
        let same_kind = std::mem::discriminant(&columns[at].source) == std::mem::discriminant(&own.source);
        if !same_kind || column_mode(like, own) != LikeMode::Overwriting {
            let way_out = match own.source {
                ColumnSource::Computed { .. } if same_kind => "OVERWRITING GENERATED",
                ColumnSource::Metadata { .. } if same_kind => "OVERWRITING METADATA",
                _ => "another name",
            };
            return Err(twice(base, &format!("a column {}", own.name), way_out));
        }
        columns[at] = own.clone();
    }
    Ok(columns)
}

fn column_mode(like: &Like, column: &Column) -> LikeMode {
    match column.source {
        ColumnSource::Physical => LikeMode::Including,
        ColumnSource::Computed { .. } => mode(like, LikePart::Generated),
        ColumnSource::Metadata { .. } => mode(like, LikePart::Metadata),
    }
}

/// What is done with `part`: its own clause, else that of ALL, else the default.
fn mode(like: &Like, part: LikePart) -> LikeMode {
    let clause = |wanted| like.clauses.iter().find(|(_, p)| *p == wanted).map(|(m, _)| *m);
    clause(part).or_else(|| clause(LikePart::All)).unwrap_or(match part {
        LikePart::Options => LikeMode::Overwriting,
        _ => LikeMode::Including,
    })
}

fn check(like: &Like) -> Result<(), SqlError> {
    for (at, (mode, part)) in like.clauses.iter().enumerate() {
        if like.clauses[..at].iter().any(|(_, p)| p == part) {
            return Err(SqlError::new(SqlError::SYNTAX, format!("LIKE: {} is given twice", part_name(*part))));
        }
        if *mode == LikeMode::Overwriting
            && matches!(part, LikePart::All | LikePart::Constraints | LikePart::Partitions)
        {
            let message = format!("LIKE: OVERWRITING {} is not possible", part_name(*part));
            return Err(SqlError::new(SqlError::SYNTAX, message).with_hint("use INCLUDING or EXCLUDING"));
        }
    }
    Ok(())
}

fn part_name(part: LikePart) -> &'static str {
    match part {
        LikePart::All => "ALL",
        LikePart::Comments => "COMMENTS",
        LikePart::Constraints => "CONSTRAINTS",
        LikePart::Defaults => "DEFAULTS",
        LikePart::Generated => "GENERATED",
        LikePart::Indexes => "INDEXES",
        LikePart::Metadata => "METADATA",
        LikePart::Options => "OPTIONS",
        LikePart::Partitions => "PARTITIONS",
        LikePart::Storage => "STORAGE",
        LikePart::Watermarks => "WATERMARKS",
    }
}

fn twice(base: &Table, what: &str, way_out: &str) -> SqlError {
    SqlError::new(SqlError::INVALID, format!("LIKE: table {} has {what} already", base.name))
        .with_hint(format!("use {way_out}"))
}
