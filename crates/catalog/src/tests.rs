use crate::*;
use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};
use std::sync::Arc;

fn column(name: &str, data_type: DataType, source: ColumnSource) -> Column {
    Column { name: name.into(), data_type, nullable: true, source, comment: None, default: None }
}

fn table(name: &str) -> Table {
    let computed = ColumnSource::Computed { sql: "a + 1".into() };
    let key = |k: &str, is_virtual| ColumnSource::Metadata { key: k.into(), is_virtual };
    let mut first = column("a", DataType::Int32, ColumnSource::Physical);
    first.nullable = false;
    first.comment = Some("it's the key".into());
    Table {
        name: name.into(),
        columns: vec![
            first,
            column("ts", DataType::Timestamp(TimeUnit::Millisecond, None), ColumnSource::Physical),
            column("next", DataType::Null, computed),
            column("path", DataType::Utf8, key("file.path", true)),
            column("size", DataType::Int64, key("size", false)),
        ],
        primary_key: vec!["a".into()],
        watermark: Some(WatermarkDefinition { column: "ts".into(), sql: "ts - INTERVAL '1' SECOND".into() }),
        options: [("connector".to_owned(), "print".to_owned())].into(),
        comment: Some("all".into()),
        temporary: false,
        is_source: false,
        dialect: Dialect::Flink,
    }
}

fn view(name: &str) -> View {
    View {
        name: name.into(),
        columns: vec![],
        sql: "SELECT 1".into(),
        dialect: Dialect::Flink,
        comment: None,
        temporary: true,
    }
}

fn catalog() -> Catalog {
    let mut catalog = Catalog::new();
    catalog.create(Object::Table(Arc::new(table("bids"))), false).unwrap();
    catalog.create(Object::View(Arc::new(view("totals"))), false).unwrap();
    catalog
}

#[test]
fn who_sees_which_columns() {
    let names = |s: arrow::datatypes::SchemaRef| s.fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>();
    let table = table("t");
    assert_eq!(names(table.physical_schema()), ["a", "ts"]);
    assert_eq!(names(table.schema()), ["a", "ts", "next", "path", "size"]);
    assert_eq!(names(table.sink_schema()), ["a", "ts", "size"]);
    assert!(!table.schema().field(0).is_nullable());
}

#[test]
fn a_name_is_taken_once() {
    let mut catalog = catalog();
    let taken = catalog.create(Object::View(Arc::new(view("bids"))), false).unwrap_err();
    assert_eq!(taken.to_string(), "table bids exists already");
    let other = catalog.create(Object::View(Arc::new(view("bids"))), true).unwrap_err();
    assert_eq!(other.to_string(), "bids is a table, not a view");
    assert_eq!(catalog.version(), 2, "what fails changes nothing");
    catalog.create(Object::View(Arc::new(view("totals"))), true).unwrap();
    assert_eq!(catalog.version(), 3);
}

#[test]
fn names_are_found_by_kind() {
    let mut catalog = catalog();
    assert_eq!(catalog.table(&"bids".into()).unwrap().name, "bids");
    assert_eq!(catalog.table(&"totals".into()).unwrap_err().to_string(), "totals is a view, not a table");
    assert_eq!(catalog.remove("table", &"totals".into()).unwrap_err().to_string(), "totals is a view, not a table");
    catalog.remove("view", &"totals".into()).unwrap();
    assert!(catalog.object(&"totals".into()).is_err());
    assert_eq!(catalog.objects().map(|(n, _)| n.to_string()).collect::<Vec<_>>(), ["bids"]);
}

#[test]
fn a_missing_name_brings_the_nearest() {
    let nearest = |name: &str| match catalog().object(&name.into()).unwrap_err() {
        CatalogError::Missing { nearest, .. } => nearest,
        other => panic!("{other}"),
    };
    assert_eq!(nearest("bid").as_deref(), Some("bids"));
    assert_eq!(nearest("Totals").as_deref(), Some("totals"), "case counts, and is the likeliest slip");
    assert_eq!(nearest("elsewhere"), None);
}

