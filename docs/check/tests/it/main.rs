//! What the documents say, held against what the servers do.

#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

mod example;
mod farm;
mod lists;
mod metrics;
mod run;
mod samples;
