use super::{Parameter, ParameterValue, parameter_types, with_parameters};
use crate::statement::{Statement, StatementKind};
use crate::{SqlError, parse};
use arrow::datatypes::DataType::{self, Boolean, Decimal128, Float64, Int32, Int64, Utf8};
use eddyline_catalog::{Catalog, Object, SearchPath};
use std::sync::Arc;

fn statement(sql: &str) -> Statement {
    parse(sql).unwrap().remove(0)
}

fn catalog() -> Catalog {
    let mut catalog = Catalog::new();
    for sql in [
        "CREATE TABLE t (id BIGINT, name STRING, price DECIMAL(10, 2), ok BOOLEAN)",
        "CREATE TABLE u (id INT, f DOUBLE)",
    ] {
        let StatementKind::CreateTable { table, .. } = statement(sql).kind else { panic!("no CREATE TABLE") };
        catalog.create(Object::Table(Arc::new(table)), false).unwrap();
    }
    catalog
}

fn types(sql: &str) -> Vec<DataType> {
    parameter_types(&statement(sql), &catalog(), &SearchPath::default(), &[]).unwrap()
}

#[test]
fn a_parameter_has_the_type_of_what_stands_beside_it() {
    assert_eq!(types("SELECT 1"), []);
    assert_eq!(types("SELECT * FROM t WHERE id = $1 AND name LIKE $2"), [Int64, Utf8]);
    assert_eq!(types("SELECT * FROM t WHERE $2 < price AND id IN ($1, $3)"), [Int64, Decimal128(10, 2), Int64]);
    assert_eq!(types("SELECT * FROM t WHERE id BETWEEN $1 AND $2"), [Int64, Int64]);
    assert_eq!(types("SELECT * FROM t JOIN u AS v ON t.id = v.id WHERE v.id = $1"), [Int32]);
    assert_eq!(types("SELECT CAST($1 AS DOUBLE), id + $2, $3 FROM t LIMIT $4"), [Float64, Int64, Utf8, Int64]);
    assert_eq!(types("SELECT * FROM t WHERE ok = $1 OR $2"), [Boolean, Boolean]);
    assert_eq!(types("SELECT * FROM (SELECT id FROM t WHERE name = $1) AS s"), [Utf8]);
    assert_eq!(
        types("SELECT * FROM t WHERE id = ANY($1) AND name <> ALL($2)"),
        [DataType::new_list(Int64, true), DataType::new_list(Utf8, true)]
    );
}

#[test]
fn what_is_written_has_the_type_of_its_column() {
    assert_eq!(types("INSERT INTO t VALUES ($1, $2, $3, $4)"), [Int64, Utf8, Decimal128(10, 2), Boolean]);
    assert_eq!(types("INSERT INTO t (name, id) VALUES ($1, $2), ($3, $4)"), [Utf8, Int64, Utf8, Int64]);
    assert_eq!(types("INSERT INTO u SELECT $1, f FROM u WHERE f > $2"), [Int32, Float64]);
    assert_eq!(types("UPDATE t SET price = $1, name = $2 WHERE id = $3"), [Decimal128(10, 2), Utf8, Int64]);
    assert_eq!(types("DELETE FROM u WHERE f = $1"), [Float64]);
}

#[test]
fn what_the_client_says_counts() {
    let given = [Some(Int32), None];
    let of = parameter_types(
        &statement("SELECT * FROM t WHERE id = $1 AND id = $2"),
        &catalog(),
        &SearchPath::default(),
        &given,
    );
    assert_eq!(of, Ok(vec![Int32, Int64]));
}

#[test]
fn values_stand_where_parameters_stood() {
    let of = |data_type: DataType, text: &str| Parameter { data_type, value: ParameterValue::Text(text.into()) };
    let values = [of(Int64, "-7"), of(Utf8, "it's"), of(Decimal128(38, 10), "-1.50"), Parameter::null(Float64)];
    let bound = with_parameters(&statement("SELECT $1, $2, $3, $4, $1 FROM t LIMIT $1"), &values).unwrap();
    let StatementKind::Select(query) = bound.kind else { panic!("no SELECT") };
    assert_eq!(
        query.to_string(),
        "SELECT CAST('-7' AS BIGINT), 'it''s', (-1.50), CAST(NULL AS DOUBLE), CAST('-7' AS BIGINT) FROM t LIMIT (-7)"
    );
}

#[test]
fn a_limit_that_is_null_is_none() {
    let values = [Parameter::null(Int64)];
    let bound = with_parameters(&statement("SELECT id FROM t LIMIT $1 OFFSET $1"), &values).unwrap();
    let StatementKind::Select(query) = bound.kind else { panic!("no SELECT") };
    assert_eq!(query.to_string(), "SELECT id FROM t");
}

#[test]
fn numbers_that_are_none_are_refused() {
    let code = |result: Result<Vec<DataType>, SqlError>| result.unwrap_err().sqlstate;
    assert_eq!(
        code(parameter_types(&statement("SELECT $0"), &catalog(), &SearchPath::default(), &[])),
        SqlError::SYNTAX
    );
    assert_eq!(
        code(parameter_types(&statement("SELECT $70000"), &catalog(), &SearchPath::default(), &[])),
        SqlError::SYNTAX
    );
    let missing = with_parameters(&statement("SELECT $2"), &[Parameter::null(Utf8)]);
    assert_eq!(missing.unwrap_err().sqlstate, "42P02");
}
