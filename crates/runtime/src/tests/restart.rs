use super::*;
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
