//! The kit, used as an author of states uses it.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a test has no reader outside and may stop where it fails"
)]

mod kit;
mod states;
