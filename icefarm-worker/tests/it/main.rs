//! A whole worker against boards, a control server and clients of the tests' own. Everything runs
//! in memory and on paused time.
#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

mod burden;
mod bus;
mod device;
mod drain;
mod farm;
mod leases;
mod life;
mod link;
mod memory;
mod mischief;
mod seed;
mod states;
