//! A failing case made small: fewer shards, rows, blocks and splits, a shorter query, as long as it fails in the same way.
//!
//! The query is shortened as text. Its tokens are put away in ranges with balanced brackets; what is no SQL any more, or
//! means something that is refused, fails in another way and is not taken. So it works for every query that there is.

mod tokens;

use crate::check::{Case, answer};
use crate::random::RandomTable;
use crate::suite;
use eddyline_changes::table::{format_changes, parse_changes};
use std::fmt::Write;
use std::time::{Duration, Instant};

/// Runs a case, as [`crate::check::check`] does.
pub type Check<'a> = dyn Fn(&Case) -> Result<(), String> + 'a;

/// How long one case is made smaller at most.
const TIME_MAX: Duration = Duration::from_secs(120);

impl Case {
    /// The case as a file of the SQL suites, with the right answer. Rows arrive at once there: what only goes wrong on the
    /// way is not seen by it.
    ///
    /// # Errors
    /// The case cannot be bound, or has no batch answer.
    pub fn to_slt(&self, told: &str) -> Result<String, String> {
        let rows = answer(self)?;
        let mut out = String::new();
        let first = told.lines().next().unwrap_or_default();
        let _ = writeln!(out, "# Found by random queries with seed {} on {} shards: {first}\n", self.seed, self.shards);
        for table in &self.tables {
            let _ = writeln!(out, "statement ok\n{}\n", written(table));
        }
        if self.on_update {
            out.push_str("statement ok\nSET 'execution.emit' = 'on-update'\n\n");
        }
        out.push_str(&suite::record(&self.query, &rows).map_err(|e| e.to_string())?);
        Ok(out)
    }
}

/// CREATE TABLE with the rows in it; a split is an option of its own.
fn written(table: &RandomTable) -> String {
    let feed = format!("'feed' = '{}'", table.name);
    let splits: Vec<String> = table
        .splits
        .iter()
        .enumerate()
        .map(|(at, blocks)| {
            let rows: String = blocks.iter().map(format_changes).collect();
            format!("'rows.{at}' = '\n{}'", rows.replace('\'', "''"))
        })
        .collect();
    table.ddl.trim_end_matches(';').replace(&feed, &splits.join(", "))
}

/// The smallest case that was found to fail as `failing` does, by `check`.
pub fn shrink(failing: &Case, check: &Check<'_>) -> Case {
    let Err(told) = check(failing) else { return failing.clone() };
    let mut shrinking =
        Shrinking { best: failing.clone(), fault: fault(&told), check, until: Instant::now() + TIME_MAX };
    while shrinking.fewer_shards()
        | shrinking.shorter_query()
        | shrinking.fewer_tables()
        | shrinking.fewer_splits()
        | shrinking.fewer_rows()
    {}
    shrinking.best
}

/// What kind of failure a message tells of: its first line without numbers, which differ from case to case.
fn fault(told: &str) -> String {
    told.lines().next().unwrap_or_default().chars().filter(|c| !c.is_ascii_digit()).collect()
}

struct Shrinking<'a> {
    best: Case,
    fault: String,
    check: &'a Check<'a>,
    until: Instant,
}

impl Shrinking<'_> {
    /// Takes `candidate` if it fails in the same way.
    fn take(&mut self, candidate: Case) -> bool {
        if Instant::now() > self.until {
            return false;
        }
        let fails = (self.check)(&candidate).is_err_and(|told| fault(&told) == self.fault);
        if fails {
            self.best = candidate;
        }
        fails
    }

    fn fewer_shards(&mut self) -> bool {
        self.best.shards > 1 && self.take(Case { shards: 1, ..self.best.clone() })
    }

    fn shorter_query(&mut self) -> bool {
        let mut shorter = false;
        let names: Vec<String> = self.best.tables.iter().map(|t| t.name.clone()).collect();
        loop {
            let queries = tokens::shorter(&self.best.query, &names);
            let found = queries.into_iter().any(|query| self.take(Case { query, ..self.best.clone() }));
            if !found {
                return shorter;
            }
            shorter = true;
        }
    }

    fn fewer_tables(&mut self) -> bool {
        (0..self.best.tables.len()).rev().fold(false, |fewer, at| {
            let mut candidate = self.best.clone();
            candidate.tables.remove(at);
            (!candidate.tables.is_empty() && self.take(candidate)) || fewer
        })
    }

    /// All rows of a table in one split, or all of a split in one block.
    fn fewer_splits(&mut self) -> bool {
        let mut fewer = false;
        for at in 0..self.best.tables.len() {
            let lines = lines_of(&self.best.tables[at]);
            if lines.len() > 1 {
                fewer |= self.take_lines(at, vec![lines.concat()]);
            }
            for split in 0..self.best.tables[at].splits.len() {
                let mut lines = lines_of(&self.best.tables[at]);
                if lines[split].len() > 1 {
                    lines[split] = vec![lines[split].concat()];
                    fewer |= self.take_lines(at, lines);
                }
            }
        }
        fewer
    }

    fn take_lines(&mut self, table: usize, lines: Vec<Vec<Vec<String>>>) -> bool {
        let mut candidate = self.best.clone();
        candidate.tables[table].splits = parsed(&candidate.tables[table], lines);
        self.take(candidate)
    }

    fn fewer_rows(&mut self) -> bool {
        let mut fewer = false;
        for table in 0..self.best.tables.len() {
            let count = |shrinking: &Self| lines_of(&shrinking.best.tables[table]).concat().concat().len();
            let mut size = count(self).div_ceil(2);
            while size > 0 {
                let mut from = 0;
                while from < count(self) {
                    let lines = without(lines_of(&self.best.tables[table]), from..from + size);
                    match self.take_lines(table, lines) {
                        true => fewer = true,
                        false => from += size,
                    }
                }
                size = if size == 1 { 0 } else { size.div_ceil(2) };
            }
        }
        fewer
    }
}

/// The changes of a table as lines, per split and block.
fn lines_of(table: &RandomTable) -> Vec<Vec<Vec<String>>> {
    let block = |b| format_changes(b).lines().map(str::to_owned).collect();
    table.splits.iter().map(|blocks| blocks.iter().map(block).collect()).collect()
}

fn parsed(table: &RandomTable, lines: Vec<Vec<Vec<String>>>) -> Vec<Vec<eddyline_changes::ChangeBatch>> {
    let block =
        |lines: Vec<String>| parse_changes(&table.schema, &lines.join("\n")).expect("the lines were rows of the table");
    let split = |blocks: Vec<Vec<String>>| blocks.into_iter().filter(|b| !b.is_empty()).map(block).collect();
    lines.into_iter().map(split).collect()
}

/// The lines but for a range of them, counted over all, and for rows taken back that are not there any more.
fn without(mut lines: Vec<Vec<Vec<String>>>, range: std::ops::Range<usize>) -> Vec<Vec<Vec<String>>> {
    let mut at = 0..;
    for split in &mut lines {
        let mut live: Vec<String> = Vec::new();
        for block in split.iter_mut() {
            block.retain(|line| {
                let is_gone = at.next().is_some_and(|at| range.contains(&at));
                if is_gone {
                    return false;
                }
                match line.strip_prefix('-') {
                    None => {
                        live.push(line.trim_start_matches('+').to_owned());
                        true
                    }
                    Some(row) => match live.iter().position(|l| l == row) {
                        Some(found) => {
                            live.swap_remove(found);
                            true
                        }
                        None => false,
                    },
                }
            });
        }
    }
    lines
}

#[cfg(test)]
mod tests;
