use crate::*;
use eddyline_state::StateFile;
use std::fs;
use std::path::Path;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A store at some place, and a directory for pictures.
struct Bench {
    store: CheckpointStore,
    place: Place,
    directory: TempDir,
    // Behind the place.
    _tokio: Runtime,
}

impl Bench {
    fn local() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::local(directory.path().join("checkpoints"));
        Self::at(place, directory, Runtime::new().unwrap())
    }

    fn remote() -> Self {
        let tokio = Runtime::new().unwrap();
        Self::at(Place::memory(tokio.handle()), tempfile::tempdir().unwrap(), tokio)
    }

    fn at(place: Place, directory: TempDir, tokio: Runtime) -> Self {
        Self { store: CheckpointStore::new(&place, "a job/1"), place, directory, _tokio: tokio }
    }

    fn both() -> [Self; 2] {
        [Self::local(), Self::remote()]
    }

    /// One shard's files: name, content; names that begin with `s` are shared.
    fn picture(&self, files: &[(&str, &str)]) -> ShardPicture {
        // A directory of its own: what was linked into a store must not be written again.
        let directory = tempfile::tempdir_in(self.directory.path()).unwrap().keep();
        let file = |(name, content): &(&str, &str)| {
            fs::write(directory.join(name), content).unwrap();
            StateFile {
                name: (*name).into(),
                size_bytes: content.len() as u64,
                xxh3: None,
                is_shared: name.starts_with('s'),
            }
        };
        let files = files.iter().map(file).collect();
        ShardPicture { backend: "test".into(), directory, files }
    }

    fn draft(&self, id: u64, files: &[(&str, &str)]) -> Draft {
        let commit = HeldCommit { operator: u64::MAX, table: "out".into(), epoch: id, commit: vec![0, 255, id as u8] };
        Draft {
            id: CheckpointId(id),
            kind: Kind::Checkpoint,
            epoch: 10 * id,
            time_ms: 1,
            finished: false,
            max_parallelism: 128,
            split_shards: 2,
            in_phases: false,
            drained: false,
            origin: None,
            words: 1,
            operators: vec![OperatorFact { id: 7, name: "Join #3".into(), state: None }],
            shards: vec![self.picture(files)],
            commits: vec![commit],
        }
    }

    fn keep(&self, id: u64, files: &[(&str, &str)], base: Option<&Manifest>) -> (Manifest, u64) {
        self.store.keep(self.draft(id, files), "abcd0123", base).unwrap()
    }

    fn fetched(&self, manifest: &Manifest) -> Result<String, CheckpointError> {
        let into = tempfile::tempdir_in(self.directory.path()).unwrap();
        self.store.fetch(manifest, 0, into.path(), u64::MAX)?;
        let mut names: Vec<_> = fs::read_dir(into.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        let read = |name: &std::ffi::OsString| {
            format!("{}={} ", name.to_string_lossy(), fs::read_to_string(into.path().join(name)).unwrap())
        };
        Ok(names.iter().map(read).collect())
    }

    fn ids(&self) -> Vec<u64> {
        self.store.list().unwrap().iter().map(|f| f.id.0).collect()
    }

    /// The file behind a key, of a local place.
    fn path(&self, key: &str) -> std::path::PathBuf {
        self.place.directory().unwrap().join("a%20job%2f1").join(key)
    }
}

#[test]
fn what_was_kept_is_found_and_fetched() {
    for bench in Bench::both() {
        assert_eq!(bench.ids(), [] as [u64; 0]);
        let (manifest, bytes) = bench.keep(1, &[("s1", "shared"), ("m1", "own")], None);
        assert!(bytes > 9);
        assert_eq!(bench.ids(), [1]);
        let found = bench.store.manifest(CheckpointId(1)).unwrap();
        assert_eq!(found, manifest);
        assert_eq!((found.commits[0].commit.as_slice(), found.size_bytes()), ([0, 255, 1].as_slice(), 9));
        assert_eq!(bench.fetched(&found).unwrap(), "m1=own s1=shared ");
        assert!(bench.store.verify(&found, bench.directory.path()).unwrap().is_empty());
    }
}

