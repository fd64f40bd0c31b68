use super::*;

const MS: Duration = Duration::from_millis(1);

fn coordinator(shards: usize, source_tasks: usize) -> Coordinator {
    let (epoch_interval, idle_interval) = (100 * MS, 5 * MS);
    Coordinator::new(CoordinatorSettings { shards, source_tasks, epoch_interval, idle_interval, after: Epoch(0) })
}

fn news(task: usize, epoch: u64, news: SourceNews) -> Event {
    Event::Source { task, epoch: Epoch(epoch), news }
}

fn flush(epoch: u64) -> Action {
    Action::Inject(Barrier { epoch: Epoch(epoch), kind: BarrierKind::Flush })
}

fn acknowledged(epoch: u64) -> Event {
    Event::Acknowledged { epoch: Epoch(epoch), prepared: Vec::new() }
}

fn commit(epoch: u64) -> Action {
    Action::Commit { epoch: Epoch(epoch), prepared: Vec::new() }
}

#[test]
fn idle_epochs_keep_their_distance() {
    let mut c = coordinator(1, 1);
    assert_eq!(c.on(news(0, 1, SourceNews::Pending), MS), [Action::WakeAt(101 * MS)]);
    assert_eq!(c.on(news(0, 1, SourceNews::Idle), MS), [flush(1)]);
    assert_eq!(c.on(news(0, 2, SourceNews::Pending), 2 * MS), [Action::WakeAt(102 * MS)]);
    assert_eq!(c.on(news(0, 2, SourceNews::Idle), 2 * MS), [Action::WakeAt(6 * MS)]);
    assert_eq!(c.on(Event::Timer, 5 * MS), []);
    assert_eq!(c.on(Event::Timer, 6 * MS), [flush(2)]);
}

#[test]
fn all_sources_must_rest() {
    let mut c = coordinator(1, 2);
    c.on(news(0, 1, SourceNews::Pending), MS);
    assert_eq!(c.on(news(0, 1, SourceNews::Idle), MS), []);
    assert_eq!(c.on(news(1, 1, SourceNews::Finished), MS), [flush(1)]);
}

#[test]
fn pending_rows_of_an_epoch_that_is_cut_count_no_more() {
    let mut c = coordinator(1, 1);
    assert_eq!(c.on(Event::Cut, MS), [flush(1)]);
    assert_eq!(c.on(news(0, 1, SourceNews::Pending), MS), []);
    assert_eq!(c.on(news(0, 1, SourceNews::Idle), 50 * MS), []);
}

#[test]
fn commits_go_in_the_order_of_epochs_and_flights_are_limited() {
    let mut c = coordinator(2, 1);
    for epoch in 1..=4 {
        assert_eq!(c.on(Event::Cut, MS), [flush(epoch)]);
    }
    assert_eq!(c.on(Event::Cut, MS), [], "four are in flight");
    assert_eq!(c.on(acknowledged(2), MS), []);
    assert_eq!(c.on(acknowledged(2), MS), []);
    assert_eq!(c.on(acknowledged(1), MS), []);
    assert_eq!(c.on(acknowledged(1), MS), [commit(1)]);
    let done = |epoch| Action::Complete(Barrier { epoch: Epoch(epoch), kind: BarrierKind::Flush });
    assert_eq!(c.on(Event::Committed(Epoch(1)), MS), [done(1), commit(2), flush(5)]);
    assert_eq!(c.on(Event::Committed(Epoch(2)), MS), [done(2)]);
}

#[test]
fn one_checkpoint_at_a_time() {
    let mut c = coordinator(1, 1);
    let barrier = |epoch| Barrier { epoch: Epoch(epoch), kind: BarrierKind::Checkpoint };
    assert_eq!(c.on(Event::Checkpoint, MS), [Action::Inject(barrier(1))]);
    assert_eq!(c.on(Event::Checkpoint, MS), []);
    c.on(acknowledged(1), MS);
    let after = c.on(Event::Committed(Epoch(1)), MS);
    assert_eq!(after, [Action::Complete(barrier(1)), Action::Inject(barrier(2))]);
}

#[test]
fn the_last_epoch_ends_the_job() {
    for finished in [true, false] {
        let mut c = coordinator(1, 1);
        let stop = Barrier { epoch: Epoch(1), kind: BarrierKind::Stop };
        let event = if finished { news(0, 1, SourceNews::Finished) } else { Event::Stop };
        assert_eq!(c.on(event, MS), [Action::Inject(stop)]);
        assert_eq!(c.on(Event::Cut, MS), [], "nothing comes after");
        assert_eq!(c.on(acknowledged(1), MS), [commit(1)]);
        assert_eq!(c.on(Event::Committed(Epoch(1)), MS), [Action::Complete(stop), Action::End { finished }]);
    }
}
