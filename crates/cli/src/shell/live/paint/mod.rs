//! Some rows of a changing table as the lines of a screen. Cells that differ from the last time are marked, and so are rows
//! that were not there.

use crate::follow::{grouped, plural};
use crate::output::{Cells, Needed, cut, fitted, is_number, shown};
use eddyline_engine::arrow::datatypes::SchemaRef;
use eddyline_engine::{ResultShape, Window};
use std::collections::HashMap;
use std::io;
use unicode_width::UnicodeWidthStr;

/// Lines of the screen that are none of the table's: the title, the header, and a line below it.
const LINES_AROUND: usize = 3;
const MARK: &str = "\x1b[1;33m";
const TITLE: &str = "\x1b[7m";
const HEADER: &str = "\x1b[1m";
const NULL: &str = "\x1b[2m";
const OFF: &str = "\x1b[0m";

/// How many rows of the table a screen has place for.
pub(super) fn lines_for_rows(lines: usize) -> usize {
    lines.saturating_sub(LINES_AROUND).max(1)
}

/// Paints a result, and remembers what was seen of it.
pub(super) struct Painter {
    schema: SchemaRef,
    zone: String,
    /// The widest cell of each column so far: columns do not jump about.
    widths: Vec<usize>,
    /// Cells that were painted last, by the ids of their rows.
    seen: HashMap<u64, Vec<String>>,
    /// At which moment they were.
    moment: u64,
}

/// What is painted.
pub(super) struct Face {
    title: String,
    header: String,
    rule: String,
    rows: Vec<String>,
    columns: usize,
    /// The first column that has its place, where fewer could be left out than was asked for.
    pub(super) first_column: usize,
}

#[derive(Clone, PartialEq)]
struct Cell {
    text: String,
    is_null: bool,
    is_new: bool,
}

impl Painter {
    /// Nothing was seen yet.
    pub(super) fn new(shape: &ResultShape) -> Self {
        let schema = shape.visible_schema();
        let widths = schema.fields().iter().map(|f| f.name().width()).collect();
        let zone = shape.time_zone.clone();
        Self { schema, zone, widths, seen: HashMap::new(), moment: 0 }
    }

    /// Nothing is marked the next time.
    pub(super) fn forget_marks(&mut self) {
        self.seen.clear();
        self.moment = u64::MAX;
    }

    /// Paints a window; `first` columns are left out on the left. `place`: its first row, all rows, rows no longer kept.
    ///
    /// # Errors
    /// A value that has no text.
    pub(super) fn face(
        &mut self,
        window: &Window,
        columns: usize,
        first: usize,
        place: (usize, usize, u64),
        progress: &str,
        moment: u64,
    ) -> io::Result<Face> {
        let cells = self.cells(window)?;
        self.remember(window, &cells, moment);
        let first = first.min(self.widths.len().saturating_sub(1));
        let fields = &self.schema.fields()[first..];
        let needed = fields.iter().zip(&self.widths[first..]);
        let needed: Vec<Needed> =
            needed.map(|(f, width)| Needed { width: *width, can_be_cut: !is_number(f.data_type()) }).collect();
        let widths = fitted(&needed, 3, 0, columns);
        let more = if widths.len() < needed.len() { " | …" } else { "" };
        let mut header = String::new();
        for (at, (field, width)) in fields.iter().zip(&widths).enumerate() {
            append_cell(&mut header, at, field.name(), *width, is_number(field.data_type()), None);
        }
        header.push_str(more);
        let rule = widths.iter().map(|w| "-".repeat(w + 2)).collect::<Vec<_>>().join("+");
        let rows = cells.iter().map(|row| {
            let mut line = String::new();
            for (at, ((cell, width), field)) in row[first..].iter().zip(&widths).zip(fields.iter()).enumerate() {
                let colour = if cell.is_new { Some(MARK) } else { cell.is_null.then_some(NULL) };
                append_cell(&mut line, at, &cell.text, *width, is_number(field.data_type()), colour);
            }
            line.push_str(more);
            line
        });
        let rows = rows.collect();
        Ok(Face {
            title: self.title(place, window.ids.len(), progress),
            header,
            rule,
            rows,
            columns,
            first_column: first,
        })
    }

    fn cells(&mut self, window: &Window) -> io::Result<Vec<Vec<Cell>>> {
        let columns = shown(&window.rows, &self.zone)?;
        let columns = columns.iter().map(Cells::new).collect::<io::Result<Vec<_>>>()?;
        let mut rows = Vec::with_capacity(window.ids.len());
        for (row, (id, born)) in window.ids.iter().zip(&window.born).enumerate() {
            let before = self.seen.get(id);
            let mut cells = Vec::with_capacity(columns.len());
            for (at, column) in columns.iter().enumerate() {
                let mut text = String::new();
                column.append_on_a_line(row, &mut text)?;
                self.widths[at] = self.widths[at].max(text.width());
                let is_new = match before {
                    Some(before) => before[at] != text,
                    None => *born > self.moment && self.moment > 0,
                };
                cells.push(Cell { text, is_null: column.is_null(row), is_new });
            }
            rows.push(cells);
        }
        Ok(rows)
    }

    /// What is on the screen now is what the next one is compared with, unless it is the same moment.
    fn remember(&mut self, window: &Window, cells: &[Vec<Cell>], moment: u64) {
        if self.moment == u64::MAX {
            return;
        }
        let texts = |row: &Vec<Cell>| row.iter().map(|cell| cell.text.clone()).collect();
        self.seen = window.ids.iter().copied().zip(cells.iter().map(texts)).collect();
        self.moment = moment;
    }

    fn title(&self, (from, rows, dropped): (usize, usize, u64), shown: usize, progress: &str) -> String {
        let all = dropped + rows as u64;
        let begin = dropped + from as u64;
        let of = match shown {
            0 => "no rows yet".to_owned(),
            _ if shown == rows && dropped == 0 => plural(all, "row"),
            _ => format!("rows {}–{} of {}", grouped(begin + 1), grouped(begin + shown as u64), grouped(all)),
        };
        format!(" {of}  ·  {progress}  ·  q ends")
    }
}

fn append_cell(line: &mut String, at: usize, text: &str, width: usize, right: bool, colour: Option<&str>) {
    let mut text = text.to_owned();
    cut(&mut text, width);
    let free = " ".repeat(width - text.width());
    line.push_str(if at == 0 { " " } else { " | " });
    let coloured = match colour {
        Some(colour) => format!("{colour}{text}{OFF}"),
        None => text,
    };
    line.push_str(&if right { free + &coloured } else { coloured + &free });
}

impl Face {
    /// The whole screen, painted over what is there.
    pub(super) fn screen(&self, lines: usize) -> String {
        let mut title = self.title.clone();
        cut(&mut title, self.columns);
        title.push_str(&" ".repeat(self.columns.saturating_sub(title.width())));
        // Begun and ended so that terminals which can show it all at once.
        let mut out = format!("\x1b[?2026h\x1b[H{TITLE}{title}{OFF}\x1b[K\r\n{HEADER}{}{OFF}\x1b[K\r\n", self.header);
        out.push_str(&format!("{}\x1b[K", self.rule));
        for row in self.rows.iter().take(lines_for_rows(lines)) {
            out.push_str(&format!("\r\n{row}\x1b[K"));
        }
        out.push_str("\x1b[J\x1b[?2026l");
        out
    }

    /// The table alone, to stay on the terminal.
    pub(super) fn table(&self) -> String {
        let mut out = format!("{}\n{}\n", self.header, self.rule);
        for row in &self.rows {
            out.push_str(row.trim_end());
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests;
