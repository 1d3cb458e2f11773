//! The client against a control server and workers that do what a test tells them.
#![expect(clippy::unwrap_used, reason = "a test may stop where it fails")]

mod adopt;
#[cfg(feature = "blocking")]
mod blocking;
mod control;
mod evaluate;
mod farm;
mod network;
mod signals;
mod sockets;
mod waiting;
