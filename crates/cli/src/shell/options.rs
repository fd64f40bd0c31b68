//! How the shell prints: what `\set` and its short forms change. What queries do is said by settings, with SET.

use super::command::{format_of, switched};
use crate::args::Format;
use crate::follow::TERMINAL_ROWS_MAX;

/// The options of a shell.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// How results are printed; `None`: as the result mode says.
    pub(crate) format: Option<Format>,
    /// Each row as a list.
    pub(crate) expanded: bool,
    /// As wide as the table is.
    pub(crate) wide: bool,
    /// Rows that are printed at most.
    pub(crate) rows_max: usize,
    /// Tell how long results took.
    pub(crate) timing: bool,
    /// Does a statement that fails end what is not typed?
    pub(crate) on_error_stop: bool,
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opt {
    Format,
    Expanded,
    Wide,
    Rows,
    Timing,
    OnErrorStop,
}

impl Opt {
    /// All there are.
    pub(crate) const ALL: [Self; 6] =
        [Self::Format, Self::Expanded, Self::Wide, Self::Rows, Self::Timing, Self::OnErrorStop];

    /// As it is written after `\set`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Expanded => "expanded",
            Self::Wide => "wide",
            Self::Rows => "rows",
            Self::Timing => "timing",
            Self::OnErrorStop => "ON_ERROR_STOP",
        }
    }
}

impl Options {
    /// Those of a shell that someone types into, or of one that reads.
    pub(crate) fn new(format: Option<Format>, interactive: bool) -> Self {
        let rows_max = TERMINAL_ROWS_MAX;
        Self { format, expanded: false, wide: false, rows_max, timing: interactive, on_error_stop: true }
    }

    /// Sets an option; without a value, those that are on or off are switched.
    ///
    /// # Errors
    /// Says what is wrong with the value.
    pub(crate) fn set(&mut self, option: Opt, value: Option<&str>) -> Result<(), String> {
        match (option, value) {
            (Opt::Format, Some(value)) => self.format = format_of(value)?,
            (Opt::Rows, Some(value)) => {
                let rows = value.parse::<usize>().map_err(|_| format!("'{value}' is no number of rows"))?;
                self.rows_max = if rows == 0 { usize::MAX } else { rows };
            }
            (Opt::Format | Opt::Rows, None) => {}
            (Opt::Expanded, value) => self.expanded = switched(value, self.expanded)?,
            (Opt::Wide, value) => self.wide = switched(value, self.wide)?,
            (Opt::Timing, value) => self.timing = switched(value, self.timing)?,
            (Opt::OnErrorStop, value) => self.on_error_stop = switched(value, self.on_error_stop)?,
        }
        Ok(())
    }

    /// The value of an option, as it is written.
    pub(crate) fn value(&self, option: Opt) -> String {
        let switch = |on: bool| if on { "on" } else { "off" }.to_owned();
        match option {
            Opt::Format => match self.format {
                None => "auto".into(),
                Some(Format::Table) => "table".into(),
                Some(Format::Changelog) => "changelog".into(),
                Some(Format::Csv) => "csv".into(),
                Some(Format::Json) => "json".into(),
            },
            Opt::Rows if self.rows_max == usize::MAX => "0 (all)".into(),
            Opt::Rows => self.rows_max.to_string(),
            Opt::Expanded => switch(self.expanded),
            Opt::Wide => switch(self.wide),
            Opt::Timing => switch(self.timing),
            Opt::OnErrorStop => switch(self.on_error_stop),
        }
    }
}
