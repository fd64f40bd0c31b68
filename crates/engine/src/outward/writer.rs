//! Follows the answer of a sink, and tells what changes in it.

use super::connector::{Registration, position};
use crate::durable::Told;
use crate::kept::{Database, Subscription, TOO_SLOW};
use crate::reservation::Canceller;
use eddyline_catalog::Name;
use eddyline_planner::SqlError;
use eddyline_runtime::{JobHandle, JobMetrics};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How often the writer looks whether its job is over.
const LOOK: Duration = Duration::from_millis(50);
/// Rows that are told together, about.
const TOGETHER_ROWS: usize = 1 << 16;

/// See the module's page. It ends with the job, or with the database.
pub(super) struct Writer {
    pub(super) database: Weak<Database>,
    /// The number of the view of the answer.
    pub(super) answer: u64,
    pub(super) name: Name,
    pub(super) told: Arc<Told>,
    pub(super) job: JobHandle,
    /// What is told is not taken back.
    pub(super) grows: bool,
    /// How many checkpoints the job keeps; 0: it makes none.
    pub(super) checkpoints: u64,
    /// The job finds what is told.
    pub(super) _found: Registration,
}

/// All rows were written anew: what lies before goes when no checkpoint needs it.
#[derive(Clone, Copy)]
enum Renewed {
    /// They begin at this record; the job has not read up to there.
    Unread(u64),
    /// It has; it is enough that so many checkpoints are made.
    Read { record: u64, checkpoints: u64 },
}

impl Writer {
    pub(super) fn run(self) {
        if let Err(error) = self.write()
            && !self.is_over()
        {
            tracing::warn!(sink = %self.name, error = error.message, "a sink cannot be written");
            self.told.fail(error.message);
        }
    }

    /// Until the job is over.
    fn write(&self) -> Result<(), SqlError> {
        while !self.is_over() {
            let Some(found) = self.database.upgrade().map(|database| database.followed(self.answer)) else {
                return Ok(());
            };
            let Some((rows, answer)) = found? else { return Ok(()) };
            self.told.catch_up(&rows, self.grows)?;
            drop(rows);
            match self.follow(&answer) {
                // What has changed meanwhile is found by what was told.
                Err(error) if error.sqlstate == TOO_SLOW => {}
                followed => return followed,
            }
        }
        Ok(())
    }

    fn follow(&self, answer: &Subscription) -> Result<(), SqlError> {
        let canceller = Canceller::default();
        let mut renewed = None;
        while !self.is_over() {
            renewed = self.tidy(renewed)?;
            let Some(first) = answer.next_epoch(LOOK, &canceller)? else { continue };
            let (mut rows, mut changes) = (first.num_rows(), vec![first]);
            while rows < TOGETHER_ROWS
                && let Some(next) = answer.next_epoch(Duration::ZERO, &canceller)?
            {
                rows += next.num_rows();
                changes.push(next);
            }
            self.told.tell(&changes)?;
            if renewed.is_none() {
                renewed = self.told.renew()?.map(Renewed::Unread);
            }
        }
        Ok(())
    }

    /// Lets go what nobody reads any more.
    fn tidy(&self, renewed: Option<Renewed>) -> Result<Option<Renewed>, SqlError> {
        let Some(renewed) = renewed else { return Ok(None) };
        let metrics = self.job.metrics();
        let made = metrics.checkpoints.complete;
        Ok(match renewed {
            Renewed::Unread(record) if read_to(&metrics) < position(record) => Some(renewed),
            // One may be on its way that was begun before.
            Renewed::Unread(record) if self.checkpoints > 0 => {
                Some(Renewed::Read { record, checkpoints: made + 1 + self.checkpoints })
            }
            Renewed::Read { checkpoints, .. } if made < checkpoints => Some(renewed),
            Renewed::Unread(record) | Renewed::Read { record, .. } => {
                self.told.drop_before(record)?;
                None
            }
        })
    }

    fn is_over(&self) -> bool {
        self.job.state().is_final()
    }
}

/// How far the job has read.
fn read_to(metrics: &JobMetrics) -> u64 {
    metrics.splits.iter().map(|split| split.position).max().unwrap_or_default()
}
