//! What every backend does, and that all do the same.

use eddyline_state::{Backend, Frozen, MemoryBackend, Write};
use std::fs;

type Entries = Vec<(Vec<u8>, Vec<u8>)>;

fn all(backend: &dyn Backend) -> Entries {
    let mut entries = Vec::new();
    backend
        .scan(&[], &[0xff; 32], &mut |key, value| {
            entries.push((key.to_vec(), value.to_vec()));
            Ok(())
        })
        .expect("the store can be read");
    entries
}

fn pictured(frozen: &dyn Frozen) -> Entries {
    let mut entries = Vec::new();
    frozen
        .scan(&[], &[0xff; 32], &mut |key, value| {
            entries.push((key.to_vec(), value.to_vec()));
            Ok(())
        })
        .expect("the store can be read");
    entries
}

fn put(key: &str, value: &str) -> Write {
    Write::Put(key.into(), value.into())
}

#[test]
fn a_picture_does_not_change_and_can_be_opened() {
    let backend = MemoryBackend::new();
    backend.write(vec![put("a", "1"), put("b", "2")]).unwrap();
    let frozen = backend.freeze().unwrap();
    backend.write(vec![put("a", "3"), Write::Delete("b".into()), put("c", "4")]).unwrap();
    let then: Entries = vec![("a".into(), "1".into()), ("b".into(), "2".into())];
    assert_eq!(pictured(frozen.as_ref()), then);
    let directory = tempfile::tempdir().unwrap();
    let files = frozen.files(directory.path()).unwrap();
    for file in &files {
        assert_eq!(fs::metadata(directory.path().join(&file.name)).unwrap().len(), file.size_bytes);
    }
    assert_eq!(all(&MemoryBackend::open(directory.path()).unwrap()), then);
    let now: Entries = vec![("a".into(), "3".into()), ("c".into(), "4".into())];
    assert_eq!(all(&backend), now);
}

#[test]
fn a_range_that_ends_before_it_begins_is_empty() {
    let backend = MemoryBackend::new();
    backend.write(vec![put("a", "1")]).unwrap();
    backend.write(vec![Write::DeleteRange("b".into(), "a".into())]).unwrap();
    backend.scan(b"z", b"a", &mut |_, _| panic!("nothing is there")).unwrap();
    assert_eq!(all(&backend).len(), 1);
}
