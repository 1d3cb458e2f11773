//! The chip database as IceStorm's `icebox_chipdb` writes it.

use crate::Result;
use std::collections::{BTreeMap, HashMap};

pub(super) type Tile = (u8, u8);

pub(super) const COLUMNS: u8 = 26;
pub(super) const ROWS: u8 = 32;

/// Everything that the condensed table is made of.
#[derive(Default)]
pub(super) struct Database {
    /// Names of wires; everything else has their numbers.
    pub(super) names: Vec<String>,
    /// The kind of each tile, corners included.
    pub(super) kinds: HashMap<Tile, String>,
    /// The wires of each net.
    pub(super) nets: Vec<Vec<(Tile, u16)>>,
    pub(super) switches: Vec<Switch>,
    /// Pins of the sg48 package: name, tile and number of the pad.
    pub(super) pins: Vec<(String, Tile, u8)>,
    /// The tile whose `fabout` drives each global net.
    pub(super) global_fabric: [Tile; 8],
    /// The pad that drives each global net.
    pub(super) global_pad: [(Tile, u8); 8],
    /// The bank, row and column of the bit that selects that pad.
    pub(super) global_pad_bit: [(u8, u16, u16); 8],
    /// The tile with the column buffers of each tile.
    pub(super) column_buffers: HashMap<Tile, Tile>,
    /// Pad, and tile and number of its `IE` bit.
    pub(super) input_enable: Vec<(Tile, u8, Tile, u8)>,
    /// Configuration bits by type of tile and function.
    pub(super) tile_bits: BTreeMap<(String, String), (u8, u8)>,
    /// Ports of cells outside the fabric: kind of cell, port, tile, wire or bit.
    pub(super) cells: Vec<(String, String, Tile, String)>,
}

/// Bits that drive one net.
pub(super) struct Switch {
    pub(super) tile: Tile,
    pub(super) buffer: bool,
    pub(super) net: usize,
    pub(super) bits: Vec<(u8, u8)>,
    /// Setting and driving net.
    pub(super) options: Vec<(u8, usize)>,
}

impl Database {
    /// Reads the database of the iCE40UP5K.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut database = Self::default();
        for x in 0..COLUMNS {
            for y in 0..ROWS {
                database.kinds.insert((x, y), "corner".to_owned());
            }
        }
        let mut numbers = HashMap::new();
        let mut section: Vec<&str> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            if line.starts_with('#') {
                continue;
            }
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let Some(first) = fields.first() else { continue };
            let read = if first.starts_with('.') {
                section.clone_from(&fields);
                database.section(&section)
            } else {
                database.line(&section, &fields, &mut numbers)
            };
            read.ok_or_else(|| format!("line {}: cannot read {line:?}", number + 1))?;
        }
        if database.switches.is_empty() || database.nets.is_empty() {
            return Err("this is not a chip database".into());
        }
        Ok(database)
    }

    fn section(&mut self, section: &[&str]) -> Option<()> {
        match *section {
            [".device", device, ..] => (device == "5k").then_some(()),
            [".net", number] => {
                self.nets.push(Vec::new());
                (number.parse() == Ok(self.nets.len() - 1)).then_some(())
            }
            [kind @ (".buffer" | ".routing"), x, y, net, ..] => {
                self.switches.push(Switch {
                    tile: tile(x, y)?,
                    buffer: kind == ".buffer",
                    net: net.parse().ok()?,
                    bits: section[4..].iter().map(|name| bit(name)).collect::<Option<_>>()?,
                    options: Vec::new(),
                });
                Some(())
            }
            [kind, x, y] if kind.ends_with("_tile") => {
                let (x, y) = tile(x, y)?;
                let kind = kind[1..].trim_end_matches("_tile");
                // Both sides of these have tables of their own.
                let side = match kind {
                    "io" if y == 0 => "_b",
                    "io" => "_t",
                    "ipcon" | "dsp0" | "dsp1" | "dsp2" | "dsp3" if x == 0 => "_l",
                    "ipcon" | "dsp0" | "dsp1" | "dsp2" | "dsp3" => "_r",
                    _ => "",
                };
                self.kinds.insert((x, y), format!("{kind}{side}"));
                Some(())
            }
            _ => Some(()),
        }
    }

    fn line<'a>(
        &mut self,
        section: &[&str],
        fields: &[&'a str],
        numbers: &mut HashMap<&'a str, u16>,
    ) -> Option<()> {
        match (section, fields) {
            ([".net", _], [x, y, name]) => {
                let next = u16::try_from(numbers.len()).ok()?;
                let number = *numbers.entry(name).or_insert_with(|| {
                    self.names.push((*name).to_owned());
                    next
                });
                self.nets.last_mut()?.push((tile(x, y)?, number));
            }
            ([".buffer" | ".routing", ..], [setting, net]) => {
                let setting = u8::from_str_radix(setting, 2).ok()?;
                self.switches.last_mut()?.options.push((setting, net.parse().ok()?));
            }
            ([".pins", "sg48"], [name, x, y, pad]) => {
                self.pins.push(((*name).to_owned(), tile(x, y)?, pad.parse().ok()?));
            }
            ([".gbufin"], [x, y, net]) => {
                *self.global_fabric.get_mut(net.parse::<usize>().ok()?)? = tile(x, y)?;
            }
            ([".gbufpin"], [x, y, pad, net]) => {
                *self.global_pad.get_mut(net.parse::<usize>().ok()?)? =
                    (tile(x, y)?, pad.parse().ok()?);
            }
            ([".extra_bits"], [function, bank, column, row]) => {
                let net: usize = function.strip_prefix("padin_glb_netwk.")?.parse().ok()?;
                *self.global_pad_bit.get_mut(net)? =
                    (bank.parse().ok()?, row.parse().ok()?, column.parse().ok()?);
            }
            ([".colbuf"], [x, y, to_x, to_y]) => {
                self.column_buffers.insert(tile(to_x, to_y)?, tile(x, y)?);
            }
            ([".ieren"], [x, y, pad, to_x, to_y, number]) => {
                let number = number.parse().ok()?;
                self.input_enable.push((tile(x, y)?, pad.parse().ok()?, tile(to_x, to_y)?, number));
            }
            ([kind, ..], [function, bits @ ..]) if kind.ends_with("_tile_bits") => {
                let kind = kind[1..].trim_end_matches("_tile_bits").to_owned();
                self.tile_bits.insert((kind, (*function).to_owned()), bit(bits.first()?)?);
            }
            ([".extra_cell", .., kind], [port, x, y, wire]) => {
                let at = tile(x, y)?;
                self.cells.push(((*kind).to_owned(), (*port).to_owned(), at, (*wire).to_owned()));
            }
            _ => {}
        }
        Some(())
    }
}

fn tile(x: &str, y: &str) -> Option<Tile> {
    let (x, y) = (x.parse().ok()?, y.parse().ok()?);
    (x < COLUMNS && y < ROWS).then_some((x, y))
}

/// `B3[17]` is row 3, column 17.
fn bit(name: &str) -> Option<(u8, u8)> {
    let (row, column) = name.strip_prefix('B')?.strip_suffix(']')?.split_once('[')?;
    Some((row.parse().ok()?, column.parse().ok()?))
}
