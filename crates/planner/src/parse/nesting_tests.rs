//! Deep and long statements: a clear error or an answer, never an overflow of the stack. Texts are long enough that going over
//! one once per token would not end while anybody waits.
//! Tests run on threads of 2 MiB, like a server's.

use crate::fixtures::{on_shards, plan};
use crate::{SqlError, parse};

/// `prefix`, then `n` times `open`, `middle`, `n` times `close`, `suffix`.
fn nested(prefix: &str, n: usize, open: &str, middle: &str, close: &str, suffix: &str) -> String {
    format!("{prefix}{}{middle}{}{suffix}", open.repeat(n), close.repeat(n))
}

#[test]
fn too_deep_is_refused_with_a_place() {
    let n = 10_000;
    let statements = [
        ("brackets", nested("SELECT ", n, "(", "1", ")", "")),
        ("open brackets", nested("SELECT ", n, "(", "", "", "")),
        ("queries", nested("", n, "(", "SELECT 1", ")", "")),
        ("derived tables", nested("SELECT * FROM ", n, "(SELECT * FROM ", "t", ")", "")),
        ("joined tables", nested("SELECT * FROM ", n, "(", "t", ")", "")),
        ("calls", nested("SELECT ", n, "ABS(", "1", ")", "")),
        ("NOT", nested("SELECT ", n, "NOT ", "TRUE", "", "")),
        ("minus", nested("SELECT ", n, "- ", "1", "", "")),
        ("AND", nested("SELECT TRUE", n, " AND TRUE", "", "", "")),
        ("plus", nested("SELECT 1", n, " + 1", "", "", "")),
        ("IS NULL", nested("SELECT 1", n, " IS NULL", "", "", "")),
        ("comparisons", nested("SELECT 1", n, " = 1", "", "", "")),
        ("AT TIME ZONE", nested("SELECT ts", n, " AT TIME ZONE 'UTC'", "", "", " FROM t")),
        ("subscripts", nested("SELECT a", n, "[1]", "", "", " FROM t")),
        ("fields", nested("SELECT a", n, ".b", "", "", " FROM t")),
        ("casts", nested("SELECT 1", n, "::INT", "", "", "")),
        ("CASE in WHEN", nested("SELECT ", n, "CASE WHEN ", "TRUE", " THEN TRUE END", "")),
        ("CASE in ELSE", nested("SELECT ", n, "CASE WHEN TRUE THEN 1 ELSE ", "0", " END", "")),
        ("CASE in a chain", nested("SELECT TRUE", n, " AND CASE WHEN TRUE THEN TRUE END", "", "", "")),
        ("open CASE", nested("SELECT ", n, "CASE ", "", "", "")),
        ("UNION ALL", nested("SELECT 1", n, " UNION ALL SELECT 1", "", "", "")),
        ("EXCEPT", nested("SELECT 1", n, " EXCEPT SELECT 1", "", "", "")),
        ("rows", nested("CREATE TABLE t (a ", n, "ROW<b ", "INT", ">", ")")),
        ("rows in a cast", nested("SELECT CAST(NULL AS ", n, "ROW<b ", "INT", ">", ")")),
        ("round rows", nested("CREATE TABLE t (a ", n, "ROW(b ", "INT", ")", ")")),
        ("arrays", nested("CREATE TABLE t (a ", n, "ARRAY<", "INT", ">", ")")),
        ("arrays behind", nested("CREATE TABLE t (a INT", n, " ARRAY", "", "", ")")),
        ("maps", nested("CREATE TABLE t (a ", n, "MAP<INT, ", "INT", ">", ")")),
        ("array literals", nested("SELECT ", n, "ARRAY[", "1", "]", "")),
        ("WITH", nested("", n, "WITH a AS (", "SELECT 1", ") SELECT 1", "")),
        ("EXPLAIN", nested("", n, "EXPLAIN ", "SELECT 1", "", "")),
        ("EXISTS", nested("SELECT ", n, "EXISTS (SELECT ", "1", ")", "")),
        ("INTERVAL", nested("SELECT ", n, "INTERVAL ", "'1' DAY", "", "")),
    ];
    for (what, sql) in statements {
        let Err(error) = parse(&sql) else { panic!("{what} is taken") };
        let place = error.position.unwrap_or_else(|| panic!("{what}: {error:?}"));
        assert!(place.line == 1 && place.column <= sql.chars().count() + 1, "{what}: {place:?}");
        let expected = [SqlError::TOO_COMPLEX, SqlError::UNSUPPORTED, SqlError::SYNTAX];
        assert!(expected.contains(&error.sqlstate), "{what}: {error:?}");
        assert!(error.message.len() < 200, "{what}: {}", error.message);
    }
}

