//! `cargo xtask browser` and `cargo xtask screenshots`: the panel in Chromium.
//!
//! The package `browser` does both. It is run by cargo, so that the other tasks do not build it.

use crate::Result;
use crate::needed::{Needed, are_there};
use crate::suite::cargo;

const NEEDED: &[Needed] = &[
    Needed::Program { name: "chromium", package: "chromium" },
    Needed::Program { name: "chromedriver", package: "chromium-driver" },
];

/// Runs the tests; arguments are filters on their names.
pub(crate) fn test(filters: &[String]) -> Result {
    // As the suite compiles it: a package alone would have other features, and all be built again.
    run(&["test", "--workspace", "--all-features", "--test", "panel", "--", "--ignored"], filters)
}

/// Takes the pictures.
pub(crate) fn pictures(arguments: &[String]) -> Result {
    if arguments.len() > 1 || arguments.iter().any(|argument| argument.starts_with('-')) {
        return Err("usage: cargo xtask screenshots [DIR]".into());
    }
    run(&["run", "--package", "icefarm-browser", "--"], arguments)
}

fn run(command: &[&str], arguments: &[String]) -> Result {
    are_there(NEEDED)?;
    let status = cargo(command).args(arguments).status()?;
    if status.success() { Ok(()) } else { Err(status.to_string().into()) }
}
