//! Queries that look at rows each by itself are answered without a job, and answer what the job would.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::DataType;
use arrow::util::pretty::pretty_format_batches;
use eddyline_engine::{
    Answer, Engine, EngineConfig, JobEvent, Outcome, Parameter, ParameterValue, ResultTable, RunningJob, Scan,
    ScriptError, Session, parse,
};
use std::time::Duration;

const TABLE: &str = "
    CREATE TABLE t (g INT, id BIGINT, name STRING, f DOUBLE, d DECIMAL(8, 2), at TIMESTAMP(3), PRIMARY KEY (g, id) NOT ENFORCED);
    INSERT INTO t SELECT CAST(i / 100 AS INT), i, IF(MOD(i, 7) = 0, CAST(NULL AS STRING), 'n' || CAST(MOD(i, 10) AS STRING)), i / 4.0 - 50,
        CAST(i AS DECIMAL(8, 2)) / 3, TIMESTAMPADD(SECOND, CAST(i AS INT), TIMESTAMP '2024-01-01 00:00:00')
    FROM UNNEST(ARRAY[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]) AS a(x), UNNEST(ARRAY[0, 10, 20, 30, 40, 50, 60, 70, 80, 90]) AS b(y),
        UNNEST(ARRAY[0, 100, 200, 300]) AS c(z), LATERAL (SELECT CAST(x + y + z AS BIGINT) AS i) AS s;
    DELETE FROM t WHERE g = 1 AND id > 150 AND id <= 160;
    UPDATE t SET name = 'changed' WHERE g = 2 AND id = 222;
    CREATE TABLE l (a INT, b STRING); INSERT INTO l VALUES (1, 'x'), (1, 'x'), (2, NULL), (NULL, 'y'), (1, 'x');
    CREATE MATERIALIZED VIEW v AS SELECT name, COUNT(*) AS n, SUM(id) AS s FROM t GROUP BY name;
    CREATE VIEW w AS SELECT id * 2 AS twice, g FROM t WHERE id > 10;";

fn session(tokio: &tokio::runtime::Runtime) -> Session {
    let engine = Engine::new(EngineConfig { shards: 2, ..EngineConfig::new(tokio.handle().clone()) });
    let mut session = engine.instance().session();
    for statement in parse(TABLE).expect("parses") {
        session.execute(&statement).map_err(ScriptError::into_error).expect("the tables");
    }
    session
}

fn of_job(job: &RunningJob) -> Vec<RecordBatch> {
    let shape = job.facts().result.as_ref().expect("a SELECT");
    let mut result = ResultTable::new(shape);
    loop {
        match job.next_event(Duration::from_secs(30)).expect("the job goes on") {
            JobEvent::Changes { changes, .. } => result.apply(&changes).expect("applies"),
            JobEvent::Ended(ended) => break ended.expect("ends"),
            JobEvent::Interrupted => unreachable!("nobody interrupts"),
        }
    }
    result.batches().expect("rows")
}

fn of_scan(mut scan: Scan) -> Vec<RecordBatch> {
    std::iter::from_fn(|| scan.next_rows().expect("rows")).collect()
}

/// Rows as lines, sorted unless their order says something.
fn lines(rows: &[RecordBatch], is_ordered: bool) -> Vec<String> {
    let Some(first) = rows.first() else { return Vec::new() };
    let all = concat_batches(&first.schema(), rows).expect("one schema");
    let text = pretty_format_batches(&[all]).expect("prints").to_string();
    let mut lines: Vec<String> = text.lines().skip(3).map(str::to_owned).filter(|l| l.starts_with('|')).collect();
    if !is_ordered {
        lines.sort();
    }
    lines
}

