//! Keys that are found by their first part, the *lead*: rows of a join by its keys, rows of a partition by its columns.
//!
//! In the store such a key is `operator | table | key group | length of the lead (2 bytes, big endian) | lead | rest`, in a table whose
//! number has the bit [`BY_LEAD`]. So everything up to the end of the lead can be told from the key alone, and a backend can keep filters of it: whoever
//! looks for a lead that is not there need not look into files.

use crate::TableId;

/// Set in the numbers of tables whose keys have a lead.
pub(crate) const BY_LEAD: TableId = 1 << 14;
/// Set in the numbers of what a table notes beside its entries.
pub(crate) const NOTES: TableId = 1 << 15;
/// Set in the numbers of tables with leads where the rows of each lead are one entry: within a database alone, no table has it.
pub(crate) const PACKED: TableId = 1 << 13;
/// Where the length of the lead stands.
pub(crate) const LENGTH_AT: usize = 12;
/// Where the lead begins.
pub(crate) const LEAD_AT: usize = LENGTH_AT + 2;

/// The length of a lead as it stands in keys: of longer ones only the beginning is told.
pub(crate) fn length_of(lead_bytes: usize) -> [u8; 2] {
    u16::try_from(lead_bytes).unwrap_or(u16::MAX).to_be_bytes()
}

/// A full key up to the end of its lead; `None` of keys without one.
pub(crate) fn up_to_lead(key: &[u8]) -> Option<&[u8]> {
    let table = TableId::from_be_bytes(*key.get(8..)?.first_chunk()?);
    if table & (BY_LEAD | NOTES) != BY_LEAD {
        return None;
    }
    let length = u16::from_be_bytes(*key.get(LENGTH_AT..)?.first_chunk()?);
    key.get(..LEAD_AT + usize::from(length))
}

/// What a filter knows of a key: all up to the end of its lead, or the key.
pub(crate) fn lead_or_key(key: &[u8]) -> &[u8] {
    up_to_lead(key).unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_up_to_the_end_of_its_lead() {
        let key = |table: TableId, rest: &[u8]| [&7u64.to_be_bytes(), &table.to_be_bytes()[..], &[0, 3], rest].concat();
        let led = key(BY_LEAD | 1, &[0, 2, b'a', b'b', b'c']);
        assert_eq!(up_to_lead(&led), Some(&led[..16]));
        assert_eq!(up_to_lead(&led[..16]), Some(&led[..16]));
        assert_eq!(up_to_lead(&key(BY_LEAD | 1, &[0, 0])).map(<[u8]>::len), Some(14));
        for other in [key(1, &[0, 2, 1, 1]), key(BY_LEAD | NOTES | 1, &[]), key(BY_LEAD, &[0, 9, 1]), vec![1, 2]] {
            assert_eq!(up_to_lead(&other), None);
        }
        assert_eq!(length_of(1 << 20), [0xff, 0xff]);
    }
}
