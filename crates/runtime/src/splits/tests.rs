use super::*;

fn split(id: &str) -> Split {
    Split { id: id.into(), range: 0..10 }
}

fn table(boundedness: Boundedness, shards: usize, ids: &[&str]) -> Arc<SplitTable> {
    let table = SplitTable::new(boundedness, false, false, true, (0..shards).map(|_| Arc::default()).collect());
    table.add(ids.iter().map(|i| split(i)).collect(), &HashMap::new());
    table
}

#[test]
fn bounded_splits_go_to_whoever_is_free_in_order() {
    let t = table(Boundedness::Bounded, 2, &["a", "b", "c"]);
    let ids: Vec<String> = [1, 0, 1].iter().map(|s| t.take(*s).unwrap().split.id).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    assert!(t.is_drained(0) && t.take(0).is_none());
}

#[test]
fn unbounded_splits_are_dealt_out_in_turn() {
    let t = table(Boundedness::Unbounded, 2, &["a", "b", "c"]);
    assert_eq!(t.take(0).unwrap().split.id, "a");
    assert_eq!(t.take(0).unwrap().split.id, "c");
    assert!(t.take(0).is_none());
    assert_eq!(t.take(1).unwrap().split.id, "b");
}

#[test]
fn ranges_to_come_hold_the_watermark_where_their_file_has_come() {
    let t = table(Boundedness::Bounded, 2, &["f#0", "g#0", "f#1", "g#1"]);
    let f0 = t.take(0).unwrap().slot;
    t.report(f0, Watermark(50));
    assert_eq!(t.time().watermark, Watermark::NONE, "nothing of g was read");
    let g0 = t.take(1).unwrap().slot;
    t.report(g0, Watermark(20));
    assert_eq!(t.time().watermark, Watermark(20));
    t.finish(g0);
    assert_eq!(t.time().watermark, Watermark(20), "g#1 goes on from where g#0 ended");
    let f1 = t.take(1).unwrap().slot;
    t.report(f1, Watermark(90));
    t.finish(f0);
    assert_eq!(t.time().watermark, Watermark(20));
    let g1 = t.take(0).unwrap().slot;
    t.report(g1, Watermark(70));
    assert_eq!(t.time().watermark, Watermark(70));
    t.finish(g1);
    assert_eq!(t.time().watermark, Watermark(90));
    t.finish(f1);
    assert_eq!(t.time().watermark, Watermark::END);
}

#[test]
fn progress_survives_its_encoding_and_the_further_one_counts() {
    let near = Progress { position: Position(7), watermark: Watermark(-1), finished: false };
    let far = Progress { position: Position(7), watermark: Watermark(9), finished: true };
    assert_eq!(Progress::decode(&far.encode()), Some(far));
    assert_eq!(Progress::decode(&near.encode()), Some(near));
    assert_eq!((near.further(far), far.further(near)), (far, far));
    assert_eq!(Progress::decode(b"junk"), None);
}

#[test]
fn finished_splits_are_not_read_again() {
    let t = SplitTable::new(Boundedness::Bounded, false, false, true, vec![Arc::default()]);
    let done = Progress { position: Position(9), watermark: Watermark(5), finished: true };
    t.add(vec![split("f#0"), split("f#1")], &HashMap::from([("f#0".to_owned(), done)]));
    assert_eq!(t.time().watermark, Watermark(5));
    assert_eq!(t.take(0).unwrap().split.id, "f#1");
}

#[test]
fn after_a_restart_a_range_that_is_behind_later_ones_holds_the_watermark() {
    let t = SplitTable::new(Boundedness::Bounded, false, false, true, vec![Arc::default()]);
    let at = |watermark, finished| Progress { position: Position(5), watermark: Watermark(watermark), finished };
    let progress = HashMap::from([("f#0".to_owned(), at(10, false)), ("f#1".to_owned(), at(90, true))]);
    t.add(["f#0", "f#1", "f#2"].map(split).into(), &progress);
    assert_eq!(t.time().watermark, Watermark(10), "the rest of f#0 lies before f#1");
    let f0 = t.take(0).unwrap();
    assert_eq!((f0.split.id.as_str(), t.time().watermark), ("f#0", Watermark(10)));
    t.report(f0.slot, Watermark(30));
    assert_eq!(t.time().watermark, Watermark(30));
    t.finish(f0.slot);
    assert_eq!(t.time().watermark, Watermark(90), "f#2 goes on from where f#1 ended");
}

#[test]
fn splits_that_depend_on_each_other_are_read_by_one_shard() {
    let shards = (0..2).map(|_| Arc::default()).collect();
    let t = SplitTable::new(Boundedness::Bounded, false, true, false, shards);
    t.add(["a", "b"].map(|id| Split { id: id.into(), range: 0..1 }).into(), &HashMap::new());
    assert!(t.take(1).is_none() && t.is_drained(1));
    let first = t.take(0).expect("a split");
    assert_eq!(first.split.id, "a");
    assert!(!t.is_drained(0));
    t.finish(first.slot);
    assert_eq!(t.take(0).map(|a| a.split.id), Some("b".into()));
    assert!(t.is_drained(0));
}
