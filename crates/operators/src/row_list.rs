//! A list of row numbers, for keys of which most have one row: that one costs no allocation.

/// Rows, in an order that the owner keeps.
#[derive(Debug, Default)]
pub(crate) enum RowList {
    #[default]
    Empty,
    One(u32),
    Many(Vec<u32>),
}

impl RowList {
    #[inline]
    pub(crate) fn rows(&self) -> &[u32] {
        match self {
            RowList::Empty => &[],
            RowList::One(row) => std::slice::from_ref(row),
            RowList::Many(rows) => rows,
        }
    }

    /// Adds a row at the end.
    pub(crate) fn push(&mut self, row: u32) {
        match self {
            RowList::Empty => *self = RowList::One(row),
            RowList::One(first) => *self = RowList::Many(vec![*first, row]),
            RowList::Many(rows) => rows.push(row),
        }
    }

    /// Takes the row at a place out.
    pub(crate) fn remove(&mut self, at: usize) -> Option<u32> {
        match self {
            RowList::Many(rows) if at < rows.len() => {
                let row = rows.remove(at);
                if let [last] = rows[..] {
                    *self = RowList::One(last);
                }
                Some(row)
            }
            RowList::One(row) if at == 0 => {
                let row = *row;
                *self = RowList::Empty;
                Some(row)
            }
            _ => None,
        }
    }

    /// Holds these rows from now on; the room of many is kept.
    pub(crate) fn set(&mut self, rows: &[u32]) {
        match (rows, self) {
            ([], list) => *list = RowList::Empty,
            ([row], list) => *list = RowList::One(*row),
            (rows, RowList::Many(many)) => {
                many.clear();
                many.extend_from_slice(rows);
            }
            (rows, list) => *list = RowList::Many(rows.to_vec()),
        }
    }

    /// Memory beside the list itself.
    pub(crate) fn allocated_bytes(&self) -> usize {
        match self {
            RowList::Many(rows) => rows.capacity() * size_of::<u32>(),
            RowList::Empty | RowList::One(_) => 0,
        }
    }
}
