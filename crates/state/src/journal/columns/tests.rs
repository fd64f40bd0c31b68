use super::*;
use crate::journal::{Journal, read as read_file};
use crate::puts::dealt_out;
use arrow::array::StringArray;
use arrow::array::{
    Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array,
    TimestampMillisecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use proptest::prelude::*;

/// Numbers of all sizes, near each other or not.
fn number() -> impl Strategy<Value = i128> {
    prop_oneof![
        Just(0),
        -3i128..300,
        any::<i16>().prop_map(i128::from),
        any::<i64>().prop_map(i128::from),
        any::<u64>().prop_map(i128::from),
        any::<i128>(),
    ]
}

/// A column of any kind that takes its values from `cells`; of these `None` is NULL.
fn array_of(kind: usize, cells: &[Option<i128>]) -> ArrayRef {
    macro_rules! array {
        ($array:ty, $value:expr) => {
            Arc::new(cells.iter().map(|cell| cell.map($value)).collect::<$array>())
        };
    }
    match kind {
        0 => array!(BooleanArray, |v| v % 2 == 0),
        1 => array!(Int8Array, |v| v as i8),
        2 => array!(Int16Array, |v| v as i16),
        3 => array!(Int32Array, |v| v as i32),
        4 => array!(Int64Array, |v| v as i64),
        5 => array!(UInt8Array, |v| v as u8),
        6 => array!(UInt16Array, |v| v as u16),
        7 => array!(UInt32Array, |v| v as u32),
        8 => array!(UInt64Array, |v| v as u64),
        9 => array!(Float32Array, |v| v as f32 / 3.0),
        10 => array!(Float64Array, |v| v as f64 / 3.0),
        11 => array!(Decimal128Array, |v| v),
        12 => array!(StringArray, |v| "text ".repeat((v % 9).unsigned_abs() as usize) + &v.to_string()),
        13 => array!(BinaryArray, |v| v.to_le_bytes()[..(v % 16).unsigned_abs() as usize].to_vec()),
        14 => array!(Date32Array, |v| v as i32),
        _ => array!(TimestampMillisecondArray, |v| v as i64),
    }
}

/// Entries in columns of all kinds, in order or torn apart by their key groups.
fn puts() -> impl Strategy<Value = Puts> {
    let cells = |rows: usize| prop::collection::vec(prop::option::weighted(0.9, number()), rows);
    let columns = move |rows: usize| prop::collection::vec((0..16usize, cells(rows)), 0..5);
    (0..600usize).prop_flat_map(move |rows| {
        (
            columns(rows),
            prop::collection::vec(0..5u16, rows),
            any::<bool>(),
            prop::option::of(prop::collection::vec(any::<u64>(), rows)),
            (0..40usize, any::<bool>()),
            prop::option::of(0..3usize),
        )
            .prop_map(move |(columns, groups, is_dealt, suffixes, (length, is_even), lead)| {
                let (_, dealt) = dealt_out(&vec![0; rows], &groups);
                let mut values = Values::default();
                for row in 0..rows {
                    let length = if is_even { length } else { (length + row) % 40 };
                    values.push(|out| out.extend((0..length).map(|at| (at * (row % (at + 1)) / 7) as u8)));
                }
                Puts {
                    operator: 7,
                    table: 3,
                    lead: lead.map(|lead: usize| lead.min(columns.len())),
                    groups: if is_dealt { dealt } else { groups },
                    keys: columns.iter().map(|(kind, cells)| array_of(*kind, cells)).collect(),
                    suffixes,
                    values,
                    replaces: (0..rows).map(|row| row % 3 == 0).collect(),
                }
            })
    })
}

type Entry = (Vec<u8>, Vec<u8>);

fn entry_of(write: WriteRef<'_>) -> Entry {
    match write {
        WriteRef::Put(key, value) => (key.to_vec(), value.to_vec()),
        other => panic!("it is set: {other:?}"),
    }
}

fn expanded(puts: &Puts) -> Vec<Entry> {
    let mut entries = Vec::new();
    puts.expand(&mut |batch| {
        entries.extend(batch.iter().map(entry_of));
        Ok(())
    })
    .expect("keys can be encoded");
    entries
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn a_block_of_columns_says_what_was_put(puts in puts(), from in 0.0..1.0) {
        let entries = expanded(&puts);
        let from = (puts.len() as f64 * from) as usize;
        let mut payload = Vec::new();
        pack(&puts, from..puts.len(), &mut payload);
        prop_assert_eq!(count(&payload), Some((puts.len() - from) as u64));
        let mut told = Vec::new();
        let entries_read = read(&payload, &mut |write| {
            told.push(entry_of(write));
            Ok(())
        });
        prop_assert_eq!(entries_read.expect("it is whole").expect("nothing fails"), (puts.len() - from) as u64);
        prop_assert_eq!(&told, &entries[from..]);
        // What is cut is damaged, or says the same as what is there of it would.
        for length in 0..payload.len().min(200) {
            prop_assert!(unpack(&payload[..length]).is_none(), "{} of {} bytes", length, payload.len());
        }
    }

    #[test]
    fn a_journal_says_what_was_put_and_counts_what_was_replaced(puts in puts()) {
        let home = tempfile::tempdir().expect("a directory");
        let journal = Journal::new(home.path(), 1);
        journal.put(&puts).expect("written");
        let chain = journal.cut().expect("cut");
        let mut told = Vec::new();
        for link in &chain {
            let content = std::fs::read(&link.segment.path).expect("read");
            prop_assert_eq!(link.segment.xxh3, Some(xxhash_rust::xxh3::xxh3_64(&content)));
            prop_assert_eq!(link.segment.size_bytes, content.len() as u64);
            read_file(&link.segment.path, link.parts, &mut |write| {
                told.push(entry_of(write));
                Ok(())
            }).expect("the file can be read");
            let waste: u64 = link.segment.parts.iter().map(|part| part.waste).sum();
            prop_assert_eq!(waste, puts.replaces.iter().filter(|replaces| **replaces).count() as u64);
        }
        let mut entries = expanded(&puts);
        entries.sort();
        told.sort();
        prop_assert_eq!(told, entries);
    }

    #[test]
    fn bytes_of_chance_are_no_block(payload in prop::collection::vec(any::<u8>(), 0..300), entries in 0..9u8) {
        // Whatever they say, they do no harm.
        let mut payload = payload;
        if let Some(at) = payload.get_mut(ENTRIES_AT..ENTRIES_AT + 4) {
            at.copy_from_slice(&[entries, 0, 0, 0]);
        }
        let _ = unpack(&payload);
    }
}

#[test]
fn what_is_replaced_is_cleaned_up_in_columns() {
    let home = tempfile::tempdir().expect("a directory");
    let journal = Journal::new(home.path(), 1);
    let mut wanted = std::collections::BTreeMap::new();
    let mut told = wanted.clone();
    let mut size_bytes = Vec::new();
    for round in 0..30i64 {
        // All of it at first, then a third each time.
        let numbers: Vec<i64> = (0..12_000).filter(|n| round == 0 || n % 3 == round % 3).collect();
        let (slots, groups): (Vec<u32>, Vec<u16>) = numbers.iter().map(|n| (*n as u32, (*n % 7) as u16)).unzip();
        let (dealt, groups) = dealt_out(&slots, &groups);
        let mut values = Values::default();
        dealt
            .iter()
            .for_each(|slot| values.push(|out| out.extend(round.to_le_bytes().iter().chain(&slot.to_le_bytes()))));
        let keys: ArrayRef = Arc::new(dealt.iter().map(|slot| Some(i64::from(*slot))).collect::<Int64Array>());
        let replaces = vec![round > 0; dealt.len()];
        let puts =
            Puts { operator: 1, table: 2, lead: None, groups, keys: vec![keys], suffixes: None, values, replaces };
        wanted.extend(expanded(&puts));
        journal.put(&puts).expect("written");
        let chain = journal.merged(journal.cut().expect("cut")).expect("merged");
        size_bytes.push(chain.iter().map(|link| link.segment.size_bytes).sum::<u64>());
        told.clear();
        for link in &chain {
            read_file(&link.segment.path, link.parts, &mut |write| {
                told.extend([entry_of(write)]);
                Ok(())
            })
            .expect("the file can be read");
        }
        assert_eq!(told, wanted, "round {round}");
    }
    // Sixteen times as much was written.
    assert!(size_bytes.iter().all(|now| *now < 5 * size_bytes[0]), "{size_bytes:?}");
}
