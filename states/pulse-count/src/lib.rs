//! The state of kind `pulsecount`: it counts, for one second, the pulses that a circuit makes on
//! pin 27 (ICE_27) of a pico2-ice.
//!
//! A worker has it with one line, `use icefarm_state_pulse_count as _;`. The board's firmware is
//! the image `pulse_count`. With the feature `sim` this crate brings a model of it for virtual
//! boards, which simulate the circuit and count what its pin really does; without that feature
//! leases on virtual boards fail, for want of the image.
//!
#![cfg_attr(feature = "sim", doc = "```")]
#![cfg_attr(not(feature = "sim"), doc = "```ignore")]
//! use icefarm_core::Blob;
//! use icefarm_state_pulse_count::PulseCountState;
//! use icefarm_testkit::{TestBoard, TestError, json};
//! use std::collections::BTreeMap;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), TestError> {
//! // A lease on a virtual board, as in a test of a state.
//! let board = TestBoard::reserve::<PulseCountState>(json!({})).await?;
//! let circuit = include_bytes!("../../../examples/circuits/pulses_1000.bin");
//! let files = BTreeMap::from([("my-id", Blob::from(circuit.to_vec()))]);
//! board.command("evaluate", json!({"files": files, "batch_id": "1"})).await?;
//! let results = board.event("results").await?;
//! assert_eq!(results["outcomes"][0]["reading"]["pulses"], 1000);
//! # Ok(())
//! # }
//! ```
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may stop where it fails"))]

icefarm_core::plugin!();

#[cfg(feature = "client")]
mod client;
mod counter;
#[cfg(feature = "sim")]
mod firmware;
mod pulses;
mod state;

#[cfg(feature = "client")]
pub use client::{PulseCount, PulseCountArgs, pulse_count};
pub use counter::WINDOW_US;
#[cfg(feature = "sim")]
pub use firmware::PulseCountFirmware;
pub use icefarm_state_kit::BITSTREAM_BYTES;
pub use pulses::Pulses;
pub use state::PulseCountState;

/// The kind under which boards are reserved.
pub const KIND: &str = "pulsecount";

/// The firmware image that a board needs.
pub const IMAGE: &str = "pulse_count";
