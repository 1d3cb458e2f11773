//! How far a simulation may go.

use super::super::Refusal;
use super::Simulator;
use std::sync::atomic::{AtomicBool, Ordering};

/// How far a simulation may go.
#[derive(Debug, Clone, Copy)]
pub struct Limits<'a> {
    /// The work after which a simulation is given up, in units of about a nanosecond on a core of
    /// 2020 (two at most). It is counted and not measured, so that the same circuit has the same
    /// outcome on every machine.
    pub work: u64,
    /// Set this to true from elsewhere to stop the simulation within some milliseconds.
    pub cancel: Option<&'a AtomicBool>,
}

impl Limits<'_> {
    /// Work of some fifty milliseconds: a good turn where many simulations share a processor.
    pub const TURN: u64 = 50_000_000;
}

impl Default for Limits<'_> {
    /// Twenty thousand million: a simulation has an outcome after twenty seconds, forty at most,
    /// whatever the circuit is.
    ///
    /// That is 416 for each of 48,000,000 cycles. A table or flip-flop of which no ring runs
    /// through others needs a fraction of one, so that pipelines and counters can be as large as
    /// the chip; 60 tables that all depend on each other need 10 to 40, and 300 of them about 180.
    /// A circuit with several clocks, or with memories, needs 80, and 3 or 4 for each table and
    /// flip-flop each time that any of them changes. What needs more is refused if it does not
    /// repeat.
    fn default() -> Self {
        Self { work: 20_000_000_000, cancel: None }
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
