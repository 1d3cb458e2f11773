//! Virtual pico2-ice boards that truly simulate iCE40UP5K bitstreams.
//!
//! [`fpga`] reads a bitstream, finds the circuit that drives a pin and counts what that pin does,
//! cycle for cycle. What it cannot know it refuses with a typed reason; it never makes up a figure.
//!
//! [`VirtualBus`] has boards that behave as real ones on USB do, from the bootloader to the text
//! protocol of their firmware, and faults on demand or by a [`FaultPlan`]. A [`Firmware`] is the model of an image that
//! a state flashes; any crate can bring one.
//!
//! ```
//! use futures::StreamExt;
//! use icefarm_core::{Board, Bus, Face};
//! use icefarm_sim::VirtualBus;
//! use tokio::io::{AsyncBufReadExt, BufReader};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let bus = VirtualBus::builder().boards(1).seed("worker 1").build()?;
//! let board = bus.boards().next().await.ok_or("the bus has ended")?;
//! assert_eq!(board.presence().borrow().face, Some(Face::Default));
//!
//! let mut lines = BufReader::new(board.open().await?).lines();
//! assert_eq!(lines.next_line().await?.as_deref(), Some("default firmware"));
//!
//! // What goes wrong with real boards goes wrong with this one on demand.
//! bus.all()[0].unplug();
//! assert!(lines.next_line().await.is_err());
//! # Ok(())
//! # }
//! ```

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may stop where it fails"))]

mod blocking;
mod board;
mod faults;
mod firmware;
pub mod fpga;

pub use blocking::Threads;
pub use board::{FirmwarePort, SimError, VirtualBoard, VirtualBus, VirtualBusBuilder};
pub use faults::{BoardChoice, Effect, Fault, FaultError, FaultPlan, Trigger};
pub use firmware::{CountError, Firmware, FirmwareModel, Looks, VirtualHardware};

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
