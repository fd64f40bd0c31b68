//! Time from outside. Nothing below the engine reads the machine's clock but through [`Clock`].

use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The clock of a job: wall time, monotonic time and wake-ups.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    fn wall_ms(&self) -> i64;
    /// Time since some fixed moment; never goes back.
    fn monotonic(&self) -> Duration;
    /// Wakes `waker` once, when [`monotonic`](Self::monotonic) has reached `at` (at once if it has).
    fn wake_at(&self, at: Duration, waker: Waker);
}

/// The machine's clock; wake-ups come from a tokio timer.
pub struct SystemClock {
    start: Instant,
    tokio: tokio::runtime::Handle,
}

impl SystemClock {
    /// A clock whose wake-ups run on `tokio`.
    pub fn shared(tokio: tokio::runtime::Handle) -> Arc<dyn Clock> {
        Arc::new(Self { start: Instant::now(), tokio })
    }
}

impl Clock for SystemClock {
    fn wall_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn wake_at(&self, at: Duration, waker: Waker) {
        let deadline = tokio::time::Instant::from_std(self.start + at);
        self.tokio.spawn(async move {
            tokio::time::sleep_until(deadline).await;
            waker.wake();
        });
    }
}

/// A clock that a test moves by hand.
#[derive(Default)]
pub struct ManualClock {
    state: std::sync::Mutex<ManualState>,
}

#[derive(Default)]
struct ManualState {
    now: Duration,
    /// By how much wall time was set.
    skew_ms: i64,
    waiting: Vec<(Duration, Waker)>,
}

impl ManualClock {
    /// A clock at 0.
    pub fn shared() -> Arc<Self> {
        Arc::default()
    }

    /// Moves time on and wakes who waited for it.
    pub fn advance(&self, by: Duration) {
        let due = {
            let mut state = self.lock();
            state.now += by;
            let now = state.now;
            let (due, waiting) = std::mem::take(&mut state.waiting).into_iter().partition(|(at, _)| *at <= now);
            state.waiting = waiting;
            let due: Vec<(Duration, Waker)> = due;
            due
        };
        due.into_iter().for_each(|(_, w)| w.wake());
    }

    /// Somebody sets the time of day, forth or back; nobody is woken by that.
    pub fn set(&self, by_ms: i64) {
        let mut state = self.lock();
        state.skew_ms = state.skew_ms.saturating_add(by_ms);
    }

    /// The earliest moment that somebody waits for.
    pub fn next_wake(&self) -> Option<Duration> {
        self.lock().waiting.iter().map(|(at, _)| *at).min()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ManualState> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn wall_ms(&self) -> i64 {
        let state = self.lock();
        i64::try_from(state.now.as_millis()).unwrap_or(i64::MAX).saturating_add(state.skew_ms)
    }

    fn monotonic(&self) -> Duration {
        self.lock().now
    }

    fn wake_at(&self, at: Duration, waker: Waker) {
        let mut state = self.lock();
        if at <= state.now {
            drop(state);
            waker.wake();
        } else {
            state.waiting.push((at, waker));
        }
    }
}
