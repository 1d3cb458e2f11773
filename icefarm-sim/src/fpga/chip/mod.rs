//! What is wired to what on an iCE40UP5K.
//!
//! The facts come from Project IceStorm's chip database (ISC licence, see `data/NOTICE`): 27 MB of
//! text that `cargo xtask chipdb` condenses to a table of some 20 KB. All tiles of a kind have the
//! same wires and switches, and a few thousand rules say which wires of neighbours are one net.

mod decode;
mod nets;

pub use decode::TableError;

use super::Tile;
use super::cram::{COLUMNS, ROWS, TILES, TileBits, bit};
use std::sync::OnceLock;

/// The condensed chip database, compressed with zstd.
static TABLE: &[u8] = include_bytes!("../../../data/up5k.zst");

/// A net: wires of one or more tiles that are connected for good. Numbered from 0.
pub type Net = u32;

/// The wires, switches and special places of the chip.
#[derive(Debug)]
pub struct Chip {
    /// Names of wires, as IceStorm has them, shared by all tiles.
    names: Vec<String>,
    kinds: Vec<Kind>,
    /// The kind of each tile, by [`index`].
    tiles: Vec<u8>,
    /// The number of each tile's first wire, by [`index`].
    first_wire: Vec<u32>,
    /// The net of each wire of each tile.
    nets: Vec<Net>,
    /// What can give each net its level.
    drivers: Vec<Driver>,
    /// The wire by which each net is best called, numbered like `nets`.
    places: Vec<u32>,
    /// Options of switches that some tiles at the edge lack: tile, group, setting.
    absent: Vec<(u16, u16, u8)>,
    pins: Vec<(String, Pad)>,
    /// For each global net, the tile whose `fabout` can drive it.
    global_fabric: [Tile; 8],
    /// For each global net, the pad that can drive it.
    global_pad: [Pad; 8],
    /// For each global net, the CRAM bit (bank, row, column) that lets the pad drive it.
    global_pad_bit: [(u8, u16, u16); 8],
    /// The row of the tile whose column buffers serve each tile, by [`index`].
    column_buffer: Vec<u8>,
    /// Where the input buffer of a pad is switched on: pad, tile and number of the `IE` bit.
    input_enable: Vec<(Pad, Tile, u8)>,
    /// Inputs and parameters of the PLL: name, tile, and row and column of its bit; without if it is
    /// the `fabout` of the tile.
    pll: Vec<PllPort>,
}

/// See [`Chip::pll`].
type PllPort = (String, Tile, Option<(u8, u8)>);

/// One of the two pads of an input/output tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pad {
    /// The tile of the pad.
    pub tile: Tile,
    /// 0 or 1.
    pub block: u8,
}

/// Tiles that have the same wires and switches.
#[derive(Debug)]
pub(super) struct Kind {
    /// Whether the tile is part of a multiplier.
    dsp: bool,
    /// Names of the wires, ascending indices into [`Chip::names`].
    wires: Vec<u16>,
    pub(super) groups: Vec<Group>,
    /// For each bit of the tile (`row * 64 + column`), the group that it belongs to, if any.
    group_of_bit: Vec<u16>,
    /// For each row, the bits that belong to groups.
    switch_bits: TileBits,
    /// For each global net, the bit (row, column) of its column buffer.
    column_buffer_bits: [Option<(u8, u8)>; 8],
    /// For each wire, the global net that it is.
    global_of_wire: Vec<Option<u8>>,
    pub(super) cell_wires: Option<CellWires>,
    pub(super) pad_wires: Option<PadWires>,
}

/// Configuration bits that together drive one wire, or leave it alone.
#[derive(Debug)]
pub(super) struct Group {
    /// A buffer has a bit of its own that enables it; other groups are off at zero.
    buffer: bool,
    /// Row and column, most significant first.
    pub(super) bits: Vec<(u8, u8)>,
    /// The driven wire of the tile.
    pub(super) wire: u16,
    /// For each setting, the wire of the tile that drives.
    sources: [u16; 32],
    /// The bits that are set in every option.
    enable: u8,
}

/// No wire, no group.
const NONE: u16 = u16::MAX;

/// The wires of a logic tile, as indices into [`Kind::wires`].
#[derive(Debug)]
pub(super) struct CellWires {
    pub(super) inputs: [[u16; 4]; 8],
    pub(super) carry_in: u16,
    pub(super) clock: u16,
    pub(super) enable: u16,
    pub(super) set_reset: u16,
}

