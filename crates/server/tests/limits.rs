//! What a client may ask for: memory of a query, length and nesting of statements, what a connection may keep. Whoever asks for more is told
//! so, with a code, and everybody else goes on.

use eddyline_engine::{Engine, EngineConfig};
use eddyline_server::{ServerConfig, bind};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

const QUERY_MEMORY: usize = 4 << 20;

struct Bench {
    client: Client,
    other: Client,
    tokio: tokio::runtime::Runtime,
}

impl Bench {
    /// A server whose queries have 4 MiB each.
    fn start() -> Self {
        Self::with_memory(QUERY_MEMORY)
    }

    fn with_memory(query_memory: usize) -> Self {
        let tokio =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let config =
            EngineConfig { shards: 2, query_memory: Some(query_memory), ..EngineConfig::new(tokio.handle().clone()) };
        let bound =
            tokio.block_on(bind(Engine::new(config).instance(), &ServerConfig::new(([127, 0, 0, 1], 0).into())));
        let bound = bound.expect("a port");
        let port = bound.address().expect("an address").port();
        tokio.spawn(bound.serve());
        let connect = || {
            let at = format!("host=127.0.0.1 port={port} user=root dbname=dev");
            let (client, connection) = tokio.block_on(tokio_postgres::connect(&at, NoTls)).expect("connected");
            tokio.spawn(connection);
            client
        };
        let (client, other) = (connect(), connect());
        Self { client, other, tokio }
    }

    fn rows_of(&self, client: &Client, sql: &str) -> Result<Vec<String>, tokio_postgres::Error> {
        let messages = self.tokio.block_on(client.simple_query(sql))?;
        let row = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("NULL").to_owned()),
            _ => None,
        };
        Ok(messages.iter().filter_map(row).collect())
    }

    fn rows(&self, sql: &str) -> Vec<String> {
        self.rows_of(&self.client, sql).unwrap_or_else(|e| panic!("{}: {e}: {:?}", start(sql), e.as_db_error()))
    }

    /// The SQLSTATE of an error.
    fn fails(&self, sql: &str) -> String {
        let error = self.rows_of(&self.client, sql).err().unwrap_or_else(|| panic!("{} does not fail", start(sql)));
        error.as_db_error().unwrap_or_else(|| panic!("{}: {error}", start(sql))).code().code().to_owned()
    }

    /// The same of a statement that is prepared.
    fn fails_prepared(&self, sql: &str) -> String {
        let error = self.tokio.block_on(self.client.prepare(sql)).err();
        let error = error.unwrap_or_else(|| panic!("{} is prepared", start(sql)));
        error.as_db_error().unwrap_or_else(|| panic!("{}: {error}", start(sql))).code().code().to_owned()
    }

    /// Does the server answer others, and this one?
    fn lives(&self) {
        assert_eq!(self.rows("SELECT 41 + 1"), ["42"]);
        assert_eq!(self.rows_of(&self.other, "SELECT 41 + 1").expect("an answer"), ["42"]);
    }
}

/// The beginning of a text that may be long.
fn start(sql: &str) -> String {
    sql.chars().take(80).collect()
}

#[test]
fn a_query_that_takes_too_much_memory_is_ended() {
    let bench = Bench::start();
    let values: Vec<String> = (0..800).map(|n| format!("({n})")).collect();
    bench.rows(&format!("CREATE TABLE many (n INT); INSERT INTO many VALUES {}", values.join(", ")));
    bench.rows("CREATE TABLE copies (n INT, m INT)");
    for sql in [
        // 640,000 rows of one epoch.
        "SELECT a.n, b.n, a.n + b.n AS both FROM many a, many b",
        "SELECT a.n, b.n, a.n + b.n AS both FROM many a, many b ORDER BY 3",
        "SELECT DISTINCT a.n, b.n FROM many a, many b",
        "SELECT a.n * 10000 + b.n AS k, COUNT(*) AS c FROM many a, many b GROUP BY a.n * 10000 + b.n",
        // All in state, one row out.
        "SELECT COUNT(DISTINCT a.n * 10000 + b.n) FROM many a, many b",
        // One step of the last join makes more rows than there is room for.
        "SELECT a.n, b.n, c.n, d.n, e.n FROM many a, many b, many c, many d, many e",
        "SELECT a.n * 10000 + b.n AS k, c.n, COUNT(*) FROM many a, many b, many c, many d, many e GROUP BY a.n * 10000 + b.n, c.n",
        "INSERT INTO copies SELECT a.n, b.n FROM many a, many b",
        "CREATE MATERIALIZED VIEW pairs AS SELECT a.n, b.n AS m FROM many a, many b",
    ] {
        assert_eq!(bench.fails(sql), "53200", "{sql}");
        bench.lives();
    }
    assert_eq!(bench.rows("SELECT COUNT(*) FROM copies"), ["0"]);
    // What fits goes on, also where it has seen more rows than it may hold.
    assert_eq!(bench.rows("SELECT COUNT(*) FROM many a, many b"), ["640000"]);
    assert_eq!(bench.rows("SELECT COUNT(DISTINCT n) FROM many"), ["800"]);
    assert_eq!(bench.rows("SELECT a.n FROM many a, many b WHERE a.n = b.n ORDER BY 1 DESC LIMIT 1"), ["799"]);
}

