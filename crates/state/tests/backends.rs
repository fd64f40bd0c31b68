//! What every backend does, and that all do the same.

#![expect(clippy::unwrap_used, reason = "a test, and what it needs")]

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::datatypes::DataType;
use eddyline_changes::KeyGroups;
use eddyline_changes::hash::hash_columns;
use eddyline_state::{
    Backend, Batch, EntriesReader, Frozen, MemoryBackend, MemoryBudget, Outgoing, RocksBackend, RowTable, RowTableSpec,
    SlotTable, StateError, StateFile, Store, Write,
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// Everything that `scan` finds between `from` and `to`.
fn scanned<F>(scan: F) -> Result<Entries, StateError>
where
    F: FnOnce(&mut dyn FnMut(&[u8], &[u8]) -> Result<(), StateError>) -> Result<(), StateError>,
{
    let mut entries = Vec::new();
    scan(&mut |key, value| {
        entries.push((key.to_vec(), value.to_vec()));
        Ok(())
    })?;
    Ok(entries)
}

fn all(backend: &dyn Backend) -> Entries {
    scanned(|each| backend.scan(&[], &[0xff; 32], each)).expect("the store can be read")
}

fn pictured(frozen: &dyn Frozen) -> Entries {
    scanned(|each| frozen.scan(&[], &[0xff; 32], each)).expect("the picture can be read")
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory for a test")
}

fn files(frozen: &dyn Frozen, into: &Path) -> Vec<StateFile> {
    let files = frozen.files(into).expect("the picture has files");
    for file in &files {
        let size_bytes = fs::metadata(into.join(&file.name)).expect("the file is there").len();
        assert_eq!(size_bytes, file.size_bytes, "{}", file.name);
    }
    files
}

fn budget() -> Arc<MemoryBudget> {
    MemoryBudget::new(0)
}

fn rocks(directory: &Path) -> RocksBackend {
    RocksBackend::open(directory, &budget()).expect("the store can be opened")
}

fn put(key: &str, value: &str) -> Write {
    Write::Put(key.into(), value.into())
}

fn entries(entries: &[(&str, &str)]) -> Entries {
    entries.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()
}

fn a_picture_does_not_change(backend: &dyn Backend, open: &dyn Fn(&Path) -> Box<dyn Backend>) {
    backend.write(vec![put("a", "1"), put("b", "2")]).unwrap();
    let frozen = backend.freeze().unwrap();
    backend.write(vec![put("a", "3"), Write::Delete("b".into()), put("c", "4")]).unwrap();
    let then = entries(&[("a", "1"), ("b", "2")]);
    assert_eq!(pictured(frozen.as_ref()), then);
    let directory = directory();
    files(frozen.as_ref(), directory.path());
    assert_eq!(all(open(directory.path()).as_ref()), then);
    assert_eq!(all(backend), entries(&[("a", "3"), ("c", "4")]));
}

#[test]
fn a_picture_of_memory_does_not_change() {
    a_picture_does_not_change(&MemoryBackend::new(), &|directory| Box::new(MemoryBackend::open(directory).unwrap()));
}

#[test]
fn a_picture_of_a_disk_does_not_change() {
    let home = directory();
    a_picture_does_not_change(&rocks(home.path()), &|directory| Box::new(rocks(directory)));
}

#[test]
fn a_range_that_ends_before_it_begins_is_empty() {
    let home = directory();
    for backend in [&MemoryBackend::new() as &dyn Backend, &rocks(home.path())] {
        backend.write(vec![put("a", "1")]).unwrap();
        backend.write(vec![Write::DeleteRange("b".into(), "a".into())]).unwrap();
        backend.scan(b"z", b"a", &mut |_, _| panic!("nothing is there")).unwrap();
        assert_eq!(all(backend).len(), 1);
    }
}

#[test]
fn what_stands_behind_a_range_that_was_removed_is_there_when_the_store_is_opened() {
    let home = directory();
    let backend = rocks(home.path());
    let led = corner().led_key(Store::by_lead(1), 2, 0, &[]);
    backend.write(vec![Write::Put(vec![2; 12], vec![1]), Write::Put(led.clone(), vec![2])]).unwrap();
    assert_eq!(all(&backend).len(), 2);
    backend.write(vec![Write::DeleteRange(led, vec![2])]).unwrap();
    drop(backend);
    let backend = rocks(home.path());
    assert!(!backend.is_empty());
    assert_eq!(all(&backend), vec![(vec![2; 12], vec![1])]);
}

#[test]
fn a_picture_lives_when_its_store_is_closed_and_goes_when_it_is_dropped() {
    let home = directory();
    let backend = rocks(home.path());
    backend.write(vec![put("a", "1")]).unwrap();
    let frozen = backend.freeze().unwrap();
    drop(backend);
    assert_eq!(pictured(frozen.as_ref()), entries(&[("a", "1")]));
    drop(frozen);
    assert_eq!(fs::read_dir(home.path().join("pictures")).unwrap().count(), 0);
    // Unused, too.
    drop(rocks(home.path()).freeze().unwrap());
    assert_eq!(all(&rocks(home.path())), entries(&[("a", "1")]));
}

#[test]
fn files_that_did_not_change_keep_their_names() {
    let home = directory();
    let backend = rocks(home.path());
    let shared = |frozen: &dyn Frozen| {
        let into = directory();
        let files = files(frozen, into.path());
        let shared = files.into_iter().filter(|f| f.is_shared);
        shared.map(|f| (f.name.clone(), fs::read(into.path().join(f.name)).unwrap())).collect::<BTreeMap<_, _>>()
    };
    backend.write(vec![put("a", "1")]).unwrap();
    let first = shared(backend.freeze().unwrap().as_ref());
    backend.write(vec![put("b", "2")]).unwrap();
    let second = shared(backend.freeze().unwrap().as_ref());
    assert_eq!((first.len(), second.len()), (1, 2));
    assert!(first.iter().all(|(name, content)| second.get(name) == Some(content)));
    // The same without a change in between.
    assert_eq!(shared(backend.freeze().unwrap().as_ref()), second);
}

/// A store all of which was read: what is written goes into the database, and not to the journal.
fn settled(directory: &Path) -> RocksBackend {
    let backend = rocks(directory);
    backend.write(vec![put("a", "1"), Write::Delete("a".into())]).unwrap();
    assert_eq!(all(&backend), Entries::new());
    backend
}

/// A store with two files of some blocks, in a database or a journal.
fn picture_to_damage(journaled: bool) -> TempDir {
    let (home, into) = (directory(), directory());
    let backend = if journaled { rocks(home.path()) } else { settled(home.path()) };
    for round in 0..2u32 {
        let key = |n: u32| format!("{n:06}/{round}").into_bytes();
        let value = |n: u32| (0..40u32).map(|i| (n.wrapping_mul(2_654_435_761) >> (i % 24)) as u8).collect();
        backend.write((0..3_000).map(|n| Write::Put(key(n), value(n))).collect()).unwrap();
        drop(backend.freeze().unwrap());
    }
    files(backend.freeze().unwrap().as_ref(), into.path());
    into
}

/// Opens a store and reads all of it.
fn read_whole(directory: &Path) -> Result<Entries, StateError> {
    let backend = RocksBackend::open(directory, &budget())?;
    scanned(|each| backend.scan(&[], &[0xff; 32], each))
}

#[test]
fn lost_files_are_noticed() {
    for journaled in [false, true] {
        let names: Vec<String> = {
            let picture = picture_to_damage(journaled);
            let names = fs::read_dir(picture.path()).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap());
            names.collect()
        };
        assert_eq!(names.iter().any(|n| n == "journal"), journaled);
        assert!(names.len() >= 4, "{names:?}");
        for name in names {
            let picture = picture_to_damage(journaled);
            fs::remove_file(picture.path().join(&name)).unwrap();
            let error = read_whole(picture.path()).map(|_| ()).expect_err(&name);
            assert!(error.is_corruption(), "{name}: {error}");
            assert!(error.to_string().contains(picture.path().to_str().unwrap()), "{error}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// A flipped bit is either noticed, or in a place that holds nothing of what was written.
    #[test]
    fn damaged_files_are_noticed(
        journaled: bool, file in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), bit in 0..8u8, cut: bool
    ) {
        let picture = picture_to_damage(journaled);
        let whole = read_whole(picture.path()).unwrap();
        let picture = picture_to_damage(journaled);
        let mut paths: Vec<_> = fs::read_dir(picture.path()).unwrap().map(|f| f.unwrap().path()).collect();
        paths.retain(|p| p.extension().is_some_and(|e| e == "sst") || p.to_string_lossy().contains("/journal"));
        paths.sort();
        let path = file.get(&paths);
        let mut bytes = fs::read(path).unwrap();
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] ^= 1 << bit;
        }
        fs::write(path, bytes).unwrap();
        match read_whole(picture.path()) {
            Err(error) => prop_assert!(error.is_corruption(), "{}", error),
            Ok(entries) => prop_assert!(!cut && entries == whole, "damage at {} of {:?} was not noticed", at, path),
        }
    }
}