#[test]
fn a_clone_is_a_snapshot() {
    let mut catalog = catalog();
    let before = catalog.clone();
    catalog.remove("table", &"bids".into()).unwrap();
    assert!(before.table(&"bids".into()).is_ok());
    assert!(catalog.table(&"bids".into()).is_err());
}

#[test]
fn tables_print_as_sql() {
    let printed = "CREATE TABLE `b``s` (\n  `a` INT NOT NULL COMMENT 'it''s the key',\n  `ts` TIMESTAMP(3),\n  \
        `next` AS a + 1,\n  `path` STRING METADATA FROM 'file.path' VIRTUAL,\n  `size` BIGINT METADATA,\n  \
        WATERMARK FOR `ts` AS ts - INTERVAL '1' SECOND,\n  PRIMARY KEY (`a`) NOT ENFORCED\n) COMMENT 'all' WITH (\n  \
        'connector' = 'print'\n)";
    assert_eq!(table("b`s").to_sql(), printed);
}

#[test]
fn views_print_as_sql() {
    assert_eq!(view("v").to_sql(), "CREATE TEMPORARY VIEW `v`\nAS SELECT 1");
    let named = View { columns: vec!["x".into()], comment: Some("c".into()), temporary: false, ..view("v") };
    assert_eq!(named.to_sql(), "CREATE VIEW `v` (`x`)\nCOMMENT 'c'\nAS SELECT 1");
}

#[test]
fn types_have_names() {
    let list = |t, nullable| DataType::List(Arc::new(Field::new_list_field(t, nullable)));
    let row = DataType::Struct(
        vec![Field::new("a", DataType::Int8, false), Field::new("b c", DataType::Date32, true)].into(),
    );
    for (data_type, name) in [
        (DataType::Decimal128(10, 2), "DECIMAL(10, 2)"),
        (DataType::Time32(TimeUnit::Second), "TIME(0)"),
        (DataType::Timestamp(TimeUnit::Nanosecond, None), "TIMESTAMP(9)"),
        (DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), "TIMESTAMP_LTZ(6)"),
        (DataType::Interval(IntervalUnit::MonthDayNano), "INTERVAL"),
        (list(DataType::Utf8, false), "ARRAY<STRING NOT NULL>"),
        (list(row, true), "ARRAY<ROW<a TINYINT NOT NULL, `b c` DATE>>"),
    ] {
        assert_eq!(sql_type(&data_type), name);
    }
}

#[test]
fn distances_count_characters() {
    for (a, b, distance) in [("", "", 0), ("a", "", 1), ("größe", "grösse", 2), ("table", "tabel", 2), ("x", "y", 1)]
    {
        assert_eq!(edit_distance(a, b), distance, "{a} {b}");
    }
}

fn reference(text: &str) -> Reference {
    Reference::read(text, false).unwrap()
}

#[test]
fn references_are_read() {
    let parts = |text: &str, folds| {
        let Reference { database, schema, object } = Reference::read(text, folds)?;
        Some([database, schema, Some(object)].into_iter().flatten().collect::<Vec<_>>().join("|"))
    };
    assert_eq!(parts("T", false).as_deref(), Some("T"));
    assert_eq!(parts("T", true).as_deref(), Some("t"));
    assert_eq!(parts(" S.\"T.u\" ", true).as_deref(), Some("s|T.u"));
    assert_eq!(parts("`d`.s.`my table`", true).as_deref(), Some("d|s|my table"));
    assert_eq!(parts("a.b.c.d", true), None);
}

fn in_schema(schema: &str, object: &str) -> Object {
    Object::View(Arc::new(View { name: Name::new(schema, object), ..view(object) }))
}

/// Schemas a and b; t in both and in public, u in b alone.
fn schemas() -> Catalog {
    let mut catalog = Catalog::new();
    catalog.create_schema("b").unwrap();
    catalog.create_schema("a").unwrap();
    for (schema, object) in [("a", "t"), ("b", "t"), ("public", "t"), ("b", "u")] {
        catalog.create(in_schema(schema, object), false).unwrap();
    }
    catalog
}

