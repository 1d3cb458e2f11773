//! Why a command is refused.

use super::{LimitedBy, WaitEnd};
use icefarm_core::wire::{BoardStatus, ErrorCode, ErrorDetail};
use icefarm_core::{ArgError, ClientName, Kind, RequestId, ReservationId, Serial, WorkerName};
use std::time::Duration;

/// Why a command was refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// No worker offers the kind.
    UnknownKind {
        /// The kind.
        kind: Kind,
        /// What workers do offer, sorted.
        known: Vec<Kind>,
    },
    /// The arguments do not fit the kind.
    BadArguments {
        /// The kind.
        kind: Kind,
        /// Which key, and why.
        error: ArgError,
    },
    /// A time to live of no time.
    NoTime,
    /// Real and simulated boards were named together.
    Mixed,
    /// The request id was used before, for something else.
    RequestReused {
        /// The id.
        request: RequestId,
    },
    /// Not enough boards are free.
    NotEnough {
        /// How many were asked for.
        wanted: u32,
        /// How many could be had.
        available: usize,
        /// How many simulated ones are free but were not asked for.
        simulated: usize,
        /// How many more are free, and set aside for those who wait.
        kept: usize,
    },
    /// The farm does not know so many boards that would do, free or not.
    Impossible {
        /// How many were asked for.
        wanted: u32,
        /// How many there are.
        known: usize,
    },
    /// The board is free, and set aside for somebody who waits.
    Kept {
        /// The board.
        serial: Serial,
    },
    /// The board lacks a label that was asked for.
    OtherLabels {
        /// The board.
        serial: Serial,
        /// The label's key.
        key: String,
        /// What it was to be.
        value: String,
    },
    /// The request goes beyond a limit of its client.
    Limited(LimitedBy),
    /// A request that may wait has no id, by which it could be found again.
    WaitWithoutRequest,
    /// Too many requests wait.
    QueueFull {
        /// How many may.
        limit: usize,
        /// Whose they are, if it is the limit of one client.
        client: Option<ClientName>,
    },
    /// The request waited in vain.
    WaitOver {
        /// The request.
        request: RequestId,
        /// Why it does not wait any more.
        end: WaitEnd,
    },
    /// Nothing waits under this name.
    NotWaiting {
        /// The name.
        reservation: ReservationId,
    },
    /// It was not said what is to be cancelled.
    CancelWhat,
    /// Labels that cannot be.
    BadLabel {
        /// What is wrong.
        reason: String,
    },
    /// Another board has the name.
    NameInUse {
        /// The name.
        name: String,
        /// The other board.
        serial: Serial,
    },
    /// No worker has the board.
    UnknownSerial {
        /// The board.
        serial: Serial,
    },
    /// The board cannot be granted now.
    NotAvailable {
        /// The board.
        serial: Serial,
        /// What it is at.
        status: BoardStatus,
    },
    /// The board's worker does not offer the kind, or not with these arguments.
    NotOffered {
        /// The board.
        serial: Serial,
        /// Its worker.
        worker: WorkerName,
        /// The kind.
        kind: Kind,
    },
    /// The board is real and simulated ones were asked for, or the other way round.
    OtherNature {
        /// The board.
        serial: Serial,
        /// Whether it is simulated.
        simulated: bool,
    },
    /// The worker has not registered.
    UnknownWorker {
        /// The worker.
        worker: WorkerName,
    },
    /// The worker is not forgotten, because it can be reached, or may yet answer.
    WorkerThere {
        /// The worker.
        worker: WorkerName,
    },
    /// An earlier start of the worker speaks.
    StaleIncarnation {
        /// The worker.
        worker: WorkerName,
    },
    /// A living worker has the name.
    NameTaken {
        /// The name.
        worker: WorkerName,
        /// Where the living worker is.
        url: String,
    },
    /// The worker speaks another major version of the protocol.
    OtherProtocol {
        /// The worker.
        worker: WorkerName,
        /// What it speaks.
        theirs: String,
    },
    /// A worker claims to have seen a lease that cannot be.
    ImpossibleToken {
        /// The board.
        serial: Serial,
        /// The number.
        token: u64,
    },
}

