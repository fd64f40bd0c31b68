//! Random subqueries that refer to the queries around them, in any place and by any condition.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

fn one<'a>(rng: &mut StdRng, of: &[&'a str]) -> &'a str {
    of.choose(rng).copied().unwrap_or_default()
}

/// A query over tables with columns `k STRING, a BIGINT`.
pub(crate) fn query(rng: &mut StdRng, tables: &[&str]) -> String {
    let from = one(rng, tables).to_owned();
    let compared = one(rng, &["=", "<>", "<", ">=", ">"]);
    let not = if rng.random_bool(0.4) { "NOT " } else { "" };
    let quantifier = one(rng, &["ANY", "ALL"]);
    match rng.random_range(0..14) {
        0 | 1 => format!("SELECT l.k, l.a, ({}) AS v FROM {from} AS l", value(rng, tables)),
        2 => format!("SELECT l.k, l.a FROM {from} AS l WHERE l.a {compared} ({})", value(rng, tables)),
        3 => format!("SELECT l.k, l.a FROM {from} AS l WHERE {not}EXISTS ({})", rows(rng, tables)),
        4 => format!("SELECT l.k, l.a FROM {from} AS l WHERE l.a {not}IN ({})", rows(rng, tables)),
        5 => format!("SELECT l.k, l.a, l.a {compared} {quantifier} ({}) AS v FROM {from} AS l", rows(rng, tables)),
        6 => format!("SELECT l.k, l.a FROM {from} AS l WHERE l.k = 'x' OR {not}EXISTS ({})", rows(rng, tables)),
        7 | 8 => format!("SELECT l.k, l.a, x.v FROM {from} AS l CROSS JOIN LATERAL ({}) AS x", rows(rng, tables)),
        9 => {
            let on = one(rng, &["TRUE", "x.v > 0", "x.v = l.a"]);
            let inner =
                if rng.random_bool(0.5) { rows(rng, tables) } else { format!("SELECT ({}) AS v", value(rng, tables)) };
            format!("SELECT l.k, l.a, x.v FROM {from} AS l LEFT JOIN LATERAL ({inner}) AS x ON {on}")
        }
        10 => format!("SELECT l.k, SUM(({})) AS a, COUNT(*) AS n FROM {from} AS l GROUP BY l.k", value(rng, tables)),
        11 => format!(
            "SELECT l.k, MAX(l.a) AS a FROM {from} AS l GROUP BY l.k HAVING COUNT(*) {compared} (SELECT COUNT(*) FROM {} AS r WHERE r.k >= l.k)",
            one(rng, tables)
        ),
        12 => format!(
            "SELECT k, a FROM (SELECT l.k, l.a FROM {from} AS l ORDER BY ({}), l.a, l.k LIMIT 3) AS f",
            value(rng, tables)
        ),
        _ => format!(
            "SELECT k, a FROM (SELECT l.k, l.a FROM {from} AS l WHERE l.a > -4) AS l WHERE a {not}IN (SELECT v FROM ({}) AS i)",
            rows(rng, tables)
        ),
    }
}

/// What a row `r` has to do with the row `l` of the query around it.
fn condition(rng: &mut StdRng, tables: &[&str]) -> String {
    let other = one(rng, tables).to_owned();
    let simple = [
        "r.k = l.k",
        "r.k = l.k",
        "r.a < l.a",
        "r.a <> l.a",
        "r.a = l.a AND r.k >= l.k",
        "r.k = l.k AND r.a > l.a",
        "r.a + l.a > 0",
        "(r.k = l.k OR r.a > l.a)",
        "COALESCE(r.a, 0) >= l.a",
        "r.k IS NOT DISTINCT FROM l.k",
        "l.a > 0",
        "r.a > 0",
    ];
    match rng.random_range(0..20) {
        0 => format!("EXISTS (SELECT 1 FROM {other} AS q WHERE q.k = r.k AND q.a < l.a)"),
        1 => format!("NOT EXISTS (SELECT 1 FROM {other} AS q WHERE q.a = l.a AND q.k <> r.k)"),
        2 => format!("r.a > (SELECT COUNT(*) FROM {other} AS q WHERE q.a = l.a)"),
        3 => format!("r.k = l.k AND r.a >= (SELECT MIN(q.a) FROM {other} AS q WHERE q.k = r.k)"),
        4 => format!("r.a IN (SELECT q.a + l.a FROM {other} AS q)"),
        5 => format!("r.k = l.k AND r.a >= ALL (SELECT q.a FROM {other} AS q WHERE q.a < l.a AND q.k = r.k)"),
        _ => one(rng, &simple).to_owned(),
    }
}

