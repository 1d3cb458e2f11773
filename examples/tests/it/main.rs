//! The examples at work, as a user meets them.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a test has no reader outside and may stop where it fails"
)]

mod seed;
