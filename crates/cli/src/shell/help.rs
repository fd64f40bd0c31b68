//! What `\?` shows.

use super::command::COMMANDS;

/// The list of commands, and a few lines on how to go about it.
pub(crate) fn text() -> String {
    let mut text = String::from(
        "Statements end with a semicolon: SELECT, CREATE TABLE, INSERT INTO, EXPLAIN, SHOW TABLES, SET, …\n\
         Ctrl-C ends a query or clears the line; Tab completes; up and down walk through what was typed.\n\n",
    );
    for (name, argument, meaning) in COMMANDS {
        text.push_str(&format!("  {:<20} {meaning}\n", format!("{name} {argument}")));
    }
    text
}
