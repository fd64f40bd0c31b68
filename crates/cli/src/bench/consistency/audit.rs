//! Looks at the views after every epoch and counts what is wrong.

use super::ledger::{Ledger, Row};
use super::transactions::Transaction;
use eddyline_engine::ChangeBatch;
use eddyline_engine::arrow::array::{Array, AsArray};
use eddyline_engine::arrow::datatypes::{Float64Type, Int64Type, TimestampMillisecondType};
use std::collections::BTreeMap;

/// The branch of the query that tells which transactions have been read.
pub(crate) const SEEN: &str = "seen";
/// The views that join the transactions with themselves: a row per transaction.
pub(crate) const SELF_JOINS: [&str; 2] = ["self_join", "self_join_in_time"];
/// 2024-01-01 00:00:00, when the first transaction is made.
const START_MS: i64 = 1_704_067_200_000;

/// What was found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Views that were looked at: one per view and epoch.
    pub(crate) results: u64,
    pub(crate) epochs: u64,
    /// Changes of rows that became visible.
    pub(crate) changes: u64,
    /// Totals other than 0 that a reader saw.
    pub(crate) wrong_totals: u64,
    /// Transactions that a self join showed without their partner.
    pub(crate) nulls: u64,
    /// Views that were not the batch answer over the transactions read so far.
    pub(crate) wrong_results: u64,
    /// The first thing that was wrong.
    pub(crate) first: Option<String>,
}

impl Findings {
    fn wrong(&mut self, what: impl FnOnce() -> String) {
        let epoch = self.epochs;
        self.first.get_or_insert_with(|| format!("epoch {epoch}: {}", what()));
    }
}

/// Follows the views of one job.
pub(crate) struct Audit<'a> {
    views: &'a [&'a str],
    /// By id.
    transactions: Vec<Transaction>,
    seen: Vec<bool>,
    ledger: Ledger,
    rows: BTreeMap<Row<'static>, i64>,
    /// Per self join and transaction: how often it is there with itself, and with NULL.
    joined: [Vec<[i64; 2]>; 2],
    findings: Findings,
}

impl<'a> Audit<'a> {
    /// An audit of `views` over `transactions`, in any order.
    pub(crate) fn new(views: &'a [&'a str], transactions: &[Transaction]) -> Self {
        let mut by_id = transactions.to_vec();
        by_id.sort_unstable_by_key(|t| t.id);
        Self {
            views,
            seen: vec![false; by_id.len()],
            joined: [vec![[0, 0]; by_id.len()], vec![[0, 0]; by_id.len()]],
            transactions: by_id,
            ledger: Ledger::default(),
            rows: BTreeMap::new(),
            findings: Findings::default(),
        }
    }

    /// An epoch became visible.
    pub(crate) fn epoch(&mut self, changes: &[ChangeBatch]) {
        self.findings.epochs += 1;
        let mut touched = Vec::new();
        for batch in changes {
            self.findings.changes += batch.num_rows() as u64;
            self.apply(batch, &mut touched);
        }
        touched.sort_unstable();
        touched.dedup();
        self.compare(&touched);
    }

    /// The job has ended: what was found. Transactions that were never read are a fault too.
    pub(crate) fn end(mut self) -> Findings {
        let missing = self.seen.iter().filter(|s| !**s).count();
        if missing > 0 {
            self.findings.wrong(|| format!("{missing} transactions were never read"));
        }
        self.findings
    }

    fn apply(&mut self, batch: &ChangeBatch, touched: &mut Vec<usize>) {
        let views = batch.column(0).as_string::<i32>();
        let numbers = batch.column(1).as_primitive::<Int64Type>();
        let values = batch.column(2).as_primitive::<Float64Type>();
        let times = batch.column(3).as_primitive::<TimestampMillisecondType>();
        for row in 0..batch.num_rows() {
            let weight = batch.weights().at(row);
            let number = numbers.is_valid(row).then(|| numbers.value(row));
            let value = values.is_valid(row).then(|| values.value(row));
            let view = views.value(row);
            if value.is_some_and(|v| v.fract() != 0.0) {
                self.findings.wrong(|| format!("{view} holds {value:?}, of units"));
            }
            let value = value.map(|v| v as i64);
            if view == SEEN {
                self.see(number, weight, touched);
            } else if let Some(join) = SELF_JOINS.iter().position(|v| *v == view) {
                self.join(join, number, value, weight, touched);
            } else if let Some(view) = Self::name(view) {
                let ts_ms = times.is_valid(row).then(|| (times.value(row) - START_MS).unsigned_abs());
                let row = Row { view, number, value, ts_ms };
                let count = self.rows.entry(row).or_default();
                *count += weight;
                if *count == 0 {
                    self.rows.remove(&row);
                }
            } else {
                self.findings.wrong(|| format!("there is no view {view}"));
            }
        }
    }

    fn name(view: &str) -> Option<&'static str> {
        super::VIEWS.iter().copied().find(|v| *v == view)
    }

    fn see(&mut self, id: Option<i64>, weight: i64, touched: &mut Vec<usize>) {
        match id.and_then(|id| usize::try_from(id).ok()).filter(|id| self.seen.get(*id) == Some(&false)) {
            Some(id) if weight == 1 => {
                self.seen[id] = true;
                self.ledger.add(&self.transactions[id]);
                touched.push(id);
            }
            _ => self.findings.wrong(|| format!("transaction {id:?} was read {weight:+} times, or again")),
        }
    }

    fn join(&mut self, join: usize, id: Option<i64>, other: Option<i64>, weight: i64, touched: &mut Vec<usize>) {
        let place = id.and_then(|id| usize::try_from(id).ok()).filter(|id| *id < self.seen.len());
        match place {
            Some(at) if other.is_none() || other == id => {
                self.joined[join][at][usize::from(other.is_none())] += weight;
                touched.push(at);
            }
            _ => self.findings.wrong(|| format!("{} pairs {id:?} with {other:?}", SELF_JOINS[join])),
        }
    }

    fn compare(&mut self, touched: &[usize]) {
        self.findings.results += self.views.len() as u64;
        let wanted = self.ledger.rows();
        let of = |rows: &BTreeMap<Row<'static>, i64>, view: &str| -> Vec<(Row<'static>, i64)> {
            rows.iter().filter(|(row, _)| row.view == view).map(|(row, count)| (*row, *count)).collect()
        };
        for view in self.views {
            if let Some(join) = SELF_JOINS.iter().position(|v| v == view) {
                self.compare_join(join, touched);
                continue;
            }
            let (is, wanted) = (of(&self.rows, view), of(&wanted, view));
            if *view == "total" && self.ledger.is_complete() {
                let totals = is.iter().filter(|(row, _)| row.value != Some(0)).count();
                self.findings.wrong_totals += totals as u64;
            }
            if is != wanted {
                self.findings.wrong_results += 1;
                self.findings.wrong(|| format!("{view} is\n{is:?}, must be\n{wanted:?}"));
            }
        }
    }

    fn compare_join(&mut self, join: usize, touched: &[usize]) {
        let mut is_right = true;
        for at in touched {
            let [pairs, nulls] = self.joined[join][*at];
            self.findings.nulls += u64::from(nulls != 0);
            if [pairs, nulls] != [i64::from(self.seen[*at]), 0] {
                is_right = false;
                self.findings.wrong(|| {
                    format!("{} has transaction {at} {pairs} times, and {nulls} times with NULL", SELF_JOINS[join])
                });
            }
        }
        self.findings.wrong_results += u64::from(!is_right);
    }
}
