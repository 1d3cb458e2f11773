//! Block RAM.
//!
//! IceStorm's ram_tile.html describes the two tiles of a block RAM, the cell `SB_RAM40_4K`. In the
//! iCE40UP5K the lower tile has the read port and the upper one the write port, and so have their
//! NegClk bits (<https://github.com/YosysHQ/nextpnr/issues/910>, found with hardware; corrected in
//! nextpnr in September 2022 and in IceStorm's documentation by
//! <https://github.com/YosysHQ/icestorm/pull/313>).

use super::super::chip::Net;
use super::super::{Refusal, Tile};
use super::graph::{HIGH, Id, LOW, Node};
use super::trace::Trace;

/// The contents: 256 words of 16 bits.
pub(in super::super) type Contents = [u16; 256];

/// Bits (row, column): PowerUp and NegClk of the lower tile, NegClk and CBIT 0 to 3 of the upper
/// tile, and what would join block RAMs to larger ones.
const POWER_UP: (u8, u8) = (1, 7);
const FALLING_EDGE: (u8, u8) = (0, 0);
const MODES: [(u8, u8); 4] = [(1, 7), (0, 7), (3, 7), (2, 7)];
const CASCADE: [(u8, u8); 4] = [(5, 7), (4, 7), (7, 7), (6, 7)];

/// A block RAM, with what its inputs are in terms of `T`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Memory<T> {
    /// The lower one of its tiles.
    pub(in super::super) tile: Tile,
    pub(in super::super) read: Port<T>,
    pub(in super::super) write: Port<T>,
    pub(in super::super) data: [T; 16],
    /// 1 keeps a bit from being written. Only for words of 16 bits.
    pub(in super::super) mask: [T; 16],
    pub(in super::super) contents: Box<Contents>,
}

/// One of the two ports of a block RAM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Port<T> {
    pub(in super::super) clock: T,
    pub(in super::super) falling: bool,
    /// Both must be 1.
    pub(in super::super) enables: [T; 2],
    pub(in super::super) address: [T; 11],
    /// 0 to 3: words of 16, 8, 4 or 2 bits.
    pub(in super::super) mode: u8,
}

impl<T: Copy> Port<T> {
    /// The bits of the address that count.
    pub(in super::super) fn address(&self) -> &[T] {
        &self.address[..8 + usize::from(self.mode & 3)]
    }

    /// How many bits of a word of 16 lie in the places of one bit of a narrow word.
    pub(in super::super) fn group(&self) -> usize {
        1 << (self.mode & 3)
    }

    /// The first of the data bits that count; the others follow in steps of [`group`](Self::group)
    /// (IceStorm, ram_tile.html).
    pub(in super::super) fn first_bit(&self) -> usize {
        [0, 0, 1, 3][usize::from(self.mode & 3)]
    }

    fn map<U>(&self, mut to: impl FnMut(T) -> U) -> Port<U> {
        Port {
            clock: to(self.clock),
            falling: self.falling,
            enables: self.enables.map(&mut to),
            address: self.address.map(&mut to),
            mode: self.mode,
        }
    }
}

impl<T: Copy> Memory<T> {
    pub(super) fn map<U>(&self, mut to: impl FnMut(T) -> U) -> Memory<U> {
        Memory {
            tile: self.tile,
            read: self.read.map(&mut to),
            write: self.write.map(&mut to),
            data: self.data.map(&mut to),
            mask: self.mask.map(&mut to),
            contents: self.contents.clone(),
        }
    }

    /// Everything that it looks at.
    pub(super) fn inputs(&self) -> Vec<T> {
        let mut inputs = Vec::new();
        for port in [&self.read, &self.write] {
            inputs.push(port.clock);
            inputs.extend(port.enables);
            inputs.extend(port.address);
        }
        inputs.extend(self.data);
        inputs.extend(self.mask);
        inputs
    }
}

