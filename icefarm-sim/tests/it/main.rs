//! Tests of the bitstream simulator against files.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod files;
mod parser;
