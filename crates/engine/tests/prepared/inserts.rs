//! An INSERT that is planned once, for all values of its parameters, does what it does when it is planned with them.

use super::{rows, said, session};
use arrow::datatypes::{DataType, TimeUnit};
use eddyline_engine::{Parameter, ParameterValue, with_parameters};

const TABLE: &str = "
    CREATE TABLE t (id BIGINT NOT NULL, g INT DEFAULT 7, name STRING, f DOUBLE, d DECIMAL(8, 2), at TIMESTAMP(3), b BYTES, is_so BOOLEAN,
        twice AS id * 2, PRIMARY KEY (id) NOT ENFORCED);";

fn text(of: DataType, value: &str) -> Parameter {
    Parameter { data_type: of, value: ParameterValue::Text(value.to_owned()) }
}

#[test]
fn it_does_what_it_does_when_it_is_planned_with_its_values() {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let (long, int, string, double) = (DataType::Int64, DataType::Int32, DataType::Utf8, DataType::Float64);
    let (at, bytes) = (DataType::Timestamp(TimeUnit::Millisecond, None), DataType::Binary);
    let hex = |bytes: &[u8]| Parameter { data_type: DataType::Binary, value: ParameterValue::Bytes(bytes.to_vec()) };
    // An INSERT, whether it is planned once, and values for it, one after the other.
    let cases: Vec<(&str, bool, Vec<Vec<Parameter>>)> = vec![
        (
            "INSERT INTO t (id, name) VALUES ($1, $2)",
            true,
            vec![
                vec![text(long.clone(), "1"), text(string.clone(), "a 'b' \u{1}")],
                vec![text(long.clone(), "1"), Parameter::null(string.clone())],
                vec![text(long.clone(), "-4000000000000000000"), text(string.clone(), "")],
                vec![Parameter::null(long.clone()), text(string.clone(), "no key")],
                vec![text(long.clone(), "9223372036854775808"), text(string.clone(), "too much")],
                vec![text(long.clone(), "x"), text(string.clone(), "no number")],
            ],
        ),
        (
            "INSERT INTO t (id, g, f, at, b, is_so) VALUES ($1, $2, $3, $4, $5, $6), ($1 + 1, -$2, -$3, $4, $5, NOT $6)",
            true,
            vec![
                vec![
                    text(long.clone(), "10"),
                    text(int.clone(), "5"),
                    text(double.clone(), "1.5e3"),
                    text(at.clone(), "2024-02-29 12:34:56.789"),
                    hex(&[0, 1, 255]),
                    text(DataType::Boolean, "true"),
                ],
                vec![
                    text(long.clone(), "12"),
                    Parameter::null(int.clone()),
                    text(double.clone(), "NaN"),
                    text(at.clone(), "2024-02-30 12:34:56.789"),
                    Parameter::null(bytes),
                    Parameter::null(DataType::Boolean),
                ],
            ],
        ),
        ("INSERT INTO t (id) VALUES ($1) RETURNING id, g, twice", true, vec![vec![text(long.clone(), "20")]]),
        ("INSERT INTO t (id, g) VALUES ($1, DEFAULT) RETURNING *", true, vec![vec![text(long.clone(), "21")]]),
        ("INSERT INTO t (id, g) VALUES (30, 1), (30, 2)", true, vec![vec![]]),
        (
            "INSERT INTO t (id, name) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING RETURNING name",
            true,
            vec![
                vec![text(long.clone(), "1"), text(string.clone(), "is there")],
                vec![text(long.clone(), "31"), text(string.clone(), "is not")],
            ],
        ),
        ("INSERT INTO t (id, d) VALUES ($1, $2)", false, vec![]),
        ("INSERT INTO t (id) VALUES ((SELECT MAX(id) + $1 FROM t))", false, vec![]),
        ("INSERT INTO t (id) SELECT id + $1 FROM t", false, vec![]),
        ("INSERT INTO t (id, at) VALUES ($1, CAST(NOW() AS TIMESTAMP(3)))", false, vec![]),
        ("INSERT INTO t (id, name) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name", false, vec![]),
    ];
    for dialect in ["flink", "postgres"] {
        let (mut once, mut anew) = (session(&tokio, TABLE), session(&tokio, TABLE));
        for session in [&mut once, &mut anew] {
            session.settings_mut().set("sql.dialect", dialect).expect("a dialect");
        }
        for (sql, is_prepared, executions) in &cases {
            let statement = once.parse(sql).expect("parses").remove(0);
            let types = match executions.first() {
                Some(values) => values.iter().map(|value| value.data_type.clone()).collect(),
                None => once.parameter_types(&statement, &[]).expect("types"),
            };
            let prepared = once.prepare(&statement, &types);
            assert_eq!(prepared.is_some(), *is_prepared, "{sql}");
            for values in executions {
                let prepared = prepared.as_ref().expect("is prepared");
                let with_values = with_parameters(&statement, values).expect("binds");
                let expected = said(anew.answer(&with_values));
                assert_eq!(said(once.execute_prepared(prepared, values)), expected, "{sql} {values:?}");
            }
        }
        let left = rows(&mut anew);
        assert!(left.contains("2024-02-29T12:34:56.789") && left.contains("is not"), "{left}");
        assert_eq!(rows(&mut once), left);
    }
}
