//! Lines from a terminal: editing, history, colours, completion. A statement may have many lines; until its semicolon
//! comes, the prompt says what is missing.

use super::complete::complete;
use super::execute::{After, Shell};
use super::highlight::coloured;
use super::input::items;
use super::lex::pieces;
use super::vocabulary::Vocabulary;
use crate::terminal;
use eddyline_engine::Dialect;
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{ColorMode, CompletionType, Config, Context, Editor, Helper};
use std::borrow::Cow;
use std::cell::Cell;
use std::path::PathBuf;

const PROMPT: &str = "eddyline> ";
const HISTORY_MAX: usize = 10_000;

/// Reads and executes until the user leaves.
pub(crate) fn run(shell: &mut Shell) {
    let mut lines = match Lines::new() {
        Ok(lines) => lines,
        Err(e) => return shell.reporter.say(&format!("ERROR: cannot read lines: {e}")),
    };
    if !shell.is_quiet() {
        let version = env!("CARGO_PKG_VERSION");
        shell
            .reporter
            .say(&format!("eddyline {version}: SQL over tables that change. \\? lists commands, \\q leaves."));
    }
    let mut is_warned = false;
    loop {
        // What was pressed before says nothing of what comes.
        shell.interrupts.detach();
        shell.tell_ended();
        lines.learn(shell);
        match lines.next() {
            Next::Text(text) => {
                let quits = shell.run_text(&text) == After::Quit;
                if quits && may_leave(shell, &mut is_warned) {
                    return;
                }
                is_warned &= quits;
                if !text.trim_start().starts_with('\\') {
                    shell.last = text;
                }
            }
            Next::Nothing => {}
            Next::End => {
                if may_leave(shell, &mut is_warned) {
                    return;
                }
            }
            Next::Broken(e) => return shell.reporter.say(&format!("ERROR: cannot read lines: {e}")),
        }
    }
}

/// Jobs end with the shell: who leaves is told once.
fn may_leave(shell: &mut Shell, is_warned: &mut bool) -> bool {
    let running = shell.running();
    if running.is_empty() || std::mem::replace(is_warned, true) {
        return true;
    }
    let (noun, verb) = if running.len() == 1 { ("job", "runs") } else { ("jobs", "run") };
    let list = running.join(", ");
    shell.reporter.say(&format!("{noun} {list} still {verb}, and would be stopped; \\q or Ctrl-D again leaves"));
    false
}

/// What came from the terminal.
enum Next {
    /// Whole statements or commands.
    Text(String),
    /// Ctrl-C: what was typed is gone.
    Nothing,
    /// Ctrl-D.
    End,
    Broken(ReadlineError),
}

struct Lines {
    editor: Editor<Sql, FileHistory>,
    history: Option<PathBuf>,
}

impl Lines {
    fn new() -> rustyline::Result<Self> {
        let colours = if terminal::has_colours() { ColorMode::Enabled } else { ColorMode::Disabled };
        let config = Config::builder()
            .max_history_size(HISTORY_MAX)?
            .history_ignore_space(true)
            .completion_type(CompletionType::List)
            .color_mode(colours)
            .bracketed_paste(true)
            .build();
        let mut editor = Editor::with_config(config)?;
        editor.set_helper(Some(Sql::default()));
        let history = history_file(|name| std::env::var_os(name).map(PathBuf::from));
        if let Some(file) = &history {
            // There is none yet, or it cannot be read: then there is none.
            let _ = editor.load_history(file);
        }
        Ok(Self { editor, history })
    }

    fn learn(&mut self, shell: &mut Shell) {
        if let Some(sql) = self.editor.helper_mut() {
            sql.vocabulary.learn(&mut shell.session);
            if let Some(relations) = shell.names_there() {
                sql.vocabulary.relations = relations;
            }
        }
    }

    /// Reads lines until something is whole.
    fn next(&mut self) -> Next {
        let mut text = String::new();
        let dialect = self.editor.helper().map_or(Dialect::default(), |sql| sql.vocabulary.dialect);
        loop {
            let prompt = if text.is_empty() { PROMPT.to_owned() } else { continued(&text, dialect) };
            if let Some(sql) = self.editor.helper_mut() {
                sql.before.clone_from(&text);
            }
            match self.editor.readline(&(prompt.clone(), format!("\x1b[1m{prompt}\x1b[0m"))) {
                Ok(line) => text.push_str(&line),
                Err(ReadlineError::Interrupted) => return Next::Nothing,
                Err(ReadlineError::Eof) => return Next::End,
                Err(error) => return Next::Broken(error),
            }
            if text.trim().is_empty() {
                return Next::Nothing;
            }
            if items(&text, dialect).begun.is_none() {
                self.remember(&text);
                return Next::Text(text);
            }
            text.push('\n');
        }
    }

