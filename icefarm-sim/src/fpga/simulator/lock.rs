//! What is not known of a circuit on the PLL: how far it has come when the loop has locked.
//!
//! Until then, for at most 50 microseconds (tLOCK in the iCE40 UltraPlus data sheet, FPGA-DS-02008),
//! the output ticks at frequencies that nobody knows, up to that of the fastest oscillator, so the
//! circuit has gone through some number of its cycles when the count begins. And a window of a
//! second begins anywhere between two ticks. So the count is made for every such beginning, and the
//! greatest deviation from the count that begins with the first cycle is told with it.

use super::super::Refusal;
use super::super::circuit::Ratio;
use super::Simulator;

/// How long the PLL takes to lock, in microseconds.
const LOCK_MICROSECONDS: u64 = 50;

/// The highest frequency of the oscillator in the PLL, in megahertz.
const FASTEST_MHZ: u64 = 1066;

impl Ratio {
    /// How many whole ticks there are in so many cycles of the clock of the board.
    pub(super) fn ticks_in(self, cycles: u64) -> u64 {
        let ticks = u128::from(cycles) * u128::from(self.ticks) / u128::from(self.cycles);
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }

    /// How many ticks there can be before the loop has locked.
    fn ticks_before_lock(self) -> u64 {
        (LOCK_MICROSECONDS * FASTEST_MHZ).div_ceil(1 << self.shift)
    }
}

/// How far a count can be off; `begin` is at the beginning of the window, `end` at its end.
pub(super) fn uncertainty(
    mut begin: Simulator,
    mut end: Simulator,
    ratio: Ratio,
) -> Result<u64, Refusal> {
    let count = end.pulses() - begin.pulses();
    let mut most = 0;
    for _ in 0..ratio.ticks_before_lock() {
        // A window is a part of a tick longer than its whole ticks: it can hold one tick more.
        end.run(1)?;
        most = most.max(count.abs_diff(end.pulses() - begin.pulses()));
        begin.run(1)?;
        most = most.max(count.abs_diff(end.pulses() - begin.pulses()));
    }
    Ok(most)
}
