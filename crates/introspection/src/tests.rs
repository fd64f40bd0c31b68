//! Queries over two small relations; answers are PostgreSQL's for the same rows.

use crate::{Concern, Environment, Error, Query, Relation, Row, Signature, Type, Value, cast};
use std::sync::Arc;

struct World;

impl Environment for World {
    fn relation(&self, schema: &str, name: &str) -> Option<Arc<Relation>> {
        let texts = |row: &[&str]| -> Row {
            row.iter().map(|text| text.parse::<i64>().map_or_else(|_| Value::from(*text), Value::from)).collect()
        };
        let (columns, rows): (&[(&str, Type)], &[&[&str]]) = match (schema, name) {
            ("pg_catalog", "pg_class") => (
                &[("oid", Type::Oid), ("relname", Type::Name), ("relkind", Type::Char)],
                &[&["1", "apple", "r"], &["2", "pear", "v"], &["3", "plum", "r"]],
            ),
            ("pg_catalog", "pg_attribute") => (
                &[("attrelid", Type::Oid), ("attname", Type::Name), ("attnum", Type::Int2)],
                &[&["1", "a", "1"], &["1", "b", "2"], &["2", "a", "1"], &["9", "lost", "1"]],
            ),
            ("pg_catalog", "pg_index") => (&[("indrelid", Type::Oid), ("indkey", Type::Int2Vector)], &[]),
            _ => return None,
        };
        let mut rows: Vec<Row> = rows.iter().map(|row| texts(row)).collect();
        if name == "pg_index" {
            rows.push([1.into(), Value::list([2.into(), 1.into()])].into());
        }
        let columns = columns.iter().map(|(name, of)| ((*name).to_owned(), of.clone())).collect();
        Some(Arc::new(Relation { columns, rows }))
    }

    fn function(&self, name: &str) -> Option<Signature> {
        (name == "to_regclass").then(|| Signature { takes: vec![Type::Text], returns: Type::Regclass })
    }

    fn call(&self, name: &str, arguments: &[Value]) -> Result<Value, Error> {
        let names = ["apple", "pear", "plum"];
        Ok(match (name, &arguments[0]) {
            ("to_regclass", Value::Text(text)) => {
                names.iter().position(|name| **name == **text).map(|at| at as i64 + 1).into()
            }
            (_, Value::Int(oid)) => names.get(*oid as usize - 1).copied().into(),
            _ => Value::Null,
        })
    }

    fn check(&self) -> Result<(), Error> {
        Ok(())
    }
}

fn run(sql: &str, parameters: &[Value]) -> Result<Vec<String>, Error> {
    let query = Query::read(sql).unwrap_or_else(|| panic!("{sql} is no query over catalogs"));
    let plan = query.plan(&World, &[])?;
    let rows = plan.rows(&World, parameters)?;
    let cell = |(value, (_, of)): (&Value, &(String, Type))| match value {
        Value::Null => "-".to_owned(),
        value => cast(value, of, &Type::Text, &World)
            .map(|text| text.as_text().unwrap_or_default().to_owned())
            .unwrap_or_default(),
    };
    let shown = |row: Row| row.iter().zip(plan.columns()).map(cell).collect::<Vec<_>>().join("|");
    Ok(rows.into_iter().map(shown).collect())
}

fn rows(sql: &str) -> Vec<String> {
    run(sql, &[]).unwrap_or_else(|e| panic!("{sql}: {e}"))
}

#[test]
fn joins_keep_what_they_must() {
    let inner =
        "SELECT relname, attname FROM pg_class c, pg_attribute a WHERE c.oid = a.attrelid AND relkind = 'r' ORDER BY 2";
    assert_eq!(rows(inner), ["apple|a", "apple|b"]);
    let left = "SELECT relname, attname FROM pg_class c LEFT JOIN pg_attribute a ON c.oid = a.attrelid AND a.attnum > 1 ORDER BY 1";
    assert_eq!(rows(left), ["apple|b", "pear|-", "plum|-"]);
    // A condition of WHERE is asked of rows that an outer join adds.
    let missing =
        "SELECT relname FROM pg_class c LEFT JOIN pg_attribute a ON c.oid = a.attrelid WHERE a.attname IS NULL";
    assert_eq!(rows(missing), ["plum"]);
    let full = "SELECT relname, attname FROM pg_class c FULL JOIN pg_attribute a ON c.oid = a.attrelid AND a.attname = 'a' ORDER BY 1, 2";
    assert_eq!(rows(full), ["apple|a", "pear|a", "plum|-", "-|b", "-|lost"]);
    let brackets = "SELECT relname FROM pg_class x LEFT JOIN (pg_attribute a JOIN pg_index i ON a.attrelid = i.indrelid) ON x.oid = a.attrelid GROUP BY 1 ORDER BY 1";
    assert_eq!(rows(brackets), ["apple", "pear", "plum"]);
}