    fn remember(&mut self, text: &str) {
        let added = self.editor.add_history_entry(text.trim_end());
        let (Ok(true), Some(file)) = (added, &self.history) else { return };
        if let Some(directory) = file.parent() {
            // What cannot be kept is forgotten with the shell.
            let _ = std::fs::create_dir_all(directory);
        }
        let _ = self.editor.append_history(file);
    }
}

/// `EDDYLINE_HISTORY`, else a file in the user's directory for state. Empty: none is kept.
fn history_file(environment: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let given = |name: &str| environment(name).filter(|path| !path.as_os_str().is_empty());
    match environment("EDDYLINE_HISTORY") {
        Some(file) => Some(file).filter(|file| !file.as_os_str().is_empty()),
        None => {
            let state = given("XDG_STATE_HOME").or_else(|| given("HOME").map(|home| home.join(".local/state")));
            state.map(|state| state.join("eddyline/history"))
        }
    }
}

/// The prompt behind an unfinished text: as wide as the first one, and it says what is open.
fn continued(text: &str, dialect: Dialect) -> String {
    let open = pieces(text, dialect)
        .last()
        .filter(|piece| piece.open)
        .and_then(|piece| text[piece.bytes.start..].chars().next());
    let sign = match open {
        Some('/') => "*>",
        Some('\'') => "'>",
        Some('$') => "$>",
        Some('`') => "`>",
        Some('"') => "\">",
        _ => "->",
    };
    format!("{sign:>width$} ", width = PROMPT.len() - 1)
}

/// What the editor asks about SQL.
#[derive(Default)]
struct Sql {
    vocabulary: Vocabulary,
    /// The lines before this one.
    before: String,
    /// The line is done: no bracket is marked any more.
    is_done: Cell<bool>,
}

impl Helper for Sql {}
impl Validator for Sql {}

impl Hinter for Sql {
    type Hint = String;
}

impl Highlighter for Sql {
    fn highlight<'l>(&self, line: &'l str, pos: usize) -> Cow<'l, str> {
        Cow::Owned(coloured(&self.before, line, self.vocabulary.dialect, (!self.is_done.get()).then_some(pos)))
    }

    fn highlight_char(&self, _line: &str, _pos: usize, kind: CmdKind) -> bool {
        self.is_done.set(kind == CmdKind::ForcedRefresh);
        true
    }
}

impl Completer for Sql {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let text = format!("{}{line}", self.before);
        let found = complete(&text, self.before.len() + pos, &self.vocabulary);
        let pair = |text: String| Pair { display: text.clone(), replacement: text };
        Ok((found.from.saturating_sub(self.before.len()), found.texts.into_iter().map(pair).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prompt_says_what_is_open() {
        for (text, want) in [
            ("SELECT\n", "       -> "),
            ("SELECT 'a\n", "       '> "),
            ("SELECT `a\n", "       `> "),
            ("/* a\n", "       *> "),
            ("SELECT 'a'\n", "       -> "),
        ] {
            assert_eq!(continued(text, Dialect::Flink), want, "{text}");
            assert_eq!(want.len(), PROMPT.len());
        }
    }

    #[test]
    fn the_history_is_where_the_user_wants_it() {
        let of = |set: &[(&str, &str)]| {
            let file = history_file(|name| set.iter().find(|(n, _)| *n == name).map(|(_, v)| PathBuf::from(v)));
            file.map(|file| file.display().to_string())
        };
        assert_eq!(of(&[("HOME", "/h")]).as_deref(), Some("/h/.local/state/eddyline/history"));
        assert_eq!(of(&[("HOME", "/h"), ("XDG_STATE_HOME", "/s")]).as_deref(), Some("/s/eddyline/history"));
        assert_eq!(of(&[("HOME", "/h"), ("EDDYLINE_HISTORY", "/x")]).as_deref(), Some("/x"));
        assert_eq!(of(&[("HOME", "/h"), ("EDDYLINE_HISTORY", "")]), None);
    }
}
