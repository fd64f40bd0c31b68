use super::*;
use crate::StateError;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use std::path::Path;

type Entries = Vec<(Vec<u8>, Vec<u8>)>;

fn written(entries: &Entries) -> Vec<u8> {
    let mut writer = EntriesWriter::new(Vec::new(), Path::new("x")).unwrap();
    entries.iter().for_each(|(key, value)| writer.put(key, value).unwrap());
    let (bytes, size_bytes) = writer.finish().unwrap();
    assert_eq!(bytes.len() as u64, size_bytes);
    bytes
}

fn read(bytes: &[u8]) -> Result<Entries, StateError> {
    let mut entries = Vec::new();
    EntriesReader::new(bytes, Path::new("dir/x"))?.read_all(&mut |key, value| {
        entries.push((key.to_vec(), value.to_vec()));
        Ok(())
    })?;
    Ok(entries)
}

/// Why the file is refused.
fn refused(bytes: &[u8]) -> String {
    let error = read(bytes).expect_err("a damaged file");
    assert!(error.is_corruption(), "{error}");
    error.to_string()
}

/// Entries of some length, so that a file has several blocks.
fn long() -> Entries {
    let value = |n: u32| vec![n as u8; 1 + (n as usize * 37) % 400];
    (0..2_000u32).map(|n| (format!("table/{n:06}").into_bytes(), value(n))).collect()
}

#[test]
fn a_file_without_entries_is_header_and_footer() {
    let bytes = written(&Vec::new());
    assert_eq!(bytes.len(), HEADER_BYTES + FOOTER_BYTES + CHECKSUM_BYTES);
    assert_eq!(read(&bytes).unwrap(), Entries::new());
}

#[test]
fn blocks_follow_each_other() {
    let entries = long();
    let bytes = written(&entries);
    assert!(bytes.len() > 3 * BLOCK_BYTES);
    assert_eq!(read(&bytes).unwrap(), entries);
}

#[test]
fn keys_share_their_beginnings() {
    let entries: Entries = (0..1_000u32).map(|n| ([[7; 100].as_slice(), &n.to_be_bytes()].concat(), vec![])).collect();
    let bytes = written(&entries);
    assert!(bytes.len() < 8_000, "{} bytes", bytes.len());
    assert_eq!(read(&bytes).unwrap(), entries);
}

#[test]
fn what_is_wrong_is_said_with_the_name_of_the_file() {
    let bytes = written(&long());
    assert_eq!(refused(b"%PDF-1.7 and so on"), "state file dir/x: it does not begin as an entries file");
    let mut other = bytes.clone();
    other[8] = 2;
    assert_eq!(refused(&other), "state file dir/x: it is of version 2; this program reads version 1");
    assert_eq!(refused(&bytes[..5]), "state file dir/x: it ends within its header (block 0)");
    let cut = &bytes[..bytes.len() - 3];
    assert!(refused(cut).contains("it ends within a checksum"), "{}", refused(cut));
    let more = [bytes.as_slice(), b"x"].concat();
    assert_eq!(refused(&more), "state file dir/x: something follows its footer");
}

#[test]
fn blocks_that_change_places_or_are_lost_are_noticed() {
    let bytes = written(&long());
    let length = |at: usize| u32::from_le_bytes(bytes[at + 5..at + 9].try_into().unwrap()) as usize;
    let first = HEADER_BYTES;
    let second = first + BLOCK_HEAD_BYTES + length(first) + CHECKSUM_BYTES;
    let third = second + BLOCK_HEAD_BYTES + length(second) + CHECKSUM_BYTES;
    let swapped = [&bytes[..first], &bytes[second..third], &bytes[first..second], &bytes[third..]].concat();
    assert!(refused(&swapped).contains("block 0: the checksum does not fit"));
    let lost = [&bytes[..second], &bytes[third..]].concat();
    assert!(refused(&lost).contains("block 1: the checksum does not fit"));
}

#[test]
fn a_damaged_length_asks_for_no_more_memory_than_the_file_has() {
    let mut bytes = written(&long());
    bytes[HEADER_BYTES + 5..HEADER_BYTES + 9].copy_from_slice(&[0xff; 4]);
    assert!(refused(&bytes).contains("it ends within a block"));
}

fn any_entries() -> impl Strategy<Value = Entries> {
    btree_map(vec(any::<u8>(), 0..6), vec(any::<u8>(), 0..9), 0..40).prop_map(|map| map.into_iter().collect())
}

proptest! {
    #[test]
    fn what_was_written_is_read(entries in any_entries()) {
        prop_assert_eq!(read(&written(&entries)).unwrap(), entries);
    }

    #[test]
    fn every_flipped_bit_is_noticed(entries in any_entries(), at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let mut bytes = written(&entries);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        refused(&bytes);
    }

    #[test]
    fn every_cut_is_noticed(entries in any_entries(), at in any::<prop::sample::Index>()) {
        let bytes = written(&entries);
        refused(&bytes[..at.index(bytes.len())]);
    }
}
