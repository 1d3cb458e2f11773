//! What happened on the farm.

use super::BoardStatus;
use crate::clock::Timestamp;
use crate::{ClientName, Epoch, LeaseId, Serial, WorkerName};
use serde::{Deserialize, Serialize};

/// One thing that happened on the farm. Control writes it down together with the change itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// Its number. Numbers rise by one and are never given twice while the journal has the same
    /// epoch.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// What sort of thing.
    pub what: Happening,
    /// What happened, for people.
    pub text: String,
    /// Whether somebody should look after it.
    #[serde(default)]
    pub warning: bool,
    /// The board that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<Serial>,
    /// Where the board stands since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<BoardStatus>,
    /// The worker that it is about, or whose board it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<WorkerName>,
    /// The lease that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<LeaseId>,
    /// Who holds or held that lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientName>,
}

macro_rules! happenings {
    ($($(#[$doc:meta])* $variant:ident = $word:literal),* $(,)?) => {
        /// A sort of thing that happens on a farm.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Happening {
            $($(#[$doc])* $variant,)*
            /// Something that this version knows no word for.
            #[serde(other)]
            Other,
        }

        impl Happening {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                    Self::Other => "other",
                }
            }

            /// The happening of this word.
            #[must_use]
            pub fn from_word(word: &str) -> Self {
                match word {
                    $($word => Self::$variant,)*
                    _ => Self::Other,
                }
            }
        }
    };
}

happenings! {
    /// A worker registered that was not known.
    WorkerCame = "worker_came",
    /// A worker was started again.
    WorkerRestarted = "worker_restarted",
    /// A worker has another address.
    WorkerMoved = "worker_moved",
    /// A worker answers, for the first time or again.
    WorkerAnswers = "worker_answers",
    /// A worker missed heartbeats.
    WorkerUnreachable = "worker_unreachable",
    /// A worker was silent for so long that its leases were ended.
    WorkerLost = "worker_lost",
    /// A worker is not expected back any more.
    WorkerForgotten = "worker_forgotten",
    /// A worker is stopping, and waits for its leases to end.
    WorkerStops = "worker_stops",
    /// A worker has stopped in good order.
    WorkerLeft = "worker_left",
    /// An operator takes a worker out of service.
    WorkerDrained = "worker_drained",
    /// An operator takes a worker back into service.
    WorkerUndrained = "worker_undrained",
    /// A worker reports boards that another worker has.
    ClaimsRefused = "claims_refused",
    /// A board was reported for the first time.
    BoardCame = "board_came",
    /// A board stands elsewhere in its life, and nothing else says so.
    BoardStatus = "board_status",
    /// A board is not listed by its worker any more.
    BoardMissing = "board_missing",
    /// A board is not there any more.
    BoardGone = "board_gone",
    /// Somebody asked for a board to be rebooted, and its worker does it.
    BoardRebooted = "board_rebooted",
    /// An operator takes a board out of service.
    BoardDrained = "board_drained",
    /// An operator takes a board back into service.
    BoardUndrained = "board_undrained",
    /// A client reserved a board.
    LeaseGranted = "lease_granted",
    /// A lease is over.
    LeaseEnded = "lease_ended",
    /// A request waits for boards.
    WaitBegan = "wait_began",
    /// A request waits no more, and got no boards.
    WaitEnded = "wait_ended",
    /// A board has other labels, or another name.
    BoardLabelled = "board_labelled",
    /// The numbers of leases skip some, because a worker has seen later ones.
    LeasesMoved = "leases_moved",
}

/// A part of the journal: the answer of `GET /v1/events`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalPage {
    /// Which journal this is. With another one, numbers of before mean nothing.
    pub epoch: Epoch,
    /// The number of the oldest entry that is still kept; one more than `last` if there is none.
    pub first: u64,
    /// The number of the newest entry; zero if there is none. It may be beyond those in `events`.
    pub last: u64,
    /// The entries, the oldest first.
    pub events: Vec<JournalEntry>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_wire() {
        for what in Happening::ALL {
            assert_eq!(serde_json::to_value(what).unwrap(), what.as_str());
            assert_eq!(Happening::from_word(what.as_str()), *what);
        }
        let later: Happening = serde_json::from_str("\"board_painted\"").unwrap();
        assert_eq!(later, Happening::Other);
        assert_eq!(Happening::from_word("board_painted"), Happening::Other);
    }
}
