use super::segment::Segment;
use super::*;
use crate::batch::WriteRef;
use crate::{Batch, StateError};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

fn put(batch: &mut Batch, key: &str, value: &str) {
    batch.put(false, |out| out.extend_from_slice(key.as_bytes()), |out| out.extend_from_slice(value.as_bytes()));
}

/// What the files say together.
fn told(chain: &Chain) -> Entries {
    let mut entries = Entries::new();
    for link in chain {
        read(&link.segment.path, link.parts, &mut |write| {
            match write {
                WriteRef::Put(key, value) => entries.insert(key.to_vec(), value.to_vec()),
                WriteRef::Delete(key) => entries.remove(key),
                WriteRef::DeleteRange(..) => panic!("there is none"),
            };
            Ok(())
        })
        .expect("the file can be read");
    }
    entries
}

fn files(directory: &Path) -> usize {
    fs::read_dir(directory).expect("the directory is there").count()
}

#[test]
fn what_was_written_is_read_in_order_and_goes_with_its_last_user() {
    let home = tempfile::tempdir().expect("a directory");
    let journal = Journal::new(home.path(), 7);
    assert!(journal.cut().expect("nothing to cut").is_empty());
    let mut batch = Batch::new();
    put(&mut batch, "0123456789abcdef", "one");
    put(&mut batch, "0123456789abxyz", "two");
    put(&mut batch, "0", "");
    batch.delete(b"0123456789abcdef");
    put(&mut batch, "", "nothing");
    journal.append(&batch).expect("written");
    let chain = journal.cut().expect("cut");
    assert_eq!(chain.len(), 1);
    assert_eq!(chain[0].segment.name(), "journal-7");
    let mut seen = Vec::new();
    read(&chain[0].segment.path, ALL, &mut |write| {
        seen.push(match write {
            WriteRef::Put(key, value) => (key.to_vec(), Some(value.to_vec())),
            WriteRef::Delete(key) => (key.to_vec(), None),
            WriteRef::DeleteRange(..) => panic!("there is none"),
        });
        Ok(())
    })
    .expect("the file can be read");
    let owned = |key: &str, value: Option<&str>| (key.as_bytes().to_vec(), value.map(|v| v.as_bytes().to_vec()));
    // Of each part in order.
    seen.sort_by_key(|(key, _)| part_of(key));
    let mut wanted = vec![
        owned("0123456789abcdef", Some("one")),
        owned("0123456789abxyz", Some("two")),
        owned("0", Some("")),
        owned("0123456789abcdef", None),
        owned("", Some("nothing")),
    ];
    wanted.sort_by_key(|(key, _)| part_of(key));
    assert_eq!(seen, wanted);
    // Nothing new: the same files.
    assert_eq!(journal.cut().expect("cut").len(), 1);
    drop(journal);
    assert_eq!(files(home.path()), 1);
    drop(chain);
    assert_eq!(files(home.path()), 0);
}

#[test]
fn most_of_it_replaced_it_is_merged_into_what_holds() {
    let home = tempfile::tempdir().expect("a directory");
    let journal = Journal::new(home.path(), 1);
    let mut expected = Entries::new();
    for round in 0..4 {
        let mut batch = Batch::new();
        for key in 0..5_000 {
            let (key, value) = (format!("key {key}"), format!("{round}"));
            if round == 3 && key.ends_with('7') {
                batch.delete(key.as_bytes());
                expected.remove(key.as_bytes());
                continue;
            }
            batch.put(
                round > 0,
                |out| out.extend_from_slice(key.as_bytes()),
                |out| out.extend_from_slice(value.as_bytes()),
            );
            expected.insert(key.into_bytes(), value.into_bytes());
        }
        journal.append(&batch).expect("written");
        journal.cut().expect("cut");
    }
    let chain = journal.cut().expect("cut");
    assert_eq!((chain.len(), told(&chain) == expected), (4, true));
    let merged = journal.merged(chain).expect("merged");
    assert!(told(&merged) == expected);
    // Some parts have been cleaned up, until no more than half of all says nothing.
    let mut records = 0;
    for link in &merged {
        read(&link.segment.path, link.parts, &mut |_| {
            records += 1;
            Ok(())
        })
        .expect("the file can be read");
    }
    assert!(records <= 10_000, "{records} records: of fewer none are cleaned up");
    // The journal goes on from it, and there are no other files.
    assert_eq!((journal.cut().expect("cut").len(), files(home.path())), (merged.len(), merged.len()));
}

