//! Block RAM at work.
//!
//! A write takes effect after the reads of the same edge in yosys' simulation model of the cell. But
//! yosys itself takes the result of such a read for undefined when it maps memories (no `wrtrans` in
//! its `ice40/brams.txt`), and Lattice's TN1250 says nothing: here the bits that the write changes
//! are unknown then.
//!
//! What is read before the first read is 0 here; the models leave it undefined.

use super::super::Tile;
use super::super::circuit::{Memory, Slot};
use super::Levels;
use super::unknown::{UNKNOWN, and, either};

/// A word of which some bits are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Word {
    value: u16,
    known: u16,
}

/// What a port did, and in which half cycle.
#[derive(Debug, Clone, Copy)]
struct Access {
    when: u64,
    /// The word; `None` if it is not known which.
    word: Option<usize>,
    /// The bits of the word that were changed by a write.
    changed: u16,
}

/// A write that is to be made when everybody has looked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Write {
    memory: usize,
    /// 0 does not occur.
    enable: u8,
    address: Address,
    data: [u8; 16],
    /// For each bit, 1 if it is not written.
    mask: [u8; 16],
}

/// An address in parts: the word, and which of the narrow words in it.
#[derive(Debug, Clone, Copy)]
struct Address {
    word: Option<usize>,
    part: Option<usize>,
}

/// A memory with its contents.
#[derive(Debug, Clone)]
pub(super) struct Ram {
    memory: Memory<Slot>,
    number: usize,
    /// The slot of the first of the sixteen bits that were read.
    pub(super) output: Slot,
    words: Vec<Word>,
    last_read: Option<Access>,
    last_write: Option<Access>,
    /// Changes with every change of the contents, and is the same for the same contents.
    digest: u128,
}

impl Ram {
    pub(super) fn new(number: usize, memory: &Memory<Slot>, output: Slot) -> Self {
        let words = memory.contents.iter().map(|&value| Word { value, known: u16::MAX }).collect();
        let (last_read, last_write, memory) = (None, None, memory.clone());
        Self { memory, number, output, words, last_read, last_write, digest: 0 }
    }

    pub(super) fn tile(&self) -> Tile {
        self.memory.tile
    }

    /// The clock of the reading and of the writing port, and whether the falling edge counts.
    pub(super) fn clocks(&self) -> [(Slot, bool); 2] {
        [&self.memory.read, &self.memory.write].map(|port| (port.clock, port.falling))
    }

    /// What the reading and the writing port look at beside their clocks.
    pub(super) fn inputs(&self) -> [Vec<Slot>; 2] {
        let port = |port: &super::super::circuit::Port<Slot>| {
            port.address().iter().chain(&port.enables).copied().collect::<Vec<_>>()
        };
        let mut writes = port(&self.memory.write);
        writes.extend(self.memory.data);
        writes.extend(self.memory.mask);
        [port(&self.memory.read), writes]
    }

    /// Whether it is ever written.
    pub(super) fn is_written(&self) -> bool {
        self.memory.write.clock != super::super::circuit::LOW_SLOT
    }

    pub(super) fn digest(&self) -> u128 {
        self.digest
    }

    /// Hides what is not 0 for as long as a memory may read zeros.
    pub(super) fn reads_zeros(&self, pending: &mut [(Slot, u8)]) -> bool {
        let own = self.output..self.output + 16;
        let mut hidden = false;
        for (_, level) in pending.iter_mut().filter(|(slot, _)| own.contains(slot)) {
            hidden |= *level == 1;
            *level = if *level == 0 { 0 } else { UNKNOWN };
        }
        hidden
    }

    /// The reading port's edge: notes what the outputs become. Says whether that is clear; it is
    /// not if the word is being written in this half cycle.
    pub(super) fn read(
        &mut self,
        levels: &Levels,
        when: u64,
        pending: &mut Vec<(Slot, u8)>,
    ) -> bool {
        let port = &self.memory.read;
        let enable = and(level(levels, port.enables[0]), level(levels, port.enables[1]));
        if enable == 0 {
            return true;
        }
        let address =
            address(&port.address().iter().map(|&s| level(levels, s)).collect::<Vec<_>>());
        let (group, first) = (port.group(), port.first_bit());
        let writing = self.last_write.filter(|write| write.when == when);
        let changed = match (writing, address.word) {
            (Some(write), Some(word)) if write.word == Some(word) || write.word.is_none() => {
                write.changed
            }
            (Some(write), None) => write.changed,
            _ => 0,
        };
        self.last_read = Some(Access { when, word: address.word, changed: 0 });
        let mut clear = true;
        for place in (first..16).step_by(group) {
            let taken = match (address.word, address.part) {
                (Some(word), Some(part)) => {
                    let bit = place - first + part;
                    let Word { value, known } = self.words[word];
                    clear &= changed >> bit & 1 == 0;
                    if (known & !changed) >> bit & 1 != 0 {
                        (value >> bit & 1) as u8
                    } else {
                        UNKNOWN
                    }
                }
                _ => UNKNOWN,
            };
            let slot = self.output + place as Slot;
            let taken = if enable == 1 { taken } else { either(taken, level(levels, slot)) };
            pending.push((slot, taken));
        }
        clear
    }

