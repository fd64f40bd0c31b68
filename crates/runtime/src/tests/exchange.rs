use super::*;
use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use eddyline_connectors::Boundedness::Bounded;
use std::collections::HashMap;

#[test]
fn rows_of_one_key_stay_in_order_and_on_one_shard() {
    for seed in 0..30 {
        let script = Script::new(Bounded, &["a"]);
        for n in 0..200 {
            script.push(0, rows(&format!("+ k{} 00 {n}", n % 11)));
        }
        script.end_all();
        let out = Collection::new();
        let mut plan = Plan::default();
        let t = plan.source_with("t", None);
        plan.sink("out", Input::hash(t, vec![0]));
        let tables = Tables::default().source("t", &script).sink("out", &out);
        let settings = JobSettings { batch_rows: 16, channel_batches: 2, ..settings(4) };
        let mut job = simulate(&plan, &tables, settings, seed).with_random_cuts(0.02);
        assert!(job.run_to_end().unwrap());
        let mut last: HashMap<String, (usize, i64)> = HashMap::new();
        for (_, shard, changes) in out.committed() {
            let (keys, values) = (changes.column(0).as_string::<i32>(), changes.column(2).as_primitive::<Int64Type>());
            for row in 0..changes.num_rows() {
                let (key, value) = (keys.value(row).to_owned(), values.value(row));
                if let Some(before) = last.insert(key.clone(), (shard, value)) {
                    assert_eq!(before.0, shard, "{key} moved, seed {seed}");
                    assert!(before.1 < value, "{key}: {value} after {}, seed {seed}", before.1);
                }
            }
        }
        assert_eq!(last.len(), 11);
        assert_eq!(job.metrics().rows_out, 200);
        let shards: std::collections::HashSet<usize> = last.values().map(|(s, _)| *s).collect();
        assert!(shards.len() > 1, "keys are spread");
    }
}

#[test]
fn an_exchange_without_columns_brings_all_rows_to_one_shard() {
    let script = Script::new(Bounded, &["a", "b", "c", "d"]);
    (0..40).for_each(|n| script.push(n % 4, rows(&format!("+ k{n} 00 {n}"))));
    script.end_all();
    let out = Collection::new();
    let mut plan = Plan::default();
    let t = plan.source_with("t", None);
    plan.sink("out", Input::hash(t, Vec::new()));
    let mut job = simulate(&plan, &Tables::default().source("t", &script).sink("out", &out), settings(4), 5);
    assert!(job.run_to_end().unwrap());
    assert!(out.committed().iter().all(|(_, shard, _)| *shard == 0));
    assert_eq!(out.accumulated().lines().count(), 40);
}

#[test]
fn diamonds_inside_and_across_fragments() {
    for seed in 0..40 {
        let script = Script::new(Bounded, &["a", "b"]);
        (0..40).for_each(|n| script.push(n % 2, rows(&format!("+ k{} 00 {n}", n % 5))));
        script.end_all();
        let (out, sums) = (Collection::new(), Collection::new());
        let mut plan = Plan::default();
        let t = plan.source("t");
        // Twice the same rows within a fragment, then once more through an exchange.
        let twice = plan.union(vec![Input::forward(t), Input::forward(t)]);
        let thrice = plan.union(vec![Input::forward(twice), Input::hash(t, vec![0])]);
        plan.sink("out", Input::forward(thrice));
        // Sums of rows that also come by another way: the fragment must not feed itself.
        let sum = plan.sum(twice);
        let again = plan.union(vec![Input::forward(sum), Input::forward(sum)]);
        plan.sink("sums", Input::forward(again));
        let tables = Tables::default().source("t", &script).sink("out", &out).sink("sums", &sums);
        let settings = JobSettings { channel_batches: 1, batch_rows: 2, ..settings(1 + seed as usize % 3) };
        let mut job = simulate(&plan, &tables, settings, seed).with_random_cuts(0.1);
        assert!(job.run_to_end().unwrap(), "seed {seed}");
        assert_eq!(out.accumulated().lines().count(), 40, "seed {seed}");
        assert!(out.accumulated().lines().all(|l| l.starts_with("+3 ")), "{}", out.accumulated());
        let expected = "+2 k0 280\n+2 k1 296\n+2 k2 312\n+2 k3 328\n+2 k4 344\n";
        assert_eq!(sums.accumulated(), expected, "seed {seed}");
    }
}
