use crate::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::fs;
use std::path::{Path, PathBuf};

fn open(directory: &Path, segment_bytes: u64) -> Result<(Journal, Opened), JournalError> {
    Journal::open(directory, JournalSettings { segment_bytes })
}

fn records(journal: &Journal, from: u64) -> Result<Vec<(u64, Vec<u8>)>, JournalError> {
    let mut all = Vec::new();
    journal.read(from, &mut |number, record| {
        all.push((number, record.to_vec()));
        Ok(())
    })?;
    Ok(all)
}

/// What record number `number` holds: of any length, also none.
fn content(number: u64) -> Vec<u8> {
    (0..number * 7 % 23).map(|at| (number * 31 + at) as u8).collect()
}

fn expected(numbers: std::ops::Range<u64>) -> Vec<(u64, Vec<u8>)> {
    numbers.map(|n| (n, content(n))).collect()
}

/// Record by record, so that each is a batch.
fn append(journal: &Journal, count: u64) {
    for _ in 0..count {
        let number = journal.next();
        assert_eq!(journal.append(&content(number)).unwrap(), number);
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|e| e.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|p| p.extension().is_some()).collect();
    files.sort();
    files
}

#[test]
fn what_was_appended_is_there_when_it_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a/b");
    for (life, segment_bytes) in [100, 1 << 20, 1, 300].into_iter().enumerate() {
        let (journal, opened) = open(&path, segment_bytes).unwrap();
        let begun = 1 + 10 * life as u64;
        assert_eq!(opened, Opened { first: 1, next: begun, cut_bytes: 0 });
        append(&journal, 10);
        assert_eq!(records(&journal, 1).unwrap(), expected(1..begun + 10));
        assert_eq!(records(&journal, begun + 3).unwrap(), expected(begun + 3..begun + 10));
        if life == 2 {
            journal.close().unwrap();
        }
    }
    assert!(files(&path).len() > 10);
}

#[test]
fn covered_segments_are_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = open(directory.path(), 150).unwrap();
    append(&journal, 30);
    let before = files(directory.path()).len();
    journal.drop_until(17).unwrap();
    let left = records(&journal, 1).unwrap();
    assert!(left[0].0 > 1 && left[0].0 <= 18 && left.last().unwrap().0 == 30, "{left:?}");
    assert!(files(directory.path()).len() < before);
    journal.drop_until(u64::MAX).unwrap();
    assert_eq!(files(directory.path()).len(), 1, "the one that is written to stays, and with it the numbers");
    drop(journal);
    let (journal, opened) = open(directory.path(), 150).unwrap();
    assert_eq!((opened.next, journal.append(b"x").unwrap()), (31, 31));
}

#[test]
fn one_process_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = open(directory.path(), 1000).unwrap();
    assert!(matches!(open(directory.path(), 1000), Err(JournalError::Locked { .. })));
    drop(journal);
    open(directory.path(), 1000).unwrap();
}

#[test]
fn many_threads_share_batches_and_every_record_has_its_number() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = open(directory.path(), 4000).unwrap();
    let appended: Vec<(u64, Vec<u8>)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8u8)
            .map(|thread| {
                let journal = &journal;
                scope.spawn(move || {
                    let record = |n: u8| vec![thread, n, thread];
                    (0..50).map(|n| (journal.append(&record(n)).unwrap(), record(n))).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|t| t.join().unwrap()).collect()
    });
    drop(journal);
    let (journal, opened) = open(directory.path(), 4000).unwrap();
    let mut appended = appended;
    appended.sort();
    assert_eq!(records(&journal, 1).unwrap(), appended);
    assert_eq!((opened.next, opened.cut_bytes), (401, 0));
}

/// A journal of some segments, the last of several batches. Returns its files.
fn sample(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let (journal, _) = open(directory, 400).unwrap();
    append(&journal, 20);
    drop(journal);
    let files = files(directory);
    assert!(files.len() > 2);
    files.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn cut_at_any_byte_it_holds_what_came_before() {
    let directory = tempfile::tempdir().unwrap();
    let files = sample(directory.path());
    let (last, bytes) = files.last().unwrap();
    for length in 0..bytes.len() {
        fs::write(last, &bytes[..length]).unwrap();
        let (journal, opened) = open(directory.path(), 400).unwrap_or_else(|e| panic!("{length}: {e}"));
        assert_eq!(records(&journal, 1).unwrap(), expected(1..opened.next), "{length}");
        // It goes on from there.
        append(&journal, 1);
        drop(journal);
        let (journal, again) = open(directory.path(), 400).unwrap();
        assert_eq!((again.next, again.cut_bytes), (opened.next + 1, 0), "{length}");
        assert_eq!(records(&journal, 1).unwrap(), expected(1..again.next), "{length}");
        drop(journal);
        for (path, bytes) in &files {
            fs::write(path, bytes).unwrap();
        }
        for path in self::files(directory.path()) {
            if files.iter().all(|(known, _)| *known != path) {
                fs::remove_file(path).unwrap();
            }
        }
    }
}

#[test]
fn whatever_bit_flips_no_record_is_another_one_and_only_the_last_batch_may_be_missing() {
    let directory = tempfile::tempdir().unwrap();
    let files = sample(directory.path());
    let mut random = StdRng::seed_from_u64(1);
    for (at, (path, bytes)) in files.iter().enumerate() {
        for byte in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[byte] ^= 1 << random.random_range(0..8);
            fs::write(path, &flipped).unwrap();
            let read = open(directory.path(), 1 << 20).and_then(|(j, opened)| Ok((records(&j, 1)?, opened)));
            match read {
                Err(JournalError::Corrupt { path: told, .. }) => assert_eq!(told, *path),
                Err(e) => panic!("{at} {byte}: {e}"),
                Ok((records, opened)) => {
                    assert_eq!(at, files.len() - 1, "byte {byte}");
                    assert_eq!(records, expected(1..20), "byte {byte}: all but the last");
                    assert!(opened.cut_bytes > 0);
                }
            }
            files.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
        }
    }
}

