//! What commands print. A reader that has gone away ends the printing, not the work. What could not
//! be written for another reason is told at the end of the command.

use super::table::Table;
use crate::exit;
use serde::Serialize;
use std::io::{Error, ErrorKind, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::OnceLock;

/// Why the first part of the output that is lost could not be written.
static LOST: OnceLock<Error> = OnceLock::new();

/// Prints a line on stdout.
pub(crate) fn line(text: &str) {
    note(try_line(text));
}

/// Prints a line on stdout, and says whether somebody reads it: for commands without an end.
pub(crate) fn try_line(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush())
}

/// Prints a value as one line of JSON.
pub(crate) fn json(value: &impl Serialize) {
    note(try_json(value));
}

/// As [`json`], for what is lost if nobody reads it.
pub(crate) fn try_json(value: &impl Serialize) -> std::io::Result<()> {
    // Only what comes from other programs could fail here, and it came as JSON.
    try_line(&serde_json::to_string(value)?)
}

/// Keeps in mind that something was not written, if that matters to anybody.
pub(crate) fn note(written: std::io::Result<()>) {
    match written {
        // `icefarm .. | head` closes stdout when it has seen enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            // The later ones are mere consequences of the first.
            let _ = LOST.set(error);
        }
        _ => {}
    }
}

/// What the shell gets of a command that would end with `code`, once the user was told if some of
/// its output is lost.
pub(crate) fn complete(code: ExitCode) -> ExitCode {
    let Some(error) = LOST.get() else { return code };
    crate::complain(&format!("the output cannot be written: {error}"));
    // What fails in another way, or ends by a signal, says more by its own code.
    if code == exit::DONE || code == exit::incomplete() { exit::failed() } else { code }
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
