//! Brings scattered bits of words together.

use super::Wave;
use std::collections::BTreeMap;

/// Where a bit is: in which word, and at which place there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) word: u16,
    pub(super) bit: u8,
}

/// What an input of a lane is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Constant(bool),
    Place(Place),
}

/// Four words of inputs: a bit of each for each lane.
pub(super) type Inputs = [Wave; 4];

/// A connection from places in some words to four words of inputs.
///
/// The fewer lanes there are, the fewer words their inputs fit in.
#[derive(Debug, Clone)]
pub(super) enum Gather {
    /// 16 lanes at most.
    Quarter(Packed<1>),
    /// 32 lanes at most.
    Half(Packed<2>),
    /// 64 lanes at most.
    Full(Packed<4>),
    /// 64 lanes at most, all of which have the same constants at all inputs but the first.
    First(Packed<1>, Inputs),
}

impl Gather {
    /// A connection to the inputs of some lanes, 64 at most.
    pub(super) fn new(lanes: &[[Source; 4]]) -> Self {
        let mut rest = [0; 4];
        let same = (1..4).all(|input| {
            let all = |source| lanes.iter().all(|sources| sources[input] == source);
            rest[input] = if all(Source::Constant(true)) { Wave::MAX } else { 0 };
            rest[input] != 0 || all(Source::Constant(false))
        });
        match lanes.len() {
            _ if same => Self::First(Packed::new(lanes, 1, 64), rest),
            0..=16 => Self::Quarter(Packed::new(lanes, 4, 16)),
            17..=32 => Self::Half(Packed::new(lanes, 4, 32)),
            _ => Self::Full(Packed::new(lanes, 4, 64)),
        }
    }

    pub(super) fn collect(&self, words: &[Wave]) -> Inputs {
        match self {
            Self::Quarter(packed) => {
                let [abcd] = packed.collect(words);
                [abcd, abcd >> 16, abcd >> 32, abcd >> 48]
            }
            Self::Half(packed) => {
                let [ab, cd] = packed.collect(words);
                [ab, ab >> 32, cd, cd >> 32]
            }
            Self::Full(packed) => packed.collect(words),
            Self::First(packed, rest) => {
                let [first] = packed.collect(words);
                [first, rest[1], rest[2], rest[3]]
            }
        }
    }

    /// About how many tenths of a nanosecond [`Self::collect`] takes.
    pub(super) fn cost(&self) -> u64 {
        match self {
            Self::Quarter(packed) | Self::First(packed, _) => packed.cost(),
            Self::Half(packed) => packed.cost(),
            Self::Full(packed) => packed.cost(),
        }
    }
}

/// A connection to inputs that are packed into `N` words, one input after the other.
///
/// Runs of bits that lie as they are needed are moved as a whole. The rest goes by tables: what
/// a few neighbouring bits contribute to the inputs is looked up by these bits.
#[derive(Debug, Clone)]
pub(super) struct Packed<const N: usize> {
    constants: [Wave; N],
    moves: Vec<Move<N>>,
    chunks: Vec<Chunk<N>>,
}

/// Bits that only have to be turned into place.
#[derive(Debug, Clone)]
struct Move<const N: usize> {
    word: u16,
    /// By how much to turn to the left.
    turn: u8,
    masks: [Wave; N],
}

/// Bits of a word that lie beside each other, and what they contribute.
#[derive(Debug, Clone)]
struct Chunk<const N: usize> {
    word: u16,
    shift: u8,
    rows: [[Wave; N]; 1 << CHUNK],
}

/// Bits in a chunk.
const CHUNK: u8 = 6;

/// So many bits are worth a move.
const RUN: u32 = 12;