#[test]
fn a_scan_answers_what_a_job_does() {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let mut session = session(&tokio);
    let conditions = [
        "TRUE",
        "g = 1",
        "g = 1 AND id = 120",
        "id = 120",
        "g = 1 AND id > 120 AND id <= 125",
        "1 = g AND 130 > id",
        "g < 1",
        "g >= 3",
        "g > 3",
        "g = 1 AND id = 155",
        "g = 2 AND name = 'changed'",
        "f = 0",
        "f = -50.0",
        "d = 40",
        "g = 1 AND id IN (101, 103)",
        "g IS NULL",
        "g = 1 OR id = 5",
        "name LIKE 'n%' AND g = 0",
        "at < TIMESTAMP '2024-01-01 00:00:03'",
        "g = 1 AND g = 2",
        "g = CAST(NULL AS INT)",
    ];
    for condition in conditions {
        for (columns, tail) in [
            ("*", ""),
            ("id + g AS s, UPPER(name), id", ""),
            ("name", "ORDER BY g DESC, id"),
            ("name", "ORDER BY g DESC, id LIMIT 7 OFFSET 2"),
            ("name, id", "ORDER BY name NULLS LAST, f DESC LIMIT 3"),
            ("id", "ORDER BY id DESC OFFSET 395"),
            ("DISTINCT g", ""),
            ("COUNT(*), SUM(id)", ""),
        ] {
            let sql = format!("SELECT {columns} FROM t WHERE {condition} {tail}");
            let is_scan = !columns.contains("DISTINCT") && !columns.contains("COUNT");
            compare(&mut session, &sql, is_scan, tail.contains("ORDER"));
        }
    }
    for (sql, is_scan) in [
        ("SELECT * FROM l", true),
        ("SELECT a FROM l WHERE a = 1", true),
        ("SELECT b FROM l WHERE a IS NULL", true),
        ("SELECT * FROM v WHERE name = 'n3'", true),
        ("SELECT s FROM v WHERE name IS NULL", true),
        ("SELECT * FROM w WHERE g = 3 AND twice < 620", true),
        ("SELECT 1 + 1 AS two", true),
        ("SELECT * FROM t AS a JOIN l AS b ON a.g = b.a WHERE a.id = 101", false),
        ("SELECT g FROM t WHERE id = 1 UNION ALL SELECT a FROM l", false),
        ("SELECT g FROM t WHERE at < NOW() AND id = 1", false),
    ] {
        compare(&mut session, sql, is_scan, false);
    }
}

fn compare(session: &mut Session, sql: &str, is_scan: bool, is_ordered: bool) {
    let statement = parse(sql).expect("parses").remove(0);
    let Ok(Outcome::Job(job)) = session.execute(&statement) else { panic!("{sql}: a SELECT is a job") };
    let expected = lines(&of_job(&job), is_ordered);
    let answered = match session.answer(&statement).map_err(ScriptError::into_error).expect(sql) {
        Answer::Rows(scan) => {
            assert!(is_scan, "{sql}: is no scan");
            of_scan(*scan)
        }
        Answer::Outcome(Outcome::Job(job)) => {
            assert!(!is_scan, "{sql}: is a scan");
            of_job(&job)
        }
        Answer::Outcome(_) => panic!("{sql}: no rows"),
    };
    assert_eq!(lines(&answered, is_ordered), expected, "{sql}");
}

#[test]
fn plans_for_all_values_are_those_of_equalities_alone() {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let mut session = session(&tokio);
    let (int, long, text) = (DataType::Int32, DataType::Int64, DataType::Utf8);
    for (sql, types, is_prepared) in [
        ("SELECT * FROM t WHERE g = $1 AND id = $2", vec![int.clone(), long.clone()], true),
        ("SELECT name || 'x' FROM t WHERE $1 = id", vec![long.clone()], true),
        ("SELECT * FROM v WHERE name = $1 ORDER BY n", vec![text.clone()], true),
        ("SELECT * FROM v WHERE name = $1 ORDER BY n LIMIT 2", vec![text.clone()], true),
        ("SELECT * FROM w WHERE g = $1", vec![int.clone()], false),
        ("SELECT * FROM t", vec![], true),
        ("SELECT 1", vec![], false),
        ("SELECT NOW() FROM t", vec![], false),
        ("SELECT * FROM t WHERE id > $1", vec![long.clone()], false),
        ("SELECT * FROM t WHERE id = $1 OR g = 1", vec![long.clone()], false),
        ("SELECT * FROM t WHERE id = $1 AND g = 1", vec![long.clone()], false),
        ("SELECT * FROM t WHERE id = $1 AND g = $1", vec![long.clone()], false),
        ("SELECT $1 FROM t WHERE id = $1", vec![long.clone()], false),
        ("SELECT $2 FROM t WHERE id = $1", vec![long.clone(), long.clone()], false),
        ("SELECT COUNT(*) FROM t WHERE id = $1", vec![long.clone()], false),
        ("SELECT * FROM t WHERE g = $1", vec![long.clone()], false),
        ("SELECT * FROM t WHERE name = $1 AND id = $2", vec![text.clone(), text], false),
        ("SELECT 7301946155823971003 AS id FROM t WHERE id = $1", vec![long], false),
    ] {
        let statement = parse(sql).expect("parses").remove(0);
        let prepared = session.prepare(&statement, &types);
        assert_eq!(prepared.is_some(), is_prepared, "{sql}");
    }
}

