//! Bitstreams made wire by wire, for circuits that no tool would build.

use icefarm_sim::fpga::{Bitstream, Chip, Editor, Net, Refusal, Switch, Tile};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::LazyLock;

/// The tile of the observed pin 27.
pub(crate) const PIN_TILE: Tile = Tile { x: 18, y: 31 };
/// The tile of the clock pad, pin 35.
pub(crate) const CLOCK_TILE: Tile = Tile { x: 12, y: 31 };
/// The global net that [`Builder::with_clock`] brings the clock to.
pub(crate) const CLOCK_NET: u8 = 1;

pub(crate) const fn tile(x: u8, y: u8) -> Tile {
    Tile { x, y }
}

/// All switches, and which of them each net can drive at which setting.
struct Map {
    switches: Vec<Switch>,
    from: HashMap<Net, Vec<(usize, u8)>>,
}

static MAP: LazyLock<Map> = LazyLock::new(|| {
    let switches: Vec<Switch> = Chip::up5k().switches().collect();
    let mut from: HashMap<Net, Vec<(usize, u8)>> = HashMap::new();
    for (number, switch) in switches.iter().enumerate() {
        for &(setting, net) in &switch.options {
            from.entry(net).or_default().push((number, setting));
        }
    }
    Map { switches, from }
});

/// A chip whose configuration begins with zeros.
pub(crate) struct Builder {
    editor: Editor,
    set: HashSet<(Tile, u8, u8)>,
    driven: HashSet<Net>,
}

/// A logic cell by tile and index.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell(pub(crate) Tile, pub(crate) u8);

impl Builder {
    /// Nothing but pin 27 as an output.
    pub(crate) fn new() -> Self {
        Self::from(blank(true))
    }

    /// The same, but the file does not say what is in the block RAMs.
    pub(crate) fn without_ram_contents() -> Self {
        Self::from(blank(false)).clocked()
    }

    fn from(bytes: Vec<u8>) -> Self {
        let editor = Editor::new(bytes).unwrap();
        let mut builder = Self { editor, set: HashSet::new(), driven: HashSet::new() };
        builder.output(PIN_TILE, 1, 0b0110);
        // The column buffers of all logic tiles.
        for x in (1..25).filter(|x| ![6, 19].contains(x)) {
            for y in [4, 5, 14, 15, 26, 27] {
                (8..16).for_each(|row| builder.set(tile(x, y), row, 7));
            }
        }
        builder
    }

    /// With the clock on a global net as well, as tools do it.
    pub(crate) fn with_clock() -> Self {
        Self::new().clocked()
    }

    fn clocked(mut self) -> Self {
        self.input(CLOCK_TILE, 1, 0b01);
        self.set(CLOCK_TILE, 9, 3);
        self.route(CLOCK_TILE, "io_1/D_IN_0", tile(13, 31), "fabout");
        self
    }

    /// Sets a configuration bit.
    pub(crate) fn set(&mut self, tile: Tile, row: u8, column: u8) {
        assert!(self.set.insert((tile, row, column)), "{tile} {row} {column} is set already");
        assert!(self.editor.flip(tile, row, column));
    }

    /// Flips a bit that belongs to no tile.
    pub(crate) fn flip_cram(&mut self, bank: usize, row: usize, column: usize) {
        assert!(self.editor.flip_cram(bank, row, column));
    }

    /// Flips a bit of what is in a block RAM at the start.
    pub(crate) fn flip_ram(&mut self, tile: Tile, word: u8, bit: u8) {
        assert!(self.editor.flip_ram(tile, word, bit), "{tile} {word} {bit}");
    }

    /// Clears a configuration bit.
    pub(crate) fn clear(&mut self, tile: Tile, row: u8, column: u8) {
        assert!(self.set.remove(&(tile, row, column)), "{tile} {row} {column} is not set");
        assert!(self.editor.flip(tile, row, column));
    }

    /// Sets the bits 5 to 2 of a pad's type.
    pub(crate) fn output(&mut self, tile: Tile, block: u8, mode: u8) {
        self.pin_type(tile, block, mode << 2);
    }

    /// Sets the bits 1 and 0 of a pad's type.
    pub(crate) fn input(&mut self, tile: Tile, block: u8, mode: u8) {
        self.pin_type(tile, block, mode);
    }

    fn pin_type(&mut self, tile: Tile, block: u8, bits: u8) {
        let places = [(3, 17), (3, 16), (0, 17), (0, 16), (4, 16), (4, 17)];
        for (number, (row, column)) in places.into_iter().enumerate() {
            if bits >> number & 1 != 0 {
                self.set(tile, row + 10 * block, column);
            }
        }
    }

    pub(crate) fn net(tile: Tile, wire: &str) -> Net {
        Chip::up5k().net(tile, wire).unwrap_or_else(|| panic!("{tile} has no wire {wire}"))
    }

    /// Closes the fewest switches that lead from one wire to another.
    pub(crate) fn route(&mut self, from: Tile, source: &str, to: Tile, target: &str) {
        self.route_net(Self::net(from, source), to, target);
    }

