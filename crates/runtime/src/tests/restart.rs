use super::*;
use crate::job::JobState;
use eddyline_changes::Epoch;
use eddyline_connectors::Boundedness::Bounded;

fn plan() -> Plan {
    let mut plan = Plan::default();
    let t = plan.timed_source("t", None);
    let on_time = plan.on_time(Input::hash(t, vec![2]));
    let sum = plan.sum(on_time);
    plan.sink("out", Input::forward(sum));
    plan.sink("all", Input::forward(on_time));
    plan
}

/// Two files in ranges, each file in order, so that nothing is late.
fn script() -> Arc<Script> {
    let script = Script::new(Bounded, &["a#0", "b#0", "a#1", "b#1", "a#2"]);
    for n in 0..50 {
        // Every block is a batch, so that its rows see the same watermark.
        let (split, second) = (n / 10, n / 20 * 20 + n % 10 * 2);
        script.push(split, rows(&format!("+ k{} {second:02} {n}\n+ k{} {second:02} 1", n % 7, n % 3)));
    }
    script.push(4, rows("+ k0 59 5\n- k0 59 5"));
    script.push(4, rows("+ k9 59.5 9\n- k9 59.5 9"));
    script.end_all();
    script
}

#[test]
fn a_job_that_crashes_commits_the_same_as_one_that_does_not() {
    let (sums, rows) = undisturbed();
    for seed in 0..60u64 {
        let (out, all) = (Collection::new().durable(), Collection::new().durable());
        let tables = Tables::default().source("t", &script()).sink("out", &out).sink("all", &all);
        let settings = JobSettings { batch_rows: 3, channel_batches: 2, ..settings(1 + seed as usize % 3) };
        let mut job = simulate(&plan(), &tables, settings, seed).with_random_cuts(0.02);
        let (mut checkpoints, mut step, mut crashes) = (0, 0u64, 0);
        while job.state() != JobState::Finished {
            step += 1;
            if step.is_multiple_of(40 + seed) {
                job.checkpoint();
                checkpoints += 1;
            }
            if step.is_multiple_of(170 + 3 * seed) && crashes < 5 {
                job.crash().unwrap();
                crashes += 1;
            }
            if !job.step().unwrap() && job.state() != JobState::Finished {
                job.advance(std::time::Duration::from_millis(100));
            }
            assert!(step < 200_000, "seed {seed}");
        }
        assert!(checkpoints > 0);
        assert_eq!(out.accumulated(), sums, "seed {seed}, {crashes} crashes");
        assert_eq!(all.accumulated(), rows, "seed {seed}, {crashes} crashes");
    }
}

fn undisturbed() -> (String, String) {
    let (out, all) = (Collection::new(), Collection::new());
    let tables = Tables::default().source("t", &script()).sink("out", &out).sink("all", &all);
    let mut job = simulate(&plan(), &tables, settings(1), 0);
    assert!(job.run_to_end().unwrap());
    assert_eq!((job.metrics().rows_in, job.metrics().late_rows), (104, 0));
    (out.accumulated(), all.accumulated())
}

#[test]
fn without_a_checkpoint_it_begins_anew_and_with_one_it_goes_on() {
    let (out, all) = (Collection::new().durable(), Collection::new().durable());
    let script = Script::new(Bounded, &["a"]);
    let tables = Tables::default().source("t", &script).sink("out", &out).sink("all", &all);
    let mut job = simulate(&plan(), &tables, settings(2), 1);
    script.push(0, rows("+ a 01 1\n+ a 02 2"));
    job.run_until_idle().unwrap();
    job.crash().unwrap();
    job.run_until_idle().unwrap();
    assert_eq!((job.metrics().rows_in, out.text()), (2, String::new()));
    job.checkpoint();
    job.run_until_idle().unwrap();
    assert_eq!((job.completed_checkpoint(), out.text().as_str()), (Epoch(1), "+ a 3\n"));
    job.crash().unwrap();
    script.push(0, rows("+ a 03 4"));
    script.end_all();
    assert!(job.run_to_end().unwrap());
    assert_eq!(job.metrics().rows_in, 1, "what the checkpoint holds is not read again");
    assert_eq!(out.text(), "+ a 3\n- a 3\n+ a 7\n");
}