/// What the parser lets through, everything behind it can take.
#[test]
fn what_is_let_through_can_be_planned() {
    let statements = [
        nested("SELECT ", 140, "(", "1", ")", ""),
        nested("SELECT * FROM ", 60, "(SELECT * FROM ", "bid", ")", ""),
        nested("SELECT ", 100, "ABS(", "price", ")", " FROM bid"),
        nested("SELECT ", 150, "NOT ", "TRUE", "", ""),
        nested("SELECT auction FROM bid WHERE price > 0", 900, " AND bidder > 1", "", "", ""),
        nested("SELECT auction FROM bid WHERE price > 0", 600, " OR bidder = price", "", "", ""),
        nested("SELECT price", 400, " + price", "", "", " FROM bid"),
        nested("SELECT 1", 300, " + 1", "", "", ""),
        nested("SELECT 'a'", 400, " || extra", "", "", " FROM bid"),
        nested("SELECT ", 100, "CASE WHEN price > 1 THEN 1 ELSE ", "0", " END", " FROM bid"),
        nested("SELECT CASE", 1000, " WHEN price = 1 THEN 2", "", "", " END FROM bid"),
        nested("SELECT price FROM bid", 300, " UNION ALL SELECT price FROM bid", "", "", ""),
        nested("SELECT CAST(NULL AS ", 45, "ROW<b ", "INT", ">", ") AS r"),
        nested("SELECT price FROM bid WHERE price IN (0", 10_000, ", 1", "", "", ")"),
        nested("SELECT price", 1500, ", price", "", "", " FROM bid"),
        nested("VALUES (1)", 10_000, ", (2)", "", "", ""),
    ];
    for sql in statements {
        let what: String = sql.chars().take(60).collect();
        if let Err(error) = plan(&sql, &on_shards(1)) {
            assert_eq!(error.sqlstate, SqlError::TOO_COMPLEX, "{what}: {error:?}");
        }
    }
}

/// Read once per token, these would take hours.
#[test]
fn long_texts_are_read_once() {
    let many = "SELECT 1; ".repeat(10_000);
    assert_eq!(parse(&many).expect("a script").len(), 10_000);
    let umlauts = "SELECT 'ä';\n".repeat(10_000);
    assert_eq!(parse(&umlauts).expect("a script").len(), 10_000);
    for (what, sql) in [
        (
            "columns",
            format!("CREATE TABLE t ({})", (0..3000).map(|n| format!("c{n} INT")).collect::<Vec<_>>().join(", ")),
        ),
        ("strings", format!("SELECT '{}'", "ä''".repeat(100_000))),
        ("comments", format!("{}SELECT 1", "/* ä */ -- x\n".repeat(20_000))),
        ("inserts", format!("BEGIN STATEMENT SET; {}END", "INSERT INTO t SELECT 1; ".repeat(3000))),
        ("joins", nested("SELECT * FROM t", 3000, " CROSS JOIN t", "", "", "")),
    ] {
        assert_eq!(parse(&sql).expect(what).len(), 1, "{what}");
    }
    for (what, sql) in [
        ("closing brackets", format!("SELECT 1 {}", ")".repeat(20_000))),
        ("subqueries, then a fault", format!("SELECT {} 1 x y", "(SELECT 1) + ".repeat(1500))),
        ("commas", format!("SELECT 1 {}", ",".repeat(20_000))),
        ("words", "a ".repeat(50_000)),
        ("open strings", "SELECT ' ".repeat(10_001)),
        ("open comments", "/* ".repeat(20_000)),
        ("less than", format!("CREATE TABLE t (a {}", "< ".repeat(20_000))),
        ("SELECTs", "SELECT ".repeat(10_000)),
    ] {
        assert!(parse(&sql).is_err(), "{what}");
    }
}