#[test]
fn queries_stand_within_queries() {
    let scalar = "SELECT relname, (SELECT attname FROM pg_attribute WHERE attrelid = c.oid AND attnum = 2) FROM pg_class c ORDER BY 1";
    assert_eq!(rows(scalar), ["apple|b", "pear|-", "plum|-"]);
    let list = "SELECT relname, ARRAY(SELECT attname FROM pg_attribute WHERE attrelid = c.oid ORDER BY 1 DESC) FROM pg_class c ORDER BY 1";
    assert_eq!(rows(list), ["apple|{b,a}", "pear|{a}", "plum|{}"]);
    let not = "SELECT relname FROM pg_class c WHERE NOT EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid)";
    assert_eq!(rows(not), ["plum"]);
    assert_eq!(rows("SELECT attname FROM pg_attribute WHERE attrelid NOT IN (SELECT oid FROM pg_class)"), ["lost"]);
    let many = run("SELECT (SELECT relname FROM pg_class)", &[]).unwrap_err();
    assert_eq!(many.code, "21000");
}

#[test]
fn sets_go_side_by_side_and_vectors_count_from_0() {
    let keys = "SELECT unnest(indkey), generate_subscripts(indkey, 1), indkey[0], indkey::int2[] FROM pg_index";
    assert_eq!(rows(keys), ["2|0|2|{2,1}", "1|1|2|{2,1}"]);
    let pairs = "SELECT (information_schema._pg_expandarray(indkey)).n FROM pg_index";
    assert_eq!(rows(pairs), ["1", "2"]);
    assert_eq!(
        rows("SELECT s.n, 'pear'::regclass IS NULL FROM generate_series(1, 0) AS s(n), pg_class"),
        [] as [&str; 0]
    );
    assert_eq!(rows("SELECT n, o FROM unnest('{a,b}'::name[]) WITH ORDINALITY AS t(n, o), pg_index"), ["a|1", "b|2"]);
}

#[test]
fn groups_windows_and_set_operations() {
    let groups = "SELECT relkind, count(*), array_agg(relname ORDER BY relname DESC) FROM pg_class GROUP BY relkind HAVING count(*) > 0 ORDER BY 2";
    assert_eq!(rows(groups), ["v|1|{pear}", "r|2|{plum,apple}"]);
    assert_eq!(rows("SELECT count(*), max(attname) FROM pg_attribute WHERE attnum > 7"), ["0|-"]);
    let numbers = "SELECT attname, row_number() OVER (PARTITION BY attrelid ORDER BY attnum DESC) FROM pg_attribute WHERE attrelid = 1 ORDER BY 1";
    assert_eq!(rows(numbers), ["a|2", "b|1"]);
    assert_eq!(rows("SELECT relkind FROM pg_class UNION SELECT 'z' ORDER BY 1"), ["r", "v", "z"]);
    assert_eq!(rows("SELECT relkind FROM pg_class EXCEPT ALL SELECT 'r'::\"char\" ORDER BY 1"), ["r", "v"]);
    assert_eq!(
        rows("SELECT DISTINCT ON (relkind) relname FROM pg_class ORDER BY relkind, relname DESC"),
        ["plum", "pear"]
    );
}

