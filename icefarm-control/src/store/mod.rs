//! Where the truth about leases is kept.

mod access;
mod error;
mod journal;
mod rows;
mod sqlite;
mod waiting;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod sqlite_tests;
#[cfg(any(test, feature = "store-suite"))]
#[allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
pub mod suite;

pub use access::{KeptToken, TokenChange};
pub use error::StoreError;
pub use sqlite::SqliteStore;

use crate::machine::{Change, Farm, Rules};
use icefarm_core::wire::{AuditEntry, BoardStatus, Event, JournalEntry};
use icefarm_core::{ClientName, Epoch, Serial, Timestamp};
use std::collections::BTreeMap;

/// How many entries of the journal are kept at least; older ones go.
pub const JOURNAL_KEPT: u64 = 10_000;

/// A durable home of the farm, of its journal, and of the events that clients have not
/// acknowledged.
///
/// One program uses it at a time. What [`Store::commit`] has answered survives the end of the
/// program and of the machine.
pub trait Store: Send + 'static {
    /// Everything that was committed. `started` is the present time; nothing is known yet of what
    /// workers are at.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read or makes no sense.
    fn load(&mut self, rules: Rules, started: Timestamp) -> Result<Stored, StoreError>;

    /// Writes a batch down, all of it or nothing, and gives the letters their numbers: one number
    /// for each, in their order.
    ///
    /// # Errors
    /// [`StoreError`] says why nothing was written.
    fn commit(&mut self, batch: &Batch) -> Result<Vec<u64>, StoreError>;

    /// The newest entries of the audit log that are wanted, the oldest of them first.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    fn audit(&mut self, wanted: &AuditWanted) -> Result<Vec<AuditEntry>, StoreError>;
}

impl<S: Store + ?Sized> Store for Box<S> {
    fn load(&mut self, rules: Rules, started: Timestamp) -> Result<Stored, StoreError> {
        (**self).load(rules, started)
    }

    fn commit(&mut self, batch: &Batch) -> Result<Vec<u64>, StoreError> {
        (**self).commit(batch)
    }

    fn audit(&mut self, wanted: &AuditWanted) -> Result<Vec<AuditEntry>, StoreError> {
        (**self).audit(wanted)
    }
}

/// What a store holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The farm.
    pub farm: Farm,
    /// The name of all event streams of this store.
    pub epoch: Epoch,
    /// The event streams.
    pub streams: BTreeMap<ClientName, Stream>,
    /// The last [`JOURNAL_KEPT`] entries of the journal, the oldest first.
    pub journal: Vec<JournalEntry>,
    /// Where the boards stand by the journal.
    pub standings: BTreeMap<Serial, Standing>,
    /// The access tokens, also those that are not good for anything any more.
    pub tokens: Vec<KeptToken>,
    /// The number of the last entry of the audit log; zero if there is none.
    pub last_audit: u64,
}

/// What of the audit log is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditWanted {
    /// Only what was done in the name of this client, or to its leases.
    pub client: Option<ClientName>,
    /// Only what was done to this board.
    pub serial: Option<Serial>,
    /// Only what was done since then.
    pub since: Option<Timestamp>,
    /// So many entries at most.
    pub limit: usize,
}

/// Where a board stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Where.
    pub status: BoardStatus,
    /// Since when.
    pub since: Timestamp,
}

/// The events of one client that are not acknowledged.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stream {
    /// The number that was given last.
    pub seq: u64,
    /// The last letter that was given up although somebody may have wanted it.
    pub dropped: u64,
    /// The letters, each with its number, in order.
    pub letters: Vec<(u64, Letter)>,
}

/// What is written down together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// When.
    pub at: Timestamp,
    /// Changes of the farm, in order. Those that are [not stored](Change::is_stored) are left out
    /// by the store.
    pub changes: Vec<Change>,
    /// Events to be numbered and kept.
    pub letters: Vec<(ClientName, Letter)>,
    /// Letters that are not to be kept any more.
    pub trims: Vec<Trim>,
    /// What happened. The numbers go on from the last entry that was written. An entry that names
    /// a board and its status says where the board stands until it is removed.
    pub entries: Vec<JournalEntry>,
    /// What becomes of access tokens.
    pub tokens: Vec<TokenChange>,
    /// Who did what. The numbers go on from the last entry that was written.
    pub audit: Vec<AuditEntry>,
    /// How many entries of the audit log are kept when there are new ones.
    pub audit_kept: u64,
}

impl Batch {
    /// Whether there is nothing to write down.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.letters.is_empty()
            && self.trims.is_empty()
            && self.entries.is_empty()
            && self.tokens.is_empty()
            && self.audit.is_empty()
            && !self.changes.iter().any(Change::is_stored)
    }
}

/// The beginning of a stream is not needed any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trim {
    /// Whose stream.
    pub client: ClientName,
    /// The last letter that goes.
    pub through: u64,
    /// The last letter that was given up although somebody may have wanted it.
    pub dropped: u64,
}

/// Events of one board that travel in one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Letter {
    /// The board.
    pub serial: Serial,
    /// The events.
    pub contents: Vec<Event>,
}
