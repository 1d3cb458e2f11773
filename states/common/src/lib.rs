//! What the states of an iCEFARM have in common that give a board one circuit after the other and
//! read what its firmware says of it.
//!
//! A state that measures in its own way says how in an [`Instrument`]: which firmware it needs,
//! and which of its lines is the figure. [`Evaluations`] does the rest: it queues circuits, writes
//! them to the board, takes no answer for another's, recovers a board that fails, and tells each
//! outcome once, with where it comes from, to old clients too.
//!
//! ```
//! use icefarm_core::{Blob, Device, EvaluationId, Overloaded, State, StateError, Value};
//! use icefarm_core::{register, reservable};
//! use icefarm_state_kit::{Evaluations, Instrument, Said, Settings, SettingsError, digits};
//! use std::collections::BTreeMap;
//! use std::time::Duration;
//!
//! /// Reads a temperature. The firmware writes `temperature: 24`.
//! struct Thermometer;
//!
//! impl Instrument for Thermometer {
//!     type Reading = u64;
//!     const IMAGE: &'static str = "thermometer";
//!     const STATE_VERSION: &'static str = env!("CARGO_PKG_VERSION");
//!     const MEASURING: Duration = Duration::from_millis(100);
//!     const WINDOW_US: u64 = 100_000;
//!
//!     fn read(&self, line: &str) -> Said<u64> {
//!         match line.strip_prefix("temperature: ").map(digits) {
//!             Some(Some(degrees)) => Said::Reading(degrees),
//!             Some(None) => Said::Damaged,
//!             None => Said::Nothing,
//!         }
//!     }
//!
//!     fn plain(&self, degrees: &u64) -> Value {
//!         (*degrees).into()
//!     }
//! }
//!
//! pub struct Temperature(Evaluations<Thermometer>);
//!
//! #[reservable("temperature")]
//! impl Temperature {
//!     fn new(device: Device) -> Result<Self, SettingsError> {
//!         Ok(Self(Evaluations::new(device, Thermometer, Settings::new(None, None)?)))
//!     }
//!
//!     #[register("evaluate", "files", "batch_id")]
//!     async fn evaluate(
//!         &mut self,
//!         files: BTreeMap<EvaluationId, Blob>,
//!         batch_id: String,
//!     ) -> Result<(), Overloaded> {
//!         self.0.evaluate(files, batch_id)
//!     }
//! }
//!
//! impl State for Temperature {
//!     async fn start(&mut self) -> Result<(), StateError> {
//!         self.0.start().await
//!     }
//!
//!     async fn reboot(&mut self) -> Result<(), StateError> {
//!         self.0.reboot().await
//!     }
//!
//!     // And `added` and `exit` in the same way.
//! }
//! ```
//!
//! With the feature `sim` there is `firmware`, the model of such a firmware for virtual boards.
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may stop where it fails"))]

mod desk;
mod evaluations;
mod exchange;
#[cfg(feature = "sim")]
pub mod firmware;
mod instrument;
mod lines;
mod link;
mod outbox;
mod queue;
mod runner;
mod settings;
#[cfg(test)]
mod toy;

pub use evaluations::Evaluations;
pub use instrument::{Instrument, Said};
pub use lines::{BITSTREAM_BYTES, digits};
pub use settings::{Settings, SettingsError};
