//! Reserve the boards of an iCEFARM and evaluate bitstreams on them.
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may stop where it fails"))]

mod api;
mod backoff;
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
