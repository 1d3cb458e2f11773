//! `cargo xtask fuzz`: runs the package `icefarm-fuzz`, which says how it is used.

use crate::Result;
use crate::suite::cargo;

/// Runs the command.
pub(crate) fn run(arguments: &[String]) -> Result {
    let mut command = cargo(&["run", "--quiet", "--package", "icefarm-fuzz", "--"]);
    let status = command.args(arguments).status()?;
    // It has told what is wrong.
    if status.success() { Ok(()) } else { Err(format!("{status}").into()) }
}
