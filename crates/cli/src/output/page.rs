//! What a result is printed on: how much of it fits, and what stands below it.

use std::time::{Duration, Instant};

/// The least that is left of a column's width.
const WIDTH_MIN: usize = 16;

/// See the module's page.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    /// Rows to show at most; all are counted.
    pub(crate) rows_max: usize,
    /// How wide a line may be.
    pub(crate) width_max: usize,
    /// Each row as a list of its columns.
    pub(crate) expanded: bool,
    /// Tell below how many rows there are.
    pub(crate) footer: bool,
    /// And how long it took since then.
    pub(crate) since: Option<Instant>,
    /// What prints all rows, and all of each row.
    pub(crate) more: More,
    /// NULL and kinds of changes in colours.
    pub(crate) colours: bool,
}

/// What the user can do to see what was left out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct More {
    /// To see all rows.
    pub(crate) rows: &'static str,
    /// To see all columns.
    pub(crate) width: &'static str,
}

impl Page {
    /// Any number of rows of any width.
    pub(crate) fn endless() -> Self {
        let more = More { rows: "--format csv prints all", width: "--format csv prints all" };
        Self {
            rows_max: usize::MAX,
            width_max: usize::MAX,
            expanded: false,
            footer: true,
            since: None,
            more,
            colours: false,
        }
    }

    /// `3 rows`, with what was left out and how long it took.
    pub(crate) fn footer(&self, rows: usize, is_cut: bool) -> Option<String> {
        if !self.footer {
            return None;
        }
        let noun = if rows == 1 { "row" } else { "rows" };
        let mut text = format!("{rows} {noun}");
        if let Some(since) = self.since {
            text.push_str(&format!(" ({})", brief(since.elapsed())));
        }
        if rows > self.rows_max {
            text.push_str(&format!(", {} shown; {}", self.rows_max, self.more.rows));
        }
        if is_cut {
            text.push_str(&format!("\nwider than the terminal: {}", self.more.width));
        }
        Some(text)
    }
}

/// A time as people read it: `0.4 ms`, `12 ms`, `3.20 s`, `2 min 5 s`.
pub(crate) fn brief(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        s if s < 0.01 => format!("{:.1} ms", s * 1e3),
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 60.0 => format!("{s:.2} s"),
        _ => format!("{} min {} s", time.as_secs() / 60, time.as_secs() % 60),
    }
}

/// One column, on its way into a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Needed {
    /// How wide its widest cell is.
    pub(crate) width: usize,
    /// May its cells be cut? Half a number is another number.
    pub(crate) can_be_cut: bool,
}

/// Widths of the first columns so that a line with `around` places around each and `ends` at its ends fits. Columns that
/// have no place at all are left out, and there is place then for one more of width 1 that says so.
pub(crate) fn fitted(columns: &[Needed], around: usize, ends: usize, width_max: usize) -> Vec<usize> {
    let line = |widths: &[usize]| widths.iter().map(|w| w + around).sum::<usize>() + ends;
    let capped = |columns: &[Needed], cap: usize| -> Vec<usize> {
        columns.iter().map(|c| if c.can_be_cut { c.width.min(cap) } else { c.width }).collect()
    };
    let fits =
        |columns: &[Needed], cap: usize, more: usize| line(&capped(columns, cap)) <= width_max.saturating_sub(more);
    let widest = columns.iter().map(|c| c.width).max().unwrap_or(0);
    let (mut count, mut more) = (columns.len(), 0);
    while count > 1 && !fits(&columns[..count], WIDTH_MIN, more) {
        count -= 1;
        more = 1 + around;
    }
    let columns = &columns[..count];
    // The largest cap that fits; the least where none does.
    let (mut low, mut high) = (WIDTH_MIN, widest.max(WIDTH_MIN));
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if fits(columns, middle, more) { low = middle } else { high = middle - 1 }
    }
    capped(columns, low)
}

/// The first `width` places of a text, the last of them `…` where that is not all of it.
pub(crate) fn cut(text: &mut String, width: usize) {
    use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};
    if text.width() <= width {
        return;
    }
    let (mut end, mut taken) = (0, 0);
    for (at, c) in text.char_indices() {
        taken += c.width().unwrap_or(0);
        if taken + 1 > width {
            break;
        }
        end = at + c.len_utf8();
    }
    text.truncate(end);
    text.push('…');
    let short = width.saturating_sub(text.width());
    text.extend(std::iter::repeat_n(' ', short));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(widths: &[usize]) -> Vec<Needed> {
        widths.iter().map(|width| Needed { width: *width, can_be_cut: true }).collect()
    }

    #[test]
    fn wide_columns_share_what_there_is() {
        assert_eq!(fitted(&texts(&[5, 10]), 3, 1, 80), [5, 10]);
        assert_eq!(fitted(&texts(&[5, 100, 60]), 3, 1, 80), [5, 32, 32]);
        assert_eq!(fitted(&texts(&[5, 100]), 3, 1, 80), [5, 68]);
    }

    #[test]
    fn numbers_are_never_cut() {
        let columns = [Needed { width: 20, can_be_cut: false }, Needed { width: 100, can_be_cut: true }];
        assert_eq!(fitted(&columns, 3, 1, 46), [20, 19]);
    }

    #[test]
    fn columns_without_any_place_are_left_out() {
        // 4 columns of 16 places, 3 around each, and one of 1 place: 81 with the frame's last line.
        assert_eq!(fitted(&texts(&[20; 9]), 3, 1, 81), [16; 4]);
        assert_eq!(fitted(&texts(&[200; 3]), 3, 1, 5), [16]);
    }

    #[test]
    fn what_is_cut_keeps_its_width() {
        for (text, width, want) in
            [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("日本語", 4, "日… "), ("日本語", 5, "日本…"), ("ab", 1, "…")]
        {
            let mut found = text.to_owned();
            cut(&mut found, width);
            assert_eq!(found, want, "{text} in {width}");
        }
    }

    #[test]
    fn times_are_short() {
        let of = |ms: f64| brief(Duration::from_secs_f64(ms / 1e3));
        assert_eq!([of(0.42), of(12.4), of(999.0), of(3204.0)], ["0.4 ms", "12 ms", "999 ms", "3.20 s"]);
        assert_eq!(of(125_000.0), "2 min 5 s");
    }
}
