//! What the views must say, by hand: the batch answers over the transactions that have been seen.

use super::transactions::{ACCOUNTS, Transaction};
use std::collections::BTreeMap;

/// A row of a view: the view's name, a number, a value, a time in ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row<'a> {
    pub(crate) view: &'a str,
    pub(crate) number: Option<i64>,
    /// Whole numbers, though the column is a DOUBLE.
    pub(crate) value: Option<i64>,
    pub(crate) ts_ms: Option<u64>,
}

/// Sums over the transactions so far.
#[derive(Default)]
pub(crate) struct Ledger {
    credits: [Side; ACCOUNTS],
    debits: [Side; ACCOUNTS],
}

/// What an account got, or gave.
#[derive(Default, Clone, Copy)]
struct Side {
    sum: i64,
    last_ms: Option<u64>,
}

impl Side {
    fn add(&mut self, t: &Transaction) {
        self.sum += 1;
        self.last_ms = self.last_ms.max(Some(t.ts_ms));
    }
}

impl Ledger {
    /// One more transaction.
    pub(crate) fn add(&mut self, t: &Transaction) {
        self.credits[t.to].add(t);
        self.debits[t.from].add(t);
    }

    /// The rows of all views but the self joins, each once.
    pub(crate) fn rows(&self) -> BTreeMap<Row<'static>, i64> {
        let mut rows = BTreeMap::new();
        let mut put = |view, number: Option<usize>, value, ts_ms| {
            rows.insert(Row { view, number: number.map(|n| n as i64), value, ts_ms }, 1);
        };
        for (credits, debits, at) in [("credits", "debits", false), ("credits_at", "debits_at", true)] {
            for account in 0..ACCOUNTS {
                for (view, side) in [(credits, &self.credits[account]), (debits, &self.debits[account])] {
                    if side.sum > 0 {
                        put(view, Some(account), Some(side.sum), side.last_ms.filter(|_| at));
                    }
                }
            }
        }
        for (balance, total, at) in [("balance", "total", false), ("balance_at", "total_at", true)] {
            let mut sum = None;
            for (account, (credits, debits)) in self.credits.iter().zip(&self.debits).enumerate() {
                let is_there = credits.sum > 0 && debits.sum > 0;
                if is_there && (!at || credits.last_ms == debits.last_ms) {
                    put(balance, Some(account), Some(credits.sum - debits.sum), credits.last_ms.filter(|_| at));
                    sum = Some(sum.unwrap_or(0) + credits.sum - debits.sum);
                }
            }
            put(total, None, sum, None);
        }
        rows
    }

    /// True when every account has got and given, so that the balances must add up to nothing.
    pub(crate) fn is_complete(&self) -> bool {
        self.credits.iter().chain(&self.debits).all(|s| s.sum > 0)
    }
}