impl<const N: usize> Packed<N> {
    fn new(lanes: &[[Source; 4]], inputs: usize, stride: usize) -> Self {
        let mut constants = [0; N];
        let mut moves: BTreeMap<(u16, u8), [Wave; N]> = BTreeMap::new();
        for (input, (lane, sources)) in
            (0..inputs).flat_map(|input| lanes.iter().enumerate().map(move |lane| (input, lane)))
        {
            let (to, bit) = ((input * stride + lane) / 64, (input * stride + lane) % 64);
            match sources[input] {
                Source::Constant(level) => constants[to] |= Wave::from(level) << bit,
                Source::Place(place) => {
                    let turn = (bit as u8).wrapping_sub(place.bit) % 64;
                    moves.entry((place.word, turn)).or_insert([0; N])[to] |= 1 << bit;
                }
            }
        }
        let size = |masks: &[Wave; N]| masks.iter().map(|mask| mask.count_ones()).sum::<u32>();
        let mut packed = Self { constants, moves: Vec::new(), chunks: Vec::new() };
        // What each bit contributes.
        let mut chunks: BTreeMap<(u16, u8), [[Wave; N]; CHUNK as usize]> = BTreeMap::new();
        for ((word, turn), masks) in moves {
            if size(&masks) >= RUN {
                packed.moves.push(Move { word, turn, masks });
                continue;
            }
            for (to, bit) in (0..N).flat_map(|to| (0..64u8).map(move |bit| (to, bit))) {
                if masks[to] >> bit & 1 != 0 {
                    let from = bit.wrapping_sub(turn) % 64;
                    let bits =
                        chunks.entry((word, from / CHUNK)).or_insert([[0; N]; CHUNK as usize]);
                    bits[usize::from(from % CHUNK)][to] |= 1 << bit;
                }
            }
        }
        for ((word, number), bits) in chunks {
            let rows = std::array::from_fn(|row| {
                let set = bits.iter().enumerate().filter(|(bit, _)| row >> bit & 1 != 0);
                set.fold([0; N], |sum, (_, inputs)| std::array::from_fn(|i| sum[i] | inputs[i]))
            });
            packed.chunks.push(Chunk { word, shift: number * CHUNK, rows });
        }
        packed
    }

    fn collect(&self, words: &[Wave]) -> [Wave; N] {
        let mut inputs = self.constants;
        for Chunk { word, shift, rows } in &self.chunks {
            let bits = words[usize::from(*word)] >> shift;
            let row = &rows[bits as usize % (1 << CHUNK)];
            for (input, contribution) in inputs.iter_mut().zip(row) {
                *input |= contribution;
            }
        }
        for Move { word, turn, masks } in &self.moves {
            let bits = words[usize::from(*word)].rotate_left(u32::from(*turn));
            for (input, mask) in inputs.iter_mut().zip(masks) {
                *input |= bits & mask;
            }
        }
        inputs
    }

    fn cost(&self) -> u64 {
        let width = N as u64;
        let steps = self.chunks.len() + self.moves.len();
        (4 + width) * steps as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn source() -> impl Strategy<Value = Source> {
        prop_oneof![
            any::<bool>().prop_map(Source::Constant),
            (0u16..3, 0u8..64).prop_map(|(word, bit)| Source::Place(Place { word, bit })),
        ]
    }

    proptest! {
        #[test]
        fn every_bit_comes_to_its_place(
            mut lanes in prop::collection::vec(prop::array::uniform4(source()), 0..=64),
            run in 0usize..64,
            words: [u64; 3],
        ) {
            // A run, beside what is scattered.
            for (number, lane) in lanes.iter_mut().enumerate().take(run) {
                let bit = (number as u8 + 7) % 64;
                lane[2] = Source::Place(Place { word: 1, bit });
            }
            let inputs = Gather::new(&lanes).collect(&words);
            for (lane, sources) in lanes.iter().enumerate() {
                for (input, source) in sources.iter().enumerate() {
                    let level = match source {
                        Source::Constant(level) => u64::from(*level),
                        Source::Place(Place { word, bit }) => words[usize::from(*word)] >> bit & 1,
                    };
                    prop_assert_eq!(inputs[input] >> lane & 1, level);
                }
            }
        }
    }
}
