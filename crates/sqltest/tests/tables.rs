//! Random statements over tables that the engine keeps: after each, every view is what a model of a few lines computes.

#![expect(clippy::expect_used, reason = "a test")]

use eddyline_engine::DataSettings;
use eddyline_sqltest::suite::Database;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sqllogictest::{DB, DBOutput};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What the tables hold: `t (k PRIMARY KEY, v)` and `u (k, w)`.
#[derive(Default)]
struct Model {
    t: BTreeMap<i64, i64>,
    u: Vec<(i64, i64)>,
}

type Rows = BTreeMap<Vec<String>, usize>;

fn counted(rows: impl Iterator<Item = Vec<String>>) -> Rows {
    let mut counted = Rows::new();
    rows.for_each(|row| *counted.entry(row).or_default() += 1);
    counted
}

fn texts<const N: usize>(values: [i64; N]) -> Vec<String> {
    values.iter().map(i64::to_string).collect()
}

impl Model {
    /// `SELECT v, COUNT(*), SUM(k) FROM t GROUP BY v`.
    fn groups(&self) -> BTreeMap<i64, (i64, i64)> {
        let mut groups = BTreeMap::new();
        for (k, v) in &self.t {
            let (n, sum) = groups.entry(*v).or_insert((0, 0));
            *n += 1;
            *sum += k;
        }
        groups
    }

    /// `SELECT t.k, v, w FROM t JOIN u ON t.k = u.k`.
    fn pairs(&self) -> impl Iterator<Item = [i64; 3]> {
        self.u.iter().filter_map(|(k, w)| self.t.get(k).map(|v| [*k, *v, *w]))
    }

    fn views(&self) -> Vec<(&'static str, Rows)> {
        let groups = self.groups();
        let mut of_pairs: BTreeMap<i64, i64> = BTreeMap::new();
        self.pairs().for_each(|[_, v, w]| *of_pairs.entry(v).or_default() += w);
        let of_u: BTreeSet<i64> = self.u.iter().map(|(k, _)| *k).collect();
        let linked = groups.iter().map(|(v, (n, _))| {
            let w = of_pairs.get(v).map_or_else(|| "NULL".to_owned(), i64::to_string);
            vec![v.to_string(), n.to_string(), w]
        });
        vec![
            ("groups", counted(groups.iter().map(|(v, (n, sum))| texts([*v, *n, *sum])))),
            ("pairs", counted(self.pairs().map(texts))),
            ("alone", counted(self.t.iter().filter(|(k, _)| !of_u.contains(k)).map(|(k, v)| texts([*k, *v])))),
            ("linked", counted(linked)),
            ("t", counted(self.t.iter().map(|(k, v)| texts([*k, *v])))),
            ("u", counted(self.u.iter().map(|(k, w)| texts([*k, *w])))),
        ]
    }

    /// Changes itself, and says by which statement.
    fn change(&mut self, random: &mut StdRng) -> String {
        let (k, v) = (random.random_range(0..8), random.random_range(0..4));
        match random.random_range(0..12) {
            0..=2 => {
                let other = random.random_range(0..8);
                self.t.extend([(k, v), (other, v)]);
                format!("INSERT INTO t VALUES ({k}, {v}), ({other}, {v})")
            }
            3 => {
                self.t.entry(k).or_insert(v);
                format!("INSERT INTO t VALUES ({k}, {v}) ON CONFLICT DO NOTHING")
            }
            4..=6 => {
                self.u.extend([(k, v), (k, v)]);
                format!("INSERT INTO u VALUES ({k}, {v}), ({k}, {v})")
            }
            7 => {
                self.t.values_mut().filter(|value| **value == v).for_each(|value| *value += 1);
                format!("UPDATE t SET v = v + 1 WHERE v = {v}")
            }
            8 => {
                self.u.iter_mut().filter(|(_, w)| *w == v).for_each(|(key, _)| *key = k);
                format!("UPDATE u SET k = {k} WHERE w = {v}")
            }
            9 => {
                self.t.retain(|key, _| *key < k);
                format!("DELETE FROM t WHERE k >= {k}")
            }
            10 => {
                let t = self.t.clone();
                self.u.retain(|(key, _)| !t.contains_key(key));
                "DELETE FROM u WHERE k IN (SELECT k FROM t)".to_owned()
            }
            _ => {
                self.u.extend(self.t.iter().map(|(k, v)| (*k, *v)));
                "INSERT INTO u SELECT k, v FROM t".to_owned()
            }
        }
    }
}