    /// The writing port's edge: what is to be written, if anything.
    pub(super) fn write(&self, levels: &Levels) -> Option<Write> {
        let port = &self.memory.write;
        let enable = and(level(levels, port.enables[0]), level(levels, port.enables[1]));
        if enable == 0 {
            return None;
        }
        let bits: Vec<u8> = port.address().iter().map(|&slot| level(levels, slot)).collect();
        let data = self.memory.data.map(|slot| level(levels, slot));
        let mask = self.memory.mask.map(|slot| level(levels, slot));
        Some(Write { memory: self.number, enable, address: address(&bits), data, mask })
    }

    /// Makes a write. Says which outputs were read in the same half cycle and become unclear.
    pub(super) fn make(&mut self, write: &Write, when: u64) -> Vec<Slot> {
        let port = &self.memory.write;
        let (group, first) = (port.group(), port.first_bit());
        let words = match write.address.word {
            Some(word) => word..word + 1,
            None => 0..self.words.len(),
        };
        let sure = write.enable == 1 && write.address.word.is_some();
        let mut all_changed = 0;
        for number in words {
            let before = self.words[number];
            let mut after = before;
            for bit in 0..16 {
                let part = bit % group;
                let here = write.address.part.map_or(UNKNOWN, |chosen| u8::from(chosen == part));
                let unmasked = match if group == 1 { write.mask[bit] } else { 0 } {
                    UNKNOWN => UNKNOWN,
                    mask => 1 - mask,
                };
                let written = match (and(here, unmasked), sure) {
                    (1, false) => UNKNOWN,
                    (written, _) => written,
                };
                let data = write.data[bit - part + first];
                let place = 1 << bit;
                let now = match before.known & place {
                    0 => UNKNOWN,
                    _ => u8::from(before.value & place != 0),
                };
                let next = match written {
                    0 => now,
                    1 => data,
                    _ => either(now, data),
                };
                after.known =
                    if next == UNKNOWN { after.known & !place } else { after.known | place };
                after.value = if next == 1 { after.value | place } else { after.value & !place };
            }
            self.words[number] = after;
            self.digest = self.digest.wrapping_sub(mix(self.number, number, before));
            self.digest = self.digest.wrapping_add(mix(self.number, number, after));
            all_changed |= (before.value ^ after.value) | (before.known ^ after.known);
        }
        self.last_write = Some(Access { when, word: write.address.word, changed: all_changed });
        self.unclear(write, when, all_changed)
    }

    /// The outputs that show what a write has just changed.
    fn unclear(&self, write: &Write, when: u64, changed: u16) -> Vec<Slot> {
        let Some(read) = self.last_read.filter(|read| read.when == when) else { return Vec::new() };
        let same =
            read.word.is_none() || write.address.word.is_none() || read.word == write.address.word;
        if changed == 0 || !same {
            return Vec::new();
        }
        let port = &self.memory.read;
        let (group, first) = (port.group(), port.first_bit());
        // Any part of the group can have been read.
        let touched = |place: usize| changed >> (place - first) & ((1 << group) - 1) as u16 != 0;
        (first..16)
            .step_by(group)
            .filter(|&place| touched(place))
            .map(|place| self.output + place as Slot)
            .collect()
    }
}

impl Write {
    pub(super) fn memory(&self) -> usize {
        self.memory
    }
}

fn level(levels: &Levels, slot: Slot) -> u8 {
    levels[usize::from(slot)]
}

fn address(bits: &[u8]) -> Address {
    let number = |bits: &[u8]| {
        let known = bits.iter().all(|&bit| bit != UNKNOWN);
        known.then(|| bits.iter().rev().fold(0, |number, &bit| number << 1 | usize::from(bit)))
    };
    let (word, part) = bits.split_at(8);
    Address { word: number(word), part: number(part) }
}

