//! The terminal as a device: its size, raw input, the other screen. Everything is put back when a guard is dropped.

mod keys;

pub(crate) use keys::{Key, Keys};

use rustix::termios::{OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use std::io::{self, IsTerminal, Write};

/// Columns and lines of a terminal that does not say.
const SIZE: (usize, usize) = (80, 24);

/// Do people look at both ends?
pub(crate) fn is_there() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Columns and lines.
pub(crate) fn size() -> (usize, usize) {
    match tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
        _ => SIZE,
    }
}

/// Are colours wanted? (<https://no-color.org>)
pub(crate) fn has_colours() -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    io::stdout().is_terminal() && set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
}

/// How the terminal was, to be put back whatever happens.
#[derive(Clone)]
pub(crate) struct Before(Option<Termios>);

impl Before {
    /// As it is now.
    pub(crate) fn now() -> Self {
        Self(tcgetattr(io::stdin()).ok())
    }

    /// Puts it back.
    pub(crate) fn restore(&self) {
        if let Some(termios) = &self.0 {
            // A terminal that is gone needs nothing.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, termios);
        }
    }
}

/// The other screen, with keys as they are pressed.
pub(crate) struct Screen {
    before: Before,
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// It cannot be set, or written.
    pub(crate) fn enter() -> io::Result<Self> {
        let screen = Self { before: Before::now() };
        let mut raw = tcgetattr(io::stdin())?;
        raw.make_raw();
        // Reading returns at once, with what there is.
        raw.special_codes[SpecialCodeIndex::VMIN] = 0;
        raw.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        let mut out = io::stdout();
        // Other screen, no cursor, no wrapping.
        out.write_all(b"\x1b[?1049h\x1b[?25l\x1b[?7l")?;
        out.flush()?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let mut out = io::stdout();
        // A terminal that is gone needs nothing.
        let _ = out.write_all(b"\x1b[?7h\x1b[?25h\x1b[?1049l").and_then(|()| out.flush());
        self.before.restore();
    }
}
