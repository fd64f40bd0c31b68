//! Commands that begin with `\`: their names, what each does in a line, and how they are read.

use super::options::Opt;
use crate::args::Format;
use eddyline_engine::catalog::Reference;

/// A command, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// `\?`
    Help,
    /// `\q`
    Quit,
    /// `\d`, `\dt`, `\dv`: tables, views, or both.
    List { tables: bool, views: bool },
    /// `\d name`
    Describe(Reference),
    /// `\df [pattern]`
    Functions(Option<String>),
    /// `\dj`
    Jobs,
    /// `\i FILE`
    Include(String),
    /// `\e`
    Edit,
    /// `\clear`
    Clear,
    /// `\mode table|changelog|tableau`
    Mode(String),
    /// `\set`, `\x`, `\timing`, …: without a value the option is switched, or shown.
    Set(Opt, Option<String>),
    /// `\set` alone.
    Options,
}

/// What `\?` shows: name, argument, meaning.
pub(crate) const COMMANDS: &[(&str, &str, &str)] = &[
    ("\\?", "", "show this list; also: help"),
    ("\\q", "", "leave; also: quit, exit, Ctrl-D"),
    ("\\d", "[NAME]", "list tables and views, or the columns of one and how it was made"),
    ("\\dt", "", "list tables"),
    ("\\dv", "", "list views"),
    ("\\df", "[PATTERN]", "list functions whose name has the pattern (with % and _ as in LIKE)"),
    ("\\dj", "", "list jobs of this session; STOP JOB 'name' ends one"),
    ("\\mode", "MODE", "show results that change as 'table', 'changelog' or 'tableau'"),
    ("\\x", "[on|off]", "show each row as a list of its columns"),
    ("\\format", "FORMAT", "print results as table, changelog, csv or json; 'auto' as the mode says"),
    ("\\wide", "[on|off]", "print tables as wide as they are, not as the terminal is"),
    ("\\rows", "N", "print so many rows of a table at most; 0: all"),
    ("\\timing", "[on|off]", "tell how long results took"),
    ("\\set", "[NAME VALUE]", "list or set these options, and ON_ERROR_STOP"),
    ("\\i", "FILE", "execute a file"),
    ("\\e", "", "edit the last statement in $VISUAL or $EDITOR, then execute it"),
    ("\\clear", "", "clear the screen; also: clear, Ctrl-L"),
];

/// Reads a command.
///
/// # Errors
/// Says what is wrong with it.
pub(crate) fn read(line: &str) -> Result<Command, String> {
    let line = line.trim().trim_end_matches(';').trim_end();
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let said = rest.trim();
    let rest = unquoted(said);
    let argument = (!rest.is_empty()).then(|| rest.to_owned());
    let needed = |what: &str| argument.clone().ok_or_else(|| format!("{name} needs {what}"));
    Ok(match name {
        "\\?" | "\\h" | "\\help" => Command::Help,
        "\\q" | "\\quit" => Command::Quit,
        "\\d" | "\\d+" => match argument {
            Some(_) => Command::Describe(Reference::read(said, false).ok_or_else(|| format!("{said} is no name"))?),
            None => Command::List { tables: true, views: true },
        },
        "\\dt" => Command::List { tables: true, views: false },
        "\\dv" => Command::List { tables: false, views: true },
        "\\df" => Command::Functions(argument),
        "\\dj" | "\\jobs" => Command::Jobs,
        "\\i" | "\\include" => Command::Include(needed("the name of a file")?),
        "\\e" | "\\edit" => Command::Edit,
        "\\clear" | "\\c" => Command::Clear,
        "\\mode" => Command::Mode(needed("'table', 'changelog' or 'tableau'")?),
        "\\set" | "\\pset" => match rest.split_once(char::is_whitespace) {
            Some((option, value)) => Command::Set(option_of(option)?, Some(unquoted(value.trim()).to_owned())),
            None if rest.is_empty() => Command::Options,
            None => Command::Set(option_of(rest)?, None),
        },
        "\\x" => Command::Set(Opt::Expanded, argument),
        "\\timing" => Command::Set(Opt::Timing, argument),
        "\\wide" => Command::Set(Opt::Wide, argument),
        "\\rows" => Command::Set(Opt::Rows, Some(needed("a number")?)),
        "\\format" => Command::Set(Opt::Format, Some(needed("table, changelog, csv, json or auto")?)),
        _ => return Err(format!("there is no command {name}")),
    })
}