/// A number for a word in a place that looks random (finalizer of SplitMix64, twice).
fn mix(memory: usize, place: usize, word: Word) -> u128 {
    let key = (memory as u64) << 40
        | (place as u64) << 32
        | u64::from(word.known) << 16
        | u64::from(word.value);
    let half = |salt: u64| {
        let mut z = key.wrapping_add(salt).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        u128::from(z ^ z >> 31)
    };
    half(0x2545_F491_4F6C_DD1D) << 64 | half(0x6A09_E667_F3BC_C909)
}

#[cfg(test)]
mod tests {
    use super::super::super::circuit::Port;
    use super::*;

    /// Slots of the test: constants, then what a test sets.
    const LOW: Slot = 0;
    const HIGH: Slot = 1;
    const ENABLE: Slot = 10;
    const ADDRESS: Slot = 11;
    const DATA: Slot = 12;
    const OUTPUT: Slot = 20;

    fn ram(read_mode: u8, write_mode: u8) -> Ram {
        let mut address = [LOW; 11];
        address[0] = ADDRESS;
        let port =
            |mode| Port { clock: HIGH, falling: false, enables: [ENABLE, HIGH], address, mode };
        let memory = Memory {
            tile: Tile { x: 6, y: 1 },
            read: port(read_mode),
            write: port(write_mode),
            data: [DATA; 16],
            mask: [LOW; 16],
            contents: Box::new([0; 256]),
        };
        Ram::new(0, &memory, OUTPUT)
    }

    fn levels(enable: u8, address: u8, data: u8) -> Box<Levels> {
        let mut levels = vec![0; 1 << Slot::BITS].into_boxed_slice();
        levels[usize::from(HIGH)] = 1;
        for (slot, level) in [(ENABLE, enable), (ADDRESS, address), (DATA, data)] {
            levels[usize::from(slot)] = level;
        }
        levels.try_into().unwrap()
    }

    fn write(ram: &mut Ram, when: u64, [enable, address, data]: [u8; 3]) -> Vec<Slot> {
        let write = ram.write(&levels(enable, address, data));
        write.map_or(Vec::new(), |write| ram.make(&write, when))
    }

    /// The first of the outputs after a read.
    fn read(ram: &mut Ram, when: u64, address: u8) -> u8 {
        let mut pending = Vec::new();
        ram.read(&levels(1, address, 0), when, &mut pending);
        pending.first().map_or(UNKNOWN, |&(_, level)| level)
    }

    #[test]
    fn what_may_be_written_is_unknown() {
        // An enable, an address and data that are not known.
        for unsure in [[UNKNOWN, 0, 1], [1, UNKNOWN, 1], [1, 0, UNKNOWN]] {
            let mut ram = ram(0, 0);
            write(&mut ram, 1, unsure);
            assert_eq!(read(&mut ram, 2, 0), UNKNOWN, "{unsure:?}");
        }
        // It does not matter if it is what is there already.
        let mut ram = ram(0, 0);
        write(&mut ram, 1, [UNKNOWN, UNKNOWN, 0]);
        assert_eq!((read(&mut ram, 2, 0), read(&mut ram, 3, 1)), (0, 0));
        write(&mut ram, 4, [0, 0, 1]);
        assert_eq!(read(&mut ram, 5, 0), 0);
    }

    #[test]
    fn a_narrow_write_changes_its_part_only() {
        let mut ram = ram(0, 3);
        write(&mut ram, 1, [1, 0, 1]);
        assert_eq!(ram.words[0].value, 0b0000_0001_0000_0001);
    }

    #[test]
    fn reads_and_writes_of_one_half_cycle_collide() {
        let mut ram = ram(0, 0);
        read(&mut ram, 1, 0);
        assert_eq!(write(&mut ram, 1, [1, 0, 1]).len(), 16);
        assert_eq!(read(&mut ram, 1, 0), UNKNOWN);
        assert_eq!(read(&mut ram, 1, 1), 0);
        assert_eq!(read(&mut ram, 2, 0), 1);
        // Nothing is changed by this.
        assert!(write(&mut ram, 2, [1, 0, 1]).is_empty());
    }

    #[test]
    fn the_digest_is_that_of_the_contents() {
        let mut ram = ram(0, 0);
        let start = ram.digest();
        write(&mut ram, 1, [1, 0, 1]);
        let one = ram.digest();
        write(&mut ram, 2, [1, 1, 1]);
        let both = ram.digest();
        write(&mut ram, 3, [1, 0, 0]);
        assert!(start != one && one != both && ram.digest() != both);
        write(&mut ram, 4, [1, 0, 1]);
        assert_eq!(ram.digest(), both);
        write(&mut ram, 5, [1, 0, 0]);
        write(&mut ram, 6, [1, 1, 0]);
        assert_eq!(ram.digest(), start);
    }
}
