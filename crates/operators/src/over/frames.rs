//! Which entries are in the frame of an entry.

use super::entries::{Entries, List};
use super::range::{self, Keys};
use crate::OperatorError;
use eddyline_plan::{Frame, FrameBound, FrameOffset, FrameUnits};

/// Frames, each of which many entries may have. Within a list neither their beginnings nor their ends go back.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// First entry and the entry after the last one. Neighbours differ.
    pub(super) frames: Vec<(u32, u32)>,
    /// By frame, the first entry of its list.
    pub(super) bases: Vec<u32>,
    /// By entry, its frame.
    pub(super) of: Vec<u32>,
}

impl Frames {
    /// The frames of all entries. `keys` are the values of the order, where the frame is a RANGE with an offset.
    pub(super) fn new(frame: &Frame, entries: &Entries, keys: Option<&Keys>) -> Result<Self, OperatorError> {
        let mut found = Self::default();
        let (mut starts, mut ends) = (Vec::new(), Vec::new());
        for list in entries.lists() {
            starts.clear();
            ends.clear();
            match (&frame.units, keys) {
                (FrameUnits::Range, Some(keys)) => range::bounds(frame, keys, entries, list, &mut starts, &mut ends)?,
                _ => {
                    starts.extend(list.entries().map(|e| start(frame, entries, list, e)));
                    ends.extend(list.entries().map(|e| end(frame, entries, list, e)));
                }
            }
            let known = found.frames.len();
            for (start, end) in starts.iter().zip(&ends) {
                // An empty frame is nowhere; it must not go back either.
                let frame = (*start, *end.max(start));
                if found.frames.len() == known || found.frames.last() != Some(&frame) {
                    found.frames.push(frame);
                    found.bases.push(list.start);
                }
                found.of.push(found.frames.len() as u32 - 1);
            }
        }
        Ok(found)
    }
}

/// The entry with which a frame begins.
pub(super) fn start(frame: &Frame, entries: &Entries, list: List, entry: u32) -> u32 {
    let rows = frame.units == FrameUnits::Rows;
    let group = entries.group(entry);
    match (&frame.start, rows) {
        (FrameBound::UnboundedPreceding, _) => list.start,
        (FrameBound::CurrentRow, true) => entry,
        (FrameBound::CurrentRow, false) => entries.group_start(group),
        (FrameBound::Preceding(n), true) => before(entry, count(*n), list.start),
        (FrameBound::Preceding(n), false) => entries.group_start(before(group, count(*n), list.groups().start)),
        (FrameBound::Following(n), true) => after(entry, count(*n), list.end),
        (FrameBound::Following(n), false) => match after(group, count(*n), list.groups().end) {
            group if group == list.groups().end => list.end,
            group => entries.group_start(group),
        },
        (FrameBound::UnboundedFollowing, _) => list.end,
    }
}

/// The entry after the last one of a frame.
pub(super) fn end(frame: &Frame, entries: &Entries, list: List, entry: u32) -> u32 {
    let rows = frame.units == FrameUnits::Rows;
    let group = entries.group(entry);
    match (&frame.end, rows) {
        (FrameBound::UnboundedFollowing, _) => list.end,
        (FrameBound::CurrentRow, true) => entry + 1,
        (FrameBound::CurrentRow, false) => entries.group_end(group),
        (FrameBound::Following(n), true) => after(entry + 1, count(*n), list.end),
        (FrameBound::Following(n), false) => {
            entries.group_end(after(group, count(*n), list.groups().end.saturating_sub(1)))
        }
        (FrameBound::Preceding(n), true) => before(entry + 1, count(*n), list.start),
        (FrameBound::Preceding(n), false) => match before(group + 1, count(*n), list.groups().start) {
            group if group == list.groups().start => list.start,
            group => entries.group_end(group - 1),
        },
        (FrameBound::UnboundedPreceding, _) => list.start,
    }
}

fn count(offset: FrameOffset) -> u64 {
    if let FrameOffset::Count(n) = offset { n } else { 0 }
}

/// `n` before `at`, but not before `first`.
fn before(at: u32, n: u64, first: u32) -> u32 {
    u32::try_from(n).map_or(first, |n| at.saturating_sub(n).max(first))
}

/// `n` after `at`, but not after `last`.
fn after(at: u32, n: u64, last: u32) -> u32 {
    u32::try_from(n).map_or(last, |n| at.saturating_add(n).min(last))
}
