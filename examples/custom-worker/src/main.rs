//! A worker with a state of one's own. It takes the flags of `icefarm worker`; with a control
//! server on this machine:
//!
//! ```sh
//! cargo run --package icefarm -- control
//! cargo run --package custom-worker -- --sim-serial "example pico2ice serial id"
//! ```
//!
//! It offers the kinds of all crates that it names in this way, also stock ones as
//! `use icefarm_state_pulse_count as _;` (with their feature `sim`, which has a model of their
//! firmware for virtual boards).

use custom_state as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    icefarm::worker_main()
}