#[test]
fn shared_files_are_written_once_and_deleted_with_their_last_checkpoint() {
    for bench in Bench::both() {
        let (first, _) = bench.keep(1, &[("s1", "old"), ("m1", "1")], None);
        // The content of a shared file never changes; were it read again, this would be seen.
        let (second, _) = bench.keep(2, &[("s1", "xxx"), ("s2", "new"), ("m1", "2")], Some(&first));
        assert_eq!(bench.fetched(&second).unwrap(), "m1=2 s1=old s2=new ");
        let (third, _) = bench.keep(3, &[("s2", "yyy"), ("m1", "3")], Some(&second));
        assert_eq!(bench.store.sweep(2).unwrap(), Swept { files: 1, bytes: 1 }, "m1 of the first");
        assert_eq!(bench.ids(), [3, 2]);
        assert_eq!(bench.fetched(&second).unwrap(), "m1=2 s1=old s2=new ");
        assert_eq!(bench.store.sweep(1).unwrap(), Swept { files: 2, bytes: 4 }, "m1 and s1 of the second");
        assert_eq!(bench.fetched(&third).unwrap(), "m1=3 s2=new ");
        assert_eq!(bench.store.sweep(1).unwrap(), Swept::default());
    }
}

#[test]
fn a_file_of_another_life_is_not_taken_for_ones_own() {
    for bench in Bench::both() {
        let (first, _) = bench.keep(1, &[("s1", "one")], None);
        // Another process begins at the same checkpoint but without its files: a new file has an old name.
        let other = CheckpointStore::new(&bench.place, "a job/1");
        let (second, _) = other.keep(bench.draft(2, &[("s1", "two")]), "abcd0123", None).unwrap();
        assert_eq!(bench.fetched(&first).unwrap(), "s1=one ");
        assert_eq!(bench.fetched(&second).unwrap(), "s1=two ");
    }
}

#[test]
fn of_two_processes_one_fails() {
    for bench in Bench::both() {
        bench.keep(1, &[("s1", "one")], None);
        let other = CheckpointStore::new(&bench.place, "a job/1");
        let taken = other.keep(bench.draft(1, &[("s1", "two")]), "abcd0123", None).unwrap_err();
        assert!(matches!(taken, CheckpointError::Taken { .. }), "{taken}");
        assert!(taken.hint().is_some());
        assert_eq!(bench.fetched(&bench.store.manifest(CheckpointId(1)).unwrap()).unwrap(), "s1=one ");
    }
}

/// Of one that was thought to be dead: what its successor has made is as it was, and it learns that it has been left behind.
#[test]
fn a_process_that_was_left_behind_spoils_nothing_and_is_told() {
    for bench in Bench::both() {
        let (first, _) = bench.keep(1, &[("s1", "one"), ("m", "1")], None);
        let successor = CheckpointStore::new(&bench.place, "a job/1");
        let (second, _) = successor.keep(bench.draft(2, &[("m", "2")]), "abcd0123", Some(&first)).unwrap();
        let taken = bench.store.keep(bench.draft(2, &[("s2", "x"), ("m", "x")]), "abcd0123", Some(&first)).unwrap_err();
        assert!(matches!(taken, CheckpointError::Taken { .. }), "{taken}");
        assert_eq!(bench.fetched(&second).unwrap(), "m=2 ");
        let (third, _) = successor.keep(bench.draft(3, &[("m", "3")]), "abcd0123", Some(&second)).unwrap();
        successor.sweep(1).unwrap();
        // Its number is free again; that of a later one is not.
        let taken = bench.store.keep(bench.draft(1, &[("m", "x")]), "abcd0123", None).unwrap_err();
        assert!(matches!(taken, CheckpointError::Taken { .. }), "{taken}");
        assert_eq!(bench.fetched(&third).unwrap(), "m=3 ");
    }
}

/// A try that failed half-way leaves links behind: the next one must not copy a file over itself.
#[test]
fn a_checkpoint_that_is_tried_again_is_whole() {
    let bench = Bench::local();
    let picture = || bench.draft(1, &[("s1", "content"), ("m", "1")]);
    let mut draft = picture();
    let (directory, files) = (draft.shards[0].directory.clone(), draft.shards[0].files.clone());
    fs::remove_file(directory.join("m")).unwrap();
    assert!(bench.store.keep(draft, "abcd0123", None).is_err(), "a file is missing");
    fs::write(directory.join("m"), "1").unwrap();
    draft = picture();
    draft.shards = vec![ShardPicture { backend: "test".into(), directory, files }];
    let (manifest, _) = bench.store.keep(draft, "abcd0123", None).unwrap();
    assert_eq!(bench.fetched(&manifest).unwrap(), "m=1 s1=content ");
}