/// Names and sizes of the files of a picture, and how many bytes of them are in none that was there before.
fn account(frozen: &dyn Frozen, known: &mut BTreeMap<String, u64>) -> (u64, u64) {
    let into = directory();
    let files = files(frozen, into.path());
    let total = files.iter().map(|f| f.size_bytes).sum();
    let new = files.iter().filter(|f| !(f.is_shared && known.contains_key(&f.name))).map(|f| f.size_bytes).sum();
    *known = files.into_iter().map(|f| (f.name, f.size_bytes)).collect();
    (total, new)
}

/// Text that does not shrink by compression.
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..64).map(next).collect()
}

#[test]
fn a_small_change_makes_a_small_checkpoint() {
    const ENTRIES: u64 = 100_000;
    let home = directory();
    let backend = settled(home.path());
    let key = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes().to_vec();
    for from in (0..ENTRIES).step_by(4096) {
        let to = ENTRIES.min(from + 4096);
        backend.write((from..to).map(|n| Write::Put(key(n), noise(n))).collect()).unwrap();
    }
    let mut known = BTreeMap::new();
    account(backend.freeze().unwrap().as_ref(), &mut known);
    let mut written = Vec::new();
    for round in 1..=90u64 {
        // One in a hundred, all over the place.
        let changed = (0..ENTRIES / 100).map(|i| (i * 7_919 + round * 104_729) % ENTRIES);
        backend.write(changed.map(|n| Write::Put(key(n), noise(n ^ round << 32))).collect()).unwrap();
        let (total, new) = account(backend.freeze().unwrap().as_ref(), &mut known);
        written.push(new * 1000 / total);
    }
    // Meanwhile the files of the first load were merged.
    let written = &mut written[30..];
    written.sort_unstable();
    let (mean, median) = (written.iter().sum::<u64>() / written.len() as u64, written[written.len() / 2]);
    println!("new bytes per mille of all: mean {mean}, median {median}, most {}", written[written.len() - 1]);
    assert!(mean <= 50 && median <= 20, "mean {mean}, median {median} per mille");
}