/// The wires of an input/output tile, as indices into [`Kind::wires`].
#[derive(Debug)]
pub(super) struct PadWires {
    pub(super) fabric_out: u16,
}

/// What gives a net its level, beside the switches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Driver {
    /// Only switches, if anything.
    None,
    /// The output of a logic cell: its flip-flop if that is on, its table if not.
    Cell { tile: Tile, cell: u8 },
    /// The output of a logic cell's table, whether the flip-flop is on or not.
    Table { tile: Tile, cell: u8 },
    /// The carry out of a logic cell.
    Carry { tile: Tile, cell: u8 },
    /// The wire that carries into the first cell of a logic tile; it can also be a constant.
    CarryIn { tile: Tile },
    /// The first (plain) input of a pad.
    Input { pad: Pad },
    /// The second (falling edge) input of a pad.
    SecondInput { pad: Pad },
    /// A bit of what a block RAM has read; the tile is the one with the output.
    Memory { tile: Tile, bit: u8 },
    /// A global net.
    Global { net: u8 },
    /// A hard block's output.
    Hard { block: HardBlock, tile: Tile },
}

/// The hard blocks that have outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HardBlock {
    Spram,
    Dsp,
    Pll,
    HighOscillator,
    LowOscillator,
    I2c,
    Spi,
    Led,
    Other,
}

/// A switch of one tile, for comparison with other descriptions of the chip.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Switch {
    /// The tile that holds the configuration bits.
    pub tile: Tile,
    /// The driven net.
    pub net: Net,
    /// The configuration bits (row, column), most significant first.
    pub bits: Vec<(u8, u8)>,
    /// For each setting the net that drives, ascending.
    pub options: Vec<(u8, Net)>,
    /// Whether it is a buffer with an enable bit of its own.
    pub buffer: bool,
}

/// What a group of configuration bits does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    Off,
    /// The wire of the tile that drives.
    From(u16),
    Undocumented,
}

/// The number of a tile, row by row.
pub(super) fn index(tile: Tile) -> usize {
    usize::from(tile.y) * usize::from(COLUMNS) + usize::from(tile.x)
}

/// All tiles in the order of [`index`].
pub(super) fn all_tiles() -> impl Iterator<Item = Tile> {
    (0..ROWS).flat_map(|y| (0..COLUMNS).map(move |x| Tile { x, y }))
}

