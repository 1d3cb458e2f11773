//! Reading the condensed chip database.
//!
//! Layout after decompression, integers little-endian, `text` a length byte and ASCII, `list` a
//! 16-bit count and its items; wires are indices into the list of their kind:
//!
//! 1. `ICE5K` and the version of the layout, 2;
//! 2. list of wire names (text);
//! 3. list of kinds of tiles: name (text); list of wires (u16 index of name, ascending); list of
//!    switch groups: 1 for a buffer or 0 (u8), driven wire (u16), number of bits (u8) and each
//!    bit's row and column (u8, u8), number of options (u8) and each option's setting (u8) and
//!    driving wire (u16); 8 column buffer bits: row, column (u8, u8; 255, 255 for none);
//! 4. the kind of each of the 832 tiles (u8), row by row from the bottom;
//! 5. list of rules: kind (u8), wire (u16), dx, dy (i8, i8), other kind (u8), other wire (u16);
//! 6. list of further joins: x, y, wire, x, y, wire (u8, u8, u16 each);
//! 7. list of options that a tile lacks: x, y (u8, u8), group (u16), setting (u8), ascending;
//! 8. list of pins of the sg48 package: name (text), x, y, block (u8 each);
//! 9. for each of 8 global nets: x, y of its `fabout` tile, x, y, block of its pad (u8 each), bank
//!    (u8), row and column (u16, u16) of the bit that selects the pad;
//! 10. the row (u8) of the tile with the column buffers of each of the 832 tiles;
//! 11. list of input enables: x, y, block of a pad, x, y, number of its `IE` bit (u8 each);
//! 12. list of inputs and parameters of the PLL: name (text), x, y, row, column of its bit (u8
//!     each; 255, 255 if it is the `fabout` of the tile);
//! 13. list of hard block outputs: x, y (u8, u8), wire (u16), name of the block (text).

use super::nets::{self, Join, Rule};
use super::{CellWires, Chip, Driver, Group, HardBlock, Kind, NONE, Pad, PadWires, Tile};
use super::{TILES, all_tiles, index};

/// What is wrong with a table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the chip table cannot be read: {0}; run `cargo xtask chipdb`")]
pub struct TableError(String);

fn broken(what: &str) -> TableError {
    TableError(what.to_owned())
}

impl Chip {
    /// Decodes a table that `cargo xtask chipdb` wrote.
    ///
    /// # Errors
    /// If the table is not one.
    pub fn decode(compressed: &[u8]) -> Result<Self, TableError> {
        let bytes = zstd::bulk::decompress(compressed, 4 << 20)
            .map_err(|error| TableError(error.to_string()))?;
        let mut input = Input { rest: &bytes };
        if input.take(6)? != b"ICE5K\x02" {
            return Err(broken("it does not begin with ICE5K, version 2"));
        }
        let names = input.list(Input::text)?;
        let kinds = input.list(|input| kind(input, &names))?;
        let tiles = input.take(TILES)?.to_vec();
        if tiles.iter().any(|&kind| usize::from(kind) >= kinds.len()) {
            return Err(broken("a tile has no kind"));
        }
        let mut first_wire = Vec::with_capacity(TILES);
        let mut wires = 0;
        for &kind in &tiles {
            first_wire.push(wires);
            wires += kinds[usize::from(kind)].wires.len() as u32;
        }
        let rules = input.list(|input| rule(input, &kinds))?;
        let wire = |input: &mut Input<'_>| {
            let tile = input.tile()?;
            let kind = &kinds[usize::from(tiles[index(tile)])];
            Ok((tile, input.index(kind.wires.len())?))
        };
        let joins = input.list(|input| Ok(Join { a: wire(input)?, b: wire(input)? }))?;
        let absent =
            input.list(|input| Ok((index(input.tile()?) as u16, input.u16()?, input.u8()?)))?;
        let pins = input.list(|input| Ok((input.text()?, input.pad()?)))?;
        let mut global_fabric = [Tile { x: 0, y: 0 }; 8];
        let mut global_pad = [Pad { tile: Tile { x: 0, y: 0 }, block: 0 }; 8];
        let mut global_pad_bit = [(0, 0, 0); 8];
        for net in 0..8 {
            global_fabric[net] = input.tile()?;
            global_pad[net] = input.pad()?;
            global_pad_bit[net] = (input.u8()? & 3, input.u16()?, input.u16()?);
        }
        let column_buffer = input.take(TILES)?.to_vec();
        if column_buffer.iter().any(|&row| row >= super::ROWS) {
            return Err(broken("a column buffer is off the chip"));
        }
        let input_enable = input.list(|input| Ok((input.pad()?, input.tile()?, input.u8()?)))?;
        let pll = input.list(|input| {
            let (name, tile) = (input.text()?, input.tile()?);
            let (row, column) = (input.u8()?, input.u8()?);
            Ok((name, tile, (row < 16 && column < 64).then_some((row, column))))
        })?;
        let outputs = input.list(|input| Ok((wire(input)?, input.text()?)))?;
        if !input.rest.is_empty() {
            return Err(broken("it goes on after its end"));
        }

