//! What the programs tell the shell.

use std::process::ExitCode;

/// Everything was done.
pub(crate) const DONE: ExitCode = ExitCode::SUCCESS;
/// The run did not work.
#[must_use]
pub(crate) fn failed() -> ExitCode {
    ExitCode::from(1)
}
/// The command line or the configuration is wrong.
#[must_use]
pub(crate) fn usage() -> ExitCode {
    ExitCode::from(2)
}
/// The run worked, and some circuits were refused or failed.
#[cfg(feature = "cli")]
#[must_use]
pub(crate) fn incomplete() -> ExitCode {
    ExitCode::from(3)
}
/// The run was interrupted, as the shell counts a Ctrl-C.
#[cfg(feature = "cli")]
#[must_use]
pub(crate) fn interrupted() -> ExitCode {
    ExitCode::from(130)
}

/// An error with everything that caused it, on one line for a terminal.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // Many errors already tell their cause: saying it twice helps nobody.
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}