impl Chip {
    /// The table that comes with this crate, decoded once per process.
    ///
    /// # Panics
    /// Never: a test decodes the table that is built in.
    pub fn up5k() -> &'static Chip {
        static CHIP: OnceLock<Chip> = OnceLock::new();
        CHIP.get_or_init(|| Chip::decode(TABLE).expect("the built-in table is tested"))
    }

    /// The net of a wire, by IceStorm's name such as `lutff_3/out`.
    pub fn net(&self, tile: Tile, wire: &str) -> Option<Net> {
        let name = self.names.iter().position(|name| name == wire)?;
        let wire = self.kind(tile).wire(name as u16)?;
        Some(self.wire_net(tile, wire))
    }

    /// How many nets there are.
    pub fn nets(&self) -> usize {
        self.drivers.len()
    }

    /// All switches of the chip.
    pub fn switches(&self) -> impl Iterator<Item = Switch> {
        all_tiles().flat_map(move |tile| {
            (0..self.kind(tile).groups.len()).filter_map(move |group| self.switch(tile, group))
        })
    }

    fn switch(&self, tile: Tile, number: usize) -> Option<Switch> {
        let group = &self.kind(tile).groups[number];
        let options: Vec<(u8, Net)> = (0..32)
            .filter_map(|value| match self.setting(tile, number as u16, value) {
                Setting::From(wire) => Some((value, self.wire_net(tile, wire))),
                Setting::Off | Setting::Undocumented => None,
            })
            .collect();
        let (bits, buffer) = (group.bits.clone(), group.buffer);
        // At the edge, a switch can be missing altogether.
        let net = self.wire_net(tile, group.wire);
        (!options.is_empty()).then_some(Switch { tile, net, bits, options, buffer })
    }

    /// The pad of a pin of the sg48 package.
    pub fn pad(&self, pin: &str) -> Option<Pad> {
        self.pins.iter().find(|(name, _)| name == pin).map(|&(_, pad)| pad)
    }

    pub(super) fn kind(&self, tile: Tile) -> &Kind {
        &self.kinds[usize::from(self.tiles[index(tile)])]
    }

    /// The net of a wire of a tile.
    pub(super) fn wire_net(&self, tile: Tile, wire: u16) -> Net {
        self.nets[self.first_wire[index(tile)] as usize + usize::from(wire)]
    }

    pub(super) fn wire_name(&self, tile: Tile, wire: u16) -> &str {
        &self.names[usize::from(self.kind(tile).wires[usize::from(wire)])]
    }

    pub(super) fn driver(&self, net: Net) -> Driver {
        self.drivers[net as usize]
    }

    /// What a group of a tile does at a setting.
    pub(super) fn setting(&self, tile: Tile, number: u16, value: u8) -> Setting {
        let group = &self.kind(tile).groups[usize::from(number)];
        let source = group.sources[usize::from(value)];
        let missing = || self.absent.binary_search(&(index(tile) as u16, number, value)).is_ok();
        if value == 0 || group.buffer && value & group.enable == 0 {
            // All routing is tri-state buffers: those that IceStorm calls `routing` are off at
            // zero, the others while their enable bit is zero (IceStorm, logic_tile.html).
            Setting::Off
        } else if source == NONE || missing() {
            Setting::Undocumented
        } else {
            Setting::From(source)
        }
    }

    /// A tile and a name for a net, for messages.
    pub(super) fn describe(&self, net: Net) -> (Tile, &str) {
        let place = self.places[net as usize];
        let number = self.first_wire.partition_point(|&first| first <= place) - 1;
        let (y, x) = (number / usize::from(COLUMNS), number % usize::from(COLUMNS));
        let tile = Tile { x: x as u8, y: y as u8 };
        (tile, self.wire_name(tile, (place - self.first_wire[number]) as u16))
    }

    /// The tile whose `fabout` wire can drive a global net.
    pub(super) fn global_fabric(&self, net: u8) -> Tile {
        self.global_fabric[usize::from(net)]
    }

    /// The pad that can drive a global net, and the bank, row and column of the bit that lets it.
    pub(super) fn global_pad(&self, net: u8) -> (Pad, (u8, u16, u16)) {
        (self.global_pad[usize::from(net)], self.global_pad_bit[usize::from(net)])
    }

    /// The tile whose column buffers bring the global nets to a tile, and the bit of one of them.
    pub(super) fn column_buffer(&self, tile: Tile, net: u8) -> Option<(Tile, (u8, u8))> {
        let buffer = Tile { x: tile.x, y: self.column_buffer[index(tile)] };
        let bit = self.kind(buffer).column_buffer_bits[usize::from(net)]?;
        Some((buffer, bit))
    }

    /// The tile and number of the bit that switches on the input buffer of a pad.
    pub(super) fn input_enable(&self, pad: Pad) -> Option<(Tile, u8)> {
        let found = self.input_enable.iter().find(|(other, ..)| *other == pad);
        found.map(|&(_, tile, number)| (tile, number))
    }

    /// The bit (tile, row, column) of a parameter of the PLL, such as `DIVF_0`.
    pub fn pll_bit(&self, name: &str) -> Option<(Tile, u8, u8)> {
        let (_, tile, place) = self.pll.iter().find(|(other, ..)| other == name)?;
        place.map(|(row, column)| (*tile, row, column))
    }

    /// The tile whose `fabout` is an input of the PLL, such as `RESETB`.
    pub fn pll_input(&self, name: &str) -> Option<Tile> {
        let (_, tile, place) = self.pll.iter().find(|(other, ..)| other == name)?;
        place.is_none().then_some(*tile)
    }
}

impl Kind {
    /// The index of a wire by the index of its name.
    fn wire(&self, name: u16) -> Option<u16> {
        self.wires.binary_search(&name).ok().map(|wire| wire as u16)
    }

    pub(super) fn is_logic(&self) -> bool {
        self.cell_wires.is_some()
    }

    /// The global net that a wire is, if any.
    pub(super) fn global_of_wire(&self, wire: u16) -> Option<u8> {
        self.global_of_wire[usize::from(wire)]
    }

