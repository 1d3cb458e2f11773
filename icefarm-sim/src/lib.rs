//! Virtual pico2-ice boards that truly simulate iCE40UP5K bitstreams.
//!
//! [`fpga`] reads a bitstream, finds the circuit that drives a pin and counts what that pin does,
//! cycle for cycle. What it cannot know it refuses with a typed reason; it never makes up a figure.
//!
//! [`VirtualBus`] has boards that behave as real ones on USB do, from the bootloader to the text
//! protocol of their firmware, and faults on demand. A [`Firmware`] is the model of an image that
//! a state flashes; any crate can bring one.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may stop where it fails"))]

mod blocking;
mod board;
mod firmware;
pub mod fpga;

pub use blocking::Threads;
pub use board::{FirmwarePort, SimError, VirtualBoard, VirtualBus, VirtualBusBuilder};
pub use firmware::{CountError, Firmware, FirmwareModel, VirtualHardware};

/// What [`firmware!`] expands to. Not part of the public interface.
#[doc(hidden)]
pub mod __private {
    pub use icefarm_core::Place;
    pub use inventory;
}

/// Lower-case hex.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
