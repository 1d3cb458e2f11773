//! The state of kind `variance`: it samples pin 27 (ICE_27) of a pico2-ice 500 times, at 10 kHz,
//! and tells how much the circuit makes it move. The fitness is the sum of the absolute
//! differences of neighbouring samples, divided by the number of samples.
//!
//! A worker has it with one line, `use icefarm_state_variance as _;`. The board's firmware is the
//! image `variance`. With the feature `sim` this crate brings a model of it for virtual boards,
//! which simulate the circuit and sample what its pin really does, as 0 or 4095.
//!
#![cfg_attr(feature = "sim", doc = "```")]
#![cfg_attr(not(feature = "sim"), doc = "```ignore")]
//! use icefarm_core::Blob;
//! use icefarm_state_variance::VarianceState;
//! use icefarm_testkit::{TestBoard, TestError, json};
//! use std::collections::BTreeMap;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), TestError> {
//! // A lease on a virtual board, as in a test of a state.
//! let board = TestBoard::reserve::<VarianceState>(json!({"send_waveform": true})).await?;
//! let circuit = include_bytes!("../../../examples/circuits/pulses_1000.bin");
//! let files = BTreeMap::from([("my-id", Blob::from(circuit.to_vec()))]);
//! board.command("evaluate", json!({"files": files, "batch_id": "1"})).await?;
//! let results = board.event("results").await?;
//! // 99 edges of a signal of 1 kHz, each over the full scale of 4095, in 500 samples.
//! assert_eq!(results["outcomes"][0]["reading"]["fitness"], 810.81);
//! # Ok(())
//! # }
//! ```
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may stop where it fails"))]

icefarm_core::plugin!();

#[cfg(feature = "client")]
mod client;
#[cfg(feature = "sim")]
mod firmware;
mod sampler;
mod state;
mod variation;

#[cfg(feature = "client")]
pub use client::{Variance, VarianceArgs, variance};
#[cfg(feature = "sim")]
pub use firmware::VarianceFirmware;
pub use icefarm_state_kit::BITSTREAM_BYTES;
pub use sampler::{FULL_SCALE, SAMPLE_HZ, SAMPLES, WINDOW_US};
pub use state::VarianceState;
pub use variation::{Variation, fitness};

/// The kind under which boards are reserved.
pub const KIND: &str = "variance";

/// The firmware image that a board needs.
pub const IMAGE: &str = "variance";