    /// Calls `found` for every group that has a bit set, with its setting.
    pub(super) fn for_each_set_group(&self, bits: &TileBits, mut found: impl FnMut(u16, u8)) {
        for row in 0..16u8 {
            let mut rest = bits[usize::from(row)] & self.switch_bits[usize::from(row)];
            while rest != 0 {
                let column = rest.trailing_zeros() as u8;
                rest &= rest - 1;
                let number = self.group_of_bit[usize::from(row) * 64 + usize::from(column)];
                let group = &self.groups[usize::from(number)];
                // A group is reported at its first set bit only.
                let first = group.bits.iter().filter(|&&(r, c)| bit(bits, r, c)).min();
                if first == Some(&(row, column)) {
                    found(number, group.value(bits));
                }
            }
        }
    }
}

impl Group {
    /// The setting that the bits of a tile give.
    fn value(&self, bits: &TileBits) -> u8 {
        self.bits
            .iter()
            .fold(0, |value, &(row, column)| value << 1 | u8::from(bit(bits, row, column)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_table_is_whole() {
        let chip = Chip::up5k();
        // IceStorm's chip database has 201,460 switches.
        assert_eq!(chip.switches().count(), 201_460);
        assert_eq!(chip.pad("27"), Some(Pad { tile: Tile { x: 18, y: 31 }, block: 1 }));
        assert_eq!(chip.pad("35"), Some(Pad { tile: Tile { x: 12, y: 31 }, block: 1 }));
        assert_eq!(chip.pad("1"), None);
    }

    #[test]
    fn neighbours_share_nets() {
        let chip = Chip::up5k();
        let net = |x, y, wire| chip.net(Tile { x, y }, wire).unwrap();
        assert_eq!(net(3, 3, "lutff_7/cout"), net(3, 4, "carry_in"));
        assert_eq!(net(3, 3, "lutff_2/out"), net(4, 3, "neigh_op_lft_2"));
        assert_eq!(net(3, 3, "glb_netwk_5"), net(24, 30, "glb_netwk_5"));
        assert_ne!(net(3, 3, "lutff_2/out"), net(3, 3, "lutff_3/out"));
        assert_eq!(
            chip.driver(net(4, 3, "neigh_op_lft_2")),
            Driver::Cell { tile: Tile { x: 3, y: 3 }, cell: 2 }
        );
        assert_eq!(chip.net(Tile { x: 0, y: 0 }, "lutff_2/out"), None);
    }

    #[test]
    fn hard_blocks_are_known_by_their_outputs() {
        let chip = Chip::up5k();
        let driver = |x, y, wire| chip.driver(chip.net(Tile { x, y }, wire).unwrap());
        let hard = |x, y, wire| match driver(x, y, wire) {
            Driver::Hard { block, .. } => block,
            other => panic!("{other:?}"),
        };
        assert_eq!(hard(0, 1, "slf_op_3"), HardBlock::Spram);
        assert_eq!(hard(0, 5, "mult/O_3"), HardBlock::Dsp);
        assert_eq!(hard(1, 5, "neigh_op_lft_3"), HardBlock::Dsp);
        assert_eq!(hard(0, 28, "slf_op_7"), HardBlock::HighOscillator);
        assert_eq!(hard(25, 29, "slf_op_0"), HardBlock::LowOscillator);
        assert_eq!(hard(1, 30, "neigh_op_tnl_1"), HardBlock::Pll);
        assert_eq!(
            driver(6, 2, "ram/RDATA_3"),
            Driver::Memory { tile: Tile { x: 6, y: 2 }, bit: 3 }
        );
        assert_eq!(
            driver(7, 1, "neigh_op_lft_3"),
            Driver::Memory { tile: Tile { x: 6, y: 1 }, bit: 12 }
        );
        assert_eq!(driver(0, 29, "glb_netwk_4"), Driver::Global { net: 4 });
    }

    #[test]
    fn damaged_tables_are_errors() {
        assert!(Chip::decode(&[]).is_err());
        assert!(Chip::decode(&TABLE[..TABLE.len() / 2]).is_err());
        let raw = zstd::bulk::decompress(TABLE, 1 << 20).unwrap();
        for length in (0..raw.len()).step_by(997) {
            let cut = zstd::bulk::compress(&raw[..length], 1).unwrap();
            assert!(Chip::decode(&cut).is_err(), "{length}");
        }
    }
}
