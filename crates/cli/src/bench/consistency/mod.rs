//! `eddyline bench consistency`: are views consistent with each other and with their input at every moment?
//!
//! The test is that of Jamie Brandon ("Internal consistency in streaming systems", 2021): transactions between accounts, of
//! which views with joins and aggregates are kept. Whatever a reader sees, the balances must add up to 0, a transaction
//! must find itself in a self join, and each view must be the batch answer over some prefix of the input.
//!
//! One SELECT reads all views and the transactions themselves, so that a reader knows after every epoch what has been
//! read; what the views must then say is computed by hand in `ledger`.

mod audit;
mod ledger;
#[cfg(test)]
mod tests;
mod transactions;

use super::{run_here, tell};
use crate::args::ConsistencyArgs;
use crate::exit::Exit;
use crate::follow::grouped;
use audit::{Audit, Findings, SEEN};
use eddyline_engine::{JobEvent, Listing, Observer, RunningJob, ScriptError};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;
use transactions::{Kind, Transaction};

const DEFINITIONS: &str = include_str!("../../../../../benches/consistency/views.sql");

/// The views, each with what of it makes the columns (number, value, time).
const COLUMNS: [(&str, &str); 10] = [
    ("credits", "account, credits, NULL"),
    ("debits", "account, debits, NULL"),
    ("balance", "account, balance, NULL"),
    ("total", "NULL, total, NULL"),
    ("self_join", "id, other, NULL"),
    ("self_join_in_time", "id, other, NULL"),
    ("credits_at", "account, credits, ts"),
    ("debits_at", "account, debits, ts"),
    ("balance_at", "account, balance, ts"),
    ("total_at", "NULL, total, NULL"),
];

/// Their names.
const VIEWS: [&str; 10] = {
    let mut names = [""; 10];
    let mut at = 0;
    while at < names.len() {
        names[at] = COLUMNS[at].0;
        at += 1;
    }
    names
};

/// Runs the test.
///
/// # Errors
/// The exit code, when something could not be run; what happened has been told.
pub(crate) fn consistency(args: &ConsistencyArgs) -> Result<Exit, Exit> {
    let mut out = io::stdout();
    let header = writeln!(
        out,
        "{:<9} {:>5} {:>6} {:<18} {:>7} {:>11} {:>10} {:>12} {:>6} {:>13}",
        "input", "files", "shards", "views", "epochs", "changes", "results", "wrong totals", "NULLs", "wrong results"
    );
    header.map_err(|_| Exit::Failed)?;
    let mut exit = Exit::Done;
    for kind in [Kind::Delayed, Kind::Ordered] {
        let transactions = transactions::transactions(kind, args.transactions, args.seed);
        for files in [1, 3] {
            let dir =
                tempfile::tempdir().map_err(|e| tell(&format!("ERROR: cannot make a directory: {e}"), Exit::Failed))?;
            transactions::write(&transactions, files, dir.path())
                .map_err(|e| tell(&format!("ERROR: cannot write {}: {e}", dir.path().display()), Exit::Failed))?;
            let mut run = |shards: usize, views: &[&str]| -> Result<(), Exit> {
                let findings =
                    audited(args, &transactions, dir.path(), shards, views).map_err(|e| tell(&e, Exit::Failed))?;
                let name = if views.len() == 1 { views[0] } else { "all at once" };
                write_row(&mut out, [kind.name(), name], files, shards, &findings).map_err(|_| Exit::Failed)?;
                if let Some(first) = &findings.first {
                    exit = tell(&format!("ERROR: {first}"), Exit::Failed);
                }
                Ok(())
            };
            for shards in &args.shards {
                run(*shards, &VIEWS)?;
            }
            if files > 1 && kind == Kind::Delayed {
                let shards = args.shards.iter().copied().max().unwrap_or(1);
                VIEWS.iter().try_for_each(|view| run(shards, &[*view]))?;
            }
        }
    }
    Ok(exit)
}

fn write_row(
    out: &mut dyn Write,
    [input, views]: [&str; 2],
    files: usize,
    shards: usize,
    found: &Findings,
) -> io::Result<()> {
    writeln!(
        out,
        "{input:<9} {files:>5} {shards:>6} {views:<18} {:>7} {:>11} {:>10} {:>12} {:>6} {:>13}",
        grouped(found.epochs),
        grouped(found.changes),
        grouped(found.results),
        grouped(found.wrong_totals),
        grouped(found.nulls),
        grouped(found.wrong_results)
    )
}

/// Tables, views, and one SELECT of all that `views` names and of the transactions.
fn script(dir: &Path, views: &[&str]) -> String {
    let dir = dir.display().to_string().replace('\'', "''");
    let mut sql = format!(
        "CREATE TABLE transactions (id BIGINT, from_account BIGINT, to_account BIGINT, amount DOUBLE, ts TIMESTAMP(3), \
         WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) \
         WITH ('connector' = 'filesystem', 'path' = '{dir}', 'format' = 'csv');\n{DEFINITIONS}\
         SELECT '{SEEN}' AS view_name, id AS number, CAST(NULL AS DOUBLE) AS amount, CAST(NULL AS TIMESTAMP(3)) AS ts FROM transactions"
    );
    for (view, columns) in COLUMNS.iter().filter(|(view, _)| views.contains(view)) {
        let columns: Vec<&str> = columns.split(", ").collect();
        let _ = write!(
            sql,
            "\nUNION ALL SELECT '{view}', CAST({} AS BIGINT), CAST({} AS DOUBLE), CAST({} AS TIMESTAMP(3)) FROM {view}",
            columns[0], columns[1], columns[2]
        );
    }
    sql + ";\n"
}

fn audited(
    args: &ConsistencyArgs,
    transactions: &[Transaction],
    dir: &Path,
    shards: usize,
    views: &[&str],
) -> Result<Findings, String> {
    let own = [("execution.shards", shards.to_string()), ("execution.epoch-rows", args.epoch_rows.to_string())];
    let own = own.map(|(key, value)| (key.to_owned(), value));
    let mut reader = Reader { audit: Audit::new(views, transactions) };
    run_here(own.into_iter().chain(args.settings.clone()), &script(dir, views), &mut reader)?;
    Ok(reader.audit.end())
}

/// Reads what becomes visible, epoch by epoch.
struct Reader<'a> {
    audit: Audit<'a>,
}

impl Observer for Reader<'_> {
    fn done(&mut self, _: &str) {}

    fn note(&mut self, _: &str) {}

    fn listing(&mut self, _: &Listing) -> Result<(), ScriptError> {
        Ok(())
    }

    fn job(&mut self, job: RunningJob) -> Result<(), ScriptError> {
        loop {
            match job.next_event(Duration::from_secs(3600)) {
                Some(JobEvent::Changes { changes, .. }) => self.audit.epoch(&changes),
                Some(JobEvent::Ended(result)) => return result.map_err(ScriptError::Job),
                Some(JobEvent::Interrupted) | None => {}
            }
        }
    }
}