fn option_of(name: &str) -> Result<Opt, String> {
    let names = Opt::ALL.map(Opt::name);
    let found = Opt::ALL.into_iter().find(|option| option.name().eq_ignore_ascii_case(name));
    found.ok_or_else(|| format!("there is no option {name}; there are {}", names.join(", ")))
}

/// An argument without the quotes around it.
fn unquoted(text: &str) -> &str {
    for quote in ['\'', '"', '`'] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|t| t.strip_suffix(quote)) {
            return inner;
        }
    }
    text
}

/// `on`, `off` and what means the same; nothing switches.
pub(crate) fn switched(value: Option<&str>, now: bool) -> Result<bool, String> {
    match value.map(str::to_ascii_lowercase).as_deref() {
        None => Ok(!now),
        Some("on" | "true" | "yes" | "1") => Ok(true),
        Some("off" | "false" | "no" | "0") => Ok(false),
        Some(other) => Err(format!("'{other}' is neither on nor off")),
    }
}

/// A format by its name; `auto` is none.
pub(crate) fn format_of(value: &str) -> Result<Option<Format>, String> {
    match value.to_ascii_lowercase().as_str() {
        "auto" => Ok(None),
        "table" | "aligned" => Ok(Some(Format::Table)),
        "changelog" => Ok(Some(Format::Changelog)),
        "csv" => Ok(Some(Format::Csv)),
        "json" => Ok(Some(Format::Json)),
        other => Err(format!("there is no format '{other}'; there are table, changelog, csv, json and auto")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::options::Options;

    #[test]
    fn commands_are_read() {
        let set = |option, value: &str| Command::Set(option, Some(value.to_owned()));
        for (line, want) in [
            ("\\?", Command::Help),
            ("\\q", Command::Quit),
            ("\\d", Command::List { tables: true, views: true }),
            ("\\d orders;", Command::Describe(Reference::bare("orders"))),
            ("\\d `my table`", Command::Describe(Reference::bare("my table"))),
            ("\\df  sub% ", Command::Functions(Some("sub%".into()))),
            ("\\i 'a file.sql'", Command::Include("a file.sql".into())),
            ("\\x", Command::Set(Opt::Expanded, None)),
            ("\\set format csv", set(Opt::Format, "csv")),
            ("\\set on_error_stop 0", set(Opt::OnErrorStop, "0")),
            ("\\pset expanded on", set(Opt::Expanded, "on")),
            ("\\set", Command::Options),
            ("\\mode changelog", Command::Mode("changelog".into())),
        ] {
            assert_eq!(read(line), Ok(want), "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (line, want) in [
            ("\\foo 1", "there is no command \\foo"),
            ("\\i", "\\i needs the name of a file"),
            ("\\set x 1", "there is no option x; there are format, expanded, wide, rows, timing, ON_ERROR_STOP"),
        ] {
            assert_eq!(read(line), Err(want.to_owned()), "{line}");
        }
    }

    #[test]
    fn options_are_switched_and_set() {
        let mut options = Options::new(None, true);
        options.set(Opt::Expanded, None).expect("switched");
        options.set(Opt::Rows, Some("0")).expect("a number");
        options.set(Opt::Format, Some("CSV")).expect("a format");
        options.set(Opt::Timing, Some("off")).expect("off");
        let values = Opt::ALL.map(|option| options.value(option));
        assert_eq!(values, ["csv", "on", "off", "0 (all)", "off", "on"]);
        assert_eq!(options.set(Opt::Wide, Some("maybe")), Err("'maybe' is neither on nor off".into()));
        assert_eq!(options.set(Opt::Rows, Some("x")), Err("'x' is no number of rows".into()));
    }

    #[test]
    fn every_command_of_the_list_is_one() {
        for (name, argument, _) in COMMANDS {
            let argument = match *argument {
                "MODE" => "table",
                "FORMAT" => "csv",
                "N" => "5",
                "FILE" => "f",
                _ => "",
            };
            read(&format!("{name} {argument}")).expect(name);
        }
    }
}
