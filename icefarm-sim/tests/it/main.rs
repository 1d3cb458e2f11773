//! The crate from outside.
#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

mod boards;
mod circuits;
mod files;
mod parser;
