//! A control server on sockets, with workers that do as they are told.
#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

mod access;
mod agree;
mod clients;
mod crash;
mod details;
mod drain;
mod events;
mod farm;
mod http;
mod live;
mod network;
mod operator;
mod queue;
mod restart;
mod time;
mod worker;
mod workers;
