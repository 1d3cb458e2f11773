//! What belongs to a pad: its registers, its output, its output enable and its inputs.
//!
//! A pad is the cell `SB_IO` of Lattice's iCE Technology Library; IceStorm's io_tile.html says which
//! wires and bits are its ports and parameters. PINTYPE 5 and 4 choose when the pad drives: never
//! (00), always (01), while `OUTPUT_ENABLE` is 1 (10), or while a register of it is 1 (11). PINTYPE 3
//! and 2 choose what it drives: the data of both edges in turn (00), a register (01), the wire itself
//! (10), or the register inverted (11). PINTYPE 1 and 0 choose the first input: a register (00), the
//! level itself (01), or either of them held by the latch of the edge of the chip (10, 11).
//!
//! The registers of the other edge see the clock enable of the first edge, as experiments with
//! hardware showed (<https://github.com/YosysHQ/yosys/pull/941>, after which yosys' simulation model
//! was changed). They start at 0; their state before the first edge of the clock is not documented,
//! but every edge overwrites it.

use super::super::chip::Pad;
use super::super::{Refusal, Tile};
use super::graph::{CLOCK, Cell, FlipFlop, HIGH, Id, LOW, Node, Role, Table};
use super::trace::{Part, Trace};

/// The bits (row, column) PINTYPE 0 to 5 of both pads of an input/output tile.
const PIN_TYPE: [[(u8, u8); 6]; 2] = [
    [(3, 17), (3, 16), (0, 17), (0, 16), (4, 16), (4, 17)],
    [(13, 17), (13, 16), (10, 17), (10, 16), (14, 16), (14, 17)],
];
/// The bits IE 0 and 1 of an input/output tile: on the UP5K, 1 switches the input buffer on.
const INPUT_ENABLE: [(u8, u8); 2] = [(9, 3), (6, 3)];
/// The two bits NegClk of an input/output tile. Lattice's tools set both or none.
const FALLING_EDGE: [(u8, u8); 2] = [(9, 13), (15, 13)];
/// The bit Icegate of an input/output tile: the pad's way to a global net is latched.
const ICEGATE: (u8, u8) = (11, 3);

/// Truth tables of inputs 0 to 2.
const SAME: u16 = 0xAAAA;
const NOT: u16 = 0x5555;
/// Input 0 while input 2 is 1, and input 1 while it is 0.
const FIRST_WHILE_HIGH: u16 = 0xACAC;
const FIRST_WHILE_LOW: u16 = 0xCACA;
/// Input 1 while input 0 is 1, and input 2 while it is 0.
const IF_FIRST: u16 = 0xD8D8;

/// The part of a pad that a node stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum PadPart {
    /// What it drives while it drives.
    Output,
    /// Whether it drives.
    Enable,
    /// What its input buffer sees.
    Level,
    /// Its first input.
    Input,
    /// The register of the first and of the second output.
    OutputRegister,
    SecondOutputRegister,
    /// The register of the first and of the second input.
    InputRegister,
    SecondInputRegister,
    /// The clock enable as the other edge of the output or input clock sees it.
    OutputEnableAtEdge,
    InputEnableAtEdge,
}

use PadPart::{
    Enable, Input, InputEnableAtEdge, InputRegister, Level, Output, OutputEnableAtEdge,
    OutputRegister, SecondInputRegister, SecondOutputRegister,
};

/// The clock of a register, and which of its edges.
#[derive(Clone, Copy)]
struct Edge {
    clock: Id,
    falling: bool,
}

