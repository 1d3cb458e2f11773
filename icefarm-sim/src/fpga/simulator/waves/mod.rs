//! Circuits whose flip-flops all act at the same edge of the clock, 64 cycles at a time.
//!
//! A [`Wave`] is the level of a signal in 64 cycles, so that one instruction evaluates 64 of them.
//! That is possible wherever signals do not depend on themselves: a table makes a wave of waves, a
//! flip-flop delays one by a cycle. The [`plan`] finds the rings among the signals and puts
//! everything into an order. A flip-flop that depends on no other one in return, such as each
//! stage of a counter, is [followed](flip_flop::follow) through its cycles in a few steps. What is
//! left are [`Knot`]s of flip-flops that depend on each other.

mod clusters;
mod components;
mod flip_flop;
mod functions;
mod gather;
mod index;
mod knot;
mod lanes;
mod lookups;
mod plan;
mod rows;
mod table;
#[cfg(test)]
mod tests;

use super::super::circuit::{CLOCK_SLOT, Circuit, FIRST_FLIP_FLOP, HIGH_SLOT, LOW_SLOT, Slot};
use flip_flop::FlipFlop;
use plan::Part;
use std::ops::{Index, IndexMut};

/// The level of a signal in 64 cycles: the lowest bit is the first of them, and each bit the level
/// at rest after the edge.
type Wave = u64;

/// Cycles in a wave.
const LENGTH: u32 = Wave::BITS;

/// Whether a circuit needs no more than this: one edge per cycle, and nothing else that looks at
/// the clock.
pub(super) fn fits(circuit: &Circuit) -> bool {
    let edge = circuit.latches.first().map(|latch| latch.falling);
    let latches = circuit.latches.iter().all(|latch| {
        latch.clock == CLOCK_SLOT
            && Some(latch.falling) == edge
            && ![latch.data, latch.enable, latch.set_reset].contains(&CLOCK_SLOT)
            && !(latch.asynchronous && latch.set_reset != LOW_SLOT)
    });
    let driven = circuit.pin_enable == HIGH_SLOT;
    // A pin on a clock that is no faster than that of the board cannot be too fast for a counter.
    let slow = circuit.pll.is_none_or(|ratio| ratio.ticks <= ratio.cycles);
    let plain = driven && slow && circuit.memories.is_empty();
    plain && latches && circuit.lookups.iter().all(|lookup| !lookup.inputs.contains(&CLOCK_SLOT))
}

/// A wave for each slot.
#[derive(Debug, Clone)]
struct Waves(Vec<Wave>);

impl Waves {
    fn new(slots: usize) -> Self {
        let mut waves = Self(vec![0; slots.max(3)]);
        waves[HIGH_SLOT] = Wave::MAX;
        waves
    }
}

impl Index<Slot> for Waves {
    type Output = Wave;

    fn index(&self, slot: Slot) -> &Wave {
        &self.0[usize::from(slot)]
    }
}

impl IndexMut<Slot> for Waves {
    fn index_mut(&mut self, slot: Slot) -> &mut Wave {
        &mut self.0[usize::from(slot)]
    }
}

/// What passes from a wave to the next one: for each flip-flop 0 or 1.
#[derive(Debug, Clone)]
struct Edges {
    /// Its level in the first cycle of the present waves.
    first: Vec<Wave>,
    /// Its level in the first cycle after them.
    after: Vec<Wave>,
}

/// Such a circuit in motion.
#[derive(Debug, Clone)]
pub(super) struct OneClock {
    waves: Waves,
    flip_flops: Vec<FlipFlop>,
    edges: Edges,
    parts: Vec<Part>,
    pin: Slot,
    /// How many cycles of the waves have passed.
    passed: u32,
    cycle: u64,
    pulses: u64,
    work: u64,
}

impl OneClock {
    /// The circuit at rest before the first edge.
    pub(super) fn new(circuit: &Circuit) -> Self {
        let mut waves = Waves::new(usize::from(circuit.end()));
        let flip_flops = circuit.latches.iter().enumerate();
        let flip_flops: Vec<FlipFlop> =
            flip_flops.map(|(number, latch)| FlipFlop::new(number, latch)).collect();
        for table in plan::tables(circuit) {
            table.settle(&mut waves);
        }
        let next = |flip_flop: &FlipFlop| flip_flop.next(&waves) & 1;
        let after = flip_flops.iter().map(next).collect();
        let edges = Edges { first: vec![0; flip_flops.len()], after };
        let parts = plan::plan(circuit);
        let (pin, passed) = (circuit.pin, LENGTH);
        Self { waves, flip_flops, edges, parts, pin, passed, cycle: 0, pulses: 0, work: 0 }
    }

    /// See [`super::Simulator::advance`]; here `work` is the total after which to stop.
    pub(super) fn advance(&mut self, cycles: u64, mark: Option<&[u8]>, work: u64) -> bool {
        let end = self.cycle + cycles;
        while self.cycle < end && self.work < work {
            let last = Wave::from(self.pin());
            if self.passed == LENGTH {
                self.next_waves();
            }
            let most = u64::from(LENGTH - self.passed).min(end - self.cycle) as u32;
            let repeated = mark.and_then(|mark| self.find(mark, most));
            let cycles = repeated.unwrap_or(most);
            let pin = self.waves[self.pin] >> self.passed;
            let rises = pin & !(pin << 1 | last);
            self.pulses += u64::from((rises << (LENGTH - cycles)).count_ones());
            self.passed += cycles;
            self.cycle += u64::from(cycles);
            if repeated.is_some() {
                return true;
            }
        }
        false
    }

    /// Goes on by 64 cycles.
    fn next_waves(&mut self) {
        std::mem::swap(&mut self.edges.first, &mut self.edges.after);
        self.passed = 0;
        self.work += plan::run(&mut self.parts, &mut self.waves, &mut self.edges);
    }

    /// After how many more cycles, `most` at most, the flip-flops have the levels of a mark.
    fn find(&self, mark: &[u8], most: u32) -> Option<u32> {
        let mut same = Wave::MAX >> (LENGTH - most) << self.passed;
        for (flip_flop, &level) in self.flip_flops.iter().zip(mark) {
            let level = Wave::from(level).wrapping_neg();
            same &= !(self.waves[flip_flop.slot] ^ level);
            if same == 0 {
                return None;
            }
        }
        Some(same.trailing_zeros() - self.passed + 1)
    }

    /// The levels of the flip-flops, which at the end of a cycle are the whole state.
    pub(super) fn state(&self) -> Vec<u8> {
        self.flip_flops.iter().map(|flip_flop| u8::from(self.level(flip_flop.slot))).collect()
    }

    fn level(&self, slot: Slot) -> bool {
        self.waves[slot] >> (self.passed - 1) & 1 != 0
    }

    pub(super) fn pin(&self) -> bool {
        self.level(self.pin)
    }

    pub(super) fn cycle(&self) -> u64 {
        self.cycle
    }

    pub(super) fn pulses(&self) -> u64 {
        self.pulses
    }

    pub(super) fn work(&self) -> u64 {
        self.work
    }

    /// See [`super::Simulator::skip`].
    pub(super) fn skip(&mut self, cycles: u64, pulses: u64) {
        self.cycle += cycles;
        self.pulses += pulses;
    }
}

impl Circuit {
    fn first_table(&self) -> Slot {
        FIRST_FLIP_FLOP + self.latches.len() as Slot
    }

    /// The slot after the last.
    fn end(&self) -> Slot {
        self.first_table() + self.lookups.len() as Slot
    }
}
