//! Text that is almost SQL: never a panic, and a place of an error is inside the text.

use crate::{SqlError, parse};
use sqlparser::tokenizer::{Token, Tokenizer, Whitespace};

/// Statements that use everything the parser knows.
const STATEMENTS: [&str; 16] = [
    "CREATE TABLE IF NOT EXISTS `Order` (id BIGINT NOT NULL COMMENT 'the ''key''', a DECIMAL(10, 2), b ARRAY<ROW<x INT NOT NULL, `y z` MAP<STRING, TIMESTAMP(3)>>>, p STRING METADATA FROM 'file.path' VIRTUAL, ts AS TO_TIMESTAMP(a), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND, PRIMARY KEY (id) NOT ENFORCED) COMMENT 'größe' WITH ('connector' = 'filesystem', 'path' = '/tmp/ä')",
    "CREATE TEMPORARY TABLE t WITH ('a' = 'b') LIKE default_catalog.default_database.u (INCLUDING ALL EXCLUDING OPTIONS OVERWRITING WATERMARKS)",
    "CREATE OR REPLACE VIEW v (a, \"b c\") COMMENT 'x' AS SELECT a, b FROM t -- end\n",
    "DROP TABLE IF EXISTS t; DROP TEMPORARY VIEW v",
    "INSERT INTO t (a, b) SELECT a, SUM(b) FILTER (WHERE c > 1e3) FROM t GROUP BY a HAVING COUNT(DISTINCT b) > 2",
    "INSERT INTO t VALUES (1, 'a', DATE '2020-01-01', TIMESTAMP '2020-01-01 00:00:00.123'), (-2, U&'\\00e4', NULL, NULL)",
    "EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT 1; INSERT INTO b SELECT 2; END;",
    "BEGIN STATEMENT SET; INSERT INTO a SELECT 1; END",
    "EXPLAIN CHANGELOG SELECT window_start, COUNT(*) FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '10' MINUTE)) GROUP BY window_start, window_end",
    "SELECT * FROM TABLE(HOP(DATA => TABLE bid PARTITION BY a, TIMECOL => DESCRIPTOR(ts), SLIDE => INTERVAL '1' SECOND, SIZE => INTERVAL '1 02:03:04.5' DAY TO SECOND))",
    "SELECT HOP_START(ts, INTERVAL '5' SECOND, INTERVAL '1' DAY), a FROM t GROUP BY HOP(ts, INTERVAL '5' SECOND, INTERVAL '1' DAY), a",
    "SELECT CAST(x AS VARCHAR(3)), TRY_CAST(y AS ROW<a INT, b ARRAY<INT>>), CASE WHEN a IS NOT NULL THEN -b ELSE c % 2 END, MAP['a', 1], ARRAY[1, 2][1], r.a.b FROM t WHERE a BETWEEN 1 AND 2 OR b NOT IN (1, 2) AND c LIKE 'ä%' ESCAPE '\\'",
    "SELECT JSON_VALUE(j, '$.a' RETURNING INT NULL ON EMPTY), TIMESTAMPDIFF(SECOND, a, b), FLOOR(ts TO DAY), EXTRACT(HOUR FROM ts), TRIM(BOTH 'x' FROM y), SUBSTRING(a FROM 1 FOR 2), POSITION('a' IN b) FROM t",
    "WITH a AS (SELECT 1 AS x UNION ALL SELECT 2), b AS (VALUES (1), (2)) SELECT DISTINCT a.x FROM a LEFT JOIN b ON a.x = b.x ORDER BY x DESC NULLS LAST LIMIT 10 OFFSET 2",
    "SELECT * FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY a ORDER BY b DESC) AS n FROM t FOR SYSTEM_TIME AS OF t.p) WHERE n <= 3",
    "SET 'a.b' = 'c'; SET a.b-c = 1s; RESET 'a.b'; RESET; SHOW TABLES LIKE 'a%'; SHOW CREATE TABLE t; DESCRIBE `t`; SHOW COLUMNS FROM t",
];

