//! A result that changes, on the whole terminal: painted anew in place whenever it has changed, with what is new marked.
//!
//! Keys walk through the table; `q` and Ctrl-C end the query, and the last table that was shown stays on the terminal.

mod paint;

use crate::follow::{Interrupts, Reporter, grouped, plural, written};
use crate::output::brief;
use crate::terminal::{self, Key, Keys, Screen};
use eddyline_engine::{ChangeBatch, JobEvent, LiveTable, ResultShape, RunningJob, ScriptError, SqlError};
use paint::{Face, Painter};
use std::io::Write;
use std::time::{Duration, Instant};

/// Between two looks at what has happened; a change is on the screen so soon.
const LOOK: Duration = Duration::from_millis(40);
/// Between two paintings at least.
const PAINT: Duration = Duration::from_millis(100);
/// Epochs that are taken in before keys are looked at again.
const EPOCHS_MAX: usize = 64;
/// How often the line at the top is painted when nothing changes.
const TICK: Duration = Duration::from_secs(1);

/// Where the changes of a result come from.
pub(crate) trait Feed {
    /// What has happened, if anything does within `wait`.
    ///
    /// # Errors
    /// Changes that cannot be read.
    fn next(&mut self, wait: Duration) -> Result<Option<News>, SqlError>;

    /// How far it is, for the line at the top.
    fn progress(&self) -> String;

    /// For how long it has been looked at.
    fn elapsed(&self) -> Duration;

    /// Nobody looks any more.
    fn end(&mut self);
}

/// What happens to a result.
pub(crate) enum News {
    /// All changes of an epoch.
    Changes(Vec<ChangeBatch>),
    /// The user wants no more.
    Unwanted,
    /// Nothing follows.
    Ended(Result<(), SqlError>),
}

impl Feed for &RunningJob {
    fn next(&mut self, wait: Duration) -> Result<Option<News>, SqlError> {
        Ok(self.next_event(wait).map(|event| match event {
            JobEvent::Changes { changes, .. } => News::Changes(changes),
            JobEvent::Interrupted => News::Unwanted,
            JobEvent::Ended(result) => News::Ended(result),
        }))
    }

    fn progress(&self) -> String {
        let progress = RunningJob::progress(self);
        let rows = format!("{} in", grouped(progress.rows_in));
        match progress.watermark.as_millis() {
            Some(_) => format!("{rows}  ·  watermark {}", progress.watermark),
            None => rows,
        }
    }

    fn elapsed(&self) -> Duration {
        RunningJob::progress(self).elapsed
    }

    fn end(&mut self) {
        self.cancel();
    }
}

/// Shows the result of a job until it ends or the user does.
///
/// # Errors
/// As [`look_at`].
pub(crate) fn watch(job: &RunningJob, reporter: &Reporter, interrupts: &Interrupts) -> Result<(), ScriptError> {
    let Some(shape) = &job.facts().result else { return Ok(()) };
    reporter.started(job.facts());
    let interrupter = job.interrupter();
    interrupts.attach(move || interrupter.interrupt());
    let outcome = look_at(shape, job, reporter);
    interrupts.detach();
    outcome
}

/// Shows a result that changes until it ends or the user does.
///
/// # Errors
/// The result ends with an error; the terminal cannot be written.
pub(crate) fn look_at(shape: &ResultShape, feed: impl Feed, reporter: &Reporter) -> Result<(), ScriptError> {
    let mut watching = Watching {
        feed,
        table: LiveTable::new(shape).map_err(ScriptError::Statement)?,
        painter: Painter::new(shape),
        keys: Keys::default(),
        view: Place { row: 0, column: 0, follows: shape.append_only },
        ended: None,
        is_unwanted: false,
    };
    let screen = Screen::enter().map_err(written)?;
    let outcome = watching.run();
    drop(screen);
    watching.feed.end();
    let last = watching.last_face().and_then(|face| print(&face));
    outcome?;
    last?;
    let rows = plural(watching.table.len() as u64 + watching.table.dropped(), "row");
    let time = brief(watching.feed.elapsed());
    match watching.ended {
        Some(Err(error)) => return Err(ScriptError::Job(error)),
        Some(Ok(())) => reporter.note(&format!("{rows} when it ended, after {time}")),
        None => reporter.note(&format!("{rows} when it was stopped, after {time}")),
    }
    Ok(())
}

/// Which part of the table is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    row: usize,
    column: usize,
    /// Stays at the end of a table that grows.
    follows: bool,
}