const VIEWS: [&str; 4] = [
    "CREATE MATERIALIZED VIEW groups AS SELECT v, COUNT(*) AS n, SUM(k) AS s FROM t GROUP BY v",
    "CREATE MATERIALIZED VIEW pairs AS SELECT t.k, v, w FROM t JOIN u ON t.k = u.k",
    "CREATE MATERIALIZED VIEW alone AS SELECT k, v FROM t WHERE k NOT IN (SELECT k FROM u)",
    "CREATE MATERIALIZED VIEW linked AS SELECT g.v, g.n, p.w FROM groups g \
     LEFT JOIN (SELECT v, SUM(w) AS w FROM pairs GROUP BY v) p ON p.v = g.v",
];

/// With a directory, the process ends every now and then, and begins anew.
fn statements(seed: u64, shards: usize, changes: usize, directory: Option<&Path>) {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    // Snapshots come every few statements.
    let data = directory.map(|directory| DataSettings { log_bytes: 1500, ..DataSettings::new(directory) });
    let open = || match &data {
        Some(data) => {
            let (database, instance) = Database::open(tokio.handle().clone(), shards, data.clone());
            (database, Some(instance))
        }
        None => (Database::new(tokio.handle().clone(), shards), None),
    };
    let (mut database, mut instance) = open();
    let mut random = StdRng::seed_from_u64(seed);
    let mut model = Model::default();
    let run =
        |database: &mut Database, sql: &str| database.run(sql).unwrap_or_else(|e| panic!("seed {seed}: {sql}: {e}"));
    run(&mut database, "CREATE TABLE t (k INT PRIMARY KEY, v INT)");
    run(&mut database, "CREATE TABLE u (k INT NOT NULL, w INT)");
    if shards > 1 {
        run(&mut database, &format!("SET 'execution.shards' = '{shards}'"));
    }
    let mut made = 0;
    for at in 0..changes {
        // Views come while rows are there already.
        if made < VIEWS.len() && at >= made * 3 {
            run(&mut database, VIEWS[made]);
            made += 1;
        }
        let sql = model.change(&mut random);
        run(&mut database, &sql);
        if let Some(ended) = instance.take_if(|_| random.random_bool(0.15)) {
            ended.close().expect("closed");
            drop((database, ended));
            (database, instance) = open();
        }
        for (view, expected) in model.views() {
            let is_there = VIEWS.iter().position(|sql| sql.contains(&format!("VIEW {view} ")));
            if is_there.is_some_and(|number| number >= made) {
                continue;
            }
            let DBOutput::Rows { rows, .. } = run(&mut database, &format!("SELECT * FROM `{view}`")) else {
                panic!("{view}: no rows")
            };
            assert_eq!(counted(rows.into_iter()), expected, "seed {seed}, after {sql}: {view}");
        }
    }
}

#[test]
fn views_follow_every_statement() {
    (0..4).for_each(|seed| statements(seed, 1, 40, None));
}

#[test]
fn views_follow_every_statement_on_several_shards() {
    (10..12).for_each(|seed| statements(seed, 3, 30, None));
}

#[test]
fn tables_and_views_are_there_again_after_every_restart() {
    for seed in 20..22 {
        let directory = tempfile::tempdir().expect("a directory");
        statements(seed, 1, 40, Some(directory.path()));
    }
}
