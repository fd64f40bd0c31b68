use super::shrink;
use crate::check::{Case, check};
use crate::random;
use rand::SeedableRng;
use rand::rngs::StdRng;

fn failing(query: &str) -> Case {
    let mut rng = StdRng::seed_from_u64(5);
    let tables = vec![random::table(&mut rng, "t", true, 60), random::table(&mut rng, "u", false, 60)];
    Case { seed: 5, shards: 4, tables, query: query.to_owned(), on_update: false }
}

/// An engine that answers wrongly whenever a row with the key `Zed` is there and something is summed up.
fn faulty(case: &Case) -> Result<(), String> {
    check(case)?;
    let has_zed = |t: &random::RandomTable| {
        case.query.contains(&t.name)
            && t.splits.iter().flatten().any(|b| eddyline_changes::table::format_changes(b).contains("+ Zed "))
    };
    match case.query.contains("SUM(") && case.tables.iter().any(has_zed) {
        true => Err(format!("the output has too much (+) or too little (-):\nseed {}", case.seed)),
        false => Ok(()),
    }
}

#[test]
fn a_wrong_answer_becomes_a_few_rows_and_a_short_query() {
    let query = "SELECT s.k AS k, SUM(s.a) AS a, COUNT(*) AS x0 FROM (SELECT UPPER(k) AS k, a + 1 AS a FROM t \
                 WHERE (a > -9 OR k IS NULL) UNION ALL SELECT k, a FROM u) AS s GROUP BY s.k HAVING COUNT(*) > 0";
    let before = failing(query);
    assert!(faulty(&before).is_err());
    let small = shrink(&before, &faulty);
    let rows: usize = small.tables.iter().flat_map(|t| &t.splits).flatten().map(|b| b.num_rows()).sum();
    assert_eq!((small.shards, small.tables.len(), rows), (1, 1, 1), "{}", small.query);
    assert!(small.query.len() < 30, "{}", small.query);
    let slt = small.to_slt("told").expect("an answer");
    assert!(slt.contains("statement ok\nCREATE TABLE") && slt.contains("+ Zed") && slt.contains("\n----\n"), "{slt}");
}

#[test]
fn a_query_that_cannot_be_planned_keeps_its_reason() {
    let before = failing("SELECT k, COUNT(*) AS n FROM t WHERE a > 0 AND no_such_column = 1 GROUP BY k");
    let small = shrink(&before, &check);
    let told = check(&small).expect_err("still fails");
    assert!(told.contains("no_such_column"), "{told}");
    assert!(small.query.len() < 45, "{}", small.query);
}

#[test]
fn what_does_not_fail_stays_as_it_is() {
    let before = failing("SELECT k FROM t");
    assert_eq!(shrink(&before, &check).query, before.query);
}
