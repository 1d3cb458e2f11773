//! The crate from outside.
#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

mod boards;
mod builder;
mod circuits;
mod clocking;
mod faults;
mod files;
mod memories;
mod pads;
mod parser;
mod pll;
mod races;
mod random;
mod refusals;
mod sampling;
