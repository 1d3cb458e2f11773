//! What differs from one kind of measurement to the next.

use icefarm_core::Value;
use serde::Serialize;
use std::time::Duration;

/// What a line of a firmware means to an [`Instrument`].
#[derive(Debug, Clone, PartialEq)]
pub enum Said<R> {
    /// The figure.
    Reading(R),
    /// It looks like the figure and is none: it was damaged on the way.
    Damaged,
    /// Something else.
    Nothing,
}

/// How a kind measures: its firmware, and what that says.
pub trait Instrument: Send + Sync + 'static {
    /// What is measured, as it travels in outcomes.
    type Reading: Serialize + Send + 'static;

    /// The firmware image that the board needs.
    const IMAGE: &'static str;

    /// The version of the crate that the state comes from: `env!("CARGO_PKG_VERSION")`.
    const STATE_VERSION: &'static str;

    /// How long the firmware takes from the last byte of a circuit to its answer, without what
    /// configuring and a busy host take.
    const MEASURING: Duration;

    /// For how much of it the circuit is observed, in microseconds. Only virtual boards keep it
    /// exactly.
    const WINDOW_US: u64;

    /// Reads a line of the firmware that is none of those that all of them write. It must take
    /// nothing for a figure that was not written as one in full.
    fn read(&self, line: &str) -> Said<Self::Reading>;

    /// The reading as clients of old know it, beside its evaluation's id in `results`.
    fn plain(&self, reading: &Self::Reading) -> Value;
}