#[test]
fn of_a_closed_journal_any_flip_but_of_the_mark_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = open(directory.path(), 1 << 20).unwrap();
    append(&journal, 5);
    journal.close().unwrap();
    drop(journal);
    let path = files(directory.path()).remove(0);
    let bytes = fs::read(&path).unwrap();
    for byte in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[byte] ^= 1;
        fs::write(&path, &flipped).unwrap();
        match open(directory.path(), 1 << 20) {
            Err(JournalError::Corrupt { .. }) => assert!(byte < bytes.len() - 40, "{byte}"),
            Err(e) => panic!("{byte}: {e}"),
            Ok((journal, _)) => {
                assert!(byte >= bytes.len() - 40, "{byte}");
                assert_eq!(records(&journal, 1).unwrap(), expected(1..6));
            }
        }
        fs::write(&path, &bytes).unwrap();
    }
}

#[test]
fn a_record_that_looks_like_a_batch_is_a_record() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = open(directory.path(), 1 << 20).unwrap();
    append(&journal, 2);
    let path = files(directory.path()).remove(0);
    // The bytes of a segment as a record of another one that is torn.
    let copy = fs::read(&path).unwrap();
    let other = tempfile::tempdir().unwrap();
    let (journal, _) = open(other.path(), 1 << 20).unwrap();
    journal.append(b"first").unwrap();
    journal.append(&copy).unwrap();
    drop(journal);
    let path = files(other.path()).remove(0);
    let length = fs::metadata(&path).unwrap().len();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length - 1).unwrap();
    let (journal, opened) = open(other.path(), 1 << 20).unwrap();
    assert_eq!(records(&journal, 1).unwrap(), [(1, b"first".to_vec())]);
    assert!(opened.cut_bytes > 0);
}

#[test]
fn a_missing_segment_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let files = sample(directory.path());
    fs::remove_file(&files[1].0).unwrap();
    let (journal, _) = open(directory.path(), 400).unwrap();
    let error = records(&journal, 1).unwrap_err();
    assert!(error.to_string().contains("is missing"), "{error}");
    assert!(error.to_string().contains(&files[0].0.display().to_string()), "{error}");
}

#[test]
fn nothing_is_taken_after_a_write_that_failed() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = open(directory.path(), 1).unwrap();
    assert_eq!(journal.append(b"one").unwrap(), 1);
    // The next record begins a segment, whose name is taken.
    fs::create_dir(directory.path().join("00000000000000000002.journal")).unwrap();
    assert!(matches!(journal.append(b"two"), Err(JournalError::Failed { .. })));
    assert!(matches!(journal.append(b"three"), Err(JournalError::Failed { .. })));
    fs::remove_dir(directory.path().join("00000000000000000002.journal")).unwrap();
    drop(journal);
    let (journal, opened) = open(directory.path(), 1).unwrap();
    assert_eq!(opened.next, 2);
    assert_eq!(journal.append(b"two").unwrap(), 2);
}

#[test]
fn what_is_enqueued_is_written_when_somebody_waits() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = open(directory.path(), 1 << 20).unwrap();
    let size = || fs::metadata(&files(directory.path())[0]).unwrap().len();
    let empty = size();
    for number in 1..=3 {
        assert_eq!(journal.enqueue(&content(number)).unwrap(), number);
    }
    assert_eq!(size(), empty);
    journal.wait(2).unwrap();
    assert_eq!(records(&journal, 1).unwrap(), expected(1..4));
    // What was never enqueued is not waited for.
    journal.wait(100).unwrap();
    journal.enqueue(&content(4)).unwrap();
    journal.close().unwrap();
    assert!(matches!(journal.check(), Err(JournalError::Closed)));
    assert_eq!(journal.enqueue(b"late").unwrap(), 5);
    assert!(matches!(journal.wait(5), Err(JournalError::Closed)));
    drop(journal);
    let (journal, opened) = open(directory.path(), 1 << 20).unwrap();
    assert_eq!(opened, Opened { first: 1, next: 5, cut_bytes: 0 });
    assert_eq!(records(&journal, 1).unwrap(), expected(1..5));
}

#[test]
fn who_enqueues_while_others_write_waits_for_all_before() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = open(directory.path(), 200).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let number = journal.enqueue(b"record").unwrap();
                    journal.wait(number).unwrap();
                }
            });
        }
    });
    assert_eq!(records(&journal, 1).unwrap().len(), 400);
}
