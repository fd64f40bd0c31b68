//! A table or materialized view of the server, followed: `SUBSCRIBE TO v`.
//!
//! The server keeps a subscription cursor, from which changes are fetched. Changes of an epoch are handed on together, also where
//! they come in several answers.

use super::super::execute::Shell;
use super::super::lex::{self, Kind};
use super::super::live::{self, Feed, News};
use super::{Answer, CONNECTION, Server};
use crate::args::Format;
use crate::follow::{View, grouped, written};
use crate::terminal;
use eddyline_engine::{ChangeBatch, Dialect, Presentation, ResultMode, ResultShape, ScriptError, SqlError, Weights};
use std::collections::VecDeque;
use std::io::{BufWriter, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio_postgres::types::Type;

/// The cursor of the subscription that is followed.
const CURSOR: &str = "eddyline_sql";
/// What a subscription answers before the columns of the table: the epoch and the weight.
const BEFORE_COLUMNS: usize = 2;
/// Changes that are asked for at once.
const FETCHED_MAX: usize = 1000;
/// How long line by line waits for changes before it looks whether somebody wants no more.
const LOOK: Duration = Duration::from_millis(200);

/// What SUBSCRIBE names.
#[derive(Debug, PartialEq, Eq)]
struct Subscribed<'a> {
    name: &'a str,
    /// The rows that are there come first.
    with_rows: bool,
}

/// A subscription that is open.
struct Subscription<'a> {
    server: &'a mut Server,
    columns: Vec<String>,
    types: Vec<Type>,
    pending: Pending,
    /// Somebody wants no more.
    is_unwanted: Arc<AtomicBool>,
    since: Instant,
    changes: u64,
}

impl Shell {
    /// `SUBSCRIBE [TO] name [WITH (snapshot = …)]`: a table or materialized view as it changes, until the user ends it.
    ///
    /// # Errors
    /// The server says no, or goes away; the statement does not read.
    pub(super) fn follow_there(&mut self, text: &str) -> Result<(), ScriptError> {
        let subscribed = subscribed(text)?;
        let shape = self.shape_there(subscribed.name)?;
        let full = if subscribed.with_rows { " FULL" } else { "" };
        self.asked_aside(&format!("DECLARE {CURSOR} SUBSCRIPTION CURSOR FOR {}{full}", subscribed.name))?;
        let followed = self.follow_cursor(&shape);
        let closed = self.asked_aside(&format!("CLOSE {CURSOR}"));
        followed?;
        closed?;
        Ok(())
    }

    fn follow_cursor(&mut self, (shape, types): &(ResultShape, Vec<Type>)) -> Result<(), ScriptError> {
        let format = self.options.format;
        let is_table = format.is_none_or(|format| format == Format::Table) && shape.mode == ResultMode::Table;
        let view = View::new(&self.manner(Instant::now()), format.unwrap_or(Format::Changelog), false, shape);
        let is_unwanted = Arc::new(AtomicBool::new(false));
        let tell = is_unwanted.clone();
        self.interrupts.attach(move || tell.store(true, Ordering::Relaxed));
        let Some(server) = &mut self.server else { return Ok(()) };
        let mut feed = Subscription {
            server,
            columns: shape.schema.fields().iter().map(|field| field.name().clone()).collect(),
            types: types.clone(),
            pending: Pending::default(),
            is_unwanted,
            since: Instant::now(),
            changes: 0,
        };
        let followed = match is_table && terminal::is_there() {
            true => live::look_at(shape, feed, &self.reporter),
            false => feed.print(view).and_then(|()| {
                self.reporter.note("stopped");
                Err(ScriptError::Stopped)
            }),
        };
        self.interrupts.detach();
        followed
    }

    /// What the changes of a table look like, and the types that the server tells.
    fn shape_there(&mut self, name: &str) -> Result<(ResultShape, Vec<Type>), SqlError> {
        let rows = self.asked_aside(&format!("SELECT * FROM {name} LIMIT 0"))?;
        let schema = rows.listing()?.map(|listing| listing.rows.schema());
        let schema =
            schema.ok_or_else(|| SqlError::new(CONNECTION, format!("the server tells no columns of {name}")))?;
        let described = self.asked_aside(&format!("DESCRIBE {name}"))?;
        let at = described.columns.iter().flatten().position(|column| column == "key");
        let key = at.map(|at| {
            let is_key = described.texts(at).map(|key| key.is_some_and(|key| !key.is_empty()));
            is_key.enumerate().filter_map(|(column, is_key)| is_key.then_some(column)).collect::<Vec<_>>()
        });
        let shape = ResultShape {
            schema,
            presentation: Presentation::default(),
            append_only: false,
            mode: self.session.settings().result_mode(),
            key: key.filter(|key| !key.is_empty()),
            time_zone: "UTC".into(),
        };
        Ok((shape, rows.types))
    }
}

impl Subscription<'_> {
    /// Changes as the engine has them.
    fn read(&self, epoch: Epoch) -> Result<ChangeBatch, SqlError> {
        let wrong = |why: &str| SqlError::new(CONNECTION, format!("changes of the server do not read: {why}"));
        let weights = epoch.rows.iter().map(|row| row.get(1)?.as_deref()?.parse::<i64>().ok());
        let weights: Option<Vec<i64>> = weights.collect();
        let weights = weights.ok_or_else(|| wrong("one has no weight"))?;
        let rows = epoch.rows.into_iter().map(|mut row| row.split_off(BEFORE_COLUMNS)).collect();
        let answer = Answer { columns: Some(self.columns.clone()), types: self.types.clone(), rows, changed: 0 };
        let rows = answer.listing()?.ok_or_else(|| wrong("they have no columns"))?.rows;
        ChangeBatch::new(rows, Weights::PerRow(weights.into())).map_err(|e| wrong(&e.to_string()))
    }

    /// Prints changes as they come.
    fn print(&mut self, mut view: View) -> Result<(), ScriptError> {
        let mut out = BufWriter::new(std::io::stdout());
        loop {
            match self.next(LOOK)? {
                Some(News::Changes(changes)) => {
                    view.changes(&mut out, &changes)?;
                    out.flush().map_err(written)?;
                }
                Some(News::Unwanted) => {
                    view.finish(&mut out)?;
                    return out.flush().map_err(written);
                }
                Some(News::Ended(ended)) => return Ok(ended?),
                None => {}
            }
        }
    }
}

