//! Notices when the state of a circuit repeats.

use super::super::Refusal;
use super::Simulator;
use super::limits::{CHUNK, Limits};

/// The state of a circuit repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Period {
    /// After this many cycles.
    pub cycles: u64,
    /// Rising edges on the pin in each period.
    pub pulses: u64,
}

/// The first distance at which a repetition is looked for, in cycles.
const FIRST_DISTANCE: u64 = 64;

/// Runs a simulator and compares its state with one that is kept from ever longer ago (Brent's
/// algorithm), so that a repetition is noticed at the latest after three times its length.
pub(super) struct Search<'a> {
    /// The length of the whole simulation in cycles, for messages.
    window: u64,
    limits: &'a Limits<'a>,
    mark: Vec<u8>,
    /// The cycle of the mark, and the pulses until then.
    start: u64,
    pulses: u64,
    distance: u64,
}

impl<'a> Search<'a> {
    pub(super) fn new(simulator: &Simulator, window: u64, limits: &'a Limits<'a>) -> Self {
        let mut search =
            Self { window, limits, mark: Vec::new(), start: 0, pulses: 0, distance: 0 };
        search.keep(simulator, FIRST_DISTANCE);
        search
    }

    fn keep(&mut self, simulator: &Simulator, distance: u64) {
        self.mark = simulator.state();
        (self.start, self.pulses) = (simulator.cycle(), simulator.pulses());
        self.distance = distance;
    }

    /// Runs to a cycle, or until the state is one that was before.
    pub(super) fn run_to(
        &mut self,
        simulator: &mut Simulator,
        end: u64,
    ) -> Result<Option<Period>, Refusal> {
        while simulator.cycle() < end {
            self.limits.check(simulator, self.window)?;
            let left = self.distance - (simulator.cycle() - self.start);
            let cycles = left.min(end - simulator.cycle());
            if simulator.advance(cycles, Some(&self.mark), CHUNK)? {
                return Ok(Some(Period {
                    cycles: simulator.cycle() - self.start,
                    pulses: simulator.pulses() - self.pulses,
                }));
            }
            if simulator.cycle() - self.start >= self.distance {
                self.keep(simulator, self.distance.saturating_mul(2));
            }
        }
        Ok(None)
    }

    /// Runs to a cycle once there is nothing more to look for.
    pub(super) fn finish(&self, simulator: &mut Simulator, end: u64) -> Result<(), Refusal> {
        while simulator.cycle() < end {
            self.limits.check(simulator, self.window)?;
            simulator.advance(end - simulator.cycle(), None, CHUNK)?;
        }
        Ok(())
    }
}