        let (nets, count) = nets::number(&tiles, &kinds, &first_wire, &rules, &joins);
        let mut chip = Self {
            names,
            kinds,
            tiles,
            first_wire,
            nets,
            drivers: vec![Driver::None; count],
            places: vec![u32::MAX; count],
            absent,
            pins,
            global_fabric,
            global_pad,
            global_pad_bit,
            column_buffer,
            input_enable,
            pll,
        };
        chip.set_drivers(&outputs);
        chip.set_places();
        Ok(chip)
    }

    /// Chooses the wire by which each net is called: `lutff_3/out` says more than `neigh_op_top_3`.
    fn set_places(&mut self) {
        let of_cells: Vec<bool> = self.names.iter().map(|name| name.contains('/')).collect();
        for tile in all_tiles() {
            let first = self.first_wire[index(tile)];
            for (wire, &name) in
                (0u16..).zip(&self.kinds[usize::from(self.tiles[index(tile)])].wires)
            {
                let place =
                    &mut self.places[self.nets[(first + u32::from(wire)) as usize] as usize];
                if *place == u32::MAX || of_cells[usize::from(name)] {
                    *place = first + u32::from(wire);
                }
            }
        }
    }

    /// Notes for every net what can give it its level.
    fn set_drivers(&mut self, outputs: &[((Tile, u16), String)]) {
        let mut drivers = std::mem::take(&mut self.drivers);
        let by_kind: Vec<Vec<(u16, Role)>> =
            self.kinds.iter().map(|kind| self.roles(kind)).collect();
        for tile in all_tiles() {
            for &(wire, role) in &by_kind[usize::from(self.tiles[index(tile)])] {
                drivers[self.wire_net(tile, wire) as usize] = role.driver(tile);
            }
        }
        for ((tile, wire), block) in outputs {
            let tile = *tile;
            let block = match block.as_str() {
                "PLL" => HardBlock::Pll,
                "SPRAM" => HardBlock::Spram,
                "MAC16" => HardBlock::Dsp,
                "HFOSC" => HardBlock::HighOscillator,
                "LFOSC" => HardBlock::LowOscillator,
                "I2C" => HardBlock::I2c,
                "SPI" => HardBlock::Spi,
                "LEDDA_IP" => HardBlock::Led,
                _ => HardBlock::Other,
            };
            let driver = &mut drivers[self.wire_net(tile, *wire) as usize];
            // The oscillators are also named at the global nets that they can drive.
            if !matches!(driver, Driver::Global { .. }) {
                *driver = Driver::Hard { block, tile };
            }
        }
        // The database does not say which output of a hard block's tile a neighbour sees. A wire
        // from such a tile must not pass for one that nothing drives.
        for tile in all_tiles() {
            for (wire, &name) in self.kind(tile).wires.iter().enumerate() {
                let driver = &mut drivers[self.wire_net(tile, wire as u16) as usize];
                if *driver == Driver::None
                    && let Some((dx, dy)) = neighbour_direction(&self.names[usize::from(name)])
                {
                    let block = nets::neighbour(tile, dx, dy)
                        .map(|other| usize::from(self.tiles[index(other)]))
                        .filter(|&kind| self.kinds[kind].dsp)
                        .map_or(HardBlock::Other, |_| HardBlock::Dsp);
                    *driver = Driver::Hard { block, tile };
                }
            }
        }
        self.drivers = drivers;
    }

    /// The wires of a kind that drive their nets.
    fn roles(&self, kind: &Kind) -> Vec<(u16, Role)> {
        let wires = kind.wires.iter().enumerate();
        let roles = wires.filter_map(|(wire, &name)| {
            let name = self.names[usize::from(name)].as_str();
            Some((wire as u16, Role::of(kind.is_logic(), name)?))
        });
        roles.collect()
    }
}

