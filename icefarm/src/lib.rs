//! The programs of an iCEFARM, as functions to build programs of one's own from.
//!
//! The binary `icefarm` is all of them. A worker with a state of one's own is a crate that depends
//! on this one with `default-features = false, features = ["worker"]`, and whose `main` is
//!
#![cfg_attr(feature = "worker", doc = "```no_run")]
#![cfg_attr(not(feature = "worker"), doc = "```ignore")]
//! // use my_state as _;
//!
//! fn main() -> std::process::ExitCode {
//!     icefarm::worker_main()
//! }
//! ```
//!
//! It takes the same flags, `ICEFARM_*` variables and configuration file as `icefarm worker`, and
//! builds no control server.
//!
//! | feature | what it gives |
//! |---|---|
//! | `control` | [`control_main`] |
//! | `worker` | [`worker_main`], with the virtual boards of `--sim` |
//! | `cli` (default) | [`main`]: the whole command line, with the stock states |
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may stop where it fails"))]

#[cfg(feature = "cli")]
mod cli;
pub mod config;
#[cfg(feature = "control")]
mod control;
mod exit;
#[cfg(feature = "worker")]
pub mod faults;
#[cfg(any(feature = "control", feature = "worker"))]
mod log;
#[cfg(any(feature = "control", feature = "worker"))]
mod role;
#[cfg(any(feature = "control", feature = "worker"))]
mod serve;
#[cfg(any(feature = "control", feature = "worker"))]
mod trust;
#[cfg(feature = "cli")]
mod up;
#[cfg(feature = "worker")]
mod worker;

#[cfg(feature = "cli")]
pub use cli::main;
#[cfg(feature = "control")]
pub use control::control_main;
#[cfg(feature = "worker")]
pub use worker::worker_main;

use std::io::Write;

/// Tells the user what went wrong, as every command does.
fn complain(text: &str) {
    let mut err = std::io::stderr().lock();
    // There is nobody left to tell if stderr is closed.
    let _ = writeln!(err, "error: {}", harmless(text));
}

/// A text whose words may come from a server, and which must not move the cursor of a terminal.
fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_do_not_move_the_cursor() {
        assert_eq!(harmless("two\nlines\u{1b}[2J\r\u{9b}1m"), "two\nlines [2J  1m");
    }
}
