//! Numbers the combinations of a few bits that lie anywhere in some words.

use super::Wave;
use super::gather::Place;
use std::cmp::Reverse;

/// The most bits that are numbered together, and the combinations that they have.
pub(super) const BITS: usize = 7;
pub(super) const ROWS: usize = 1 << BITS;

/// How many places of all words but the first can be taken, so that their bits can be brought to any
/// of those at the top.
pub(super) const OTHERS: usize = 64 - BITS + 1;

/// How many factors are tried. About ten are enough for most places.
const TRIALS: u64 = 2000;

/// A number for each combination of some bits: these are multiplied with a factor that brings them
/// to the top, where what else comes of the product does not mix them up.
#[derive(Debug, Clone)]
pub(super) struct Index<const N: usize> {
    masks: [Wave; N],
    factors: [Wave; N],
}

impl<const N: usize> Index<N> {
    /// Finds factors for some places, [`BITS`] at most. For so many there may be none.
    pub(super) fn new(places: &[Place]) -> Option<Self> {
        if places.len() > BITS {
            return None;
        }
        let mut masks = [0; N];
        for place in places {
            masks[usize::from(place.word)] |= 1 << place.bit;
        }
        let mut trials = (0..TRIALS).map(|trial| Self { masks, factors: factors(places, trial) });
        trials.find(|index| index.is_right(places))
    }

    /// The number of the combination in some words, less than [`ROWS`].
    #[inline(always)]
    pub(super) fn of(&self, words: &[Wave; N]) -> usize {
        let mut sum: Wave = 0;
        for ((word, mask), factor) in words.iter().zip(&self.masks).zip(&self.factors) {
            sum = sum.wrapping_add((word & mask).wrapping_mul(*factor));
        }
        (sum >> (64 - BITS)) as usize
    }

    /// Whether no two combinations have the same number.
    fn is_right(&self, places: &[Place]) -> bool {
        let mut seen: u128 = 0;
        (0..1usize << places.len()).all(|combination| {
            let number = 1 << self.of(&words(places, combination));
            let new = seen & number == 0;
            seen |= number;
            new
        })
    }
}

/// Words in which some places have the bits of a number.
pub(super) fn words<const N: usize>(places: &[Place], bits: usize) -> [Wave; N] {
    let mut words = [0; N];
    for (number, place) in places.iter().enumerate() {
        words[usize::from(place.word)] |= (bits as Wave >> number & 1) << place.bit;
    }
    words
}

/// Factors that bring the bits to the top in some order, and every other time something more, as
/// that may help where bits come in each other's way.
fn factors<const N: usize>(places: &[Place], trial: u64) -> [Wave; N] {
    let mut numbers = (0..).map(|number| scattered(trial << 8 | number));
    let mut number = || numbers.next().unwrap_or(0);
    // A factor moves bits up only, so that the highest have the least choice.
    let mut highest_first = places.to_vec();
    highest_first.sort_unstable_by_key(|place| Reverse(place.bit));
    let mut free: Vec<u32> = (64 - BITS as u32..64).collect();
    let mut factors = [0; N];
    for Place { word, bit } in highest_first {
        let first = free.partition_point(|&to| to < u32::from(bit));
        if first < free.len() {
            let to = free.remove(first + number() as usize % (free.len() - first));
            factors[usize::from(word)] |= 1 << (to - u32::from(bit));
        }
    }
    if !trial.is_multiple_of(2) {
        for factor in &mut factors {
            *factor ^= number() & number() & number() & number();
        }
    }
    factors
}

/// A number that looks random (splitmix64): the same on every machine.
fn scattered(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn place() -> impl Strategy<Value = (u16, u8)> {
        let first = (0u16..1, prop_oneof![0u8..64, 56u8..64]);
        prop_oneof![first, (1u16..2, prop_oneof![0..OTHERS as u8, 50..OTHERS as u8])]
    }

    proptest! {
        #[test]
        fn every_combination_has_its_number(
            places in prop::collection::hash_set(place(), 0..=BITS), noise: [u64; 2],
        ) {
            let places: Vec<Place> =
                places.into_iter().map(|(word, bit)| Place { word, bit }).collect();
            let found = Index::<2>::new(&places);
            prop_assert!(found.is_some() || places.len() == BITS);
            let Some(index) = found else { return Ok(()) };
            let mut masks = [0; 2];
            places.iter().for_each(|place| masks[usize::from(place.word)] |= 1 << place.bit);
            let number = |combination| {
                let words: [u64; 2] = words(&places, combination);
                // What lies elsewhere does not matter.
                index.of(&std::array::from_fn(|word| words[word] | noise[word] & !masks[word]))
            };
            let numbers: HashSet<usize> = (0..1 << places.len()).map(number).collect();
            prop_assert_eq!(numbers.len(), 1 << places.len());
            prop_assert!(numbers.iter().all(|&number| number < ROWS));
        }
    }
}