impl Trace<'_> {
    /// The node of a part of a pad, which is filled in later.
    pub(super) fn pad(&mut self, pad: Pad, part: PadPart) -> Id {
        self.part(Part::Pad(pad, part))
    }

    pub(super) fn pad_node(&mut self, pad: Pad, part: PadPart) -> Node {
        match part {
            Output => self.output(pad),
            Enable => self.output_enable(pad),
            Level => self.level(pad),
            Input => self.input(pad),
            OutputRegister => {
                let enable = self.clock_enable(pad);
                self.register(pad, "outclk", false, self.wire_of(pad, "D_OUT_0"), enable)
            }
            SecondOutputRegister => {
                let enable = self.enable_at_other_edge(pad, OutputEnableAtEdge);
                self.register(pad, "outclk", true, self.wire_of(pad, "D_OUT_1"), enable)
            }
            InputRegister => {
                let enable = self.clock_enable(pad);
                self.input_register(pad, false, enable)
            }
            SecondInputRegister => {
                let enable = self.enable_at_other_edge(pad, InputEnableAtEdge);
                self.input_register(pad, true, enable)
            }
            OutputEnableAtEdge => {
                self.register(pad, "outclk", false, "io_global/cen".to_owned(), HIGH)
            }
            InputEnableAtEdge => {
                self.register(pad, "inclk", false, "io_global/cen".to_owned(), HIGH)
            }
        }
    }

    /// Whether the pad can ever drive its pin.
    pub(super) fn is_output(&self, pad: Pad) -> bool {
        self.pin_type(pad) >> 4 != 0
    }

    /// Whether the input buffer of a pad is on.
    pub(super) fn input_is_on(&self, pad: Pad) -> bool {
        self.routing.chip.input_enable(pad).is_some_and(|(tile, number)| {
            let (row, column) = INPUT_ENABLE[usize::from(number & 1)];
            self.routing.bit(tile, row, column)
        })
    }

    /// The way from a pad to a global net.
    pub(super) fn global_from_pad(&mut self, pad: Pad) -> Id {
        if self.routing.bit(pad.tile, ICEGATE.0, ICEGATE.1) {
            return self.registered(pad, "latched by Icegate");
        }
        self.pad(pad, Level)
    }

    fn output(&mut self, pad: Pad) -> Node {
        match self.pin_type(pad) >> 2 & 3 {
            0b00 => {
                let first = self.pad(pad, OutputRegister);
                let second = self.pad(pad, SecondOutputRegister);
                let Edge { clock, falling } = match self.edge(pad, "outclk") {
                    Ok(edge) => edge,
                    Err(refusal) => return Node::Blocked(Box::new(refusal)),
                };
                let bits = if falling { FIRST_WHILE_LOW } else { FIRST_WHILE_HIGH };
                table(pad, bits, [first, second, clock])
            }
            0b01 => table(pad, SAME, [self.pad(pad, OutputRegister), LOW, LOW]),
            0b10 => table(pad, SAME, [self.pad_wire(pad, "D_OUT_0"), LOW, LOW]),
            _ => table(pad, NOT, [self.pad(pad, OutputRegister), LOW, LOW]),
        }
    }

    fn output_enable(&mut self, pad: Pad) -> Node {
        let mode = self.pin_type(pad) >> 4;
        if mode < 2 {
            return Node::Constant(mode == 1);
        }
        let name = self.wire_of(pad, "OUT_ENB");
        let switched = self.routing.chip.net(pad.tile, &name);
        if !switched.is_some_and(|net| self.routing.is_switched(net)) {
            // IceStorm takes it for 1, other wires that nothing drives are 0.
            let reason = "its output enable is not connected, and sources disagree what it is then";
            return Node::Blocked(Box::new(self.output_mode(pad, reason)));
        }
        if mode == 2 {
            table(pad, SAME, [self.pad_wire(pad, "OUT_ENB"), LOW, LOW])
        } else {
            let enable = self.clock_enable(pad);
            self.register(pad, "outclk", false, name, enable)
        }
    }

    /// What the input buffer sees: the clock of the board, or what the pad itself drives.
    fn level(&mut self, pad: Pad) -> Node {
        let (tile, block) = (pad.tile, pad.block);
        if self.is_pll_output(pad) {
            return self.pll_clock(pad);
        }
        let blocked = |refusal| Node::Blocked(Box::new(refusal));
        if !self.input_is_on(pad) {
            return blocked(Refusal::InputDisabled { tile, block });
        }
        match (self.is_output(pad), pad == self.clock) {
            (false, true) => table(pad, SAME, [CLOCK, LOW, LOW]),
            (false, false) => blocked(Refusal::UndrivenInput { tile, block }),
            (true, true) => blocked(Refusal::Contention {
                tile,
                wire: format!("io_{block}/PAD"),
                drivers: "the clock of the board, and the FPGA itself".to_owned(),
            }),
            (true, false) => {
                let output = self.pad(pad, Output);
                let nothing = self.blocked(Refusal::UndrivenInput { tile, block });
                table(pad, IF_FIRST, [self.pad(pad, Enable), output, nothing])
            }
        }
    }

    fn input(&mut self, pad: Pad) -> Node {
        let mode = self.pin_type(pad) & 3;
        let value = self.pad(pad, if mode & 1 != 0 { Level } else { InputRegister });
        if mode & 2 == 0 || self.is_pll_output(pad) {
            return table(pad, SAME, [value, LOW, LOW]);
        }
        // What is held depends on the moment at which the latch closes.
        let held = self.registered(pad, "held by the latch of its side of the chip");
        let latch = self.routing.chip.net(pad.tile, "io_global/latch");
        let latch = latch.map_or(LOW, |net| self.net(net));
        table(pad, FIRST_WHILE_LOW, [value, held, latch])
    }

    fn input_register(&mut self, pad: Pad, other_edge: bool, enable: Id) -> Node {
        if pad == self.clock || self.is_pll_output(pad) {
            let mode = "a clock, sampled by a register of its own pad: a race".to_owned();
            let (tile, block) = (pad.tile, pad.block);
            return Node::Blocked(Box::new(Refusal::RegisteredInput { tile, block, mode }));
        }
        let data = self.pad(pad, Level);
        self.register_of(pad, "inclk", other_edge, data, enable)
    }

    fn register(&mut self, pad: Pad, clock: &str, other: bool, wire: String, enable: Id) -> Node {
        let net = self.routing.chip.net(pad.tile, &wire);
        let data = net.map_or(LOW, |net| self.net(net));
        self.register_of(pad, clock, other, data, enable)
    }

    /// A register at the edge of the pad's kind or at the other edge.
    fn register_of(&mut self, pad: Pad, clock: &str, other: bool, data: Id, enable: Id) -> Node {
        match self.edge(pad, clock) {
            Ok(edge) => Node::FlipFlop(FlipFlop {
                data,
                clock: edge.clock,
                enable,
                set_reset: LOW,
                falling: edge.falling != other,
                set: false,
                asynchronous: false,
            }),
            Err(refusal) => Node::Blocked(Box::new(refusal)),
        }
    }

    fn edge(&mut self, pad: Pad, clock: &str) -> Result<Edge, Refusal> {
        let [first, second] =
            FALLING_EDGE.map(|(row, column)| self.routing.bit(pad.tile, row, column));
        if first != second {
            let reason = "only one of the NegClk bits of its tile is set, which is not documented";
            return Err(self.output_mode(pad, reason));
        }
        let net = self.routing.chip.net(pad.tile, &format!("io_global/{clock}"));
        let clock = net.map_or(LOW, |net| self.net(net));
        Ok(Edge { clock, falling: first })
    }

    /// The clock enable of both pads of a tile, which is on if no switch drives it.
    fn clock_enable(&mut self, pad: Pad) -> Id {
        let net = self.routing.chip.net(pad.tile, "io_global/cen");
        let net = net.filter(|&net| self.routing.is_switched(net));
        net.map_or(HIGH, |net| self.net(net))
    }

    fn enable_at_other_edge(&mut self, pad: Pad, part: PadPart) -> Id {
        if self.clock_enable(pad) == HIGH { HIGH } else { self.pad(pad, part) }
    }

    fn wire_of(&self, pad: Pad, port: &str) -> String {
        format!("io_{}/{port}", pad.block)
    }

    fn pad_wire(&mut self, pad: Pad, port: &str) -> Id {
        let net = self.routing.chip.net(pad.tile, &self.wire_of(pad, port));
        net.map_or(LOW, |net| self.net(net))
    }

    fn pin_type(&self, pad: Pad) -> u8 {
        let places = PIN_TYPE[usize::from(pad.block)].iter().enumerate();
        places.fold(0, |value, (number, &(row, column))| {
            value | u8::from(self.routing.bit(pad.tile, row, column)) << number
        })
    }

    fn output_mode(&self, pad: Pad, reason: &str) -> Refusal {
        let mode = format!("{:04b}", self.pin_type(pad) >> 2);
        Refusal::OutputMode { tile: pad.tile, block: pad.block, mode, reason: reason.to_owned() }
    }

    fn registered(&mut self, pad: Pad, mode: &str) -> Id {
        let (tile, block, mode) = (pad.tile, pad.block, mode.to_owned());
        self.blocked(Refusal::RegisteredInput { tile, block, mode })
    }
}

fn table(pad: Pad, bits: u16, [a, b, c]: [Id; 3]) -> Node {
    let Pad { tile: Tile { x, y }, block } = pad;
    let cell = Cell { tile: Tile { x, y }, index: block };
    Node::Table(Table { bits, inputs: [a, b, c, LOW], cell, role: Role::Pad })
}
