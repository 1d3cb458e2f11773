//! Why a bitstream is not simulated.

use std::fmt;

/// A tile of the chip by its column (0 to 25) and row (0 to 31), as Project IceStorm counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// Column, 0 (left) to 25 (right).
    pub x: u8,
    /// Row, 0 (bottom) to 31 (top).
    pub y: u8,
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}, {})", self.x, self.y)
    }
}

/// The reason why a bitstream, or the pin that is asked for, is not simulated.
///
/// A refusal is an ordinary outcome, not a fault of the farm: evolved circuits set odd switches,
/// build oscillators out of delays, or are simply damaged. Reasons about the circuit (from
/// [`UnknownPin`](Self::UnknownPin) on) are given only if they can reach the observed pin. The
/// text names the place on the chip and says what it means; [`code`](Self::code) is for machines.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The file has no synchronisation word.
    #[error(
        "no preamble 7EAA997E: this is not an iCE40 bitstream; submit the .bin file that icepack \
         writes"
    )]
    NoPreamble,
    /// The file ends too early.
    #[error("the bitstream ends at byte {at}, in the middle of a command: the file is cut short")]
    Truncated {
        /// Length of the file in bytes.
        at: usize,
    },
    /// The file has a command that no known tool writes.
    #[error(
        "byte {at}: command {command:02X} with payload {payload:X} is not known: the file is damaged"
    )]
    UnknownCommand {
        /// Where the command stands, in bytes.
        at: usize,
        /// The command byte.
        command: u8,
        /// Its payload, big-endian.
        payload: u32,
    },
    /// A block of configuration data does not fit.
    #[error("byte {at}: {reason}: the file is damaged")]
    BadBlock {
        /// Where the block begins, in bytes.
        at: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The checksum does not match the data.
    #[error(
        "byte {at}: the CRC is {found:04X} but the data give {expected:04X}: the file was damaged \
         or edited without a new checksum; a real FPGA would not start either"
    )]
    BadCrc {
        /// Where the checksum stands, in bytes.
        at: usize,
        /// The checksum of the data.
        expected: u16,
        /// The checksum in the file.
        found: u16,
    },
    /// The device is started without a check of its configuration.
    #[error("byte {at}: the device is woken up without a CRC check: the file is incomplete")]
    NoCrc {
        /// Where the wake-up command stands, in bytes.
        at: usize,
    },
    /// The bitstream is for another FPGA.
    #[error("not a bitstream for the iCE40UP5K: {found}")]
    WrongDevice {
        /// What in the file says so.
        found: String,
    },

    /// The package has no such pin.
    #[error("the sg48 package of the iCE40UP5K has no user pin {pin}")]
    UnknownPin {
        /// The name that was asked for.
        pin: String,
    },
    /// A switch has a setting that is not documented.
    #[error(
        "tile {tile}: the switch in front of {wire} has the undocumented setting {setting}, and \
         the observed pin depends on it"
    )]
    UnknownSwitch {
        /// The tile of the switch.
        tile: Tile,
        /// The wire that it drives.
        wire: String,
        /// Its bits, as the chip database orders them.
        setting: String,
    },
    /// A wire is driven from two sides.
    #[error(
        "tile {tile}: wire {wire} has several drivers ({drivers}): they fight electrically, the \
         level is not defined, and the observed pin depends on it"
    )]
    Contention {
        /// A tile where the wire can be found.
        tile: Tile,
        /// Its name there.
        wire: String,
        /// Who drives it.
        drivers: String,
    },
    /// Wires drive each other in a ring, with nothing that gives them a level.
    #[error(
        "tile {tile}: wire {wire} is driven by itself through the routing alone: its level is not \
         defined, and the observed pin depends on it"
    )]
    RoutingRing {
        /// A tile where a wire of the ring can be found.
        tile: Tile,
        /// Its name there.
        wire: String,
    },
    /// Logic feeds back on itself without a flip-flop.
    #[error(
        "combinational loop through {cells}: an oscillator or latch made of delays, which are not \
         simulated, and the observed pin depends on it"
    )]
    CombinationalLoop {
        /// The cells of the loop, by tile and index.
        cells: String,
    },
    /// A carry is taken from a cell whose carry logic is off.
    #[error(
        "tile {tile}: a carry is taken from cell {cell}, whose carry logic is switched off: \
         sources disagree about its level, and the observed pin depends on it"
    )]
    CarryDisabled {
        /// The tile of the cell.
        tile: Tile,
        /// The cell, 0 to 7.
        cell: u8,
    },
    /// A global net does not reach a tile that uses it.
    #[error(
        "tile {tile} uses global net {net}, but the column buffer in tile {buffer} that would \
         bring it there is off, and the observed pin depends on it"
    )]
    ColumnBuffer {
        /// The tile that uses the net.
        tile: Tile,
        /// The global net, 0 to 7.
        net: u8,
        /// The tile whose column buffer is off.
        buffer: Tile,
    },
    /// The pin depends on the phase-locked loop in a way that is not known.
    #[error("the observed pin depends on the PLL ({wire} of tile {tile}): {reason}")]
    Pll {
        /// Where its output comes in.
        tile: Tile,
        /// The output.
        wire: String,
        /// What is not known.
        reason: String,
    },
    /// The level at a moment depends on the phase of the PLL.
    #[error(
        "the circuit runs on the PLL: pulses over a long time can be counted, but what the pin shows \
         at a certain moment depends on when the loop has locked, which is not known"
    )]
    PllPhase,
    /// The pin depends on an internal oscillator.
    #[error(
        "the observed pin depends on the internal oscillator {name}: its frequency varies by ten \
         percent from chip to chip, so it is not simulated"
    )]
    Oscillator {
        /// `HFOSC` or `LFOSC`.
        name: String,
    },
    /// The pin depends on a block RAM that is used in a way that is not known.
    #[error("the observed pin depends on the block RAM of tile {tile}: {reason}")]
    BlockRam {
        /// The lower one of its tiles.
        tile: Tile,
        /// What is not known.
        reason: String,
    },
    /// The pin depends on what a block RAM reads while that is being written.
    #[error(
        "at cycle {cycle} the block RAM of tile {tile} reads a word at the edge at which it is \
         written: what it reads is not documented, and the observed pin depends on it"
    )]
    MemoryCollision {
        /// The lower one of its tiles.
        tile: Tile,
        /// The clock cycle in which this happens.
        cycle: u64,
    },
    /// The pin depends for ever on what a block RAM reads right after the start.
    #[error(
        "the observed pin still depends at cycle {cycle} on what the block RAM of tile {tile} read \
         within {microseconds} microseconds of the start, when a real one may read zeros: keep what \
         follows it in reset until then"
    )]
    MemoryStart {
        /// The lower one of its tiles.
        tile: Tile,
        /// The clock cycle at which this was found.
        cycle: u64,
        /// How long a block RAM may read zeros after the start.
        microseconds: u64,
    },
    /// The outcome depends on which of two signals is the faster one.
    #[error(
        "at cycle {cycle} registers take signals that change at the same edge as their clock, which \
         is not the clock of what changes: the outcome depends on delays, which are not simulated"
    )]
    Race {
        /// The clock cycle in which this happens.
        cycle: u64,
    },
    /// The pin depends on a single-port RAM.
    #[error("the observed pin depends on the SPRAM at tile {tile}, which is not simulated")]
    Spram {
        /// The tile of its output.
        tile: Tile,
    },
    /// The pin depends on a multiplier.
    #[error("the observed pin depends on the DSP block at tile {tile}, which is not simulated")]
    Dsp {
        /// The tile of its output.
        tile: Tile,
    },
    /// The pin depends on another hard block.
    #[error(
        "the observed pin depends on the hard block {name} at tile {tile}, which is not simulated"
    )]
    HardBlock {
        /// The name of the block, such as `SPI`.
        name: String,
        /// The tile of its output.
        tile: Tile,
    },
    /// The pin depends on an input that nobody drives.
    #[error(
        "the observed pin depends on the input pad {block} of tile {tile}: nothing on the board \
         drives it, so its level is not known"
    )]
    UndrivenInput {
        /// The tile of the pad.
        tile: Tile,
        /// The pad in the tile, 0 or 1.
        block: u8,
    },
    /// The pin depends on an input whose buffer is off.
    #[error(
        "the observed pin depends on pad {block} of tile {tile}, whose input buffer is switched \
         off: its level is not known"
    )]
    InputDisabled {
        /// The tile of the pad.
        tile: Tile,
        /// The pad in the tile, 0 or 1.
        block: u8,
    },
    /// The pin depends on an input that goes through a register or latch of its pad.
    #[error(
        "the observed pin depends on pad {block} of tile {tile}, which registers or latches its \
         input ({mode}): not simulated"
    )]
    RegisteredInput {
        /// The tile of the pad.
        tile: Tile,
        /// The pad in the tile, 0 or 1.
        block: u8,
        /// How the pad is configured.
        mode: String,
    },
    /// A pad drives its pin in a way that is not known.
    #[error("pad {block} of tile {tile} (output mode {mode}) is not simulated: {reason}")]
    OutputMode {
        /// The tile of the pad.
        tile: Tile,
        /// The pad in the tile, 0 or 1.
        block: u8,
        /// PINTYPE bits 5 to 2, in binary.
        mode: String,
        /// What is not known.
        reason: String,
    },
    /// The pin is let go after it was driven.
    #[error(
        "at cycle {cycle} the FPGA lets go of the pin: then its level depends on pull resistors and \
         on what else is connected to it, which is not known"
    )]
    Floating {
        /// The clock cycle in which this happens.
        cycle: u64,
    },
    /// The design can make the device load another configuration.
    #[error(
        "the fabric drives BOOT of the warm boot cell (fabout of tile {tile}): the device may load \
         another configuration at any time, which is not simulated"
    )]
    WarmBoot {
        /// The tile that brings the signal to the cell.
        tile: Tile,
    },
    /// The clock itself is on the pin.
    #[error(
        "the 48 MHz clock itself is on the pin: a real counter cannot follow pulses above 24 MHz, \
         so its figure would mean nothing"
    )]
    ClockOnPin,
    /// The pin is faster than a real counter.
    #[error(
        "two pulses follow each other within {half_cycles} half cycles of the clock at cycle \
         {cycle}: a real counter cannot follow pulses above 24 MHz, so its figure would mean \
         nothing"
    )]
    TooFast {
        /// The clock cycle of the second pulse.
        cycle: u64,
        /// The distance of the two rising edges in half cycles of the clock.
        half_cycles: u64,
    },
    /// Clocks or asynchronous resets chase each other without end.
    #[error(
        "at cycle {cycle} derived clocks or asynchronous set and reset do not come to rest: the \
         behaviour depends on delays, which are not simulated"
    )]
    Unstable {
        /// The clock cycle in which this happens.
        cycle: u64,
    },
    /// The simulation would take too long.
    #[error(
        "no period found after {simulated} of {cycles} cycles, when the budget of {budget} \
         operations was used up: the count would take too long"
    )]
    TooLong {
        /// Cycles simulated so far.
        simulated: u64,
        /// Cycles that were asked for.
        cycles: u64,
        /// The budget in operations.
        budget: u64,
    },
    /// The caller asked to stop.
    #[error("the simulation was cancelled after {simulated} cycles")]
    Cancelled {
        /// Cycles simulated so far.
        simulated: u64,
    },
}