#[test]
fn what_is_written_while_nobody_reads_is_appended_to_what_is_there() {
    let home = directory();
    let backend = settled(home.path());
    let key = |n: u32| n.wrapping_mul(0x9e37_79b1).to_be_bytes().to_vec();
    backend.write((0..20_000).map(|n| Write::Put(key(n), noise(u64::from(n)))).collect()).unwrap();
    let mut known = BTreeMap::new();
    let (total, _) = account(backend.freeze().unwrap().as_ref(), &mut known);
    assert!(!known.keys().any(|name| name.starts_with("journal")), "{known:?}");
    backend.rest().unwrap();
    // Half of it again and again, and what comes and goes: neither leaves more than it says.
    let mut expected: BTreeMap<Vec<u8>, Vec<u8>> = (0..20_000).map(|n| (key(n), noise(u64::from(n)))).collect();
    let tables = |known: &BTreeMap<String, u64>| -> Vec<String> {
        known.keys().filter(|name| name.ends_with(".sst")).cloned().collect()
    };
    let base = tables(&known);
    for round in 0..12u32 {
        let mut batch = Batch::new();
        for n in 0..10_000 {
            let value = noise(u64::from(round * 100_000 + n));
            expected.insert(key(n), value.clone());
            batch.put(true, |out| out.extend(key(n)), |out| out.extend(value));
        }
        for n in 0..10_000 {
            batch.put(false, |out| out.extend(key(1_000_000 + round * 10_000 + n)), |out| out.extend([1; 64]));
        }
        (0..10_000).for_each(|n| batch.delete(&key(1_000_000 + round * 10_000 + n)));
        // And a little of what was there before is gone.
        for n in 0..10 {
            batch.delete(&key(19_000 + round * 10 + n));
            expected.remove(&key(19_000 + round * 10 + n));
        }
        backend.apply(&batch).unwrap();
        let frozen = backend.freeze().unwrap();
        let (now, _) = account(frozen.as_ref(), &mut known);
        assert_eq!(tables(&known), base, "nobody changes what was there");
        assert!(now < total * 4, "round {round}: {now} of {total} bytes");
        if round % 4 == 3 {
            assert_eq!(pictured(frozen.as_ref()), expected.clone().into_iter().collect::<Entries>());
        }
    }
    // Who reads finds all of it, and so does who opens what was closed.
    assert_eq!(all(&backend), expected.clone().into_iter().collect::<Entries>());
    backend.rest().unwrap();
    backend.write(vec![Write::Delete(key(0)), Write::Put(b"last".to_vec(), vec![1])]).unwrap();
    drop(backend);
    expected.remove(&key(0));
    expected.insert(b"last".to_vec(), vec![1]);
    assert_eq!(all(&rocks(home.path())), expected.into_iter().collect::<Entries>());
}

