//! Looks at a pin at regular intervals.

use super::super::{Circuit, Refusal};
use super::limits::Limits;
use super::repetition::{Period, Search};

/// The levels of a pin over time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Samples {
    /// The level at each look, the first one interval after the start of the device.
    pub levels: Vec<bool>,
    /// The interval in cycles of the clock.
    pub every: u64,
    /// How many cycles were simulated; the rest repeats them.
    pub simulated_cycles: u64,
    /// What repeats, if that was found.
    pub period: Option<Period>,
}

impl Circuit {
    /// Looks at the pin `count` times, each time after `every` more cycles: the level at rest at
    /// the end of these cycles, when the clock is low.
    ///
    /// As with [`count`](Self::count) the circuit is simulated until its state repeats, and what
    /// follows is known: from then on at most one more period is simulated. The levels are exact.
    ///
    /// # Errors
    /// What [`count`](Self::count) refuses. That a pin must not be faster than a counter could
    /// follow holds here as well: a converter would see neither level of such a pin.
    pub fn sample(
        &self,
        every: u64,
        count: usize,
        limits: &Limits<'_>,
    ) -> Result<Samples, Refusal> {
        let mut simulator = self.simulator()?;
        let window = every.saturating_mul(count as u64);
        let mut search = Search::new(&simulator, window, limits);
        let mut levels = Vec::new();
        let mut repetition = None;
        while levels.len() < count {
            // Whatever lies beyond the range of cycles cannot be reached by going through them.
            let at = every.saturating_mul(levels.len() as u64 + 1);
            repetition = search.run_to(&mut simulator, at)?;
            if repetition.is_some() {
                break;
            }
            levels.push(simulator.pin());
        }
        let mut simulated_cycles = simulator.cycle();
        if let Some(period) = repetition {
            // Looks at the same place of the period see the same, so that the places come in
            // their order within the period and not in that of the looks.
            let begin = simulator.cycle();
            let place = |look: usize| {
                let at = u128::from(every) * (look as u128 + 1);
                ((at - u128::from(begin)) % u128::from(period.cycles)) as u64
            };
            let mut open: Vec<(u64, usize)> =
                (levels.len()..count).map(|look| (place(look), look)).collect();
            open.sort_unstable();
            levels.resize(count, false);
            for (place, look) in open {
                search.finish(&mut simulator, begin + place)?;
                levels[look] = simulator.pin();
            }
            // Pulses must keep their distance also where a period meets the next.
            search.finish(&mut simulator, window.min(begin + 2))?;
            simulated_cycles = simulator.cycle();
        }
        Ok(Samples { levels, every, simulated_cycles, period: repetition })
    }
}
