//! Walks back from a pin to everything that can reach it.

use super::super::chip::{CellWires, Driver, HardBlock, Net, Pad};
use super::super::{Refusal, Tile};
use super::graph::{Cell, FlipFlop, Graph, HIGH, Id, LOW, Node, Role, Table, depends};
use super::pads::PadPart;
use super::routing::Routing;
use std::collections::HashMap;

/// The majority of inputs 0 to 2, which is the carry of a logic cell.
const CARRY: u16 = 0xE8E8;

/// The configuration bits of a cell that are its truth table, by index (IceStorm,
/// logic_tile.html).
const TABLE_BITS: [u8; 16] = [4, 14, 15, 5, 6, 16, 17, 7, 3, 13, 12, 2, 1, 11, 10, 0];
const CARRY_ENABLE: u8 = 8;
const FLIP_FLOP_ENABLE: u8 = 9;
const SET_NOT_RESET: u8 = 18;
const ASYNCHRONOUS: u8 = 19;

/// The bit (row, column) of a logic tile that makes all its flip-flops act at the falling edge.
const FALLING_EDGE: (u8, u8) = (0, 0);

/// The tile whose `fabout` is BOOT of the warm boot cell (IceStorm's chip database).
pub(super) const BOOT_TILE: Tile = Tile { x: 22, y: 0 };

/// What a node stands for whose inputs are followed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Part {
    Table(Cell),
    FlipFlop(Cell),
    Carry(Cell),
    Pad(Pad, PadPart),
}

/// Builds the graph of what can reach the pad of a pin. Whatever cannot be known becomes a node
/// that says why, and is judged later.
///
/// # Errors
/// If the pad itself cannot be observed.
pub(super) fn trace(routing: &Routing<'_>, pin: Pad, clock: Pad) -> Result<Graph, Refusal> {
    let mut trace =
        Trace { routing, clock, graph: Graph::new(), known: HashMap::new(), open: vec![] };
    if pin == clock {
        return Err(Refusal::ClockOnPin);
    }
    // A pin that is never driven reads 0 like every wire that nothing drives.
    if trace.is_output(pin) {
        trace.graph.pin = trace.pad(pin, PadPart::Output);
        trace.graph.pin_enable = trace.pad(pin, PadPart::Enable);
    }
    trace.graph.boot = trace.fabric_out(BOOT_TILE).map_or(LOW, |net| trace.net(net));
    while let Some((id, part)) = trace.open.pop() {
        let node = match part {
            Part::Table(cell) => trace.table(cell),
            Part::FlipFlop(cell) => trace.flip_flop(cell),
            Part::Carry(cell) => trace.carry(cell),
            Part::Pad(pad, part) => trace.pad_node(pad, part),
        };
        trace.graph.nodes[id as usize] = node;
    }
    Ok(trace.graph)
}

pub(super) struct Trace<'a> {
    pub(super) routing: &'a Routing<'a>,
    /// The pad that the board feeds with its clock.
    pub(super) clock: Pad,
    pub(super) graph: Graph,
    known: HashMap<Part, Id>,
    /// Nodes whose inputs are not followed yet.
    open: Vec<(Id, Part)>,
}