impl Place {
    /// After a key. `rows` there are, of which `lines` are seen.
    fn after(self, key: Key, rows: usize, lines: usize) -> Self {
        let last = rows.saturating_sub(lines);
        let up = |by: usize| Self { row: self.row.saturating_sub(by), follows: false, ..self };
        let down = |by: usize| {
            let row = (self.row + by).min(last);
            // Who comes to the end stays there.
            Self { row, follows: self.follows || (row == last && by > 0), ..self }
        };
        match key {
            Key::Up | Key::Char('k') => up(1),
            Key::Down | Key::Char('j' | '\n') => down(1),
            Key::PageUp | Key::Char('b') | Key::Ctrl('b') => up(lines),
            Key::PageDown | Key::Char(' ' | 'f') | Key::Ctrl('f') => down(lines),
            Key::Home | Key::Char('g') => up(usize::MAX),
            Key::End | Key::Char('G') => Self { row: last, follows: true, ..self },
            Key::Left | Key::Char('h') => Self { column: self.column.saturating_sub(1), ..self },
            Key::Right | Key::Char('l') => Self { column: self.column + 1, ..self },
            _ => self,
        }
    }
}

struct Watching<F> {
    feed: F,
    table: LiveTable,
    painter: Painter,
    keys: Keys,
    view: Place,
    ended: Option<Result<(), SqlError>>,
    /// The user wants no more.
    is_unwanted: bool,
}

impl<F: Feed> Watching<F> {
    fn run(&mut self) -> Result<(), ScriptError> {
        let mut painted: Option<(Instant, u64, (usize, usize), Place)> = None;
        loop {
            self.take_in()?;
            self.react()?;
            if self.is_unwanted || self.ended.is_some() {
                return Ok(());
            }
            let size = terminal::size();
            let now = (self.table.moment(), size, self.view);
            let is_due = painted.is_none_or(|(at, moment, size, view)| match at.elapsed() {
                since if since >= TICK => true,
                since => (moment, size, view) != now && (since >= PAINT || view != now.2),
            });
            if is_due {
                self.paint(size)?;
                painted = Some((Instant::now(), now.0, now.1, self.view));
            }
        }
    }

    /// Applies what has come, and waits a little for something to come.
    fn take_in(&mut self) -> Result<(), ScriptError> {
        let mut wait = LOOK;
        for _ in 0..EPOCHS_MAX {
            match self.feed.next(wait).map_err(ScriptError::Job)? {
                Some(News::Changes(changes)) => self.table.apply(&changes).map_err(ScriptError::Job)?,
                Some(News::Unwanted) => self.is_unwanted = true,
                Some(News::Ended(result)) => self.ended = Some(result),
                None => break,
            }
            wait = Duration::ZERO;
        }
        Ok(())
    }

    /// Does what keys say.
    fn react(&mut self) -> Result<(), ScriptError> {
        let lines = paint::lines_for_rows(terminal::size().1);
        for key in self.keys.pressed().map_err(written)? {
            match key {
                Key::Char('q' | 'Q') | Key::Ctrl('c' | 'd') => self.is_unwanted = true,
                key => self.view = self.view.after(key, self.table.len(), lines),
            }
        }
        Ok(())
    }

    fn paint(&mut self, (columns, lines): (usize, usize)) -> Result<(), ScriptError> {
        let rows = paint::lines_for_rows(lines);
        let last = self.table.len().saturating_sub(rows);
        self.view.row = if self.view.follows { last } else { self.view.row.min(last) };
        let face = self.face(columns, rows)?;
        self.view.column = face.first_column;
        let mut out = std::io::stdout();
        out.write_all(face.screen(lines).as_bytes()).and_then(|()| out.flush()).map_err(written)
    }

    fn face(&mut self, columns: usize, rows: usize) -> Result<Face, ScriptError> {
        let window = self.table.window(self.view.row, rows).map_err(ScriptError::Job)?;
        let progress = format!("{}  ·  {}", brief(self.feed.elapsed()), self.feed.progress());
        let place = (self.view.row, self.table.len(), self.table.dropped());
        let face = self.painter.face(&window, columns, self.view.column, place, &progress, self.table.moment());
        face.map_err(written)
    }

    /// What is left on the terminal when the other screen is gone.
    fn last_face(&mut self) -> Result<Face, ScriptError> {
        let (columns, lines) = terminal::size();
        self.painter.forget_marks();
        self.face(columns, paint::lines_for_rows(lines))
    }
}

fn print(face: &Face) -> Result<(), ScriptError> {
    let mut out = std::io::stdout();
    out.write_all(face.table().as_bytes()).and_then(|()| out.flush()).map_err(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_walk_through_the_table() {
        let at = |row, follows| Place { row, column: 0, follows };
        for (from, key, want) in [
            (at(5, false), Key::Up, at(4, false)),
            (at(0, false), Key::Up, at(0, false)),
            (at(5, false), Key::Down, at(6, false)),
            (at(5, false), Key::PageDown, at(15, false)),
            (at(85, false), Key::Char(' '), at(90, true)),
            (at(90, true), Key::PageUp, at(80, false)),
            (at(50, false), Key::End, at(90, true)),
            (at(90, true), Key::Home, at(0, false)),
            (at(7, false), Key::Char('x'), at(7, false)),
        ] {
            assert_eq!(from.after(key, 100, 10), want, "{key:?}");
        }
        assert_eq!(at(0, false).after(Key::Down, 3, 10), at(0, true));
        let right = at(0, false).after(Key::Right, 3, 10);
        assert_eq!((right.column, right.after(Key::Left, 3, 10).column), (1, 0));
    }
}
