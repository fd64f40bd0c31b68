use super::record::{self, Record};
use super::snapshot::snapshot;
use super::{DataSettings, Durable, changes_record};
use crate::{Engine, EngineConfig, Instance, JobEvent, Outcome, ResultTable, ScriptError, Session, SqlError, parse};
use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, ListArray,
    RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::{Field, Int32Type, Schema};
use arrow::util::display::array_value_to_string;
use eddyline_changes::{ChangeBatch, Weights};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn engine() -> (Engine, tokio::runtime::Runtime) {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    (Engine::new(EngineConfig { shards: 1, ..EngineConfig::new(tokio.handle().clone()) }), tokio)
}

/// Executes a script; the rows of its last SELECT, as texts, in order.
fn run(session: &mut Session, sql: &str) -> Result<Vec<String>, SqlError> {
    let mut rows = Vec::new();
    for statement in parse(sql)? {
        let Outcome::Job(job) = session.execute(&statement).map_err(ScriptError::into_error)? else { continue };
        let mut result = ResultTable::new(job.facts().result.as_ref().unwrap());
        loop {
            match job.next_event(Duration::from_secs(30)).unwrap() {
                JobEvent::Changes { changes, .. } => result.apply(&changes)?,
                JobEvent::Ended(ended) => break ended?,
                JobEvent::Interrupted => unreachable!("nobody interrupts"),
            }
        }
        rows.clear();
        for batch in result.batches()? {
            let cell = |row| batch.columns().iter().map(|c| array_value_to_string(c, row).unwrap()).collect::<Vec<_>>();
            rows.extend((0..batch.num_rows()).map(|row| cell(row).join("|")));
        }
        rows.sort();
    }
    Ok(rows)
}

