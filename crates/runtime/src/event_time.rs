//! Event time on one input, and over several.
//!
//! An input is **idle** when all splits behind it have been silent for their timeout. Idle inputs are left out of the
//! minimum. Inputs at their end say nothing of the time of the others, so they do not count either as long as another
//! input might go on. When all others are idle, the furthest of the idle ones counts, and whoever reads from here finds
//! an idle input in turn. Watermarks never go back: an input that wakes up behind the others finds its rows late.
//!
//! The channels of one input come from instances of one node, which are idle together, but hear of it one after the
//! other. Were an idle channel left out as soon as another one is awake again, the watermark of that one could overtake
//! the rows of this one. So over channels the minimum counts as long as not all are idle.

use eddyline_changes::Watermark;

/// How far an input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EventTime {
    pub(crate) watermark: Watermark,
    pub(crate) is_idle: bool,
}

impl EventTime {
    /// Nothing is known yet.
    pub(crate) const NONE: EventTime = EventTime::active(Watermark::NONE);

    /// An input that is not idle.
    pub(crate) const fn active(watermark: Watermark) -> Self {
        Self { watermark, is_idle: false }
    }

    /// The time of several inputs together.
    pub(crate) fn over(inputs: impl Iterator<Item = EventTime> + Clone) -> Self {
        let least = inputs.clone().filter(|t| !t.is_idle).map(|t| t.watermark).min();
        let furthest = inputs.filter(|t| t.is_idle).map(|t| t.watermark).max();
        match (least, furthest) {
            (None, None) => Self::NONE,
            (None | Some(Watermark::END), Some(watermark)) => Self { watermark, is_idle: true },
            (Some(watermark), _) => Self::active(watermark),
        }
    }

    /// The time of one input, over the channels from all instances of its node.
    pub(crate) fn over_channels(channels: impl Iterator<Item = EventTime> + Clone) -> Self {
        let going = channels.clone().filter(|t| t.watermark != Watermark::END);
        match going.clone().map(|t| t.watermark).min() {
            Some(watermark) => Self { watermark, is_idle: going.clone().all(|t| t.is_idle) },
            None => channels.map(|t| Self::active(t.watermark)).next().unwrap_or(Self::NONE),
        }
    }

    /// What is known when `later` is heard: the watermark does not go back.
    pub(crate) fn then(self, later: EventTime) -> Self {
        Self { watermark: self.watermark.max(later.watermark), is_idle: later.is_idle }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_inputs_and_those_at_their_end_hold_nobody_back() {
        let active = |at| EventTime::active(Watermark(at));
        let idle = |at| EventTime { watermark: Watermark(at), is_idle: true };
        let (end, over) = (EventTime::active(Watermark::END), |all: &[EventTime]| EventTime::over(all.iter().copied()));
        assert_eq!(over(&[active(3), active(2), end]), active(2));
        assert_eq!(over(&[active(3), idle(2), end]), active(3));
        assert_eq!(over(&[idle(3), idle(2)]), idle(3));
        assert_eq!(over(&[idle(3), end]), idle(3), "the idle one may go on at 4");
        assert_eq!(over(&[end, end]), end);
        assert_eq!(over(&[]), EventTime::NONE);
        let channels = |all: &[EventTime]| EventTime::over_channels(all.iter().copied());
        assert_eq!(channels(&[active(5), idle(2), end]), active(2), "rows of the second may be on their way");
        assert_eq!(channels(&[idle(3), idle(2), end]), idle(2));
        assert_eq!((channels(&[end, end]), channels(&[])), (end, EventTime::NONE));
    }
}