impl Memory<Id> {
    /// The memory without the inputs that do not count in its modes, and without the writing port
    /// if that never acts.
    pub(super) fn needed(&self, writes: bool) -> Self {
        let mut needed = self.clone();
        for port in [&mut needed.read, &mut needed.write] {
            let count = port.address().len();
            port.address[count..].fill(LOW);
        }
        let (group, first) = (self.write.group(), self.write.first_bit());
        if group > 1 {
            needed.mask = [LOW; 16];
        }
        for (bit, data) in needed.data.iter_mut().enumerate() {
            if bit % group != first {
                *data = LOW;
            }
        }
        if !writes {
            let Port { falling, mode, .. } = self.write;
            needed.write =
                Port { clock: LOW, falling, enables: [LOW; 2], address: [LOW; 11], mode };
            (needed.data, needed.mask) = ([LOW; 16], [LOW; 16]);
        }
        needed
    }
}

impl Trace<'_> {
    /// The node of one bit of what a block RAM has read; `tile` is the one with the output.
    pub(super) fn memory_bit(&mut self, tile: Tile, bit: u8) -> Id {
        let tile = Tile { x: tile.x, y: tile.y - (tile.y + 1) % 2 };
        match self.memory(tile) {
            Ok(memory) => self.graph.add(Node::MemoryBit { memory, bit }),
            Err(refusal) => self.blocked(refusal),
        }
    }

    /// The number of the memory of a (lower) tile.
    fn memory(&mut self, tile: Tile) -> Result<u16, Refusal> {
        let known = self.graph.memories.iter().position(|memory| memory.tile == tile);
        if let Some(known) = known {
            return Ok(known as u16);
        }
        let upper = Tile { x: tile.x, y: tile.y + 1 };
        let refused = |reason: &str| Refusal::BlockRam { tile, reason: reason.to_owned() };
        let bit = |tile, (row, column)| self.routing.bit(tile, row, column);
        if !bit(tile, POWER_UP) {
            return Err(refused("it is not switched on, and what it shows then is not documented"));
        }
        if CASCADE.iter().any(|&place| bit(upper, place)) {
            return Err(refused("it is joined with others, which is not documented"));
        }
        let contents = self.routing.ram_contents(tile);
        let contents = contents
            .ok_or_else(|| refused("the bitstream does not say what is in it at the start"))?;
        let mode = |low: usize| {
            u8::from(bit(upper, MODES[low])) | u8::from(bit(upper, MODES[low + 1])) << 1
        };
        let port = |mode, falling| Port {
            clock: LOW,
            falling,
            enables: [LOW; 2],
            address: [LOW; 11],
            mode,
        };
        self.graph.memories.push(Memory {
            tile,
            read: port(mode(2), bit(tile, FALLING_EDGE)),
            write: port(mode(0), bit(upper, FALLING_EDGE)),
            data: [LOW; 16],
            mask: [LOW; 16],
            contents,
        });
        let number = self.graph.memories.len() - 1;
        // The memory is known before its inputs are followed: they can come from itself.
        for (prefix, writes) in [("R", false), ("W", true)] {
            let clock = self.ram_wire(tile, &format!("{prefix}CLK"), LOW);
            // IceStorm and yosys agree on the levels of enables that nothing drives.
            let enables = [
                self.ram_wire(tile, &format!("{prefix}E"), LOW),
                self.ram_wire(tile, &format!("{prefix}CLKE"), HIGH),
            ];
            let mut address = [LOW; 11];
            for (bit, id) in address.iter_mut().enumerate() {
                *id = self.ram_wire(tile, &format!("{prefix}ADDR_{bit}"), LOW);
            }
            let memory = &mut self.graph.memories[number];
            let port = if writes { &mut memory.write } else { &mut memory.read };
            (port.clock, port.enables, port.address) = (clock, enables, address);
        }
        for bit in 0..16 {
            let data = self.ram_wire(tile, &format!("WDATA_{bit}"), LOW);
            let mask = self.ram_wire(tile, &format!("MASK_{bit}"), LOW);
            let memory = &mut self.graph.memories[number];
            (memory.data[bit], memory.mask[bit]) = (data, mask);
        }
        Ok(number as u16)
    }

    /// What drives a port of a block RAM, which can be in either of its tiles.
    fn ram_wire(&mut self, tile: Tile, port: &str, default: Id) -> Id {
        let chip = self.routing.chip;
        let name = format!("ram/{port}");
        let upper = Tile { x: tile.x, y: tile.y + 1 };
        let net: Option<Net> = chip.net(tile, &name).or_else(|| chip.net(upper, &name));
        let net = net.filter(|&net| self.routing.is_switched(net));
        net.map_or(default, |net| self.net(net))
    }
}