impl Refusal {
    /// A stable code for programs: lower case, words joined by underscores.
    ///
    /// ```
    /// use icefarm_sim::fpga::{Bitstream, Refusal};
    ///
    /// let refusal = Bitstream::parse(b"not a bitstream").unwrap_err();
    /// assert_eq!(refusal.code(), "no_preamble");
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoPreamble => "no_preamble",
            Self::Truncated { .. } => "truncated",
            Self::UnknownCommand { .. } => "unknown_command",
            Self::BadBlock { .. } => "bad_block",
            Self::BadCrc { .. } => "bad_crc",
            Self::NoCrc { .. } => "no_crc",
            Self::WrongDevice { .. } => "wrong_device",
            Self::UnknownPin { .. } => "unknown_pin",
            Self::UnknownSwitch { .. } => "unknown_switch",
            Self::Contention { .. } => "contention",
            Self::RoutingRing { .. } => "routing_ring",
            Self::CombinationalLoop { .. } => "combinational_loop",
            Self::CarryDisabled { .. } => "carry_disabled",
            Self::ColumnBuffer { .. } => "column_buffer",
            Self::Pll { .. } => "pll",
            Self::PllPhase => "pll_phase",
            Self::Oscillator { .. } => "oscillator",
            Self::BlockRam { .. } => "block_ram",
            Self::MemoryCollision { .. } => "memory_collision",
            Self::MemoryStart { .. } => "memory_start",
            Self::Race { .. } => "race",
            Self::Spram { .. } => "spram",
            Self::Dsp { .. } => "dsp",
            Self::HardBlock { .. } => "hard_block",
            Self::UndrivenInput { .. } => "undriven_input",
            Self::InputDisabled { .. } => "input_disabled",
            Self::RegisteredInput { .. } => "registered_input",
            Self::OutputMode { .. } => "output_mode",
            Self::Floating { .. } => "floating",
            Self::WarmBoot { .. } => "warm_boot",
            Self::ClockOnPin => "clock_on_pin",
            Self::TooFast { .. } => "too_fast",
            Self::Unstable { .. } => "unstable",
            Self::TooLong { .. } => "too_long",
            Self::Cancelled { .. } => "cancelled",
        }
    }
}