impl Feed for Subscription<'_> {
    fn next(&mut self, wait: Duration) -> Result<Option<News>, SqlError> {
        if self.is_unwanted.load(Ordering::Relaxed) {
            return Ok(Some(News::Unwanted));
        }
        if !self.pending.has_whole() {
            let fetch = format!("FETCH {FETCHED_MAX} FROM {CURSOR} WITH (timeout = '{}ms')", wait.as_millis());
            let fetched = self.server.ask(&fetch, &Arc::default())?;
            self.pending.add(fetched);
        }
        let Some(epoch) = self.pending.take() else { return Ok(None) };
        self.changes += epoch.rows.len() as u64;
        Ok(Some(News::Changes(vec![self.read(epoch)?])))
    }

    fn progress(&self) -> String {
        format!("{} changes", grouped(self.changes))
    }

    fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }

    fn end(&mut self) {}
}

/// Changes that have come, of epochs of which more may come.
#[derive(Debug, Default)]
struct Pending {
    epochs: VecDeque<Epoch>,
    /// All of the last epoch has come: the server had no more to answer.
    is_last_whole: bool,
}

/// The changes of an epoch: its number, their weights, and the columns.
#[derive(Debug, PartialEq, Eq)]
struct Epoch {
    number: Option<String>,
    rows: Vec<Vec<Option<String>>>,
}

impl Pending {
    fn add(&mut self, fetched: Answer) {
        self.is_last_whole = fetched.rows.len() < FETCHED_MAX;
        for row in fetched.rows {
            let number = row.first().cloned().flatten();
            match self.epochs.back_mut() {
                Some(epoch) if epoch.number == number => epoch.rows.push(row),
                _ => self.epochs.push_back(Epoch { number, rows: vec![row] }),
            }
        }
    }

    fn has_whole(&self) -> bool {
        self.epochs.len() > usize::from(!self.is_last_whole)
    }

    fn take(&mut self) -> Option<Epoch> {
        if self.has_whole() { self.epochs.pop_front() } else { None }
    }
}

/// What a SUBSCRIBE names.
fn subscribed(text: &str) -> Result<Subscribed<'_>, SqlError> {
    let wrong = || {
        SqlError::new(SqlError::SYNTAX, "a SUBSCRIBE that is not understood")
            .with_hint("write SUBSCRIBE TO v, or SUBSCRIBE TO v WITH (snapshot = false)")
    };
    let pieces: Vec<_> =
        lex::pieces(text, Dialect::Postgres).into_iter().filter(|piece| piece.kind != Kind::Comment).collect();
    let is = |at: usize, word: &str| {
        pieces.get(at).is_some_and(|piece| text[piece.bytes.clone()].eq_ignore_ascii_case(word))
    };
    let begin = if is(1, "to") { 2 } else { 1 };
    let ends = |at: &usize| *at == pieces.len() || is(*at, "with") || is(*at, ";");
    let end = (begin..=pieces.len()).find(ends).filter(|end| *end > begin).ok_or_else(wrong)?;
    let name = &text[pieces[begin].bytes.start..pieces[end - 1].bytes.end];
    let options: Vec<&str> = pieces[end..].iter().map(|piece| &text[piece.bytes.clone()]).collect();
    let with_rows = match options.concat().to_lowercase().trim_end_matches(';') {
        "" | "with(snapshot)" | "with(snapshot=true)" => true,
        "with(snapshot=false)" => false,
        _ => return Err(wrong()),
    };
    Ok(Subscribed { name, with_rows })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_name_what_they_follow() {
        for (text, name, with_rows) in [
            ("SUBSCRIBE TO v", "v", true),
            ("subscribe v;", "v", true),
            ("SUBSCRIBE TO /* a */ \"a view\".v WITH (SNAPSHOT = False);", "\"a view\".v", false),
        ] {
            assert_eq!(subscribed(text).expect("understood"), Subscribed { name, with_rows }, "{text}");
        }
        for text in ["SUBSCRIBE", "SUBSCRIBE TO", "SUBSCRIBE TO v WITH (since = 1)", "SUBSCRIBE WITH (snapshot = true)"]
        {
            assert_eq!(subscribed(text).expect_err("not understood").sqlstate, SqlError::SYNTAX, "{text}");
        }
    }

    fn fetched(epochs: &[&str]) -> Answer {
        let row = |epoch: &&str| vec![Some((*epoch).to_owned()), Some("1".to_owned())];
        Answer { rows: epochs.iter().map(row).collect(), ..Answer::default() }
    }

    #[test]
    fn epochs_come_whole() {
        let mut pending = Pending::default();
        let many = ["1"; FETCHED_MAX];
        pending.add(fetched(&many));
        assert!(!pending.has_whole());
        pending.add(fetched(&["1", "2"]));
        assert_eq!(pending.take().map(|epoch| epoch.rows.len()), Some(FETCHED_MAX + 1));
        assert_eq!(pending.take().map(|epoch| epoch.rows.len()), Some(1));
        assert_eq!(pending.take(), None);
    }
}
