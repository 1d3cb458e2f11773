//! The state on virtual boards, from reservation to results, led by the worker's own supervisor.
#![cfg(feature = "sim")]
#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

mod bench;
mod evaluate;
mod faults;
