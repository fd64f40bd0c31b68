//! Which rows of a batch count: those without a NULL argument that pass the filter.

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::buffer::BooleanBuffer;

/// One bit per row that counts; `None` when all of them do.
pub(super) fn selected(args: &[ArrayRef], filter: Option<&BooleanArray>) -> Option<BooleanBuffer> {
    let mut mask = filter.map(|f| match f.nulls() {
        Some(nulls) if nulls.null_count() > 0 => f.values() & nulls.inner(),
        _ => f.values().clone(),
    });
    for nulls in args.iter().filter_map(|a| a.nulls()).filter(|n| n.null_count() > 0) {
        mask = Some(match mask {
            Some(mask) => &mask & nulls.inner(),
            None => nulls.inner().clone(),
        });
    }
    mask
}

/// Calls `row` for each of the rows `0..rows` that counts, in order, until it fails.
#[inline(always)]
pub(super) fn try_each<E>(
    rows: usize,
    mask: Option<&BooleanBuffer>,
    mut row: impl FnMut(usize) -> Result<(), E>,
) -> Result<(), E> {
    match mask {
        None => (0..rows).try_for_each(row),
        Some(mask) => {
            let chunks = mask.bit_chunks();
            let mut base = 0;
            for mut bits in chunks.iter_padded() {
                while bits != 0 {
                    row(base + bits.trailing_zeros() as usize)?;
                    bits &= bits - 1;
                }
                base += 64;
            }
            Ok(())
        }
    }
}

/// As [`try_each`] for what cannot fail.
#[inline(always)]
pub(super) fn each(rows: usize, mask: Option<&BooleanBuffer>, mut row: impl FnMut(usize)) {
    let done: Result<(), std::convert::Infallible> = try_each(rows, mask, |i| {
        row(i);
        Ok(())
    });
    let Ok(()) = done;
}
