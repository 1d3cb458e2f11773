//! Why a test cannot go on.

use icefarm_core::wire::{BoardStatus, ErrorCode, ErrorDetail};
use icefarm_core::{NameError, RegistryError, ValueError};
use icefarm_sim::SimError;
use std::fmt;
use std::time::Duration;

/// Why something in a test did not come about.
///
/// `Debug` writes the same sentence as `Display`, because that is what a test shows which fails
/// with it.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum TestError {
    /// The worker answered with this error, as a client would see it.
    #[error("{0} ({code})", code = .0.code)]
    Refused(ErrorDetail),
    /// What was waited for did not come.
    #[error("{what} did not come within {} s; {came}", after.as_secs_f64())]
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long.
        after: Duration,
        /// What did come instead.
        came: String,
    },
    /// The lease ended while something was waited for, or unnoticed.
    #[error("the lease failed: {reason}; {came}")]
    LeaseFailed {
        /// What the client is told.
        reason: String,
        /// What had come before.
        came: String,
    },
    /// Something came where nothing should.
    #[error("silence was expected; {came}")]
    NotSilent {
        /// What came.
        came: String,
    },
    /// The state did not end as it should once its lease was over.
    #[error("the state ended badly: {reasons}")]
    EndedBadly {
        /// What went wrong.
        reasons: String,
    },
    /// The board cannot be reserved.
    #[error(
        "the board cannot be reserved: it is `{status}`{}",
        reason.as_ref().map(|reason| format!(", {reason}")).unwrap_or_default()
    )]
    NotAvailable {
        /// What it is instead of available.
        status: BoardStatus,
        /// Why.
        reason: Option<String>,
    },
    /// The type cannot be reserved.
    #[error(
        "`{type_name}` has no kind: put `#[reservable(\"kind\", ..)]` above `impl {type_name}`"
    )]
    NotReservable {
        /// The type.
        type_name: &'static str,
    },
    /// The arguments or contents are no object.
    #[error("{what} must be an object, as in json!({{\"key\": 1}}), not {is}")]
    NotAnObject {
        /// What was given.
        what: &'static str,
        /// What it is.
        is: String,
    },
    /// The arguments or contents cannot travel.
    #[error("{what} cannot be sent: {source}")]
    Unsendable {
        /// What was given.
        what: &'static str,
        /// What is wrong with it.
        source: ValueError,
    },
    /// A text is no serial, kind, or name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The states that are linked do not go together.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// There is no such virtual board.
    #[error(transparent)]
    Sim(#[from] SimError),
}

impl fmt::Debug for TestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TestError {
    /// The word for programs, if the worker answered with an error.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused(error) => Some(error.code),
            _ => None,
        }
    }
}

impl From<ErrorDetail> for TestError {
    fn from(error: ErrorDetail) -> Self {
        Self::Refused(error)
    }
}