/// Statements that are at one step of a join for hours.
const ENDLESS: [&str; 6] = [
    "SELECT MAX(a.n + b.n * c.n - d.n * e.n) FROM many a, many b, many c, many d, many e",
    // No pair comes out of the last join.
    "SELECT MAX(c.n) FROM many a, many b, many c, many d, many e WHERE a.n + b.n + c.n + d.n + e.n < 0",
    "SELECT a.n FROM many a, many b, many c, many d, many e WHERE a.n + b.n + c.n + d.n + e.n < 0",
    "INSERT INTO copies SELECT MAX(a.n + b.n * c.n), MAX(d.n * e.n - a.n) FROM many a, many b, many c, many d, many e",
    "CREATE TABLE counted AS SELECT MAX(a.n + b.n * c.n - d.n * e.n) AS n FROM many a, many b, many c, many d, many e",
    "CREATE MATERIALIZED VIEW counted AS SELECT MAX(a.n + b.n * c.n - d.n * e.n) AS n FROM many a, many b, many c, many d, many e",
];

#[test]
fn a_statement_that_takes_too_long_is_ended_also_in_the_middle_of_a_join() {
    // Its rows on their way are more and more: the time is to end first.
    let bench = Bench::with_memory(4 << 30);
    bench.rows("CREATE TABLE many AS SELECT CAST(n AS INT) AS n FROM generate_series(1, 800) AS s(n)");
    bench.rows("CREATE TABLE copies (n BIGINT, m BIGINT)");
    bench.rows("SET statement_timeout = '200ms'");
    for sql in ENDLESS {
        assert_eq!(bench.fails(sql), "57014", "{sql}");
    }
    bench.rows("RESET statement_timeout");
    for sql in ENDLESS {
        let (client, token) = (&bench.client, bench.client.cancel_token());
        let failed = bench.tokio.block_on(async {
            let query = client.simple_query(sql);
            // A cancel request may come before the query does; then another one does not.
            let cancel = async {
                loop {
                    token.cancel_query(NoTls).await.expect("asked");
                }
            };
            tokio::select! {
                done = query => done.expect_err("it does not end by itself"),
                () = cancel => unreachable!("asked again and again"),
            }
        });
        assert_eq!(failed.as_db_error().expect("an error of the server").code().code(), "57014", "{sql}");
        // One of the requests may have come behind the end.
        while bench.rows_of(&bench.client, "SELECT 1").is_err() {}
    }
    assert_eq!(bench.rows("SELECT COUNT(*) FROM copies"), ["0"]);
    bench.rows("CREATE TABLE counted (n INT)");
    bench.lives();
}

#[test]
fn statements_and_what_a_connection_keeps_have_a_length() {
    let bench = Bench::start();
    let long = |bytes: usize| format!("SELECT CHAR_LENGTH('{}')", "x".repeat(bytes - 22));
    assert_eq!(bench.rows(&long(8 << 20)), [((8 << 20) - 22).to_string()]);
    assert_eq!(bench.fails(&long((8 << 20) + 1)), "54000");
    assert_eq!(bench.fails_prepared(&long((8 << 20) + 1)), "54000");
    bench.lives();
    let mut kept = Vec::new();
    let refused = loop {
        let sql = long((7 << 20) - kept.len());
        match bench.tokio.block_on(bench.client.prepare(&sql)) {
            Ok(statement) => kept.push(statement),
            Err(error) => break error,
        }
        assert!(kept.len() < 20, "so many are kept");
    };
    assert_eq!(refused.as_db_error().expect("an error of the server").code().code(), "53200");
    assert_eq!(kept.len(), 9);
    drop(kept);
    bench.lives();
}