impl Refusal {
    /// The refusal as it travels.
    #[must_use]
    pub fn detail(&self) -> ErrorDetail {
        use ErrorCode as Code;
        let code = match self {
            Self::UnknownKind { .. } => Code::UnknownKind,
            Self::BadArguments { .. } => Code::BadArguments,
            Self::NoTime
            | Self::Mixed
            | Self::ImpossibleToken { .. }
            | Self::WaitWithoutRequest
            | Self::CancelWhat
            | Self::BadLabel { .. } => Code::BadRequest,
            Self::RequestReused { .. }
            | Self::StaleIncarnation { .. }
            | Self::WorkerThere { .. }
            | Self::NameTaken { .. }
            | Self::NameInUse { .. } => Code::Conflict,
            Self::NotEnough { .. } | Self::Impossible { .. } => Code::NotEnoughDevices,
            Self::Limited(_) => Code::LimitExceeded,
            Self::QueueFull { .. } => Code::Overloaded,
            Self::WaitOver { end: WaitEnd::Expired, .. } => Code::WaitExpired,
            Self::WaitOver { .. } => Code::WaitCancelled,
            Self::UnknownSerial { .. } => Code::UnknownSerial,
            Self::NotAvailable { .. }
            | Self::NotOffered { .. }
            | Self::OtherNature { .. }
            | Self::OtherLabels { .. }
            | Self::Kept { .. } => Code::NotAvailable,
            Self::UnknownWorker { .. } | Self::NotWaiting { .. } => Code::NotFound,
            Self::OtherProtocol { .. } => Code::VersionMismatch,
        };
        let detail = ErrorDetail::new(code, self.to_string());
        match self {
            Self::UnknownKind { known, .. } => {
                let known: Vec<_> = known.iter().map(|kind| kind.as_str()).collect();
                detail.with("kinds", known)
            }
            Self::BadArguments { kind, error } => match key_of(error) {
                Some(key) => detail.with("kind", kind.as_str()).with("key", key),
                None => detail.with("kind", kind.as_str()),
            },
            Self::NotEnough { wanted, available, .. } => {
                detail.with("wanted", *wanted).with("available", *available)
            }
            Self::Impossible { wanted, known } => {
                detail.with("wanted", *wanted).with("known", *known)
            }
            Self::Limited(limited) => detail.with("limit", limited.names.to_string()),
            Self::WaitOver { request, end } => {
                detail.with("request", request.as_str()).with("reason", end.as_str())
            }
            Self::UnknownSerial { serial }
            | Self::NameInUse { serial, .. }
            | Self::Kept { serial }
            | Self::OtherLabels { serial, .. }
            | Self::NotOffered { serial, .. }
            | Self::OtherNature { serial, .. } => detail.with("serial", serial.as_str()),
            Self::NotAvailable { serial, status } => {
                detail.with("serial", serial.as_str()).with("status", status.as_str())
            }
            _ => detail,
        }
    }
}

/// The key that an argument error is about.
fn key_of(error: &ArgError) -> Option<&str> {
    match error {
        ArgError::Missing { key, .. } | ArgError::Invalid { key, .. } => Some(key),
        ArgError::Unknown { keys, .. } => keys.first().map(String::as_str),
        _ => None,
    }
}