#[test]
fn the_disk_gets_smaller_when_windows_close() {
    let (home, other) = (directory(), directory());
    windows_close(&rocks(home.path()));
    windows_close(&settled(other.path()));
}

fn windows_close(backend: &RocksBackend) {
    const KEYS: u64 = 10_000;
    let key = |window: u64, n: u64| [window.to_be_bytes(), (n * 0x9e37_79b9_7f4a).to_be_bytes()].concat();
    let mut known = BTreeMap::new();
    let mut most = 0;
    for window in 0..30u64 {
        backend.write((0..KEYS).map(|n| Write::Put(key(window, n), noise(n ^ window << 40))).collect()).unwrap();
        if let Some(closed) = window.checked_sub(2) {
            backend.write((0..KEYS).map(|n| Write::Delete(key(closed, n))).collect()).unwrap();
        }
        let (total, _) = account(backend.freeze().unwrap().as_ref(), &mut known);
        most = most.max(total);
    }
    // Two windows are open, a third is written and another removed; all 30 are 26 MB.
    assert!(most < 10_000_000, "{most} bytes");
}

/// What a time to live does, and rows of a join that are taken back: keys go one by one, in no order.
#[test]
fn the_disk_gets_smaller_when_keys_go_all_over_the_place() {
    let spread = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    let (home, other, led) = (directory(), directory(), directory());
    keys_go(&rocks(home.path()), &|n| spread(n).to_vec());
    keys_go(&settled(other.path()), &|n| spread(n).to_vec());
    // Seven rows with each lead.
    let row = |n: u64| corner().led_key(Store::by_lead(1), 2, 8, &[spread(n / 7), spread(n)].concat());
    keys_go(&settled(led.path()), &row);
}

fn keys_go(backend: &RocksBackend, key: &dyn Fn(u64) -> Vec<u8>) {
    const KEYS: u64 = 60_000;
    for from in (0..KEYS).step_by(4096) {
        backend.write((from..KEYS.min(from + 4096)).map(|n| Write::Put(key(n), noise(n))).collect()).unwrap();
    }
    let mut known = BTreeMap::new();
    let (full, _) = account(backend.freeze().unwrap().as_ref(), &mut known);
    let mut left = full;
    // Nine of ten go in thirty checkpoints, and a few come. A journal is cleaned up a part at a time, so that no checkpoint writes
    // much beyond what is new; its first file goes when all its parts are clean.
    for round in 0..130u64 {
        let gone = (0..KEYS).filter(|n| n % 10 != 0 && n % 30 == round);
        let come = (0..20).map(|n| Write::Put(key(KEYS + round * 20 + n), noise(n)));
        backend.write(gone.map(|n| Write::Delete(key(n))).chain(come).collect()).unwrap();
        (left, _) = account(backend.freeze().unwrap().as_ref(), &mut known);
    }
    assert!(left < full * 3 / 10, "{left} bytes of {full}");
}

