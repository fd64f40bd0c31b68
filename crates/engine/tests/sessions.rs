//! Several sessions over one instance.

use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{Field, Int64Type, Schema};
use eddyline_engine::{
    Engine, EngineConfig, Instance, JobEvent, Outcome, ResultTable, ScriptError, Session, SqlError, parse,
};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

struct Bench {
    instance: Instance,
    _tokio: tokio::runtime::Runtime,
}

impl Bench {
    fn new() -> Self {
        let tokio =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let engine = Engine::new(EngineConfig { shards: 2, ..EngineConfig::new(tokio.handle().clone()) });
        Self { instance: engine.instance(), _tokio: tokio }
    }

    fn session(&self) -> Session {
        self.instance.session()
    }
}

/// Executes a script to its end; the rows of its last SELECT.
fn run(session: &mut Session, sql: &str) -> Result<Vec<RecordBatch>, SqlError> {
    let mut rows = Vec::new();
    for statement in parse(sql)? {
        if let Outcome::Job(job) = session.execute(&statement).map_err(ScriptError::into_error)? {
            let mut result = ResultTable::new(job.facts().result.as_ref().expect("a SELECT"));
            loop {
                match job.next_event(Duration::from_secs(30)).expect("the job goes on") {
                    JobEvent::Changes { changes, .. } => result.apply(&changes)?,
                    JobEvent::Ended(ended) => break ended?,
                    JobEvent::Interrupted => unreachable!("nobody interrupts"),
                }
            }
            rows = result.batches()?;
        }
    }
    Ok(rows)
}

/// The one number that a query answers.
fn number(session: &mut Session, sql: &str) -> i64 {
    let rows = run(session, sql).expect("a query");
    rows.iter().find(|b| b.num_rows() > 0).expect("a row").column(0).as_primitive::<Int64Type>().value(0)
}

#[test]
fn what_one_session_defines_the_next_statement_of_another_sees() {
    let bench = Bench::new();
    let (mut one, mut two) = (bench.session(), bench.session());
    run(&mut one, "CREATE TABLE t (k BIGINT, v BIGINT); INSERT INTO t VALUES (1, 10), (2, 20)").unwrap();
    assert_eq!(number(&mut two, "SELECT SUM(v) FROM t"), 30);
    run(&mut two, "CREATE MATERIALIZED VIEW s AS SELECT SUM(v) AS v FROM t").unwrap();
    run(&mut one, "INSERT INTO t VALUES (3, 30)").unwrap();
    assert_eq!(number(&mut one, "SELECT v FROM s"), 60);
    assert_eq!(number(&mut two, "SELECT v FROM s"), 60);
    let kept = run(&mut one, "DROP TABLE t").unwrap_err();
    assert_eq!(kept.sqlstate, "2BP01");
    run(&mut one, "DROP TABLE t CASCADE").unwrap();
    assert_eq!(run(&mut two, "SELECT v FROM s").unwrap_err().sqlstate, SqlError::UNDEFINED_TABLE);
    // An instance of its own knows nothing of it.
    run(&mut one, "CREATE TABLE u (k BIGINT)").unwrap();
    let mut other = bench.instance.engine().session();
    assert_eq!(run(&mut other, "SELECT k FROM u").unwrap_err().sqlstate, SqlError::UNDEFINED_TABLE);
}

#[test]
fn settings_belong_to_a_session() {
    let bench = Bench::new();
    let (mut one, two) = (bench.session(), bench.session());
    run(&mut one, "SET 'table.local-time-zone' = 'Europe/Berlin'").unwrap();
    assert_eq!((one.settings().time_zone(), two.settings().time_zone()), ("Europe/Berlin", "UTC"));
}