/// What is put in.
const PIECES: [&str; 40] = [
    "(",
    ")",
    "[",
    "]",
    "<",
    ">",
    ">>",
    ",",
    ";",
    ".",
    "'",
    "\"",
    "`",
    "*",
    "-",
    "--",
    "/*",
    "*/",
    "=",
    "=>",
    "::",
    "ä",
    "日本",
    "🦀",
    "\u{0}",
    "\r\n",
    "\t",
    "\u{a0}",
    "\u{1f}",
    "0",
    "1e999",
    "99999999999999999999999",
    "SELECT",
    "FROM",
    "AS",
    "NULL",
    "END",
    "INTERVAL",
    "ROW",
    "\\",
];

/// A small generator with a seed (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }
}

/// An error can be shown, and its place is in the text or just behind a line of it.
fn check(sql: &str) {
    let Err(error) = parse(sql) else { return };
    let shown = error.render(sql);
    assert!(!shown.contains('\u{1f}') || sql.contains('\u{1f}'), "{sql:?}: {shown:?}");
    let place = error.position.unwrap_or_else(|| panic!("no place: {sql:?}: {error:?}"));
    let lines: Vec<&str> = sql.split('\n').collect();
    let line = lines.get(place.line.wrapping_sub(1)).unwrap_or_else(|| panic!("no such line: {sql:?}: {error:?}"));
    let inside = (1..=line.chars().count() + 1).contains(&place.column);
    assert!(inside, "no such column: {sql:?}: {error:?}");
    assert_ne!(error.sqlstate, SqlError::INTERNAL, "{sql:?}: {error:?}");
}

/// One change to a list of pieces.
fn mutate<T: Clone>(pieces: &mut Vec<T>, dice: &mut Dice, fresh: impl FnOnce(&mut Dice) -> T) {
    let (at, other) = (dice.below(pieces.len()), dice.below(pieces.len()));
    match dice.below(5) {
        _ if pieces.is_empty() => pieces.push(fresh(dice)),
        0 => drop(pieces.remove(at)),
        1 => pieces.insert(other, pieces[at].clone()),
        2 => pieces.swap(at, other),
        3 => pieces.truncate(at),
        _ => pieces.insert(at, fresh(dice)),
    }
}

fn tokens(sql: &str) -> Vec<String> {
    let dialect = super::dialect::SqlDialect::new(eddyline_catalog::Dialect::Flink);
    let all = Tokenizer::new(&dialect, sql).tokenize().expect("valid text");
    all.iter()
        .map(|t| match t {
            Token::Whitespace(Whitespace::SingleLineComment { comment, .. }) => format!("-- {comment}"),
            other => other.to_string(),
        })
        .collect()
}

#[test]
fn the_statements_themselves_parse() {
    for sql in STATEMENTS {
        parse(sql).unwrap_or_else(|e| panic!("{}", e.render(sql)));
    }
}

#[test]
fn mutated_tokens_never_panic() {
    for seed in 1..=400 {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let mut pieces = tokens(STATEMENTS[dice.below(STATEMENTS.len())]);
        for _ in 0..1 + dice.below(12) {
            mutate(&mut pieces, &mut dice, |d| PIECES[d.below(PIECES.len())].to_owned());
            check(&pieces.concat());
        }
    }
}

#[test]
fn mutated_characters_never_panic() {
    for seed in 1..=400 {
        let mut dice = Dice(0x2545_f491_4f6c_dd1d_u64.wrapping_mul(seed));
        let mut pieces: Vec<char> = STATEMENTS[dice.below(STATEMENTS.len())].chars().collect();
        for _ in 0..1 + dice.below(12) {
            mutate(&mut pieces, &mut dice, |d| PIECES[d.below(PIECES.len())].chars().next().unwrap_or('?'));
            check(&pieces.iter().collect::<String>());
        }
    }
}

/// Every beginning of every statement: what a shell sees while somebody types.
#[test]
fn beginnings_never_panic() {
    for sql in STATEMENTS {
        sql.char_indices().for_each(|(at, _)| check(&sql[..at]));
    }
}
