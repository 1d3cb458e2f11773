//! Compares the condensed table with the database that it was made from.

use super::database::Database;
use super::table::pll_ports;
use crate::Result;
use icefarm_sim::fpga::{Chip, Switch, Tile};
use std::collections::{BTreeSet, HashMap};

/// Decodes a table and checks that it has the same nets, switches and pins as the database.
pub(super) fn verify(database: &Database, compressed: &[u8]) -> Result {
    let chip = Chip::decode(compressed)?;
    let mut there: HashMap<u32, usize> = HashMap::new();
    let mut nets = Vec::new();
    for (number, members) in database.nets.iter().enumerate() {
        let mut net = None;
        for &((x, y), name) in members {
            let name = &database.names[usize::from(name)];
            let found = chip.net(Tile { x, y }, name);
            let found = found.ok_or_else(|| format!("tile ({x}, {y}) lost its wire {name}"))?;
            if *net.get_or_insert(found) != found {
                return Err(format!("net {number} fell apart at tile ({x}, {y}), {name}").into());
            }
            if *there.entry(found).or_insert(number) != number {
                return Err(format!("net {number} ran together with net {}", there[&found]).into());
            }
        }
        nets.push(net.ok_or("a net has no wires")?);
    }
    let expected: BTreeSet<Switch> = database
        .switches
        .iter()
        .map(|switch| {
            let mut options: Vec<_> =
                switch.options.iter().map(|&(setting, net)| (setting, nets[net])).collect();
            options.sort_unstable();
            let tile = Tile { x: switch.tile.0, y: switch.tile.1 };
            let (net, bits) = (nets[switch.net], switch.bits.clone());
            Switch { tile, net, bits, options, buffer: switch.buffer }
        })
        .collect();
    let found: BTreeSet<Switch> = chip.switches().collect();
    let (lost, made_up) =
        (expected.difference(&found).count(), found.difference(&expected).count());
    if lost + made_up > 0 {
        let example = expected.symmetric_difference(&found).next();
        return Err(format!("{lost} switches lost, {made_up} made up, such as {example:?}").into());
    }
    for (pin, (x, y), block) in &database.pins {
        let pad = chip.pad(pin).ok_or_else(|| format!("pin {pin} is lost"))?;
        if (pad.tile, pad.block) != (Tile { x: *x, y: *y }, *block) {
            return Err(format!("pin {pin} moved").into());
        }
    }
    for (port, (x, y), (row, column)) in pll_ports(database)? {
        let tile = Tile { x, y };
        let found = match (row, column) {
            (255, 255) => chip.pll_input(port) == Some(tile),
            _ => chip.pll_bit(port) == Some((tile, row, column)),
        };
        if !found {
            return Err(format!("port {port} of the PLL is lost").into());
        }
    }
    println!(
        "verified: the table gives back all {} nets and {} switches",
        database.nets.len(),
        found.len()
    );
    Ok(())
}