#[test]
fn many_files_become_fewer_and_removals_in_the_middle_stay() {
    let home = tempfile::tempdir().expect("a directory");
    let journal = Journal::new(home.path(), 1);
    let mut expected = Entries::new();
    let mut chain = Chain::new();
    for round in 0..60 {
        let mut batch = Batch::new();
        // The first files are the largest: others are merged.
        for key in 0..(if round < 3 { 3_000 } else { 10 }) {
            let key = format!("{} {key}", round % 7);
            put(&mut batch, &key, &round.to_string());
            expected.insert(key.into_bytes(), round.to_string().into_bytes());
        }
        let gone = format!("{} 5", (round + 3) % 7);
        batch.delete(gone.as_bytes());
        expected.remove(gone.as_bytes());
        let again = format!("{} 1", (round + 1) % 7);
        put(&mut batch, &again, "again");
        expected.insert(again.into_bytes(), b"again".to_vec());
        journal.append(&batch).expect("written");
        chain = journal.merged(journal.cut().expect("cut")).expect("merged");
        assert_eq!(told(&chain), expected, "round {round}");
        assert!(chain.len() <= 17);
    }
    assert_eq!(files(home.path()), chain.len());
}

#[test]
fn any_changed_or_missing_byte_is_found() {
    let home = tempfile::tempdir().expect("a directory");
    let journal = Journal::new(home.path(), 1);
    let mut batch = Batch::new();
    for key in 0..40 {
        put(&mut batch, &format!("key {key}"), "value");
    }
    journal.append(&batch).expect("written");
    let chain = journal.cut().expect("cut");
    let whole = fs::read(&chain[0].segment.path).expect("the file is there");
    let path = home.path().join("damaged");
    let damaged = |bytes: &[u8]| {
        fs::write(&path, bytes).expect("written");
        let is_found = |read: Result<(), StateError>| matches!(read, Err(StateError::CorruptFile { .. }));
        let by_parts = || {
            let segment = Segment::open(&path)?.expect("it has an index");
            (0..PARTS).try_for_each(|part| segment.read(part, &mut |_| Ok(())))
        };
        let found = (is_found(read(&path, ALL, &mut |_| Ok(()))), is_found(by_parts()));
        assert_eq!(found.0, found.1, "whole and part by part");
        found.0
    };
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        assert!(damaged(&bytes), "byte {at} changed");
        assert!(damaged(&whole[..at]), "{at} bytes left");
    }
    assert!(damaged(&[&whole[..], &[0]].concat()));
    assert!(!damaged(&whole));
}

#[test]
fn a_journal_goes_on_with_the_files_that_it_was_closed_with() {
    let home = tempfile::tempdir().expect("a directory");
    let key = |group: u16, rest: &str| [&[0; 10], group.to_be_bytes().as_slice(), rest.as_bytes()].concat();
    let mut batch = Batch::new();
    for group in 0..8 {
        (0..5_000).for_each(|n| batch.put(false, |out| out.extend(key(group, &n.to_string())), |out| out.push(1)));
    }
    let first = Journal::new(home.path(), 1);
    first.append(&batch).expect("written");
    let expected = told(&first.cut().expect("cut"));
    first.close().expect("closed");
    drop(first);
    let (files_found, next) = found(home.path()).expect("the files are there");
    let journal = Journal::resume(None, home.path(), (&files_found, next)).expect("whole").expect("it has indexes");
    let chain = journal.cut().expect("nothing to cut");
    assert_eq!(told(&chain), expected);
    // A part is read without the others, and then said elsewhere.
    let part = part_of(&key(3, ""));
    let mut read = 0;
    let mut each = |write: WriteRef<'_>| {
        assert_eq!(part_of(write.key()), part);
        read += 1;
        Ok(())
    };
    chain.iter().try_for_each(|link| link.segment.read(part, &mut each)).expect("it can be read");
    assert_eq!(read, 5_000);
    drop(chain);
    journal.forget(1 << part);
    // What is written over the rest is cleaned up as ever.
    let mut batch = Batch::new();
    for group in (0..8).filter(|group| *group != 3) {
        let is_gone = |n: &u32| !n.is_multiple_of(5);
        (0..5_000).filter(is_gone).for_each(|n| batch.delete(&key(group, &n.to_string())));
    }
    journal.append(&batch).expect("written");
    let mut chain = journal.cut().expect("cut");
    for _ in 0..PARTS {
        chain = journal.merged(chain).expect("merged");
    }
    let of_group = |key: &[u8]| u16::from_be_bytes([key[10], key[11]]);
    let is_left = |key: &[u8]| {
        let number = str::from_utf8(&key[12..]).expect("digits").parse::<u32>().expect("a number");
        of_group(key) != 3 && number.is_multiple_of(5)
    };
    let left: Entries = expected.into_iter().filter(|(key, _)| is_left(key)).collect();
    assert_eq!(told(&chain), left);
    assert_eq!(files(home.path()), chain.len());
}

