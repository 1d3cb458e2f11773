//! Functions that are looked up together.

use super::super::super::circuit::Slot;
use super::functions::Function;
use super::gather::Place;
use super::index::{BITS, Index, ROWS, words};
use super::{Wave, Waves};
use std::collections::HashMap;

pub(super) type Places = HashMap<Slot, Place>;

/// `R` functions of the same inputs, whose outputs are the same bit of `R` words.
pub(super) struct Item<const R: usize> {
    pub(super) functions: [Function; R],
    pub(super) bit: u8,
}

/// Functions of signals in `N` words, whose outputs are `R` words.
///
/// Those that share inputs are a cluster, and are looked up together by all of these. It takes
/// fewer steps if they are in the same word.
#[derive(Debug, Clone)]
pub(super) struct Lookups<const N: usize, const R: usize> {
    of_one: [Vec<Cluster<1, R>>; N],
    of_all: Vec<Cluster<N, R>>,
}

#[derive(Debug, Clone)]
struct Cluster<const N: usize, const R: usize> {
    index: Index<N>,
    rows: [[Wave; R]; ROWS],
}

impl<const N: usize, const R: usize> Lookups<N, R> {
    /// Nothing if a function has too many inputs.
    pub(super) fn new(items: Vec<Item<R>>, places: &Places, waves: &mut Waves) -> Option<Self> {
        let mut of_one: [Vec<Item<R>>; N] = std::array::from_fn(|_| Vec::new());
        let mut of_all = Vec::new();
        for item in items {
            let mut words = item.inputs().iter().map(|slot| places[slot].word);
            let first = words.next().unwrap_or(0);
            if words.all(|word| word == first) {
                of_one[usize::from(first)].push(item);
            } else {
                of_all.push(item);
            }
        }
        let at = |&slot: &Slot| places[&slot];
        let at_one = |&slot: &Slot| Place { word: 0, ..places[&slot] };
        let of_one = of_one.map(|items| clusters(items, at_one, waves));
        if of_one.iter().any(Option::is_none) {
            return None;
        }
        let of_one = of_one.map(Option::unwrap_or_default);
        Some(Self { of_one, of_all: clusters(of_all, at, waves)? })
    }

    #[inline(always)]
    pub(super) fn outputs(&self, words: &[Wave; N]) -> [Wave; R] {
        let mut sum = [0; R];
        for (word, clusters) in words.iter().zip(&self.of_one) {
            for cluster in clusters {
                cluster.add(&[*word], &mut sum);
            }
        }
        for cluster in &self.of_all {
            cluster.add(words, &mut sum);
        }
        sum
    }

    /// About how many tenths of a nanosecond [`Self::outputs`] takes.
    pub(super) fn cost(&self) -> u64 {
        let of_one = self.of_one.iter().map(Vec::len).sum::<usize>();
        ((4 + R) * of_one + (2 + 2 * N + R) * self.of_all.len()) as u64
    }
}

/// Puts functions into clusters.
fn clusters<const N: usize, const R: usize>(
    mut left: Vec<Item<R>>,
    at: impl Fn(&Slot) -> Place,
    waves: &mut Waves,
) -> Option<Vec<Cluster<N, R>>> {
    let at = |slots: &[Slot]| slots.iter().map(&at).collect::<Vec<_>>();
    let mut clusters = Vec::new();
    while let Some(first) = left.pop() {
        let mut inputs = first.inputs().to_vec();
        let mut index = Index::new(&at(&inputs))?;
        let mut members = vec![first];
        // Whoever brings the fewest new inputs joins.
        while let Some((best, more)) = left
            .iter()
            .enumerate()
            .map(|(number, item)| (number, union(&inputs, item.inputs())))
            .min_by_key(|(_, more)| more.len())
            && more.len() <= BITS
            && let Some(found) = Index::new(&at(&more))
        {
            members.push(left.remove(best));
            (inputs, index) = (more, found);
        }
        clusters.push(Cluster::new(&members, &inputs, &at(&inputs), index, waves));
    }
    Some(clusters)
}

fn union(one: &[Slot], other: &[Slot]) -> Vec<Slot> {
    let new = other.iter().filter(|slot| !one.contains(slot));
    one.iter().chain(new).copied().collect()
}

impl<const R: usize> Item<R> {
    fn inputs(&self) -> &[Slot] {
        &self.functions[0].inputs
    }
}

impl<const N: usize, const R: usize> Cluster<N, R> {
    fn new(
        members: &[Item<R>],
        inputs: &[Slot],
        places: &[Place],
        index: Index<N>,
        waves: &mut Waves,
    ) -> Self {
        /// Waves that run through all combinations of six inputs.
        const ALL: [Wave; 6] = [
            0xAAAA_AAAA_AAAA_AAAA,
            0xCCCC_CCCC_CCCC_CCCC,
            0xF0F0_F0F0_F0F0_F0F0,
            0xFF00_FF00_FF00_FF00,
            0xFFFF_0000_FFFF_0000,
            0xFFFF_FFFF_0000_0000,
        ];
        let mut rows = [[0; R]; ROWS];
        for first in (0..1usize << inputs.len()).step_by(64) {
            for (number, &slot) in inputs.iter().enumerate() {
                let constant = if first >> number & 1 != 0 { Wave::MAX } else { 0 };
                waves[slot] = ALL.get(number).copied().unwrap_or(constant);
            }
            for item in members {
                for (output, function) in item.functions.iter().enumerate() {
                    let wave = function.wave(waves);
                    for combination in first..(1 << inputs.len()).min(first + 64) {
                        let level = wave >> (combination - first) & 1;
                        rows[index.of(&words(places, combination))][output] |= level << item.bit;
                    }
                }
            }
        }
        Self { index, rows }
    }

    #[inline(always)]
    fn add(&self, words: &[Wave; N], sum: &mut [Wave; R]) {
        let row = &self.rows[self.index.of(words)];
        sum.iter_mut().zip(row).for_each(|(sum, output)| *sum |= output);
    }
}
