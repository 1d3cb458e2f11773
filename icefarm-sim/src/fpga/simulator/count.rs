//! Counts pulses over a window of any length.

use super::super::circuit::Ratio;
use super::super::{Bitstream, Circuit, Refusal, Window};
use super::Simulator;
use super::limits::Limits;
use super::lock::uncertainty;
use super::repetition::{Period, Search};

/// What a pin did in a window of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Count {
    /// Rising edges on the pin.
    pub pulses: u64,
    /// How far this can be off: 0, unless the circuit runs on the PLL, of which nobody knows when
    /// it has locked.
    pub uncertainty: u64,
    /// The window in cycles of the clock of the board, from the start of the device on.
    pub cycles: u64,
    /// How many cycles of the circuit's clock were simulated; the rest of the window repeats them.
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
    /// The circuit is simulated until its state repeats; what follows is known. The count is exact,
    /// but for the [uncertainty](Count::uncertainty) of circuits that run on the PLL.
    ///
    /// # Errors
    /// [`Refusal::TooLong`] if the state does not repeat before the budget is used up, and what
    /// [`Simulator::run`](super::Simulator::run) refuses.
    pub fn count(&self, cycles: u64, limits: &Limits<'_>) -> Result<Count, Refusal> {
        let mut counting = Counting::new(self, cycles)?;
        loop {
            if let Some(count) = counting.go_on(u64::MAX, limits)? {
                return Ok(count);
            }
        }
    }
}

/// A count that is made in turns, so that many can share a processor.
///
/// ```no_run
/// use icefarm_sim::fpga::{Counting, Limits, Window};
///
/// let mut counting = Counting::parse(&std::fs::read("circuit.bin")?, Window::SECOND)?;
/// let count = loop {
///     if let Some(count) = counting.go_on(Limits::TURN, &Limits::default())? {
///         break count;
///     }
///     println!("{} cycles so far", counting.cycle());
/// };
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Counting {
    search: Search,
    /// Cycles that were left out because they repeat others.
    skipped: u64,
    stage: Stage,
    /// The window in cycles of the clock of the board.
    cycles: u64,
    /// The beginning, if it is not known how far the circuit has come when the window begins.
    unlocked: Option<(Simulator, Ratio)>,
    /// The size of the circuit: tables, flip-flops, carries.
    size: [usize; 3],
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    Searching,
    /// The two cycles after a repetition: pulses must keep their distance also where a period
    /// meets the next.
    Seam,
    Rest,
}

impl Counting {
    /// A count of a circuit over a number of cycles from its start.
    ///
    /// # Errors
    /// What [`Circuit::simulator`] refuses.
    pub fn new(circuit: &Circuit, cycles: u64) -> Result<Self, Refusal> {
        let simulator = circuit.simulator()?;
        let unlocked = circuit.pll.map(|ratio| (simulator.clone(), ratio));
        let window = circuit.pll.map_or(cycles, |ratio| ratio.ticks_in(cycles));
        let search = Search::new(simulator, window);
        let size = [circuit.luts(), circuit.flip_flops(), circuit.carries()];
        Ok(Self { search, skipped: 0, stage: Stage::Searching, cycles, unlocked, size })
    }

    /// A count of a bitstream file.
    ///
    /// # Errors
    /// A [`Refusal`] if the bitstream is no good, or the circuit one that cannot be simulated.
    pub fn parse(bitstream: &[u8], window: Window<'_>) -> Result<Self, Refusal> {
        let bitstream = Bitstream::parse(bitstream)?;
        Self::new(&Circuit::extract(&bitstream, window.pin)?, window.cycles)
    }

    /// How many cycles of the circuit's clock are counted.
    pub fn cycle(&self) -> u64 {
        self.search.simulator.cycle()
    }

    /// Goes on for about so much work, and gives the count if that was enough. See
    /// [`Limits::work`] for what work is; the limits hold for all turns together.
    ///
    /// # Errors
    /// What [`Circuit::count`] refuses.
    pub fn go_on(&mut self, work: u64, limits: &Limits<'_>) -> Result<Option<Count>, Refusal> {
        self.search.begin_turn(work);
        let end = self.search.window;
        loop {
            match self.stage {
                Stage::Searching => {
                    if !self.search.search(end, limits)? {
                        return Ok(None);
                    }
                    self.stage = Stage::Seam;
                }
                Stage::Seam => {
                    if let Some(period) = self.search.period {
                        let simulator = &mut self.search.simulator;
                        simulator.run((end - simulator.cycle()).min(2))?;
                        let times = (end - simulator.cycle()) / period.cycles;
                        self.skipped = times * period.cycles;
                        simulator.skip(self.skipped, times * period.pulses);
                    }
                    self.stage = Stage::Rest;
                }
                Stage::Rest => {
                    let done = self.search.run(end, limits)?;
                    return if done { self.count().map(Some) } else { Ok(None) };
                }
            }
        }
    }

    fn count(&self) -> Result<Count, Refusal> {
        let [luts, flip_flops, carries] = self.size;
        let end = &self.search.simulator;
        let uncertainty = match &self.unlocked {
            Some((begin, ratio)) => uncertainty(begin.clone(), end.clone(), *ratio)?,
            None => 0,
        };
        Ok(Count {
            pulses: end.pulses(),
            uncertainty,
            cycles: self.cycles,
            simulated_cycles: self.search.window - self.skipped,
            period: self.search.period,
            luts,
            flip_flops,
            carries,
        })
    }
}