#[derive(Debug, Clone)]
enum Call {
    Write(Vec<Write>),
    Get(Vec<Vec<u8>>),
    Scan(Vec<u8>, Vec<u8>),
    /// Look for leads.
    Leads(Vec<Vec<u8>>),
    /// Freeze; later, after `Write`s, compare the picture.
    Freeze,
    /// Compare the oldest picture that is still there; open it, and go on with it.
    Rewind,
    /// Close and open again.
    Reopen,
    /// Nobody will read.
    Rest,
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    let led = (lead(), vec(0..3u8, 0..3)).prop_map(|(lead, rest)| [lead, rest].concat());
    let grouped = (prop_oneof![Just(3), Just(100)], 0..4u16, vec(0..3u8, 0..3));
    let grouped = grouped.prop_map(|(table, group, rest)| corner().full_key(table, group, &rest));
    // The number of a table has no third bit.
    let any = vec(any::<u8>(), 12..20).prop_map(|mut key| {
        key[8] &= 0xdf;
        key
    });
    prop_oneof![vec(0..3u8, 0..4), any, led, grouped]
}

/// A full key up to the end of its lead.
fn lead() -> impl Strategy<Value = Vec<u8>> {
    vec(0..3u8, 0..3).prop_map(|lead| corner().led_key(Store::by_lead(1), 2, lead.len(), &lead))
}

/// Where keys belong to.
fn corner() -> Store {
    Store::new(Arc::new(MemoryBackend::new()), 1, KeyGroups::new(4, 1), 0..4)
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        4 => (key(), vec(any::<u8>(), 0..8)).prop_map(|(k, v)| Write::Put(k, v)),
        2 => key().prop_map(Write::Delete),
        1 => (key(), key()).prop_map(|(a, b)| Write::DeleteRange(a, b)),
    ]
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        6 => vec(write(), 0..12).prop_map(Call::Write),
        3 => vec(key(), 0..6).prop_map(Call::Get),
        2 => (key(), key()).prop_map(|(a, b)| Call::Scan(a, b)),
        3 => vec(lead(), 0..4).prop_map(Call::Leads),
        2 => Just(Call::Freeze),
        1 => Just(Call::Rewind),
        1 => Just(Call::Reopen),
        2 => Just(Call::Rest),
    ]
}

/// The reference and the store on disk, side by side.
struct Both {
    memory: MemoryBackend,
    rocks: RocksBackend,
    home: TempDir,
    pictures: Vec<(Box<dyn Frozen>, Box<dyn Frozen>)>,
}

impl Both {
    fn rewind(&mut self) {
        let (memory, rocks) = self.pictures.remove(0);
        assert_eq!(pictured(memory.as_ref()), pictured(rocks.as_ref()));
        let (of_memory, of_rocks) = (directory(), directory());
        files(memory.as_ref(), of_memory.path());
        files(rocks.as_ref(), of_rocks.path());
        self.memory = MemoryBackend::open(of_memory.path()).expect("a picture");
        self.rocks = self::rocks(of_rocks.path());
        self.home = of_rocks;
        self.pictures.clear();
    }

    fn reopen(mut self) -> Self {
        self.pictures.clear();
        drop(self.rocks);
        Self { rocks: rocks(self.home.path()), ..self }
    }

