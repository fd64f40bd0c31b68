use super::*;
use crate::job::JobState;
use eddyline_changes::Epoch;
use eddyline_connectors::Boundedness::{Bounded, Unbounded};
use std::time::Duration;

/// t → sum by k → out, with t → all as a second sink.
fn two_sinks() -> Plan {
    let mut plan = Plan::default();
    let t = plan.source("t");
    let sum = plan.sum(t);
    plan.sink("out", Input::forward(sum));
    plan.sink("all", Input::forward(t));
    plan
}

fn tables(script: &Arc<Script>, out: &Arc<Collection>, all: &Arc<Collection>) -> Tables {
    Tables::default().source("t", script).sink("out", out).sink("all", all)
}

/// The batch answer of [`two_sinks`], by hand: SUM(v) by k over what `all` holds.
fn sums_of(all: &str) -> String {
    let mut sums: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for line in all.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let weight: i64 = if words[0] == "+" { 1 } else { words[0].parse().unwrap() };
        let entry = sums.entry(words[1].to_owned()).or_default();
        *entry = (entry.0 + weight, entry.1 + weight * words[3].parse::<i64>().unwrap());
    }
    sums.iter().filter(|(_, (rows, _))| *rows > 0).map(|(k, (_, sum))| format!("+ {k} {sum}\n")).collect()
}

#[test]
fn at_every_epoch_the_sinks_agree_whatever_the_shards_cuts_and_schedules() {
    for seed in 0..60 {
        let shards = [1, 2, 4][seed as usize % 3];
        let script = Script::new(Bounded, &["a", "b", "c"]);
        for n in 0..30 {
            script.push(n % 3, rows(&format!("+ k{} 00 {n}\n+2 k{} 01 {}", n % 7, n % 4, n * 10)));
        }
        script.push(1, rows("- k1 00 1\n-2 k1 01 10"));
        script.end_all();
        let (out, all) = (Collection::new(), Collection::new());
        let settings = JobSettings { batch_rows: 1 + seed as usize % 5, ..settings(shards) };
        let mut job = simulate(&two_sinks(), &tables(&script, &out, &all), settings, seed).with_random_cuts(0.05);
        assert!(job.run_to_end().unwrap(), "seed {seed}");
        assert_eq!(job.state(), JobState::Finished);
        for epoch in 1..=job.completed_epochs().0 {
            let expected = sums_of(&all.accumulated_at(Epoch(epoch)));
            assert_eq!(out.accumulated_at(Epoch(epoch)), expected, "epoch {epoch}, seed {seed}");
        }
        assert_eq!(job.metrics().rows_in, 62, "seed {seed}");
        assert_eq!(out.accumulated().lines().count(), 7);
    }
}

#[test]
fn a_lone_row_is_an_epoch_of_its_own_without_waiting() {
    let script = Script::new(Unbounded, &["a", "b"]);
    let (out, all) = (Collection::new(), Collection::new());
    let mut job = simulate(&two_sinks(), &tables(&script, &out, &all), settings(2), 1);
    job.run_until_idle().unwrap();
    assert_eq!(job.completed_epochs(), Epoch(0), "no rows, no epoch");
    for n in 1..=3u64 {
        script.push(n as usize % 2, rows(&format!("+ k 00 {n}")));
        job.run_until_idle().unwrap();
        assert_eq!(job.completed_epochs(), Epoch(n));
        assert_eq!(all.committed().len(), n as usize);
    }
    assert_eq!(out.text(), "+ k 1\n- k 1\n+ k 3\n- k 3\n+ k 6\n");
}

#[test]
fn a_source_that_does_not_rest_gets_epochs_by_the_clock() {
    let script = Script::new(Bounded, &["a"]);
    let (out, all) = (Collection::new(), Collection::new());
    let mut job = simulate(&two_sinks(), &tables(&script, &out, &all), settings(1), 1);
    script.push(0, rows("+ k 00 1"));
    job.run_until_idle().unwrap();
    job.advance(Duration::from_millis(99));
    job.run_until_idle().unwrap();
    assert_eq!(job.completed_epochs(), Epoch(0));
    job.advance(Duration::from_millis(1));
    job.run_until_idle().unwrap();
    assert_eq!(job.completed_epochs(), Epoch(1));
    assert_eq!(out.text(), "+ k 1\n");
}

