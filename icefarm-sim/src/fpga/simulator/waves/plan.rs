//! The order in which the waves of a circuit are made.

use super::super::super::circuit::{Circuit, FIRST_FLIP_FLOP, HIGH_SLOT, Slot};
use super::components::components;
use super::flip_flop::{FlipFlop, follow};
use super::knot::Knot;
use super::table::Table;
use super::{Edges, Wave, Waves};

/// A part of a circuit, whose waves depend on those of the parts before it.
#[derive(Debug, Clone)]
pub(super) enum Part {
    Table(Table),
    /// A flip-flop that does not depend on itself.
    Delay(FlipFlop),
    /// A flip-flop that depends on itself, by way of these tables.
    Ring(FlipFlop, Vec<Table>),
    /// Flip-flops that depend on each other.
    Knot(Box<Knot>),
}

/// About how many nanoseconds it takes to delay a wave, and to follow one.
const DELAY: u64 = 4;
const FOLLOW: u64 = 20;

/// Makes the waves of parts. Gives the work: about a nanosecond each, on a core of 2020.
pub(super) fn run(parts: &mut [Part], waves: &mut Waves, edges: &mut Edges) -> u64 {
    let mut work = 0;
    for part in parts {
        work += part.run(waves, edges);
    }
    work
}

impl Part {
    fn run(&mut self, waves: &mut Waves, edges: &mut Edges) -> u64 {
        match self {
            Self::Table(table) => {
                table.settle(waves);
                table.cost()
            }
            Self::Delay(flip_flop) => {
                waves[flip_flop.slot] = flip_flop.delay(flip_flop.next(waves), edges);
                DELAY
            }
            Self::Ring(flip_flop, tables) => {
                let [low, high] = [0, Wave::MAX].map(|level| {
                    waves[flip_flop.slot] = level;
                    tables.iter().for_each(|table| table.settle(waves));
                    flip_flop.next(waves)
                });
                let wave = follow(low, high, edges.first[flip_flop.number()]);
                waves[flip_flop.slot] = flip_flop.delay(wave & high | !wave & low, edges);
                tables.iter().for_each(|table| table.settle(waves));
                FOLLOW + 3 * tables.iter().map(Table::cost).sum::<u64>()
            }
            Self::Knot(knot) => knot.run(waves, edges),
        }
    }
}

/// The tables of a circuit in the order of evaluation.
pub(super) fn tables(circuit: &Circuit) -> impl Iterator<Item = Table> {
    let slots = circuit.first_table()..;
    slots.zip(&circuit.lookups).map(|(slot, lookup)| Table::new(slot, lookup))
}

/// Finds the parts of a circuit and their order.
pub(super) fn plan(circuit: &Circuit) -> Vec<Part> {
    parts(circuit, FIRST_FLIP_FLOP..circuit.end(), &[])
}

/// The parts that some slots make, if those that are `cut` count as known.
pub(super) fn parts(
    circuit: &Circuit,
    slots: impl IntoIterator<Item = Slot>,
    cut: &[Slot],
) -> Vec<Part> {
    rings(circuit, slots, cut).into_iter().map(|ring| part(circuit, ring)).collect()
}

/// The sets of slots that depend on each other, each in ascending order, the first on none of the
/// others.
pub(super) fn rings(
    circuit: &Circuit,
    slots: impl IntoIterator<Item = Slot>,
    cut: &[Slot],
) -> Vec<Vec<Slot>> {
    let count = usize::from(circuit.end());
    let mut within = vec![false; count];
    let slots: Vec<usize> =
        slots.into_iter().filter(|slot| !cut.contains(slot)).map(usize::from).collect();
    slots.iter().for_each(|&slot| within[slot] = true);
    let needs = |slot: usize| {
        let needs = needs(circuit, slot as Slot).map(usize::from);
        needs.into_iter().filter(|&needed| within[needed])
    };
    let mut rings = components(slots.iter().copied(), count, needs);
    rings.iter_mut().for_each(|ring| ring.sort_unstable());
    rings.into_iter().map(|ring| ring.into_iter().map(|slot| slot as Slot).collect()).collect()
}

/// The slots that the one of a flip-flop or table depends on.
pub(super) fn needs(circuit: &Circuit, slot: Slot) -> [Slot; 4] {
    match slot.checked_sub(circuit.first_table()) {
        Some(number) => circuit.lookups[usize::from(number)].inputs,
        None => {
            let latch = &circuit.latches[usize::from(slot - FIRST_FLIP_FLOP)];
            // One that is not enabled stays as it is.
            let itself = if latch.enable == HIGH_SLOT { HIGH_SLOT } else { slot };
            [latch.data, latch.enable, latch.set_reset, itself]
        }
    }
}

fn part(circuit: &Circuit, ring: Vec<Slot>) -> Part {
    let first_table = circuit.first_table();
    let tables = ring.iter().filter(|&&slot| slot >= first_table);
    let mut tables: Vec<Table> = tables
        .map(|&slot| Table::new(slot, &circuit.lookups[usize::from(slot - first_table)]))
        .collect();
    match ring[..] {
        [slot] if slot >= first_table => tables.pop().map(Part::Table),
        [slot, ..] => {
            let number = usize::from(slot - FIRST_FLIP_FLOP);
            let flip_flop = FlipFlop::new(number, &circuit.latches[number]);
            if ring.get(1).is_some_and(|&second| second < first_table) {
                Some(Part::Knot(Box::new(Knot::new(circuit, ring, tables))))
            } else if tables.is_empty() && !needs(circuit, slot).contains(&slot) {
                Some(Part::Delay(flip_flop))
            } else {
                Some(Part::Ring(flip_flop, tables))
            }
        }
        [] => None,
    }
    .expect("a component has members")
}
