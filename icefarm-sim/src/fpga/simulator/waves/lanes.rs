//! Goes through the cycles of a knot one by one, with 64 tables or flip-flops at a time.

use super::super::super::circuit::{Circuit, FIRST_FLIP_FLOP, HIGH_SLOT, LOW_SLOT, Slot};
use super::gather::{Gather, Place, Source};
use super::plan::needs;
use super::rows::{Row, held, rows};
use super::table::{Terms, sum};
use super::{Edges, Wave, Waves};
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

/// The tables and flip-flops of a knot as lanes of words.
///
/// Within a cycle words are what waves are over time: each bit stands for another signal. First
/// come the words of the signals from outside, then those of the flip-flops, then those of the
/// tables, of which each looks only at words before its own.
#[derive(Debug, Clone)]
pub(super) struct Lanes {
    inputs: Vec<Vec<Slot>>,
    flip_flops: Vec<FlipFlops>,
    tables: Vec<Tables>,
    words: Vec<Wave>,
}

#[derive(Debug, Clone)]
struct FlipFlops {
    slots: Vec<Slot>,
    /// Data, enable, set/reset.
    gather: Gather,
    set: Wave,
    next: Wave,
    /// The word in each cycle.
    past: Box<Square>,
}

#[derive(Debug, Clone)]
struct Tables {
    gather: Gather,
    /// What the tables are; for a chain, if the table before gives 0.
    terms: [Wave; 16],
    /// For a chain, what the tables are if the one before gives 1.
    carried: Option<Box<[Wave; 16]>>,
}

/// 64 signals in 64 cycles.
pub(super) type Square = [Wave; 64];

/// About how many nanoseconds a word of tables or flip-flops takes beside its gathering.
const WORD: u64 = 8;

impl Lanes {
    pub(super) fn new(circuit: &Circuit, ring: &[Slot]) -> Self {
        let first_table = circuit.first_table();
        let mut inputs: Vec<Slot> = ring.iter().flat_map(|&slot| needs(circuit, slot)).collect();
        inputs.sort_unstable();
        inputs.dedup();
        inputs.retain(|&slot| slot > HIGH_SLOT && ring.binary_search(&slot).is_err());
        let (flip_flops, tables) = ring.split_at(ring.partition_point(|&slot| slot < first_table));
        let inputs: Vec<Vec<Slot>> = inputs.chunks(64).map(<[Slot]>::to_vec).collect();
        let tables = rows(circuit, flip_flops, tables);
        let flip_flops = ordered(circuit, flip_flops, &tables);

        let mut places: HashMap<Slot, Place> = HashMap::new();
        let tables_of = tables.iter().map(|row| &row.slots);
        let words = inputs.iter().chain(&flip_flops).chain(tables_of);
        for (word, slots) in (0u16..).zip(words) {
            let bits = (0u8..).zip(slots);
            places.extend(bits.map(|(bit, &slot)| (slot, Place { word, bit })));
        }
        let source = |slot: Slot| match places.get(&slot) {
            Some(&place) => Source::Place(place),
            None => Source::Constant(slot == HIGH_SLOT),
        };
        let words = vec![0; inputs.len() + flip_flops.len() + tables.len()];
        let flip_flops = flip_flops.into_iter().map(|slots| {
            let latch = |&slot: &Slot| &circuit.latches[usize::from(slot - FIRST_FLIP_FLOP)];
            let latches = slots.iter().map(latch);
            let lanes = latches
                .clone()
                .map(|latch| [latch.data, latch.enable, latch.set_reset, LOW_SLOT].map(source));
            let gather = Gather::new(&lanes.collect::<Vec<_>>());
            let set = latches.enumerate().map(|(bit, latch)| Wave::from(latch.set) << bit).sum();
            FlipFlops { slots, gather, set, next: 0, past: Box::new([0; 64]) }
        });
        let tables = tables.iter().map(|row| Tables::new(circuit, row, source));
        let (flip_flops, tables) = (flip_flops.collect(), tables.collect());
        Self { inputs, flip_flops, tables, words }
    }

    /// About how many nanoseconds [`Self::run`] takes.
    pub(super) fn cost(&self) -> u64 {
        let gathers = self.flip_flops.iter().map(|flip_flops| &flip_flops.gather);
        let cycle = gathers.map(|gather| gather.cost() / 10 + WORD).sum::<u64>()
            + self.tables.iter().map(Tables::cost).sum::<u64>();
        64 * (cycle + 6 * self.inputs.len() as u64)
    }

