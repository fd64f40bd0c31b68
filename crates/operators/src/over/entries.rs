//! The rows of lists, in order, with what belongs together among them.

use crate::partitions::Rows;
use std::ops::Range;

/// The rows of some lists, one list after the other. A list is a partition at one time.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// By entry, where its row stands among all rows.
    pub(super) rows: Vec<u32>,
    /// By entry, how many copies it stands for.
    pub(super) counts: Vec<i64>,
    /// Where each list begins, then the number of entries.
    lists: Vec<u32>,
    /// Where each group of equal order begins, then the number of entries.
    groups: Vec<u32>,
    /// By entry, its group.
    group_of: Vec<u32>,
    /// By list its first group, then the number of groups.
    first_groups: Vec<u32>,
    /// Do all entries stand for one copy?
    pub(super) is_single: bool,
}

/// A list of [`Entries`].
#[derive(Debug, Clone, Copy)]
pub(super) struct List {
    /// Its first entry.
    pub(super) start: u32,
    /// The entry after its last.
    pub(super) end: u32,
    first_group: u32,
    end_group: u32,
}

impl Entries {
    pub(super) fn new() -> Self {
        Self { lists: vec![0], groups: vec![0], first_groups: vec![0], is_single: true, ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Appends a list of rows, each with its place among all rows and its weight; `one_by_one`: an entry for each copy.
    /// Returns the entries of the list.
    pub(super) fn push_list(
        &mut self,
        list: impl Iterator<Item = (u32, u32, i64)>,
        rows: &Rows,
        one_by_one: bool,
    ) -> Range<usize> {
        let from = self.rows.len();
        self.groups.pop();
        let mut order: Option<&[u8]> = None;
        for (row, place, weight) in list {
            if order != Some(rows.order(row)) {
                order = Some(rows.order(row));
                self.groups.push(self.rows.len() as u32);
            }
            let group = self.groups.len() as u32 - 1;
            let (entries, count) = if one_by_one { (weight.max(0) as usize, 1) } else { (1, weight) };
            let to = self.rows.len() + entries;
            self.rows.resize(to, place);
            self.counts.resize(to, count);
            self.group_of.resize(to, group);
            self.is_single &= count == 1;
        }
        let to = self.rows.len();
        self.lists.push(to as u32);
        self.first_groups.push(self.groups.len() as u32);
        self.groups.push(to as u32);
        from..to
    }

    /// All lists, in order.
    pub(super) fn lists(&self) -> impl Iterator<Item = List> + '_ {
        self.lists.windows(2).zip(self.first_groups.windows(2)).map(|(entries, groups)| List {
            start: entries[0],
            end: entries[1],
            first_group: groups[0],
            end_group: groups[1],
        })
    }

    /// The group of an entry.
    pub(super) fn group(&self, entry: u32) -> u32 {
        self.group_of[entry as usize]
    }

    /// Where a group begins.
    pub(super) fn group_start(&self, group: u32) -> u32 {
        self.groups[group as usize]
    }

    /// Where a group ends.
    pub(super) fn group_end(&self, group: u32) -> u32 {
        self.groups[group as usize + 1]
    }
}

impl List {
    /// Its entries.
    pub(super) fn entries(self) -> Range<u32> {
        self.start..self.end
    }

    /// Its groups.
    pub(super) fn groups(self) -> Range<u32> {
        self.first_group..self.end_group
    }
}
