//! How far a simulation may go.

use super::super::Refusal;
use super::Simulator;
use std::sync::atomic::{AtomicBool, Ordering};

/// How far a count may go.
#[derive(Debug, Clone, Copy)]
pub struct Limits<'a> {
    /// Evaluations of tables and flip-flops after which a count is given up. A measure of work and
    /// not of time, so that the same circuit has the same outcome on every machine. A core of 2020
    /// makes some hundred million in a second.
    pub work: u64,
    /// Set this to true from elsewhere to stop the count within some milliseconds.
    pub cancel: Option<&'a AtomicBool>,
}

impl Default for Limits<'_> {
    /// Six thousand million evaluations: a circuit of 125 tables and flip-flops can be followed
    /// through 48,000,000 cycles, without a period.
    fn default() -> Self {
        Self { work: 6_000_000_000, cancel: None }
    }
}

/// Work between two looks at the limits.
pub(super) const CHUNK: u64 = 1 << 20;

impl Limits<'_> {
    /// Says whether the simulation of a window of `cycles` may go on.
    pub(super) fn check(&self, simulator: &Simulator, cycles: u64) -> Result<(), Refusal> {
        let simulated = simulator.cycle();
        if self.cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed)) {
            return Err(Refusal::Cancelled { simulated });
        }
        if simulator.work() >= self.work {
            return Err(Refusal::TooLong { simulated, cycles, budget: self.work });
        }
        Ok(())
    }
}
