//! Writes the condensed table; `icefarm-sim/src/fpga/chip/decode.rs` documents its layout.

use super::condense::Condensed;
use super::database::{COLUMNS, Database, ROWS, Tile};
use crate::Result;

/// The ports of hard blocks that are outputs though their wires are not called so.
const OTHER_OUTPUTS: [(&str, &str); 2] = [("PLL", "LOCK"), ("PLL", "SDO")];

/// Encodes the table, not yet compressed.
pub(super) fn encode(database: &Database, condensed: &Condensed) -> Result<Vec<u8>> {
    let tiles = || (0..ROWS).flat_map(|y| (0..COLUMNS).map(move |x| (x, y)));
    let wire = |tile: Tile, name: u16| local(condensed, condensed.kind_of[&tile], name);
    let mut out = Out(b"ICE5K\x02".to_vec());
    out.list(&database.names, |out, name| out.text(name))?;
    out.list(&condensed.kinds, |out, kind| {
        let number = condensed.kinds.iter().position(|k| k.name == kind.name).unwrap_or_default();
        out.text(&kind.name)?;
        out.list(&kind.wires, |out, &wire| out.u16(wire))?;
        out.list(&kind.groups, |out, group| {
            out.u8(u8::from(group.buffer));
            out.u16(local(condensed, number, group.wire)?)?;
            out.u8(group.bits.len() as u8);
            group.bits.iter().for_each(|&(row, column)| out.bytes(&[row, column]));
            out.u8(group.options.len() as u8);
            for (&setting, &source) in &group.options {
                out.u8(setting);
                out.u16(local(condensed, number, source)?)?;
            }
            Ok(())
        })?;
        for net in 0..8 {
            // The database does not tell the sides apart here.
            let kind = kind.name.split('_').next().unwrap_or_default().to_owned();
            let function = format!("ColBufCtrl.glb_netwk_{net}");
            let (row, column) =
                database.tile_bits.get(&(kind, function)).copied().unwrap_or((255, 255));
            out.bytes(&[row, column]);
        }
        Ok(())
    })?;
    tiles().for_each(|tile| out.u8(condensed.kind_of[&tile] as u8));
    out.list(&condensed.rules, |out, &(ka, a, dx, dy, kb, b)| {
        out.u8(ka);
        out.u16(local(condensed, usize::from(ka), a)?)?;
        out.bytes(&[dx as u8, dy as u8, kb]);
        out.u16(local(condensed, usize::from(kb), b)?)
    })?;
    out.list(&condensed.joins, |out, &(a, b)| {
        for (tile, name) in [a, b] {
            out.tile(tile);
            out.u16(wire(tile, name)?)?;
        }
        Ok(())
    })?;
    // By tile row by row, as the reader searches them.
    let mut absent: Vec<_> = condensed.absent.iter().map(|&(x, y, g, s)| (y, x, g, s)).collect();
    absent.sort_unstable();
    out.list(&absent, |out, &(y, x, group, setting)| {
        out.tile((x, y));
        out.u16(group)?;
        out.u8(setting);
        Ok(())
    })?;
    out.list(&database.pins, |out, (name, tile, pad)| {
        out.text(name)?;
        out.tile(*tile);
        out.u8(*pad);
        Ok(())
    })?;
    for net in 0..8 {
        out.tile(database.global_fabric[net]);
        out.tile(database.global_pad[net].0);
        out.u8(database.global_pad[net].1);
        let (bank, row, column) = database.global_pad_bit[net];
        out.u8(bank);
        out.u16(row)?;
        out.u16(column)?;
    }
    for tile in tiles() {
        let &(x, y) = database.column_buffers.get(&tile).ok_or("a tile has no column buffer")?;
        if x != tile.0 {
            return Err("a column buffer lies in another column".into());
        }
        out.u8(y);
    }
    out.list(&database.input_enable, |out, &(pad_tile, pad, tile, number)| {
        out.tile(pad_tile);
        out.u8(pad);
        out.tile(tile);
        out.u8(number);
        Ok(())
    })?;
    let pll: Vec<_> = pll_ports(database)?;
    out.list(&pll, |out, (port, tile, (row, column))| {
        out.text(port)?;
        out.tile(*tile);
        out.bytes(&[*row, *column]);
        Ok(())
    })?;
    let outputs: Vec<_> = database
        .cells
        .iter()
        .filter(|(cell, port, _, wire)| {
            ["slf_op_", "mult/", "glb_netwk_"].iter().any(|prefix| wire.starts_with(prefix))
                || OTHER_OUTPUTS.contains(&(cell.as_str(), port.as_str()))
        })
        .collect();
    out.list(&outputs, |out, (cell, port, tile, name)| {
        let name = database.names.iter().position(|other| other == name);
        let name = name.ok_or_else(|| format!("{cell}.{port} is at an unknown wire"))?;
        out.tile(*tile);
        out.u16(wire(*tile, name as u16)?)?;
        out.text(cell)
    })?;
    Ok(out.0)
}

/// What belongs to the PLL: its port or parameter, a tile, and the place of the bit; (255, 255) if
/// the port is the `fabout` of the tile.
pub(super) type PllPort<'a> = (&'a str, Tile, (u8, u8));

/// The inputs and parameters of the PLL.
pub(super) fn pll_ports(database: &Database) -> Result<Vec<PllPort<'_>>> {
    let mut ports = Vec::new();
    for (cell, port, tile, wire) in &database.cells {
        if cell != "PLL" {
            continue;
        }
        let key = ("io".to_owned(), format!("PLL.{wire}"));
        match database.tile_bits.get(&key) {
            Some(&place) => ports.push((port.as_str(), *tile, place)),
            None if wire == "fabout" => ports.push((port.as_str(), *tile, (255, 255))),
            // Outputs are listed elsewhere.
            None => {}
        }
    }
    if ports.len() < 40 {
        return Err("the PLL has lost its ports".into());
    }
    Ok(ports)
}

/// The index of a wire in the list of its kind.
fn local(condensed: &Condensed, kind: usize, name: u16) -> Result<u16> {
    let wires = &condensed.kinds[kind].wires;
    Ok(wires.binary_search(&name).map_err(|_| "a wire is not in the list of its kind")? as u16)
}

struct Out(Vec<u8>);

impl Out {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    fn u16(&mut self, value: u16) -> Result {
        self.bytes(&value.to_le_bytes());
        Ok(())
    }

    fn tile(&mut self, (x, y): Tile) {
        self.bytes(&[x, y]);
    }

    fn text(&mut self, text: &str) -> Result {
        self.u8(u8::try_from(text.len())?);
        self.bytes(text.as_bytes());
        Ok(())
    }

    fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T) -> Result) -> Result {
        self.u16(u16::try_from(items.len())?)?;
        items.iter().try_for_each(|item| write(self, item))
    }
}
