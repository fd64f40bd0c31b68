use super::*;

const MS: Duration = Duration::from_millis(1);

fn coordinator(shards: usize, source_tasks: usize) -> Coordinator {
    made(shards, source_tasks, None)
}

fn made(shards: usize, source_tasks: usize, checkpoints: Option<CheckpointTimes>) -> Coordinator {
    let (epoch_interval, idle_interval, after) = (100 * MS, 5 * MS, Epoch(0));
    Coordinator::new(CoordinatorSettings {
        shards,
        source_tasks,
        epoch_interval,
        idle_interval,
        barrier_budget: Duration::MAX,
        epoch_rows: 1000,
        after,
        after_ms: i64::MIN,
        on_demand: false,
        checkpoints,
    })
}

/// Of a job whose sink 7 is exactly-once and whose sink 8 is not.
fn with_checkpoints(interval: Option<Duration>) -> Coordinator {
    with_timeout(interval, Duration::MAX)
}

fn with_timeout(interval: Option<Duration>, timeout: Duration) -> Coordinator {
    let (min_pause, after) = (50 * MS, CheckpointId(3));
    made(1, 1, Some(CheckpointTimes { interval, min_pause, timeout, after, exactly_once: [7].into() }))
}

fn barrier(epoch: u64, kind: BarrierKind) -> Barrier {
    Barrier { epoch: Epoch(epoch), kind, time_ms: 0 }
}

fn wrote(epoch: u64, nodes: &[NodeId]) -> Event {
    let prepared = nodes.iter().map(|node| (*node, vec![Commit(vec![epoch as u8])])).collect();
    Event::Acknowledged { epoch: Epoch(epoch), prepared, due_ms: None, rows: 0 }
}

fn held(epoch: u64) -> Held {
    Held { epoch: Epoch(epoch), prepared: (7, vec![Commit(vec![epoch as u8])]) }
}

/// An event at a time after the start, which is at 0. The times of barriers are left out.
fn on(c: &mut Coordinator, event: Event, at: Duration) -> Vec<Action> {
    let mut actions = timed(c, event, at, at.as_millis() as i64);
    for action in &mut actions {
        if let Action::Inject(barrier)
        | Action::Complete(barrier)
        | Action::Keep { barrier, .. }
        | Action::Checkpointed { barrier, .. } = action
        {
            barrier.time_ms = 0;
        }
    }
    actions
}

fn timed(c: &mut Coordinator, event: Event, monotonic: Duration, wall_ms: i64) -> Vec<Action> {
    c.on(event, Now { monotonic, wall_ms })
}

fn news(task: usize, epoch: u64, news: SourceNews) -> Event {
    Event::Source { task, epoch: Epoch(epoch), news }
}

fn flush(epoch: u64) -> Action {
    Action::Inject(Barrier { epoch: Epoch(epoch), kind: BarrierKind::Flush, time_ms: 0 })
}

fn acknowledged(epoch: u64) -> Event {
    Event::Acknowledged { epoch: Epoch(epoch), prepared: Vec::new(), due_ms: None, rows: 0 }
}

fn commit(epoch: u64) -> Action {
    Action::Commit { epoch: Epoch(epoch), prepared: Vec::new() }
}

#[test]
fn idle_epochs_keep_their_distance() {
    let mut c = coordinator(1, 1);
    assert_eq!(on(&mut c, news(0, 1, SourceNews::Pending), MS), [Action::WakeAt(101 * MS)]);
    assert_eq!(on(&mut c, news(0, 1, SourceNews::Idle), MS), [flush(1)]);
    assert_eq!(on(&mut c, news(0, 2, SourceNews::Pending), 2 * MS), [Action::WakeAt(102 * MS)]);
    assert_eq!(on(&mut c, news(0, 2, SourceNews::Idle), 2 * MS), [Action::WakeAt(6 * MS)]);
    assert_eq!(on(&mut c, Event::Timer, 5 * MS), []);
    assert_eq!(on(&mut c, Event::Timer, 6 * MS), [flush(2)]);
}

#[test]
fn all_sources_must_rest() {
    let mut c = coordinator(1, 2);
    on(&mut c, news(0, 1, SourceNews::Pending), MS);
    assert_eq!(on(&mut c, news(0, 1, SourceNews::Idle), MS), []);
    assert_eq!(on(&mut c, news(1, 1, SourceNews::Finished), MS), [flush(1)]);
}

