//! Whether, and after what time, a job that failed is started again.

use crate::error::{ErrorClass, RuntimeError};
use std::time::Duration;

/// What becomes of a job that failed. Only jobs that keep checkpoints are started again: others would read all their input
/// again and write their output twice.
#[derive(Debug, Clone, PartialEq)]
pub enum RestartStrategy {
    /// It stays failed.
    None,
    /// So many times in all, each after the same time.
    FixedDelay {
        /// How many times.
        attempts: u32,
        /// After what time.
        delay: Duration,
    },
    /// After a time that grows with every failure, and is the first one again after the job has run well for a while.
    ExponentialDelay {
        /// The first time.
        initial: Duration,
        /// The longest time.
        max: Duration,
        /// By what the time grows.
        factor: f64,
        /// After running this long, failures of before are forgotten.
        reset_after: Duration,
    },
}

impl Default for RestartStrategy {
    fn default() -> Self {
        Self::ExponentialDelay {
            initial: Duration::from_secs(1),
            max: Duration::from_secs(60),
            factor: 1.5,
            reset_after: Duration::from_secs(3600),
        }
    }
}

/// The restarts of one job.
#[derive(Debug)]
pub(crate) struct Restarts {
    strategy: RestartStrategy,
    /// In a row, as the strategy counts.
    failures: u32,
}

impl Restarts {
    pub(crate) fn new(strategy: RestartStrategy) -> Self {
        Self { strategy, failures: 0 }
    }

    /// The job failed after it had run for `ran`: after what time is it to be started again? `None`: not at all.
    pub(crate) fn after(&mut self, error: &RuntimeError, ran: Duration) -> Option<Duration> {
        // The same rows and the same SQL fail again.
        if matches!(error.class(), ErrorClass::User | ErrorClass::Unsupported) {
            return None;
        }
        if let RestartStrategy::ExponentialDelay { reset_after, .. } = self.strategy
            && ran >= reset_after
        {
            self.failures = 0;
        }
        self.failures += 1;
        match self.strategy {
            RestartStrategy::None => None,
            RestartStrategy::FixedDelay { attempts, delay } => (self.failures <= attempts).then_some(delay),
            RestartStrategy::ExponentialDelay { initial, max, factor, .. } => {
                let grown = initial.as_secs_f64() * factor.max(1.0).powi((self.failures - 1).min(1000) as i32);
                Some(Duration::try_from_secs_f64(grown).map_or(max, |delay| delay.min(max)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn external() -> RuntimeError {
        RuntimeError::Thread { message: "none left".into() }
    }

    #[test]
    fn a_fixed_delay_is_taken_so_many_times() {
        let mut restarts = Restarts::new(RestartStrategy::FixedDelay { attempts: 2, delay: 3 * SECOND });
        let after: Vec<_> = (0..3).map(|_| restarts.after(&external(), SECOND)).collect();
        assert_eq!(after, [Some(3 * SECOND), Some(3 * SECOND), None]);
    }

    #[test]
    fn a_growing_delay_has_a_limit_and_begins_again() {
        let (initial, max, reset_after) = (SECOND, 5 * SECOND, 60 * SECOND);
        let mut restarts = Restarts::new(RestartStrategy::ExponentialDelay { initial, max, factor: 2.0, reset_after });
        let after: Vec<_> = (0..5).map(|_| restarts.after(&external(), SECOND)).collect();
        assert_eq!(after, [1, 2, 4, 5, 5].map(|s| Some(s * SECOND)));
        assert_eq!(restarts.after(&external(), 60 * SECOND), Some(SECOND));
        (0..2000).for_each(|_| assert!(restarts.after(&external(), SECOND) <= Some(max)));
    }

    #[test]
    fn what_the_user_must_mend_is_not_tried_again() {
        let mut restarts = Restarts::new(RestartStrategy::default());
        let wrong = RuntimeError::Setting { setting: "shards", message: "is wrong".into() };
        assert_eq!(restarts.after(&wrong, SECOND), None);
        assert_eq!(Restarts::new(RestartStrategy::None).after(&external(), SECOND), None);
    }
}
