//! The phase-locked loop.

use super::super::chip::Pad;
use super::super::{Refusal, Tile};
use super::graph::Node;
use super::trace::Trace;

/// The pads whose inputs the PLL takes over if it is on: that of its output A and of its output B.
const PADS: [Pad; 2] =
    [Pad { tile: Tile { x: 12, y: 31 }, block: 1 }, Pad { tile: Tile { x: 13, y: 31 }, block: 0 }];

impl Trace<'_> {
    /// Whether the input of a pad is an output of the PLL.
    pub(super) fn is_pll_output(&self, pad: Pad) -> bool {
        let bits = self.routing.chip.pll_type();
        let on = bits.iter().any(|&(tile, row, column)| self.routing.bit(tile, row, column));
        on && PADS.contains(&pad)
    }

    /// What the PLL puts in place of a pad's input.
    pub(super) fn pll_clock(&mut self, pad: Pad) -> Node {
        let wire = format!("in place of pad {}", pad.block);
        Node::Blocked(Box::new(Refusal::Pll { tile: pad.tile, wire }))
    }
}
