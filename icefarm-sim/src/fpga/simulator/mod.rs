//! Runs a circuit cycle by cycle.

mod count;
mod general;
mod groups;
mod limits;
mod lock;
mod memory;
mod races;
mod repetition;
mod sample;
mod start;
mod unknown;
mod waves;

pub use count::{Count, Counting};
pub use limits::Limits;
pub use repetition::Period;
pub use sample::{Samples, Sampling};

use super::Refusal;
use super::circuit::{CLOCK_SLOT, Circuit, FIRST_FLIP_FLOP, HIGH_SLOT, Latch, Slot};
use general::General;
use waves::OneClock;

/// A level for each slot. As long as the index type has values, so that no access needs a check.
type Levels = [u8; 1 << Slot::BITS];

/// A circuit in motion.
///
/// It begins as the device does: all flip-flops at 0, the clock low. A cycle is a rising and then
/// a falling edge of the 48 MHz clock, or of the clock that the PLL makes of it. Logic takes no
/// time: levels are those at rest, glitches are not seen. Signals are ordered as in Verilog: all
/// flip-flops of an edge take their data together, and what they change can be an edge for others.
/// Where Verilog has no order, or one that a device need not follow, levels are unknown; the
/// simulation ends with a refusal when such a level comes to the pin.
///
/// ```no_run
/// use icefarm_sim::fpga::{Bitstream, Circuit};
///
/// let bitstream = Bitstream::parse(&std::fs::read("circuit.bin")?)?;
/// let mut simulator = Circuit::extract(&bitstream, "27")?.simulator()?;
/// for millisecond in 0..10 {
///     let pulses = simulator.run(48_000)?;
///     println!("{millisecond} ms: {pulses} pulses, pin at {}", u8::from(simulator.pin()));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Simulator {
    engine: Engine,
}

/// The two ways of simulating. The first is the faster one; the second can do everything.
#[derive(Debug, Clone)]
enum Engine {
    OneClock(OneClock),
    General(Box<General>),
}

impl Circuit {
    /// The circuit at rest, before the first edge of the clock.
    ///
    /// # Errors
    /// [`Refusal::Unstable`] if it never comes to rest, and [`Refusal::MemoryStart`].
    pub fn simulator(&self) -> Result<Simulator, Refusal> {
        if waves::fits(self) {
            return Ok(Simulator { engine: Engine::OneClock(OneClock::new(self)) });
        }
        self.general()
    }

    /// The same, but edge by edge even if there is a faster way.
    fn general(&self) -> Result<Simulator, Refusal> {
        let general = General::new(self)?;
        if !self.memories.is_empty() {
            start::check(general.clone(), self.pll)?;
        }
        Ok(Simulator { engine: Engine::General(Box::new(general)) })
    }
}

impl Simulator {
    /// Runs for a number of cycles and counts the rising edges on the pin.
    ///
    /// # Errors
    /// [`Refusal::Unstable`], [`Refusal::TooFast`], [`Refusal::Floating`], [`Refusal::Race`] or
    /// [`Refusal::MemoryCollision`].
    pub fn run(&mut self, cycles: u64) -> Result<u64, Refusal> {
        let (before, end) = (self.pulses(), self.cycle() + cycles);
        while self.cycle() < end {
            self.advance(end - self.cycle(), None, u64::MAX)?;
        }
        Ok(self.pulses() - before)
    }

    /// The level of the pin.
    pub fn pin(&self) -> bool {
        match &self.engine {
            Engine::OneClock(engine) => engine.pin(),
            Engine::General(engine) => engine.pin(),
        }
    }

    /// How many cycles have passed.
    pub fn cycle(&self) -> u64 {
        match &self.engine {
            Engine::OneClock(engine) => engine.cycle(),
            Engine::General(engine) => engine.cycle(),
        }
    }

    /// How many rising edges the pin has had.
    pub fn pulses(&self) -> u64 {
        match &self.engine {
            Engine::OneClock(engine) => engine.pulses(),
            Engine::General(engine) => engine.pulses(),
        }
    }

    /// The effort so far, in units of which each takes about a nanosecond on a core of 2020. It is
    /// counted and not measured, so that it is the same on every machine.
    pub fn work(&self) -> u64 {
        match &self.engine {
            Engine::OneClock(engine) => engine.work(),
            Engine::General(engine) => engine.work(),
        }
    }

    /// The levels of all flip-flops.
    fn state(&self) -> Vec<u8> {
        match &self.engine {
            Engine::OneClock(engine) => engine.state(),
            Engine::General(engine) => engine.state(),
        }
    }

    /// Runs for a number of cycles, or until the state is `mark`, or until some more work is done.
    /// Says whether the state is the mark.
    fn advance(&mut self, cycles: u64, mark: Option<&[u8]>, work: u64) -> Result<bool, Refusal> {
        let work = self.work().saturating_add(work);
        match &mut self.engine {
            Engine::OneClock(engine) => Ok(engine.advance(cycles, mark, work)),
            Engine::General(engine) => engine.advance(cycles, mark, work),
        }
    }

    /// Lets time pass in which the state repeats: nothing changes but the counts.
    fn skip(&mut self, cycles: u64, pulses: u64) {
        match &mut self.engine {
            Engine::OneClock(engine) => engine.skip(cycles, pulses),
            Engine::General(engine) => engine.skip(cycles, pulses),
        }
    }
}
