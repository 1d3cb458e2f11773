//! The command `icefarm` with the stock states.

use icefarm_state_pulse_count as _;
use icefarm_state_variance as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    icefarm::main()
}