#[test]
fn pending_rows_of_an_epoch_that_is_cut_count_no_more() {
    let mut c = coordinator(1, 1);
    assert_eq!(on(&mut c, Event::Cut(None), MS), [flush(1)]);
    assert_eq!(on(&mut c, news(0, 1, SourceNews::Pending), MS), []);
    assert_eq!(on(&mut c, news(0, 1, SourceNews::Idle), 50 * MS), []);
}

#[test]
fn commits_go_in_the_order_of_epochs_and_flights_are_limited() {
    let mut c = coordinator(2, 1);
    for epoch in 1..=4 {
        assert_eq!(on(&mut c, Event::Cut(None), MS), [flush(epoch)]);
    }
    assert_eq!(on(&mut c, Event::Cut(None), MS), [], "four are in flight");
    assert_eq!(on(&mut c, acknowledged(2), MS), []);
    assert_eq!(on(&mut c, acknowledged(2), MS), []);
    assert_eq!(on(&mut c, acknowledged(1), MS), []);
    assert_eq!(on(&mut c, acknowledged(1), MS), [commit(1)]);
    let done = |epoch| Action::Complete(Barrier { epoch: Epoch(epoch), kind: BarrierKind::Flush, time_ms: 0 });
    assert_eq!(on(&mut c, Event::Committed(Epoch(1)), MS), [done(1), commit(2), flush(5)]);
    assert_eq!(on(&mut c, Event::Committed(Epoch(2)), MS), [done(2)]);
}

#[test]
fn on_demand_an_epoch_is_cut_when_somebody_asks_and_all_who_did_are_told() {
    let mut c = coordinator(1, 1);
    c.settings.on_demand = true;
    on(&mut c, news(0, 1, SourceNews::Pending), MS);
    assert_eq!(on(&mut c, news(0, 1, SourceNews::Full), MS), []);
    assert_eq!(on(&mut c, news(0, 1, SourceNews::Idle), 200 * MS), [], "rows and time make no epoch");
    assert_eq!(on(&mut c, Event::Cut(Some(1)), 200 * MS), [flush(1)]);
    let done = |epoch| Action::Complete(Barrier { epoch: Epoch(epoch), kind: BarrierKind::Flush, time_ms: 0 });
    assert_eq!(on(&mut c, acknowledged(1), 200 * MS), [commit(1)]);
    assert_eq!(on(&mut c, Event::Committed(Epoch(1)), 200 * MS), [done(1), Action::Answer(1)]);
    // Four in flight: the two who ask next share the epoch that is cut when one of them is complete.
    (2..=5).for_each(|epoch| assert_eq!(on(&mut c, Event::Cut(None), 200 * MS), [flush(epoch)]));
    assert_eq!(on(&mut c, Event::Cut(Some(2)), 200 * MS), []);
    assert_eq!(on(&mut c, Event::Cut(Some(3)), 200 * MS), []);
    on(&mut c, acknowledged(2), 200 * MS);
    assert_eq!(on(&mut c, Event::Committed(Epoch(2)), 200 * MS), [done(2), flush(6)]);
    for epoch in 3..=5 {
        on(&mut c, acknowledged(epoch), 200 * MS);
        assert!(!on(&mut c, Event::Committed(Epoch(epoch)), 200 * MS).iter().any(|a| matches!(a, Action::Answer(_))));
    }
    on(&mut c, acknowledged(6), 200 * MS);
    assert_eq!(on(&mut c, Event::Committed(Epoch(6)), 200 * MS), [done(6), Action::Answer(3)]);
}

