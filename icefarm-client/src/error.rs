//! What can go wrong for a client.

use icefarm_core::wire::ErrorCode;
use icefarm_core::{Kind, NameError, Object, Serial, ValueError};
use icefarm_net::{EndpointError, HttpError};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// Why something could not be done.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// A text is not a client's name, a serial or a kind.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The address is none.
    #[error(transparent)]
    Address(#[from] EndpointError),
    /// Arguments or contents are not an object that can travel.
    #[error("the arguments cannot be sent: {0}")]
    Arguments(#[source] ValueError),
    /// The server refused.
    #[error("{message} ({code})")]
    Refused {
        /// The server.
        url: String,
        /// The word for programs.
        code: ErrorCode,
        /// What happened and what to do.
        message: String,
        /// Further keys of the answer, as `wanted` and `available` of `not_enough_devices`.
        details: Object,
        /// The HTTP client's account of it.
        #[source]
        source: Option<Arc<HttpError>>,
    },
    /// A request had no proper answer, also after trying again.
    #[error("{source}")]
    Http {
        /// What the HTTP client says.
        #[source]
        source: Arc<HttpError>,
    },
    /// A websocket could not be opened, or was away for longer than it is waited for.
    #[error("{url} cannot be reached: {reason}")]
    Unreachable {
        /// The server.
        url: String,
        /// What happened, and for how long.
        reason: String,
        /// What the connection says.
        #[source]
        source: Option<Arc<dyn Error + Send + Sync>>,
    },
    /// A board failed, or its lease ended.
    #[error("{reason} ({code})")]
    BoardLost {
        /// The board.
        serial: Serial,
        /// A stable word, see [`codes`](crate::codes).
        code: String,
        /// What happened.
        reason: String,
    },
    /// The board is not held by this client.
    #[error("this client holds no lease on board {serial}")]
    NotHeld {
        /// The board.
        serial: Serial,
    },
    /// Boards were not ready in time. They stay reserved.
    #[error("after {waited:?} these boards are not ready: {}", list(serials))]
    NotInitialized {
        /// The boards.
        serials: Vec<Serial>,
        /// How long they were waited for.
        waited: Duration,
    },
    /// The worker, or the board's state, answered a command with an error.
    #[error("`{event}` on board {serial}: {message} ({code})")]
    Command {
        /// The board.
        serial: Serial,
        /// The command.
        event: String,
        /// The word for programs.
        code: ErrorCode,
        /// What happened and what to do.
        message: String,
        /// Further keys of the answer.
        details: Object,
    },
    /// A command was not answered in time. It may have been done.
    #[error("`{event}` on board {serial} was not answered within {waited:?}")]
    CommandTimeout {
        /// The board.
        serial: Serial,
        /// The command.
        event: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The reservation is for another kind than the evaluation is of.
    #[error("the boards are reserved as `{found}`, but this evaluates `{expected}`")]
    WrongKind {
        /// What the evaluation is of.
        expected: &'static str,
        /// What was reserved.
        found: Kind,
    },
    /// Boards that were to be used together do different things.
    #[error("the boards are reserved as different kinds: `{}` and `{}`", kinds[0], kinds[1])]
    MixedKinds {
        /// Two of the kinds.
        kinds: [Kind; 2],
    },
    /// No board was named, or 0 of them were asked for.
    #[error("no board is asked for: name one, or ask for 1 at least")]
    NoBoards,
    /// This process cannot listen for signals.
    #[error("signals cannot be received: {source}")]
    Signals {
        /// What the system says.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// A blocking call was made where it would hold up other tasks.
    #[error(
        "a call that blocks was made within an async runtime: use the async `Client`, or call it \
         on a thread of `std::thread::spawn`"
    )]
    InsideRuntime,
    /// The runtime of a blocking client cannot be started.
    #[error("the client's runtime cannot be started: {source}")]
    Runtime {
        /// What the system says.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
}

impl ClientError {
    /// The server's own code, if a server answered with an error.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } | Self::Command { code, .. } => Some(*code),
            _ => None,
        }
    }
}

impl From<HttpError> for ClientError {
    fn from(error: HttpError) -> Self {
        if let HttpError::Answer { url, error: detail, .. } = &error {
            let (code, message) = (detail.code, detail.message.clone());
            let (url, details) = (url.clone(), detail.details.clone());
            return Self::Refused { url, code, message, details, source: Some(Arc::new(error)) };
        }
        Self::Http { source: Arc::new(error) }
    }
}

fn list(serials: &[Serial]) -> String {
    serials.iter().map(Serial::as_str).collect::<Vec<_>>().join(", ")
}
