use super::like::merge;
use arrow::datatypes::DataType;
use eddyline_catalog::{Column, ColumnSource, Table, WatermarkDefinition};
use eddyline_planner::SqlError;
use eddyline_planner::statement::{Like, LikeMode, LikePart};

fn column(name: &str, source: ColumnSource) -> Column {
    Column { name: name.into(), data_type: DataType::Int64, nullable: true, source, comment: None }
}

fn computed(name: &str, sql: &str) -> Column {
    column(name, ColumnSource::Computed { sql: sql.into() })
}

fn metadata(name: &str, key: &str) -> Column {
    column(name, ColumnSource::Metadata { key: key.into(), is_virtual: true })
}

fn table(name: &str, columns: Vec<Column>) -> Table {
    Table {
        name: name.into(),
        columns,
        primary_key: Vec::new(),
        watermark: None,
        options: Default::default(),
        comment: None,
        temporary: false,
    }
}

fn base() -> Table {
    let columns = vec![
        column("id", ColumnSource::Physical),
        column("ts", ColumnSource::Physical),
        computed("twice", "id * 2"),
        metadata("file", "file.name"),
    ];
    Table {
        primary_key: vec!["id".into()],
        watermark: Some(WatermarkDefinition { column: "ts".into(), sql: "ts".into() }),
        options: [("connector".into(), "filesystem".into()), ("path".into(), "/in".into())].into(),
        ..table("base", columns)
    }
}

fn like(clauses: &[(LikeMode, LikePart)]) -> Like {
    Like { source: "base".into(), clauses: clauses.to_vec() }
}

fn merged(own: Table, clauses: &[(LikeMode, LikePart)]) -> Table {
    merge(&base(), own, &like(clauses)).expect("merges")
}

fn refused(own: Table, clauses: &[(LikeMode, LikePart)]) -> SqlError {
    merge(&base(), own, &like(clauses)).expect_err("refused")
}

fn names(table: &Table) -> Vec<&str> {
    table.columns.iter().map(|c| c.name.as_str()).collect()
}

use LikeMode::{Excluding, Including, Overwriting};

#[test]
fn without_clauses_everything_is_copied_and_own_options_win() {
    let mut own = table("t", vec![column("more", ColumnSource::Physical)]);
    own.options = [("path".into(), "/out".into())].into();
    let merged = merged(own, &[]);
    assert_eq!(merged.name, "t");
    assert_eq!(names(&merged), ["id", "ts", "twice", "file", "more"]);
    assert_eq!(merged.primary_key, ["id"]);
    assert_eq!(merged.watermark, base().watermark);
    assert_eq!(merged.options["path"], "/out");
    assert_eq!(merged.options["connector"], "filesystem");
}

#[test]
fn excluded_parts_stay_behind() {
    let merged = merged(table("t", vec![]), &[(Excluding, LikePart::All)]);
    assert_eq!(names(&merged), ["id", "ts"]);
    assert!(merged.primary_key.is_empty() && merged.watermark.is_none() && merged.options.is_empty());
}

#[test]
fn a_part_wins_over_all_whatever_the_order() {
    let clauses = [(Including, LikePart::Generated), (Excluding, LikePart::All)];
    let merged = merged(table("t", vec![]), &clauses);
    assert_eq!(names(&merged), ["id", "ts", "twice"]);
}

#[test]
fn what_both_have_is_an_error_where_it_is_only_included() {
    let mut own = table("t", vec![]);
    own.options = [("path".into(), "/out".into())].into();
    let error = refused(own, &[(Including, LikePart::Options)]);
    assert_eq!(error.message, "LIKE: table base has option 'path' already");
    assert_eq!(error.hint.as_deref(), Some("use OVERWRITING OPTIONS or EXCLUDING OPTIONS"));

    let watermark = WatermarkDefinition { column: "ts".into(), sql: "ts - 1".into() };
    let own = Table { watermark: Some(watermark.clone()), ..table("t", vec![]) };
    assert_eq!(refused(own.clone(), &[]).message, "LIKE: table base has a watermark already");
    assert_eq!(merged(own.clone(), &[(Overwriting, LikePart::Watermarks)]).watermark, Some(watermark.clone()));
    assert_eq!(merged(own, &[(Excluding, LikePart::Watermarks)]).watermark, Some(watermark));

    let own = Table { primary_key: vec!["ts".into()], ..table("t", vec![]) };
    assert_eq!(refused(own.clone(), &[]).message, "LIKE: table base has a primary key already");
    assert_eq!(merged(own, &[(Excluding, LikePart::Constraints)]).primary_key, ["ts"]);
}

#[test]
fn columns_are_overwritten_only_by_their_own_kind_and_where_that_is_said() {
    let own = table("t", vec![computed("twice", "id + id")]);
    assert_eq!(refused(own.clone(), &[]).hint.as_deref(), Some("use OVERWRITING GENERATED"));
    let got = merged(own, &[(Overwriting, LikePart::Generated)]);
    assert_eq!(got.columns[2], computed("twice", "id + id"));

    let own = table("t", vec![column("id", ColumnSource::Physical)]);
    let error = refused(own, &[(Overwriting, LikePart::Generated)]);
    assert_eq!(error.message, "LIKE: table base has a column id already");
}

#[test]
fn clauses_that_say_nothing_are_refused() {
    let twice = [(Including, LikePart::Options), (Excluding, LikePart::Options)];
    assert_eq!(refused(table("t", vec![]), &twice).message, "LIKE: OPTIONS is given twice");
    let error = refused(table("t", vec![]), &[(Overwriting, LikePart::Constraints)]);
    assert_eq!(error.message, "LIKE: OVERWRITING CONSTRAINTS is not possible");
}
