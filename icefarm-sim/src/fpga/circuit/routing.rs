//! The switches that a bitstream closes, and where they lead.

use super::super::chip::{Chip, Driver, Net, Setting, all_tiles, index};
use super::super::cram::{TileBits, bit};
use super::super::{Bitstream, Refusal, Tile};
use super::Contents;

/// A switch group with at least one bit set that is not known to be off.
#[derive(Debug, Clone, Copy)]
struct Closed {
    /// The driven net.
    net: Net,
    /// The driving net; `None` if the setting is not documented.
    source: Option<Net>,
    tile: Tile,
    group: u16,
    value: u8,
}

/// The configuration of the chip, tile by tile, and the switches that are closed.
///
/// All of the chip is read, which costs little, but nothing is judged: a setting counts only if a
/// walk back from the observed pin comes to it.
pub(super) struct Routing<'a> {
    pub(super) chip: &'a Chip,
    bitstream: &'a Bitstream,
    /// The bits of each tile, by [`index`].
    tiles: Vec<TileBits>,
    /// By driven net.
    closed: Vec<Closed>,
}

impl<'a> Routing<'a> {
    pub(super) fn new(chip: &'a Chip, bitstream: &'a Bitstream) -> Self {
        let tiles: Vec<TileBits> = all_tiles().map(|tile| bitstream.tile(tile)).collect();
        let mut closed = Vec::new();
        for tile in all_tiles() {
            let kind = chip.kind(tile);
            kind.for_each_set_group(&tiles[index(tile)], |group, value| {
                let source = match chip.setting(tile, group, value) {
                    Setting::Off => return,
                    Setting::From(wire) => Some(chip.wire_net(tile, wire)),
                    Setting::Undocumented => None,
                };
                let net = chip.wire_net(tile, kind.groups[usize::from(group)].wire);
                closed.push(Closed { net, source, tile, group, value });
            });
        }
        closed.sort_by_key(|closed| closed.net);
        Self { chip, bitstream, tiles, closed }
    }

    /// A configuration bit of a tile.
    pub(super) fn bit(&self, tile: Tile, row: u8, column: u8) -> bool {
        bit(&self.tiles[index(tile)], row, column)
    }

    /// A bit that belongs to no tile, by bank, row and column.
    pub(super) fn cram_bit(&self, (bank, row, column): (u8, u16, u16)) -> bool {
        self.bitstream.cram_bit(usize::from(bank), usize::from(row), usize::from(column))
    }

    /// What is in a block RAM at the start, if the bitstream says so.
    pub(super) fn ram_contents(&self, tile: Tile) -> Option<Box<Contents>> {
        self.bitstream.ram_contents(tile)
    }

    /// Whether any switch drives a net.
    pub(super) fn is_switched(&self, net: Net) -> bool {
        !self.switches_to(net).is_empty()
    }

    fn switches_to(&self, net: Net) -> &[Closed] {
        let start = self.closed.partition_point(|closed| closed.net < net);
        let length = self.closed[start..].partition_point(|closed| closed.net == net);
        &self.closed[start..start + length]
    }

    /// Follows the switches from a net back to the one that a cell, pad or block drives; `None` if
    /// nothing drives it. All switches are buffers of one direction (IceStorm, logic_tile.html), so
    /// that what a net drives elsewhere cannot disturb it.
    pub(super) fn source(&self, start: Net) -> Result<Option<Net>, Refusal> {
        let mut net = start;
        for _ in 0..=self.closed.len() {
            let switches = self.switches_to(net);
            let driver = self.chip.driver(net);
            let Some(first) = switches.first() else {
                return Ok((driver != Driver::None).then_some(net));
            };
            for switch in switches {
                self.check(switch)?;
            }
            if let Driver::CarryIn { tile } = driver {
                self.check_carry_in(tile, net)?;
            }
            // The same signal from two sides does not fight.
            let agree = switches.iter().all(|switch| switch.source == first.source);
            let Some(source) = first.source.filter(|_| agree && driver_is_switch(driver)) else {
                return Err(self.contention(net, switches, driver));
            };
            net = source;
        }
        let (tile, wire) = self.chip.describe(start);
        Err(Refusal::RoutingRing { tile, wire: wire.to_owned() })
    }

    /// Whether a closed switch has a documented setting and its signal really comes.
    fn check(&self, switch: &Closed) -> Result<(), Refusal> {
        let kind = self.chip.kind(switch.tile);
        let group = &kind.groups[usize::from(switch.group)];
        let tile = switch.tile;
        match self.chip.setting(tile, switch.group, switch.value) {
            Setting::From(wire) => match kind.global_of_wire(wire) {
                Some(net) => self.check_column_buffer(tile, net),
                None => Ok(()),
            },
            Setting::Off => Ok(()),
            Setting::Undocumented => Err(Refusal::UnknownSwitch {
                tile,
                wire: self.chip.wire_name(tile, group.wire).to_owned(),
                setting: format!("{:0width$b}", switch.value, width = group.bits.len()),
            }),
        }
    }

    /// A global net comes to a tile only through the column buffers of its part of the column.
    fn check_column_buffer(&self, tile: Tile, net: u8) -> Result<(), Refusal> {
        match self.chip.column_buffer(tile, net) {
            Some((buffer, (row, column))) if !self.bit(buffer, row, column) => {
                Err(Refusal::ColumnBuffer { tile, net, buffer })
            }
            _ => Ok(()),
        }
    }

    /// A carry into a tile is either a constant 1 or comes from the tile below.
    fn check_carry_in(&self, tile: Tile, net: Net) -> Result<(), Refusal> {
        if self.carry_in_set(tile) {
            let (_, wire) = self.chip.describe(net);
            let setting = "CarryInSet and carry_in".to_owned();
            return Err(Refusal::UnknownSwitch { tile, wire: wire.to_owned(), setting });
        }
        Ok(())
    }

    /// Whether the carry into a tile is 1 if it does not come from the tile below.
    pub(super) fn carry_in_set(&self, tile: Tile) -> bool {
        self.bit(tile, 1, 50)
    }

    fn contention(&self, net: Net, switches: &[Closed], driver: Driver) -> Refusal {
        let (tile, wire) = self.chip.describe(net);
        let mut drivers: Vec<String> = switches
            .iter()
            .filter_map(|switch| {
                let (tile, source) = self.chip.describe(switch.source?);
                Some(format!("{source} of tile {tile} by a switch in tile {}", switch.tile))
            })
            .collect();
        if !driver_is_switch(driver) {
            drivers.push("the cell or pad that it belongs to".to_owned());
        }
        Refusal::Contention { tile, wire: wire.to_owned(), drivers: drivers.join(", ") }
    }
}

/// Whether switches may drive a net that has this driver.
fn driver_is_switch(driver: Driver) -> bool {
    // The carry into a tile is a switch with a constant behind it.
    matches!(driver, Driver::None | Driver::CarryIn { .. })
}
