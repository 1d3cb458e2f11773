//! Looks at a pin at regular intervals.

use super::super::{Bitstream, Circuit, Refusal};
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
        let mut sampling = Sampling::new(self, every, count)?;
        loop {
            if let Some(samples) = sampling.go_on(u64::MAX, limits)? {
                return Ok(samples);
            }
        }
    }
}

/// Samples that are taken in turns, so that many simulations can share a processor: see
/// [`Counting`](super::Counting).
#[derive(Debug, Clone)]
pub struct Sampling {
    search: Search,
    every: u64,
    count: usize,
    levels: Vec<bool>,
    /// Once there is a period: where in it the other looks are, as cycles, and which ones these
    /// are, the first at the end.
    open: Option<Vec<(u64, usize)>>,
    /// Two cycles into that period: pulses must keep their distance also where a period meets the
    /// next.
    seam: u64,
}

impl Sampling {
    /// `count` looks at the pin of a circuit, one after each `every` cycles.
    ///
    /// # Errors
    /// What [`Circuit::simulator`] refuses.
    pub fn new(circuit: &Circuit, every: u64, count: usize) -> Result<Self, Refusal> {
        if circuit.pll.is_some() {
            // What the pin shows at a moment depends on when the loop has locked.
            return Err(Refusal::PllPhase);
        }
        let window = every.saturating_mul(count as u64);
        let search = Search::new(circuit.simulator()?, window);
        Ok(Self { search, every, count, levels: Vec::new(), open: None, seam: 0 })
    }

    /// Looks at a pin of the sg48 package of an FPGA that is configured with a bitstream file.
    ///
    /// # Errors
    /// A [`Refusal`] if the bitstream is no good, or the circuit one that cannot be simulated.
    pub fn parse(bitstream: &[u8], pin: &str, every: u64, count: usize) -> Result<Self, Refusal> {
        let bitstream = Bitstream::parse(bitstream)?;
        Self::new(&Circuit::extract(&bitstream, pin)?, every, count)
    }

    /// Goes on for about so much work, and gives the samples if that was enough; see
    /// [`Counting::go_on`](super::Counting::go_on).
    ///
    /// # Errors
    /// What [`Circuit::sample`] refuses.
    pub fn go_on(&mut self, work: u64, limits: &Limits<'_>) -> Result<Option<Samples>, Refusal> {
        self.search.begin_turn(work);
        while self.open.is_none() && self.levels.len() < self.count {
            // Whatever lies beyond the range of cycles cannot be reached by going through them.
            let at = self.every.saturating_mul(self.levels.len() as u64 + 1);
            if !self.search.search(at, limits)? {
                return Ok(None);
            }
            match self.search.period {
                Some(period) => self.open = Some(self.fold(period)),
                None => self.levels.push(self.search.simulator.pin()),
            }
        }
        if let Some(open) = &mut self.open {
            while let Some(&(at, look)) = open.last() {
                if !self.search.run(at, limits)? {
                    return Ok(None);
                }
                self.levels[look] = self.search.simulator.pin();
                open.pop();
            }
        }
        if !self.search.run(self.seam.min(self.search.window), limits)? {
            return Ok(None);
        }
        Ok(Some(Samples {
            levels: std::mem::take(&mut self.levels),
            every: self.every,
            simulated_cycles: self.search.simulator.cycle(),
            period: self.search.period,
        }))
    }

    /// Brings all looks that are still to be taken into the period that comes next. Looks at the
    /// same place of a period see the same, so that they come in the order of these places.
    fn fold(&mut self, period: Period) -> Vec<(u64, usize)> {
        let begin = self.search.simulator.cycle();
        let at = |look: usize| {
            let at = u128::from(self.every) * (look as u128 + 1);
            begin + ((at - u128::from(begin)) % u128::from(period.cycles)) as u64
        };
        let mut open: Vec<(u64, usize)> =
            (self.levels.len()..self.count).map(|look| (at(look), look)).collect();
        open.sort_unstable_by(|a, b| b.cmp(a));
        self.levels.resize(self.count, false);
        self.seam = begin.saturating_add(2);
        open
    }
}
