use super::{TagIndex, tag_of};
use proptest::prelude::*;
use std::collections::BTreeSet;

#[test]
fn an_entry_costs_ten_bytes_at_most() {
    let mut index = TagIndex::default();
    for number in 0..2_000_000u32 {
        index.insert(tag_of(u64::from(number).wrapping_mul(0x2545_f491_4f6c_dd1d)), number);
        if number > 5_000 && number % 9_973 == 0 {
            let per_entry = index.size_bytes() as f64 / index.len() as f64;
            assert!(per_entry < 10.6, "{per_entry} with {number}");
        }
    }
    for number in 0..2_000_000u32 {
        let tag = tag_of(u64::from(number).wrapping_mul(0x2545_f491_4f6c_dd1d));
        assert_eq!(index.find(tag, |n| n == number), Some(number));
    }
    assert!((0..1_990_000u32).all(|n| index.remove(tag_of(u64::from(n).wrapping_mul(0x2545_f491_4f6c_dd1d)), n)));
    assert!(index.size_bytes() < 1_000_000, "room is given back");
}

proptest! {
    /// A set of pairs does the same.
    #[test]
    fn it_is_a_set_of_tags_and_numbers(
        steps in proptest::collection::vec((any::<bool>(), prop_oneof![0..4u32, u32::MAX - 2..=u32::MAX, any::<u32>()], 0..6u32), 0..400),
    ) {
        let (mut index, mut set) = (TagIndex::default(), BTreeSet::new());
        for (inserts, tag, number) in steps {
            if !inserts {
                prop_assert_eq!(index.remove(tag, number), set.remove(&(tag, number)));
            } else if set.insert((tag, number)) {
                index.insert(tag, number);
            }
            prop_assert_eq!(index.len(), set.len());
            for (tag, number) in &set {
                prop_assert_eq!(index.find(*tag, |n| n == *number), Some(*number));
            }
            prop_assert_eq!(index.find(tag, |_| false), None);
            let mut numbers: Vec<u32> = index.numbers().collect();
            let mut wanted: Vec<u32> = set.iter().map(|(_, n)| *n).collect();
            numbers.sort_unstable();
            wanted.sort_unstable();
            prop_assert_eq!(numbers, wanted);
        }
        for (tag, number) in set.clone() {
            index.replace(tag, number, 77);
            prop_assert_eq!(index.find(tag, |n| n == 77), Some(77));
            index.replace(tag, 77, number);
        }
        for (tag, number) in set {
            prop_assert!(index.remove(tag, number));
        }
        prop_assert_eq!(index.size_bytes(), 0);
    }
}