fn durable(instance: &Instance) -> Arc<Durable> {
    instance.durable().expect("it was opened").clone()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// At whatever step of a snapshot the process dies, all that was there before it is there again, also what comes after it.
#[test]
fn a_crash_at_any_step_of_a_snapshot_loses_nothing() {
    let home = tempfile::tempdir().unwrap();
    let (engine, tokio) = engine();
    let settings = |name: &str| DataSettings::new(home.path().join(name));
    let instance = engine.open(settings("data")).unwrap();
    let mut session = instance.session();
    run(
        &mut session,
        "CREATE TABLE a (k INT PRIMARY KEY, v STRING); CREATE TABLE b (w BIGINT); CREATE TABLE c (w BIGINT);
        CREATE MATERIALIZED VIEW n AS SELECT COUNT(*) AS n FROM a, b; INSERT INTO c VALUES (7);
        CREATE TABLE e (id INT PRIMARY KEY, ts TIMESTAMP(3), WATERMARK FOR ts AS ts);
        CREATE MATERIALIZED VIEW closed AS SELECT window_end, COUNT(*) AS n, MIN(id) AS first
            FROM TABLE(TUMBLE(TABLE e, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end EMIT ON WINDOW CLOSE;
        CREATE MATERIALIZED VIEW numbered AS SELECT window_end, n, LAG(n) OVER (ORDER BY window_end) AS before,
            ROW_NUMBER() OVER (ORDER BY window_end) AS nr FROM closed;
        CREATE MATERIALIZED VIEW with_a AS SELECT numbered.nr, a.v FROM numbered LEFT JOIN a ON a.k = numbered.nr",
    )
    .unwrap();
    const SEEN: [&str; 7] = [
        "SELECT * FROM a",
        "SELECT * FROM b",
        "SELECT * FROM n",
        "SELECT * FROM closed",
        "SELECT * FROM numbered",
        "SELECT * FROM with_a",
        "SELECT id FROM e",
    ];
    let mut id = 0;
    // Rows of the window that is open, some of one that is closed, one that closes a window, and one that goes.
    let mut events = |second: i32| {
        id += 3;
        let row =
            |id: i32, second: i32| format!("({id}, TIMESTAMP '2024-01-01 00:{:02}:{:02}')", second / 60, second % 60);
        let rows = [row(id, second), row(id + 1, second - 25), row(id + 2, second + 4)].join(", ");
        format!("INSERT INTO e (id, ts) VALUES {rows}; DELETE FROM e WHERE id = {}", id - 5)
    };
    let mut crashes = Vec::new();
    for round in 0..3 {
        run(&mut session, &format!("INSERT INTO a VALUES ({round}, 'x'), (0, 'again {round}'); INSERT INTO b VALUES (1), (1); DELETE FROM a WHERE k = 1")).unwrap();
        if round == 1 {
            run(&mut session, "ALTER TABLE e ADD COLUMN x INT DEFAULT 5; ALTER TABLE e RENAME TO f").unwrap();
            run(&mut session, "ALTER TABLE f RENAME TO e").unwrap();
        }
        if round == 2 {
            run(&mut session, "DROP TABLE c; ALTER TABLE e DROP COLUMN x").unwrap();
            run(&mut session, "ALTER MATERIALIZED VIEW closed RENAME TO final").unwrap();
            run(&mut session, "ALTER MATERIALIZED VIEW final RENAME TO closed").unwrap();
        }
        let mut step = 0;
        snapshot(&durable(&instance), instance.database(), tokio.handle(), &mut || {
            // Statements go on between the steps.
            run(&mut session, &format!("INSERT INTO b VALUES ({step})")).unwrap();
            let events = events(60 + round * 300 + step * 11);
            run(&mut session, &events).unwrap();
            step += 1;
            // In each round at another third of the steps.
            if step % 3 != round {
                return;
            }
            let expected = SEEN.map(|sql| run(&mut session, sql).unwrap());
            let name = format!("crash {round} {step}");
            copy(&home.path().join("data"), &home.path().join(&name));
            crashes.push((name, expected, round < 2));
        })
        .unwrap();
        assert!(step >= 4, "{step} steps");
    }
    for (at, (name, expected, has_c)) in crashes.into_iter().enumerate() {
        for life in 0..if at % 4 == 0 { 2 } else { 1 } {
            let instance = engine.open(settings(&name)).unwrap_or_else(|e| panic!("{name}: {}", e.message));
            let mut session = instance.session();
            let found = SEEN.map(|sql| run(&mut session, sql).unwrap());
            assert_eq!(found, expected, "{name}");
            assert_eq!(run(&mut session, "SELECT * FROM c").is_ok(), has_c, "{name}");
            if life == 0 {
                snapshot(&durable(&instance), instance.database(), tokio.handle(), &mut || {}).unwrap();
            }
            instance.close().unwrap();
            drop((session, instance));
        }
    }
}

/// What a snapshot covers goes from the log, and tables that have not changed are not written again.
#[test]
fn a_snapshot_writes_what_has_changed() {
    let home = tempfile::tempdir().unwrap();
    let (engine, tokio) = engine();
    let instance = engine.open(DataSettings::new(home.path())).unwrap();
    let mut session = instance.session();
    run(
        &mut session,
        "CREATE TABLE a (v INT); CREATE TABLE b (v INT); INSERT INTO a VALUES (1); INSERT INTO b VALUES (1)",
    )
    .unwrap();
    let files = || {
        let entries = fs::read_dir(home.path().join("tables")).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    snapshot(&durable(&instance), instance.database(), tokio.handle(), &mut || {}).unwrap();
    let first = files();
    run(&mut session, "INSERT INTO b VALUES (2)").unwrap();
    snapshot(&durable(&instance), instance.database(), tokio.handle(), &mut || {}).unwrap();
    let second = files();
    assert_eq!((first.len(), second.len()), (2, 2));
    assert_eq!(first.iter().filter(|file| second.contains(file)).count(), 1);
    run(&mut session, "DROP TABLE a").unwrap();
    snapshot(&durable(&instance), instance.database(), tokio.handle(), &mut || {}).unwrap();
    assert_eq!(files().len(), 1);
}

#[test]
fn changes_of_every_type_are_read_as_they_were_written() {
    let list = vec![Some(vec![Some(1), None]), None, Some(vec![])];
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(3)])),
        Arc::new(StringArray::from(vec![Some("ß"), Some(""), None])),
        Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
        Arc::new(BinaryArray::from_opt_vec(vec![Some(b"\0"), None, Some(b"")])),
        Arc::new(Float64Array::from(vec![f64::NAN, -0.0, 1e300])),
        Arc::new(Decimal128Array::from(vec![Some(-1), None, Some(10)]).with_precision_and_scale(20, 3).unwrap()),
        Arc::new(Date32Array::from(vec![Some(0), None, Some(-1)])),
        Arc::new(TimestampMillisecondArray::from(vec![Some(1), None, Some(-1)]).with_timezone("UTC")),
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(list)),
    ];
    let field = |(at, column): (usize, &ArrayRef)| Field::new(format!("c{at}"), column.data_type().clone(), true);
    let schema = Arc::new(Schema::new(columns.iter().enumerate().map(field).collect::<Vec<_>>()));
    let rows = RecordBatch::try_new(schema.clone(), columns).unwrap();
    let weighted = ChangeBatch::new(rows.clone(), Weights::from_vec(vec![-1, 2, i64::MAX])).unwrap();
    for changes in [ChangeBatch::inserts(rows.slice(1, 2)), weighted, ChangeBatch::inserts(rows.slice(0, 0))] {
        let bytes = changes_record(17, &changes).unwrap();
        let Record::Changes(read) = record::read(&bytes).unwrap() else { panic!("changes") };
        assert_eq!(read.table, 17);
        let decoded = read.decode(&schema).unwrap();
        let shown = |changes: &ChangeBatch| format!("{:?}", (changes.rows(), changes.weights().per_row()));
        assert_eq!(shown(&decoded), shown(&changes));
        for length in 0..bytes.len().min(24) {
            assert!(record::read(&bytes[..length]).is_err(), "cut to {length} bytes");
        }
    }
    let newer = record::read(&[2, 9, 0, 0]).err().unwrap();
    assert!(newer.message.contains("version 9"), "{}", newer.message);
}

