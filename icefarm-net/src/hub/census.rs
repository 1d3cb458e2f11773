//! A hub in numbers.

use icefarm_core::wire::ErrorCode;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What a [`Hub`](super::Hub) has done since it was made, and what it holds now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Census {
    /// Event streams: clients who are here, or for whom something waits.
    pub streams: usize,
    /// Websockets that are open.
    pub sockets: usize,
    /// Frames of events that somebody has not acknowledged yet.
    pub waiting: usize,
    /// The bytes of these.
    pub waiting_bytes: usize,
    /// Frames of events that were ever added to a stream.
    pub published: u64,
    /// Frames that were given up for want of room although somebody may have needed them.
    pub dropped: u64,
    /// Commands that were answered by an error, once for each board, by the code of the error.
    pub refused: BTreeMap<&'static str, u64>,
    /// Bytes of [`HubConfig::memory`](super::HubConfig::memory) that are taken.
    pub memory_taken: usize,
    /// Bytes that may be taken.
    pub memory_limit: usize,
}

/// What is counted as it happens.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) published: AtomicU64,
    pub(super) dropped: AtomicU64,
    refused: Mutex<BTreeMap<&'static str, u64>>,
}

impl Tally {
    /// A command was answered by an error.
    pub(super) fn refused(&self, code: ErrorCode) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        *refused.entry(code.as_str()).or_default() += 1;
    }

    pub(super) fn fill(&self, census: &mut Census) {
        census.published = self.published.load(Ordering::Relaxed);
        census.dropped = self.dropped.load(Ordering::Relaxed);
        census.refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone();
    }
}