/// `prefix`, `n` times `open`, `middle`, `n` times `close`, `suffix`.
fn nested(prefix: &str, n: usize, open: &str, middle: &str, close: &str, suffix: &str) -> String {
    format!("{prefix}{}{middle}{}{suffix}", open.repeat(n), close.repeat(n))
}

/// Deep and long texts of every kind, of the engine and of the catalogs, come to an error or an answer, and not to the end of the stack.
#[test]
fn nesting_does_not_reach_the_end_of_the_stack() {
    let bench = Bench::start();
    let n = 3_000;
    let of_both = |middle: &dyn Fn(&str) -> String| [middle(""), middle(" FROM pg_class")];
    let mut statements: Vec<String> = [
        ("(", "1", ")"),
        ("ARRAY[", "1", "]"),
        ("ROW(", "1", ")"),
        ("CASE WHEN ", "TRUE", " THEN TRUE END"),
        ("CASE WHEN TRUE THEN 1 ELSE ", "0", " END"),
        ("NOT ", "TRUE", ""),
        ("- ", "1", ""),
        ("ABS(", "1", ")"),
        ("(SELECT ", "1", ")"),
        ("EXISTS (SELECT ", "1", ")"),
        ("COALESCE(1, ", "1", ")"),
        ("CAST(", "1", " AS INT)"),
    ]
    .iter()
    .flat_map(|(open, middle, close)| of_both(&|from| nested("SELECT ", n, open, middle, close, from)))
    .collect();
    for behind in
        [" + 1", " AND TRUE", "::INT", "[1]", " IS NULL", " || 'x'", ".x", " -> 'x'", " IN (1)", " COLLATE \"C\""]
    {
        statements.extend(of_both(&|from| nested("SELECT relname", n, behind, "", "", from)));
    }
    statements.extend([
        nested("SELECT * FROM ", n, "(SELECT * FROM ", "pg_class", ") x", ""),
        nested("SELECT 1", n, " UNION ALL SELECT 1", "", "", ""),
        nested("SELECT relname FROM pg_class", n, " UNION ALL SELECT relname FROM pg_class", "", "", ""),
        nested("", n, "WITH a AS (", "SELECT 1", ") SELECT 1", ""),
        nested("SELECT 1 FROM pg_class", n, " CROSS JOIN pg_class", "", "", ""),
        nested("CREATE TABLE deep (a ", n, "ROW<b ", "INT", ">", ")"),
        nested("CREATE TABLE deep (a ", n, "ARRAY<", "INT", ">", ")"),
        nested("COPY (SELECT ", n, "(", "1", ")", ") TO STDOUT"),
        nested("", n, "EXPLAIN ", "SELECT 1", "", ""),
    ]);
    for sql in &statements {
        let code = bench.fails(sql);
        assert!(["54001", "54000", "42601", "42P01", "0A000"].contains(&code.as_str()), "{}: {code}", start(sql));
        // What is wrong with names, and that there are too many rows, is found when it is executed.
        if !["42P01", "54000"].contains(&code.as_str()) {
            bench.fails_prepared(sql);
        }
    }
    bench.lives();
    // Values: JSON and arrays as texts. What comes of them is theirs, as long as something does.
    for sql in [
        nested("SELECT JSON_VALUE('", n, "[", "1", "]", "', '$')"),
        nested("SELECT JSON_VALUE('", n, "{\"a\":", "1", "}", "', '$.a')"),
        nested("SELECT IS_JSON('", n, "[", "", "]", "')"),
        nested("SELECT JSON_VALUE('{}', '$", n, "[0]", "", "", "')"),
        nested("SELECT JSON_VALUE('{}', '$", n, ".a", "", "", "')"),
        nested("SELECT '", n, "[", "", "]", "'::jsonb -> 0"),
        nested("SELECT REGEXP_REPLACE('x', '", n, "(", "x", ")", "', '')"),
        nested("SELECT relname FROM pg_class WHERE relname ~ '", n, "(", "x", ")", "'"),
        nested("SELECT '", n, "{", "", "}", "'::INT[] FROM pg_class"),
    ] {
        let _ = bench.rows_of(&bench.client, &sql);
        bench.lives();
    }
}