    fn call(mut self, call: Call) -> Self {
        let Self { memory, rocks, .. } = &self;
        match call {
            Call::Write(writes) => {
                memory.write(writes.clone()).expect("memory");
                rocks.write(writes).expect("disk");
            }
            Call::Get(keys) => {
                let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
                assert_eq!(memory.multi_get(&keys).expect("memory"), rocks.multi_get(&keys).expect("disk"));
            }
            Call::Scan(from, to) => {
                let expected = scanned(|each| memory.scan(&from, &to, each)).expect("memory");
                assert_eq!(scanned(|each| rocks.scan(&from, &to, each)).expect("disk"), expected);
            }
            Call::Leads(leads) => {
                let found = |backend: &dyn Backend| {
                    let mut found = Vec::new();
                    let each = &mut |at: usize, key: &[u8], value: &[u8]| {
                        found.push((at, key.to_vec(), value.to_vec()));
                        Ok(())
                    };
                    backend.scan_prefixes(&leads, each).expect("the store can be read");
                    found
                };
                assert_eq!(found(memory), found(rocks));
            }
            Call::Freeze => self.pictures.push((memory.freeze().expect("memory"), rocks.freeze().expect("disk"))),
            Call::Rewind if self.pictures.is_empty() => {}
            Call::Rewind => self.rewind(),
            Call::Reopen => return self.reopen(),
            Call::Rest => rocks.rest().expect("disk"),
        }
        // What is known to be empty is.
        assert!(!self.rocks.is_empty() || self.memory.is_empty());
        self
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_store_on_disk_is_the_store_in_memory(calls in vec(call(), 0..30)) {
        let home = directory();
        let mut both = Both { memory: MemoryBackend::new(), rocks: rocks(home.path()), home, pictures: Vec::new() };
        for call in calls {
            both = both.call(call);
        }
        assert_eq!(all(&both.memory), all(&both.rocks));
    }
}

#[test]
fn a_store_that_is_opened_reads_no_more_of_its_journal_than_is_asked_for() {
    const GROUPS: u16 = 64;
    let (home, copy) = (directory(), directory());
    let backend = rocks(home.path());
    let key = |group: u16, number: u32| corner().full_key(3, group, &number.to_be_bytes());
    for group in 0..GROUPS {
        backend.write((0..200).map(|number| Write::Put(key(group, number), vec![7; 50])).collect()).unwrap();
    }
    let journals = |path: &Path| -> Vec<_> {
        let paths = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        paths.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("journal-")).collect()
    };
    files(backend.freeze().unwrap().as_ref(), copy.path());
    drop(backend);
    // A byte in the middle is of some part, and only who asks for that finds it.
    let [journal] = journals(copy.path()).try_into().expect("one file");
    let mut bytes = fs::read(&journal).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(&journal).unwrap();
    fs::write(&journal, bytes).unwrap();
    let backend = rocks(copy.path());
    let found = |group| match backend.multi_get(&[&key(group, 5)]) {
        Ok(found) => Some(found == vec![Some(vec![7; 50])]),
        Err(StateError::CorruptFile { .. }) => None,
        Err(other) => panic!("{other}"),
    };
    let found: Vec<_> = (0..GROUPS).map(found).collect();
    assert_eq!(found.iter().filter(|found| **found == Some(true)).count(), usize::from(GROUPS) - 1);
    assert_eq!(found.iter().filter(|found| found.is_none()).count(), 1);
    // What was not asked for yet is still there when the store is closed in between.
    drop(backend);
    assert_eq!(journals(copy.path()).len(), 1);
    let backend = rocks(home.path());
    backend.write(vec![Write::Put(key(1, 5), vec![8]), Write::Delete(key(2, 5))]).unwrap();
    assert_eq!(backend.multi_get(&[&key(1, 5)]).unwrap(), vec![Some(vec![8])]);
    backend.write(vec![Write::Put(key(1, 5), vec![9]), Write::Put(key(3, 5), vec![9])]).unwrap();
    drop(backend);
    let backend = rocks(home.path());
    let keys: Vec<Vec<u8>> = (0..5).map(|group| key(group, 5)).collect();
    let found = backend.multi_get(&keys.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
    assert_eq!(found, vec![Some(vec![7; 50]), Some(vec![9]), None, Some(vec![9]), Some(vec![7; 50])]);
    assert_eq!(all(&backend).len(), usize::from(GROUPS) * 200 - 1);
    assert!(journals(home.path()).is_empty());
}

/// Tables of keys and of rows that change in rounds, with a picture after each. Returns what the last picture holds.
fn tables_over(backend: &Arc<dyn Backend>) -> Entries {
    let groups = KeyGroups::new(128, 1);
    let store = |operator| Store::new(backend.clone(), operator, groups, groups.range_of(0));
    let types = [DataType::Utf8, DataType::Int64];
    let mut keys = SlotTable::open("keys", &types, &store(1), 0, 1).unwrap();
    let spec = RowTableSpec {
        name: "rows",
        types: &types,
        id: 0,
        distribution: 1,
        is_distinct: false,
        lazily: None,
        ttl_ms: None,
    };
    let mut rows = RowTable::open(spec, &store(2), &mut |_, _| Ok(())).unwrap();
    let mut last = Entries::new();
    for round in 0..4i64 {
        let ids = || (0..5000).map(move |id| id * (round + 1));
        let names: StringArray = ids().map(|id| (id % 11 > 0).then(|| format!("name {}", id % 700))).collect();
        let columns: [ArrayRef; 2] = [Arc::new(names), Arc::new(ids().collect::<Int64Array>())];
        let (mut slots, mut row_slots) = (Vec::new(), Vec::new());
        keys.lookup(&columns, &hash_columns(&columns, 5000).unwrap(), &mut slots, &mut |_, _| Ok(())).unwrap();
        keys.mark_dirty(&slots);
        rows.add(&columns, 5000, &mut row_slots).unwrap();
        if round > 1 {
            let mut gone: Vec<u32> = slots.iter().copied().step_by(5).collect();
            gone.sort_unstable();
            gone.dedup();
            keys.remove(&gone).unwrap();
            rows.remove(&row_slots[..1000]).unwrap();
        }
        keys.persist(&mut |slot, out| out.extend_from_slice(&(i64::from(slot) * round).to_le_bytes())).unwrap();
        rows.persist(&mut |slot, out| out.extend((0..slot % 3).map(|at| at as u8))).unwrap();
        last = pictured(&*backend.freeze().unwrap());
    }
    last
}

#[test]
fn what_tables_write_in_columns_is_what_they_write_one_by_one() {
    let home = directory();
    let memory: Arc<dyn Backend> = Arc::new(MemoryBackend::new());
    let disk: Arc<dyn Backend> = Arc::new(rocks(home.path()));
    let wanted = tables_over(&memory);
    assert!(wanted.len() > 20_000, "{}", wanted.len());
    assert_eq!(tables_over(&disk), wanted);
    drop(disk);
    assert_eq!(all(&rocks(home.path())), wanted, "what was written is there again");
}

/// What becomes of a picture.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Kept,
    /// It was written, and that came to nothing.
    Lost,
    /// It is kept, and another process goes on from it.
    GoneOn,
}

