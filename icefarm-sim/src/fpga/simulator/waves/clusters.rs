//! Goes through the cycles of a small knot one by one, with a few tables or flip-flops at a time.

use super::super::super::circuit::{Circuit, FIRST_FLIP_FLOP, Slot};
use super::functions::{Function, Functions, TableRow};
use super::gather::Place;
use super::index::OTHERS;
use super::lanes::{Square, ordered, transpose};
use super::lookups::{Item, Lookups, Places};
use super::{Edges, Wave, Waves};
use std::collections::BTreeMap;

/// A knot whose signals fit in a few words. In each cycle tables are [looked up](Lookups) row by
/// row, and then what the flip-flops take.
#[derive(Debug, Clone)]
pub(super) struct Clusters<const N: usize> {
    flip_flops: Vec<(Slot, Place)>,
    /// The signals from outside.
    inputs: Vec<(Slot, Place)>,
    /// The tables that others look at.
    rows: Vec<Row<N>>,
    /// The levels of the flip-flops in the next cycle.
    last: Level<N>,
    /// By source and target: flip-flops that follow others which lie as they do.
    moves: [[Vec<Move>; N]; N],
}

#[derive(Debug, Clone)]
enum Row<const N: usize> {
    Plain(Level<N>),
    /// What the tables of a chain are if the one before gives 0 or 1, and where they are.
    Chain(Lookups<N, 2>, Place),
}

/// The outputs in each word.
type Level<const N: usize> = [Lookups<N, 1>; N];

/// Bits that only have to be turned into place.
#[derive(Debug, Clone)]
struct Move {
    turn: u32,
    mask: Wave,
}

/// So many bits are worth a move.
const RUN: u32 = 3;

impl<const N: usize> Clusters<N> {
    /// Nothing if the signals of a ring do not fit.
    pub(super) fn new(circuit: &Circuit, ring: &[Slot]) -> Option<Self> {
        let first_table = circuit.first_table();
        if ring.partition_point(|&slot| slot < first_table) > 64 * N {
            return None;
        }
        let Functions { rows, flip_flops } = Functions::new(circuit, ring);
        let slots: Vec<Slot> = flip_flops.iter().map(|function| function.slot).collect();
        let tables = rows.iter().flat_map(TableRow::functions);
        let mut inputs: Vec<Slot> =
            tables.chain(&flip_flops).flat_map(|function| &function.inputs).copied().collect();
        inputs.sort_unstable();
        inputs.dedup();
        inputs.retain(|slot| ring.binary_search(slot).is_err());
        let chains = rows.iter().map(|row| match row {
            TableRow::Plain(functions) => (false, slots_of(functions)),
            TableRow::Chain(stages) => (true, stages.iter().map(|[low, _]| low.slot).collect()),
        });
        let chains: Vec<(bool, Vec<Slot>)> = chains.collect();
        let loose = [ordered(circuit, &slots, &[]).concat(), inputs.clone()];
        let loose = loose.into_iter().map(|slots| (false, slots));
        let places = places(loose.chain(chains), 64 + (N - 1) * OTHERS)?;
        let mut waves = Waves::new(usize::from(circuit.end()));
        let (moves, rest) = moves(flip_flops, &places);
        let rows = rows.into_iter().map(|row| Row::new(row, &places, &mut waves));
        Some(Self {
            flip_flops: slots.into_iter().map(|slot| (slot, places[&slot])).collect(),
            inputs: inputs.into_iter().map(|slot| (slot, places[&slot])).collect(),
            rows: rows.collect::<Option<_>>()?,
            last: level(rest, &places, &mut waves)?,
            moves,
        })
    }

    /// About how many nanoseconds [`Self::run`] takes.
    pub(super) fn cost(&self) -> u64 {
        let level = |level: &Level<N>| level.iter().map(Lookups::cost).sum::<u64>() + 20;
        let rows = self.rows.iter().map(|row| match row {
            Row::Plain(outputs) => level(outputs),
            Row::Chain(stages, _) => stages.cost() + 40,
        });
        let moves = self.moves.iter().flatten().map(Vec::len).sum::<usize>();
        let tenths = rows.sum::<u64>() + level(&self.last) + (10 * moves + 20 * N) as u64;
        64 * tenths / 10
    }