    /// Makes the waves of the flip-flops.
    pub(super) fn run(&mut self, waves: &mut Waves, edges: &mut Edges) {
        let inputs = self.inputs.iter().map(|slots| {
            let mut square: Square = [0; 64];
            for (row, &slot) in square.iter_mut().zip(slots) {
                *row = waves[slot];
            }
            transpose(&mut square);
            square
        });
        let inputs: Vec<Square> = inputs.collect();
        for flip_flops in &mut self.flip_flops {
            let level = |&slot: &Slot| edges.first[usize::from(slot - FIRST_FLIP_FLOP)];
            let levels = flip_flops.slots.iter().map(level).enumerate();
            flip_flops.next = levels.map(|(bit, level)| level << bit).sum();
        }
        for cycle in 0..64 {
            self.cycle(cycle, &inputs);
        }
        for flip_flops in &mut self.flip_flops {
            transpose(&mut flip_flops.past);
            let slots = flip_flops.slots.iter().zip(flip_flops.past.iter());
            for (bit, (&slot, &wave)) in slots.enumerate() {
                waves[slot] = wave;
                edges.after[usize::from(slot - FIRST_FLIP_FLOP)] = flip_flops.next >> bit & 1;
            }
        }
    }

    fn cycle(&mut self, cycle: usize, inputs: &[Square]) {
        let words = &mut self.words[..];
        for (word, square) in words.iter_mut().zip(inputs) {
            *word = square[cycle];
        }
        let first_word = self.inputs.len();
        for (word, flip_flops) in words[first_word..].iter_mut().zip(&mut self.flip_flops) {
            *word = flip_flops.next;
            flip_flops.past[cycle] = flip_flops.next;
        }
        let first_table = first_word + self.flip_flops.len();
        for (place, tables) in (first_table..).zip(&self.tables) {
            words[place] = tables.settle(words);
        }
        for flip_flops in &mut self.flip_flops {
            let [data, enable, set_reset, _] = flip_flops.gather.collect(words);
            let taken = set_reset & flip_flops.set | !set_reset & data;
            flip_flops.next = enable & taken | !enable & flip_flops.next;
        }
    }
}

impl Tables {
    fn new(circuit: &Circuit, row: &Row, source: impl Fn(Slot) -> Source) -> Self {
        let mut tables = Vec::new();
        let mut lanes = Vec::new();
        for (lane, &slot) in row.slots.iter().enumerate() {
            let lookup = &circuit.lookups[usize::from(slot - circuit.first_table())];
            let mut sources = lookup.inputs.map(&source);
            let link = lane.checked_sub(1).and_then(|before| row.links.get(before));
            tables.push(match link {
                None => [lookup.bits; 2],
                Some(&link) => {
                    sources[link] = Source::Constant(false);
                    [false, true].map(|level| held(lookup.bits, link, level))
                }
            });
            lanes.push(sources);
        }
        let orders = aligned(&mut lanes);
        let terms = |which: usize| {
            let mut terms = [0; 16];
            for (bit, (bits, &order)) in tables.iter().zip(&orders).enumerate() {
                let Terms(sum) = Terms::of(reordered(bits[which], order));
                for (term, takes_part) in terms.iter_mut().zip(sum) {
                    *term |= Wave::from(takes_part) << bit;
                }
            }
            terms
        };
        let carried = (!row.links.is_empty()).then(|| Box::new(terms(1)));
        Self { gather: Gather::new(&lanes), terms: terms(0), carried }
    }

    /// The outputs.
    ///
    /// In a chain a table gives 1 where it does so by itself, or where it would if the one before
    /// does and that is so. That is how carries run through the addition of the two.
    fn settle(&self, words: &[Wave]) -> Wave {
        let inputs = self.gather.collect(words);
        let alone = sum(&self.terms, inputs);
        match &self.carried {
            None => alone,
            Some(carried) => {
                let carried = sum(carried, inputs);
                (alone.wrapping_add(carried) ^ alone ^ carried) >> 1
            }
        }
    }

    fn cost(&self) -> u64 {
        let chain = if self.carried.is_some() { WORD } else { 0 };
        self.gather.cost() / 10 + WORD + chain
    }
}

