//! How much input may lie ahead of a barrier.
//!
//! A barrier cannot overtake rows: what lies ahead of it belongs to its epoch, and an epoch is complete when all of its rows
//! have been through every operator. So under back-pressure (a slow sink) a barrier takes as long as the rows
//! ahead of it. What can be bounded is how many they are: when a barrier has taken longer than the budget, epochs are given only as many
//! rows as the job has been seen to get through in that time, shared out among all that may lie ahead; when barriers are fast
//! again, they are given more.
//!
//! Every epoch measures, not only those of checkpoints, so that the barrier of a checkpoint is rarely the first to be slow.

use super::IN_FLIGHT_MAX;
use std::time::Duration;

/// Epochs whose rows may lie ahead of a barrier: those that are cut, and the one that it ends.
const AHEAD: u64 = IN_FLIGHT_MAX as u64 + 1;
/// A barrier that takes less than one in so many parts of the budget is fast.
const FAST: u32 = 4;

/// See the module's page.
pub(crate) struct Pace {
    budget: Duration,
    /// The most that an epoch is ever given.
    rows_max: u64,
    rows: u64,
    /// When the last epoch had passed.
    last: Duration,
}

impl Pace {
    pub(crate) fn new(budget: Duration, rows_max: u64) -> Self {
        Self { budget, rows_max, rows: rows_max, last: Duration::ZERO }
    }

    /// All tasks have passed the barrier of an epoch of `rows` input rows, which was cut at `cut`. Returns what epochs are
    /// given from now on, if that is something else than before.
    pub(crate) fn passed(&mut self, rows: u64, cut: Duration, now: Duration) -> Option<u64> {
        let took = now.saturating_sub(cut);
        let busy = now.saturating_sub(std::mem::replace(&mut self.last, now)).min(took);
        let before = self.rows;
        if took > self.budget && rows > 0 {
            let within = rows as f64 * self.budget.as_secs_f64() / busy.as_secs_f64().max(1e-3);
            // One that was larger than its share has been slow for that reason; a small one for another.
            self.rows = ((within / AHEAD as f64) as u64).min(self.rows).max(1);
        } else if took < self.budget / FAST {
            self.rows = self.rows.saturating_mul(2).min(self.rows_max);
        }
        (self.rows != before).then_some(self.rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn epochs_shrink_to_what_the_job_gets_through_and_grow_again() {
        let mut pace = Pace::new(10 * SECOND, 1_000_000);
        assert_eq!(pace.passed(500_000, SECOND, 2 * SECOND), None, "as many as there may be");
        // 1000 rows a second: 10,000 within the budget, of five epochs.
        assert_eq!(pace.passed(60_000, 2 * SECOND, 62 * SECOND), Some(2000));
        assert_eq!(pace.passed(2000, 61 * SECOND, 67 * SECOND), None, "six seconds are fine");
        assert_eq!(pace.passed(2000, 66 * SECOND, 68 * SECOND), Some(4000));
        assert_eq!(pace.passed(4000, 67 * SECOND, 69 * SECOND), Some(8000));
        for second in 70..80 {
            pace.passed(8000, second * SECOND, second * SECOND + SECOND / 2);
        }
        assert_eq!(pace.rows, 1_000_000);
    }

    #[test]
    fn an_epoch_has_a_row_however_slow_it_is() {
        let mut pace = Pace::new(SECOND, 100);
        assert_eq!(pace.passed(3, SECOND, 4000 * SECOND), Some(1));
        assert_eq!(pace.passed(0, 4000 * SECOND, 8000 * SECOND), None, "rows were not the reason");
    }
}