#[test]
fn exactly_once_output_waits_for_the_checkpoint_and_the_other_does_not() {
    let mut c = with_checkpoints(None);
    on(&mut c, Event::Cut(None), MS);
    let commits = |epoch| Action::Commit { epoch: Epoch(epoch), prepared: vec![(8, vec![Commit(vec![epoch as u8])])] };
    assert_eq!(on(&mut c, wrote(1, &[7, 8]), MS), [commits(1)]);
    let complete = |epoch, kind| Action::Complete(barrier(epoch, kind));
    assert_eq!(on(&mut c, Event::Committed(Epoch(1)), MS), [complete(1, BarrierKind::Flush)]);
    let checkpoint = barrier(2, BarrierKind::Checkpoint);
    assert_eq!(on(&mut c, Event::Checkpoint, MS), [Action::Inject(checkpoint)]);
    assert_eq!(on(&mut c, wrote(2, &[7, 8]), MS), [commits(2)]);
    let id = CheckpointId(4);
    let keep = Action::Keep { id, barrier: checkpoint, held: vec![held(1), held(2)] };
    let done = on(&mut c, Event::Committed(Epoch(2)), MS);
    assert_eq!(done, [complete(2, BarrierKind::Checkpoint), keep]);
    // Epochs go on while it is made.
    on(&mut c, Event::Cut(None), MS);
    on(&mut c, wrote(3, &[7]), MS);
    assert_eq!(on(&mut c, Event::Committed(Epoch(3)), MS), [complete(3, BarrierKind::Flush)]);
    assert_eq!(on(&mut c, Event::Kept(id), MS), [Action::CommitHeld { id, held: vec![held(1), held(2)] }]);
    assert_eq!(on(&mut c, Event::HeldCommitted(id), MS), [Action::Checkpointed { id, barrier: checkpoint }]);
}

#[test]
fn what_a_failed_checkpoint_held_goes_into_the_next() {
    let mut c = with_checkpoints(None);
    on(&mut c, Event::Checkpoint, MS);
    on(&mut c, wrote(1, &[7]), MS);
    on(&mut c, Event::Committed(Epoch(1)), MS);
    on(&mut c, Event::Cut(None), MS);
    on(&mut c, wrote(2, &[7]), MS);
    on(&mut c, Event::Committed(Epoch(2)), MS);
    assert_eq!(on(&mut c, Event::KeepFailed(CheckpointId(4)), MS), []);
    on(&mut c, Event::Checkpoint, MS);
    on(&mut c, wrote(3, &[]), MS);
    let keep = on(&mut c, Event::Committed(Epoch(3)), MS).pop();
    let (id, barrier) = (CheckpointId(5), barrier(3, BarrierKind::Checkpoint));
    assert_eq!(keep, Some(Action::Keep { id, barrier, held: vec![held(1), held(2)] }));
}

#[test]
fn checkpoints_keep_their_distance_and_need_a_reason() {
    let mut c = with_checkpoints(Some(1000 * MS));
    assert_eq!(on(&mut c, Event::Timer, Duration::ZERO), [], "nothing has changed");
    assert_eq!(on(&mut c, Event::Cut(None), 10 * MS), [flush(1)]);
    assert_eq!(on(&mut c, Event::Timer, 10 * MS), [Action::WakeAt(1000 * MS)]);
    on(&mut c, wrote(1, &[]), 20 * MS);
    on(&mut c, Event::Committed(Epoch(1)), 20 * MS);
    assert_eq!(on(&mut c, Event::Timer, 999 * MS), []);
    let next = on(&mut c, Event::Timer, 1000 * MS);
    assert_eq!(next, [Action::Inject(barrier(2, BarrierKind::Checkpoint))]);
    on(&mut c, Event::Cut(None), 1100 * MS);
    on(&mut c, wrote(2, &[]), 1200 * MS);
    on(&mut c, Event::Committed(Epoch(2)), 1200 * MS);
    on(&mut c, wrote(3, &[]), 1200 * MS);
    on(&mut c, Event::Committed(Epoch(3)), 1200 * MS);
    assert_eq!(on(&mut c, Event::Timer, 2100 * MS), [], "one is being made");
    on(&mut c, Event::Kept(CheckpointId(4)), 2500 * MS);
    let done = on(&mut c, Event::HeldCommitted(CheckpointId(4)), 2500 * MS);
    assert_eq!(done.last(), Some(&Action::WakeAt(2550 * MS)), "a pause after the last");
    let next = on(&mut c, Event::Timer, 2550 * MS);
    assert_eq!(next, [Action::Inject(barrier(4, BarrierKind::Checkpoint))]);
}

#[test]
fn a_slow_checkpoint_is_told_once() {
    let mut c = with_timeout(None, 5000 * MS);
    let begun = on(&mut c, Event::Checkpoint, MS);
    assert_eq!(begun, [Action::Inject(barrier(1, BarrierKind::Checkpoint))]);
    assert_eq!(on(&mut c, Event::Timer, 2 * MS), [Action::WakeAt(5001 * MS)]);
    assert_eq!(on(&mut c, Event::Timer, 5001 * MS), [Action::Slow(Epoch(1))]);
    assert_eq!(on(&mut c, Event::Timer, 9000 * MS), []);
}

