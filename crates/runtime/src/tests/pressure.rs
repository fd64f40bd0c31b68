use super::*;
use crate::job::JobState;
use eddyline_connectors::Boundedness::Bounded;

/// Two sources, three levels of exchange, two sinks, one of them slow; channels of one element.
#[test]
fn tiny_channels_and_slow_sinks_never_deadlock() {
    for seed in 0..150u64 {
        let (s, t) = (Script::new(Bounded, &["a", "b", "c"]), Script::new(Bounded, &["x"]));
        for n in 0..30 {
            s.push(n % 3, rows(&format!("+ k{} {:02} {n}", n % 5, n % 60)));
            t.push(0, rows(&format!("+ k{} {:02} {n}\n+ k{} 00 1", n % 3, n % 60, n % 4)));
        }
        s.end_all();
        t.end_all();
        let (out, raw) = (Collection::new().slow(), Collection::new());
        let mut plan = Plan::default();
        let (a, b) = (plan.timed_source("s", None), plan.timed_source("t", None));
        let both = plan.union(vec![Input::hash(a, vec![2]), Input::forward(b)]);
        let mixed = plan.union(vec![Input::hash(both, vec![0]), Input::hash(a, vec![0])]);
        let sum = plan.sum(mixed);
        plan.sink("out", Input::hash(sum, vec![1]));
        plan.sink("raw", Input::forward(mixed));
        let tables = Tables::default().source("s", &s).source("t", &t).sink("out", &out).sink("raw", &raw);
        let settings = JobSettings { channel_batches: 1, batch_rows: 1, ..settings(1 + seed as usize % 4) };
        let mut job = simulate(&plan, &tables, settings, seed).with_random_cuts(0.1);
        let mut rounds = 0;
        while job.state() != JobState::Finished {
            job.run_until_idle().unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            out.room(1 + seed as usize % 3);
            rounds += 1;
            assert!(rounds < 10_000, "seed {seed}: no progress in {:?}", job.metrics());
        }
        assert_eq!(job.metrics().rows_in, 90);
        let total: i64 = (0..30).sum::<i64>() * 2 + (0..30).sum::<i64>() + 30;
        let sums: i64 = out.accumulated().lines().map(|l| l.split(' ').nth(2).unwrap().parse::<i64>().unwrap()).sum();
        assert_eq!(sums, total, "seed {seed}:\n{}", out.accumulated());
    }
}
