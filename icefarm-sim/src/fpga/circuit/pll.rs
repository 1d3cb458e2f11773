//! The phase-locked loop.
//!
//! With feedback path SIMPLE the output has the frequency of the reference, times DIVF + 1, divided
//! by DIVR + 1 and by the DIVQ-th power of 2 (Lattice TN1251; IceStorm's icepll), which is exact.
//! `GENCLK_HALF` is half of that. The oscillator inside must run at 533 to 1066 MHz and be compared
//! at 10 to 133 MHz. Bits and ports: IceStorm's io_tile.html and chip database.
//!
//! How the edges of the output lie between those of the reference, and what the output does until
//! the loop has locked, is not known. So everything that the pin depends on must be clocked by one
//! output of the PLL alone.

use super::super::chip::Pad;
use super::super::{CLOCK_HZ, Refusal, Tile};
use super::graph::{CLOCK, Id, LOW, Node};
use super::trace::Trace;

/// The pads whose inputs the PLL takes over if it is on: that of its output A and of its output B.
const PADS: [Pad; 2] =
    [Pad { tile: Tile { x: 12, y: 31 }, block: 1 }, Pad { tile: Tile { x: 13, y: 31 }, block: 0 }];

/// PLLTYPE of the kinds with one output from the fabric or from the pad of output A, and of those
/// with two outputs, both from the loop.
const CORE: u32 = 0b011;
const PAD: u32 = 0b010;
const TWO_CORE: u32 = 0b111;
const TWO_PAD: u32 = 0b110;

/// How often a clock ticks in so many cycles of the clock of the board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Ratio {
    pub(in super::super) ticks: u64,
    pub(in super::super) cycles: u64,
    /// The binary logarithm of what the oscillator's frequency is divided by.
    pub(in super::super) shift: u32,
}

/// An output of the PLL.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pll {
    pub(super) pad: Pad,
    pub(super) ratio: Ratio,
    /// Must be the clock of the board.
    pub(super) reference: Id,
    /// Must be 1.
    pub(super) running: Id,
    /// Must be 0.
    pub(super) quiet: [Id; 2],
}

impl Pll {
    pub(super) fn refused(&self, reason: &str) -> Refusal {
        refused(self.pad, reason)
    }
}

fn refused(pad: Pad, reason: &str) -> Refusal {
    let wire = format!("in place of pad {}", pad.block);
    Refusal::Pll { tile: pad.tile, wire, reason: reason.to_owned() }
}

impl Trace<'_> {
    /// Whether the input of a pad is an output of the PLL.
    pub(super) fn is_pll_output(&self, pad: Pad) -> bool {
        let kind = self.pll_value("PLLTYPE", 3);
        kind != 0 && (pad == PADS[0] || (pad == PADS[1] && ![CORE, PAD].contains(&kind)))
    }

    /// What the PLL puts in place of a pad's input.
    pub(super) fn pll_clock(&mut self, pad: Pad) -> Node {
        match self.pll_output(pad) {
            Ok(pll) => Node::Pll(pll),
            Err(reason) => Node::Blocked(Box::new(refused(pad, reason))),
        }
    }

    fn pll_output(&mut self, pad: Pad) -> Result<Pll, &'static str> {
        let kind = self.pll_value("PLLTYPE", 3);
        if ![CORE, PAD, TWO_CORE, TWO_PAD].contains(&kind) {
            return Err("its type is not one whose outputs all come from the loop");
        }
        if self.pll_value("FEEDBACK_PATH", 3) != 1 {
            return Err("its feedback path is not SIMPLE, and its output depends on delays");
        }
        let gates = ["ENABLE_ICEGATE_PORTA", "ENABLE_ICEGATE_PORTB", "TEST_MODE"];
        if gates.iter().any(|name| self.pll_bit(name)) {
            return Err("its output can be latched, or it is in a test mode");
        }
        let select = if pad == PADS[0] { "PLLOUT_SELECT_A" } else { "PLLOUT_SELECT_B" };
        let half = match self.pll_value(select, 2) {
            0 => 0,
            1 => 1,
            _ => return Err("its output is shifted in phase, which needs another feedback path"),
        };
        let divide = u64::from(self.pll_value("DIVR", 4)) + 1;
        let multiply = u64::from(self.pll_value("DIVF", 7)) + 1;
        let shift = self.pll_value("DIVQ", 3);
        let compared = CLOCK_HZ / divide;
        let oscillator = CLOCK_HZ * multiply / divide;
        if !(10_000_000..=133_000_000).contains(&compared)
            || !(533_000_000..=1_066_000_000).contains(&oscillator)
            || !(1..=6).contains(&shift)
        {
            return Err(
                "its dividers bring it out of its range (the oscillator must run at 533 to \
                        1066 MHz and be compared at 10 to 133 MHz): it may not lock",
            );
        }
        let shift = shift + half;
        let ratio = Ratio { ticks: multiply, cycles: divide << shift, shift };
        let from_pad = [PAD, TWO_PAD].contains(&kind);
        let reference = match from_pad {
            true if PADS[0] != self.clock || self.is_output(PADS[0]) => LOW,
            true if !self.input_is_on(PADS[0]) => {
                return Err("its reference is a pad whose input buffer is off");
            }
            true => CLOCK,
            false => self.pll_port("REFERENCECLK"),
        };
        Ok(Pll {
            pad,
            ratio,
            reference,
            running: self.pll_port("RESETB"),
            quiet: [self.pll_port("BYPASS"), self.pll_port("LATCHINPUTVALUE")],
        })
    }

    /// What the fabric gives to an input of the PLL.
    fn pll_port(&mut self, name: &str) -> Id {
        let tile = self.routing.chip.pll_input(name);
        let net = tile.and_then(|tile| self.routing.chip.net(tile, "fabout"));
        net.map_or(LOW, |net| self.net(net))
    }

    fn pll_bit(&self, name: &str) -> bool {
        let place = self.routing.chip.pll_bit(name);
        place.is_some_and(|(tile, row, column)| self.routing.bit(tile, row, column))
    }

    /// A parameter of several bits, the first of which is the least one.
    fn pll_value(&self, name: &str, bits: u32) -> u32 {
        (0..bits)
            .fold(0, |value, bit| value | u32::from(self.pll_bit(&format!("{name}_{bit}"))) << bit)
    }
}
