//! Flip-flops over waves.

use super::super::super::circuit::{FIRST_FLIP_FLOP, Latch, Slot};
use super::{Edges, Wave, Waves};

/// A flip-flop on the one clock.
#[derive(Debug, Clone)]
pub(super) struct FlipFlop {
    pub(super) slot: Slot,
    pub(super) data: Slot,
    pub(super) enable: Slot,
    pub(super) set_reset: Slot,
    /// What set/reset does: set (all ones) or reset (0).
    pub(super) set: Wave,
}

impl FlipFlop {
    pub(super) fn new(number: usize, latch: &Latch) -> Self {
        Self {
            slot: FIRST_FLIP_FLOP + number as Slot,
            data: latch.data,
            enable: latch.enable,
            set_reset: latch.set_reset,
            set: if latch.set { Wave::MAX } else { 0 },
        }
    }

    /// Its place among the flip-flops of the circuit.
    pub(super) fn number(&self) -> usize {
        usize::from(self.slot - FIRST_FLIP_FLOP)
    }

    /// Makes the wave from the levels that the flip-flop takes at the ends of the cycles before.
    pub(super) fn delay(&self, next: Wave, edges: &mut Edges) -> Wave {
        edges.after[self.number()] = next >> (Wave::BITS - 1);
        next << 1 | edges.first[self.number()]
    }

    /// For each cycle, the level that the flip-flop takes at the end of it.
    pub(super) fn next(&self, waves: &Waves) -> Wave {
        let [now, data, enable, set_reset] =
            [self.slot, self.data, self.enable, self.set_reset].map(|slot| waves[slot]);
        let taken = set_reset & self.set | !set_reset & data;
        enable & taken | !enable & now
    }
}

/// The wave of a flip-flop that depends on itself and on nothing else that depends on it.
///
/// `first` is its level in the first cycle; from each cycle to the next it goes to `low` if it is
/// 0, and to `high` if it is 1. What happens over many cycles is the composition of what happens
/// in each, and all compositions from the first cycle on take only six steps, each of which
/// composes stretches that are twice as long as before.
pub(super) fn follow(low: Wave, high: Wave, first: Wave) -> Wave {
    // Where a stretch that ends in each cycle leads from 0, and where from 1. The first cycle
    // leads to the same level from both.
    let (mut low, mut high) = (low << 1 | first, high << 1 | first);
    for length in [1, 2, 4, 8, 16, 32] {
        let (from_low, from_high) = (low << length, high << length | !(Wave::MAX << length));
        let difference = low ^ high;
        (low, high) = (low ^ from_low & difference, low ^ from_high & difference);
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn following_is_stepping(low: u64, high: u64, first in 0u64..2) {
            let mut level = first;
            let mut wave = level;
            for cycle in 0..63 {
                level = if level == 0 { low } else { high } >> cycle & 1;
                wave |= level << (cycle + 1);
            }
            prop_assert_eq!(follow(low, high, first), wave);
        }
    }
}