/// The answer was lost, and it is tried again.
#[test]
fn a_manifest_that_is_there_already_is_ones_own() {
    for bench in Bench::both() {
        let draft = bench.draft(1, &[("s1", "one")]);
        let again = Draft { shards: Vec::new(), ..bench.draft(1, &[]) };
        let picture = &draft.shards[0];
        let (backend, directory, files) = (picture.backend.clone(), picture.directory.clone(), picture.files.clone());
        let again = Draft { shards: vec![ShardPicture { backend, directory, files }], ..again };
        let (first, _) = bench.store.keep(draft, "abcd0123", None).unwrap();
        let (second, _) = bench.store.keep(again, "abcd0123", None).unwrap();
        assert_eq!(first, second);
        assert_eq!(bench.fetched(&second).unwrap(), "s1=one ");
    }
}

#[test]
fn what_was_passed_over_does_not_come_back() {
    for bench in Bench::both() {
        let (first, _) = bench.keep(1, &[("s1", "one")], None);
        bench.keep(2, &[("s1", "one"), ("s2", "two")], Some(&first));
        bench.store.abandon(CheckpointId(2)).unwrap();
        assert_eq!(bench.ids(), [1]);
        let (third, _) = bench.keep(3, &[("s1", "one")], Some(&first));
        assert_eq!(bench.store.sweep(2).unwrap(), Swept { files: 1, bytes: 3 });
        assert_eq!(bench.fetched(&third).unwrap(), "s1=one ");
    }
}

#[test]
fn the_overview_tells_attempts_and_what_is_there() {
    for mut bench in Bench::both() {
        bench.keep(1, &[("s1", "one")], None);
        let outcome = Outcome::Failed("no room".into());
        let attempt = Attempt { id: CheckpointId(2), epoch: 20, outcome, ..attempt(2) };
        bench.store.remember(attempt.clone()).unwrap();
        let overview = bench.store.overview().unwrap();
        assert_eq!(overview.len(), 2);
        let first = &overview[0];
        assert_eq!(
            (first.attempt.id.0, first.attempt.epoch, first.attempt.total_bytes, first.is_kept),
            (1, 10, 3, true)
        );
        assert_eq!(overview[1], Listed { attempt, is_kept: false });
    }
}

fn attempt(id: u64) -> Attempt {
    Attempt {
        id: CheckpointId(id),
        kind: Kind::Checkpoint,
        epoch: id,
        start_ms: 0,
        alignment_ms: 1,
        sync_ms: 2,
        async_ms: 3,
        new_bytes: 4,
        total_bytes: 5,
        slowest: None,
        outcome: Outcome::Complete,
    }
}

#[test]
fn without_its_manifest_a_checkpoint_is_swept_away() {
    let bench = Bench::local();
    let (first, _) = bench.keep(1, &[("s1", "one"), ("m", "1")], None);
    bench.keep(2, &[("s2", "two"), ("m", "2")], Some(&first));
    fs::remove_file(bench.path("checkpoints/0000000002/manifest")).unwrap();
    fs::write(bench.path("checkpoints/0000000002/manifest.new"), "half").unwrap();
    assert_eq!(bench.ids(), [1]);
    assert_eq!(bench.store.sweep(5).unwrap(), Swept::default(), "another process may be about to write its manifest");
    let other = CheckpointStore::new(&bench.place, "a job/1");
    let (second, _) = other.keep(bench.draft(2, &[("m", "2")]), "abcd0123", Some(&first)).unwrap();
    assert_eq!(bench.store.sweep(5).unwrap(), Swept { files: 2, bytes: 4 });
    assert_eq!(bench.fetched(&first).unwrap(), "m=1 s1=one ");
    assert_eq!(bench.fetched(&second).unwrap(), "m=2 ");
}

#[test]
fn damage_is_seen_and_told() {
    let spoil = |path: &Path, how: &str| {
        let mut bytes = fs::read(path).unwrap();
        match how {
            "flip" => bytes[1] ^= 4,
            "cut" => bytes.truncate(bytes.len() - 1),
            "gone" => return fs::remove_file(path).unwrap(),
            _ => bytes.clear(),
        }
        // Not in place: links of the file elsewhere stay as they are.
        fs::remove_file(path).unwrap();
        fs::write(path, bytes).unwrap();
    };
    for how in ["flip", "cut", "gone", "empty"] {
        for what in ["file", "manifest"] {
            let bench = Bench::local();
            let (manifest, _) = bench.keep(1, &[("s1", "content")], None);
            let key = match what {
                "file" => manifest.shards[0].files[0].key.clone(),
                _ => "checkpoints/0000000001/manifest".to_owned(),
            };
            spoil(&bench.path(&key), how);
            let error = match what {
                "file" => {
                    let faults = bench.store.verify(&manifest, bench.directory.path()).unwrap();
                    assert_eq!(faults.len(), 1, "{how}");
                    bench.fetched(&manifest).unwrap_err()
                }
                _ => bench.store.manifest(CheckpointId(1)).unwrap_err(),
            };
            assert!(error.is_damage(), "{what} {how}: {error}");
            assert!(error.to_string().contains(&key), "{what} {how}: {error}");
        }
    }
}