    /// Makes the waves of the flip-flops.
    pub(super) fn run(&self, waves: &mut Waves, edges: &mut Edges) {
        let mut outside: [Square; N] = [[0; 64]; N];
        for &(slot, Place { word, bit }) in &self.inputs {
            outside[usize::from(word)][usize::from(bit)] = waves[slot];
        }
        if !self.inputs.is_empty() {
            outside.iter_mut().for_each(transpose);
        }
        let mut next = [0; N];
        for &(slot, Place { word, bit }) in &self.flip_flops {
            next[usize::from(word)] |= edges.first[usize::from(slot - FIRST_FLIP_FLOP)] << bit;
        }
        let mut past: [Square; N] = [[0; 64]; N];
        for cycle in 0..64 {
            let mut words = next;
            for word in 0..N {
                past[word][cycle] = next[word];
                words[word] |= outside[word][cycle];
            }
            for row in &self.rows {
                row.settle(&mut words);
            }
            next = outputs(&self.last, &words);
            for (word, targets) in words.iter().zip(&self.moves) {
                for (next, moves) in next.iter_mut().zip(targets) {
                    for Move { turn, mask } in moves {
                        *next |= word.rotate_left(*turn) & mask;
                    }
                }
            }
        }
        past.iter_mut().for_each(transpose);
        for &(slot, Place { word, bit }) in &self.flip_flops {
            waves[slot] = past[usize::from(word)][usize::from(bit)];
            edges.after[usize::from(slot - FIRST_FLIP_FLOP)] = next[usize::from(word)] >> bit & 1;
        }
    }
}

impl<const N: usize> Row<N> {
    fn new(row: TableRow, places: &Places, waves: &mut Waves) -> Option<Self> {
        match row {
            TableRow::Plain(functions) => level(functions, places, waves).map(Self::Plain),
            TableRow::Chain(stages) => {
                let place = places[&stages.first()?[0].slot];
                let items = stages.into_iter().zip(0..);
                let items = items.map(|(functions, bit)| Item { functions, bit });
                Some(Self::Chain(Lookups::new(items.collect(), places, waves)?, place))
            }
        }
    }

    #[inline(always)]
    fn settle(&self, words: &mut [Wave; N]) {
        match self {
            Self::Plain(level) => {
                let outputs = outputs(level, words);
                words.iter_mut().zip(outputs).for_each(|(word, output)| *word |= output);
            }
            Self::Chain(stages, place) => {
                let [alone, carried] = stages.outputs(words);
                // See `Tables::settle` of lanes.
                let sum = (alone.wrapping_add(carried) ^ alone ^ carried) >> 1;
                // Words stay in registers if none is chosen by number.
                for (number, word) in words.iter_mut().enumerate() {
                    *word |= if number == usize::from(place.word) { sum << place.bit } else { 0 };
                }
            }
        }
    }
}

fn level<const N: usize>(
    functions: Vec<Function>,
    places: &Places,
    waves: &mut Waves,
) -> Option<Level<N>> {
    let mut words: [Vec<Item<1>>; N] = std::array::from_fn(|_| Vec::new());
    for function in functions {
        let Place { word, bit } = places[&function.slot];
        words[usize::from(word)].push(Item { functions: [function], bit });
    }
    let lookups = words.into_iter().map(|items| Lookups::new(items, places, waves));
    lookups.collect::<Option<Vec<_>>>()?.try_into().ok()
}

#[inline(always)]
fn outputs<const N: usize>(level: &Level<N>, words: &[Wave; N]) -> [Wave; N] {
    let mut outputs = [0; N];
    for (output, lookups) in outputs.iter_mut().zip(level) {
        [*output] = lookups.outputs(words);
    }
    outputs
}

fn slots_of(functions: &[Function]) -> Vec<Slot> {
    functions.iter().map(|function| function.slot).collect()
}

/// Places for slots, if there are enough; some lists must be within a word.
fn places(lists: impl Iterator<Item = (bool, Vec<Slot>)>, most: usize) -> Option<Places> {
    let mut places = Places::new();
    let mut end = 0;
    for (together, slots) in lists {
        if together && end % 64 + slots.len() > 64 {
            end = end.next_multiple_of(64);
        }
        for slot in slots {
            let place = Place { word: (end / 64) as u16, bit: (end % 64) as u8 };
            places.insert(slot, place);
            end += 1;
        }
    }
    (end <= most).then_some(places)
}

/// Finds what is worth moving among the flip-flops that follow others; gives the rest as well.
fn moves<const N: usize>(
    flip_flops: Vec<Function>,
    places: &Places,
) -> ([[Vec<Move>; N]; N], Vec<Function>) {
    let kind = |function: &Function| {
        let (from, to) = (places[&function.follows()?], places[&function.slot]);
        Some((from.word, to.word, to.bit.wrapping_sub(from.bit) % 64))
    };
    let mut masks: BTreeMap<(u16, u16, u8), Wave> = BTreeMap::new();
    for function in &flip_flops {
        if let Some(kind) = kind(function) {
            *masks.entry(kind).or_default() |= 1 << places[&function.slot].bit;
        }
    }
    masks.retain(|_, mask| mask.count_ones() >= RUN);
    let is_moved =
        |function: &Function| kind(function).is_some_and(|kind| masks.contains_key(&kind));
    let rest = flip_flops.into_iter().filter(|function| !is_moved(function)).collect();
    let mut moves = std::array::from_fn(|_| std::array::from_fn(|_| Vec::new()));
    for ((from, to, turn), mask) in masks {
        let turn = u32::from(turn);
        moves[usize::from(from)][usize::from(to)].push(Move { turn, mask });
    }
    (moves, rest)
}
