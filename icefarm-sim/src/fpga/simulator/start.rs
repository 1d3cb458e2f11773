//! What block RAMs read right after the start.
//!
//! After configuration the block RAMs of iCE40 devices read zeros for a while, whatever is in them:
//! for about 36 cycles of a 12 MHz clock, which are 3 microseconds
//! (<https://github.com/YosysHQ/icestorm/issues/76>), or longer
//! (<https://github.com/cliffordwolf/icotools/issues/2>). Lattice documents nothing of it.
//!
//! The simulation gives what is in them from the first edge on, as the Verilog models do. A pin that
//! shows it can differ from a real one for these microseconds, which are over before a counter on
//! the board begins. What must not be is a difference that stays: so the circuit is also run with
//! everything unknown that was read within five times that time, and refused if anything of it is
//! still unknown long after.

use super::super::circuit::Ratio;
use super::super::{CLOCK_HZ, Refusal};
use super::general::General;

/// How long block RAMs are taken to be unreliable, in microseconds.
pub(super) const MICROSECONDS: u64 = 15;

/// The same in cycles of the clock.
const CYCLES: u64 = MICROSECONDS * CLOCK_HZ / 1_000_000;

/// After so many cycles whatever came of it must be gone.
const PATIENCE: u64 = 16 * 1024;

/// Work after which it is given up; a circuit of the size of the chip needs it for some cycles only.
const EFFORT: u64 = 200_000_000;

/// Refuses a circuit that never forgets what its memories read at the start.
pub(super) fn check(mut trusting: General, pll: Option<Ratio>) -> Result<(), Refusal> {
    let unreliable = pll.map_or(CYCLES, |ratio| (CYCLES * ratio.ticks).div_ceil(ratio.cycles));
    let mut doubting = trusting.clone();
    trusting.hide();
    doubting.distrust(unreliable);
    let mut cycles = unreliable;
    loop {
        if trusting.advance(cycles - trusting.cycle(), None, EFFORT).is_err() {
            // The simulation itself will tell, if it comes so far.
            return Ok(());
        }
        let lost = doubting.advance(cycles - doubting.cycle(), None, EFFORT).is_err()
            || trusting.cycle().min(doubting.cycle()) < cycles;
        if !lost && trusting.state() == doubting.state() {
            return Ok(());
        }
        if lost || cycles >= PATIENCE {
            return match doubting.hidden() {
                Some(tile) => Err(Refusal::MemoryStart {
                    tile,
                    cycle: doubting.cycle(),
                    microseconds: MICROSECONDS,
                }),
                None => Ok(()),
            };
        }
        cycles = (2 * cycles).min(PATIENCE);
    }
}
