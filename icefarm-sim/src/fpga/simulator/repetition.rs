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

/// A simulation that looks for a repetition: the state is compared with one that is kept from ever
/// longer ago (Brent's algorithm), so that it is noticed at the latest after three times its
/// length.
#[derive(Debug, Clone)]
pub(super) struct Search {
    pub(super) simulator: Simulator,
    /// What was found.
    pub(super) period: Option<Period>,
    /// The length of the whole simulation in cycles, for messages.
    pub(super) window: u64,
    mark: Vec<u8>,
    /// The cycle of the mark, and the pulses until then.
    start: u64,
    pulses: u64,
    distance: u64,
    /// The work at which the present turn ends.
    turn: u64,
}

impl Search {
    pub(super) fn new(simulator: Simulator, window: u64) -> Self {
        let mark = simulator.state();
        let (period, start, pulses, turn) = (None, 0, 0, 0);
        Self { simulator, period, window, mark, start, pulses, distance: FIRST_DISTANCE, turn }
    }

    /// Begins a turn of so much work.
    pub(super) fn begin_turn(&mut self, work: u64) {
        self.turn = self.simulator.work().saturating_add(work);
    }

    /// Runs to a cycle, and no further than to a repetition. Says whether either was reached
    /// within the turn.
    pub(super) fn search(&mut self, to: u64, limits: &Limits<'_>) -> Result<bool, Refusal> {
        while self.period.is_none() && self.simulator.cycle() < to {
            let Some(work) = self.work(limits)? else { return Ok(false) };
            let simulator = &mut self.simulator;
            let left = self.distance - (simulator.cycle() - self.start);
            let cycles = left.min(to - simulator.cycle());
            let repeats = simulator.advance(cycles, Some(&self.mark), work)?;
            let passed = simulator.cycle() - self.start;
            if repeats {
                let pulses = simulator.pulses() - self.pulses;
                self.period = Some(Period { cycles: passed, pulses });
            } else if passed >= self.distance {
                self.mark = simulator.state();
                (self.start, self.pulses) = (simulator.cycle(), simulator.pulses());
                self.distance = self.distance.saturating_mul(2);
            }
        }
        Ok(true)
    }

    /// Runs to a cycle, whatever repeats. Says whether it was reached within the turn.
    pub(super) fn run(&mut self, to: u64, limits: &Limits<'_>) -> Result<bool, Refusal> {
        while self.simulator.cycle() < to {
            let Some(work) = self.work(limits)? else { return Ok(false) };
            self.simulator.advance(to - self.simulator.cycle(), None, work)?;
        }
        Ok(true)
    }

    /// How much work may be done before the next look at the limits; nothing if the turn is over.
    fn work(&self, limits: &Limits<'_>) -> Result<Option<u64>, Refusal> {
        limits.check(&self.simulator, self.window)?;
        let left = self.turn.saturating_sub(self.simulator.work());
        Ok((left != 0).then_some(left.min(CHUNK)))
    }
}
