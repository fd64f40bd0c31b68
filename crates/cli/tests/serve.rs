//! `eddyline serve` as a user meets it: a process, and psql.

mod served;

use served::Served;
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// A server at a port of its own.
struct Server(Served);

impl Server {
    fn start() -> Self {
        Self(Served::start(&["--shards", "2"]))
    }

    /// Lets psql execute a script. Without its own settings; rows are shown plain.
    fn psql(&self, script: &str) -> Output {
        let mut command = Command::new("psql");
        command.args(["-X", "-q", "-A", "-t", "-h", "127.0.0.1", "-p", self.0.port(), "-U", "root", "-d", "dev"]);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().expect("psql is there (scripts/setup.sh installs it)");
        child.stdin.take().expect("its input").write_all(script.as_bytes()).expect("a script");
        child.wait_with_output().expect("it ends")
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn psql_makes_tables_and_views_and_reads_them() {
    let server = Server::start();
    let made = server.psql(
        "CREATE TABLE t (k BIGINT, v DOUBLE, at TIMESTAMP(3));
         INSERT INTO t VALUES (1, 0.5, TIMESTAMP '2024-01-02 03:04:05.6'), (2, NULL, NULL);
         CREATE MATERIALIZED VIEW total AS SELECT COUNT(*) AS n, SUM(v) AS v FROM t;
         SELECT * FROM t ORDER BY k;",
    );
    assert_eq!(text(&made.stdout), "1|0.5|2024-01-02 03:04:05.6\n2||\n", "{}", text(&made.stderr));
    // Another connection finds what the first has made.
    let read = server.psql("UPDATE t SET v = 1 WHERE k = 2; SELECT n, v FROM total; SHOW server_version;");
    assert_eq!(text(&read.stdout), "2|1.5\n15.0\n", "{}", text(&read.stderr));
}

#[test]
fn psql_copies_rows_in() {
    let server = Server::start();
    let copied = server.psql(
        "CREATE TABLE t (k BIGINT NOT NULL, v STRING, d DATE, y BYTES);
COPY t FROM STDIN;
1\ta\\tb\t2024-02-29\t\\\\x00ff
2\t\\N\t\\N\t\\N
\\.
COPY t (v, k) FROM STDIN WITH (FORMAT csv, HEADER);
v,k
\"c, \"\"d\"\"\",3
\\.
SELECT * FROM t ORDER BY k;",
    );
    let rows = "1|a\tb|2024-02-29|\\x00ff\n2|||\n3|c, \"d\"||\n";
    assert_eq!(text(&copied.stdout), rows, "{}", text(&copied.stderr));
    // Columns that it does not name have their defaults.
    let defaults = server.psql(
        "CREATE TABLE d (k BIGINT PRIMARY KEY, v TEXT NOT NULL DEFAULT 'x', n INT);
COPY d (k) FROM STDIN;
5
6
\\.
SELECT * FROM d ORDER BY k;",
    );
    assert_eq!(text(&defaults.stdout), "5|x|\n6|x|\n", "{}", text(&defaults.stderr));
    // All rows of a COPY are taken, or none.
    let wrong =
        server.psql("COPY t (k) FROM STDIN;\n4\nx\n\\.\nCOPY t (k) FROM STDIN;\n\\N\n\\.\nSELECT COUNT(*) FROM t;");
    assert_eq!(text(&wrong.stdout), "3\n");
    let complaint = text(&wrong.stderr);
    assert!(complaint.contains("line 2, column k: \"x\" is no BIGINT"), "{complaint}");
    assert!(complaint.contains("column k of table t is NOT NULL and got a NULL"), "{complaint}");
}

#[test]
fn psql_shows_where_a_statement_is_wrong() {
    let server = Server::start();
    let wrong = server.psql("SELECT *\nFROM nothing;\nSELECT 1 AS one;");
    let complaint = text(&wrong.stderr);
    assert!(complaint.contains("ERROR:") && complaint.contains("LINE 2: FROM nothing;"), "{complaint}");
    assert_eq!(text(&wrong.stdout), "1\n", "the session goes on");
}

#[test]
fn it_listens_to_its_own_machine_alone() {
    let refused = Command::new(env!("CARGO_BIN_EXE_eddyline")).args(["serve", "--listen", "0.0.0.0:0"]).output();
    let refused = refused.expect("started");
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("reached from other machines"), "{}", text(&refused.stderr));
}

#[test]
fn psql_tells_what_there_is() {
    let server = Server::start();
    let told = server.psql(
        "CREATE TABLE Orders (Id BIGINT PRIMARY KEY, \"Who\" TEXT, price NUMERIC(10, 2), at TIMESTAMPTZ);
         CREATE VIEW named AS SELECT \"Who\" FROM orders WHERE price > 1;
         CREATE MATERIALIZED VIEW total AS SELECT COUNT(*), SUM(price) AS sum FROM orders;
         \\dt
         \\dv
         \\dm
         \\dn
         \\d orders
         \\d named
         \\df
         SELECT datname FROM pg_database;
         SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1;
         SELECT column_name, data_type, numeric_scale FROM information_schema.columns WHERE table_name = 'orders' ORDER BY ordinal_position;
         SELECT column_name FROM information_schema.key_column_usage;
         SELECT count(*) FROM pg_policy;
         SELECT coalesce(max(polrelid)::int8, -1), (SELECT count(*) FROM pg_trigger) FROM pg_policy;
         SELECT relname, (SELECT count(*) FROM pg_index WHERE indrelid = c.oid) FROM pg_class c WHERE relkind = 'm';
         SELECT nspname FROM pg_namespace WHERE oid = (SELECT relnamespace FROM pg_class WHERE relname = 'total');",
    );
    let expected = "public|orders|table|root
public|named|view|root
public|total|materialized view|root
public|root
id|bigint||not null|
Who|text|||
price|numeric(10,2)|||
at|timestamp with time zone|||
Who|text|||
dev
named|VIEW
orders|BASE TABLE
total|MATERIALIZED VIEW
id|bigint|0
Who|text|
price|numeric|2
at|timestamp with time zone|
id
0
-1|0
total|0
public
";
    assert_eq!(text(&told.stdout).replace("\n\n", "\n"), expected, "{}", text(&told.stderr));
    let wrong = server.psql("SELECT * FROM information_schema.nothing;");
    assert!(text(&wrong.stderr).contains("\"information_schema.nothing\" does not exist"), "{}", text(&wrong.stderr));
}

/// As PostgreSQL 15 shows the same table, but for the default, whose text is kept as it was written.
#[test]
fn psql_shows_keys_and_defaults_and_roles() {
    let server = Server::start();
    let told = server.psql(
        "CREATE TABLE t (a INT, b TEXT NOT NULL DEFAULT 'x', PRIMARY KEY (a, b));
         \\pset tuples_only off
         \\d t
         \\du
         \\di",
    );
    let expected = "Table \"public.t\"
Column|Type|Collation|Nullable|Default
a|integer||not null|
b|text||not null|'x'
Indexes:
    \"t_pkey\" PRIMARY KEY, btree (a, b)
List of roles
Role name|Attributes|Member of
root|Superuser, Create role, Create DB|{}
List of relations
Schema|Name|Type|Owner|Table
public|t_pkey|index|root|t
(1 row)
";
    assert_eq!(text(&told.stdout).replace("\n\n", "\n"), expected, "{}", text(&told.stderr));
}

#[test]
fn psql_copies_rows_out_and_fetches_them() {
    let server = Server::start();
    let copied = server.psql(
        "CREATE TABLE t (k BIGINT PRIMARY KEY, v TEXT);
         INSERT INTO t VALUES (1, E'a\\tb'), (2, NULL), (3, 'say \"x\", y');
         COPY (SELECT k, v FROM t ORDER BY k) TO STDOUT;
         COPY (SELECT v, k FROM t ORDER BY k DESC) TO STDOUT WITH (FORMAT csv, HEADER, NULL 'none');
         CREATE TABLE one (k INT, v TEXT);
         INSERT INTO one VALUES (7, 'seven');
         COPY one (v) TO STDOUT;
         BEGIN;
         DECLARE c NO SCROLL CURSOR FOR SELECT k FROM t ORDER BY k;
         FETCH 2 FROM c;
         SAVEPOINT s;
         FETCH BACKWARD 1 FROM c;
         ROLLBACK TO s;
         MOVE 0 IN c;
         FETCH ALL FROM c;
         CLOSE c;
         COMMIT;
         SELECT 1 / 0;
         DECLARE c CURSOR FOR SELECT 1;
         COPY t TO '/tmp/nowhere';
         COPY t TO PROGRAM 'cat';
         COPY t FROM '/etc/passwd';
         COPY t FROM PROGRAM 'id';",
    );
    let rows = "1\ta\\tb\n2\t\\N\n3\tsay \"x\", y\nv,k\n\"say \"\"x\"\", y\",3\nnone,2\na\tb,1\nseven\n1\n2\n3\n";
    assert_eq!(text(&copied.stdout), rows, "{}", text(&copied.stderr));
    let complaints = text(&copied.stderr);
    for complaint in ["cursors go forward alone", "division by zero", "can only be used in transaction blocks"] {
        assert!(complaints.contains(complaint), "{complaints}");
    }
    assert_eq!(complaints.matches("COPY from or to anything but STDIN and STDOUT").count(), 4, "{complaints}");
}
