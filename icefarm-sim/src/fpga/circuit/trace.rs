//! Walks back from a pin to everything that can reach it.

use super::super::chip::{CellWires, Driver, HardBlock, Net, Pad};
use super::super::{Refusal, Tile};
use super::graph::{CLOCK, Cell, FlipFlop, Graph, HIGH, Id, LOW, Node, Table, depends};
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

/// The bits (row, column) PINTYPE 0 to 5 of both pads of an input/output tile.
const PIN_TYPE: [[(u8, u8); 6]; 2] = [
    [(3, 17), (3, 16), (0, 17), (0, 16), (4, 16), (4, 17)],
    [(13, 17), (13, 16), (10, 17), (10, 16), (14, 16), (14, 17)],
];
/// The bits IE 0 and 1 of an input/output tile: on the UP5K, 1 switches the input buffer on.
const INPUT_ENABLE: [(u8, u8); 2] = [(9, 3), (6, 3)];
/// The bit Icegate of an input/output tile: the pad's way to a global net is latched.
const ICEGATE: (u8, u8) = (11, 3);

/// The pads that the PLL takes over if it is on.
const PLL_PADS: [Pad; 2] =
    [Pad { tile: Tile { x: 12, y: 31 }, block: 1 }, Pad { tile: Tile { x: 13, y: 31 }, block: 0 }];

/// The tile whose `fabout` is BOOT of the warm boot cell (IceStorm's chip database).
pub(super) const BOOT_TILE: Tile = Tile { x: 22, y: 0 };

/// The part of a logic cell that a node stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Part {
    Table,
    FlipFlop,
    Carry,
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
    trace.graph.pin = match trace.output_mode(pin) {
        // The pin is not driven. Like every wire that nothing drives it reads 0.
        0 => LOW,
        PLAIN_OUTPUT => trace.pad_output(pin),
        mode => return Err(output_mode(pin, mode)),
    };
    trace.graph.boot = trace.fabric_out(BOOT_TILE).map_or(LOW, |net| trace.net(net));
    while let Some((id, cell, part)) = trace.open.pop() {
        let node = match part {
            Part::Table => trace.table(cell),
            Part::FlipFlop => trace.flip_flop(cell),
            Part::Carry => trace.carry(cell),
        };
        trace.graph.nodes[id as usize] = node;
    }
    Ok(trace.graph)
}

/// PINTYPE bits 5 to 2 of an output that is always on and not registered.
const PLAIN_OUTPUT: u8 = 0b0110;

fn output_mode(pad: Pad, mode: u8) -> Refusal {
    Refusal::OutputMode { tile: pad.tile, block: pad.block, mode: format!("{mode:04b}") }
}

struct Trace<'a> {
    routing: &'a Routing<'a>,
    clock: Pad,
    graph: Graph,
    known: HashMap<(Cell, Part), Id>,
    /// Nodes whose inputs are not followed yet.
    open: Vec<(Id, Cell, Part)>,
}