/// At the last barrier tasks write their state back, some while others have not yet passed that of the checkpoint: then it would be
/// in the picture that is taken for the checkpoint.
#[test]
fn the_last_barrier_waits_until_the_state_of_a_checkpoint_is_frozen() {
    let mut c = with_checkpoints(None);
    on(&mut c, Event::Checkpoint, MS);
    assert_eq!(on(&mut c, news(0, 2, SourceNews::Finished), MS), []);
    assert_eq!(on(&mut c, Event::Stop, MS), []);
    let next = on(&mut c, wrote(1, &[]), MS).pop();
    assert_eq!(next, Some(Action::Inject(barrier(2, BarrierKind::Stop))));
}

#[test]
fn a_job_ends_with_a_checkpoint_after_the_one_under_way() {
    for is_kept in [true, false] {
        let mut c = with_checkpoints(None);
        on(&mut c, Event::Checkpoint, MS);
        on(&mut c, wrote(1, &[7]), MS);
        on(&mut c, Event::Committed(Epoch(1)), MS);
        on(&mut c, Event::Stop, MS);
        on(&mut c, wrote(2, &[7]), MS);
        let stop = barrier(2, BarrierKind::Stop);
        assert_eq!(on(&mut c, Event::Committed(Epoch(2)), MS), [Action::Complete(stop)], "it waits");
        let (first, last) = (CheckpointId(4), CheckpointId(5));
        on(&mut c, Event::Kept(first), MS);
        let next = on(&mut c, Event::HeldCommitted(first), MS).pop();
        assert_eq!(next, Some(Action::Keep { id: last, barrier: stop, held: vec![held(2)] }));
        if is_kept {
            assert_eq!(on(&mut c, Event::Kept(last), MS), [Action::CommitHeld { id: last, held: vec![held(2)] }]);
            let end = on(&mut c, Event::HeldCommitted(last), MS);
            assert_eq!(end, [Action::Checkpointed { id: last, barrier: stop }, Action::End { finished: false }]);
        } else {
            assert_eq!(on(&mut c, Event::KeepFailed(last), MS), [Action::Fail(last)]);
        }
    }
}

#[test]
fn the_last_epoch_ends_the_job() {
    for finished in [true, false] {
        let mut c = coordinator(1, 1);
        let stop = Barrier { epoch: Epoch(1), kind: BarrierKind::Stop, time_ms: 0 };
        let event = if finished { news(0, 1, SourceNews::Finished) } else { Event::Stop };
        assert_eq!(on(&mut c, event, MS), [Action::Inject(stop)]);
        assert_eq!(on(&mut c, Event::Cut(None), MS), [], "nothing comes after");
        assert_eq!(on(&mut c, acknowledged(1), MS), [commit(1)]);
        assert_eq!(on(&mut c, Event::Committed(Epoch(1)), MS), [Action::Complete(stop), Action::End { finished }]);
    }
}

#[test]
fn an_epoch_has_one_time_which_never_goes_back() {
    let mut c = coordinator(1, 1);
    let cut = |epoch, time_ms| Action::Inject(Barrier { epoch: Epoch(epoch), kind: BarrierKind::Flush, time_ms });
    assert_eq!(timed(&mut c, Event::Cut(None), MS, 5000), [cut(1, 5000)]);
    assert_eq!(timed(&mut c, Event::Cut(None), 2 * MS, 4000), [cut(2, 5000)], "somebody put the clock back");
    assert_eq!(timed(&mut c, Event::Cut(None), 3 * MS, 5001), [cut(3, 5001)]);
}