#[test]
fn files_of_a_checkpoint_whose_manifest_cannot_be_read_stay() {
    let bench = Bench::local();
    let (first, _) = bench.keep(1, &[("s1", "one"), ("m", "1")], None);
    bench.keep(2, &[("s1", "one"), ("s2", "two"), ("m", "2")], Some(&first));
    fs::write(bench.path("checkpoints/0000000002/manifest"), "{}").unwrap();
    assert_eq!(bench.store.sweep(1).unwrap(), Swept::default(), "somebody may bring the manifest back");
    assert!(bench.store.list().unwrap()[0].manifest.is_err());
}

#[test]
fn another_version_is_told_as_such() {
    let bench = Bench::local();
    let (mut manifest, _) = bench.keep(1, &[], None);
    manifest.version = 99;
    fs::write(bench.path("checkpoints/0000000001/manifest"), manifest.encode().unwrap()).unwrap();
    let error = bench.store.manifest(CheckpointId(1)).unwrap_err();
    assert!(error.to_string().ends_with("is of version 99 of the format; this program reads version 2"), "{error}");
}

#[test]
fn the_lineage_stays() {
    for bench in Bench::both() {
        let lineage = bench.store.lineage().unwrap();
        assert_eq!(lineage.len(), 8);
        assert_eq!(CheckpointStore::new(&bench.place, "a job/1").lineage().unwrap(), lineage);
        assert_ne!(CheckpointStore::new(&bench.place, "another").lineage().unwrap(), lineage);
        let renewed = CheckpointStore::new(&bench.place, "a job/1").renew_lineage().unwrap();
        assert_ne!(renewed, lineage);
        assert_eq!(bench.store.lineage().unwrap(), renewed);
    }
}

#[test]
fn jobs_are_listed_by_name() {
    for bench in Bench::both() {
        bench.store.lineage().unwrap();
        CheckpointStore::new(&bench.place, ".50% größer").lineage().unwrap();
        // Without a lineage it is no job.
        CheckpointStore::new(&bench.place, "other").keep(bench.draft(1, &[]), "abcd0123", None).unwrap();
        assert_eq!(CheckpointStore::jobs(&bench.place).unwrap(), [".50% größer", "a job/1"]);
    }
}

#[test]
fn attempts_are_remembered_over_lives() {
    for mut bench in Bench::both() {
        let attempt = |id, outcome| Attempt { outcome, ..attempt(id) };
        assert_eq!(bench.store.history().unwrap(), []);
        bench.store.remember(attempt(1, Outcome::Complete)).unwrap();
        let mut other = CheckpointStore::new(&bench.place, "a job/1");
        for id in 2..=150 {
            other.remember(attempt(id, Outcome::Failed("no room".into()))).unwrap();
        }
        let history = bench.store.history().unwrap();
        assert_eq!((history.len(), history[0].id.0, history[99].id.0), (100, 51, 150));
    }
}

#[test]
fn places_are_parsed() {
    let tokio = Runtime::new().unwrap();
    let parse = |location: &str| Place::parse(location, std::iter::empty(), tokio.handle());
    assert_eq!(parse("/a/b").unwrap().directory(), Some(Path::new("/a/b")));
    assert_eq!(parse("file:///a/b").unwrap().directory(), Some(Path::new("/a/b")));
    assert!(parse("relative").unwrap().directory().unwrap().is_absolute());
    for wrong in ["", "nowhere://x", "s3:///"] {
        let error = parse(wrong).err().unwrap_or_else(|| panic!("'{wrong}' is a place"));
        assert!(matches!(error, CheckpointError::Location { .. }), "{error}");
        assert!(error.hint().is_some());
    }
    let keys =
        [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"), ("AWS_REGION", "eu-central-1"), ("HOME", "/")];
    let keys = keys.map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert!(Place::parse("s3://bucket/path", keys.into_iter(), tokio.handle()).unwrap().directory().is_none());
}
