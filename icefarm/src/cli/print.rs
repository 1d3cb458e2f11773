//! What commands print. A reader that has gone away ends the printing, not the work.

use super::table::Table;
use serde::Serialize;
use std::io::{IsTerminal, Write};

/// Prints a line on stdout.
pub(crate) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    // `icefarm .. | head` closes stdout when it has seen enough.
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Prints a value as one line of JSON.
pub(crate) fn json(value: &impl Serialize) {
    match serde_json::to_string(value) {
        Ok(text) => line(&text),
        // Only what comes from other programs could fail here, and it came as JSON.
        Err(error) => crate::complain(&format!("this cannot be written as JSON: {error}")),
    }
}

/// Prints a table on stdout, with a bold head if that is a terminal.
pub(crate) fn table(table: &Table) {
    line(table.render(is_colourful()).trim_end());
}

fn is_colourful() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}
