//! What commands print. A reader that has gone away ends the printing, not the work.

use super::table::Table;
use serde::Serialize;
use std::io::{IsTerminal, Write};

/// Prints a line on stdout.
pub(crate) fn line(text: &str) {
    // `icefarm .. | head` closes stdout when it has seen enough.
    let _ = try_line(text);
}

/// Prints a line on stdout, and says whether somebody reads it: for commands without an end.
pub(crate) fn try_line(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush())
}

/// Prints a value as one line of JSON.
pub(crate) fn json(value: &impl Serialize) {
    match serde_json::to_string(value) {
        Ok(text) => line(&text),
        // Only what comes from other programs could fail here, and it came as JSON.
        Err(error) => crate::complain(&format!("this cannot be written as JSON: {error}")),
    }
}

/// Prints a table on stdout, with a bold head if that is a terminal. Of what is too wide for a
/// line the end is left out, of the last column alone.
pub(crate) fn table(table: &Table) {
    line(table.render(is_colourful(), width()).trim_end());
}

/// How wide lines may be: as the terminal, or as what is easily read where there is none.
fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
    size.map(|size| usize::from(size.ws_col)).filter(|width| *width > 0).unwrap_or(160)
}

fn is_colourful() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}