impl std::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::BadArguments { error, .. } => Some(error),
            _ => None,
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnknownKind { kind, known } if known.is_empty() => {
                write!(
                    f,
                    "no worker offers the kind `{kind}`: no worker has registered yet, or those \
                     that have are built without a state (`use that_state as _;`)"
                )
            }
            Self::UnknownKind { kind, known } => {
                let known: Vec<_> = known.iter().map(Kind::as_str).collect();
                write!(f, "no worker offers the kind `{kind}`; kinds: {}", known.join(", "))
            }
            Self::BadArguments { kind, error } => write!(f, "`args` of kind `{kind}`: {error}"),
            Self::NoTime => f.write_str("`ttl_s` must be at least 1"),
            Self::Mixed => f.write_str(
                "`serials` names real and simulated boards together; reserve them apart",
            ),
            Self::RequestReused { request } => {
                write!(
                    f,
                    "`request` {request} was used for another reservation, with other boards, \
                     `kind`, `args`, `ttl_s`, `instance`, `simulated`, `labels`, `wait_s` or \
                     `priority`; choose a new id"
                )
            }
            Self::NotEnough { wanted, available, simulated, kept } => {
                let boards = if *wanted == 1 { "board was" } else { "boards were" };
                write!(f, "{wanted} {boards} asked for and {available} can be had now")?;
                if *simulated > 0 {
                    write!(
                        f,
                        "; {simulated} simulated ones are free, which are given only if asked \
                         for by `simulated`: true"
                    )?;
                }
                if *kept > 0 {
                    write!(f, "; {kept} more are free, and set aside for those who wait")?;
                }
                Ok(())
            }
            Self::Impossible { wanted, known } => write!(
                f,
                "{wanted} boards were asked for and the farm knows {known} that would do, so it is \
                 no use to wait"
            ),
            Self::Kept { serial } => write!(
                f,
                "board `{serial}` is free, and set aside for one who waits; with `wait_s` this \
                 request waits its turn"
            ),
            Self::OtherLabels { serial, key, value } => {
                write!(f, "board `{serial}` does not have the label {key}={value}")
            }
            Self::Limited(limited) => write!(f, "{limited}"),
            Self::WaitWithoutRequest => f.write_str(
                "`wait_s` needs a `request`, a new UUID, by which the request is found again",
            ),
            Self::QueueFull { limit, client: None } => {
                write!(f, "{limit} requests wait for boards already, which is the limit")
            }
            Self::QueueFull { limit, client: Some(client) } => write!(
                f,
                "{limit} requests of `{client}` wait for boards already, which is the limit"
            ),
            Self::WaitOver { request, end } => {
                write!(f, "request {request} got no boards: {end}; send it under a new id")
            }
            Self::NotWaiting { reservation } => write!(
                f,
                "nothing waits as {reservation}; it may have its boards by now, or have been given \
                 up"
            ),
            Self::CancelWhat => f.write_str(
                "say what is to be cancelled: `name` with or without `request`, or `reservation`",
            ),
            Self::BadLabel { reason } => f.write_str(reason),
            Self::NameInUse { name, serial } => write!(
                f,
                "board `{serial}` goes by `{name}` already; choose another name, or take it from \
                 that one first"
            ),
            Self::UnknownSerial { serial } => write!(f, "no worker has a board `{serial}`"),
            Self::NotAvailable { serial, status } => {
                write!(f, "board `{serial}` cannot be reserved now: it is {status}")
            }
            Self::NotOffered { serial, worker, kind } => write!(
                f,
                "board `{serial}` cannot be reserved: its worker `{worker}` does not offer the \
                 kind `{kind}` with these arguments"
            ),
            Self::OtherNature { serial, simulated: true } => {
                write!(f, "board `{serial}` is simulated, and real ones were asked for")
            }
            Self::OtherNature { serial, .. } => {
                write!(f, "board `{serial}` is real, and simulated ones were asked for")
            }
            Self::UnknownWorker { worker } => {
                write!(f, "no worker `{worker}` is known here; it must register first")
            }
            Self::WorkerThere { worker } => write!(
                f,
                "worker `{worker}` is not forgotten, because it can be reached or may yet answer; \
                 stop it first"
            ),
            Self::StaleIncarnation { worker } => write!(
                f,
                "worker `{worker}` has registered under another incarnation; it must register \
                 again to be listened to"
            ),
            Self::NameTaken { worker, url } => write!(
                f,
                "a living worker at {url} has the name `{worker}`; give this one another name"
            ),
            Self::OtherProtocol { worker, theirs } => write!(
                f,
                "worker `{worker}` speaks protocol {theirs} and control speaks {}; install the \
                 same version on both",
                icefarm_core::wire::PROTOCOL
            ),
            Self::ImpossibleToken { serial, token } => write!(
                f,
                "the report of board `{serial}` names lease {token}, which is beyond all leases \
                 that can be"
            ),
        }
    }
}

/// Checks a time to live.
pub(super) fn some_time(ttl: Duration) -> Result<Duration, Refusal> {
    if ttl.is_zero() { Err(Refusal::NoTime) } else { Ok(ttl) }
}
