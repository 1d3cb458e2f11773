//! Where event streams survive a restart, or that they do not.

use crate::outbox::Trimmed;
use icefarm_core::wire::Position;
use icefarm_core::{ClientName, Epoch};

/// What a [`Hub`](crate::Hub) asks of, and tells to, whoever keeps its events.
///
/// Both functions are called from within the hub's: they must neither wait nor call it.
pub trait Journal: Send + Sync + 'static {
    /// Where the stream of a client stands that the hub has not in memory. The number must not be
    /// below that of any frame that was ever published under the same epoch.
    fn open(&self, client: &ClientName) -> Position;

    /// Frames are gone from the hub and can be deleted, up to [`Trimmed::through`]. Calls may
    /// overtake each other: the highest numbers count.
    fn trimmed(&self, client: &ClientName, gone: Trimmed) {
        let _ = (client, gone);
    }
}

/// Keeps nothing: each stream that is opened is a new one, with an epoch of its own.
pub struct MemoryJournal<F>(F);

impl<F: Fn() -> Epoch + Send + Sync + 'static> MemoryJournal<F> {
    /// `new_epoch` makes names that were never used before, usually UUIDs.
    pub fn new(new_epoch: F) -> Self {
        Self(new_epoch)
    }
}

impl<F: Fn() -> Epoch + Send + Sync + 'static> Journal for MemoryJournal<F> {
    fn open(&self, _client: &ClientName) -> Position {
        Position { epoch: (self.0)(), seq: 0 }
    }
}