/// What a wire of a kind of tile is, as far as it drives.
#[derive(Debug, Clone, Copy)]
enum Role {
    Cell(u8),
    Table(u8),
    Carry(u8),
    CarryIn,
    Input(u8),
    SecondInput(u8),
    Memory(u8),
    Global(u8),
    Hard(HardBlock),
}

impl Role {
    fn of(logic: bool, name: &str) -> Option<Self> {
        if let Some(net) = global_net(name) {
            return Some(Self::Global(net));
        }
        if name == "carry_in_mux" && logic {
            return Some(Self::CarryIn);
        }
        if name.starts_with("slf_op_") {
            // Which block, if any, the list of outputs tells.
            return Some(Self::Hard(HardBlock::Other));
        }
        let (block, port) = name.split_once('/')?;
        let number = || block.rsplit('_').next()?.parse().ok();
        match port {
            "out" if logic => number().map(Self::Cell),
            "lout" if logic => number().map(Self::Table),
            "cout" if logic => number().map(Self::Carry),
            "D_IN_0" => number().map(Self::Input),
            "D_IN_1" => number().map(Self::SecondInput),
            _ if block == "ram" => port.strip_prefix("RDATA_")?.parse().ok().map(Self::Memory),
            _ if block == "mult" => Some(Self::Hard(HardBlock::Dsp)),
            _ => None,
        }
    }

    fn driver(self, tile: Tile) -> Driver {
        match self {
            Self::Cell(cell) => Driver::Cell { tile, cell },
            Self::Table(cell) => Driver::Table { tile, cell },
            Self::Carry(cell) => Driver::Carry { tile, cell },
            Self::CarryIn => Driver::CarryIn { tile },
            Self::Input(block) => Driver::Input { pad: Pad { tile, block } },
            Self::SecondInput(block) => Driver::SecondInput { pad: Pad { tile, block } },
            Self::Memory(bit) => Driver::Memory { tile, bit },
            Self::Global(net) => Driver::Global { net },
            Self::Hard(block) => Driver::Hard { block, tile },
        }
    }
}

/// Where a wire comes from, by a name such as `neigh_op_tnl_3`.
fn neighbour_direction(name: &str) -> Option<(i8, i8)> {
    let rest = name.strip_prefix("neigh_op_").or_else(|| name.strip_prefix("logic_op_"))?;
    match rest.split_once('_')?.0 {
        "tnl" => Some((-1, 1)),
        "top" => Some((0, 1)),
        "tnr" => Some((1, 1)),
        "lft" => Some((-1, 0)),
        "rgt" => Some((1, 0)),
        "bnl" => Some((-1, -1)),
        "bot" => Some((0, -1)),
        "bnr" => Some((1, -1)),
        _ => None,
    }
}

/// The number of a global net by the name of a wire.
fn global_net(name: &str) -> Option<u8> {
    name.strip_prefix("glb_netwk_")?.parse().ok().filter(|&net| net < 8)
}