impl Trace<'_> {
    fn blocked(&mut self, refusal: Refusal) -> Id {
        self.graph.add(Node::Blocked(Box::new(refusal)))
    }

    /// The node of a part of a cell, which is filled in later.
    fn part(&mut self, cell: Cell, part: Part) -> Id {
        if let Some(&id) = self.known.get(&(cell, part)) {
            return id;
        }
        let id = self.graph.add(Node::Constant(false));
        self.known.insert((cell, part), id);
        self.open.push((id, cell, part));
        id
    }

    /// The node that gives a net its level. A net that nothing drives reads 0, as IceStorm says of
    /// the inputs of logic cells.
    fn net(&mut self, net: Net) -> Id {
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
                self.part(cell, if on { Part::FlipFlop } else { Part::Table })
            }
            Driver::Table { tile, cell } => self.part(Cell { tile, index: cell }, Part::Table),
            Driver::Carry { tile, cell } => self.part(Cell { tile, index: cell }, Part::Carry),
            Driver::CarryIn { tile } => self.carry_in(tile),
            Driver::Input { pad } => self.input(pad),
            Driver::SecondInput { pad } => self.registered(pad, "second input, falling edge"),
            Driver::Global { net } => self.global(net),
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
        Node::Table(Table { bits, inputs, cell, carry: false })
    }

    fn carry(&mut self, cell: Cell) -> Node {
        let (tile, index) = (cell.tile, cell.index);
        if !self.cell_bit(cell, CARRY_ENABLE) {
            // Lattice's simulation model drives 1, IceStorm's tools leave the wire undriven.
            return Node::Blocked(Box::new(Refusal::CarryDisabled { tile, cell: index }));
        }
        let carry_in = match index.checked_sub(1) {
            Some(below) => self.part(Cell { tile, index: below }, Part::Carry),
            None => self.wire(cell, |wires| wires.carry_in).map_or(LOW, |net| self.net(net)),
        };
        let inputs = [self.input_of(cell, 1), self.input_of(cell, 2), carry_in, LOW];
        Node::Table(Table { bits: CARRY, inputs, cell, carry: true })
    }

    /// The wire that carries into the first cell, if no switch drives it.
    fn carry_in(&self, tile: Tile) -> Id {
        if self.routing.carry_in_set(tile) { HIGH } else { LOW }
    }

    fn flip_flop(&mut self, cell: Cell) -> Node {
        let data = self.part(cell, Part::Table);
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
                _ if self.routing.bit(pad.tile, ICEGATE.0, ICEGATE.1) => {
                    self.registered(pad, "latched by Icegate")
                }
                _ => self.pad_level(pad),
            },
        }
    }

    /// The net that leads from the fabric to what belongs to an input/output tile.
    fn fabric_out(&self, tile: Tile) -> Option<Net> {
        let chip = self.routing.chip;
        let wires = chip.kind(tile).pad_wires.as_ref()?;
        Some(chip.wire_net(tile, wires.fabric_out))
    }

    fn output_mode(&self, pad: Pad) -> u8 {
        self.pin_type(pad) >> 2
    }

    fn pin_type(&self, pad: Pad) -> u8 {
        let places = PIN_TYPE[usize::from(pad.block)].iter().enumerate();
        places.fold(0, |value, (number, &(row, column))| {
            value | u8::from(self.routing.bit(pad.tile, row, column)) << number
        })
    }

    fn registered(&mut self, pad: Pad, mode: &str) -> Id {
        let (tile, block, mode) = (pad.tile, pad.block, mode.to_owned());
        self.blocked(Refusal::RegisteredInput { tile, block, mode })
    }

    /// The first input of a pad.
    fn input(&mut self, pad: Pad) -> Id {
        match self.pin_type(pad) & 3 {
            0b01 => self.pad_level(pad),
            mode => self.registered(pad, &format!("input mode {mode:02b}")),
        }
    }

    /// What a pad's input buffer sees.
    fn pad_level(&mut self, pad: Pad) -> Id {
        let (tile, block) = (pad.tile, pad.block);
        let pll_on =
            self.routing.chip.pll_type().iter().any(|&(tile, r, c)| self.routing.bit(tile, r, c));
        if pll_on && PLL_PADS.contains(&pad) {
            let wire = format!("in place of pad {block}");
            return self.blocked(Refusal::Pll { tile, wire });
        }
        let enabled = self.routing.chip.input_enable(pad).is_some_and(|(tile, number)| {
            let (row, column) = INPUT_ENABLE[usize::from(number & 1)];
            self.routing.bit(tile, row, column)
        });
        if !enabled {
            return self.blocked(Refusal::InputDisabled { tile, block });
        }
        match self.output_mode(pad) {
            0 if pad == self.clock => CLOCK,
            0 => self.blocked(Refusal::UndrivenInput { tile, block }),
            _ if pad == self.clock => self.blocked(Refusal::Contention {
                tile,
                wire: format!("io_{block}/PAD"),
                drivers: "the clock of the board, and the FPGA itself".to_owned(),
            }),
            PLAIN_OUTPUT => self.pad_output(pad),
            mode => self.blocked(output_mode(pad, mode)),
        }
    }

    /// What the fabric puts on a pad.
    fn pad_output(&mut self, pad: Pad) -> Id {
        let chip = self.routing.chip;
        match &chip.kind(pad.tile).pad_wires {
            Some(wires) => {
                self.net(chip.wire_net(pad.tile, wires.output[usize::from(pad.block & 1)]))
            }
            None => LOW,
        }
    }
}

fn hard_block(block: HardBlock, tile: Tile) -> Refusal {
    let name = match block {
        HardBlock::BlockRam => return Refusal::BlockRam { tile },
        HardBlock::Spram => return Refusal::Spram { tile },
        HardBlock::Dsp => return Refusal::Dsp { tile },
        HardBlock::Pll => return Refusal::Pll { tile, wire: "LOCK or SDO".to_owned() },
        HardBlock::HighOscillator => return Refusal::Oscillator { name: "HFOSC".to_owned() },
        HardBlock::LowOscillator => return Refusal::Oscillator { name: "LFOSC".to_owned() },
        HardBlock::I2c => "I2C",
        HardBlock::Spi => "SPI",
        HardBlock::Led => "LEDDA_IP",
        HardBlock::Other => "IP connect",
    };
    Refusal::HardBlock { name: name.to_owned(), tile }
}