#[test]
fn no_update_is_lost() {
    let bench = Bench::new();
    run(
        &mut bench.session(),
        "CREATE TABLE t (k BIGINT, v BIGINT, PRIMARY KEY (k) NOT ENFORCED); INSERT INTO t VALUES (1, 0), (2, 0);
         CREATE MATERIALIZED VIEW s AS SELECT SUM(v) AS v FROM t",
    )
    .unwrap();
    let update = |mut session: Session| {
        move || (0..20).for_each(|_| drop(run(&mut session, "UPDATE t SET v = v + 1 WHERE k = 1").unwrap()))
    };
    let threads: Vec<_> = (0..3).map(|_| thread::spawn(update(bench.session()))).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(number(&mut bench.session(), "SELECT v FROM t WHERE k = 1"), 60);
    assert_eq!(number(&mut bench.session(), "SELECT v FROM s"), 60);
}

/// Views over one table and over two come and go while both change: every view that is there is right.
#[test]
fn views_join_and_leave_while_tables_change() {
    let bench = Bench::new();
    run(&mut bench.session(), "CREATE TABLE a (v BIGINT); CREATE TABLE b (v BIGINT)").unwrap();
    run(&mut bench.session(), "CREATE MATERIALIZED VIEW av AS SELECT COUNT(*) AS n FROM a").unwrap();
    let insert = |mut session: Session, table: &'static str| {
        move || (0..30).for_each(|n| drop(run(&mut session, &format!("INSERT INTO {table} VALUES ({n})")).unwrap()))
    };
    let define = |mut session: Session, name: &'static str| {
        move || {
            for _ in 0..5 {
                let made = format!(
                    "CREATE MATERIALIZED VIEW {name} AS SELECT COUNT(*) AS n FROM (SELECT v FROM a UNION ALL SELECT v FROM b)"
                );
                run(&mut session, &made).unwrap();
                run(&mut session, &format!("DROP MATERIALIZED VIEW {name}")).unwrap();
            }
            run(&mut session, &format!("CREATE MATERIALIZED VIEW {name} AS SELECT COUNT(*) AS n FROM a, b")).unwrap();
        }
    };
    let threads = [
        thread::spawn(insert(bench.session(), "a")),
        thread::spawn(insert(bench.session(), "b")),
        thread::spawn(define(bench.session(), "x")),
        thread::spawn(define(bench.session(), "y")),
    ];
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let mut session = bench.session();
    assert_eq!(number(&mut session, "SELECT n FROM av"), 30);
    assert_eq!(number(&mut session, "SELECT n FROM x"), 900);
    assert_eq!(number(&mut session, "SELECT n FROM y"), 900);
}

#[test]
fn one_name_is_made_once() {
    let bench = Bench::new();
    run(&mut bench.session(), "CREATE TABLE t (v BIGINT)").unwrap();
    let make =
        |mut session: Session| move || run(&mut session, "CREATE MATERIALIZED VIEW s AS SELECT v FROM t").is_ok();
    let threads: Vec<_> = (0..4).map(|_| thread::spawn(make(bench.session()))).collect();
    let made = threads.into_iter().map(|thread| thread.join().unwrap()).filter(|made| *made).count();
    assert_eq!(made, 1);
}

/// A statement that takes its time: nobody waits for it but who changes the same table; and it can be cancelled.
#[test]
fn a_long_statement_is_in_nobodys_way_and_can_be_cancelled() {
    let bench = Bench::new();
    let mut session = bench.session();
    run(
        &mut session,
        "CREATE TABLE slow (v BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '1', 'number-of-rows' = '1000');
         CREATE TABLE t (v BIGINT); CREATE TABLE u (v BIGINT); INSERT INTO t VALUES (1)",
    )
    .unwrap();
    let mut long = bench.session();
    let canceller = long.canceller();
    let (ended, is_ended) = mpsc::channel();
    let thread = thread::spawn(move || {
        let result = run(&mut long, "INSERT INTO t SELECT v FROM slow");
        ended.send(()).unwrap();
        (result, long)
    });
    // It has begun when another writer has to wait for it; so this one is cancelled too.
    let mut waiting = bench.session();
    let cancel_waiting = waiting.canceller();
    let waiter = thread::spawn(move || {
        loop {
            if let Err(error) = run(&mut waiting, "DELETE FROM t WHERE v = 2") {
                return error;
            }
        }
    });
    assert_eq!(number(&mut session, "SELECT v FROM t"), 1);
    run(&mut session, "INSERT INTO u VALUES (2); CREATE MATERIALIZED VIEW w AS SELECT v FROM t").unwrap();
    assert_eq!(number(&mut session, "SELECT v FROM w"), 1);
    cancel_waiting.cancel();
    assert_eq!(waiter.join().unwrap().sqlstate, "57014");
    assert!(is_ended.try_recv().is_err(), "the statement goes on");
    canceller.cancel();
    let (result, mut long) = thread.join().unwrap();
    assert_eq!(result.unwrap_err().sqlstate, "57014");
    canceller.reset();
    assert_eq!(number(&mut long, "SELECT v FROM t"), 1);
}

