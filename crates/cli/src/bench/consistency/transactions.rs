//! The input: transactions of one unit each between ten accounts, over 60 seconds.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Accounts are 0 to 9.
pub(crate) const ACCOUNTS: usize = 10;
const SECONDS: u64 = 60;
/// The latest that a transaction arrives after it was made.
const DELAY_MAX_MS: u64 = 10_000;

/// One transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Transaction {
    pub(crate) id: u64,
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// When it was made, ms.
    pub(crate) ts_ms: u64,
}

/// In which order and between whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Between accounts by chance, arriving up to ten seconds late.
    Delayed,
    /// From each account to the next, arriving in order.
    Ordered,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Delayed => "delayed",
            Kind::Ordered => "in order",
        }
    }
}

/// `count` transactions in the order in which they arrive.
pub(crate) fn transactions(kind: Kind, count: u64, seed: u64) -> Vec<Transaction> {
    let mut rng = StdRng::seed_from_u64(seed);
    let made = |id: u64| id * SECONDS / count.max(1) * 1000;
    match kind {
        Kind::Ordered => (0..count)
            .map(|id| {
                let from = id as usize % ACCOUNTS;
                Transaction { id, from, to: (from + 1) % ACCOUNTS, ts_ms: made(id) }
            })
            .collect(),
        Kind::Delayed => {
            let mut arriving: Vec<(u64, Transaction)> = (0..count)
                .map(|id| {
                    let (from, to) = (rng.random_range(0..ACCOUNTS), rng.random_range(0..ACCOUNTS));
                    let ts_ms = made(id);
                    (ts_ms + rng.random_range(0..=DELAY_MAX_MS), Transaction { id, from, to, ts_ms })
                })
                .collect();
            arriving.sort_by_key(|(arrival, _)| *arrival);
            arriving.into_iter().map(|(_, t)| t).collect()
        }
    }
}

/// Writes them as CSV files into `dir`, each in the order of arrival. With several files they are of different sizes, so
/// that some are read further than others at any moment.
///
/// # Errors
/// The files cannot be written.
pub(crate) fn write(transactions: &[Transaction], files: usize, dir: &Path) -> io::Result<()> {
    let open = |file: usize| Ok(BufWriter::new(File::create(dir.join(format!("{file}.csv")))?));
    let mut writers = (0..files).map(open).collect::<io::Result<Vec<_>>>()?;
    // File n gets a share in proportion to n + 1.
    let shares = files * (files + 1) / 2;
    let file_of: Vec<usize> = (0..files).flat_map(|file| std::iter::repeat_n(file, file + 1)).collect();
    for t in transactions {
        let (second, ms) = (t.ts_ms / 1000, t.ts_ms % 1000);
        let writer = &mut writers[file_of[t.id as usize % shares]];
        writeln!(
            writer,
            "{},{},{},1.0,2024-01-01 00:{:02}:{:02}.{ms:03}",
            t.id,
            t.from,
            t.to,
            second / 60,
            second % 60
        )?;
    }
    writers.iter_mut().try_for_each(Write::flush)
}
