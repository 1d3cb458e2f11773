//! What some tasks need beside Rust and a C compiler, and where Debian keeps it.

use crate::Result;
use std::process::{Command, Stdio};

/// Something that must be on the machine.
pub(crate) enum Needed {
    /// A program, and the Debian package that has it.
    Program { name: &'static str, package: &'static str },
    /// A module of the `python3` on the path, and its name on PyPI.
    ///
    /// That Python need not be Debian's, so Debian's packages may be out of its sight.
    Python { module: &'static str, package: &'static str },
}

/// Says what is missing, and which commands bring it.
pub(crate) fn are_there(needed: &[Needed]) -> Result {
    let mut debian = Vec::new();
    let mut python = Vec::new();
    for need in needed {
        match need {
            Needed::Program { name, package } if !on_path(name) => debian.push(*package),
            Needed::Python { module, package } if !imports(module) => python.push(*package),
            Needed::Program { .. } | Needed::Python { .. } => {}
        }
    }
    if debian.is_empty() && python.is_empty() {
        return Ok(());
    }
    Err(commands(&debian, &python).into())
}

fn commands(debian: &[&str], python: &[&str]) -> String {
    let mut text = "this needs more than Rust:".to_owned();
    if !debian.is_empty() {
        text += &format!("\n    apt-get install {}", debian.join(" "));
    }
    if !python.is_empty() {
        text += &format!("\n    python3 -m pip install {}", python.join(" "));
    }
    text
}

fn on_path(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

fn imports(module: &str) -> bool {
    Command::new("python3")
        .args(["-c", &format!("import {module}")])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_the_command_that_brings_it() {
        let shell = Needed::Program { name: "sh", package: "dash" };
        let nowhere = Needed::Program { name: "no-such-program", package: "no-such-package" };
        let module = Needed::Python { module: "no_such_module", package: "no-such-module" };
        assert!(are_there(&[shell]).is_ok());
        assert_eq!(
            are_there(&[nowhere, module]).unwrap_err().to_string(),
            "this needs more than Rust:\n    apt-get install no-such-package\n    \
             python3 -m pip install no-such-module"
        );
    }
}
