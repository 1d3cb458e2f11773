//! Why a board, or a circuit, could not be finished.

/// Words for [`Outcome::Failed`](icefarm_core::evaluation::Outcome::Failed) and
/// [`ClientError::BoardLost`](crate::ClientError::BoardLost) that this crate gives. Beside them
/// stand the states' own words and those of [`ErrorCode`](icefarm_core::wire::ErrorCode).
pub mod codes {
    /// The board told a failure; its lease is over.
    pub const BOARD_FAILED: &str = "board_failed";
    /// The lease ended: it expired, or somebody ended it.
    pub const LEASE_ENDED: &str = "lease_ended";
    /// A server has been away for longer than [`Bounds::away`](crate::Bounds::away).
    pub const UNREACHABLE: &str = "worker_unreachable";
    /// The board has circuits and gave no outcome for too long.
    pub const TIMEOUT: &str = "timeout";
    /// The board did not become ready in time.
    pub const NOT_INITIALIZED: &str = "not_initialized";
    /// No board of the reservation can be used any more.
    pub const NO_BOARD_LEFT: &str = "no_board_left";
    /// The placement names no board.
    pub const NO_BOARD: &str = "no_board";
    /// The board is not part of the reservation.
    pub const NOT_RESERVED: &str = "not_reserved";
    /// What the board sent for the circuit cannot be read.
    pub const UNREADABLE: &str = "unreadable_outcome";
    /// The client was closed before the board answered.
    pub const CLIENT_CLOSED: &str = "client_closed";
}

/// A stable word and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Loss {
    pub(crate) code: String,
    pub(crate) reason: String,
}

impl Loss {
    pub(crate) fn new(code: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { code: code.into(), reason: reason.into() }
    }
}