/// What was made in the dialect of Postgres means the same when it is read again, also to whoever reads in Flink's.
#[test]
fn definitions_keep_their_dialect() {
    let home = tempfile::tempdir().unwrap();
    let (engine, _tokio) = engine();
    let made = {
        let instance = engine.open(DataSettings::new(home.path())).unwrap();
        let mut session = instance.session();
        session.settings_mut().set("sql.dialect", "postgres").unwrap();
        let statements =
            "CREATE TABLE T (K INT, F FLOAT, N NUMERIC, R REAL, Whole AS CAST(K AS NUMERIC), Same AS F::float);
            INSERT INTO t VALUES (1, 1.5, 2.5, 3.5), (2, 2.5, NULL, NULL);
            CREATE VIEW V AS SELECT AVG(K) AS a, MAX(n)::numeric AS n FROM T;
            CREATE MATERIALIZED VIEW M AS SELECT AVG(K) AS a, SUM(1::bigint) AS s FROM T";
        for statement in session.parse(statements).unwrap() {
            session.execute(&statement).map_err(ScriptError::into_error).unwrap();
        }
        ["SELECT * FROM t", "SELECT * FROM v", "SELECT * FROM m"].map(|sql| run(&mut session, sql).unwrap())
    };
    assert_eq!(made[0], ["1|1.5|2.5000000000|3.5|1.0000000000|1.5", "2|2.5|||2.0000000000|2.5"]);
    assert_eq!(made[1], ["1.5000000000000000|2.5000000000"]);
    assert_eq!(made[2], ["1.5000000000000000|2"]);
    let instance = engine.open(DataSettings::new(home.path())).unwrap();
    let mut session = instance.session();
    assert_eq!(
        ["SELECT * FROM t", "SELECT * FROM v", "SELECT * FROM m"].map(|sql| run(&mut session, sql).unwrap()),
        made
    );
}

/// Users are there again from the log, from a snapshot, and from the log behind one.
#[test]
fn users_outlive_the_process() {
    let home = tempfile::tempdir().unwrap();
    let (engine, tokio) = engine();
    let secret = |text: &str| eddyline_users::Secret(text.to_owned());
    let life = |statements: &str, makes_snapshot: bool| {
        let instance = engine.open(DataSettings::new(home.path())).unwrap();
        run(&mut instance.session(), statements).unwrap();
        if makes_snapshot {
            snapshot(&durable(&instance), instance.database(), tokio.handle(), &mut || {}).unwrap();
        }
        (*instance.users()).clone()
    };
    let made = life("CREATE USER anna PASSWORD 'pencil'; CREATE USER bert; CREATE TABLE t (k INT)", false);
    assert!(made.is_password("anna", &secret("pencil")) && made.is_without_password("bert"));
    assert_eq!(life("INSERT INTO t VALUES (1)", true), made);
    let changed = life("ALTER USER bert PASSWORD 'ink'; DROP USER anna", false);
    assert!(changed.user("anna").is_none() && changed.is_password("bert", &secret("ink")));
    assert_eq!(life("INSERT INTO t VALUES (1)", true), changed);
    assert_eq!(life("INSERT INTO t VALUES (1)", false), changed);
}