/// Reorders the inputs of lanes such that those that lie as they are needed, as the flip-flop of a
/// counter's stage does for its table, come to the same input in all lanes. Gives the new orders.
fn aligned(lanes: &mut [[Source; 4]]) -> Vec<[usize; 4]> {
    let turn = |lane: usize, source: Source| match source {
        Source::Constant(_) => None,
        Source::Place(place) => Some((place.word, (lane + 64 - usize::from(place.bit)) % 64)),
    };
    let mut count: HashMap<_, usize> = HashMap::new();
    for (lane, sources) in lanes.iter().enumerate() {
        for turn in sources.iter().filter_map(|&source| turn(lane, source)) {
            *count.entry(turn).or_default() += 1;
        }
    }
    let orders = lanes.iter_mut().enumerate().map(|(lane, sources)| {
        let common = |source: Source| turn(lane, source).map_or(0, |turn| count[&turn]);
        let mut order = [0, 1, 2, 3];
        order.sort_by_key(|&input| Reverse((common(sources[input]), turn(lane, sources[input]))));
        *sources = order.map(|input| sources[input]);
        order
    });
    orders.collect()
}

/// A truth table with its inputs in another order.
fn reordered(bits: u16, order: [usize; 4]) -> u16 {
    (0..16u16).fold(0, |reordered, new| {
        let inputs = (0..4).map(|input| (new >> input & 1) << order[input]);
        reordered | (bits >> inputs.sum::<u16>() & 1) << new
    })
}

/// Flip-flops in words, such that those that follow each other, or follow others that lie beside
/// each other, do so too.
pub(super) fn ordered(circuit: &Circuit, flip_flops: &[Slot], tables: &[Row]) -> Vec<Vec<Slot>> {
    let data = |slot: Slot| circuit.latches[usize::from(slot - FIRST_FLIP_FLOP)].data;
    let mut followers: HashMap<Slot, Vec<Slot>> = HashMap::new();
    for &slot in flip_flops {
        followers.entry(data(slot)).or_default().push(slot);
    }
    let is_head = |slot: &&Slot| flip_flops.binary_search(&data(**slot)).is_err();
    let mut heads: Vec<Slot> = flip_flops.iter().filter(is_head).copied().collect();
    let rank: HashMap<Slot, usize> =
        tables.iter().flat_map(|row| &row.slots).copied().zip(0..).collect();
    heads.sort_by_key(|&slot| rank.get(&data(slot)).copied().unwrap_or(usize::MAX));
    // A ring of flip-flops alone has none.
    heads.extend(flip_flops);
    let mut seen = HashSet::new();
    let mut chains: Vec<Vec<Slot>> = Vec::new();
    for head in heads {
        let mut chain = Vec::new();
        let mut next = Some(head);
        while let Some(slot) = next.filter(|&slot| seen.insert(slot)) {
            chain.push(slot);
            next = followers
                .get(&slot)
                .and_then(|all| all.iter().find(|s| !seen.contains(*s)))
                .copied();
        }
        if !chain.is_empty() {
            chains.push(chain);
        }
    }
    let longest = chains.iter().map(Vec::len).max().unwrap_or(0);
    let order: Vec<Slot> = if longest > chains.len() {
        chains.concat()
    } else {
        (0..longest)
            .flat_map(|step| chains.iter().filter_map(move |c| c.get(step).copied()))
            .collect()
    };
    order.chunks(64).map(<[Slot]>::to_vec).collect()
}

/// Swaps rows and columns: bit `i` of word `k` with bit `k` of word `i`.
pub(super) fn transpose(square: &mut Square) {
    let mut mask = Wave::MAX >> 32;
    let mut size = 32;
    while size != 0 {
        for block in square.chunks_exact_mut(2 * size) {
            let (low, high) = block.split_at_mut(size);
            for (low, high) in low.iter_mut().zip(high) {
                let swap = (*low >> size ^ *high) & mask;
                *low ^= swap << size;
                *high ^= swap;
            }
        }
        size /= 2;
        mask ^= mask << size;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_become_columns(rows in prop::collection::vec(any::<u64>(), 64)) {
            let mut square: Square = rows.clone().try_into().unwrap();
            transpose(&mut square);
            for (i, row) in rows.iter().enumerate() {
                for (k, column) in square.iter().enumerate() {
                    prop_assert_eq!(row >> k & 1, column >> i & 1);
                }
            }
        }
    }
}
