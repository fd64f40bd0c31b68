//! Epochs that somebody asks for and waits for.

use crate::coordinator::CutId;
use parking_lot::{Condvar, Mutex};

/// Who has asked, and up to whom the epochs are complete.
#[derive(Default)]
pub(crate) struct Cuts {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    asked: CutId,
    answered: CutId,
    is_closed: bool,
}

impl Cuts {
    /// A number for somebody who asks.
    pub(crate) fn ask(&self) -> CutId {
        let mut state = self.state.lock();
        state.asked += 1;
        state.asked
    }

    /// The epoch for which these asked is complete.
    pub(crate) fn answer(&self, up_to: CutId) {
        let mut state = self.state.lock();
        state.answered = state.answered.max(up_to);
        self.changed.notify_all();
    }

    /// Is the epoch complete?
    pub(crate) fn is_answered(&self, cut: CutId) -> bool {
        self.state.lock().answered >= cut
    }

    /// Waits until the epoch is complete; false when the job was over before.
    pub(crate) fn wait(&self, cut: CutId) -> bool {
        let mut state = self.state.lock();
        while state.answered < cut && !state.is_closed {
            self.changed.wait(&mut state);
        }
        state.answered >= cut
    }

    /// There will be no more epochs.
    pub(crate) fn close(&self) {
        self.state.lock().is_closed = true;
        self.changed.notify_all();
    }
}
