//! The same client for programs without tokio.
//!
//! Everything here waits instead of being awaited, and otherwise is what the types of the same
//! names at the root of this crate are: options, errors, circuits and outcomes are shared with
//! them. A client brings a small runtime of its own, whose one thread renews the leases and keeps
//! the sockets while the program computes.
//!
//! ```no_run
//! use icefarm_client::blocking::{Client, Evaluator};
//! use icefarm_client::{Placement, ReserveOptions, Untyped};
//! use std::time::Duration;
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let client = Client::builder("http://127.0.0.1:8080").name("me").connect()?;
//!     client.end_on_signals()?;
//!     let reservation = client.reserve(ReserveOptions::new(2, "pulsecount"))?;
//!     reservation.initialized(Duration::from_secs(120))?;
//!
//!     let evaluator = Evaluator::<Untyped>::new(&client, &reservation)?;
//!     let circuits = [("blinky", std::fs::read("blinky.bin")?)];
//!     for outcome in evaluator.evaluate(circuits, Placement::Each) {
//!         match outcome.reading() {
//!             Some(reading) => println!("{}: {reading:?}", outcome.circuit),
//!             None => println!("{}: {:?}", outcome.circuit, outcome.evaluated.outcome),
//!         }
//!     }
//!     client.close()?;
//!     Ok(())
//! }
//! ```
//!
//! # Within async programs
//! These calls would hold up a thread that belongs to other tasks. So within a tokio runtime, also
//! on the threads of its `spawn_blocking`, they fail with [`ClientError::InsideRuntime`]; a thread
//! of `std::thread::spawn` may call them. Iterators that were made elsewhere do give their items
//! there, and block.

mod client;
mod evaluator;
mod host;
mod reservation;
mod waiting;

pub use client::{BoardAnswer, Client, ClientBuilder};
pub use evaluator::{Evaluator, Outcomes};
pub use reservation::Reservation;
pub use waiting::{Events, Losses};

#[cfg(doc)]
use crate::ClientError;
