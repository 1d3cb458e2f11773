//! x
#![allow(dead_code, unused_imports)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may stop where it fails"))]
mod book;
mod evaluator;
mod loss;
pub use loss::codes;
