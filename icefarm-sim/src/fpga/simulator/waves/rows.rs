//! Puts the tables of a knot into rows that can be evaluated at once.

use super::super::super::circuit::{Circuit, FIRST_FLIP_FLOP, Slot};
use super::components::components;
use std::collections::{HashMap, HashSet};

/// Tables of which none looks at another one of the same row, unless they are a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) slots: Vec<Slot>,
    /// For a chain, the input of each table but the first that is connected to the table before.
    pub(super) links: Vec<usize>,
}

/// The longest chain: its carry must fit in a word too.
const LONGEST: usize = 63;

/// The shortest chain that is worth an addition.
const SHORTEST: usize = 4;

/// The rows of some tables, which are in the order of evaluation. Every row looks only at those
/// before it. Tables that are the data of flip-flops come first in theirs.
pub(super) fn rows(circuit: &Circuit, flip_flops: &[Slot], tables: &[Slot]) -> Vec<Row> {
    let (nodes, levels) = levels(circuit, tables);
    let data = |slot: &Slot| circuit.latches[usize::from(slot - FIRST_FLIP_FLOP)].data;
    let data: HashSet<Slot> = flip_flops.iter().map(data).collect();
    let mut rows = Vec::new();
    for level in 0..=levels.iter().copied().max().unwrap_or(0) {
        let nodes = nodes.iter().zip(&levels).filter(|&(_, &own)| own == level);
        let (chains, single): (Vec<&Row>, Vec<&Row>) =
            nodes.map(|(node, _)| node).partition(|node| !node.links.is_empty());
        let mut single: Vec<Slot> = single.iter().flat_map(|node| &node.slots).copied().collect();
        single.sort_by_key(|slot| (!data.contains(slot), *slot));
        let plain = |slots: &[Slot]| Row { slots: slots.to_vec(), links: Vec::new() };
        rows.extend(single.chunks(64).map(plain));
        rows.extend(chains.into_iter().cloned());
    }
    rows
}

/// Chains and single tables, and the level of each: one more than the highest that it looks at.
fn levels(circuit: &Circuit, tables: &[Slot]) -> (Vec<Row>, Vec<usize>) {
    let mut nodes = chains(circuit, tables);
    loop {
        let of = owners(&nodes);
        let needs = |node: usize| {
            let needs =
                nodes[node].slots.iter().flat_map(|&slot| super::plan::needs(circuit, slot));
            needs.filter_map(|slot| of.get(&slot).copied()).filter(move |&other| other != node)
        };
        let order = components(0..nodes.len(), nodes.len(), needs);
        // Chains that look at each other crosswise are none.
        let crossed: HashSet<usize> =
            order.iter().filter(|ring| ring.len() > 1).flatten().copied().collect();
        if crossed.is_empty() {
            let mut levels = vec![0; nodes.len()];
            for node in order.into_iter().flatten() {
                levels[node] = needs(node).map(|other| levels[other] + 1).max().unwrap_or(0);
            }
            return (nodes, levels);
        }
        let all = nodes.into_iter().enumerate();
        nodes = all
            .flat_map(
                |(number, node)| if crossed.contains(&number) { split(node) } else { vec![node] },
            )
            .collect();
    }
}

fn owners(nodes: &[Row]) -> HashMap<Slot, usize> {
    let slots = nodes.iter().enumerate();
    slots.flat_map(|(node, row)| row.slots.iter().map(move |&slot| (slot, node))).collect()
}

fn split(row: Row) -> Vec<Row> {
    row.slots.into_iter().map(|slot| Row { slots: vec![slot], links: Vec::new() }).collect()
}

/// Divides tables into chains such as those of carries: each table follows the one before in that
/// it rises with it, whatever its other inputs are. Most chains are of one table.
fn chains(circuit: &Circuit, tables: &[Slot]) -> Vec<Row> {
    let first_table = circuit.first_table();
    let mut depth: HashMap<Slot, usize> = HashMap::new();
    let mut chains: Vec<Row> = Vec::new();
    let mut of: HashMap<Slot, usize> = HashMap::new();
    for &slot in tables {
        let lookup = &circuit.lookups[usize::from(slot - first_table)];
        let deepest = lookup.inputs.iter().filter_map(|input| depth.get(input)).max().copied();
        depth.insert(slot, deepest.map_or(0, |deepest| deepest + 1));
        let link = (0..4).find(|&input| {
            let before = lookup.inputs[input];
            let Some(&chain) = of.get(&before) else { return false };
            let others = (0..4).filter(|&other| other != input);
            depth.get(&before) == deepest.as_ref()
                && rises(lookup.bits, input)
                && chains[chain].slots.last() == Some(&before)
                && chains[chain].slots.len() < LONGEST
                && others.map(|other| of.get(&lookup.inputs[other])).all(|of| of != Some(&chain))
        });
        match link {
            Some(link) => {
                let chain = of[&lookup.inputs[link]];
                chains[chain].slots.push(slot);
                chains[chain].links.push(link);
                of.insert(slot, chain);
            }
            None => {
                of.insert(slot, chains.len());
                chains.push(Row { slots: vec![slot], links: Vec::new() });
            }
        }
    }
    let pays = |row: &Row| row.slots.len() >= SHORTEST;
    chains.into_iter().flat_map(|row| if pays(&row) { vec![row] } else { split(row) }).collect()
}

/// Whether a truth table is nowhere lower where an input is 1 than where it is 0.
fn rises(bits: u16, input: usize) -> bool {
    held(bits, input, false) & !held(bits, input, true) == 0
}

/// A truth table with one input held at a level.
pub(super) fn held(bits: u16, input: usize, level: bool) -> u16 {
    (0..16).fold(0, |held, row| {
        let there = row & !(1 << input) | usize::from(level) << input;
        held | (bits >> there & 1) << row
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fpga::circuit::{LOW_SLOT, Lookup};

    #[test]
    fn carries_are_one_row() {
        // Two chains of ten, the second of which looks at the first, and a table that looks at both.
        let first = |bit: Slot| FIRST_FLIP_FLOP + bit;
        let mut lookups: Vec<Lookup> = (0..20)
            .map(|bit| {
                let before = if bit % 10 == 0 { LOW_SLOT } else { first(bit - 1) };
                let other = if bit < 10 { LOW_SLOT } else { first(bit - 10) };
                Lookup { bits: 0xE8E8, inputs: [before, other, LOW_SLOT, LOW_SLOT] }
            })
            .collect();
        let inputs = [first(9), first(19), LOW_SLOT, LOW_SLOT];
        lookups.push(Lookup { bits: 0x6666, inputs });
        let circuit = Circuit::of(first(20), Vec::new(), lookups);
        let rows = rows(&circuit, &[], &(first(0)..=first(20)).collect::<Vec<_>>());
        let sizes: Vec<usize> = rows.iter().map(|row| row.slots.len()).collect();
        assert_eq!(sizes, [10, 10, 1]);
        assert_eq!(rows[0].links, [0; 9]);
    }

    #[test]
    fn tables_rise_or_not() {
        for input in 0..3 {
            assert!(rises(0xE8E8, input));
            assert!(!rises(0x9696, input));
        }
        assert_eq!((held(0xE8E8, 2, false), held(0xE8E8, 2, true)), (0x8888, 0xEEEE));
    }
}
