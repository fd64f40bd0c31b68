//! Row kinds from weights, for those who show changes to somebody: the print sink, result displays, encoders.
//!
//! Inside the engine an update is a row taken away and a row added. Who knows the key can tell that apart from a
//! deletion and an insertion; that is all that happens here.

use crate::ConnectorError;
use arrow::row::{RowConverter, SortField};
use eddyline_changes::{ChangeBatch, RowKind};
use std::collections::{HashMap, VecDeque};

/// What each change of a batch means, as `(row, kind)` in the order in which it should be shown.
///
/// With a `key`, a row taken away and a row added under one key become `-U` and `+U`, next to each other and in this
/// order, where the earlier of the two stood; what has no partner is `+I` or `-D`, and so is everything without a
/// key. A weight of `±n` gives `n` entries.
///
/// # Errors
/// A key column of a type that the row format does not know.
pub fn row_kinds(changes: &ChangeBatch, key: Option<&[usize]>) -> Result<Vec<(u32, RowKind)>, ConnectorError> {
    let rows = changes.num_rows() as u32;
    let Some(weights) = changes.weights().per_row() else {
        return Ok((0..rows).map(|row| (row, RowKind::Insert)).collect());
    };
    let partners = match key {
        Some(key) => partners(changes, key, weights)?,
        _ => entries(weights).map(|_| None).collect(),
    };
    let all: Vec<(u32, i64)> = entries(weights).collect();
    let mut kinds = Vec::with_capacity(all.len());
    for (at, (row, sign)) in all.iter().enumerate() {
        match partners[at] {
            None if *sign > 0 => kinds.push((*row, RowKind::Insert)),
            None => kinds.push((*row, RowKind::Delete)),
            Some(other) if other > at => {
                let (before, after) = if *sign < 0 { (*row, all[other].0) } else { (all[other].0, *row) };
                kinds.push((before, RowKind::UpdateBefore));
                kinds.push((after, RowKind::UpdateAfter));
            }
            Some(_) => {}
        }
    }
    Ok(kinds)
}

/// Each copy of each row: the row and the sign of its weight.
fn entries(weights: &[i64]) -> impl Iterator<Item = (u32, i64)> + '_ {
    weights.iter().enumerate().flat_map(|(row, w)| (0..w.unsigned_abs()).map(move |_| (row as u32, w.signum())))
}

/// For each entry the entry that it makes an update with: the first of a key that was taken away with the first that
/// was added, and so on.
fn partners(changes: &ChangeBatch, key: &[usize], weights: &[i64]) -> Result<Vec<Option<usize>>, ConnectorError> {
    let fields = key.iter().map(|c| SortField::new(changes.column(*c).data_type().clone())).collect();
    let columns: Vec<_> = key.iter().map(|c| changes.column(*c).clone()).collect();
    let keys = match key {
        [] => None,
        _ => Some(RowConverter::new(fields)?.convert_columns(&columns)?),
    };
    let mut waiting: HashMap<&[u8], VecDeque<(usize, i64)>> = HashMap::new();
    let mut partners: Vec<Option<usize>> = Vec::new();
    for (at, (row, sign)) in entries(weights).enumerate() {
        partners.push(None);
        let bytes = keys.as_ref().map_or(&[][..], |keys| keys.row(row as usize).data());
        let queue = waiting.entry(bytes).or_default();
        match queue.front() {
            Some((other, opposite)) if *opposite == -sign => {
                partners[at] = Some(*other);
                partners[*other] = Some(at);
                queue.pop_front();
            }
            _ => queue.push_back((at, sign)),
        }
    }
    Ok(partners)
}

#[cfg(test)]
mod tests {
    use super::row_kinds;
    use arrow::datatypes::{DataType, Field, Schema};
    use eddyline_changes::table::parse_changes;
    use std::sync::Arc;

    fn kinds(table: &str, key: Option<&[usize]>) -> String {
        let fields = vec![Field::new("k", DataType::Utf8, true), Field::new("v", DataType::Int64, true)];
        let changes = parse_changes(&Arc::new(Schema::new(fields)), table).expect("change table");
        let kinds = row_kinds(&changes, key).expect("kinds");
        kinds.iter().map(|(row, kind)| format!("{kind}{row}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn inserts_cost_nothing_and_are_inserts() {
        assert_eq!(kinds("+ a 1\n+ a 2", Some(&[0])), "+I0 +I1");
    }

    #[test]
    fn an_update_stands_together_whatever_the_order_it_came_in() {
        assert_eq!(kinds("- a 1\n+ b 1\n+ a 2", Some(&[0])), "-U0 +U2 +I1");
        assert_eq!(kinds("+ a 2\n- b 1\n- a 1", Some(&[0])), "-U2 +U0 -D1");
    }

    #[test]
    fn updates_of_one_key_keep_their_order_and_the_rest_is_what_it_is() {
        assert_eq!(kinds("- a 1\n+ a 2\n- a 2\n+ a 3\n- a 3", Some(&[0])), "-U0 +U1 -U2 +U3 -D4");
    }

    #[test]
    fn without_a_key_there_are_no_updates() {
        assert_eq!(kinds("- a 1\n+ a 2", None), "-D0 +I1");
    }

    #[test]
    fn a_weight_of_n_gives_n_entries() {
        assert_eq!(kinds("-2 a 1\n+3 a 2", Some(&[0])), "-U0 +U1 -U0 +U1 +I1");
        assert_eq!(kinds("+2 a 1\n-2 b 1", None), "+I0 +I0 -D1 -D1");
    }

    #[test]
    fn an_empty_key_is_the_key_of_a_single_row() {
        assert_eq!(kinds("- a 1\n+ b 2", Some(&[])), "-U0 +U1");
    }

    #[test]
    fn null_is_a_key_as_any_other() {
        assert_eq!(kinds("- NULL 1\n+ NULL 2", Some(&[0])), "-U0 +U1");
    }
}
