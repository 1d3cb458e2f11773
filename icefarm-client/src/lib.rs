//! Reserve the boards of an iCEFARM and evaluate bitstreams on them.
//!
//! ```no_run
//! use futures::StreamExt as _;
//! use icefarm_client::{Client, Evaluator, Placement, ReserveOptions, Untyped};
//! use std::time::Duration;
//!
//! # async fn run(bitstream: Vec<u8>) -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::builder("http://127.0.0.1:8080").name("me").connect().await?;
//! let reservation = client.reserve(ReserveOptions::new(4, "pulsecount")).await?;
//! reservation.initialized(Duration::from_secs(120)).await?;
//!
//! let evaluator = Evaluator::<Untyped>::new(&client, &reservation)?;
//! let mut outcomes = evaluator.evaluate([("blinky", bitstream)], Placement::Each);
//! while let Some(outcome) = outcomes.next().await {
//!     // One line of JSON with the reading, or why there is none, and where it comes from.
//!     println!("{}", serde_json::to_string(&outcome)?);
//! }
//! client.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! - A [`Client`] is a connection to a farm. It holds boards as long as it lives; a program that
//!   is killed frees its boards within a minute.
//! - A [`Reservation`] is boards that do one thing. [`Client::command`] talks to what they do.
//! - An [`Evaluator`] takes any number of [`Circuit`]s and tells exactly one outcome for each and
//!   every place, whatever becomes of boards, workers and connections. Crates of states bring
//!   their [`Evaluation`], with typed arguments and readings.
//! - An [`EventServer`] hands events to handlers under `#[register]`; [`Client::events`] is a
//!   stream of them.
//! - [`Client::end_on_signals`] gives boards back when the process is asked to stop.
//! - [`Client::adopt`] works with boards that `icefarm reserve` keeps around this program.
//! - Programs without tokio use the module `blocking`, with the feature of that name.
//!
//! Connections that break are opened again and resume where they were: requests, commands and
//! circuits carry ids, so that what is repeated is done once.
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may stop where it fails"))]

mod adopt;
mod api;
mod backoff;
#[cfg(feature = "blocking")]
pub mod blocking;
mod book;
mod builder;
mod client;
mod command;
mod error;
mod evaluator;
mod events;
mod hub;
mod link;
mod loss;
mod outstanding;
mod reservation;
mod signals;
mod socket;

pub use builder::{Bounds, ClientBuilder};
pub use client::Client;
pub use error::ClientError;
pub use evaluator::{
    Circuit, CircuitOutcome, Evaluation, Evaluator, EvaluatorOptions, Outcomes, Placement, Untyped,
};
pub use events::{ClientEvent, EventServer};
pub use loss::codes;
pub use reservation::{Reservation, ReserveOptions};
pub use signals::{StopRequest, StopSignal};
