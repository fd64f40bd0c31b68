//! An UPDATE or DELETE that is planned once, for all values of its parameters, does what it does when it is planned with them.

use super::{rows, said, session};
use arrow::datatypes::DataType;
use eddyline_engine::{Parameter, ParameterValue, parse, with_parameters};

const TABLE: &str = "
    CREATE TABLE t (id BIGINT NOT NULL, n INT, name STRING, must STRING NOT NULL, PRIMARY KEY (id) NOT ENFORCED);
    INSERT INTO t VALUES (1, 10, 'a', 'x'), (2, 20, 'b', 'x'), (3, NULL, 'a', 'y'), (4, 2147483647, NULL, 'y');
    CREATE INDEX by_name ON t (name);";

fn text(of: &DataType, value: &str) -> Parameter {
    Parameter { data_type: of.clone(), value: ParameterValue::Text(value.to_owned()) }
}

#[test]
fn it_does_what_it_does_when_it_is_planned_with_its_values() {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let (long, int, string) = (&DataType::Int64, &DataType::Int32, &DataType::Utf8);
    let null = |of: &DataType| Parameter::null(of.clone());
    // A statement, whether it is planned once, and values for it, one after the other.
    let cases: Vec<(&str, bool, Vec<Vec<Parameter>>)> = vec![
        (
            "UPDATE t SET n = n + $1 WHERE id = $2",
            true,
            vec![
                vec![text(int, "5"), text(long, "1")],
                vec![text(int, "-7"), text(long, "1")],
                vec![null(int), text(long, "2")],
                vec![text(int, "1"), null(long)],
                // One more than there are.
                vec![text(int, "1"), text(long, "4")],
                vec![text(int, "1"), text(long, "99")],
                vec![text(int, "x"), text(long, "1")],
            ],
        ),
        (
            "UPDATE t SET name = $1, n = $2 WHERE name = $3 RETURNING id, name, n",
            true,
            vec![
                vec![text(string, "it's"), text(int, "0"), text(string, "a")],
                vec![null(string), null(int), text(string, "it's")],
                vec![text(string, "%"), text(int, "7"), text(string, "b")],
            ],
        ),
        (
            "UPDATE t SET must = $1 WHERE id = $2",
            true,
            ["z", ""].map(|must| vec![text(string, must), text(long, "1")]).into(),
        ),
        ("UPDATE t SET must = $1 WHERE id = $2", true, vec![vec![null(string), text(long, "1")]]),
        // Another row has this key.
        (
            "UPDATE t SET id = $1 WHERE id = $2",
            true,
            vec![vec![text(long, "2"), text(long, "1")], vec![text(long, "9"), text(long, "1")]],
        ),
        ("DELETE FROM t WHERE id = $1", true, vec![vec![text(long, "3")], vec![text(long, "3")], vec![null(long)]]),
        ("DELETE FROM t WHERE name = $1 AND id = $2 RETURNING *", true, vec![vec![text(string, "a"), text(long, "1")]]),
        ("DELETE FROM t", true, vec![vec![]]),
        // What could be planned otherwise for other values is planned with them.
        ("UPDATE t SET name = COALESCE($1, name) WHERE id = $2", false, vec![vec![null(string), text(long, "1")]]),
        ("UPDATE t SET n = 1 WHERE name LIKE $1", false, vec![vec![text(string, "%")]]),
        ("DELETE FROM t WHERE id > $1", false, vec![vec![text(long, "2")]]),
        ("UPDATE t SET n = n + $1 WHERE id = $1", false, vec![vec![text(long, "2")]]),
    ];
    for (sql, is_prepared, values) in cases {
        let statement = parse(sql).expect("parses").remove(0);
        let (mut one, mut other) = (session(&tokio, TABLE), session(&tokio, TABLE));
        let types: Vec<DataType> = values[0].iter().map(|value| value.data_type.clone()).collect();
        let prepared = one.prepare(&statement, &types);
        assert_eq!(prepared.is_some(), is_prepared, "{sql}");
        let Some(prepared) = prepared else { continue };
        for values in values {
            let planned = with_parameters(&statement, &values).expect("values");
            let expected = said(other.answer(&planned));
            assert_eq!(said(one.execute_prepared(&prepared, &values)), expected, "{sql} with {values:?}");
            assert_eq!(rows(&mut one), rows(&mut other), "{sql} with {values:?}");
        }
    }
}
