//! Levels that may not be known.
//!
//! What depends on delays is not refused at once: it is unknown, and so is what depends on it. Only
//! if that comes to the pin is there a reason to refuse.

use super::super::circuit::{Latch, Lookup, Slot};
use super::Levels;

/// Neither 0 nor 1 for sure.
pub(super) const UNKNOWN: u8 = 2;

/// The level that two possibilities have in common.
pub(super) fn either(one: u8, other: u8) -> u8 {
    if one == other { one } else { UNKNOWN }
}

pub(super) fn and(one: u8, other: u8) -> u8 {
    match (one, other) {
        (0, _) | (_, 0) => 0,
        (1, 1) => 1,
        _ => UNKNOWN,
    }
}

/// Evaluates lookups one after the other, from a slot on.
pub(super) fn settle(lookups: &[Lookup], mut slot: Slot, levels: &mut Levels) {
    for lookup in lookups {
        levels[usize::from(slot)] = evaluate(lookup, levels);
        slot = slot.wrapping_add(1);
    }
}

fn evaluate(lookup: &Lookup, levels: &Levels) -> u8 {
    let [a, b, c, d] = lookup.inputs.map(|slot| u32::from(levels[usize::from(slot)]));
    let unknown = (a | b | c | d) & u32::from(UNKNOWN);
    if unknown != 0 {
        return evaluate_unknown(lookup.bits, [a, b, c, d]);
    }
    (u32::from(lookup.bits) >> (a | b << 1 | c << 2 | d << 3) & 1) as u8
}

/// The level of a truth table if it is the same whatever the unknown inputs are.
fn evaluate_unknown(bits: u16, inputs: [u32; 4]) -> u8 {
    let fits = |index: u32| {
        let places = inputs.iter().enumerate();
        places.fold(true, |fits, (place, &input)| {
            fits && (input == u32::from(UNKNOWN) || index >> place & 1 == input)
        })
    };
    let levels = (0..16).filter(|&index| fits(index)).map(|index| (bits >> index & 1) as u8);
    levels.reduce(either).unwrap_or(UNKNOWN)
}

impl Latch {
    /// The level that the flip-flop takes at its edge.
    pub(super) fn next(&self, slot: Slot, levels: &Levels) -> u8 {
        let level = |slot: Slot| levels[usize::from(slot)];
        let (now, enable, set_reset) = (level(slot), level(self.enable), level(self.set_reset));
        let given = u8::from(self.set);
        let taken = match set_reset {
            0 => level(self.data),
            1 => given,
            _ => either(level(self.data), given),
        };
        let at_once = if self.asynchronous { set_reset } else { 0 };
        match (enable, at_once) {
            (1, _) | (_, 1) => taken,
            (0, 0) => now,
            _ => either(now, taken),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_can_be_known_although_its_inputs_are_not() {
        let x = u32::from(UNKNOWN);
        // AND, XOR and the choice of input 0 or 1 by input 2.
        assert_eq!(evaluate_unknown(0x8888, [x, 0, 0, 0]), 0);
        assert_eq!(evaluate_unknown(0x8888, [x, 1, 0, 0]), UNKNOWN);
        assert_eq!(evaluate_unknown(0x6666, [x, 1, 0, 0]), UNKNOWN);
        assert_eq!(evaluate_unknown(0xCACA, [1, 1, x, 0]), 1);
        assert_eq!(evaluate_unknown(0xCACA, [1, 0, x, 0]), UNKNOWN);
        assert_eq!(evaluate_unknown(0xFFFF, [x; 4]), 1);
    }
}
