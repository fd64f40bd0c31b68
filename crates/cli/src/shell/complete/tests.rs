use super::*;
use crate::shell::vocabulary::Relation;

fn vocabulary() -> Vocabulary {
    let relation = |columns: &[&str]| Relation {
        definition: String::new(),
        columns: columns.iter().map(|c| (*c).to_owned()).collect(),
    };
    let mut vocabulary = Vocabulary::default();
    vocabulary.relations.insert("orders".into(), relation(&["id", "item", "my col"]));
    vocabulary.relations.insert("origins".into(), relation(&["id", "country"]));
    vocabulary.relations.insert("Odd Name".into(), relation(&["x"]));
    let mine = [("parcels".to_owned(), relation(&["weight", "street"]))].into();
    vocabulary.schemas = [("public".to_owned(), vocabulary.relations.clone()), ("post".to_owned(), mine)].into();
    vocabulary.functions = ["SUBSTRING", "SUM", "UPPER"].map(str::to_owned).to_vec();
    vocabulary.connectors = ["datagen", "filesystem"].map(str::to_owned).to_vec();
    vocabulary
}

/// The text before the cursor `|` with each completion put in.
fn of(text: &str) -> Vec<String> {
    let cursor = text.find('|').expect("a cursor");
    let found = complete(&text.replace('|', ""), cursor, &vocabulary());
    found.texts.iter().map(|t| format!("{}{t}", &text[..found.from])).collect()
}

#[track_caller]
fn gives(text: &str, want: &[&str]) {
    assert_eq!(of(text), want, "{text}");
}

#[test]
fn statements_begin_with_verbs() {
    gives("sel|", &["select"]);
    gives("DESC|", &["DESCRIBE"]);
    gives("SELECT 1; SHOW V|", &["SELECT 1; SHOW VIEWS"]);
    gives("show cr|", &["show create materialized view", "show create table", "show create view"]);
    gives("drop |", &["drop MATERIALIZED VIEW", "drop SCHEMA", "drop TABLE", "drop VIEW"]);
}

#[test]
fn tables_stand_behind_from() {
    gives("SELECT * FROM ori|", &["SELECT * FROM origins"]);
    gives("INSERT INTO ord|", &["INSERT INTO order", "INSERT INTO orders", "INSERT INTO ordinality"]);
    gives(
        "SELECT * FROM |",
        &["SELECT * FROM `Odd Name`", "SELECT * FROM orders", "SELECT * FROM origins", "SELECT * FROM post."],
    );
    gives("SELECT * FROM post.|", &["SELECT * FROM post.parcels"]);
    gives("SELECT we| FROM post.parcels", &["SELECT weight"]);
    gives("DROP SCHEMA p|", &["DROP SCHEMA post", "DROP SCHEMA public"]);
    gives("SELECT * FROM `odd|", &["SELECT * FROM `Odd Name`"]);
    gives("DESCRIBE orde|", &["DESCRIBE order", "DESCRIBE orders"]);
}

#[test]
fn columns_belong_to_tables_and_aliases() {
    gives("SELECT o.| FROM orders o", &["SELECT o.`my col`", "SELECT o.id", "SELECT o.item"]);
    gives("SELECT x.c| FROM orders AS o JOIN origins AS x", &["SELECT x.country"]);
    gives("SELECT orders.it|", &["SELECT orders.item"]);
    gives("SELECT coun| FROM origins", &["SELECT country"]);
    gives(
        "SELECT * FROM origins\nWHERE |",
        &["SELECT * FROM origins\nWHERE country", "SELECT * FROM origins\nWHERE id"],
    );
}

#[test]
fn functions_open_their_bracket_in_the_case_of_what_is_typed() {
    gives("SELECT SUBST|", &["SELECT SUBSTRING("]);
    gives("SELECT subst|", &["SELECT substring("]);
}

#[test]
fn settings_and_their_values() {
    gives("SET 'table.dml|", &["SET 'table.dml-sync'"]);
    gives("SET table.dml-sync|", &[]);
    gives("RESET sql.d|", &[]);
    gives("RESET pipeline|", &["RESET 'pipeline.max-parallelism'", "RESET 'pipeline.name'"]);
    gives("SET 'table.dml-sync' = 'f|", &["SET 'table.dml-sync' = 'false'"]);
    let emit = ["final", "on-close", "on-update"].map(|value| format!("SET 'execution.emit' = '{value}'"));
    gives("SET 'execution.emit' = |", &emit.each_ref().map(String::as_str));
}

#[test]
fn options_of_tables() {
    gives("CREATE TABLE t (a INT) WITH ('con|", &["CREATE TABLE t (a INT) WITH ('connector'"]);
    gives("CREATE TABLE t (a INT) WITH ('connector' = 'd|", &["CREATE TABLE t (a INT) WITH ('connector' = 'datagen'"]);
    gives("CREATE TABLE t (a INT) WITH ('format' = 'p|", &["CREATE TABLE t (a INT) WITH ('format' = 'parquet'"]);
}

#[test]
fn commands_and_what_they_take() {
    gives("\\ti|", &["\\timing"]);
    gives("SELECT 1;\n\\mode ch|", &["SELECT 1;\n\\mode changelog"]);
    gives("\\d or|", &["\\d orders", "\\d origins"]);
    gives("\\df sub|", &["\\df SUBSTRING"]);
    gives("\\set on|", &["\\set ON_ERROR_STOP"]);
}

#[test]
fn files_by_their_directories() {
    let place = tempfile::tempdir().expect("a directory");
    for name in ["a.sql", "ab.csv", ".hidden"] {
        std::fs::write(place.path().join(name), "").expect("written");
    }
    std::fs::create_dir(place.path().join("adir")).expect("made");
    let place = place.path().display();
    let all = [format!("\\i {place}/a.sql"), format!("\\i {place}/ab.csv"), format!("\\i {place}/adir/")];
    assert_eq!(of(&format!("\\i {place}/a|")), all);
    let path = format!("CREATE TABLE t (a INT) WITH ('path' = '{place}/ab");
    assert_eq!(of(&format!("{path}|")), [format!("{path}.csv")]);
}

#[test]
fn nothing_is_offered_in_comments_and_numbers() {
    gives("SELECT 1 -- sel|", &[]);
    gives("SELECT 12|", &[]);
    gives("SELECT 'sel|", &[]);
}