#[test]
fn many_rows_end_an_epoch_before_its_time() {
    let script = Script::new(Bounded, &["a"]);
    let (out, all) = (Collection::new(), Collection::new());
    let settings = JobSettings { epoch_rows: 2, ..settings(1) };
    let mut job = simulate(&two_sinks(), &tables(&script, &out, &all), settings, 1);
    script.push(0, rows("+ k 00 1\n+ k 00 1"));
    job.run_until_idle().unwrap();
    assert_eq!(job.completed_epochs(), Epoch(1));
}

#[test]
fn stop_commits_what_was_read_and_ends() {
    for seed in 0..20 {
        let script = Script::new(Unbounded, &["a", "b"]);
        let (out, all) = (Collection::new(), Collection::new());
        let mut job = simulate(&two_sinks(), &tables(&script, &out, &all), settings(2), seed);
        for n in 0..20 {
            script.push(n % 2, rows(&format!("+ k{n} 00 {n}")));
        }
        for _ in 0..seed {
            job.step().unwrap();
        }
        job.stop();
        job.run_until_idle().unwrap();
        assert_eq!(job.state(), JobState::Stopped, "seed {seed}");
        assert_eq!(out.accumulated(), sums_of(&all.accumulated()), "seed {seed}");
        assert_eq!(all.committed().iter().map(|(_, _, c)| c.num_rows() as u64).sum::<u64>(), job.metrics().rows_in);
    }
}

#[test]
fn an_empty_input_ends_in_one_epoch() {
    let script = Script::new(Bounded, &["a"]);
    script.end_all();
    let (out, all) = (Collection::new(), Collection::new());
    let mut job = simulate(&two_sinks(), &tables(&script, &out, &all), settings(4), 1);
    assert!(job.run_to_end().unwrap());
    assert_eq!((job.state(), job.completed_epochs()), (JobState::Finished, Epoch(1)));
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let script = Script::new(Bounded, &["a", "b"]);
        (0..20).for_each(|n| script.push(n % 2, rows(&format!("+ k{n} 00 {n}"))));
        script.end_all();
        let (out, all) = (Collection::new(), Collection::new());
        let mut job = simulate(&two_sinks(), &tables(&script, &out, &all), settings(3), seed).with_random_cuts(0.1);
        job.run_to_end().unwrap();
        all.committed().iter().map(|(e, s, c)| (*e, *s, format!("{c:?}"))).collect::<Vec<_>>()
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

/// How many rows each epoch of a job shows whose input comes in blocks of seven, with epochs that are cut at any moment and hold few rows.
fn rows_of_epochs(keeps_together: bool) -> Vec<usize> {
    let mut found = Vec::new();
    for seed in 0..20 {
        let script = Script::new(Bounded, &["a", "b"]);
        if keeps_together {
            script.keep_together();
        }
        for n in 0..20 {
            let block: String = (0..7).map(|row| format!("+ k{n} 00 {row}\n")).collect();
            script.push(n % 2, rows(block.trim()));
        }
        script.end_all();
        let (out, all) = (Collection::new(), Collection::new());
        let settings = JobSettings { batch_rows: 2, epoch_rows: 3, ..settings(1 + seed as usize % 2) };
        let mut job = simulate(&two_sinks(), &tables(&script, &out, &all), settings, seed).with_random_cuts(0.2);
        assert!(job.run_to_end().unwrap(), "seed {seed}");
        let rows_at = |epoch| all.accumulated_at(Epoch(epoch)).lines().count();
        found.extend((1..=job.completed_epochs().0).map(rows_at));
        assert_eq!(found.last(), Some(&140), "seed {seed}");
    }
    found
}

#[test]
fn what_belongs_together_comes_in_one_epoch() {
    let together = rows_of_epochs(true);
    assert!(together.iter().all(|rows| rows % 7 == 0), "{together:?}");
    // Else epochs end within blocks.
    assert!(rows_of_epochs(false).iter().any(|rows| rows % 7 != 0));
}
