//! Simulation of iCE40UP5K bitstreams.
//!
//! A count goes through four stages, each of which can be used alone:
//!
//! 1. [`Bitstream::parse`] checks a file and takes it apart;
//! 2. [`Circuit::extract`] finds what drives a pin, and nothing else: a switch in an odd position
//!    elsewhere on the chip does not matter;
//! 3. [`Circuit::simulator`] runs it cycle by cycle;
//! 4. [`Circuit::count`] and [`Circuit::sample`] do so until the state repeats, from which the rest
//!    follows.
//!
//! [`count_pulses`] is all of it. Every stage refuses what it cannot know with a [`Refusal`].
//!
//! ```no_run
//! use icefarm_sim::fpga::{Limits, Window, count_pulses};
//!
//! let bytes = std::fs::read("examples/circuits/pulses_1000.bin")?;
//! match count_pulses(&bytes, Window::SECOND, &Limits::default()) {
//!     Ok(count) => println!("{} pulses", count.pulses),
//!     Err(refusal) => println!("{}: {refusal}", refusal.code()),
//! }
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Simulated are logic cells, pads with their registers, tri-state and double data rate, block RAM,
//! derived and gated clocks, and circuits in the domain of the PLL.
//!
//! What is not simulated: delays, and with them glitches and oscillators without a clock; SPRAM,
//! multipliers, internal oscillators and other hard blocks. Levels that depend on delays (registers
//! that take what another clock changes at the same moment, a block RAM that is read at the edge at
//! which it is written, the phase of the PLL) are unknown, and refused if they come to the pin. So
//! is a pin that is let go after it was driven. What nothing ever drives reads 0.
//!
//! The sources of all this are named in the source of the parts; knowledge of the chip is Project
//! IceStorm's. `cargo xtask random` compares random circuits with the simulation of their Verilog.

mod bitstream;
mod chip;
mod circuit;
mod commands;
mod cram;
mod editor;
mod refusal;
mod simulator;

pub use bitstream::Bitstream;
pub use chip::{Chip, Net, Pad, Switch, TableError};
pub use circuit::{CLOCK_PIN, Circuit};
pub use editor::Editor;
pub use refusal::{Refusal, Tile};
pub use simulator::{Count, Counting, Limits, Period, Samples, Sampling, Simulator};

/// Frequency of the clock that the pico2-ice feeds to the FPGA, in hertz.
pub const CLOCK_HZ: u64 = 48_000_000;

/// What to observe, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window<'a> {
    /// Length in cycles of the 48 MHz clock, from the start of the device on.
    pub cycles: u64,
    /// The observed pin of the sg48 package.
    pub pin: &'a str,
}

impl Window<'static> {
    /// One second on pin 27, which the pulse-count firmware of the pico2-ice observes.
    pub const SECOND: Self = Self { cycles: CLOCK_HZ, pin: "27" };
}

/// Counts the rising edges on a pin of an FPGA that is configured with a bitstream.
///
/// The real firmware's window is 999 to 1000 ms long, so that a board can report up to a
/// thousandth less than [`Window::SECOND`] gives.
///
/// # Errors
/// A [`Refusal`] if the bitstream is no good or the pin does what cannot be simulated.
pub fn count_pulses(
    bitstream: &[u8],
    window: Window<'_>,
    limits: &Limits<'_>,
) -> Result<Count, Refusal> {
    let mut counting = Counting::parse(bitstream, window)?;
    loop {
        if let Some(count) = counting.go_on(u64::MAX, limits)? {
            return Ok(count);
        }
    }
}
