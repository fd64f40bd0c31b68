use super::like::merge;
use arrow::datatypes::DataType;
use eddyline_catalog::{Column, ColumnSource, Dialect, Table, WatermarkDefinition};
use eddyline_planner::SqlError;
use eddyline_planner::statement::{Like, LikeMode, LikePart};

fn column(name: &str, source: ColumnSource) -> Column {
    Column { name: name.into(), data_type: DataType::Int64, nullable: true, source, comment: None, default: None }
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
        is_source: false,
        dialect: Dialect::Flink,
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
    Like { source: "base".into(), among_columns: false, clauses: clauses.to_vec() }
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

/// CREATE TABLE and DROP over the built-in connectors, with statements made by hand.
mod definitions {
    use super::{column, metadata, table};
    use crate::{Engine, EngineConfig, Outcome, ScriptError, Session, SqlError, TextPosition};
    use eddyline_catalog::{Column, ColumnSource, Table};
    use eddyline_planner::statement::{Statement, StatementKind};

    fn with_session<T>(f: impl FnOnce(&mut Session) -> T) -> T {
        let tokio = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        f(&mut Engine::new(EngineConfig::new(tokio.handle().clone())).session())
    }

    fn statement(kind: StatementKind) -> Statement {
        Statement { kind, position: TextPosition { line: 3, column: 1 }, sql: String::new() }
    }

    fn create(session: &mut Session, table: Table, if_not_exists: bool, or_replace: bool) -> Result<String, SqlError> {
        let name = eddyline_catalog::Reference::from(&table.name);
        let kind = StatementKind::CreateTable {
            name,
            table,
            if_not_exists,
            or_replace,
            unique: Vec::new(),
            like: None,
            query: None,
        };
        done(session, kind)
    }

    fn done(session: &mut Session, kind: StatementKind) -> Result<String, SqlError> {
        match session.execute(&statement(kind)) {
            Ok(Outcome::Done(message) | Outcome::Noted(message)) => Ok(message),
            Err(ScriptError::Statement(error)) => Err(error),
            _ => panic!("neither done nor refused"),
        }
    }

    fn drop_table(session: &mut Session, name: &str, if_exists: bool) -> Result<String, SqlError> {
        done(session, StatementKind::Drop { kind: "table", names: vec![name.into()], if_exists, cascade: false })
    }

    fn over(connector: &str, options: &[(&str, &str)], columns: Vec<Column>) -> Table {
        let all = options.iter().copied().chain([("connector", connector)]);
        Table { options: all.map(|(k, v)| (k.to_owned(), v.to_owned())).collect(), ..table("t", columns) }
    }

    fn n() -> Vec<Column> {
        vec![column("n", ColumnSource::Physical)]
    }

    #[test]
    fn tables_that_are_only_read_or_only_written_are_both_fine() {
        with_session(|s| {
            assert_eq!(create(s, over("datagen", &[], n()), false, false).expect("a source"), "table t created");
            assert_eq!(create(s, over("blackhole", &[], n()), false, true).expect("a sink"), "table t created");
        });
    }

    #[test]
    fn options_are_checked_at_the_definition() {
        with_session(|s| {
            let error = create(s, over("datagen", &[("rows-per-secnd", "1")], n()), false, false).expect_err("unknown");
            assert_eq!(error.sqlstate, SqlError::INVALID_PARAMETER);
            assert_eq!(error.message, "table t: unknown option 'rows-per-secnd'");
            assert!(error.hint.expect("a hint").contains("rows-per-second"));
            assert_eq!(error.position, Some(TextPosition { line: 3, column: 1 }));
            let error = create(s, over("blackhole", &[("x", "1")], n()), false, false).expect_err("unknown");
            assert_eq!(error.message, "table t: unknown option 'x'", "the sink's word, where there is no source");
            let error = create(s, over("kafak", &[], n()), false, false).expect_err("unknown");
            assert_eq!(error.message, "table t: unknown connector 'kafak'");
            assert!(s.catalog().objects().next().is_none(), "nothing is left of a table that is refused");
        });
    }

    #[test]
    fn metadata_must_be_the_connectors() {
        with_session(|s| {
            let columns = vec![column("n", ColumnSource::Physical), metadata("at", "timestamp")];
            let error = create(s, over("datagen", &[], columns), false, false).expect_err("no such key");
            assert_eq!(error.message, "table t: column at: connector 'datagen' has no metadata 'timestamp'");
        });
    }

    #[test]
    fn names_are_taken_kept_replaced_and_dropped() {
        with_session(|s| {
            let t = || over("datagen", &[], n());
            create(s, t(), false, false).expect("created");
            let error = create(s, t(), false, false).expect_err("taken");
            assert_eq!((error.sqlstate, error.message.as_str()), (SqlError::DUPLICATE_TABLE, "table t exists already"));
            assert_eq!(create(s, t(), true, false).expect("kept"), "table t exists already, left as it is");
            create(s, t(), false, true).expect("replaced");
            assert_eq!(drop_table(s, "t", false).expect("dropped"), "table t dropped");
            assert_eq!(drop_table(s, "t", false).expect_err("gone").sqlstate, SqlError::UNDEFINED_TABLE);
            assert_eq!(drop_table(s, "t", true).expect("fine"), "table t does not exist, nothing dropped");
        });
    }
}