/// A table that is replaced under a statement that is about to change it: the statement says so, and does nothing.
#[test]
fn a_table_that_was_replaced_meanwhile_is_not_changed() {
    let bench = Bench::new();
    let mut session = bench.session();
    run(
        &mut session,
        "CREATE TABLE slow (v BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '10', 'number-of-rows' = '5');
         CREATE TABLE t (v BIGINT)",
    )
    .unwrap();
    let mut long = bench.session();
    let insert = thread::spawn(move || run(&mut long, "INSERT INTO t (v) SELECT v FROM slow"));
    for columns in ["w BIGINT, v BIGINT", "v BIGINT"].iter().cycle() {
        run(&mut session, &format!("CREATE OR REPLACE TABLE t ({columns})")).unwrap();
        if insert.is_finished() {
            break;
        }
    }
    let error = insert.join().unwrap().unwrap_err();
    assert_eq!(error.sqlstate, "40001", "{}", error.message);
    assert_eq!(number(&mut session, "SELECT COUNT(*) FROM t"), 0);
    // Rows from outside are for the columns that were asked for.
    run(&mut session, "CREATE OR REPLACE TABLE t (v BIGINT)").unwrap();
    let mut copying = bench.session();
    let columns = copying.copy_columns(&"t".into(), &[]).unwrap();
    let fields: Vec<_> = columns.iter().map(|(name, of)| Field::new(name, of.clone(), true)).collect();
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![Arc::new(Int64Array::from(vec![1]))]).unwrap();
    run(&mut session, "CREATE OR REPLACE TABLE t (v STRING)").unwrap();
    assert_eq!(copying.copy_into(&"t".into(), &rows).unwrap_err().sqlstate, "40001");
}

/// Until it is known that a job has ended, which takes a thread that may be busy, others may look at jobs.
#[test]
fn stopping_a_job_is_in_nobodys_way() {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let engine = Engine::new(EngineConfig { shards: 1, ..EngineConfig::new(tokio.handle().clone()) });
    let instance = engine.instance();
    let mut session = instance.session();
    let script = "CREATE TABLE endless (v BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '10');
         CREATE TABLE nowhere (v BIGINT) WITH ('connector' = 'blackhole')";
    run(&mut session, script).unwrap();
    let statement = parse("INSERT INTO nowhere SELECT v FROM endless").unwrap().remove(0);
    let Ok(Outcome::Job(job)) = session.execute(&statement) else { panic!("a job") };
    let id = session.keep(*job).unwrap();
    let (busy, is_busy) = mpsc::channel();
    let (free, is_free) = mpsc::channel::<()>();
    tokio.spawn(async move {
        busy.send(()).unwrap();
        let _ = is_free.recv();
    });
    is_busy.recv().unwrap();
    let stopping = thread::spawn(move || run(&mut session, &format!("STOP JOB '{id}'")));
    let (looked, has_looked) = mpsc::channel();
    let mut other = instance.session();
    thread::spawn(move || {
        for _ in 0..100 {
            run(&mut other, "SHOW JOBS").unwrap();
            thread::sleep(Duration::from_millis(5));
        }
        looked.send(()).unwrap();
    });
    has_looked.recv_timeout(Duration::from_secs(20)).expect("SHOW JOBS does not wait");
    drop(free);
    stopping.join().unwrap().unwrap();
}
