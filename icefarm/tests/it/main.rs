//! The real binaries, as a user runs them.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test has no reader outside and may stop where it fails"
)]

mod commands;
mod drain;
mod evaluate;
mod farm;
mod faults;
mod hold;
mod logs;
#[cfg(target_os = "linux")]
mod output;
mod overview;
mod queue;
mod reserving;
mod restart;
mod security;
mod settings;
#[cfg(target_os = "linux")]
mod signals;
mod terminal;
