use super::Rows;

/// No row.
const NONE: u32 = u32::MAX;

/// Rows that came in this epoch, as a chain per partition. What a row weighs, is its weight.
#[derive(Default)]
pub(crate) struct Arrivals {
    chained: Vec<Chained>,
    touched: Vec<Touched>,
    /// By partition, one more than its place in `touched`; 0: not touched.
    touched_at: Vec<u32>,
}

struct Chained {
    row: u32,
    next: u32,
}

/// A partition in which rows came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Touched {
    /// The partition.
    pub(crate) slot: u32,
    head: u32,
    /// How many rows came.
    pub(crate) count: u64,
    /// Belongs to the owner; 0 at first.
    pub(crate) mark: u64,
}

impl Arrivals {
    /// Makes room for partitions `0..partitions`.
    pub(crate) fn make_room(&mut self, partitions: usize) {
        self.touched_at.resize(partitions, 0);
    }

    /// A row came. Returns its partition, which the owner may mark.
    #[inline]
    pub(crate) fn add(&mut self, slot: u32, row: u32) -> &mut Touched {
        let at = &mut self.touched_at[slot as usize];
        if *at == 0 {
            self.touched.push(Touched { slot, head: NONE, count: 0, mark: 0 });
            *at = self.touched.len() as u32;
        }
        let touched = &mut self.touched[*at as usize - 1];
        self.chained.push(Chained { row, next: touched.head });
        touched.head = (self.chained.len() - 1) as u32;
        touched.count += 1;
        touched
    }

    /// Did something come in a partition?
    pub(crate) fn is_touched(&self, slot: u32) -> bool {
        self.touched_at.get(slot as usize).is_some_and(|at| *at > 0)
    }

    /// What came in a partition in which something came.
    pub(crate) fn of(&self, slot: u32) -> Touched {
        self.touched[self.touched_at[slot as usize] as usize - 1]
    }

    /// Puts `rows` in the place of what came in a partition.
    pub(crate) fn replace(&mut self, slot: u32, rows: &[u32], mark: u64) {
        let mut head = NONE;
        for row in rows {
            self.chained.push(Chained { row: *row, next: head });
            head = (self.chained.len() - 1) as u32;
        }
        let count = rows.len() as u64;
        self.touched[self.touched_at[slot as usize] as usize - 1] = Touched { slot, head, count, mark };
    }

    /// The rows that came in a partition, into `came`: in order, equal ones added up into one, without those that add up
    /// to nothing.
    pub(crate) fn gather(&self, touched: Touched, rows: &mut Rows, came: &mut Vec<u32>) {
        came.clear();
        let mut at = touched.head;
        while let Some(chained) = self.chained.get(at as usize) {
            came.push(chained.row);
            at = chained.next;
        }
        if came.len() > 1 {
            came.sort_unstable_by(|a, b| rows.bytes(*a).cmp(rows.bytes(*b)));
            came.dedup_by(|later, kept| {
                let same = rows.bytes(*later) == rows.bytes(*kept);
                if same {
                    rows.add_weight(*kept, rows.weight(*later));
                    rows.remove(*later);
                }
                same
            });
        }
        came.retain(|row| {
            let stays = rows.weight(*row) != 0;
            if !stays {
                rows.remove(*row);
            }
            stays
        });
    }

    /// The partitions in which rows came, in the order in which they did; their chains can be read until
    /// [`clear`](Self::clear).
    pub(crate) fn take(&mut self) -> Vec<Touched> {
        let touched = std::mem::take(&mut self.touched);
        touched.iter().for_each(|t| self.touched_at[t.slot as usize] = 0);
        touched
    }

    /// Forgets the chains.
    pub(crate) fn clear(&mut self) {
        self.chained.clear();
    }
}
