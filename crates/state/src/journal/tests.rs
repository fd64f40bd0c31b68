use super::*;
use crate::batch::WriteRef;
use crate::{Batch, StateError};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

fn put(batch: &mut Batch, key: &str, value: &str) {
    batch.put(false, |out| out.extend_from_slice(key.as_bytes()), |out| out.extend_from_slice(value.as_bytes()));
}

/// What the files say together.
fn told(chain: &Chain) -> Entries {
    let mut entries = Entries::new();
    for segment in chain {
        read(&segment.path, &mut |write| {
            match write {
                WriteRef::Put(key, value) => entries.insert(key.to_vec(), value.to_vec()),
                WriteRef::Delete(key) => entries.remove(key),
                WriteRef::DeleteRange(from, to) => {
                    entries.retain(|key, _| !(from <= key.as_slice() && key.as_slice() < to));
                    None
                }
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
    batch.delete_range(b"0123", b"0124");
    journal.append(&batch).expect("written");
    let chain = journal.cut().expect("cut");
    assert_eq!(chain.len(), 1);
    assert_eq!(chain[0].name(), "journal-7");
    let mut seen = Vec::new();
    read(&chain[0].path, &mut |write| {
        seen.push(match write {
            WriteRef::Put(key, value) => (key.to_vec(), Some(value.to_vec())),
            WriteRef::Delete(key) => (key.to_vec(), None),
            WriteRef::DeleteRange(from, to) => (from.to_vec(), Some(to.to_vec())),
        });
        Ok(())
    })
    .expect("the file can be read");
    let owned = |key: &str, value: Option<&str>| (key.as_bytes().to_vec(), value.map(|v| v.as_bytes().to_vec()));
    assert_eq!(
        seen,
        [
            owned("0123456789abcdef", Some("one")),
            owned("0123456789abxyz", Some("two")),
            owned("0", Some("")),
            owned("0123456789abcdef", None),
            owned("", Some("nothing")),
            owned("0123", Some("0124")),
        ]
    );
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
    assert_eq!((merged.len(), told(&merged) == expected), (1, true));
    let mut records = 0;
    read(&merged[0].path, &mut |_| {
        records += 1;
        Ok(())
    })
    .expect("the file can be read");
    assert_eq!(records, expected.len());
    // The journal goes on from it, and the old files are gone.
    assert_eq!((journal.cut().expect("cut").len(), files(home.path())), (1, 1));
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
        let (from, to) = (format!("{} 1", (round + 1) % 7), format!("{} 4", (round + 1 + round % 3) % 7));
        batch.delete_range(from.as_bytes(), to.as_bytes());
        expected.retain(|key, _| !(from.as_bytes() <= key.as_slice() && key.as_slice() < to.as_bytes()));
        put(&mut batch, &from, "again");
        expected.insert(from.into_bytes(), b"again".to_vec());
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
    let whole = fs::read(&chain[0].path).expect("the file is there");
    let path = home.path().join("damaged");
    let damaged = |bytes: &[u8]| {
        fs::write(&path, bytes).expect("written");
        matches!(read(&path, &mut |_| Ok(())), Err(StateError::CorruptFile { .. }))
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
