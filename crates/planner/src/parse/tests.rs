//! Statements and what they say; what is refused, where, with which way out; definitions printed and read again.

use crate::SqlError;
use crate::statement::{ExplainStage, Insert, JobStatement, JobVerb, Statement, StatementKind};
use crate::{parse, parse_in};
use eddyline_catalog::{Column, ColumnSource, Dialect, Reference, Table, View, sql_type};

/// What a statement says, in one line.
fn said(statement: &Statement) -> String {
    let flag = |on: bool, text: &str| if on { format!("{text} ") } else { String::new() };
    let text = match &statement.kind {
        StatementKind::CreateTable { name, table, if_not_exists, or_replace, like, query, .. } => {
            let (missing, replace) = (flag(*if_not_exists, "unless there,"), flag(*or_replace, "replacing,"));
            let like = like.as_ref().map(|l| {
                let place = if l.among_columns { " (like" } else { " like" };
                format!("{place} {} {:?}", l.source, l.clauses)
            });
            let like = like.unwrap_or_default();
            let query = query.as_ref().map(|q| format!(" as {q}")).unwrap_or_default();
            format!("{missing}{replace}{}{like}{query}", table_text(name, table))
        }
        StatementKind::CreateView { name, view, query, if_not_exists, or_replace } => {
            let (missing, replace) = (flag(*if_not_exists, "unless there,"), flag(*or_replace, "replacing,"));
            format!("{missing}{replace}view {name}{:?} {:?}: {query}", view.columns, view.comment)
        }
        StatementKind::Drop { kind, names, if_exists, cascade } => {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            format!("drop {kind} {} {if_exists} {cascade}", names.join(", "))
        }
        StatementKind::CreateMaterializedView { name, view, query, if_not_exists, is_final, .. } => {
            let missing = flag(*if_not_exists, "unless there,");
            let of = flag(*is_final, "final rows of ");
            format!("{missing}materialized view {name}{:?}: {of}{query}", view.columns)
        }
        StatementKind::CreateSink { name, into, sink, query, if_not_exists, .. } => {
            let missing = flag(*if_not_exists, "unless there,");
            let of = flag(sink.is_final, "final rows of ");
            let place = into.as_ref().map_or_else(|| format!("{:?}", sink.options), ToString::to_string);
            format!("{missing}sink {name} to {place}: {of}{query}")
        }
        StatementKind::Update(update) => {
            format!("change of {} by {}", update.table, update.query(&of_two_columns()).expect("a query"))
        }
        StatementKind::Delete(delete) => format!("deletion by {}", delete.query(&of_two_columns()).expect("a query")),
        StatementKind::Insert(insert) => insert_text(insert),
        StatementKind::StatementSet(all) => {
            format!("set of [{}]", all.iter().map(insert_text).collect::<Vec<_>>().join("; "))
        }
        StatementKind::Select(query) => query.to_string(),
        StatementKind::Explain { stage, statement } => format!("explain {stage:?} of {}", said(statement)),
        StatementKind::ExplainAlter { from, statement } => {
            format!("explain the change from {from:?} to {}", said(statement))
        }
        StatementKind::ExplainState(statement) => format!("explain the state of {}", said(statement)),
        other => format!("{other:?}"),
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn insert_text(insert: &Insert) -> String {
    format!("into {}{:?} at {}: {}", insert.table, insert.columns, insert.position.column, insert.query)
}

/// A table of the columns a and b.
fn of_two_columns() -> Table {
    match parse("CREATE TABLE t (a INT, b INT, PRIMARY KEY (a) NOT ENFORCED)").expect("a table").remove(0).kind {
        StatementKind::CreateTable { table, .. } => table,
        other => panic!("{other:?}"),
    }
}

fn table_text(name: &Reference, table: &Table) -> String {
    let column = |c: &Column| match &c.source {
        ColumnSource::Computed { sql } => format!("{} := {sql}", c.name),
        ColumnSource::Metadata { key, is_virtual } => {
            format!("{} {} meta {key} virtual {is_virtual}", c.name, sql_type(&c.data_type))
        }
        ColumnSource::Physical => format!("{} {}{}", c.name, sql_type(&c.data_type), if c.nullable { "?" } else { "" }),
    };
    let columns: Vec<String> = table.columns.iter().map(column).collect();
    let mut out = format!("table {name} ({})", columns.join(", "));
    if !table.primary_key.is_empty() {
        out.push_str(&format!(" key {:?}", table.primary_key));
    }
    if let Some(w) = &table.watermark {
        out.push_str(&format!(" watermark {} := {}", w.column, w.sql));
    }
    if !table.options.is_empty() {
        out.push_str(&format!(" with {:?}", table.options));
    }
    if let Some(comment) = &table.comment {
        out.push_str(&format!(" -- {comment}"));
    }
    out + if table.temporary { " temporary" } else { "" }
}

fn check(cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(sql, expected)| {
            let found = match parse(sql) {
                Ok(statements) => statements.iter().map(said).collect::<Vec<_>>().join(" | "),
                Err(e) => e.render(sql),
            };
            (found != *expected).then(|| format!("{sql}\n  expected {expected}\n  found    {found}"))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn tables() {
    check(&[
        ("CREATE TABLE t (a INT)", "table t (a INT?)"),
        ("create table T (A int not null, `b c` STRING NULL)", "table T (A INT, b c STRING?)"),
        ("CREATE TABLE t (\"a\" INT) COMMENT 'it''s'", "table t (a INT?) -- it's"),
        ("CREATE TEMPORARY TABLE IF NOT EXISTS t (a INT)", "unless there, table t (a INT?) temporary"),
        ("CREATE OR REPLACE TABLE default_catalog.default_database.t (a INT)", "replacing, table public.t (a INT?)"),
        (
            "CREATE TABLE t (a BIGINT, p STRING METADATA FROM 'file.path' VIRTUAL, q INT METADATA, b AS a + 1)",
            "table t (a BIGINT?, p STRING meta file.path virtual true, q INT meta q virtual false, b := a + 1)",
        ),
        (
            "CREATE TABLE t (a INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND, PRIMARY KEY (a) NOT ENFORCED)",
            "table t (a INT, ts TIMESTAMP(3)?) key [\"a\"] watermark ts := ts - INTERVAL '5' SECOND",
        ),
        ("CREATE TABLE t (a INT PRIMARY KEY NOT ENFORCED)", "table t (a INT) key [\"a\"]"),
        ("CREATE TABLE t (a INT, CONSTRAINT k PRIMARY KEY (a) NOT ENFORCED)", "table t (a INT) key [\"a\"]"),
        (
            "CREATE TABLE t (a INT) WITH ('k.1' = 'it''s', 'e' = '')",
            "table t (a INT?) with {\"e\": \"\", \"k.1\": \"it's\"}",
        ),
        ("CREATE TABLE t LIKE u", "table t () like u []"),
        ("CREATE TABLE t (LIKE u)", "table t () (like u []"),
        (
            "CREATE TABLE t (LIKE a.u INCLUDING ALL EXCLUDING INDEXES, b INT)",
            "table t (b INT?) (like a.u [(Including, All), (Excluding, Indexes)]",
        ),
        (
            "CREATE TABLE t (b INT) LIKE u (INCLUDING ALL EXCLUDING OPTIONS OVERWRITING WATERMARKS)",
            "table t (b INT?) like u [(Including, All), (Excluding, Options), (Overwriting, Watermarks)]",
        ),
        ("CREATE TABLE t WITH ('a' = 'b') AS SELECT 1 AS x", "table t () with {\"a\": \"b\"} as SELECT 1 AS x"),
    ]);
}

#[test]
fn types() {
    let cases = [
        ("BOOLEAN", "BOOLEAN"),
        ("TINYINT", "TINYINT"),
        ("SMALLINT", "SMALLINT"),
        ("INTEGER", "INT"),
        ("BIGINT", "BIGINT"),
        ("FLOAT", "FLOAT"),
        ("DOUBLE PRECISION", "DOUBLE"),
        ("DECIMAL", "DECIMAL(10, 0)"),
        ("DEC(5)", "DECIMAL(5, 0)"),
        ("NUMERIC(38, 38)", "DECIMAL(38, 38)"),
        ("VARCHAR(2147483647)", "STRING"),
        ("CHAR(3)", "STRING"),
        ("VARBINARY(9)", "BYTES"),
        ("DATE", "DATE"),
        ("TIME", "TIME(0)"),
        ("TIME(3) WITHOUT TIME ZONE", "TIME(3)"),
        ("TIMESTAMP", "TIMESTAMP(6)"),
        ("TIMESTAMP(2)", "TIMESTAMP(3)"),
        ("TIMESTAMP(9) WITHOUT TIME ZONE", "TIMESTAMP(9)"),
        ("TIMESTAMP_LTZ(3)", "TIMESTAMP_LTZ(3)"),
        ("TIMESTAMPTZ(3)", "TIMESTAMP_LTZ(3)"),
        ("INT2", "SMALLINT"),
        ("int4", "INT"),
        ("INT8", "BIGINT"),
        ("FLOAT4", "FLOAT"),
        ("FLOAT8", "DOUBLE"),
        ("TEXT", "STRING"),
        ("BYTEA", "BYTES"),
        ("TEXT ARRAY", "ARRAY<STRING>"),
        ("TIMESTAMP(3) WITH LOCAL TIME ZONE", "TIMESTAMP_LTZ(3)"),
        ("INTERVAL DAY TO SECOND(3)", "INTERVAL"),
        ("ARRAY<INT NOT NULL>", "ARRAY<INT NOT NULL>"),
        ("INT ARRAY", "ARRAY<INT>"),
        ("MAP<STRING, ARRAY<ROW<a INT>>>", "MAP<STRING, ARRAY<ROW<a INT>>>"),
        ("ROW(a INT, `b c` STRING NOT NULL)", "ROW<a INT, `b c` STRING NOT NULL>"),
        ("ROW<a ROW<b ROW<c INT>>>", "ROW<a ROW<b ROW<c INT>>>"),
    ];
    for (written, expected) in cases {
        let sql = format!("CREATE TABLE t (x {written} NOT NULL)");
        check(&[(&sql, &format!("table t (x {expected})"))]);
    }
}

#[test]
fn views_inserts_and_sets() {
    check(&[
        ("CREATE VIEW v AS SELECT 1", "view v[] None: SELECT 1"),
        (
            "CREATE OR REPLACE TEMPORARY VIEW v (a, b) COMMENT 'c' AS VALUES (1, 2)",
            "replacing, view v[\"a\", \"b\"] Some(\"c\"): VALUES (1, 2)",
        ),
        ("DROP TABLE t", "drop table t false false"),
        ("DROP TEMPORARY VIEW IF EXISTS `v w` RESTRICT", "drop view v w true false"),
        ("DROP MATERIALIZED VIEW v CASCADE", "drop materialized view v false true"),
        (
            "CREATE MATERIALIZED VIEW IF NOT EXISTS v (a) AS SELECT 1",
            "unless there, materialized view v[\"a\"]: SELECT 1",
        ),
        (
            "UPDATE t SET a = b + 1, `c d` = 'x' WHERE a > 0",
            "change of t by SELECT `a` AS `column 0`, `b` AS `column 1`, b + 1 AS `column 2`, `b` AS `column 3` FROM `t` WHERE a > 0",
        ),
        ("DELETE FROM t WHERE a = 1", "deletion by SELECT `a` AS `column 0`, `b` AS `column 1` FROM `t` WHERE a = 1"),
        ("TRUNCATE TABLE t", "deletion by SELECT `a` AS `column 0`, `b` AS `column 1` FROM `t`"),
        ("INSERT INTO t SELECT 1", "into t[] at 13: SELECT 1"),
        ("INSERT INTO TABLE t (a, `b`) (SELECT 1, 2)", "into t[\"a\", \"b\"] at 19: (SELECT 1, 2)"),
        ("EXECUTE INSERT INTO t VALUES (1)", "into t[] at 21: VALUES (1)"),
        (
            "EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT 1; INSERT INTO b SELECT 2; END; SELECT 3",
            "set of [into a[] at 41: SELECT 1; into b[] at 65: SELECT 2] | SELECT 3",
        ),
        (
            "BEGIN STATEMENT SET; INSERT INTO a SELECT CASE WHEN x THEN 1 END FROM t; END",
            "set of [into a[] at 34: SELECT CASE WHEN x THEN 1 END FROM t]",
        ),
        ("EXPLAIN SELECT 1", "explain Dataflow of SELECT 1"),
        ("EXPLAIN PLAN FOR INSERT INTO t SELECT 1", "explain Dataflow of into t[] at 30: SELECT 1"),
        ("EXPLAIN CHANGELOG_MODE SELECT 1", "explain Changelog of SELECT 1"),
        ("EXPLAIN STATE SELECT 1", "explain the state of SELECT 1"),
        ("EXPLAIN ALTER SELECT 1", "explain the change from None to SELECT 1"),
        ("EXPLAIN ALTER FROM '/one' SELECT 1", "explain the change from Some(\"/one\") to SELECT 1"),
        (
            "EXPLAIN LOGICAL STATEMENT SET BEGIN INSERT INTO a SELECT 1; END",
            "explain Logical of set of [into a[] at 49: SELECT 1]",
        ),
        ("SHOW TABLES LIKE 'a%'", "Show(Tables { schema: None, like: Some(\"a%\") })"),
        ("SHOW CHECKPOINTS", "Show(Checkpoints { job: None, location: None })"),
        ("show checkpoints for job 'a' in '/x'", "Show(Checkpoints { job: Some(\"a\"), location: Some(\"/x\") })"),
        (
            "SHOW CREATE VIEW v",
            "Show(Create { kind: \"view\", name: Reference { database: None, schema: None, object: \"v\" } })",
        ),
        ("SHOW COLUMNS IN t", "Show(Columns(Reference { database: None, schema: None, object: \"t\" }))"),
        ("DESC t", "Describe(Reference { database: None, schema: None, object: \"t\" })"),
        ("DESCRIBE TABLE `a b`", "Describe(Reference { database: None, schema: None, object: \"a b\" })"),
        ("SET", "ShowSettings"),
        ("SET 'a.b' = 'it''s'", "Set { key: \"a.b\", value: \"it's\" }"),
        ("SET a.b-c = 10 s", "Set { key: \"a.b-c\", value: \"10 s\" }"),
        ("SHOW LOGS FOR JOB 'a' LIMIT 7", "Show(Logs { job: \"a\", rows_max: 7 })"),
        ("RESET", "Reset(None)"),
        ("RESET 'a'", "Reset(Some(\"a\"))"),
        ("-- nothing\n;;/* nothing */;", ""),
        ("SELECT ';' -- ;\n; SELECT /* ; */ 2", "SELECT ';' | SELECT 2"),
    ]);
}

/// The table on the front page of the parser.
#[test]
fn several_spellings_have_one_form() {
    let tumble = "SELECT * FROM TABLE(TUMBLE(__table(t), descriptor(ts), INTERVAL '1' HOUR))";
    check(&[
        ("SELECT * FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' HOUR))", tumble),
        ("SELECT * FROM TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' HOURS)", tumble),
        (
            "SELECT * FROM TABLE(tumble(SIZE => INTERVAL '1' HOUR, TIMECOL => DESCRIPTOR(ts), DATA => TABLE default_database.t))",
            "SELECT * FROM TABLE(TUMBLE(__table(public.t), descriptor(ts), INTERVAL '1' HOUR))",
        ),
        ("SELECT TIMESTAMPDIFF(SECOND, a, b)", "SELECT TIMESTAMPDIFF('SECOND', a, b)"),
        ("SELECT TIMESTAMPADD(SQL_TSI_DAY, 1, a)", "SELECT TIMESTAMPADD('DAY', 1, a)"),
        ("SELECT FLOOR(a TO DAY), CEIL(b)", "SELECT floor_to('DAY', a), CEIL(b)"),
        ("SELECT INTERVAL '1 02:03:04' DAY TO SECOND", "SELECT INTERVAL '1 days 2 hours 3 minutes 4 seconds'"),
        ("SELECT INTERVAL '-1-2' YEAR TO MONTH", "SELECT INTERVAL '-1 years -2 months'"),
        ("SELECT a == b", "SELECT a = b"),
        ("SELECT 1e3, -2.5E-1, 1000.0", "SELECT CAST('1e3' AS DOUBLE), -CAST('2.5E-1' AS DOUBLE), 1000.0"),
        ("SELECT INTERVAL '2' QUARTER", "SELECT INTERVAL '6' MONTH"),
        ("SELECT MAP['a', 1, 'b', 2]", "SELECT map(ARRAY['a', 'b'], ARRAY[1, 2])"),
        ("SELECT CAST(x AS VARCHAR(3))", "SELECT left(CAST(x AS STRING), 3)"),
        ("SELECT CAST(x AS CHAR(3))", "SELECT rpad(CAST(x AS STRING), 3)"),
        ("SELECT CAST(x AS VARCHAR)", "SELECT CAST(x AS STRING)"),
        ("SELECT JSON_VALUE(j, '$.a' RETURNING INT NULL ON ERROR)", "SELECT TRY_CAST(JSON_VALUE(j, '$.a') AS INT)"),
        ("SELECT TIMESTAMP '2020-01-01 00:00:00.12'", "SELECT TIMESTAMP(2) '2020-01-01 00:00:00.12'"),
        ("SELECT a FROM default_catalog.default_database.t", "SELECT a FROM public.t"),
        ("SELECT s.t.a FROM s.t", "SELECT s.t.a FROM s.t"),
        ("SELECT a FROM d.s.t", "SELECT a FROM d.s.t"),
    ]);
}

#[test]
fn every_statement_keeps_its_text_and_place() {
    let statements = parse("  SELECT 1 -- one\n;\n\n  INSERT INTO t\n SELECT 'ä' /* x */ ;").expect("a script");
    let found: Vec<_> = statements.iter().map(|s| (s.sql.as_str(), s.position.line, s.position.column)).collect();
    assert_eq!(found, [("SELECT 1", 1, 3), ("INSERT INTO t\n SELECT 'ä'", 4, 3)]);
}

/// SQLSTATE and message, the line with a caret below the place, the hint.
#[test]
fn refusals() {
    check(&[
        (
            "SELECT",
            "ERROR 42601: syntax error: expected an expression, found end of statement\nLINE 1: SELECT\n              ^",
        ),
        (
            "SELECT a,\n  FROM t",
            "ERROR 42601: syntax error: expected an expression, found FROM\nLINE 2:   FROM t\n          ^\nHINT: there is a comma too many before FROM",
        ),
        (
            "SELEC a FROM t",
            "ERROR 42601: syntax error: expected a statement, found SELEC\nLINE 1: SELEC a FROM t\n        ^\nHINT: did you mean SELECT?",
        ),
        (
            "SELECT 'ä日', 'b",
            "ERROR 42601: syntax error: this string has no closing quote\nLINE 1: SELECT 'ä日', 'b\n                     ^",
        ),
        (
            "SELECT `a",
            "ERROR 42601: syntax error: this quoted name has no closing quote\nLINE 1: SELECT `a\n               ^",
        ),
        (
            "CREATE TABLE t (a INTT)",
            "ERROR 42704: type INTT does not exist\nLINE 1: CREATE TABLE t (a INTT)\n                          ^\nHINT: write INT",
        ),
        (
            "CREATE TABLE t (a DECIMAL(39, 2))",
            "ERROR 22023: DECIMAL(39, 2) is no type\nLINE 1: CREATE TABLE t (a DECIMAL(39, 2))\n                          ^\nHINT: the precision is 1 to 38, the scale 0 to the precision",
        ),
        (
            "CREATE TABLE t (a INT, a INT)",
            "ERROR 42701: column a is there twice\nLINE 1: CREATE TABLE t (a INT, a INT)\n                               ^",
        ),
        (
            "CREATE TABLE t (time_ms INT, WATERMARK FOR tim_ms AS x)",
            "ERROR 42703: the watermark names column tim_ms, which does not exist\nLINE 1: CREATE TABLE t (time_ms INT, WATERMARK FOR tim_ms AS x)\n                                                   ^\nHINT: did you mean time_ms?",
        ),
        (
            "CREATE TABLE t (a INT PRIMARY KEY) WITH ('connector' = 'print')",
            "ERROR 42601: syntax error: expected NOT ENFORCED, found )\nLINE 1: CREATE TABLE t (a INT PRIMARY KEY) WITH ('connector' = 'print')\n                                         ^\nHINT: the connector owns the rows, so the key is declared, not checked: PRIMARY KEY … NOT ENFORCED",
        ),
        (
            "CREATE TABLE t (a INT) WITH ('n' = 5)",
            "ERROR 42601: syntax error: expected the option's value as a string, found 5\nLINE 1: CREATE TABLE t (a INT) WITH ('n' = 5)\n                                           ^\nHINT: values of options are written in single quotes, numbers too",
        ),
        (
            "CREATE TABLE t (a INT) PARTITIONED BY (a)",
            "ERROR 0A000: PARTITIONED BY is not supported\nLINE 1: CREATE TABLE t (a INT) PARTITIONED BY (a)\n                               ^\nHINT: leave it out; the filesystem connector writes one directory",
        ),
        (
            "CREATE TABLE t (a INT, FOREIGN KEY (a) REFERENCES u (b))",
            "ERROR 0A000: FOREIGN KEY is not supported\nLINE 1: CREATE TABLE t (a INT, FOREIGN KEY (a) REFERENCES u (b))\n                               ^\nHINT: nothing checks what rows refer to: leave it out, and join the tables where they are read",
        ),
        (
            "CREATE TABLE t (a INT NOT NULL REFERENCES u)",
            "ERROR 0A000: REFERENCES is not supported\nLINE 1: CREATE TABLE t (a INT NOT NULL REFERENCES u)\n                                       ^\nHINT: nothing checks what rows refer to: leave it out, and join the tables where they are read",
        ),
        (
            "CREATE TABLE t (a INT, CONSTRAINT c CHECK (a > 0))",
            "ERROR 0A000: CHECK is not supported\nLINE 1: CREATE TABLE t (a INT, CONSTRAINT c CHECK (a > 0))\n                                            ^\nHINT: leave it out, and select the rows that break it in a materialized view",
        ),
        (
            "CREATE TABLE t (a INT CHECK (a > 0), b INT)",
            "ERROR 0A000: CHECK is not supported\nLINE 1: CREATE TABLE t (a INT CHECK (a > 0), b INT)\n                              ^\nHINT: leave it out, and select the rows that break it in a materialized view",
        ),
        (
            "CREATE CATALOG c",
            "ERROR 0A000: CREATE CATALOG is not supported\nLINE 1: CREATE CATALOG c\n        ^\nHINT: CREATE SCHEMA makes a place for tables and views",
        ),
        (
            "SELECT * FROM a.b.c.t",
            "ERROR 42601: a.b.c.t: a name has three parts at most\nLINE 1: SELECT * FROM a.b.c.t\n                      ^\nHINT: write t, schema.t or database.schema.t",
        ),
        (
            "SELECT * FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts)))",
            "ERROR 42000: TUMBLE: argument SIZE is missing\nLINE 1: SELECT * FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts)))\n                            ^\nHINT: the arguments of TUMBLE are DATA, TIMECOL, SIZE, OFFSET",
        ),
        (
            "SELECT INTERVAL '1:2' DAY TO SECOND",
            "ERROR 42000: '1:2' is no INTERVAL of DAY TO SECOND\nLINE 1: SELECT INTERVAL '1:2' DAY TO SECOND\n                        ^\nHINT: such an interval is written like '1 02:03:04'",
        ),
        (
            "INSERT INTO t SELECT 1; SELECT a b c FROM t",
            "ERROR 42601: syntax error: expected end of statement, found c\nLINE 1: INSERT INTO t SELECT 1; SELECT a b c FROM t\n                                           ^\nHINT: a comma may be missing before c",
        ),
        (
            "EXECUTE STATEMENT SET BEGIN INSERT INTO t SELECT 1;",
            "ERROR 42601: syntax error: this statement set has no END\nLINE 1: EXECUTE STATEMENT SET BEGIN INSERT INTO t SELECT 1;\n        ^\nHINT: write EXECUTE STATEMENT SET BEGIN INSERT …; INSERT …; END",
        ),
        (
            "SELECT /*+ OPTIONS('a'='b') */ 1",
            "ERROR 0A000: the hint OPTIONS is not supported\nLINE 1: SELECT /*+ OPTIONS('a'='b') */ 1\n                   ^\nHINT: give the options in CREATE TABLE … WITH (…)",
        ),
        (
            "SELECT * FROM (SELECT a FORM t) WHERE a > 1",
            "ERROR 42601: syntax error: expected `)`, found t\nLINE 1: SELECT * FROM (SELECT a FORM t) WHERE a > 1\n                                     ^\nHINT: did you mean FROM?",
        ),
        (
            "SET a",
            "ERROR 42601: syntax error: expected `=`, found end of statement\nLINE 1: SET a\n             ^\nHINT: write SET 'key' = 'value'",
        ),
    ]);
}

/// `SHOW CREATE` gives a statement that makes the same definition, whatever is in its names, comments and options.
#[test]
fn what_is_printed_reads_back() {
    let definitions = [
        "CREATE TABLE t (a INT)",
        "CREATE TEMPORARY TABLE `select` (`a``b` INT NOT NULL COMMENT 'it''s', `ä 日` STRING, \"x y\" DECIMAL(5, 2))",
        "CREATE TABLE t (a ROW<x INT NOT NULL, `y z` MAP<STRING, ARRAY<TIMESTAMP_LTZ(9) NOT NULL>>>, `row` ROW<`select` INT, `1` INT>)",
        "CREATE TABLE t (b BYTES, d DATE, t0 TIME, t9 TIME(9), ts TIMESTAMP(0), i INTERVAL, f FLOAT, g DOUBLE, s SMALLINT, y TINYINT)",
        "CREATE TABLE t (a INT, p STRING NOT NULL METADATA FROM 'it''s' VIRTUAL, q BIGINT METADATA COMMENT 'q')",
        "CREATE TABLE t (a BIGINT, ts AS TO_TIMESTAMP_LTZ(a, 3) COMMENT 'c', `w x` AS CASE WHEN a > 1 THEN 'x, y)' END, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)",
        "CREATE TABLE t (a INT -- first\n, b AS a /* twice */ + a, PRIMARY KEY (a) NOT ENFORCED) COMMENT 'two\nlines' WITH ('k''1' = 'v\n2', 'e' = '')",
        "CREATE VIEW v AS SELECT 1 AS `a b`",
        "CREATE TEMPORARY VIEW `v w` (`a``b`, c) COMMENT 'it''s' AS SELECT a, b FROM t -- a comment\nWHERE a > 'ä'",
        "CREATE VIEW v AS WITH x AS (SELECT 1) SELECT * FROM x UNION ALL (VALUES (2))",
    ];
    for sql in definitions {
        let first = definition(sql);
        let second = definition(&first.to_sql());
        assert_eq!(first, second, "{}", first.to_sql());
    }
}

#[derive(Debug, PartialEq)]
enum Definition {
    Table(Table),
    View(View),
}

impl Definition {
    fn to_sql(&self) -> String {
        match self {
            Self::Table(table) => table.to_sql(),
            Self::View(view) => view.to_sql(),
        }
    }
}

fn definition(sql: &str) -> Definition {
    let mut statements = parse(sql).unwrap_or_else(|e| panic!("{}", e.render(sql)));
    assert_eq!(statements.len(), 1, "{sql}");
    match statements.remove(0).kind {
        StatementKind::CreateTable { table, .. } => Definition::Table(table),
        StatementKind::CreateView { view, .. } => Definition::View(view),
        other => panic!("{sql}: {other:?}"),
    }
}

#[test]
fn a_hint_that_is_wrong_is_shown_where_it_stands() {
    let refused = |sql: &str| parse(sql).map(|_| ()).expect_err("it is refused").render(sql);
    assert_eq!(
        refused("SELECT -- a+b\n  /*+ STATE_TTL('t' = '1 d', 'u' = soon) */ a FROM t, u"),
        "ERROR 42601: syntax error in a hint: expected a duration in single quotes, found soon\nLINE 2:   /*+ STATE_TTL('t' = '1 d', 'u' = soon) */ a FROM t, u\n                                           ^\nHINT: write SELECT /*+ STATE_TTL('orders' = '3 d', 'customers' = '0 s') */ …, with names of tables of FROM"
    );
    assert!(
        parse("SELECT --+ a\n /* + no hint */ /*+ STATE_TTL('t' = '1 d'),\n STATE_TTL('u' = '0 s') */ a FROM t")
            .is_ok()
    );
}

#[test]
fn a_short_statement_before_a_statement_set_is_its_own() {
    let statements = parse("SET; EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT 1; END;").expect("parsed");
    assert!(matches!(statements[0].kind, StatementKind::ShowSettings));
    assert!(matches!(&statements[1].kind, StatementKind::StatementSet(inserts) if inserts.len() == 1));
}

#[test]
fn statements_about_jobs() {
    let verb = |sql: &str| match parse(sql).map(|mut all| all.pop().map(|s| s.kind)) {
        Ok(Some(StatementKind::Job(JobStatement { job, verb }))) if job == "a" => verb,
        other => panic!("{sql}: {other:?}"),
    };
    let stop = |with_savepoint, place: Option<&str>, drain| JobVerb::Stop {
        with_savepoint,
        place: place.map(str::to_owned),
        drain,
    };
    assert_eq!(verb("STOP JOB 'a'"), stop(false, None, false));
    assert_eq!(verb("STOP JOB 'a' WITH SAVEPOINT WITH DRAIN"), stop(true, None, true));
    assert_eq!(verb("stop job 'a' with savepoint '/x'"), stop(true, Some("/x"), false));
    assert_eq!(verb("RESUME JOB 'a'"), JobVerb::Resume);
    assert_eq!(verb("SAVEPOINT JOB 'a' AT '/x'"), JobVerb::Savepoint { place: Some("/x".into()) });
    assert_eq!(verb("DROP JOB IF EXISTS 'a'"), JobVerb::Drop { if_exists: true });
    assert_eq!(verb("EXPLAIN CHANGELOG JOB 'a'"), JobVerb::Explain(ExplainStage::Changelog));
    let submit = |script: &str, is_dry_run| JobVerb::Submit { script: script.into(), is_dry_run };
    assert_eq!(verb("SUBMIT JOB 'a' AS 'INSERT'"), submit("INSERT", false));
    let script = " INSERT INTO t SELECT ';' ; ";
    assert_eq!(verb(&format!("SUBMIT JOB 'a' AS $${script}$$ WITH DRY RUN;")), submit(script, true));
    for wrong in ["STOP JOB", "STOP JOB a", "SUBMIT JOB 'a'", "RESUME JOB 'a' 'b'", "DROP JOB 'a' CASCADE"] {
        assert_eq!(parse(wrong).unwrap_err().sqlstate, SqlError::SYNTAX, "{wrong}");
    }
}

#[test]
fn schemas() {
    check(&[
        ("CREATE SCHEMA IF NOT EXISTS s", "Schema(Create { name: \"s\", if_not_exists: true })"),
        ("CREATE DATABASE s", "Schema(Create { name: \"s\", if_not_exists: false })"),
        ("DROP SCHEMA a, b CASCADE", "Schema(Drop { names: [\"a\", \"b\"], if_exists: false, cascade: true })"),
        ("DROP DATABASE IF EXISTS a RESTRICT", "Schema(Drop { names: [\"a\"], if_exists: true, cascade: false })"),
        ("ALTER SCHEMA a RENAME TO b", "Schema(Rename { name: \"a\", to: \"b\" })"),
        ("USE a", "Schema(Use { name: \"a\" })"),
        ("USE default_catalog.default_database", "Schema(Use { name: \"public\" })"),
        ("SHOW DATABASES", "Show(Schemas)"),
        ("SHOW TABLES FROM a LIKE 'x%'", "Show(Tables { schema: Some(\"a\"), like: Some(\"x%\") })"),
        ("DROP TABLE s.t", "drop table s.t false false"),
        ("INSERT INTO d.s.t VALUES (1)", "into d.s.t[] at 13: VALUES (1)"),
        ("DELETE FROM s.t", "deletion by SELECT `a` AS `column 0`, `b` AS `column 1` FROM `s`.`t`"),
    ]);
}

#[test]
fn databases_are_schemas_in_flink_alone() {
    let said = |sql: &str| parse_in(sql, Dialect::Postgres).map(|all| said(&all[0])).unwrap_or_else(|e| e.message);
    assert_eq!(said("CREATE DATABASE IF NOT EXISTS D"), "Database(Create { name: \"d\", if_not_exists: true })");
    assert_eq!(said("DROP DATABASE \"D\""), "Database(Drop { name: \"D\", if_exists: false })");
    assert_eq!(said("CREATE DATABASE d TEMPLATE template0"), "TEMPLATE of a database is not supported");
    assert_eq!(said("CREATE SCHEMA S"), "Schema(Create { name: \"s\", if_not_exists: false })");
    assert_eq!(said("SHOW DATABASES"), "Show(Databases)");
    assert_eq!(said("USE d"), "USE is not supported");
}
