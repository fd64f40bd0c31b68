//! `kill -9` while names are being changed: what was acknowledged is there, the statement on its way is done or not begun, and everything
//! can be used.

mod served;

use served::{Served, serve};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

struct Server(Served);

impl Server {
    fn start(directory: &Path) -> Self {
        Self(Served::by(serve(&["--shards", "1", "--data-dir"]).arg(directory)))
    }

    async fn client(&self, database: &str) -> Result<Client, tokio_postgres::Error> {
        let parameters = format!("host=127.0.0.1 port={} user=root dbname={database}", self.0.port());
        let (client, connection) = tokio_postgres::connect(&parameters, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// SIGKILL.
    fn kill(self) {
        self.0.kill();
    }
}

async fn rows(client: &Client, sql: &str) -> Vec<String> {
    let messages = client.simple_query(sql).await.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|at| row.get(at).unwrap_or("NULL")).collect::<Vec<_>>().join("|"))
        }
        _ => None,
    };
    messages.iter().filter_map(row).collect()
}

/// What there is: columns of the table, views, databases.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Names {
    columns: BTreeSet<String>,
    views: BTreeSet<String>,
    databases: BTreeSet<String>,
}

impl Names {
    async fn of(client: &Client) -> Self {
        let set = |rows: Vec<String>| rows.into_iter().collect::<BTreeSet<_>>();
        let columns = "SELECT column_name FROM information_schema.columns WHERE table_name = 't'";
        Self {
            columns: set(rows(client, columns).await),
            views: set(rows(client, "SELECT matviewname FROM pg_matviews").await),
            databases: set(rows(client, "SELECT datname FROM pg_database WHERE datname LIKE 'd_'").await),
        }
    }
}