#[test]
fn notes_have_a_part_to_themselves() {
    let part = |table: TableId, group| part_of_group(7, table, group);
    for group in 0..200 {
        assert_eq!((part(NOTES | 3, group), part(NOTES_FROM, group)), (PARTS - 1, PARTS - 1));
        assert!(part(3, group) < PARTS - 1 && part(BY_LEAD | 3, group) < PARTS - 1);
    }
    let of = |table, from: u16, to: u16| {
        let bound = |group: u16| [[0; 7].as_slice(), &[7], &TableId::to_be_bytes(table), &group.to_be_bytes()].concat();
        parts_between(&bound(from), &bound(to))
    };
    assert_eq!(of(NOTES | 3, 0, 100), 1 << (PARTS - 1));
    assert_eq!(of(3, 4, 5), 1 << part(3, 4));
    assert_eq!(of(3, 4, 6), 1 << part(3, 4) | 1 << part(3, 5));
    assert_eq!(parts_between(b"a", b"b"), ALL);
}

fn number(n: u64) -> Vec<u8> {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes().to_vec()
}

#[test]
fn what_is_replaced_is_cleaned_up_a_little_at_a_time() {
    const ENTRIES: u64 = 200_000;
    let home = tempfile::tempdir().expect("a directory");
    let journal = Journal::new(home.path(), 1);
    let mut expected = Entries::new();
    let mut known: Vec<String> = Vec::new();
    let mut worst = 0;
    for round in 0..250u64 {
        let mut batch = Batch::new();
        // At first all, then one in a hundred, all over the place.
        let changed: Vec<u64> = match round {
            0 => (0..ENTRIES).collect(),
            _ => (0..ENTRIES / 100).map(|i| (i * 7_919 + round * 104_729) % ENTRIES).collect(),
        };
        for n in changed {
            let value = [round.to_le_bytes(); 5].concat();
            batch.put(round > 0, |out| out.extend(number(n)), |out| out.extend(&value));
            expected.insert(number(n), value);
        }
        journal.append(&batch).expect("written");
        let chain = journal.merged(journal.cut().expect("cut")).expect("merged");
        let total: u64 = chain.iter().map(|link| link.segment.size_bytes).sum();
        let new = chain.iter().filter(|link| !known.contains(&link.segment.name()));
        let new: u64 = new.map(|link| link.segment.size_bytes).sum();
        known = chain.iter().map(|link| link.segment.name()).collect();
        if round > 0 {
            // 200,000 entries of 52 bytes and a few. While the parts are cleaned up once, as much is written again as is left of each, and as
            // much changes; the files from before, as many bytes again, go when all are.
            assert!(total < 44_000_000, "round {round}: {total} bytes");
            worst = worst.max(new * 1000 / total);
        }
        if round % 50 == 49 {
            assert!(told(&chain) == expected, "round {round}");
        }
        assert_eq!(files(home.path()), chain.len());
    }
    // One in a hundred changed, a part or two (of 128 each), and neighbours that are no more than a 64th.
    assert!(worst <= 50, "{worst} per mille");
}

#[test]
fn what_comes_and_goes_leaves_nothing() {
    let home = tempfile::tempdir().expect("a directory");
    let journal = Journal::on(
        Arc::new(|keys: &[&[u8]]| keys.iter().map(|key| key.starts_with(b"base")).collect()),
        home.path(),
        1,
    );
    let mut batch = Batch::new();
    (0..50).for_each(|n| batch.delete(format!("base {n}").as_bytes()));
    journal.append(&batch).expect("written");
    let mut most = 0;
    for round in 0..40u64 {
        let mut batch = Batch::new();
        (0..5_000).for_each(|n| batch.put(false, |out| out.extend(number(round * 5_000 + n)), |out| out.push(1)));
        journal.append(&batch).expect("written");
        batch.clear();
        (0..5_000).for_each(|n| batch.delete(&number(round * 5_000 + n)));
        journal.append(&batch).expect("written");
        let chain = journal.merged(journal.cut().expect("cut")).expect("merged");
        let records = |link: &Link| link.segment.parts.iter().map(|part| part.records).sum::<u64>();
        most = most.max(chain.iter().map(records).sum::<u64>());
        let mut removed = 0;
        for link in &chain {
            read(&link.segment.path, link.parts, &mut |write| {
                removed += usize::from(write.key().starts_with(b"base"));
                Ok(())
            })
            .expect("the file can be read");
        }
        assert_eq!(removed, 50, "what the base has stays removed");
    }
    assert!(most <= 60_000, "{most} records");
}
