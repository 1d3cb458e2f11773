//! The panel in Chromium. `cargo xtask browser` runs these tests.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a test has no reader outside and may stop where it fails"
)]

mod access;
mod bare;
mod deeds;
mod focus;
mod layout;
mod live;
mod scene;
mod tables;
