//! icefarm-core as its users meet it.
#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

mod device;
mod plugins;
mod user_crate;
mod value;