/// The steps that are gone through again and again: a statement, and what becomes of the names by it.
type Step = (&'static str, fn(&mut Names));

const STEPS: &[Step] = &[
    ("ALTER TABLE t ADD COLUMN more TEXT DEFAULT 'none'", |names| {
        names.columns.insert("more".into());
    }),
    ("CREATE MATERIALIZED VIEW counted AS SELECT COUNT(*) AS n, SUM(k) AS s FROM t", |names| {
        names.views.insert("counted".into());
    }),
    ("CREATE DATABASE d1", |names| {
        names.databases.insert("d1".into());
    }),
    ("ALTER TABLE t RENAME COLUMN more TO other", |names| {
        names.columns.remove("more");
        names.columns.insert("other".into());
    }),
    ("CREATE MATERIALIZED VIEW above AS SELECT n + 1 AS n FROM counted", |names| {
        names.views.insert("above".into());
    }),
    ("DROP DATABASE d1", |names| {
        names.databases.remove("d1");
    }),
    ("CREATE DATABASE d2", |names| {
        names.databases.insert("d2".into());
    }),
    ("ALTER MATERIALIZED VIEW above RENAME TO over", |names| {
        names.views.remove("above");
        names.views.insert("over".into());
    }),
    ("DROP MATERIALIZED VIEW counted CASCADE", |names| names.views.clear()),
    ("ALTER TABLE t DROP COLUMN other", |names| {
        names.columns.remove("other");
    }),
    ("DROP DATABASE d2", |names| {
        names.databases.remove("d2");
    }),
];

/// How far the changes of names are.
#[derive(Default)]
struct Told {
    /// Statements that were acknowledged.
    done: usize,
    names: Names,
}

/// Goes through the steps until the server is gone.
async fn define(client: Client, told: Arc<Mutex<Told>>) {
    loop {
        let at = told.lock().expect("whole").done % STEPS.len();
        let (sql, change) = STEPS[at];
        match client.batch_execute(sql).await {
            Ok(()) => {
                let mut told = told.lock().expect("whole");
                told.done += 1;
                change(&mut told.names);
            }
            Err(error) => return assert!(error.as_db_error().is_none(), "{sql}: {error:?}"),
        }
    }
}

/// Inserts numbers one after the other until the server is gone.
async fn insert(client: Client, inserted: Arc<AtomicI64>) {
    for k in inserted.load(Ordering::SeqCst).. {
        if let Err(error) = client.batch_execute(&format!("INSERT INTO t (k) VALUES ({k})")).await {
            return assert!(error.as_db_error().is_none(), "{k}: {error:?}");
        }
        inserted.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_as_before_or_as_after_the_statement_that_kill_9_ended() {
    let home = tempfile::tempdir().expect("a directory");
    let directory = home.path().join("data");
    let mut server = Server::start(&directory);
    let client = server.client("dev").await.expect("a connection");
    client.batch_execute("CREATE TABLE t (k BIGINT)").await.expect("a table");
    let told = Arc::new(Mutex::new(Told { done: 0, names: Names::of(&client).await }));
    let inserted = Arc::new(AtomicI64::new(0));
    for statements_before_death in [7, 1, 4, 12, 2, 9, 3, 5] {
        let until = told.lock().expect("whole").done + statements_before_death;
        let (one, other) = (server.client("dev").await.expect("one"), server.client("dev").await.expect("another"));
        let workers = [tokio::spawn(define(one, told.clone())), tokio::spawn(insert(other, inserted.clone()))];
        while told.lock().expect("whole").done < until {
            assert!(!workers[0].is_finished(), "a statement has failed");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        server.kill();
        for worker in workers {
            worker.await.expect("a worker");
        }
        server = Server::start(&directory);
        check(&server, &told, &inserted).await;
    }
    server.kill();
}

/// Is what is there what was acknowledged, with the statement on its way or without, and can it be used?
async fn check(server: &Server, told: &Mutex<Told>, inserted: &AtomicI64) {
    let client = server.client("dev").await.expect("a connection");
    let found = Names::of(&client).await;
    let (before, after, sql) = {
        let told = told.lock().expect("whole");
        let (sql, change) = STEPS[told.done % STEPS.len()];
        let mut after = told.names.clone();
        change(&mut after);
        (told.names.clone(), after, sql)
    };
    assert!(found == before || found == after, "{sql}: {found:?} is neither {before:?} nor {after:?}");
    {
        let mut told = told.lock().expect("whole");
        told.done += usize::from(found == after);
        told.names = found.clone();
    }
    let keys = rows(&client, "SELECT k FROM t ORDER BY k").await;
    let count = keys.len() as i64;
    assert_eq!(keys, (0..count).map(|k| k.to_string()).collect::<Vec<_>>());
    let acknowledged = inserted.swap(count, Ordering::SeqCst);
    assert!(count == acknowledged || count == acknowledged + 1, "{acknowledged} acknowledged, {count} there");
    assert_eq!(
        rows(&client, "SELECT * FROM t LIMIT 1").await.first().map(|row| row.split('|').count()),
        (count > 0).then_some(found.columns.len())
    );
    if found.views.contains("counted") {
        let sum: i64 = (0..count).sum();
        let sum = if count > 0 { sum.to_string() } else { "NULL".into() };
        assert_eq!(rows(&client, "SELECT n, s FROM counted").await, [format!("{count}|{sum}")]);
    }
    for above in found.views.iter().filter(|view| *view != "counted") {
        assert_eq!(rows(&client, &format!("SELECT n FROM \"{above}\"")).await, [(count + 1).to_string()]);
    }
    for database in ["d1", "d2"] {
        match server.client(database).await {
            Ok(of) => {
                assert!(found.databases.contains(database), "{database} is gone");
                let sql =
                    "CREATE TABLE IF NOT EXISTS here (n INT); INSERT INTO here VALUES (1); SELECT MAX(n) FROM here";
                assert_eq!(rows(&of, sql).await, ["1"]);
            }
            Err(error) => {
                assert!(!found.databases.contains(database), "{error:?}");
                let code = error.as_db_error().expect("an answer").code().code().to_owned();
                assert_eq!(code, "3D000");
            }
        }
    }
}