#[test]
fn recursion_ends_when_nothing_is_new() {
    let tree = "WITH RECURSIVE t(n, k) AS (SELECT oid, 0 FROM pg_class WHERE oid = 1 UNION ALL SELECT c.oid, k + 1 FROM pg_class c, t WHERE c.oid = t.n + 1) SELECT * FROM t ORDER BY k DESC";
    assert_eq!(rows(tree), ["3|2", "2|1", "1|0"]);
    let circle =
        "WITH RECURSIVE t(n) AS (SELECT 0 FROM pg_index UNION SELECT (n + 1) % 3 FROM t) SELECT count(*) FROM t";
    assert_eq!(rows(circle), ["3"]);
    let endless = "WITH RECURSIVE t(n) AS (SELECT 1 FROM pg_index UNION ALL SELECT n FROM t) SELECT count(*) FROM t";
    assert_eq!(run(endless, &[]).unwrap_err().code, "54000");
}

#[test]
fn names_of_objects_are_numbers() {
    assert_eq!(rows("SELECT 'pear'::regclass::oid, 2::regclass, 'pear'::regclass"), ["2|pear|pear"]);
    assert_eq!(run("SELECT 'fig'::regclass", &[]).unwrap_err().code, "42P01");
    let as_text = "SELECT relname FROM pg_class WHERE oid = '3' AND relname OPERATOR(pg_catalog.~) '^(plum)$' COLLATE pg_catalog.default";
    assert_eq!(rows(as_text), ["plum"]);
}

#[test]
fn parameters_have_the_types_of_what_they_are_beside() {
    let query = Query::read("SELECT $3 FROM pg_class WHERE oid = $1 AND relname = ANY($2)").unwrap();
    let plan = query.plan(&World, &[]).unwrap();
    assert_eq!(plan.parameters(), [Type::Oid, Type::Name.list(), Type::Text]);
    let found = plan.rows(&World, &["2".into(), "{pear,fig}".into(), "x".into()]).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(plan.rows(&World, &["two".into(), Value::Null, Value::Null]).unwrap_err().code, "22P02");
}

#[test]
fn nulls_are_neither_equal_nor_unequal() {
    let nulls = "SELECT NULL = NULL, NULL IN (1, 2), 1 IN (2, NULL), 1 = ANY(ARRAY[1, NULL]), 1 <> ALL(ARRAY[2, NULL]), NULL AND false, NULL OR true, NULL IS NOT DISTINCT FROM NULL FROM pg_index";
    assert_eq!(rows(nulls), ["-|-|-|true|-|false|true|true"]);
}

#[test]
fn only_queries_over_the_catalogs_are_ours() {
    let concern = |sql: &str| Query::read(sql).map_or(Concern::Else, |query| query.concern(&World));
    assert_eq!(concern("SELECT * FROM pg_class"), Concern::Catalogs);
    assert_eq!(concern("SELECT 'a'::regclass"), Concern::Catalogs);
    assert_eq!(concern("SELECT * FROM pg_catalog.nothing"), Concern::Catalogs);
    assert_eq!(concern("SELECT * FROM pg_class, users"), Concern::Both);
    assert_eq!(concern("SELECT to_regclass(name) FROM users"), Concern::Else);
    assert_eq!(concern("WITH pg_class AS (SELECT 1) SELECT * FROM pg_class, users"), Concern::Else);
    assert_eq!(concern("SELECT pg_size_pretty(f(1))"), Concern::Else);
    assert_eq!(concern("SELECT 1"), Concern::Else);
    assert_eq!(concern("INSERT INTO t SELECT * FROM pg_class"), Concern::Else);
    assert_eq!(concern("SELECT 1; SELECT * FROM pg_class"), Concern::Else);
}

#[test]
fn what_is_too_much_is_refused() {
    let deep = format!("SELECT {}1{} FROM pg_class", "(".repeat(3000), ")".repeat(3000));
    assert_eq!(Query::read(&deep), None);
    let chain = format!("SELECT 1{} FROM pg_class", " + 1".repeat(900));
    assert!(rows(&chain).iter().all(|row| row == "901"));
    let long = format!("SELECT 1{} FROM pg_class", " + 1".repeat(1100));
    assert_eq!(Query::read(&long), None);
    let product = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b, pg_class";
    assert_eq!(run(product, &[]).unwrap_err().code, "54000");
    assert_eq!(run("SELECT nothing FROM pg_class", &[]).unwrap_err().code, "42703");
    assert_eq!(run("SELECT relname FROM pg_class WHERE count(*) > 1", &[]).unwrap_err().code, "42803");
}
