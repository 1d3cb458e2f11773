//! The network layer over real sockets, down to the bytes.
#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

mod bodies;
mod census;
mod client;
mod commands;
mod events;
mod farm;
mod frames;
mod memory;
mod server;
mod socket;
mod support;