#[test]
fn names_are_found_by_the_search_path() {
    let catalog = schemas();
    let path = |text: &str| SearchPath::parse(text, Some("b"));
    for (written, searched, found) in [
        ("t", "public", "t"),
        ("t", "a, b", "a.t"),
        ("t", "missing, B, a", "b.t"),
        ("t", "\"B\", a", "a.t"),
        ("t", "\"$user\", public", "b.t"),
        ("u", "a, public, b", "b.u"),
        ("public.t", "a", "t"),
        ("dev.a.t", "public", "a.t"),
        // Nothing is there: it would be in the first schema that is.
        ("x", "missing, a, b", "a.x"),
        ("a.x", "b", "a.x"),
    ] {
        let name = catalog.resolve(&reference(written), &path(searched)).unwrap();
        assert_eq!(name.to_string(), found, "{written} in {searched}");
    }
    let refused =
        |written: &str, searched: &str| catalog.resolve(&reference(written), &path(searched)).unwrap_err().to_string();
    assert_eq!(refused("c.t", "public"), "schema c does not exist");
    assert_eq!(refused("other.a.t", "public"), "other.a.t: names of another database cannot be reached from here");
    assert_eq!(refused("t", "missing"), "table t does not exist");
    assert_eq!(refused("t", ""), "table t does not exist");
}

#[test]
fn new_objects_come_into_the_first_schema_that_is_there() {
    let catalog = schemas();
    let placed = |written: &str, searched: &str| {
        catalog.place(&reference(written), &SearchPath::parse(searched, None)).map(|name| name.to_string())
    };
    assert_eq!(placed("u", "\"$user\", missing, a, b").unwrap(), "a.u");
    assert_eq!(placed("b.u", "a").unwrap(), "b.u");
    assert_eq!(placed("u", "missing").unwrap_err(), CatalogError::NoSchema);
    assert_eq!(placed("pg_catalog.u", "a").unwrap_err(), CatalogError::SystemSchema { name: "pg_catalog".into() });
    let mut catalog = schemas();
    let missing = catalog.create(in_schema("c", "t"), false).unwrap_err();
    assert_eq!(missing, CatalogError::MissingSchema { name: "c".into() });
}

#[test]
fn schemas_come_and_go() {
    let mut catalog = schemas();
    assert_eq!(catalog.schemas(), ["a", "b", "public"]);
    for taken in ["a", "public", "pg_catalog", "information_schema"] {
        assert_eq!(catalog.create_schema(taken).unwrap_err(), CatalogError::SchemaExists { name: taken.into() });
    }
    assert_eq!(catalog.create_schema("pg_x").unwrap_err(), CatalogError::ReservedSchema { name: "pg_x".into() });
    assert_eq!(catalog.remove_schema("b").unwrap_err().to_string(), "schema b holds view b.t, view b.u");
    assert_eq!(catalog.remove_schema("c").unwrap_err().to_string(), "schema c does not exist");
    assert_eq!(catalog.remove_schema("public").unwrap_err().to_string(), "schema public belongs to the system");
    catalog.remove("view", &Name::new("a", "t")).unwrap();
    catalog.remove_schema("a").unwrap();
    assert_eq!(catalog.schemas(), ["b", "public"]);
    assert!(catalog.object(&"t".into()).is_ok() && catalog.object(&Name::new("b", "t")).is_ok());
}

#[test]
fn no_two_names_have_one_text() {
    let names = [
        (Name::from("t"), "t"),
        (Name::from("a b"), "a b"),
        (Name::from("a.b"), "`a.b`"),
        (Name::new("a", "b"), "a.b"),
        (Name::new("a", "b.c"), "a.`b.c`"),
        (Name::new("a.b", "c"), "`a.b`.c"),
        (Name::from("`a.b`.c"), "```a.b``.c`"),
        (Name::from("STATE('x.y', 'z')"), "STATE('x.y', 'z')"),
    ];
    for (name, text) in &names {
        assert_eq!(name.to_string(), *text);
    }
    assert_eq!(Name::new("a", "b`c").to_sql(), "`a`.`b``c`");
    assert_eq!(Name::new("public", "t").to_sql(), "`t`");
    assert_eq!(Name::new("public", "t"), Name::from("t"));
}
