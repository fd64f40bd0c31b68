use super::*;

const MS: Duration = Duration::from_millis(1);

fn coordinator(shards: usize, source_tasks: usize) -> Coordinator {
    let (epoch_interval, idle_interval) = (100 * MS, 5 * MS);
    Coordinator::new(CoordinatorSettings { shards, source_tasks, epoch_interval, idle_interval, after: Epoch(0) })
}

/// An event at a time after the start, which is at 0. The times of barriers are left out.
fn on(c: &mut Coordinator, event: Event, at: Duration) -> Vec<Action> {
    let mut actions = timed(c, event, at, at.as_millis() as i64);
    for action in &mut actions {
        if let Action::Inject(barrier) | Action::Complete(barrier) = action {
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
    Event::Acknowledged { epoch: Epoch(epoch), prepared: Vec::new(), due_ms: None }
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
    assert_eq!(on(&mut c, Event::Cut, MS), [flush(1)]);
    assert_eq!(on(&mut c, news(0, 1, SourceNews::Pending), MS), []);
    assert_eq!(on(&mut c, news(0, 1, SourceNews::Idle), 50 * MS), []);
}

#[test]
fn commits_go_in_the_order_of_epochs_and_flights_are_limited() {
    let mut c = coordinator(2, 1);
    for epoch in 1..=4 {
        assert_eq!(on(&mut c, Event::Cut, MS), [flush(epoch)]);
    }
    assert_eq!(on(&mut c, Event::Cut, MS), [], "four are in flight");
    assert_eq!(on(&mut c, acknowledged(2), MS), []);
    assert_eq!(on(&mut c, acknowledged(2), MS), []);
    assert_eq!(on(&mut c, acknowledged(1), MS), []);
    assert_eq!(on(&mut c, acknowledged(1), MS), [commit(1)]);
    let done = |epoch| Action::Complete(Barrier { epoch: Epoch(epoch), kind: BarrierKind::Flush, time_ms: 0 });
    assert_eq!(on(&mut c, Event::Committed(Epoch(1)), MS), [done(1), commit(2), flush(5)]);
    assert_eq!(on(&mut c, Event::Committed(Epoch(2)), MS), [done(2)]);
}

#[test]
fn one_checkpoint_at_a_time() {
    let mut c = coordinator(1, 1);
    let barrier = |epoch| Barrier { epoch: Epoch(epoch), kind: BarrierKind::Checkpoint, time_ms: 0 };
    assert_eq!(on(&mut c, Event::Checkpoint, MS), [Action::Inject(barrier(1))]);
    assert_eq!(on(&mut c, Event::Checkpoint, MS), []);
    on(&mut c, acknowledged(1), MS);
    let after = on(&mut c, Event::Committed(Epoch(1)), MS);
    assert_eq!(after, [Action::Complete(barrier(1)), Action::Inject(barrier(2))]);
}

#[test]
fn the_last_epoch_ends_the_job() {
    for finished in [true, false] {
        let mut c = coordinator(1, 1);
        let stop = Barrier { epoch: Epoch(1), kind: BarrierKind::Stop, time_ms: 0 };
        let event = if finished { news(0, 1, SourceNews::Finished) } else { Event::Stop };
        assert_eq!(on(&mut c, event, MS), [Action::Inject(stop)]);
        assert_eq!(on(&mut c, Event::Cut, MS), [], "nothing comes after");
        assert_eq!(on(&mut c, acknowledged(1), MS), [commit(1)]);
        assert_eq!(on(&mut c, Event::Committed(Epoch(1)), MS), [Action::Complete(stop), Action::End { finished }]);
    }
}

#[test]
fn an_epoch_has_one_time_which_never_goes_back() {
    let mut c = coordinator(1, 1);
    let cut = |epoch, time_ms| Action::Inject(Barrier { epoch: Epoch(epoch), kind: BarrierKind::Flush, time_ms });
    assert_eq!(timed(&mut c, Event::Cut, MS, 5000), [cut(1, 5000)]);
    assert_eq!(timed(&mut c, Event::Cut, 2 * MS, 4000), [cut(2, 5000)], "somebody put the clock back");
    assert_eq!(timed(&mut c, Event::Cut, 3 * MS, 5001), [cut(3, 5001)]);
}

#[test]
fn what_is_due_cuts_an_epoch_without_input() {
    let mut c = coordinator(2, 1);
    let due = |epoch, due_ms| Event::Acknowledged { epoch: Epoch(epoch), prepared: Vec::new(), due_ms };
    on(&mut c, Event::Cut, 1000 * MS);
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