fn step() -> impl Strategy<Value = (Vec<Vec<Write>>, Fate)> {
    let fate = prop_oneof![3 => Just(Fate::Kept), 1 => Just(Fate::Lost), 1 => Just(Fate::GoneOn)];
    (vec(vec(write(), 0..12), 0..4), fate)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever is put down of what goes out is what a backend in memory holds, also where pictures were lost.
    #[test]
    fn what_goes_out_is_put_down_wholly(steps in vec(step(), 1..8)) {
        let home = directory();
        let (memory, mut outgoing) = (MemoryBackend::new(), Outgoing::new());
        outgoing.rest().unwrap();
        let mut before = None;
        for (at, (batches, fate)) in steps.into_iter().enumerate() {
            for writes in batches {
                memory.write(writes.clone()).unwrap();
                outgoing.write(writes).unwrap();
            }
            let (picture, path) = (outgoing.freeze().unwrap(), home.path().join(at.to_string()));
            let size_bytes = picture.write(before.as_deref(), &path).unwrap();
            prop_assert_eq!(fs::metadata(&path).unwrap().len(), size_bytes);
            let put_down = scanned(|each| EntriesReader::open(&path)?.read_all(each)).unwrap();
            prop_assert_eq!(&put_down, &all(&memory));
            if !matches!(fate, Fate::Lost) {
                picture.kept();
                before = Some(path.clone());
            }
            drop(picture);
            if matches!(fate, Fate::GoneOn) {
                outgoing = Outgoing::on(&path).unwrap();
                prop_assert_eq!(outgoing.is_empty(), put_down.is_empty());
                prop_assert_eq!(all(&outgoing), put_down);
                outgoing.rest().unwrap();
            }
        }
    }
}

#[test]
fn what_went_out_is_not_found_again() {
    let home = directory();
    let outgoing = Outgoing::new();
    outgoing.rest().unwrap();
    // A table that is new finds nothing.
    assert_eq!(outgoing.multi_get(&[b"a"]).unwrap(), [None]);
    outgoing.write(vec![put("a", "1")]).unwrap();
    assert!(outgoing.multi_get(&[b"a"]).is_err());
    let picture = outgoing.freeze().unwrap();
    picture.write(None, &home.path().join("first")).unwrap();
    picture.kept();
    drop(picture);
    assert!(outgoing.multi_get(&[b"a"]).is_err());
    // What has changed since is no state without what it goes on.
    let picture = outgoing.freeze().unwrap();
    assert!(!picture.is_whole() && picture.write(None, &home.path().join("second")).is_err());
}
