//! An instrument for tests.

use crate::{Instrument, Said, digits};
use icefarm_core::Value;
use std::time::Duration;

/// Counts pulses, as the firmware `pulse_count` tells them.
#[derive(Debug)]
pub(crate) struct Counter;

impl Instrument for Counter {
    type Reading = u64;
    const IMAGE: &'static str = "pulse_count";
    const STATE_VERSION: &'static str = "1.2.3";
    const MEASURING: Duration = Duration::from_secs(1);
    const WINDOW_US: u64 = 1_000_000;

    fn read(&self, line: &str) -> Said<u64> {
        match line.strip_prefix(", pulses: ").and_then(digits) {
            Some(pulses) => Said::Reading(pulses),
            None if line.contains("pulses") => Said::Damaged,
            None => Said::Nothing,
        }
    }

    fn plain(&self, reading: &u64) -> Value {
        reading.to_string().into()
    }
}
