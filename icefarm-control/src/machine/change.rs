//! What a decision changes, and why leases end.

use super::{Answered, Board, Labels, Lease, WaitEnd, Waiting, Worker};
use icefarm_core::wire::ErrorCode;
use icefarm_core::{ClientName, LeaseId, RequestId, Serial, Timestamp, WorkerName};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// One change of the farm.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Control goes on after it stood still. Not stored.
    Woke {
        /// When.
        at: Timestamp,
    },
    /// A worker is new, or has started again, or has another address.
    WorkerRegistered(Arc<Worker>),
    /// A worker answered a heartbeat. Not stored.
    WorkerHeard {
        /// The worker.
        worker: WorkerName,
        /// When.
        at: Timestamp,
    },
    /// A worker missed heartbeats. Not stored.
    WorkerSilent {
        /// The worker.
        worker: WorkerName,
    },
    /// A worker was silent for too long.
    WorkerLost {
        /// The worker.
        worker: WorkerName,
        /// When it was given up.
        at: Timestamp,
    },
    /// A lost worker answers again.
    WorkerFound {
        /// The worker.
        worker: WorkerName,
        /// When.
        at: Timestamp,
    },
    /// A worker has been lost for so long that nobody expects it back. Its boards were removed
    /// before.
    WorkerForgotten {
        /// The worker.
        worker: WorkerName,
    },
    /// A worker is stopping. Not stored.
    WorkerStops {
        /// The worker.
        worker: WorkerName,
        /// When it ends the leases that are left.
        at: Timestamp,
    },
    /// A worker has stopped in good order. Its leases were ended before.
    WorkerLeft {
        /// The worker.
        worker: WorkerName,
        /// When.
        at: Timestamp,
    },
    /// An operator takes a worker out of service, or back into it.
    WorkerDrained {
        /// The worker.
        worker: WorkerName,
        /// Whether it is out of service now.
        on: bool,
    },
    /// An operator takes a board out of service, or back into it.
    BoardDrained {
        /// The board.
        serial: Serial,
        /// Whether it is out of service now.
        on: bool,
    },
    /// A worker reports boards that another worker has. Not stored.
    ClaimsRefused {
        /// The worker whose word is not taken.
        worker: WorkerName,
        /// All such boards of it.
        serials: BTreeSet<Serial>,
    },
    /// A board is new, or is reported to be at something else.
    BoardReported(Arc<Board>),
    /// A worker does not list a board any more, without having said that it is gone. Not stored.
    BoardMissing {
        /// The board.
        serial: Serial,
        /// Since when.
        since: Timestamp,
    },
    /// A board is not there any more. Its lease was ended before.
    BoardRemoved {
        /// The board.
        serial: Serial,
    },
    /// The next lease is moved past one that a worker has seen.
    LeasesMoved {
        /// The next lease to be given.
        next: LeaseId,
    },
    /// A client holds a board now.
    LeaseGranted(Arc<Lease>),
    /// A lease lasts longer; the holder is to be warned anew.
    LeaseExtended {
        /// The board.
        serial: Serial,
        /// The lease's new revision.
        revision: u64,
        /// When it ends now.
        expires: Timestamp,
    },
    /// The holder was told that the lease ends soon.
    LeaseWarned {
        /// The board.
        serial: Serial,
    },
    /// A lease is over.
    LeaseEnded {
        /// The lease as it was last.
        lease: Arc<Lease>,
        /// Why it is over.
        reason: EndReason,
    },
    /// A reservation may be asked for again.
    RequestAnswered {
        /// Who asked.
        client: ClientName,
        /// Under which id.
        request: RequestId,
        /// The answer.
        answered: Arc<Answered>,
    },
    /// A request waits for boards.
    WaitBegan(Arc<Waiting>),
    /// The process of a request that waits gave a sign of life. Not stored.
    WaiterSeen {
        /// Which one.
        arrival: u64,
        /// When.
        at: Timestamp,
    },
    /// A request does not wait any more. What it is answered was noted before.
    WaitEnded {
        /// The request.
        waiting: Arc<Waiting>,
        /// Why.
        end: WaitEnd,
    },
    /// A board has these labels from an operator, and no others.
    BoardLabelled {
        /// The board.
        serial: Serial,
        /// All of them.
        labels: Arc<Labels>,
    },
    /// A request is so old that nobody repeats it.
    RequestForgotten {
        /// Who asked.
        client: ClientName,
        /// Under which id.
        request: RequestId,
    },
}

impl Change {
    /// Whether the change must survive a restart of control.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        !matches!(
            self,
            Self::Woke { .. }
                | Self::WorkerHeard { .. }
                | Self::WorkerSilent { .. }
                | Self::WorkerStops { .. }
                | Self::ClaimsRefused { .. }
                | Self::BoardMissing { .. }
                | Self::WaiterSeen { .. }
        )
    }
}

/// Why a lease is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndReason {
    /// Its holder ended it.
    Ended,
    /// Its time ran out.
    Expired,
    /// An operator ended it.
    Revoked,
    /// The worker could not go on with it.
    Failed {
        /// Why, for people.
        reason: String,
        /// The same for programs, if the worker would not have taken the lease at all.
        code: Option<ErrorCode>,
    },
    /// The worker was stopped, and did not wait any longer for the lease to end.
    Drained,
    /// The worker has not answered for too long.
    WorkerLost,
    /// The board was unplugged, or did not come back after its worker's restart.
    BoardGone,
    /// The board was deleted by an operator.
    BoardDeleted,
    /// The worker has seen a later lease of this board than control knows of.
    Superseded,
}

impl EndReason {
    /// The word for programs, `reason` of the event `reservation end`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Failed { .. } => "failed",
            Self::Drained => "drained",
            Self::WorkerLost => "worker_lost",
            Self::BoardGone => "board_gone",
            Self::BoardDeleted => "board_deleted",
            Self::Superseded => "superseded",
        }
    }

    /// A word for the cause of a failure that programs can rely on, if there is one.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Failed { code, .. } => *code,
            _ => None,
        }
    }

    /// All words.
    pub(crate) const WORDS: &[&str] = &[
        "ended",
        "expired",
        "revoked",
        "failed",
        "drained",
        "worker_lost",
        "board_gone",
        "board_deleted",
        "superseded",
    ];

    /// Whether the board failed its holder, who is then told by the event `failure` too.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        !matches!(self, Self::Ended | Self::Expired | Self::Revoked | Self::Drained)
    }
}

/// The reason for people.
impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ended => "its holder ended it",
            Self::Expired => "its time ran out and it was not extended",
            Self::Revoked => "an operator ended it",
            Self::Failed { reason, .. } => reason,
            Self::Drained => {
                "the board's worker was stopped, and did not wait any longer for the lease to end"
            }
            Self::WorkerLost => "the board's worker has not answered for too long",
            Self::BoardGone => "the board is not plugged to its worker any more",
            Self::BoardDeleted => "an operator deleted the board",
            Self::Superseded => {
                "the worker has served a later lease than control knows of; control's database \
                 may be an old copy"
            }
        })
    }
}
