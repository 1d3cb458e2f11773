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

/// The boards that a command was to be run with could not be had, as `timeout` and `env` tell their
/// own failures.
#[cfg(feature = "cli")]
#[must_use]
pub(crate) fn no_boards() -> ExitCode {
    ExitCode::from(125)
}
/// A command could not be run, or is not there, as shells count it.
#[cfg(feature = "cli")]
#[must_use]
pub(crate) fn not_run(is_missing: bool) -> ExitCode {
    ExitCode::from(if is_missing { 127 } else { 126 })
}
/// What a command told that ended by itself or by a signal.
#[cfg(feature = "cli")]
#[must_use]
pub(crate) fn as_command(code: Option<i32>, signal: Option<i32>) -> ExitCode {
    let status = code.or(signal.map(|number| 128 + number)).unwrap_or(125);
    // The system keeps no more than eight bits of either.
    ExitCode::from(u8::try_from(status & 0xff).unwrap_or(u8::MAX))
}

/// What the shell gets of a command that works or fails. The user is told why it fails.
pub(crate) fn of(outcome: Result<(), impl std::error::Error>) -> ExitCode {
    match outcome {
        Ok(()) => DONE,
        Err(fault) => {
            crate::complain(&chain(&fault));
            failed()
        }
    }
}

/// An error with everything that caused it, on one line for a terminal.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut texts = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        texts.push(error.to_string());
        cause = error.source();
    }
    let mut line = error.to_string();
    // Many errors already tell what is at the bottom of them: saying it twice helps nobody.
    if texts.last().is_some_and(|bottom| line.contains(bottom.as_str())) {
        return line;
    }
    for text in &texts {
        if !line.contains(text.as_str()) {
            line.push_str(": ");
            line.push_str(text);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Fault {
        text: &'static str,
        source: Option<Box<Fault>>,
    }

    fn faults(texts: &[&'static str]) -> Fault {
        let source = (texts.len() > 1).then(|| Box::new(faults(&texts[1..])));
        Fault { text: texts[0], source }
    }

    #[test]
    fn every_cause_is_told_once() {
        assert_eq!(chain(&faults(&["it failed", "no file"])), "it failed: no file");
        assert_eq!(chain(&faults(&["it failed: no file", "no file"])), "it failed: no file");
        let refused = faults(&["too few (code)", "http://x: too few", "too few"]);
        assert_eq!(chain(&refused), "too few (code)");
    }
}
