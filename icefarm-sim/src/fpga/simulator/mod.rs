//! Runs a circuit cycle by cycle.

mod count;
mod general;
mod limits;
mod repetition;
mod sample;
mod waves;

pub use count::{Count, Counting};
pub use limits::Limits;
pub use repetition::Period;
pub use sample::{Samples, Sampling};

use super::circuit::{CLOCK_SLOT, Circuit, FIRST_FLIP_FLOP, Latch, Lookup, Slot};
use super::{Refusal, circuit};
use general::General;
use waves::OneClock;

/// A level for each slot. As long as the index type has values, so that no access needs a check.
type Levels = [u8; 1 << Slot::BITS];

/// A circuit in motion.
///
/// It begins as the device does: all flip-flops at 0, the clock low. A cycle is a rising and then
/// a falling edge of the 48 MHz clock. Logic takes no time: levels are those at rest, glitches and
/// races are not seen. Signals are ordered as in Verilog: all flip-flops of an edge take their
/// data together, and what they change can be an edge for others.
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

/// The levels in a circuit that is simulated edge by edge.
#[derive(Debug, Clone)]
struct Core {
    levels: Box<Levels>,
    lookups: Vec<Lookup>,
    /// The slot of the first lookup.
    first_lookup: Slot,
    flip_flops: usize,
    pin: Slot,
    /// Whether the pin is driven.
    pin_enable: Slot,
    /// The pin's level at the last look.
    last: u8,
    cycle: u64,
    pulses: u64,
    /// Evaluations of lookups and flip-flops so far.
    work: u64,
}

/// The two ways of simulating. The first is the faster one; the second can do everything.
#[derive(Debug, Clone)]
enum Engine {
    OneClock(OneClock),
    General(Core, General),
}

impl Circuit {
    /// The circuit at rest, before the first edge of the clock.
    ///
    /// # Errors
    /// [`Refusal::Unstable`] if it never comes to rest.
    pub fn simulator(&self) -> Result<Simulator, Refusal> {
        if waves::fits(self) {
            return Ok(Simulator { engine: Engine::OneClock(OneClock::new(self)) });
        }
        self.general()
    }

    /// The same, but edge by edge even if there is a faster way.
    fn general(&self) -> Result<Simulator, Refusal> {
        let count = self.latches.len();
        let levels: Box<[u8]> = vec![0; 1 << Slot::BITS].into_boxed_slice();
        let levels = levels.try_into().expect("it has that many levels");
        let mut core = Core {
            levels,
            lookups: self.lookups.clone(),
            first_lookup: FIRST_FLIP_FLOP + count as Slot,
            flip_flops: count,
            pin: self.pin,
            pin_enable: self.pin_enable,
            last: 0,
            cycle: 0,
            pulses: 0,
            work: 0,
        };
        core.levels[usize::from(circuit::HIGH_SLOT)] = 1;
        core.settle();
        let general = General::new(self, &mut core)?;
        core.last = core.levels[usize::from(core.pin)];
        Ok(Simulator { engine: Engine::General(core, general) })
    }
}

impl Core {
    /// Evaluates all lookups.
    fn settle(&mut self) {
        let levels = &mut *self.levels;
        let mut slot = self.first_lookup;
        for lookup in &self.lookups {
            levels[usize::from(slot)] = lookup.evaluate(levels);
            slot = slot.wrapping_add(1);
        }
        self.work += self.lookups.len() as u64;
    }

    /// The levels of the flip-flops, which at the end of a cycle are the whole state.
    fn state(&self) -> &[u8] {
        &self.levels[usize::from(FIRST_FLIP_FLOP)..][..self.flip_flops]
    }
}

impl Lookup {
    fn evaluate(&self, levels: &Levels) -> u8 {
        let [a, b, c, d] = self.inputs.map(|slot| u32::from(levels[usize::from(slot)]));
        (u32::from(self.bits) >> (a | b << 1 | c << 2 | d << 3) & 1) as u8
    }
}

impl Latch {
    /// The level that the flip-flop takes at its edge.
    fn next(&self, slot: Slot, levels: &Levels) -> u8 {
        let level = |slot: Slot| levels[usize::from(slot)];
        let (now, enable, set_reset) = (level(slot), level(self.enable), level(self.set_reset));
        let taken = if set_reset != 0 { u8::from(self.set) } else { level(self.data) };
        if enable != 0 || (self.asynchronous && set_reset != 0) { taken } else { now }
    }
}

impl Simulator {
    /// Runs for a number of cycles and counts the rising edges on the pin.
    ///
    /// # Errors
    /// [`Refusal::Unstable`] or [`Refusal::TooFast`].
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
            Engine::General(core, _) => core.last != 0,
        }
    }

    /// How many cycles have passed.
    pub fn cycle(&self) -> u64 {
        match &self.engine {
            Engine::OneClock(engine) => engine.cycle(),
            Engine::General(core, _) => core.cycle,
        }
    }

    /// How many rising edges the pin has had.
    pub fn pulses(&self) -> u64 {
        match &self.engine {
            Engine::OneClock(engine) => engine.pulses(),
            Engine::General(core, _) => core.pulses,
        }
    }

    /// The effort so far, in units of which each takes about a nanosecond on a core of 2020. It is
    /// counted and not measured, so that it is the same on every machine.
    pub fn work(&self) -> u64 {
        match &self.engine {
            Engine::OneClock(engine) => engine.work(),
            Engine::General(core, _) => core.work,
        }
    }

    /// The levels of all flip-flops.
    fn state(&self) -> Vec<u8> {
        match &self.engine {
            Engine::OneClock(engine) => engine.state(),
            Engine::General(core, _) => core.state().to_vec(),
        }
    }

    /// Runs for a number of cycles, or until the state is `mark`, or until some more work is done.
    /// Says whether the state is the mark.
    fn advance(&mut self, cycles: u64, mark: Option<&[u8]>, work: u64) -> Result<bool, Refusal> {
        let work = self.work().saturating_add(work);
        match &mut self.engine {
            Engine::OneClock(engine) => Ok(engine.advance(cycles, mark, work)),
            Engine::General(core, engine) => {
                engine.advance(core, cycles, mark, work)?;
                Ok(mark == Some(core.state()))
            }
        }
    }

    /// Lets time pass in which the state repeats: nothing changes but the counts.
    fn skip(&mut self, cycles: u64, pulses: u64) {
        match &mut self.engine {
            Engine::OneClock(engine) => engine.skip(cycles, pulses),
            Engine::General(core, engine) => {
                core.cycle += cycles;
                core.pulses += pulses;
                engine.skip(cycles);
            }
        }
    }
}
