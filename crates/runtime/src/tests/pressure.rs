use super::*;
use crate::job::JobState;
use eddyline_connectors::Boundedness::Bounded;
use std::time::Duration;

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

/// How long checkpoints take whose barriers meet rows that a slow sink has not taken yet.
fn checkpoint_times(barrier_budget: Duration) -> Vec<Duration> {
    let s = Script::new(Bounded, &["a"]);
    for n in 0..4000 {
        s.push(0, rows(&format!("+ k{} 00 {n}", n % 5)));
    }
    let out = Collection::new().slow();
    let mut plan = Plan::default();
    let a = plan.timed_source("s", None);
    plan.sink("out", Input::hash(a, vec![0]));
    let tables = Tables::default().source("s", &s).sink("out", &out);
    let settings = JobSettings { channel_batches: 200, batch_rows: 1, barrier_budget, ..settings(1) };
    let mut job = simulate(&plan, &tables, settings, 1);
    let tick = Duration::from_millis(100);
    let (mut times, mut begun, mut asked) = (Vec::new(), Duration::ZERO, false);
    for at in 0..3000 {
        let now = tick * at;
        if !asked && at % 20 == 0 {
            job.checkpoint();
            (asked, begun) = (true, now);
        }
        let before = job.completed_checkpoint();
        out.room(1);
        job.run_until_idle().unwrap();
        job.advance(tick);
        if asked && job.completed_checkpoint() > before {
            times.push(now - begun);
            asked = false;
        }
    }
    times
}

/// Ten rows a second: the 200 that a channel holds take 20 seconds.
#[test]
fn barriers_keep_to_their_budget_behind_a_slow_sink() {
    let free = checkpoint_times(Duration::MAX);
    assert!(free.iter().skip(1).all(|t| *t > Duration::from_secs(15)), "{free:?}");
    let paced = checkpoint_times(Duration::from_secs(2));
    let late: Vec<&Duration> = paced.iter().skip(2).filter(|t| **t > Duration::from_secs(4)).collect();
    assert!(paced.len() > 30 && late.is_empty(), "{paced:?}");
}