/// With indexes and without, rows are the same, whichever of them is read.
#[test]
fn an_index_changes_no_answer() {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let (mut plain, mut indexed) = (session(&tokio), session(&tokio));
    execute(
        &mut indexed,
        "CREATE INDEX t_name ON t (name, f DESC); CREATE INDEX t_f ON t (f NULLS FIRST, g); CREATE INDEX t_d ON t (d DESC NULLS LAST);
         CREATE INDEX l_b ON l (b); CREATE INDEX v_n ON v (n DESC, name)",
    );
    for session in [&mut plain, &mut indexed] {
        execute(
            session,
            "UPDATE t SET name = 'n3', f = -f WHERE id < 90 AND MOD(id, 3) = 0; DELETE FROM t WHERE name = 'n4' AND g = 3;
             INSERT INTO l VALUES (7, 'x'), (8, NULL); DELETE FROM l WHERE a = 2",
        );
    }
    for (sql, index) in [
        ("SELECT id FROM t WHERE name = 'n3'", Some("t_name")),
        ("SELECT id FROM t WHERE name = 'n3' AND f > -20", Some("t_name")),
        ("SELECT id FROM t WHERE name = 'n3' AND f <= -20 AND id > 5", Some("t_name")),
        ("SELECT id FROM t WHERE name > 'n7'", Some("t_name")),
        ("SELECT id FROM t WHERE f = -50", Some("t_f")),
        ("SELECT id FROM t WHERE f = 0", None),
        ("SELECT id FROM t WHERE f >= 10 AND f < 12.5", Some("t_f")),
        ("SELECT id FROM t WHERE f = -47.75 AND g = 0", Some("t_f")),
        ("SELECT id FROM t WHERE d < 20", Some("t_d")),
        ("SELECT id FROM t WHERE d >= 20 AND d < 25", Some("t_d")),
        ("SELECT id FROM t WHERE g = 1 AND id = 120 AND name = 'n0' AND f = -20", None),
        ("SELECT id FROM t WHERE g = 1 AND d > 3", None),
        ("SELECT id FROM t WHERE name IS NULL", Some("t_name")),
        ("SELECT id FROM t WHERE name = CAST(NULL AS STRING)", None),
        ("SELECT id FROM t", None),
        ("SELECT a FROM l WHERE b = 'x'", Some("l_b")),
        ("SELECT name, s FROM v WHERE n = 40", Some("v_n")),
        ("SELECT name, s FROM v WHERE n < 40", Some("v_n")),
        ("SELECT l.a, t.id FROM l JOIN t ON l.a = t.g WHERE l.b = 'x' AND t.name = 'n3'", Some("l_b")),
    ] {
        let expected = lines(&answer(&mut plain, sql), false);
        assert_eq!(lines(&answer(&mut indexed, sql), false), expected, "{sql}");
        let told = explained(&mut indexed, sql);
        let read = told.iter().find_map(|line| line.strip_prefix("READS: ")?.rsplit_once(' ')).map(|(_, name)| name);
        assert_eq!(read, index, "{sql}\n{}", told.join("\n"));
    }
}

/// The index is found anew for each value.
#[test]
fn a_plan_for_all_values_reads_through_an_index() {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let mut session = session(&tokio);
    execute(&mut session, "CREATE INDEX t_name ON t (name)");
    let statement = parse("SELECT id FROM t WHERE name = $1").expect("parses").remove(0);
    let prepared = session.prepare(&statement, &[DataType::Utf8]).expect("a plan for all values");
    for name in ["n3", "changed", "nobody"] {
        let value = ParameterValue::Text(name.into());
        let parameter = Parameter { value, data_type: DataType::Utf8 };
        let Ok(Answer::Rows(scan)) = session.execute_prepared(&prepared, &[parameter]) else { panic!("{name}") };
        let expected = answer(&mut session, &format!("SELECT id FROM t WHERE name = '{name}'"));
        assert_eq!(lines(&of_scan(*scan), false), lines(&expected, false), "{name}");
    }
    execute(&mut session, "DROP INDEX t_name");
    assert!(!session.holds(&prepared), "names have changed");
}

fn execute(session: &mut Session, sql: &str) {
    for statement in parse(sql).expect("parses") {
        session.execute(&statement).map_err(ScriptError::into_error).expect(sql);
    }
}

fn answer(session: &mut Session, sql: &str) -> Vec<RecordBatch> {
    let statement = parse(sql).expect("parses").remove(0);
    match session.answer(&statement).map_err(ScriptError::into_error).expect(sql) {
        Answer::Rows(scan) => of_scan(*scan),
        Answer::Outcome(Outcome::Job(job)) => of_job(&job),
        Answer::Outcome(_) => panic!("{sql}: no rows"),
    }
}

fn explained(session: &mut Session, sql: &str) -> Vec<String> {
    let statement = parse(&format!("EXPLAIN {sql}")).expect("parses").remove(0);
    match session.execute(&statement).map_err(ScriptError::into_error).expect(sql) {
        Outcome::Listing(listing) => listing.text_lines().map(str::to_owned).collect(),
        _ => panic!("{sql}: EXPLAIN is a listing"),
    }
}
