//! A worker with a state of one's own beside the stock ones. It takes the flags of
//! `icefarm worker`:
//!
//! ```sh
//! cargo run --example custom-worker -- --sim 1 --sim-serial "example pico2ice serial id"
//! ```

use icefarm_examples as _;
use icefarm_state_pulse_count as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    icefarm::worker_main()
}