#[test]
fn what_is_due_cuts_an_epoch_without_input() {
    let mut c = coordinator(2, 1);
    let due = |epoch, due_ms| Event::Acknowledged { epoch: Epoch(epoch), prepared: Vec::new(), due_ms, rows: 0 };
    on(&mut c, Event::Cut(None), 1000 * MS);
    assert_eq!(on(&mut c, due(1, Some(7000)), 1001 * MS), []);
    let next = on(&mut c, due(1, Some(3000)), 1001 * MS);
    assert_eq!(next, [commit(1), Action::WakeAt(3000 * MS)], "the earliest of all shards");
    assert_eq!(on(&mut c, Event::Committed(Epoch(1)), 1001 * MS).len(), 1);
    assert_eq!(on(&mut c, Event::Timer, 2999 * MS), []);
    assert_eq!(on(&mut c, Event::Timer, 3000 * MS), [flush(2)]);
    assert_eq!(on(&mut c, Event::Timer, 3001 * MS), [], "it is being done");
    on(&mut c, due(2, None), 3002 * MS);
    // Not sooner than an interval after the last one.
    let next = on(&mut c, due(2, Some(3003)), 3002 * MS);
    assert_eq!(next, [commit(2), Action::WakeAt(3100 * MS)]);
    on(&mut c, Event::Committed(Epoch(2)), 3002 * MS);
    assert_eq!(on(&mut c, Event::Timer, 3100 * MS), [flush(3)]);
    on(&mut c, due(3, None), 3101 * MS);
    on(&mut c, due(3, None), 3101 * MS);
    on(&mut c, Event::Committed(Epoch(3)), 3101 * MS);
    assert_eq!(on(&mut c, Event::Timer, 99_000 * MS), [], "nothing is due any more");
}

#[test]
fn a_savepoint_is_made_of_an_epoch_that_is_visible_and_the_end_waits_for_it() {
    let mut c = coordinator(1, 1);
    let save = |c: &mut Coordinator, order, stop| on(c, Event::Save { order, stop }, MS);
    let made = |c: &mut Coordinator, epoch, kind, orders: &[u64]| {
        let at = Barrier { time_ms: 1, ..barrier(epoch, kind) };
        assert_eq!(on(c, acknowledged(epoch), MS), [commit(epoch)]);
        let actions = on(c, Event::Committed(Epoch(epoch)), MS);
        let orders = orders.to_vec();
        assert_eq!(actions, [Action::Complete(barrier(epoch, kind)), Action::Save { barrier: at, orders }]);
    };
    assert_eq!(save(&mut c, 1, false), [Action::Inject(barrier(1, BarrierKind::Checkpoint))]);
    assert_eq!(save(&mut c, 2, false), [], "one after the other");
    made(&mut c, 1, BarrierKind::Checkpoint, &[1]);
    assert_eq!(
        save(&mut c, 3, true),
        [Action::Inject(barrier(2, BarrierKind::Stop))],
        "the last barrier waits for nobody"
    );
    made(&mut c, 2, BarrierKind::Stop, &[2, 3]);
    assert_eq!(on(&mut c, Event::Saved(Epoch(1)), MS), []);
    assert_eq!(on(&mut c, Event::Saved(Epoch(2)), MS), [Action::End { finished: false }]);
}

#[test]
fn with_checkpoints_a_savepoint_waits_until_its_output_is_committed() {
    let mut c = with_checkpoints(None);
    let at = Barrier { time_ms: 1, ..barrier(1, BarrierKind::Checkpoint) };
    on(&mut c, Event::Save { order: 1, stop: false }, MS);
    on(&mut c, wrote(1, &[7]), MS);
    let kept = |c: &mut Coordinator| on(c, Event::Committed(Epoch(1)), MS);
    let keep = Action::Keep { id: CheckpointId(4), barrier: barrier(1, BarrierKind::Checkpoint), held: vec![held(1)] };
    assert_eq!(kept(&mut c), [Action::Complete(barrier(1, BarrierKind::Checkpoint)), keep]);
    assert!(c.saves(Epoch(1)));
    on(&mut c, Event::Kept(CheckpointId(4)), MS);
    let done = on(&mut c, Event::HeldCommitted(CheckpointId(4)), MS);
    let checkpointed = Action::Checkpointed { id: CheckpointId(4), barrier: barrier(1, BarrierKind::Checkpoint) };
    assert_eq!(done, [checkpointed, Action::Save { barrier: at, orders: vec![1] }]);

    // Of a checkpoint that cannot be kept none is made.
    on(&mut c, Event::Saved(Epoch(1)), MS);
    on(&mut c, Event::Save { order: 2, stop: false }, MS);
    on(&mut c, acknowledged(2), MS);
    on(&mut c, Event::Committed(Epoch(2)), MS);
    assert_eq!(on(&mut c, Event::KeepFailed(CheckpointId(5)), MS), [Action::SaveFailed(vec![2])]);
}