/// A subquery of a column `v BIGINT`.
fn rows(rng: &mut StdRng, tables: &[&str]) -> String {
    let (right, other) = (one(rng, tables).to_owned(), one(rng, tables).to_owned());
    let c = condition(rng, tables);
    let from = format!("FROM {right} AS r WHERE {c}");
    match rng.random_range(0..25) {
        0 | 1 => format!("SELECT r.a AS v {from}"),
        2 => format!("SELECT r.a + l.a AS v {from}"),
        3 => format!("SELECT DISTINCT r.a AS v {from}"),
        4 => format!("SELECT MAX(r.a) AS v {from} GROUP BY r.k"),
        5 => format!("SELECT COUNT(*) AS v {from} GROUP BY r.k HAVING COUNT(*) > l.a"),
        6 => format!("SELECT COUNT(*) AS v {from} HAVING COUNT(*) > 1"),
        7 => {
            let set = one(rng, &["UNION ALL", "UNION", "EXCEPT", "INTERSECT", "EXCEPT ALL", "INTERSECT ALL"]);
            let second = [
                "SELECT l.a AS v".to_owned(),
                format!("SELECT q.a AS v FROM {other} AS q"),
                format!("SELECT q.a AS v FROM {other} AS q WHERE q.a <= l.a"),
            ];
            format!("SELECT r.a AS v {from} {set} {}", second.choose(rng).map_or("", String::as_str))
        }
        8 => {
            let kind = one(rng, &["LEFT", "RIGHT", "FULL", "INNER"]);
            // A condition on both sides, of which one equals: a FULL JOIN asks for it.
            format!(
                "SELECT COALESCE(r.a, q.a) AS v FROM (SELECT r.k, r.a {from}) AS r {kind} JOIN {other} AS q ON q.k = r.k AND q.a < l.a"
            )
        }
        9 => format!("SELECT q.a AS v FROM {right} AS r LEFT JOIN {other} AS q ON q.k = r.k AND q.a > l.a WHERE {c}"),
        10 => {
            let partition = one(rng, &["", "PARTITION BY r.k "]);
            format!(
                "SELECT a AS v FROM (SELECT r.a, ROW_NUMBER() OVER ({partition}ORDER BY r.a, r.k) AS n {from}) AS f WHERE n <= 2"
            )
        }
        11 => format!("SELECT r.a AS v {from} ORDER BY r.a DESC, r.k LIMIT 2"),
        12 => format!("SELECT r.a AS v {from} ORDER BY r.a + l.a, r.a, r.k LIMIT 1"),
        13 => format!("SELECT SUM(r.a) OVER (ORDER BY r.a) AS v {from}"),
        14 => "SELECT e.x AS v FROM UNNEST(ARRAY[l.a, l.a + 1]) AS e(x)".to_owned(),
        15 => format!("SELECT e.x AS v FROM {right} AS r CROSS JOIN UNNEST(ARRAY[r.a, l.a]) AS e(x) WHERE {c}"),
        16 => format!(
            "SELECT e.x AS v FROM (SELECT r.k, ARRAY[r.a, r.a + 1] AS ns {from}) AS i CROSS JOIN UNNEST(i.ns) AS e(x)"
        ),
        17 => "SELECT w.x AS v FROM (VALUES (l.a), (l.a + 1), (3)) AS w(x)".to_owned(),
        18 => format!(
            "SELECT x.v FROM {right} AS r CROSS JOIN LATERAL (SELECT q.a + l.a AS v FROM {other} AS q WHERE q.k = r.k) AS x WHERE {c}"
        ),
        19 => format!(
            "SELECT x.v FROM {right} AS r LEFT JOIN LATERAL (SELECT COUNT(*) AS v FROM {other} AS q WHERE q.a < l.a AND q.k = r.k) AS x ON TRUE WHERE {c}"
        ),
        20 => format!("SELECT COUNT(*) + l.a AS v {from}"),
        // Columns of one name.
        21 => format!("SELECT q.a AS v FROM {right} AS r JOIN {other} AS q ON q.k = r.k WHERE {c} AND q.a >= l.a"),
        22 => {
            let hidden = one(rng, &["r.a AS v", "r.a + 1 AS v", "r.a AS v, r.a - 1 AS a"]);
            let distinct = one(rng, &["", "DISTINCT "]);
            format!("SELECT {distinct}v FROM (SELECT {hidden} {from}) AS i")
        }
        23 => format!(
            "SELECT MAX(q.a) AS v FROM {right} AS r JOIN {other} AS q ON r.a = q.a WHERE {c} AND q.k = l.k GROUP BY q.k"
        ),
        _ => "SELECT l.a AS v".to_owned(),
    }
}

/// A subquery of one row at most, of a BIGINT.
fn value(rng: &mut StdRng, tables: &[&str]) -> String {
    let right = one(rng, tables).to_owned();
    let c = condition(rng, tables);
    let from = format!("FROM {right} AS r WHERE {c}");
    let calls = [
        "COUNT(*)",
        "SUM(r.a)",
        "MAX(r.a + l.a)",
        "COUNT(DISTINCT r.k)",
        "COUNT(*) + l.a",
        "MIN(r.a) FILTER (WHERE r.a > l.a)",
        "COUNT(r.a) * 2",
    ];
    match rng.random_range(0..9) {
        0..=3 => format!("SELECT {} {from}", one(rng, &calls)),
        // NULLIF: the oracle takes COUNT for a value that is never NULL, also where there is no row.
        4 => format!("SELECT NULLIF({}, -9999) {from} HAVING COUNT(*) > 1", one(rng, &calls)),
        5 => format!("SELECT r.a {from} ORDER BY r.a, r.k LIMIT 1"),
        6 => {
            let other = one(rng, tables);
            format!("SELECT COUNT(*) AS a FROM {right} AS r JOIN {other} AS q ON q.k = r.k WHERE {c} AND q.a = l.a")
        }
        7 => format!("SELECT COUNT(v) FROM ({}) AS i", rows(rng, tables)),
        _ => format!("SELECT SUM(v) FROM ({}) AS i", rows(rng, tables)),
    }
}
