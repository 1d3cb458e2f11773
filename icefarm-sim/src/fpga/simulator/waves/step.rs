//! Goes through the cycles of a knot one by one.

use super::super::super::circuit::{Circuit, FIRST_FLIP_FLOP, HIGH_SLOT, LOW_SLOT, Slot};
use super::{Edges, LENGTH, Wave, Waves};
use std::collections::HashMap;

/// The tables and flip-flops of a knot.
///
/// Levels are kept in places: first those of the signals from outside, then those of the
/// flip-flops, then those of the tables in the order of evaluation.
#[derive(Debug, Clone)]
pub(super) struct Stepper {
    inputs: Vec<Slot>,
    /// Those without enable, set and reset come first.
    flip_flops: Vec<Latch>,
    plain: usize,
    tables: Vec<Lookup>,
    levels: Vec<u8>,
}

#[derive(Debug, Clone)]
struct Latch {
    slot: Slot,
    data: u16,
    enable: u16,
    set_reset: u16,
    set: u8,
    /// Its wave so far, the last cycle highest.
    wave: Wave,
    next: u8,
}

#[derive(Debug, Clone)]
struct Lookup {
    bits: u16,
    inputs: [u16; 4],
}

impl Stepper {
    pub(super) fn new(circuit: &Circuit, ring: &[Slot]) -> Self {
        let first_table = circuit.first_table();
        let mut inputs = Vec::new();
        for &slot in ring {
            inputs.extend(super::plan::needs(circuit, slot));
        }
        inputs.sort_unstable();
        inputs.dedup();
        inputs.retain(|slot| ring.binary_search(slot).is_err());
        let mut ring = ring.to_vec();
        let is_plain = |slot: Slot| {
            let [_, enable, set_reset, _] = super::plan::needs(circuit, slot);
            (enable, set_reset) == (HIGH_SLOT, LOW_SLOT)
        };
        ring.sort_by_key(|&slot| if slot >= first_table { 2 } else { u8::from(!is_plain(slot)) });
        let plain = ring.iter().take_while(|&&slot| slot < first_table && is_plain(slot)).count();
        let slots = inputs.iter().chain(&ring);
        let places: HashMap<Slot, u16> =
            slots.enumerate().map(|(place, &slot)| (slot, place as u16)).collect();
        let (mut flip_flops, mut tables) = (Vec::new(), Vec::new());
        for &slot in &ring {
            if let Some(number) = slot.checked_sub(first_table) {
                let lookup = &circuit.lookups[usize::from(number)];
                let inputs = lookup.inputs.map(|slot| places[&slot]);
                tables.push(Lookup { bits: lookup.bits, inputs });
            } else {
                let latch = &circuit.latches[usize::from(slot - FIRST_FLIP_FLOP)];
                flip_flops.push(Latch {
                    slot,
                    data: places[&latch.data],
                    enable: places[&latch.enable],
                    set_reset: places[&latch.set_reset],
                    set: u8::from(latch.set),
                    wave: 0,
                    next: 0,
                });
            }
        }
        let levels = vec![0; places.len()];
        Self { inputs, flip_flops, plain, tables, levels }
    }

    /// About how many nanoseconds [`Self::run`] takes.
    pub(super) fn cost(&self) -> u64 {
        let (inputs, latches, tables) =
            (self.inputs.len() as u64, self.flip_flops.len() as u64, self.tables.len() as u64);
        u64::from(LENGTH) * (inputs + 2 * latches + 3 * tables / 2)
    }

    /// Makes the waves of the flip-flops.
    pub(super) fn run(&mut self, waves: &mut Waves, edges: &mut Edges) {
        let levels = &mut self.levels[..];
        for latch in &mut self.flip_flops {
            latch.next = edges.first[usize::from(latch.slot - FIRST_FLIP_FLOP)] as u8;
        }
        for cycle in 0..LENGTH {
            for (level, &slot) in levels.iter_mut().zip(&self.inputs) {
                *level = (waves[slot] >> cycle & 1) as u8;
            }
            let places = levels[self.inputs.len()..].iter_mut();
            for (level, latch) in places.zip(&mut self.flip_flops) {
                *level = latch.next;
                latch.wave = latch.wave >> 1 | Wave::from(latch.next) << (LENGTH - 1);
            }
            for (place, table) in (self.inputs.len() + self.flip_flops.len()..).zip(&self.tables) {
                let [a, b, c, d] = table.inputs.map(|place| u32::from(levels[usize::from(place)]));
                levels[place] = (u32::from(table.bits) >> (a | b << 1 | c << 2 | d << 3) & 1) as u8;
            }
            let (plain, others) = self.flip_flops.split_at_mut(self.plain);
            for latch in plain {
                latch.next = levels[usize::from(latch.data)];
            }
            for latch in others {
                let level = |place: u16| levels[usize::from(place)];
                let set_reset = level(latch.set_reset);
                let taken = set_reset & latch.set | (set_reset ^ 1) & level(latch.data);
                let enable = level(latch.enable);
                latch.next = enable & taken | (enable ^ 1) & latch.next;
            }
        }
        for latch in &self.flip_flops {
            waves[latch.slot] = latch.wave;
            edges.after[usize::from(latch.slot - FIRST_FLIP_FLOP)] = Wave::from(latch.next);
        }
    }
}