    pub(crate) fn route_net(&mut self, start: Net, to: Tile, target: &str) {
        let end = Self::net(to, target);
        let map = &*MAP;
        let mut came: HashMap<Net, (Net, usize, u8)> = HashMap::new();
        let mut open = VecDeque::from([start]);
        while let Some(net) = open.pop_front().filter(|_| !came.contains_key(&end)) {
            for &(number, setting) in map.from.get(&net).into_iter().flatten() {
                let next = map.switches[number].net;
                if next != start && !self.driven.contains(&next) && !came.contains_key(&next) {
                    came.insert(next, (net, number, setting));
                    open.push_back(next);
                }
            }
        }
        let mut net = end;
        while net != start {
            let &(before, number, setting) = came
                .get(&net)
                .unwrap_or_else(|| panic!("no way from {:?} to {to} {target}", start));
            self.close(number, setting);
            net = before;
        }
    }

    /// Closes the switch in a tile that leads straight from one wire to another, even if the other
    /// is driven already.
    pub(crate) fn force(&mut self, tile: Tile, source: &str, target: &str) {
        let (from, to) = (Self::net(tile, source), Self::net(tile, target));
        let &(number, setting) = MAP.from[&from]
            .iter()
            .find(|&&(number, _)| {
                let switch = &MAP.switches[number];
                switch.net == to && switch.tile == tile
            })
            .unwrap_or_else(|| panic!("{tile} has no switch from {source} to {target}"));
        self.close(number, setting);
    }

    fn close(&mut self, number: usize, setting: u8) {
        let switch = &MAP.switches[number];
        self.driven.insert(switch.net);
        self.setting(switch, setting);
    }

    /// Gives a switch any setting, documented or not.
    pub(crate) fn setting(&mut self, switch: &Switch, setting: u8) {
        for (place, &(row, column)) in switch.bits.iter().rev().enumerate() {
            let now = self.set.contains(&(switch.tile, row, column));
            match (setting >> place & 1 != 0, now) {
                (true, false) => self.set(switch.tile, row, column),
                (false, true) => self.clear(switch.tile, row, column),
                _ => {}
            }
        }
    }

    /// A table without a flip-flop; bit `i` of `bits` is its output if input `k` is bit `k` of `i`.
    pub(crate) fn table(&mut self, Cell(tile, index): Cell, bits: u16) {
        let places = [4, 14, 15, 5, 6, 16, 17, 7, 3, 13, 12, 2, 1, 11, 10, 0];
        for (index_in_table, number) in places.into_iter().enumerate() {
            if bits >> index_in_table & 1 != 0 {
                self.cell_bit(Cell(tile, index), number);
            }
        }
    }

    /// One of the 20 bits of a cell.
    pub(crate) fn cell_bit(&mut self, Cell(tile, index): Cell, number: u8) {
        self.set(tile, 2 * index + number / 10, 36 + number % 10);
    }

    /// A table with a flip-flop on the clock of the board.
    pub(crate) fn flip_flop(&mut self, cell: Cell, bits: u16) {
        self.table(cell, bits);
        self.cell_bit(cell, 9);
        let clock = Self::net(cell.0, "lutff_global/clk");
        if !self.driven.contains(&clock) {
            self.force(cell.0, &format!("glb_netwk_{CLOCK_NET}"), "lutff_global/clk");
        }
    }

    /// Leads the output of a cell to an input of another.
    pub(crate) fn feed(&mut self, Cell(from, index): Cell, Cell(to, other): Cell, input: u8) {
        self.route(from, &format!("lutff_{index}/out"), to, &format!("lutff_{other}/in_{input}"));
    }

    /// Leads the output of a cell to pin 27.
    pub(crate) fn observe(&mut self, Cell(from, index): Cell) {
        self.route(from, &format!("lutff_{index}/out"), PIN_TILE, "io_1/D_OUT_0");
    }

    pub(crate) fn bitstream(self) -> Bitstream {
        Bitstream::parse(&self.editor.finish()).unwrap()
    }
}

/// A bitstream of zeros.
fn blank(rams: bool) -> Vec<u8> {
    let mut bytes = vec![0x7E, 0xAA, 0x99, 0x7E, 0x01, 0x05, 0x62, 0x02, 0xB3, 0x82, 0, 0];
    for (bank, height) in [(0u8, 336u16), (1, 176), (2, 336), (3, 176)] {
        bytes.push(0x72);
        bytes.extend(height.to_be_bytes());
        bytes.extend([0x11, bank, 0x01, 0x01]);
        bytes.extend(std::iter::repeat_n(0, 692 * usize::from(height) / 8 + 2));
    }
    for (bank, width) in [(0u8, 160u16), (1, 80), (2, 160), (3, 80)].into_iter().filter(|_| rams) {
        for offset in [0u16, 128] {
            bytes.extend([0x72, 0, 128, 0x11, bank, 0x82]);
            bytes.extend(offset.to_be_bytes());
            bytes.push(0x62);
            bytes.extend((width - 1).to_be_bytes());
            bytes.extend([0x01, 0x03]);
            bytes.extend(std::iter::repeat_n(0, 128 * usize::from(width) / 8 + 2));
        }
    }
    bytes.extend([0x22, 0, 0, 0x01, 0x06]);
    if let Err(Refusal::BadCrc { at, expected, .. }) = Bitstream::parse(&bytes) {
        bytes[at..at + 2].copy_from_slice(&expected.to_be_bytes());
    }
    bytes
}