fn kind(input: &mut Input<'_>, names: &[String]) -> Result<Kind, TableError> {
    let name = input.text()?;
    let wires = input.list(|input| input.index(names.len()))?;
    let groups = input.list(|input| group(input, wires.len()))?;
    let mut column_buffer_bits = [None; 8];
    for bit in &mut column_buffer_bits {
        let (row, column) = (input.u8()?, input.u8()?);
        *bit = (row < 16 && column < 64).then_some((row, column));
    }
    let mut group_of_bit = vec![NONE; 16 * 64];
    let mut switch_bits = [0; 16];
    for (number, group) in groups.iter().enumerate() {
        for &(row, column) in &group.bits {
            group_of_bit[usize::from(row) * 64 + usize::from(column)] = number as u16;
            switch_bits[usize::from(row)] |= 1 << column;
        }
    }
    let name_of = |wire: &u16| names[usize::from(*wire)].as_str();
    let find = |wanted: &str| {
        wires.iter().position(|wire| name_of(wire) == wanted).map(|wire| wire as u16)
    };
    let global_of_wire = wires.iter().map(|wire| global_net(name_of(wire))).collect();
    let need =
        |wanted: &str| find(wanted).ok_or_else(|| TableError(format!("no {wanted} in {name}")));
    let mut cell_wires = None;
    let mut pad_wires = None;
    if name == "logic" {
        let mut inputs = [[0; 4]; 8];
        for (cell, inputs) in inputs.iter_mut().enumerate() {
            for (number, input) in inputs.iter_mut().enumerate() {
                *input = need(&format!("lutff_{cell}/in_{number}"))?;
            }
        }
        cell_wires = Some(CellWires {
            inputs,
            carry_in: need("carry_in_mux")?,
            clock: need("lutff_global/clk")?,
            enable: need("lutff_global/cen")?,
            set_reset: need("lutff_global/s_r")?,
        });
    } else if name.starts_with("io_") {
        pad_wires = Some(PadWires { fabric_out: need("fabout")? });
    }
    Ok(Kind {
        dsp: name.starts_with("dsp"),
        wires,
        groups,
        group_of_bit,
        switch_bits,
        column_buffer_bits,
        global_of_wire,
        cell_wires,
        pad_wires,
    })
}

fn group(input: &mut Input<'_>, wires: usize) -> Result<Group, TableError> {
    let buffer = input.u8()? != 0;
    let wire = input.index(wires)?;
    let count = input.u8()?;
    if !(1..=5).contains(&count) {
        return Err(broken("a switch has more bits than any has"));
    }
    let mut bits = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let (row, column) = (input.u8()?, input.u8()?);
        if row > 15 || column > 63 {
            return Err(broken("a switch has a bit off its tile"));
        }
        bits.push((row, column));
    }
    let mut sources = [NONE; 32];
    let mut enable = 31;
    for _ in 0..input.u8()? {
        let setting = input.u8()? & 31;
        sources[usize::from(setting)] = input.index(wires)?;
        enable &= setting;
    }
    Ok(Group { buffer, bits, wire, sources, enable })
}

fn rule(input: &mut Input<'_>, kinds: &[Kind]) -> Result<Rule, TableError> {
    let end = |input: &mut Input<'_>| {
        let kind = input.u8()?;
        let wires = kinds.get(usize::from(kind)).ok_or_else(|| broken("a rule has no kind"))?;
        Ok((kind, wires.wires.len()))
    };
    let (kind, wires) = end(input)?;
    let wire = input.index(wires)?;
    let (dx, dy) = (input.u8()? as i8, input.u8()? as i8);
    let (other_kind, wires) = end(input)?;
    let other_wire = input.index(wires)?;
    Ok(Rule { kind, wire, dx, dy, other_kind, other_wire })
}

/// The part of a table that is not read yet.
struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], TableError> {
        let (taken, rest) =
            self.rest.split_at_checked(count).ok_or_else(|| broken("it is cut short"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn u8(&mut self) -> Result<u8, TableError> {
        Ok(self.take(1)?[0])
    }

    fn u16(&mut self) -> Result<u16, TableError> {
        let bytes = self.take(2)?;
        Ok(u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    /// A 16-bit index below `limit`.
    fn index(&mut self, limit: usize) -> Result<u16, TableError> {
        let index = self.u16()?;
        if usize::from(index) < limit { Ok(index) } else { Err(broken("an index is too large")) }
    }

    fn text(&mut self) -> Result<String, TableError> {
        let length = self.u8()?;
        let bytes = self.take(usize::from(length))?;
        String::from_utf8(bytes.to_vec()).map_err(|_| broken("a name is not text"))
    }

    fn tile(&mut self) -> Result<Tile, TableError> {
        let tile = Tile { x: self.u8()?, y: self.u8()? };
        let on_chip = tile.x < super::COLUMNS && tile.y < super::ROWS;
        if on_chip { Ok(tile) } else { Err(broken("a tile is off the chip")) }
    }

    fn pad(&mut self) -> Result<Pad, TableError> {
        Ok(Pad { tile: self.tile()?, block: self.u8()? & 1 })
    }

    fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, TableError>,
    ) -> Result<Vec<T>, TableError> {
        let count = self.u16()?;
        (0..count).map(|_| item(self)).collect()
    }
}