impl Trace<'_> {
    pub(super) fn blocked(&mut self, refusal: Refusal) -> Id {
        self.graph.add(Node::Blocked(Box::new(refusal)))
    }

    /// The node of a part, which is filled in later.
    pub(super) fn part(&mut self, part: Part) -> Id {
        if let Some(&id) = self.known.get(&part) {
            return id;
        }
        let id = self.graph.add(Node::Constant(false));
        self.known.insert(part, id);
        self.open.push((id, part));
        id
    }

    /// The node that gives a net its level. A net that nothing drives reads 0, as IceStorm says of
    /// the inputs of logic cells.
    pub(super) fn net(&mut self, net: Net) -> Id {
        match self.routing.source(net) {
            Ok(Some(source)) => self.driver(source),
            Ok(None) => LOW,
            Err(refusal) => self.blocked(refusal),
        }
    }

    fn driver(&mut self, net: Net) -> Id {
        match self.routing.chip.driver(net) {
            Driver::None => LOW,
            Driver::Cell { tile, cell } => {
                let cell = Cell { tile, index: cell };
                let on = self.cell_bit(cell, FLIP_FLOP_ENABLE);
                self.part(if on { Part::FlipFlop(cell) } else { Part::Table(cell) })
            }
            Driver::Table { tile, cell } => self.part(Part::Table(Cell { tile, index: cell })),
            Driver::Carry { tile, cell } => self.part(Part::Carry(Cell { tile, index: cell })),
            Driver::CarryIn { tile } => self.carry_in(tile),
            Driver::Input { pad } => self.pad(pad, PadPart::Input),
            Driver::SecondInput { pad } => self.pad(pad, PadPart::SecondInputRegister),
            Driver::Global { net } => self.global(net),
            Driver::Memory { tile, bit } => self.memory_bit(tile, bit),
            Driver::Hard { block, tile } => self.blocked(hard_block(block, tile)),
        }
    }

    fn cell_bit(&self, cell: Cell, number: u8) -> bool {
        self.routing.bit(cell.tile, 2 * cell.index + number / 10, 36 + number % 10)
    }

    /// The net of one of the wires of a cell's tile.
    fn wire(&self, cell: Cell, pick: impl Fn(&CellWires) -> u16) -> Option<Net> {
        let chip = self.routing.chip;
        let wires = chip.kind(cell.tile).cell_wires.as_ref()?;
        Some(chip.wire_net(cell.tile, pick(wires)))
    }

    fn input_of(&mut self, cell: Cell, number: usize) -> Id {
        let net = self.wire(cell, |wires| wires.inputs[usize::from(cell.index)][number]);
        net.map_or(LOW, |net| self.net(net))
    }

    fn table(&mut self, cell: Cell) -> Node {
        let places = TABLE_BITS.iter().enumerate();
        let bits = places.fold(0, |bits, (index, &number)| {
            bits | u16::from(self.cell_bit(cell, number)) << index
        });
        // What a table does not look at is not even followed.
        let inputs = [0, 1, 2, 3]
            .map(|number| if depends(bits, number) { self.input_of(cell, number) } else { LOW });
        Node::Table(Table { bits, inputs, cell, role: Role::Logic })
    }

    fn carry(&mut self, cell: Cell) -> Node {
        let (tile, index) = (cell.tile, cell.index);
        if !self.cell_bit(cell, CARRY_ENABLE) {
            // Lattice's simulation model drives 1, IceStorm's tools leave the wire undriven.
            return Node::Blocked(Box::new(Refusal::CarryDisabled { tile, cell: index }));
        }
        let carry_in = match index.checked_sub(1) {
            Some(below) => self.part(Part::Carry(Cell { tile, index: below })),
            None => self.wire(cell, |wires| wires.carry_in).map_or(LOW, |net| self.net(net)),
        };
        let inputs = [self.input_of(cell, 1), self.input_of(cell, 2), carry_in, LOW];
        Node::Table(Table { bits: CARRY, inputs, cell, role: Role::Carry })
    }

    /// The wire that carries into the first cell, if no switch drives it.
    fn carry_in(&self, tile: Tile) -> Id {
        if self.routing.carry_in_set(tile) { HIGH } else { LOW }
    }

    fn flip_flop(&mut self, cell: Cell) -> Node {
        let data = self.part(Part::Table(cell));
        let clock = self.wire(cell, |wires| wires.clock).map_or(LOW, |net| self.net(net));
        // Clock enable is on if no switch drives it (IceStorm, logic_tile.html).
        let enable = self.wire(cell, |wires| wires.enable);
        let enable = enable.filter(|&net| self.routing.is_switched(net));
        let enable = enable.map_or(HIGH, |net| self.net(net));
        let set_reset = self.wire(cell, |wires| wires.set_reset).map_or(LOW, |net| self.net(net));
        let (row, column) = FALLING_EDGE;
        Node::FlipFlop(FlipFlop {
            data,
            clock,
            enable,
            set_reset,
            falling: self.routing.bit(cell.tile, row, column),
            set: self.cell_bit(cell, SET_NOT_RESET),
            asynchronous: self.cell_bit(cell, ASYNCHRONOUS),
        })
    }

    fn global(&mut self, net: u8) -> Id {
        let chip = self.routing.chip;
        let fabric = chip.global_fabric(net);
        let from_fabric = self.fabric_out(fabric).filter(|&net| self.routing.is_switched(net));
        let (pad, select) = chip.global_pad(net);
        match (self.routing.cram_bit(select), from_fabric) {
            (false, None) => LOW,
            (false, Some(net)) => self.net(net),
            (true, Some(_)) => self.blocked(Refusal::Contention {
                tile: fabric,
                wire: format!("glb_netwk_{net}"),
                drivers: "a pad or oscillator, and the fabric through fabout".to_owned(),
            }),
            (true, None) => match net {
                // These have no pad on the UP5K (IceStorm, ultraplus.html).
                4 => self.blocked(hard_block(HardBlock::HighOscillator, pad.tile)),
                5 => self.blocked(hard_block(HardBlock::LowOscillator, pad.tile)),
                _ => self.global_from_pad(pad),
            },
        }
    }

    /// The net that leads from the fabric to what belongs to an input/output tile.
    fn fabric_out(&self, tile: Tile) -> Option<Net> {
        let chip = self.routing.chip;
        let wires = chip.kind(tile).pad_wires.as_ref()?;
        Some(chip.wire_net(tile, wires.fabric_out))
    }
}

fn hard_block(block: HardBlock, tile: Tile) -> Refusal {
    let name = match block {
        HardBlock::Spram => return Refusal::Spram { tile },
        HardBlock::Dsp => return Refusal::Dsp { tile },
        HardBlock::Pll => {
            let reason = "when the loop has locked is not known".to_owned();
            return Refusal::Pll { tile, wire: "LOCK or SDO".to_owned(), reason };
        }
        HardBlock::HighOscillator => return Refusal::Oscillator { name: "HFOSC".to_owned() },
        HardBlock::LowOscillator => return Refusal::Oscillator { name: "LFOSC".to_owned() },
        HardBlock::I2c => "I2C",
        HardBlock::Spi => "SPI",
        HardBlock::Led => "LEDDA_IP",
        HardBlock::Other => "IP connect",
    };
    Refusal::HardBlock { name: name.to_owned(), tile }
}
