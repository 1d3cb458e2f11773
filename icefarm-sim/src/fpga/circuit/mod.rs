//! The circuit that drives a pin.

mod fold;
mod graph;
mod level;
mod memory;
mod pads;
mod pll;
mod routing;
mod trace;

use super::chip::Chip;
use super::{Bitstream, Refusal};
pub(super) use memory::{Contents, Memory, Port};
pub(super) use pll::Ratio;
use routing::Routing;

/// The pin of the sg48 package that the microcontroller of the pico2-ice feeds with 48 MHz.
pub const CLOCK_PIN: &str = "35";

/// Where the level of a wire is kept during simulation: 0 and 1 are the constants, 2 the clock, then
/// come the flip-flops and then the tables in the order of evaluation.
pub(super) type Slot = u16;

pub(super) const LOW_SLOT: Slot = 0;
pub(super) const HIGH_SLOT: Slot = 1;
pub(super) const CLOCK_SLOT: Slot = 2;
pub(super) const FIRST_FLIP_FLOP: Slot = 3;

/// What drives one pin: tables and flip-flops in an order in which they can be evaluated, and
/// nothing that the pin does not depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circuit {
    pub(super) pin: Slot,
    /// Whether the pin is driven.
    pub(super) pin_enable: Slot,
    pub(super) latches: Vec<Latch>,
    pub(super) memories: Vec<Memory<Slot>>,
    /// The clock is not that of the board but one that the PLL makes of it.
    pub(super) pll: Option<Ratio>,
    /// Each looks only at slots before its own.
    pub(super) lookups: Vec<Lookup>,
    /// How many of the lookups are carries.
    carries: usize,
    /// How many of the lookups are switches within pads.
    pads: usize,
}

/// A flip-flop; its slot follows from its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Latch {
    pub(super) data: Slot,
    pub(super) clock: Slot,
    pub(super) enable: Slot,
    pub(super) set_reset: Slot,
    pub(super) falling: bool,
    pub(super) set: bool,
    pub(super) asynchronous: bool,
}

/// A truth table of four inputs; its slot follows from its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lookup {
    /// Bit `i` is the output if input `k` is bit `k` of `i`.
    pub(super) bits: u16,
    pub(super) inputs: [Slot; 4],
}

impl Circuit {
    /// Finds the circuit behind a pin of the sg48 package, such as `27`.
    ///
    /// Only what can reach the pin counts: switches, contentions, loops and hard blocks elsewhere
    /// on the chip are no reason to refuse, nor is anything behind logic whose output cannot
    /// change. A wire that nothing drives reads 0; so does the pin if it is never driven, which on
    /// a board would float. Bits without a known function are taken to have none.
    ///
    /// # Errors
    /// A [`Refusal`] that names the place on the chip.
    pub fn extract(bitstream: &Bitstream, pin: &str) -> Result<Self, Refusal> {
        let chip = Chip::up5k();
        let unknown = |pin: &str| Refusal::UnknownPin { pin: pin.to_owned() };
        let pad = chip.pad(pin).ok_or_else(|| unknown(pin))?;
        let clock = chip.pad(CLOCK_PIN).ok_or_else(|| unknown(CLOCK_PIN))?;
        let graph = trace::trace(&Routing::new(chip, bitstream), pad, clock)?;
        let circuit = level::level(&graph)?;
        if circuit.pin == CLOCK_SLOT { Err(Refusal::ClockOnPin) } else { Ok(circuit) }
    }

    /// A circuit without a bitstream.
    #[cfg(test)]
    pub(super) fn of(pin: Slot, latches: Vec<Latch>, lookups: Vec<Lookup>) -> Self {
        Self { pin, latches, lookups, ..Self::still() }
    }

    /// What drives a pin that is never driven.
    fn still() -> Self {
        Self {
            pin: LOW_SLOT,
            pin_enable: HIGH_SLOT,
            latches: Vec::new(),
            memories: Vec::new(),
            pll: None,
            lookups: Vec::new(),
            carries: 0,
            pads: 0,
        }
    }

    /// How many logic tables the pin depends on; those that only pass on a signal or a constant do
    /// not count.
    pub fn luts(&self) -> usize {
        self.lookups.len() - self.carries - self.pads
    }

    /// The slot of the first lookup, after the flip-flops and what the memories have read.
    pub(super) fn first_lookup(&self) -> Slot {
        self.memory_slot(self.memories.len())
    }

    /// The slot of the first of the sixteen bits that a memory has read.
    pub(super) fn memory_slot(&self, memory: usize) -> Slot {
        FIRST_FLIP_FLOP + (self.latches.len() + 16 * memory) as Slot
    }

    /// How many block RAMs the pin depends on.
    pub fn block_rams(&self) -> usize {
        self.memories.len()
    }

    /// How many carries the pin depends on.
    pub fn carries(&self) -> usize {
        self.carries
    }

    /// How many flip-flops the pin depends on.
    pub fn flip_flops(&self) -> usize {
        self.latches.len()
    }
}
