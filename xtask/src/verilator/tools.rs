//! Programs that are not part of the project.

use crate::Result;
use std::path::Path;
use std::process::{Command, Output};

/// Runs a program to its end and gives what it wrote to its standard output.
pub(crate) fn run(
    program: &str,
    package: &str,
    folder: &Path,
    arguments: &[&str],
) -> Result<String> {
    let output = Command::new(program).args(arguments).current_dir(folder).output();
    let Output { status, stdout, stderr } = output.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            format!("{program} is not installed; Debian: apt-get install {package}")
        }
        _ => format!("{program}: {error}"),
    })?;
    if !status.success() {
        let text = [stdout, stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let end: Vec<&str> = text.lines().rev().take(20).collect();
        let end: Vec<&str> = end.into_iter().rev().collect();
        return Err(format!("{program}: {status}\n{}", end.join("\n")).into());
    }
    Ok(String::from_utf8(stdout)?)
}
