//! One row per key of a table that is written, of a query whose rows have another key: changes of one key of the table
//! come from several shards, in any order.

use super::{Plan, Tables, options, rows, schema, settings};
use crate::simulation::Simulation;
use crate::testing::{Collection, Script};
use arrow::datatypes::DataType;
use eddyline_changes::Epoch;
use eddyline_connectors::Boundedness;
use eddyline_connectors::clock::ManualClock;
use eddyline_plan::{
    AggregateCall, AggregatePhase, ChangeMode, Conflict, GroupAggregateSpec, Input, OperatorSpec, SinkMaterializeSpec,
    SinkSpec,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// `INSERT INTO out SELECT k, SUM(v) FROM t GROUP BY k ON CONFLICT …`, where the key of `out` is the sum.
fn plan(conflict: Conflict) -> Plan {
    let mut plan = Plan::default();
    let t = plan.source("t");
    let sum = AggregateCall {
        function: "sum".into(),
        args: vec![2],
        arg_types: vec![DataType::Int64],
        distinct: false,
        filter: None,
        return_type: DataType::Int64,
        name: "sum".into(),
        list: Default::default(),
    };
    let spec =
        GroupAggregateSpec { keys: vec![0], calls: vec![sum], phase: AggregatePhase::Single, append_only: false };
    let sums = spec.output_schema(&schema());
    let group = OperatorSpec::GroupAggregate(spec);
    let group = plan.node(group, vec![Input::hash(t, vec![0])], sums.clone(), ChangeMode::Retract);
    let spec = SinkMaterializeSpec { table: "out".into(), key: vec![1], conflict };
    let one = OperatorSpec::SinkMaterialize(spec);
    let one = plan.node(one, vec![Input::hash(group, vec![1])], sums.clone(), ChangeMode::Retract);
    let spec = SinkSpec { table: "out".into(), options: options("collect"), schema: sums.clone(), key: Some(vec![1]) };
    plan.node(OperatorSpec::Sink(spec), vec![Input::forward(one)], sums, ChangeMode::Upsert);
    plan
}

/// Rows of a few keys that come and go in two splits, and the sums in the end.
fn input(random: &mut StdRng) -> (Arc<Script>, BTreeMap<String, i64>) {
    let script = Script::new(Boundedness::Bounded, &["a", "b"]);
    let mut sums = BTreeMap::new();
    for split in 0..2 {
        let mut live: Vec<(String, i64)> = Vec::new();
        for _ in 0..random.random_range(0..25) {
            let text = if !live.is_empty() && random.random_bool(0.4) {
                let (k, v) = live.swap_remove(random.random_range(0..live.len()));
                format!("- {k} 00 {v}")
            } else {
                let row = (format!("k{}", random.random_range(0..6)), random.random_range(0..4));
                live.push(row.clone());
                format!("+ {} 00 {}", row.0, row.1)
            };
            script.push(split, rows(&text));
        }
        live.into_iter().for_each(|(k, v)| *sums.entry(k).or_default() += v);
    }
    script.end_all();
    (script, sums)
}

/// The rows of a change table: key and sum.
fn content(text: &str) -> Vec<(String, i64)> {
    let row = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[0], "+", "one of each: {text}");
        (words[1].to_owned(), words[2].parse().expect("a sum"))
    };
    text.lines().map(row).collect()
}

#[test]
fn every_key_has_one_of_its_rows_and_none_is_lost() {
    for seed in 0..60 {
        let mut random = StdRng::seed_from_u64(seed);
        let (script, sums) = input(&mut random);
        let conflict = [Conflict::Deduplicate, Conflict::Nothing][random.random_range(0..2)];
        let shards = [1, 2, 4][random.random_range(0..3)];
        let out = Collection::new();
        let tables = Tables::default().source("t", &script).sink("out", &out);
        let (dataflow, registry) = (plan(conflict).dataflow(), tables.registry());
        let job = Simulation::new(dataflow, &registry, settings(shards), seed, ManualClock::shared());
        let mut job = job.expect("starts").with_random_cuts(0.05);
        assert!(job.run_to_end().expect("runs"), "seed {seed}");
        for epoch in 1..=job.completed_epochs().0 {
            let rows = content(&out.accumulated_at(Epoch(epoch)));
            let keys: BTreeSet<i64> = rows.iter().map(|(_, sum)| *sum).collect();
            assert_eq!(keys.len(), rows.len(), "seed {seed}, epoch {epoch}: one row per key");
        }
        let rows = content(&out.accumulated());
        let wanted: BTreeSet<i64> = sums.values().copied().collect();
        assert_eq!(rows.iter().map(|(_, sum)| *sum).collect::<BTreeSet<_>>(), wanted, "seed {seed}");
        for (k, sum) in rows {
            assert_eq!(sums.get(&k), Some(&sum), "seed {seed}: {k} is one of the rows with its key");
        }
    }
}

#[test]
fn a_row_that_moves_between_shards_is_no_conflict() {
    for seed in 0..40 {
        // Every key has a sum of its own at all times: 10 times its number, plus what moves by the same in all.
        let mut random = StdRng::seed_from_u64(seed);
        let script = Script::new(Boundedness::Bounded, &["a"]);
        let text =
            |sign: &str, by: i64| (0..6).map(|k| format!("{sign} k{k} 00 {}\n", 10 * (k + by))).collect::<String>();
        script.push(0, rows(&text("+", 0)));
        let steps = random.random_range(1..6);
        for by in 1..=steps {
            // One block is in one epoch: every row takes the place of the one before it.
            script.push(0, rows(&(text("-", by - 1) + &text("+", by))));
        }
        script.end_all();
        let shards = [1, 2, 4][random.random_range(0..3)];
        let out = Collection::new();
        let tables = Tables::default().source("t", &script).sink("out", &out);
        let (dataflow, registry) = (plan(Conflict::Error).dataflow(), tables.registry());
        let job = Simulation::new(dataflow, &registry, settings(shards), seed, ManualClock::shared());
        let mut job = job.expect("starts").with_random_cuts(0.05);
        assert!(job.run_to_end().unwrap_or_else(|e| panic!("seed {seed}: {e}")), "seed {seed}");
        let wanted: Vec<(String, i64)> = (0..6).map(|k| (format!("k{k}"), 10 * (k + steps))).collect();
        assert_eq!(content(&out.accumulated()), wanted, "seed {seed}");
    }
}
