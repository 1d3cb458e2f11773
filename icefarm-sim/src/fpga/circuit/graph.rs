//! The logic behind a pin, before it is simplified.

use super::super::{Refusal, Tile};
use super::memory::Memory;
use super::pll::Pll;

/// A node by its place in [`Graph::nodes`].
pub(super) type Id = u32;

/// The node that is always 0.
pub(super) const LOW: Id = 0;
/// The node that is always 1.
pub(super) const HIGH: Id = 1;
/// The clock of the board.
pub(super) const CLOCK: Id = 2;

/// Something that has a level.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Constant(bool),
    Clock,
    Table(Table),
    FlipFlop(FlipFlop),
    /// A bit of what one of [`Graph::memories`] has read.
    MemoryBit {
        memory: u16,
        bit: u8,
    },
    /// The clock that the PLL makes of that of the board.
    Pll(Pll),
    /// It cannot be known. This counts only if the pin turns out to depend on it.
    Blocked(Box<Refusal>),
}

/// A truth table of four inputs: that of a logic cell, or its carry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    /// Bit `i` is the output if input `k` is bit `k` of `i`.
    pub(super) bits: u16,
    pub(super) inputs: [Id; 4],
    /// The cell or, in a tile at the edge, the pad.
    pub(super) cell: Cell,
    pub(super) role: Role,
}

/// What a truth table is on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The table of a logic cell.
    Logic,
    /// The carry of a logic cell.
    Carry,
    /// A switch within a pad.
    Pad,
}

/// A flip-flop of a logic cell or of a pad. All start at 0, as on the device.
#[derive(Debug, Clone, Copy)]
pub(super) struct FlipFlop {
    pub(super) data: Id,
    pub(super) clock: Id,
    pub(super) enable: Id,
    pub(super) set_reset: Id,
    /// Whether it takes its data at the falling edge.
    pub(super) falling: bool,
    /// What set/reset does: set (true) or reset.
    pub(super) set: bool,
    /// Whether set/reset acts at once, without the clock.
    pub(super) asynchronous: bool,
}

/// A logic cell by tile and index (0 to 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Cell {
    pub(super) tile: Tile,
    pub(super) index: u8,
}

/// Nodes, of which the first three are [`LOW`], [`HIGH`] and [`CLOCK`].
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    pub(super) memories: Vec<Memory<Id>>,
    /// What the pin shows while it is driven.
    pub(super) pin: Id,
    /// Whether the pin is driven.
    pub(super) pin_enable: Id,
    /// What makes the device load another configuration.
    pub(super) boot: Id,
}

impl Graph {
    pub(super) fn new() -> Self {
        let nodes = vec![Node::Constant(false), Node::Constant(true), Node::Clock];
        Self { nodes, memories: Vec::new(), pin: LOW, pin_enable: HIGH, boot: LOW }
    }

    pub(super) fn add(&mut self, node: Node) -> Id {
        self.nodes.push(node);
        (self.nodes.len() - 1) as Id
    }

    pub(super) fn node(&self, id: Id) -> &Node {
        &self.nodes[id as usize]
    }
}

/// For each input, the indices of a truth table where that input is 0.
const LOW_HALF: [u16; 4] = [0x5555, 0x3333, 0x0F0F, 0x00FF];

/// Whether a truth table depends on an input.
pub(super) fn depends(bits: u16, input: usize) -> bool {
    (bits >> (1 << input) ^ bits) & LOW_HALF[input] != 0
}

/// The truth table with one input held at a level, which then does not matter any more.
pub(super) fn restrict(bits: u16, input: usize, level: bool) -> u16 {
    let half = if level { bits >> (1 << input) } else { bits } & LOW_HALF[input];
    half | half << (1 << input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_restricted_input_by_input() {
        for bits in [0x0000, 0xFFFF, 0x8000, 0xE8E8, 0x6996, 0xAAAA, 0xFF00, 0x1234] {
            for input in 0..4 {
                for level in [false, true] {
                    let restricted = restrict(bits, input, level);
                    assert!(!depends(restricted, input));
                    for index in 0..16u16 {
                        let there = index & !(1 << input) | u16::from(level) << input;
                        assert_eq!(restricted >> index & 1, bits >> there & 1);
                    }
                }
                let differs = restrict(bits, input, false) != restrict(bits, input, true);
                assert_eq!(depends(bits, input), differs, "{bits:04X} {input}");
            }
        }
    }
}
