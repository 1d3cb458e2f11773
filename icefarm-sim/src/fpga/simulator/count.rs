//! Counts pulses over a window of any length.

use super::super::{Circuit, Refusal};
use super::limits::Limits;
use super::repetition::{Period, Search};

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

impl Circuit {
    /// Counts the rising edges on the pin within a number of cycles after the start.
    ///
    /// The circuit is simulated until its state repeats; what follows is known. The count is exact.
    ///
    /// # Errors
    /// [`Refusal::TooLong`] if the state does not repeat before the budget is used up, and what
    /// [`Simulator::run`](super::Simulator::run) refuses.
    pub fn count(&self, cycles: u64, limits: &Limits<'_>) -> Result<Count, Refusal> {
        let mut simulator = self.simulator()?;
        let mut search = Search::new(&simulator, cycles, limits);
        let repetition = search.run_to(&mut simulator, cycles)?;
        let mut simulated_cycles = simulator.cycle();
        if let Some(period) = repetition {
            // Pulses must keep their distance also where a period meets the next.
            let seam = (cycles - simulator.cycle()).min(2);
            simulator.run(seam)?;
            let left = cycles - simulator.cycle();
            let times = left / period.cycles;
            simulator.skip(times * period.cycles, times * period.pulses);
            let rest = left % period.cycles;
            search.finish(&mut simulator, cycles)?;
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
