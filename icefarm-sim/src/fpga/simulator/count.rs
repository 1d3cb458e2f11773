//! Counts pulses over a window of any length.

use super::super::{Circuit, Refusal};
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

/// What a pin did in a window of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Count {
    /// Rising edges on the pin.
    pub pulses: u64,
    /// The window in cycles of the clock, from the start of the device on.
    pub cycles: u64,
    /// How many of these were simulated; the rest repeats them.
    pub simulated_cycles: u64,
    /// What repeats, if that was found.
    pub period: Option<Period>,
    /// Logic tables that the pin depends on.
    pub luts: usize,
    /// Flip-flops that the pin depends on.
    pub flip_flops: usize,
    /// Carries that the pin depends on.
    pub carries: usize,
}

/// The state of a circuit repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Period {
    /// After this many cycles.
    pub cycles: u64,
    /// Rising edges on the pin in each period.
    pub pulses: u64,
}

/// Work between two looks at the limits.
const CHUNK: u64 = 1 << 20;

/// The first distance at which a repetition is looked for, in cycles.
const FIRST_DISTANCE: u64 = 64;

impl Circuit {
    /// Counts the rising edges on the pin within a number of cycles after the start.
    ///
    /// The circuit is simulated until its state repeats (Brent's algorithm: the state is compared
    /// with one that is kept from ever longer ago); what follows is known. The count is exact.
    ///
    /// # Errors
    /// [`Refusal::TooLong`] if the state does not repeat before the budget is used up, and what
    /// [`Simulator::run`] refuses.
    pub fn count(&self, cycles: u64, limits: &Limits<'_>) -> Result<Count, Refusal> {
        let mut simulator = self.simulator()?;
        let repetition = find_repetition(&mut simulator, cycles, limits)?;
        let mut simulated_cycles = simulator.cycle();
        if let Some(period) = repetition {
            // Pulses must keep their distance also where a period meets the next.
            let seam = (cycles - simulator.cycle()).min(2);
            simulator.run(seam)?;
            let left = cycles - simulator.cycle();
            let times = left / period.cycles;
            simulator.skip(times * period.cycles, times * period.pulses);
            let rest = left % period.cycles;
            run(&mut simulator, rest, cycles, limits)?;
            simulated_cycles += seam + rest;
        }
        Ok(Count {
            pulses: simulator.pulses(),
            cycles,
            simulated_cycles,
            period: repetition,
            luts: self.luts(),
            flip_flops: self.flip_flops(),
            carries: self.carries(),
        })
    }
}

/// Runs until the state is one that was before, or to the end of the window.
fn find_repetition(
    simulator: &mut Simulator,
    cycles: u64,
    limits: &Limits<'_>,
) -> Result<Option<Period>, Refusal> {
    let mut distance = FIRST_DISTANCE;
    while simulator.cycle() < cycles {
        let mark = simulator.core.state().to_vec();
        let (start, pulses) = (simulator.cycle(), simulator.pulses());
        let end = cycles.min(start + distance);
        while simulator.cycle() < end {
            check(simulator, cycles, limits)?;
            let before = simulator.cycle();
            simulator.advance(end - before, Some(&mark), CHUNK)?;
            if simulator.core.state() == mark {
                return Ok(Some(Period {
                    cycles: simulator.cycle() - start,
                    pulses: simulator.pulses() - pulses,
                }));
            }
        }
        distance = distance.saturating_mul(2);
    }
    Ok(None)
}

/// Runs for a number of cycles within the limits.
fn run(
    simulator: &mut Simulator,
    cycles: u64,
    window: u64,
    limits: &Limits<'_>,
) -> Result<(), Refusal> {
    let end = simulator.cycle() + cycles;
    while simulator.cycle() < end {
        check(simulator, window, limits)?;
        simulator.advance(end - simulator.cycle(), None, CHUNK)?;
    }
    Ok(())
}

fn check(simulator: &Simulator, cycles: u64, limits: &Limits<'_>) -> Result<(), Refusal> {
    if limits.cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed)) {
        return Err(Refusal::Cancelled { simulated: simulator.cycle() });
    }
    if simulator.work() >= limits.work {
        let simulated = simulator.cycle();
        return Err(Refusal::TooLong { simulated, cycles, budget: limits.work });
    }
    Ok(())
}
