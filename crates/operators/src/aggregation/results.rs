//! Results as they were and as they are, for who puts out what is different.

use crate::OperatorError;
use arrow::array::{ArrayRef, BooleanArray, make_comparator};
use arrow::compute::{SortOptions, concat};

/// Columns of which there are pieces, as one.
pub(crate) fn concat_pieces(pieces: &[Vec<ArrayRef>]) -> Result<Vec<ArrayRef>, OperatorError> {
    let calls = pieces.first().map_or(0, Vec::len);
    let column = |call: usize| concat(&pieces.iter().map(|p| p[call].as_ref()).collect::<Vec<_>>());
    Ok((0..calls).map(column).collect::<Result<_, _>>()?)
}

/// For every pair (row of `old`, row of `new`), whether all columns are equal.
pub(crate) fn equal_rows(
    old: &[ArrayRef],
    new: &[ArrayRef],
    pairs: &[(u32, u32)],
) -> Result<BooleanArray, OperatorError> {
    let mut same = vec![true; pairs.len()];
    if pairs.is_empty() {
        return Ok(same.into());
    }
    for (old, new) in old.iter().zip(new) {
        // Stops at the first column in which all rows differ: as a rule that is the first, a count.
        let compare = make_comparator(old.as_ref(), new.as_ref(), SortOptions::default())?;
        let mut any = false;
        for (same, (old, new)) in same.iter_mut().zip(pairs) {
            *same = *same && compare(*old as usize, *new as usize).is_eq();
            any |= *same;
        }
        if !any {
            break;
        }
    }
    Ok(same.into())
}
